"""The fast packing is best-fit-decreasing to the letter, and loses no token."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.pretraining.best_fit import best_fit_decreasing, pack_best_fit, piece_lengths


def one_by_one(pieces: list[int], sequence_length: int) -> list[list[int]]:
    """Best-fit-decreasing as a textbook has it: lengths by sequence, earliest arrival first among equal fits."""
    sequences = []  # [room, when it came to have that room, lengths]
    for time, piece in enumerate(sorted(pieces, reverse=True)):
        fitting = [sequence for sequence in sequences if sequence[0] >= piece]
        if fitting:
            best = min(fitting, key=lambda sequence: sequence[:2])
            best[:] = [best[0] - piece, time, [*best[2], piece]]
        else:
            sequences.append([sequence_length - piece, time, [piece]])
    return [lengths for _, _, lengths in sequences]


def pieces_of(lengths: list[int], sequence_length: int) -> list[int]:
    cut = [[sequence_length] * (n // sequence_length) + [n % sequence_length] for n in lengths]
    return [piece for pieces in cut for piece in pieces if piece]


DOCUMENTS = st.lists(st.integers(1, 60), min_size=1, max_size=80)


@given(lengths=DOCUMENTS, sequence_length=st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_every_sequence_is_that_of_the_textbook(lengths, sequence_length):
    packed = pack_best_fit(np.cumsum(lengths), sequence_length)
    sequences = [packed.lengths[a:b].tolist() for a, b in zip(packed.offsets, packed.offsets[1:])]
    assert sequences == one_by_one(pieces_of(lengths, sequence_length), sequence_length)


@given(lengths=DOCUMENTS, sequence_length=st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_every_token_is_in_one_piece_and_only_long_documents_are_cut(lengths, sequence_length):
    ends = np.cumsum(lengths)
    packed = pack_best_fit(ends, sequence_length)
    order = np.argsort(packed.starts)
    starts, stops = packed.starts[order], (packed.starts + packed.lengths)[order]
    assert starts[0] == 0
    assert stops[-1] == ends[-1]
    assert np.array_equal(starts[1:], stops[:-1])
    for start, stop in zip(ends - lengths, ends):
        inside = starts[(start < starts) & (starts < stop)]
        assert inside.tolist() == list(range(start + sequence_length, stop, sequence_length))


def test_a_million_documents_fill_their_sequences():
    lengths = np.random.default_rng(0).lognormal(6, 1, 1_000_000).astype(np.int64) + 1
    _, sequences = best_fit_decreasing(piece_lengths(lengths, 2048), 2048)
    assert lengths.sum() / (sequences * 2048) > 0.999


def test_long_sequences_take_the_other_sort():
    lengths = np.random.default_rng(0).integers(1, 200_000, 500)
    packed = pack_best_fit(np.cumsum(lengths), 100_000)
    assert packed.lengths.sum() == lengths.sum()
    assert np.array_equal(np.sort(packed.lengths), np.sort(pieces_of(lengths.tolist(), 100_000)))


def test_ends_that_do_not_rise_are_refused():
    with pytest.raises(InputError, match="document 2 ends before it begins"):
        pack_best_fit(np.array([5, 9, 8, 20]), 10)
