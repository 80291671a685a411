"""Pictures: sets that need no download, torchvision's by name, folders and datasets of one's own, of any size."""

from sslwork.data.load import available, load
from sslwork.data.pictures import PictureSet, to_float
from sslwork.data.reaches import Reaches, reaches
from sslwork.data.scenes import scenes
from sslwork.data.subset import long_tail, per_class

__all__ = [
    "PictureSet",
    "Reaches",
    "available",
    "load",
    "long_tail",
    "per_class",
    "reaches",
    "scenes",
    "to_float",
]
