"""The DeepLIFT rules Rescale and RevealCancel on a stack of dense layers, in batched matrix form.

Differences from the reference are carried forward as such (never the difference of two large numbers) and in double
precision: a unit's slope is a quotient of differences, which in single precision would depend on the batch it is
computed in. The way back, which costs nearly all of the time, is in single precision for all outputs together.

RevealCancel gives a unit one multiplier for what raises it (p) and one for what lowers it (q). With W = W+ + W- a
dense layer hands ``p W+ + q W-`` to inputs above their reference, ``p W- + q W+`` to those below, and the mean of both
to those at it. All three are ``A + sign(delta) B`` with ``A = (p + q) W' / 2`` and ``B = (p - q) |W|' / 2``: two matrix
products whatever the signs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from srna_lib.products import NUMPY, Products

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
