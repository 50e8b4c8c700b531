"""Keep the figures of a full run on real data, or a leaderboard: ``python scripts/keep_results.py reports/mirome``.

Copies the records and cards to ``docs/results/<dataset>`` (predictions stay behind: they are large, and the command
makes them again) and writes ``run.json`` with commands, seed, versions and the seconds of the last run beside them
(folds that an earlier run had finished cost it nothing). Other notebooks that were kept before stay. Of a folder of
``srna benchmark`` it copies the records and the accuracy of each study.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from srna_lib import evaluate
from srna_lib.report.leaderboard import MINUS

METRICS = ("accuracy", "accuracy_per_dataset")
ROOT = Path(__file__).resolve().parent.parent
USUAL = "tissue_group"  # the label of a notebook that was given none


def keep(report: Path, target: Path) -> list[Path]:
    """Copy records and cards of a finished full run below `target`, and say how they were made."""
    cards = {p: json.loads(p.read_text()) for p in sorted((report / "results").glob("*.card.json"))}
    if not cards:
        sys.exit(f"{report}: no results/*.card.json there; expected the folder of a finished run.")
    not_full = [c["notebook"] for c in cards.values() if c["parameters"]["profile"] != "full"]
    simulated = [c["notebook"] for c in cards.values() if c["simulated"]]
    if not_full or simulated:
        sys.exit(f"{report}: {', '.join(not_full + simulated)} is no full run on real data; nothing was kept.")
    (dataset,) = {c["dataset"] for c in cards.values()}
    folder = target / dataset
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((report / "run.json").read_text())
    notebooks = {}
    for path, card in cards.items():
        stem, label = card["notebook"], card["parameters"].get("label", USUAL)
        name = stem if label == USUAL else f"{stem}_{label}"  # a notebook may be kept by several labels
        kinds = [".card.json", ".json"] + [".figure.json"] * (label != USUAL)
        for kind in kinds:
            shutil.copyfile(path.with_name(stem + kind), folder / (name + kind))
        notebooks[name] = {"seed": card["parameters"]["seed"], "seconds": seconds_of(manifest, stem)}
        notebooks[name] |= {} if label == USUAL else {"label": label}
    versions = next(iter(cards.values()))["versions"]
    notebooks |= {stem: entry for stem, entry in earlier(folder, versions).items() if stem not in notebooks}
    run = {
        "commands": commands_of(dataset, dict(sorted(notebooks.items()))),
        "versions": versions,
        "notebooks": dict(sorted(notebooks.items())),
    }
    (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n")
    return sorted(folder.iterdir())


def keep_leaderboard(board: Path, target: Path) -> list[Path]:
    """Copy the rows of each data set of a leaderboard below `target`, with its settings and versions."""
    about = json.loads((board / "benchmark.json").read_text())
    if about["simulated"]:
        sys.exit(f"{board}: a leaderboard of simulated data; nothing was kept.")
    records, studies = json.loads((board / "leaderboard.json").read_text()), pd.read_csv(board / "studies.csv")
    for dataset, rows in studies.groupby("dataset"):
        folder, own = target / str(dataset), [r for r in records if r["dataset"] == dataset]
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "leaderboard.json").exists():
            own, rows = joined(own, rows, folder, about["baselines"], about["seed"])
        (folder / "leaderboard.json").write_text(json.dumps(own, indent=1) + "\n")
        rows.drop(columns="dataset", errors="ignore").dropna(axis=1, how="all").to_csv(
            folder / "leaderboard_studies.csv", index=False
        )
        settings = {name: value for name, value in about.items() if name not in ("rows", "simulated")}
        (folder / "leaderboard_run.json").write_text(json.dumps(settings, indent=1) + "\n")
    return sorted(target.glob("*/leaderboard*"))


def joined(
    records: list[dict], studies: pd.DataFrame, folder: Path, baselines: list[str], seed: int
) -> tuple[list[dict], pd.DataFrame]:
    """Rows of a leaderboard, and those that were kept before of recipes, labels and schemes that it did not run.

    Of the predictions before only the accuracy of each study is known: differences between what was run now and before
    are of accuracy, and their balanced accuracy is missing.
    """
    before = json.loads((folder / "leaderboard.json").read_text())
    ran = {(r["task"], r["scheme"], r["model"]) for r in records}
    labels = {(task, scheme) for task, scheme, _ in ran}
    kept = [r for r in before if not {(r["task"], r["scheme"], m) for m in r["model"].split(MINUS)} & ran]
    keys = ["task", "scheme", "dataset_id", "n_samples"]
    old = pd.read_csv(folder / "leaderboard_studies.csv").set_index(keys)
    new = studies.drop(columns="dataset").set_index(keys)
    both = new.combine_first(old)[list(dict.fromkeys([*old, *new]))].dropna(axis=1, how="all")
    for task, scheme in sorted(labels):
        if (task, scheme) not in both.index:
            continue  # a part of a scheme, whose studies are in its whole
        table = both.loc[(task, scheme)].dropna(axis=1, how="all").reset_index()
        models = [m for m in both if m in table]
        bases = [b for b in baselines if b in models]
        pairs = [(m, b) for i, b in enumerate(bases) for m in models if m not in bases[: i + 1]]
        mixed = [pair for pair in pairs if len({(task, scheme, m) in ran for m in pair}) == 2]
        if mixed:
            head = {k: v for k, v in records[0].items() if k in ("dataset", "features", "seed")}
            gaps = evaluate.compare(
                _right_and_wrong(table, models), mixed, metric=METRICS, correction="none", seed=seed
            )
            gaps = gaps.rename(columns={"difference": "value", "pair": "model"})
            gaps = gaps.assign(**head, task=task, scheme=scheme)
            made = json.loads(gaps[[k for k in records[0] if k in gaps]].to_json(orient="records", double_precision=15))
            for row in made:
                kept.append(row)
                if row["metric"] == "accuracy":
                    unknown = dict.fromkeys(("value", "ci_low", "ci_high"))
                    kept.append(row | {"metric": "balanced_accuracy"} | unknown)
    everything = [*records, *kept]
    order = {key: i for i, key in enumerate(dict.fromkeys((r["task"], r["scheme"]) for r in [*before, *everything]))}
    return sorted(everything, key=lambda r: order[r["task"], r["scheme"]]), both.reset_index()


def _right_and_wrong(table: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """Predictions of two classes, right as often in each study as the models were."""
    tables = []
    for model in models:
        n = table["n_samples"].to_numpy()
        number = np.concatenate([np.arange(size) for size in n])
        right = number < np.repeat(np.rint(table[model].to_numpy() * n), n)
        study = table["dataset_id"].repeat(n).to_numpy()
        made = pd.DataFrame(
            {"sample_id": [f"{s} {i}" for s, i in zip(study, number, strict=True)], "dataset_id": study}
        )
        tables.append(made.assign(model=model, y_true="right", y_pred=np.where(right, "right", "wrong")))
    out = pd.concat(tables, ignore_index=True).assign(task="", scheme="", features="", fold="0")
    return out.assign(
        p_right=(out["y_pred"] == "right").astype(float), p_wrong=(out["y_pred"] == "wrong").astype(float)
    )


def earlier(folder: Path, versions: dict[str, str]) -> dict[str, dict]:
    """Notebooks that were kept before, with the versions they ran with where those were others."""
    path = folder / "run.json"
    if not path.exists():
        return {}
    run = json.loads(path.read_text())
    beside = {} if run["versions"] == versions else {"versions": run["versions"]}
    return {stem: {**beside, **entry} for stem, entry in run["notebooks"].items()}


def commands_of(dataset: str, notebooks: dict[str, dict]) -> list[str]:
    """What makes the figures again: all notebooks from the first on, or the ones named, by label."""
    labels = list(dict.fromkeys(entry.get("label", USUAL) for entry in notebooks.values()))
    commands = []
    for label in labels:
        stems = [stem for stem, entry in notebooks.items() if entry.get("label", USUAL) == label]
        if stems[0].startswith("01") and len(stems) > 1:
            targets = "reports companions" if stems[-1] >= "09" else "reports"
            commands.append(f"make {targets} DATASET={dataset} PROFILE=full")
        else:
            given = "" if label == USUAL else f" -p label={label}"
            commands.append(f"srna run {' '.join(s[:2] for s in stems)} --dataset {dataset} --profile full{given}")
    return commands


def seconds_of(manifest: dict, stem: str) -> float | None:
    """Run time of a notebook in the runner's manifest."""
    entry = manifest.get(stem) or manifest.get("notebooks", {}).get(stem)
    return round(entry["seconds"], 1) if entry else None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/keep_results.py reports/NAME")
    made = Path(sys.argv[1])
    for kept in (keep_leaderboard if (made / "benchmark.json").exists() else keep)(made, ROOT / "docs" / "results"):
        print(kept.relative_to(ROOT))
