"""Dialogues ready for training: read, checked, split; in memory, or in a folder (`prepared_folder.py`).

A line of train.jsonl and held_out.jsonl is a dialogue as `Dialogue.to_row` writes it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from ..corpus import Rejections
from ..run_record import write_json
from .dialogue import Dialogue, Message
from .dialogue_checks import DialogueChecks, Objection
from .dialogue_page import write_page
from .dialogue_settings import DialogueSettings, PrepareDialoguesConfig
from .dialogue_sources import DialogueSource, Placed, parse_dialogue_sources, read_dialogues
from .dialogue_tally import DialogueTally
from .prepared_folder import (
    PAGE_NAME,
    REPORT_NAME,
    DialogueRejections,
    SplitFiles,
    is_prepared,
    read_split,
    rows_of,
    split_of_entries,
)

MADE_BY = "recipes/prepare_dialogues.py"


@dataclass(frozen=True)
class DialogueSplit:
    """Dialogues for training and for evaluation; no opening question stands on both sides."""

    train: list[Dialogue]
    held_out: list[Dialogue]
    rejected: dict[str, int] = field(default_factory=dict)


def checked_dialogues(
    sources: list[DialogueSource],
    settings: DialogueSettings,
    checks: DialogueChecks,
    rejections: Rejections,
) -> Iterator[Dialogue]:
    """Streams what is in order; what is not is noted, with its messages, so that it can be mended and read again."""
    for placed in read_dialogues(sources, rejections, settings.max_dialogue_characters):
        dialogue, objection = checks(placed.dialogue)
        if objection is None:
            yield dialogue
        else:
            _reject(rejections, placed, objection)


def prepared_dialogues(
    settings: DialogueSettings,
    tokenizer: PreTrainedTokenizerBase | None = None,
    rejections: DialogueRejections | None = None,
) -> DialogueSplit:
    """The dialogues that settings name, split: a prepared folder as it is, anything else read and checked now.

    Args:
        settings: `dialogues` names prepared folders or other entries, also side by side; a prepared folder keeps its
            split and is not checked again.
        tokenizer: counts tokens, where `max_dialogue_tokens` is set.
        rejections: takes note of what is set aside.

    Raises:
        InputError: an entry cannot be read, no training dialogue is left, or `strict` is set and something is wrong.
    """
    rejections = rejections if rejections is not None else DialogueRejections()

    def checked(entries: list) -> Iterator[tuple[Dialogue, bool]]:
        checks = DialogueChecks(settings, tokenizer)
        for dialogue in checked_dialogues(parse_dialogue_sources(entries), settings, checks, rejections):
            yield dialogue, dialogue.is_held_out(settings.held_out_fraction)

    train, held_out = split_of_entries(settings.dialogues, is_prepared, _sides_of_folder, checked)
    if settings.strict:
        rejections.refuse()
    rejections.refuse_without(train)
    return DialogueSplit(train, held_out, dict(rejections.counts))


def read_prepared(folder: str | os.PathLike) -> DialogueSplit:
    """The dialogues of a prepared folder, with their split.

    Raises:
        InputError: the preparation has not ended, or a line is not what it should be.
    """
    return DialogueSplit(*_sides_of_folder(folder))


def prepare_dialogues(
    config: PrepareDialoguesConfig, output: Path, tokenizer: PreTrainedTokenizerBase | None = None
) -> dict:
    """Reads, checks and splits, into a folder, and returns the report.

    Memory: 3 kB a dialogue for the search for near duplicates, and a few hundred bytes without it.

    Raises:
        InputError: an entry cannot be read, no training dialogue is left, or `strict` is set and something is wrong.
    """
    sources = parse_dialogue_sources(config.dialogues)
    checks, tally = DialogueChecks(config, tokenizer), DialogueTally(sources)
    with SplitFiles(output) as files:
        rejections = DialogueRejections(files.rejected)
        for dialogue in checked_dialogues(sources, config, checks, rejections):
            is_held_out = dialogue.is_held_out(config.held_out_fraction)
            tally.add(dialogue, is_held_out)
            files.write(dialogue.to_row(), is_held_out)
        files.keep_rejected(rejections)
        if config.strict:
            rejections.refuse()
        report = tally.report(rows_of(rejections.path), dict(checks.masked), checks.cut)
        rejections.refuse_without(report["kept"]["train"])
        files.keep_split()
    write_json(output / REPORT_NAME, report)
    write_page(output / PAGE_NAME, report)
    return report


def _reject(rejections: Rejections, placed: Placed, objection: Objection) -> None:
    dialogue = placed.dialogue
    opening = next((message["content"] for message in dialogue.messages if message["role"] == "user"), "")
    more = {"detail": objection.detail, "label": dialogue.source, "messages": dialogue.messages}
    if objection.message:
        more["message"] = objection.message
    rejections.add(placed.place, placed.row, objection.reason, opening, **more)


def _sides_of_folder(folder: str | os.PathLike) -> tuple[list[Dialogue], list[Dialogue]]:
    return read_split(folder, _dialogue_of_row, "dialogue", MADE_BY)


def _dialogue_of_row(row: dict) -> Dialogue:
    messages = [Message(role=str(m["role"]), content=str(m["content"])) for m in row.pop("messages")]
    if not messages:
        raise ValueError("it has no messages")
    return Dialogue(messages, **row)
