"""What there is, what of it a configuration asks for, and where it lies."""
