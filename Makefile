# The commands of the README: `make fit`, `make test`, and `make check`, which is what one runs before each commit: lint,
# types, and two cases of each test that runs no whole command. `make test` leaves out those marked slow, which
# `make test-slow` runs, and those marked thorough, which only `make test-all` runs; `make test-shuffled` runs what the
# first two do, in another order each time. All make .venv first, with the exact versions of requirements.lock; the tests add those of
# requirements-events.lock, -onnx, -nir, -sweep and -series where they can. One of the first has to be compiled from
# Python 3.12 on, so where there is no compiler the tests of event data are skipped; .ci/run insists on all.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: fit check test test-slow test-all test-shuffled extras events onnx nir sweep series lint versions pictures docs clean

fit: $(VENV)/installed
	$(PY) main.py fit
	$(PY) main.py test

PYTEST := $(PY) -m pytest -n auto --dist worksteal
SEED ?= $(shell date +%s)

check: lint
	$(PYTEST) -m 'not slow and not thorough and not integration' --cases 2 -q

test: extras
	$(PYTEST) -m 'not slow and not thorough'

test-slow: extras
	$(PYTEST) -m 'slow and not thorough'

test-all: extras
	$(PYTEST)

test-shuffled: extras
	$(PYTEST) -m 'not thorough' --random-order --random-order-seed $(SEED)

extras: $(VENV)/installed
	@$(MAKE) --no-print-directory events || echo 'requirements-events.lock: not installed, the tests of event data are skipped' >&2
	@$(MAKE) --no-print-directory onnx || echo 'requirements-onnx.lock: not installed, the tests of ONNX are skipped' >&2
	@$(MAKE) --no-print-directory nir || echo 'requirements-nir.lock: not installed, the tests of NIR are skipped' >&2
	@$(MAKE) --no-print-directory sweep || echo 'requirements-sweep.lock: not installed, the tests of sweeps are skipped' >&2
	@$(MAKE) --no-print-directory series || echo 'requirements-series.lock: not installed, the tests of its series are skipped' >&2

events onnx nir sweep series: %: $(VENV)/installed-%

lint: $(VENV)/installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

versions: $(VENV)/installed
	$(PY) tools/try_versions.py
	$(PY) tools/try_versions.py --oldest

# The pictures of README and of docs/pictures.md, from the trained networks that come with litspike.
DRAWN := build/pictures
pictures: $(VENV)/installed
	rm -rf $(DRAWN)
	$(PY) main.py picture --ckpt_path zoo:delayed_xor --logs $(DRAWN) --pictures.format gif
	for name in default digits; do $(PY) main.py picture --ckpt_path zoo:$$name --logs $(DRAWN) || exit 1; done
	cd $(DRAWN)/zoo && cp delayed_xor/pictures/one-sample.gif default/pictures/decision-boundary.png \
	  digits/pictures/one-sample.png digits/pictures/membrane-potential.png digits/pictures/spikes-layer-3.png \
	  $(CURDIR)/docs/pictures

docs: $(VENV)/installed-docs
	$(PY) -m mkdocs build --strict

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("litspike needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --requirement requirements.lock
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/installed-events $(VENV)/installed-onnx $(VENV)/installed-nir $(VENV)/installed-sweep $(VENV)/installed-docs: $(VENV)/installed-%: $(VENV)/installed requirements-%.lock
	$(PY) -m pip install --quiet --requirement requirements.lock --requirement requirements-$*.lock
	touch $@

# Of aeon the files of time series alone are read: its dependencies would bring an older llvmlite.
$(VENV)/installed-series: $(VENV)/installed requirements-series.lock
	$(PY) -m pip install --quiet --no-deps --requirement requirements-series.lock
	touch $@

clean:
	rm -rf $(VENV)
