"""Methods: an encoder, a head, and a loss of views. `train.fit` trains any of them.

A method is an `nn.Module` with `encoder` (kept afterwards), `forward(images)` -> embeddings (N, D),
`loss(views)` -> scalar, where `views` is a list of picture batches, and `after_step()`, called after each
optimiser step (for moving averages and queues).
"""

from sslwork.methods.pull_only import PullOnly
from sslwork.methods.simclr import SimCLR

__all__ = ["PullOnly", "SimCLR"]
