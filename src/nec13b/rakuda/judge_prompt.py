"""What a judge is told: a prompt with places for the question and both answers.

The texts of Rakuda's prompts are others' work and are not part of this project. Both versions are read from the files
in which they come: `rakuda_prompt.jsonl` (version 1, with `defaults`) and `judge_prompts.jsonl` (version 2). Where none
is named, a prompt of this project's own is taken, whose verdict is written in the same way.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..dialogues.dialogue import Message
from ..errors import InputError
from ..yaml_mapping import read_yaml_mapping
from .rakuda_rows import rows_of_places
from .verdicts import FORMATS, LAST_DIGIT

OWN_PROMPT = "own"
PLACES = {"question": "question", "answer_1": "first", "answer_a": "first", "answer_2": "second", "answer_b": "second"}
PLACE = re.compile(r"\{\{|\}\}|\{(\w+)\}")  # as str.format writes them, and nothing else of what that can do


@dataclass(frozen=True)
class JudgePrompt:
    """A prompt.

    Attributes:
        name: how it is called.
        system: the system message; may be empty.
        template: the user's message, with {question}, {answer_1} or {answer_a}, {answer_2} or {answer_b}.
        defaults: texts for further places.
        output_format: how the verdict is written, one of verdicts.FORMATS.
    """

    name: str
    system: str
    template: str
    defaults: dict[str, str] = field(default_factory=dict)
    output_format: str = LAST_DIGIT

    def messages(self, question: str, first: str, second: str) -> list[Message]:
        """What the judge is sent about one comparison."""
        texts = {"question": question, "first": first, "second": second}

        def filled(place: re.Match) -> str:
            if place[1] is None:
                return place[0][0]
            return texts[PLACES[place[1]]] if place[1] in PLACES else self.defaults[place[1]]

        content = PLACE.sub(filled, self.template)  # in one pass: braces within an answer stay as they are
        return [*([{"role": "system", "content": self.system}] if self.system else []),
                {"role": "user", "content": content}]  # fmt: skip

    @property
    def digest(self) -> str:
        """What tells this prompt from others, whatever it is called."""
        said = [self.system, self.template, self.defaults, self.output_format]
        return "sha256:" + hashlib.sha256(json.dumps(said, ensure_ascii=False, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_row(cls, row: dict[str, Any], where: str) -> "JudgePrompt":
        """From a row of a file; raises InputError where a part is missing or a place is unknown."""
        name = str(row.get("name") or row.get("prompt_id") or "")
        template, system = row.get("prompt_template"), row.get("system_prompt") or ""
        defaults = row.get("defaults") or {}
        output_format = row.get("output_format") or LAST_DIGIT
        if not isinstance(template, str) or not isinstance(system, str) or not isinstance(defaults, dict):
            raise InputError(f"{where}: a judge prompt needs prompt_template, and may have system_prompt and defaults")
        if row.get("type", "pairwise") != "pairwise" or output_format not in FORMATS:
            raise InputError(
                f"{where}: the prompt {name!r} is not for pairs, or its output_format is none of {', '.join(FORMATS)}"
            )
        places = {place for place in PLACE.findall(template) if place}
        if unknown := places - PLACES.keys() - defaults.keys():
            raise InputError(f"{where}: nothing is known to put in the place of {{{min(unknown)}}}")
        if {PLACES[place] for place in places & PLACES.keys()} != {"question", "first", "second"}:
            raise InputError(f"{where}: the prompt needs places for the question and both answers")
        return cls(name, system, template, {key: str(value) for key, value in defaults.items()}, output_format)


def read_judge_prompt(place: str, name: str = "") -> JudgePrompt:
    """The prompt of a file.

    Args:
        place: `own`, a YAML file with one prompt, or a file of rows with one or more.
        name: which, where there are several (`name` or `prompt_id`).

    Raises:
        InputError: there is no such file or prompt, or it cannot be used.
    """
    path = _own_prompt() if place == OWN_PROMPT else Path(place).expanduser()
    if path.suffix in (".yaml", ".yml"):
        rows = [read_yaml_mapping(path, "the judge prompt")]
    else:
        rejections = Rejections()
        rows = [row for _, _, row in rows_of_places([path], rejections)]
        if not rows:
            raise InputError(f"{path} holds no judge prompt: {rejections or 'it is empty'}")
    names = [str(row.get("name") or row.get("prompt_id") or "") for row in rows]
    if name and name not in names:
        raise InputError(f"{path} has no prompt {name!r}; it has {', '.join(names)}")
    if not name and len(rows) > 1:
        raise InputError(f"{path} has several prompts; choose one of {', '.join(names)} by --prompt_name")
    return JudgePrompt.from_row(rows[names.index(name)] if name else rows[0], str(path))


def _own_prompt() -> Path:
    return Path(str(resources.files("nec13b.rakuda") / "prompts" / "pair.ja.yaml"))
