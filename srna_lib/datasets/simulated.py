"""The embedded atlas: simulated counts with known biomarkers, for a first look and for tests.

Reads of a sample are multinomial over topics, in the manner of latent Dirichlet allocation: a topic is an sRNA family
with its own mix of members, and tissue groups own topics, whose share rises in them. What makes real collections hard
is there too: studies colour their libraries, few hold a class, and sex and age show more in one sample than in another.
Base levels, spreads and the size of a group's gains come from summary statistics of real cells
(``resources/demo_profile.tsv``), but a group such as "liver" is simulated families on one level that all groups share,
not a measured liver: only so is the list of true biomarkers complete.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data import make_atlas, resource
from srna_lib.errors import expect

Config = dict[str, Any]
Rng = np.random.Generator
CATALOGUE_SEED = 20200227  # names, levels and biomarkers are the same in every simulated atlas; samples are not


@cache
def settings() -> Config:
    """Constants of the simulation (``resources/simulate.json``)."""
    return json.loads(resources.files("srna_lib").joinpath("resources/simulate.json").read_text(encoding="utf-8"))


def read_profile() -> pd.DataFrame:
    """Summary statistics of real miRNA levels that the simulation starts from (``scripts/make_demo_profile.py``)."""
    # per miRNA family, cluster, sd_within_study, sd_between_studies and, per profile (a group of cell types), mean_*
    # and sd_* of log2(CPM + 1)
    return resource("demo_profile.tsv", index_col="srna", dtype=None)


def catalogue() -> tuple[pd.DataFrame, pd.DataFrame]:
    """All sRNAs of the simulation, and the true biomarkers among them (as in `simulate_atlas`)."""
    # level is log2 CPM, within and between the log2 spread of samples and of studies
    cfg, rng = settings(), np.random.default_rng(CATALOGUE_SEED)
    profile = read_profile()
    mean = profile.filter(regex="^mean_").mean(axis=1)
    spreads = {"sd_within_study": "within", "sd_between_studies": "between"}
    mirnas = profile[["family", "cluster", *spreads]].rename(columns=spreads)
    mirnas = mirnas.assign(biotype="miRNA", level=np.log2((np.exp2(mean) - 1).clip(lower=2**-5)))
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


def _families(cfg: Config, rng: Rng) -> list[tuple[str, str, list[str]]]:
    """Biotype, family and members of everything that is not a miRNA."""
    families = []
    numbers = np.sort(rng.choice(np.arange(1000, 33000), 1000, replace=False))
    size = cfg["piRNA"]["members"]
    for c in range(cfg["piRNA"]["clusters"]):
        members = [f"hsa-piR-{n:05d}" for n in numbers[c * size : (c + 1) * size]]
        families.append(("piRNA", f"piR-cluster-{c + 1:02d}", members))
    for kind in ("snoRNA", "snRNA", "other"):
        for family, n in cfg[kind].items():
            families.append((kind, family, [family] if n == 1 else [f"{family}-{i + 1}" for i in range(n)]))
    for codon in cfg["tRF"]:
        families.append(("tRF", f"tRF-{codon}", [f"tRF-{part}-{codon}" for part in ("5p", "3p", "i")]))
    for kingdom, names in cfg["contaminants"].items():
        genera = (name.split("_")[0] if kingdom == "bacterium" else name for name in names)
        families += [("contaminant", genus, [name]) for genus, name in zip(genera, names, strict=True)]
    return families


def _truth(cfg: Config, rng: Rng, srnas: pd.DataFrame, profile: pd.DataFrame) -> pd.DataFrame:
    """Simulated effects, one row per task, label and sRNA."""
    rows: list[tuple[str, str, str, float]] = []
    members = srnas.groupby("family").groups

    def plant(task: str, label: str, names: Any, effect: float) -> None:
        rows.extend((task, label, s, float(effect)) for s in names)

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
    drawn = rng.permutation(srnas.index[(srnas["biotype"] == "contaminant") & (srnas["level"] > 3)])
    for task, label, less in (("sex", "male", "female"), ("age", "older", "younger")):
        weird, drawn = np.split(drawn, [cfg[task]["contaminants"]])
        for sign, key in ((1, label), (-1, less)):
            for family in cfg[task][key]:
                plant(task, label, members[family], sign * cfg[task]["gain"])
            plant(task, label, weird[(sign < 0) :: 2], sign * cfg[task]["contaminant_gain"])
    table = pd.DataFrame(rows, columns=["task", "label", "srna", "effect"])
    effect = table.pop("effect")
    return table.assign(direction=np.sign(effect).astype(int), log2_effect=effect.abs().round(3))


INFO = {"name": "simulated", "title": "Simulated atlas", "citation": "", "licence": "MIT", "simulated": True}
LEAST = 15  # samples of the smallest tissue group: fewer than the paper's minimum and it would be dropped


def simulate_atlas(
    *, n_samples: int = 1200, n_studies: int = 60, seed: int = 0, info: dict[str, Any] | None = None
) -> ad.AnnData:
    """Simulate an atlas of small-RNA samples from many studies.

    Parameters
    ----------
    n_samples : int, default 1200
        Samples in all; fewer run faster, at least 15 for each of the 8 tissue groups.
    n_studies : int, default 60
        Studies, at least two for each tissue group. More studies make an unseen study easier.
    seed : int, default 0
        Seed of studies and samples; sRNAs and true biomarkers do not depend on it.
    info : dict, optional
        Goes to ``uns["srna"]`` (name, title, citation, licence, sources).

    Returns
    -------
    AnnData, shape (n_samples, n_srnas)
        Counts; ``uns["srna"]["truth"]`` is a table ``task, label, srna, direction, log2_effect``: tasks
        ``tissue_group``, ``tissue`` (a shift within its group's families), ``sex`` (male against female)
        and ``age`` (at 80 against 30 years; linear in years). Those two are means: a sample shows more or less.
        A family shared by the groups of one ``tissue_top`` has a row for each of them.

    Raises
    ------
    InputError
        Too few samples or studies.
    """
    cfg = settings()
    n_groups = len(cfg["groups"])
    few = f"n_studies={n_studies}: too few; expected at least {2 * n_groups} for {n_groups} groups"
    expect(n_studies >= 2 * n_groups, few)
    least = max(LEAST * n_groups, 4 * n_studies)
    expect(n_samples >= least, f"n_samples={n_samples}: too few; expected at least {least} for {n_studies} studies")
    rng = np.random.default_rng(seed)
    srnas, truth = catalogue()
    obs, true = _samples(cfg, rng, n_samples, n_studies)
    # a stream of its own, so that the draws behind tissue and study do not depend on these
    effects = _effects(cfg, rng.spawn(1)[0], srnas, truth, true)
    log2 = _levels(cfg, rng, srnas, effects, true)
    shares = np.exp2(log2 - log2.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    counts = pd.DataFrame(rng.multinomial(true["depth"], shares), index=obs.index, columns=srnas.index)
    sources = pd.DataFrame(columns=["url", "sha256"], dtype=object)
    described = {**INFO, "sources": sources, **(info or {}), "truth": truth}
    return make_atlas(counts, obs, srnas[["biotype", "family", "cluster"]], info=described)


def _apportion(total: int, weights: np.ndarray, least: int) -> np.ndarray:
    """Whole numbers of at least `least` that add up to `total`, near `weights`."""
    exact = least + weights / weights.sum() * (total - least * len(weights))
    sizes = np.floor(exact).astype(int)
    sizes[np.argsort(sizes - exact)[: total - sizes.sum()]] += 1
    return sizes


def _greedy(rng: Rng, sizes: pd.Series, target: float, allowed: pd.Series) -> list[str]:
    """Studies in random order that together hold about `target` samples."""
    chosen, held = [], 0
    for study in rng.permutation(sizes.index[allowed.loc[sizes.index]]):
        if held + sizes[study] <= 1.02 * target:
            chosen.append(study)
            held += sizes[study]
    return chosen


def _studies(cfg: Config, rng: Rng, n_samples: int, n_studies: int) -> pd.DataFrame:
    """Study and tissue group of every sample: few studies hold a class, and some studies are small."""
    share = np.array([g["share"] for g in cfg["groups"].values()])
    n_of = _apportion(n_samples, share, LEAST)
    studies_of = _apportion(n_studies, np.sqrt(share), 3 if n_studies >= 40 else 2)
    sizes = [_apportion(n, rng.lognormal(0, 0.9, k), 2) for n, k in zip(n_of, studies_of, strict=True)]
    study = np.repeat(np.arange(n_studies), np.concatenate(sizes))
    frame = pd.DataFrame({"study": study, "tissue_group": np.repeat(list(cfg["groups"]), n_of).astype(object)})
    # one study in twelve also holds samples of a second group: only there can a class be told from its study
    sizes = frame["study"].value_counts().sort_index()
    group_size = frame["tissue_group"].map(frame["tissue_group"].value_counts())
    busy: set[int] = set()
    for host in rng.permutation(sizes.index[sizes >= sizes.median()])[: max(1, n_studies // 12)]:
        group = frame.loc[frame["study"] == host, "tissue_group"].iloc[0]
        free = (frame["study"].map(sizes) > 6) & (group_size > 2 * LEAST) & ~frame["study"].isin(busy)
        guests = frame.loc[free & (frame["tissue_group"] != group), "study"].unique()
        if host in busy or not len(guests):
            continue
        guest = rng.choice(guests)
        moved = frame.index[frame["study"] == guest][: max(3, int(sizes[guest] // 3))]
        frame.loc[moved, "study"] = host
        busy |= {host, guest}
    names = pd.Series([f"SIM{i + 1:03d}" for i in rng.permutation(n_studies)])
    frame["dataset_id"] = frame["study"].map(names)
    return frame.drop(columns="study").sort_values("dataset_id", kind="stable", ignore_index=True)


def _samples(cfg: Config, rng: Rng, n_samples: int, n_studies: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metadata as an atlas would know it, and the truth behind it that the counts are drawn from."""
    groups, known = cfg["groups"], cfg["known"]
    true = _studies(cfg, rng, n_samples, n_studies)
    true.index = pd.Index([f"SIMS{i + 1:05d}" for i in range(n_samples)])
    by_study = true.groupby("dataset_id")
    sizes, main = by_study.size(), by_study["tissue_group"].agg(lambda g: g.value_counts().index[0])

    true["tissue"] = ""
    for group, rows in true.groupby("tissue_group").groups.items():
        tissues = groups[group]["tissues"]
        for k, (_, own) in enumerate(true.loc[rows].groupby("dataset_id").groups.items()):
            second = tissues[(k + 1) % len(tissues)] if rng.random() < 0.35 else tissues[k % len(tissues)]
            true.loc[own, "tissue"] = np.where(np.arange(len(own)) % 2, second, tissues[k % len(tissues)])
    # four samples come from three donors
    donor = by_study.cumcount() * 3 // 4
    true["donor_id"] = true["dataset_id"] + "-D" + (donor + 1).map("{:03d}".format)
    donors = true["donor_id"].unique()
    study_of = pd.Series(donors).str[:6].to_numpy()
    middle = pd.Series(rng.uniform(cfg["age"]["study_low"], cfg["age"]["study_high"], n_studies), index=sizes.index)
    male = pd.Series(np.where(rng.random(len(donors)) < known["male"], "male", "female"), index=donors)
    age = rng.normal(middle[study_of].to_numpy(), cfg["age"]["sd"])
    age = pd.Series(np.clip(age, 1, 97).round(), index=donors)
    true["sex"], true["age_years"] = true["donor_id"].map(male), true["donor_id"].map(age)
    for column, key in (("platform", "platforms"), ("library_protocol", "protocols")):
        drawn = rng.choice(list(cfg[key]), n_studies, p=list(cfg[key].values()))
        true[column] = true["dataset_id"].map(pd.Series(drawn, index=sizes.index))

    log_low, log_high = np.log10(cfg["sample"]["depth_low"]), np.log10(cfg["sample"]["depth_high"])
    of_study = pd.Series(rng.uniform(log_low + 0.2, log_high - 0.4, n_studies), index=sizes.index)
    log_depth = true["dataset_id"].map(of_study) + rng.normal(0, 0.25, n_samples)
    true["depth"] = (10 ** log_depth.clip(log_low, log_high)).round().astype(np.int64)

    obs = true.drop(columns="depth").astype({c: object for c in ("sex", "tissue", "tissue_group")})
    obs["tissue_top"] = obs["tissue_group"].map({g: spec["top"] for g, spec in groups.items()}).astype(object)
    lines = _greedy(rng, sizes, known["cell_line"] * n_samples, ~main.isin(["brain", "liver"]))
    obs["is_cell_line"] = obs["dataset_id"].isin(lines)
    person = (main != "embryonic") & ~main.index.isin(lines)
    for column in ("sex", "age_years"):
        told = _greedy(rng, sizes, known[column] * n_samples, person)
        obs[column] = obs[column].where(obs["dataset_id"].isin(told) & (obs["tissue_group"] != "embryonic"))
    # where a class can spare a study, some studies do not say what they sampled
    spare = main.map(true["tissue_group"].value_counts()) > 2 * LEAST
    spare &= (main.map(main.value_counts()) >= 4) & (sizes < 30) & main.isin(["blood", "brain"])
    unknown = _greedy(rng, sizes, known["tissue_hidden"] * n_samples, spare)
    for column in ("tissue", "tissue_group", "tissue_top"):
        obs[column] = obs[column].where(~obs["dataset_id"].isin(unknown))
    obs["tissue"] = obs["tissue"].where(rng.random(n_samples) >= known["tissue_hidden"])
    columns = ["dataset_id", "donor_id", "tissue", "tissue_group", "tissue_top", "is_cell_line", "sex", "age_years"]
    return obs[[*columns, "platform", "library_protocol"]], true


def _effects(cfg: Config, rng: Rng, srnas: pd.DataFrame, truth: pd.DataFrame, true: pd.DataFrame) -> np.ndarray:
    """Log2 effects of tissue, sex and age on every sample, shape (n_samples, n_srnas)."""
    signed = truth.assign(effect=truth["direction"] * truth["log2_effect"])
    labels = pd.MultiIndex.from_frame(truth[["task", "label"]]).unique()
    contaminant = (srnas["biotype"] == "contaminant").to_numpy()
    table = signed.pivot_table(index=["task", "label"], columns="srna", values="effect", aggfunc="sum", fill_value=0.0)
    table = table.reindex(index=labels, columns=srnas.index, fill_value=0.0)
    total = np.zeros((len(true), len(srnas)))
    by_person = {"sex": np.where(true["sex"] == "male", 0.5, -0.5), "age": (true["age_years"].to_numpy() - 55) / 50}
    for task, label in labels:
        dose = by_person[task] if task in by_person else (true[task] == label).to_numpy(float)
        doses = np.stack([dose, dose])
        if task in by_person:
            doses += cfg[task]["dose_sd"] * _deviations(rng, true["dataset_id"].to_numpy(), dose)
        effect = table.loc[(task, label)].to_numpy()
        for own, chosen in zip(doses, (~contaminant, contaminant), strict=True):
            moved = np.flatnonzero(chosen & (effect != 0))  # a few of all sRNAs
            total[:, moved] += np.outer(own, effect[moved])
    return total


def _deviations(rng: Rng, study: np.ndarray, dose: np.ndarray) -> np.ndarray:
    """How much more or less than its due a sample shows in own sRNAs and in foreign reads, shape (2, n_samples)."""
    # Standard normal and independent of each other, so that both feature sets together tell more than either. Over
    # every four samples of like dose they cancel out: with a few hundred samples, chance would else decide by how much.
    n, blocks = len(dose), -(-len(dose) // 4)
    order = np.lexsort((rng.random(n), dose, study))
    signs = np.array([[1, 1, -1, -1], [1, -1, 1, -1]])[:, rng.permuted(np.tile(np.arange(4), (blocks, 1)), axis=1)]
    drawn = np.empty((2, n))
    drawn[:, order] = (np.abs(rng.normal(size=(2, blocks, 1))) * signs).reshape(2, -1)[:, :n]
    return drawn


def _levels(cfg: Config, rng: Rng, srnas: pd.DataFrame, effects: np.ndarray, true: pd.DataFrame) -> np.ndarray:
    """Log2 level of every sRNA in every sample, before reads are drawn."""
    lab, one = cfg["study"], cfg["sample"]
    topic, topics = pd.factorize(srnas["family"])
    kind, kinds = pd.factorize(srnas["biotype"])
    study, studies = pd.factorize(true["dataset_id"])
    protocol, protocols = pd.factorize(true.drop_duplicates("dataset_id")["library_protocol"])
    n, m, k = len(true), len(srnas), len(studies)
    contaminant = (srnas["biotype"] == "contaminant").to_numpy()

    # ligation likes some ends better than others: the kits differ, and laboratories with one kit do too
    shared = lab["protocol_share"]
    bias = np.sqrt(shared) * rng.normal(size=(len(protocols), m))[protocol]
    bias += np.sqrt(1 - shared) * rng.normal(size=(k, m))
    spread = np.where(contaminant, lab["contaminant_sd"], lab["bias_sd"] * srnas["between"].to_numpy())
    colour = bias * spread
    colour += lab["topic_sd"] * rng.normal(size=(k, len(topics)))[:, topic]
    colour += lab["biotype_sd"] * rng.normal(size=(k, len(kinds)))[:, kind]
    colour -= lab["absent_drop"] * (contaminant & (rng.random((k, m)) < lab["absent"]))

    level = srnas["level"].to_numpy() + effects + colour[study]
    # gamma draws, normalised to shares by the caller, are a Dirichlet draw of the topics
    gamma = rng.gamma(one["topic_alpha"], 1 / one["topic_alpha"], size=(n, len(topics)))
    level += np.log2(gamma)[:, topic]
    level += rng.normal(size=(n, m)) * one["noise"] * srnas["within"].to_numpy()
    degraded, contaminated = rng.random(n) < one["degraded"], rng.random(n) < one["contaminated"]
    fragments = srnas["biotype"].isin(["tRF", "other"]).to_numpy()
    level += 2.0 * np.outer(degraded, fragments) + 3.0 * np.outer(contaminated, contaminant)
    return level + np.outer(rng.normal(0, one["contaminant_sd"], n), contaminant)
