"""Which data sets can answer a question about people, and how samples are kept apart there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.atlas import samples_of
from srna_lib.contexts import with_every_class
from srna_lib.errors import InputError
from srna_lib.joint import joined_tasks
from srna_lib.labels import Task, make_task

ENOUGH_STUDIES = 5


@dataclass(frozen=True)
class Design:
    """How a label of people is predicted in one atlas.

    Attributes
    ----------
    scheme : str
        The honest one of `validate.SCHEMES`: by study where there are many, by patient where studies are few or large.
    unit : str
        What is drawn again for intervals (`resampling.UNITS`): what new samples would come from.
    context : tuple of str
        What tissue-conditioned recipes read (`experiment.run_models`).
    within : tuple of str
        Columns within which labels are shuffled for the null (`contexts.permute`).
    min_per_class : int
        Samples of every class that a data set needs to take part.
    where : dict
        Column of ``obs`` -> value that a sample must have.
    joined : str
        Data set with further features of the same samples; empty for none.
    external : str
        Data set that models are carried to; empty for none.
    alike : tuple of str
        Data sets of the tissue of `external`.
    """

    scheme: str
    unit: str
    context: tuple[str, ...]
    within: tuple[str, ...] = ("dataset_id", "tissue")
    min_per_class: int = 3
    where: Mapping[str, str] = field(default_factory=dict)
    joined: str = ""
    external: str = ""
    alike: tuple[str, ...] = ()


_TCGA = Design(
    scheme="patient_kfold",
    unit="donor_id",
    context=("dataset_id", "tumour_normal"),
    within=("dataset_id", "tumour_normal"),
    min_per_class=60,
    where={"age_source": "days_to_birth"},  # of the other samples age, and often sex, was filled in from elsewhere
    joined="tcga_trf",
    external="lgrc",
    alike=("LUAD", "LUSC"),
)
DESIGNS = {"tcga": _TCGA}


def design(adata: ad.AnnData, label: str) -> Design:
    """Choose the design for an atlas.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs`` to predict.

    Returns
    -------
    Design
        That of `DESIGNS` for a known name. Else folds by study where at least five studies have three samples of
        every class, and by patient where they have not.

    Raises
    ------
    InputError
        No such column, or an atlas of normalised values, from which these recipes cannot start.
    """
    info = adata.uns.get("srna", {})
    name = info.get("name", "atlas")
    if label not in adata.obs:
        raise InputError(f"{name}: the field obs[{label!r}] is missing; expected a column of labels.")
    if info.get("quantity", "counts") != "counts":
        partner = next((k for k, d in DESIGNS.items() if d.joined == name), "")
        hint = f" (dataset {partner!r} joins it to its counts)" if partner else ""
        raise InputError(f"{name}: it holds {info['quantity']} values; expected raw counts{hint}.")
    if name in DESIGNS:
        return DESIGNS[name]
    tissue = next((c for c in ("tissue_group", "tissue") if c in adata.obs and adata.obs[c].nunique() > 1), "")
    known = adata.obs[adata.obs[label].notna()]
    sizes = pd.crosstab(known["dataset_id"].astype(str), known[label].astype(str))
    if (sizes.min(axis=1) >= 3).sum() >= ENOUGH_STUDIES:
        return Design("grouped_kfold", "dataset_id", (tissue or "dataset_id",))
    back = next((k for k, d in DESIGNS.items() if d.external == name), "")
    return Design("patient_kfold", "donor_id", ("dataset_id", tissue) if tissue else ("dataset_id",), external=back)


def cohort_table(adata: ad.AnnData, label: str, *, min_per_class: int) -> pd.DataFrame:
    """Count samples by data set and class, and say which data sets can be used.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs``.
    min_per_class : int
        As in `contexts.with_every_class`.

    Returns
    -------
    DataFrame, one row per data set with a known label
        ``data set``, samples of each class, ``share`` (of the commonest class) and ``use``: ``used``,
        ``refused: only <class>`` or ``refused: fewer than <n> of a class``; usable ones first, large ones first.
    """
    known = adata.obs[adata.obs[label].notna()]
    sizes = pd.crosstab(known["dataset_id"].astype(str), known[label].astype(str))
    use = []
    for counts in sizes.to_dict("records"):
        here = [name for name, n in counts.items() if n]
        if min(counts.values()) >= min_per_class:
            use.append("used")
        else:
            few = f"fewer than {min_per_class} of a class"
            use.append(f"refused: {f'only {here[0]}' if len(here) == 1 else few}")
    table = sizes.assign(share=sizes.max(axis=1) / sizes.sum(axis=1), use=use, total=sizes.sum(axis=1))
    table["last"] = table["use"] != "used"
    table = table.sort_values(["last", "total"], ascending=[True, False], kind="stable").drop(columns=["last", "total"])
    return table.rename_axis(index="data set", columns=None).reset_index()


def choose_cohorts(
    adata: ad.AnnData, label: str, *, min_per_class: int | None = None, where: Mapping[str, str] | None = None
) -> ad.AnnData:
    """Keep the samples that a question can be asked of: a known label, in data sets that have every class.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs``.
    min_per_class : int, optional
        As in `contexts.with_every_class`; default from the `design`.
    where : mapping, optional
        Column of ``obs`` -> value that a sample must have; default from the `design`.

    Returns
    -------
    AnnData, shape (n_kept, n_srnas)

    Raises
    ------
    InputError
        Unknown column, or nothing left.
    """
    plan = design(adata, label)
    chosen = select(adata, plan.where if where is None else where)
    return with_every_class(chosen, label, min_per_class=min_per_class or plan.min_per_class)


def select(adata: ad.AnnData, where: Mapping[str, str]) -> ad.AnnData:
    """Keep the samples with the given values.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    where : mapping
        Column of ``obs`` -> value that a sample must have.

    Returns
    -------
    AnnData, shape (n_kept, n_srnas)

    Raises
    ------
    InputError
        Unknown column, or no sample has these values.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    chosen = np.ones(adata.n_obs, dtype=bool)
    for column, value in where.items():
        if column not in adata.obs:
            raise InputError(f"{name}: the field obs[{column!r}] is missing; expected it to choose samples by.")
        chosen &= (adata.obs[column].astype(str) == value).to_numpy()
    if not chosen.any():
        raise InputError(f"{name}: no sample has {', '.join(f'{k} = {v!r}' for k, v in where.items())}.")
    return samples_of(adata, chosen)


def feature_tasks(adata: ad.AnnData, label: str, partner: ad.AnnData | None = None) -> dict[str, Task]:
    """Make the paper's three tasks: one kind of feature, another kind, and both, on the same samples.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs``.
    partner : AnnData, optional
        Further features of the same samples (`joint.joined_tasks`).

    Returns
    -------
    dict
        Feature set -> Task, ``"both"`` last; of an atlas without contaminants and without partner only ``"sRNA"``.
    """
    if partner is not None:
        return joined_tasks(adata, partner, label)
    foreign = "biotype" in adata.var and (adata.var["biotype"] == "contaminant").any()
    return {f: make_task(adata, label, features=f) for f in (("sRNA", "contaminant", "both") if foreign else ("sRNA",))}


def without_absent(adata: ad.AnnData, *, max_zero_share: float = 0.98) -> ad.AnnData:
    """Drop features that hardly any sample has, to save memory and time.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_features)
        Any atlas.
    max_zero_share : float, default 0.98
        A feature stays when at most this share of all samples lacks it. At .98 a training set of a third of the
        samples or more lacks a dropped one in over 90 %, so the zero filter of every recipe would have dropped it:
        predictions do not change.

    Returns
    -------
    AnnData, shape (n_samples, n_kept)

    Raises
    ------
    InputError
        When nothing would stay.
    """
    present = np.asarray((adata.X != 0).sum(axis=0)).ravel()
    kept = adata.n_obs - present <= max_zero_share * adata.n_obs + 1e-9
    if not kept.any():
        name = adata.uns.get("srna", {}).get("name", "atlas")
        raise InputError(f"{name}: no feature is present in {1 - max_zero_share:.0%} of the samples; expected some.")
    return adata[:, kept].copy()


def refusal(adata: ad.AnnData, label: str, *, min_per_class: int) -> str:
    """Sentence with which a data set of one class is refused.

    Parameters
    ----------
    adata, label, min_per_class
        As in `cohort_table`.

    Returns
    -------
    str
        Of the largest data set with a single class, else of the largest that is refused; empty where all are used.
    """
    table = cohort_table(adata, label, min_per_class=min_per_class)
    refused = table[table["use"] != "used"]
    if refused.empty:
        return ""
    single = refused[refused["use"].str.startswith("refused: only")]
    name = (single if len(single) else refused)["data set"].iloc[0]
    try:
        with_every_class(adata, label, min_per_class=min_per_class, datasets=[name])
    except InputError as error:
        return str(error)
    raise AssertionError(f"data set {name!r} was taken, although the table refuses it")
