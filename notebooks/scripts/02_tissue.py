# ---
# jupyter:
#   jupytext:
#     formats: ipynb,scripts//py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   srna:
#     needs: ['{label}']
# ---

# %% [markdown]
# # Which tissue is this sample from, and would we know in a study never seen?
#
# **You will learn** how well a network, a forest and a linear model tell the tissue group of a small-RNA sample; why
# the same model looks excellent in one experiment and mediocre in another; and which of the two figures to believe when
# you annotate your own samples. The experiment is that of Fiosina, Fiosins and Bonn (2020), on open data.
#
# **Reads** a named data set (`dataset`). **Writes** `results/02_tissue.json` (every figure with its interval),
# `results/02_tissue.parquet` (every out-of-fold prediction) and a card, below `out`. **Takes** seconds in profile
# `smoke`, a few minutes in `demo`, about an hour in `full` on two cores; finished folds are kept in `out/cache`.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated) or mirome (real)
profile: str = "demo"  # smoke (few samples and small models, for tests), demo, full (everything)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # folds at a time
label: str = "tissue_group"  # column that is predicted
fine_label: str = "auto"  # column with finer classes for the experiment on class sizes; auto: tissue or cell_type
min_class_size: int = 15  # classes with fewer samples are left out (the paper: 9 and 15)
models: str = "dl_paper,rf_paper,rf_plain,logistic,dl_log,dummy"  # recipes to compare
other_label: str = "auto"  # a second way to name the same samples; auto: lineage where the atlas has it, else none

# %%
import dataclasses
from pathlib import Path

import pandas as pd
from IPython.display import display

from srna_lib import evaluate, plots
from srna_lib.data import make_task, subsample
from srna_lib.evaluate import SCHEMES, compare_labels, cross_validate, get_profile
from srna_lib.models import RECIPES
from srna_lib.report import open_dataset, say, write_card, write_results

# %%
plots.setup()
find, percent = evaluate.find, evaluate.percent
size, names = get_profile(profile), models.split(",")
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
if size.per_study:
    atlas = subsample(atlas, label, per_study=size.per_study, seed=seed)

# %% [markdown]
# ## The question, as a table
#
# One row per class: its samples, and the studies that they come from. A class that a single study contributes can never
# be recognised in a new study: leave that study out, and nothing of the class is left to learn from.

# %%
task = make_task(atlas, label, min_class_size=min_class_size)
classes = pd.DataFrame({"class": task.y, "study": task.groups}).groupby("class")["study"].agg(["size", "nunique"])
classes.columns = ["samples", "studies"]
display(classes.sort_values("samples", ascending=False).T)
left_out = ", ".join(f"{n} ({why})" for why, n in task.dropped.items() if n) or "none"
say(
    f"{len(task.y)} samples of {task.groups.nunique()} studies in {len(task.classes)} classes, {task.X.shape[1]} sRNAs;"
    f" samples left out: {left_out}. Classes of a single study: {(classes['studies'] == 1).sum()}."
)

# %% [markdown]
# ## The recipes
#
# Each is one scikit-learn pipeline from raw counts to a class, so normalisation, filter and scaling are learned from
# the training samples of a fold and from nothing else.

# %% tags=["remove-input"]
pd.DataFrame({"recipe": names, "what it is": [RECIPES[n] for n in names]}).set_index("recipe").style

# %% [markdown]
# ## The experiment that everybody does: random folds
#
# Shuffle the samples, predict each fold from the others. Expect high figures: a study has several samples, and
# they land on both sides of the split.

# %%
predict = {"profile": size, "seed": seed, "n_jobs": n_jobs, "cache": Path(out) / "cache"}
kinds = [*evaluate.METRICS, *evaluate.PER_CLASS]
scoring = {"dataset": info["name"], "metrics": kinds, "seed": seed, "n_boot": size.n_boot}
random_folds = cross_validate(task, names, "random", **predict)
random_records = evaluate.score(random_folds, **scoring)
evaluate.scores_table(random_records, evaluate.METRICS)

# %%
top, trivial = evaluate.best(random_records), find(random_records, "dummy")
say(
    f"The best recipe in random folds is `{top['model']}`, right for {percent(top)} of the samples; always naming the"
    f" largest class is right for {trivial['value']:.1%}. **These figures are optimistic**; the second half of this"
    " page says by how much."
)

# %% [markdown]
# Which classes are hard? Precision is the share of right calls among the calls of a class; recall (the paper calls it
# accuracy per class) is the share of the class's samples that are found.

# %%
caption = plots.caption(len(task.y), task.groups.nunique(), SCHEMES["random_5fold"])
shown = random_records[random_records["model"].isin(["dl_paper", "rf_paper", "logistic"])]
plots.per_class(shown, title="Precision and recall per class, random folds", caption=caption)

# %%
matrix = evaluate.confusion(random_folds[random_folds["model"] == "dl_paper"])
plots.confusion(matrix, title="The paper's network in random folds", caption=caption)

# %% [markdown]
# ## Does the minimum class size matter?
#
# The paper compared classes of at least 9 and of at least 15 samples and found that its forest suffers from small
# classes and its network does not. Groups are large here, so the finer labels show it better.

# %%
fine = next((c for c in ("tissue", "cell_type") if c in atlas.obs), label) if fine_label == "auto" else fine_label
fine_tasks = {}
for minimum in (9, 15):
    fine_task = make_task(atlas, fine, min_class_size=minimum)
    fine_tasks[minimum] = dataclasses.replace(fine_task, name=f"{fine}, classes of at least {minimum}")
trio = [n for n in ("dl_paper", "rf_paper", "logistic") if n in names]
nine, fifteen = fine_tasks.values()
fine_predictions = cross_validate(nine, trio, "random", **predict)
same = len(nine.y) == len(fifteen.y)  # no class of 9 to 14 samples: the experiment would be the same twice
again = fine_predictions.assign(task=fifteen.name) if same else cross_validate(fifteen, trio, "random", **predict)
fine_predictions = pd.concat([fine_predictions, again])
fine_records = evaluate.score(fine_predictions, **scoring)

# %%
counts = "; ".join(f"at least {m}: {len(t.y)} samples, {len(t.classes)} classes" for m, t in fine_tasks.items())
plots.metrics(
    fine_records,
    x="task",
    color="model",
    metric=["accuracy", "balanced_accuracy"],
    title=f"Small classes: {fine}",
    caption=plots.caption(scheme=SCHEMES["random_5fold"], extra=counts),
)

# %%
for m in trio:
    nine, fifteen = (find(fine_records, m, task=t.name) for t in fine_tasks.values())
    say(f"`{m}`: accuracy {percent(nine)} with classes of at least 9 samples, {percent(fifteen)} with at least 15.")

# %% [markdown]
# ## The experiment that matters: a study never seen
#
# Your own samples come from a study that no model was trained on. So leave out whole studies: folds that keep
# studies together, and one dataset out, where each study in turn is predicted from all the others (provided that its
# classes remain in the training data, as in the paper).

# %%
grouped = cross_validate(task, names, "study", **predict)
unseen = cross_validate(task, names, "one_dataset_out", **predict)
grouped_records, unseen_records = evaluate.score(grouped, **scoring), evaluate.score(unseen, **scoring)
n_unseen, studies_unseen = unseen["sample_id"].nunique(), unseen["dataset_id"].nunique()
say(f"One dataset out covers {studies_unseen} of {task.groups.nunique()} studies, {n_unseen} of {len(task.y)} samples.")

# %%
records = pd.concat([random_records, grouped_records, unseen_records], ignore_index=True)
display(evaluate.scores_table(records, ["accuracy"]))
evaluate.scores_table(pd.concat([grouped_records, unseen_records]), ["balanced_accuracy", "accuracy_per_dataset"])

# %% [markdown]
# Now the same as a picture. Each dot has its interval over studies; the distance between the colours is what a random
# split promises too much.

# %%
labels = {"random_5fold": "random folds", "grouped_kfold": "grouped by study", "one_dataset_out": "one dataset out"}
labels |= {"accuracy_per_dataset": "mean over studies", "balanced_accuracy": "balanced accuracy"}
headline = plots.metrics(
    records,
    metric=["accuracy", "balanced_accuracy", "accuracy_per_dataset"],
    title=f"Tissue from small RNAs, {info['title']}",
    caption=plots.caption(len(task.y), task.groups.nunique(), extra="95 % intervals: bootstrap over studies"),
    labels=labels,
)
headline

# %%
winner = evaluate.best(unseen_records)
drop = {n: find(random_records, n)["value"] - find(unseen_records, n)["value"] for n in names if n != "dummy"}
say(
    "Accuracy lost between random folds and one dataset out, in points: "
    + ", ".join(f"`{n}` {100 * d:.1f}" for n, d in sorted(drop.items(), key=lambda item: item[1]))
    + f". In unseen studies the best recipe is `{winner['model']}` with {percent(winner)}."
)

# %% [markdown]
# The average hides that studies differ: some are called without an error, some are wrong from the first to the last
# sample. A dot is a study.

# %%
by_study = evaluate.per_dataset(unseen)
plots.per_study(
    by_study[by_study["model"] != "dummy"],
    title="Accuracy of every study when it is left out",
    caption=plots.caption(n_unseen, studies_unseen, SCHEMES["one_dataset_out"]),
)

# %%
best_unseen = unseen[unseen["model"] == winner["model"]]
plots.confusion(
    evaluate.confusion(best_unseen),
    title=f"{winner['model']} in studies never seen",
    caption=plots.caption(n_unseen, studies_unseen, SCHEMES["one_dataset_out"]),
)

# %% [markdown]
# ## Where does the gap between network and forest come from?
#
# The paper reports its network well above its forest. That forest sees classes down-sampled to the smallest; a plain
# forest on the same features sees them all. Paired differences (both models on the same samples, studies drawn again)
# say what each ingredient is worth.

# %%
pairs = [("dl_paper", "rf_paper"), ("rf_plain", "rf_paper"), ("dl_paper", "rf_plain")]
pairs += [("dl_paper", "logistic"), ("dl_log", "dl_paper")]
first_draw = random_folds[random_folds["fold"].str.startswith("0.")]
tables = pd.concat([first_draw, grouped, unseen])
gaps = evaluate.compare(tables, pairs, correction="none", seed=seed, n_boot=size.n_boot)
ends = (100 * gaps[["difference", "ci_low", "ci_high"]]).to_numpy()
gaps["points"] = [f"{d:+.1f} [{low:+.1f}, {high:+.1f}]" for d, low, high in ends]
wide = gaps.pivot(index="pair", columns="scheme", values="points")
wide.reindex(columns=gaps["scheme"].unique(), index=gaps["pair"].unique())

# %%
plots.metrics(
    gaps.rename(columns={"difference": "value"}).assign(metric="difference in accuracy"),
    x="pair",
    metric="difference in accuracy",
    title="What each ingredient is worth",
    caption=plots.caption(extra="paired differences, 95 % intervals over studies; across zero: undecided"),
    labels=labels,
)

# %%
for pair in dict.fromkeys(gaps["pair"]):
    of_scheme = gaps[gaps["pair"] == pair].set_index("scheme")
    seen, never = of_scheme.loc["random_5fold"], of_scheme.loc["one_dataset_out"]
    say(
        f"`{seen['first']}` is {seen['verdict']} `{seen['second']}` in random folds ({seen['points']} points) and"
        f" {never['verdict']} it in studies never seen ({never['points']} points)."
    )

# %%
random_verdict = gaps[gaps["scheme"] == "random_5fold"].set_index("pair")["verdict"]
needed = ["rf_plain minus rf_paper", "dl_paper minus rf_plain"]
if list(random_verdict.reindex(needed)) == ["above", "not distinguishable from"]:
    say("**In random folds the gap is the down-sampling's, not the network's:** the plain forest closes it.")
elif set(needed) <= set(random_verdict.index):
    say(
        "**Down-sampling alone does not explain the gap here:** the plain forest does not stand where the network does."
    )

# %% [markdown]
# ## Are the classes themselves the problem?
#
# A class can mix what a cell is with the stage it is in, or with the culture that it comes from. Where the atlas names
# its samples in a second way, the same recipe on the same folds says what the naming costs.

# %%
other = ("lineage" if "lineage" in atlas.obs else "") if other_label == "auto" else other_label
renamed, renamed_records = pd.DataFrame(), random_records.iloc[:0]
if other and other != label:
    kept_recipes = [n for n in ("dl_log",) if n in names] or names[:1]
    renamed = compare_labels(atlas, (label, other), kept_recipes, min_class_size=min_class_size, **predict)
    renamed = renamed.assign(task=renamed["task"] + ", samples named both ways")
    renamed_records = evaluate.score(renamed, **scoring)
else:
    say("This atlas names its samples in one way only; nothing to compare.")

# %%
if len(renamed_records):
    figure = plots.metrics(
        renamed_records,
        color="task",
        metric=list(evaluate.METRICS),
        title=f"Two ways to name the same samples: {label} and {other}",
        caption=plots.caption(renamed["sample_id"].nunique(), renamed["dataset_id"].nunique(), "one dataset out"),
        labels=labels,
    )
    display(figure)

# %%
if len(renamed_records):
    first, second = (renamed[renamed["task"].str.startswith(f"{c},")] for c in (label, other))
    merged = first.merge(second, on=["sample_id", "model"], suffixes=("", "_other"))
    mended = merged.query("y_true != y_pred and y_true_other == y_pred_other and model == @kept_recipes[0]")
    gone = mended.groupby(["y_true", "y_pred", "y_true_other"]).size().sort_values(ascending=False).head(8)
    display(gone.rename("samples").reset_index().rename(columns={"y_true_other": other}).style.hide())

# %%
if len(renamed_records):
    one, two = (find(renamed_records, kept_recipes[0], task=t) for t in renamed["task"].unique())
    say(
        f"`{kept_recipes[0]}` in studies never seen: {percent(one)} with `{label}`, {percent(two)} with `{other}`. The"
        f" table names the confusions that go away: wrong as `{label}`, right as `{other}` ({len(mended)} samples)."
    )

# %% [markdown]
# ## Beside the paper
#
# The paper's collection is not public, so the figures below come from other samples and other classes: compare the
# pattern, not the decimals.

# %%
paper = evaluate.paper_results("tissue_group").assign(source="paper")
ours = records.query("metric == 'accuracy'").assign(source="ours", min_class_size=min_class_size)
if len(make_task(atlas, label, min_class_size=9).y) == len(task.y):  # both thresholds keep the same samples
    ours = pd.concat([ours.query("scheme == 'random_5fold'").assign(min_class_size=9), ours])
beside = pd.concat([paper, ours[ours["model"].isin(paper["model"]) & ours["scheme"].isin(paper["scheme"])]])
beside["quantity"] = [
    f"{m}, {labels[s]}, at least {n}" for m, s, n in beside[["model", "scheme", "min_class_size"]].to_numpy()
]
plots.paper_comparison(
    beside,
    title="Accuracy beside the paper's",
    caption=plots.caption(len(task.y), task.groups.nunique(), extra="ours with 95 % intervals over studies"),
)

# %% [markdown]
# ## The lesson

# %%
reach = {m: find(unseen_records, m)["value"] for m in trio}
average = find(unseen_records, winner["model"], "accuracy_per_dataset")
say(
    f"**Take-home.** Random folds promised {top['value']:.1%} (`{top['model']}`); in a study never seen the best recipe"
    f" (`{winner['model']}`) is right for {winner['value']:.1%} of the samples, and in the average study for"
    f" {average['value']:.1%}. There, "
    + ", ".join(f"`{m}` reaches {v:.1%}" for m, v in reach.items())
    + ". **Ask of every published figure which split it is from; believe the one that keeps studies apart.**"
)

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are. A figure that breaks one of these is a bug, not a finding.

# %% tags=["checks"]
everything = pd.concat([random_folds, grouped, unseen, fine_predictions, renamed], ignore_index=True)
probabilities = everything.filter(regex="^p_").sum(axis=1)
assert (probabilities - 1).abs().max() < 1e-5, "probabilities of a sample sum to 1"
for kept_together in ("grouped_kfold", "one_dataset_out"):
    part = everything[everything["scheme"] == kept_together]
    assert (part.groupby(["task", "model", "dataset_id"])["fold"].agg(lambda f: len(set(f))) == 1).all()
assert not unseen.duplicated(["model", "sample_id"]).any() and not grouped.duplicated(["model", "sample_id"]).any()
right = records[records["metric"] == "accuracy"]
assert right["value"].between(right["ci_low"] - 1e-9, right["ci_high"] + 1e-9).all()
if profile != "smoke":
    assert min(find(random_records, n)["value"] for n in drop) > trivial["value"], "models beat the largest class"

# %%
write_results(out, "02_tissue", [records, fine_records, renamed_records], everything)
numbers = {
    "samples, studies, classes": f"{len(task.y)}, {task.groups.nunique()}, {len(task.classes)}",
    "best in random folds (optimistic)": f"{top['model']} {top['value']:.1%}",
    "best in studies never seen": f"{winner['model']} {percent(winner)}",
    "in studies never seen": ", ".join(f"{m} {v:.1%}" for m, v in reach.items()),
}
run = {"dataset": dataset, "profile": profile, "seed": seed, "label": label, "min_class_size": min_class_size}
title = "Which tissue is this sample from, and would we know in a study never seen?"
write_card(out, "02_tissue", title=title, key_numbers=numbers, figure=headline, atlas_info=info, parameters=run)

# %% [markdown]
# ## What to try next
#
# - Another label: `srna run 02 -p label=cell_class`, or your own column.
# - Fewer features: what is left of the gap when `dl_paper` sees only presence and absence
#   (`srna_lib.preprocess.Presence`)?
# - Notebook 01 shows the studies behind these figures: look up the ones that are called wrong throughout.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Which studies are always wrong with one dataset out, whatever the model? Name their classes.

# %% tags=["solution"]
worst = by_study[by_study["model"] != "dummy"].groupby(["dataset_id", "classes"])["accuracy"].max()
worst[worst == 0].reset_index().head(10)

# %% [markdown] tags=["exercise"]
# **2.** Are the wrong calls less sure of themselves? Compare the highest probability of right and wrong calls, in
# random folds and with one dataset out.

# %% tags=["solution"]
sure = everything.assign(
    highest=everything.filter(regex="^p_").max(axis=1), right=everything["y_true"] == everything["y_pred"]
)
sure[sure["model"] == winner["model"]].groupby(["scheme", "right"])["highest"].mean().unstack()
