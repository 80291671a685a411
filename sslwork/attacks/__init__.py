"""Attacks on classifiers, and how to tell a robust one from one that hides its gradients.

Pictures stay in [0, 1]; normalisation is a layer of the model, so that eps is measured in pixel values.
"""

from sslwork.attacks.intervals import wilson
from sslwork.attacks.norms import project
from sslwork.attacks.objectives import cross_entropy, dlr, dlr_targeted, kl, margin
from sslwork.attacks.pgd import fgsm, pgd
from sslwork.attacks.predict import accuracy, right

__all__ = [
    "accuracy",
    "cross_entropy",
    "dlr",
    "dlr_targeted",
    "fgsm",
    "kl",
    "margin",
    "pgd",
    "project",
    "right",
    "wilson",
]
