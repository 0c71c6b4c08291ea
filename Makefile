# Everything runs from .venv, which builds itself with plain venv and pip, locked with hashes.

PYTHON ?= python3
BIN := .venv/bin
RUNNABLE := .venv/.runnable
DEVELOPED := .venv/.developed

.PHONY: run demo test check style bench screenshots pictures lock clean help

run: $(RUNNABLE)  ## the proxy, the poster and the dashboard; Ctrl-C ends all
	@exec $(BIN)/meterline up

demo: $(RUNNABLE)  ## the same with live synthetic traffic, no key needed
	@exec $(BIN)/meterline demo

test: $(DEVELOPED)  ## all tests
	$(BIN)/python -m pytest -n 3 --dist loadfile

check: style test  ## style, types, docs and tests

style: $(DEVELOPED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.docs --check

bench: $(DEVELOPED)  ## what Meterline costs in speed, beside a bare pass-through
	$(BIN)/python -m tests.benchmarks

screenshots: $(DEVELOPED)  ## every page of the dashboard as pictures, in screenshots/
	$(BIN)/python -m tests.browser.screenshots

pictures: $(DEVELOPED)  ## the pictures in the README, made anew
	$(BIN)/python -m tests.browser.pictures

lock:  ## renew uv.lock and the requirements made from it (needs uv)
	uv lock --upgrade
	uv export --quiet --frozen --no-emit-project --no-dev --group build -o requirements.txt
	uv export --quiet --frozen --no-emit-project --no-dev --group build --extra dev -o requirements-dev.txt

clean:  ## remove .venv and caches; data stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Meterline needs Python 3.11 or newer. Install it, or: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { echo "The venv module is missing. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(RUNNABLE): requirements.txt pyproject.toml | .venv/bin/python
	@echo "Installing Meterline into .venv (once, about half a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVELOPED): requirements-dev.txt $(RUNNABLE)
	@echo "Installing what the tests need into .venv (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@touch $@
