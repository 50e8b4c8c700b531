"""Paths of silenced sRNAs through a network: many steps of many samples in one matrix product.

The first layer is linear in the input, so its sums after each step are prefix sums of ``change[j] * kernel[j]`` over
the sRNAs j silenced so far; only the later layers are computed anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from srna_lib.orders import Order
from srna_lib.silencing import EMPTY, Silencing

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
