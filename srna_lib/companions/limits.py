"""Limits of explanations: can a ranking of sRNAs be trusted? Companion of arXiv 2303.11336 (notebook 09).

A simulator whose true features are known, and the tests that hold a ranking against them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from srna_lib.errors import InputError, unknown

READS = 1_500_000  # of a sample, as in the original
PRECISION = 4.0  # of theta: the Dirichlet's parameters are this times the gap
LEAST = 0.1  # share of an owned group that its smallest member has at least, times the group's size
LAYOUTS = ("blocks", "sparse", "ring", "chain")


@dataclass(frozen=True)
class Design:
    """What is simulated; change one by ``dataclasses.replace``.

    Attributes
    ----------
    n_classes, n_groups : int
        Classes; groups of features that rise and fall together (pathways there, families or clusters here).
    owned : int
        Groups that each class owns: class c has its own ones, those of no class say nothing.
    size : int or (int, int), default 10
        Features of a group; or the smallest and the largest, each equally likely.
    gap : float, default 2.0
        How many times its usual rate an owned group has in its class.
    layout : str, default "blocks"
        ``blocks``: a feature has one group. ``sparse``: each feature joins each group by chance, `size` in the mean and
        at least 3. ``ring``, ``chain``: neighbouring groups share a feature (the last also with the first, or not).
    n_features : int, default 0
        For ``sparse`` alone; the others have as many as their groups need.
    weights : tuple of float, default ()
        Share of the samples in each class; equal by default.
    ordinal : bool, default False
        All classes own the same groups, whose gap grows from 1 in the first class to `gap` in the last (as with age).
    evenness : float, default 5.0
        Dirichlet parameter of the shares of a group's members; 1 is more skewed.
    skew : float, default 0.0
        Standard deviation of the log base rates of the groups; about 2 in sRNA libraries.
    n_studies, study_sd : int and float, default 1 and 0.0
        Studies, and standard deviation of the log factor by which a study multiplies each group.
    classes_per_study : int, default 0
        Classes that a study holds (c, c + 1, ...); 0: all. Few of them confound study and class.
    prefix : str, default "g"
        Of the features' names.
    """

    n_classes: int
    n_groups: int
    owned: int
    size: int | tuple[int, int] = 10
    gap: float = 2.0
    layout: str = "blocks"
    n_features: int = 0
    weights: tuple[float, ...] = ()
    ordinal: bool = False
    evenness: float = 5.0
    skew: float = 0.0
    n_studies: int = 1
    study_sd: float = 0.0
    classes_per_study: int = 0
    prefix: str = "g"

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        sets = 1 if self.ordinal else self.n_classes
        if self.n_classes < 2 or not 1 <= self.owned * sets <= self.n_groups:
            found = f"{self.n_classes} classes that own {self.owned} of {self.n_groups} groups"
            raise InputError(f"design: found {found}; expected two classes or more, and enough groups for all of them.")
        if self.layout not in LAYOUTS:
            raise unknown("layout", self.layout, LAYOUTS)
        if self.classes_per_study and self.n_studies < self.n_classes:
            raise InputError(f"design: {self.n_studies} studies for {self.n_classes} classes; expected one for each.")


_TOY = Design(3, 3, 1, size=2)
_SRNA = {"size": (2, 10), "evenness": 1.0, "skew": 2.0, "n_studies": 24, "study_sd": 0.5, "prefix": "sRNA"}
DESIGNS = {
    "demo": Design(2, 6, 2),
    "SIMU1": Design(33, 1500, 37),
    "SIMU2": Design(33, 3000, 37, layout="sparse", n_features=15_000),
    "SimuA": Design(2, 5000, 500),
    "SimuB": Design(4, 5000, 500),
    "SimuC": Design(6, 5000, 500),
    "set0": _TOY,
    "set1": Design(3, 13, 1, size=2),
    "set2": _TOY,
    "set3": _TOY,
    "set4": Design(3, 3, 1, size=2, layout="ring"),
    "set5": Design(3, 3, 1, size=2, layout="chain"),
    "srna_tissue": Design(6, 120, 5, gap=2.0, classes_per_study=2, **_SRNA),  # type: ignore[arg-type]
    "srna_sex": Design(2, 120, 2, gap=1.2, **_SRNA),  # type: ignore[arg-type]
    "srna_age": Design(3, 120, 6, gap=1.5, ordinal=True, **_SRNA),  # type: ignore[arg-type]
}


def design(name: str) -> Design:
    """Look a design up by name.

    Beside `DESIGNS` there are families of 2000 features: ``syn_g_<m>`` (m + 1 classes with 10 groups each; of 6 and 11
    classes the last has half of the samples), ``syn_t_<k>`` (2 classes with one group of k features each), and
    ``syn_p_<m>`` (2 classes with m groups each). ``syn_g`` alone is ``syn_g_1``.
    """
    if found := re.fullmatch(r"syn_(?:g(?:_(\d+))?|t_(\d+)|p_(\d+))", name):
        classes, size, owned = (int(v) if v else 0 for v in found.groups())
        if size:
            return Design(2, 2000 // size, 1, size=size)
        if owned:
            return Design(2, 200, owned)
        n = (classes or 1) + 1
        return Design(n, 200, 10, weights=(0.5 / (n - 1),) * (n - 1) + (0.5,) if n in (6, 11) else ())
    if name not in DESIGNS:
        raise unknown("design", name, [*DESIGNS, "syn_g_<m>", "syn_t_<k>", "syn_p_<m>"])
    return DESIGNS[name]


class Simulation(NamedTuple):
    """Simulated samples and the truth behind them.

    Attributes
    ----------
    counts : DataFrame, shape (n_samples, n_features), int32
        Reads; every sample has `READS`.
    labels, studies : Series, shape (n_samples,)
        Class (``C0`` ...) and study (``S00`` ...) of each sample.
    groups : DataFrame, one row per group and member
        ``group, feature, share`` of the group's reads; a feature may be in several groups where they overlap.
    owned : dict of str to list of str
        Class -> groups that it owns.
    truth : DataFrame, shape (n_classes, n_features), int8
        1 where a feature is expected higher in a class than in the mean of the others, -1 where lower, 0 where it says
        nothing. A feature with 0 in every class belongs to no owned group.
    """

    counts: pd.DataFrame
    labels: pd.Series
    studies: pd.Series
    groups: pd.DataFrame
    owned: dict[str, list[str]]
    truth: pd.DataFrame


def simulate(
    what: str | Design = "demo", n_samples: int = 9900, *, seed: int = 0, two_step: bool = False
) -> Simulation:
    r"""Simulate reads by latent Dirichlet allocation, with classes that own groups of features.

    With k members in group p and :math:`g_{cp}` the gap where class c owns p and 1 elsewhere::

        beta_p  ~ Dirichlet(evenness, ..., evenness) on its members; drawn anew while min(beta_p) < 0.1 / k, if owned
        theta_e ~ Gamma(4 g_cp) * base_p * study_sp, brought to sum 1     (base_p, study_sp log-normal or 1)
        x_e     ~ Multinomial(N, theta_e @ beta)                          (one step)

    With base and study 1, theta is Dirichlet(4 g_c): the original's. There each read draws its group first and its
    feature then (``two_step``), which has the same distribution and takes a loop over all groups.

    Parameters
    ----------
    what : str or Design, default "demo"
        Name (see `design`) or a design of your own.
    n_samples : int, default 9900
        Samples in all; at least 2 of each class.
    seed : int, default 0
        Of everything: groups, studies and samples.
    two_step : bool, default False
        Draw as the original does, to compare.

    Returns
    -------
    Simulation

    Raises
    ------
    InputError
        Unknown name, impossible design, or too few samples.

    Examples
    --------
    >>> made = simulate("demo", 40, seed=1)
    >>> made.counts.shape, int((made.truth != 0).any().sum()), made.owned["C1"]
    ((40, 60), 40, ['P2', 'P3'])
    """
    d = design(what) if isinstance(what, str) else what
    if n_samples < 2 * d.n_classes:
        raise InputError(f"n_samples={n_samples}: expected at least {2 * d.n_classes} for {d.n_classes} classes.")
    rng = np.random.default_rng(seed)
    gaps = np.ones((d.n_classes, d.n_groups))
    for c in range(d.n_classes):
        gaps[c, slice(d.owned) if d.ordinal else slice(c * d.owned, (c + 1) * d.owned)] = (
            1 + (d.gap - 1) * c / (d.n_classes - 1) if d.ordinal else d.gap
        )
    mine = (gaps != 1).any(axis=0)
    beta = _shares(d, mine, rng)
    base = np.exp(d.skew * rng.normal(size=d.n_groups))
    factor = np.exp(d.study_sd * rng.normal(size=(d.n_studies, d.n_groups)))
    share = np.asarray(d.weights or (1 / d.n_classes,) * d.n_classes)
    label = np.repeat(np.arange(d.n_classes), np.diff(np.round(np.cumsum([0, *share]) * n_samples).astype(int)))
    counts, study = np.empty((n_samples, beta.shape[1]), dtype=np.int32), np.empty(n_samples, dtype=int)
    held = d.classes_per_study or d.n_classes
    for c, own in enumerate(rng.spawn(d.n_classes)):  # theta is the same in one step and in two
        rows = np.flatnonzero(label == c)
        hosts = [s for s in range(d.n_studies) if (c - s) % d.n_classes < held]
        study[rows] = np.resize(hosts, len(rows))
        theta = own.gamma(PRECISION * gaps[c], size=(len(rows), d.n_groups)) * base * factor[study[rows]]
        theta /= theta.sum(axis=1, keepdims=True)
        counts[rows] = _two_step(theta, beta, own) if two_step else own.multinomial(READS, theta @ beta)
    features = [f"{d.prefix}{j}" for j in range(beta.shape[1])]
    groups, classes = [f"P{p}" for p in range(d.n_groups)], [f"C{c}" for c in range(d.n_classes)]
    expected = (gaps * base) @ beta
    others = (expected.sum(axis=0) - expected) / (d.n_classes - 1)
    truth = np.where(np.abs(expected - others) > 1e-9 * expected, np.sign(expected - others), 0).astype(np.int8)
    members, index = beta.tocoo(), pd.Index([f"s{i}" for i in range(n_samples)])
    return Simulation(
        pd.DataFrame(counts, index, features),
        pd.Series([classes[c] for c in label], index, name="class"),
        pd.Series([f"S{s:02d}" for s in study], index, name="study"),
        pd.DataFrame({"group": np.take(groups, members.row), "feature": np.take(features, members.col)}).assign(
            share=members.data
        ),
        {c: [g for g, gap in zip(groups, row, strict=True) if gap != 1] for c, row in zip(classes, gaps, strict=True)},
        pd.DataFrame(truth, classes, features),
    )


def _shares(d: Design, owned: np.ndarray, rng: np.random.Generator) -> sparse.csr_matrix:
    """Share of each member in its group's reads, shape (n_groups, n_features)."""
    low, high = (d.size, d.size) if isinstance(d.size, int) else d.size
    sizes, n_features = rng.integers(low, high + 1, d.n_groups), d.n_features
    if d.layout == "sparse":
        members = [np.flatnonzero(rng.random(n_features) < low / n_features) for _ in sizes]
        while short := [p for p, m in enumerate(members) if len(m) < 3]:
            members[short[0]] = np.flatnonzero(rng.random(n_features) < low / n_features)
    else:
        starts = np.cumsum([0, *sizes - (d.layout != "blocks")])
        n_features = int(starts[-1]) + (d.layout == "chain")
        members = [(at + np.arange(k)) % n_features for at, k in zip(starts, sizes, strict=False)]
    shares = []
    for p, own in enumerate(members):
        drawn = rng.dirichlet([d.evenness] * len(own))
        while owned[p] and drawn.min() < LEAST / len(own):
            drawn = rng.dirichlet([d.evenness] * len(own))
        shares.append(drawn)
    where = np.repeat(np.arange(d.n_groups), [len(m) for m in members]), np.concatenate(members)
    return sparse.csr_matrix((np.concatenate(shares), where), shape=(d.n_groups, n_features))


def _two_step(theta: np.ndarray, beta: sparse.csr_matrix, rng: np.random.Generator) -> np.ndarray:
    """Reads drawn group by group, shape (n_samples, n_features)."""
    of_group = rng.multinomial(READS, theta)
    counts = np.zeros((len(theta), beta.shape[1]), dtype=np.int64)
    for p in range(beta.shape[0]):
        row = beta[p]
        counts[:, row.indices] += rng.multinomial(of_group[:, p], row.data / row.data.sum())
    return counts
