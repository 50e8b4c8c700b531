"""Door of stability: masking, flips and what they tell."""

from srna_lib.stability.confidence import (
    SCORES,
    STEPS,
    accuracy_at_coverage,
    auroc_table,
    combination,
    examples,
    firmness,
    gain_of_kept,
)
from srna_lib.stability.flips import ORDERS, cross_flips, first_flips, fit_fold, flip_curve, make_order, predictions_of
from srna_lib.stability.masking import Silencing, silence
from srna_lib.stability.orders import Order, deeplift_order
from srna_lib.stability.refits import (
    SOURCES,
    by_firmness,
    call_changes,
    change_table,
    fit_folds,
    fit_seeds,
    rank_correlation,
    refit_calls,
)
from srna_lib.stability.tables import (
    class_order,
    class_table,
    of_changes,
    of_classes,
    of_combination,
    of_orders,
    of_scores,
    of_tasks,
    order_table,
    paper_steps,
    parents_of,
    per_class,
    readable,
    right_from_start,
    share_left,
    wrong_from_start,
)
