# galago: `make demo` shows what it does, `make test` checks it. Everything else is listed by `make help`.
SHELL := bash
PYTHON ?= python3
VENV := .venv
PARITY := .venv-parity
EVALUATE := .venv-evaluate
TRAIN := .venv-train
CLUSTER := .venv-cluster
PY := $(VENV)/bin/python
PIP := -m pip install --quiet --disable-pip-version-check
CHROMIUM ?= /usr/bin/chromium
FIREFOX ?= /usr/bin/firefox-esr
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
export CHROMIUM FIREFOX
TESTED := tests --ignore=tests/parity --ignore=tests/clients
# Of models so small a second thread is waited for longer than it works.
ONE := OMP_NUM_THREADS=1
TRAINED := tests/train/tune/test_finetune_example.py tests/train/tune/test_finetune_stops.py \
	tests/train/tune/test_finetune.py::test_transformers_says_the_same_of_a_merged_folder
# torch first and pinned, so that pip takes the one matching pair for both.
TORCH := torch==2.14.1 torchvision==0.29.1

.PHONY: help demo test slow parity parity-mlx watch-peers train-ci train-test train-kills evaluate evaluate-clip evaluate-ci cluster-test cluster-nodes cluster-kills api export-js load check docs page web built serve e2e web-e2e web-gpu web-firefox screenshots wheel bench bench-clip bench-field golden clean

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

$(VENV)/.serve: $(VENV)/.run
	@$(PY) $(PIP) -e '.[serve]'
	@touch $@

# Its scripts would fetch CUDA from elsewhere; what other systems need of it is 0.2 GB.
tests/export/js/node_modules/.package-lock.json: tests/export/js/package-lock.json
	@cd tests/export/js && npm ci --silent --no-audit --no-fund --ignore-scripts
	@cd tests/export/js/node_modules && rm -rf onnxruntime-node/bin/napi-v6/{darwin,win32} onnxruntime-web/dist/*.map

page/node_modules/.package-lock.json: page/package-lock.json
	@cd page && npm ci --silent --no-audit --no-fund

# The browser of the tests, with letters for its screenshots; an own one is named by CHROMIUM=…
/usr/bin/chromium:
	@echo "installing Chromium (once)"
	@$(SUDO) apt-get update -qq
	@$(SUDO) apt-get install -y -qq --no-install-recommends chromium fonts-inter fonts-noto-cjk > /dev/null

/usr/bin/firefox-esr:
	@echo "installing Firefox (once)"
	@$(SUDO) apt-get update -qq
	@$(SUDO) apt-get install -y -qq --no-install-recommends firefox-esr > /dev/null

$(PARITY)/.run: pyproject.toml
	@test -x $(PARITY)/bin/python || $(PYTHON) -m venv $(PARITY)
	@echo "installing torch, timm, transformers and peft into $(PARITY) (once, some minutes)"
	@$(PARITY)/bin/python $(PIP) $(TORCH)
	@$(PARITY)/bin/python $(PIP) -e '.[parity]'
	@touch $@

# mlx-vlm with MLX for the CPU, about 0.7 GB more.
$(PARITY)/.mlx: $(PARITY)/.run
	@$(PARITY)/bin/python $(PIP) -e '.[mlx-test]'
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
	@$(PY) -m pytest -n auto --dist worksteal -m 'not slow' $(TESTED)

slow: $(VENV)/.dev ## the tests that start galago as processes of its own, and take longer for it
	@$(PY) -m pytest -n auto --dist worksteal -m slow $(TESTED)

$(TRAIN)/.run: pyproject.toml
	@test -x $(TRAIN)/bin/python || $(PYTHON) -m venv $(TRAIN)
	@echo "installing torch, transformers and peft into $(TRAIN) (once, some minutes)"
	@$(TRAIN)/bin/python $(PIP) $(TORCH)
	@$(TRAIN)/bin/python $(PIP) -e '.[finetune,train-clip]' 'pytest>=8'
	@touch $@

evaluate-clip: $(EVALUATE)/.run ## a stand-in of every benchmark of MobileCLIP beside clip_benchmark itself
	@$(EVALUATE)/bin/python -m pytest tests/evaluate/clip tests/cli/test_evaluate_clip.py

train-test: $(TRAIN)/.run ## trainings of seconds: every layout, transformers beside, two processes, stops
	@$(ONE) $(TRAIN)/bin/python -m pytest tests/rows tests/train/tune tests/train/clip tests/cli/test_train_clip.py

train-kills: $(TRAIN)/.run ## twenty kills at random moments: it continues, and ends with the same losses
	@GALAGO_KILLS=20 $(ONE) $(TRAIN)/bin/python -m pytest tests/train/tune/test_finetune_stops.py

train-ci: $(PARITY)/.run ## the quickest of them, in parity's environment: the worked example, a LoRA, a kill
	@GALAGO_KILLS=1 $(ONE) $(PARITY)/bin/python -m pytest $(TRAINED)

$(CLUSTER)/.run: pyproject.toml
	@test -x $(CLUSTER)/bin/python || $(PYTHON) -m venv $(CLUSTER)
	@echo "installing ray and pylance into $(CLUSTER) (once, 1.3 GB)"
	@$(CLUSTER)/bin/python $(PIP) -e '.[cluster-test]'
	@touch $@

cluster-test: $(CLUSTER)/.run ## `galago embed` with Ray and Lance, buckets of this machine (`galago reinforce` too), a few kills
	@$(CLUSTER)/bin/python -m pytest tests/scale tests/cli/test_embed.py tests/train/clip/test_shelf.py \
		tests/train/clip/test_ray_work.py

cluster-nodes: $(CLUSTER)/.run ## two nodes in network namespaces, one killed, one cut off, one of another galago (root)
	@GALAGO_NODES=1 $(CLUSTER)/bin/python -m pytest -s tests/scale/test_ray_crew_nodes.py

# GALAGO_MINUTES stops it after so many; with the same GALAGO_FOLDER it goes on where it was.
cluster-kills: $(CLUSTER)/.run ## 50,000 pictures, 20 workers and 5 drivers killed: a row each, none twice
	@GALAGO_PICTURES=$${GALAGO_PICTURES:-50000} GALAGO_KILLS=$${GALAGO_KILLS:-20} \
	GALAGO_DRIVER_KILLS=$${GALAGO_DRIVER_KILLS:-5} $(CLUSTER)/bin/python -m pytest -s tests/scale/test_ray_crew_kills.py

parity-mlx: $(PARITY)/.mlx ## the same of folders for MLX, by mlx-vlm on this processor
	@$(PARITY)/bin/python -m pytest tests/parity/test_mlx.py

parity: $(PARITY)/.run ## agreement with transformers, timm and torch, in a second environment
	@$(PARITY)/bin/python -m pytest tests/parity

watch-peers: $(PARITY)/.run ## that the bench's peers ask nobody, by strace (two minutes)
	@GALAGO_WATCH=1 $(PARITY)/bin/python -m pytest tests/parity/test_export.py -k socket

# lmms-eval in an environment of its own: 7 GB, and some versions that `dev` can't have.
$(EVALUATE)/.run: pyproject.toml
	@test -x $(EVALUATE)/bin/python || $(PYTHON) -m venv $(EVALUATE)
	@echo "installing lmms-eval into $(EVALUATE) (once, some minutes)"
	@$(EVALUATE)/bin/python $(PIP) $(TORCH)
	@$(EVALUATE)/bin/python $(PIP) -e '.[evaluate,serve]' 'hypothesis>=6.100' 'pytest>=8'
	@touch $@

evaluate: $(EVALUATE)/.run ## the papers' benchmarks by lmms-eval, on a dozen questions of each
	@$(EVALUATE)/bin/python -m pytest tests/evaluate/vlm

evaluate-ci: ## one of them, where `make evaluate` has made its environment
	@if [ -e $(EVALUATE)/.run ]; then GALAGO_BENCHMARKS=chartqa $(EVALUATE)/bin/python -m pytest tests/evaluate/vlm; \
	else echo "no $(EVALUATE): make evaluate makes it"; fi

api: $(VENV)/.api ## the server beside other people's clients: llm, mcp, schemathesis
	@$(PY) -m pytest tests/clients

export-js: $(VENV)/.dev tests/export/js/node_modules/.package-lock.json ## exported models in transformers.js: the same words (needs Node)
	@$(PY) -m tests.export.js.check $(ARGS)

load: $(VENV)/.dev ## load and faults of the server, measured (about 15 minutes)
	@$(PY) -m tests.load $(ARGS)

check: $(VENV)/.dev ## lint, strict types, the rules of the house, generated docs up to date
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(PY) tools/docs.py --check
	@$(PY) -m pytest tests/test_house.py tests/test_page.py

docs: $(VENV)/.dev ## write the generated parts of the docs again
	@$(PY) tools/docs.py

page: page/node_modules/.package-lock.json ## build the page, with and without a server (needs Node; galago does not)
	@cd page && npm run --silent build && npm run --silent web

web: $(VENV)/.dev page/node_modules/.package-lock.json ## build/web: the page without a server, models inside
	@cd page && npm run --silent web
	@rm -rf build/web
	@$(VENV)/bin/galago export fastvlm-nano build/web --to web $(ARGS)

# By what is in the files: after a checkout their times say nothing, and nobody is to need Node.
built:
	@$(PYTHON) tools/page.py || $(MAKE) --no-print-directory page

serve: $(VENV)/.serve built ## the server and its page at http://127.0.0.1:8000
	@$(VENV)/bin/galago serve $(ARGS)

e2e: $(VENV)/.serve page $(CHROMIUM) ## the page in a real browser, with a fake camera
	@cd page && npm run --silent check && PYTHON=$(CURDIR)/$(PY) npx playwright test --project=e2e $(ARGS)

web-e2e: $(VENV)/.dev page $(CHROMIUM) ## the page without a server in a real browser
	@cd page && npm run --silent check && PYTHON=$(CURDIR)/$(PY) npx playwright test --project=web $(ARGS)

web-gpu: $(VENV)/.dev page $(CHROMIUM) ## the page without a server by WebGPU, computed by a program: minutes
	@cd page && PYTHON=$(CURDIR)/$(PY) npx playwright test --project=web-gpu $(ARGS)

web-firefox: $(VENV)/.dev page $(FIREFOX) ## the page without a server in Firefox: minutes
	@cd page && PYTHON=$(CURDIR)/$(PY) npx playwright test --project=web-firefox $(ARGS)

screenshots: $(VENV)/.serve page $(CHROMIUM) ## write docs/screenshots again
	@cd page && PYTHON=$(CURDIR)/$(PY) npx playwright test --project=screenshots
	@$(PY) page/e2e/webp.py docs/screenshots

wheel: ## build what would be published, check it, install it in an empty environment, and run it in an empty folder
	@PYTHON=$(PYTHON) bash tests/wheel.sh

bench: $(PARITY)/.bench ## docs/performance.md and docs/benchmark-clip.md: speed and memory, beside peers (some hours)
	@$(PARITY)/bin/python -m galago bench --out docs $(ARGS)

bench-clip: $(PARITY)/.bench ## the second of them alone, in two rounds: towers, indexing, search (about 20 minutes)
	@$(PARITY)/bin/python -m galago bench clip --rounds 2 --out docs $(ARGS)

# Half an hour gives the first comparisons; it goes on where it was stopped.
bench-field: $(PARITY)/.bench ## docs/comparison.md: towers and decoders of the whole field, in two engines (some hours)
	@$(PARITY)/bin/python -m galago bench field --runs 3 --out docs $(ARGS)

golden: $(VENV)/.dev ## write tests/golden again from the embedded model
	@$(PY) tools/golden.py

clean: ## remove environments and build output
	rm -rf $(VENV) $(PARITY) $(EVALUATE) $(TRAIN) $(CLUSTER) build dist .pytest_cache .ruff_cache .mypy_cache page/node_modules
