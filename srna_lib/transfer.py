"""Carry a model from one atlas to another: the same features, fitted on all of the first, asked about the second."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from srna_lib.atlas import check_atlas
from srna_lib.contexts import with_context
from srna_lib.errors import InputError
from srna_lib.experiment import Profile, build_recipe
from srna_lib.features import harmonise, match_names, shared_names, to_stem_loop
from srna_lib.fold_cache import Split
from srna_lib.labels import Task, make_task
from srna_lib.models import CONDITIONED
from srna_lib.validate import cross_validate

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
