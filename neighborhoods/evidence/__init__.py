"""Statistics that decide published claims, on the arrays of stored results, and the verdicts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
