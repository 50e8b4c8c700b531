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
#     needs: [sex]
# ---

# %% [markdown]
# # Male or female: what do the small RNAs know, and what does the study know for them?
#
# **You will learn** how well the sex of a donor can be read from small RNAs; how much of a good-looking figure comes
# from knowing the study alone; and how to tell, before you annotate a single sample, whether a task is predictable at
# all. The experiment starts as that of Fiosina, Fiosins and Bonn (2020), and then asks what they did not.
#
# **Reads** a named data set whose samples have a sex, and where they exist further features of the same samples and a
# second collection to carry models to. **Writes** `results/03_sex.json`, `results/03_sex.parquet` (every out-of-fold
# prediction) and a card, below `out`. **Takes** under a minute in profile `smoke`, a few minutes in `demo`, about
# twenty in `full` on two cores; finished folds are kept in `out/cache`.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), tcga or lgrc (real)
profile: str = "demo"  # smoke (few samples and small models, for tests), demo, full (everything)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # folds at a time
label: str = "sex"  # column that is predicted
models: str = "dl_paper,rf_paper,rf_plain,logistic,dl_log,tissue_input,per_tissue,partial_pooling,pooled_kernel"  # all
left_out_models: str = "logistic,tissue_input,pooled_kernel"  # carried to a cohort or a collection never seen
external: str = "auto"  # second collection; auto: lgrc for tcga and the other way round; none
min_per_class: int = 0  # samples of each sex that a data set needs; 0: what the design of the data set says

# %%
import dataclasses
from pathlib import Path

import pandas as pd
from IPython.display import display

from srna_lib import data, datasets, evaluate, explain, plots
from srna_lib.data import make_task, subsample
from srna_lib.evaluate import RANKING_METRICS, SCHEMES, SELECTIVE_METRICS, cross_validate, get_profile, make_splits
from srna_lib.report import open_dataset, say, write_card, write_results

# %%
plots.setup()
size = get_profile(profile)
small = {"per_study": 6, "n_splits": 2} if profile == "smoke" else {}
size = dataclasses.replace(size, repeats=1, n_boot=min(size.n_boot, 1000), **small)
whole, info = open_dataset(dataset, profile=profile, seed=seed)
plan = data.design(whole, label)
plan = dataclasses.replace(plan, min_per_class=min_per_class or plan.min_per_class)
predict = {"profile": size, "seed": seed, "n_jobs": n_jobs, "cache": Path(out) / "cache"}
scoring = {"dataset": info["name"], "seed": seed, "n_boot": size.n_boot}
six_metrics = {"metrics": [*RANKING_METRICS, "accuracy", "balanced_accuracy"]}
find = evaluate.find

# %% [markdown]
# ## Whom can we ask?
#
# A study of one sex answers the question by itself: a model that recognises the study "knows" the sex of its samples
# without looking at them. Such studies, and those with too few samples of one sex, take no part.

# %%
asked = data.select(whole, plan.where)
per_cohort = data.cohort_table(asked, label, min_per_class=plan.min_per_class)
atlas = data.choose_cohorts(whole, label, min_per_class=plan.min_per_class, where=plan.where)
display(per_cohort.style.hide().format({"share": "{:.0%}"}))
refused = data.refusal(asked, label, min_per_class=plan.min_per_class)
if refused:
    say(f"Asked for one of the refused, the library says: *{refused}*")

# %%
n_used, n_samples = int((per_cohort["use"] == "used").sum()), atlas.n_obs
if size.per_study:
    atlas = subsample(atlas, label, per_study=max(size.per_study, 60 // n_used), seed=seed)
main = make_task(atlas, label)
people = main.donors.nunique()
units = [plan.unit, *(u for u in ("donor_id", "dataset_id") if u != plan.unit and main.groups.nunique() > 1)]
say(
    f"{n_samples} samples of {n_used} data sets can be used, {len(per_cohort) - n_used} data sets are refused. This run"
    f" takes {len(main.y)} samples of {people} people: "
    + ", ".join(f"{n} {k}" for k, n in main.y.value_counts().items())
    + f". Class that is named on the positive side of every curve: {main.classes[-1]}."
)

# %% [markdown]
# ## The paper's experiment: six models, and a linear one
#
# Two kinds of features, and both together; a network, a forest and, because it is what every such table needs, a
# logistic regression. Random folds are what the paper used. They are **optimistic**: other samples of the same study,
# even of the same person, are in the training data. Beside them, folds that keep studies or patients whole.

# %%
partner = data.without_absent(datasets.load(plan.joined)) if plan.joined else None
if partner is not None and size.per_study:
    partner = subsample(partner, label, per_study=30, seed=seed)
tasks = data.feature_tasks(whole if plan.joined else atlas, label, partner)
trio = ["dl_paper", "rf_paper", "logistic"]
schemes = ("random_5fold", plan.scheme)
six = pd.concat([cross_validate(t, trio, s, **predict) for s in schemes for t in tasks.values()], ignore_index=True)
six_records = evaluate.score(six, unit=plan.unit, **six_metrics, **scoring)
any_task = next(iter(tasks.values()))
say(", ".join(f"{f}: {t.X.shape[1]} features" for f, t in tasks.items()) + f"; {len(any_task.y)} samples.")

# %%
labels = {"random_5fold": "random folds (optimistic)", "grouped_kfold": "grouped by study"}
labels |= {"patient_kfold": "grouped by patient", "row": "figure", "dataset": "direction", **evaluate.FIGURES}
drawn, areas = "studies" if plan.unit == "dataset_id" else "patients", {"tickformat": ".2f", "title_text": ""}
plots.metrics(
    six_records.assign(model=six_records["model"] + ", " + six_records["features"]),
    metric=["accuracy", "balanced_accuracy", "auc"],
    title=f"Three models on {len(tasks)} feature sets, {info['title']}",
    caption=plots.caption(len(any_task.y), any_task.groups.nunique(), extra=f"95 % intervals: bootstrap over {drawn}"),
    labels=labels,
).update_yaxes(areas)

# %%
*single, last = tasks
wanted = [(last, f) for f in single] + ([tuple(single)] if len(single) == 2 else [])
if wanted:
    sets = evaluate.compare(
        six, wanted, by="features", metric="auc", unit=plan.unit, correction="holm", seed=seed, n_boot=size.n_boot
    )
    display(evaluate.pairs_table(sets.replace({"scheme": labels}), by=("scheme", "model", "pair")))
    mean = six_records.query("metric == 'auc'").groupby("features", sort=False)["value"].mean()
    say("Mean AUC over models and splits: " + ", ".join(f"{f} {v:.3f}" for f, v in mean.items()) + ".")
    say(f"p: {sets['test'].iloc[0]}; {sets['correction'].iloc[0]} over {sets['n_comparisons'].iloc[0]} comparisons.")
else:
    say("This data set has one kind of feature; there are no feature sets to compare.")

# %%
paper = evaluate.paper_results(label).assign(source="paper")
role = dict(zip(tasks, ["sRNA", "contaminant", "both"] if len(tasks) == 3 else ["sRNA"], strict=True))
ours = six_records.query("metric == 'accuracy' and model != 'logistic'")
ours = ours.assign(source=ours["scheme"].map(labels), features=ours["features"].map(role))
beside = pd.concat([paper.query("metric == 'accuracy'"), ours], ignore_index=True)
beside["quantity"] = [f"{m}, {f}" for m, f in beside[["model", "features"]].to_numpy()]
beside = beside[beside["quantity"].isin(ours["model"] + ", " + ours["features"])]
note = f"ours in the place of the paper's feature sets: {', '.join(f'{v} = {k}' for k, v in role.items())}"
if len(paper):
    fig = plots.paper_comparison(beside.sort_values("quantity"), title="Accuracy beside the paper's", caption=note)
    display(fig)

# %% [markdown]
# ## The main experiment
#
# All usable data sets, folds that keep people (or studies) whole. Two areas under the curve stand side by side. The
# **pooled** one compares samples of different studies, so a model gains from knowing which study has more men. The
# **mean within data sets** compares only samples of the same study: there, knowing the study is worth nothing.

# %%
names = [*models.split(","), "metadata", "dummy"]
context = {"atlas": atlas, "context": plan.context}
pred = cross_validate(main, names, plan.scheme, **predict, **context)
shown = ("auc_within", "auc", "accuracy", "balanced_accuracy")
records = evaluate.score(pred, unit=units, per_study=True, **six_metrics, **scoring)
display(evaluate.scores_table(records, shown, labels=evaluate.FIGURES))

# %%
usable = records[records["value"].notna() & records["model"].isin(models.split(","))]
usable = usable[usable["unit"] == plan.unit]
judged = "auc_within" if (usable["metric"] == "auc_within").any() else "auc"
winner = evaluate.best(usable, judged)
best_model, trivial, blind = winner["model"], find(records, "dummy"), find(records, "metadata", "auc")
caption = plots.caption(len(main.y), main.groups.nunique(), SCHEMES[plan.scheme])
headline = plots.metrics(
    records[(records["model"] != "dummy") & records["value"].notna()],
    metric=["auc", *(["auc_within"] if judged == "auc_within" else []), "balanced_accuracy"],
    title=f"{label.capitalize()} from small RNAs, {info['title']}",
    caption=f"{caption}; 95 % intervals over {drawn}",
    labels=labels,
).update_yaxes(areas)
headline

# %%
inside = find(records, "metadata", "auc_within")["value"]
say(
    f"**The data set alone.** A model that sees study, tissue, platform and depth but not one sRNA has a pooled AUC of"
    f" {blind['value']:.3f}"
    + (f", and {inside:.3f} within data sets" if pd.notna(inside) else "")
    + f". Only what lies above that is about sRNAs. The best recipe by {labels[judged]} is `{best_model}`:"
    f" {winner['value']:.3f}, pooled {find(records, best_model, 'auc')['value']:.3f}, right for"
    f" {find(records, best_model)['value']:.1%}; always naming the commoner sex is right for {trivial['value']:.1%}."
    f" (It was chosen among {models.count(',') + 1} by this very figure, which flatters it a little.)"
)

# %% [markdown]
# The mean hides the cohorts. Each row is one data set, judged on its own samples.

# %%
compared = [m for m in dict.fromkeys([best_model, "logistic"]) if m in names]
chosen = pred[pred["model"].isin(compared)]
each = evaluate.score(chosen, unit="donor_id", per_study=True, **six_metrics, **scoring)
if each["study"].notna().any():
    title = "Every data set by itself"
    own = {"auc": "AUC of the data set"}
    display(plots.forest(each, title=title, caption=f"{caption}; 95 % intervals over patients", labels=own))
else:
    say("No data set of this run has five samples of each sex; it takes more to judge one by itself.")

# %% [markdown]
# ## Is it the sRNAs?
#
# Two controls. **Shuffle the labels** among the people of the same study and tissue and run everything again: what is
# left is what the study gives away, and within data sets it must be a coin (an area of one half). And **take away the
# sRNAs**: the gain over the model on metadata alone, with an interval, decides whether we call the task predictable.

# %%
times = {"logistic": {"smoke": 2, "demo": 6, "full": 10}[profile], "tissue_input": {"full": 2}.get(profile, 1)}
shuffling = {"within": plan.within, "context": plan.context, **predict}
null = pd.concat(
    [evaluate.run_null(main, atlas, m, plan.scheme, n_permutations=n, **shuffling) for m, n in times.items()],
    ignore_index=True,
)
null_values = evaluate.null_scores(null).dropna(subset=["value"])
null_values["row"] = null_values["model"].str.split(",").str[0] + ": " + null_values["metric"].map(labels)

# %%
observed = {f"{m}: {labels[k]}": find(records, m, k)["value"] for m in times for k in ("auc", "auc_within")}
figure = plots.null_distribution(
    null_values,
    observed,
    row="row",
    what="area under the ROC curve",
    title="With shuffled labels, and with the true ones",
    caption=f"{caption}; labels shuffled among people within {' and '.join(plan.within)}",
)
display(figure)
null_mean = null_values.groupby("metric")["value"].mean()
say("Mean area with shuffled labels: " + ", ".join(f"{labels[k]} {v:.3f}" for k, v in null_mean.items()) + ".")

# %%
of = dict(iter(pred.groupby("model")))
asks = ("auc", "auc_within") if judged == "auc_within" else ("auc",)
gain, verdict, gain_records = evaluate.judge(of[best_model], of["metadata"], metrics=asks, unit=units, **scoring)
title = f"What `{best_model}` knows beyond the metadata".replace("`", "")
display(plots.gains(gain, row="row", what="gain in AUC", title=title, caption=caption, labels=labels))
weakest = gain.loc[gain["ci_low"].fillna(-1).idxmin()].replace(labels)
say(f"The least certain of them: {evaluate.sentence(weakest)}")
say(f"**Verdict: {label} is {verdict}** (predictable only where every one of these intervals lies above zero).")

# %% [markdown]
# ## Which model, and does it matter?
#
# Two questions, two tests. *Would other patients or studies change the order of these trained models?* A paired
# bootstrap over them. *Would other training samples?* The t-test over folds with the correction of Nadeau and Bengio,
# because the training sets of folds overlap. The tissue-conditioned models are among the pairs: tissue as an input,
# each tissue for itself, and partial pooling in between.

# %%
pairs = [("dl_paper", "logistic"), ("dl_log", "dl_paper"), ("rf_plain", "rf_paper"), ("tissue_input", "logistic")]
pairs += [("partial_pooling", "tissue_input"), ("partial_pooling", "per_tissue"), ("pooled_kernel", "partial_pooling")]
pairs = [p for p in pairs if set(p) <= set(names)]
testing = {"metric": judged, "unit": plan.unit, "seed": seed, "n_boot": size.n_boot}
tests = pd.concat(
    [evaluate.compare(pred, pairs, test=test, **testing) for test in ("bootstrap", "corrected_t")],
    ignore_index=True,
)
evaluate.pairs_table(tests)

# %%
drawn_tests = tests[tests["test"] == evaluate.TESTS["bootstrap"]]
settled = drawn_tests[drawn_tests["verdict"] != "not distinguishable from"]
display(
    plots.gains(
        drawn_tests.dropna(subset=["difference"]),
        row="pair",
        what=f"difference in {labels[judged]}",
        title="Models in pairs, on the same samples",
        caption=f"{caption}; uncorrected 95 % intervals over {drawn}",
    )
)
found = [f"`{a}` is {v} `{b}`" for a, v, b in settled[["first", "verdict", "second"]].to_numpy()]
say(f"After {drawn_tests['correction'].iloc[0]} over {len(drawn_tests)} pairs: {'; '.join(found) or 'no difference'}.")

# %% [markdown]
# ## Do the probabilities mean what they say, and when should the model stay silent?
#
# A model that says "four in five" should be right four times in five. Calibration is fitted on the out-of-fold
# predictions of the *other* folds, with people kept whole, so no label of a fold touches its own map. Then the model
# may decline: how right is it about the samples that it is surest of?

# %%

method = "isotonic" if len(main.y) >= 1000 else "sigmoid"
before = pred[pred["model"].isin(compared)]
after = evaluate.calibrate(before, method)
both = pd.concat([before, after], ignore_index=True)
binned = {"of": main.classes[-1], "unit": plan.unit, "n_boot": 200}
curves = evaluate.reliability_table(both, **binned)
title = f"Stated probability of {main.classes[-1]}, before and after calibration ({method})"
plots.reliability(curves, title=title, caption=f"{caption}; 95 % intervals over {drawn}")

# %%
after_records = evaluate.score(after, unit=plan.unit, **six_metrics, **scoring)
selective_records = evaluate.score(both, metrics=SELECTIVE_METRICS, unit=plan.unit, **scoring)
cover = evaluate.coverage_curve(after, unit=plan.unit, n_boot=200)
display(plots.coverage_curve(cover, title="Accuracy of the surest calls", caption=caption))
for m in compared:
    old, new = find(records, m, "brier")["value"], find(after_records, f"{m} + {method}", "brier")["value"]
    half = find(selective_records, f"{m} + {method}", "accuracy_at:0.5")["value"]
    right = f"right for {find(after_records, f'{m} + {method}')['value']:.1%} of all, {half:.1%} of the surer half"
    say(f"`{m}`: Brier score {old:.3f}, calibrated {new:.3f}; {right}.")

# %% [markdown]
# ## A cohort never seen
#
# Folds by patient ask about new people of known cohorts. Leave a whole cohort out, and the question is about a tissue
# that no model was trained on. A recipe that centres within data sets may look at the profiles of the new cohort, but
# not at one of its labels. (Where the main folds keep studies whole already, this only adds studies to learn from.)

# %%
carried = left_out_models.split(",")
unseen, unseen_records, gap = pred.iloc[:0], records.iloc[:0], {}
if main.groups.nunique() > 1:
    unseen = cross_validate(main, [*carried, "metadata"], "one_dataset_out", **predict, **context)
    unseen_records = evaluate.score(unseen, per_study=True, **six_metrics, **scoring)
    display(evaluate.scores_table(unseen_records, shown, labels=evaluate.FIGURES))
else:
    say("This collection is one data set; there is no cohort to leave out.")

# %%
if len(unseen):
    n_unseen, cohorts_unseen = unseen["sample_id"].nunique(), unseen["dataset_id"].nunique()
    same = pred[pred["sample_id"].isin(unseen["sample_id"]) & pred["model"].isin(carried)]
    earlier = evaluate.score(same, **scoring | {"n_boot": 0})
    asked_of = judged if all(find(unseen_records, m, judged)["value"] > 0 for m in carried) else "auc"
    gap = {m: find(unseen_records, m, asked_of)["value"] for m in carried}
    was = {m: find(earlier, m, asked_of)["value"] for m in carried if m in names}
    text = ", ".join(f"`{m}` {v:.3f}, now {gap[m]:.3f}" for m, v in was.items())
    say(f"{n_unseen} samples of {cohorts_unseen} data sets, each left out once. {labels[asked_of]}, before: {text}.")

# %% [markdown]
# ## Tumour against normal
#
# Is the sex of healthy tissue easier to see than that of a tumour, which rewrites its miRNAs and sometimes loses its Y
# chromosome? Same predictions, looked at apart.

# %%
kind_records = records.iloc[:0]
if "tumour_normal" in atlas.obs:
    kind = chosen["sample_id"].map(atlas.obs["tumour_normal"].astype(str))
    for value in sorted(kind.unique()):
        rows = chosen[kind.to_numpy() == value]
        own = evaluate.score(rows, unit="donor_id", **six_metrics, **scoring)
        kind_records = pd.concat([kind_records, own.assign(metric=own["metric"] + f", {value} samples")])
    kinds = kind_records[kind_records["metric"].str.startswith("auc") & kind_records["value"].notna()]
    columns = ["model", "metric", "value", "ci_low", "ci_high", "n_samples", "n_datasets"]
    display(kinds[columns].style.hide().format(precision=3))
    pooled = kinds[kinds["metric"].str.startswith("auc,") & (kinds["model"] == best_model)]
    say(f"`{best_model}`: " + "; ".join(f"{m} {v:.3f}" for m, v in pooled[["metric", "value"]].to_numpy()) + ".")
else:
    say("This data set does not say which samples are tumours.")

# %% [markdown]
# ## Another collection
#
# The hardest test: other people, other laboratory, other library protocol. Both collections are brought to the same
# features first (mature miRNAs are summed into stem-loops where one side counts stem-loops), and nothing is fitted on
# the side that is predicted.

# %%

abroad = {"auto": plan.external, "none": ""}.get(external, external)
ext, ext_records = pred.iloc[:0], records.iloc[:0]
if abroad:
    other = data.choose_cohorts(datasets.load(abroad), label)
    other = subsample(other, label, per_study=40, seed=seed) if size.per_study else other
    together, overlap = evaluate.stack(atlas, other)
    display(overlap.style.hide().format({"reads_kept": "{:.1%}"}))
    alike = data.design(whole, label).alike or data.design(other, label).alike
    ways = evaluate.both_ways(together, info["name"], abroad, alike)
    ext = evaluate.run_external(together, label, carried, ways, context=plan.context[:1], **predict)

# %%
if len(ext):
    near = ext[ext["dataset_id"].isin(alike)]
    shown_ext = pd.concat([ext, near.assign(fold=near["fold"] + ", " + " + ".join(alike) + " alone")])
    for way, part in shown_ext.groupby("fold", sort=False):
        own = evaluate.score(part, unit="donor_id", **six_metrics, **scoring | {"dataset": way})
        ext_records = pd.concat([ext_records, own], ignore_index=True)
    note = plots.caption(ext["sample_id"].nunique(), scheme="external", extra="95 % intervals over patients")
    look = {"title": "Carried to another collection", "caption": note, "labels": labels}
    fig = plots.metrics(ext_records, x="dataset", color="model", metric=["auc", "accuracy"], **look)
    display(fig.update_yaxes(areas))
    farthest = evaluate.best(ext_records, "auc")
    say(f"What arrives best: `{farthest['model']}`, {farthest['dataset']}: AUC {farthest['value']:.3f}.")
else:
    say("No second collection is known for this data set; name one with `-p external=...`.")

# %% [markdown]
# ## Which sRNAs, and on which chromosome?
#
# The weights of the linear model, per standard deviation, over the folds. Genes on the sex chromosomes are the first
# suspects: women have two copies of X, though most of one is silenced, and men alone have a Y.

# %%

linear = "tissue_input"
splits = make_splits(main, plan.scheme, n_splits=size.n_splits, seed=seed)
weights = explain.fold_weights(main, atlas, linear, splits, profile=size, seed=seed, context=plan.context)
truth = info.get("truth")
if truth is not None:
    planted = set(truth.loc[truth["task"] == label, "srna"])
    weights["planted"] = weights["srna"].isin(planted)
display(weights.head(15).style.hide().format(precision=3))

# %%
enriched = explain.sex_linked_enrichment(weights)
weights_note = plots.caption(len(main.y), scheme=SCHEMES[plan.scheme], extra="bars: range over folds")
title = f"The largest weights of {linear}"
ends = (main.classes[0], main.classes[-1])
display(plots.weights(weights, classes=ends, title=title, caption=weights_note))
display(enriched.style.hide().format(precision=3))
if len(enriched):
    top = enriched.iloc[len(enriched) // 2]
    say(
        f"Among the {top['top']:.0f} largest weights {top['linked']:.0f} are sex-linked, {top['expected']:.1f} would be"
        f" by chance (hypergeometric p = {top['p_value']:.2g}; clustered miRNAs make it look smaller than it is)."
    )

# %% [markdown]
# ## The lesson

# %%
reached = ", ".join(f"{v:.3f} (`{m}`)" for m, v in gap.items())
say(
    f"**Take-home.** {label.capitalize()} is **{verdict}** from small RNAs in this collection. `{best_model}` reaches a"
    f" pooled AUC of {find(records, best_model, 'auc')['value']:.3f}; {blind['value']:.3f} is there without a single"
    f" sRNA, so their gain is {gain['difference'].iloc[0]:+.3f}. "
    + (f"In cohorts never seen ({labels[asked_of]}): {reached}. " if reached else "")
    + "**Ask of every figure what the study alone would score, and look within studies before you believe the rest.**"
)

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are.

# %% tags=["checks"]
everything = pd.concat([six, pred, null, after, unseen, ext], ignore_index=True)
spread = everything.filter(regex="^p_").sum(axis=1)
assert (spread - 1).abs().max() < 1e-5, "probabilities of a sample sum to 1"
honest = everything[everything["scheme"].isin([plan.scheme, "one_dataset_out"])]
run_of = ["features", "model", "scheme", honest["permutation"].fillna(-1)]  # each shuffle has folds of its own
held = honest.groupby([*run_of, "donor_id"])["fold"].nunique()
assert (held == 1).all(), "no person is in two folds"
if len(unseen):
    assert (unseen.groupby(["model", "dataset_id"])["fold"].nunique() == 1).all(), "no data set is in two folds"
assert set(pred["dataset_id"]) <= set(per_cohort.loc[per_cohort["use"] == "used", "data set"]), "only usable data sets"
assert not pred.duplicated(["model", "sample_id"]).any(), "every sample is predicted once by each model"
right = records[records["metric"] == "accuracy"]
assert right["value"].between(right["ci_low"] - 1e-9, right["ci_high"] + 1e-9).all()
if profile != "smoke":
    assert abs(null_mean["auc_within"] - 0.5) < 0.03, "shuffled labels are a coin within data sets"
if profile != "smoke" and dataset == "demo" and label == "sex":  # where the truth is known
    of_sets = six_records.query("metric == 'auc'").groupby("features")["value"].mean()
    assert of_sets.idxmax() == "both", "both kinds of features together tell more than either"

# %%
all_records = [six_records, records, each, gain_records, after_records, selective_records]
all_records += [unseen_records, kind_records, ext_records]
write_results(out, "03_sex", all_records, everything)
numbers = {
    "samples, people, data sets": f"{len(main.y)}, {people}, {main.groups.nunique()}",
    "verdict": f"{label}: {verdict}",
    f"best recipe, {labels[judged]}": f"{best_model} {winner['value']:.3f}",
    "its AUC, pooled": f"{find(records, best_model, 'auc')['value']:.3f}",
    "without a single sRNA": f"{blind['value']:.3f}",
}
run = {"dataset": dataset, "profile": profile, "seed": seed, "label": label, "min_per_class": plan.min_per_class}
title = "Male or female: what do the small RNAs know, and what does the study know for them?"
write_card(out, "03_sex", title=title, key_numbers=numbers, figure=headline, atlas_info=info, parameters=run)

# %% [markdown]
# ## What to try next
#
# - Another label of people: `srna run 03 -p label=diagnosis` where an atlas has it (two classes).
# - A stricter table: `-p min_per_class=100` keeps the cohorts that can judge themselves best.
# - Notebook 04 asks the same questions about age.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Samples whose recorded sex the best model contradicts with confidence may be mislabelled. List the ten
# strongest contradictions, and count how many of them two other models share.

# %% tags=["solution"]
p_true = [row[f"p_{row['y_true']}"] for row in pred.to_dict("records")]
doubt = pred.assign(p_true=p_true).pivot(index="sample_id", columns="model", values="p_true")
doubt.nsmallest(10, best_model)[[m for m in (best_model, "logistic", "rf_paper") if m in doubt]]

# %% [markdown] tags=["exercise"]
# **2.** In which data set is the gap between the pooled and the inner question largest? Compare the mean predicted
# probability of each data set with its true share: a model that knows the study gets these means right.

# %% tags=["solution"]
own = of[best_model].assign(true=lambda t: (t["y_true"] == main.classes[-1]).astype(float))
own.groupby("dataset_id")[[f"p_{main.classes[-1]}", "true"]].mean().round(3)
