"""Metadata of users' samples: the table beside the counts, matched by sample name, in the atlas's columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from srna_lib.errors import ReadError
from srna_lib.io.tables import SAMPLE_COLUMNS, Table, as_name, columns_called, decode, parse
from srna_lib.io.tools import geo_samples
from srna_lib.io.unpack import COMPRESSED, expect, load, short, stem

# of the atlas, which users call by other names, too (`columns_called`)
COLUMNS = ("dataset_id", "donor_id", "tissue", "tissue_group", "cell_type", "cell_class", "sex", "age_years",
           "platform", "library_protocol")  # fmt: skip
NEVER_NAMES = {*columns_called("age_years"), *columns_called("sex")}
SEXES = {"f": "female", "female": "female", "woman": "female", "m": "male", "male": "male", "man": "male"}
MAX_AGE = 125  # 999 and the like stand for an unknown age
AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:y|yr|yrs|year|years|y\.?o\.?|years? old)?", re.IGNORECASE)


def find(path: Path) -> Path | None:
    """Metadata beside a count file or in a folder: ``<stem>.metadata.csv|tsv|txt``, else ``metadata.csv|tsv|txt``."""
    own = [path.parent / f"{stem(path)}.metadata{e}" for e in (".csv", ".tsv", ".txt")]
    folder = path if path.is_dir() else path.parent
    shared = [folder / f"metadata{e}" for e in (".csv", ".tsv", ".txt")]
    candidates = [p.with_name(p.name + s) for p in (*own, *shared) for s in ("", *COMPRESSED)]
    return next((p for p in candidates if p.is_file() and p != path), None)


def read_metadata(path: Path) -> Table:
    """Metadata file as a table; a GEO series matrix gives its sample table."""
    source = load(path)
    if source.kind == "text":
        text, _ = decode(source)
        if text.lstrip().startswith("!Series_"):
            frame, series = geo_samples(text, source.name)
            frame = frame.assign(dataset_id=series.get("geo_accession", stem(path))).reset_index(names="geo_accession")
            columns = [str(c) for c in frame.columns]
            return Table(source.name, columns, frame.set_axis(range(frame.shape[1]), axis=1))
    return parse(source)


def names_in(table: Table) -> set[str]:
    """Every text of a metadata table that could be a sample name."""
    return {t for i in _candidates(table) for t in table.labels(i)}


def match(table: Table, samples: list[str], notes: list[str]) -> pd.DataFrame:
    """Rows of a metadata table for the samples of the counts, by the column that holds most of their names."""
    wanted = set(samples)
    hits = {i: len(wanted & set(table.labels(i))) for i in _candidates(table)}
    # a column that is called so wins: samples named 1, 2, 3 would also be found among ages
    named = {i: n for i, n in hits.items() if n and table.columns[i].lower() in SAMPLE_COLUMNS}
    best = max(named or hits, key=lambda i: (hits[i], -i), default=0)
    listed = f"none of its columns ({', '.join(short(c, 20) for c in table.columns[:6])})"
    first = f"a sample name of the counts (first {short(samples[0], 40)!r})"
    expect(hits.get(best), f"{table.name}: {listed} holds {first}; expected a column of sample names")
    texts = table.labels(best)
    others = [i for i in range(len(table.columns)) if i != best]
    frame = table.frame[others].set_axis([table.columns[i] or f"column_{i + 1}" for i in others], axis=1)
    frame = frame.loc[:, ~frame.columns.duplicated()].set_axis(texts)
    frame = frame[frame.index.isin(list(wanted))]
    frame = frame[~frame.reset_index().duplicated().to_numpy()]
    if not frame.index.is_unique:
        twice = short(frame.index[frame.index.duplicated()][0], 40)
        raise ReadError(f"{table.name}: sample {twice!r} has two rows that differ; expected one row for each.")
    notes.append(
        f"metadata {Path(table.name).name}: {hits[best]} of {len(samples)} samples found by column"
        f" {short(table.columns[best], 30) or 'one'!r}, {len(set(texts) - wanted)} rows of other samples left aside"
    )
    return frame.reindex(samples)


def normalise(obs: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Columns and values as the atlas has them: aliases renamed, sex and age understood, unknown is NaN."""
    plain = [re.sub(r"[\s/.-]+", "_", str(c).strip().lower()).strip("_") for c in obs]
    obs = obs.set_axis([name or f"column_{i + 1}" for i, name in enumerate(plain)], axis=1)
    obs = obs.loc[:, ~obs.columns.duplicated()]
    for column in COLUMNS:
        alias = next((a for a in columns_called(column) if a in obs), column)
        if alias != column:
            obs = obs.rename(columns={alias: column})
            notes.append(f"column {alias} read as {column}")
    obs = obs.apply(_plain) if obs.shape[1] else obs
    if "sex" in obs:
        obs["sex"] = _understood(obs["sex"], lambda t: SEXES.get(t.lower()), "female or male", notes)
    if "age_years" in obs:
        obs["age_years"] = _understood(obs["age_years"], _years, "years of a life", notes).astype(float)
    for column in ("dataset_id", "donor_id"):
        if column in obs:
            obs[column] = obs[column].map(as_name, na_action="ignore").astype(object)
    if "sample_id" in obs:  # anndata writes no column that is called as the index
        notes.append("column sample_id, beside the one that names the samples, kept as sample_name")
        obs = obs.drop(columns="sample_name", errors="ignore").rename(columns={"sample_id": "sample_name"})
    unknown = [c for c in obs if obs[c].dtype == object and obs[c].isna().all()]  # .h5ad cannot hold them
    if unknown:
        notes.append(f"columns without a known value left out: {', '.join(short(c, 20) for c in unknown[:8])}")
    return obs.drop(columns=unknown)


def _years(text: str) -> float | None:
    years = AGE.fullmatch(text)
    return float(years[1]) if years and float(years[1]) <= MAX_AGE else None


def _understood(values: pd.Series, meaning: Callable[[str], object], expected: str, notes: list[str]) -> pd.Series:
    texts = values.map(as_name, na_action="ignore")
    known = texts.map(meaning, na_action="ignore").astype(object)
    lost = texts[texts.notna() & known.isna()]
    if len(lost):
        first = short(str(lost.iloc[0]), 20)
        notes.append(f"{values.name}: {len(lost)} values are not {expected} (first {first!r}) and count as unknown")
    return known.where(known.notna(), np.nan)


def _plain(column: pd.Series) -> pd.Series:
    """Give a column a type that .h5ad can hold: float for numbers, bool, or text."""
    if pd.api.types.is_bool_dtype(column):
        return column
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    return column.astype(object).map(lambda v: str(v).strip(), na_action="ignore").where(column.notna(), np.nan)


def _candidates(table: Table) -> list[int]:
    lowered = [c.lower() for c in table.columns]
    named = [i for i, c in enumerate(lowered) if c in SAMPLE_COLUMNS]
    return [*named, *(i for i, c in enumerate(lowered) if i not in named and c not in NEVER_NAMES)][:200]
