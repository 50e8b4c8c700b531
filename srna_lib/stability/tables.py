"""Steps to flip, summarised by classes and orders, with intervals over studies, and written as records.

A flip that never came is *censored*: it takes part in the share of censored paths and in medians (where it counts as
longer than any other), never in means. Samples predicted wrongly from the start are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from srna_lib.errors import InputError, one_of
from srna_lib.evaluate import study_interval, study_weights, weighted_mean, weighted_median

KINDS = ("similarity", "stability")  # steps until the prediction is the other class, or anything but the own class


def class_table(
    flips: pd.DataFrame, kind: str = "similarity", *, shortest: bool = False, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Steps from each class to each other class (the paper's Table 5, with what a mean hides).

    Parameters
    ----------
    flips : DataFrame
        From `cross_flips`.
    kind : str, default "similarity"
        Steps until the prediction is the other class, or ``"stability"``: until it is anything but the own class, along
        the path towards the other one.
    shortest : bool, default False
        One row per class, along each sample's shortest path, rather than one per class and other class.
    n_boot, seed : int
        Replicates and seed of the bootstrap over studies, for 95 % intervals.

    Returns
    -------
    DataFrame, one row per task, order, own and other class
        ``task, order, own, other, n_samples, n_datasets``; ``mean`` (of the flips that came), ``median`` (of all paths,
        missing where most never flip) and ``censored`` (share without a flip), each with ``_low`` and ``_high``;
        ``share`` (mean step as a share of the ``expressed`` sRNAs) and ``reads`` (mean share of reads masked), so that
        classes of different depth compare; ``never`` (share where every expressed sRNA was masked in vain).
    """
    correct = _correct(flips, kind) if len(flips) else flips
    keys = ["own"] if shortest else ["own", "other"]
    if shortest:
        steps = correct[kind].fillna(np.inf)
        correct = correct.loc[steps.groupby([correct[c] for c in ("task", "order", "fold", "sample_id")]).idxmin()]
    rows = []
    for names, run in correct.groupby(["task", "order"], sort=False):
        for classes, table in run.groupby(keys):
            steps, weights = table[kind].to_numpy(float), study_weights(table["dataset_id"], n_boot, seed)
            row: dict[str, Any] = dict(zip(["task", "order", *keys], [*names, *classes], strict=True))
            row |= sizes(table) | with_interval("mean", weighted_mean(steps, weights))
            row |= with_interval("median", weighted_median(steps, weights))
            row |= with_interval("censored", weighted_mean(np.isnan(steps).astype(float), weights))
            row |= {"expressed": table["n_active"].mean(), "share": table[f"{kind}_share"].mean()}
            row |= {"reads": table[f"{kind}_reads"].mean(), "never": (np.isnan(steps) & table["exhausted"]).mean()}
            rows.append(row)
    intervals = [f"{name}{end}" for name in ("mean", "median", "censored") for end in ("", "_low", "_high")]
    columns = ["task", "order", *keys, "n_samples", "n_datasets", *intervals, "expressed", "share", "reads", "never"]
    return pd.DataFrame(rows, columns=columns)


def class_order(table: pd.DataFrame, obs: pd.DataFrame, label: str) -> list[str]:
    """Order the classes of `class_table` by most frequent ``tissue_top``, else by soonest flips into each other."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    classes = sorted(set(table["own"]) | set(table["other"]))
    if "tissue_top" in obs and label != "tissue_top":
        known = obs[[label, "tissue_top"]].dropna().astype(str)
        parents = known.groupby(label)["tissue_top"].agg(lambda names: names.mode().iloc[0]).to_dict()
        if parents and len({parents.get(c, c) for c in classes}) < len(classes):
            return sorted(classes, key=lambda c: (parents.get(c, "~"), c))
    if len(classes) < 3:
        return classes
    way = table.assign(way=table["share"].fillna(1.0) * (1 - table["censored"]) + table["censored"])
    wide = way.pivot(index="own", columns="other", values="way").reindex(index=classes, columns=classes).fillna(1.0)
    distance = (wide.to_numpy() + wide.to_numpy().T) / 2
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance, checks=False)
    return [classes[i] for i in leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed))]


def order_table(flips: pd.DataFrame, kind: str = "stability", *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Compare orders on the same paths, those of samples that walked in all of them, ``"random"`` among them.

    Returns
    -------
    DataFrame, one row per order
        ``order, n_paths, mean`` (with ``_low, _high``; of flips that came), ``median, censored``; ``ratio`` (with
        interval): steps divided by those of the random order, summed over the paths that flip in both; ``paired``
        (number of these) and ``ratio_all``: the same over all paths, a missing flip counted as the steps that were
        looked at, which favours whoever fails more. ``ratio_simple`` (with interval) and ``simple``: the ratio to the
        best order without a network, and which that is. ``n_samples, n_datasets`` of `flips`.
    """
    correct = _correct(_in_all_orders(flips), kind).set_index(["sample_id", "fold", "other"]).sort_index()
    tables = {name: correct[correct["order"] == name] for name in dict.fromkeys(flips["order"])}
    walked = {name: t[kind].fillna(t["looked"]).sum() for name, t in tables.items()}
    simple = min((n for n in tables if n not in ("deeplift", "random")), key=walked.__getitem__, default="random")
    rows = []
    for name, table in tables.items():
        steps, weights = table[kind].to_numpy(float), study_weights(table["dataset_id"], n_boot, seed)
        row: dict[str, Any] = {"order": name, "n_paths": len(table)}
        row |= with_interval("mean", weighted_mean(steps, weights))
        row |= {"median": float(weighted_median(steps, weights[:1])[0]), "censored": np.isnan(steps).mean()}
        for column, base in (("ratio", "random"), ("ratio_simple", simple)):
            against = tables[base][kind].to_numpy(float)
            both = ~np.isnan(steps) & ~np.isnan(against)
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = (weights[:, both] @ steps[both]) / (weights[:, both] @ against[both])
            row |= {"paired": int(both.sum())} if column == "ratio" else {"simple": simple}
            row |= with_interval(column, ratio)
        rows.append(row | {"ratio_all": walked[name] / walked["random"]} | sizes(flips))
    return pd.DataFrame(rows)


def share_left(flips: pd.DataFrame) -> pd.DataFrame:
    """``order, step, share`` of paths not flipped after so many steps, of samples that walked in all orders."""
    correct = _correct(_in_all_orders(flips), "stability")
    steps = np.r_[0, np.unique(np.rint(np.geomspace(1, max(correct["looked"].max(), 1), 60)))]
    tables = []
    for name, table in correct.groupby("order", sort=False):
        flipped = np.searchsorted(np.sort(table["stability"].dropna().to_numpy(float)), steps, side="right")
        tables.append(pd.DataFrame({"order": name, "step": steps, "share": 1 - flipped / len(table)}))
    return pd.concat(tables, ignore_index=True)


def readable(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Each named column with its interval (``_low``, ``_high``) in one cell: ``5.2 [4.1, 6.0]``; other intervals go."""
    out = table.copy()
    for name in names:
        digits = 3 if table[name].abs().max() < 2 else 1
        triples = zip(table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True)
        out[name] = [f"{v:.{digits}f} [{a:.{digits}f}, {b:.{digits}f}]" if pd.notna(v) else "–" for v, a, b in triples]
    return out[[c for c in out.columns if not c.endswith(("_low", "_high"))]]


def beside_the_paper(table: pd.DataFrame) -> pd.DataFrame:
    """Mean steps of `class_table` below those of the paper for the same tasks: ``quantity, source, value``."""
    paper = pd.read_csv(str(resources.files("srna_lib").joinpath("resources/paper_steps.tsv")), sep="\t", comment="#")
    paper = paper[paper["task"].isin(table["task"])]
    both = pd.concat([paper.assign(source="paper"), table.assign(source="ours")])
    both["quantity"] = both["task"] + ": " + both["own"] + " to " + both["other"]
    return both.rename(columns={"mean": "value", "mean_low": "ci_low", "mean_high": "ci_high"})


RECORDS = {  # table -> column -> metric
    "similarity": {"mean": "similarity:{}", "median": "similarity_median:{}", "censored": "similarity_censored:{}"},
    "stability": {"mean": "stability:{}", "median": "stability_median:{}", "censored": "stability_censored:{}"},
    "orders": {"mean": "steps:{}", "ratio": "steps_of_random:{}", "ratio_simple": "steps_of_best_simple:{}"},
    "scores": {"auroc": "auroc_wrong:{}"},
    "changes": {"changed": "changed:{}"},
    "combination": {
        "base": "auroc_wrong:confidence",
        "both": "auroc_wrong:confidence and steps",
        "difference": "auroc_gain:steps",
    },
}


def flip_records(tables: Mapping[str, pd.DataFrame], *, task: str, **head: Any) -> list[dict[str, Any]]:
    """Result records of tables named as in `RECORDS`: `head`, metric, value with interval (None if missing), sizes.

    A table that names its tasks has records of these; others are about `task`.
    """
    records = []
    for name, table in tables.items():
        for row in table.to_dict("records"):
            about = f"{row['own']}>{row['other']}" if "own" in row else next(iter(row.values()))
            for column, metric in RECORDS[name].items():
                low, high = (row.get(f"{column}_{end}", row.get(f"ci_{end}", np.nan)) for end in ("low", "high"))
                values = {"value": row[column], "ci_low": low, "ci_high": high}
                record = {"task": row.get("task", task), **head, "metric": metric.format(about)}
                record |= {k: float(v) if np.isfinite(v) else None for k, v in values.items()}
                records.append(record | {k: int(row[k]) for k in ("n_samples", "n_datasets")})
    return records


def _correct(flips: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The rows of samples that were predicted correctly before anything was masked."""
    one_of("kind of steps", kind, KINDS)
    correct = flips[flips["y_true"] == flips["y_pred"]]
    if correct.empty:
        raise InputError(f"none of {flips['sample_id'].nunique()} samples is predicted correctly; expected some.")
    return correct


def _in_all_orders(flips: pd.DataFrame) -> pd.DataFrame:
    """The rows of samples that walked in every order of the table."""
    return flips[flips.groupby(["fold", "sample_id"])["order"].transform("nunique") == flips["order"].nunique()]


def with_interval(name: str, draws: np.ndarray, ends: str = "") -> dict[str, float]:
    """The value of a table (first of `draws`) and its percentile interval, named after `ends` or the value."""
    low, high = study_interval(draws[1:])
    return {name: float(draws[0]), f"{ends or name}_low": low, f"{ends or name}_high": high}


def sizes(table: pd.DataFrame) -> dict[str, int]:
    """Numbers of samples and studies in a table."""
    return {"n_samples": table["sample_id"].nunique(), "n_datasets": table["dataset_id"].nunique()}
