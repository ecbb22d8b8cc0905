"""Lines that many documents of one site share: headers, footers, notices that no word list knows.

Three steps over the whole corpus, in the manner of datatrove's sentence deduplication: every part writes the hashes of
its lines, divided by site; each division is searched for lines that stand in many documents of their site; and the
lines found are cut. A line of the site's frame goes wherever it leads up to the beginning or the end of a document;
between paragraphs only long ones go, since short ones ("Overview") may be headings. Source code is passed by.
"""

from pathlib import Path

import numpy as np
import xxhash
from datatrove.data import Document as Row
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.disk_base import DiskWriter

from .blocks import Reject
from .documents import CODE
from .duplicates import division_file, divisions

LINE = np.dtype([("site", "<u8"), ("line", "<u8")])  # hashes; the line 0 stands for the document itself
LONG_LINE = 30  # characters: no heading is that long


def site_of_row(row: Row) -> str:
    """The host of the row's page, or empty: documents without an address, and code, share no lines with a site."""
    return row.metadata.get("site", "") if row.metadata.get("url") and row.metadata.get("domain") != CODE else ""


def hash_of_site(site: str) -> int:
    """A 64-bit hash of a host."""
    return xxhash.xxh64_intdigest(site.encode())


def hashes_of_lines(text: str, site: str) -> np.ndarray:
    """A 64-bit hash of each line with its site, uint64, shape (lines,); 0 for empty lines."""
    prefix = site.encode() + b"\n"
    hashes = [
        xxhash.xxh64_intdigest(prefix + stripped.encode()) if (stripped := line.strip()) else 0
        for line in text.split("\n")
    ]
    return np.array(hashes, np.uint64)


class WriteLineHashes(PipelineStep):
    """Writes the hashes of the lines of a part's documents, divided by site. One task a part.

    Args:
        folder: gets one file a division and part, of (site, line), each line of a document once.
        splits: in how many tasks the next step searches.
    """

    type = "🫂 - DEDUP"
    name = "line hashes"

    def __init__(self, folder: Path, splits: int):
        super().__init__()
        self.folder, self.splits = folder, splits

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:
        sites, hashes = [], []
        for row in data:
            with self.track_time():
                if site := site_of_row(row):
                    found = np.unique(np.append(hashes_of_lines(row.text, site), np.uint64(0)))
                    hashes.append(found)
                    sites.append(np.full(len(found), hash_of_site(site), np.uint64))
        lines = np.zeros(sum(map(len, hashes)), LINE)
        if len(lines):
            lines["site"], lines["line"] = np.concatenate(sites), np.concatenate(hashes)
        lines.sort(order=("site", "line"))
        for split, chosen in enumerate(np.split(lines, divisions(lines["site"], self.splits))):
            path = division_file(self.folder, split, rank)
            path.parent.mkdir(parents=True, exist_ok=True)
            chosen.tofile(path)


class FindRepeatedLines(PipelineStep):
    """Finds the lines that stand in many documents of their site. One task a division, which it holds in memory.

    Args:
        folder: from `WriteLineHashes`.
        found: gets one file a division, of sorted hashes of lines.
        documents: in how many documents of a site a line must stand.
        share: in what share of the site's documents, 0 to 1, it must stand as well.
    """

    type = "🫂 - DEDUP"
    name = "repeated lines"

    def __init__(self, folder: Path, found: Path, documents: int, share: float):
        super().__init__()
        self.folder, self.found, self.documents, self.share = folder, found, documents, share

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> None:
        with self.track_time():
            files = sorted((self.folder / f"{rank:04d}").glob("*.bin"))
            lines = np.concatenate([np.zeros(0, LINE), *(np.fromfile(file, LINE) for file in files)])
            lines.sort(order=("site", "line"))
            begins = np.flatnonzero(np.append(np.ones(min(1, len(lines)), bool), lines[1:] != lines[:-1]))
            counts = np.diff(begins, append=len(lines))
            lines = lines["line"][begins]
            is_document = lines == 0  # the first line of each site, since it is sorted
            in_all = counts[is_document][np.cumsum(is_document) - 1] if len(lines) else counts
            repeated = ~is_document & (counts >= self.documents) & (counts >= self.share * in_all)
            self.stat_update("sites", value=int(is_document.sum()))
            self.stat_update("repeated", value=int(repeated.sum()))
            self.found.mkdir(parents=True, exist_ok=True)
            np.sort(lines[repeated]).astype("<u8").tofile(_found_file(self.found, rank))


def _found_file(folder: Path, split: int) -> Path:
    return folder / f"{split:04d}.u64"


class CutRepeatedLines(Reject):
    """Cuts the lines of the site's frame out of each document; drops those of which too little is left.

    Args:
        found: from `FindRepeatedLines`.
        splits: in how many divisions.
        least_characters: what must be left of a document of a domain, in visible characters.
        exclusion_writer: takes the documents that are dropped.
    """

    name = "repeated_lines"

    def __init__(
        self, found: Path, splits: int, least_characters: dict[str, int], exclusion_writer: DiskWriter | None = None
    ):
        super().__init__(exclusion_writer)
        self.found, self.splits, self.least_characters = found, splits, least_characters

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        files = [_found_file(self.found, split) for split in range(self.splits)]
        # Mapped and not read: all tasks on a machine share one copy.
        self.repeated = [np.memmap(f, "<u8", "r") if f.stat().st_size else np.zeros(0, "<u8") for f in files]
        return super().run(data, rank, world_size)

    def filter(self, row: Row) -> bool | tuple[bool, str]:
        site = site_of_row(row)
        if not site:
            return True
        repeated = self.repeated[hash_of_site(site) * self.splits >> 64]
        hashes = hashes_of_lines(row.text, site)
        places = np.searchsorted(repeated, hashes)
        framed = repeated[np.minimum(places, len(repeated) - 1)] == hashes if len(repeated) else np.zeros(0, bool)
        if not framed.any():
            return True
        lines = row.text.split("\n")
        cut = lines_to_cut(lines, framed)
        count = int(cut.sum())
        if not count:
            return True
        text = "\n".join(line for line, gone in zip(lines, cut) if not gone).strip("\n")
        if len("".join(text.split())) < max(1, self.least_characters.get(row.metadata["domain"], 1)):
            detail = f"too little is left without {count} lines that the site's pages share"
            return self.reject(row, self.name, detail, _spans_of_lines(lines, cut))
        self.stat_update("cut_lines", value=count)
        row.metadata["cut_lines"] = row.metadata.get("cut_lines", 0) + count
        row.text = text
        return True


def _spans_of_lines(lines: list[str], chosen: np.ndarray) -> list[tuple[int, int]]:
    ends = np.cumsum([len(line) + 1 for line in lines])
    return [(int(end) - 1 - len(line), int(end) - 1) for line, end, wanted in zip(lines, ends, chosen) if wanted]


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
