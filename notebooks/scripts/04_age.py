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
# ---

# %% [markdown]
# # How old is the donor, and would the small RNAs admit that they do not know?
#
# **You will learn** how well age can be read from small RNAs, as an interval and in years; what a prediction interval
# must keep of its promise; how to see that a tool works before you believe that a signal is weak; and why a sample that
# "looks older" is a question and not a finding. It starts as the experiment of Fiosina, Fiosins and Bonn (2020) did.
#
# **Reads** a named data set whose samples have an age and, beside real data, the fetal lung collection as a positive
# control. **Writes** `results/04_age.json`, `results/04_age.parquet` (every out-of-fold prediction) and a card, below
# `out`. **Takes** under a minute in profile `smoke`, a few in `demo`, about twenty in `full` on two cores; finished
# folds are kept in `out/cache`.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), tcga or lgrc (real)
profile: str = "demo"  # smoke (few samples and small models, for tests), demo, full (everything)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # folds at a time
models: str = "dl_paper,rf_paper,rf_plain,logistic,tissue_input,pooled_kernel,ordinal"  # for 2 and 4 intervals
three_models: str = "rf_paper,logistic,tissue_input,ordinal"  # for 3 intervals, of which the paper shows no figure
quantity_models: str = "ridge,forest,kernel,tissue_input,partial_pooling"  # for age in years
control_models: str = "kernel_tmm,kernel,ridge,metadata,mean"  # recipes for the positive control, gestational age
left_out_models: str = "logistic,tissue_input"  # recipes that are carried to a data set never seen
min_per_sex: int = 0  # samples of each sex that a data set needs; 0: what the design of the data set says

# %%
import dataclasses
from pathlib import Path

import pandas as pd
from IPython.display import display

from srna_lib import datasets, evaluate, plots
from srna_lib.data import (
    AGE_CUTS,
    add_age_intervals,
    design,
    feature_tasks,
    make_quantity_task,
    make_task,
    select,
    subsample,
    with_every_class,
)
from srna_lib.evaluate import (
    ORDINAL_METRICS,
    RANKING_METRICS,
    SCHEMES,
    SELECTIVE_METRICS,
    cross_validate,
    get_profile,
)
from srna_lib.report import RECORD_FIELDS, open_dataset, say, write_card, write_results

# %%
plots.setup()
size = get_profile(profile)
small = {"per_study": 6, "n_splits": 2} if profile == "smoke" else {}
forest = {f"regressor__estimator__{k}": v for k, v in {"n_estimators": 100, "max_features": 0.1}.items()}
changes = size.changes or {"quantity forest": forest}  # its intervals take six forests a fold
size = dataclasses.replace(size, repeats=1, n_boot=min(size.n_boot, 1000), changes=changes, **small)
whole, info = open_dataset(dataset, profile=profile, seed=seed)
whole = add_age_intervals(whole)
plan = design(whole, "age_2")
predict = {"profile": size, "seed": seed, "n_jobs": n_jobs, "cache": Path(out) / "cache"}
scoring = {"dataset": info["name"], "seed": seed, "n_boot": size.n_boot}
six_metrics = {"metrics": [*RANKING_METRICS, "accuracy", "balanced_accuracy"]}
find = evaluate.find

# %% [markdown]
# ## Whose age is known?
#
# The paper cuts life into two, three and four intervals (its Table 3). Count first: where one interval holds most of
# the samples, a high accuracy is easy and says little.

# %%
chosen = select(whole, plan.where)
atlas = chosen[chosen.obs["age_years"].notna().to_numpy()].copy()
needed = min_per_sex or (plan.min_per_class if plan.where else 0)
if needed:  # the same people as in notebook 03
    atlas = with_every_class(atlas, "sex", min_per_class=needed)
n_samples, labels = atlas.n_obs, {f"age_{n}": f"{n} intervals" for n in AGE_CUTS} | {"age_years": "years"}
counts = [pd.crosstab(atlas.obs["dataset_id"].astype(str), atlas.obs[f"age_{n}"].astype(str)) for n in AGE_CUTS]
table = pd.concat(counts, axis=1, keys=[labels[f"age_{n}"] for n in AGE_CUTS])
display(table.loc[table.sum(axis=1).sort_values(ascending=False).index])

# %%
if size.per_study:
    atlas = subsample(atlas, "age_4", per_study=size.per_study, seed=seed)
main = {f"age_{n}": make_task(atlas, f"age_{n}") for n in AGE_CUTS}
years = make_quantity_task(atlas, "age_years")
people, n_studies = years.donors.nunique(), years.groups.nunique()
units = [plan.unit, *(u for u in ("donor_id", "dataset_id") if u != plan.unit and n_studies > 1)]
drawn = "studies" if plan.unit == "dataset_id" else "patients"
caption = plots.caption(len(years.y), n_studies, SCHEMES[plan.scheme], extra=f"95 % intervals over {drawn}")
text = ", ".join(f"{labels[t]} {task.y.value_counts(normalize=True).iloc[0]:.1%}" for t, task in main.items())
say(
    f"{n_samples} samples have a usable age. This run takes {len(years.y)} of {people} people in {n_studies} data sets,"
    f" {years.y.min():.0f} to {years.y.max():.0f} years old. The commonest interval holds: {text}."
)

# %% [markdown]
# ## Two kinds of features, and both
#
# As for sex: one kind of feature, another, and both together; network, forest and a linear model. Random folds are what
# the paper used and are **optimistic**, since other samples of a study, even of a person, are in the training data.

# %%
partner = add_age_intervals(datasets.load(plan.joined)) if plan.joined else None
if partner is not None and size.per_study:
    partner = subsample(partner, "age_2", per_study=20, seed=seed)
base, trio = (atlas if partner is None else chosen), ["dl_paper", "rf_paper", "logistic"]
tasks = feature_tasks(base, "age_2", partner)
schemes = (plan.scheme,) if plan.scheme == "patient_kfold" else ("random_5fold", plan.scheme)
schemes = schemes[:1] if profile == "smoke" else schemes
parts = [cross_validate(t, trio, s, **predict) for s in schemes for t in tasks.values()]
if len(schemes) > 1:  # the paper's four intervals, too
    parts.append(cross_validate(feature_tasks(base, "age_4")[list(tasks)[-1]], trio[:2], schemes[0], **predict))
six = pd.concat(parts, ignore_index=True)
six_records = evaluate.score(six, unit=plan.unit, **six_metrics, **scoring)
any_task = next(iter(tasks.values()))

# %%
labels |= {"random_5fold": "random folds (optimistic)", "grouped_kfold": "grouped by study", "auc": "AUC, pooled"}
labels |= {"patient_kfold": "grouped by patient", "one_dataset_out": "one data set out", "r2": "R2, pooled"}
labels |= {"balanced_accuracy": "balanced accuracy", "auc_within": "AUC, mean within data sets"}
labels |= {"r2_within": "R2, mean within data sets", "spearman": "rank correlation"}
labels |= {"spearman_within": "rank correlation, mean within data sets"}
plots.metrics(
    six_records[six_records["task"] == "age_2"].assign(model=lambda t: t["model"] + ", " + t["features"]),
    metric=["accuracy", "balanced_accuracy", "auc"],
    title=f"Two intervals of age, three models, {len(tasks)} feature sets, {info['title']}",
    caption=plots.caption(len(any_task.y), any_task.groups.nunique(), extra=f"95 % intervals: bootstrap over {drawn}"),
    labels=labels,
)

# %%
*single, last = tasks
wanted = [(last, f) for f in single]
if wanted:
    asked = {"by": "features", "metric": "auc", "unit": plan.unit, "correction": "holm"}
    sets = evaluate.compare(six[six["task"] == "age_2"], wanted, **asked, seed=seed, n_boot=size.n_boot)
    shown = ["scheme", "model", "pair", "difference", "ci_low", "ci_high", "p_adjusted", "verdict"]
    display(sets[shown].style.hide().format(precision=3))
    say(f"{sets['test'].iloc[0]}, corrected for {sets['n_comparisons'].iloc[0]} tests: {sets['correction'].iloc[0]}.")
else:
    say("This data set has one kind of feature; there are no feature sets to compare.")

# %% [markdown]
# ## Two, three and four intervals
#
# All usable samples, folds that keep people (or studies) whole. Accuracy treats every error alike; the **distance** in
# intervals and **kappa** with quadratic weights count a neighbouring interval as a small error. The `ordinal` recipe is
# told that the intervals have an order.

# %%
names = {t: (three_models if t == "age_3" else models).split(",") for t in main}
context = {"atlas": atlas, "context": plan.context}
runs = [cross_validate(main[t], [*names[t], "metadata", "dummy"], plan.scheme, **predict, **context) for t in main]
pred = pd.concat(runs, ignore_index=True)
records = evaluate.score(pred, metrics=ORDINAL_METRICS, unit=plan.unit, **scoring)
for t, part in pred.groupby("task", sort=False):
    own = evaluate.score(part, unit=units, per_study=True, **six_metrics, **scoring)
    records = pd.concat([records, own], ignore_index=True)
    say(f"**{labels[t]}**")
    shown = ["accuracy", "balanced_accuracy", "auc", "auc_within", *ORDINAL_METRICS]
    display(evaluate.scores_table(records[records["task"] == t], shown, labels=evaluate.FIGURES))

# %%
asked = [m in names[t] for t, m in records[["task", "model"]].to_numpy()]
usable = records[records["value"].notna() & asked]
inner = set(usable.loc[usable["metric"] == "auc_within", "task"])
judged = {t: "auc_within" if t in inner else "auc" for t in main}
winner = {t: evaluate.best(usable[usable["task"] == t], judged[t]) for t in main}
headline = plots.metrics(
    records[records["value"].notna()],
    color="task",
    metric=["accuracy", "auc", *(["auc_within"] if inner else [])],
    title=f"Age from small RNAs, {info['title']}",
    caption=caption,
    labels=labels,
)
headline

# %%
for t, best in winner.items():
    own = {m: find(records, best["model"], m, task=t)["value"] for m in ("accuracy", "auc", "interval_distance")}
    most = evaluate.best(usable[usable["task"] == t])
    say(
        f"**{labels[t]}.** Best by {labels[judged[t]]}: `{best['model']}` ({best['value']:.3f}; pooled AUC"
        f" {own['auc']:.3f}, right for {own['accuracy']:.1%}, {own['interval_distance']:.2f} intervals off on average)."
        f" Most often right: `{most['model']}`, {most['value']:.1%}; always the commonest interval:"
        f" {find(records, 'dummy', task=t)['value']:.1%}; AUC without a single sRNA:"
        f" {find(records, 'metadata', 'auc', task=t)['value']:.3f}."
    )

# %%
paper = pd.concat([evaluate.paper_results(t) for t in ("age_2", "age_4")]).assign(source="paper")
role = dict(zip(tasks, ["sRNA", "contaminant", "both"] if len(tasks) == 3 else ["sRNA"], strict=True))
ours = pd.concat([six_records, records[(records["task"] == "age_4") & (records["unit"] == plan.unit)]])
ours = ours.query("metric == 'accuracy'")
ours = ours.assign(source=ours["scheme"].map(labels), features=ours["features"].replace(role))
beside = pd.concat([paper, ours], ignore_index=True).sort_values(["task", "model", "features"], kind="stable")
beside["quantity"] = beside["task"].map(labels) + ": " + beside["model"] + ", " + beside["features"]
both_have = beside.groupby("quantity")["source"].transform(lambda s: "paper" in set(s) and s.nunique() > 1)
note = "other people and other data: the paper had 888 samples of 27 data sets; ours for its feature sets: "
note += ", ".join(f"{v} = {k}" for k, v in role.items())
figure = plots.paper_comparison(beside[both_have], title="Accuracy beside the paper's", caption=note)
display(figure)

# %% [markdown]
# ## In years, and with an interval
#
# Intervals throw away what age is: a number. A regression gives years, and a **prediction interval** says how far off
# they may be. An interval that is stated to hold nine true ages of ten must do so; we count. The R2 *within* data sets
# asks how much of the spread of ages inside a data set is explained: knowing the data set is worth nothing there.

# %%
quantities = [*quantity_models.split(","), "metadata", "mean"]
numbers = cross_validate(years, quantities, plan.scheme, **predict, **context)
year_records = evaluate.score(numbers, unit=plan.unit, per_study=True, **scoring)
errors = year_records[(year_records["metric"] == "mae") & year_records["study"].isna()]
best_years = errors.loc[errors["value"].idxmin()]
of = {key: part for table in (pred, numbers) for key, part in table.groupby(["task", "model"])}
clock = of["age_years", best_years["model"]]
shown = ["mae", "r2", "mae_within", "r2_within", "coverage:0.5", "coverage:0.9"]
display(evaluate.scores_table(year_records, shown))
nothing = find(year_records, "mean", "mae")["value"]
say(
    f"Best: `{best_years['model']}`, wrong by {best_years['value']:.1f} years on average; by {nothing:.1f} who always"
    f" says the mean, by {find(year_records, 'metadata', 'mae')['value']:.1f} who knows study, tissue and depth alone."
)

# %%

measured = {"unit": plan.unit, "seed": seed, "n_boot": size.n_boot}
covered = evaluate.coverage_table(numbers, **measured)
off = (covered["measured"] - covered["stated"]).abs()
promise = covered.rename(columns={"stated": "predicted", "measured": "observed"})
figure = plots.reliability(
    promise.assign(of="the true age being inside"), title="Intervals: stated and measured coverage", caption=caption
)
display(figure)
display(covered[["model", "stated", "measured", "ci_low", "ci_high", "mean_width"]].style.hide().format(precision=3))

# %%
title = f"Predicted and true age, {best_years['model']}"
display(plots.predicted_against_true(clock, title=title, caption=caption))
each = year_records[year_records["model"].isin([best_years["model"], "metadata"])]
if each.loc[(each["metric"] == "r2") & each["study"].notna(), "value"].notna().any():
    look = {"title": "R2 in every data set by itself", "caption": caption, "labels": labels | {"r2": "R2"}}
    display(plots.forest(each, "r2", mean="r2_within", reference=0, **look))
worst = covered.loc[off.idxmax()]
say(
    f"The largest distance of a measured from a stated coverage is {100 * off.max():.1f} points (`{worst['model']}`,"
    f" stated {worst['stated']:.0%}, measured {worst['measured']:.1%})."
)

# %% [markdown]
# ## A positive control
#
# If a clock finds little, is the signal weak or the clock broken? In fetal lung the answer is known: tissue changes
# from week to week, and its miRNAs with it. The same recipes must find gestational age there.

# %%
control, control_records, control_gain, works = clock.iloc[:0], [], None, False
if info["simulated"]:
    say("These data are simulated, and their truth is known: they need no positive control. Real data get one here.")
else:
    days = make_quantity_task(lung := datasets.load("fetal_lung"), "gestational_age_days")
    control = cross_validate(days, control_models.split(","), "donor", atlas=lung, **predict)
    alone = scoring | {"dataset": "fetal_lung"}
    control_scores = evaluate.score(control, unit="donor_id", **alone)
    display(evaluate.scores_table(control_scores, ["mae", "r2", "coverage:0.5", "coverage:0.9"]))
    lungs = dict(iter(control.groupby("model")))
    pair, alone = (lungs["kernel_tmm"], lungs["metadata"]), alone | {"metrics": ("r2",), "unit": ["donor_id"]}
    control_gain, verdict, own = evaluate.judge(*pair, **alone)
    control_records, works = [control_scores, own.iloc[:-1]], verdict == evaluate.PREDICTABLE

# %%
if control_gain is not None:
    note = plots.caption(len(days.y), 1, SCHEMES["patient_kfold"])
    title = f"Positive control: gestational age, {lung.uns['srna']['title']}"
    display(plots.predicted_against_true(lungs["kernel_tmm"], unit="days", title=title, caption=note))
    say(
        f"`kernel_tmm`: R2 {find(control_scores, 'kernel_tmm', 'r2')['value']:.3f}, wrong by"
        f" {find(control_scores, 'kernel_tmm', 'mae')['value']:.2f} days on average in {len(days.y)} samples."
        f" {evaluate.sentence(control_gain.iloc[0])}"
        + (" The tool works; what follows is about the data." if works else " Mistrust what follows.")
    )

# %% [markdown]
# ## Is it the sRNAs?
#
# Two controls for every task. **Shuffle the ages** among the people of a study and tissue, and run everything again:
# what is left is what the study gives away. And **take away the sRNAs**: only where the gain over the model on metadata
# lies above zero, for people and for studies drawn again, is the task called predictable. The sentences below are about
# the weakest of these intervals. (The best recipe was chosen by the same predictions: a gain is a little flattered.)

# %%
fast, times = "tissue_input", {"smoke": 1, "demo": 3, "full": 5}[profile]
shuffling = {"within": plan.within, "context": plan.context, **predict}
null = pd.concat(
    [evaluate.run_null(task, atlas, fast, plan.scheme, n_permutations=times, **shuffling) for task in main.values()],
    ignore_index=True,
)
few = min(times, 2)  # years take six models a fold
null_years = evaluate.run_null(years, atlas, fast, plan.scheme, n_permutations=few, **shuffling)
ranks = ("spearman", "spearman_within")
null_values = pd.concat([evaluate.null_scores(null), evaluate.null_scores(null_years, ranks)]).dropna(subset=["value"])
null_mean = null_values.groupby(["task", "metric"], sort=False)["value"].mean()

# %%
curves = null_values[null_values["metric"].str.startswith("auc")]
curves = curves.assign(row=curves["task"].map(labels) + ": " + curves["metric"].map(labels))
true_values = {(t, k): find(records, fast, k, task=t)["value"] for t in main for k in ("auc", "auc_within")}
figure = plots.null_distribution(
    curves,
    {f"{labels[t]}: {labels[k]}": v for (t, k), v in true_values.items()},
    row="row",
    what="area under the ROC curve (several classes: mean of each against the rest)",
    title=f"With shuffled ages, and with the true ones ({fast})",
    caption=f"{caption}; ages shuffled among people within {' and '.join(plan.within)}",
)
display(figure)

# %%
text = "; ".join(f"{labels[t]}, {labels[m]} {v:.3f}" for (t, m), v in null_mean.items())
say(f"Means with shuffled ages: {text}. By chance an area is one half and a rank correlation zero.")
rank = {m: find(year_records, fast, m)["value"] for m in ranks}
say("With the true ages in years: " + ", ".join(f"{labels[m]} {v:.3f}" for m, v in rank.items() if pd.notna(v)) + ".")

# %%
best_of = {t: best["model"] for t, best in winner.items()} | {"age_years": best_years["model"]}
asks = {t: ("auc", "auc_within") if judged[t] == "auc_within" else ("auc",) for t in main}
asks |= {"age_years": ("r2", "r2_within") if pd.notna(find(year_records, "mean", "r2_within")["value"]) else ("r2",)}
gains, verdicts, gain_records, r2_names = [], {}, [], {f"^{k};": f"{labels[k]};" for k in asks["age_years"]}
for t, m in best_of.items():
    found, verdicts[t], own = evaluate.judge(of[t, m], of[t, "metadata"], metrics=asks[t], unit=units, **scoring)
    gains.append(found.assign(row=labels[t] + ": " + found["row"].replace(r2_names, regex=True)))
    gain_records.append(own)
    say(evaluate.sentence(found.sort_values("ci_low", na_position="first").iloc[0]))
gain = pd.concat(gains, ignore_index=True)
title = "What the best recipe of each task knows beyond the metadata"
plots.gains(gain, row="row", what="gain in AUC, or in R2", title=title, caption=caption, labels=labels)

# %% [markdown]
# ## Which model, and does it matter?
#
# *Would other patients or studies change the order of these trained models?* A paired bootstrap over them. *Would other
# training samples?* The t-test over folds with the correction of Nadeau and Bengio. Both corrected for their number.

# %%
pairs = [("dl_paper", "logistic"), ("rf_plain", "rf_paper"), ("tissue_input", "logistic"), ("ordinal", "tissue_input")]
pairs += [("pooled_kernel", "tissue_input")]
in_years = [("forest", "ridge"), ("tissue_input", "ridge"), ("partial_pooling", "tissue_input"), ("kernel", "ridge")]
metric, tests = judged["age_2"] if len(set(judged.values())) == 1 else "auc", []
for test in ("bootstrap", "corrected_t"):
    for data, asked, by in ((pred, pairs, metric), (numbers, in_years, "mae")):
        tests.append(evaluate.compare(data, asked, test=test, metric=by, **measured))
tests = pd.concat(tests, ignore_index=True)
tests["row"] = tests["task"].map(labels) + ": " + tests["pair"]
tests["short"] = tests["test"].str.split(" \\(| over").str[0]
columns = ["row", "metric", "short", "difference", "ci_low", "ci_high", "p_adjusted", "verdict"]
display(tests[columns].style.hide().format(precision=3))

# %%
by_groups = tests[tests["test"] == evaluate.TESTS["bootstrap"]]
display(
    plots.gains(
        by_groups[by_groups["metric"] == metric].dropna(subset=["difference"]),
        row="row",
        what=f"difference in {labels[metric]}",
        title="Models in pairs, on the same samples",
        caption=f"{caption}, uncorrected",
    )
)
settled = by_groups[by_groups["verdict"] != "not distinguishable from"]
found = [f"{r.row} {r.verdict} zero in {labels.get(r.metric, r.metric.upper())}" for r in settled.itertuples()]
say(f"After {by_groups['correction'].iloc[0]}: {'; '.join(found) or 'no difference'} (in MAE, below is better).")

# %% [markdown]
# ## Do the probabilities mean what they say?
#
# Calibration is fitted on the out-of-fold predictions of the *other* folds, people kept whole. Then the model may stay
# silent: how right is it about the samples that it is surest of?

# %%
method = "isotonic" if len(years.y) >= 1000 else "sigmoid"
before = pd.concat([of[t, best_of[t]] for t in ("age_2", "age_4")], ignore_index=True)
after = evaluate.calibrate(before, method)
both = pd.concat([before, after], ignore_index=True)
stated = evaluate.reliability_table(both, unit=plan.unit, n_boot=200)
stated["curve"] = stated["task"].map(labels) + ", " + stated["model"]
title = f"Stated probability of the interval that is called, before and after calibration ({method})"
plots.reliability(stated, "curve", title=title, caption=caption)

# %%
after_records = evaluate.score(after, unit=plan.unit, **six_metrics, **scoring)
selective_records = evaluate.score(both, metrics=SELECTIVE_METRICS, unit=plan.unit, **scoring)
cover = evaluate.coverage_curve(after, unit=plan.unit, n_boot=200)
title = "Accuracy of the surest calls"
display(plots.coverage_curve(cover.replace({"task": labels}), "task", title=title, caption=caption))
for t in ("age_2", "age_4"):
    new, old = f"{best_of[t]} + {method}", find(records, best_of[t], "brier", task=t)["value"]
    brier, right = (find(after_records, new, m, task=t)["value"] for m in ("brier", "accuracy"))
    half = find(selective_records, new, "accuracy_at:0.5", task=t)["value"]
    text = f"Brier score {old:.3f}, calibrated {brier:.3f}; right for {right:.1%}, {half:.1%} of the surer half"
    say(f"{labels[t]}: {text}.")

# %% [markdown]
# ## Who looks older?
#
# Predicted minus true age is called apparent age acceleration. Every regression pulls to the mean, so we first take
# away the line through the samples of the same study. What is left is **shown, not claimed**: it holds disease, cell
# composition, tumour content and sample quality, and it measures no pace of ageing.

# %%
accel = evaluate.apparent_acceleration(clock)
strata = atlas.obs["tissue"] if "tissue" in atlas.obs else atlas.obs["dataset_id"]
contrasts = []
for column, pair in (("sex", ("male", "female")), ("tumour_normal", ("tumour", "normal"))):
    if column in atlas.obs:
        asked = {"pair": pair, "seed": seed, "n_boot": size.n_boot, "min_per_group": 5 if len(years.y) < 1000 else 20}
        found = evaluate.acceleration_contrast(accel, atlas.obs[column], strata, **asked)
        contrasts.append(found.assign(what=" minus ".join(pair)))
contrast = pd.concat([*contrasts, pd.DataFrame(columns=["stratum", "what"])], ignore_index=True)
lines = accel.groupby("dataset_id").agg(samples=("slope", "size"), slope=("slope", "first"), sd=("acceleration", "std"))
display(lines.sort_values("samples", ascending=False).head(20).round(2))

# %%
if contrast.empty:
    say("No tissue of this run has enough samples of both groups.")
for what, part in contrast.groupby("what", sort=False):
    title = f"Apparent age acceleration, {what}, in each tissue ({best_years['model']})"
    clear, all_rows = part[(part["ci_low"] > 0) | (part["ci_high"] < 0)], part.iloc[-1]
    note = f"{caption.split('; 95')[0]}; 95 % over people, not corrected for {len(part)} rows"
    display(plots.gains(part, row="stratum", what="difference (years)", title=title, caption=note))
    say(
        f"{what}, within tissues: {all_rows['difference']:+.2f} years [{all_rows['ci_low']:+.2f},"
        f" {all_rows['ci_high']:+.2f}]; {len(clear)} of {len(part)} intervals leave zero out. Shown, not claimed: a"
        f" clock that is wrong by {best_years['value']:.1f} years sees much besides age."
    )

# %% [markdown]
# ## A data set never seen
#
# Leave a whole data set out, and the question is about a tissue or laboratory that no model was trained on.

# %%
unseen, unseen_records, gap = pred.iloc[:0], records.iloc[:0], {}
if n_studies > 1:
    unseen = cross_validate(
        main["age_2"], [*left_out_models.split(","), "metadata"], "one_dataset_out", **predict, **context
    )
    unseen_records = evaluate.score(unseen, per_study=True, **six_metrics, **scoring)
    display(evaluate.scores_table(unseen_records, ["accuracy", "auc", "auc_within"], labels=evaluate.FIGURES))
    gap = {m: find(unseen_records, m, "auc")["value"] for m in names["age_2"] if m in set(unseen["model"])}
    then = {m: find(records, m, "auc", task="age_2")["value"] for m in gap}
    text = ", ".join(f"`{m}` {then[m]:.3f} -> {v:.3f}" for m, v in gap.items())
    say(f"{unseen['dataset_id'].nunique()} data sets, each left out once. Pooled AUC, then and now: {text}.")
else:
    say("This collection is one data set; there is none to leave out.")

# %% [markdown]
# ## The lesson

# %%
two = {m: find(records, best_of["age_2"], m, task="age_2")["value"] for m in ("accuracy", "auc")}
say(
    f"**Take-home.** Old or young is **{verdicts['age_2']}** from small RNAs in this collection, age in years is"
    f" **{verdicts['age_years']}**. The best recipe tells two intervals apart with an AUC of {two['auc']:.3f} and is"
    f" wrong by {best_years['value']:.1f} years on average, against {nothing:.1f} for the mean."
    + (" The same recipes find gestational age, so the tool is not what is missing." if works else "")
    + " **Say how wide the interval is, check that it keeps its promise, and call no sample older than its donor.**"
)

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are.

# %% tags=["checks"]
classes = pd.concat([six, pred, null, after, unseen], ignore_index=True)
figures = pd.concat([numbers, null_years, control], ignore_index=True)
assert (classes.filter(regex="^p_").sum(axis=1) - 1).abs().max() < 1e-5, "probabilities of a sample sum to 1"
for held in (classes, figures):
    honest = held[held["scheme"].isin([plan.scheme, "one_dataset_out", "patient_kfold"])]
    shuffle = honest["permutation"].fillna(-1)
    run_of = [honest["task"], honest["features"], honest["model"], honest["scheme"], shuffle, honest["donor_id"]]
    assert (honest.groupby(run_of)["fold"].nunique() == 1).all(), "no person is in two folds"
assert not pred.duplicated(["task", "model", "sample_id"]).any(), "every sample is predicted once by each model"
assert not numbers.duplicated(["model", "sample_id"]).any(), "every sample is predicted once by each model"
assert (numbers["low_0.9"] <= numbers["low_0.5"]).all(), "a surer interval is wider"
assert list(main["age_4"].classes) == sorted(main["age_4"].classes, key=lambda c: int(c.split("-")[0])), "in order"
assert abs(accel.groupby("dataset_id")["acceleration"].mean()).max() < 1e-6, "no study is older as a whole"
if profile != "smoke":
    for t in judged:
        if judged[t] == "auc_within":
            assert abs(null_mean[t, "auc_within"] - 0.5) < 0.04, "shuffled ages are a coin within data sets"
if plan.scheme == "patient_kfold" and len(years.y) > 3000:
    assert off.max() < 0.02, "intervals keep their promise"

# %%
accel_records = [
    best_years[list(RECORD_FIELDS)].to_dict()
    | {"metric": f"acceleration:{r['what']}, {r['stratum']}", "value": r["difference"]}
    | {k: r[k] for k in ("ci_low", "ci_high", "n_samples")}
    for r in contrast.to_dict("records")
]
all_records = [six_records, records, year_records, *control_records, *gain_records]
all_records += [after_records, selective_records, unseen_records, *accel_records]
text = figures.astype({"y_true": str, "y_pred": str})  # one column holds intervals and years
write_results(out, "04_age", all_records, pd.concat([classes, text], ignore_index=True))

# %%
key = {"samples, people, data sets": f"{len(years.y)}, {people}, {n_studies}"}
key |= {f"verdict, {labels[t]}": v for t, v in verdicts.items()}
key |= {f"{labels[t]}, {labels[judged[t]]}": f"{b['model']} {b['value']:.3f}" for t, b in winner.items()}
key |= {"wrong by, on average": f"{best_years['value']:.1f} years ({nothing:.1f} for the mean)"}
if control_gain is not None:
    key |= {"positive control, R2": f"{find(control_scores, 'kernel_tmm', 'r2')['value']:.3f}"}
run = {"dataset": dataset, "profile": profile, "seed": seed, "min_per_sex": needed}
title = "How old is the donor, and would the small RNAs admit that they do not know?"
write_card(out, "04_age", title=title, key_numbers=key, figure=headline, atlas_info=info, parameters=run)

# %% [markdown]
# ## What to try next
#
# - Other recipes: `srna run 04 -p models=logistic,dl_log -p quantity_models=ridge,per_tissue`.
# - A stricter choice of data sets: `-p min_per_sex=100`.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Cut the predicted years into the paper's two intervals. Does the regression call them as well as the classifier
# that was trained on them?

# %% tags=["solution"]
cut = AGE_CUTS[2][0]
right = ((clock["y_pred"] > cut) == (clock["y_true"] > cut)).mean()
f"by years {right:.1%}, by classifier {two['accuracy']:.1%}"

# %% [markdown] tags=["exercise"]
# **2.** Leave out the correction for regression to the mean. Who "looks older" then, and why is it the young?

# %% tags=["solution"]
thirds = pd.qcut(accel["y_true"], 3, labels=["young", "middle", "old"])
accel.groupby(thirds, observed=True)[["gap", "acceleration"]].mean().round(2)
