"""What is drawn again in a bootstrap, and the records that come of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oof import binary

from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import _CELLS, bootstrap, draw_weights, study_interval, study_weights, unit_codes


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
    values, draws = bootstrap(lambda w: {"mean": w @ x / w.sum(axis=1)}, t, unit="sample_id", n_boot=2000, seed=0)
    assert values["mean"] == pytest.approx(x.mean())
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
