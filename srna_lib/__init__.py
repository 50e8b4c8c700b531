"""Metadata prediction, explanation and stability for small-RNA sequencing profiles.

``import srna_lib as srna`` is light: a verb loads what it needs when it is first used (SPEC 1). Which verbs there are
stands in ``__init__.pyi``; the figures are in ``srna.pl``.
"""

from typing import Any

import lazy_loader

__version__ = "0.1.0"

_getattr, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """A verb or a package of the library, loaded at its first use; ``pl`` is ``plots``."""
    return _getattr("plots" if name == "pl" else name)
