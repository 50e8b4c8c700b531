"""Samples whose recorded label contradicts their expression, with the evidence and what share of it may be wrong.

Every sample is predicted by models that never saw its study. Expression alone contradicts many labels where a model
fails in a study, so it is held together with what the rest of the study is recorded as: a sample is flagged where
expression and its study's other samples agree on another label. Studies that the model contradicts as a whole are
listed apart: there either the model or the laboratory's label is wrong. See Northcutt, Jiang, Chuang 2021,
doi:10.1613/jair.1.12125, for label errors by out-of-fold probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from srna_lib.annotate.bundles import csv_text, probabilities, write_folder
from srna_lib.data import make_task
from srna_lib.evaluate import cross_validate
from srna_lib.explore import duplicate_profiles

PRIOR = 0.5  # samples that all labels together weigh, beside the study's other samples
MARGIN = -0.5  # of the recorded label's probability below that of the likeliest one


class Audit(NamedTuple):
    """Answer of `audit`.

    Attributes
    ----------
    samples : DataFrame, one row per flagged sample, most suspicious first
        ``sample_id, dataset_id, recorded, predicted``; ``p_recorded, p_predicted`` by expression, and
        ``recorded_in_study, predicted_in_study`` with the study's other samples; ``margin`` (first minus second of
        these); ``swapped_with`` (a flagged sample of the study with the two labels the other way round).
    studies : DataFrame, one row per study, most contradicted first
        ``dataset_id, n_samples, flagged`` (samples) and ``contradicted`` (share of its samples whose expression alone
        speaks for another label; a study near 1 is one that the model fails in, or whose label is wrong).
    duplicates : DataFrame
        Samples of exactly the same counts: ``sample_id, dataset_id, group, recorded, labels`` (different ones in the
        group).
    summary : dict
        ``samples, studies, flagged``; ``expected_wrong_flags`` (share of the flags that are no errors, by the
        probabilities with the study); ``studies_flagged`` (share of studies with a flag), ``studies_flagged_at_least``
        (its lower 95 % bound).
    """

    samples: pd.DataFrame
    studies: pd.DataFrame
    duplicates: pd.DataFrame
    summary: dict[str, float]


def audit(
    atlas: ad.AnnData, label: str = "tissue_group", *, recipe: str = "logistic", n_splits: int = 10,
    min_class_size: int = 15, seed: int = 0, **run: Any,
) -> Audit:  # fmt: skip
    """Find samples whose recorded label contradicts their expression, and libraries that are in an atlas twice.

    Parameters
    ----------
    atlas : AnnData, shape (n_samples, n_srnas)
        Raw counts of several studies.
    label : str, default "tissue_group"
        Column of ``obs`` that is held against the expression.
    recipe : str, default "logistic"
        As in `cross_validate`; a linear model is quick and keeps single wrong labels from being learned.
    n_splits : int, default 10
        Folds by study.
    min_class_size : int, default 15
        As in `make_task`.
    seed : int, default 0
        Seed of folds and models.
    **run
        ``n_jobs``, ``cache``, ``progress``, as in `cross_validate`.

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        No such column, or fewer studies than folds.
    """
    task = make_task(atlas, label, min_class_size=min_class_size)
    table = cross_validate(task, recipe, "study", n_splits=min(n_splits, task.groups.nunique()), seed=seed, **run)
    samples, studies, summary = _flag(table, task.classes)
    twice = duplicate_profiles(atlas)
    twice["recorded"] = twice["sample_id"].map(atlas.obs[label].astype(object))
    twice["labels"] = twice.groupby("group")["recorded"].transform("nunique") if len(twice) else 0
    return Audit(samples, studies, twice, summary)


def _flag(table: pd.DataFrame, classes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Flagged samples and studies of an out-of-fold table, and the summary."""
    p, given = probabilities(table, classes)
    at, names = np.arange(len(table)), np.asarray(classes, dtype=object)
    others = pd.crosstab(table["dataset_id"], given).reindex(columns=range(len(classes)), fill_value=0)
    beside = others.loc[table["dataset_id"]].to_numpy(dtype=float)
    beside[at, given] -= 1  # the study's other samples
    both = p * (beside + PRIOR / len(classes))
    both /= both.sum(axis=1, keepdims=True)
    best = both.argmax(axis=1)
    rows = table[["sample_id", "dataset_id"]].assign(
        recorded=names[given],
        predicted=names[best],
        p_recorded=p[at, given],
        p_predicted=p[at, best],
        recorded_in_study=both[at, given],
        predicted_in_study=both[at, best],
    )
    rows["margin"] = rows["recorded_in_study"] - rows["predicted_in_study"]
    found = rows[rows["margin"] <= MARGIN]
    found = found.assign(swapped_with=_swaps(found))
    found = found.sort_values(["margin", "sample_id"], kind="stable", ignore_index=True)
    told = pd.DataFrame({"dataset_id": table["dataset_id"], "contradicted": p.argmax(axis=1) != given})
    studies = told.groupby("dataset_id")["contradicted"].agg(n_samples="size", contradicted="mean")
    studies.insert(1, "flagged", found["dataset_id"].value_counts().reindex(studies.index, fill_value=0))
    studies = studies.sort_values(["contradicted", "n_samples"], ascending=False, kind="stable").reset_index()
    n, hit = len(studies), int((studies["flagged"] > 0).sum())
    summary: dict[str, float] = {"samples": len(rows), "studies": n, "flagged": len(found)}
    summary["expected_wrong_flags"] = float(found["recorded_in_study"].mean()) if len(found) else 0.0
    low = binomtest(hit, n, alternative="greater").proportion_ci(0.95).low
    return found, studies, summary | {"studies_flagged": hit / n, "studies_flagged_at_least": float(low)}


def _swaps(found: pd.DataFrame) -> list[str]:
    """For each flagged sample one of its study whose recorded and predicted labels are the other way round."""
    keys = ["dataset_id", "recorded", "predicted"]
    first = found.sort_values("margin").drop_duplicates(keys).set_index(keys)["sample_id"]
    return [str(first.get((s, p, r), "")) for s, r, p in found[keys].itertuples(index=False)]


def write_audit(answer: Audit, folder: Path | str, pages: Mapping[str, str] | None = None) -> Path:
    """Write ``samples.csv``, ``studies.csv``, ``duplicates.csv`` and `pages` into a new folder, whole or not at all."""
    tables = {f"{name}.csv": csv_text(getattr(answer, name)) for name in ("samples", "studies", "duplicates")}
    return write_folder(folder, {**tables, **(pages or {})})
