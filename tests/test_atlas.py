"""The data contract: what is an atlas, and which sentence anything else gets."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from srna_lib.data.atlas import check_atlas, counts_frame, make_atlas, samples_of
from srna_lib.errors import InputError


def test_made_atlas_has_the_contract(counts, obs, info):
    atlas = make_atlas(counts, obs, info=info)
    assert atlas.shape == (6, 4)
    assert sp.issparse(atlas.X) and atlas.X.format == "csr"
    assert list(atlas.obs_names) == list(counts.index) and list(atlas.var_names) == list(counts.columns)
    assert list(atlas.obs["dataset_id"]) == ["A", "A", "B", "B", "C", "C"]
    assert list(atlas.var["biotype"]) == ["miRNA"] * 4
    assert atlas.uns["srna"]["quantity"] == "counts"
    assert atlas.uns["srna"]["name"] == "toy" and atlas.uns["srna"]["simulated"] is True
    pd.testing.assert_frame_equal(counts_frame(atlas), counts, check_names=False)


def test_annotation_is_kept_and_tables_are_not_changed(counts, obs, info):
    var = pd.DataFrame({"biotype": ["miRNA", "miRNA", "miRNA", "snoRNA"]}, index=counts.columns)
    before = counts.copy(), obs.copy(), var.copy(), dict(info)
    atlas = make_atlas(counts, obs, var, info=info)
    assert list(atlas.var["biotype"]) == ["miRNA", "miRNA", "miRNA", "snoRNA"]
    for table, old in zip((counts, obs, var), before, strict=False):
        pd.testing.assert_frame_equal(table, old)
    assert info.keys() == before[3].keys()


def test_info_defaults_to_measured_counts(counts, obs):
    atlas = make_atlas(counts, obs, info={"name": "x"})
    assert atlas.uns["srna"] == {"quantity": "counts", "simulated": False, "name": "x"}


@given(arrays(np.int64, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.integers(0, 2**53)))
def test_counts_survive_exactly(values):
    counts = pd.DataFrame(
        values.astype(float),
        index=[f"s{i}" for i in range(values.shape[0])],
        columns=[f"r{j}" for j in range(values.shape[1])],
    )
    obs = pd.DataFrame({"dataset_id": "A"}, index=counts.index)
    back = counts_frame(make_atlas(counts, obs, info={}))
    pd.testing.assert_frame_equal(back, counts, check_names=False)
    assert (back.to_numpy().astype(np.int64) == values).all()


def test_h5ad_round_trip(counts, obs, info, tmp_path):
    make_atlas(counts, obs, info=info).write_h5ad(tmp_path / "a.h5ad")
    back = check_atlas(ad.read_h5ad(tmp_path / "a.h5ad"))
    pd.testing.assert_frame_equal(counts_frame(back), counts, check_names=False)
    assert counts_frame(back).loc["s4", "hsa-miR-1-3p"] == 2**24 + 1  # float32 would round it to 2**24
    assert list(back.obs["dataset_id"]) == list(obs["dataset_id"])
    assert back.obs["tissue_group"].isna().tolist() == obs["tissue_group"].isna().tolist()
    np.testing.assert_array_equal(back.obs["age_years"], obs["age_years"])
    assert list(back.var["biotype"]) == ["miRNA"] * 4
    stored = back.uns["srna"]
    assert bool(stored["simulated"]) is True and stored["quantity"] == "counts"
    assert stored["sources"].to_dict("records") == info["sources"].to_dict("records")


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_check_takes_any_numeric_matrix_and_returns_the_same_object(obs, dtype, form):
    X = form(np.arange(12, dtype=dtype).reshape(6, 2))
    atlas = ad.AnnData(X=X, obs=obs, var=pd.DataFrame(index=["a", "b"]))
    assert check_atlas(atlas) is atlas
    assert counts_frame(atlas).to_numpy().tolist() == np.arange(12).reshape(6, 2).tolist()


def test_other_quantities_need_not_be_whole(counts, obs):
    atlas = make_atlas(counts, obs, info={})
    atlas.X = atlas.X * 0.5
    with pytest.raises(InputError, match="not whole numbers"):
        check_atlas(atlas)
    atlas.uns["srna"]["quantity"] = "rpm"
    assert check_atlas(atlas) is atlas


@pytest.mark.parametrize(
    ("value", "words", "printed"),
    [
        (-3, "negative counts in 1 cells", "-3"),
        (0.5, "counts that are not whole numbers in 1 cells", "0.5"),
        (np.nan, r"missing \(NaN\) counts in 1 cells", "nan"),
        (None, r"missing \(NaN\) counts in 1 cells", "nan"),
        (np.inf, "infinite counts in 1 cells", "inf"),
        (-np.inf, "infinite counts in 1 cells", "-inf"),
    ],
)
def test_what_is_no_count(counts, obs, info, value, words, printed):
    counts.loc["s3", "SNORD1"] = value
    sentence = rf"^toy: {words} \(first: sample 's3', sRNA 'SNORD1', value {printed}\); expected raw read counts"
    with pytest.raises(InputError, match=sentence):
        make_atlas(counts, obs, info=info)


@pytest.mark.parametrize("value", [-1.0, 0.5, np.nan, np.inf])
@pytest.mark.parametrize("sparse", [True, False])
def test_what_is_no_count_in_a_read_atlas(counts, obs, info, value, sparse):
    atlas = make_atlas(counts, obs, info=info)
    dense = counts.to_numpy().copy()
    dense[1, 2] = dense[4, 3] = value
    atlas.X = sp.csr_matrix(dense) if sparse else dense
    with pytest.raises(InputError, match=r"^toy: .* in 2 cells \(first: sample 's1', sRNA 'hsa-let-7a-5p/7c-5p'"):
        check_atlas(atlas)


def test_text_counts(counts, obs, info):
    table = counts.astype(object)
    table.loc["s0", "SNORD1"] = "many"
    with pytest.raises(InputError, match=r"^toy: the count table holds text \(.*'many'\); expected numbers only"):
        make_atlas(table, obs, info=info)


@pytest.mark.parametrize(
    ("rows", "columns", "size"), [(0, 4, "0 samples x 4 sRNAs"), (6, 0, "6 samples x 0 sRNAs"), (0, 0, "0 samples")]
)
def test_empty(counts, obs, info, rows, columns, size):
    with pytest.raises(InputError, match=rf"^toy: the atlas is empty \({size}.*expected at least one"):
        make_atlas(counts.iloc[:rows, :columns], obs.iloc[:rows], info=info)


def test_dataset_id_is_required(counts, obs, info):
    with pytest.raises(
        InputError, match=r"^toy: the field obs\['dataset_id'\] is missing \(found: tissue_group, age_years\)"
    ):
        make_atlas(counts, obs.drop(columns="dataset_id"), info=info)
    with pytest.raises(InputError, match=r"is missing \(found: none\); expected the study of every sample"):
        make_atlas(counts, obs[[]], info=info)


def test_dataset_id_is_known_for_all(counts, obs, info):
    obs.loc[["s1", "s2"], "dataset_id"] = np.nan
    with pytest.raises(
        InputError, match=r"^toy: obs\['dataset_id'\] is missing for 2 samples; expected a study for each"
    ):
        make_atlas(counts, obs, info=info)


@pytest.mark.filterwarnings("ignore:Observation names are not unique", "ignore:Variable names are not unique")
def test_duplicate_names(counts, obs, info):
    twice = ["s0", "s0", "s2", "s2", "s2", "s5"]
    with pytest.raises(
        InputError, match=r"^toy: duplicate sample names, 2 in all \(first: 's0'\); expected each name once"
    ):
        make_atlas(counts.set_axis(twice), obs.set_axis(twice), info=info)
    columns = ["a", "b", "a", "c"]
    for var in (None, pd.DataFrame({"biotype": "miRNA"}, index=columns)):
        with pytest.raises(InputError, match=r"^toy: duplicate sRNA names, 1 in all \(first: 'a'\)"):
            make_atlas(counts.set_axis(columns, axis=1), obs, var, info=info)


def test_names_that_collide_only_as_text(counts, obs, info):
    names = [1, "1", 2, 3, 4, 5]
    with pytest.warns(UserWarning, match="not unique"), pytest.raises(InputError, match="duplicate sample names"):
        make_atlas(counts.set_axis(names), obs.set_axis(names), info=info)


@pytest.mark.parametrize("change", [lambda o: o.iloc[:-1], lambda o: o.iloc[::-1], lambda o: o.rename({"s0": "t"})])
def test_metadata_of_other_samples(counts, obs, info, change):
    with pytest.raises(
        InputError, match=r"^toy: the count table has 6 samples and the metadata [56], not the same names"
    ):
        make_atlas(counts, change(obs), info=info)


@pytest.mark.parametrize("change", [lambda v: v.iloc[:-1], lambda v: v.iloc[::-1], lambda v: v.rename({"SNORD1": "t"})])
def test_annotation_of_other_srnas(counts, obs, info, change):
    var = pd.DataFrame({"biotype": "miRNA"}, index=counts.columns)
    with pytest.raises(
        InputError, match=r"^toy: the count table has 4 sRNAs and the annotation [34], not the same names"
    ):
        make_atlas(counts, obs, change(var), info=info)


def test_an_atlas_without_a_name_still_gets_a_sentence(counts, obs):
    atlas = ad.AnnData(X=counts.to_numpy(), obs=obs.drop(columns="dataset_id"))
    with pytest.raises(InputError, match=r"^atlas: the field obs\['dataset_id'\]"):
        check_atlas(atlas)


def test_every_message_is_one_line(counts, obs, info):
    counts.iloc[0, 0] = -1
    with pytest.raises(ValueError) as caught:
        make_atlas(counts, obs, info=info)
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


VIEWS = {
    "whole": lambda a: a,
    "every other sRNA": lambda a: a[:, ::2],
    "sRNAs backwards": lambda a: a[:, ::-1],
    "every other sample": lambda a: a[::2],
    "a range of both": lambda a: a[1:5, 1:3],
    "samples by position, every other sRNA": lambda a: a[[5, 0, 1], ::2],
}


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("view", VIEWS)
def test_samples_of_any_view(counts, obs, info, view, sparse):
    atlas = make_atlas(counts, obs, info=info)
    if not sparse:
        atlas.X = atlas.X.toarray()
    seen = VIEWS[view](atlas)
    expected = counts.loc[seen.obs_names, seen.var_names]
    mask = np.arange(seen.n_obs) != 1
    for chosen in (mask, np.flatnonzero(mask), seen.obs_names[mask]):
        found = samples_of(seen, chosen)
        assert not found.is_view and found.uns["srna"]["name"] == "toy"
        pd.testing.assert_frame_equal(counts_frame(found), expected[mask], check_names=False)
        pd.testing.assert_frame_equal(found.obs, atlas.obs.loc[expected.index[mask]])
    assert samples_of(seen, np.zeros(seen.n_obs, bool)).shape == (0, seen.n_vars)
