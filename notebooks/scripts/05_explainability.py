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
# # Why did the network say that, and can the explanation be believed?
#
# **You will learn** to read which small RNAs speak for and against a class, in one sample and in a whole class; why the
# answer depends on what a sample is compared with; and how to test an explanation instead of admiring it. Method
# (DeepLIFT) and class scores (*D1*) are those of Fiosina, Fiosins and Bonn (2020).
#
# **Reads** a named data set (`dataset`). **Writes** `results/05_explainability.json` (every number),
# `results/05_explainability.parquet` (predictions of the networks that are explained) and a card, below `out`.
# **Takes** seconds in profile `smoke`, a minute in `demo`, minutes in `full` on two cores. Words in *italics* stand in
# the glossary at the end.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated, true biomarkers known) or mirome (real)
profile: str = "demo"  # smoke (few samples and small networks, for tests), demo, full
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # networks trained at a time (profile full; shorter fits do not pay for a second process)
label: str = "tissue_group"  # what is explained: tissue_group, tissue, sex, age_2, age_3, age_4 or any column
min_class_size: int = 15  # classes with fewer samples are left out
n_seeds: int = 10  # networks that differ in nothing but their seed (smoke: at most 3)
top_k: int = 20  # length of the lists that are compared

# %%
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import display

import srna_lib as srna
from srna_lib import evaluate, explain, stability
from srna_lib.report import close, open_dataset, say

# %%
size = evaluate.get_profile(profile)
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
atlas = srna.data.eligible(atlas, label)  # of sex and age only data sets that do not give them away, as in 03
atlas = srna.data.subsample(atlas, label, per_study=size.per_study, min_class_size=min_class_size, seed=seed)
task = srna.make_task(atlas, label, min_class_size=min_class_size)

# %% [markdown]
# ## One sample, one network, by hand
#
# Recipe `dl_log`: the paper's layers on log2 CPM, z-scores, small classes weighted up, every sRNA that at least a tenth
# of the samples have. It is trained once for every fold of studies, so that each sample is predicted by a network that
# has never seen its study. Take one network and one such sample, and compare it with the average training sample, its
# *reference*.

# %%
n_jobs, n_seeds = {"full": n_jobs}.get(profile, 1), {"smoke": min(n_seeds, 3)}.get(profile, n_seeds)
changes = {"classifier__hidden": (64, 32), "classifier__dropout": (0.2, 0.2), "classifier__batch_size": 32}
changes = {"smoke": changes}.get(profile, size.changes.get("dl_log"))
shown = srna.make_splits(task, "grouped_kfold", n_splits={"smoke": 3}.get(profile, 5), seed=seed)
unseen = stability.fit_folds(task, "dl_log", shown, seed=seed, n_jobs=n_jobs, changes=changes)
unseen = explain.held_out(task, unseen, shown)

# %%
sample = task.X.loc[unseen.table.index[:1]]
model = unseen.models[unseen.table["fold"].iloc[0]]
here = explain.model_space(model, sample).to_numpy()  # what the first layer sees
start = explain.reference_input(model, sample, reference="mean").to_numpy()

# %% [markdown]
# The idea that comes first: put one sRNA to its average, leave all others, and see how far the *log-odds* move between
# the two classes that the network finds likeliest. Do this for each sRNA in turn. **Will the changes of all sRNAs add
# up** to the difference between the sample and the average sample?

# %%
odds = np.where(np.eye(here.size, dtype=bool), start, here)  # row i: the sample with sRNA i at its average
odds = np.log(model[-1].predict_proba(np.vstack([here, start, odds])))
pair = np.argsort(-odds[0])[:2]
odds = odds[:, pair[0]] - odds[:, pair[1]]

# %%
shown = srna.explain(model, sample, reference="mean").values[0]
say(f"""
Log-odds of {model.classes_[pair[0]]} against {model.classes_[pair[1]]}: {odds[0]:.2f} in this sample, {odds[1]:.2f} in
the average one, **a difference of {odds[0] - odds[1]:.2f}. The changes by hand add up to
{(odds[0] - odds[2:]).sum():.2f}, DeepLIFT's contributions to {(shown[pair[0]] - shown[pair[1]]).sum():.2f}.**
""")

# %% [markdown]
# One at a time overlooks that sRNAs stand in for each other, or need each other: the larger the gap between the first
# two numbers, the more of that there is. DeepLIFT shares the whole difference out.
#
# ## One sample: what speaks for each class?
#
# A *contribution* is what an sRNA adds to, or takes from, a class's *logit*, because it differs from the reference. One
# sample of each class, predicted correctly in a study never seen (of those the one of middling probability); choose in
# the menu. Red speaks for the class of the row, blue against. **Does an sRNA that speaks for one class have to speak
# against all others?**

# %%
say(f"""
{len(task.y)} samples of {task.groups.nunique()} studies in {len(task.classes)} classes of `{label}`; **in studies that
a network never saw, {unseen.table["right"].mean():.1%} of the predictions are correct.**""")
caption = "DeepLIFT, Rescale rule; reference: mean of the training samples; network without this study"
shown = [srna.pl.explained(unseen, name, reference="mean") for name in unseen.typical()]
srna.pl.sample_browser(shown, title="What speaks for each class", caption=caption)

# %% [markdown]
# Every batch is checked: contributions and the reference's logit sum to the sample's logit, or an error stops the run.
#
# ## Why was this one predicted wrongly?
#
# Of all wrong predictions in studies never seen, take the one that the network was surest of (left), and beside it a
# correct prediction of the class that it was taken for. **Would you have been misled by the same sRNAs?**

# %%
wrong = unseen.mistake()
shown = [srna.pl.explained(unseen, name, reference="mean") for name in wrong]
srna.pl.sample_heatmap(shown, 18, title="The surest wrong prediction beside a correct one", caption=caption)

# %% [markdown]
# Step by step, the difference between the two logits: from the reference on top to the sample at the bottom. Orange
# speaks for the wrong class, blue for the recorded one. Below, what speaks most for the wrong class, and its mean
# expression (log2 CPM) in the two classes.

# %%
if wrong:
    pair = unseen.table.loc[wrong[0], ["y_pred", "y_true"]]
    shown = explain.steps_between(unseen.explain(wrong[0], reference="mean"), pair["y_pred"], pair["y_true"])
    title = f"Why {wrong[0]} was predicted {pair['y_pred']}"
    note = f"logit of {pair['y_pred']} minus logit of {pair['y_true']}"
    display(srna.pl.waterfall(shown, note, title=title, caption=caption))
    shown = shown[shown["kind"] == "step"].nlargest(1, "value")["label"]
    display(explain.expression(task.X.loc[wrong[:1]], ["this sample"], shown).round(1))
    display(explain.expression(task.X, task.y, shown).loc[pair].round(1))

# %% [markdown]
# Network or record, one is wrong: **contributions show where to look, not who is right.**
#
# ## Whole classes: D1
#
# Now the same recipe on all samples, several times, each time with another seed. *D1* of an sRNA in a class: its
# contribution to the class minus its mean contribution to the others, averaged over the samples of the class. First one
# network, with intervals from resampling the studies of the class. A wide interval says: this marker rests on one or
# two laboratories. **Which class will have the widest?**

# %%
networks = range(seed, seed + n_seeds)
networks = stability.fit_seeds(task, "dl_log", networks, n_jobs=n_jobs, changes=changes)
network = networks[seed]
caption = srna.pl.caption(len(task.y), task.groups.nunique())

# %%
shown = explain.study_scores(network, task.X, task.y, task.groups, reference="mean")
note = f"{caption}; one network; reference: training mean; 95 % intervals: studies"
title = "Top-ranked sRNAs of each class by D1"
srna.pl.class_rankings(explain.ranking(shown, n_boot=size.n_boot, seed=seed), title=title, caption=note)

# %% [markdown]
# For the whole task an sRNA counts by its largest score in any class:

# %%
shown = explain.overall_ranking(shown, n_boot=size.n_boot, seed=seed).head(8).set_index("srna")
shown.rename(index=srna.pl.short).style.format(precision=2).format("{:.0f}", ["rank", "rank_low", "rank_high"])

# %% [markdown]
# Now ranks averaged over all seeds, and what the top-ranked do in the other classes. Left D1 in every class (mean over
# the networks), right the mean expression. **Is a marker of a class what is highest in it?** A marker of one class is
# red in one column.

# %%
score = partial(explain.class_scores, X=task.X, y=task.y, reference="mean")
by_seed = {f"seed {s}": score(m) for s, m in networks.items()}
average = explain.rank_average(by_seed.values())
leading = explain.top_features(average, 4 if len(task.classes) > 8 else 6)

# %%
shown = sum(by_seed.values()) / n_seeds
title = f"Top-ranked sRNAs of each class, {info['title']}"
headline = srna.pl.class_heatmaps(shown, explain.expression(task.X, task.y), leading, title=title, caption=caption)
headline

# %% [markdown]
# The paper's Figure 11: the expression of the first 300 sRNAs of each class. **Will classes separate by eye?** The
# paper found that they do not. Each sRNA is scaled to 0..1 over the samples, as in the paper. Rows and columns stand in
# the order of a clustering.

# %%
shown = explain.top_features(average, explain.TOP)["srna"].unique()
title = f"Mean expression of the first {explain.TOP} of each class ({len(shown)} different sRNAs)"
shown = explain.expression(task.X, task.y, shown, scale=True).rename_axis("classes")
srna.pl.clustered(shown, value="mean expression (0..1)", title=title, caption=caption)

# %% [markdown]
# The same question to what the network made of the expression: up to twelve samples of a class by what the top-ranked
# contribute to the predicted class, minus the mean of the others. Strip: the true class.

# %%
drawn = [y.sample(min(len(y), 12), random_state=seed) for _, y in task.y.groupby(task.y, observed=True)]
drawn = pd.concat(drawn).rename_axis("samples")
shown = srna.explain(network, task.X.loc[drawn.index], reference="mean")
shown = pd.DataFrame(explain.d1(shown.values, shown.logits.argmax(axis=1)), drawn.index, shown.features)
title = "Samples by what the top-ranked contribute to the predicted class"
note = f"n = {len(drawn)} samples, which the network was trained on"
srna.pl.clustered(shown[leading["srna"].unique()], drawn, value="contribution", title=title, caption=note)

# %% [markdown]
# ## Would another network name the same sRNAs?
#
# Nobody has a reason to prefer one seed to another. The heatmap shows the share of the first sRNAs of a class that two
# networks have in common, averaged over classes: networks of different seeds first, then networks that were trained
# without one fold of the studies. **Guess the share for two seeds.**

# %%
shown = {f: task.y.isin(m.classes_) for f, m in unseen.models.items()}  # a class may have all its studies in one fold
shown = {f"fold {f}": score(unseen.models[f], X=task.X[known], y=task.y[known]) for f, known in shown.items()}
shown = explain.agreement(by_seed | shown, top_k)
alike = {k: shown[shown["first"].str.startswith(k) & shown["second"].str.startswith(k)] for k in ("seed", "fold")}
note = f"{caption}; mean over classes; chance level {shown['chance'].iloc[0]:.1%}"
shown = explain.agreement_matrix(shown)
srna.pl.agreement_heatmap(shown, title=f"First {top_k} of each class in common", caption=note)

# %%
shown = {i: explain.rank_average(list(by_seed.values())[int(i) :: 2]) for i in "01"}
say(f"""
Two seeds share {alike["seed"]["overlap"].mean():.0%} of the first {top_k}, two folds
{alike["fold"]["overlap"].mean():.0%}; two halves of the seeds, ranks averaged in each,
{explain.agreement(shown, top_k)["overlap"].mean():.0%}. **Average ranks over seeds before you quote a list.**
""")

# %% [markdown]
# ## Is it true? Baseline methods, and a test where the truth is known
#
# The same samples by other methods: gradient times input, integrated gradients, the weights of the linear model, a
# forest's importances (Gini, and accuracy lost out of bag when an sRNA is shuffled). Permuted labels show what finds
# nothing.

# %%
whole = [explain.across_classes(scores).to_frame().T for scores in by_seed.values()]
overall = {"DeepLIFT, one network": whole[0], "DeepLIFT, ranks averaged": explain.rank_average(whole)}
paths = {"integrated gradients": explain.integrated_gradients(network, task.X, reference="mean", steps=20)}
paths["gradient x input"] = explain.gradient_x_input(network, task.X, reference="mean")
overall |= {method: explain.mean_scores(values, network, task.X, task.y) for method, values in paths.items()}

# %%
shown = evaluate.build_recipe(task, "logistic", seed=seed, profile=size).fit(task.X, task.y)
overall["logistic, weights"] = explain.linear_weights(shown, task.X)

# %%
shown = srna.recipe("rf_plain", seed=seed, zeros__max_zero_share=0.9)
shown.set_params(classifier__n_estimators={"smoke": 30}.get(profile, 200)).fit(task.X, task.y)
overall["forest, Gini"] = explain.forest_gini(shown, task.X)
overall["forest, permutation"] = explain.forest_permutation(shown, task.X, task.y, seed=seed)

# %%
shown = task.y.sample(frac=1, random_state=seed).set_axis(task.y.index)
shown = srna.data.Task("permuted labels", task.X, shown, task.groups, {})
overall["DeepLIFT, permuted labels"] = stability.fit_seeds(shown, "dl_log", [seed], changes=changes)[seed]
overall["DeepLIFT, permuted labels"] = score(overall["DeepLIFT, permuted labels"], y=shown.y)

# %% [markdown]
# On simulated data the true biomarkers are known: which share of them is among as many best sRNAs? **Which method would
# you bet on?** The simulation is additive, which suits the linear model.

# %%
overall = {method: explain.across_classes(scores) for method, scores in overall.items()}
true = explain.true_biomarkers(atlas, label) & set(task.X.columns)
shown = [("DeepLIFT, one network", scores.loc["score"]) for scores in whole] + list(overall.items())[1:]
shown = [(method, explain.precision_at_k(scores, true)) for method, scores in shown if true]
shown = pd.DataFrame(shown, columns=["method", "precision"])

# %%
reach = shown.astype({"precision": float}).groupby("method")["precision"].mean().reindex(sorted(overall))
title = f"share of true biomarkers among the first K = {len(true)} (precision at K)"
note = f"{caption}; an sRNA counts by its largest score in any class; dots: networks of other seeds"
srna.pl.truth_bars(shown, len(true) / task.X.shape[1], value=title, title="Who finds the truth?", caption=note)

# %%
say(f"""
One network finds {reach["DeepLIFT, one network"]:.2f} on average, ranks of {n_seeds} averaged
{reach["DeepLIFT, ranks averaged"]:.2f}, the linear model {reach["logistic, weights"]:.2f}, permuted labels
{reach["DeepLIFT, permuted labels"]:.2f} (chance level {len(true) / task.X.shape[1]:.2f}). **A network has to earn its
place, also as a finder of biomarkers.**
""")

# %% [markdown]
# Where no truth is known, methods can at least be compared with each other. **Which two will agree most?**

# %%
longest = min(5 * top_k, min(scores.size for scores in overall.values()))
shown = explain.agreement({method: scores.to_frame().T for method, scores in overall.items()}, longest)
title = f"The first {longest} of each method in common"
srna.pl.agreement_heatmap(explain.agreement_matrix(shown), title=title, caption=caption)

# %% [markdown]
# Those that read gradients look at the same network as DeepLIFT; forest and linear model are others.
#
# ## Is it faithful? Prediction gaps
#
# Put sRNAs to the reference's value, ten at a time, and watch the probability of the true class. Masking what the
# explanation calls important must destroy the prediction at once (gap *PGI*, high is good); masking what it calls
# unimportant must not matter (*PGU*, low is good). Local: every sample has its own order. Global: one order for all.
# **Will one order for all samples do as well as each sample's own?**

# %%
drawn = task.y.sample(min(len(task.y), {"smoke": 60}.get(profile, 300)), random_state=seed)
here = task.X.loc[drawn.index]
shown = {"DeepLIFT, local": explain.own_class(srna.explain(network, here, reference="mean").values, network, drawn)}
shown |= {
    f"{method}, local": explain.own_class(values[task.X.index.get_indexer(drawn.index)], network, drawn)
    for method, values in paths.items()
}
shown["DeepLIFT, global"] = explain.global_importance(shown["DeepLIFT, local"], drawn)
shown["D1, ranks averaged, global"] = (overall["DeepLIFT, ranks averaged"] + average.shape[1]).to_numpy()

# %%
gap, shown = explain.gap_tables(network, here, drawn, shown, reference="mean", seed=seed)
gap.style.format(precision=2)

# %%
shown = shown[shown["method"].isin(["DeepLIFT, local", "DeepLIFT, global", "D1, ranks averaged, global"])]
note = srna.pl.caption((network.predict(here) == drawn).sum(), extra="predicted correctly; masked to the training mean")
srna.pl.gap_curves(shown, title="What is lost when sRNAs are masked", caption=note)

# %%
shown = gap.to_dict()
say(f"""
In each sample's own order, PGI is {shown["PGI / random"]["DeepLIFT, local"]:.1f} times random and PGU
{shown["PGU / random"]["DeepLIFT, local"]:.2f} times; in one order for all,
{shown["PGI / random"]["DeepLIFT, global"]:.1f} and {shown["PGU / random"]["DeepLIFT, global"]:.2f}.
""")
shown = gap["PGI"][[f"{method}, local" for method in ("DeepLIFT", *paths)]]  # fair rivals: the same network's gradients
say(f"""
PGI of methods that follow the same network:
{", ".join(shown.index.str.removesuffix(", local") + " " + shown.map("{:.1f} %".format))}. **They differ by
{shown.max() - shown.min():.1f} points at most; a random order has {gap["random"]["DeepLIFT, local"]:.1f} %.**
""")

# %% [markdown]
# ## Lesson one: the reference decides the story
#
# "What makes this sample muscle?" has no answer without "compared with what?". Compared with the average sample, what
# is special about the class speaks. Compared with an empty library (zero counts), everything that is expressed
# speaks, and what every cell expresses speaks too. Known markers under both references (on simulated data: the
# strongest true ones), ranks averaged over seeds. **Under which will they stand first?**

# %%
stories = [score(m, reference="zero_counts") for m in networks.values()]
stories = {"training mean": average, "zero counts": explain.rank_average(stories)}
known = explain.markers().query("list in @task.classes")
known = explain.strongest_biomarkers(atlas, label, task.classes) if known.empty else known
places = explain.own_ranks(stories, known, measured_names=task.X.columns).query("feature != ''")

# %%
shown = places.assign(srna=places["mirna"], reference=places["run"])
note = f"{caption}; ranks of {n_seeds} networks averaged, {average.shape[1]} sRNAs"
srna.pl.marker_ranks(shown, title="Markers under two references", caption=note)

# %% [markdown]
# A rank may be luck of the seed. In how many networks has a class one marker among its first five and two among its
# first twenty? Columns behind: by D1 averaged over networks, as in an ensemble that averages logits.

# %%
steady = by_seed | {"mean": sum(by_seed.values()) / n_seeds}
steady = explain.own_ranks(steady, known, measured_names=task.X.columns).groupby(["run", "class"])["rank"]
steady = pd.DataFrame({"first": steady.min(), "in_20": steady.agg(lambda rank: (rank <= 20).sum())})
steady["led"] = (steady["first"] <= 5) & (steady["in_20"] >= 2)

# %%
shown = steady.query("run != 'mean'").groupby("class")["led"].agg(networks="sum", of="size")
shown.join(steady.query("run == 'mean'").droplevel("run")).style.format(precision=0)

# %% [markdown]
# The first ten of each class under both references:

# %%
shown = {reference: explain.top_features(scores, 10) for reference, scores in stories.items()}
shown = pd.concat(shown, names=["reference"]).reset_index("reference")
shown.groupby(["class", "reference"])["srna"].agg(lambda s: ", ".join(map(srna.pl.short, s))).unstack().style

# %%
shown["present"] = shown["srna"].map((task.X > 0).mean())
shown["level"] = shown["srna"].map(explain.expression(task.X, task.y).mean())
shown = shown.groupby("reference")[["present", "level"]].mean().T
say(f"""
The first ten of a class are present in {shown["training mean"]["present"]:.0%} of all samples when the training mean is
the reference, and in {shown["zero counts"]["present"]:.0%} when zero counts are (mean expression
{shown["training mean"]["level"]:.1f} against {shown["zero counts"]["level"]:.1f} in log2 CPM). **Name the reference
whenever you name a marker.**
""")

# %% [markdown]
# ## Lesson two: the filter on zeros deletes the markers of small classes
#
# The paper keeps sRNAs that are zero in at most three tenths of the samples. A marker of a class with few samples is
# zero nearly everywhere else: no model behind that filter, and so no explanation of it, can name the marker. **How many
# of the markers will pass?**

# %%
model = evaluate.build_recipe(task, "dl_paper", seed=seed, profile=size).fit(task.X, task.y)
shown = places[places["run"] == "training mean"].rename(columns={"feature": "srna"})
shown = explain.zero_shares(task.X, task.y, shown)
srna.pl.marker_zeros(shown, title="Which markers does the paper's filter let through?", caption=caption)

# %%
shown = sorted(set(shown["srna"]) - set(model[:-1].get_feature_names_out()))
say(f"""
**{len(shown)} of {len(known) or np.nan} markers are excluded before `dl_paper` sees a sample (it keeps
{len(model[:-1].get_feature_names_out())} of {task.X.shape[1]} sRNAs):
{", ".join(map(srna.pl.short, shown)) or "none"}.**
""")

# %% [markdown]
# What the paper's recipe names instead (reference: zeros):

# %%
shown = explain.top_features(score(model, reference="zeros"), 10)
shown.groupby("class")["srna"].agg(lambda s: ", ".join(map(srna.pl.short, s))).to_frame("dl_paper").style

# %% [markdown]
# ## What do the top-ranked have in common?
#
# Over-representation of sets among the best of each class: families, genomic clusters and, on real data,
# tissue-specific sets and diseases. Background: the sRNAs that the network saw, no others; for diseases those of them
# that any disease names, because what is abundant is studied more. One hypergeometric test per set and class, corrected
# for all of a collection (Benjamini-Hochberg). Families and diseases count stem-loops, not their arms. **Families or
# clusters: which will lead?**

# %%
longest = min(100, average.shape[1] // 5)
shown = explain.load_sets(atlas.var, explain.collections(label, simulated=info["simulated"]))
values = explain.over_representation_by_class(average, shown, n=longest)
note = f"{caption}; the {longest} best of {average.shape[1]} sRNAs of each class"
title = "Sets among the best of each class"
srna.pl.set_dots(values, max(1, min(2, 16 // len(task.classes))), title=title, caption=note)

# %% [markdown]
# These q take sRNAs to come into a list independently of each other. They do not: members of a family and of a
# cluster rise and fall together, whatever the label. So labels are dealt to other studies, as many networks are trained
# on them, and significant tests are counted **where there is nothing to find**. **How many will there be?**

# %%
note = {"full": 6}.get(profile, 1)
values = explain.empirical_fdr(
    values,
    explain.null_tests(stability.fit_shuffled(task, "dl_log", networks, times=note, changes=changes), shown, n=longest),
)
say(f"""
{(values["q"] < 0.05).sum()} of {len(values)} tests have q below .05 by the hypergeometric test, **and
{(values["q_empirical"] < 0.05).sum()} by the empirical false-discovery rate.**
""")
shown = values.groupby("collection", sort=False)[["significant", "null", "kept"]].first()
shown.set_axis(["q < .05", "q < .05, labels shuffled (mean)", "empirical q < .05"], axis=1)

# %% [markdown]
# The paper's Table 4 names ten enriched miRNAs for each of six tissues (for labels of people it has none). **How many
# of them are among our best**, and how surprising is that? For each list of the paper: the class of ours that fits
# it best, and the class of its name.

# %%
shown = explain.compare_lists(average, explain.paper_lists(label), measured_names=task.X.columns, n=longest)
say(f"""
{(shown.groupby("list")["q"].min() < 0.05).sum()} of {shown["list"].nunique() or np.nan} lists have q below .05 in the
class that fits best. It was chosen among {len(task.classes)}, which q takes into account and p does not.""")

# %%
shown = shown.sort_values("p", kind="stable")
shown = [shown.drop_duplicates("list"), shown[shown["list"].str.lower() == shown["class"].str.lower()]]
shown = pd.concat(shown).drop_duplicates(["list", "class"]).sort_values("list", kind="stable")
shown = shown[["list", "class", "kept", "hits", "expected", "p", "q", "ranks", "filtered_away"]]
shown = shown.replace("hsa-", "", regex=True).style.hide()
shown.format({"expected": "{:.1f}", "p": "{:.0e}", "q": "{:.0e}"})

# %% [markdown]
# ## Is our engine the original?
#
# All this comes from our own implementation of DeepLIFT. The authors' package is the judge: same network, same
# samples, both rules. It divides differences of single-precision numbers, which can leave a few 1e-5 where a unit
# hardly changes. It needs TensorFlow; without it, and in profile `smoke`, this section says so. **How close would
# convince you?**

# %%
oracle = {}
if profile != "smoke" and explain.available():
    oracle = explain.differences(network, here.iloc[:20], reference="mean")
say(f"""
Largest difference, relative to the largest contribution: Rescale {oracle.get("rescale", np.nan):.0e}, RevealCancel
{oracle.get("revealcancel", np.nan):.0e}.""")

# %% [markdown]
# ## Take-home

# %%
shown = alike["seed"].groupby("class")["overlap"].mean()
say(f"""
**{info["lesson"]}. Ask three things of every list of markers: compared with what, by how many networks, and from how
many studies.** Here two seeds agree least on {shown.idxmin()} ({shown.min():.0%} of the first {top_k}) and most on
{shown.idxmax()} ({shown.max():.0%}); classes of fewer than three studies:
{", ".join(str(c) for c, s in task.groups.groupby(task.y) if s.nunique() < 3) or "none"}.
""")

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are, and, on the two atlases that this page is made for, what must be found.

# %% tags=["checks"]
shown = unseen.explain(sample.index[0], reference="mean")
assert np.allclose(shown.values.sum(axis=2) + shown.reference_logits, shown.logits, rtol=1e-4, atol=1e-4)
assert all(v <= 1e-4 for v in oracle.values()), "our engine and the original package agree within its rounding"
assert set(average.columns) <= set(task.X.columns), "explained are sRNAs of the atlas"

# %%
if profile != "smoke" and true and label == "tissue_group":
    assert reach["DeepLIFT, ranks averaged"] >= 0.9, "averaged ranks find the true biomarkers"
    assert abs(reach["DeepLIFT, permuted labels"] - len(true) / task.X.shape[1]) < 0.1, "permuted labels find chance's"
    assert gap["PGI / random"]["DeepLIFT, local"] >= 3 and gap["PGU / random"]["DeepLIFT, local"] <= 0.3
if profile == "full" and dataset == "mirome" and label == "tissue_group":
    shown = steady.query("run == 'mean'")
    assert (shown["first"] <= 10).all() and (shown["in_20"] >= 2).all(), "markers stand out in the mean of networks"
    assert steady.query("run == 'mean'")["led"].all(), "and in the ensemble"

# %%
shown = values.groupby("collection", sort=False)[["significant", "null", "kept"]].first()
values = [("dl_log", f"sets, {k}:{c}", v) for c, row in shown.iterrows() for k, v in row.items()]
values += [("dl_log", f"overlap of first {top_k}, two {k}s", t["overlap"].mean()) for k, t in alike.items()]
values += [("dl_log", f"spearman, two {k}s", t["spearman"].mean()) for k, t in alike.items()]
values += [(method, f"{o} (%)", row[o]) for method, row in gap.iterrows() for o in explain.ORDERS]
values += [(method, f"precision at {len(true)}", v) for method, v in reach.items()]
values += [(f"deeplift package, {rule}", "largest relative difference", v) for rule, v in oracle.items()]
shown = steady.query("run != 'mean'").groupby("class")["led"].sum()
values += [("dl_log", f"seeds with markers first:{c}", n) for c, n in shown.items()]
shown = steady.query("run == 'mean'").droplevel("run")["first"]
values += [("dl_log, mean D1", f"first marker's rank:{c}", r) for c, r in shown.items()]
values += [(f"dl_log, {row.run}", f"rank:{row.list}:{row.mirna}", row.rank) for row in places.itertuples()]

# %%
shown = {"task": label, "dataset": info["name"], "features": task.features, "scheme": "all samples", "seed": seed}
shown |= {"n_samples": len(task.y), "n_datasets": task.groups.nunique(), "ci_low": None, "ci_high": None}
values = [shown | {"model": m, "metric": q, "value": float(v)} for m, q, v in values if pd.notna(v)]

# %%
numbers = {
    "samples, studies, classes": f"{len(task.y)}, {task.groups.nunique()}, {len(task.classes)}",
    f"first {top_k} of a class that two seeds share": f"{alike['seed']['overlap'].mean():.0%}",
    "gaps PGI, random, PGU (each sample's own order)": ", ".join(
        f"{gap[o]['DeepLIFT, local']:.0f} %" for o in explain.ORDERS
    ),
    "true biomarkers found": f"{reach['DeepLIFT, ranks averaged']:.2f}; one {reach['DeepLIFT, one network']:.2f}",
}

# %%
close(
    out,
    "05_explainability",
    title="Why did the network say that, and can the explanation be believed?",
    info=info,
    records=values,
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "label": label, "n_seeds": n_seeds},
    predictions=unseen.table.rename_axis("sample_id").reset_index(),
)

# %% [markdown]
# ## Limits
#
# * A contribution says what the network used, not what the biology is. sRNAs that rise together (the arms of one
#   stem-loop, a cluster) can stand in for each other, so equally accurate networks may lean on different ones: that is
#   why their rankings differ, and what averaging ranks repairs. It does not repair what all of them learned wrongly,
#   such as the mark of a laboratory that alone contributed a class.
# * D1, baseline methods and gaps describe samples that the networks were trained on; the single samples are unseen.
# * Masking to the mean makes samples that do not exist; a prediction gap measures the network, not nature.
# * The lists of a class with few studies are lists of those studies: look at the intervals.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Which class changes its first ten most when the reference changes, and which least? Guess, then compare the two
# entries of `stories` with `explain.agreement`.

# %% tags=["answer"]

# %% tags=["solution"]
shown = explain.agreement(stories, min(10, average.shape[1]))
shown.set_index("class")["overlap"].sort_values()

# %% [markdown] tags=["exercise"]
# **2.** RevealCancel lets what raises and what lowers a unit count separately. Guess how many of the first sRNAs of a
# class it shares with Rescale.

# %% tags=["answer"]

# %% tags=["solution"]
shown = {"rescale": by_seed[f"seed {seed}"], "revealcancel": score(network, rule="revealcancel")}
explain.agreement(shown, top_k).set_index("class")["overlap"]

# %% [markdown] tags=["exercise"]
# **3.** By hand, each sRNA was masked alone. Guess how many of the ten that matter most by hand DeepLIFT also ranks
# among its first ten for this sample.

# %% tags=["answer"]

# %% tags=["solution"]
here = unseen.explain(sample.index[0], reference="mean")
shown = here.values[0, np.argsort(-here.logits[0])[:2]]
shown = pd.DataFrame({"DeepLIFT": shown[0] - shown[1], "by hand": odds[0] - odds[2:]}).abs()
len(shown["DeepLIFT"].nlargest(10).index.intersection(shown["by hand"].nlargest(10).index))

# %% [markdown]
# ## What to try next
#
# * Sex and age, where an atlas knows them: `srna run 05 --dataset tcga -p label=sex`.
# * Another reference: samples of your own as `reference` in `srna.explain`, such as some of the sample's own study.
# * Notebook 06 masks sRNAs in DeepLIFT's order until a prediction flips.
#
# ## Glossary
#
# * **contribution**: what an sRNA adds to a class's logit in one sample, compared with the reference; over all sRNAs
#   they sum to the logit's difference.
# * **D1**: contribution to the own class minus the mean contribution to the others, averaged over a class (the paper).
# * **logit**: what the last layer of the network puts out for a class, before it becomes a probability.
# * **log-odds**: logarithm of the ratio of two classes' probabilities; here the difference between their logits.
# * **masking**: replacing the input of one sRNA by what says nothing: here its mean over the training samples.
# * **PGI, PGU**: prediction gaps; what is lost of the true class's probability when important, or unimportant, sRNAs
#   are masked first.
# * **reference**: the sample that contributions compare with: the average one, or an empty library.
# * **Rescale, RevealCancel**: DeepLIFT's two rules for sharing out the change of a unit among its inputs.
#
# ## References
#
# * Fiosina J, Fiosins M, Bonn S (2020). Explainable deep learning for augmentation of small RNA expression profiles.
#   *Journal of Computational Biology* 27(2), 234-247.
# * Shrikumar A, Greenside P, Kundaje A (2017). Learning important features through propagating activation differences.
#   *ICML*.
# * Sundararajan M, Taly A, Yan Q (2017). Axiomatic attribution for deep networks. *ICML*.
