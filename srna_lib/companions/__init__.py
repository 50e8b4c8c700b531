"""Door of companions: four published neighbours of the paper, at work on small RNAs (notebooks 09 to 12)."""

from srna_lib.companions.graphs import (
    KINDS, GraphLogistic, GraphNetClassifier, coarsen, graph_table, infer_single, learning_curve, mirna_graph,
    normalise, over_seeds, read_edges, rewire,
)  # fmt: skip
