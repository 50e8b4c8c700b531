"""How right are answers after back-off, and what does it cost to be more right? -> a block of ``docs/refusal.md``.

``python scripts/compare_backoff.py [--bundle tissue_group] [--held-out FILE]``. The predictions of studies left out by
which a shipped bundle was measured are made again, or read from the file; where it is not there yet they are kept in
it. Each fold is answered by the thresholds of the others, at several errors aimed at.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from compare_refusal import write_block

import srna_lib as srna
from srna_lib.annotate import load_bundle
from srna_lib.annotate.bundles import held_out_samples, measure, places_of_parents, reference_samples
from srna_lib.evaluate import Profile, build_recipe

ERRORS = (0.03, 0.035, 0.04, 0.045, 0.05, 0.06)
TASK = "predicted_share", "accuracy_of_predicted", "backed_off_share", "accuracy_with_parents", "accuracy_of_parents"
ALIKE = "predicted", "accuracy_of_predicted", "answered", "accuracy_of_answered"
HEAD = """Written by `python scripts/compare_backoff.py --bundle {name}`: {n_samples} samples of {n_studies} studies,
each answered without its study. *Answers* are predictions and those backed off to a parent; *at the parent* takes all
of them there. *Error* is what thresholds aim at.

| error | predicted | right | backed off | answers right | at the parent | predicted | right | answered | right |
|---|---|---|---|---|---|---|---|---|---|
| | samples alike | | | | | studies alike | | | |"""


def main(arguments: list[str]) -> None:
    """Measure and write the block."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--bundle", default="tissue_group")
    parser.add_argument("--held-out", type=Path, help="Parquet file of predictions to read, or to keep them in.")
    options = parser.parse_args(arguments)
    about = load_bundle(options.bundle).about
    if options.held_out and options.held_out.exists():
        held_out = pd.read_parquet(options.held_out)
    else:
        atlas, settings = srna.load(about["trained_on"]["name"]), about["settings"]
        task = srna.make_task(atlas, about["label"])
        model = build_recipe(task, settings["recipe"], seed=settings["seed"], profile=Profile())
        held_out = held_out_samples(task, reference_samples(atlas, task), model, settings["n_splits"], settings["seed"])
        if options.held_out:
            held_out.to_parquet(options.held_out)
    classes = [c["name"] for c in about["classes"]]
    parent = places_of_parents(classes, {c["name"]: c["parent"] or c["name"] for c in about["classes"]})
    whole = held_out[held_out["spoilt"] == ""].reset_index(drop=True)
    lines = []
    for error in ERRORS:
        kept = measure(whole, classes, parent, error, about["settings"]["level"])
        values = [kept[k] for k in TASK] + [kept["spoilt"]["as they are"][k] for k in ALIKE]
        mark = "**" if error == about["settings"]["error"] else ""
        lines.append(f"| {mark}{error:.1%}{mark} | " + " | ".join(f"{v:.3f}" for v in values) + " |")
        print(lines[-1], flush=True)
    size = {"n_samples": len(whole), "n_studies": whole["dataset_id"].nunique()}
    write_block(f"backed off {options.bundle}", "\n".join([HEAD.format(name=options.bundle, **size), *lines]))


if __name__ == "__main__":
    main(sys.argv[1:])
