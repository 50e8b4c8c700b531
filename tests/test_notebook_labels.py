"""Notebooks that take a label, on other data sets and labels than their own, in profile smoke."""

from __future__ import annotations

import pytest
from test_commands import RUNS
from test_notebooks import check_results

from srna_lib.report import run as report_run

# (notebook, data set, label) of commands that `test_commands` runs
RUN = {(notebook, dataset, given.get("label")) for notebooks, dataset, given in RUNS for notebook in notebooks}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "label"),
    [("open_atlas", "lineage"), ("open_atlas", "sample_type"), ("mirome", "lineage"), ("tcga", "sex")],
)
def test_notebooks_that_take_a_label_run_on_others(real, in_process, tmp_path, dataset, label):
    """What is said on the page is asserted there, so that a finding of one data set is not printed on another."""
    real(dataset)  # parsed by one worker
    stems = [s for s in ("02_tissue", "05_explainability", "06_stability") if (s[:2], dataset, label) not in RUN]
    settings = {"dataset": dataset, "profile": "smoke", "out": tmp_path / "out", "jobs": 1}
    report = report_run.run_notebooks(stems, **settings, parameters={"label": label})
    assert [(o.notebook, o.status) for o in report.outcomes] == [(s, "ok") for s in stems]
    for stem in stems:
        check_results(tmp_path / "out", stem)
