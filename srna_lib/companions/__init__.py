"""Door of companions: four published neighbours of the paper, at work on small RNAs (notebooks 09 to 12)."""

from srna_lib.companions.graphs import (
    KINDS, coarsen, gains, graph_importance, graph_table, infer_single, label_tasks, learning_curve, learning_curves,
    mirna_graph, normalise, over_seeds, read_edges, rewire, simulate_blocks,
)  # fmt: skip
from srna_lib.companions.limits import (
    DESIGNS, NETWORK, Design, across_folds, attributions, by_length, design, fit_all, gaps, rank_all, retrain, simulate,
    study_effects,
)  # fmt: skip
from srna_lib.companions.latent import (
    ConvClassifier, LatentEncoder, few_labels, heads, pretrain, pretrain_marks, read_marks, simulate_marks, stack,
)  # fmt: skip
from srna_lib.companions.retrieval import (
    METRICS, characteristic_direction, connectivity, cross_retrieve, disease_retrieval, extremes, nuisance_experiment,
    rank_metrics, retrieval_table, retrieve, signatures, simulate_world, walks, world_retrieval,
)  # fmt: skip
