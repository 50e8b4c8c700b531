"""Whether other representations of counts, or other models on them, know unseen studies better.

``python scripts/compare_representations.py`` fits `logistic` and the classifier of `robust` on `REPRESENTATIONS`, other
models on two of them: ten folds by study, and lungs of another laboratory (half an hour on two cores). It writes a
block of ``docs/unseen_studies.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from compare_refusal import write_block
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import srna_lib as srna
from srna_lib.data import counts_frame, harmonise
from srna_lib.models import LogCPM, Presence, ReadsPerMillion, SampleRanks
from srna_lib.models.studies import StudyClassifier, study_noise

PAGE = Path(__file__).resolve().parent.parent / "docs" / "unseen_studies.md"
METRICS = ["accuracy", "balanced_accuracy", "accuracy_per_dataset"]
N_DIRECTIONS = 20
EXTERNAL, RIGHT = "lgrc", "lung"
HEAD = """Written by `python scripts/compare_representations.py`: tissue group: accuracy, balanced accuracy, mean over
studies in ten folds by study, and the paired difference in the mean over studies from the same model on
log2(CPM + 1) (of that: from `logistic`). *Lungs*: how many of the 351 of `{external}`, which trained nothing, are
called lung, and the mean probability of it. `forest`: 500 trees; `boosting`: 20 rounds on the 300 sRNAs of the
largest F (both on `mirome` alone); `projection`: `logistic` without the {n} directions in which studies of one class
differ most.
"""


def centred(X: pd.DataFrame) -> np.ndarray:
    """Centred log-ratio; a linear model of log-ratios of pairs is one of these."""
    logs = LogCPM().fit_transform(X)
    return logs - logs.mean(axis=1, keepdims=True)


def log_ranks(X: pd.DataFrame) -> np.ndarray:
    """Minus log2 of the rank from the top."""
    return -np.log2(rankdata(-np.asarray(X), axis=1))


def families(X: pd.DataFrame) -> np.ndarray:
    """log2(CPM + 1) of sums over the names that share a number (miR-30a-5p, miR-30c-1-3p: 30, each arm by itself)."""
    names = X.columns.to_series().str.replace(r"^(\w+-(?:miR|let)-\d+)[a-z]*(?:-\d+)?(?=-[35]p|$)", r"\1", regex=True)
    return LogCPM().fit_transform(X.T.groupby(names.to_numpy()).sum().T)


REPRESENTATIONS: dict[str, Callable[[pd.DataFrame], np.ndarray]] = {
    "log2(CPM + 1)": LogCPM(1.0).fit_transform,
    "log2(CPM + .01)": LogCPM(0.01).fit_transform,
    "log2(CPM + 100)": LogCPM(100.0).fit_transform,
    "square root of CPM": lambda X: np.sqrt(ReadsPerMillion().fit_transform(X)),
    "centred log-ratio": centred,
    "ranks": SampleRanks().fit_transform,
    "log2 of ranks from the top": log_ranks,
    "presence": Presence(0.0).fit_transform,
    "families": families,
}
ON_SOME = ("log2(CPM + 1)", "ranks")  # what the other models are fitted on


class WithoutStudies(LogisticRegression):
    """`logistic` without the `N_DIRECTIONS` in which studies of one class differ most (nuisance projection)."""

    def fit(self, X: Any, y: Any, studies: Any = None) -> Self:
        """Fit to scaled profiles of named studies."""
        code, study = (np.unique(np.asarray(v), return_inverse=True)[1] for v in (y, studies))
        out = study_noise(np.asarray(X), code, study).directions[:N_DIRECTIONS]
        super().fit(X - (X @ out.T) @ out, y)
        self.coef_: np.ndarray = self.coef_ - (self.coef_ @ out.T) @ out
        return self


class Represent(TransformerMixin, BaseEstimator):
    """One of `REPRESENTATIONS`, of what is there in a tenth of the training samples."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Choose columns: by their counts, or where columns are sums by these."""
        new = self._made(X)
        there = np.asarray(X) > 0 if new.shape == X.shape else new > 0
        self.kept_ = there.mean(axis=0) >= 0.1
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """The chosen columns."""
        return self._made(X)[:, self.kept_]

    def _made(self, X: pd.DataFrame) -> np.ndarray:
        return np.asarray(REPRESENTATIONS[self.name](X))


def pipelines(seed: int, trees: bool) -> dict[str, Pipeline]:
    """Name of a representation and a model -> unfitted pipeline; `trees` take minutes a fold."""
    logistic = {"C": 0.01, "class_weight": "balanced", "max_iter": 500, "tol": 1e-3}
    boosting = HistGradientBoostingClassifier(max_iter=20, class_weight="balanced", random_state=seed)
    forest = RandomForestClassifier(500, class_weight="balanced", random_state=seed)
    out = {}
    for name in REPRESENTATIONS:
        models: dict[str, Any] = {"logistic": LogisticRegression(**logistic), "robust": StudyClassifier()}
        if name in ON_SOME:
            models |= {"projection": WithoutStudies(**logistic)} | ({"forest": forest} if trees else {})
        if trees and name == ON_SOME[0]:
            models["boosting"] = make_pipeline(SelectKBest(f_classif, k=300), boosting)
        for model, classifier in models.items():
            steps = [("represent", Represent(name)), ("scale", StandardScaler()), ("classifier", classifier)]
            out[f"{name}, {model}"] = Pipeline(steps)
    return out


def lungs(task: srna.data.Task, models: dict[str, Pipeline], atlas: Any) -> dict[str, str]:
    """What models of a whole atlas say of samples of another laboratory."""
    X = counts_frame(harmonise(srna.load(EXTERNAL), atlas)[0]).reindex(columns=task.X.columns, fill_value=0)
    told = {}
    for name, model in models.items():
        p = srna.evaluate.fit_fold(task, model, np.arange(len(task.y))).predict_proba(X)
        at = task.classes.index(RIGHT)
        told[name] = f"{(p.argmax(axis=1) == at).sum()}, {p[:, at].mean():.2f}"
    return told


def compare(dataset: str, seed: int, cache: str | None) -> list[str]:
    """Lines of the table of one data set."""
    atlas = srna.load(dataset)
    task, models = srna.make_task(atlas, "tissue_group"), pipelines(seed, trees=dataset == "mirome")
    table = srna.cross_validate(task, models, "study", n_splits=10, seed=seed, cache=cache)
    pairs = [(name, f"{ON_SOME[0]}, {name.split(', ')[1]}") for name in models]
    pairs = [(a, b if a != b else f"{ON_SOME[0]}, logistic") for a, b in pairs]
    gaps = srna.compare(table, [p for p in pairs if p[0] != p[1]], metric=METRICS[-1], correction="none", seed=seed)
    values = srna.score(table, metrics=METRICS, seed=seed).pivot(index="model", columns="metric", values="value")
    outside = lungs(task, models, atlas) if RIGHT in task.classes else {}
    lines = [f"`{dataset}`: {len(task.y)} samples of {task.groups.nunique()} studies.", ""]
    lines += ["| representation, model | accuracy | balanced | studies | difference |" + " lungs |" * bool(outside)]
    lines += ["|---" * (5 + bool(outside)) + "|"]
    for name in sorted(models, key=lambda m: -values.loc[m, METRICS[-1]]):
        gap = gaps[gaps["first"] == name]
        shown = [f"{r.difference:+.3f} [{r.ci_low:+.3f}, {r.ci_high:+.3f}]" for r in gap.itertuples()]
        cells = [
            *(f"{values.loc[name, m]:.3f}" for m in METRICS),
            *(shown or [""]),
            *([outside[name]] if outside else []),
        ]
        lines.append(f"| {name.replace(', ', ', `')}` | " + " | ".join(cells) + " |")
    print(*lines, sep="\n", flush=True)
    return [*lines, ""]


def main(arguments: list[str]) -> None:
    """Compare and write the block."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--datasets", default="mirome,open_atlas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", help="folder that keeps finished folds")
    options = parser.parse_args(arguments)
    lines = [HEAD.format(external=EXTERNAL, n=N_DIRECTIONS)]
    for dataset in options.datasets.split(","):
        lines += compare(dataset, options.seed, options.cache)
    write_block("representations", "\n".join(lines), PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
