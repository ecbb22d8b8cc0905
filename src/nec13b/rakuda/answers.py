"""Answers of models to Rakuda's questions, in files of an answer a line (`answers.jsonl`).

Rakuda's own files are read as well: version 1 (field `text`) and version 2 (`choices`, FastChat's). Files written here
are of the second kind, so that Rakuda's own scripts read them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..corpus import Rejections
from ..errors import InputError
from .rakuda_rows import files_of_places, rows_of_places


@dataclass(frozen=True)
class ModelAnswer:
    """An answer of a model to a question.

    Attributes:
        question_id: of the question.
        model: how the model is called.
        text: what it said; may be empty, as some models say nothing.
        provenance: checkpoint, sampling, tokens, time, whether it came to its end; free.
    """

    question_id: str
    model: str
    text: str
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: Any) -> "ModelAnswer":
        """From a line; raises ValueError, TypeError or KeyError where it holds no answer."""
        if "choices" in row:
            text = row["choices"][0]["turns"][0]
        else:
            text = row["text"] if "text" in row else row["answer"]
        model = row["model_id"] if "model_id" in row else row["model"]
        if not isinstance(text, str) or not isinstance(model, str) or not model or not row["question_id"]:
            raise ValueError("no answer")
        provenance = row.get("provenance") or {}
        return cls(str(row["question_id"]), model, text, provenance if isinstance(provenance, dict) else {})

    def to_row(self) -> dict[str, Any]:
        """As a line of `answers.jsonl`."""
        choices = [{"index": 0, "turns": [self.text]}]
        row = {"question_id": self.question_id, "model_id": self.model, "choices": choices}
        return row | ({"provenance": self.provenance} if self.provenance else {})


Answers = dict[str, dict[str, ModelAnswer]]  # by model, then by question


def read_answers(places: Sequence[str], rejections: Rejections) -> Answers:
    """The answers of all places, by model and question.

    Two files, or two values of `_file` in one, may call their models alike; the second is then called `model (file)`.

    Args:
        places: `sample`, files, or folders of files.
        rejections: takes note of lines that hold no answer.

    Raises:
        InputError: a place does not exist, or holds no answer.
    """
    found: Answers = {}
    names: dict[tuple[str, str, str], str] = {}  # of (model, file, `_file`)
    for path, line, row in rows_of_places(files_of_places(places, "answers"), rejections):
        try:
            answer = ModelAnswer.from_row(row)
        except (ValueError, TypeError, KeyError, IndexError):
            rejections.add(str(path), line, "no answer can be read in the line", str(row))
            continue
        stem, part = path.name.removesuffix(".gz").removesuffix(".jsonl"), str(row.get("_file") or "")
        name = names.get((answer.model, stem, part))
        if name is None:
            candidates = (answer.model, f"{answer.model} ({part or stem})", f"{answer.model} ({stem} {part})")
            name = next((each for each in candidates if each not in found), candidates[-1])
            names[answer.model, stem, part] = name
        if name != answer.model:
            answer = ModelAnswer(answer.question_id, name, answer.text, answer.provenance)
        if answer.question_id in found.setdefault(name, {}):
            rejections.add(str(path), line, "a second answer of a model to the same question", str(row))
            continue
        found[name][answer.question_id] = answer
    if not found:
        raise InputError(f"no answer can be read in {', '.join(map(str, places))}: {rejections or 'nothing is there'}")
    return found


def checkpoints_of(answers: Answers) -> dict[str, list[str]]:
    """By model, [checkpoint, fingerprint] of what answered, as the answers say; without those that do not say it."""
    found = {}
    for model, by_question in answers.items():
        said = {
            (str(answer.provenance.get("checkpoint", "")), str(answer.provenance.get("fingerprint", "")))
            for answer in by_question.values()
        }
        if len(said) == 1 and (only := said.pop())[0]:
            found[model] = list(only)
    return found


def chosen(answers: Answers, models: Sequence[str]) -> Answers:
    """The answers of some models, in the order in which they are named; of all where none is.

    Raises:
        InputError: there is no such model.
    """
    for name in models:
        if name not in answers:
            raise InputError(f"there are no answers of {name!r}; there are those of {', '.join(answers)}")
    return {name: answers[name] for name in models or answers}
