"""Controls: shuffled labels, no sRNAs, merged classes, other company in a batch, another atlas."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import norm
from sklearn.pipeline import Pipeline

from srna_lib.data import (
    Task,
    check_atlas,
    harmonise,
    make_task,
    match_names,
    permute,
    shared_names,
    subsample,
)
from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import UNITS
from srna_lib.evaluate.comparison import compare
from srna_lib.evaluate.crossval import Profile, build_recipe, cross_validate, fit_fold, map_folds, seen_by, task_key
from srna_lib.evaluate.metrics import COLUMNS, FIGURES, FRONT, METRICS, each_model, probabilities, score
from srna_lib.evaluate.splits import ALIASES, Split, make_splits
from srna_lib.models import CONDITIONED

PREDICTABLE, NOT_PREDICTABLE = "predictable", "not predictable here"
SIZES = {"d": (0.2, 0.5, 0.8), "f": (0.1, 0.25, 0.4)}  # from where an effect is small, medium, large (Cohen 1988)


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
    task, adata
        Samples and true labels; the atlas that they are from.
    model : str
        Recipe; a fast one will do, leakage shows in any.
    scheme : str
        As in `make_splits`.
    n_permutations : int
        Shuffles; the mean of several is steadier than one.
    within : iterable of str
        Columns of ``obs`` within which labels are shuffled (`data.permute`).
    seed, **options
        Seed of the first shuffle, the next ones follow; as in `cross_validate`.

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

    @property
    def words(self) -> str:
        """The verdict, and the size of the effect of the least certain gain where there is one."""
        weakest = self.gains.loc[self.gains["ci_low"].fillna(-np.inf).idxmin()]
        return self.verdict + f", with a {weakest['size']} effect" * (self.verdict == PREDICTABLE)


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
        `NOT_PREDICTABLE`; ``effect`` and ``size`` are Cohen's (`effect_size`); ``row`` names the row in a figure.
    verdict : str
        `PREDICTABLE` if every one of them is.
    scores : DataFrame
        The gains as from `score`, and one row ``verdict: <verdict>``: the gain with the lowest lower end.
    """
    both, model = pd.concat([predictions, metadata]), predictions["model"].iloc[0]
    pair = [(model, metadata["model"].iloc[0])]
    gains = compare(both, pair, metric=metrics, unit=unit, correction="none", seed=seed, n_boot=n_boot)
    gains["verdict"] = np.where(gains["ci_low"] > 0, PREDICTABLE, NOT_PREDICTABLE)
    effects = [effect_size(*row) for row in gains[["metric", "value_first", "value_second"]].to_numpy()]
    gains[["effect", "size"]] = pd.DataFrame(effects, gains.index, dtype=object)
    resampled = gains["unit"].map(lambda name: UNITS[name].split(",")[0])
    gains["row"] = gains["metric"].map(lambda m: FIGURES.get(m, m)) + "; " + resampled + " drawn"
    verdict = PREDICTABLE if (gains["verdict"] == PREDICTABLE).all() else NOT_PREDICTABLE
    about = {"model": model, "dataset": dataset, "features": predictions["features"].iloc[0], "seed": seed}
    scores = gains.assign(**about, metric="gain_over_metadata:" + gains["metric"], value=gains["difference"])
    scores = scores.reindex(columns=COLUMNS)
    weakest = scores.loc[[scores["ci_low"].fillna(-np.inf).idxmin()]].assign(metric=f"verdict: {verdict}")
    return Judgement(gains, verdict, pd.concat([scores, weakest], ignore_index=True))


def effect_size(metric: str, first: float, second: float) -> tuple[str, str]:
    """Cohen's effect size of a gain, as text and in words: of AUROCs d, ``sqrt(2) z(AUROC)``, of R2 f."""
    if metric.startswith("auc"):
        z = norm.ppf(np.clip([first, second], 1e-6, 1 - 1e-6))
        kind, effect = "d", float(np.sqrt(2) * (z[0] - z[1]))
    else:
        kind, effect = "f", float(np.sqrt(max(first - second, 0) / max(1 - first, 1e-6)))
    words = ("negligible", "small", "medium", "large")
    return f"{kind} = {effect:.2f}", words[int(np.searchsorted(SIZES[kind], effect, side="right"))]


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
    interval = f"[{row['ci_low']:+.3f}, {row['ci_high']:+.3f}] over {resampled}, {what}"
    return f"{text} {interval}: a {row['size']} effect ({row['effect']})."


def merging_effect(table: pd.DataFrame, *, draws: int = 200, seed: int = 0, **options: Any) -> pd.DataFrame:
    """How much of what a second naming gains comes from having fewer classes, and how much from other ones.

    Parameters
    ----------
    table : DataFrame
        From `compare_labels`; of its models the first is looked at.
    draws : int, default 200
        Random merges of the first naming's classes, to as many as the second leaves of them.
    seed, **options
        As in `score`.

    Returns
    -------
    DataFrame
        As from `score`; ``task`` is the first label, ``merged at random`` (mean over draws; its interval holds 95 % of
        them), ``merged`` (each class into that of the second label which most of its samples have), and the second.
        Merged are predictions: probabilities of merged classes are summed, no model is trained again.
    """
    if table.empty:
        return score(table)
    one = table[table["model"] == table["model"].iloc[0]]
    first, second = (rows for _, rows in one.groupby("task", sort=False))
    other = first["sample_id"].map(second.set_index("sample_id")["y_true"])
    along = pd.crosstab(first["y_true"], other).idxmax(axis=1)
    k, rng, chance = along.nunique(), np.random.default_rng(seed), []
    for _ in range(draws):
        parts = np.r_[np.arange(k), rng.integers(k, size=len(along) - k)].astype(str)
        shuffled = _merged(first, pd.Series(rng.permutation(parts), along.index))
        chance.append(score(shuffled, metrics=METRICS, n_boot=0))
    spread = pd.concat(chance).groupby("metric", sort=False)["value"]
    whole = [score(t, metrics=METRICS, seed=seed, **options) for t in (first, _merged(first, along), second)]
    drawn = whole[1].set_index("metric", drop=False)
    drawn = drawn.assign(value=spread.mean(), ci_low=spread.quantile(0.025), ci_high=spread.quantile(0.975))
    names = (f"{first['task'].iloc[0]} merged at random to {k}", f"{first['task'].iloc[0]} merged")
    parts = [whole[0], drawn.assign(task=names[0]), whole[1].assign(task=names[1]), whole[2]]
    return pd.concat(parts, ignore_index=True)


def compare_levels(
    task: Task,
    obs: pd.DataFrame,
    levels: Sequence[str],
    recipes: Iterable[str],
    *,
    split: str = "study",
    least: int = 3,
    n_splits: int | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Predict every level of a hierarchy by one model of its leaves, and each level by a model of its own.

    A leaf is a combination of classes, one of each level; classes of the last level that have too few studies (of all,
    those of the test too) are left out of it. Probabilities of leaves are summed over all that share a class, so that
    predictions of the levels never contradict each other, and a class of several kinds may have a profile for each.

    Parameters
    ----------
    task : Task
        Samples and studies.
    obs : DataFrame
        Metadata of the samples; those without a class at any but the last level are left out.
    levels : sequence of str
        Columns of `obs`, coarse to fine; the last only makes leaves.
    recipes, split, n_splits, **options
        As in `cross_validate`; `split` is a name. Folds are made of the classes of the last level but one.
    least : int, default 3
        Studies that a class of the last level needs to be a leaf.

    Returns
    -------
    DataFrame
        As from `cross_validate`; ``task`` is the level, then ``", leaves summed"`` or ``", its own model"``.

    Raises
    ------
    InputError
        A level that `obs` lacks, or fewer studies than folds.

    Examples
    --------
    >>> import srna_lib as srna
    >>> atlas = srna.load("demo")
    >>> options = {"n_splits": 3, "progress": False}
    >>> table = compare_levels(srna.make_task(atlas), atlas.obs, ["tissue_group", "tissue"], ["dummy"], **options)
    >>> list(table["task"].unique())
    ['tissue_group, leaves summed', 'tissue_group, its own model']
    """
    levels = list(dict.fromkeys(levels))
    if lacking := [level for level in levels if level not in obs]:
        raise InputError(f"levels {', '.join(levels)}: obs has no {lacking[0]!r}; expected names of its columns.")
    coarse, fine = levels[:-1] or levels, levels[-1]
    named = obs.loc[task.y.index, levels].astype(object)
    known = named[coarse].notna().all(axis=1).to_numpy()
    named, parts = named[known].astype(str), {"X": task.X[known], "groups": task.groups[known]}
    parts |= {"donors": None if task.donors is None else task.donors[known], "kinds": None}
    studies = parts["groups"].groupby([named[c] for c in levels]).transform("nunique")
    named[fine] = named[fine].where((studies >= least) & obs.loc[named.index, fine].notna(), "")
    leaf = named.agg(" / ".join, axis=1)
    leaves, tables = replace(task, name="leaf", y=leaf, **parts), []
    splits = make_splits(
        replace(task, y=named[coarse[-1]], **parts), split, n_splits=n_splits, seed=options.get("seed", 0)
    )
    options |= {"split": splits, "scheme": ALIASES.get(split, split)}
    summed = cross_validate(leaves, recipes, **options)
    for level in coarse:
        into = named[level].groupby(leaf).first()
        tables += [_merged(table, into).assign(task=f"{level}, leaves summed") for table in each_model(summed)]
        own = replace(task, name=level, y=named[level], **parts)
        tables.append(cross_validate(own, recipes, **options).assign(task=f"{level}, its own model"))
    return pd.concat(tables, ignore_index=True)


def _merged(table: pd.DataFrame, into: pd.Series) -> pd.DataFrame:
    """An out-of-fold table whose classes are merged: class -> new class; a class that is not named stays."""
    classes, p = probabilities(table)
    new = pd.Series(classes, classes).replace(into.to_dict())
    summed = pd.DataFrame(p, table.index, new.to_numpy()).T.groupby(level=0).sum().T
    head = table[[c for c in table if not str(c).startswith("p_")]]
    head = head.assign(y_true=head["y_true"].replace(into.to_dict()), y_pred=summed.idxmax(axis=1))
    return pd.concat([head, summed.add_prefix("p_")], axis=1)


BATCHES = {"whole": 0, "in fives": 5, "one at a time": 1, "classes apart": -1}  # samples that come together


def run_batches(
    task: Task,
    atlas: ad.AnnData,
    recipes: Iterable[str],
    splits: list[Split],
    *,
    context: tuple[str, ...],
    profile: Profile | None = None,
    seed: int = 0,
    **run: Any,
) -> pd.DataFrame:
    """Predict the test samples of each split together and apart, to see what a prediction owes to its company.

    Parameters
    ----------
    task, atlas, context, profile, seed
        As in `cross_validate`.
    recipes : iterable of str
        Names of recipes; those that centre cohorts are run with both of their `models.CENTRES`.
    splits : list of Split
        That leave out whole cohorts, where the centre matters.
    **run
        ``n_jobs``, ``cache``, ``progress``, as in `cross_validate`.

    Returns
    -------
    DataFrame
        As from `cross_validate`; ``scheme`` is one of `BATCHES`: the test samples as a ``whole``, ``in fives`` at
        random, ``one at a time``, or those of each class apart. ``model`` names the centre.
    """
    tables = []
    for name in recipes:
        seen = seen_by(name, task, atlas, context)
        model = build_recipe(task, name, seed=seed, profile=profile or Profile(), by=context[0])
        for centre in ("training", "batch") if name in CONDITIONED else ("",):
            one = model.set_params(classifier__centre=centre) if centre else model
            work = partial(_in_batches, seen, one, seed)
            key = task_key(seen, one, [__name__], seed)
            title = f"{name}, centre: {centre}" if centre else name
            folds = map_folds(work, splits, key=key, label=f"{title}, batches", **run)
            tables.append(pd.concat(folds).assign(task=task.name, model=title, features=task.features))
    return pd.concat(tables, ignore_index=True)


def run_single_class(
    whole: ad.AnnData, atlas: ad.AnnData, label: str, recipes: Iterable[str], *, profile: Profile, seed: int, **run: Any
) -> pd.DataFrame:
    """Predict the data sets of one class alone by models of an atlas, as wholes: the hardest company (`run_batches`).

    `whole` holds those data sets and the samples of `atlas`. Empty where there are not several of different classes;
    ``scheme`` is ``"cohorts of one class"``.
    """
    known = whole.obs[whole.obs[label].notna()]
    classes = known.groupby(known["dataset_id"].astype(str))[label].nunique()
    alone = whole.obs["dataset_id"].astype(str).isin(classes.index[classes == 1]).to_numpy()
    both = subsample(
        whole[alone | whole.obs_names.isin(atlas.obs_names)], label, per_study=profile.per_study, seed=seed
    )
    task = make_task(both, label, min_class_size=1)
    test = task.y.index.isin(whole.obs_names[alone])
    if task.y[test].nunique() < 2 or task.y[~test].nunique() < 2:
        return pd.DataFrame(columns=[*FRONT, "y_true"])
    split = Split("cohorts of one class", np.flatnonzero(~test), np.flatnonzero(test))
    table = run_batches(task, both, recipes, [split], profile=profile, seed=seed, **run)
    return table[table["scheme"] == "whole"].assign(scheme=split.fold)


def _in_batches(task: Task, model: Pipeline, seed: int, split: Split) -> pd.DataFrame:
    """Predictions of one split's test samples in all `BATCHES`."""
    fitted, X, y = fit_fold(task, model, split.train), task.X.iloc[split.test], task.y.iloc[split.test]
    about = pd.DataFrame({"sample_id": X.index, "dataset_id": task.groups.to_numpy()[split.test], "y_true": y.array})
    about["donor_id"] = about["sample_id"] if task.donors is None else task.donors.to_numpy()[split.test]
    shuffled, tables = np.random.default_rng(seed).permutation(len(X)), []
    for kind, size in BATCHES.items():
        together = shuffled // size if size > 0 else shuffled * 0 if size == 0 else pd.factorize(y)[0]
        batches = [np.flatnonzero(together == i) for i in np.unique(together)]
        with warnings.catch_warnings():  # that few samples have no centre is the question here
            warnings.filterwarnings("ignore", message=".*too few for a centre of their own", category=UserWarning)
            p = np.concatenate([fitted.predict_proba(X.iloc[rows]) for rows in batches])
        rows = np.concatenate(batches)
        table = about.iloc[rows].reset_index(drop=True).assign(scheme=kind, y_pred=fitted.classes_[p.argmax(axis=1)])
        tables.append(table.join(pd.DataFrame(p, columns=[f"p_{c}" for c in fitted.classes_])))
    return pd.concat(tables, ignore_index=True)


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
        atlases = [harmonise(atlas, "stem-loop")[0] for atlas in atlases]
    shared = shared_names(*(atlas.var_names for atlas in atlases))
    if not shared:
        raise InputError(f"{names[0]} and {names[1]} have no sRNA in common; expected some to carry a model by.")
    kept = [harmonise(atlas, shared)[0] for atlas in atlases]
    both = [n for n in shared if all(n in atlas.var_names for atlas in kept)]
    kept = [atlas[:, both] for atlas in kept]
    before, after = ([float(atlas.X.sum()) for atlas in group] for group in ((first, second), kept))
    report = {"atlas": names, "level": levels, "features": [first.n_vars, second.n_vars], "shared": len(both)}
    report["reads_kept"] = np.divide(after, np.maximum(before, 1.0))
    obs = pd.concat([atlas.obs.assign(atlas=name) for atlas, name in zip(kept, names, strict=True)])
    info = dict(first.uns["srna"]) | {"name": " + ".join(names), "title": f"{names[0]} and {names[1]}"}
    X = sp.vstack([sp.csr_matrix(atlas.X) for atlas in kept]).tocsr()
    return check_atlas(ad.AnnData(X=X, obs=obs, var=kept[0].var.copy(), uns={"srna": info})), pd.DataFrame(report)


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
    label, recipes
        Column of ``obs``; names of recipes.
    directions : dict
        Name of the direction -> samples to fit on, samples to predict, such as from `both_ways`; two sides that share a
        sample or a donor, or lack a class, are an `InputError`. Samples without a label are left out.
    **options
        As in `cross_validate`. A data set that no model was fitted on is centred on itself by conditioned recipes,
        which takes its profiles but none of its labels.

    Returns
    -------
    DataFrame
        As from `cross_validate`, scheme ``"external"``; ``fold`` names the direction.
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
