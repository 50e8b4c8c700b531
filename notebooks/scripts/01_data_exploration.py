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
# `full`.

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
import html

import numpy as np
import pandas as pd
from IPython.display import display
from sklearn.preprocessing import FunctionTransformer

from srna_lib import explore, plots
from srna_lib.data import make_task
from srna_lib.models import SampleRanks
from srna_lib.report import open_dataset, say, write_card, write_results

# %%
plots.setup()
atlas, info = open_dataset(dataset, profile=profile, seed=seed)

# %%
wanted, label = label, explore.usable_label(atlas, label, min_class_size=min_class_size)
if label != wanted:
    say(f"`{wanted}` has no two classes that are large enough here: **the class is `{label}` from here on.**")
batch_column = explore.usable_batch(atlas)
if batch_column != "dataset_id":
    say(f"This data set is a single study: **where it says study from here on, read `{batch_column}`.**")
    atlas.obs["dataset_id"] = atlas.obs[batch_column].astype(object).fillna("unknown").astype(str)
counted = info["quantity"] == "counts"
no_counts = "Left out: the values of this data set are normalised, so they say nothing about reads."

# %% [markdown]
# ## What is in it?
#
# An atlas is a table of raw read counts, samples by small RNAs (sRNAs), with a few columns about every
# sample. The one that must never be missing is the study it comes from.

# %%
summary = explore.summarise(atlas, label)["value"]
shown = summary if counted else summary[~summary.index.str.contains("reads")]
printed = shown.map(lambda v: f"{v:,.0f}" if v > 1 else f"{v:.3g}").to_frame()
display(explore.readable(printed, {}))
if counted:
    formats = {"share_of_reads": "{:.1%}", "mean_share_in_sample": "{:.1%}"}
    display(explore.readable(explore.biotype_table(atlas).set_index("biotype"), formats))

# %% [markdown]
# If two samples had exactly the same counts, they would be one library that was entered twice; a random
# split could then train on a sample and test on its copy. Where collections were joined, a library that two of
# them processed has different counts in each: accessions find those, and one copy is kept.

# %%
twins = explore.duplicate_profiles(atlas)
n_twins = twins["group"].nunique()
say(f"Groups of samples with identical profiles: **{n_twins}**.")
if n_twins:
    display(explore.readable(twins.set_index("sample_id"), {}))

# %%
if "overlap" in info:
    shared = explore.shared_studies(info["overlap"])
    how = ", ".join(f"{n} by {by} accession" for by, n in info["overlap"]["by"].value_counts().items())
    say(f"**{shared['removed'].sum()} samples that a second collection holds too were removed** ({how}). By study:")
    display(explore.readable(shared.head(10).set_index("dataset_id"), {}))
else:
    say("This data set is one collection: no samples of another had to be removed.")

# %% [markdown]
# ## Studies and tissues: who contributed what?
#
# Each column below is a study, each row a class. In a balanced design the columns would be filled from top
# to bottom. Expect something else: a laboratory sequences what it works on. Studies of a single class form the
# staircase on the left; only those on the right can tell class from laboratory.

# %%
counts = explore.study_class_counts(atlas, label)
caption = plots.caption(int(counts.to_numpy().sum()), len(counts), extra="no split: nothing is predicted here")
plots.study_class_heatmap(counts, title="Which study brings which class?", caption=caption)

# %%
studies = explore.study_table(atlas, label)
single, largest = studies["n_classes"] == 1, studies.iloc[0]
share_single = studies.loc[single, "n_samples"].sum() / studies["n_samples"].sum()
say(f"""
**{single.mean():.0%} of the {len(studies)} studies hold a single class; {share_single:.0%} of all samples
are in such a study**, where class and study say the same. Studies are uneven, too: the largest,
{html.escape(largest["dataset_id"])}, holds {largest["n_samples"] / studies["n_samples"].sum():.0%} of the
samples, the median study has {studies["n_samples"].median():.0f}.
""")

# %% [markdown]
# The other way round: how many studies stand behind a class? `effective_studies` is the number of equally
# large studies that would be as diverse. Near one, whatever is typical of the class may as well be typical
# of the laboratory.

# %%
classes = explore.class_table(atlas, label).set_index("class")
explore.readable(classes, {"largest_share": "{:.0%}", "effective_studies": "{:.1f}"})

# %%
confounded = classes[classes["effective_studies"] < 2].sort_values("effective_studies")
listing = ", ".join(f"{html.escape(c)} ({r.largest_share:.0%} from one study)" for c, r in confounded.iterrows())
lesson = "For these no analysis of this atlas can tell tissue from laboratory, however good its score."
say(f"""
**{len(confounded)} of {len(classes)} classes rest on fewer than two effective studies{": " * bool(listing)}{listing}.**
{lesson * bool(listing)}
""")

# %% [markdown]
# ## Whose samples are they?
#
# Sex and age show in small RNAs, too. Where they are unknown, nobody can say whether a class differs from another
# by tissue or by the people it was taken from; where a class holds one sex only, they cannot be told apart.

# %%
people, of_studies = explore.people(atlas, label), explore.people(atlas, "dataset_id")
n_known = {"sex": (of_studies["sex_known"] > 0).sum(), "age": (of_studies["age_known"] > 0).sum()}
if sum(n_known.values()) == 0:
    say("**No sample has a sex or an age here**: neither can be predicted, nor ruled out as an explanation.")
else:
    caption = plots.caption(int(people["n_samples"].sum()), len(studies), extra="the rest of a bar is unknown")
    display(plots.people(people, title="Of whom are sex and age known?", caption=caption))
    one_sex = (people["sex_known"] > 0) & (people[["female", "male"]].max(axis=1) == people["sex_known"])
    say(f"Sex is known for a sample of {n_known['sex']} of {len(studies)} studies, age of {n_known['age']};"
        f" **{one_sex.sum()} of {len(people)} classes hold one sex only.**")  # fmt: skip

# %% [markdown]
# ## How deep are the samples?
#
# Depth is the number of reads counted in a sample. A rare sRNA is absent from a shallow sample for no
# biological reason, so a class of shallow samples looks different before biology has a say.

# %%
samples = explore.sample_table(atlas, label)
caption = plots.caption(len(samples), len(studies), extra="one dot per sample, box: quartiles")
figure = plots.depth(samples, title="How many reads does a sample have?", caption=caption)
display(figure) if counted else say(no_counts)

# %%
low, high = samples["reads"].quantile([0.05, 0.95])
medians = samples.groupby("class")["reads"].median()
rho = samples["reads"].corr(samples["n_detected"], method="spearman")
text = f"""
Nine samples in ten have {low:,.0f} to {high:,.0f} reads, a factor of {high / low:.0f}; the medians of
the classes differ by a factor of {medians.max() / medians.min():.0f}. The rank correlation of a
sample's depth with the number of sRNAs detected in it is {rho:.2f}. **Counts must be normalised before
samples are compared, and a zero means less in a shallow sample than in a deep one.**
"""
say(text if counted else no_counts)

# %% [markdown]
# ## How sparse is it, and what does a filter keep?
#
# An sRNA without a read in most samples is hard to learn from. The paper drops an sRNA that has zeros in more
# than the share of samples given as `max_zero_share`; a loose filter keeps all that are present in a tenth of
# them.

# %%
task = make_task(atlas, label, min_class_size=min_class_size)
loose = 0.9
zero_share = explore.zero_share(task.X)
caption = plots.caption(len(task.y), task.groups.nunique(), extra="dashed: the two filters")
plots.zeros(zero_share, (max_zero_share, loose), title="In how many samples is an sRNA absent?", caption=caption)

# %%
thresholds = sorted({*np.linspace(0, 1, 21).round(2), max_zero_share, loose})
effect = explore.filter_effect(task.X, thresholds, task.y)
figure = plots.filter_curve(effect, (max_zero_share, loose), title="What does a filter on zeros keep?", caption=caption)
display(figure) if counted else say(no_counts)

# %%
strict, lenient = (effect.set_index("max_zero_share").loc[t] for t in (max_zero_share, loose))
markers, amount = explore.lost_markers(task.X, task.y, max_zero_share), "reads" if counted else "values"
say(f"""
The filter at {max_zero_share:.0%} keeps {strict.n_features:.0f} of {task.X.shape[1]} sRNAs and with
them {strict.share_reads:.1%} of the {amount} of a sample; the one at {loose:.0%} keeps
{lenient.n_features:.0f} and {lenient.share_reads:.1%}. **{len(markers)} of the sRNAs that the first one
drops are common within some class** (zeros in at most {max_zero_share:.0%} of its samples): what marks a
small class is rare in the whole. The most contrasting of them:
""")
formats = {"zero_share_in_class": "{:.0%}", "zero_share": "{:.0%}"}
explore.readable(markers.head(10).set_index("srna"), formats)

# %% [markdown]
# ## A map of the samples
#
# Counts become log2(CPM + 1) (normalised values stay as they are), these become principal components, and
# openTSNE and UMAP lay them out in a plane, starting from the first two components and with a fixed seed. Each
# map is shown twice: coloured by class, and by study. If tissue alone shaped the map, studies would be mixed
# within each island of the left panel.

# %%
most = {"smoke": 300, "demo": 1200}.get(profile, 5000)
rows = np.sort(np.random.default_rng(seed).permutation(len(task.y))[:most])
X, y, groups = task.X.iloc[rows], task.y.iloc[rows], task.groups.iloc[rows]
scale, transformer = ("log2 CPM", None) if counted else ("normalised values", FunctionTransformer())
pcs = explore.principal_components(X, transformer=transformer, seed=seed)
labelled = pd.DataFrame({label: y, "dataset_id": groups})
caption = plots.caption(
    len(y),
    groups.nunique(),
    extra=f"{scale}, {pcs.shape[1]} principal components; no split: labels are not used",
)

# %%
n_iter = 250 if profile == "smoke" else 500
tsne = explore.embed(pcs, "opentsne", seed=seed, n_iter=n_iter)
names = ("coloured by class", "coloured by study (hover for its name)")
headline = plots.embedding_pair(
    tsne.join(labelled),
    label,
    axis="openTSNE",
    names=names,
    title="Tissue or laboratory? (openTSNE)",
    caption=caption,
)
headline

# %%
umap_map = explore.embed(pcs, "umap", seed=seed)
plots.embedding_pair(
    umap_map.join(labelled),
    label,
    axis="UMAP",
    names=names,
    title="Tissue or laboratory? (UMAP)",
    caption=caption,
)

# %% [markdown]
# Compare the panels island by island: where an island of one class on the left is also of one study on the
# right, its class may not be what holds it together. But a map is not a measurement: the eye is drawn to
# large studies, and where a study holds one class, its island is also that class's island. So count.
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

# %%
shares = explore.neighbour_share(pcs, y, groups, k=k, seed=seed)
caption = plots.caption(
    len(y), groups.nunique(), metric=f"share of the k = {k} nearest neighbours",
    extra="95 % intervals by bootstrap over studies; no split",
)  # fmt: skip
plots.neighbours(shares, title="What do the nearest neighbours of a sample share with it?", caption=caption)

# %%
share = shares.set_index("metric")
said = {
    m: f"{r.observed:.0%} (95 % interval {r.ci_low:.0%} to {r.ci_high:.0%}; chance {r.chance:.0%},"
    f" at most {r.ceiling:.0%})" if r.n_samples else "no answer, as no sample has such candidates"
    for m, r in share.iterrows()
}  # fmt: skip
batch, biology = share.loc["neighbour_study_within_class"], share.loc["neighbour_class_across_studies"]
has_batch, has_biology = (bool(r.ci_low > r.chance) for r in (batch, biology))

# %%
say(f"""
- Same study: {said["neighbour_study"]} of a sample's nearest neighbours.
- **Same study, within the own class: {said["neighbour_study_within_class"]}.** The tissue is the same
for all candidates, so this is
{"the batch effect, clear of chance" if has_batch else "no clear batch effect"}.
- **Same class, among other studies: {said["neighbour_class_across_studies"]}.** The laboratory differs
for all candidates, so this is
{"biology that carries over" if has_biology else "no clear tissue signal"}.
""")

# %% [markdown]
# ## Do other measures agree?
#
# Two more views of the same components. The variance of samples can be split into class, study within
# class, and the rest (adjusted for the number of groups). The silhouette asks whether a sample lies closer
# to its own group than to the next one, from -1 to 1. The table repeats the shares of neighbours within
# the two maps: do they keep what the components say?

# %%
variance = explore.variance_explained(pcs, y, groups).set_index("source")["share"]
silhouette = explore.silhouettes(pcs, y, groups, seed=seed).set_index("by")
say(f"""
Class explains **{variance["class"]:.0%}** of the variance, study within class another
**{variance["study within class"]:.0%}**, the rest is {variance["rest"]:.0%}. Mean silhouette by class
{silhouette.observed["class"]:.2f} ({silhouette.ci_low["class"]:.2f} to
{silhouette.ci_high["class"]:.2f}), by study {silhouette.observed["study"]:.2f}
({silhouette.ci_low["study"]:.2f} to {silhouette.ci_high["study"]:.2f}).
""")

# %%
points = {"PCA": pcs, "openTSNE": tsne, "UMAP": umap_map}
measured = {name: explore.neighbour_share(p, y, groups, k=k, seed=seed) for name, p in points.items()}
table = pd.DataFrame({name: t.set_index(["share", "candidates"])["observed"] for name, t in measured.items()})
explore.readable(table, dict.fromkeys(points, "{:.1%}"))

# %% [markdown]
# ## Take-home

# %%
open_question = "How far is tissue, how far laboratory? Here class and study go together, so nobody can say"
verdict = {
    (True, True): "Samples group by tissue and by laboratory at once",
    (True, False): "Samples group by laboratory, and no clear tissue signal carries over",
    (False, True): "Samples group by tissue, without a clear batch effect",
    (False, False): "Samples group neither by tissue nor by laboratory",
}[has_batch, has_biology]
told = {m: f"{r.observed:.0%} (chance {r.chance:.0%})" if r.n_samples else "no answer" for m, r in share.iterrows()}
in_class, elsewhere = told["neighbour_study_within_class"], told["neighbour_class_across_studies"]
say(f"""
**{verdict if min(batch.n_samples, biology.n_samples) else open_question}. From the same study come, of the nearest
neighbours within a class: {in_class}. Of the same class are, of those in other studies: {elsewhere}.**
""")

# %% [markdown]
# **A random split puts samples of one study on both sides, where the laboratory helps to answer. Only a split
# that keeps studies whole asks for the tissue.**

# %% tags=["checks"]
assert len(pcs) == len(tsne) == len(umap_map) == len(y) and tsne.notna().all(axis=None)
assert counts.to_numpy().sum() == summary["samples"] - summary[f"samples without {label}"]
assert effect["share_reads"].is_monotonic_increasing and np.isclose(effect["share_reads"].iloc[-1], 1)
bounds = shares[["ci_low", "observed", "ci_high"]].dropna()
assert (bounds["ci_low"] <= bounds["observed"] + 1e-9).all() and (bounds["observed"] <= bounds["ci_high"] + 1e-9).all()
answered = shares.dropna(subset="observed")
assert (answered["observed"] <= answered["ceiling"] + 1e-9).all()
assert np.isclose(variance.sum(), 1)
if batch_column == "dataset_id" and groups.nunique() > 1:
    effect_seen = share.observed["neighbour_study"] > share.chance["neighbour_study"]
    assert effect_seen, "no study effect: is the atlas as described?"

# %%
common = {"task": label, "dataset": info["name"], "features": f"{scale}, PCs", "scheme": "none", "seed": seed}
fields = ["metric", "value", "ci_low", "ci_high", "n_samples", "n_datasets"]
records = []
for name, t in measured.items():
    part = t.dropna(subset="observed").rename(columns={"observed": "value"})[fields].to_dict("records")
    records += [{**common, "model": name, **record} for record in part]
write_results(out, "01_data_exploration", records, predictions=None)

# %%
numbers = {
    "samples": f"{atlas.n_obs} of {len(studies)} studies" if batch_column == "dataset_id" else f"{atlas.n_obs}",
    "sRNAs": f"{atlas.n_vars}, {strict.n_features:.0f} after the filter at {max_zero_share:.0%}",
    "neighbours of the same study, within a class": in_class,
    "neighbours of the same class, in other studies": elsewhere,
}
used = dict(dataset=dataset, profile=profile, seed=seed, label=label, min_class_size=min_class_size, k=k)
card = {"key_numbers": numbers, "figure": headline, "atlas_info": info, "parameters": used}
title = "What is in the atlas, and what separates its samples: tissue or laboratory?"
write_card(out, "01_data_exploration", title=title, **card)

# %% [markdown]
# ## What to try next
#
# * `label = "tissue_top"` or another column of the atlas: which labels are mixed with the study least?
# * A loose filter before the components: does keeping rare sRNAs sharpen tissue, or study?
# * Notebook 02 turns this into a question of prediction: the same models, scored on random folds and on
#   whole studies.

# %% [markdown] tags=["exercise"]
# **Exercise 1.** How do the two decisive shares change with the number of neighbours? Try a few values of
# `k` before you look: what limits the share of the own study from above?

# %% tags=["solution"]
decisive = ["neighbour_study_within_class", "neighbour_class_across_studies"]
by_k = {n: explore.neighbour_share(pcs, y, groups, k=n, seed=seed).set_index("metric") for n in (3, 10, 30)}
pd.concat({n: t.loc[decisive, ["observed", "chance", "ceiling"]] for n, t in by_k.items()}, names=["k"]).round(3)

# %% [markdown] tags=["exercise"]
# **Exercise 2.** Ranks within a sample ignore any monotone distortion of a library. Do they lessen the
# batch effect? Compute principal components of `SampleRanks()` and compare.

# %% tags=["solution"]
ranks = explore.principal_components(X, transformer=SampleRanks(), seed=seed)
on_ranks = explore.neighbour_share(ranks, y, groups, k=k, seed=seed).set_index("metric")
pd.DataFrame({scale: share.observed[decisive], "ranks": on_ranks.observed[decisive]}).round(3)

# %% [markdown] tags=["exercise"]
# **Exercise 3.** The simplest correction subtracts the mean of its study from each sample. What does it do
# to the batch effect, and what to the tissue signal? Think of the studies with a single class first.

# %% tags=["solution"]
centred = pcs - pcs.groupby(groups.to_numpy()).transform("mean")
on_centred = explore.neighbour_share(centred, y, groups, k=k, seed=seed).set_index("metric")
pd.DataFrame({"as it is": share.observed[decisive], "centred": on_centred.observed[decisive]}).round(3)
