# `make help` lists what there is. PYTHON, VENV, PROFILE and ARGS can be given on the command line, e.g.
#   make run ARGS="--configfile my.yaml" PYTHON=/opt/python3.11/bin/python3 VENV=~/envs/neighborhoods
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PROFILE ?= profiles/default
ARGS ?=

BIN := $(VENV)/bin
# The stamp's name holds what was installed: an environment is used again until the requirements change.
RUN_STAMP := $(VENV)/.run-$(shell cat requirements/constraints.txt requirements/run.txt requirements/no-deps.txt | cksum | cut -d' ' -f1)
TEST_STAMP := $(VENV)/.test-$(shell cat requirements/constraints.txt requirements/test.txt | cksum | cut -d' ' -f1)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SNAKEMAKE := $(BIN)/python -m pipeline.launch --workflow-profile $(PROFILE)

.DEFAULT_GOAL := help
.PHONY: help run report dag docs test fuzz lint audit format

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 26

run: $(RUN_STAMP) ## run the workflow (ARGS: more for snakemake), then write the report
	$(SNAKEMAKE) $(ARGS)
	$(if $(filter -n% --dry-run --dryrun --dag --rulegraph --summary --list% --unlock,$(ARGS)),,@$(MAKE) --no-print-directory report)

report: $(RUN_STAMP) ## write results/report/report.html from the results there are
	@rm -rf results/report results/report.zip
	$(SNAKEMAKE) --quiet --report results/report.zip $(ARGS)
	@$(BIN)/python -m zipfile -e results/report.zip results
	@echo "report: results/report/report.html"

dag: $(RUN_STAMP) ## draw the rule graph to results/rulegraph.png
	@mkdir -p results
	@$(SNAKEMAKE) --rulegraph dot $(ARGS) | $(BIN)/python -m pipeline.rulegraph results/rulegraph.png
	@echo "rule graph: results/rulegraph.png"

docs: $(RUN_STAMP) ## write docs/configuration.md from the schema
	$(BIN)/python -m pipeline.reference > docs/configuration.md

test: $(TEST_STAMP) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder $(ARGS)

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
	$(BIN)/python -m pipeline.audit requirements/*.txt

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
	$(PIP) --constraint requirements/constraints.txt --requirement requirements/test.txt
	@rm -f $(VENV)/.test-*
	@touch $@
