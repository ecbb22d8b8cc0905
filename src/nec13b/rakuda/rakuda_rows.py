"""The rows of Rakuda's files: questions, answers, reviews, matches, one JSON object a line."""

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..corpus.documents import LONE_SURROGATE
from ..corpus.file_formats import kind_of_rows_file, whole_rows_of_file
from ..errors import InputError

LONGEST_TEXT = 200_000  # characters of a row; an answer has a few hundred
SAMPLE = "sample"


def sample_file(name: str) -> Path:
    """A file of the built-in sample: `questions`, `answers` or `reviews`."""
    return Path(str(resources.files("nec13b.rakuda") / "sample" / f"{name}.jsonl"))


def files_of_places(places: Sequence[str | Path], kind: str) -> list[Path]:
    """The files that places name: `sample`, a file, or a folder with files whose name holds the kind, or any at all.

    Args:
        places: as the user wrote them.
        kind: `questions`, `answers` or `reviews`.

    Raises:
        InputError: a place does not exist or holds no file of rows.
    """
    found: list[Path] = []
    for place in places:
        path = sample_file(kind) if str(place) == SAMPLE else Path(place).expanduser()
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if kind_of_rows_file(file) and file.name[0] != ".")
            chosen = [file for file in files if kind in file.name] or files
            if not chosen:
                raise InputError(f"{path} holds no JSONL file with {kind}")
            found += chosen
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path} does not exist; name a JSONL file with {kind}, a folder, or sample")
    return found


def rows_of_places(paths: Sequence[Path], rejections: Rejections) -> Iterator[tuple[Path, int | None, dict[str, Any]]]:
    """(file, line, row) of each row that is an object of valid Unicode; the others are noted.

    Raises:
        InputError: a file does not exist.
    """
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path} does not exist")
        for line, row in whole_rows_of_file(path, rejections, LONGEST_TEXT):
            if not isinstance(row, dict):
                rejections.add(str(path), line, "the line holds no JSON object", str(row))
            elif LONE_SURROGATE.search(str(row)):
                rejections.add(str(path), line, "not valid Unicode", ascii(row))
            else:
                yield path, line, row
