"""Random out-of-fold tables for the tests of figures of merit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srna_lib.evaluate import score
from srna_lib.report.results import to_records


def named(predictions: pd.DataFrame, **options) -> dict[str, dict]:
    """Scores of one model as records, by their name on disk."""
    return {r["metric"]: r for r in to_records(score(predictions, **{"dataset": "toy", "n_boot": 100, **options}))}


def binary(
    seed: int = 0, *, n: int = 300, n_studies: int = 6, skill: float = 1.0, study_effect: float = 0.0, model: str = "m"
) -> pd.DataFrame:
    """Two classes, patients of one or two samples within studies, folds that keep patients whole."""
    rng = np.random.default_rng(seed)
    donor = rng.integers(0, int(n / 1.5), n)
    study = donor % n_studies
    share = 0.5 + study_effect * (study / (n_studies - 1) - 0.5)
    true = np.random.default_rng(seed + 1000).random(n) < share
    logit = skill * (2 * true - 1) + 4 * study_effect * (share - 0.5) + rng.normal(size=n)
    p = np.round(1 / (1 + np.exp(-logit)), 2)  # rounded, so that there are ties
    return table(true, p, donor, study, model)


def table(true: np.ndarray, p: np.ndarray, donor: np.ndarray, study: np.ndarray, model: str = "m") -> pd.DataFrame:
    """Table of two classes from whether a sample is male and the probability of it."""
    return pd.DataFrame(
        {
            "sample_id": [f"s{i:05d}" for i in range(len(true))],
            "dataset_id": [f"S{i:02d}" for i in study],
            "donor_id": [f"d{i:05d}" for i in donor],
            "task": "sex",
            "model": model,
            "features": "miRNA",
            "scheme": "patient_5fold",
            "fold": [str(i % 5) for i in donor],
            "y_true": np.where(true, "male", "female"),
            "y_pred": np.where(p > 0.5, "male", "female"),
            "p_female": 1 - p,
            "p_male": p,
        }
    )


def several(
    seed: int = 0, *, n: int = 300, classes: str = "abcd", skill: float = 1.5, model: str = "m"
) -> pd.DataFrame:
    """More than two classes in five studies, one fold per study."""
    rng = np.random.default_rng(seed)
    true, study = rng.integers(0, len(classes), n), rng.integers(0, 5, n)
    logits = skill * np.eye(len(classes))[true] + rng.normal(size=(n, len(classes)))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    out = pd.DataFrame({"sample_id": [f"s{i:05d}" for i in range(n)], "dataset_id": [f"S{i}" for i in study]})
    out = out.assign(task="tissue", model=model, features="miRNA", scheme="one_dataset_out", fold=out["dataset_id"])
    out["y_true"], out["y_pred"] = np.array(list(classes))[true], np.array(list(classes))[p.argmax(axis=1)]
    out[[f"p_{c}" for c in classes]] = p
    return out


def ages(seed: int = 0, *, n: int = 300, error: float = 5.0, n_studies: int = 6, model: str = "m") -> pd.DataFrame:
    """A continuous target with intervals that are right by construction."""
    rng = np.random.default_rng(seed)
    donor = rng.integers(0, n, n)
    study = donor % n_studies
    true = np.round(rng.normal(60, 10, n) + study)
    called = true + rng.normal(0, error, n)
    out = table(true > 60, np.full(n, 0.5), donor, study, model).drop(columns=["p_female", "p_male"])
    out = out.assign(task="age_years", y_true=true, y_pred=called)
    for level, z in (("0.5", 0.6745), ("0.9", 1.6449)):
        out[f"low_{level}"], out[f"high_{level}"] = called - z * error, called + z * error
    return out
