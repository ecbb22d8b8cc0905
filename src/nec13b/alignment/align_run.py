"""Alignment: what it adds to a tuning of any kind (chat_tuning/stage_run.py)."""

from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..chat_tuning.adapters import lora_config
from ..chat_tuning.base_model import load_base
from ..chat_tuning.stage_run import Start, TuningStage, run_stage
from ..dialogues.prepared_folder import REJECTED_NAME
from ..errors import InputError
from ..preferences.prepared_preferences import PreferenceRejections, prepared_preferences
from ..run_record import RunRecord
from .align_config import AlignConfig
from .align_trainer import FIGURE_NAME, AlignTrainer
from .alignment_data import AlignmentData, alignment_data, stored_data_set
from .alignment_figure import draw_alignment
from .hacking_signs import evaluations

REFERENCE_NAME = "reference"
FIGURES = ("held_out_accuracy", "held_out_margin", "held_out_chosen_ratio", "kl", "kl_error", "length", "length_ratio")


def run_alignment(config: AlignConfig) -> None:
    """Learns from preferences, or goes on from the last whole checkpoint; see `run_stage`.

    Raises:
        InputError: also where a sign of reward hacking has ended the run.
    """
    run_stage(ALIGNMENT, config)


def preferences_of(config: AlignConfig, tokenizer: PreTrainedTokenizerBase) -> AlignmentData:
    """The preferences that the settings name; what is set aside is noted in the folder of the run."""
    path = Path(config.output_dir) / REJECTED_NAME if config.process_index == 0 else None
    split = prepared_preferences(config, tokenizer, PreferenceRejections(path))
    data = alignment_data(split.train, split.held_out, tokenizer, config.max_length, config.eval_preferences)
    if config.limits and not data.held_out:
        raise InputError(
            f"{next(iter(config.limits))} looks at held-out preferences, and there are none; raise held_out_fraction"
        )
    data.counts.update({f"set aside, {reason}": count for reason, count in split.rejected.items()})
    return data


def trainer_of(config: AlignConfig, start: Start, model: PreTrainedModel, decisive: dict) -> AlignTrainer:
    """The trainer, with the preferences as tokens and the reference where it needs a model of its own."""
    tokenizer, data, is_main = start.tokenizer.tokenizer, start.data, config.process_index == 0
    config.tokens_of_a_pair = data.tokens_of_a_pair
    folder = Path(config.output_dir) / REFERENCE_NAME
    with config.main_process_first(local=False):
        train = stored_data_set(data.train, folder, is_main)
        held_out = {source: stored_data_set(rows, folder, is_main) for source, rows in data.held_out.items()}
    reference = None
    if config.reference == "model" or (config.reference == "precomputed" and config.layout.strategy == "fsdp"):
        reference = load_base(config, start.model, tokenizer, start.added, start.attention, to_train=True)
        reference.requires_grad_(False).eval()
    return AlignTrainer(
        model=model,
        args=config,
        decisive=decisive,
        reference=reference,
        prompts=data.sampled_prompts(config.eval_samples),
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=lora_config(config, tokenizer.convert_tokens_to_ids(start.added)),
    )


def line_of_rows(config: AlignConfig, rows: int) -> str:
    """How many rows there are, and what is learned from them."""
    weights = config.loss_weights or [1.0] * len(config.loss_type)
    losses = " + ".join(f"{weight:g} {name}" for name, weight in zip(config.loss_type, weights))
    losses = config.loss_type[0] if len(weights) == 1 else losses
    return f"{rows:,} preferences; loss {losses}, beta {config.beta:g}; reference {config.reference}"


def measure(
    config: AlignConfig, start: Start, trainer: AlignTrainer, generating: Callable[[], PreTrainedModel],
    record: RunRecord,
) -> list[str]:  # fmt: skip
    """The held-out figures before and after, and the picture."""
    history = trainer.state.log_history
    draw_alignment(Path(config.output_dir) / FIGURE_NAME, history)
    rows = evaluations(history)
    if not rows:
        return []
    first, last = rows[0], rows[-1]
    record.update("metrics", at_start={name: first[name] for name in FIGURES if name in first})
    record.update("metrics", at_end={name: last[name] for name in FIGURES if name in last})
    accuracies = {name: value for row in history for name, value in row.items()
                  if name.startswith("eval_") and name.endswith("_accuracy")}  # fmt: skip
    record.update("metrics", accuracy={name[5:-9]: value for name, value in sorted(accuracies.items())})
    lines = [
        f"held-out accuracy {first['held_out_accuracy']:.1%} -> {last['held_out_accuracy']:.1%}, margin "
        f"{last['held_out_margin']:.3f}; chosen answers {last['held_out_chosen_ratio']:+.3f} nats a token"
    ]
    if "length" in first:
        kl = f", KL to the reference {last['kl']:.4f} +- {last['kl_error']:.4f} nats a token" if "kl" in last else ""
        lines.append(f"own answers: {first['length']:.0f} -> {last['length']:.0f} tokens{kl}")
    return lines


ALIGNMENT = TuningStage(
    name="align",
    entries="preferences",
    data=preferences_of,
    trainer=trainer_of,
    rows=line_of_rows,
    measure=measure,
    files=((FIGURE_NAME, "margin, accuracy, KL and length"),),
    run_files=(REFERENCE_NAME, FIGURE_NAME),
    loss="loss of the preference",
)
