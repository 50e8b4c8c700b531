"""From one collection to another, and into other company: the same features, nothing fitted on the predicted side."""

from __future__ import annotations

import numpy as np
import pytest
from people import people_atlas
from sklearn.metrics import roc_auc_score

from srna_lib.data.task import make_task
from srna_lib.errors import InputError
from srna_lib.evaluate.controls import BATCHES, both_ways, run_batches, run_external, stack
from srna_lib.evaluate.crossval import cross_validate, get_profile
from srna_lib.evaluate.metrics import score
from srna_lib.evaluate.splits import make_splits

SIZES = {"LUAD": (20, 20), "LUSC": (16, 24), "KIRC": (15, 15)}
SMOKE = get_profile("smoke")


@pytest.fixture(scope="module")
def loops():
    return people_atlas(SIZES, name="first", stem_loops=True)


@pytest.fixture(scope="module")
def mature():
    return people_atlas({"second": (25, 25)}, name="second", seed=7)


@pytest.fixture(scope="module")
def stacked(loops, mature):
    return stack(loops, mature)


def test_mature_counts_are_summed_into_the_stem_loops_of_the_other(stacked, loops, mature):
    both, report = stacked
    assert sorted(both.var_names) == sorted(loops.var_names)  # of these both have counts
    assert both.n_obs == loops.n_obs + mature.n_obs
    row = both[mature.obs_names[0], "hsa-mir-221"].X.toarray().item()
    assert row == mature[mature.obs_names[0], "hsa-miR-221-3p"].X.toarray().item()
    assert list(report["level"]) == ["stem-loop", "mature"]
    assert report["reads_kept"].iloc[0] == 1 and 0 < report["reads_kept"].iloc[1] < 1
    assert list(both.obs["atlas"].unique()) == ["first", "second"]


def test_two_collections_of_mature_names_stay_mature(mature):
    both, report = stack(mature, people_atlas({"third": (5, 5)}, name="third"))
    assert set(report["level"]) == {"mature"}
    assert "hsa-miR-221-3p" in both.var_names


def test_directions_and_the_part_that_is_alike(stacked):
    ways = both_ways(stacked[0], "first", "second", ("LUAD", "LUSC", "absent"))
    assert list(ways) == ["first to second", "LUAD + LUSC to second", "second to first"]
    assert [len(train) for train, _ in ways.values()] == [110, 80, 50]
    back = both_ways(stacked[0], "second", "first", ("LUAD",))
    assert list(back) == ["second to first", "LUAD to second", "first to second"]
    assert [len(test) for _, test in back.values()] == [110, 50, 50]


@pytest.mark.parametrize("model", ["logistic", "tissue_input"])
def test_signal_is_carried_both_ways(stacked, model):
    ways = both_ways(stacked[0], "first", "second")
    out = run_external(stacked[0], "sex", [model], ways, profile=SMOKE, progress=False)
    assert set(out["scheme"]) == {"external"} and set(out["fold"]) == set(ways)
    for way, part in out.groupby("fold"):
        assert set(part["sample_id"]) == set(ways[way][1])
        assert roc_auc_score(part["y_true"] == "male", part["p_male"]) > 0.85


def test_labels_of_the_predicted_side_change_nothing(stacked):
    atlas = stacked[0].copy()
    ways = {"there": (atlas.obs_names[atlas.obs["atlas"] == "first"], atlas.obs_names[atlas.obs["atlas"] == "second"])}
    before = run_external(atlas, "sex", ["tissue_input"], ways, profile=SMOKE, progress=False)
    there = (atlas.obs["atlas"] == "second").to_numpy()
    atlas.obs.loc[there, "sex"] = np.random.default_rng(0).permutation(atlas.obs.loc[there, "sex"].to_numpy())
    after = run_external(atlas, "sex", ["tissue_input"], ways, profile=SMOKE, progress=False)
    assert (before["y_true"] != after["y_true"]).any()
    np.testing.assert_allclose(before["p_male"], after["p_male"])


def test_what_cannot_be_carried_is_refused(stacked, loops, mature):
    atlas = stacked[0]
    some = atlas.obs_names[:40]
    with pytest.raises(InputError, match="a sample is on both sides"):
        run_external(atlas, "sex", ["logistic"], {"w": (some, some[:5])}, profile=SMOKE)
    women = atlas.obs_names[(atlas.obs["sex"] == "female").to_numpy() & (atlas.obs["atlas"] == "second").to_numpy()]
    with pytest.raises(InputError, match="predicted have fewer than two classes"):
        run_external(atlas, "sex", ["logistic"], {"w": (some, women)}, profile=SMOKE)
    with pytest.raises(InputError, match="both have the sample"):
        stack(loops, loops)
    normalised = mature.copy()
    normalised.uns["srna"] = dict(mature.uns["srna"]) | {"quantity": "normalised"}
    with pytest.raises(InputError, match="expected raw counts"):
        stack(loops, normalised)


def test_a_donor_on_both_sides_is_refused(stacked):
    atlas = stacked[0].copy()
    atlas.obs["donor_id"] = atlas.obs["donor_id"].astype(str)
    atlas.obs.loc[atlas.obs_names[-1], "donor_id"] = atlas.obs["donor_id"].iloc[0]
    ways = both_ways(atlas, "first", "second")
    with pytest.raises(InputError, match="a donor is on both sides"):
        run_external(atlas, "sex", ["logistic"], ways, profile=SMOKE)


def test_real_collections_share_most_reads(real):
    tcga, lgrc = real("tcga"), real("lgrc")
    both, report = stack(tcga[:50].copy(), lgrc[:50].copy())
    assert list(report["level"]) == ["stem-loop", "mature"]
    assert both.n_vars > 500 and (report["reads_kept"] > 0.9).all()


@pytest.fixture(scope="module")
def company(loops):
    """Each cohort left out and predicted in several companies, by both centres and a model without any."""
    task = make_task(loops, "sex")
    splits = make_splits(task, "one_dataset_out")
    options = {"context": ("dataset_id",), "profile": SMOKE, "progress": False}
    return task, run_batches(task, loops, ["tissue_input", "logistic"], splits, **options)


def test_every_sample_is_predicted_once_in_every_company(company):
    task, table = company
    assert set(table["model"]) == {"tissue_input, centre: training", "tissue_input, centre: batch", "logistic"}
    assert set(table["scheme"]) == set(BATCHES)
    for _, run in table.groupby(["model", "scheme"]):
        about = run.set_index("sample_id").loc[task.y.index]
        assert (about["y_true"] == task.y).all() and (about["dataset_id"] == task.groups).all()
        assert (about["donor_id"] == task.donors).all() and (about["fold"] == task.groups).all()


def test_only_the_centre_of_the_batch_listens_to_the_company(company):
    _, table = company
    p = table.pivot(index=["model", "sample_id"], columns="scheme", values="p_male")
    for model in ("tissue_input, centre: training", "logistic"):
        own = p.loc[model]
        np.testing.assert_allclose(own, own[["whole"] * 4].to_numpy(), atol=1e-5)
    batch = p.loc["tissue_input, centre: batch"]
    assert (batch["whole"] - batch["classes apart"]).abs().max() > 0.1
    training = p.loc["tissue_input, centre: training"]
    np.testing.assert_allclose(batch["one at a time"], training["whole"], atol=1e-5)  # no centre of its own


def test_a_batch_of_one_sex_is_centred_to_nothing(company):
    """What tells the sexes apart is taken off with the mean, where women and men come apart."""
    _, table = company
    area = score(table, metrics="auc_within", n_boot=0).set_index(["model", "scheme"])["value"]
    batch = area["tissue_input, centre: batch"]
    assert batch["classes apart"] < batch["whole"] - 0.1


@pytest.mark.slow
def test_predictions_in_company_are_those_of_cross_validation(loops):
    task = make_task(loops, "sex")
    splits = make_splits(task, "one_dataset_out")
    options = {"atlas": loops, "context": ("dataset_id",), "profile": SMOKE, "progress": False}
    usual = cross_validate(task, "tissue_input", splits, **options).set_index("sample_id")
    table = run_batches(task, options.pop("atlas"), ["tissue_input"], splits, **options)
    one = table.query("scheme == 'whole' and model.str.endswith('training')").set_index("sample_id")
    np.testing.assert_allclose(one["p_male"], usual.loc[one.index, "p_male"], atol=1e-6)
