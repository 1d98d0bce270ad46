"""What makes a network sensitive: its head, its features, or the margin (the Note)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
