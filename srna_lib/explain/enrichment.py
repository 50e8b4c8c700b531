"""Sets of sRNAs, and their over-representation among the top-ranked sRNAs of a class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from srna_lib.data import annotate, hairpins, join_names, match_names
from srna_lib.datasets import fetch, read_table
from srna_lib.errors import InputError
from srna_lib.explain.rankings import TOP, top_features

SHAPE = "expected name, description and members, separated by tabs"


def parse_gmt(path: Path | str) -> list[tuple[str, str, str]]:
    """Read sets from a GMT file: one set per line, tab-separated: name, description, members.

    Parameters
    ----------
    path : path
        Text file (UTF-8). Empty lines and empty fields at the end of a line are passed over, repeated members of a
        set count once.

    Returns
    -------
    list of (str, str, str)
        Name, description and member, in the order of the file.

    Raises
    ------
    InputError
        No such file, no text, a line without name or members, or a name that stands twice; with file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; expected sets of sRNAs (.gmt).") from error
    except OSError as error:
        raise InputError(
            f"{path}: it cannot be read ({error.strerror or error}); expected sets of sRNAs (.gmt)."
        ) from error
    except UnicodeDecodeError as error:
        place = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {place}: found the byte 0x{error.object[error.start]:02x}, which is no UTF-8 text; {SHAPE}."
        ) from error
    lines_of: dict[str, int] = {}
    rows: list[tuple[str, str, str]] = []
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        name, *rest = (field.strip() for field in line.split("\t"))
        members = list(dict.fromkeys(filter(None, rest[1:])))
        if "\0" in line:
            raise InputError(f"{path}, line {number}: found a zero byte, as in no text file; {SHAPE}.")
        if not name:
            raise InputError(f"{path}, line {number}: found no name in the first field; {SHAPE}.")
        if not members:
            found = f"{len(rest) + 1} field{'s' if rest else ''} ({_short(line)!r}) and no member"
            raise InputError(f"{path}, line {number}: found {found}; {SHAPE}.")
        if name in lines_of:
            raise InputError(
                f"{path}, line {number}: found the set {_short(name)!r} again, first in line {lines_of[name]};"
                " expected each name once."
            )
        lines_of[name] = number
        rows.extend((name, rest[0], member) for member in members)
    if not rows:
        raise InputError(f"{path}: found no set; {SHAPE}.")
    return rows


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


COLLECTIONS = ("family", "cluster", "tissue", "disease")
OF_ATLAS = ("family", "cluster")  # known of every atlas; the others come from files that `datasets.fetch` brings
PER = ("feature", "stem-loop")
COLUMNS = ["collection", "set", "title", "per", "member"]


def load_sets(
    var: pd.DataFrame, collections: Iterable[str] = COLLECTIONS, *, gmt: Iterable[Path | str] = (), level: str = "auto"
) -> pd.DataFrame:
    """Sets of sRNAs, in the names of an atlas.

    Parameters
    ----------
    var : DataFrame, shape (n_srnas, ...)
        ``atlas.var``: every measured sRNA. A simulated atlas brings its own ``family`` and ``cluster``; what is
        missing is added by `features.annotate`.
    collections : iterable of str, default all
        Of ``"family"`` (miRBase families), ``"cluster"`` (stem-loops of one strand less than 10,000 bases apart),
        ``"tissue"`` (`tissue_sets`) and ``"disease"`` (`disease_sets`). The last two need the files of the data set
        ``annotation``, which are fetched.
    gmt : iterable of path, default none
        Your own files (`read_gmt`).
    level : str, default "auto"
        As in `names.match_names`, for the names of `var`.

    Returns
    -------
    DataFrame, one row per set, member and feature
        As `measured` returns it; a collection of which nothing is measured has no rows.

    Raises
    ------
    InputError
        An unknown collection, a bad GMT file, one of which no member is measured, or two of one name.
    """
    chosen = list(collections)
    for name in chosen:
        if name not in COLLECTIONS:
            raise InputError(f"unknown collection of sets {name!r}: expected one of {', '.join(COLLECTIONS)}.")
    files = fetch("annotation") if set(chosen) - set(OF_ATLAS) else []
    described = annotate(var, level=level) if set(chosen) & set(OF_ATLAS) else var
    parts: dict[str, pd.DataFrame] = {}
    for name in chosen:
        if name in OF_ATLAS:
            parts[name] = _of_atlas(described[name], name)
        else:
            parts[name] = measured(_tissues(files[2]) if name == "tissue" else _diseases(files[3]), var.index, level)
    for path in gmt:
        own = read_gmt(path)
        name = str(own["collection"].iloc[0])
        if name in parts:
            raise InputError(f"{path}: there are sets of the name {name!r} already; expected another file name.")
        found = measured(own, var.index, level)
        if found.empty:
            raise InputError(
                f"{path}: none of the {own['member'].nunique()} members of its sets is among the {len(var)} measured"
                f" sRNAs (first: {own['member'].iloc[0]!r} against {str(var.index[0])!r}); expected names of sRNAs."
            )
        parts[name] = found
    held = [part for part in parts.values() if len(part)]
    return pd.concat(held, ignore_index=True) if held else pd.DataFrame(columns=[*COLUMNS, "feature"])


def tissue_sets() -> pd.DataFrame:
    """Mature miRNAs that are enriched in one tissue.

    Returns
    -------
    DataFrame, 440 rows of 22 tissues
        ``collection, set, title, per, member``.

    Raises
    ------
    InputError
        As in `datasets.fetch`.

    Notes
    -----
    Table of miRTS, which derives it from miRNATissueAtlas2: no independent evidence for a model that was trained on
    that atlas (``tissue_atlas2``, ``open_atlas``). A miRNA may stand in several tissues.
    """
    return _tissues(fetch("annotation")[2])


def disease_sets() -> pd.DataFrame:
    """Stem-loops that publications relate to a disease (HMDD).

    Returns
    -------
    DataFrame, 5618 rows of 243 diseases
        ``collection, set, title, per, member``; the set is the disease's OMIM number, ``MIM114480``, the title
        its common name, for the larger sets (``resources/disease_names.tsv``).

    Raises
    ------
    InputError
        As in `datasets.fetch`.

    Notes
    -----
    The source puts what publications call a disease under the nearest number, which can be narrower than the disease.
    What is abundant or long known is studied more: the sets of common cancers hold a large share of all abundant
    miRNAs. `enrichment.over_representation` with ``only_annotated=True`` takes that share of the effect away.
    """
    return _diseases(fetch("annotation")[3])


def read_gmt(path: Path | str) -> pd.DataFrame:
    """Read sets from a GMT file: one set per line, tab-separated: name, description, members.

    Parameters
    ----------
    path : path
        Text file (UTF-8), see `gmt.parse_gmt`.

    Returns
    -------
    DataFrame, one row per set and member
        ``collection`` (the file's name without ``.gmt``), ``set, title, per, member``. ``per`` is ``"stem-loop"``
        where all known names are stem-loops (``hsa-mir-21``), else ``"feature"``.

    Raises
    ------
    InputError
        As in `gmt.parse_gmt`.
    """
    path = Path(path)
    rows = parse_gmt(path)
    kinds = set(match_names(dict.fromkeys(member for _, _, member in rows))["kind"]) - {""}
    return _frame(rows, path.name.removesuffix(".gmt"), "stem-loop" if kinds == {"stem-loop"} else "feature")


def measured(sets: pd.DataFrame, features: Iterable[str], level: str = "auto") -> pd.DataFrame:
    """Find the members of sets among the sRNAs of an atlas.

    A merged name (``hsa-let-7a-5p/7c-5p``) is a member where one of its miRNAs is. A stem-loop has all its mature
    miRNAs as members; in an atlas of stem-loops a mature miRNA stands for those that it comes from. A name that is none
    of a miRNA has to be the same on both sides.

    Parameters
    ----------
    sets : DataFrame
        ``collection, set, title, per, member``, from `tissue_sets`, `disease_sets` or `read_gmt`.
    features : iterable of str
        Measured sRNAs, in any spelling that `names.match_names` knows.
    level : str, default "auto"
        As in `names.match_names`, for the features.

    Returns
    -------
    DataFrame, one row per set, member and feature
        The same columns and ``feature``; members that are not measured are left out. Two members may share a merged
        feature, and count once then.
    """
    names = [str(f) for f in features]
    homes, _ = hairpins()
    holders: dict[tuple[str, str], list[str]] = {}
    found = match_names(names, level=level)
    for name, target, kind in found[["source", "target", "kind"]].itertuples(index=False):
        keys = [("", name), *((kind, t) for t in target.split(";") if t)]
        if kind == "mature":
            keys += [("arm of", h) for t in target.split(";") for h in homes[t]]
        for key in dict.fromkeys(keys):
            holders.setdefault(key, []).append(name)
    parts = []
    for (_, per), rows in sets.groupby(["collection", "per"], sort=False):
        features_of = _features_of(rows["member"].unique(), str(per), holders)
        own = rows.assign(feature=rows["member"].map(features_of)).explode("feature").dropna(subset=["feature"])
        parts.append(own)
    columns = [*COLUMNS, "feature"]
    out = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    return out[columns].drop_duplicates(["collection", "set", "member", "feature"]).reset_index(drop=True)


def stem_loops(names: Iterable[str], *, level: str = "auto") -> dict[str, str]:
    """Stem-loop of each sRNA, so that two arms of one can count once.

    Parameters
    ----------
    names : iterable of str
        Names in any spelling.
    level : str, default "auto"
        As in `names.match_names`.

    Returns
    -------
    dict
        Name -> stem-loop. Those that share a mature miRNA are one (``hsa-let-7a-1/7a-2/7a-3``); of a merged name the
        first counts; what is no miRNA stands for itself.
    """
    homes, groups = hairpins()
    found, out = match_names(names, level=level), {}
    for name, target, kind in found[["source", "target", "kind"]].itertuples(index=False):
        first = target.split(";")[0]
        out[name] = join_names(groups[homes[first][0] if kind == "mature" else first]) if first else name
    return out


def as_sets(sets: Mapping[str, Iterable[str]], collection: str = "own", per: str = "feature") -> pd.DataFrame:
    """Table of sets from a mapping of names to sRNAs.

    Parameters
    ----------
    sets : mapping of str to iterable of str
        Set -> its sRNAs.
    collection : str, default "own"
        Name of them all.
    per : str, default "feature"
        What counts once: ``"feature"``, or ``"stem-loop"`` where members of one stem-loop are no two pieces of
        evidence.

    Returns
    -------
    DataFrame, one row per set and member
        ``collection, set, title, per, member``.

    Raises
    ------
    InputError
        Another `per`.
    """
    if per not in PER:
        raise InputError(f"per={per!r}: expected one of {', '.join(PER)}.")
    return _frame([(name, "", str(m)) for name, members in sets.items() for m in members], collection, per)


def _frame(rows: list[tuple[str, str, str]], collection: str, per: str) -> pd.DataFrame:
    out = pd.DataFrame(rows, columns=["set", "title", "member"], dtype=object)
    return out.assign(collection=collection, per=per)[COLUMNS].drop_duplicates(ignore_index=True)


def _of_atlas(values: pd.Series, collection: str) -> pd.DataFrame:
    """Sets that a column of ``var`` names, several of one sRNA joined by ``;``."""
    long = values.dropna().astype(str).str.split(";").explode()
    rows = [(name, "", str(feature)) for feature, name in long[long != ""].items()]
    out = _frame(rows, collection, "stem-loop")
    return out.assign(feature=out["member"])


def _tissues(path: Path) -> pd.DataFrame:
    table = read_table(path, ("miRNA", "enriched_tissue"))
    rows = [(t, t.replace("_", " "), m) for m, t in table[["miRNA", "enriched_tissue"]].itertuples(index=False)]
    return _frame(rows, "tissue", "feature")


def _diseases(path: Path) -> pd.DataFrame:
    table = read_table(path, ("miRNA", "disease"))
    with resources.files("srna_lib").joinpath("resources/disease_names.tsv").open(encoding="utf-8") as handle:
        titles = pd.read_csv(handle, sep="\t", comment="#", dtype=str).set_index("disease")["title"].to_dict()
    rows = [(d, titles.get(d, ""), m) for m, d in table[["miRNA", "disease"]].itertuples(index=False)]
    return _frame(rows, "disease", "stem-loop")


def _features_of(members: Iterable[str], per: str, holders: dict[tuple[str, str], list[str]]) -> dict[str, list[str]]:
    """Measured features of each member."""
    homes, _ = hairpins()
    given = [str(m) for m in members]
    # HMDD writes stem-loops with the capital R of a mature miRNA
    spelt = [m.replace("miR", "mir") for m in given] if per == "stem-loop" else given
    found = match_names(spelt, level="stem-loop" if per == "stem-loop" else "auto")
    out = {}
    for member, target, kind in zip(given, found["target"], found["kind"], strict=True):
        targets = [t for t in target.split(";") if t]
        loops = [h for t in targets for h in (homes[t] if kind == "mature" else (t,))]
        keys = [("", member)]
        if per == "feature" and kind == "mature":  # one arm; an atlas of stem-loops has no arms
            keys += [*(("mature", t) for t in targets), *(("stem-loop", h) for h in loops)]
        else:
            keys += [(place, h) for h in loops for place in ("stem-loop", "arm of")]
        out[member] = list(dict.fromkeys(f for key in keys for f in holders.get(key, [])))
    return out


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
