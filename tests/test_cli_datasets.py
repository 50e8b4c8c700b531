"""The commands that list, fetch and describe data sets."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from srna_lib import datasets
from srna_lib.data.atlas import make_atlas
from srna_lib.datasets import files, registry
from srna_lib.errors import InputError
from srna_lib.report import cli

CONTENTS = {"a.rda": b"one", "b.rda": b"the other"}
COMMIT = "c" * 40
FILES = [
    {"repository": "owner/repo", "commit": COMMIT, "path": path, "bytes": len(content),
     "sha256": hashlib.sha256(content).hexdigest()}
    for path, content in CONTENTS.items()
]  # fmt: skip
TOY = {
    "title": "Toy", "citation": "Me (2020)", "licence": "MIT", "simulated": False, "samples": 6, "features": 4,
    "files": FILES, "columns": ["dataset_id", "age_years", "sex", "barcode"],
}  # fmt: skip


@pytest.fixture
def toy(tmp_path, monkeypatch, counts, obs):
    """A registry of a simulated data set, a real one and files that are no atlas; a mirror and an empty cache."""
    folder = tmp_path / "mirror" / "owner" / "repo" / COMMIT
    folder.mkdir(parents=True)
    for path, content in CONTENTS.items():
        (folder / path).write_bytes(content)
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("SRNA_DATA_DIR", str(tmp_path / "cache"))
    maps = {
        **{k: v for k, v in TOY.items() if k not in ("samples", "features", "columns")},
        "atlas": False,
        "title": "Maps",
    }
    known = {"demo": {**TOY, "simulated": True, "files": []}, "toy": TOY, "maps": maps}
    for module in (registry, datasets):
        monkeypatch.setattr(module, "registered", lambda: known)
    obs = obs.assign(sex=["female", "male"] * 3, donor_id=[f"p{i}" for i in range(6)], cell_type=list("abcdef"))
    monkeypatch.setitem(registry.PARSERS, "toy", lambda *paths, info: make_atlas(counts, obs, info=info))
    return folder


def invoke(*words: str):
    return CliRunner().invoke(cli.datasets_app, list(words))


def test_list(toy):
    result = invoke("list")
    assert result.exit_code == 0
    assert [re.split("  +", line) for line in result.stdout.splitlines()] == [
        ["name", "samples x features", "state", "labels", "title", "licence"],
        ["demo", "6 x 4", "simulated", "sex, age_years", "Toy", "MIT"],
        ["toy", "6 x 4", "mirror", "sex, age_years", "Toy", "MIT"],
        ["maps", "-", "mirror", "-", "Maps", "MIT"],
    ]
    invoke("fetch", "toy")
    assert "cached" in invoke("list").stdout
    registry.load("toy")
    assert "parsed" in invoke("list").stdout


def test_list_of_the_real_registry():
    result = invoke("list")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(registry.registered()) + 1
    assert "10893 x 680" in result.stdout


# parses real data, which takes minutes where nothing is kept yet
@pytest.mark.parametrize(
    "name", [n if n == "demo" else pytest.param(n, marks=pytest.mark.slow) for n in registry.names()]
)
def test_the_registry_knows_the_columns_of_every_atlas(name, request):
    atlas = registry.load(name) if name == "demo" else request.getfixturevalue("real")(name)
    assert set(registry.entry(name)["columns"]) == {c for c in atlas.obs if atlas.obs[c].nunique() > 1}


def test_fetch(toy, tmp_path):
    result = invoke("fetch", "toy", "demo", "maps")
    assert result.exit_code == 0
    assert f"toy: 2 files, 0.0 kB, verified in {tmp_path / 'cache' / 'toy'}" in result.stdout
    assert "demo: simulated, there is nothing to fetch" in result.stdout
    assert sorted(p.name for p in (tmp_path / "cache").rglob("*.rda")) == ["a.rda", "a.rda", "b.rda", "b.rda"]


def test_fetch_of_an_unknown_name_fetches_nothing(toy, tmp_path):
    result = invoke("fetch", "toy", "toyy")
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith(
        "unknown data set 'toyy': expected one of demo, toy, maps; did you mean 'toy'"
    )
    assert not (tmp_path / "cache").exists()


def test_fetch_needs_a_name(toy):
    assert invoke("fetch").exit_code == 2


def test_describe(toy):
    result = invoke("describe", "toy")
    assert result.exit_code == 0
    out = result.stdout
    for line in (
        "toy", "  title: Toy", "  citation: Me (2020)", "  licence: MIT", "  simulated: no",
        "  samples x features: 6 x 4", "  state: mirror", "  options: none", "  files: 2", "  quantity: counts",
        "  found: 6 samples x 4 features", "    dataset_id: 6 of 6 samples, 3 values: A 2, B 2, C 2",
        "    donor_id: 6 of 6 samples, 6 values",
        "    tissue_group: 5 of 6 samples, 3 values: liver 2, brain 2, Other 1",
        "    sex: 6 of 6 samples, 2 values: female 3, male 3", "    age_years: 5 of 6 samples, 1 to 6, median 4",
    ):  # fmt: skip
        assert line in out.splitlines(), line
    for file in FILES:
        assert files.RAW.format(**file) in out and file["sha256"] in out


def test_describe_cuts_a_long_list_of_labels(toy, monkeypatch):
    monkeypatch.setattr(cli, "SHOWN", 2)
    (line,) = [x for x in invoke("describe", "toy").stdout.splitlines() if "cell_type" in x]
    assert line.endswith("6 values: a 1, b 1, and 4 more")


def test_describe_downloads_nothing(toy):
    for path in CONTENTS:
        (toy / path).unlink()
    result = invoke("describe", "toy")
    assert result.exit_code == 0
    assert "  state: not fetched" in result.stdout.splitlines()
    assert "  labels: dataset_id, sex, age_years; how many samples have them is known once the files are here" in (
        result.stdout.splitlines()
    )
    assert "(srna datasets fetch toy)" in result.stdout


def test_describe_files_that_are_no_atlas(toy):
    result = invoke("describe", "maps")
    assert result.exit_code == 0
    assert "files: 2" in result.stdout and "quantity" not in result.stdout


def test_describe_options_of_the_real_one(toy, monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv("SRNA_DATA_MIRROR", raising=False)
    monkeypatch.setattr(datasets, "state", lambda name: "not fetched")
    assert "options: common_features=True" in invoke("describe", "tcga").stdout


def test_describe_real(real, monkeypatch, mirror):
    monkeypatch.setenv("SRNA_DATA_DIR", str(real.folder))
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(mirror))
    out = invoke("describe", "lgrc").stdout
    assert "diagnosis: 351 of 351 samples, 3 values: COPD 145, ILD 144, control 62" in out


def test_describe_an_atlas_file(toy, tmp_path):
    path = tmp_path / "mine.h5ad"
    registry.load("toy").write_h5ad(path)
    result = invoke("describe", str(path))
    assert result.exit_code == 0, result.output
    assert "    sex: 6 of 6 samples, 2 values: female 3, male 3" in result.stdout.splitlines()
    assert "  state: a file of yours" in result.stdout.splitlines()


@pytest.mark.parametrize("word", ["", "zzz"])
def test_describe_unknown(toy, word):
    assert isinstance(invoke("describe", word).exception, InputError)


def test_help_is_light():
    code = (
        "import sys; from srna_lib.report import cli;"
        "print([m for m in ('pandas', 'anndata', 'keras', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
