# Verso's tasks. Each makes the environment first; nothing is installed outside .venv.
# PYTHON=python3.12 make dev   takes another interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp

.PHONY: dev test check lock bench clean

dev: $(STAMP)  ## start the embedded Supabase and the API with a demo project
	@exec $(BIN)/verso dev

test: $(STAMP)  ## pass the tests
	$(BIN)/pytest

check: $(STAMP)  ## ruff, the type checker, the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## measure against named peers in one run; writes tests/benchmarks/RESULTS.md
	$(BIN)/python -m tests.benchmarks

lock: $(STAMP)  ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --upgrade -o requirements.lock

clean:  ## remove the environment and the demo's data
	rm -rf .venv .verso

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Verso needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	@echo "installing the locked packages into .venv (once; half a minute)"
	@# uv is ten times as fast; pip is there for machines whose registry only pip.conf knows
	@$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1' \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	  || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
