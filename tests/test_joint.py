"""Counts beside normalised values of the same tumours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from srna_lib.data.atlas import make_atlas
from srna_lib.data.task import joined_tasks, matched_samples
from srna_lib.errors import InputError
from srna_lib.evaluate.crossval import PROFILES, build_recipe

PEOPLE = ["p1", "p1", "p2", "p3", "p3", "p4", np.nan]
KINDS = ["tumour", "normal", "tumour", "tumour", "tumour", "tumour", "tumour"]


def pair(**changes):
    """Counts of six patients' samples, p3's tumour twice; normalised values of some, in another order."""
    rng = np.random.default_rng(0)
    samples = [f"a{i}" for i in range(7)]
    counts = pd.DataFrame(rng.poisson(30, (7, 3)), index=samples, columns=["miR-1", "miR-2", "miR-3"], dtype=float)
    obs = pd.DataFrame({"dataset_id": "LIHC", "donor_id": PEOPLE, "tumour_normal": KINDS}, index=samples)
    obs["sex"] = ["female", "female", "male", "male", "male", np.nan, "male"]
    obs["age_years"] = [40.0, 40, 50, 60, 60, 70, 80]
    first = make_atlas(counts, obs, info={"name": "one"})
    order = ["b0", "b1", "b2", "b3", "b4"]
    values = pd.DataFrame(rng.normal(3, 1, (5, 2)).clip(0), index=order, columns=["tRF-1", "miR-1"])
    other = pd.DataFrame({"dataset_id": "LIHC", "donor_id": ["p3", "p1", "p4", "p9", np.nan]}, index=order)
    other["tumour_normal"] = ["tumour", "normal", "tumour", "tumour", "tumour"]
    second = make_atlas(values, other, info={"name": "two", "quantity": "normalised"})
    return first, second


def test_pairs_are_of_one_patient_and_kind():
    pairs = matched_samples(*pair())
    assert pairs.to_dict("list") == {"counts": ["a1", "a3", "a5"], "normalised": ["b1", "b0", "b2"]}


def test_samples_of_unknown_patients_are_no_pair():
    pairs = matched_samples(*pair())
    assert "a6" not in set(pairs["counts"]) and "b4" not in set(pairs["normalised"])


def test_the_same_samples_through_three_feature_sets():
    first, second = pair()
    tasks = joined_tasks(first, second, "sex")
    assert list(tasks) == ["miRNA", "tRNA fragments", "both"]
    for name, task in tasks.items():
        assert task.features == name
        assert list(task.X.index) == ["a1", "a3"]
        assert task.y.tolist() == ["female", "male"]
        assert task.donors.tolist() == ["p1", "p3"]
        assert task.dropped == {"label unknown": 1}
    assert list(tasks["both"].X.columns) == ["miR-1", "miR-2", "miR-3", "normalised:tRF-1", "normalised:miR-1"]
    np.testing.assert_allclose(tasks["tRNA fragments"].X, second[["b1", "b0"]].to_df(), rtol=1e-6)
    np.testing.assert_array_equal(tasks["miRNA"].X, first[["a1", "a3"]].to_df())


def test_numbers_stay_numbers():
    task = joined_tasks(*pair(), "age_years")["both"]
    assert task.y.dtype == float and task.y.tolist() == [40.0, 60.0, 70.0]


@pytest.mark.parametrize("column", ["donor_id", "tumour_normal"])
def test_a_column_to_match_by_is_missing(column):
    first, second = pair()
    del second.obs[column]
    with pytest.raises(InputError, match=rf"^two: the field obs\['{column}'\] is missing .*; expected it to match"):
        matched_samples(first, second)


def test_no_pair():
    first, second = pair()
    second.obs["donor_id"] = [f"q{i}" for i in range(5)]
    with pytest.raises(InputError, match=r"^one and two share no donor and tissue type; expected some of both"):
        matched_samples(first, second)


def test_unknown_label():
    with pytest.raises(InputError, match=r"^one: the field obs\['sx'\] is missing .*; expected a column of labels"):
        joined_tasks(*pair(), "sx")


def test_the_two_cannot_be_swapped():
    with pytest.raises(InputError, match=r"^two: uns.*is 'normalised'; expected 'counts'"):
        joined_tasks(*pair()[::-1], "age_years")
    first, _ = pair()
    with pytest.raises(InputError, match=r"^one: uns.*is 'counts'; expected 'normalised'"):
        joined_tasks(first, first, "sex")


def test_tcga_trf_joins_718_samples(real):
    tcga, fragments = real("tcga"), real("tcga_trf")
    pairs = matched_samples(tcga, fragments)
    assert len(pairs) == 718 == fragments.n_obs
    assert pairs["counts"].is_unique and pairs["normalised"].is_unique
    left, right = tcga.obs.loc[pairs["counts"]], fragments.obs.loc[pairs["normalised"]]
    for column in ("donor_id", "tumour_normal", "dataset_id", "sex"):
        assert (left[column].astype(str).to_numpy() == right[column].astype(str).to_numpy()).all(), column
    tasks = joined_tasks(tcga, fragments, "sex")
    assert {t.y.value_counts().to_dict()["male"] for t in tasks.values()} == {498}
    assert [t.X.shape for t in tasks.values()] == [(718, 680), (718, 26744), (718, 27424)]
    small = tasks["both"].X.iloc[:, 670:700]
    steps = build_recipe(tasks["both"], "logistic", seed=0, profile=PROFILES["smoke"])[:1]
    out = steps.fit_transform(small)
    columns = small.columns[small.columns.str.startswith("normalised:")]
    np.testing.assert_allclose(out[columns], small[columns])  # values on a log scale are left as they are
