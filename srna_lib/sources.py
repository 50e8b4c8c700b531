"""Opening the files of public data sets: delimited text, R data frames, R experiments."""

from __future__ import annotations

import lzma
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from srna_lib.errors import InputError

UNREADABLE = (ValueError, LookupError, EOFError, OSError, NotImplementedError, lzma.LZMAError, zlib.error)


def read_rda(path: Path | str) -> dict[str, Any]:
    """Read an R data file of data frames.

    Parameters
    ----------
    path : path
        ``.rda`` file.

    Returns
    -------
    dict
        Name of the R object -> DataFrame or array.

    Raises
    ------
    InputError
        No such file, or no R data file.
    """
    import rdata

    try:
        with warnings.catch_warnings():
            # readr leaves its column specification as an attribute; rdata has no class for it, nor do we.
            warnings.filterwarnings("ignore", message="Missing constructor for R class")
            return rdata.read_rda(path, default_encoding="latin-1", force_default_encoding=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; expected an R data file (.rda).") from error
    except UNREADABLE as error:
        raise InputError(f"{path}: this is no readable R data file ({error}); expected .rda.") from error


def read_experiment(path: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the first assay and the sample table of an R data file that holds one ``SummarizedExperiment``.

    The S4 object is walked as it lies in the file (its slots are attributes), because a class without R has no
    constructor here.

    Parameters
    ----------
    path : path
        ``.rda`` file with one S4 object.

    Returns
    -------
    counts : DataFrame, shape (n_samples, n_features)
        First assay, transposed; names are its ``dimnames``.
    samples : DataFrame, shape (n_samples, n_columns)
        ``colData``, by position.

    Raises
    ------
    InputError
        No such file, no R data file, or no such object in it.
    """
    import rdata

    try:
        parsed = rdata.parser.parse_file(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; expected an R data file (.rda).") from error
    except UNREADABLE as error:
        raise InputError(f"{path}: this is no readable R data file ({error}); expected .rda.") from error
    try:
        (experiment,) = _pairs(parsed.object).values()
        slots = _pairs(experiment.attributes)
        assays = _pairs(_pairs(slots["assays"].attributes)["data"].attributes)["listData"]
        matrix = assays.value[0]
        described = _pairs(matrix.attributes)
        features, samples = (_strings(names) for names in described["dimnames"].value)
        values = np.asarray(matrix.value).reshape(tuple(described["dim"].value), order="F")
        columns = _pairs(slots["colData"].attributes)["listData"]
        names = _strings(_pairs(columns.attributes)["names"])
        table = {name: _vector(column) for name, column in zip(names, columns.value, strict=True)}
        counts = pd.DataFrame(values.T, index=samples, columns=features)
        return counts, pd.DataFrame(table)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: the object in it cannot be walked ({error!r}); expected one SummarizedExperiment with an assay,"
            " its dimnames and colData."
        ) from error


def _pairs(node: Any) -> dict[str, Any]:
    """Tag -> value of an R pair list."""
    found = {}
    while node is not None and node.info.type.name == "LIST":
        tag = node.tag if node.tag.referenced_object is None else node.tag.referenced_object
        found[tag.value.value.decode("latin-1")] = node.value[0]
        node = node.value[1]
    return found


def _strings(node: Any) -> list[Any]:
    return [np.nan if text.value is None else text.value.decode("latin-1") for text in node.value]


def _vector(node: Any) -> Any:
    return _strings(node) if node.info.type.name == "STR" else np.asarray(node.value)


def read_table(path: Path | str, columns: tuple[str, ...] = (), **options: Any) -> pd.DataFrame:
    """Read a delimited text file of a public data set and hold it against the columns that it must have.

    Parameters
    ----------
    path : path
        The file.
    columns : tuple of str
        Columns that must be there.
    **options
        Passed to `pandas.read_csv`.

    Returns
    -------
    DataFrame
        As pandas reads it.

    Raises
    ------
    InputError
        No such file, no such table, or a column is missing.
    """
    try:
        table = pd.read_csv(path, **options)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; expected a table.") from error
    except (*UNREADABLE, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: this is no readable table ({reason}); expected delimited text.") from error
    lacking = [c for c in columns if c not in table]
    if lacking:
        raise InputError(f"{path}: the columns {', '.join(lacking)} are missing; expected them for every sample.")
    return table


def coded(values: pd.Series, codes: dict[Any, str], path: Path | str) -> pd.Series:
    """Translate the codes of a source into words; missing stays NaN.

    Raises
    ------
    InputError
        A code that the table of codes lacks.
    """
    unknown = sorted(set(values.dropna()) - set(codes), key=str)
    if unknown:
        raise InputError(
            f"{path}: {values.name} holds the code {unknown[0]!r}; expected one of {', '.join(map(str, codes))}."
        )
    return values.map(codes).astype(object)


def plain(column: pd.Series) -> pd.Series:
    """Give a column a type that .h5ad can hold: float for numbers, object for text."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    return column.astype(object).where(column.notna(), np.nan)
