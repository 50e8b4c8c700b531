"""Steps to flip for samples that the model did not train on: fit, predict and silence, fold by fold."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from srna_lib import validate
from srna_lib.errors import InputError
from srna_lib.fold_cache import Split, map_folds, task_key
from srna_lib.labels import Task
from srna_lib.models import recipe
from srna_lib.orders import Order, deeplift_order, fixed_order, random_order
from srna_lib.silencing import Silencing, classifier_of, silence
from srna_lib.stability import first_flips

ORDERS = {
    "deeplift": "D2, contribution to the own class minus contribution to the other",
    "forest": "importance in the paper's forest, the same order for every sample and class",
    "random": "drawn at random for every sample and class",
}
PREDICTION = ("sample_id", "dataset_id", "task", "model", "features", "scheme", "fold", "y_true", "y_pred")


def cross_flips(
    task: Task,
    model: Pipeline,
    splits: list[Split],
    *,
    scheme: str,
    name: str,
    orders: Iterable[str] = ("deeplift",),
    masking: str = "zero",
    rule: str = "rescale",
    recompute_every: int | None = None,
    max_steps: int | None = None,
    controls: int | None = None,
    seed: int = 0,
    forest: Pipeline | None = None,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Count steps to flip for every test sample, by a model fitted on the other side of its split.

    Each sample is held to the class that its model predicts; where that is wrong, the sample has, held to its true
    class, zero steps. `flip_tables` sets such samples apart, `firmness` asks whether their predictions flip sooner.

    Parameters
    ----------
    task, model, splits, scheme, name, n_jobs, cache, progress
        As in `validate.cross_validate`; the model ends in a network.
    orders : iterable of str, default ("deeplift",)
        From `ORDERS`; the first is the one in question, the others are controls.
    masking : str, default "zero"
        One of `silencing.MASKINGS`.
    rule : str, default "rescale"
        DeepLIFT rule.
    recompute_every, max_steps
        As in `stability.first_flips`; the former concerns the order ``"deeplift"`` only.
    controls : int, optional
        Samples per fold, drawn at random, that walk in the orders after the first; default all. These walks are the
        long ones: many of their paths flip late or never.
    seed : int, default 0
        Seed of random orders, of the forest and of the draw of samples.
    forest : Pipeline, optional
        Recipe of the order ``"forest"``; default ``rf_paper``.

    Returns
    -------
    DataFrame, one row per order, test sample and other class
        ``sample_id, dataset_id, task, model, features, scheme, fold, y_true, y_pred, order``, the columns of
        `stability.first_flips`, and ``p_<class>...`` before anything is silenced.

    Raises
    ------
    InputError
        Unknown order.
    """
    orders = tuple(orders)
    unknown = [o for o in orders if o not in ORDERS]
    if unknown or not orders:
        raise InputError(f"unknown order {unknown[0] if unknown else ''!r}: expected some of {', '.join(ORDERS)}.")
    forest = recipe("rf_paper", seed=seed) if forest is None else forest
    settings = (orders, masking, rule, recompute_every, max_steps, controls, seed)
    trees = sorted((k, repr(v)) for k, v in forest.get_params().items()) if "forest" in orders else ""
    key = task_key(task, model, _code(), settings, trees)
    work = partial(_fold, task, model, forest, settings)
    tables = map_folds(
        work, splits, key=key, n_jobs=n_jobs, cache=cache, progress=progress, label=f"{name}, {scheme}, flips"
    )
    out = pd.concat([t.assign(fold=s.fold) for t, s in zip(tables, splits, strict=True)], ignore_index=True)
    out = out.assign(task=task.name, model=name, features=task.features, scheme=scheme)
    probabilities = [f"p_{c}" for c in task.classes]
    out = out.reindex(columns=[*out.columns, *(p for p in probabilities if p not in out)])
    out[probabilities] = out[probabilities].fillna(0.0)  # classes that were not in a fold's training samples
    middle = [c for c in out.columns if c not in PREDICTION and c not in probabilities]
    return out[[*PREDICTION, *middle, *probabilities]]


def predictions_of(flips: pd.DataFrame) -> pd.DataFrame:
    """Out-of-fold predictions in a table of flips, as `validate.cross_validate` writes them."""
    columns = [*PREDICTION, *(c for c in flips.columns if c.startswith("p_"))]
    return flips.drop_duplicates(["scheme", "model", "fold", "sample_id"])[columns].reset_index(drop=True)


def fit_fold(task: Task, model: Pipeline, split: Split, *, masking: str = "zero") -> tuple[Pipeline, Silencing]:
    """Fit a model on one side of a split and prepare the silencing of the other side's samples.

    Parameters
    ----------
    task, model, masking
        As in `cross_flips`.
    split : Split
        The fold.

    Returns
    -------
    fitted : Pipeline
    ground : Silencing
        Of the test samples.
    """
    fitted = validate.fit_fold(task, model, split.train)
    return fitted, silence(fitted, task.X.iloc[split.test], masking=masking, background=task.X.iloc[split.train])


def make_order(
    name: str,
    task: Task,
    fitted: Pipeline,
    ground: Silencing,
    split: Split,
    *,
    rule: str = "rescale",
    seed: int = 0,
    forest: Pipeline | None = None,
) -> Order:
    """An order by name, for the model of one fold.

    Parameters
    ----------
    name : str
        One of `ORDERS`.
    task, split
        The fold; a forest is fitted on its training samples.
    fitted, ground
        From `fit_fold`.
    rule, seed, forest
        As in `cross_flips`.
    """
    network = classifier_of(fitted)
    if name == "random":
        return random_order(len(network.classes_), seed=seed)
    if name == "deeplift":
        return deeplift_order(network, ground.masked, rule=rule)
    trees = validate.fit_fold(task, recipe("rf_paper", seed=seed) if forest is None else forest, split.train)
    importance = pd.Series(trees[-1].feature_importances_, index=trees[:-1].get_feature_names_out())
    return fixed_order(importance.reindex(ground.features).fillna(0.0).to_numpy(), len(network.classes_))


def _fold(task: Task, model: Pipeline, forest: Pipeline, settings: tuple, split: Split) -> pd.DataFrame:
    orders, masking, rule, recompute_every, max_steps, controls, seed = settings
    fitted, ground = fit_fold(task, model, split, masking=masking)
    network = classifier_of(fitted)
    tables, rows = [], np.arange(len(split.test))
    for name in orders:
        if name != orders[0] and controls is not None:
            drawn = np.random.default_rng((seed, int(split.test[0]))).permutation(len(split.test))[:controls]
            rows = np.sort(drawn)
        order = make_order(name, task, fitted, ground, split, rule=rule, seed=seed, forest=forest)
        every = recompute_every if order.again else None
        limits = {"max_steps": max_steps, "recompute_every": every}
        flips = first_flips(ground.take(rows), network, order, **limits, samples=split.test[rows])
        tables.append(flips.assign(order=name))
    flips = pd.concat(tables, ignore_index=True)
    row = {int(sample): i for i, sample in enumerate(split.test)}
    at = flips["sample"].map(row).to_numpy(int)
    p = pd.DataFrame(network.predict_proba(ground.values)[at], columns=[f"p_{c}" for c in network.classes_])
    names = {
        "sample_id": task.X.index[split.test].to_numpy()[at],
        "dataset_id": task.groups.to_numpy()[split.test][at],
        "y_true": task.y.to_numpy()[split.test][at],
        "y_pred": flips["predicted"],
    }
    return pd.concat([flips.drop(columns=["sample", "predicted", "wrong"]).assign(**names), p], axis=1)


def _code() -> list[ModuleType]:
    from srna_lib import (
        deeplift,
        deeplift_inputs,
        deeplift_layers,
        deeplift_rules,
        deeplift_run,
        flip_walk,
        orders,
        products,
        silencing,
        stability,
    )

    explaining = [deeplift, deeplift_inputs, deeplift_layers, deeplift_rules, deeplift_run, products]
    walking = [flip_walk, orders, silencing, stability, sys.modules[__name__]]
    return [*validate.model_code(), *explaining, *walking]
