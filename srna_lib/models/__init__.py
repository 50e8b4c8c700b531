"""Door of models: transformers, the network, tissue-conditioned models, recipes."""

from srna_lib.models.network import (
    PAD_FEATURES, PAD_SAMPLES, DenseNetClassifier, NetworkClassifier, build, clear_programs, compile_epoch,
    cross_entropy, fresh_state, glorot, import_keras, shuffled,
)  # fmt: skip
from srna_lib.models.preprocess import LogCPM, Presence, ReadsPerMillion, SampleRanks, feature_names
from srna_lib.models.recipes import CONDITIONED, QUANTITY_RECIPES, RECIPES, quantity_recipe, recipe, recipe_names
from srna_lib.models.studies import MEAN, merged
