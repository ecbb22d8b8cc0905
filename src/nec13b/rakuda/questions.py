"""Questions of Rakuda, or in its format: from a file, a folder, the Hub, or the four that come with this project."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..errors import InputError, one_line
from .rakuda_rows import files_of_places, rows_of_places

HUB_DATA_SET = "yuzuai/rakuda-questions"
HUB_PREFIX = "hub:"
# What the 40 questions of Rakuda (the same in version 1 and 2) say, by `digest_of`: other texts give other results.
RAKUDA_DIGEST = "sha256:73b5f7f7054bd2c9779e3d27971e309868e10b21353e8890a0dc4467f3638243"


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        id: unique among the questions.
        text: what is asked.
        category: 地理, 政治, 歴史, 社会, or any other; may be empty.
    """

    id: str
    text: str
    category: str = ""


def read_questions(place: str, rejections: Rejections, revision: str | None = None) -> list[Question]:
    """The questions of a place, in their order.

    Args:
        place: `sample`, a file, a folder with a file of questions, or `hub:` with the name of a data set.
        rejections: takes note of rows that hold no question.
        revision: of the data set on the Hub.

    Raises:
        InputError: the place does not exist, or holds no question.
    """
    if place.startswith(HUB_PREFIX):
        rows = _hub_rows(place.removeprefix(HUB_PREFIX) or HUB_DATA_SET, revision)
    else:
        # Of a folder that holds version 1 and 2, the later file.
        rows = rows_of_places(files_of_places([place], "questions")[-1:], rejections)
    found: dict[str, Question] = {}
    for path, line, row in rows:
        question = _question_of(row)
        if question is None:
            rejections.add(str(path), line, "no question in fields question_id and turns or text", str(row))
        elif question.id in found:
            rejections.add(str(path), line, "the same question_id a second time", question.id)
        else:
            found[question.id] = question
    if not found:
        raise InputError(f"no question can be read in {place}: {rejections or 'it is empty'}")
    return list(found.values())


def digest_of(questions: Sequence[Question]) -> str:
    """What tells these questions from others, whatever their order."""
    said = sorted((question.id, question.text) for question in questions)
    return "sha256:" + hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def _question_of(row: dict[str, Any]) -> Question | None:
    turns = row.get("turns")
    text = turns[0] if isinstance(turns, list) and turns else row.get("text") or row.get("question")
    if not isinstance(text, str) or not text.strip() or row.get("question_id") in (None, ""):
        return None
    return Question(str(row["question_id"]), text, str(row.get("category") or ""))


def _hub_rows(name: str, revision: str | None):
    from datasets import load_dataset

    try:
        rows = load_dataset(name, revision=revision, split="train")
    except Exception as error:  # no network, no such data set, no access: each has its own kind
        raise InputError(
            f"cannot load {name} from the Hub ({one_line(error)}); "
            "name a file with its questions instead by --questions"
        ) from None
    for number, row in enumerate(rows, start=1):
        yield Path(name), number, dict(row)
