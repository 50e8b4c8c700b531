"""``srna convert``: a user's counts -> an atlas on disk, with a summary of what was understood."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srna_lib.errors import InputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def convert(
    input: Annotated[Path, typer.Argument(metavar="INPUT", help="Count file or folder.")],
    out: Annotated[Path, typer.Option("--out", metavar="ATLAS.h5ad", help="Atlas to write.")],
    format: Annotated[str | None, typer.Option("--format", help="Layout, where detection errs.")] = None,
    metadata: Annotated[
        Path | None,
        typer.Option("--metadata", help="Sample table.", show_default="STEM.metadata.csv or metadata.csv beside INPUT"),
    ] = None,
    dataset_id: Annotated[
        str | None,
        typer.Option("--dataset-id", metavar="NAME", help="Study of all samples.", show_default="as the metadata say"),
    ] = None,
    allow_normalised: Annotated[
        bool, typer.Option("--allow-normalised", help="Carry values that are no counts.")
    ] = False,
    round_expected: Annotated[bool, typer.Option("--round", help="Round expected counts to whole ones.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing ATLAS.h5ad.")] = False,
) -> None:
    """Read counts of any known layout, say what was understood, and write an atlas."""
    try:
        from srna_lib import format_h5ad, readers

        _check_target(input, out, force)
        adata = readers.read(
            input,
            format=format,
            metadata=metadata,
            dataset_id=dataset_id,
            allow_normalised=allow_normalised,
            round_expected=round_expected,
        )
        typer.echo(readers.describe(adata))
        try:
            format_h5ad.write_h5ad(adata, out)
        except OSError as error:
            why = error.strerror or error
            raise InputError(f"{out}: cannot be written ({why}); expected a writable path.") from error
        typer.echo(f"written: {out}")
    except InputError as error:
        typer.echo(f"srna: error: {error}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        typer.echo("srna: interrupted; nothing was written", err=True)
        raise typer.Exit(130) from error


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
