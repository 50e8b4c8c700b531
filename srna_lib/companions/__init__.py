"""Door of companions: four published neighbours of the paper, at work on small RNAs (notebooks 09 to 12)."""

from srna_lib.companions.retrieval import (
    METRICS, cancer_diseases, chance_level, characteristic_direction, combine, connectivity, cosine, cross_retrieve,
    disease_retrieval, extremes, nuisance_experiment, rank_metrics, read_signature, retrieval_table, retrieve, shrunken,
    signatures, simulate_world, walks, world_retrieval,
)  # fmt: skip
