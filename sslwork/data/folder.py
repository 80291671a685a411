"""A folder of one's own pictures."""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from sslwork.data.pictures import PictureSet

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def folder(path: str | Path, *, size: int = 32) -> PictureSet:
    """Every picture below `path`, cut square from its middle and resized to `size`.

    Where the pictures lie in sub-folders, the sub-folder is the label. Files that cannot be read are skipped, counted
    and named, in a warning and in `.skipped`.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}; give the folder which holds the pictures")
    found = sorted(p for p in root.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
    images, kept, skipped = [], [], []
    for file in found:
        try:
            with Image.open(file) as picture:
                square = ImageOps.fit(_on_white(ImageOps.exif_transpose(picture)), (size, size))
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombError,
        ) as error:  # all that Pillow raises
            skipped.append(f"{file.relative_to(root)}: {error}")
            continue
        images.append(torch.from_numpy(np.array(square)).permute(2, 0, 1))
        kept.append(file.relative_to(root))
    if skipped:
        warnings.warn(
            f"skipped {len(skipped)} of {len(found)} files:\n  " + "\n  ".join(skipped), stacklevel=3
        )
    if not images:
        raise ValueError(
            f"no readable picture in {root} ({len(found)} tried; endings looked for: {sorted(ENDINGS)})"
        )
    names = sorted({file.parts[0] for file in kept if len(file.parts) > 1})
    loose = [file.name for file in kept if len(file.parts) == 1]
    labelled = bool(names) and not loose
    if names and loose:
        warnings.warn(
            f"no labels: {len(loose)} of {len(kept)} pictures lie beside the sub-folders, {loose[0]} for one",
            stacklevel=3,
        )
    return PictureSet(
        torch.stack(images),
        torch.tensor([names.index(file.parts[0]) for file in kept]) if labelled else None,
        names if labelled else (),
        ids=[file.as_posix() for file in kept],
        skipped=skipped,
        about=f"pictures in {root.name}",
    )


def _on_white(picture: Image.Image) -> Image.Image:
    """Eight bits of red, green and blue; what is transparent shows white."""
    if picture.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        picture = Image.fromarray((np.asarray(picture) / 257).astype(np.uint8))
    rgba = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
