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
# # Does a latent code learned without labels help where labels are few?
#
# **You will learn** what a *latent code* is and how it is learned from samples that nobody has labelled; whether a
# small classifier on such a code beats one on all sRNAs when only a few dozen samples have a label; why *PCA* of the
# same size must always stand beside it; whether the code of an sRNA's genomic neighbours adds anything; and how a
# prediction is traced back through the code to single sRNAs.
#
# The method is SimpleChrome's (Wang and others 2020): there the samples are genes, the inputs histone marks around
# them, and the label says whether a gene is expressed. First it is tried in its own form, then on small RNAs.
#
# **Reads** a named data set (`dataset`); marks around genes are simulated. **Writes** `results/11_latent.json` (every
# metric with its interval), `results/11_latent.parquet` (every prediction) and a card, below `out`. **Takes** seconds
# in profile `smoke`, a minute or two in `demo`, some ten minutes in `full`. Words in *italics* stand in the glossary
# at the end.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), open_atlas (real), mirome or a file of your own
profile: str = "demo"  # smoke (few samples and epochs, for tests), demo, full (more folds, draws and filters)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 1  # not used: all folds share one compiled program
label: str = "tissue_group"  # column that is predicted; lineage and sex follow where they are recorded
min_class_size: int = 15  # classes with fewer samples are left out
size: int = 10  # dimensions of each code

# %%
from functools import partial

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

import srna_lib as srna
from srna_lib.companions import ConvClassifier, few_labels, heads, pretrain, pretrain_marks, simulate_marks, stack
from srna_lib.report import close, open_dataset, say

# %%
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
shown = {"smoke": 8}.get(profile)
atlas = srna.data.subsample(atlas, label, per_study=shown, min_class_size=min_class_size, seed=seed)
task = srna.make_task(atlas, label, min_class_size=min_class_size)
say(f"""
{atlas.n_obs} samples of {atlas.obs["dataset_id"].nunique()} studies; {len(task.y)} of them in one of
{len(task.classes)} classes of `{label}`. The others have no such label, and a code can learn from them all the same.
""")

# %% [markdown]
# ## By hand: fifty labels
#
# Leave a third of the studies out. From all samples of the others, without a single label, learn ten directions: the
# first *principal components* of log2 CPM. Then draw fifty labelled samples and fit a logistic regression twice: on
# all sRNAs, and on the ten numbers. **Guess** which one names more samples of the unseen studies.

# %%
split = srna.make_splits(task, "study", n_splits=3, seed=seed)[0]
fifty = np.random.default_rng(seed).choice(split.train, 50, replace=False)
levels = srna.models.LogCPM().fit_transform(task.X)
ten = PCA(size, random_state=seed).fit(levels[split.train]).transform(levels)

# %%
share = {}
for name, X in {"all sRNAs": levels - levels[split.train].mean(axis=0), "ten numbers": ten}.items():
    line = LogisticRegression(C=1e-3, max_iter=1000).fit(X[fifty], task.y.iloc[fifty])
    share[name] = (line.predict(X[split.test]) == task.y.iloc[split.test]).mean()
say(f"""
Right in unseen studies: **{share["all sRNAs"]:.0%}** by all sRNAs, **{share["ten numbers"]:.0%}** by ten numbers.
""")

# %% [markdown]
# One draw of fifty is one throw of the dice. The rest of this page throws many, puts a learned code in the place of
# PCA, and says what is left of the difference.
#
# ## The code
#
# An *encoder* (a network) turns a sample x into the mean m and spread s of a small cloud in ten dimensions; a *decoder*
# makes a sample again of a point z drawn from it. Both are trained together, without labels, to lower
#
# $$\frac1d \sum_j \left(x_j - f_j(z)\right)^2 + w \cdot \frac12 \sum_k \left(m_k^2 + s_k^2 - \log s_k^2 - 1\right).$$
#
# The first part asks that the sample comes back, the second (the *divergence*) that clouds look alike. The code of a
# sample is m: the same every time. (SimpleChrome takes a random draw, so that its features change from run to run.)
#
# ## In its own form: histone marks around genes
#
# Five marks in a hundred bins a gene, simulated, since the published files are large. Expression hangs on
# *combinations* of marks (a promoter counts less where polycomb lies), and on the enhancers of the four genes beside
# it. Chromosomes play the part of studies. Files in the published layout are read by `read_marks`.

# %%
marks = simulate_marks({"smoke": 600}.get(profile, 2000), chromosomes=24, seed=seed)
unseen = [f"chr{i}" for i in range(17, 25)]
encode = partial(pretrain_marks, marks, unseen, size=size, seed=seed)
form = {"smoke": ((4,), 6), "full": ((16, 32), 40)}.get(profile, ((8, 16), 15))
genes = encode(filters=form[0], epochs=form[1])

# %%
genes.quality.style.hide().format({"seen": "{:.0%}", "unseen": "{:.0%}"})

# %% [markdown]
# `seen` and `unseen` are the shares of the variance of these genes that code and decoder bring back; `active` counts
# dimensions that are in use.
#
# The contest, on genes of chromosomes that nothing was fitted on: a network on the code (SimpleChrome), the same on
# PCA, convolutions on the marks themselves (DeepChrome's kind), and a line through two numbers a mark (`summary`: mean
# and maximum). **Guess** the winner with a hundred labels, and with ten times as many.

# %%
contest = {
    name: heads(genes.tables, seed=seed)[name] for name in ("chance", "summary", "PCA, network", "latent, network")
}
contest["convolutions"] = "raw", ConvClassifier(form[0][-1], epochs={"smoke": 2}.get(profile, 10), random_state=seed)
beside = {name: heads(genes.tables)[name] for name in ("latent", "latent + neighbours", "latent + shuffled")}
few = {"smoke": (100, 300)}.get(profile, (100, 1000))
of_genes = few_labels(marks, [genes], few, draws={"smoke": 1}.get(profile, 3), models=contest | beside, seed=seed)

# %%
gene_scores = srna.score(of_genes, metrics="auc", dataset="simulated marks", seed=seed)
caption = srna.pl.caption(of_genes["sample_id"].nunique(), len(unseen), "chromosomes apart")
srna.pl.metrics(
    gene_scores[gene_scores["model"].isin(list(contest))],
    x="scheme",
    color="model",
    title="High or low expression, from marks",
    caption=f"{caption}; simulated; 95 % intervals over chromosomes",
    labels={"auc": "AUROC", "scheme": "labelled genes"},
)

# %% [markdown]
# ### The genes next door
#
# SimpleChrome found no gain from neighbouring genes. Here an effect of the neighbours is *planted*, so a sound method
# must find it. The fair comparison is not with the code alone, which has fewer numbers, but with neighbours *shuffled*
# within a chromosome: as many numbers, of the wrong genes.

# %%
pairs = [("latent, network", "PCA, network"), ("latent, network", "convolutions"), ("latent, network", "summary")]
pairs += [("latent + neighbours", "latent + shuffled")]
gene_gains = srna.compare(of_genes, pairs, metric="auc", seed=seed)
gene_gains["what"] = gene_gains["scheme"] + ": " + gene_gains["pair"]

# %%
srna.pl.gains(
    gene_gains, "what", what="difference in AUROC", title="What the code gains, and the neighbours", caption=caption
)

# %%
next_door = gene_gains[gene_gains["first"] == "latent + neighbours"].iloc[-1]
say(f"""
**The planted neighbours**, against shuffled ones, with {next_door["scheme"]}: {next_door["difference"]:+.3f}
[{next_door["ci_low"]:+.3f}, {next_door["ci_high"]:+.3f}] in AUROC.
""")

# %% [markdown]
# ## On small RNAs
#
# Now samples are libraries and inputs are sRNAs (log2 CPM, z-scored by the samples seen). For each fold, a third of the
# studies (fewer in profile `full`) stays unseen: no scaling, no encoder and no PCA is fitted on them, and whole studies
# are held out to stop the training by. Labelled or not, all other samples train the code.

# %%
n_folds = {"smoke": 2, "full": 5}.get(profile, 3)
splits = srna.make_splits(task, "study", n_splits=n_folds, seed=seed)[: {"smoke": 1}.get(profile)]
encode = partial(pretrain, atlas, size=size, seed=seed, epochs={"smoke": 12}.get(profile, 60))
folds = [encode(task.groups.iloc[s.test].unique()) for s in splits]

# %%
quality = pd.concat([fold.quality for fold in folds], keys=range(len(folds)), names=["fold"]).reset_index("fold")
quality.style.hide().format({"seen": "{:.0%}", "unseen": "{:.0%}"})

# %%
kept = quality.groupby("code")[["seen", "unseen"]].mean()
kept = kept.loc["latent"] / kept.loc["PCA"]
active = quality.loc[quality["code"] == "latent", "active"].min()
say(f"""
All of {active} dimensions or more are in use. Of the variance that PCA of the same size brings back, the code brings
back **{kept["seen"]:.0%}** in the samples that it learned from and **{kept["unseen"]:.0%}** in studies never seen.
""")

# %% [markdown]
# A curved code can bend around the samples that it knows; whether the bend is of biology or of laboratories shows in
# the second number.
#
# ### What is it worth with few labels?
#
# The same logistic regression on all sRNAs (`raw`), on PCA and on the code, and SimpleChrome's network on both codes.
# **Guess:** from how many labels on do all sRNAs win?

# %%
sizes = {"smoke": (50, 100)}.get(profile, (50, 100, 200, 400))
learn = partial(few_labels, folds=folds, sizes=sizes, draws={"smoke": 1, "full": 5}.get(profile, 2), seed=seed)
predicted = learn(task)
scores = srna.score(predicted, metrics="balanced_accuracy", dataset=info["name"], seed=seed)

# %%
order = ["chance", "raw", "PCA", "latent", "PCA, network", "latent, network"]
caption = srna.pl.caption(predicted["sample_id"].nunique(), predicted["dataset_id"].nunique(), "studies apart")
headline = srna.pl.metrics(
    scores[scores["model"].isin(order)].sort_values("model", key=lambda m: m.map(order.index), kind="stable"),
    x="scheme",
    color="model",
    title=f"Naming {label} in unseen studies, by number of labelled samples",
    caption=f"{caption}; 95 % intervals over studies",
    labels={"balanced_accuracy": "balanced accuracy", "scheme": "labelled samples"},
)
headline

# %% [markdown]
# Dots overlap, because studies differ more than models do. What decides is the difference on the same samples:

# %%
pairs = [("latent", "raw"), ("latent", "PCA"), ("latent, network", "PCA, network")]
pairs += [("latent + neighbours", "latent + shuffled")]
weigh = partial(srna.compare, metric="balanced_accuracy", seed=seed)
gains = weigh(predicted, [p for p in pairs if set(p) <= set(predicted["model"])])
gains["what"] = gains["scheme"] + ": " + gains["pair"]

# %%
srna.pl.gains(
    gains.sort_values("pair", key=lambda p: p.map(list(p.unique()).index), kind="stable"),
    "what",
    what="difference in balanced accuracy",
    title="What the code gains",
    caption=f"{caption}; 95 % intervals over studies",
)

# %%
last = gains.groupby("pair", sort=False)[["scheme", "difference", "ci_low", "ci_high", "verdict"]].last()
for pair in ("latent minus raw", "latent minus PCA"):
    found = gains[gains["pair"] == pair]
    say(f"""
**{pair.capitalize()}**: {
        "; ".join(
            f"{r.difference:+.3f} [{r.ci_low:+.3f}, {r.ci_high:+.3f}] with {r.scheme}" for r in found.itertuples()
        )
    }. Above zero for certain at {(found["ci_low"] > 0).sum()}, below at
{(found["ci_high"] < 0).sum()} of {len(found)} sizes.
""")

# %% [markdown]
# ### Neighbours in the genome
#
# miRNAs of one genomic cluster are cut from one transcript, so what a neighbour says may steady what an sRNA says. The
# mean of each cluster goes into an encoder of its own, whose code stands beside the first; the control deals the same
# sRNAs to clusters at random. **Will it help?**

# %%
near = last.reindex(["latent + neighbours minus latent + shuffled"]).iloc[0]
say(f"""
Clusters against clusters dealt at random, with {near["scheme"]}: **{near["difference"]:+.3f}** [{near["ci_low"]:+.3f},
{near["ci_high"]:+.3f}] in balanced accuracy.
""")

# %% [markdown]
# ### Other labels
#
# The codes were learned without labels, so they serve other questions as they are: lineage, and sex in studies that
# hold both (elsewhere the study gives it away).


# %%
def labelled(column: str) -> tuple:
    """The atlas where a label is known, and how many of its classes are large enough."""
    values = atlas.obs.get(column, pd.Series(np.nan, atlas.obs_names)).astype(object)
    mixed = values.groupby(atlas.obs["dataset_id"].to_numpy()).transform("nunique") > 1
    kept = values.notna() & (mixed | (column != "sex"))
    return atlas[kept.to_numpy()], (values[kept].value_counts() >= min_class_size).sum()


# %%
others = {column: labelled(column) for column in ("lineage", "sex")}
others = [srna.make_task(part, c, min_class_size=min_class_size) for c, (part, n) in others.items() if n > 1]
say("Neither is recorded in this data set." * (not others))
tables = [learn(other, draws=1) for other in others if other.name != label]

# %%
differences = pd.concat([gains, *(weigh(t, pairs[:2]) for t in tables)], ignore_index=True)
shown = differences[differences["task"] != label]
shown = shown[
    ["task", "scheme", "pair", "value_first", "value_second", "difference", "ci_low", "ci_high", "n_datasets"]
]
shown.style.hide().format(precision=3)

# %% [markdown]
# ## A map of the code
#
# All samples of the first fold, unseen studies among them, laid out by their code. **What do you expect to see first:**
# classes or laboratories?

# %%
codes = folds[0]
points = codes.tables["latent"].loc[task.y.index]
points = srna.explore.embed(points, seed=seed, n_iter={"smoke": 50}.get(profile, 300))
points = points.assign(study=task.groups).assign(label=task.y)

# %%
srna.pl.embedding_pair(
    points,
    "label",
    "study",
    axis="openTSNE",
    names=(f"coloured by {label}", "coloured by study"),
    title="Samples by their latent code",
    caption=srna.pl.caption(len(points), task.groups.nunique(), extra="encoder of the first fold"),
)

# %% [markdown]
# A number for it: of the ten nearest samples *of other studies*, how many are of the same class? Asked of the samples
# that the encoder never saw.

# %%
new = task.y.index.difference(codes.seen)
near_by = {
    name: srna.explore.neighbour_share(codes.tables[name].loc[new], task.y[new], task.groups[new], seed=seed)
    for name in ("raw", "PCA", "latent")
}
near_by = pd.concat(near_by, names=["model"]).reset_index("model")
near_by = near_by[near_by["metric"] == "neighbour_class_across_studies"]
near_by[["model", "observed", "ci_low", "ci_high", "chance", "n_samples", "n_datasets"]].style.hide().format(
    precision=3
)

# %% [markdown]
# ## What is in a dimension?
#
# The decoder answers: move one dimension from two below its mean to two above, decode both, and see which sRNAs move
# most. Do the names of a row belong together?

# %%
coder, step = codes.coders["latent"], 2 * np.eye(size)
moved = pd.DataFrame(
    coder.inverse_transform(step) - coder.inverse_transform(-step),
    index=codes.tables["latent"].columns,
    columns=codes.tables["raw"].columns,
)
moved.apply(lambda row: ", ".join(row.abs().nlargest(4).index), axis=1).to_frame("sRNAs that move most").style

# %% [markdown]
# ## Back to the sRNAs
#
# Between the encoder's last hidden layer and the head everything is linear, so encoder and head are *one* network
# (`stack`), and *DeepLIFT* goes through it to the sRNAs as in notebook 05. Its check is *completeness*: contributions
# must add up to the change of the output. Heads here learn from all labels of the samples seen.

# %%
train = task.y[task.y.index.isin(codes.seen)]
networks = {}
for name in ("raw", "PCA", "latent"):
    head = heads(codes.tables)[name][1].fit(codes.tables[name].loc[train.index].to_numpy(), train.astype(str))
    networks[name] = stack(codes, name, head)

# %%
X = task.X.loc[new[:200]]
explained = srna.explain(networks["latent"], X)
biomarkers = {name: srna.explain.class_scores(net, X, task.y[X.index].astype(str)) for name, net in networks.items()}
say(f"""
{explained.values.shape[0]} samples of unseen studies, {explained.values.shape[2]} sRNAs, compared with the
{explained.reference}; largest gap of the sums: {explained.error:.1e} of the change.
""")

# %%
srna.explain.top_features(biomarkers["latent"], 4).groupby("class")["srna"].agg(", ".join).to_frame("speak for it")

# %% [markdown]
# Would the same sRNAs be named without the code? The share that every two ways have in common of the first twenty of
# each class; by chance it would be nearly nothing.

# %%
shared = srna.explain.agreement_matrix(srna.explain.agreement(biomarkers, k=20))
srna.pl.agreement_heatmap(
    shared, title="Biomarkers named by way of each representation", caption="share of the first twenty, mean of classes"
)

# %%
truth = srna.explain.true_biomarkers(atlas, label) & set(codes.tables["raw"])
right = {
    name: srna.explain.precision_at_k(srna.explain.across_classes(table), truth or set(table))
    for name, table in biomarkers.items()
}
told = "; ".join(f"{name} {value:.0%}" for name, value in right.items())
say(f"Of the {len(truth)} true biomarkers of this simulation, among as many named first: {told}." * bool(truth))

# %% [markdown]
# ## Take-home

# %%
worst = gains[gains["pair"] == "latent minus raw"]
say(f"""
**{info["lesson"]}.** Against all sRNAs the code gains between {worst["difference"].min():+.3f} and
{worst["difference"].max():+.3f} in balanced accuracy, against PCA of the same size between
{gains.loc[gains["pair"] == "latent minus PCA", "difference"].min():+.3f} and
{gains.loc[gains["pair"] == "latent minus PCA", "difference"].max():+.3f}; the intervals are above. **A code keeps what
varies most, and in collections of many laboratories that is the laboratory as much as the cell.**
""")

# %% [markdown]
# ## What this means for notebooks 02 to 06
#
# * **02 to 04** feed all sRNAs to linear models and networks. Whether a code in front of them would have paid is what
#   the figure of differences says for the data set on this page; where its intervals lie below zero, leave it out, and
#   where they hold zero, the simpler model is the one to take.
# * Samples without a label are not worthless there either: scaling and filters may learn from them, as `raw` does here.
# * **05** explains networks on sRNAs directly. Through a code an explanation is as complete, but a code spreads what
#   one sRNA says over all that move with it: compare the two lists before you name a biomarker.
# * **06** masks single sRNAs. A code hides single sRNAs well, so predictions through it are harder to flip: that is
#   firmness of the code, not evidence for the class.
#
# ## Checks

# %% tags=["checks"]
for fold in folds:
    assert not set(fold.coders["latent"][0].fit_ids_) & (set(predicted["sample_id"]) - set(fold.seen))
    assert set(fold.coders["latent"][0].fit_ids_) == set(fold.seen), "all samples seen, and no other"
once, again = (coder.transform(codes.tables["raw"].loc[new]) for _ in range(2))
assert np.array_equal(once, again), "the code of a sample is the same every time"
assert active >= min(3, size), "dimensions are in use"
assert explained.error < 1e-5, "contributions add up through encoder and head"
assert profile == "smoke" or next_door["ci_low"] > 0, "planted neighbours are found"
chance = scores.loc[scores["model"] == "chance", "value"]
assert np.allclose(chance, 1 / predicted["y_true"].nunique()), "the most frequent class is right in one class"

# %%
records = pd.concat([differences, gene_gains], ignore_index=True)
records = records.assign(dataset=info["name"], value=records["difference"], model=records["pair"], seed=seed)
records.loc[records["task"] == "expression", "dataset"] = "simulated marks"
records = records.assign(features=np.where(records["task"] == "expression", "marks", "sRNA"))
records = records.assign(metric="difference in " + records["metric"])[list(srna.report.RECORD_FIELDS)]

# %%
whole = quality.assign(metric="variance explained, unseen", value=quality["unseen"], model=quality["code"], task=label)
whole = whole.assign(dataset=info["name"], features="sRNA", scheme="fold " + quality["fold"].astype(str), seed=seed)
whole = whole.assign(ci_low=None, ci_high=None, n_samples=quality["n_unseen"], n_datasets=task.groups.nunique())
records = pd.concat([records, whole[list(records)]]).astype(object)
records = records.where(records.notna(), None).to_dict("records")

# %%
numbers = {
    f"{pair}, {row['scheme']}": f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
    for pair, row in last.loc[["latent minus raw", "latent minus PCA"]].iterrows()
}
numbers["variance, of what PCA keeps"] = f"{kept['seen']:.0%} seen, {kept['unseen']:.0%} unseen"
numbers["planted neighbours found"] = f"{next_door['difference']:+.3f} in AUROC"

# %%
close(
    out,
    "11_latent",
    title="Does a latent code learned without labels help where labels are few?",
    info=info,
    records=[scores, gene_scores, *records],
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "label": label, "size": size},
    predictions=pd.concat([predicted, *tables, of_genes], ignore_index=True),
)

# %% [markdown]
# ## Limits
#
# * Marks are simulated: what wins there says which method finds what was planted, not what holds in cells.
# * One layout of network, one size of code. Larger codes keep more; so does PCA.
# * Labels are drawn at random over studies; a real laboratory's fifty labels come from one study, which is harder.
# * Penalty and epochs are set once, not tuned for each size; tuning on fifty labels is a gamble of its own.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Guess what a code of three dimensions loses, and what one of thirty gains. Try one of them on the first fold.

# %% tags=["answer"]

# %% tags=["solution"]
small = pretrain(atlas, task.groups.iloc[splits[0].test].unique(), size=3, seed=seed, epochs=10)
small = few_labels(
    task, [small], (50,), draws=1, seed=seed, models={k: heads(small.tables)[k] for k in ("PCA", "latent")}
)
srna.score(small, metrics="balanced_accuracy", n_boot=100)[["model", "value", "ci_low", "ci_high"]]

# %% [markdown] tags=["exercise"]
# **2.** Take the neighbours' effect out of the simulated genes. What should the difference to shuffled neighbours be
# now? (The code of a gene need not be learned anew to guess, but it must to see.)

# %% tags=["answer"]

# %% tags=["solution"]
alone = simulate_marks(600, chromosomes=24, neighbour=0.0, seed=seed)
alone = few_labels(
    alone, [pretrain_marks(alone, unseen, size=size, filters=(4,), epochs=6)], (300,), draws=1, models=beside
)
srna.compare(alone, [("latent + neighbours", "latent + shuffled")], metric="auc")[["difference", "ci_low", "ci_high"]]

# %% [markdown] tags=["exercise"]
# **3.** Which class loses most when only the code is seen? Compare recalls at the largest number of labels.

# %% tags=["answer"]

# %% tags=["solution"]
most = predicted[(predicted["scheme"] == f"{sizes[-1]} labels") & predicted["model"].isin(["raw", "latent"])]
most = srna.score(most, metrics="recall", n_boot=0).pivot(index="class", columns="model", values="value")
most.assign(loss=most["raw"] - most["latent"]).sort_values("loss", ascending=False).style.format("{:.2f}")

# %% [markdown]
# ## What to try next
#
# * Real samples of many laboratories: `srna run 11 --dataset open_atlas`; cells by lineage with `-p label=lineage`.
# * Marks of real genes: `read_marks("train.csv", "valid.csv", "test.csv")` reads the files of DeepChrome.
#
# ## Glossary
#
# * **active dimension**: one whose cloud differs from that of no sample in particular; the others carry nothing.
# * **AUROC**: probability that a high gene gets a higher score than a low one; one half by chance.
# * **completeness**: contributions add up to the change of the output.
# * **decoder**, **encoder**: networks from code to sample, and from sample to code.
# * **DeepLIFT**: contributions of the sRNAs to what a network says, held against a reference (notebook 05).
# * **divergence**: how far the cloud of a sample is from the standard normal one (Kullback-Leibler), in nats.
# * **latent code**: a few numbers that stand for a sample.
# * **PCA**, principal components: the linear code that brings back most of the variance.
# * **shuffled neighbours**: as many numbers, of the wrong genes or clusters.
#
# ## References
#
# * Wang and others (2020), SimpleChrome: encoding of combinatorial effects for predicting gene expression,
#   arXiv:2012.08671.
# * Singh, Lanchantin, Robins and Qi (2016), DeepChrome: deep-learning for predicting gene expression from histone
#   modifications, Bioinformatics 32:i639-i648.
# * Kadavath, Paradis and Yeung (2022), DeepChrome 2.0, arXiv:2209.11923.
# * Kingma and Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114.
# * Shrikumar, Greenside and Kundaje (2017), Learning important features through propagating activation differences,
#   arXiv:1704.02685.
# * Fiosina, Fiosins and Bonn (2020), Explainable deep learning for augmentation of small RNA expression profiles,
#   Journal of Computational Biology 27:234-247.
