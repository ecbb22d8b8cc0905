"""Dialogues that people had with a model, in a JSONL file of `messages`, the form that training reads."""

import json
from pathlib import Path

from ..dialogues.dialogue import Dialogue
from ..errors import InputError
from ..whole_files import write_json_lines


def add_to_file(path: Path, dialogue: Dialogue) -> int:
    """Writes a dialogue as a line of a file, which may hold others; an earlier state of the same dialogue is replaced.

    Returns:
        How many dialogues the file then holds.

    Raises:
        InputError: the file holds something else, or cannot be written.
    """
    dialogues = dialogues_of_file(path) if path.exists() else []
    rows = [one.to_row() for one in dialogues if one.id != dialogue.id] + [dialogue.to_row()]
    try:
        return write_json_lines(path, rows)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def dialogues_of_file(path: Path) -> list[Dialogue]:
    """The dialogues of a JSONL file, each a line with `messages`: user and assistant in turn, a system message first.

    A last question without an answer is left out.

    Raises:
        InputError: the file cannot be read, or a line is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    found = [_dialogue(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise InputError(f"{path} holds no dialogue")
    return found


def _dialogue(line: str, where: str) -> Dialogue:
    try:
        row = json.loads(line)
    except ValueError:
        raise InputError(f"{where}: not JSON") from None
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages:
        raise InputError(f"{where}: no list of messages")
    kept = []
    for i, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, str) or not isinstance(role, str):
            raise InputError(f"{where}: message {i + 1} has no role and content")
        spoken = len(kept) - (1 if kept and kept[0]["role"] == "system" else 0)
        if role != ("user", "assistant")[spoken % 2] and not (role == "system" and not kept):
            raise InputError(f"{where}: message {i + 1} is of {role!r}; user and assistant must take turns")
        kept.append({"role": role, "content": content})
    if kept[-1]["role"] == "user":
        kept.pop()
    known = {name: row[name] for name in ("id", "source", "language", "licence") if isinstance(row.get(name), str)}
    provenance = row.get("provenance")
    return Dialogue(kept, **known, provenance=provenance if isinstance(provenance, dict) else {})
