"""How many sRNAs must be masked before a prediction flips: exact first steps, and fold by fold.

The first layer is linear in the input, so its sums after each step are prefix sums of ``change[j] * kernel[j]`` over
the sRNAs j silenced so far; only the later layers are computed anew.

sRNAs are silenced in the order of what they argue for the own class k against another class k'. The first step at
which the prediction is k' measures similarity, the first at which it is anything but k measures stability. Every step
is evaluated, from the first on, until the answer is known: prefix sums over the rows of the first layer's kernel give
all its sums along a path, so a step costs one row of a matrix product and no pass through the preprocessing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from srna_lib import evaluate
from srna_lib.data import Task
from srna_lib.errors import InputError
from srna_lib.evaluate import Split, map_folds, model_code, task_key
from srna_lib.models import recipe
from srna_lib.stability.masking import EMPTY, Silencing, classifier_of, silence
from srna_lib.stability.orders import Order, deeplift_order, fixed_order, random_order

NEAR = 3e-5  # relative gap between the two best logits below which a step is decided in double precision
NEVER = -1


def sequences(scores: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Features in falling order of score, those that cannot be silenced last; ties in order of position.

    Parameters
    ----------
    scores : array, shape (m, n_features)
    active : array of bool, shape (m, n_features)

    Returns
    -------
    array of int32, shape (m, n_features)
    """
    return np.argsort(np.where(active, -scores, np.inf), axis=1, kind="stable").astype(np.int32)


class Walk:
    """Paths through a network: what its layers say after each of many steps at once."""

    def __init__(self, ground: Silencing, network: Any, rows: int) -> None:
        self.ground, self.classes, self.rows = ground, network.classes_, rows
        weights = [np.ascontiguousarray(w, dtype=np.float32) for w in network.weights_]
        self.layers = list(zip(weights[::2], weights[1::2], strict=True))
        self.precise = [(w.astype(np.float64), b.astype(np.float64)) for w, b in self.layers]
        renormalised = ground.masking == "renormalised"
        if ground.is_linear and renormalised:  # input = scale * rpm * library factor + offset
            self.shift = (ground.scale * 1e6 * -ground.reads).astype(np.float32)
            self.constant = (ground.offset @ self.layers[0][0] + self.layers[0][1]).astype(np.float32)
        else:
            self.shift = ground.masked - ground.values
            self.constant = np.zeros(len(self.layers[0][1]), np.float32)
        self.renormalised = renormalised

    def take(self, part: slice) -> Walk:
        """The same for some of the samples."""
        other = object.__new__(Walk)
        other.__dict__.update(self.__dict__, ground=self.ground.take(part), shift=self.shift[part])
        return other

    def flips(
        self, samples: np.ndarray, codes: np.ndarray | None, order: Order, limit: int | None, every: int | None
    ) -> pd.DataFrame:
        """First flips of a batch of samples; arguments as in `first_flips`."""
        ground, k = self.ground, len(self.classes)
        n, p = ground.values.shape
        start = _logits(self.layers, ground.values)
        predicted = self._decide(start, np.arange(n), np.zeros((n, p), bool), np.ones(n))
        own = predicted if codes is None else codes
        row, other = np.nonzero(np.arange(k)[None, :] != own[:, None])
        length = ground.active.sum(axis=1)
        looked = np.minimum(length, p if limit is None else limit)[row]
        sequence = np.empty((len(row), p), np.int32)
        if n:
            scores = order.start(ground.values, own, samples)
            sequence[:] = sequences(scores[row, other], ground.active[row])
        found = {
            "similarity": np.where(predicted[row] == other, 0, NEVER),
            "stability": np.where(predicted[row] != own[row], 0, NEVER),
        }
        became = np.where(found["stability"] == 0, predicted[row], NEVER)
        base = self._base()[row]
        todo = np.flatnonzero((found["similarity"] == NEVER) & (looked > 0))
        done, width = 0, min(8, every or 8)
        while len(todo):
            width = min(width, p - done)
            if every and done and done % every == 0:
                self._reorder(order, sequence, todo, done, row, own, other)
            for block in _blocks(todo, self.rows // width):
                steps = done + np.arange(1, width + 1)
                labels = self._labels(block, row, sequence, base, done, width)
                valid = steps <= looked[block][:, None]
                for name, hit in (
                    ("similarity", labels == other[block][:, None]),
                    ("stability", labels != own[row[block]][:, None]),
                ):
                    hit &= valid & (found[name][block] == NEVER)[:, None]
                    new = hit.any(axis=1)
                    at = hit.argmax(axis=1)[new]
                    found[name][block[new]] = steps[at]
                    if name == "stability":
                        became[block[new]] = labels[new, at]
            done += width
            todo = todo[(found["similarity"][todo] == NEVER) & (looked[todo] > done)]
            wanted = 8 if done < 32 else 16
            width = wanted if not every else min(wanted, every - done % every)
        return self._table(samples, own, other, predicted, row, looked, length, sequence, found, became)

    def _base(self) -> np.ndarray:
        """Sums of the first layer before anything is silenced (with a changing library: the part that scales)."""
        kernel, bias = self.layers[0]
        if self.ground.is_linear and self.renormalised:
            return -self.shift @ kernel
        return self.ground.values @ kernel + bias

    def _labels(
        self, block: np.ndarray, row: np.ndarray, sequence: np.ndarray, base: np.ndarray, done: int, width: int
    ) -> np.ndarray:
        """Predicted class after each of the next steps, shape (paths, width); moves `base` on."""
        rows, ahead = row[block], sequence[block, done : done + width]
        width = ahead.shape[1]
        factor = np.ones((len(block), width), np.float32)
        if self.renormalised:
            taken = np.take_along_axis(self.ground.reads[rows], sequence[block, : done + width], axis=1)
            left = 1.0 - taken.cumsum(axis=1)[:, done:]
            factor = np.where(left > EMPTY, 1.0 / np.where(left > EMPTY, left, 1.0), 1.0).astype(np.float32)
        if self.ground.is_linear:
            sums = self.layers[0][0][ahead]
            sums *= self.shift[rows[:, None], ahead][:, :, None]
            sums[:, 0] += base[block]
            for step in range(1, width):
                sums[:, step] += sums[:, step - 1]
            base[block] = sums[:, -1]
            if self.renormalised:
                sums *= factor[:, :, None]
                sums += self.constant
            sums = sums.reshape(len(block) * width, -1)
            logits = _logits(self.layers, sums, first=False)
        else:
            logits = _logits(
                self.layers, self._dense(rows, sequence[block], done, width).reshape(len(block) * width, -1)
            )
        silenced = _Silenced(sequence[block], done, width)
        return self._decide(logits, np.repeat(rows, width), silenced, factor.ravel()).reshape(len(block), width)

    def _dense(self, rows: np.ndarray, sequence: np.ndarray, done: int, width: int) -> np.ndarray:
        every = np.arange(len(rows) * width)
        silenced = _Silenced(sequence, done, width)[every].reshape(len(rows), width, -1)
        return self.ground.inputs(rows, silenced)

    def _decide(self, logits: np.ndarray, rows: np.ndarray, silenced: Any, factor: np.ndarray) -> np.ndarray:
        """Class of each row of logits; near ties are computed again, from the input on, in double precision."""
        labels = logits.argmax(axis=1)
        if logits.shape[1] < 2:
            return labels
        best = np.partition(logits, -2, axis=1)[:, -2:]
        scale = 1.0 + np.abs(logits).max(axis=1)
        near = np.flatnonzero(best[:, 1] - best[:, 0] < NEAR * scale * np.maximum(factor, 1))
        for part in _blocks(near, self.rows):
            inputs = self.ground.inputs(rows[part], silenced[part]).astype(np.float64)
            labels[part] = _logits(self.precise, inputs).argmax(axis=1)
        return labels

    def _reorder(
        self,
        order: Order,
        sequence: np.ndarray,
        todo: np.ndarray,
        done: int,
        row: np.ndarray,
        own: np.ndarray,
        other: np.ndarray,
    ) -> None:
        """Order the rest of each path by scores in its present state."""
        assert order.again is not None
        for block in _blocks(todo, self.rows):
            silenced = np.zeros((len(block), sequence.shape[1]), bool)
            np.put_along_axis(silenced, sequence[block, :done], True, axis=1)
            rows = row[block]
            scores = order.again(self.ground.inputs(rows, silenced), own[rows], other[block])
            first = np.where(silenced, np.inf, scores)
            fresh = sequences(first, self.ground.active[rows])
            sequence[block, done:] = fresh[:, done:]

    def _table(
        self,
        samples: np.ndarray,
        own: np.ndarray,
        other: np.ndarray,
        predicted: np.ndarray,
        row: np.ndarray,
        looked: np.ndarray,
        length: np.ndarray,
        sequence: np.ndarray,
        found: dict[str, np.ndarray],
        became: np.ndarray,
    ) -> pd.DataFrame:
        names = np.append(self.classes.astype(object), [None])
        table = {
            "sample": samples[row],
            "own": names[own[row]],
            "other": names[other],
            "predicted": names[predicted[row]],
            "wrong": predicted[row] != own[row],
            "n_active": length[row],
            "looked": looked,
            "exhausted": looked == length[row],
        }
        reads = np.take_along_axis(self.ground.reads[row], sequence, axis=1).cumsum(axis=1)
        features = np.append(self.ground.features, [None])
        for name, steps in found.items():
            flipped, silenced = steps != NEVER, steps > 0
            at = np.maximum(steps - 1, 0)[:, None]
            tipped = np.where(silenced, np.take_along_axis(sequence, at, axis=1)[:, 0], len(self.ground.features))
            gone = np.where(silenced, np.take_along_axis(reads, at, axis=1)[:, 0], 0.0)
            table[name] = np.where(flipped, steps, np.nan)
            table[f"{name}_srna"] = features[tipped]
            table[f"{name}_share"] = np.where(flipped, steps / np.maximum(length[row], 1), np.nan)
            table[f"{name}_reads"] = np.where(flipped, gone, np.nan)
        table["became"] = names[became]
        return pd.DataFrame(table)


class _Silenced:
    """Which features are silenced at each step of each path of a block; made only for the steps asked for."""

    def __init__(self, sequence: np.ndarray, done: int, width: int) -> None:
        self.sequence, self.done, self.width = sequence, done, width

    def __getitem__(self, at: np.ndarray) -> np.ndarray:
        path, step = np.divmod(at, self.width)
        place = np.empty((len(at), self.sequence.shape[1]), np.int32)
        np.put_along_axis(place, self.sequence[path], np.arange(self.sequence.shape[1], dtype=np.int32)[None], axis=1)
        return place <= (self.done + step)[:, None]


def _blocks(positions: np.ndarray, size: int) -> list[np.ndarray]:
    step = max(size, 1)
    return [positions[i : i + step] for i in range(0, len(positions), step)]


def _logits(layers: list, rows: np.ndarray, *, first: bool = True) -> np.ndarray:
    """Outputs of dense ReLU layers; with ``first=False`` rows are the sums of the first layer, which are used up."""
    if first:
        rows = rows @ layers[0][0] + layers[0][1]
    for kernel, bias in layers[1:]:
        np.maximum(rows, 0, out=rows)
        rows = rows @ kernel
        rows += bias
    return rows


def first_flips(
    ground: Silencing,
    model: Any,
    order: Order,
    *,
    own: Any = None,
    max_steps: int | None = None,
    recompute_every: int | None = None,
    samples: Any = None,
    batch_size: int = 64,
    rows: int = 1024,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Count the steps to the first flip, for every sample and every other class.

    A step silences one sRNA that is expressed in the sample; sRNAs without a read are skipped, because silencing them
    changes nothing (the paper's D2 is zero for them).

    Parameters
    ----------
    ground : Silencing
        Samples, from `silencing.silence`.
    model : Pipeline or DenseNetClassifier
        The fitted model that `ground` was made for.
    order : Order
        What is silenced first.
    own : array of labels, shape (n_samples,), optional
        Class that a sample is held to be; default what the model predicts. With true labels given, a sample that is
        predicted wrongly from the start has zero steps of stability (and of similarity to what it is predicted as);
        the column `wrong` sets it apart.
    max_steps : int, optional
        Look no further. A flip that would come later is censored at this step.
    recompute_every : int, optional
        Score the sRNAs that are left anew after so many steps; default never (the paper). Orders follow the state of
        the network more closely, at the price of a backward pass for each path each time.
    samples : array of int, optional
        Positions of the samples in a larger table, for random orders; default 0 ... n - 1.
    batch_size : int, default 64
        Samples whose scores are held at a time. Memory: ``batch_size * n_classes * n_features`` numbers, a few times.
    rows : int, default 1024
        Most steps evaluated in one matrix product. Larger ones leave the processor's cache.
    n_jobs : int, default 1
        Processes; each takes batches of samples.

    Returns
    -------
    DataFrame, one row per sample and other class
        ``sample`` (position), ``own, other, predicted`` (classes), ``wrong`` (predicted is not own), ``n_active``
        (sRNAs that can be silenced), ``looked`` (steps until which one looked at most), and for each of ``similarity``
        and ``stability``: the first step (0 before anything is silenced, missing when there was no flip),
        ``..._srna`` (the one that tipped it), ``..._share`` (step as a share of `n_active`) and ``..._reads`` (reads
        taken away as a share of the library). ``became`` is the class at the stability flip. ``exhausted`` says that
        every active sRNA was silenced: a flip which has not come then never comes, whereas without it the path was
        censored by `max_steps`.

    Raises
    ------
    InputError
        Unknown class in `own`, a limit below 1, or an order that cannot be recomputed.

    Notes
    -----
    Steps with a gap between the two best logits below a small tolerance are decided by a separate pass in double
    precision, so that rounding in the prefix sums cannot move a flip. Equal logits go to the class that sorts first,
    equal scores to the feature that comes first.
    """
    network = classifier_of(model)
    n = len(ground.values)
    for name, value in (("max_steps", max_steps), ("recompute_every", recompute_every)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; expected at least 1.")
    if recompute_every and order.again is None:
        raise InputError(f"the order {order.name!r} does not depend on the state; expected no recompute_every.")
    codes = _codes(own, network.classes_, n)
    samples = np.arange(n) if samples is None else np.asarray(samples)
    walk = Walk(ground, network, rows)
    parts = [slice(i, i + batch_size) for i in range(0, n, batch_size)]
    arguments = (order, max_steps, recompute_every)
    if n_jobs == 1:
        tables = [walk.take(p).flips(samples[p], None if codes is None else codes[p], *arguments) for p in parts]
    else:
        run = joblib.Parallel(n_jobs=n_jobs)
        tables = run(
            joblib.delayed(_work)(walk.take(p), samples[p], None if codes is None else codes[p], *arguments)
            for p in parts
        )
    return pd.concat(tables, ignore_index=True) if tables else walk.flips(samples, codes, *arguments)


def flip_curve(
    ground: Silencing, model: Any, order: Order, *, row: int, other: Any, max_steps: int | None = None
) -> pd.DataFrame:
    """Probability of every class along one sample's path to another class.

    Parameters
    ----------
    ground, model, order, max_steps
        As in `first_flips`; the order is that from the start.
    row : int
        Position of the sample in `ground`.
    other : label
        The class that is argued for by silencing.

    Returns
    -------
    DataFrame, one row per step from 0
        ``step, srna`` (what was silenced at it; missing at step 0), ``reads`` (share of the library taken away so
        far), ``predicted`` and ``p_<class>...``.
    """
    network = classifier_of(model)
    one = ground.take(np.array([row]))
    own = np.array([network.logits(one.values)[0].argmax()])
    (target,) = np.asarray(_codes([other], network.classes_, 1))
    scores = order.start(one.values, own, np.array([row]))[:, target]
    steps = min(int(one.active.sum()), max_steps or one.values.shape[1])
    path = sequences(scores, one.active)[0, :steps]
    place = np.full(one.values.shape[1], steps)
    place[path] = np.arange(steps)
    silenced = place[None, None, :] < np.arange(steps + 1)[None, :, None]
    p = network.predict_proba(one.inputs(np.array([0]), silenced)[0])
    table = pd.DataFrame(p, columns=[f"p_{c}" for c in network.classes_])
    table.insert(0, "predicted", network.classes_[p.argmax(axis=1)])
    table.insert(0, "reads", np.concatenate([[0.0], one.reads[0, path].cumsum()]))
    table.insert(0, "srna", [None, *one.features[path]])
    table.insert(0, "step", np.arange(steps + 1))
    return table


def _work(walk: Walk, *arguments: Any) -> pd.DataFrame:
    return walk.flips(*arguments)


def _codes(labels: Any, classes: np.ndarray, n: int) -> np.ndarray | None:
    if labels is None:
        return None
    values = np.asarray(labels)
    if len(values) != n:
        raise InputError(f"there are {len(values)} own classes for {n} samples; expected one for each.")
    codes = pd.Index(classes).get_indexer(values)
    if (codes < 0).any():
        known = ", ".join(map(str, classes))
        raise InputError(f"the class {str(values[codes < 0][0])!r} is unknown to the model; expected one of {known}.")
    return codes


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
    fitted = evaluate.fit_fold(task, model, split.train)
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
    trees = evaluate.fit_fold(task, recipe("rf_paper", seed=seed) if forest is None else forest, split.train)
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
    own = ("srna_lib.explain.deeplift", "srna_lib.stability.")
    return [*model_code(), *(module for name, module in sorted(sys.modules.items()) if name.startswith(own))]
