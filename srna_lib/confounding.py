"""How much of a prediction is the sRNAs' own: null models, models without a single sRNA, and the gain over those."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib import ranking_metrics, regression_metrics
from srna_lib.contexts import permute
from srna_lib.experiment import Profile, run_models
from srna_lib.labels import Task
from srna_lib.out_of_fold import same_rows
from srna_lib.resampling import bootstrap, interval, make_record

PREDICTABLE, NOT_PREDICTABLE = "predictable", "not predictable here"


def run_null(
    task: Task,
    adata: ad.AnnData,
    model: str,
    scheme: str,
    *,
    n_permutations: int,
    profile: Profile,
    within: Iterable[str] = ("dataset_id", "tissue"),
    context: tuple[str, ...] = ("dataset_id", "tumour_normal"),
    seed: int = 0,
    n_jobs: int = 1,
    cache: Path | str | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Predict shuffled labels, the whole experiment again for each shuffle.

    Parameters
    ----------
    task : Task
        Samples and true labels.
    adata : AnnData
        The atlas that the task was made from.
    model : str
        Recipe; a fast one will do, leakage shows in any.
    scheme : str
        One of `validate.SCHEMES`.
    n_permutations : int
        Shuffles; the mean of several is steadier than one.
    profile, context, n_jobs, cache, progress
        As in `experiment.run_models`.
    within : iterable of str
        As in `contexts.permute`.
    seed : int, default 0
        Seed of the first shuffle; the next ones follow.

    Returns
    -------
    DataFrame
        Out-of-fold tables one below the other; ``model`` is ``<model>, labels shuffled``, ``permutation`` counts.
    """
    columns = tuple(within)
    tables = []
    for number in range(n_permutations):
        shuffled = permute(task, adata, within=columns, seed=seed + number)
        table = run_models(
            shuffled,
            [model],
            scheme,
            profile=profile,
            seed=seed,
            n_jobs=n_jobs,
            cache=cache,
            progress=progress,
            adata=adata,
            context=context,
        )
        tables.append(table.assign(model=f"{model}, labels shuffled", permutation=number))
    return pd.concat(tables, ignore_index=True)


def null_figures(null: pd.DataFrame, metrics: Iterable[str] = ("auc", "auc_within")) -> pd.DataFrame:
    """Figure of every shuffle.

    Parameters
    ----------
    null : DataFrame
        From `run_null`.
    metrics : iterable of str, default ("auc", "auc_within")
        Figures of `ranking_metrics` (or of `regression_metrics` where a quantity is predicted).

    Returns
    -------
    DataFrame, one row per shuffle and figure
        ``task, model, permutation, metric, value``.
    """
    rows = []
    for number, part in null.groupby("permutation", sort=True):
        values, _ = _drawn(part, "dataset_id", 0, 0)
        head = {"task": part["task"].iloc[0], "model": part["model"].iloc[0], "permutation": number}
        rows += [head | {"metric": m, "value": values[m]} for m in metrics]
    return pd.DataFrame(rows)


def gain_over_metadata(
    predictions: pd.DataFrame,
    metadata: pd.DataFrame,
    *,
    dataset: str,
    metrics: Iterable[str] = ("auc", "auc_within"),
    unit: str = "dataset_id",
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """What a model knows beyond study, tissue, platform and depth, and whether that is more than nothing.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold table of one model that reads sRNAs.
    metadata : DataFrame
        Out-of-fold table of recipe ``metadata`` on the same samples.
    dataset : str
        Data set name, for the records.
    metrics : iterable of str, default ("auc", "auc_within")
        Figures that are better when higher. The first decides.
    unit : str, default "dataset_id"
        What is drawn again: studies, or ``"donor_id"`` where the model is meant for the same studies.
    seed, n_boot, level
        As in `metrics.score`.

    Returns
    -------
    table : DataFrame, one row per figure
        ``task, model, metric, with_srnas, metadata, gain, ci_low, ci_high, n_samples, n_datasets, unit, verdict``;
        verdict is `PREDICTABLE` when the interval of the gain lies above zero, else `NOT_PREDICTABLE`.
    records : list of dict
        The gains as records, metrics ``gain_over_metadata:<figure>``.
    """
    first, second = same_rows(predictions, metadata)
    names = list(metrics)
    point, draws_first = _drawn(first, unit, n_boot, seed)
    base, draws_second = _drawn(second, unit, n_boot, seed)
    rows, records = [], []
    for name in names:
        gain, draws = point[name] - base[name], draws_first[name] - draws_second[name]
        low, high = interval(draws, level)
        rows.append(
            {
                "task": first["task"].iloc[0],
                "model": first["model"].iloc[0],
                "metric": name,
                "with_srnas": point[name],
                "metadata": base[name],
                "gain": gain,
                "ci_low": low,
                "ci_high": high,
                "n_samples": first["sample_id"].nunique(),
                "n_datasets": first["dataset_id"].nunique(),
                "unit": unit,
                "verdict": PREDICTABLE if low is not None and low > 0 else NOT_PREDICTABLE,
            }
        )
        records.append(
            make_record(first, f"gain_over_metadata:{name}", gain, draws, dataset=dataset, seed=seed, level=level)
        )
    return pd.DataFrame(rows), records


def sentence(row: pd.Series) -> str:
    """Say a row of `gain_over_metadata` in words.

    Parameters
    ----------
    row : Series
        One row of the table.

    Returns
    -------
    str
        Markdown.
    """
    drawn = "patients" if row["unit"] == "donor_id" else "studies"
    text = (
        f"**{row['task']}: {row['verdict']}.** `{row['model']}` reaches {row['metric']} {row['with_srnas']:.3f},"
        f" the model without a single sRNA {row['metadata']:.3f}: a gain of {row['gain']:+.3f}"
    )
    if row["ci_low"] is None or np.isnan(row["ci_low"]):
        return f"{text} (no interval: too few {drawn})."
    what = "above zero" if row["verdict"] == PREDICTABLE else "which does not lie above zero"
    return f"{text} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}] over {drawn}, {what}."


def _drawn(table: pd.DataFrame, unit: str, n_boot: int, seed: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Every figure of a table, as it is and in each replicate."""
    module: Any = regression_metrics if table["y_true"].dtype.kind == "f" else ranking_metrics
    return bootstrap(module.prepare(table, unit=unit), table, unit=unit, n_boot=n_boot, seed=seed)
