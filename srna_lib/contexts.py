"""What surrounds a sample: study, tissue, platform, depth. What they alone predict, and labels shuffled within them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.atlas import samples_of
from srna_lib.errors import InputError
from srna_lib.labels import CONTEXT, Task

METADATA = ("dataset_id", "tissue", "platform", "library_protocol", "tumour_normal", "sample_type", "sequencing_run")
DEPTH = f"{CONTEXT}log2_depth"
AGE_CUTS = {2: (65,), 3: (45, 70), 4: (30, 60, 80)}
MADE_FROM = {f"age_{n}": "age_years" for n in AGE_CUTS}  # label -> column that it is made from
OLDEST = 110


def with_context(task: Task, adata: ad.AnnData, columns: Iterable[str]) -> Task:
    """Give a task's models the context of each sample, as indicator columns beside the sRNAs.

    Parameters
    ----------
    task : Task
        Samples of `adata`.
    adata : AnnData, shape (n_all_samples, n_srnas)
        The atlas that the task was made from.
    columns : iterable of str
        Columns of ``obs``; those that the atlas lacks are left out. An unknown value has no indicator.

    Returns
    -------
    Task
        Columns ``context:<column>=<value>`` of 0 and 1 follow the sRNAs.

    Raises
    ------
    InputError
        When the atlas has none of the columns.
    """
    indicators = _indicators(task, adata, columns)
    return replace(task, X=pd.concat([task.X, indicators], axis=1))


def metadata_only(task: Task, adata: ad.AnnData, columns: Iterable[str] = METADATA) -> Task:
    """Take away every sRNA: only context and sequencing depth are left to predict from.

    Parameters
    ----------
    task : Task
        Samples of `adata`.
    adata : AnnData
        The atlas that the task was made from.
    columns : iterable of str, default `METADATA`
        As in `with_context`.

    Returns
    -------
    Task
        ``X``: indicators and log2 of the reads of each sample; ``features`` is ``"metadata"``.
    """
    indicators = _indicators(task, adata, columns)
    counts = samples_of(adata, task.X.index).X
    depth = np.log2(1.0 + np.asarray(counts.sum(axis=1)).ravel())
    return replace(task, X=indicators.assign(**{DEPTH: depth}), features="metadata")


def permute(task: Task, adata: ad.AnnData, *, within: Iterable[str] = ("dataset_id", "tissue"), seed: int = 0) -> Task:
    """Shuffle labels among the donors of a stratum: a null in which sRNAs say nothing and the context all it says.

    Parameters
    ----------
    task : Task
        Samples of `adata`.
    adata : AnnData
        The atlas that the task was made from.
    within : iterable of str, default ("dataset_id", "tissue")
        Columns of ``obs`` that make a stratum; those that the atlas lacks are left out.
    seed : int, default 0
        Seed of the shuffling.

    Returns
    -------
    Task
        Same samples; a donor's samples keep one label where they had one, and go to the stratum of the first.
    """
    obs = adata.obs.loc[task.X.index]
    names = [c for c in within if c in obs]
    stratum = pd.Series("", index=obs.index)
    for name in names:
        stratum += obs[name].astype(str) + "|"
    who = task.y.index.to_series() if task.donors is None else task.donors
    first = ~who.duplicated()
    rng = np.random.default_rng(seed)
    label = pd.Series(task.y[first].to_numpy(), index=who[first].to_numpy())
    for _, people in who[first].groupby(stratum[first].to_numpy()):
        label[people.to_numpy()] = rng.permutation(label[people.to_numpy()].to_numpy())
    return replace(task, y=pd.Series(label[who.to_numpy()].to_numpy(), index=task.y.index, name=task.y.name))


def with_every_class(adata: ad.AnnData, label: str, *, min_per_class: int, datasets: Iterable[str] = ()) -> ad.AnnData:
    """Keep the data sets in which every class of a label can be learned.

    In a data set of one sex, sex is known from the data set: a model that sees such sets learns tissues and calls it
    sex.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs``.
    min_per_class : int
        Samples of every class that a data set needs.
    datasets : iterable of str, optional
        Data sets asked for by name; each must qualify. Default: all that do.

    Returns
    -------
    AnnData, shape (n_kept, n_srnas)
        Samples with a label in the data sets kept.

    Raises
    ------
    InputError
        Unknown column or data set, a named data set with too few samples of a class, or none that qualifies.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    if label not in adata.obs:
        raise InputError(f"{name}: the field obs[{label!r}] is missing; expected a column of labels.")
    known = adata.obs[adata.obs[label].notna()]
    sizes = pd.crosstab(known["dataset_id"].astype(str), known[label].astype(str))
    asked = list(datasets)
    for dataset in asked:
        if dataset not in sizes.index:
            raise InputError(f"{name}: no data set {dataset!r}; expected one of {', '.join(sizes.index)}.")
        if sizes.loc[dataset].min() < min_per_class:
            found = ", ".join(f"{n} {k}" for k, n in sizes.loc[dataset].items())
            raise InputError(
                f"{name}: data set {dataset!r} has {found} among its samples; expected at least {min_per_class} of"
                f" each, because where one class is missing or rare the data set gives {label} away."
            )
    kept = asked or list(sizes.index[sizes.min(axis=1) >= min_per_class])
    if not kept or sizes.shape[1] < 2:
        raise InputError(
            f"{name}: no data set has at least {min_per_class} samples of every {label}; expected at least one."
        )
    chosen = adata.obs["dataset_id"].astype(str).isin(kept) & adata.obs[label].notna()
    return samples_of(adata, chosen.to_numpy())


def with_label(adata: ad.AnnData, label: str) -> ad.AnnData:
    """Give an atlas the column that is asked for, where it is made from another: ``age_2``, ``age_3``, ``age_4``.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs`` that is wanted.

    Returns
    -------
    AnnData
        The same atlas, or a copy with the age intervals (`add_age_intervals`) where `label` is one of them.

    Raises
    ------
    InputError
        As in `add_age_intervals`.
    """
    return add_age_intervals(adata) if label in MADE_FROM and label not in adata.obs else adata


def add_age_intervals(adata: ad.AnnData, column: str = "age_years") -> ad.AnnData:
    """Add the paper's 2, 3 and 4 age intervals as labels.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    column : str, default "age_years"
        Age in years.

    Returns
    -------
    AnnData
        A copy with ``obs`` columns ``age_2``, ``age_3``, ``age_4``. ``"30-60"`` means above 30 and up to 60 years (the
        first interval holds its lower end, too); sorted as text they are in order.

    Raises
    ------
    InputError
        When the column is missing or holds text or an age outside 0 to 110 years.

    References
    ----------
    Fiosina, Fiosins, Bonn 2020, Table 3.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    if column not in adata.obs:
        raise InputError(f"{name}: the field obs[{column!r}] is missing; expected ages in years.")
    years = pd.to_numeric(adata.obs[column], errors="coerce").astype(float)
    text = adata.obs[column].notna() & years.isna()
    if text.any():
        raise InputError(f"{name}: obs[{column!r}] holds {adata.obs[column][text].iloc[0]!r}; expected ages in years.")
    wrong = years.notna() & ~years.between(0, OLDEST)
    if wrong.any():
        raise InputError(
            f"{name}: obs[{column!r}] is {years[wrong].iloc[0]:g} for sample {wrong.idxmax()!r};"
            f" expected 0 to {OLDEST} years."
        )
    out = adata.copy()
    for n, cuts in AGE_CUTS.items():
        edges = [0, *cuts, OLDEST]
        names = [f"{low}-{high}" for low, high in itertools.pairwise(edges)]
        out.obs[f"age_{n}"] = pd.cut(years, edges, labels=names, include_lowest=True).astype(object)
    return out


def _indicators(task: Task, adata: ad.AnnData, columns: Iterable[str]) -> pd.DataFrame:
    columns = tuple(columns)
    obs = adata.obs.loc[task.X.index]
    names = [c for c in columns if c in obs and obs[c].notna().any()]
    if not names:
        raise InputError(f"the atlas has none of the columns {', '.join(columns)}; expected at least one in obs.")
    text = obs[names].astype(object).where(obs[names].notna())
    return pd.get_dummies(text, prefix=[CONTEXT + n for n in names], prefix_sep="=", dtype=float)
