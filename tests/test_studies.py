"""Linear classifiers whose unit is the study."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import inv, sqrtm
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import normalize
from sklearn.utils.estimator_checks import parametrize_with_checks

import srna_lib as srna
from srna_lib.data import Task
from srna_lib.errors import InputError
from srna_lib.models.studies import PARTS, StudyClassifier, find_leaves, find_twins, study_noise

ALL = [("logistic",), ("lda",), ("logistic", "lda")]


def world(n_studies=12, size=8, n_features=30, *, classes=3, shift=1.5, seed=0):
    """Studies of several classes; class c lifts feature c by 2, each study shifts the last features its own way."""
    rng = np.random.default_rng(seed)
    studies = np.repeat(np.arange(n_studies), size * classes)
    code = np.tile(np.repeat(np.arange(classes), size), n_studies)
    X = rng.normal(size=(len(code), n_features)) + 2 * np.eye(classes, n_features)[code]
    X[:, -5:] += shift * rng.normal(size=(n_studies, classes, 5))[studies, code]
    return X, np.array(list("abcdef"))[code], studies


@parametrize_with_checks([StudyClassifier(parts) for parts in ALL])
def test_keeps_the_rules_of_scikit_learn(estimator, check):
    check(estimator)


def test_the_noise_is_what_was_planted():
    """Two classes, two studies each, two samples: means differ from their class's by 3 along the second axis alone."""
    X = np.array([[1, 3, 1], [1, 3, -1], [1, -3, 1], [1, -3, -1], [0, 3, 0], [0, 3, 0], [0, -3, 2], [0, -3, -2]], float)
    noise = study_noise(X, np.repeat([0, 1], 4), np.tile([0, 0, 1, 1], 2))
    np.testing.assert_allclose(noise.means, [[1, 0, 0], [0, 0, 0]], atol=1e-12)
    np.testing.assert_array_equal(noise.counts, [2, 2])
    np.testing.assert_allclose(np.abs(noise.directions), [[0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(noise.variances, [9])


@pytest.mark.parametrize("part", list(PARTS))
def test_a_direction_in_which_studies_differ_loses_weight(part):
    """By chance the studies' shift goes with the class in training: logistic regression believes it, this less."""
    X, y, studies = world(classes=2, shift=0)
    X[:, -1] += np.where(y == "a", 1.0, -1.0) + 3 * np.random.default_rng(1).normal(size=24)[2 * studies + (y == "b")]
    plain = LogisticRegression(C=0.01).fit(X, y).coef_[0]
    ours = StudyClassifier((part,), folds=0).fit(X, y, studies).coef_[0]
    assert abs(ours[-1] / ours[0]) < 0.5 * abs(plain[-1] / plain[0])


@pytest.mark.parametrize("n_features", [5, 30])
@pytest.mark.parametrize("classes", [2, 4])
def test_lda_of_one_sample_a_cell_is_scikit_learns(classes, n_features):
    """S + s I is scikit-learn's shrunk covariance but for a factor; drawing means in is moving each class's samples."""
    X, y, studies = world(7, 1, n_features, classes=classes)
    code = np.unique(y, return_inverse=True)[1]
    noise = study_noise(X, code, studies)
    centre, within = noise.means.mean(axis=0), noise.variances.sum()
    between = np.square(noise.means - centre).sum() / (classes - 1) - within / 7
    moved = X - (within / (within + 7 * between) * (noise.means - centre))[code]
    ridge = 0.5 * n_features / len(noise.variances)  # s in units of the mean over all features
    oracle = LinearDiscriminantAnalysis("lsqr", ridge / (1 + ridge), np.ones(classes) / classes).fit(moved, y)
    oracle.intercept_ -= 0 if classes == 2 else np.log(1 / classes)
    ours = StudyClassifier(("lda",), folds=0, ridge=0.5).fit(X, y, studies)
    np.testing.assert_allclose(ours.coef_ * (1 + ridge), oracle.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.intercept_ * (1 + ridge), oracle.intercept_, rtol=1e-6, atol=1e-9)
    assert (ours.predict(X) == oracle.predict(X)).all()


def test_the_mean_of_a_class_of_few_studies_is_drawn_in():
    """Class c is in one study: its weights shrink against those of the same class in ten."""
    X, y, studies = world(10, classes=3)
    few = (y != "c") | (studies == 0)
    norms = [
        np.linalg.norm(StudyClassifier(("lda",), folds=0).fit(X[i], y[i], studies[i]).coef_[2][:3])
        for i in (np.ones(len(y), dtype=bool), few)
    ]
    assert norms[1] < 0.7 * norms[0]


def test_the_logistic_part_is_the_plain_formula():
    X, y, studies = world(6, 4)
    keep = np.random.default_rng(1).random(len(y)) < 0.7  # cells of several sizes
    X, y, studies = X[keep], y[keep], studies[keep]
    table = pd.DataFrame(X).assign(y=y, study=studies)
    cells = table.groupby(["y", "study"]).mean()
    noise = (cells - cells.groupby("y").transform("mean")).to_numpy()
    covariance = noise.T @ noise / len(noise)
    s = np.trace(covariance) / np.linalg.matrix_rank(covariance)
    scale = inv(sqrtm(covariance / s + np.eye(len(covariance)))).real
    weight = table.groupby(["y", "study"])["y"].transform("size") ** -0.5
    weight = weight / weight.groupby(table["y"]).transform("sum") * len(table) / 3
    oracle = LogisticRegression(C=0.01, tol=1e-8).fit(X @ scale, y, weight)
    ours = StudyClassifier(("logistic",), folds=0, tol=1e-8).fit(X, y, studies)
    np.testing.assert_allclose(ours.coef_, oracle.coef_ @ scale, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), oracle.predict_proba(X @ scale), atol=1e-6)


@pytest.mark.parametrize("parts", ALL)
def test_the_order_of_samples_changes_nothing(parts):
    X, y, studies = world()
    order = np.random.default_rng(0).permutation(len(y))
    one = StudyClassifier(parts).fit(X, y, studies)
    other = StudyClassifier(parts).fit(X[order], y[order], studies[order])
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-3)


def test_samples_measured_again_change_nothing_of_a_discriminant_analysis():
    X, y, studies = world()
    again = np.append(np.arange(len(y)), np.tile(np.flatnonzero(studies == 0), 5))
    one, other = (
        StudyClassifier(("lda",), folds=0).fit(X[i], y[i], studies[i]).coef_ for i in (np.arange(len(y)), again)
    )
    np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("near", [0, 0.75])
@pytest.mark.parametrize("parts", ALL)
def test_labels_permuted_within_studies_give_chance(parts, near):
    X, y, studies = world(20, size=10)
    rng, shuffled = np.random.default_rng(0), y.copy()
    for study in range(20):
        shuffled[studies == study] = rng.permutation(y[studies == study])
    seen, model = studies < 14, StudyClassifier(parts, near=near)
    right = [
        (model.fit(X[seen], labels[seen], studies[seen], kinds).predict(X[~seen]) == y[~seen]).mean()
        for labels, kinds in ((y, None), (shuffled, None), (shuffled, y[seen]))
    ]
    assert right[0] > 0.75 and np.abs(np.array(right[1:]) - 1 / 3).max() < 0.1


@pytest.mark.parametrize("near", [0, 0.75])
@pytest.mark.parametrize("parts", ALL)
def test_a_feature_that_gives_studies_away_buys_nothing(parts, near):
    """Each study of training has one class and a mark of its own, which fits the training samples perfectly."""
    X, y, studies = world(36, size=6)
    kept = (np.array(list("abc"))[studies % 3] == y) | (studies >= 27)
    X, y, studies = X[kept], y[kept], studies[kept]
    marked = np.column_stack([X, 5.0 * (studies[:, None] == np.arange(27))])
    seen, model = studies < 27, StudyClassifier(parts, near=near)
    right = [(model.fit(Z[seen], y[seen], studies[seen]).predict(Z[~seen]) == y[~seen]).mean() for Z in (X, marked)]
    assert right[0] > 0.7 and right[1] <= right[0] + 0.02


@pytest.mark.parametrize("parts", ALL)
def test_inner_folds_temper_and_never_turn_the_predictions_of_a_single_part(parts):
    X, y, studies = world(14, size=4)
    seen = studies < 10
    raw, ours = (StudyClassifier(parts, folds=f).fit(X[seen], y[seen], studies[seen]) for f in (0, 3))
    assert (raw.weights_ == 1).all() and ours.weights_.shape == (len(parts),) and (ours.weights_ > 0).all()
    losses = [log_loss(y[~seen], model.predict_proba(X[~seen])) for model in (raw, ours)]
    assert losses[1] < losses[0]
    if len(parts) == 1:
        assert (raw.predict(X) == ours.predict(X)).all()


def test_without_studies_each_sample_is_its_own_and_one_study_has_no_noise():
    X, y, _ = world(4)
    own = StudyClassifier().fit(X, y, np.arange(len(y)))
    np.testing.assert_array_equal(StudyClassifier().fit(X, y).coef_, own.coef_)
    single = StudyClassifier(("logistic",), tol=1e-8).fit(X, y, np.zeros(len(y)))
    plain = LogisticRegression(C=0.01, tol=1e-8).fit(X, y)  # three classes of a size
    np.testing.assert_allclose(single.coef_, plain.coef_, atol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("y", ["aabb", "aaab", "abbbbb"])
@pytest.mark.parametrize("studies", ["abcd", "aabb", "abab"])
def test_a_handful_of_samples_will_do(y, studies):
    X = np.random.default_rng(0).normal(size=(len(y), 3))
    model = StudyClassifier().fit(X, list(y), (2 * list(studies))[: len(y)])
    assert np.isfinite(model.predict_proba(X)).all()


def test_what_cannot_be_is_refused():
    X, y, studies = world(4)
    with pytest.raises(ValueError, match="inconsistent"):
        StudyClassifier().fit(X, y, studies[1:])
    with pytest.raises(InputError, match="part"):
        StudyClassifier(("svm",)).fit(X, y, studies)


@pytest.fixture
def task() -> Task:
    X, y, studies = world(9, size=5)
    counts = pd.DataFrame(np.round(2 ** (X + 6)), columns=[f"hsa-miR-{i}" for i in range(30)])
    return Task("kind", counts, pd.Series(y), pd.Series(studies).map("S{}".format), {})


def test_folds_hand_the_studies_of_their_training_samples_on(task, monkeypatch):
    seen, fit = [], StudyClassifier.fit

    def noting(self, X, y, studies=None, kinds=None):
        seen.append(studies)
        assert kinds is None
        return fit(self, X, y, studies)

    monkeypatch.setattr(StudyClassifier, "fit", noting)
    splits = srna.make_splits(task, "study", n_splits=3)
    table = srna.cross_validate(task, "robust", splits, progress=False)
    assert [list(s) for s in seen] == [task.groups.iloc[s.train].tolist() for s in splits]
    assert (table["y_pred"] == table["y_true"]).mean() > 0.65  # of three classes


def crossed(n_studies=12, size=6, *, seed=0):
    """Two classes of two kinds each, which differ in two features as exclusive or: no linear model tells them apart."""
    rng = np.random.default_rng(seed)
    kind, studies = np.tile(np.repeat(np.arange(4), size), n_studies), np.repeat(np.arange(n_studies), 4 * size)
    X = rng.normal(size=(len(kind), 12))
    X[:, :2] += 2 * np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]])[kind]
    return X, np.array(list("aabb"))[kind], studies, np.array(["a1", "a2", "b1", "b2"], dtype=object)[kind]


def test_a_leaf_is_the_finest_kind_in_enough_studies():
    code, studies = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 1, 2, 2, 0, 1, 2, 3])
    coarse = ["x", "x", "x", None, "x", "x", "y", "y"]
    fine = ["p", "p", "q", "p", "p", "p", "p", None]
    kinds = np.array([coarse, fine], dtype=object).T
    for least, groups in {
        1: [{0, 1}, {2}, {3}, {4, 5}, {6}, {7}],
        2: [{0, 1}, {2}, {3}, {4, 5}, {6, 7}],
        3: [{0, 1, 2}, {3}, {4, 5, 6}, {7}],
        4: [{0, 1, 2, 3}, {4, 5, 6, 7}],
    }.items():
        leaf = find_leaves(code, kinds, studies, least)
        assert set(leaf) == set(range(len(groups))), least
        assert [set(np.flatnonzero(leaf == j)) for j in dict.fromkeys(leaf)] == groups, least


@pytest.mark.parametrize("parts", ALL)
def test_a_class_of_two_kinds_is_learned_by_its_leaves(parts):
    X, y, studies, kinds = crossed()
    seen = studies < 8
    shares = [
        (StudyClassifier(parts).fit(X[seen], y[seen], studies[seen], told).predict(X[~seen]) == y[~seen]).mean()
        for told in (None, kinds[seen])
    ]
    assert shares[0] < 0.65 and shares[1] > 0.9


def test_probabilities_are_those_of_leaves_and_classes_averaged():
    """Three classes: the root of the share of the leaves' exp; kinds that nobody has enough of change nothing."""
    X, y, studies, kinds = crossed()
    y = np.where(kinds == "b2", "c", y)
    model = StudyClassifier().fit(X, y, studies, kinds)
    assert model.leaves_.tolist() == [0, 0, 1, 2] and model.coef_.shape == (4, 12) and len(model.weights_) == 3
    leaves = np.exp(X @ model.coef_.T + model.intercept_)
    classes = np.column_stack([leaves[:, :2].sum(axis=1), leaves[:, 2], leaves[:, 3]])
    np.testing.assert_allclose(model.predict_proba(X), softmax(np.log(classes) / 2, axis=1), rtol=1e-6)
    plain = StudyClassifier().fit(X, y, studies)
    assert plain.leaves_ is None
    for same in (
        StudyClassifier(least=0).fit(X, y, studies, kinds),
        StudyClassifier(least=13).fit(X, y, studies, kinds),
        StudyClassifier().fit(X, y, studies, y),
        StudyClassifier().fit(X, y, studies, np.full(len(y), None)),
    ):
        np.testing.assert_array_equal(same.coef_, plain.coef_)
    with pytest.raises(ValueError, match="inconsistent"):
        StudyClassifier().fit(X, y, studies, kinds[1:])


def test_kinds_go_with_the_names_of_samples(task):
    """Folds of a part of the samples, and copies with new names, get the kinds of theirs and none."""
    X, y, studies, kinds = crossed()
    names = [f"s{i}" for i in range(len(y))]
    counts = pd.DataFrame(np.round(2 ** (X + 6)), names, [f"hsa-miR-{i}" for i in range(12)])
    frame = pd.DataFrame({"tissue": kinds}, names)
    task = Task("lineage", counts, pd.Series(y, names), pd.Series(studies, names).astype(str), {}, kinds=frame)
    part = np.random.default_rng(0).permutation(len(y))[:200]
    smaller = replace(task, X=task.X.iloc[part], y=task.y.iloc[part], groups=task.groups.iloc[part])
    for told in (task, smaller, replace(smaller, kinds=frame.sample(frac=1, random_state=0))):
        table = srna.cross_validate(told, "robust", "study", n_splits=3, progress=False)
        assert (table["y_true"] == table["y_pred"]).mean() > 0.85
    unnamed = replace(task, X=task.X.rename("copy of {}".format), y=task.y.rename("copy of {}".format))
    fitted = [srna.evaluate.fit_fold(t, srna.recipe("robust"), np.arange(len(y))) for t in (task, unnamed)]
    assert fitted[0][-1].leaves_.tolist() == [0, 0, 1, 1] and fitted[1][-1].leaves_ is None
    with pytest.raises(InputError, match="4 leaves for 2 classes"):
        srna.explain.linear_weights(fitted[0], task.X)


def test_deeplift_goes_through_leaves():
    """Contributions sum to the change of each class's score, for one output or all, and far from the reference."""
    X, y, studies, kinds = crossed()
    y = np.where(kinds == "b2", "c", y)
    model = StudyClassifier().fit(X, y, studies, kinds)
    for start, scale in ((np.zeros(12), 1), (X[:3], 1), (X[:1], 1 + 1e-9), (X[:1], 300)):
        explained = srna.explain(model, scale * X[:40], reference=start)
        np.testing.assert_allclose(explained.logits, model.decision_function(scale * X[:40]), rtol=1e-4, atol=1e-4)
        total = explained.values.sum(axis=2)
        np.testing.assert_allclose(total, explained.logits - explained.reference_logits, rtol=1e-4, atol=1e-4)
    one = srna.explain(model, X[:40], outputs=["c", "a"])
    np.testing.assert_allclose(one.values, srna.explain(model, X[:40]).values[:, [2, 0]], atol=1e-6)


def test_contributions_near_the_reference_are_the_gradient_of_the_score():
    X, y, studies, kinds = crossed()
    y = np.where(kinds == "b2", "c", y)
    model, step = StudyClassifier().fit(X, y, studies, kinds), 1e-3
    at = X[:1]
    for feature in range(3):
        moved = at + step * np.eye(12)[feature]
        values = srna.explain(model, moved, reference=at).values[0, :, feature] / step
        slope = (model.decision_function(moved) - model.decision_function(at))[0] / step
        np.testing.assert_allclose(values, slope, rtol=1e-2, atol=1e-4)


def test_a_twin_is_far_nearer_than_any_sample_of_another_study():
    """Cosines of angles: at 10 degrees from the one and 40 from the other study it has one, at 24 and 26 none."""

    def at(*degrees):
        return np.column_stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])

    profiles, studies = at(-5, 0, 50), np.array([0, 0, 1])
    assert find_twins(at(10, 24, 25, 26, 40, -80), profiles, studies, 0.75).tolist() == [1, -1, -1, -1, 2, 0]
    limit = (1 - np.cos(np.radians(20))) / (1 - np.cos(np.radians(30)))
    assert [find_twins(at(20), profiles, studies, limit + d)[0] for d in (-1e-3, 1e-3)] == [-1, 1]
    assert find_twins(at(0), at(0, 0), np.array([0, 1]), 0.75).tolist() == [-1]  # one library in two studies
    many = np.tile(at(10, 24), (1200, 1))
    assert (find_twins(many, profiles, studies, 0.75) == np.tile([1, -1], 1200)).all()


def test_a_sample_of_a_study_already_seen_has_the_class_of_its_twin():
    """Each study gives its classes profiles of its own: nothing holds in all of them, but a twin knows."""
    rng, n = np.random.default_rng(0), 40
    studies, y = np.repeat(np.arange(10), n), np.tile(np.array(list("abcd")), 10 * n // 4)
    code = np.unique(y, return_inverse=True)[1]
    X = 4 * rng.normal(size=(10, 4, 12))[studies, code] + 0.5 * rng.normal(size=(len(y), 12))
    seen = rng.random(len(y)) < 0.8
    with_twins, without = (StudyClassifier(near=near).fit(X[seen], y[seen], studies[seen]) for near in (0.75, 0))
    right = [(model.predict(X[~seen]) == y[~seen]).mean() for model in (with_twins, without)]
    assert right[0] == 1 and right[1] < 0.8
    assert with_twins.predict_proba(X[seen][:1]).max() > 0.9  # the first of training is its own twin
    p, scores = with_twins.predict_proba(X[~seen]), without.predict_proba(X[~seen])
    np.testing.assert_allclose(p, 0.1 * scores + 0.9 * (y[~seen][:, None] == with_twins.classes_), rtol=1e-6)
    strange = rng.normal(size=(300, 12))
    none = find_twins(normalize(strange), *with_twins.seen_[::2], 0.75) < 0
    assert none.mean() > 0.3
    left = [model.predict_proba(strange[none]) for model in (with_twins, without)]
    np.testing.assert_array_equal(*left)
    two = np.isin(y, ["a", "b"])
    binary = StudyClassifier(near=0.75).fit(X[seen & two], y[seen & two], studies[seen & two])
    assert (binary.predict(X[~seen & two]) == y[~seen & two]).all() and binary.decision_function(X).ndim == 1
    for alone in (None, np.zeros(seen.sum())):  # without studies, or of one, there is no other to be nearer than
        assert StudyClassifier(near=0.75).fit(X[seen], y[seen], alone).seen_ is None


def test_deeplift_and_linear_weights_read_it(task):
    model = srna.recipe("robust").fit(task.X, task.y, classifier__studies=task.groups)
    explained = srna.explain(model, task.X)
    total = explained.values.sum(axis=2)
    np.testing.assert_allclose(total, explained.logits - explained.reference_logits, atol=1e-4)
    assert list(srna.explain.linear_weights(model, task.X).idxmax(axis=1)) == [f"hsa-miR-{i}" for i in range(3)]


def test_training_that_numpys_driver_of_the_decomposition_does_not_end(real):
    """Of ten folds by study without one laboratory, the ninth ended in "SVD did not converge"."""
    atlas = real("open_atlas_exrna")
    task = srna.make_task(atlas[(atlas.obs["dataset_id"] != "EXR-TTUSC1gCrGDH-AN").to_numpy()], "sample_type")
    fold = srna.make_splits(task, "study", n_splits=10)[8]
    fitted = srna.evaluate.fit_fold(task, srna.recipe("robust"), fold.train)
    assert np.isfinite(fitted["classifier"].coef_).all()
