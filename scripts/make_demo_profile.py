"""Compute srna_lib/resources/demo_profile.tsv, the base levels of the simulated atlas.

Command (deterministic; SRNA_DATA_MIRROR must hold the two annotation files; the cellular microRNAome comes
from the same mirror or is downloaded)::

    SRNA_DATA_MIRROR=... python scripts/make_demo_profile.py

The table holds summary statistics only: per profile (a group of cell types) the mean and the standard
deviation of log2 CPM of each miRNA, and per miRNA the spread within and between studies. No sample can be
read back from it. It also names each miRNA's family (miRBase miFam.dat) and genomic cluster (miRBase
hsa.gff3: hairpins of one strand, each less than 10 kb from the next).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from srna_lib.data import counts_frame
from srna_lib.datasets import entry, load

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "srna_lib" / "resources" / "demo_profile.tsv"
GFF = (
    "bioc/miRmine/cbb1e8e359d72387f053cfb627851dc392ebfe3f/inst/extdata/hsa.gff3",
    "6ef9efb0da29f356c1b39f1e840ad64cee228c92768fee9ffa487b0552bc39e1",
)
MIFAM = (
    "riverlee/miRNA-SNP/07ef5a5d5baa2687861038f685bf13116498fa86/miFam.dat",
    "5f8c536dbe30d6246c98ca653c00b51ea947a47dcab2b02ee068bd7dcef1f462",
)
N_MIRNAS = 700
CLUSTER_GAP = 10_000
# profile -> (class of the source, pattern of its cell types); each is a group of several samples and studies
PROFILES = {
    "immune": ("Immune", "."),
    "plasma": ("Plasma", "."),
    "red_cell": ("RBC", "."),
    "platelet": ("Platelet", "."),
    "brain": ("Brain", "."),
    "skin": ("Epithelial", "Keratinocyte|Melanocyte|Sebocyte|Dermal"),
    "mucosa": ("Epithelial", "Bronchial|Nasal|Tracheal|airway|Gum|Esophagus"),
    "gland": ("Epithelial", "Prostate|Renal|Urothelial|Breast|Beta_cell|Pancreas|islet"),
    "hepatocyte": ("Epithelial", "Hepatocyte"),
    "epithelial": ("Epithelial", "."),
    "muscle": ("Muscle", "."),
    "pluripotent": ("Stem", "Embryonic|iPSC|Blastocyst"),
    "mesenchymal": ("Stem", "Mesenchymal|Bone_marrow|adipose"),
    "fibroblast": ("Fibroblast", "."),
    "endothelial": ("Endothelial", "."),
}


def _verified(mirror: Path, file: tuple[str, str]) -> str:
    """Text of an annotation file of the mirror, held against its SHA-256."""
    data = (mirror / file[0]).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != file[1]:
        raise SystemExit(f"{mirror / file[0]}: SHA-256 {found}, expected {file[1]}")
    return data.decode("utf-8", errors="replace")


def hairpins(gff: str) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Hairpins with their cluster, and the hairpins of each mature miRNA."""
    rows: list[tuple] = []
    mature: dict[str, list[str]] = {}
    for line in gff.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        chrom, _, kind, start, end, _, strand, _, text = line.split("\t")
        fields = dict(part.split("=", 1) for part in text.split(";"))
        if kind == "miRNA_primary_transcript":
            rows.append((fields["ID"].split("_")[0], fields["Name"], chrom, strand, int(start), int(end)))
        else:
            mature.setdefault(fields["Name"], []).append(fields["Derives_from"])
    table = pd.DataFrame(rows, columns=["id", "name", "chrom", "strand", "start", "end"])
    table = table.sort_values(["chrom", "strand", "start", "end"], ignore_index=True)
    before = table.groupby(["chrom", "strand"])["end"].shift()
    table["run"] = (before.isna() | (table["start"] - before >= CLUSTER_GAP)).cumsum()
    runs = table.groupby("run")["name"]
    label = runs.transform(lambda n: f"{n.iloc[0].removeprefix('hsa-')}~{n.iloc[-1].removeprefix('hsa-')}")
    table["cluster"] = label.where(runs.transform("size") > 1, "")
    return table.drop_duplicates("id").set_index("id"), mature


def families(mifam: str) -> dict[str, str]:
    """Read the family of each human hairpin, by accession."""
    found, name = {}, ""
    for line in mifam.splitlines():
        if line.startswith("ID"):
            name = line.split()[1]
        elif line.startswith("MI ") and "hsa-" in line:
            found[line.split()[1]] = name
    return found


def annotate(name: str, table: pd.DataFrame, mature: dict[str, list[str]], family: dict[str, str]) -> tuple[str, str]:
    """Family and cluster of a mature miRNA; of a merged name (``a/b``) those of its first known part."""
    first, *rest = name.split("/")
    for part in [first, *(f"hsa-miR-{r}" for r in rest)]:
        ids = sorted(i for i in mature.get(part, []) if i in table.index)
        if ids:
            own = next((family[i] for i in ids if i in family), "")
            cluster = next((table.loc[i, "cluster"] for i in ids if table.loc[i, "cluster"]), "")
            return own or _stem(first), cluster
    return _stem(first), ""


def _stem(name: str) -> str:
    """Family of a miRNA that miFam.dat does not list: its number."""
    number = re.match(r"hsa-(let|miR)-(\d+)", name)
    return f"{number[1].lower()}-{number[2]}" if number else name


def make_table(mirror: Path) -> pd.DataFrame:
    """Compute the profile: one row per miRNA."""
    adata = load("mirome")
    counts = counts_frame(adata)
    level = np.log2(counts.div(counts.sum(axis=1), axis=0) * 1e6 + 1)
    obs = adata.obs.astype({"cell_class": str, "cell_type": str, "source_dataset_id": str})
    chosen = {
        name: (obs["cell_class"] == kind) & obs["cell_type"].str.contains(pattern, case=False)
        for name, (kind, pattern) in PROFILES.items()
    }
    mean = pd.DataFrame({name: level[rows].mean() for name, rows in chosen.items()})
    sd = pd.DataFrame({name: level[rows].std() for name, rows in chosen.items()})
    # present in many samples of many profiles, or clearly in one: a marker of one tissue is absent elsewhere
    present = pd.DataFrame({name: (counts[rows] > 0).mean() for name, rows in chosen.items()})
    score = 0.5 * present.mean(axis=1) + 0.5 * (mean.max(axis=1) / mean.to_numpy().max())
    keep = score.sort_values(ascending=False, kind="stable").index[:N_MIRNAS].sort_values()

    cell, study = obs["cell_class"] + "/" + obs["cell_type"], obs["source_dataset_id"]
    inside = level[keep].groupby([cell, study]).transform("mean")
    n_pairs = pd.MultiIndex.from_arrays([cell, study]).nunique()
    within = np.sqrt(((level[keep] - inside) ** 2).sum() / (len(level) - n_pairs))
    pair = level[keep].groupby([cell, study]).mean()
    of_cell = pair.groupby(level=0).transform("mean")
    between = np.sqrt(((pair - of_cell) ** 2).sum() / (len(pair) - cell.nunique()))

    table, mature = hairpins(_verified(mirror, GFF))
    family = families(_verified(mirror, MIFAM))
    out = pd.DataFrame([annotate(n, table, mature, family) for n in keep], index=keep, columns=["family", "cluster"])
    out["sd_within_study"], out["sd_between_studies"] = within, between
    for name in PROFILES:
        out[f"mean_{name}"], out[f"sd_{name}"] = mean.loc[keep, name], sd.loc[keep, name]
    out.index.name = "srna"
    numbers = out.columns[2:]
    out[numbers] = out[numbers].round(2)
    return out


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table with a header that says where it comes from."""
    source = entry("mirome")
    sizes = ", ".join(PROFILES)
    header = (
        "# Summary statistics of real data: mean and standard deviation of log2(CPM + 1) per miRNA and"
        f" group of cell types ({sizes}).\n"
        f"# Source: {source['title']}: {source['citation']}; licence of the source:"
        f" {source['licence']}; file SHA-256 {source['files'][0]['sha256']}.\n"
        "# Families: miRBase miFam.dat; clusters: miRBase 21 hsa.gff3 (public domain), hairpins of one"
        f" strand less than {CLUSTER_GAP} bases apart.\n"
        "# Command: SRNA_DATA_MIRROR=... python scripts/make_demo_profile.py\n"
    )
    partial = path.with_name(path.name + ".part")
    with partial.open("w", encoding="utf-8", newline="") as handle:
        handle.write(header)
        table.to_csv(handle, sep="\t", lineterminator="\n")
    os.replace(partial, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TABLE, help="where to write the table")
    out = parser.parse_args().out
    if "SRNA_DATA_MIRROR" not in os.environ:
        raise SystemExit("SRNA_DATA_MIRROR is not set; expected a folder with the annotation files (see the docstring)")
    write_table(make_table(Path(os.environ["SRNA_DATA_MIRROR"])), out)
    print(out)


if __name__ == "__main__":
    main()
