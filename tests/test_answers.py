"""Pages of `srna annotate` and `srna audit`: whole, escaped, without requests, the same in any order."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from test_annotate import PROFILE, laboratories
from test_audit import spoilt
from test_reports import CHECK, EVIL, Elements

from srna_lib.annotate import annotate, audit, train, write, write_audit
from srna_lib.data.atlas import counts_frame, make_atlas
from srna_lib.report import answers
from srna_lib.report.answers import annotated_page, audited_page

IMG = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def bundle():
    return train(laboratories(), "tissue", n_splits=6, profile=PROFILE, progress=False)


@pytest.fixture(scope="module")
def new():
    """Samples of new studies whose names and labels are markup, one label wrong, one of no class, most unknown."""
    atlas = laboratories(3, 8, seed=7, prefix="n")
    atlas.obs_names = [EVIL, IMG, "a;b, c", *atlas.obs_names[3:]]
    true, given = atlas.obs["tissue"].to_numpy(), np.full(24, np.nan, dtype=object)
    given[:8] = [EVIL, true[1], *true[2:7], next(c for c in "heart liver".split() if c != true[7])]
    atlas.obs["tissue"], atlas.obs["dataset_id"] = given, [IMG] * 12 + [EVIL] * 12
    return atlas


@pytest.fixture(scope="module")
def told(bundle, new):
    return annotate(new, bundle)


@pytest.fixture(scope="module")
def page(bundle, told):
    return annotated_page(told, [bundle])


@pytest.fixture(scope="module")
def audited():
    atlas = spoilt(laboratories(24, 6), 0.05, "tissue")[0]
    counts, obs = counts_frame(atlas), atlas.obs.copy()
    counts.iloc[7] = counts.iloc[0]
    pair = list(obs.index[60:62])  # of study sS10
    obs.loc[pair, "tissue"] = obs.loc[pair[::-1], "tissue"].to_numpy()
    for column in ("tissue", "dataset_id"):
        obs[column] = obs[column].replace({"brain": EVIL, "sS01": IMG, "sS02": EVIL})
    names = [f"{IMG}{i}" for i in range(len(obs))]
    obs.index = counts.index = pd.Index(names)
    atlas = make_atlas(counts, obs, info=dict(atlas.uns["srna"]) | {"name": EVIL, "simulated": False})
    return audit(atlas, "tissue", progress=False), atlas


def body_of(page: str) -> str:
    """What a page holds apart from its head and our own script."""
    return page[page.index("<main>") :].partition("<script>document.")[0]


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]+>", " ", body_of(page), flags=re.DOTALL))


def test_the_page_tells_what_was_said(page, told, bundle):
    table, text = told.uns["annotation"], text_of(page)
    assert "24 samples" in text and page.count('<details class="sample">') == 24
    made = table[table["prediction"] != ""]
    assert f" tissue {(table['status'] == 'predicted').sum()} 0 {(table['status'] == 'abstained').sum()} " in text
    assert all(f"{name} {n}" in text for name, n in made["prediction"].value_counts().items())
    kept = bundle.about["measured"]
    assert f"predicted {kept['predicted_share']:.1%} of the samples, and {kept['accuracy_of_predicted']:.1%}" in text
    assert "not a diagnosis" in text and "among the 24 samples of this batch" in text
    card = body_of(page).split('<details class="sample">')[-1]
    row = table[table["sample_id"] == re.findall(r"<strong>(.*?)</strong>", card)[0]].iloc[0]
    for value in (row["prediction"], f"probability {row['probability']:.2f}", *row["speaks_for"].split(";")):
        assert value in card


def test_given_labels_are_held_against_predictions(page, told):
    rows = told.uns["annotation"].set_index("sample_id")
    odd, names = told.obs_names[7], re.findall(r'class="sample"><summary><strong>(.*?)</strong>', page)
    names = [html.unescape(name) for name in names]
    assert rows.loc[odd, "prediction"] not in ("", told.obs.loc[odd, "tissue"])
    refused = (rows.loc[names[1:], "status"] == "abstained").tolist()
    assert names[0] == odd and refused == sorted(refused, reverse=True)
    assert f"tissue: given {told.obs.loc[odd, 'tissue']}, predicted {rows.loc[odd, 'prediction']}" in page
    assert ": no class of the model" in page and ": agrees" in page


def test_a_label_that_is_the_parent_agrees():
    table = pd.DataFrame({"sample_id": list("abcde"), "task": "t", "prediction": ["x", "p", "x", "y", ""]})
    obs = pd.DataFrame({"t": ["p", "x", "x", "x", "y"]}, index=list("abcde"))
    classes = [{"name": "x", "parent": "p"}, {"name": "y", "parent": ""}]
    bundle = answers.Bundle({"label": "t", "classes": classes}, {})
    found = answers._held_against(table, obs, bundle)["verdict"].tolist()
    assert found == ["agrees", "agrees", "agrees", "contradicts", "no prediction"]


@pytest.mark.parametrize("kind", ["annotated", "audited"])
def test_nothing_of_a_users_names_is_active_and_nothing_is_requested(kind, page, audited):
    page = page if kind == "annotated" else audited_page(audited[0], "tissue", audited[1])
    body = body_of(page)
    elements = Elements(body)
    assert elements.found == [] and not {"img", "svg", "iframe", "form", "a", "link"} & elements.tags
    assert body.count("<script") == body.count('<script type="application/json">') == (2 if kind == "annotated" else 0)
    assert "&lt;script&gt;alert(1)" in body and "&lt;img src=x" in body and "http" not in body
    figures = re.findall(r'<script type="application/json">(.*?)</script>', body, re.DOTALL)
    assert not any("<img" in text or "<script" in text for text in map(str, map(json.loads, figures)))
    assert "default-src 'none'; script-src 'sha256-" in page and "unsafe-eval" not in page
    assert "showSendToCloud: false" in page  # plotly's button that uploads a figure


@pytest.mark.slow
def test_pages_draw_in_a_browser(told, page, audited, tmp_path):
    write(told, tmp_path / "one", {"report.html": page})
    write_audit(audited[0], tmp_path / "two", {"report.html": audited_page(audited[0], "tissue", audited[1])})
    done = subprocess.run([sys.executable, str(CHECK), str(tmp_path)], capture_output=True, text=True)
    if done.returncode == 2:
        pytest.skip("NO BROWSER: pages were not opened in one: " + done.stderr)
    assert done.returncode == 0, done.stdout
    assert "2/2 figures drawn, 0 console messages" in done.stdout and "0/0 figures drawn" in done.stdout


def test_the_order_of_samples_and_names_changes_no_page(bundle, new, page):
    order = np.random.default_rng(0).permutation(new.n_obs)
    again = new[order, np.random.default_rng(1).permutation(new.n_vars)].copy()
    assert annotated_page(annotate(again, bundle), [bundle]) == page


def test_many_samples_have_cards_for_the_odd_ones(bundle, told, monkeypatch):
    monkeypatch.setattr(answers, "CARDS", 3)
    monkeypatch.setattr(answers, "DRAWN", 10)
    page = annotated_page(told, [bundle])
    assert page.count('<details class="sample">') == 3
    assert "Here are 3 of the 24 samples; all are in predictions.csv" in page and "8 of 24 new, each" in page
    rows = told.uns["annotation"]
    odd = (rows["status"] == "abstained").sum() + 1  # and the contradicted one
    assert f"{odd} of 24 samples contradict a given label or were refused in a task" in page


def test_one_sample_and_no_reasons_make_a_page(bundle, new):
    page = annotated_page(annotate(new[[4]].copy(), bundle, explain=False), [bundle])
    assert "1 sample." in page and page.count('"plotly-graph-div"') == 1 and "(--explain)" in page


def test_signs_of_burst_red_cells_are_ranked_in_the_batch():
    counts = pd.DataFrame({"hsa-miR-451a": [9, 0, 30], "hsa-miR-23a-3p/23b-3p": [1, 10, 0], "hsa-let-7a-5p": [90] * 3})
    obs = pd.DataFrame({"dataset_id": "A"}, index=list("abc"))
    info = {"name": "x", "title": "", "citation": "", "licence": "", "simulated": True}
    info["sources"] = pd.DataFrame({"url": ["x"], "sha256": ["0" * 64]})
    found = answers._blood(make_atlas(counts.set_index(obs.index).astype(float), obs, info=info))
    assert list(found) == ["hsa-miR-451a, reads per million", "log2 of hsa-miR-451a to hsa-miR-23a-3p/23b-3p"]
    np.testing.assert_allclose(found.iloc[:, 0], [9e4, 0, 2.5e5])
    np.testing.assert_allclose(found.iloc[:, 1], np.log2([90001 / 10001, 1 / 100001, 250001]))


def test_a_card_says_where_the_red_cells_of_a_sample_lie_among_fluids_of_training(bundle, told, page):
    name = "this ratio among plasma and serum of training"
    assert name not in text_of(page), "the toy has none of the two miRNAs"
    shown = told[[3, 4]].copy()
    rows = told.uns["annotation"]
    rows = rows[rows["sample_id"].isin(shown.obs_names)].assign(red_cells_percentile=[53.4, np.nan])
    shown.uns["annotation"] = rows
    assert re.findall(rf"{name} percentile (\d+)", text_of(annotated_page(shown, [bundle]))) == ["53"]


def test_an_audit_tells_flags_swaps_doubles_and_studies(audited):
    answer, atlas = audited
    text = text_of(audited_page(answer, "tissue", atlas))
    assert f"samples {answer.summary['samples']} " in text and f"labels flagged {len(answer.samples)} " in text
    assert f"expected share of false flags {answer.summary['expected_wrong_flags']:.0%}" in text
    assert f"at least {answer.summary['studies_flagged_at_least']:.0%}" in text
    swaps = text.partition("Reciprocal swaps")[2].partition("Libraries that are there twice")[0]
    assert "sS10" in swaps and all(f"{html.escape(IMG)}{i} " in swaps for i in (60, 61))
    assert len(answer.samples) and "groups of equal libraries 1" in text
    empty = answer._replace(samples=answer.samples[:0], studies=answer.studies[:0], duplicates=answer.duplicates[:0])
    assert text_of(audited_page(empty, "tissue", atlas)).count("None.") == 4
