"""Null models, models without a single sRNA, and external validation in another atlas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from srna_lib.data import Task, check_atlas, harmonise, make_task, match_names, permute, shared_names, to_stem_loop
from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import UNITS
from srna_lib.evaluate.comparison import compare
from srna_lib.evaluate.crossval import cross_validate
from srna_lib.evaluate.metrics import COLUMNS, FIGURES, score
from srna_lib.evaluate.splits import Split

PREDICTABLE, NOT_PREDICTABLE = "predictable", "not predictable here"


def run_null(
    task: Task,
    adata: ad.AnnData,
    model: str,
    scheme: str,
    *,
    n_permutations: int,
    within: Iterable[str] = ("dataset_id", "tissue"),
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Predict shuffled labels, the whole experiment again for each shuffle.

    Parameters
    ----------
    task : Task
        Samples and true labels.
    adata : AnnData
        The atlas that the task was made from.
    model : str
        Recipe; a fast one will do, leakage shows in any.
    scheme : str
        As in `make_splits`.
    n_permutations : int
        Shuffles; the mean of several is steadier than one.
    within : iterable of str
        Columns of ``obs`` within which labels are shuffled (`data.permute`).
    seed : int, default 0
        Seed of the first shuffle; the next ones follow.
    **options
        As in `cross_validate`.

    Returns
    -------
    DataFrame
        Out-of-fold tables one below the other; ``model`` is ``<model>, labels shuffled``, ``permutation`` counts.
    """
    tables = []
    for number in range(n_permutations):
        shuffled = permute(task, adata, within=tuple(within), seed=seed + number)
        table = cross_validate(shuffled, model, scheme, atlas=adata, seed=seed, **options)
        tables.append(table.assign(model=f"{model}, labels shuffled", permutation=number))
    return pd.concat(tables, ignore_index=True)


def null_scores(null: pd.DataFrame, metrics: Iterable[str] = ("auc", "auc_within")) -> pd.DataFrame:
    """Scores of every shuffle, as from `score` without intervals, with ``permutation``."""
    runs = null.groupby(["model", "task", "permutation"], sort=False)
    return pd.concat(
        [score(run, metrics=metrics, n_boot=0).assign(permutation=key[2]) for key, run in runs], ignore_index=True
    )


class Judgement(NamedTuple):
    """Answer of `judge`."""

    gains: pd.DataFrame
    verdict: str
    scores: pd.DataFrame


def judge(
    predictions: pd.DataFrame,
    metadata: pd.DataFrame,
    *,
    dataset: str = "",
    metrics: Sequence[str] = ("auc", "auc_within"),
    unit: Sequence[str] = ("donor_id", "dataset_id"),
    seed: int = 0,
    n_boot: int = 1000,
) -> Judgement:
    """Decide whether a task is predictable: every gain over the metadata must lie above zero, over every unit.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold table of one model that reads sRNAs.
    metadata : DataFrame
        Out-of-fold table of recipe ``metadata``, which knows study, tissue, platform and depth, on the same samples.
    dataset, unit, seed, n_boot
        As in `score`.
    metrics : sequence of str, default ("auc", "auc_within")
        Metrics that are better when higher.

    Returns
    -------
    gains : DataFrame, one row per unit and metric
        As from `compare`, first minus second; ``verdict`` is `PREDICTABLE` where the interval lies above zero, else
        `NOT_PREDICTABLE`; ``row`` names the row in a figure.
    verdict : str
        `PREDICTABLE` if every one of them is.
    scores : DataFrame
        The gains as from `score`, and one row ``verdict: <verdict>``: the gain with the lowest lower end.
    """
    both, model = pd.concat([predictions, metadata]), predictions["model"].iloc[0]
    pair = [(model, metadata["model"].iloc[0])]
    gains = compare(both, pair, metric=metrics, unit=unit, correction="none", seed=seed, n_boot=n_boot)
    gains["verdict"] = np.where(gains["ci_low"] > 0, PREDICTABLE, NOT_PREDICTABLE)
    resampled = gains["unit"].map(lambda name: UNITS[name].split(",")[0])
    gains["row"] = gains["metric"].map(lambda m: FIGURES.get(m, m)) + "; " + resampled + " drawn"
    verdict = PREDICTABLE if (gains["verdict"] == PREDICTABLE).all() else NOT_PREDICTABLE
    scores = gains.assign(
        model=model,
        dataset=dataset,
        features=predictions["features"].iloc[0],
        metric="gain_over_metadata:" + gains["metric"],
        value=gains["difference"],
        seed=seed,
    ).reindex(columns=COLUMNS)
    weakest = scores.loc[[scores["ci_low"].fillna(-np.inf).idxmin()]].assign(metric=f"verdict: {verdict}")
    return Judgement(gains, verdict, pd.concat([scores, weakest], ignore_index=True))


def sentence(row: pd.Series) -> str:
    """Say a row of the gains of `judge` in words, as markdown."""
    resampled = "patients" if row["unit"] == "donor_id" else "studies"
    text = (
        f"**{row['task']}: {row['verdict']}.** `{row['first']}` reaches {row['metric']} {row['value_first']:.3f},"
        f" the model without a single sRNA {row['value_second']:.3f}: a gain of {row['difference']:+.3f}"
    )
    if np.isnan(row["ci_low"]):
        return f"{text} (no interval: too few {resampled})."
    what = "above zero" if row["verdict"] == PREDICTABLE else "which does not lie above zero"
    return f"{text} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}] over {resampled}, {what}."


def stack(first: ad.AnnData, second: ad.AnnData) -> tuple[ad.AnnData, pd.DataFrame]:
    """Put two atlases below each other in features that both measured.

    Where one counts stem-loops and the other mature miRNAs, mature counts are summed into their stem-loops.

    Parameters
    ----------
    first, second : AnnData, shape (n_samples, n_srnas)
        Raw counts. No sample name may occur in both.

    Returns
    -------
    atlas : AnnData, shape (n_first + n_second, n_shared)
        ``obs`` has the columns of either, and ``atlas``, the name of the collection.
    report : DataFrame, one row per collection
        ``atlas, level, features`` (of its own), ``shared``, ``reads_kept`` (share of its reads in shared features).

    Raises
    ------
    InputError
        Nothing in common, normalised values, or the same sample name in both.
    """
    atlases = [first, second]
    names = [str(atlas.uns["srna"]["name"]) for atlas in atlases]
    for atlas, name in zip(atlases, names, strict=True):
        quantity = atlas.uns["srna"].get("quantity", "counts")
        if quantity != "counts":
            raise InputError(f"{name}: it holds {quantity} values; expected raw counts to carry models between.")
    twice = first.obs_names.intersection(second.obs_names)
    if len(twice):
        raise InputError(f"{names[0]} and {names[1]} both have the sample {twice[0]!r}; expected different samples.")
    levels = [_level(atlas) for atlas in atlases]
    if "stem-loop" in levels:
        atlases = [to_stem_loop(atlas)[0] for atlas in atlases]
    shared = shared_names(*(atlas.var_names for atlas in atlases))
    if not shared:
        raise InputError(f"{names[0]} and {names[1]} have no sRNA in common; expected some to carry a model by.")
    kept = [harmonise(atlas, shared)[0] for atlas in atlases]
    both = [n for n in shared if all(n in atlas.var_names for atlas in kept)]
    kept = [atlas[:, both] for atlas in kept]
    before, after = ([float(atlas.X.sum()) for atlas in group] for group in ((first, second), kept))
    report = pd.DataFrame(
        {
            "atlas": names,
            "level": levels,
            "features": [first.n_vars, second.n_vars],
            "shared": len(both),
            "reads_kept": np.divide(after, np.maximum(before, 1.0)),
        }
    )
    obs = pd.concat([atlas.obs.assign(atlas=name) for atlas, name in zip(kept, names, strict=True)])
    info = dict(first.uns["srna"]) | {"name": " + ".join(names), "title": f"{names[0]} and {names[1]}"}
    X = sp.vstack([sp.csr_matrix(atlas.X) for atlas in kept]).tocsr()
    return check_atlas(ad.AnnData(X=X, obs=obs, var=kept[0].var.copy(), uns={"srna": info})), report


def both_ways(
    atlas: ad.AnnData, first: str, second: str, alike: Iterable[str] = ()
) -> dict[str, tuple[pd.Index, pd.Index]]:
    """Directions between the two collections of `stack`: ``"<from> to <to>"`` -> samples to fit on, samples to predict.

    One more goes from the data sets `alike`, which come from the tissue of the other collection, to that one.
    """
    names, collection = atlas.obs_names, atlas.obs["atlas"].to_numpy()
    here, there = names[collection == first], names[collection == second]
    studies = atlas.obs["dataset_id"].astype(str)
    near = [name for name in alike if (studies == name).any()]
    chosen = names[studies.isin(near).to_numpy()]
    out = {f"{first} to {second}": (here, there)}
    if near:
        target, side = (first, here) if chosen.isin(there).all() else (second, there)
        out[f"{' + '.join(near)} to {target}"] = (chosen, side)
    return out | {f"{second} to {first}": (there, here)}


def run_external(
    atlas: ad.AnnData,
    label: str,
    recipes: Iterable[str],
    directions: dict[str, tuple[pd.Index, pd.Index]],
    **options: Any,
) -> pd.DataFrame:
    """Fit recipes on some collections and predict others.

    Parameters
    ----------
    atlas : AnnData, shape (n_samples, n_srnas)
        From `stack`.
    label : str
        Column of ``obs``.
    recipes : iterable of str
        Names of recipes.
    directions : dict
        Name of the direction -> samples to fit on, samples to predict. Samples without a label are left out.
    **options
        As in `cross_validate`. A data set that no model was fitted on is centred on itself by conditioned recipes,
        which takes its profiles but none of its labels.

    Returns
    -------
    DataFrame
        As from `cross_validate`, scheme ``"external"``; ``fold`` names the direction.

    Raises
    ------
    InputError
        A direction whose two sides share a sample or a donor, or lack a class.
    """
    task = make_task(atlas, label, min_class_size=1)
    splits = [_split(task, name, *sides) for name, sides in directions.items()]
    return cross_validate(
        task, recipes, splits, scheme="external", atlas=atlas, **{"context": ("dataset_id",)} | options
    )


def _split(task: Task, name: str, train: pd.Index, test: pd.Index) -> Split:
    places = [np.flatnonzero(task.y.index.isin(side)) for side in (train, test)]
    if set(places[0]) & set(places[1]):
        raise InputError(f"direction {name!r}: a sample is on both sides; expected different samples.")
    if task.donors is not None and set(task.donors.iloc[places[0]]) & set(task.donors.iloc[places[1]]):
        raise InputError(f"direction {name!r}: a donor is on both sides; expected different donors.")
    for what, side in zip(("fitted on", "predicted"), places, strict=True):
        if task.y.iloc[side].nunique() < 2:
            raise InputError(f"direction {name!r}: the samples {what} have fewer than two classes of {task.name}.")
    return Split(name, *places)


def _level(adata: ad.AnnData) -> str:
    """Whether most features are mature miRNAs or stem-loops."""
    kinds = match_names(adata.var_names)["kind"]
    return "stem-loop" if (kinds == "stem-loop").sum() > (kinds == "mature").sum() else "mature"
