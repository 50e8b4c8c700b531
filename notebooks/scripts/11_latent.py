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
from srna_lib import companions
from srna_lib.report import close, open_dataset, say

# %%
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
shown = {"smoke": 8}.get(profile)
atlas = srna.data.subsample(atlas, label, per_study=shown, min_class_size=min_class_size, seed=seed)
task = srna.make_task(atlas, label, min_class_size=min_class_size)

# %%
say(f"""
{atlas.n_obs} samples of {atlas.obs["dataset_id"].nunique()} studies; {len(task.y)} of them in one of
{len(task.classes)} classes of `{label}`. A code learns from the others, too.
""")

# %% [markdown]
# ## By hand: fifty labels
#
# Leave some of the studies out. From all samples of the others, without a single label, learn ten directions: the first
# *principal components* of log2 CPM. Then draw fifty labelled samples and fit a logistic regression twice: on all
# sRNAs, and on the ten numbers. **Guess** which one names more samples of the unseen studies.

# %%
splits = srna.make_splits(task, "study", n_splits={"full": 5}.get(profile, 3), seed=seed)
few = np.random.default_rng(seed).choice(splits[0].train, 50, replace=False)
levels = srna.models.LogCPM().fit_transform(task.X)
levels -= levels[splits[0].train].mean(axis=0)

# %%
shown = {"all": levels, "ten": PCA(size, random_state=seed).fit(levels[splits[0].train]).transform(levels)}
for name, X in shown.items():
    shown[name] = LogisticRegression(C=1e-3, max_iter=1000).fit(X[few], task.y.iloc[few])
    shown[name] = shown[name].score(X[splits[0].test], task.y.iloc[splits[0].test])
say(f"Right in unseen studies: **{shown['all']:.0%}** by all sRNAs, **{shown['ten']:.0%}** by the components.")

# %% [markdown]
# One draw of fifty is one throw of the dice. The rest of this page throws many, puts a learned code in the place of
# PCA, and says what is left of the difference.
#
# ## The code
#
# An *encoder* (a network) turns a sample x into the mean m and spread s of a small cloud in ten dimensions; a *decoder*
# makes a sample again of a point z drawn from it. Both are trained together, without labels, to lower
#
# ```
# 1/d sum_j (x_j - f_j(z))^2  +  w KL,     KL = 1/2 sum_k (m_k^2 + s_k^2 - log s_k^2 - 1)
# ```
#
# The first part asks that the sample comes back, the second (the *divergence*) that clouds look alike. The code of a
# sample is m: the same every time. (SimpleChrome takes a random draw, so that its features change from run to run.)
#
# ## In its own form: histone marks around genes
#
# Five marks in a hundred bins a gene, simulated, since the published files are large. Expression hangs on
# *combinations* of marks (a promoter counts less where polycomb lies), and on the enhancers of the four genes beside
# it. Chromosomes play the part of studies.

# %%
marks = companions.simulate_marks({"smoke": 600}.get(profile, 2000), chromosomes=24, seed=seed)
unseen = [f"chr{i}" for i in range(17, 25)]
form = {"smoke": ((4,), 8), "full": ((16, 32), 40)}.get(profile, ((8, 16), 15))
genes = companions.pretrain_marks(marks, unseen, size=size, filters=form[0], epochs=form[1], seed=seed)

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
models = companions.heads(genes.tables, seed=seed)
shown = companions.ConvClassifier(form[0][-1], epochs={"smoke": 2}.get(profile, 10), random_state=seed)
models = {name: models[name] for name in models if name not in ("raw", "PCA")} | {"convolutions": ("raw", shown)}

# %%
few = {"smoke": (100, 200)}.get(profile, (100, 1000))
shown = {"smoke": 1}.get(profile, 3)
of_genes = companions.few_labels(marks, [genes], few, draws=shown, models=models, seed=seed)
gene_scores = srna.score(of_genes, metrics="auc", dataset="simulated marks", seed=seed)

# %%
caption = f"{of_genes['sample_id'].nunique()} simulated genes of {len(unseen)} chromosomes; 95 % intervals over these"
srna.pl.metrics(
    gene_scores[gene_scores["model"].isin(["chance", "summary", "PCA, network", "latent, network", "convolutions"])],
    x="scheme",
    color="model",
    title="High or low expression, from marks",
    caption=caption,
    labels={"auc": "AUROC", "scheme": "labelled genes"},
)

# %% [markdown]
# ### The genes next door
#
# SimpleChrome found no gain from neighbouring genes. Here an effect of the neighbours is *planted*, so a sound method
# must find it. The fair comparison is not with the code alone, which has fewer numbers, but with neighbours *shuffled*
# within a chromosome: as many numbers, of the wrong genes.

# %%
pairs = [("latent, network", name) for name in ("PCA, network", "convolutions", "summary")]
pairs += [("latent + neighbours", "latent + shuffled")]
gene_gains = srna.compare(of_genes, pairs, metric="auc", seed=seed)
gene_gains["what"] = gene_gains["scheme"] + ": " + gene_gains["pair"]

# %%
srna.pl.gains(
    gene_gains,
    "what",
    what="difference in AUROC",
    title="What the code gains, and the neighbours",
    caption=caption,
    labels={"what": "labels, and what is compared"},
)

# %%
planted = gene_gains[gene_gains["first"] == "latent + neighbours"].iloc[-1]
say(f"""
**The planted neighbours**, against shuffled ones, with {planted["scheme"]}: {planted["difference"]:+.3f}
[{planted["ci_low"]:+.3f}, {planted["ci_high"]:+.3f}] in AUROC.
""")

# %% [markdown]
# ## On small RNAs
#
# Now samples are libraries and inputs are sRNAs (log2 CPM, z-scored by the samples seen). In each fold some studies
# stay unseen: no scaling, no encoder and no PCA is fitted on them, and of the others whole ones are held out to stop
# the training by. Labelled or not, all samples of the others train the code.

# %%
encode = partial(companions.pretrain, atlas, size=size, seed=seed, epochs={"smoke": 12}.get(profile, 60))
folds = [encode(task.groups.iloc[s.test].unique()) for s in splits[: {"smoke": 1}.get(profile)]]
quality = pd.concat([fold.quality for fold in folds], keys=range(len(folds)), names=["fold"]).reset_index("fold")
quality.style.hide().format({"seen": "{:.0%}", "unseen": "{:.0%}"})

# %%
kept = quality.groupby("code")[["seen", "unseen"]].mean()
kept = kept.loc["latent"] / kept.loc["PCA"]
say(f"""
Of {size} dimensions at least {quality["active"].min()} are in use. Of the variance that PCA of the same size brings
back, the code brings back **{kept["seen"]:.0%}** in the samples that it learned from and **{kept["unseen"]:.0%}** in
studies never seen.
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
few = {"smoke": (50, 100)}.get(profile, (50, 100, 200, 400))
learn = partial(companions.few_labels, folds=folds, sizes=few, draws={"smoke": 1, "full": 5}.get(profile, 2), seed=seed)
predicted = learn(task)
scores = srna.score(predicted, metrics="balanced_accuracy", dataset=info["name"], seed=seed)

# %%
caption = srna.pl.caption(predicted["sample_id"].nunique(), predicted["dataset_id"].nunique(), "studies apart")
headline = srna.pl.metrics(
    scores[~scores["model"].str.contains("+", regex=False)],
    x="scheme",
    color="model",
    title=f"Naming {label} in unseen studies, by number of labelled samples",
    caption=f"{caption}; 95 % intervals over studies",
    labels={"balanced_accuracy": "balanced accuracy", "scheme": "labelled samples"},
)

# %%
headline

# %% [markdown]
# Intervals overlap, because studies differ more than models do. What decides is the difference on the same samples:

# %%
pairs = [("latent", "raw"), ("latent", "PCA"), ("latent, network", "PCA, network")]
pairs += [("latent + neighbours", "latent + shuffled")]
pairs = [pair for pair in pairs if set(pair) <= set(predicted["model"])]
gains = srna.compare(predicted, pairs, metric="balanced_accuracy", seed=seed)
gains["what"] = gains["scheme"] + ": " + gains["pair"]

# %%
srna.pl.gains(
    gains.sort_values("pair", key=lambda p: p.map(list(p.unique()).index), kind="stable"),
    "what",
    what="difference in balanced accuracy",
    title="What the code gains",
    caption=f"{caption}; 95 % intervals over studies",
    labels={"what": "labels, and what is compared"},
)

# %%
for name in ("latent minus raw", "latent minus PCA"):
    shown = gains[gains["pair"] == name]
    levels = [f"{r.difference:+.3f} [{r.ci_low:+.3f}, {r.ci_high:+.3f}] with {r.scheme}" for r in shown.itertuples()]
    say(f"""
**{name}**: {"; ".join(levels)}. The whole interval is above zero at {(shown["ci_low"] > 0).sum()}, below
zero at {(shown["ci_high"] < 0).sum()} of {len(shown)} sizes.
""")

# %% [markdown]
# ### Neighbours in the genome
#
# miRNAs of one genomic cluster are cut from one transcript, so what a neighbour says may steady what an sRNA says. The
# mean of each cluster goes into an encoder of its own, whose code stands beside the first; the control deals the same
# sRNAs to clusters at random. **Will it help?**

# %%
last = gains.groupby("pair", sort=False)[["scheme", "difference", "ci_low", "ci_high"]].last()
shown = last.reindex(["latent + neighbours minus latent + shuffled"]).iloc[0]
say(f"""
Clusters against clusters dealt at random, with {shown["scheme"]}: **{shown["difference"]:+.3f}**
[{shown["ci_low"]:+.3f}, {shown["ci_high"]:+.3f}] in balanced accuracy.
""")

# %% [markdown]
# ### Other labels
#
# The codes were learned without labels, so they serve other questions as they are: lineage, and sex in studies that
# hold both (elsewhere the study gives it away).


# %%
def labelled(name: str) -> tuple:
    """The atlas where a label is known, and how many of its classes are large enough."""
    shown = atlas.obs.get(name, pd.Series(np.nan, atlas.obs_names)).astype(object)
    kept = shown.groupby(atlas.obs["dataset_id"].to_numpy()).transform("nunique") > 1
    kept = (shown.notna() & (kept | (name != "sex"))).to_numpy()
    return atlas[kept], (shown[kept].value_counts() >= min_class_size).sum()


# %%
shown = {name: labelled(name) for name in ("lineage", "sex") if name != label}
tables = [srna.make_task(x, name, min_class_size=min_class_size) for name, (x, n) in shown.items() if n > 1]
say("Neither is recorded in this data set." * (not tables))
tables = [learn(other, draws=1) for other in tables]

# %%
differences = [srna.compare(table, pairs[:2], metric="balanced_accuracy", seed=seed) for table in tables]
differences = pd.concat([gains, *differences], ignore_index=True)
shown = ["task", "scheme", "pair", "value_first", "value_second", "difference", "ci_low", "ci_high", "n_datasets"]
differences.loc[differences["task"] != label, shown].style.hide().format(precision=3)

# %% [markdown]
# ## A map of the code
#
# All samples of the first fold, unseen studies among them, laid out by their code. **What do you expect to see first:**
# classes or laboratories?

# %%
codes = folds[0]
shown = srna.explore.embed(codes.tables["latent"].loc[task.y.index], seed=seed, n_iter={"smoke": 50}.get(profile, 300))
shown = shown.assign(study=task.groups).assign(label=task.y)

# %%
srna.pl.embedding_pair(
    shown,
    "label",
    "study",
    axis="openTSNE",
    names=(f"coloured by {label}", "coloured by study"),
    title="Samples by their latent code",
    caption=srna.pl.caption(len(shown), task.groups.nunique(), extra="encoder of the first fold"),
)

# %% [markdown]
# A number for it: of the ten nearest samples *of other studies*, how many are of the same class? Asked of the samples
# that the encoder never saw.

# %%
new = task.y.index.difference(codes.seen)
shown = partial(srna.explore.neighbour_share, labels=task.y[new], studies=task.groups[new], seed=seed)
shown = {name: shown(codes.tables[name].loc[new]) for name in ("raw", "PCA", "latent")}
shown = pd.concat(shown, names=["model"]).reset_index("model")

# %%
shown = shown[shown["metric"] == "neighbour_class_across_studies"]
shown[["model", "observed", "ci_low", "ci_high", "chance", "n_samples", "n_datasets"]].style.hide().format(precision=3)

# %% [markdown]
# ## What is in a dimension?
#
# The decoder answers: move one dimension from two below its mean to two above, decode both, and see which sRNAs move
# most. Do the names of a row belong together?

# %%
coder = codes.coders["latent"]
shown = coder.inverse_transform(2 * np.eye(size)) - coder.inverse_transform(-2 * np.eye(size))
shown = pd.DataFrame(shown, codes.tables["latent"].columns, codes.tables["raw"].columns).abs()
shown.apply(lambda row: ", ".join(row.nlargest(4).index), axis=1).to_frame("sRNAs that move most").style

# %% [markdown]
# ## Back to the sRNAs
#
# Between the encoder's last hidden layer and the head everything is linear, so encoder and head are *one* network
# (`stack`), and *DeepLIFT* goes through it to the sRNAs as in notebook 05. Its check is *completeness*: contributions
# must add up to the change of the output. Heads here learn from all labels of the samples seen.

# %%
levels = task.y[task.y.index.isin(codes.seen)].astype(str)
networks = {}
for name in ("raw", "PCA", "latent"):
    networks[name] = companions.heads(codes.tables)[name][1]
    networks[name].fit(codes.tables[name].loc[levels.index].to_numpy(), levels)
    networks[name] = companions.stack(codes, name, networks[name])

# %%
X = task.X.loc[new][task.y[new].isin(levels.unique())]  # no head knows a class of which no sample was seen
explained = srna.explain(networks["latent"], X)
say(f"""
{len(X)} samples of unseen studies, {len(explained.features)} sRNAs, compared with the {explained.reference}; largest
gap of the sums: {explained.error:.1e} of the change.
""")

# %%
biomarkers = {name: srna.explain.class_scores(net, X, task.y[X.index].astype(str)) for name, net in networks.items()}
srna.explain.top_features(biomarkers["latent"], 4).groupby("class")["srna"].agg(", ".join).to_frame(
    "speak for it"
).style

# %% [markdown]
# Would the same sRNAs be named without the code? The share that every two ways have in common of the first twenty of
# each class; by chance it would be nearly nothing.

# %%
shown = srna.explain.agreement_matrix(srna.explain.agreement(biomarkers, k=20))
srna.pl.agreement_heatmap(
    shown, title="Biomarkers named by way of each representation", caption="share of the first twenty, mean of classes"
)

# %%
truth = srna.explain.true_biomarkers(atlas, label) & set(codes.tables["raw"])
shown = {name: srna.explain.across_classes(table) for name, table in biomarkers.items()}
shown = [f"{name} {srna.explain.precision_at_k(s, truth or set(s.index)):.0%}" for name, s in shown.items()]
say(f"Of {len(truth)} true biomarkers of this simulation, among as many named: {'; '.join(shown)}." * bool(truth))

# %% [markdown]
# ## Take-home

# %%
shown = gains.groupby("pair")["difference"].agg(["min", "max"])
say(f"""
**{info["lesson"]}.** Against all sRNAs the code gains between {shown["min"]["latent minus raw"]:+.3f} and
{shown["max"]["latent minus raw"]:+.3f} in balanced accuracy, against PCA of the same size between
{shown["min"]["latent minus PCA"]:+.3f} and {shown["max"]["latent minus PCA"]:+.3f}; intervals are above.

**A code keeps what varies most, and it is not asked whether that is the cell or the laboratory. Put PCA of the same
size, and all sRNAs, beside every code that you are shown.**
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
# * **06** masks single sRNAs. Through a code one sRNA moves every dimension a little, so steps to flip of such a model
#   would tell of the code as much as of the class; there the networks see all sRNAs.
#
# ## Checks

# %% tags=["checks"]
for fold in folds:
    assert set(fold.coders["latent"][0].fit_ids_) == set(fold.seen), "the encoder saw what it was given, no other"
    assert not set(atlas.obs.loc[fold.seen, "dataset_id"]) & set(atlas.obs["dataset_id"].drop(fold.seen)), (
        "studies apart"
    )
X = codes.tables["raw"].loc[new]
assert np.array_equal(coder.transform(X), coder.transform(X)), "the code of a sample is the same every time"
assert quality["active"].min() >= min(3, size), "dimensions are in use"
assert explained.error < 1e-5, "contributions add up through encoder and head"
assert profile == "smoke" or planted["ci_low"] > 0, "planted neighbours are found"

# %%
shown = [differences.assign(dataset=info["name"], features="sRNA")]
shown = pd.concat([*shown, gene_gains.assign(dataset="simulated marks", features="marks")])
shown = shown.assign(metric="difference in " + shown["metric"], model=shown["pair"], seed=seed)
records = [shown.rename(columns={"difference": "value"})]

# %%
shown = quality.assign(scheme="fold " + quality["fold"].astype(str), n_samples=quality["n_unseen"], seed=seed)
shown = shown.assign(metric="variance explained, unseen", task=label, dataset=info["name"], features="sRNA")
records += [shown.rename(columns={"unseen": "value", "code": "model"}).assign(n_datasets=task.groups.nunique())]
records = pd.concat(records).reindex(columns=list(srna.report.RECORD_FIELDS)).astype(object)

# %%
numbers = {
    f"{name}, {row['scheme']}": f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
    for name, row in last.loc[["latent minus raw", "latent minus PCA"]].iterrows()
}
numbers["variance, of what PCA keeps"] = f"{kept['seen']:.0%} seen, {kept['unseen']:.0%} unseen"
numbers["planted neighbours found"] = f"{planted['difference']:+.3f} in AUROC"

# %%
close(
    out,
    "11_latent",
    title="Does a latent code learned without labels help where labels are few?",
    info=info,
    records=[scores, gene_scores, *records.where(records.notna(), None).to_dict("records")],
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
# **1.** Make the divergence dear (`kl_weight`, by default a twenty-thousandth). Guess: will samples come back better or
# worse, and how many dimensions stay in use?

# %% tags=["answer"]

# %% tags=["solution"]
shown = encode(task.groups.iloc[splits[0].test].unique(), epochs=12, kl_weight=1.0)
shown.quality.style.hide().format({"seen": "{:.0%}", "unseen": "{:.0%}"})

# %% [markdown] tags=["exercise"]
# **2.** Take the neighbours' effect out of the simulated genes. What should the difference to shuffled neighbours be
# now?

# %% tags=["answer"]

# %% tags=["solution"]
marks = companions.simulate_marks(len(marks.y), chromosomes=24, neighbour=0.0, seed=seed)
genes = companions.pretrain_marks(marks, unseen, size=size, filters=form[0], epochs=4, seed=seed)
shown = {name: models[name] for name in ("latent + neighbours", "latent + shuffled")}
shown = companions.few_labels(marks, [genes], (200,), draws=1, models=shown, seed=seed)
srna.compare(shown, [tuple(shown["model"].unique())], metric="auc")[
    ["pair", "difference", "ci_low", "ci_high"]
].style.hide()

# %% [markdown] tags=["exercise"]
# **3.** Which class loses most when only the code is seen? Compare recalls at the largest number of labels.

# %% tags=["answer"]

# %% tags=["solution"]
shown = predicted[(predicted["scheme"] == f"{few[-1]} labels") & predicted["model"].isin(["raw", "latent"])]
shown = srna.score(shown, metrics="recall", n_boot=0).pivot(index="class", columns="model", values="value")
shown.assign(loss=shown["raw"] - shown["latent"]).sort_values("loss", ascending=False).style.format(precision=2)

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
#   arXiv preprint.
# * Singh, Lanchantin, Robins and Qi (2016), DeepChrome: deep-learning for predicting gene expression from histone
#   modifications, Bioinformatics 32:i639-i648.
# * Kadavath, Paradis and Yeung (2022), DeepChrome 2.0, arXiv preprint.
# * Kingma and Welling (2014), Auto-encoding variational Bayes, ICLR.
# * Shrikumar, Greenside and Kundaje (2017), Learning important features through propagating activation differences,
#   Proceedings of Machine Learning Research 70:3145-3153.
# * Fiosina, Fiosins and Bonn (2020), Explainable deep learning for augmentation of small RNA expression profiles,
#   Journal of Computational Biology 27:234-247.
