"""Door of evaluate: splits, out-of-fold predictions, metrics with intervals, comparisons."""

from srna_lib.evaluate.age import acceleration_contrast, apparent_acceleration, ordinal_score, quantity_score
from srna_lib.evaluate.bootstrap import study_interval, study_weights, weighted_mean, weighted_median
from srna_lib.evaluate.calibration import calibrate, reliability_table
from srna_lib.evaluate.comparison import (
    FIGURES,
    TESTS,
    accuracy_gaps,
    best,
    class_records,
    compare_pairs,
    figures_table,
    find,
    judge,
    pairs_table,
    paper_results,
    percent,
    records_table,
    score_all,
)
from srna_lib.evaluate.controls import (
    PREDICTABLE,
    both_ways,
    gain_over_metadata,
    null_figures,
    run_external,
    run_null,
    sentence,
    stack,
)
from srna_lib.evaluate.crossval import (
    SCHEMES,
    Profile,
    Split,
    build_recipe,
    compare_labels,
    cross_validate,
    fit_fold,
    get_profile,
    make_splits,
    map_folds,
    model_code,
    run_models,
    some_splits,
    task_key,
)
from srna_lib.evaluate.metrics import (
    METRICS,
    accuracy_of_kept,
    confusion,
    coverage_curve,
    coverage_table,
    per_dataset,
    score_selective,
    weighted_auc,
)
