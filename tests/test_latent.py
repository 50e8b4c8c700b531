"""Latent codes: the autoencoder, codes that never see the test, heads on few labels, marks around genes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

import srna_lib as srna
from srna_lib.companions import latent
from srna_lib.companions.latent import (
    BINS,
    MARKS,
    ConvClassifier,
    LatentEncoder,
    divergence,
    few_labels,
    heads,
    neighbour_mean,
    pretrain,
    pretrain_marks,
    read_marks,
    simulate_marks,
    stack,
    variance_explained,
)
from srna_lib.datasets.simulated import simulate_atlas
from srna_lib.errors import InputError
from srna_lib.models import DenseNetClassifier

SMALL = {"hidden": (32,), "epochs": 40, "batch_size": 32}
CONVOLUTIONS = {"filters": (4,), "epochs": 40, "batch_size": 16}


@pytest.fixture(scope="module")
def factors():
    """Samples of three hidden factors in seventy inputs (no multiple of what programs are padded to)."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 70)) + 0.5 * rng.normal(size=(300, 70))
    return pd.DataFrame((X - X.mean(axis=0)) / X.std(axis=0), index=[f"s{i}" for i in range(300)])


@pytest.fixture(scope="module")
def encoder(factors):
    return LatentEncoder(3, **SMALL).fit(factors)


def test_divergence_is_that_of_normal_distributions():
    mean, sd = np.array([[0.0, 1.0, -2.0]]), np.array([[1.0, 0.5, 2.0]])
    z = np.linspace(-40, 40, 400_001)[:, None]
    log_q = -(((z - mean) / sd) ** 2) / 2 - np.log(sd)  # both up to the same constant
    q = np.exp(log_q) / np.sqrt(2 * np.pi)
    numeric = (q * (log_q + z**2 / 2)).sum(axis=0) * (z[1, 0] - z[0, 0])
    assert divergence(mean, 2 * np.log(sd)) == pytest.approx(numeric, abs=1e-6)


def test_share_of_variance_is_one_for_the_samples_and_none_for_their_centre(factors):
    X = factors.to_numpy()
    assert variance_explained(X, X, X.mean(axis=0)) == 1
    assert variance_explained(X, np.broadcast_to(X.mean(axis=0), X.shape), X.mean(axis=0)) == pytest.approx(0)
    pca = PCA(3).fit(X)
    made = pca.inverse_transform(pca.transform(X))
    assert variance_explained(X, made, X.mean(axis=0)) == pytest.approx(pca.explained_variance_ratio_.sum())


def test_the_code_keeps_what_pca_keeps_and_every_dimension_works(factors, encoder):
    X, pca = factors.to_numpy(), PCA(3).fit(factors.to_numpy())
    shares = [variance_explained(X, c.inverse_transform(c.transform(X)), X.mean(axis=0)) for c in (encoder, pca)]
    assert shares[0] > 0.9 * shares[1]
    assert (encoder.kl_ > 0.5).all()
    assert encoder.validation_curve_[-1] < encoder.validation_curve_[0] / 2


def test_the_code_of_a_sample_is_the_same_every_time_and_in_any_company(factors, encoder):
    code = encoder.transform(factors)
    assert np.array_equal(code, encoder.transform(factors))
    assert np.allclose(code[:5], encoder.transform(factors[:5]), atol=1e-5)
    assert np.array_equal(code, clone(encoder).fit(factors).transform(factors))
    other = clone(encoder).set_params(random_state=1).fit(factors)
    assert not np.allclose(code, other.transform(factors), atol=0.1)


def test_labels_are_not_read_and_ids_are_kept(factors, encoder):
    labelled = clone(encoder).fit(factors, np.arange(300))
    assert np.array_equal(labelled.transform(factors), encoder.transform(factors))
    assert list(encoder.fit_ids_) == list(factors.index)
    assert list(LatentEncoder(3, epochs=1).fit(factors.to_numpy()).fit_ids_) == list(range(300))


def test_a_price_too_high_leaves_every_dimension_idle(factors):
    idle = LatentEncoder(3, **SMALL, kl_weight=10.0, warm_up=2).fit(factors)
    assert (idle.kl_ < 0.01).all()


def test_weights_of_padding_stay_zero_and_one_program_serves_other_sizes(factors):
    latent.compile_encoder.cache_clear()
    whole = LatentEncoder(3, **SMALL | {"epochs": 3}).fit(factors)
    LatentEncoder(3, **SMALL | {"epochs": 3}).fit(factors.iloc[:200, :66])
    assert latent.compile_encoder.cache_info().misses == 1
    kernel, bias = whole.weights_[-2:]
    assert kernel.shape[1] == 128
    assert not kernel[:, 70:].any() and not bias[70:].any() and kernel[:, :70].any()
    assert whole.inverse_transform(whole.transform(factors)).shape == factors.shape


def test_whole_groups_are_held_out_to_stop_by(factors, monkeypatch):
    held = []

    class Watched(latent.GroupShuffleSplit):
        def split(self, X, groups):
            for rest, out in super().split(X, groups=groups):
                held.append((set(groups[rest]), set(groups[out])))
                yield rest, out

    monkeypatch.setattr(latent, "GroupShuffleSplit", Watched)
    LatentEncoder(3, epochs=1).fit(factors, groups=np.repeat(["a", "b", "c"], 100))
    ((rest, out),) = held
    assert out and not rest & out


@pytest.mark.parametrize(
    ("rows", "groups", "message"),
    [(20, None, "found 20 samples; expected at least 30"), (300, np.zeros(300), "found one study")],
)
def test_too_few_samples_and_a_single_study_are_refused(factors, rows, groups, message):
    with pytest.raises(InputError, match=message):
        LatentEncoder(10).fit(factors[:rows], groups=groups)


def test_other_features_than_those_of_training_are_refused(factors, encoder):
    with pytest.raises(InputError, match="found 5 features; expected 70"):
        encoder.transform(factors.iloc[:, :5])


# ---- codes of sRNAs


@pytest.fixture(scope="module")
def atlas():
    atlas = simulate_atlas(n_samples=400, n_studies=24, seed=0)
    atlas.obs.loc[atlas.obs["dataset_id"] == "SIM003", "tissue_group"] = np.nan
    return atlas


@pytest.fixture(scope="module")
def unseen(atlas):
    task = srna.make_task(atlas, "tissue_group", min_class_size=15)
    return sorted(set(task.groups.iloc[srna.make_splits(task, "study", n_splits=3)[0].test]))


OPTIONS = {"size": 4, "hidden": (16,), "epochs": 8}


@pytest.fixture(scope="module")
def codes(atlas, unseen):
    return pretrain(atlas, unseen, **OPTIONS)


def test_nothing_is_fitted_on_the_studies_unseen(atlas, unseen, codes):
    """Not by ids only: other counts in these studies change neither scaling nor encoders."""
    apart = atlas.obs["dataset_id"].isin(unseen).to_numpy()
    assert set(codes.seen) == set(atlas.obs_names[~apart]) == set(codes.coders["latent"][0].fit_ids_)
    changed = atlas.copy()
    counts = changed.to_df()
    counts[apart] = counts.to_numpy()[apart, ::-1]
    changed.X = counts.to_numpy()
    again = pretrain(changed, unseen, **OPTIONS)
    for name, table in codes.tables.items():
        assert table.index.equals(atlas.obs_names), name
        assert np.array_equal(table[~apart], again.tables[name][~apart]), name
    assert not np.allclose(codes.tables["latent"][apart], again.tables["latent"][apart])
    assert np.allclose(codes.tables["latent"][~apart].std(ddof=0), 1, atol=1e-3)


def test_unlabelled_samples_are_seen(atlas, codes):
    assert atlas.obs.loc[codes.seen, "tissue_group"].isna().any()


def test_neighbours_are_members_of_clusters_where_these_are_known(atlas, unseen, codes):
    assert list(codes.tables) == ["raw", "PCA", "latent", "latent + neighbours", "latent + shuffled"]
    near, far = (codes.tables[f"latent + {name}"] for name in ("neighbours", "shuffled"))
    assert near.shape[1] == 8 and near.iloc[:, :4].equals(far.iloc[:, :4])
    assert not np.allclose(near.iloc[:, 4:], far.iloc[:, 4:], atol=0.1)
    bare = atlas.copy()
    del bare.var["cluster"]
    assert list(pretrain(bare, unseen, **OPTIONS).tables) == ["raw", "PCA", "latent"]


@pytest.mark.parametrize(("which", "message"), [([], "found 0 of 24"), (slice(None), "found 24 of 24")])
def test_studies_are_needed_on_both_sides(atlas, which, message):
    with pytest.raises(InputError, match=message):
        pretrain(atlas, np.unique(atlas.obs["dataset_id"])[which])


def test_an_atlas_of_one_study_is_refused(atlas):
    one = atlas[atlas.obs["dataset_id"] == atlas.obs["dataset_id"].iloc[0]].copy()
    with pytest.raises(InputError, match="found 1 of 1 studies"):
        pretrain(one, one.obs["dataset_id"].unique())


@pytest.mark.parametrize("code", ["raw", "PCA", "latent"])
@pytest.mark.parametrize("label", ["tissue_top", "sex"])
def test_encoder_and_head_are_one_network_that_deeplift_sees_through(atlas, codes, code, label):
    known = atlas.obs[label][atlas.obs[label].notna()].astype(str)
    X = srna.make_task(atlas, label).X.loc[known.index[:40]]
    small = DenseNetClassifier((8,), (0.0,), 4, random_state=0)
    for head in (LogisticRegression(max_iter=200), small):
        table = codes.tables[code].loc[known.index].to_numpy()
        head.fit(table, known)
        model = stack(codes, code, head)
        assert np.allclose(model.predict_proba(X), head.predict_proba(table[:40]), atol=2e-3)
        explained = srna.explain(model, X)
        assert explained.error < 1e-5 and explained.reference == "training mean"
        assert set(explained.features) == set(codes.tables["raw"])


def test_a_code_that_is_no_stack_of_dense_layers_is_refused(codes):
    head = LogisticRegression().fit(codes.tables["latent + neighbours"], np.arange(400) % 2)
    with pytest.raises(InputError, match="expected raw, PCA or a latent one"):
        stack(codes, "latent + neighbours", head)


# ---- few labels


@pytest.fixture(scope="module")
def task(atlas):
    return srna.make_task(atlas, "tissue_group", min_class_size=15)


def linear(codes, *names):
    return {name: model for name, model in heads(codes.tables).items() if name in names}


def test_unseen_samples_are_predicted_once_a_draw_by_every_model(task, codes):
    models = linear(codes, "chance", "raw", "latent")
    table = few_labels(task, [codes], (20, 200, 10_000), draws=2, models=models)
    test = task.y.index.difference(codes.seen)
    counts = table.groupby(["scheme", "model", "fold"])["sample_id"].agg(["size", "nunique"])
    assert (counts == len(test)).all(axis=None)
    assert sorted(counts.index.levels[0], key=len) == ["20 labels", "200 labels"]
    assert (table.set_index("sample_id")["y_true"] == task.y.loc[table["sample_id"]].to_numpy()).all()
    assert np.allclose(table.filter(like="p_").sum(axis=1), 1)
    assert set(srna.score(table, metrics="balanced_accuracy", n_boot=10)["scheme"]) == set(counts.index.levels[0])
    pd.testing.assert_frame_equal(table, few_labels(task, [codes], (20, 200), draws=2, models=models))


def test_every_class_is_among_the_labels(task, codes):
    seen = []

    class Watching(LogisticRegression):
        def fit(self, X, y):
            seen.append((len(y), set(y)))
            return super().fit(X, y)

    few_labels(task, [codes], (10, 20), draws=1, models={"watched": ("PCA", Watching())})
    classes = set(task.y[task.y.index.isin(codes.seen)])
    assert seen == [(10, classes), (20, classes)]


def test_an_encoder_that_has_seen_the_test_is_caught(task, codes):
    test = task.y.index.difference(codes.seen)
    greedy = clone(codes.coders["latent"][0])
    greedy.fit_ids_ = np.append(codes.coders["latent"][0].fit_ids_, test[0])
    with pytest.raises(AssertionError, match="has seen samples of the test"):
        few_labels(task, [codes._replace(coders={"latent": [greedy]})], (20,))


def test_fewer_labels_than_asked_for_are_refused(task, codes):
    with pytest.raises(InputError, match="labelled samples to learn from"):
        few_labels(task, [codes], (5000,))


# ---- marks around genes


@pytest.fixture(scope="module")
def marks():
    return simulate_marks(1000, chromosomes=20, seed=1)


@pytest.fixture(scope="module")
def marks_codes(marks):
    return pretrain_marks(marks, [f"chr{i}" for i in range(14, 21)], size=6, **CONVOLUTIONS)


def test_simulated_marks_are_counts_with_balanced_labels(marks):
    assert marks.X.shape == (1000, 500)
    assert (marks.y == "high").mean() == 0.5
    assert (marks.X.to_numpy() % 1 == 0).all() and marks.X.columns[0] == "H3K27me3:1"
    assert marks.X.equals(simulate_marks(1000, chromosomes=20, seed=1).X)
    values = marks.X.to_numpy().reshape(-1, BINS, len(MARKS)).mean(axis=0)
    assert abs(values[:, MARKS.index("H3K4me3")].argmax() - BINS / 2) < 6
    assert values[60:, 1].mean() > 1.1 * values[:40, 1].mean(), "H3K36me3 lies behind the start"


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_the_enhancers_next_door_tell_where_that_is_planted(size):
    task = simulate_marks(2000, neighbour=size)
    flanks = task.X[[f"H3K4me1:{b}" for b in (*range(33, 38), *range(63, 68))]].mean(axis=1).rename("enhancer")
    beside = neighbour_mean(np.log1p(flanks).to_frame(), task.groups, 2)["enhancer"]
    gap = beside[task.y == "high"].mean() - beside[task.y == "low"].mean()
    assert gap / beside.std() > 0.4 if size else abs(gap) / beside.std() < 0.12


def test_neighbours_are_those_of_the_same_chromosome():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(9, 2)), index=list("abcdefghi"))
    groups = pd.Series([*"xxxx", *"yyyy", "z"], table.index)
    found = neighbour_mean(table, groups, 2)
    for i, name in enumerate(table.index):
        near = [j for j in range(max(0, i - 2), min(9, i + 3)) if j != i and groups.iloc[j] == groups.iloc[i]]
        expected = table.iloc[near].mean() if near else np.zeros(2)
        assert np.allclose(found.loc[name], expected), name


@pytest.mark.slow
def test_scaling_and_codes_of_marks_do_not_hang_on_the_genes_unseen(marks, marks_codes):
    loud = marks.X.copy()
    apart = ~marks.X.index.isin(marks_codes.seen)
    loud[apart] *= 100
    changed = srna.data.Task("expression", loud, marks.y, marks.groups, {}, "marks")
    again = pretrain_marks(changed, marks.groups[apart].unique(), size=6, **CONVOLUTIONS)
    for name in ("raw", "latent", "PCA", "summary"):
        assert np.array_equal(marks_codes.tables[name][~apart], again.tables[name][~apart]), name
    raw = marks_codes.tables["raw"]
    assert raw.min(axis=None) == -1 and raw.max(axis=None) == 1


def test_planted_neighbours_are_found_against_shuffled_ones(marks, marks_codes):
    names = ("latent", "latent + neighbours", "latent + shuffled", "chance")
    table = few_labels(marks, [marks_codes], (600,), draws=2, models=linear(marks_codes, *names))
    auc = srna.score(table, metrics="auc", n_boot=10).set_index("model")["value"]
    assert auc["latent + neighbours"] > auc["latent + shuffled"] + 0.03
    assert auc["latent"] > 0.65 and auc["chance"] == 0.5
    near, far = (marks_codes.tables[f"latent + {name}"] for name in ("neighbours", "shuffled"))
    own = near.iloc[:, 6:].groupby(marks.groups).mean()
    assert np.allclose(own, far.iloc[:, 6:].groupby(marks.groups).mean(), atol=1e-6), "shuffled within chromosomes"


def test_convolutions_learn_marks(marks, marks_codes):
    raw, y = marks_codes.tables["raw"].to_numpy(), marks.y.to_numpy()
    model = ConvClassifier(4, (16,), epochs=25, batch_size=16).fit(raw[:600], y[:600])
    p = model.predict_proba(raw[600:])
    assert np.allclose(p.sum(axis=1), 1) and list(model.classes_) == ["high", "low"]
    assert p[y[600:] == "high", 0].mean() > p[y[600:] == "low", 0].mean() + 0.1
    assert np.array_equal(p, clone(model).fit(raw[:600], y[:600]).predict_proba(raw[600:]))


def lines_of(task, genes):
    """Lines of a file in the published layout."""
    values = task.X.loc[genes].to_numpy(dtype=int).reshape(-1, len(MARKS))
    label = np.repeat((task.y.loc[genes] == "high").astype(int), BINS)
    head = pd.DataFrame({"gene": np.repeat(genes, BINS), "bin": np.tile(np.arange(1, BINS + 1), len(genes))})
    table = pd.concat([head, pd.DataFrame(values), pd.Series(label.to_numpy())], axis=1)
    return [",".join(map(str, row)) for row in table.itertuples(index=False)]


def test_marks_are_read_in_the_published_layout(marks, tmp_path):
    genes = list(marks.X.index)
    for name, part in (("train", genes[:6]), ("test", genes[6:9])):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines_of(marks, part)) + "\n")
    read = read_marks(tmp_path / "train.csv", tmp_path / "test.csv")
    pd.testing.assert_frame_equal(read.X, marks.X[:9])
    assert list(read.y) == list(marks.y[:9]) and list(read.groups) == ["train"] * 6 + ["test"] * 3
    with pytest.raises(InputError, match=f"{genes[0]!r} is there twice"):
        read_marks(tmp_path / "train.csv", tmp_path / "train.csv")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lines: ["gene,bin,a,b,c,d,e,label", *lines], "not readable"),
        (lambda lines: [line.rsplit(",", 1)[0] for line in lines], "found 7 columns"),
        (lambda lines: [line.rsplit(",", 1)[0] + ",2.5" for line in lines], "another label"),
        (lambda lines: lines[1:], "found 299 lines; expected 100 of each gene"),
        (lambda lines: lines[::-1], "its bins in order"),
        (lambda lines: [lines[0].replace("gene00001", "gene00002"), *lines[1:]], "its bins in order"),
        (lambda lines: [lines[0][:-1] + str(1 - int(lines[0][-1])), *lines[1:]], "two labels"),
        (lambda lines: ["a\0b"], "expected gene, bin"),
        (lambda lines: [], "not readable"),
    ],
)
def test_another_layout_is_refused_in_a_sentence(marks, tmp_path, spoil, message):
    path = tmp_path / "E003.csv"
    path.write_text("\n".join(spoil(lines_of(marks, list(marks.X.index[:3])))) + "\n")
    with pytest.raises(InputError, match=message) as refused:
        read_marks(path)
    assert str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="not readable"):
        read_marks(tmp_path / "none.csv")
