# `make help` lists what there is. PYTHON, VENV, PROFILE and ARGS can be given on the command line, e.g.
#   make run ARGS="--configfile my.yaml" PYTHON=/opt/python3.11/bin/python3 VENV=~/envs/neighborhoods
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PROFILE ?= profiles/default
ARGS ?=

BIN := $(VENV)/bin
# The stamp's name holds what was installed: an environment is used again until the requirements change.
RUN_STAMP := $(VENV)/.run-$(shell cat requirements/constraints.txt requirements/run.txt requirements/no-deps.txt | cksum | cut -d' ' -f1)
TEST_STAMP := $(VENV)/.test-$(shell cat requirements/constraints.txt requirements/test.txt requirements/docs.txt requirements/slurm.txt requirements/cluster-generic.txt | cksum | cut -d' ' -f1)
DOCS_STAMP := $(VENV)/.docs-$(shell cat requirements/constraints.txt requirements/docs.txt | cksum | cut -d' ' -f1)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SNAKEMAKE := $(BIN)/python -m pipeline.running.launch --workflow-profile $(or $(realpath $(PROFILE)),$(PROFILE))
REPORT := $(BIN)/python -m pipeline.report

.DEFAULT_GOAL := help
.PHONY: help run estimate report verify dag docs reference gallery test slurm faults fuzz lint audit format

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 26

run: $(RUN_STAMP) ## run the workflow (ARGS: more for snakemake), then write the report where it has changed
	$(SNAKEMAKE) $(ARGS)
	$(if $(filter -n% --dry-run --dryrun --dag --rulegraph --summary --list% --unlock,$(ARGS)),,\
	  @$(REPORT) --if-changed --workflow-profile $(PROFILE) $(ARGS))

estimate: $(RUN_STAMP) ## price a run before it starts: jobs, core-hours, GPU-hours, disk, time (ARGS as for run)
	@$(BIN)/python -m pipeline.costs.estimate --workflow-profile $(PROFILE) $(ARGS)

report: $(RUN_STAMP) ## write results/report.html from the results there are
	@$(REPORT) --workflow-profile $(PROFILE) $(ARGS)

verify: $(RUN_STAMP) ## compare every result with its hash in results/provenance.json (ARGS=--remove deletes what differs)
	@$(BIN)/python -m pipeline.provenance.verify $(ARGS)

dag: $(RUN_STAMP) ## draw the rule graph to results/rulegraph.png, and without figures and tables to results/rulegraph_inner.png
	@mkdir -p results
	@$(SNAKEMAKE) --rulegraph dot $(ARGS) | $(BIN)/python -m pipeline.report.rulegraph results/rulegraph.png results/rulegraph_inner.png
	@echo "rule graph: results/rulegraph.png, results/rulegraph_inner.png"

docs: $(DOCS_STAMP) reference ## build the documentation to docs/_build/html/index.html; what Sphinx warns of is an error
	$(BIN)/python -m sphinx -a -n -W --keep-going -q -j auto docs docs/_build/html
	@echo "documentation: docs/_build/html/index.html"

reference: $(RUN_STAMP) ## write docs/configuration.md from the schema and docs/costs.md from what was measured
	$(BIN)/python -m pipeline.config.reference > docs/configuration.md
	$(BIN)/python -m pipeline.costs.table > docs/costs.md

gallery: $(RUN_STAMP) ## write docs/gallery.md and its pictures from the results of a finished run
	$(BIN)/python -m pipeline.report.gallery results docs

test: $(TEST_STAMP) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder $(ARGS)

slurm: $(TEST_STAMP) ## run the long tests on a real SLURM, where its packages are installed
	$(BIN)/python -m pytest --no-cov --capture no tests/slurm/full.py $(ARGS)

faults: $(TEST_STAMP) ## kill, fill, damage and move whatever can be, and compare every byte (KILLS: 50)
	$(BIN)/python -m pytest --no-cov tests/faults -m "long or not long"
	$(BIN)/python -m tests.faults.kills --kills $(or $(KILLS),50)

fuzz: $(TEST_STAMP) ## read ten thousand damaged inputs of each kind (ARGS: targets, --inputs N)
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: $(TEST_STAMP) ## check style, types and rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint
	@$(MAKE) --no-print-directory audit

audit: $(TEST_STAMP) ## look the pinned packages up among known vulnerabilities
	$(BIN)/python -m pipeline.provenance.audit requirements/*.txt

format: $(TEST_STAMP) ## put code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "Python 3.11 is needed, found $$($(PYTHON) --version 2>&1); say where it is: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): | $(BIN)/python
	$(PIP) --constraint requirements/constraints.txt --requirement requirements/run.txt
	$(PIP) --no-deps --requirement requirements/no-deps.txt
	@rm -f $(VENV)/.run-*
	@touch $@

$(TEST_STAMP): $(RUN_STAMP)
	$(PIP) --constraint requirements/constraints.txt --requirement requirements/test.txt --requirement requirements/docs.txt --requirement requirements/slurm.txt --requirement requirements/cluster-generic.txt
	@rm -f $(VENV)/.test-*
	@touch $@

$(DOCS_STAMP): $(RUN_STAMP)
	$(PIP) --constraint requirements/constraints.txt --requirement requirements/docs.txt
	@rm -f $(VENV)/.docs-*
	@touch $@
