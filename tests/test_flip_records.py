"""Figures of stability as records."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from srna_lib.report.results import RECORD_FIELDS
from srna_lib.stability import tables

HEAD = {"task": "t", "dataset": "d", "model": "m", "features": "sRNA", "seed": 0}
SIZE = {"n_samples": 5, "n_datasets": 2}


def test_records_have_the_fields_of_results_and_no_nan():
    pairs = pd.DataFrame([{"own": "A", "other": "B", **SIZE, "mean": np.nan, "median": 3.0, "censored": 0.2}])
    pairs = pairs.assign(**{f"{c}_{e}": np.nan for c in ("mean", "median", "censored") for e in ("low", "high")})
    orders = pd.DataFrame([{"order": "random", "mean": 9.0, "mean_low": 8.0, "mean_high": 10.0}])
    orders = orders.assign(ratio=1.0, ratio_low=1.0, ratio_high=1.0)
    flips = pd.DataFrame({"sample_id": ["a", "a", "b"], "dataset_id": ["x", "x", "y"]})
    scores = pd.DataFrame([{"score": "steps", "auroc": 0.8, "ci_low": 0.7, "ci_high": 0.9, **SIZE}])
    both = {"base": 0.7, "both": 0.8, "difference": 0.1, "ci_low": 0.05, "ci_high": np.nan}
    changes = pd.DataFrame([{"source": "seed", "changed": 0.1, "ci_low": 0.0, "ci_high": 0.2, **SIZE}])
    records = tables.of_classes({"similarity": pairs}, HEAD, "s")
    records += tables.of_orders(orders, flips, HEAD, "s") + tables.of_scores(scores, HEAD, "s")
    records += tables.of_combination(both, flips, HEAD, "s") + tables.of_changes(changes, HEAD, "s")
    assert all(set(r) == set(RECORD_FIELDS) for r in records)
    json.dumps(records, allow_nan=False)
    by = {r["metric"]: r for r in records}
    assert by["similarity:A>B"]["value"] is None and by["similarity_median:A>B"]["value"] == 3
    assert by["steps:random"]["n_samples"] == 2 and by["steps_of_random:random"]["value"] == 1
    assert by["auroc_wrong:steps"]["ci_high"] == 0.9 and by["changed:seed"]["value"] == 0.1
    assert by["auroc_gain:steps"]["ci_low"] == 0.05 and by["auroc_gain:steps"]["ci_high"] is None
