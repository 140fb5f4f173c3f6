# From a fresh machine (Python 3.11 or later with pip) to a map: make demo
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test quick lint docs torture gpu clean

demo: $(VENV)/installed
	$(BIN)/cryorbit demo -o demo

test: $(VENV)/installed
	$(BIN)/python -m pytest

quick: $(VENV)/installed
	$(BIN)/python -m pytest -m "not slow"

lint: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet '.[docs]'
	$(BIN)/mkdocs build --strict

# Ten thousand damaged inputs and a hundred kills, about half an hour on one core; figures of before are in results
torture: $(VENV)/installed
	cd benchmarks && $(abspath $(BIN))/python -m torture --output results/torture.md

# On a machine with a GPU: its tests, the E-step beside bare matrix products, abinit and refine on a large set, within 8 minutes
gpu: $(VENV)/installed
	$(BIN)/python benchmarks/gpu.py --output benchmarks/results

# A Python without ensurepip (Debian without python3-venv) lends its own pip instead.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) || { \
		$(PYTHON) -m venv --clear --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python install pip; }
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) site build dist
