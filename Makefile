# `make run` and `make test` set everything up by themselves; nothing needs root. `make help` lists the targets.
PYTHON ?= python3.11
VENV ?= .venv
CORES ?= $(shell nproc 2>/dev/null || echo 2)
TORCH ?= torch==2.13.0
# The only host that this project names: PyTorch's own index of CPU builds. For a GPU, install your CUDA build of torch
# into $(VENV) beforehand (it is left alone), or point this at one of PyTorch's CUDA indexes.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/snakemake --profile local --cores $(CORES)
PYTEST := $(BIN)/python -m pytest
STAMP := $(VENV)/.installed

KIT ?= osteorad-kit.tar
# A kit that was unpacked says there that pip looks into its own wheels/ only.
-include kit.mk

.DEFAULT_GOAL := help
.PHONY: help env run sts tables null thorough networks test test-full lint bench lock kit clean

help:
	@echo "make run        the phantom cohort and its analysis, from DICOM to results/index.html"
	@echo "make test       unit, contract and small workflow tests"
	@echo "make test-full  everything, slow tests included"
	@echo "make sts        the public sarcoma cohort, where ../shared/data/sts is present"
	@echo "make tables     five published feature tables, where ../shared/data/statistics is present"
	@echo "make thorough   the analysis with all 5 repeats of 5 folds and 500 trees"
	@echo "make networks   toy networks that draw bone metastases of digital patients, and an outcome on their masks"
	@echo "make null       the phantom cohorts without signal and without disease"
	@echo "make lint       ruff, mypy, snakefmt, snakemake --lint, import-linter"
	@echo "make bench      measurements behind the figures of the documentation"
	@echo "make lock       resolve requirements.lock and envs/*.yaml anew (needs uv)"
	@echo "make kit        everything for a machine without internet, in one file: $(KIT)"
	@echo "make clean      remove results, logs and caches; private/ and $(VENV) stay"

env: $(STAMP)

# torch comes first and alone: resolved with the rest, pip would fetch a CUDA build of several gigabytes.
$(STAMP): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: no '$(PYTHON)' on the path. Set PYTHON=/path/to/python3.11." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "== virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@if $(BIN)/python -c "import importlib.metadata as m, sys; sys.exit('+cpu' in m.version('torch'))" 2>/dev/null; \
	then echo "== torch is there already and not a CPU build: left alone"; \
	elif $(BIN)/python -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '$(TORCH)'.split('==')[1])" 2>/dev/null; \
	then echo "== torch is there already"; \
	else echo "== torch, CPU build"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 1 --no-deps --index-url $(TORCH_INDEX) $(TORCH); fi
	@echo "== packages of requirements.lock (about 700 MB, some minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

run: env
	@echo "== phantom cohort and its analysis on $(CORES) cores"
	@$(SNAKEMAKE)
	@echo "Report: $(CURDIR)/results/index.html"

sts: env
	@$(SNAKEMAKE) --directory examples/sts
	@echo "Report: $(CURDIR)/examples/sts/results/index.html"

networks: env
	@$(SNAKEMAKE) results/analyses/bm-seg/report.html results/analyses/drawn-bone/report.html
	@echo "Reports: $(CURDIR)/results/analyses/{bm-seg,drawn-bone}/report.html"

null: env
	@$(SNAKEMAKE) results/cohorts/phantom-null/report.html results/cohorts/phantom-healthy/report.html

thorough: env
	@$(SNAKEMAKE) results/analyses/marrow-full/report.html
	@echo "Report: $(CURDIR)/results/analyses/marrow-full/report.html"

tables: env
	@$(SNAKEMAKE) --directory examples/tables
	@echo "Report: $(CURDIR)/examples/tables/results/index.html"

test: env
	@$(PYTEST) -m "not slow and not gpu and not conda"

test-full: env
	@$(PYTEST) -m "not gpu" --durations=15

lint: env
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/snakefmt --check Snakefile rules
	@$(BIN)/snakemake --lint --profile local
	@$(BIN)/lint-imports

bench: env
	@$(BIN)/python -m benchmarks

lock:
	uv pip compile --quiet --generate-hashes --no-header --python-version 3.11 --excludes envs/apart.in requirements.in -o requirements.lock
	$(PYTHON) envs/write_envs.py

# What is committed, and wheels for this kind of machine; torch with the libraries of its build. The last three build
# packages that have no wheel. Locked packages win over what torch brings along.
kit: env
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	git archive --prefix=osteorad/ HEAD | tar -x -C "$$folder"; mkdir "$$folder/osteorad/wheels" "$$folder/torch"; \
	echo "== torch and its libraries"; \
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --retries 1 --index-url $(TORCH_INDEX) --dest "$$folder/torch" $(TORCH); \
	echo "== packages of requirements.lock (about 700 MB, some minutes)"; \
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --retries 1 --require-hashes --no-deps --dest "$$folder/osteorad/wheels" -r requirements.lock; \
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --retries 1 --dest "$$folder/osteorad/wheels" setuptools wheel versioneer; \
	echo "== a trial of the installation, without internet"; \
	PIP_FIND_LINKS= $(BIN)/python -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --no-index --find-links "$$folder/osteorad/wheels" --require-hashes --no-deps -r requirements.lock; \
	$(BIN)/python envs/write_kit.py "$$folder"; \
	tar -cf $(KIT) -C "$$folder" osteorad; \
	echo "$(KIT): $$(du -h $(KIT) | cut -f1). There: tar xf $(notdir $(KIT)) && make -C osteorad env"

clean:
	rm -rf results logs .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find benchmarks -mindepth 1 -maxdepth 1 -type d -not -name __pycache__ -exec rm -rf {} +
