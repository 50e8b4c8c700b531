"""Sets of sRNAs, and their over-representation among the top-ranked sRNAs of a class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from srna_lib.data import PEOPLE, Task, annotate, hairpins, join_names, match_names, resource
from srna_lib.datasets import fetch, read_table
from srna_lib.errors import InputError, one_of
from srna_lib.explain.rankings import TOP, rank_average, top_features
from srna_lib.explain.scores import class_scores

COLLECTIONS = ("family", "cluster", "tissue", "disease")
OF_ATLAS = ("family", "cluster")  # known of every atlas; the others come from files that `datasets.fetch` brings
COLUMNS = ["collection", "set", "title", "per", "member"]
FIELDS = ["collection", "set", "title", "per", "size", "overlap", "expected", "fold", "p", "q", "members"]
FIELDS += ["n_top", "n_background"]
LEVEL = 0.05  # of q, for counts of tests
STATUS = ("kept", "filtered away", "not measured")


def collections(label: str, *, simulated: bool = False) -> tuple[str, ...]:
    """Collections that say something about a label: a simulation has no diseases, people are no tissues."""
    return OF_ATLAS if simulated else tuple(c for c in COLLECTIONS if c != "tissue" or label not in PEOPLE)


def overlap_test(overlap: Any, size: Any, n_top: int, n_background: int) -> dict[str, Any]:
    """One-sided hypergeometric test: overlap by chance, how many times that, chance of such an overlap or a larger."""
    expected = np.divide(np.multiply(n_top, size), max(n_background, 1))
    with np.errstate(invalid="ignore"):
        fold = np.divide(overlap, expected)
    return {"expected": expected, "fold": fold, "p": hypergeom.sf(np.subtract(overlap, 1), n_background, size, n_top)}


# ---- sets


def load_sets(var: pd.DataFrame, collections: Iterable[str] = COLLECTIONS) -> pd.DataFrame:
    """Sets of sRNAs, in the names of an atlas.

    Parameters
    ----------
    var : DataFrame, shape (n_srnas, ...)
        ``atlas.var``: every measured sRNA. A simulated atlas brings its own ``family`` and ``cluster``.
    collections : iterable of str, default all
        ``"family"`` (miRBase), ``"cluster"`` (stem-loops of one strand less than 10,000 bases apart), ``"tissue"``
        (miRTS, from miRNATissueAtlas2: no independent evidence for a model trained on that atlas), ``"disease"``
        (HMDD; what is abundant is studied more). The last two need files of the data set ``annotation``.

    Returns
    -------
    DataFrame, one row per set, member and feature
        ``collection, set, title, per, member, feature``. ``per`` says what counts once: the feature, or the stem-loop,
        whose two arms are no two pieces of evidence.

    Examples
    --------
    >>> load_sets(pd.DataFrame(index=["hsa-miR-17-5p", "hsa-miR-20a-5p"]), ["family"])["set"].tolist()
    ['mir-17', 'mir-17']
    """
    chosen = list(collections)
    for name in chosen:
        one_of("collection of sets", name, COLLECTIONS)
    files = fetch("annotation") if set(chosen) - set(OF_ATLAS) else []
    described = annotate(var) if set(chosen) & set(OF_ATLAS) else var
    tables = []
    for name in chosen:
        if name in OF_ATLAS:
            held = described[name].dropna().astype(str).str.split(";").explode()
            own = _frame([(s, "", str(f)) for f, s in held[held != ""].items()], name, "stem-loop")
            tables.append(own.assign(feature=own["member"]))
        else:
            tables.append(measured(_tissues(files[2]) if name == "tissue" else _diseases(files[3]), var.index))
    return _below(tables, [*COLUMNS, "feature"])


def _below(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Tables one below the other; empty ones, whose columns have no type, are left out."""
    return pd.concat([t for t in tables if len(t)] or [pd.DataFrame(columns=columns)], ignore_index=True)[columns]


def _tissues(path: Path) -> pd.DataFrame:
    """Mature miRNAs that are enriched in one tissue."""
    table = read_table(path, ("miRNA", "enriched_tissue"))
    rows = [(t, t.replace("_", " "), m) for m, t in table[["miRNA", "enriched_tissue"]].itertuples(index=False)]
    return _frame(rows, "tissue", "feature")


def _diseases(path: Path) -> pd.DataFrame:
    """Stem-loops that publications relate to a disease: set = OMIM number, title = its common name."""
    table = read_table(path, ("miRNA", "disease"))
    titles = resource("disease_names.tsv").set_index("disease")["title"].to_dict()
    rows = [(d, titles.get(d, ""), m) for m, d in table[["miRNA", "disease"]].itertuples(index=False)]
    return _frame(rows, "disease", "stem-loop")


def as_sets(sets: Mapping[str, Iterable[str]], collection: str = "own", per: str = "feature") -> pd.DataFrame:
    """Table of sets from a mapping of names to sRNAs."""
    return _frame([(name, "", str(m)) for name, members in sets.items() for m in members], collection, per)


def _frame(rows: list[tuple[str, str, str]], collection: str, per: str) -> pd.DataFrame:
    out = pd.DataFrame(rows, columns=["set", "title", "member"], dtype=object)
    return out.assign(collection=collection, per=per)[COLUMNS].drop_duplicates(ignore_index=True)


def measured(sets: pd.DataFrame, features: Iterable[str]) -> pd.DataFrame:
    """Find the members of sets among the sRNAs of an atlas, in any spelling; adds ``feature``.

    A merged name (``hsa-let-7a-5p/7c-5p``) is a member where one of its miRNAs is. A stem-loop has all its mature
    miRNAs as members; in an atlas of stem-loops a mature miRNA stands for those that it comes from. A name that is none
    of a miRNA has to be the same on both sides.
    """
    homes, _ = hairpins()
    holders: dict[tuple[str, str], list[str]] = {}
    names = match_names([str(f) for f in features])
    for name, target, kind in names[["source", "target", "kind"]].itertuples(index=False):
        keys = [("", name), *((kind, t) for t in target.split(";") if t)]
        if kind == "mature":
            keys += [("arm of", h) for t in target.split(";") for h in homes[t]]
        for key in dict.fromkeys(keys):
            holders.setdefault(key, []).append(name)
    tables = []
    for (_, per), rows in sets.groupby(["collection", "per"], sort=False):
        features_of = _features_of(rows["member"].unique(), str(per), holders)
        tables.append(rows.assign(feature=rows["member"].map(features_of)).explode("feature").dropna(subset="feature"))
    out = _below(tables, [*COLUMNS, "feature"])
    return out.drop_duplicates(["collection", "set", "member", "feature"], ignore_index=True)


def _features_of(members: Iterable[str], per: str, holders: dict[tuple[str, str], list[str]]) -> dict[str, list[str]]:
    """Measured features of each member."""
    homes, _ = hairpins()
    given = [str(m) for m in members]
    # HMDD writes stem-loops with the capital R of a mature miRNA
    spelt = [m.replace("miR", "mir") for m in given] if per == "stem-loop" else given
    matched = match_names(spelt, level="stem-loop" if per == "stem-loop" else "auto")
    out = {}
    for member, target, kind in zip(given, matched["target"], matched["kind"], strict=True):
        targets = [t for t in target.split(";") if t]
        loops = [h for t in targets for h in (homes[t] if kind == "mature" else (t,))]
        keys = [("", member)]
        if per == "feature" and kind == "mature":  # one arm; an atlas of stem-loops has no arms
            keys += [*(("mature", t) for t in targets), *(("stem-loop", h) for h in loops)]
        else:
            keys += [(place, h) for h in loops for place in ("stem-loop", "arm of")]
        out[member] = list(dict.fromkeys(f for key in keys for f in holders.get(key, [])))
    return out


@lru_cache(maxsize=4)  # every class of a table has the same background
def stem_loops(names: tuple[str, ...]) -> dict[str, str]:
    """Stem-loop of each sRNA, so that two arms of one can count once; what is no miRNA stands for itself."""
    homes, groups = hairpins()
    out = {}
    for name, target, kind in match_names(names)[["source", "target", "kind"]].itertuples(index=False):
        first = target.split(";")[0]  # of a merged name the first counts
        out[name] = join_names(groups[homes[first][0] if kind == "mature" else first]) if first else name
    return out


# ---- over-representation


def over_representation(
    top: Iterable[str], sets: pd.DataFrame | Mapping[str, Iterable[str]], background: Iterable[str], *,
    min_size: int = 3, max_size: int = 500,
) -> pd.DataFrame:  # fmt: skip
    """Test whether sets are over-represented in a list of sRNAs (one-sided hypergeometric test).

    Parameters
    ----------
    top : iterable of str
        The list, best first, within `background`.
    sets : DataFrame or mapping of str to iterable of str
        From `load_sets`, or set -> sRNAs in the names of the background.
    background : iterable of str
        Every sRNA that could have come into the list: those that the model saw, so after its filter. With all that
        was measured instead, whatever the filter prefers (abundant miRNAs, say) looks enriched. Of ``"disease"``
        only those count that some set holds, since what is abundant is studied more.
    min_size, max_size : int, default 3 and 500
        Sets with fewer or more members in the background are not tested. A set of two can hardly be detected.

    Returns
    -------
    DataFrame, one row per tested set, best first within each collection
        ``collection, set, title, per, size`` (members in the background), ``overlap`` (members in the list),
        ``expected`` (by chance), ``fold``, ``p`` (chance of such an overlap or a larger one), ``q`` (Benjamini-Hochberg
        over the tested sets of the collection), ``members`` (those in the list, best first, joined by ``;``),
        ``n_top``, ``n_background``. Sizes count features or stem-loops as ``per`` says.

    Examples
    --------
    >>> over_representation(["a", "b"], {"first": ["a", "b", "c"]}, list("abcdef"))["p"].round(2).tolist()
    [0.2]
    """
    chosen = list(dict.fromkeys(str(t) for t in top))
    universe = dict.fromkeys(str(b) for b in background)
    if not universe or not chosen:
        raise InputError(f"the {'list' if universe else 'background'} has no sRNA; expected at least one.")
    strange = next((t for t in chosen if t not in universe), None)
    if strange is not None:
        raise InputError(f"{strange!r} of the list is not in the background of {len(universe)} sRNAs.")
    table = sets if isinstance(sets, pd.DataFrame) else as_sets(sets).assign(feature=lambda t: t["member"])
    units = {"feature": {name: name for name in universe}, "stem-loop": {}}
    if (table["per"] == "stem-loop").any():
        units["stem-loop"] = stem_loops(tuple(universe))
    groups = table.groupby(["collection", "per"], sort=False)
    tests = [_test(rows, chosen, units[per], min_size, max_size, name == "disease") for (name, per), rows in groups]
    return _below(tests, FIELDS)


def _test(
    rows: pd.DataFrame, top: list[str], unit_of: dict[str, str], min_size: int, max_size: int, only_annotated: bool
) -> pd.DataFrame:
    """One collection: sizes, overlaps and p of its sets; `unit_of` says which sRNAs of the background count once."""
    own = rows[rows["feature"].isin(unit_of)].assign(unit=lambda r: r["feature"].map(unit_of))
    own = own.drop_duplicates(["set", "unit"])
    units = set(own["unit"]) if only_annotated else set(unit_of.values())
    of_top: dict[str, list[str]] = {}
    for name in top:
        if unit_of[name] in units:
            of_top.setdefault(unit_of[name], []).append(name)
    # hits in the order of the list: their names are joined best first
    hits = own.assign(rank=own["unit"].map({unit: i for i, unit in enumerate(of_top)})).dropna(subset="rank")
    hits = hits.sort_values("rank", kind="stable")
    hits["member"] = [";".join(of_top[unit]) for unit in hits["unit"]]
    by_set = hits.groupby("set")["member"]
    table = own.drop_duplicates("set")[["collection", "set", "title", "per"]]
    table = table.assign(size=table["set"].map(own["set"].value_counts()), overlap=table["set"].map(by_set.size()))
    table = table.assign(members=table["set"].map(by_set.agg(";".join))).fillna({"overlap": 0, "members": ""})
    table = table[table["size"].between(min_size, max_size)].astype({"overlap": int}).reset_index(drop=True)
    if table.empty:
        return table
    table = table.assign(**overlap_test(table["overlap"], table["size"], len(of_top), len(units)))
    table = table.assign(q=false_discovery_control(table["p"]), n_top=len(of_top), n_background=len(units))
    return table.sort_values(["p", "fold", "set"], ascending=[True, False, True], kind="stable")


def over_representation_by_class(
    scores: pd.DataFrame, sets: pd.DataFrame | Mapping[str, Iterable[str]], *, n: int = TOP, **options: Any
) -> pd.DataFrame:
    """Test the `n` best sRNAs of every class (`over_representation`), with one correction over all classes.

    The background are sRNAs with a score in `scores` (n_classes, n_srnas; larger is more important). Where hardly more
    than `n` are in it, nothing can be detected: take fewer. ``class`` stands before the columns of
    `over_representation`; ``q`` is over all sets and classes of a collection.
    """
    tables = []
    for label, row in scores.rename(columns=str).iterrows():
        kept = row.dropna()
        best = top_features(kept.to_frame().T, n)["srna"]
        tables.append(over_representation(best, sets, kept.index, **options).assign(**{"class": label}))
    table = _below(tables, ["class", *FIELDS])
    table["q"] = table.groupby("collection")["p"].transform(lambda p: false_discovery_control(p.to_numpy(dtype=float)))
    return table


def null_tests(
    fits: Iterable[tuple[Task, Mapping[Any, Any]]], sets: pd.DataFrame, *, n: int = TOP
) -> Iterator[pd.DataFrame]:
    """Tests where there is nothing to find: `over_representation_by_class` of networks fitted to shuffled labels.

    `fits` are shuffled tasks, each with its networks (`stability.fit_shuffled`), whose ranks are averaged.
    """
    for task, networks in fits:
        scores = [class_scores(model, task.X, task.y, reference="mean") for model in networks.values()]
        yield over_representation_by_class(rank_average(scores), sets, n=n)


def empirical_fdr(table: pd.DataFrame, nulls: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Hold tests against those of shuffled labels: members of a set rise and fall together, which no p-value knows.

    `table` comes from `over_representation_by_class`, `nulls` from `null_tests`: the same for labels that were shuffled
    by whole study, the networks trained again. Adds ``q_empirical``: of the tests of a collection with this p or less,
    the share that shuffled labels give on average (1 at most, falling with p); and per collection ``significant``
    (tests with q below `LEVEL`), ``null`` (their mean number under shuffled labels) and ``kept`` (tests with
    ``q_empirical`` below it).
    """
    nulls = list(nulls)
    if not nulls:
        raise InputError("empirical null: no shuffle was given; expected at least one.")
    parts = [table.assign(q_empirical=[], significant=[], null=[], kept=[])] if table.empty else []
    for name, own in table.groupby("collection", sort=False):
        chance = [null[null["collection"] == name] for null in nulls]
        p, p_null = own["p"].to_numpy(), np.sort(np.concatenate([t["p"] for t in chance]))
        false = np.searchsorted(p_null, p, side="right") / len(nulls)
        rate, order = false / np.searchsorted(np.sort(p), p, side="right"), np.argsort(-p, kind="stable")
        q = np.empty(len(p))
        q[order] = np.minimum.accumulate(np.minimum(rate[order], 1))
        counts = {"significant": (own["q"] < LEVEL).sum(), "null": np.mean([(t["q"] < LEVEL).sum() for t in chance])}
        parts.append(own.assign(q_empirical=q, **counts, kept=(q < LEVEL).sum()))
    return pd.concat(parts).sort_index()


def sex_linked_enrichment(weights: pd.DataFrame, tops: tuple[int, ...] = (10, 25, 50, 100)) -> pd.DataFrame:
    """Whether sex-linked sRNAs are more frequent among the top-ranked of `fold_weights` than among all.

    One row per number in `tops`: ``top, linked`` (sex-linked among them), ``expected`` (by chance), ``n_linked`` (in
    all), ``n`` (sRNAs with a known place, which alone take part), ``p_value`` (hypergeometric, this many or more).
    Clustered miRNAs are transcribed together, so the p-value is too small by an unknown amount.
    """
    known = weights[weights["chrom"] != ""].sort_values("rank")
    linked = (known["linked"] != "").to_numpy()
    rows = []
    for top in (t for t in tops if t <= len(known)):
        test = overlap_test(linked[:top].sum(), linked.sum(), top, len(known))
        counts = {"top": top, "linked": linked[:top].sum(), "expected": test["expected"], "n_linked": linked.sum()}
        rows.append(counts | {"n": len(known), "p_value": test["p"]})
    return pd.DataFrame(rows, columns=["top", "linked", "expected", "n_linked", "n", "p_value"])


# ---- lists from the literature


def paper_lists(label: str = "tissue_group") -> pd.DataFrame:
    """Enriched miRNAs per tissue that the reference paper prints (its Table 4): ``list, mirna``; of people none."""
    return resource("paper_mirnas.tsv")[: 0 if label in PEOPLE else None]


def markers() -> pd.DataFrame:
    """Markers: miRNAs that the literature ties to a class of cells.

    ``list`` (class of the cellular microRNAome), ``role`` (``"lead"``: expected among the first of its class;
    ``"further"``), ``mirna, source``.
    """
    return resource("markers.tsv")


def list_ranks(
    scores: pd.DataFrame, lists: pd.DataFrame, *, measured_names: Iterable[str] | None = None
) -> pd.DataFrame:
    """Look listed miRNAs (``list, mirna``, in any spelling) up in the ranking of every class of `scores`.

    ``class, list, mirna, feature`` (of several the best), ``status`` (one of `STATUS`; what was never measured is told
    by `measured_names`, by default the columns of `scores`), ``rank`` (1 is the best; NaN where not kept),
    ``n_background``.
    """
    table = lists.astype({"mirna": str}).drop_duplicates(["list", "mirna"])
    everything = list(dict.fromkeys(map(str, [*(() if measured_names is None else measured_names), *scores.columns])))
    holders = measured(as_sets({"all": table["mirna"].unique()}), everything).groupby("member")["feature"].agg(list)
    rows = []
    for label, row in scores.rename(columns=str).iterrows():
        order = row.dropna().sort_values(ascending=False, kind="stable").index
        place = {name: i for i, name in enumerate(order, start=1)}
        for name, mirna in table[["list", "mirna"]].itertuples(index=False):
            feature = min(holders.get(mirna, [""]), key=lambda f: place.get(f, np.inf))
            status = STATUS[2] if not feature else STATUS[0] if feature in place else STATUS[1]
            rows.append((label, name, mirna, feature, status, place.get(feature, np.nan), len(order)))
    return pd.DataFrame(rows, columns=["class", "list", "mirna", "feature", "status", "rank", "n_background"])


def own_ranks(
    runs: Mapping[str, pd.DataFrame], lists: pd.DataFrame, *, measured_names: Sequence[str] | pd.Index | None = None
) -> pd.DataFrame:
    """Ranks of each list's miRNAs in the class of its name, in several runs: `list_ranks` with a column ``run``."""
    tables = {run: list_ranks(scores, lists, measured_names=measured_names) for run, scores in runs.items()}
    table = pd.concat(tables, names=["run"]).reset_index("run")
    return table[table["class"] == table["list"]].reset_index(drop=True)


def zero_shares(X: pd.DataFrame, y: pd.Series, table: pd.DataFrame) -> pd.DataFrame:
    """Add to ``class, srna`` in which share of all samples, and of those of its class, an sRNA has no read."""
    absent = X == 0
    by_class = absent.groupby(y.astype(str)).mean()
    own = [by_class.loc[c, s] for c, s in zip(table["class"], table["srna"], strict=True)]
    return table.assign(zero_share=absent.mean().reindex(table["srna"]).to_numpy(), zero_share_class=own)


def compare_lists(
    scores: pd.DataFrame, lists: pd.DataFrame, *, measured_names: Iterable[str] | None = None, n: int = 100
) -> pd.DataFrame:
    """Compare the `n` best sRNAs of every class with lists from the literature; other parameters as in `own_ranks`.

    One row per class and list: ``class, list, listed`` (miRNAs of the list), ``kept`` (features of the background among
    them), ``hits`` (those in the best `n`; the paper's lists are ten miRNAs out of its best 300 of about 2500),
    ``expected, fold, p`` (hypergeometric, one-sided), ``q`` (Benjamini-Hochberg over the table), ``best_rank``,
    ``ranks`` (of all kept, best first), ``filtered_away`` and ``not_measured`` (names joined by ``;``), ``n_top``,
    ``n_background``. A list of which nothing is kept has p = 1.
    """
    if n < 1:
        raise InputError(f"n={n}: no list has so few sRNAs; expected at least 1.")
    rows = []
    places = list_ranks(scores, lists, measured_names=measured_names)
    for (label, name), own in places.groupby(["class", "list"], sort=False):
        kept, filtered, absent = (own[own["status"] == status].sort_values("rank", kind="stable") for status in STATUS)
        ranks, total = kept.drop_duplicates("feature")["rank"], int(own["n_background"].iloc[0])
        hits, n_top = int((ranks <= n).sum()), min(n, total)
        row = {"class": label, "list": name, "listed": len(own), "kept": len(ranks), "hits": hits}
        row |= {**overlap_test(hits, len(ranks), n_top, total), "best_rank": ranks.min()}
        row["ranks"] = ", ".join(f"{m} {r:.0f}" for m, r in zip(kept["mirna"], kept["rank"], strict=True))
        row |= {"filtered_away": ";".join(filtered["mirna"]), "not_measured": ";".join(absent["mirna"])}
        rows.append(row | {"n_top": n_top, "n_background": total})
    columns = ["class", "list", "listed", "kept", "hits", "expected", "fold", "p", "best_rank", "ranks"]
    table = pd.DataFrame(rows, columns=[*columns, "filtered_away", "not_measured", "n_top", "n_background"])
    return table.assign(q=false_discovery_control(table["p"].astype(float)) if len(table) else [])
