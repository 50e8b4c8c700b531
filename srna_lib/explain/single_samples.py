"""Single samples worth explaining: predicted by a network that never saw their study, correct ones and wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from srna_lib.data import Task
from srna_lib.errors import InputError
from srna_lib.evaluate import Split
from srna_lib.explain.deeplift import Contributions, contributions


@dataclass(frozen=True)
class HeldOut:
    """Out-of-fold predictions together with the networks that made them.

    `table`, by sample: ``dataset_id, y_true, y_pred, probability`` (of the predicted class), ``right, known`` (whether
    the network had samples of the true class to learn from), ``fold``; `models`: fold -> the network that never saw its
    studies.
    """

    table: pd.DataFrame
    models: Mapping[str, Pipeline]
    task: Task

    def explain(self, sample: str, **options: Any) -> Contributions:
        """Contributions in one sample, by the network that never saw its study; options as in `contributions`."""
        if sample not in self.table.index:
            raise InputError(f"sample {sample!r} was not predicted; expected one of the {len(self.table)} of the task.")
        return contributions(self.models[self.table.loc[sample, "fold"]], self.task.X.loc[[sample]], **options)

    def typical(self) -> list[str]:
        """One sample of each class: of those predicted correctly, the one of middling probability."""
        good = self.table[self.table["right"]].sort_values("probability", kind="stable")
        return [str(rows.index[len(rows) // 2]) for _, rows in good.groupby("y_true")]

    def mistake(self) -> list[str]:
        """Wrong prediction of the highest probability, and the surest correct one of the class that it was taken for.

        Samples of a class that the network could not know are passed over. Empty where nothing was wrong; one sample
        where none of that class was predicted correctly.
        """
        wrong = self.table[~self.table["right"] & self.table["known"]]
        if wrong.empty:
            return []
        worst = str(wrong["probability"].idxmax())
        taken = self.table.loc[worst, "y_pred"]
        peers = self.table.loc[self.table["right"] & (self.table["y_true"] == taken), "probability"]
        return [worst, *([str(peers.idxmax())] if len(peers) else [])]


def held_out(task: Task, models: Mapping[str, Pipeline], splits: list[Split]) -> HeldOut:
    """Predict each fold's test samples with the network fitted on its other side (from `stability.fit_folds`).

    Samples are in the order of the folds; those that no fold tests are left out.
    """
    tables = []
    for split in splits:
        model, X = models[split.fold], task.X.iloc[split.test]
        proba = pd.DataFrame(model.predict_proba(X), index=X.index, columns=list(model.classes_))
        table = pd.DataFrame({"dataset_id": task.groups.iloc[split.test], "y_true": task.y.iloc[split.test]})
        table["y_pred"], table["probability"] = proba.idxmax(axis=1), proba.max(axis=1)
        table["right"], table["known"] = table["y_true"] == table["y_pred"], table["y_true"].isin(proba.columns)
        tables.append(table.assign(fold=split.fold))
    return HeldOut(pd.concat(tables), models, task)


def breakdown(values: Mapping[str, float] | pd.Series, start: float, *, n: int = 12) -> pd.DataFrame:
    """Steps from the reference's output to the sample's: the `n` largest contributions one by one, the rest as one."""
    if n < 1:
        raise InputError(f"n={n}: expected at least one step with a name.")
    values = pd.Series(values, dtype=float)
    order = values.abs().sort_values(ascending=False, kind="stable").index
    rows = [("reference", start, "start"), *((str(name), values[name], "step") for name in order[:n])]
    rest = values[order[n:]]
    if len(rest):
        rows.append((f"{len(rest)} others", rest.sum(), "rest"))
    rows.append(("sample", start + values.sum(), "end"))
    table = pd.DataFrame(rows, columns=["label", "value", "kind"])
    return table.assign(total=table["value"].where(table["kind"] != "end", 0).cumsum())


def steps_between(explained: Contributions, first: str, second: str, *, n: int = 14) -> pd.DataFrame:
    """What makes one class's logit exceed another's in one sample (of `HeldOut.explain`), step by step.

    Gives `breakdown`'s ``label, value, kind, total`` of `n` steps with a name, from the reference's difference to the
    sample's; steps above zero speak for the first class.
    """
    known = list(explained.classes)
    if len(explained.values) != 1 or first not in known or second not in known:
        classes = ", ".join(map(str, known))
        raise InputError(f"steps between {first!r} and {second!r}: expected one sample and two classes of {classes}.")
    a, b = known.index(first), known.index(second)
    difference = pd.Series(explained.values[0, a] - explained.values[0, b], index=list(explained.features))
    return breakdown(difference, float(explained.reference_logits[0, a] - explained.reference_logits[0, b]), n=n)
