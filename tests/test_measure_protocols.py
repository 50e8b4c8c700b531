"""The measuring script of protocols: samples as another protocol might have made them, and the nearest protocol."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from srna_lib.data.task import Task

SCRIPT = runpy.run_path(str(Path(__file__).resolve().parent.parent / "scripts" / "measure_protocols.py"))
FACTORS = pd.DataFrame([[0.0, 1.0], [2.0, -1.0], [-3.0, 0.5]], index=["p", "q", "r"], columns=["a", "b"])


@pytest.fixture
def task():
    X = pd.DataFrame(np.full((6, 3), 100.0), [f"s{i}" for i in range(6)], ["a", "b", "none"])
    y, groups = (pd.Series(list(text), X.index) for text in ("xyxyxy", "AABBCC"))
    return Task("label", X, y.rename("label"), groups, {})


@pytest.mark.parametrize("how", ["sample", "study", "copy", "shuffled"])
def test_every_sample_has_a_copy_with_its_label_and_the_originals_stay(task, how):
    both = SCRIPT["redone"](task, FACTORS, how)
    pd.testing.assert_frame_equal(both.X.iloc[:6], task.X)
    assert both.y.tolist() == task.y.tolist() * 2 and both.X.index.is_unique
    copies = both.X.iloc[6:]
    assert (copies["none"] == 100).all(), "no factor is known of it"
    assert copies.equals(task.X.set_axis(copies.index)) == (how == "copy")
    own = both.groups.iloc[6:].tolist()
    assert own == ([f"{g}, redone" for g in task.groups] if how == "study" else task.groups.tolist())
    assert SCRIPT["redone"](task, FACTORS, how).X.equals(both.X)


def test_copies_are_shifted_by_the_ratio_of_two_protocols(task):
    ratios = (FACTORS.to_numpy()[:, None] - FACTORS.to_numpy()[None])[~np.eye(3, dtype=bool)]  # of two different ones
    for how in ("sample", "study"):
        shift = np.log2(SCRIPT["redone"](task, FACTORS, how).X.iloc[6:, :2] / 100).round(9)
        assert (np.abs(shift.to_numpy()[:, None] - ratios).max(axis=2).min(axis=1) < 1e-8).all()
        assert (shift.groupby(task.groups.to_numpy()).nunique().max(axis=None) == 1) == (how == "study")


def test_the_nearest_kind_of_protocol_is_that_of_the_shift():
    near = SCRIPT["nearest"](FACTORS * 0.3 + 7.0, FACTORS)
    assert near.idxmax(axis=1).tolist() == list(FACTORS.index)
