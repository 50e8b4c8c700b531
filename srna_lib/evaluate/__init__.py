"""Door of evaluate: splits, out-of-fold predictions, metrics with intervals, comparisons."""

from srna_lib.evaluate.age import acceleration_contrast, apparent_acceleration
from srna_lib.evaluate.batch import BATCH, NEIGHBOURS, alike, average_neighbours, batch_average
from srna_lib.evaluate.benchmark import (
    BENCHMARK_SCHEMES, CANDIDATES, SELECTED, Benchmark, benchmark, benchmark_splits, check_recipes, select,
)  # fmt: skip
from srna_lib.evaluate.bootstrap import UNITS, study_interval, study_weights, weighted_mean, weighted_median
from srna_lib.evaluate.calibration import calibrate, fit_temperature, reliability_table, tempered
from srna_lib.evaluate.comparison import (
    TESTS, beside_paper, best, compare, find, pairs_table, percent, scores_table,
)  # fmt: skip
from srna_lib.evaluate.controls import (
    both_ways, compare_levels, judge, merging_effect, null_scores, run_batches, run_external, run_null,
    run_single_class, sentence, stack,
)  # fmt: skip
from srna_lib.evaluate.crossval import (
    Profile, build_recipe, compare_labels, compare_sizes, cross_validate, fit_fold, get_profile, map_folds,
    mended_labels, task_key,
)  # fmt: skip
from srna_lib.evaluate.metrics import (
    CALIBRATION, FIGURES, METRICS, ORDINAL_METRICS, PER_CLASS, RANKING_METRICS, SELECTIVE_METRICS, accuracy_of_kept,
    confusion, coverage_by_study, coverage_curve, coverage_table, per_dataset, score, weighted_auc,
)  # fmt: skip
from srna_lib.evaluate.splits import SCHEMES, Split, collections_out, fewer_studies, make_splits
