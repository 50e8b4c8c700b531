"""One DeepLIFT call: the model taken apart, the reference worked out, and the loop over batches, each checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from srna_lib.deeplift_inputs import blocks, make_reference, open_model
from srna_lib.deeplift_results import CompletenessError, Contributions, positions, sample_names
from srna_lib.deeplift_rules import RULES, Signal, forward, input_contributions, propagate, summed_contributions
from srna_lib.errors import InputError
from srna_lib.products import NUMPY, Products, choose

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
