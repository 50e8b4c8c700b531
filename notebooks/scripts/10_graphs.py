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
# # Does a graph of miRNAs help a model that has few samples?
#
# **You will learn** how to build graphs of miRNAs (families, genomic clusters, co-expression, shared diseases, or your
# own list of edges); what a graph convolution computes; whether the neighbours of a miRNA say more about it than other
# miRNAs do; and whether a network that knows the graph needs fewer samples to tell tissue or sex. The method is that of
# Dutil and colleagues (2018), made for genes; a later study found random graphs to do almost as well there.
#
# **Reads** a named data set (`dataset`). **Writes** `results/10_graphs.json` (every mean with its interval),
# `results/10_graphs.parquet` (AUC of every repetition) and a card, below `out`. **Takes** seconds in profile `smoke`,
# one or two minutes in `demo`, some minutes in `full`. Words in *italics* stand in the glossary at the end.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), mirome, open_atlas (real), tcga (real, with sex) ...
profile: str = "demo"  # smoke (few samples and small models, for tests), demo, full (everything)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # repetitions at a time
label: str = "tissue_group"  # column that is predicted, beside sex
k: int = 10  # nearest neighbours of a miRNA in the graphs of co-expression and of diseases
edges: str = ""  # a graph of your own: text file of two miRNA names a line, a tab between
graph: str = "coexpression"  # graph that the networks get: coexpression, family, cluster, disease, own or union

# %%
import functools
import operator

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import srna_lib as srna
from srna_lib import companions
from srna_lib.report import close, open_dataset, say

# %%
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)

# %%
atlas = srna.data.subsample(atlas, label, per_study={"smoke": 4}.get(profile), seed=seed)
atlas = atlas[:, (atlas.var["biotype"] == "miRNA").to_numpy()].copy()
counts, studies = srna.data.counts_frame(atlas), atlas.obs["dataset_id"]

# %%
say(f"{len(counts)} samples of {studies.nunique()} studies, {counts.shape[1]} miRNAs.")

# %% [markdown]
# ## One miRNA and its family, by hand
#
# A graph says which miRNAs belong together. The simplest one: two miRNAs are joined where they are of one family and
# of the same arm, for then they share the seed that finds their targets. Take the most abundant miRNA that has two such
# neighbours. Is it above its mean in a sample, if all that is known is the mean level of its neighbours there? No
# training is needed: the neighbours' mean is the score, and the *AUC* says how well it sorts the samples. **Guess the
# AUC**, and that of a miRNA drawn at random.

# %%
family = companions.mirna_graph(atlas.var, "family")
level = srna.models.LogCPM().fit_transform(counts)
level = pd.DataFrame(level, columns=counts.columns).sort_index(axis=1, key=lambda names: -level.mean(axis=0))

# %%
target = next((name for name in level if family[name].sum() > 1), level.columns[0])
above = level[target] > level[target].mean()
shown = level[family.index[family[target]]].mean(axis=1)
chance = [roc_auc_score(above, level[name]) for name in level.columns[:50].drop(target, errors="ignore")]

# %%
say(f"""
`{target}` has the neighbours {", ".join(f"`{name}`" for name in family.index[family[target]])}. **Their mean sorts the
samples with an AUC of {roc_auc_score(above, shown):.2f}; single miRNAs among the most abundant reach
{np.median(chance):.2f} in the median.**
""")

# %% [markdown]
# That was one miRNA, and two traps were left open. Reads per million add up to a million: with the target in the sum,
# what the others lack is the target. And samples of one study resemble each other: a neighbour that knows the study
# knows much. Below, the target (with the other arm of its stem-loop) leaves before the sum is taken, and a model is
# trained on some studies and tested on others.
#
# ## Four graphs
#
# Families and clusters are read off the genome, diseases off the literature (HMDD). *Co-expression* joins each miRNA
# with those that rise and fall with it; it has to be learned, so it gets studies of its own in every repetition. Here,
# only for a look, it is built on all samples. **Which two graphs share most edges, do you think?**

# %%
kinds = srna.explain.collections(label, simulated=bool(info["simulated"]))
graphs = {kind: companions.mirna_graph(atlas.var, kind, k=k) for kind in kinds if kind in companions.KINDS}

# %%
if edges:
    graphs["own"], shown = companions.read_edges(edges, atlas.var_names)
graphs = {name: g for name, g in graphs.items() if g.to_numpy().any()}
graphs["union"] = functools.reduce(operator.or_, graphs.values())

# %%
shown = companions.mirna_graph(atlas.var, "coexpression", counts=counts, k=k)
companions.graph_table(graphs | {"coexpression": shown}).style.format(precision=1)

# %% [markdown]
# `joined` miRNAs have a neighbour, those `alone` have none. The arms of one stem-loop are never joined: they are one
# transcript, and one would give the other away.
#
# ## Do neighbours tell a miRNA?
#
# *Single-miRNA inference*: is the target above its mean in this sample? A logistic regression learns it from fifty
# samples of some studies and is asked in others. Its inputs are the target's neighbours, as many miRNAs drawn at
# random, or all miRNAs. **Rank the graphs before you look, and say whether all miRNAs together beat a good graph.**

# %%
repeats = {"smoke": 2}.get(profile, 10)
infer = functools.partial(companions.infer_single, counts, studies, graphs, k=k, seed=seed, n_jobs=n_jobs)

# %%
told = infer(n_targets={"smoke": 4, "demo": 20}.get(profile, 60), seeds=repeats)
told_mean = companions.over_seeds(told, ["graph", "inputs"])

# %%
drawn = f"means and 95 % t intervals over {repeats} draws of studies"

# %%
named = {"auc": "AUC", "n_train": "training samples", "rewired": "rewired edges"}
headline = srna.pl.metrics(
    told_mean,
    "graph",
    "inputs",
    title="How well is a miRNA told by its neighbours in each graph?",
    caption=f"{told['n_train'].max()} training, up to {told['n_samples'].max()} test samples of other studies; {drawn}",
    labels=named,
)
headline

# %% [markdown]
# Each graph has targets of its own (a miRNA without neighbours cannot be asked), so compare within a graph. The
# differences below are taken draw by draw, on the same targets.

# %%
added = companions.gains(told, ["graph"], "inputs", "neighbours", ["random", "all"])
srna.pl.gains(
    added,
    "comparison",
    what="difference of AUC",
    title="What the neighbours in a graph add to random, or to all, miRNAs",
    caption=drawn,
)

# %%
over_random = added[added["other"] == "random"].set_index("graph")
shown = added[added["other"] == "all"].sort_values("difference").iloc[-1]

# %%
say(f"""
**Neighbours tell a miRNA better than as many random ones by {over_random["difference"].min():+.3f}
(`{over_random["difference"].idxmin()}`) to {over_random["difference"].max():+.3f}
(`{over_random["difference"].idxmax()}`) of AUC.** Against all miRNAs together the best graph, `{shown["graph"]}`, is
at {shown["difference"]:+.3f} [{shown["ci_low"]:+.3f}, {shown["ci_high"]:+.3f}].
""")

# %% [markdown]
# Is all of that honest? Deal the target's share of the reads to other samples, so that nothing is left to tell, and ask
# again. **Anything but one half would be a leak.**

# %%
leak = infer(n_targets={"smoke": 4}.get(profile, 10), seeds={"smoke": 2}.get(profile, 5), shuffle=True)

# %%
leak_mean = companions.over_seeds(leak, ["inputs"])
leak_mean.style.hide().format(precision=3)

# %% [markdown]
# ## A network that knows the graph
#
# A *graph convolution* gives each miRNA two sets of channels: one from the mean over its neighbours (through the
# normalised graph), one from itself (the skip path). Then miRNAs that are close in the graph are *pooled* to clusters,
# and the clusters get a graph of their own: two are joined where any of their miRNAs are. By hand, for a chain of four:

# %%
chain = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]], dtype=bool)
shown = companions.coarsen(chain, 2)
pd.DataFrame(companions.normalise(chain)).style.format(precision=2)

# %%
say(f"""
The rows say how much of each neighbour goes into the mean; the largest eigenvalue is
{np.linalg.eigvalsh(companions.normalise(chain)).max():.3f}, so smoothing never blows up. Clusters of the four:
{shown[0].tolist()}; joined: {shown[1].tolist()}.
""")

# %% [markdown]
# When can this help? In a simulation the answer is known: two classes differ in four of twenty groups of features, the
# libraries are so shallow that a single feature says little, and the true graph joins the features of a group. The same
# network gets the true graph; a random one in which each feature has as many neighbours; or none. **At which size will
# the plain network have caught up?**

# %%
steps = {"smoke": 20}.get(profile, 250)
simulated, blocks = companions.simulate_blocks({"smoke": 1500}.get(profile, 6000), seed=seed)

# %%
curve = functools.partial(companions.learning_curve, simulated, blocks, steps=steps, seeds=repeats, seed=seed)
curve = functools.partial(curve, n_nodes={"smoke": 40}.get(profile, 400))

# %%
sim = curve(sizes=(50,), shares={"smoke": (0, 1)}.get(profile, (0, 0.25, 0.5, 0.75, 1)))
sim = pd.concat([sim, curve(sizes={"smoke": (), "demo": (2000,)}.get(profile, (200, 2000)))])
sim["task"] = "simulated groups"

# %%
partly = sim["rewired"].between(0, 1, inclusive="neither")
sim_mean = companions.over_seeds(sim[~partly], ["n_train", "model"])

# %%
srna.pl.metrics(
    sim_mean.astype({"n_train": str}),
    "n_train",
    "model",
    title="Simulated groups: AUC over the number of training samples",
    caption=f"test samples of other studies; {drawn}",
    labels=named,
)

# %%
sim_gain = companions.gains(sim, ["n_train"], "model", "graph network", ["network"]).set_index("n_train")["difference"]
lost = companions.gains(sim, ["n_train"], "model", "100% rewired", ["network"]).set_index("n_train")["difference"]

# %%
say(f"""
**With {sim_gain.index[0]} samples the true graph gains {sim_gain.iloc[0]:+.3f} of AUC over the plain network, with
{sim_gain.index[-1]} samples {sim_gain.iloc[-1]:+.3f}. A random graph of the same degrees, with {lost.index[0]} samples:
{lost.iloc[0]:+.3f}.**
""")

# %% [markdown]
# ## How good must a graph be?
#
# Real graphs are wrong in places. Rewire a growing share of the true edges (every feature keeps its number of
# neighbours) before the network gets it. **How many wrong edges does it take** until the gain is gone?

# %%
quality = sim[(sim["n_train"] == 50) & (sim["model"] != "graph logistic")].dropna(subset="rewired")

# %%
quality_mean = companions.over_seeds(quality.sort_values("rewired"), ["rewired"]).assign(model="graph network")
quality_mean["rewired"] = quality_mean["rewired"].map("{:.0%}".format)

# %%
srna.pl.metrics(
    quality_mean,
    "rewired",
    "model",
    title="Simulated groups: AUC over the share of rewired edges",
    caption=f"50 training samples; {drawn}",
    labels=named,
)

# %% [markdown]
# ## Tissue and sex with few samples
#
# Now the real question, on this atlas: does the graph network need fewer samples? It stands beside a logistic
# regression, a plain network, the same network without edges or with a random graph, and a logistic regression whose
# weights are drawn to those of their neighbours (*graph logistic*). Classes are the widest, with six studies at least;
# studies for the graph, for training and for the test are not the same. **Who wins at the smallest size?**

# %%
tasks = companions.label_tasks(atlas, dict.fromkeys([label, "sex"]))
curves = functools.partial(companions.learning_curves, tasks, graphs.get(graph), steps=steps, k=k, seed=seed)
curves = functools.partial(curves, n_nodes={"smoke": 40, "demo": 100}.get(profile, 200), seeds=repeats)

# %%
curves = curves(sizes={"smoke": (25, 50), "demo": (25, 50, 200)}.get(profile, (25, 50, 100, 200, 400)))
curves_mean = companions.over_seeds(curves, ["task", "n_train", "model"])

# %%
srna.pl.metrics(
    curves_mean.assign(metric=curves_mean["task"].map("AUC of {}".format)).astype({"n_train": str}),
    "n_train",
    "model",
    title="AUC over the number of training samples",
    caption=f"graph: {graph}; test samples of other studies; {drawn}",
    labels=named,
)

# %%
gained = functools.partial(companions.gains, curves, ["task", "n_train"], "model", "graph network")
gained = gained(["logistic", "network", "100% rewired"])
shown = gained[gained["n_train"] == gained["n_train"].min()]

# %%
srna.pl.gains(
    gained[gained["n_train"] <= 50],
    "comparison",
    what="difference of AUC: graph network – other model",
    title="What the graph network gains where samples are few",
    caption=f"rows: label, training samples – other model; {drawn}",
)

# %%
say(f"""
**Of {len(gained)} comparisons of the graph network with another model, {(gained["ci_low"] > 0).sum()} are decided in
its favour and {(gained["ci_high"] < 0).sum()} against it.** With the fewest samples:
{"; ".join(shown["told"]) or "not known"}.
""")

# %% [markdown]
# ## What it means for notebooks 02 to 06
#
# Two questions were asked, and they need not have one answer. That neighbours tell a miRNA means that miRNAs come in
# groups: an *importance* of one (05) is shared by its neighbours, a masked one (06) can be read off the others, and
# lists of single miRNAs look less stable than lists of groups. Whether a *model* should be given the graph is another
# matter: tissue (02) and sex (03) are told by many miRNAs at once, and a ridge penalty already averages over what rises
# and falls together. The comparisons above say which holds here.

# %%
say(f"""
**{info["lesson"]}.** AUC of neighbours less that of as many random miRNAs:
{"; ".join(over_random["told"])}.

Graph network less other models, over all labels and sizes: {gained["difference"].median():+.3f} in the median.
""")

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are, and what the simulation guarantees.

# %% tags=["checks"]
shown = companions.normalise(graphs["union"].to_numpy()).astype(float)
assert (shown == shown.T).all() and abs(np.linalg.eigvalsh(shown)).max() <= 1 + 1e-6
assert not told.duplicated(["seed", "target", "graph", "inputs"]).any()
assert pd.concat([told, leak, sim, curves])["auc"].between(0, 1).all()
if profile != "smoke":
    assert leak_mean["value"].sub(0.5).abs().max() <= 0.05, "a target dealt to other samples cannot be told"
    assert sim_gain.iloc[0] >= 0.05 and sim_gain.iloc[-1] <= 0.02, "the graph helps where samples are few"
    assert lost.iloc[0] < 0.02, "a random graph of the same degrees loses the gain"

# %%
records = {
    "single miRNA": told_mean.rename(columns={"inputs": "model", "graph": "features"}),
    "single miRNA, dealt": leak_mean.rename(columns={"inputs": "model"}).assign(features="all graphs"),
    "simulated groups": sim_mean.assign(features="n = " + sim_mean["n_train"].astype(str)),
    "rewired groups": quality_mean.rename(columns={"rewired": "features"}),
}

# %%
records = [table.assign(task=name) for name, table in records.items()]
records = pd.concat([*records, curves_mean.assign(features=curves_mean["n_train"].map("n = {}".format))])
records = records.assign(dataset=info["name"], scheme="studies apart", seed=seed)
records = records.assign(n_samples=len(counts), n_datasets=studies.nunique())

# %%
records = records[list(srna.report.RECORD_FIELDS)].astype(object)
records = records.where(records.notna(), None).to_dict("records")

# %%
numbers = {
    "neighbours less random ones": "; ".join(over_random["told"]),
    "target dealt to other samples": ", ".join(leak_mean["inputs"] + " " + leak_mean["value"].map("{:.3f}".format)),
    "gain of the true graph in a simulation": f"{sim_gain.iloc[0]:+.3f} with {sim_gain.index[0]} samples",
    "graph network against others": f"{(gained['ci_low'] > 0).sum()} won, {(gained['ci_high'] < 0).sum()} lost",
}

# %%
close(
    out,
    "10_graphs",
    title="Does a graph of miRNAs help a model that has few samples?",
    info=info,
    records=records,
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "label": label, "k": k, "graph": graph, "edges": edges},
    predictions=pd.concat([told.assign(task="single miRNA"), sim, curves], ignore_index=True),
)

# %% [markdown]
# ## Limits
#
# * Draws of studies overlap, so the intervals over draws are too narrow for studies of other laboratories.
# * Members of a family resemble each other in sequence: some of their reads are taken for one another's, and agree for
#   that reason alone.
# * A graph from the literature (HMDD) joins what is studied much, and what is studied much is abundant.
# * The networks have one setting for all tasks and sizes; a search at each size might move them a little.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Which miRNAs are told best by their family, and which worst? Guess one of each.

# %% tags=["answer"]

# %% tags=["solution"]
shown = told[(told["graph"] == told["graph"].iloc[0]) & (told["inputs"] == "neighbours")]
shown.groupby("target")["auc"].mean().sort_values(ascending=False).iloc[[0, 1, 2, -3, -2, -1]].round(3)

# %% [markdown] tags=["exercise"]
# **2.** A graph without an edge: what is its normalised graph, and what does the convolution compute then?

# %% tags=["answer"]

# %% tags=["solution"]
companions.normalise(np.zeros((3, 3))).tolist()  # the identity: each miRNA for itself

# %% [markdown] tags=["exercise"]
# **3.** Rewire the whole graph of families. How many of its edges are still there, and what about the degrees?

# %% tags=["answer"]

# %% tags=["solution"]
shown = companions.rewire(family.to_numpy(), 1.0, seed=seed)
int((shown & family.to_numpy()).sum() // 2), bool((shown.sum(axis=0) == family.sum()).all())

# %% [markdown]
# ## What to try next
#
# * Your own graph: `srna run 10 -p edges=my_edges.tsv -p graph=own`.
# * Another graph for the networks: `srna run 10 -p graph=union`.
# * Sex on real samples: `srna run 10 --dataset tcga -p label=sex`.
#
# ## Glossary
#
# * **AUC**: area under the ROC curve; the chance that a sample of the class gets a higher score than one of another.
#   One half is the chance level.
# * **co-expression**: miRNAs that rise and fall together over samples; here each with its nearest ones.
# * **graph convolution**: a layer in which each node hears the mean of its neighbours.
# * **graph logistic**: logistic regression with a penalty on neighbours whose weights differ in size.
# * **importance**: how much a model's answer hangs on one input.
# * **pooled**: replaced by the mean of its cluster.
# * **single-miRNA inference**: to tell whether one miRNA is above its mean, from others.
#
# ## References
#
# * Dutil F, Cohen JP, Weiss M, Derevyanko G, Bengio Y (2018). Towards gene expression convolutions using gene
#   interaction graphs. *ICML Workshop on Computational Biology*.
# * Hashir M, Bertin P, Weiss M, Frappier V, Perkins TJ, Boucher G, Cohen JP (2019). Is graph-based feature selection of
#   genes better than random? *Machine Learning in Computational Biology*.
