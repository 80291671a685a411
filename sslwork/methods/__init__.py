"""Methods: an encoder, a head, and a loss of views. `train.fit` trains any of them."""

from sslwork.methods.method import Method
from sslwork.methods.pull_only import PullOnly
from sslwork.methods.simclr import SimCLR

__all__ = ["Method", "PullOnly", "SimCLR"]
