"""Which sequence of which domain is the i-th to be trained on: a pure function of (seed, i).

Nothing is shuffled in memory and nothing is remembered, so a run can be resumed at any step, on any number of
processes, and sees exactly the tokens it would have seen. Two ideas do it:

- Domains are interleaved by arrival times. The k-th sequence of a domain with proportion p is due at (k + 1/2) / p; the
  sequences are taken in the order of these times. After any number of sequences each domain is within one sequence
  (or so) of its exact share.
- Within a domain, each epoch visits all sequences once, in the order of a permutation computed by a keyed Feistel
  network (format-preserving encryption of the index), which needs no table, however many sequences there are.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

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

    def take(self, indices: np.ndarray) -> np.ndarray:
        """The elements at many indices at once, int64, in the shape of `indices`."""
        elements = self._encrypt(np.asarray(indices).astype(np.uint64))
        while (outside := elements >= self.size).any():
            elements[outside] = self._encrypt(elements[outside])
        return elements.astype(np.int64)

    def _encrypt(self, index):
        mask = (1 << self.half_bits) - 1
        left, right = index >> self.half_bits, index & mask
        for key in self.round_keys:
            left, right = right, left ^ (_mix64(right ^ key) & mask)
        return (left << self.half_bits) | right


def _mix64(value):
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every input bit reaches every output bit.

    Works on an int below 2^64 and on an array of uint64 alike.
    """
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 31)


@dataclass(frozen=True)
class DataOrder:
    """The order of training sequences.

    Attributes:
        windows: number of sequences of each domain.
        weights: whole-number weight of each domain in the mixture; its proportion of sequences is its share of the sum.
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
        """(domain, which of its sequences) for the i-th sequence of all."""
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
