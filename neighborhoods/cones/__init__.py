"""Geometry without a network: orthants, wedges, and the persistence that they give (Bell, Parts I and III)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
