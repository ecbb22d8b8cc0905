"""The ranking: two solvers agree, known strengths come out, and models that always win have finite scores."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from nec13b.rakuda.bradley_terry import POINTS_PER_LOGIT, Comparisons, fitted, is_determined, ranking
from nec13b.rakuda.matches import Match


def other_solver(matches: list[Match], with_length: bool) -> tuple[dict[str, float], float]:
    """Scores and effect of the first place by minimising the published function as it is written, without a basis."""
    models = sorted({name for match in matches for name in (match.first, match.second)})
    first = np.array([models.index(match.first) for match in matches])
    second = np.array([models.index(match.second) for match in matches])
    points = np.array([{"first": 1, "second": 0, "tie": 0.5}[match.verdict] for match in matches])
    length = np.array([math.log((1 + len(m.first_answer)) / (1 + len(m.second_answer))) for m in matches]) * with_length

    def loss(values: np.ndarray) -> float:
        strengths = np.append(values[2:], -values[2:].sum())
        odds = values[0] + strengths[first] - strengths[second] + values[1] * length
        return -(points * odds - np.logaddexp(0, odds)).sum()

    found = minimize(loss, np.zeros(1 + len(models)), method="BFGS", options={"gtol": 1e-7}).x
    strengths = np.append(found[2:], -found[2:].sum())
    return {name: 1000 + POINTS_PER_LOGIT * b for name, b in zip(models, strengths)}, POINTS_PER_LOGIT * found[0]


@pytest.mark.parametrize("with_length", [False, True])
def test_two_solvers_agree(tournament, with_length):
    matches = tournament({"a": 1.2, "b": 0.1, "c": -0.4, "d": -0.9}, first_place=-0.3)
    found = ranking(matches, with_length, resamples=2)
    scores, first_place = other_solver(matches, with_length)
    assert found.prior_logits is None
    for name, score in scores.items():
        assert found.scores[name].value == pytest.approx(score, abs=1e-2)
    assert found.first_place.value == pytest.approx(first_place, abs=1e-2)
    assert sum(score.value for score in found.scores.values()) == pytest.approx(4000, abs=1e-9)


@pytest.mark.parametrize("with_length", [False, True])
def test_scikit_learn_finds_the_same(tournament, with_length):
    """Each tie as half a win and half a loss: another library, another solver, the same to a millionth of a point."""
    from sklearn.linear_model import LogisticRegression

    data = Comparisons(tournament({"a": 0.9, "b": 0.0, "c": -0.7}, first_place=0.2), with_length)
    ours = fitted(data, np.ones((1, len(data.points))), None)[0]
    design = np.concatenate([data.design, data.design])
    won, weights = np.repeat([1, 0], len(data.points)), np.concatenate([data.points, 1 - data.points])
    theirs = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-14, fit_intercept=False, max_iter=500)
    theirs.fit(design, won, sample_weight=weights)
    assert POINTS_PER_LOGIT * np.abs(ours - theirs.coef_[0]).max() < 1e-6


def test_strengths_that_made_the_matches_come_out(tournament):
    strengths = {"a": 1.0, "b": 0.3, "c": -0.3, "d": -1.0}
    found = ranking(tournament(strengths, questions=150, first_place=0.5), resamples=200)
    assert list(found.scores) == list(strengths)
    for name, estimate in found.scores.items():
        low, high = estimate.interval
        assert low < estimate.value < high
        # A tenth are ties whatever the strengths, which draws all scores a little towards the middle.
        assert estimate.value == pytest.approx(1000 + 0.9 * POINTS_PER_LOGIT * strengths[name], abs=25)
    assert found.first_place.interval[0] > 0


def test_the_order_of_matches_does_not_matter(tournament):
    matches = tournament({"a": 0.5, "b": 0.0, "c": -0.5})
    assert ranking(matches, resamples=20) == ranking(matches[::-1], resamples=20)


def test_a_model_that_always_wins_gets_a_finite_score_and_is_told():
    matches = [Match(f"q{i}", *pair, verdict) for i in range(8)
               for pair, verdict in ((("a", "b"), "first"), (("b", "a"), "second"), (("b", "c"), "tie"))]  # fmt: skip
    found = ranking(matches, resamples=20)
    assert found.prior_logits == 5
    assert all(math.isfinite(score.value) for score in found.scores.values())
    assert next(iter(found.scores)) == "a"


def test_groups_that_never_met_are_told():
    matches = [Match(f"q{i}", *pair, ("first", "second", "tie")[i % 3]) for i in range(9)
               for pair in (("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"))]  # fmt: skip
    assert not is_determined(Comparisons(matches))
    assert ranking(matches, resamples=5).prior_logits is not None


def test_a_judge_that_always_takes_the_first_leaves_the_place_undetermined():
    matches = [Match(f"q{i}", *pair, "first") for i in range(5) for pair in (("a", "b"), ("b", "a"))]
    found = ranking(matches, resamples=5)
    assert found.prior_logits is not None
    assert found.scores["a"].value == pytest.approx(found.scores["b"].value)
    assert found.first_place.value > 400


def test_the_length_of_answers_can_be_held_constant():
    """A judge that takes the longer answer: at equal length, the wordy model is no better."""
    matches = []
    for number in range(60):
        wordy, terse = "あ" * (10 + number % 7), "い" * (6 + number % 9)
        long = "first" if len(wordy) > len(terse) else "second" if len(wordy) < len(terse) else "tie"
        if number % 5 == 0:
            long = {"first": "second", "second": "first"}.get(long, long)
        matches.append(Match(f"q{number}", "wordy", "terse", long, "", "", wordy, terse))
        matches.append(Match(f"q{number}", "terse", "wordy", {"first": "second", "second": "first"}.get(long, long),
                             "", "", terse, wordy))  # fmt: skip
    plain, held = ranking(matches, resamples=50), ranking(matches, True, resamples=50)
    assert plain.scores["wordy"].value > 1050
    assert held.length.value > 0
    assert held.scores["wordy"].value < plain.scores["wordy"].value - 30
