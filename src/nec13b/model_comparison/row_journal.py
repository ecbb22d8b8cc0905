"""A journal of rows that are found again by a key, so that an interrupted comparison goes on where it was."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dialogues.prepared_folder import DialogueRejections
from ..errors import InputError
from ..generation.journal import Journal


@dataclass(frozen=True)
class ModelRow:
    """What one model did, or what was said of it, as a line holds it."""

    values: dict[str, Any]

    @classmethod
    def from_row(cls, row: Any) -> "ModelRow":
        """From a line; raises ValueError where it names no model."""
        if not isinstance(row, dict) or not isinstance(row.get("model"), str):
            raise ValueError("no model")
        return cls(row)

    def to_row(self) -> dict[str, Any]:
        """As a line holds it."""
        return self.values


class RowJournal(Journal[ModelRow]):
    """Rows by key.

    Args:
        path: the JSONL file; it need not exist.
        key: the fields that name a row.

    Attributes:
        rows: those that are there; of one that was written again the last.

    Raises:
        InputError: a whole line holds no such row.
    """

    record_class = ModelRow

    def __init__(self, path: Path, key: tuple[str, ...]):
        super().__init__(path, DialogueRejections())
        self.key = key
        self.rows: dict[tuple, dict[str, Any]] = {}
        try:
            self.rows = {self._key_of(record.values): record.values for record in self.records()}
        except KeyError as error:
            raise InputError(f"{path}: a row has no {error}; remove it, and it is made again") from None
        if self.rejections.first:
            raise InputError(f"{self.rejections.first[0]}; remove the line, and it is made again")

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Writes rows; when this returns, they are on the disk."""
        for row in rows:
            self.append(ModelRow(row))
            self.rows[self._key_of(row)] = row

    def _key_of(self, row: dict[str, Any]) -> tuple:
        return tuple(row[name] for name in self.key)
