"""Where documents come from: the built-in sample, local files and folders, or a Hub data set, named by one string each.

    sample                                            the built-in sample corpus (code, English, Japanese)
    data/web                                          a folder: every file below it that is understood
    "data/*.jsonl.gz"                                 a pattern
    books.parquet,domain=ja,text_field=body           a file, with options
    "crawl/*.warc.gz,label=crawl"                     a web crawl, whose pages become text
    hub:HuggingFaceFW/fineweb-2,name=jpn_Jpan,domain=ja   whatever datasets.load_dataset can stream
    runs/clean                                        the output of recipes/clean_corpus.py, with its split

An entry is divided into parts, which are read one after another, or each by a task of its own; `reading.py` reads them.
"""

import dataclasses
import glob
import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from ..errors import InputError
from .file_formats import check_column, kind_of_file, shards_of_hub_data_set

DOMAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")  # it becomes part of file and metric names
LABEL = re.compile(r"[^A-Za-z0-9_.-]+")
MAX_DOCUMENT_CHARACTERS = 5_000_000
# Small files are read by one task, up to this size, and so many that there are not far more tasks than this.
PART_BYTES, MOST_PARTS = 1_000_000, 4_000
SAMPLE_DOMAINS = ("ja", "en", "code")
# What recipes/clean_corpus.py leaves: the folder is a corpus only when the mark is there, and only `documents` of it.
CLEAN_REQUEST_NAME, CLEAN_MARK_NAME, CLEAN_DOCUMENTS_NAME = "cleaning.json", "mixture.json", "documents"


@dataclass(frozen=True)
class Source:
    """One place that documents are read from.

    Attributes:
        location: `sample`, a path, a glob pattern, or `hub:` and a data set name.
        domain: the domain of every document; empty: each row's `domain` field, the language in its `lang` field, else
            by file type and script.
        text_field: the field that holds the text of a JSONL, Parquet or Hub row.
        split: the split of a Hub data set.
        name: the configuration (subset) of a Hub data set.
        label: what the source is called in documents, reports and mixtures. Default: made from the location.
        licence: the licence of documents that do not carry one themselves.
    """

    location: str
    domain: str = ""
    text_field: str = "text"
    split: str = "train"
    name: str = ""
    label: str = ""
    licence: str = ""

    of: ClassVar[str] = "corpus"  # what the entry belongs to, for messages

    @classmethod
    def parse(cls, entry: "str | dict | Source") -> Self:
        """From `location[,option=value...]` or from a mapping with the same keys; raises InputError."""
        if isinstance(entry, cls):
            return entry
        known = [field.name for field in fields(cls)]
        if isinstance(entry, str) and entry.startswith("{"):  # a mapping of a YAML file, passed on as a flag
            entry = _mapping(entry, cls.of)
        if isinstance(entry, dict):
            options = dict(entry)
        else:
            location, *rest = str(entry).split(",")
            options = {"location": location.strip()}
            for item in rest:
                key, equals, value = item.partition("=")
                if not equals:
                    raise InputError(f"{cls.of} entry {entry!r}: {item!r} is not option=value")
                options[key.strip()] = value.strip()
        unknown = [key for key in options if key not in known]
        if unknown:
            raise InputError(
                f"{cls.of} entry {entry!r}: unknown option {unknown[0]!r}; known are {', '.join(known[1:])}"
            )
        if not options.get("location"):
            raise InputError(f"{cls.of} entry {entry!r} names no location")
        if options.get("domain") and not DOMAIN_NAME.fullmatch(str(options["domain"])):
            raise InputError(f"{cls.of} entry {entry!r}: a domain is up to 32 letters, digits, - and _")
        if options.get("label") and LABEL.search(str(options["label"])):
            raise InputError(f"{cls.of} entry {entry!r}: a label is made of letters, digits, . - and _")
        return cls(**{key: str(value) for key, value in options.items()})

    @property
    def is_sample(self) -> bool:
        return self.location == "sample"

    @property
    def is_cleaned(self) -> bool:
        """Whether it is the folder of a cleansing."""
        return not self.hub_name and (Path(self.location).expanduser() / CLEAN_REQUEST_NAME).is_file()

    @property
    def hub_name(self) -> str:
        """The name of the Hub data set, or empty."""
        return self.location.removeprefix("hub:") if self.location.startswith("hub:") else ""


AnySource = TypeVar("AnySource", bound=Source)


@dataclass(frozen=True)
class Part:
    """What one task of a parallel run reads: some files, a shard of a Hub data set, or one domain of the sample.

    Attributes:
        source: the corpus entry.
        files: (path, how its documents are called: `label/file`) of each file; empty for Hub and sample.
        name: how documents of a Hub data set or of the sample are called.
        shard, shards: which shard of how many, for a Hub data set.
        cleaned: whether recipes/clean_corpus.py has written it; then its rows keep their ids, the labels of their
            sources, and their split.
    """

    source: Source
    files: tuple[tuple[str, str], ...] = ()
    name: str = ""
    shard: int = 0
    shards: int = 1
    cleaned: bool = False


def parse_sources(entries) -> list[Source]:
    """The sources of a `corpus:` setting: one string or mapping, or a list of them; raises InputError."""
    if isinstance(entries, (str, dict, Source)):
        entries = [entries]
    if not entries:
        raise InputError("corpus is empty; name at least one file, folder, hub: data set, or sample")
    sources = [Source.parse(entry) for entry in entries]
    for source in sources:
        if not source.is_sample and not source.hub_name:  # what is missing is found before any work starts
            parquet = (file for file in files_of(source) if kind_of_file(file) == "parquet")
            if (first := next(parquet, None)) is not None:
                check_column(first, source.text_field)
    return labelled(sources)


def labelled(sources: list[AnySource]) -> list[AnySource]:
    """The sources with a label each, no two alike; raises InputError where two were given the same one."""
    named, taken = [], set()
    for source in sources:
        if source.label and source.label in taken:
            raise InputError(f"two {source.of} entries have the label {source.label!r}; labels tell sources apart")
        label = wanted = source.label or _label_of(source)
        number = 1
        while label in taken:
            number += 1
            label = f"{wanted}-{number}"
        taken.add(label)
        named.append(dataclasses.replace(source, label=label))
    return named


def parts_of(sources: list[Source], split_hub: bool = False) -> list[Part]:
    """The parts of a corpus, in the order in which they are read.

    Args:
        sources: from `parse_sources`.
        split_hub: make a part of each shard of a Hub data set; asks the Hub how many there are.

    Raises:
        InputError: a source does not exist or cannot be opened.
    """
    parts = []
    for source in sources:
        if source.is_sample:
            domains = [source.domain] if source.domain else SAMPLE_DOMAINS
            parts += [Part(dataclasses.replace(source, domain=domain), name=source.label) for domain in domains]
        elif source.hub_name:
            shards = shards_of_hub_data_set(source.hub_name, source.name, source.split) if split_hub else 1
            names = [f"{source.label}/{shard:05d}" for shard in range(shards)] if shards > 1 else [source.label]
            parts += [Part(source, name=name, shard=shard, shards=shards) for shard, name in enumerate(names)]
        else:
            named = named_files(source.label, files_of(source))
            cleaned = source.is_cleaned
            parts += [Part(source, tuple(group), cleaned=cleaned) for group in _groups_of_files(named)]
    return parts


def named_files(label: str, files: list[Path]) -> list[tuple[str, str]]:
    """(path, how its rows are called) of each file of a source: `label/file`, or the label where there is but one."""
    root = Path(os.path.commonpath([file.parent for file in files])) if len(files) > 1 else None
    return [(str(file), f"{label}/{file.relative_to(root).as_posix()}" if root else label) for file in files]


def corpus_identity(sources: list[Source]) -> list[dict]:
    """What tells one corpus from another without reading it: the entries, and each local file's size and time."""
    identity = []
    for source in sources:
        entry = dataclasses.asdict(source)
        if source.is_sample:
            entry["python"] = platform.python_version()
        elif not source.hub_name:
            entry["location"] = str(Path(source.location).expanduser().absolute())
            entry["files"] = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files_of(source)]
        identity.append(entry)
    return identity


def _mapping(text: str, of: str) -> dict:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{of} entry {text!r} is not JSON: {error}") from None


def _label_of(source: Source) -> str:
    """A short name made from the location: the data set and subset, the folder, or the file without its suffixes."""
    if source.is_sample:
        return "sample"
    if source.hub_name:
        wanted = "-".join(part for part in (source.hub_name.rstrip("/").split("/")[-1], source.name) if part)
    else:
        path = Path(source.location).expanduser()
        fixed = [part for part in path.parts if not glob.has_magic(part)] or [source.of]
        wanted = fixed[-1] if path.is_dir() or glob.has_magic(source.location) else path.name.split(".")[0]
    return LABEL.sub("-", wanted).strip("-.") or source.of


def files_of(
    source: Source,
    kind: Callable[[Path], str] = kind_of_file,
    kinds: str = "JSONL, Parquet, text, source, HTML or WARC",
    suffixes: str = ".jsonl, .parquet, .txt, .html, .warc or source code (.gz, .zst)",
) -> list[Path]:
    """The files of a local source, in the order in which they are read.

    Args:
        source: a file, a folder or a pattern; of the folder of a cleansing, its documents.
        kind: says of a file what kind it is, or nothing where it is not understood.
        kinds, suffixes: what is understood, for messages.

    Raises:
        InputError: there is no such file.
    """
    path = Path(source.location).expanduser().absolute()
    if path.is_dir():
        if source.is_cleaned:
            if not (path / CLEAN_MARK_NAME).is_file():
                raise InputError(f"{path} holds a cleaning that has not ended; run recipes/clean_corpus.py again")
            path = path / CLEAN_DOCUMENTS_NAME
        found = sorted(p for p in path.rglob("*") if p.is_file() and kind(p) and not _is_hidden(p.relative_to(path)))
        if not found:
            raise InputError(f"{source.of} folder {path} holds no {kinds} file")
        return found
    if path.is_file():
        if not kind(path):
            raise InputError(f"{source.of} file {path}: unknown type; use {suffixes}")
        return [path]
    if glob.has_magic(source.location):
        matches = (Path(match) for match in glob.glob(str(path), recursive=True))
        found = sorted(match for match in matches if match.is_file() and kind(match))
        if found:
            return found
        raise InputError(f"{source.of} pattern {source.location!r} matches no file that can be read")
    raise InputError(f"{source.of} path {source.location} does not exist (current folder: {Path.cwd()})")


def _groups_of_files(named: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Neighbouring small files together: (path, name) of each group's files.

    How they are grouped depends on their sizes alone, so that it is the same on every machine.
    """
    sizes = [os.path.getsize(path) for path, _ in named]
    most = max(PART_BYTES, sum(sizes) // MOST_PARTS)
    group: list[tuple[str, str]] = []
    size = 0
    for file, own_size in zip(named, sizes):
        if group and size + own_size > most:
            yield group
            group, size = [], 0
        group.append(file)
        size += own_size
    yield group


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
