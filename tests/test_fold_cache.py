"""Folds on disk: found again for the same key and split only, written whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from srna_lib.data.task import Task
from srna_lib.errors import InputError
from srna_lib.evaluate import crossval
from srna_lib.evaluate.crossval import Split, map_folds, task_key
from srna_lib.models.recipes import QUANTITY_RECIPES, RECIPES, recipe

SPLITS = [Split(str(i), np.array([0, 1]), np.array([i + 2])) for i in range(3)]

pytestmark = pytest.mark.slow


def work(factor: int, split: Split) -> pd.DataFrame:
    return pd.DataFrame({"value": factor * split.test})


def refuse(split: Split) -> pd.DataFrame:
    raise AssertionError("a finished fold was done again")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_come_in_the_order_of_the_splits(n_jobs):
    tables = map_folds(partial(work, 10), SPLITS, key="k", n_jobs=n_jobs, progress=False)
    assert [t["value"].tolist() for t in tables] == [[20], [30], [40]]


def test_finished_folds_are_not_done_again(tmp_path):
    first = map_folds(partial(work, 10), SPLITS, key="k", cache=tmp_path / "new", progress=False)
    again = map_folds(refuse, SPLITS, key="k", cache=tmp_path / "new", progress=False)
    for a, b in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(a, b)
    assert {p.suffix for p in (tmp_path / "new").iterdir()} == {".parquet"}


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    def full(self, content):
        with open(self, "wb") as file:
            file.write(content[:9])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"\.parquet: cannot be written \(No space left on device\); expected free"):
        map_folds(partial(work, 10), SPLITS, key="k", cache=tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_another_key_or_split_is_another_fold(tmp_path):
    map_folds(partial(work, 10), SPLITS[:1], key="k", cache=tmp_path, progress=False)
    with pytest.raises(AssertionError, match="done again"):
        map_folds(refuse, SPLITS[:1], key="other", cache=tmp_path, progress=False)
    with pytest.raises(AssertionError, match="done again"):
        map_folds(refuse, [Split("0", np.array([0]), np.array([1, 2]))], key="k", cache=tmp_path, progress=False)


def test_an_interrupted_run_goes_on(tmp_path):
    map_folds(partial(work, 1), SPLITS[:2], key="k", cache=tmp_path, progress=False)
    tables = map_folds(partial(work, 100), SPLITS, key="k", cache=tmp_path, progress=False)
    assert [t["value"].iloc[0] for t in tables] == [2, 3, 400]


def test_the_key_knows_data_labels_model_settings_and_code():
    X = pd.DataFrame([[1.0, 2], [3, 4]], index=["a", "b"], columns=["x", "y"])
    y, groups = pd.Series(["A", "B"], index=X.index), pd.Series(["s", "t"], index=X.index)
    task, model = Task("toy", X, y, groups, {}), recipe("dl_paper")
    base = task_key(task, model, [crossval.__name__], "zero")
    assert base == task_key(Task("toy", X.copy(), y, groups, {}), recipe("dl_paper"), [crossval.__name__], "zero")
    changed = [
        task_key(Task("toy", X + 1, y, groups, {}), model, [crossval.__name__], "zero"),
        task_key(Task("toy", X, y[::-1], groups, {}), model, [crossval.__name__], "zero"),
        task_key(Task("toy", X, y, groups[::-1], {}), model, [crossval.__name__], "zero"),
        task_key(Task("toy", X, y, groups, {}, donors=groups), model, [crossval.__name__], "zero"),
        task_key(task, recipe("dl_paper", seed=1), [crossval.__name__], "zero"),
        task_key(task, model, [crossval.__name__], "mean"),
        task_key(task, model, ["srna_lib.evaluate.splits"], "zero"),
    ]
    assert len({base, *changed}) == 8


KEYS = """
import json
import numpy as np, pandas as pd
from srna_lib.data import Task
from srna_lib.evaluate.crossval import task_key
from srna_lib.models.recipes import QUANTITY_RECIPES, RECIPES, quantity_recipe, recipe
X = pd.DataFrame(np.arange(12.0).reshape(4, 3), index=list("abcd"), columns=["x", "y", "context:dataset_id=A"])
y, groups = pd.Series(["A", "B", "A", "B"], index=X.index), pd.Series(["s", "t", "s", "t"], index=X.index)
task = Task("toy", X, y, groups, {}, donors=groups)
models = {name: recipe(name, joined=True) for name in RECIPES}
models |= {f"{name} of a quantity": quantity_recipe(name) for name in QUANTITY_RECIPES}
print(json.dumps({name: task_key(task, model, []) for name, model in models.items()}))
"""


def test_every_recipe_finds_its_folds_again_in_another_process():
    """Keys that held a memory address (of a column selector) were new in every process."""
    found = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", KEYS],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.splitlines()[-1]
        )
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(set(found[0].values())) == len(found[0]) == len(RECIPES) + len(QUANTITY_RECIPES)


@pytest.mark.parametrize("damage", ["truncated", "emptied", "flipped"])
def test_a_damaged_fold_is_done_again(tmp_path, damage):
    """A truncated fold failed its notebook for ever; of 3000 flipped bits 269 changed a fold in silence."""
    options = {"key": "k", "cache": tmp_path, "progress": False}
    whole = map_folds(partial(work, 10), SPLITS[:1], **options)[0]
    (path,) = tmp_path.glob("*.parquet")
    content, rng = path.read_bytes(), np.random.default_rng(0)
    ends = {
        "truncated": rng.integers(1, len(content), 5),
        "emptied": [0],
        "flipped": rng.integers(0, len(content), 100),
    }
    for at in ends[damage]:
        broken = bytearray(content)
        broken[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken if damage == "flipped" else content[:at])
        pd.testing.assert_frame_equal(map_folds(partial(work, 10), SPLITS[:1], **options)[0], whole)
        assert [p.read_bytes() for p in tmp_path.glob("*.parquet")] == [content]
    pd.testing.assert_frame_equal(map_folds(refuse, SPLITS[:1], **options)[0], whole)


def report_and_wait(folder: Path, split: Split) -> pd.DataFrame:
    (folder / f"{os.getpid()}.worker").touch()
    time.sleep(60)
    return pd.DataFrame()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="NOT TESTED: processes are looked up in /proc")
def test_workers_of_a_killed_run_end_with_it(tmp_path):
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from functools import partial; from pathlib import Path\n"
        "from test_fold_cache import SPLITS, map_folds, report_and_wait\n"
        f"map_folds(partial(report_and_wait, Path({str(tmp_path)!r})), SPLITS, key='k', n_jobs=2, progress=False)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent.parent)
    assert wait_for(lambda: len(list(tmp_path.glob("*.worker"))) == 2, 60), "two workers did not start"
    run.kill()
    run.wait()
    workers = [int(path.stem) for path in tmp_path.glob("*.worker")]
    assert wait_for(lambda: not any(map(is_running, workers)), 10), "a worker outlives its run"


def is_running(pid: int) -> bool:
    """Whether a process is there and not only waiting to be collected."""
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(holds, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.2)
    return holds()
