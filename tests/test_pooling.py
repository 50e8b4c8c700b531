"""Partial pooling is ridge on [x, x * cohort]; left-out scores are refits; probabilities are honest and in order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GroupKFold

from srna_lib.errors import InputError
from srna_lib.models.pooled import (
    FOLDS,
    OrdinalPoolingClassifier,
    PartialPoolingClassifier,
    PartialPoolingRegressor,
    cohort_means,
)

LINEAR = {"relevance": 0.0}


def make(n=90, d=6, cohorts=3, seed=0, shift=3.0):
    """Profiles whose cohorts differ in level, and the name of each sample's cohort."""
    rng = np.random.default_rng(seed)
    name = np.array([f"C{i:02d}" for i in rng.permutation(np.arange(n) % cohorts)])
    X = pd.DataFrame(rng.normal(size=(n, d)) * rng.uniform(0.5, 3, d), columns=[f"hsa-miR-{i}" for i in range(d)])
    X += pd.Series(name).map({c: shift * i for i, c in enumerate(np.unique(name))}).to_numpy()[:, None]
    return pd.concat([X, indicators(name)], axis=1), name


def indicators(name, of="dataset_id"):
    return pd.get_dummies(pd.Series(name), prefix=f"context:{of}", prefix_sep="=", dtype=float)


def profiles(X):
    return X.loc[:, ~X.columns.str.startswith("context:")].to_numpy()


def standard(X, name):
    """Centred within cohort, mean squared norm 1: what the penalty refers to."""
    values = profiles(X)
    centred = values - pd.DataFrame(values).groupby(name).transform("mean").to_numpy()
    return centred / centred.std(axis=0) / np.sqrt(values.shape[1])


def target_base(y, name):
    means = cohort_means(np.asarray(y, float)[:, None], name)
    return np.array([means[c][0] for c in name])


@pytest.mark.parametrize(("shared", "own"), [(1.0, 0.3), (0.2, 2.0), (1.0, 0.0), (0.0, 1.0)])
def test_equals_ridge_on_augmented_features(shared, own):
    """Daume's augmentation: sqrt(shared) x beside sqrt(own) x in a block of each cohort's own."""
    X, name = make()
    y = np.random.default_rng(1).normal(60, 10, len(X))
    z = standard(X, name)
    blocks = [np.sqrt(shared) * z] + [np.sqrt(own) * z * (name == c)[:, None] for c in np.unique(name)]
    base = target_base(y, name)
    ridge = Ridge(alpha=0.7, fit_intercept=False).fit(np.hstack(blocks), y - base)
    expected = base + ridge.predict(np.hstack(blocks))
    model = PartialPoolingRegressor(shared, own, alpha=0.7, **LINEAR).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected, atol=2e-4)
    weights = np.sqrt(shared) * ridge.coef_[: z.shape[1]] / profiles(X - X.groupby(name).transform("mean")).std(axis=0)
    np.testing.assert_allclose(model.coef_[0], weights / np.sqrt(z.shape[1]), atol=1e-4)


def test_own_zero_is_ridge_on_centred_data():
    X, name = make()
    y = np.random.default_rng(1).normal(60, 10, len(X))
    z, base = standard(X, name), target_base(y, name)
    ours = PartialPoolingRegressor(own=0.0, alpha=0.5, **LINEAR).fit(X, y).predict(X)
    np.testing.assert_allclose(ours, base + Ridge(0.5, fit_intercept=False).fit(z, y - base).predict(z), atol=2e-4)


def test_shared_zero_is_one_ridge_per_cohort():
    X, name = make()
    y = np.random.default_rng(1).normal(60, 10, len(X))
    z, base = standard(X, name), target_base(y, name)
    ours = PartialPoolingRegressor(shared=0.0, own=1.0, alpha=0.5, **LINEAR).fit(X, y).predict(X)
    for c in np.unique(name):
        here = name == c
        alone = Ridge(0.5, fit_intercept=False).fit(z[here], (y - base)[here])
        np.testing.assert_allclose(ours[here], base[here] + alone.predict(z[here]), atol=2e-4)


def test_with_shared_zero_a_cohort_learns_from_nobody_else():
    X, name = make()
    y = np.random.default_rng(1).normal(60, 10, len(X))
    changed = np.where(name == "C00", y, y[::-1])
    changed += y.mean() - changed.mean()
    fits = [PartialPoolingRegressor(0.0, 1.0, **LINEAR).fit(X, t) for t in (y, changed)]
    scores = [m._score(X[name == "C00"])[0].ravel() for m in fits]
    np.testing.assert_allclose(*scores, atol=1e-3)


def test_gaussian_kernel():
    X, name = make(n=40)
    y = np.random.default_rng(1).normal(size=40)
    z, base = standard(X, name), target_base(y, name)
    kernel = np.exp(-0.3 * np.square(z[:, None] - z[None]).sum(axis=2)) * (1 + 0.5 * (name[:, None] == name[None]))
    expected = base + kernel @ np.linalg.solve(kernel + 0.2 * np.eye(40), y - base)
    model = PartialPoolingRegressor(1.0, 0.5, alpha=0.2, gamma=0.3, **LINEAR).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-4)
    assert not hasattr(model, "coef_")  # weights exist of the linear kernel only


def test_weighted_models_are_left_out_with_the_weights_drawn_anew():
    X, name = make(n=80)
    rng = np.random.default_rng(3)
    people, y = rng.integers(0, 30, 80), rng.integers(0, 2, 80)
    model = PartialPoolingClassifier(relevance=1.0).fit(X, y, groups=people)
    codes = pd.factorize(people)[0]
    centred = profiles(X) - pd.DataFrame(profiles(X)).groupby(name).transform("mean").to_numpy()
    residual = y - target_base(y, name)
    for train, test in GroupKFold(FOLDS, shuffle=True, random_state=0).split(centred, groups=codes):
        assert not set(people[train]) & set(people[test])
        part = PartialPoolingClassifier(relevance=1.0)
        part._solve(centred[train], residual[train, None], name[train])
        z = centred[test] / part.scale_
        kernel = z @ part.profiles_.T * (1 + part.own * (name[test][:, None] == name[train][None]))
        np.testing.assert_allclose(model.scores_[test, 0], (kernel @ part.dual_)[:, 0], atol=1e-5)


@pytest.mark.parametrize(("gamma", "own"), [(None, 0.15), (0.3, 0.5), (None, 0.0)])
def test_the_dual_is_that_of_kernel_ridge(gamma, own):
    X, name = make(n=60)
    model = PartialPoolingRegressor(own=own, alpha=0.4, gamma=gamma).fit(X, np.arange(60.0))
    residual = np.arange(60.0) - target_base(np.arange(60.0), name)
    kernel = model._kernel(model.profiles_, model.cohorts_).astype(float)
    oracle = KernelRidge(alpha=0.4, kernel="precomputed").fit(kernel, residual)
    np.testing.assert_allclose(model.dual_[:, 0], oracle.dual_coef_, rtol=1e-3, atol=1e-3)


def test_cohort_means_are_drawn_together_by_as_much_as_chance_explains():
    same = np.tile([0.0, 1.0], 50)[:, None]
    cohorts = np.repeat(np.arange(10), 10)
    np.testing.assert_allclose(list(cohort_means(same, cohorts).values()), 0.5)
    far = same + 100.0 * cohorts[:, None]
    np.testing.assert_allclose(
        np.ravel(list(cohort_means(far, cohorts).values())), 0.5 + 100 * np.arange(10), atol=1e-2
    )
    between = same + np.repeat(np.linspace(-0.2, 0.2, 10), 10)[:, None]
    drawn = np.ravel(list(cohort_means(between, cohorts).values())) - 0.5
    assert (np.abs(drawn) <= np.abs(np.linspace(-0.2, 0.2, 10)) + 1e-12).all()
    assert (np.diff(drawn) >= 0).all()
    assert cohort_means(same, np.zeros(100))[0] == pytest.approx(0.5)


@pytest.mark.parametrize("cohorts", [5, 60, 150])
def test_small_cohorts_of_chance_composition_do_not_make_probabilities_certain(cohorts):
    """Labels that nothing predicts: log loss stays near chance level."""
    X, _ = make(n=600, d=20, cohorts=cohorts, seed=4)
    y = np.random.default_rng(5).integers(0, 2, 600)
    model = PartialPoolingClassifier().fit(X[:300], y[:300])
    assert log_loss(y[300:], model.predict_proba(X[300:])) < 0.8


def test_features_weighted_by_the_labels_do_not_make_probabilities_certain():
    """Hundreds of noise features weighted by chance association: calibration must not see them fit."""
    X, _ = make(n=700, d=400, seed=6)
    y = np.random.default_rng(7).integers(0, 2, 700)
    model = PartialPoolingClassifier(relevance=1.0).fit(X[:300], y[:300])
    assert roc_auc_score(y[:300], model.scores_[:, 0]) == pytest.approx(0.5, abs=0.08)
    assert log_loss(y[300:], model.predict_proba(X[300:])) < 0.74


def two_classes(n=400, seed=8, cohorts=4):
    X, name = make(n=n, cohorts=cohorts, seed=seed)
    p = 1 / (1 + np.exp(-1.2 * profiles(X - X.groupby(name).transform("mean"))[:, 0]))
    return X, name, np.where(np.random.default_rng(seed).random(n) < p, "male", "female")


def test_calibration_is_monotone_and_right():
    X, _, y = two_classes(n=2000)
    model = PartialPoolingClassifier().fit(X[:1000], y[:1000])
    score, base = model._score(X[1000:])
    p = model.predict_proba(X[1000:])[:, 1]
    for value in np.unique(base):
        here = base[:, 0] == value
        assert (np.diff(p[here][np.argsort(score[here, 0])]) >= 0).all()
    bins = pd.qcut(p, 5, labels=False)
    found = pd.DataFrame({"p": p, "male": y[1000:] == "male"}).groupby(bins).mean()
    np.testing.assert_allclose(found["p"], found["male"], atol=0.1)


def test_signal_shared_by_cohorts_is_found_where_a_cohort_alone_is_too_small():
    X, _, y = two_classes(n=600, cohorts=30)
    auc = {}
    for name, (shared, own) in {"input": (1.0, 0.0), "separate": (0.0, 1.0), "partial": (1.0, 0.15)}.items():
        model = PartialPoolingClassifier(shared, own).fit(X[:300], y[:300])
        auc[name] = roc_auc_score(y[300:] == "male", model._score(X[300:])[0][:, 0])
    assert min(auc["input"], auc["partial"]) > auc["separate"] + 0.03


def test_opposite_signals_need_weights_of_ones_own():
    X, name = make(n=600, cohorts=2, seed=9)
    sign = np.where(name == "C00", 1, -1)
    y = (sign * profiles(X - X.groupby(name).transform("mean"))[:, 0] > 0).astype(int)
    accuracy = {
        own: (PartialPoolingClassifier(1.0, own).fit(X[:400], y[:400]).predict(X[400:]) == y[400:]).mean()
        for own in (0.0, 1.0)
    }
    assert accuracy[0.0] < 0.65 and accuracy[1.0] > 0.85


def test_cohort_level_is_no_signal():
    """A constant added to a cohort changes nothing: it is centred away."""
    X, name, y = two_classes()
    srnas = X.columns[~X.columns.str.startswith("context:")]
    shifted = X.copy()
    shifted.loc[name == "C01", srnas] += 40.0
    p, q = (PartialPoolingClassifier().fit(Z[:300], y[:300]).predict_proba(Z[300:]) for Z in (X, shifted))
    np.testing.assert_allclose(p, q, atol=2e-3)


def test_a_cohort_unseen_in_training_is_centred_on_the_known_ones_whoever_comes_along():
    X, name, y = two_classes()
    train, test = name != "C03", name == "C03"
    model = PartialPoolingClassifier().fit(X[train], y[train])
    values, unseen = profiles(X[test]), [np.array(["dataset_id=C03"] * test.sum(), dtype=object)] * 2
    known = np.mean([profiles(X[name == c]).mean(axis=0) for c in ("C00", "C01", "C02")], axis=0)
    np.testing.assert_allclose(model._centre(values, *unseen), values - known)
    alone = np.vstack([model.predict_proba(X[test].iloc[[i]]) for i in range(5)])
    np.testing.assert_allclose(model.predict_proba(X[test])[:5], alone, atol=1e-5)


def test_the_centre_is_one_of_two():
    X, _, y = two_classes()
    with pytest.raises(InputError, match="unknown centre of unseen cohorts 'batches': expected one of training, batch"):
        PartialPoolingClassifier(centre="batches").fit(X, y)


def test_too_few_samples_have_no_centre_of_their_own():
    X, name, y = two_classes()
    train, few = name != "C03", X[name == "C03"].iloc[:4]
    batch = PartialPoolingClassifier(centre="batch").fit(X[train], y[train])
    with pytest.warns(UserWarning, match="dataset_id=C03: 4 samples are too few for a centre of their own"):
        found = batch.predict_proba(few)
    np.testing.assert_allclose(found, PartialPoolingClassifier().fit(X[train], y[train]).predict_proba(few), atol=1e-6)


def test_a_cohort_unseen_in_training_can_be_centred_on_itself():
    X, name, y = two_classes()
    train, test = name != "C03", name == "C03"
    model = PartialPoolingClassifier(centre="batch").fit(X[train], y[train])
    p = model.predict_proba(X[test])
    srnas = X.columns[~X.columns.str.startswith("context:")]
    shifted = X[test].copy()
    shifted[srnas] += 25.0
    np.testing.assert_allclose(model.predict_proba(shifted), p, atol=2e-3)
    values = profiles(X[test])
    np.testing.assert_allclose(
        model._centre(values, *[np.array(["dataset_id=C03"] * test.sum(), dtype=object)] * 2),
        values - values.mean(axis=0),
    )
    assert roc_auc_score(y[test] == "male", p[:, 1]) > 0.75
    seen = X[train].iloc[:7].copy()
    seen[srnas] += 25.0
    assert np.abs(model.predict_proba(seen) - model.predict_proba(X[train].iloc[:7])).max() > 0.1


def test_predictions_of_seen_cohorts_do_not_depend_on_the_company():
    X, _, y = two_classes()
    model = PartialPoolingClassifier().fit(X[:300], y[:300])
    alone = np.vstack([model.predict_proba(X.iloc[[i]]) for i in range(300, 340)])
    np.testing.assert_allclose(model.predict_proba(X[300:])[:40], alone, atol=1e-4)


def test_a_context_within_the_cohort_is_centred_on_its_own():
    """Normal tissue at another level than tumours: its mean is its own, its weights are the cohort's."""
    X, _, y = two_classes()
    normal = np.arange(400) % 3 == 0
    both = pd.concat([X, indicators(np.where(normal, "normal", "tumour"), "tumour_normal")], axis=1)
    srnas = X.columns[~X.columns.str.startswith("context:")]
    shifted = both.copy()
    shifted.loc[normal, srnas] += 30.0
    p, q = (PartialPoolingClassifier().fit(Z[:300], y[:300]).predict_proba(Z[300:]) for Z in (both, shifted))
    np.testing.assert_allclose(p, q, atol=2e-3)
    model = PartialPoolingClassifier().fit(both[:300], y[:300])
    assert len(model.centres_) == 8 and set(model.cohorts_) == {f"dataset_id=C0{i}" for i in range(4)}


def test_a_rare_context_is_centred_on_its_cohort():
    X, name, y = two_classes()
    normal = np.zeros(400, dtype=bool)
    normal[np.flatnonzero(name == "C00")[:3]] = True
    both = pd.concat([X, indicators(np.where(normal, "normal", "tumour"), "tumour_normal")], axis=1)
    model = PartialPoolingClassifier().fit(both, y)
    assert not any("normal" in k.split("=")[-1].split("; ") for k in model.centres_ if "C00" in k and "tumour" not in k)
    values = profiles(both[normal])
    centred = model._centre(
        values, np.array(["rare"] * 3, dtype=object), np.array(["dataset_id=C00"] * 3, dtype=object)
    )
    np.testing.assert_allclose(centred, values - profiles(X[name == "C00"]).mean(axis=0))


def ordered(n=600, k=4, seed=10):
    X, name = make(n=n, seed=seed)
    latent = profiles(X - X.groupby(name).transform("mean"))[:, 0] + np.random.default_rng(seed).normal(size=n)
    return X, pd.qcut(latent, k, labels=[f"{20 * i}-{20 * (i + 1)}" for i in range(k)]).astype(str)


def test_ordinal_probabilities_are_in_order_and_sum_to_one():
    X, y = ordered()
    model = OrdinalPoolingClassifier().fit(X[:300], y[:300])
    p = model.predict_proba(X[300:])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p >= -1e-12).all()
    above = 1 - np.cumsum(p, axis=1)
    assert (np.diff(above, axis=1) <= 1e-12).all()
    assert list(model.classes_) == ["0-20", "20-40", "40-60", "60-80"]
    assert model.scores_.shape == (300, 3) and model.coef_.shape == (3, 6)
    assert (model.predict(X[300:]) == y[300:]).mean() > 0.4


def test_ordinal_thresholds_that_cross_are_put_in_order():
    X, y = ordered(n=80)
    model = OrdinalPoolingClassifier().fit(X, y)
    model.calibration_[2].intercept_ += 8.0  # the highest threshold now says yes most often
    p = model.predict_proba(X)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p[:, 2], 0, atol=1e-12)


def test_ordinal_of_two_classes_is_the_plain_classifier():
    X, _, y = two_classes()
    kinds = PartialPoolingClassifier, OrdinalPoolingClassifier
    plain, ordinal = (kind().fit(X, y).predict_proba(X) for kind in kinds)
    np.testing.assert_array_equal(plain, ordinal)


def test_several_classes():
    X, y = ordered(k=3)
    model = PartialPoolingClassifier().fit(X[:300], y[:300])
    p = model.predict_proba(X[300:])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p.shape == (300, 3) and model.coef_.shape == (3, 6)
    assert (model.predict(X[300:]) == y[300:]).mean() > 0.45


def test_relevance_listens_to_features_that_say_something():
    rng = np.random.default_rng(11)
    X, _ = make(n=300, d=200, seed=11)
    X.iloc[:, 0] = rng.normal(size=300)
    y = 60 + 5 * X.iloc[:, 0].to_numpy() + rng.normal(size=300)
    errors = {
        r: np.abs(PartialPoolingRegressor(relevance=r).fit(X[:150], y[:150]).predict(X[150:]) - y[150:]).mean()
        for r in (0.0, 1.0)
    }
    assert errors[1.0] < 0.7 * errors[0.0]
    model = PartialPoolingRegressor(relevance=1.0).fit(X[:150], y[:150])
    assert np.square(model.profiles_).sum(axis=1).mean() == pytest.approx(1, abs=1e-4)


def test_constant_features_and_units_do_not_matter():
    X, _, y = two_classes()
    wide = X.copy()
    wide.insert(0, "hsa-miR-constant", 3.0)
    wide["hsa-miR-1"] *= 1000.0
    p, q = (
        PartialPoolingClassifier(relevance=0.0, alpha=a).fit(Z[:300], y[:300]).predict_proba(Z[300:])
        for Z, a in ((X, 0.7), (wide, 0.6))
    )
    np.testing.assert_allclose(p, q, atol=2e-3)  # the penalty is per feature: 7 features for 6


@pytest.mark.parametrize("model", [PartialPoolingClassifier(), PartialPoolingRegressor()])
def test_same_data_same_predictions_and_no_trace_left(model):
    X, _, y = two_classes()
    target = y if isinstance(model, PartialPoolingClassifier) else np.arange(400.0)
    before = X.copy()
    first, again = (clone(model).fit(X, target).predict(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    pd.testing.assert_frame_equal(X, before)
    assert clone(model).get_params() == model.get_params()


def test_one_class_only():
    X, _ = make(n=20)
    with pytest.raises(ValueError, match=r"one class only \('male'\); expected at least 2 classes"):
        PartialPoolingClassifier().fit(X, ["male"] * 20)


@pytest.mark.parametrize("model", [PartialPoolingClassifier(), PartialPoolingRegressor()])
def test_input_without_context(model):
    X, _ = make(n=20)
    y = np.arange(20) % 2
    with pytest.raises(ValueError, match="expected a DataFrame"):
        model.fit(X.to_numpy(), y)
    with pytest.raises(ValueError, match=r"no column context:dataset_id=\.\.\.; expected indicators of the cohort"):
        model.fit(X.loc[:, ~X.columns.str.startswith("context:")], y)
    with pytest.raises(ValueError, match=r"no column context:tissue=\.\.\."):
        clone(model).set_params(by="tissue").fit(X, y)


def test_other_columns_than_in_training():
    X, _, y = two_classes(n=60)
    model = PartialPoolingClassifier().fit(X, y)
    with pytest.raises(ValueError, match="columns differ from those of the training samples"):
        model.predict(X[X.columns[::-1]])


def test_a_penalty_that_cannot_be():
    X, _ = make(n=40, d=3)
    with pytest.raises(ValueError, match="not positive definite; expected a larger alpha"):
        PartialPoolingRegressor(alpha=-1.0).fit(X, np.arange(40.0))


@pytest.mark.parametrize("gamma", [None, 0.3])
@pytest.mark.parametrize("model", [PartialPoolingClassifier(0.0, 0.0), PartialPoolingRegressor(0.0, 0.0)])
def test_neither_shared_weights_nor_own_are_nothing_to_fit(model, gamma):
    X, _ = make(n=40, d=3)
    sentence = r"^shared=0 and own=0 leave no weight to fit; expected at least one of them above 0\.$"
    with pytest.raises(InputError, match=sentence):
        clone(model).set_params(gamma=gamma).fit(X, np.arange(40) % 2)
