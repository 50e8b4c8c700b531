"""The ``srna`` command; each of its parts loads what it needs when it is called, so that help comes at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option, echo
from typer.core import TyperGroup

import srna_lib
from srna_lib.errors import InputError

PLAIN: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}


class _PlainErrors(TyperGroup):
    """Says what a user got wrong in one sentence (exit code 2), and an interruption in one line (130)."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            echo(f"srna: error: {error}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            echo("srna: interrupted; the same command goes on where it stopped", err=True)
            raise typer.Exit(130) from error


app = typer.Typer(
    cls=_PlainErrors, help="Metadata prediction for small-RNA sequencing samples.", no_args_is_help=True, **PLAIN
)


Format = Annotated[str | None, Option(help="Layout, where detection errs.")]
Metadata = Annotated[
    Path | None, Option(help="Sample table.", show_default="STEM.metadata.csv or metadata.csv beside the counts")
]
Round = Annotated[bool, Option("--round", help="Round expected counts to whole ones.")]
Missing = Annotated[str, Option(help="What empty cells mean: refuse or zero.")]


@app.command()
def convert(
    input: Annotated[Path, Argument(metavar="INPUT", help="Count file or folder.")],
    out: Annotated[Path, Option(metavar="ATLAS.h5ad", help="Atlas to write.")],
    format: Format = None,
    metadata: Metadata = None,
    dataset_id: Annotated[
        str | None, Option(metavar="NAME", help="Study of all samples.", show_default="as the metadata say")
    ] = None,
    allow_normalised: Annotated[bool, Option("--allow-normalised", help="Carry normalised values.")] = False,
    round_expected: Round = False,
    missing: Missing = "refuse",
    force: Annotated[bool, Option("--force", help="Replace an existing ATLAS.h5ad.")] = False,
) -> None:
    """Read counts of any known layout, say what was understood, and write an atlas."""
    from srna_lib import io

    _check_target(input, out, force)
    told: dict[str, Any] = {"metadata": metadata, "dataset_id": dataset_id, "missing": missing}
    adata = io.read(input, format=format, **told, allow_normalised=allow_normalised, round_expected=round_expected)
    echo(io.describe(adata))
    io.write_h5ad(adata, out)
    echo(f"written: {out}")


@app.command("describe")
def describe_counts(
    input: Annotated[Path, Argument(metavar="FILE", help="Count file or folder.")],
    format: Format = None,
    metadata: Metadata = None,
    round_expected: Round = False,
    missing: Missing = "refuse",
) -> None:
    """Say what is understood of a count file, as `srna convert` would read it; nothing is written."""
    from srna_lib import io

    told: dict[str, Any] = {"round_expected": round_expected, "missing": missing}
    echo(io.describe(io.read(input, format=format, metadata=metadata, **told)))


def _check_target(source: Path, out: Path, force: bool) -> None:
    """Refuse a target that would be lost or misread, before the long work."""
    if out.suffix != ".h5ad":
        raise InputError(f"{out}: the output ends in {out.suffix or 'nothing'!r}; expected a name that ends in .h5ad.")
    if out.is_dir():
        raise InputError(f"{out}: the output is a folder; expected the name of a file.")
    if out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"{out}: the output is the input itself; expected another name.")
    if out.exists() and not force:
        raise InputError(f"{out}: the output exists already; expected another name, or --force to replace it.")


datasets_app = typer.Typer(help="Public data sets: list, fetch, describe.", no_args_is_help=True, **PLAIN)
app.add_typer(datasets_app, name="datasets")
LABELS = (
    "dataset_id", "donor_id", "tissue_top", "tissue_group", "tissue", "lineage", "cell_class", "cell_type", "cell_line",
    "is_cell_line", "sample_category", "sample_type", "tumour_normal", "diagnosis", "sex", "platform", "flagged",
)  # fmt: skip
NUMBERS = ("age_years", "gestational_age_days")
NOT_PREDICTED = {"dataset_id", "donor_id", "is_cell_line", "sample_type", "platform", "flagged"}
SHOWN = 8  # most frequent values of a label


@datasets_app.command("list")
def list_() -> None:
    """List the data sets: size, licence, whether they are here, and the labels that a model can be asked for."""
    from srna_lib import datasets

    rows = [("name", "samples x features", "state", "labels", "title", "licence")]
    for name, entry in datasets.registered().items():
        labels = ", ".join(label for label in _labels(entry) if label not in NOT_PREDICTED) or "-"
        rows.append((name, _shape(entry), datasets.state(name), labels, entry["title"], entry["licence"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@datasets_app.command()
def fetch(
    names: Annotated[list[str], Argument(metavar="NAME...", help="Data sets, as `srna datasets list` names.")],
) -> None:
    """Bring the files of data sets into the cache and verify each."""
    from srna_lib import datasets

    for name in names:
        datasets.entry(name)  # every name is known before anything is downloaded
    for name in names:
        files = datasets.entry(name)["files"]
        total = sum(f["bytes"] for f in files)
        if not files:
            echo(f"{name}: simulated, there is nothing to fetch")
            continue
        with typer.progressbar(length=total, label=name) as bar:
            datasets.fetch(name, step=lambda path: bar.update(path.stat().st_size))
        echo(f"{name}: {len(files)} files, {_size(total)}, verified in {datasets.cache_dir() / name}")


@datasets_app.command()
def describe(name: Annotated[str, Argument(metavar="NAME", help="Data set, or an atlas (.h5ad).")]) -> None:
    """Describe a data set: citation, licence, files with SHA-256 and, when it is here, its labels."""
    from srna_lib import datasets

    own = datasets.is_file(name)
    entry, state = datasets.entry(name), "a file of yours" if own else datasets.state(name)
    options = ", ".join(f"{k}={v!r}" for k, v in datasets.options(name).items()) or "none"
    about = {key: entry[key] for key in ("title", "citation", "licence")}
    about |= {"simulated": "yes" if entry["simulated"] else "no", "samples x features": _shape(entry)}
    echo(name)
    for key, text in {**about, "state": state, "options": options}.items():
        echo(f"  {key}: {text}")
    echo(f"  files: {len(entry['files']) or 'none'}")
    for file in entry["files"]:
        echo(f"    {datasets.RAW.format(**file)}")
        echo(f"      {_size(file['bytes'])}, SHA-256 {file['sha256']}")
    if not own and name not in datasets.names():
        return
    if state in ("not fetched", "partly"):
        labels = ", ".join(_labels(entry)) or "none"
        echo(f"  labels: {labels}; how many samples have them is known once the files are here")
        echo(f"    (srna datasets fetch {name})")
        return
    _describe_labels(datasets.load(name))


def _describe_labels(atlas: Any) -> None:
    echo(f"  quantity: {atlas.uns['srna']['quantity']}")
    echo(f"  found: {atlas.n_obs} samples x {atlas.n_vars} features")
    for column in (c for c in LABELS if c in atlas.obs):
        sizes = atlas.obs[column].value_counts()
        shown = ": " + ", ".join(f"{value} {n}" for value, n in sizes.iloc[:SHOWN].items())
        more = f", and {len(sizes) - SHOWN} more" if len(sizes) > SHOWN else ""
        if column == "donor_id":  # names of people tell nothing, their number does
            shown = more = ""
        echo(f"    {column}: {int(sizes.sum())} of {atlas.n_obs} samples, {len(sizes)} values{shown}{more}")
    for column in NUMBERS:
        if column in atlas.obs and atlas.obs[column].notna().any():
            values = atlas.obs[column].dropna()
            span = f"{values.min():.0f} to {values.max():.0f}, median {values.median():.0f}"
            echo(f"    {column}: {len(values)} of {atlas.n_obs} samples, {span}")


def _labels(entry: dict[str, Any]) -> list[str]:
    """Labels that a data set has, with at least two different values."""
    return [label for label in (*LABELS, *NUMBERS) if label in entry.get("columns", ())]


def _shape(entry: dict[str, Any]) -> str:
    return f"{entry['samples']} x {entry['features']}" if "samples" in entry else "-"


def _size(n: int) -> str:
    return f"{n / 1e6:.1f} MB" if n >= 1e5 else f"{n / 1e3:.1f} kB"


def main() -> None:
    """Entry point of ``srna``."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # names of any script, any locale
    app(prog_name="srna")


def _show_version(wanted: bool) -> None:
    if wanted:
        echo(f"srna {srna_lib.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    notebooks: Annotated[
        list[str] | None, Argument(metavar="NOTEBOOK", help="Number (01, 2), stem or file name; none for all.")
    ] = None,
    dataset: Annotated[str, Option(help="Data set (demo, mirome) or your own atlas.h5ad.")] = "demo",
    profile: Annotated[str, Option(help="Size of the run: smoke, demo or full.")] = "demo",
    out: Annotated[Path | None, Option(help="Report folder.", show_default="reports/DATASET")] = None,
    jobs: Annotated[int, Option(min=1, help="Notebooks at a time; fewer notebooks have workers each.")] = 2,
    seed: Annotated[int, Option(min=0, max=2**32 - 1, help="Seed of splits, models, simulation.")] = 0,
    parameter: Annotated[
        list[str] | None,
        Option("--parameter", "-p", metavar="NAME=VALUE", help="Further notebook parameter; repeatable."),
    ] = None,
    force: Annotated[bool, Option("--force", help="Run again what is already done.")] = False,
    notebooks_dir: Annotated[Path | None, Option("--notebooks", metavar="DIR", help="Folder of the notebooks.")] = None,
) -> None:
    """Run notebooks on a data set and write a report that opens without network.

    Without NOTEBOOK, those that need a label which the data set does not have are left out, and the report says why.
    """
    from srna_lib.report.run import run_notebooks

    settings: dict[str, Any] = {"dataset": dataset, "profile": profile, "out": out, "jobs": jobs, "seed": seed}
    settings |= {"force": force, "notebooks_dir": notebooks_dir, "parameters": _pairs(parameter or [])}
    report = run_notebooks(notebooks or [], say=echo, **settings)
    echo(f"report: {report.index}")
    raise typer.Exit(report.exit_code)


@app.command()
def train(
    atlas: Annotated[str, Argument(metavar="ATLAS", help="Data set, or an atlas (.h5ad).")],
    task: Annotated[str, Option(metavar="COLUMN", help="Column of obs that is predicted.")],
    out: Annotated[Path, Option(metavar="DIR", help="New folder for the bundle.")],
    recipe: Annotated[str, Option(help="dl_log (a network), robust or logistic.")] = "dl_log",
    folds: Annotated[int, Option(min=2, help="Folds by study that its promises are measured in.")] = 20,
    error: Annotated[float, Option(min=0.001, max=0.5, help="Share of wrong predictions that is aimed at.")] = 0.06,
    jobs: Annotated[int, Option(min=1, help="Folds at a time.")] = 2,
    seed: Annotated[int, Option(min=0, max=2**32 - 1, help="Seed of folds, network and map.")] = 0,
) -> None:
    """Train a bundle on an atlas of several studies, for `srna annotate`."""
    from srna_lib import annotate, data, datasets

    _check_folder(out)
    known = data.with_label(datasets.load(atlas), task)
    bundle = annotate.train(known, task, recipe=recipe, n_splits=folds, error=error, n_jobs=jobs, seed=seed)
    echo(annotate.card(bundle))
    echo(f"written: {annotate.save(bundle, out)}")


@app.command()
def example(
    counts: Annotated[Path, Argument(metavar="COUNTS.csv", help="Table to write.")],
    bundle: Annotated[str, Option(help="Shipped bundle or folder.")] = "lineage",
    seed: Annotated[int, Option(min=0, max=2**32 - 1, help="Seed of the reads.")] = 0,
) -> None:
    """Write a small table to try `srna annotate` on: a made-up sample of each class, and one with hardly a read."""
    from srna_lib import annotate, io

    if counts.exists():
        raise InputError(f"{counts}: it exists already; expected the name of a new file.")
    table = annotate.example(bundle, seed=seed)
    io.write_file(counts, table.to_csv())
    echo(f"written: {counts}, {table.shape[1]} samples x {table.shape[0]} sRNAs")


@app.command()
def annotate(
    counts: Annotated[Path, Argument(metavar="COUNTS", help="Count file or folder, as `srna convert` reads it.")],
    out: Annotated[Path, Option(metavar="DIR", help="New folder for the answers.")],
    bundle: Annotated[
        list[str] | None, Option(help="Shipped bundle or folder; repeatable.", show_default="all shipped")
    ] = None,
    metadata: Metadata = None,
    format: Format = None,
    round_expected: Round = False,
    missing: Missing = "refuse",
    explain: Annotated[
        bool | None, Option("--explain/--no-explain", help="Name sRNAs that speak for and against.")
    ] = None,
    batch: Annotated[
        str | None,
        Option(
            metavar="COLUMN",
            help="Column of the metadata with the study of each sample, or all: answers then rest on the samples most "
            "alike in the study, too.",
        ),
    ] = None,
) -> None:
    """Predict what bundles know of new samples, such as lineage and tissue, with reasons, or say that it cannot."""
    from srna_lib import annotate
    from srna_lib.report.answers import annotated_page

    _check_folder(out)
    reading = {"metadata": metadata, "format": format, "round_expected": round_expected, "missing": missing}
    bundles = [annotate.load_bundle(b) for b in bundle or annotate.DEFAULT]
    answered = annotate(counts, bundles, explain=explain, batch=batch, **reading)
    echo(annotate.summary(answered))
    pages = {"report.html": annotated_page(answered, bundles)}
    echo(f"written: {annotate.write(answered, out, pages)}")


@app.command()
def audit(
    atlas: Annotated[str, Argument(metavar="ATLAS", help="Data set, or an atlas (.h5ad).")],
    label: Annotated[str, Option(metavar="COLUMN", help="Column of obs that is checked.")],
    out: Annotated[Path, Option(metavar="DIR", help="New folder for the tables.")],
    jobs: Annotated[int, Option(min=1, help="Folds at a time.")] = 2,
    seed: Annotated[int, Option(min=0, max=2**32 - 1, help="Seed of folds and models.")] = 0,
) -> None:
    """List samples whose recorded label contradicts their expression, and libraries that are there twice."""
    from srna_lib import annotate, data, datasets
    from srna_lib.report.answers import audited_page

    _check_folder(out)
    labelled = data.with_label(datasets.load(atlas), label)
    answer = annotate.audit(labelled, label, n_jobs=jobs, seed=seed)
    told, failed = answer.summary, (answer.studies["contradicted"] > 0.5).sum()
    wrong = f"({told['expected_wrong_flags']:.0%} may be right)"
    flagged = f"{told['flagged']} labels contradict expression and study {wrong}"
    echo(f"{told['samples']} samples of {told['studies']} studies: {flagged}.")
    echo(f"Studies with one: {told['studies_flagged']:.0%}, at least {told['studies_flagged_at_least']:.0%}.")
    echo(f"Studies whose samples mostly look like another label: {failed}.")
    echo(f"Samples that share all counts with another: {len(answer.duplicates)}.")
    echo(f"written: {annotate.write_audit(answer, out, {'report.html': audited_page(answer, label, labelled)})}")


@app.command()
def benchmark(
    out: Annotated[Path, Option(metavar="DIR", help="New folder, or one to go on with or add rows to.")],
    dataset: Annotated[
        list[str] | None, Option(help="Data set or atlas (.h5ad); repeatable.", show_default="mirome")
    ] = None,
    label: Annotated[
        list[str] | None, Option(help="Column of obs to predict; repeatable.", show_default="tissue_group")
    ] = None,
    recipes: Annotated[
        str,
        Option(
            help="Names; selected is chosen inside the training studies of each fold, and <name>+batch averages a "
            "sample's probabilities with its nearest neighbours' in the same study.",
        ),
    ] = "logistic,rf_paper,dl_log,wccn,lda_study,robust,selected,dummy",
    schemes: Annotated[str, Option(help="Of random, study, one_dataset_out, one_collection_out.")] = "random,study",
    baselines: Annotated[str, Option(help="Recipes to compare the others with.")] = "logistic",
    folds: Annotated[int, Option(min=2, help="Folds of the scheme study.")] = 10,
    min_class_size: Annotated[int, Option(min=2, help="Classes with fewer samples are left out.")] = 15,
    jobs: Annotated[int, Option(min=1, help="Folds at a time.")] = 2,
    seed: Annotated[int, Option(min=0, max=2**32 - 1, help="Seed of folds, models, bootstrap.")] = 0,
) -> None:
    """Compare recipes on the same folds of one or several data sets: a leaderboard with paired differences and time.

    An interrupted run goes on where it stopped; other recipes, schemes or labels join the rows that are there.
    """
    from srna_lib.evaluate import BATCH, SELECTED
    from srna_lib.models import RECIPES, recipe_names
    from srna_lib.report.leaderboard import run_benchmark

    if not out.exists():
        _check_folder(out)
    known = [*RECIPES, SELECTED]
    for text in (recipes, baselines):
        recipe_names(text.replace(BATCH, ""), known)
    known += [name + BATCH for name in known]
    names = recipe_names(recipes, known)
    settings: dict[str, Any] = {"baselines": recipe_names(baselines, known), "n_splits": folds, "seed": seed}
    settings |= {"min_class_size": min_class_size, "n_jobs": jobs, "say": echo}
    wanted = list(dict.fromkeys(word.strip() for word in schemes.split(",")))
    written = run_benchmark(dataset or ["mirome"], label or ["tissue_group"], names, wanted, out, **settings)
    echo((written / "leaderboard.md").read_text(encoding="utf-8"))
    echo(f"written: {written}")


@app.command()
def retrieve(
    table: Annotated[Path, Argument(metavar="TABLE", help="Differential expression: DESeq2, edgeR, limma.")],
    library: Annotated[str, Option(metavar="ATLAS", help="Data set, or an atlas (.h5ad).")] = "",
    label: Annotated[str, Option(metavar="COLUMN", help="Column of obs to look for.")] = "tissue_group",
    control: Annotated[str, Option(metavar="COLUMN:VALUE", help="Controls of each study.")] = "",
    n: Annotated[int, Option("-n", min=1, help="Signatures to show.")] = 10,
) -> None:
    """Say which signatures of an atlas (open_atlas where none is named) a table of log fold changes looks like."""
    from srna_lib import companions

    found = companions.retrieve(table, library or None, label=label, control=control)
    echo(found.head(n).to_string(index=False, float_format="{:.3f}".format))


def _check_folder(out: Path) -> None:
    """Refuse a folder that cannot be made, before the long work."""
    if out.exists():
        raise InputError(f"--out {out}: it exists already; expected the name of a new folder.")
    above = next(p for p in out.absolute().parents if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"--out {out}: {above} is no writable folder; expected the name of a new folder in one.")


def _pairs(texts: list[str]) -> dict[str, str]:
    """Split NAME=VALUE."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"-p {text!r}: expected NAME=VALUE such as -p min_class_size=15.")
        if name in pairs:
            raise InputError(f"-p {text!r}: parameter {name!r} is given twice; expected it once.")
        pairs[name] = value
    return pairs


if __name__ == "__main__":
    main()
