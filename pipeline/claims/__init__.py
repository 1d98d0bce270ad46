"""What the sources claim, which results decide it, and when."""
