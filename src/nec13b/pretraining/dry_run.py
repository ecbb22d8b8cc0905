"""What packing and pre-training would do; extending the window shares most of it (long_context/dry_run.py)."""

import os
from pathlib import Path

import torch

from ..corpus.mixture import resolve_proportions
from ..dry_run import DryRun, DryRunInput, checkpoint_input, corpus_inputs, file_input, made_by, size_text
from ..tokenization import load_tokenizer
from .config import PackTokensConfig, PretrainConfig
from .gpus import gpu_of_this_process
from .model_shape import ModelShape
from .plan import make_plan, with_precision
from .plan_page import short_plan
from .token_shards import INDEX_NAME, SHARD_TOKENS, TokenShards

WEIGHT_BYTES = 4  # weights, and each of AdamW's two moments, are written in fp32


def packing_dry_run(config: PackTokensConfig) -> DryRun:
    """Of recipes/pack_tokens.py."""
    inputs = corpus_inputs("corpus", config.corpus, made_by("recipes/clean_corpus.py"))
    if config.tokenizer:
        inputs.append(checkpoint_input("tokenizer", config.tokenizer, made_by("recipes/train_tokenizer.py")))
        tokenizer = "encodes with the tokenizer given"
    else:
        tokenizer = f"trains a tokenizer of {config.vocab_size:,} tokens, since none is given"
    plan = (
        tokenizer,
        f"keeps {config.held_out_fraction:.2%} of the documents for evaluation",
        f"writes files of {SHARD_TOKENS:,} tokens, 2 bytes a token (4 for vocabularies above 65,536)",
    )
    return DryRun(tuple(inputs), plan, config.output_dir, "tokens/, rejected.jsonl, run.json")


def pretraining_dry_run(config: PretrainConfig) -> DryRun:
    """Of recipes/pretrain.py."""
    shape = ModelShape.of(config)
    inputs = [*text_inputs(config), *([checkpoint_input("model", config.model)] if config.model else [])]
    what = f"goes on from {config.model}" if config.model else f"begins with random weights of seed {config.seed}"
    plan = [what, *training_lines(config, shape, "pretrain"), *domain_lines(config)]
    return DryRun(tuple(inputs), tuple(plan), config.output_dir, files_of_training(config, shape))


def text_inputs(config: PretrainConfig) -> list[DryRunInput]:
    """Tokens and their tokenizer, or the corpus that they would be made of.

    Raises:
        InputError: both are there and do not belong together.
    """
    if not config.tokens:
        given = [checkpoint_input("tokenizer", config.tokenizer)] if config.tokenizer else []
        return [*given, *corpus_inputs("corpus", config.corpus, made_by("recipes/clean_corpus.py"))]
    return [
        checkpoint_input("tokenizer", config.tokenizer, made_by("recipes/train_tokenizer.py")),
        file_input("tokens", config.tokens, made_by("recipes/pack_tokens.py")),
    ]


def training_lines(config: PretrainConfig, shape: ModelShape, recipe: str) -> list[str]:
    """The size of model, batch and run; on GPUs the plan for them, elsewhere how to get one."""
    lines = [
        f"model: {shape.parameters:,} parameters, {shape.num_hidden_layers} layers of width {shape.hidden_size:,}; "
        f"vocabulary {shape.vocab_size:,} until a tokenizer says otherwise",
        f"batch: {config.tokens_per_batch:,} tokens = {config.sequence_length:,} x "
        f"{config.per_device_train_batch_size} x {config.gradient_accumulation_steps:,} passes x "
        f"{config.layout.data_parallel:,} processes",
        f"run: {config.max_steps:,} steps, {config.max_steps * config.tokens_per_batch:,} tokens; evaluated every "
        f"{config.eval_steps:g} steps, saved every {config.save_steps:g}",
    ]
    if config.device.type == "cpu":  # its own speed is measured before a run, which takes a while
        of = "" if recipe == "pretrain" else f" --of {recipe}"
        return [*lines, f"memory, days, price on GPUs: python recipes/plan.py{of} --config ... --machine ... --gpu ..."]
    layout = with_precision(config.layout, config)
    gpu = gpu_of_this_process(config.device, layout.processes_per_machine, torch.bfloat16)
    return [*lines, *short_plan(make_plan(config, layout, gpu, shape=shape))]


def domain_lines(config: PretrainConfig) -> list[str]:
    """How much text of each domain there is, and how often it is gone through, where the tokens are there.

    Raises:
        InputError: the tokens are damaged, or were made with another tokenizer.
    """
    if not config.tokens or not (Path(config.tokens) / INDEX_NAME).is_file():
        return []
    is_there = bool(config.tokenizer) and os.path.isdir(config.tokenizer)
    shards = TokenShards.open(config.tokens, load_tokenizer(config.tokenizer) if is_there else None)
    lines = []
    for domain, share in resolve_proportions(
        config.mixture or shards.proportions, list(shards.streams["train"])
    ).items():
        there, wanted = shards.streams["train"][domain].tokens, share * config.max_steps * config.tokens_per_batch
        lines.append(f"  {domain}: {share:.0%}, {there:,} tokens, {wanted / there:.2f} epochs")
    return lines


def files_of_training(config: PretrainConfig, shape: ModelShape) -> str:
    """How much a run writes."""
    checkpoint = 3 * WEIGHT_BYTES * shape.parameters
    kept = f"{config.save_total_limit} at most" if config.save_total_limit else "all of them"
    return (f"checkpoints of about {size_text(checkpoint)} each, {kept} kept; the model, "
            f"{size_text(WEIGHT_BYTES * shape.parameters)}")  # fmt: skip
