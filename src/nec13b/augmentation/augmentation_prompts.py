"""The prompts by which a model writes new dialogues out of seeds: a YAML file for each set and language in `prompts/`.

Each operation is one prompt. An item notes the digest of the prompts that made it, so that items made by other
wording can be told apart for ever.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from ..dialogues.dialogue import Message
from ..errors import InputError
from ..yaml_mapping import read_yaml_mapping

FOLDER = Path(__file__).parent / "prompts"
OWN_SETS = ("full", "short")
LANGUAGES = ("ja", "en")
# (a) harder instructions, (b) more varied questions, (c) further turns.
HARDER = ("more_constraints", "more_reasoning", "longer_context")
VARIED = ("new_topic", "persona")
FURTHER = "further_turns"
OPERATIONS = (*HARDER, *VARIED, FURTHER)
# What each prompt may have filled in.
NAMED = dict.fromkeys(OPERATIONS, ("instruction", "dialogue", "topic", "persona")) | {"grade": ("question", "answer")}


@dataclass(frozen=True)
class PromptSet:
    """The prompts of one language.

    Attributes:
        language: ISO 639-1 code.
        templates: by operation, and `grade`; `string.Template`s.
        topics, personas: what `new_topic` and `persona` are about.
        names: how a transcript calls `user` and `assistant`.
    """

    language: str
    templates: dict[str, str]
    topics: tuple[str, ...]
    personas: tuple[str, ...]
    names: dict[str, str]

    def digest(self, name: str) -> str:
        """Tells one wording of a prompt from another; 16 hexadecimal digits."""
        return hashlib.sha256(self.templates[name].encode()).hexdigest()[:16]

    def subjects(self, choice: float) -> tuple[str, str]:
        """(topic, persona) that a number from 0 to 1 chooses."""
        topic, persona = divmod(int(choice * len(self.topics) * len(self.personas)), len(self.personas))
        return self.topics[topic], self.personas[persona]

    def for_question(self, operation: str, messages: list[Message], topic: str, persona: str) -> str:
        """The prompt that asks for a new instruction or a further message of the user.

        Args:
            operation: one of `OPERATIONS`.
            messages: the seed's.
            topic, persona: used by the operations that name them.
        """
        opening = next(message["content"] for message in messages if message["role"] == "user")
        return Template(self.templates[operation]).substitute(
            instruction=opening, dialogue=self.transcript(messages), topic=topic, persona=persona
        )

    def for_grade(self, messages: list[Message]) -> str:
        """The prompt that asks for a grade of the last answer; earlier turns stand before its question."""
        *before, question, answer = [message for message in messages if message["role"] != "system"]
        asked = f"{self.transcript(before)}\n\n{question['content']}" if before else question["content"]
        return Template(self.templates["grade"]).substitute(question=asked, answer=answer["content"])

    def transcript(self, messages: list[Message]) -> str:
        """The turns of user and assistant as text."""
        return "\n\n".join(
            f"{self.names[message['role']]}：{message['content']}" if self.language == "ja"
            else f"{self.names[message['role']]}: {message['content']}"
            for message in messages if message["role"] in self.names
        )  # fmt: skip


@cache
def prompts_in(language: str, name: str = "full") -> PromptSet:
    """The prompts of one language.

    Args:
        language: one of `LANGUAGES`.
        name: `full`, `short`, or a folder of the user's that holds `ja.yaml` and `en.yaml` like them.

    Raises:
        InputError: a file of the user's cannot be read, lacks a prompt, or names something that is not filled in.
    """
    path = FOLDER / f"{name}.{language}.yaml" if name in OWN_SETS else Path(name).expanduser() / f"{language}.yaml"
    values = read_yaml_mapping(FOLDER / f"subjects.{language}.yaml", "the subjects")
    values |= read_yaml_mapping(path, "the prompts")
    for key in (*OPERATIONS, "grade", "user", "assistant"):
        if not isinstance(values.get(key), str) or not values[key].strip():
            raise InputError(f"{path}: {key} is missing, or no text")
    for key, known in NAMED.items():
        template = Template(values[key])
        unknown = [each for each in template.get_identifiers() if each not in known]
        if unknown or not template.is_valid():
            what = f"${unknown[0]} is not filled in; known are {', '.join(known)}" if unknown else "a lone $; write $$"
            raise InputError(f"{path}: {key}: {what}")
    for key in ("topics", "personas"):
        if not isinstance(values[key], list) or not values[key]:
            raise InputError(f"{path}: {key} must be a list")
    return PromptSet(
        language=language,
        templates={key: values[key] for key in NAMED},
        topics=tuple(map(str, values["topics"])),
        personas=tuple(map(str, values["personas"])),
        names={role: values[role] for role in ("user", "assistant")},
    )
