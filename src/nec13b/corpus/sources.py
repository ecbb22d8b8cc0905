"""Where documents come from: the built-in sample, local files and folders, or a Hub data set, named by one string each.

    sample                                            the built-in sample corpus (code, English, Japanese)
    data/web                                          a folder: every file below it that is understood
    "data/*.jsonl.gz"                                 a pattern
    books.parquet,domain=ja,text_field=body           a file, with options
    hub:HuggingFaceFW/fineweb-2,name=jpn_Jpan,domain=ja   whatever datasets.load_dataset can stream

Files: JSONL and Parquet (one document a row), text and source code (one document a file); .gz and .zst of either.
Reading is lazy and its memory is bounded by the longest document allowed.
"""

import dataclasses
import glob
import gzip
import io
import json
import os
import platform
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

import zstandard

from ..errors import InputError
from .documents import LONE_SURROGATE, Document, Rejections, domain_of_text

TEXT_SUFFIXES = {".txt", ".md", ".rst", ".text"}
CODE_SUFFIXES = {
    ".py", ".pyi", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".css", ".go", ".hs", ".java", ".jl", ".js", ".jsx", ".kt",
    ".lua", ".php", ".pl", ".r", ".rb", ".rs", ".scala", ".sh", ".sql", ".swift", ".ts", ".tsx",
}  # fmt: skip
ROW_SUFFIXES = {".jsonl", ".ndjson", ".parquet"}
COMPRESSIONS = {".gz", ".zst"}
DOMAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")  # it becomes part of file and metric names
MAX_DOCUMENT_CHARACTERS = 5_000_000


@dataclass(frozen=True)
class Source:
    """One place that documents are read from.

    Attributes:
        location: `sample`, a path, a glob pattern, or `hub:` and a data set name.
        domain: the domain of every document; empty: each row's `domain` or `lang` field, else by file type and script.
        text_field: the field that holds the text of a JSONL, Parquet or Hub row.
        split: the split of a Hub data set.
        name: the configuration (subset) of a Hub data set.
    """

    location: str
    domain: str = ""
    text_field: str = "text"
    split: str = "train"
    name: str = ""

    @classmethod
    def parse(cls, entry: "str | dict | Source") -> "Source":
        """From `location[,option=value...]` or from a mapping with the same keys; raises InputError."""
        if isinstance(entry, Source):
            return entry
        known = [field.name for field in fields(cls)]
        if isinstance(entry, str) and entry.startswith("{"):  # a mapping of a YAML file, passed on as a flag
            entry = _mapping(entry)
        if isinstance(entry, dict):
            options = dict(entry)
        else:
            location, *rest = str(entry).split(",")
            options = {"location": location.strip()}
            for item in rest:
                key, equals, value = item.partition("=")
                if not equals:
                    raise InputError(f"corpus entry {entry!r}: {item!r} is not option=value")
                options[key.strip()] = value.strip()
        unknown = [key for key in options if key not in known]
        if unknown:
            raise InputError(f"corpus entry {entry!r}: unknown option {unknown[0]!r}; known are {', '.join(known[1:])}")
        if not options.get("location"):
            raise InputError(f"corpus entry {entry!r} names no location")
        if options.get("domain") and not DOMAIN_NAME.fullmatch(str(options["domain"])):
            raise InputError(f"corpus entry {entry!r}: a domain is up to 32 letters, digits, - and _")
        return cls(**{key: str(value) for key, value in options.items()})


def _mapping(text: str) -> dict:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"corpus entry {text!r} is not JSON: {error}") from None


def parse_sources(entries) -> list[Source]:
    """The sources of a `corpus:` setting: one string or mapping, or a list of them; raises InputError."""
    if isinstance(entries, (str, dict, Source)):
        entries = [entries]
    if not entries:
        raise InputError("corpus is empty; name at least one file, folder, hub: data set, or sample")
    sources = [Source.parse(entry) for entry in entries]
    for source in sources:  # a missing file is found before any work starts
        if source.location != "sample" and not source.location.startswith("hub:"):
            _files_of(source)
    return sources


def read_documents(
    sources: list[Source],
    rejections: Rejections | None = None,
    max_document_characters: int = MAX_DOCUMENT_CHARACTERS,
) -> Iterator[Document]:
    """Streams the documents of all sources in a fixed order.

    Args:
        sources: from `parse_sources`.
        rejections: takes note of every row or file that cannot be used; the stream goes on.
        max_document_characters: longer documents are set aside (they are dumps far more often than texts).

    Raises:
        InputError: a source does not exist or cannot be opened at all.
    """
    rejections = rejections if rejections is not None else Rejections()
    for source in sources:
        if source.location == "sample":
            from .sample import sample_documents

            yield from sample_documents(source.domain)
            continue
        if source.location.startswith("hub:"):
            rows = _hub_rows(source)
        else:
            rows = _local_rows(source, rejections, max_document_characters)
        for where, line, row, domain in rows:
            text = row.get(source.text_field) if isinstance(row, dict) else None
            if not isinstance(text, str):
                rejections.add(where, line, f"no text in field '{source.text_field}'", str(row))
            elif not text.strip():
                rejections.add(where, line, "empty text")
            elif len(text) > max_document_characters:
                reason = f"longer than max_document_characters ({max_document_characters:,})"
                rejections.add(where, line, reason, text[:200])
            elif LONE_SURROGATE.search(text):
                rejections.add(where, line, "lone surrogate (not valid Unicode)", ascii(text[:200]))
            else:
                said = row.get("domain") or row.get("lang")
                said = said if isinstance(said, str) and DOMAIN_NAME.fullmatch(said) else ""
                yield Document(text, domain or said or domain_of_text(text), where)


def corpus_identity(sources: list[Source]) -> list[dict]:
    """What tells one corpus from another without reading it: the entries, and each local file's size and time."""
    identity = []
    for source in sources:
        entry = dataclasses.asdict(source)
        if source.location == "sample":
            entry["python"] = platform.python_version()
        elif not source.location.startswith("hub:"):
            entry["location"] = str(Path(source.location).expanduser().absolute())
            entry["files"] = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in _files_of(source)]
        identity.append(entry)
    return identity


def _files_of(source: Source) -> list[Path]:
    path = Path(source.location).expanduser()
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and _kind(p) and not _is_hidden(p.relative_to(path)))
        if not found:
            raise InputError(f"corpus folder {path} holds no JSONL, Parquet, text or source file")
        return found
    if path.is_file():
        if not _kind(path):
            raise InputError(f"corpus file {path}: unknown type; use .jsonl, .parquet, .txt or source code (.gz, .zst)")
        return [path]
    if glob.has_magic(source.location):
        found = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if os.path.isfile(p) and _kind(Path(p)))
        if found:
            return found
        raise InputError(f"corpus pattern {source.location!r} matches no file that can be read")
    raise InputError(f"corpus path {path} does not exist (current folder: {Path.cwd()})")


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in relative.parts)


def _kind(path: Path) -> str:
    """`rows`, `parquet`, `text`, `code` or nothing, by suffix."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".parquet":
        return "parquet"
    if suffix in ROW_SUFFIXES:
        return "rows"
    if suffix in TEXT_SUFFIXES:
        return "text"
    return "code" if suffix in CODE_SUFFIXES else ""


def _local_rows(source: Source, rejections: Rejections, max_characters: int):
    """(file, line, row, domain) of every row or file that could be parsed."""
    max_bytes = 4 * max_characters + 4096  # no text within the limit has more bytes
    for path in _files_of(source):
        kind = _kind(path)
        domain = source.domain or ("code" if kind == "code" else "")
        if kind == "parquet":
            for number, row in _parquet_rows(path, source, rejections):
                yield str(path), number, row, domain
        elif kind == "rows":
            for number, line in _lines(path, max_bytes, rejections):
                row = _parsed_json(path, number, line, rejections)
                if row is not None:
                    yield str(path), number, row, domain
        else:
            text = _whole_text(path, max_bytes, rejections)
            if text is not None:
                yield str(path), None, {source.text_field: text}, domain


def _open(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    if path.suffix.lower() == ".zst":
        # Several frames in one file are common: parallel compressors write them.
        decompressor = zstandard.ZstdDecompressor(max_window_size=2**31)
        reader = decompressor.stream_reader(path.open("rb"), read_across_frames=True, closefd=True)
        return io.BufferedReader(reader, buffer_size=2**20)
    return path.open("rb")


BROKEN_FILE = (EOFError, OSError, zlib.error, zstandard.ZstdError)


def _lines(path: Path, max_bytes: int, rejections: Rejections) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with _open(path) as file:
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
    except (json.JSONDecodeError, RecursionError):
        reason = "broken JSON"
    if not line.endswith(b"\n"):  # zstandard does not tell a shortened file from a whole one
        reason = "file ends early; its last line is cut"
    rejections.add(str(path), number, reason, line)
    return None


def _whole_text(path: Path, max_bytes: int, rejections: Rejections) -> str | None:
    try:
        with _open(path) as file:
            data = file.read(max_bytes + 1)
    except BROKEN_FILE as error:
        rejections.add(str(path), None, "file ends early or is damaged", str(error))
        return None
    if len(data) > max_bytes:
        rejections.add(str(path), None, f"file longer than {max_bytes:,} bytes", data[:400])
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        rejections.add(str(path), None, "invalid UTF-8", data[max(0, error.start - 40) : error.start + 40])
        return None


def _parquet_rows(path: Path, source: Source, rejections: Rejections):
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        rejections.add(str(path), None, "not a readable Parquet file", str(error))
        return
    wanted = [column for column in (source.text_field, "domain", "lang") if column in file.schema_arrow.names]
    if source.text_field not in wanted:
        have = ", ".join(file.schema_arrow.names)
        raise InputError(
            f"{path} has no column {source.text_field!r} (it has {have}); add ,text_field=NAME to the entry"
        )
    number = 0
    try:
        for batch in file.iter_batches(batch_size=256, columns=wanted):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pyarrow.ArrowInvalid, OSError) as error:
        rejections.add(str(path), number + 1, "file is damaged; the rest of it was not read", str(error))


def _hub_rows(source: Source):
    import datasets

    name = source.location.removeprefix("hub:")
    try:
        rows = datasets.load_dataset(name, source.name or None, split=source.split, streaming=True)
    except Exception as error:  # the Hub client raises many kinds; all mean that this source cannot be opened
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"cannot open Hub data set {name!r} (split {source.split!r}): {first_line}") from error
    for number, row in enumerate(rows, start=1):
        yield f"hub:{name}", number, row, source.domain
