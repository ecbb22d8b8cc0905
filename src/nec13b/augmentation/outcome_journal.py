"""The journal of an amplification: one line for the outcome of each item, on disk before the next step is taken.

It is the truth about a run; everything else is made from it. A line that was being written when the machine went down
is cut off when the journal is opened, and its item is made anew.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..dialogues.dialogue import Dialogue
from ..errors import InputError

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


@dataclass
class OutcomeJournal:
    """An append-only file of outcomes.

    Attributes:
        path: the file.
        rejections: takes note of lines that cannot be read.
    """

    path: Path
    rejections: Rejections = field(default_factory=Rejections)

    def __post_init__(self):
        self._file = None

    def outcomes(self) -> Iterator[Outcome]:
        """The outcomes in the order in which they came; an item that was tried again comes again."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return  # cut; `append` removes it
                try:
                    yield Outcome.from_row(json.loads(line))
                except (ValueError, TypeError, KeyError, RecursionError):
                    self.rejections.add(str(self.path), number, "no outcome can be read in the line", line)

    def append(self, outcome: Outcome) -> None:
        """Writes an outcome; when this returns, it is on the disk."""
        line = json.dumps(outcome.to_row(), ensure_ascii=False).encode("utf-8", errors="backslashreplace") + b"\n"
        try:
            if self._file is None:
                self._file = self._opened()
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError(
                f"cannot write {self.path} ({error.strerror}); mend that, and run the command again"
            ) from None

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self):
        """The file, opened for appending at the end of its last whole line."""
        file = self.path.open("a+b")
        size = whole = file.seek(0, os.SEEK_END)
        while whole:
            start = max(0, whole - 65_536)
            file.seek(start)
            newline = file.read(whole - start).rfind(b"\n")
            if newline >= 0:
                whole = start + newline + 1
                break
            whole = start
        if whole < size:
            file.truncate(whole)
        return file
