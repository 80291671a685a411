"""Toys: small worlds in which one thing can be seen at once. Most have an exact answer; two train a network in seconds.

`sphere`: points under the contrastive loss. `caps`: classes of unequal size and their temperatures. `head_theory`: a
linear encoder and its head. `suppression`: an easy feature and a hard one. `gaussians`: classes in a row, to count
samples in. `gaussian_process`: all functions through given points. `meta_gradient`: why random views in an
inner loss mislead the outer one. `perceptron`: data pruning with a linear teacher. With networks: `commands`, a language of sixty words, and
`refusal`, a picture beside an instruction.
"""

from sslwork.toys.sphere import clusters_on_sphere, contrastive_flow

__all__ = ["clusters_on_sphere", "contrastive_flow"]
