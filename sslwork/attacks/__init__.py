"""Attacks on classifiers, and how to tell a robust one from one that hides its gradients.

Pictures stay in [0, 1]; normalisation is a layer of the model, so that eps is measured in pixel values.
"""

from sslwork.attacks import anyattack
from sslwork.attacks.advencoder import advencoder, fooling_rate
from sslwork.attacks.apgd import apgd, apgd_targeted
from sslwork.attacks.evaluate import LADDER, evaluate, survivors
from sslwork.attacks.intervals import wilson
from sslwork.attacks.masking import masking_report
from sslwork.attacks.noise import equal_noise
from sslwork.attacks.norms import project
from sslwork.attacks.objectives import cross_entropy, dlr, dlr_targeted, kl, margin
from sslwork.attacks.pgd import fgsm, pgd
from sslwork.attacks.predict import accuracy, right
from sslwork.attacks.square import square
from sslwork.attacks.surface import loss_surface

__all__ = [
    "LADDER",
    "accuracy",
    "advencoder",
    "anyattack",
    "apgd",
    "apgd_targeted",
    "cross_entropy",
    "dlr",
    "dlr_targeted",
    "equal_noise",
    "evaluate",
    "fgsm",
    "fooling_rate",
    "kl",
    "loss_surface",
    "margin",
    "masking_report",
    "pgd",
    "project",
    "right",
    "square",
    "survivors",
    "wilson",
]
