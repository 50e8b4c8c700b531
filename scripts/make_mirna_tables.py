"""Compute srna_lib/resources/mirna_names.tsv: human miRNAs, their accessions, families, clusters and old names.

Command (deterministic; SRNA_DATA_MIRROR must hold the files named below)::

    SRNA_DATA_MIRROR=... python scripts/make_mirna_tables.py

One row per stem-loop or mature miRNA. Release 21 (hsa.gff3) gives names, accessions and places; the names of two
collections quantified with release 22 show what was renamed since; a table of release 18 with accessions gives the
older names and the entries that were removed; TCGA's names show older stem-loops. Where nothing names an old
spelling outright, the rules below apply, and an old name that fits two miRNAs is written at both of them, so that a
look-up knows that it is ambiguous.
"""

from __future__ import annotations

import argparse
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyreadr
from make_demo_profile import CLUSTER_GAP, GFF, MIFAM, _stem, _verified, families, hairpins

from srna_lib.data import counts_frame
from srna_lib.datasets import load

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "srna_lib" / "resources" / "mirna_names.tsv"
RELEASE_18 = (
    "campbio-manuscripts/LGRC_microRNA/ed0240909f8a4fc7cdb9ba0b3d1a3f5a764dd499/Data/MicroRNA/130720_LGRC_miRNA_Counts.txt",
    "52f213f7c42e4d66b01311f61edbfe1e6709f87b31ac72dd5a6962006df5e65e",
)
RELEASE_22 = (
    (
        "li-wending/miRTS_paper/dbf77b3d08c2df28b2b78d1f50fd202a1986f3f9/data/other_data/TA2_miR.raw.csv",
        "105dc27c556e8ec321827596e82fccacaa9b0a312e315b1ed514355952970e60",
    ),
    (
        "chooliu/miRNASexDimorphismFetalLung/b8ac8541fcbaf58b93e98863a80759201abd5ac2/PublicData/miRNA_counts.tsv",
        "7ceccaea15532dd22b78507f2f5e8e52120d88eac96e80140838e0073e9b9f99",
    ),
)
TCGA = (
    "bioc/RTCGA.miRNASeq/eb001afb83d9d575048676b2c07221472c996f08/data/ACC.miRNASeq.rda",
    "903e2d3f318cf464e32e1a3ca5a1b5bef9c71bb88ca6d14826e179e5b92b43db",
)
# arms whose accessions lie this close were registered together: neither was "the" miRNA before the other was found
TOGETHER = 100
# and then the old star name is given to the arm that has this many times fewer reads in the cellular microRNAome
MINOR_ARM = 10
COLUMNS = "kind name accession arm hairpins family cluster chrom start end strand release aliases".split()
ARM = re.compile(r"-([53]p)$")


def strip_arm(name: str) -> str:
    """Name without ``-5p`` or ``-3p``."""
    return ARM.sub("", name)


def hairpin_name(name: str) -> str:
    """Name that the stem-loop of a mature miRNA has if there is a single one."""
    return strip_arm(name).replace("miR", "mir")


def members(name: str) -> list[str]:
    """Single miRNAs of a name of the cellular microRNAome (``hsa-miR-103a-3p/107``)."""
    first, *rest = name.split("/")
    prefix = re.match(r"hsa-(let|miR)-", first)
    return [first, *((prefix[0] if prefix else "") + r for r in rest)]


def natural(name: str) -> tuple:
    """Sort key that puts miR-9 before miR-10."""
    return tuple((int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", name) if p)


def matures(gff: str, table: pd.DataFrame) -> pd.DataFrame:
    """Mature miRNAs of release 21, one row per locus, with the arm that their place on the stem-loop tells."""
    rows = []
    for line in gff.splitlines():
        if "\tmiRNA\t" not in line:
            continue
        chrom, _, _, start, end, _, strand, _, text = line.split("\t")
        fields = dict(part.split("=", 1) for part in text.split(";"))
        own = table.loc[fields["Derives_from"]]
        left = int(start) + int(end) < own["start"] + own["end"]
        arm = "5p" if left == (strand == "+") else "3p"
        rows.append((fields["Name"], fields["Alias"], own["name"], arm, chrom, int(start), int(end), strand))
    return pd.DataFrame(rows, columns=["name", "accession", "hairpin", "arm", "chrom", "start", "end", "strand"])


def older_stem_loops(seen: Iterable[str], known: set[str]) -> dict[str, str]:
    """Names that a collection gives to stem-loops -> their names in release 21, by miRBase's own habits."""
    found = {}
    for name in sorted(set(seen) - known):
        parts = re.fullmatch(r"hsa-mir-(\d+)([a-z]*)(?:-(\d+))?(-as)?", name)
        if not parts:
            continue
        number, letter, copy, antisense = parts[1], parts[2], parts[3], parts[4]
        tail = f"-{copy}" if copy else ""
        if antisense:  # the antisense of a gets the next letter
            options = [f"hsa-mir-{number}b{tail}"]
        else:
            options = [f"hsa-mir-{number}a{tail}"] if not letter else []  # a paralogue was found: the first becomes a
            options += [f"hsa-mir-{number}{chr(96 + int(copy))}"] if copy and not letter else []  # copies that differ
            options += [f"{name}-1"] if not copy else [f"hsa-mir-{number}{letter}"]  # a copy was found, or withdrawn
        hit = next((o for o in options if o in known), None)
        if hit:
            found[name] = hit
    return found


def old_mature_names(loci: pd.DataFrame, reads: dict[str, float]) -> dict[str, set[str]]:
    """Names before arms and letters -> release 21: ``miR-21``, ``miR-21*``, ``miR-203``."""
    old: dict[str, set[str]] = defaultdict(set)
    for _, own in loci.groupby("hairpin"):
        own = own.sort_values("accession")
        names = list(own["name"])
        if len(names) == 1:
            if ARM.search(names[0]):
                old[strip_arm(names[0])].add(names[0])
            else:
                old[f"{names[0]}-{own['arm'].iloc[0]}"].add(names[0])
            continue
        if len(names) != 2 or not all(ARM.search(n) for n in names):
            continue
        guide, minor = names  # the arm that was registered first had the plain name, the other got the star
        first, second = (int(a.removeprefix("MIMAT")) for a in own["accession"])
        if second - first <= TOGETHER:
            a, b = reads.get(guide, 0.0), reads.get(minor, 0.0)
            if b >= MINOR_ARM * max(a, 1):
                guide, minor = minor, guide
            elif a < MINOR_ARM * max(b, 1):  # undecided: both names may mean either
                for one, other in ((guide, minor), (minor, guide)):
                    old[strip_arm(one)] |= {one, other}
                    old[strip_arm(one) + "*"] |= {one, other}
                continue
        old[strip_arm(guide)].add(guide)
        old[strip_arm(minor) + "*"].add(minor)
    for name in loci["name"].unique():
        old[name].add(name)
    numbered = {n for n in old if re.match(r"hsa-(miR|let)-\d+(\D|$)", n)}
    for name in sorted(numbered):  # the first of several paralogues had no letter
        plain = re.sub(r"^(hsa-miR-\d+)a(?=$|[-*])", r"\1", name)
        if plain != name and plain not in numbered:
            old[plain] |= old[name]
    return old


def make_table(mirror: Path) -> pd.DataFrame:
    """Compute the table: one row per stem-loop or mature miRNA, current and removed ones."""
    gff = _verified(mirror, GFF)
    table, _ = hairpins(gff)
    family = families(_verified(mirror, MIFAM))
    loci = matures(gff, table)
    mirome = load("mirome")
    total = counts_frame(mirome).sum()
    reads = {member: float(n) for name, n in total.items() for member in members(str(name))}
    later = {
        line.replace("\t", ",").split(",")[0].strip('"')
        for file in RELEASE_22
        for line in _verified(mirror, file).splitlines()[1:]
    }
    eighteen = [line.split("\t") for line in _verified(mirror, RELEASE_18).splitlines()[1:]]
    release_18 = {fields[4].split("_")[1]: fields[3] for fields in eighteen}
    _verified(mirror, TCGA)
    (tcga,) = pyreadr.read_r(str(mirror / TCGA[0])).values()

    # names of release 22: a collection of that release lists an arm where release 21 has none
    arm_of = loci.groupby("name")["arm"].first()
    current = {n: n for n in arm_of.index}
    for name, arm in arm_of.items():
        if not ARM.search(name) and name not in later and {f"{name}-5p", f"{name}-3p"} & later:
            current[name] = f"{name}-{arm}"
    aliases: dict[tuple[str, str], set[str]] = defaultdict(set)  # (kind, current name) -> old names

    def add(old: str, name: str) -> None:
        if old not in taken:
            aliases["mature", name].add(old)

    taken = set(current.values())
    olds = old_mature_names(loci, reads)
    by_accession = dict(zip(loci["accession"], loci["name"], strict=True))
    named_18 = {name: by_accession[a] for a, name in release_18.items() if a in by_accession}
    known = taken | set(olds) | set(current)
    fresh = sorted((later | set(reads)) - known)
    taken |= set(fresh)
    for name, now in current.items():
        add(name, now)
    for name, targets in olds.items():
        for target in {named_18[name]} if name in named_18 else targets:  # an accession decides what rules leave open
            add(name, current[target])
    for name, target in named_18.items():
        add(name, current[target])

    stem = {h: family.get(i, _stem(h.replace("mir", "miR"))) for i, h in table["name"].items()}
    rows: list[tuple] = [
        ("stem-loop", own["name"], i, "", "", stem[own["name"]], own["cluster"], *_place([own]), "21")
        for i, own in table.iterrows()
    ]
    for old, name in older_stem_loops((c for c in tcga if c.startswith("hsa")), set(table["name"])).items():
        aliases["stem-loop", name].add(old)
    cluster = dict(zip(table["name"], table["cluster"], strict=True))
    places = {own["name"]: own for _, own in table.iterrows()}
    for (name, accession), own in loci.groupby(["name", "accession"]):
        homes = sorted(own["hairpin"], key=natural)
        place = _place([line for _, line in own.iterrows()])
        release = "22" if current[name] in later else "21"
        rows.append(
            ("mature", current[name], accession, own["arm"].iloc[0], *_homes(homes, stem, cluster), *place, release)
        )
    of_mature = loci.groupby("name")["hairpin"].agg(list)
    for name in fresh:
        base = strip_arm(name)
        copies = [h for h in cluster if re.fullmatch(re.escape(hairpin_name(name)) + r"-\d+", h)]
        homes = [hairpin_name(name)] if hairpin_name(name) in cluster else of_mature.get(base, copies)
        homes = sorted(homes, key=natural)
        release = "22" if name in later else "miRge3"
        if not homes:  # a stem-loop of release 22, whose name the mature one tells
            homes = [hairpin_name(name)]
            stem[homes[0]] = _stem(name)
            rows.append(("stem-loop", homes[0], "", "", "", stem[homes[0]], "", "", "", "", "", release))
        chrom, *_ = _place([places[h] for h in homes if h in places])
        arm = ARM.search(name)
        described = (name, "", arm[1] if arm else "", *_homes(homes, stem, cluster), chrom, "", "", "")
        rows.append(("mature", *described, release))
    for accession, name in release_18.items():
        if accession not in by_accession:
            rows.append(("removed", name, accession, *[""] * 8, "18"))
    out = pd.DataFrame(rows, columns=COLUMNS[:-1]).drop_duplicates(["kind", "name"])
    out["aliases"] = [
        ";".join(sorted(aliases[k, n] - {n}, key=natural)) for k, n in zip(out["kind"], out["name"], strict=True)
    ]
    order = sorted(range(len(out)), key=lambda i: (out["kind"].iloc[i], natural(out["name"].iloc[i])))
    return out.iloc[order].reset_index(drop=True)


def _homes(homes: list[str], stem: dict[str, str], cluster: dict[str, str]) -> tuple[str, str, str]:
    """Stem-loops of a mature miRNA, their family and their clusters."""
    return (
        ";".join(homes),
        ";".join(dict.fromkeys(stem[h] for h in homes)),
        ";".join(dict.fromkeys(c for h in homes if (c := cluster.get(h, "")))),
    )


def _place(loci: list[pd.Series]) -> tuple[str, str, str, str]:
    """Chromosomes of all loci; start, end and strand only where there is one."""
    chrom = ";".join(dict.fromkeys(locus["chrom"] for locus in loci))
    if len(loci) != 1:
        return chrom, "", "", ""
    return chrom, str(loci[0]["start"]), str(loci[0]["end"]), loci[0]["strand"]


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table with a header that says where it comes from."""
    header = (
        "# Human miRNAs. Names, accessions, places (GRCh38): miRBase 21 hsa.gff3; families: miRBase miFam.dat (public"
        " domain), else the number of the name; clusters: stem-loops of one strand less than"
        f" {CLUSTER_GAP} bases apart.\n"
        "# release: latest in which the name is seen; miRge3: only in the names of the cellular microRNAome; 18:"
        " removed before release 21.\n"
        "# aliases: older spellings; one that stands in two rows is ambiguous. Sources and rules: the script.\n"
        "# Command: SRNA_DATA_MIRROR=... python scripts/make_mirna_tables.py\n"
    )
    partial = path.with_name(path.name + ".part")
    with partial.open("w", encoding="utf-8", newline="") as handle:
        handle.write(header)
        table.to_csv(handle, sep="\t", lineterminator="\n", index=False)
    os.replace(partial, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TABLE, help="where to write the table")
    out = parser.parse_args().out
    if "SRNA_DATA_MIRROR" not in os.environ:
        raise SystemExit("SRNA_DATA_MIRROR is not set; expected a folder with the source files (see the docstring)")
    write_table(make_table(Path(os.environ["SRNA_DATA_MIRROR"])), out)
    print(out)


if __name__ == "__main__":
    main()
