"""Leaderboards: the choice inside training studies, the rows, and the command's folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from typer.testing import CliRunner

import srna_lib as srna
from srna_lib.data import Task
from srna_lib.errors import InputError
from srna_lib.evaluate import benchmark, benchmark_splits, compare, select
from srna_lib.evaluate.benchmark import inner_splits
from srna_lib.report import cli
from srna_lib.report.leaderboard import leaderboard_tables
from srna_lib.report.results import RECORD_FIELDS


def columns(first: int, last: int) -> FunctionTransformer:
    return FunctionTransformer(lambda X: np.log2(1 + X.iloc[:, first:last]))


HONEST = Pipeline([("pick", columns(0, 1)), ("classifier", LogisticRegression())])
SPY = Pipeline([("pick", columns(1, 13)), ("classifier", KNeighborsClassifier(3))])


@pytest.fixture(scope="module")
def planted() -> Task:
    """Nine of ten samples of a study are of its class; sRNA 0 follows the class, twelve others name one study each."""
    rng = np.random.default_rng(0)
    study = np.repeat(np.arange(12), 10)
    lifted = (study % 2 == 0) ^ (np.arange(120) % 10 == 0)
    X = np.hstack([2.0 ** (3 + 1.2 * lifted[:, None] + rng.normal(size=(120, 1))), 500 * np.eye(12)[study]])
    names = [f"s{i:03d}" for i in range(120)]
    groups = pd.Series([f"S{i:02d}" for i in study], index=names)
    frame = pd.DataFrame(X.round(), names, [f"x{i}" for i in range(13)])
    return Task("toy", frame, pd.Series(np.where(lifted, "a", "b"), index=names), groups, {})


@pytest.mark.parametrize("scheme", ["study", "one_dataset_out", "random"])
def test_no_test_sample_of_an_outer_fold_is_in_an_inner_one(planted, scheme):
    outer = srna.make_splits(planted, scheme)
    inner = inner_splits(planted, outer, 3, seed=0)
    assert len(inner) == 3 * len(outer)
    for fold, train, test in inner:
        _, known, left = outer[int(fold.split(".")[0])]
        assert not set(left) & {*train, *test}
        assert {*train, *test} == set(known)
        assert not set(planted.groups.iloc[train]) & set(planted.groups.iloc[test])
    for i in range(len(outer)):
        tested = np.concatenate([s.test for s in inner if s.fold.startswith(f"{i}.")])
        assert sorted(tested) == sorted(outer[i].train)


@pytest.mark.parametrize("scheme", ["study", "random"])
def test_a_feature_that_names_the_study_buys_nothing(planted, scheme):
    """Random folds would choose the model that reads it; folds of training studies do not, whatever the outer folds."""
    two = {"spy": SPY, "honest": HONEST}
    seen = srna.cross_validate(planted, two, "random", progress=False)
    shares = (seen["y_true"] == seen["y_pred"]).groupby(seen["model"]).mean()
    assert shares["spy"] > shares["honest"] + 0.05
    splits = srna.make_splits(planted, scheme)
    found = select(planted, two, splits, scheme="x", progress=False)
    assert set(found["chosen"]) == {"honest"} and set(found["model"]) == {"selected"}
    honest = srna.cross_validate(planted, {"honest": HONEST}, splits, scheme="x", progress=False)
    pd.testing.assert_frame_equal(found[honest.columns], honest.assign(model="selected"))


def test_each_fold_chooses_for_itself_and_by_seed(planted):
    """In one half of the studies sRNA 0 tells the class, in the other sRNA 13: who trains on one half reads its own."""
    half = (planted.groups < "S06").to_numpy()
    noise = np.random.default_rng(1).permutation(planted.X["x0"])
    X = planted.X.assign(x0=planted.X["x0"].where(half, noise), x13=planted.X["x0"].where(~half, noise))
    task = Task("toy", X, planted.y, planted.groups, {})
    last = Pipeline([("pick", columns(13, 14)), ("classifier", LogisticRegression())])
    sides = [np.flatnonzero(half), np.flatnonzero(~half)]
    splits = [srna.evaluate.Split("first", *sides), srna.evaluate.Split("second", *sides[::-1])]
    found = [select(task, {"x0": HONEST, "x13": last}, splits, seed=1, progress=False) for _ in range(2)]
    pd.testing.assert_frame_equal(*(table.drop(columns="fit_seconds") for table in found))
    assert found[0].groupby("fold")["chosen"].unique().map(list).to_dict() == {"first": ["x0"], "second": ["x13"]}
    assert found[0]["fold"].tolist() == ["first"] * 60 + ["second"] * 60


def test_rows_of_a_leaderboard(planted, tmp_path):
    folds = srna.make_splits(planted, "study", n_splits=3)
    settings = {"scheme": "study", "dataset": "toy", "n_boot": 50, "progress": False, "cache": tmp_path}
    names = ["dummy", "selected", "logistic", "wccn"]
    found = benchmark(planted, names, folds, **settings)
    rows = found.scores.set_index(["model", "metric"])
    assert list(dict.fromkeys(found.predictions["model"])) == names
    assert (
        set(found.scores["scheme"]) == {"grouped_kfold"} and rows.drop(index="chosen", level="metric").index.is_unique
    )
    seconds = rows.xs("fit_seconds", level="metric")["value"]
    assert (seconds > 0).all() and seconds["selected"] > seconds["logistic"]
    assert list(dict.fromkeys(found.differences["pair"])) == [f"{m} minus logistic" for m in names if m != "logistic"]
    chosen = rows.xs("chosen", level="metric").set_index("class")["value"]
    per_fold = found.predictions.query("model == 'selected'").groupby("fold")["chosen"].first()
    assert chosen.to_dict() == per_fold.value_counts().to_dict() and chosen.sum() == 3
    only = compare(found.predictions, [("wccn", "logistic")], correction="none", n_boot=2000)
    ours = found.differences.query("pair == 'wccn minus logistic' and metric == 'accuracy'")
    assert ours["difference"].item() == only["difference"].item()
    again = benchmark(planted, names, folds, **settings)
    for a, b in zip(found, again, strict=True):  # seconds, too: they are kept with the fold
        pd.testing.assert_frame_equal(a, b)


def test_collections_left_out_are_told_one_by_one(planted):
    atlas = srna.load("demo")
    task = srna.make_task(atlas, "tissue_group")
    first = task.groups.astype(str).reindex(atlas.obs_names) < "SIM030"
    atlas.obs["collection"] = np.where(first, "one", "two")
    splits = benchmark_splits(task, atlas, "one_collection_out")
    found = benchmark(task, ["dummy"], splits, scheme="one_collection_out", n_boot=20, progress=False).scores
    sizes = found[found["metric"] == "accuracy"].set_index("scheme")["n_samples"]
    assert list(sizes.index) == ["one_collection_out", "one_collection_out, one", "one_collection_out, two"]
    assert sizes.iloc[0] == sizes.iloc[1:].sum() == sum(len(split.test) for split in splits)
    assert (found["metric"] == "fit_seconds").sum() == 1


def test_one_recipe_is_no_choice(planted):
    with pytest.raises(InputError, match="selected has 1 to choose from; expected two or more of logistic, wccn"):
        benchmark(planted, ["logistic", "selected", "dummy"], srna.make_splits(planted, "study"), scheme="study")


def invoke(*words: object):
    return CliRunner().invoke(cli.app, ["benchmark", *(str(word) for word in words)])


SMALL = ("--dataset", "demo", "--jobs", 1, "--folds", 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("boards") / "board"
    result = invoke(*SMALL, "--recipes", "logistic,dummy", "--schemes", "study", "--out", out)
    assert result.exit_code == 0, result.output
    assert "demo, tissue_group, study: 3 folds, 1155 samples, logistic, dummy" in result.output
    assert result.output.strip().endswith(f"written: {out}")
    return out


def test_a_leaderboard_on_disk(folder):
    records = json.loads((folder / "leaderboard.json").read_text())
    assert all(set(r) == set(RECORD_FIELDS) for r in records)
    value = {(r["model"], r["metric"]): r["value"] for r in records}
    wide = pd.read_csv(folder / "leaderboard.csv", index_col="model")
    assert list(wide.index) == ["logistic", "dummy", "dummy minus logistic"]
    for model, row in wide.iterrows():
        assert row["balanced_accuracy"] == pytest.approx(value[model, "balanced_accuracy"], abs=1e-4)
    gap = value["dummy", "accuracy"] - value["logistic", "accuracy"]
    assert value["dummy minus logistic", "accuracy"] == pytest.approx(gap)
    studies, table = pd.read_csv(folder / "studies.csv"), pd.read_parquet(folder / "predictions.parquet")
    assert studies["logistic"].mean() == pytest.approx(value["logistic", "accuracy_per_dataset"], abs=1e-4)
    assert studies["n_samples"].sum() == (table["model"] == "dummy").sum() == 1155
    page = (folder / "leaderboard.md").read_text()
    assert page == "# Leaderboard\n\n" + leaderboard_tables(records) + "\n"
    assert page.index("| `logistic` |") < page.index("| `dummy` |") < page.index("| `dummy` - `logistic` |")
    assert f"{value['logistic', 'accuracy']:.3f} [" in page


def test_the_page_says_what_was_chosen_how_often():
    about = {"dataset": "toy", "task": "t", "scheme": "one_collection_out, old", "n_samples": 9, "n_datasets": 2}
    about |= {"features": "sRNA", "seed": 0, "ci_low": None, "ci_high": None}
    value = {"accuracy": 0.5, "balanced_accuracy": None, "accuracy_per_dataset": 0.25, "chosen:wccn": 3.0}
    records = [about | {"model": "selected", "metric": name, "value": v} for name, v in value.items()]
    records += [about | {"model": "selected minus wccn", "metric": m, "value": -0.1} for m in list(value)[:3]]
    assert leaderboard_tables(records, level=3).splitlines() == [
        "### `toy`, `t`: one collection out, old",
        "",
        "9 samples of 2 studies.",
        "",
        "| recipe | accuracy | balanced accuracy | mean over studies |",
        "|---|---|---|---|",
        "| `selected` | 0.500 |  | 0.250 |",
        "",
        "Folds in which `selected` is a recipe: `wccn` 3.",
        "",
        "| paired difference | accuracy | balanced accuracy | mean over studies |",
        "|---|---|---|---|",
        "| `selected` - `wccn` | -0.100 | -0.100 | -0.100 |",
    ]


@pytest.mark.slow
def test_the_same_command_goes_on_and_another_adds_rows(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "board")
    before = json.loads((folder / "leaderboard.json").read_text())
    monkeypatch.setattr("srna_lib.evaluate.crossval.fit_fold", lambda *a, **o: pytest.fail("a fold was done again"))
    same = invoke(*SMALL, "--recipes", "logistic,dummy", "--schemes", "study", "--out", tmp_path / "board")
    assert same.exit_code == 0, same.output
    assert json.loads((tmp_path / "board/leaderboard.json").read_text()) == before
    monkeypatch.undo()
    more = invoke(*SMALL, "--recipes", "logistic", "--schemes", "random", "--out", tmp_path / "board")
    assert more.exit_code == 0, more.output
    after = json.loads((tmp_path / "board/leaderboard.json").read_text())
    assert after[: len(before)] == before
    assert {(r["scheme"], r["model"]) for r in after[len(before) :]} == {("random_5fold", "logistic")}
    joined = invoke(*SMALL, "--recipes", "dummy", "--schemes", "random", "--out", tmp_path / "board")
    assert joined.exit_code == 0, joined.output  # the baseline is a row that is there
    pairs = pd.read_csv(tmp_path / "board/leaderboard.csv").query("scheme == 'random_5fold'")["model"]
    assert "dummy minus logistic" in set(pairs)
    seeded = invoke(*SMALL, "--seed", 1, "--out", tmp_path / "board")
    assert seeded.exit_code == 2 and "was made with seed 0; expected a new folder for seed 1" in seeded.output


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--recipes", "logistic,nothing"], "expected one or several of dl_paper"),
        (["--recipes", "logistic,robust+bath"], "ordinal, metadata, selected, with commas"),
        (["--label", "nothing"], "obs['nothing'] is missing"),
        (["--schemes", "one_collection_out"], "obs['collection'] is missing"),
        (["--schemes", "weekly"], "unknown scheme 'weekly'"),
        (["--recipes", "robust,dummy"], "baselines logistic: none of them is among the recipes"),
        (["--recipes", "logistic,selected"], "selected has 1 to choose from"),
        (["--recipes", "logistic,metadata", "--dataset", "nowhere"], "unknown data set 'nowhere'"),
        (["--folds", "100", "--recipes", "logistic"], "57 studies cannot make 100 grouped folds"),
    ],
)
def test_wrong_input_is_one_sentence_and_nothing_is_written(tmp_path, words, found):
    result = invoke("--dataset", "demo", "--out", tmp_path / "board", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("srna: error: ") and result.stderr.count("\n") == 1
    assert found in result.stderr
    assert not (tmp_path / "board").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    result = invoke(*SMALL, "--out", tmp_path)
    assert result.exit_code == 2 and "holds no benchmark.json" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]
