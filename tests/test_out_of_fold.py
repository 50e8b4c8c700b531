"""What an out-of-fold table must hold, and two of them side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oof import binary

from srna_lib.errors import InputError
from srna_lib.evaluate.metrics import check_table, probabilities, same_rows


def test_a_good_table_passes_and_its_faults_are_named():
    t = binary()
    check_table(t, ["p_male"])
    with pytest.raises(InputError, match="no column 'low_90'"):
        check_table(t, ["low_90"])
    with pytest.raises(InputError, match="no rows"):
        check_table(t.iloc[:0])
    with pytest.raises(InputError, match=r"column 'model' holds 2 values \(first: m, n\)"):
        check_table(pd.concat([t, t.assign(model="n")]))


def test_probabilities_leave_out_columns_of_other_tasks():
    t = binary().assign(p_brain=np.nan)
    classes, p = probabilities(t)
    assert classes == ["female", "male"]
    np.testing.assert_array_equal(p, t[["p_female", "p_male"]])


def test_what_is_no_probability_is_refused():
    t = binary()
    with pytest.raises(InputError, match="1 columns p_<class>"):
        probabilities(t.drop(columns="p_male"))
    with pytest.raises(InputError, match="class 'other' has no column 'p_other'"):
        probabilities(t.assign(y_true="other"))
    for bad in (np.nan, -0.1, 1.1):
        broken = t.copy()
        broken.loc[3, "p_male"] = bad
        with pytest.raises(InputError, match="missing or outside 0 to 1"):
            probabilities(broken)


def test_tables_of_the_same_samples_are_brought_into_one_order():
    t = binary()
    a, b = same_rows(t, t.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(a, b)
    for other in (t.iloc[1:], t.assign(y_true="male"), t.assign(sample_id=t["sample_id"] + "x")):
        with pytest.raises(InputError, match="different samples"):
            same_rows(t, other)
