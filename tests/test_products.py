"""Matrix products by numpy and by XLA: the same numbers, in the precision of the rows, whatever their number."""

from __future__ import annotations

import numpy as np
import pytest
from test_deeplift import random_network

from srna_lib.explain import deeplift
from srna_lib.explain.deeplift import CHUNK, NUMPY, XLA, choose


@pytest.mark.parametrize("n", [1, 15, 16, 33])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rows_times_a_matrix(n, precision):
    rng = np.random.default_rng(n)
    rows, kernel = rng.normal(size=(n, 40)).astype(precision), rng.normal(size=(40, 7)).astype(np.float32)
    exact = rows.astype(np.float64) @ kernel.astype(np.float64)
    for by in (NUMPY, XLA):
        found = by.product(rows, kernel)
        assert (found.dtype, found.shape) == (np.dtype(precision), (n, 7))
        np.testing.assert_allclose(found, exact, atol=1e-5 if precision == "float32" else 1e-13)


@pytest.mark.parametrize("n", [1, CHUNK, CHUNK + 5])
def test_scaled_products(n):
    rng = np.random.default_rng(n)
    signal, kernel, scale = (rng.normal(size=s).astype(np.float32) for s in ((n, 3, 20), (30, 20), (n, 30)))
    exact = np.einsum("nmh,fh,nf->nmf", signal, kernel, scale, dtype=np.float64)
    for by in (NUMPY, XLA):
        out = np.full((n, 3, 30), np.nan, np.float32)
        by.scaled(signal, kernel, scale, out)
        np.testing.assert_allclose(out, exact, atol=2e-5)


def test_xla_repeats_itself_to_the_bit_and_leaves_others_in_single_precision():
    import jax

    rng = np.random.default_rng(0)
    rows, kernel = rng.normal(size=(50, 300)), rng.normal(size=(300, 200)).astype(np.float32)
    assert np.array_equal(XLA.product(rows, kernel), XLA.product(rows, kernel))
    assert jax.numpy.ones(3, "float64" if jax.config.jax_enable_x64 else None).dtype == np.float32


def test_large_calls_go_to_xla():
    assert choose(deeplift.LARGE) is XLA
    assert choose(deeplift.LARGE - 1) is NUMPY


@pytest.mark.parametrize("rule", deeplift.RULES)
def test_contributions_are_the_same_either_way(rule, monkeypatch):
    rng = np.random.default_rng(1)
    model, X = random_network(rng, 60, 40, 20, 5), rng.random((37, 60)).astype(np.float32)
    plain = deeplift.contributions(model, X, rule=rule).values
    monkeypatch.setattr(deeplift, "LARGE", 0)
    for batch_size in (37, 10):
        found = deeplift.contributions(model, X, rule=rule, batch_size=batch_size)
        assert np.abs(found.values - plain).max() <= 1e-6 * np.abs(plain).max()
        assert found.error <= 1e-5
