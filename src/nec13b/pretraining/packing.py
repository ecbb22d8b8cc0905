"""How documents fill the training sequences: cut from the stream, or best-fit by a plan that is made once.

`concatenated`: a sequence is a window of the stream, so nothing has to be planned. `best_fit`: documents are laid into
sequences whole where they fit (best_fit.py); which ones share a sequence is written into a folder of plain integers,
memory-mapped by every run that uses the same tokens and sequence length, and found again without looking at a document.

    best_fit-2048/
      plan.json      fingerprint of the tokens, sequence length, counts by domain
      ja.starts      first token of each piece, sequence by sequence (int64)
      ja.lengths     tokens in each piece (int32)
      ja.offsets     first piece of each sequence, and the number of pieces (int64)
"""

import contextlib
import itertools
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..run_record import read_json, write_json
from .best_fit import PackedPieces, best_fit_decreasing, pack_best_fit, piece_lengths
from .token_shards import MADE_BY as TOKENS_MADE_BY
from .token_shards import TokenShards, TokenStream, mapped_array

PACKINGS = ("concatenated", "best_fit")
FORMAT = "nec13b-packing-plan-1"
PLANS_NAME = "packing"
PLAN_INDEX_NAME = "plan.json"
MADE_BY = "recipes/pretrain.py"
ARRAYS = {"starts": np.dtype("<i8"), "lengths": np.dtype("<i4"), "offsets": np.dtype("<i8")}


class ConcatenatedPacking:
    """Sequences cut from the stream one after another; the last one is not full.

    Args:
        stream: the tokens.
        sequence_length: tokens in a sequence.
        documents_apart: cut a sequence into pieces where documents end.
    """

    def __init__(self, stream: TokenStream, sequence_length: int, documents_apart: bool):
        self.stream, self.sequence_length, self.documents_apart = stream, sequence_length, documents_apart

    def __len__(self) -> int:
        return -(-self.stream.tokens // self.sequence_length)

    def pieces(self, i: int) -> list[tuple[int, int]]:
        """(first token, number of tokens) of each piece of the i-th sequence."""
        start = i * self.sequence_length
        length = min(self.sequence_length, self.stream.tokens - start)
        if not self.documents_apart:
            return [(start, length)]
        edges = [0, *self.stream.borders(start, length).tolist(), length]
        return [(start + first, last - first) for first, last in itertools.pairwise(edges)]


@dataclass(frozen=True)
class BestFitPacking:
    """Sequences of one domain that a plan describes, memory-mapped."""

    folder: Path
    domain: str
    sequences: int
    pieces_in_all: int
    packed: PackedPieces

    @classmethod
    def open(cls, folder: Path, domain: str, sequences: int, pieces: int) -> "BestFitPacking":
        """Raises InputError where a file is missing or cut short."""
        sizes = {"starts": pieces, "lengths": pieces, "offsets": sequences + 1}
        arrays = {name: mapped_array(folder / f"{domain}.{name}", ARRAYS[name], sizes[name]) for name in ARRAYS}
        return cls(folder, domain, sequences, pieces, PackedPieces(**arrays))

    def __reduce__(self):
        # As for TokenStream: a worker that is not forked opens the files.
        return BestFitPacking.open, (self.folder, self.domain, self.sequences, self.pieces_in_all)

    def __len__(self) -> int:
        return self.sequences

    def pieces(self, i: int) -> list[tuple[int, int]]:
        """(first token, number of tokens) of each piece of the i-th sequence."""
        first, last = self.packed.offsets[i : i + 2].tolist()
        return list(zip(self.packed.starts[first:last].tolist(), self.packed.lengths[first:last].tolist()))


@dataclass(frozen=True)
class PackingPlan:
    """The best-fit packing of a folder of tokens for one sequence length.

    Attributes:
        folder: where it lies.
        domains: the sequences of each domain of the train split.
    """

    folder: Path
    domains: dict[str, BestFitPacking]

    @classmethod
    def open(cls, folder: Path, shards: TokenShards, sequence_length: int) -> "PackingPlan":
        """Opens a plan and checks it by fingerprint and sizes; nothing is scanned.

        Raises:
            InputError: it is missing, damaged, or of other tokens.
        """
        index = read_json(folder / PLAN_INDEX_NAME, MADE_BY)
        wanted = _identity(shards, sequence_length)
        if {name: index.get(name) for name in wanted} != wanted:
            raise InputError(f"{folder} is the packing plan of other tokens")
        domains = {
            domain: BestFitPacking.open(folder, domain, counts["sequences"], counts["pieces"])
            for domain, counts in index["domains"].items()
        }
        return cls(folder, domains)


def packing_plan(shards: TokenShards, sequence_length: int, run_folder: Path) -> PackingPlan:
    """The best-fit packing plan of a folder of tokens, made where there is none yet.

    It lies beside the tokens, for all runs that use them, or in the run's folder where the tokens cannot be written
    to. It is a pure function of the tokens and the sequence length, so one that is damaged is simply made again. Call
    it on the main process before the others; two runs that make the same plan at once do not disturb each other.

    Raises:
        InputError: the file of document ends is damaged, or there is no room for the plan.
    """
    name = f"best_fit-{sequence_length}"
    places = [shards.folder / PLANS_NAME / name, Path(run_folder) / PLANS_NAME / name]
    for folder in places:
        with contextlib.suppress(InputError):
            return PackingPlan.open(folder, shards, sequence_length)
    print(f"planning which documents share a sequence of {sequence_length:,} tokens ...", flush=True)
    reasons = []
    for folder in places:
        try:
            _write_plan(folder, shards, sequence_length)
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror}")
            continue
        return PackingPlan.open(folder, shards, sequence_length)
    raise InputError("the packing plan cannot be written (" + "; ".join(reasons) + ")")


def _identity(shards: TokenShards, sequence_length: int) -> dict:
    return {"format": FORMAT, "tokens": shards.fingerprint, "sequence_length": sequence_length}


def _write_plan(folder: Path, shards: TokenShards, sequence_length: int) -> None:
    building = folder.with_name(f".{folder.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        domains = {}
        for domain, stream in shards.streams["train"].items():
            packed = _packed(shards, stream, sequence_length)
            for name, dtype in ARRAYS.items():
                with (building / f"{domain}.{name}").open("wb") as file:
                    file.write(getattr(packed, name).astype(dtype, copy=False).data)
                    file.flush()
                    os.fsync(file.fileno())
            domains[domain] = {"sequences": len(packed.offsets) - 1, "pieces": len(packed.starts)}
        write_json(building / PLAN_INDEX_NAME, {**_identity(shards, sequence_length), "domains": domains})
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        try:
            os.replace(building, folder)
        except OSError:
            if not folder.is_dir():  # else another run has just put its own there, which is the same
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _packed(shards: TokenShards, stream: TokenStream, sequence_length: int) -> PackedPieces:
    try:
        return pack_best_fit(stream.ends, sequence_length)
    except InputError as error:
        raise InputError(f"{shards.folder}, {stream.name}: {error}; make it again with {TOKENS_MADE_BY}") from None


@dataclass(frozen=True)
class PackingReport:
    """What both ways of packing do to one stream at one sequence length.

    Attributes:
        mean_length: tokens in a document.
        longer: documents that are longer than a sequence; only these are cut by best-fit packing.
        cut: documents that are cut when the stream is.
        sequences: sequences of best-fit packing.
        filled: share of their places that hold tokens; all but the last one are full when the stream is cut.
    """

    mean_length: float
    longer: int
    cut: int
    sequences: int
    filled: float


def packing_report(stream: TokenStream, sequence_length: int) -> PackingReport:
    """Measures both ways of packing from the document ends alone, without making a plan."""
    lengths = np.diff(stream.ends, prepend=0)
    _, sequences = best_fit_decreasing(piece_lengths(lengths, sequence_length), sequence_length)
    first, last = (stream.ends - lengths) // sequence_length, (stream.ends - 1) // sequence_length
    return PackingReport(
        mean_length=stream.tokens / stream.documents,
        longer=int(np.count_nonzero(lengths > sequence_length)),
        cut=int(np.count_nonzero(first != last)),
        sequences=sequences,
        filled=stream.tokens / (sequences * sequence_length),
    )
