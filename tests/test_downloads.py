"""Files from empty_cache, mirror and network; and the sentence for each way that it can fail."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pooch
import pytest
import requests
from toyfile import CONTENT, FILE, URL, files_below, refuse_with, serve

from srna_lib.datasets import files
from srna_lib.datasets.files import fetch_file
from srna_lib.errors import InputError


def test_mirror_is_used(toy_mirror, empty_cache):
    path = fetch_file("toy", FILE)
    assert path.read_bytes() == CONTENT
    assert path == empty_cache / "toy" / FILE["sha256"][:12] / "data.rda"
    assert files_below(empty_cache) == ["data.rda"]
    assert toy_mirror.read_bytes() == CONTENT


def test_cached_file_needs_no_mirror(toy_mirror, empty_cache, monkeypatch):
    first = fetch_file("toy", FILE)
    stamp = first.stat().st_mtime_ns
    monkeypatch.delenv("SRNA_DATA_MIRROR")
    toy_mirror.unlink()
    second = fetch_file("toy", FILE)
    assert second == first and second.stat().st_mtime_ns == stamp


def test_download(empty_cache, monkeypatch):
    asked = serve(monkeypatch, CONTENT)
    path = fetch_file("toy", FILE)
    assert asked == [URL]
    assert path.read_bytes() == CONTENT
    assert files_below(empty_cache) == ["data.rda"]
    fetch_file("toy", FILE)
    assert asked == [URL]


def test_mirror_without_the_file_falls_back_to_the_network(toy_mirror, monkeypatch):
    toy_mirror.unlink()
    asked = serve(monkeypatch, CONTENT)
    assert fetch_file("toy", FILE).read_bytes() == CONTENT
    toy_mirror.mkdir()  # a folder where the file should be is no file either
    fetch_file("toy", FILE).unlink()
    assert fetch_file("toy", FILE).read_bytes() == CONTENT
    assert asked == [URL, URL]


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT + b"x", CONTENT.replace(b"w", b"W")])
def test_a_damaged_file_in_the_cache_is_fetched_afresh(toy_mirror, empty_cache, damage):
    path = fetch_file("toy", FILE)
    path.write_bytes(damage)
    assert fetch_file("toy", FILE) == path
    assert path.read_bytes() == CONTENT
    assert files_below(empty_cache) == ["data.rda"]


def test_truncated_copy_in_the_mirror(toy_mirror, empty_cache):
    toy_mirror.write_bytes(CONTENT[:5])
    sentence = rf"^{re.escape(str(toy_mirror))}: wrong SHA-256 for 'toy' \(expected"
    with pytest.raises(InputError, match=sentence + rf" {FILE['sha256'][:12]}\.\.\., {len(CONTENT)} bytes\)"):
        fetch_file("toy", FILE)
    assert files_below(empty_cache) == []
    assert toy_mirror.read_bytes() == CONTENT[:5]  # the mirror is not ours to clean
    toy_mirror.write_bytes(CONTENT)
    assert fetch_file("toy", FILE).read_bytes() == CONTENT


def test_truncated_download(empty_cache, monkeypatch):
    serve(monkeypatch, CONTENT[:7])
    with pytest.raises(InputError, match=rf"^{re.escape(URL)}: wrong SHA-256 for 'toy' .*; the file was not kept\.$"):
        fetch_file("toy", FILE)
    assert files_below(empty_cache) == []
    serve(monkeypatch, CONTENT)
    assert fetch_file("toy", FILE).read_bytes() == CONTENT


def test_part_file_of_a_killed_run_does_no_harm(toy_mirror, empty_cache):
    left = empty_cache / "toy" / FILE["sha256"][:12] / "data.rda.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert fetch_file("toy", FILE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError("no route"), requests.Timeout("slow"), requests.HTTPError("404"),
     requests.exceptions.ChunkedEncodingError("cut")],
    ids=lambda e: type(e).__name__,
)  # fmt: skip
def test_no_network_and_no_mirror(empty_cache, monkeypatch, error):
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse_with(error))
    with pytest.raises(InputError) as caught:
        fetch_file("toy", FILE)
    assert str(caught.value) == (
        f"'toy': the download of {URL} failed ({type(error).__name__}); expected a network connection, or"
        " SRNA_DATA_MIRROR set to a folder with the file (the data set 'demo' needs neither)."
    )
    assert files_below(empty_cache) == []


def test_no_network_and_a_mirror_without_the_file(empty_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match=r"^'toy': the mirror '.*elsewhere' does not hold it and the download of"):
        fetch_file("toy", FILE)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_cache_folder_that_is_a_file(toy_mirror, empty_cache, depth):
    blocked = (empty_cache, empty_cache / "toy", empty_cache / "toy" / FILE["sha256"][:12])[depth]
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("in the way")
    with pytest.raises(
        InputError,
        match=r": the cache folder cannot be written \(.+\); expected a writable folder \(set SRNA_DATA_DIR\)",
    ) as caught:
        fetch_file("toy", FILE)
    assert str(empty_cache / "toy") in str(caught.value)
    assert blocked.read_text() == "in the way"


def test_cache_folder_without_permission(toy_mirror, empty_cache, monkeypatch):
    def refuse(self, **options):  # not chmod: root may write anywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\); expected a writable folder"):
        fetch_file("toy", FILE)


def test_full_disk(toy_mirror, empty_cache, monkeypatch):
    def full(source, target):
        Path(target).write_bytes(CONTENT[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.shutil, "copyfile", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        fetch_file("toy", FILE)
    assert files_below(empty_cache) == []


def test_a_run_that_is_killed_leaves_no_file_under_the_final_name(toy_mirror, empty_cache, monkeypatch):
    seen = []

    def crash(source, target):
        seen.append((Path(source).read_bytes(), Path(target).exists()))
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.core.shutil, "move", crash)
    with pytest.raises(KeyboardInterrupt):
        fetch_file("toy", FILE)
    assert seen == [(CONTENT, False)]
    assert files_below(empty_cache) == []


def test_fetches_at_the_same_time_do_no_harm(empty_cache, monkeypatch):
    """Every download is half done when the next begins: a name that they shared would hold a mixture."""
    meeting = threading.Barrier(4, timeout=20)

    def slow(self, url, output_file, downloader, **options):
        Path(output_file).write_bytes(CONTENT[:5])
        meeting.wait()
        with Path(output_file).open("ab") as handle:
            handle.write(CONTENT[5:])
        meeting.wait()

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", slow)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch_file("toy", FILE), range(4)))
    assert {p.read_bytes() for p in paths} == {CONTENT}
    assert files_below(empty_cache) == ["data.rda"]


def test_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("SRNA_DATA_DIR", str(tmp_path))
    assert files.cache_dir() == tmp_path
    for unset in (lambda: monkeypatch.setenv("SRNA_DATA_DIR", ""), lambda: monkeypatch.delenv("SRNA_DATA_DIR")):
        unset()  # an empty value is no folder: certainly not the working one
        assert files.cache_dir() == Path(files.__file__).resolve().parents[2] / "data"
    monkeypatch.setattr(files, "__file__", str(tmp_path / "lib" / "srna_lib" / "datasets" / "files.py"))
    assert files.cache_dir().name == "srna_lib"
    assert tmp_path not in files.cache_dir().parents
