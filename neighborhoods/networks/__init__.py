"""Networks of the sources, and how they are run: architectures, photos, layers, inference."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
