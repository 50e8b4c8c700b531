"""Matrix products: numpy's for small calls, XLA's for large ones.

XLA (on which keras runs here) compiles a product for the processor at hand and uses its widest instructions, where
numpy's library may take an older processor's program. It compiles once per shape, so rows are filled up to a few sizes.
The two are not mixed within a call: threads of numpy's library that wait for work would keep XLA's from theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

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
