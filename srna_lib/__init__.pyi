"""The face: what ``srna_lib`` offers by name, read by lazy_loader and by type checkers."""

import typing

import srna_lib.annotate as _annotate
import srna_lib.explain as _explain
import srna_lib.plots as pl

from . import companions, data, datasets, evaluate, explore, io, models, plots, report, stability
from .annotate import audit, train
from .companions import retrieve
from .data import make_task
from .datasets import load
from .evaluate import calibrate, compare, cross_validate, make_splits, score
from .io import read
from .models import RECIPES, recipe
from .stability import steps_to_flip

if not typing.TYPE_CHECKING:
    from . import annotate, explain

annotate: _annotate._Verb  # packages that can be called
explain: _explain._Verb
__version__: str

__all__ = [
    "RECIPES",
    "annotate",
    "audit",
    "calibrate",
    "companions",
    "compare",
    "cross_validate",
    "data",
    "datasets",
    "evaluate",
    "explain",
    "explore",
    "io",
    "load",
    "make_splits",
    "make_task",
    "models",
    "pl",
    "plots",
    "read",
    "recipe",
    "report",
    "retrieve",
    "score",
    "stability",
    "steps_to_flip",
    "train",
]
