"""Packed tokens on disk: tokenised once, memory-mapped ever after.

A folder of token shards holds, for each split (train, held_out) and domain (ja, en, code), one long stream of token ids
cut into `.bin` files of plain little-endian integers. A document stands between a begin and an end token; documents
follow one another without padding, and a training sequence is any window of the stream, so the sequence length is not
baked in.
`index.json` is the folder's table of contents: counts, and the fingerprints of the tokenizer and the corpus.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..corpus import Document, is_held_out
from ..errors import InputError
from ..run_record import read_json, write_json
from ..tokenization import TokenizerHandle

INDEX_NAME = "index.json"
FORMAT = "nec13b-token-shards-1"
MADE_BY = "recipes/pack_tokens.py"
SPLITS = ("train", "held_out")
SHARD_TOKENS = 250_000_000
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
    building = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)  # what a killed run left behind
    building.mkdir(parents=True)
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
        shutil.rmtree(building)
        raise InputError("the corpus holds no usable document")
    index = {
        "format": FORMAT,
        "dtype": dtype,
        "tokenizer": handle.fingerprint,
        "vocab_size": handle.padded_vocab_size,
        "corpus": "sha256:" + corpus_digest.hexdigest(),
        "held_out_fraction": held_out_fraction,
        "mixture": {name: mixture[name] for name in ("proportions", "most_passes")} if mixture else None,
        "streams": {"/".join(key): streams[key].close() for key in sorted(streams)},
    }
    write_json(building / INDEX_NAME, index)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(building, folder)
    return TokenShards.open(folder)


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
        self.documents = 0
        self.shards: list[dict] = []
        self.file = None

    def add(self, ids: np.ndarray) -> None:
        self.documents += 1
        while len(ids):
            if self.file is None:
                self.shards.append({"file": f"{self.name}-{len(self.shards):05d}.bin", "tokens": 0})
                self.file = (self.folder / self.shards[-1]["file"]).open("wb")
            room = self.shard_tokens - self.shards[-1]["tokens"]
            part, ids = ids[:room], ids[room:]
            self.file.write(part.astype(self.dtype.newbyteorder("<")).tobytes())
            self.shards[-1]["tokens"] += len(part)
            if self.shards[-1]["tokens"] == self.shard_tokens:
                self._close_file()

    def _close_file(self) -> None:
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self.file = None

    def close(self) -> dict:
        self._close_file()
        return {
            "documents": self.documents,
            "tokens": sum(shard["tokens"] for shard in self.shards),
            "shards": self.shards,
        }


@dataclass(frozen=True)
class TokenStream:
    """The tokens of one split and domain, over any number of memory-mapped files."""

    documents: int
    tokens: int
    maps: tuple[np.ndarray, ...]
    starts: tuple[int, ...]

    def window(self, start: int, length: int) -> np.ndarray:
        """Token ids `start` to `start + length` of the stream, int64, shape (length,)."""
        if start < 0 or start + length > self.tokens:
            raise IndexError(f"window {start}..{start + length} of a stream of {self.tokens} tokens")
        shard = int(np.searchsorted(self.starts, start, side="right")) - 1
        parts, needed, offset = [], length, start - self.starts[shard]
        while needed:
            part = self.maps[shard][offset : offset + needed]
            parts.append(part)
            needed -= len(part)
            shard, offset = shard + 1, 0
        return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)


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
        """Opens a folder and checks it; nothing is read but the index and the file sizes.

        Raises:
            InputError: it is missing, cut short, or made with another tokenizer than the one given.
        """
        folder = Path(folder)
        index = read_json(folder / INDEX_NAME, MADE_BY)
        if index.get("format") != FORMAT:
            raise InputError(f"{folder / INDEX_NAME}: not token shards of this version; make them again with {MADE_BY}")
        if tokenizer and index["tokenizer"] != tokenizer.fingerprint:
            raise InputError(
                f"the tokens in {folder} were made with another tokenizer than {tokenizer.path}; "
                f"pass the tokenizer that made them, or make them again with {MADE_BY}"
            )
        dtype = np.dtype(index["dtype"]).newbyteorder("<")
        streams: dict[str, dict[str, TokenStream]] = {split: {} for split in SPLITS}
        for key, stream in index["streams"].items():
            maps, starts, total = [], [], 0
            for shard in stream["shards"]:
                path = folder / shard["file"]
                wanted = shard["tokens"] * dtype.itemsize
                size = path.stat().st_size if path.is_file() else -1
                if size != wanted:
                    found = "is missing" if size < 0 else f"has {size:,} bytes instead of {wanted:,}"
                    raise InputError(f"token shard {path} {found}; make the folder again with {MADE_BY}")
                maps.append(np.memmap(path, dtype=dtype, mode="r", shape=(shard["tokens"],)))
                starts.append(total)
                total += shard["tokens"]
            split, domain = key.split("/", 1)
            streams[split][domain] = TokenStream(stream["documents"], total, tuple(maps), tuple(starts))
        return cls(folder, index, streams)

    @property
    def fingerprint(self) -> str:
        """Decides, with seed and sequence length, every training batch."""
        decisive = [self.index[key] for key in ("tokenizer", "corpus", "held_out_fraction")]
        return "sha256:" + hashlib.sha256(repr(decisive).encode()).hexdigest()

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
