"""Write srna_lib/resources/red_cells.tsv: what tells of red cells in the plasma and serum libraries of open_atlas.

Command (deterministic; needs the data set): ``python scripts/make_red_cells.py``
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import srna_lib as srna
from srna_lib.annotate import RED_CELLS, understood

TARGET = Path(__file__).resolve().parent.parent / "srna_lib" / "resources" / "red_cells.tsv"
HEAD = """# log2 ratio of {} to {} (reads per million, plus one)
# in the plasma and serum libraries of open_atlas, by study.
# Written by scripts/make_red_cells.py.
"""


def main() -> None:
    atlas = srna.load("open_atlas")
    fluids = atlas[(atlas.obs["sample_type"] == "biofluid").to_numpy()]
    ratio = understood(fluids)["red_cells"].round(2)
    table = pd.DataFrame({"dataset_id": fluids.obs["dataset_id"].astype(str), "red_cells": ratio})
    rows = table.sort_values(["dataset_id", "red_cells"], kind="stable").to_csv(sep="\t", index=False)
    TARGET.write_text(HEAD.format(*RED_CELLS) + rows, encoding="utf-8")


if __name__ == "__main__":
    main()
