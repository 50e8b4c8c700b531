"""Which data sets take part: those of both sexes, with a sentence for the others."""

from __future__ import annotations

import dataclasses

import pytest
import scipy.sparse as sp
from people import people_atlas

from srna_lib.data.task import (
    DESIGNS,
    choose_cohorts,
    cohort_table,
    design,
    feature_tasks,
    refusal,
    select,
    without_absent,
)
from srna_lib.errors import InputError
from srna_lib.evaluate.bootstrap import UNITS
from srna_lib.evaluate.splits import SCHEMES

SIZES = {"A": (20, 12), "B": (10, 30), "C": (25, 0), "D": (30, 2)}


@pytest.fixture
def atlas():
    return people_atlas(SIZES)


def test_table_says_who_is_used_and_why_others_are_not(atlas):
    table = cohort_table(atlas, "sex", min_per_class=5).set_index("data set")
    assert list(table.index) == ["B", "A", "D", "C"]  # used ones first, then by size
    assert table["use"].to_dict() == {
        "A": "used",
        "B": "used",
        "C": "refused: only female",
        "D": "refused: fewer than 5 of a class",
    }
    assert tuple(table.loc["D", ["female", "male"]]) == (30, 2)
    assert table.loc["B", "share"] == 0.75


def test_only_data_sets_of_both_sexes_stay(atlas):
    kept = choose_cohorts(atlas, "sex", min_per_class=5)
    assert set(kept.obs["dataset_id"]) == {"A", "B"}
    assert kept.n_obs == 72


def test_unknown_sexes_are_neither_counted_nor_kept(atlas):
    atlas.obs.loc[atlas.obs_names[:4], "sex"] = None
    assert cohort_table(atlas, "sex", min_per_class=5).set_index("data set").loc["A", "female"] == 16
    assert choose_cohorts(atlas, "sex", min_per_class=5).obs["sex"].notna().all()


def test_a_single_sex_is_refused_with_a_sentence(atlas):
    sentence = refusal(atlas, "sex", min_per_class=5)
    assert "'C'" in sentence and "0 male" in sentence and sentence.endswith(".")
    without = atlas[~atlas.obs["dataset_id"].isin(["C", "D"]).to_numpy()].copy()
    assert refusal(without, "sex", min_per_class=5) == ""


def test_select_takes_the_samples_with_a_value(atlas):
    assert set(select(atlas, {"sex": "male"}).obs["sex"]) == {"male"}
    with pytest.raises(InputError, match="no sample has sex = 'other'"):
        select(atlas, {"sex": "other"})
    with pytest.raises(InputError, match=r"obs\['age_source'\] is missing"):
        select(atlas, {"age_source": "x"})


@pytest.mark.parametrize("plan", DESIGNS.values())
def test_designs_name_what_exists(plan):
    assert plan.scheme in SCHEMES and plan.unit in UNITS and plan.context


def test_many_studies_are_split_by_study_and_few_by_patient():
    many = people_atlas({c: (4, 4) for c in "ABCDE"})
    assert design(many, "sex").scheme == "grouped_kfold"
    few = design(people_atlas({"A": (20, 12)}, name="lgrc"), "sex")
    assert (few.scheme, few.unit, few.external) == ("patient_kfold", "donor_id", "tcga")


def test_designs_refuse_what_cannot_be_modelled(atlas):
    with pytest.raises(InputError, match=r"obs\['hair'\] is missing"):
        design(atlas, "hair")
    atlas.uns["srna"] |= {"name": "tcga_trf", "quantity": "normalised"}
    with pytest.raises(InputError, match="dataset 'tcga' joins it"):
        design(atlas, "sex")


def test_three_feature_sets_where_there_are_contaminants(atlas):
    assert list(feature_tasks(atlas, "sex")) == ["sRNA"]
    tasks = feature_tasks(people_atlas(SIZES, contaminants=True), "sex")
    assert list(tasks) == ["sRNA", "contaminant", "both"]
    assert [t.X.shape[1] for t in tasks.values()] == [10, 1, 11]
    first, *rest = (dataclasses.astuple(t)[2] for t in tasks.values())
    assert all(list(y) == list(first) for y in rest)


def test_features_that_hardly_any_sample_has_are_dropped():
    atlas = people_atlas({"A": (50, 50)})
    counts = atlas.X.toarray()
    counts[:99, 0], counts[:98, 1] = 0, 0
    atlas.X = sp.csr_matrix(counts)
    assert list(without_absent(atlas).var_names) == list(atlas.var_names[1:])
    atlas.X = sp.csr_matrix(counts.shape)
    with pytest.raises(InputError, match="no feature is present"):
        without_absent(atlas)


def test_the_eighteen_cohorts_of_tcga(real):
    kept = choose_cohorts(real("tcga"), "sex")
    assert (kept.obs["dataset_id"].nunique(), kept.n_obs) == (18, 6891)
    sentence = refusal(real("tcga"), "sex", min_per_class=60)
    assert "'UCEC'" in sentence and "0 male" in sentence
