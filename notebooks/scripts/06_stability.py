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
# # How firm is a prediction, and does firmness tell which ones are wrong?
#
# **You will learn** how many small RNAs must be silenced before a network changes its mind; which classes lie close to
# each other in its eyes; whether the order matters in which sRNAs are silenced; and whether a prediction that flips
# soon is more often wrong. The experiment is the last one of Fiosina, Fiosins and Bonn (2020): order the sRNAs of a
# sample by how much they argue for its own class k against another class k' (DeepLIFT), take them away one by one, and
# count the steps until the prediction is k' (*similarity*) or anything but k (*stability*). Every step is computed.
#
# **Reads** a named data set (`dataset`). **Writes** `results/06_stability.json` (every figure with its interval),
# `results/06_stability.parquet` (steps of every sample) and a card, below `out`. **Takes** seconds in profile `smoke`,
# a minute or two in `demo`, under ten minutes in `full` on two cores; finished folds are kept in `out/cache`.

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
order: str = "deeplift"  # what goes first: deeplift (the paper), forest (importance) or random
recompute_every: int = 0  # order the rest anew after so many steps; 0: never (the paper)
refits: int = 3  # models per sample and source of change, in the section on other models

# %%
import pandas as pd
from IPython.display import display

from srna_lib import data, plots
from srna_lib.data import make_task, subsample
from srna_lib.evaluate import fit_fold, get_profile, make_splits
from srna_lib.models import recipe
from srna_lib.report import open_dataset, say, write_card, write_results
from srna_lib.stability import (
    ORDERS,
    SCORES,
    SOURCES,
    STEPS,
    accuracy_at_coverage,
    auroc_table,
    by_firmness,
    change_table,
    class_order,
    class_table,
    combination,
    cross_flips,
    examples,
    firmness,
    flip_curve,
    flip_records,
    forest_importance,
    gain_of_kept,
    order_table,
    paper_steps,
    prediction_changes,
    readable,
    refit_predictions,
    share_left,
    steps_to_flip,
)

# %%
plots.setup()
size = get_profile(profile)
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
per_study = size.per_study or (12 if profile == "demo" else None)  # paths are many: a dozen samples of a study will do
if per_study:
    atlas = subsample(atlas, label, per_study=per_study, seed=seed)
task = make_task(atlas, label, min_class_size=min_class_size, features=features)
small = size.changes.get(network, {})  # to be done in minutes
model = recipe(network, seed=seed, **small)
say(
    f"{len(task.y)} samples of {task.groups.nunique()} studies in {len(task.classes)} classes, {task.X.shape[1]} sRNAs;"
    f" recipe `{network}`{f', made smaller: {small}' if small else ''}; silencing: {masking}."
)

# %% [markdown]
# ## Silence every sample, towards every other class
#
# Models fitted on the other folds judge the samples of a fold: none judges a sample that it was trained on. A step
# silences one sRNA that is expressed in the sample (silencing an sRNA without a read changes nothing and is no step).
# Three orders walk the same paths: what the network itself says matters (DeepLIFT), what a forest finds important in
# general, and chance. In the orders other than the chosen one, some samples of each fold walk.

# %%
forest = recipe("rf_paper", seed=seed, **size.changes.get("rf_paper", {}))
walking = {"masking": masking, "recompute_every": recompute_every or None}
jobs = 1 if profile == "smoke" else n_jobs  # starting a process takes longer than a small fold
running = {"seed": seed, "forest": forest, "n_jobs": jobs, "cache": f"{out}/cache", "name": network}
random_folds = make_splits(task, "random_5fold", n_splits=size.n_splits, seed=seed)
all_orders = list(dict.fromkeys([order, *ORDERS]))
controls = {"smoke": 20, "demo": 20, "full": 100}[profile]  # samples per fold that also walk in the other two orders
beside = {"scheme": "random_5fold", "orders": all_orders, "controls": controls}
walked = cross_flips(task, model, random_folds, **beside, **walking, **running)

# %%
flips = walked[walked["order"] == order]
firm = firmness(flips).sort_values(["steps", "sample_id"])
apart = firm.groupby("y_true")["wrong"].agg(n_samples="size", wrong="sum", share="mean").reset_index()
display(apart.style.hide().format(precision=2))
n_right, n_wrong = int((apart["n_samples"] - apart["wrong"]).sum()), int(apart["wrong"].sum())
right = flips[flips["y_true"] == flips["y_pred"]]
say(
    f"{n_wrong} of {len(task.y)} samples are predicted wrongly from the start: held to their true class they need zero"
    f" steps, and they are left out of every mean below. The other {n_right} walk {len(right)} paths, one to each other"
    f" class. An average sample expresses {right['n_active'].mean():.0f} of the sRNAs that the network sees."
)

# %% [markdown]
# ## One prediction, step by step
#
# Three samples of the first fold: a firm call, a weak one, and one that is wrong. The line marks the step at which the
# prediction flips; the sRNA that tips it stands above. Hover to read which sRNA goes at which step.

# %%
first = random_folds[0]
fitted = fit_fold(task, model, first.train)
background = task.X.iloc[first.train]
ranking = forest_importance(task, first, forest) if order == "forest" else order
chosen = examples(firm[firm["fold"] == first.fold])
curves = {}
for row in chosen.itertuples():
    panel = f"{row.sample_id}: {row.y_pred} ({'wrong' if row.wrong else 'right'})"
    path = {"order": ranking, "masking": masking, "background": background, "seed": seed}
    curves[panel] = flip_curve(fitted, task.X, row.sample_id, row.other, **path)

# %%
plots.flip_curves(
    curves,
    classes=task.classes,
    title="Probability of each class while sRNAs are silenced",
    caption=f"{len(chosen)} samples of one random fold, along the path that flips soonest; order: {ORDERS[order]}",
)

# %%
for row in chosen.itertuples():
    truth = f"wrongly (it is {row.y_true})" if row.wrong else "rightly"
    flip = (
        f"flips to {row.became} after {row.steps:.0f} of {row.n_active} sRNAs, with {row.reads:.1%} of its reads gone"
    )
    end = "no number of silenced sRNAs changes that" if row.censored else f"it {flip}; `{row.srna}` tips it"
    say(f"`{row.sample_id}` is called {row.y_pred}, {truth}; {end}.")

# %% [markdown]
# ## Which classes are close?
#
# Rows are the own class, columns the class that a sample is pushed towards; few steps (dark) mean close. The matrix
# need not be symmetric. Brackets: more than half of the paths never get there, and the mean is of those that do. A
# cross: none gets there. Classes of one branch of the hierarchy stand together where the atlas has one; otherwise those
# that flip into each other soon.

# %%
counting = {"n_boot": size.n_boot, "seed": seed}
similarity = class_table(flips, "similarity", **counting)
stability = class_table(flips, "stability", **counting)
classes = class_order(similarity, atlas.obs, label)
caption = plots.caption(n_right, task.groups.nunique(), "random folds", extra=f"order {order}, masking {masking}")
similar = "Similarity: steps until the prediction is the other class"
display(plots.flip_matrix(similarity, classes=classes, title=similar, caption=caption))
own = "Stability: steps until the prediction is anything but its own class"
headline = plots.flip_matrix(stability, classes=classes, title=own, caption=caption)
headline

# %%
often = similarity[similarity["censored"] < 0.5].sort_values("mean")
if len(often):
    near, far = often.iloc[0], often.iloc[-1]
    say(
        f"Closest of the pairs that most paths reach: {near['own']} to {near['other']}, {near['mean']:.1f} steps"
        f" [{near['mean_low']:.1f}, {near['mean_high']:.1f}]; farthest: {far['own']} to {far['other']},"
        f" {far['mean']:.1f} [{far['mean_low']:.1f}, {far['mean_high']:.1f}]."
    )
paths = right[["similarity", "stability"]].isna().mean()
say(
    f"{paths['similarity']:.0%} of the paths never reach the class that they lead to (they flip to a third one, or to"
    f" none at all); {paths['stability']:.1%} never leave their own class."
)

# %% [markdown]
# Samples of different depth express different numbers of sRNAs. As a share of the expressed sRNAs, and of the reads
# taken away, classes compare. Steps are those of each sample's shortest path.

# %%
per_class = class_table(flips, "stability", shortest=True, **counting)
shown = readable(per_class, "mean").drop(columns=["task", "order", "n_datasets"])
display(shown.style.hide().format(precision=3, na_rep="–"))
deep = per_class.sort_values("share")
say(
    f"Least of its expressed sRNAs must go for {deep.iloc[0]['own']} ({deep.iloc[0]['share']:.1%}), most for"
    f" {deep.iloc[-1]['own']} ({deep.iloc[-1]['share']:.1%})."
)

# %% [markdown]
# ## Does the order matter?
#
# If DeepLIFT names what the network relies on, its order must flip predictions long before a random one. A forest's
# importance is a list for all samples alike: good sRNAs, but not this sample's reasons.

# %%
compared = order_table(walked, "stability", **counting)
shown = readable(compared, "mean", "ratio").drop(columns=["n_samples", "n_datasets"])
display(shown.style.hide().format(precision=3, na_rep="–"))
plots.unflipped(
    share_left(walked),
    title="Paths that have not flipped, by order of silencing",
    caption=f"{compared['n_paths'].iloc[0]} paths (samples that walked in all orders), random folds, masking {masking}",
)

# %%
ratio = compared.set_index("order")
for name in ("deeplift", "forest"):
    r = ratio.loc[name]
    say(
        f"`{name}` needs {r['ratio']:.3f} [{r['ratio_low']:.3f}, {r['ratio_high']:.3f}] of the steps of a random order,"
        f" on the {r['paired']:.0f} paths that flip in both; over all paths, those that never flip counted to their"
        f" end, {r['ratio_all']:.3f}."
    )
met = ratio.loc["deeplift", "ratio"] <= 1 / 3
say(f"DeepLIFT's order flips in {'at most' if met else 'more than'} a third of the steps that chance needs.")

# %% [markdown]
# The paper orders the sRNAs once, before the first is silenced. As they go, the network moves to other units, and the
# order grows stale. Ordered anew on the way (here for a few samples of one fold), do predictions flip sooner, and do
# more paths reach the class that they lead to?

# %%
some = task.X.iloc[first.test[: 60 if profile == "full" else 15]]
fresh = recompute_every or 25
for every in (None, fresh):
    f = steps_to_flip(fitted, some, masking=masking, background=background, recompute_every=every)
    when = "ordered once" if every is None else f"ordered anew every {every} steps"
    say(
        f"{len(some)} samples, {when}: stability {f['leaves'].mean():.1f} steps, similarity"
        f" {f['steps'].mean():.1f} steps; {f['censored'].mean():.0%} of the paths never reach k'."
    )

# %% [markdown]
# ## The most and the least firm samples
#
# A sample's score is the smallest number of steps over the paths to all other classes: its weakest side. Who stands at
# the ends? Wrong calls are in the table too, held to what they are called.

# %%
ends = pd.concat({"least firm": firm.head(6), "most firm": firm.tail(6)}, names=["end"]).reset_index("end")
columns = ["end", "sample_id", "dataset_id", "y_true", "y_pred", "steps", "share", "reads", "became", "srna", "p_max"]
ends[columns].style.hide().format(precision=3, na_rep="–")

# %%
plots.steps_by_class(
    firm,
    title="Steps to flip, per predicted class",
    caption=plots.caption(len(firm), task.groups.nunique(), "random folds", extra=f"order {order}, masking {masking}"),
)

# %% [markdown]
# ## What is the score good for?
#
# The question that matters is asked in studies never seen, where many calls are wrong: leave out each study in turn,
# and ask whether the calls that flip soon are the wrong ones. The area under the ROC curve says it in one figure,
# beside the scores that cost nothing: maximum probability, margin, entropy.

# %%
studies_out = make_splits(task, "one_dataset_out", most=size.max_datasets_out, seed=seed)
unseen_flips = cross_flips(task, model, studies_out, scheme="one_dataset_out", orders=[order], **walking, **running)
unseen = firmness(unseen_flips)
worth = auroc_table(unseen, **counting)
worth_seen = auroc_table(firm, **counting)
unseen_caption = plots.caption(len(unseen), unseen["dataset_id"].nunique(), "one dataset out")
plots.error_detection(
    worth,
    title="Which score tells the wrong calls in studies never seen?",
    caption=f"{unseen_caption}; {unseen['wrong'].sum()} wrong calls; 95 % intervals: bootstrap over studies",
)

# %%
trials = ["p_max", "steps", "share", "reads"]
plots.coverage_curve(
    accuracy_at_coverage(unseen, trials),
    "name",
    title="Accuracy when only the firmest calls are kept",
    caption=unseen_caption,
)

# %%
part = 0.3
gained = gain_of_kept(unseen, coverage=part, **counting)
firmest = unseen.nlargest(max(round(part * len(unseen)), 1), "steps")["y_pred"].value_counts(normalize=True)
say(
    f"Of the firmest {part:.0%} of the calls, {gained['score']:.1%} are right by steps and {gained['against']:.1%} by"
    f" maximum probability: a difference of {gained['difference']:+.3f} [{gained['difference_low']:+.3f},"
    f" {gained['difference_high']:+.3f}]. Classes differ in firmness: {firmest.iloc[0]:.0%} of the firmest calls by"
    f" steps are {firmest.index[0]}, which are {(unseen['y_pred'] == firmest.index[0]).mean():.0%} of all calls."
)

# %% [markdown]
# Does firmness know something that the probabilities do not? A logistic model of wrong calls is fitted twice, with and
# without the steps, always judged on studies that it was not fitted on.

# %%
added = combination(unseen, **counting)
area = worth.set_index("score")["auroc"]
best_step = area[list(STEPS)].idxmax()
words = {
    "adds": "**Firmness adds to confidence**",
    "takes away": "**Firmness adds nothing: the combination is worse**",
    "adds nothing that can be told from chance": "**Firmness adds nothing to confidence that can be told from chance**",
    "cannot be judged": "**Whether firmness adds anything cannot be judged here** (too few wrong calls or studies)",
}
gain = f"{added['difference']:+.3f} [{added['difference_low']:+.3f}, {added['difference_high']:+.3f}]"

# %%
say(
    f"In studies never seen, steps to flip tell wrong calls with an area of {area['steps']:.3f} (best form:"
    f" {SCORES[best_step][0]}, {area[best_step]:.3f}), maximum probability with {area['p_max']:.3f}, entropy"
    f" with {area['entropy']:.3f}. {words[added['verdict']]}: all confidence scores together {added['base']:.3f}, with"
    f" steps {added['both']:.3f}, difference {gain}."
)

# %% [markdown]
# ## Would another model say the same?
#
# A firm sample is one thing, a firm model another. Make the model again with another seed, with studies dealt to folds
# anew, or with training studies drawn with replacement: how often do two models disagree on a sample whose study
# neither has seen? And are the samples that flip soon those on which models disagree?

# %%
remaking = {
    "refits": refits if profile == "full" else 2,
    "n_splits": 3,
    "changes": small,
    "n_jobs": jobs,
    "cache": f"{out}/cache",
    "seed": seed,
}
changes = prediction_changes(refit_predictions(task, network, **remaking))
changed = change_table(changes, unseen, **counting)
shown = readable(changed.rename(columns={"ci_low": "changed_low", "ci_high": "changed_high"}), "changed", "rho")
shown.assign(what=shown["source"].map(SOURCES)).style.hide().format(precision=3, na_rep="–")

# %%
quarters = by_firmness(changes, unseen, **counting)
plots.metrics(
    quarters,
    x="quarter",
    color="source",
    metric="changed",
    title="How often two models disagree on samples that flip soon and on firm ones",
    caption=f"{unseen_caption}; share of pairs of models that disagree, by quarter of steps to flip",
    labels={"changed": "changed calls", "quarter": "steps to flip"},
)

# %%
for source, row in changed.set_index("source").iterrows():
    bounds = f"[{row['ci_low']:.1%}, {row['ci_high']:.1%}]"
    rho = f"{row['rho']:.2f} [{row['rho_low']:.2f}, {row['rho_high']:.2f}]"
    say(
        f"{SOURCES[source].capitalize()}: two models disagree on {row['changed']:.1%} {bounds} of the"
        f" samples, and {row['ever']:.1%} of the samples change at least once. Rank correlation of steps to flip with"
        f" disagreement: {rho}."
    )

# %% [markdown]
# ## Sex and age, beside the paper
#
# The paper counts steps for sex and for two age intervals (its Table 5): mean steps until the prediction is the other
# one. Here the same on the samples of this atlas that have them, both feature sets together, random folds. Numbers of
# sRNAs differ between collections, so compare the pattern: which direction is longer?

# %%
two = {"sex": "sex", "age_2": "age_years"}
wanted = [what for what, column in two.items() if column in atlas.obs and atlas.obs[column].notna().any()]
atlas = data.with_label(atlas, "age_2") if "age_2" in wanted else atlas
people_flips, folding = {}, {"n_splits": size.n_splits, "seed": seed}
for what in wanted:
    persons = make_task(atlas, what, min_class_size=5, features="both")
    parts = make_splits(persons, "random_5fold", **folding)
    people_flips[what] = cross_flips(persons, model, parts, **beside, **walking, **running)

# %%
if wanted:
    table5 = class_table(pd.concat(people_flips.values(), ignore_index=True), "similarity", **counting)
    main = table5[table5["order"] == order]
    paper = pd.concat([paper_steps(w) for w in wanted]).assign(source="paper")
    columns = {"mean": "value", "mean_low": "ci_low", "mean_high": "ci_high"}
    both = pd.concat([paper, main.assign(source="ours")]).rename(columns=columns)
    both["quantity"] = both["task"] + ": " + both["own"] + " to " + both["other"]
    about = "; ".join(f"{w}: {f['sample_id'].nunique()} samples" for w, f in people_flips.items())
    title5 = "Mean steps to the other class, beside the paper's Table 5"
    display(plots.paper_comparison(both, title=title5, caption=f"{about}; ours with 95 % intervals over studies"))

# %%
if wanted:
    columns = ["task", "own", "other", "order", "n_samples", "mean", "median", "censored", "share", "reads"]
    display(readable(table5, "mean")[columns].style.hide().format(precision=3, na_rep="–"))
    for what, part in people_flips.items():
        wrong = firmness(part[part["order"] == order])["wrong"]
        say(f"{what}: {wrong.sum()} of {len(wrong)} are wrong from the start and left out.")
else:
    say(f"{info['title']} holds neither sex nor age of its samples; nothing to compare.")

# %% [markdown]
# ## The lesson

# %%
say(
    f"**Take-home.** In the order `{order}` the average path flips after {ratio.loc[order, 'mean']:.1f} of"
    f" {right['n_active'].mean():.0f} expressed sRNAs; DeepLIFT's order needs {ratio.loc['deeplift', 'ratio']:.3f} of"
    f" the steps of a random one. As a warning of wrong calls in studies never seen the count reaches"
    f" {area['steps']:.3f}, maximum probability {area['p_max']:.3f}. {words[added['verdict']]}."
)

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are. A figure that breaks one of these is a bug, not a finding.

# %% tags=["checks"]
late = float("inf")
assert (walked["stability"].fillna(late) <= walked["similarity"].fillna(late)).all(), "reaching k' means leaving k"
assert (walked[["stability", "similarity"]].max(axis=1).fillna(0) <= walked["looked"]).all()
assert (walked["stability"].dropna() >= 1).all(), "held to its prediction, nothing flips at once"
assert not walked.duplicated(["order", "sample_id", "other"]).any()
assert set(flips["sample_id"]) == set(task.X.index), "every sample was judged once"
assert not set(unseen["sample_id"]) - set(task.X.index)
for panel, curve in curves.items():
    assert abs(curve.filter(regex="^p_").sum(axis=1) - 1).max() < 1e-6, panel
if profile != "smoke" and order == "deeplift":
    assert ratio.loc["deeplift", "ratio"] < 1, "what the network relies on flips sooner than chance"
    assert met or info["name"] not in ("demo", "mirome"), "on the two atlases of this page in a third of the steps"

# %%
head = {"task": label, "dataset": info["name"], "model": network, "features": features, "seed": seed}
seen = {"similarity": similarity, "stability": stability, "orders": compared, "scores": worth_seen}
records = flip_records(seen, **head, scheme="random_5fold")
records += flip_records({"scores": worth, "combination": pd.DataFrame([added])}, **head, scheme="one_dataset_out")
records += flip_records({"changes": changed}, **head, scheme="grouped_kfold")
for what in wanted:
    about = {**head, "task": what, "features": "both", "scheme": "random_5fold"}
    records += flip_records({"similarity": main[main["task"] == what]}, **about)
tables = [walked, unseen_flips, *people_flips.values()]
write_results(out, "06_stability", records, pd.concat(tables, ignore_index=True))

# %%
numbers = {
    "mean steps to flip, DeepLIFT / forest / random": " / ".join(f"{ratio.loc[o, 'mean']:.1f}" for o in ORDERS),
    "AUROC for wrong calls, studies never seen": f"steps {area['steps']:.3f}, maximum probability {area['p_max']:.3f}",
    "firmness on top of confidence": f"{added['verdict']} ({gain})",
    "calls changed by another seed / folds / studies": " / ".join(f"{c:.1%}" for c in changed["changed"]),
}
run = {"dataset": dataset, "profile": profile, "seed": seed, "label": label, "masking": masking, "order": order}
run |= {"network": network, "features": features, "recompute_every": recompute_every, "refits": refits}
question = "How firm is a prediction, and does firmness tell which ones are wrong?"
write_card(out, "06_stability", title=question, key_numbers=numbers, figure=headline, atlas_info=info, parameters=run)

# %% [markdown]
# ## What to try next
#
# - Another way to silence: `srna run 06 -p masking=renormalised` lets the other sRNAs rise as the reads leave.
# - Orders that follow the network: `srna run 06 -p recompute_every=5`.
# - Sex and age on real samples: `srna run 06 --dataset tcga -p label=sex`.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Which sRNAs tip predictions most often, and do they tip them to the same class?

# %% tags=["solution"]
tipping = firm[~firm["censored"]].groupby("srna").agg(samples=("srna", "size"), classes=("became", "nunique"))
tipping.sort_values("samples", ascending=False).head(10)

# %% [markdown] tags=["exercise"]
# **2.** Is a deep library firmer? Compare the number of expressed sRNAs with the steps, within the right calls.

# %% tags=["solution"]
right_calls = firm[~firm["wrong"]]
right_calls[["n_active", "steps", "share", "reads"]].corr("spearman").round(2)
