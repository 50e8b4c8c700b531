"""Parsed atlases on disk: the same from file and parser, damaged or outdated files are found out."""

from __future__ import annotations

import hashlib
import logging

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from srna_lib.data.atlas import counts_frame, make_atlas
from srna_lib.datasets import files as datasets_files
from srna_lib.io import h5ad_bytes


@pytest.fixture
def described(info):
    return {**info, "simulated": False}


@pytest.fixture
def parse(counts, obs, described):
    """A parser that counts how often it ran, with every kind of column and of addition to uns."""
    obs = obs.assign(flag=[True, False] * 3, nothing=np.nan, platform=["HiSeq", None, "HiSeq", "GA", np.nan, "GA"])
    obs["platform"] = obs["platform"].astype(object).where(obs["platform"].notna(), np.nan)
    var = pd.DataFrame({"biotype": "miRNA", "common": [True, False, True, True]}, index=counts.columns)
    added = {"rounded": 3, "loci": "sum", "table": pd.DataFrame({"cohort": ["b", "a"], "n": [1, 2]})}

    def _parse():
        _parse.calls += 1
        return make_atlas(counts, obs, var, info={**described, **added})

    _parse.calls = 0
    return _parse


def files(folder):
    return sorted(p.name for p in folder.iterdir())


def assert_same(one: ad.AnnData, two: ad.AnnData):
    pd.testing.assert_frame_equal(one.obs, two.obs)
    pd.testing.assert_frame_equal(one.var, two.var)
    pd.testing.assert_frame_equal(counts_frame(one), counts_frame(two))
    left, right = one.uns["srna"], two.uns["srna"]
    assert set(left) == set(right)
    for key, value in left.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, right[key], check_index_type=False)
        else:
            assert (value, type(value)) == (right[key], type(right[key])), key


def test_parsed_once_and_the_same_from_file(tmp_path, parse, described):
    fresh = parse()
    first = datasets_files.cached(tmp_path, "v", "k", described, parse)
    second = datasets_files.cached(tmp_path, "v", "k", described, parse)
    assert parse.calls == 2  # the first call is the comparison's
    for atlas in (first, second):
        assert_same(fresh, atlas)
        assert atlas.obs["platform"].dtype == object and atlas.X.dtype == np.float64
    assert len(files(tmp_path)) == 1


def test_description_is_the_present_one(tmp_path, parse, described):
    datasets_files.cached(tmp_path, "v", "k", described, parse)
    again = datasets_files.cached(tmp_path, "v", "k", {**described, "title": "New"}, parse)
    assert again.uns["srna"]["title"] == "New" and again.uns["srna"]["rounded"] == 3
    assert parse.calls == 1


@pytest.mark.parametrize("place", [0, 0.3, 0.5, 0.9, 1])
def test_damaged_file_is_parsed_again_with_a_word(tmp_path, parse, described, caplog, place):
    fresh = datasets_files.cached(tmp_path, "v", "k", described, parse)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        again = datasets_files.cached(tmp_path, "v", "k", described, parse)
    assert f"{path}: the parsed atlas is damaged and was removed" in caplog.text
    assert parse.calls == 2
    assert_same(fresh, again)
    caplog.clear()
    datasets_files.cached(tmp_path, "v", "k", described, parse)
    assert parse.calls == 2 and not caplog.text


def test_a_file_that_vouches_only_for_itself_is_not_taken(tmp_path, parse, described):
    """A file of ones was accepted under the checksum of its own content, and an atlas under another's name."""
    fresh = datasets_files.cached(tmp_path, "v", "k", described, parse)
    (path,) = tmp_path.iterdir()
    ones = fresh.copy()
    ones.X = np.ones(ones.shape)
    content = h5ad_bytes(ones, "lzf")
    for length in (16, 32, 64):
        name = f"{path.stem.rpartition('-')[0]}-{hashlib.sha256(content).hexdigest()[:length]}.h5ad"
        (tmp_path / name).write_bytes(content)
    path.unlink()
    assert_same(datasets_files.cached(tmp_path, "v", "k", described, parse), fresh)
    (path,) = tmp_path.iterdir()
    content, before = path.read_bytes(), parse.calls
    for variant, key in (("v", "later"), ("w", "k")):
        path.with_name(path.name.replace("v-k-", f"{variant}-{key}-")).write_bytes(content)
        datasets_files.cached(tmp_path, variant, key, described, parse)
    assert parse.calls == before + 2


def test_the_key_lies_outside_and_is_read_by_its_owner_only(tmp_path, parse, described, monkeypatch, caplog):
    monkeypatch.setattr(datasets_files.pooch, "os_cache", lambda name: tmp_path / "home" / name)
    datasets_files._secret.cache_clear()
    monkeypatch.setattr(datasets_files, "_secret", datasets_files._secret.__wrapped__)
    folder = tmp_path / "data"
    datasets_files.cached(folder, "v", "k", described, parse)
    (key,) = (tmp_path / "home").iterdir()
    assert key.stat().st_size == 32 and key.stat().st_mode & 0o777 == 0o600
    key.rename(tmp_path / "of another user")
    datasets_files.cached(folder, "v", "k", described, parse)
    assert parse.calls == 2 and len(files(folder)) == 2 and not caplog.text  # each user's own, in one folder
    key.unlink()
    (tmp_path / "home").rmdir()
    (tmp_path / "home").write_text("in the way")
    for _ in range(2):
        datasets_files.cached(folder, "v", "k", described, parse)
    assert parse.calls == 3 and "held against their own content only" in caplog.text


@pytest.mark.parametrize("length", [0, 100])
def test_truncated_file(tmp_path, parse, described, length):
    datasets_files.cached(tmp_path, "v", "k", described, parse)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:length])
    datasets_files.cached(tmp_path, "v", "k", described, parse)
    assert parse.calls == 2


def test_another_key_replaces_and_another_variant_stays(tmp_path, parse, described):
    datasets_files.cached(tmp_path, "v", "old", described, parse)
    datasets_files.cached(tmp_path, "w", "old", described, parse)
    datasets_files.cached(tmp_path, "v", "new", described, parse)
    assert [n.rsplit("-", 2)[0] for n in files(tmp_path)] == ["v-new", "w-old"]
    assert parse.calls == 3


def test_a_parser_that_fails_leaves_the_old_file(tmp_path, parse, described):
    datasets_files.cached(tmp_path, "v", "old", described, parse)
    with pytest.raises(ZeroDivisionError):
        datasets_files.cached(tmp_path, "v", "new", described, lambda: 1 / 0)
    assert [n.rsplit("-", 2)[0] for n in files(tmp_path)] == ["v-old"]


def test_a_run_that_is_killed_leaves_no_file_under_the_final_name(tmp_path, parse, described, monkeypatch):
    def crash(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets_files.os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        datasets_files.cached(tmp_path, "v", "k", described, parse)
    assert files(tmp_path) == []


def test_folder_that_cannot_be_written(tmp_path, parse, described, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    atlas = datasets_files.cached(blocked / "sub", "v", "k", described, parse)
    assert_same(atlas, parse())
    assert "the parsed atlas cannot be kept" in caplog.text and caplog.text.count("\n") == 1


def test_file_holds_no_object_that_python_would_execute(tmp_path, parse, described):
    datasets_files.cached(tmp_path, "v", "k", described, parse)
    (path,) = tmp_path.iterdir()
    kinds = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: kinds.append(item.dtype) if isinstance(item, h5py.Dataset) else None)
    assert len(kinds) > 10
    assert all(k.kind in "biuf" or h5py.check_string_dtype(k) for k in kinds)


def test_digest_changes_with_all_that_an_atlas_depends_on(tmp_path, monkeypatch):
    source = tmp_path / "parser.py"
    source.write_text("a = 1")
    base = datasets_files.digest(["x", ["hash"]], [source])
    assert base == datasets_files.digest(["x", ["hash"]], [source]) and len(base) == 16
    found = {base, datasets_files.digest(["y", ["hash"]], [source]), datasets_files.digest(["x", ["other"]], [source])}
    source.write_text("a = 2")
    found.add(datasets_files.digest(["x", ["hash"]], [source]))
    source.write_text("a = 1")
    monkeypatch.setattr(datasets_files.metadata, "version", lambda name: "0")
    found.add(datasets_files.digest(["x", ["hash"]], [source]))
    assert len(found) == 5
