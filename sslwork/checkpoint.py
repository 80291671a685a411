"""Checkpoints: written whole or not at all, read without running any code, refused when they belong elsewhere."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sslwork import atomic


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, read, or does not belong to this run."""


def save(state: dict[str, Any], path: str | Path) -> Path:
    """Write `state` (tensors, numbers, text, lists, dicts) to `path`; a former file stays until the new one is whole.

    Raises:
        CheckpointError: the disk is full or cannot be written; the former file is untouched.
    """
    path = Path(path)
    buffer = io.BytesIO()  # in memory first: torch's own writer hides the reason when a disk fills
    torch.save(state, buffer)
    try:
        with atomic.writing(path) as file:
            file.write(buffer.getbuffer())
    except OSError as error:
        former = "the former checkpoint is untouched" if path.exists() else "no checkpoint was written"
        raise CheckpointError(
            f"could not save {path} ({buffer.tell() / 1e6:.1f} MB): {error}. {former.capitalize()} and the model is "
            "still in memory: free some space, or save to another place with run.save(path)"
        ) from error
    return path


def load(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted, so that no code in the file can run."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged and foreign files
        raise CheckpointError(f"{path} is not a checkpoint that can be read safely: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds a {type(state).__name__}, not a checkpoint")
    return state


def check_weights(model: nn.Module, weights: dict[str, torch.Tensor], source: str | Path) -> None:
    """Refuse weights that are not this model's, all of them, and name the keys that do not fit."""
    own = model.state_dict()
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    reshaped = [
        f"{key} {tuple(weights[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own.keys() & weights.keys()
        if own[key].shape != weights[key].shape
    ]
    problems = [
        f"{what}: {', '.join(keys[:5])}{f' and {len(keys) - 5} more' if len(keys) > 5 else ''}"
        for what, keys in (("missing", missing), ("unknown", unknown), ("of another shape", sorted(reshaped)))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{source} is a checkpoint of another model than {type(model).__name__}. Weights "
            + "; ".join(problems)
        )
