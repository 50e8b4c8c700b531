"""A fitted network as a list of layers that DeepLIFT can go through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.special import erf, expit
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from srna_lib.deeplift_rules import Dense, Elementwise, Layer, Scale, forward
from srna_lib.errors import InputError
from srna_lib.networks import DenseNetClassifier


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
