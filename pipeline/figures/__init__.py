"""What figures share: style, panels, and the numbers beside each."""
