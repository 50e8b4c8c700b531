"""sRNAs of an atlas in the names of another: annotation, stem-loops, harmonised features."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from srna_lib.data.atlas import atlas_name, check_atlas
from srna_lib.data.mirna_names import hairpins, join_names, linked, match_names, mirna_table, natural_key
from srna_lib.errors import InputError, expect

ANNOTATION = {"mimat": "accession", "family": "family", "cluster": "cluster", "chrom": "chrom"}


class _Target(NamedTuple):
    """Where the counts of one source feature go."""

    name: str
    how: str
    reason: str = ""


def annotate(var: pd.DataFrame) -> pd.DataFrame:
    """Add accession (``mimat``), ``family``, genomic ``cluster`` and ``chrom`` to sRNAs, named in any spelling.

    Several values of a merged or repeated miRNA are joined by ``;``, unknown is NaN. What `var` already says stays.
    """
    table = mirna_table()
    known = {(r["kind"], r["name"]): r for r in table[["kind", "name", *ANNOTATION.values()]].to_dict("records")}
    matches = match_names(var.index)
    out = var.copy()
    for column, field in ANNOTATION.items():
        values = []
        for target, kind in zip(matches["target"], matches["kind"], strict=True):
            parts = (p for n in target.split(";") if n for p in known[kind, n][field].split(";") if p)
            values.append(";".join(dict.fromkeys(parts)) or np.nan)
        new = pd.Series(values, index=var.index, dtype=object)
        out[column] = new if column not in out else out[column].astype(object).where(out[column].notna(), new)
    return out


def shared_names(*collections: Iterable[str]) -> list[str]:
    """Features that several collections of names have in common once merged names are merged in all of them.

    Where one collection cannot tell two miRNAs apart, none can: a merged name joins its members everywhere, so that
    `harmonise` to the result (in natural order) never has to divide counts.
    """
    sets = [_members(list(c)) for c in collections]
    groups = linked([m for members in sets for m in members.values()])
    present = [{groups[atom] for m in members.values() for atom in m} for members in sets]
    common = set.intersection(*present) if present else set()
    return [join_names(g) for g in sorted(common, key=lambda g: natural_key(g[0]))]


def harmonise(adata: ad.AnnData, to: ad.AnnData | Iterable[str] | str = "mirbase") -> tuple[ad.AnnData, pd.DataFrame]:
    """Give an atlas the feature names of another.

    Counts of features that share a target are summed. A merged source name that stands for several targets cannot be
    divided: all its counts go to the member with the most reads in the target atlas (where only names are given, to
    the first one listed) and the report says ``split``. `shared_names` makes targets for which this never happens.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        Atlas with names in any spelling.
    to : AnnData, list of str, "mirbase" or "stem-loop", default "mirbase"
        Target: the features of another atlas; names; current miRBase names; or stem-loops, where those that share a
        mature miRNA are one feature (``hsa-let-7a-1/7a-2/7a-3``), because no read tells them apart.

    Returns
    -------
    atlas : AnnData, shape (n_samples, n_targets)
        Same samples; of a target atlas or list only features that `adata` has, in the target's order. Unknown
        features are left out then; with "mirbase" and "stem-loop" they stay under their own names.
    report : DataFrame, one row per source feature
        ``source, target, how, reason, reads``; `how` is ``exact``, ``alias`` (another spelling or release), ``merged``
        (the target stands for more than the source, so features are summed), ``split`` or ``unknown``.

    Examples
    --------
    >>> from srna_lib.datasets import load
    >>> harmonise(load("demo"), ["hsa-miR-21-5p", "hsa-miR-122-5p"])[0].n_vars
    2
    """
    sources = [str(n) for n in adata.var_names]
    order: list[str] = []
    if isinstance(to, str):
        if to not in ("mirbase", "stem-loop"):
            raise InputError(f'unknown target {to!r} of names: expected "mirbase", "stem-loop", names or an atlas.')
        find: Callable[..., _Target] = _in_mirbase if to == "mirbase" else _among_stem_loops
    else:
        order, reads = _reference(to)
        stands_for, holders = _members(order), defaultdict(list)
        for name, members in stands_for.items():
            for atom in members:
                holders[atom].append(name)
        find = partial(_in_reference, stands_for, holders, reads)
    targets = [find(*match) for match in match_names(sources).itertuples(index=False)]
    names = [t.name or (s if isinstance(to, str) else "") for s, t in zip(sources, targets, strict=True)]
    total = np.asarray(adata.X.sum(axis=0), dtype=float).ravel()
    report = pd.DataFrame(targets, columns=["target", "how", "reason"]).assign(reads=total)
    report.insert(0, "source", sources)
    place = {n: i for i, n in enumerate(order or names)}
    kept = sorted({n for n in names if n}, key=place.__getitem__)
    first = f" (first: {sources[0]!r} against {order[0]!r})" if order else ""
    expect(kept, f"{atlas_name(adata)}: none of the {len(sources)} sRNAs is among the target names{first}")
    return _summed(adata, names, kept), report


def _members(names: list[str]) -> dict[str, tuple[str, ...]]:
    """Current names that each name stands for; a name that is none of a miRNA stands for itself."""
    matches = match_names(names)[["source", "target"]]
    return {n: tuple(t.split(";")) if t else (n,) for n, t in matches.itertuples(index=False)}


def _in_mirbase(source: str, target: str, how: str, kind: str, reason: str) -> _Target:
    name = join_names(target.split(";"))
    if how == "split":  # nothing has to be divided: the merged name stays
        how = "exact" if name == source else "alias"
    return _Target(name, how, reason)


def _among_stem_loops(source: str, target: str, how: str, kind: str, reason: str) -> _Target:
    if not target:
        return _Target("", how, reason)
    homes, groups = hairpins()
    loops = [h for n in target.split(";") for h in (homes[n] if kind == "mature" else (n,))]
    first, *others = dict.fromkeys(groups[h] for h in loops)
    if others:
        how, reason = "split", f"also of {', '.join(map(join_names, others))}"
    elif kind != "stem-loop" or len(first) > 1:
        how = "merged"
    return _Target(join_names(first), how, reason)


def _reference(to: ad.AnnData | Iterable[str]) -> tuple[list[str], dict[str, float]]:
    """Target names, and the reads that each has."""
    if isinstance(to, ad.AnnData):
        names = [str(n) for n in to.var_names]
        reads = dict(zip(names, np.asarray(to.X.sum(axis=0), dtype=float).ravel(), strict=True))
    else:
        names, reads = [str(n) for n in to], {}
    expect(names, "the target has no feature names; expected at least one")
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise InputError(f"the target names repeat {twice!r}; expected each name once.")
    return names, reads


def _in_reference(
    stands_for: dict[str, tuple[str, ...]], holders: dict[str, list[str]], reads: dict[str, float],
    source: str, target: str, how: str, kind: str, reason: str,
) -> _Target:  # fmt: skip
    if source in stands_for:
        return _Target(source, "exact")
    homes, atoms = hairpins()[0], target.split(";") if target else [source]
    if kind == "mature" and not any(a in holders for a in atoms):  # a target of stem-loops
        atoms = list(dict.fromkeys(h for a in atoms for h in homes[a]))
    hits = list(dict.fromkeys(h for a in atoms for h in holders.get(a, [])))
    if not hits:
        return _Target("", "unknown", reason or "not among the target names")
    if len(hits) > 1:
        best = max(hits, key=lambda h: reads.get(h, 0.0))  # the first of equals
        return _Target(best, "split", f"also of {', '.join(h for h in hits if h != best)}")
    whole = set(stands_for[hits[0]])
    missing = [a for a in atoms if a not in whole]
    same = set(atoms) == whole and kind == ("mature" if atoms[0] in homes else "stem-loop")
    how = "alias" if same else "merged" if whole - set(atoms) or not missing else "split"
    return _Target(hits[0], how, f"not among the target names: {', '.join(missing)}" if missing else "")


def _summed(adata: ad.AnnData, names: list[str], kept: list[str]) -> ad.AnnData:
    """Atlas whose features are the kept names, each the sum of the source features of that name."""
    columns = pd.Index(kept).get_indexer(names)
    rows = np.flatnonzero(columns >= 0)
    sums = sp.csr_matrix((np.ones(len(rows)), (rows, columns[rows])), shape=(len(names), len(kept)))
    counts = sp.csr_matrix(sp.csr_matrix(adata.X, dtype=np.float64) @ sums)
    var = adata.var.iloc[[names.index(n) for n in kept]].copy()
    var.index = pd.Index(kept, name=adata.var.index.name)
    fresh, known = annotate(pd.DataFrame(index=var.index)), match_names(kept)["kind"].to_numpy() != ""
    for field in ANNOTATION:  # what the sources said holds only for sRNAs that no table knows
        var[field] = fresh[field].where(known, var[field]) if field in var else fresh[field]
    out = ad.AnnData(X=counts, obs=adata.obs.copy(), var=var, uns=dict(adata.uns))
    return check_atlas(out)
