"""The ``srna datasets`` commands: what there is, fetching it, and describing one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Public data sets: list, fetch, describe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
LABELS = (
    "dataset_id", "donor_id", "tissue_top", "tissue_group", "tissue", "lineage", "cell_class", "cell_type", "cell_line",
    "is_cell_line", "sample_category", "sample_type", "tumour_normal", "diagnosis", "sex", "platform", "flagged",
)  # fmt: skip
NUMBERS = ("age_years", "gestational_age_days")
PREDICTED = (
    "tissue_top", "tissue_group", "tissue", "lineage", "cell_class", "cell_type", "cell_line", "sample_category",
    "tumour_normal", "diagnosis", "sex", *NUMBERS,
)  # fmt: skip
SHOWN = 8  # most frequent values of a label


@app.command("list")
def list_() -> None:
    """List the data sets: size, licence, whether they are here, and the labels that a model can be asked for."""
    from srna_lib import datasets

    rows = [("name", "samples x features", "state", "labels", "title", "licence")]
    for name, entry in datasets.registry().items():
        labels = ", ".join(_labels(entry, PREDICTED)) or "-"
        rows.append((name, _shape(entry), datasets.state(name), labels, entry["title"], entry["licence"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Data sets, as `srna datasets list` names.")],
) -> None:
    """Bring the files of data sets into the cache and verify each."""
    from srna_lib import datasets, downloads

    for name in names:
        datasets.entry(name)  # every name is known before anything is downloaded
    for name in names:
        files = datasets.entry(name)["files"]
        if not files:
            typer.echo(f"{name}: simulated, there is nothing to fetch")
            continue
        with typer.progressbar(length=sum(f["bytes"] for f in files), label=name) as bar:
            datasets.fetch(name, step=_advance(bar))
        total = sum(f["bytes"] for f in files)
        typer.echo(f"{name}: {len(files)} files, {_size(total)}, verified in {downloads.cache_dir() / name}")


@app.command()
def describe(name: Annotated[str, typer.Argument(metavar="NAME", help="Data set, or an atlas (.h5ad).")]) -> None:
    """Describe a data set: citation, licence, files with SHA-256 and, when it is here, its labels."""
    from srna_lib import datasets, downloads

    own = datasets.is_file(name)
    entry, state = datasets.entry(name), "a file of yours" if own else datasets.state(name)
    about = {
        "title": entry["title"],
        "citation": entry["citation"],
        "licence": entry["licence"],
        "simulated": "yes" if entry["simulated"] else "no",
        "samples x features": _shape(entry),
        "state": state,
        "options": ", ".join(f"{k}={v!r}" for k, v in datasets.options(name).items()) or "none",
    }
    typer.echo(name)
    for key, text in about.items():
        typer.echo(f"  {key}: {text}")
    typer.echo(f"  files: {len(entry['files']) or 'none'}")
    for file in entry["files"]:
        typer.echo(f"    {downloads.RAW.format(**file)}")
        typer.echo(f"      {_size(file['bytes'])}, SHA-256 {file['sha256']}")
    if not own and name not in datasets.names():
        return
    if state in ("not fetched", "partly"):
        labels = ", ".join(_labels(entry, (*LABELS, *NUMBERS))) or "none"
        typer.echo(f"  labels: {labels}; how many samples have them is known once the files are here")
        typer.echo(f"    (srna datasets fetch {name})")
        return
    _describe_labels(datasets.load(name))


def _describe_labels(atlas: Any) -> None:
    typer.echo(f"  quantity: {atlas.uns['srna']['quantity']}")
    typer.echo(f"  found: {atlas.n_obs} samples x {atlas.n_vars} features")
    for column in (c for c in LABELS if c in atlas.obs):
        sizes = atlas.obs[column].value_counts()
        shown = ": " + ", ".join(f"{value} {n}" for value, n in sizes.iloc[:SHOWN].items())
        more = f", and {len(sizes) - SHOWN} more" if len(sizes) > SHOWN else ""
        if column == "donor_id":  # names of people tell nothing, their number does
            shown = more = ""
        typer.echo(f"    {column}: {int(sizes.sum())} of {atlas.n_obs} samples, {len(sizes)} values{shown}{more}")
    for column in NUMBERS:
        if column in atlas.obs and atlas.obs[column].notna().any():
            values = atlas.obs[column].dropna()
            span = f"{values.min():.0f} to {values.max():.0f}, median {values.median():.0f}"
            typer.echo(f"    {column}: {len(values)} of {atlas.n_obs} samples, {span}")


def _advance(bar: Any) -> Any:
    def step(path: Path) -> None:
        bar.update(path.stat().st_size)

    return step


def _labels(entry: dict[str, Any], wanted: tuple[str, ...]) -> list[str]:
    """Those of the wanted labels that a data set has, with at least two different values."""
    return [label for label in wanted if label in entry.get("columns", ())]


def _shape(entry: dict[str, Any]) -> str:
    return f"{entry['samples']} x {entry['features']}" if "samples" in entry else "-"


def _size(n: int) -> str:
    return f"{n / 1e6:.1f} MB" if n >= 1e5 else f"{n / 1e3:.1f} kB"
