"""What alignment learns from: a prompt with a better and a worse answer (section 5 of the paper)."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from ..dialogues.dialogue import Dialogue, Message


@dataclass(frozen=True)
class Preference:
    """One prompt with two answers, of which people preferred one.

    Attributes:
        prompt: the dialogue up to the question, system message and earlier turns included; ends with a user's (or a
            tool's) message.
        chosen, rejected: what follows the prompt; one message of the assistant each, as a rule.
        id: where it stands, `label/file:row`, or the id of the pair that was judged; unique in a data set.
        source: the label of the entry it came from.
        language: what the source says its language is (`ja`), or empty.
        licence: under which licence it may be used, or empty where nobody said.
        strength: `clear`, `slight`, or empty where nobody said: how much better the chosen answer is.
        provenance: of a judged pair: models, how many judged and how far they agreed; else empty.
    """

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    id: str = ""
    source: str = ""
    language: str = ""
    licence: str = ""
    strength: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A digest of prompt and both answers, white space aside: equal for preferences that say the same."""
        parts = [Dialogue(messages).key for messages in (self.prompt, self.chosen, self.rejected)]
        return hashlib.sha1(json.dumps(parts).encode()).hexdigest()

    @property
    def prompt_key(self) -> str:
        """A digest of the prompt alone."""
        return Dialogue(self.prompt).key

    def is_held_out(self, fraction: float) -> bool:
        """Whether it belongs to the held-out part; a pure function of how its prompt opens, as for dialogues."""
        return Dialogue(self.prompt).is_held_out(fraction)

    def to_row(self) -> dict[str, Any]:
        """As a line of JSONL holds it, and trl reads it; empty fields are left out."""
        row = {"prompt": self.prompt, "chosen": self.chosen, "rejected": self.rejected, "id": self.id,
               "source": self.source, "language": self.language, "licence": self.licence, "strength": self.strength,
               "provenance": self.provenance}  # fmt: skip
        return {name: value for name, value in row.items() if value}
