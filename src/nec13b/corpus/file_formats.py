"""Rows out of files: JSONL, Parquet, text and source code, HTML pages, WARC archives, and Hub data sets.

Every reader yields (row number, row) and never stops at a bad row: what cannot be parsed is noted and passed over. A
row is what the file holds (a mapping, if the file is right); the caller looks for the text in it.
"""

import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import zstandard

from ..errors import InputError, one_line
from .documents import Rejections

if TYPE_CHECKING:
    from .web_pages import PageReader

TEXT_SUFFIXES = {".txt", ".md", ".rst", ".text"}
CODE_SUFFIXES = {
    ".py", ".pyi", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".css", ".go", ".hs", ".java", ".jl", ".js", ".jsx", ".kt",
    ".lua", ".php", ".pl", ".r", ".rb", ".rs", ".scala", ".sh", ".sql", ".swift", ".ts", ".tsx",
}  # fmt: skip
COMPRESSIONS = {".gz", ".zst"}
# What a row may say of its document besides the text.
ROW_FIELDS = ("id", "url", "domain", "lang", "language", "licence", "license", "source", "group", "split", "kind")
JSON_FILE_BYTES = 2 << 30  # larger ones had better be JSONL, which is read line by line
OTHER_FIELDS_BYTES = 65_536  # of a line of JSONL, besides its text
BEFORE_ITEMS, BETWEEN_ITEMS = re.compile(r"\s*\[?\s*"), re.compile(r"[\s,\]]*")
NEXT_ITEM = re.compile(r"\n\{|\n(?: {1,4}|\t)\{")
Rows = Iterator[tuple[int | None, Any]]


def kind_of_file(path: str | os.PathLike) -> str:
    """`rows`, `parquet`, `text`, `code`, `html`, `warc` or nothing, by suffix."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in (".jsonl", ".ndjson"):
        return "rows"
    if suffix == ".parquet":
        return "parquet"
    if suffix in TEXT_SUFFIXES:
        return "text"
    if suffix in (".html", ".htm", ".xhtml"):
        return "html"
    if suffix in (".warc", ".wet"):
        return "warc"
    return "code" if suffix in CODE_SUFFIXES else ""


def rows_of_file(path: Path, text_field: str, rejections: Rejections, max_characters: int, pages: "PageReader") -> Rows:
    """The rows of one local file.

    Args:
        path: the file; its suffix says what it is.
        text_field: under which key the text of a whole file or page is put.
        rejections: takes note of what cannot be read.
        max_characters: most characters of a document; longer lines are not even read into memory.
        pages: takes the text out of HTML.
    """
    max_bytes = 4 * max_characters + 4096  # no text within the limit has more bytes in UTF-8,
    max_line = 12 * max_characters + OTHER_FIELDS_BYTES  # nor in JSON, where a character may be written \\ud83d\\ude00
    kind = kind_of_file(path)
    if kind == "parquet":
        yield from _parquet_rows(path, text_field, rejections)
    elif kind == "rows":
        for number, line in _lines(path, max_line, rejections):
            row = _parsed_json(path, number, line, rejections)
            if row is not None:
                yield number, row
    elif kind == "warc":
        from .web_pages import rows_of_warc

        yield from rows_of_warc(path, text_field, rejections, max_bytes, pages)
    else:
        data = _whole_file(path, max_bytes, rejections)
        if data is None:
            return
        if kind == "html":
            text, licence = pages.text(data, (str(path), None), rejections)
            if text:
                yield None, {text_field: text, "licence": licence}
            return
        try:
            yield None, {text_field: data.decode("utf-8-sig")}
        except UnicodeDecodeError as error:
            rejections.add(str(path), None, "invalid UTF-8", data[max(0, error.start - 40) : error.start + 40])


def kind_of_rows_file(path: str | os.PathLike) -> str:
    """`rows`, `parquet`, `json` or nothing, by suffix: files of rows with more in them than a text."""
    names = [suffix.lower() for suffix in Path(path).suffixes]
    if names and names[-1] in COMPRESSIONS:
        names.pop()
    if names and names[-1] == ".json":
        return "json"
    kind = kind_of_file(path)
    return kind if kind in ("rows", "parquet") else ""


def whole_rows_of_file(path: Path, rejections: Rejections, max_characters: int) -> Rows:
    """The rows of a JSONL or Parquet file with all their fields, or the items of a JSON array with their lines.

    Args:
        path: the file; its suffix says what it is. A `.json` file may hold an array, one object, or JSONL.
        rejections: takes note of what cannot be read.
        max_characters: of a line of JSONL; longer ones are not even read into memory. A `.json` file is read whole.
    """
    kind = kind_of_rows_file(path)
    if kind == "parquet":
        yield from _parquet_rows(path, "", rejections)
    elif kind == "json":
        yield from _rows_of_json(path, rejections)
    else:
        for number, line in _lines(path, 12 * max_characters + OTHER_FIELDS_BYTES, rejections):
            row = _parsed_json(path, number, line, rejections)
            if row is not None:
                yield number, row


def _rows_of_json(path: Path, rejections: Rejections) -> Rows:
    """The items of an array, or objects that follow one another; the number of a row is the line on which it begins."""
    data = _whole_file(path, JSON_FILE_BYTES, rejections)
    if data is None:
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        rejections.add(str(path), line, "invalid UTF-8", data[max(0, error.start - 40) : error.start + 40])
        return
    decoder, line, counted = json.JSONDecoder(), 1, 0
    place = BETWEEN_ITEMS.match(text, BEFORE_ITEMS.match(text).end()).end()
    while place < len(text):
        line, counted = line + text.count("\n", counted, place), place
        try:
            row, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            # Where a broken item ends cannot be told, but an object that begins a line is most likely the next one.
            rejections.add(str(path), line, "broken JSON", text[place : place + 400])
            following = NEXT_ITEM.search(text, place + 1)
            if following is None:
                return
            place = following.end() - 1
            continue
        yield line, row
        place = BETWEEN_ITEMS.match(text, place).end()


def open_file(path: Path) -> BinaryIO:
    """The file's bytes, decompressed by suffix."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    if path.suffix.lower() == ".zst":
        return io.BufferedReader(_ZstandardFile(path), buffer_size=2**20)
    return path.open("rb")


class _ZstandardFile(io.RawIOBase):
    """A compressed file of any number of frames; unlike the library's reader it raises EOFError where one is cut."""

    def __init__(self, path: Path):
        self.file = path.open("rb")
        self.context = zstandard.ZstdDecompressor(max_window_size=2**31)
        self.frame, self.unread, self.made = None, b"", memoryview(b"")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.file.close()
        super().close()

    def readinto(self, buffer) -> int:
        while not len(self.made):
            # Little at a time: a hostile file can hold 32,000 times as many bytes as it has.
            data = self.unread or self.file.read(2**13)
            if not data:
                if self.frame is not None:
                    raise EOFError("the file ends within a frame")
                return 0
            if self.frame is None:
                self.frame = self.context.decompressobj()
            self.made = memoryview(self.frame.decompress(data))
            self.unread = self.frame.unused_data if self.frame.eof else b""
            if self.frame.eof:
                self.frame = None
        size = min(len(buffer), len(self.made))
        buffer[:size], self.made = self.made[:size], self.made[size:]
        return size


BROKEN_FILE = (EOFError, OSError, zlib.error, zstandard.ZstdError)


def _lines(path: Path, max_bytes: int, rejections: Rejections) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with open_file(path) as file:
            while line := file.readline(max_bytes):
                number += 1
                if len(line) == max_bytes and not line.endswith(b"\n"):
                    rejections.add(str(path), number, f"line longer than {max_bytes:,} bytes", line[:400])
                    while (rest := file.readline(max_bytes)) and not rest.endswith(b"\n"):
                        pass
                elif line.strip():
                    yield number, line
    except BROKEN_FILE as error:
        rejections.add(str(path), number + 1, "file ends early or is damaged; the rest of it was not read", str(error))


def _parsed_json(path: Path, number: int, line: bytes, rejections: Rejections):
    try:
        return json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError:
        reason = "invalid UTF-8"
    except (ValueError, RecursionError):  # JSONDecodeError, and integers of thousands of digits
        reason = "broken JSON"
    if not line.endswith(b"\n"):  # a plain file does not tell that it was shortened
        reason = "file ends early; its last line is cut"
    rejections.add(str(path), number, reason, line)
    return None


def _whole_file(path: Path, max_bytes: int, rejections: Rejections) -> bytes | None:
    try:
        with open_file(path) as file:
            data = file.read(max_bytes + 1)
    except BROKEN_FILE as error:
        rejections.add(str(path), None, "file ends early or is damaged", str(error))
        return None
    if len(data) > max_bytes:
        rejections.add(str(path), None, f"file longer than {max_bytes:,} bytes", data[:400])
        return None
    return data


def _parquet_rows(path: Path, text_field: str, rejections: Rejections) -> Rows:
    """The rows with their text and what may be said of it; with all columns where no text field is named."""
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = file.schema_arrow.names
        if text_field and text_field not in names:
            rejections.add(str(path), None, f"no column '{text_field}'", f"it has {', '.join(names)}")
            return
        wanted = [column for column in dict.fromkeys((text_field, *ROW_FIELDS)) if column in names]
        wanted = wanted if text_field else names
        for batch in file.iter_batches(batch_size=256, columns=wanted):
            for row in _rows_of_batch(batch):
                number += 1
                if isinstance(row, UnicodeDecodeError):
                    rejections.add(str(path), number, "invalid UTF-8", row.object)
                else:
                    yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        reason = "file is damaged; the rest of it was not read" if number else "not a readable Parquet file"
        rejections.add(str(path), number + 1 if number else None, reason, str(error))


def _rows_of_batch(batch) -> Iterator[dict | UnicodeDecodeError]:
    """The rows of a batch; where a string is not valid UTF-8, the error in place of the row."""
    try:
        yield from batch.to_pylist()
        return
    except UnicodeDecodeError:
        pass
    for row in range(batch.num_rows):
        try:
            yield from batch.slice(row, 1).to_pylist()
        except UnicodeDecodeError as error:
            yield error


def check_column(path: Path, text_field: str) -> None:
    """Raises InputError where a Parquet file that can be read has no such column."""
    import pyarrow
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(path).names
    except (pyarrow.ArrowException, OSError):
        return  # a damaged file is noted when it is read
    if text_field not in names:
        raise InputError(
            f"{path} has no column {text_field!r} (it has {', '.join(names)}); add ,text_field=NAME to the entry"
        )


def shards_of_hub_data_set(name: str, configuration: str, split: str) -> int:
    """How many files a Hub data set has; raises InputError where it cannot be opened."""
    return max(1, _hub_data_set(name, configuration, split).num_shards)


def rows_of_hub_data_set(name: str, configuration: str, split: str, shard: int = 0, shards: int = 1) -> Rows:
    """The rows of a Hub data set, or of one shard of it, streamed; raises InputError where it cannot be opened."""
    rows = _hub_data_set(name, configuration, split)
    if shards > 1:
        rows = rows.shard(num_shards=shards, index=shard)
    yield from enumerate(rows, start=1)


def _hub_data_set(name: str, configuration: str, split: str):
    import datasets

    try:
        return datasets.load_dataset(name, configuration or None, split=split, streaming=True)
    except Exception as error:  # the Hub client raises many kinds; all mean that this source cannot be opened
        raise InputError(f"cannot open Hub data set {name!r} (split {split!r}): {one_line(error)}") from error
