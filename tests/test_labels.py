"""Which samples take part in a task, and why the others do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import assume, given
from hypothesis import strategies as st

from srna_lib.data.atlas import counts_frame, make_atlas
from srna_lib.data.task import donors, make_quantity_task, make_task, subsample
from srna_lib.errors import InputError


def atlas_of(labels, *, name="toy", column="tissue_group", studies=None):
    n = len(labels)
    samples = [f"s{i}" for i in range(n)]
    counts = pd.DataFrame({"miR-a": np.arange(n), "miR-b": 2 * np.arange(n), "bug": 1}, index=samples, dtype=float)
    obs = pd.DataFrame({"dataset_id": studies or [f"D{i % 3}" for i in range(n)], column: labels}, index=samples)
    var = pd.DataFrame({"biotype": ["miRNA", "miRNA", "contaminant"]}, index=counts.columns)
    return make_atlas(counts, obs, var, info={"name": name})


MIXED = ["brain"] * 4 + ["liver"] * 3 + ["fat"] * 2 + ["Other"] * 5 + [np.nan] * 2


def test_small_excluded_and_unknown_are_left_out():
    task = make_task(atlas_of(MIXED), min_class_size=3)
    assert task.name == "tissue_group"
    assert task.classes == ["brain", "liver"]
    assert task.y.tolist() == ["brain"] * 4 + ["liver"] * 3
    assert task.dropped == {"label unknown": 2, "excluded label": 5, "class below 3 samples": 2}


def test_a_class_of_exactly_the_minimum_stays():
    assert make_task(atlas_of(MIXED), min_class_size=2).classes == ["brain", "fat", "liver"]
    assert make_task(atlas_of(MIXED), min_class_size=3).classes == ["brain", "liver"]


def test_exclude():
    atlas = atlas_of(MIXED)
    assert make_task(atlas, min_class_size=2, exclude=()).classes == ["Other", "brain", "fat", "liver"]
    task = make_task(atlas, min_class_size=2, exclude=("Other", "liver"))
    assert task.classes == ["brain", "fat"]
    assert task.dropped["excluded label"] == 8


def test_samples_labels_and_studies_are_aligned():
    order = [3, 0, 2, 1, 5, 4]
    atlas = atlas_of([["brain", "liver"][i % 2] for i in order], studies=[f"D{i}" for i in order])
    task = make_task(atlas, min_class_size=2)
    assert list(task.X.index) == list(task.y.index) == list(task.groups.index) == list(atlas.obs_names)
    pd.testing.assert_frame_equal(task.X, counts_frame(atlas)[["miR-a", "miR-b"]])
    assert task.groups.tolist() == [f"D{i}" for i in order]


@given(st.lists(st.sampled_from(["a", "b", "c", "Other", None]), min_size=4, max_size=40), st.integers(2, 5))
def test_nothing_gets_lost(labels, smallest):
    sizes = {c: labels.count(c) for c in "abc"}
    kept = sorted(c for c in sizes if sizes[c] >= smallest)
    assume(len(kept) >= 2)
    atlas = atlas_of([np.nan if v is None else v for v in labels])
    task = make_task(atlas, min_class_size=smallest)
    assert task.classes == kept
    assert len(task.y) + sum(task.dropped.values()) == len(labels)
    positions = [i for i, v in enumerate(labels) if v in kept]
    assert task.X["miR-a"].tolist() == positions
    assert task.y.tolist() == [labels[i] for i in positions]
    assert task.groups.tolist() == [f"D{i % 3}" for i in positions]


def test_labels_that_are_no_text_become_text():
    task = make_task(atlas_of([True, False] * 3, column="is_cell_line"), "is_cell_line", min_class_size=2)
    assert task.classes == ["False", "True"]
    categorical = atlas_of(pd.Categorical(["a", "b"] * 3, categories=["a", "b", "never seen"]))
    assert make_task(categorical, min_class_size=2).classes == ["a", "b"]


@pytest.mark.parametrize(
    ("features", "expected"),
    [("sRNA", ["miR-a", "miR-b"]), ("contaminant", ["bug"]), ("both", ["miR-a", "miR-b", "bug"])],
)
def test_feature_sets(features, expected):
    task = make_task(atlas_of(["a", "b"] * 3), min_class_size=2, features=features)
    assert list(task.X.columns) == expected
    assert task.features == features


def test_an_atlas_without_biotypes_is_all_srna():
    atlas = atlas_of(["a", "b"] * 3)
    del atlas.var["biotype"]
    assert list(make_task(atlas, min_class_size=2).X.columns) == ["miR-a", "miR-b", "bug"]


def test_unknown_feature_set():
    with pytest.raises(InputError, match=r"unknown feature set 'mRNA': expected one of sRNA, contaminant, both"):
        make_task(atlas_of(["a", "b"] * 3), min_class_size=2, features="mRNA")


def test_a_feature_set_without_features(counts, obs, info):
    atlas = make_atlas(counts, obs, info=info)
    with pytest.raises(InputError, match=r"^toy: none of the 4 features is a contaminant; expected at least one"):
        make_task(atlas, min_class_size=2, features="contaminant")


@pytest.mark.parametrize("call", [make_task, lambda a, c: subsample(a, c, per_study=1)])
def test_unknown_column(call):
    with pytest.raises(
        InputError, match=r"^toy: the field obs\['tisue'\] is missing \(found: dataset_id, tissue_group\)"
    ):
        call(atlas_of(MIXED), "tisue")


def test_one_class_left():
    with pytest.raises(
        InputError,
        match=r"^toy: obs\['tissue_group'\] has 1 classes of at least 4 samples"
        r" \(class sizes: brain 4, liver 3, fat 2\); expected at least two",
    ):
        make_task(atlas_of(MIXED), min_class_size=4)


def test_no_class_left():
    with pytest.raises(InputError, match=r"has 0 classes of at least 15 samples \(class sizes: none\)"):
        make_task(atlas_of([np.nan, "Other", np.nan]))


def test_a_class_with_one_sample_is_left_out_by_size():
    task = make_task(atlas_of(["a"] * 3 + ["b"] * 3 + ["c"]), min_class_size=2)
    assert task.classes == ["a", "b"] and task.dropped["class below 2 samples"] == 1
    with pytest.raises(InputError, match=r"has 1 classes of at least 2 samples \(class sizes: a 3, c 1\)"):
        make_task(atlas_of(["a"] * 3 + ["c"]), min_class_size=2)


@pytest.mark.parametrize("smallest", [0, 1])
def test_a_class_with_one_sample_that_was_asked_for(smallest):
    with pytest.raises(
        InputError,
        match=r"^toy: obs\['tissue_group'\] has one sample in 1 classes \(first: 'c'\); expected at least two",
    ):
        make_task(atlas_of(["a"] * 3 + ["b"] * 3 + ["c"]), min_class_size=smallest)


@pytest.mark.parametrize("seed", range(3))
def test_subsample_keeps_every_study_and_class(seed):
    studies = [f"D{i % 3}" for i in range(60)]
    labels = [["a", "b"][(i // 3) % 2] for i in range(60)]
    atlas = atlas_of(labels, studies=studies)
    small = subsample(atlas, "tissue_group", per_study=4, seed=seed)
    sizes = small.obs.groupby(["dataset_id", "tissue_group"], observed=True).size()
    assert sizes.tolist() == [4] * 6
    positions = small.obs_names.str[1:].astype(int)
    assert positions.is_monotonic_increasing  # samples in their old order
    pd.testing.assert_frame_equal(counts_frame(small), counts_frame(atlas).loc[small.obs_names])
    again = subsample(atlas, "tissue_group", per_study=4, seed=seed)
    assert list(again.obs_names) == list(small.obs_names)
    other = subsample(atlas, "tissue_group", per_study=4, seed=seed + 100)
    assert list(other.obs_names) != list(small.obs_names)


def test_subsample_keeps_classes_of_few_studies_large_enough():
    atlas = atlas_of(["a"] * 30 + ["b"] * 12 + ["c"] * 4, studies=[f"D{i % 10}" for i in range(30)] + ["D0"] * 16)
    sizes = subsample(atlas, "tissue_group", per_study=1, min_class_size=6, seed=1).obs["tissue_group"].value_counts()
    assert 10 <= sizes["a"] <= 15 and 6 <= sizes["b"] <= 7 and sizes["c"] == 4
    assert subsample(atlas, "tissue_group", per_study=1).obs["tissue_group"].value_counts().to_dict() == {
        "a": 10, "b": 1, "c": 1,
    }  # fmt: skip


def test_subsample_larger_than_the_atlas_is_the_atlas():
    atlas = atlas_of(MIXED)
    assert list(subsample(atlas, "tissue_group", per_study=100).obs_names) == list(atlas.obs_names)


@pytest.mark.parametrize("step", [2, -1])
def test_views_by_steps_are_sampled_and_asked_like_their_copies(step):
    """A view of every other sRNA of sparse counts keeps its step, which scipy cannot combine with a list of rows."""
    atlas = atlas_of(["a", "b"] * 6)
    assert sp.issparse(atlas.X)
    view = atlas[:, ::step]
    for seen in (view, atlas[::-1, ::step]):
        found, expected = (subsample(a, "tissue_group", per_study=1, seed=3) for a in (seen, seen.copy()))
        pd.testing.assert_frame_equal(counts_frame(found), counts_frame(expected))
        pd.testing.assert_frame_equal(found.obs, expected.obs)
    task, copied = (make_task(a, min_class_size=2, features="both") for a in (view, view.copy()))
    pd.testing.assert_frame_equal(task.X, copied.X)


def test_donors_unknown_ones_are_their_own():
    atlas = atlas_of(["a", "b"] * 3)
    assert donors(atlas).tolist() == ["s0", "s1", "s2", "s3", "s4", "s5"]
    atlas.obs["donor_id"] = ["p1", "p1", np.nan, "p2", np.nan, "p2"]
    assert donors(atlas).tolist() == ["p1", "p1", "s2", "p2", "s4", "p2"]
    atlas.obs["donor_id"] = pd.Categorical(atlas.obs["donor_id"])
    assert donors(atlas).tolist() == ["p1", "p1", "s2", "p2", "s4", "p2"]
    atlas.obs["donor_id"] = [1, 1, 2, 2, 3, 3]
    assert donors(atlas).tolist() == ["1", "1", "2", "2", "3", "3"]


def test_donors_are_aligned_with_the_samples_that_stay():
    atlas = atlas_of(MIXED)
    atlas.obs["donor_id"] = [f"p{i // 2}" for i in range(16)]
    task = make_task(atlas, min_class_size=3)
    assert list(task.donors.index) == list(task.y.index)
    assert task.donors.tolist() == ["p0", "p0", "p1", "p1", "p2", "p2", "p3"]


def test_a_quantity_is_a_task_of_numbers():
    ages = [20.0, np.nan, *range(30, 40), np.nan]
    atlas = atlas_of(ages, column="age_years")
    task = make_quantity_task(atlas)
    assert task.name == "age_years" and task.y.dtype == float
    assert task.y.tolist() == [20.0, *range(30, 40)]
    assert task.dropped == {"label unknown": 2}
    assert list(task.X.columns) == ["miR-a", "miR-b"]
    assert list(task.X.index) == list(task.y.index) == list(task.groups.index) == list(task.donors.index)
    assert list(make_quantity_task(atlas, features="both").X.columns) == ["miR-a", "miR-b", "bug"]


def test_numbers_written_as_text_are_numbers():
    assert make_quantity_task(atlas_of(["7", "8.5"] * 6, column="age_years")).y.tolist() == [7.0, 8.5] * 6


@pytest.mark.parametrize(
    ("values", "column", "message"),
    [
        ([1.0] * 12, "days", r"^toy: the field obs\['days'\] is missing"),
        ([1.0, "old", *[3.0] * 10], "age_years", r"^toy: obs\['age_years'\] holds 'old'; expected numbers"),
        (
            [1.0] * 9 + [np.nan] * 9,
            "age_years",
            r"^toy: obs\['age_years'\] is known for 9 samples; expected at least 10",
        ),
        ([40.0] * 12, "age_years", r"^toy: obs\['age_years'\] is 40 in every sample; expected it to differ\.$"),
    ],
)
def test_quantities_that_cannot_be(values, column, message):
    with pytest.raises(InputError, match=message):
        make_quantity_task(atlas_of(values, column="age_years"), column)
