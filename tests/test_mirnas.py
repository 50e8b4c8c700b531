"""The table of human miRNAs, and names of several of them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srna_lib.data.mirna_names import hairpins, join_names, linked, match_names, mirna_table, natural_key

ROOT = Path(__file__).parent.parent
TABLE = mirna_table()
MATURE = sorted(TABLE.loc[TABLE["kind"] == "mature", "name"])


@given(st.lists(st.sampled_from(MATURE), min_size=1, max_size=6, unique=True))
def test_joined_names_come_apart_again(members):
    assert set(match_names([join_names(members)])["target"].item().split(";")) == set(members)


def test_the_table_is_sound():
    assert not TABLE.duplicated(["kind", "name"]).any()
    with_accession = TABLE.loc[TABLE["accession"] != "", "accession"]
    assert with_accession.is_unique and with_accession.str.fullmatch(r"(MI|MIMAT)\d{7}").all()
    loops = set(TABLE.loc[TABLE["kind"] == "stem-loop", "name"])
    mature = TABLE[TABLE["kind"] == "mature"]
    assert {h for homes in mature["hairpins"] for h in homes.split(";")} <= loops
    assert (TABLE.loc[TABLE["kind"] != "removed", "family"] != "").all()
    for kind, own in TABLE.groupby("kind"):
        old = {a for aliases in own["aliases"] for a in aliases.split(";") if a}
        assert not old & set(own["name"]), kind


def test_known_places_families_and_clusters():
    rows = TABLE.set_index(["kind", "name"])
    mir21 = rows.loc["mature", "hsa-miR-21-5p"]
    assert (mir21["accession"], mir21["chrom"], mir21["strand"]) == ("MIMAT0000076", "chr17", "+")
    assert rows.loc["mature", "hsa-let-7a-5p"]["hairpins"] == "hsa-let-7a-1;hsa-let-7a-2;hsa-let-7a-3"
    cluster = rows.loc["stem-loop", "hsa-mir-17"]["cluster"]
    members = TABLE.loc[(TABLE["cluster"] == cluster) & (TABLE["kind"] == "stem-loop"), "name"]
    assert set(members) == {f"hsa-mir-{n}" for n in ("17", "18a", "19a", "20a", "19b-1", "92a-1")}
    assert rows.loc["stem-loop", "hsa-mir-200a"]["family"] == rows.loc["stem-loop", "hsa-mir-200b"]["family"]


def test_arms_that_places_tell_are_those_of_the_names():
    mature = TABLE[(TABLE["kind"] == "mature") & (TABLE["accession"] != "") & (TABLE["release"] != "miRge3")]
    named = mature[mature["name"].str.contains(r"-[53]p$")]
    assert len(named) > 1700
    assert (named["name"].str[-2:] == named["arm"]).mean() > 0.995


def test_the_table_is_what_the_script_computes(mirror, tmp_path, monkeypatch, mirome):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = runpy.run_path(str(ROOT / "scripts" / "make_mirna_tables.py"))
    monkeypatch.setitem(script["make_table"].__globals__, "load", lambda name: {"mirome": mirome}[name])
    script["write_table"](script["make_table"](mirror), tmp_path / "table.tsv")
    committed = (ROOT / "srna_lib" / "resources" / "mirna_names.tsv").read_text(encoding="utf-8")
    assert (tmp_path / "table.tsv").read_text(encoding="utf-8") == committed


@pytest.mark.parametrize(
    ("members", "joined"),
    [
        ([], ""),
        (["hsa-miR-107"], "hsa-miR-107"),
        (["hsa-miR-103a-3p", "hsa-miR-107"], "hsa-miR-103a-3p/107"),
        (["hsa-let-7a-5p", "hsa-miR-98-5p"], "hsa-let-7a-5p/hsa-miR-98-5p"),
    ],
)
def test_joined_names_leave_out_what_they_share(members, joined):
    assert join_names(members) == joined


def test_numbers_are_sorted_as_numbers():
    assert sorted(["miR-10", "miR-9", "miR-10a", "let-7"], key=natural_key) == ["let-7", "miR-9", "miR-10", "miR-10a"]


def test_sets_are_linked_through_others():
    found = linked([{"a", "b"}, ["c10"], ["b", "c9"], ["c9", "c10"], ["z"]])
    assert found["a"] == found["c10"] == ("a", "b", "c9", "c10") and found["z"] == ("z",)
    assert linked([]) == {}


def test_stem_loops_of_a_mature_mirna_belong_together():
    homes, together = hairpins()
    assert homes["hsa-let-7a-5p"] == ("hsa-let-7a-1", "hsa-let-7a-2", "hsa-let-7a-3")
    assert all(set(loops) <= set(together[loops[0]]) for loops in homes.values())
