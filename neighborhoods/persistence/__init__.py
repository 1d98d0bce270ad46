"""How far Gaussian noise can grow before a classifier changes its mind (Bell, Part I)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
