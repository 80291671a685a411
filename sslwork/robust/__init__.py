"""Training classifiers that withstand an adversary: one loop, `fit`, and what is put into it.

`ascent` finds the examples, `trades` is another loss.
"""

from sslwork.robust.fit import fit
from sslwork.robust.inner import ascent, trades

__all__ = ["ascent", "fit", "trades"]
