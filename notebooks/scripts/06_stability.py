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
# # How firm is a prediction, and does firmness tell which ones are wrong?
#
# **You will learn** how many small RNAs must be masked before a network changes its mind; which classes lie close to
# each other in its eyes; whether the order matters in which sRNAs are masked; and whether a prediction that flips
# soon is more often wrong. The experiment is the last one of Fiosina, Fiosins and Bonn (2020): order the sRNAs of a
# sample by how much they argue for its own class k against another class k' (DeepLIFT), mask them one by one, and
# count the steps until the prediction is k' (*similarity*) or anything but k (*stability*). Every step is computed.
#
# **Reads** a named data set (`dataset`). **Writes** `results/06_stability.json` (every metric with its interval),
# `results/06_stability.parquet` (steps of every sample) and a card, below `out`. **Takes** seconds in profile `smoke`,
# a minute or two in `demo`, under ten minutes in `full` on two cores; finished folds are kept in `out/cache`. Words in
# *italics* stand in the glossary at the end.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), mirome (real), tcga (real, with sex and age) ...
profile: str = "demo"  # smoke (few samples and small models, for tests), demo, full (everything)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # folds at a time
label: str = "tissue_group"  # column that is predicted
features: str = "sRNA"  # sRNA, contaminant or both
min_class_size: int = 15  # classes with fewer samples are left out (the paper: 9 and 15)
network: str = "dl_paper"  # recipe that ends in a network: dl_paper or dl_log
masking: str = "zero"  # zero (count set to zero), renormalised (its reads leave the library), mean (training mean)
order: str = "deeplift"  # what goes first: deeplift (the paper), forest, forest_x_input, input, reads or random
recompute_every: int = 0  # order the rest anew after so many steps; 0: never (the paper)
refits: int = 3  # models per sample and source of change, in the section on other models

# %%
from functools import partial

import pandas as pd

import srna_lib as srna
from srna_lib import evaluate, stability
from srna_lib.report import close, open_dataset, say

# %%
size = evaluate.get_profile(profile)
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
atlas = srna.data.eligible(atlas, label)  # of sex and age only data sets that do not give them away, as in 03
# paths are many: in a demo a dozen samples of a study will do
shown = {"demo": 12}.get(profile, size.per_study)
atlas = srna.data.subsample(atlas, label, per_study=shown, min_class_size=min_class_size, seed=seed)

# %%
task = srna.make_task(atlas, label, min_class_size=min_class_size, features=features)
model = evaluate.build_recipe(task, network, seed=seed, profile=size)
say(f"""
{len(task.y)} samples of {task.groups.nunique()} studies in {len(task.classes)} classes, {task.X.shape[1]} sRNAs; recipe
`{network}`, changed for this profile: {size.changes.get(network, "nothing")}.
""")

# %% [markdown]
# ## One sample, masked by hand
#
# Fit the network on four fifths of the samples and take one of the others. Set its most abundant sRNA to zero, then
# the next, and ask each time what the network says. **How many sRNAs will it take** until the answer changes?

# %%
folds = srna.make_splits(task, "random", n_splits=size.n_splits, seed=seed)
first = folds[0]
fitted = evaluate.fit_fold(task, model, first.train)

# %%
sample = task.X.iloc[[first.test[0]]].copy()
before = fitted.predict(sample)[0]
while fitted.predict(sample)[0] == before and sample.to_numpy().any():
    sample[sample.idxmax(axis=1)] = 0

# %%
say(f"""
**{(task.X.loc[sample.index] > sample).to_numpy().sum()} of {(task.X.loc[sample.index] > 0).to_numpy().sum()} expressed
sRNAs are masked; before: {before}, now: {fitted.predict(sample)[0]}.**
""")

# %% [markdown]
# That was one sample and a naive order, abundant ones first. Would the network's own reasons be quicker? And what does
# a small number mean? The rest of this page does it for every sample, towards every other class.
#
# ## Mask every sample, towards every other class
#
# Models fitted on the other folds judge the samples of a fold: none judges a sample that it was trained on. A step
# masks one sRNA that is expressed in the sample (masking an sRNA without a read changes nothing and is no step).
# Several orders walk the same paths: what the network itself says matters (DeepLIFT); what is easy to say without it (a
# forest's importance, the same times the sample's input, the largest input, the most abundant sRNA); and chance. In the
# orders other than the chosen one, some samples of each fold walk.

# %%
walk = partial(stability.cross_flips, name=network, scheme="random_5fold", seed=seed)
walk = partial(walk, forest=evaluate.build_recipe(task, "rf_paper", seed=seed, profile=size))
walk = partial(walk, masking=masking, recompute_every=recompute_every or None, cache=f"{out}/cache", n_jobs=n_jobs)

# %%
# the order in question first; `controls` samples of a fold also walk in the others
walk = partial(walk, orders=list(dict.fromkeys([order, *stability.ORDERS])), controls={"full": 100}.get(profile, 20))
walked = walk(task, model, folds)

# %%
flips = walked[walked["order"] == order]
firm = stability.firmness(flips).sort_values(["steps", "sample_id"])
firm.groupby("y_true")["wrong"].agg(n_samples="size", wrong="sum", share="mean").style.format(precision=2)

# %%
correct = flips[flips["y_true"] == flips["y_pred"]]
say(f"""
{firm["wrong"].sum()} of {len(firm)} samples are predicted wrongly from the start: held to their true class they need
zero steps, and they are left out of every mean below. The others walk {len(correct)} paths, one to each other class. An
average sample expresses {correct["n_active"].mean():.0f} of the sRNAs that the network sees.
""")

# %% [markdown]
# ## One prediction, step by step
#
# Three samples of the first fold: a firm prediction, a weak one, and one that is wrong. The line marks the step at
# which the prediction flips; the sRNA that tips it stands above. **Do you expect** a slow slope or a cliff? Hover to
# read which sRNA goes at which step.

# %%
chosen = stability.examples(firm[firm["fold"] == first.fold])
curves = stability.flip_curves(
    fitted,
    task.X,
    chosen,
    order=order,
    importance=stability.forest_importance(task, first, walk.keywords["forest"]),
    masking=masking,
    background=task.X.iloc[first.train],
    seed=seed,
)

# %%
srna.pl.flip_curves(
    curves,
    classes=task.classes,
    title="Probability of each class while sRNAs are masked",
    caption=f"{len(chosen)} samples of one random fold, along the path that flips soonest; order: {order}",
)

# %% [markdown]
# The same in numbers: what each is, what is predicted, what the prediction becomes and by which sRNA, after how many
# of the expressed ones, and with which share of the reads gone.

# %%
shown = ["sample_id", "y_true", "y_pred", "became", "srna", "steps", "n_active", "reads", "censored"]
chosen[shown].style.hide().format(precision=3, na_rep="–")

# %% [markdown]
# ## Which classes are close?
#
# Rows are the source class, columns the target class that a sample is pushed towards; few steps (dark) mean close.
# **Which pair of classes would you expect to be closest?** The matrix need not be symmetric. Brackets: more than half
# of the paths never get there, and the mean is of those that do. A cross: none gets there. Classes of one branch of the
# hierarchy stand together where the atlas has one; otherwise those that flip into each other soon.

# %%
tables = partial(stability.class_table, n_boot=size.n_boot, seed=seed)
similarity, firmest = tables(flips, "similarity"), tables(flips, "stability")
classes = stability.class_order(similarity, atlas.obs, label)
caption = f"order {order}, masking {masking}; 95 % intervals over studies"
caption = srna.pl.caption(correct["sample_id"].nunique(), task.groups.nunique(), "random folds", extra=caption)

# %%
srna.pl.flip_matrix(
    similarity, classes=classes, title="Similarity: steps until the prediction is the target class", caption=caption
)

# %%
headline = srna.pl.flip_matrix(
    firmest, classes=classes, title="Stability: steps until the prediction is anything but its class", caption=caption
)
headline

# %% [markdown]
# The closest and the farthest of the pairs that most paths reach, with intervals over studies:

# %%
shown = similarity[similarity["censored"] < 0.5].sort_values("mean")
shown = pd.concat([shown.head(1), shown.tail(1)])
stability.readable(shown, "mean")[["own", "other", "mean", "n_samples", "n_datasets"]].style.hide()

# %%
say(f"""
{correct["similarity"].isna().mean():.0%} of the paths never reach the class that they lead to (they flip to a third
one, or to none at all); {correct["stability"].isna().mean():.1%} never leave their own class.
""")

# %% [markdown]
# Samples of different depth express different numbers of sRNAs. As a share of the expressed sRNAs, and of the reads
# taken away, classes compare. Steps are those of each sample's shortest path.

# %%
shown = tables(flips, "stability", shortest=True).sort_values("share")
stability.readable(shown, "mean").drop(columns=["task", "order", "n_datasets"]).style.hide().format(
    precision=3, na_rep="–"
)

# %%
say(f"""
**Least of its expressed sRNAs must go for {shown["own"].iloc[0]} ({shown["share"].iloc[0]:.1%}), most for
{shown["own"].iloc[-1]} ({shown["share"].iloc[-1]:.1%}).**
""")

# %% [markdown]
# ## Does the order matter?
#
# If DeepLIFT names what the network relies on, its order must flip predictions long before a random one. That is easily
# done: a random order masks what hardly matters. Fair rivals know the sample, too, and need no network: what a forest
# finds important in general times what the sample holds of it, or simply what it holds most of. **Guess both factors.**

# %%
ratio = stability.order_table(walked, "stability", n_boot=size.n_boot, seed=seed).set_index("order")
stability.readable(ratio, "mean", "ratio", "ratio_simple").drop(columns=["n_samples", "n_datasets"]).style.format(
    precision=3, na_rep="–"
)

# %%
caption = f"{ratio['n_paths'].iloc[0]} paths (samples that walked in all orders), random folds, masking {masking}"
srna.pl.unflipped(
    stability.share_left(walked), title="Paths that have not flipped, by order of masking", caption=caption
)

# %%
shown = ratio["simple"].iloc[0]
say(f"""
**DeepLIFT's order needs {ratio["ratio_simple"]["deeplift"]:.2f} [{ratio["ratio_simple_low"]["deeplift"]:.2f},
{ratio["ratio_simple_high"]["deeplift"]:.2f}] of the steps of the best simple order** (`{shown}`:
{stability.ORDERS[shown]}), and {ratio["ratio"]["deeplift"]:.3f} of a random one's, on the paths that flip in both. Over
all paths, those that never flip counted to their end, {ratio["ratio_all"]["deeplift"]:.3f} of a random one's.
""")

# %% [markdown]
# The paper orders the sRNAs once, before the first is masked. As they go, the network moves to other units, and the
# order grows stale. Ordered anew on the way (here for a few samples of one fold), do predictions flip sooner, and do
# more paths reach the class that they lead to?

# %%
anew = partial(srna.steps_to_flip, fitted, task.X.iloc[first.test[:15]], masking=masking)
anew = partial(anew, background=task.X.iloc[first.train])
once, anew = anew(), anew(recompute_every=recompute_every or 25)
say(f"""
{once["sample"].nunique()} samples, ordered once and ordered anew every {recompute_every or 25} steps. Stability:
{once["leaves"].mean():.1f} and {anew["leaves"].mean():.1f} steps. Similarity: {once["steps"].mean():.1f} and
{anew["steps"].mean():.1f}. {once["censored"].mean():.0%} and {anew["censored"].mean():.0%} of the paths never arrive.
""")

# %% [markdown]
# ## The most and the least firm samples
#
# A sample's score is the smallest number of steps over the paths to all other classes: its weakest side. Who stands at
# the ends? Wrong predictions are in the table too, held to the predicted class.

# %%
shown = pd.concat({"least firm": firm.head(6), "most firm": firm.tail(6)}, names=["end"]).reset_index("end")
shown = shown[["end", "sample_id", "y_true", "y_pred", "steps", "share", "reads", "became", "srna", "p_max"]]
shown.style.hide().format(precision=3, na_rep="–")

# %%
caption = f"order {order}, masking {masking}"
caption = srna.pl.caption(len(firm), task.groups.nunique(), "random folds", extra=caption)
srna.pl.steps_by_class(firm, title="Steps to flip, per predicted class", caption=caption)

# %% [markdown]
# ## What is the score good for?
#
# The question that matters is asked in studies never seen, where many predictions are wrong: leave out each study in
# turn (*one dataset out*), and ask whether the predictions that flip soon are the wrong ones. The *AUROC* says it in
# one number, beside the scores that cost nothing: maximum probability, margin, entropy. **Which would you bet on?**

# %%
unseen_flips = srna.make_splits(task, "one_dataset_out", most=size.max_datasets_out, seed=seed)
unseen_flips = walk(task, model, unseen_flips, scheme="one_dataset_out", orders=[order])
unseen = stability.firmness(unseen_flips)
worth = stability.auroc_table(unseen, n_boot=size.n_boot, seed=seed).set_index("score")

# %%
caption = srna.pl.caption(len(unseen), unseen["dataset_id"].nunique(), "one dataset out")
srna.pl.error_detection(
    worth.reset_index(),
    title="Which score tells the wrong predictions in studies never seen?",
    caption=f"{caption}; {unseen['wrong'].sum()} wrong; 95 % intervals: bootstrap over studies",
)

# %% [markdown]
# A score that tells errors apart can be used for *abstention*: answer only where it is high.

# %%
srna.pl.coverage_curve(
    stability.accuracy_at_coverage(unseen, ["p_max", *stability.STEPS]),
    "name",
    title="Accuracy when only the firmest predictions are kept",
    caption=caption,
)

# %%
gained = stability.gain_of_kept(unseen, n_boot=size.n_boot, seed=seed)
say(f"""
Of the firmest {gained["coverage"]:.0%} of the predictions, {gained["score"]:.1%} are correct by steps and
{gained["against"]:.1%} by maximum probability: a difference of {gained["difference"]:+.3f}
[{gained["difference_low"]:+.3f}, {gained["difference_high"]:+.3f}].
""")

# %% [markdown]
# Classes differ in firmness. Which classes are among these firmest predictions, and what is their share of all?

# %%
shown = unseen.nlargest(round(gained["coverage"] * len(unseen)), "steps")["y_pred"].value_counts(normalize=True)
shown = pd.concat({"of the firmest": shown, "of all": unseen["y_pred"].value_counts(normalize=True)}, axis=1)
shown.fillna(0).sort_values("of the firmest", ascending=False).style.format("{:.0%}")

# %% [markdown]
# Does firmness know something that the probabilities do not? A logistic model of wrong predictions is fitted twice,
# with and without the steps, always judged on studies that it was not fitted on.

# %%
added = stability.combination(unseen, n_boot=size.n_boot, seed=seed)
say(f"""
In studies never seen, steps to flip tell wrong predictions with an AUROC of {worth["auroc"]["steps"]:.3f}, maximum
probability with {worth["auroc"]["p_max"]:.3f}, entropy with {worth["auroc"]["entropy"]:.3f}. All confidence scores
together reach {added["base"]:.3f}, with steps {added["both"]:.3f}, a difference of {added["difference"]:+.3f}
[{added["difference_low"]:+.3f}, {added["difference_high"]:+.3f}]. **What do steps add to confidence? The verdict: it
{added["verdict"]}.**
""")

# %% [markdown]
# ## Would another model say the same?
#
# A firm sample is one thing, a firm model another. Make the model again with another seed, with studies dealt to folds
# anew, or with training studies resampled with replacement: how often do two models disagree on a sample whose study
# neither has seen? And are the samples that flip soon those on which models disagree?

# %%
changes = partial(stability.refit_predictions, n_splits=3, changes=size.changes.get(network), cache=f"{out}/cache")
changes = changes(task, network, refits={"full": refits}.get(profile, 2), seed=seed, n_jobs=n_jobs)
changes = stability.prediction_changes(changes)

# %%
changed = stability.change_table(changes, unseen, n_boot=size.n_boot, seed=seed)
shown = changed.rename(columns={"ci_low": "changed_low", "ci_high": "changed_high"})
shown = stability.readable(shown, "changed", "rho").assign(what=shown["source"].map(stability.SOURCES))
shown.style.hide().format(precision=3, na_rep="–")

# %%
srna.pl.metrics(
    stability.by_firmness(changes, unseen, n_boot=size.n_boot, seed=seed),
    x="quarter",
    color="source",
    metric="changed",
    title="How often two models disagree on samples that flip soon and on firm ones",
    caption=f"{caption}; share of pairs of models that disagree, by quarter of steps to flip",
    labels={"changed": "changed predictions", "quarter": "steps to flip"},
)

# %% [markdown]
# `rho` is the rank correlation of steps to flip with disagreement: below zero, firm predictions change less.
#
# ## Sex and age, beside the paper
#
# The paper counts steps for sex and for two age intervals (its Table 5): mean steps until the prediction is the other
# one. Here the same on the samples of this atlas that have them, both feature sets together, random folds. Numbers of
# sRNAs differ between collections, so compare the pattern: which direction is longer?

# %%
of_donors = stability.donor_flips(atlas, partial(walk, model=model), n_splits=size.n_splits, seed=seed)
donors = tables(of_donors, "similarity")
caption = srna.pl.caption(of_donors["sample_id"].nunique(), of_donors["dataset_id"].nunique(), "random folds")

# %%
srna.pl.paper_comparison(
    stability.beside_the_paper(donors[donors["order"] == order]),
    title="Mean steps to the other class, beside the paper's Table 5",
    caption=f"{caption}; ours with 95 % intervals over studies",
)

# %%
shown = ["task", "own", "other", "order", "n_samples", "mean", "median", "censored", "share", "reads"]
stability.readable(donors, "mean")[shown].style.hide().format(precision=3, na_rep="–")

# %% [markdown]
# Samples that are wrong from the start are left out above. How many are they?

# %%
shown = of_donors[of_donors["order"] == order].drop_duplicates(["task", "sample_id"])
shown = shown.assign(wrong=shown["y_true"] != shown["y_pred"])
shown.groupby("task")["wrong"].agg(wrong="sum", samples="size")

# %% [markdown]
# ## Take-home

# %%
say(f"""
**{info["lesson"]}. In the order `{order}` the average path flips after {ratio["mean"][order]:.1f} of
{correct["n_active"].mean():.0f} expressed sRNAs; DeepLIFT's order needs {ratio["ratio_simple"]["deeplift"]:.2f} of the
best simple order's steps. As a warning of wrong predictions in studies never seen the count reaches
{worth["auroc"]["steps"]:.3f}, maximum probability {worth["auroc"]["p_max"]:.3f}.**
""")

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are. A number that breaks one of these is a fault, not a finding.

# %% tags=["checks"]
shown = walked.dropna(subset="similarity")
assert (shown["stability"] <= shown["similarity"]).all(), "reaching k' means leaving k"
assert (walked[["stability", "similarity"]].max(axis=1).fillna(0) <= walked["looked"]).all()
assert (walked["stability"].dropna() >= 1).all(), "held to its prediction, nothing flips at once"
assert not walked.duplicated(["order", "sample_id", "other"]).any()
assert set(flips["sample_id"]) == set(task.X.index), "every sample was judged once"
assert not set(unseen["sample_id"]) - set(task.X.index)
assert abs(pd.concat(curves.values()).filter(regex="^p_").sum(axis=1) - 1).max() < 1e-6
if profile != "smoke" and order == "deeplift" and info["name"] in ("demo", "mirome"):
    assert ratio["ratio"]["deeplift"] <= 1 / 3, "on the two atlases that this page is made for in a third of the steps"

# %%
record = partial(stability.flip_records, task=label, dataset=info["name"], model=network)
record = partial(record, features=features, seed=seed)
records = record(
    {
        "similarity": similarity,
        "stability": firmest,
        "orders": ratio.reset_index(),
        "scores": stability.auroc_table(firm, n_boot=size.n_boot, seed=seed),
    },
    scheme="random_5fold",
)

# %%
records += record({"scores": worth.reset_index(), "combination": pd.DataFrame([added])}, scheme="one_dataset_out")
records += record({"changes": changed}, scheme="grouped_kfold")
records += record({"similarity": donors[donors["order"] == order]}, features="both", scheme="random_5fold")

# %%
numbers = {
    "mean steps to flip, by order": ", ".join((ratio.index + " " + ratio["mean"].map("{:.1f}".format)).to_list()),
    "AUROC for wrong predictions, by steps": f"{worth['auroc']['steps']:.3f} (one dataset out)",
    "AUROC for wrong predictions, by maximum probability": f"{worth['auroc']['p_max']:.3f} (one dataset out)",
    "what steps add to confidence": f"{added['difference']:+.3f}: it {added['verdict']}",
    "predictions changed by another model": ", ".join(
        changed["source"] + " " + changed["changed"].map("{:.1%}".format)
    ),
}

# %%
close(
    out,
    "06_stability",
    title="How firm is a prediction, and does firmness tell which ones are wrong?",
    info=info,
    records=records,
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "label": label, "network": network, "features": features}
    | {"masking": masking, "order": order, "recompute_every": recompute_every, "refits": refits},
    predictions=pd.concat([walked, unseen_flips, of_donors], ignore_index=True),
)

# %% [markdown]
# ## Limits
#
# * Masked samples do not exist: a step measures the network, not nature. Masking to zero keeps the other sRNAs' reads
#   per million; in a real library they would rise (`masking=renormalised`).
# * Steps depend on how many sRNAs a sample expresses, and classes differ in firmness: compare samples within a class.
# * A flip that never comes is *censored*: it is in the censored share and in medians, never in means.
# * With few wrong predictions, or few studies, the AUROC says little: read its interval.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Which sRNAs tip predictions most often, and do they tip them to the same class? Guess one before you look.

# %% tags=["answer"]

# %% tags=["solution"]
shown = firm[~firm["censored"]].groupby("srna").agg(samples=("srna", "size"), classes=("became", "nunique"))
shown.sort_values("samples", ascending=False).head(10)

# %% [markdown] tags=["exercise"]
# **2.** Is a deep library firmer? Guess the sign of the rank correlation between the number of expressed sRNAs and the
# steps, within the correct predictions.

# %% tags=["answer"]

# %% tags=["solution"]
firm.loc[~firm["wrong"], ["n_active", "steps", "share", "reads"]].corr("spearman").round(2)

# %% [markdown] tags=["exercise"]
# **3.** By hand, the most abundant sRNAs went first. Would the least abundant do? Guess how many steps the same sample
# needs then, and count.

# %% tags=["answer"]

# %% tags=["solution"]
sample = task.X.loc[sample.index]
shown = srna.steps_to_flip(fitted, sample, order=-sample.iloc[0])
shown[["predicted", "other", "steps", "leaves", "became", "expressed"]]

# %% [markdown]
# ## What to try next
#
# * Another way to mask: `srna run 06 -p masking=renormalised` lets the other sRNAs rise as the reads leave.
# * Orders that follow the network: `srna run 06 -p recompute_every=5`.
# * Sex and age on real samples: `srna run 06 --dataset tcga -p label=sex`.
#
# ## Glossary
#
# * **abstention**: giving no answer where a score is low.
# * **AUROC**: area under the ROC curve; the chance that a wrong prediction gets a worse score than a correct one. One
#   half is the chance level.
# * **censored**: of a path on which no flip came within the steps looked at.
# * **D2**: contribution of an sRNA to the logit of class k minus that to the logit of class k' (the paper); the order
#   `deeplift` masks the largest first.
# * **logit**: what the last layer of the network puts out for a class, before it becomes a probability.
# * **masking**: replacing the input of one sRNA by what says nothing: zero, or the training mean.
# * **one dataset out**: leave-one-study-out; each study in turn is predicted by models that never saw it.
# * **similarity, stability**: steps until the prediction is the target class; steps until it is anything but its own.
#
# ## References
#
# * Fiosina J, Fiosins M, Bonn S (2020). Explainable deep learning for augmentation of small RNA expression profiles.
#   *Journal of Computational Biology* 27(2), 234-247.
# * Shrikumar A, Greenside P, Kundaje A (2017). Learning important features through propagating activation differences.
#   *ICML*.
