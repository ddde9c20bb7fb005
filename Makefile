.DEFAULT_GOAL := help
PYTHON ?= python3
UV ?= $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
SETUP := .venv/.made-from-lock
LOWEST := .venv-lowest
EXPERIMENT ?= optimizers
RESULTS := mlflow.db* mlartifacts mlruns .harness

help:  ## print the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

setup: $(SETUP)  ## make .venv from the lock file

CPU_INDEX := https://download.pytorch.org/whl/cpu
NEEDED = $(shell sed -n 's/^requires-python = ">=\(.*\)"/\1/p' pyproject.toml)
TOO_OLD = import sys; sys.exit(sys.version_info < tuple(map(int, "$(NEEDED)".split("."))))
WRONG = $(shell $(PYTHON) -c '$(TOO_OLD)' >/dev/null 2>&1 || echo no)
# pip's own variable of more indexes counts for uv too, and as pip has it: the best version of any index
ALSO_FROM = $(if $(PIP_EXTRA_INDEX_URL),--index-strategy unsafe-best-match --index $(PIP_EXTRA_INDEX_URL))
INSTALLER = $(if $(UV),$(UV) pip install --python $(BIN)/python $(ALSO_FROM),$(BIN)/python -m pip install)
INSTALL = test -t 1 || quiet=--quiet; $(INSTALLER) $$quiet

$(SETUP): requirements.lock pyproject.toml
	$(if $(WRONG),$(error $(PYTHON) is not Python $(NEEDED) or newer; name one that is: make setup PYTHON=python$(NEEDED)))
	@$(if $(PIP_EXTRA_INDEX_URL),,echo 'Linux: torch brings gigabytes for CUDA; for its CPU build: PIP_EXTRA_INDEX_URL=$(CPU_INDEX) make setup')
	$(PYTHON) -m venv .venv
	$(INSTALL) --no-compile --requirement requirements.lock
	$(BIN)/python -m compileall -qq -j 0 .venv/lib || true  # on all cores; some files need a newer Python
	$(INSTALL) --no-deps --editable .
	touch $@

sweep: $(SETUP)  ## compare the optimizers on full MNIST, or EXPERIMENT=fashion WORKERS=2
	$(BIN)/harness sweep $(EXPERIMENT) $(if $(WORKERS),--workers $(WORKERS))

report: $(SETUP)  ## the latest sweep's report
	$(BIN)/harness report

run: $(SETUP)  ## the chapter's run
	$(BIN)/harness run chapter

ui: $(SETUP)  ## the MLflow UI on 127.0.0.1:5000
	$(BIN)/harness ui

notebook: .venv/.made-with-jupyterlab  ## the chapter as a notebook, in the browser
	$(BIN)/jupyter lab experiments/chapter.ipynb

.venv/.made-with-jupyterlab: $(SETUP)
	$(INSTALL) --editable '.[notebook]'
	touch $@

test: $(SETUP)  ## all tests
	$(BIN)/python -m pytest

test-fast: $(SETUP)  ## the tests without servers, browsers, kills and clusters, and without the long ones
	$(BIN)/python -m pytest -m "not slow and not long"

test-lowest: $(LOWEST)/.made  ## those and the long ones, with the lowest versions that pyproject.toml admits
	$(LOWEST)/bin/python -m pytest -m "not slow" -W default

$(LOWEST)/.made: pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[dev]'
	touch $@

bench: $(SETUP)  ## all benchmarks, and the checks too long for the tests
	$(BIN)/python -m tests.benchmarks

gallery: $(SETUP)  ## the README's pictures, of the default sweep (needs chromium)
	$(BIN)/python -m tests.gallery

check: $(SETUP)  ## ruff, ruff format, mypy --strict, the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --num-workers 2
	$(BIN)/python -m pytest --numprocesses 0 --quiet tests/test_layers.py

clean:  ## remove the environments, builds and caches; results stay
	rm -rf .venv $(LOWEST) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

clean-results:  ## remove every run, study and report of this folder, after asking
	@printf 'Remove $(RESULTS), with every run, study and report? [y/N] '; \
	read -r answer; if [ "$$answer" = y ]; then rm -rf $(RESULTS); else echo 'nothing was removed'; fi

.PHONY: help setup sweep report run ui test test-fast test-lowest bench gallery check clean clean-results
