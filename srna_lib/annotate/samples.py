"""New samples -> predictions, sets and refusals, each with its reason.

Names first: what the table calls its sRNAs is brought to the bundle's names, and what share of names and reads was
understood is said of every sample. Refusal second: a table of other names, another species, too few reads or a profile
unlike every training sample gets no prediction. Calibration third: a class is named where its calibrated probability
reaches what kept the stated error in studies left out, else its parent where that does, else nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from srna_lib.annotate.bundles import (
    ABSTAINED,
    BACKED_OFF,
    PREDICTED,
    Bundle,
    csv_text,
    decide,
    load_bundle,
    nearest,
    prediction_sets,
    unlikeness,
    write_folder,
)
from srna_lib.data import atlas_name, check_column, counts_frame, harmonise, match_names, quantity_of, resource
from srna_lib.errors import expect
from srna_lib.evaluate import NEIGHBOURS, average_neighbours, tempered
from srna_lib.explain import contributions
from srna_lib.io import read
from srna_lib.stability import MaskedInput, deeplift_order, first_flips

DEFAULT = ("lineage", "tissue_group", "sample_type")
FIELDS = (
    "sample_id", "task", "prediction", "probability", "status", "reason", "set", "ontology_term_id", "likeliest",
    "likeliest_probability", "distance", "nearest_studies", "nearest_samples", "speaks_for", "speaks_against",
    "steps_to_flip", "reads", "names_known", "reads_known", "model_names_found", "red_cells", "red_cells_percentile",
    "averaged",
)  # fmt: skip
EXPLAINED, FLIPPED = 1000, 200  # samples up to which reasons are given unless asked for, and steps to a flip counted
FURTHEST = 50  # sRNAs masked before a prediction counts as firm
FOREIGN = "another species"
RED_CELLS = ("hsa-miR-451a", "hsa-miR-23a-3p")  # the first is of red cells, the second stays when they burst
STEM_LOOPS = "counts of stem-loops: the model reads mature miRNAs, which they do not tell apart"
MOSTLY = 0.5  # share of names or reads below which a table is of another kind


def annotate(
    counts: ad.AnnData | str | Path, bundles: str | Path | Bundle | Sequence[str | Path | Bundle] = DEFAULT, *,
    explain: bool | None = None, top: int = 5, batch: str | None = None, **reading: Any,
) -> ad.AnnData:  # fmt: skip
    """Predict the metadata of samples, with sets, reasons and refusals.

    Parameters
    ----------
    counts : AnnData or path
        Raw counts, as an atlas or a file that `srna.read` reads; miRNAs in any spelling.
    bundles : str, path, Bundle or a sequence of these, default ("lineage", "tissue_group", "sample_type")
        What is predicted: names of shipped bundles, folders, or bundles.
    explain : bool, optional
        Say which sRNAs speak for and against (DeepLIFT). Default: up to 1000 samples. Up to 200 also get
        ``steps_to_flip``: how many sRNAs, masked as in `srna.steps_to_flip`, change the likeliest class; empty: over
        50.
    top : int, default 5
        sRNAs named on each side.
    batch : str, optional
        Column of ``obs`` that says which samples are of one study, or ``"all"`` where all are: probabilities are then
        averaged over a sample and the four most alike in its study (`evaluate.average_neighbours`), and held to limits
        of their own. A sample without a study is answered by itself. What speaks for a class, and steps to a flip, stay
        those of the sample alone.
    **reading
        As in `srna.read`, where `counts` is a path.

    Returns
    -------
    AnnData, shape (n_samples, n_srnas)
        The samples as they came. ``uns["annotation"]``: one row per sample and task with the columns `FIELDS`;
        ``obs`` has ``<task>_predicted``, ``_probability`` and ``_status`` of each; ``obsm["X_openTSNE"]`` are
        coordinates in the training map of the first bundle (NaN where no name is known).

    Raises
    ------
    InputError
        No such bundle, values that are no counts, no such column, or a bundle that knows no limits for batches.

    Notes
    -----
    Without `batch` a sample's prediction depends on nothing but the sample and the names in its table. ``status`` is
    ``predicted``, ``backed off`` (the parent of the class is named) or ``abstained``, with the ``reason``.
    """
    given = [bundles] if isinstance(bundles, str | Path | Bundle) else list(bundles)
    loaded = [b if isinstance(b, Bundle) else load_bundle(b) for b in given]
    labels = [b.label for b in loaded]
    found = ", ".join(labels) or "none"
    expect(0 < len(labels) == len(set(labels)), f"bundles: found {found}; expected at least one, each of another label")
    atlas = counts if isinstance(counts, ad.AnnData) else read(counts, **reading)
    quantity = quantity_of(atlas)
    expect(quantity == "counts", f"{atlas_name(atlas)}: it holds {quantity} values; expected raw counts")
    names = understood(atlas)
    names["batch"] = _batches(atlas, batch, loaded)
    shown = atlas.n_obs <= EXPLAINED if explain is None else explain
    tables, out = [], atlas.copy()
    for number, bundle in enumerate(loaded):
        table, coordinates = _annotate(atlas, bundle, names, top if shown else 0)
        tables.append(table)
        for field, column in {"predicted": "prediction", "probability": "probability", "status": "status"}.items():
            out.obs[f"{bundle.label}_{field}"] = table[column].to_numpy()
        if number == 0:
            out.obsm["X_openTSNE"] = coordinates
    out.uns["annotation"] = pd.concat(tables, ignore_index=True)[list(FIELDS)]
    return out


def _batches(atlas: ad.AnnData, batch: str | None, bundles: Sequence[Bundle]) -> np.ndarray:
    """The study of each sample, as far as its company may tell of it; empty where a sample is by itself."""
    if batch is None:
        return np.full(atlas.n_obs, "", dtype=object)
    for bundle in bundles:
        without = f"bundle of {bundle.label}: it knows no limits for batches"
        expect("batch" in bundle.about, f"{without}; expected one trained anew")
    if batch == "all" and batch not in atlas.obs:
        return np.full(atlas.n_obs, "all", dtype=object)
    check_column(atlas, batch, "the study of each sample")
    return atlas.obs[batch].astype(object).where(atlas.obs[batch].notna(), "").astype(str).to_numpy(dtype=object)


def understood(atlas: ad.AnnData) -> pd.DataFrame:
    """Reads of miRNAs, shares of names and reads that are of human ones, why they are too few, and `red_cells`."""
    # other kinds of sRNAs are no concern of the models; where a table says nothing of kinds all of it counts
    mirna = (atlas.var.get("biotype", pd.Series("miRNA", atlas.var_names)) == "miRNA").to_numpy()
    part = atlas[:, mirna] if mirna.any() else atlas
    matched = match_names(part.var_names)
    known = (matched["how"] != "unknown").to_numpy()
    counts = np.asarray(part.X.sum(axis=1)).ravel()
    reads = np.asarray(part.X[:, np.flatnonzero(known)].sum(axis=1)).ravel()
    table = pd.DataFrame({"reads": reads, "names_known": known.mean()}, index=atlas.obs_names)
    table["reads_known"] = np.divide(reads, counts, out=np.zeros(len(reads)), where=counts > 0)
    table["red_cells"] = red_cells(part, matched, counts)
    foreign = matched["reason"].str.extract(r"^not human \((.+)\)$")[0].dropna()
    table["stem_loops"] = _of_stem_loops(matched)
    table["reason"] = ""
    if len(foreign) > MOSTLY * part.n_vars:
        table["reason"] = f"{FOREIGN} ({foreign.mode().iloc[0]}): the models know human samples only"
    elif known.mean() < MOSTLY:
        table["reason"] = f"{known.mean():.0%} of the names are those of human miRNAs"
    else:
        few = table["reads_known"] < MOSTLY
        table.loc[few, "reason"] = "most reads lie on names that are no human miRNAs"
    return table


def red_cells(mirnas: ad.AnnData, matched: pd.DataFrame, reads: np.ndarray) -> np.ndarray:
    """log2 ratio of two miRNAs (`RED_CELLS`), which rises in plasma and serum as red cells burst; NaN without both."""
    members = matched["target"].str.split(";")
    places = [np.flatnonzero([name in targets for targets in members]) for name in RED_CELLS]
    if not all(map(len, places)):
        return np.full(mirnas.n_obs, np.nan)
    one, other = (1e6 * np.asarray(mirnas.X[:, at].sum(axis=1)).ravel() / np.maximum(reads, 1) for at in places)
    return np.log2((one + 1) / (other + 1))


def percentiles(ratio: np.ndarray) -> np.ndarray:
    """Per cent of the plasma and serum libraries of the open atlas with a lower ratio; every study weighs alike."""
    known = resource("red_cells.tsv", dtype=None).groupby("dataset_id")["red_cells"]
    lower = np.mean([np.searchsorted(np.sort(of), ratio) / len(of) for _, of in known], axis=0)
    return np.where(np.isnan(ratio), np.nan, 100 * lower)


def _of_stem_loops(matched: pd.DataFrame) -> bool:
    """Whether names, as `match_names` reads them, are for the most part those of stem-loops."""
    return bool((matched["kind"] == "stem-loop").sum() > (matched["kind"] == "mature").sum())


def _annotate(atlas: ad.AnnData, bundle: Bundle, names: pd.DataFrame, top: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of one task, and the samples' places in the training map."""
    arrays, about, classes = bundle.arrays, bundle.about, np.asarray(bundle.classes, dtype=object)
    loops = bool(names["stem_loops"].all()) and not _of_stem_loops(match_names(about["features"]))
    if loops or names["reason"].str.startswith(FOREIGN).all():  # no name is one of ours
        z, found, reads = np.zeros((len(names), len(arrays["kept"])), np.float32), 0.0, np.zeros(len(names))
    else:
        z, found, reads = model_input(atlas, bundle)
    distance, near = unlikeness(bundle.spaces, z), nearest(z, arrays)
    order = sorted({c["parent"] or c["name"] for c in about["classes"]})
    parent = np.array([order.index(c["parent"] or c["name"]) for c in about["classes"]])
    least = about["least"]
    reasons = names["reason"].to_numpy().astype(object)
    if loops:
        reasons[reasons == ""] = STEM_LOOPS
    if found < least["names"]:
        what = f"{found:.0%} of the sRNAs that the model reads are in the table; it asks for {least['names']:.0%}"
        reasons[reasons == ""] = what
    shallow = (reads < least["reads"]) & (reasons == "")
    reasons[shallow] = [f"{n:,.0f} reads; the model asks for {least['reads']:,.0f}" for n in reads[shallow]]
    refused = reasons != ""
    p, averaged = _in_batches(bundle, z, np.where(refused, "", names["batch"]))
    limits = about["batch"]["limits"] if (names["batch"] != "").any() else about["limits"]
    table, q = decide(p, distance, limits, parent), tempered(p, limits["temperature"])
    status = np.where(refused, ABSTAINED, table["status"])
    reason = np.where(refused, reasons, table["reason"])
    best, above = classes[table["best"]], np.asarray(order, dtype=object)[table["above"]]
    answered = [status == PREDICTED, status == BACKED_OFF]
    prediction = np.select(answered, [best, above], "")
    said = np.select(answered, [table["probability"], table["above_probability"]], np.nan)
    inside = prediction_sets(q, limits)
    terms = about["parent_terms"] | {c["name"]: c["term"] for c in about["classes"]}
    studies = np.asarray(about["training_studies"], dtype=object)[arrays["training_study"]]
    samples = np.asarray(about["training_samples"], dtype=object)
    why = _reasons(z, bundle, table["best"].to_numpy(), top if found else 0)
    rows = {
        "sample_id": atlas.obs_names,
        "task": bundle.label,
        "prediction": prediction,
        "probability": said,
        "status": status,
        "reason": np.where((status == ABSTAINED) & (reason == "undecided"), _between(q, classes), reason),
        "set": [";".join(classes[row]) if not r else "" for row, r in zip(inside, refused, strict=True)],
        "ontology_term_id": [terms.get(name, "") for name in prediction],
        "likeliest": best if found else "",
        "likeliest_probability": table["probability"] if found else np.nan,
        "distance": distance,
        "nearest_studies": [";".join(dict.fromkeys(studies[row])) if found else "" for row in near],
        "nearest_samples": [";".join(samples[row[:3]]) if found else "" for row in near],
        "speaks_for": why[0],
        "speaks_against": why[1],
        "steps_to_flip": _flips(z, bundle) if top and found and len(z) <= FLIPPED else np.nan,
        "reads": reads,
        "names_known": names["names_known"].to_numpy(),
        "reads_known": names["reads_known"].to_numpy(),
        "model_names_found": found,
        "red_cells": names["red_cells"].to_numpy(),
        "red_cells_percentile": percentiles(names["red_cells"].to_numpy()),
        "averaged": averaged,
    }
    places = np.median(arrays["map"][near], axis=1)
    return pd.DataFrame(rows), places if found else np.full_like(places, np.nan)


def _in_batches(bundle: Bundle, z: np.ndarray, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, averaged over nearest samples of the batch (``""``: none), and how many each is averaged over."""
    p, averaged = bundle.network.predict_proba(z), np.ones(len(z), dtype=int)
    levels = (z * bundle.arrays["scale"] + bundle.arrays["mean"])[:, (z != 0).any(axis=0)]
    for name in dict.fromkeys(batch[batch != ""]):
        rows = np.flatnonzero(batch == name)
        p[rows], averaged[rows] = average_neighbours(p[rows], levels[rows]), min(len(rows), NEIGHBOURS)
    return p, averaged


def model_input(atlas: ad.AnnData, bundle: Bundle) -> tuple[np.ndarray, float, np.ndarray]:
    """z-scores of samples, share of the model's sRNAs that the table has, and reads on the bundle's names."""
    # an sRNA that the table does not list says nothing (z-score 0), and the library is taken to hold as many reads of
    # it as the training samples' do
    arrays, features = bundle.arrays, pd.Index(bundle.about["features"])
    mended, _ = harmonise(atlas, features)
    there = features.isin(mended.var_names)
    counts = counts_frame(mended).reindex(columns=features, fill_value=0.0).to_numpy()
    reads = counts.sum(axis=1)
    library = reads / max(float(arrays["reads"][there].sum()), 1e-6)
    cpm = 1e6 * counts[:, arrays["kept"]] / np.where(library > 0, library, 1.0)[:, None]
    z = (np.log2(cpm + 1.0) - arrays["mean"]) / arrays["scale"]
    kept = there[arrays["kept"]]
    z[:, ~kept] = 0.0
    return z.astype(np.float32), float(kept.mean()), reads


def _between(q: np.ndarray, classes: np.ndarray) -> list[str]:
    """The two likeliest classes of each sample, in words."""
    pairs = zip(q, np.argsort(-q, axis=1)[:, :2], strict=True)
    return [f"undecided between {classes[a]} ({r[a]:.2f}) and {classes[b]} ({r[b]:.2f})" for r, (a, b) in pairs]


def _reasons(z: np.ndarray, bundle: Bundle, best: np.ndarray, top: int) -> tuple[Iterable[str], Iterable[str]]:
    """Name the sRNAs that speak most for the likeliest class, and most against it, held to the mean of the others."""
    # One that is not in the table says nothing, so it is not named.
    if not top:
        return "", ""
    names = np.asarray(bundle.about["features"], dtype=object)[bundle.arrays["kept"]]
    given = contributions(bundle.network, z, reference="zeros").values
    own = given[np.arange(len(z)), best]
    score = own - (given.sum(axis=1) - own) / (given.shape[1] - 1)

    def most(score: np.ndarray) -> list[str]:
        order = np.argsort(-score, axis=1, kind="stable")[:, :top]
        return [";".join(names[row[own[row] > 0]]) for row, own in zip(order, score, strict=True)]

    return most(score), most(-score)


def _flips(z: np.ndarray, bundle: Bundle) -> np.ndarray:
    """Least number of sRNAs that have to be masked before another class is likeliest; NaN where `FURTHEST` do not."""
    network, blank = bundle.network, -bundle.arrays["mean"] / bundle.arrays["scale"]
    names = np.asarray(bundle.about["features"], dtype=object)[bundle.arrays["kept"]]
    active = (z > blank + 1e-4) & (z != 0)  # neither absent from the sample nor from the table
    inputs = MaskedInput(names, z, blank, active, reads=np.zeros_like(z), counts=None, front=None)
    flips = first_flips(inputs, network, deeplift_order(network, blank), max_steps=FURTHEST)
    return flips.groupby("sample")["stability"].min().reindex(range(len(z))).to_numpy()


def kinds_of(reasons: pd.Series) -> pd.Series:
    """Reasons without what differs from sample to sample, for counting."""
    return reasons.replace({r" between .*": "", r"^[\d,]+ reads; ": "too few reads; "}, regex=True)


def summary(annotated: ad.AnnData) -> str:
    """What was read and what was said of it, for people: per task how many got which answer, and why others did not."""
    table, reading = annotated.uns["annotation"], annotated.uns.get("srna", {}).get("reading", {})
    known = f"{table['names_known'].iloc[0]:.0%} of the names and {table['reads_known'].median():.0%} of the reads"
    lines = [f"{annotated.n_obs} samples, {known} known"]
    lines += [f"  {note}" for note in str(reading.get("notes", "")).splitlines()]
    together = table.groupby("sample_id")["averaged"].max() > 1
    if together.any():
        lines.append(f"  {together.sum()} samples answered with those most alike in their study")
    for task, rows in table.groupby("task", sort=False):
        made = rows[rows["status"] != ABSTAINED]
        said = ", ".join(f"{name} {n}" for name, n in made["prediction"].value_counts().items())
        lines.append(f"{task}: {len(made)} of {len(rows)} answered{': ' * bool(said)}{said}")
        reasons = kinds_of(rows.loc[rows["status"] == ABSTAINED, "reason"])
        lines += [f"  abstained, {n}: {reason}" for reason, n in reasons.value_counts().head(5).items()]
    return "\n".join(lines)


def write(annotated: ad.AnnData, folder: Path | str, pages: Mapping[str, str] | None = None) -> Path:
    """Write ``predictions.csv``, ``annotated.h5ad`` and ``srna_mqc.json`` (MultiQC) into a new folder, whole or not.

    The same samples give the same bytes of ``predictions.csv``, in whatever order they came; text that a spreadsheet
    would take for a formula is quoted. `pages` are further files, by name.
    """
    table = annotated.uns["annotation"]
    data: dict[str, dict[str, str]] = {}
    for sample, task, said in table[["sample_id", "task", "prediction"]].itertuples(index=False):
        data.setdefault(str(sample), {})[str(task)] = said or "cannot tell"
    multiqc = {"id": "srna_lib", "section_name": "Predicted metadata", "plot_type": "table", "data": data}
    rows = csv_text(table.sort_values(["sample_id", "task"], kind="stable"))
    files = {"predictions.csv": rows, "srna_mqc.json": json.dumps(multiqc, indent=1) + "\n"}
    return write_folder(folder, {**files, "annotated.h5ad": annotated, **(pages or {})})
