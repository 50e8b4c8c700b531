"""Audits: swapped labels found again, studies told from samples, duplicates, commands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_annotate import laboratories
from typer.testing import CliRunner

import srna_lib as srna
from srna_lib.annotate.audit import _flag, audit, write_audit
from srna_lib.data.atlas import counts_frame, make_atlas
from srna_lib.errors import InputError
from srna_lib.report import cli


def spoilt(atlas, share: float, label: str, seed: int = 0):
    """An atlas with the labels of some samples replaced by another one, and whose they are."""
    rng, out = np.random.default_rng(seed), atlas.copy()
    known = np.flatnonzero(out.obs[label].notna())
    rows = rng.choice(known, max(1, round(share * len(known))), replace=False)
    labels, values = out.obs[label].astype(object).to_numpy().copy(), sorted(out.obs[label].dropna().unique())
    for row in rows:
        labels[row] = rng.choice([v for v in values if v != labels[row]])
    out.obs[label] = labels
    return out, set(out.obs_names[rows])


@pytest.mark.parametrize("share", [*(pytest.param(s, marks=pytest.mark.slow) for s in (0.01, 0.02)), 0.05])
def test_swapped_labels_are_found_again_in_the_simulated_atlas(share):
    atlas, wrong = spoilt(srna.load("demo"), share, "tissue_group")
    wrong &= set(atlas.obs_names[(atlas.obs["tissue_group"] != "Other").to_numpy()])
    answer = audit(atlas, progress=False)
    found = set(answer.samples["sample_id"])
    assert len(found & wrong) / len(wrong) >= 0.8 and len(found & wrong) / len(found) >= 0.8


def test_a_clean_atlas_has_hardly_a_flag():
    answer = audit(laboratories(24, 6), "tissue", progress=False)
    assert answer.summary["flagged"] <= 2 and answer.summary["samples"] == 144 and answer.summary["studies"] == 24
    assert answer.duplicates.empty


def test_swaps_within_a_study_and_whole_studies_are_told_apart():
    atlas = laboratories(24, 6)
    obs = atlas.obs
    obs["tissue"] = obs["tissue"].where(obs["dataset_id"] != "sS03", "brain")  # one label, but
    atlas.X[np.flatnonzero(obs["dataset_id"] == "sS03")] = atlas.X[np.flatnonzero(obs["tissue"] == "brain")[:6]]
    odd = obs.index[obs["dataset_id"] == "sS03"][2]
    obs.loc[odd, "tissue"] = "liver"
    turned = obs["dataset_id"] == "sS05"
    obs.loc[turned, "tissue"] = obs.loc[turned, "tissue"].map({"brain": "heart", "heart": "liver", "liver": "brain"})
    answer = audit(atlas, "tissue", progress=False)
    rows, studies = answer.samples.set_index("sample_id"), answer.studies.set_index("dataset_id")
    assert rows.loc[odd, ["recorded", "predicted"]].tolist() == ["liver", "brain"]
    assert studies.loc["sS05", "contradicted"] == 1 and answer.studies["dataset_id"].iloc[0] == "sS05"
    assert studies.loc["sS03", "flagged"] == 1


def test_with_fewer_studies_than_folds_each_study_is_left_out_once():
    atlas = laboratories(4, 12)
    answer = audit(atlas, "tissue", n_splits=10, progress=False)
    assert set(answer.studies["dataset_id"]) == set(atlas.obs["dataset_id"]) and answer.summary["samples"] == 48


def test_flags_by_hand():
    table = pd.DataFrame({"sample_id": list("abcdef"), "dataset_id": ["S"] * 4 + ["T"] * 2})
    table["y_true"] = ["x", "x", "x", "y", "x", "y"]
    table[["p_x", "p_y"]] = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.7, 0.3], [0.2, 0.8], [0.7, 0.3]]
    rows, studies, summary = _flag(table, ["x", "y"])
    # d: .7 * 3.25 against .3 * .25; c: d's label is there, too: .1 * 2.25 against .9 * 1.25; e and f of T are a swap
    assert rows["sample_id"].tolist() == ["d", "e", "f", "c"]
    assert rows["recorded_in_study"].iloc[0] == pytest.approx(0.3 * 0.25 / (0.3 * 0.25 + 0.7 * 3.25))
    assert rows.set_index("sample_id")["swapped_with"].to_dict() == {"d": "c", "e": "f", "f": "e", "c": "d"}
    assert studies.set_index("dataset_id")["contradicted"].to_dict() == {"T": 1.0, "S": 0.5}
    assert summary["flagged"] == 4 and summary["studies_flagged"] == 1
    assert summary["expected_wrong_flags"] == pytest.approx(rows["recorded_in_study"].mean())


def test_a_study_without_a_flag_is_not_counted_among_those_with_one():
    table = pd.DataFrame({"sample_id": list("abcdef"), "dataset_id": ["S"] * 4 + ["T"] * 2})
    table["y_true"] = ["x", "x", "x", "y", "x", "y"]
    table[["p_x", "p_y"]] = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.7, 0.3], [0.8, 0.2], [0.3, 0.7]]
    _, studies, summary = _flag(table, ["x", "y"])
    assert studies.set_index("dataset_id")["flagged"].to_dict() == {"S": 2, "T": 0}
    assert summary["studies_flagged"] == 0.5 and summary["studies_flagged_at_least"] < 0.5


def test_libraries_that_are_there_twice_are_listed_with_their_labels():
    atlas = laboratories(24, 6)
    counts, obs = counts_frame(atlas), atlas.obs.copy()
    counts.iloc[7] = counts.iloc[0]
    obs.loc[obs.index[7], "tissue"] = "heart" if obs["tissue"].iloc[0] != "heart" else "brain"
    twice = audit(make_atlas(counts, obs, info=dict(atlas.uns["srna"])), "tissue", progress=False).duplicates
    assert set(twice["sample_id"]) == {counts.index[0], counts.index[7]} and set(twice["labels"]) == {2}


def test_the_double_libraries_of_real_cells_are_found(mirome):
    """SRP108655 holds libraries twice."""
    cells = mirome[mirome.obs["dataset_id"].isin(["SRP108655", "SRP110505", "SRP014020", "DRP001151"])]
    from srna_lib.explore import duplicate_profiles

    assert "SRP108655" in set(duplicate_profiles(cells)["dataset_id"])


def invoke(*words):
    return CliRunner().invoke(cli.app, [str(w) for w in words])


def test_by_command(tmp_path, monkeypatch):
    monkeypatch.setattr("srna_lib.datasets.load", lambda name: spoilt(laboratories(24, 6), 0.03, "tissue")[0])
    done = invoke("audit", "demo", "--label", "tissue", "--out", tmp_path / "out", "--jobs", 1)
    assert done.exit_code == 0, done.output
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == ["duplicates.csv", "report.html", "samples.csv", "studies.csv"]
    assert len(pd.read_csv(tmp_path / "out" / "studies.csv")) == 24 and "contradict" in done.output
    for words, said in (
        (["audit", "demo", "--label", "tissue", "--out", tmp_path / "out"], "it exists already"),
        (["audit", "demo", "--label", "tisue", "--out", tmp_path / "o"], "obs['tisue'] is missing"),
    ):
        wrong = invoke(*words)
        assert wrong.exit_code == 2 and said in wrong.output and len(wrong.output.strip().splitlines()) == 1
    with pytest.raises(InputError, match="it exists already"):
        write_audit(audit(laboratories(24, 6), "tissue", progress=False), tmp_path / "out")
