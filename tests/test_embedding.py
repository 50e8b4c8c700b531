import os
import platform
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srna_lib.errors import InputError
from srna_lib.explore import embedding
from srna_lib.models.preprocess import SampleRanks

DECISIVE = ["neighbour_study_within_class", "neighbour_class_across_studies"]


def design(n: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, each in the same two studies, n samples a cell."""
    y = np.repeat(["x", "x", "y", "y"], n)
    s = np.repeat(["A", "B", "A", "B"], n)
    return y, s


def cloud(centre: np.ndarray, spread: float = 0.1) -> np.ndarray:
    return np.asarray(centre, dtype=float)[:, None] + np.random.default_rng(0).normal(0, spread, (len(centre), 2))


def shares(points, y, s, **kwargs) -> pd.DataFrame:
    return embedding.neighbour_share(points, y, s, n_boot=200, **kwargs).set_index("metric")


def test_pure_tissue_gives_class_everywhere_and_study_at_chance():
    y, s = design(40)
    table = shares(cloud(np.where(y == "x", 0, 100)), y, s)
    assert table.loc["neighbour_class", "observed"] == 1
    assert table.loc["neighbour_class_across_studies", "observed"] == 1
    within = table.loc["neighbour_study_within_class"]
    assert within["observed"] == pytest.approx(within["chance"], abs=0.08)
    assert within["chance"] == pytest.approx(39 / 79)


def test_pure_laboratory_gives_study_everywhere_and_class_at_chance():
    y, s = design(40)
    table = shares(cloud(np.where(s == "A", 0, 100)), y, s)
    assert table.loc["neighbour_study", "observed"] == 1
    assert table.loc["neighbour_study_within_class", "observed"] == 1
    across = table.loc["neighbour_class_across_studies"]
    assert across["chance"] == 0.5 and across["observed"] == pytest.approx(0.5, abs=0.08)


def test_the_three_plain_shares_by_hand():
    # On a line: 0 xA, 1 xA, 3 xB, 10 yB. One neighbour each: 0->1, 1->0, 3->1, 10->3.
    table = shares(np.array([[0.0], [1], [3], [10]]), list("xxxy"), list("AABB"), k=1)
    assert table.loc["neighbour_class", "observed"] == 3 / 4
    assert table.loc["neighbour_study", "observed"] == 3 / 4
    assert table.loc["neighbour_class_not_study", "observed"] == 1 / 4
    assert table.loc["neighbour_class", "chance"] == pytest.approx((3 * 2 / 3 + 0) / 4)
    # Within class x: 0->1 (A), 1->0 (A), 3->1 (not B); y has a single sample and no candidate.
    within = table.loc["neighbour_study_within_class"]
    assert within["observed"] == pytest.approx(2 / 3) and within["n_samples"] == 3
    # Among other studies: 0->3 x, 1->3 x, 3->1 x, 10->1 no.
    assert table.loc["neighbour_class_across_studies", "observed"] == 3 / 4


def test_ceiling_is_what_the_number_of_samples_allows():
    y, s = design(3)  # two others of the own study within the class, three of the other study
    table = shares(cloud(np.where(s == "A", 0, 100)), y, s, k=4)
    within = table.loc["neighbour_study_within_class"]
    assert within["ceiling"] == within["observed"] == 2 / 4


def test_classes_of_a_single_study_do_not_count_as_batch_effect():
    y, s = np.array(["x"] * 5 + ["y"] * 5), np.array(["A"] * 5 + ["B"] * 5)
    within = shares(cloud(np.arange(10.0)), y, s).loc["neighbour_study_within_class"]
    assert within["n_samples"] == 0 and pd.isna(within["observed"])


def test_one_study_only_has_no_other_studies():
    y = np.array(["x", "y"] * 5)
    across = shares(cloud(np.arange(10.0)), y, ["A"] * 10).loc["neighbour_class_across_studies"]
    assert across["n_samples"] == 0 and pd.isna(across["observed"])


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 25), st.integers(1, 12), st.integers(0, 10_000))
def test_shares_stay_within_their_bounds(n, k, seed):
    rng = np.random.default_rng(seed)
    y, s = rng.choice(list("xyz"), n), rng.choice(list("ABCD"), n)
    table = shares(rng.normal(size=(n, 3)), y, s, k=k).dropna()
    assert (table["observed"] <= table["ceiling"] + 1e-9).all() and table["observed"].between(0, 1).all()
    assert (table["ci_low"] <= table["ci_high"]).all() and table["chance"].between(0, 1).all()


def test_order_of_samples_does_not_matter():
    y, s = design(8)
    points = np.random.default_rng(1).normal(size=(len(y), 3))
    order = np.random.default_rng(2).permutation(len(y))
    columns = ["observed", "chance", "ceiling"]
    turned = shares(points[order], y[order], s[order])
    pd.testing.assert_frame_equal(shares(points, y, s)[columns], turned[columns])


def test_random_points_lie_at_chance_within_the_interval():
    y, s = np.tile(list("xy"), 100), np.repeat([f"s{i}" for i in range(20)], 10)
    table = shares(np.random.default_rng(3).normal(size=(200, 5)), y, s).loc[["neighbour_study", *DECISIVE]]
    assert (table["observed"] - table["chance"]).abs().max() < 0.04


def test_interval_is_wider_over_studies_than_over_samples():
    values = np.repeat([0.0, 1, 1, 0, 1], 40)  # samples of a study agree: five observations, not two hundred
    intervals = [embedding._with_interval(values, s, 2000, 0) for s in (np.repeat(range(5), 40), np.arange(200))]
    by_study, by_sample = [(i["ci_low"], i["ci_high"]) for i in intervals]
    assert by_sample[0] < values.mean() < by_sample[1]
    expected = 1.96 * np.sqrt(0.6 * 0.4 / 200)
    assert by_sample[1] - values.mean() == pytest.approx(expected, rel=0.15)
    assert by_study[1] - by_study[0] > 3 * (by_sample[1] - by_sample[0])


def test_unequal_lengths_are_refused():
    with pytest.raises(InputError, match="3 points, 2 labels"):
        embedding.neighbour_share(np.zeros((3, 2)), ["x", "y"], ["A", "A", "B"])
    with pytest.raises(InputError, match="k = 0"):
        embedding.neighbour_share(np.zeros((2, 2)), ["x", "y"], ["A", "B"], k=0)


def test_silhouettes_tell_what_is_compact():
    y, s = design(10)
    table = embedding.silhouettes(cloud(np.where(s == "A", 0, 100)), y, s).set_index("by")
    assert table.loc["study", "observed"] > 0.95 and abs(table.loc["class", "observed"]) < 0.2
    assert table.loc["study", "ci_low"] <= table.loc["study", "observed"] <= table.loc["study", "ci_high"]


def test_silhouettes_leave_lone_samples_out():
    table = embedding.silhouettes(np.arange(5.0)[:, None], list("xxyyz"), list("AAAAB")).set_index("by")
    assert table.loc["class", "n_samples"] == 4 and table.loc["class", "n_groups"] == 2
    assert pd.isna(table.loc["study", "observed"])  # a single study of several samples


def test_variance_explained_adds_up_and_finds_the_source():
    y, s = design(25)
    by_class = embedding.variance_explained(cloud(np.where(y == "x", 0, 10)), y, s).set_index("source")["share"]
    by_study = embedding.variance_explained(cloud(np.where(s == "A", 0, 10)), y, s).set_index("source")["share"]
    assert by_class.sum() == pytest.approx(1) and by_study.sum() == pytest.approx(1)
    assert by_class["class"] > 0.95 and by_study["study within class"] > 0.95


def test_variance_explained_of_noise_is_near_zero_in_spite_of_many_studies():
    rng = np.random.default_rng(5)
    y, s = rng.choice(list("xyz"), 400), rng.choice([f"s{i}" for i in range(60)], 400)
    share = embedding.variance_explained(rng.normal(size=(400, 20)), y, s).set_index("source")["share"]
    assert abs(share["class"]) < 0.02 and abs(share["study within class"]) < 0.03


def test_variance_explained_needs_groups_of_several():
    with pytest.raises(InputError, match="3 groups of 3 samples"):
        embedding.variance_explained(np.zeros((3, 2)), list("xyz"), list("ABC"))
    with pytest.raises(InputError, match="expected groups of several samples that differ"):
        embedding.variance_explained(np.zeros((4, 2)), list("xxyy"), list("AAAA"))


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    base = rng.lognormal(3, 2, (3, 60)).repeat(12, axis=0)
    index = [f"s{i}" for i in range(36)]
    return pd.DataFrame(rng.poisson(base).astype(float), index=index, columns=[f"r{i}" for i in range(60)])


def test_principal_components_ignore_depth(counts):
    pcs = embedding.principal_components(counts, 5)
    assert pcs.shape == (36, 5) and pcs.index.equals(counts.index) and pcs.columns[0] == "PC1"
    assert np.all(np.diff(pcs.var()) <= 0) and pcs.attrs["scale"] == "log2 CPM"
    deeper = counts.mul(np.where(np.arange(36) % 2, 1000, 1), axis=0)
    np.testing.assert_allclose(embedding.principal_components(deeper, 5).abs(), pcs.abs(), atol=1e-6)


def test_principal_components_of_few_samples_and_other_features(counts):
    assert embedding.principal_components(counts.iloc[:4]).shape == (4, 3)
    ranks = embedding.principal_components(counts, 3, transformer=SampleRanks())
    assert not np.allclose(ranks, embedding.principal_components(counts, 3))
    with pytest.raises(InputError, match="at least 2 samples"):
        embedding.principal_components(counts.iloc[:1])
    with pytest.raises(InputError, match="all 3 samples are the same; expected some that differ"):
        embedding.principal_components(counts.iloc[[0, 0, 0]])


@pytest.mark.parametrize("method", ["opentsne", "umap"])
@pytest.mark.slow
def test_embed_is_reproducible_and_keeps_groups_together(counts, method):
    pcs, groups = embedding.principal_components(counts, 5), np.repeat(list("xyz"), 12)
    first = embedding.embed(pcs, method, seed=3, n_iter=250)
    pd.testing.assert_frame_equal(first, embedding.embed(pcs, method, seed=3, n_iter=250))
    assert first.shape == (36, 2) and first.columns.tolist() == ["x", "y"] and first.index.equals(counts.index)
    assert first.notna().all(axis=None)
    studies = [f"s{i % 4}" for i in range(36)]
    assert shares(first, groups, studies, k=5).loc["neighbour_class", "observed"] > 0.95


def test_maps_do_not_hang_on_the_last_digits(counts):
    """BLAS kernels differ in them: the same counts had another map in another environment of one machine."""
    pcs = embedding.principal_components(counts, 5)
    noise = np.random.default_rng(0).normal(0, 1e-10 * pcs.abs().to_numpy().max(), pcs.shape)
    first, other = (embedding.embed(points, n_iter=250) for points in (pcs, pcs + noise))
    pd.testing.assert_frame_equal(first, other, check_exact=True)


MAP = """
import numpy as np, pandas as pd
from srna_lib.explore import embed, principal_components
rng = np.random.default_rng(0)
counts = rng.poisson(rng.lognormal(3, 2, (3, 80)).repeat(20, axis=0)).astype(float)
pcs = principal_components(pd.DataFrame(counts), 20)
print(embed(pcs, "umap").to_numpy().tobytes().hex())
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="NOT TESTED: the kernel named here is one of x86")
@pytest.mark.slow
def test_maps_are_the_same_for_another_kernel_and_number_of_threads(capsys):
    exec(MAP, {})
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
    env = {**os.environ, "OPENBLAS_CORETYPE": "Prescott", **dict.fromkeys(names, "2")}
    other = subprocess.run([sys.executable, "-W", "ignore", "-c", MAP], capture_output=True, text=True, env=env)
    assert other.stdout == capsys.readouterr().out, other.stderr


def test_embed_lowers_the_perplexity_for_few_samples(counts):
    few = embedding.principal_components(counts.iloc[::5], 3)
    assert embedding.embed(few, "opentsne", n_iter=50).notna().all(axis=None)


def test_embed_refuses_what_it_does_not_know(counts):
    with pytest.raises(InputError, match="'phate': expected one of opentsne, umap"):
        embedding.embed(counts, "phate")
    with pytest.raises(InputError, match="at least 5 samples and 2 components, found 3"):
        embedding.embed(counts.iloc[:3])
    with pytest.raises(InputError, match="2 components, found 36 and 1"):
        embedding.embed(counts.iloc[:, :1])
