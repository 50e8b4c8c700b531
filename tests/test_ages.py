"""Ordinal errors, figures of years, and apparent age acceleration."""

from __future__ import annotations

import numpy as np
import oof
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from srna_lib.data import make_atlas, make_task, permute
from srna_lib.errors import InputError
from srna_lib.evaluate import age, confusion, cross_validate, score
from srna_lib.evaluate.bootstrap import Key
from srna_lib.evaluate.metrics import ORDINAL_METRICS, prepare


def clock(slope: float = 0.4, shift: float = 0.0, n: int = 400) -> pd.DataFrame:
    """Ages of two studies whose predictions regress to the mean; the men of study S0 look `shift` years older."""
    table = oof.ages(1, n=n, n_studies=2)
    rng = np.random.default_rng(2)
    study = table["dataset_id"] == table["dataset_id"].iloc[0]
    table["sex"] = np.where(rng.random(n) < 0.5, "male", "female")
    noise = rng.normal(0, 2, n)
    table["y_pred"] = (
        60 + 9 * study + slope * (table["y_true"] - 60) + noise + shift * (study & (table["sex"] == "male"))
    )
    return table


def test_ordinal_score_agrees_with_scikit_learn_and_by_hand():
    table = oof.several(3)
    records = oof.named(table, metrics=ORDINAL_METRICS, n_boot=50)
    codes = [pd.Categorical(table[c], categories=list("abcd")).codes for c in ("y_true", "y_pred")]
    assert records["quadratic_kappa"]["value"] == pytest.approx(cohen_kappa_score(*codes, weights="quadratic"))
    expected = np.abs(codes[0].astype(int) - codes[1]).mean()
    record = records["interval_distance"]
    assert record["value"] == pytest.approx(expected)
    assert record["ci_low"] < expected < record["ci_high"]


def test_ordinal_score_in_a_replicate_is_that_of_the_repeated_rows():
    rng = np.random.default_rng(0)
    table, weights = oof.several(n=50), rng.integers(0, 4, (1, 50)).astype(float)
    true, called = (pd.Categorical(table[c], list("abcd")).codes.astype(int) for c in ("y_true", "y_pred"))
    found = prepare(table, ORDINAL_METRICS)(weights)
    again = np.repeat(np.arange(50), weights[0].astype(int))
    assert found[Key("quadratic_kappa")][0] == pytest.approx(
        cohen_kappa_score(true[again], called[again], weights="quadratic")
    )
    assert found[Key("interval_distance")][0] == pytest.approx(np.abs(true[again] - called[again]).mean())


def test_a_far_error_costs_more_than_a_near_one():
    near = oof.several(3)
    far = near.copy()
    near["y_pred"] = near["y_true"].map({"a": "b", "b": "a", "c": "d", "d": "c"})
    far["y_pred"] = near["y_true"].map({"a": "d", "b": "a", "c": "d", "d": "a"})
    first, second = (oof.named(t, metrics=ORDINAL_METRICS, n_boot=0) for t in (near, far))
    assert first["interval_distance"]["value"] == 1 < second["interval_distance"]["value"]
    assert first["quadratic_kappa"]["value"] > second["quadratic_kappa"]["value"]


def test_one_study_has_no_interval_over_studies():
    records = oof.named(oof.several(3).assign(dataset_id="S0"), metrics=ORDINAL_METRICS, n_boot=20)
    assert all(r["ci_low"] is None for r in records.values())


def test_acceleration_does_not_depend_on_age_or_study():
    table = age.apparent_acceleration(clock(slope=0.4))
    assert np.corrcoef(table["gap"], table["y_true"])[0, 1] < -0.6
    for _, part in table.groupby("dataset_id"):
        assert abs(np.corrcoef(part["acceleration"], part["y_true"])[0, 1]) < 1e-9
        assert part["acceleration"].mean() == pytest.approx(0, abs=1e-9)
        assert part["slope"].iloc[0] == pytest.approx(0.4, abs=0.05)
    assert not [c for c in table if c.startswith("low_")]


def test_a_small_study_takes_the_common_slope():
    small = clock().head(203)
    small["dataset_id"] = ["big"] * 200 + ["tiny"] * 3
    table = age.apparent_acceleration(small)
    slopes = table.groupby("dataset_id")["slope"].first()
    assert 0 < slopes["tiny"] < 1
    tiny = table[table["dataset_id"] == "tiny"]
    assert tiny["acceleration"].mean() == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="finite"):
        age.apparent_acceleration(small.assign(y_pred=np.nan))


@pytest.mark.parametrize("shift", [0.0, 4.0])
def test_contrast_finds_what_was_planted_and_nothing_else(shift):
    data = clock(shift=shift)
    data["donor_id"] = data["sample_id"]
    table = age.apparent_acceleration(data)
    sex, study = (data.set_index("sample_id")[c] for c in ("sex", "dataset_id"))
    found = age.acceleration_contrast(table, sex, study, pair=("male", "female"), n_boot=300).set_index("stratum")
    planted, other = data["dataset_id"].iloc[0], sorted(set(data["dataset_id"]) - {data["dataset_id"].iloc[0]})[0]
    assert found.loc[planted, "difference"] == pytest.approx(shift, abs=0.9)
    assert (found.loc[planted, "ci_low"] > 0) == (shift > 0)
    assert found.loc[other, "ci_low"] < 0 < found.loc[other, "ci_high"] or abs(found.loc[other, "difference"]) < 0.9
    assert found.loc["all strata", "n_samples"] == len(data)
    assert found.loc["all strata", "difference"] == pytest.approx(shift / 2, abs=0.7)


def test_contrast_of_groups_too_small_is_empty():
    data = clock(n=40)
    table = age.apparent_acceleration(data)
    sex, study = (data.set_index("sample_id")[c] for c in ("sex", "dataset_id"))
    assert age.acceleration_contrast(table, sex, study, pair=("male", "female"), min_per_group=30).empty
    assert age.acceleration_contrast(table, sex.where(sex == "male", "male"), study, pair=("male", "female")).empty


def test_ordered_classes_keep_their_order_where_text_would_turn_it():
    """As text "10-19" stands before "5-9": thresholds, distances and confusion were of the wrong neighbours."""
    rng, names = np.random.default_rng(0), ["5-9", "10-19", "20-29"]
    rank = rng.permutation(np.arange(90) % 3)
    samples = [f"s{i}" for i in range(90)]
    counts = pd.DataFrame(rng.poisson(60, (90, 6)), index=samples, columns=[f"hsa-miR-{i}" for i in range(6)]) * 1.0
    counts["hsa-miR-0"] = rng.poisson(40 * 2.0 ** (1.5 * rank))
    obs = pd.DataFrame({"dataset_id": [f"D{i % 3}" for i in range(90)]}, index=samples)
    obs["age"] = pd.Categorical.from_codes(rank, [*names, "90-99"], ordered=True)
    atlas = make_atlas(counts, obs, info={"name": "toy"})
    task = make_task(atlas, "age")
    assert task.classes == names
    table = cross_validate(task, "ordinal", "random", n_splits=3, atlas=atlas, context=("dataset_id",), progress=False)
    assert [c for c in table if c.startswith("p_")] == [f"p_{c}" for c in names]
    far = (table["y_true"].cat.codes - table["y_pred"].map({c: i for i, c in enumerate(names)})).abs()
    scores = score(table, n_boot=20).set_index("metric")["value"]
    assert scores["interval_distance"] == pytest.approx(far.mean()) and scores["accuracy"] > 0.8
    assert list(confusion(table).index) == names and confusion(table).loc["5-9", "20-29"] == 0
    assert permute(task, atlas, within=("dataset_id",)).classes == names
    text = make_atlas(counts, obs.assign(age=obs["age"].astype(str)), info={"name": "toy"})
    assert make_task(text, "age").classes == sorted(names)
