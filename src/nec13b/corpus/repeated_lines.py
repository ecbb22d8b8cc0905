"""Lines that many documents of one site share: headers, footers, notices that no word list knows.

Three steps over the whole corpus, in the manner of datatrove's sentence deduplication: every part writes the hashes of
its lines, split by hash; each split is searched for hashes that stand in many documents; and the lines found are cut.
A line of the site's frame goes wherever it leads up to the beginning or the end of a document; between paragraphs only
long ones go, since short ones ("Overview") may be headings.
"""

from pathlib import Path

import numpy as np
import xxhash
from datatrove.data import Document as Row
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.disk_base import DiskWriter

LINE = np.dtype([("hash", "<u8"), ("part", "<u4"), ("document", "<u4")])
LONG_LINE = 30  # characters: no heading is that long


def site_of_row(row: Row) -> str:
    """The host of the row's page, or empty; documents without an address have no site to share lines with."""
    return row.metadata.get("site", "") if row.metadata.get("url") else ""


def hashes_of_lines(text: str, site: str) -> list[int]:
    """A 64-bit hash of each line with its site; 0 for empty lines."""
    prefix = site.encode() + b"\n"
    return [
        xxhash.xxh64_intdigest(prefix + stripped.encode()) if (stripped := line.strip()) else 0
        for line in text.split("\n")
    ]


class WriteLineHashes(PipelineStep):
    """Writes the hashes of the lines of a part's documents, split by hash. One task a part.

    Args:
        folder: gets one file a split and part, of (hash, part, document), sorted.
        splits: in how many tasks the next step searches.
    """

    type = "🫂 - DEDUP"
    name = "line hashes"

    def __init__(self, folder: str, splits: int):
        super().__init__()
        self.folder, self.splits = folder, splits

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:
        hashes, documents = [], []
        for number, row in enumerate(data):
            with self.track_time():
                if site := site_of_row(row):
                    found = np.unique(np.array(hashes_of_lines(row.text, site), np.uint64))
                    hashes.append(found[found != 0])
                    documents.append(np.full(len(hashes[-1]), number, np.uint32))
        lines = np.zeros(sum(map(len, hashes)), LINE)
        if len(lines):
            lines["hash"], lines["document"] = np.concatenate(hashes), np.concatenate(documents)
        lines["part"] = rank
        lines.sort(order=("hash", "document"))
        edges = np.array([(1 << 64) * split // self.splits for split in range(1, self.splits)], np.uint64)
        for split, chosen in enumerate(np.split(lines, np.searchsorted(lines["hash"], edges))):
            path = Path(self.folder) / f"{split:04d}" / f"{rank:05d}.lines"
            path.parent.mkdir(parents=True, exist_ok=True)
            chosen.tofile(path)


class FindRepeatedLines(PipelineStep):
    """Finds the line hashes that stand in at least so many documents. One task a split.

    Args:
        folder: from `WriteLineHashes`.
        found: gets one file a split, of sorted hashes.
        documents: how many documents of a site make a line part of its frame.
    """

    type = "🫂 - DEDUP"
    name = "repeated lines"

    def __init__(self, folder: str, found: str, documents: int):
        super().__init__()
        self.folder, self.found, self.documents = folder, found, documents

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> None:
        with self.track_time():
            files = sorted((Path(self.folder) / f"{rank:04d}").glob("*.lines"))
            hashes = np.concatenate([np.zeros(0, np.uint64), *(np.fromfile(file, LINE)["hash"] for file in files)])
            values, counts = np.unique(hashes, return_counts=True)
            repeated = values[counts >= self.documents]
            self.stat_update("repeated", value=len(repeated))
            path = Path(self.found) / f"{rank:04d}.u64"
            path.parent.mkdir(parents=True, exist_ok=True)
            repeated.astype("<u8").tofile(path)


class CutRepeatedLines(PipelineStep):
    """Cuts the lines of the site's frame out of each document; drops those of which too little is left.

    Args:
        found: from `FindRepeatedLines`.
        least_characters: what must be left of a document of a domain, in visible characters.
        exclusion_writer: takes the documents that are dropped.
    """

    type = "🔻 - FILTER"
    name = "repeated_lines"

    def __init__(self, found: str, least_characters: dict[str, int], exclusion_writer: DiskWriter):
        super().__init__()
        self.found, self.least_characters, self.exclusion_writer = found, least_characters, exclusion_writer

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        files = sorted(Path(self.found).glob("*.u64"))
        repeated = np.concatenate([np.zeros(0, np.uint64), *(np.fromfile(file, np.uint64) for file in files)])
        with self.exclusion_writer as writer:
            for row in data:
                with self.track_time():
                    kept = self._cut(row, repeated) if len(repeated) else True
                self.stat_update("total", "forwarded" if kept else "dropped")
                if kept:
                    yield row
                else:
                    row.metadata["reason"] = "repeated_lines"
                    row.metadata["detail"] = f"{row.metadata['cut_lines']} lines stand in many documents of the site"
                    writer.write(row, rank)

    def _cut(self, row: Row, repeated: np.ndarray) -> bool:
        site = site_of_row(row)
        if not site:
            return True
        lines = row.text.split("\n")
        hashes = np.array(hashes_of_lines(row.text, site), np.uint64)
        places = np.searchsorted(repeated, hashes)
        framed = repeated[np.minimum(places, len(repeated) - 1)] == hashes
        if not framed.any():
            return True
        cut = lines_to_cut(lines, framed)
        if not cut.any():
            return True
        self.stat_update("cut_lines", value=int(cut.sum()))
        text = "\n".join(line for line, gone in zip(lines, cut) if not gone).strip("\n")
        row.metadata["cut_lines"] = row.metadata.get("cut_lines", 0) + int(cut.sum())
        enough = len("".join(text.split())) >= max(1, self.least_characters.get(row.metadata["domain"], 1))
        if enough:
            row.text = text
        return enough


def lines_to_cut(lines: list[str], framed: np.ndarray) -> np.ndarray:
    """Which lines go: those of the frame at the beginning and the end, and the long ones between.

    Args:
        lines: the lines of a document.
        framed: which of them are repeated on the site, bool, shape (lines,).
    """
    empty = np.array([not line.strip() for line in lines], bool)
    open_to = framed | empty
    text = np.flatnonzero(~open_to)
    first, last = (text[0], text[-1]) if len(text) else (len(lines), -1)
    places = np.arange(len(lines))
    outside = (places < first) | (places > last)
    long = np.array([len(line.strip()) >= LONG_LINE for line in lines], bool)
    return framed & (outside | long)
