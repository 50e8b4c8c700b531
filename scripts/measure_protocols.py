"""Measure what library protocols do, for the section "Protocols" of docs/unseen_studies.md: tables to the terminal.

Commands (deterministic; they need the data sets)::

    python scripts/measure_protocols.py shifts families        # seconds; draws figures/protocols.svg
    python scripts/measure_protocols.py fluids refusal         # a quarter of an hour
    python scripts/measure_protocols.py augmentation           # half an hour; --cache FOLDER keeps finished folds
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import srna_lib as srna
from srna_lib import evaluate, explore, models
from srna_lib.annotate.bundles import bundled
from srna_lib.data import Task, counts_frame, harmonise

FIGURE = Path(__file__).resolve().parent.parent / "figures" / "protocols.svg"
TELLING = 100  # miRNAs that differ most between kinds of protocols
METRICS = ["accuracy", "balanced_accuracy", "accuracy_per_dataset"]


def levels(atlas: ad.AnnData, names: pd.Index) -> pd.DataFrame:
    """log2(CPM + 1) of some sRNAs."""
    return models.LogCPM().set_output(transform="pandas").fit_transform(counts_frame(atlas))[list(names)]


def wide(pool: ad.AnnData, by: str) -> pd.DataFrame:
    """Protocol factors, protocols by sRNAs."""
    return explore.protocol_factors(pool, by).pivot(index="protocol", columns="srna", values="log2_ratio")


# ---- shifts


def shifts(**_: Any) -> None:
    """Quantiles of the shifts, how far laboratories agree on them, and the figure."""
    pool = srna.load("protocols").copy()
    for by in ("library_protocol", "protocol_family"):
        factors = wide(pool, by)
        fold = (factors.max() - factors.min()).rename("log2 fold between the highest and the lowest")
        share = ", ".join(f"{(fold > np.log2(n)).mean():.0%} above {n}-fold" for n in (10, 100))
        print(
            f"{by}: {len(factors)} of {factors.shape[1]} miRNAs;",
            fold.quantile([0.1, 0.5, 0.9]).round(1).to_dict(),
            share,
        )
    pool.obs["own"] = pool.obs["library_protocol"] + ", " + pool.obs["laboratory"]
    own = wide(pool, "own")
    protocol = own.index.str.partition(", ").get_level_values(0).to_numpy()
    alike, upper = protocol[:, None] == protocol, np.triu(np.ones((len(own), len(own)), dtype=bool), 1)
    r = own.T.corr().to_numpy()
    within, across = (f"{np.median(r[upper & at]):.2f}" for at in (alike, ~alike))
    print(f"median correlation of the shifts of two laboratories: {within} with one protocol, {across} with two")
    srna.pl.setup()
    figure = srna.pl.clustered(
        own.rename_axis("protocols in a laboratory"),
        value="log2 ratio",
        title=f"What a library protocol does to {own.shape[1]} miRNAs that are there in equal amounts",
        caption=f"{pool.n_obs} libraries of one synthetic pool; ratio to the mean of the rows; order by similarity",
    )
    figure.write_image(FIGURE, width=1100, height=760)


# ---- families


def nearest(X: pd.DataFrame, profiles: pd.DataFrame) -> pd.DataFrame:
    """Correlation of samples with the factors of kinds of protocols over the `TELLING` sRNAs."""
    telling = (profiles.max() - profiles.min()).nlargest(TELLING).index
    x, p = (t[telling].sub(t[telling].mean(axis=1), axis=0) for t in (X, profiles))
    norm = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(p, axis=1))
    return pd.DataFrame(x.to_numpy() @ p.T.to_numpy() / np.maximum(norm, 1e-9), X.index, profiles.index)


def families(**_: Any) -> None:
    """The nearest kind of protocol: of laboratories of the pool left out, and of tissues whose protocol is recorded."""
    pool = srna.load("protocols")
    pool = pool[:, pool.var["in_pool"].to_numpy()].copy()
    labs, family, rows = pool.obs["laboratory"], pool.obs["protocol_family"], []
    for lab in labs.unique():
        rest = pool[(labs != lab).to_numpy()].copy()
        mean = levels(rest, pool.var_names).mean()
        new = levels(pool[(labs == lab).to_numpy()], pool.var_names) - mean
        rows.append(nearest(new, wide(rest, "protocol_family")))
    table = pd.concat(rows).fillna(-1)
    print(pd.crosstab(family[table.index], table.idxmax(axis=1).rename("nearest")).to_string())
    best = np.sort(table.to_numpy(), axis=1)[:, ::-1]
    right = (table.idxmax(axis=1) == family[table.index]).rename("right")
    print(pd.Series(best[:, 0] - best[:, 1], table.index).groupby(right).describe().to_string())
    atlas = srna.load("open_atlas")
    factors = wide(harmonise(pool, atlas)[0].copy(), "protocol_family")
    X, protocol = levels(atlas, factors.columns), atlas.obs["library_protocol"].astype(object)
    known = (protocol.notna() & ~protocol.str.contains(" or |Cluster", na=False)).to_numpy()
    is_truseq = protocol[known].str.contains("TruSeq small RNA", regex=False)
    by_tissue = X.groupby(atlas.obs["tissue"].astype(str)).transform("mean")
    ways = {"as they are": X, "less the mean of all": X - X.mean(), "less the mean of the tissue": X - by_tissue}
    for what, values in ways.items():
        close = nearest(values[known], factors)
        told = close.idxmax(axis=1).rename("nearest")
        auc = roc_auc_score(is_truseq, close["TruSeq"])
        print(f"\nlevels {what}: AUROC of likeness to TruSeq, recorded TruSeq against other protocols: {auc:.2f}")
        print(pd.crosstab(is_truseq.map({True: "TruSeq", False: "another"}).rename("recorded"), told).to_string())
    for name in ("lgrc", "exrna"):
        other = srna.load(name)
        factors = wide(harmonise(pool, other)[0].copy(), "protocol_family")
        told = nearest(levels(other, factors.columns), factors).idxmax(axis=1).rename("nearest")
        print(pd.crosstab(other.obs["library_protocol" if name == "lgrc" else "dataset_id"], told).to_string())


# ---- fluids


def fluids(cache: str | None) -> None:
    """One laboratory of exrna left out: fluid or not, and which fluid; and fluid or not in studies left out."""
    atlas = srna.load("open_atlas_exrna")
    obs, is_fluid = atlas.obs, atlas.obs["sample_type"] == "biofluid"
    obs["fluid or not"] = np.where(is_fluid, "biofluid", "rest")
    obs["which fluid"] = obs["tissue"].where(is_fluid, "no biofluid")
    laboratory = obs["dataset_id"].where(obs["collection"] == "exrna")
    for label in ("fluid or not", "which fluid"):
        task = srna.make_task(atlas, label)
        where = laboratory[task.y.index].to_numpy(dtype=object)
        labs = sorted(laboratory.dropna().unique())
        splits = [evaluate.Split(lab, np.flatnonzero(where != lab), np.flatnonzero(where == lab)) for lab in labs]
        models = {name: srna.recipe(name) for name in ("logistic", "dl_log", "robust")}
        models["robust, 1 CPM"] = bundled(srna.recipe("robust"))
        told = srna.cross_validate(task, models, splits, scheme="laboratory out", cache=cache)
        told["is"] = obs.loc[told["sample_id"], "tissue"].to_numpy()
        counts = pd.crosstab([told["model"], told["dataset_id"], told["is"]], told["y_pred"])
        print(f"\n{label}: predicted\n{counts.to_string()}")
        if label == "fluid or not":
            both = redone(task, factors_of(atlas), "study")
            told = srna.cross_validate(
                both, ["logistic", "robust"], twice(splits, len(task.y)), scheme="redone", cache=cache
            )
            told["is"] = obs.loc[told["sample_id"], "tissue"].to_numpy()
            counts = pd.crosstab([told["model"], told["dataset_id"], told["is"]], told["y_pred"])
            print(f"\n{label}, training also redone with other protocols: predicted\n{counts.to_string()}")
    task = srna.make_task(atlas, "fluid or not")
    told = srna.cross_validate(task, ["logistic", "robust"], "study", profile=evaluate.Profile(n_splits=5), cache=cache)
    print("\nfive folds by study\n", pd.crosstab([told["model"], told["y_true"]], told["y_pred"]).to_string())


def refusal(cache: str | None) -> None:
    """What bundles that know one laboratory of exrna say of the other: answers, and refusals."""
    atlas = srna.load("open_atlas_exrna")
    for lab in sorted(atlas.obs.loc[atlas.obs["collection"] == "exrna", "dataset_id"].unique()):
        there = (atlas.obs["dataset_id"] == lab).to_numpy()
        bundle = srna.train(atlas[~there].copy(), "sample_type", recipe="robust", n_splits=10, cache=cache)
        told = srna.annotate(atlas[there].copy(), bundle, explain=False).uns["annotation"]
        said = told["prediction"].where(told["prediction"] != "", told["status"]).rename("answer")
        print(f"\n{lab}\n{pd.crosstab(atlas.obs['tissue'][told['sample_id']].to_numpy(), said).to_string()}")


# ---- augmentation


def redone(task: Task, factors: pd.DataFrame, how: str, *, seed: int = 0) -> Task:
    """A task with a second copy of every sample, as if another protocol had made the library.

    `how`: ``"sample"`` draws two protocols for each sample and multiplies its counts by the ratio of their factors;
    ``"study"`` draws two for each study, whose copy is a study of its own. Two controls: ``"copy"`` multiplies by one,
    ``"shuffled"`` deals the factors to other miRNAs.
    """
    rng, k = np.random.default_rng(seed), len(factors)
    f = factors.reindex(columns=task.X.columns).fillna(0.0).to_numpy(copy=True)
    at = np.flatnonzero(f.any(axis=0))
    if how == "shuffled":
        f[:, at] = f[:, rng.permutation(at)]
    unit = pd.factorize(task.groups)[0] if how == "study" else np.arange(len(task.y))
    n = unit.max() + 1
    to = rng.integers(k, size=n)
    weights = np.eye(k)[to] - np.eye(k)[(to + rng.integers(1, k, size=n)) % k]
    shift = (0 if how == "copy" else 1) * (weights @ f)[unit]
    X = pd.DataFrame(task.X.to_numpy() * np.exp2(shift), task.X.index + ", redone", task.X.columns)
    groups = task.groups + ", redone" if how == "study" else task.groups
    both = {"y": (task.y, task.y), "groups": (task.groups, groups)}
    joined = {name: pd.concat([one, other.set_axis(X.index)]) for name, (one, other) in both.items()}
    return replace(task, X=pd.concat([task.X, X]), donors=None, **joined)


def factors_of(atlas: ad.AnnData) -> pd.DataFrame:
    """Factors of nine protocols in the names of an atlas."""
    pool = srna.load("protocols")
    return wide(harmonise(pool[:, pool.var["in_pool"].to_numpy()].copy(), atlas)[0].copy(), "library_protocol")


def twice(splits: list[evaluate.Split], n: int) -> list[evaluate.Split]:
    """Splits of n samples with the copies of the training samples, too."""
    return [evaluate.Split(fold, np.r_[train, train + n], test) for fold, train, test in splits]


def augmentation(cache: str | None) -> None:
    """Folds by study with copies of the training samples that another protocol might have made."""
    for name, ways in (("mirome", ("sample", "study", "copy", "shuffled")), ("open_atlas", ("study", "copy"))):
        atlas = srna.load(name)
        task = srna.make_task(atlas, "tissue_group")
        factors, splits = factors_of(atlas), srna.make_splits(task, "study")
        recipes, tables = ("logistic", "robust"), []
        for how in ("", *ways):
            given = (redone(task, factors, how), twice(splits, len(task.y))) if how else (task, splits)
            told = srna.cross_validate(given[0], recipes, given[1], scheme="grouped_kfold", cache=cache)
            tables.append(told.assign(model=told["model"] + (f", {how}" if how else "")))
        table = pd.concat(tables)
        pairs = [(f"{recipe}, {how}", recipe) for recipe in recipes for how in ways]
        pairs += [(f"{recipe}, study", f"{recipe}, copy") for recipe in recipes]
        print(f"\n{name}: {factors.shape[1]} of {task.X.shape[1]} sRNAs have a factor")
        print(srna.compare(table, pairs, metric=METRICS, correction="none").round(3).to_string())
        print(srna.score(table, metrics=METRICS)[["model", "metric", "value"]].round(3).to_string())


PARTS: dict[str, Callable[..., None]] = {
    "shifts": shifts, "families": families, "fluids": fluids, "refusal": refusal, "augmentation": augmentation,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--cache", help="folder that keeps finished folds")
    arguments = parser.parse_args()
    for part in arguments.parts:
        PARTS[part](cache=arguments.cache)


if __name__ == "__main__":
    main()
