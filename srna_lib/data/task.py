"""Tasks: which samples, classes and sRNAs a model is asked about, and what surrounds the samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.data.atlas import counts_frame, samples_of
from srna_lib.errors import InputError

CONTEXT = "context:"  # columns of a task's X that start so say where a sample comes from; they are no sRNAs
NORMALISED = "normalised:"  # columns that start so hold log-scale values, not counts


@dataclass(frozen=True)
class Task:
    """Samples, labels and studies of one prediction task, aligned by position.

    Attributes
    ----------
    name : str
        Name of the label, e.g. ``"tissue_group"``.
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts.
    y : Series, shape (n_samples,)
        Label of each sample; a number where a quantity is predicted.
    groups : Series, shape (n_samples,)
        Study of each sample; never straddles a split by study.
    dropped : dict
        Why samples were left out -> how many.
    features : str
        Feature set: ``"sRNA"``, ``"contaminant"`` or ``"both"``; the data sets' own where they were joined.
    donors : Series, shape (n_samples,), optional
        Patient or donor of each sample; never straddles a split by study or by patient. Without it each sample is a
        donor of its own.
    """

    name: str
    X: pd.DataFrame
    y: pd.Series
    groups: pd.Series
    dropped: dict[str, int]
    features: str = "sRNA"
    donors: pd.Series | None = None

    @property
    def classes(self) -> list[str]:
        """Class names in sorted order."""
        return sorted(self.y.unique())


def make_task(
    adata: ad.AnnData,
    label: str = "tissue_group",
    *,
    min_class_size: int = 15,
    exclude: tuple[str, ...] = ("Other",),
    features: str = "sRNA",
) -> Task:
    """Choose the samples of a prediction task.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str, default "tissue_group"
        Column of ``obs`` to predict.
    min_class_size : int, default 15
        Classes with fewer samples are left out. The paper used 9 and 15; lower it to see more classes,
        at the price of classes that no study but one contains.
    exclude : tuple of str, default ("Other",)
        Labels that name no class: a rest category is not something to predict.
    features : str, default "sRNA"
        ``"sRNA"`` leaves out contaminants (reads of other organisms), ``"contaminant"`` takes only them,
        ``"both"`` takes all.

    Returns
    -------
    Task
        With the number of samples left out for each reason.

    Raises
    ------
    InputError
        Unknown column or feature set, no such features, fewer than two classes left, or a class of
        one sample among them.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    chosen = _choose_features(adata, features)
    _check_label(adata, label)
    values = adata.obs[label].astype(object)
    known = values.notna()
    excluded = values.isin(list(exclude))
    sizes = values[known & ~excluded].value_counts()
    small = sizes[sizes < min_class_size].index
    is_small = values.isin(list(small))
    keep = (known & ~excluded & ~is_small).to_numpy()
    if values[keep].nunique() < 2:
        raise InputError(
            f"{name}: obs[{label!r}] has {values[keep].nunique()} classes of at least {min_class_size} samples"
            f" (class sizes: {', '.join(f'{k} {v}' for k, v in sizes.items()) or 'none'}); expected at least two."
        )
    single = sizes[(sizes == 1) & (sizes >= min_class_size)].index
    if len(single):
        raise InputError(
            f"{name}: obs[{label!r}] has one sample in {len(single)} classes (first: {single[0]!r}); expected at least"
            " two, because a single one cannot be both in training and in test (raise min_class_size)."
        )
    return Task(
        name=label,
        X=counts_frame(adata[keep, chosen]),
        y=values[keep].astype(str),
        groups=adata.obs["dataset_id"][keep].astype(str),
        donors=donors(adata)[keep],
        dropped={
            "label unknown": int((~known).sum()),
            "excluded label": int(excluded.sum()),
            f"class below {min_class_size} samples": int(is_small.sum()),
        },
        features=features,
    )


def make_quantity_task(adata: ad.AnnData, column: str = "age_years", *, features: str = "sRNA") -> Task:
    """Choose the samples of a task whose target is a number.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    column : str, default "age_years"
        Numeric column of ``obs`` to predict.
    features : str, default "sRNA"
        As in `make_task`.

    Returns
    -------
    Task
        ``y`` holds floats.

    Raises
    ------
    InputError
        Unknown column or feature set, text in the column, or fewer than ten known values.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    chosen = _choose_features(adata, features)
    _check_label(adata, column)
    values = pd.to_numeric(adata.obs[column], errors="coerce")
    text = adata.obs[column].notna() & values.isna()
    if text.any():
        raise InputError(f"{name}: obs[{column!r}] holds {adata.obs[column][text].iloc[0]!r}; expected numbers.")
    keep = values.notna().to_numpy()
    if keep.sum() < 10:
        raise InputError(f"{name}: obs[{column!r}] is known for {keep.sum()} samples; expected at least 10.")
    return Task(
        name=column,
        X=counts_frame(adata[keep, chosen]),
        y=values[keep].astype(float),
        groups=adata.obs["dataset_id"][keep].astype(str),
        dropped={"label unknown": int((~keep).sum())},
        features=features,
        donors=donors(adata)[keep],
    )


def donors(adata: ad.AnnData) -> pd.Series:
    """Donor of each sample; a sample whose donor is unknown is a donor of its own.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.

    Returns
    -------
    Series of str, shape (n_samples,)
    """
    own = pd.Series(adata.obs_names.astype(str), index=adata.obs_names, name="donor_id")
    if "donor_id" not in adata.obs:
        return own
    return adata.obs["donor_id"].astype(object).where(adata.obs["donor_id"].notna(), own).astype(str)


def subsample(adata: ad.AnnData, label: str, *, per_study: int, seed: int = 0) -> ad.AnnData:
    """Keep a few samples of every class in every study.

    The result has the studies and classes of the whole and few samples: right for a quick look or a test, wrong
    for a figure that somebody quotes.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs`` with the class.
    per_study : int
        Most samples of one class in one study.
    seed : int, default 0
        Seed of the choice.

    Returns
    -------
    AnnData, shape (n_kept, n_srnas)
        Samples in their old order.
    """
    _check_label(adata, label)
    order = np.random.default_rng(seed).permutation(adata.n_obs)
    keys = adata.obs[["dataset_id", label]].astype(str).iloc[order]
    kept = order[(keys.groupby(["dataset_id", label]).cumcount() < per_study).to_numpy()]
    return samples_of(adata, np.sort(kept))


def _check_label(adata: ad.AnnData, label: str) -> None:
    name = adata.uns.get("srna", {}).get("name", "atlas")
    if label not in adata.obs:
        raise InputError(
            f"{name}: the field obs[{label!r}] is missing (found: {', '.join(map(str, adata.obs.columns))});"
            " expected a column of labels."
        )


def _choose_features(adata: ad.AnnData, features: str) -> np.ndarray:
    if "biotype" in adata.var:
        contaminant = (adata.var["biotype"] == "contaminant").to_numpy()
    else:
        contaminant = np.zeros(adata.n_vars, dtype=bool)
    choice = {"sRNA": ~contaminant, "contaminant": contaminant, "both": np.ones(adata.n_vars, dtype=bool)}
    if features not in choice:
        raise InputError(f"unknown feature set {features!r}: expected one of {', '.join(choice)}.")
    if not choice[features].any():
        name = adata.uns.get("srna", {}).get("name", "atlas")
        raise InputError(f"{name}: none of the {adata.n_vars} features is a {features}; expected at least one.")
    return choice[features]


METADATA = ("dataset_id", "tissue", "platform", "library_protocol", "tumour_normal", "sample_type", "sequencing_run")
DEPTH = f"{CONTEXT}log2_depth"
AGE_CUTS = {2: (65,), 3: (45, 70), 4: (30, 60, 80)}
MADE_FROM = {f"age_{n}": "age_years" for n in AGE_CUTS}  # label -> column that it is made from
OLDEST = 110


def with_context(task: Task, adata: ad.AnnData, columns: Iterable[str]) -> Task:
    """Give a task's models the context of each sample, as indicator columns beside the sRNAs.

    Parameters
    ----------
    task : Task
        Samples of `adata`.
    adata : AnnData, shape (n_all_samples, n_srnas)
        The atlas that the task was made from.
    columns : iterable of str
        Columns of ``obs``; those that the atlas lacks are left out. An unknown value has no indicator.

    Returns
    -------
    Task
        Columns ``context:<column>=<value>`` of 0 and 1 follow the sRNAs.

    Raises
    ------
    InputError
        When the atlas has none of the columns.
    """
    indicators = _indicators(task, adata, columns)
    return replace(task, X=pd.concat([task.X, indicators], axis=1))


def metadata_only(task: Task, adata: ad.AnnData, columns: Iterable[str] = METADATA) -> Task:
    """Take away every sRNA: only context and sequencing depth are left to predict from.

    Parameters
    ----------
    task : Task
        Samples of `adata`.
    adata : AnnData
        The atlas that the task was made from.
    columns : iterable of str, default `METADATA`
        As in `with_context`.

    Returns
    -------
    Task
        ``X``: indicators and log2 of the reads of each sample; ``features`` is ``"metadata"``.
    """
    indicators = _indicators(task, adata, columns)
    counts = samples_of(adata, task.X.index).X
    depth = np.log2(1.0 + np.asarray(counts.sum(axis=1)).ravel())
    return replace(task, X=indicators.assign(**{DEPTH: depth}), features="metadata")


def permute(task: Task, adata: ad.AnnData, *, within: Iterable[str] = ("dataset_id", "tissue"), seed: int = 0) -> Task:
    """Shuffle labels among the donors of a stratum: a null in which sRNAs say nothing and the context all it says.

    Parameters
    ----------
    task : Task
        Samples of `adata`.
    adata : AnnData
        The atlas that the task was made from.
    within : iterable of str, default ("dataset_id", "tissue")
        Columns of ``obs`` that make a stratum; those that the atlas lacks are left out.
    seed : int, default 0
        Seed of the shuffling.

    Returns
    -------
    Task
        Same samples; a donor's samples keep one label where they had one, and go to the stratum of the first.
    """
    obs = adata.obs.loc[task.X.index]
    names = [c for c in within if c in obs]
    stratum = pd.Series("", index=obs.index)
    for name in names:
        stratum += obs[name].astype(str) + "|"
    who = task.y.index.to_series() if task.donors is None else task.donors
    first = ~who.duplicated()
    rng = np.random.default_rng(seed)
    label = pd.Series(task.y[first].to_numpy(), index=who[first].to_numpy())
    for _, people in who[first].groupby(stratum[first].to_numpy()):
        label[people.to_numpy()] = rng.permutation(label[people.to_numpy()].to_numpy())
    return replace(task, y=pd.Series(label[who.to_numpy()].to_numpy(), index=task.y.index, name=task.y.name))


def with_every_class(adata: ad.AnnData, label: str, *, min_per_class: int, datasets: Iterable[str] = ()) -> ad.AnnData:
    """Keep the data sets in which every class of a label can be learned.

    In a data set of one sex, sex is known from the data set: a model that sees such sets learns tissues and calls it
    sex.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs``.
    min_per_class : int
        Samples of every class that a data set needs.
    datasets : iterable of str, optional
        Data sets asked for by name; each must qualify. Default: all that do.

    Returns
    -------
    AnnData, shape (n_kept, n_srnas)
        Samples with a label in the data sets kept.

    Raises
    ------
    InputError
        Unknown column or data set, a named data set with too few samples of a class, or none that qualifies.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    if label not in adata.obs:
        raise InputError(f"{name}: the field obs[{label!r}] is missing; expected a column of labels.")
    known = adata.obs[adata.obs[label].notna()]
    sizes = pd.crosstab(known["dataset_id"].astype(str), known[label].astype(str))
    asked = list(datasets)
    for dataset in asked:
        if dataset not in sizes.index:
            raise InputError(f"{name}: no data set {dataset!r}; expected one of {', '.join(sizes.index)}.")
        if sizes.loc[dataset].min() < min_per_class:
            found = ", ".join(f"{n} {k}" for k, n in sizes.loc[dataset].items())
            raise InputError(
                f"{name}: data set {dataset!r} has {found} among its samples; expected at least {min_per_class} of"
                f" each, because where one class is missing or rare the data set gives {label} away."
            )
    kept = asked or list(sizes.index[sizes.min(axis=1) >= min_per_class])
    if not kept or sizes.shape[1] < 2:
        raise InputError(
            f"{name}: no data set has at least {min_per_class} samples of every {label}; expected at least one."
        )
    chosen = adata.obs["dataset_id"].astype(str).isin(kept) & adata.obs[label].notna()
    return samples_of(adata, chosen.to_numpy())


def with_label(adata: ad.AnnData, label: str) -> ad.AnnData:
    """Give an atlas the column that is asked for, where it is made from another: ``age_2``, ``age_3``, ``age_4``.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs`` that is wanted.

    Returns
    -------
    AnnData
        The same atlas, or a copy with the age intervals (`add_age_intervals`) where `label` is one of them.

    Raises
    ------
    InputError
        As in `add_age_intervals`.
    """
    return add_age_intervals(adata) if label in MADE_FROM and label not in adata.obs else adata


def add_age_intervals(adata: ad.AnnData, column: str = "age_years") -> ad.AnnData:
    """Add the paper's 2, 3 and 4 age intervals as labels.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    column : str, default "age_years"
        Age in years.

    Returns
    -------
    AnnData
        A copy with ``obs`` columns ``age_2``, ``age_3``, ``age_4``. ``"30-60"`` means above 30 and up to 60 years (the
        first interval holds its lower end, too); sorted as text they are in order.

    Raises
    ------
    InputError
        When the column is missing or holds text or an age outside 0 to 110 years.

    References
    ----------
    Fiosina, Fiosins, Bonn 2020, Table 3.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    if column not in adata.obs:
        raise InputError(f"{name}: the field obs[{column!r}] is missing; expected ages in years.")
    years = pd.to_numeric(adata.obs[column], errors="coerce").astype(float)
    text = adata.obs[column].notna() & years.isna()
    if text.any():
        raise InputError(f"{name}: obs[{column!r}] holds {adata.obs[column][text].iloc[0]!r}; expected ages in years.")
    wrong = years.notna() & ~years.between(0, OLDEST)
    if wrong.any():
        raise InputError(
            f"{name}: obs[{column!r}] is {years[wrong].iloc[0]:g} for sample {wrong.idxmax()!r};"
            f" expected 0 to {OLDEST} years."
        )
    out = adata.copy()
    for n, cuts in AGE_CUTS.items():
        edges = [0, *cuts, OLDEST]
        names = [f"{low}-{high}" for low, high in itertools.pairwise(edges)]
        out.obs[f"age_{n}"] = pd.cut(years, edges, labels=names, include_lowest=True).astype(object)
    return out


def _indicators(task: Task, adata: ad.AnnData, columns: Iterable[str]) -> pd.DataFrame:
    columns = tuple(columns)
    obs = adata.obs.loc[task.X.index]
    names = [c for c in columns if c in obs and obs[c].notna().any()]
    if not names:
        raise InputError(f"the atlas has none of the columns {', '.join(columns)}; expected at least one in obs.")
    text = obs[names].astype(object).where(obs[names].notna())
    return pd.get_dummies(text, prefix=[CONTEXT + n for n in names], prefix_sep="=", dtype=float)


KEYS = ("donor_id", "tumour_normal")


def matched_samples(counts: ad.AnnData, normalised: ad.AnnData) -> pd.DataFrame:
    """Pair the samples of two collections by patient and by tumour or normal tissue.

    Parameters
    ----------
    counts, normalised : AnnData
        Both with ``obs`` columns ``donor_id`` and ``tumour_normal``.

    Returns
    -------
    DataFrame, one row per pair
        ``counts`` and ``normalised``: sample names. Of several aliquots of one tumour the first is taken; a sample
        of an unknown patient has no partner.

    Raises
    ------
    InputError
        A column is missing, or no sample matches.
    """
    tables = []
    for adata, column in ((counts, "counts"), (normalised, "normalised")):
        missing = [k for k in KEYS if k not in adata.obs]
        if missing:
            raise InputError(
                f"{_name(adata)}: the field obs[{missing[0]!r}] is missing; expected it to match samples by."
            )
        known = adata.obs[list(KEYS)].notna().all(axis=1)
        table = adata.obs.loc[known, list(KEYS)].astype(str)
        table[column] = adata.obs_names[known]
        tables.append(table.drop_duplicates(list(KEYS)))
    pairs = tables[0].merge(tables[1], on=list(KEYS))
    if pairs.empty:
        raise InputError(
            f"{_name(counts)} and {_name(normalised)} share no patient and tissue type; expected some of both."
        )
    return pairs[["counts", "normalised"]]


def joined_tasks(
    counts: ad.AnnData, normalised: ad.AnnData, label: str, *, names: tuple[str, str] = ("miRNA", "tRNA fragments")
) -> dict[str, Task]:
    """The same samples seen through each of two feature sets, and through both.

    Parameters
    ----------
    counts : AnnData
        Raw counts; its labels are used.
    normalised : AnnData
        Log-scale values (``uns["srna"]["quantity"] == "normalised"``).
    label : str
        Column of ``obs`` of `counts` to predict.
    names : tuple of str, default ("miRNA", "tRNA fragments")
        What the two feature sets are called.

    Returns
    -------
    dict
        Name, second name and ``"both"`` -> Task on the same samples. Columns of the second set are named
        ``normalised:<feature>``: recipes made with ``joined=True`` leave them as they are.

    Raises
    ------
    InputError
        As from `matched_samples`; the label is missing; or `normalised` holds counts.
    """
    for adata, expected in ((counts, "counts"), (normalised, "normalised")):
        found = adata.uns.get("srna", {}).get("quantity", "counts")
        if found != expected:
            raise InputError(f"{_name(adata)}: uns['srna']['quantity'] is {found!r}; expected {expected!r}.")
    pairs = matched_samples(counts, normalised)
    if label not in counts.obs:
        raise InputError(f"{_name(counts)}: the field obs[{label!r}] is missing; expected a column of labels.")
    known = counts.obs[label].loc[pairs["counts"]].notna().to_numpy()
    chosen = counts[pairs["counts"][known].to_numpy()]
    first = counts_frame(chosen)
    other = normalised[pairs["normalised"][known].to_numpy()]
    values = other.X.toarray() if hasattr(other.X, "toarray") else other.X
    second = pd.DataFrame(values, index=first.index, columns=NORMALISED + other.var_names)
    target = chosen.obs[label]
    base = Task(
        name=label,
        X=first,
        y=target.astype(float) if pd.api.types.is_numeric_dtype(target) else target.astype(str),
        groups=chosen.obs["dataset_id"].astype(str),
        dropped={"label unknown": int((~known).sum())},
        features=names[0],
        donors=donors(chosen),
    )
    return {
        names[0]: base,
        names[1]: replace(base, X=second, features=names[1]),
        "both": replace(base, X=pd.concat([first, second], axis=1), features="both"),
    }


def _name(adata: ad.AnnData) -> str:
    return adata.uns.get("srna", {}).get("name", "atlas")


ENOUGH_STUDIES = 5


@dataclass(frozen=True)
class Design:
    """How a label of people is predicted in one atlas.

    Attributes
    ----------
    scheme : str
        The honest one of `validate.SCHEMES`: by study where there are many, by patient where studies are few or large.
    unit : str
        What is drawn again for intervals (`resampling.UNITS`): what new samples would come from.
    context : tuple of str
        What tissue-conditioned recipes read (`experiment.run_models`).
    within : tuple of str
        Columns within which labels are shuffled for the null (`contexts.permute`).
    min_per_class : int
        Samples of every class that a data set needs to take part.
    where : dict
        Column of ``obs`` -> value that a sample must have.
    joined : str
        Data set with further features of the same samples; empty for none.
    external : str
        Data set that models are carried to; empty for none.
    alike : tuple of str
        Data sets of the tissue of `external`.
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


_TCGA = Design(
    scheme="patient_kfold",
    unit="donor_id",
    context=("dataset_id", "tumour_normal"),
    within=("dataset_id", "tumour_normal"),
    min_per_class=60,
    where={"age_source": "days_to_birth"},  # of the other samples age, and often sex, was filled in from elsewhere
    joined="tcga_trf",
    external="lgrc",
    alike=("LUAD", "LUSC"),
)
DESIGNS = {"tcga": _TCGA}


def design(adata: ad.AnnData, label: str) -> Design:
    """Choose the design for an atlas.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs`` to predict.

    Returns
    -------
    Design
        That of `DESIGNS` for a known name. Else folds by study where at least five studies have three samples of
        every class, and by patient where they have not.

    Raises
    ------
    InputError
        No such column, or an atlas of normalised values, from which these recipes cannot start.
    """
    info = adata.uns.get("srna", {})
    name = info.get("name", "atlas")
    if label not in adata.obs:
        raise InputError(f"{name}: the field obs[{label!r}] is missing; expected a column of labels.")
    if info.get("quantity", "counts") != "counts":
        partner = next((k for k, d in DESIGNS.items() if d.joined == name), "")
        hint = f" (dataset {partner!r} joins it to its counts)" if partner else ""
        raise InputError(f"{name}: it holds {info['quantity']} values; expected raw counts{hint}.")
    if name in DESIGNS:
        return DESIGNS[name]
    tissue = next((c for c in ("tissue_group", "tissue") if c in adata.obs and adata.obs[c].nunique() > 1), "")
    known = adata.obs[adata.obs[label].notna()]
    sizes = pd.crosstab(known["dataset_id"].astype(str), known[label].astype(str))
    if (sizes.min(axis=1) >= 3).sum() >= ENOUGH_STUDIES:
        return Design("grouped_kfold", "dataset_id", (tissue or "dataset_id",))
    back = next((k for k, d in DESIGNS.items() if d.external == name), "")
    return Design("patient_kfold", "donor_id", ("dataset_id", tissue) if tissue else ("dataset_id",), external=back)


def cohort_table(adata: ad.AnnData, label: str, *, min_per_class: int) -> pd.DataFrame:
    """Count samples by data set and class, and say which data sets can be used.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs``.
    min_per_class : int
        As in `contexts.with_every_class`.

    Returns
    -------
    DataFrame, one row per data set with a known label
        ``data set``, samples of each class, ``share`` (of the commonest class) and ``use``: ``used``,
        ``refused: only <class>`` or ``refused: fewer than <n> of a class``; usable ones first, large ones first.
    """
    known = adata.obs[adata.obs[label].notna()]
    sizes = pd.crosstab(known["dataset_id"].astype(str), known[label].astype(str))
    use = []
    for counts in sizes.to_dict("records"):
        here = [name for name, n in counts.items() if n]
        if min(counts.values()) >= min_per_class:
            use.append("used")
        else:
            few = f"fewer than {min_per_class} of a class"
            use.append(f"refused: {f'only {here[0]}' if len(here) == 1 else few}")
    table = sizes.assign(share=sizes.max(axis=1) / sizes.sum(axis=1), use=use, total=sizes.sum(axis=1))
    table["last"] = table["use"] != "used"
    table = table.sort_values(["last", "total"], ascending=[True, False], kind="stable").drop(columns=["last", "total"])
    return table.rename_axis(index="data set", columns=None).reset_index()


def choose_cohorts(
    adata: ad.AnnData, label: str, *, min_per_class: int | None = None, where: Mapping[str, str] | None = None
) -> ad.AnnData:
    """Keep the samples that a question can be asked of: a known label, in data sets that have every class.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs``.
    min_per_class : int, optional
        As in `contexts.with_every_class`; default from the `design`.
    where : mapping, optional
        Column of ``obs`` -> value that a sample must have; default from the `design`.

    Returns
    -------
    AnnData, shape (n_kept, n_srnas)

    Raises
    ------
    InputError
        Unknown column, or nothing left.
    """
    plan = design(adata, label)
    chosen = select(adata, plan.where if where is None else where)
    return with_every_class(chosen, label, min_per_class=min_per_class or plan.min_per_class)


def select(adata: ad.AnnData, where: Mapping[str, str]) -> ad.AnnData:
    """Keep the samples with the given values.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    where : mapping
        Column of ``obs`` -> value that a sample must have.

    Returns
    -------
    AnnData, shape (n_kept, n_srnas)

    Raises
    ------
    InputError
        Unknown column, or no sample has these values.
    """
    name = adata.uns.get("srna", {}).get("name", "atlas")
    chosen = np.ones(adata.n_obs, dtype=bool)
    for column, value in where.items():
        if column not in adata.obs:
            raise InputError(f"{name}: the field obs[{column!r}] is missing; expected it to choose samples by.")
        chosen &= (adata.obs[column].astype(str) == value).to_numpy()
    if not chosen.any():
        raise InputError(f"{name}: no sample has {', '.join(f'{k} = {v!r}' for k, v in where.items())}.")
    return samples_of(adata, chosen)


def feature_tasks(adata: ad.AnnData, label: str, partner: ad.AnnData | None = None) -> dict[str, Task]:
    """Make the paper's three tasks: one kind of feature, another kind, and both, on the same samples.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_srnas)
        The atlas.
    label : str
        Column of ``obs``.
    partner : AnnData, optional
        Further features of the same samples (`joint.joined_tasks`).

    Returns
    -------
    dict
        Feature set -> Task, ``"both"`` last; of an atlas without contaminants and without partner only ``"sRNA"``.
    """
    if partner is not None:
        return joined_tasks(adata, partner, label)
    foreign = "biotype" in adata.var and (adata.var["biotype"] == "contaminant").any()
    return {f: make_task(adata, label, features=f) for f in (("sRNA", "contaminant", "both") if foreign else ("sRNA",))}


def without_absent(adata: ad.AnnData, *, max_zero_share: float = 0.98) -> ad.AnnData:
    """Drop features that hardly any sample has, to save memory and time.

    Parameters
    ----------
    adata : AnnData, shape (n_samples, n_features)
        Any atlas.
    max_zero_share : float, default 0.98
        A feature stays when at most this share of all samples lacks it. At .98 a training set of a third of the
        samples or more lacks a dropped one in over 90 %, so the zero filter of every recipe would have dropped it:
        predictions do not change.

    Returns
    -------
    AnnData, shape (n_samples, n_kept)

    Raises
    ------
    InputError
        When nothing would stay.
    """
    present = np.asarray((adata.X != 0).sum(axis=0)).ravel()
    kept = adata.n_obs - present <= max_zero_share * adata.n_obs + 1e-9
    if not kept.any():
        name = adata.uns.get("srna", {}).get("name", "atlas")
        raise InputError(f"{name}: no feature is present in {1 - max_zero_share:.0%} of the samples; expected some.")
    return adata[:, kept].copy()


def refusal(adata: ad.AnnData, label: str, *, min_per_class: int) -> str:
    """Sentence with which a data set of one class is refused.

    Parameters
    ----------
    adata, label, min_per_class
        As in `cohort_table`.

    Returns
    -------
    str
        Of the largest data set with a single class, else of the largest that is refused; empty where all are used.
    """
    table = cohort_table(adata, label, min_per_class=min_per_class)
    refused = table[table["use"] != "used"]
    if refused.empty:
        return ""
    single = refused[refused["use"].str.startswith("refused: only")]
    name = (single if len(single) else refused)["data set"].iloc[0]
    try:
        with_every_class(adata, label, min_per_class=min_per_class, datasets=[name])
    except InputError as error:
        return str(error)
    raise AssertionError(f"data set {name!r} was taken, although the table refuses it")
