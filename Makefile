# Each target installs what it needs. A fresh clone needs Python 3.11, make and a package index.

.DEFAULT_GOAL := help
.PHONY: help run test unit unit-again fuzz e2e check rules dashboards chart deploy-check bench docs picture dist image-test clean

VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
TESTS := $(VENV)/.tests
CHART := $(VENV)/.chart
QUIX := $(VENV)/quix/.installed
PYTEST := $(BIN)/python -m pytest
COMMA := ,

# No test of the ignored files is a unit test, and what they import takes seconds.
UNIT := -m "not (e2e or broker or browser or sdk)" --ignore-glob='*sdks.py' --ignore=tests/api/ui/browser

# Tests on a broker wait half of the time: three at once keep two processors busy.
BROKERS := 3

# What the newest interpreter does not repeat: these tests read files, ask other programs, or play many calls
# through parts that have tests of their own.
SAME_ON_EACH := tests/deploy tests/bench tests/simulator/check tests/api/compatible/test_same_rows.py \
  tests/api/compatible/test_fewer_sources.py tests/api/test_document.py tests/api/test_isolation.py \
  tests/contracts/test_asyncapi.py tests/service/test_error_texts.py tests/service/test_log_messages.py

# Of the interpreters of these names on the PATH, the first that is Python 3.11 or newer is used, or one that is
# a tenth faster: some are built without optimisation. Each has several turns: one of them may meet a busy machine.
PYTHONS := python3.11 python3.12 python3.13 python3.14 python3 python

# What a small loop takes in an interpreter that can make an environment, in microseconds.
define TIME_A_LOOP
import ensurepip, sys, time
def loop():
    began = time.process_time(); sum(number % 7 for number in range(50000)); return time.process_time() - began
sys.exit(1) if sys.version_info < (3, 11) else print(round(min(loop() for _ in range(9)) * 1e6))
endef
export TIME_A_LOOP

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUNS) ## everything on this machine, with a real Kafka and simulated calls; Ctrl-C stops it
	@$(BIN)/callstream up

# Tests start many processes. Without caches each would compile the program anew.
test unit unit-again fuzz e2e: export PYTHONDONTWRITEBYTECODE :=

test: unit ## unit tests, the page in a browser, then quick tests on three real Kafkas and with the providers' SDKs
	@$(PYTEST) -q tests/api/ui/browser
	@$(PYTEST) -q -n $(BROKERS) --dist worksteal -m "(broker or sdk) and not e2e"

unit: $(TESTS) ## unit tests only
	@$(PYTEST) -q -n auto --dist worksteal $(UNIT)

unit-again: $(TESTS) ## the unit tests that depend on the interpreter, as CI runs them on the newest
	@$(PYTEST) -q -n auto --dist worksteal $(UNIT) --ignore-glob='tests/test_*.py' $(addprefix --ignore=,$(SAME_ON_EACH))

fuzz: $(TESTS) ## property tests with fresh seeds and 25 times the examples (long)
	@$(PYTEST) -q -n auto -m "hypothesis and not (e2e or broker)" --hypothesis-profile fuzz --timeout 3600

e2e: $(TESTS) ## all fault runs: kill -9, hand-over, frozen worker, lost broker, three nodes (long)
	@$(PYTEST) -q -m e2e --timeout 1800

check: $(TESTS) ## ruff, mypy, and the tools that read what is in deploy/
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@deploy/check.sh

rules: $(TESTS) ## writes the alert rules, tests them, and tests their tests (some minutes)
	@$(BIN)/python deploy/prometheus/render.py
	@$(BIN)/python deploy/helm/write_chart.py
	@deploy/check.sh
	@$(BIN)/python -m tests.deploy.mutate_rules

dashboards: $(TESTS) ## writes Grafana's dashboards, and its alert rules from those of Prometheus
	@$(BIN)/python -m deploy.grafana.builders
	@$(BIN)/python deploy/helm/write_chart.py

chart: $(TESTS) ## copies rules, dashboards and the names of settings into the Helm chart
	@$(BIN)/python deploy/helm/write_chart.py

deploy-check: $(CHART) ## checks the Helm chart, the AsyncAPI document and the API with Node; gets the tools once, with Go and Node
	@deploy/helm/get-tools.sh
	@tests/contracts/get-parser.sh
	@tests/api/compatible/get-sdks.sh
	@REQUIRE_HELM=1 REQUIRE_ASYNCAPI=1 REQUIRE_NODE_SDKS=1 $(PYTEST) -q tests/deploy/helm \
	  tests/contracts/test_asyncapi.py tests/api/compatible/test_node_sdks.py

bench: $(TESTS) $(QUIX) ## what a delivery and a call cost, beside Quix Streams, plain Faust and a bare loop (long)
	@$(BIN)/python -m tests.bench

docs: $(RUNS) ## writes docs/settings.md, metrics.md and verdicts.md from the declarations
	@$(BIN)/python docs/scripts/settings_page.py
	@$(BIN)/python docs/scripts/metrics_page.py
	@$(BIN)/python docs/scripts/verdicts_page.py
	@$(BIN)/python deploy/helm/write_chart.py

picture: $(RUNS) ## draws docs/live-view.svg from a real run of 75 s
	@$(BIN)/python docs/scripts/live_view.py

# With the commit's time in it, the same commit gives the same wheel.
dist: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
dist: $(TESTS) ## the wheel and the source distribution, in dist/
	@rm -rf dist && $(BIN)/python -m build --no-isolation . >$(VENV)/dist.log 2>&1 || { cat $(VENV)/dist.log; exit 1; }
	@ls dist/*

image-test: $(TESTS) ## builds and runs the container image, as root on Debian (four minutes)
	@$(BIN)/python deploy/image_test.py

clean: ## removes the environment, caches and callstream's data
	rm -rf $(VENV) .venv-newest .callstream build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call install,EXTRAS,OPTIONS): says what pip brings, while it does.
define install
	@{ $(BIN)/python -m pip install $(2) --disable-pip-version-check --progress-bar off \
	  --editable '.[$(1)]' --constraint constraints.txt || echo "pip failed with exit code $$?."; } | \
	  awk '/^ *(Downloading|Using cached) / { sub(/-(py|cp)[^ ]*whl/, "", $$2); sub(/-(py|cp)[^ ]*whl/, "", $$3); print "  " $$0 } \
	    /^(Installing collected|pip failed)/ { sub(/:.*/, " ..."); print "  " $$0 } \
	    /^pip failed/ { failed = 1 } { fflush() } END { exit failed }'
	@touch $@
endef

$(BIN)/python:
	@candidates=$$(for name in $(PYTHONS); do \
	  case $$name in */*) echo "$$name" ;; *) echo "$$PATH" | tr : '\n' | sed "s|$$|/$$name|" ;; esac; \
	done); \
	python=$$(for round in 1 2 3; do echo "$$candidates" | while read -r candidate; do \
	  test -x "$$candidate" && took_us=$$("$$candidate" -c "$$TIME_A_LOOP" 2>/dev/null) && echo "$$took_us $$candidate"; \
	done; done | awk '{ us = $$1; sub(/^[^ ]* /, "") } !($$0 in least) { names[++count] = $$0; least[$$0] = us } us < least[$$0] { least[$$0] = us } \
	  END { for (n = 1; n <= count; n++) if (!best || least[names[n]] < 0.9 * best) { best = least[names[n]]; python = names[n] } print python }'); \
	test -n "$$python" || { echo "callstream needs Python 3.11 or newer with venv; none was found among: $(PYTHONS)." >&2; exit 1; }; \
	echo "Creating $(VENV) with $$("$$python" --version), $$python ..."; "$$python" -m venv $(VENV)

$(RUNS): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing callstream and what it needs to run (about half a minute the first time) ..."
	$(call install,broker$(COMMA)rocksdb)

# Most of the providers' SDKs is never imported: what is, Python compiles then.
$(TESTS): $(RUNS)
	@echo "Installing what tests and checks need (about half a minute the first time) ..."
	$(call install,broker$(COMMA)rocksdb$(COMMA)dev,--no-compile)

# The constraints are for the packages of the other environment.
$(QUIX): $(RUNS)
	@echo "Installing Quix Streams, which is measured beside callstream ..."
	@$(BIN)/python -m venv $(VENV)/quix
	@$(VENV)/quix/bin/python -m pip install --disable-pip-version-check --quiet --editable '.[quix]'
	@touch $@

$(CHART): $(TESTS)
	@echo "Installing the schemas of Kubernetes ..."
	$(call install,broker$(COMMA)rocksdb$(COMMA)dev$(COMMA)chart)
