# Everything runs in .venv, which the first target that needs it makes and later ones leave alone until
# a lock file, pyproject.toml or the interpreter changes. Set-up speaks on stderr only: stdout belongs to the program.

PYTHON ?= python3
ONLY ?=

VENV := .venv
BIN := $(VENV)/bin
VENDOR := src/lezha/web/static/vendor
UV_VERSION := 0.13.*

# The machine's own colours, config and caches stay; only pip's chatter goes.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
# npm's hook for its "new version" line.
export NO_UPDATE_NOTIFIER := 1

.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help demo test check format bench soak mutants lock wheel clean pages

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.base pages  ## a small alliance on this machine; ARGS='--headless --json' for scripts
	@$(BIN)/lezha demo $(ARGS)

test: ARGS ?= -n 2
test: $(VENV)/.dev pages  ## every test, two at a time; ARGS='-k release' for some, ARGS= for one at a time
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev  ## formatting, lint, types, layers, dependencies
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy src tests bench
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry src

format: $(VENV)/.dev  ## format the code and mend what lint can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

bench: $(VENV)/.dev  ## measure every figure, one JSON line each; ONLY=link for one script of bench/
	@$(BIN)/python -m bench.run $(ONLY)

soak: $(VENV)/.fuzz pages  ## the long tests (marked soak), which `make test` leaves out; bench/results/soak.jsonl keeps what came of them
	@$(BIN)/python -m pytest -m soak --timeout=0 $(ARGS)

mutants: $(VENV)/.mutants  ## what of sharing/ could be changed without a test that fails; docs/mutants.md says why
	@$(BIN)/mutmut run >&2
	@$(BIN)/mutmut results

lock: $(BIN)/python  ## remake requirements/*.txt and package-lock.json; ARGS=--upgrade for newer versions
	@$(BIN)/python -m pip install -qq 'uv==$(UV_VERSION)' >&2
	@UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile $(UV_COMPILE) --group build -o requirements/base.txt
	@UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile $(UV_COMPILE) --group dev --extra policy --extra postgres \
		--constraint requirements/base.txt -o requirements/dev.txt
	@UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --group pyproject.toml:mutants $(UV_FLAGS) \
		--constraint requirements/dev.txt -o requirements/mutants.txt
	@$(BIN)/uv pip compile --group pyproject.toml:fuzz $(UV_FLAGS) -o requirements/fuzz.txt
	@npm install --package-lock-only --ignore-scripts >&2

# --universal: one lock for every platform and Python from 3.11 on, with the hashes of all of a version's files.
UV_FLAGS = --no-config --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links $(ARGS)
UV_COMPILE = pyproject.toml $(UV_FLAGS)

wheel: $(VENV)/.dev pages  ## the wheel, in dist/
	@$(BIN)/hatchling build -t wheel >&2

clean:  ## remove whatever make and the tools have made
	rm -rf $(VENV) node_modules $(VENDOR) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis mutants
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# --- .venv ---------------------------------------------------------------------------------------------------------

PYTHON_MISSING := lezha needs Python 3.11 or newer: install it, or name one you have, as in 'make PYTHON=python3.12 demo'.
VENV_MISSING := $(PYTHON) cannot make a virtual environment: install python3-venv (on Debian and Ubuntu 'apt-get install python3-venv').

# $(call install,LOCK): the locked versions, by hash, then this checkout itself, editable.
define install
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) >&2  # half-made: start again
	@echo 'Installing $(1) into $(VENV) (once; again when it changes) ...' >&2
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes -r $(1) >&2
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable . >&2
endef

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$(PYTHON_MISSING)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(VENV_MISSING)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) >&2

$(VENV)/.base: $(BIN)/python requirements/base.txt pyproject.toml
	$(call install,requirements/base.txt)
	@touch $@

# dev.txt holds all of base.txt, at the same versions.
$(VENV)/.dev: $(BIN)/python requirements/dev.txt pyproject.toml
	$(call install,requirements/dev.txt)
	@touch $(VENV)/.base $@

$(VENV)/.fuzz: $(VENV)/.dev requirements/fuzz.txt
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements/fuzz.txt >&2
	@touch $@

$(VENV)/.mutants: $(VENV)/.dev requirements/mutants.txt
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements/mutants.txt >&2
	@touch $@

# --- what pages load -------------------------------------------------------------------------------------------------

# Without npm, or without its registry, everything still runs: pages then refresh plainly.
pages:
	@if [ node_modules/.pages -nt package-lock.json ] && [ -f $(VENDOR)/sse.min.js ]; then :; \
	elif ! command -v npm >/dev/null 2>&1; then \
		echo 'npm not found: pages will refresh plainly; install npm for live pages.' >&2; \
	elif ! npm ci --ignore-scripts --loglevel=error >&2; then \
		echo 'npm could not install package-lock.json: pages will refresh plainly.' >&2; \
	else \
		mkdir -p $(VENDOR) && \
		cp node_modules/htmx.org/dist/htmx.min.js node_modules/htmx-ext-sse/dist/sse.min.js $(VENDOR)/ && \
		touch node_modules/.pages; \
	fi
