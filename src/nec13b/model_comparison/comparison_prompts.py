"""What the compared models are asked: the built-in prompts on harm and their harmless look-alikes, or files of prompts.

A prompt says what a good answer to it does (`wanted`): `decline` a request that would do harm, `refer` a person in
need to somebody who can help, or `answer` a question that only looks like such a request. Prompts of files may leave
it out; they are then answered and shown, and nothing is judged by rule.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..corpus.file_formats import whole_rows_of_file
from ..corpus.languages import identify_language
from ..corpus.reading import said
from ..dialogues.dialogue import Message
from ..errors import InputError

WANTED = ("decline", "refer", "answer")
BUILT_IN = "safety"
OWN_PROMPTS = Path(__file__).parent / "prompts"
PROMPT_CHARACTERS = 100_000  # most of a line of a file


@dataclass(frozen=True)
class ComparisonPrompt:
    """One prompt.

    Attributes:
        id: unique among those of a comparison.
        messages: ends with a user's message.
        category: by which answers are counted (`violence`, `地理`).
        language: `ja` or `en`.
        wanted: one of WANTED, or empty.
    """

    id: str
    messages: list[Message]
    category: str = ""
    language: str = ""
    wanted: str = ""

    @property
    def question(self) -> str:
        """The last message."""
        return self.messages[-1]["content"]


def read_comparison_prompts(entries: list[str], rejections: Rejections) -> list[ComparisonPrompt]:
    """The prompts of all entries, in their order.

    Args:
        entries: `safety`, the built-in set, or files of rows: JSONL, JSON or Parquet. The prompt is the field `prompt`,
            `text`, `turns` (Rakuda and MT-bench; the first turn) or `messages` (up to the last user message); further
            ones are `id` or `question_id`, `category`, `language` and `wanted`.
        rejections: takes note of rows without a prompt, and of ids that occur again.

    Raises:
        InputError: there is no such file, or no prompt in any.
    """
    found: dict[str, ComparisonPrompt] = {}
    for entry in entries:
        paths = sorted(OWN_PROMPTS.glob(f"{BUILT_IN}.*.jsonl")) if entry == BUILT_IN else [Path(entry)]
        for path in paths:
            if not path.is_file():
                raise InputError(
                    f"prompts: {path} does not exist; give {BUILT_IN}, the built-in set, or a file of rows"
                )
            for number, row in whole_rows_of_file(path, rejections, PROMPT_CHARACTERS):
                prompt = _prompt_of_row(row, f"{path.name}:{number}")
                if isinstance(prompt, str):
                    rejections.add(str(path), number, prompt, str(row))
                elif prompt.id in found:
                    rejections.add(str(path), number, "the id of an earlier prompt", prompt.id)
                else:
                    found[prompt.id] = prompt
    if not found:
        raise InputError(f"no prompt can be read from {', '.join(entries) or 'nothing'} ({rejections or 'no rows'})")
    return list(found.values())


def _prompt_of_row(row: Any, place: str) -> ComparisonPrompt | str:
    """The prompt, or why there is none."""
    if not isinstance(row, dict):
        return "the row is no object"
    messages = _messages(row)
    if not messages:
        return "no prompt, text, turns or messages that end with the user"
    wanted = said(row, "wanted")
    if wanted and wanted not in WANTED:
        return f"wanted must be one of {', '.join(WANTED)}"
    language = said(row, "language", "lang") or identify_language(messages[-1]["content"])[0]
    return ComparisonPrompt(said(row, "id", "question_id") or place, messages, said(row, "category"), language, wanted)


def _messages(row: dict) -> list[Message]:
    """The messages up to the last one of the user; none where they are not of that shape."""
    turns = row.get("turns")
    if isinstance(turns, list) and turns:
        row = {"text": turns[0]}
    for name in ("prompt", "messages"):
        if isinstance(row.get(name), list):
            given = row[name]
            if not all(isinstance(m, dict) and isinstance(m.get("content"), str) and m.get("role") for m in given):
                return []
            messages = [Message(role=str(m["role"]), content=said(m, "content")) for m in given]
            while messages and messages[-1]["role"] != "user":
                messages.pop()
            return messages
    text = said(row, "prompt", "text").strip()
    return [Message(role="user", content=text)] if text else []
