# `make up` needs Python 3.11 or newer with venv and nothing else; everything is installed into .venv.
# How many processes run the tests; each has its database, its backend and its browser.
WORKERS ?= 2

.PHONY: help up test lint bench notebooks lock venv clean

help: ## show these targets
	@sed -n 's/^\([a-z]*\):.*## /make \1 \t/p' Makefile | expand -t 16

up: .venv/installed-runtime ## run everything: database, backend, dashboard, an agent for this host (Ctrl-C stops it)
	@exec .venv/bin/chatops up

test: .venv/installed-dev ## run the tests, as CI does (more: make test PYTEST="-k spool -x" WORKERS=0)
	@exec .venv/bin/pytest --numprocesses=$(WORKERS) --dist=loadfile $(PYTEST)

lint: .venv/installed-dev ## ruff, mypy and the import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: .venv/installed-dev ## run every benchmark in benchmarks/ (one: make bench ONLY=ingest)
	@exec .venv/bin/chatops bench $(ONLY)

notebooks: .venv/installed-notebooks ## open the notebooks in JupyterLab, connected to what `make up` runs
	@exec .venv/bin/chatops notebooks $(JUPYTER)

lock: ## write locks/ again from pyproject.toml (needs uv)
	sh locks/make.sh

venv: .venv/installed-dev ## make .venv with everything that tests and lint need

.venv/installed-runtime: locks/runtime.txt locks/venv.sh pyproject.toml
	@sh locks/venv.sh runtime

.venv/installed-dev: locks/dev.txt locks/venv.sh pyproject.toml
	@sh locks/venv.sh dev

.venv/installed-notebooks: locks/notebooks.txt locks/venv.sh pyproject.toml
	@sh locks/venv.sh notebooks

clean: ## delete .venv and caches; the data directory stays unless DATA=delete is given
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
ifeq ($(DATA),delete)
	rm -rf data
endif
