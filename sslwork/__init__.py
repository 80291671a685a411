"""sslwork: see learning without labels.

Data flows one way: data -> views -> encoders -> heads -> losses -> methods -> train -> embed -> measures ->
plots -> widgets. Every part is loaded when it is first used, so `import sslwork` itself costs nothing.

`sslwork.explore(encoder_or_rows, pictures)` shows what any representation knows.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PARTS = [
    "advstyle",
    "attacks",
    "autoencoder",
    "backdoor",
    "baselines",
    "batches",
    "bias",
    "bounds",
    "bypass",
    "claims",
    "clustering",
    "continuous",
    "data",
    "detectors",
    "distributed",
    "embedding",
    "encoders",
    "exploration",
    "finetune",
    "forgery",
    "fixmatch",
    "heads",
    "kept",
    "laf",
    "losses",
    "measures",
    "methods",
    "mining",
    "models",
    "multistage",
    "nets",
    "panel",
    "plots",
    "preprocessing",
    "pretexts",
    "probing",
    "pruning",
    "purify",
    "recordings",
    "resizing",
    "robust",
    "scale",
    "schedule",
    "studies",
    "systems",
    "tilting",
    "toys",
    "tracing",
    "train",
    "vae",
    "vectors",
    "verification",
    "views",
    "widgets",
    "zoo",
]
_FUNCTIONS = {"embed": "embedding", "explore": "widgets.explorer", "launch": "distributed"}
__all__ = ["__version__", *_PARTS, *_FUNCTIONS]


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'sslwork' has no attribute {name!r}; it has {', '.join(__all__[1:])}")


def __dir__() -> list[str]:
    return sorted(__all__)
