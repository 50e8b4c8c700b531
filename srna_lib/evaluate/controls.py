"""Null models, models without a single sRNA, and external validation in another atlas."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from srna_lib.data import (
    Task,
    check_atlas,
    harmonise,
    make_task,
    match_names,
    permute,
    shared_names,
    to_stem_loop,
    with_context,
)
from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import bootstrap, interval, make_record
from srna_lib.evaluate.crossval import Profile, Split, build_recipe, cross_validate, run_models
from srna_lib.evaluate.metrics import prepare_quantity, prepare_ranking, same_rows
from srna_lib.models import CONDITIONED

PREDICTABLE, NOT_PREDICTABLE = "predictable", "not predictable here"


def run_null(
    task: Task,
    adata: ad.AnnData,
    model: str,
    scheme: str,
    *,
    n_permutations: int,
    profile: Profile,
    within: Iterable[str] = ("dataset_id", "tissue"),
    context: tuple[str, ...] = ("dataset_id", "tumour_normal"),
    seed: int = 0,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
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
        One of `validate.SCHEMES`.
    n_permutations : int
        Shuffles; the mean of several is steadier than one.
    profile, context, n_jobs, cache, progress
        As in `experiment.run_models`.
    within : iterable of str
        As in `contexts.permute`.
    seed : int, default 0
        Seed of the first shuffle; the next ones follow.

    Returns
    -------
    DataFrame
        Out-of-fold tables one below the other; ``model`` is ``<model>, labels shuffled``, ``permutation`` counts.
    """
    columns = tuple(within)
    tables = []
    for number in range(n_permutations):
        shuffled = permute(task, adata, within=columns, seed=seed + number)
        table = run_models(
            shuffled,
            [model],
            scheme,
            profile=profile,
            seed=seed,
            n_jobs=n_jobs,
            cache=cache,
            progress=progress,
            adata=adata,
            context=context,
        )
        tables.append(table.assign(model=f"{model}, labels shuffled", permutation=number))
    return pd.concat(tables, ignore_index=True)


def null_figures(null: pd.DataFrame, metrics: Iterable[str] = ("auc", "auc_within")) -> pd.DataFrame:
    """Figure of every shuffle.

    Parameters
    ----------
    null : DataFrame
        From `run_null`.
    metrics : iterable of str, default ("auc", "auc_within")
        Figures of `ranking_metrics` (or of `regression_metrics` where a quantity is predicted).

    Returns
    -------
    DataFrame, one row per shuffle and figure
        ``task, model, permutation, metric, value``.
    """
    rows = []
    for number, part in null.groupby("permutation", sort=True):
        values, _ = _drawn(part, "dataset_id", 0, 0)
        head = {"task": part["task"].iloc[0], "model": part["model"].iloc[0], "permutation": number}
        rows += [head | {"metric": m, "value": values[m]} for m in metrics]
    return pd.DataFrame(rows)


def gain_over_metadata(
    predictions: pd.DataFrame,
    metadata: pd.DataFrame,
    *,
    dataset: str,
    metrics: Iterable[str] = ("auc", "auc_within"),
    unit: str = "dataset_id",
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """What a model knows beyond study, tissue, platform and depth, and whether that is more than nothing.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold table of one model that reads sRNAs.
    metadata : DataFrame
        Out-of-fold table of recipe ``metadata`` on the same samples.
    dataset : str
        Data set name, for the records.
    metrics : iterable of str, default ("auc", "auc_within")
        Figures that are better when higher. The first decides.
    unit : str, default "dataset_id"
        What is drawn again: studies, or ``"donor_id"`` where the model is meant for the same studies.
    seed, n_boot, level
        As in `metrics.score`.

    Returns
    -------
    table : DataFrame, one row per figure
        ``task, model, metric, with_srnas, metadata, gain, ci_low, ci_high, n_samples, n_datasets, unit, verdict``;
        verdict is `PREDICTABLE` when the interval of the gain lies above zero, else `NOT_PREDICTABLE`.
    records : list of dict
        The gains as records, metrics ``gain_over_metadata:<figure>``.
    """
    first, second = same_rows(predictions, metadata)
    names = list(metrics)
    point, draws_first = _drawn(first, unit, n_boot, seed)
    base, draws_second = _drawn(second, unit, n_boot, seed)
    rows, records = [], []
    for name in names:
        gain, draws = point[name] - base[name], draws_first[name] - draws_second[name]
        low, high = interval(draws, level)
        rows.append(
            {
                "task": first["task"].iloc[0],
                "model": first["model"].iloc[0],
                "metric": name,
                "with_srnas": point[name],
                "metadata": base[name],
                "gain": gain,
                "ci_low": low,
                "ci_high": high,
                "n_samples": first["sample_id"].nunique(),
                "n_datasets": first["dataset_id"].nunique(),
                "unit": unit,
                "verdict": PREDICTABLE if low is not None and low > 0 else NOT_PREDICTABLE,
            }
        )
        records.append(
            make_record(first, f"gain_over_metadata:{name}", gain, draws, dataset=dataset, seed=seed, level=level)
        )
    return pd.DataFrame(rows), records


def sentence(row: pd.Series) -> str:
    """Say a row of `gain_over_metadata` in words.

    Parameters
    ----------
    row : Series
        One row of the table.

    Returns
    -------
    str
        Markdown.
    """
    drawn = "patients" if row["unit"] == "donor_id" else "studies"
    text = (
        f"**{row['task']}: {row['verdict']}.** `{row['model']}` reaches {row['metric']} {row['with_srnas']:.3f},"
        f" the model without a single sRNA {row['metadata']:.3f}: a gain of {row['gain']:+.3f}"
    )
    if row["ci_low"] is None or np.isnan(row["ci_low"]):
        return f"{text} (no interval: too few {drawn})."
    what = "above zero" if row["verdict"] == PREDICTABLE else "which does not lie above zero"
    return f"{text} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}] over {drawn}, {what}."


def _drawn(table: pd.DataFrame, unit: str, n_boot: int, seed: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Every figure of a table, as it is and in each replicate."""
    prepare: Any = prepare_quantity if table["y_true"].dtype.kind == "f" else prepare_ranking
    return bootstrap(prepare(table, unit=unit), table, unit=unit, n_boot=n_boot, seed=seed)


SCHEME = "external"


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
    names, levels = [_name(first), _name(second)], []
    for adata, name in zip((first, second), names, strict=True):
        quantity = adata.uns.get("srna", {}).get("quantity", "counts")
        if quantity != "counts":
            raise InputError(f"{name}: it holds {quantity} values; expected raw counts to carry models between.")
        levels.append(_level(adata))
    twice = first.obs_names.intersection(second.obs_names)
    if len(twice):
        raise InputError(f"{names[0]} and {names[1]} both have the sample {twice[0]!r}; expected different samples.")
    parts = [first, second]
    if "stem-loop" in levels:
        parts = [to_stem_loop(part)[0] for part in parts]
    shared = shared_names(*(part.var_names for part in parts))
    if not shared:
        raise InputError(f"{names[0]} and {names[1]} have no sRNA in common; expected some to carry a model by.")
    kept = [harmonise(part, shared)[0] for part in parts]
    both = [n for n in shared if all(n in part.var_names for part in kept)]
    kept = [part[:, both] for part in kept]
    before, after = ([float(part.X.sum()) for part in group] for group in ((first, second), kept))
    report = pd.DataFrame(
        {
            "atlas": names,
            "level": levels,
            "features": [first.n_vars, second.n_vars],
            "shared": len(both),
            "reads_kept": np.divide(after, np.maximum(before, 1.0)),
        }
    )
    obs = pd.concat([part.obs.assign(atlas=name) for part, name in zip(kept, names, strict=True)])
    info = dict(first.uns["srna"]) | {"name": " + ".join(names), "title": f"{names[0]} and {names[1]}"}
    X = sp.vstack([sp.csr_matrix(part.X) for part in kept]).tocsr()
    return check_atlas(ad.AnnData(X=X, obs=obs, var=kept[0].var.copy(), uns={"srna": info})), report


def both_ways(
    atlas: ad.AnnData, first: str, second: str, alike: Iterable[str] = ()
) -> dict[str, tuple[pd.Index, pd.Index]]:
    """Directions between two collections, and from the part of one that is of the other one's tissue.

    Parameters
    ----------
    atlas : AnnData, shape (n_samples, n_srnas)
        From `stack`.
    first, second : str
        Names of the collections.
    alike : iterable of str, optional
        Data sets of one of them that come from the tissue of the other.

    Returns
    -------
    dict
        ``"<from> to <to>"`` -> samples to fit on, samples to predict.
    """
    here, there = (atlas.obs_names[(atlas.obs["atlas"] == name).to_numpy()] for name in (first, second))
    out = {f"{first} to {second}": (here, there)}
    of = atlas.obs["dataset_id"].astype(str)
    near = [name for name in alike if (of == name).any()]
    chosen = atlas.obs_names[of.isin(near).to_numpy()]
    if near:
        target, side = (first, here) if chosen.isin(there).all() else (second, there)
        out[f"{' + '.join(near)} to {target}"] = (chosen, side)
    return out | {f"{second} to {first}": (there, here)}


def run_external(
    atlas: ad.AnnData,
    label: str,
    models: Iterable[str],
    directions: dict[str, tuple[pd.Index, pd.Index]],
    *,
    profile: Profile,
    seed: int = 0,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
    context: tuple[str, ...] = ("dataset_id",),
) -> pd.DataFrame:
    """Fit recipes on some collections and predict others.

    Parameters
    ----------
    atlas : AnnData, shape (n_samples, n_srnas)
        From `stack`.
    label : str
        Column of ``obs``.
    models : iterable of str
        Recipes (`models.RECIPES`).
    directions : dict
        Name of the direction -> samples to fit on, samples to predict. Samples without a label are left out.
    profile, seed, n_jobs, cache, progress, context
        As in `experiment.run_models`. A data set that no model was fitted on is centred on itself by conditioned
        recipes, which takes its profiles but none of its labels.

    Returns
    -------
    DataFrame
        As from `validate.cross_validate`, scheme ``"external"``; ``fold`` names the direction.

    Raises
    ------
    InputError
        A direction whose two sides share a sample or a donor, or lack a class.
    """
    task = make_task(atlas, label, min_class_size=1)
    splits = [_split(task, name, *sides) for name, sides in directions.items()]
    tables = []
    for name in models:
        seen = with_context(task, atlas, context) if name in CONDITIONED else task
        options: dict[str, Any] = {"n_jobs": n_jobs, "cache": cache, "progress": progress}
        fitted = build_recipe(seen, name, seed=seed, profile=profile, by=context[0])
        tables.append(cross_validate(seen, fitted, splits, scheme=SCHEME, name=name, **options))
    return pd.concat(tables, ignore_index=True)


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


def _name(adata: ad.AnnData) -> str:
    return str(adata.uns.get("srna", {}).get("name", "atlas"))
