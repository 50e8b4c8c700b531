"""Every figure once, from small tables in which every name of a stranger's file is markup."""

from __future__ import annotations

import numpy as np
import pandas as pd
from oof import ages, binary

from srna_lib import plots
from srna_lib.evaluate.calibration import reliability_table
from srna_lib.evaluate.metrics import RANKING_METRICS, coverage_curve, score
from srna_lib.explain.rankings import top_features
from srna_lib.explain.single_samples import breakdown
from srna_lib.plots.explain import Explained
from srna_lib.report.results import to_records

IMG, BOLD = "<img src=x onerror=alert(1)>", "<b>bold</b> & <a href='http://e.org'>y</a>"
SAFE = "&lt;img src=x onerror=alert(1)&gt;"
SAFE_BOLD = "&lt;b&gt;bold&lt;/b&gt; &amp; &lt;a href='http://e.org'&gt;y&lt;/a&gt;"
TEXT = {"title": f"Title {IMG}", "caption": f"n = 5 samples {BOLD}"}
EVIL = {"labels": {"a": IMG, "auc": BOLD, "male": IMG}}


def record(**changes) -> dict:
    base = {"task": "tissue_group", "dataset": "demo", "model": "m1", "features": "all", "scheme": "random"}
    base |= {"metric": "accuracy", "value": 0.8, "ci_low": 0.7, "ci_high": 0.85}
    return base | {"n_samples": 100, "n_datasets": 7, "seed": 0} | changes


RECORDS = [
    record(model=m, scheme=s, metric=q) for m in (BOLD, "a") for s in ("random", IMG) for q in ("accuracy", "f1")
]
CLASSES = [record(model=m, metric=f"{q}:{c}") for m in ("a", BOLD) for q in ("precision", "recall") for c in (IMG, "z")]
CONFUSION = pd.DataFrame([[8, 2], [0, 0]], index=[IMG, BOLD], columns=[IMG, BOLD])
STUDIES = pd.DataFrame(
    {"dataset_id": ["A", BOLD, IMG], "n_samples": [4, 16, 1], "model": ["m1", "m1", IMG], "accuracy": [0.5, 1.0, 0.0]}
).assign(**{BOLD: IMG})
PAPER = pd.DataFrame(
    {"quantity": ["DL", IMG] * 2, "source": ["paper"] * 2 + [BOLD] * 2, "value": [0.9, 0.8, 0.91, 0.85]}
)
COHORTS = [
    r
    for model in ("b", IMG)
    for r in to_records(
        score(
            binary(0, n=600).assign(model=model).replace({"dataset_id": {"S00": IMG, "S01": BOLD}}),
            metrics=RANKING_METRICS, unit="donor_id", per_study=True, n_boot=50,
        )
    )
]  # fmt: skip
BINS = pd.concat([reliability_table(binary(0, model=m), of="male", n_boot=20) for m in ("b", IMG)])
CURVES = pd.concat([coverage_curve(binary(0, model=m), n_boot=20) for m in ("b", IMG)])
AGES = ages(n=120).replace({"dataset_id": {"S00": IMG, "S01": BOLD}})
GAINS = pd.DataFrame(
    {"task": [BOLD, IMG, "age", "tissue"], "difference": [0.1, -0.1, 0.02, 0.0],
     "ci_low": [0.05, -0.2, -0.01, None], "ci_high": [0.15, -0.05, 0.05, None]}
)  # fmt: skip
NULL = pd.DataFrame({"task": [BOLD] * 19 + [IMG] * 4, "value": [*np.linspace(0.45, 0.55, 19), 0.4, 0.5, 0.5, 0.6]})

COUNTS = pd.DataFrame([[3, 0], [2, 0], [0, 100], [1, 1]], index=["A", IMG, "C", BOLD], columns=["x", IMG])
PEOPLE = pd.DataFrame(
    {"group": ["x", IMG], "n_samples": [4, 1], "female": [0.25, 0.0], "male": [0.5, 0.0], "sex_known": [0.75, 0.0],
     "age_known": [0.5, 1.0]}
)  # fmt: skip
SAMPLES = pd.DataFrame(
    {"class": ["x", "x", IMG, None], "reads": [10, 1000, 100, 5], "dataset_id": ["A", IMG, BOLD, "B"]},
    index=["s", IMG, BOLD, "v"],
)
EFFECT = pd.DataFrame(
    {"max_zero_share": [1.0, 0.3], "n_features": [9, 3], "share_features": [1.0, 1 / 3], "share_reads": [1.0, 0.9]}
)
MAP = pd.DataFrame(
    {"x": range(6), "y": range(6), BOLD: ["a", "a", "a", IMG, IMG, None], "dataset_id": [*"STSTU", IMG]},
    index=[*"stuv", IMG, BOLD],
)
TRAINED = pd.DataFrame(
    {"x": range(3), "y": range(3), "sample": ["s", IMG, "t"], "study": BOLD, "class": ["a", BOLD, IMG]}
)
NEW = TRAINED.assign(prediction=[IMG, BOLD, ""], status=["predicted", "backed off", "abstained"]).drop(columns="class")
NEAR = pd.DataFrame(
    {"share": ["same class", IMG], "candidates": [BOLD, "of all"], "observed": [0.8, 0.5], "ci_low": [0.7, 0.4],
     "ci_high": [0.9, 0.6], "chance": [0.2, 0.1], "ceiling": [1.0, 0.6]}
)  # fmt: skip

NAMES = ["hsa-miR-1-3p", "hsa-let-7a-5p/7c-5p/7d-5p/7e-5p", IMG, BOLD]
PARTS = pd.DataFrame([[1.0, -2.0, 0.1, 0.0], [-1.0, 0.5, 3.0, 0.0]], index=["brain", IMG], columns=NAMES)
READS = pd.Series([10, 0, 5], index=[*NAMES[:2], IMG])
LEVELS = pd.DataFrame([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 9.0, 1.0]], index=PARTS.index, columns=NAMES)
ONE, TWO = Explained(f"right {IMG}", PARTS, READS), Explained(BOLD, PARTS[::-1], READS)
RANKING = pd.DataFrame(
    [
        {"class": c, "srna": s, "score": 3.0 - i, "rank": i + 1.0, "ci_low": 2.5 - i, "ci_high": 3.5 - i}
        | {"rank_low": 1.0, "rank_high": 4.0}
        for c in ("x", IMG, BOLD)
        for i, s in enumerate(NAMES)
    ]
)
PAIRS = pd.DataFrame([[1.0, 0.4], [0.4, 1.0]], index=[BOLD, IMG], columns=[BOLD, IMG])
TRUTH = pd.DataFrame({"method": [BOLD, BOLD, IMG], "precision": [0.9, 0.8, 0.1]})
MARKERS = pd.DataFrame(
    {"class": ["x", "x", IMG, IMG], "srna": [NAMES[0]] * 2 + [BOLD] * 2, "rank": [1, 45, 3, np.nan],
     "reference": ["mean", IMG] * 2}
)  # fmt: skip
ZEROS = pd.DataFrame(
    {"class": ["x", IMG], "srna": [NAMES[0], BOLD], "zero_share": [0.9, 0.1], "zero_share_class": [0.2, 0.0]}
)
GAPS = pd.DataFrame(
    [
        {"method": m, "order": o, "share_masked": s, "gap": g * s}
        for m in (BOLD, IMG)
        for o, g in (("PGI", 1.0), ("random", 0.5), ("PGU", 0.1))
        for s in (0, 0.5, 1)
    ]
)
SETS = pd.DataFrame(
    {"class": ["x", "x", IMG], "collection": ["family", BOLD, IMG], "set": ["let-7", IMG, BOLD],
     "overlap": [3, 1, 5], "size": [9, 4, 5], "fold": [4.0, 2.0, 9.0], "p": [1e-5, 0.2, 1e-9], "q": [1e-4, 0.3, 1e-8],
     "members": ["a;b;c", IMG, BOLD]}
)  # fmt: skip
WEIGHTS = pd.DataFrame(
    {"srna": [IMG, BOLD, "c", "d", "e"], "rank": [1, 2, 3, 4, 5], "weight": [-2.0, 1.5, -1.0, 0.5, 0.1],
     "lowest": [-2.5, 1.0, -1.2, 0.4, 0.0], "highest": [-1.5, 2.0, -0.8, 0.6, 0.2],
     "chrom": ["chrX", "chrY", IMG, "chr1", ""], "linked": ["X", "Y", BOLD, "", ""]}
)  # fmt: skip

FLIPS = pd.DataFrame(
    [
        {"own": "A", "other": IMG, "mean": 3.0, "censored": 0.0},
        {"own": "A", "other": BOLD, "mean": 200.0, "censored": 0.8},
        {"own": IMG, "other": "A", "mean": np.nan, "censored": 1.0},
        {"own": IMG, "other": BOLD, "mean": 12.5, "censored": 0.5},
    ]
).assign(n_samples=7, mean_low=1.0, mean_high=9.0, median=4.0, share=0.1, reads=0.2)
P = np.linspace(0.9, 0.1, 30)
PATH = pd.DataFrame({"step": range(30), "srna": [None, *[f"r{i}" for i in range(28)], IMG], "reads": 0.0})
PATH = PATH.assign(predicted=np.where(P > 0.5, "A", IMG), **{"p_A": P, f"p_{IMG}": 1 - P})
HELD = pd.DataFrame({"order": [BOLD, BOLD, IMG, IMG], "step": [0, 5, 0, 5], "share": [1, 0.5, 1, 0.9]})
STEPS = pd.DataFrame({"y_pred": ["A", "A", IMG], "wrong": [False, True, False], "steps": [3, 1, 9]})
STEPS["sample_id"] = ["x", BOLD, IMG]
DETECTION = pd.DataFrame({"name": [IMG, BOLD], "auroc": [0.8, 0.6], "ci_low": [0.7, 0.5], "ci_high": [0.85, 0.7]})

SHARES = pd.DataFrame({"k": [10, 100] * 2, "share": [0.1, 0.5, 0.2, np.nan], "what": [BOLD, BOLD, IMG, IMG]})

WALKS = pd.DataFrame({"place": [1, 2, 3] * 2, "srna": [BOLD, IMG, "a"] * 2, "change": [2.0, 0.0, -1.0] * 2})
WALKS = WALKS.assign(sum=[1.0, 0.5, 0.0, -0.5, -1.0, 0.0], set=[BOLD] * 3 + [IMG] * 3)
FIGURES = {
    "metrics": lambda: plots.metrics(RECORDS, metric="accuracy", **EVIL, **TEXT),
    "metrics, two": lambda: plots.metrics(RECORDS, **TEXT),
    "per_class": lambda: plots.per_class(CLASSES, **TEXT),
    "confusion": lambda: plots.confusion(CONFUSION, **TEXT),
    "per_study": lambda: plots.per_study(STUDIES, **TEXT),
    "paper_comparison": lambda: plots.paper_comparison(PAPER, **TEXT),
    "reliability": lambda: plots.reliability(BINS, **TEXT),
    "coverage_curve": lambda: plots.coverage_curve(CURVES, **TEXT),
    "predicted_against_true": lambda: plots.predicted_against_true(AGES, unit=IMG, **TEXT),
    "forest": lambda: plots.forest(COHORTS, **EVIL, **TEXT),
    "gains": lambda: plots.gains(GAINS, what=IMG, **TEXT),
    "null_distribution": lambda: plots.null_distribution(NULL, {BOLD: 0.7, IMG: 0.5}, **TEXT),
    "study_class_heatmap": lambda: plots.study_class_heatmap(COUNTS, **TEXT),
    "people": lambda: plots.people(PEOPLE, **TEXT),
    "depth": lambda: plots.depth(SAMPLES, **TEXT),
    "zeros": lambda: plots.zeros(pd.Series([0, 0.5, 1]), (0.3, 0.9), **TEXT),
    "filter_curve": lambda: plots.filter_curve(EFFECT, (0.3, 0.9), **TEXT),
    "embedding_pair": lambda: plots.embedding_pair(MAP, BOLD, axis=IMG, **TEXT),
    "placed": lambda: plots.placed(NEW, TRAINED, axis=IMG, **TEXT),
    "neighbours": lambda: plots.neighbours(NEAR, **TEXT),
    "sample_heatmap": lambda: plots.sample_heatmap([ONE, TWO], **TEXT),
    "sample_browser": lambda: plots.sample_browser([ONE, TWO], **TEXT),
    "waterfall": lambda: plots.waterfall(breakdown(PARTS.loc[IMG], 0.5, n=4), f"logit {IMG}", **TEXT),
    "class_heatmaps": lambda: plots.class_heatmaps(PARTS, LEVELS, top_features(PARTS, 2), **TEXT),
    "clustered": lambda: plots.clustered(PARTS.rename_axis(BOLD), value=f"x {IMG}", **TEXT),
    "clustered, groups": lambda: plots.clustered(LEVELS, pd.Series([BOLD, IMG], PARTS.index), **TEXT),
    "class_rankings": lambda: plots.class_rankings(RANKING, n=4, **TEXT),
    "agreement_heatmap": lambda: plots.agreement_heatmap(PAIRS, **TEXT),
    "truth_bars": lambda: plots.truth_bars(TRUTH, 0.12, value=IMG, **TEXT),
    "gap_curves": lambda: plots.gap_curves(GAPS, **TEXT),
    "running_sums": lambda: plots.running_sums(WALKS, **TEXT),
    "marker_ranks": lambda: plots.marker_ranks(MARKERS, **TEXT),
    "marker_zeros": lambda: plots.marker_zeros(ZEROS, **TEXT),
    "set_dots": lambda: plots.set_dots(SETS, **TEXT),
    "weights": lambda: plots.weights(WEIGHTS, classes=(IMG, BOLD), **TEXT),
    "flip_matrix": lambda: plots.flip_matrix(FLIPS, classes=["A", IMG, BOLD], **TEXT),
    "flip_curves": lambda: plots.flip_curves({BOLD: PATH, IMG: PATH.iloc[:3]}, classes=["A", IMG], **TEXT),
    "unflipped": lambda: plots.unflipped(HELD, **TEXT),
    "steps_by_class": lambda: plots.steps_by_class(STEPS, **TEXT),
    "error_detection": lambda: plots.error_detection(DETECTION, **TEXT),
    "share_lines": lambda: plots.share_lines(SHARES, "k", "share", "what", **EVIL, **TEXT),
}
