"""What is drawn again in a bootstrap, and the records that come of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oof import binary
from scipy import stats

from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import (
    _CELLS,
    bootstrap,
    draw_weights,
    study_interval,
    study_weights,
    t_interval,
    unit_codes,
)


def weights(table, unit, n_boot=50, seed=0):
    return np.concatenate(list(draw_weights(table, unit, n_boot, seed)))


@pytest.mark.parametrize("unit", ["dataset_id", "donor_id", "sample_id"])
def test_rows_of_a_unit_are_drawn_together(unit):
    t = binary()
    w = pd.DataFrame(weights(t, unit).T).groupby(t[unit].to_numpy())
    assert (w.nunique() == 1).all().all()


def test_studies_keep_their_number_and_patients_their_study():
    t = binary()
    of_study = pd.DataFrame(weights(t, "dataset_id").T).groupby(t["dataset_id"].to_numpy()).first()
    assert (of_study.sum() == 6).all() and (of_study == 0).any().any()
    of_donor = pd.DataFrame(weights(t, "donor_id").T).groupby(t["donor_id"].to_numpy()).first()
    home = t.groupby("donor_id")["dataset_id"].first()
    drawn = of_donor.groupby(home).sum()
    assert drawn.eq(home.value_counts(), axis=0).all().all()
    assert (of_donor == 0).any().any() and of_donor.max().max() > 1


def test_every_unit_is_drawn_equally_often():
    t = binary(n=60)
    w = weights(t, "sample_id", 4000)
    np.testing.assert_allclose(w.mean(axis=0), 1, atol=0.1)
    sizes = t["dataset_id"].map(t["dataset_id"].value_counts())
    np.testing.assert_allclose(w.var(axis=0), 1 - 1 / sizes, atol=0.2)  # multinomial


def test_unknown_patients_are_units_of_their_own_and_wanderers_are_one():
    t = binary(n=30)
    t["donor_id"] = None
    codes, strata = unit_codes(t, "donor_id")
    assert len(set(codes)) == len(strata) == 30
    t["donor_id"] = ["x"] * 30  # in all studies
    codes, strata = unit_codes(t, "donor_id")
    assert set(codes) == {0} and list(strata) == [0]


def test_units_are_sorted_by_study_and_a_wanderer_is_drawn_within_the_first():
    t = pd.DataFrame({"sample_id": list("abcde"), "dataset_id": list("BACBC"), "donor_id": list("xxyzw")})
    codes, strata = unit_codes(t, "donor_id")
    assert codes.tolist() == [0, 0, 3, 1, 2] and strata.tolist() == [0, 1, 2, 2]


def test_blocks_do_not_change_what_is_drawn_in_number_and_order():
    t = binary(n=4000)
    blocks = list(draw_weights(t, "donor_id", 600, 0))
    assert len(blocks) > 1 and sum(map(len, blocks)) == 600 and blocks[0].size <= _CELLS
    np.testing.assert_array_equal(np.concatenate(blocks), weights(t, "donor_id", 600))
    assert not np.array_equal(weights(t, "donor_id", 9, seed=1), weights(t, "donor_id", 9))


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(InputError, match="unknown unit 'fold': expected one of dataset_id, donor_id, sample_id"):
        unit_codes(binary(), "fold")
    with pytest.raises(InputError, match="column 'donor_id' is missing; expected it to draw patients"):
        unit_codes(binary().drop(columns="donor_id"), "donor_id")


def test_bootstrap_of_a_mean_has_the_standard_error_of_a_mean():
    t = binary(n=900, n_studies=1 + 1)
    x = np.random.default_rng(0).normal(size=900)
    values, draws, df = bootstrap(lambda w: {"mean": w @ x / w.sum(axis=1)}, t, unit="sample_id", n_boot=2000, seed=0)
    assert values["mean"] == pytest.approx(x.mean()) and df["mean"] == np.inf
    assert draws["mean"].std() == pytest.approx(x.std() / 30, rel=0.07)
    low, high = study_interval(draws["mean"])
    assert low < x.mean() < high
    assert bootstrap(lambda w: {"mean": w @ x}, t, unit="sample_id", n_boot=0, seed=0)[1]["mean"].shape == (0,)


def test_interval_leaves_out_what_is_undefined():
    assert np.isnan(study_interval(np.array([np.nan, np.nan]))).all()
    low, high = study_interval(np.r_[np.nan, np.arange(101)], level=0.8)
    assert (low, high) == pytest.approx((10, 90))


def test_studies_are_drawn_alike_wherever_they_are_drawn():
    t = binary()
    np.testing.assert_array_equal(study_weights(t["dataset_id"], 40, seed=3)[1:], weights(t, "dataset_id", 40, seed=3))


def studies(effects, sizes) -> tuple[pd.DataFrame, np.ndarray]:
    """Samples of studies of some sizes, and the value of each: its study's effect."""
    which = np.repeat(np.arange(len(sizes)), sizes)
    table = pd.DataFrame({"sample_id": np.arange(len(which)).astype(str), "dataset_id": [f"S{i:03d}" for i in which]})
    return table, np.asarray(effects)[which]


def mean_of(x):
    return lambda w: {"mean": w @ x / w.sum(axis=1)}


def test_the_effective_number_of_studies_is_that_of_their_influences():
    equal = studies([-1, 1] * 10, [5] * 20)
    assert bootstrap(mean_of(equal[1]), equal[0], unit="dataset_id", n_boot=2, seed=0).df["mean"] == pytest.approx(19)
    table, x = studies([0.0] * 20 + [9.0], [3] * 20 + [60])  # one large study decides, the others say the same
    influence = np.bincount(np.repeat(np.arange(21), [3] * 20 + [60]), x - x.mean()) ** 2
    df = bootstrap(mean_of(x), table, unit="dataset_id", n_boot=2, seed=0).df["mean"]
    assert influence.sum() ** 2 / (influence**2).sum() < 2 and df == 1
    constant = studies([1.0] * 4, [2] * 4)
    assert bootstrap(mean_of(constant[1]), constant[0], unit="dataset_id", n_boot=2, seed=0).df["mean"] == np.inf


def test_the_interval_is_that_of_a_t_test():
    draws = np.random.default_rng(0).normal(2, 0.5, 5000)
    low, high, p_value = t_interval(2.0, np.r_[draws, np.nan], 7, level=0.9)
    half = stats.t.ppf(0.95, 7) * draws.std()
    assert (low, high) == pytest.approx((2 - half, 2 + half), abs=1e-3)
    assert p_value == pytest.approx(2 * stats.t.sf(2 / draws.std(), 7), rel=0.01)
    biased = t_interval(1.0, draws, 7, level=0.9)  # replicates that lie off the value widen its interval
    assert biased[1] - 1 == pytest.approx(stats.t.ppf(0.95, 7) * np.hypot(draws.std(), draws.mean() - 1))
    at_the_edge = t_interval(2.0, draws, 7, level=1 - p_value)
    assert at_the_edge[0] == pytest.approx(0, abs=1e-9)  # the interval of this level just reaches zero
    assert np.isnan(t_interval(1.0, np.array([np.nan, 2.0]), 7)).all() and np.isnan(t_interval(np.nan, draws, 7)).all()
    assert t_interval(0.0, np.zeros(9), np.inf)[2] == 1 and t_interval(0.1, np.full(9, 0.1), np.inf)[2] == 0


@pytest.mark.slow
def test_intervals_hold_the_truth_where_few_studies_decide():
    """Studies as uneven as real ones: percentiles of the same replicates miss the truth too often."""
    rng, kept, percentile = np.random.default_rng(0), [], []
    sizes = np.r_[120, 60, 40, np.full(20, 6)]
    for _ in range(400):
        table, x = studies(rng.normal(size=len(sizes)), sizes)
        values, draws, df = bootstrap(mean_of(x), table, unit="dataset_id", n_boot=200, seed=int(rng.integers(1e9)))
        low, high, _ = t_interval(values["mean"], draws["mean"], df["mean"])
        kept.append(low <= 0 <= high)
        percentile.append(np.prod(study_interval(draws["mean"])) <= 0)
    assert np.mean(kept) >= 0.93 > 0.9 > np.mean(percentile)
