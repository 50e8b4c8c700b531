"""What are the samples of a study worth to each other? -> a block of ``docs/unseen_studies.md``.

``python scripts/compare_batches.py BOARD [BOARD ...]`` reads the predictions of `srna benchmark` (recipe `robust`) with
one dataset out, or where there are none with folds by study, and averages them with `evaluate.batch_average` under
several settings. A study is *mixed* where it holds several classes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from compare_refusal import write_block

import srna_lib as srna
from srna_lib.data import eligible, with_label
from srna_lib.evaluate import NEIGHBOURS, batch_average
from srna_lib.evaluate.batch import WIDTH

PAGE = Path(__file__).resolve().parent.parent / "docs" / "unseen_studies.md"
SETTINGS = [(1, np.inf), (3, np.inf), (5, np.inf), (8, np.inf), (5, 0.03), (NEIGHBOURS, WIDTH), (5, 0.2), (10, WIDTH)]
RECIPE, SCHEMES = "robust", ("one_dataset_out", "grouped_kfold")
HEAD = """Written by `python scripts/compare_batches.py`: `{recipe}`, accuracy, balanced accuracy and mean over
studies, and the mean over those that hold one class and over those that hold several (*mixed*). *k*: samples that are
averaged; *width*: of the kernel.
"""


def rows(table: pd.DataFrame, task: srna.data.Task) -> list[str]:
    """A line for each setting."""
    lines = []
    mixed = table.groupby("dataset_id")["y_true"].transform("nunique") > 1
    for k, width in SETTINGS:
        found = batch_average(table, task, k, width)
        right = found["y_true"] == found["y_pred"]
        studies = right.groupby([mixed, found["dataset_id"]]).mean()
        values = [right.mean(), right.groupby(found["y_true"]).mean().mean(), studies.mean()]
        values += [studies[side].mean() if side in studies else np.nan for side in (False, True)]
        told = "itself alone" if k == 1 else f"{k}, all alike" if np.isinf(width) else f"{k}, {width:g}"
        mark = "**" * ((k, width) == (NEIGHBOURS, WIDTH))
        lines.append(f"| {mark}{told}{mark} | " + " | ".join(f"{v:.3f}" for v in values) + " |")
    return lines


def main(boards: list[str]) -> None:
    """Measure and write the block."""
    lines = [HEAD.format(recipe=RECIPE)]
    for board in boards:
        table = pd.read_parquet(Path(board) / "predictions.parquet")
        table = table[table["model"] == RECIPE]
        for (dataset, label), part in table.groupby(["dataset", "task"], sort=False):
            scheme = next(s for s in SCHEMES if s in set(part["scheme"]))
            part = part[part["scheme"] == scheme].reset_index(drop=True)
            task = srna.make_task(eligible(with_label(srna.load(dataset), label), label), label)
            kinds = part.groupby("dataset_id")["y_true"].nunique()
            size = f"{len(part)} samples of {len(kinds)} studies, {(kinds > 1).sum()} of them mixed"
            lines += [
                f"`{dataset}`, `{label}`, {'one dataset out' if scheme == SCHEMES[0] else 'folds by study'}: {size}.",
                "",
            ]
            lines += ["| k, width | accuracy | balanced | studies | of one class | mixed |", "|---" * 6 + "|"]
            lines += [*rows(part, task), ""]
            print(*lines[-len(SETTINGS) - 4 :], sep="\n", flush=True)
    write_block("batches", "\n".join(lines), PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
