"""One training run from its first line to its last: what pre-training and extending the window have in common.

A recipe says which sequences the run reads and which weights it begins with; what is around them is here: the lock on
the folder, resuming, the plan and its comparison, the watch, the artifacts and the record.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import Dataset

from ..modeling_nec13b import Nec13bForCausalLM
from ..run_record import RunRecord, alone_in
from .callbacks import read_metrics
from .checkpoints import checkpoint_to_resume, is_finished
from .config import PretrainConfig
from .figures import draw_loss_curve, held_out_curves
from .gpus import memory_bytes, peak_memory_bytes
from .kernels import apply_kernels, choose_attention
from .messages import say_what_came_out, say_what_will_run
from .plan import plan_of_run
from .plan_page import Measured, compare_with_plan, out_of_memory, short_plan
from .preparation import (
    Prepared,
    claim_output_dir,
    continue_sample_prompts,
    load_initial_model,
    number_of_parameters,
    prepare,
    use_cpu_threads,
)
from .samples import write_samples
from .sequences import SequenceCollator
from .trainer import PretrainTrainer, train_to_the_end


@dataclass(frozen=True)
class TrainingData:
    """What a run reads.

    Attributes:
        train: the training sequences in their order, with the names of their domains in `domains`.
        held_out: held-out sequences by domain.
        described: one line for each kind of text: what it is, how much there is and how often it is seen.
        decisive: what fixes the order beside the settings; a run that goes on must find it the same.
        epochs: how often the run goes through each kind of text.
    """

    train: Dataset
    held_out: dict[str, Dataset]
    described: list[str]
    decisive: dict
    epochs: dict[str, float]


@dataclass(frozen=True)
class Stage:
    """What tells one recipe from another.

    Attributes:
        name: the recipe's, for its record.
        data: (settings, what was prepared) to what the run reads.
        next_steps: the last lines that the run prints.
        check: (settings) raises InputError where they cannot work out; asked before anything is made.
        initial_model: (settings, what was prepared, whole) to the model to train; see `load_initial_model`.
    """

    name: str
    data: Callable[[PretrainConfig, Prepared], TrainingData]
    next_steps: str
    check: Callable[[PretrainConfig], object] = lambda config: None
    initial_model: Callable[..., Nec13bForCausalLM] = load_initial_model


def run_training(stage: Stage, config: PretrainConfig) -> None:
    """Trains, or goes on from the last whole checkpoint, and writes all that the recipe promises.

    Raises:
        InputError: something does not fit; nothing that was written before is lost.
        SystemExit: the run was interrupted (130).
    """
    with alone_in(Path(config.output_dir)) if config.process_index == 0 else contextlib.nullcontext():
        _run(stage, config)


def _run(stage: Stage, config: PretrainConfig) -> None:
    output, is_main = Path(config.output_dir), config.process_index == 0
    record = RunRecord(stage.name, config, config.seed)
    use_cpu_threads(config)
    attention = choose_attention(config)
    stage.check(config)
    with config.main_process_first(local=False):
        if is_main:
            claim_output_dir(output, config.overwrite_output_dir)
        prepared = prepare(config)
    shards, tokenizer = prepared.shards, prepared.tokenizer.tokenizer
    record.update("timings_seconds", preparation=record.elapsed())

    data = stage.data(config, prepared)
    held = memory_bytes(config.device)
    model = stage.initial_model(config, prepared)
    plan = plan_of_run(config, model.config)
    parameters = number_of_parameters(model)
    decisive = {
        "tokenizer": prepared.tokenizer.fingerprint,
        "tokens": shards.fingerprint,
        "model": config.model or f"random weights, {parameters:,} parameters",
        **data.decisive,
        **config.decisive_settings(),
    }
    checkpoint, passed_over = checkpoint_to_resume(output, config.resume_from_checkpoint, decisive)
    if is_finished(output, checkpoint, config.max_steps):
        if is_main:
            print(f"{output} holds this run, complete; --overwrite_output_dir runs it again")
            curves = held_out_curves(read_metrics(output))
            say_what_came_out(output, curves, model.config.vocab_size, stage.next_steps)
        return
    if is_main:
        print(*passed_over, sep="\n", end="\n" if passed_over else "")
        say_what_will_run(config, data.described, parameters, checkpoint)
        print(*short_plan(plan), sep="\n")
    before = []
    if is_main and config.sample_prompts:
        before = continue_sample_prompts(config, prepared, stage.initial_model)

    def trainer_of(model, say: bool) -> PretrainTrainer:
        lines = apply_kernels(model, config, config.layout.why_whole_logits())
        print(*lines if say else (), sep="\n", end="\n" if say else "", flush=True)
        return PretrainTrainer(
            model=model,
            args=config,
            decisive=decisive,
            domains=data.train.domains,
            tokens_per_second_at_best=plan.compute.tokens_per_second_at_best,
            train_dataset=data.train,
            eval_dataset=data.held_out or None,
            data_collator=SequenceCollator(attention),
            processing_class=tokenizer,
        )

    started = time.monotonic()
    try:
        trainer = train_to_the_end(
            trainer_of(model, say=is_main),
            checkpoint,
            find_checkpoint=lambda: checkpoint_to_resume(output, None, decisive)[0],
            begin_again=lambda: trainer_of(stage.initial_model(config, prepared), say=False),
        )
    except torch.OutOfMemoryError as error:
        raise out_of_memory(plan) from error
    step, seconds = trainer.state.global_step, time.monotonic() - started
    if step < config.max_steps:
        if is_main:
            print(f"stopped at step {step:,} of {config.max_steps:,}; the same command goes on from there")
        raise SystemExit(130)
    if not trainer.was_evaluated(step):
        trainer.evaluate()

    measured = Measured(peak_memory_bytes(config.device) - held, trainer.tokens_per_second())
    trainer.save_whole_model(output / "model")
    if not is_main:
        return
    history = trainer.state.log_history
    draw_loss_curve(output / "loss.png", history, config.tokens_per_batch, model.config.vocab_size)
    if config.sample_prompts:
        after = continue_sample_prompts(config, prepared.with_model(output / "model"))
        write_samples(output / "samples.md", config.sample_prompts, before, after)

    curves = held_out_curves(history)
    record.update(
        "inputs", tokenizer=prepared.tokenizer.fingerprint, tokens=shards.fingerprint, model=prepared.model_path
    )
    record.update("counts", parameters=parameters, steps=step, tokens=step * config.tokens_per_batch)
    record.update("counts", streams=shards.counts(), rejected=prepared.rejected, epochs=data.epochs)
    record.update("counts", left_out={str(number): why for number, why in trainer.left_out.steps.items()})
    record.update("timings_seconds", training=round(seconds, 2))
    record.update("metrics", held_out_loss={domain: curve[-1][1] for domain, curve in curves.items()})
    record.update("metrics", held_out_loss_at_start={domain: curve[0][1] for domain, curve in curves.items()})
    compared, figures = compare_with_plan(plan, measured)
    record.update("plan", **plan.to_dict(), **figures)
    record.update("machine", processes=config.world_size, device=str(config.device), resumed_from=checkpoint)
    record.write(output)
    print(*compared, sep="\n")
    say_what_came_out(output, curves, model.config.vocab_size, stage.next_steps)
