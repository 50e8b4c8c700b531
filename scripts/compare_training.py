"""Does a network that is trained across studies know unseen ones better? -> a block of ``docs/unseen_studies.md``.

``python scripts/compare_training.py`` trains the network of recipe `dl_log` in the ways of `WAYS`, each on the same ten
folds by study, and compares it with the same network trained as usual (about a quarter of an hour).
"""

from __future__ import annotations

import argparse
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from compare_refusal import write_block

import srna_lib as srna
from srna_lib.models import DenseNetClassifier
from srna_lib.models.network import compile_epoch, cross_entropy, fresh_state, glorot, import_keras, shuffled

PAGE = Path(__file__).resolve().parent.parent / "docs" / "unseen_studies.md"
WAYS = {
    "usual": "classes weigh alike",
    "cells": "the samples of one class in one study weigh as much as those of every other study of the class",
    "group DRO": "these weights grow, epoch by epoch, with exp(strength times the loss of their samples)",
    "contrastive": "and a supervised contrastive loss (times strength) with positives of other studies alone",
    "adversarial": "and a second head tells the studies of a class apart; its gradient is reversed (times strength)",
    "mixed": "each sample is mixed with one of its class in another study, by up to the strength",
}
TRIALS = [
    ("cells", 0.0), ("group DRO", 0.1), ("group DRO", 1.0), ("contrastive", 0.1), ("contrastive", 1.0),
    ("adversarial", 0.1), ("adversarial", 1.0), ("mixed", 1.0),
]  # fmt: skip
METRICS = ["accuracy", "balanced_accuracy", "accuracy_per_dataset"]
STUDIES, ROWS, TEMPERATURE = 256, 1024, 0.1
HEAD = """Written by `python scripts/compare_training.py`: accuracy, balanced accuracy and mean over studies, ten folds
by study, and the paired difference from the network as it is usually trained, seed {seed}.
"""


class StudyNetwork(DenseNetClassifier):
    """`DenseNetClassifier` trained with an eye on studies: `way` is one of `WAYS`."""

    def __init__(
        self,
        way: str = "usual",
        strength: float = 0.0,
        hidden: tuple[int, ...] = (1000, 250, 250),
        dropout: tuple[float, ...] = (0.5, 0.4, 0.4),
        epochs: int = 30,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        class_weight: Any = "balanced",
        random_state: Any = None,
    ) -> None:
        super().__init__(hidden, dropout, epochs, batch_size, learning_rate, class_weight, random_state)
        self.way, self.strength = way, strength

    def fit(self, X: Any, y: Any, studies: Any = None) -> Self:
        """Train on scaled profiles of named studies."""
        self.studies_ = np.unique(np.asarray(studies), return_inverse=True)[1]
        return super().fit(X, y)

    def _train(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> None:
        import jax

        n, d = X.shape
        rows, columns = -(-n // ROWS) * ROWS, -(-d // 64) * 64
        layout = (columns, self.hidden, self.dropout, len(self.classes_))
        model, optimizer, epoch = programs(self.way, self.strength, layout, self.learning_rate)
        state = fresh_state(model, optimizer, [glorot(rng, tuple(v.shape)) for v in model.trainable_variables], rng)
        cell = np.unique(np.column_stack([y, self.studies_]), axis=0, return_inverse=True)[1]
        trust = 1 / np.bincount(y, 1 / np.bincount(cell)[cell])[y] / np.bincount(cell)[cell]  # sums to 1 in each class
        same = np.zeros((STUDIES, len(self.classes_)), np.float32)  # which studies have which class
        same[self.studies_, y] = 1
        pad = [(0, rows - n)]
        labels: list[Any] = [np.pad(v.astype(np.int32), pad) for v in (y, self.studies_)]
        labels.append(same[:, labels[0]].T)
        for _ in range(self.epochs):
            if self.way in ("cells", "group DRO"):
                weight = (trust / trust.mean()).astype(np.float32)
            seen = self._mixed(X, y, rng) if self.way == "mixed" else X
            data = jax.device_put((np.pad(seen, [*pad, (0, columns - d)]), tuple(labels), np.pad(weight, pad)))
            state, _ = epoch(state, *data, *shuffled(rng, n, rows, self.batch_size))
            self.weights_ = [np.array(w) for w in state[0]][: 2 * len(self.hidden) + 2]
            self.weights_[0] = self.weights_[0][:d]
            if self.way == "group DRO":
                loss = -np.log(np.maximum(self.predict_proba(X)[range(n), y], 1e-6))
                means = np.bincount(cell, loss) / np.bincount(cell)
                trust = trust * np.exp(self.strength * means[cell])
                trust = trust / trust.sum() * len(self.classes_)

    def _mixed(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Each sample mixed with one of its class; of its own study only where there is no other."""
        other = np.arange(len(y))
        for name in np.unique(y):
            own = np.flatnonzero(y == name)
            for study in np.unique(self.studies_[own]):
                inside = self.studies_[own] == study
                if not inside.all():
                    other[own[inside]] = rng.choice(own[~inside], inside.sum())
        share = rng.uniform(0, self.strength, (len(y), 1)).astype(np.float32) / 2
        return (1 - share) * X + share * X[other]


@lru_cache(maxsize=32)
def programs(way: str, strength: float, layout: tuple, learning_rate: float) -> tuple:
    """Model with the outputs hidden, logits and studies; optimizer; compiled epoch."""
    import jax
    import jax.numpy as jnp

    keras = import_keras()
    columns, hidden, dropout, n_classes = layout
    start = layer = keras.Input((columns,))
    for units, share in zip(hidden, dropout, strict=True):
        layer = keras.layers.Dense(units, activation="relu")(layer)
        last, layer = layer, keras.layers.Dropout(share)(layer)
    outputs = [last, keras.layers.Dense(n_classes)(layer)]
    if way == "adversarial":  # value as it is, gradient times -strength
        turned = jax.lax.stop_gradient
        flip = keras.layers.Lambda(lambda h: turned(h * (1 + strength)) - strength * h, output_shape=hidden[-1:])
        outputs.append(keras.layers.Dense(STUDIES)(flip(layer)))
    model = keras.Model(start, outputs)
    optimizer = keras.optimizers.Adam(learning_rate=learning_rate)
    optimizer.build(model.trainable_variables)

    def loss(outputs: Any, labels: Any, weight: Any) -> Any:
        y, study, same = labels
        value = cross_entropy(outputs[1], y, weight)
        if way == "adversarial":
            value += cross_entropy(jnp.where(same > 0, outputs[2], -1e9), study, weight)
        if way == "contrastive":
            h = outputs[0] / jnp.maximum(jnp.linalg.norm(outputs[0], axis=1, keepdims=True), 1e-6)
            itself = jnp.eye(len(y), dtype=bool)
            logs = jax.nn.log_softmax(jnp.where(itself, -1e9, h @ h.T / TEMPERATURE), axis=1)
            positive = (y[:, None] == y) & (study[:, None] != study)
            each = -jnp.where(positive, logs, 0).sum(axis=1) / jnp.maximum(positive.sum(axis=1), 1)
            value += strength * (weight * each).mean()
        return value

    return model, optimizer, compile_epoch(model, optimizer, loss)


def named(way: str, strength: float) -> str:
    """A way and its strength."""
    return f"{way}, {strength:g}" if strength else way


def compare(dataset: str, label: str, seed: int, cache: str | None) -> list[str]:
    """Lines of the table of one data set."""
    task = srna.make_task(srna.load(dataset), label)
    models = {}
    for way, strength in [("usual", 0.0), *TRIALS]:
        model = srna.recipe("dl_log", seed=seed)
        model.steps[-1] = ("classifier", StudyNetwork(way, strength, random_state=seed))
        models[named(way, strength)] = model
    table = srna.cross_validate(task, models, "study", n_splits=10, seed=seed, cache=cache)
    pairs = [(name, "usual") for name in models if name != "usual"]
    gaps = srna.compare(table, pairs, metric=METRICS, correction="none", seed=seed)
    values = srna.score(table, metrics=METRICS, seed=seed).pivot(index="model", columns="metric", values="value")
    lines = [f"`{dataset}`, `{label}`: {len(task.y)} samples of {task.groups.nunique()} studies.", ""]
    lines += ["| training | " + " | ".join(["accuracy", "balanced", "mean over studies"] * 2) + " |", "|---" * 7 + "|"]
    for name in models:
        own = gaps[gaps["pair"] == f"{name} minus usual"].set_index("metric")
        shown = [f"{values.loc[name, m]:.3f}" for m in METRICS]
        gap = [f"{r.difference:+.3f} [{r.ci_low:+.3f}, {r.ci_high:+.3f}]" for r in own.reindex(METRICS).itertuples()]
        shown += gap if len(own) else [""] * len(METRICS)
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    print(*lines, sep="\n", flush=True)
    return [*lines, ""]


def main(arguments: list[str]) -> None:
    """Compare and write the block."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--datasets", default="mirome")
    parser.add_argument("--label", default="tissue_group")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", help="folder that keeps finished folds")
    options = parser.parse_args(arguments)
    lines = [HEAD.format(seed=options.seed)]
    for dataset in options.datasets.split(","):
        lines += compare(dataset, options.label, options.seed, options.cache)
    write_block("training", "\n".join(lines), PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
