"""Pages of `srna annotate` and `srna audit`: what was said of samples, and why, for people who open no table.

Names of users reach the page through jinja2's escaping and, in figures, through that of `srna_lib.plots`; the page's
policy is that of every page here (`page.render`). The order of the samples does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.annotate import Audit, Bundle, kinds_of
from srna_lib.data import atlas_name, counts_frame, harmonise
from srna_lib.report.page import figure_json, render
from srna_lib.report.results import versions

CARDS = 500  # samples with a card, rows of a table
DRAWN = 2000  # new samples on the map
NAMED = 40  # sRNAs of the heatmap
BLOOD = ("hsa-miR-451a", "hsa-miR-16-5p", "hsa-miR-486-5p", "hsa-miR-23a-3p")  # of red cells, but for the last one
FEW, TOP = 100, 0.9  # detected sRNAs, and share of reads in ten of them, that a card warns of
FAILED = 0.5  # share of a study's samples that expression contradicts from which on the study as a whole is doubtful
UNDERSTOOD = 0.8  # share of reads below which a card warns


def annotated_page(annotated: ad.AnnData, bundles: Sequence[Bundle]) -> str:
    """Page of samples that `annotate` answered with these bundles."""
    annotated = annotated[np.argsort(annotated.obs_names.to_numpy(dtype=str), kind="stable")]
    table = annotated.uns["annotation"].sort_values("sample_id", kind="stable", ignore_index=True)
    table = pd.concat([_held_against(table, annotated.obs, b) for b in bundles], ignore_index=True)
    odd = 2 * (table["verdict"] == "contradicts") + (table["status"] == "abstained")
    odd = odd.groupby(table["sample_id"]).max().sort_values(ascending=False, kind="stable")
    shown = list(odd.index[:CARDS])
    cards, first = table[table["sample_id"].isin(shown)], bundles[0]
    figures, blood = [], pd.DataFrame(index=annotated.obs_names)
    if table.loc[table["task"] == first.label, "model_names_found"].iloc[0] > 0:
        mended = harmonise(annotated, first.about["features"])[0]
        figures, blood = [_map(table, annotated, first), _heatmap(mended, cards, first)], _blood(mended)
    drawn = [{"body": figure_json(json.loads(f.to_json())), "height": f.layout.height} for f in figures if f]
    return render(
        "annotated.html.j2",
        title=f"Annotation of {atlas_name(annotated)}",
        simulated=bool(annotated.uns["srna"]["simulated"]),
        has_figures=bool(drawn),
        figures=drawn,
        explained=bool((table["speaks_for"] != "").any()),
        flipped=bool(table["steps_to_flip"].notna().any()),
        n_samples=annotated.n_obs,
        n_odd=int((odd > 0).sum()),
        tasks=[_summary(table[table["task"] == b.label], b) for b in bundles],
        cards=list(_cards(cards, shown, annotated, blood)),
        bundles=[b.about for b in bundles],
        versions=_versions(),
    )


def _held_against(table: pd.DataFrame, obs: pd.DataFrame, bundle: Bundle) -> pd.DataFrame:
    """Rows of a task with what ``obs`` gives (``given``), held against the prediction (``verdict``)."""
    rows = table[table["task"] == bundle.label]
    parents = {c["name"]: c["parent"] or c["name"] for c in bundle.about["classes"]}
    label = obs.get(bundle.label, pd.Series("", obs.index)).astype(object).fillna("").astype(str)
    given = label.reindex(rows["sample_id"]).to_numpy()
    told, above = rows["prediction"].to_numpy(), {*parents.values()}
    agree = [g == t or t == parents.get(g) or g == parents.get(t) for g, t in zip(given, told, strict=True)]
    checks = [given == "", ~np.isin(given, [*parents, *above]), told == "", np.array(agree, dtype=bool)]
    verdict = np.select(checks, ["", "no class of the model", "no prediction", "agrees"], "contradicts")
    return rows.assign(given=given, verdict=verdict)


def _cpm(mended: ad.AnnData, names: Sequence[str]) -> pd.DataFrame:
    """Reads per million reads of some sRNAs of a table with a bundle's names."""
    return 1e6 * counts_frame(mended[:, names]).div(np.maximum(np.asarray(mended.X.sum(axis=1)).ravel(), 1), axis=0)


def _blood(mended: ad.AnnData) -> pd.DataFrame:
    """What tells of burst red cells, as far as the table has it: reads per million, and a ratio of two in log2."""
    names = {n: c for n in BLOOD for c in mended.var_names if c == n or c.startswith(f"{n}/")}
    values = _cpm(mended, [*names.values()])
    red = values[[names[n] for n in BLOOD[:3] if n in names]].add_suffix(", reads per million")
    if {BLOOD[0], BLOOD[3]} <= set(names):
        one, other = (names[n] for n in (BLOOD[0], BLOOD[3]))
        red[f"log2 of {one} to {other}"] = np.log2((values[one] + 1) / (values[other] + 1))
    return red


def _summary(rows: pd.DataFrame, bundle: Bundle) -> dict[str, Any]:
    """What the page says of a task: how many got which answer, and why others got none."""
    reasons = kinds_of(rows.loc[rows["status"] == "abstained", "reason"])
    tallies = {"status": rows["status"], "reason": reasons, "class": rows["prediction"], "verdict": rows["verdict"]}
    counted = {what: _tally(values[values != ""]) for what, values in tallies.items()}
    together = int((rows["averaged"] > 1).sum())
    kept = bundle.about["batch"]["measured"] if together else bundle.about["measured"]
    return {"label": bundle.label, "n": len(rows), "kept": kept, "together": together, **counted}


def _tally(values: pd.Series) -> dict[str, int]:
    """How often each value is there, most frequent first, then by name."""
    return values.value_counts().sort_index().sort_values(ascending=False, kind="stable").to_dict()


def _map(table: pd.DataFrame, annotated: ad.AnnData, bundle: Bundle) -> Any:
    """New samples on the map of the first bundle's training samples."""
    from srna_lib import plots

    arrays, about = bundle.arrays, bundle.about
    training = pd.DataFrame(arrays["map"].astype(float), columns=["x", "y"])
    training["sample"] = about["training_samples"]
    training["class"] = np.array(bundle.classes)[arrays["training_class"]]
    training["study"] = np.array(about["training_studies"])[arrays["training_study"]]
    new = table[table["task"] == bundle.label].iloc[:: -(-annotated.n_obs // DRAWN)]
    part = annotated[new["sample_id"]]
    told = pd.DataFrame(part.obsm["X_openTSNE"], new.index, ["x", "y"], dtype=float)
    told["sample"], told["study"] = new["sample_id"], part.obs["dataset_id"].astype(str).to_numpy()
    told = told.join(new[["prediction", "status", "probability"]].round({"probability": 2}))
    size = f"{len(new)} of {annotated.n_obs}" if len(new) < annotated.n_obs else len(new)
    caption = f"{size} new, each in the middle of the training samples nearest to it; {len(training)} training"
    caption += f" samples of {len(about['training_studies'])} studies; distances between far groups mean little"
    return plots.placed(told, training, axis="openTSNE", title=f"Map of {bundle.label}", caption=caption)


def _heatmap(mended: ad.AnnData, rows: pd.DataFrame, bundle: Bundle) -> Any:
    """Levels of the sRNAs that speak most often for or against what is said, in the samples with cards."""
    from srna_lib import plots

    rows = rows[rows["task"] == bundle.label]
    named = ";".join([*rows["speaks_for"], *rows["speaks_against"]]).split(";")
    often = [n for n in _tally(pd.Series(named)) if n][:NAMED]
    levels = np.log2(_cpm(mended[rows["sample_id"]], often).rename_axis("samples") + 1)
    if min(levels.shape) < 2:
        return None
    groups = rows.set_index("sample_id")["prediction"].replace("", "cannot tell") if len(levels) > 40 else None
    caption = f"the {len(often)} sRNAs named most often for or against {bundle.label}; rows and columns by similarity"
    look = plots.styles(bundle.classes) | {"cannot tell": (plots.GREY, "x")}
    texts = {"title": "Levels of the telling sRNAs", "caption": caption}
    return plots.clustered(levels, groups, value="log2(CPM + 1)", look=look, **texts)


def _cards(
    rows: pd.DataFrame, shown: Sequence[str], annotated: ad.AnnData, blood: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """What each sample's card says."""
    counts, ranks = counts_frame(annotated[shown]), blood.rank(pct=True)
    total, ten = counts.sum(axis=1), np.sort(counts.to_numpy(), axis=1)[:, -10:].sum(axis=1)
    top, detected = ten / total.clip(lower=1), (counts > 0).sum(axis=1)
    studies = annotated.obs["dataset_id"].astype(str)
    answers: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_dict("records"):
        answers.setdefault(row["sample_id"], []).append(row)
    for name in shown:
        tasks = answers[name]
        known, about = tasks[0]["reads_known"], {"sample": name, "study": studies[name], "tasks": tasks}
        odd = [t for t in tasks if t["verdict"] == "contradicts"]
        warnings = [f"{t['task']}: given {t['given']}, predicted {t['prediction']}" for t in odd]
        checks = {
            f"only {known:.0%} of the reads lie on names that were understood": known < UNDERSTOOD,
            f"only {detected[name]} sRNAs detected": detected[name] < FEW,
            f"ten sRNAs hold {top[name]:.0%} of the reads": top[name] > TOP,
        }
        warnings += [text for text, holds in checks.items() if holds]
        numbers = {"reads in the table": f"{total[name]:,.0f}", "names understood": f"{tasks[0]['names_known']:.0%}"}
        numbers |= {"reads understood": f"{known:.0%}", "sRNAs detected": f"{detected[name]:,}"}
        numbers["reads in the top 10 sRNAs"] = f"{top[name]:.0%}"
        for what, value in blood.loc[name].items():
            rank = f" (percentile {100 * ranks.loc[name, what]:.0f})" if len(ranks) > 1 else ""
            numbers[what] = f"{round(value, 1) + 0:,.1f}{rank}"
        if (percentile := tasks[0]["red_cells_percentile"]) == percentile:
            numbers["this ratio among plasma and serum of training"] = f"percentile {percentile:.0f}"
        yield about | {"numbers": numbers, "warnings": warnings}


def audited_page(answer: Audit, label: str, atlas: ad.AnnData) -> str:
    """Page of what `audit` found in the labels of an atlas."""
    rows, studies, twice = answer.samples, answer.studies, answer.duplicates
    pairs = {tuple(sorted(p)) for p in rows[["sample_id", "swapped_with"]].itertuples(index=False) if p[1]}
    about, groups = rows.set_index("sample_id"), twice.sort_values("labels", ascending=False, kind="stable")
    double = [part.to_dict("records") for _, part in groups.groupby("group", sort=False)]
    told = studies[(studies["flagged"] > 0) | (studies["contradicted"] > FAILED)]
    return render(
        "audited.html.j2",
        title=f"Audit of {label} in {atlas_name(atlas)}",
        simulated=bool(atlas.uns["srna"]["simulated"]),
        has_figures=False,
        label=label,
        summary=answer.summary,
        n_rows=len(rows),
        rows=rows.head(CARDS).to_dict("records"),
        swaps=[[about.loc[name].to_dict() | {"sample_id": name} for name in pair] for pair in sorted(pairs)],
        double=double[:CARDS],
        n_double=len(double),
        studies=told.to_dict("records"),
        n_failed=int((studies["contradicted"] > FAILED).sum()),
        versions=_versions(),
    )


def _versions() -> str:
    """Versions of what made a page."""
    found = versions()
    return "; ".join(f"{name} {found[name]}" for name in ("srna_lib", "python", "numpy", "pandas", "plotly"))
