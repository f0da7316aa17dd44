# `make demo` runs the main job, `make test` passes the tests; both do all the set-up on a fresh machine.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUTPUT ?= demo-output
SAY = @printf '\n\033[1m== %s\033[0m\n'

.PHONY: help setup demo test lint unit cluster-test bench down generate lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready ## Make .venv with vistrain in it

$(VENV)/.ready: requirements/dev.lock crds/pyproject.toml operator/pyproject.toml trainer/pyproject.toml devcluster/pyproject.toml hack/setup.sh
	$(SAY) "set-up: virtual environment .venv (about 7 GB of packages on a first run)"
	@hack/setup.sh $(PYTHON) $(VENV)
	@touch $@

demo: setup ## Train on a real Kubernetes through an eviction (CONTEXT=, REGISTRY=, INSECURE_REGISTRY=1, OUTPUT=)
	@$(BIN)/python -m vistrain_devcluster.demo --output $(OUTPUT) $(if $(CONTEXT),--context $(CONTEXT)) $(if $(REGISTRY),--registry $(REGISTRY)) $(if $(INSECURE_REGISTRY),--insecure-registry)

test: setup ## All tests, set-up and dev cluster included
	@hack/test.sh

lint: setup ## Style, types, imports, drift of generated files
	@hack/lint.sh

unit: setup ## The tests that need no cluster
	@$(BIN)/python -m pytest -n 2 --dist loadscope -m 'not cluster'

cluster-test: setup ## The tests on the dev cluster
	@$(BIN)/vistrain-devcluster install
	@$(BIN)/python -m pytest -m cluster

bench: setup ## Measure against the peers; prints ratios
	@hack/bench.sh

down: ## Remove everything that the dev cluster left on this machine
	@if [ -x $(BIN)/vistrain-devcluster ]; then $(BIN)/vistrain-devcluster down; else echo "no .venv, so no dev cluster was started from here"; fi

generate: setup ## Write the CRDs, the chart's copy and the API reference from the models
	@$(BIN)/python -m vistrain_api.generate

lock: ## Pin the requirements anew
	@requirements/lock.sh

clean: ## Remove the virtual environment and the demo's output
	@rm -rf $(VENV) $(OUTPUT)
