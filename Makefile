# Every target sets itself up: a fresh clone needs Python 3.11 and pip, nothing else.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-all browser postgres check bench docs table table-check

help:
	@echo "make demo      train on real images, export, run without torch; prints where the pictures are"
	@echo "make test      the tests, without the long ones"
	@echo "make test-all  the long ones too"
	@echo "make browser   what the tests in a browser need; test-all does this too"
	@echo "make postgres  a server that tests of the checkpoints' index start; test-all does this too"
	@echo "make check     lint, format, types, doctests, tests: as CI does"
	@echo "make bench     measurements against peers"
	@echo "make docs      writes the gallery again, after parts or their docstrings changed"
	@echo "make table     brings docs/support up to date: every part on every device that is here"
	@echo "make table-check  fails if a row of docs/support is missing, stale, or has become worse"

# An existing folder is kept, and only brought up to date.
$(READY): pyproject.toml constraints.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[all]"
	touch $(READY)

demo: $(READY)
	$(RUN) -m tools.demo

test: $(READY)
	$(RUN) -m pytest -n 2 -m "not long"

test-all: $(READY) browser postgres
	$(RUN) -m pytest -n 2

# Not in $(READY): `make test` needs no browser. Where none can be installed, the tests skip and say so.
browser: $(READY)
	@$(RUN) -c "import playwright" 2> /dev/null \
		|| $(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[browser]" \
		|| echo "make browser: playwright can't be installed; the tests in a browser will be skipped"
	@for name in chromium chromium-browser google-chrome; do command -v $$name > /dev/null && exit 0; done; \
	sudo=$$(test "$$(id -u)" = 0 || echo "sudo -n"); \
	{ command -v apt-get > /dev/null && $$sudo apt-get update -qq \
		&& $$sudo apt-get install -y -qq --no-install-recommends chromium; } \
		|| echo "make browser: no Chromium, and none can be installed; the tests in a browser will be skipped"

# As for the browser: a server for the index of checkpoints, which the tests start themselves.
postgres: $(READY)
	@ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 && exit 0; \
	sudo=$$(test "$$(id -u)" = 0 || echo "sudo -n"); \
	{ command -v apt-get > /dev/null && $$sudo apt-get update -qq \
		&& $$sudo apt-get install -y -qq --no-install-recommends postgresql; } \
		|| echo "make postgres: no PostgreSQL, and none can be installed; its tests will be skipped"

check: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest --doctest-modules mcore models tools
	$(RUN) -m pytest -n 2 -m "not long"

bench: $(READY)
	$(RUN) -m benchmarks

docs: $(READY)
	$(RUN) -m tools.cli gallery

# Artifacts of all parts are some 30 GB; each goes when its row is done.
table: $(READY)
	$(RUN) -m tools.cli table --out docs/support --keep none

table-check: $(READY)
	$(RUN) -m tools.cli table --check --out docs/support
