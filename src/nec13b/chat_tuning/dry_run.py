"""What recipes/chat_tune.py would do; alignment shares most of it (alignment/dry_run.py)."""

from pathlib import Path

from ..dry_run import DryRun, DryRunInput, checkpoint_input, corpus_inputs, is_hub_name, made_by, size_text
from ..long_context.extension import config_of_checkpoint
from ..pretraining.model_shape import ModelShape
from .base_model import folder_and_file
from .tuning_config import ChatTuneConfig
from .tuning_settings import TuningSettings

ROWS = 10_000  # of the example: how many rows there will be is known once the data is read
WEIGHT_BYTES = 4


def chat_tuning_dry_run(config: ChatTuneConfig) -> DryRun:
    """The model, the dialogues and the run."""
    inputs = model_inputs(config, "recipes/extend_context.py or pretrain.py makes it")
    inputs += corpus_inputs("dialogues", config.dialogues, made_by("recipes/prepare_dialogues.py"))
    rows = f"packed rows of {config.max_length:,} tokens" if config.packing else "a dialogue a row"
    plan = [*tuning_lines(config, rows), "loss: on what the assistant wrote" if config.assistant_only_loss else
            "loss: on the whole dialogue"]  # fmt: skip
    return DryRun(tuple(inputs), tuple(plan), config.output_dir, tuning_files(config))


def model_inputs(config: TuningSettings, hint: str) -> list[DryRunInput]:
    """The model, and its tokenizer where that is another."""
    inputs = [checkpoint_input("model", config.model, hint)]
    return inputs + ([checkpoint_input("tokenizer", config.tokenizer)] if config.tokenizer else [])


def shape_of(model: str | None) -> ModelShape | None:
    """The shape of a checkpoint in a folder here; None where it is not here, or is a GGUF file."""
    _, file = folder_and_file(model or "")
    if not model or file or is_hub_name(model) or not (Path(model) / "config.json").is_file():
        return None
    return ModelShape.of(config_of_checkpoint(model))


def tuning_lines(config: TuningSettings, rows: str) -> list[str]:
    """Model, adapter, batch and length of a tuning.

    Args:
        config: the settings.
        rows: what a row is.
    """
    shape = shape_of(config.model)
    size = f"{shape.parameters:,} parameters" if shape else "its size is known once it is there"
    trained = "all weights are trained"
    if config.adapter != "none":
        trained = f"{config.adapter} of rank {config.lora_rank} on {config.lora_modules} is trained"
    length = f"{config.max_steps:,} steps" if config.max_steps > 0 else (
        f"{config.num_train_epochs:g} epochs; {ROWS:,} rows would be {config.steps(ROWS):,} steps"
    )  # fmt: skip
    return [
        f"model: {size}; {trained}",
        f"batch: {config.rows_per_batch} rows = {config.per_device_train_batch_size} x "
        f"{config.gradient_accumulation_steps:,} passes x {config.layout.data_parallel:,} processes; {rows}; "
        f"up to {config.tokens_per_batch:,} tokens",
        f"run: {length}; learning rate {config.learning_rate:g}; evaluated every {config.eval_steps or 0:g} steps, "
        f"saved every {config.save_steps:g}",
    ]


def tuning_files(config: TuningSettings) -> str:
    """What a run writes, and how much where the model's size is known."""
    shape = shape_of(config.model)
    whole = f", {size_text(WEIGHT_BYTES * shape.parameters)} in fp32" if shape else ""
    if config.adapter == "none":
        return f"model/{whole}; checkpoints of three times that, {config.save_total_limit} kept"
    return "adapter/" + (f", and its sum with the base in model/{whole}" if config.merge_adapter else "")
