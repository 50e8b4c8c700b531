"""Door of companions: four published neighbours of the paper, at work on small RNAs (notebooks 09 to 12)."""

from srna_lib.companions.latent import (
    Codes, ConvClassifier, LatentEncoder, few_labels, heads, pretrain, pretrain_marks, read_marks, simulate_marks,
    stack,
)  # fmt: skip
