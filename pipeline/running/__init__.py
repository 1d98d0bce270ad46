"""How runs and their jobs start, what they use, and where they go on after a kill."""
