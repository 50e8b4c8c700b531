"""What the paper reports."""

from __future__ import annotations

import pandas as pd

from srna_lib.evaluate.comparison import paper_results


def test_published_figures():
    table = paper_results("tissue_group").set_index(["scheme", "min_class_size", "model"])["value"]
    assert table["random_5fold", 9, "rf_paper"] == 0.85
    assert table["one_dataset_out", 15, "dl_paper"] == 0.831
    assert set(paper_results("sex")["features"]) == {"both", "sRNA", "contaminant"}
    age = pd.concat([paper_results(t) for t in ("age_2", "age_4")]).set_index(["task", "features", "model"])["value"]
    assert age["age_2", "both", "dl_paper"] == 0.771
    assert age["age_4", "both", "rf_paper"] == 0.575
