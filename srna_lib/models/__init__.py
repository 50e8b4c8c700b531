"""Door of models: transformers, the network, tissue-conditioned models, recipes."""

from srna_lib.models.network import DenseNetClassifier, build, clear_programs, compile_epochs, import_keras
from srna_lib.models.preprocess import LogCPM, Presence, ReadsPerMillion, SampleRanks, feature_names
from srna_lib.models.recipes import CONDITIONED, QUANTITY_RECIPES, RECIPES, quantity_recipe, recipe, recipe_names
