"""Times as sentences and tables have them."""


def duration(seconds: float) -> str:
    """A time in words, with two digits below 100 seconds."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
