"""Which sRNAs carry a linear model, where their genes lie, and whether sex chromosomes are among them by chance."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
from scipy import stats

from srna_lib.contexts import with_context
from srna_lib.errors import InputError
from srna_lib.experiment import Profile, build_recipe
from srna_lib.features import annotate
from srna_lib.fold_cache import Split
from srna_lib.labels import CONTEXT, Task
from srna_lib.models import CONDITIONED
from srna_lib.preprocess import feature_names
from srna_lib.validate import fit_fold

SEX_CHROMOSOMES = {"chrX": "X", "chrY": "Y"}


def linear_weights(
    task: Task,
    adata: ad.AnnData,
    model: str,
    splits: list[Split],
    *,
    profile: Profile,
    seed: int = 0,
    context: tuple[str, ...] = ("dataset_id", "tumour_normal"),
) -> pd.DataFrame:
    """Weights of a linear recipe in every fold, ranked, with the place of each sRNA in the genome.

    Parameters
    ----------
    task : Task
        Samples and labels of two classes.
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas that the task was made from.
    model : str
        Linear recipe: ``logistic``, ``tissue_input``, ``per_tissue`` or ``partial_pooling``.
    splits : list of Split
        Folds; the spread of a weight over them says how steady it is.
    profile, seed, context
        As in `experiment.run_models`.

    Returns
    -------
    DataFrame, one row per sRNA that every fold used
        ``srna, rank`` (by size), ``weight`` (mean over folds, per standard deviation of the model's input), ``lowest,
        highest`` (over folds), ``steady`` (same sign in all), ``towards`` (the class that more of it speaks for),
        ``chrom``, ``linked`` (``X``, ``Y``, ``X and others``..., or empty) and, where the atlas has it, ``biotype``.

    Raises
    ------
    InputError
        More than two classes, or a recipe without weights.
    """
    if len(task.classes) != 2:
        raise InputError(f"task {task.name!r} has {len(task.classes)} classes; expected two to rank weights by sign.")
    seen = with_context(task, adata, context) if model in CONDITIONED else task
    columns = []
    for split in splits:
        fitted = fit_fold(seen, build_recipe(seen, model, seed=seed, profile=profile, by=context[0]), split.train)
        if not hasattr(fitted[-1], "coef_"):
            raise InputError(f"recipe {model!r} has no weights; expected a linear one, such as 'logistic'.")
        names = pd.Index(feature_names(fitted, seen.X))
        inner = np.asarray(fitted[:-1].transform(seen.X.iloc[split.train]), dtype=float)
        srna = ~names.str.startswith(CONTEXT)
        values = pd.DataFrame(inner[:, srna])
        if model in CONDITIONED:  # these centre within data sets: the spread that they see is the one inside
            values -= values.groupby(task.groups.to_numpy()[split.train]).transform("mean")
        weight = np.asarray(fitted[-1].coef_, dtype=float)[0] * values.std(axis=0, ddof=0).to_numpy()
        columns.append(pd.Series(weight, index=names[srna]))
    folds = pd.concat(columns, axis=1, join="inner")
    mean = folds.mean(axis=1)
    order = mean.abs().sort_values(ascending=False, kind="stable").index
    low, high = folds.min(axis=1)[order], folds.max(axis=1)[order]
    table = pd.DataFrame({"srna": order, "rank": np.arange(1, len(order) + 1), "weight": mean[order].to_numpy()})
    table = table.assign(lowest=low.to_numpy(), highest=high.to_numpy())
    table["steady"] = (table["lowest"] > 0) | (table["highest"] < 0)
    table["towards"] = np.where(table["weight"] > 0, task.classes[1], task.classes[0])
    return table.join(mark_sex_linked(adata.var.loc[order]).reset_index(drop=True))


def mark_sex_linked(var: pd.DataFrame) -> pd.DataFrame:
    """Chromosome of each sRNA, and whether it is a sex chromosome.

    Parameters
    ----------
    var : DataFrame, shape (n_srnas, ...)
        Index = sRNA names.

    Returns
    -------
    DataFrame, shape (n_srnas, 2 or 3)
        ``chrom`` (several joined by ``;``; empty where unknown), ``linked`` and, where `var` has it, ``biotype``. An
        sRNA with copies on autosomes too is ``"X and others"``: its reads may come from there.
    """
    chrom = annotate(var[[c for c in ("chrom",) if c in var]])["chrom"].astype(object)
    chrom = chrom.where(chrom.notna(), "")
    linked = []
    for places in (set(str(c).split(";")) for c in chrom):
        found = sorted(SEX_CHROMOSOMES[c] for c in places & set(SEX_CHROMOSOMES))
        linked.append(" and ".join([*found, *(["others"] if found and places - set(SEX_CHROMOSOMES) else [])]))
    out = pd.DataFrame({"chrom": chrom.to_numpy(), "linked": linked}, index=var.index)
    return out.assign(biotype=var["biotype"]) if "biotype" in var else out


def enrichment(table: pd.DataFrame, tops: tuple[int, ...] = (10, 25, 50, 100)) -> pd.DataFrame:
    """Whether sex-linked sRNAs are more frequent among the best than among all.

    Parameters
    ----------
    table : DataFrame
        From `linear_weights`.
    tops : tuple of int, default (10, 25, 50, 100)
        Numbers of best sRNAs; those beyond the length of the table are left out.

    Returns
    -------
    DataFrame, one row per number
        ``top, linked`` (sex-linked among them), ``expected`` (by chance), ``of`` (sex-linked in all), ``n`` (sRNAs with
        a known place), ``p_value`` (hypergeometric, this many or more).

    Notes
    -----
    Only sRNAs with a known place take part, and one with copies elsewhere counts as linked. Clustered miRNAs are
    transcribed together, so they are not independent and the p-value is too small by an unknown amount.
    """
    known = table[table["chrom"] != ""].sort_values("rank")
    linked = (known["linked"] != "").to_numpy()
    rows = []
    for top in tops:
        if top > len(known):
            continue
        k = int(linked[:top].sum())
        rows.append(
            {
                "top": top,
                "linked": k,
                "expected": top * linked.mean(),
                "of": int(linked.sum()),
                "n": len(known),
                "p_value": float(stats.hypergeom.sf(k - 1, len(known), linked.sum(), top)),
            }
        )
    return pd.DataFrame(rows, columns=["top", "linked", "expected", "of", "n", "p_value"])
