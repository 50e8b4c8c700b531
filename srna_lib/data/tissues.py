"""Labels of the public sets in one vocabulary: tissue, group, top level, ontology term, lineage."""

from __future__ import annotations

import difflib
from functools import cache

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data.atlas import resource
from srna_lib.errors import InputError, one_of

RENAMED = {"ontology_id": "tissue_ontology_term_id", "reason": "label_reason"}
FLAGS = ["in_vitro_derived", "is_cell_line"]
ANNOTATED = ["tissue", "tissue_group", "tissue_top", "tissue_ontology_term_id", "lineage", *FLAGS, "label_reason"]

# cell types whose lineage the samples' own marker miRNAs settled: whoever asks what a lineage is worth leaves them out
BY_MARKERS = ("Embryonic_stem_cell_H7", "Endothelial_progenitor_cell")
# label -> class -> ontology term: the most special one that all samples of the class are part of, or close to it
_TERMS = resource("terms.tsv").groupby("label")
TERMS = {label: dict(zip(rows["class"], rows["term"], strict=True)) for label, rows in _TERMS}


@cache
def tissue_table() -> pd.DataFrame:
    """Every label of every public data set, and what it means, one row per (source, label). Shared: not to be changed.

    Written by ``scripts/make_tissue_table.py``, which explains the columns, from a hand-made list and the ontologies
    UBERON (tissues), CL (cells) and Cellosaurus (cell lines), whose identifiers and names it quotes (CC BY 3.0, CC BY
    4.0, CC BY 4.0). Empty is NaN; the two flags are bool.
    """
    table = resource("tissues.tsv")
    text = table.columns.difference(FLAGS)
    table[text] = table[text].astype(object).replace("", np.nan)
    table[FLAGS] = table[FLAGS] == "True"
    return table


def annotate_labels(obs: pd.DataFrame, source: str, label_column: str, *, strict: bool = False) -> pd.DataFrame:
    """Add tissue, group, ontology term and lineage (columns `ANNOTATED`) to samples by their label.

    `label_column` holds labels as `source`, e.g. ``"mirome"``, writes them: one word may mean different things in two
    sets. Labels that the table does not hold are listed in ``attrs["unknown_labels"]`` and have NaN; `strict` refuses
    them. The flags are bool where all labels are known.
    """
    table = tissue_table()
    one_of("source of labels", source, sorted(table["source"].unique()))
    if label_column not in obs:
        present = ", ".join(map(str, obs.columns))
        raise InputError(f"{source}: obs[{label_column!r}] is missing (found: {present}); expected a column of labels.")
    known = table[table["source"] == source].set_index("label").rename(columns=RENAMED)
    labels = obs[label_column].astype(object)
    unknown = sorted(set(labels.dropna().astype(str)) - set(known.index))
    if unknown and strict:
        close = difflib.get_close_matches(unknown[0], known.index, n=1)
        first = f"{unknown[0]!r}{f', close to {close[0]!r}' if close else ''}"
        strange = f"{len(unknown)} labels of obs[{label_column!r}] are not in the table of tissues (first: {first})"
        raise InputError(f"{source}: {strange}; expected one of {len(known)} known labels.")
    meaning = known[ANNOTATED].reindex(labels.where(labels.isna(), labels.astype(str))).set_axis(obs.index)
    if not meaning["is_cell_line"].isna().any():
        meaning = meaning.astype(dict.fromkeys(FLAGS, bool))
    result = obs.assign(**{column: meaning[column] for column in ANNOTATED})
    result.attrs["unknown_labels"] = unknown
    return result


def without_marker_labels(adata: ad.AnnData) -> ad.AnnData:
    """Leave out samples of the cell types `BY_MARKERS`, under the name that the source or a joined atlas gives them."""
    named = adata.obs.reindex(columns=["cell_type", "source_label"]).isin(BY_MARKERS).any(axis=1)
    return adata[~named.to_numpy()]
