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
# # What are my samples, and when is it better not to say?
#
# **You will learn** how to come from a table of counts to a decision: train a model with its promises (a *bundle*),
# read its card, annotate samples that it has never seen, and read a prediction and an *abstention*. Then you spoil the
# table and look whether the model notices; and you turn the question round and ask which recorded labels are wrong.
#
# **Reads** a named data set (`dataset`). **Writes** `results/07_annotate.json` and a card, and everything that a
# laboratory would have on its desk (the table, the bundle) to `07_annotate`, all below `out`. **Takes** half a minute
# in profile `smoke`, a minute or two in `demo`, some ten minutes in `full`; finished folds are kept in `out/cache`.
# Words in *italics* stand in the glossary at the end.

# %% tags=["parameters"]
dataset: str = "demo"  # name of the data set: demo (simulated), mirome, open_atlas or any of `srna datasets list`
profile: str = "demo"  # smoke (few samples, for tests), demo (a small network), full (the recipe as it is)
out: str = "../reports/demo"  # folder that results are written to
seed: int = 0  # of every random choice
n_jobs: int = 2  # folds at a time
label: str = "tissue_group"  # column that is predicted
min_class_size: int = 15  # classes with fewer samples are not learned
error: float = 0.15  # share of wrong predictions that you would bear
mixed_up: float = 0.05  # share of the labels that are dealt anew, for the audit

# %%
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

import srna_lib as srna
from srna_lib.report import close, open_dataset, say

# %%
atlas, info = open_dataset(dataset, profile=profile, seed=seed, label=label)
atlas = srna.data.eligible(atlas, label)  # of sex and age only data sets that do not give them away, as in 03
mirna = (atlas.var["biotype"] == "miRNA").to_numpy()  # what most laboratories' tables hold
atlas = atlas[:, mirna | ~mirna.any()].copy()

# %% [markdown]
# ## A laboratory with a table
#
# Let one study of the atlas be yours: of those that can be left out the one with most classes. It leaves the atlas
# whole, and what it recorded goes into a drawer. On your desk lies what a laboratory has: counts in a CSV file, a row
# for each small RNA (*sRNA*), a column for each sample, and no label.

# %%
task = srna.make_task(atlas, label, min_class_size=min_class_size)
studies = srna.make_splits(task, "one_dataset_out", seed=seed)
mine = max(studies, key=lambda study: (task.y.iloc[study.test].nunique(), len(study.test))).fold
own = (atlas.obs["dataset_id"] == mine).to_numpy()
recorded, counts = atlas[own].obs[label].astype(object), atlas[own].to_df().astype(int).T

# %%
desk = Path(out) / "07_annotate"
shutil.rmtree(desk, ignore_errors=True)
desk.mkdir(parents=True)
counts.to_csv(desk / "miR.Counts.csv")
counts.iloc[:4, :4]

# %%
say(f"Study {mine}: {counts.shape[1]} samples, {counts.shape[0]} sRNAs, and in the drawer {recorded.nunique()} labels.")

# %% [markdown]
# ## Train on everybody else
#
# A *bundle* is a model with its promises. The other studies are left out in turn, and what the model says of them
# shows how sure it must be to err no more often than you would bear (`error`). Then it is trained on all of them. With
# few studies little can be promised: had one more been wrong, n studies would show one error in n + 1.

# %%
others = srna.data.subsample(
    atlas[~own], label, per_study={"smoke": 8}.get(profile), min_class_size=min_class_size, seed=seed
)
promise = max(error, 1 / srna.make_task(others, label, min_class_size=min_class_size).groups.nunique())

# %%
size = {"classifier__hidden": (64, 32), "classifier__dropout": (0.2, 0.2), "classifier__epochs": 40}
size = srna.evaluate.Profile(changes={"dl_log": size | {"classifier__batch_size": 16}})  # small, for a small atlas
size = {"full": srna.evaluate.Profile()}.get(profile, size)
n_jobs = {"full": n_jobs}.get(profile, 1)  # small folds are done before a process of their own has started

# %%
train = partial(srna.train, others, label, min_class_size=min_class_size, profile=size)
train = partial(train, n_splits={"smoke": 3, "demo": 4}.get(profile, 20))
train = partial(train, seed=seed, n_jobs=n_jobs, cache=f"{out}/cache")
bundle = train(error=promise)

# %% [markdown]
# Every bundle has a card: what it predicts, what it was trained on, what it keeps in studies that it never saw, and
# what it cannot do. **Guess before you read:** of how many samples of a new study will it name the class? How many of
# these will be right? And what is left of it when half of the names are missing?

# %%
srna.annotate.save(bundle, desk / "bundle")
say(srna.annotate.card(bundle).replace("# ", "### "))

# %%
kept, least = bundle.about["measured"], bundle.about["least"]
say(f"""
Without a refusal {kept["accuracy_of_all"]:.0%} of the samples would be right. The bundle names the class of
{kept["predicted_share"]:.0%}, the parent of {kept["backed_off_share"]:.0%}, and nothing for
{kept["abstained_share"]:.0%}. **It asks for {least["reads"]:,.0f} reads and {least["names"]:.0%} of its sRNAs.**
""")

# %% [markdown]
# A parent is the branch that a class belongs to, such as epithelial for gland. Who is not sure of the class may be
# sure of the branch: then the bundle *backs off* to it. That is an answer, only a coarser one.
#
# ## Annotate the table
#
# From the file and the folder alone, as the command `srna annotate` does it with its `--bundle`.

# %%
told = srna.annotate(desk / "miR.Counts.csv", desk / "bundle")
print(srna.annotate.summary(told))

# %% [markdown]
# Now open the drawer. Rows are what the study recorded, columns what the bundle said. **Where do you expect the
# abstentions:** spread over all classes, or in one?

# %%
parents = {c["name"]: c["parent"] for c in bundle.about["classes"]}


def judge(table: pd.DataFrame) -> pd.DataFrame:
    """Add what was recorded, and whether the answer is right: the class, or its parent where only that is named."""
    table = table.set_index("sample_id").replace(";", ", ", regex=True)
    table["recorded"] = recorded.reindex(table.index).fillna("not recorded")
    backed = table["status"] == "backed off"
    return table.assign(right=table["prediction"] == table["recorded"].mask(backed, table["recorded"].map(parents)))


# %%
answers = judge(told.uns["annotation"])
given, known = answers["status"] != "abstained", answers["recorded"].isin(bundle.classes)
caption = srna.pl.caption(len(answers), scheme="one study left out", extra="columns: class, its parent, or no answer")
table = pd.crosstab(answers["recorded"], answers["prediction"].where(given, "(abstained)"))
headline = srna.pl.confusion(table, title="What was recorded, and what was said", caption=caption)
headline

# %%
answers.groupby("status")["right"].agg(samples="size", right="sum")

# %%
say(f"""
Of {known.sum()} samples of a class that the model knows, {(known & given).sum()} got an answer, and
**{answers["right"][known & given].mean():.0%} of these answers are right**; the likeliest class is right for
{(answers["likeliest"] == answers["recorded"])[known].mean():.0%} of them.

""")
say(
    f"Of {(~known).sum()} samples of no class that it knows, {(~known & given).sum()} got one all the same."
    * bool((~known).any())
)

# %% [markdown]
# One study is one throw of the dice: the card, which rests on many, says what to expect of the next one.
#
# ## Read one prediction
#
# The surest of all. *Speaks for* are the sRNAs that move the network most towards the class (*DeepLIFT*), *speaks
# against* those that move it away. The *set* is made so that nine in ten hold the true class; the nearest studies are
# where its likes are. **Would you sign it?**

# %%
shown = ["recorded", "prediction", "status", "probability", "set", "nearest_studies", "speaks_for", "speaks_against"]
answers[given].sort_values("likeliest_probability", ascending=False, kind="stable")[shown].head(1).T.style

# %% [markdown]
# The names are reasons of the model, not of biology: look them up before you believe them (notebook 05 asks how far
# they can be believed).
#
# ## Read one abstention
#
# An abstention has one reason, and each asks for something else. *Undecided*: two classes are too close, so read the
# set. *Unlike every training sample*: another kind of cell or of library, so no probability means anything. Too few
# reads or names: sequence deeper, or look at how the table was made. **Which will it be here?**

# %%
shown = ["recorded", "reason", "likeliest", "likeliest_probability", "distance", "set"]
say("None here: every sample got an answer." * bool(given.all()))
answers.loc[~given, shown].head(3).style.format(precision=2)

# %% [markdown]
# What it is held to: the least probability of a class and of a parent, and the greatest distance from the training
# samples. A limit that no probability reaches means never.

# %%
pd.Series(bundle.about["limits"]).to_frame("limit")

# %% [markdown]
# ## Spoil the table
#
# A model answers whatever it is given; what is worth something is that it notices. Four faults, each in a file of its
# own: hardly a read, most names gone, names shuffled, names of the mouse. **Which of them will it not notice?**

# %%
spoilt, rng = {}, np.random.default_rng(seed)


def ask(table: pd.DataFrame) -> pd.DataFrame:
    """Write a table, annotate the file, and return what is said of each sample; a file may be refused as a whole."""
    table.to_csv(desk / "spoilt.csv")
    try:
        return srna.annotate(desk / "spoilt.csv", bundle, explain=False).uns["annotation"]
    except ValueError as refusal:
        return pd.DataFrame({"status": "abstained", "reason": str(refusal).removeprefix(f"{desk}/")}, table.columns)


# %%
shown = (least["reads"] / 2 / counts.sum()).clip(upper=1)  # half of the reads that the bundle asks for
spoilt["hardly a read"] = ask(pd.DataFrame(rng.binomial(counts, shown), counts.index, counts.columns))

# %%
spoilt["most names gone"] = ask(counts.sample(frac=least["names"] / 3, random_state=seed))

# %%
spoilt["names shuffled"] = ask(counts.set_axis(rng.permutation(counts.index)))

# %%
spoilt["names of the mouse"] = ask(counts.rename(lambda name: name.replace("hsa-", "mmu-")))

# %%
noticed = pd.concat(spoilt, names=["fault"]).groupby("fault", sort=False)
noticed = noticed.agg(
    samples=("status", "size"),
    refused=("status", lambda status: (status == "abstained").mean()),
    first_reason=("reason", "first"),
)
noticed.style.format({"refused": "{:.0%}"})

# %%
say(f"""
**Of the faults {(noticed["refused"] == 1).sum()} of {len(noticed)} are refused to the last sample.** Counting reads and
names needs no model. Shuffled names are all known, and only the profile can tell:
{noticed["refused"]["names shuffled"]:.0%} of those samples are refused.
""")
say(
    "A fault that is not refused is answered with confidence: begin with samples of which you know the label."
    * bool(noticed["refused"].min() < 1)
)

# %% [markdown]
# ## Are my labels right?
#
# Now the other way round: the labels are there, and some are wrong. Take the training studies and deal the labels of a
# few samples anew among them, as if tubes had been swapped. An *audit* predicts every sample by models that never saw
# its study, and flags it where expression and the rest of its study agree on another label. **Guess** how many of the
# swapped ones it finds, and how many flags are false.

# %%
labels = srna.make_task(others, label, min_class_size=min_class_size).y.astype(object)
drawn = labels.sample(frac=mixed_up, random_state=seed)
wrong = pd.Series(rng.permutation(drawn), drawn.index)
wrong = wrong[wrong != drawn]

# %%
swapped = others.copy()
swapped.obs[label] = swapped.obs[label].astype(object)
swapped.obs.loc[wrong.index, label] = wrong
audit = srna.audit(
    swapped, label, n_splits={"full": 10}.get(profile, 5), min_class_size=min_class_size, seed=seed, n_jobs=n_jobs
)

# %%
flags = audit.samples.assign(before=audit.samples["sample_id"].map(labels))
shown = ["sample_id", "recorded", "predicted", "before", "margin", "swapped_with"]
srna.explore.readable(flags[shown].head(5), {"margin": "{:.2f}"})

# %%
precision, recall = flags["sample_id"].isin(wrong.index).mean(), wrong.index.isin(flags["sample_id"]).mean()
say(f"""
Of {len(wrong)} wrong labels **{recall:.0%} are found**.

Of {len(flags)} flags **{precision:.0%} are wrong labels of ours**; by its own probabilities the audit expects
{1 - audit.summary["expected_wrong_flags"]:.0%}.
""")

# %% [markdown]
# In real data a flag that is not ours may be a label that was wrong before. Whole studies that the model contradicts
# are listed apart: there either the model fails or the laboratory's label does.

# %%
srna.explore.readable(audit.studies.head(3), {"contradicted": "{:.0%}"})

# %% [markdown]
# ## The models that travel with the package
#
# Without a bundle of your own there are those of the package, trained on `open_atlas`: *lineage*, tissue group and
# sample type of human samples. Did they see your study? If so, what follows is no test.

# %%
told = srna.annotate(desk / "miR.Counts.csv", explain=False).uns["annotation"]
pd.crosstab(told["task"], told["status"])

# %%
shown = [name for name in srna.annotate.DEFAULT if mine in srna.annotate.load_bundle(name).about["training_studies"]]
say(f"Shipped bundles that were trained on this study, too: {', '.join(shown) or 'none'}.")
say("A simulated profile is of no lineage at all, so here the right answer is none." * bool(info["simulated"]))

# %% [markdown]
# ## Take-home

# %%
say(f"""
**{info["lesson"]}.** Of the study left out {given.mean():.0%} of the samples got an answer, and
{answers["right"][given].mean():.0%} of these are right; the card promised answers for
{1 - kept["abstained_share"]:.0%}.

**Read the card before the prediction, and the reason before the next experiment: a model that cannot refuse has said
nothing when it answers.**
""")

# %% [markdown]
# ## Checks
#
# What must hold whatever the data are. A number that breaks one of these is a bug, not a finding.

# %% tags=["checks"]
assert mine not in bundle.about["training_studies"], "the bundle has never seen the study"
assert list(answers.index) == list(counts.columns), "one row a sample, in the order of the table"
assert (answers.loc[~given, "prediction"] == "").all() and (answers.loc[~given, "reason"] != "").all()
assert set(answers.loc[answers["status"] == "predicted", "prediction"]) <= set(bundle.classes)
assert (noticed["refused"].drop("names shuffled") == 1).all(), "what can be counted is refused to the last sample"
assert noticed["first_reason"]["hardly a read"] != noticed["first_reason"]["names of the mouse"]
assert set(flags["sample_id"]) <= set(labels.index), "flags are of samples whose label was held against expression"

# %%
values = {f"card: {name}": value for name, value in kept.items() if isinstance(value, float)}
values |= {"answered": given.mean(), "right of the answers": answers["right"][given].mean()}
values |= {"precision of the audit": precision, "recall of the audit": recall}
values |= noticed["refused"].rename("refused: {}".format).to_dict()

# %%
records = pd.Series(values).dropna().rename_axis("metric").reset_index(name="value")
records = records.assign(task=label, dataset=info["name"], model="dl_log", features="sRNA", seed=seed)
records = records.assign(scheme="one_dataset_out", n_samples=len(answers), n_datasets=1, ci_low=None, ci_high=None)
shown = ["grouped_kfold", kept["n_samples"], kept["n_studies"]]
records.loc[records["metric"].str.startswith("card"), ["scheme", "n_samples", "n_datasets"]] = shown

# %%
numbers = {
    "samples of the study left out": f"{len(answers)}, answered {given.mean():.0%}",
    "right, of these": f"{answers['right'][given].mean():.0%}",
    "promised (card)": f"an answer for {1 - kept['abstained_share']:.0%}",
    "wrong labels found": f"{recall:.0%} (flags that are right: {precision:.0%})",
}

# %%
close(
    out,
    "07_annotate",
    title="What are my samples, and when is it better not to say?",
    info=info,
    records=records.to_dict("records"),
    numbers=numbers,
    figure=headline,
    parameters={"profile": profile, "seed": seed, "label": label, "error": error, "mixed_up": mixed_up},
)

# %% [markdown]
# ## Limits
#
# * One study left out is one example; the card rests on all of them, and speaks of studies like those it was trained
#   on.
# * A class that no training sample has is meant to be refused; some such samples are not.
# * Labels that an audit flags are suspects. An audit learns from the labels that it judges, so a fault that most
#   studies share is invisible to it.
#
# ## Exercises

# %% [markdown] tags=["exercise"]
# **1.** A colleague sends the same table as reads per million. Guess: will it be annotated, and if not, who refuses
# it? Spoil the table that way and ask.

# %% tags=["answer"]

# %% tags=["solution"]
ask(counts / counts.sum() * 1e6)[["status", "reason"]].drop_duplicates().style

# %% [markdown] tags=["exercise"]
# **2.** Bear twice the errors. How many more samples will get an answer, and how many of all answers will be right?
# (The folds are kept, so training again is quick.)

# %% tags=["answer"]

# %% tags=["solution"]
told = judge(srna.annotate(desk / "miR.Counts.csv", train(error=2 * promise), explain=False).uns["annotation"])
shown = pd.concat({"as above": answers, "bolder": told}, names=["errors"])
shown.groupby(["errors", "status"])["right"].agg(samples="size", right="sum")

# %% [markdown] tags=["exercise"]
# **3.** Which sRNAs speak for a class most often? Name one for a class that you know, then count.

# %% tags=["answer"]

# %% tags=["solution"]
shown = answers.assign(srna=answers["speaks_for"].str.split(", ")).explode("srna")
shown.groupby("likeliest")["srna"].agg(lambda names: ", ".join(names.value_counts().index[:3])).to_frame("speaks_for")

# %% [markdown]
# ## What to try next
#
# * Real cells: `srna run 07 --dataset mirome`; with `-p label=lineage` by their lineage.
# * Your own table: `srna annotate miR.Counts.csv --out annotated`, and a bundle of your own atlas with `srna train`.
# * All samples of one study: `srna.annotate(desk / "miR.Counts.csv", bundle, batch="all")`. Who gets another answer
#   when the samples most alike have a say (notebook 08)?
#
# ## Glossary
#
# * **abstention**: no answer, with the reason.
# * **audit**: the search for recorded labels that the expression contradicts.
# * **back off**: name the parent of a class where the class itself is not sure enough.
# * **bundle**: a trained model with its names, limits, card and the samples that it was trained on, in a folder.
# * **DeepLIFT**: contributions of the sRNAs to what a network says, held against a reference (notebook 05).
# * **lineage**: the branch of the tree of cells, such as epithelial or neural.
# * **one dataset out**: each study in turn is predicted by a model that never saw it.
# * **precision**, **recall** of an audit: share of its flags that are wrong labels; share of the wrong labels it
#   flags.
# * **set**: the classes that cannot be excluded; it is made so that nine sets in ten hold the true one.
#
# ## References
#
# * Fiosina, Fiosins and Bonn (2020), Explainable deep learning for augmentation of small RNA expression profiles,
#   Journal of Computational Biology 27:234-247.
# * Angelopoulos and Bates (2023), Conformal prediction: a gentle introduction, Foundations and Trends in Machine
#   Learning 16:494-591.
# * Mitchell and others (2019), Model cards for model reporting, FAT* 2019:220-229.
# * Northcutt, Jiang and Chuang (2021), Confident learning: estimating uncertainty in dataset labels, Journal of
#   Artificial Intelligence Research 70:1373-1411.
