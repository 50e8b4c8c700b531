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
# # Can a ranking of sRNAs be trusted?
#
# **You will learn** why a model that is never wrong can still give an incomplete list of markers; what prediction gaps
# and retraining say about a list, and what they do not; how much of a top list survives another seed or another
# method; and what studies do to all of it. The experiments are those of Bontonou and colleagues (2023): simulate
# expression whose informative features are known, explain models that have learned it, and hold the explanations
# against the truth. Then the same questions go to small RNAs, where nobody knows the truth.
#
# **Reads** a named data set (`dataset`); the simulations are made here. **Writes** `results/09_limits.json` (every
# number), `results/09_limits.parquet` (predictions of all models and refits) and a card, below `out`. **Takes** seconds
# in profile `smoke`, one or two minutes in `demo`, under a quarter of an hour in `full` on two cores; finished folds
# are kept in `out/cache`. Words in *italics* stand in the glossary at the end.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), mirome, open_atlas (real), tcga
profile: str = "demo"  # size of the run: smoke (few samples, for tests), demo, full
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # folds at a time
label: str = "tissue_group"  # column that is predicted on the data set; tcga: tumour_normal
min_class_size: int = 15  # classes with fewer samples are left out
n_networks: int = 10  # networks that differ in nothing but their seed (smoke: 2)
top_k: int = 20  # length of the slices that models are fitted on anew on the data set

# %%
from dataclasses import replace
from functools import partial

import pandas as pd

import srna_lib as srna
from srna_lib import companions, evaluate, explain
from srna_lib.report import close, open_dataset, say

# %%
size = evaluate.get_profile(profile)
n_networks = {"smoke": 2}.get(profile, max(2, n_networks))
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)

# %% [markdown]
# ## Two models that are never wrong, by hand
#
# Two classes, and two thousand features in groups of ten. Each class owns ten groups: their reads double in it, on
# average. So two hundred features are *informative*, and a list of the two hundred best has one right answer.

# %%
toy = companions.simulate("syn_g", {"smoke": 600}.get(profile, 3000), seed=seed)
true = toy.truth.columns[(toy.truth != 0).any()]
toy = srna.data.Task("syn_g", toy.counts, toy.labels, toy.studies, {})

# %% [markdown]
# A *logistic regression* and a small *network* learn a sixth of the samples; the others are predicted. **If both are
# right on nearly every sample, how much of the truth does each list hold?** Write both numbers down.

# %%
fold = srna.make_splits(toy, "random", n_splits=6, seed=seed)[0]
fold = evaluate.Split("0", fold.test, fold.train)
X, y = toy.X.iloc[fold.train], toy.y.iloc[fold.train]
models = companions.fit_all(toy, fold.train, n_networks=n_networks, seed=seed)

# %%
test = toy.X.iloc[fold.test]
right = {name: (model.predict(test) == toy.y.iloc[fold.test]).mean() for name, model in models.items()}
scores = companions.rank_all(models, X, y, seed=seed)
shown = {name: true.isin(row.nlargest(len(true)).index).mean() for name, row in scores.iterrows()}

# %%
say(f"""
{len(y)} samples to learn from, {len(test)} to predict: {right["logistic L2"]:.1%} correct by the logistic regression,
{right["network 1"]:.1%} by a network. **Of the informative features its first {len(true)} hold
{shown["logistic L2"]:.0%}, those of the network {shown["network 1"]:.0%}.**""")

# %% [markdown]
# Both are as good as a model can be, and one of the lists is badly incomplete. A network needs only enough of the
# informative features to be sure; nothing in its training asks for all of them.
#
# ## How the truth is made
#
# The simulator is *latent Dirichlet allocation*. Group p shares its reads among its members by fixed shares
# beta (p), drawn once. A sample e of class c spreads its reads over the groups by theta (e), drawn from a Dirichlet
# distribution whose parameters are twice as large for the groups that class c owns. The reads are then
#
#     x(e) ~ Multinomial(N, theta(e) beta)
#
# The original draws a group for every read, and then a member: the same distribution, by a slow loop. A small set both
# ways; what is left between them is chance:

# %%
shown = [companions.simulate("demo", len(toy.y), seed=seed, two_step=two).counts for two in (False, True)]
ratio = pd.DataFrame({"mean": shown[0].mean() / shown[1].mean(), "variance": shown[0].var() / shown[1].var()})
ratio.agg(["min", "max"]).style.format(precision=4)

# %% [markdown]
# Without the informative features nothing should be left to learn. **What will the models reach?**

# %%
shown = replace(toy, X=toy.X.drop(columns=true))
shown = companions.fit_all(shown, fold.train, n_networks={"smoke": 0}.get(profile, 1), seed=seed)
blind = {k: (m.predict(test.drop(columns=true)) == toy.y.iloc[fold.test]).mean() for k, m in shown.items()}
pd.DataFrame({"all features": right, "without the informative": blind}).dropna().style.format("{:.1%}")

# %% [markdown]
# ## Do the attributions add up?
#
# The networks are explained by *integrated gradients* of the class's probability, as in the original: the features'
# attributions must sum to what the probability gains between an average sample and this one. Sums of few points on the
# way miss that. What the worst sample misses, on probabilities and on *logits*:

# %%
shown = partial(companions.attributions, models["network 1"], X, y, tolerance=float("inf"))
shown = {o: [shown(output=o, steps=n).error.max() for n in (5, 20, 80, 320)] for o in ("probability", "logit")}
pd.DataFrame(shown, index=pd.Index([5, 20, 80, 320], name="points on the way")).style.format("{:.4f}")

# %% [markdown]
# So the points are doubled, for the samples that need it, until each misses one percentage point at most:

# %%
added = companions.attributions(models["network 1"], X, y)
say(f"""
The worst sample misses {added.error.max():.4f}; {(added.steps > 50).mean():.0%} of the samples needed more than the
first 50 points, the hardest {added.steps.max()}.""")

# %% [markdown]
# ## Who finds the truth?
#
# The same samples, ranked by each method: weights of two logistic regressions (L2 and L1), a forest's Gini importance,
# each network, DeepLIFT in the first network, the F statistic of an analysis of variance, which needs no model at all,
# the ranks of all networks averaged, and a graph network, in which each feature sees the ten that it varies with most
# (notebook 10). **Who wins? And what will averaging do?**

# %%
shown = {"smoke": 1}.get(profile, 15)
scores.loc["graph network"], shown = companions.graph_importance(toy, fold.train, epochs=shown, seed=seed)
say(f"Correct by the graph network: {shown:.1%}.")

# %%
found = scores.apply(explain.precision_at_k, axis=1, truth=true)
single = found.filter(regex=r"network \d+$")
chance = len(true) / toy.X.shape[1]

# %%
shown = found.rename(dict.fromkeys(single.index, "one network"))
shown = shown.rename_axis("method").rename("precision").reset_index()
caption = f"set syn_g: {len(y)} training samples, {toy.X.shape[1]} features; dots: networks that differ in their seed"
title = "How much of the truth is in the list of each method"

# %%
headline = f"share of informative features among the first {len(true)}"
headline = srna.pl.truth_bars(shown, chance, value=headline, title=title, caption=caption)
headline

# %%
say(f"""
One network finds {single.mean():.0%} on average ({single.min():.0%} to {single.max():.0%} by seed), {n_networks}
averaged {found["mean rank"]:.0%}; chance is {chance:.0%}. **Averaging ranks over seeds brings back
{(found["mean rank"] - single.mean()) / (1 - single.mean()):.0%} of what one network leaves out.**""")

# %% [markdown]
# What a network leaves out is an accident of its start, and other starts leave out something else. But beware of the
# winner. In this world every group acts alone, which is what a linear model and F assume, and there are
# no studies. Below, the world has studies.
#
# The labels shuffled: what does a ranking find where there is nothing to find?

# %%
shown = replace(toy, y=toy.y.sample(frac=1, random_state=seed).set_axis(toy.y.index))
shown = companions.fit_all(shown, fold.train, n_networks=0, seed=seed)
shown = companions.rank_all(shown, X, y, seed=seed).loc["logistic L2"]
found["logistic L2, labels shuffled"] = explain.precision_at_k(shown, true)
say(f"With shuffled labels the logistic regression's list holds {found.iloc[-1]:.0%}; chance {chance:.0%}.")

# %% [markdown]
# ## Necessary and sufficient: prediction gaps
#
# Without a known truth a list can be tested on the model itself. Mask features (put them to their average), the
# important first: how soon is the prediction lost? That is *PGI*: high means that they were necessary. Mask the
# unimportant first: *PGU*, low means that the rest suffices. Random orders stand between. Each sample can have its own
# order (local), or all share one (global). **Will the network with the incomplete list fail the test?**

# %%
shown = {name: models[name] for name in ("logistic L2", "network 1")}
gap, shown = companions.gaps(shown, X, y, step={"smoke": 200}.get(profile, 40), seed=seed)
gap.style.format(precision=2)

# %%
caption = f"set syn_g, {len(y)} training samples, those classified correctly; masked: put to the training mean"
srna.pl.gap_curves(shown, title="What is lost of the predicted probability while features are masked", caption=caption)

# %% [markdown]
# On the scale of random orders (the last two columns) gaps of different models compare. **A list can pass both tests
# and miss a good part of the truth:** gaps ask what this model used, and it used no more than it needed. They test
# the faithfulness of an explanation, not the completeness of a list of markers.
#
# Where most features are informative, the masked order can hardly matter. The original's largest set has thirty-three
# classes that own four fifths of its groups (profiles below `full`: six such classes). **How far apart will PGI and
# random be now?**

# %%
shown = {"full": companions.design("SIMU1")}
shown = shown.get(profile, replace(companions.design("SIMU1"), n_classes=6, n_groups=273))
many = companions.simulate(shown, {"smoke": 120, "full": 3300}.get(profile, 300), seed=seed)

# %%
shown = many.labels.groupby(many.labels).head(20)  # of each class, to mask
crowded = {"logistic L2": srna.recipe("logistic").fit(many.counts, many.labels)}
crowded, shown = companions.gaps(
    crowded, many.counts.loc[shown.index], shown, step=many.counts.shape[1] // 100, seed=seed
)
crowded.style.format(precision=2)

# %% [markdown]
# ## Would another network name the same features?
#
# Networks of different seeds, pair by pair: which share of the first k do they have in common, and how much of it is
# true? **Guess the share for the first ten.**

# %%
lists = companions.by_length(scores.loc[single.index], (10, 20, 50, 100, 200), true)
shown = lists.melt("k", ["precision", "overlap", "chance"], "what", "share")
caption = f"{n_networks} networks of different seeds, set syn_g; means over networks and pairs"
title = "Top lists of networks that differ in their seed"

# %%
printed = {"precision": "informative", "overlap": "shared by two networks", "chance": "shared by two random lists"}
printed |= {"k": "length of the list (log scale)", "share": "share of the list (%)"}
srna.pl.share_lines(shown, "k", "share", "what", log_x=True, labels=printed, title=title, caption=caption)

# %%
say(f"""
**Two networks share {lists["overlap"].iloc[0]:.0%} of their first ten, of which {lists["precision"].iloc[0]:.0%} are
informative**; of their first {lists["k"].iloc[-1]} they share {lists["overlap"].iloc[-1]:.0%}.""")

# %% [markdown]
# Lists can differ without being wrong: a top ten is a sample of the markers, not the markers. Do other methods settle
# it? The first ten of each, against each other:

# %%
shown = {name: scores.loc[[name]].set_axis(["all"]) for name in scores.index.drop(single.index[2:])}
shown = explain.agreement_matrix(explain.agreement(shown, 10))
caption = f"set syn_g, {len(y)} training samples; share of the first ten"
srna.pl.agreement_heatmap(shown, title="First ten features in common, by method", caption=caption)

# %% [markdown]
# ## Is what stands below worthless?
#
# A logistic model is fitted anew on slices of each ranking: the first ten, as many as there are informative ones, as
# many that follow, as many from the middle, and the worst. **From which slice on will it guess?**

# %%
shown = companions.retrain(toy, fold, scores, k=len(true))
shown["right"] = shown["y_true"] == shown["y_pred"]
worth = shown.pivot_table(index="model", columns="features", values="right", sort=False).loc[scores.index]
pd.concat([found.rename("informative in the first"), worth], axis=1, join="inner").style.format("{:.1%}")

# %%
shown = worth.loc[single.index].mean()
say(f"""
Means over networks, from the first ten downwards: {", ".join(f"{k} {v:.1%}" for k, v in shown.items())}; the worst of
the logistic regression {worth.loc["logistic L2"].iloc[-1]:.1%}.""")

# %% [markdown]
# Wherever a low slice classifies, low in that ranking does not mean uninformative, and that the first ten classify well
# does not make them special.

# %% [markdown]
# ## A world of small RNAs, with studies
#
# Groups become families of two to ten sRNAs, of which a few hold most reads, as in a real library. Samples come from
# studies, and each study multiplies every family by a factor of its own. A study holds two of the six tissues, as real
# ones do. The larger the *study effect*, the better a model can tell tissues by telling studies. **What happens to
# accuracy in random folds, to accuracy in studies never seen, and to the lists?**

# %%
effect = {"smoke": [0.0, 1.0]}.get(profile, [0.0, 0.5, 1.0])
shown = {"smoke": 300}.get(profile, 900)
effect = companions.study_effects(effect, shown, seed=seed, n_networks=min(n_networks, 3))
shown = effect[~effect["method"].str.fullmatch(r"network [2-9]|random order")]

# %%
printed = {"study_sd": "study effect (standard deviation of the log factor)", "precision": "informative at K (%)"}
caption = f"simulated families in studies of two tissues; chance {effect['chance'].iloc[0]:.0%}"
title = "How much of the truth is in a list while studies leave a stronger mark"
srna.pl.share_lines(shown, "study_sd", "precision", "method", labels=printed, title=title, caption=caption)

# %%
shown = shown.dropna(subset="random").set_index("method").loc["logistic L2"]
shown.set_index("study_sd")[["random", "study", "precision"]].style.format("{:.0%}").format_index("{:g}")

# %%
effect = effect.pivot(index="method", columns="study_sd").sort_index(axis=1)
say(f"""
From no study effect to the largest, F finds {effect["precision"].iloc[:, 0]["ANOVA F"]:.0%} and then
{effect["precision"].iloc[:, -1]["ANOVA F"]:.0%}, the logistic regression
{effect["precision"].iloc[:, 0]["logistic L2"]:.0%} and {effect["precision"].iloc[:, -1]["logistic L2"]:.0%}.""")

# %%
shown = effect.loc["logistic L2"]
say(f"""
**Its accuracy in random folds goes from {shown["random"].iloc[0]:.0%} to {shown["random"].iloc[-1]:.0%}, in studies
never seen from {shown["study"].iloc[0]:.0%} to {shown["study"].iloc[-1]:.0%}.**""")

# %% [markdown]
# Where the two part, a ranking may have become a list of studies. Random folds do not notice it; accuracy in studies
# never seen is the alarm.

# %% [markdown]
# ## Real small RNAs
#
# Now the data set of this page. Whole studies are held out; models, rankings and refits see the training studies only.
# Of tumours and normal tissue only cohorts are kept that hold enough of both: where a cohort has one alone, the cohort
# gives the answer away.

# %%
if label == "tumour_normal":
    atlas = srna.data.with_every_class(atlas, label, min_per_class=min_class_size)
atlas = srna.data.eligible(atlas, label)  # of sex and age only data sets that do not give them away, as in 03
shown = {"full": 60, "demo": 12}.get(profile, size.per_study)  # samples of a class and study at most
atlas = srna.data.subsample(atlas, label, per_study=shown, min_class_size=min_class_size, seed=seed)

# %%
task = srna.make_task(atlas, label, min_class_size=min_class_size)
folds = srna.make_splits(task, "study", n_splits=min(size.n_splits or 5, task.groups.nunique()), seed=seed)
caption = srna.pl.caption(len(task.y), task.groups.nunique(), "folds of studies", "balanced accuracy")

# %%
longer = companions.NETWORK | {"classifier__epochs": 60}  # fewer samples in a fold: more passes
told = partial(companions.across_folds, task, folds, k=top_k, seed=seed, n_jobs=n_jobs, cache=f"{out}/cache")
told = told(scheme="grouped_kfold", n_networks={"full": n_networks}.get(profile, 2), network=longer)

# %%
scored = told[~told["model"].str.fullmatch(r"network ([2-9]|\d\d)")]
scored = srna.score(scored, dataset=info["name"], metrics="balanced_accuracy", n_boot=size.n_boot, seed=seed)
printed = {"balanced_accuracy": "balanced accuracy", "features": "sRNAs that the model may see"}
caption = f"{caption}; chance level {1 / len(task.classes):.1%}; 95 % intervals over studies"

# %%
title = f"How much slices of a ranking tell about {label}"
srna.pl.metrics(scored, x="features", color="model", labels=printed, title=title, caption=caption)

# %%
reach = scored.pivot(index="model", columns="features", values="value")[scored["features"].unique()]
say(f"""
With all sRNAs the logistic regression reaches {reach["all"]["logistic L2"]:.1%}. On slices of the networks' averaged
ranks: {", ".join(f"{k} {v:.1%}" for k, v in reach.loc["mean rank"].drop("all").items())}; on ten at random
{reach["best 10"]["random order"]:.1%}.""")

# %% [markdown]
# How much of a list survives another seed, another method? Models of the first fold's training studies. On a real
# data set the share that is true stays unknown. **Will real lists agree more, or less, than simulated ones?**

# %%
X, y = task.X.iloc[folds[0].train], task.y.iloc[folds[0].train]
models = companions.fit_all(task, folds[0].train, n_networks=n_networks, seed=seed, network=longer)
ranks = companions.rank_all(models, X, y, seed=seed)

# %%
shown = explain.true_biomarkers(atlas, label) & set(task.X.columns)
real = companions.by_length(ranks.loc[single.index], [k for k in (10, 20, 50, 100) if k < task.X.shape[1]], shown)
real.style.hide().format(precision=3, na_rep="–")

# %%
shown = {name: ranks.loc[[name]].set_axis(["all"]) for name in ranks.index.drop(single.index[2:])}
shown = explain.agreement_matrix(explain.agreement(shown, 10))
caption = srna.pl.caption(len(y), task.groups[y.index].nunique(), extra="training studies of one fold")
srna.pl.agreement_heatmap(shown, title=f"First ten sRNAs in common, by method ({label})", caption=caption)

# %% [markdown]
# And are the explanations faithful to their models, as they were in the simulation?

# %%
shown = {name: models[name] for name in ("logistic L2", "network 1")}
faithful, shown = companions.gaps(shown, X, y, step=top_k, seed=seed)
faithful.style.format(precision=2)

# %%
srna.pl.gap_curves(shown, title="What is lost of the predicted probability while sRNAs are masked", caption=caption)

# %% [markdown]
# ## What it means for notebooks 02 to 06
#
# * **02 to 04 (tissue, sex, age)**: accuracy does not certify a list. A model may be right with a part of the markers,
#   and a slice that no ranking would show may be right as well. Judge models in studies never seen: random folds
#   do not notice when a ranking has turned into a list of studies.
# * **05 (explanations)**: a ranking of one network is one of many. Average ranks over seeds; put the weights of a
#   linear model and a plain statistic beside it; quote gaps for faithfulness, never for completeness. Intervals over
#   studies say more than those over samples.
# * **06 (stability)**: a prediction that flips after few masked sRNAs leans on few of them; others may be as
#   informative and unused. Orders of masking from one network inherit its accidents.
#
# ## Take-home

# %%
say(f"""
**{info["lesson"]}. Right is not complete: {right["network 1"]:.1%} accuracy, and {single.mean():.0%} of the truth in a
network's list; {found["mean rank"]:.0%} after averaging ranks over {n_networks} seeds. On this data set two networks
share {real["overlap"].iloc[0]:.0%} of their first ten (chance {real["chance"].iloc[0]:.1%}).**""")

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are; beyond profile `smoke` also what the simulation guarantees.

# %% tags=["checks"]
assert added.error.max() <= 0.01, "attributions add up"
assert not set(task.groups[y.index]) & set(task.groups.iloc[folds[0].test]), "rankings never see a test study"
assert told.groupby(["model", "features"])["sample_id"].nunique().eq(len(task.y)).all()
assert (crowded["PGI"] > crowded["random"]).all() and (crowded["random"] > crowded["PGU"]).all()

# %%
if profile != "smoke":
    assert ratio["mean"].between(0.98, 1.02).all() and ratio["variance"].between(0.9, 1.1).all()
    assert min(right["logistic L2"], right["network 1"]) >= 0.98
    assert (
        0.45 <= min(blind["logistic L2"], blind["network 1"]) <= max(blind["logistic L2"], blind["network 1"]) <= 0.58
    )
    assert found["logistic L2"] >= 0.98 and single.mean() <= 0.75 and found["mean rank"] >= 0.90
    assert (gap["PGI / random"] >= 3).all() and (gap["PGU / random"] <= 0.3).all()
    assert worth.loc[single.index].mean().iloc[-1] > 0.6 and abs(found.iloc[-1] - chance) < 0.08

# %%
values = [(name, f"precision at {len(true)}", v) for name, v in found.items()]
values += [(name, "accuracy", v) for name, v in right.items()]
values += [(name, "accuracy without informative features", v) for name, v in blind.items()]
values += [(name, f"{o} (%)", row[o]) for name, row in gap.iterrows() for o in explain.ORDERS]
values += [("networks", f"overlap of first {row.k}", row.overlap) for row in lists.itertuples()]

# %%
shown = {"features": "all", "seed": seed, "ci_low": None, "ci_high": None, "task": "syn_g", "dataset": "simulated"}
shown |= {"scheme": "random", "n_samples": len(test), "n_datasets": 1}
records = [shown | {"model": m, "metric": q, "value": float(v)} for m, q, v in values]

# %%
values = [(name, f"{o} (%)", row[o]) for name, row in faithful.iterrows() for o in explain.ORDERS]
values += [("networks", f"overlap of first {row.k}", row.overlap) for row in real.itertuples()]
shown |= {"task": label, "dataset": info["name"], "scheme": "grouped_kfold", "n_samples": len(y)}
shown |= {"n_datasets": task.groups[y.index].nunique()}
records += [shown | {"model": m, "metric": q, "value": float(v)} for m, q, v in values]

# %%
numbers = {"informative features in a network's list": f"{single.mean():.2f}, averaged {found['mean rank']:.2f}"}
numbers["first ten that two networks share"] = f"{lists['overlap'].iloc[0]:.0%}; here {real['overlap'].iloc[0]:.0%}"
shown = f"{reach['all']['logistic L2']:.3f}, {reach['best 10']['mean rank']:.3f}"
numbers["balanced accuracy, all sRNAs and the ten best"] = shown

# %%
close(
    out,
    "09_limits",
    title="Can a ranking of sRNAs be trusted?",
    info=info,
    records=[scored, *records],
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "label": label, "n_networks": n_networks, "top_k": top_k},
    predictions=told,
)

# %% [markdown]
# ## Limits
#
# * In the simulation groups act one by one, which suits linear models and the F statistic. It has no interactions,
#   where a network could win.
# * Masking to the mean makes samples that do not exist. A gap counts losses only: masks that raise the probability are
#   clipped to zero, and where the probability is small the ratio is unsteady.
# * Slices are fitted on anew by a logistic model: what only a network could use in them does not show.
# * The lists of the data set are those of one fold's training studies, and of the classes that these studies hold.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Does more data complete a network's list? Guess, then train on every second of the samples that were predicted.

# %% tags=["answer"]

# %% tags=["solution"]
shown = fold.test[::2]
shown = toy.X.iloc[shown], toy.y.iloc[shown], companions.fit_all(toy, shown, n_networks=2, seed=seed)
shown = companions.rank_all(shown[2], shown[0], shown[1], seed=seed)
shown.apply(explain.precision_at_k, axis=1, truth=true).round(2)

# %% [markdown] tags=["exercise"]
# **2.** Weak effects, as with sex: will the forest or the logistic regression find more of the two families that each
# class owns? Guess, then rank the design `srna_sex`.

# %% tags=["answer"]

# %% tags=["solution"]
shown = companions.study_effects([0.0, 0.5], 300, base="srna_sex", seed=seed, n_networks=0)
shown.style.hide().format(precision=2, na_rep="–")

# %% [markdown] tags=["exercise"]
# **3.** Is a list of averaged ranks the same list when other networks are averaged? Guess which share of the first ten
# two halves of the networks have in common on the data set.

# %% tags=["answer"]

# %% tags=["solution"]
shown = [ranks.loc[[name]].set_axis(["all"]) for name in single.index]
shown = {f"half {i + 1}": explain.rank_average(shown[i::2]) for i in (0, 1)}
explain.agreement(shown, 10)[["overlap", "chance", "spearman"]]

# %% [markdown]
# ## What to try next
#
# * Tumour against normal tissue: `srna run 09 --dataset tcga -p label=tumour_normal`.
# * Overlapping groups: `companions.simulate("SIMU2", ...)`; a design of your own: `companions.Design`.
#
# ## Glossary
#
# * **balanced accuracy**: mean over classes of the share that is predicted correctly.
# * **informative**: of a feature whose group some class owns, so that its level differs between classes.
# * **integrated gradients**: the gradient averaged on the straight way from a baseline to the sample, times the
#   distance.
# * **latent Dirichlet allocation**: a model of counts; a sample is a mix of groups, a group a mix of features.
# * **logistic regression**: a linear model of class probabilities; L1 and L2 are ways to keep its weights small.
# * **logit**: what a model puts out for a class before it becomes a probability; here minus the mean of the others.
# * **network**: here one hidden layer of twenty units.
# * **PGI, PGU**: prediction gaps; what is lost of the true class's probability when important, or unimportant, features
#   are masked first.
# * **precision at K**: share of informative features among the K best, K being their number.
# * **study effect**: a factor that a study puts on a family in all its samples.
#
# ## References
#
# * Bontonou M, Haget A, Boulougouri M, Arbona JM, Audit B, Borgnat P (2023). Studying limits of explainability by
#   integrated gradients for gene expression models. *arXiv*.
# * Fiosina J, Fiosins M, Bonn S (2020). Explainable deep learning for augmentation of small RNA expression profiles.
#   *Journal of Computational Biology* 27(2), 234-247.
# * Sundararajan M, Taly A, Yan Q (2017). Axiomatic attribution for deep networks. *ICML*.
