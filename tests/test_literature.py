"""Lists from the literature: what they hold, where they stand in a ranking, what was never measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, hypergeom

from srna_lib.data.mirna_names import match_names
from srna_lib.errors import InputError
from srna_lib.explain.enrichment import compare_lists, list_ranks, markers, own_ranks, paper_lists, zero_shares

FEATURES = [
    "hsa-miR-9-5p",
    "hsa-miR-124-3p",
    "hsa-miR-192-5p/215-5p",
    "hsa-miR-21-5p",
    "hsa-miR-16-5p",
    "hsa-miR-122-5p",
]


def listed(**lists: list[str]) -> pd.DataFrame:
    return pd.DataFrame([(name, m) for name, mirnas in lists.items() for m in mirnas], columns=["list", "mirna"])


LISTS = listed(
    brain=["hsa-miR-9-5p", "hsa-miR-124-3p", "hsa-miR-153-3p"],
    gut=["hsa-miR-192-5p", "hsa-miR-215-5p", "hsa-miR-194-5p"],
)


@pytest.fixture
def scores() -> pd.DataFrame:
    """Two classes; the filter has dropped miR-124."""
    table = pd.DataFrame(
        [[9.0, np.nan, 1, 2, 3, 4], [1.0, np.nan, 9, 8, 7, 0]], index=["Brain", "Gut"], columns=FEATURES
    )
    return table


def test_the_paper_prints_ten_mirnas_of_six_tissues():
    table = paper_lists()
    assert table["list"].value_counts().to_dict() == dict.fromkeys(
        ("skin", "blood", "brain", "muscle", "intestine", "embryonic tissue"), 10
    )
    assert table.groupby("list")["mirna"].first().to_dict() == {
        "skin": "hsa-miR-205-5p", "blood": "hsa-miR-99a-5p", "brain": "hsa-miR-153-3p", "muscle": "hsa-miR-378a-5p",
        "intestine": "hsa-miR-215-5p", "embryonic tissue": "hsa-miR-92b-3p",
    }  # fmt: skip
    assert table["mirna"].duplicated().sum() == 1  # miR-3195, in two lists
    assert (match_names(table["mirna"])["target"] != "").all()


def test_markers_have_names_roles_and_sources():
    table = markers()
    assert list(table.columns) == ["list", "role", "mirna", "source"]
    assert (table[table["role"] == "lead"]["list"].value_counts() == 2).all() and set(table["role"]) == {
        "lead",
        "further",
    }
    assert (match_names(table["mirna"])["how"] == "exact").all()
    assert table["source"].str.len().min() > 20
    cited = table[~table["source"].str.startswith("common knowledge")]
    assert cited["source"].str.contains(r"\(\d{4}\)").all()


def test_markers_are_of_classes_that_exist_and_are_measured(mirome):
    table = markers()
    assert set(table["list"]) <= set(mirome.obs["cell_class"])
    ones = pd.DataFrame(1.0, index=["any"], columns=mirome.var_names)
    assert set(list_ranks(ones, table)["status"]) == {"kept"}
    assert set(list_ranks(ones, paper_lists())["status"]) == {"kept", "not measured"}


def test_ranks_and_reasons(scores):
    table = list_ranks(scores, LISTS).set_index(["class", "mirna"])
    assert table["status"].loc["Brain"].to_dict() == {
        "hsa-miR-9-5p": "kept", "hsa-miR-124-3p": "filtered away", "hsa-miR-153-3p": "not measured",
        "hsa-miR-192-5p": "kept", "hsa-miR-215-5p": "kept", "hsa-miR-194-5p": "not measured",
    }  # fmt: skip
    assert table["rank"].loc["Brain"].dropna().to_dict() == {
        "hsa-miR-9-5p": 1,
        "hsa-miR-192-5p": 5,
        "hsa-miR-215-5p": 5,
    }
    assert table["rank"].loc["Gut"].dropna().to_dict() == {"hsa-miR-9-5p": 4, "hsa-miR-192-5p": 1, "hsa-miR-215-5p": 1}
    assert set(table["n_background"]) == {5}
    assert table.loc[("Gut", "hsa-miR-215-5p"), "feature"] == "hsa-miR-192-5p/215-5p"


def test_of_several_features_with_a_mirna_the_best_one_counts():
    both = ["hsa-let-7a-5p/7c-5p", "hsa-let-7a-5p/7f-5p"]
    scores = pd.DataFrame([[1.0, 3, 2], [3, 1, 2], [np.nan, 1, 2]], ["A", "B", "C"], [*both, "hsa-miR-21-5p"])
    table = list_ranks(scores, listed(one=["hsa-let-7a-5p"])).set_index("class")
    assert table["feature"].to_dict() == {"A": both[1], "B": both[0], "C": both[1]}
    assert table["rank"].to_dict() == {"A": 1, "B": 1, "C": 2} and set(table["status"]) == {"kept"}


def test_names_of_the_atlas_tell_what_was_filtered(scores):
    narrow = scores.drop(columns="hsa-miR-124-3p")
    table = list_ranks(narrow, LISTS, measured_names=pd.Index(FEATURES))
    pd.testing.assert_frame_equal(table, list_ranks(scores, LISTS))
    assert set(list_ranks(narrow, LISTS).query("mirna == 'hsa-miR-124-3p'")["status"]) == {"not measured"}


def test_comparison_counts_features_once(scores):
    table = compare_lists(scores, LISTS, n=2).set_index(["class", "list"])
    gut = table.loc[("Gut", "gut")]
    assert gut[["listed", "kept", "hits", "n_top", "n_background", "best_rank"]].tolist() == [3, 1, 1, 2, 5, 1]
    assert (
        gut["p"] == pytest.approx(0.4) and gut["expected"] == pytest.approx(0.4) and gut["fold"] == pytest.approx(2.5)
    )
    assert gut["ranks"] == "hsa-miR-192-5p 1, hsa-miR-215-5p 1" and gut["not_measured"] == "hsa-miR-194-5p"
    brain = table.loc[("Brain", "brain")]
    assert (brain["filtered_away"], brain["not_measured"], brain["hits"]) == ("hsa-miR-124-3p", "hsa-miR-153-3p", 1)
    assert table.loc[("Gut", "brain"), "p"] == 1.0 and table.loc[("Gut", "brain"), "hits"] == 0
    assert table["q"].to_numpy() == pytest.approx(false_discovery_control(table["p"]))


def test_p_of_the_comparison_is_hypergeometric():
    names = [f"s{i}" for i in range(100)]
    scores = pd.DataFrame([np.arange(100, 0, -1)], index=["c"], columns=names)
    table = compare_lists(scores, listed(a=[*names[:3], *names[50:57], "lost"]), n=10).iloc[0]
    assert (table["kept"], table["hits"], table["listed"], table["best_rank"]) == (10, 3, 11, 1)
    assert table["p"] == pytest.approx(sum(hypergeom.pmf(k, 100, 10, 10) for k in range(3, 11)))


def test_a_list_of_which_nothing_is_left_says_so(scores):
    table = compare_lists(scores, listed(a=["hsa-miR-1-3p"])).iloc[0]
    assert (table["kept"], table["hits"], table["p"]) == (0, 0, 1.0) and np.isnan(table["best_rank"])
    assert np.isnan(table["fold"]) and table["ranks"] == ""
    assert compare_lists(scores, LISTS, n=50)["n_top"].tolist() == [5] * 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: compare_lists(s, LISTS, n=0), "n=0: no list has so few sRNAs; expected at least 1."),
    ],
)
def test_bad_input_is_one_sentence(scores, call, message):
    with pytest.raises(InputError) as caught:
        call(scores)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_people_have_no_lists_and_no_lists_give_no_rows(scores):
    assert len(paper_lists()) == 60 and paper_lists("sex").empty and paper_lists("age_2").empty
    table = compare_lists(scores, paper_lists("sex"))
    assert table.empty and {"list", "class", "kept", "hits", "p", "q", "ranks"} <= set(table)


def test_own_ranks_are_those_of_the_class_of_the_list_in_every_run(scores):
    lists = pd.DataFrame({"list": ["Gut", "Brain"], "mirna": FEATURES[2:4]})
    table = own_ranks({"one": scores, "two": -scores}, lists)
    assert table.columns[:2].tolist() == ["run", "class"] and list(table.index) == list(range(len(table)))
    assert (table["class"] == table["list"]).all() and table["run"].tolist() == ["one", "one", "two", "two"]
    alone = list_ranks(scores, lists).query("`class` == list")
    assert table[table["run"] == "one"]["rank"].tolist() == alone["rank"].tolist()
    assert own_ranks({"one": scores}, lists.iloc[:0]).empty


def test_zero_shares_are_of_all_samples_and_of_the_class():
    X = pd.DataFrame({"a": [0, 0, 3, 0], "b": [1, 1, 1, 0]})
    table = pd.DataFrame({"class": ["k", "l"], "srna": ["a", "b"]})
    result = zero_shares(X, pd.Series(["k", "k", "k", "l"]), table)
    assert result["zero_share"].tolist() == [0.75, 0.25]
    assert result["zero_share_class"].tolist() == [pytest.approx(2 / 3), 1.0]
    assert zero_shares(X, pd.Series(["k", "k", "k", "l"]), table.iloc[:0]).empty
