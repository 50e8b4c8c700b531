"""Figures of performance: order, values, intervals, and what is undecided."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oof import binary

from figures import (
    AGES,
    BINS,
    BOLD,
    CLASSES,
    COHORTS,
    CONFUSION,
    CURVES,
    GAINS,
    IMG,
    NULL,
    PAPER,
    RECORDS,
    SAFE,
    SAFE_BOLD,
    STUDIES,
    record,
)
from srna_lib import plots
from srna_lib.errors import InputError
from srna_lib.evaluate import RANKING_METRICS, compare


def rows(fig) -> list[str]:
    """Names of the rows from the top."""
    return list(fig.layout.yaxis.categoryarray)[::-1]


def test_metrics_keep_order_values_and_intervals():
    fig = plots.metrics(RECORDS, metric="accuracy", labels={"a": "Model A"})
    assert [t.name for t in fig.data] == ["random", SAFE]
    assert list(fig.layout.xaxis.categoryarray) == [SAFE_BOLD, "Model A"]
    for trace in fig.data:
        assert list(trace.y) == [0.8, 0.8] and list(trace.x) == [SAFE_BOLD, "Model A"]
        np.testing.assert_allclose(trace.error_y.array, [0.05] * 2)
        np.testing.assert_allclose(trace.error_y.arrayminus, [0.1] * 2)
    assert fig.data[0].marker.color != fig.data[1].marker.color
    assert "100 samples<br>7 studies" in fig.data[0].customdata[0][0]


def test_metrics_draw_a_panel_for_each_metric_and_one_legend():
    fig = plots.metrics(RECORDS, metric=["f1", "accuracy"])
    assert len(fig.data) == 4 and sum(t.showlegend for t in fig.data) == 2
    titles = {a.text: a.x for a in fig.layout.annotations}
    assert set(titles) == {"<b>accuracy</b>", "<b>f1</b>"} and titles["<b>f1</b>"] < titles["<b>accuracy</b>"]


def test_metrics_of_a_tidy_table_leave_out_single_classes_and_studies():
    tidy = pd.DataFrame([record(), record(metric="auc", value=0.9), record(metric="auc", value=0.1)])
    tidy = pd.concat([tidy, pd.DataFrame([record(metric="recall"), record(metric="precision:a")])])
    tidy["class"], tidy["study"] = [None, None, None, "a", None], [None, None, "GSE1", None, None]
    fig = plots.metrics(tidy)
    assert {a.text for a in fig.layout.annotations} == {"<b>accuracy</b>", "<b>auc</b>"}
    assert sorted(v for t in fig.data for v in t.y) == [0.8, 0.9]


def test_the_axis_of_metrics_holds_every_interval_and_need_not_start_at_zero():
    fig = plots.metrics([record(value=0.5, ci_low=0.4, ci_high=0.6), record(model="m2")])
    assert 0.3 < fig.layout.yaxis.range[0] < 0.4 and fig.layout.yaxis.range[1] > 0.85


def test_metrics_survive_a_missing_interval():
    fig = plots.metrics([record(ci_low=None, ci_high=None)])
    assert np.isnan(np.asarray(fig.data[0].error_y.array, dtype=float)).all()
    assert "[" not in fig.data[0].customdata[0][0]


def test_missing_columns_metrics_and_rows_are_said():
    with pytest.raises(InputError, match="columns scheme are missing"):
        plots.metrics(pd.DataFrame(RECORDS).drop(columns="scheme"))
    with pytest.raises(InputError, match=r"metric auc is missing \(found: accuracy, f1\)"):
        plots.metrics(RECORDS, metric="auc")
    with pytest.raises(InputError, match="no precision or recall of a class"):
        plots.per_class(RECORDS)
    with pytest.raises(InputError, match=r"columns low_0\.8, high_0\.8 are missing"):
        plots.predicted_against_true(AGES, "0.8")


def test_figures_without_rows_say_so():
    empty = pd.DataFrame(RECORDS).iloc[:0]
    figures = [plots.metrics(empty), plots.per_study(STUDIES.iloc[:0]), plots.confusion(pd.DataFrame())]
    for fig in (*figures, plots.per_class(empty), plots.gains(empty, title="Who?"), plots.forest(COHORTS, "mae")):
        assert not fig.data and fig.layout.annotations[0].text.startswith("Not recorded in this data set")
    assert figures[0].layout.title.text == "" and plots.gains(empty, title="Who?").layout.title.text == "Who?"


def test_confusion_shows_shares_of_the_true_class_and_keeps_the_counts():
    (heatmap,) = plots.confusion(CONFUSION).data
    np.testing.assert_allclose(heatmap.z, [[0.8, 0.2], [0, 0]])
    np.testing.assert_array_equal(heatmap.customdata, CONFUSION)
    assert np.array(heatmap.text).tolist() == [["80", "20"], ["", ""]]
    assert list(heatmap.y) == [f"{SAFE} (10)", f"{SAFE_BOLD} (0)"] and list(heatmap.x) == [SAFE, SAFE_BOLD]


def test_per_class_reads_the_class_from_metric_or_column():
    fig = plots.per_class(CLASSES)
    assert len(fig.data) == 4 and all(list(t.y) == [SAFE, "z"] for t in fig.data)
    table = pd.DataFrame(CLASSES)
    table[["metric", "class"]] = table["metric"].str.split(":", n=1, expand=True)
    assert plots.per_class(table).to_json() == fig.to_json()


def test_per_study_draws_every_study_and_the_mean_of_studies():
    fig = plots.per_study(STUDIES)
    *traces, means = fig.data
    assert [len(t.x) for t in traces] == [2, 1] and list(means.x) == [0.75, 0.0] and list(means.y) == [0, 1]
    assert list(traces[0].marker.size) == [4, 16] and traces[0].marker.sizemode == "area"
    assert np.all(np.abs(np.asarray(traces[1].y) - 1) <= 0.3)
    assert traces[1].customdata[0][0].endswith(f"<br>1 samples<br>accuracy 0.0%<br>{SAFE_BOLD}: {SAFE}")
    assert plots.per_study(STUDIES).to_json() == fig.to_json()
    bare = plots.per_study(STUDIES[["dataset_id", "n_samples", "model", "accuracy"]])
    assert bare.data[0].customdata[0][0] == "<b>A</b><br>4 samples<br>accuracy 50.0%"


def test_per_study_colours_another_column_and_names_it():
    fig = plots.per_study(STUDIES.assign(folds=["random", "unseen", "unseen"]), color="folds")
    *traces, _ = fig.data
    assert {t.name: len(t.x) for t in traces} == {"random": 1, "unseen": 2}
    assert all(t.showlegend for t in traces) and not any(t.showlegend for t in plots.per_study(STUDIES).data[:-1])
    with pytest.raises(InputError, match="columns folds are missing"):
        plots.per_study(STUDIES, color="folds")


def test_paper_comparison_opens_the_published_symbol():
    fig = plots.paper_comparison(PAPER)
    assert [t.name for t in fig.data] == ["paper", SAFE_BOLD]
    assert fig.data[0].marker.symbol.endswith("-open") and not fig.data[1].marker.symbol.endswith("-open")
    assert list(fig.data[1].x) == [0.91, 0.85]


def test_forest_sorts_studies_and_ends_with_their_mean():
    records = {r["metric"]: r for r in COHORTS if r["model"] == "b"}
    fig = plots.forest(list(records.values()))
    (trace,) = fig.data
    assert rows(fig)[-1] == "mean of studies" and len(rows(fig)) == 7
    drawn = dict(zip(trace.y, trace.x, strict=True))
    assert drawn["mean of studies"] == records["auc_within"]["value"]
    values = [drawn[name] for name in rows(fig)[:-1]]
    assert values == sorted(values, reverse=True)
    each = [r for m, r in records.items() if m.startswith("auc:")]
    best = max(each, key=lambda r: r["value"])
    assert rows(fig)[0].endswith(f"({best['n_samples']})") and values[0] == best["value"]
    assert trace.error_x.array[list(trace.y).index(rows(fig)[0])] == pytest.approx(best["ci_high"] - best["value"])
    assert [s.x0 for s in fig.layout.shapes] == [0.5]
    assert fig.layout.xaxis.range[1] > max(r["ci_high"] for r in each)
    tidy = pd.DataFrame(records.values())
    tidy[["metric", "study"]] = tidy["metric"].str.split(":", n=1, expand=True)
    assert plots.forest(tidy).to_json() == fig.to_json()


def test_the_line_of_chance_level_is_on_the_axis():
    records = [record(metric=f"auc:S{i}", value=0.9, ci_low=0.8, ci_high=0.95) for i in range(2)]
    assert plots.forest(records).layout.xaxis.range[0] < 0.5


def test_forest_of_two_models_sets_them_side_by_side():
    fig = plots.forest(COHORTS, mean=None, reference=None)
    assert [t.name for t in fig.data] == ["b", SAFE] and fig.layout.showlegend
    assert fig.layout.scattermode == "group" and fig.data[0].offsetgroup != fig.data[1].offsetgroup
    assert not fig.layout.shapes and len(rows(fig)) == 6


def test_gains_across_zero_are_undecided():
    fig = plots.gains(GAINS, labels={"age": "Age"})
    drawn = {t.name: list(t.y) for t in fig.data}
    undecided = "undecided: the interval holds zero"
    assert drawn == {"above zero": [SAFE_BOLD], "below zero": [SAFE], undecided: ["Age", "tissue"]}
    assert rows(fig) == [SAFE_BOLD, SAFE, "Age", "tissue"]
    assert fig.data[2].marker.symbol == "circle-open" and [s.x0 for s in fig.layout.shapes] == [0]
    assert fig.data[0].customdata[0][0] == f"{SAFE_BOLD}<br><b>+0.100</b> [+0.050, +0.150]"
    assert "[" not in fig.data[2].customdata[1][0]


def test_gains_read_what_compare_writes():
    both = pd.concat([binary(0, skill=1.5, model="a"), binary(0, skill=0.2, model="b")])
    table = compare(both, [("a", "b")], metric=RANKING_METRICS, n_boot=50)
    drawn = {y: x for t in plots.gains(table, "metric").data for x, y in zip(t.x, t.y, strict=True)}
    assert drawn == dict(zip(table["metric"], table["difference"], strict=True))


def test_null_distribution_counts_the_permutations_that_reach_the_truth():
    permuted, true = plots.null_distribution(NULL, {BOLD: 0.7, IMG: 0.5}).data
    assert len(permuted.x) == 23 and list(true.x) == [0.7, 0.5] and list(true.y) == [SAFE_BOLD, SAFE]
    assert "p = 0.05 (19 permutations)" in true.customdata[0][0] and "p = 0.8 (4 perm" in true.customdata[1][0]
    with pytest.raises(InputError, match="no observed value of"):
        plots.null_distribution(NULL, {BOLD: 0.7})


def test_reliability_draws_every_bin_with_its_interval():
    fig = plots.reliability(BINS)
    assert {t.name for t in fig.data} == {"predicted = observed", "b", SAFE}
    part, (trace,) = BINS[BINS["model"] == "b"], [t for t in fig.data if t.name == "b"]
    np.testing.assert_allclose(trace.x, part["predicted"])
    np.testing.assert_allclose(trace.y, part["observed"])
    np.testing.assert_allclose(trace.error_y.array, part["ci_high"] - part["observed"])
    np.testing.assert_allclose(trace.error_y.arrayminus, part["observed"] - part["ci_low"])
    assert fig.layout.xaxis.title.text == "predicted probability of male (%)"
    assert f"{part['n_samples'].iloc[0]} samples" in trace.customdata[0][0]


def test_coverage_curve_has_a_band_and_a_line_for_each_model():
    fig = plots.coverage_curve(CURVES)
    curves, bands = ([t for t in fig.data if (t.fill == "toself") == filled] for filled in (False, True))
    assert [t.name for t in curves] == ["b", SAFE] and [t.legendgroup for t in bands] == ["b", SAFE]
    part = CURVES[CURVES["model"] == "b"]
    np.testing.assert_allclose(curves[0].y, part["accuracy"])
    np.testing.assert_allclose(bands[0].y[:100], part["ci_high"])
    np.testing.assert_allclose(bands[0].y[100:], part["ci_low"][::-1])


def test_coverage_curves_without_intervals_are_lines():
    bare = plots.coverage_curve(CURVES[["model", "coverage", "accuracy"]])
    assert [t.name for t in bare.data] == ["b", SAFE]
    fig = plots.coverage_curve(CURVES.assign(ci_low=None, ci_high=None))
    assert not any(len(t.x) for t in fig.data if t.fill) and "[" not in fig.data[0].customdata[0][0]


def test_samples_outside_their_interval_are_set_apart():
    traces = {t.name: t for t in plots.predicted_against_true(AGES, "0.5").data}
    right = AGES["y_true"].between(AGES["low_0.5"], AGES["high_0.5"])
    assert len(traces[f"inside their interval ({right.sum()})"].x) == right.sum()
    outside = traces[f"outside ({(~right).sum()})"]
    assert sorted(outside.x) == pytest.approx(sorted(AGES.loc[~right, "y_pred"]))
    assert sorted(outside.y) == pytest.approx(sorted(AGES.loc[~right, "y_true"]))
    band = traces["50% interval (median)"]
    assert len(band.x) == 2 * 42 and (np.diff(band.x[:42]) > 0).all()
    assert (np.asarray(band.y[:42]) > np.asarray(band.y[42:])[::-1]).all()
    assert [band.x[0], band.x[41]] == [AGES["y_pred"].min(), AGES["y_pred"].max()]
    assert list(traces["predicted = true"].x) == list(traces["predicted = true"].y)
