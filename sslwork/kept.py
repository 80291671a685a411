"""Networks trained once: kept in the user's cache under everything that made them."""

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import nn

from sslwork import checkpoint, scale, studies

_Net = TypeVar("_Net", bound=nn.Module)


def trained(
    net: _Net, train: Callable[[_Net], Any], *, code: Callable[..., Any] | ModuleType, **settings: Any
) -> _Net:
    """`net` with the weights that `train(net)` gave it, now or on an earlier day; in evaluation mode.

    Args:
        net: freshly made; changed in place.
        train: called only if nothing is kept.
        code: the function, class or module that makes and trains; a change of its code trains anew.
        settings: plain values that made it: seeds, steps, a fingerprint of the data.
    """
    told = f"{studies.digest(inspect.getsource(code))} {sorted(settings.items())}"
    return once(net, lambda: train(net), place("kept", code.__name__.rpartition(".")[2], told))


def place(folder: str, name: str, told: str) -> Path:
    """Where in the user's cache weights are kept: a file whose name changes with what is `told` of their making."""
    from platformdirs import user_cache_path

    key = hashlib.blake2b(f"{told} {scale.current().device.type}".encode(), digest_size=6).hexdigest()
    return user_cache_path("sslwork") / folder / f"{name}-{key}.pt"


def once(net: _Net, learn: Callable[[], Any], path: Path) -> _Net:
    """`net` in evaluation mode with the weights kept at `path`; where there are none, it learns and they are kept."""
    try:
        weights = checkpoint.load(path)
        checkpoint.check_weights(net, weights, path)
        net.load_state_dict(weights)
    except checkpoint.CheckpointError:  # none there, or none that can be read
        with torch.enable_grad():  # whoever asks for a network may only mean to look at it
            learn()
        net.cpu().zero_grad()  # as if it had been read
        checkpoint.save(net.state_dict(), path)
    return net.eval()
