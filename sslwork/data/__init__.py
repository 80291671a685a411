"""Picture sets that need no download, torchvision's by name, and a folder of one's own pictures."""

from sslwork.data.load import available, load
from sslwork.data.pictures import PictureSet, to_float

__all__ = ["PictureSet", "available", "load", "to_float"]
