"""DeepLIFT for dense networks and linear models: what each sRNA adds to each class's logit, against a reference.

The rules Rescale and RevealCancel of Shrikumar, Greenside, Kundaje 2017 (arXiv:1704.02685), for all outputs of all
samples at once, equal to the authors' package (`original`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from srna_lib.errors import InputError, one_of
from srna_lib.models import MEAN, DenseNetClassifier, LogCPM, merged

RULES = ("rescale", "revealcancel")
REFERENCES = {"zeros": "zeros in model space", "zero_counts": "zero counts", "mean": "training mean"}
NEAR_ZERO = 1e-7  # as in the authors' package: smaller differences take the slope at the reference
TOLERANCE = 1e-5  # of the largest change of an output, or of the absolute contributions where they cancel
LARGE_GROUP = 32  # samples from which the sum over a group is faster than its samples one by one
LARGE = 3e8  # multiplications in the largest product of a call from which XLA pays
CHUNK = 64  # samples that XLA multiplies at a time: the result fits into memory used before
ROWS = 16  # XLA compiles once per shape, so rows are filled up to a multiple of these


class CompletenessError(ArithmeticError):
    """Contributions do not sum to the change of the logit: a bug or a numerical break-down, never to be ignored."""


class Contributions(NamedTuple):
    """Contributions of features to logits.

    Attributes
    ----------
    values : array, shape (n_samples, n_outputs, n_features), float32
        Over features each sums to ``logits - reference_logits``.
    samples, classes, features
        What the three axes stand for. sRNAs that the pipeline's filter drops have no say and are left out.
    logits, reference_logits : array, shape (n_samples, n_outputs), float32
        Outputs before softmax or sigmoid, of the sample and of its reference (mean over references).
    reference, rule
        What samples were compared with, in words; ``rescale`` or ``revealcancel``.
    error
        Largest |sum of contributions - change of the output|, relative to the largest change of an output.
    """

    values: np.ndarray
    samples: np.ndarray
    classes: np.ndarray
    features: np.ndarray
    logits: np.ndarray
    reference_logits: np.ndarray
    reference: str
    rule: str
    error: float

    def of_sample(self, sample: Any) -> pd.DataFrame:
        """Contributions in one sample, classes x features."""
        rows = np.flatnonzero(self.samples == sample)
        if not len(rows):
            raise InputError(f"unknown sample {sample!r}: expected one of the {len(self.samples)} samples explained.")
        return pd.DataFrame(self.values[rows[0]], index=self.classes, columns=self.features)


def contributions(
    model: Any, X: Any, *, reference: Any = None, rule: str = "rescale", outputs: Sequence[Any] | None = None,
    batch_size: int = 256,
) -> Contributions:  # fmt: skip
    """Contribution of every feature to every output for every sample, by DeepLIFT.

    Contributions that do not sum to the change of the logit within 1e-5 are a `CompletenessError`.

    Parameters
    ----------
    model : Pipeline, DenseNetClassifier or LogisticRegression
        Fitted. Of a pipeline (`models.recipe`) the last step alone is propagated through: the steps before it keep each
        sRNA a column of its own, so a column's contribution is its sRNA's.
    X : DataFrame, shape (n_samples, n_srnas), or array, shape (n_samples, n_features)
        Raw counts for a pipeline, model input otherwise.
    reference : str, DataFrame or array, optional
        What samples are compared with; it decides the story. ``zeros`` (in model space; the paper's), ``zero_counts``
        (an empty library), ``mean`` (of the training samples), or samples of the same kind as `X`: contributions are
        computed against each and averaged, as DeepSHAP does. Default: ``mean`` for z-scores on the log scale, where
        zero counts are no neutral sample, else ``zeros``.
    rule : str, default "rescale"
        ``revealcancel`` lets what raises and what lowers a unit count separately, which shows inputs that cancel;
        about twice the time.
    outputs : sequence of class labels, optional
        Classes wanted; all by default.
    batch_size : int, default 256
        Samples at a time. Beside the result, memory holds a few arrays of shape (batch_size, n_outputs, n_features).

    Examples
    --------
    >>> import srna_lib as srna
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0], [4.0, 0.0]])
    >>> explained = srna.explain(LogisticRegression().fit(X, ["a", "b", "a", "b"]), X)
    >>> bool(np.allclose(explained.values.sum(axis=2), explained.logits - explained.reference_logits))
    True
    """
    return _Run(model, X, reference, rule, outputs, batch_size).collect(np.arange(len(X)))


def class_means(
    model: Any, X: Any, y: Any, *, reference: Any = None, rule: str = "rescale", batch_size: int = 256
) -> pd.DataFrame:
    """Mean contributions over the samples of each group (rows: group and class), without a tensor of all samples."""
    labels = np.atleast_1d(np.asarray(y))
    if len(labels) != len(X) or pd.isna(labels).any():
        raise InputError(f"y has {len(labels)} labels for {len(X)} samples; expected one for each, none missing.")
    run = _Run(model, X, reference, rule, None, batch_size)
    names, codes = np.unique(labels, return_inverse=True)
    index = pd.MultiIndex.from_product([names, run.classes], names=["group", "class"])
    return pd.DataFrame(run.means(codes).reshape(len(index), -1), index=index, columns=run.opened.features)


def model_space(model: Any, X: Any) -> pd.DataFrame:
    """Samples as the network sees them, samples x features; parameters as in `contributions`."""
    opened = _open(model, X)
    return pd.DataFrame(_transform(opened, X), index=_names(X), columns=opened.features)


def reference_input(model: Any, X: Any, *, reference: Any = None) -> pd.DataFrame:
    """The reference as the network sees it: one row, or the samples given."""
    opened = _open(model, X)
    return pd.DataFrame(_make_reference(opened, X, reference)[1], columns=opened.features)


# ---- the network


class Layer(NamedTuple):
    """Dense layer: kernel (n_in, n_out), bias (n_out,) and absolute weights, float32."""

    kernel: np.ndarray
    bias: np.ndarray
    magnitude: np.ndarray


class Network(NamedTuple):
    """Layers with ReLU between, and the class of each logit, or of each of its `leaves`.

    With leaves the logit of a class is half the log of the sum of exp over the outputs that are its leaves.
    """

    layers: list[Layer]
    classes: np.ndarray
    leaves: np.ndarray | None = None


def read_network(model: Any) -> Network:
    """Layers of a fitted classifier; a logistic regression is a network of one layer."""
    if isinstance(model, DenseNetClassifier):
        check_is_fitted(model, "weights_")
        layers = [Layer(k, b, np.abs(k)) for k, b in zip(model.weights_[::2], model.weights_[1::2], strict=True)]
        return Network(layers, model.classes_)
    if isinstance(model, LogisticRegression):
        check_is_fitted(model, "coef_")
        kernel = np.ascontiguousarray(model.coef_.T, np.float32)
        layer = Layer(kernel, model.intercept_.astype(np.float32), np.abs(kernel))
        if (leaves := getattr(model, "leaves_", None)) is not None:
            return Network([layer], model.classes_, leaves)
        return Network([layer], model.classes_[-len(model.coef_) :])  # of two classes one, the second
    raise InputError(f"model is a {type(model).__name__}; expected a Pipeline, dense network or logistic regression.")


# ---- samples and reference in model space


class _Opened(NamedTuple):
    """A model taken apart: fitted preprocessing (None for model input), network, sRNA of each column between."""

    steps: Pipeline | None
    network: Network
    features: np.ndarray


def _open(model: Any, X: Any) -> _Opened:
    """Take a fitted model apart and hold it against the samples."""
    if hasattr(X, "tocsr"):
        raise InputError("X is a sparse matrix; expected a DataFrame or an array (X.toarray()).")
    if isinstance(model, Pipeline) and len(model) > 1:
        network = read_network(model[-1])
        _check_counts(X, getattr(model, "feature_names_in_", None), "X")
        features = np.asarray(model[:-1].get_feature_names_out(X.columns.to_numpy(dtype=object)), dtype=object)
        alien = next((f for f in features if f not in X.columns), None)
        if alien is not None:
            raise InputError(f"the preprocessing makes {alien!r}, no sRNA of the counts; expected a column per sRNA.")
        return _Opened(model[:-1], network, features)
    network = read_network(model[-1] if isinstance(model, Pipeline) else model)
    n_features, shape = len(network.layers[0].kernel), np.shape(X)
    if len(shape) != 2 or shape[1] != n_features or not shape[0]:
        raise InputError(f"X has the shape {shape}; expected at least one sample of the model's {n_features} features.")
    names = X.columns if isinstance(X, pd.DataFrame) else [f"x{i}" for i in range(n_features)]
    return _Opened(None, network, np.asarray(names, dtype=object))


def _check_counts(X: Any, expected: Any, what: str) -> None:
    if not isinstance(X, pd.DataFrame) or not len(X):
        raise InputError(f"{what} is a {type(X).__name__}; expected raw counts of at least one sample as DataFrame.")
    if expected is not None and list(X.columns) != list(expected):
        missing, extra = set(expected) - set(X.columns), set(X.columns) - set(expected)
        example = min(missing or extra or {"another order"}, key=str)
        counts = f"{len(missing)} missing, {len(extra)} unknown, such as {example!r}"
        raise InputError(f"the columns of {what} are not those of the training data, in their order: {counts}.")


def _names(X: Any) -> np.ndarray:
    return X.index.to_numpy() if isinstance(X, pd.DataFrame) else np.arange(len(X))


def _transform(opened: _Opened, X: Any) -> np.ndarray:
    """Bring samples into model space, float32."""
    try:
        values = np.ascontiguousarray(X if opened.steps is None else opened.steps.transform(X), dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"X cannot be preprocessed: {str(error).splitlines()[0]}") from error
    if not np.isfinite(values).all():
        raise InputError("X has values that are missing or infinite; expected finite numbers.")
    return values


def _make_reference(opened: _Opened, X: Any, reference: Any) -> tuple[str, np.ndarray]:
    """Name in words, and rows in model space."""
    steps = [] if opened.steps is None else [step for _, step in opened.steps.steps]
    z_scores = bool(steps) and isinstance(steps[-1], StandardScaler) and steps[-1].with_mean
    if reference is None:
        reference = "mean" if z_scores and any(isinstance(step, LogCPM) for step in steps) else "zeros"
    if not isinstance(reference, str):
        if steps:
            _check_counts(reference, X.columns, "reference")
        else:
            reference = np.atleast_2d(np.asarray(reference, dtype=np.float32))
            shape, n_features = reference.shape, len(opened.features)
            if shape[1] != n_features or not shape[0]:
                raise InputError(f"reference has the shape {shape}; expected {n_features} features.")
        rows = _transform(opened, reference)
        return "one given sample" if len(rows) == 1 else f"average over {len(rows)} given samples", rows
    one_of("reference", reference, REFERENCES)
    rows = np.zeros((1, len(opened.features)), dtype=np.float32)
    if reference == "zero_counts":
        if not steps:
            raise InputError("reference 'zero_counts' needs a pipeline that starts from counts; use 'zeros'.")
        rows = _transform(opened, pd.DataFrame(0.0, index=["zero"], columns=X.columns))
    elif reference == "mean" and not z_scores:  # behind a z-score the training mean is zero by construction
        raise InputError("reference 'mean' needs a model on z-scores, which keeps the training mean; give samples.")
    return REFERENCES[reference], rows


# ---- one call


class _Run:
    """One call; parameters as in `contributions`."""

    def __init__(self, model: Any, X: Any, reference: Any, rule: str, outputs: Any, batch_size: int):
        one_of("rule", rule, RULES)
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise InputError(f"batch_size is {batch_size!r}; expected a whole number, at least 1.")
        self.X, self.rule, self.batch_size = X, rule, int(batch_size)
        self.opened = _open(model, X)
        self.reference, self.starts = _make_reference(self.opened, X, reference)
        known = self.opened.network.classes.tolist()
        wanted = known if outputs is None else np.asarray(outputs).tolist()
        strange = [label for label in wanted if label not in known]
        if strange or not wanted:
            first = (strange or [wanted])[0]
            raise InputError(f"unknown class {first!r}: expected one of {', '.join(map(str, known))}.")
        self.chosen = np.array([known.index(label) for label in wanted])
        self.classes = self.opened.network.classes[self.chosen]

    def collect(self, where: np.ndarray) -> Contributions:
        """Contributions in the samples at some positions."""
        out = np.empty((len(where), len(self.classes), len(self.opened.features)), dtype=np.float32)
        # one way to multiply per call: numpy's threads that wait for work would keep XLA's from theirs
        xla = min(self.batch_size, len(where)) * len(self.classes) * self.opened.network.layers[0].kernel.size >= LARGE
        ends = np.zeros((2, len(where), len(self.classes)), dtype=np.float32)  # logits, reference logits
        gap = largest = 0.0
        for rows, number, terms, change, start in self._batches(where, xla):
            block = np.empty_like(out[rows]) if number else out[rows]
            _scaled(terms[0], block, xla)
            for term in terms[1:]:
                other = np.empty_like(block)
                _scaled(term, other, xla)
                block += other
            gap = max(gap, _check(block, change))
            largest = max(largest, float(np.abs(change).max()))
            if number:
                out[rows] += block
            ends[0, rows] += start + change
            ends[1, rows] += start
        if len(self.starts) > 1:
            out /= len(self.starts)
            ends /= len(self.starts)
        axes = _names(self.X)[where], self.classes, self.opened.features
        return Contributions(out, *axes, ends[0], ends[1], self.reference, self.rule, gap / largest if largest else 0.0)

    def means(self, codes: np.ndarray) -> np.ndarray:
        """Mean contributions per group; large groups by `_sum`, small ones together, a batch at a time."""
        sizes = np.bincount(codes)
        out = np.zeros((len(sizes), len(self.classes), len(self.opened.features)), dtype=np.float32)
        for group in np.flatnonzero(sizes >= LARGE_GROUP):
            out[group] = self._sum(np.flatnonzero(codes == group)) / (sizes[group] * len(self.starts))
        small = np.argsort(codes, kind="stable")
        small = small[sizes[codes[small]] < LARGE_GROUP]
        for start in range(0, len(small), self.batch_size):
            where = small[start : start + self.batch_size]
            values = self.collect(where).values
            for group in np.unique(codes[where]):
                out[group] += values[codes[where] == group].sum(axis=0) / sizes[group]
        return out

    def _sum(self, where: np.ndarray) -> np.ndarray:
        """Contributions summed over samples and references, without computing them one by one.

        With input differences D and multipliers U at the first layer of weights W, the sum over samples i of
        ``D_if (U_i W_f')`` is the row sum of ``W * (D' U)``.
        """
        total = np.zeros((len(self.classes), len(self.opened.features)))
        for _, _, terms, change, _ in self._batches(where, False):
            sums = np.zeros_like(total)
            for back, kernel, delta in terms:
                back = np.broadcast_to(back, (len(delta), *back.shape[1:]))
                for output in range(len(sums)):
                    sums[output] += np.einsum("fh,fh->f", kernel, delta.T @ back[:, output], dtype=np.float64)
            _check(sums, change.sum(axis=0), np.abs(change).sum(axis=0))
            total += sums
        return total

    def _batches(self, where: np.ndarray, xla: bool) -> Iterator[tuple[slice, int, list, np.ndarray, np.ndarray]]:
        """Propagate the samples at some positions, once per reference.

        Gives rows, number of the reference, terms, changes of the outputs and their values at the reference.
        Contributions are the sum over terms (multipliers, kernel, delta) of ``multipliers @ kernel.T * delta``.
        """
        layers, leaves = self.opened.network.layers, self.opened.network.leaves
        for first in range(0, len(where), self.batch_size):
            rows = slice(first, min(first + self.batch_size, len(where)))
            X = self.X.iloc[where[rows]] if isinstance(self.X, pd.DataFrame) else np.asarray(self.X)[where[rows]]
            values = _transform(self.opened, X)
            for number, start in enumerate(self.starts[:, None].astype(np.float64)):
                delta = values - start
                mean, gap, change, ends = propagate(layers, start, delta, self.chosen, self.rule, xla, leaves)
                delta = delta.astype(np.float32)
                terms = [(mean, layers[0].kernel, delta)]
                if gap is not None:
                    terms.append((gap, layers[0].magnitude, np.abs(delta)))
                yield rows, number, terms, change, ends


def _check(parts: np.ndarray, wanted: np.ndarray, cancelled: np.ndarray | float = 0.0) -> float:
    """Largest gap between sums of contributions (last axis) and changes of the outputs.

    What cancels in a sum still leaves its rounding: where the plain tolerance is missed, the absolute contributions
    (and changes that cancelled before) decide.
    """
    total = parts.sum(axis=-1)
    gap = np.abs(total - wanted)
    if not gap.max() <= TOLERANCE * np.abs(wanted).max():  # also true for what is not a number
        limit = TOLERANCE * (np.abs(parts).sum(axis=-1) + cancelled) + 1e-6  # moves no probability
        if not (gap <= limit).all():
            worst = np.unravel_index(np.argmax(np.nan_to_num(gap - limit, nan=np.inf)), gap.shape)
            ends = f"{total[worst]:.7g} where the output changes by {wanted[worst]:.7g}"
            raise CompletenessError(f"contributions sum to {ends}: a gap of {gap[worst]:.2g}.")
    return float(gap.max())


# ---- the rules


def propagate(
    layers: list[Layer], reference: np.ndarray, delta: np.ndarray, outputs: np.ndarray, rule: str, xla: bool,
    leaves: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]:  # fmt: skip
    """Carry differences forward through all layers, then outputs back to the sums of the first layer.

    Differences go forward as such, never as the difference of two large numbers, and in double precision: a slope is a
    quotient of differences, which in single precision would depend on the batch. The way back, which costs nearly all
    of the time, is in single precision. Gives the multipliers of the sums, (n or 1, n_outputs, n_units), the changes
    of the outputs and their values at the reference. RevealCancel has a multiplier p for what raises a unit and q for
    what lowers it: given are their mean and half of p - q (else None).
    """
    saved: list[tuple[Any, Any, Any]] = []  # per layer: sign of its input, slope and half gap behind it
    for number, layer in enumerate(layers):
        size = _product(np.abs(delta), layer.magnitude, xla) if rule == "revealcancel" else None
        sign = None if size is None else np.sign(delta).astype(np.float32)
        n, both = len(delta), _product(np.concatenate([delta, reference]), layer.kernel, xla)
        delta, reference, parts = both[:n], both[n:] + layer.bias, None
        if size is not None:
            parts = _raised_and_lowered(delta, size)
            delta = parts[0] + parts[1]
        slope = half = None
        if number < len(layers) - 1:
            slope, half, delta, reference = _through_relu(reference, delta, parts)
        saved.append((sign, slope, half))

    mean, gap = np.eye(delta.shape[1], dtype=np.float32)[None], None
    if leaves is not None:
        mean, delta, reference = _through_sums(reference, delta, leaves)
    mean = mean[:, outputs]
    for number in range(len(layers) - 1, 0, -1):
        # With W = W+ + W- a layer hands p W+ + q W- to inputs above their reference, p W- + q W+ to those below, and
        # the mean of both to those at it. All are A + sign(delta) B, A = (p + q) W' / 2 and B = (p - q) |W|' / 2.
        signal = _times(mean, layers[number].kernel.T, xla)
        if gap is not None:
            signal = signal + _times(gap, layers[number].magnitude.T, xla) * saved[number][0][:, None, :]
        _, slope, half = saved[number - 1]
        mean, gap = signal * slope[:, None, :], None if half is None else signal * half[:, None, :]
    return mean, gap, delta[:, outputs], reference[:, outputs]


def _raised_and_lowered(total: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the positive terms and sum of the negative ones, from the sum and the sum of sizes."""
    raised, lowered = 0.5 * (total + size), 0.5 * (total - size)
    nothing = 1e-12 * size  # rounding of what cancels: here nothing raises or nothing lowers the unit
    return np.where(raised < nothing, 0.0, raised), np.where(-lowered < nothing, 0.0, lowered)


def _through_relu(
    reference: np.ndarray, delta: np.ndarray, parts: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]:
    """Slope of ReLU (RevealCancel: mean and half gap of two), then the difference and the reference behind it."""
    start = np.maximum(reference, 0)
    change = np.maximum(reference + delta, 0) - start
    if parts is None:
        flat = np.abs(delta) < NEAR_ZERO
        slope = np.where(flat, reference > 0, change / np.where(flat, 1, delta))
        return slope.astype(np.float32), None, change, start
    # away from zero, as a slope is asked for where nothing raises or lowers a unit
    up, down = (np.where(np.abs(x) < NEAR_ZERO / 2, x + np.where(x < 0, -NEAR_ZERO, NEAR_ZERO), x) for x in parts)
    f_up, f_down, f_both = (np.maximum(x, 0) for x in (reference + up, reference + down, reference + up + down))
    p = 0.5 * (f_up - start + f_both - f_down) / up
    q = 0.5 * (f_down - start + f_both - f_up) / down
    return (0.5 * (p + q)).astype(np.float32), (0.5 * (p - q)).astype(np.float32), change, start


def _through_sums(
    reference: np.ndarray, delta: np.ndarray, leaves: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Multipliers (n, n_classes, n_leaves) of half the log of sums of exp, by Rescale through exp and through log."""
    of_class = leaves == np.arange(leaves.max() + 1)[:, None]
    highest = np.stack([np.maximum(reference, reference + delta)[:, own].max(axis=1) for own in of_class], axis=1)
    logs = merged(np.broadcast_to(reference, delta.shape), leaves), merged(reference + delta, leaves)
    sums = np.exp(logs[0] - highest), np.exp(logs[1] - highest)  # a factor of a class's exp cancels
    flat = np.abs(logs[1] - logs[0]) < NEAR_ZERO
    outer = np.where(flat, 1 / np.where(flat, sums[0], 1), (logs[1] - logs[0]) / np.where(flat, 1, sums[1] - sums[0]))
    ends = np.exp(reference - highest[:, leaves]), np.exp(reference + delta - highest[:, leaves])
    flat = np.abs(delta) < NEAR_ZERO
    slope = np.where(flat, ends[0], (ends[1] - ends[0]) / np.where(flat, 1, delta))
    mean = MEAN * outer[:, :, None] * slope[:, None, :] * of_class
    return mean.astype(np.float32), MEAN * (logs[1] - logs[0]), MEAN * logs[0]


# ---- products: numpy for small calls, XLA (on which keras runs) for large ones: it compiles for the processor at hand


def _product(rows: np.ndarray, kernel: np.ndarray, xla: bool) -> np.ndarray:
    """``rows @ kernel`` in the precision of the rows."""
    return _compiled("product", rows, kernel) if xla else rows @ kernel.astype(rows.dtype, copy=False)


def _times(signal: np.ndarray, matrix: np.ndarray, xla: bool) -> np.ndarray:
    """(a, b, c) times (c, d) as one matrix product, not one per sample."""
    return _product(signal.reshape(-1, signal.shape[2]), matrix, xla).reshape(*signal.shape[:2], matrix.shape[1])


def _scaled(term: tuple[np.ndarray, Any, np.ndarray], out: np.ndarray, xla: bool) -> None:
    """Fill `out` (n, n_outputs, n_features) with ``(signal @ kernel.T) * scale``."""
    signal, kernel, scale = term
    if len(signal) != len(out):  # no activation: one multiplier for all samples
        np.multiply(_times(signal, kernel.T, xla), scale[:, None, :], out=out)
    elif xla:
        import jax

        kernel = jax.device_put(kernel)
        for start in range(0, len(out), CHUNK):
            rows = slice(start, start + CHUNK)
            out[rows] = _compiled("scaled", signal[rows], kernel, scale[rows])
    else:
        np.matmul(signal.reshape(-1, signal.shape[2]), kernel.T, out=out.reshape(-1, len(kernel)))
        out *= scale[:, None, :]


def _compiled(name: str, rows: np.ndarray, kernel: Any, *scale: np.ndarray) -> np.ndarray:
    """What a compiled program makes of rows, which are filled up with zeros."""
    import jax

    filled = [np.pad(a, [(0, -len(a) % ROWS), *[(0, 0)] * (a.ndim - 1)]) for a in (rows, *scale)]
    with jax.enable_x64(True):  # here only: keras's own programs stay in single precision
        return np.asarray(_programs()[name](filled[0], kernel, *filled[1:]))[: len(rows)]


@cache
def _programs() -> dict[str, Any]:
    import jax

    def scaled(signal: Any, kernel: Any, scale: Any) -> Any:
        rows = signal.reshape(-1, signal.shape[2]) @ kernel.T
        return rows.reshape(*signal.shape[:2], len(kernel)) * scale[:, None, :]

    return {"product": jax.jit(lambda rows, kernel: rows @ kernel.astype(rows.dtype)), "scaled": jax.jit(scaled)}
