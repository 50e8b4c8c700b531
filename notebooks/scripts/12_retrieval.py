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
# # Which tissue or disease does this signature look like?
#
# **You will learn** how to look a *signature* up: a table of log fold changes, yours or a study's, among the
# signatures of other studies. How *connectivity* and the *Characteristic Direction* match two signatures, and how the
# second one fails if it is given too few components; when a network that learns to match (a *ranker*, as that of
# Papanikolaou and others 2023) beats both, and when it cannot; and how far all of this carries across real studies,
# beside plain correlation of expression and chance.
#
# **Reads** a named data set (`dataset`). **Writes** `results/12_retrieval.json` (every figure of merit with its
# interval), `results/12_retrieval.parquet` (every query) and a card, below `out`. **Takes** less than half a minute in
# profile `smoke`, a minute or two in `demo`, some ten minutes in `full`. Words in *italics* stand in the glossary at
# the end.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), open_atlas, mirome or tcga (real) ...
profile: str = "demo"  # smoke (few diseases, short training), demo, full (each disease left out on its own)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # not used here: training is short, and one program serves all of it
label: str = "tissue_group"  # column of obs that a signature is of
min_class_size: int = 15  # labels with fewer samples are left out
control: str = "tumour_normal:normal"  # COLUMN:VALUE of the controls, for cancers against normal tissue

# %%
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import srna_lib as srna
from srna_lib import companions
from srna_lib.report import close, open_dataset, say

# %%
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
shown = (atlas.var["biotype"] == "miRNA").to_numpy()  # what most tables of differential expression hold
atlas = atlas[:, shown | ~shown.any()].copy()
# so many samples of a kind from a study: of cancer and of normal tissue, where there are both
shown = next(column for column in (control.partition(":")[0], label) if column in atlas.obs)
atlas = srna.data.subsample(atlas, shown, per_study={"full": None}.get(profile, 60), seed=seed)

# %% [markdown]
# ## One study, looked up by hand
#
# Take one study. Its signature: mean log2 level of each small RNA (*sRNA*) less the mean over the other studies.
# Correlate it with the signatures of the others, made the same way. **Guess:** will the nearest study be of the same
# label?

# %%
task = srna.make_task(atlas, label, min_class_size=min_class_size)
labels = task.y.astype(str).groupby(task.groups).agg(lambda y: y.value_counts().index[0])
shown = task.groups.map(labels.map(labels.value_counts()) > 2)  # of labels that other studies have, too
mine = task.groups[shown].value_counts().sort_index().idxmax()

# %%
means = pd.DataFrame(srna.models.LogCPM().fit_transform(task.X), task.X.index, task.X.columns)
means = means.groupby(task.groups).mean()
others = means.drop(index=mine)

# %%
nearest = (others - others.mean()).T.corrwith(means.loc[mine] - others.mean()).sort_values(ascending=False)
shown = pd.DataFrame({"correlation": nearest, label: labels}).loc[nearest.index[:6]].rename_axis("study")
srna.explore.readable(shown.reset_index(), {"correlation": "{:.2f}"})

# %%
hits = (labels[nearest.index] == labels[mine]).to_numpy()
say(f"""
Study {mine} is of {labels[mine]}, and so are {hits.sum()} of {len(others)} other studies. **The first of these stands
at place {hits.argmax() + 1}; chance would put it at place {(len(hits) + 1) / (hits.sum() + 1):.1f}.**
""")

# %% [markdown]
# That is retrieval: a *query*, a *library*, a ranking, and somebody who knows what is relevant. What follows asks which
# way to compare is best, first where the answer is known.
#
# ## Connectivity, step by step
#
# The Connectivity Map does not correlate. It takes the sRNAs that rise most in the query and those that fall most,
# and walks down the ranking of a library signature: up at a member of the set, by its share of the set's changes; down
# at any other. The largest deviation of this running sum from zero is the *enrichment score* of the set; half the
# difference of the two scores is the connectivity, and it is zero where both point the same way. **Where will the two
# lines go** for the study's nearest neighbour?
#
# Changes are *shrunken*, each drawn to zero as far as it is noise, and small RNAs that a table lacks count as
# unchanged.

# %%
rest = atlas[(atlas.obs["dataset_id"] != mine).to_numpy()].copy()
library = companions.signatures(rest, label)
query = atlas[(atlas.obs["dataset_id"] == mine).to_numpy()].copy()
query = companions.signatures(query, label, reference=rest).loc[[labels[mine]]]

# %%
score = companions.connectivity(query, library).iloc[0].sort_values(ascending=False)
match = library.loc[score.index[0]].sort_values(ascending=False, kind="stable")
walked = [companions.walks(s, match.to_numpy()[None])[0] for s in companions.extremes(query[match.index].to_numpy()[0])]
walked = pd.DataFrame(np.transpose(walked), columns=["rise in the query", "fall in the query"])

# %%
walked = walked.assign(srna=match.index, change=match.to_numpy(), place=np.arange(1, len(walked) + 1))
srna.pl.running_sums(
    walked.melt(["place", "srna", "change"], var_name="set", value_name="sum"),
    title="How far the query's sRNAs stand ahead in its best match",
    caption=f"query: {labels[mine]} of study {mine}; match: {score.index[0][0]} of study {score.index[0][1]}",
)

# %%
itself = companions.connectivity(query, pd.concat([query, -query])).to_numpy()[0]
say(f"""
Connectivity with the best match: {score.iloc[0]:.2f}. A signature with itself has {itself[0]:.0f}, with its reverse
{itself[1]:.0f}.
""")

# %% [markdown]
# Why this match? The sRNAs that change the same way and most in both (the original lists genes in this manner):

# %%
shown = pd.DataFrame({"query": query.iloc[0], "match": match}).assign(both=lambda t: t["query"] * t["match"])
shown = shown.nlargest(6, "both").rename_axis("sRNA").reset_index()
srna.explore.readable(shown[["sRNA", "query", "match"]], {"query": "{:+.1f}", "match": "{:+.1f}"})

# %% [markdown]
# ## The Characteristic Direction, and how to break it
#
# Fold changes ask which genes differ. The *Characteristic Direction* asks in which direction two groups differ *most
# for how samples scatter anyway*, and so looks past what a laboratory adds. A simulated test: a few genes differ
# between cases and controls, under strong nuisance factors. How well does each method put those genes first?
#
# The direction is computed among principal components, and it is tempting to keep those with most of the variance.
# **Guess what a cut at ninety-five per cent does** to a difference that is small beside the nuisance.

# %%
trials = [companions.nuisance_experiment(seed=seed + i) for i in range({"smoke": 3}.get(profile, 20))]
shares = {"80 %": 0.8, "95 %": 0.95, "99 %": 0.99, "all components": 1.0}
auc = {"fold change": [roc_auc_score(t[2], np.abs(t[0].mean(axis=0) - t[1].mean(axis=0))) for t in trials]}

# %%
for name, share in shares.items():
    shown = [companions.characteristic_direction(t[0], t[1], variance=share) for t in trials]
    auc[name] = [roc_auc_score(t[2], np.abs(b)) for t, b in zip(trials, shown, strict=True)]

# %%
shown = pd.DataFrame(auc).agg(["mean", "min", "max"]).T.set_axis(["value", "ci_low", "ci_high"], axis=1)
shown = shown.assign(metric="AUC").loc[[*shares, "fold change"]].rename_axis("kept").reset_index()
auc = shown.set_index("kept")["value"]

# %%
srna.pl.metrics(
    shown,
    x="kept",
    color="metric",
    title="How well the genes that differ are found",
    caption=f"{len(trials)} simulated experiments, 12 cases and 12 controls; bars: lowest to highest",
    labels={"kept": "variance kept", "AUC": "AUC (half is chance)"},
)

# %%
say(f"""
**With all components the mean AUC is {auc["all components"]:.2f}, with a cut at 95 % of the variance
{auc["95 %"]:.2f}, with fold changes {auc["fold change"]:.2f}.** What tells the groups apart lies in components of
little variance, which the cut takes away; so no component is cut anywhere below.
""")

# %% [markdown]
# ## Three simulated worlds of diseases and drugs
#
# No public library says what drugs do to small RNAs, so the drugs of the original are simulated here. Which drug heals
# which disease is known, each disease is left out in turn, and what is learned has never seen it. In the first world
# drugs heal because their signature *reverses* that of the disease, as the Connectivity Map believes. In the second
# the way from one to the other is *hidden*: it has to be learned from other diseases. In the third healing drugs are
# dealt *at random*. A drug's score is its best over perturbations (cell lines, doses), summed over the contrasts of a
# disease.
#
# Five ways to rank: connectivity; the Characteristic Direction; *popularity* (how many other diseases a drug heals,
# without a look at the signature: the trap of such benchmarks); the ranker, a network that takes both signatures
# through a layer of their own and joins them late; and chance. **Which one wins where?**

# %%
diseases, folds, epochs = {"smoke": (24, 2, 3), "demo": (68, 6, 15)}.get(profile, (68, 0, 15))
worlds = {
    kind: companions.world_retrieval(
        companions.simulate_world(kind, n_diseases=diseases, seed=seed), n_folds=folds, epochs=epochs, seed=seed
    )
    for kind in ("reversal", "hidden", "permuted")
}

# %%
worlds = pd.concat(worlds, names=["world"]).reset_index("world").reset_index(drop=True)
drugs = companions.retrieval_table(worlds, ("world", "model"), seed=seed)

# %%
printed = {"cmap": "connectivity", "characteristic_direction": "characteristic direction", "popularity": "popularity"}
printed |= {"ranker": "ranker", "average_precision": "mean average precision"}

# %%
srna.pl.metrics(
    drugs,
    x="world",
    color="model",
    metric="average_precision",
    title="Who finds the healing drugs",
    caption=f"{diseases} diseases, {worlds['n_items'].max()} drugs; 95 % intervals over diseases",
    labels=printed,
)

# %%
mapped = drugs[drugs["metric"] == "average_precision"].pivot(index="model", columns="world", values="value")
unlearned = mapped.loc[["cmap", "characteristic_direction", "popularity"]].max()
say(f"""
**Reversal:** connectivity {mapped["reversal"]["cmap"]:.2f}, Characteristic Direction
{mapped["reversal"]["characteristic_direction"]:.2f}, ranker {mapped["reversal"]["ranker"]:.2f}. Who knows the rule need
not learn it.

**Hidden:** the ranker reaches {mapped["hidden"]["ranker"]:.2f}, {mapped["hidden"]["ranker"] / unlearned["hidden"]:.1f}
times the best of the others ({unlearned["hidden"]:.2f}; chance {mapped["hidden"]["chance"]:.2f}).

**At random:** the ranker {mapped["permuted"]["ranker"]:.2f}, chance {mapped["permuted"]["chance"]:.2f}.
""")

# %% [markdown]
# ## The same label in other studies
#
# Now without simulated drugs: studies are left out in folds, each of their signatures asks the library of all other
# studies, and what carries the same label is relevant. Two further ways to rank: the *cosine* of shrunken changes, and
# the correlation of plain *expression*, which makes no contrast at all. The ranker is trained on pairs of all *other*
# labels and must carry over; "label seen" may learn from the label, too, though never from the study.
#
# **Guess:** does a contrast help beyond correlating expression? Does a network learn what "same label" means?


# %%
def ask(question) -> pd.DataFrame:
    """Answers, or none and the reason in a sentence."""
    try:
        return question()
    except ValueError as refusal:
        say(f"No answer here: {refusal}")
        return pd.DataFrame(columns=["model", "label", "dataset_id", *companions.METRICS])


# %%
folds = min({"smoke": 2, "demo": 4}.get(profile, 5), task.groups.nunique())
queries = companions.cross_retrieve(
    atlas, label, n_splits=folds, min_class_size=min_class_size, epochs={"smoke": 1}.get(profile, 10), seed=seed
)
table = companions.retrieval_table(queries, seed=seed)

# %%
printed |= {"ranker": "ranker, label unseen", "ranker_seen": "ranker, label seen", "cosine": "cosine of changes"}
printed |= {"reciprocal_rank": "mean reciprocal rank", "expression": "correlation of expression"}
shown = queries[queries["model"] == "chance"]
caption = f"n = {len(shown)} signatures of {shown['dataset_id'].nunique()} studies as queries; split: whole studies"

# %%
headline = srna.pl.metrics(
    table,
    x="model",
    color="model",
    metric=["average_precision", "reciprocal_rank"],
    title=f"Finding the same {label} in studies never seen",
    caption=f"{caption}; 95 % intervals over studies",
    labels=printed,
)
headline

# %%
shown = table.assign(cell=table.agg("{0[value]:.2f} [{0[ci_low]:.2f}, {0[ci_high]:.2f}]".format, axis=1))
shown = shown.pivot(index="model", columns="metric", values="cell").loc[table["model"].unique()]
shown[list(companions.METRICS)].rename(index=printed).rename_axis("ranked by")

# %% [markdown]
# Chance differs between labels: what half of the library carries is found by anybody. So label by label:

# %%
shown = companions.retrieval_table(queries, ("model", "label"), seed=seed).query("metric == 'average_precision'")
shown = shown.assign(metric="average_precision:" + shown["label"])

# %%
srna.pl.per_class(
    shown[~shown["model"].isin(["cosine", "characteristic_direction"])],
    metrics=["average_precision"],
    title="Mean average precision of each label",
    caption=f"{caption}; 95 % intervals over studies, none where a label has one study as query",
    labels=printed,
)

# %% [markdown]
# Is a difference between two ways more than luck? The same queries, paired, resampled by study:

# %%
shown = companions.retrieval_table(queries, versus="expression", seed=seed)
shown = shown[(shown["metric"] == "average_precision") & (shown["model"] != "chance")].replace({"model": printed})
shown["verdict"] = np.select([shown["ci_low"] > 0, shown["ci_high"] < 0], ["better", "worse"], "not told apart")

# %%
shown = [f"* {r.model}: {r.value:+.2f} [{r.ci_low:+.2f}, {r.ci_high:+.2f}], {r.verdict}" for r in shown.itertuples()]
say("Mean average precision less that of correlating expression:\n\n" + "\n".join(shown))

# %% [markdown]
# ## Cancers against normal tissue
#
# A tissue against other tissues is an easy contrast. A cancer against the normal samples of its own cohort is what
# laboratories measure: what the organ itself looks like is gone from both sides. Does the cancer of one cohort find
# the cancers of the same organ in others? (`srna run 12 --dataset tcga -p label=tissue` has such samples.)

# %%
cancers = ask(
    lambda: companions.cross_retrieve(atlas, label, control=control, n_splits=0, min_class_size=2, epochs=0, seed=seed)
)
shown = companions.retrieval_table(cancers, seed=seed)

# %%
srna.pl.metrics(
    shown,
    x="model",
    color="model",
    metric="average_precision",
    title="Cancers of the same organ, from changes against normal tissue",
    caption=f"n = {cancers['dataset_id'].nunique()} cohorts as queries; 95 % intervals over cohorts",
    labels=printed,
)

# %% [markdown]
# And its disease? HMDD lists the stem-loops that publications relate to a disease: not signatures, but sets. A cancer
# asks which set stands ahead among its changes, up or down. Two baselines show what the literature does by itself:
# the sets that stand ahead by mere *level* (what is abundant is studied more), and the largest set first.

# %%
hmdd = ask(
    lambda: companions.disease_retrieval(
        atlas, srna.explain.load_sets(atlas.var, ["disease"]), label=label, control=control, seed=seed
    )
)
shown = companions.retrieval_table(hmdd, seed=seed)

# %%
srna.pl.metrics(
    shown,
    x="model",
    color="model",
    metric="reciprocal_rank",
    title="Its own disease among the sets of HMDD",
    caption=f"n = {hmdd['dataset_id'].nunique()} cohorts; 95 % intervals over cohorts",
    labels={"change": "changes against normal", "expression": "level", "set_size": "largest set first"}
    | {"reciprocal_rank": "mean reciprocal rank"},
)

# %%
shown = companions.retrieval_table(hmdd, versus="set_size", seed=seed).set_index(["model", "metric"])
shown = shown.reindex(pd.MultiIndex.from_product([["change"], ["reciprocal_rank"]])).iloc[0]
say(f"""
Changes against normal tissue, less the largest set first: {shown["value"]:+.2f} [{shown["ci_low"]:+.2f},
{shown["ci_high"]:+.2f}] in mean reciprocal rank.
""")

# %% [markdown]
# ## A table of your own
#
# `srna.retrieve` takes a table of DESeq2, edgeR or limma (a file or a data frame), finds its columns, mends its names,
# and looks it up: by default in `open_atlas`, here in the other studies of this page. *Chance* is the share of pairs
# of *different* labels in the library that are as near: how easily such a score comes about. The study from the
# beginning, written as edgeR would write it:

# %%
desk = Path(out) / "12_retrieval"
desk.mkdir(parents=True, exist_ok=True)
query.iloc[0].rename("logFC").rename_axis(None).to_csv(desk / "table.csv")
answer = srna.retrieve(desk / "table.csv", library)

# %%
shown = answer[["rank", "label", "dataset_id", "n_samples", "connectivity", "cosine", "chance"]].head(8)
srna.explore.readable(shown, {"connectivity": "{:.2f}", "cosine": "{:.2f}", "chance": "{:.3f}"})

# %%
hits = answer["label"] == labels[mine]
say(f"""
The study is of {labels[mine]}. **So are {hits.head(10).sum()} of its ten nearest signatures, and {hits.sum()} of the
{len(answer)} in the library.**
""")

# %% [markdown]
# And a table that is too little, five sRNAs:

# %%
pd.read_csv(desk / "table.csv").head(5).to_csv(desk / "five.csv", index=False)
refused = ask(lambda: srna.retrieve(desk / "five.csv", library))

# %% [markdown]
# ## What this means for notebooks 02 to 06
#
# * Where "label seen" stands above the ways that learn nothing, a label that the library holds is better *learned*
#   (02, 03, 04) than looked up. Looking up is for labels that hardly any study has, for contrasts, and for a second
#   opinion.
# * The nearest studies are a reason that a reader can check, beside the list of sRNAs that speak for a class (05), and
#   a prediction that flips soon (06) is worth a look at its neighbours.
# * What separates laboratories sits in the signature, too, unless a study brings its own controls: use them where there
#   are some.
# * That a ranker carries over to labels never seen is a claim to test each time, label by label, against chance and
#   popularity.
#
# ## Take-home

# %%
means = table[table["metric"] == "average_precision"].set_index("model")["value"].reindex([*printed, "chance"])
shown = means[["cmap", "characteristic_direction", "cosine", "expression"]].idxmax()
say(f"""
**{info["lesson"]}. Without learning, the best way to find the same {label} in other studies was
"{printed[shown]}" with {means[shown]:.2f} (chance {means["chance"]:.2f}).**

A ranker that had seen the label reached {means["ranker_seen"]:.2f}.

A ranker that had not seen the label reached {means["ranker"]:.2f}.
""")

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are. A number that breaks one of these is a fault, not a finding.

# %% tags=["checks"]
assert np.allclose(itself, [1, -1]), "a signature with itself, and with its reverse"
assert auc["all components"] > 0.95 > 0.6 > auc["95 %"], "guaranteed by the simulation"
assert not set(library.index.get_level_values("dataset_id")) & {mine}, "no study asks itself"
assert (
    queries[list(companions.METRICS)].to_numpy().min() >= 0 and queries[list(companions.METRICS)].to_numpy().max() <= 1
)
assert not queries.duplicated(["model", "label", "dataset_id"]).any(), "every signature asked once"
assert refused.empty, "five sRNAs are no signature"
if profile != "smoke":
    assert mapped["reversal"]["cmap"] > mapped["reversal"]["ranker"], "who knows the rule need not learn it"
    assert mapped["hidden"]["ranker"] >= 3 * unlearned["hidden"], "only the ranker can learn the way"
    assert abs(mapped["permuted"]["ranker"] - mapped["permuted"]["chance"]) <= 0.02, "nothing to learn"

# %%
parts = [drugs.assign(task="drugs:" + drugs["world"], scheme="one_disease_out"), table.assign(task=label)]
for name, shown in ((f"cancer:{label}", cancers), ("cancer:disease", hmdd)):
    parts.append(companions.retrieval_table(shown, seed=seed).assign(task=name, scheme="one_dataset_out"))

# %%
records = pd.concat([part for part in parts if len(part)], ignore_index=True).fillna({"scheme": "grouped_kfold"})
records = records.assign(dataset=info["name"], features="miRNA", seed=seed)
records = records[list(srna.report.RECORD_FIELDS)].astype(object).where(lambda t: t.notna(), None)

# %%
numbers = {printed.get(model, model): f"MAP {value:.2f}" for model, value in means.dropna().items()}
numbers |= {"ranker in a hidden world": f"{mapped['hidden']['ranker']:.2f} (best other {unlearned['hidden']:.2f})"}
numbers |= {"Characteristic Direction": f"AUC {auc['all components']:.2f}, cut at 95 %: {auc['95 %']:.2f}"}

# %%
parts = [queries.assign(task=label), worlds.assign(task="drugs:" + worlds["world"])]
parts += [t.assign(task=name) for name, t in ((f"cancer:{label}", cancers), ("cancer:disease", hmdd)) if len(t)]

# %%
close(
    out,
    "12_retrieval",
    title="Which tissue or disease does this signature look like?",
    info=info,
    records=records.to_dict("records"),
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "label": label, "min_class_size": min_class_size, "control": control},
    predictions=pd.concat(parts, ignore_index=True),
)

# %% [markdown]
# ## Limits
#
# * The drug worlds are simulated: they show when a method can win, not that it wins on drugs.
# * A label is not the truth: two studies of one label can differ in cell type, and a label of many kinds is harder.
# * Without controls a signature holds a study against the other studies, so it carries the laboratory's colour.
# * Sets of HMDD come from publications, many of them on these very cohorts: finding a cancer there is no independent
#   evidence.
# * Intervals are over studies; with few cohorts they are wide, and they say nothing of labels that were never asked.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** Half of the study's sRNAs are lost. Guess the share of the ten nearest signatures that are still of its label,
# and look.

# %% tags=["answer"]

# %% tags=["solution"]
shown = pd.DataFrame({"logFC": query.iloc[0]}).sample(frac=0.5, random_state=seed)
(srna.retrieve(shown, library)["label"].head(10) == labels[mine]).mean()

# %% [markdown] tags=["exercise"]
# **2.** How many sRNAs of each sign does connectivity need? Guess whether ten will do, and compare with more.

# %% tags=["answer"]

# %% tags=["solution"]
hits = pd.DataFrame([library.index.get_level_values("label") == labels[mine]])
shown = {n: companions.connectivity(query, library, n=n) for n in (3, 10, 50, 150)}
pd.Series({n: companions.rank_metrics(s, hits)["average_precision"].item() for n, s in shown.items()}).round(2)

# %% [markdown] tags=["exercise"]
# **3.** Give the Characteristic Direction six samples in each arm instead of twelve. Guess its AUC.

# %% tags=["answer"]

# %% tags=["solution"]
shown = companions.nuisance_experiment(6, seed=seed)
roc_auc_score(shown[2], np.abs(companions.characteristic_direction(shown[0], shown[1])))

# %% [markdown]
# ## What to try next
#
# * Real cells: `srna run 12 --dataset open_atlas -p label=lineage`.
# * Cancers: `srna run 12 --dataset tcga -p label=tissue`.
# * Your own table: `srna.retrieve("table.csv")`, or against your own atlas: `srna.retrieve("table.csv", "mine.h5ad")`.
#
# ## Glossary
#
# * **average precision**: mean of the precision at every relevant item of a ranking; its mean over queries is MAP.
# * **characteristic direction**: direction that parts two groups best for how samples scatter within them.
# * **connectivity**: half the difference of the enrichment scores of rising and falling sRNAs; one for the same
#   ranking, minus one for its reverse.
# * **cosine**: similarity of two signatures by their angle.
# * **enrichment score**: largest deviation from zero of a running sum down a ranking.
# * **popularity**: how often an item is relevant at all, whoever asks.
# * **query, library**: the signature that asks, and those that it is compared with.
# * **ranker**: a network that judges pairs of signatures.
# * **reciprocal rank**: one over the place of the first relevant item.
# * **signature**: log fold changes of all sRNAs in one contrast.
# * **shrunken**: drawn to zero as far as it is noise.
#
# ## References
#
# * Papanikolaou, Tuveri, Ogura and O'Donovan (2023), Transcriptomics-based matching of drugs to diseases with deep
#   learning, arXiv.
# * Subramanian and others (2017), A next generation Connectivity Map, Cell 171:1437-1452.
# * Clark and others (2014), The characteristic direction, BMC Bioinformatics 15:79.
# * Huang and others (2019), HMDD v3.0, Nucleic Acids Research 47:D1013-D1017.
# * Love, Huber and Anders (2014), Moderated estimation of fold change, Genome Biology 15:550.
