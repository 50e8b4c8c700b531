"""Sets of sRNAs that belong together: families, genomic clusters, tissues, diseases, and sets of your own (GMT)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

import pandas as pd

from srna_lib.datasets import fetch
from srna_lib.errors import InputError
from srna_lib.features import annotate
from srna_lib.gmt import parse_gmt
from srna_lib.mirnas import hairpins, join_names
from srna_lib.names import match_names
from srna_lib.sources import read_table

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
