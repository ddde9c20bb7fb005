.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.made-from-lock
LOWEST := .venv-lowest
EXPERIMENT ?= optimizers
CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name))))
RESULTS := mlflow.db* mlartifacts mlruns .harness

help:  ## print the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

setup: $(SETUP)  ## make .venv from the lock file

$(SETUP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

sweep: $(SETUP)  ## compare the optimizers on full MNIST, or EXPERIMENT=fashion WORKERS=2
	$(BIN)/harness sweep $(EXPERIMENT) $(if $(WORKERS),--workers $(WORKERS))

report: $(SETUP)  ## the latest sweep's report
	$(BIN)/harness report

run: $(SETUP)  ## the chapter's run
	$(BIN)/harness run chapter

ui: $(SETUP)  ## the MLflow UI on 127.0.0.1:5000
	$(BIN)/harness ui

# one more process than the least that there are of cores: many of these tests wait for a server or a clock
test: $(SETUP)  ## all tests
	$(BIN)/python -m pytest --numprocesses=3

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

gallery: $(SETUP)  ## the README's picture, of the default sweep (needs chromium)
	mkdir -p reports/gallery
	$(CHROMIUM) --headless --no-sandbox --hide-scrollbars --window-size=960,2300 \
		--screenshot=reports/gallery/optimizers.png "file://$$($(BIN)/harness sweep optimizers --json \
		| $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["report"])')"

check: $(SETUP)  ## ruff, ruff format, mypy --strict, the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_layers.py

clean:  ## remove the environments, builds and caches; results stay
	rm -rf .venv $(LOWEST) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

clean-results:  ## remove every run, study and report of this folder, after asking
	@printf 'Remove $(RESULTS), with every run, study and report? [y/N] '; \
	read -r answer; if [ "$$answer" = y ]; then rm -rf $(RESULTS); else echo 'nothing was removed'; fi

.PHONY: help setup sweep report run ui test test-fast test-lowest bench gallery check clean clean-results
