"""A folder of one's own pictures, as a source of pictures."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


class Folder:
    """Every picture below `path`: `folder[i]` is (Pillow image, sub-folder or None), in the order of their names.

    Args:
        path: the folder. Where the pictures lie in sub-folders, the sub-folder is the label.
        size: what the pictures will be resized to, if at all: a JPEG is decoded no finer than that needs.
    """

    threads = min(16, os.cpu_count() or 1)  # Pillow decodes in all of them at once
    channels = 3
    named = True  # by their files
    classes: Sequence[str] = ()  # the sub-folders, which are the labels

    def __init__(self, path: str | Path, size: int | None = None) -> None:
        self.root, self.size = Path(path).expanduser(), size
        if not self.root.is_dir():
            raise FileNotFoundError(f"no folder {self.root}; give the folder which holds the pictures")
        self.files = sorted(p for p in self.root.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        if not self.files:
            raise ValueError(f"no readable picture in {self.root} (endings looked for: {sorted(ENDINGS)})")
        self.about, self.place = f"pictures in {self.root.name}", str(self.root.resolve())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Image.Image, str | None]:
        with Image.open(self.files[i]) as picture:
            if self.size is not None:
                picture.draft(None, (2 * self.size, 2 * self.size))
            picture.load()
        inside = self.files[i].relative_to(self.root).parts
        return picture, inside[0] if len(inside) > 1 else None

    def name(self, i: int) -> str:
        return self.files[i].relative_to(self.root).as_posix()

    def stamp(self) -> list[Any]:
        """Names, sizes and times of change: as long as these are the same, so are the pictures."""
        stats = [file.stat() for file in self.files]
        return [(self.name(i), stat.st_size, stat.st_mtime_ns) for i, stat in enumerate(stats)]
