"""How often each pre-token occurs, of any amount of text, in bounded memory.

Each part of the corpus is counted by itself; whenever the counts grow too many they are written to disk, in
partitions by hash, and in the end each partition is added up. So counts are exact. Longest phrases of Japanese hardly
repeat, and their number grows nearly as fast as the text: where there are more than training can hold, the rarest are
cut in two, again and again, at a change of script near their middle, until what is left is common or short. Only that
is dropped, and how much it was is known.
"""

import shutil
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import regex

from ..corpus import Document, Part
from .drawing import Reader, hash_of, in_processes
from .pre_tokens import JAPANESE, pre_tokens

PARTITIONS = 32
COUNTED_AT_ONCE = 2_000_000  # pre-tokens that one process holds, about 250 bytes each
ROUNDS = 3
SHORTEST_CUT = 4  # characters; shorter pre-tokens are not cut any more
PHRASE = regex.compile(f"[{JAPANESE}]+", regex.V1)
# Where a word of Japanese usually begins: after hiragana comes something else.
WORD_BEGINS = regex.compile(rf"(?<=\p{{Hiragana}})(?=[{JAPANESE}--\p{{Hiragana}}ー])", regex.V1)
WHOLE = pa.schema([("word", pa.string()), ("count", pa.int64())])
WEIGHTED = pa.schema([("word", pa.string()), ("count", pa.float64())])
# The trainer counts for itself, so it is fed every word as often as it occurs; above this, counts are scaled down.
MOST_FED = 300_000_000


@dataclass(frozen=True)
class PreTokenCounts:
    """The counts that a tokenizer is trained on.

    Attributes:
        words: how often each pre-token occurs; domains are weighted against each other.
        characters: (drawn from the corpus) of each domain.
        sample: the drawn documents with the smallest hashes, for trying a vocabulary on.
        different: how many pre-tokens there were before any were cut or dropped.
        dropped_share: share of the weighted characters, 0 to 1, that training does not see.
    """

    words: dict[str, int]
    characters: dict[str, int]
    sample: list[Document]
    different: int
    dropped_share: float


def count_pre_tokens(
    parts: list[Part],
    reader: Reader,
    limits: Mapping[str, int],
    budgets: Mapping[str, int],
    shares: Mapping[str, float],
    sample_limits: Mapping[str, int],
    folder: Path,
    workers: int = 1,
    most_different: int = 3_000_000,
    counted_at_once: int = COUNTED_AT_ONCE,
) -> PreTokenCounts:
    """Counts the pre-tokens of the documents that are drawn.

    Args:
        parts: of the corpus.
        reader: how they are read.
        limits: by domain, the hash below which a document is drawn (`Survey.limits`).
        budgets: by domain, characters to which a longer document is cut.
        shares: by domain, its share of the characters that training sees, whatever the corpus gives.
        sample_limits: by domain, the hash below which a document that is drawn is in the sample too.
        folder: for what is written to disk in between; removed at the end.
        workers: processes.
        most_different: pre-tokens that training may hold, about 2 kB each.
        counted_at_once: pre-tokens that a process holds before it writes them to disk.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        calls = [
            (part, reader, dict(limits), dict(budgets), dict(sample_limits), folder / f"{number:05d}", counted_at_once)
            for number, part in enumerate(parts)
        ]
        characters: Counter[str] = Counter()
        sample: list[Document] = []
        for counted, documents in in_processes(_count_part, calls, workers):
            characters += counted
            sample += documents
        # In the order of hashes, so that it does not matter how the corpus is spread over files.
        sample.sort(key=lambda document: (document.domain, hash_of(document.text)))
        # The domain that is longest for its share counts once, the others more often.
        most = max(characters[domain] / shares[domain] for domain in shares if characters[domain])
        weights = {domain: most * shares[domain] / characters[domain] for domain in shares if characters[domain]}
        return _merged(folder, weights, dict(characters), sample, most_different, counted_at_once)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _count_part(
    part: Part,
    reader: Reader,
    limits: dict[str, int],
    budgets: dict[str, int],
    sample_limits: dict[str, int],
    place: Path,
    at_once: int,
) -> tuple[Counter[str], list[Document]]:
    """Counts one part; returns the characters of each domain, and the documents of the sample."""
    characters: Counter[str] = Counter()
    sample: list[Document] = []
    spills = {domain: _Spill(place, domain, at_once) for domain in limits}
    for document in reader.documents(part):
        domain = document.domain
        if domain not in limits or (rank := hash_of(document.text)) >= limits[domain]:
            continue
        document = replace(document, text=document.text[: budgets[domain]])
        characters[domain] += len(document.text)
        spills[domain].add(pre_tokens(document.text))
        if rank < sample_limits[domain]:
            sample.append(document)
    for spill in spills.values():
        spill.write()
    return characters, sample


class _Spill:
    """Counts that go to disk when they grow too many: files of PARTITIONS record batches, one a partition.

    Args:
        place: how the files are called, with a number and the domain after it.
        domain: what is counted.
        at_once: how many different words are held.
        schema: of whole counts, or of weighted ones.
    """

    def __init__(self, place: Path, domain: str, at_once: int, schema: pa.Schema = WHOLE):
        self.place, self.domain, self.at_once, self.schema = place, domain, at_once, schema
        self.counts: Counter[str] = Counter()
        self.files: list[Path] = []

    def add(self, words: Iterable[str]) -> None:
        self.counts.update(words)
        if len(self.counts) >= self.at_once:
            self.write()

    def write(self) -> None:
        if not self.counts:
            return
        partitions: list[list[str]] = [[] for _ in range(PARTITIONS)]
        for word in self.counts:
            partitions[zlib.crc32(word.encode()) % PARTITIONS].append(word)
        path = self.place.with_name(f"{self.place.name}-{len(self.files):04d}.{self.domain}.arrow")
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self.schema) as writer:
            for words in partitions:
                counts = pa.array([self.counts[word] for word in words], self.schema.field("count").type)
                writer.write_batch(pa.record_batch([pa.array(words, pa.string()), counts], schema=self.schema))
        self.counts.clear()
        self.files.append(path)


def _merged(
    folder: Path,
    weights: dict[str, float],
    characters: dict[str, int],
    sample: list[Document],
    most: int,
    at_once: int,
) -> PreTokenCounts:
    by_domain = {domain: sorted(folder.glob(f"*.{domain}.arrow")) for domain in sorted(weights)}
    tables = []
    for number in range(PARTITIONS):
        # Whole numbers are added up first, so that the sum does not depend on how the corpus is spread over files.
        counted = {domain: _added(files, number, WHOLE) for domain, files in by_domain.items()}
        table = _sum([_weighted(table, weights[domain]) for domain, table in counted.items()], WEIGHTED)
        tables.append(_on_disk(table, folder / f"merged-{number:02d}"))
    different = sum(map(len, tables))
    total = sum(_characters(table) for table in tables)
    if different > most:
        least = _least_count(tables, most)
        for number in range(ROUNDS):
            cut = _Spill(folder / f"cut-{number}", "all", at_once, WEIGHTED)
            for index, table in enumerate(tables):
                rare = _counts(table) < least
                _cut_rare(table.filter(pa.array(rare)), cut)
                tables[index] = table.filter(pa.array(~rare))
            cut.write()
            tables = [_sum([table, _added(cut.files, index, WEIGHTED)], WEIGHTED) for index, table in enumerate(tables)]
        least = max(least, _least_count(tables, most))
        tables = [table.filter(pa.array(_counts(table) >= least)) for table in tables]
    scale = min(1.0, MOST_FED / max(1.0, sum(float(_counts(table).sum()) for table in tables)))
    words: dict[str, int] = {}
    seen = 0.0
    for table in tables:
        for word, count in zip(table["word"].to_pylist(), _counts(table).tolist()):
            if rounded := int(count * scale + 0.5):
                words[word] = rounded
                seen += count * len(word)
    return PreTokenCounts(words, characters, sample, different, max(0.0, 1 - seen / total) if total else 0.0)


def _on_disk(table: pa.Table, path: Path) -> pa.Table:
    """The same table, mapped from a file, so that the system can take its memory back."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _added(files: Iterable[Path], number: int, schema: pa.Schema) -> pa.Table:
    """One partition of all files, added up."""
    tables = []
    for path in files:
        with pa.memory_map(str(path)) as file:
            tables.append(pa.table(pa.ipc.open_file(file).get_batch(number)))
    return _sum(tables, schema)


def _sum(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """The counts of several tables added up, in the order of the words."""
    if not tables:
        return schema.empty_table()
    # One thread, since the order in which fractions are added decides their last bit.
    groups = pa.concat_tables(tables).group_by("word", use_threads=False).aggregate([("count", "sum")])
    return groups.select(["word", "count_sum"]).rename_columns(["word", "count"]).sort_by("word")


def _weighted(table: pa.Table, weight: float) -> pa.Table:
    return pa.table([table["word"], pa.array(_counts(table) * weight)], schema=WEIGHTED)


def _counts(table: pa.Table) -> np.ndarray:
    return table["count"].to_numpy()


def _least_count(tables: list[pa.Table], most: int) -> float:
    """How often a pre-token has to occur so that no more than `most` do; never more often than the commonest."""
    counts = np.concatenate([_counts(table) for table in tables])
    if len(counts) <= most:
        return 0.0
    least = float(np.partition(counts, len(counts) - most)[len(counts) - most])
    if np.count_nonzero(counts >= least) > most:  # many occur as often as that one
        least = float(counts[counts > least].min(initial=counts.max()))
    return least


def _characters(table: pa.Table) -> float:
    return float(np.dot(pa.compute.utf8_length(table["word"]).to_numpy(), _counts(table)))


def _cut_rare(table: pa.Table, cut: _Spill) -> None:
    """Adds the halves of rare phrases to `cut`, and rare pre-tokens that are not cut as they are."""
    for word, count in zip(table["word"].to_pylist(), _counts(table).tolist()):
        for piece in halves(word):
            cut.counts[piece] += count
        if len(cut.counts) >= cut.at_once:
            cut.write()


def halves(word: str) -> tuple[str, ...]:
    """A long phrase of Japanese in two, at the beginning of a word that is nearest to its middle; others whole."""
    if len(word) <= SHORTEST_CUT or not PHRASE.fullmatch(word):
        return (word,)
    middle = len(word) / 2
    places: Iterator[int] = (match.start() for match in WORD_BEGINS.finditer(word))
    place = min(places, key=lambda place: (abs(place - middle), place), default=len(word) // 2)
    return word[:place], word[place:]
