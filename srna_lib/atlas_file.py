"""An atlas of one's own: an ``.h5ad`` file held against the contract."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.atlas import check_atlas
from srna_lib.errors import InputError
from srna_lib.format_h5ad import check_file


def load_file(path: Path | str) -> ad.AnnData:
    """Read an atlas of your own and hold it against the contract.

    Parameters
    ----------
    path : path
        An ``.h5ad`` file with raw counts in ``X`` and ``dataset_id`` in ``obs``.

    Returns
    -------
    AnnData, shape (n_samples, n_srnas)
        Checked; what the file does not say of itself (title, citation, licence, biotype) is filled with "not
        stated", or for the biotype with ``miRNA`` where the name says so and ``other`` elsewhere.

    Raises
    ------
    InputError
        No such file, no AnnData file, or what `atlas.check_atlas` refuses.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; expected an atlas (.h5ad) or the name of a data set.")
    check_file(path)
    try:
        with warnings.catch_warnings():
            # check_atlas refuses them, with a sentence
            warnings.filterwarnings("ignore", message=".*names are not unique")
            atlas = ad.read_h5ad(path)
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: this is no readable AnnData file ({reason}); expected .h5ad.") from error
    if atlas.X is None:
        raise InputError(f"{path}: X is missing; expected raw counts, samples x sRNAs.")
    sources = pd.DataFrame({"url": [path.name], "sha256": [hashlib.sha256(path.read_bytes()).hexdigest()]})
    stated = {k: v for k, v in dict(atlas.uns.get("srna", {})).items() if k != "sources"}
    filled = dict.fromkeys(("citation", "licence"), "not stated")
    about = {"title": path.stem, "simulated": False, **filled, **stated, "name": path.stem, "sources": sources}
    about["simulated"] = bool(about["simulated"])
    atlas.uns["srna"] = about
    if "biotype" not in atlas.var:
        mirna = atlas.var_names.str.contains(r"miR-|mir-|let-", regex=True)
        atlas.var["biotype"] = np.where(mirna, "miRNA", "other")
    return check_atlas(atlas, source=str(path))
