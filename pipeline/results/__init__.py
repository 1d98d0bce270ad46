"""What stages store, array by array, for those that read it."""
