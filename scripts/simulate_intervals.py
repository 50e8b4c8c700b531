"""How often does a 95 % interval hold the truth? A simulation from real studies -> ``docs/intervals.md``.

``python scripts/simulate_intervals.py [--worlds 400] [--check]``. Needs the data set mirome (the network or
``SRNA_DATA_MIRROR``). One real out-of-fold table (logistic, grouped folds) gives every study its classes, sizes and
confusions. Worlds are made of it in three ways, each with a known truth: studies drawn with replacement as they are;
studies drawn, their recalls drawn anew; the studies that there are, their recalls drawn anew. Recalls of a class vary
between studies as a beta distribution with the class's mean and the intra-class correlation of all of them.
``--check`` makes a few worlds and compares the method that was kept with `srna_lib.score`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import srna_lib as srna

PAGE = Path(__file__).resolve().parent.parent / "docs" / "intervals.md"
METRICS = ("accuracy", "balanced accuracy", "mean over studies")
WORLDS = {
    "resampled": "studies drawn with replacement, as they are",
    "redrawn": "studies drawn, their recalls drawn anew",
    "fixed": "the studies that there are, their recalls drawn anew",
}
N_BOOT = 800
KEPT = "stretched, t of effective studies"
HEAD = """# Do intervals over studies hold the truth?

Written by `python scripts/simulate_intervals.py --worlds {worlds}` from predictions of `logistic` on `mirome`, folds
grouped by study: {studies} studies, {classes} classes, {samples} samples; intra-class correlation of being
correct within a study {correlation:.2f}. Share of {worlds} simulated worlds whose 95 % interval holds the truth (one
standard error: about {error:.3f}), of three metrics (accuracy / balanced accuracy / mean over studies):
"""
TAIL = """
In bold what `srna.score` and `srna.compare` do: value plus and minus the root mean square distance of the bootstrap's
replicates from it, times the t quantile of one degree of freedom less than the *effective* number of studies, which is
(sum of squared influences)^2 / (sum of their fourth powers): the number of studies where all weigh alike, one where a
single study decides. Distances of a class's recall are stretched by sqrt(n / (n - 1)) for its n studies. Percentiles
of the same replicates are too narrow where few large studies decide (accuracy) and where classes come from few
studies (balanced accuracy). Keeping the recall of a class that a replicate lacks, drawing within strata, or Bayesian
weights all take a class of a single study for certain, and are too narrow for balanced accuracy: with one study nothing
is known of how its class varies, and that the class is now there and now missing is what stands in for it.
"""


def observed(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Samples and correct predictions of every study and class, each of shape (n_studies, n_classes)."""
    study, classes = pd.factorize(table["dataset_id"], sort=True)[0], sorted(table["y_true"].unique())
    n, right = (np.zeros((study.max() + 1, len(classes))) for _ in range(2))
    at = pd.Index(classes).get_indexer(table["y_true"])
    np.add.at(n, (study, at), 1)
    np.add.at(right, (study, at), table["y_true"] == table["y_pred"])
    return n, right


def correlation(n: np.ndarray, right: np.ndarray) -> float:
    """Intra-class correlation of being correct within a study, over all classes (by analysis of variance)."""
    between = total = 0.0
    for size, hits in zip(n.T, right.T, strict=True):
        size, hits = size[size > 0], hits[size > 0]
        if len(size) < 2:
            continue
        p, mean, whole = hits / size, hits.sum() / size.sum(), size.sum()
        among = (size * (p - mean) ** 2).sum() / (len(size) - 1)
        within = (size * p * (1 - p)).sum() / (whole - len(size))
        usual = (whole - (size**2).sum() / whole) / (len(size) - 1)
        between += (among - within) / usual
        total += (among - within) / usual + within
    return between / total


def measure(
    weights: np.ndarray, n: np.ndarray, right: np.ndarray, *, stretch: bool = False, keep_classes: bool = False
) -> np.ndarray:
    """The three metrics under weights of studies, shape (n_replicates, 3); `stretch` as `srna_lib.score` does."""
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, whole, studies = (
            (weights @ right) / (weights @ n),
            right.sum(axis=0) / n.sum(axis=0),
            (n > 0).sum(axis=0),
        )
        recall = whole + np.sqrt(1 / (1 - 1 / np.maximum(studies, 2))) * (recall - whole) if stretch else recall
        if keep_classes:  # a class without a study keeps the recall that it has
            recall = np.where(np.isnan(recall), whole, recall)
        pooled = (weights @ right.sum(axis=1)) / (weights @ n.sum(axis=1))
        own = weights @ (right.sum(axis=1) / n.sum(axis=1)) / weights.sum(axis=1)
        return np.stack([pooled, np.nanmean(recall, axis=1), own], axis=1)


def world(rng: np.random.Generator, kind: str, n: np.ndarray, right: np.ndarray, rho: float) -> tuple:
    """Samples and correct predictions of a world, and the truth of the three metrics."""
    mean = right.sum(axis=0) / n.sum(axis=0)
    if kind == "resampled":
        drawn = rng.integers(len(n), size=len(n))
        size, hits, expected = n[drawn], right[drawn], right
    else:
        mean = np.clip(mean, 0.02, 0.98)
        size = n if kind == "fixed" else n[rng.integers(len(n), size=len(n))]
        p = rng.beta(mean * (1 - rho) / rho, (1 - mean) * (1 - rho) / rho, size.shape)
        hits, expected = rng.binomial(size.astype(int), p).astype(float), n * mean
    of_classes = mean[size.sum(axis=0) > 0].mean()  # the classes that the world has
    return size, hits, [expected.sum() / n.sum(), of_classes, (expected.sum(axis=1) / n.sum(axis=1)).mean()]


def intervals(rng: np.random.Generator, n: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    """Method -> ends, shape (2, 3)."""
    count, value = len(n), measure(np.ones((1, len(n))), n, right)[0]
    rarest = np.where(n > 0, (n > 0).sum(axis=0) + np.arange(n.shape[1]) / 1e3, np.inf).argmin(axis=1)
    plain = rng.multinomial(count, np.full(count, 1 / count), size=N_BOOT).astype(float)
    stratified = np.zeros((N_BOOT, count))
    for stratum in np.unique(rarest):
        rows = np.flatnonzero(rarest == stratum)
        stratified[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=N_BOOT)
    influence = (value - measure(1 - 1e-3 * np.eye(count), n, right)) / 1e-3
    df = (influence**2).sum(axis=0) ** 2 / np.maximum((influence**4).sum(axis=0), 1e-300)
    acceleration = (influence**3).sum(axis=0) / (6 * np.maximum((influence**2).sum(axis=0), 1e-300) ** 1.5)
    draws = {
        "plain": measure(plain, n, right),
        "classes kept": measure(plain, n, right, keep_classes=True),
        "stratified by rarest class": measure(stratified, n, right),
        "Bayesian": measure(rng.exponential(size=(N_BOOT, count)), n, right),
    }
    ends = {f"{name}, percentiles": np.nanquantile(d, [0.025, 0.975], axis=0) for name, d in draws.items()}
    below = np.clip((draws["Bayesian"] < value).mean(axis=0), 1e-3, 1 - 1e-3)
    z = stats.norm.ppf(below) + stats.norm.ppf([[0.025], [0.975]])
    levels = stats.norm.cdf(stats.norm.ppf(below) + z / (1 - acceleration * z))
    ends["BCa"] = np.array([[np.quantile(draws["Bayesian"][:, k], q) for k, q in enumerate(row)] for row in levels])
    draws["stretched"] = measure(plain, n, right, stretch=True)
    for name, d in draws.items():
        half = stats.t.ppf(0.975, np.maximum(df - 1, 1)) * np.sqrt(np.nanmean((d - value) ** 2, axis=0))
        ends[f"{name}, t of effective studies"] = np.stack([value - half, value + half])
    return ends


def simulate(n: np.ndarray, right: np.ndarray, n_worlds: int, seed: int = 0) -> pd.DataFrame:
    """Coverage and mean width of every method, world and metric."""
    rho = correlation(n, right)
    rows: list[tuple] = []
    for kind in WORLDS:
        rng = np.random.default_rng(seed)
        for _ in range(n_worlds):
            size, hits, truth = world(rng, kind, n, right, rho)
            for method, (low, high) in intervals(rng, size, hits).items():
                held = (low <= truth) & (truth <= high)
                rows += zip([method] * 3, [kind] * 3, METRICS, held, high - low, strict=True)
    table = pd.DataFrame(rows, columns=["method", "world", "metric", "held", "width"])
    return table.groupby(["method", "world", "metric"], sort=False)[["held", "width"]].mean().reset_index()


def page(table: pd.DataFrame, n: np.ndarray, right: np.ndarray, n_worlds: int) -> str:
    """The page: what was asked, and a table of coverage."""
    wide = table.pivot(index="method", columns=["world", "metric"], values="held")
    wide = wide.loc[list(dict.fromkeys(table["method"])), [(w, m) for w in WORLDS for m in METRICS]]
    about = {"studies": len(n), "classes": n.shape[1], "samples": int(n.sum()), "worlds": n_worlds}
    about |= {"correlation": correlation(n, right), "error": np.sqrt(0.95 * 0.05 / n_worlds)}
    lines = [HEAD.format(**about), "| method | " + " | ".join(WORLDS.values()) + " |", "|---" * (1 + len(WORLDS)) + "|"]
    for method, row in wide.iterrows():
        cells = [" / ".join(f"{row[w, m]:.3f}" for m in METRICS) for w in WORLDS]
        kept = "**" if method == KEPT else ""
        lines.append(f"| {kept}{method}{kept} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, TAIL])


def check(n: np.ndarray, right: np.ndarray) -> None:
    """Hold the method that was kept against `srna_lib.score`, on the real table as made of counts."""
    rows = [
        (f"s{s}-{c}-{i}", f"S{s:03d}", f"c{c:02d}", f"c{c if i < right[s, c] else (c + 1) % n.shape[1]:02d}")
        for s, c in zip(*np.nonzero(n), strict=True)
        for i in range(int(n[s, c]))
    ]
    table = pd.DataFrame(rows, columns=["sample_id", "dataset_id", "y_true", "y_pred"])
    table = table.assign(task="t", model="m", features="sRNA", scheme="grouped_kfold", fold="0")
    metrics = ["accuracy", "balanced_accuracy", "accuracy_per_dataset"]
    scores = srna.score(table, metrics=metrics, n_boot=N_BOOT).set_index("metric").loc[metrics]
    found = (scores["ci_high"] - scores["ci_low"]).to_numpy()
    low, high = intervals(np.random.default_rng(0), n, right)[KEPT]
    if not np.allclose(found, high - low, rtol=0.1):
        sys.exit(f"widths of srna.score {found.round(3)} and of the simulation {(high - low).round(3)} differ.")
    print("the method of the simulation is that of srna.score")


def main(arguments: list[str]) -> None:
    """Simulate and write the page, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    task = srna.make_task(srna.load("mirome"), "tissue_group")
    n, right = observed(srna.cross_validate(task, "logistic", "study", n_jobs=2))
    if options.check:
        check(n, right)
        return
    text = page(simulate(n, right, options.worlds), n, right, options.worlds)
    partial = PAGE.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(PAGE)
    print(PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
