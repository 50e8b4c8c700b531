"""Over-representation: exact against Fisher's test and against drawing lists at random; what counts once; bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, fisher_exact

from srna_lib.data.atlas import counts_frame
from srna_lib.errors import InputError
from srna_lib.explain.enrichment import (
    COLLECTIONS,
    FIELDS,
    as_sets,
    collections,
    empirical_fdr,
    load_sets,
    measured,
    over_representation,
    over_representation_by_class,
)
from srna_lib.explain.rankings import true_biomarkers

NAMES = [f"s{i}" for i in range(40)]
ARMS = ["hsa-miR-21-5p", "hsa-miR-21-3p", "hsa-miR-155-5p", "hsa-miR-155-3p", "hsa-miR-122-5p", "hsa-miR-9-5p"]


def one(table: pd.DataFrame, name: str) -> pd.Series:
    (row,) = (r for _, r in table.iterrows() if r["set"] == name)
    return row


@given(
    st.sets(st.sampled_from(NAMES), min_size=1),
    st.dictionaries(st.text("abc", min_size=1), st.sets(st.sampled_from([*NAMES, "unmeasured"])), max_size=6),
)
def test_p_is_that_of_fisher(top, sets):
    table = over_representation(sorted(top), sets, NAMES, min_size=1)
    expected = {name: set(held) & set(NAMES) for name, held in sets.items() if set(held) & set(NAMES)}
    assert set(table["set"]) == set(expected)
    for row in table.itertuples():
        held = expected[row.set]
        both = len(held & top)
        rest = [[both, len(top) - both], [len(held) - both, len(NAMES) - len(top) - len(held) + both]]
        assert row.p == pytest.approx(fisher_exact(rest, alternative="greater").pvalue, rel=1e-9)
        assert (row.overlap, row.size, row.n_top, row.n_background) == (both, len(held), len(top), 40)
        assert row.expected == pytest.approx(len(top) * len(held) / 40) and row.fold == pytest.approx(
            both / row.expected
        )
        assert set(filter(None, row.members.split(";"))) == held & top
    if len(table):
        assert table["q"].to_numpy() == pytest.approx(false_discovery_control(table["p"]))
        assert table["p"].is_monotonic_increasing


def test_p_is_the_share_of_random_lists():
    rng, held, draws = np.random.default_rng(0), np.arange(12), 20_000
    lists = np.argsort(rng.random((draws, 40)), axis=1)[:, :10]
    overlaps = np.isin(lists, held).sum(axis=1)
    for overlap in range(7):
        top = [*NAMES[:overlap], *NAMES[12 : 22 - overlap]]
        row = one(over_representation(top, {"a": NAMES[:12]}, NAMES), "a")
        share = (overlaps >= overlap).mean()
        assert row["overlap"] == overlap
        assert row["p"] == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / draws) + 1e-4)


@pytest.mark.slow
def test_random_lists_give_no_more_small_p_than_chance():
    rng = np.random.default_rng(1)
    sets = {str(i): rng.choice(NAMES, 8, replace=False) for i in range(20)}
    p = np.concatenate([over_representation(rng.permutation(NAMES)[:10], sets, NAMES)["p"] for _ in range(60)])
    assert len(p) == 1200
    assert (p <= 0.05).mean() <= 0.06 and (p <= 0.5).mean() <= 0.52


def test_order_names_and_sizes():
    sets = {"none": NAMES[30:35], "all": NAMES[:4], "two": NAMES[:2], "large": NAMES[:20], "half": NAMES[2:6]}
    table = over_representation(["s3", "s1", "s2", "s0", "s9"], sets, NAMES, max_size=19)
    assert list(table["set"]) == ["all", "half", "none"]  # two is too small, large too large
    assert list(table.columns) == FIELDS
    assert one(table, "all")["members"] == "s3;s1;s2;s0"  # as in the list
    assert one(table, "none")[["overlap", "p", "fold", "members"]].tolist() == [0, 1.0, 0.0, ""]
    assert set(over_representation(["s0"], sets, NAMES, min_size=1)["set"]) == set(sets)


def test_order_of_input_and_repeats_change_nothing():
    sets = {"a": ["s1", "s1", "s2", "s3"], "b": ["s5", "s6", "s7"]}
    table = over_representation(["s1", "s2", "s1"], sets, NAMES)
    again = over_representation(["s1", "s2"], {"b": sets["b"], "a": ["s3", "s2", "s1"]}, [*NAMES[::-1], *NAMES])
    pd.testing.assert_frame_equal(table, again)


def test_arms_of_one_stem_loop_count_once():
    sets = as_sets({"a": ["hsa-mir-21", "hsa-mir-155"]}, per="stem-loop")
    table = measured(sets, ARMS)
    row = over_representation(ARMS[:2], table, ARMS, min_size=1).iloc[0]
    assert row[["per", "size", "overlap", "n_top", "n_background"]].tolist() == ["stem-loop", 2, 1, 1, 4]
    assert row["p"] == pytest.approx(0.5) and row["members"] == "hsa-miR-21-5p;hsa-miR-21-3p"
    row = over_representation(ARMS[:2], table.assign(per="feature"), ARMS, min_size=1).iloc[0]
    assert row[["per", "size", "overlap", "n_top", "n_background"]].tolist() == ["feature", 4, 2, 2, 6]
    assert row["p"] == pytest.approx(0.4)


def test_two_members_of_one_merged_feature_count_once():
    names = ["hsa-miR-192-5p/215-5p", *ARMS]
    table = measured(as_sets({"a": ["hsa-miR-192-5p", "hsa-miR-215-5p", "hsa-miR-9-5p"]}), names)
    row = over_representation(names[:1], table, names, min_size=1).iloc[0]
    assert row[["size", "overlap", "n_background"]].tolist() == [2, 1, 7]


def test_the_annotated_background_is_smaller():
    sets = as_sets({"a": NAMES[:4], "b": NAMES[4:10]}, "disease").assign(feature=lambda t: t["member"])
    table = over_representation([*NAMES[:3], "s39"], sets, NAMES)
    assert set(table["n_background"]) == {10} and set(table["n_top"]) == {3}
    assert one(table, "a")["p"] == pytest.approx(4 / 120)  # C(4,3) / C(10,3)
    assert over_representation(["s39"], sets, NAMES)["p"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("collection", "n_background"), [("disease", 10), ("family", len(NAMES))])
def test_the_annotated_background_is_the_default_for_diseases_alone(collection, n_background):
    table = as_sets({"a": NAMES[:4], "b": NAMES[4:10]}, collection)
    result = over_representation(NAMES[:3], table.assign(feature=table["member"]), NAMES)
    assert set(result["n_background"]) == {n_background}


def test_each_collection_has_its_own_correction():
    table = pd.concat(
        [as_sets({f"{c}{i}": NAMES[3 * i : 3 * i + 3] for i in range(n)}, c) for c, n in (("x", 2), ("y", 9))]
    )
    result = over_representation(NAMES[:3], table.assign(feature=table["member"]), NAMES)
    x, y = (result[result["collection"] == c] for c in "xy")
    assert one(x, "x0")["p"] == one(y, "y0")["p"]
    assert one(x, "x0")["q"] == pytest.approx(2 * one(x, "x0")["p"]) and one(y, "y0")["q"] == pytest.approx(
        9 * one(y, "y0")["p"]
    )


def test_by_class_takes_the_best_and_corrects_over_classes():
    scores = pd.DataFrame(0.0, index=["c", "d"], columns=NAMES)
    scores.loc["c", NAMES[:5]] = range(5, 0, -1)
    scores.loc["d", NAMES[5:10]] = 1
    scores.loc["d", NAMES[20:]] = np.nan  # dropped by a filter in one class
    sets = {"first": NAMES[:5], "second": NAMES[5:10]}
    table = over_representation_by_class(scores, sets, n=5)
    c, d = (table[table["class"] == name] for name in "cd")
    assert one(c, "first")["overlap"] == 5 and one(d, "second")["overlap"] == 5
    assert set(c["n_background"]) == {40} and set(d["n_background"]) == {20}
    assert table["q"].to_numpy() == pytest.approx(false_discovery_control(table["p"]))
    single = over_representation(NAMES[:5], sets, NAMES)
    assert c.set_index("set")["p"].to_dict() == pytest.approx(single.set_index("set")["p"].to_dict())
    assert over_representation_by_class(scores, {"tiny": NAMES[:2]}).empty


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: over_representation([], {"a": NAMES}, NAMES), "the list has no sRNA; expected at least one."),
        (lambda: over_representation(["s1"], {"a": NAMES}, []), "the background has no sRNA; expected at least one."),
        (lambda: over_representation(["x"], {}, NAMES), "'x' of the list is not in the background of 40 sRNAs"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_no_set_gives_an_empty_table():
    assert list(over_representation(["s1"], {}, NAMES).columns) == FIELDS
    assert over_representation(["s1"], {"a": ["elsewhere"]}, NAMES).empty


# ---- atlases


def test_planted_families_are_found_in_the_simulated_atlas():
    """The best answer there can be, the planted biomarkers themselves, must show their families."""
    from srna_lib.datasets.registry import load

    atlas = load("demo")
    truth = true_biomarkers(atlas)
    sets = load_sets(atlas.var, ["family"])
    table = over_representation([n for n in atlas.var_names if n in truth], sets, atlas.var_names)
    of_truth = set(atlas.var.loc[sorted(truth), "family"])
    best = table[table["q"] < 0.01]
    assert len(best) > 10 and set(best["set"]) <= of_truth
    chance = np.random.default_rng(0).permutation(atlas.var_names)[: len(truth)]
    assert over_representation(chance, sets, atlas.var_names)["q"].min() > 0.05


def test_tissue_sets_name_the_classes_of_cells(mirome, monkeypatch, mirror, tmp_path):
    """A plain contrast of means, no model: each class must find the set of its own organ."""
    monkeypatch.setenv("SRNA_DATA_MIRROR", str(mirror))
    monkeypatch.setenv("SRNA_DATA_DIR", str(tmp_path))
    counts = counts_frame(mirome)
    levels = np.log2(counts.div(counts.sum(axis=1), axis=0) * 1e6 + 1)
    means = levels.groupby(mirome.obs["cell_class"].to_numpy()).mean()
    spread = levels.std() + 0.1
    scores = pd.DataFrame({c: (means.loc[c] - means.drop(c).mean()) / spread for c in means.index}).T
    table = over_representation_by_class(scores, load_sets(mirome.var, ["tissue", "cluster"]), n=100)
    q = table.set_index(["class", "set"])["q"]
    assert q["Immune", "lymph_node"] < 1e-3 and q["Brain", "brain"] < 0.01 and q["Epithelial", "lung"] < 1e-3
    assert q["Stem", "mir-367~mir-302b"] < 1e-3 and q["Immune", "brain"] > 0.5


def of_sets(p, collection="family", cls="c"):
    table = pd.DataFrame({"class": cls, "collection": collection, "set": [f"f{i}" for i in range(len(p))], "p": p})
    return table.assign(q=false_discovery_control(p))


def test_the_empirical_rate_counts_what_shuffled_labels_find():
    table = of_sets([0.001, 0.01, 0.02, 0.5])
    nulls = [of_sets([0.015, 0.3, 0.6, 0.9]), of_sets([0.4, 0.6, 0.7, 0.9])]
    found = empirical_fdr(table, nulls)
    # with p <= .02 three true tests and half a false one in the mean of two shuffles, with p <= .5 four and 1.5
    assert found["q_empirical"].tolist() == pytest.approx([0, 0, 0.5 / 3, 1.5 / 4])
    assert found[["significant", "null", "kept"]].iloc[0].tolist() == [(table["q"] < 0.05).sum(), 0, 2]


def test_shuffled_labels_that_find_as_much_leave_nothing():
    table = of_sets(np.linspace(0.001, 0.9, 40))
    found = empirical_fdr(table, [table, table])
    assert (found["q_empirical"] == 1).all() and found["kept"].iloc[0] == 0
    both = pd.concat([table, of_sets([0.001, 0.2], "cluster")], ignore_index=True)
    found = empirical_fdr(both, [of_sets(np.linspace(0.1, 0.9, 40)), of_sets([0.5, 0.6], "cluster")])
    assert found.index.equals(both.index)
    assert (found["q_empirical"].groupby(found["collection"]).min() == 0).all()  # each by its own null
    with pytest.raises(InputError, match="empirical null: no shuffle was given"):
        empirical_fdr(table, [])


def test_collections_that_say_something_about_a_label():
    assert collections("tissue_group") == COLLECTIONS and "tissue" not in collections("sex")
    assert collections("tissue_group", simulated=True) == collections("age_2", simulated=True) == ("family", "cluster")
