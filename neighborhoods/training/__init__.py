"""Training in the standard way, for robustness, epoch by epoch, and by distillation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
