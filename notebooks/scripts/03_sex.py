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
#     least: 15
# ---

# %% [markdown]
# # Male or female: what do the small RNAs know, and what does the study know for them?
#
# **You will learn** how well the sex of a donor can be read from small RNAs; how much of a good-looking number comes
# from knowing the study alone; and how to tell, before you annotate a single sample, whether a task is predictable at
# all. The experiment starts as that of Fiosina, Fiosins and Bonn (2020), and then asks what they did not.
#
# **Reads** a named data set whose samples have a sex, and where they exist further features of the same samples and a
# second collection for external validation. **Writes** `results/03_sex.json`, `results/03_sex.parquet` (every
# out-of-fold prediction) and a card, below `out`. **Takes** under a minute in profile `smoke`, a few minutes in `demo`,
# about twenty in `full` on two cores; finished folds are kept in `out/cache`. Words in *italics* stand in the glossary.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), tcga or lgrc (real)
profile: str = "demo"  # smoke (few samples and small models, for tests), demo, full (everything)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # folds at a time
donor_label: str = "sex"  # column that is predicted: something about the donors
models: str = "dl_paper,rf_paper,rf_plain,logistic,dl_log,tissue_input,per_tissue,partial_pooling,pooled_kernel"  # all
left_out_models: str = "logistic,tissue_input,pooled_kernel"  # tried on a cohort or a collection never seen
external: str = "auto"  # second collection; auto: lgrc for tcga and the other way round; none
min_per_class: int = 0  # samples of each sex that a data set needs; 0: what the design of the data set says

# %%
from dataclasses import replace
from functools import partial
from itertools import combinations

import pandas as pd

import srna_lib as srna
from srna_lib import data, evaluate
from srna_lib.report import close, open_dataset, say

# %%
models, left_out_models = srna.models.recipe_names(models), srna.models.recipe_names(left_out_models)
size = evaluate.get_profile(profile)
size = replace(size, repeats=1, n_boot=min(size.n_boot, 1000))
size = {"smoke": replace(size, per_study=6, n_splits=2)}.get(profile, size)

# %%
whole, info = open_dataset(dataset, profile=profile, seed=seed)
plan = data.design(whole, donor_label)
plan = replace(plan, min_per_class=min_per_class or plan.min_per_class)

# %% [markdown]
# ## Whom can we ask?
#
# A study of one sex answers the question by itself: a model that recognises the study "knows" the sex of its samples
# without looking at them. Such studies, and those with too few samples of one sex, are excluded. **How many data sets,
# would you guess, are eligible?**

# %%
shown = data.select(whole, plan.where)
cohorts = data.cohort_table(shown, donor_label, min_per_class=plan.min_per_class)
cohorts.style.hide().format({"share": "{:.0%}"})

# %%
say(f"{(cohorts['use'] == 'used').sum()} of {len(cohorts)} data sets are eligible. Of another one the library says:")
say(data.refusal(shown, donor_label, min_per_class=plan.min_per_class))

# %%
atlas = data.choose_cohorts(whole, donor_label, min_per_class=plan.min_per_class, where=plan.where)
shown = {"smoke": max(6, 60 // (cohorts["use"] == "used").sum())}.get(profile)  # samples of a class and data set
atlas = data.subsample(atlas, donor_label, per_study=shown, seed=seed)
main = srna.make_task(atlas, donor_label)

# %%
say(f"""
This run takes {len(main.y)} samples of {main.donors.nunique()} *donors* in {main.groups.nunique()} data sets. The class
named on the positive side of every curve is {main.classes[-1]}, with {(main.y == main.classes[-1]).sum()} samples.
""")

# %% [markdown]
# ## One model, one split, one number
#
# Fit a logistic regression on one half of the donors and predict the other half, both ways. The number is the *AUROC*:
# the chance that a sample of the one sex gets a higher score than one of the other; one half is *chance level*. **What
# do you expect?**

# %%
from sklearn.metrics import roc_auc_score

shown = srna.cross_validate(main, "logistic", plan.scheme, n_splits=2, seed=seed, progress=False)
shown = roc_auc_score(shown["y_true"] == main.classes[-1], shown[f"p_{main.classes[-1]}"])
say(f"**AUROC {shown:.3f}** over {len(main.y)} samples, each predicted by a model that never saw its donor.")

# %% [markdown]
# Is that much? Nobody can say yet: where some data sets hold more men than others, a model that recognises the data set
# has a head start without a single sex-linked RNA. Below, that head start is measured and taken off.
#
# ## The paper's experiment: six models, and a linear one
#
# Two kinds of features, and both together; a network, a forest and, because it is what every such table needs, a
# logistic regression. Random folds are what the paper used. They are **optimistic**: other samples of the same study,
# even of the same donor, are in the training data. Beside them, folds that keep studies or donors whole. **By how much,
# do you think, do the two differ?**

# %%
predict = partial(srna.cross_validate, profile=size, seed=seed, n_jobs=n_jobs, cache=f"{out}/cache")
score = partial(srna.score, dataset=info["name"], n_boot=size.n_boot, seed=seed)
score = partial(score, metrics=[*evaluate.RANKING_METRICS, "accuracy", "balanced_accuracy"])

# %%
tasks = data.feature_tasks(atlas, donor_label)
if plan.joined:  # further features of the same samples
    shown = data.without_absent(srna.load(plan.joined))
    shown = data.subsample(shown, donor_label, per_study={"smoke": 30}.get(profile), seed=seed)
    tasks = data.feature_tasks(whole, donor_label, shown)

# %%
shown = [m for m in ("dl_paper", "rf_paper", "logistic") if m in models] or models[:1]
six = pd.concat([predict(tasks[f], shown, m) for m in ("random", plan.scheme) for f in tasks], ignore_index=True)
records = [score(six, unit=plan.unit)]
say(f"{six['sample_id'].nunique()} samples; sRNAs: {', '.join(f'{f} {t.X.shape[1]}' for f, t in tasks.items())}.")

# %%
labels = {"random_5fold": "random folds (optimistic)", "grouped_kfold": "grouped by study"}
labels |= {"patient_kfold": "grouped by donor", "row": "metric", "dataset": "direction"} | evaluate.FIGURES
shown = records[0].assign(model=records[0]["model"] + ", " + records[0]["features"])

# %%
caption = srna.pl.caption(six["sample_id"].nunique(), extra=f"95 % intervals over {evaluate.UNITS[plan.unit]}")
shown = shown[shown["metric"].isin(["accuracy", "balanced_accuracy", "auc"])]
srna.pl.metrics(shown, title=f"Models by feature set, {info['title']}", caption=caption, labels=labels)

# %% [markdown]
# Do both kinds of features together tell more than either? The table answers with paired differences on the same
# samples; p-values are corrected for their number.

# %%
pairs = list(combinations(list(tasks)[::-1], 2))
shown = srna.compare(six, pairs, by="features", metric="auc", unit=plan.unit, seed=seed, n_boot=size.n_boot)
evaluate.pairs_table(shown.replace({"scheme": labels}), by=("scheme", "model", "pair"))

# %%
shown = records[0].query("metric == 'auc'").groupby("features", sort=False)["value"].mean()
shown.rename("mean AUROC over models and splits").to_frame().round(3)

# %% [markdown]
# And beside the paper. Its collection is not public, so compare the pattern and not the decimals.

# %%
roles = dict(zip(tasks, {3: ["sRNA", "contaminant", "both"]}.get(len(tasks), ["sRNA"]), strict=False))
shown = records[0].query("metric == 'accuracy'")
shown = shown.assign(source=shown["scheme"].map(labels), features=shown["features"].map(roles))
shown = evaluate.beside_paper(donor_label, shown, "{model}, {features}").sort_values("quantity")

# %%
caption = "ours in the place of the paper's feature sets: " + ", ".join(f"{roles[m]} = {m}" for m in roles)
srna.pl.paper_comparison(shown, title="Accuracy beside the paper's", caption=caption)

# %% [markdown]
# ## The main experiment
#
# All eligible data sets, folds that keep donors (or studies) whole. Two AUROCs stand side by side. The
# **pooled** one compares samples of different studies, so a model gains from knowing which study has more men. The
# **mean within data sets** compares only samples of the same study: there, knowing the study is worth nothing. **Which
# of the two will be higher, and for which models?**

# %%
predict = partial(predict, atlas=atlas, context=plan.context)
pred = predict(main, [*models, "metadata", "dummy"], plan.scheme)
units = list(dict.fromkeys([plan.unit, "donor_id", "dataset_id"]))[: 1 + 2 * (main.groups.nunique() > 1)]
scores = score(pred, unit=units, per_study=True)
records.append(scores)

# %%
evaluate.scores_table(scores, ["auc_within", "auc", "accuracy", "balanced_accuracy"], labels=labels)

# %%
shown = scores[scores["model"].isin(models) & scores["value"].notna() & (scores["unit"] == plan.unit)]
judged = "auc_within" if (shown["metric"] == "auc_within").any() else "auc"
best = evaluate.best(shown, judged)["model"]

# %%
caption = srna.pl.caption(len(main.y), main.groups.nunique(), evaluate.SCHEMES[plan.scheme])
headline = srna.pl.metrics(
    scores[(scores["model"] != "dummy") & scores["value"].notna()],
    metric=list(dict.fromkeys(["auc", judged, "balanced_accuracy"])),
    title=f"{donor_label.capitalize()} from small RNAs, {info['title']}",
    caption=f"{caption}; 95 % intervals over {evaluate.UNITS[plan.unit]}",
    labels=labels,
).update_yaxes(tickformat=".2f", title_text="")
headline

# %%
say(f"""
**The data set alone.** A model that sees study, tissue, platform and depth but not one sRNA has a pooled AUROC of
{evaluate.find(scores, "metadata", "auc")["value"]:.3f}; only what lies above it is about sRNAs.

Within data sets the same model reaches {evaluate.find(scores, "metadata", "auc_within")["value"]:.3f}.
""")

# %%
say(f"""
The best recipe by {labels[judged]} is `{best}`: {evaluate.find(scores, best, judged)["value"]:.3f}, pooled
{evaluate.find(scores, best, "auc")["value"]:.3f}, correct for {evaluate.find(scores, best)["value"]:.1%}; always naming
the commoner sex is correct for {evaluate.find(scores, "dummy")["value"]:.1%}. (It was chosen by this very number, which
flatters it a little.)
""")

# %% [markdown]
# The mean hides the cohorts. Each row below is one data set, judged on its own samples; it takes five samples of each
# sex to judge one by itself. **Would you expect all of them on the right of the line?**

# %%
chosen = pred[pred["model"].isin([best, *{"logistic"}.intersection(models)])]
shown = score(chosen, unit="donor_id", per_study=True)
records.append(shown)
srna.pl.forest(shown, title="Every data set by itself", caption=f"{caption}; 95 % intervals over donors", labels=labels)

# %% [markdown]
# ## Is it the sRNAs?
#
# Two controls. **Shuffle the labels** among the donors of the same study and tissue and run everything again: what is
# left is what the study gives away, and within data sets it must be at chance level. And **take away the
# sRNAs**: the gain over the model on metadata alone, with an interval, decides whether we call the task predictable.

# %%
times = {"logistic": {"smoke": 2, "demo": 6, "full": 10}[profile], "tissue_input": {"full": 2}.get(profile, 1)}
times = {m: times[m] for m in times if m in models} or {models[0]: 1}
null = partial(evaluate.run_null, main, atlas, within=plan.within, context=plan.context, profile=size, seed=seed)
null = partial(null, n_jobs=n_jobs, cache=f"{out}/cache")
null = pd.concat([null(m, plan.scheme, n_permutations=times[m]) for m in times], ignore_index=True)

# %%
shuffled = evaluate.null_scores(null).dropna(subset="value")
shuffled["row"] = shuffled["model"].str.split(",").str[0] + ": " + shuffled["metric"].map(labels)
shown = {f"{m}: {labels[k]}": evaluate.find(scores, m, k)["value"] for m in times for k in ("auc", "auc_within")}
srna.pl.null_distribution(shuffled, shown, row="row", what="AUROC", title="Shuffled and true labels", caption=caption)

# %%
shuffled = shuffled.groupby("metric")["value"].mean().reindex(["auc", "auc_within"])
say(f"Mean AUROC with shuffled labels: pooled {shuffled['auc']:.3f}.")
say(f"Within data sets: **{shuffled['auc_within']:.3f}**, where one half is chance level.")

# %%
gain = evaluate.judge(
    pred[pred["model"] == best],
    pred[pred["model"] == "metadata"],
    dataset=info["name"],
    metrics=list(dict.fromkeys(["auc", judged])),
    unit=units,
    seed=seed,
    n_boot=size.n_boot,
)
records.append(gain.scores)

# %%
shown = f"What {best} knows beyond the metadata"
srna.pl.gains(gain.gains, row="row", what="gain in AUROC", title=shown, caption=caption, labels=labels)

# %%
shown = gain.gains.loc[gain.gains["ci_low"].fillna(-1).idxmin()]
say(f"The least certain of them: {evaluate.sentence(shown.replace(labels))}")
say(f"**Verdict: {donor_label} is {gain.verdict}** (predictable only where all of these intervals lie above zero).")

# %% [markdown]
# A sign is not a size. The effect in the sentence is Cohen's: the distance between the scores of the two sexes, in
# standard deviations, that the gain adds. And new people of a known cohort are the easy case: what is left in a cohort
# that no model has seen stands further down.

# %% [markdown]
# ## Which model, and does it matter?
#
# Two questions, two tests. *Would other donors or studies change the order of these trained models?* A paired
# bootstrap over them. *Would other training samples?* The t-test over folds with the correction of Nadeau and Bengio,
# because the training sets of folds overlap. The tissue-conditioned models are among the pairs: tissue as an input,
# each tissue for itself, and partial pooling in between.

# %%
pairs = [("dl_paper", "logistic"), ("dl_log", "dl_paper"), ("rf_plain", "rf_paper"), ("tissue_input", "logistic")]
pairs += [("partial_pooling", "tissue_input"), ("partial_pooling", "per_tissue"), ("pooled_kernel", "partial_pooling")]
pairs = [m for m in pairs if set(m) <= set(models)]

# %%
compare = partial(srna.compare, pred, pairs, metric=judged, unit=plan.unit, seed=seed, n_boot=size.n_boot)
shown = compare(test="bootstrap")
evaluate.pairs_table(pd.concat([shown, compare(test="corrected_t")], ignore_index=True))

# %%
say(f"After correction for {len(shown)} pairs, {shown['verdict'].isin(['above', 'below']).sum()} of them differ.")
shown = shown.dropna(subset="difference")
srna.pl.gains(shown, row="pair", what="difference", title="Models in pairs, on the same samples", caption=caption)

# %% [markdown]
# The intervals of the figure are not corrected. Where one crosses zero, choosing between the two recipes is a matter of
# taste.
#
# ## Do the probabilities mean what they say, and when should the model abstain?
#
# A model that says "four in five" should be right four times in five. *Calibration* is fitted on the out-of-fold
# predictions of the *other* folds, with donors kept whole, so no label of a fold touches its own map. Then the model
# may abstain: how right is it about the samples that it is surest of? **Is the dashed line above or below the curve of
# an over-confident model?**

# %%
method = "isotonic" if len(main.y) >= 1000 else "sigmoid"
after = srna.calibrate(chosen, method)
shown = pd.concat([chosen, after], ignore_index=True)
records += [score(after, unit=plan.unit), score(shown, metrics=evaluate.SELECTIVE_METRICS, unit=plan.unit)]

# %%
shown = evaluate.reliability_table(shown, of=main.classes[-1], unit=plan.unit, n_boot=200)
srna.pl.reliability(shown, title=f"Predicted probability of {main.classes[-1]} ({method})", caption=caption)

# %%
shown = evaluate.coverage_curve(after, unit=plan.unit, n_boot=200)
srna.pl.coverage_curve(shown, title="Accuracy of the surest predictions", caption=caption)

# %%
shown = pd.concat([scores[scores["model"].isin(chosen["model"])], *records[-2:]])
evaluate.scores_table(shown[shown["unit"] == plan.unit], ["brier", "accuracy", "accuracy_at:0.5"], labels=labels)

# %% [markdown]
# A smaller Brier score is better. The last column is the accuracy among the surer half.
#
# ## A cohort never seen
#
# Folds by donor ask about new donors of known cohorts. Leave a whole cohort out (*one dataset out*), and the question
# is about a tissue that no model was trained on. Recipes that centre profiles within data sets know no centre for it
# and take the mean of the known ones. **What will be left?**

# %%
unseen = pred[:0]
if main.groups.nunique() > 1:
    unseen = predict(main, [*left_out_models, "metadata"], "one_dataset_out")
records.append(score(unseen, per_study=True))
say(f"{unseen['sample_id'].nunique()} samples of {unseen['dataset_id'].nunique()} data sets were each left out once.")

# %%
shown = pred[pred["sample_id"].isin(unseen["sample_id"]) & pred["model"].isin([*left_out_models, "metadata"])]
shown = pd.concat([score(shown, n_boot=0), records[-1]])
evaluate.scores_table(shown, ["auc_within", "auc"], labels=labels)

# %% [markdown]
# The same samples in both: on the left their cohort was known in training, on the right it was not.
#
# A new cohort could also be centred on its own samples, without one label (`centre="batch"`). Then a prediction depends
# on who else is predicted. Below, each left-out cohort comes as a whole, in fives, one at a time, and with the sexes
# apart. **Where will centring on the batch help, and where will it do worse than chance level?**

# %%
shown = partial(evaluate.run_batches, context=plan.context, profile=size, seed=seed, n_jobs=n_jobs)
company = pred[:0]
if main.groups.nunique() > 1:
    company = srna.make_splits(main, "one_dataset_out", most=size.max_datasets_out, seed=seed)
    company = shown(main, atlas, left_out_models[:2], company, cache=f"{out}/cache")
records.append(score(company, n_boot=0))
evaluate.scores_table(records[-1], ["auc_within"], labels=labels)

# %% [markdown]
# The hardest company is a cohort of one sex: its mean is that of the sex. The cohorts that were excluded above for
# that reason are predicted here by models of all others. One AUROC over all of them asks whether women of one cohort
# are told from men of another.

# %%
shown = partial(evaluate.run_single_class, context=plan.context, profile=size, seed=seed, n_jobs=n_jobs)
shown = shown(data.select(whole, plan.where), atlas, donor_label, left_out_models[:2], cache=f"{out}/cache")
records.append(score(shown, unit="donor_id"))
company = pd.concat([company, shown], ignore_index=True)
evaluate.scores_table(records[-1], ["auc"], labels=labels)

# %% [markdown]
# ## Tumour against normal
#
# Is the sex of healthy tissue easier to see than that of a tumour, which rewrites its miRNAs and sometimes loses its Y
# chromosome? Same predictions, looked at apart.

# %%
shown = atlas.obs.get("tumour_normal", pd.Series(dtype=object)).astype(str)
shown = chosen.groupby(chosen["sample_id"].map(shown))
shown = [score(rows, unit="donor_id").assign(kind=f", {m} samples") for m, rows in shown]
shown = pd.concat([scores[:0].assign(kind=""), *shown])
records.append(shown.assign(metric=shown["metric"] + shown["kind"])[scores.columns])

# %%
shown = records[-1][records[-1]["metric"].str.startswith("auc") & records[-1]["value"].notna()]
srna.explore.readable(shown[["model", "metric", "value", "ci_low", "ci_high", "n_samples", "n_datasets"]].round(3))

# %% [markdown]
# ## External validation
#
# The hardest test: other donors, other laboratory, other library protocol. Both collections are brought to the same
# features first (mature miRNAs are summed into stem-loops where one side counts stem-loops), and nothing is fitted on
# the side that is predicted. **Which direction would you expect to be easier, from many tissues to one or back?**

# %%
external = {"auto": plan.external, "none": ""}.get(external, external)
predict = partial(evaluate.run_external, context=plan.context[:1], profile=size, seed=seed)
ext, shown, alike = pred[:0], scores[:0], []
if external:
    other = data.choose_cohorts(srna.load(external), donor_label)
    other = data.subsample(other, donor_label, per_study={"smoke": 40}.get(profile), seed=seed)
    alike = plan.alike or data.design(other, donor_label).alike
    other, shown = evaluate.stack(atlas, other)
    external = evaluate.both_ways(other, info["name"], external, alike)
    ext = predict(other, donor_label, left_out_models, external, n_jobs=n_jobs, cache=f"{out}/cache")
srna.explore.readable(shown)

# %%
shown = ext[ext["dataset_id"].isin(alike)]
shown = pd.concat([ext, shown.assign(fold=shown["fold"] + ", " + " + ".join(alike) + " alone")])
shown = [score(rows, unit="donor_id", dataset=m) for m, rows in shown.groupby("fold", sort=False)]
records.append(pd.concat([scores[:0], *shown], ignore_index=True))

# %%
caption = srna.pl.caption(ext["sample_id"].nunique(), scheme="external", extra="95 % intervals over donors")
shown = records[-1][records[-1]["metric"].isin(["auc", "accuracy"])]
srna.pl.metrics(shown, x="dataset", color="model", title="External validation", caption=caption, labels=labels)

# %% [markdown]
# ## Which sRNAs, and on which chromosome?
#
# The weights of the linear model, per standard deviation, over the folds. Genes on the sex chromosomes are the first
# suspects: women have two copies of X, though most of one is silenced, and men alone have a Y. **How many of the top
# ten would you expect to be sex-linked?**

# %%
shown = srna.make_splits(main, plan.scheme, n_splits=size.n_splits, seed=seed)
weights = partial(srna.explain.fold_weights, main, atlas, "tissue_input", shown, profile=size, seed=seed)
weights = weights(context=plan.context)

# %%
if info.get("truth") is not None:  # of a simulation
    shown = info["truth"].query("task == @donor_label")
    weights["simulated ground truth"] = weights["srna"].isin(shown["srna"])
srna.explore.readable(weights.head(10).round(3))

# %%
caption = srna.pl.caption(len(main.y), scheme=evaluate.SCHEMES[plan.scheme], extra="bars: range over folds")
shown = (main.classes[0], main.classes[-1])
srna.pl.weights(weights, classes=shown, title="The largest weights of tissue_input", caption=caption)

# %%
shown = srna.explain.sex_linked_enrichment(weights)
srna.explore.readable(shown.round(3))

# %%
shown = shown.reindex([len(shown) // 2]).iloc[0]
say(f"""
Among the {shown["top"]:.0f} largest weights {shown["linked"]:.0f} are sex-linked, {shown["expected"]:.1f} would be by
chance (hypergeometric p = {shown["p_value"]:.2g}; clustered miRNAs make it look smaller than it is).
""")

# %% [markdown]
# ## The lesson

# %%
say(f"""
**{info["lesson"]}.** From small RNAs in this collection {donor_label} is **{gain.words}**. `{best}` reaches a pooled
AUROC of {evaluate.find(scores, best, "auc")["value"]:.3f};
{evaluate.find(scores, "metadata", "auc")["value"]:.3f} is there without a single sRNA, so their gain is
{gain.gains["difference"].iloc[0]:+.3f}. **Ask of every number what the study alone would score, and look within studies
before you believe the rest.**
""")

# %%
shown = pd.concat([scores, *records]).query("metric == 'auc_within' and study.isna()").dropna(subset="value")
shown = shown.drop_duplicates(["scheme", "model"]).set_index(["scheme", "model"])["value"]
say(f"""
Within data sets: known ones {shown.get((plan.scheme, left_out_models[0]), float("nan")):.3f}, never seen
{shown.get(("one_dataset_out", left_out_models[0]), float("nan")):.3f} (`{left_out_models[0]}`, AUROC).
""")

# %%
everything = pd.concat([six, pred, null, after, unseen, company, ext], ignore_index=True)
say(f"Results keep {len(everything)} out-of-fold predictions.")

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are; the last two hold where the truth is known.

# %% tags=["checks"]
assert (everything.filter(regex="^p_").sum(axis=1) - 1).abs().max() < 1e-5, "probabilities of a sample sum to 1"
shown = everything[everything["scheme"].isin([plan.scheme, "one_dataset_out"])].fillna({"permutation": -1})
shown = shown.groupby(["features", "model", "scheme", "permutation", "donor_id"])["fold"].nunique()
assert (shown == 1).all(), "no donor is in two folds"
assert (unseen.groupby(["model", "dataset_id"])["fold"].nunique() == 1).all(), "no data set is in two folds"
assert set(pred["dataset_id"]) <= set(cohorts.loc[cohorts["use"] == "used", "data set"]), "only eligible data sets"
assert not pred.duplicated(["model", "sample_id"]).any(), "every sample is predicted once by each model"
shown = scores[scores["metric"] == "accuracy"].dropna(subset="ci_low")
assert shown["value"].between(shown["ci_low"] - 1e-9, shown["ci_high"] + 1e-9).all()
shown = records[0].query("metric == 'auc'").groupby("features")["value"].mean()
if profile != "smoke" and (dataset, donor_label) == ("demo", "sex"):
    assert shown.idxmax() == "both" and abs(shuffled["auc_within"] - 0.5) < 0.03

# %%
numbers = {
    "samples, people, data sets": f"{len(main.y)}, {main.donors.nunique()}, {main.groups.nunique()}",
    "verdict": f"{donor_label}: {gain.words}",
    f"best recipe, {labels[judged]}": f"{best} {evaluate.find(scores, best, judged)['value']:.3f}",
    "its AUROC, pooled": f"{evaluate.find(scores, best, 'auc')['value']:.3f}",
    "without a single sRNA": f"{evaluate.find(scores, 'metadata', 'auc')['value']:.3f}",
}

# %%
close(
    out,
    "03_sex",
    title="Male or female: what do the small RNAs know, and what does the study know for them?",
    info=info,
    records=records,
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "donor_label": donor_label, "min_per_class": plan.min_per_class},
    predictions=everything,
)

# %% [markdown]
# ## Limits
#
# * A recorded sex can be wrong. A model that contradicts it with confidence may be right (exercise 1).
# * Shuffled labels show what the study gives away through the columns named here. A covariate that nobody recorded,
#   such as the age of the donors, is in none of the controls.
# * The best recipe was chosen by the number that is then reported.
# * sRNAs next to each other on a chromosome are expressed together: the p-value of the enrichment is too small.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Samples whose recorded sex the best model contradicts with confidence may be mislabelled. Guess how many of the
# ten strongest contradictions another model shares, then list them.

# %% tags=["answer"]

# %% tags=["solution"]
shown = pred.assign(p_true=[m[f"p_{m['y_true']}"] for m in pred.to_dict("records")])
shown = shown.pivot(index="sample_id", columns="model", values="p_true")
shown.nsmallest(10, best)[[m for m in dict.fromkeys([best, *models]) if m in ("logistic", "rf_paper", best)]].round(2)

# %% [markdown] tags=["exercise"]
# **2.** In which data set is the gap between the pooled and the inner question largest? A model that knows the study
# gets the mean predicted probability of each data set right. Guess whether the best one does, then compare it with the
# true share.

# %% tags=["answer"]

# %% tags=["solution"]
shown = pred[pred["model"] == best].assign(true=lambda t: (t["y_true"] == main.classes[-1]).astype(float))
shown.groupby("dataset_id")[[f"p_{main.classes[-1]}", "true"]].mean().round(3)

# %% [markdown] tags=["exercise"]
# **3.** How good is a model that sees the data set and nothing else? Guess its pooled AUROC and the one within data
# sets; then predict every sample by the share of its data set and score that.

# %% tags=["answer"]

# %% tags=["solution"]
shown = (main.y == main.classes[-1]).groupby(main.groups).transform("mean")
say(f"Pooled {roc_auc_score(main.y == main.classes[-1], shown):.3f}; within data sets all get one score: chance level.")

# %% [markdown]
# ## What to try next
#
# * Another label of donors with two classes, in an atlas of your own: set `donor_label` to its column.
# * One model only: `srna run 03 -p models=logistic` takes a fraction of the time.
# * A stricter table: `-p min_per_class=100` keeps the cohorts that can judge themselves best.
# * Notebook 04 asks the same questions about age.
#
# ## Glossary
#
# * **AUROC**: area under the receiver operating characteristic: the chance that a sample of one class
#   gets a higher score than one of the other. **Pooled** over all pairs of samples, or **within** data sets.
# * **Brier score**: mean squared error of the predicted probabilities; a quarter is chance level.
# * **calibration**: a map from predicted to observed probabilities.
# * **chance level**: what a model without any information scores; one half for the AUROC.
# * **covariates**: what is known of a sample beside its sRNAs: study, tissue, platform, depth.
# * **donor**: the person that a sample is from; all samples of a donor stay on one side of a split.
# * **external validation**: in samples of another collection, nothing of which was used in training.
# * **one dataset out**: each data set in turn is predicted by a model that never saw it (leave-one-study-out).
#
# ## References
#
# * Fiosina, Fiosins and Bonn (2020), Explainable deep learning for augmentation of small RNA expression profiles,
#   Journal of Computational Biology 27:234-247.
# * Hanley and McNeil (1982), The meaning and use of the area under a receiver operating characteristic curve,
#   Radiology 143:29-36.
# * Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52:239-281.
# * Platt (1999), Probabilistic outputs for support vector machines, in Advances in Large Margin Classifiers.
