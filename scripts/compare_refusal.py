"""Which score tells a sample of a class that training never saw? -> ``docs/refusal.md``.

``python scripts/compare_refusal.py [--dataset open_atlas] [--label lineage] [--recipe dl_log] [--flips 60]``; the
scores that take long, flips and ensembles, are left out by ``--flips 0``. Each class in turn is left out of training
altogether, with the organs that would tell of it (`ORGANS`). Folds by study of the other classes give a model, the
samples of studies that it never saw (of classes that it knows) and the samples of the class left out; a score is good
where the second lie above the first. Studies weigh alike on both sides. The last column is what a bundle does:
thresholds from those studies, as `srna train` sets them, and the share of the class left out that then gets no
prediction.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import srna_lib as srna
from srna_lib.annotate.bundles import (
    ABSTAINED,
    BACKED_OFF,
    PARENTS,
    USUAL,
    Space,
    _parents,
    as_network,
    bundled,
    decide,
    fit_spaces,
    make_thresholds,
    places_of_parents,
    reference_samples,
    study_shares,
)
from srna_lib.data import Task
from srna_lib.evaluate import Profile, alike, build_recipe, fit_fold, make_splits
from srna_lib.io import write_file

PAGE = Path(__file__).resolve().parent.parent / "docs" / "refusal.md"
N_SPLITS, N_MODELS, SHARE = 5, 10, 0.25
SCORES = {
    "probability": "largest probability",
    "energy": "energy of the logits",
    "flips": "steps to the nearest flip",
    "ranks": "Spearman correlation with the nearest training study",
    "neighbours": "mean cosine with ten neighbours, 50 components",
    "outside": "share of the length outside the components",
    "ensemble": "entropy of ten linear models on drawn studies",
    "class": "Mahalanobis distance from the nearest class, 50 components",
    "relative": "relative Mahalanobis distance, 50 components",
    "wide": "relative Mahalanobis distance among tissue groups of the whole atlas, 100 components",
    "both": "sum of the two relative distances",
    "alike": "sum of the two relative distances, mean with the four samples most alike in the study",
    "company": "sum of the two relative distances, mean over the study",
    "own": "share of other known samples of the predicted class that have a smaller sum",
    "another": "prediction is not the class that is nearest by the Mahalanobis distance",
    "others": "ten nearest samples, share of another class than the predicted one",
    "studies": "ten nearest studies, share whose nearest sample is of another class than the predicted one",
    "excess": "log2(CPM + 10) beyond the 99% quantile of the predicted class, mean over sRNAs",
}
KEPT, ADDED = "both", ("another", "others", "studies", "excess")
SCORES |= {f"+{name}": f"sum of the two relative distances and {SHARE:g} of: {SCORES[name]}" for name in ADDED}
# Lineage left out -> tissue groups whose organs, of no lineage themselves, would tell of it and are left out, too.
ORGANS = {
    "biofluid": {"blood"},
    "blood cell": {"blood", "lymphoid"},
    "endothelial": {"vascular"},
    "epithelial": {"digestive", "epithelium", "gland", "intestine", "liver", "lung"},
    "germline": {"gland"},
    "mesenchymal": {"adipose", "connective"},
    "neural": {"brain", "eye", "nerve"},
    "pluripotent": {"embryonic"},
    "striated muscle": {"muscle"},
}
COMMAND = "--label {label} --recipe {recipe} --error {error:g} --flips {flips}"
HEAD = """Written by `python scripts/compare_refusal.py {command}`: {label} of
`{dataset}`, `{recipe}`, each class in turn left out of training, {n_splits} folds by study. *AUROC*: samples of the
class left out against samples of known classes in studies left out, studies weighing alike; *caught*: share of the
class left out above the {usual:.0%} quantile of those. Mean over classes and folds.
"""
TAIL = """
In bold what a bundle uses. It was chosen on this page's data, so its figures are optimistic by that choice.
*Abstained*: share of the class left out without a prediction, or backed off to its parent, when all thresholds of a
bundle (error {error:.0%}, set as `srna train` does) are in force, studies weighing alike. Samples of known classes in
studies never seen get none in {known:.0%} of cases.{steps}
"""
STEPS = " Steps to a flip are counted for {flips} samples a side and fold."


def scored(
    task: Task, reference: Task, known: np.ndarray, train: np.ndarray, others: np.ndarray, options: argparse.Namespace
) -> pd.DataFrame:
    """Scores of the samples `others` by a model of the samples `train`; its probabilities come along."""
    part, flips, seed = task.X.iloc[train], options.flips, options.seed
    model = bundled(build_recipe(task, options.recipe, seed=seed, profile=Profile()))
    net = fit_fold(task, model, train)
    net.steps[-1] = ("classifier", as_network(net[-1]))
    z, new = (np.asarray(net[:-1].transform(t), dtype=np.float64) for t in (part, task.X.iloc[others]))
    there = np.flatnonzero(~reference.groups.isin(set(task.groups.iloc[others])))
    space, wide = fit_spaces(net, task, train, reference, there)
    inside, points = new @ space.components.T, z @ space.components.T
    apart = inside[:, None] - space.centres[:-1]
    p, logits = net[-1].predict_proba(new.astype(np.float32)), net[-1].logits(new.astype(np.float32))
    table = pd.DataFrame({"probability": 1 - p.max(axis=1), "energy": -logsumexp(logits, axis=1)})
    cosine = (inside @ points.T) / np.linalg.norm(new, axis=1)[:, None] / np.linalg.norm(z, axis=1)
    table["neighbours"] = -np.sort(cosine, axis=1)[:, -10:].mean(axis=1)
    table["outside"] = 1 - (inside**2).sum(axis=1) / (new**2).sum(axis=1)
    means = pd.DataFrame(z).groupby(task.groups.iloc[train].to_numpy()).mean().to_numpy()
    table["ranks"] = -_correlation(rankdata(new, axis=1), rankdata(means, axis=1)).max(axis=1)
    table["class"] = _squared(apart, space).min(axis=1)
    table["relative"], table["wide"] = space.distance(new), wide.distance(new)
    table["both"] = table["relative"] + table["wide"]
    groups = task.groups.iloc[others].to_numpy()
    table["company"] = table.groupby(groups)["both"].transform("mean")
    for rows in table.groupby(groups).indices.values():
        order, weights = alike(np.log2(_cpm(task.X.iloc[others[rows]]) + 1))
        table.loc[rows, "alike"] = (weights * table["both"].to_numpy()[rows][order]).sum(axis=1)
    best, y = net[-1].classes_[p.argmax(axis=1)], task.y.iloc[train].to_numpy()
    shares = study_shares(task.groups.iloc[others])
    table["another"] = (np.unique(y)[_squared(apart, space).argmin(axis=1)] != best).astype(float)
    near = np.argsort(-cosine, axis=1, kind="stable")[:, :10]
    table["others"] = (y[near] != best[:, None]).mean(axis=1)
    table["studies"] = _other_studies(cosine, y, task.groups.iloc[train].to_numpy(), best)
    table["excess"] = _excess(part, y, task.X.iloc[others], best)
    table["own"] = _within(table["both"].to_numpy(), best, known, shares)
    usual = table[known].apply(lambda v: (np.average(v, weights=shares[known]), v.std()))
    for name in ADDED:
        table[f"+{name}"] = sum(
            weight * (table[score] - usual.loc[0, score]) / max(usual.loc[1, score], 1e-9)
            for score, weight in ((KEPT, 1.0), (name, SHARE))
        )
    table["ensemble"] = _disagreement(task, z, train, new, seed) if flips else np.nan
    table["flips"] = np.nan
    for side in (known, ~known) if flips else ():
        at = np.flatnonzero(side)[np.random.default_rng(seed).permutation(side.sum())[:flips]]
        steps = srna.steps_to_flip(net, task.X.iloc[others[at]], max_steps=100)
        least = steps.groupby("sample", sort=False)["steps"].min().reindex(task.X.index[others[at]])
        table.loc[at, "flips"] = -least.fillna(100).to_numpy()
    columns = [f"p_{c}" for c in net.classes_]
    return table.join(pd.DataFrame(p, columns=columns))


def _squared(apart: np.ndarray, space: Space) -> np.ndarray:
    """Squared Mahalanobis distance of each sample from each class, whose means it lies `apart` from."""
    return np.einsum("ijk,kl,ijl->ij", apart, space.precisions[0], apart)


def _within(score: np.ndarray, best: np.ndarray, known: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted share of the other known samples that are predicted to be of the same class and have a lower score."""
    out = np.ones(len(score))
    for name in np.unique(best[known]):
        same = best == name
        order = np.flatnonzero(same & known)[np.argsort(score[same & known], kind="stable")]
        lower = np.r_[0, np.cumsum(weights[order])]
        others = lower[-1] - np.where(known, weights, 0)[same]  # a sample is not held against itself
        shares = lower[np.searchsorted(score[order], score[same])] / np.maximum(others, 1e-12)
        out[same] = np.where(others > 1e-12, shares, 1)
    return out


def _other_studies(cosine: np.ndarray, y: np.ndarray, groups: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Of the ten studies with the nearest samples, the share whose nearest sample is not of the predicted class."""
    order = np.argsort(-cosine, axis=1, kind="stable")
    firsts = [row[np.sort(np.unique(groups[row], return_index=True)[1])[:10]] for row in order]
    return np.array([(y[row] != name).mean() for row, name in zip(firsts, best, strict=True)])


def _excess(train: pd.DataFrame, y: np.ndarray, new: pd.DataFrame, best: np.ndarray) -> np.ndarray:
    """How far levels go beyond those that nearly all training samples of the predicted class have."""
    old, levels = (np.log2(_cpm(t) + 10) for t in (train, new))
    top = {name: np.quantile(old[y == name], 0.99, axis=0) for name in np.unique(y)}
    return np.clip(levels - np.array([top[name] for name in best]), 0, None).mean(axis=1)


def _cpm(counts: pd.DataFrame) -> np.ndarray:
    return 1e6 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0).to_numpy()


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = ((t - t.mean(axis=1, keepdims=True)) / t.std(axis=1, keepdims=True) for t in (a, b))
    return a @ b.T / a.shape[1]


def _disagreement(task: Task, z: np.ndarray, train: np.ndarray, new: np.ndarray, seed: int) -> np.ndarray:
    """Entropy of the mean probability of linear models, each of the studies that a draw with replacement holds."""
    groups, y, rng = task.groups.iloc[train].to_numpy(), task.y.iloc[train].to_numpy(), np.random.default_rng(seed)
    names, total = np.unique(groups), np.zeros((len(new), task.y.nunique()))
    for _ in range(N_MODELS):
        drawn = np.flatnonzero(np.isin(groups, rng.choice(names, len(names))))
        model = LogisticRegression(C=0.001, max_iter=200).fit(z[drawn], y[drawn])
        total[:, pd.Index(sorted(task.y.unique())).get_indexer(model.classes_)] += model.predict_proba(new)
    mean = total / N_MODELS
    return -(mean * np.log(np.maximum(mean, 1e-12))).sum(axis=1)


def compare(
    task: Task, reference: Task, left_out: str, parents: dict[str, str], options: argparse.Namespace
) -> tuple[pd.DataFrame, dict[str, float]]:
    """AUROC and share caught of each score for one class, and what a bundle would do."""
    strange = (task.y == left_out).to_numpy()
    at, unknown = np.flatnonzero(~strange), np.flatnonzero(strange)
    rest = subset(task, at)
    rows, tables = [], list[pd.DataFrame]()
    for split in make_splits(rest, "study", n_splits=N_SPLITS, seed=options.seed):
        train, others = at[split.train], np.r_[at[split.test], unknown]
        known = np.r_[np.ones(len(split.test), bool), np.zeros(len(unknown), bool)]
        table = scored(task, reference, known, train, others, options)
        weights = study_shares(task.groups.iloc[others[known]]), study_shares(task.groups.iloc[others[~known]])
        about = {"known": known, "dataset_id": task.groups.iloc[others].to_numpy(), "weight": np.concatenate(weights)}
        table = table.assign(**about, y_true=task.y.iloc[others].to_numpy(), fold=len(tables))
        tables.append(table)
        for name in SCORES:
            part = table[table[name].notna()]
            if part.empty:
                continue
            usual = part[part["known"]].sort_values(name)
            limit = usual[name].to_numpy()[np.searchsorted(usual["weight"].cumsum() / usual["weight"].sum(), USUAL)]
            new, auroc = part[~part["known"]], roc_auc_score(~part["known"], part[name], sample_weight=part["weight"])
            rows.append((name, auroc, np.average(new[name] > limit, weights=new["weight"])))
    table = pd.concat(tables, ignore_index=True).rename(columns={KEPT: "distance"})
    kept = _kept(rest, table, left_out, parents, options.error)
    return pd.DataFrame(rows, columns=["score", "auroc", "caught"]).groupby("score").mean(), kept


def subset(task: Task, at: np.ndarray) -> Task:
    """The samples of a task at these places."""
    return replace(
        task, **{f: v.iloc[at] for f in ("X", "y", "groups", "donors") if (v := getattr(task, f)) is not None}
    )


def _kept(rest: Task, table: pd.DataFrame, left_out: str, parents: dict[str, str], error: float) -> dict[str, float]:
    """Share abstained, or backed off to its parent, of the class left out, and abstained of known classes."""
    parent, p = places_of_parents(rest.classes, parents), [f"p_{c}" for c in rest.classes]
    order = np.unique([parents.get(c, c) for c in rest.classes])
    limits = make_thresholds(table[table["known"]].reset_index(drop=True), rest.classes, parent, error, 0.9)
    said = decide(table[p].fillna(0).to_numpy(dtype=float), table["distance"].to_numpy(), limits, parent)
    none = (said["status"] == ABSTAINED).to_numpy()
    true = (said["status"] == BACKED_OFF).to_numpy() & (order[said["above"]] == parents.get(left_out, left_out))
    known, weights = table["known"].to_numpy(), table["weight"].to_numpy()
    shares = {"abstained": (none | true, ~known), "known": (none, known)}
    return {name: np.average(good[side], weights=weights[side]) for name, (good, side) in shares.items()}


def main(arguments: list[str]) -> None:
    """Compare and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--dataset", default="open_atlas")
    parser.add_argument("--label", default="lineage")
    parser.add_argument("--recipe", default="dl_log")
    parser.add_argument("--flips", type=int, default=60)
    parser.add_argument("--error", type=float, default=0.06)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    atlas = srna.load(options.dataset)
    task = srna.make_task(atlas, options.label)
    whole = reference_samples(atlas, task)
    lineage = atlas.obs["lineage"].astype(object).reindex(whole.y.index)
    parents = _parents(atlas, task, PARENTS.get(task.name, ""))
    tables, kept = {}, {}
    for name in task.classes:
        telling = whole.y == name
        if task.name == "lineage":
            telling = (lineage == name) | (lineage.isna() & whole.y.isin(ORGANS.get(name, set())))
        reference = subset(whole, ~telling.to_numpy())
        tables[name], kept[name] = compare(task, reference, name, parents, options)
        print(name, tables[name].loc[KEPT].round(3).to_dict(), kept[name], flush=True)
    text = page(pd.concat(tables, names=["class"]), pd.DataFrame(kept).T, options)
    write_block(f"{options.label} left out, {options.recipe}", text)


def write_block(name: str, text: str, page: Path = PAGE) -> None:
    """Put a text between ``<!-- name -->`` and ``<!-- /name -->`` of a page."""
    before, found, rest = page.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    if not found:
        sys.exit(f"{page.name}: the place of the block {name!r} is missing; expected <!-- {name} -->.")
    end = f"<!-- /{name} -->"
    write_file(page, f"{before}{found}{text.rstrip()}\n{end}{rest.partition(end)[2]}")


def page(table: pd.DataFrame, kept: pd.DataFrame, options: argparse.Namespace) -> str:
    """Two tables: scores, and classes left out."""
    told = {"label": options.label, "dataset": options.dataset, "n_splits": N_SPLITS, "usual": USUAL}
    told |= {"recipe": options.recipe, "command": COMMAND.format(**vars(options))}
    lines = [HEAD.format(**told), "| score | AUROC | caught | AUROC, worst class |", "|---|---|---|---|"]
    mean, worst = table.groupby("score").mean(), table["auroc"].unstack("class")
    for name in mean["auroc"].sort_values().index:
        text = f"**{SCORES[name]}**" if name == KEPT else SCORES[name]
        low = f"{worst.loc[name].min():.2f} ({worst.loc[name].idxmin()})"
        lines.append(f"| {text} | {mean.loc[name, 'auroc']:.2f} | {mean.loc[name, 'caught']:.2f} | {low} |")
    lines += ["", "| class left out | AUROC | caught by the distance | abstained |", "|---|---|---|---|"]
    for name, row in table.xs(KEPT, level="score").iterrows():
        share = f"{kept.loc[name, 'abstained']:.2f}"
        lines.append(f"| {name} | {row['auroc']:.2f} | {row['caught']:.2f} | {share} |")
    steps = STEPS.format(flips=options.flips) if options.flips else ""
    tail = TAIL.format(steps=steps, error=options.error, known=kept["known"].mean())
    return "\n".join(lines) + "\n" + tail


if __name__ == "__main__":
    main(sys.argv[1:])
