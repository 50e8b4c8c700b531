"""Matrices of classes and their order."""

from __future__ import annotations

import numpy as np
import pandas as pd
from test_flip_tables import ROWS, flips

from srna_lib.stability import tables


def test_matrix_has_an_empty_diagonal_in_the_order_given():
    table = tables.class_table(flips(ROWS), "similarity", n_boot=5)
    wide = tables.matrix(table, "mean", ["C", "B", "A"])
    assert list(wide.columns) == ["C", "B", "A"] and list(wide.index) == ["A"]
    assert wide.loc["A", "B"] == 6 and np.isnan(wide.loc["A", "A"])


def test_classes_are_ordered_by_parent_or_by_who_flips_into_whom():
    rows = []
    near = {("A", "C"), ("C", "A"), ("B", "D"), ("D", "B")}
    for a in "ABCD":
        for b in "ABCD":
            if a != b:
                steps = 1.0 if (a, b) in near else 9.0
                rows.append((f"{a}{b}", "S", a, a, b, steps, 1.0, True))
    table = tables.class_table(flips(rows), "similarity", n_boot=5)
    order = tables.class_order(table)
    assert abs(order.index("A") - order.index("C")) == 1 and abs(order.index("B") - order.index("D")) == 1
    assert tables.class_order(table, {"A": "y", "B": "x", "C": "y", "D": "x"}) == ["B", "D", "A", "C"]
    alone = {c: c for c in "ABCD"}
    assert tables.class_order(table, alone) == order, "a hierarchy of one class each says nothing"


def test_parents_are_the_most_frequent_ones():
    obs = pd.DataFrame({"group": ["a", "a", "a", "b", None], "tissue_top": ["x", "x", "y", None, "z"]})
    assert tables.parents_of(obs, "group") == {"a": "x"}
    assert tables.parents_of(obs[["group"]], "group") == {}
