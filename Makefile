# Two commands do all: `make demo` and `make test`. Everything happens in .venv.
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo test coverage test-slow check format clean

help:  ## Say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

install: $(READY)  ## Create .venv and install the tested versions (about 5 GB with torch)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; try: make $(MAKECMDGOALS) PYTHON=python3" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade "pip>=25.1"
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

demo: $(READY)  ## Transfer to drawn cats and dogs, evaluate, predict: a few minutes, no network
	@rm -rf runs/demo
	$(VENV)/bin/catsdogs train --config configs/demo.yaml --run runs/demo
	$(VENV)/bin/catsdogs evaluate --checkpoint runs/demo --tta flip
	$(VENV)/bin/catsdogs draw --out runs/demo/unseen --per_class 50 --seed 1
	$(VENV)/bin/catsdogs predict --checkpoint runs/demo --input runs/demo/unseen --tta flip --output runs/demo/unseen.csv
	@echo
	@echo "What are the embedded weights worth? Twenty drawings a class, five draws of them, with and without:"
	$(VENV)/bin/catsdogs tune compare --config configs/few.yaml --count 5 --run runs/demo/few \
		--change "--model.weights none --model.backbone catsdogs_cnn --network.width 32"
	@echo
	@echo "Everything was drawn by catsdogs. Look at:"
	@echo "  runs/demo/report.html      all of it on one page (catsdogs report runs/demo draws the figures, too)"
	@echo "  runs/demo/evidence.png     why this strategy was chosen"
	@echo "  runs/demo/evaluation-test-flip/gallery.png   mistakes and doubts"
	@echo "  runs/demo/curves.png       how the training went"
	@echo "  runs/demo/evaluation.json  every figure with its 95 % interval"
	@echo "  runs/demo/unseen.csv       a row for each of 100 drawings the model had never seen"

test: $(READY)  ## Lint, types, layers and tests; with CATSDOGS_REAL=FOLDER also those on real photos
	@$(MAKE) --no-print-directory check
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not network and not gpu"

coverage: $(READY)  ## The same tests, and what of the code they reach
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered -m "not slow and not network and not gpu"

test-slow: $(READY)  ## The long tests too
	$(RUN) -m pytest -n 2 -m "slow and not network and not gpu"

check: $(READY)  ## Lint, types and import layers alone
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

format: $(READY)  ## Put the code in its usual form
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean:  ## Remove what was installed and cached, not the runs
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage*
