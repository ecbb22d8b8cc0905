"""Chat tuning: what it adds to a tuning of any kind (stage_run.py)."""

from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..dialogues.prepared_dialogues import prepared_dialogues
from ..dialogues.prepared_folder import REJECTED_NAME, DialogueRejections
from ..run_record import RunRecord
from .adapters import lora_config
from .answers import Answer, answers, window_of
from .chatml import exchanges_that_fit
from .stage_run import Start, TuningStage, run_stage
from .tuning_config import ChatTuneConfig
from .tuning_data import TuningData, as_data_set, in_turn, tuning_data
from .tuning_trainer import ChatTrainer


def run_tuning(config: ChatTuneConfig) -> None:
    """Tunes on dialogues, or goes on from the last whole checkpoint; see `run_stage`."""
    run_stage(CHAT_TUNING, config)


def dialogues_of(config: ChatTuneConfig, tokenizer: PreTrainedTokenizerBase) -> TuningData:
    """The dialogues that the settings name; what is set aside is noted in the folder of the run."""
    path = Path(config.output_dir) / REJECTED_NAME if config.process_index == 0 else None
    split = prepared_dialogues(config, tokenizer, DialogueRejections(path))
    data = tuning_data(split.train, split.held_out, tokenizer, config.max_length, config.eval_dialogues)
    data.counts.update({f"set aside, {reason}": count for reason, count in split.rejected.items()})
    return data


def trainer_of(config: ChatTuneConfig, start: Start, model: PreTrainedModel, decisive: dict) -> ChatTrainer:
    """The trainer, with the dialogues as tokens."""
    tokenizer, data = start.tokenizer.tokenizer, start.data
    return ChatTrainer(
        model=model,
        args=config,
        decisive=decisive,
        train_dataset=as_data_set(data.train, tokenizer, config.assistant_only_loss),
        eval_dataset={s: as_data_set(d, tokenizer, config.assistant_only_loss) for s, d in data.held_out.items()},
        processing_class=tokenizer,
        peft_config=lora_config(config, tokenizer.convert_tokens_to_ids(start.added)),
    )


def line_of_rows(config: ChatTuneConfig, rows: int) -> str:
    """How many rows there are, and what a row is."""
    return f"{rows:,} rows of {config.max_length:,} tokens" if config.packing else f"{rows:,} rows, one a dialogue"


def count_endings(
    config: ChatTuneConfig, start: Start, trainer: ChatTrainer, generating: Callable[[], PreTrainedModel],
    record: RunRecord,
) -> list[str]:  # fmt: skip
    """How many answers to held-out dialogues close their turn."""
    if not config.count_endings:
        return []
    found = answers_to_held_out(config, generating(), start)
    ended = sum(answer.ended for answer in found)
    record.update("metrics", answers=len(found), answers_that_end=ended)
    return [f"{ended} of {len(found)} answers to held-out dialogues end with <|im_end|>"]


def answers_to_held_out(config: ChatTuneConfig, model: PreTrainedModel, start: Start) -> list[Answer]:
    """Answers to the last question of held-out dialogues, the sources in turn.

    A dialogue that fills the window loses exchanges: where there is no room for an answer, none can end.
    """
    tokenizer, room = start.tokenizer.tokenizer, window_of(model) - config.sample_tokens
    prompts = []
    for dialogue in in_turn(start.data.held_out.values()):
        if len(prompts) >= config.count_endings:
            break
        fitting = exchanges_that_fit(tokenizer, dialogue.messages, room)
        prompts += [fitting[:-1]] if fitting else []
    return answers(model, tokenizer, prompts, config.sample_tokens, config.seed)


CHAT_TUNING = TuningStage(
    name="chat_tune",
    entries="dialogues",
    data=dialogues_of,
    trainer=trainer_of,
    rows=line_of_rows,
    measure=count_endings,
)
