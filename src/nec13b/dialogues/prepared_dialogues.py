"""Dialogues ready for training: read, checked, split; in memory, or in a folder that a later stage reads.

train.jsonl, held_out.jsonl     a dialogue a line, as `Dialogue.to_row` writes it
rejected.jsonl                  what was set aside: file, line, reason, detail, and its messages where it has some
report.json, report.html        what there is, and what is wrong with the rest
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ..corpus import Rejections
from ..errors import InputError
from ..run_record import MADE_NAME, UNFINISHED, read_json, write_json
from .dialogue import Dialogue, Message
from .dialogue_checks import DialogueChecks, Objection
from .dialogue_page import write_page
from .dialogue_settings import DialogueSettings, PrepareDialoguesConfig
from .dialogue_sources import PREPARED_NAMES, DialogueSource, Placed, parse_dialogue_sources, read_dialogues
from .dialogue_tally import DialogueTally

TRAIN_NAME, HELD_OUT_NAME = PREPARED_NAMES
REJECTED_NAME = "rejected.jsonl"
REPORT_NAME, PAGE_NAME = "report.json", "report.html"
MADE_BY = "recipes/prepare_dialogues.py"
FIRST_CASES = 10


@dataclass(frozen=True)
class DialogueSplit:
    """Dialogues for training and for evaluation; no opening question stands on both sides."""

    train: list[Dialogue]
    held_out: list[Dialogue]
    rejected: dict[str, int] = field(default_factory=dict)


class DialogueRejections(Rejections):
    """Rejections that remember the first cases, for the message of a strict run."""

    def __init__(self, path: str | os.PathLike | None = None):
        super().__init__(path)
        self.first: list[str] = []

    def add(self, source: str, line: int | None, reason: str, excerpt: str | bytes = b"", **more: Any) -> None:
        super().add(source, line, reason, excerpt, **more)
        if len(self.first) < FIRST_CASES:
            where = source if line is None else f"{source}, line {line}"
            self.first.append(f"{where}: {reason}" + (f" ({more['detail']})" if more.get("detail") else ""))

    def refuse(self) -> None:
        """Raises InputError where there is any case, and lists the first."""
        if not self.counts:
            return
        more = self.counts.total() - len(self.first)
        ending = f"\n  ... and {more:,} more" if more > 0 else ""
        where = f" All stand in {self.path}." if self.path else ""
        raise InputError(
            f"{self.counts.total():,} dialogues or rows cannot be used as they are, and --strict was asked for:\n  "
            + "\n  ".join(self.first) + f"{ending}\nMend them, or leave out --strict to set them aside.{where}"
        )  # fmt: skip


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
    entries = [settings.dialogues] if isinstance(settings.dialogues, str) else list(settings.dialogues)
    folders = [entry for entry in entries if is_prepared(entry)]
    train, held_out = [], []
    for folder in folders:
        split = read_prepared(folder)
        train += split.train
        held_out += split.held_out
    others = [entry for entry in entries if entry not in folders]
    if others or not folders:
        checks = DialogueChecks(settings, tokenizer)
        for dialogue in checked_dialogues(parse_dialogue_sources(others), settings, checks, rejections):
            (held_out if dialogue.is_held_out(settings.held_out_fraction) else train).append(dialogue)
    if settings.strict:
        rejections.refuse()
    if not train:
        raise InputError(
            "no dialogue is left to train on" + (f"; set aside: {rejections}" if rejections.counts else "")
        )
    return DialogueSplit(train, held_out, dict(rejections.counts))


def is_prepared(entry: Any) -> bool:
    """Whether an entry names a folder that `recipes/prepare_dialogues.py` has written."""
    return isinstance(entry, (str, os.PathLike)) and (Path(entry).expanduser() / MADE_NAME).is_file()


def read_prepared(folder: str | os.PathLike) -> DialogueSplit:
    """The dialogues of a prepared folder, with their split.

    Raises:
        InputError: the preparation has not ended, or a line is not what it should be.
    """
    folder = Path(folder).expanduser()
    if read_json(folder / MADE_NAME, MADE_BY) == UNFINISHED:
        raise InputError(f"{folder} holds a preparation that has not ended; run {MADE_BY} again")
    return DialogueSplit(*(list(_read_rows(folder / name)) for name in (TRAIN_NAME, HELD_OUT_NAME)))


def prepare_dialogues(
    config: PrepareDialoguesConfig, output: Path, tokenizer: PreTrainedTokenizerBase | None = None
) -> dict:
    """Reads, checks and splits, into a folder, and returns the report.

    Memory: 3 kB a dialogue for the search for near duplicates, and a few hundred bytes without it.

    Raises:
        InputError: an entry cannot be read, no training dialogue is left, or `strict` is set and something is wrong.
    """
    sources = parse_dialogue_sources(config.dialogues)
    output.mkdir(parents=True, exist_ok=True)
    temporary = {name: output / f".{name}.tmp" for name in (TRAIN_NAME, HELD_OUT_NAME, REJECTED_NAME)}
    rejections = DialogueRejections(temporary[REJECTED_NAME])
    checks = DialogueChecks(config, tokenizer)
    tally = DialogueTally(sources)
    try:
        with ExitStack() as files:
            train, held_out = (
                files.enter_context(temporary[name].open("w", encoding="utf-8")) for name in (TRAIN_NAME, HELD_OUT_NAME)
            )
            for dialogue in checked_dialogues(sources, config, checks, rejections):
                is_held_out = dialogue.is_held_out(config.held_out_fraction)
                tally.add(dialogue, is_held_out)
                row = json.dumps(dialogue.to_row(), ensure_ascii=False, default=str)
                (held_out if is_held_out else train).write(row + "\n")
        temporary[REJECTED_NAME].touch()
        os.replace(temporary[REJECTED_NAME], output / REJECTED_NAME)
        rejections.path = output / REJECTED_NAME
        if config.strict:
            rejections.refuse()
        report = tally.report(_rows_of(rejections.path), dict(checks.masked), checks.cut)
        if not report["kept"]["train"]:
            said = f"; set aside: {rejections} (see {rejections.path})" if rejections.counts else ""
            raise InputError(f"no dialogue is left to train on{said}")
        for name in (TRAIN_NAME, HELD_OUT_NAME):
            os.replace(temporary[name], output / name)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
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


def _rows_of(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _read_rows(path: Path) -> Iterator[Dialogue]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _dialogue_of_row(line, f"{path}, line {number}")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {MADE_BY} makes it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); make it again with {MADE_BY}") from None


def _dialogue_of_row(line: str, where: str) -> Dialogue:
    try:
        row = json.loads(line)
        messages = [Message(role=str(m["role"]), content=str(m["content"])) for m in row.pop("messages")]
        if not messages:
            raise ValueError("it has no messages")
        return Dialogue(messages, **row)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{where} is not a prepared dialogue ({error}); mend it, or run {MADE_BY} again") from None
