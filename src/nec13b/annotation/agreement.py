"""How far people agree: Cohen's kappa for two, Krippendorff's alpha for any number with gaps.

Both compare how often people differ with how often chance would make them differ: 1 is perfect agreement, 0 that of
chance, below 0 less than that. Alpha follows K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011),
whose worked examples the tests repeat.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from sklearn.metrics import cohen_kappa_score

from ..preferences.judgement import SCALE, Judgement

NOMINAL, ORDINAL, INTERVAL = "nominal", "ordinal", "interval"
CHOICES = ("first", "tie", "second", "both_bad")  # a judgement without its strength
RESAMPLES = 1000


def krippendorff_alpha(units: Sequence[Iterable[Hashable]], values: Sequence[Hashable], level: str) -> float | None:
    """Krippendorff's alpha.

    Args:
        units: for each thing that was judged, the values it was given, in any order; fewer than two say nothing.
        values: all possible values, in their order.
        level: `nominal`, any two values differ alike; `ordinal`, by the values that lie between them, weighed by how
            common these are; `interval`, by the square of their distance (values are numbers).

    Returns:
        Alpha; None where fewer than two values can be paired or all of them are equal.
    """
    return _alpha(_coincidences(units, values).sum(axis=0), values, level)


def alpha_interval(
    units: Sequence[Iterable[Hashable]], values: Sequence[Hashable], level: str, seed: int = 0
) -> tuple[float, float] | None:
    """The 95% interval of alpha, from resampled units; None where most samples have none.

    Args:
        units, values, level: as for `krippendorff_alpha`.
        seed: of the samples.
    """
    matrices = _coincidences(units, values)
    if len(matrices) < 2:
        return None
    random = np.random.default_rng(seed)
    drawn = [random.multinomial(len(matrices), [1 / len(matrices)] * len(matrices)) for _ in range(RESAMPLES)]
    alphas = [_alpha(np.tensordot(counts, matrices, axes=1), values, level) for counts in drawn]
    there = [alpha for alpha in alphas if alpha is not None]
    if 2 * len(there) < RESAMPLES:
        return None
    low, high = np.quantile(there, [0.025, 0.975])
    return float(low), float(high)


def _coincidences(units: Sequence[Iterable[Hashable]], values: Sequence[Hashable]) -> np.ndarray:
    """A matrix of the pairs of values of each unit that has two at least; it sums to their number."""
    place = {value: i for i, value in enumerate(values)}
    matrices = []
    for unit in units:
        counts = np.zeros(len(values))
        for value in unit:
            counts[place[value]] += 1
        if counts.sum() >= 2:
            matrices.append((np.outer(counts, counts) - np.diag(counts)) / (counts.sum() - 1))
    return np.array(matrices).reshape(-1, len(values), len(values))


def _alpha(coincidences: np.ndarray, values: Sequence[Hashable], level: str) -> float | None:
    totals = coincidences.sum(axis=1)
    distances = _squared_distances(totals, values, level)
    expected = (np.outer(totals, totals) * distances).sum()
    if not expected:
        return None
    return float(1 - (totals.sum() - 1) * (coincidences * distances).sum() / expected)


def _squared_distances(totals: np.ndarray, values: Sequence[Hashable], level: str) -> np.ndarray:
    if level == NOMINAL:
        return 1.0 - np.eye(len(values))
    if level == ORDINAL:
        # From the middle of one value's cases to the middle of the other's, all cases in a row.
        places = np.cumsum(totals) - totals / 2
    elif level == INTERVAL:
        places = np.array(values, dtype=float)
    else:
        raise ValueError(f"level must be {NOMINAL}, {ORDINAL} or {INTERVAL}, not {level!r}")
    return (places[:, None] - places[None, :]) ** 2


def choice_of(judgement: Judgement) -> str | None:
    """What a judgement prefers, without how strongly: one of CHOICES; None where it was skipped."""
    if judgement.verdict == "both_bad":
        return "both_bad"
    score = judgement.score
    return None if score is None else CHOICES[(score > 0) - (score < 0) + 1]


def alphas_of(judgements: Iterable[Judgement]) -> dict[str, dict]:
    """Alpha of what is preferred (nominal), and of how strongly (ordinal), each with its interval and its pairs."""
    alphas = {}
    by_pair: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_pair.setdefault(judgement.pair, []).append(judgement)
    for level, values, read in (
        (NOMINAL, CHOICES, choice_of),
        (ORDINAL, SCALE, lambda judgement: judgement.verdict if judgement.verdict in SCALE else None),
    ):
        units = [[value for value in map(read, each) if value is not None] for each in by_pair.values()]
        alphas[level] = {
            "alpha": krippendorff_alpha(units, values, level),
            "interval": alpha_interval(units, values, level),
            "pairs": sum(len(unit) >= 2 for unit in units),
        }
    return alphas


def kappas_of(judgements: Iterable[Judgement]) -> list[dict]:
    """Cohen's kappa of what is preferred, for every two people who judged a pair in common.

    Returns:
        A row for each two: `annotators`, `pairs` in common, `agree` (the share on which they agree), and `kappa`, None
        where they share fewer than two pairs or both always said the same one thing.
    """
    by_annotator: dict[str, dict[str, str]] = {}
    for judgement in judgements:
        choice = choice_of(judgement)
        if choice is not None:
            by_annotator.setdefault(judgement.annotator, {})[judgement.pair] = choice
    return [
        row
        for one, other in combinations(sorted(by_annotator), 2)
        if (row := _kappa_row(one, other, by_annotator[one], by_annotator[other]))
    ]


def _kappa_row(one: str, other: str, of_one: Mapping[str, str], of_other: Mapping[str, str]) -> dict | None:
    shared = sorted(of_one.keys() & of_other.keys())
    if not shared:
        return None
    a, b = [of_one[pair] for pair in shared], [of_other[pair] for pair in shared]
    kappa = None
    if len(shared) >= 2 and len({*a, *b}) > 1:
        kappa = float(cohen_kappa_score(a, b, labels=CHOICES))
    return {
        "annotators": [one, other],
        "pairs": len(shared),
        "agree": sum(x == y for x, y in zip(a, b)) / len(shared),
        "kappa": kappa,
    }
