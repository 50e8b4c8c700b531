"""How many sRNAs must be silenced before a prediction flips: exact first steps for every sample and other class.

sRNAs are silenced in the order of what they argue for the own class k against another class k'. The first step at
which the prediction is k' measures similarity, the first at which it is anything but k measures stability. Every step
is evaluated, from the first on, until the answer is known: prefix sums over the rows of the first layer's kernel give
all its sums along a path, so a step costs one row of a matrix product and no pass through the preprocessing.
"""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import pandas as pd

from srna_lib.errors import InputError
from srna_lib.flip_walk import Walk, sequences
from srna_lib.orders import Order
from srna_lib.silencing import Silencing, classifier_of


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
