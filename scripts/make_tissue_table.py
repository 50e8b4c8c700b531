"""Build ``srna_lib/resources/tissues.tsv`` from ``tissue_labels.tsv``, with names and ancestors from the ontologies.

Run ``python scripts/make_tissue_table.py``; the output depends on the two inputs only: the hand-written table beside
this file and the UBERON, CL and Cellosaurus releases inside the development package cellxgene-ontology-guide.

What a person writes is the meaning of a source's label: its term and its tissue group. What follows from the term
is derived: the term's name, the ancestor that confirms the group, and the lineage. Where the ontology gives no
lineage or more than one, the table must decide and say why (column ``note``), and where a level stays empty it must
say why (column ``reason``); the script refuses a row that does not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

CURATED = Path(__file__).with_name("tissue_labels.tsv")
TABLE = Path(__file__).parent.parent / "srna_lib" / "resources" / "tissues.tsv"
COLUMNS = (
    "source", "label", "tissue", "ontology_id", "ontology_name", "tissue_group", "tissue_top", "group_root",
    "lineage", "lineage_root", "in_vitro_derived", "is_cell_line", "reason", "note",
)  # fmt: skip
EMPTY = "-"  # in the curated table: this level is left empty on purpose
EPITHELIAL = "CL:0000066"

# Top level -> groups -> terms of which a member of the group is a part or a kind. The five groups of the paper's
# Table 2 keep their members, but for three: liver stands alone (the paper has it in blood), lymph node and tonsil are
# lymphoid (the paper: gland), and lung and bronchus are no epithelium. Cells of blood, vessel wall, connective tissue,
# fat and muscle belong to these groups wherever they were taken from, epithelial and neural cells to their organ.
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "haematopoietic": {
        "blood": ("CL:0000988", "UBERON:0000178", "UBERON:0002371"),  # haematopoietic cell, blood, bone marrow
        "lymphoid": ("UBERON:0002193",),  # haemolymphoid system
    },
    "excitable": {
        "brain": ("CL:0002319", "UBERON:0001017"),  # neural cell, central nervous system
        "nerve": ("CL:0002573", "UBERON:0000010"),  # Schwann cell, peripheral nervous system
        "eye": (EPITHELIAL, "UBERON:0000970"),
        "muscle": ("CL:0000187", "CL:0000188", "CL:0000680", "UBERON:0001015", "UBERON:0000948"),  # ..., heart
    },
    "epithelial": {
        "epithelium": (EPITHELIAL, "UBERON:0002416", "UBERON:0000310"),  # integumental system, breast
        "gland": (EPITHELIAL, "UBERON:0002530", "UBERON:0000990", "UBERON:0001008", "UBERON:0001264"),
        "intestine": (EPITHELIAL, "UBERON:0000160"),
        "digestive": (EPITHELIAL, "UBERON:0001555"),  # digestive tract above the intestine
        "liver": (EPITHELIAL, "UBERON:0002423"),  # hepatobiliary system
        "lung": (EPITHELIAL, "UBERON:0001558"),  # lower respiratory tract
    },
    "mesenchymal": {
        "connective": ("CL:0002320", "UBERON:0002384"),
        "adipose": ("CL:0000136", "CL:0002334", "UBERON:0001013"),  # adipocyte, preadipocyte, adipose tissue
        "vascular": ("CL:0000115", "UBERON:0002049"),  # endothelial cell, vasculature
    },
    "embryonic": {
        "embryonic": ("CL:0002322", "CL:0002248", "CL:0002321"),  # embryonic and pluripotent stem, embryonic cell
        "placenta": (EPITHELIAL, "UBERON:0016887"),  # ..., entire extraembryonic component
        "germline": ("CL:0000039",),
    },
}
TOP = {group: top for top, groups in GROUPS.items() for group in groups}
ROOTS = {group: roots for groups in GROUPS.values() for group, roots in groups.items()}

# Lineage -> terms whose descendants have it. Smooth muscle stands with the mesenchymal cells: it is no striated muscle
# and turns into fibroblast-like cells in culture. A term below two of these is decided in the curated table.
LINEAGES: dict[str, tuple[str, ...]] = {
    "pluripotent": ("CL:0002322", "CL:0002248"),  # embryonic stem cell, pluripotent stem cell
    "neural": ("CL:0002319",),
    "blood cell": ("CL:0000988",),  # hematopoietic cell
    "biofluid": ("UBERON:0001969", "UBERON:0001977"),  # plasma, serum
    "mesenchymal": ("CL:0002320", "CL:0000192"),  # connective tissue cell, smooth muscle cell
    "striated muscle": ("CL:0000737", "CL:0000188", "CL:0000680"),  # striated, of skeletal muscle, muscle precursor
    "epithelial": (EPITHELIAL,),
    "endothelial": ("CL:0000115",),
    "germline": ("CL:0000039",),
}


def read_curated(path: Path = CURATED) -> pd.DataFrame:
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    twice = table[table.duplicated(["source", "label"])]
    if len(twice):
        raise SystemExit(f"{path.name}: {len(twice)} labels stand twice (first: {twice['label'].iloc[0]!r})")
    return table


def build(curated: pd.DataFrame, parser: Any) -> pd.DataFrame:
    """Fill in what follows from the terms; exit with every fault of the curated table."""
    rows, faults = [], []
    for row in curated.to_dict("records"):
        try:
            rows.append(fill(row, parser))
        except ValueError as error:
            faults.append(f"{row['source']} {row['label']}: {error}")
    if faults:
        raise SystemExit("\n".join(faults))
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["source", "label"], ignore_index=True)


def fill(row: dict[str, str], parser: Any) -> dict[str, str]:
    term, reasons = row["ontology_id"], [r for r in row["reason"].split("; ") if r]
    name, ancestors = "", []
    if term:
        if parser.is_term_deprecated(term):
            raise ValueError(f"{term} is obsolete, replaced by {parser.get_term_replacement(term)}")
        name = parser.get_term_label(term)
        ancestors = [term, *parser.get_term_ancestors(term)]
    elif "ontology" not in levels(reasons):
        raise ValueError("no term and no reason for it")
    group = row["tissue_group"].removeprefix(EMPTY)
    if group and group not in TOP:
        raise ValueError(f"unknown group {group!r}")
    group_root = next((r for r in ROOTS.get(group, ()) if r in ancestors), "")
    if group and term and not group_root and not row["note"]:
        raise ValueError(f"{term} {name} is under none of the terms of {group!r}, and no note says why")
    lineage, root = find_lineage(row, ancestors)
    if not lineage and "lineage" not in levels(reasons):
        if not term.startswith("UBERON:"):
            raise ValueError("no lineage and no reason for it")
        reasons.append("lineage: tissue of several kinds of cells")
    for level, value in (("group", group), ("lineage", lineage), ("ontology", term)):
        if bool(value) == (level in levels(reasons)):
            raise ValueError(f"{level} is {value!r}, and the reason reads {row['reason']!r}")
    return {
        **{column: row[column] for column in ("source", "label", "note")},
        "tissue": row["tissue"] or name,
        "ontology_id": term,
        "ontology_name": name,
        "tissue_group": group,
        "tissue_top": TOP.get(group, ""),
        "group_root": group_root,
        "lineage": lineage,
        "lineage_root": root,
        "in_vitro_derived": str(row["in_vitro_derived"] == "yes"),
        "is_cell_line": str(row["is_cell_line"] == "yes"),
        "reason": "; ".join(reasons),
    }


def find_lineage(row: dict[str, str], ancestors: list[str]) -> tuple[str, str]:
    """Lineage and the ancestor it follows from; a curated one must differ from the derived one and say why."""
    found = {lineage: next(r for r in roots if r in ancestors) for lineage, roots in LINEAGES.items()
             if set(roots) & set(ancestors)}  # fmt: skip
    curated = row["lineage"]
    if curated == EMPTY:
        return "", ""
    if curated:
        if curated not in LINEAGES:
            raise ValueError(f"unknown lineage {curated!r}")
        if list(found) == [curated]:
            raise ValueError(f"the lineage {curated!r} follows from the term; leave the cell empty")
        if not row["note"]:
            raise ValueError(f"the lineage {curated!r} needs a note (from the term: {', '.join(found) or 'none'})")
        return curated, found.get(curated, "")
    if len(found) > 1:
        raise ValueError(f"the term is under several lineages ({', '.join(found)}); decide and say why")
    return next(iter(found.items()), ("", ""))


def levels(reasons: list[str]) -> set[str]:
    """Levels that a reason is given for: ``group``, ``lineage``, ``ontology``."""
    return {reason.partition(":")[0] for reason in reasons}


def main() -> None:
    from cellxgene_ontology_guide.ontology_parser import OntologyParser

    table = build(read_curated(), OntologyParser())
    partial = TABLE.with_suffix(".part")
    table.to_csv(partial, sep="\t", index=False, lineterminator="\n")
    os.replace(partial, TABLE)
    named = (table["ontology_id"] != "").mean()
    print(f"{len(table)} labels of {table['source'].nunique()} data sets, {named:.1%} with a term -> {TABLE.name}")


if __name__ == "__main__":
    main()
