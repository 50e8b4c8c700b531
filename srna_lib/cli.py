"""The ``srna`` command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import srna_lib
from srna_lib import cli_convert, cli_datasets
from srna_lib.errors import InputError

app = typer.Typer(
    help="Metadata prediction for small-RNA sequencing samples.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(cli_datasets.app, name="datasets")
app.command("convert")(cli_convert.convert)


def main() -> None:
    """Entry point of ``srna``: bad input is one sentence and exit code 2, whichever command it meets."""
    try:
        app(prog_name="srna")
    except InputError as error:
        typer.echo(f"srna: error: {error}", err=True)
        sys.exit(2)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Say what a user got wrong in one sentence (exit code 2), and an interruption in one line (130)."""
    try:
        yield
    except InputError as error:
        typer.echo(f"srna: error: {error}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        typer.echo("srna: interrupted; the same command goes on where it stopped", err=True)
        raise typer.Exit(130) from error


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"srna {srna_lib.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    notebooks: Annotated[
        list[str] | None,
        typer.Argument(metavar="NOTEBOOK", help="Number (01, 2), stem or file name; none for all."),
    ] = None,
    dataset: Annotated[str, typer.Option(help="Data set (demo, mirome) or your own atlas.h5ad.")] = "demo",
    profile: Annotated[str, typer.Option(help="Size of the run: smoke, demo or full.")] = "demo",
    out: Annotated[Path | None, typer.Option(help="Report folder.", show_default="reports/DATASET")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Parallel workers inside a notebook.")] = 2,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of splits, models, simulation.")] = 0,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Further notebook parameter; repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run again what is already done.")] = False,
    notebooks_dir: Annotated[
        Path | None, typer.Option("--notebooks", metavar="DIR", help="Folder of the notebooks.")
    ] = None,
) -> None:
    """Run notebooks on a data set and write a report that opens without network.

    Without NOTEBOOK, those that need a label which the data set does not have are left out, and the report says why.
    """
    with _plain_errors():
        extra = _pairs(parameter or [])
        from srna_lib.reports import run_notebooks

        report = run_notebooks(
            notebooks or [],
            dataset=dataset,
            profile=profile,
            out=out,
            jobs=jobs,
            seed=seed,
            parameters=extra,
            force=force,
            notebooks_dir=notebooks_dir,
            say=typer.echo,
        )
        typer.echo(f"report: {report.index}")
        if report.failed:
            raise typer.Exit(2 if report.bad_input else 1)


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
