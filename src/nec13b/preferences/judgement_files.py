"""Files of a row a line: `pairs.jsonl` is what people compare, `judgements.jsonl` what they said of it.

Whoever samples candidates writes the one, the annotation reads it and writes the other, and adjudication reads both. A
bad line in either is an error with its number: it would shift what others said, so it is not passed over.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..dialogues.dialogue import Message
from ..dialogues.dialogue_shapes import NotADialogue, kind_of, messages_of_row
from ..errors import InputError
from ..whole_files import write_json_lines
from .answer_pair import AnswerPair, CandidateAnswer
from .judgement import REASONS, VERDICTS, Judgement

PAIRS_NAME, JUDGEMENTS_NAME = "pairs.jsonl", "judgements.jsonl"
SHOWN = ("", "first", "second")


class Row(Protocol):
    """What a line of JSONL can be made of."""

    def to_row(self) -> dict[str, Any]: ...


Read = TypeVar("Read", AnswerPair, Judgement)


def read_pairs(path: str | os.PathLike) -> list[AnswerPair]:
    """The pairs of a file, in order.

    Raises:
        InputError: the file cannot be read, a line holds no pair, or two pairs have the same id; with file and line.
    """
    pairs, lines = [], {}
    for number, pair in _read(Path(path), pair_of_row, "a pair of answers"):
        if pair.id in lines:
            raise InputError(
                f"{path}, line {number}: the id {pair.id!r} stands in line {lines[pair.id]} already; judgements name "
                "pairs by their id, so give each its own"
            )
        lines[pair.id] = number
        pairs.append(pair)
    return pairs


def read_judgements(path: str | os.PathLike) -> list[Judgement]:
    """The judgements of a file, in order; one annotator may have judged a pair more than once.

    Raises:
        InputError: the file cannot be read, or a line holds no judgement; with file and line.
    """
    return [judgement for _, judgement in _read(Path(path), judgement_of_row, "a judgement")]


def write_rows(path: str | os.PathLike, items: Iterable[Row]) -> int:
    """Writes pairs, judgements or preferences, a row a line, and returns how many; the file appears when whole."""
    return write_json_lines(Path(path), (item.to_row() for item in items))


def pair_of_row(row: Any) -> AnswerPair:
    """The pair that `AnswerPair.to_row` wrote; raises ValueError that says what is wrong."""
    _check_object(row)
    answers = row.get("answers")
    if not isinstance(answers, list) or len(answers) != 2:
        raise ValueError("field 'answers' must be a list of two answers")
    return AnswerPair(
        id=_text(row, "id", required=True),
        prompt=_prompt(row.get("prompt")),
        first=_answer(answers[0], "the first answer"),
        second=_answer(answers[1], "the second answer"),
        source=_text(row, "source"),
        language=_text(row, "language"),
        licence=_text(row, "licence"),
        provenance=_mapping(row, "provenance"),
    )


def judgement_of_row(row: Any) -> Judgement:
    """The judgement that `Judgement.to_row` wrote; raises ValueError that says what is wrong."""
    _check_object(row)
    verdict = _one_of(row, "verdict", VERDICTS)
    reasons = row.get("reasons") or []
    if not isinstance(reasons, list) or any(reason not in REASONS for reason in reasons):
        raise ValueError(f"field 'reasons' must be a list of {', '.join(REASONS)}, not {reasons!r}")
    seconds = row.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float, type(None))):
        raise ValueError(f"field 'seconds' must be a number, not {kind_of(seconds)}")
    return Judgement(
        pair=_text(row, "pair", required=True),
        annotator=_text(row, "annotator", required=True),
        verdict=verdict,
        reasons=tuple(reasons),
        edited=_text(row, "edited"),
        comment=_text(row, "comment"),
        shown_first=_one_of(row, "shown_first", SHOWN),
        seconds=seconds,
        time=_text(row, "time"),
    )


def _read(path: Path, of_row: Callable[[Any], Read], what: str) -> Iterable[tuple[int, Read]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    yield number, of_row(json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8")))
                except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
                    cut = "" if line.endswith(b"\n") else " (the file ends within it)"
                    raise InputError(f"{path}, line {number} is not JSON in UTF-8{cut}; mend or remove it") from None
                except ValueError as error:
                    raise InputError(f"{path}, line {number} is not {what}: {error}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _check_object(row: Any) -> None:
    if not isinstance(row, dict):
        raise ValueError(f"it is {kind_of(row)}, not an object")
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it is not valid Unicode (a lone surrogate)") from None


def _prompt(value: Any) -> list[Message]:
    if isinstance(value, str):  # as people write a question by hand
        value = [{"role": "user", "content": value}]
    try:
        messages = messages_of_row({"messages": value}, "messages")
    except NotADialogue as error:
        raise ValueError(f"field 'prompt': {error}") from None
    if not messages or messages[-1]["role"] not in ("user", "tool"):
        raise ValueError("field 'prompt' must end with a message of the user (or of a tool)")
    return messages


def _answer(value: Any, what: str) -> CandidateAnswer:
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {kind_of(value)}, not an object with a text")
    try:
        return CandidateAnswer(_text(value, "text", required=True), _mapping(value, "provenance"))
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _text(row: dict, name: str, required: bool = False) -> str:
    value = row.get(name)
    value = "" if value is None else value
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} must be a text, not {kind_of(value)}")
    if required and not value.strip():
        raise ValueError(f"field {name!r} is missing or empty")
    return value


def _one_of(row: dict, name: str, known: tuple[str, ...]) -> str:
    value = row.get(name, "")
    if value not in known:
        raise ValueError(f"field {name!r} must be one of {', '.join(filter(None, known))}, not {value!r}")
    return value


def _mapping(row: dict, name: str) -> dict[str, Any]:
    value = row.get(name)
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise ValueError(f"field {name!r} must be an object, not {kind_of(value)}")
    return value
