"""A file of what was made, a line each, on disk before the next step is taken.

It is the truth about a run; everything else is made from it. A line that was being written when the machine went down
is cut off when the journal is opened, and what it stood for is made anew.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from ..corpus import Rejections
from ..errors import InputError


class Row(Protocol):
    """What a journal keeps: something that can be written as JSON, and read again."""

    @classmethod
    def from_row(cls, row: Any) -> Self:
        """From a line; raises ValueError, TypeError or KeyError where it is none."""
        ...

    def to_row(self) -> dict[str, Any]:
        """As a line holds it."""
        ...


Record = TypeVar("Record", bound=Row)


class Journal(Generic[Record]):
    """An append-only file of records of one class.

    Args:
        path: the file.
        rejections: takes note of lines that cannot be read.
    """

    record_class: ClassVar[type[Row]]

    def __init__(self, path: Path, rejections: Rejections | None = None):
        self.path, self.rejections = path, rejections if rejections is not None else Rejections()
        self._file = None

    def records(self) -> Iterator[Record]:
        """The records in the order in which they came; what was tried again comes again."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return  # cut; `append` removes it
                try:
                    yield self.record_class.from_row(json.loads(line))
                except (ValueError, TypeError, KeyError, RecursionError):
                    what = self.record_class.__name__
                    self.rejections.add(str(self.path), number, f"no {what} can be read in the line", line)

    def append(self, record: Record) -> None:
        """Writes a record; when this returns, it is on the disk."""
        line = json.dumps(record.to_row(), ensure_ascii=False).encode("utf-8", errors="backslashreplace") + b"\n"
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
