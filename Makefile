# make demo | test | check | bench | docs | soak     each prepares .venv by itself
# ARGS is passed on: make demo ARGS="--scenario fraud", make test ARGS="tests/unit -x"

PYTHON  ?= python3
WORKERS ?= 3
ARGS    ?=

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c

VENV    := .venv
BIN     := $(VENV)/bin
LOCKED  := $(VENV)/.locked
READY   := $(VENV)/.ready
PIP     := $(BIN)/python -m pip --disable-pip-version-check
PROTOS  := $(shell find protos -name '*.proto')
BENCHES := $(shell grep -l '__name__ == .__main__' tests/bench/*.py)

.PHONY: demo test check bench docs soak clean lock
.DELETE_ON_ERROR:

demo: $(READY)
	@$(BIN)/gridcord demo $(ARGS)

test: $(READY)
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not soak" $(ARGS)

soak: $(READY)
	@$(BIN)/pytest -m soak --timeout 0 $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/buf lint
	$(BIN)/buf breaking --against protos/released.binpb
	$(BIN)/pytest -q tests/structure

bench: $(READY)
	@for bench in $(patsubst %.py,%,$(notdir $(BENCHES))); do \
		echo "== $$bench"; $(BIN)/python -m tests.bench.$$bench $(ARGS); \
	done

docs: $(READY)
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build $(ARGS)
	@echo "docs/_build/index.html"

# Keeps .venv, which is costly to make; `rm -rf .venv` removes that as well.
clean:
	rm -rf gridcord/api docs/_build build dist demo-data $(READY)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -exec rm -rf {} +

# After a change of dependencies in pyproject.toml; needs uv. UPGRADE=--upgrade takes the newest.
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-emit-index-url $(UPGRADE) \
		--output-file requirements.lock --quiet

# The package itself: editable, with the code made of protos/.
$(READY): $(LOCKED) pyproject.toml build_protos.py $(PROTOS)
	@echo "Installing gridcord ..."
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Exactly what requirements.lock names. Sources among it are built by the setuptools it names.
$(LOCKED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing. Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) of requirements.lock, once; this takes a few minutes ..."
	@$(PYTHON) -m venv $(VENV)
	@sed -n '/^setuptools==/,/[^\\]$$/p' requirements.lock > $(VENV)/setuptools.lock
	@$(PIP) install --quiet --require-hashes --only-binary :all: -r $(VENV)/setuptools.lock
	@$(PIP) install --no-build-isolation --use-pep517 --require-hashes -r requirements.lock \
		| sed -un 's/^Collecting \([^ ]*\).*/  \1/p; s/^Installing collected.*/Unpacking .../p'
	@$(PIP) check
	@touch $@
