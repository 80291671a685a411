"""sslwork: see learning without labels.

Data flows one way: data -> views -> encoders -> heads -> losses -> methods -> train -> embed -> measures ->
plots -> widgets. Every part is loaded when it is first used, so `import sslwork` itself costs nothing.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

_PARTS = [
    "claims",
    "data",
    "embed",
    "encoders",
    "heads",
    "losses",
    "measures",
    "methods",
    "plots",
    "scale",
    "systems",
    "toys",
    "train",
    "views",
    "widgets",
]
__all__ = ["__version__", *_PARTS]


def __getattr__(name: str) -> ModuleType:
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'sslwork' has no attribute {name!r}; its parts are {', '.join(_PARTS)}")


def __dir__() -> list[str]:
    return sorted(__all__)
