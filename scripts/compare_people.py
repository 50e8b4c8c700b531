"""Could a bundle tell the sex or the age of people? -> a block of ``docs/refusal.md``.

``python scripts/compare_people.py [--recipes logistic robust]``. The cohorts of `tcga` that have both classes are left
out one at a time. A bundle answers above a confidence from which on at most a stated share of the answers is wrong in
cohorts left out, one more cohort counted wrong (`surest`); here it is looked for on the very predictions that are
judged, so that a bundle does at best as well. Cohorts weigh alike.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pandas as pd
from compare_refusal import write_block

import srna_lib as srna
from srna_lib.annotate.bundles import bundled, study_shares, surest
from srna_lib.data import eligible, with_label

DATASET, LABELS, SUREST, ERRORS = "tcga", ("sex", "age_2"), (0.05, 0.1, 0.2), (0.2, 0.3, 0.4)
HEAD = """Written by `python scripts/compare_people.py`: `{dataset}` (stem-loops), each cohort in turn left out of
training. *Right*, *surest*: share right of all samples, and of those of the largest probability. *Error*: share that
a bundle would answer if so many of its answers may be wrong, and share right of these. Cohorts weigh alike. Recipes
add 1 CPM, as bundles do.
"""


def row(table: pd.DataFrame, label: str, recipe: str) -> list[str]:
    """One line of the block: what a recipe knows of cohorts left out."""
    confidence = table.filter(regex="^p_").max(axis=1).to_numpy()
    right, weights = (table["y_true"] == table["y_pred"]).to_numpy(), study_shares(table["dataset_id"])
    within = srna.score(table, metrics=["auc_within"])["value"].iloc[0]
    cells = [label, str(len(table)), str(table["dataset_id"].nunique()), f"`{recipe}`", f"{within:.3f}"]
    order = np.argsort(-confidence, kind="stable")
    for share in (1.0, *SUREST):
        first = order[: round(share * len(order))]
        cells.append(f"{np.average(right[first], weights=weights[first]):.2f}")
    for error in ERRORS:
        said = confidence >= surest(confidence, right, weights, error)
        kept = np.average(said, weights=weights)
        cells.append(f"{kept:.2f} ({np.average(right[said], weights=weights[said]):.2f})" if said.any() else "none")
    return cells


def main(arguments: list[str]) -> None:
    """Measure and write the block."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--recipes", nargs="+", default=["logistic", "robust"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    sure, errors = ([f"{title} {s:.0%}" for s in shares] for title, shares in (("surest", SUREST), ("error", ERRORS)))
    columns = ["label", "samples", "cohorts", "recipe", "AUROC within cohorts", "right, all", *sure, *errors]
    lines = [HEAD.format(dataset=DATASET), f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for label in LABELS:
        atlas = eligible(with_label(srna.load(DATASET), label), label)
        task = srna.make_task(atlas, label)
        n_cohorts = task.groups.nunique()
        models = {name: bundled(srna.recipe(name, seed=options.seed)) for name in options.recipes}
        table = srna.cross_validate(task, models, split="study", atlas=atlas, n_splits=n_cohorts, seed=options.seed)
        for recipe in options.recipes:
            cells = row(table[table["model"] == recipe], label, recipe)
            print(*cells, sep="\t", flush=True)
            lines.append(f"| {' | '.join(cells)} |")
    write_block("people", "\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
