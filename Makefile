# Everything runs in .venv, made on first use. Another Python: make demo PYTHON=python3.13
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# -- try it

.PHONY: demo
demo: $(VENV)/.installed-demo ## start the example project, and stay until Ctrl-C (PORT=8000)
	@$(BIN)/python -m example_project.demo --port "$(PORT)"

.PHONY: demo-once
demo-once: $(VENV)/.installed-demo ## run the example flows to their end, check them, and stop (PORT=8000; 0 takes a free one)
	@$(BIN)/python -m example_project.demo --once --port "$(PORT)"

.PHONY: demo-clean
demo-clean: ## throw away the demo's data
	rm -rf .demo

# -- work on it

.PHONY: test
test: $(VENV)/.installed-dev ## run the tests (PG=16, DATABASE_URL=postgres://..., ARGS="-k name")
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: test-16
test-16: $(VENV)/.installed-dev ## run the tests that talk to a database on PostgreSQL 16
	@env -u DATABASE_URL PG=16 $(BIN)/python -m pytest tests/sql tests/sql_plans tests/model tests/concurrency \
	  tests/migrations tests/integration tests/conformance $(ARGS)

.PHONY: test-deep
test-deep: $(VENV)/.installed-dev ## compare the SQL core with its model, on thousands of examples
	@HYPOTHESIS_PROFILE=deep HAMMERING_SECONDS=15 $(BIN)/python -m pytest tests/model tests/concurrency $(ARGS)

.PHONY: test-matrix
test-matrix: $(VENV)/.installed-dev ## test the SQL against PostgreSQL 14 to 18, those that can be had (ARGS="14 17")
	@$(BIN)/python -m tests.matrix $(ARGS)

.PHONY: lint
lint: $(VENV)/.installed-dev ## check style and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.PHONY: types
types: $(VENV)/.installed-dev ## check types
	$(BIN)/mypy

.PHONY: package
package: $(VENV)/.installed-dev ## build the wheel, install it elsewhere, and migrate an empty project with it
	@$(BIN)/python -m tests.project.check_package

.PHONY: chaos
chaos: $(VENV)/.installed-dev ## kill workers and Postgres for minutes, then check what is promised (ARGS="--minutes 20 --seed 7 --write")
	@$(BIN)/python -m tests.chaos $(ARGS)

.PHONY: chaos-short
chaos-short: $(VENV)/.installed-dev ## the same for less than a minute
	@$(BIN)/python -m tests.chaos --minutes 0.7 --workers 3 $(ARGS)

.PHONY: ready
ready: lint types test test-16 package chaos-short ## all that CI checks

.PHONY: bench
bench: $(VENV)/.installed-dev ## measure
	@$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: bench-peers
bench-peers: $(VENV)/.installed-dev ## measure beside other libraries (ARGS="celery dbos --repeat 1")
	@$(BIN)/python -m tests.benchmarks --peers $(ARGS)

.PHONY: bench-sql
bench-sql: $(VENV)/.installed-dev ## measure what a task costs the database (ARGS="--small --write")
	@$(BIN)/python -m tests.benchmarks.sql $(ARGS)

.PHONY: bench-scaling
bench-scaling: $(VENV)/.installed-dev ## measure what many workers, long queues and history cost the database (ARGS="--small --write")
	@$(BIN)/python -m tests.benchmarks.scaling $(ARGS)

.PHONY: bench-profile
bench-profile: $(VENV)/.installed-dev ## show where a task's time goes (ARGS="--tasks 20000 --map --sync --functions")
	@$(BIN)/python -m tests.benchmarks.profile $(ARGS)

.PHONY: screenshots
screenshots: $(VENV)/.installed-dev ## make the pictures of the admin
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

.PHONY: clean
clean: demo-clean ## throw away the virtual environment, too
	rm -rf $(VENV) dist build

# -- the virtual environment; the stamps let a second run skip the installation

$(BIN)/python:
	@$(PYTHON) -c 'pass' || { echo "There is no $(PYTHON). Install Python 3.11 or later, or name it: make demo PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1). Python 3.11 or later is needed; if it has another name: make demo PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { \
	  echo "$(PYTHON) lacks the module venv or ensurepip. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	@echo "Installing (a minute at most, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]' || { \
	  echo "The installation failed; the lines above say why." >&2; \
	  echo "If they speak of a compiler (gcc, cc, clang): there is no ready-made wheel of that package for this Python and" >&2; \
	  echo "machine. Install a compiler (apt install build-essential python3-dev), or take another Python: PYTHON=python3.12" >&2; \
	  exit 1; }
	@touch $@
