"""Networks trained by gradient descent as kernel machines, and the paths of their weights (Bell, Part II)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
