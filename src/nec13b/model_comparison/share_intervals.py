"""Shares and means with their 95% intervals, and what differs between two models on the same prompts.

Everything is paired: both models answered the same prompts, so a difference is taken prompt by prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..wilson_interval import wilson_interval

RESAMPLES = 2_000


@dataclass(frozen=True)
class Interval:
    """A value and its 95% interval; `count` says of how many cases."""

    value: float
    low: float
    high: float
    count: int


def share(cases: int, count: int) -> Interval | None:
    """A share with Wilson's interval; None of nothing."""
    if not count:
        return None
    return Interval(cases / count, *wilson_interval(cases, count), count)


def mean(values: Sequence[float], seed: int = 13) -> Interval | None:
    """A mean with its bootstrap interval (percentile, 2,000 resamples); None of nothing.

    Args:
        values: one a prompt; for a difference, the differences.
        seed: of the resampling.
    """
    numbers = np.asarray(values, dtype=float)
    if not len(numbers):
        return None
    middle = float(numbers.mean())
    if len(numbers) < 2 or np.ptp(numbers) == 0:
        return Interval(middle, middle, middle, len(numbers))
    drawn = np.random.default_rng(seed).integers(0, len(numbers), (RESAMPLES, len(numbers)))
    low, high = np.quantile(numbers[drawn].mean(axis=1), [0.025, 0.975])
    return Interval(middle, float(low), float(high), len(numbers))


def sign_test(before: Sequence[bool], after: Sequence[bool]) -> float:
    """The probability that cases change as unevenly by chance alone (McNemar's exact test, two-sided).

    Args:
        before, after: of the same cases, in the same order.
    """
    gained = sum(b and not a for a, b in zip(before, after))
    lost = sum(a and not b for a, b in zip(before, after))
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
