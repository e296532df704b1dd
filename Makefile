# Everything runs in .venv, which `make venv` builds and which is remade when its ingredients change.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?=
OUT ?= out/demo
PYTEST_ARGS ?=

BIN := .venv/bin
STAMP := .venv/.stamp
OLDEST := .venv-oldest
OLDEST_STAMP := $(OLDEST)/.stamp
OLDEST_TORCH := 2.6.0

# Oracles of the tests and contestants of the benchmarks. Their requirements are spelled out, because
# backpack declares torchvision, which it does not need for what is used here and which ties the
# installation to one build of torch.
PEERS := curvlinops-for-pytorch backpack-for-pytorch unfoldNd einconv einops linear_operator opt_einsum tqdm \
	hessian-eigenthings PyHessian loss-landscapes landscaper topopy nglpy treelib coloraide drawsvg

PIP := -m pip --disable-pip-version-check --no-input install -qq
# One thread a worker: torch and NumPy would each start one a core, and keep it busy while it waits.
SINGLE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
PYTEST := -m pytest -n auto --maxprocesses 8 --dist loadgroup

# The first interpreter that runs and is new enough; `make PYTHON=/path/to/python` overrides it.
define FIND_PYTHON
for candidate in $(if $(PYTHON),$(PYTHON),python3.11 python3.12 python3.13 python3); do \
	if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$candidate; break; fi; \
done; \
if [ -z "$${python:-}" ]; then echo "Thalweg needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 1; fi
endef

.PHONY: help venv demo test test-slow test-oldest lint format bench docs clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

venv: $(STAMP) ## build .venv with all that tests, benchmarks and docs need

$(STAMP): pyproject.toml constraints.txt
	@$(FIND_PYTHON); \
	if ! $(BIN)/python -c '' 2>/dev/null; then \
		echo "Building .venv with $$python; the first time this takes some minutes."; \
		"$$python" -m venv --clear .venv; \
	else echo "Bringing .venv up to date."; fi
	@$(BIN)/python $(PIP) -c constraints.txt -e '.[all,dev,docs]'
	@$(BIN)/python $(PIP) -c constraints.txt --no-deps $(PEERS)
	@touch $@

# The pins of torch and of what it pins itself give way to the oldest torch's own.
$(OLDEST_STAMP): pyproject.toml constraints.txt
	@$(FIND_PYTHON); \
	if ! $(OLDEST)/bin/python -c '' 2>/dev/null; then \
		echo "Building $(OLDEST) with torch $(OLDEST_TORCH); its build for Linux brings 5 GB of CUDA libraries."; \
		"$$python" -m venv --clear $(OLDEST); \
	else echo "Bringing $(OLDEST) up to date."; fi
	@{ grep -vE '^(torch|sympy)==' constraints.txt; echo 'torch==$(OLDEST_TORCH)'; } > $(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python $(PIP) -c $(OLDEST)/constraints.txt -e '.[all,dev]'
	@$(OLDEST)/bin/python $(PIP) -c $(OLDEST)/constraints.txt --no-deps $(PEERS)
	@touch $@

demo: $(STAMP) ## train, measure and report: the main job, in under four minutes
	@$(BIN)/thalweg demo --out $(OUT)
	@echo "The report: $(OUT)/index.html"

test: $(STAMP) ## the tests, without the slow ones
	@$(SINGLE) $(BIN)/python $(PYTEST) $(PYTEST_ARGS)

test-slow: $(STAMP) ## the slow tests alone
	@$(SINGLE) $(BIN)/python $(PYTEST) -m slow $(PYTEST_ARGS)

test-oldest: $(OLDEST_STAMP) ## the core tests with the oldest torch that is supported
	@$(SINGLE) $(OLDEST)/bin/python $(PYTEST) --ignore=tests/packaging $(PYTEST_ARGS)

lint: $(STAMP) ## ruff and strict type checking
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy

format: $(STAMP) ## let ruff repair what it can
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .

bench: $(STAMP) ## the benchmarks, in their quick form
	@export THALWEG_DATA="$${THALWEG_DATA:-../shared/data}"; for script in benchmarks/[a-z]*.py benchmarks/laws/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script" --quick; done

docs: $(STAMP) ## the documentation, into site/
	@$(BIN)/python -m sphinx -q -W --keep-going -d site/.doctrees docs site
	@echo "The documentation: site/index.html"

clean: ## remove what the other targets made, the environments too
	@rm -rf .venv $(OLDEST) build dist out site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
