"""Door of plots: tidy tables in, plotly figures out."""

from srna_lib.plots.atlas import depth, embedding_pair, filter_curve, neighbours, people, study_class_heatmap, zeros
from srna_lib.plots.explain import (
    agreement_heatmap,
    class_heatmaps,
    class_rankings,
    clustered,
    explained,
    gap_curves,
    marker_ranks,
    marker_zeros,
    sample_browser,
    sample_heatmap,
    set_dots,
    short,
    truth_bars,
    waterfall,
    weights,
)
from srna_lib.plots.performance import (
    caption,
    confusion,
    coverage_curve,
    forest,
    gains,
    metric_bars,
    null_distribution,
    paper_comparison,
    per_class,
    per_study,
    predicted_against_true,
    reliability,
    setup,
)
from srna_lib.plots.stability import coverage, firmness_by_class, flip_curves, flip_matrix, score_worth, share_left
