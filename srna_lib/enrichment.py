"""Over-representation of sets of sRNAs among the best sRNAs of a class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from srna_lib.errors import InputError
from srna_lib.rankings import TOP, top_features
from srna_lib.sets import PER, as_sets, stem_loops

FIELDS = [
    "collection", "set", "title", "per", "size", "overlap", "expected", "fold", "p", "q", "members", "n_top",
    "n_background",
]  # fmt: skip


def over_representation(
    top: Iterable[str],
    sets: pd.DataFrame | Mapping[str, Iterable[str]],
    background: Iterable[str],
    *,
    per: str | None = None,
    min_size: int = 3,
    max_size: int = 500,
    only_annotated: bool = False,
) -> pd.DataFrame:
    """Test whether sets are over-represented in a list of sRNAs (one-sided hypergeometric test).

    Parameters
    ----------
    top : iterable of str
        The list, best first; part of `background`.
    sets : DataFrame or mapping of str to iterable of str
        From `sets.load_sets` (columns ``collection, set, feature``; ``title`` and ``per`` if there), or set -> sRNAs in
        the names of the background.
    background : iterable of str
        Every sRNA that could have come into the list: those that the model saw, so after its filter. With all that
        was measured instead, whatever the filter prefers (abundant miRNAs, say) looks enriched.
    per : {"feature", "stem-loop"}, optional
        What counts once; by default what the table of sets says (``per``), else ``"feature"``. The two arms of a
        stem-loop rise and fall together: in sets of stem-loops they are no two pieces of evidence. A stem-loop is in
        the list as soon as one of its arms is.
    min_size, max_size : int, default 3 and 500
        Sets with fewer or more members in the background are not tested. A set of two can hardly be found.
    only_annotated : bool, default False
        Take as background only what some set of the collection holds. Needed where being known at all depends on
        abundance, as in ``"disease"``.

    Returns
    -------
    DataFrame, one row per tested set, best first within each collection
        ``collection, set, title, per, size`` (members in the background), ``overlap`` (members in the list),
        ``expected`` (by chance), ``fold``, ``p`` (chance of such an overlap or a larger one), ``q`` (Benjamini-Hochberg
        over the tested sets of the collection), ``members`` (those in the list, best first, joined by ``;``),
        ``n_top``, ``n_background``. Sizes count features or stem-loops as ``per`` says.

    Raises
    ------
    InputError
        An empty list or background, a name of the list that the background lacks, or senseless sizes.
    """
    chosen = list(dict.fromkeys(str(t) for t in top))
    universe = list(dict.fromkeys(str(b) for b in background))
    if not universe or not chosen:
        raise InputError(f"the {'list' if universe else 'background'} has no sRNA; expected at least one.")
    strange = next((t for t in chosen if t not in set(universe)), None)
    if strange is not None:
        raise InputError(f"{strange!r} of the list is not in the background of {len(universe)} sRNAs; expected a part.")
    if not 1 <= min_size <= max_size:
        raise InputError(f"sizes of sets from {min_size} to {max_size}; expected 1 <= min_size <= max_size.")
    table = _table(sets, per)
    units = {"feature": {name: name for name in universe}, "stem-loop": {}}
    if (table["per"] == "stem-loop").any():
        units["stem-loop"] = stem_loops(universe)
    parts = [
        _test(rows, chosen, units[str(per)], min_size, max_size, only_annotated)
        for (_, per), rows in table.groupby(["collection", "per"], sort=False)
    ]
    found = [part for part in parts if len(part)]
    return pd.concat(found, ignore_index=True)[FIELDS] if found else pd.DataFrame(columns=FIELDS)


def over_representation_by_class(
    scores: pd.DataFrame,
    sets: pd.DataFrame | Mapping[str, Iterable[str]],
    background: Iterable[str] | None = None,
    *,
    n: int = TOP,
    per: str | None = None,
    min_size: int = 3,
    max_size: int = 500,
    only_annotated: bool = False,
) -> pd.DataFrame:
    """Test the best sRNAs of every class (`over_representation`), with one correction over all classes.

    Parameters
    ----------
    scores : DataFrame, shape (n_classes, n_srnas)
        Larger is more important (`explain.d1`, `rankings.rank_average`); NaN where a filter dropped the sRNA.
    sets, per, min_size, max_size, only_annotated
        As in `over_representation`.
    background : iterable of str, optional
        As in `over_representation`; by default the sRNAs with a score in the class.
    n : int, default 300
        Best sRNAs per class. Where hardly more are in the background, nothing can be found: take fewer.

    Returns
    -------
    DataFrame, one row per class and tested set
        ``class`` and the columns of `over_representation`; ``q`` is over all sets and classes of a collection.

    Raises
    ------
    InputError
        As in `over_representation`, or `n` below 1.
    """
    parts = []
    for label, row in restrict(scores, background).iterrows():
        kept = row.dropna()
        best = top_features(kept.to_frame().T, n)["srna"]
        found = over_representation(
            best, sets, kept.index, per=per, min_size=min_size, max_size=max_size, only_annotated=only_annotated
        )
        parts.append(found.assign(**{"class": label}))
    held = [part for part in parts if len(part)]
    if not held:
        return pd.DataFrame(columns=["class", *FIELDS])
    table = pd.concat(held, ignore_index=True)
    table["q"] = table.groupby("collection")["p"].transform(lambda p: false_discovery_control(p.to_numpy()))
    return table[["class", *FIELDS]]


def restrict(scores: pd.DataFrame, background: Iterable[str] | None) -> pd.DataFrame:
    """Scores of the sRNAs that could have been named.

    Parameters
    ----------
    scores : DataFrame, shape (n_classes, n_srnas)
        Larger is more important; NaN where an sRNA has no score.
    background : iterable of str or None
        sRNAs that the model saw; None for all columns.

    Returns
    -------
    DataFrame, shape (n_classes, n_background)
        With text as column names.

    Raises
    ------
    InputError
        An sRNA of the background that the scores lack.
    """
    table = scores.set_axis(scores.columns.astype(str), axis=1)
    if background is None:
        return table
    names = list(dict.fromkeys(str(b) for b in background))
    strange = next((b for b in names if b not in table.columns), None)
    if strange is not None:
        raise InputError(f"{strange!r} of the background has no score; expected a part of the {table.shape[1]} scored.")
    return table[names]


def _test(
    rows: pd.DataFrame, top: list[str], unit_of: dict[str, str], min_size: int, max_size: int, only_annotated: bool
) -> pd.DataFrame:
    """One collection: sizes, overlaps and p of its sets; `unit_of` says which sRNAs of the background count once."""
    own = rows[rows["feature"].isin(unit_of)].assign(unit=lambda r: r["feature"].map(unit_of))
    units = set(own["unit"]) if only_annotated else set(unit_of.values())
    of_top: dict[str, list[str]] = {}
    for name in top:
        if unit_of[name] in units:
            of_top.setdefault(unit_of[name], []).append(name)
    results = []
    for name, members in own.groupby("set", sort=False):
        held = set(members["unit"])
        if min_size <= len(held) <= max_size:
            hit = [unit for unit in of_top if unit in held]
            expected = len(of_top) * len(held) / len(units)
            results.append(
                {
                    "collection": members["collection"].iloc[0], "set": name, "title": members["title"].iloc[0],
                    "per": members["per"].iloc[0], "size": len(held), "overlap": len(hit), "expected": expected,
                    "fold": len(hit) / expected if expected else np.nan,
                    "members": ";".join(f for unit in hit for f in of_top[unit]),
                }
            )  # fmt: skip
    table = pd.DataFrame(results, columns=[f for f in FIELDS if f not in ("p", "q", "n_top", "n_background")])
    if table.empty:
        return table
    table["p"] = hypergeom.sf(table["overlap"] - 1, len(units), table["size"], len(of_top))
    table["q"] = false_discovery_control(table["p"].to_numpy())
    table = table.assign(n_top=len(of_top), n_background=len(units))
    return table.sort_values(["p", "fold", "set"], ascending=[True, False, True], kind="stable")


def _table(sets: pd.DataFrame | Mapping[str, Iterable[str]], per: str | None) -> pd.DataFrame:
    """Sets with all columns that the test needs, in the names of the features."""
    if per is not None and per not in PER:
        raise InputError(f"per={per!r}: expected one of {', '.join(PER)}.")
    if not isinstance(sets, pd.DataFrame):
        sets = as_sets(sets).assign(feature=lambda t: t["member"])
    lacking = [c for c in ("collection", "set", "feature") if c not in sets]
    if lacking:
        raise InputError(
            f"the table of sets has no column {', '.join(lacking)}; expected collection, set and feature"
            " (sets.load_sets and sets.measured give it)."
        )
    out = sets.assign(feature=sets["feature"].astype(str))
    out["title"] = out["title"] if "title" in out else ""
    out["per"] = per or (out["per"] if "per" in out else "feature")
    return out
