"""What masking does to the model's input, held against the pipeline itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, StandardScaler

from srna_lib.errors import InputError
from srna_lib.models.network import DenseNetClassifier
from srna_lib.models.preprocess import LogCPM, ReadsPerMillion, SampleRanks, ZeroFilter
from srna_lib.stability.masking import mask_input, network_of


@pytest.fixture(scope="module")
def X() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    values = rng.poisson(rng.exponential(40, (30, 9))) * (rng.random((30, 9)) > 0.25)
    return pd.DataFrame(values, index=[f"s{i}" for i in range(30)], columns=[f"r{i}" for i in range(9)])


def fitted(X: pd.DataFrame, *front) -> Pipeline:
    small = DenseNetClassifier(hidden=(4,), dropout=(0.0,), epochs=1, batch_size=10, random_state=0)
    steps = [(f"s{i}", step) for i, step in enumerate(front)]
    return Pipeline([*steps, ("classifier", small)]).fit(X, np.arange(len(X)) % 2)


def test_values_names_and_shares_are_those_of_the_pipeline(X):
    X = X.assign(r3=X["r3"] * (np.arange(30) % 2))
    model = fitted(X, ReadsPerMillion(), ZeroFilter(0.4), MinMaxScaler())
    inputs = mask_input(model, X)
    assert list(inputs.features) == list(model[:-1].get_feature_names_out())
    assert 0 < len(inputs.features) < 9
    np.testing.assert_allclose(inputs.values, model[:-1].transform(X), rtol=1e-6)
    np.testing.assert_allclose(inputs.reads, X[inputs.features].div(X.sum(axis=1), axis=0))
    np.testing.assert_array_equal(inputs.active, X[inputs.features] > 0)


def test_a_sample_without_reads_has_no_share_of_them_and_nothing_to_mask(X):
    model = fitted(X, LogCPM(), StandardScaler())
    inputs = mask_input(model, X.mul(np.arange(30) > 0, axis=0))
    assert (inputs.reads[0] == 0).all() and not inputs.active[0].any()
    np.testing.assert_allclose(inputs.reads[1:].sum(axis=1), 1)


def test_masked_values_are_those_of_an_empty_library(X):
    for front in (
        (ReadsPerMillion(), MinMaxScaler()),
        (LogCPM(prior=0.5), StandardScaler()),
        (LogCPM(), StandardScaler(with_mean=False)),
        (ReadsPerMillion(), StandardScaler(with_std=False), MinMaxScaler()),
    ):
        model = fitted(X, *front)
        empty = model[:-1].transform(X.iloc[:1] * 0)
        np.testing.assert_allclose(mask_input(model, X).blank, empty[0], rtol=1e-5, atol=1e-6)


def test_zero_leaves_the_other_srnas_alone(X):
    model = fitted(X, ReadsPerMillion(), MinMaxScaler())
    inputs = mask_input(model, X)
    masked = np.zeros((1, 9), bool)
    masked[0, 4] = True
    after = inputs.after(np.array([7]), masked)[0]
    assert after[4] == inputs.blank[4]
    np.testing.assert_array_equal(np.delete(after, 4), np.delete(inputs.values[7], 4))


def test_renormalising_raises_the_other_srnas(X):
    model = fitted(X, ReadsPerMillion(), MinMaxScaler())
    inputs = mask_input(model, X, masking="renormalised")
    masked = np.zeros((1, 9), bool)
    most = int(X.iloc[7].argmax())
    masked[0, most] = True
    after = inputs.after(np.array([7]), masked)[0]
    others = np.flatnonzero((X.iloc[7] > 0).to_numpy() & ~masked[0])
    assert (after[others] > inputs.values[7][others]).all()


def test_masking_a_whole_library_leaves_an_empty_one(X):
    model = fitted(X, LogCPM(), StandardScaler())
    inputs = mask_input(model, X, masking="renormalised")
    after = inputs.after(np.array([2]), np.ones((1, 9), bool))
    np.testing.assert_allclose(after, model[:-1].transform(X.iloc[:1] * 0), rtol=1e-5, atol=1e-6)


def test_mean_is_that_of_the_background_and_whoever_stands_there_is_no_step(X):
    model = fitted(X, ReadsPerMillion(), StandardScaler())
    inputs = mask_input(model, X.iloc[:5], masking="mean", background=X)
    np.testing.assert_allclose(inputs.blank, 0, atol=1e-6)
    assert inputs.active.all()
    assert not mask_input(model, X.iloc[:1], masking="mean", background=X.iloc[:1]).active.any()


def test_taking_samples(X):
    inputs = mask_input(fitted(X, ReadsPerMillion(), MinMaxScaler()), X)
    np.testing.assert_array_equal(inputs.take(np.array([3, 1])).values, inputs.values[[3, 1]])
    assert inputs.take(slice(2, 4)).reads.shape == (2, 9)


def test_what_cannot_be_followed_is_refused_in_a_sentence(X):
    with pytest.raises(InputError, match="unknown masking 'none': expected one of zero, renormalised, mean"):
        mask_input(fitted(X, ReadsPerMillion()), X, masking="none")
    with pytest.raises(InputError, match="the training samples are missing"):
        mask_input(fitted(X, ReadsPerMillion()), X, masking="mean")
    with pytest.raises(InputError, match="the step SampleRanks cannot be followed; expected reads per million"):
        mask_input(fitted(X, SampleRanks()), X)
    with pytest.raises(InputError, match="step PowerTransformer cannot be followed"):
        mask_input(fitted(X, ReadsPerMillion(), PowerTransformer()), X)
    with pytest.raises(InputError, match="ends in a dense network, such as dl_paper; found LogisticRegression"):
        network_of(Pipeline([("rpm", ReadsPerMillion()), ("c", LogisticRegression())]).fit(X, np.arange(30) % 2))
    with pytest.raises(InputError, match="a pipeline that ends in a dense network, such as dl_paper; found DenseNet"):
        mask_input(fitted(X, ReadsPerMillion())[-1], X)
