"""DeepLIFT for dense networks: what each sRNA adds to, or takes from, each class's logit, against a reference.

XLA (on which keras runs here) compiles a product for the processor at hand and uses its widest instructions, where
numpy's library may take an older processor's program. It compiles once per shape, so rows are filled up to a few sizes.
The two are not mixed within a call: threads of numpy's library that wait for work would keep XLA's from theirs.

Differences from the reference are carried forward as such (never the difference of two large numbers) and in double
precision: a unit's slope is a quotient of differences, which in single precision would depend on the batch it is
computed in. The way back, which costs nearly all of the time, is in single precision for all outputs together.

RevealCancel gives a unit one multiplier for what raises it (p) and one for what lowers it (q). With W = W+ + W- a
dense layer hands ``p W+ + q W-`` to inputs above their reference, ``p W- + q W+`` to those below, and the mean of both
to those at it. All three are ``A + sign(delta) B`` with ``A = (p + q) W' / 2`` and ``B = (p - q) |W|' / 2``: two matrix
products whatever the signs.

Exact for the rules Rescale and RevealCancel of Shrikumar, Greenside, Kundaje 2017 (arXiv:1704.02685) and equal to
their `deeplift` package (``deeplift_reference``), for all outputs of all samples at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from scipy.special import erf, expit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from srna_lib.errors import InputError
from srna_lib.models import DenseNetClassifier, LogCPM

LARGE = 3e8  # multiplications in the largest product of a call from which XLA pays
CHUNK = 64  # samples whose result is made at a time: it fits into memory used before, not into new pages
ROWS = 16  # rows are filled up to a multiple of these


class Products(NamedTuple):
    """One way to multiply.

    Attributes
    ----------
    product : callable
        (rows (n, n_in) of either precision, kernel (n_in, n_out) float32) -> rows @ kernel, in the precision of the
        rows; may be read-only.
    scaled : callable
        (signal (n, m, n_units), kernel (n_columns, n_units), scale (n, n_columns), out (n, m, n_columns)), all float32:
        fills `out` with ``(signal @ kernel.T) * scale[:, None]``.
    """

    product: Callable[[np.ndarray, np.ndarray], np.ndarray]
    scaled: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]


def choose(multiplications: float) -> Products:
    """The faster way for a call.

    Parameters
    ----------
    multiplications : float
        In the largest product of the call.

    Returns
    -------
    Products
    """
    return XLA if multiplications >= LARGE else NUMPY


def _numpy_product(rows: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return rows @ kernel.astype(rows.dtype, copy=False)


def _numpy_scaled(signal: np.ndarray, kernel: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    np.matmul(signal.reshape(-1, signal.shape[2]), kernel.T, out=out.reshape(-1, len(kernel)))
    out *= scale[:, None, :]


def _xla_product(rows: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return _run("product", len(rows), _filled(rows), kernel)


def _xla_scaled(signal: np.ndarray, kernel: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    import jax

    kernel = jax.device_put(kernel)
    for start in range(0, len(out), CHUNK):
        part = slice(start, start + CHUNK)
        out[part] = _run("scaled", len(out[part]), _filled(signal[part]), kernel, _filled(scale[part]))


NUMPY = Products(_numpy_product, _numpy_scaled)
XLA = Products(_xla_product, _xla_scaled)


def _run(name: str, n: int, *arrays: Any) -> np.ndarray:
    """First `n` rows of what a compiled program makes of arrays."""
    import jax

    with jax.enable_x64(True):  # here only: keras's own programs stay in single precision
        return np.asarray(_programs()[name](*arrays))[:n]


@cache
def _programs() -> dict[str, Any]:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import jax

    def scaled(signal: Any, kernel: Any, scale: Any) -> Any:
        rows = signal.reshape(-1, signal.shape[2]) @ kernel.T
        return rows.reshape(*signal.shape[:2], len(kernel)) * scale[:, None, :]

    return {"product": jax.jit(lambda rows, kernel: rows @ kernel.astype(rows.dtype)), "scaled": jax.jit(scaled)}


def _filled(rows: np.ndarray) -> np.ndarray:
    """Rows of zeros added up to a multiple of `ROWS`."""
    missing = -len(rows) % ROWS
    return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)]) if missing else rows


RULES = ("rescale", "revealcancel")
NEAR_ZERO = 1e-7  # as in the deeplift package: smaller differences take the slope at the reference


@dataclass(frozen=True, eq=False)
class Dense:
    """Fully connected layer.

    Attributes
    ----------
    kernel : array, shape (n_in, n_out), float32
    bias : array, shape (n_out,), float32
    """

    kernel: np.ndarray
    bias: np.ndarray

    @cached_property
    def magnitude(self) -> np.ndarray:
        """Absolute weights."""
        return np.abs(self.kernel)


class Scale(NamedTuple):
    """Multiply each unit by a factor and add a shift (batch normalisation as it predicts).

    Attributes
    ----------
    factor, shift : array, shape (n_units,), float32
    """

    factor: np.ndarray
    shift: np.ndarray


class Elementwise(NamedTuple):
    """Non-linear function of each unit by itself.

    Attributes
    ----------
    name : str
    function, slope : callable
        The function and its derivative, float64 array -> float64 array.
    """

    name: str
    function: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


Layer = Dense | Scale | Elementwise


class Signal(NamedTuple):
    """What reaches the first dense layer from the outputs.

    Attributes
    ----------
    mean : array, shape (n_samples or 1, n_outputs, n_units), float32
        Multiplier of the layer's outputs; with RevealCancel the mean of p and q.
    half_gap : array of the same shape, or None
        Half of p - q; None where p equals q.
    """

    mean: np.ndarray
    half_gap: np.ndarray | None


def forward(layers: Sequence[Layer], values: np.ndarray) -> np.ndarray:
    """Run values through layers.

    Parameters
    ----------
    layers : sequence of Layer
        First to last.
    values : array, shape (n_samples, n_in)
        Input.

    Returns
    -------
    array, shape (n_samples, n_out), of the type of `values`
    """
    for layer in layers:
        if isinstance(layer, Dense):
            values = values @ layer.kernel + layer.bias
        elif isinstance(layer, Scale):
            values = values * layer.factor + layer.shift
        else:
            values = layer.function(values.astype(np.float64)).astype(values.dtype)
    return values


def propagate(
    layers: Sequence[Layer],
    reference: np.ndarray,
    delta: np.ndarray,
    seeds: np.ndarray,
    rule: str,
    by: Products = NUMPY,
) -> tuple[Signal, np.ndarray, np.ndarray]:
    """Carry differences forward through all layers, then outputs back to the first dense layer.

    Parameters
    ----------
    layers : sequence of Layer
        The first one is `Dense`.
    reference : array, shape (n_samples or 1, n_in), float64
        Reference input.
    delta : array, shape (n_samples, n_in), float64
        Input minus reference.
    seeds : array, shape (n_outputs, n_logits), float32
        Each output as a sum of logits: rows of the identity for the logits themselves.
    rule : str
        One of `RULES`.
    by : Products
        How to multiply.

    Returns
    -------
    signal : Signal
        At the outputs of ``layers[0]``.
    change : array, shape (n_samples, n_logits), float64
        Logits minus reference logits.
    reference_logits : array, shape (n_samples or 1, n_logits), float64
    """
    split = rule == "revealcancel"
    saved: list[tuple[Any, Any]] = []  # per layer what the way back needs
    parts: tuple[np.ndarray, np.ndarray] | None = None  # what raises and what lowers each unit
    for layer in layers:
        if isinstance(layer, Dense):
            saved.append((np.sign(delta).astype(np.float32) if split and saved else None, None))
            size = by.product(np.abs(delta), layer.magnitude) if split else None
            n, both = len(delta), by.product(np.concatenate([delta, reference]), layer.kernel)
            delta, reference = both[:n], both[n:] + layer.bias
            if size is not None:
                parts = _raise_and_lower(delta, size)
                delta = parts[0] + parts[1]
        elif isinstance(layer, Scale):
            saved.append((layer.factor, None))
            if parts is not None:  # a negative factor turns what raises into what lowers
                up, down = (part * layer.factor for part in parts)
                parts = np.where(layer.factor < 0, down, up), np.where(layer.factor < 0, up, down)
            delta, reference = delta * layer.factor, reference * layer.factor + layer.shift
        else:
            slopes, parts, delta, reference = _through(layer, reference, delta, parts)
            saved.append(slopes)
    return _back(layers, saved, seeds, by), delta, reference


def _raise_and_lower(total: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the positive terms and sum of the negative ones, from the sum and the sum of sizes."""
    raised, lowered = 0.5 * (total + size), 0.5 * (total - size)
    nothing = 1e-12 * size  # rounding of what cancels: here nothing raises or nothing lowers the unit
    return np.where(raised < nothing, 0.0, raised), np.where(-lowered < nothing, 0.0, lowered)


def _through(
    layer: Elementwise, reference: np.ndarray, delta: np.ndarray, parts: tuple[np.ndarray, np.ndarray] | None
) -> tuple[tuple[np.ndarray, np.ndarray | None], tuple[np.ndarray, np.ndarray] | None, np.ndarray, np.ndarray]:
    """Slope of one non-linear layer (RevealCancel: mean and half gap of two), then parts, difference and reference."""
    f_start = layer.function(reference)
    change = layer.function(reference + delta) - f_start
    if parts is None:
        flat = np.abs(delta) < NEAR_ZERO
        slope = change / np.where(flat, 1, delta)
        if flat.any():
            slope = np.where(flat, layer.slope(reference), slope)
        return (slope.astype(np.float32), None), None, change, f_start
    up, down = (_away_from_zero(part) for part in parts)
    f_up, f_down = layer.function(reference + up), layer.function(reference + down)
    f_both = layer.function(reference + up + down)
    raised = 0.5 * (f_up - f_start + f_both - f_down)
    lowered = 0.5 * (f_down - f_start + f_both - f_up)
    p, q = raised / up, lowered / down
    slopes = (0.5 * (p + q)).astype(np.float32), (0.5 * (p - q)).astype(np.float32)
    return slopes, (raised, lowered), change, f_start


def _away_from_zero(part: np.ndarray) -> np.ndarray:
    return np.where(np.abs(part) < 0.5 * NEAR_ZERO, part + np.where(part < 0, -NEAR_ZERO, NEAR_ZERO), part)


def _back(layers: Sequence[Layer], saved: list, seeds: np.ndarray, by: Products) -> Signal:
    mean, gap = seeds[None].astype(np.float32), None
    for layer, (first, second) in zip(layers[:0:-1], saved[:0:-1], strict=True):
        if isinstance(layer, Dense):
            mean, gap = _input_multipliers(Signal(mean, gap), layer, first, by), None
        elif isinstance(layer, Scale):  # a negative factor exchanges p and q, which turns their gap around
            mean, gap = mean * first, None if gap is None else gap * np.abs(first)
        elif second is None:
            mean = mean * first[:, None, :]
        else:
            both, half = first[:, None, :], second[:, None, :]
            if gap is None:
                mean, gap = mean * both, mean * half
            else:
                mean, gap = mean * both + gap * half, mean * half + gap * both
    return Signal(mean, gap)


def _input_multipliers(signal: Signal, layer: Dense, sign: np.ndarray, by: Products) -> np.ndarray:
    out = _times(signal.mean, layer.kernel.T, by)
    if signal.half_gap is not None:
        out = out + _times(signal.half_gap, layer.magnitude.T, by) * sign[:, None, :]
    return out


def _times(signal: np.ndarray, matrix: np.ndarray, by: Products) -> np.ndarray:
    """(a, b, c) times (c, d) as one matrix product, not one per sample."""
    return by.product(signal.reshape(-1, signal.shape[2]), matrix).reshape(*signal.shape[:2], matrix.shape[1])


def input_contributions(layer: Dense, signal: Signal, delta: np.ndarray, out: np.ndarray, by: Products = NUMPY) -> None:
    """Write the contributions of the inputs of the first dense layer.

    Parameters
    ----------
    layer : Dense
        The first one.
    signal : Signal
        From `propagate`.
    delta : array, shape (n_samples, n_in), float32
        Input minus reference.
    out : array, shape (n_samples, n_outputs, n_in), float32
        Filled.
    by : Products
        How to multiply.
    """
    _product(signal.mean, layer.kernel, delta, out, by)
    if signal.half_gap is not None:
        other = np.empty_like(out)
        _product(signal.half_gap, layer.magnitude, np.abs(delta), other, by)
        out += other


def _product(signal: np.ndarray, kernel: np.ndarray, delta: np.ndarray, out: np.ndarray, by: Products) -> None:
    if len(signal) == len(out):
        by.scaled(signal, kernel, delta, out)
    else:  # no non-linear layer: one multiplier for all samples
        np.multiply(_times(signal, kernel.T, by), delta[:, None, :], out=out)


def input_multipliers(layer: Dense, signal: Signal, delta: np.ndarray, out: np.ndarray, by: Products = NUMPY) -> None:
    """Write the multipliers of the inputs of the first dense layer; parameters as in `input_contributions`."""
    out[:] = _input_multipliers(signal, layer, np.sign(delta), by)


def summed_contributions(layer: Dense, signal: Signal, delta: np.ndarray) -> np.ndarray:
    """Sum the contributions of the inputs over samples without computing them one by one.

    The sum over samples of ``delta_if (U_i W_f')`` is the row sum of ``W * (delta' U)``.

    Parameters
    ----------
    layer, signal, delta
        As in `input_contributions`.

    Returns
    -------
    array, shape (n_outputs, n_in), float64
    """
    terms = [(signal.mean, layer.kernel, delta)]
    if signal.half_gap is not None:
        terms.append((signal.half_gap, layer.magnitude, np.abs(delta)))
    total = np.zeros((signal.mean.shape[1], delta.shape[1]))
    for back, kernel, change in terms:
        back = np.broadcast_to(back, (len(change), *back.shape[1:]))
        for output in range(len(total)):
            total[output] += np.einsum("fh,fh->f", kernel, change.T @ back[:, output], dtype=np.float64)
    return total


class Network(NamedTuple):
    """A network from model input to logits.

    Attributes
    ----------
    front : list of Layer
        Layers before the first dense one: each feature by itself, so a contribution behind them is the
        feature's own.
    layers : list of Layer
        From the first dense layer to the logits.
    classes : array, shape (n_logits,)
        What each logit stands for.
    unwrapped : str
        ``softmax`` or ``sigmoid`` where that final activation was left out, else empty.
    n_features : int
        Length of the model input.
    """

    front: list[Layer]
    layers: list[Layer]
    classes: np.ndarray
    unwrapped: str
    n_features: int

    @property
    def first(self) -> Dense:
        """The first dense layer."""
        layer = self.layers[0]
        assert isinstance(layer, Dense)
        return layer


def read_network(model: Any) -> Network:
    """Read a fitted model.

    Parameters
    ----------
    model : DenseNetClassifier, LogisticRegression or keras.Sequential
        Fitted; a logistic regression is a network of one layer.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        Another kind of model, or a layer that DeepLIFT has no rule for here.
    """
    if isinstance(model, DenseNetClassifier):
        check_is_fitted(model, "weights_")
        pairs = list(zip(model.weights_[::2], model.weights_[1::2], strict=True))
        layers: list[Layer] = [Dense(*pairs[0])]
        for kernel, bias in pairs[1:]:
            layers += [ACTIVATIONS["relu"](), Dense(kernel, bias)]
        return Network([], layers, model.classes_, "softmax", model.n_features_in_)
    if isinstance(model, LogisticRegression):
        check_is_fitted(model, "coef_")
        layer = _dense(model.coef_.T, model.intercept_)
        binary = len(model.coef_) == 1
        return Network(
            [], [layer], model.classes_[1:] if binary else model.classes_, "sigmoid" if binary else "softmax",
            model.n_features_in_,
        )  # fmt: skip
    if type(model).__module__.split(".")[0] == "keras" and type(model).__name__ == "Sequential":
        return _read_keras(model)
    raise InputError(
        f"model is a {type(model).__name__}; expected a fitted Pipeline, DenseNetClassifier, LogisticRegression or"
        " keras Sequential (forests and other models have no layers that DeepLIFT could go through)."
    )


def check_reading(model: Any, network: Network, rows: np.ndarray) -> None:
    """Compare the layers read from a keras model with the model itself on some samples.

    Raises
    ------
    InputError
        When the outputs differ, e.g. because a layer was subclassed.
    """
    theirs = np.asarray(model(rows), dtype=np.float64)
    ours = forward(network.layers, forward(network.front, rows)).astype(np.float64)
    if network.unwrapped == "softmax":
        ours = np.exp(ours - ours.max(axis=1, keepdims=True))
        ours /= ours.sum(axis=1, keepdims=True)
    elif network.unwrapped == "sigmoid":
        ours = expit(ours)
    gap = np.abs(ours - theirs).max(initial=0) / max(1.0, np.abs(theirs).max(initial=0))
    if not gap < 1e-3:
        raise InputError(
            f"the keras model {model.name!r} gives outputs that differ by {gap:.2g} (relative) from its layers as read"
            " here; expected layers that do at prediction what their class and settings say."
        )


def _read_keras(model: Any) -> Network:
    if not model.built:
        raise InputError(f"the keras model {model.name!r} has no weights yet; expected a built and trained model.")
    layers = list(_keras_layers(model))
    unwrapped = ""
    if layers and isinstance(layers[-1], Elementwise) and layers[-1].name in ("softmax", "sigmoid"):
        unwrapped = layers[-1].name
        del layers[-1]
    if any(isinstance(layer, Elementwise) and layer.name == "softmax" for layer in layers):
        raise InputError(f"the keras model {model.name!r} has a softmax between layers; expected it at the end only.")
    first = next((i for i, layer in enumerate(layers) if isinstance(layer, Dense)), None)
    if first is None:
        raise InputError(f"the keras model {model.name!r} has no Dense layer; expected at least one.")
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    classes = np.arange(len(dense[-1].bias))
    return Network(layers[:first], layers[first:], classes, unwrapped, len(dense[0].kernel))


def _keras_layers(model: Any) -> Iterator[Layer]:
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Sequential":
            yield from _keras_layers(layer)
        elif kind in _AT_PREDICTION_NOTHING:
            continue
        elif kind in _LAYERS and type(layer).__module__.split(".")[0] == "keras":
            yield from _LAYERS[kind](layer)
        else:
            raise InputError(
                f"layer {layer.name!r} of the keras model is a {kind}, which is not supported; expected"
                f" {', '.join(sorted(_LAYERS))} or a layer without effect at prediction."
            )


def _dense(kernel: Any, bias: Any) -> Dense:
    return Dense(np.ascontiguousarray(kernel, dtype=np.float32), np.asarray(bias, dtype=np.float32))


def _scale(factor: Any, shift: Any) -> Scale:
    return Scale(np.asarray(factor, dtype=np.float32), np.asarray(shift, dtype=np.float32))


def _read_dense(layer: Any) -> list[Layer]:
    kernel, *bias = layer.get_weights()
    return [_dense(kernel, bias[0] if bias else np.zeros(kernel.shape[1])), *_read_activation(layer)]


def _read_activation(layer: Any) -> list[Layer]:
    activation = layer.activation
    kind = type(activation).__name__
    if kind in _LAYERS:  # keras takes layers as activations, too
        return _LAYERS[kind](activation)
    name = getattr(activation, "__name__", kind)
    if name == "linear":
        return []
    if name not in ACTIVATIONS or not activation.__module__.startswith("keras."):
        raise InputError(
            f"layer {layer.name!r} of the keras model has the activation {name!r}, which is not supported; expected"
            f" linear, {', '.join(sorted(ACTIVATIONS))}."
        )
    return [ACTIVATIONS[name]()]


def _read_relu(layer: Any) -> list[Layer]:
    top = np.inf if layer.max_value is None else layer.max_value
    return [_relu(float(np.asarray(layer.negative_slope)), float(np.asarray(layer.threshold)), float(top))]


def _read_leaky(layer: Any) -> list[Layer]:
    return [_relu(float(np.asarray(layer.negative_slope)))]


def _read_prelu(layer: Any) -> list[Layer]:
    alpha = np.asarray(layer.get_weights()[0], dtype=np.float64)
    return [Elementwise("prelu", lambda x: np.where(x > 0, x, alpha * x), lambda x: np.where(x > 0, 1.0, alpha))]


def _read_elu(layer: Any) -> list[Layer]:
    return [_elu(float(layer.alpha))]


def _read_softmax(layer: Any) -> list[Layer]:
    return [ACTIVATIONS["softmax"]()]


def _read_batch_norm(layer: Any) -> list[Layer]:
    weights = iter(np.asarray(w, dtype=np.float64) for w in layer.get_weights())
    gamma = next(weights) if layer.scale else 1.0
    beta = next(weights) if layer.center else 0.0
    mean, variance = next(weights), next(weights)
    factor = gamma / np.sqrt(variance + layer.epsilon)
    return [_scale(factor, beta - mean * factor)]


def _read_normalization(layer: Any) -> list[Layer]:
    if layer.invert:
        raise InputError(f"layer {layer.name!r} of the keras model inverts a normalisation, which is not supported.")
    mean, deviation = np.asarray(layer.mean).ravel(), np.sqrt(np.asarray(layer.variance).ravel())
    factor = 1 / np.maximum(deviation, 1e-7)  # keras's own floor
    return [_scale(factor, -mean * factor)]


def _read_rescaling(layer: Any) -> list[Layer]:
    return [_scale(np.atleast_1d(layer.scale), np.atleast_1d(layer.offset))]


def _relu(negative_slope: float = 0.0, threshold: float = 0.0, top: float = np.inf) -> Elementwise:
    def function(x: np.ndarray) -> np.ndarray:
        if negative_slope == 0 and threshold == 0:
            return np.clip(x, 0, top)
        return np.where(x >= threshold, np.minimum(x, top), negative_slope * (x - threshold))

    def slope(x: np.ndarray) -> np.ndarray:
        return np.where(x > threshold, (x < top).astype(float), negative_slope)

    plain = negative_slope == 0 and threshold == 0 and top == np.inf
    return Elementwise("relu" if plain else "leaky, shifted or capped relu", function, slope)


def _elu(alpha: float = 1.0, scale: float = 1.0) -> Elementwise:
    return Elementwise(
        "elu",
        lambda x: scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x: scale * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))),
    )


def _named(name: str, function: Callable, slope: Callable) -> Callable[[], Elementwise]:
    return lambda: Elementwise(name, function, slope)


def _normal_slope(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + erf(x / np.sqrt(2))) + x * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)


def _not_elementwise(x: np.ndarray) -> np.ndarray:
    raise AssertionError("a final softmax is taken off before anything is computed")


ACTIVATIONS: dict[str, Callable[[], Elementwise]] = {
    "relu": _relu,
    "relu6": lambda: _relu(top=6.0),
    "leaky_relu": lambda: _relu(0.2),
    "elu": _elu,
    "selu": lambda: _elu(1.6732632423543772, 1.0507009873554805),
    "tanh": _named("tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sigmoid": _named("sigmoid", expit, lambda x: expit(x) * expit(-x)),
    "hard_sigmoid": _named(
        "hard_sigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: np.where(np.abs(x) < 3, 1 / 6, 0.0)
    ),
    "softplus": _named("softplus", lambda x: np.logaddexp(0, x), expit),
    "softsign": _named("softsign", lambda x: x / (1 + np.abs(x)), lambda x: (1 + np.abs(x)) ** -2.0),
    "silu": _named("silu", lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x))),
    "gelu": _named("gelu", lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))), _normal_slope),
    "exponential": _named("exponential", np.exp, np.exp),
    "softmax": _named("softmax", _not_elementwise, _not_elementwise),
}
_AT_PREDICTION_NOTHING = (
    "InputLayer", "Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization", "Identity",
)  # fmt: skip
_LAYERS: dict[str, Callable[[Any], list[Layer]]] = {
    "Dense": _read_dense,
    "Activation": _read_activation,
    "ReLU": _read_relu,
    "LeakyReLU": _read_leaky,
    "PReLU": _read_prelu,
    "ELU": _read_elu,
    "Softmax": _read_softmax,
    "BatchNormalization": _read_batch_norm,
    "Normalization": _read_normalization,
    "Rescaling": _read_rescaling,
}


REFERENCES = {
    "zeros": "zeros in model space",
    "zero_counts": "zero counts",
    "mean": "training mean",
    "study_mean": "mean of the sample's own study",
}


class Opened(NamedTuple):
    """A model taken apart.

    Attributes
    ----------
    steps : Pipeline or None
        Fitted preprocessing; None where samples come in model space.
    network : Network
        From model space to logits.
    features : array of str, shape (n_features,)
        sRNA of each column in model space.
    srnas : array of str, shape (n_srnas,)
        Columns of the counts; the same as `features` without preprocessing.
    """

    steps: Pipeline | None
    network: Network
    features: np.ndarray
    srnas: np.ndarray


class Reference(NamedTuple):
    """What samples are compared with, in model space.

    Attributes
    ----------
    name : str
        In words.
    rows : array, shape (n_rows, n_features), float32
        One row for all samples, one per study, or several to average the contributions over.
    codes : array of int, shape (n_samples,), or None
        Row of each sample; None where every row is used for every sample.
    """

    name: str
    rows: np.ndarray
    codes: np.ndarray | None


def open_model(model: Any, X: Any) -> Opened:
    """Take a fitted model apart and hold it against the samples.

    Parameters
    ----------
    model : Pipeline, DenseNetClassifier, LogisticRegression or keras.Sequential
        Fitted.
    X : DataFrame or array, shape (n_samples, n_srnas)
        Raw counts for a pipeline, model input otherwise.

    Returns
    -------
    Opened

    Raises
    ------
    InputError
        A model without layers, samples that do not fit it, or preprocessing that mixes sRNAs.
    """
    if issparse(X):
        raise InputError("X is a sparse matrix; expected a DataFrame or an array (X.toarray()).")
    if isinstance(model, Pipeline) and len(model) > 1:
        return _open_pipeline(model, X)
    model = model[-1] if isinstance(model, Pipeline) else model
    network = read_network(model)
    shape = np.shape(X)
    if len(shape) != 2 or shape[1] != network.n_features or not shape[0]:
        raise InputError(
            f"X has the shape {shape}; expected at least one sample of the model's {network.n_features} features."
        )
    if isinstance(X, pd.DataFrame):
        names = X.columns.to_numpy(dtype=object)
    else:
        names = np.array([f"x{i}" for i in range(network.n_features)], dtype=object)
    trained_on = getattr(model, "feature_names_in_", None)
    if trained_on is not None and isinstance(X, pd.DataFrame) and list(names) != list(trained_on):
        raise InputError("the columns of X are not those of the training data, in their order.")
    opened = Opened(None, network, names, names)
    if not hasattr(model, "classes_"):
        check_reading(model, network, next(blocks(opened, X, 4))[1])
    return opened


def _open_pipeline(model: Pipeline, X: Any) -> Opened:
    network = read_network(model[-1])
    srnas = _columns(model, X, "X")
    try:
        features = np.asarray(model[:-1].get_feature_names_out(srnas), dtype=object)
    except AttributeError as error:
        raise InputError("a preprocessing step of the pipeline does not name its outputs.") from error
    known = set(srnas)
    alien = [f for f in features if f not in known]
    if alien:
        raise InputError(
            f"the preprocessing makes features that are no sRNAs of the counts ({alien[0]!r}); expected steps that keep"
            " each sRNA a column of its own."
        )
    return Opened(model[:-1], network, features, srnas)


def _columns(model: Pipeline, X: Any, what: str) -> np.ndarray:
    if not isinstance(X, pd.DataFrame) or not len(X):
        raise InputError(f"{what} is a {type(X).__name__}; expected raw counts of at least one sample as DataFrame.")
    columns = X.columns.to_numpy(dtype=object)
    trained_on = getattr(model, "feature_names_in_", None)
    if trained_on is not None and list(columns) != list(trained_on):
        missing, extra = set(trained_on) - set(columns), set(columns) - set(trained_on)
        example = sorted(missing or extra or {"another order"}, key=str)[0]
        raise InputError(
            f"the columns of {what} are not those of the training data: {len(missing)} missing, {len(extra)} unknown"
            f" ({example!r}); expected the same sRNAs in the same order."
        )
    return columns


def transform(opened: Opened, X: Any) -> np.ndarray:
    """Bring samples into model space.

    Parameters
    ----------
    opened : Opened
        From `open_model`.
    X : DataFrame or array, shape (n_samples, n_srnas)
        As the model takes them.

    Returns
    -------
    array, shape (n_samples, n_features), float32

    Raises
    ------
    InputError
        Values that are not finite (or negative counts).
    """
    try:
        values = X if opened.steps is None else opened.steps.transform(X)
        values = np.ascontiguousarray(values, dtype=np.float32)
    except ValueError as error:
        raise InputError(f"X cannot be preprocessed: {str(error).splitlines()[0]}") from error
    if not np.isfinite(values).all():
        raise InputError("X has values that are missing or infinite; expected finite numbers.")
    return values


def blocks(opened: Opened, X: Any, batch_size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Samples in model space, a block at a time.

    Yields
    ------
    rows : slice
        Positions in `X`.
    values : array, shape (n_rows, n_features), float32
    """
    for start in range(0, len(X), batch_size):
        rows = slice(start, min(start + batch_size, len(X)))
        yield rows, transform(opened, X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows])


def make_reference(
    opened: Opened, X: Any, reference: Any, *, background: Any = None, groups: Any = None, batch_size: int = 256
) -> Reference:
    """Work out the reference of each sample.

    Parameters
    ----------
    opened : Opened
        From `open_model`.
    X : DataFrame or array
        The samples to explain.
    reference : str, array, DataFrame or None
        See `deeplift.contributions`.
    background : DataFrame or array, optional
        Training samples, for ``mean``.
    groups : array, shape (n_samples,), optional
        Study of each sample, for ``study_mean``.
    batch_size : int, default 256
        Samples preprocessed at a time.

    Returns
    -------
    Reference

    Raises
    ------
    InputError
        Unknown name, or what the name needs was not given.
    """
    if reference is None:
        reference = default_reference(opened)
    for what, given, needed in (("background", background, "mean"), ("groups", groups, "study_mean")):
        if given is not None and not (isinstance(reference, str) and reference == needed):
            named = repr(reference) if isinstance(reference, str) else "samples"
            raise InputError(f"{what} is given but the reference is {named}; expected it with {needed!r} only.")
    if not isinstance(reference, str):
        return _given(opened, reference, batch_size)
    if reference not in REFERENCES:
        raise InputError(
            f"unknown reference {reference!r}: expected one of {', '.join(REFERENCES)}, or samples to compare with."
        )
    name = REFERENCES[reference]
    if reference == "zeros":
        return Reference(name, np.zeros((1, len(opened.features)), dtype=np.float32), None)
    if reference == "zero_counts":
        if opened.steps is None:
            raise InputError("reference 'zero_counts' needs a pipeline that starts from counts; use 'zeros'.")
        return Reference(name, transform(opened, pd.DataFrame(0.0, index=["zero"], columns=opened.srnas)), None)
    if reference == "study_mean":
        return Reference(name, *_study_means(opened, X, groups, batch_size))
    if background is not None:
        background = _as_samples(opened, background, "background")
        mean = _means(opened, background, np.zeros(len(background), dtype=int), batch_size)
        return Reference(f"mean of {len(background)} background samples", mean, None)
    scaler = None if opened.steps is None else opened.steps[-1]
    if not isinstance(scaler, StandardScaler):
        raise InputError(
            "reference 'mean' needs the training samples, which this model does not keep the mean of: give them as"
            " background."
        )
    # behind a z-score the training mean is zero by construction; without centring it is the scaled mean
    mean = (
        np.zeros(len(opened.features)) if scaler.with_mean else scaler.mean_ / (scaler.scale_ if scaler.with_std else 1)
    )
    return Reference(name, mean[None].astype(np.float32), None)


def default_reference(opened: Opened) -> str:
    """Name of the reference that a model is explained against when none is named.

    Returns
    -------
    str
        ``mean`` for recipes on the log scale (there zero counts are an extreme, not a neutral, sample), else
        ``zeros``, the paper's.
    """
    steps = [] if opened.steps is None else [step for _, step in opened.steps.steps]
    log_scale = any(isinstance(step, LogCPM) for step in steps)
    return "mean" if log_scale and isinstance(steps[-1], StandardScaler) else "zeros"


def _given(opened: Opened, samples: Any, batch_size: int) -> Reference:
    samples = _as_samples(opened, samples, "reference")
    rows = np.concatenate([values for _, values in blocks(opened, samples, batch_size)])
    name = "one given sample" if len(rows) == 1 else f"average over {len(rows)} given samples"
    return Reference(name, rows, None)


def _as_samples(opened: Opened, samples: Any, what: str) -> Any:
    if opened.steps is not None:
        if list(_columns(opened.steps, samples, what)) != list(opened.srnas):
            raise InputError(f"the columns of {what} are not those of X; expected the same sRNAs in the same order.")
        return samples
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if samples.ndim != 2 or samples.shape[1] != len(opened.features) or not len(samples):
        raise InputError(
            f"{what} has the shape {samples.shape}; expected at least one sample of {len(opened.features)} features."
        )
    return samples


def _study_means(opened: Opened, X: Any, groups: Any, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    if groups is None or len(groups) != len(X):
        found = "none" if groups is None else f"{len(groups)}"
        raise InputError(f"reference 'study_mean' needs groups, the study of each of {len(X)} samples; found {found}.")
    if pd.isna(np.asarray(groups, dtype=object)).any():
        raise InputError("groups has missing values; expected a study for every sample.")
    codes = pd.factorize(np.asarray(groups))[0]
    return _means(opened, X, codes, batch_size), codes


def _means(opened: Opened, X: Any, codes: np.ndarray, batch_size: int) -> np.ndarray:
    sums = np.zeros((codes.max() + 1, len(opened.features)))
    for rows, values in blocks(opened, X, batch_size):
        np.add.at(sums, codes[rows], values)
    return (sums / np.bincount(codes)[:, None]).astype(np.float32)


class CompletenessError(ArithmeticError):
    """Contributions do not sum to the change of the logit: a bug or a numerical break-down, never to be ignored."""


class Contributions(NamedTuple):
    """Contributions of features to logits.

    Attributes
    ----------
    values : array, shape (n_samples, n_outputs, n_features), float32
        Contribution of a feature to an output's logit; over features each sums to ``logits - reference_logits``
        (centred: to that, less its mean over all classes).
    samples : array, shape (n_samples,)
        Index of `X`, or positions where `X` has none.
    classes : array, shape (n_outputs,)
        Class of each output.
    features : array of str, shape (n_features,)
        sRNA of each column. Those that the pipeline's filter drops have no say in the model and are left out;
        `for_features` puts them back with exactly zero.
    logits, reference_logits : array, shape (n_samples, n_outputs), float32
        Outputs before softmax or sigmoid of the sample and of its reference (mean over references).
    reference : str
        What samples were compared with, in words fit for a caption.
    rule : str
        ``rescale`` or ``revealcancel``.
    unwrapped : str
        ``softmax`` or ``sigmoid``, the final activation that was left out to explain logits; empty if there was none.
    centred : bool
        Whether the mean over all classes was subtracted from each feature's contributions.
    error : float
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
    unwrapped: str
    centred: bool
    error: float

    def to_frame(self, output: Any) -> pd.DataFrame:
        """Contributions to one class.

        Parameters
        ----------
        output : class label
            One of `classes`.

        Returns
        -------
        DataFrame, samples x features
        """
        (i,) = positions(self.classes, [output])
        return pd.DataFrame(self.values[:, i], index=self.samples, columns=self.features)

    def of_sample(self, sample: Any) -> pd.DataFrame:
        """Contributions in one sample.

        Parameters
        ----------
        sample : label
            One of `samples`.

        Returns
        -------
        DataFrame, classes x features
        """
        found = np.flatnonzero(self.samples == sample)
        if not len(found):
            raise InputError(f"unknown sample {sample!r}: expected one of the {len(self.samples)} samples explained.")
        return pd.DataFrame(self.values[found[0]], index=self.classes, columns=self.features)

    def for_features(self, features: Sequence[str]) -> Contributions:
        """Put contributions in another order of features, exactly zero for those that the model never sees.

        Parameters
        ----------
        features : sequence of str
            E.g. the columns of the counts.

        Returns
        -------
        Contributions

        Raises
        ------
        InputError
            A feature that is named twice: its contribution would count twice.
        """
        if len(set(features)) < len(features):
            twice = next(f for f in features if list(features).count(f) > 1)
            raise InputError(f"features has {twice!r} more than once; expected every feature once.")
        position = {f: i for i, f in enumerate(self.features)}
        known = [(to, position[f]) for to, f in enumerate(features) if f in position]
        values = np.zeros((*self.values.shape[:2], len(features)), dtype=np.float32)
        if known:
            to, origin = np.array(known).T
            values[:, :, to] = self.values[:, :, origin]
        return self._replace(values=values, features=np.asarray(features, dtype=object))


class ClassMeans(NamedTuple):
    """Mean contributions per group of samples.

    Attributes
    ----------
    values : array, shape (n_groups, n_outputs, n_features), or (n_groups, n_features) for ``outputs="own"``, float32
        Mean over the samples of a group.
    groups : array, shape (n_groups,)
        Group of each row.
    sizes : array of int, shape (n_groups,)
        Samples of each group.
    classes, features, reference, rule, unwrapped, centred
        As in `Contributions`; with ``outputs="own"`` `classes` equals `groups`.
    """

    values: np.ndarray
    groups: np.ndarray
    sizes: np.ndarray
    classes: np.ndarray
    features: np.ndarray
    reference: str
    rule: str
    unwrapped: str
    centred: bool

    def to_frame(self) -> pd.DataFrame:
        """Give the means as a table.

        Returns
        -------
        DataFrame, groups x features, or (group, class) x features
        """
        if self.values.ndim == 2:
            return pd.DataFrame(self.values, index=self.groups, columns=self.features)
        index = pd.MultiIndex.from_product([self.groups, self.classes], names=["group", "class"])
        return pd.DataFrame(self.values.reshape(-1, len(self.features)), index=index, columns=self.features)


def positions(classes: np.ndarray, wanted: Sequence[Any] | np.ndarray) -> list[int]:
    """Find classes among a model's outputs.

    Parameters
    ----------
    classes : array, shape (n_outputs,)
        Class of each output.
    wanted : sequence of class labels
        Those to find.

    Returns
    -------
    list of int
        Position of each.

    Raises
    ------
    InputError
        A label that is no class of the model.
    """
    known = {c: i for i, c in enumerate(classes.tolist())}
    labels = np.asarray(wanted).tolist()
    found = [known.get(label) for label in labels]
    for label, position in zip(labels, found, strict=True):
        if position is None:
            raise InputError(f"unknown class {label!r}: expected one of {', '.join(map(str, known))}.")
    return [p for p in found if p is not None]


def sample_names(X: Any) -> np.ndarray:
    """Index of a table of samples, positions for an array.

    Returns
    -------
    array, shape (n_samples,)
    """
    return X.index.to_numpy() if isinstance(X, pd.DataFrame) else np.arange(len(X))


TOLERANCE = 1e-5  # of the largest change of an output, or of the absolute contributions where they cancel
LARGE_GROUP = 32  # samples from which the sum over a group is faster than its samples one by one
NEGLIGIBLE = 1e-6  # a change of a logit that moves no probability


class Batch(NamedTuple):
    """A batch of samples propagated against one reference.

    Attributes
    ----------
    signal : Signal
        At the outputs of the first dense layer.
    delta : array, shape (n_samples, n_features)
        Input minus reference.
    change, reference_logits : array, shape (n_samples or 1, n_logits)
        Logits minus reference logits; the latter.
    """

    signal: Signal
    delta: np.ndarray
    change: np.ndarray
    reference_logits: np.ndarray


class Run:
    """One call of `srna_lib.deeplift`; parameters as in `deeplift.contributions`."""

    def __init__(
        self,
        model: Any,
        X: Any,
        reference: Any = None,
        rule: str = "rescale",
        outputs: Sequence[Any] | None = None,
        batch_size: int = 256,
        centred: bool = False,
        background: Any = None,
        groups: Any = None,
    ) -> None:
        if rule not in RULES:
            raise InputError(f"unknown rule {rule!r}: expected one of {', '.join(RULES)}.")
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise InputError(f"batch_size is {batch_size!r}; expected a whole number, at least 1.")
        if isinstance(outputs, str):
            raise InputError(f"outputs is {outputs!r}; expected a list of classes, such as [{outputs!r}].")
        self.X, self.rule, self.batch_size, self.centred = X, rule, int(batch_size), centred
        self.opened = open_model(model, X)
        self.network = self.opened.network
        self.reference = make_reference(
            self.opened, X, reference, background=background, groups=groups, batch_size=self.batch_size
        )
        self.n_references = 1 if self.reference.codes is not None else len(self.reference.rows)
        every = self.network.classes
        if centred and len(every) == 1:
            raise InputError("centred needs at least two outputs; this model has one logit.")
        self.chosen = np.arange(len(every)) if outputs is None else np.array(positions(every, outputs), dtype=int)
        if not len(self.chosen):
            raise InputError("outputs is empty; expected at least one class of the model.")
        self.classes = every[self.chosen]
        self.seeds = np.eye(len(every), dtype=np.float32)[self.chosen]
        if centred:  # propagation is linear in what it starts from, so centring the start centres the end
            self.seeds -= np.float32(1 / len(every))

    def collect(self, write: Callable[..., None], where: np.ndarray | None = None) -> Contributions:
        """Contributions or multipliers of samples.

        Parameters
        ----------
        write : callable
            `deeplift_rules.input_contributions` or `deeplift_rules.input_multipliers`.
        where : array of int, optional
            Positions of the samples wanted; all by default.

        Returns
        -------
        Contributions
        """
        where = np.arange(len(self.X)) if where is None else where
        out = np.empty((len(where), len(self.classes), len(self.opened.features)), dtype=np.float32)
        rows_at_once = min(self.batch_size, len(where))
        by = choose(rows_at_once * len(self.classes) * self.network.first.kernel.size)
        ends = np.zeros((2, len(where), len(self.classes)), dtype=np.float32)  # logits, reference logits
        gap = largest = 0.0
        for rows, values in blocks(self.opened, _take(self.X, where), self.batch_size):
            target = out[rows]
            for number, batch in enumerate(self._batches(values, where[rows], self.seeds, by)):
                block = np.empty_like(target) if number else target
                write(self.network.first, batch.signal, batch.delta, block, by)
                parts = block if write is input_contributions else block * batch.delta[:, None]
                wanted = batch.change @ self.seeds.T
                gap = max(gap, _check(parts, wanted))
                largest = max(largest, float(np.abs(wanted).max()))
                if number:
                    target += block
                start = batch.reference_logits[:, self.chosen]
                ends[0, rows] += start + batch.change[:, self.chosen]
                ends[1, rows] += start
            if self.n_references > 1:
                target /= self.n_references
                ends[:, rows] /= self.n_references
        return Contributions(
            values=out,
            samples=sample_names(self.X)[where],
            classes=self.classes,
            features=self.opened.features,
            logits=ends[0],
            reference_logits=ends[1],
            reference=self.reference.name,
            rule=self.rule,
            unwrapped=self.network.unwrapped,
            centred=self.centred,
            error=gap / largest if largest else 0.0,
        )

    def means(self, codes: np.ndarray) -> np.ndarray:
        """Mean contributions over the samples of each group.

        Parameters
        ----------
        codes : array of int, shape (n_samples,)
            Group of each sample, numbered from zero without gaps.

        Returns
        -------
        array, shape (n_groups, n_outputs, n_features), float32
        """
        sizes = np.bincount(codes)
        out = np.zeros((len(sizes), len(self.classes), len(self.opened.features)), dtype=np.float32)
        for group in np.flatnonzero(sizes >= LARGE_GROUP):
            out[group] = self.mean(np.flatnonzero(codes == group), self.seeds)
        small = np.argsort(codes, kind="stable")
        small = small[sizes[codes[small]] < LARGE_GROUP]
        for start in range(0, len(small), self.batch_size):
            where = small[start : start + self.batch_size]
            values = self.collect(input_contributions, where).values
            for group in np.unique(codes[where]):
                out[group] += values[codes[where] == group].sum(axis=0) / sizes[group]
        return out

    def mean(self, where: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Mean contributions over samples.

        Parameters
        ----------
        where : array of int
            Positions of the samples.
        seeds : array, shape (n_outputs, n_logits)
            Each output as a sum of logits.

        Returns
        -------
        array, shape (n_outputs, n_features), float32
        """
        total = np.zeros((len(seeds), len(self.opened.features)))
        for rows, values in blocks(self.opened, _take(self.X, where), self.batch_size):
            for batch in self._batches(values, where[rows], seeds):
                parts = summed_contributions(self.network.first, batch.signal, batch.delta)
                changes = batch.change @ seeds.T
                _check(parts, changes.sum(axis=0, dtype=np.float64), np.abs(changes).sum(axis=0))
                total += parts
        return (total / (len(where) * self.n_references)).astype(np.float32)

    def _batches(
        self, values: np.ndarray, rows: np.ndarray, seeds: np.ndarray, by: Products = NUMPY
    ) -> Iterator[Batch]:
        """Propagate samples, once per reference."""
        front, layers, made = self.network.front, self.network.layers, self.reference
        inputs = forward(front, values.astype(np.float64))
        for reference in made.rows[:, None] if made.codes is None else [made.rows[made.codes[rows]]]:
            start = forward(front, reference.astype(np.float64))
            delta = inputs - start
            signal, change, start_logits = propagate(layers, start, delta, seeds, self.rule, by)
            yield Batch(signal, delta.astype(np.float32), change, start_logits)


def _take(X: Any, where: np.ndarray) -> Any:
    if np.array_equal(where, np.arange(len(X))):
        return X
    return X.iloc[where] if isinstance(X, pd.DataFrame) else np.asarray(X)[where]


def _check(parts: np.ndarray, wanted: np.ndarray, cancelled: np.ndarray | float = 0.0) -> float:
    """Largest gap between sums of contributions (last axis) and changes of the outputs.

    What cancels in a sum still leaves its rounding: where the plain tolerance is missed, the absolute contributions
    (and changes that cancelled before) decide.
    """
    found = parts.sum(axis=-1)
    gap = np.abs(found - wanted)
    if not gap.max() <= TOLERANCE * np.abs(wanted).max():  # also true for what is not a number
        limit = TOLERANCE * (np.abs(parts).sum(axis=-1) + cancelled) + NEGLIGIBLE
        if not (gap <= limit).all():
            worst = np.unravel_index(np.argmax(np.nan_to_num(gap - limit, nan=np.inf)), gap.shape)
            raise CompletenessError(
                f"contributions sum to {found[worst]:.7g} where the output changes by {wanted[worst]:.7g}: a gap of"
                f" {gap[worst]:.2g}, allowed {limit[worst]:.2g}."
            )
    return float(gap.max())


__all__ = [
    "REFERENCES", "RULES", "ClassMeans", "CompletenessError", "Contributions", "class_means", "contribution_blocks",
    "contributions", "logits", "model_space", "multipliers", "reference_input",
]  # fmt: skip


def contributions(
    model: Any,
    X: Any,
    *,
    reference: Any = None,
    rule: str = "rescale",
    outputs: Sequence[Any] | None = None,
    batch_size: int = 256,
    centred: bool = False,
    background: Any = None,
    groups: Any = None,
) -> Contributions:
    """Contribution of every feature to every output for every sample.

    Parameters
    ----------
    model : Pipeline, DenseNetClassifier, LogisticRegression or keras.Sequential
        Fitted. Of a pipeline (`models.recipe`) the network alone is propagated through: the steps before it end
        in one column per sRNA, so a column's contribution is its sRNA's.
    X : DataFrame, shape (n_samples, n_srnas), or array, shape (n_samples, n_features)
        Raw counts for a pipeline, model input otherwise.
    reference : str, DataFrame or array, optional
        What samples are compared with; it decides the story, so it is named in the result.
        ``zeros`` (in model space; the paper's, and the default but for recipes on the log scale), ``zero_counts`` (an
        empty library), ``mean`` (of the training samples; default on the log scale), ``study_mean`` (of the samples
        in `X` that share the sample's study), or samples of the same kind as `X`: with several, contributions are
        computed against each and averaged, as the package's authors advise and DeepSHAP does. That is not the same
        as comparing with the average sample, which need not resemble any.
    rule : str, default "rescale"
        ``revealcancel`` lets what raises and what lowers a unit count separately, which shows inputs that cancel or
        act through a minimum; about twice the time.
    outputs : sequence of class labels, optional
        Classes wanted; all by default.
    batch_size : int, default 256
        Samples at a time. Beside the result, memory holds a few arrays of shape (batch_size, n_outputs, n_features).
    centred : bool, default False
        Subtract from each feature's contributions their mean over all classes: what speaks for this class rather
        than for all of them.
    background : DataFrame or array, optional
        Training samples, where ``mean`` needs them (no z-score in the pipeline).
    groups : array, shape (n_samples,), optional
        Study of each sample, for ``study_mean``.

    Returns
    -------
    Contributions
        Float32, n_samples x n_outputs x n_features; for results beyond memory see `contribution_blocks`.

    Raises
    ------
    InputError
        A model without rule, unknown names, samples that do not fit the model.
    CompletenessError
        Contributions that do not sum to the change of the logit within 1e-5.
    """
    run = Run(model, X, reference, rule, outputs, batch_size, centred, background, groups)
    return run.collect(input_contributions)


def contribution_blocks(model: Any, X: Any, *, batch_size: int = 256, **options: Any) -> Iterator[Contributions]:
    """Contributions of a few samples at a time, for results that do not fit into memory.

    Parameters
    ----------
    model, X, batch_size, **options
        As in `contributions`.

    Yields
    ------
    Contributions
        Of up to `batch_size` samples, in the order of `X`.
    """
    run = Run(model, X, batch_size=batch_size, **options)
    for start in range(0, len(X), batch_size):
        yield run.collect(input_contributions, np.arange(start, min(start + batch_size, len(X))))


def multipliers(model: Any, X: Any, *, batch_size: int = 256, **options: Any) -> Contributions:
    """Contribution per unit of difference from the reference, in model space.

    Parameters
    ----------
    model, X, batch_size, **options
        As in `contributions`.

    Returns
    -------
    Contributions
        With multipliers as `values`: times (model input - reference) they are contributions. Where a feature
        equals its reference the multiplier is a slope.
    """
    run = Run(model, X, batch_size=batch_size, **options)
    if run.opened.network.front:
        raise InputError("multipliers need a keras model that starts with its Dense layer; use contributions.")
    return run.collect(input_multipliers)


def class_means(
    model: Any,
    X: Any,
    y: Any,
    *,
    outputs: Sequence[Any] | str = "own",
    batch_size: int = 256,
    **options: Any,
) -> ClassMeans:
    """Mean contributions over the samples of each group, by a matrix identity that needs no per-sample tensor.

    With the input differences D of a group's samples and their back-propagated multipliers U at the first layer of
    weights W, the summed contributions are the row sums of ``W * (D' U)``. Small groups go together, a batch at a time.

    Parameters
    ----------
    model, X, batch_size, **options
        As in `contributions`. The paper's D1 subtracts from class k the mean over the other K - 1 classes, which is
        K / (K - 1) times what ``centred=True`` gives.
    y : array, shape (n_samples,)
        Group of each sample.
    outputs : "own", "all" or sequence of class labels, default "own"
        ``own``: contributions of a class's samples to that class (then `y` holds classes of the model).

    Returns
    -------
    ClassMeans
        Groups in sorted order.

    Raises
    ------
    InputError
        As in `contributions`; with ``own`` also for a group that is no class of the model.
    """
    wanted = None if isinstance(outputs, str) else outputs
    if isinstance(outputs, str) and outputs not in ("own", "all"):
        raise InputError(f"outputs is {outputs!r}; expected 'own', 'all' or a list of classes.")
    labels = np.atleast_1d(np.asarray(y))
    if len(labels) != len(X) or pd.isna(labels).any():
        raise InputError(f"y has {len(labels)} labels for {len(X)} samples; expected one for each, none missing.")
    run = Run(model, X, batch_size=batch_size, outputs=wanted, **options)
    groups, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    own = None
    if isinstance(outputs, str) and outputs == "own":
        if len(run.classes) == 1:
            raise InputError(
                "the model has one logit for two classes; expected outputs='all' (negative: the other class)."
            )
        own = positions(run.classes, groups)
    if own is None:
        values = run.means(codes)
    else:
        values = np.concatenate([run.mean(np.flatnonzero(codes == g), run.seeds[[c]]) for g, c in enumerate(own)])
    return ClassMeans(
        values,
        groups,
        sizes,
        run.classes if own is None else groups,
        run.opened.features,
        run.reference.name,
        run.rule,
        run.opened.network.unwrapped,
        run.centred,
    )


def model_space(model: Any, X: Any, *, batch_size: int = 256) -> pd.DataFrame:
    """Samples as the network sees them: what masking to a reference works on.

    Parameters
    ----------
    model, X, batch_size
        As in `contributions`.

    Returns
    -------
    DataFrame, shape (n_samples, n_features), float32
        Columns named by sRNA.
    """
    opened = open_model(model, X)
    values = np.concatenate([values for _, values in blocks(opened, X, batch_size)])
    return pd.DataFrame(values, index=sample_names(X), columns=opened.features)


def reference_input(
    model: Any, X: Any, *, reference: Any = None, background: Any = None, groups: Any = None
) -> pd.DataFrame:
    """The reference as the network sees it.

    Parameters
    ----------
    model, X, reference, background, groups
        As in `contributions`.

    Returns
    -------
    DataFrame, shape (n_rows, n_features), float32
        One row that holds for all samples, or with ``study_mean`` one per sample, or the samples given.
    """
    opened = open_model(model, X)
    made = make_reference(opened, X, reference, background=background, groups=groups)
    if made.codes is None:
        return pd.DataFrame(made.rows, columns=opened.features)
    return pd.DataFrame(made.rows[made.codes], index=sample_names(X), columns=opened.features)


def logits(model: Any, values: Any) -> np.ndarray:
    """Logits of samples in model space, e.g. with features masked to a reference.

    Parameters
    ----------
    model
        As in `contributions`.
    values : array or DataFrame, shape (n_samples, n_features)
        Model input, as from `model_space`.

    Returns
    -------
    array, shape (n_samples, n_outputs), float32
    """
    network = read_network(model[-1] if hasattr(model, "steps") else model)
    ready = np.asarray(values, dtype=np.float32)
    if ready.ndim != 2 or ready.shape[1] != network.n_features:
        raise InputError(f"values has the shape {ready.shape}; expected samples of {network.n_features} features.")
    if not np.isfinite(ready).all():
        raise InputError("values has numbers that are missing or infinite; expected finite ones.")
    return forward(network.layers, forward(network.front, ready))
