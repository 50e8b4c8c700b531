"""Transformers: what they compute, that they learn from training samples only, and that names survive."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from srna_lib.models.preprocess import LogCPM, Presence, ReadsPerMillion, SampleRanks, ZeroFilter, feature_names

SAMPLE_WISE = [ReadsPerMillion(), LogCPM(), LogCPM(prior=0.5), SampleRanks(), Presence(), Presence(min_rpm=100.0)]
ALL = [*SAMPLE_WISE, ZeroFilter(), ZeroFilter(max_zero_share=0.9), ZeroFilter(max_zero_share=1)]
SMALL = np.array([[1, 0, 3, 6], [0, 0, 0, 0], [5, 5, 5, 5], [0, 0, 10**6, 1]], dtype=float)

count_tables = arrays(
    np.int64, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6), elements=st.integers(0, 10**7)
).map(lambda a: a.astype(float))


@pytest.fixture
def frame() -> pd.DataFrame:
    """Twenty samples by six sRNAs; sRNA ``miR-j`` is zero in ``2 j`` of them."""
    rng = np.random.default_rng(0)
    values = rng.integers(1, 1000, size=(20, 6)).astype(float)
    for j in range(6):
        values[rng.permutation(20)[: 2 * j], j] = 0
    return pd.DataFrame(values, columns=[f"miR-{j}" for j in range(6)], index=[f"s{i}" for i in range(20)])


@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_keeps_the_rules_of_scikit_learn(transformer):
    checks = check_estimator(transformer, on_fail=None, on_skip=None)
    failed = {c["check_name"]: c["exception"] for c in checks if c["status"] == "failed"}
    assert not failed
    assert sum(c["status"] == "passed" for c in checks) > 30


def test_reads_per_million():
    expected = [[1e5, 0, 3e5, 6e5], [0, 0, 0, 0], [2.5e5] * 4, [0, 0, 1e12 / (1e6 + 1), 1e6 / (1e6 + 1)]]
    np.testing.assert_allclose(ReadsPerMillion().fit_transform(SMALL), expected, rtol=1e-12)


@given(count_tables)
def test_rpm_sums_to_a_million_or_stays_zero(values):
    total = ReadsPerMillion().fit_transform(values).sum(axis=1)
    np.testing.assert_allclose(total, np.where(values.sum(axis=1) > 0, 1e6, 0.0), rtol=1e-9)


@pytest.mark.parametrize("prior", [1.0, 0.5, 10.0])
def test_log_cpm(prior):
    got = LogCPM(prior).fit_transform(SMALL)
    expected = np.log2(np.array([1e5, 0, 3e5, 6e5]) + prior) - np.log2(prior)
    np.testing.assert_allclose(got[0], expected, rtol=1e-12, atol=1e-12)
    assert (got[:2][SMALL[:2] == 0] == 0).all()  # so that a filter finds what is not there
    assert np.isfinite(got).all()


def test_a_ratio_of_counts_is_a_difference_of_log_cpm():
    got = LogCPM().fit_transform(np.array([[4e5, 1e5, 5e5]]))
    assert got[0, 0] - got[0, 1] == pytest.approx(2, abs=1e-4)


@given(count_tables)
def test_sample_ranks_are_scipys(values):
    expected = np.vstack([rankdata(row) / len(row) for row in values])
    np.testing.assert_array_equal(SampleRanks().fit_transform(values), expected)


def test_sample_ranks_by_hand():
    got = SampleRanks().fit_transform(SMALL)
    assert got.tolist() == [[0.5, 0.25, 0.75, 1.0], [0.625] * 4, [0.625] * 4, [0.375, 0.375, 1.0, 0.75]]


def test_presence():
    values = np.array([[1, 0, 999_999], [1, 0, 1_999_999], [2, 3, 1_999_995], [0, 0, 0]], dtype=float)
    assert Presence().fit_transform(values).tolist() == [[1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 0, 0]]
    assert Presence(min_rpm=1.2).fit_transform(values).tolist() == [[0, 0, 1], [0, 0, 1], [0, 1, 1], [0, 0, 0]]
    assert Presence(min_rpm=0).fit_transform(values).tolist() == [[1, 0, 1], [1, 0, 1], [1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("transformer", SAMPLE_WISE, ids=repr)
@given(values=count_tables, data=st.data())
def test_a_sample_does_not_depend_on_the_others(transformer, values, data):
    fitted = clone(transformer).fit(values)
    together = fitted.transform(values)
    order = np.array(data.draw(st.permutations(range(len(values)))))
    np.testing.assert_array_equal(fitted.transform(values[order]), together[order])
    np.testing.assert_array_equal(fitted.transform(values[:1]), together[:1])
    other = clone(transformer).fit(np.ones((3, values.shape[1])))
    np.testing.assert_array_equal(other.transform(values), together)


@pytest.mark.parametrize("transformer", SAMPLE_WISE, ids=repr)
@given(values=count_tables, factor=st.integers(2, 1000))
def test_depth_does_not_matter(transformer, values, factor):
    if isinstance(transformer, Presence):
        rpm = ReadsPerMillion().fit_transform(values)
        assume(not np.isclose(rpm, transformer.min_rpm, rtol=1e-9).any())  # rounding decides on the threshold itself
    one, many = (clone(transformer).fit_transform(v) for v in (values, factor * values))
    np.testing.assert_allclose(many, one, rtol=1e-12)


@pytest.mark.parametrize("transformer", SAMPLE_WISE, ids=repr)
@given(values=count_tables)
def test_more_reads_never_rank_lower(transformer, values):
    got = clone(transformer).fit_transform(values)
    for row, out in zip(values, got, strict=True):
        assert (np.diff(out[np.argsort(row, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("transformer", SAMPLE_WISE, ids=repr)
def test_input_is_not_changed(transformer):
    values = SMALL.copy()
    clone(transformer).fit_transform(values)
    np.testing.assert_array_equal(values, SMALL)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.45, 0.5, 1.0])
def test_zero_filter_keeps_up_to_the_limit(frame, share):
    kept = ZeroFilter(share).fit(frame)
    np.testing.assert_array_equal(kept.zero_share_, [0, 0.1, 0.2, 0.3, 0.4, 0.5])
    expected = [name for name, zeros in zip(frame, (0, 0.1, 0.2, 0.3, 0.4, 0.5), strict=True) if zeros <= share]
    assert list(kept.get_feature_names_out()) == expected
    np.testing.assert_array_equal(kept.transform(frame), frame[expected])


@given(n=st.integers(1, 200), zeros=st.integers(0, 200), percent=st.integers(0, 100))
def test_zero_filter_counts_exactly(n, zeros, percent):
    assume(zeros <= n)
    column = np.ones((n, 2))
    column[:zeros, 0] = 0
    assert ZeroFilter(percent / 100).fit(column).get_support().tolist() == [zeros * 100 <= percent * n, True]


def test_zero_filter_on_counts_equals_on_rpm(frame):
    on_counts = ZeroFilter().fit(frame).get_support()
    np.testing.assert_array_equal(ZeroFilter().fit(ReadsPerMillion().fit_transform(frame)).get_support(), on_counts)


def test_zero_filter_learns_from_training_samples_only(frame):
    kept = ZeroFilter().fit(frame.iloc[:10])
    mask = kept.get_support().copy()
    np.testing.assert_array_equal(mask, (frame.iloc[:10] == 0).mean().to_numpy() <= 0.3)
    nothing = frame.iloc[10:] * 0
    assert kept.transform(nothing).shape == (10, mask.sum())
    np.testing.assert_array_equal(kept.get_support(), mask)


def test_no_preprocessing_sees_the_test_fold(frame):
    frame = frame.copy()
    frame.iloc[10:, 0] = 0  # would fall out if the second half were looked at
    y = np.array([0, 1] * 10)
    pipeline = Pipeline(
        [("rpm", ReadsPerMillion()), ("zeros", ZeroFilter()), ("scale", MinMaxScaler()), ("c", LogisticRegression())]
    )
    halves = [(np.arange(10), np.arange(10, 20)), (np.arange(10, 20), np.arange(10))]
    fits = cross_validate(pipeline, frame, y, cv=halves, return_estimator=True)["estimator"]
    assert "miR-0" in feature_names(fits[0], frame)
    assert "miR-0" not in feature_names(fits[1], frame)
    for (train, _), fitted in zip(halves, fits, strict=True):
        rpm = ReadsPerMillion().fit_transform(frame.iloc[train])
        np.testing.assert_array_equal(fitted["zeros"].zero_share_, (rpm == 0).mean(axis=0))
        np.testing.assert_array_equal(fitted["scale"].data_max_, rpm[:, fitted["zeros"].get_support()].max(axis=0))


@pytest.mark.parametrize("first", SAMPLE_WISE, ids=repr)
def test_names_survive_a_pipeline(frame, first):
    frame = frame.set_axis(["hsa-let-7a-5p/7c-5p", *frame.columns[1:]], axis=1)
    steps = [("zeros", ZeroFilter()), ("first", clone(first)), ("z", StandardScaler()), ("c", LogisticRegression())]
    pipeline = Pipeline(steps).fit(frame, np.array([0, 1] * 10))
    names = feature_names(pipeline, frame)
    assert list(names) == ["hsa-let-7a-5p/7c-5p", "miR-1", "miR-2", "miR-3"]
    assert pipeline["c"].coef_.shape == (1, len(names))


@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_names_and_pandas_output(frame, transformer):
    fitted = clone(transformer).set_output(transform="pandas").fit(frame)
    out = fitted.transform(frame)
    assert list(out.index) == list(frame.index)
    assert (
        list(out.columns) == list(fitted.get_feature_names_out()) == list(fitted.get_feature_names_out(frame.columns))
    )
    assert set(out.columns) <= set(frame.columns)
    np.testing.assert_array_equal(out.to_numpy(), clone(transformer).fit_transform(frame.to_numpy()))


@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_columns_in_another_order_are_refused(frame, transformer):
    fitted = clone(transformer).fit(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.transform(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="X has 2 features"):
        clone(transformer).fit(frame.to_numpy()).transform(frame.to_numpy()[:, :2])


@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_not_fitted(frame, transformer):
    with pytest.raises(NotFittedError):
        clone(transformer).transform(frame.to_numpy())


@pytest.mark.parametrize(
    ("transformer", "value", "words"),
    [(t, v, w) for t in ALL for v, w in ((np.nan, "NaN"), (np.inf, "infinity"), ("many", "could not convert string"))]
    + [(t, -1.0, "Negative") for t in SAMPLE_WISE],  # a filter on zeros also takes log ratios
)
def test_values_that_are_no_counts(frame, transformer, value, words):
    bad = frame.astype(object)
    bad.iloc[3, 2] = value
    with pytest.raises(ValueError, match=words):
        clone(transformer).fit(bad)
    if isinstance(transformer, ZeroFilter):
        return  # it only picks columns later, and the steps behind it look at the values
    fitted = clone(transformer).fit(frame)
    with pytest.raises(ValueError, match=words):
        fitted.transform(bad)


@pytest.mark.parametrize("share", [-0.1, 1.1, 30])
def test_zero_filter_limit_is_a_share(frame, share):
    with pytest.raises(ValueError, match=rf"max_zero_share is {share}; expected a share from 0 to 1"):
        ZeroFilter(share).fit(frame)


def test_zero_filter_that_leaves_nothing(frame):
    sparse = frame.copy()
    sparse.iloc[:15] = 0
    with pytest.raises(
        ValueError,
        match=r"no feature is zero in at most 30% of the 20 training samples \(lowest share of zeros: 75%\)",
    ):
        ZeroFilter().fit(sparse)
