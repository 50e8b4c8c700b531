"""Weights of a linear model: what was planted is found, and its chromosome is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from people import BOTH_HOMES, LINKED, people_atlas
from scipy import stats

from srna_lib.data import make_task, with_context
from srna_lib.errors import InputError
from srna_lib.evaluate import build_recipe, fit_fold, get_profile, make_splits
from srna_lib.explain.enrichment import sex_linked_enrichment
from srna_lib.explain.other_methods import fold_weights, mark_sex_linked
from srna_lib.models import feature_names

SMOKE = get_profile("smoke")


@pytest.fixture(scope="module")
def atlas():
    return people_atlas({"A": (20, 20), "B": (30, 20), "C": (15, 15)}, contaminants=True)


@pytest.fixture(scope="module", params=["logistic", "tissue_input"])
def weights(request, atlas):
    task = make_task(atlas, "sex")
    splits = make_splits(task, "patient_kfold", n_splits=3)
    return fold_weights(task, atlas, request.param, splits, profile=SMOKE, context=("dataset_id",))


def test_planted_mirnas_lead_and_point_to_women(weights):
    top = weights[weights["rank"] <= len(LINKED)]
    assert set(top["srna"]) == set(LINKED)
    assert set(top["towards"]) == {"female"} and (top["weight"] < 0).all()
    assert top["steady"].all() and set(top["linked"]) == {"X"}
    assert list(weights["rank"]) == list(range(1, len(weights) + 1))
    assert weights["weight"].abs().is_monotonic_decreasing
    assert (weights["lowest"] <= weights["weight"]).all() and (weights["weight"] <= weights["highest"]).all()


@pytest.mark.parametrize(("model", "within"), [("logistic", False), ("tissue_input", True)])
def test_weights_are_per_standard_deviation_of_the_input(atlas, model, within):
    """Of the input that the model sees: recipes that centre within data sets see the spread inside them."""
    task = make_task(atlas, "sex")
    split = make_splits(task, "patient_kfold", n_splits=3)[0]
    table = fold_weights(task, atlas, model, [split], profile=SMOKE, context=("dataset_id",))
    found = table.set_index("srna")["weight"]
    seen = with_context(task, atlas, ("dataset_id",)) if within else task
    fitted = fit_fold(seen, build_recipe(seen, model, seed=0, profile=SMOKE, by="dataset_id"), split.train)
    inner = np.asarray(fitted[:-1].transform(seen.X.iloc[split.train]))
    inner = pd.DataFrame(inner, columns=feature_names(fitted, seen.X)).filter(regex="^(?!context:)")
    studies = task.groups.iloc[split.train].to_numpy()
    centre = inner.groupby(studies).transform("mean") if within else inner.mean()
    deviation = ((inner - centre) ** 2).mean() ** 0.5
    expected = (deviation * fitted[-1].coef_[0])[found.index]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    assert not within or deviation[found.index].std() > 0.01  # else any spread would do


def test_places(atlas):
    marks = mark_sex_linked(atlas.var)
    assert marks.loc["hsa-miR-21-5p", ["chrom", "linked"]].tolist() == ["chr17", ""]
    assert marks.loc["hsa-miR-221-3p", "linked"] == "X"
    assert marks.loc[BOTH_HOMES, "linked"] == "X and others"
    assert marks.loc["Escherichia_coli", ["chrom", "linked"]].tolist() == ["", ""]
    assert marks.loc["Escherichia_coli", "biotype"] == "contaminant"


def test_enrichment_is_hypergeometric_over_known_places():
    linked = ["X", "X", "", "X", "", "", "", "", "", ""]
    table = pd.DataFrame({"rank": range(1, 11), "linked": linked, "chrom": ["chrX"] * 9 + [""]})
    found = sex_linked_enrichment(table, tops=(4, 50))
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["linked"], row["n_linked"], row["n"], row["expected"]) == (3, 3, 9, pytest.approx(4 * 3 / 9))
    assert row["p_value"] == pytest.approx(stats.hypergeom.pmf(3, 9, 3, 4))


def test_no_linked_at_the_top_has_p_of_one():
    table = pd.DataFrame({"rank": range(1, 11), "linked": [""] * 9 + ["X"], "chrom": ["chr1"] * 9 + ["chrX"]})
    assert sex_linked_enrichment(table, tops=(5,))["p_value"].item() == pytest.approx(1.0)


def test_recipes_without_weights_are_refused(atlas):
    task = make_task(atlas, "sex")
    splits = make_splits(task, "patient_kfold", n_splits=2)
    with pytest.raises(InputError, match="has no weights"):
        fold_weights(task, atlas, "rf_plain", splits, profile=SMOKE)
    three = atlas.copy()
    three.obs["sex"] = three.obs["sex"].where(three.obs["dataset_id"] != "C", "unclear")
    with pytest.raises(InputError, match="3 classes; expected two"):
        fold_weights(make_task(three, "sex"), three, "logistic", splits, profile=SMOKE)
