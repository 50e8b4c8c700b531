"""How many sRNAs must be masked before a prediction flips: the first step at which it is another class.

The first layer is linear in the input, so its sums along a path are prefix sums of ``change[j] * kernel[j]`` over the
sRNAs j masked so far; only the later layers are computed anew. Every step is evaluated until the answer is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import anndata as ad
import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from srna_lib.data import Task, eligible, make_task, with_label
from srna_lib.errors import InputError, one_of
from srna_lib.evaluate import Split, fit_fold, make_splits, map_folds, task_key
from srna_lib.models import recipe
from srna_lib.stability.masking import MaskedInput, mask_input, network_of
from srna_lib.stability.orders import Order, deeplift_order, plain_order, random_order

ORDERS = {
    "deeplift": "D2, contribution to the own class minus contribution to the other",
    "forest": "importance in the paper's forest, the same order for every sample and class",
    "forest_x_input": "that importance times the sample's input (distance from masked), for every class the same",
    "input": "the sample's largest input first, for every class the same",
    "reads": "the sample's most abundant sRNA first, for every class the same",
    "random": "random for every sample and class",
}
SAMPLES = 64  # samples whose scores are held at a time: SAMPLES * n_classes * n_features numbers, a few times
STEPS = 1024  # most steps evaluated in one matrix product; more leave the processor's cache
NEAR = 3e-5  # relative gap between the two best logits below which a step is decided in double precision
NEVER = -1


def steps_to_flip(
    net: Pipeline, X: pd.DataFrame, *, order: str | pd.Series = "deeplift", masking: str = "zero",
    background: pd.DataFrame | None = None, recompute_every: int | None = None, max_steps: int | None = None,
    seed: int = 0, n_jobs: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Count how many sRNAs must be masked until the prediction of a sample becomes each other class.

    The sRNAs that a sample expresses are masked one by one, first those that argue most for its predicted class
    against the other one. Few steps: the two classes lie close in the eyes of the network, or the prediction is weak
    (Fiosina, Fiosins, Bonn 2020, section 2.4).

    Parameters
    ----------
    net : Pipeline
        Fitted recipe that ends in a network, such as ``dl_paper`` or ``dl_log``.
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts, with the columns that `net` was fitted on.
    order : str or Series, default "deeplift"
        What is masked first: ``"deeplift"`` (the paper's; contribution to the predicted class minus contribution to
        the other), ``"input"`` (largest distance of the model input from masked), ``"reads"`` (most abundant),
        ``"random"`` (what any order must beat), or an importance by name of sRNA, the same for all samples.
    masking : str, default "zero"
        ``"zero"`` (the paper's) takes the reads of an sRNA away and leaves the others' reads per million;
        ``"renormalised"`` lets these rise, as in a library without those reads; ``"mean"`` puts the mean of
        `background` in, which suits inputs whose zero lies far from the data.
    background : DataFrame, optional
        Training samples, as `X`; needed for ``"mean"``.
    recompute_every : int, optional
        Order the sRNAs that are left anew after so many steps; default never (the paper). Follows the state of the
        network more closely, at the price of a backward pass each time.
    max_steps : int, optional
        Look no further; default all expressed sRNAs.
    seed, n_jobs : int
        Of random orders; processes, each of which takes blocks of samples.

    Returns
    -------
    DataFrame, one row per sample and other class
        ``sample, predicted, other``; ``steps`` until the prediction is `other`, ``srna`` that tips it, ``share`` of the
        expressed sRNAs and ``reads`` (share of the library) masked by then, all missing where ``censored``: no flip
        within the steps looked at. ``leaves`` (steps until the prediction is anything else on that path, missing where
        it stays) and ``became`` (what it is then); ``expressed`` (sRNAs).

    Examples
    --------
    >>> import pandas as pd, srna_lib as srna
    >>> X = pd.DataFrame({"miR-1": [90, 80, 9, 8], "miR-122": [1, 2, 91, 92], "let-7a": [40, 60, 50, 55]})
    >>> X, y = pd.concat([X] * 50, ignore_index=True), pd.Series(["heart", "heart", "liver", "liver"] * 50)
    >>> small = {"classifier__hidden": (8,), "classifier__dropout": (0.0,), "classifier__epochs": 40}
    >>> net = srna.recipe("dl_paper", **small).fit(X, y)
    >>> steps = srna.steps_to_flip(net, X.iloc[[2]])
    >>> print(steps[["predicted", "other", "steps", "srna", "censored"]].to_string(index=False))
    predicted other  steps    srna  censored
        liver heart    1.0 miR-122     False
    """
    network, inputs = network_of(net), mask_input(net, X, masking=masking, background=background)
    rule = make_order(order, network, inputs, seed)
    flips = first_flips(inputs, network, rule, recompute_every=recompute_every, max_steps=max_steps, n_jobs=n_jobs)
    columns = {"own": "predicted", "similarity": "steps", "stability": "leaves", "n_active": "expressed"}
    columns |= {f"similarity_{name}": name for name in ("srna", "share", "reads")}
    flips = flips.rename(columns=columns).assign(sample=X.index[flips["sample"]], censored=flips["similarity"].isna())
    names = ["sample", "predicted", "other", "steps", "censored", "srna", "share", "reads", "leaves", "became"]
    return flips[[*names, "expressed"]]


def make_order(
    order: str | pd.Series, network: Any, inputs: MaskedInput, seed: int = 0, importance: pd.Series | None = None
) -> Order:
    """The order that `steps_to_flip` was asked for, for one fitted network; those of the forest need its importance."""
    if isinstance(order, pd.Series):
        order, importance = "forest", order
    if order == "random":
        return random_order(len(network.classes_), seed=seed)
    if order == "deeplift":
        return deeplift_order(network, inputs.blank)
    by = {"input": lambda here: np.abs(here.values - here.blank), "reads": lambda here: here.reads}
    if importance is not None:
        weight = importance.reindex(inputs.features).fillna(0.0).to_numpy()
        by |= {"forest": lambda here: weight, "forest_x_input": lambda here: weight * np.abs(here.values - here.blank)}
    if order not in by:
        raise InputError(f"unknown order {order!r}: expected deeplift, {', '.join(by)}, random or an importance.")
    return plain_order(by[order], len(network.classes_))


def first_flips(
    inputs: MaskedInput, network: Any, order: Order, *, samples: Any = None,
    recompute_every: int | None = None, max_steps: int | None = None, n_jobs: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """First flips, one row per sample and other class; `samples` are positions in a larger table, for random orders.

    ``own`` is the predicted class; ``similarity`` the first step at which the prediction is ``other``, ``stability``
    at which it is not ``own`` (``became``); each with sRNA, share of the ``n_active`` and reads. ``exhausted``: every
    active sRNA was masked, so a flip that has not come never comes; else the path was censored at ``looked`` steps.
    """
    for name, value in (("max_steps", max_steps), ("recompute_every", recompute_every)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; expected at least 1.")
    if recompute_every and order.again is None:
        raise InputError("recompute_every: random and given orders do not depend on the state; expected deeplift.")
    n = len(inputs.values)
    samples = np.arange(n) if samples is None else np.asarray(samples)
    blocks = [slice(i, i + SAMPLES) for i in range(0, n, SAMPLES)]
    run = joblib.delayed(_walk)
    jobs = [run(inputs.take(b), network, order, samples[b], recompute_every, max_steps) for b in blocks]
    return pd.concat(joblib.Parallel(n_jobs=n_jobs)(jobs), ignore_index=True)


def _walk(
    inputs: MaskedInput, network: Any, order: Order, samples: np.ndarray, every: int | None, limit: int | None
) -> pd.DataFrame:
    """First flips of a block of samples: all paths move on together, some steps at a time, until each is decided."""
    paths = _Paths(inputs, network, order, samples)
    row, own, other, each = paths.row, paths.own[paths.row], paths.other, np.arange(len(paths.row))
    length = inputs.active[row].sum(axis=1)
    looked = np.minimum(length, limit or length)
    similarity, stability, became = (np.full(len(row), NEVER) for _ in range(3))
    todo, done = np.flatnonzero(looked > 0), 0
    while len(todo):
        if every and done and done % every == 0:
            paths.reorder(todo, done)
        width = min(8 if done < 32 else 16, len(inputs.features) - done, every - done % every if every else 16)
        steps = np.arange(done + 1, done + width + 1)
        for block in _blocks(todo, STEPS // width):
            labels = paths.next_labels(block, done, width)
            for first, hit in ((similarity, labels == other[block, None]), (stability, labels != own[block, None])):
                hit &= (steps <= looked[block, None]) & (first[block, None] == NEVER)
                new, at = hit.any(axis=1), hit.argmax(axis=1)
                first[block[new]] = steps[at[new]]
                if first is stability:
                    became[block[new]] = labels[new, at[new]]
        done += width
        todo = todo[(similarity[todo] == NEVER) & (looked[todo] > done)]
    names = np.array([*network.classes_, None], dtype=object)
    table = {"sample": samples[row], "own": names[own], "other": names[other]}
    table |= {"n_active": length, "looked": looked, "exhausted": looked == length}
    reads = np.take_along_axis(inputs.reads[row], paths.sequence, axis=1).cumsum(axis=1)
    for name, first in (("similarity", similarity), ("stability", stability)):
        flipped, at = first != NEVER, np.maximum(first - 1, 0)
        table[name] = np.where(flipped, first, np.nan)
        table[f"{name}_srna"] = np.where(flipped, inputs.features[paths.sequence[each, at]], None)
        table[f"{name}_share"] = np.where(flipped, first / np.maximum(length, 1), np.nan)
        table[f"{name}_reads"] = np.where(flipped, reads[each, at], np.nan)
    return pd.DataFrame(table | {"became": names[became]})


class _Paths:
    """Paths of samples to all other classes through a network: what its layers say after many steps at once."""

    def __init__(self, inputs: MaskedInput, network: Any, order: Order, samples: np.ndarray) -> None:
        self.inputs, self.order = inputs, order
        self.layers = list(zip(network.weights_[::2], network.weights_[1::2], strict=True))
        self.precise = [(kernel.astype(np.float64), bias.astype(np.float64)) for kernel, bias in self.layers]
        self.own = self.decide_precisely(inputs.values)
        self.row, self.other = np.nonzero(np.arange(len(network.classes_)) != self.own[:, None])
        scores = order.start(inputs, self.own, samples)[self.row, self.other]
        self.sequence = _falling(scores, inputs.active[self.row])
        (kernel, bias), self.change = self.layers[0], inputs.blank - inputs.values
        self.sums = (-self.change @ kernel + (inputs.blank @ kernel + bias))[self.row]  # of the first layer, so far

    def next_labels(self, block: np.ndarray, done: int, width: int) -> np.ndarray:
        """Predicted class of some paths after each of the next steps, shape (paths, width); moves `sums` on."""
        row, sequence = self.row[block], self.sequence[block]
        path, step = np.divmod(np.arange(len(block) * width), width)
        if self.inputs.counts is None:
            ahead = sequence[:, done : done + width]
            sums = self.layers[0][0][ahead]
            sums *= self.change[row[:, None], ahead][:, :, None]
            sums[:, 0] += self.sums[block]
            for i in range(1, width):
                sums[:, i] += sums[:, i - 1]
            self.sums[block] = sums[:, -1]
            sums = sums.reshape(len(path), -1)
        else:  # the library changes, and with it all other sRNAs: no sum can be carried on
            kernel, bias = self.layers[0]
            masked = np.argsort(sequence, axis=1)[path] < (done + step + 1)[:, None]
            sums = self.inputs.after(row[path], masked) @ kernel + bias
        logits = _later_layers(self.layers, sums)
        labels = logits.argmax(axis=1)
        best = np.partition(logits, -2, axis=1)[:, -2:]
        near = best[:, 1] - best[:, 0] < NEAR * (1.0 + np.abs(logits).max(axis=1))
        for at in _blocks(np.flatnonzero(near), STEPS):  # rounding in the prefix sums must not move a flip
            masked = _masked(sequence[path[at]], done + step[at] + 1)
            labels[at] = self.decide_precisely(self.inputs.after(row[path[at]], masked))
        return labels.reshape(len(block), width)

    def decide_precisely(self, values: np.ndarray) -> np.ndarray:
        """Predicted class by a forward pass in double precision; equal logits go to the class that sorts first."""
        kernel, bias = self.precise[0]
        return _later_layers(self.precise, values.astype(np.float64) @ kernel + bias).argmax(axis=1)

    def reorder(self, todo: np.ndarray, done: int) -> None:
        """Order the rest of each path by scores in its present state."""
        assert self.order.again is not None
        for block in _blocks(todo, STEPS):
            row, sequence = self.row[block], self.sequence[block]
            masked = _masked(sequence, np.full(len(block), done))
            scores = self.order.again(self.inputs.after(row, masked), self.own[row], self.other[block])
            fresh = _falling(np.where(masked, np.inf, scores), self.inputs.active[row])
            self.sequence[block, done:] = fresh[:, done:]


def _later_layers(layers: list, sums: np.ndarray) -> np.ndarray:
    """Logits of dense ReLU layers from the sums of the first layer, which are used up."""
    for kernel, bias in layers[1:]:
        sums = np.maximum(sums, 0, out=sums) @ kernel
        sums += bias
    return sums


def _falling(scores: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Features in falling order of score, those that cannot be masked last; ties in order of position."""
    return np.argsort(np.where(active, -scores, np.inf), axis=1, kind="stable").astype(np.int32)


def _masked(sequence: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Which features are masked after so many steps of each path, shape (paths, n_features)."""
    return np.argsort(sequence, axis=1) < steps[:, None]


def _blocks(positions: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for i in range(0, len(positions), max(size, 1)):
        yield positions[i : i + max(size, 1)]


def flip_curves(
    net: Pipeline, X: pd.DataFrame, firm: pd.DataFrame, *, order: str | pd.Series = "deeplift",
    masking: str = "zero", background: pd.DataFrame | None = None, seed: int = 0, importance: pd.Series | None = None,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Probability of every class along the path of each sample in `firm` (from `firmness`) to its class ``other``.

    Other parameters as in `steps_to_flip`; `importance` (by name of sRNA) for the forest's orders. Per sample, named
    with its predicted and true class, one row per step from 0: ``step, srna`` (masked at it; missing at step 0),
    ``reads`` (share of the library masked so far), ``predicted, p_<class>...``.
    """
    network, curves = network_of(net), {}
    for row in firm.itertuples():
        inputs = mask_input(net, X.loc[[row.sample_id]], masking=masking, background=background)
        own, place = network.logits(inputs.values).argmax(axis=1), np.array([X.index.get_loc(row.sample_id)])
        scores = make_order(order, network, inputs, seed, importance).start(inputs, own, place)
        sequence = _falling(scores[:, list(network.classes_).index(row.other)], inputs.active)
        steps = np.arange(inputs.active.sum() + 1)
        p = network.predict_proba(inputs.after(np.zeros(len(steps), int), np.argsort(sequence) < steps[:, None]))
        path = sequence[0, : len(steps) - 1]
        reads = np.append(0.0, inputs.reads[0, path].cumsum())
        front = {"step": steps, "srna": [None, *inputs.features[path]], "reads": reads}
        table = pd.DataFrame(front | {"predicted": network.classes_[p.argmax(axis=1)]})
        name = f"{row.sample_id}: {row.y_pred} ({'correct' if row.y_pred == row.y_true else f'is {row.y_true}'})"
        curves[name] = table.join(pd.DataFrame(p, columns=[f"p_{c}" for c in network.classes_]))
    return curves


def cross_flips(
    task: Task, model: Pipeline, splits: list[Split], *, scheme: str, name: str,
    orders: Iterable[str] = ("deeplift",), masking: str = "zero", recompute_every: int | None = None,
    controls: int | None = None, seed: int = 0, forest: Pipeline | None = None, **run: Any,
) -> pd.DataFrame:  # fmt: skip
    """Count steps to flip for every test sample, by a model fitted on the other side of its split.

    Parameters
    ----------
    task, model, splits, scheme, name, **run
        As in `evaluate.cross_validate`; the model ends in a network.
    orders : iterable of str, default ("deeplift",)
        From `ORDERS`; the first is the one in question, the others are controls.
    masking, recompute_every
        As in `steps_to_flip`; the latter concerns the order ``"deeplift"`` only.
    controls : int, optional
        Random samples per fold that walk in the orders after the first; default all. These walks are the long ones:
        many of their paths flip late or never.
    seed : int, default 0
        Seed of random orders, of the forest and of the choice of samples.
    forest : Pipeline, optional
        Recipe of the order ``"forest"``; default ``rf_paper``.

    Returns
    -------
    DataFrame, one row per order, test sample and other class
        Columns of `evaluate.cross_validate` (``p_<class>`` before anything is masked), ``order, own`` (predicted
        class), ``other, n_active`` (expressed sRNAs), ``looked`` (steps), and the first flip to ``other``
        (``similarity``) and to anything (``stability``, into ``became``): step, missing without a flip, ``_srna``,
        ``_share``, ``_reads``.
    """
    orders = tuple(orders)
    for kind in orders or [""]:
        one_of("order", kind, ORDERS)
    forest = recipe("rf_paper", seed=seed) if forest is None else forest
    settings = (orders, masking, recompute_every, controls, seed)
    grown = any(kind.startswith("forest") for kind in orders)
    trees = sorted((k, repr(v)) for k, v in forest.get_params().items()) if grown else ""
    key = task_key(task, model, ["srna_lib.explain.deeplift", "srna_lib.stability."], settings, trees)
    walk = partial(_fold, task, model, forest, settings)
    out = pd.concat(map_folds(walk, splits, key=key, label=f"{name}, {scheme}, flips", **run), ignore_index=True)
    out = out.assign(task=task.name, model=name, features=task.features, scheme=scheme)
    front = ["sample_id", "dataset_id", "task", "model", "features", "scheme", "fold", "y_true", "y_pred"]
    probabilities = [f"p_{c}" for c in task.classes]
    middle = [c for c in out.columns if c not in front and not c.startswith("p_")]
    out = out.reindex(columns=[*front, *middle, *probabilities])
    return out.fillna(dict.fromkeys(probabilities, 0.0))  # classes that were not in a fold's training samples


def donor_flips(atlas: ad.AnnData, walk: Callable[..., pd.DataFrame], *, n_splits: int, seed: int) -> pd.DataFrame:
    """Flips for sex and for two age intervals, both feature sets together, in random folds; no rows where unknown.

    `walk` is `cross_flips` with all that is set but ``task`` and ``splits``.
    """
    tables = []
    for label, column in {"sex": "sex", "age_2": "age_years"}.items():
        if column in atlas.obs and atlas.obs[column].notna().any():
            try:
                known = eligible(with_label(atlas, label), label)
                task = make_task(known, label, min_class_size=5, features="both")
            except InputError:  # in no data set can it be learned
                continue
            tables.append(walk(task=task, splits=make_splits(task, "random_5fold", n_splits=n_splits, seed=seed)))
    nothing = pd.DataFrame(columns=["sample_id", "dataset_id", "task", "order", "own", "other", "y_true", "y_pred"])
    return pd.concat(tables, ignore_index=True) if tables else nothing


def _fold(task: Task, model: Pipeline, forest: Pipeline, settings: tuple, split: Split) -> pd.DataFrame:
    """Flips of one fold's test samples in all orders."""
    orders, masking, recompute_every, controls, seed = settings
    X = task.X.iloc[split.test]
    fitted = fit_fold(task, model, split.train)
    network, inputs = fitted[-1], mask_input(fitted, X, masking=masking, background=task.X.iloc[split.train])
    chosen = np.sort(np.random.default_rng((seed, int(split.test[0]))).permutation(len(X))[:controls])
    grown, tables = any(name.startswith("forest") for name in orders), []
    importance = forest_importance(task, split, forest) if grown else None
    for name in orders:
        rows = np.arange(len(X)) if name == orders[0] else chosen
        order = make_order(name, network, inputs, seed, importance)
        every = recompute_every if order.again else None
        flips = first_flips(inputs.take(rows), network, order, samples=split.test[rows], recompute_every=every)
        tables.append(flips.assign(order=name))
    flips = pd.concat(tables, ignore_index=True)
    at = pd.Index(split.test).get_indexer(flips.pop("sample"))
    whose = {"sample_id": X.index, "dataset_id": task.groups.iloc[split.test], "y_true": task.y.iloc[split.test]}
    flips = flips.assign(**{c: np.asarray(values)[at] for c, values in whose.items()}, y_pred=flips["own"])
    p = pd.DataFrame(network.predict_proba(inputs.values)[at], columns=[f"p_{c}" for c in network.classes_])
    return pd.concat([flips, p], axis=1)


def forest_importance(task: Task, split: Split, forest: Pipeline) -> pd.Series:
    """Importance of each sRNA in a forest fitted on the training side of a split."""
    trees = fit_fold(task, forest, split.train)
    return pd.Series(trees[-1].feature_importances_, index=trees[:-1].get_feature_names_out())
