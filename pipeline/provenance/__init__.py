"""What decides a result, and what made it."""
