"""Win rates of models against each other and against all, with intervals.

Questions are few and a model's answer to one takes part in many comparisons, so comparisons are not independent. Two
intervals are given: Wilson's, as if they were, and a bootstrap that draws whole questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..wilson_interval import wilson_interval
from .matches import Match
from .verdicts import POINTS

RESAMPLES = 2_000
Interval = tuple[float, float]


@dataclass(frozen=True)
class Rate:
    """A win rate.

    Attributes:
        value: 0 to 1; None where nothing was decided.
        of: comparisons that count.
        wilson: Wilson's 95% interval.
        bootstrap: the 95% interval over questions drawn with replacement; None where there are fewer than two.
    """

    value: float | None
    of: int
    wilson: Interval | None = None
    bootstrap: Interval | None = None


@dataclass(frozen=True)
class Record:
    """What became of a model's comparisons, with one opponent or with all.

    Attributes:
        wins, ties, losses: comparisons.
        win_rate: a tie is half a win.
        win_rate_without_ties: of the decided ones alone.
    """

    wins: int
    ties: int
    losses: int
    win_rate: Rate
    win_rate_without_ties: Rate


class Outcomes:
    """Readable matches, counted.

    Args:
        matches: in any order; unreadable ones are passed over.
        seed: of the resampling.
        resamples: of the bootstrap.

    Attributes:
        models: sorted.
        questions: sorted.
        counts: [question, model, opponent, (win, tie, loss)], both orders together.
    """

    def __init__(self, matches: Sequence[Match], seed: int = 0, resamples: int = RESAMPLES):
        readable = [match for match in matches if match.verdict in POINTS]
        self.models = sorted({name for match in readable for name in (match.first, match.second)})
        self.questions = sorted({match.question_id for match in readable})
        place = {name: i for i, name in enumerate(self.models)}
        row = {question: i for i, question in enumerate(self.questions)}
        self.counts = np.zeros((len(self.questions), len(self.models), len(self.models), 3), dtype=np.int64)
        for match in readable:
            outcome = round(2 - 2 * POINTS[match.verdict])  # 0 the first wins, 1 tie, 2 the second wins
            question, first, second = row[match.question_id], place[match.first], place[match.second]
            self.counts[question, first, second, outcome] += 1
            self.counts[question, second, first, 2 - outcome] += 1
        self.draws = question_draws(len(self.questions), seed, resamples)

    def overall(self) -> dict[str, Record]:
        """Each model against all others, the best first."""
        by_question = self.counts.sum(axis=2)
        found = {name: self._record(by_question[:, i]) for i, name in enumerate(self.models)}
        return dict(sorted(found.items(), key=lambda item: -(item[1].win_rate.value or 0)))

    def pairs(self) -> dict[tuple[str, str], Record]:
        """Each ordered pair of models that met: the record of the one that is named first."""
        return {
            (name, other): self._record(self.counts[:, i, j])
            for i, name in enumerate(self.models)
            for j, other in enumerate(self.models)
            if self.counts[:, i, j].any()
        }

    def _record(self, by_question: np.ndarray) -> Record:
        """From [question, (win, tie, loss)]."""
        wins, ties, losses = (int(n) for n in by_question.sum(axis=0))
        halves = np.stack([by_question @ [1, 0.5, 0], by_question.sum(axis=1)], axis=1)
        decided = np.stack([by_question[:, 0], by_question[:, [0, 2]].sum(axis=1)], axis=1)
        return Record(wins, ties, losses, self._rate(halves), self._rate(decided))

    def _rate(self, by_question: np.ndarray) -> Rate:
        """From [question, (points, comparisons)]."""
        points, of = (float(total) for total in by_question.sum(axis=0))
        if not of:
            return Rate(None, 0)
        return Rate(points / of, int(of), wilson_interval(points, of), ratio_interval(by_question, self.draws))


def question_draws(questions: int, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """How often each resample draws each question, [resample, question]; no resamples of fewer than two questions."""
    if questions < 2:
        return np.zeros((0, questions), dtype=np.int64)
    return np.random.default_rng(seed).multinomial(questions, np.full(questions, 1 / questions), size=resamples)


def ratio_interval(by_question: np.ndarray, draws: np.ndarray) -> Interval | None:
    """The 95% interval of a ratio of sums over questions, by resampling them.

    Args:
        by_question: [question, (numerator, denominator)].
        draws: of `question_draws`.
    """
    points, of = (draws @ by_question).T
    if not (of > 0).any():
        return None
    low, high = np.quantile(points[of > 0] / of[of > 0], [0.025, 0.975])
    return float(low), float(high)
