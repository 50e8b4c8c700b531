"""Bundles and what they say of new samples: promises, refusals, names, files that were changed."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import srna_lib as srna
from srna_lib.annotate import bundles, samples
from srna_lib.annotate.bundles import decide, load_bundle, save, shipped, surest, train, weighted_quantile
from srna_lib.data.atlas import make_atlas
from srna_lib.data.mirna_names import mirgenedb, mirna_table
from srna_lib.errors import InputError
from srna_lib.evaluate.crossval import Profile
from srna_lib.io import read_h5ad
from srna_lib.models.recipes import recipe
from srna_lib.report import cli

CLASSES = ("brain", "heart", "liver")
SMALL = {
    "classifier__hidden": (32, 16),
    "classifier__dropout": (0.2, 0.2),
    "classifier__epochs": 40,
    "classifier__batch_size": 16,
}
PROFILE = Profile(changes={"dl_log": SMALL})
NAMES = mirna_table().query("kind == 'mature' and release != '18'")["name"].iloc[::20].tolist()[:120]


def laboratories(n_studies=24, per_study=6, *, seed=0, classes=CLASSES, names=NAMES, prefix="s"):
    """Studies of three tissues with markers, and a shift of its own in each study."""
    rng = np.random.default_rng(seed)
    study, n = np.repeat(np.arange(n_studies), per_study), n_studies * per_study
    y = np.asarray(classes)[(np.arange(n) + study) % len(classes)]
    base = np.random.default_rng(99).normal(9, 2, len(names))
    level = base + rng.normal(0, 0.7, (n_studies, len(names)))[study] + rng.normal(0, 0.4, (n, len(names)))
    for i, name in enumerate(classes):
        level[np.ix_(y == name, range(10 * i, 10 * i + 10))] += 4
    counts = pd.DataFrame(rng.poisson(2**level), [f"{prefix}{i:03d}" for i in range(n)], names, dtype=float)
    obs = pd.DataFrame({"dataset_id": [f"{prefix}S{i:02d}" for i in study], "tissue": y}, index=counts.index)
    info = {"name": "toy", "title": "Toy", "citation": "Nobody (2020)", "licence": "MIT", "simulated": True}
    return make_atlas(counts, obs, info=info | {"sources": pd.DataFrame({"url": ["x"], "sha256": ["0" * 64]})})


@pytest.fixture(scope="module")
def bundle():
    return train(laboratories(), "tissue", n_splits=6, profile=PROFILE, progress=False)


@pytest.fixture(scope="module")
def new():
    """Samples of studies that the bundle has never seen."""
    return laboratories(3, 8, seed=7, prefix="n")


@pytest.fixture(scope="module")
def told(bundle, new):
    return samples.annotate(new, bundle)


def test_new_studies_are_predicted_with_reasons(told, new):
    table = told.uns["annotation"]
    assert list(table) == list(samples.FIELDS) and table["sample_id"].tolist() == new.obs_names.tolist()
    made = (table["status"] == "predicted").to_numpy()
    assert made.mean() > 0.7 and (table["prediction"][made] == new.obs["tissue"].to_numpy()[made]).mean() > 0.95
    assert (table["probability"][made] > 0.5).all() and (table["reason"][made] == "").all()
    assert all(row["prediction"] in row["set"].split(";") for _, row in table[made].iterrows())
    markers = {c: set(NAMES[10 * i : 10 * i + 10]) for i, c in enumerate(CLASSES)}
    hits = [len(set(r["speaks_for"].split(";")) & markers[r["prediction"]]) for _, r in table[made].iterrows()]
    assert np.mean(hits) > 3  # of five
    assert table["nearest_studies"].str.startswith("sS").all() and told.obsm["X_openTSNE"].shape == (24, 2)
    assert (told.obs["tissue_predicted"] == table["prediction"].to_numpy()).all()


def test_the_promises_are_kept_and_said(bundle):
    kept = bundle.about["measured"]
    assert kept["n_samples"] == 144 and kept["n_studies"] == 24
    assert kept["accuracy_of_predicted"] >= 1 - 0.06 and kept["predicted_share"] > 0.5
    assert 0.85 <= kept["set_coverage_over_studies"] <= 1
    spoilt = kept["accuracy_of_spoilt"]
    assert spoilt["as they are"] > spoilt["missing 0.8"] and spoilt["as they are"] >= spoilt["reads 300"]
    card = bundles.card(bundle)
    assert f"{kept['accuracy_of_predicted']:.1%} of them correct" in card and "| liver | - | - |" in card


def test_a_sample_alone_is_told_the_same_as_in_company(bundle, new, told):
    whole = told.uns["annotation"].set_index("sample_id")
    order = np.random.default_rng(0).permutation(new.n_obs)
    for part in (new[[3]], new[order], new[:, np.random.default_rng(1).permutation(new.n_vars)]):
        table = samples.annotate(part.copy(), bundle).uns["annotation"].set_index("sample_id")
        expected = whole.loc[table.index, "likeliest_probability"]
        np.testing.assert_allclose(table["likeliest_probability"], expected, atol=1e-5)
        assert (table["status"] == whole.loc[table.index, "status"]).all()


def test_a_bundle_is_a_pipeline_for_the_other_verbs(bundle, new):
    counts = srna.data.counts_frame(new)[bundle.about["features"]]
    z, found, reads = samples.model_input(new, bundle)
    assert found == 1 and (reads == counts.sum(axis=1)).all()
    np.testing.assert_allclose(bundle.model()[:-1].transform(counts), z, atol=1e-4)
    expected = np.asarray(bundle.classes)[bundle.network.predict_proba(z).argmax(axis=1)]
    assert (bundle.model().predict(counts) == expected).all()


def test_a_bundle_comes_back_from_disk_as_it_was(bundle, new, told, tmp_path):
    folder = save(bundle, tmp_path / "deep" / "bundle")
    assert sorted(p.name for p in folder.iterdir()) == ["arrays.npz", "bundle.json", "card.md"]
    again = samples.annotate(new, folder).uns["annotation"]
    pd.testing.assert_frame_equal(again, told.uns["annotation"])
    with pytest.raises(InputError, match="it exists already; expected the name of a new folder"):
        save(bundle, folder)
    assert [p.name for p in folder.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("name", ["bundle.json", "arrays.npz"])
@pytest.mark.parametrize("spoil", ["byte", "cut", "gone", "empty"])
def test_a_changed_bundle_is_refused_in_a_sentence(bundle, tmp_path, name, spoil):
    folder = save(bundle, tmp_path / "b")
    path, content = folder / name, (folder / name).read_bytes()
    at = len(content) // 2
    changed = {"byte": content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], "cut": content[:at], "empty": b""}
    if spoil == "gone":
        path.unlink()
    else:
        path.write_bytes(changed[spoil])
    with pytest.raises(InputError, match=re.escape(name)) as error:
        load_bundle(folder)
    assert "\n" not in str(error.value)


def test_newer_and_unknown_bundles_are_refused(bundle, tmp_path):
    folder = save(bundle, tmp_path / "b")
    about = json.loads((folder / "bundle.json").read_text()) | {"format": bundles.FORMAT + 1}
    (folder / "bundle.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="the bundle has format 2; expected 1 or less: update srna_lib"):
        load_bundle(folder)
    with pytest.raises(InputError, match="unknown bundle 'linage': expected a folder, or one of lineage, tissue_group"):
        load_bundle("linage")


def refused(bundle, atlas) -> pd.Series:
    table = samples.annotate(atlas, bundle).uns["annotation"]
    assert (table["prediction"][table["status"] == "abstained"] == "").all()
    assert (table["reason"][table["status"] == "abstained"] != "").all()
    return table.loc[table["status"] == "abstained", "reason"]


def test_few_reads_are_refused(bundle, new):
    rng, thin = np.random.default_rng(0), new.copy()
    counts = thin.X.toarray()
    thin.X = type(thin.X)(np.stack([rng.multinomial(40, c / c.sum()) for c in counts]).astype(float))
    reasons = refused(bundle, thin)
    assert len(reasons) == new.n_obs and reasons.str.contains("40 reads; the model asks for").all()


def test_few_names_are_refused(bundle, new):
    few = new[:, :24].copy()  # four of five names of the model are missing
    reasons = refused(bundle, few)
    assert len(reasons) == new.n_obs and reasons.str.contains("20% of the sRNAs that the model reads").all()


def test_other_species_and_other_tables_are_refused(bundle, new):
    mouse = new.copy()
    mouse.var_names = [n.replace("hsa-", "mmu-") for n in new.var_names[:-2]] + list(new.var_names[-2:])
    assert refused(bundle, mouse).str.startswith("another species (mmu)").all()
    genes = new.copy()
    genes.var_names = [f"GENE{i}" for i in range(new.n_vars - 2)] + list(new.var_names[-2:])
    assert len(refused(bundle, genes)) == new.n_obs
    genes.var_names = [f"GENE{i}" for i in range(new.n_vars)]
    with pytest.raises(InputError, match="none of the 120 sRNAs is among the target names"):
        samples.annotate(genes, bundle)


def test_shuffled_names_and_unknown_classes_are_mostly_refused(bundle, new):
    mixed = new.copy()
    mixed.var_names = np.random.default_rng(3).permutation(new.var_names)
    assert len(refused(bundle, mixed)) >= 0.8 * new.n_obs
    strange = laboratories(3, 8, seed=11, classes=("eye", "eye"), prefix="e")
    level = np.ones(strange.n_vars)
    level[60:] = np.random.default_rng(5).uniform(0.01, 30, strange.n_vars - 60)
    strange.X = type(strange.X)(np.round(strange.X.toarray() * level))
    assert len(refused(bundle, strange)) >= 0.8 * strange.n_obs


def test_normalised_values_and_two_bundles_of_one_task_are_refused(bundle, new):
    scaled = new.copy()
    scaled.uns["srna"] = dict(new.uns["srna"]) | {"quantity": "normalised"}
    with pytest.raises(InputError, match="it holds normalised values; expected raw counts"):
        samples.annotate(scaled, bundle)
    with pytest.raises(InputError, match="bundles: found tissue, tissue; expected at least one, each of another label"):
        samples.annotate(new, [bundle, bundle])
    with pytest.raises(InputError, match="bundles: found none"):
        samples.annotate(new, [])


def test_too_few_studies_make_no_bundle():
    with pytest.raises(
        InputError, match="toy: 9 studies have a known tissue; expected at least 16 to promise at most 6%"
    ):
        train(laboratories(9), "tissue", profile=PROFILE, progress=False)
    with pytest.raises(InputError, match="unknown recipe of a bundle 'rf_paper': expected one of dl_log"):
        train(laboratories(6), "tissue", recipe="rf_paper")


# ---- arithmetic


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), min_size=1), st.floats(0.01, 20))
def test_a_weighted_quantile_has_its_weight_below(pairs, level):
    values, weights = (np.array(x, float) for x in zip(*pairs, strict=True))
    q = weighted_quantile(values, weights, level)
    if q == bundles.NEVER and weights.sum() < level:
        return
    assert weights[values <= q].sum() >= level - 1e-9 and weights[values < q].sum() < level


def test_the_least_confidence_keeps_the_error():
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    correct = np.array([True, True, False, True, True])
    weights = np.full(5, 10.0)
    assert surest(confidence, correct, weights, 0.05) == 0.8  # (0 + 1) / 21
    assert surest(confidence, correct, weights, 0.25) == 0.5  # (10 + 1) / 51
    assert surest(confidence, ~correct, weights, 0.05) == bundles.NEVER
    assert surest(np.full(5, 0.7), correct, weights, 0.1) == bundles.NEVER  # equal confidence is taken or left as one


def test_who_is_not_sure_of_a_class_may_be_of_its_parent():
    p = np.array([[0.9, 0.05, 0.05], [0.5, 0.45, 0.05], [0.4, 0.2, 0.4], [0.9, 0.05, 0.05]])
    limits = {"temperature": 1.0, "confidence": 0.8, "parent": 0.9, "distance": 0.5}
    table = decide(p, np.array([0.1, 0.1, 0.1, 0.6]), limits, np.array([0, 0, 1]))
    assert table["status"].tolist() == ["predicted", "backed off", "abstained", "abstained"]
    assert table["reason"].tolist() == ["", "", "undecided", "unlike every training sample"]
    alone = decide(p, np.full(4, 0.1), limits | {"parent": 0.0}, np.array([0, 1, 2]))
    assert alone["status"].tolist() == ["predicted", "abstained", "abstained", "predicted"]  # no parents, no back-off


# ---- names of MirGeneDB


def test_all_genes_of_mirgenedb_map_with_both_arms_star_and_coordinates():
    rows = mirna_table().set_index("accession")["name"].to_dict()
    names, expected = [], []
    for gene, (loop, five, three) in mirgenedb().items():
        for arm, accession in (("5p", five), ("3p", three)):
            for text in (f"{gene}_{arm}", f"{gene}_{arm}*", f"{gene}_{arm} chr1:100-160(+)"):
                names.append(text)
                expected.append(rows.get(accession, "") if accession else "")
        names.append(f"{gene}_pre")
        expected.append(loop if loop in set(mirna_table()["name"]) else "")
    found = srna.data.match_names(names)["target"].tolist()
    wrong = [(n, e, f) for n, e, f in zip(names, expected, found, strict=True) if e != f]
    assert len(mirgenedb()) == 556 and not wrong, wrong[:5]
    assert np.mean([bool(e) for e in expected]) > 0.85


def test_joined_paralogues_are_one_arm_or_a_merged_name():
    joined = srna.data.match_names(["Hsa-Let-7-P1a_5p/P2a1_5p/P2a2_5p", "Hsa-Let-7-P1a_5p/P1b_5p", "Hsa.Let.7.P1a_5p"])
    assert joined["target"].tolist() == ["hsa-let-7a-5p", "hsa-let-7a-5p;hsa-let-7e-5p", "hsa-let-7a-5p"]
    assert joined["how"].tolist() == ["alias", "split", "alias"]


def test_a_table_in_names_of_mirgenedb_is_told_the_same(bundle, new, told):
    rows = mirna_table().set_index("accession")["name"].to_dict()
    arms = [
        (f"{g}_{a}", acc) for g, (_, *both) in mirgenedb().items() for a, acc in zip(("5p", "3p"), both, strict=True)
    ]
    once = pd.Series({name: rows.get(accession) for name, accession in arms})
    once = once.dropna().drop_duplicates()
    back = dict(zip(once, once.index, strict=True))
    renamed = new.copy()
    renamed.var_names = [back.get(n, n) for n in new.var_names]
    assert sum(n in back for n in new.var_names) > 10
    table = samples.annotate(renamed, bundle).uns["annotation"]
    expected = told.uns["annotation"]["likeliest_probability"]
    np.testing.assert_allclose(table["likeliest_probability"], expected, atol=1e-6)


# ---- commands


def invoke(*words):
    return CliRunner().invoke(cli.app, [str(w) for w in words])


@pytest.fixture
def table(new, tmp_path):
    path = tmp_path / "counts.csv"
    srna.data.counts_frame(new).T.astype(int).to_csv(path)
    return path


def test_from_a_table_to_answers_and_back(bundle, table, told, tmp_path):
    folder = save(bundle, tmp_path / "bundle")
    done = invoke("annotate", table, "--bundle", folder, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "24 samples" in done.output and "tissue: " in done.output
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == ["annotated.h5ad", "predictions.csv", "report.html", "srna_mqc.json"]
    rows = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False)
    assert rows["prediction"].tolist() == told.uns["annotation"]["prediction"].tolist()
    assert read_h5ad(tmp_path / "out" / "annotated.h5ad").n_obs == 24
    again = invoke("annotate", table, "--bundle", folder, "--out", tmp_path / "again")
    assert again.exit_code == 0
    first, second = ((tmp_path / d / "predictions.csv").read_bytes() for d in ("out", "again"))
    assert first == second
    assert len(json.loads((tmp_path / "out" / "srna_mqc.json").read_text())["data"]) == 24


def test_text_that_looks_like_a_formula_is_quoted(bundle, new, tmp_path):
    odd = new.copy()
    odd.obs_names = ["=1+1", "@sum", *new.obs_names[2:]]
    samples.write(samples.annotate(odd, bundle), tmp_path / "out")
    ids = pd.read_csv(tmp_path / "out" / "predictions.csv")["sample_id"].tolist()
    assert "'=1+1" in ids and "'@sum" in ids


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["annotate", "nowhere.csv", "--out", "o"], "nowhere.csv"),
        (["annotate", "counts.csv", "--out", "."], "it exists already; expected the name of a new folder"),
        (["annotate", "counts.csv", "--out", "o", "--bundle", "tisue"], "unknown bundle 'tisue'"),
        (["annotate", "rpm.csv", "--out", "o"], "expected raw read counts"),
        (["annotate", "genes.csv", "--out", "o"], "genes.csv"),
        (["annotate", "counts.csv", "--out", "o", "--format", "kallisto"], "unknown format 'kallisto'"),
        (["annotate", "counts.csv", "--out", "o", "--metadata", "no.csv"], "no.csv"),
        (["train", "demo", "--task", "tisue", "--out", "o"], "obs['tisue'] is missing"),
        (["train", "dmeo", "--task", "tissue", "--out", "o"], "unknown data set 'dmeo'"),
        (["train", "demo", "--task", "tissue_group", "--out", "."], "it exists already"),
    ],
)
def test_wrong_uses_get_one_sentence_and_leave_nothing(new, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    counts = srna.data.counts_frame(new).T
    counts.astype(int).to_csv("counts.csv")
    (1e6 * counts / counts.sum()).to_csv("rpm.csv")
    counts.astype(int).set_axis([f"GENE{i}" for i in range(len(counts))]).to_csv("genes.csv")
    before = sorted(p.name for p in tmp_path.iterdir())
    done = invoke(*words)
    assert done.exit_code == 2 and said in done.output, done.output
    assert len(done.output.strip().splitlines()) == 1 and "Traceback" not in done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_training_by_command(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "make_recipe", recipe)
    monkeypatch.setattr("srna_lib.datasets.load", lambda name: laboratories(8, 9))
    monkeypatch.setattr(bundles, "build_recipe", lambda task, name, **_: recipe(name, **SMALL))
    done = invoke(
        "train", "demo", "--task", "tissue", "--out", tmp_path / "b", "--folds", 3, "--jobs", 1, "--error", 0.2
    )
    assert done.exit_code == 0, done.output
    assert "# Model card: tissue" in done.output and load_bundle(tmp_path / "b").classes == list(CLASSES)


# ---- what travels with the package


def test_shipped_bundles_are_whole_small_and_keep_what_was_asked():
    found = {name: load_bundle(name) for name in shipped()}
    assert set(samples.DEFAULT) <= set(found)
    size = sum(p.stat().st_size for folder in shipped().values() for p in folder.iterdir())
    assert size < 15e6
    lineage, group = (found[n].about["measured"] for n in ("lineage", "tissue_group"))
    assert lineage["accuracy_of_predicted"] >= 0.95 and lineage["predicted_share"] >= 0.80
    assert group["accuracy_of_predicted"] >= 0.93 and group["predicted_share"] >= 0.70
    for kept in (lineage, group):
        assert 0.88 <= kept["set_coverage_over_studies"] <= 0.92
        assert kept["set_coverage_lower_quartile_of_large_studies"] >= 0.85
    assert all(c["term"] for c in found["lineage"].about["classes"])


def test_a_lung_is_no_blood_cell(real):
    """Whole organs that no training sample is: fetal lungs by lineage and tissue group."""
    atlas = real("fetal_lung")[:40].copy()
    table = samples.annotate(atlas, explain=False).uns["annotation"]
    made = table[table["status"] == "predicted"]
    assert not set(made["prediction"]) & {"blood cell", "blood", "biofluid"}
    assert (table["names_known"] > 0.95).all()
