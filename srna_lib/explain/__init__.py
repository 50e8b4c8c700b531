"""Door of explain: DeepLIFT, baseline methods, rankings, gaps, sets."""

from srna_lib.explain.deeplift import RULES, class_means, contributions, model_space, reference_input
from srna_lib.explain.enrichment import (
    COLLECTIONS,
    compare_lists,
    list_ranks,
    load_sets,
    markers,
    over_representation_by_class,
    paper_lists,
)
from srna_lib.explain.faithfulness import ORDERS, gap_tables, global_importance
from srna_lib.explain.original import OracleTask, available, run_tasks
from srna_lib.explain.other_methods import (
    fold_weights,
    forest_gini,
    forest_permutation,
    gradient_x_input,
    integrated_gradients,
    linear_weights,
    mean_scores,
    sex_linked_enrichment,
)
from srna_lib.explain.rankings import (
    TOP,
    across_classes,
    agreement,
    agreement_matrix,
    planted,
    precision_at_k,
    rank_average,
    strongest_planted,
    top_features,
)
from srna_lib.explain.scores import class_scores, d1, expression, overall_ranking, ranking, study_scores
from srna_lib.explain.single_samples import HeldOut, held_out, steps_between
