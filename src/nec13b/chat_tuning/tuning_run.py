"""One chat tuning from its first line to its last: data, model, training, adapter, merged model, samples and record."""

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import disable_progress_bars
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..dialogues.dialogue import Message
from ..dialogues.prepared_dialogues import prepared_dialogues
from ..dialogues.prepared_folder import REJECTED_NAME, DialogueRejections
from ..errors import InputError
from ..llama_conversion import load_as_nec13b
from ..pretraining.callbacks import read_metrics
from ..pretraining.checkpoints import checkpoint_to_resume
from ..pretraining.figures import draw_loss_curve, held_out_curves
from ..pretraining.kernels import choose_attention
from ..pretraining.preparation import PREPARED_NAME, claim_output_dir, number_of_parameters, use_cpu_threads
from ..run_record import RECORD_NAME, RunRecord, alone_in, write_json
from ..tokenization import TokenizerHandle, load_tokenizer
from .adapters import four_bits, lora_config, write_merged
from .answers import Answer, answers
from .chatml import make_embeddings, stop_at_end_of_turn, use_chatml
from .tuning_config import ChatTuneConfig
from .tuning_data import TuningData, as_data_set, tuning_data
from .tuning_trainer import ChatTrainer, SampleAnswers, tokens_seen

BASE_NAME = "base"
RUN_FILES = ("adapter", ".adapter.tmp", BASE_NAME, ".base.tmp", "samples.json")


@dataclass(frozen=True)
class Start:
    """What a run begins with.

    Attributes:
        tokenizer: with the ChatML template, and where it came from.
        added: tokens that the vocabulary lacked.
        data: the dialogues.
        model: the base checkpoint: that of the settings, or `base` of the run where an adapter could not name it.
    """

    tokenizer: TokenizerHandle
    added: list[str]
    data: TuningData
    model: str


def run_tuning(config: ChatTuneConfig) -> None:
    """Tunes, or goes on from the last whole checkpoint, and writes all that the recipe promises.

    Raises:
        InputError: something does not fit; nothing that was written before is lost.
        SystemExit: the run was interrupted (130).
    """
    with alone_in(Path(config.output_dir)) if config.process_index == 0 else contextlib.nullcontext():
        _run(config)


def _run(config: ChatTuneConfig) -> None:
    output, is_main = Path(config.output_dir), config.process_index == 0
    record = RunRecord("chat_tune", config, config.seed)
    use_cpu_threads(config)
    disable_progress_bars()
    attention = choose_attention(config)
    with config.main_process_first(local=False):
        if is_main:
            claim_output_dir(output, config.overwrite_output_dir, RUN_FILES)
            write_json(output / PREPARED_NAME, {"dialogues": config.dialogues})  # whose folder it is, whatever comes
        start = prepare(config, output)
    tokenizer, data = start.tokenizer.tokenizer, start.data
    decisive = {
        "model": config.model,
        "tokenizer": start.tokenizer.fingerprint,
        "dialogues": data.fingerprint,
        **config.decisive_settings(),
    }
    checkpoint, passed_over = checkpoint_to_resume(output, config.resume_from_checkpoint, decisive)
    if checkpoint and (output / RECORD_NAME).is_file():
        if is_main:
            print(f"{output} holds this run, complete; --overwrite_output_dir runs it again")
            say_what_came_out(config, held_out_curves(read_metrics(output)))
        return
    if is_main:
        print(*passed_over, sep="\n", end="\n" if passed_over else "")

    model = load_base(config, start.model, tokenizer, start.added, attention, to_train=True)
    added = tokenizer.convert_tokens_to_ids(start.added)
    trainer = ChatTrainer(
        model=model,
        args=config,
        decisive=decisive,
        train_dataset=as_data_set(data.train, tokenizer, config.assistant_only_loss),
        eval_dataset={s: as_data_set(d, tokenizer, config.assistant_only_loss) for s, d in data.held_out.items()},
        processing_class=tokenizer,
        peft_config=lora_config(config, added),
    )
    questions = [[Message(role="user", content=question)] for question in config.sample_questions]
    samples = SampleAnswers(output / "samples.md", questions, trainer, config.sample_tokens)
    trainer.add_callback(samples)
    if is_main:
        say_what_will_run(config, trainer, data, checkpoint, attention)

    started = time.monotonic()
    config.eval_on_start = config.eval_on_start and checkpoint is None
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    step, seconds = trainer.state.global_step, time.monotonic() - started
    if step < trainer.state.max_steps:
        if is_main:
            print(f"stopped at step {step:,} of {trainer.state.max_steps:,}; the same command goes on from there")
        raise SystemExit(130)
    if data.held_out and not any(
        name.startswith("eval_") for row in trainer.state.log_history if row["step"] == step for name in row
    ):
        trainer.evaluate()
    trainer.save_whole_model(output / ("model" if config.adapter == "none" else "adapter"))
    if not is_main:
        return
    finish(config, start, trainer, samples, record, seconds)


def prepare(config: ChatTuneConfig, output: Path) -> Start:
    """Tokenizer and dialogues.

    Raises:
        InputError: something that was given cannot be read or does not fit.
    """
    if not config.model:
        raise InputError("--model, the checkpoint to tune, is missing; recipes/pretrain.py makes one")
    folder, file = folder_and_file(config.model)
    if config.tokenizer or not file:
        handle = load_tokenizer(config.tokenizer or folder)
    else:
        handle = load_tokenizer(folder, gguf_file=file)
    added = use_chatml(handle.tokenizer, config.add_chat_tokens)
    rejections = DialogueRejections(output / REJECTED_NAME if config.process_index == 0 else None)
    split = prepared_dialogues(config, handle.tokenizer, rejections)
    data = tuning_data(split.train, split.held_out, handle.tokenizer, config.max_length, config.eval_dialogues)
    data.counts.update({f"set aside, {reason}": count for reason, count in split.rejected.items()})
    model = config.model
    if config.adapter != "none" and (file or added):
        # An adapter names its base by folder and finds its weights there as they were trained on.
        model = str(output / BASE_NAME)
        if config.process_index == 0 and not Path(model).is_dir():
            write_base(load_base(config, config.model, handle.tokenizer, added, "sdpa"), handle.tokenizer, Path(model))
    return Start(handle, added, data, model)


def write_base(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Writes the model that an adapter belongs to; the folder appears only when it is whole."""
    building = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    model.save_pretrained(building)
    tokenizer.save_pretrained(building)
    os.replace(building, folder)


def folder_and_file(model: str) -> tuple[str, str | None]:
    """Where a checkpoint lies: a folder or Hub name, and the file's name where it is a .gguf file."""
    path = Path(model)
    return (str(path.parent), path.name) if path.suffix == ".gguf" else (model, None)


def load_base(
    config: ChatTuneConfig, path: str, tokenizer: PreTrainedTokenizerBase, added: list[str], attention: str,
    to_train: bool = False,
) -> PreTrainedModel:  # fmt: skip
    """The model to tune, ready for the tokenizer.

    Args:
        config: the settings.
        path: where it lies.
        tokenizer: with the ChatML template.
        added: tokens that its vocabulary lacked.
        attention: backend.
        to_train: frozen weights may be held in fewer bits; else all are fp32.

    Raises:
        InputError: its window is shorter than a row, or its vocabulary smaller than the tokenizer's.
    """
    folder, file = folder_and_file(path)
    quantised = four_bits(config) if to_train else None
    # Frozen weights need no master copy in fp32; trained ones do.
    frozen = config.adapter != "none" and config.bf16 and to_train
    options = {"gguf_file": file} if file else {}
    options |= {"quantization_config": quantised} if quantised else {}
    model = load_as_nec13b(
        folder, attn_implementation=attention, dtype=torch.bfloat16 if frozen else torch.float32, **options
    )
    if model.config.max_position_embeddings < config.max_length:
        raise InputError(
            f"max_length {config.max_length:,} is longer than the window of {config.model}, "
            f"{model.config.max_position_embeddings:,} tokens"
        )
    make_embeddings(model, tokenizer, added)
    if model.get_input_embeddings().weight.shape[0] < len(tokenizer):
        raise InputError(f"{config.model} has a smaller vocabulary than its tokenizer; use the one that belongs to it")
    stop_at_end_of_turn(model, tokenizer)
    return model


def finish(
    config: ChatTuneConfig, start: Start, trainer: ChatTrainer, samples: SampleAnswers, record: RunRecord,
    seconds: float,
) -> None:  # fmt: skip
    """Everything after the last step, on the main process: merging, picture, samples, record."""
    output, tokenizer = Path(config.output_dir), start.tokenizer.tokenizer
    step, history = trainer.state.global_step, trainer.state.log_history
    if config.merge_adapter:
        base = load_base(config, start.model, tokenizer, start.added, "sdpa")
        write_merged(base, output / "adapter", output / "model", tokenizer)
    draw_loss_curve(output / "loss.png", history)
    counts = {"parameters": number_of_parameters(trainer.model), "steps": step, "dialogues": len(start.data.train)}
    counts["trained_parameters"] = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    record.update("inputs", model=config.model, tokenizer=start.tokenizer.fingerprint, dialogues=start.data.fingerprint)
    record.update("counts", **counts, **start.data.counts, tokens=tokens_seen(history))
    record.update("timings_seconds", training=round(seconds, 2))
    curves = held_out_curves(history)
    record.update("metrics", held_out_loss={source: curve[-1][1] for source, curve in curves.items()})
    record.update("metrics", held_out_loss_at_start={source: curve[0][1] for source, curve in curves.items()})
    if config.count_endings or (config.sample_questions and step not in samples.by_step):
        model = trainer.model if config.layout.strategy in ("single", "ddp") else load_tuned(config, tokenizer, start)
        if config.sample_questions and step not in samples.by_step:
            found = answers(model, tokenizer, samples.prompts, config.sample_tokens, config.seed)
            samples.add(step, [answer.text for answer in found])
        if config.count_endings:
            found = answers_to_held_out(config, model, start)
            ended = sum(answer.ended for answer in found)
            print(f"{ended} of {len(found)} answers to held-out dialogues end with <|im_end|>")
            record.update("metrics", answers=len(found), answers_that_end=ended)
    record.update("machine", processes=config.world_size, device=str(config.device))
    record.write(output)
    say_what_came_out(config, curves)


def load_tuned(config: ChatTuneConfig, tokenizer: PreTrainedTokenizerBase, start: Start) -> PreTrainedModel:
    """The tuned model from its folder, on one process, whatever the layout of the training was."""
    from peft import PeftModel

    output, dtype = Path(config.output_dir), torch.bfloat16 if config.bf16 else torch.float32
    if (output / "model").is_dir():
        return load_as_nec13b(output / "model", dtype=dtype).to(config.device)
    base = load_base(config, start.model, tokenizer, start.added, "sdpa").to(dtype)
    return PeftModel.from_pretrained(base, output / "adapter").to(config.device)


def answers_to_held_out(config: ChatTuneConfig, model: PreTrainedModel, start: Start) -> list[Answer]:
    """Answers to the last question of held-out dialogues, the sources in turn."""
    prompts, sources = [], [list(dialogues) for dialogues in start.data.held_out.values()]
    while any(sources) and len(prompts) < config.count_endings:
        for dialogues in sources:
            if dialogues and len(prompts) < config.count_endings:
                prompts.append(dialogues.pop(0).messages[:-1])
    return answers(model, start.tokenizer.tokenizer, prompts, config.sample_tokens, config.seed)


def say_what_will_run(
    config: ChatTuneConfig, trainer: ChatTrainer, data: TuningData, checkpoint: Path | None, attention: str
) -> None:
    """The run's size, its dialogues and where it goes on from."""
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    rows = len(trainer.train_dataset)
    packed = f"{rows:,} rows of {config.max_length:,} tokens" if config.packing else f"{rows:,} rows, one a dialogue"
    parameters = number_of_parameters(trainer.model)
    print(f"model: {parameters:,} parameters, {trained:,} of them trained; attention: {attention}")
    print(f"{packed}; {config.rows_per_batch} rows a step = {config.per_device_train_batch_size} x "
          f"{config.gradient_accumulation_steps} passes x {config.world_size} processes; "
          f"{config.steps(rows):,} steps")  # fmt: skip
    print(*data.lines(), sep="\n")
    if checkpoint:
        print(f"going on from {checkpoint}")


def say_what_came_out(config: ChatTuneConfig, curves: dict[str, list[tuple[int, float]]]) -> None:
    """The held-out losses at start and end, what lies where, and what to do next."""
    output = Path(config.output_dir)
    for source, curve in sorted(curves.items()):
        print(
            f"held-out {source}: {curve[0][1]:.3f} -> {curve[-1][1]:.3f} ({1 - curve[-1][1] / curve[0][1]:.0%} lower)"
        )
    chat = output / ("model" if (output / "model").is_dir() else "adapter")
    print()
    for name, what in (
        ("model", "the chat model, for AutoModelForCausalLM.from_pretrained"),
        ("adapter", "the adapter, for peft's AutoPeftModelForCausalLM.from_pretrained"),
        ("base", "the model that the adapter belongs to"),
        ("samples.md", "what it answered as it was tuned"),
        ("loss.png", "the loss curve"),
        ("run.json", "what was run, on what, with what result"),
    ):
        if (output / name).exists():
            print(f"{output / name!s:<32} {what}")
    print(f"\nNext: python -m nec13b.chat {chat}")
