"""Whether numbers are raw counts, and in which words to say that they are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LARGEST = 1e12  # no library has a million million reads; beyond 2**53 whole numbers are no longer exact
MILLION = (0.99e6, 1.01e6)
LOG_LARGEST = 35.0  # log2 of the largest library is below 35


@dataclass(frozen=True)
class Quantity:
    """What a matrix holds.

    Attributes
    ----------
    kind : str
        ``"counts"``, ``"normalised"``, ``"expected"`` (fractions of counts) or ``"broken"`` (never readable).
    found : str
        What was seen, as the middle of a sentence.
    """

    kind: str
    found: str = ""


def judge(values: np.ndarray) -> Quantity:
    """Judge a matrix by its values.

    Parameters
    ----------
    values : array, shape (n_samples, n_srnas)
        No missing values.

    Returns
    -------
    Quantity
        Rows that all sum to a million are RPM even when rounded; whole numbers otherwise are counts; fractions up
        to 35 are a log scale; negative values are a log scale or differences; other fractions are expected counts.
    """
    if values.size == 0:
        return Quantity("broken", f"the table has {values.shape[0]} samples and {values.shape[1]} sRNAs")
    if not np.isfinite(values).all():
        return Quantity("broken", f"{int((~np.isfinite(values)).sum())} values are infinite or missing")
    sums, largest = values.sum(axis=1), float(values.max())
    if largest > LARGEST:
        return Quantity("broken", f"the largest value is {largest:g}, more reads than any library has")
    fraction = float((values != np.floor(values)).mean())
    if (values < 0).any():
        kind = "normalised" if fraction else "broken"
        what = "log ratios or centred values" if fraction else "no counts"
        return Quantity(
            kind, f"{int((values < 0).sum())} values are negative (smallest {values.min():g}), so these are {what}"
        )
    if ((sums > MILLION[0]) & (sums < MILLION[1])).all() and values.shape[1] > 1:
        return Quantity("normalised", "every sample sums to a million, so these are reads per million (RPM, CPM, TPM)")
    if not fraction:
        return Quantity("counts")
    if largest <= LOG_LARGEST:
        return Quantity(
            "normalised", f"{fraction:.0%} of the values are fractions and none is above {largest:g}, a log scale"
        )
    return Quantity(
        "expected",
        f"{fraction:.0%} of the values are fractions (largest {largest:g}), as expected counts (RSEM, shared reads)"
        " or normalised values have them",
    )
