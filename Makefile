# Each target makes what it needs: a fresh clone needs Python 3.11, make and a package index.

.DEFAULT_GOAL := help
.PHONY: help run test fuzz e2e check bench clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest

# The first of these that is 3.11 or newer.
PYTHONS := python3.11 python3.12 python3.13 python3.14 python3 python

help: ## what there is
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(STAMP) ## everything on this machine, with a real Kafka and simulated calls; Ctrl-C ends it
	@$(BIN)/callstream up

test: $(STAMP) ## unit tests, then the quick ones on a real Kafka
	@$(PYTEST) -q -n auto -m "not e2e and not broker"
	@$(PYTEST) -q -m "broker and not e2e"

fuzz: $(STAMP) ## the properties, with fresh seeds and ten times the examples (long)
	@$(PYTEST) -q -n auto -m "hypothesis and not e2e and not broker" --hypothesis-profile fuzz --timeout 3600

e2e: $(STAMP) ## every fault run: kill -9, hand-over, frozen worker, lost broker, three nodes (long)
	@$(PYTEST) -q -m e2e --timeout 1800

check: $(STAMP) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(STAMP) ## what an event costs, beside plain Faust and a bare loop (long)
	@$(BIN)/python -m tests.bench

clean: ## the environment, caches and everything callstream kept here
	rm -rf $(VENV) .callstream build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@python=; for candidate in $(PYTHONS); do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	test -n "$$python" || { echo "callstream needs Python 3.11 or newer; none of $(PYTHONS) is." >&2; exit 1; }; \
	test -x $(BIN)/python || { echo "Making $(VENV) with $$($$python --version) ..."; $$python -m venv $(VENV); }
	@echo "Installing what callstream needs (about a minute the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[broker,rocksdb,dev]' --constraint constraints.txt
	@touch $@
