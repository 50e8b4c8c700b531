"""A leaderboard: the same folds for all recipes, paired differences, CPU time, and a choice made inside each fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from srna_lib.data import Task, check_column
from srna_lib.errors import InputError, one_of
from srna_lib.evaluate.batch import BATCH, batch_average
from srna_lib.evaluate.comparison import compare
from srna_lib.evaluate.crossval import cross_validate
from srna_lib.evaluate.metrics import METRICS, score
from srna_lib.evaluate.splits import ALIASES, Split, collections_out, make_splits

BENCHMARK_SCHEMES = ("random", "study", "one_dataset_out", "one_collection_out")
SELECTED = "selected"  # the name of what is chosen inside the training studies of each fold
CANDIDATES = ("logistic", "wccn", "lda_study", "robust")  # what it is chosen from: linear, a second a fold
MEASURED = (*METRICS, "calibration_error")


class Benchmark(NamedTuple):
    """Scores of every recipe, paired differences to baselines, and out-of-fold predictions with ``fit_seconds``."""

    scores: pd.DataFrame
    differences: pd.DataFrame
    predictions: pd.DataFrame


def benchmark_splits(
    task: Task, atlas: ad.AnnData, scheme: str, *, n_splits: int | None = None, seed: int = 0
) -> list[Split]:
    """Folds of one of `BENCHMARK_SCHEMES`, `n_splits` of them of ``"study"``; refuses a scheme without a fold here."""
    one_of("scheme", scheme, BENCHMARK_SCHEMES)
    if scheme == "one_collection_out":
        check_column(atlas, "collection", "the collection of each sample, for the scheme one_collection_out")
        splits = collections_out(task, atlas.obs["collection"])
    else:
        splits = make_splits(task, scheme, n_splits=n_splits if scheme == "study" else None, seed=seed)
    if not splits:
        found = f"no fold of the scheme {scheme} leaves two classes, and those that it tests, in training"
        raise InputError(f"task {task.name!r}: {found}; expected several that share classes.")
    return splits


def benchmark(
    task: Task,
    recipes: Sequence[str],
    splits: list[Split],
    *,
    scheme: str,
    dataset: str = "",
    baselines: Iterable[str] = ("logistic",),
    n_boot: int = 2000,
    seed: int = 0,
    **options: Any,
) -> Benchmark:
    """Measure recipes on the same folds.

    Parameters
    ----------
    task : Task
        Samples, labels and studies.
    recipes : sequence of str
        Names of recipes, and ``"selected"``: the one of the `CANDIDATES` among them (two or more) that `select` chooses
        in each fold. ``"<name>+batch"`` is the same with evidence of the batch (`batch_average`): no more training.
    splits : list of Split
        From `benchmark_splits` or `make_splits`.
    scheme, dataset : str
        What the splits and the data are called in the tables.
    baselines : iterable of str, default ("logistic",)
        Recipes that every other one is compared with, where they are run.
    n_boot, seed : int, default 2000 and 0
        Bootstrap replicates; seed of models, inner folds and bootstrap.
    **options
        ``atlas, n_jobs, cache, progress`` of `cross_validate`.

    Returns
    -------
    Benchmark
        ``scores`` as from `score`, with the metrics ``fit_seconds`` (median CPU seconds of fitting in a fold) and
        ``chosen`` (folds in which ``"selected"`` is the recipe in ``class``), and of collections left out each by
        itself, too; ``differences`` as from `compare`, no p-value adjusted; ``predictions`` as from `cross_validate`.

    Raises
    ------
    InputError
        Unknown recipe, or ``"selected"`` without two recipes to choose from.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> folds = srna.make_splits(task, "study", n_splits=3)
    >>> found = benchmark(task, ["logistic", "dummy"], folds, scheme="study", n_boot=50, progress=False)
    >>> found.differences["pair"].unique().tolist()
    ['dummy minus logistic']
    """
    named, scheme = check_recipes(recipes), ALIASES.get(scheme, scheme)
    table = cross_validate(task, named, splits, scheme=scheme, seed=seed, timed=True, **options)
    if SELECTED in _plain(recipes):
        chosen = select(task, _candidates(recipes), splits, scheme=scheme, seed=seed, **options)
        table = pd.concat([table, chosen], ignore_index=True)
    averaged = [name.removesuffix(BATCH) for name in recipes if name.endswith(BATCH)]
    if averaged:
        table = pd.concat([table, batch_average(table[table["model"].isin(averaged)], task)], ignore_index=True)
    table = table[table["model"].isin(recipes)]
    table = table.sort_values("model", key=lambda m: m.map(list(recipes).index), kind="stable", ignore_index=True)
    shown = table
    if scheme == "one_collection_out":  # few and unlike: each also by itself
        shown = pd.concat([table, table.assign(scheme=scheme + ", " + table["fold"])], ignore_index=True)
    scores = score(shown, dataset=dataset, metrics=MEASURED, n_boot=n_boot, seed=seed)
    bases = [base for base in baselines if base in recipes]  # of two baselines the first is compared with once
    pairs = [(name, base) for i, base in enumerate(bases) for name in recipes if name not in bases[: i + 1]]
    gaps = compare(shown, pairs, metric=METRICS, correction="none", n_boot=n_boot, seed=seed)
    return Benchmark(pd.concat([scores, _about_folds(table, scores)], ignore_index=True), gaps, table)


def select(
    task: Task,
    recipes: Sequence[str] | Mapping[str, Pipeline],
    splits: list[Split],
    *,
    scheme: str = "",
    n_inner: int = 3,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Predict each test side by the recipe that is best in folds of the training side (nested cross-validation).

    What a leaderboard's best row promises was chosen on the folds that it is measured on; this row was not.

    Parameters
    ----------
    task, scheme, seed, **options
        As in `cross_validate`.
    recipes : sequence of str, or dict of Pipeline
        To choose from; of equally good ones the first.
    splits : list of Split
        Outer folds.
    n_inner : int, default 3
        Inner folds of each training side, grouped by study. More train on more, and take longer.

    Returns
    -------
    DataFrame, one row per test sample
        As from `cross_validate`, of the model ``"selected"``, with ``chosen`` (recipe) and ``fit_seconds`` (choice
        included). The measure is the share of correct predictions in a study, averaged over studies.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> folds = srna.make_splits(task, "study", n_splits=2)
    >>> select(task, ["dummy", "logistic"], folds, n_inner=2, progress=False)["chosen"].unique().tolist()
    ['logistic']
    """
    inner = inner_splits(task, splits, n_inner, seed)
    run: Any = partial(cross_validate, task, seed=seed, timed=True, **options)
    given = {name: {name: recipes[name]} if isinstance(recipes, Mapping) else name for name in recipes}
    shares, seconds = {}, np.zeros(len(splits))
    for name, one in given.items():
        table = run(one, inner, scheme="inner folds")
        outer = table["fold"].str.partition(".")[0].astype(int)
        correct = (table["y_true"] == table["y_pred"]).groupby([outer, table["dataset_id"]]).mean()
        shares[name] = correct.groupby(level=0).mean()
        seconds += table.groupby([outer, "fold"])["fit_seconds"].first().groupby(level=0).sum().to_numpy()
    chosen = pd.DataFrame(shares).idxmax(axis=1)
    parts = {name: [splits[i] for i in np.flatnonzero(chosen == name)] for name in dict.fromkeys(chosen)}
    tables = [run(given[name], part, scheme=scheme).assign(chosen=name) for name, part in parts.items()]
    out = pd.concat(tables, ignore_index=True)
    at = out["fold"].map({split.fold: i for i, split in enumerate(splits)})
    out = out.assign(model=SELECTED, fit_seconds=out["fit_seconds"] + seconds[at])
    return out.loc[at.sort_values(kind="stable").index].reset_index(drop=True)


def inner_splits(task: Task, splits: list[Split], n: int, seed: int) -> list[Split]:
    """Folds of each training side, grouped by study, called ``<outer>.<inner>``."""
    inner = []
    for i, (_, train, _) in enumerate(splits):
        donors = None if task.donors is None else task.donors.iloc[train]
        side = replace(
            task, X=task.X.iloc[train, :0], y=task.y.iloc[train], groups=task.groups.iloc[train], donors=donors
        )
        folds = make_splits(side, "study", n_splits=n, seed=seed)
        inner += [Split(f"{i}.{fold}", train[known], train[left]) for fold, known, left in folds]
    return inner


def check_recipes(recipes: Sequence[str]) -> list[str]:
    """The recipes to fit in every fold; refuses a choice among fewer than two."""
    if SELECTED in _plain(recipes) and len(_candidates(recipes)) < 2:
        found = f"recipes {','.join(recipes)!r}: {SELECTED} has {len(_candidates(recipes))} to choose from"
        raise InputError(f"{found}; expected two or more of {', '.join(CANDIDATES)}.")
    return [name for name in _plain(recipes) if name != SELECTED]


def _plain(recipes: Sequence[str]) -> list[str]:
    """Names without the ending of averages, each once."""
    return list(dict.fromkeys(name.removesuffix(BATCH) for name in recipes))


def _candidates(recipes: Sequence[str]) -> list[str]:
    return [name for name in recipes if name in CANDIDATES]


def _about_folds(table: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Median CPU seconds of fitting in a fold, and the folds that chose each recipe, as scores of each model."""
    folds = table.groupby(["model", "fold"])[["fit_seconds", *(["chosen"] if "chosen" in table else [])]].first()
    rows = scores[(scores["metric"] == "accuracy") & (scores["scheme"] == table["scheme"].iloc[0])]
    rows = rows.assign(metric="fit_seconds", ci_low=np.nan, ci_high=np.nan)
    found = [rows.assign(value=rows["model"].map(folds["fit_seconds"].groupby(level=0).median()))]
    if "chosen" in folds:
        own = rows[rows["model"].isin([SELECTED, SELECTED + BATCH])].to_dict("records")[0]
        sizes = folds["chosen"].groupby("fold").first().value_counts().items()
        found.append(pd.DataFrame([own | {"metric": "chosen", "class": name, "value": n} for name, n in sizes]))
    return pd.concat(found, ignore_index=True)
