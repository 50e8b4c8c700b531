"""Write the tables and figures of README and docs from ``docs/results``: ``make_figures.py [--check | --tables]``.

``--check`` writes nothing and leaves with exit code 1 when a table differs from its source; ``--tables``
leaves the figures as they are (they need a Chrome, through kaleido).
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from srna_lib import plots, stability
from srna_lib.annotate import load_bundle, shipped
from srna_lib.report import leaderboard_tables

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
SCHEMES = {"random_5fold": "random folds", "grouped_kfold": "grouped by study", "one_dataset_out": "one dataset out"}
BOARD = SCHEMES | {"one_collection_out": "one collection out"}
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "accuracy_per_dataset": "mean over studies",
}

KNOWN, UNSEEN = "patient_kfold", "one_dataset_out"  # other patients of known cohorts, cohorts left out
_CALLS = {(KNOWN, "accuracy"): "accuracy", (KNOWN, "balanced_accuracy"): "balanced accuracy", (KNOWN, "auc"): "AUROC"}
PEOPLE: dict[str, tuple[str, dict[tuple[str, str], str]]] = {  # task -> notebook, (scheme, metric) -> column title
    "sex": ("03_sex", {
        (KNOWN, "auc"): "AUROC, pooled", (KNOWN, "auc_within"): "AUROC, mean within cohorts",
        (UNSEEN, "auc_within"): "the same, cohort never seen", (KNOWN, "auc_within, tumour samples"): "tumours",
        (KNOWN, "auc_within, normal samples"): "normal samples", (KNOWN, "accuracy"): "accuracy",
    }),
    "age_2": ("04_age", {**_CALLS, (UNSEEN, "auc"): "AUROC, cohort never seen"}),
    "age_4": ("04_age", _CALLS),
    "age_years": ("04_age", {
        (KNOWN, "mae"): "MAE, years", (KNOWN, "r2"): "R2", (KNOWN, "coverage:0.9"): "coverage of the 90 % interval",
    }),
}  # fmt: skip
PAGES = ("README.md", "docs/results.md", "docs/unseen_studies.md", "docs/leaderboards.md")
# the figure of studies sets the first of these that was run beside random folds
UNSEEN_FIRST = ("one_dataset_out", "grouped_kfold")


def read(dataset: str, notebook: str) -> list[dict[str, Any]]:
    """Committed records of a notebook."""
    return json.loads((RESULTS / dataset / f"{notebook}.json").read_text())


def tissue_table(dataset: str, scheme: str, label: str = "") -> str:
    """Markdown table of one scheme: a row per model, a column per metric, each with its interval."""
    named, task = "02_tissue" + (f"_{label}" if label else ""), label or "tissue_group"
    rows = [r for r in read(dataset, named) if r["task"] == task and r["scheme"] == scheme]
    cell = {
        (r["model"], r["metric"]): f"{r['value']:.3f} [{r['ci_low']:.3f}, {r['ci_high']:.3f}]"
        for r in rows
        if r["metric"] in METRICS
    }
    models = dict.fromkeys(m for m, metric in cell if metric == "accuracy")  # not those that were only calibrated
    first = next(r for r in rows if r["metric"] == "accuracy")
    lines = [
        f"{SCHEMES[scheme].capitalize()}: {first['n_samples']} samples of {first['n_datasets']} studies.",
        "",
        "| model | " + " | ".join(METRICS.values()) + " |",
        "|---" * (1 + len(METRICS)) + "|",
    ]
    lines += [f"| `{m}` | " + " | ".join(cell[m, k] for k in METRICS) + " |" for m in models]
    return "\n".join(lines)


def run_line(dataset: str) -> str:
    """How the committed figures were made."""
    run = json.loads((RESULTS / dataset / "run.json").read_text())
    seeds = sorted({n["seed"] for n in run["notebooks"].values()})
    packages = ", ".join(f"{k} {v}" for k, v in run["versions"].items())
    return f"`{'` and `'.join(run['commands'])}`, seed {', '.join(map(str, seeds))} ({packages})."


def label_table(dataset: str) -> str:
    """Markdown table of one recipe on the same samples and folds under two ways to name them."""
    rows = [r for r in read(dataset, "02_tissue") if r["task"].endswith("samples named both ways")]
    cell = {(r["task"], r["metric"]): f"{r['value']:.3f} [{r['ci_low']:.3f}, {r['ci_high']:.3f}]" for r in rows}
    first = rows[0]
    lines = [
        f"`{first['model']}`, one dataset out: {first['n_samples']} samples of {first['n_datasets']} studies.",
        "",
        "| label | " + " | ".join(METRICS.values()) + " |",
        "|---" * (1 + len(METRICS)) + "|",
    ]
    tasks = dict.fromkeys(r["task"] for r in rows)
    lines += [f"| `{t.partition(',')[0]}` | " + " | ".join(cell[t, k] for k in METRICS) + " |" for t in tasks]
    return "\n".join(lines)


def people_table(notebook: str, task: str, columns: dict[tuple[str, str], str]) -> str:
    """Markdown table of a label of people on TCGA: a row per recipe, a column per scheme and metric."""
    rows = [
        r
        for r in read("tcga", notebook)
        if r["task"] == task and r["features"] in ("sRNA", "metadata") and "+" not in r["model"]
    ]
    cell: dict[tuple[str, tuple[str, str]], dict[str, Any]] = {}
    for r in rows:
        if (r["scheme"], r["metric"]) in columns and r["value"] is not None:
            cell.setdefault((r["model"], (r["scheme"], r["metric"])), r)
    models = list(dict.fromkeys(m for m, (scheme, _) in cell if m != "dummy" and scheme == KNOWN))
    first = next(r for (_, (scheme, _)), r in cell.items() if scheme == KNOWN)
    over = "patients, of cohorts never seen over cohorts" if any(s == UNSEEN for s, _ in columns) else "patients"
    lines = [
        f"{first['n_samples']} samples of {first['n_datasets']} cohorts; 95 % intervals over {over}.",
        "",
        "| model | " + " | ".join(columns.values()) + " |",
        "|---" * (1 + len(columns)) + "|",
    ]
    for model in models:
        found = [cell.get((model, column)) for column in columns]
        lines.append(f"| `{model}` | " + " | ".join("" if r is None else interval(r) for r in found) + " |")
    return "\n".join(lines)


def marker_table() -> str:
    """Markdown table of the known markers of each class: their ranks under two references, and in how many networks."""
    records = [r for r in read("mirome", "05_explainability") if r["metric"].count(":")]
    value = {(r["model"], r["metric"]): r["value"] for r in records}
    ranks = [r["metric"].split(":")[1:] for r in records if r["model"] == "dl_log, training mean"]
    lines = [
        "| class | ranks of its markers, reference: training mean | reference: zero counts | networks of ten |",
        "|---|---|---|---|",
    ]
    for name in dict.fromkeys(c for c, _ in ranks):
        cells = [
            ", ".join(
                f"{mirna.removeprefix('hsa-')} {value[f'dl_log, {reference}', f'rank:{name}:{mirna}']:.0f}"
                for c, mirna in ranks
                if c == name
            )
            for reference in ("training mean", "zero counts")
        ]
        networks = value["dl_log", f"seeds with markers first:{name}"]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {networks:.0f} |")
    return "\n".join(lines)


def firmness_tables() -> tuple[str, str]:
    """Markdown tables of steps to flip by order of masking, and of scores that tell wrong predictions."""
    cell = {
        (r["scheme"], *r["metric"].split(":")): interval(r)
        for r in read("mirome", "06_stability")
        if r["metric"].count(":") == 1 and r["value"] is not None
    }
    orders = [
        "| order of masking | mean steps to flip | share of random's | share of the best simple order's |",
        "|---|---|---|---|",
    ]
    for name in [name for scheme, metric, name in cell if (scheme, metric) == ("random_5fold", "steps")]:
        shown = (cell["random_5fold", metric, name] for metric in ("steps", "steps_of_random", "steps_of_best_simple"))
        orders.append(f"| `{name}`: {stability.ORDERS[name]} | {' | '.join(shown)} |")
    scores = ["| score | random folds | one dataset out |", "|---|---|---|"]
    for name, words in {"p_max": "maximum probability", "entropy": "entropy", "steps": "steps to flip"}.items():
        seen, unseen = (cell[scheme, "auroc_wrong", name] for scheme in ("random_5fold", "one_dataset_out"))
        scores.append(f"| {words} | {seen} | {unseen} |")
    gain = cell["one_dataset_out", "auroc_gain", "steps"]
    scores.append(f"| what steps add to all confidence scores together | | {gain} |")
    return "\n".join(orders), "\n".join(scores)


def paper_steps_table() -> str:
    """Markdown table of mean steps from one class of people to the other, beside the paper's Table 5."""
    rows = [r for r in read("tcga", "06_stability_sex") if r["metric"].startswith("similarity:")]
    table = pd.DataFrame(rows).rename(columns={"value": "mean", "ci_low": "mean_low", "ci_high": "mean_high"})
    table = table[table["features"] == "both"]
    table[["own", "other"]] = table["metric"].str.partition(":")[2].str.split(">", expand=True).to_numpy()
    both = stability.beside_the_paper(table).set_index(["quantity", "source"])
    lines = ["| from, to | paper | `tcga` | samples |", "|---" * 4 + "|"]
    for name in both.xs("ours", level="source").index:
        paper, ours = both.loc[name, "paper"]["value"], both.loc[name, "ours"]
        value = f"{ours['value']:.1f} [{ours['ci_low']:.1f}, {ours['ci_high']:.1f}]"
        lines.append(f"| {name} | {paper:.1f} | {value} | {ours['n_samples']:.0f} |")
    return "\n".join(lines)


def bundle_table() -> str:
    """Markdown table of the shipped bundles: what they keep in studies never seen."""
    lines = [
        "| bundle | studies left out | predicted | correct of these | answers, studies alike | correct of these "
        "| every sample, correct | 90 % sets hold |",
        "|---" * 8 + "|",
    ]
    about = {name: load_bundle(name).about for name in shipped()}
    rows = {f"`{name}`": said["measured"] for name, said in about.items()}
    rows |= {f"`{name}`, `--batch`": said["batch"]["measured"] for name, said in about.items()}
    for name, kept in rows.items():
        alike = kept["spoilt"]["as they are"]
        values = [kept[k] for k in ("predicted_share", "accuracy_of_predicted")]
        values += [alike[k] for k in ("answered", "accuracy_of_answered")]
        values += [kept[k] for k in ("accuracy_of_all", "set_coverage_over_studies")]
        cells = " | ".join(f"{v:.1%}" for v in values)
        lines.append(f"| {name} | {kept['n_studies']} ({kept['n_samples']} samples) | {cells} |")
    return "\n".join(lines)


def companions_table() -> str:
    """Markdown table of the key figures of notebooks 09 to 12, wherever they were run in full."""
    lines = ["| notebook | data set | figure | value |", "|---" * 4 + "|"]
    for path in sorted(RESULTS.glob("*/[01][0-9]_*.card.json"), key=lambda p: p.name):
        if path.name >= "09":
            card = json.loads(path.read_text())
            rows = card["key_numbers"].items()
            lines += [f"| `{card['notebook']}` | `{card['dataset']}` | {name} | {value} |" for name, value in rows]
    return "\n".join(lines)


def leaderboard(dataset: str) -> str:
    """Markdown tables of a leaderboard, and how it was made."""
    run = json.loads((RESULTS / dataset / "leaderboard_run.json").read_text())
    packages = ", ".join(f"{k} {v}" for k, v in run["versions"].items() if k in ("python", "scikit-learn", "keras"))
    settings = f"{run['folds']} folds by study, classes of at least {run['min_class_size']} samples, seed {run['seed']}"
    made = f"Made by `srna benchmark --dataset {dataset}`: {settings} ({packages})."
    return leaderboard_tables(read(dataset, "leaderboard"), level=3) + f"\n\n{made}"


def leaderboard_summary(dataset: str) -> str:
    """Markdown tables, one a label: recipes by schemes, each cell the three metrics without their intervals."""
    records, parts = read(dataset, "leaderboard"), []
    for task in dict.fromkeys(r["task"] for r in records):
        rows = [r for r in records if r["task"] == task and ", " not in r["scheme"] and " minus " not in r["model"]]
        cell = {(r["model"], r["scheme"], r["metric"]): r["value"] for r in rows}
        schemes = [s for s in BOARD if any(r["scheme"] == s for r in rows)]
        models = dict.fromkeys(r["model"] for r in rows)
        lines = [f"| `{task}` | " + " | ".join(BOARD[s] for s in schemes) + " |", "|---" * (1 + len(schemes)) + "|"]
        for m in models:
            values = [[cell.get((m, s, metric)) for metric in METRICS] for s in schemes]
            cells = [" / ".join(f"{v:.3f}" for v in row) if None not in row else "" for row in values]
            lines.append(f"| `{m}` | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return f"`{dataset}`, accuracy / balanced accuracy / mean over studies:\n\n" + "\n\n".join(parts)


def each_study(dataset: str, task: str) -> pd.DataFrame:
    """Accuracy in each study by recipe, in random folds and never seen: recipes that have both, studies in both."""
    table = pd.read_csv(RESULTS / dataset / "leaderboard_studies.csv").query("task == @task").drop(columns="task")
    story = ["random_5fold", next(scheme for scheme in UNSEEN_FIRST if (table["scheme"] == scheme).any())]
    table = table[table["scheme"].isin(story)]
    table = table[table.groupby("dataset_id")["scheme"].transform("nunique") == len(story)]
    about = ["scheme", "dataset_id", "n_samples"]
    recipes = [c for c in table if c not in (*about, "dummy") and table[c].notna().all()]
    long = table.melt(about, recipes, "recipe", "accuracy")
    return long.sort_values(["recipe", "scheme"], key=lambda c: c.map([*recipes, *story].index), kind="stable")


def gap_line(dataset: str, task: str, recipe: str) -> str:
    """What is left of the gap, in a sentence."""
    own = each_study(dataset, task).query("recipe == @recipe")
    right = (own["accuracy"] * own["n_samples"]).groupby(own["scheme"], sort=False).sum()
    seen, unseen = right / own.groupby("scheme", sort=False)["n_samples"].sum()
    alone = own[own["scheme"] != "random_5fold"]
    wrong = ((1 - alone["accuracy"]) * alone["n_samples"]).sort_values()
    return (
        f"What is left: `{recipe}` is right about {seen:.1%} of the samples in random folds and about {unseen:.1%} in"
        f" studies never seen ({SCHEMES[alone['scheme'].iloc[0]]}); {(alone['accuracy'] == 0).sum()} of {len(alone)}"
        f" studies are wrong throughout, and the ten worst hold {wrong.tail(10).sum() / wrong.sum():.0%} of the errors."
    )


def interval(record: dict[str, Any]) -> str:
    """Value with its interval."""
    digits = 1 if record["metric"].startswith("steps:") else 3
    if record["ci_low"] is None:
        return f"{record['value']:.{digits}f}"
    return f"{record['value']:.{digits}f} [{record['ci_low']:.{digits}f}, {record['ci_high']:.{digits}f}]"


def blocks() -> dict[str, str]:
    """Every generated block of the pages by name."""
    made = {"run mirome": run_line("mirome"), "labels mirome": label_table("mirome"), "run tcga": run_line("tcga")}
    for task, (notebook, metrics) in PEOPLE.items():
        made[f"{task} tcga"] = people_table(notebook, task, metrics)
    made["markers mirome"], made["bundles"] = marker_table(), bundle_table()
    made["companions"], made["steps tcga"] = companions_table(), paper_steps_table()
    for path in sorted(RESULTS.glob("*/leaderboard.json")):
        made[f"leaderboard {path.parent.name}"] = leaderboard(path.parent.name)
        made[f"unseen {path.parent.name}"] = leaderboard_summary(path.parent.name)
    made["gap mirome"] = gap_line("mirome", "tissue_group", "robust")
    made["steps mirome"], made["wrong calls mirome"] = firmness_tables()
    for scheme in SCHEMES:
        made[f"tissue mirome {scheme}"] = tissue_table("mirome", scheme)
        made[f"tissue open_atlas {scheme}"] = tissue_table("open_atlas", scheme, "tissue_top")
    return made


def filled(pages: dict[Path, str]) -> dict[Path, str]:
    """The pages, with what stands between ``<!-- name -->`` and ``<!-- /name -->`` replaced by the generated block."""
    for name, block in blocks().items():
        pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
        if not any(pattern.search(text) for text in pages.values()):
            sys.exit(f"the place of the block {name!r} is missing; expected <!-- {name} --> in one of {PAGES}.")
        pages = {
            path: pattern.sub(lambda m, block=block: f"{m[1]}{block}\n{m[2]}", text)  # type: ignore[misc]
            for path, text in pages.items()
        }
    return pages


def figures() -> None:
    """Draw the metrics of all recipes, the studies one by one, and the ranks of known markers, as SVG."""
    plots.setup()
    records = [r for r in read("mirome", "02_tissue") if r["task"] == "tissue_group" and r["model"] != "dummy"]
    random = next(r for r in records if r["scheme"] == "random_5fold")
    about = plots.caption(random["n_samples"], random["n_datasets"], extra="95 % intervals: bootstrap over studies")
    title, labels = "Tissue group from small RNAs, cellular microRNAome", SCHEMES | METRICS
    figure = plots.metrics(records, metric=list(METRICS), title=title, caption=about, labels=labels)
    write(figure, "tissue_mirome.svg", height=460)
    studies = each_study("mirome", "tissue_group")
    studies = studies[~studies["recipe"].isin(["wccn", "lda_study"])]  # the parts of robust
    studies["folds"] = studies.pop("scheme").map(SCHEMES)
    studies["recipe"] += ", " + studies["folds"]
    n_samples = studies.drop_duplicates("dataset_id")["n_samples"].sum()
    about = plots.caption(n_samples, studies["dataset_id"].nunique(), extra="random folds are optimistic")
    title, rows = "Accuracy in each study: seen beside others, and never seen", studies["recipe"].nunique()
    words: dict[str, Any] = {"title": title, "caption": about, "labels": {"recipe": "recipe, folds"}}
    figure = plots.per_study(studies, "recipe", color="folds", **words)
    write(figure, "unseen_mirome.svg", height=120 + 60 * rows)
    ranks = pd.DataFrame(r for r in read("mirome", "05_explainability") if r["metric"].startswith("rank:"))
    ranks[["class", "srna"]] = ranks["metric"].str.split(":", expand=True)[[1, 2]]
    ranks["reference"] = ranks["model"].str.partition(", ")[2]
    n_samples, n_datasets = ranks.loc[0, ["n_samples", "n_datasets"]]
    about = plots.caption(n_samples, n_datasets, extra="cellular microRNAome, network dl_log")
    title = "Known markers by DeepLIFT (D1): the reference decides the story"
    figure = plots.marker_ranks(ranks.rename(columns={"value": "rank"}), title=title, caption=about)
    write(figure, "markers_mirome.svg", height=560)
    for path in sorted(RESULTS.glob("*/05_explainability_*.figure.json")):  # the paper's Figures 9 and 10
        label = path.name.removeprefix("05_explainability_").removesuffix(".figure.json")
        write(go.Figure(json.loads(path.read_text())), f"explained_{label}_{path.parent.name}.svg", height=640)


def write(figure: Any, name: str, *, height: int) -> None:
    """Write a figure below ``figures``."""
    target = ROOT / "figures" / name
    partial = target.with_suffix(".part.svg")
    try:
        figure.write_image(partial, width=1100, height=height)
    except Exception as error:  # kaleido wraps many kinds of failure of the browser
        sys.exit(f"figures need a Chrome or Chromium for kaleido ({type(error).__name__}); use --tables to skip them.")
    os.replace(partial, target)
    print(target.relative_to(ROOT))


def main(arguments: list[str]) -> None:
    """Write, or check, the generated parts."""
    before = {ROOT / page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
    after = filled(before)
    if "--check" in arguments:
        if stale := [path.name for path in after if after[path] != before[path]]:
            sys.exit(f"{', '.join(stale)}: differs from docs/results; run `make figures`.")
        return
    for path, text in after.items():
        path.write_text(text, encoding="utf-8")
    if "--tables" not in arguments:
        figures()


if __name__ == "__main__":
    main(sys.argv[1:])
