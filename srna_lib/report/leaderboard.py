"""The folder of `srna benchmark`: a leaderboard that the same command goes on with, and another adds rows to."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srna_lib.errors import InputError, one_of
from srna_lib.report.results import to_records, versions

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

    from srna_lib.data import Task
    from srna_lib.evaluate import Benchmark

MARK = "benchmark.json"  # settings, versions and the rows of a leaderboard
SCHEMES = {
    "random_5fold": "random folds (optimistic)",
    "grouped_kfold": "folds grouped by study",
    "one_dataset_out": "one dataset out",
    "one_collection_out": "one collection out",
}
COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "accuracy_per_dataset": "mean over studies",
}
MINUS = " minus "  # in the model of a record that is a difference


def run_benchmark(
    datasets: Sequence[str], labels: Sequence[str], recipes: Sequence[str], schemes: Sequence[str], out: Path, *,
    baselines: Sequence[str] = ("logistic",), n_splits: int = 10, min_class_size: int = 15, n_boot: int = 2000,
    n_jobs: int = 1, seed: int = 0, say: Callable[[str], None] = print,
) -> Path:  # fmt: skip
    """Fill a folder with the leaderboard of every label of every data set under every scheme."""
    # Rows of an earlier command with the same settings are kept: finished folds are found in the cache, and all tables
    # are written anew.
    from srna_lib import evaluate
    from srna_lib.data import atlas_name, eligible, make_task, with_label
    from srna_lib.datasets import load
    from srna_lib.io import write_file

    evaluate.check_recipes(recipes)
    for scheme in schemes:
        one_of("scheme", scheme, evaluate.BENCHMARK_SCHEMES)
    settings = {"seed": seed, "folds": n_splits, "min_class_size": min_class_size, "baselines": list(baselines)}
    plan: dict[tuple[str, str, str], list[str]] = {}
    for row in [*_earlier(out, settings), *itertools.product(datasets, labels, schemes, recipes)]:
        names = plan.setdefault((row[0], row[1], row[2]), [])
        names += [] if row[3] in names else [row[3]]
    for names in plan.values():
        if not set(baselines) & set(names):
            found = f"baselines {', '.join(baselines)}: none of them is among the recipes"
            raise InputError(f"{found}; expected one or several of {', '.join(names)}.")

    @cache
    def asked(name: str, label: str) -> tuple[ad.AnnData, Task]:
        known = eligible(with_label(load(name), label), label)
        return known, make_task(known, label, min_class_size=min_class_size)

    folds = {}  # refuses what cannot be split before anything is written
    for name, label, scheme in plan:
        known, task = asked(name, label)
        folds[name, label, scheme] = evaluate.benchmark_splits(task, known, scheme, n_splits=n_splits, seed=seed)
    simulated = any(bool(asked(*group[:2])[0].uns["srna"]["simulated"]) for group in plan)
    rows = [[*group, name] for group, names in plan.items() for name in names]
    told = {**settings, "simulated": simulated, "versions": versions(), "rows": rows}
    write_file(out / MARK, json.dumps(told, indent=1) + "\n")
    done = []
    for (name, label, scheme), splits in folds.items():
        (known, task), names = asked(name, label), plan[name, label, scheme]
        say(f"{name}, {label}, {scheme}: {len(splits)} folds, {len(task.y)} samples, {', '.join(names)}")
        about: dict[str, Any] = {"dataset": atlas_name(known), "scheme": scheme, "baselines": baselines}
        about |= {"atlas": known, "n_boot": n_boot, "n_jobs": n_jobs, "cache": out / "cache", "seed": seed}
        done.append(evaluate.benchmark(task, names, splits, **about))
        for file, content in _files(done).items():
            write_file(out / file, content)
    return out


def _earlier(out: Path, settings: dict[str, Any]) -> list[list[str]]:
    """Rows of the leaderboard that is in a folder; refuses a folder of something else, or of other settings."""
    if not out.exists():
        return []
    if not (out / MARK).is_file():
        wanted = "the name of a new folder, or of one that srna benchmark made"
        raise InputError(f"--out {out}: it exists and holds no {MARK}; expected {wanted}.")
    earlier = json.loads((out / MARK).read_text(encoding="utf-8"))
    for name, value in settings.items():
        if earlier.get(name) != value:
            found = f"--out {out}: its leaderboard was made with {name} {earlier.get(name)}"
            raise InputError(f"{found}; expected a new folder for {name} {value}.")
    return earlier.get("rows", [])


def _files(done: list[Benchmark]) -> dict[str, str | bytes]:
    """Everything that is known so far, by the name of its file."""
    import pandas as pd

    from srna_lib.evaluate import per_dataset

    records, studies, predictions = [], [], []
    for scores, gaps, table in done:
        about = {name: scores[name].iloc[0] for name in ("dataset", "task", "features", "seed")}
        pairs = gaps.rename(columns={"difference": "value", "pair": "model"})
        records += [*to_records(scores), *to_records(pairs.assign(**about, **{"study": None, "class": None}))]
        each = per_dataset(table).pivot(index=["scheme", "dataset_id", "n_samples"], columns="model", values="accuracy")
        each = each[list(dict.fromkeys(table["model"]))].round(4).reset_index()
        studies.append(pd.DataFrame({"dataset": about["dataset"], "task": about["task"]}, each.index).join(each))
        predictions.append(table.assign(dataset=about["dataset"]))
    return {
        "leaderboard.json": json.dumps(records, indent=1, allow_nan=False) + "\n",
        "leaderboard.csv": _wide(records).to_csv(float_format="%.4f"),
        "leaderboard.md": "# Leaderboard\n\n" + leaderboard_tables(records) + "\n",
        "studies.csv": pd.concat(studies).to_csv(index=False),
        "predictions.parquet": pd.concat(predictions, ignore_index=True).to_parquet(index=False),
    }


def _wide(records: list[dict[str, Any]]) -> pd.DataFrame:
    """A row per data set, task, scheme and model (or pair), with each metric and the ends of its interval."""
    import pandas as pd

    index = ["dataset", "task", "scheme", "model", "n_samples", "n_datasets"]
    values = ["value", "ci_low", "ci_high"]
    table = pd.DataFrame(records).astype(dict.fromkeys(values, float))
    table = table.pivot_table(index=index, columns="metric", values=values, aggfunc="first", sort=False)
    metrics = list(dict.fromkeys(metric for _, metric in table.columns))
    table = table.reindex(columns=[(value, metric) for metric in metrics for value in values])
    table.columns = pd.Index([m if v == "value" else f"{m}_{v}" for v, m in table.columns])
    return table.dropna(axis=1, how="all")


def leaderboard_tables(records: Sequence[dict[str, Any]], *, level: int = 2) -> str:
    """Markdown: of each data set, label and scheme a table of recipes, the best first, and one of paired differences.

    `level` is that of the headings.
    """
    parts = []
    for about in dict.fromkeys((r["dataset"], r["task"], r["scheme"]) for r in records):
        rows = [r for r in records if (r["dataset"], r["task"], r["scheme"]) == about]
        cell = {(r["model"], r["metric"]): r for r in rows}
        scheme, _, part = about[2].partition(", ")
        names = list(dict.fromkeys(r["model"] for r in rows))
        models = [m for m in names if MINUS not in m]
        models.sort(key=lambda m: -cell[m, "accuracy_per_dataset"]["value"])
        pairs = [m for m in names if MINUS in m]
        pairs = [m for m in pairs if "dummy" not in m.split(MINUS)] or pairs  # who is better than nothing is plain
        further = {"calibration_error": "calibration error", "fit_seconds": "CPU seconds a fold"}
        further = {metric: title for metric, title in further.items() if (models[0], metric) in cell}
        n_studies = rows[0]["n_datasets"]
        lines = [f"{'#' * level} `{about[0]}`, `{about[1]}`: {SCHEMES[scheme]}{part and f', {part}'}", ""]
        lines += [f"{rows[0]['n_samples']} samples of {n_studies} {'study' if n_studies == 1 else 'studies'}.", ""]
        shown = [[f"`{m}`", *(_cell(cell[m, c], c in COLUMNS) for c in COLUMNS | further)] for m in models]
        lines += _table(["recipe", *COLUMNS.values(), *further.values()], shown)
        chosen = [f"`{c.partition(':')[2]}` {r['value']:.0f}" for (_, c), r in cell.items() if c.startswith("chosen:")]
        lines += ["", f"Folds in which `selected` is a recipe: {', '.join(chosen)}."] if chosen else []
        shown = [[f"`{m.replace(MINUS, '` - `')}`", *(_cell(cell[m, c], sign="+") for c in COLUMNS)] for m in pairs]
        lines += ["", *_table(["paired difference", *COLUMNS.values()], shown)] if pairs else []
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table in Markdown."""
    first, *others = (f"| {' | '.join(cells)} |" for cells in [head, *rows])
    return [first, "|---" * len(head) + "|", *others]


def _cell(record: dict[str, Any], interval: bool = True, sign: str = "") -> str:
    """A value with its interval, as far as they are known."""
    if record["value"] is None:
        return ""
    digits = f"{sign}.{1 if record['metric'] == 'fit_seconds' else 3}f"
    ends = [record["ci_low"], record["ci_high"]]
    shown = f" [{', '.join(format(end, digits) for end in ends)}]" if interval and None not in ends else ""
    return format(record["value"], digits) + shown
