"""What a dialogue is: messages with roles, where it came from, and on which side of the split it falls."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, TypedDict

CHARACTERS_OF_AN_OPENING = 16  # fewer are a greeting; the next message counts too then
ROLES = ("system", "user", "assistant", "tool")


class Message(TypedDict):
    """One message: who speaks (`ROLES`) and what is said."""

    role: str
    content: str


@dataclass(frozen=True)
class Dialogue:
    """One conversation.

    Attributes:
        messages: in order; a system message, if any, comes first.
        id: where it stands, `label/file:row`, or what an amplification calls it; unique in a data set.
        source: the label of the entry it came from.
        language: what the source says its language is (`ja`), or empty.
        licence: under which licence it may be used, or empty where nobody said.
        provenance: of a generated one: from which seed, by which model, prompt and settings; else empty.
    """

    messages: list[Message]
    id: str = ""
    source: str = ""
    language: str = ""
    licence: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A digest of roles and contents, white space aside: equal for dialogues that say the same."""
        said = [(m["role"], " ".join(m["content"].split())) for m in self.messages]
        return hashlib.sha1(json.dumps(said, ensure_ascii=False).encode()).hexdigest()

    @property
    def opening(self) -> str:
        """How it opens, white space aside: the first message, and those after it while that is only a greeting."""
        opening = ""
        for message in self.messages:
            if message["role"] != "system" and len(opening) < CHARACTERS_OF_AN_OPENING:
                opening += " ".join(message["content"].split()) + "\n"
        return opening

    def is_held_out(self, fraction: float) -> bool:
        """Whether it belongs to the held-out part; a pure function of its opening.

        So neither reordering nor added data moves a dialogue, and dialogues that go on from the same question, as the
        branches of a tree do, stay on one side. A greeting alone does not decide, or hundreds would go with it.
        """
        digest = hashlib.sha1(self.opening.encode()).digest()
        return int.from_bytes(digest[:8], "big") < fraction * 2**64

    def to_row(self) -> dict[str, Any]:
        """As a line of JSONL holds it; empty fields are left out."""
        row = {"messages": self.messages, "id": self.id, "source": self.source, "language": self.language,
               "licence": self.licence, "provenance": self.provenance}  # fmt: skip
        return {name: value for name, value in row.items() if value}
