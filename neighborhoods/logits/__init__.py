"""Logits after standard and adversarial training, and their analytic model (Seguin)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
