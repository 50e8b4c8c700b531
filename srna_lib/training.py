"""The compiled training program of a dense keras network on JAX: one per shape, started anew for each fit."""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np


class Program(NamedTuple):
    """A compiled training program and what starts it.

    Attributes
    ----------
    put : callable
        Arrays -> the same arrays on the device.
    initial_state : callable
        (generator, true number of features) -> new weights, dropout seed and optimizer moments.
    epoch : callable
        (state, X, y, weight, order, steps) -> (state after one epoch, mean loss). The state given is used up.
    """

    put: Any
    initial_state: Any
    epoch: Any


def import_keras() -> Any:
    """Import keras on its JAX backend.

    Raises
    ------
    RuntimeError
        When keras was imported before with another backend.
    """
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
    """Lay out the network: dense ReLU layers with dropout, then linear outputs.

    Parameters
    ----------
    keras : module
        From `import_keras`.
    n_features, n_classes : int
        Inputs and outputs.
    hidden, dropout : tuple
        Units of each hidden layer and the share dropped after it.

    Returns
    -------
    keras.Sequential
        Input (n, n_features), output logits (n, n_classes).
    """
    model = keras.Sequential([keras.Input((n_features,), name="srnas")])
    for i, (units, share) in enumerate(zip(hidden, dropout, strict=True), start=1):
        model.add(keras.layers.Dense(units, activation="relu", name=f"dense_{i}"))
        model.add(keras.layers.Dropout(share, name=f"dropout_{i}"))
    model.add(keras.layers.Dense(n_classes, name="logits"))
    return model


@lru_cache(maxsize=32)
def compile_training(
    n_features: int,
    hidden: tuple,
    dropout: tuple,
    n_classes: int,
    rows: int,
    batch: int,
    learning_rate: float,
) -> Program:
    """Build and compile the training of one epoch for one shape.

    Parameters
    ----------
    n_features, rows : int
        Shape of the padded training set: (rows, n_features).
    hidden, dropout, n_classes
        As in `build`.
    batch : int
        Samples per step.
    learning_rate : float
        Step size of Adam.

    Returns
    -------
    Program
        Kept in memory: the same arguments give the same program without compiling again.
    """
    keras = import_keras()
    import jax
    import jax.numpy as jnp

    model = build(keras, n_features, hidden, dropout, n_classes)
    optimizer = keras.optimizers.Adam(learning_rate=learning_rate)
    optimizer.build(model.trainable_variables)
    units = (*hidden, n_classes)

    def initial_state(rng: np.random.Generator, true_features: int) -> tuple:
        # Glorot uniform and zero biases (keras's defaults), with the true number of inputs, not the padded
        sizes = (true_features, *units)
        weights = []
        for fan_in, fan_out in pairwise(sizes):
            limit = np.sqrt(6 / (fan_in + fan_out))
            kernel = rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32)
            weights += [kernel, np.zeros(fan_out, np.float32)]
        weights[0] = np.pad(weights[0], ((0, n_features - true_features), (0, 0)))
        seeds = [rng.integers(0, 2**31, v.shape).astype(v.dtype) for v in model.non_trainable_variables]
        moments = [np.zeros(v.shape, v.dtype) for v in optimizer.variables]
        moments[1] = np.asarray(learning_rate, dtype=moments[1].dtype)  # [iteration, learning rate, moments ...]
        return jax.device_put((weights, seeds, moments))

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
            state, loss = step(state, X[order[i]], y[order[i]], weight[order[i]])
            return state, total + loss

        state, total = jax.lax.fori_loop(0, steps, body, (state, jnp.float32(0)))
        return state, total / steps

    return Program(
        put=lambda *arrays: jax.device_put(arrays),
        initial_state=initial_state,
        epoch=jax.jit(epoch, donate_argnums=(0,)),
    )


def round_up(value: int, multiple: int) -> int:
    """Smallest multiple that is not below a value."""
    return -(-value // multiple) * multiple
