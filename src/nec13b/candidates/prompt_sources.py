"""Prompts that people wrote: those of dialogues, and plain ones.

    sample                              original prompts written for this project, some of which invite harm
    prompts.txt                         a prompt a line; an empty line is none
    faq.parquet,prompt_field=toi        a field that holds the prompt, or prompt, question, instruction, ...
    runs/dialogues, oasst.jsonl.gz      whatever holds dialogues (`dialogues/dialogue_sources.py`)

The prompt of a dialogue is what stands before its last answer: system message and earlier turns are part of it.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..corpus import Rejections, domain_of_text
from ..corpus.file_formats import BROKEN_FILE, Rows, kind_of_file, open_file
from ..dialogues.dialogue import ROLES, Dialogue, Message
from ..dialogues.dialogue_checks import FOLLOWERS
from ..dialogues.dialogue_shapes import PAIRS, NotADialogue, shape_of_row
from ..dialogues.dialogue_sources import DialogueSource, read_dialogues
from ..dialogues.leaked_marks import leaked_mark
from ..errors import InputError


@dataclass(frozen=True)
class PromptSource(DialogueSource):
    """One place that prompts are read from; its fields are those of a source of dialogues."""

    of: ClassVar[str] = "prompts"
    sample_package: ClassVar[str] = "nec13b.candidates"
    kinds: ClassVar[tuple[str, str]] = (
        "JSONL, Parquet, JSON or text", ".jsonl, .parquet, .json or .txt (.gz, .zst)"
    )  # fmt: skip

    def kind_of_file(self, path: Path) -> str:
        """What kind of file it is; empty where it is none of `kinds`."""
        return super().kind_of_file(path) or ("text" if kind_of_file(path) == "text" else "")

    def rows(self, rejections: Rejections, max_characters: int) -> list[tuple[str, str, Rows]]:
        """As of dialogues; a line of text, and a row that nobody has answered, come as a dialogue's."""
        parts = []
        for place, name, rows in super().rows(rejections, max_characters):
            is_text = not self.hub_name and self.kind_of_file(Path(place)) == "text"
            read = _lines_of_text(Path(place), rejections) if is_text else self._as_dialogues(rows)
            parts.append((place, name, read))
        return parts

    def _as_dialogues(self, rows: Rows) -> Rows:
        for number, row in rows:
            yield number, self._as_dialogue(row)

    def _as_dialogue(self, row: Any) -> Any:
        """A prompt without an answer gets an empty one."""
        if not isinstance(row, dict):
            return row
        if self.prompt_field and self.prompt_field in row:
            return {**row, self.answer_field or "completion": ""}
        try:
            shape_of_row(row)
        except NotADialogue:
            if any(prompt in row for prompt, _ in PAIRS):
                return {**row, "output" if "instruction" in row else "completion": ""}
        return row


def parse_prompt_sources(entries: Any) -> list[PromptSource]:
    """The sources of a `prompts:` setting: one string or mapping, or a list of them; raises InputError."""
    return PromptSource.parse_all(entries)


def read_prompts(
    sources: list[PromptSource], rejections: Rejections, max_characters: int, most: int = 0
) -> list[Dialogue]:
    """The prompts of all sources, each once; every one ends with a message of the user or a tool.

    Args:
        sources: from `parse_prompt_sources`.
        rejections: takes note of what is no prompt, with its file and line.
        max_characters: of a prompt, all messages together; longer ones are set aside.
        most: how many; more are thinned out by their digests, so that the same ones stay when others come; 0: all.

    Raises:
        InputError: a source cannot be opened, or there is no prompt at all.
    """
    prompts: dict[str, Dialogue] = {}
    for placed in read_dialogues(sources, rejections, max_characters):
        dialogue = placed.dialogue
        prompt = dataclasses.replace(dialogue, messages=before_last_answer(dialogue.messages))
        reason = _why_no_prompt(prompt.messages, max_characters)
        if not reason and prompt.key in prompts:
            reason = "duplicate"
        if reason:
            rejections.add(placed.place, placed.row, reason, str(dialogue.messages))
            continue
        language = prompt.language or domain_of_text(prompt.messages[-1]["content"])
        prompts[prompt.key] = dataclasses.replace(prompt, language=language)
    if not prompts:
        raise InputError(f"there is no prompt to answer ({rejections or 'the sources are empty'})")
    if most and len(prompts) > most:
        kept = set(sorted(prompts)[:most])
        prompts = {key: prompt for key, prompt in prompts.items() if key in kept}
    return list(prompts.values())


def before_last_answer(messages: list[Message]) -> list[Message]:
    """The messages up to the last one of the user or of a tool."""
    asked = [number for number, message in enumerate(messages, start=1) if message["role"] in ("user", "tool")]
    return messages[: max(asked, default=0)]


def _why_no_prompt(messages: list[Message], max_characters: int) -> str:
    if not messages:
        return "no message of a user"
    before = ""
    for message in messages:
        role = message["role"]
        if role not in ROLES:
            return "unknown role"
        if role not in FOLLOWERS[before]:
            return "wrong order of roles"
        if not message["content"].strip():
            return "empty turn"
        if leaked_mark(message["content"]):
            return "leaked special token"
        before = role
    if sum(len(message["content"]) for message in messages) > max_characters:
        return f"longer than max_prompt_characters ({max_characters:,})"
    return ""


def _lines_of_text(path: Path, rejections: Rejections) -> Rows:
    number = 0
    try:
        with open_file(path) as file:
            for number, line in enumerate(file, start=1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError:
                    rejections.add(str(path), number, "invalid UTF-8", line)
                    continue
                if text:
                    yield number, {"prompt": text, "completion": ""}
    except BROKEN_FILE as error:
        reason = "file ends early or is damaged; the rest of it was not read"
        rejections.add(str(path), number + 1, reason, str(error))
