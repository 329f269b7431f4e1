# `make help` lists what can be made. Everything else is in tools/ and docs/development.md.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
PEOPLE ?= 20000
LANGUAGE ?= zh
NAME ?= ledger
SCOPE ?= tests/unit tests/integration
# Four processes, forked from one that imported everything. Tests of one file stay in one of them, and files begin in the
# order of tests/scheduling.py. Of three processes on two cores so many waited that a fifth of the time nobody computed.
TESTS := $(PYTHON) -m tests.whole_run
# Where no statement may be put together from texts: what comes in with a request stays a value.
WITHOUT_SQL_TEXT := $(addprefix src/datong/,web cli app governance ledger federation)
# Compiled modules are kept, whatever the surroundings say: a demo starts some thirty short processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-long fault fault-long check bench docs pictures dist fresh sbom audit clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | column -t -s '|'

setup: $(VENV)/.ready ## Build .venv from the pinned, hashed requirements

$(VENV)/.ready: requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@tools/setup-python
	@touch $@

demo: setup ## Play the paper's story in 示例市 and leave the console running (PEOPLE=20000 LANGUAGE=zh)
	@$(VENV)/bin/datong demo --people $(PEOPLE) --lang $(LANGUAGE)

test: setup ## Set up and run the tests, with real PostgreSQL, MariaDB and Chromium (SCOPE=tests: with those of fault)
	@tools/setup-servers
	@$(TESTS) $(SCOPE)

test-long: setup ## The tests with twelve times as many examples of each property
	@tools/setup-servers
	@$(TESTS) tests/unit tests/integration --hypothesis-profile=thorough

fault: setup ## Kills, full disks, bad links, harmed stories, guides as typed, and whether each benchmark runs
	@tools/setup-servers
	@$(TESTS) tests/fault tests/drills tests/smoke

check: setup ## Lint, format, types, import layers
	@$(VENV)/bin/ruff format --check src tests benchmarks
	@$(VENV)/bin/ruff check src tests benchmarks
	@$(VENV)/bin/ruff check --quiet --extend-select S608 $(WITHOUT_SQL_TEXT)
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

bench: setup ## Run one benchmark: make bench NAME=ledger
	@tools/setup-servers
	@$(PYTHON) -m benchmarks.$(NAME)

fault-long: setup ## The fault tests with 200 rounds of kills instead of 20, and every story with a kill or harm
	@tools/setup-servers
	@DATONG_FAULT_ROUNDS=200 $(PYTHON) -m pytest tests/fault

docs: setup ## Write the settings page, and the documentation as a site to build/docs
	@$(PYTHON) tools/build_docs.py build/docs

pictures: setup ## Take the pictures of the documentation anew from the browser tests' city
	@$(PYTHON) -m tests.integration.console.screenshots

dist: setup ## Build the release of this commit in dist/: wheel, sdist, requirements, bill of materials, digests
	@$(PYTHON) tools/build_release.py dist

fresh: setup ## The operator's guide on a fresh Debian (debootstrap), from the wheel alone, within ten minutes; as root
	@$(PYTHON) tools/fresh_machine.py $(if $(RELEASE),--release $(RELEASE))

sbom: setup ## Write the bill of materials (CycloneDX) of the pinned requirements to dist/
	@$(PYTHON) tools/build_sbom.py dist --epoch "$$(git log -1 --format=%ct)"

audit: setup ## Pins, digests and licences of what a release depends on; ADVISORIES=folder of OSV files
	@$(PYTHON) tools/audit.py $(if $(ADVISORIES),--advisories $(ADVISORIES))

clean: ## Remove what was built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
