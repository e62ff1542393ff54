# galago: `make demo` shows what it does, `make test` checks it. Everything else is listed by `make help`.
SHELL := bash
PYTHON ?= python3
VENV := .venv
PARITY := .venv-parity
PY := $(VENV)/bin/python
PIP := -m pip install --quiet --disable-pip-version-check
# torch first and pinned, so that pip takes the one matching pair for both.
TORCH := torch==2.14.1 torchvision==0.29.1

.PHONY: help demo test parity api load check docs wheel bench bench-clip golden clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/'

$(VENV)/.run: pyproject.toml
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing galago into $(VENV) (once)"
	@$(PY) $(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@$(PY) $(PIP) -e '.[dev]'
	@touch $@

$(PARITY)/.run: pyproject.toml
	@test -x $(PARITY)/bin/python || $(PYTHON) -m venv $(PARITY)
	@echo "installing torch, timm and transformers into $(PARITY) (once, some minutes)"
	@$(PARITY)/bin/python $(PIP) $(TORCH)
	@$(PARITY)/bin/python $(PIP) -e '.[parity]'
	@touch $@

$(PARITY)/.bench: $(PARITY)/.run
	@$(PARITY)/bin/python $(PIP) -e '.[bench]'
	@touch $@

$(VENV)/.api: $(VENV)/.dev
	@$(PY) $(PIP) -e '.[api-test]'
	@touch $@

demo: $(VENV)/.run ## install galago and ask it about the four pictures in examples/
	@$(VENV)/bin/python tools/demo.py

test: $(VENV)/.dev ## the default tests: no torch, no network, no large weights
	@$(PY) -m pytest -n auto --dist worksteal tests --ignore=tests/parity --ignore=tests/clients

parity: $(PARITY)/.run ## agreement with transformers, timm and torch, in a second environment
	@$(PARITY)/bin/python -m pytest tests/parity

api: $(VENV)/.api ## the server beside other people's clients: llm, mcp, schemathesis
	@$(PY) -m pytest tests/clients

load: $(VENV)/.dev ## load and faults of the server, measured (about 6 minutes)
	@$(PY) -m tests.load $(ARGS)

check: $(VENV)/.dev ## lint, strict types, the rules of the house, generated docs up to date
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(PY) tools/docs.py --check
	@$(PY) -m pytest tests/test_house.py

docs: $(VENV)/.dev ## write the generated parts of the docs again
	@$(PY) tools/docs.py

wheel: $(VENV)/.dev ## build the wheel, install it in an empty environment, and run it in an empty folder
	@PYTHON=$(PYTHON) bash tests/wheel.sh

bench: $(PARITY)/.run ## the benchmark table, against peers, in one run
	@$(PARITY)/bin/python -m benchmarks

bench-clip: $(PARITY)/.bench ## the same for MobileCLIP2: towers, indexing, search (about 20 minutes)
	@$(PARITY)/bin/python -m benchmarks.clip $(ARGS)

golden: $(VENV)/.dev ## write tests/golden again from the embedded model
	@$(PY) tools/golden.py

clean: ## remove environments and build output
	rm -rf $(VENV) $(PARITY) build dist .pytest_cache .ruff_cache .mypy_cache
