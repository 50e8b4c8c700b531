"""Door of stability: how many masked sRNAs flip a prediction, and what that tells."""

from srna_lib.stability.confidence import (
    STEPS, accuracy_at_coverage, auroc_table, combination, examples, firmness, gain_of_kept,
)  # fmt: skip
from srna_lib.stability.flips import (
    ORDERS, cross_flips, donor_flips, first_flips, flip_curves, forest_importance, steps_to_flip,
)  # fmt: skip
from srna_lib.stability.masking import MaskedInput
from srna_lib.stability.orders import deeplift_order
from srna_lib.stability.refits import (
    SOURCES, by_firmness, change_table, fit_folds, fit_seeds, fit_shuffled, prediction_changes, refit_predictions,
)  # fmt: skip
from srna_lib.stability.tables import (
    beside_the_paper, class_order, class_table, flip_records, order_table, readable, share_left,
)  # fmt: skip
