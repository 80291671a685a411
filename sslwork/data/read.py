"""A source of pictures, read once: into memory where it is small, into one file on disk where it is large."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslwork.data.folder import Folder
from sslwork.data.items import Items
from sslwork.data.pictures import PictureSet
from sslwork.data.pixels import UNREADABLE, pixels
from sslwork.data.store import gather, mapped, read_note

Source = Folder | Items
IN_MEMORY = 2**30  # bytes; a larger set goes to disk
BLOCK = 256  # pictures read at a time


class _InColour(Exception):
    """After grey pictures came one in colour: the set has three channels."""


def read(
    source: Source,
    *,
    size: int | None = None,
    store: str | Path | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> PictureSet:
    """The pictures of a source, in order; the arguments are those of `load`."""
    if len(source) == 0:
        raise ValueError(f"{source.about} is empty: there is no picture to read")
    if size is not None and not (isinstance(size, int) and size >= 1):
        raise ValueError(f"size must be a whole number of pixels, at least 1; got {size!r}")
    path = _cache(source, size) if store is None else Path(store).expanduser()
    note = _reusable(path, source, size) if path.exists() else None
    if note is not None:
        images = mapped(path)
    else:
        pool = threads or source.threads
        try:
            images, note = _gather(source, source.channels, size, path, store is None, pool, progress)
        except _InColour:
            images, note = _gather(source, 3, size, path, store is None, pool, progress)
    kept, skipped = note["kept"], note["skipped"]
    if skipped:
        more = [f"and {len(skipped) - 20} more, all in .skipped"] if len(skipped) > 20 else []
        named = "\n  ".join(skipped[:20] + more)
        warnings.warn(f"skipped {len(skipped)} of {len(source)} files:\n  {named}", stacklevel=3)
    ids = [source.name(i) for i in kept]
    labels, names = _labels(note["labels"], source.classes, ids)
    return PictureSet(
        images, labels, names, ids=ids if source.named else (), skipped=skipped, about=source.about
    )


def _gather(
    source: Source,
    channels: int,
    size: int | None,
    path: Path,
    small_in_memory: bool,
    threads: int,
    progress: bool,
) -> tuple[Tensor, dict[str, Any]]:
    """All pictures, and which they are, their labels, and what was skipped."""
    note: dict[str, Any] = {"stamp": "", "kept": [], "labels": [], "skipped": []}  # filled as the blocks come
    blocks = _blocks(source, channels, size, threads, progress, note)
    first = next(blocks, None)
    if first is None:
        raise ValueError(f"no readable picture in {source.about}, {len(source)} tried; {note['skipped'][0]}")
    wanted = len(source) * first[0].nbytes
    if small_in_memory and wanted <= IN_MEMORY:
        return gather(chain([first], blocks), rows=len(source)), note
    if small_in_memory:
        print(f"{wanted / 1e9:.1f} GB of pictures go to {path}; store=... chooses another place")
    note["stamp"] = _stamp(source, size)
    return gather(chain([first], blocks), rows=len(source), path=path, note=note), note


def _blocks(
    source: Source, channels: int, size: int | None, threads: int, progress: bool, note: dict[str, Any]
) -> Iterator[np.ndarray]:
    """The pictures in order, up to BLOCK at a time, (n, C, H, W) uint8."""
    from tqdm.auto import tqdm

    def one(i: int) -> tuple[int, np.ndarray | None, Any]:
        try:
            picture, label = source[i]
            return i, pixels(picture, size), label
        except UNREADABLE as error:
            return i, None, f"{source.name(i)}: {error}"
        except Exception as error:
            error.add_note(f"while reading {source.name(i)}")
            raise

    n, shape = len(source), None
    bar = tqdm(total=n, desc="reading", unit=" pictures", delay=1, leave=False, disable=not progress)
    with bar, ThreadPoolExecutor(threads) as pool:
        run = pool.map if threads > 1 else map
        for start in range(0, n, BLOCK):
            rows, block = range(start, min(start + BLOCK, n)), []
            for i, picture, said in run(one, rows):
                if picture is None:
                    note["skipped"].append(said)
                    continue
                shape = shape or (max(channels, len(picture)), *picture.shape[1:])
                if picture.shape[1:] != shape[1:]:
                    raise ValueError(
                        f"pictures of several sizes: {shape[1:]}, but {picture.shape[1:]} in {source.name(i)}; "
                        "give size=..., and all are cut square and resized"
                    )
                if len(picture) > shape[0]:
                    raise _InColour
                note["kept"].append(i)
                note["labels"].append(said)
                block.append(np.broadcast_to(picture, shape))
            if block:
                yield np.stack(block)
            bar.update(len(rows))


def _labels(
    labels: list[int | str | None], classes: Sequence[str], ids: list[str]
) -> tuple[Tensor | None, Sequence[str]]:
    """Class indices and class names, if every picture has a label."""
    missing = [name for name, label in zip(ids, labels, strict=True) if label is None]
    if missing:
        if len(missing) < len(labels):
            warnings.warn(
                f"no labels: {len(missing)} of {len(labels)} pictures have none, {missing[0]} for one "
                "(in a folder: what lies beside the sub-folders)",
                stacklevel=4,
            )
        return None, ()
    if all(isinstance(label, int) for label in labels):
        return torch.tensor(labels), classes
    names = sorted({str(label) for label in labels})
    index = {name: i for i, name in enumerate(names)}
    return torch.tensor([index[str(label)] for label in labels]), names


def _cache(source: Source, size: int | None) -> Path:
    """Where a large set goes unless the caller says where: one place for each source and size."""
    from platformdirs import user_cache_dir

    digest = hashlib.blake2b(f"{source.place} {size}".encode(), digest_size=8).hexdigest()
    return Path(user_cache_dir("sslwork")) / f"pictures-{digest}.npy"


def _reusable(path: Path, source: Source, size: int | None) -> dict[str, Any] | None:
    """What is noted in a file of pictures, if these are the pictures."""
    note = read_note(path)
    if note is None or "stamp" not in note:
        raise ValueError(
            f"{path} holds no pictures that were read here; give another store=..., or delete it"
        )
    return note if note["stamp"] == _stamp(source, size) else None


def _stamp(source: Source, size: int | None) -> str:
    return hashlib.blake2b(json.dumps([size, source.stamp()]).encode(), digest_size=16).hexdigest()
