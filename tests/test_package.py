"""The package as a whole: light to import, imports run downward, modules stay small."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "srna_lib"
MODULES = sorted(p.stem for p in PACKAGE.glob("*.py") if p.stem != "__init__")
FLOORS = (
    ("errors",),
    ("atlas", "catalogue", "mirnas", "unpack", "quantity"),
    ("names",),
    ("labels", "sources", "features", "ontology", "tables", "axis_names", "gmt", "study_draws"),
    ("out_of_fold", "resampling", "fold_cache"),
    ("public", "tcga", "cache", "downloads", "simulate", "table_parquet", "formats"),
    ("open_atlas", "format_h5ad"),
    ("atlas_file",),
    ("datasets", "preprocess", "relevance", "scaling", "training", "formats_tools", "formats_files"),
    ("networks", "dual_ridge", "explore", "coverage", "embedding", "layouts", "sample_metadata"),
    ("pooling", "intervals"),
    ("models", "readers"),
    ("regressors",),
    ("validate", "contexts", "joint", "metrics", "ranking_metrics", "regression_metrics", "calibration", "selective"),
    ("experiment", "summaries", "refits", "significance", "cohorts", "ages"),
    ("confounding", "transfer", "importance"),
    ("scores",),
    ("products",),
    ("deeplift_rules", "deeplift_results", "deeplift_worker"),
    ("deeplift_layers", "sets", "rankings"),
    ("deeplift_inputs", "deeplift_reference", "enrichment"),
    ("deeplift_run", "literature"),
    ("deeplift",),
    ("explain",),
    ("attributions", "cases"),
    ("gaps",),
    ("silencing", "flip_classes"),
    ("orders", "flip_tables", "firmness", "flip_records", "model_stability"),
    ("flip_walk",),
    ("stability",),
    ("flip_folds",),
    ("results",),
    ("notebook",),
    ("plots_base",),
    ("plots_parts",),
    ("plots_atlas", "plots_embedding", "plots_predictions", "plots_reliability", "plots_effects", "plots_importance"),
    ("plots_explain", "plots_stability"),
    ("plots", "plots_samples", "plots_rankings", "plots_markers"),
    ("cells", "kernels"),
    ("html",),
    ("manifest",),
    ("parameters",),
    ("reports",),
    ("cli_convert", "cli_datasets"),
    ("cli",),
)
FLOOR = {module: number for number, floor in enumerate(FLOORS) for module in floor}
LONGEST = 300
HEAVY = ("keras", "jax", "plotly", "pandas", "sklearn", "umap", "openTSNE")


def imported(source: str) -> set[str]:
    """Modules of the package that a source text imports, at any depth; ``""`` is the package itself."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {a.name.partition(".")[2] for a in node.names if a.name.split(".")[0] == "srna_lib"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            if node.module == "srna_lib":
                found |= {a.name for a in node.names}
            elif (node.module or "").startswith("srna_lib."):
                found.add(str(node.module).partition(".")[2])
    return found


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_reader_of_imports_sees_every_kind():
    source = (
        "import srna_lib, os\nimport srna_lib.a\nfrom srna_lib import b\nfrom srna_lib.c import x\n"
        "def f():\n    from srna_lib import d as e\nfrom srna_library import no\n"
    )
    assert imported(source) == {"", "a", "b", "c", "d"}


def test_import_is_fast_and_light():
    code = (
        "import sys, time, json; t = time.perf_counter(); import srna_lib; t = time.perf_counter() - t;"
        f"print(json.dumps([t, [m for m in {HEAVY} if m in sys.modules]]))"
    )
    times, loaded = zip(*(json.loads(python(code)) for _ in range(3)), strict=True)
    assert min(times) < 0.3
    assert loaded == ([], [], [])


def test_every_module_imports_without_keras_and_only_plots_need_plotly():
    plots = [m for m in MODULES if m.startswith("plots")]
    others = [m for m in MODULES if m not in plots]
    code = (
        "import sys, json, importlib\nout = []\n"
        f"for group in ({others!r}, {plots!r}):\n"
        "    for m in group: importlib.import_module('srna_lib.' + m)\n"
        "    out.append([m for m in ('keras', 'jax', 'plotly', 'umap', 'openTSNE') if m in sys.modules])\n"
        "print(json.dumps(out))"
    )
    assert json.loads(python(code)) == [[], ["plotly"]]


def test_every_module_has_a_floor():
    assert sorted(FLOOR) == MODULES, "a module was added or removed: put it into FLOORS"


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downward(module):
    below = {other for other, floor in FLOOR.items() if floor < FLOOR[module]}
    used = imported((PACKAGE / f"{module}.py").read_text(encoding="utf-8")) - {""}
    assert used <= below, f"{module} imports {sorted(used - below)} from its own floor or above"


def test_the_package_itself_imports_nothing():
    assert not [
        n
        for n in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(n, ast.Import | ast.ImportFrom)
    ]


@pytest.mark.parametrize("module", MODULES)
def test_modules_stay_small(module):
    assert len((PACKAGE / f"{module}.py").read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_what_they_are(module):
    text = ast.get_docstring(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8")))
    assert text and text.splitlines()[0].endswith(".")
