"""Parquet file -> table; nothing that the file says about Python types is followed."""

from __future__ import annotations

import pandas as pd

from srna_lib.errors import ReadError
from srna_lib.tables import MAX_CELLS, MAX_COLUMNS, Table
from srna_lib.unpack import MAX_BYTES, Source, short


def parse_parquet(source: Source) -> Table:
    """One table from a parquet file.

    Parameters
    ----------
    source : Source
        The file; a saved pandas index, or else the first column of text, becomes the first column.

    Returns
    -------
    Table
        At least one row and two columns.

    Raises
    ------
    ReadError
        Damaged or too large.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(source.data))
        shape = file.metadata.num_rows, file.metadata.num_columns
        if shape[1] > MAX_COLUMNS or shape[0] * shape[1] > MAX_CELLS:
            raise ReadError(
                f"{source.name}: {shape[0]} rows x {shape[1]} columns; expected at most {MAX_COLUMNS} columns and"
                f" {MAX_CELLS} cells."
            )
        size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
        if size > MAX_BYTES:
            raise ReadError(f"{source.name}: unfolds to {size} bytes; expected at most {MAX_BYTES}.")
        # the pandas metadata of a stranger's file is not followed: it only renames columns
        frame = file.read().to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(
            f"{source.name}: damaged parquet data ({short(str(error))}); expected a whole parquet file."
        ) from error
    columns = ["" if str(c).startswith("__index_level_") else str(c) for c in frame.columns]
    if "" in columns:  # pandas writes its index last
        order = [columns.index(""), *(i for i in range(len(columns)) if i != columns.index(""))]
        columns, frame = [columns[i] for i in order], frame.iloc[:, order]
    text = [i for i, dtype in enumerate(frame.dtypes) if not pd.api.types.is_numeric_dtype(dtype)]
    if text and text[0] != 0 and "" not in columns:  # a named index, or names that stand further right
        order = [text[0], *(i for i in range(len(columns)) if i != text[0])]
        columns, frame = [columns[i] for i in order], frame.iloc[:, order]
    frame.columns = range(frame.shape[1])
    if frame.shape[1] < 2 or frame.empty:
        raise ReadError(f"{source.name}: {shape[0]} rows x {shape[1]} columns; expected names and counts.")
    frame[0] = frame[0].astype(object).where(frame[0].isna(), frame[0].astype(str))
    return Table(source.name, columns, frame, "", source.notes)
