"""The sRNAs of the simulated atlas, their levels, and the biomarkers that are planted among them."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

CATALOGUE_SEED = 20200227  # names, levels and biomarkers are the same in every simulated atlas; samples are not


@cache
def settings() -> dict[str, Any]:
    """Constants of the simulation (``resources/simulate.json``)."""
    return json.loads(resources.files("srna_lib").joinpath("resources/simulate.json").read_text(encoding="utf-8"))


def read_profile() -> pd.DataFrame:
    """Summary statistics of real miRNA levels that the simulation starts from.

    Returns
    -------
    DataFrame, shape (n_mirnas, ...)
        ``family``, ``cluster``, ``sd_within_study``, ``sd_between_studies`` and, per profile (a group of cell
        types), ``mean_*`` and ``sd_*`` of log2(CPM + 1). Written by ``scripts/make_demo_profile.py``.
    """
    with resources.files("srna_lib").joinpath("resources/demo_profile.tsv").open(encoding="utf-8") as handle:
        return pd.read_csv(handle, sep="\t", comment="#", index_col="srna", keep_default_na=False)


def catalogue() -> tuple[pd.DataFrame, pd.DataFrame]:
    """All sRNAs of the simulation, and the true biomarkers among them.

    Returns
    -------
    srnas : DataFrame, shape (n_srnas, ...)
        ``biotype, family, cluster``, ``level`` (log2 CPM), ``within`` and ``between`` (log2 spread of samples
        and of studies).
    truth : DataFrame
        As in `simulate.simulate_atlas`.
    """
    cfg, rng = settings(), np.random.default_rng(CATALOGUE_SEED)
    profile = read_profile()
    mean = profile.filter(regex="^mean_").mean(axis=1)
    mirnas = profile[["family", "cluster"]].assign(
        biotype="miRNA",
        level=np.log2((np.exp2(mean) - 1).clip(lower=2**-5)),
        within=profile["sd_within_study"],
        between=profile["sd_between_studies"],
    )
    named = [(s, kind, family) for kind, family, members in _families(cfg, rng) for s in members]
    others = pd.DataFrame(named, columns=["srna", "biotype", "family"]).set_index("srna")
    others["cluster"] = others["family"].where(others["biotype"] == "piRNA", "")
    spread = others["biotype"].map({k: v.get("sd", 0.0) for k, v in cfg["biotypes"].items()})
    # a family is abundant or rare as a whole, its members share that unevenly
    of_family = pd.Series(rng.normal(size=others["family"].nunique()), index=others["family"].unique())
    others["level"] = spread * (0.7 * others["family"].map(of_family) + 0.7 * rng.normal(size=len(others)))
    for column in ("within", "between"):
        others[column] = rng.choice(mirnas[column].to_numpy(), len(others))
    srnas = pd.concat([mirnas, others])
    for kind, rows in srnas.groupby("biotype").groups.items():
        total = np.log2(np.exp2(srnas.loc[rows, "level"]).sum())
        srnas.loc[rows, "level"] += np.log2(cfg["biotypes"][kind]["share"] * 1e6) - total
    truth = _truth(cfg, rng, srnas, profile)
    planted = truth.loc[truth["task"] != "tissue", "srna"].unique()
    srnas.loc[planted, "level"] = srnas.loc[planted, "level"].clip(lower=cfg["gain"]["planted_level"])
    srnas["cluster"] = srnas["cluster"].where(srnas["cluster"] != "", np.nan).astype(object)
    return srnas, truth


def _families(cfg: dict[str, Any], rng: np.random.Generator) -> list[tuple[str, str, list[str]]]:
    """Biotype, family and members of everything that is not a miRNA."""
    found = []
    numbers = np.sort(rng.choice(np.arange(1000, 33000), 1000, replace=False))
    size = cfg["piRNA"]["members"]
    for c in range(cfg["piRNA"]["clusters"]):
        members = [f"hsa-piR-{n:05d}" for n in numbers[c * size : (c + 1) * size]]
        found.append(("piRNA", f"piR-cluster-{c + 1:02d}", members))
    for kind in ("snoRNA", "snRNA", "other"):
        for family, n in cfg[kind].items():
            found.append((kind, family, [family] if n == 1 else [f"{family}-{i + 1}" for i in range(n)]))
    for codon in cfg["tRF"]:
        found.append(("tRF", f"tRF-{codon}", [f"tRF-{part}-{codon}" for part in ("5p", "3p", "i")]))
    for kingdom, names in cfg["contaminants"].items():
        for name in names:
            genus = name.split("_")[0] if kingdom == "bacterium" else name
            found.append(("contaminant", genus, [name]))
    return found


def _truth(cfg: dict[str, Any], rng: np.random.Generator, srnas: pd.DataFrame, profile: pd.DataFrame) -> pd.DataFrame:
    """Planted effects, one row per task, label and sRNA."""
    rows: list[tuple[str, str, str, int, float]] = []
    members = srnas.groupby("family").groups

    def plant(task: str, label: str, names: Any, effect: float) -> None:
        rows.extend((task, label, s, int(np.sign(effect)), abs(float(effect))) for s in names)

    gain = cfg["gain"]
    for group, spec in cfg["groups"].items():
        own = profile[[f"mean_{p}" for p in spec["profiles"]]].max(axis=1)
        contrast = own - profile.filter(regex="^mean_").mean(axis=1)
        for i, family in enumerate([*spec["families"], *cfg["top_families"].get(spec["top"], [])]):
            measured = contrast.reindex(members[family]).max()
            middle = (gain["lowest"] + gain["highest"]) / 2
            effect = middle if np.isnan(measured) else float(np.clip(measured / 3, gain["lowest"], gain["highest"]))
            plant("tissue_group", group, members[family], effect)
            if i < len(spec["families"]) and len(spec["tissues"]) > 1:
                plant("tissue", spec["tissues"][i % len(spec["tissues"])], members[family], gain["tissue"])
    pool = srnas.index[(srnas["biotype"] == "contaminant") & (srnas["level"] > 3)]
    n_sex, n_age = cfg["sex"]["contaminants"], cfg["age"]["contaminants"]
    drawn = rng.permutation(pool)[: n_sex + n_age]
    for task, label, signs, weird in (
        ("sex", "male", ("male", "female"), drawn[:n_sex]),
        ("age", "older", ("older", "younger"), drawn[n_sex:]),
    ):
        for sign, key in zip((1, -1), signs, strict=True):
            for family in cfg[task][key]:
                plant(task, label, members[family], sign * cfg[task]["gain"])
            plant(task, label, weird[(sign < 0) :: 2], sign * cfg[task]["contaminant_gain"])
    table = pd.DataFrame(rows, columns=["task", "label", "srna", "direction", "log2_effect"])
    return table.round({"log2_effect": 3})
