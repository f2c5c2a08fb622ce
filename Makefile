# Decant. `make` alone lists what there is. Settings: docs/settings.md, e.g. `DECANT_DASHBOARD_PORT=8600 make run`.
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
endif
DECANT := .venv/bin/python -m app
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run demo stop status test check bench clean lock venv venv-dev

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: venv ## start everything in the foreground and print the address to open; Ctrl-C stops it
	@$(DECANT) up $(ARGS)

demo: venv ## the whole wine A/B test unattended: train two models, split 80/20, replay, rewards
	@$(DECANT) up --background
	@$(DECANT) demo $(ARGS)

stop: venv ## stop everything; state stays in .decant
	@$(DECANT) down

status: venv ## what is running, and which deployments there are
	@$(DECANT) status || true

test: venv-dev ## all tests; fetches what they need (ARGS=tests/unit for some of them)
	@scripts/test.sh $(ARGS)

check: venv-dev ## ruff, mypy (strict on services and app) and the arrows between the layers
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -m mypy
	@.venv/bin/python .venv/bin/lint-imports

bench: venv-dev ## measure speed and memory; see docs/performance.md
	@DECANT_PROMETHEUS_BIN="$${DECANT_PROMETHEUS_BIN:-$$(.venv/bin/python scripts/prometheus_path.py)}" \
		.venv/bin/python -m tests.benchmarks $(ARGS)

clean: ## remove .venv and caches; STATE=1 also removes .decant: deployments, models, history
	@scripts/clean.sh "$(STATE)"

lock: ## compile requirements.txt and requirements-dev.txt from the .in files (needs uv)
	@uv pip compile --quiet --python-version 3.11 --no-annotate requirements.in -o requirements.txt
	@uv pip compile --quiet --python-version 3.11 --no-annotate requirements-dev.in -o requirements-dev.txt

venv: ## make .venv hold what requirements.txt pins
	@command -v $(PYTHON) >/dev/null || { echo "Decant needs Python 3.11 or newer (Debian 12: apt install python3.11 python3.11-venv)." >&2; exit 1; }
	@$(PYTHON) scripts/venv.py

venv-dev:
	@command -v $(PYTHON) >/dev/null || { echo "Decant needs Python 3.11 or newer (Debian 12: apt install python3.11 python3.11-venv)." >&2; exit 1; }
	@$(PYTHON) scripts/venv.py --dev
