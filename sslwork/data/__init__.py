"""Pictures: sets that need no download, torchvision's by name, folders and datasets of one's own, of any size."""

from sslwork.data.load import available, load
from sslwork.data.pictures import PictureSet, to_float

__all__ = ["PictureSet", "available", "load", "to_float"]
