# `make help` lists what can be made. Everything else is in tools/ and docs/development.md.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
PEOPLE ?= 20000
LANGUAGE ?= zh
NAME ?= ledger
# Compiled modules are kept, whatever the surroundings say: a demo starts some thirty short processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check bench fault docs clean

help: ## Show this help
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1|\2/' | column -t -s '|'

setup: $(VENV)/.ready ## Build .venv from the pinned, hashed requirements

$(VENV)/.ready: requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@tools/setup-python
	@touch $@

demo: setup ## Play the paper's story in 示例市 and leave the console running (PEOPLE=20000 LANGUAGE=zh)
	@$(VENV)/bin/datong demo --people $(PEOPLE) --lang $(LANGUAGE)

test: setup ## Set up and run every test, with real PostgreSQL, MariaDB and Chromium
	@tools/setup-servers
	@$(PYTHON) -m pytest tests -n 3 --dist loadfile --no-loadscope-reorder

check: setup ## Lint, format, types, import layers
	@$(VENV)/bin/ruff format --check src tests benchmarks
	@$(VENV)/bin/ruff check src tests benchmarks
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

bench: setup ## Run one benchmark: make bench NAME=ledger
	@tools/setup-servers
	@$(PYTHON) -m benchmarks.$(NAME)

fault: setup ## Run the long fault tests (kills at random moments)
	@tools/setup-servers
	@DATONG_FAULT_ROUNDS=200 $(PYTHON) -m pytest tests/fault tests/integration/demo

docs: setup ## Rebuild the generated pages (settings, API) and the screenshots in docs/
	@tools/setup-servers
	@$(PYTHON) tools/build_docs.py

clean: ## Remove what was built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
