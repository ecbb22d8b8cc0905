"""What people are asked to compare: a prompt and two answers of models, in a file of a pair a line (`pairs.jsonl`)."""

from dataclasses import dataclass, field
from typing import Any

from ..dialogues.dialogue import Message


@dataclass(frozen=True)
class CandidateAnswer:
    """An answer of a model.

    Attributes:
        text: what it said.
        provenance: model, temperature, seed, whether it came to its end; free.
    """

    text: str
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AnswerPair:
    """A prompt and two answers to it.

    Attributes:
        id: unique in a file; the judgements name it.
        prompt: ends with a user's (or a tool's) message.
        first, second: the answers. Their order says nothing, and people do not see it.
        source: where the prompt comes from.
        language: of the prompt, or empty.
        licence: of the prompt, or empty.
        provenance: why this pair was chosen (how far the answers differ); free.
    """

    id: str
    prompt: list[Message]
    first: CandidateAnswer
    second: CandidateAnswer
    source: str = ""
    language: str = ""
    licence: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_row(self) -> dict[str, Any]:
        """As a line of `pairs.jsonl` holds it; empty fields are left out."""
        answers = [{"text": a.text, **({"provenance": a.provenance} if a.provenance else {})}
                   for a in (self.first, self.second)]  # fmt: skip
        row = {"id": self.id, "prompt": self.prompt, "answers": answers, "source": self.source,
               "language": self.language, "licence": self.licence, "provenance": self.provenance}  # fmt: skip
        return {name: value for name, value in row.items() if value}
