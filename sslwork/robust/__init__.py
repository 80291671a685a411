"""Training classifiers that withstand an adversary: one loop, `fit`, and what is put into it.

`ascent` finds the examples, `trades` is another loss, `DONE` and `SRAT` weigh the samples.
"""

from sslwork.robust.done import DONE
from sslwork.robust.fit import fit
from sslwork.robust.inner import ascent, trades
from sslwork.robust.srat import SRAT

__all__ = ["DONE", "SRAT", "ascent", "fit", "trades"]
