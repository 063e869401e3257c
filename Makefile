# The two commands of the README: `make fit` and `make test`. Both make .venv first, with the exact versions of
# requirements.lock.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: fit test lint clean

fit: $(VENV)/installed
	$(PY) main.py fit
	$(PY) main.py test

test: $(VENV)/installed
	$(PY) -m pytest

lint: $(VENV)/installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("litspike needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --requirement requirements.lock
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV)
