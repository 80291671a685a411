"""Filters in front of a classifier, and what is left of them when the attacker knows them.

`table` gives every filter its attackers: one who does not know it, one who runs it, one who differentiates it.
"""

from sslwork.purify import lq_vae, raw
from sslwork.purify.camera import Camera, demosaic, mosaic, sites
from sslwork.purify.controls import BitDepth, Blur, DownUp, Jpeg, Median
from sslwork.purify.filter import KNOWLEDGE, Filter, Guarded, straight_through
from sslwork.purify.lq_vae import LQVAE
from sslwork.purify.raw import Raw
from sslwork.purify.table import table

__all__ = [
    "KNOWLEDGE",
    "LQVAE",
    "BitDepth",
    "Blur",
    "Camera",
    "DownUp",
    "Filter",
    "Guarded",
    "Jpeg",
    "Median",
    "Raw",
    "demosaic",
    "lq_vae",
    "mosaic",
    "raw",
    "sites",
    "straight_through",
    "table",
]
