"""Human miRNAs of miRBase: spellings, accessions, older releases, merged names -> current names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import cache
from typing import NamedTuple

import pandas as pd

from srna_lib.data.atlas import resource
from srna_lib.errors import one_of


@cache
def mirna_table() -> pd.DataFrame:
    """Human miRNAs: names, accessions, places, families, clusters, older names; all text. Shared: not to be changed."""
    # One row per stem-loop, mature miRNA or removed entry (resources/mirna_names.tsv, which
    # scripts/make_mirna_tables.py computes from miRBase's files).
    return resource("mirna_names.tsv")


def join_names(names: Iterable[str]) -> str:
    """One merged name for several current ones, as miRge writes it: ``hsa-miR-103a-3p/107``."""
    first, *rest = list(names) or [""]
    start = re.match(r"hsa-(?:miR|mir|let)-", first)
    prefix = start[0] if start else ""
    return "/".join([first, *(r.removeprefix(prefix) if prefix else r for r in rest)])


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts miR-9 before miR-10."""
    return tuple((int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", name) if p)


def linked(sets: Iterable[Collection[str]]) -> dict[str, tuple[str, ...]]:
    """Join sets that overlap, directly or through others: member -> all that it is connected with, in natural order."""
    groups: dict[str, set[str]] = {}
    for members in sets:
        joined = set(members).union(*(groups[m] for m in members if m in groups))
        groups.update(dict.fromkeys(joined, joined))
    ordered = {id(g): tuple(sorted(g, key=natural_key)) for g in groups.values()}
    return {x: ordered[id(g)] for x, g in groups.items()}


@cache
def hairpins() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Stem-loops of each mature miRNA; stem-loop -> all that share mature miRNAs with it. Shared: not to be changed."""
    table = mirna_table()
    mature = table[table["kind"] == "mature"]
    homes = {n: tuple(h.split(";")) for n, h in zip(mature["name"], mature["hairpins"], strict=True)}
    own = [(h,) for h in table.loc[table["kind"] == "stem-loop", "name"]]
    return homes, linked([*homes.values(), *own])


class Index(NamedTuple):
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


@cache
def mirgenedb() -> dict[str, tuple[str, str, str]]:
    """Human genes of MirGeneDB -> miRBase's stem-loop and the accessions of its arms. Shared: not to be changed."""
    return {gene: tuple(rest) for gene, *rest in resource("mirgenedb.tsv").itertuples(index=False)}


REMOVED = "removed from miRBase before release 21 ({})"
NAME_LEVELS = ("auto", "mature", "stem-loop")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣-"), "-")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_ACCESSION = re.compile(r"(?<![A-Za-z0-9])(MIMAT|MI)(\d{7})(?!\d)", re.IGNORECASE)
# prefix (Word turns hsa into has), kind, number, letter, copies, arm, star
_NAME = re.compile(
    r"(?:(?:hsa|has)-)?(micro-?rna|mirna|mirlet|mir|let)-?(\d+)([a-z]{0,2})((?:-?\d+)?(?:-\d+)*)(?:-(5p|3p|as))?-?(\*|star)?(?:-pre)?",
    re.IGNORECASE,
)
_OTHER_SPECIES = re.compile(r"([a-z][a-z0-9]{1,6})-(?:mir|let|bantam|lin|lsy)[-a-z0-9]*\d", re.IGNORECASE)
_DATE = re.compile(
    r"(\d{1,2}-(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(-\d{2,4})?|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct"
    r"|nov|dec)-\d{1,4}|\d{4}-\d{2}-\d{2}([ t]00:00:00)?|\d{1,2}/\d{1,2}/\d{2,4})",
    re.IGNORECASE,
)
_MIRGENEDB = re.compile(r"Hsa[-.](?:Mir|Let)[-.]\d+")
_COORDINATES = re.compile(r"[\s(|,;]|[_:.-]chr")  # where those of a precursor variant begin


class Match(NamedTuple):
    """Current names that a name stands for (several for a merged one, none when unknown), how, of which kind, and why.

    `how` is ``"exact"`` (it is the current name), ``"alias"`` (another spelling, an older release, an accession),
    ``"split"`` (a merged name that stands for several miRNAs) or ``"unknown"``; `kind` is ``"mature"``, ``"stem-loop"``
    or ``""``; `reason` says what is known about an unknown name or unknown members of a merged one.
    """

    names: tuple[str, ...]
    how: str
    kind: str = ""
    reason: str = ""


def match_names(names: Iterable[str], *, level: str = "auto") -> pd.DataFrame:
    """Find the current names of miRNAs.

    Parameters
    ----------
    names : iterable of str
        Names in any spelling: ``hsa-miR-21-5p``, ``mir_21_5p``, ``miR-21*``, ``MIMAT0000076``, ``MIR21``,
        ``hsa-let-7a-5p/7c-5p``, ``Hsa-Let-7-P1a_5p`` (MirGeneDB).
    level : str, default "auto"
        What a name means that fits both a stem-loop and a mature miRNA (``hsa-let-7b``): ``"mature"`` or
        ``"stem-loop"``. ``"auto"`` looks at all names together: where any has an arm or the capital R of a mature
        miRNA, ``hsa-let-7b`` is the mature one too, and where arms are written in another case (``hsa-mir-21-5p``),
        the case says nothing and ``hsa-mir-375`` is mature.

    Returns
    -------
    DataFrame, one row per name in the order given
        ``source, target`` (current names, joined by ``;``; empty when unknown), ``how, kind, reason`` as in `Match`.

    Examples
    --------
    >>> match_names(["mir_21_5p", "hsa-miR-103a-3p/107"])["target"].tolist()
    ['hsa-miR-21-5p', 'hsa-miR-103a-3p;hsa-miR-107']
    """
    given = [str(n) for n in names]
    matches = _matches(given, level)
    rows = [(name, ";".join(names), *rest) for name, (names, *rest) in zip(given, matches, strict=True)]
    return pd.DataFrame(rows, columns=["source", "target", "how", "kind", "reason"])


def _matches(names: list[str], level: str) -> list[Match]:
    one_of("level of miRNA names", level, NAME_LEVELS)
    spelt = [_spelling(n) for n in names]
    arms = [s for s in spelt if re.search(r"[-_][53]p", s, re.IGNORECASE)]
    case_says = level == "auto" and (not arms or any("miR" in s for s in spelt))
    if level == "auto":
        level = "mature" if arms or any("miR-" in s for s in spelt) else "stem-loop"
    return [_match(raw, s, level, case_says) for raw, s in zip(names, spelt, strict=True)]


def _spelling(name: str) -> str:
    """Name without what spreadsheets, R and word processors add; inner separators become dashes."""
    text = str(name).translate(_DASHES).translate(_INVISIBLE).strip().strip("\"'`").strip()
    if re.search(r"mir|let", text, re.IGNORECASE):
        # R's make.names writes every other character as a dot, a final star too
        starred = bool(re.search(r"[A-Za-z]\.\S*\d[a-z]*\.$", text)) and "." in text[:-1]
        text = re.sub(r"[\s_.]+", "-", text).strip("-") + ("*" if starred else "")
    return text


def _match(raw: str, text: str, level: str, case_says: bool) -> Match:
    known = index()
    if (match := _by_gene(raw)) is not None:
        return match
    accessions = [prefix.upper() + digits for prefix, digits in _ACCESSION.findall(raw)]
    if accessions:
        matures = list(dict.fromkeys(a for a in accessions if a.startswith("MIMAT")))
        return _by_accessions(raw, matures) if len(matures) > 1 else _by_accession(raw, (matures or accessions)[0])
    if _DATE.fullmatch(raw.strip()):
        return _unknown("a date: a spreadsheet has overwritten the name")
    if "/" in text or "|" in text:
        return _merged(text.replace("|", "/"), level, case_says, raw)
    parts = _NAME.fullmatch(text)
    if not parts:
        return _unknown(_why_not(text))
    word, number, letter, copies, arm, star = (p or "" for p in parts.groups())
    body = number + letter.lower() + re.sub(r"^(?=\d)", "-", copies)
    mature, stem = (f"hsa-{'let' if 'let' in word.lower() else mir}-{body}" for mir in ("miR", "mir"))
    tail = (f"-{arm.lower()}" if arm else "") + ("*" if star and not arm else "")
    options = [("mature", mature + tail)]
    if not tail or arm.lower() == "as":  # the antisense stem-loops of release 16
        says_stem = case_says and word.lower() not in ("let", "micro-rna", "microrna", "mirna")
        stem_first = not tail and word != "miR" and (level == "stem-loop" or says_stem)
        options.insert(0 if stem_first else 1, ("stem-loop", stem + tail))
    for kind, key in options:
        if key in known.current[kind]:
            return Match((key,), "exact" if key == raw else "alias", kind)
        targets = known.aliases[kind].get(key, ())
        if len(targets) == 1:
            return Match(targets, "alias", kind)
        if targets:
            return _unknown(f"ambiguous: {' or '.join(targets)}")
    removed = known.removed.get(mature + tail)
    return _unknown(REMOVED.format(removed) if removed else "no human miRNA of this name")


def _unknown(reason: str) -> Match:
    return Match((), "unknown", reason=reason)


def _by_gene(raw: str) -> Match | None:
    """Match of a name of MirGeneDB; None where it is none, or one that miRBase writes alike."""
    # Hsa-Let-7-P1a_5p/P2a1_5p joins paralogues that share an arm; a star, and coordinates after the name, say nothing
    # more than the arm does
    text = _COORDINATES.split(raw.translate(_DASHES).strip().strip("\"'"), maxsplit=1)[0]
    start = _MIRGENEDB.match(text)
    if not start:
        return None
    first, *rest = text.replace(".", "-").split("/")
    family = start[0].replace(".", "-")
    found: dict[str, Match] = {}
    for member in [first, *(part if part.startswith("Hsa-") else f"{family}-{part}" for part in rest)]:
        gene, arm = re.fullmatch(r"(.*?)(?:[_-]([53]p|pre))?[*-]?", member).groups()  # type: ignore[union-attr]
        row = mirgenedb().get(gene) or mirgenedb().get(f"{gene}-v1")
        key = "" if row is None else {"5p": row[1], "3p": row[2]}.get(arm, row[0])
        kind, name = index().accessions.get(key, ("stem-loop" if key in index().current["stem-loop"] else "", key))
        found[member] = Match((name,), "alias", kind) if kind in ("mature", "stem-loop") else _unknown("")
    lost = [member for member, match in found.items() if not match.names]
    known_gene = mirgenedb().keys() & {first.split("_")[0], re.sub(r"-[53]p\*?$", "", first)}
    if len(lost) == len(found) and not known_gene:
        return None
    if len({match.kind for match in found.values() if match.names}) != 1:
        return _unknown(f"{', '.join(lost) or first}: no arm that miRBase lists")
    return _joined(found, raw)


def _by_accession(raw: str, accession: str) -> Match:
    kind, name = index().accessions.get(accession, ("", ""))
    if not kind:
        return _unknown(f"{accession} is no accession of a human miRNA in miRBase 18 or 21")
    if kind == "removed":
        return _unknown(REMOVED.format(accession))
    return Match((name,), "exact" if name == raw else "alias", kind)


def _by_accessions(raw: str, accessions: list[str]) -> Match:
    """Several matures in one name, as exceRpt joins those that share their reads."""
    matches = {a: _by_accession(raw, a) for a in accessions}
    return _joined(matches, raw) if any(m.names for m in matches.values()) else matches[accessions[0]]


def _merged(text: str, level: str, case_says: bool, raw: str) -> Match:
    """Take a merged name apart; a part may leave out what it shares with the first (``320a/b``, ``103a-3p/107``)."""
    first, *rest = [p.strip() for p in text.split("/")]
    base = re.match(r"((?:hsa-)?(?:mir|let)-?)(\d+)", first, re.IGNORECASE)
    if not base:
        return _unknown(_why_not(text))
    members = [first]
    for short in filter(None, rest):
        if re.match(r"(?!mir|let)[a-z]{1,2}(-|\*|$)", short, re.IGNORECASE):
            members.append(base[1] + base[2] + short)
        else:
            members.append(base[1] + short if short[0].isdigit() else short)
    return _joined({m: _match(m, _spelling(m), level, case_says) for m in members}, raw)


def _joined(matches: dict[str, Match], raw: str) -> Match:
    """One match of several members of a name."""
    names = tuple(sorted({n for match in matches.values() for n in match.names}, key=natural_key))
    lost = [member for member, match in matches.items() if not match.names]
    reason = f"members not known: {', '.join(lost)}" if lost else ""
    kinds = {match.kind for match in matches.values() if match.names}
    if not names or len(kinds) > 1:
        return _unknown(reason or "a stem-loop and a mature miRNA in one name")
    how = "split" if len(names) > 1 else ("exact" if names[0] == raw else "alias")
    return Match(names, how, kinds.pop(), reason)


def _why_not(text: str) -> str:
    species = _OTHER_SPECIES.match(text)
    if species and species[1].lower() not in ("hsa", "has"):
        return f"not human ({species[1]})"
    return "not the name of a miRNA"
