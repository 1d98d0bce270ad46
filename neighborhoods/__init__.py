"""Measurements on the geometry of adversarial examples, for any network, data and attack.

What `__init__.pyi` names is the public interface; further functions are in the packages. Packages and names are
imported when they are first used: importing this alone must not cost torch's import.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
