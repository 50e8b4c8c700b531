"""Labels of samples: what is predicted, which samples take part, and whom they come from."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.atlas import counts_frame, samples_of
from srna_lib.errors import InputError

CONTEXT = "context:"  # columns of a task's X that start so say where a sample comes from; they are no sRNAs
NORMALISED = "normalised:"  # columns that start so hold log-scale values, not counts


@dataclass(frozen=True)
class Task:
    """Samples, labels and studies of one prediction task, aligned by position.

    Attributes
    ----------
    name : str
        Name of the label, e.g. ``"tissue_group"``.
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts.
    y : Series, shape (n_samples,)
        Label of each sample; a number where a quantity is predicted.
    groups : Series, shape (n_samples,)
        Study of each sample; never straddles a split by study.
    dropped : dict
        Why samples were left out -> how many.
    features : str
        Feature set: ``"sRNA"``, ``"contaminant"`` or ``"both"``; the data sets' own where they were joined.
    donors : Series, shape (n_samples,), optional
        Patient or donor of each sample; never straddles a split by study or by patient. Without it each sample is a
        donor of its own.
    """

    name: str
    X: pd.DataFrame
    y: pd.Series
    groups: pd.Series
    dropped: dict[str, int]
    features: str = "sRNA"
    donors: pd.Series | None = None

    @property
    def classes(self) -> list[str]:
        """Class names in sorted order."""
        return sorted(self.y.unique())


def make_task(
    adata: ad.AnnData,
    label: str = "tissue_group",
    *,
    min_class_size: int = 15,
    exclude: tuple[str, ...] = ("Other",),
    features: str = "sRNA",
) -> Task:
    """Choose the samples of a prediction task.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str, default "tissue_group"
        Column of ``obs`` to predict.
    min_class_size : int, default 15
        Classes with fewer samples are left out. The paper used 9 and 15; lower it to see more classes,
        at the price of classes that no study but one contains.
    exclude : tuple of str, default ("Other",)
        Labels that name no class: a rest category is not something to predict.
    features : str, default "sRNA"
        ``"sRNA"`` leaves out contaminants (reads of other organisms), ``"contaminant"`` takes only them,
        ``"both"`` takes all.

    Returns
    -------
    Task
        With the number of samples left out for each reason.

    Raises
    ------
    InputError
        Unknown column or feature set, no such features, fewer than two classes left, or a class of
        one sample among them.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    chosen = _choose_features(adata, features)
    _check_label(adata, label)
    values = adata.obs[label].astype(object)
    known = values.notna()
    excluded = values.isin(list(exclude))
    sizes = values[known & ~excluded].value_counts()
    small = sizes[sizes < min_class_size].index
    is_small = values.isin(list(small))
    keep = (known & ~excluded & ~is_small).to_numpy()
    if values[keep].nunique() < 2:
        raise InputError(
            f"{name}: obs[{label!r}] has {values[keep].nunique()} classes of at least {min_class_size} samples"
            f" (class sizes: {', '.join(f'{k} {v}' for k, v in sizes.items()) or 'none'}); expected at least two."
        )
    single = sizes[(sizes == 1) & (sizes >= min_class_size)].index
    if len(single):
        raise InputError(
            f"{name}: obs[{label!r}] has one sample in {len(single)} classes (first: {single[0]!r}); expected at least"
            " two, because a single one cannot be both in training and in test (raise min_class_size)."
        )
    return Task(
        name=label,
        X=counts_frame(adata[keep, chosen]),
        y=values[keep].astype(str),
        groups=adata.obs["dataset_id"][keep].astype(str),
        donors=donors(adata)[keep],
        dropped={
            "label unknown": int((~known).sum()),
            "excluded label": int(excluded.sum()),
            f"class below {min_class_size} samples": int(is_small.sum()),
        },
        features=features,
    )


def make_quantity_task(adata: ad.AnnData, column: str = "age_years", *, features: str = "sRNA") -> Task:
    """Choose the samples of a task whose target is a number.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    column : str, default "age_years"
        Numeric column of ``obs`` to predict.
    features : str, default "sRNA"
        As in `make_task`.

    Returns
    -------
    Task
        ``y`` holds floats.

    Raises
    ------
    InputError
        Unknown column or feature set, text in the column, or fewer than ten known values.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    chosen = _choose_features(adata, features)
    _check_label(adata, column)
    values = pd.to_numeric(adata.obs[column], errors="coerce")
    text = adata.obs[column].notna() & values.isna()
    if text.any():
        raise InputError(f"{name}: obs[{column!r}] holds {adata.obs[column][text].iloc[0]!r}; expected numbers.")
    keep = values.notna().to_numpy()
    if keep.sum() < 10:
        raise InputError(f"{name}: obs[{column!r}] is known for {keep.sum()} samples; expected at least 10.")
    return Task(
        name=column,
        X=counts_frame(adata[keep, chosen]),
        y=values[keep].astype(float),
        groups=adata.obs["dataset_id"][keep].astype(str),
        dropped={"label unknown": int((~keep).sum())},
        features=features,
        donors=donors(adata)[keep],
    )


def donors(adata: ad.AnnData) -> pd.Series:
    """Donor of each sample; a sample whose donor is unknown is a donor of its own.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.

    Returns
    -------
    Series of str, shape (n_samples,)
    """
    own = pd.Series(adata.obs_names.astype(str), index=adata.obs_names, name="donor_id")
    if "donor_id" not in adata.obs:
        return own
    return adata.obs["donor_id"].astype(object).where(adata.obs["donor_id"].notna(), own).astype(str)


def subsample(adata: ad.AnnData, label: str, *, per_study: int, seed: int = 0) -> ad.AnnData:
    """Keep a few samples of every class in every study.

    The result has the studies and classes of the whole and few samples: right for a quick look or a test, wrong
    for a figure that somebody quotes.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs`` with the class.
    per_study : int
        Most samples of one class in one study.
    seed : int, default 0
        Seed of the choice.

    Returns
    -------
    AnnData, shape (n_kept, n_srnas)
        Samples in their old order.
    """
    _check_label(adata, label)
    order = np.random.default_rng(seed).permutation(adata.n_obs)
    keys = adata.obs[["dataset_id", label]].astype(str).iloc[order]
    kept = order[(keys.groupby(["dataset_id", label]).cumcount() < per_study).to_numpy()]
    return samples_of(adata, np.sort(kept))


def _check_label(adata: ad.AnnData, label: str) -> None:
    name = adata.uns.get("srna", {}).get("name", "atlas")
    if label not in adata.obs:
        raise InputError(
            f"{name}: the field obs[{label!r}] is missing (found: {', '.join(map(str, adata.obs.columns))});"
            " expected a column of labels."
        )


def _choose_features(adata: ad.AnnData, features: str) -> np.ndarray:
    if "biotype" in adata.var:
        contaminant = (adata.var["biotype"] == "contaminant").to_numpy()
    else:
        contaminant = np.zeros(adata.n_vars, dtype=bool)
    choice = {"sRNA": ~contaminant, "contaminant": contaminant, "both": np.ones(adata.n_vars, dtype=bool)}
    if features not in choice:
        raise InputError(f"unknown feature set {features!r}: expected one of {', '.join(choice)}.")
    if not choice[features].any():
        name = adata.uns.get("srna", {}).get("name", "atlas")
        raise InputError(f"{name}: none of the {adata.n_vars} features is a {features}; expected at least one.")
    return choice[features]
