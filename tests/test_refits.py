"""One recipe fitted several times: the networks that single fits give, and folds that never see their test side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_attributions import SMALL, counts

from srna_lib.data.task import Task
from srna_lib.evaluate.splits import make_splits
from srna_lib.models.recipes import recipe
from srna_lib.stability.refits import fit_folds, fit_seeds


@pytest.fixture(scope="module")
def data():
    return counts()


def test_fit_seeds_gives_the_networks_that_single_fits_give(data):
    X, y = data
    task = Task("toy", X, y, pd.Series("S", index=X.index), {})
    models = fit_seeds(task, "dl_log", [3, 5], changes=SMALL)
    assert list(models) == [3, 5]
    alone = recipe("dl_log", seed=5, **SMALL).fit(X, y)
    np.testing.assert_array_equal(models[5].predict_proba(X), alone.predict_proba(X))
    assert not np.allclose(models[3].predict_proba(X), alone.predict_proba(X))


def test_fit_folds_never_sees_the_test_side(data):
    X, y = data
    studies = pd.Series([f"S{i // 9}" for i in range(len(y))], index=X.index)
    task = Task("toy", X, y, studies, {})
    splits = make_splits(task, "grouped_kfold", n_splits=2)
    models = fit_folds(task, "dl_log", splits, seed=5, changes=SMALL)
    assert list(models) == ["0", "1"]
    alone = recipe("dl_log", seed=5, **SMALL).fit(X.iloc[splits[1].train], y.iloc[splits[1].train])
    np.testing.assert_array_equal(models["1"].predict_proba(X), alone.predict_proba(X))
