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
# ---

# %% [markdown]
# # What is in the atlas, and what separates its samples: tissue or laboratory?
#
# **You will learn** what a collection of small-RNA samples from many studies looks like: who contributed
# what, how deep and how sparse it is, what a filter on zeros throws away, and, measured and not just seen,
# how far samples group by tissue and how far by the laboratory that made them.
#
# **Reads** a named data set (`dataset`). **Writes** `results/01_data_exploration.json` and a card with the
# headline figure below `out`. **Takes** seconds in profile `smoke`, a minute or two in `demo`, minutes in
# `full`. Words in *italics* stand in the glossary at the end.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), mirome, open_atlas or any of `srna datasets list`
profile: str = "demo"  # smoke (few samples, for tests), demo, full (every sample, the maps up to 5000)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # processes; the maps use one, so that they are reproducible
label: str = "tissue_group"  # column that names the class of a sample
min_class_size: int = 15  # classes with fewer samples are left out of the maps
k: int = 10  # neighbours that a sample is compared with
max_zero_share: float = 0.3  # the filter that is looked at: highest share of zeros of an sRNA

# %%
import numpy as np
import pandas as pd

import srna_lib as srna
from srna_lib import explore
from srna_lib.report import close, open_dataset, say

# %%
atlas, info = open_dataset(dataset, profile=profile, seed=seed)
atlas, label, min_class_size, note = explore.prepare(atlas, label, min_class_size=min_class_size)
say(note)

# %% [markdown]
# ## One sample and its double
#
# Before any library: take some samples, replace each by the ranks of its small RNAs, and find for each the one
# that is most like it. **What do you expect:** how often does the nearest sample come from the same study? And
# how often from the same tissue?

# %%
from sklearn.neighbors import NearestNeighbors

some = atlas[np.random.default_rng(seed).permutation(atlas.n_obs)[:300]]
nearest = NearestNeighbors(n_neighbors=1).fit(some.to_df().rank(axis=1)).kneighbors()[1][:, 0]

# %%
obs = some.obs.astype(object)
same = (obs == obs.iloc[nearest].to_numpy()).mean()
say(f"Of the nearest samples **{same['dataset_id']:.0%} are of the same study**, {same[label]:.0%} of the same class.")

# %% [markdown]
# A study works on its own tissue, so two samples that are alike may share both, and one number cannot say which of them
# makes them alike. The rest of this page takes them apart.
#
# ## What is in it?
#
# An atlas is a table of raw read counts, samples by small RNAs (*sRNAs*), with a few columns about every
# sample. The one that must never be missing is the study it comes from.

# %%
explore.readable(explore.summarise(atlas, label).round(3), {"value": "{:,.12g}"})

# %%
explore.readable(explore.biotype_table(atlas), {"share_of_reads": "{:.1%}", "mean_share_in_sample": "{:.1%}"})

# %% [markdown]
# If two samples had exactly the same counts, they would be one library that was entered twice; a random
# split could then train on a sample and test on its copy. Are there any?

# %%
explore.readable(explore.duplicate_profiles(atlas))

# %% [markdown]
# Where collections were joined, a library that two of them processed has different counts in each:
# accessions find those, and one copy is kept. These were removed, by study:

# %%
explore.readable(explore.shared_studies(atlas).head(10))

# %% [markdown]
# ## Studies and tissues: who contributed what?
#
# Each column below is a study, each row a class. In a balanced design the columns would be filled from top
# to bottom. **What do you expect?** A laboratory sequences what it works on. Studies of a single class form the
# staircase on the left; only those on the right can tell class from laboratory.

# %%
counts = explore.study_class_counts(atlas, label)
caption = srna.pl.caption(int(counts.to_numpy().sum()), len(counts), extra="no split: nothing is predicted here")
srna.pl.study_class_heatmap(counts, title="Which study brings which class?", caption=caption)

# %%
studies = explore.study_table(atlas, label)
explore.readable(studies.head(3), {"median_reads": "{:,.0f}"})

# %%
say(f"""
**{(studies["n_classes"] == 1).mean():.0%} of the {len(studies)} studies hold a single class, and with it
{studies["n_samples"][studies["n_classes"] == 1].sum() / studies["n_samples"].sum():.0%} of all samples**: there, class
and study say the same. Studies are uneven, too: the median study has {studies["n_samples"].median():.0f} samples.
""")

# %% [markdown]
# The other way round: how many studies stand behind a class? *Effective studies* is the number of equally
# large studies that would be as diverse. Near one, whatever is typical of the class may as well be typical
# of the laboratory.

# %%
classes = explore.class_table(atlas, label).sort_values("effective_studies")
explore.readable(classes, {"largest_share": "{:.0%}", "effective_studies": "{:.1f}"})

# %%
say(f"""
**{(classes["effective_studies"] < 2).sum()} of {len(classes)} classes rest on fewer than two effective studies.** For
such a class no analysis of this atlas can tell tissue from laboratory, however good its score.
""")

# %% [markdown]
# ## Whose samples are they?
#
# Sex and age show in small RNAs, too. Where they are unknown, nobody can say whether a class differs from another
# by tissue or by its donors; where a class holds one sex only, they cannot be told apart. **Of how many samples
# would you expect to know them** in data that authors submitted to a public archive?

# %%
people, by_study = explore.people(atlas, label), explore.people(atlas, "dataset_id")
caption = srna.pl.caption(int(people["n_samples"].sum()), len(studies), extra="the rest of a bar is unknown")
srna.pl.people(people, title="Of whom are sex and age known?", caption=caption)

# %%
say(f"""
Sex is known for a sample of {(by_study["sex_known"] > 0).sum()} of {len(studies)} studies, age of
{(by_study["age_known"] > 0).sum()}; **{people["one_sex"].sum()} of {len(people)} classes hold one sex only.**
""")

# %% [markdown]
# ## How deep are the samples?
#
# Depth is the number of reads counted in a sample. A rare sRNA is absent from a shallow sample for no
# biological reason, so a class of shallow samples looks different before biology has a say. **What do you
# expect:** by what factor do samples of one atlas differ?

# %%
samples = explore.sample_table(atlas, label)
caption = srna.pl.caption(len(samples), len(studies), extra="one dot per sample, box: quartiles")
srna.pl.depth(samples, title="How many reads does a sample have?", caption=caption)

# %%
depth = explore.depth_facts(samples)
say(f"""
Nine samples in ten have {depth.low:,.0f} to {depth.high:,.0f} reads, a factor of {depth.high / depth.low:.0f}; the
medians of the classes differ by a factor of {depth.class_factor:.0f}. The rank correlation of a sample's depth with the
number of sRNAs detected in it is {depth.detected:.2f}. **Counts must be normalised before samples are compared, and a
zero means less in a shallow sample than in a deep one.**
""")

# %% [markdown]
# ## How sparse is it, and what does a filter keep?
#
# An sRNA without a read in most samples is hard to learn from. The paper (Fiosina and others, 2020) drops an sRNA
# that has zeros in more than the share of samples given as `max_zero_share`; a loose filter keeps all that are
# present in a tenth of them. **How many sRNAs would you expect on each side of the two lines?**

# %%
task, loose = srna.make_task(atlas, label, min_class_size=min_class_size), 0.9
caption = srna.pl.caption(len(task.y), task.groups.nunique(), extra="dashed: the two filters")
srna.pl.zeros(
    explore.zero_share(task.X), (max_zero_share, loose), title="How often is an sRNA absent?", caption=caption
)

# %% [markdown]
# Does a filter that drops many sRNAs also drop the reads?

# %%
effect = explore.filter_effect(task.X, sorted({*np.linspace(0, 1, 21).round(2), max_zero_share, loose}), task.y)
srna.pl.filter_curve(effect, (max_zero_share, loose), title="What does a filter on zeros keep?", caption=caption)

# %%
strict, lenient = effect.set_index("max_zero_share").loc[[max_zero_share, loose]].itertuples()
say(f"""
The filter at {strict.Index:.0%} keeps {strict.n_features} of {task.X.shape[1]} sRNAs, the one at {lenient.Index:.0%}
keeps {lenient.n_features}.

With them stay {strict.share_reads:.1%} and {lenient.share_reads:.1%} of the reads of an average sample.
""")

# %% [markdown]
# And whose reads are dropped? What marks a small class is rare in the whole. These sRNAs go although they are common
# within some class:

# %%
markers = explore.lost_markers(task.X, task.y, max_zero_share)
explore.readable(markers.head(10), {"zero_share_in_class": "{:.0%}", "zero_share": "{:.0%}"})

# %%
say(f"**{len(markers)} of the sRNAs that the strict filter drops are common within some class**; above, the first ten.")

# %% [markdown]
# ## A map of the samples
#
# Counts become *log2 CPM* (normalised values stay as they are), these become principal components, and
# openTSNE and UMAP lay them out in a plane, starting from the first two components and with a fixed seed. Each
# map is shown twice: coloured by class, and by study. **If tissue alone shaped the map, how would the right panel
# look within an island of the left one?**

# %%
rows = np.random.default_rng(seed).permutation(len(task.y))[: {"smoke": 300, "demo": 1200, "full": 5000}[profile]]
rows = np.sort(rows)
y, groups = task.y.iloc[rows], task.groups.iloc[rows]
pcs = explore.principal_components(task.X.iloc[rows], seed=seed)

# %%
what = f"{pcs.attrs['scale']}, {pcs.shape[1]} principal components"
caption = srna.pl.caption(len(y), groups.nunique(), extra=f"{what}; no split: labels are not used")
described = pd.concat([y.rename(label), groups.rename("dataset_id")], axis=1)

# %%
tsne = explore.embed(pcs, "opentsne", seed=seed, n_iter={"smoke": 250}.get(profile, 500))
headline = srna.pl.embedding_pair(
    tsne.join(described),
    label,
    axis="openTSNE",
    names=("coloured by class", "coloured by study (hover for its name)"),
    title="Tissue or laboratory? (openTSNE)",
    caption=caption,
)
headline

# %% [markdown]
# Compare the panels island by island: where an island of one class on the left is also of one study on the
# right, its class may not be what holds it together. Does another method draw another picture?

# %%
umap = explore.embed(pcs, "umap", seed=seed)
caption += "; UMAP rounds as the processor does: another kind may draw another map of the same neighbours"
srna.pl.embedding_pair(umap.join(described), label, axis="UMAP", title="The same by UMAP", caption=caption)

# %% [markdown]
# Whatever differs between the maps is the method's. And a map is not a measurement: the eye is drawn to large studies,
# and where a study holds one class, its island is also that class's island. So count.
#
# ## Measuring it: who are the nearest neighbours?
#
# For every sample take its nearest neighbours among the principal components and ask what they share with
# it. To tell class from study, hold one of them fixed:
#
# * look at neighbours **among other studies** only: does tissue still show between laboratories?
# * look at neighbours **within the own class** only: does the laboratory still show within a tissue?
#
# Each share is compared with what chance would give, and with the most that the numbers of samples allow.
# **Write down your guess for both.**

# %%
shares = explore.neighbour_share(pcs, y, groups, k=k, seed=seed)
what = f"share of the k = {k} nearest neighbours; 95 % intervals by bootstrap over studies; no split"
caption = srna.pl.caption(len(y), groups.nunique(), metric=what)
srna.pl.neighbours(shares, title="What do the nearest neighbours of a sample share with it?", caption=caption)

# %%
decisive = shares.set_index("metric").loc[["neighbour_study_within_class", "neighbour_class_across_studies"]]
batch, tissue = decisive.itertuples()

# %%
say(f"""
**Within the own class, {batch.observed:.0%} of the neighbours are of the same study** [{batch.ci_low:.0%},
{batch.ci_high:.0%}], where chance gives {batch.chance:.0%} and {batch.ceiling:.0%} is possible. The tissue is the same
for all candidates: what lies between is the *batch effect*.

**Among other studies, {tissue.observed:.0%} are of the same class** [{tissue.ci_low:.0%}, {tissue.ci_high:.0%}], where
chance gives {tissue.chance:.0%} and {tissue.ceiling:.0%} is possible. The laboratory differs for all candidates: what
lies between is biology that carries over.
""")

# %% [markdown]
# ## Do other measures agree?
#
# Two more views of the same components. The variance of samples can be split into class, study within
# class, and the rest (adjusted for the number of groups). The *silhouette* asks whether a sample lies closer
# to its own group than to the next one, from -1 to 1.

# %%
variance = explore.variance_explained(pcs, y, groups)
explore.readable(variance, {"share": "{:.0%}"})

# %%
explore.readable(explore.silhouettes(pcs, y, groups, seed=seed).round(2))

# %% [markdown]
# And the shares of neighbours again, within the two maps. **Do the maps keep what the components say?**

# %%
points = {"PCA": pcs, "openTSNE": tsne, "UMAP": umap}
measured = pd.concat(
    {m: explore.neighbour_share(points[m], y, groups, k=k, seed=seed) for m in points}, names=["model"]
)
measured = measured.reset_index("model")
measured.pivot(index=["share", "candidates"], columns="model", values="observed").style.format("{:.1%}")

# %% [markdown]
# ## Take-home

# %%
say(f"""
**{info["lesson"]}.** Of the nearest neighbours within a class, **{batch.observed:.0%} come from the same study
({batch.chance:.0%} by chance); of those in other studies, {tissue.observed:.0%} are of the same class
({tissue.chance:.0%} by chance).**
""")

# %% [markdown]
# **The first pair of numbers is the laboratory, the second the tissue. A random split puts samples of one study on both
# sides, where the laboratory helps to answer. Only a split that keeps studies whole asks for the tissue.**
#
# ## Checks
#
# What must hold whatever the data are.

# %% tags=["checks"]
assert len(pcs) == len(tsne) == len(umap) == len(y) and tsne.notna().all(axis=None)
assert counts.to_numpy().sum() == atlas.obs[label].notna().sum()
assert effect["n_features"].is_monotonic_increasing and effect["n_features"].iloc[-1] == task.X.shape[1]
shares = shares.dropna(subset="observed")
assert (shares["observed"] <= shares["ceiling"] + 1e-9).all()
assert shares["observed"].between(shares["ci_low"] - 1e-9, shares["ci_high"] + 1e-9).all()
assert np.isclose(variance["share"].sum(), 1)

# %%
what = f"{pcs.attrs['scale']}, PCs"
records = explore.share_records(measured, task=label, dataset=info["name"], features=what, seed=seed)
# %%
numbers = {
    "samples": f"{atlas.n_obs} of {len(studies)} studies",
    "sRNAs": f"{atlas.n_vars}, {strict.n_features} after the filter at {max_zero_share:.0%}",
    "neighbours of the same study, within a class": f"{batch.observed:.0%} (chance {batch.chance:.0%})",
    "neighbours of the same class, in other studies": f"{tissue.observed:.0%} (chance {tissue.chance:.0%})",
}

# %%
close(
    out,
    "01_data_exploration",
    title="What is in the atlas, and what separates its samples: tissue or laboratory?",
    info=info,
    records=records,
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "label": label, "min_class_size": min_class_size, "k": k},
)

# %% [markdown]
# ## Limits
#
# * Where a study holds one class, nothing here can say which of the two its samples share: look at `effective_studies`.
# * Shares of neighbours depend on the features. Other features may hide the laboratory, or show it more.
# * The maps are for looking. Distances between islands and their sizes mean little. openTSNE draws the same map on
#   every machine we tried; UMAP's loops are compiled for the processor and can draw another one on another kind.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** How do the two decisive shares change with the number of neighbours? Guess first: what limits the share of
# the own study from above when `k` grows?

# %% tags=["answer"]

# %% tags=["solution"]
again = pd.concat([explore.neighbour_share(pcs, y, groups, k=n, seed=seed) for n in (3, 10, 30)])
again.set_index(["metric", "k"]).loc[decisive.index, ["observed", "chance", "ceiling"]].round(3)

# %% [markdown] tags=["exercise"]
# **2.** Ranks within a sample ignore any monotone distortion of a library. Will they lessen the batch effect? Guess,
# then compute principal components of `SampleRanks()` and compare.

# %% tags=["answer"]

# %% tags=["solution"]
other = explore.principal_components(task.X.iloc[rows], transformer=srna.models.SampleRanks(), seed=seed)
again = explore.neighbour_share(other, y, groups, k=k, seed=seed).set_index("metric")
pd.DataFrame({"as it is": decisive["observed"], "ranks": again["observed"]}).loc[decisive.index].round(3)

# %% [markdown] tags=["exercise"]
# **3.** The simplest correction subtracts the mean of its study from each sample. What will it do to the batch
# effect, and what to the tissue signal? Think of the studies with a single class before you run it.

# %% tags=["answer"]

# %% tags=["solution"]
other = pcs - pcs.groupby(groups.to_numpy()).transform("mean")
again = explore.neighbour_share(other, y, groups, k=k, seed=seed).set_index("metric")
pd.DataFrame({"as it is": decisive["observed"], "centred": again["observed"]}).loc[decisive.index].round(3)

# %% [markdown]
# ## What to try next
#
# * `label = "tissue_top"` or another column of the atlas: which labels are mixed with the study least?
# * A loose filter before the components: does keeping rare sRNAs sharpen tissue, or study?
# * Notebook 02 turns this into a question of prediction: the same models, scored on random folds and on
#   whole studies.
#
# ## Glossary
#
# * **batch effect**: what samples share because they were made in the same laboratory, with the same kit, in one run.
# * **biotype**: kind of sRNA: miRNA, piRNA, fragments of tRNA and others.
# * **effective studies**: one over the sum of squared shares of the studies in a class (inverse Simpson index).
# * **log2 CPM**: logarithm of counts per million reads, plus one; makes samples of different depth comparable.
# * **silhouette**: mean distance to the next group minus that to the own group, over the larger of the two.
# * **sRNA**: small RNA of up to some tens of nucleotides, as counted in small-RNA sequencing.
#
# ## References
#
# * Fiosina, Fiosins and Bonn (2020), Explainable deep learning for augmentation of small RNA expression profiles,
#   Journal of Computational Biology 27:234-247.
# * Leek and others (2010), Tackling the widespread and critical impact of batch effects in high-throughput data,
#   Nature Reviews Genetics 11:733-739.
# * Poličar, Stražar and Zupan (2024), openTSNE, Journal of Statistical Software 109(3).
# * Rousseeuw (1987), Silhouettes, Journal of Computational and Applied Mathematics 20:53-65.
