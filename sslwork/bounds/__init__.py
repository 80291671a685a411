"""What a network can answer over a whole box of inputs: interval bounds, certified radii, and exact ones of tiny nets."""

from sslwork.bounds.exact import Change, exact_radius, least_margin, nearest_change
from sslwork.bounds.found import found_radius
from sslwork.bounds.interval import Box, certified, certified_radius, corners, ibp, ibp_loss, layers, margins

__all__ = [
    "Box",
    "Change",
    "certified",
    "certified_radius",
    "corners",
    "exact_radius",
    "found_radius",
    "ibp",
    "ibp_loss",
    "layers",
    "least_margin",
    "margins",
    "nearest_change",
]
