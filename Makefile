# make reports [DATASET=demo|mirome] [PROFILE=smoke|demo|full] [JOBS=2]   notebooks 01 to 08, rendered below reports/
# make companions   the same of notebooks 09 to 12, four neighbours of the paper, into the same index
# make test      lint, types, unit tests, notebooks in profile smoke
# make test-labels   the notebooks with every label of every real data set, in profile smoke; CI: each label once
# make test-fast the quick ones of the unit tests, for daily work
# make install   the environment alone, with the command .venv/bin/srna
# make lab       the notebooks in JupyterLab
# make course    the notebooks without the exercises' solutions, for students, below course/
# make figures   the README's figures and tables from docs/results
PYTHON ?= python3
DATASET ?= demo
PROFILE ?= $(if $(filter demo,$(DATASET)),demo,full)
JOBS ?= 2
# One thread a process: the tests fill the cores by themselves.
TEST = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NPROC=1 $(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadscope --no-loadscope-reorder
TEST_JOBS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count())')
MARKS ?= not labels
OUT ?= reports/$(DATASET)
BIN = .venv/bin

.PHONY: install reports companions test test-fast test-labels lint lab course figures lock sync check-pages clean

reports: .venv/.ready
	$(BIN)/srna run 01 02 03 04 05 06 07 08 --dataset $(DATASET) --profile $(PROFILE) --jobs $(JOBS) --out $(OUT)

companions: .venv/.ready
	$(BIN)/srna run 09 10 11 12 --dataset $(DATASET) --profile $(PROFILE) --jobs $(JOBS) --out $(OUT)

test: lint
	$(TEST) -m "$(MARKS)"

test-labels: .venv/.ready
	$(TEST) -m labels

test-fast: .venv/.ready
	$(TEST) -m "not slow and not labels"

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy srna_lib scripts
	$(BIN)/python scripts/sync_notebooks.py --check

install: .venv/.ready

lab: .venv/.ready
	$(BIN)/jupyter lab --notebook-dir=notebooks

course: .venv/.ready
	$(BIN)/python scripts/make_course.py

figures: .venv/.ready
	$(BIN)/python scripts/make_figures.py

check-pages: .venv/.ready
	$(BIN)/python scripts/check_pages.py reports

sync: .venv/.ready
	$(BIN)/python scripts/sync_notebooks.py

# The lock names no index: every installer uses the one it is set up for.
lock:
	uv pip compile --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --group dev pyproject.toml -o requirements.lock --custom-compile-command "make lock"

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Python %d.%d found; expected 3.11 or newer (make PYTHON=python3.12 ...)" % v[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv reports .pytest_cache .mypy_cache .ruff_cache .hypothesis
