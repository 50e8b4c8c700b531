"""Evidence of the batch: a sample's probabilities averaged with those of its nearest neighbours in the same study.

Samples of one study that look alike are mostly of one class, and what goes wrong in one of them by chance goes wrong in
few of its neighbours. No label of the batch is used, but a prediction then depends on the company of its sample. Most
studies of cells hold one class alone, which is where the gain comes from; those less alike weigh less, so that a study
of several classes does not lose by it (`docs/unseen_studies.md`, which also says on what the settings were chosen).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import softmax

from srna_lib.data import Task
from srna_lib.errors import InputError
from srna_lib.evaluate.metrics import check_columns, probabilities
from srna_lib.models import LogCPM

BATCH = "+batch"  # ending of the name of a model whose probabilities were averaged
NEIGHBOURS = 5  # the sample itself and its four nearest
WIDTH = 0.1  # what is lost in correlation where a neighbour weighs 1 / e
CELLS = 10**7  # correlations that are looked at at a time
_FLOOR = 1e-4  # of a probability, so that one sample that says never does not outvote the others


def average_neighbours(p: np.ndarray, levels: np.ndarray, k: int = NEIGHBOURS, width: float = WIDTH) -> np.ndarray:
    """Probabilities of one batch, each a weighted mean of log probabilities over a sample and those nearest to it.

    Parameters
    ----------
    p : array, shape (n_samples, n_classes)
        Probabilities of the samples of one batch.
    levels : array, shape (n_samples, n_srnas)
        Their log2(CPM + 1). Near is what correlates over the sRNAs above 1 on average.
    k : int, default 5
        Samples that are averaged, the sample itself among them; all of a smaller batch.
    width : float, default 0.1
        A sample of correlation r weighs exp(-(1 - r) / width); all weigh alike where it is infinite.

    Returns
    -------
    array, shape (n_samples, n_classes)
        New probabilities; those of a batch of one sample are as they were.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    >>> alike = np.array([[15, 12, 8], [15, 12, 8], [15, 12, 7]])
    >>> average_neighbours(p, alike, k=3).argmax(axis=1).tolist()
    [0, 0, 0]
    """
    order, weights = alike(levels, k, width)
    logs = np.log(np.clip(p, _FLOOR, 1))[order]  # (n_samples, k, n_classes)
    return softmax(np.einsum("ij,ijc->ic", weights, logs), axis=1) if len(p) > 1 else p


def alike(levels: np.ndarray, k: int = NEIGHBOURS, width: float = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """Which samples of a batch are most alike each, and what they weigh in its mean.

    Parameters as in `average_neighbours`. Gives positions of the samples, shape (n_samples, min(k, n_samples)), the
    sample itself first, then by falling Pearson correlation; and weights of the same shape, whose rows sum to 1.

    Examples
    --------
    >>> alike(np.array([[9, 3, 2], [2, 3, 9], [9, 4, 2]]), k=2)[0].tolist()
    [[0, 2], [1, 0], [2, 0]]
    """
    levels = levels[:, levels.mean(axis=0) > 1].astype(float)
    centred = levels - levels.mean(axis=1, keepdims=True) if levels.shape[1] else levels
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    n, k = len(levels), min(k, len(levels))
    order, near = np.empty((n, k), dtype=int), np.empty((n, k))
    for rows in np.array_split(np.arange(n), -(-n * n // CELLS)):  # thousands of samples by thousands would fill memory
        r = np.round(centred[rows] @ centred.T, 9)
        r[np.arange(len(rows)), rows] = 2  # itself
        first = np.sort(np.argpartition(-r, k - 1, axis=1)[:, :k], axis=1)
        r = np.take_along_axis(r, first, axis=1)
        best = np.argsort(-r, axis=1, kind="stable")
        order[rows], near[rows] = (np.take_along_axis(v, best, axis=1) for v in (first, r))
    weights = np.exp((np.minimum(near, 1) - 1) / width)
    return order, weights / weights.sum(axis=1, keepdims=True)


def batch_average(predictions: pd.DataFrame, task: Task, k: int = NEIGHBOURS, width: float = WIDTH) -> pd.DataFrame:
    """Average every prediction of a fold with those of its nearest samples in the same study and fold.

    Parameters
    ----------
    predictions : DataFrame, one row per model and sample
        Out-of-fold tables of the task, of one or several models and schemes. Labels are not used.
    task : Task
        The samples' counts; a sample that is none of its is an `InputError`.
    k, width
        As in `average_neighbours`.

    Returns
    -------
    DataFrame
        The same rows in the same order, with new ``p_<class>``, ``y_pred`` the likeliest class by them, and ``model``
        renamed to ``<model>+batch``.

    Examples
    --------
    >>> import srna_lib as srna
    >>> task = srna.make_task(srna.load("demo"), "tissue_group")
    >>> table = srna.cross_validate(task, "logistic", "study", n_splits=3, progress=False)
    >>> batch_average(table, task)["model"].unique().tolist()
    ['logistic+batch']
    """
    check_columns(predictions, ("sample_id", "dataset_id", "model", "scheme", "fold", "y_true"))
    classes, p = probabilities(predictions)
    at = task.X.index.get_indexer(predictions["sample_id"])
    if (at < 0).any():
        unknown = predictions["sample_id"].iloc[int(np.argmin(at))]
        raise InputError(f"out-of-fold table: sample {unknown!r} is none of the task {task.name!r}.")
    levels, new = np.asarray(LogCPM().fit_transform(task.X)), np.empty_like(p)
    batches = predictions.groupby(["model", "scheme", "fold", "dataset_id"], sort=False).ngroup().to_numpy()
    for rows in np.split(np.argsort(batches, kind="stable"), np.cumsum(np.bincount(batches))[:-1]):
        new[rows] = average_neighbours(p[rows], levels[at[rows]], k, width)
    out = predictions.assign(model=predictions["model"] + BATCH, y_pred=np.asarray(classes)[new.argmax(axis=1)])
    out[[f"p_{c}" for c in classes]] = new
    return out
