"""Preferences ready for training: read, checked, split; in memory, or in a folder (`dialogues/prepared_folder.py`).

A line of train.jsonl and held_out.jsonl is a preference as `Preference.to_row` writes it, and as trl reads it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedTokenizerBase

from ..dialogues import prepared_folder
from ..dialogues.dialogue import Message
from ..dialogues.prepared_folder import (
    PAGE_NAME,
    REPORT_NAME,
    DialogueRejections,
    SplitFiles,
    read_split,
    rows_of,
    split_of_entries,
)
from ..run_record import write_json
from .preference import Preference
from .preference_checks import PreferenceChecks, checked_preferences
from .preference_page import write_page
from .preference_settings import PreferenceSettings, PreparePreferencesConfig
from .preference_sources import is_annotated, parse_preference_sources
from .preference_tally import PreferenceTally

MADE_BY = "recipes/prepare_preferences.py"


class PreferenceRejections(DialogueRejections):
    """What is set aside of preferences; remembers the first cases, for the message of a strict run."""

    things: ClassVar[str] = "preferences"
    thing: ClassVar[str] = "preference"


@dataclass(frozen=True)
class PreferenceSplit:
    """Preferences for training and for evaluation; no prompt stands on both sides."""

    train: list[Preference]
    held_out: list[Preference]
    rejected: dict[str, int] = field(default_factory=dict)


def prepared_preferences(
    settings: PreferenceSettings,
    tokenizer: PreTrainedTokenizerBase | None = None,
    rejections: PreferenceRejections | None = None,
) -> PreferenceSplit:
    """The preferences that settings name, split: a prepared folder as it is, anything else read and checked now.

    Args:
        settings: `preferences` names prepared folders or other entries, also side by side; a prepared folder keeps its
            split and is not checked again.
        tokenizer: counts tokens, where `max_dialogue_tokens` is set.
        rejections: takes note of what is set aside.

    Raises:
        InputError: an entry cannot be read, no preference is left for training, or `strict` is set and something is
            wrong.
    """
    rejections = rejections if rejections is not None else PreferenceRejections()

    def checked(entries: list) -> Iterator[tuple[Preference, bool]]:
        checks = PreferenceChecks(settings, tokenizer)
        for preference in checked_preferences(parse_preference_sources(entries), settings, checks, rejections):
            yield preference, preference.is_held_out(settings.held_out_fraction)

    train, held_out = split_of_entries(settings.preferences, is_prepared, _sides_of_folder, checked)
    if settings.strict:
        rejections.refuse()
    rejections.refuse_without(train)
    return PreferenceSplit(train, held_out, dict(rejections.counts))


def is_prepared(entry: Any) -> bool:
    """Whether an entry names a folder that `recipes/prepare_preferences.py` has written."""
    return prepared_folder.is_prepared(entry) and not is_annotated(entry)


def read_prepared(folder: str | os.PathLike) -> PreferenceSplit:
    """The preferences of a prepared folder, with their split.

    Raises:
        InputError: the preparation has not ended, or a line is not what it should be.
    """
    return PreferenceSplit(*_sides_of_folder(folder))


def prepare_preferences(
    config: PreparePreferencesConfig, output: Path, tokenizer: PreTrainedTokenizerBase | None = None
) -> dict:
    """Reads, checks and splits, into a folder, and returns the report.

    Memory: that of all preferences, since a later one may contradict an earlier one.

    Raises:
        InputError: an entry cannot be read, no preference is left for training, or `strict` is set and something is
            wrong.
    """
    sources = parse_preference_sources(config.preferences)
    checks, tally = PreferenceChecks(config, tokenizer), PreferenceTally(sources)
    with SplitFiles(output) as files:
        rejections = PreferenceRejections(files.rejected)
        for preference in checked_preferences(sources, config, checks, rejections):
            is_held_out = preference.is_held_out(config.held_out_fraction)
            tally.add(preference, is_held_out)
            files.write(preference.to_row(), is_held_out)
        files.keep_rejected(rejections)
        if config.strict:
            rejections.refuse()
        report = tally.report(rows_of(rejections.path), dict(checks.masked))
        rejections.refuse_without(report["kept"]["train"])
        files.keep_split()
    write_json(output / REPORT_NAME, report)
    write_page(output / PAGE_NAME, report)
    return report


def _sides_of_folder(folder: str | os.PathLike) -> tuple[list[Preference], list[Preference]]:
    return read_split(folder, _preference_of_row, "preference", MADE_BY)


def _preference_of_row(row: dict) -> Preference:
    sides = {name: _messages(row.pop(name), name) for name in ("prompt", "chosen", "rejected")}
    return Preference(**sides, **row)


def _messages(written: list, name: str) -> list[Message]:
    messages = [Message(role=str(m["role"]), content=str(m["content"])) for m in written]
    if not messages:
        raise ValueError(f"its field {name!r} has no messages")
    return messages
