"""The probe table: representations side by side, each number with its spread and its protocol."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sslwork.measures.score import Score

if TYPE_CHECKING:
    import pandas as pd


def probe_table(scores: Mapping[str, Mapping[str, Sequence[Score]]]) -> "pd.DataFrame":
    """Rows: representations; for each probe the mean accuracy over seeds, in %, ± its standard deviation.

    Args:
        scores: representation -> probe -> one `Score` per seed (a single one where there is nothing random).
            Protocols and chance must agree within a probe; they stand in the last two rows.
    """
    import pandas as pd

    def cell(runs: Sequence[Score]) -> str:
        values = [100 * run.value for run in runs]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.1f}{spread}"

    table = pd.DataFrame(
        {name: {probe: cell(runs) for probe, runs in probes.items()} for name, probes in scores.items()}
    ).T
    for probe in table.columns:
        runs = [run for probes in scores.values() for run in probes.get(probe, ())]
        chances, protocols = {run.chance for run in runs}, {run.protocol for run in runs}
        if len(chances) > 1 or len(protocols) > 1:
            raise ValueError(
                f"the scores of {probe!r} were not measured alike: {sorted(protocols)}, chance {sorted(chances)}"
            )
        table.loc["chance", probe] = f"{100 * chances.pop():.1f}"
        table.loc["protocol", probe] = protocols.pop()
    return table.fillna("")
