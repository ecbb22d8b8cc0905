"""A ranking of models from comparisons: Bradley and Terry's model with an effect of the first place, as Rakuda's.

    P(the first answer wins) = sigmoid(alpha + b_first - b_second + gamma * length)

A tie is half a win for each, and the strengths b sum to 0. A model's score is 1000 + 400/ln(10) * b: 400 points more
are odds of 10 to 1. alpha is the effect of standing first. gamma, if it is asked for, is that of a longer answer;
length is the logarithm of the ratio of the answers' lengths, and the scores are then those at equal length.

Strengths of highest likelihood need not exist: a model that wins every time would be infinitely strong, and groups of
models that never met cannot be compared. Where that is so, and in the resamples of the intervals, each parameter gets a
normal prior so weak that it moves a strength that the data do fix by about a point.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import helmert
from scipy.optimize import linprog

from .matches import Match
from .verdicts import POINTS
from .win_rates import Interval, question_draws

POINTS_PER_LOGIT = 400 / math.log(10)
MIDDLE = 1000.0
PRIOR_LOGITS = 5.0  # standard deviation of the weak prior
RESAMPLES = 500
LONGEST_STEP = 3.0  # logits a Newton step, so that the first ones do not overshoot
MOST_STEPS, CONVERGED = 200, 1e-11


@dataclass(frozen=True)
class Estimate:
    """A parameter with its 95% interval over questions drawn with replacement, or None where there are too few."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Ranking:
    """A fit.

    Attributes:
        scores: of the models in points, the strongest first.
        first_place: effect of standing first, in points.
        length: points for an answer twice as long; None where length was left out.
        prior_logits: standard deviation of the prior that the fit needed; None where the data sufficed.
    """

    scores: dict[str, Estimate]
    first_place: Estimate
    length: Estimate | None
    prior_logits: float | None


class Comparisons:
    """Readable matches as the rows of a regression.

    Args:
        matches: at least one of them readable.
        with_length: for a parameter of length; all matches must have their answers.

    Attributes:
        models: sorted.
        design: [match, parameter]: alpha, the strengths in a basis of those that sum to 0, gamma if asked for.
        points: of the first answer, [match].
        basis: [model, strength parameter].
        question_rows: index of each match's question.
        questions: how many.
    """

    def __init__(self, matches: Sequence[Match], with_length: bool = False):
        # Sums of floats depend on their order, the result should not.
        readable = sorted((match for match in matches if match.verdict in POINTS), key=lambda match: match.key)
        self.models = sorted({name for match in readable for name in (match.first, match.second)})
        place = {name: i for i, name in enumerate(self.models)}
        pairs = np.array([(place[match.first], place[match.second]) for match in readable], dtype=np.int64)
        self.points = np.array([POINTS[match.verdict] for match in readable])
        self.basis = helmert(len(self.models)).T
        columns = [np.ones((len(readable), 1)), self.basis[pairs[:, 0]] - self.basis[pairs[:, 1]]]
        if with_length:
            columns.append(np.array([[_length(match)] for match in readable]))
        self.design = np.concatenate(columns, axis=1)
        found = sorted({match.question_id for match in readable})
        self.questions = len(found)
        self.question_rows = np.array([found.index(match.question_id) for match in readable])

    def strengths(self, parameters: np.ndarray) -> np.ndarray:
        """b of each model, [..., model], from parameters [..., parameter]."""
        return parameters[..., 1 : len(self.models)] @ self.basis.T


def ranking(matches: Sequence[Match], with_length: bool = False, seed: int = 0, resamples: int = RESAMPLES) -> Ranking:
    """The scores that fit matches best.

    Args:
        matches: at least one of them readable.
        with_length: hold the lengths of the answers constant.
        seed: of the resampling.
        resamples: of whole questions, for the intervals.
    """
    data = Comparisons(matches, with_length)
    prior = None if is_determined(data) else PRIOR_LOGITS
    best = fitted(data, np.ones((1, len(data.points))), prior)[0]
    draws = question_draws(data.questions, seed, resamples)[:, data.question_rows]
    resampled = fitted(data, draws, PRIOR_LOGITS) if len(draws) else np.zeros((0, len(best)))

    def estimate(value: float, values: np.ndarray, scale: float, middle: float = 0.0) -> Estimate:
        interval = None
        if len(values):
            low, high = np.quantile(values, [0.025, 0.975])
            interval = (float(middle + scale * low), float(middle + scale * high))
        return Estimate(float(middle + scale * value), interval)

    strengths, drawn = data.strengths(best), data.strengths(resampled)
    scores = {name: estimate(strengths[i], drawn[:, i], POINTS_PER_LOGIT, MIDDLE) for i, name in enumerate(data.models)}
    return Ranking(
        scores=dict(sorted(scores.items(), key=lambda item: -item[1].value)),
        first_place=estimate(best[0], resampled[:, 0], POINTS_PER_LOGIT),
        length=estimate(best[-1], resampled[:, -1], POINTS_PER_LOGIT * math.log(2)) if with_length else None,
        prior_logits=prior,
    )


def fitted(data: Comparisons, weights: np.ndarray, prior_logits: float | None) -> np.ndarray:
    """The parameters of highest likelihood (or posterior density), by Newton's method for all weightings at once.

    Args:
        data: the comparisons.
        weights: how often each counts, [weighting, match].
        prior_logits: standard deviation of a normal prior on each parameter; None: no prior.

    Returns:
        [weighting, parameter].
    """
    design, penalty = data.design, 0.0 if prior_logits is None else prior_logits**-2
    found = np.zeros((len(weights), design.shape[1]))
    for _ in range(MOST_STEPS):
        expected = 1 / (1 + np.exp(-found @ design.T))
        gradient = (weights * (data.points - expected)) @ design - penalty * found
        curvature = np.einsum("bm,mp,mq->bpq", weights * expected * (1 - expected), design, design, optimize=True)
        curvature += penalty * np.eye(design.shape[1])
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        largest = np.abs(step).max(axis=1, keepdims=True)
        found += step * np.minimum(1, LONGEST_STEP / np.maximum(largest, 1e-300))
        if largest.max() < CONVERGED:
            break
    return found


def is_determined(data: Comparisons) -> bool:
    """Whether the likelihood has one highest point.

    It has not where some change of the parameters alters no comparison, or makes some likelier and none less likely
    (A. Albert and J. A. Anderson, 1984); a linear programme finds such a change, if there is one.
    """
    if np.linalg.matrix_rank(data.design) < data.design.shape[1]:
        return False
    rows = np.unique(np.column_stack([data.design, data.points]), axis=0)
    design, points = rows[:, :-1], rows[:, -1]
    decided, tied = points != 0.5, points == 0.5
    towards = design[decided] * np.where(points[decided] == 1, 1.0, -1.0)[:, None]
    if not len(towards):
        return True
    found = linprog(
        -towards.sum(axis=0),
        A_ub=np.concatenate([-towards, towards]),
        b_ub=np.concatenate([np.zeros(len(towards)), np.ones(len(towards))]),
        A_eq=design[tied] if tied.any() else None,
        b_eq=np.zeros(tied.sum()) if tied.any() else None,
        bounds=(None, None),
    )
    return bool(found.status == 0 and -found.fun < 1e-6)


def _length(match: Match) -> float:
    """Logarithm of the ratio of the answers' lengths in characters."""
    return math.log((1 + len(match.first_answer)) / (1 + len(match.second_answer)))
