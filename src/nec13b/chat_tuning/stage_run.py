"""A tuning from its first line to its last, whatever is learned from: data, model, training, samples and record.

What tells chat tuning from alignment stands in a `TuningStage`.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from datasets import disable_progress_bars
from transformers import PreTrainedModel

from ..dialogues.dialogue import Message
from ..errors import InputError
from ..pretraining.callbacks import read_metrics
from ..pretraining.checkpoints import checkpoint_to_resume
from ..pretraining.figures import draw_loss_curve, held_out_curves
from ..pretraining.kernels import choose_attention
from ..pretraining.preparation import PREPARED_NAME, claim_output_dir, number_of_parameters, use_cpu_threads
from ..run_record import RECORD_NAME, RunRecord, alone_in, write_json
from ..tokenization import TokenizerHandle
from .adapters import write_merged
from .answers import answers
from .base_model import BASE_NAME, adapters_base, load_base, load_chat_tokenizer, load_tuned
from .trl_trainer import SampleAnswers, TrlTrainer, tokens_seen
from .tuning_settings import TuningSettings

RUN_FILES = ("adapter", ".adapter.tmp", BASE_NAME, f".{BASE_NAME}.tmp", "samples.json")


class StageData(Protocol):
    """What a run learns from.

    Attributes:
        train: what is trained on.
        counts: what became of all that were read.
        fingerprint: of all of them, in any order.
    """

    train: list
    counts: dict[str, int]
    fingerprint: str

    def lines(self) -> list[str]:
        """What a person is told of it before the run begins."""


@dataclass(frozen=True)
class Start:
    """What a run begins with.

    Attributes:
        tokenizer: with the ChatML template, and where it came from.
        added: tokens that the vocabulary lacked.
        data: what is learned from.
        model: the base checkpoint: that of the settings, or `base` of the run where an adapter could not name it.
        attention: backend.
    """

    tokenizer: TokenizerHandle
    added: list[str]
    data: StageData
    model: str
    attention: str


@dataclass(frozen=True)
class TuningStage:
    """What tells one recipe from another.

    Attributes:
        name: the recipe's, for its record.
        entries: the setting that says where the data comes from, which is also what its rows are called.
        data: (settings, tokenizer) to what the run learns from; notes what it sets aside on the main process.
        trainer: (settings, start, model, decisive settings) to the trainer.
        rows: (settings, number of rows) to what is said of them.
        measure: (settings, start, trainer, a function that gives a model to generate with, record): what is measured
            at the end, on the main process; each line that it returns is printed.
        files: (name in the folder of the run, what it is) of what a person is told of beside what all runs write.
        run_files: what else a run writes, by name, to be removed with it.
        loss: what the loss is, with its unit.
    """

    name: str
    entries: str
    data: Callable[[Any, Any], StageData]
    trainer: Callable[..., TrlTrainer]
    rows: Callable[[Any, int], str]
    measure: Callable[..., list[str]]
    files: tuple[tuple[str, str], ...] = ()
    run_files: tuple[str, ...] = ()
    loss: str = "loss (nats per token)"


def run_stage(stage: TuningStage, config: TuningSettings) -> None:
    """Tunes, or goes on from the last whole checkpoint, and writes all that the recipe promises.

    Raises:
        InputError: something does not fit; nothing that was written before is lost.
        SystemExit: the run was interrupted (130).
    """
    with alone_in(Path(config.output_dir)) if config.process_index == 0 else contextlib.nullcontext():
        _run(stage, config)


def _run(stage: TuningStage, config: TuningSettings) -> None:
    output, is_main = Path(config.output_dir), config.process_index == 0
    record = RunRecord(stage.name, config, config.seed)
    use_cpu_threads(config)
    disable_progress_bars()
    attention = choose_attention(config)
    with config.main_process_first(local=False):
        if is_main:
            claim_output_dir(output, config.overwrite_output_dir, (*RUN_FILES, *stage.run_files))
            # Whose folder it is, whatever comes.
            write_json(output / PREPARED_NAME, {stage.entries: getattr(config, stage.entries)})
        handle, added = load_chat_tokenizer(config)
        data = stage.data(config, handle.tokenizer)
        start = Start(handle, added, data, adapters_base(config, handle.tokenizer, added), attention)
    decisive = {
        "model": config.model,
        "tokenizer": handle.fingerprint,
        stage.entries: data.fingerprint,
        **config.decisive_settings(),
    }
    checkpoint, passed_over = checkpoint_to_resume(output, config.resume_from_checkpoint, decisive)
    if checkpoint and (output / RECORD_NAME).is_file():
        if is_main:
            print(f"{output} holds this run, complete; --overwrite_output_dir runs it again")
            say_what_came_out(stage, config, held_out_curves(read_metrics(output)))
        return
    if is_main:
        print(*passed_over, sep="\n", end="\n" if passed_over else "")

    model = load_base(config, start.model, handle.tokenizer, added, attention, to_train=True)
    trainer = stage.trainer(config, start, model, decisive)
    questions = [[Message(role="user", content=question)] for question in config.sample_questions]
    samples = SampleAnswers(output / "samples.md", questions, trainer, config.sample_tokens)
    trainer.add_callback(samples)
    if is_main:
        say_what_will_run(stage, config, trainer, start, checkpoint)

    started = time.monotonic()
    config.eval_on_start = config.eval_on_start and checkpoint is None
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise out_of_memory(config) from error
    step, seconds = trainer.state.global_step, time.monotonic() - started
    if step < trainer.state.max_steps:
        if is_main:
            print(f"stopped at step {step:,} of {trainer.state.max_steps:,}; the same command goes on from there")
        raise SystemExit(130)
    if trainer.eval_dataset and not any(
        name.startswith("eval_") for row in trainer.state.log_history if row["step"] == step for name in row
    ):
        trainer.evaluate()
    trainer.save_whole_model(output / ("model" if config.adapter == "none" else "adapter"))
    if is_main:
        record.update("machine", resumed_from=str(checkpoint) if checkpoint else None)
        finish(stage, config, start, trainer, samples, record, seconds)


def finish(
    stage: TuningStage, config: TuningSettings, start: Start, trainer: TrlTrainer, samples: SampleAnswers,
    record: RunRecord, seconds: float,
) -> None:  # fmt: skip
    """Everything after the last step, on the main process: merging, picture, samples, record."""
    output, tokenizer = Path(config.output_dir), start.tokenizer.tokenizer
    step, history = trainer.state.global_step, trainer.state.log_history
    if config.merge_adapter:
        base = load_base(config, start.model, tokenizer, start.added, "sdpa")
        write_merged(base, output / "adapter", output / "model", tokenizer)
    draw_loss_curve(output / "loss.png", history, unit=stage.loss)
    counts = {"parameters": number_of_parameters(trainer.model), "steps": step, stage.entries: len(start.data.train)}
    counts["trained_parameters"] = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    fingerprints = {"tokenizer": start.tokenizer.fingerprint, stage.entries: start.data.fingerprint}
    record.update("inputs", model=config.model, **fingerprints)
    record.update("counts", **counts, **start.data.counts, tokens=tokens_seen(history))
    record.update("timings_seconds", training=round(seconds, 2))
    curves = held_out_curves(history)
    record.update("metrics", held_out_loss={source: curve[-1][1] for source, curve in curves.items()})
    record.update("metrics", held_out_loss_at_start={source: curve[0][1] for source, curve in curves.items()})

    loaded: list[PreTrainedModel] = []

    def generating() -> PreTrainedModel:
        """A model that generates: the trainer's, or where its weights are sharded, the one that was written."""
        if config.layout.strategy in ("single", "ddp"):
            return trainer.model
        if not loaded:
            loaded.append(load_tuned(config, start.model, tokenizer, start.added))
        return loaded[0]

    if config.sample_questions and step not in samples.by_step:
        found = answers(generating(), tokenizer, samples.prompts, config.sample_tokens, config.seed)
        samples.add(step, [answer.text for answer in found])
    print(*(lines := stage.measure(config, start, trainer, generating, record)), sep="\n", end="\n" if lines else "")
    record.update("machine", processes=config.world_size, device=str(config.device))
    record.write(output)
    say_what_came_out(stage, config, curves)


def out_of_memory(config: TuningSettings) -> InputError:
    """What to set where the device's memory is full: first what leaves the result as it is."""
    same, other = [], [f"max_length below {config.max_length:,}"]
    if config.per_device_train_batch_size > 1:
        same.append("--per_device_train_batch_size 1")
    if not config.activation_checkpointing:
        same.append("--activation_checkpointing true")
    if config.layout.strategy in ("single", "ddp"):
        same.append("more processes under accelerate_configs/fsdp_1x8.yaml")
    if config.adapter == "none":
        other.insert(0, "--adapter lora")
    kept = f"leaving the result as it is: {', '.join(same)}; " if same else ""
    return InputError(
        f"the memory of {config.device} is full. What to set, {kept}as another run: {', '.join(other)}. "
        "The checkpoints are whole"
    )


def say_what_will_run(
    stage: TuningStage, config: TuningSettings, trainer: TrlTrainer, start: Start, checkpoint: Path | None
) -> None:
    """The run's size, its data and where it goes on from."""
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    rows = len(trainer.train_dataset)
    parameters = number_of_parameters(trainer.model)
    print(f"model: {parameters:,} parameters, {trained:,} of them trained; attention: {start.attention}")
    print(f"{stage.rows(config, rows)}; {config.rows_per_batch} rows a step = {config.per_device_train_batch_size} x "
          f"{config.gradient_accumulation_steps} passes x {config.world_size} processes; "
          f"{config.steps(rows):,} steps")  # fmt: skip
    print(*start.data.lines(), sep="\n")
    if checkpoint:
        print(f"going on from {checkpoint}")


def say_what_came_out(stage: TuningStage, config: TuningSettings, curves: dict[str, list[tuple[int, float]]]) -> None:
    """The held-out losses at start and end, what lies where, and what to do next."""
    output = Path(config.output_dir)
    for source, curve in sorted(curves.items()):
        print(
            f"held-out {source}: {curve[0][1]:.3f} -> {curve[-1][1]:.3f} "
            f"({abs(1 - curve[-1][1] / curve[0][1]):.0%} {'lower' if curve[-1][1] <= curve[0][1] else 'higher'})"
        )
    chat = output / ("model" if (output / "model").is_dir() else "adapter")
    print()
    for name, what in (
        ("model", "the model, for AutoModelForCausalLM.from_pretrained"),
        ("adapter", "the adapter, for peft's AutoPeftModelForCausalLM.from_pretrained"),
        (BASE_NAME, "the model that the adapter belongs to"),
        ("samples.md", "what it answered as it was tuned"),
        ("loss.png", "the loss curve"),
        *stage.files,
        ("run.json", "what was run, on what, with what result"),
    ):
        if (output / name).exists():
            print(f"{output / name!s:<32} {what}")
    print(f"\nNext: python -m nec13b.chat {chat}")
