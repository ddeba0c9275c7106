# Verso's tasks. Each makes the environment first; nothing is installed outside .venv.
#
#   make dev                                  everything on this machine, with a demo project
#   make dev PORT=8001 SUPABASE_PORT=54421    on other ports; ARGS="--reset" and so on for `verso dev`
#   make test ARGS="tests/unit -x"            some of the tests; WORKERS=0 in one process
#   make test-all                             the slow ones, too, as CI does
#   PYTHON=python3.12 make test               with another interpreter (3.11 or newer)
PYTHON ?= python3
PORT ?= 8000
SUPABASE_PORT ?= 54321
WORKERS ?= 3
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.stamp
# What a shell may forbid: without compiled modules each of our processes takes three times as long to start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: dev test test-slow test-all check audit lock bench clean help

dev: $(STAMP)  ## start the embedded Supabase and the API with a demo project
	@exec $(BIN)/verso dev --with-parent --port $(PORT) --supabase-port $(SUPABASE_PORT) $(ARGS)

test: $(STAMP)  ## pass the tests, but for the slow ones
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not slow" $(ARGS)

test-slow: $(STAMP)  ## pass the slow tests: kills, gigabytes, long histories and what they cost, whole lives of a process
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m slow $(ARGS)

test-all: test test-slow  ## pass all tests

check: $(STAMP)  ## ruff, the type checker, the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(STAMP)  ## ask whether a locked package has a known vulnerability; 3 when nobody could be asked
	@$(BIN)/python .ci/audit

bench: $(STAMP)  ## measure against named peers in one run; writes tests/benchmarks/RESULTS.md
	$(BIN)/python -m tests.benchmarks $(ARGS)

lock: $(STAMP)  ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --upgrade -o requirements.lock

clean:  ## remove the environment and the demo's data
	rm -rf .venv .verso

help:  ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Verso needs Python 3.11 or newer; set PYTHON=")'
	@$(PYTHON) -m venv .venv \
	  || { echo "This Python can't make environments. On Debian: apt install python3-venv" >&2; exit 1; }
	@echo "installing the locked packages into .venv (once; half a minute)"
	@# uv is ten times as fast; pip is there for machines whose registry only pip.conf knows
	@$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1' \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	  || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
