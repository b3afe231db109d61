# Each target installs what it needs. A fresh clone needs Python 3.11, make and a package index.

.DEFAULT_GOAL := help
.PHONY: help run test fuzz e2e check bench docs picture clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest

# The first of these that is Python 3.11 or newer is used.
PYTHONS := python3.11 python3.12 python3.13 python3.14 python3 python

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(STAMP) ## everything on this machine, with a real Kafka and simulated calls; Ctrl-C stops it
	@$(BIN)/callstream up

test: $(STAMP) ## unit tests, then quick tests on a real Kafka
	@$(PYTEST) -q -n auto -m "not e2e and not broker"
	@$(PYTEST) -q -m "broker and not e2e"

fuzz: $(STAMP) ## property tests with fresh seeds and 25 times the examples (long)
	@$(PYTEST) -q -n auto -m "hypothesis and not e2e and not broker" --hypothesis-profile fuzz --timeout 3600

e2e: $(STAMP) ## all fault runs: kill -9, hand-over, frozen worker, lost broker, three nodes (long)
	@$(PYTEST) -q -m e2e --timeout 1800

check: $(STAMP) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(STAMP) ## throughput and latency, beside plain Faust and a bare loop (long)
	@$(BIN)/python -m tests.bench

docs: $(STAMP) ## writes docs/settings.md and docs/metrics.md from the declarations
	@$(BIN)/python docs/scripts/settings_page.py
	@$(BIN)/python docs/scripts/metrics_page.py

picture: $(STAMP) ## draws docs/live-view.svg from a real run of 75 s
	@$(BIN)/python docs/scripts/live_view.py

clean: ## removes the environment, caches and callstream's data
	rm -rf $(VENV) .callstream build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@python=; for candidate in $(PYTHONS); do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	test -n "$$python" || { echo "callstream needs Python 3.11 or newer; none was found among: $(PYTHONS)." >&2; exit 1; }; \
	test -x $(BIN)/python || { echo "Creating $(VENV) with $$($$python --version) ..."; $$python -m venv $(VENV); }
	@echo "Installing callstream and its dependencies (about a minute the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[broker,rocksdb,dev]' --constraint constraints.txt
	@touch $@
