"""Two collections that measured the same tumours: counts of one beside normalised values of the other."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import pandas as pd

from srna_lib.atlas import counts_frame
from srna_lib.errors import InputError
from srna_lib.labels import NORMALISED, Task, donors

KEYS = ("donor_id", "tumour_normal")


def matched_samples(counts: ad.AnnData, normalised: ad.AnnData) -> pd.DataFrame:
    """Pair the samples of two collections by patient and by tumour or normal tissue.

    Parameters
    ----------
    counts, normalised : AnnData
        Both with ``obs`` columns ``donor_id`` and ``tumour_normal``.

    Returns
    -------
    DataFrame, one row per pair
        ``counts`` and ``normalised``: sample names. Of several aliquots of one tumour the first is taken; a sample
        of an unknown patient has no partner.

    Raises
    ------
    InputError
        A column is missing, or no sample matches.
    """
    tables = []
    for adata, column in ((counts, "counts"), (normalised, "normalised")):
        missing = [k for k in KEYS if k not in adata.obs]
        if missing:
            raise InputError(
                f"{_name(adata)}: the field obs[{missing[0]!r}] is missing; expected it to match samples by."
            )
        known = adata.obs[list(KEYS)].notna().all(axis=1)
        table = adata.obs.loc[known, list(KEYS)].astype(str)
        table[column] = adata.obs_names[known]
        tables.append(table.drop_duplicates(list(KEYS)))
    pairs = tables[0].merge(tables[1], on=list(KEYS))
    if pairs.empty:
        raise InputError(
            f"{_name(counts)} and {_name(normalised)} share no patient and tissue type; expected some of both."
        )
    return pairs[["counts", "normalised"]]


def joined_tasks(
    counts: ad.AnnData, normalised: ad.AnnData, label: str, *, names: tuple[str, str] = ("miRNA", "tRNA fragments")
) -> dict[str, Task]:
    """The same samples seen through each of two feature sets, and through both.

    Parameters
    ----------
    counts : AnnData
        Raw counts; its labels are used.
    normalised : AnnData
        Log-scale values (``uns["srna"]["quantity"] == "normalised"``).
    label : str
        Column of ``obs`` of `counts` to predict.
    names : tuple of str, default ("miRNA", "tRNA fragments")
        What the two feature sets are called.

    Returns
    -------
    dict
        Name, second name and ``"both"`` -> Task on the same samples. Columns of the second set are named
        ``normalised:<feature>``: recipes made with ``joined=True`` leave them as they are.

    Raises
    ------
    InputError
        As from `matched_samples`; the label is missing; or `normalised` holds counts.
    """
    for adata, expected in ((counts, "counts"), (normalised, "normalised")):
        found = adata.uns.get("srna", {}).get("quantity", "counts")
        if found != expected:
            raise InputError(f"{_name(adata)}: uns['srna']['quantity'] is {found!r}; expected {expected!r}.")
    pairs = matched_samples(counts, normalised)
    if label not in counts.obs:
        raise InputError(f"{_name(counts)}: the field obs[{label!r}] is missing; expected a column of labels.")
    known = counts.obs[label].loc[pairs["counts"]].notna().to_numpy()
    chosen = counts[pairs["counts"][known].to_numpy()]
    first = counts_frame(chosen)
    other = normalised[pairs["normalised"][known].to_numpy()]
    values = other.X.toarray() if hasattr(other.X, "toarray") else other.X
    second = pd.DataFrame(values, index=first.index, columns=NORMALISED + other.var_names)
    target = chosen.obs[label]
    base = Task(
        name=label,
        X=first,
        y=target.astype(float) if pd.api.types.is_numeric_dtype(target) else target.astype(str),
        groups=chosen.obs["dataset_id"].astype(str),
        dropped={"label unknown": int((~known).sum())},
        features=names[0],
        donors=donors(chosen),
    )
    return {
        names[0]: base,
        names[1]: replace(base, X=second, features=names[1]),
        "both": replace(base, X=pd.concat([first, second], axis=1), features="both"),
    }


def _name(adata: ad.AnnData) -> str:
    return adata.uns.get("srna", {}).get("name", "atlas")
