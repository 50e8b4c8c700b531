"""Registry, parsed atlases, and the sentence for each way that loading can fail."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from toyfile import COMMIT, CONTENT, FILE, TOY, URL, files_below

from srna_lib.data.atlas import counts_frame, make_atlas
from srna_lib.datasets import registry, simulated
from srna_lib.errors import InputError


def test_registry_is_complete():
    assert {"demo", *registry.PARSERS} <= set(registry.names())
    for name, entry in registry.registered().items():
        for field in ("title", "citation", "licence"):
            assert isinstance(entry[field], str) and entry[field].strip(), f"{name}: {field}"
        assert isinstance(entry["simulated"], bool)
        assert entry["simulated"] == (not entry["files"]), f"{name}: a simulated data set has no file, a real one has"
        assert entry["simulated"] or (name in registry.PARSERS) == entry.get("atlas", True)
        assert ("samples" in entry) == ("features" in entry) == (name in registry.PARSERS)
        for file in entry["files"]:
            assert set(file) - {"dataset"} == {"repository", "commit", "path", "bytes", "sha256"}
            assert re.fullmatch(r"[0-9a-f]{64}", file["sha256"])
            assert re.fullmatch(r"[0-9a-f]{40}", file["commit"])
            assert re.fullmatch(r"[\w.-]+/[\w.-]+", file["repository"])
            assert not Path(file["path"]).is_absolute() and ".." not in Path(file["path"]).parts
            assert file["bytes"] > 0


def test_every_data_set_stands_in_the_readme_of_the_data_folder():
    text = (Path(__file__).parent.parent / "data" / "README.md").read_text(encoding="utf-8")
    for name, entry in registry.registered().items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"| {entry['licence']} |" in row


def test_registry_matches_the_mirror(mirror):
    for entry in registry.registered().values():
        for file in entry["files"]:
            content = (mirror / file["repository"] / file["commit"] / file["path"]).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])


@pytest.mark.parametrize(
    ("name", "hint"),
    [("mirom", "; did you mean 'mirome'?"), ("Demo", "; did you mean 'demo'?"), ("zzz", "."), ("", ".")],
)
@pytest.mark.parametrize("call", [registry.entry, registry.fetch, registry.load, registry.state, registry.options])
def test_unknown_name(call, name, hint):
    with pytest.raises(InputError) as caught:
        call(name)
    assert str(caught.value) == f"unknown data set {name!r}: expected one of {', '.join(registry.registered())}{hint}"


def test_simulated_data_have_no_file(empty_cache):
    assert registry.fetch("demo") == []
    assert not empty_cache.exists()


def test_truncated_copy_of_the_real_file(mirror, tmp_path, monkeypatch):
    file = registry.registered()["mirome"]["files"][0]
    place = Path(file["repository"]) / file["commit"] / file["path"]
    copy = tmp_path / "mirror" / place
    copy.parent.mkdir(parents=True)
    copy.write_bytes((mirror / place).read_bytes()[:-1])
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("SRNA_DATA_DIR", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=rf"wrong SHA-256 for 'mirome' .*{file['bytes']} bytes\);"):
        registry.load("mirome")
    assert files_below(tmp_path / "cache") == []


@pytest.fixture
def parser(counts, obs, monkeypatch):
    """A parser of the toy with one option; remembers its calls."""
    seen = []

    def parse(path, info, *, scale=1):
        seen.append((path, dict(info), scale))
        return make_atlas(counts * scale, obs, info=info)

    monkeypatch.setitem(registry.PARSERS, "toy", parse)
    return seen


def test_load_hands_file_and_description_to_the_parser(toy_mirror, parser):
    atlas = registry.load("toy")
    ((path, info, _),) = parser
    assert path.read_bytes() == CONTENT
    sources = info.pop("sources")
    assert sources.to_dict("records") == [{"url": URL, "sha256": FILE["sha256"]}]
    assert info == {"name": "toy", "title": "Toy", "citation": "Me (2020)", "licence": "MIT", "simulated": False}
    assert atlas.uns["srna"]["sources"].equals(sources) and atlas.uns["srna"]["quantity"] == "counts"


def test_files_reach_the_parser_in_the_order_of_the_registry(empty_cache, tmp_path, monkeypatch, counts, obs):
    files = []
    for number in range(12):
        content = f"{number}".encode()
        file = {**FILE, "path": f"{number}.rda", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        copy = tmp_path / "mirror" / "owner" / "repo" / COMMIT / file["path"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        files.append(file)
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(registry, "registered", lambda: {"toy": {**TOY, "files": files}})
    given: list[str] = []

    def parse(*paths, info):
        given.extend(path.read_text() for path in paths)
        return make_atlas(counts, obs, info=info)

    monkeypatch.setitem(registry.PARSERS, "toy", parse)
    told: list[Path] = []
    assert registry.fetch("toy", step=told.append) == told and len(told) == 12
    assert len(registry.load("toy").uns["srna"]["sources"]) == 12
    assert given == [str(number) for number in range(12)]


def test_parsed_once(toy_mirror, empty_cache, parser, counts):
    first, second = registry.load("toy"), registry.load("toy", seed=5)
    assert len(parser) == 1
    assert counts_frame(first).equals(counts_frame(second)) and first.obs.equals(second.obs)
    assert [p.suffix for p in (empty_cache / "toy").iterdir() if p.is_file()] == [".h5ad"]


def test_parsed_atlas_needs_no_source_file(toy_mirror, empty_cache, parser, monkeypatch):
    registry.load("toy")
    toy_mirror.unlink()
    shutil.rmtree(empty_cache / "toy" / FILE["sha256"][:12])
    assert registry.load("toy").shape == (6, 4) and len(parser) == 1


def test_another_source_file_is_parsed_again(toy_mirror, parser, monkeypatch):
    registry.load("toy")
    toy_mirror.write_bytes(b"new")
    file = {**FILE, "bytes": 3, "sha256": hashlib.sha256(b"new").hexdigest()}
    monkeypatch.setattr(registry, "registered", lambda: {"toy": {**TOY, "files": [file]}})
    registry.load("toy")
    assert [path.read_bytes() for path, *_ in parser] == [CONTENT, b"new"]


def test_another_version_of_the_parser_parses_again(toy_mirror, parser, monkeypatch, counts, obs):
    registry.load("toy")
    code = Path(registry.__file__)
    monkeypatch.setattr(registry.inspect, "getfile", lambda call: str(code))
    registry.load("toy")
    assert len(parser) == 2


def test_options(toy_mirror, parser):
    assert registry.options("toy") == {"scale": 1} and registry.options("demo") == {}
    plain, double = registry.load("toy"), registry.load("toy", scale=2)
    assert double.X.sum() == 2 * plain.X.sum()
    registry.load("toy", scale=1)  # the default, said: the same file
    registry.load("toy", scale=2)
    assert [scale for *_, scale in parser] == [1, 2]


def test_options_of_the_real_ones():
    assert registry.options("tcga") == {"common_features": True}
    assert registry.options("lgrc") == {"loci": "sum"}
    assert registry.options("mirome") == registry.options("annotation") == {}


@pytest.mark.parametrize(
    ("name", "known"), [("toy", "scale"), ("demo", "none")], ids=["of a real data set", "of a simulated one"]
)
def test_unknown_option(toy_mirror, parser, name, known):
    with pytest.raises(InputError) as caught:
        registry.load(name, sale=2)
    assert str(caught.value) == f"{name!r} has no option 'sale': expected {known}."
    assert parser == []


def test_files_that_are_no_atlas(empty_cache, monkeypatch):
    monkeypatch.setattr(registry, "registered", lambda: {"toy": TOY, "maps": {**TOY, "atlas": False}})
    assert registry.names() == ["toy"]
    with pytest.raises(InputError, match=r"^'maps' holds no atlas: expected one of toy \(fetch brings its files\)\.$"):
        registry.load("maps")


def test_state(toy_mirror, empty_cache, parser, monkeypatch):
    assert registry.state("demo") == "simulated"
    assert registry.state("toy") == "mirror"
    registry.fetch("toy")
    assert registry.state("toy") == "cached"
    toy_mirror.unlink()
    assert registry.state("toy") == "cached"
    registry.load("toy")
    assert registry.state("toy") == "parsed"
    shutil.rmtree(empty_cache)
    assert registry.state("toy") == "not fetched"
    other = {**FILE, "path": "other.rda", "sha256": "0" * 64}
    monkeypatch.setattr(registry, "registered", lambda: {"toy": {**TOY, "files": [FILE, other]}})
    toy_mirror.write_bytes(CONTENT)
    assert registry.state("toy") == "partly"


def test_load_hands_the_seed_to_the_simulator(empty_cache, monkeypatch):
    monkeypatch.setattr(simulated, "simulate_atlas", lambda *, seed, info: (seed, info))
    seed, info = registry.load("demo", seed=7)
    assert seed == 7
    assert info["name"] == "demo" and info["simulated"] is True
    assert list(info["sources"].columns) == ["url", "sha256"] and info["sources"].empty


def test_load_of_the_original_says_where_it_is_from(mirome):
    info = mirome.uns["srna"]
    file = registry.registered()["mirome"]["files"][0]
    assert info["name"] == "mirome" and info["simulated"] is False and info["quantity"] == "counts"
    assert info["licence"] == "GPL-3" and "Halushka" in info["citation"]
    (source,) = info["sources"].to_dict("records")
    assert source["sha256"] == file["sha256"]
    assert file["repository"] in source["url"] and file["commit"] in source["url"]


def test_registry_has_the_sizes_of_the_data(real):
    for name in ("mirome", "micrornaome", "tissue_atlas2", "lgrc", "fetal_lung", "tcga_trf"):
        entry = registry.entry(name)
        assert real(name).shape == (entry["samples"], entry["features"])


def test_registry_is_laid_out_by_its_script():
    script = Path(__file__).parent.parent / "scripts" / "make_registry.py"
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0


def test_registry_file_is_plain_json():
    text = (Path(registry.__file__).parents[1] / "resources" / "datasets.json").read_text(encoding="utf-8")
    written, known = json.loads(text), registry.registered()
    assert list(written) == list(known)
    for name, entry in written.items():
        assert entry == {**known[name], "files": entry["files"]}
        if "parts" in entry:  # an atlas of several data sets has the files of its parts
            assert entry["files"] == [] and {f["dataset"] for f in known[name]["files"]} == set(entry["parts"])
        else:
            assert entry["files"] == known[name]["files"]


@pytest.fixture
def own(counts, obs, info, tmp_path):
    """An atlas file as a user would bring it: counts and studies, nothing more."""
    atlas = make_atlas(counts, obs, None, info=info)
    del atlas.uns["srna"], atlas.var["biotype"]
    path = tmp_path / "mine.h5ad"
    atlas.write_h5ad(path)
    return path


def test_own_file_is_read_and_completed(own, counts):
    atlas = registry.load(str(own))
    assert atlas.shape == counts.shape
    assert atlas.X.toarray().max() == counts.to_numpy().max()
    assert list(atlas.var["biotype"]) == ["miRNA", "miRNA", "miRNA", "snoRNA"]
    about = atlas.uns["srna"]
    assert (about["name"], about["citation"], about["simulated"]) == ("mine", "not stated", False)
    assert len(about["sources"]["sha256"].iloc[0]) == 64
    assert registry.fetch(str(own)) == [own]
    assert registry.entry(str(own))["title"] == "mine"


def spoil(path, change):
    atlas = ad.read_h5ad(path)
    values = atlas.X.toarray()
    if callable(change):
        atlas = change(atlas)
    else:
        values[1, 2] = change
        atlas.X = values
    atlas.write_h5ad(path)


def without_study(atlas):
    del atlas.obs["dataset_id"]
    return atlas


def twice(atlas):
    atlas.obs_names = ["s0", *atlas.obs_names[1:-1], "s0"]
    return atlas


@pytest.mark.filterwarnings("ignore:.*names are not unique")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (-1.0, "negative counts in 1 cells"),
        (0.5, "not whole numbers in 1 cells"),
        (np.nan, r"missing \(NaN\) counts in 1 cells"),
        (np.inf, "infinite counts in 1 cells"),
        (without_study, r"obs\['dataset_id'\] is missing"),
        (twice, "sample names appear more than once"),
        (lambda a: a[:0].copy(), "the atlas is empty"),
    ],
)
def test_own_file_that_breaks_the_contract_is_named(own, change, says):
    spoil(own, change)
    with pytest.raises(InputError, match=says) as caught:
        registry.load(str(own))
    assert str(caught.value).startswith(str(own))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b"hello", "no HDF5 file"), (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "damaged")],
)
def test_own_file_that_is_no_atlas(tmp_path, content, says):
    path = tmp_path / "broken.h5ad"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"broken\.h5ad: .*{says}.*; expected"):
        registry.load(str(path))


def test_own_file_that_is_not_there(tmp_path):
    says = r"there is no such file; expected an atlas \(\.h5ad\) or the name of a data set"
    with pytest.raises(InputError, match=says):
        registry.load(str(tmp_path / "no.h5ad"))
