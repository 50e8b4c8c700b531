"""Cases: who predicts whom, which samples are chosen, and steps that end where the logits say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_attributions import SMALL, counts

from srna_lib.data.task import Task
from srna_lib.errors import InputError
from srna_lib.evaluate.splits import make_splits
from srna_lib.explain import deeplift
from srna_lib.explain.single_samples import HeldOut, breakdown, held_out, steps_between
from srna_lib.plots.explain import explained
from srna_lib.stability.refits import fit_folds


@pytest.fixture(scope="module")
def found() -> HeldOut:
    X, y = counts()
    task = Task("toy", X, y, pd.Series([f"S{i // 9}" for i in range(len(y))], index=X.index), {})
    splits = make_splits(task, "grouped_kfold", n_splits=2)
    return held_out(task, fit_folds(task, "dl_log", splits, changes=SMALL), splits)


def toy(rows) -> HeldOut:
    table = pd.DataFrame(rows, columns=["y_true", "y_pred", "probability"], index=[f"x{i}" for i in range(len(rows))])
    table["right"], table["known"] = table["y_true"] == table["y_pred"], True
    return HeldOut(table, {}, None)


def test_every_sample_is_predicted_once_by_a_network_of_other_studies(found):
    X, y = counts()
    assert sorted(found.table.index) == sorted(X.index)
    assert (found.table["y_true"] == y[found.table.index]).all()
    assert (found.table.groupby("dataset_id")["fold"].nunique() == 1).all()
    for fold, part in found.table.groupby("fold"):
        assert (found.models[fold].predict(X.loc[part.index]) == part["y_pred"]).all()
        np.testing.assert_allclose(found.models[fold].predict_proba(X.loc[part.index]).max(axis=1), part["probability"])


def test_explanation_comes_from_the_network_of_the_fold(found):
    X, _ = counts()
    name = found.table.index[-1]
    ours = found.explain(name, reference="mean")
    alone = deeplift.contributions(found.models[found.table.loc[name, "fold"]], X.loc[[name]], reference="mean")
    np.testing.assert_array_equal(ours.values, alone.values)
    with pytest.raises(InputError, match="'nobody' was not predicted"):
        found.explain("nobody")


def test_explained_carries_the_calls_and_the_counts_of_the_library(found):
    X, _ = counts()
    name = found.table.index[3]
    shown = explained(found, name, reference="mean")
    assert shown.title == f"{name}: {found.table.loc[name, 'y_true']}, predicted {found.table.loc[name, 'y_pred']}"
    assert shown.counts.equals(X.loc[name])
    assert list(shown.contributions.index) == ["a", "b", "c"]


def test_typical_is_the_middle_of_the_right_calls():
    rows = [("a", "a", 0.5), ("a", "a", 0.9), ("a", "a", 0.7), ("a", "b", 0.99), ("b", "b", 0.6), ("c", "a", 0.8)]
    assert toy(rows).typical() == ["x2", "x4"]


def test_mistake_is_the_surest_with_the_surest_of_its_call():
    rows = [("a", "b", 0.6), ("a", "b", 0.8), ("b", "b", 0.5), ("b", "b", 0.7), ("a", "a", 1.0)]
    assert toy(rows).mistake() == ["x1", "x3"]
    assert toy(rows[:2]).mistake() == ["x1"]
    assert toy(rows[2:]).mistake() == []
    without = toy(rows)
    without.table.loc["x1", "known"] = False
    assert without.mistake() == ["x0", "x3"]


def test_a_class_with_all_its_studies_in_one_fold_is_unknown_there():
    X, y = counts()
    y[:10] = "rare"
    studies = pd.Series(["R"] * 10 + [f"S{i // 9}" for i in range(len(y) - 10)], index=X.index)
    task = Task("toy", X, y, studies, {})
    splits = make_splits(task, "grouped_kfold", n_splits=2)
    table = held_out(task, fit_folds(task, "dl_log", splits, changes=SMALL), splits).table
    assert (table["known"] == (table["y_true"] != "rare")).all()
    assert not table.loc[~table["known"], "right"].any()


def test_steps_lead_from_the_references_difference_to_the_samples(found):
    name = found.table.index[0]
    case = found.explain(name, reference="zero_counts")
    steps = steps_between(case, "c", "a", n=5)
    assert steps["total"].iloc[0] == pytest.approx(case.reference_logits[0, 2] - case.reference_logits[0, 0], abs=1e-4)
    assert steps["total"].iloc[-1] == pytest.approx(case.logits[0, 2] - case.logits[0, 0], abs=1e-3)
    back = steps_between(case, "a", "c", n=5)
    np.testing.assert_allclose(back["value"], -steps["value"], atol=1e-4)
    with pytest.raises(InputError, match="expected one sample and two classes of a, b, c"):
        steps_between(case, "c", "z")


def test_breakdown_leads_from_the_reference_to_the_sample():
    table = breakdown(pd.Series({"a": 1.0, "b": -3.0, "c": 0.5, "d": 0.25}), start=2.0, n=2)
    assert list(table["label"]) == ["reference", "b", "a", "2 others", "sample"]
    assert list(table["value"]) == [2, -3, 1, 0.75, 0.75]
    assert list(table["total"]) == [2, -1, 0, 0.75, 0.75]
    assert list(table["kind"]) == ["start", "step", "step", "rest", "end"]


def test_breakdown_without_rest_and_without_steps():
    assert "rest" not in set(breakdown({"a": 1.0}, 0.0)["kind"])
    with pytest.raises(InputError, match="n=0"):
        breakdown({"a": 1.0}, 0.0, n=0)


def test_breakdown_of_a_real_prediction_ends_at_its_logit(found):
    sample = found.table.index[0]
    case = found.explain(sample, reference="zero_counts")
    for k, name in enumerate(case.classes):
        steps = breakdown(case.of_sample(sample).loc[name], float(case.reference_logits[0, k]))
        assert steps["total"].iloc[-1] == pytest.approx(float(case.logits[0, k]), abs=1e-3)
