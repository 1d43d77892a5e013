# `make demo` and `make test` need Python >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
WHEEL = $(VENV)-wheel
DEMO = experiments/hydration
JOBS ?= 6

# a test starts hundreds of Python processes: they read bytecode, also where the environment wants none to be written
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check units test lint wheel bench clean

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

# Everything. Tests with drivers, tasks and clusters wait more than they work: more of them run at once than cores.
test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

# What to run after every change: two minutes on two cores.
check: lint units

units: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m 'not slow' $(ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

# A wheel, installed where there is no repository: the commands are there, and the report has its templates. After `make demo`.
wheel: $(VENV)/.installed
	rm -rf build dist $(WHEEL)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv $(WHEEL)
	$(WHEEL)/bin/python -m pip install --quiet "$$(echo dist/*.whl)[pypi]"
	mkdir $(WHEEL)/elsewhere
	cd $(WHEEL)/elsewhere && ../bin/xpm-alchem --help
	cd $(WHEEL)/elsewhere && ../bin/xpm-alchem init $(CURDIR)/$(DEMO)/demo-network.json
	cd $(WHEEL)/elsewhere && ../bin/xpm-alchem report $(CURDIR)/$(DEMO)/demo.yaml --out report.html

bench: $(VENV)/.installed
	for program in bench/[a-z]*.py; do echo "== $$program"; $(BIN)/python $$program --quick; done

clean:
	rm -rf $(VENV)* dist $(DEMO)/workspace $(DEMO)/demo-network.json build *.egg-info .mypy_cache .ruff_cache .pytest_cache
