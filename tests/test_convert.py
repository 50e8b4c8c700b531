"""``srna convert``: summary, exit codes, and files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from srna_lib import io
from srna_lib.data.atlas import check_atlas
from srna_lib.io import h5ad, readers
from srna_lib.report import cli

PLAIN = "miRNA,s1,s2\nhsa-miR-1-3p,5,0\nSNORD44,7,120\n"


@pytest.fixture
def counts_file(tmp_path) -> Path:
    path = tmp_path / "liver.csv"
    path.write_text(PLAIN)
    return path


def convert(*words: object):
    return CliRunner().invoke(cli.app, ["convert", *map(str, words)])


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_an_atlas_is_written_and_described(counts_file, tmp_path):
    (tmp_path / "liver.metadata.tsv").write_text("sample\ttissue\tsex\ns1\tliver\tM\ns2\tliver\tF\n")
    out = tmp_path / "new" / "atlas.h5ad"
    result = convert(counts_file, "--out", out, "--dataset-id", "mine")
    assert result.exit_code == 0, result.output
    for part in ("format:", "table (CSV", "2 (miRNA 1, snoRNA 1)",
                 "known names: 100.0% look like sRNAs","liver.metadata.tsv",
                 "tissue (2), sex (2)", "quantity:    counts", "median 66", f"written: {out}"):  # fmt: skip
        assert part in result.stdout, result.stdout
    adata = check_atlas(ad.read_h5ad(out))
    np.testing.assert_array_equal(adata.X.toarray(), [[5, 7], [0, 120]])
    assert adata.obs["dataset_id"].tolist() == ["mine"] * 2 and adata.obs["sex"].tolist() == ["male", "female"]
    assert adata.uns["srna"]["sources"]["url"].tolist() == ["liver.csv"]
    assert str(tmp_path) not in str(adata.uns["srna"]), "the path of the user's machine travels with the atlas"
    assert left(out.parent) == ["atlas.h5ad"]


def test_options_reach_the_reader(counts_file, tmp_path, monkeypatch):
    seen = {}

    def record(path, **options):
        seen.update(options, path=path)
        return made

    made = readers.read(counts_file)
    monkeypatch.setattr(io, "read", record)
    words = "--format mirge3 --metadata m.csv --dataset-id D --allow-normalised --round --missing zero"
    assert convert(counts_file, "--out", tmp_path / "a.h5ad", *words.split()).exit_code == 0
    assert seen == {
        "path": counts_file, "format": "mirge3", "metadata": Path("m.csv"), "dataset_id": "D",
        "allow_normalised": True, "round_expected": True, "missing": "zero",
    }  # fmt: skip


def test_normalised_values_are_marked(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("miRNA,s1,s2\nhsa-miR-1-3p,5.5,0.1\nSNORD44,7.2,12.0\n")
    out = tmp_path / "a.h5ad"
    result = convert(path, "--out", out)
    assert result.exit_code == 2 and "--allow-normalised" in result.stderr and not out.exists()
    result = convert(path, "--out", out, "--allow-normalised")
    assert result.exit_code == 0 and "quantity:    normalised" in result.stdout
    assert ad.read_h5ad(out).uns["srna"]["quantity"] == "normalised"


def test_an_existing_output_is_kept_unless_forced(counts_file, tmp_path):
    out = tmp_path / "a.h5ad"
    out.write_text("precious")
    result = convert(counts_file, "--out", out)
    assert result.exit_code == 2 and "exists already" in result.stderr and out.read_text() == "precious"
    assert convert(counts_file, "--out", out, "--force").exit_code == 0
    assert ad.read_h5ad(out).n_obs == 2


def test_a_failed_conversion_keeps_the_existing_output(tmp_path):
    out, bad = tmp_path / "a.h5ad", tmp_path / "bad.csv"
    out.write_text("precious")
    bad.write_text(PLAIN.replace(",7,", ",-7,"))
    result = convert(bad, "--out", out, "--force")
    assert result.exit_code == 2 and out.read_text() == "precious"
    assert left(tmp_path) == ["a.h5ad", "bad.csv"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_writing_leaves_nothing(counts_file, tmp_path, monkeypatch, error):
    def fail(self, content):
        with open(self, "wb") as file:
            file.write(content[:100])
        raise error

    monkeypatch.setattr(Path, "write_bytes", fail)
    result = convert(counts_file, "--out", tmp_path / "a.h5ad")
    assert result.exit_code == (2 if isinstance(error, OSError) else 130)
    assert ("No space left" if isinstance(error, OSError) else "interrupted") in result.stderr
    assert left(tmp_path) == ["liver.csv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.csv", "--out", "a.h5ad"], "no such file"),
        (["liver.csv", "--out", "a.csv"], "ends in '.csv'; expected a name that ends in .h5ad"),
        (["liver.csv", "--out", "a"], "ends in 'nothing'"),
        (["liver.csv", "--out", "folder.h5ad"], "is a folder"),
        (["atlas.h5ad", "--out", "atlas.h5ad", "--force"], "the input itself"),
        (["liver.csv", "--out", "a.h5ad", "--format", "xls"], "unknown format"),
        (["liver.csv", "--out", "a.h5ad", "--metadata", "none.csv"], "no such file"),
        (["liver.csv", "--out", "liver.csv/a.h5ad"], "cannot be written"),
    ],
)
def test_mistakes_are_answered_with_one_sentence(counts_file, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.h5ad").mkdir()
    h5ad.write_h5ad(readers.read(counts_file), tmp_path / "atlas.h5ad")
    before = left(tmp_path)
    result = convert(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith("srna: error: ") and result.stderr.count("\n") == 1
    assert said in result.stderr and left(tmp_path) == before


def test_convert_fits_into_another_app(counts_file, tmp_path):
    app = typer.Typer()
    app.command()(cli.convert)
    app.command()(lambda: None)
    assert CliRunner().invoke(app, ["convert", str(counts_file), "--out", str(tmp_path / "a.h5ad")]).exit_code == 0
    assert "--allow-normalised" in convert("--help").stdout
