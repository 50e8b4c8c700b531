"""The dense network as a scikit-learn classifier: keras on JAX, one compiled training program per shape.

A fresh keras model per fold spends most of its time in compilation. Here a new `fit` only resets the weights, the
optimizer and the dropout seed. To meet the same shape in every fold, samples and features are padded (the pad is never
sampled, its weights stay zero).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from srna_lib.models.preprocess import at_least_two


def import_keras() -> Any:
    """Keras on its JAX backend; refused where it was imported before with another."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    if keras.backend.backend() != "jax":
        raise RuntimeError(
            f"keras runs on {keras.backend.backend()!r}; expected 'jax': unset KERAS_BACKEND and start Python again."
        )
    return keras


def clear_programs() -> None:
    """Forget every compiled training program (for benchmarks and tests)."""
    compile_training.cache_clear()


def build(keras: Any, n_features: int, hidden: tuple, dropout: tuple, n_classes: int) -> Any:
    """Lay out dense ReLU layers with dropout, then linear outputs (logits)."""
    model = keras.Sequential([keras.Input((n_features,), name="srnas")])
    for i, (units, share) in enumerate(zip(hidden, dropout, strict=True), start=1):
        model.add(keras.layers.Dense(units, activation="relu", name=f"dense_{i}"))
        model.add(keras.layers.Dropout(share, name=f"dropout_{i}"))
    model.add(keras.layers.Dense(n_classes, name="logits"))
    return model


@lru_cache(maxsize=32)
def compile_training(
    n_features: int, hidden: tuple, dropout: tuple, n_classes: int, learning_rate: float
) -> tuple[Callable, Callable]:
    """Compile the training of one epoch for one shape of network; jax keeps it per number of samples.

    Returns two functions: (generator, true number of features) -> state of weights, dropout seed and optimizer moments;
    (state, X, y, weight, order, steps) -> (state after one epoch, mean loss), where the state given is used up.
    """
    keras = import_keras()
    import jax

    program = compile_epochs(build(keras, n_features, hidden, dropout, n_classes), learning_rate)

    def initial_state(rng: np.random.Generator, true_features: int) -> tuple:
        # as for the true number of inputs, not the padded
        weights, *rest = program.initial_state(rng, {0: (true_features, (*hidden, n_classes)[0])})
        weights[0] = np.pad(weights[0], ((0, n_features - true_features), (0, 0)))
        return jax.device_put((weights, *rest))

    return initial_state, program.epoch


class Program(NamedTuple):
    """Training of one keras model, as two functions (`compile_epochs`)."""

    initial_state: Callable
    epoch: Callable


def compile_epochs(model: Any, learning_rate: float, **adam: Any) -> Program:
    """Training of a keras model that ends in logits, by Adam on the weighted cross-entropy.

    ``initial_state(rng, shapes)``: new weights (Glorot uniform and zero biases, keras's defaults, of a shape given for
    the place of a kernel instead of its own), dropout seeds, moments. ``epoch(state, X, y, weight, order, steps)`` ->
    (state after one epoch, mean loss); `X` may be a tuple, an array for each input of the model.
    """
    keras = import_keras()
    import jax
    import jax.numpy as jnp

    optimizer = keras.optimizers.Adam(learning_rate=learning_rate, **adam)
    optimizer.build(model.trainable_variables)

    def initial_state(rng: np.random.Generator, shapes: Mapping[int, tuple] | None = None) -> tuple:
        weights = []
        for i, variable in enumerate(model.trainable_variables):
            shape = (shapes or {}).get(i, variable.shape)
            limit = np.sqrt(6 / sum(shape)) if len(shape) == 2 else 0
            drawn = rng.uniform(-limit, limit, shape) if limit else np.zeros(shape)
            weights.append(drawn.astype(np.float32))
        seeds = [rng.integers(0, 2**31, v.shape).astype(v.dtype) for v in model.non_trainable_variables]
        moments = [np.zeros(v.shape, v.dtype) for v in optimizer.variables]
        moments[1] = np.asarray(learning_rate, dtype=moments[1].dtype)  # [iteration, learning rate, moments ...]
        return weights, seeds, moments

    def step(state: tuple, X: Any, y: Any, weight: Any) -> tuple:
        trainable, seeds, moments = state

        def loss_of(trainable: Any) -> tuple:
            logits, new_seeds = model.stateless_call(trainable, seeds, X, training=True)
            entropy = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]
            return (weight * entropy).mean(), new_seeds

        (loss, seeds), gradient = jax.value_and_grad(loss_of, has_aux=True)(trainable)
        trainable, moments = optimizer.stateless_apply(moments, gradient, trainable)
        return (trainable, seeds, moments), loss

    def epoch(state: tuple, X: Any, y: Any, weight: Any, order: Any, steps: Any) -> tuple:
        def body(i: Any, carry: tuple) -> tuple:
            state, total = carry
            batch = jax.tree.map(lambda values: values[order[i]], (X, y, weight))
            state, loss = step(state, *batch)
            return state, total + loss

        state, total = jax.lax.fori_loop(0, steps, body, (state, jnp.float32(0)))
        return state, total / steps

    return Program(initial_state, jax.jit(epoch, donate_argnums=(0,)))


PAD_SAMPLES = 256  # training sets are padded to multiples of these, so that folds share one program
PAD_FEATURES = 64


class DenseNetClassifier(ClassifierMixin, BaseEstimator):
    """Dense ReLU network with dropout and softmax output; the defaults are the paper's.

    Parameters
    ----------
    hidden, dropout : tuple, default (1000, 250, 250) and (0.5, 0.4, 0.4)
        Units of each hidden layer, and share of them dropped after it while training.
    epochs : int, default 50
        Passes over the training samples. More lowers the training loss; on unseen studies fewer often do as well.
    batch_size : int, default 30
        Samples per step; the last batch of an epoch is topped up with samples of others. Larger batches train faster
        (fewer optimizer steps) and a little worse.
    learning_rate : float, default 0.001
        Step size of Adam.
    class_weight : dict, "balanced" or None, default None
        Weight of a class in the loss; "balanced" lets small classes count as much as large ones.
    random_state : int, RandomState or None, default None
        Seed of the initial weights, the batches and dropout. The same seed gives the same network.

    Attributes
    ----------
    classes_ : array, shape (n_classes,)
        Class labels in the order of the outputs.
    weights_ : list of array
        Kernel (n_in, n_out) and bias (n_out,) of each dense layer, first to last, float32.
    loss_curve_ : array, shape (epochs,)
        Mean training loss (cross-entropy, nats) per epoch.

    References
    ----------
    Fiosina, Fiosins, Bonn 2020, J Comput Biol 27(2):234-247, section 2.3.1.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (1000, 250, 250),
        dropout: tuple[float, ...] = (0.5, 0.4, 0.4),
        epochs: int = 50,
        batch_size: int = 30,
        learning_rate: float = 1e-3,
        class_weight: dict[Any, float] | str | None = None,
        random_state: Any = None,
    ) -> None:
        self.hidden, self.dropout, self.epochs, self.batch_size = hidden, dropout, epochs, batch_size
        self.learning_rate, self.class_weight, self.random_state = learning_rate, class_weight, random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train from new weights on scaled input; `sample_weight`, shape (n_samples,), counts in the loss."""
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = at_least_two(encoder.classes_)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float32)
        weight = weight * compute_sample_weight(self.class_weight, y).astype(np.float32)
        # integers only: the seed must not depend on how often a RandomState was asked before
        rng = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self._train(X, encoder.transform(y).astype(np.int32), weight / weight.mean(), rng)
        return self

    def logits(self, X: Any) -> np.ndarray:
        """Outputs before the softmax, shape (n_samples, n_classes), float32."""
        check_is_fitted(self, "weights_")
        layer = validate_data(self, X, dtype=np.float32, reset=False)
        for kernel, bias in zip(self.weights_[:-2:2], self.weights_[1:-2:2], strict=True):
            layer = np.maximum(layer @ kernel + bias, 0)
        return layer @ self.weights_[-2] + self.weights_[-1]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class (softmax of `logits`), shape (n_samples, n_classes)."""
        logits = self.logits(X).astype(np.float64)
        exps = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exps / exps.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class of each sample."""
        best = self.logits(X).argmax(axis=1)  # refuses an unfitted network
        return self.classes_[best]

    def to_keras(self) -> Any:
        """The trained network as a plain ``keras.Sequential`` with softmax output; can be saved as ``.keras``."""
        check_is_fitted(self, "weights_")
        keras = import_keras()
        model = build(keras, self.n_features_in_, tuple(self.hidden), tuple(self.dropout), len(self.classes_))
        model.set_weights(self.weights_)
        model.add(keras.layers.Softmax(name="softmax"))
        return model

    def _check_parameters(self) -> None:
        if len(self.hidden) != len(self.dropout):
            raise ValueError(f"hidden has {len(self.hidden)} layers and dropout {len(self.dropout)}; expected as many.")
        for name, kind, low in (("epochs", Integral, 1), ("batch_size", Integral, 1), ("learning_rate", Real, 0)):
            value = getattr(self, name)
            if not isinstance(value, kind) or value < low:
                raise ValueError(f"{name} is {value!r}; expected a number of at least {low}.")

    def _train(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> None:
        import_keras()
        import jax

        n, n_features = X.shape
        batch = min(self.batch_size, n)
        rows = -(-n // PAD_SAMPLES) * PAD_SAMPLES
        columns = -(-n_features // PAD_FEATURES) * PAD_FEATURES
        layout = columns, tuple(self.hidden), tuple(self.dropout), len(self.classes_)
        initial_state, epoch = compile_training(*layout, float(self.learning_rate))
        X = np.pad(X, ((0, rows - n), (0, columns - n_features)))
        data = jax.device_put((X, np.pad(y, (0, rows - n)), np.pad(weight, (0, rows - n))))
        state, steps, losses = initial_state(rng, n_features), -(-n // batch), []
        for _ in range(self.epochs):
            order = np.zeros((-(-rows // batch), batch), dtype=np.int32)
            samples = np.concatenate([rng.permutation(n), rng.integers(0, n, steps * batch - n)])
            order[:steps] = samples.reshape(steps, batch)
            state, loss = epoch(state, *data, order, steps)
            losses.append(loss)
        self.weights_ = [np.array(w) for w in state[0]]
        self.weights_[0] = self.weights_[0][:n_features]
        self.loss_curve_ = np.array([float(loss) for loss in losses])
