# Two commands for a newcomer: `make conformance BROKER=nats` (or `kafka`) and `make test`.

BROKER ?= nats
TIER ?= core
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: conformance test check selftest memory lies soak bench format clean help

help:
	@echo "make conformance BROKER=nats|nats-core|kafka|memory [TIER=smoke|core|fault] [ARGS=...]   a verdict per guarantee"
	@echo "make test        the tests of this project, with coverage"
	@echo "make check       lint, types, the spec and the generated files"
	@echo "make selftest    show that every rule catches a broken broker"
	@echo "make memory      10^5 generated histories of the correct memory broker: no failure"
	@echo "make lies        real mistakes with NATS, each caught on a real server"
	@echo "make soak BROKER=nats|kafka TIER=core RUNS=30   so many runs in the background; again: how far they are, or go on"
	@echo "make bench       the NATS adapter beside bare nats-py and FastStream [ARGS='--rounds N --events N --save']"
	@echo "make format      format the code"

conformance: $(VENV)/installed
	$(BIN)/eventproof run $(BROKER) --tier $(TIER) $(ARGS)

test: $(VENV)/developing
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered $(ARGS)

check: $(VENV)/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src
	$(BIN)/mypy --python-version 3.10 src
	$(BIN)/python -m eventproof.spec --check
	$(BIN)/python -m eventproof.conformance.formats --check

selftest: $(VENV)/installed
	$(BIN)/eventproof selftest $(ARGS)

# A correct broker is never accused: as many histories as it takes to mean that.
COUNT ?= 100000
memory: $(VENV)/installed
	$(BIN)/eventproof run memory --scenarios $(COUNT) --keep failed $(ARGS)

LIES := tests/misconfigured/test_misconfigured.py tests/misconfigured/test_under_faults.py
lies: $(VENV)/developing
	$(BIN)/python -m pytest --no-cov --timeout 300 $(LIES) $(ARGS)

RUNS ?= 30
soak: $(VENV)/installed
	@.ci/soak $(BROKER) $(TIER) $(RUNS) $(BIN)/eventproof

bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks.nats $(ARGS)

format: $(VENV)/developing
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist reports .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[nats,kafka,servers]'
	@touch $@

$(VENV)/developing: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@
