# The two commands that matter: `make smoke` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RECORDINGS ?= tests/contract/recordings
# How many test files run at once. Timed tests pass beside one other file, not beside many.
JOBS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help smoke test replay lint format bench clean constraints docs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

smoke: $(VENV)/.base ## set up, and run the built-in smoke test against the emulator
	$(BIN)/kfp-perf run smoke.json --emulator

test: $(VENV)/.dev ## set up, and run the tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

replay: $(VENV)/.dev ## replay the RECORDINGS of a real KFP server against the emulator, and count equal answers
	PYTHONPATH=tests/support $(BIN)/python -m replay $(RECORDINGS)

lint: $(VENV)/.dev ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## apply ruff's fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## measure kfp-perf beside other tools, some 10 minutes (all in full: python -m benchmarks --whole)
	$(BIN)/python -m benchmarks

docs: $(VENV)/.dev ## write the reference pages that are generated from the code
	$(BIN)/python docs/make.py

constraints: $(VENV)/.dev ## pin today's newest versions in constraints.txt
	$(PIP) install -q uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --no-header \
		--no-annotate --no-emit-index-url --output-file constraints.txt pyproject.toml

clean: ## remove generated files
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist

# An installation is renewed only when its inputs have changed. The version is checked first: pip would report it late,
# and leave a folder that the next attempt would take for an installation.
TOO_OLD = 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
	"kfp-perf needs Python 3.11 or newer, and %s is %d.%d. Name another one: make smoke PYTHON=python3.12" \
	% (sys.executable, v[0], v[1]))'

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Name a Python 3.11 or newer: make smoke PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c $(TOO_OLD)
	$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(BIN)/python -c $(TOO_OLD) || { echo "Remove $(VENV) first: make clean" >&2; exit 1; }
	$(PIP) install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(BIN)/python -c $(TOO_OLD) || { echo "Remove $(VENV) first: make clean" >&2; exit 1; }
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.base $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -q -c constraints.txt -e '.[dev,bench]'
	@touch $(VENV)/.base $(VENV)/.dev $@
