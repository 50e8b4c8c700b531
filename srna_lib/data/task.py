"""Tasks: which samples, classes and sRNAs a model is asked about, and the covariates of the samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data.atlas import atlas_name, check_column, counts_frame, quantity_of, samples_of
from srna_lib.errors import InputError, expect, one_of

CONTEXT = "context:"  # columns of a task's X that start so hold covariates of a sample; they are no sRNAs
NORMALISED = "normalised:"  # columns that start so hold log-scale values, not counts
METADATA = ("dataset_id", "tissue", "platform", "library_protocol", "tumour_normal", "sample_type", "sequencing_run")
AGE_CUTS = {2: (65,), 3: (45, 70), 4: (30, 60, 80)}  # Fiosina, Fiosins, Bonn 2020, Table 3
MADE_FROM = {f"age_{n}": "age_years" for n in AGE_CUTS}  # label -> column that it is made from
PEOPLE = ("sex", *MADE_FROM)  # labels of donors, which a data set of one kind of donors gives away
OLDEST = 110
LEVELS = ("sample_type", "lineage", "tissue_top", "tissue_group", "tissue")  # labels of one hierarchy, coarse to fine
ENOUGH_STUDIES = 5
PAIRED_BY = ["donor_id", "tumour_normal"]


@dataclass(frozen=True)
class Task:
    """Samples, labels and studies of one prediction task, aligned by position.

    Attributes
    ----------
    name, X
        Name of the label, e.g. ``"tissue_group"``; raw counts.
    y
        Label of each sample (ordered categories where classes have an order); a number where a quantity is predicted.
    groups, donors
        Study and donor of each sample, which never straddle a split; without donors each sample is a donor of its own.
    dropped
        Why samples were left out -> how many.
    features
        Feature set: ``"sRNA"``, ``"contaminant"`` or ``"both"``; the data sets' own where they were joined.
    kinds
        The other labels of the hierarchy of tissues, coarse to fine, for models that learn a class as several kinds.
    """

    name: str
    X: pd.DataFrame
    y: pd.Series
    groups: pd.Series
    dropped: dict[str, int]
    features: str = "sRNA"
    donors: pd.Series | None = None
    kinds: pd.DataFrame | None = None

    @property
    def classes(self) -> list[str]:
        """Class names: ordered categories in their order, others sorted."""
        if isinstance(self.y.dtype, pd.CategoricalDtype):
            return [c for c in self.y.cat.categories if (self.y == c).any()]
        return sorted(self.y.unique())


def make_task(
    adata: ad.AnnData, label: str = "tissue_group", *, min_class_size: int = 15, exclude: tuple[str, ...] = ("Other",),
    features: str = "sRNA",
) -> Task:  # fmt: skip
    """Choose the samples of a prediction task.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str, default "tissue_group"
        Column of ``obs`` to predict; ordered categories of pandas keep their order.
    min_class_size : int, default 15
        Classes with fewer samples are left out. The paper used 9 and 15; lower it to see more classes, at the price of
        classes that no study but one contains.
    exclude : tuple of str, default ("Other",)
        Labels that name no class: a rest category is not something to predict.
    features : str, default "sRNA"
        ``"sRNA"`` leaves out contaminants (reads of other organisms), ``"contaminant"`` takes them, ``"both"`` all.

    Returns
    -------
    Task
        With the number of samples left out for each reason.

    Examples
    --------
    >>> from srna_lib.datasets import load
    >>> make_task(load("demo")).classes[:3]
    ['blood', 'brain', 'embryonic']
    """
    name = atlas_name(adata)
    check_column(adata, label)
    values = adata.obs[label].astype(object)
    known, excluded = values.notna(), values.isin(list(exclude))
    sizes = values[known & ~excluded].value_counts()
    is_small = values.isin(list(sizes[sizes < min_class_size].index))
    keep = (known & ~excluded & ~is_small).to_numpy()
    known_sizes = ", ".join(f"{k} {v}" for k, v in sizes.items()) or "none"
    large = f"{values[keep].nunique()} classes of at least {min_class_size} samples (class sizes: {known_sizes})"
    expect(values[keep].nunique() > 1, f"{name}: obs[{label!r}] has {large}; expected at least two")
    single = sizes[(sizes == 1) & (sizes >= min_class_size)].index
    if len(single):
        why = "because a single one cannot be both in training and in test (raise min_class_size)"
        lone = f"obs[{label!r}] has one sample in {len(single)} classes (first: {single[0]!r})"
        raise InputError(f"{name}: {lone}; expected at least two, {why}.")
    dropped = {"label unknown": int((~known).sum()), "excluded label": int(excluded.sum())}
    dropped[f"class below {min_class_size} samples"] = int(is_small.sum())
    target, dtype = values.astype(str), adata.obs[label].dtype
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        present = [c for c in map(str, dtype.categories) if (target[keep] == c).any()]
        target = target.astype(pd.CategoricalDtype(present, ordered=True))
    return _task_of(adata, target, keep, features, dropped)


def make_quantity_task(adata: ad.AnnData, column: str = "age_years", *, features: str = "sRNA") -> Task:
    """Choose the samples of a task whose target is a number, as `make_task` does for classes; ``y`` holds floats.

    Refused: text in the column, fewer than ten known values, or all of them equal.
    """
    name = atlas_name(adata)
    values = _numbers(adata, column, "numbers")
    keep = values.notna().to_numpy()
    expect(keep.sum() >= 10, f"{name}: obs[{column!r}] is known for {keep.sum()} samples; expected at least 10")
    if values.nunique() < 2:
        raise InputError(f"{name}: obs[{column!r}] is {values[keep].iloc[0]:g} in every sample; expected it to differ.")
    return _task_of(adata, values, keep, features, {"label unknown": int((~keep).sum())})


def _task_of(adata: ad.AnnData, target: pd.Series, keep: np.ndarray, features: str, dropped: dict[str, int]) -> Task:
    contaminant = adata.var.get("biotype", pd.Series("", adata.var_names)).eq("contaminant").to_numpy()
    choice = {"sRNA": ~contaminant, "contaminant": contaminant, "both": np.ones(adata.n_vars, dtype=bool)}
    one_of("feature set", features, choice)
    lacking = f"none of the {adata.n_vars} features is a {features}"
    expect(choice[features].any(), f"{atlas_name(adata)}: {lacking}; expected at least one")
    X, studies = counts_frame(adata[keep, choice[features]]), adata.obs["dataset_id"][keep].astype(str)
    name = str(target.name)
    finer = [c for c in LEVELS if c in adata.obs and c != name] if name in LEVELS else []
    kinds = adata.obs.loc[keep, finer].astype(object) if finer else None
    return Task(name, X, target[keep], studies, dropped, features, donors(adata)[keep], kinds)


def _numbers(adata: ad.AnnData, column: str, expected: str) -> pd.Series:
    """A column as floats; text in it is refused."""
    check_column(adata, column, expected)
    values = pd.to_numeric(adata.obs[column], errors="coerce").astype(float)
    text = adata.obs[column].notna() & values.isna()
    if text.any():
        first = adata.obs[column][text].iloc[0]
        raise InputError(f"{atlas_name(adata)}: obs[{column!r}] holds {first!r}; expected {expected}.")
    return values


def donors(adata: ad.AnnData) -> pd.Series:
    """Donor of each sample as text; a sample whose donor is unknown is a donor of its own."""
    own = pd.Series(adata.obs_names.astype(str), index=adata.obs_names, name="donor_id")
    known = adata.obs.get("donor_id", own).astype(object)
    return known.where(known.notna(), own).astype(str)


def subsample(
    adata: ad.AnnData, label: str, *, per_study: int | None, min_class_size: int = 0, seed: int = 0
) -> ad.AnnData:
    """Keep at most `per_study` (None: all) random samples of every class in every study, in their old order.

    More are kept where a class would have fewer than `min_class_size`.
    """
    check_column(adata, label)
    if per_study is None:
        return adata
    order = np.random.default_rng(seed).permutation(adata.n_obs)
    keys = adata.obs[["dataset_id", label]].astype(str).iloc[order]
    kept = keys.groupby(["dataset_id", label]).cumcount() < per_study
    kept |= keys.groupby(label).cumcount() < min_class_size
    return samples_of(adata, np.sort(order[kept.to_numpy()]))


def with_context(task: Task, adata: ad.AnnData, columns: Iterable[str]) -> Task:
    """Give a task's models covariates of each sample (columns of ``obs``), as indicator columns beside the sRNAs.

    Columns ``context:<column>=<value>`` of 0 and 1 follow the sRNAs; an unknown value has no indicator. Columns that
    the atlas lacks are left out; an atlas that has none of them is refused.
    """
    return replace(task, X=pd.concat([task.X, _indicators(task, adata, columns)], axis=1))


def metadata_only(task: Task, adata: ad.AnnData) -> Task:
    """Take away every sRNA: only covariates (as in `with_context`) and log2 of the reads are left to predict from."""
    depth = np.log2(1.0 + np.asarray(samples_of(adata, task.X.index).X.sum(axis=1)).ravel())
    indicators = _indicators(task, adata, METADATA)
    return replace(task, X=indicators.assign(**{f"{CONTEXT}log2_depth": depth}), features="metadata")


def _indicators(task: Task, adata: ad.AnnData, columns: Iterable[str]) -> pd.DataFrame:
    obs, columns = adata.obs.loc[task.X.index], tuple(columns)
    names = [c for c in columns if c in obs and obs[c].notna().any()]
    expect(names, f"the atlas has none of the columns {', '.join(columns)}; expected at least one in obs")
    text = obs[names].astype(object).where(obs[names].notna())
    return pd.get_dummies(text, prefix=[CONTEXT + n for n in names], prefix_sep="=", dtype=float)


def permute(task: Task, adata: ad.AnnData, *, within: Iterable[str] = ("dataset_id", "tissue"), seed: int = 0) -> Task:
    """Shuffle labels among the donors of a stratum: a null in which sRNAs say nothing and covariates all they say.

    A stratum is made by the columns `within` of ``obs``; those that the atlas lacks are left out. A donor's samples
    keep one label where they had one, and go to the stratum of the first.
    """
    obs = adata.obs.loc[task.X.index]
    stratum = pd.Series("", index=obs.index)
    for name in (c for c in within if c in obs):
        stratum += obs[name].astype(str) + "|"
    who = task.y.index.to_series() if task.donors is None else task.donors
    first = ~who.duplicated()
    rng = np.random.default_rng(seed)
    label = pd.Series(task.y[first].to_numpy(), index=who[first].to_numpy())
    for _, members in who[first].groupby(stratum[first].to_numpy()):
        label[members.to_numpy()] = rng.permutation(label[members.to_numpy()].to_numpy())
    shuffled = pd.Series(label[who.to_numpy()].to_numpy(), index=task.y.index, name=task.y.name)
    return replace(task, y=shuffled.astype(task.y.dtype))


def shuffle_studies(task: Task, *, seed: int = 0) -> Task:
    """Deal each study the labels of another one, at random among its donors: a null that keeps studies whole.

    Studies of one class stay so; mixed ones get the mixture of another.
    """
    rng, who = np.random.default_rng(seed), task.y.index.to_series() if task.donors is None else task.donors
    labels = {study: y.to_numpy() for study, y in task.y.astype(object).groupby(task.groups)}
    others = rng.permutation(list(labels))
    dealt = pd.Series(index=task.y.index, dtype=object, name=task.y.name)
    for other, (_, members) in zip(others, who.groupby(task.groups), strict=True):
        names = members.unique()
        dealt[members.index] = members.map(dict(zip(names, rng.choice(labels[other], len(names)), strict=True)))
    return replace(task, y=dealt.astype(task.y.dtype))


def with_label(adata: ad.AnnData, label: str) -> ad.AnnData:
    """The atlas, with age intervals (`add_age_intervals`) where `label` is one of them and not there yet."""
    return add_age_intervals(adata) if label in MADE_FROM and label not in adata.obs else adata


def add_age_intervals(adata: ad.AnnData) -> ad.AnnData:
    """Copy an atlas and add the paper's 2, 3 and 4 age intervals as labels ``age_2``, ``age_3``, ``age_4``."""
    # "30-60" means above 30 and up to 60 years (the first interval holds its lower end, too); sorted as text they are
    # in order. Ages outside 0 to 110 years are refused.
    years = _numbers(adata, "age_years", "ages in years")
    wrong = years.notna() & ~years.between(0, OLDEST)
    if wrong.any():
        first = f"obs['age_years'] is {years[wrong].iloc[0]:g} for sample {wrong.idxmax()!r}"
        raise InputError(f"{atlas_name(adata)}: {first}; expected 0 to {OLDEST} years.")
    out = adata.copy()
    for n, cuts in AGE_CUTS.items():
        edges = [0, *cuts, OLDEST]
        names = [f"{low}-{high}" for low, high in itertools.pairwise(edges)]
        out.obs[f"age_{n}"] = pd.cut(years, edges, labels=names, include_lowest=True).astype(object)
    return out


def matched_samples(counts: ad.AnnData, normalised: ad.AnnData) -> pd.DataFrame:
    """Pair the samples of two collections by donor and by tumour or normal tissue."""
    # One row per pair: counts and normalised, sample names. Of several aliquots of one tumour the first is taken; a
    # sample of an unknown donor has no partner.
    tables = []
    for adata, side in ((counts, "counts"), (normalised, "normalised")):
        for key in PAIRED_BY:
            check_column(adata, key, "it to match samples by")
        known = adata.obs[PAIRED_BY].dropna().astype(str)
        tables.append(known.assign(**{side: known.index}).drop_duplicates(PAIRED_BY))
    pairs = tables[0].merge(tables[1], on=PAIRED_BY)
    both = f"{atlas_name(counts)} and {atlas_name(normalised)}"
    expect(len(pairs), f"{both} share no donor and tissue type; expected some of both")
    return pairs[["counts", "normalised"]]


def joined_tasks(counts: ad.AnnData, normalised: ad.AnnData, label: str) -> dict[str, Task]:
    """The same samples seen through raw counts, through log-scale values of other features, and through both."""
    # "miRNA", "tRNA fragments" and "both" -> Task; labels are those of counts. Columns of the second are named
    # normalised:<feature>: recipes made with joined=True leave them as they are.
    for adata, expected in ((counts, "counts"), (normalised, "normalised")):
        found = f"{atlas_name(adata)}: uns['srna']['quantity'] is {quantity_of(adata)!r}"
        expect(quantity_of(adata) == expected, f"{found}; expected {expected!r}")
    pairs = matched_samples(counts, normalised)
    check_column(counts, label)
    known = counts.obs[label].loc[pairs["counts"]].notna().to_numpy()
    chosen = counts[pairs["counts"][known].to_numpy()]
    other = counts_frame(normalised[pairs["normalised"][known].to_numpy()])
    second = other.set_axis(chosen.obs_names).add_prefix(NORMALISED)
    dropped, studies = {"label unknown": int((~known).sum())}, chosen.obs["dataset_id"].astype(str)
    target = chosen.obs[label].astype(float if pd.api.types.is_numeric_dtype(chosen.obs[label]) else str)
    base = Task(label, counts_frame(chosen), target, studies, dropped, "miRNA", donors(chosen))
    return {
        "miRNA": base,
        "tRNA fragments": replace(base, X=second, features="tRNA fragments"),
        "both": replace(base, X=pd.concat([base.X, second], axis=1), features="both"),
    }


def feature_tasks(adata: ad.AnnData, label: str, partner: ad.AnnData | None = None) -> dict[str, Task]:
    """Make the paper's three tasks on the same samples: feature set -> Task, ``"both"`` last.

    `partner` holds log-scale values of further features of the same samples; without it the other features are
    contaminants, and an atlas without any has only ``"sRNA"``.
    """
    if partner is not None:
        return joined_tasks(adata, partner, label)
    foreign = "biotype" in adata.var and (adata.var["biotype"] == "contaminant").any()
    sets = ("sRNA", "contaminant", "both") if foreign else ("sRNA",)
    return {features: make_task(adata, label, features=features) for features in sets}


@dataclass(frozen=True)
class Design:
    """How a label of people is predicted in one atlas.

    `scheme` splits (by study where there are many, by donor where studies are few or large) and `unit` is resampled.
    Tissue-conditioned recipes read the covariates `context`; labels are shuffled `within` columns for the null. A data
    set needs `min_per_class` samples of every class, a sample the values of `where`. `joined` names a data set with
    further features of the same samples, `external` that of the external validation, whose tissue is that of `alike`.
    """

    scheme: str
    unit: str
    context: tuple[str, ...]
    within: tuple[str, ...] = ("dataset_id", "tissue")
    min_per_class: int = 3
    where: Mapping[str, str] = field(default_factory=dict)
    joined: str = ""
    external: str = ""
    alike: tuple[str, ...] = ()


_COHORT = ("dataset_id", "tumour_normal")
_EXACT = {"age_source": "days_to_birth"}  # of the other samples age, and often sex, was filled in from elsewhere
_TCGA = Design("patient_kfold", "donor_id", _COHORT, _COHORT, 60, _EXACT, "tcga_trf", "lgrc", alike=("LUAD", "LUSC"))
DESIGNS = {"tcga": _TCGA}


def design(adata: ad.AnnData, label: str) -> Design:
    """Choose the design for a label of an atlas: that of `DESIGNS` for a known name.

    Else folds by study where at least five studies have three samples of every class, by donor where they have not. An
    atlas of normalised values is refused, because the recipes cannot start from them.
    """
    name, quantity = atlas_name(adata), quantity_of(adata)
    check_column(adata, label)
    partner = next((k for k, d in DESIGNS.items() if d.joined == name), "")
    hint = f" (dataset {partner!r} joins it to its counts)" if partner else ""
    expect(quantity == "counts", f"{name}: it holds {quantity} values; expected raw counts{hint}")
    if name in DESIGNS:
        return DESIGNS[name]
    tissue = next((c for c in ("tissue_group", "tissue") if c in adata.obs and adata.obs[c].nunique() > 1), "")
    if (_class_sizes(adata, label).min(axis=1) >= 3).sum() >= ENOUGH_STUDIES:
        return Design("grouped_kfold", "dataset_id", (tissue or "dataset_id",))
    back = next((k for k, d in DESIGNS.items() if d.external == name), "")
    return Design("patient_kfold", "donor_id", ("dataset_id", tissue) if tissue else ("dataset_id",), external=back)


def _class_sizes(adata: ad.AnnData, label: str) -> pd.DataFrame:
    """Samples of each class (columns) in each data set (rows)."""
    known = adata.obs[adata.obs[label].notna()]
    return pd.crosstab(known["dataset_id"].astype(str), known[label].astype(str))


def cohort_table(adata: ad.AnnData, label: str, *, min_per_class: int) -> pd.DataFrame:
    """Count samples by data set and class, and say which data sets can be used (as in `with_every_class`).

    One row per data set with a known label: ``data set``, samples of each class, ``share`` (of the commonest class) and
    ``use``: ``used``, ``refused: only <class>`` or ``refused: fewer than <n> of a class``; usable and large ones first.
    """
    sizes = _class_sizes(adata, label)
    total, present = sizes.sum(axis=1), (sizes > 0).sum(axis=1)
    use = pd.Series(f"refused: fewer than {min_per_class} of a class", index=sizes.index)
    use = use.mask(present == 1, "refused: only " + sizes.idxmax(axis=1))
    use = use.mask(sizes.min(axis=1) >= min_per_class, "used")
    table = sizes.assign(share=sizes.max(axis=1) / total, use=use)
    order = pd.DataFrame({"refused": use != "used", "total": -total}).sort_values(["refused", "total"], kind="stable")
    return table.loc[order.index].rename_axis(index="data set", columns=None).reset_index()


def with_every_class(adata: ad.AnnData, label: str, *, min_per_class: int) -> ad.AnnData:
    """Keep the data sets in which every class of a label can be learned, with at least `min_per_class` samples of each.

    In a data set of one sex, sex is known from the data set: a model that sees such sets learns tissues, not sex. An
    atlas without any that qualifies is refused.
    """
    check_column(adata, label)
    sizes = _class_sizes(adata, label)
    kept = list(sizes.index[sizes.min(axis=1) >= min_per_class])
    lacking = f"no data set has at least {min_per_class} samples of every {label}"
    expect(kept and sizes.shape[1] > 1, f"{atlas_name(adata)}: {lacking}; expected at least one")
    chosen = adata.obs["dataset_id"].astype(str).isin(kept) & adata.obs[label].notna()
    return samples_of(adata, chosen.to_numpy())


def refusal(adata: ad.AnnData, label: str, *, min_per_class: int) -> str:
    """Sentence with which `with_every_class` refuses the largest data set of a single class (else any it refuses).

    Empty where all data sets are used.
    """
    table = cohort_table(adata, label, min_per_class=min_per_class)
    refused = table[table["use"] != "used"]
    if refused.empty:
        return ""
    single = refused["use"].str.startswith("refused: only")
    worst = (refused[single] if single.any() else refused)["data set"].iloc[0]
    classes = ", ".join(f"{n} {k}" for k, n in _class_sizes(adata, label).loc[worst].items())
    why = f"because where one class is missing or rare the data set gives {label} away"
    found = f"{atlas_name(adata)}: data set {worst!r} has {classes} among its samples"
    return f"{found}; expected at least {min_per_class} of each, {why}."


def choose_cohorts(
    adata: ad.AnnData, label: str, *, min_per_class: int | None = None, where: Mapping[str, str] | None = None
) -> ad.AnnData:
    """Keep the eligible samples: a known label, in data sets that have every class.

    `min_per_class` (of `with_every_class`) and `where` (of `select`) come from the `design` where they are not given.
    """
    plan = design(adata, label)
    chosen = select(adata, plan.where if where is None else where)
    return with_every_class(chosen, label, min_per_class=min_per_class or plan.min_per_class)


def eligible(adata: ad.AnnData, label: str) -> ad.AnnData:
    """For a label of people the data sets in which it can be learned (`choose_cohorts`; ages by two intervals)."""
    if label not in PEOPLE:
        return adata
    return choose_cohorts(adata, label if label == "sex" else "age_2")


def select(adata: ad.AnnData, where: Mapping[str, str]) -> ad.AnnData:
    """Keep the samples that have the given value in each given column of ``obs``."""
    chosen = np.ones(adata.n_obs, dtype=bool)
    for column, value in where.items():
        check_column(adata, column, "it to choose samples by")
        chosen &= (adata.obs[column].astype(str) == value).to_numpy()
    wanted = ", ".join(f"{k} = {v!r}" for k, v in where.items())
    expect(chosen.any(), f"{atlas_name(adata)}: no sample has {wanted}")
    return samples_of(adata, chosen)


def without_absent(adata: ad.AnnData, *, max_zero_share: float = 0.98) -> ad.AnnData:
    """Drop features that hardly any sample has, to save memory and time.

    A feature stays when at most `max_zero_share` of all samples lacks it. At .98 a training set of a third of the
    samples or more lacks a dropped one in over 90 %, so the zero filter of every recipe would have dropped it:
    predictions do not change.
    """
    present = np.asarray((adata.X != 0).sum(axis=0)).ravel()
    kept = adata.n_obs - present <= max_zero_share * adata.n_obs + 1e-9
    share = f"{1 - max_zero_share:.0%}"
    expect(kept.any(), f"{atlas_name(adata)}: no feature is present in {share} of the samples; expected some")
    return adata[:, kept].copy()
