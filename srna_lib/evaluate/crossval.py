"""Out-of-fold predictions as one tidy table, fold by fold, with finished folds kept on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import anndata as ad
import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter
from tqdm import tqdm

from srna_lib.data import NORMALISED, Task, make_task, metadata_only, with_context
from srna_lib.errors import InputError, one_of
from srna_lib.evaluate.metrics import FRONT
from srna_lib.evaluate.splits import ALIASES, Split, make_splits
from srna_lib.io import write_file
from srna_lib.models import CONDITIONED, quantity_recipe, recipe
from srna_lib.processes import settle

ENOUGH_STUDIES = 5  # for residuals of studies left out
PACKAGES = ("numpy", "scikit-learn", "keras", "jax", "imbalanced-learn")


@dataclass(frozen=True)
class Profile:
    """How large a run is."""

    repeats: int = 1  # times that random folds are drawn anew: one draw moves a class of 20 samples by several points
    n_splits: int | None = None  # folds, where not the scheme's own number
    max_datasets_out: int | None = None  # studies that one dataset out leaves out, at random; None for all
    per_study: int | None = None  # samples of a class and study that are kept; None for all
    n_boot: int = 1000  # bootstrap replicates
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)  # recipe -> parameters that make it smaller


_SMALL_NETWORK = {"classifier__epochs": 8, "classifier__hidden": (64, 32), "classifier__dropout": (0.2, 0.2)}
PROFILES = {
    "smoke": Profile(
        n_splits=2,
        max_datasets_out=3,
        per_study=4,
        n_boot=200,
        changes={
            "dl_paper": _SMALL_NETWORK,
            "dl_log": _SMALL_NETWORK,
            "rf_paper": {"classifier__n_trees": 10, "classifier__n_select_trees": 5},
            "rf_plain": {"classifier__n_estimators": 10},
            "logistic": {"classifier__tol": 0.1},
            "quantity forest": {"regressor__estimator__n_estimators": 10},
        },
    ),
    "demo": Profile(
        n_splits=4,
        max_datasets_out=6,
        changes={  # minutes for six notebooks; the simulation is learned in fewer epochs and trees than real data
            "dl_paper": {"classifier__epochs": 14},
            "dl_log": {"classifier__epochs": 12},
            "rf_paper": {"classifier__n_trees": 100, "classifier__n_select_trees": 50},
            "rf_plain": {"classifier__n_estimators": 100},
            "quantity forest": {"regressor__estimator__n_estimators": 50},
        },
    ),
    "full": Profile(repeats=3, n_boot=2000),
}


def get_profile(name: str) -> Profile:
    """The profile of a name: ``smoke``, ``demo`` or ``full``."""
    one_of("profile", name, PROFILES)
    return PROFILES[name]


def cross_validate(
    task: Task,
    recipes: str | Iterable[str] | Mapping[str, Pipeline],
    split: str | list[Split] = "study",
    *,
    atlas: ad.AnnData | None = None,
    context: tuple[str, ...] = ("dataset_id", "tumour_normal"),
    profile: Profile | str | None = None,
    scheme: str = "",
    n_splits: int | None = None,
    seed: int = 0,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
    timed: bool = False,
) -> pd.DataFrame:
    """Predict every test sample by models fitted, preprocessing included, on the other side of its split.

    Parameters
    ----------
    task : Task
        Samples, labels and studies.
    recipes : str, iterable of str, or dict of Pipeline
        Names of recipes (`models.RECIPES`; `models.QUANTITY_RECIPES` where the target is a number), or name -> unfitted
        pipeline from raw counts to class; cloned for each fold. A last step whose ``fit`` takes ``groups`` or
        ``studies`` is given the donors or the studies of its training samples.
    split : str or list of Split, default "study"
        As in `make_splits`: ``"random"``, ``"study"``, ``"donor"``, ``"one_dataset_out"``; or splits of your own.
    atlas : AnnData, optional
        The atlas that the task was made from: needed by recipes that read the covariates of a sample.
    context : tuple of str, default ("dataset_id", "tumour_normal")
        What those recipes read: profiles are centred within all of it, weights are pooled over the first.
    profile : Profile or str, optional
        Size of the run: ``"smoke"``, ``"demo"``, ``"full"``, or one of your own. Default: recipes as they are, every
        study out, random folds once.
    scheme : str, optional
        Name of splits of your own in the table.
    n_splits : int, optional
        Folds, in the place of the profile's and the scheme's number.
    seed : int, default 0
        Seed of splits and models.
    n_jobs : int, default 1
        Folds at a time; each in a process of its own.
    cache : path, optional
        Folder where each finished fold is kept, so that an interrupted run goes on from there. A fold is found again
        only for the same data, model, seed, split, library code and package versions; a damaged one is done again.
    progress : bool, default True
        Show a bar.
    timed : bool, default False
        Add ``fit_seconds``, the CPU seconds that fitting the model of the fold took.

    Returns
    -------
    DataFrame, one row per model and test sample
        ``sample_id, dataset_id, task, model, features, scheme, fold, donor_id, y_true, y_pred, p_<class>...``; a class
        that was not in a fold's training samples has probability 0 there. Where a quantity is predicted,
        ``low_<level>`` and ``high_<level>`` of its intervals stand in the place of probabilities. Repeated random folds
        predict a sample once per repeat; a random fold is named ``<repeat>.<fold>``.

    Raises
    ------
    InputError
        Unknown recipe, scheme or profile, too few studies for the folds, or a recipe that needs the atlas.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> table = srna.cross_validate(task, "dummy", "study", n_splits=3, progress=False)
    >>> table["sample_id"].nunique() == len(task.y)
    True
    """
    size = get_profile(profile) if isinstance(profile, str) else profile or Profile()
    if isinstance(split, str):
        scheme = ALIASES.get(split, split)
        split = make_splits(
            task, split, n_splits=n_splits or size.n_splits, repeats=size.repeats, most=size.max_datasets_out, seed=seed
        )
    if not split:
        found = f"{task.groups.nunique()} studies, none of which leaves all of its classes to the others"
        raise InputError(f"task {task.name!r}: {found}; expected two studies or more with the same classes.")
    names = [recipes] if isinstance(recipes, str) else list(recipes)
    if not names:
        raise InputError("cross-validation: no recipe was named; expected at least one.")
    tables = []
    for name in names:
        seen = seen_by(name, task, atlas, context)
        given = recipes.get(name) if isinstance(recipes, Mapping) else None
        model = given or build_recipe(task, name, seed=seed, profile=size, by=context[0])
        work, key = partial(_predict_fold, seen, model), "" if cache is None else task_key(seen, model, [__name__])
        run: Any = {"label": f"{name}, {scheme}", "n_jobs": n_jobs, "cache": cache, "progress": progress}
        table = pd.concat(map_folds(work, split, key=key, **run), ignore_index=True)
        tables.append(table.assign(task=task.name, model=name, features=task.features, scheme=scheme))
    out = pd.concat(tables, ignore_index=True)
    return out[[*FRONT, *(c for c in out if c not in FRONT and (timed or c != "fit_seconds"))]]


def build_recipe(task: Task, name: str, *, seed: int, profile: Profile, by: str = "dataset_id") -> Pipeline:
    """The unfitted recipe that fits a task: for classes or a quantity, for counts or joined features."""
    joined = any(str(c).startswith(NORMALISED) for c in task.X.columns)
    quantity = task.y.dtype.kind == "f"
    changes = dict(profile.changes.get(f"quantity {name}" if quantity else name, {}))
    if name in CONDITIONED:
        changes |= {"regressor__estimator__by": by, "regressor__by": by} if quantity else {"classifier__by": by}
    return (quantity_recipe if quantity else recipe)(name, seed=seed, joined=joined, **changes)


def seen_by(name: str, task: Task, atlas: ad.AnnData | None, context: tuple[str, ...]) -> Task:
    """The task as a recipe sees it: with covariates, without a single sRNA, or as it is."""
    if name not in (*CONDITIONED, "metadata"):
        return task
    if atlas is None:
        raise InputError(f"recipe {name!r} reads the covariates of a sample; expected the atlas beside the task.")
    return metadata_only(task, atlas) if name == "metadata" else with_context(task, atlas, context)


def fit_fold(task: Task, model: Pipeline, train: np.ndarray, groups: pd.Series | None = None) -> Pipeline:
    """A fresh copy of a model, fitted on some samples; it is given `groups` (or donors), studies, kinds if it asks."""
    kinds = None if task.kinds is None else task.kinds.reindex(task.X.index)  # of a part of the samples, too
    known = {"groups": task.donors if groups is None else groups, "studies": task.groups, "kinds": kinds}
    extra = {
        f"{model.steps[-1][0]}__{name}": values.to_numpy()[train]
        for name, values in known.items()
        if values is not None and has_fit_parameter(model[-1], name)
    }
    return clone(model).fit(task.X.iloc[train], task.y.iloc[train], **extra)


def _predict_fold(task: Task, model: Pipeline, split: Split) -> pd.DataFrame:
    """Out-of-fold predictions of one fold."""
    known = set(task.groups.iloc[split.train])
    new = task.y.dtype.kind == "f" and len(known) >= ENOUGH_STUDIES and known.isdisjoint(task.groups.iloc[split.test])
    start = time.process_time()
    fitted = fit_fold(task, model, split.train, task.groups if new else None)
    seconds, X = time.process_time() - start, task.X.iloc[split.test]
    columns = {"sample_id": X.index, "dataset_id": task.groups.iloc[split.test].to_numpy()}
    if task.donors is not None:
        columns["donor_id"] = task.donors.iloc[split.test].to_numpy()
    table = pd.DataFrame(columns | {"y_true": task.y.iloc[split.test].array, "fit_seconds": seconds})
    if task.y.dtype.kind != "f":
        predicted = fitted.predict_proba(X)
        p = pd.DataFrame(0.0, index=table.index, columns=[f"p_{c}" for c in task.classes])
        p[[f"p_{c}" for c in fitted.classes_]] = predicted
        return pd.concat([table.assign(y_pred=fitted.classes_[predicted.argmax(axis=1)]), p], axis=1)
    table["y_pred"] = fitted.predict(X)
    if hasattr(fitted[-1], "predict_interval"):
        inner = fitted[:-1].transform(X) if len(fitted) > 1 else X
        for level, (low, high) in fitted[-1].predict_interval(inner).items():
            table[f"low_{level}"], table[f"high_{level}"] = low, high
    return table


def compare_labels(
    adata: ad.AnnData, labels: tuple[str, str], recipes: Iterable[str], *, min_class_size: int = 15, **options: Any
) -> pd.DataFrame:
    """One dataset out for two ways to name the same samples (columns of ``obs``), on the same folds.

    Only samples that have a class under both labels take part, and only studies are left out whose classes stay in
    training under both, so that nothing but the label differs. `min_class_size` is as in `make_task`, `recipes` and
    `options` as in `cross_validate`, and so is the answer, where ``task`` names the label. Empty where both labels are
    one, or no study can be left out.
    """
    nothing = pd.DataFrame(columns=[*FRONT, "y_true"])
    if labels[0] == labels[1]:  # the atlas names its samples in one way only
        return nothing
    shared = adata.obs_names
    while True:  # a sample that leaves one labelling may make a class of the other too small
        tasks = [make_task(adata[shared], label, min_class_size=min_class_size) for label in labels]
        kept = tasks[0].y.index.intersection(tasks[1].y.index)
        if len(kept) == len(shared):
            break
        shared = kept
    size, scheme = options.get("profile") or Profile(), "one_dataset_out"
    both = {s.fold for s in make_splits(tasks[1], scheme)}
    splits = [s for s in make_splits(tasks[0], scheme) if s.fold in both]
    chosen = np.random.default_rng(options.get("seed", 0)).permutation(len(splits))[: size.max_datasets_out]
    splits = [splits[i] for i in sorted(chosen)]
    if not splits:  # no study can be left out under both
        return nothing
    return pd.concat([cross_validate(t, recipes, splits, scheme=scheme, **options) for t in tasks], ignore_index=True)


def mended_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Count what is wrong under the first of two labels and correct under the second, by `compare_labels`.

    Of the model that comes first; ``y_true, y_pred`` (first label), ``second`` (class by the other) and ``samples``.
    """
    counts = pd.DataFrame(columns=["y_true", "y_pred", "second", "samples"])
    if table.empty:
        return counts
    one = table[table["model"] == table["model"].iloc[0]]
    first, other = (rows for _, rows in one.groupby("task", sort=False))
    both = first.merge(other.rename(columns={"y_true": "second"}), on="sample_id", suffixes=("", "_second"))
    mended = both.query("y_true != y_pred and second == y_pred_second")
    sizes = mended.groupby(["y_true", "y_pred", "second"]).size().sort_values(ascending=False)
    return sizes.rename("samples").reset_index()


def compare_sizes(
    adata: ad.AnnData, label: str, recipes: Iterable[str], sizes: Iterable[int], **options: Any
) -> pd.DataFrame:
    """Random folds for several least sizes of a class: ``task`` names the size; the same samples are run once.

    `sizes` are as `min_class_size` of `make_task`, `options` as of `cross_validate`.
    """
    tables: dict[int, pd.DataFrame] = {}
    for size in sizes:
        task = make_task(adata, label, min_class_size=size)
        if len(task.y) not in tables:  # a larger least size only leaves samples out
            tables[len(task.y)] = cross_validate(task, recipes, "random", **options)
        tables[-size] = tables[len(task.y)].assign(task=f"{label}, classes of at least {size}")
    return pd.concat([table for size, table in tables.items() if size < 0], ignore_index=True)


def map_folds(
    work: Callable[[Split], pd.DataFrame],
    splits: list[Split],
    *,
    key: str,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
    label: str = "folds",
) -> list[pd.DataFrame]:
    """Do a piece of work for every fold, in order; one in the cache is found again under the same key and split.

    `work` is a ``functools.partial`` of a module's function, so that it travels to other processes.
    """
    stems = [None if cache is None else Path(cache) / joblib.hash((key, s.train, s.test)) for s in splits]
    done = {i: table for i, stem in enumerate(stems) if stem is not None and (table := _kept(stem)) is not None}
    todo = [i for i in range(len(splits)) if i not in done]
    n_jobs = n_jobs if len(todo) > 1 else 1
    jobs = (joblib.delayed(_do_fold)(work, splits[i], stems[i]) for i in todo)
    tables = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    bar = tqdm(tables, total=len(splits), initial=len(done), desc=label, unit="fold", disable=not progress)
    done |= dict(zip(todo, bar, strict=True))
    return [done[i].assign(fold=split.fold) for i, split in enumerate(splits)]


def _do_fold(work: Callable[[Split], pd.DataFrame], split: Split, stem: Path | None) -> pd.DataFrame:
    """Do the work for one fold, and write the table whole or not at all; its name ends in the checksum of its bytes."""
    settle()
    table = work(split)
    if stem is not None:
        content = table.to_parquet(index=False)
        write_file(stem.with_suffix(f".{_checksum(content)}.parquet"), content)
    return table


def _kept(stem: Path) -> pd.DataFrame | None:
    """A kept fold; None where there is none, and a file that is not what was written is deleted."""
    for path in sorted(stem.parent.glob(f"{stem.name}.*.parquet")):
        content = path.read_bytes()
        if _checksum(content) == path.suffixes[-2][1:]:
            return pd.read_parquet(BytesIO(content))
        path.unlink()
    return None


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def task_key(task: Task, model: Pipeline, code: Iterable[str], *settings: Any) -> str:
    """Hash of all that decides the result of a fold but the fold itself: data, model, settings, code, versions.

    The code is that of the models, and of the modules whose names begin as in `code`.
    """
    rows = list(task.X.index), np.ascontiguousarray(task.X.to_numpy())
    donors = None if task.donors is None else list(task.donors)
    kinds = None if task.kinds is None else task.kinds.reindex(task.X.index).astype(str).to_numpy().tolist()
    data = (task.name, rows, list(task.X.columns), list(task.y), task.classes, list(task.groups), donors, kinds)
    modules = [m for name, m in sorted(sys.modules.items()) if name.startswith(("srna_lib.models.", *code))]
    source = [inspect.getsource(module) for module in modules]
    versions = [importlib.metadata.version(package) for package in PACKAGES]
    return joblib.hash((data, model, settings, source, versions))
