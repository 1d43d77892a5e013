# `make demo` and `make test` need Python >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO = experiments/hydration
JOBS ?= 3
SLURM_JOBS ?= 6

# a test starts hundreds of Python processes: they read bytecode, also where the environment wants none to be written
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check test lint bench clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[pypi,test]'
	touch $@

# Hydration free energies of a few molecules: real MD, real MBAR, through the whole machine.
demo: $(VENV)/.installed
	$(BIN)/python $(DEMO)/build_network.py --small --out $(DEMO)/demo-network.json
	$(BIN)/xpm-alchem run --quiet $(DEMO)/demo.yaml
	$(BIN)/xpm-alchem results $(DEMO)/demo.yaml

# The tests on a real SLURM wait more than they work: more of them run at once.
test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not slurm' $(ARGS)
	$(BIN)/python -m pytest -n $(SLURM_JOBS) --dist worksteal -m slurm $(ARGS)

# What to run after every change: two minutes on two cores.
check: lint
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m 'not slow' $(ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

bench: $(VENV)/.installed
	for program in bench/[a-z]*.py; do echo "== $$program"; $(BIN)/python $$program --quick; done

clean:
	rm -rf $(VENV) $(DEMO)/workspace $(DEMO)/demo-network.json build *.egg-info .mypy_cache .ruff_cache .pytest_cache
