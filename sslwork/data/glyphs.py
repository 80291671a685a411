"""Letters and figures of four scripts in the twelve styles of the DejaVu fonts, which matplotlib carries."""

from pathlib import Path

import numpy as np
import torch

from sslwork import checks
from sslwork.data.pictures import PictureSet
from sslwork.data.throw import throw
from sslwork.seeds import generator

# Every class has a shape of its own: a letter drawn like one before it in most styles (Greek Α, Cyrillic В) is out.
SCRIPTS = {
    "figures": "0123456789",
    "Latin": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "Greek": "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθικλμνξπρςστυφχψω",
    "Cyrillic": "БДЁЖЗИЙКЛУФЦЧШЩЪЫЬЭЮЯбвгдёжзийклмнптфцчшщъыьэюя",
    "Georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
}
FAMILIES = {"Sans": "Oblique", "SansMono": "Oblique", "Serif": "Italic"}
STYLES = {
    "train": [
        family + style for family, slanted in FAMILIES.items() for style in ("", "-Bold", f"-{slanted}")
    ],
    "test": [f"{family}-Bold{slanted}" for family, slanted in FAMILIES.items()],
}
FINER = 4  # drawn so many times larger, which leaves little to hinting


def glyphs(
    *,
    split: str = "train",
    size: int = 32,
    turn: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    shift: float = 0.0,
    seed: int = 0,
) -> PictureSet:
    """Characters, light on black, one channel, each in 9 styles ("train") or in 3 others ("test").

    A class is a character, its group the script. The test styles are those both bold and slanted, of each family;
    bold alone and slanted alone are in training. All stand on one line, middle above middle, so that size tells o from
    O. The nearest neighbour in pixels then names 94 to 96 %: `turn`, `scale` and `shift` make it harder, as for "affine-digits".

    Args:
        split: "train" or "test".
        size: side of the picture, pixels.
        turn, scale, shift: how strongly each picture is thrown about, see `affine_digits`; as they stand, not at all.
        seed: of that.

    Raises:
        ValueError: another split, or a strength out of its range.
    """
    if split not in STYLES:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    checks.positive(size, "size")
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    names = [character for characters in SCRIPTS.values() for character in characters]
    large, images = FINER * size, []
    for style in STYLES[split]:
        file = Path(get_data_path()) / "fonts" / "ttf" / f"DejaVu{style}.ttf"
        font = ImageFont.truetype(str(file), round(0.75 * large), layout_engine=ImageFont.Layout.BASIC)
        for name in names:
            picture = Image.new("L", (large, large))
            ImageDraw.Draw(picture).text((large / 2, 0.75 * large), name, fill=255, font=font, anchor="ms")
            images.append(np.asarray(picture))
    draw = generator(seed, ("train", "test").index(split))
    return PictureSet(
        throw(
            torch.from_numpy(np.stack(images))[:, None], draw, size=size, turn=turn, scale=scale, shift=shift
        ),
        torch.arange(len(names)).repeat(len(STYLES[split])),
        names,
        groups=[script for script, characters in SCRIPTS.items() for _ in characters],
        ids=[f"{name} {style}" for style in STYLES[split] for name in names],
        about="DejaVu fonts (Bitstream Vera licence), as packaged with matplotlib",
    )
