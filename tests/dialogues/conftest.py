"""Dialogues in a line or two, and files of them."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard

ROLES = {"S": "system", "U": "user", "A": "assistant", "T": "tool"}


@pytest.fixture(scope="session")
def messages_of():
    """Messages out of `U question`, `A answer` and so on; a longer first word is the role itself."""

    def make(*lines: str) -> list[dict[str, str]]:
        parts = [line.partition(" ") for line in lines]
        return [{"role": ROLES.get(role, role), "content": content} for role, _, content in parts]

    return make


@pytest.fixture(scope="session")
def write_rows():
    """Writes rows as JSONL, compressed as the file is named, or as one JSON array; returns the path as a text."""

    def write(path: Path, rows) -> str:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        data = (json.dumps(list(rows), ensure_ascii=False, indent=1) if path.suffix == ".json" else lines).encode()
        if path.suffix == ".gz":
            data = gzip.compress(data)
        path.write_bytes(zstandard.compress(data) if path.suffix == ".zst" else data)
        return str(path)

    return write
