"""Single samples worth explaining: predicted by a network that never saw their study, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from srna_lib.data import Task
from srna_lib.errors import InputError
from srna_lib.evaluate import Split
from srna_lib.explain import deeplift
from srna_lib.explain.deeplift import Contributions


@dataclass(frozen=True)
class HeldOut:
    """Out-of-fold predictions together with the networks that made them.

    Attributes
    ----------
    table : DataFrame, one row per sample
        ``dataset_id, y_true, y_pred, probability`` (of the class called), ``right, known`` (whether the network had
        samples of the true class to learn from), ``fold``; index: sample.
    models : mapping of str to Pipeline
        Fold -> the network that never saw the fold's studies.
    task : Task
        Samples and labels.
    """

    table: pd.DataFrame
    models: Mapping[str, Pipeline]
    task: Task

    def explain(self, sample: str, **options: Any) -> Contributions:
        """Contributions in one sample, by the network that never saw its study.

        Parameters
        ----------
        sample : str
            Name of the sample.
        **options
            ``reference``, ``rule`` and others of `deeplift.contributions`.

        Returns
        -------
        Contributions
            Of one sample.

        Raises
        ------
        InputError
            The sample was not predicted.
        """
        if sample not in self.table.index:
            raise InputError(f"sample {sample!r} was not predicted; expected one of the {len(self.table)} of the task.")
        return deeplift.contributions(self.models[self.table.loc[sample, "fold"]], self.task.X.loc[[sample]], **options)

    def typical(self) -> list[str]:
        """One sample of each class: of those called right, the one of middling probability."""
        good = self.table[self.table["right"]].sort_values("probability", kind="stable")
        return [str(part.index[len(part) // 2]) for _, part in good.groupby("y_true")]

    def mistake(self) -> tuple[str, str | None] | None:
        """Give the wrong call of the highest probability, and the surest right call of the class it was taken for.

        Samples of a class that the network could not know are passed over: it had no choice there.

        Returns
        -------
        (sample, sample or None) or None
            None instead of the pair when nothing was called wrong; None in it when no sample of that class was
            called right.
        """
        wrong = self.table[~self.table["right"] & self.table["known"]]
        if wrong.empty:
            return None
        worst = str(wrong["probability"].idxmax())
        taken = self.table.loc[worst, "y_pred"]
        peers = self.table.loc[self.table["right"] & (self.table["y_true"] == taken), "probability"]
        return worst, str(peers.idxmax()) if len(peers) else None


def held_out(task: Task, models: Mapping[str, Pipeline], splits: list[Split]) -> HeldOut:
    """Predict each fold's test samples with the network fitted on its other side.

    Parameters
    ----------
    task : Task
        Samples and labels.
    models : mapping of str to Pipeline
        Fold -> fitted pipeline, from `refits.fit_folds`.
    splits : list of Split
        The folds they were fitted on.

    Returns
    -------
    HeldOut
        Samples in the order of the folds; those that no fold tests are left out.
    """
    parts = []
    for split in splits:
        model, X = models[split.fold], task.X.iloc[split.test]
        proba = pd.DataFrame(model.predict_proba(X), index=X.index, columns=list(model.classes_))
        part = pd.DataFrame({"dataset_id": task.groups.iloc[split.test], "y_true": task.y.iloc[split.test]})
        part["y_pred"], part["probability"] = proba.idxmax(axis=1), proba.max(axis=1)
        part["right"], part["known"] = part["y_true"] == part["y_pred"], part["y_true"].isin(proba.columns)
        parts.append(part.assign(fold=split.fold))
    return HeldOut(pd.concat(parts), models, task)


def breakdown(contributions: Mapping[str, float] | pd.Series, start: float, *, n: int = 12) -> pd.DataFrame:
    """Steps from the reference's output to the sample's: the largest contributions one by one, the rest as one.

    Parameters
    ----------
    contributions : Series, shape (n_srnas,)
        Contributions of one sample to one output, or to the difference of two outputs.
    start : float
        The output for the reference.
    n : int, default 12
        Steps with a name, largest in size first.

    Returns
    -------
    DataFrame
        ``label, value, kind, total``: kind is ``start``, ``step``, ``rest`` or ``end``; total is the level after
        the row.

    Raises
    ------
    InputError
        `n` below 1.
    """
    if n < 1:
        raise InputError(f"n={n}: expected at least one step with a name.")
    values = pd.Series(contributions, dtype=float)
    order = values.abs().sort_values(ascending=False, kind="stable").index
    rows = [("reference", start, "start"), *((str(name), values[name], "step") for name in order[:n])]
    rest = values[order[n:]]
    if len(rest):
        rows.append((f"{len(rest)} others", rest.sum(), "rest"))
    rows.append(("sample", start + values.sum(), "end"))
    table = pd.DataFrame(rows, columns=["label", "value", "kind"])
    table["total"] = table["value"].where(table["kind"] != "end", 0).cumsum()
    return table.assign(total=table["total"].where(table["kind"] != "end", table["value"]))


def steps_between(found: Contributions, first: str, second: str, *, n: int = 14) -> pd.DataFrame:
    """What makes one class's logit exceed another's in a sample, step by step.

    Parameters
    ----------
    found : Contributions
        Of one sample (`HeldOut.explain`).
    first, second : str
        Classes; steps above zero speak for the first.
    n : int, default 14
        Steps with a name.

    Returns
    -------
    DataFrame
        As from `breakdown`, from the reference's difference to the sample's.

    Raises
    ------
    InputError
        More than one sample, or an unknown class.
    """
    known = list(found.classes)
    if len(found.values) != 1 or first not in known or second not in known:
        raise InputError(
            f"steps between {first!r} and {second!r} in {len(found.values)} samples: expected one sample and two of the"
            f" classes {', '.join(map(str, known))}."
        )
    a, b = known.index(first), known.index(second)
    difference = pd.Series(found.values[0, a] - found.values[0, b], index=list(found.features))
    return breakdown(difference, float(found.reference_logits[0, a] - found.reference_logits[0, b]), n=n)
