"""Which window of which domain is the i-th training sequence: a pure function of (seed, i).

Nothing is shuffled in memory and nothing is remembered, so a run can be resumed at any step, on any number of
processes, and sees exactly the tokens it would have seen. Two ideas do it:

- Domains are interleaved by arrival times. The k-th sequence of a domain with proportion p is due at (k + 1/2) / p; the
  sequences are taken in the order of these times. After any number of sequences each domain is within one sequence
  (or so) of its exact share.
- Within a domain, each epoch visits all windows once, in the order of a permutation computed by a keyed Feistel network
  (format-preserving encryption of the index), which needs no table, however many windows there are.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch.utils.data import Dataset

from ..errors import InputError
from .token_shards import TokenShards, TokenStream

RESOLUTION = 1_000_000  # proportions are held as whole millionths, so that the order is exact on every machine
ROUNDS = 4


class PermutedRange:
    """A pseudo-random permutation of range(size), computed index by index.

    Args:
        size: number of elements, at least 1.
        key: anything; its text decides the permutation.
    """

    def __init__(self, size: int, key: tuple):
        self.size = size
        self.half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
        digest = hashlib.blake2b(repr(key).encode(), digest_size=8 * ROUNDS).digest()
        self.round_keys = [int.from_bytes(digest[8 * r : 8 * r + 8], "little") for r in range(ROUNDS)]

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.size:
            raise IndexError(index)
        while True:  # the network permutes a power of four; walk its cycle back into the range
            index = self._encrypt(index)
            if index < self.size:
                return index

    def _encrypt(self, index: int) -> int:
        mask = (1 << self.half_bits) - 1
        left, right = index >> self.half_bits, index & mask
        for key in self.round_keys:
            left, right = right, left ^ (_mix64(right ^ key) & mask)
        return (left << self.half_bits) | right


def _mix64(value: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every input bit reaches every output bit."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 31)


@dataclass(frozen=True)
class DataOrder:
    """The order of training sequences.

    Attributes:
        windows: number of windows (sequences) of each domain.
        weights: whole-number weight of each domain in the mixture; the proportion is its share of their sum.
        seed: decides the order within the domains.
    """

    windows: dict[str, int]
    weights: dict[str, int]
    seed: int

    def counts(self, n: int) -> dict[str, int]:
        """How many of the first n sequences come from each domain."""
        domains = list(self.weights)
        total = sum(self.weights.values())
        time = max(0, n - len(domains))  # surely fewer than n arrivals up to here
        counts = (
            {d: (2 * time * self.weights[d] + total) // (2 * total) for d in domains}
            if time
            else dict.fromkeys(domains, 0)
        )
        for _ in range(n - sum(counts.values())):
            counts[self._next(counts)] += 1
        return counts

    def _next(self, counts: dict[str, int]) -> str:
        """The domain whose next sequence is due first; the earlier named one where two are due together."""
        first, *others = self.weights
        for domain in others:
            if (2 * counts[domain] + 1) * self.weights[first] < (2 * counts[first] + 1) * self.weights[domain]:
                first = domain
        return first

    def __getitem__(self, i: int) -> tuple[str, int]:
        """(domain, window) of the i-th sequence."""
        counts = self.counts(i)
        domain = self._next(counts)
        epoch, position = divmod(counts[domain], self.windows[domain])
        return domain, _permutation(self.windows[domain], self.seed, domain, epoch)[position]

    def epochs(self, n: int) -> dict[str, float]:
        """How often the first n sequences have gone through each domain."""
        return {domain: count / self.windows[domain] for domain, count in self.counts(n).items()}


@lru_cache(maxsize=64)
def _permutation(size: int, seed: int, domain: str, epoch: int) -> PermutedRange:
    return PermutedRange(size, (seed, domain, epoch))


class PackedSequences(Dataset):
    """The training sequences in their order, for a DataLoader that reads them one after another.

    Args:
        shards: the tokens.
        sequence_length: tokens in a sequence.
        proportions: the mixture by domain, summing to 1.
        seed: decides the order.
        sequences: how many there are (steps x sequences in a batch).

    Raises:
        InputError: a domain is shorter than one sequence.
    """

    def __init__(
        self, shards: TokenShards, sequence_length: int, proportions: dict[str, float], seed: int, sequences: int
    ):
        self.streams = shards.streams["train"]
        self.sequence_length, self.sequences = sequence_length, sequences
        windows = {domain: self.streams[domain].tokens // sequence_length for domain in proportions}
        for domain, count in windows.items():
            if count == 0:
                raise InputError(
                    f"the corpus has only {self.streams[domain].tokens:,} training tokens of {domain}, less than one "
                    f"sequence of {sequence_length:,}; add text or lower sequence_length"
                )
        self.domains = list(proportions)
        weights = {domain: max(1, round(share * RESOLUTION)) for domain, share in proportions.items()}
        self.order = DataOrder(windows, weights, seed)

    def __len__(self) -> int:
        return self.sequences

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        domain, window = self.order[i]
        example = _example(self.streams[domain], window, self.sequence_length)
        return example | {"domain": np.int64(self.domains.index(domain))}


class HeldOutSequences(Dataset):
    """The first `limit` windows of a held-out stream, for evaluation."""

    def __init__(self, stream: TokenStream, sequence_length: int, limit: int):
        self.stream, self.sequence_length = stream, sequence_length
        self.sequences = min(limit, stream.tokens // sequence_length)

    def __len__(self) -> int:
        return self.sequences

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        return _example(self.stream, i, self.sequence_length)


def _example(stream: TokenStream, window: int, length: int) -> dict[str, np.ndarray]:
    ids = stream.window(window * length, length)
    return {"input_ids": ids, "labels": ids}  # the model shifts the labels itself
