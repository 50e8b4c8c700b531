"""Labels and batches that will do, whose sex and age are known, and where shared samples come from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from srna_lib.data.atlas import make_atlas
from srna_lib.errors import InputError
from srna_lib.explore import tables


def atlas(obs: dict[str, list], n: int = 12):
    names = [f"s{i}" for i in range(n)]
    counts = pd.DataFrame(np.ones((n, 2)), index=names, columns=["a", "b"])
    return make_atlas(counts, pd.DataFrame({"dataset_id": "P", **obs}, index=names), info={"name": "tiny"})


HALVES = ["x"] * 6 + ["y"] * 6


def test_the_wanted_label_is_taken_where_it_will_do():
    both = atlas({"tissue_group": ["x"] * 2 + ["y"] * 2 + [np.nan] * 8, "tissue": HALVES})
    assert tables.usable_label(both, min_class_size=2) == "tissue_group"
    assert tables.usable_label(both, "tissue", min_class_size=2) == "tissue"


def test_another_label_is_taken_where_the_wanted_one_is_missing_or_too_small():
    some = atlas({"tissue": ["lung"] * 12, "diagnosis": HALVES, "sex": ["male"] * 5 + ["female"] * 5 + [np.nan] * 2})
    assert tables.usable_label(some, min_class_size=5) == "diagnosis"  # most samples
    assert tables.usable_label(some, "tissue", min_class_size=5) == "diagnosis"  # one class is no label
    assert tables.usable_label(atlas({"tissue": HALVES, "sex": HALVES}), min_class_size=6) == "tissue"  # of equals


def test_choose_column_takes_what_is_there():
    both = atlas({"tissue": HALVES, "sex": HALVES})
    assert tables.choose_column(both, "auto", ("lineage", "tissue"), "sex") == "tissue"
    assert tables.choose_column(both, "auto", ("lineage",), "sex") == "sex"
    assert tables.choose_column(both, "sex", ("tissue",), "tissue") == "sex"
    with pytest.raises(InputError, match=r"obs\['bogus'\] is missing"):
        tables.choose_column(both, "bogus", ("tissue",), "sex")


def test_no_label_at_all():
    with pytest.raises(InputError, match=r"neither obs\['organ'\] nor another label has two classes of at least 7"):
        tables.usable_label(atlas({"tissue": HALVES}), "organ", min_class_size=7)


def test_batches_are_studies_or_else_the_next_best():
    flow = ["f1"] * 6 + ["f2"] * 6
    assert tables.usable_batch(atlas({"dataset_id": HALVES, "flow_cell": flow})) == "dataset_id"
    assert tables.usable_batch(atlas({"flow_cell": flow})) == "flow_cell"
    one_each = [f"d{i}" for i in range(12)]
    assert tables.usable_batch(atlas({"donor_id": one_each})) == "dataset_id"
    assert tables.usable_batch(atlas({"flow_cell": ["f"] * 12, "donor_id": flow})) == "donor_id"


def test_people_counts_what_is_known():
    sex = ["female", "male", "male", np.nan, np.nan, np.nan, *["female"] * 6]
    age = [1.0, np.nan] * 6
    table = tables.people(atlas({"tissue_group": [*HALVES[:6], *["y"] * 5, np.nan], "sex": sex, "age_years": age}))
    assert table["group"].tolist() == ["x", "y"] and table["n_samples"].tolist() == [6, 5]
    assert table["female"].tolist() == pytest.approx([1 / 6, 1]) and table["male"].tolist() == pytest.approx([2 / 6, 0])
    assert table["sex_known"].tolist() == pytest.approx([0.5, 1]) and table["age_known"].tolist() == [0.5, 0.6]


def test_people_without_sex_or_with_gestational_age():
    table = tables.people(atlas({"gestational_age_days": [70.0] * 3 + [np.nan] * 9}), "dataset_id")
    assert table[["female", "male", "sex_known", "age_known"]].to_numpy().tolist() == [[0, 0, 0, 0.25]]
    with pytest.raises(InputError, match=r"obs\['organ'\] is missing \(found: dataset_id\)"):
        tables.people(atlas({}), "organ")


def test_shared_studies_are_counted_most_first():
    overlap = pd.DataFrame({"dataset_id": ["P1", "P2", "P2"], "removed_dataset_id": ["m1", "m2", "m2"],
                            "by": ["run", "sample", "sample"], "removed": ["a", "b", "c"]})  # fmt: skip
    joined = atlas({})
    assert tables.shared_studies(joined).empty  # nothing was joined
    joined.uns["srna"]["overlap"] = overlap
    table = tables.shared_studies(joined)
    assert table["removed"].tolist() == [2, 1] and table["dataset_id"].tolist() == ["P2", "P1"]


def test_prepare_says_what_stands_for_class_and_study():
    flow = ["f1"] * 6 + ["f2"] * 5 + [np.nan]
    single = atlas({"diagnosis": HALVES, "flow_cell": flow})
    prepared, label, least, note = tables.prepare(single, "tissue_group", min_class_size=5)
    assert least == 5 and label == "diagnosis" and "the class is `diagnosis`" in note and "read `flow_cell`" in note
    assert prepared.obs["dataset_id"].tolist() == [*flow[:11], "unknown"] and set(single.obs["dataset_id"]) == {"P"}
    both = atlas({"tissue_group": HALVES, "dataset_id": HALVES})
    assert tables.prepare(both, "tissue_group", min_class_size=5) == (both, "tissue_group", 5, "")


SIZES = [((15, 15), 15), ((40, 10), 10), ((10, 9), 9), ((10, 5), 5), ((16, 4), 5), ((20, 9, 8), 9), ((20, 3, 3), 5)]


@pytest.mark.parametrize(("sizes", "least"), SIZES)
def test_classes_of_a_small_atlas_are_taken_as_they_are(sizes, least):
    """A table of 20 samples in two classes of 10 ended notebook 01 in a refusal."""
    small = atlas({"tissue": np.repeat([*"abc"][: len(sizes)], sizes)}, n=sum(sizes))
    assert tables.usable_size(small, "tissue", 15) == least == tables.usable_size(small, "organ", 15)
    if sizes[1] >= 5:
        assert tables.prepare(small, "tissue")[1:3] == ("tissue", least)
        assert bool(tables.prepare(small, "tissue")[3]) == (least < 15)


@pytest.mark.parametrize(
    ("name", "label", "batch"),
    [("open_atlas", "tissue_group", "dataset_id"), ("mirome", "tissue_group", "dataset_id"),
     ("lgrc", "diagnosis", "flow_cell"), ("fetal_lung", "sex", "sequencing_run")],
)  # fmt: skip
def test_real_data_sets_have_a_label_and_a_batch(real, name, label, batch):
    assert (tables.usable_label(real(name)), tables.usable_batch(real(name))) == (label, batch)
