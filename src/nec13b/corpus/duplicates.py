"""Exact duplicates across a corpus, and dropping duplicates of either sort with a word on what they duplicate.

Two texts are the same where they differ in white space only. Every part writes a hash of each of its texts, divided by
hash; each division is sorted; and of equal texts the first in the order of the corpus stays, so list the better source
first. (datatrove's blocks for this do not tell which document it was that stayed, and open a file of every part at
once.)
"""

from pathlib import Path

import numpy as np
import orjson
import xxhash
from datatrove.data import Document as Row
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.disk_base import DiskWriter

from .blocks import Reject

TEXT = np.dtype([("hash", "<u8"), ("row", "<u4")])
# A document that goes: its row in the part, and where the one stands that it duplicates.
DUPLICATE = np.dtype([("row", "<u4"), ("first_part", "<u4"), ("first_row", "<u4")])


def hash_of_text(text: str) -> int:
    """A 64-bit hash of the text without its white space."""
    return xxhash.xxh64_intdigest("".join(text.split()).encode())


def divisions(hashes: np.ndarray, splits: int) -> np.ndarray:
    """Where to cut sorted 64-bit hashes into `splits` ranges of equal width: indices, shape (splits - 1,).

    A hash h falls into range h * splits >> 64.
    """
    edges = np.array([-(-(split << 64) // splits) for split in range(1, splits)], np.uint64)
    return np.searchsorted(hashes, edges)


def division_file(folder: str | Path, split: int, part: int) -> Path:
    """Where what a part has in a division lies."""
    return Path(folder) / f"{split:04d}" / f"{part:05d}.bin"


class WriteTextHashes(PipelineStep):
    """Writes the hashes of a part's texts, divided by hash, and the ids of its documents. One task a part.

    Args:
        folder: gets one file a division and part, of (hash, row), sorted.
        identifiers: gets the ids, for `DropDuplicates`.
        splits: in how many tasks the next step searches.
    """

    type = "🫂 - DEDUP"
    name = "text hashes"

    def __init__(self, folder: Path, identifiers: Path, splits: int):
        super().__init__()
        self.folder, self.identifiers, self.splits = folder, identifiers, splits

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:
        hashes, rows, ids = [], [], []
        for row in data:
            with self.track_time():
                hashes.append(hash_of_text(row.text))
                rows.append(row.metadata["row"])
                ids.append(orjson.dumps(row.id))
        texts = np.zeros(len(hashes), TEXT)
        texts["hash"], texts["row"] = np.array(hashes, np.uint64), np.array(rows, np.uint32)
        texts.sort(order=("hash", "row"))
        for split, chosen in enumerate(np.split(texts, divisions(texts["hash"], self.splits))):
            path = division_file(self.folder, split, rank)
            path.parent.mkdir(parents=True, exist_ok=True)
            chosen.tofile(path)
        self.identifiers.mkdir(parents=True, exist_ok=True)
        names, ends = _identifier_files(self.identifiers, rank)
        names.write_bytes(b"".join(ids))
        np.cumsum([0, *map(len, ids)]).astype("<u8").tofile(ends)


def _identifier_files(folder: Path, part: int) -> tuple[Path, Path]:
    return folder / f"{part:05d}.json", folder / f"{part:05d}.ends"


class FindExactDuplicates(PipelineStep):
    """Finds the texts that stand in the corpus already. One task a division, which it holds in memory, 32 bytes a text.

    Args:
        folder: from `WriteTextHashes`.
        found: gets a file for each part, as `DropDuplicates` reads them.
    """

    type = "🫂 - DEDUP"
    name = "exact duplicates"

    def __init__(self, folder: Path, found: Path):
        super().__init__()
        self.folder, self.found = folder, found

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> None:
        with self.track_time():
            files = sorted((self.folder / f"{rank:04d}").glob("*.bin"))
            each = [np.fromfile(file, TEXT) for file in files]
            texts = np.concatenate([np.zeros(0, TEXT), *each])
            parts = np.repeat(np.array([int(file.stem) for file in files], np.uint32), [len(own) for own in each])
            order = np.argsort(texts["hash"], kind="stable")  # equal texts stay in the order of the corpus
            hashes = texts["hash"][order]
            is_first = np.diff(hashes, prepend=~hashes[:1]) != 0
            first = order[np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))]
            again, first = order[~is_first], first[~is_first]
            duplicates = np.zeros(len(again), DUPLICATE)
            duplicates["row"] = texts["row"][again]
            duplicates["first_part"], duplicates["first_row"] = parts[first], texts["row"][first]
            self.stat_update("found", value=len(again))
            write_duplicates(self.found, rank, parts[again], duplicates)


def write_duplicates(folder: Path, split: int, parts: np.ndarray, duplicates: np.ndarray) -> None:
    """Writes what has been found, one file for each part that has any.

    Args:
        folder: for `DropDuplicates`.
        split: which task has found it.
        parts: the part of each duplicate, shape (duplicates,).
        duplicates: of type DUPLICATE, shape (duplicates,).
    """
    order = np.lexsort((duplicates["row"], parts))
    parts, duplicates = parts[order], duplicates[order]
    present, begins = np.unique(parts, return_index=True)
    for part, chosen in zip(present.tolist(), np.split(duplicates, begins[1:])):
        path = division_file(folder, split, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen.tofile(path)


class DropDuplicates(Reject):
    """Drops the documents that were found to be duplicates, each with the id of the one that stays. One task a part.

    Args:
        found: from `FindExactDuplicates` or `KeepFirstOfCluster`.
        identifiers: from `WriteTextHashes`.
        name: the reason.
        exclusion_writer: takes the documents that are dropped.
    """

    def __init__(self, found: Path, identifiers: Path, name: str, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.found, self.identifiers, self.name = found, identifiers, name

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        files = sorted(self.found.glob(f"*/{rank:05d}.bin"))
        duplicates = np.concatenate([np.zeros(0, DUPLICATE), *(np.fromfile(file, DUPLICATE) for file in files)])
        self.first_of = {row: (part, first) for row, part, first in duplicates.tolist()}
        return super().run(data, rank, world_size)

    def filter(self, row: Row) -> bool | tuple[bool, str]:
        first = self.first_of.get(row.metadata["row"])
        if first is None:
            return True
        # Only a step that writes down what it drops needs to know the id.
        first_id = self._identifier(*first) if self.exclusion_writer else ""
        return self.reject(row, self.name, f"duplicate of {first_id}")

    def _identifier(self, part: int, row: int) -> str:
        names, ends = _identifier_files(self.identifiers, part)
        begin, end = np.fromfile(ends, "<u8", 2, offset=8 * row).tolist()
        with names.open("rb") as file:
            file.seek(begin)
            return orjson.loads(file.read(end - begin))
