"""Lists of miRNAs from the literature, and where they stand in a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from srna_lib.enrichment import restrict
from srna_lib.errors import InputError
from srna_lib.sets import as_sets, measured

STATUS = ("kept", "filtered away", "not measured")
_OF_LIST = [
    "class", "list", "listed", "kept", "hits", "expected", "fold", "p", "q", "best_rank", "ranks", "filtered_away",
    "not_measured", "n_top", "n_background",
]  # fmt: skip


def paper_lists() -> pd.DataFrame:
    """Enriched miRNAs per tissue that the reference paper prints (its Table 4).

    Returns
    -------
    DataFrame, 60 rows of 6 lists
        ``list, mirna``, in the order printed.
    """
    return _resource("paper_mirnas.tsv")


def markers() -> pd.DataFrame:
    """Markers: miRNAs that the literature ties to a class of cells.

    Returns
    -------
    DataFrame
        ``list`` (class of the cellular microRNAome), ``role`` (``"lead"``: expected among the first of its class;
        ``"further"``), ``mirna, source``.
    """
    return _resource("markers.tsv")


def list_ranks(
    scores: pd.DataFrame,
    lists: pd.DataFrame | Mapping[str, Iterable[str]],
    background: Iterable[str] | None = None,
    *,
    measured_names: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Look listed miRNAs up in the ranking of every class.

    Parameters
    ----------
    scores : DataFrame, shape (n_classes, n_srnas)
        Larger is more important; NaN where a filter dropped the sRNA.
    lists : DataFrame or mapping of str to iterable of str
        ``list, mirna`` (`paper_lists`, `markers`), or list -> miRNAs, in any spelling.
    background : iterable of str, optional
        sRNAs that the model saw; by default those with a score. Needed where averaging has given all sRNAs one.
    measured_names : iterable of str, optional
        All sRNAs of the atlas (``atlas.var_names``), to tell what was never measured from what the filter dropped;
        by default the columns of `scores`.

    Returns
    -------
    DataFrame, one row per class and listed miRNA
        ``class, list, mirna, feature`` (of several the best), ``status`` (``"kept"``, ``"filtered away"``,
        ``"not measured"``), ``rank`` (1 is the best; NaN where not kept), ``n_background``.

    Raises
    ------
    InputError
        Lists without rows, or a background that the scores lack.
    """
    table = _lists(lists)
    kept = restrict(scores, background)
    known = () if measured_names is None else measured_names
    everything = list(dict.fromkeys([*map(str, known), *map(str, scores.columns)]))
    found = measured(_as_lists(table), everything)
    holders = found.groupby("member")["feature"].agg(list).to_dict()
    rows = []
    for label, row in kept.iterrows():
        order = row.dropna().sort_values(ascending=False, kind="stable").index
        place = {str(name): i for i, name in enumerate(order, start=1)}
        for name, mirna in table[["list", "mirna"]].itertuples(index=False):
            features = sorted(holders.get(mirna, []), key=lambda f: place.get(f, np.inf))
            feature = features[0] if features else ""
            status = STATUS[2] if not features else STATUS[0] if feature in place else STATUS[1]
            rows.append((label, name, mirna, feature, status, place.get(feature, np.nan), len(order)))
    return pd.DataFrame(rows, columns=["class", "list", "mirna", "feature", "status", "rank", "n_background"])


def compare_lists(
    scores: pd.DataFrame,
    lists: pd.DataFrame | Mapping[str, Iterable[str]],
    background: Iterable[str] | None = None,
    *,
    measured_names: Iterable[str] | None = None,
    n: int = 100,
) -> pd.DataFrame:
    """Compare the best sRNAs of every class with lists from the literature.

    Parameters
    ----------
    scores, lists, background, measured_names
        As in `list_ranks`.
    n : int, default 100
        Best sRNAs per class that are compared. The paper's lists are ten miRNAs out of its best 300 of about 2500.

    Returns
    -------
    DataFrame, one row per class and list
        ``class, list, listed`` (miRNAs of the list), ``kept`` (features of the background among them), ``hits`` (those
        in the best `n`), ``expected, fold, p`` (hypergeometric, one-sided), ``q`` (Benjamini-Hochberg over the table),
        ``best_rank``, ``ranks`` (of all kept, best first), ``filtered_away`` and ``not_measured`` (names joined by
        ``;``), ``n_top``, ``n_background``. A list of which nothing is kept has p = 1.

    Raises
    ------
    InputError
        As in `list_ranks`, or `n` below 1.
    """
    if n < 1:
        raise InputError(f"n={n}: no list has so few sRNAs; expected at least 1.")
    ranked = list_ranks(scores, lists, background, measured_names=measured_names)
    rows = []
    for (label, name), own in ranked.groupby(["class", "list"], sort=False):
        kept = own[own["status"] == STATUS[0]].sort_values("rank", kind="stable")
        places = kept.drop_duplicates("feature")["rank"]
        total = int(own["n_background"].iloc[0])
        used = min(n, total)
        hits, expected = int((places <= n).sum()), used * len(places) / max(total, 1)
        rows.append(
            {
                "class": label, "list": name, "listed": len(own), "kept": len(places), "hits": hits,
                "expected": expected, "fold": hits / expected if expected else np.nan,
                "p": float(hypergeom.sf(hits - 1, total, len(places), used)), "best_rank": places.min(),
                "ranks": ", ".join(f"{m} {r:.0f}" for m, r in zip(kept["mirna"], kept["rank"], strict=True)),
                "filtered_away": ";".join(own.loc[own["status"] == STATUS[1], "mirna"]),
                "not_measured": ";".join(own.loc[own["status"] == STATUS[2], "mirna"]),
                "n_top": used, "n_background": total,
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    return table.assign(q=false_discovery_control(table["p"].to_numpy()))[_OF_LIST]


def _lists(lists: pd.DataFrame | Mapping[str, Iterable[str]]) -> pd.DataFrame:
    if not isinstance(lists, pd.DataFrame):
        lists = pd.DataFrame([(n, m) for n, ms in lists.items() for m in ms], columns=["list", "mirna"])
    lacking = [c for c in ("list", "mirna") if c not in lists]
    if lacking or lists.empty:
        found = f"no column {', '.join(lacking)}" if lacking else "no row"
        raise InputError(f"the lists have {found}; expected the columns list and mirna, one row per miRNA.")
    return lists.astype({"mirna": str}).drop_duplicates(["list", "mirna"])


def _as_lists(table: pd.DataFrame) -> pd.DataFrame:
    return as_sets({"all": table["mirna"].unique()}, "lists")


def _resource(name: str) -> pd.DataFrame:
    with resources.files("srna_lib").joinpath(f"resources/{name}").open(encoding="utf-8") as handle:
        return pd.read_csv(handle, sep="\t", comment="#", dtype=str, keep_default_na=False)
