"""The table of systems: what the workbook covers, and what of it works. The tests hold it against the code."""

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def table() -> "pd.DataFrame":
    """One row per system (and per base method, ids B1, B2, ...), indexed by id.

    `core` is the dotted name of its algorithm in this package and `notebook` where it is told; both are empty while a
    system is planned. `state` follows from them.
    """
    import pandas as pd

    with files("sslwork").joinpath("systems.tsv").open(encoding="utf-8") as file:
        systems = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False, index_col="id")
    systems["state"] = [
        "works" if core and notebook else "planned" for core, notebook in systems[["core", "notebook"]].values
    ]
    return systems
