"""An example table to try `srna annotate` on: made up from what a bundle knows, so that nothing is to be fetched."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srna_lib.annotate.bundles import Bundle, load_bundle

READS, FEW = 300_000, 40


def example(bundle: str | Bundle = "lineage", *, seed: int = 0) -> pd.DataFrame:
    """Make counts up: a sample of the mean profile of each class of a bundle, and one with hardly a read.

    That they are predicted says that the command works, and nothing of how well.

    Parameters
    ----------
    bundle : str or Bundle, default "lineage"
        As in `annotate`.
    seed : int, default 0
        Seed of the reads.

    Returns
    -------
    DataFrame, shape (n_srnas, n_classes + 1)
        Whole numbers; columns ``like_<class>`` and ``hardly_a_read``.
    """
    known = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
    rng, arrays = np.random.default_rng(seed), known.arrays
    z = arrays["points"].astype(float) @ arrays["components"].astype(float)
    means = pd.DataFrame(z).groupby(arrays["training_class"]).mean().sort_index().to_numpy()
    cpm = np.clip(np.exp2(means * arrays["scale"] + arrays["mean"]) - 1, 0, None)
    share = cpm / cpm.sum(axis=1, keepdims=True)
    names = pd.Index(np.asarray(known.about["features"], dtype=object)[arrays["kept"]], name="srna")
    columns = {f"like_{c}": rng.multinomial(READS, p) for c, p in zip(known.classes, share, strict=True)}
    return pd.DataFrame(columns | {"hardly_a_read": rng.multinomial(FEW, share[0])}, names)
