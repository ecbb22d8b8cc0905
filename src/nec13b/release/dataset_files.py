"""The files of a data set as they are published: those of a cleaned corpus as they are, rows of the others anew.

A corpus may be terabytes, so its files are linked, byte for byte those that training reads. Dialogues and preferences
are small, and their rows lose `provenance`, which may name annotators. `columns` go into the card's metadata, since
rows leave out empty fields and no reader could tell the columns from the first ones.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corpus.documents import SPLITS
from ..corpus.personal_data import MARKS
from ..corpus.sources import CLEAN_DOCUMENTS_NAME, CLEAN_MARK_NAME
from ..dialogues.prepared_folder import REPORT_NAME, rows_of
from ..errors import InputError
from ..run_record import MADE_NAME, RECORD_NAME, UNFINISHED, read_json
from .stage_records import StageRecord

CORPUS, DIALOGUES, PREFERENCES = "clean_corpus", "prepare_dialogues", "prepare_preferences"
RECIPES = {kind: f"recipes/{kind}.py" for kind in (CORPUS, DIALOGUES, PREFERENCES)}
PROVENANCE = "provenance"
Column = dict[str, Any]


def _columns(**types: str) -> list[Column]:
    return [{"name": name, "dtype": dtype} for name, dtype in types.items()]


def _messages(name: str) -> Column:
    return {"name": name, "list": _columns(role="string", content="string")}


STRINGS = dict.fromkeys(("id", "source", "language", "licence"), "string")
COLUMNS: dict[str, list[Column]] = {
    CORPUS: [
        *_columns(id="string", text="string", domain="string", source="string", language="string", licence="string",
                  source_id="string", url="string", group="string", split="string", kind="string", quality="float64",
                  cut_lines="int64"),
        {"name": "masked", "struct": _columns(**dict.fromkeys(MARKS, "int64"))},
        *_columns(repaired="bool"),
    ],
    DIALOGUES: [_messages("messages"), *_columns(**STRINGS)],
    PREFERENCES: [*map(_messages, ("prompt", "chosen", "rejected")), *_columns(**STRINGS, strength="string")],
}  # fmt: skip


@dataclass(frozen=True)
class DatasetFolder:
    """A folder that a recipe has made, and what is published of it.

    Attributes:
        folder: where it lies.
        kind: the recipe, `clean_corpus`, `prepare_dialogues` or `prepare_preferences`.
        record: of that run.
        report: its report.json.
        with_provenance: whether rows keep how they came about.
    """

    folder: Path
    kind: str
    record: StageRecord
    report: dict[str, Any]
    with_provenance: bool = False

    @classmethod
    def open(cls, name: str, with_provenance: bool = False) -> "DatasetFolder":
        """Opens a folder.

        Args:
            name: of the folder.
            with_provenance: whether rows keep how they came about.

        Raises:
            InputError: no recipe has made it, or the making has not ended.
        """
        folder = Path(name).expanduser()
        recipes = ", ".join(RECIPES.values())
        if not (folder / RECORD_NAME).is_file():
            raise InputError(
                f"{folder} holds no {RECORD_NAME}, so it is no data set that has ended; {recipes} make one"
            )
        values = read_json(folder / RECORD_NAME, recipes)
        kind = values.get("stage")
        if kind not in RECIPES:
            raise InputError(f"{folder} was made by {kind!r}; what can be published is made by {recipes}")
        mark = folder / (CLEAN_MARK_NAME if kind == CORPUS else MADE_NAME)
        if not mark.is_file() or read_json(mark, RECIPES[kind]) == UNFINISHED:
            raise InputError(f"{folder} holds a run that has not ended; run {RECIPES[kind]} again")
        report = read_json(folder / REPORT_NAME, RECIPES[kind])
        return cls(folder, kind, StageRecord(kind, folder.resolve(), values), report, with_provenance)

    @property
    def columns(self) -> list[Column]:
        """Name and type of each column, as `dataset_info` has them."""
        with_provenance = self.with_provenance and self.kind != CORPUS
        return COLUMNS[self.kind] + (_columns(provenance="json") if with_provenance else [])

    def counts(self) -> dict[str, int]:
        """Rows by split, as the report has counted them; without splits that are empty."""
        kept = self.report["kept"]
        if self.kind == CORPUS:
            counts = {
                split: sum(part["documents"] for part in kept["parts"] if part["split"] == split) for split in SPLITS
            }
        else:
            counts = {split: kept[split] for split in SPLITS}
        return {split: count for split, count in counts.items() if count}

    def patterns(self) -> dict[str, str]:
        """Which files hold which split."""
        form = f"{CLEAN_DOCUMENTS_NAME}/{{}}/**/*.jsonl.zst" if self.kind == CORPUS else "{}.jsonl"
        return {split: form.format(split) for split in self.counts()}

    def files(self) -> list[tuple[str, int]]:
        """(name, bytes) of each file of data that is published.

        Raises:
            InputError: the files are not those of the report.
        """
        if self.kind == CORPUS:
            return [(name, (self.folder / name).stat().st_size) for name in self._names_of_documents()]
        return [(f"{split}.jsonl", sum(map(len, self._lines(split)))) for split in self.counts()]

    def write(self, folder: Path) -> None:
        """Puts the files of data into a folder; raises InputError where they are not those of the report."""
        if self.kind == CORPUS:
            for name in self._names_of_documents():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(self.folder / name, folder / name)
            return
        for split in self.counts():
            with (folder / f"{split}.jsonl").open("wb") as file:
                file.writelines(self._lines(split))

    def _names_of_documents(self) -> list[str]:
        names = [
            path.relative_to(self.folder).as_posix()
            for split in self.counts()
            for path in sorted((self.folder / CLEAN_DOCUMENTS_NAME / split).rglob("*.jsonl.zst"))
        ]
        missing = [split for split in self.counts() if not any(name.split("/")[1] == split for name in names)]
        if missing:
            raise InputError(f"{self.folder} lacks its documents of {missing[0]}; run {RECIPES[self.kind]} again")
        return names

    def _lines(self, split: str) -> Iterator[bytes]:
        path, wanted, count = self.folder / f"{split}.jsonl", self.counts()[split], 0
        try:
            for row in rows_of(path):
                count += 1
                if not self.with_provenance:
                    row.pop(PROVENANCE, None)
                yield (json.dumps(row, ensure_ascii=False) + "\n").encode()
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"{path} cannot be read ({error}); make it again with {RECIPES[self.kind]}") from None
        if count != wanted:
            raise InputError(f"{path} holds {count:,} rows, its report says {wanted:,}; run {RECIPES[self.kind]} again")


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name for the same file where the file system can; else a copy."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy2(source, target)
