"""Figures: tidy tables in, plotly out.

Every figure takes its table first, then ``title`` and ``caption`` (plain text) and, where values have printed names,
``labels`` (value or column name -> printed name). What comes from data is escaped. A table without rows or without a
column that the figure needs is refused with `InputError`.
"""

from srna_lib.plots.answers import placed
from srna_lib.plots.atlas import depth, embedding_pair, filter_curve, neighbours, people, study_class_heatmap, zeros
from srna_lib.plots.base import GREY, caption, setup, short, styles
from srna_lib.plots.companions import running_sums, share_lines
from srna_lib.plots.explain import (
    agreement_heatmap, class_heatmaps, class_rankings, clustered, explained, gap_curves, marker_ranks, marker_zeros,
    sample_browser, sample_heatmap, set_dots, truth_bars, waterfall, weights,
)  # fmt: skip
from srna_lib.plots.performance import (
    confusion, coverage_curve, forest, gains, metrics, null_distribution, paper_comparison, per_class, per_study,
    predicted_against_true, reliability,
)  # fmt: skip
from srna_lib.plots.stability import error_detection, flip_curves, flip_matrix, steps_by_class, unflipped
