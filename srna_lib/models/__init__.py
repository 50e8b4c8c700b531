"""Door of models."""

from srna_lib.models.network import DenseNetClassifier, build, clear_programs, import_keras
from srna_lib.models.preprocess import LogCPM, Presence, ReadsPerMillion, SampleRanks, feature_names
from srna_lib.models.recipes import CONDITIONED, RECIPES, quantity_recipe, recipe

__all__ = [
    "CONDITIONED",
    "RECIPES",
    "DenseNetClassifier",
    "LogCPM",
    "Presence",
    "ReadsPerMillion",
    "SampleRanks",
    "build",
    "clear_programs",
    "feature_names",
    "import_keras",
    "quantity_recipe",
    "recipe",
]
