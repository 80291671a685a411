"""Losses: plain functions of (N, D) embeddings, one file each, named as the field names it.

One is a Module, `ISogCLR`, for it keeps a temperature for each picture. `mochi_negatives`, `sinkhorn`,
`sort_relaxed` and `temperature_for` serve a loss and are none. What losses share stands in `similarity` (rows) and `columns`.
"""

from sslwork.losses.align_uniform import align_uniform
from sslwork.losses.barlow_twins import barlow_twins
from sslwork.losses.byol import byol
from sslwork.losses.cacr import cacr
from sslwork.losses.decoupled import dcl, dclw
from sslwork.losses.distillation import distillation
from sslwork.losses.groco import groco
from sslwork.losses.hard_contrastive import hard_contrastive, simple_contrastive
from sslwork.losses.info_nce import info_nce
from sslwork.losses.isogclr import ISogCLR
from sslwork.losses.mixed_barlow_twins import mixed_barlow_twins
from sslwork.losses.mochi import mochi, mochi_negatives
from sslwork.losses.nt_xent import nt_xent
from sslwork.losses.odd_even import sort_relaxed
from sslwork.losses.robust import temperature_for
from sslwork.losses.selfcon import selfcon
from sslwork.losses.simsiam import simsiam
from sslwork.losses.supcon import supcon
from sslwork.losses.swav import sinkhorn, swav
from sslwork.losses.trades import trades
from sslwork.losses.vicreg import vicreg

__all__ = [
    "ISogCLR",
    "align_uniform",
    "barlow_twins",
    "byol",
    "cacr",
    "dcl",
    "dclw",
    "distillation",
    "groco",
    "hard_contrastive",
    "info_nce",
    "mixed_barlow_twins",
    "mochi",
    "mochi_negatives",
    "nt_xent",
    "selfcon",
    "simple_contrastive",
    "simsiam",
    "sinkhorn",
    "sort_relaxed",
    "supcon",
    "swav",
    "temperature_for",
    "trades",
    "vicreg",
]
