"""Import torchvision also where its compiled operators do not load, as with a CPU build of torch.

A torchvision built for CUDA cannot load its extension next to a CPU torch, and then `import torchvision`
stops at `operator torchvision::nms does not exist`. Transforms and classifiers need none of those operators,
only their declarations. No other file needs to know of this: call `import_torchvision()`.
"""

import importlib
import importlib.util
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

import torch

_SCHEMAS = {
    name: f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms")
}
_library: torch.library.Library | None = None  # the declarations last as long as this object


def import_torchvision() -> ModuleType:
    """Return the torchvision module, declaring its operators first where the compiled ones are missing.

    Raises ImportError when torchvision is not installed. Where the operators exist nothing is declared.
    """
    global _library
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("torchvision is not installed. Install it with: pip install torchvision")
    # Looked at before the import: one that fails leaves half-made modules behind.
    _load_compiled_operators(Path(spec.submodule_search_locations[0]))
    missing = [name for name in _SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    if missing:
        # A fragment adds to the name space; "DEF" may be opened once a process, by whoever is first.
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            library.define(_SCHEMAS[name])
        _library = library
    return importlib.import_module("torchvision")


def _load_compiled_operators(folder: Path) -> None:
    """Load torchvision's compiled extension where it is there and fits this build of torch."""
    if sys.platform == "win32":  # where torchvision itself looks for what the extension needs
        os.add_dll_directory(str(folder))
    for library in (folder / f"_C{suffix}" for suffix in (*EXTENSION_SUFFIXES, ".so", ".pyd")):
        if library.exists():
            try:
                torch.ops.load_library(library)
            except OSError:  # built against libraries that this machine lacks
                continue
            return
