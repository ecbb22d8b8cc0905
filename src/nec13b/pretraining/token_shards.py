"""Packed tokens on disk: tokenised once, memory-mapped ever after.

A folder of token shards holds, for each split (train, held_out) and domain (ja, en, code), one long stream of token ids
cut into `.bin` files of plain little-endian integers. A document stands between a begin and an end token; documents
follow one another without padding, so the sequence length is not baked in. Beside each stream a `.ends` file says where
every document ends, so that nobody ever has to search the tokens for borders.
`index.json` is the folder's table of contents: counts, and the fingerprints of the tokenizer and the corpus.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..corpus import Document, is_held_out
from ..errors import InputError
from ..run_record import read_json, write_json
from ..tokenization import TokenizerHandle
from ..whole_files import whole_folder

INDEX_NAME = "index.json"
FORMAT_FAMILY = "nec13b-token-shards-"
FORMAT = FORMAT_FAMILY + "2"
MADE_BY = "recipes/pack_tokens.py"
SPLITS = ("train", "held_out")
ENDS_DTYPE = np.dtype("<i8")
# A process holds every file open, and may open 1,024 on most systems: 260 billion tokens are 260 files.
SHARD_TOKENS = 1_000_000_000
BATCH_CHARACTERS = 2_000_000


def write_token_shards(
    documents: Iterable[Document],
    handle: TokenizerHandle,
    folder: str | os.PathLike,
    held_out_fraction: float,
    shard_tokens: int = SHARD_TOKENS,
    mixture: dict | None = None,
) -> "TokenShards":
    """Tokenises documents into `folder`, which appears only when it is whole.

    Args:
        documents: the corpus; read once, in order.
        handle: the tokenizer. Special tokens spelt out in a text are encoded as plain text.
        folder: where the shards go; replaced if it is there.
        held_out_fraction: share of documents (0 to 1, by hash) that goes to the held-out split.
        shard_tokens: most tokens in one file.
        mixture: the plan of the corpus (`mixture.json`); training takes its proportions where no others are wanted.

    Raises:
        InputError: there is no document, or the folder holds other files.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / INDEX_NAME).is_file() and any(folder.iterdir()):
        raise InputError(f"{folder} holds files that are not token shards; choose another output folder")
    with whole_folder(folder) as building:
        dtype = "uint16" if len(handle.tokenizer) <= 2**16 else "uint32"
        streams: dict[tuple[str, str], _StreamWriter] = {}
        corpus_digest = hashlib.sha256()
        for batch in _batches(documents):
            for document, ids in zip(batch, _encode(handle, [document.text for document in batch])):
                corpus_digest.update(f"{document.domain}\0{document.text}\0".encode())
                key = ("held_out" if is_held_out(document, held_out_fraction) else "train", document.domain)
                if key not in streams:
                    streams[key] = _StreamWriter(building, "-".join(key), dtype, shard_tokens)
                streams[key].add(ids)
        if not streams:
            raise InputError("the corpus holds no usable document")
        index = {
            "format": FORMAT,
            "dtype": dtype,
            "tokenizer": handle.fingerprint,
            "vocab_size": handle.padded_vocab_size,
            "padding_token": _padding_token(handle),
            "corpus": "sha256:" + corpus_digest.hexdigest(),
            "held_out_fraction": held_out_fraction,
            "mixture": {name: mixture[name] for name in ("proportions", "most_passes")} if mixture else None,
            "streams": {"/".join(key): streams[key].close() for key in sorted(streams)},
        }
        write_json(building / INDEX_NAME, index)
    return TokenShards.open(folder)


def _padding_token(handle: TokenizerHandle) -> int:
    """What fills a sequence that documents do not fill; it is never predicted, so any token would do."""
    tokenizer = handle.tokenizer
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch, size = [], 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _encode(handle: TokenizerHandle, texts: list[str]) -> Iterator[np.ndarray]:
    tokenizer, backend = handle.tokenizer, handle.tokenizer.backend_tokenizer
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True  # an end token spelt out in a text must not end the document
    try:
        encodings = backend.encode_batch_fast(texts, add_special_tokens=False)
    finally:
        backend.encode_special_tokens = before
    for encoding in encodings:
        # Where one token both begins and ends (GPT-2's family), once is enough.
        yield np.array(([] if begin in (None, end) else [begin]) + encoding.ids + [end], dtype=np.int64)


class _StreamWriter:
    """Appends documents to the shards of one split and domain."""

    def __init__(self, folder: Path, name: str, dtype: str, shard_tokens: int):
        self.folder, self.name, self.dtype, self.shard_tokens = folder, name, np.dtype(dtype), shard_tokens
        self.documents = self.tokens = 0
        self.shards: list[dict] = []
        self.file = None
        self.ends_file = (folder / f"{name}.ends").open("wb")
        self.ends_digest = hashlib.sha256()

    def add(self, ids: np.ndarray) -> None:
        self.documents += 1
        self.tokens += len(ids)
        end = self.tokens.to_bytes(ENDS_DTYPE.itemsize, "little")
        self.ends_file.write(end)
        self.ends_digest.update(end)
        while len(ids):
            if self.file is None:
                self.shards.append({"file": f"{self.name}-{len(self.shards):05d}.bin", "tokens": 0})
                self.file = (self.folder / self.shards[-1]["file"]).open("wb")
            room = self.shard_tokens - self.shards[-1]["tokens"]
            part, ids = ids[:room], ids[room:]
            self.file.write(part.astype(self.dtype.newbyteorder("<")).tobytes())
            self.shards[-1]["tokens"] += len(part)
            if self.shards[-1]["tokens"] == self.shard_tokens:
                _close_on_disk(self.file)
                self.file = None

    def close(self) -> dict:
        if self.file is not None:
            _close_on_disk(self.file)
        _close_on_disk(self.ends_file)
        return {
            "documents": self.documents,
            "tokens": self.tokens,
            "ends": {"file": f"{self.name}.ends", "sha256": self.ends_digest.hexdigest()},
            "shards": self.shards,
        }


def _close_on_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def mapped_array(path: Path, dtype: np.dtype, length: int) -> np.ndarray:
    """A file of plain integers, memory-mapped, shape (length,); nothing is read.

    Raises:
        InputError: the file is missing or does not have the size of its content.
    """
    wanted = length * dtype.itemsize
    size = path.stat().st_size if path.is_file() else -1
    if size != wanted:
        found = "is missing" if size < 0 else f"has {size:,} bytes instead of {wanted:,}"
        raise InputError(f"{path} {found}; make the folder again with {MADE_BY}")
    return np.memmap(path, dtype=dtype, mode="r", shape=(length,))


@dataclass(frozen=True)
class TokenStream:
    """The tokens of one split and domain, over any number of memory-mapped files.

    Attributes:
        name: `train/ja`.
        documents: how many there are.
        tokens: how many there are, begin and end tokens included.
        ends: where each document ends (one past its last token), shape (documents,), memory-mapped.
    """

    name: str
    documents: int
    tokens: int
    ends: np.ndarray
    maps: tuple[np.ndarray, ...]
    starts: tuple[int, ...]
    vocab_size: int
    opened_with: tuple

    @classmethod
    def open(cls, folder: Path, name: str, entry: dict, dtype: str, vocab_size: int) -> "TokenStream":
        """Opens the files that an entry of `index.json` names.

        Raises:
            InputError: a file is missing or cut short, or the documents do not end where the tokens do.
        """
        token_dtype, starts, total = np.dtype(dtype).newbyteorder("<"), [], 0
        maps = tuple(mapped_array(folder / shard["file"], token_dtype, shard["tokens"]) for shard in entry["shards"])
        for shard in entry["shards"]:
            starts.append(total)
            total += shard["tokens"]
        ends = mapped_array(folder / entry["ends"]["file"], ENDS_DTYPE, entry["documents"])
        if ends[-1] != total:
            raise InputError(
                f"{folder / entry['ends']['file']} ends at token {ends[-1]:,}, but {name} has {total:,} tokens; make "
                f"the folder again with {MADE_BY}"
            )
        opened_with = (folder, name, entry, dtype, vocab_size)
        return cls(name, entry["documents"], total, ends, maps, tuple(starts), vocab_size, opened_with)

    def __reduce__(self):
        # A memory map is pickled with all it shows; a worker that is not forked opens the files instead.
        return TokenStream.open, self.opened_with

    def window(self, start: int, length: int) -> np.ndarray:
        """Token ids `start` to `start + length` of the stream, int64, shape (length,).

        Raises:
            InputError: a token is not in the vocabulary, so the file is damaged.
        """
        if start < 0 or start + length > self.tokens:
            raise IndexError(f"window {start}..{start + length} of a stream of {self.tokens} tokens")
        shard = int(np.searchsorted(self.starts, start, side="right")) - 1
        parts, needed, offset = [], length, start - self.starts[shard]
        while needed:
            part = self.maps[shard][offset : offset + needed]
            parts.append(part)
            needed -= len(part)
            shard, offset = shard + 1, 0
        ids = np.concatenate(parts, dtype=np.int64) if parts else np.zeros(0, np.int64)
        if length and (largest := ids.max()) >= self.vocab_size:
            raise InputError(
                f"{self.opened_with[0]}: token {start + int(ids.argmax()):,} of {self.name} is {largest:,}, but the "
                f"vocabulary has {self.vocab_size:,}; a file is damaged, make the folder again with {MADE_BY}"
            )
        return ids

    def borders(self, start: int, length: int) -> np.ndarray:
        """Where documents end inside a window, counted from its start; 0 < border < length, int64."""
        first = np.searchsorted(self.ends, start, side="right")
        last = np.searchsorted(self.ends, start + length, side="left")
        return np.asarray(self.ends[first:last]) - start


@dataclass(frozen=True)
class TokenShards:
    """A folder of token shards, opened.

    Attributes:
        folder: where it lies.
        index: the content of `index.json`.
        streams: the token streams by split and domain.
    """

    folder: Path
    index: dict
    streams: dict[str, dict[str, TokenStream]]

    @classmethod
    def open(cls, folder: str | os.PathLike, tokenizer: TokenizerHandle | None = None) -> "TokenShards":
        """Opens a folder and checks it; nothing is read but the index, the file sizes and one number a stream.

        Raises:
            InputError: it is missing, cut short, or made with another tokenizer than the one given.
        """
        folder = Path(folder)
        index = read_json(folder / INDEX_NAME, MADE_BY)
        if index.get("format") != FORMAT:
            if str(index.get("format")).startswith(FORMAT_FAMILY):
                raise InputError(
                    f"{folder} holds tokens of an older version, which did not note where documents end; make it again "
                    f"with the recipe that made it ({MADE_BY}) and --overwrite_output_dir"
                )
            raise InputError(f"{folder / INDEX_NAME}: not token shards; make them with {MADE_BY}")
        if tokenizer and index["tokenizer"] != tokenizer.fingerprint:
            raise InputError(
                f"the tokens in {folder} were made with another tokenizer than {tokenizer.path}; "
                f"pass the tokenizer that made them, or make them again with {MADE_BY}"
            )
        streams: dict[str, dict[str, TokenStream]] = {split: {} for split in SPLITS}
        for key, entry in index["streams"].items():
            split, domain = key.split("/", 1)
            streams[split][domain] = TokenStream.open(folder, key, entry, index["dtype"], index["vocab_size"])
        return cls(folder, index, streams)

    @property
    def fingerprint(self) -> str:
        """Decides, with seed, sequence length and packing, every training batch."""
        decisive = [self.index[key] for key in ("tokenizer", "corpus", "held_out_fraction")]
        decisive += [entry["ends"]["sha256"] for entry in self.index["streams"].values()]
        return "sha256:" + hashlib.sha256(repr(decisive).encode()).hexdigest()

    @property
    def padding_token(self) -> int:
        """What stands where a sequence is not filled."""
        return self.index["padding_token"]

    @property
    def proportions(self) -> dict[str, float] | None:
        """The proportions that the corpus was planned for, if it was."""
        return (self.index.get("mixture") or {}).get("proportions")

    @property
    def most_passes(self) -> dict[str, float]:
        """How often training should go through a domain at most, where the corpus was planned."""
        return (self.index.get("mixture") or {}).get("most_passes", {})

    def counts(self) -> dict[str, dict[str, int]]:
        """Documents and tokens by `split/domain`."""
        return {k: {"documents": s["documents"], "tokens": s["tokens"]} for k, s in self.index["streams"].items()}
