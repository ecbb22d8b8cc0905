"""The folder that a preparation leaves, of dialogues as of preferences, and what is common to making and reading it.

train.jsonl, held_out.jsonl     a row a line
rejected.jsonl                  what was set aside: file, line, reason, detail, and the row's content where it has some
report.json, report.html        what there is, and what is wrong with the rest
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from ..corpus import Rejections
from ..errors import InputError
from ..run_record import MADE_NAME, UNFINISHED, read_json
from .row_sources import PREPARED_NAMES

TRAIN_NAME, HELD_OUT_NAME = PREPARED_NAMES
REJECTED_NAME = "rejected.jsonl"
REPORT_NAME, PAGE_NAME = "report.json", "report.html"
FIRST_CASES = 10
Item = TypeVar("Item")


class DialogueRejections(Rejections):
    """Rejections that remember the first cases, for the message of a strict run."""

    things: ClassVar[str] = "dialogues"
    thing: ClassVar[str] = "dialogue"

    def __init__(self, path: str | os.PathLike | None = None):
        super().__init__(path)
        self.first: list[str] = []

    def add(self, source: str, line: int | None, reason: str, excerpt: str | bytes = b"", **more: Any) -> None:
        super().add(source, line, reason, excerpt, **more)
        if len(self.first) < FIRST_CASES:
            where = source if line is None else f"{source}, line {line}"
            self.first.append(f"{where}: {reason}" + (f" ({more['detail']})" if more.get("detail") else ""))

    def refuse(self) -> None:
        """Raises InputError where there is any case, and lists the first."""
        if not self.counts:
            return
        more = self.counts.total() - len(self.first)
        ending = f"\n  ... and {more:,} more" if more > 0 else ""
        where = f" All stand in {self.path}." if self.path else ""
        raise InputError(
            f"{self.counts.total():,} {self.things} or rows cannot be used as they are, and --strict was asked for:\n  "
            + "\n  ".join(self.first) + f"{ending}\nMend them, or leave out --strict to set them aside.{where}"
        )  # fmt: skip

    def refuse_without(self, train: Any) -> None:
        """Raises InputError where nothing is left to train on, and says why."""
        if not train:
            where = f" (see {self.path})" if self.path else ""
            said = f"; set aside: {self}{where}" if self.counts else ""
            raise InputError(f"no {self.thing} is left to train on{said}")


class SplitFiles:
    """The files of a preparation while it runs: each takes its name when it is whole.

    Args:
        output: the folder; made where it is missing.
    """

    def __init__(self, output: Path):
        self.output = output
        output.mkdir(parents=True, exist_ok=True)
        self._temporary = {name: output / f".{name}.tmp" for name in (*PREPARED_NAMES, REJECTED_NAME)}
        self.rejected = self._temporary[REJECTED_NAME]  # where to note what is set aside

    def __enter__(self) -> Self:
        self._files = [self._temporary[name].open("w", encoding="utf-8") for name in PREPARED_NAMES]
        return self

    def __exit__(self, *_) -> None:
        for file in self._files:
            file.close()
        for path in self._temporary.values():
            path.unlink(missing_ok=True)

    def write(self, row: dict, is_held_out: bool) -> None:
        self._files[is_held_out].write(json.dumps(row, ensure_ascii=False, default=str) + "\n")

    def keep_rejected(self, rejections: Rejections) -> None:
        """Gives what was set aside its name; it stays there, whatever becomes of the rest."""
        self.rejected.touch()
        os.replace(self.rejected, self.output / REJECTED_NAME)
        rejections.path = self.output / REJECTED_NAME

    def keep_split(self) -> None:
        """Gives both sides of the split their names."""
        for file, name in zip(self._files, PREPARED_NAMES):
            file.close()
            os.replace(self._temporary[name], self.output / name)


def is_prepared(entry: Any) -> bool:
    """Whether an entry names a folder that a preparation has written."""
    return isinstance(entry, (str, os.PathLike)) and (Path(entry).expanduser() / MADE_NAME).is_file()


def split_of_entries(
    entries: Any,
    is_folder: Callable[[Any], bool],
    read_folder: Callable[[str], tuple[Iterable[Item], Iterable[Item]]],
    read_others: Callable[[list], Iterable[tuple[Item, bool]]],
) -> tuple[list[Item], list[Item]]:
    """Training and held-out items of entries: a prepared folder keeps its split, the others are read and split now.

    Args:
        entries: of a setting: one, or a list.
        is_folder: whether an entry is a prepared folder.
        read_folder: the two sides of a prepared folder.
        read_others: each item of the other entries, and whether it is held out; also told if there are no entries.
    """
    entries = [entries] if isinstance(entries, str) else list(entries)
    folders = [entry for entry in entries if is_folder(entry)]
    sides: tuple[list[Item], list[Item]] = ([], [])
    for folder in folders:
        for side, items in zip(sides, read_folder(folder)):
            side += items
    others = [entry for entry in entries if entry not in folders]
    if others or not folders:
        for item, is_held_out in read_others(others):
            sides[is_held_out].append(item)
    return sides


def read_split(
    folder: str | os.PathLike, of_row: Callable[[dict], Item], what: str, made_by: str
) -> tuple[list[Item], list[Item]]:
    """The items of a prepared folder, with their split.

    Args:
        folder: as a preparation has left it.
        of_row: makes an item of a row; raises ValueError, TypeError, KeyError or AttributeError where it is none.
        what: what an item is called, for messages.
        made_by: the recipe that makes the folder.

    Raises:
        InputError: the preparation has not ended, or a line is not what it should be.
    """
    folder = Path(folder).expanduser()
    if read_json(folder / MADE_NAME, made_by) == UNFINISHED:
        raise InputError(f"{folder} holds a preparation that has not ended; run {made_by} again")
    train, held_out = (list(_read_rows(folder / name, of_row, what, made_by)) for name in PREPARED_NAMES)
    return train, held_out


def rows_of(path: Path) -> Iterator[dict]:
    """The rows of a file that a preparation has written."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _read_rows(path: Path, of_row: Callable[[dict], Item], what: str, made_by: str) -> Iterator[Item]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    yield of_row(json.loads(line))
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    raise InputError(
                        f"{path}, line {number} is not a prepared {what} ({error}); mend it, or run {made_by} again"
                    ) from None
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {made_by} makes it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); make it again with {made_by}") from None
