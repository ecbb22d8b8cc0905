"""The journal of an amplification: one line for the outcome of each item."""

from dataclasses import asdict, dataclass
from typing import Any

from ..dialogues.dialogue import Dialogue
from ..generation.journal import Journal

KEPT, REJECTED, FAILED = OUTCOMES = ("kept", "rejected", "failed")


@dataclass
class Outcome:
    """What became of one item.

    Attributes:
        round, item: which item of which round, from 1.
        outcome: `kept`, `rejected` (it was written, and a check spoke against it) or `failed` (it could not be
            written).
        dialogue: as far as it was written.
        new_from: index of the first message that the model wrote.
        reason, detail: of a rejection or failure.
        requests, prompt_tokens, completion_tokens: what it took.
        unreadable_grades: replies in which no grade was to be found.
    """

    round: int
    item: int
    outcome: str
    dialogue: Dialogue
    new_from: int
    reason: str = ""
    detail: str = ""
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unreadable_grades: int = 0

    @property
    def number(self) -> tuple[int, int]:
        """(round, item)."""
        return self.round, self.item

    @property
    def new_messages(self) -> list:
        """The messages that the model wrote."""
        return self.dialogue.messages[self.new_from :]

    @classmethod
    def from_row(cls, row: Any) -> "Outcome":
        """From a line of the journal; raises ValueError or TypeError where it is none."""
        outcome = cls(**{**row, "dialogue": Dialogue(**row["dialogue"])})
        whole = "operation" in outcome.dialogue.provenance and all(isinstance(n, int) for n in outcome.number)
        if outcome.outcome not in OUTCOMES or not whole:
            raise ValueError("no outcome")
        return outcome

    def to_row(self) -> dict[str, Any]:
        """As a line of the journal holds it."""
        return {**asdict(self), "dialogue": {"messages": [], **self.dialogue.to_row()}}


class OutcomeJournal(Journal[Outcome]):
    """The outcomes of an amplification; an item that was tried again comes again."""

    record_class = Outcome
