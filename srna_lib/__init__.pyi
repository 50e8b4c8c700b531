"""The face: what ``srna_lib`` offers by name, read by lazy_loader and by type checkers."""

import srna_lib.plots as pl

from . import data, datasets, evaluate, explain, explore, io, models, plots, report, stability
from .data import make_task
from .datasets import load
from .io import read
from .models import recipe
from .stability import steps_to_flip

__version__: str

__all__ = [
    "data",
    "datasets",
    "evaluate",
    "explain",
    "explore",
    "io",
    "load",
    "make_task",
    "models",
    "pl",
    "plots",
    "read",
    "recipe",
    "report",
    "stability",
    "steps_to_flip",
]
