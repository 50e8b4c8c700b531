"""The dense network as a scikit-learn classifier: keras on JAX, one compiled training program per shape.

A fresh keras model per fold spends most of its time in compilation. Here a new `fit` only resets the weights, the
optimizer and the dropout seed. To meet the same shape in every fold, samples and features are padded (the pad is never
sampled, its weights stay zero).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from scipy.special import softmax
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


def build(keras: Any, n_features: int, hidden: tuple, dropout: tuple, n_classes: int, kernels: str = "zeros") -> Any:
    """Lay out dense ReLU layers with dropout, then linear outputs (logits); weights are for the caller to set."""
    model = keras.Sequential([keras.Input((n_features,), name="srnas")])
    for i, (units, share) in enumerate(zip(hidden, dropout, strict=True), start=1):
        model.add(keras.layers.Dense(units, activation="relu", kernel_initializer=kernels, name=f"dense_{i}"))
        model.add(keras.layers.Dropout(share, name=f"dropout_{i}"))
    model.add(keras.layers.Dense(n_classes, kernel_initializer=kernels, name="logits"))
    return model


@lru_cache(maxsize=32)
def compile_training(build: Callable, layout: tuple, learning_rate: float) -> tuple[Callable, Callable]:
    """Compile the training of one epoch for one shape of network; jax keeps it per number of samples.

    ``build(keras, *layout)`` lays the network out, from samples to logits. Returns `fresh_state` for it (weights, rng,
    held) and `compile_epoch`'s function.
    """
    keras = import_keras()
    model = build(keras, *layout)
    optimizer = keras.optimizers.Adam(learning_rate=learning_rate)
    optimizer.build(model.trainable_variables)
    return partial(fresh_state, model, optimizer), compile_epoch(model, optimizer)


def cross_entropy(logits: Any, y: Any, weight: Any) -> Any:
    """Mean weighted cross-entropy of classes, given by number, in nats."""
    import jax
    import jax.numpy as jnp

    return (weight * -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]).mean()


def glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """First weights of a layer whose last two axes are its units: Glorot uniform, or zero (bias); keras's defaults."""
    if len(shape) < 2:
        return np.zeros(shape, np.float32)
    limit = np.sqrt(6 / (np.prod(shape[:-2]) * (shape[-2] + shape[-1])))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def fresh_state(
    model: Any,
    optimizer: Any,
    weights: list[np.ndarray],
    rng: np.random.Generator,
    held: Mapping[str, Any] | None = None,
) -> tuple:
    """State to start training from: weights, what is not trained (`held` by name, else seeds of noise), moments."""
    import jax

    kept = [
        held[v.name] if held and v.name in held else rng.integers(0, 2**31, v.shape).astype(v.dtype)
        for v in model.non_trainable_variables
    ]
    moments = [np.zeros(v.shape, v.dtype) for v in optimizer.variables]
    moments[1] = np.asarray(optimizer.learning_rate, dtype=moments[1].dtype)  # [iteration, learning rate, moments ...]
    return jax.device_put((weights, kept, moments))


def compile_epoch(model: Any, optimizer: Any, loss: Callable = cross_entropy) -> Callable:
    """Compile a pass over training samples: (state, X, y, weight, order, steps) -> (state, mean loss).

    `loss` takes what the model makes of a batch, and y and weight of it; X may be a tuple, an array for each input of
    the model. The state given is used up.
    """
    import jax
    import jax.numpy as jnp

    def step(state: tuple, X: Any, y: Any, weight: Any) -> tuple:
        trainable, seeds, moments = state

        def loss_of(trainable: Any) -> tuple:
            outputs, new_seeds = model.stateless_call(trainable, seeds, X, training=True)
            return loss(outputs, y, weight), new_seeds

        (value, seeds), gradient = jax.value_and_grad(loss_of, has_aux=True)(trainable)
        trainable, moments = optimizer.stateless_apply(moments, gradient, trainable)
        return (trainable, seeds, moments), value

    def epoch(state: tuple, X: Any, y: Any, weight: Any, order: Any, steps: Any) -> tuple:
        def body(i: Any, carry: tuple) -> tuple:
            state, total = carry
            state, value = step(state, *jax.tree.map(lambda values: values[order[i]], (X, y, weight)))
            return state, total + value

        state, total = jax.lax.fori_loop(0, steps, body, (state, jnp.float32(0)))
        return state, total / steps

    return jax.jit(epoch, donate_argnums=(0,))


def shuffled(rng: np.random.Generator, n: int, rows: int, batch: int) -> tuple[np.ndarray, int]:
    """Batches of one epoch over n of `rows` samples, topped up with samples drawn again, and how many there are."""
    steps = -(-n // batch)
    order = np.zeros((-(-rows // batch), batch), dtype=np.int32)
    samples = np.concatenate([rng.permutation(n), rng.integers(0, n, steps * batch - n)])
    order[:steps] = samples.reshape(steps, batch)
    return order, steps


PAD_SAMPLES = 1024  # training sets are padded to multiples of these, so that folds share one program
PAD_FEATURES = 64


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """What networks share: training from new weights on the compiled loop, and probabilities from logits.

    A subclass has the parameters `epochs`, `batch_size`, `learning_rate`, `class_weight` and `random_state`, and says
    what is trained (`_plan`) and what its weights make of samples (`logits`).
    """

    epochs: int
    batch_size: int
    learning_rate: float
    class_weight: dict[Any, float] | str | None
    random_state: Any

    def _plan(self, n_features: int, rng: np.random.Generator) -> tuple[Callable, tuple, list, dict]:
        """Function that lays the network out, its layout (columns first), first weights, values held by name."""
        raise NotImplementedError

    def logits(self, X: Any) -> np.ndarray:
        """Outputs before the softmax, shape (n_samples, n_classes)."""
        raise NotImplementedError

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

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class (softmax of `logits`), shape (n_samples, n_classes)."""
        return softmax(self.logits(X).astype(np.float64), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class of each sample."""
        best = self.logits(X).argmax(axis=1)  # refuses an unfitted network
        return self.classes_[best]

    def _check_parameters(self) -> None:
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
        plan, layout, weights, held = self._plan(n_features, rng)
        initial_state, epoch = compile_training(plan, layout, float(self.learning_rate))
        X = np.pad(X, ((0, rows - n), (0, layout[0] - n_features)))
        data = jax.device_put((X, np.pad(y, (0, rows - n)), np.pad(weight, (0, rows - n))))
        state, losses = initial_state(weights, rng, held), []
        for _ in range(self.epochs):
            state, loss = epoch(state, *data, *shuffled(rng, n, rows, batch))
            losses.append(loss)
        self.weights_ = [np.array(w) for w in state[0]]
        self.weights_[0] = self.weights_[0][:n_features]
        self.loss_curve_ = np.array([float(loss) for loss in losses])


class DenseNetClassifier(NetworkClassifier):
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

    def logits(self, X: Any) -> np.ndarray:
        """Outputs before the softmax, shape (n_samples, n_classes), float32."""
        check_is_fitted(self, "weights_")
        layer = validate_data(self, X, dtype=np.float32, reset=False)
        for kernel, bias in zip(self.weights_[:-2:2], self.weights_[1:-2:2], strict=True):
            layer = np.maximum(layer @ kernel + bias, 0)
        return layer @ self.weights_[-2] + self.weights_[-1]

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
        super()._check_parameters()

    def _plan(self, n_features: int, rng: np.random.Generator) -> tuple[Callable, tuple, list, dict]:
        columns = -(-n_features // PAD_FEATURES) * PAD_FEATURES
        sizes = (n_features, *self.hidden, len(self.classes_))  # the true number of inputs, not the padded
        weights = [glorot(rng, shape) for pair in pairwise(sizes) for shape in (pair, pair[1:])]
        weights[0] = np.pad(weights[0], ((0, columns - n_features), (0, 0)))
        return build, (columns, tuple(self.hidden), tuple(self.dropout), len(self.classes_)), weights, {}
