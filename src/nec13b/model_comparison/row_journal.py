"""A file of rows that grows while a comparison runs: each row is on the disk before the next is worked on.

A row is found again by its key, so an interrupted comparison goes on where it was. A line that was being written when
the machine went down is cut off when the file is opened.
"""

import json
import os
from pathlib import Path
from typing import Any

from ..errors import InputError


class RowJournal:
    """Rows by key.

    Args:
        path: the JSONL file; it need not exist.
        key: the fields that name a row.

    Attributes:
        rows: those that are there.

    Raises:
        InputError: a line that is whole holds no such row.
    """

    def __init__(self, path: Path, key: tuple[str, ...]):
        self.path, self.key = path, key
        self.rows: dict[tuple, dict[str, Any]] = {}
        data = path.read_bytes() if path.is_file() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                row = json.loads(line)
                self.rows[tuple(row[name] for name in key)] = row
            except (ValueError, KeyError, TypeError):
                raise InputError(
                    f"{path}, line {number}: no row with {', '.join(key)}; remove the line, and it is made again"
                ) from None
        if len(whole) < len(data):
            with path.open("r+b") as file:
                file.truncate(len(whole))

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Writes rows; when this returns, they are on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with self.path.open("ab") as file:
            file.write(lines.encode("utf-8", errors="backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        self.rows |= {tuple(row[name] for name in self.key): row for row in rows}
