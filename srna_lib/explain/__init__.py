"""Door of explain: DeepLIFT, baseline methods, rankings, gaps, sets."""

import sys
from types import ModuleType

from srna_lib.explain.deeplift import CompletenessError, Contributions, contributions, model_space, reference_input
from srna_lib.explain.enrichment import (
    collections, compare_lists, empirical_fdr, load_sets, markers, null_tests, over_representation,
    over_representation_by_class, own_ranks, paper_lists, sex_linked_enrichment, zero_shares,
)  # fmt: skip
from srna_lib.explain.faithfulness import ORDERS, gap_tables, global_importance, own_class
from srna_lib.explain.original import available, differences
from srna_lib.explain.other_methods import (
    fold_weights, forest_gini, forest_permutation, gradient_x_input, integrated_gradients, linear_weights, mean_scores,
)  # fmt: skip
from srna_lib.explain.rankings import (
    TOP, across_classes, agreement, agreement_matrix, precision_at_k, rank_average, strongest_biomarkers, top_features,
    true_biomarkers,
)  # fmt: skip
from srna_lib.explain.scores import class_scores, d1, expression, overall_ranking, ranking, study_scores
from srna_lib.explain.single_samples import HeldOut, held_out, steps_between


class _Verb(ModuleType):
    """The package itself is a verb: ``srna.explain(model, X)``."""

    __call__ = staticmethod(contributions)


sys.modules[__name__].__class__ = _Verb
