"""Human miRNAs as miRBase lists them: names, stem-loops, and names of several miRNAs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import pandas as pd


@cache
def mirna_table() -> pd.DataFrame:
    """Human miRNAs: names, accessions, places, families, clusters and older names.

    Returns
    -------
    DataFrame
        One row per stem-loop, mature miRNA or removed entry: ``kind, name, accession, arm, hairpins, family, cluster,
        chrom, start, end, strand, release, aliases``, all text. Shared: copy it before changing it.

    Notes
    -----
    ``resources/mirna_names.tsv``, computed from miRBase's files by ``scripts/make_mirna_tables.py``.
    """
    with resources.files("srna_lib").joinpath("resources/mirna_names.tsv").open(encoding="utf-8") as handle:
        return pd.read_csv(handle, sep="\t", comment="#", dtype=str, keep_default_na=False)


def join_names(names: Iterable[str]) -> str:
    """One merged name for several miRNAs, as miRge writes it: ``hsa-miR-103a-3p/107``.

    Parameters
    ----------
    names : iterable of str
        Current names; their order is kept.

    Returns
    -------
    str
        The first name in full, of the others what differs; `names.current_name` takes it apart again.
    """
    first, *rest = list(names) or [""]
    start = re.match(r"hsa-(?:miR|mir|let)-", first)
    prefix = start[0] if start else ""
    return "/".join([first, *(r.removeprefix(prefix) if prefix else r for r in rest)])


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts miR-9 before miR-10."""
    return tuple((int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", name) if p)


def linked(sets: Iterable[Collection[str]]) -> dict[str, tuple[str, ...]]:
    """Join sets that overlap, directly or through others.

    Parameters
    ----------
    sets : iterable of collections of str
        Names that belong together; none is empty.

    Returns
    -------
    dict
        Member -> all members that it is connected with, in natural order.
    """
    parent: dict[str, str] = {}

    def root(x: str) -> str:
        while parent.setdefault(x, x) != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for members in sets:
        first, *rest = members
        for other in [first, *rest]:
            parent[root(other)] = root(first)
    grouped: dict[str, list[str]] = {}
    for x in parent:
        grouped.setdefault(root(x), []).append(x)
    return {x: tuple(sorted(g, key=natural_key)) for g in grouped.values() for x in g}


@cache
def hairpins() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Stem-loops of each mature miRNA; stem-loop -> all that share mature miRNAs with it. Shared: not to be changed."""
    table = mirna_table()
    mature = table[table["kind"] == "mature"]
    homes = {n: tuple(h.split(";")) for n, h in zip(mature["name"], mature["hairpins"], strict=True)}
    own = [(h,) for h in table.loc[table["kind"] == "stem-loop", "name"]]
    return homes, linked([*homes.values(), *own])


@dataclass(frozen=True)
class Index:
    """Look-ups of the table: by kind, key -> current names; by accession -> (kind, name)."""

    current: dict[str, set[str]]
    aliases: dict[str, dict[str, tuple[str, ...]]]
    accessions: dict[str, tuple[str, str]]
    removed: dict[str, str]


@cache
def index() -> Index:
    """Look-ups of `mirna_table`. Shared: not to be changed."""
    table = mirna_table()
    current: dict[str, set[str]] = {"mature": set(), "stem-loop": set()}
    aliases: dict[str, dict[str, tuple[str, ...]]] = {"mature": defaultdict(tuple), "stem-loop": defaultdict(tuple)}
    accessions, removed = {}, {}
    for kind, name, accession, old in table[["kind", "name", "accession", "aliases"]].itertuples(index=False):
        if accession:
            accessions[accession] = (kind, name)
        if kind == "removed":
            removed[name] = accession
            continue
        current[kind].add(name)
        for alias in filter(None, old.split(";")):
            aliases[kind][alias] += (name,)
    return Index(current, {k: dict(v) for k, v in aliases.items()}, accessions, removed)
