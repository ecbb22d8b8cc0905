"""Which documents share a training sequence: best-fit packing, fast enough for a hundred million of them.

Concatenating documents and cutting the stream at every sequence_length-th token cuts most documents somewhere. Best-fit
packing (Ding et al., 2024, "Fewer Truncations Improve Language Modeling") cuts only those that are longer than a
sequence, and lays the pieces into sequences by best-fit-decreasing: the longest piece first, each into the sequence
where it leaves the least room.

Pieces of one length are all alike, and so are sequences with the same room left, so they are placed by the class, not
one by one: of all sequences that can take a piece of length n, those with the least room r take r // n pieces each
before any other takes one. The work is about sequence_length x log(sequence_length) steps of numpy, however many
documents there are, and the result is that of best-fit-decreasing exactly.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import InputError


class Placement(NamedTuple):
    """Some pieces of one length and where they go, in order: the first `each` of them into sequences[0], and so on."""

    length: int
    each: int
    sequences: np.ndarray


def piece_lengths(lengths: np.ndarray, sequence_length: int) -> np.ndarray:
    """How many pieces of each length documents make, longer ones cut first: shape (sequence_length + 1,), int64."""
    counts = np.bincount(lengths % sequence_length, minlength=sequence_length + 1)
    counts[0] = 0
    counts[sequence_length] = np.sum(lengths // sequence_length)
    return counts


def best_fit_decreasing(counts: np.ndarray, sequence_length: int) -> tuple[list[Placement], int]:
    """Places pieces into sequences, the longest first, each where it leaves the least room.

    Among sequences with the same room, the one that came to it first is taken.

    Args:
        counts: the number of pieces by length, shape (sequence_length + 1,).
        sequence_length: the room in an empty sequence.

    Returns:
        (placements, in order of decreasing length; number of sequences).
    """
    waiting: list[deque[np.ndarray]] = [deque() for _ in range(sequence_length + 1)]  # sequences by the room they have
    occupied = bytearray(sequence_length + 1)  # 1 where `waiting` is not empty; searched at the speed of memchr
    placements, opened = [], 0
    for length in range(sequence_length, 0, -1):
        left = int(counts[length])
        while left:
            room = occupied.find(1, length)
            if room < 0:
                room = sequence_length
                wanted = -(-left // (room // length))
                sequences = np.arange(opened, opened + wanted)
                opened += wanted
            else:
                sequences = _take(waiting[room], -(-left // (room // length)))
                occupied[room] = bool(waiting[room])
            each = room // length
            full = min(left // each, len(sequences))
            for number, some in ((each, sequences[:full]), (left - full * each, sequences[full:])):
                if len(some):
                    placements.append(Placement(length, number, some))
                    left -= number * len(some)
                    waiting[room - number * length].append(some)
                    occupied[room - number * length] = 1
            occupied[0] = 0
        waiting[0].clear()
    return placements, opened


def _take(waiting: deque[np.ndarray], wanted: int) -> np.ndarray:
    """The first `wanted` sequences, or all where there are fewer."""
    taken = []
    while waiting and wanted:
        first = waiting.popleft()
        if len(first) > wanted:
            waiting.appendleft(first[wanted:])
            first = first[:wanted]
        taken.append(first)
        wanted -= len(first)
    return taken[0] if len(taken) == 1 else np.concatenate(taken)


@dataclass(frozen=True)
class PackedPieces:
    """The pieces of documents in every sequence.

    Attributes:
        starts: first token of each piece in the stream, sequence by sequence, shape (pieces,), int64.
        lengths: tokens in each piece, shape (pieces,), int32.
        offsets: first piece of each sequence, and the number of pieces, shape (sequences + 1,), int64.
    """

    starts: np.ndarray
    lengths: np.ndarray
    offsets: np.ndarray


def pack_best_fit(ends: np.ndarray, sequence_length: int) -> PackedPieces:
    """Packs the documents of a stream.

    Memory: about 70 bytes a document at most.

    Args:
        ends: where each document ends in the stream, shape (documents,).
        sequence_length: tokens in a sequence.

    Raises:
        InputError: a document ends before it begins; the file of document ends is damaged.
    """
    lengths = np.diff(ends, prepend=0)
    if lengths.min() < 1:
        raise InputError(f"document {int(lengths.argmin()):,} ends before it begins")
    counts = piece_lengths(lengths, sequence_length)
    placements, sequences = best_fit_decreasing(counts, sequence_length)
    piece_starts = _starts_by_length(ends, lengths, sequence_length)
    del lengths

    offsets = np.zeros(sequences + 1, np.int64)
    for placement in placements:
        offsets[placement.sequences + 1] += placement.each
    np.cumsum(offsets, out=offsets)
    next_free = offsets[:-1].copy()
    starts, piece_length = np.empty(offsets[-1], np.int64), np.empty(offsets[-1], np.int32)
    done = 0
    for length, each, into in placements:
        places = (next_free[into][:, None] + np.arange(each)).ravel()
        starts[places] = piece_starts[done : done + len(places)]
        piece_length[places] = length
        next_free[into] += each
        done += len(places)
    return PackedPieces(starts, piece_length, offsets)


def _starts_by_length(ends: np.ndarray, lengths: np.ndarray, sequence_length: int) -> np.ndarray:
    """First tokens of all pieces, the longest pieces first and each length in the order of the stream, int64."""
    long = np.flatnonzero(lengths >= sequence_length)
    whole = lengths[long] // sequence_length
    first = np.cumsum(whole) - whole
    within = np.arange(whole.sum()) - np.repeat(first, whole)
    whole_starts = np.repeat(np.asarray(ends)[long] - lengths[long], whole) + within * sequence_length

    rest = lengths % sequence_length
    # Below 2^16 a stable sort of numpy's is a radix sort, several times as fast.
    shortness = (sequence_length - rest).astype(np.uint16 if sequence_length < 2**16 else np.int64)
    order = np.argsort(shortness, kind="stable")
    del shortness
    order = order[: np.count_nonzero(rest)]  # no rest sorts last
    return np.concatenate([whole_starts, np.asarray(ends)[order] - rest[order]])
