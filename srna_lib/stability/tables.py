"""Steps to flip, summarised: classes, orders, records, with intervals over studies.

A flip that never came is *censored*: it takes part in the share of censored paths and in medians (where it counts as
longer than any other), never in means.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from srna_lib.errors import InputError
from srna_lib.evaluate import study_interval, study_weights, weighted_mean, weighted_median


def matrix(table: pd.DataFrame, value: str = "mean", classes: list[str] | None = None) -> pd.DataFrame:
    """A table of pairs as own x other; the diagonal is missing."""
    wide = table.pivot(index="own", columns="other", values=value)
    order = sorted(set(table["own"]) | set(table["other"])) if classes is None else classes
    return wide.reindex(index=[c for c in order if c in wide.index], columns=order)


def class_order(table: pd.DataFrame, parents: dict[str, str] | None = None) -> list[str]:
    """Order classes for a matrix: by parent where a hierarchy is known, else by who flips into whom soonest.

    Parameters
    ----------
    table : DataFrame
        From `flip_tables.class_table`.
    parents : dict, optional
        Class -> parent; classes that it does not hold go last.

    Returns
    -------
    list of str
    """
    classes = sorted(set(table["own"]) | set(table["other"]))
    if parents and len({parents.get(c, c) for c in classes}) < len(classes):
        return sorted(classes, key=lambda c: (parents.get(c, "~"), c))
    if len(classes) < 3:
        return classes
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    wide = matrix(table.assign(way=table["share"].fillna(1.0) * (1 - table["censored"]) + table["censored"]), "way")
    way = wide.reindex(index=classes, columns=classes).fillna(1.0).to_numpy(copy=True)
    way = (way + way.T) / 2
    np.fill_diagonal(way, 0)
    condensed = squareform(way, checks=False)
    return [classes[i] for i in leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed))]


def parents_of(obs: pd.DataFrame, label: str, parent: str = "tissue_top") -> dict[str, str]:
    """Most frequent parent of each class, from the samples' own columns; empty where the atlas names none."""
    if parent not in obs or label == parent:
        return {}
    known = obs[[label, parent]].dropna().astype(str)
    return known.groupby(label)[parent].agg(lambda names: names.mode().iloc[0]).to_dict()


KINDS = {
    "similarity": "steps until the prediction is the other class",
    "stability": "steps until the prediction is anything but the own class",
}


def class_table(
    flips: pd.DataFrame, kind: str = "similarity", *, n_boot: int = 1000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Steps from each class to each other class (the paper's Table 5, with what a mean hides).

    Parameters
    ----------
    flips : DataFrame
        From `flip_folds.cross_flips`, of one order. Samples predicted wrongly from the start have zero steps and are
        left out here; `wrong_from_start` counts them.
    kind : str, default "similarity"
        One of `KINDS`. Stability depends on the other class too: it is counted along the path towards that class.
    n_boot, seed, level
        Replicates, seed and coverage of the bootstrap over studies.

    Returns
    -------
    DataFrame, one row per own and other class
        ``own, other, n_samples, n_datasets``; ``mean`` (of the flips that came), ``median`` (of all paths, missing
        where most never flip) and ``censored`` (share without a flip), each with ``_low`` and ``_high``; ``share``
        (mean step as a share of the sample's expressed sRNAs) and ``reads`` (mean share of its reads taken away), so
        that classes of different depth compare; ``never`` (share where every expressed sRNA was silenced in vain).

    Raises
    ------
    InputError
        Unknown kind, or more than one order in the table.
    """
    right = right_from_start(_one_order(flips, kind))
    rows = []
    for (own, other), part in right.groupby(["own", "other"], sort=True):
        steps = part[kind].to_numpy(float)
        weights = study_weights(part["dataset_id"], n_boot, seed)
        row: dict[str, Any] = {"own": own, "other": other}
        row |= {"n_samples": part["sample_id"].nunique(), "n_datasets": part["dataset_id"].nunique()}
        figures = {
            "mean": weighted_mean(steps, weights),
            "median": weighted_median(steps, weights),
            "censored": weighted_mean(np.isnan(steps).astype(float), weights),
        }
        for name, draws in figures.items():
            row[name] = float(draws[0])
            row[f"{name}_low"], row[f"{name}_high"] = study_interval(draws[1:], level)
        row |= {c: float(part[f"{kind}_{c}"].mean()) for c in ("share", "reads")}
        row["never"] = float((part[kind].isna() & part["exhausted"]).mean())
        rows.append(row)
    return pd.DataFrame(rows)


def per_class(
    flips: pd.DataFrame, kind: str = "stability", *, n_boot: int = 1000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Steps of each class along each sample's shortest path, raw and in shares.

    Parameters
    ----------
    flips, kind, n_boot, seed, level
        As in `class_table`.

    Returns
    -------
    DataFrame, one row per class
        ``own, n_samples, n_datasets, steps`` (mean of each sample's fewest steps) with ``steps_low, steps_high``,
        ``median`` of it, ``censored`` (share of samples of which no path flips), and means of ``expressed`` (sRNAs),
        ``share`` (of the expressed sRNAs) and ``reads`` (taken away).
    """
    right = right_from_start(_one_order(flips, kind))
    shortest = right.loc[right[kind].fillna(np.inf).groupby([right["fold"], right["sample_id"]]).idxmin()]
    rows = []
    for own, part in shortest.groupby("own", sort=True):
        steps = part[kind].to_numpy(float)
        weights = study_weights(part["dataset_id"], n_boot, seed)
        mean = weighted_mean(steps, weights)
        row: dict[str, Any] = {"own": own, "n_samples": len(part), "n_datasets": part["dataset_id"].nunique()}
        row |= {"steps": float(mean[0])}
        row["steps_low"], row["steps_high"] = study_interval(mean[1:], level)
        row |= {"median": float(weighted_median(steps, weights[:1])[0]), "censored": float(np.isnan(steps).mean())}
        row |= {"expressed": float(part["n_active"].mean())}
        rows.append(row | {c: float(part[f"{kind}_{c}"].mean()) for c in ("share", "reads")})
    return pd.DataFrame(rows)


def wrong_from_start(flips: pd.DataFrame) -> pd.DataFrame:
    """Samples per true class, and how many were predicted wrongly before anything was silenced (zero steps).

    Returns
    -------
    DataFrame, one row per class
        ``own`` (true class), ``n_samples``, ``wrong``, ``share``.
    """
    once = flips.drop_duplicates(["sample_id", "fold"])
    wrong = (once["y_true"] != once["y_pred"]).groupby(once["y_true"])
    table = pd.DataFrame({"n_samples": wrong.size(), "wrong": wrong.sum(), "share": wrong.mean()})
    return table.rename_axis("own").reset_index()


def right_from_start(flips: pd.DataFrame) -> pd.DataFrame:
    """The rows of samples that were predicted rightly before anything was silenced."""
    return flips[(flips["y_true"] == flips["y_pred"]) & (flips["own"] == flips["y_true"])]


def walked_in_all(flips: pd.DataFrame) -> pd.DataFrame:
    """The rows of samples that walked in every order of the table."""
    orders = flips.groupby(["fold", "sample_id"])["order"].transform("nunique")
    return flips[orders == flips["order"].nunique()]


def order_table(
    flips: pd.DataFrame,
    kind: str = "stability",
    *,
    against: str = "random",
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare orders on the same paths, those of samples that walked in all of them.

    Parameters
    ----------
    flips : DataFrame
        From `flip_folds.cross_flips`, with several orders.
    kind : str, default "stability"
        One of `KINDS`.
    against : str, default "random"
        The order that the others are compared with.
    n_boot, seed, level
        As in `class_table`.

    Returns
    -------
    DataFrame, one row per order
        ``order, n_paths, mean`` (with ``_low, _high``; of flips that came), ``median, censored``; ``ratio`` (with
        interval): steps divided by those of `against`, summed over the paths that flip in both; ``paired`` (number of
        these) and ``ratio_all``: the same over all paths, a missing flip counted as the steps that were looked at,
        which favours whoever fails more.
    """
    right = right_from_start(walked_in_all(flips))
    keys = ["sample_id", "fold", "other"]
    base = right[right["order"] == against].set_index(keys).sort_index()
    rows = []
    for name in dict.fromkeys(right["order"]):
        part = right[right["order"] == name].set_index(keys).sort_index()
        steps = part[kind].to_numpy(float)
        weights = study_weights(part["dataset_id"], n_boot, seed)
        mean = weighted_mean(steps, weights)
        row: dict[str, Any] = {"order": name, "n_paths": len(part), "mean": float(mean[0])}
        row["mean_low"], row["mean_high"] = study_interval(mean[1:], level)
        row["median"] = float(weighted_median(steps, weights[:1])[0])
        row["censored"] = float(np.isnan(steps).mean())
        if len(base):
            other = base[kind].to_numpy(float)
            both = ~np.isnan(steps) & ~np.isnan(other)
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = (weights[:, both] @ steps[both]) / (weights[:, both] @ other[both])
            row |= {"paired": int(both.sum()), "ratio": float(ratio[0])}
            row["ratio_low"], row["ratio_high"] = study_interval(ratio[1:], level)
            filled = [np.where(np.isnan(s), t["looked"], s).sum() for s, t in ((steps, part), (other, base))]
            row["ratio_all"] = float(filled[0] / filled[1])
        rows.append(row)
    return pd.DataFrame(rows)


def share_left(flips: pd.DataFrame, kind: str = "stability", by: str = "order", points: int = 60) -> pd.DataFrame:
    """Share of paths that have not flipped after so many steps (samples right from the start).

    Parameters
    ----------
    flips : DataFrame
        From `flip_folds.cross_flips`.
    kind : str, default "stability"
        One of `KINDS`.
    by : str, default "order"
        Column that makes curves.
    points : int, default 60
        Steps at which the share is given, evenly spaced on a logarithmic scale and rounded.

    Returns
    -------
    DataFrame
        `by`, ``step, share``. Never-flipping paths keep the curve above zero.
    """
    right = right_from_start(walked_in_all(flips) if by == "order" else flips)
    last = float(right["looked"].max())
    steps = np.unique(np.rint(np.geomspace(1, max(last, 1), points)))
    parts = []
    for name, part in right.groupby(by, sort=False):
        found = np.sort(part[kind].dropna().to_numpy(float))
        left = 1 - np.searchsorted(found, np.r_[0, steps], side="right") / len(part)
        parts.append(pd.DataFrame({by: name, "step": np.r_[0, steps], "share": left}))
    return pd.concat(parts, ignore_index=True)


def of_tasks(flips: Mapping[str, pd.DataFrame], kind: str = "similarity", **options: Any) -> pd.DataFrame:
    """Class tables of several tasks and orders, one below the other.

    Parameters
    ----------
    flips : mapping
        Name of the task -> table from `flip_folds.cross_flips`.
    kind, **options
        As in `class_table`.

    Returns
    -------
    DataFrame
        ``task, order`` and the columns of `class_table`; empty without tasks.
    """
    parts = [
        class_table(part, kind, **options).assign(task=task, order=order)
        for task, table in flips.items()
        for order, part in table.groupby("order", sort=False)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def readable(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Each named column with its interval (``_low``, ``_high``) in one cell: ``5.2 [4.1, 6.0]``; other intervals go."""
    out = table.copy()
    for name in names:
        digits = 3 if table[name].abs().max() < 2 else 1
        triples = zip(table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True)
        out[name] = [f"{v:.{digits}f} [{a:.{digits}f}, {b:.{digits}f}]" if pd.notna(v) else "–" for v, a, b in triples]
    return out[[c for c in out.columns if not c.endswith(("_low", "_high"))]]


def _one_order(flips: pd.DataFrame, kind: str) -> pd.DataFrame:
    if kind not in KINDS:
        raise InputError(f"unknown kind of steps {kind!r}: expected one of {', '.join(KINDS)}.")
    if "order" in flips and flips["order"].nunique() > 1:
        raise InputError(f"the table holds the orders {', '.join(flips['order'].unique())}; expected one of them.")
    return flips


def paper_steps(task: str) -> pd.DataFrame:
    """Mean steps from class to class that the reference paper reports (its Table 5).

    Parameters
    ----------
    task : str
        ``"sex"`` or ``"age_2"``; empty for anything else.

    Returns
    -------
    DataFrame
        ``task, own, other, mean``.
    """
    path = resources.files("srna_lib").joinpath("resources/paper_steps.tsv")
    table = pd.read_csv(str(path), sep="\t", comment="#")
    return table[table["task"] == task].reset_index(drop=True)


Records = list[dict[str, Any]]


def of_classes(tables: Mapping[str, pd.DataFrame], head: Mapping[str, Any], scheme: str) -> Records:
    """Records of class tables: ``similarity:A>B`` (mean steps), ``similarity_median:A>B``, ``similarity_censored:A>B``.

    Parameters
    ----------
    tables : mapping
        Kind of steps -> table from `flip_tables.class_table`.
    head : mapping
        ``task, dataset, model, features, seed``.
    scheme : str
        Validation scheme.

    Returns
    -------
    list of dict
        A figure that does not exist (no path flips) is None.
    """
    records = []
    for kind, table in tables.items():
        for row in table.to_dict("records"):
            for name, column in ((kind, "mean"), (f"{kind}_median", "median"), (f"{kind}_censored", "censored")):
                metric = f"{name}:{row['own']}>{row['other']}"
                bounds = row[f"{column}_low"], row[f"{column}_high"]
                records.append(_record(head, scheme, metric, row[column], *bounds, row["n_samples"], row["n_datasets"]))
    return records


def of_orders(table: pd.DataFrame, flips: pd.DataFrame, head: Mapping[str, Any], scheme: str) -> Records:
    """Records of `flip_tables.order_table`: ``steps:<order>`` and ``steps_of_random:<order>``."""
    n = flips["sample_id"].nunique(), flips["dataset_id"].nunique()
    records = []
    for row in table.to_dict("records"):
        name = row["order"]
        records.append(_record(head, scheme, f"steps:{name}", row["mean"], row["mean_low"], row["mean_high"], *n))
        if "ratio" in row:
            bounds = row["ratio_low"], row["ratio_high"]
            records.append(_record(head, scheme, f"steps_of_random:{name}", row["ratio"], *bounds, *n))
    return records


def of_scores(table: pd.DataFrame, head: Mapping[str, Any], scheme: str) -> Records:
    """Records of `firmness.auroc_table`: ``auroc_wrong:<score>``."""
    return _rows(table, head, scheme, "auroc_wrong", "score", "auroc")


def of_combination(found: Mapping[str, Any], table: pd.DataFrame, head: Mapping[str, Any], scheme: str) -> Records:
    """Records of `firmness.combination`: AUROC without and with steps, and the paired difference."""
    n = len(table), table["dataset_id"].nunique()
    difference = found["difference"], found["ci_low"], found["ci_high"]
    return [
        _record(head, scheme, "auroc_wrong:confidence", found["base"], np.nan, np.nan, *n),
        _record(head, scheme, "auroc_wrong:confidence and steps", found["both"], np.nan, np.nan, *n),
        _record(head, scheme, "auroc_gain:steps", *difference, *n),
    ]


def of_changes(table: pd.DataFrame, head: Mapping[str, Any], scheme: str) -> Records:
    """Records of `model_stability.change_table`: ``changed:<source>``."""
    return _rows(table, head, scheme, "changed", "source", "changed")


def _rows(table: pd.DataFrame, head: Mapping[str, Any], scheme: str, metric: str, name: str, value: str) -> Records:
    columns = [name, value, "ci_low", "ci_high", "n_samples", "n_datasets"]
    rows = table[columns].itertuples(index=False, name=None)
    return [_record(head, scheme, f"{metric}:{first}", *rest) for first, *rest in rows]


def _record(
    head: Mapping[str, Any], scheme: str, metric: str, value: float, low: float, high: float, n: int, studies: int
) -> dict[str, Any]:
    return {
        **head,
        "scheme": scheme,
        "metric": metric,
        "value": _number(value),
        "ci_low": _number(low),
        "ci_high": _number(high),
        "n_samples": int(n),
        "n_datasets": int(studies),
    }


def _number(value: float) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
