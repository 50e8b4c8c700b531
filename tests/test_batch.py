"""Averages over nearest samples of the same study."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import srna_lib as srna
from srna_lib.errors import InputError
from srna_lib.evaluate import alike, average_neighbours, batch, batch_average, benchmark

RNG = np.random.default_rng(0)
TWO_KINDS = np.log2(1 + np.vstack([RNG.poisson([400, 40, 40, 5], (6, 4)), RNG.poisson([40, 400, 5, 40], (6, 4))]))


@pytest.fixture(scope="module")
def task():
    return srna.make_task(srna.load("demo"), "tissue_group")


@pytest.fixture(scope="module")
def table(task):
    return srna.cross_validate(task, ["logistic", "dummy"], "study", n_splits=3, progress=False)


def test_the_nearest_is_averaged_in_logs_by_its_correlation():
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.1, 0.9]])
    levels = np.array([[9, 3, 2], [9, 4, 2], [3, 9, 8]])
    new = average_neighbours(p, levels, k=2)
    weight = np.exp((np.corrcoef(levels)[0, 1] - 1) / 0.1)
    mean = (np.log(p[0]) + weight * np.log(p[1])) / (1 + weight)
    assert np.allclose(new[0], np.exp(mean) / np.exp(mean).sum())
    assert np.allclose(new[2], p[2], atol=1e-3)  # the others are nothing like it


def test_what_stays_the_same():
    p = RNG.dirichlet(np.ones(3), 12)
    new = average_neighbours(p, TWO_KINDS)
    assert np.allclose(new.sum(axis=1), 1)
    assert np.allclose(new, average_neighbours(p, 3 + 2 * TWO_KINDS))  # a correlation
    order = RNG.permutation(12)
    assert np.allclose(new[order], average_neighbours(p[order], TWO_KINDS[order]))
    assert np.array_equal(average_neighbours(p[:1], TWO_KINDS[:1]), p[:1])  # nobody to ask
    assert np.allclose(average_neighbours(p, TWO_KINDS, k=99), average_neighbours(p, TWO_KINDS, k=12))
    assert np.allclose(average_neighbours(p, TWO_KINDS, k=1), p)
    mean = np.exp(np.log(p).mean(axis=0))
    assert np.allclose(average_neighbours(p, TWO_KINDS, k=12, width=np.inf), mean / mean.sum())
    twins = average_neighbours(p[:4], np.tile(TWO_KINDS[0], (4, 1)))
    assert np.allclose(twins, twins[0])


def test_large_batches_are_looked_at_in_parts(monkeypatch):
    levels = RNG.normal(8, 2, (60, 40))
    whole = alike(levels)
    monkeypatch.setattr(batch, "CELLS", 500)
    for a, b in zip(whole, alike(levels), strict=True):
        np.testing.assert_allclose(a, b)
    r = np.corrcoef(levels)
    assert (whole[0] == np.argsort(-r, axis=1)[:, :5]).all()  # itself first


def test_neighbours_are_of_the_same_kind():
    p = np.full((12, 2), 0.5)
    p[0] = [0.01, 0.99]
    new = average_neighbours(p, TWO_KINDS)
    assert np.allclose(new[6:], 0.5, atol=1e-3) and (new[1:6, 1] > 0.55).any()


def test_one_that_says_never_does_not_outvote_the_others():
    p = np.array([[1.0, 0.0], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.05, 0.95]])
    assert (average_neighbours(p, np.tile(TWO_KINDS[0], (5, 1)))[:, 1] > 0.3).all()


def test_samples_without_a_read_are_no_error():
    new = average_neighbours(np.full((4, 2), 0.5), np.zeros((4, 3)))
    assert np.allclose(new, 0.5)


def test_a_study_hears_nothing_of_another_study_fold_or_model(table, task):
    whole = batch_average(table, task)
    for column in ("dataset_id", "model"):
        one = table[table[column] == table[column].iloc[0]]
        pd.testing.assert_frame_equal(batch_average(one, task), whole.loc[one.index])
    folded = pd.concat([table, table.assign(fold="again")], ignore_index=True)
    pd.testing.assert_frame_equal(batch_average(folded, task).iloc[: len(table)], whole)


def test_labels_are_not_looked_at(table, task):
    shuffled = table.assign(y_true=table["y_true"].sample(frac=1, random_state=0).to_numpy())
    columns = [c for c in table if c not in ("y_true",)]
    pd.testing.assert_frame_equal(batch_average(shuffled, task)[columns], batch_average(table, task)[columns])


def test_single_mistakes_are_mended(table, task):
    """Every tenth sample is told another class; its neighbours know better."""
    logistic = table[table["model"] == "logistic"].reset_index(drop=True)
    columns = [c for c in logistic if c.startswith("p_")]
    spoilt = logistic.copy()
    spoilt.loc[::10, columns] = np.roll(logistic.loc[::10, columns].to_numpy(), 1, axis=1)
    share = (spoilt["y_true"] == np.array([c[2:] for c in columns])[spoilt[columns].to_numpy().argmax(axis=1)]).mean()
    found = batch_average(spoilt, task)
    assert (found["y_true"] == found["y_pred"]).mean() > share + 0.03
    assert set(found["model"]) == {"logistic+batch"}


def test_the_table_of_settings(table, task, monkeypatch):
    scripts = Path(__file__).parents[1] / "scripts"
    monkeypatch.syspath_prepend(scripts)
    rows = runpy.run_path(str(scripts / "compare_batches.py"))["rows"]
    logistic = table[table["model"] == "logistic"].reset_index(drop=True)
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in rows(logistic, task)]
    assert lines[0][:2] == ["itself alone", f"{(logistic['y_true'] == logistic['y_pred']).mean():.3f}"]
    (kept,) = [line for line in lines if line[0] == "**5, 0.1**"]
    found = batch_average(logistic, task)
    assert kept[1] == f"{(found['y_true'] == found['y_pred']).mean():.3f}"


def test_samples_of_another_task_are_refused(table, task):
    with pytest.raises(InputError, match="sample 'stranger' is none of the task 'tissue_group'"):
        batch_average(table.assign(sample_id=["stranger", *table["sample_id"].iloc[1:]]), task)
    with pytest.raises(InputError, match="fold"):
        batch_average(table.drop(columns="fold"), task)


def test_rows_of_a_leaderboard_that_use_the_batch(task):
    folds = srna.make_splits(task, "study", n_splits=3)
    settings = {"scheme": "study", "n_boot": 20, "progress": False}
    names = ["logistic+batch", "logistic", "wccn+batch", "selected+batch"]
    with pytest.raises(InputError, match="selected has 1 to choose from"):
        benchmark(task, ["logistic", "selected+batch"], folds, **settings)
    found = benchmark(task, [*names[:3], "wccn", names[3]], folds, **settings)
    assert list(dict.fromkeys(found.predictions["model"])) == [*names[:3], "wccn", names[3]]
    value = found.scores.query("metric == 'accuracy'").set_index("model")["value"]
    own = batch_average(found.predictions.query("model == 'logistic'"), task)
    assert value["logistic+batch"] == (own["y_true"] == own["y_pred"]).mean()
    chosen = found.scores.query("metric == 'chosen'")
    assert chosen["value"].sum() == 3 and set(chosen["model"]) == {"selected+batch"}
