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
#     needs: ['{label}', dataset_id]
# ---

# %% [markdown]
# # What does it take to be right about a study that nobody has seen?
#
# **You will learn** how far recipes that treat the study as the unit of noise close the gap between random folds and
# studies never seen; what is left of it, and of what it is made; how accuracy grows with the number of training
# studies; and how to tell a model that reads the tissue from one that reads the laboratory. Notebook 02 shows the gap,
# this one tries to close it.
#
# **Reads** a named data set (`dataset`). **Writes** `results/08_unseen_studies.json` (every metric with its interval),
# `results/08_unseen_studies.parquet` (every out-of-fold prediction) and a card, below `out`. **Takes** seconds in
# profile `smoke`, a few minutes in `demo`, an hour or more in `full` on two cores; finished folds are kept in
# `out/cache`, shared with notebook 02. Words in *italics* stand in the glossary at the end.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), mirome or open_atlas (real)
profile: str = "demo"  # smoke (few samples and small models, for tests), demo, full (everything)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # folds at a time
label: str = "tissue_group"  # column that is predicted
min_class_size: int = 15  # classes with fewer samples are left out (the paper: 9 and 15)
models: str = "logistic,rf_paper,dl_log,wccn,lda_study,robust,dummy"  # recipes to compare

# %%
from functools import partial

import pandas as pd

import srna_lib as srna
from srna_lib import evaluate, explore
from srna_lib.report import close, open_dataset, say

# %%
names, size = srna.models.recipe_names(models), evaluate.get_profile(profile)
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
atlas = srna.data.eligible(atlas, label)  # of sex and age only data sets that do not give them away, as in 03
atlas = srna.data.subsample(atlas, label, per_study=size.per_study, min_class_size=min_class_size, seed=seed)

# %% [markdown]
# ## Two models, one fold, two numbers
#
# Leave a quarter of the studies out. Fit a logistic regression on the others, and then a model that is told which
# training samples share a study. **Does it help to know?** At the time of the test neither is told anything.

# %%
task = srna.make_task(atlas, label, min_class_size=min_class_size)
fold = srna.make_splits(task, "study", n_splits=4, seed=seed)[0]

# %%
plain = evaluate.fit_fold(task, srna.recipe("logistic", seed=seed), fold.train)
robust = evaluate.fit_fold(task, srna.recipe("robust", seed=seed), fold.train)
X, y = task.X.iloc[fold.test], task.y.iloc[fold.test]

# %%
say(f"""
**Correct: {plain.score(X, y):.1%} by `logistic`, {robust.score(X, y):.1%} by `robust`**, of {len(y)} samples of
{task.groups.iloc[fold.test].nunique()} studies.
""")

# %% [markdown]
# One fold says nothing yet: studies differ more than models do. The rest of the page asks with every fold, and compares
# models study by study.
#
# ## The recipes
#
# `wccn` scales down the directions in which studies of one class differ; `lda_study` takes the mean over studies as a
# class's profile, and draws it in where the studies are few; `robust` adds the scores of both, with weights fitted on
# training studies left out. Where training samples have finer labels, such as the tissue within a lineage, `robust`
# scores each kind of a class in three studies or more, and averages that with what it says of the whole class. A sample
# that is far nearer to one of the training samples than to any other study is taken for one of a study already seen,
# and has the class of its *twin*: that helps in random folds alone.

# %% tags=["remove-input"]
pd.Series(srna.RECIPES, name="what it is").loc[names].to_frame().style

# %% [markdown]
# ## The leaderboard
#
# Three ways to hold samples back, from the most optimistic to the hardest: random folds, folds that keep studies
# together, and *one dataset out*. **Which recipe will lose least** from the first to the last?

# %%
predict = partial(srna.cross_validate, profile=size, seed=seed, n_jobs=n_jobs, cache=f"{out}/cache")
random_folds, grouped = predict(task, names, "random"), predict(task, names, "study")

# %%
unseen = predict(task, names, "one_dataset_out")
everything = pd.concat([random_folds, grouped, unseen], ignore_index=True)

# %%
score = partial(srna.score, dataset=info["name"], n_boot=size.n_boot, seed=seed)
score = partial(score, metrics=[*evaluate.METRICS, "calibration_error", *evaluate.PER_CLASS])

# %%
scores = score(everything)
evaluate.scores_table(scores[scores["scheme"] == "one_dataset_out"], [*evaluate.METRICS, "calibration_error"])

# %%
shown = scores[scores["scheme"] != "one_dataset_out"]
evaluate.scores_table(shown, ["accuracy", "accuracy_per_dataset"])

# %% [markdown]
# A dot is a study; the bar is the mean over studies. Random folds and one dataset out show the same studies.

# %%
labels = {"random_5fold": "random folds", "grouped_kfold": "grouped by study", "one_dataset_out": "one dataset out"}
labels |= {"accuracy_per_dataset": "mean over studies", "balanced_accuracy": "balanced accuracy"}

# %%
best = [m for m in ("logistic", "dl_log", "robust") if m in names] or names[:1]
shown = everything[everything["model"].isin(best) & everything["sample_id"].isin(unseen["sample_id"])]
shown = evaluate.per_dataset(shown[shown["scheme"] != "grouped_kfold"])

# %%
shown = shown.assign(recipe=shown["model"] + ", " + shown["scheme"].map(labels))
shown = shown.sort_values(["model", "scheme"], ascending=[True, False], kind="stable")
caption = srna.pl.caption(unseen["sample_id"].nunique(), unseen["dataset_id"].nunique(), "random folds are optimistic")

# %%
headline = srna.pl.per_study(
    shown, "recipe", title="Accuracy in each study: seen beside others, and never seen", caption=caption
)
headline

# %% [markdown]
# ## Is the best one better, study by study?
#
# Recipes are compared on the same studies, because the spread between studies is larger than that between recipes. The
# interval is of the difference. **Would you call any of these settled?**

# %%
pairs = [("robust", "logistic"), ("robust", "dl_log"), ("robust", "rf_paper"), ("wccn", "logistic")]
pairs = [p for p in [*pairs, ("lda_study", "logistic")] if set(p) <= set(names)]

# %%
gaps = partial(srna.compare, metric=evaluate.METRICS, n_boot=size.n_boot, seed=seed)
gaps = gaps(pd.concat([grouped, unseen]), pairs)
evaluate.pairs_table(gaps.replace({"scheme": labels, "metric": labels}), by=("pair", "scheme", "metric"))

# %%
shown = gaps[gaps["metric"] == "accuracy_per_dataset"].replace({"scheme": labels})
shown["recipes, scheme"] = shown["pair"].astype(str) + ", " + shown["scheme"].astype(str)
caption = srna.pl.caption(extra="paired by study, 95 % intervals over studies")
srna.pl.gains(
    shown, "recipes, scheme", what="difference in mean accuracy of studies", title="Paired differences", caption=caption
)

# %% [markdown]
# ## May the samples of a study help each other?
#
# A laboratory sends its samples together. Average what a model says of a sample with what it says of the four most
# alike in its study, in logs, the more alike the more: no label of the study is used, but a prediction then depends on
# the company of its sample. **In which studies will that help, in those of one class or in those of several?**

# %%
shown = unseen[unseen["model"].isin(best)]
shown = pd.concat([shown, evaluate.batch_average(shown, task)], ignore_index=True)
helped = score(shown, metrics=evaluate.METRICS)
evaluate.scores_table(helped, evaluate.METRICS)

# %%
helped = helped[helped["model"].str.endswith("+batch")]
gaps = partial(srna.compare, metric=evaluate.METRICS, n_boot=size.n_boot, seed=seed)
gaps = gaps(shown, [(f"{name}+batch", name) for name in best])
evaluate.pairs_table(gaps.replace({"metric": labels}), by=("pair", "metric"))

# %%
classes = task.y.groupby(task.groups).nunique().eq(1).map({True: "one class", False: "several"})
shown = shown.assign(study=shown["dataset_id"].map(classes), correct=shown["y_true"] == shown["y_pred"])
shown.groupby(["model", "study"])["correct"].mean().unstack().style.format("{:.1%}")

# %% [markdown]
# Columns: samples of studies with one class, and with several. What is gained by company is no merit of the model; it
# is what a user's own samples know of each other (`srna annotate --batch`). The leaderboard above does without it.
#
# ## A whole collection never seen
#
# Studies of one collection share counting software, names and curators. Leave a collection out, and all of that is new.
# Studies of which another collection holds a part are left out of training, too.

# %%
outside = evaluate.collections_out(task, atlas.obs.get("collection", pd.Series()))
outside = predict(task, names, outside, scheme="one_collection_out") if outside else unseen[:0]
evaluate.scores_table(score(outside.assign(scheme=outside["fold"] + " left out")), ["accuracy", "balanced_accuracy"])

# %% [markdown]
# ## What is left of the gap?
#
# Look at the recipe with the most correct samples in studies never seen. Are its errors spread over all studies, or do
# a few studies hold most of them? **Guess the share of errors in the ten worst studies.**

# %%
candidates = scores[scores["model"].isin([m for m in names if m != "dummy"] or names)]
candidates = candidates[candidates["scheme"] == "one_dataset_out"]
winner = evaluate.best(candidates)

# %%
own = unseen[unseen["model"] == winner["model"]]
wrong = own[own["y_true"] != own["y_pred"]]
worst = wrong["dataset_id"].value_counts()

# %%
say(f"""
**Ten studies hold {worst.head(10).sum() / max(len(wrong), 1):.0%} of the {len(wrong)} errors** of `{winner["model"]}`;
{(worst == own["dataset_id"].value_counts().reindex(worst.index)).sum()} of {own["dataset_id"].nunique()} studies are
wrong throughout.
""")

# %%
shown = wrong.groupby(["dataset_id", "y_true", "y_pred"]).size().sort_values(ascending=False)
explore.readable(shown.rename("samples").reset_index().head(10))

# %% [markdown]
# By class: is a class of many studies easier than one of few? Each row is a class; recall is in studies never seen.

# %%
classes = pd.DataFrame({"class": task.y, "study": task.groups}).groupby("class")["study"].nunique()
shown = scores[(scores["metric"] == "recall") & (scores["scheme"] == "one_dataset_out")]
shown = shown[shown["model"] == winner["model"]].set_index("class")["value"].rename("recall")
shown = pd.concat([classes.rename("studies"), shown], axis=1).dropna().sort_values("studies")
shown.style.format({"recall": "{:.1%}"})

# %%
say(f"""
Rank correlation of recall with the number of studies of a class:
{shown["studies"].corr(shown["recall"], "spearman"):.2f} ({len(shown)} classes).
""")

# %% [markdown]
# ## What would more studies buy?
#
# The same test folds, with fewer and fewer studies in training, drawn at random; a class that is not among them cannot
# be predicted. **Does the curve still rise at its end?**

# %%
folds = srna.make_splits(task, "study", n_splits=size.n_splits or 10, seed=seed)
most = min(task.groups.iloc[f.train].nunique() for f in folds)
curve = [n for n in (10, 20, 40, 80, 160) if n < most] + [most]
curve = {n: evaluate.fewer_studies(task, folds, n, seed=seed) for n in curve}

# %%
quick = [m for m in ("logistic", "robust") if m in names] or names[:1]

# %%
curve = [predict(task, quick, part, scheme="fewer studies").assign(n_studies=n) for n, part in curve.items()]
curve = pd.concat([score(table, metrics="accuracy").assign(n_studies=table["n_studies"].iloc[0]) for table in curve])
caption = srna.pl.caption(len(task.y), task.groups.nunique(), "folds grouped by study", extra="95 % intervals")

# %%
srna.pl.metrics(
    curve.astype({"n_studies": str}).rename(columns={"n_studies": "studies in training"}),
    x="studies in training",
    color="model",
    title="Accuracy by number of training studies",
    caption=caption,
)

# %%
shown = curve[curve["model"] == quick[-1]].set_index("n_studies")["value"].iloc[[0, -1]]
say(f"""
`{quick[-1]}`: {shown.iloc[0]:.1%} with {shown.index[0]} studies in training, {shown.iloc[1]:.1%} with {shown.index[1]}.
""")

# %% [markdown]
# ## One model for every level
#
# A sample has a lineage, a tissue group and a cell type. Three models can contradict each other; one model of the
# finest classes, whose probabilities are summed upwards, cannot, and it may give each kind within a class a profile of
# its own. But it sees fewer studies of each. **Will the sums be better or worse than a model of the level itself?**

# %%
shown = [c for c in ("sample_type", "lineage") if label == "tissue_group" and c in atlas.obs]
shown = [c for c in shown if atlas.obs.loc[task.y.index, c].nunique() > 1]
shown += [label, explore.choose_column(atlas, "auto", ("cell_type", "tissue"), label)]

# %%
by_level = partial(evaluate.compare_levels, profile=size, n_splits=size.n_splits, seed=seed, n_jobs=n_jobs)
by_level = by_level(task, atlas.obs, shown, quick[-1:], cache=f"{out}/cache")
level_scores = score(by_level, metrics=evaluate.METRICS)

# %%
evaluate.scores_table(level_scores, evaluate.METRICS)

# %%
shown = by_level[by_level["task"].str.startswith(f"{label}, ")]
shown = shown.assign(model=shown["task"].str.split(", ").str[1], task=label)
gaps = srna.compare(shown, [("leaves summed", "its own model")], metric=evaluate.METRICS, n_boot=size.n_boot, seed=seed)
evaluate.pairs_table(gaps.replace({"metric": labels}), by=("pair", "metric"))

# %% [markdown]
# ## Would we notice a model that reads the laboratory?
#
# Deal the labels of each study to another study, as a whole: now profiles say nothing about labels, and the laboratory
# says everything. **What will random folds report?** And studies never seen?

# %%
dealt = srna.data.shuffle_studies(task, seed=seed)
null = pd.concat([predict(dealt, quick[-1:], "random"), predict(dealt, list({quick[-1], "dummy"}), "study")])

# %%
null_scores = srna.score(null, dataset=info["name"], metrics="accuracy", n_boot=size.n_boot, seed=seed)
null_scores = null_scores.assign(model=null_scores["model"] + ", labels of studies exchanged")
evaluate.scores_table(null_scores)

# %%
shown = null_scores.set_index(null_scores["model"].str.split(",").str[0] + " " + null_scores["scheme"])["value"]
say(f"""
Without any signal, random folds report {shown[f"{quick[-1]} random_5fold"]:.1%}; folds by study report
{shown[f"{quick[-1]} grouped_kfold"]:.1%}, where always naming the largest class has {shown["dummy grouped_kfold"]:.1%}.
""")

# %% [markdown]
# ## The lesson

# %%
promised = scores[scores["model"].isin(candidates["model"])]
promised = evaluate.best(promised[promised["scheme"] == "random_5fold"])
say(f"""
**{info["lesson"]}.** Random folds promise {promised["value"]:.1%} (`{promised["model"]}`, optimistic). In studies never
seen the best recipe, `{winner["model"]}`, is correct for {evaluate.percent(winner)} of the samples. It was chosen on
these studies, which flatters it a little.
""")

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are. A number that breaks one of these is a bug, not a finding.

# %% tags=["checks"]
apart = pd.concat([grouped, unseen])
assert (apart.groupby(["model", "scheme", "dataset_id"])["fold"].nunique() == 1).all(), "no study in two folds"
assert (everything.filter(regex="^p_").sum(axis=1) - 1).abs().max() < 1e-5, "probabilities of a sample sum to 1"
assert not apart.duplicated(["model", "scheme", "sample_id"]).any(), "every sample is predicted once"
assert (by_level.filter(regex="^p_").sum(axis=1) - 1).abs().max() < 1e-5, "so do sums of leaves"
assert (robust.predict(X.iloc[:3]) == robust.predict(X)[:3]).all()

# %%
shown = candidates[candidates["metric"] == "accuracy"].set_index("model")["value"].map("{:.1%}".format)
numbers = {
    "samples, studies, classes": f"{len(task.y)}, {task.groups.nunique()}, {len(task.classes)}",
    "best in random folds (optimistic)": f"{promised['model']} {promised['value']:.1%}",
    "best in studies never seen": f"{winner['model']} {evaluate.percent(winner)}",
    "in studies never seen": ", ".join(shown.index + " " + shown),
    "with the samples most alike": evaluate.percent(evaluate.best(helped)),
}

# %%
close(
    out,
    "08_unseen_studies",
    title="What does it take to be right about a study that nobody has seen?",
    info=info,
    records=[scores, score(outside), helped, level_scores, null_scores],
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "label": label, "min_class_size": min_class_size},
    predictions=pd.concat([everything, outside], ignore_index=True),
)

# %% [markdown]
# ## Limits
#
# * The recipes were developed on `mirome`; `docs/unseen_studies.md` says what was chosen when, and on what. Figures on
#   `mirome` are a little optimistic by that, those on other data are not.
# * Only classes that other studies hold can be asked about. What no study of training holds is a matter of refusal
#   (notebook 07).
# * Studies of this collection are not a random draw of the studies to come: intervals over studies do not cover new
#   protocols.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Does `robust` know when it is wrong? Guess the accuracy of its surest half in studies never seen, then compute
# it.

# %% tags=["answer"]

# %% tags=["solution"]
shown = own.assign(highest=own.filter(regex="^p_").max(axis=1), correct=own["y_true"] == own["y_pred"])
shown.nlargest(len(shown) // 2, "highest")["correct"].mean().round(3)

# %% [markdown] tags=["exercise"]
# **2.** Which two classes are confused most in studies never seen? Guess, then look at the matrix.

# %% tags=["answer"]

# %% tags=["solution"]
srna.pl.confusion(evaluate.confusion(own), title=f"{winner['model']} in studies never seen")

# %% [markdown] tags=["exercise"]
# **3.** What if the model is not told which samples share a study? Guess, then fit `robust` without studies (each
# sample is its own), and compare on the first fold.

# %% tags=["answer"]

# %% tags=["solution"]
plain = srna.recipe("robust", seed=seed).fit(task.X.iloc[fold.train], task.y.iloc[fold.train])
{"studies known": robust.score(X, y), "each sample its own study": plain.score(X, y)}

# %% [markdown]
# ## What to try next
#
# * Another label or fewer recipes: `srna run 08 --dataset mirome -p label=lineage -p models=logistic,robust,dummy`.
# * One recipe alone, in seconds: `srna run 08 -p models=logistic`.
# * Notebook 02 has the paper's models and the classes, notebook 07 what to do with samples of no known class.
#
# ## Glossary
#
# * **accuracy, mean over studies**: accuracy of each study, averaged: a large study counts as much as a small one.
# * **balanced accuracy**: mean recall over classes.
# * **one dataset out**: each study in turn is predicted by a model that never saw it (leave-one-study-out).
# * **paired difference**: of two recipes on the same samples; studies are resampled for its interval.
# * **recall**: share of a class's samples that are found.
# * **study as unit**: samples of a study share its laboratory, protocol and donors, so they count together.
# * **twin**: the nearest training sample, if it is far nearer than the nearest of any other study (Lowe's ratio test).
#
# ## References
#
# * Fiosina, Fiosins and Bonn (2020), Explainable deep learning for augmentation of small RNA expression profiles,
#   Journal of Computational Biology 27:234-247.
# * Hatch, Kajarekar and Stolcke (2006), Within-class covariance normalization for SVM-based speaker recognition,
#   Interspeech.
# * Lowe (2004), Distinctive image features from scale-invariant keypoints, International Journal of Computer Vision
#   60:91-110.
# * Whalen and others (2022), Navigating the pitfalls of applying machine learning in genomics, Nature Reviews
#   Genetics 23:169-181.
