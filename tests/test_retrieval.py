"""Signature matching: connectivity, directions, the ranker in worlds with a known answer, retrieval across studies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from typer.testing import CliRunner

import srna_lib as srna
from srna_lib.companions import retrieval
from srna_lib.companions.retrieval import (
    METRICS,
    characteristic_direction,
    combine,
    connectivity,
    cosine,
    cross_retrieve,
    enrichment,
    nuisance_experiment,
    rank_metrics,
    read_signature,
    retrieval_table,
    retrieve,
    shrunken,
    signatures,
    simulate_world,
    world_retrieval,
)
from srna_lib.data import hairpins, make_atlas
from srna_lib.errors import InputError
from srna_lib.models import clear_programs
from srna_lib.report import cli

NAMES = pd.Index([f"hsa-miR-{i}-5p" for i in (16, 21, 22, *"23a 25 26a 27a 28 29a 30a 31 32 33a 34a".split())])


# ---- unlearned matches


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_connectivity_of_a_signature_with_itself_is_one_and_with_its_reverse_minus_one(seed, n):
    d = pd.DataFrame(np.random.default_rng(seed).normal(size=(1, 80)))
    assert connectivity(d, pd.concat([d, -d]), n=n).to_numpy() == pytest.approx(np.array([[1, -1]]))


def test_connectivity_of_unrelated_signatures_scatters_around_zero():
    tables = [pd.DataFrame(np.random.default_rng(s).normal(size=(40, 500))) for s in (0, 1)]
    found = connectivity(*tables).to_numpy()
    assert abs(found.mean()) < 0.02 and 0.05 < found.std() < 0.2
    assert (found == 0).any()  # both sets on one side are no match


def walked(chosen, profile):
    """Running sum of GSEA, one sRNA at a time."""
    total, at, most = sum(abs(profile[i]) for i in chosen), 0.0, 0.0
    for i in np.argsort(-profile, kind="stable"):
        at += abs(profile[i]) / total if i in chosen else -1 / (len(profile) - len(chosen))
        most = at if abs(at) > abs(most) + 1e-12 else most
    return most


@given(st.integers(0, 10_000), st.integers(1, 15))
def test_enrichment_is_the_running_sum_done_by_hand(seed, k):
    rng = np.random.default_rng(seed)
    profile, chosen = rng.normal(size=30), rng.choice(30, k, replace=False)
    found = enrichment(np.isin(np.arange(30), chosen), profile[None])[0]
    expected = walked(set(chosen), profile)
    assert abs(found) == pytest.approx(abs(expected)) and (
        found == pytest.approx(expected) or abs(found + expected) < 1e-9
    )


def test_a_query_that_only_rises_has_one_set_and_missing_sRNAs_weigh_nothing():
    up = pd.DataFrame([[3.0, 2.0, 0.0, 0.0, 0.0]])
    library = pd.DataFrame([[5.0, 4, 1, -1, -2], [-5.0, -4, 1, 1, 1], [0.0, 0, 2, 1, 1]])
    assert connectivity(up, library).to_numpy()[0] == pytest.approx([1, -1, 0])
    assert connectivity(-up, library).to_numpy()[0] == pytest.approx([-1, 1, 0])


def test_cosine_and_correlation():
    a, b = (pd.DataFrame(np.random.default_rng(s).normal(size=(3, 20)) + 5) for s in (0, 1))
    assert cosine(a, b, centred=True).to_numpy() == pytest.approx(np.corrcoef(a, b)[:3, 3:])
    assert cosine(a, a).to_numpy().diagonal() == pytest.approx(1)
    assert cosine(a * 0, b).to_numpy() == pytest.approx(0)


def test_changes_are_drawn_to_zero_by_their_noise_alone():
    rng = np.random.default_rng(0)
    true = np.where(np.arange(400) < 200, rng.normal(size=400), 0)
    sd = np.tile([0.2, 0.2, 3.0, 0.2], 100)
    cases, controls = true + sd * rng.normal(size=(6, 400)), sd * rng.normal(size=(6, 400))
    raw, found = cases.mean(axis=0) - controls.mean(axis=0), shrunken(cases, controls)
    assert (np.abs(found) <= np.abs(raw)).all() and (found * raw >= 0).all()
    assert np.square(found - true).mean() < 0.6 * np.square(raw - true).mean()
    share = found / raw
    assert np.median(share[sd < 1]) > 0.8 > 0.3 > np.median(share[sd > 1])
    noise = shrunken(rng.normal(size=(5, 400)), rng.normal(size=(5, 400)))
    assert np.abs(noise).mean() < 0.1


def test_the_characteristic_direction_needs_all_components():
    """The known fault: what differs lies in components of little variance, which a cut at 95 % throws away."""
    aucs = []
    for seed in range(5):
        cases, controls, changed = nuisance_experiment(seed=seed)
        ways = [characteristic_direction(cases, controls), characteristic_direction(cases, controls, variance=0.95)]
        aucs.append([roc_auc_score(changed, np.abs(w)) for w in (*ways, cases.mean(0) - controls.mean(0))])
        assert np.linalg.norm(ways[0]) == pytest.approx(1)
    whole, cut, change = np.mean(aucs, axis=0)
    assert whole >= 0.95 and 0.4 < cut < 0.6 and change < 0.75


def test_the_characteristic_direction_is_linear_discriminant_analysis_where_samples_abound():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    cases, controls = rng.normal(size=(80, 6)) @ mix + 1, rng.normal(size=(80, 6)) @ mix
    S = (np.cov(cases.T) + np.cov(controls.T)) / 2
    expected = np.linalg.solve(S, cases.mean(axis=0) - controls.mean(axis=0))
    found = characteristic_direction(cases, controls, gamma=1.0)
    assert found == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert not characteristic_direction(np.ones((3, 4)), np.ones((3, 4))).any()


# ---- figures of merit


def test_figures_of_merit_by_hand_and_beside_scikit_learn():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(rng.normal(size=(20, 80)))
    relevant = pd.DataFrame(rng.random((20, 80)) < 0.1)
    relevant.iloc[0] = False
    found = rank_metrics(scores, relevant)
    assert found.loc[0, list(METRICS)].isna().all()
    for i in range(1, 20):
        order = np.argsort(-scores.loc[i].to_numpy())
        hit = relevant.loc[i].to_numpy()[order]
        assert found.loc[i, "average_precision"] == pytest.approx(
            average_precision_score(relevant.loc[i], scores.loc[i])
        )
        assert found.loc[i, "reciprocal_rank"] == 1 / (hit.argmax() + 1)
        assert found.loc[i, "precision_10"] == hit[:10].mean()
        assert found.loc[i, "recall_50"] == pytest.approx(hit[:50].sum() / hit.sum())


@pytest.mark.parametrize(("n_relevant", "n_items"), [(8, 250), (1, 60), (5, 7), (3, 3)])
def test_chance_is_what_a_random_order_gets_and_ties_are_no_help(n_relevant, n_items):
    relevant = pd.DataFrame([[True] * n_relevant + [False] * (n_items - n_relevant)] * 3000)
    found = rank_metrics(relevant * 0.0, relevant)[list(METRICS)].mean()  # nothing but ties
    assert retrieval.chance_level(n_relevant, n_items) == pytest.approx(tuple(found), abs=0.02)


def test_drugs_by_their_best_perturbation_summed_over_contrasts():
    rows = pd.MultiIndex.from_product([["z", "a"], [1, 2]], names=["disease", "contrast"])
    columns = pd.MultiIndex.from_product([["x", "b"], [1, 2]], names=["drug", "perturbation"])
    found = combine(pd.DataFrame([[1, 5, 2, 2], [3, 0, 0, 4], [0, -1, 1, 0], [0, -1, 0, 2]], rows, columns))
    assert found.to_dict() == {"x": {"z": 8, "a": 0}, "b": {"z": 6, "a": 3}}


def test_intervals_are_over_studies():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"model": "m", "dataset_id": np.repeat([f"S{i}" for i in range(20)], 5)})
    study = np.repeat(rng.normal(size=20), 5)
    for i, metric in enumerate(METRICS):
        table[metric] = 0.5 + 0.1 * (study if i else rng.normal(size=100))
    one = retrieval_table(table).set_index("metric")
    width = one["ci_high"] - one["ci_low"]
    assert width["recall_50"] > 1.5 * width["average_precision"]  # what studies decide has fewer pieces of evidence
    assert one["n_samples"].eq(100).all() and one["n_datasets"].eq(20).all()
    assert one.loc["recall_50", "value"] == pytest.approx(table["recall_50"].mean(), abs=1e-6)
    lone = retrieval_table(table[table["dataset_id"] == "S0"])
    assert lone["ci_low"].isna().all()
    assert (retrieval_table(table) == retrieval_table(table))["value"].all()


def test_differences_are_taken_query_by_query():
    rng = np.random.default_rng(0)
    one = pd.DataFrame({"label": "x", "dataset_id": [f"S{i}" for i in range(30)]})
    one[list(METRICS)] = rng.random((30, 4)) / 2
    other = one.assign(model="b", **{m: one[m] + 0.1 for m in METRICS}).sample(frac=1, random_state=0)
    found = retrieval_table(pd.concat([one.assign(model="a"), other]), versus="a")
    assert set(found["model"]) == {"b"}
    assert found[["value", "ci_low", "ci_high"]].to_numpy() == pytest.approx(0.1)  # the same in every study: no doubt


# ---- worlds


@pytest.fixture(scope="module")
def worlds():
    """MAP of each method in each world; diseases are left out in sixths."""
    tables = {}
    for kind in ("reversal", "hidden", "permuted"):
        queries = world_retrieval(simulate_world(kind), n_folds=4, epochs=15)
        tables[kind] = queries.groupby("model")["average_precision"].mean()
    return pd.DataFrame(tables)


def test_where_drugs_reverse_the_disease_the_unlearned_methods_win(worlds):
    assert worlds.loc["cmap", "reversal"] > worlds.loc["ranker", "reversal"] > 3 * worlds.loc["chance", "reversal"]
    assert worlds.loc["characteristic_direction", "reversal"] > worlds.loc["ranker", "reversal"]


def test_a_hidden_mapping_only_the_ranker_finds(worlds):
    others = worlds.loc[["cmap", "characteristic_direction", "popularity"], "hidden"]
    assert worlds.loc["ranker", "hidden"] >= 3 * others.max()


def test_with_drugs_dealt_at_random_nothing_beats_chance(worlds):
    assert (worlds["permuted"] - worlds.loc["chance", "permuted"]).abs().max() <= 0.02


def test_the_ranker_of_a_seed_is_always_the_same_and_a_held_out_disease_is_never_seen():
    world = simulate_world("hidden", n_diseases=6, n_drugs=12, n_true=3, n_genes=30)
    options = {"n_folds": 0, "epochs": 1}
    first = world_retrieval(world, **options)
    assert first.equals(world_retrieval(world, **options))
    # what heals the last disease changes nothing in how it is ranked
    names = list(world.truth.index)
    seen = []
    spy = retrieval.train_ranker
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            retrieval,
            "train_ranker",
            lambda q, *a, **k: (seen.append(set(q.index.get_level_values(0))), spy(q, *a, **k))[1],
        )
        world_retrieval(world, **options)
    assert len(seen) == 6 and all(len(s) == 5 for s in seen)
    assert {n for s in seen for n in set(names) - s} == set(names)


def test_one_program_serves_all_held_out_diseases():
    retrieval.compile_ranker.cache_clear()
    world_retrieval(simulate_world("hidden", n_diseases=4, n_drugs=12, n_true=3, n_genes=30), epochs=1)
    assert retrieval.compile_ranker.cache_info().misses == 1
    clear_programs()


def test_scores_are_those_of_the_network_that_was_trained():
    world = simulate_world("hidden", n_diseases=4, n_drugs=9, n_true=3, n_genes=30)
    relevant = world.truth.loc[world.contrasts.index.get_level_values(0), world.perturbations.index.get_level_values(0)]
    weights = retrieval.train_ranker(world.contrasts, world.perturbations, relevant.to_numpy(), epochs=2)
    found = retrieval.ranker_scores(weights, world.contrasts, world.perturbations)
    keras = retrieval.import_keras()
    Q, U = retrieval._scaled(world.contrasts), retrieval._scaled(world.perturbations)
    inputs = [keras.Input((Q.shape[1],)), keras.Input((Q.shape[1],))]
    towers = [keras.layers.Dense(64, activation="relu")(i) for i in inputs]
    joined = keras.layers.Dense(64, activation="relu")(keras.layers.Concatenate()(towers))
    model = keras.Model(inputs, keras.layers.Dense(2)(joined))
    model.set_weights(weights)
    logits = np.asarray(model([np.repeat(Q, len(U), axis=0), np.tile(U, (len(Q), 1))]))
    expected = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    assert found.to_numpy().ravel() == pytest.approx(expected, abs=1e-4)


# ---- real signatures


@pytest.fixture(scope="module")
def atlas():
    """Nine studies of three tissues, each with normal and tumour samples; an sRNA that nobody has."""
    rng = np.random.default_rng(0)
    study = np.repeat([f"S{i}" for i in range(9)], 8)
    tissue = np.repeat(np.tile(["brain", "liver", "lung"], 3), 8)
    kind = np.tile(["normal", "tumour"], 36)
    levels = rng.normal(6, 1, size=40) + rng.normal(size=(9, 40)).repeat(8, axis=0) + 0.3 * rng.normal(size=(72, 40))
    for i, name in enumerate(("brain", "liver", "lung")):
        levels[tissue == name, 5 * i : 5 * i + 5] += 4
        levels[(tissue == name) & (kind == "tumour"), 20 + 5 * i : 25 + 5 * i] += 3
    levels[:, -1] = -20
    counts = pd.DataFrame(rng.poisson(np.exp2(levels)).astype(float), [f"s{i}" for i in range(72)])
    counts.columns = [f"sRNA-{i}" for i in range(40)]
    obs = pd.DataFrame({"dataset_id": study, "tissue": tissue, "tumour_normal": kind}, counts.index)
    info = {"name": "toy", "title": "", "citation": "", "licence": "", "simulated": True}
    return make_atlas(counts, obs, info=info | {"sources": pd.DataFrame(columns=["url", "sha256"], dtype=object)})


def test_signatures_of_a_study_are_held_against_the_others_or_its_own_controls(atlas):
    found = signatures(atlas, "tissue")
    assert found.shape == (9, 39)  # what nobody has is no sRNA of a signature
    assert found.index.tolist()[0] == ("brain", "S0", 8)
    means = found.groupby("label").mean()
    for i, name in enumerate(means.index):
        assert set(means.loc[name].nlargest(5).index) == {f"sRNA-{j}" for j in range(5 * i, 5 * i + 5)}
    inside = signatures(atlas, "tissue", control="tumour_normal:normal")
    assert inside.index.get_level_values("n_samples").tolist() == [4] * 9
    for (name, *_), row in inside.iterrows():
        i = ("brain", "liver", "lung").index(name)
        assert set(row.nlargest(5).index) == {f"sRNA-{j}" for j in range(20 + 5 * i, 25 + 5 * i)}


def test_a_query_is_held_against_the_library_and_never_against_itself(atlas):
    own = (atlas.obs["dataset_id"] == "S0").to_numpy()
    library = atlas[~own].copy()
    query = signatures(atlas[own].copy(), "tissue", reference=library)
    assert np.allclose(query, signatures(atlas, "tissue").iloc[[0]][query.columns], atol=1e-9)
    changed = atlas[own].copy()
    changed.X = changed.X * 3
    assert signatures(library, "tissue").equals(signatures(library, "tissue", reference=library))


@pytest.mark.slow
def test_retrieval_across_studies_finds_the_tissue_and_chance_does_not(atlas):
    found = cross_retrieve(atlas, "tissue", n_splits=3, epochs=2)
    assert set(found["model"]) == {
        *("cmap", "cosine", "characteristic_direction", "expression", "ranker", "ranker_seen", "chance")
    }
    assert not found.duplicated(["model", "dataset_id", "label"]).any()
    means = found.groupby("model")["average_precision"].mean()
    assert means["cosine"] == means["cmap"] == 1 > means["chance"]
    cancers = cross_retrieve(atlas, "tissue", control="tumour_normal:normal", n_splits=0, epochs=0)
    assert set(cancers["dataset_id"]) == {f"S{i}" for i in range(9)} and "ranker" not in set(cancers["model"])
    assert cancers.groupby("model")["average_precision"].mean()["cosine"] == 1


def test_with_two_labels_a_ranker_that_has_to_do_without_one_says_nothing(atlas):
    two = atlas[(atlas.obs["tissue"] != "lung").to_numpy()].copy()
    found = cross_retrieve(two, "tissue", n_splits=3, epochs=1)
    assert "ranker_seen" in set(found["model"]) and "ranker" not in set(found["model"])


def test_diseases_of_hmdd_by_cancers(atlas):
    named = atlas.copy()
    named.obs["dataset_id"] = named.obs["dataset_id"].replace({"S0": "LIHC", "S1": "BRCA"})
    own = retrieval.cancer_diseases()
    assert own["LIHC"] == "MIM114550" and own["KIRC"] == own["KIRP"]
    members = {own["LIHC"]: range(16, 28), own["BRCA"]: range(24, 36), "other": range(12), "small": range(3)}
    sets = pd.DataFrame([(s, f"sRNA-{j}") for s, js in members.items() for j in js], columns=["set", "feature"])
    found = retrieval.disease_retrieval(named, sets)
    assert set(found["dataset_id"]) == {"LIHC", "BRCA"} and found["n_items"].eq(3).all()
    assert found.groupby("model")["average_precision"].mean()["change"] == 1


# ---- a table of the user's


def tables(lfc):
    """The same changes as DESeq2, edgeR and limma write them."""
    p = pd.Series([0.001] * len(lfc), lfc.index)
    yield pd.DataFrame({"baseMean": 9.0, "log2FoldChange": lfc, "pvalue": p, "padj": p})
    yield pd.DataFrame({"logFC": lfc, "logCPM": 5.0, "PValue": p, "FDR": p})
    yield pd.DataFrame({"ID": lfc.index, "logFC": lfc.to_numpy(), "AveExpr": 5.0, "adj.P.Val": p.to_numpy()})


def test_columns_of_deseq2_edger_and_limma_are_found_in_files_and_frames(tmp_path):
    lfc = pd.Series(np.linspace(-3, 3, len(NAMES)), NAMES)
    for i, table in enumerate(tables(lfc)):
        assert read_signature(table, NAMES).equals(lfc.rename(None))
        table.to_csv(tmp_path / f"{i}.csv")
        table.to_csv(tmp_path / f"{i}.tsv", sep="\t")
        header, *rows = (tmp_path / f"{i}.tsv").read_text().splitlines()
        (tmp_path / f"{i}.txt").write_text("\n".join([header.lstrip("\t"), *rows]))  # R: no name over the row names
        for end in ("csv", "tsv", "txt"):
            assert read_signature(tmp_path / f"{i}.{end}", NAMES).to_numpy() == pytest.approx(lfc.to_numpy())


def test_names_are_mended_repeats_averaged_and_missing_ones_zero():
    spelt = ["mir_16_5p", "MIMAT0000076", *NAMES[2:13], "hsa-miR-16-5p", "ACTB"]
    table = pd.DataFrame({"lfc": [1.0, 2.0, *[1.0] * 11, 3.0, 9.0]}, index=spelt)
    found = read_signature(table, NAMES)
    assert found["hsa-miR-16-5p"] == 2 and found["hsa-miR-21-5p"] == 2 and found["hsa-miR-34a-5p"] == 0
    homes, _ = hairpins()
    loops = read_signature(table, pd.Index([homes[name][0] for name in NAMES]))  # arms in a library of stem-loops
    assert loops.to_numpy().tolist() == found.to_numpy().tolist()


def test_changes_of_a_large_adjusted_p_are_zero_and_those_with_an_error_are_shrunken():
    lfc = np.linspace(1, 3, len(NAMES))
    padj = np.where(np.arange(len(NAMES)) < 2, [0.3], 0.01)
    padj[2] = np.nan
    found = read_signature(pd.DataFrame({"logFC": lfc, "FDR": padj}, NAMES), NAMES)
    assert (found.to_numpy()[:3] == 0).all() and found.to_numpy()[3:] == pytest.approx(lfc[3:])
    error = np.where(np.arange(len(NAMES)) == 5, 10.0, 0.01)
    error[6] = np.nan
    found = read_signature(pd.DataFrame({"log2FoldChange": lfc, "lfcSE": error, "padj": padj}, NAMES), NAMES)
    assert found.iloc[5] < 0.2 and found.iloc[6] == 0 and found.iloc[7] == pytest.approx(lfc[7], rel=0.05)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (pd.DataFrame({"logFC": np.arange(1, 6.0)}, NAMES[:5]), "5 sRNAs"),
        (pd.DataFrame({"logFC": np.ones(14), "FDR": [0.9] * 9 + [0.1] * 5}, NAMES), "5 sRNAs"),
        (pd.DataFrame({"logFC": np.ones(14)}, [f"GENE{i}" for i in range(14)]), "none of its 14 names"),
        (pd.DataFrame({"fold": np.ones(14)}, NAMES), "no column of log fold changes"),
    ],
)
def test_what_is_no_signature_is_refused_in_a_sentence(table, told):
    with pytest.raises(InputError, match=told) as refusal:
        read_signature(table, NAMES)
    assert str(refusal.value).count("\n") == 0 and "expected" in str(refusal.value)


def test_one_study_no_control_and_no_such_file_are_refused_in_a_sentence(atlas, tmp_path):
    one = atlas[(atlas.obs["dataset_id"] == "S0").to_numpy()].copy()
    with pytest.raises(InputError, match=r"1 studies.*expected.*other studies"):
        signatures(one, "tissue")
    with pytest.raises(InputError, match="expected 2 of a study, and 2 samples with tumour_normal:healthy"):
        signatures(atlas, "tissue", control="tumour_normal:healthy")
    with pytest.raises(InputError, match="is missing"):
        signatures(atlas, "organ")
    with pytest.raises(InputError):
        cross_retrieve(one, "tumour_normal", n_splits=2)
    alone = atlas[np.isin(atlas.obs["dataset_id"], ["S0", "S1"])].copy()
    with pytest.raises(InputError, match="can be left out"):
        cross_retrieve(alone, "tissue", n_splits=0, min_class_size=2)
    with pytest.raises(InputError, match="no such file"):
        retrieve(tmp_path / "nothing.csv", atlas, label="tissue")
    (tmp_path / "noise.csv").write_bytes(b"\x00\xff\x80" * 50)
    with pytest.raises(InputError):
        read_signature(tmp_path / "noise.csv", NAMES)


def test_a_table_finds_its_tissue_in_an_atlas(atlas):
    own = (atlas.obs["dataset_id"] == "S1").to_numpy()
    lfc = signatures(atlas[own].copy(), "tissue", reference=atlas[~own].copy()).iloc[0]
    found = srna.retrieve(pd.DataFrame({"logFC": lfc}), atlas[~own].copy(), label="tissue")
    assert found["label"].tolist()[:2] == ["liver", "liver"] and found["rank"].tolist() == list(range(1, 9))
    assert found["connectivity"].is_monotonic_decreasing and found["chance"].is_monotonic_increasing
    assert found["chance"].iloc[0] < 0.1 and (found["n_shared"] == 39).all()


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_an_answer_does_not_hang_on_the_order_of_rows_or_a_factor(seed):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_tuples([("a", "S1", 3), ("b", "S2", 3), ("c", "S3", 3)])
    library = pd.DataFrame(
        rng.normal(size=(3, len(NAMES))), index.set_names(["label", "dataset_id", "n_samples"]), NAMES
    )
    table = pd.DataFrame({"logFC": rng.normal(size=len(NAMES))}, NAMES)
    whole = retrieve(table, library)
    again = retrieve(table.sample(frac=1, random_state=seed) * 7, library)
    pd.testing.assert_frame_equal(whole, again)


def test_without_files_the_library_is_the_simulated_atlas_and_says_so(atlas, monkeypatch):
    def load(name):
        if name == "open_atlas":
            raise InputError("no route.")
        return {"demo": atlas}[name]

    monkeypatch.setattr(retrieval, "load", load)
    table = pd.DataFrame({"logFC": np.linspace(-2, 2, 40)}, atlas.var_names)
    with pytest.warns(UserWarning, match=r"no route.*simulated"):
        assert set(retrieve(table, label="tissue")["label"]) == {"brain", "liver", "lung"}


def test_the_command_prints_what_is_nearest(atlas, tmp_path):
    srna.io.write_h5ad(atlas, tmp_path / "atlas.h5ad")
    pd.DataFrame({"logFC": signatures(atlas, "tissue").iloc[0]}).to_csv(tmp_path / "table.csv")
    words = [
        "retrieve",
        str(tmp_path / "table.csv"),
        "--library",
        str(tmp_path / "atlas.h5ad"),
        "--label",
        "tissue",
        "-n",
        "3",
    ]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    head, first, *rest = result.stdout.splitlines()
    assert (
        head.split()[:3] == ["rank", "label", "dataset_id"] and first.split()[1:3] == ["brain", "S0"] and len(rest) == 2
    )
    refused = CliRunner().invoke(cli.app, ["retrieve", str(tmp_path / "no.csv"), *words[2:]])
    assert refused.exit_code == 2 and "no such file" in refused.output
