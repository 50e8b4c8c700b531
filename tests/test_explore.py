import anndata as ad
import numpy as np
import pandas as pd
import pytest

from srna_lib.data.atlas import make_atlas
from srna_lib.errors import InputError
from srna_lib.explore import tables


def atlas(counts: list[list[int]], studies: list[str], classes: list[object], biotypes: list[str]) -> ad.AnnData:
    names = [f"s{i}" for i in range(len(counts))]
    srnas = [f"r{i}" for i in range(len(counts[0]))]
    obs = pd.DataFrame({"dataset_id": studies, "tissue_group": classes}, index=names)
    var = pd.DataFrame({"biotype": biotypes}, index=srnas)
    return make_atlas(pd.DataFrame(counts, index=names, columns=srnas), obs, var, info={"name": "tiny"})


@pytest.fixture
def tiny() -> ad.AnnData:
    counts = [[10, 0, 0], [30, 0, 10], [5, 5, 0], [0, 20, 0], [10, 0, 0]]
    return atlas(counts, ["A", "A", "B", "B", "C"], ["x", "x", "y", "x", np.nan], ["miRNA", "miRNA", "tRF"])


def test_summarise_counts_what_is_there(tiny):
    value = tables.summarise(tiny)["value"]
    assert value["samples"] == 5 and value["studies"] == 3 and value["sRNAs"] == 3 and value["biotypes"] == 2
    assert value["classes of tissue_group"] == 2 and value["samples without tissue_group"] == 1
    assert value["reads"] == 90 and value["median reads of a sample"] == 10
    assert value["zeros, share of all counts"] == pytest.approx(8 / 15)
    assert "donors" not in value.index  # the atlas does not know them


def test_summarise_counts_donors_once(tiny):
    tiny.obs["donor_id"] = ["d1", "d1", "d2", np.nan, "d3"]
    assert tables.summarise(tiny)["value"]["donors"] == 3


def test_unknown_label_is_said(tiny):
    with pytest.raises(InputError, match=r"obs\['organ'\] is missing \(found: dataset_id, tissue_group\)"):
        tables.class_table(tiny, "organ")


def test_sample_table(tiny):
    table = tables.sample_table(tiny)
    assert table["reads"].tolist() == [10, 40, 10, 20, 10]
    assert table["n_detected"].tolist() == [1, 2, 2, 1, 1]
    assert table["zero_share"].to_numpy() == pytest.approx(1 - table["n_detected"].to_numpy() / 3)
    assert table.loc["s4", "dataset_id"] == "C" and pd.isna(table.loc["s4", "class"])


def test_study_table_is_sorted_and_knows_single_class_studies(tiny):
    table = tables.study_table(tiny).set_index("dataset_id")
    assert table.index.tolist() == ["A", "B", "C"]
    assert table["n_samples"].tolist() == [2, 2, 1] and table["n_classes"].tolist() == [1, 2, 0]
    assert table.loc["A", "main_class"] == "x" and pd.isna(table.loc["C", "main_class"])
    assert table.loc["A", "median_reads"] == 25


def test_study_class_counts_leave_unknown_classes_out(tiny):
    table = tables.study_class_counts(tiny)
    assert table.columns.tolist() == ["x", "y"] and table.to_numpy().sum() == 4
    assert table.loc["A"].tolist() == [2, 0] and table.loc["B"].tolist() == [1, 1]


def test_class_table_measures_how_much_hangs_on_one_study():
    studies = ["A"] * 3 + ["B"] + ["A", "B", "C", "D"]
    table = tables.class_table(atlas([[1]] * 8, studies, ["x"] * 4 + ["y"] * 4, ["miRNA"])).set_index("class")
    assert table.loc["x", ["n_samples", "n_studies", "largest_study"]].tolist() == [4, 2, "A"]
    assert table.loc["x", "largest_share"] == 0.75
    assert table.loc["x", "effective_studies"] == pytest.approx(1 / (0.75**2 + 0.25**2))
    assert table.loc["y", "effective_studies"] == pytest.approx(4)  # four equal studies count as four


def test_biotype_table_gives_shares_of_all_reads_and_of_a_sample(tiny):
    table = tables.biotype_table(tiny).set_index("biotype")
    assert table["n_srnas"].to_dict() == {"miRNA": 2, "tRF": 1}
    assert table.loc["tRF", "share_of_reads"] == pytest.approx(10 / 90)
    assert table.loc["tRF", "mean_share_in_sample"] == pytest.approx((10 / 40) / 5)
    assert table["mean_share_in_sample"].sum() == pytest.approx(1)


def test_duplicate_profiles(tiny):
    table = tables.duplicate_profiles(tiny)
    assert table["sample_id"].tolist() == ["s0", "s4"] and table["dataset_id"].tolist() == ["A", "C"]
    assert table["group"].tolist() == [0, 0]
    assert tables.duplicate_profiles(tiny[:4].copy()).empty


def test_duplicate_profiles_tells_groups_apart():
    table = tables.duplicate_profiles(atlas([[1], [2], [1], [2], [3]], list("ABCDE"), list("xxxxx"), ["miRNA"]))
    assert table.groupby("group")["sample_id"].apply(list).tolist() == [["s0", "s2"], ["s1", "s3"]]


def test_filter_effect_analytic():
    # Zeros in 0, 1, 3 of 4 samples; the last is in every sample of class y.
    counts = pd.DataFrame({"a": [1, 1, 1, 1], "b": [0, 1, 1, 1], "c": [0, 0, 0, 2]})
    table = tables.filter_effect(counts, [0.0, 0.3, 1.0], pd.Series(["x", "x", "x", "y"])).set_index("max_zero_share")
    assert table["n_features"].tolist() == [1, 2, 3] and table["share_features"].iloc[1] == pytest.approx(2 / 3)
    assert table["share_reads"].tolist() == pytest.approx([(1 + 0.5 + 0.5 + 0.25) / 4, (3 + 0.5) / 4, 1])
    assert table["n_lost_markers"].tolist() == [2, 1, 0]


def test_filter_effect_weighs_samples_equally_whatever_their_depth():
    counts = pd.DataFrame({"a": [1, 1, 1], "b": [0, 0, 5]})
    deeper = counts.mul([1000, 1, 1], axis=0)
    effects = [tables.filter_effect(c, [0, 0.5, 1], pd.Series(["x", "x", "y"])) for c in (counts, deeper)]
    pd.testing.assert_frame_equal(*effects)


def test_filter_effect_refuses_percentages():
    with pytest.raises(InputError, match="shares of zeros from 0 to 1"):
        tables.filter_effect(pd.DataFrame({"a": [1]}), [30], pd.Series(["x"]))


def test_filter_effect_of_an_empty_sample_is_finite():
    table = tables.filter_effect(pd.DataFrame({"a": [0, 1], "b": [0, 1]}), [0.5, 1], pd.Series(["x", "y"]))
    assert table["share_reads"].notna().all() and table["share_reads"].iloc[-1] == 0.5


def test_lost_markers_names_srna_and_class():
    counts = pd.DataFrame({"common": [1] * 6, "marker": [0, 0, 0, 0, 3, 4], "rare": [0, 0, 1, 0, 0, 0]})
    table = tables.lost_markers(counts, pd.Series(["x"] * 4 + ["y"] * 2), 0.3)
    assert table.to_dict("records") == [
        {"srna": "marker", "class": "y", "zero_share_in_class": 0.0, "zero_share": pytest.approx(4 / 6)}
    ]


def test_readable_formats_and_leaves_the_source_alone():
    table = pd.DataFrame({"share": [0.123]}, index=pd.Index(["x"], name="class"))
    shown = tables.readable(table, {"share": "{:.0%}"})
    assert shown.loc["x", "share"] == "12%" and shown.columns.name == "class" and table.loc["x", "share"] == 0.123


def test_values_that_are_no_counts_have_no_reads(tiny):
    tiny.uns["srna"]["quantity"] = "normalised"
    assert tables.sample_table(tiny)["reads"].isna().all() and "reads" not in tables.summarise(tiny).index
    assert tables.biotype_table(tiny)["share_of_reads"].isna().all()
    table = tables.filter_effect(pd.DataFrame({"a": [0.5, 1], "b": [0, 1]}), [0, 1], pd.Series(["x", "y"]))
    assert table["share_reads"].isna().all() and table["n_features"].tolist() == [1, 2]


def test_depth_facts_by_hand(tiny):
    facts = tables.depth_facts(tables.sample_table(tiny))
    assert (facts["low"], facts["high"]) == pytest.approx((10, 36)) and facts["class_factor"] == 2  # 20 over 10
    assert facts["detected"] == pytest.approx(2.5 / 60**0.5)  # of ranks 2, 5, 2, 4, 2 and 2, 4.5, 4.5, 2, 2


def test_readable_leaves_unknown_values_empty_and_says_where_there_is_nothing():
    table = pd.DataFrame({"class": ["x", "y"], "share": [0.25, np.nan]})
    assert tables.readable(table, {"share": "{:.0%}"})["share"].to_dict() == {"x": "25%", "y": ""}
    assert tables.readable(table[:0]).to_numpy().tolist() == [["none in this data set"]]


def test_protocol_factors_of_known_shifts():
    """Two laboratories, equal parts but for one sRNA that a protocol reads eight times as often; one is not pooled."""
    even, odd = [1000, 1000, 1000, 1000, 0], [1000, 8000, 1000, 1000, 9000]
    pool = atlas([even, odd, even, odd, even], ["A", "A", "B", "B", "B"], ["x"] * 5, ["miRNA"] * 5)
    pool.obs["library_protocol"], pool.var["in_pool"] = ["p", "q", "p", "q", "p"], [True] * 4 + [False]
    table = tables.protocol_factors(pool, prior=0.0)
    ratios = table.pivot(index="srna", columns="protocol", values="log2_ratio")
    assert list(ratios.index) == ["r0", "r1", "r2", "r3"]
    assert ratios["q"].tolist() == pytest.approx([0, 1.5, 0, 0]) and ratios["p"].tolist() == pytest.approx(
        [0, -1.5, 0, 0]
    )
    assert table.groupby("protocol")[["studies", "libraries"]].first().to_numpy().tolist() == [[2, 3], [2, 2]]
    with pytest.raises(InputError, match=r"obs\['kit'\] is missing"):
        tables.protocol_factors(pool, "kit")


def test_a_laboratory_of_many_libraries_counts_once_in_protocol_factors():
    """Of two laboratories with one protocol, the one with three libraries weighs as much as the other."""
    even, odd = [1000, 1000, 1000], [1000, 4000, 1000]
    pool = atlas([odd, odd, odd, even, even], ["A", "A", "A", "B", "B"], ["x"] * 5, ["miRNA"] * 3)
    pool.obs["library_protocol"], pool.var["in_pool"] = ["p", "p", "p", "p", "q"], True
    table = tables.protocol_factors(pool, prior=0.0).set_index(["protocol", "srna"])["log2_ratio"]
    assert table["p", "r1"] - table["q", "r1"] == pytest.approx(1.0)


def test_protocols_shift_mirnas_a_hundredfold_and_laboratories_agree(real):
    """On the original: the shifts of a protocol are those of the protocol, whoever uses it."""
    pool = real("protocols").copy()
    table = tables.protocol_factors(pool)
    wide = table.pivot(index="srna", columns="protocol", values="log2_ratio")
    assert wide.shape == (560, 9) and ((wide.max(axis=1) - wide.min(axis=1)) > np.log2(100)).mean() > 0.1
    pool.obs["own"] = pool.obs["protocol_family"] + "|" + pool.obs["laboratory"]
    own = tables.protocol_factors(pool, "own").pivot(index="srna", columns="protocol", values="log2_ratio").corr()
    family = own.columns.str.split("|").str[0].to_numpy()
    same, upper = family[:, None] == family, np.triu(np.ones(own.shape, dtype=bool), 1)
    assert np.median(own.to_numpy()[same & upper]) > 0.7 > 0 > np.median(own.to_numpy()[~same & upper])
