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
#     needs: [age_years]
#     least: 15
# ---

# %% [markdown]
# # How old is the donor, and would the small RNAs admit that they do not know?
#
# **You will learn** how well age can be read from small RNAs, as an interval and in years; what a *prediction interval*
# must keep of its promise; how to see that a tool works before you believe that a signal is weak; and why a sample that
# "looks older" is a question and not a finding. It starts as the experiment of Fiosina, Fiosins and Bonn (2020) did.
#
# **Reads** a named data set whose samples have an age and, beside real data, the fetal lung collection as a positive
# control. **Writes** `results/04_age.json`, `results/04_age.parquet` (every out-of-fold prediction) and a card, below
# `out`. **Takes** under a minute in profile `smoke`, a few in `demo`, about twenty in `full` on two cores; finished
# folds are kept in `out/cache`. Words in *italics* stand in the glossary.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), tcga or lgrc (real)
profile: str = "demo"  # smoke (few samples and small models, for tests), demo, full (everything)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # folds at a time
models: str = "dl_paper,rf_paper,rf_plain,logistic,tissue_input,pooled_kernel,ordinal"  # for 2 and 4 intervals
three_models: str = "rf_paper,logistic,tissue_input,ordinal"  # for 3 intervals, of which the paper shows no result
quantity_models: str = "ridge,forest,kernel,tissue_input,partial_pooling"  # for age in years
control_models: str = "kernel,ridge,kernel_tmm,metadata,mean"  # for the positive control; the first is shown
left_out_models: str = "logistic,tissue_input"  # tried on a data set never seen
min_per_sex: int = 0  # samples of each sex that a data set needs; 0: what the design of the data set says

# %%
from dataclasses import replace
from functools import partial

import pandas as pd

import srna_lib as srna
from srna_lib import data, evaluate
from srna_lib.report import close, open_dataset, say

# %%
quantity_models = srna.models.recipe_names(quantity_models, srna.models.QUANTITY_RECIPES)
control_models = srna.models.recipe_names(control_models, srna.models.QUANTITY_RECIPES)
left_out_models = srna.models.recipe_names(left_out_models)
names = {"age_2": models, "age_3": three_models, "age_4": models}
names = {t: srna.models.recipe_names(names[t]) for t in names}

# %%
size = evaluate.get_profile(profile)
shown = {"regressor__estimator__n_estimators": 100, "regressor__estimator__max_features": 0.1}  # six forests a fold
size = replace(size, repeats=1, n_boot=min(size.n_boot, 1000), changes=size.changes or {"quantity forest": shown})
size = {"smoke": replace(size, per_study=6, n_splits=2)}.get(profile, size)

# %%
whole, info = open_dataset(dataset, profile=profile, seed=seed, label="age_2")
plan = data.design(whole, "age_2")
min_per_sex = min_per_sex or plan.min_per_class * bool(plan.where)  # the same donors as in notebook 03

# %% [markdown]
# ## Whose age is known?
#
# The paper cuts life into two, three and four intervals (its Table 3). Count first: where one interval holds most of
# the samples, a high accuracy is easy and says little. **Which interval would you expect to be the fullest** in data
# that hospitals collect?

# %%
whole = data.select(whole, plan.where)
atlas = whole[whole.obs["age_years"].notna().to_numpy()].copy()
if min_per_sex:
    atlas = data.with_every_class(atlas, "sex", min_per_class=min_per_sex)

# %%
labels = {f"age_{m}": f"{m} intervals" for m in data.AGE_CUTS} | {"age_years": "years"}
shown = {labels[t]: pd.crosstab(atlas.obs["dataset_id"].astype(str), atlas.obs[t].astype(str)) for t in names}
shown = pd.concat(shown, axis=1)
shown.loc[shown.sum(axis=1).sort_values(ascending=False).index]

# %%
say(f"{atlas.n_obs} samples have a usable age.")
atlas = data.subsample(atlas, "age_4", per_study=size.per_study, seed=seed)
main = {t: srna.make_task(atlas, t) for t in names}
years = data.make_quantity_task(atlas, "age_years")
say(f"""
This run takes {len(years.y)} of {years.donors.nunique()} *donors* in {years.groups.nunique()} data sets,
{years.y.min():.0f} to {years.y.max():.0f} years old.
""")

# %% [markdown]
# ## One model, one split, one number
#
# Before anything else: fit a ridge regression on one half of the donors (or studies, where there are many) and predict
# the age of the other half. **By how many years will it be wrong on average?** Write your guess down.

# %%
half = srna.make_splits(years, plan.scheme, n_splits=2, seed=seed)[0]
shown = srna.models.quantity_recipe("ridge").fit(years.X.iloc[half.train], years.y.iloc[half.train])
shown = {"ridge": shown.predict(years.X.iloc[half.test]), "mean": years.y.iloc[half.train].mean()}
shown = {m: (years.y.iloc[half.test] - shown[m]).abs().mean() for m in shown}

# %%
say(f"**Wrong by {shown['ridge']:.1f} years on average**, or {shown['mean']:.1f} by naming the mean age every time.")

# %% [markdown]
# The second number is what the first has to beat. How firm is the difference, who is wrong by more, and would the model
# say so? That is what the rest of this page asks.
#
# ## Two kinds of features, and both
#
# As for sex: one kind of feature, another, and both together; network, forest and a linear model. Random folds are what
# the paper used and are **optimistic**, since other samples of a study, even of a donor, are in the training data.
# **Which of the feature sets will win, and by how much?** The table below the figure answers with paired differences on
# the same samples, whose p-values are corrected for their number.

# %%
predict = partial(srna.cross_validate, profile=size, seed=seed, n_jobs=n_jobs, cache=f"{out}/cache")
score = partial(srna.score, dataset=info["name"], n_boot=size.n_boot, seed=seed)
score = partial(score, metrics=[*evaluate.RANKING_METRICS, "accuracy", "balanced_accuracy"])

# %%
shown = None
if plan.joined:  # further features of the same samples
    shown = data.with_label(data.without_absent(srna.load(plan.joined)), "age_2")
    shown = data.subsample(shown, "age_2", per_study={"smoke": 20}.get(profile), seed=seed)
tasks = {t: data.feature_tasks({"": atlas}.get(plan.joined, whole), t, shown) for t in ("age_2", "age_4")}

# %%
names["six"] = [m for m in ("dl_paper", "rf_paper", "logistic") if m in names["age_2"]] or ["logistic"]
shown = [plan.scheme, "random_5fold"][: {"smoke": 1}.get(profile)]
six = [predict(tasks["age_2"][t], names["six"], m) for m in shown for t in tasks["age_2"]]
if len(shown) > 1:  # the paper's four intervals, too
    six.append(predict(list(tasks["age_4"].values())[-1], names["six"][:2], "random_5fold"))

# %%
six = pd.concat(six, ignore_index=True)
records = [score(six, unit=plan.unit)]
labels |= {"random_5fold": "random folds (optimistic)", "grouped_kfold": "grouped by study"} | evaluate.FIGURES
labels |= {"patient_kfold": "grouped by donor", "one_dataset_out": "one dataset out"}

# %%
caption = f"95 % intervals over {evaluate.UNITS[plan.unit]}"
caption = srna.pl.caption(six["sample_id"].nunique(), six["dataset_id"].nunique(), extra=caption)
shown = records[0][records[0]["task"] == "age_2"]
shown = shown.assign(model=shown["model"] + ", " + shown["features"])
srna.pl.metrics(
    shown,
    metric=["accuracy", "balanced_accuracy", "auc"],
    title=f"Two intervals of age by feature set, {info['title']}",
    caption=caption,
    labels=labels,
)

# %%
pairs = [(list(tasks["age_2"])[-1], t) for t in list(tasks["age_2"])[:-1]]
shown = partial(srna.compare, six[six["task"] == "age_2"], pairs, by="features", metric="auc", unit=plan.unit)
shown = shown(seed=seed, n_boot=size.n_boot).replace({"scheme": labels})
evaluate.pairs_table(shown, by=("scheme", "model", "pair"))

# %% [markdown]
# ## Two, three and four intervals
#
# All usable samples, folds that keep donors (or studies) whole. Accuracy treats every error alike; the **distance** in
# intervals and **kappa** with quadratic weights count a neighbouring interval as a small error. The `ordinal` recipe is
# told that the intervals have an order. **Guess: how much accuracy goes from two intervals to four?**
#
# The best recipe is chosen by the number that is then reported, which flatters it a little. Last comes the paper, with
# 888 samples of 27 data sets, other donors and other data: compare the pattern and not the decimals.

# %%
predict = partial(predict, atlas=atlas, context=plan.context)
pred = [predict(main[t], dict.fromkeys([*names[t], "metadata", "dummy"]), plan.scheme) for t in main]
pred = pd.concat(pred, ignore_index=True)

# %%
units = list(dict.fromkeys([plan.unit, "donor_id", "dataset_id"]))[: 1 + 2 * (years.groups.nunique() > 1)]
scores = [score(pred[pred["task"] == t], unit=units, per_study=True) for t in main]
scores = pd.concat([score(pred, metrics=evaluate.ORDINAL_METRICS, unit=plan.unit), *scores], ignore_index=True)
records.append(scores)

# %%
shown = scores[scores["unit"] == plan.unit]
shown = evaluate.scores_table(shown, ["auc_within", "auc", "accuracy", *evaluate.ORDINAL_METRICS], labels=labels)
shown.rename(index=labels)

# %%
shown = pd.concat([scores[(scores["task"] == t) & scores["model"].isin(names[t])] for t in main])
shown = shown.dropna(subset="value")
# the mean AUROC within data sets where some data set can be judged by itself, else the pooled one
judged = shown[shown["metric"].isin(["auc", "auc_within"])].groupby("task")["metric"].max().to_dict()
winner = {t: evaluate.best(shown[shown["task"] == t], judged[t]) for t in main}
caption = srna.pl.caption(
    len(years.y),
    years.groups.nunique(),
    evaluate.SCHEMES[plan.scheme],
    extra=f"95 % intervals over {evaluate.UNITS[plan.unit]}",
)

# %%
headline = srna.pl.metrics(
    scores[scores["value"].notna()],
    color="task",
    metric=list(dict.fromkeys(["accuracy", "auc", *judged.values()])),
    title=f"Age from small RNAs, {info['title']}",
    caption=caption,
    labels=labels,
)
headline

# %%
for t in main:
    shown = partial(evaluate.find, scores, task=t)
    say(f"""
**{labels[t]}.** Best by {labels[judged[t]]}: `{winner[t]["model"]}` ({winner[t]["value"]:.3f}), correct for
{shown(winner[t]["model"])["value"]:.1%} and {shown(winner[t]["model"], "interval_distance")["value"]:.2f} intervals off
on average. Always the commonest interval: correct for {shown("dummy")["value"]:.1%}. AUROC without a single sRNA:
{shown("metadata", "auc")["value"]:.3f}.
""")

# %%
shown = pd.concat([records[0], scores[(scores["task"] == "age_4") & (scores["unit"] == plan.unit)]])
shown = shown[shown["metric"] == "accuracy"].replace({"features": {"miRNA": "sRNA", "tRNA fragments": "contaminant"}})
shown = shown.assign(source=shown["scheme"].map(labels)).groupby("task")
shown = [evaluate.beside_paper(t, m, "{task}: {model}, {features}", labels) for t, m in shown]

# %%
shown = pd.concat(shown, ignore_index=True).sort_values("quantity", kind="stable")
srna.pl.paper_comparison(shown, title="Accuracy beside the paper's", caption="tRNA fragments stand for contaminants")

# %% [markdown]
# ## In years, and with an interval
#
# Intervals throw away what age is: a number. A regression gives years, and a *prediction interval* says how far off
# they may be. The R2 **within** data sets asks how much of the spread of ages inside a data set is explained: knowing
# the data set is worth nothing there. **Will it be above zero?**

# %%
ages = predict(years, dict.fromkeys([*quantity_models, "metadata", "mean"]), plan.scheme)
year_scores = score(ages, metrics=None, unit=plan.unit, per_study=True)
records.append(year_scores)
evaluate.scores_table(year_scores, ["mae", "r2", "mae_within", "r2_within"], labels=labels)

# %%
shown = year_scores.query("metric == 'mae' and model in @quantity_models")
shown = shown[shown["study"].isna()]
winner["age_years"] = shown.loc[shown["value"].idxmin()]
clock = ages[ages["model"] == winner["age_years"]["model"]]

# %%
say(f"""
**`{winner["age_years"]["model"]}` is wrong by {winner["age_years"]["value"]:.1f} years on average.** Compare the rows
`mean`, which knows nothing, and `metadata`, which knows study, tissue and depth alone.
""")

# %%
shown = f"Predicted and true age, {winner['age_years']['model']}"
srna.pl.predicted_against_true(clock, title=shown, caption=caption)

# %% [markdown]
# Every sample by its predicted age; the band is the interval that is meant to hold nine true ages of ten. Are the
# oldest predicted too young, and the youngest too old? Nearly every regression does that, and it will matter below.
#
# An interval with a *nominal coverage* of nine in ten must hold nine true ages of ten: so count, for several nominal
# coverages. **On which side of the dashed line does an over-confident model lie?** The widths in the table are what a
# kept promise costs. Last, each data set by itself: does the best recipe explain any of the spread of ages there, and
# more of it than the metadata?

# %%
shown = evaluate.coverage_table(ages, unit=plan.unit, seed=seed, n_boot=size.n_boot)
srna.pl.reliability(
    shown.rename(columns={"nominal": "predicted", "empirical": "observed"}).assign(of="the true age being inside"),
    title="Intervals: nominal and empirical coverage",
    caption=caption,
)

# %%
srna.explore.readable(shown[["model", "nominal", "empirical", "ci_low", "ci_high", "mean_width"]].round(3))

# %%
shown = shown.loc[(shown["empirical"] - shown["nominal"]).abs().idxmax()]
say(f"Farthest from its nominal coverage, {shown['nominal']:.0%}, is {shown['model']}: {shown['empirical']:.1%}.")

# %%
shown = year_scores[year_scores["model"].isin([winner["age_years"]["model"], "metadata"])]
srna.pl.forest(
    shown,
    "r2",
    mean="r2_within",
    reference=0,
    title="R2 in every data set by itself",
    caption=caption,
    labels=labels | {"r2": "R2"},
)

# %% [markdown]
# ## A positive control
#
# If a clock finds little, is the signal weak or the clock broken? In fetal lung the answer is known: tissue changes
# from week to week, and its miRNAs with it. A recipe that was tried on age must find gestational age there; the one
# that is judged below is the first of `control_models`. (Simulated data, whose truth is known, need no such control.)
# **By how many days will it be wrong?**

# %%
control = ages[:0]
if not info["simulated"]:
    shown = srna.load("fetal_lung")
    control = partial(predict, data.make_quantity_task(shown, "gestational_age_days"), atlas=shown)
    control = control(dict.fromkeys([*control_models, "metadata"]), "donor")
records.append(score(control, metrics=None, unit="donor_id", dataset="fetal_lung"))
evaluate.scores_table(records[3], ["mae", "r2", "coverage:0.5", "coverage:0.9"], labels=labels | {"r2": "R2"})

# %%
srna.pl.predicted_against_true(
    control[control["model"] == control_models[0]],
    unit="days",
    title=f"Positive control: gestational age in fetal lung, {control_models[0]}",
    caption=srna.pl.caption(control["sample_id"].nunique(), 1, evaluate.SCHEMES["patient_kfold"]),
)

# %%
if len(control):
    shown = control[control["model"] == control_models[0]], control[control["model"] == "metadata"]
    shown = partial(evaluate.judge, *shown, metrics=["r2"], unit=["donor_id"], dataset="fetal_lung")
    shown = shown(seed=seed, n_boot=size.n_boot)
    records.append(shown.scores[:-1])
    say(evaluate.sentence(shown.gains.iloc[0]))
    shown = "not " * (control_models[0] not in quantity_models)
    say(f"`{control_models[0]}` was {shown}among the recipes of age above.")

# %% [markdown]
# ## Is it the sRNAs?
#
# Two controls for every task. **Shuffle the ages** among the donors of a study and tissue, and run everything again:
# what is left is what the study gives away. (Years take six models a fold, so they are shuffled twice at most.) And
# **take away the sRNAs**: only where the gain over the model on metadata lies above zero, for donors and for studies
# resampled, is the task called predictable. **What should the AUROC within data sets be, once ages are shuffled?**

# %%
names["age_years"] = quantity_models
shuffled = {t: "tissue_input" if "tissue_input" in names[t] else names[t][0] for t in [*main, "age_years"]}
null = partial(evaluate.run_null, adata=atlas, scheme=plan.scheme, within=plan.within, context=plan.context)
null = partial(null, profile=size, seed=seed, n_jobs=n_jobs, cache=f"{out}/cache")

# %%
null = partial(null, n_permutations={"smoke": 1, "demo": 3, "full": 5}[profile])
shown = null(years, model=shuffled["age_years"], n_permutations={"smoke": 1}.get(profile, 2))
null = [*(null(main[t], model=shuffled[t]) for t in main), shown]
shown = pd.concat([evaluate.null_scores(m) for m in null[:-1]]).dropna(subset="value")

# %%
srna.pl.null_distribution(
    shown.assign(row=shown["task"].map(labels) + ": " + shown["metric"].map(labels)),
    {
        f"{labels[t]}: {labels[m]}": evaluate.find(scores, shuffled[t], m, task=t)["value"]
        for t in main
        for m in ("auc", "auc_within")
    },
    row="row",
    what="AUROC (several classes: mean of each against the rest)",
    title="With shuffled ages, and with the true ones",
    caption=f"{caption}; ages shuffled among donors within {' and '.join(plan.within)}",
)

# %%
shown = pd.concat([shown, evaluate.null_scores(null[-1], ["spearman", "spearman_within"]).dropna(subset="value")])
shown["true"] = [
    evaluate.find(pd.concat([scores, year_scores]), shuffled[t], m, task=t)["value"]
    for t, m in shown[["task", "metric"]].to_numpy()
]
shuffled = shown.groupby(["task", "metric"], sort=False)[["value", "true"]].mean()
shuffled.rename(index=labels, columns={"value": "shuffled"}).round(3)

# %% [markdown]
# At *chance level* an AUROC is one half and a rank correlation zero. Pooled, shuffled ages may stay above it: that is
# what knowing the study is worth. Within data sets they must not.
#
# Now the other control, the gain over the metadata. A task is as predictable as the weakest of its intervals, and the
# sentences below the figure are about that one. **Which of the tasks will pass?**

# %%
tables = {t: pred[pred["task"] == t] for t in main} | {"age_years": ages}
shown = pd.concat([scores, year_scores]).dropna(subset="value").query("study.isna()")
shown = shown[shown["metric"].isin(["auc", "auc_within", "r2", "r2_within"])]

# %%
gains = partial(evaluate.judge, dataset=info["name"], unit=units, seed=seed, n_boot=size.n_boot)
gains = {
    t: gains(
        tables[t][tables[t]["model"] == winner[t]["model"]],
        tables[t][tables[t]["model"] == "metadata"],
        metrics=shown.loc[shown["task"] == t, "metric"].unique(),
    )
    for t in tables
}

# %%
records += [gains[t].scores for t in gains]
shown = pd.concat([gains[t].gains.assign(row=labels[t] + ": " + gains[t].gains["row"]) for t in gains])
srna.pl.gains(
    shown,
    row="row",
    what="gain in AUROC, or in R2",
    title="What the best recipe of each task knows beyond the metadata",
    caption=caption,
    labels=labels,
)

# %%
for t in gains:
    shown = gains[t].gains.sort_values("ci_low", na_position="first").iloc[0]
    say(evaluate.sentence(shown.replace(labels)))

# %% [markdown]
# ## Which model, and does it matter?
#
# *Would other donors or studies change the order of these trained models?* A paired bootstrap over them. *Would other
# training samples?* The t-test over folds with the correction of Nadeau and Bengio. Both are corrected for the number
# of comparisons. Of intervals the difference is in the AUROC, where above zero is better; in years it is in the mean
# absolute error, where below zero is better. The figure shows the first, uncorrected. **Which recipe would you bet on,
# and against which?**

# %%
pairs = [("dl_paper", "logistic"), ("rf_plain", "rf_paper"), ("tissue_input", "logistic"), ("ordinal", "tissue_input")]
pairs += [("pooled_kernel", "tissue_input"), ("forest", "ridge"), ("tissue_input", "ridge"), ("kernel", "ridge")]
pairs += [("partial_pooling", "tissue_input")]
pairs = [[m for m in pairs if set(m) <= set(t["model"])] for t in (pred, ages)]

# %%
shown = partial(srna.compare, unit=plan.unit, seed=seed, n_boot=size.n_boot)
pairs[0] = [shown(pred, pairs[0], metric=min(judged.values()), test=t) for t in evaluate.TESTS]
shown = pd.concat([*pairs[0], *(shown(ages, pairs[1], metric="mae", test=t) for t in evaluate.TESTS)])
evaluate.pairs_table(shown.replace({"task": labels}), by=("task", "pair"))

# %%
shown = shown[shown["test"] == evaluate.TESTS["bootstrap"]]
say(f"After correction **{shown['verdict'].isin(['above', 'below']).sum()} of the {len(shown)} pairs differ**.")

# %%
shown = shown[shown["metric"] != "mae"].dropna(subset="difference")
srna.pl.gains(
    shown.assign(row=shown["task"].map(labels) + ": " + shown["pair"]),
    row="row",
    what="difference in AUROC",
    title="Models in pairs, on the same samples",
    caption=f"{caption}, uncorrected",
)

# %% [markdown]
# ## Do the probabilities mean what they say?
#
# *Calibration* is fitted on the out-of-fold predictions of the *other* folds, donors kept whole. Then the model may
# abstain: how often is it correct about the samples that it is surest of? **Is the best recipe over-confident**, with
# its curve below the dashed line?

# %%
shown = [tables[t][tables[t]["model"] == winner[t]["model"]] for t in ("age_2", "age_4")]
shown = pd.concat(shown, ignore_index=True)
after = srna.calibrate(shown, "isotonic" if len(years.y) >= 1000 else "sigmoid")
shown = pd.concat([shown, after], ignore_index=True)
records += [score(after, unit=plan.unit), score(shown, metrics=evaluate.SELECTIVE_METRICS, unit=plan.unit)]

# %%
evaluate.scores_table(score(shown, metrics=["brier", "accuracy", "accuracy_at:0.5"], unit=plan.unit), labels=labels)

# %%
shown = evaluate.reliability_table(shown, unit=plan.unit, n_boot=200)
shown["curve"] = shown["task"].map(labels) + ", " + shown["model"]
srna.pl.reliability(shown, "curve", title="Predicted probability of the predicted interval", caption=caption)

# %%
shown = evaluate.coverage_curve(after, unit=plan.unit, n_boot=200).replace({"task": labels})
srna.pl.coverage_curve(shown, "task", title="Accuracy of the surest predictions", caption=caption)

# %% [markdown]
# A smaller Brier score is better. The last column of the table is the accuracy among the surer half: what *abstention*
# on the other half would buy.
#
# ## Who looks older?
#
# Predicted minus true age is called apparent age acceleration. Every regression pulls to the mean, so we first take
# away the line through the samples of the same study. What is left is **shown, not claimed**: it holds disease, cell
# composition, tumour content and sample quality, and it measures no pace of ageing. The slope says how many years are
# predicted for a year lived; **what would it be for a perfect clock?** Do men look older than women of the same tissue?
# Do tumours look older than the normal tissue beside them? **Guess both**, and then ask what besides age a clock as
# wrong as this one may see.

# %%
accel = evaluate.apparent_acceleration(clock)
shown = accel.groupby("dataset_id").agg(samples=("slope", "size"), slope=("slope", "first"), sd=("acceleration", "std"))
shown.sort_values("samples", ascending=False).head(20).round(2)

# %%
shown = partial(evaluate.acceleration_contrast, accel, seed=seed, n_boot=size.n_boot)
shown = partial(shown, strata=atlas.obs.get("tissue", atlas.obs["dataset_id"]))
shown = partial(shown, min_per_group=5 if len(years.y) < 1000 else 20)
shown = {
    m: shown(atlas.obs.get(t, pd.Series(dtype=object)), pair=m)
    for t, m in (("sex", ("male", "female")), ("tumour_normal", ("tumour", "normal")))
}
contrast = pd.concat({" minus ".join(m): shown[m] for m in shown}, names=["what"]).reset_index("what")
contrast["row"] = contrast["what"] + ", " + contrast["stratum"]

# %%
srna.pl.gains(
    contrast,
    row="row",
    what="difference (years)",
    title=f"Apparent age acceleration in each tissue ({winner['age_years']['model']})",
    caption=f"{caption.split('; 95')[0]}; 95 % over donors, not corrected for {len(contrast)} rows",
)

# %%
for m in ("male minus female", "tumour minus normal"):
    shown = contrast.set_index("row").reindex([f"{m}, all strata"]).iloc[0]
    say(f"""
{m}, within tissues: {shown["difference"]:+.2f} years [{shown["ci_low"]:+.2f}, {shown["ci_high"]:+.2f}], by a clock that
is wrong by {winner["age_years"]["value"]:.1f} years.
""")

# %% [markdown]
# ## A data set never seen
#
# Leave a whole data set out (*one dataset out*), and the question is about a tissue or laboratory that no model was
# trained on. **What will be left** of the AUROC for two intervals? On the left of the table each data set may have been
# known in training, on the right it was not.

# %%
unseen = pred[:0]
if years.groups.nunique() > 1:
    unseen = predict(main["age_2"], dict.fromkeys([*left_out_models, "metadata"]), "one_dataset_out")
records.append(score(unseen, per_study=True))
say(f"{unseen['sample_id'].nunique()} samples of {unseen['dataset_id'].nunique()} data sets were each left out once.")
shown = tables["age_2"][tables["age_2"]["model"].isin([*left_out_models, "metadata"])]
shown = pd.concat([score(shown, n_boot=0), records[-1]])
evaluate.scores_table(shown, ["auc_within", "auc", "accuracy"], labels=labels)

# %% [markdown]
# And the intervals in years? Those above rest on residuals of donors left out, whose data set the model knew. For a
# data set never seen that is too little, so there the residuals are those of data sets left out (at least five of
# them). **Does the promise hold in each?**

# %%
shown = ages[:0]
if years.groups.nunique() > 1:
    shown = [m for m in quantity_models if m in ("ridge", "tissue_input")] + ["metadata"]
    shown = predict(years, shown, "one_dataset_out")
records.append(score(shown, metrics=None))
control = pd.concat([control, shown], ignore_index=True)  # for the results on disk
shown = evaluate.coverage_by_study(pd.concat([ages[ages["model"].isin(shown["model"])], shown])).replace(labels)
srna.explore.readable(shown, dict.fromkeys(["empirical", "lowest", "median", "highest"], "{:.0%}"))

# %% [markdown]
# Empirical coverage of the widest interval, and what it is in the worst, the median and the best data set.
#
# ## The lesson

# %%
say(f"""
**{info["lesson"]}.** From small RNAs in this collection old or young is **{gains["age_2"].words}**; age in years is
**{gains["age_years"].words}**. The best recipe tells two intervals apart with a pooled AUROC of
{evaluate.find(scores, winner["age_2"]["model"], "auc", task="age_2")["value"]:.3f} and is wrong by
{winner["age_years"]["value"]:.1f} years on average, against
{evaluate.find(year_scores, "mean", "mae")["value"]:.1f} for the mean. **Say how wide the interval is, check that it
keeps its promise, and call no sample older than its donor.**

In data sets never seen the AUROC within them is
{evaluate.find(records[-2], left_out_models[0], "auc_within")["value"]:.3f} (`{left_out_models[0]}`), without a single
sRNA {evaluate.find(records[-2], "metadata", "auc_within")["value"]:.3f}.
""")

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are; the last one holds where the truth is known.

# %% tags=["checks"]
everything = pd.concat([six, pred, *null[:-1], after, unseen], ignore_index=True)
numbers = pd.concat([ages, null[-1], control], ignore_index=True)
assert (everything.filter(regex="^p_").sum(axis=1) - 1).abs().max() < 1e-5, "probabilities of a sample sum to 1"
for shown in (everything, numbers):
    shown = shown[shown["scheme"].isin([plan.scheme, "one_dataset_out", "patient_kfold"])].fillna({"permutation": -1})
    shown = shown.groupby(["task", "features", "model", "scheme", "permutation", "donor_id"])["fold"].nunique()
    assert (shown == 1).all(), "no donor is in two folds"
assert not pred.duplicated(["task", "model", "sample_id"]).any() and not ages.duplicated(["model", "sample_id"]).any()
assert (ages["low_0.9"] <= ages["low_0.5"]).all(), "a surer interval is wider"
assert abs(accel.groupby("dataset_id")["acceleration"].mean()).max() < 1e-6, "no study is older as a whole"
if profile != "smoke" and dataset == "demo":
    assert abs(shuffled["value"].loc[:, "auc_within"] - 0.5).max() < 0.04, "shuffled ages are at chance level"

# %%
shown = contrast.rename(columns={"difference": "value"}).assign(metric="acceleration:" + contrast["row"])
shown = shown[["metric", "value", "ci_low", "ci_high", "n_samples"]]
records.append(shown.merge(winner["age_years"].to_frame().T.drop(columns=shown.columns), how="cross"))
# on disk one column holds intervals and years
everything = pd.concat([everything, numbers.astype({"y_true": str, "y_pred": str})], ignore_index=True)

# %%
numbers = {
    "samples, people, data sets": f"{len(years.y)}, {years.donors.nunique()}, {years.groups.nunique()}",
    "wrong by, on average": f"{winner['age_years']['value']:.1f} years",
    "positive control, R2": f"{evaluate.find(records[3], control_models[0], 'r2')['value']:.3f}",
}
numbers |= {f"verdict, {labels[t]}": gains[t].verdict for t in gains}
numbers |= {f"{labels[t]}, {labels[judged[t]]}": f"{winner[t]['model']} {winner[t]['value']:.3f}" for t in main}

# %%
close(
    out,
    "04_age",
    title="How old is the donor, and would the small RNAs admit that they do not know?",
    info=info,
    records=records,
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "min_per_sex": min_per_sex},
    predictions=everything,
)

# %% [markdown]
# ## Limits
#
# * Ages of donors are rounded, and those filled in from elsewhere may be wrong; a clock learns that, too.
# * Prediction intervals keep their promise for donors like those of the training data. For a data set never seen their
#   width rests on the few data sets that there are: look at the worst of them above.
# * The best recipe was chosen by the number that is then reported, and judged against the metadata by the same
#   predictions.
# * Shuffled ages show what the study gives away through the columns named here. What nobody recorded, such as smoking
#   or treatment, is in none of the controls.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Cut the predicted years into the paper's two intervals. Guess first: is the regression correct as often as the
# classifier that was trained on them?

# %% tags=["answer"]

# %% tags=["solution"]
shown = data.AGE_CUTS[2][0]
shown = ((clock["y_pred"] > shown) == (clock["y_true"] > shown)).mean()
say(
    f"By years {shown:.1%}, by classifier {evaluate.find(scores, winner['age_2']['model'], task='age_2')['value']:.1%}."
)

# %% [markdown] tags=["exercise"]
# **2.** Leave out the correction for regression to the mean. Guess who "looks older" then, the young or the old, and
# why.

# %% tags=["answer"]

# %% tags=["solution"]
shown = pd.qcut(accel["y_true"], 3, labels=["young", "middle", "old"])
accel.groupby(shown, observed=True)[["gap", "acceleration"]].mean().round(2)

# %% [markdown] tags=["exercise"]
# **3.** Is the model less sure where it is more wrong? Guess the sign of the rank correlation between the width of an
# interval and the error, then compute it for the best recipe.

# %% tags=["answer"]

# %% tags=["solution"]
shown = pd.DataFrame({"width": clock["high_0.9"] - clock["low_0.9"], "error": abs(clock["y_pred"] - clock["y_true"])})
shown.corr("spearman").round(3)

# %% [markdown]
# ## What to try next
#
# * Other recipes: `srna run 04 -p models=logistic,dl_log -p quantity_models=ridge,per_tissue`.
# * A stricter choice of data sets: `srna run 04 --dataset tcga -p min_per_sex=100`.
# * Notebook 06 asks how firm the predictions are: `srna run 06 -p label=age_2`.
#
# ## Glossary
#
# * **abstention**: giving no answer where a score is low.
# * **AUROC**: area under the receiver operating characteristic: the chance that a sample of one class
#   gets a higher score than one of the other. **Pooled** over all pairs of samples, or **within** data sets.
# * **calibration**: a map from predicted to observed probabilities.
# * **chance level**: what a model without any information scores; one half for the AUROC.
# * **donor**: the person that a sample is from; all samples of a donor stay on one side of a split.
# * **MAE**: mean absolute error, in years. **R2**: share of the variance explained; zero for naming the mean of those
#   who are predicted, and below zero for worse.
# * **nominal, empirical coverage**: the share of true ages that an interval is meant to hold, and the share it holds.
# * **one dataset out**: each data set in turn is predicted by a model that never saw it (leave-one-study-out).
# * **prediction interval**: a range that is meant to hold the true age of a new donor with a nominal probability.
#
# ## References
#
# * Fiosina, Fiosins and Bonn (2020), Explainable deep learning for augmentation of small RNA expression profiles,
#   Journal of Computational Biology 27:234-247.
# * Barber and others (2021), Predictive inference with the jackknife+, Annals of Statistics 49:486-507.
# * Cohen (1968), Weighted kappa, Psychological Bulletin 70:213-220.
# * Horvath and Raj (2018), DNA methylation-based biomarkers and the epigenetic clock theory of ageing, Nature Reviews
#   Genetics 19:371-384.
# * Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52:239-281.
