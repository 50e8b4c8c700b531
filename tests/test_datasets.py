"""Registry, mirror, cache, download; and the sentence for each way that it can fail."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import urllib.error
from pathlib import Path

import anndata as ad
import numpy as np
import pooch
import pytest
import requests

from srna_lib import datasets, simulate
from srna_lib.atlas import counts_frame, make_atlas
from srna_lib.errors import InputError

CONTENT = b"what the file holds\n"
COMMIT = "c" * 40
FILE = {
    "repository": "owner/repo",
    "commit": COMMIT,
    "path": "some/folder/data.rda",
    "bytes": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
}
TOY = {"title": "Toy", "citation": "Me (2020)", "licence": "MIT", "simulated": False, "files": [FILE]}
URL = f"https://raw.githubusercontent.com/owner/repo/{COMMIT}/some/folder/data.rda"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, no mirror, a registry of one data set, and a network that refuses."""
    monkeypatch.setenv("SRNA_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("SRNA_DATA_MIRROR", raising=False)
    monkeypatch.setattr(datasets, "registry", lambda: {"demo": {**TOY, "simulated": True, "files": []}, "toy": TOY})
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", _raise(requests.ConnectionError("no route")))
    return tmp_path / "cache"


@pytest.fixture
def toy_mirror(cache, tmp_path, monkeypatch) -> Path:
    """A mirror that holds the file; returns the copy's path."""
    copy = tmp_path / "mirror" / "owner" / "repo" / COMMIT / "some" / "folder" / "data.rda"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(CONTENT)
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(tmp_path / "mirror"))
    return copy


def _raise(error):
    def call(self, url, output_file, downloader, **options):
        raise error

    return call


def _serve(monkeypatch, content):
    """Let the network answer with these bytes; return the list of asked addresses."""
    asked = []

    def call(self, url, output_file, downloader, **options):
        asked.append(url)
        Path(output_file).write_bytes(content)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", call)
    return asked


def files_below(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_registry_is_complete():
    assert {"demo", *datasets.PARSERS} <= set(datasets.names())
    for name, entry in datasets.registry().items():
        for field in ("title", "citation", "licence"):
            assert isinstance(entry[field], str) and entry[field].strip(), f"{name}: {field}"
        assert isinstance(entry["simulated"], bool)
        assert entry["simulated"] == (not entry["files"]), f"{name}: a simulated data set has no file, a real one has"
        assert entry["simulated"] or (name in datasets.PARSERS) == entry.get("atlas", True)
        assert ("samples" in entry) == ("features" in entry) == (name in datasets.PARSERS)
        for file in entry["files"]:
            assert set(file) - {"dataset"} == {"repository", "commit", "path", "bytes", "sha256"}
            assert re.fullmatch(r"[0-9a-f]{64}", file["sha256"])
            assert re.fullmatch(r"[0-9a-f]{40}", file["commit"])
            assert re.fullmatch(r"[\w.-]+/[\w.-]+", file["repository"])
            assert not Path(file["path"]).is_absolute() and ".." not in Path(file["path"]).parts
            assert file["bytes"] > 0


def test_every_data_set_stands_in_the_readme_of_the_data_folder():
    text = (Path(__file__).parent.parent / "data" / "README.md").read_text(encoding="utf-8")
    for name, entry in datasets.registry().items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"| {entry['licence']} |" in row


def test_registry_matches_the_mirror(mirror):
    for entry in datasets.registry().values():
        for file in entry["files"]:
            content = (mirror / file["repository"] / file["commit"] / file["path"]).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])


@pytest.mark.parametrize(
    ("name", "hint"),
    [("mirom", "; did you mean 'mirome'?"), ("Demo", "; did you mean 'demo'?"), ("zzz", "."), ("", ".")],
)
@pytest.mark.parametrize("call", [datasets.entry, datasets.fetch, datasets.load, datasets.state, datasets.options])
def test_unknown_name(call, name, hint):
    with pytest.raises(InputError) as caught:
        call(name)
    assert str(caught.value) == f"unknown data set {name!r}: expected one of {', '.join(datasets.registry())}{hint}"


def test_mirror_is_used(toy_mirror, cache):
    (path,) = datasets.fetch("toy")
    assert path.read_bytes() == CONTENT
    assert path == cache / "toy" / FILE["sha256"][:12] / "data.rda"
    assert files_below(cache) == ["data.rda"]
    assert toy_mirror.read_bytes() == CONTENT


def test_cached_file_needs_no_mirror(toy_mirror, cache, monkeypatch):
    (first,) = datasets.fetch("toy")
    stamp = first.stat().st_mtime_ns
    monkeypatch.delenv("SRNA_DATA_MIRROR")
    toy_mirror.unlink()
    (second,) = datasets.fetch("toy")
    assert second == first and second.stat().st_mtime_ns == stamp


def test_simulated_data_have_no_file(cache):
    assert datasets.fetch("demo") == []
    assert not cache.exists()


def test_download(cache, monkeypatch):
    asked = _serve(monkeypatch, CONTENT)
    (path,) = datasets.fetch("toy")
    assert asked == [URL]
    assert path.read_bytes() == CONTENT
    assert files_below(cache) == ["data.rda"]
    datasets.fetch("toy")
    assert asked == [URL]


def test_mirror_without_the_file_falls_back_to_the_network(toy_mirror, monkeypatch):
    toy_mirror.unlink()
    asked = _serve(monkeypatch, CONTENT)
    assert datasets.fetch("toy")[0].read_bytes() == CONTENT
    toy_mirror.mkdir()  # a folder where the file should be is no file either
    datasets.fetch("toy")[0].unlink()
    assert datasets.fetch("toy")[0].read_bytes() == CONTENT
    assert asked == [URL, URL]


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT + b"x", CONTENT.replace(b"w", b"W")])
def test_corrupted_cache_is_removed_and_the_next_fetch_repairs(toy_mirror, cache, damage):
    (path,) = datasets.fetch("toy")
    path.write_bytes(damage)
    found = hashlib.sha256(damage).hexdigest()[:12]
    with pytest.raises(InputError) as caught:
        datasets.fetch("toy")
    assert str(caught.value) == (
        f"{path}: the cached file of 'toy' is damaged (SHA-256 {found}..., expected {FILE['sha256'][:12]}...)"
        " and was removed; run the command again to fetch it afresh."
    )
    assert files_below(cache) == []
    assert datasets.fetch("toy")[0].read_bytes() == CONTENT


def test_truncated_copy_in_the_mirror(toy_mirror, cache):
    toy_mirror.write_bytes(CONTENT[:5])
    sentence = rf"^{re.escape(str(toy_mirror))}: wrong SHA-256 for 'toy' \(\w{{12}}\.\.\., 5 bytes; expected"
    with pytest.raises(InputError, match=sentence + rf" {FILE['sha256'][:12]}\.\.\., {len(CONTENT)} bytes\)"):
        datasets.fetch("toy")
    assert files_below(cache) == []
    assert toy_mirror.read_bytes() == CONTENT[:5]  # the mirror is not ours to clean
    toy_mirror.write_bytes(CONTENT)
    assert datasets.fetch("toy")[0].read_bytes() == CONTENT


def test_truncated_copy_of_the_real_file(mirror, tmp_path, monkeypatch):
    file = datasets.registry()["mirome"]["files"][0]
    place = Path(file["repository"]) / file["commit"] / file["path"]
    copy = tmp_path / "mirror" / place
    copy.parent.mkdir(parents=True)
    copy.write_bytes((mirror / place).read_bytes()[:-1])
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("SRNA_DATA_DIR", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=rf"wrong SHA-256 for 'mirome' .*{file['bytes'] - 1} bytes; expected"):
        datasets.load("mirome")
    assert files_below(tmp_path / "cache") == []


def test_truncated_download(cache, monkeypatch):
    _serve(monkeypatch, CONTENT[:7])
    with pytest.raises(InputError, match=rf"^{re.escape(URL)}: wrong SHA-256 for 'toy' .* 7 bytes; .*was not kept\.$"):
        datasets.fetch("toy")
    assert files_below(cache) == []
    _serve(monkeypatch, CONTENT)
    assert datasets.fetch("toy")[0].read_bytes() == CONTENT


def test_part_file_of_a_killed_run_does_no_harm(toy_mirror, cache):
    left = cache / "toy" / FILE["sha256"][:12] / "data.rda.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert datasets.fetch("toy")[0].read_bytes() == CONTENT
    assert files_below(cache) == ["data.rda"]


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError("no route"), requests.Timeout("slow"), requests.HTTPError("404"),
     requests.exceptions.ChunkedEncodingError("cut"), urllib.error.URLError("dns")],
    ids=lambda e: type(e).__name__,
)  # fmt: skip
def test_no_network_and_no_mirror(cache, monkeypatch, error):
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", _raise(error))
    with pytest.raises(InputError) as caught:
        datasets.fetch("toy")
    assert str(caught.value) == (
        f"'toy': the download of {URL} failed ({type(error).__name__}); expected a network connection, or"
        " SRNA_DATA_MIRROR set to a folder with the file (the data set 'demo' needs neither)."
    )
    assert files_below(cache) == []


def test_no_network_and_a_mirror_without_the_file(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match=r"^'toy': the mirror '.*elsewhere' does not hold it and the download of"):
        datasets.fetch("toy")


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_cache_folder_that_is_a_file(toy_mirror, cache, depth):
    blocked = (cache, cache / "toy", cache / "toy" / FILE["sha256"][:12])[depth]
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("in the way")
    with pytest.raises(
        InputError,
        match=r": the cache folder cannot be written \(.+\); expected a writable folder \(set SRNA_DATA_DIR\)",
    ) as caught:
        datasets.fetch("toy")
    assert str(cache / "toy") in str(caught.value)
    assert blocked.read_text() == "in the way"


def test_cache_folder_without_permission(toy_mirror, cache, monkeypatch):
    def refuse(self, **options):  # not chmod: root may write anywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\); expected a writable folder"):
        datasets.fetch("toy")


def test_full_disk(toy_mirror, cache, monkeypatch):
    def full(source, target):
        Path(target).write_bytes(CONTENT[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets.shutil, "copyfile", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        datasets.fetch("toy")
    assert files_below(cache) == []


def test_a_run_that_is_killed_leaves_no_file_under_the_final_name(toy_mirror, cache, monkeypatch):
    seen = []

    def crash(source, target):
        seen.append((Path(source).read_bytes(), Path(target).exists()))
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets.os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        datasets.fetch("toy")
    assert seen == [(CONTENT, False)]
    assert files_below(cache) == []


def test_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("SRNA_DATA_DIR", str(tmp_path))
    assert datasets.cache_dir() == tmp_path
    monkeypatch.delenv("SRNA_DATA_DIR")
    assert datasets.cache_dir() == Path(datasets.__file__).resolve().parent.parent / "data"
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "lib" / "srna_lib" / "datasets.py"))
    assert datasets.cache_dir().name == "srna_lib"
    assert tmp_path not in datasets.cache_dir().parents


@pytest.fixture
def parser(counts, obs, monkeypatch):
    """A parser of the toy with one option; remembers its calls."""
    seen = []

    def parse(path, info, *, scale=1):
        seen.append((path, dict(info), scale))
        return make_atlas(counts * scale, obs, info=info)

    monkeypatch.setitem(datasets.PARSERS, "toy", parse)
    return seen


def test_load_hands_file_and_description_to_the_parser(toy_mirror, parser):
    atlas = datasets.load("toy")
    ((path, info, _),) = parser
    assert path.read_bytes() == CONTENT
    sources = info.pop("sources")
    assert sources.to_dict("records") == [{"url": URL, "sha256": FILE["sha256"]}]
    assert info == {"name": "toy", "title": "Toy", "citation": "Me (2020)", "licence": "MIT", "simulated": False}
    assert atlas.uns["srna"]["sources"].equals(sources) and atlas.uns["srna"]["quantity"] == "counts"


def test_files_reach_the_parser_in_the_order_of_the_registry(cache, tmp_path, monkeypatch, counts, obs):
    files = []
    for number in range(12):
        content = f"{number}".encode()
        file = {**FILE, "path": f"{number}.rda", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        copy = tmp_path / "mirror" / "owner" / "repo" / COMMIT / file["path"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        files.append(file)
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(datasets, "registry", lambda: {"toy": {**TOY, "files": files}})
    given: list[str] = []

    def parse(*paths, info):
        given.extend(path.read_text() for path in paths)
        return make_atlas(counts, obs, info=info)

    monkeypatch.setitem(datasets.PARSERS, "toy", parse)
    told: list[Path] = []
    assert datasets.fetch("toy", step=told.append) == told and len(told) == 12
    assert len(datasets.load("toy").uns["srna"]["sources"]) == 12
    assert given == [str(number) for number in range(12)]


def test_parsed_once(toy_mirror, cache, parser, counts):
    first, second = datasets.load("toy"), datasets.load("toy", seed=5)
    assert len(parser) == 1
    assert counts_frame(first).equals(counts_frame(second)) and first.obs.equals(second.obs)
    assert [p.suffix for p in (cache / "toy").iterdir() if p.is_file()] == [".h5ad"]


def test_parsed_atlas_needs_no_source_file(toy_mirror, cache, parser, monkeypatch):
    datasets.load("toy")
    toy_mirror.unlink()
    shutil.rmtree(cache / "toy" / FILE["sha256"][:12])
    assert datasets.load("toy").shape == (6, 4) and len(parser) == 1


def test_another_source_file_is_parsed_again(toy_mirror, parser, monkeypatch):
    datasets.load("toy")
    toy_mirror.write_bytes(b"new")
    file = {**FILE, "bytes": 3, "sha256": hashlib.sha256(b"new").hexdigest()}
    monkeypatch.setattr(datasets, "registry", lambda: {"toy": {**TOY, "files": [file]}})
    datasets.load("toy")
    assert [path.read_bytes() for path, *_ in parser] == [CONTENT, b"new"]


def test_another_version_of_the_parser_parses_again(toy_mirror, parser, monkeypatch, counts, obs):
    datasets.load("toy")
    code = Path(datasets.__file__)
    monkeypatch.setattr(datasets.inspect, "getfile", lambda call: str(code))
    datasets.load("toy")
    assert len(parser) == 2


def test_options(toy_mirror, parser):
    assert datasets.options("toy") == {"scale": 1} and datasets.options("demo") == {}
    plain, double = datasets.load("toy"), datasets.load("toy", scale=2)
    assert double.X.sum() == 2 * plain.X.sum()
    datasets.load("toy", scale=1)  # the default, said: the same file
    datasets.load("toy", scale=2)
    assert [scale for *_, scale in parser] == [1, 2]


def test_options_of_the_real_ones():
    assert datasets.options("tcga") == {"common_features": True}
    assert datasets.options("lgrc") == {"loci": "sum"}
    assert datasets.options("mirome") == datasets.options("annotation") == {}


@pytest.mark.parametrize(
    ("name", "known"), [("toy", "scale"), ("demo", "none")], ids=["of a real data set", "of a simulated one"]
)
def test_unknown_option(toy_mirror, parser, name, known):
    with pytest.raises(InputError) as caught:
        datasets.load(name, sale=2)
    assert str(caught.value) == f"{name!r} has no option 'sale': expected {known}."
    assert parser == []


def test_files_that_are_no_atlas(cache, monkeypatch):
    monkeypatch.setattr(datasets, "registry", lambda: {"toy": TOY, "maps": {**TOY, "atlas": False}})
    assert datasets.names() == ["toy"]
    with pytest.raises(InputError, match=r"^'maps' holds no atlas: expected one of toy \(fetch brings its files\)\.$"):
        datasets.load("maps")


def test_state(toy_mirror, cache, parser, monkeypatch):
    assert datasets.state("demo") == "simulated"
    assert datasets.state("toy") == "mirror"
    datasets.fetch("toy")
    assert datasets.state("toy") == "cached"
    toy_mirror.unlink()
    assert datasets.state("toy") == "cached"
    datasets.load("toy")
    assert datasets.state("toy") == "parsed"
    shutil.rmtree(cache)
    assert datasets.state("toy") == "not fetched"
    other = {**FILE, "path": "other.rda", "sha256": "0" * 64}
    monkeypatch.setattr(datasets, "registry", lambda: {"toy": {**TOY, "files": [FILE, other]}})
    toy_mirror.write_bytes(CONTENT)
    assert datasets.state("toy") == "partly"


def test_load_hands_the_seed_to_the_simulator(cache, monkeypatch):
    monkeypatch.setattr(simulate, "simulate_atlas", lambda *, seed, info: (seed, info))
    seed, info = datasets.load("demo", seed=7)
    assert seed == 7
    assert info["name"] == "demo" and info["simulated"] is True
    assert list(info["sources"].columns) == ["url", "sha256"] and info["sources"].empty


def test_load_of_the_original_says_where_it_is_from(mirome):
    info = mirome.uns["srna"]
    file = datasets.registry()["mirome"]["files"][0]
    assert info["name"] == "mirome" and info["simulated"] is False and info["quantity"] == "counts"
    assert info["licence"] == "GPL-3" and "Halushka" in info["citation"]
    (source,) = info["sources"].to_dict("records")
    assert source["sha256"] == file["sha256"]
    assert file["repository"] in source["url"] and file["commit"] in source["url"]


def test_registry_has_the_sizes_of_the_data(real):
    for name in ("mirome", "micrornaome", "tissue_atlas2", "lgrc", "fetal_lung", "tcga_trf"):
        entry = datasets.entry(name)
        assert real(name).shape == (entry["samples"], entry["features"])


def test_registry_is_laid_out_by_its_script():
    script = Path(__file__).parent.parent / "scripts" / "make_registry.py"
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0


def test_registry_file_is_plain_json():
    text = (Path(datasets.__file__).parent / "resources" / "datasets.json").read_text(encoding="utf-8")
    written, known = json.loads(text), datasets.registry()
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
    atlas = datasets.load(str(own))
    assert atlas.shape == counts.shape
    assert atlas.X.toarray().max() == counts.to_numpy().max()
    assert list(atlas.var["biotype"]) == ["miRNA", "miRNA", "miRNA", "other"]
    about = atlas.uns["srna"]
    assert (about["name"], about["citation"], about["simulated"]) == ("mine", "not stated", False)
    assert len(about["sources"]["sha256"].iloc[0]) == 64
    assert datasets.fetch(str(own)) == [own]
    assert datasets.entry(str(own))["title"] == "mine"


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
        (twice, "duplicate sample names"),
        (lambda a: a[:0].copy(), "the atlas is empty"),
    ],
)
def test_own_file_that_breaks_the_contract_is_named(own, change, says):
    spoil(own, change)
    with pytest.raises(InputError, match=says) as caught:
        datasets.load(str(own))
    assert str(caught.value).startswith(str(own))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + b"\0" * 64])
def test_own_file_that_is_no_atlas(tmp_path, content):
    path = tmp_path / "broken.h5ad"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.h5ad: this is no readable AnnData file"):
        datasets.load(str(path))


def test_own_file_that_is_not_there(tmp_path):
    says = r"there is no such file; expected an atlas \(\.h5ad\) or the name of a data set"
    with pytest.raises(InputError, match=says):
        datasets.load(str(tmp_path / "no.h5ad"))
