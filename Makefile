# Gangmu. `make help` lists what there is.
PYTHON ?= python3.11
VENV ?= .venv
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
CONFIG ?= configs/base.yaml
MODEL ?= models/gangmu
DATA ?= data/test.jsonl
CORPUS ?= ../shared/corpus
REPORTS ?= data/samples
ARGS ?=
BIN = $(VENV)/bin
export REPORTS

.PHONY: help setup train label eval test check bench faults pretrain lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed  ## Make .venv and install the pinned dependencies

$(VENV)/.installed: requirements/lock.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements/lock.txt
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

train: setup  ## Fine-tune, evaluate, label the samples: make train CONFIG=configs/x.yaml ARGS="training.epochs=1"
	$(BIN)/python -m train.fit $(CONFIG) $(ARGS)

label: setup  ## Label reports: make label REPORTS="my reports/甲.txt" ARGS="--format html --output page.html"
	@if [ -e "$$REPORTS" ]; then $(BIN)/gangmu label "$$REPORTS" --model "$(MODEL)" $(ARGS); \
	else $(BIN)/gangmu label $(REPORTS) --model "$(MODEL)" $(ARGS); fi

eval: setup  ## Score a checkpoint on labelled reports, open the page of scores and errors: make eval DATA=mine.jsonl
	$(BIN)/python -m train.eval --model "$(MODEL)" --data "$(DATA)" --open $(ARGS)

test: setup  ## Run the tests (no network, under 4 minutes on 2 cores)
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

check: setup  ## Style, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow"

bench: setup  ## Measure speed: reading; each engine beside what people write first; growing numbers of reports
	$(BIN)/python -m train.benchmark text
	$(BIN)/python -m train.benchmark label --model "$(MODEL)"
	$(BIN)/python -m train.benchmark scale --model "$(MODEL)"

faults: setup  ## Kill labelling, fill its disk, tear its files, run it again: "N of N" (some minutes; Linux)
	unshare --user --map-root-user --mount $(BIN)/python -m tests.faults --model "$(MODEL)" $(ARGS)

pretrain: setup  ## Pre-train a base encoder: make pretrain CORPUS=dir ARGS="training.tokens=20000000"
	$(BIN)/python -m train.pretrain configs/pretrain/base.yaml corpus.path=$(CORPUS) $(ARGS)

lock: setup  ## Write requirements/lock.txt anew from what is installed in .venv
	$(BIN)/python -m pip freeze --all --exclude-editable | grep -vE '^(torch|pip)==' | \
	  $(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate --no-emit-index-url - -o requirements/lock.txt

clean:  ## Delete .venv and caches; runs/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache build *.egg-info
