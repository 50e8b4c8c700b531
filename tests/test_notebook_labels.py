"""Notebooks with every label that the real data sets offer, in profile smoke (`make test-labels`)."""

from __future__ import annotations

import pytest
from test_commands import RUNS
from test_notebooks import check_results

from srna_lib.data import AGE_CUTS
from srna_lib.datasets import registry
from srna_lib.report import run as report_run
from srna_lib.report.cli import LABELS, NOT_PREDICTED

STEMS = ("01_data_exploration", "02_tissue", "05_explainability", "06_stability")
# (notebook, data set, label) of commands that `test_commands` runs with nothing else changed
RUN = {(n, dataset, given["label"]) for numbers, dataset, given in RUNS if set(given) == {"label"} for n in numbers}
FINE = {"open_atlas": 60, "mirome": 60, "tcga": 400}  # samples of a class where there are dozens: the largest do


def offered(dataset: str) -> list[str]:
    """What `srna datasets list` says can be predicted, the sample types of the open atlas, and intervals of the age."""
    columns = registry.entry(dataset)["columns"]
    labels = [label for label in LABELS if label in columns and label not in NOT_PREDICTED]
    labels += ["sample_type"] if dataset == "open_atlas" else []
    return labels + [f"age_{m}" for m in AGE_CUTS if "age_years" in columns]


CASES = [(name, label) for name in ("open_atlas", "mirome", "tcga") for label in offered(name)]
OF_LARGER = {("mirome", label) for label in offered("open_atlas")}  # which holds the studies of `mirome`


@pytest.mark.labels
@pytest.mark.parametrize(
    ("dataset", "label"), [pytest.param(*c, marks=[pytest.mark.again] if c in OF_LARGER else []) for c in CASES]
)
def test_notebooks_that_take_a_label_run_on_every_one(real, in_process, tmp_path, dataset, label):
    """What is said on the page is asserted there, so that a finding of one data set is not printed on another."""
    real(dataset)  # parsed by one worker
    stems = [s for s in STEMS if (s[:2], dataset, label) not in RUN]
    settings = {"dataset": dataset, "profile": "smoke", "out": tmp_path / "out", "jobs": 1}
    parameters = {"label": label}
    if label in ("tissue", "cell_type"):
        parameters["min_class_size"] = str(FINE[dataset])
    report = report_run.run_notebooks(stems, **settings, parameters=parameters)
    assert [(o.notebook, o.status) for o in report.outcomes] == [(s, "ok") for s in stems]
    for stem in stems:
        check_results(tmp_path / "out", stem)


def test_the_labels_of_the_paper_are_among_them():
    """The paper's five groups of tissues (`tissue_top`), sex, and its intervals of the age."""
    assert "tissue_top" in offered("open_atlas")
    assert {"tissue", "sex", "age_2", "age_3", "age_4"} <= set(offered("tcga"))
    assert set(offered("mirome")) == {
        "tissue_top",
        "tissue_group",
        "tissue",
        "lineage",
        "cell_class",
        "cell_type",
    }
