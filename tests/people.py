"""A small atlas of people: studies of both sexes, of one, and one with too few; X-linked miRNAs tell the sex."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data.atlas import make_atlas

LINKED = ("hsa-miR-221-3p", "hsa-miR-222-3p", "hsa-miR-424-5p")
BOTH_HOMES = "hsa-miR-19b-3p"  # one gene on 13, one on X
OTHERS = ("hsa-miR-21-5p", "hsa-miR-122-5p", "hsa-let-7b-5p", "hsa-miR-155-5p", "hsa-miR-375-3p", "hsa-miR-451a")
STEM_LOOPS = ("hsa-mir-221", "hsa-mir-222", "hsa-mir-424", "hsa-mir-21", "hsa-mir-122", "hsa-let-7b", "hsa-mir-155")


def people_atlas(
    sizes: dict[str, tuple[int, int]],
    *,
    seed: int = 0,
    name: str = "people",
    effect: float = 1.5,
    stem_loops: bool = False,
    contaminants: bool = False,
) -> ad.AnnData:
    """Study -> (women, men); two samples of every second person; linked miRNAs are higher in women."""
    rng = np.random.default_rng(seed)
    srnas = list(STEM_LOOPS) if stem_loops else [*LINKED, BOTH_HOMES, *OTHERS]
    biotype = ["miRNA"] * len(srnas)
    if contaminants:
        srnas, biotype = [*srnas, "Escherichia_coli"], [*biotype, "contaminant"]
    rows = []
    for study, (women, men) in sizes.items():
        for i, sex in enumerate(["female"] * women + ["male"] * men):
            donor = f"{name}-{study}-{i // 2 if i < women - women % 2 else i + 1000}"
            rows.append({"dataset_id": study, "donor_id": donor, "sex": sex, "tissue": "lung"})
    obs = pd.DataFrame(rows, index=[f"{name}-s{i:03d}" for i in range(len(rows))])
    level = 8 + rng.normal(size=len(srnas)) + rng.normal(0, 0.5, (len(obs), len(srnas)))
    linked = np.array([s in (*LINKED, *STEM_LOOPS[:3]) for s in srnas])
    level += effect * np.outer(obs["sex"] == "female", linked)
    counts = pd.DataFrame(rng.poisson(2**level).astype(float), index=obs.index, columns=srnas)
    info = {"name": name, "title": name, "citation": "Nobody (2020)", "licence": "MIT", "simulated": True}
    info["sources"] = pd.DataFrame({"url": ["https://example.org/a"], "sha256": ["0" * 64]})
    return make_atlas(counts, obs, pd.DataFrame({"biotype": biotype}, index=srnas), info=info)
