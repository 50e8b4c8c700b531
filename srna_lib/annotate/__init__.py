"""Door of annotate: bundles, what they say of new samples, and samples whose labels contradict them."""

import sys
from types import ModuleType
from typing import Any

import anndata as ad

from srna_lib.annotate.audit import Audit, audit, write_audit
from srna_lib.annotate.bundles import Bundle, card, load_bundle, save, shipped, train
from srna_lib.annotate.example import example
from srna_lib.annotate.samples import DEFAULT, FIELDS, RED_CELLS, annotate, kinds_of, summary, understood, write


class _Verb(ModuleType):
    """The package itself is a verb: ``srna.annotate("miR.Counts.csv")``."""

    def __call__(self, counts: Any, *bundles: Any, **options: Any) -> ad.AnnData:
        """Predict the metadata of samples: `samples.annotate`."""
        return annotate(counts, *bundles, **options)


sys.modules[__name__].__class__ = _Verb
