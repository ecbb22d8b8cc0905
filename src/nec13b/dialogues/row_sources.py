"""Entries that are read row by row, those of dialogues as those of preferences: their files, identity and places.

Entries are written as those of a corpus (`corpus/sources.py`) and read by the same code; what the rows hold is the
business of the rooms that read them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from ..corpus import Rejections, Source
from ..corpus.documents import LONE_SURROGATE
from ..corpus.file_formats import Rows, kind_of_rows_file, rows_of_hub_data_set, whole_rows_of_file
from ..corpus.sources import files_of, labelled, named_files
from ..errors import InputError
from ..run_record import MADE_NAME

PREPARED_NAMES = ("train.jsonl", "held_out.jsonl")
EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class RowSource(Source):
    """One place that rows are read from.

    Attributes:
        language: of rows that do not say theirs.
    """

    language: str = ""

    of: ClassVar[str] = "rows"
    kinds: ClassVar[tuple[str, str]] = ("JSONL, Parquet or JSON", ".jsonl, .parquet or .json (.gz, .zst)")
    sample_package: ClassVar[str]  # which has the built-in sample in its folder `sample`

    @classmethod
    def parse_all(cls, entries: Any) -> list[Self]:
        """The sources of a setting: one string or mapping, or a list of them; raises InputError."""
        if isinstance(entries, (str, dict, Source)):
            entries = [entries]
        if not entries:
            raise InputError(f"{cls.of} is empty; name at least one file, folder, hub: data set, or sample")
        sources = labelled([cls.parse(entry) for entry in entries])
        for source in sources:  # what is missing is found before any work starts
            source.files()
        return sources

    def check_option(self, name: str, known: tuple[str, ...]) -> None:
        """Raises InputError where an option is given that is none of those known."""
        value = getattr(self, name)
        if value and value not in known:
            raise InputError(
                f"{self.of} entry {self.location!r}: {name} must be one of {', '.join(known)}, not {value!r}"
            )

    def kind_of_file(self, path: Path) -> str:
        """What kind of file it is; empty where it is none of `kinds`."""
        return kind_of_rows_file(path)

    def files(self) -> list[tuple[str, str]]:
        """(path, how its rows are called) of each file; none of a Hub data set."""
        if self.hub_name:
            return []
        if self.is_sample:
            folder = Path(str(resources.files(self.sample_package) / "sample"))
            return [(str(file), f"{self.label}/{file.name}") for file in sorted(folder.glob("*.jsonl"))]
        folder = Path(self.location).expanduser().absolute()
        if (folder / MADE_NAME).is_file():  # of a prepared folder, not what was set aside
            prepared = [name for name in PREPARED_NAMES if (folder / name).is_file()]
            if prepared:
                return [(str(folder / name), f"{self.label}/{name}") for name in prepared]
        files = files_of(self, self.kind_of_file, *self.kinds)
        return named_files(self.label, files)

    def rows(self, rejections: Rejections, max_characters: int) -> list[tuple[str, str, Rows]]:
        """(file or data set, how its rows are called, rows with their numbers) of each part, read when gone through.

        Args:
            rejections: takes note of what cannot be read.
            max_characters: of a row; a line of far more is not even read into memory.
        """
        if self.hub_name:
            return [(self.location, self.label, rows_of_hub_data_set(self.hub_name, self.name, self.split))]
        return [(path, name, whole_rows_of_file(Path(path), rejections, max_characters)) for path, name in self.files()]


def sources_identity(sources: list[RowSource]) -> list[dict]:
    """What tells data from other data without reading it: the entries, and each local file's size and time."""
    identity = []
    for source in sources:
        entry: dict[str, Any] = dict(vars(source))
        if not source.is_sample and not source.hub_name:
            entry["location"] = str(Path(source.location).expanduser().absolute())
        stats = [(path, Path(path).stat()) for path, _ in source.files()]
        # The sample is told by its sizes: where a package lies and when it was installed does not matter.
        entry["files"] = [
            [Path(path).name, stat.st_size] if source.is_sample else [path, stat.st_size, stat.st_mtime_ns]
            for path, stat in stats
        ]
        identity.append(entry)
    return identity


class RowPlace(NamedTuple):
    """Where a row stands: the file, how its rows are called, and which one it is."""

    file: str
    name: str
    row: int | None

    @property
    def id(self) -> str:
        return self.name if self.row is None else f"{self.name}:{self.row}"


def reject_row(rejections: Rejections, at: RowPlace, reason: str, detail: str, row: Any, label: str) -> None:
    """Notes a row that cannot be used, with the beginning of what stands in it."""
    written = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, default=str)
    excerpt = LONE_SURROGATE.sub("\ufffd", written[:EXCERPT_CHARACTERS])
    rejections.add(at.file, at.row, reason, excerpt, detail=detail, label=label)


def holds_lone_surrogate(value: Any) -> bool:
    """Whether a value of JSON's types has a text in it that is not valid Unicode, and so cannot be written."""
    return LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False, default=str)) is not None


def numbered_rows(parts: list[tuple[str, str, Rows]]) -> Iterator[tuple[RowPlace, Any]]:
    """Each row with its place."""
    for file, name, rows in parts:
        for number, row in rows:
            yield RowPlace(file, name, number), row
