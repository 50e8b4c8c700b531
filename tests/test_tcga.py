"""TCGA: counts and clinical data of cohorts, tRNA fragments; on files written here and on the originals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadr
import pytest

from srna_lib.data.atlas import check_atlas, counts_frame
from srna_lib.datasets import registry, tcga
from srna_lib.datasets.tcga import read_tcga, read_tcga_trf
from srna_lib.errors import InputError

GIB = 2**30


def barcode(patient, kind, portion="01"):
    return f"TCGA-{patient}-{kind}A-{portion}R-A29W-13"


@pytest.fixture
def cohort(tmp_path):
    """Write the two R files of a cohort (three rows per aliquot, all text) and return their paths."""

    def _write(name, aliquots, people, machine="Illumina HiSeq 2000"):
        rows, index = [], []
        for number, (aliquot, counts) in enumerate(aliquots):
            for kind, of in (
                ("read_count", lambda n: f"{n}"),
                ("rpm", lambda n: f"{n / 7:.6f}"),
                ("cross", lambda n: "N"),
            ):
                rows.append({"machine": machine, "miRNA_ID": kind, **{k: of(n) for k, n in counts.items()}})
                index.append(
                    f"{aliquot}{number or ''}" if kind == "read_count" and number > 1 else aliquot + f".{kind}"
                )
        counted, clinical = tmp_path / f"{name}.miRNASeq.rda", tmp_path / f"{name}.clinical.rda"
        frame = pd.DataFrame(rows, index=index)
        frame.insert(0, "rownames", index)
        frame["miRNA_ID"] = frame["miRNA_ID"].replace(
            {"rpm": "reads_per_million_miRNA_mapped", "cross": "cross-mapped"}
        )
        pyreadr.write_rdata(str(counted), frame, df_name=f"{name}.miRNASeq")
        pyreadr.write_rdata(str(clinical), pd.DataFrame(people), df_name=f"{name}.clinical")
        return counted, clinical

    return _write


PEOPLE = {
    "patient.bcr_patient_barcode": ["tcga-aa-0001", "tcga-aa-0002", "tcga-aa-0003"],
    "patient.gender": ["female", "male", ""],
    "patient.days_to_birth": ["-21915", "", ""],
    "patient.age_at_initial_pathologic_diagnosis": ["59", "47", ""],
}


@pytest.fixture
def read(monkeypatch, cohort, info):
    """Two cohorts with different stem-loops; row names as R leaves them come through a stand-in for pyreadr."""
    acc = [
        (barcode("AA-0001", "01"), {"m-1": 5, "m-2": 0}),
        (barcode("AA-0001", "11"), {"m-1": 3, "m-2": 2**25 + 1}),
        (barcode("AA-0002", "01"), {"m-1": 1, "m-2": 1}),
        (barcode("AA-0009", "06"), {"m-1": 0, "m-2": 4}),
    ]
    laml = [(barcode("AA-0003", "03"), {"m-2": 9, "m-3": 8})]
    no_age = {k: v for k, v in PEOPLE.items() if "age_at" not in k}
    paths = [*cohort("ACC", acc, PEOPLE), *cohort("LAML", laml, no_age)]
    original = pyreadr.read_r

    def with_row_names(path):
        ((name, frame),) = original(path).items()
        return {name: frame.set_index("rownames") if "rownames" in frame else frame}

    monkeypatch.setattr(pyreadr, "read_r", with_row_names)
    return lambda **options: read_tcga(*paths, info=info, **options)


def test_common_stem_loops(read):
    atlas = read()
    assert list(atlas.var_names) == ["m-2"]
    assert counts_frame(atlas)["m-2"].tolist() == [0, 2**25 + 1, 1, 4, 9]
    assert set(atlas.var["level"]) == {"stem-loop"} and set(atlas.var["biotype"]) == {"miRNA"}
    assert atlas.uns["srna"]["common_features"] is True and "not_measured" not in atlas.uns["srna"]


def test_all_stem_loops_say_where_nobody_looked(read):
    atlas = read(common_features=False)
    assert list(atlas.var_names) == ["m-1", "m-2", "m-3"]
    assert counts_frame(atlas).to_numpy().tolist() == [[5, 0, 0], [3, 2**25 + 1, 0], [1, 1, 0], [0, 4, 0], [0, 9, 8]]
    assert atlas.var["common"].tolist() == [False, True, False]
    absent = atlas.uns["srna"]["not_measured"]
    assert absent.to_dict("list") == {"cohort": ["ACC", "LAML"], "srna": ["m-3", "m-1"]}


def test_metadata(read):
    obs = read().obs
    assert obs["dataset_id"].tolist() == ["ACC"] * 4 + ["LAML"]
    assert obs["donor_id"].tolist() == ["TCGA-AA-0001", "TCGA-AA-0001", "TCGA-AA-0002", "TCGA-AA-0009", "TCGA-AA-0003"]
    assert obs["sample_type_code"].tolist() == ["01", "11", "01", "06", "03"]
    assert obs["sample_type"].tolist()[1::2] == ["Solid Tissue Normal", "Metastatic"]
    assert obs["tumour_normal"].tolist() == ["tumour", "normal", "tumour", "tumour", "tumour"]
    assert obs["tissue"].tolist() == ["adrenal gland"] * 4 + ["blood"]
    assert obs["sex"].fillna("-").tolist() == ["female", "female", "male", "-", "-"]
    assert obs["age_years"].fillna(-1).tolist() == [60, 60, 47, -1, -1]
    assert obs["age_source"].fillna("-").tolist() == (
        ["days_to_birth"] * 2 + ["age_at_initial_pathologic_diagnosis", "-", "-"]
    )
    assert obs["plate"].unique().tolist() == ["A29W"]


def test_repeated_barcode_gets_its_own_name(cohort, info, monkeypatch):
    code = barcode("AA-0001", "01")
    rows = pd.Index([code, code + "1", code + "2", barcode("AA-0002", "01")])
    people = pd.DataFrame({"sex": [], "age_years": []})
    obs = tcga._aliquots(rows, "KIRP", pd.Series(["GA", "HiSeq", "HiSeq", "GA"]), people)
    assert obs.index.tolist() == [code, code + "-repeat1", code + "-repeat2", barcode("AA-0002", "01")]
    assert obs["repeated_barcode"].tolist() == [True, True, True, False]
    assert obs["platform"].tolist() == ["GA", "HiSeq", "HiSeq", "GA"]


def test_cohort_without_clinical_data(cohort, info):
    counted, clinical = cohort("ACC", [(barcode("AA-0001", "01"), {"m-1": 5})], PEOPLE)
    for paths in ([counted], [clinical], []):
        with pytest.raises(InputError, match=r"tcga: counts and clinical data differ in cohorts \(first:"):
            read_tcga(*paths, info=info)


def test_file_of_no_cohort(tmp_path, info):
    with pytest.raises(InputError, match=r"XYZ\.miRNASeq\.rda: 'XYZ' is no TCGA cohort; expected one of ACC, BLCA"):
        read_tcga(tmp_path / "XYZ.miRNASeq.rda", info=info)


@pytest.mark.parametrize("content", [None, b"", b"<html></html>", b"RDX3\n"])
def test_no_r_file(cohort, info, content):
    counted, clinical = cohort("ACC", [(barcode("AA-0001", "01"), {"m-1": 5})], PEOPLE)
    if content is None:
        counted.unlink()
    else:
        counted.write_bytes(content)
    with pytest.raises(InputError, match=r"ACC\.miRNASeq\.rda: th(ere|is) is no "):
        read_tcga(counted, clinical, info=info)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"patient.gender": ["x", "male", "male"]}, r"sex holds 'x'; expected one of male, female"),
        ({"patient.bcr_patient_barcode": ["tcga-aa-0001"] * 3}, r"a patient stands there twice"),
    ],
)
def test_clinical_data_that_make_no_sense(cohort, info, change, sentence):
    paths = cohort("ACC", [(barcode("AA-0001", "01"), {"m-1": 5})], {**PEOPLE, **change})
    with pytest.raises(InputError, match=r"ACC\.clinical\.rda: " + sentence):
        read_tcga(*paths, info=info)


def test_files_of_another_layout(cohort, info, tmp_path):
    counted, clinical = cohort("ACC", [(barcode("AA-0001", "01"), {"m-1": 5})], PEOPLE)
    pyreadr.write_rdata(str(clinical), pd.DataFrame({"a": [1]}), df_name="x")
    with pytest.raises(InputError, match=r"clinical\.rda: the frame lacks the columns patient\.bcr_patient_barcode"):
        read_tcga(counted, clinical, info=info)
    pyreadr.write_rdata(str(counted), pd.DataFrame({"a": [1]}), df_name="x")
    with pytest.raises(InputError, match=r"miRNASeq\.rda: the frame lacks the columns machine, miRNA_ID"):
        read_tcga(counted, clinical, info=info)


def test_every_cohort_of_the_registry_has_an_organ():
    files = [Path(f["path"]).name.partition(".") for f in registry.entry("tcga")["files"]]
    assert len(files) == 66
    for ending in ("miRNASeq.rda", "clinical.rda"):
        assert sorted(c for c, _, e in files if e == ending) == sorted(tcga.cohorts().index)
    assert tcga.cohorts().notna().all(axis=None)


@pytest.fixture
def fragments(tmp_path):
    """Archives and sample sheets of two cohorts; the sheets in another order."""
    written = []
    for name, ids in (("LIHC", ["TCGA-AA-0001-Cancer", "TCGA-AA-0001-Normal"]), ("KIRP", ["TCGA-AA-0002-Cancer"])):
        table = pd.DataFrame([[0.5] * len(ids), [0.0] * len(ids)], index=["tRF-1", "tRF-2"], columns=ids)
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}.csv", table.to_csv())
        sheet = pd.DataFrame(
            {"sample_id": ids, "participant_id": [i[:12] for i in ids], "gender": "male", "age": "'--"}
        )
        sheet.loc[0, "age"] = "61"
        sheet.iloc[::-1].to_csv(tmp_path / f"{name}.csv", index=False)
        written += [tmp_path / f"{name}.zip", tmp_path / f"{name}.csv"]
    return [written[0], written[2], written[1], written[3]]


def test_fragments_small(fragments, info):
    atlas = read_tcga_trf(*fragments, info=info)
    assert counts_frame(atlas).to_numpy().tolist() == [[0.5, 0]] * 3
    assert atlas.uns["srna"]["quantity"] == "normalised"
    assert atlas.obs["tumour_normal"].tolist() == ["tumour", "normal", "tumour"]
    assert atlas.obs["dataset_id"].tolist() == ["LIHC", "LIHC", "KIRP"]
    assert atlas.obs["tissue"].tolist() == ["liver", "liver", "kidney"]
    assert atlas.obs["age_years"].fillna(-1).tolist() == [61, -1, 61]
    assert set(atlas.var["biotype"]) == {"tRF"}


def test_fragments_with_the_sheet_of_another_cohort(fragments, info):
    first, second, sheet, _ = fragments
    with pytest.raises(InputError, match=r"LIHC\.csv: the samples are not those of .*KIRP\.zip"):
        read_tcga_trf(first, second, sheet, sheet, info=info)


def test_fragments_that_differ(fragments, info, tmp_path):
    table = pd.DataFrame({"TCGA-AA-0002-Cancer": [1.0]}, index=["tRF-9"])
    with zipfile.ZipFile(fragments[1], "w") as archive:
        archive.writestr("KIRP.csv", table.to_csv())
    with pytest.raises(InputError, match=r"KIRP\.zip: the fragments are not those of .*LIHC\.zip"):
        read_tcga_trf(*fragments, info=info)


# the originals

MEASURE = """
import json, re, resource, sys, time
from pathlib import Path
from srna_lib import datasets
start = time.perf_counter()
shape = datasets.load(sys.argv[1]).shape
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = Path("/proc/self/status")
if status.exists():  # the figure above starts at the size of the process that started this one
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1])
print(json.dumps([shape, seconds, peak * 1024]))
"""


@pytest.fixture(scope="module")
def measured(real, mirror):
    """Load a data set in a process of its own: shape, seconds, peak memory in bytes."""

    def _measure(name):
        environment = {**os.environ, "SRNA_DATA_DIR": str(real.folder), "SRNA_DATA_MIRROR": str(mirror)}
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, name], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return _measure


@pytest.fixture(scope="module")
def raw(measured):
    """TCGA from the raw files, which leaves it parsed in the session's cache."""
    return measured("tcga")


def test_raw_files_in_time_and_memory(raw):
    shape, seconds, memory = raw
    assert shape == [10893, 680]
    assert seconds < 180
    assert memory < 4 * GIB


def test_cache_in_time(raw, measured):
    assert min(measured("tcga")[1] for _ in range(2)) < 3


@pytest.mark.parametrize("name", ["mirome", "micrornaome", "tissue_atlas2", "tcga_trf", "lgrc", "fetal_lung"])
def test_every_other_data_set_in_time_and_memory(measured, name):
    _, _, memory = measured(name)
    assert memory < 4 * GIB
    _, seconds, memory = measured(name)
    assert seconds < 2
    assert memory < 4 * GIB


def sizes(column):
    return column.value_counts().to_dict()


def test_tcga(raw, real):
    start = time.perf_counter()
    atlas = check_atlas(real("tcga"))
    assert time.perf_counter() - start < 30  # not parsed again
    obs = atlas.obs
    assert (obs["dataset_id"].nunique(), obs["donor_id"].nunique()) == (33, 10153)
    assert sizes(obs["sample_type_code"]) == {
        "01": 9619, "11": 664, "06": 378, "03": 188, "02": 32, "05": 11, "07": 1,
    }  # fmt: skip
    assert obs.loc[obs["tumour_normal"] == "normal", "dataset_id"].nunique() == 21
    assert obs["sex"].notna().sum() == 10859
    assert sizes(obs["age_source"]) == {"days_to_birth": 10746, "age_at_initial_pathologic_diagnosis": 63}
    born = obs.loc[obs["age_source"] == "days_to_birth", "age_years"]
    assert (int(born.min()), int(born.max())) == (14, 90)
    assert (obs["age_years"].notna() == obs["age_source"].notna()).all()
    repeated = obs[obs["repeated_barcode"]]
    assert len(repeated) == 32 and repeated["barcode"].nunique() == 16 and set(repeated["dataset_id"]) == {"KIRP"}
    assert obs.index[obs["repeated_barcode"]].str.endswith("-repeat1").sum() == 16
    assert atlas.X.sum() == 53306104294


def test_one_sex_only_where_the_organ_says_so(raw, real):
    obs = real("tcga").obs
    single = obs.groupby("dataset_id")["sex"].nunique()
    assert sorted(single[single == 1].index) == ["CESC", "OV", "PRAD", "TGCT", "UCEC", "UCS"]


def test_two_cohorts_of_different_mirbase(mirror):
    """All stem-loops of any cohort: 1046 and 705, of which 680 are common."""
    paths = [
        mirror / f["repository"] / f["commit"] / f["path"]
        for f in registry.entry("tcga")["files"]
        if Path(f["path"]).name.partition(".")[0] in ("ACC", "LAML")
    ]
    whole = read_tcga(*paths, info={"name": "tcga"}, common_features=False)
    assert whole.shape == (268, 1071) and whole.var["common"].sum() == 680
    assert sizes(whole.uns["srna"]["not_measured"]["cohort"]) == {"LAML": 366, "ACC": 25}
    common = read_tcga(*paths, info={"name": "tcga"})
    assert list(common.var_names) == list(whole.var_names[whole.var["common"]])
    assert np.array_equal(common.X.toarray(), whole[:, common.var_names].X.toarray())


def test_fragments(real):
    atlas = check_atlas(real("tcga_trf"))
    assert atlas.shape == (718, 26744)
    assert sizes(atlas.obs["dataset_id"]) == {"LIHC": 412, "KIRP": 306}
    assert (atlas.obs["sex"].notna().sum(), atlas.obs["age_years"].notna().sum()) == (718, 714)
    assert sizes(atlas.obs["tumour_normal"]) == {"tumour": 638, "normal": 80}
    assert atlas.uns["srna"]["quantity"] == "normalised"
    assert atlas.X.max() < 15 and (atlas.X.data % 1 != 0).mean() > 0.9


@pytest.mark.parametrize("by", ["tumour_normal", "sample_type"])
def test_fragments_join_to_the_counts(raw, real, by):
    keys = ["donor_id", by]
    counted = real("tcga").obs.drop_duplicates(keys)
    joined = real("tcga_trf").obs.merge(counted, on=keys, how="left", suffixes=("", "_tcga"))
    assert len(joined) == 718
    assert joined["barcode"].notna().all()
    assert (joined["dataset_id"] == joined["dataset_id_tcga"]).all()
    assert (joined["sex"] == joined["sex_tcga"]).all()
    assert (joined["age_years"] - joined["age_years_tcga"]).abs().median() < 1
