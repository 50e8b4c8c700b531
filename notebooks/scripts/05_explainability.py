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
# # Why did the network say that, and can the explanation be believed?
#
# **You will learn** to read which small RNAs speak for and against a class, in one sample and in a whole class; why the
# answer depends on what a sample is compared with; and how to test an explanation instead of admiring it. Method
# (DeepLIFT) and class scores (D1) are those of Fiosina, Fiosins and Bonn (2020).
#
# **Reads** a named data set (`dataset`). **Writes** `results/05_explainability.json` (every figure) and a card below
# `out`. **Takes** seconds in profile `smoke`, a minute in `demo`, minutes in `full` on two cores.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated, true biomarkers known) or mirome (real)
profile: str = "demo"  # smoke (few samples and small networks, for tests), demo, full
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # networks trained at a time
label: str = "tissue_group"  # what is explained: tissue_group, tissue, sex, age_2, age_3, age_4 or any column
min_class_size: int = 15  # classes with fewer samples are left out
n_seeds: int = 10  # networks that differ in nothing but their seed
top_k: int = 20  # length of the lists that are compared

# %%
import numpy as np
import pandas as pd
from IPython.display import display

from srna_lib import data, explain, models, plots, report
from srna_lib.evaluate import get_profile, make_splits
from srna_lib.explain import COLLECTIONS, load_sets
from srna_lib.report import open_dataset, say
from srna_lib.stability import fit_folds, fit_seeds

# isort: split

# %%
plots.setup()
size, smoke = get_profile(profile), profile == "smoke"
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
if size.per_study:
    atlas = data.subsample(atlas, label, per_study=size.per_study, seed=seed)
task = data.make_task(atlas, label, min_class_size=min_class_size)
small = {"classifier__hidden": (64, 32), "classifier__dropout": (0.2, 0.2), "classifier__batch_size": 32}
quick = size.changes.get("dl_log", {}) if profile == "demo" else {}
changes, runs = (small, min(n_seeds, 3)) if smoke else (quick, n_seeds)
train = {"n_jobs": n_jobs if profile == "full" else 1, **changes}  # a second process pays for long fits only

# %% [markdown]
# ## The networks
#
# Recipe `dl_log`: the paper's layers on log2 CPM, z-scores, small classes weighted up, every sRNA that at least a
# tenth of the samples have. It is trained several times on all samples, each time with another seed, and once per
# fold of studies, so that there are predictions for studies that a network has never seen.

# %%
networks = fit_seeds(task, "dl_log", range(seed, seed + runs), **train)
network = networks[seed]
splits = make_splits(task, "grouped_kfold", n_splits=3 if smoke else 5, seed=seed)
folds = fit_folds(task, "dl_log", splits, seed=seed, **train)
unseen = explain.held_out(task, folds, splits)
n_samples, n_studies = len(task.y), task.groups.nunique()
say(
    f"{n_samples} samples of {n_studies} studies in {len(task.classes)} classes of `{label}`; the network"
    f" sees {len(network[:-1].get_feature_names_out())} of {task.X.shape[1]} sRNAs. {runs} networks differ in their"
    f" seed; in studies that a network never saw, {unseen.table['right'].mean():.1%} of the samples are called right."
)

# %% [markdown]
# ## One sample: what speaks for each class?
#
# A contribution is what an sRNA adds to, or takes from, a class's logit (the output before the softmax), because it
# differs from the reference: here the mean of the training samples. All contributions of a sample to a class sum to
# the difference between its logit and the reference's. One sample of each class, called right in a study never seen
# (of those the one of middling probability); choose in the menu. Red speaks for the class of the row, blue against.

# %%
chosen, mean = unseen.typical(), {"reference": "mean"}
how = plots.caption(extra="DeepLIFT, Rescale rule; reference: mean of the training samples; network without this study")
panels = [plots.explained(unseen, sample, **mean) for sample in chosen]
display(plots.sample_browser(panels, title="What speaks for each class", caption=how))
first = unseen.explain(chosen[0], **mean)
missing = np.abs(first.values.sum(axis=2) + first.reference_logits - first.logits).max()
say(
    f"**They sum.** Contributions and reference logit add up to the logit within {missing:.0e} (largest logit"
    f" {np.abs(first.logits).max():.1f}); every batch is checked, and more than a relative 1e-5 is an error. Explained"
    f" is the logit: the {first.unwrapped} behind it was left out."
)

# %% [markdown]
# ## Why was this one called wrong?
#
# Of all wrong calls in studies never seen, take the one that the network was surest of, and beside it a right call of
# the class that it was taken for. Below, step by step, the difference between the two logits: from the reference on
# top to the sample at the bottom. Orange speaks for the wrong class, blue for the recorded one.

# %%
wrong, peer = unseen.mistake() or (None, None)
if wrong is None:
    say("Every sample was called right; there is no wrong call to explain.")
else:
    truth, taken = unseen.table.loc[wrong, ["y_true", "y_pred"]]
    pair = [plots.explained(unseen, name, **mean) for name in (wrong, peer) if name]
    name = f"Left: {truth} called {taken}; right: {taken} called {taken}"
    display(plots.sample_heatmap(pair, 18, title=name, caption=how))

# %%
if wrong is not None:
    steps = explain.steps_between(unseen.explain(wrong, **mean), taken, truth)
    axis, name = f"logit of {taken} minus logit of {truth}", f"Why {wrong} was called {taken}"
    display(plots.waterfall(steps, axis, title=name, caption=how))
    top = steps[steps["kind"] == "step"].sort_values("value").iloc[-1]["label"]
    here, classes = (explain.expression(X, y, [top])[top] for X, y in ((task.X.loc[[wrong]], ["x"]), (task.X, task.y)))
    say(
        f"`{wrong}` (study {task.groups[wrong]}) is recorded as {truth} and was called {taken} with probability"
        f" {unseen.table.loc[wrong, 'probability']:.0%}. What speaks most for {taken} is {plots.short(top)}:"
        f" log2 CPM {here['x']:.1f} here, {classes[taken]:.1f} in {taken}, {classes[truth]:.1f} in {truth} (means)."
        " Network or record, one is wrong: **contributions show where to look, not who is right.**"
    )

# %% [markdown]
# ## Whole classes: D1
#
# The paper's D1 of an sRNA in a class: its contribution to the class minus its mean contribution to the others,
# averaged over the samples of the class. Below, for the first network, with intervals from drawing the studies of the
# class again. A wide interval says: this marker rests on one or two laboratories. The table ranks for the whole task:
# there an sRNA counts by its largest score in any class.

# %%
by_seed = {f"seed {s}": explain.class_scores(m, task.X, task.y, **mean) for s, m in networks.items()}
single = by_seed[f"seed {seed}"]
average = explain.rank_average(by_seed.values())
by_study = explain.study_scores(network, task.X, task.y, task.groups, **mean)
ranked = explain.ranking(by_study, n_boot=size.n_boot, seed=seed)
counted = plots.caption(n_samples, n_studies, extra="one network; reference: training mean; 95 % intervals: studies")
display(plots.class_rankings(ranked, title="The first sRNAs of each class by D1", caption=counted))
task_wide = explain.overall_ranking(by_study, n_boot=size.n_boot, seed=seed).head(8).round(2)
ranks = dict.fromkeys(["rank", "rank_low", "rank_high"], "{:.0f}")
task_wide.set_index("srna").rename(index=plots.short).style.format(ranks, precision=2)

# %% [markdown]
# Now ranks averaged over all seeds, and what the leaders do in the other classes. Left D1 in every class, right the
# mean expression. A marker of one class is red in one column; what is high in expression need not be.

# %%
levels = explain.expression(task.X, task.y)
leaders = explain.top_features(average, 4 if len(task.classes) > 8 else 6)
mean_d1 = sum(by_seed.values()) / runs
note = plots.caption(n_samples, n_studies, extra=f"leaders by ranks averaged over {runs} networks; D1: mean over them")
name = f"Leaders of each class, {info['title']}"
headline = plots.class_heatmaps(mean_d1, levels, leaders, title=name, caption=note)
headline

# %% [markdown]
# The paper's Figure 11: the expression of the first 300 sRNAs of each class. It found that classes do not separate by
# eye. Below it, samples by what the leaders contribute to the class that was called: expect classes to separate there,
# for this is what the network made of the expression. Rows and columns in the order of a clustering; strip: class.

# %%
union = explain.top_features(average, explain.TOP)["srna"].unique()
figure_11 = explain.expression(task.X, task.y, union, scale=True).rename_axis("classes")
note = plots.caption(n_samples, n_studies, extra="each sRNA scaled to 0..1 over the samples, as in the paper")
name = f"Mean expression of the first {explain.TOP} of each class ({len(union)} different sRNAs)"
display(plots.clustered(figure_11, value="mean expression (0..1)", title=name, caption=note))
few = pd.concat([part.sample(min(len(part), 12), random_state=seed) for _, part in task.y.groupby(task.y)])
part = explain.contributions(network, task.X.loc[few.index], **mean)
own = pd.DataFrame(explain.d1(part.values, part.logits.argmax(axis=1)), few.index.rename("samples"), part.features)
own = own[leaders["srna"].unique()]
note = plots.caption(len(few), task.groups[few.index].nunique(), extra="up to 12 samples of a class, trained on")
name = "Samples by what the leaders contribute to the class called, minus the other classes' mean"
plots.clustered(own, few, value="contribution", title=name, caption=note)

# %% [markdown]
# ## Would another network name the same sRNAs?
#
# Nobody has a reason to prefer one seed to another. The heatmap shows the share of the first sRNAs of a class that two
# networks have in common, averaged over classes: networks of different seeds first, then networks that were trained
# without one fold of the studies.

# %%
seen = {f: task.y.isin(m.classes_) for f, m in folds.items()}  # a class may have all its studies in one fold
by_fold = {f"fold {f}": explain.class_scores(m, task.X[seen[f]], task.y[seen[f]], **mean) for f, m in folds.items()}
pairs = explain.agreement(by_seed | by_fold, top_k)
matrix, chance = explain.agreement_matrix(pairs), pairs["chance"].iloc[0]
note = plots.caption(n_samples, n_studies, extra=f"mean over classes; chance {chance:.1%}")
display(plots.agreement_heatmap(matrix, title=f"First {top_k} of each class in common", caption=note))
kinds = {k: pairs[pairs["first"].str.startswith(k) & pairs["second"].str.startswith(k)] for k in ("seed", "fold")}
halves = {i: explain.rank_average(list(by_seed.values())[int(i) :: 2]) for i in "01"}
say(
    f"Two seeds share {kinds['seed']['overlap'].mean():.0%} of the first {top_k}, two folds"
    f" {kinds['fold']['overlap'].mean():.0%}; two halves of the seeds, ranks averaged in each,"
    f" {explain.agreement(halves, top_k)['overlap'].mean():.0%}. **Average ranks over seeds before you quote a list.**"
)

# %% [markdown]
# ## Is it true? Rivals, and a test where the truth is known
#
# The same samples by other methods: gradient times input, integrated gradients, the weights of the linear model, a
# forest's importances (Gini, and accuracy lost out of bag when an sRNA is shuffled). On simulated data the true
# biomarkers are known: which share of them is among as many best sRNAs? Permuted labels show what finds nothing.

# %%
linear = models.recipe("logistic", **size.changes.get("logistic", {})).fit(task.X, task.y)
trees = {"zeros__max_zero_share": 0.9, "classifier__n_estimators": 30 if smoke else 200}
forest = models.recipe("rf_plain", seed=seed, **trees).fit(task.X, task.y)
shuffled = task.y.sample(frac=1, random_state=seed).set_axis(task.y.index)
nothing = models.recipe("dl_log", seed=seed, **changes).fit(task.X, shuffled)
path = explain.integrated_gradients(network, task.X, steps=20, **mean)
slope = explain.gradient_x_input(network, task.X, **mean)

# %%
methods = {
    "DeepLIFT, one network": single,
    "DeepLIFT, ranks averaged": average,
    "integrated gradients": explain.mean_scores(path, network, task.X, task.y),
    "gradient x input": explain.mean_scores(slope, network, task.X, task.y),
    "logistic, weights": explain.linear_weights(linear, task.X),
    "forest, Gini": explain.forest_gini(forest, task.X),
    "forest, permutation": explain.forest_permutation(forest, task.X, task.y, seed=seed),
    "DeepLIFT, permuted labels": explain.class_scores(nothing, task.X, shuffled, **mean),
}
overall = {name: explain.across_classes(scores) for name, scores in methods.items()}

# %%
whole = [explain.across_classes(scores).to_frame().T for scores in by_seed.values()]
overall["DeepLIFT, ranks averaged"] = explain.rank_average(whole).loc["score"]
counted_all = plots.caption(n_samples, n_studies, extra="an sRNA counts by its largest score in any class")
true = explain.true_biomarkers(atlas, label) & set(task.X.columns)
chance = len(true) / task.X.shape[1]
every = [("DeepLIFT, one network", scores.loc["score"]) for scores in whole] + list(overall.items())[1:]
rows = [(method, explain.precision_at_k(scores, true)) for method, scores in every if true]
precision = pd.DataFrame(rows, columns=["method", "precision"])
if true:
    axis = f"share of true biomarkers of {label} among the first K = {len(true)} (precision at K)"
    display(plots.truth_bars(precision, chance, value=axis, title="Who finds the truth?", caption=counted_all))
else:
    say("Nobody knows the true biomarkers here: this test is for simulated data and labels that it plants.")

# %%
reach = precision.groupby("method")["precision"].mean()
spread = precision.loc[precision["method"] == "DeepLIFT, one network", "precision"]
if true:
    say(
        f"One network finds {spread.mean():.2f} ({spread.min():.2f} to {spread.max():.2f}), ranks of {runs} averaged"
        f" {reach['DeepLIFT, ranks averaged']:.2f}, the linear model {reach['logistic, weights']:.2f}, permuted labels"
        f" {reach['DeepLIFT, permuted labels']:.2f} (chance {chance:.2f}). The simulation is additive, which suits the"
        " linear model: **a network has to earn its place, also as a finder of biomarkers.**"
    )
k_all = min(5 * top_k, min(s.size for s in overall.values()))
alike = explain.agreement_matrix(explain.agreement({n: s.to_frame().T for n, s in overall.items()}, k_all))
plots.agreement_heatmap(alike, title=f"The first {k_all} of each method in common", caption=counted_all)

# %% [markdown]
# ## Is it faithful? Prediction gaps
#
# Put sRNAs to the reference's value, ten at a time, and watch the probability of the true class. Masking what the
# explanation calls important must destroy the prediction at once (gap PGI, high is good); masking what it calls
# unimportant must not matter (PGU, low is good). Local: every sample has its own order. Global: one order for all.

# %%
drawn = task.y.sample(min(n_samples, 60 if smoke else 300), random_state=seed)
X_drawn, rows = task.X.loc[drawn.index], task.X.index.get_indexer(drawn.index)
place = np.searchsorted(network.classes_, drawn)
lifted = explain.contributions(network, X_drawn, **mean).values[np.arange(len(drawn)), place]
orders = {
    "DeepLIFT, local": lifted,
    "integrated gradients, local": path[rows, place],
    "gradient x input, local": slope[rows, place],
    "DeepLIFT, global": explain.global_importance(lifted, drawn),
    "D1, ranks averaged, global": (overall["DeepLIFT, ranks averaged"] + len(average.columns)).to_numpy(),
}

# %%
inside = explain.model_space(network, X_drawn)
start = explain.reference_input(network, X_drawn, **mean)
gap, curves = explain.gap_tables(network[-1], inside, drawn, orders, reference=start, seed=seed)
display(gap.round(2))
note = plots.caption(int((network.predict(X_drawn) == drawn).sum()), extra="called right; masked to the training mean")
curves = curves[curves["method"].isin(["DeepLIFT, local", "DeepLIFT, global", "D1, ranks averaged, global"])]
display(plots.gap_curves(curves, title="What is lost when sRNAs are masked", caption=note))
own_order, one_order = gap.loc["DeepLIFT, local"], gap.loc["DeepLIFT, global"]
say(
    f"In each sample's own order, PGI is {own_order['PGI / random']:.1f} times random and PGU"
    f" {own_order['PGU / random']:.2f} times; in one order for all, {one_order['PGI / random']:.1f} and"
    f" {one_order['PGU / random']:.2f}: what decides differs from sample to sample."
)

# %% [markdown]
# ## Lesson one: the reference decides the story
#
# "What makes this sample muscle?" has no answer without "compared with what?". Compared with the average sample, what
# is special about the class speaks. Compared with an empty library (zero counts), everything that is expressed
# speaks, and what every cell expresses speaks too. Known markers under both references (on simulated data: the
# strongest planted ones), ranks averaged over seeds:

# %%
by_empty = [explain.class_scores(m, task.X, task.y, reference="zero_counts") for m in networks.values()]
known = explain.markers().query("list in @task.classes")
known = explain.strongest_biomarkers(atlas, label, task.classes) if known.empty else known
stories, places = {"training mean": average, "zero counts": explain.rank_average(by_empty)}, pd.DataFrame()
if len(known):
    found = {n: explain.list_ranks(s, known, measured_names=task.X.columns) for n, s in stories.items()}
    places = pd.concat([t.assign(reference=n) for n, t in found.items()]).query("`class` == list and feature != ''")
    places["srna"] = places["mirna"]
    note = plots.caption(n_samples, n_studies, extra=f"ranks of {runs} networks averaged, {average.shape[1]} sRNAs")
    display(plots.marker_ranks(places, title="Markers under two references", caption=note))
else:
    say(f"No markers are known for the classes of `{label}`: the lists below stand without them.")

# %%
tops = {name: explain.top_features(scores, 10) for name, scores in stories.items()}
for t in tops.values():
    t["name"] = t["srna"].map(plots.short)
lists = {f"the first ten, compared with {n}": t.groupby("class")["name"].agg(", ".join) for n, t in tops.items()}
display(pd.DataFrame(lists).style)
present, mean_level = (task.X > 0).mean(), levels.mean()
seen, high = ({n: v[t["srna"]].mean() for n, t in tops.items()} for v in (present, mean_level))
say(
    f"The first ten of a class are found in {seen['training mean']:.0%} of all samples when the training mean is the"
    f" reference, and in {seen['zero counts']:.0%} when zero counts are (mean expression {high['training mean']:.1f}"
    f" against {high['zero counts']:.1f} in log2 CPM). **Name the reference whenever you name a marker.**"
)

# %% [markdown]
# ## Lesson two: the filter on zeros deletes the markers of small classes
#
# The paper keeps sRNAs that are zero in at most three tenths of the samples. A marker of a class with few samples is
# zero nearly everywhere else: no model behind that filter, and so no explanation of it, can name the marker.

# %%
papers = models.recipe("dl_paper", seed=seed, **size.changes.get("dl_paper", {})).fit(task.X, task.y)
kept, lost = list(papers[:-1].get_feature_names_out()), []
if len(known):
    zeros = places[places["reference"] == "training mean"].assign(srna=lambda t: t["feature"])
    zeros["zero_share"] = [(task.X[s] == 0).mean() for s in zeros["srna"]]
    zeros["zero_share_class"] = [(task.X.loc[task.y == r["class"], r["srna"]] == 0).mean() for _, r in zeros.iterrows()]
    lost = sorted(set(zeros["srna"]) - set(kept))
    note = plots.caption(n_samples, n_studies, extra=f"the filter keeps {len(kept)} of {task.X.shape[1]} sRNAs")
    name = "Which markers does the paper's filter let through?"
    display(plots.marker_zeros(zeros, title=name, caption=note, filter_name="filter"))

# %%
paper_d1 = explain.class_scores(papers, task.X, task.y, reference="zeros")
instead = explain.top_features(paper_d1, 10)
instead = instead.assign(s=instead["srna"].map(plots.short)).groupby("class")["s"].agg(", ".join)
gone = ", ".join(plots.short(s) for s in lost) or "none"
say(f"{len(lost)} of {len(known)} markers are gone before `dl_paper` sees a sample: {gone}.")
if not lost:
    say("This data set cannot show the lesson: its markers are found in nearly every sample. Take `dataset=mirome`.")
instead.to_frame("dl_paper names instead (reference: zeros)").style

# %% [markdown]
# ## What do the leaders have in common?
#
# Over-representation of sets among the best of each class: families, genomic clusters and, on real data,
# tissue-specific sets and diseases. Background: the sRNAs that the network saw, no others; for diseases those of them
# that any disease names, because what is abundant is studied more. One hypergeometric test per set and class, corrected
# for all of a collection (Benjamini-Hochberg). Families and diseases count stem-loops, not their arms.

# %%
n_best = min(100, average.shape[1] // 5)
known_sets = load_sets(atlas.var, ("family", "cluster") if info["simulated"] else COLLECTIONS)
disease = known_sets["collection"] == "disease"
parts = [(known_sets[~disease], False), (known_sets[disease], True)]
test = explain.over_representation_by_class
enriched = pd.concat([test(average, part, n=n_best, only_annotated=only) for part, only in parts if len(part)])
say(f"{(enriched['q'] < 0.05).sum()} of {len(enriched)} tests have q below .05.")
note = plots.caption(n_samples, n_studies, extra=f"the {n_best} best of {average.shape[1]} sRNAs of each class")
plots.set_dots(enriched, 2 if len(task.classes) <= 8 else 1, title="Sets among the best of each class", caption=note)

# %% [markdown]
# The paper's Table 4 names ten enriched miRNAs for each of six tissues. How many of them are among our best, and how
# surprising is that? For each list of the paper: the class of ours that fits it best, and the class of its name.

# %%
table_4 = explain.compare_lists(average, explain.paper_lists(), measured_names=task.X.columns, n=n_best)
best = table_4.sort_values("p", kind="stable").drop_duplicates("list")
named = table_4[table_4["list"].str.lower() == table_4["class"].str.lower()]
rows = pd.concat([best, named]).drop_duplicates(["list", "class"]).sort_values("list", kind="stable")
looks = {"expected": "{:.1f}"} | {c: lambda v: f"{v:.0e}".replace("-", "\u2011") for c in ("p", "q")}
columns = ["list", "class", "kept", "hits", "expected", "p", "q", "ranks", "filtered_away"]
display(rows[columns].replace("hsa-", "", regex=True).style.format(looks).hide())
say(
    f"{(best['q'] < 0.05).sum()} of {len(best)} lists have q below .05 in the class that fits best. It was chosen among"
    f" {len(task.classes)}, which q takes into account (it is corrected for every list and class) and p does not."
)

# %% [markdown]
# ## Is our engine the original?
#
# All this comes from our own implementation of DeepLIFT. The authors' package is the judge: same network, same
# samples, both rules. It divides differences of single-precision numbers, which can leave a few 1e-5 where a unit
# hardly changes. It needs TensorFlow; without it, and in profile `smoke`, this section says so.

# %%
oracle, probe = {}, inside.iloc[:20]
if not smoke and explain.available():
    given = (network[-1], probe.to_numpy(), start.to_numpy())
    asked = [explain.OracleTask(*given, rule) for rule in explain.RULES]
    for rule, judge in zip(explain.RULES, explain.run_tasks(asked), strict=True):
        ours = explain.contributions(network, X_drawn.loc[probe.index], rule=rule, **mean).values
        oracle[rule] = float(np.abs(ours - judge.values).max() / np.abs(judge.values).max())
        versions = ", ".join(judge.versions)
        say(f"`{rule}`: largest difference {oracle[rule]:.0e} of the largest contribution ({versions}).")
else:
    say("A smoke run, or the original package is not installed here: the comparison was left out.")

# %% [markdown]
# ## Limits
#
# - A contribution says what the network used, not what the biology is. sRNAs that rise together (the arms of one
#   stem-loop, a cluster) can stand in for each other, so equally accurate networks may lean on different ones: that is
#   why their rankings differ, and what averaging ranks repairs, because it keeps what they agree on. It does not repair
#   what all of them learned wrongly, such as the mark of a laboratory that alone contributed a class.
# - D1, rivals and gaps describe samples that the networks were trained on; the single samples above are unseen ones.
# - Masking to the mean makes samples that do not exist; a prediction gap measures the network, not nature.
# - The lists of a class with few studies are lists of those studies: look at the intervals.

# %%
rare = [c for c, studies in task.groups.groupby(task.y) if studies.nunique() < 3]
steady = kinds["seed"].groupby("class")["overlap"].mean()
say(
    "**Take-home.** Ask three things of every list of markers: compared with what, by how many networks, and from how"
    f" many studies. Here two seeds agree least on {steady.idxmin()} ({steady.min():.0%} of the first {top_k}) and most"
    f" on {steady.idxmax()} ({steady.max():.0%}); classes of fewer than three studies: {', '.join(rare) or 'none'}."
)

# %% [markdown]
# ## Checks

# %% tags=["checks"]
assert missing <= 1e-4 * max(1.0, float(np.abs(first.logits).max())), "contributions sum to the logit"
assert all(v <= 1e-4 for v in oracle.values()), "our engine and the original package agree within its rounding"
assert set(average.columns) <= set(task.X.columns), "explained are sRNAs of the atlas"
assert (ranked.groupby("class")["rank"].min() == 1).all()
assert own_order["PGI"] > own_order["random"] > own_order["PGU"], "important sRNAs matter more than unimportant ones"
if len(known):
    lookups = [explain.list_ranks(s, known, measured_names=task.X.columns) for s in (*by_seed.values(), mean_d1)]
    *each, ensemble = (t.query("`class` == list").groupby("class") for t in lookups)
    own_class = [g["rank"] for g in each]
    steady_markers = sum(((g.min() <= 5) & (g.agg(lambda r: (r <= 20).sum()) >= 2)).astype(int) for g in own_class)
    say(
        f"In how many of {runs} networks has a class one marker among its first five and two among its first twenty?"
        f" {', '.join(f'{c} {n}' for c, n in steady_markers.items())}. By D1 averaged over networks (that of an"
        " ensemble which averages logits) the first marker of each class has the rank"
        f" {', '.join(f'{c} {r:.0f}' for c, r in ensemble['rank'].min().items())}."
    )
if not smoke and true and label == "tissue_group":
    assert reach["DeepLIFT, ranks averaged"] >= 0.9, "averaged ranks find the planted biomarkers"
    assert abs(reach["DeepLIFT, permuted labels"] - chance) < 0.1, "permuted labels find what chance finds"
    assert own_order["PGI / random"] >= 3 and own_order["PGU / random"] <= 0.3
if profile == "full" and dataset == "mirome" and label == "tissue_group":
    assert (steady_markers > runs / 2).all(), "known markers lead their class in most networks"
    assert (ensemble["rank"].min() <= 5).all(), "every class has a marker among its first five"
    assert (ensemble["rank"].agg(lambda r: (r <= 20).sum()) >= 2).all(), "and two among its first twenty"

# %%
values = [("dl_log", f"overlap of first {top_k}, two {k}s", t["overlap"].mean()) for k, t in kinds.items()]
values += [("dl_log", f"spearman, two {k}s", t["spearman"].mean()) for k, t in kinds.items()]
values += [(method, f"{o} (%)", row[o]) for method, row in gap.iterrows() for o in explain.ORDERS]
values += [(method, f"precision at {len(true)}", v) for method, v in reach.items()]
values += [(f"deeplift package, {rule}", "largest relative difference", v) for rule, v in oracle.items()]
if len(known):
    values += [("dl_log", f"seeds with markers first:{c}", n) for c, n in steady_markers.items()]
    values += [("dl_log, mean D1", f"first marker's rank:{c}", r) for c, r in ensemble["rank"].min().items()]
values += [(f"dl_log, {row.reference}", f"rank:{row.list}:{row.mirna}", row.rank) for row in places.itertuples()]
common = {"task": label, "dataset": info["name"], "features": task.features, "scheme": "all samples", "seed": seed}
common |= {"n_samples": n_samples, "n_datasets": n_studies, "ci_low": None, "ci_high": None}
records = [common | {"model": m, "metric": q, "value": float(v)} for m, q, v in values if pd.notna(v)]
report.write_results(out, "05_explainability", records, unseen.table.rename_axis("sample_id").reset_index())

# %%
numbers = {
    "samples, studies, classes": f"{n_samples}, {n_studies}, {len(task.classes)}",
    f"first {top_k} of a class that two seeds share": f"{kinds['seed']['overlap'].mean():.0%}",
    "gaps PGI, random, PGU (each sample's own order)": ", ".join(f"{own_order[o]:.0f} %" for o in explain.ORDERS),
}
if true:
    numbers["true biomarkers found"] = f"{reach['DeepLIFT, ranks averaged']:.2f}; one network {spread.mean():.2f}"
run = {"dataset": dataset, "profile": profile, "seed": seed, "label": label, "n_seeds": runs}
title = "Why did the network say that, and can the explanation be believed?"
report.write_card(
    out, "05_explainability", title=title, key_numbers=numbers, figure=headline, atlas_info=info, parameters=run
)

# %% [markdown]
# ## What to try next
#
# - `srna run 05 -p label=sex` and `-p label=age_2`, where an atlas knows them: what speaks for *male*?
# - Another reference: `reference="study_mean"` in `deeplift.contributions` compares a sample with its own study.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Which class changes its ten leaders most when the reference changes, and which least?

# %% tags=["solution"]
change = explain.agreement(stories, min(10, average.shape[1])).set_index("class")["overlap"]
change.sort_values()

# %% [markdown] tags=["exercise"]
# **2.** RevealCancel lets what raises and what lowers a unit count separately. How many of the leaders does it share
# with Rescale?

# %% tags=["solution"]
revealed = explain.class_scores(network, task.X, task.y, rule="revealcancel", **mean)
explain.agreement({"rescale": single, "revealcancel": revealed}, top_k).set_index("class")["overlap"]
