"""Rows that come block by block, gathered in memory or in a .npy file which is there as a whole or not at all."""

import errno
import json
import os
import shutil
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslwork import atomic


def gather(
    blocks: Iterable[np.ndarray],
    *,
    rows: int,
    path: str | Path | None = None,
    note: dict[str, Any] | None = None,
) -> Tensor:
    """Blocks (n, ...) below one another: in memory, or in the file `path`, which is then mapped.

    A file is written block by block, so that memory stays flat. A former file stays until the new one is whole.

    Args:
        blocks: arrays of one type and one shape of row.
        rows: how many rows are expected, to make room first; fewer may come.
        path: a .npy file, which `numpy.load` reads. Missing folders are made.
        note: plain values to keep in the file behind the rows, read once the last block has come; see `read_note`.

    Raises:
        ValueError: no rows came, or rows of several shapes.
        OSError: no room on the disk, or no right to write there. No part of a file is left behind.

    >>> gather([np.zeros((2, 3)), np.ones((1, 3))], rows=5).shape
    torch.Size([3, 3])
    """
    blocks = iter(blocks)
    first = next(blocks, None)
    if first is None:
        raise ValueError("no rows came to be gathered")
    like, blocks = np.empty((0, *first.shape[1:]), first.dtype), chain([first], blocks)
    del first  # it may be a part of something large
    if path is not None:
        return _write(Path(path).expanduser(), blocks, like, rows, note)
    whole, count = torch.from_numpy(np.empty((rows, *like.shape[1:]), like.dtype)), 0
    for block in blocks:
        whole[count : count + len(block)] = torch.from_numpy(_alike(block, like))
        count += len(block)
    return whole[:count]


def mapped(path: str | Path) -> Tensor:
    """The array in a .npy file as a tensor over a memory map: rows are read when they are used.

    Writing into the tensor writes into the file, unless the file may not be written.
    """
    if os.access(path, os.W_OK):
        return torch.from_numpy(np.load(path, mmap_mode="r+"))
    # Changes stay in memory. Not the rule, as the system sets memory aside for the whole of such a map.
    return torch.from_numpy(np.load(path, mmap_mode="c"))


def read_note(path: str | Path) -> dict[str, Any] | None:
    """The note behind the rows of a file which `gather` wrote; None in any other file."""
    try:
        array = np.load(path, mmap_mode="r")
        with open(path, "rb") as file:
            file.seek(array.offset + array.nbytes)
            return json.loads(file.read())
    except (OSError, ValueError, EOFError, AttributeError):
        return None


def _alike(block: np.ndarray, like: np.ndarray) -> np.ndarray:
    if block.shape[1:] != like.shape[1:] or block.dtype != like.dtype:
        raise ValueError(
            f"rows must be of one shape and type: {like.shape[1:]} {like.dtype} came first, "
            f"then {block.shape[1:]} {block.dtype}"
        )
    return np.ascontiguousarray(block)


def _write(
    path: Path, blocks: Iterable[np.ndarray], like: np.ndarray, rows: int, note: dict[str, Any] | None
) -> Tensor:
    count = 0
    wanted = rows * like.itemsize * int(np.prod(like.shape[1:]))
    with atomic.writing(path) as file:
        free = shutil.disk_usage(path.parent).free
        if wanted > free:
            said = f"{wanted / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; give another place"
            raise OSError(errno.ENOSPC, said, str(path))
        start = _header(file, like, rows)
        for block in blocks:
            file.write(_alike(block, like).data)
            count += len(block)
        if note is not None:
            file.write(json.dumps(note).encode())
        file.seek(0)
        assert _header(file, like, count) == start, "NumPy pads the header so that any number fits in"
    return mapped(path)


def _header(file: Any, like: np.ndarray, rows: int) -> int:
    """Write the .npy header for so many rows, and say where the rows begin."""
    form = np.lib.format.header_data_from_array_1_0(like) | {"fortran_order": False}
    np.lib.format.write_array_header_1_0(file, form | {"shape": (rows, *like.shape[1:])})
    return file.tell()
