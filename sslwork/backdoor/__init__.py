"""Backdoors for study: triggers (pictures to pictures), poisoned sets, one row that reports with its controls.

Trained models answer a trigger with a class that its maker chose. Everything here is for toy models and for learning to
find such answers; `sslwork.detectors` holds what finds them.
"""

from sslwork.backdoor.ctrl import ctrl_pattern, ctrl_trigger
from sslwork.backdoor.entanglement import entanglement
from sslwork.backdoor.lattice import lattice_pattern, lattice_trigger
from sslwork.backdoor.patterns import add, blend_trigger, noise_trigger, patch_trigger
from sslwork.backdoor.poison import Poison, Poisoned
from sslwork.backdoor.report import Report, Share, report

__all__ = [
    "Poison", "Poisoned", "Report", "Share", "add", "blend_trigger", "ctrl_pattern", "ctrl_trigger",
    "entanglement", "lattice_pattern",
    "lattice_trigger", "noise_trigger", "patch_trigger", "report",
]  # fmt: skip
