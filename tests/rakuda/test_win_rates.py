"""Win rates: the same whichever way matches are written down, and 1 less the opponent's."""

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from nec13b.rakuda.judge_biases import judge_biases
from nec13b.rakuda.matches import Match
from nec13b.rakuda.verdicts import VERDICTS, swapped
from nec13b.rakuda.win_rates import Outcomes
from nec13b.wilson_interval import wilson_interval

MODELS = st.sampled_from(["a", "b", "c", "d"])
ONE = st.builds(
    Match, st.sampled_from(["q1", "q2", "q3", "q4", "q5"]), MODELS, MODELS, st.sampled_from(VERDICTS)
).filter(lambda match: match.first != match.second)
MATCHES = st.lists(ONE, max_size=60)
QUICK = settings(max_examples=60, deadline=None)


def turned(match: Match) -> Match:
    """The same outcome, the answers in the other order."""
    return dataclasses.replace(match, first=match.second, second=match.first, verdict=swapped(match.verdict))


@QUICK
@given(MATCHES, st.randoms(use_true_random=False))
def test_order_of_matches_and_of_answers_changes_no_rate(matches, chance):
    other = [turned(match) if chance.random() < 0.5 else match for match in matches]
    chance.shuffle(other)
    first, second = Outcomes(matches, resamples=50), Outcomes(other, resamples=50)
    assert first.overall() == second.overall()
    assert first.pairs() == second.pairs()


@QUICK
@given(MATCHES)
def test_what_one_wins_the_other_loses(matches):
    pairs = Outcomes(matches, resamples=50).pairs()
    for (one, other), record in pairs.items():
        back = pairs[other, one]
        assert (record.wins, record.ties, record.losses) == (back.losses, back.ties, back.wins)
        assert record.win_rate.value == pytest.approx(1 - back.win_rate.value)
        for of in ("wilson", "bootstrap"):
            there, here = getattr(record.win_rate, of), getattr(back.win_rate, of)
            assert (there is None) == (here is None)
            if there:
                assert there == pytest.approx((1 - here[1], 1 - here[0]))


@QUICK
@given(MATCHES)
def test_all_points_are_shared_out(matches):
    overall = Outcomes(matches, resamples=50).overall()
    readable = sum(match.verdict != "unreadable" for match in matches)
    assert sum(record.wins + record.ties / 2 for record in overall.values()) == readable
    assert sum(record.win_rate.value * record.win_rate.of for record in overall.values()) == pytest.approx(readable)
    for record in overall.values():
        low, high = record.win_rate.wilson
        assert 0 <= low <= record.win_rate.value + 1e-12
        assert record.win_rate.value - 1e-12 <= high <= 1
        assert record.win_rate_without_ties.of == record.wins + record.losses


@QUICK
@given(st.integers(1, 300), st.integers(0, 300))
def test_wilsons_interval_is_scipys(of, wins):
    wins = min(wins, of)
    expected = binomtest(wins, of).proportion_ci(0.95, method="wilson")
    assert wilson_interval(wins, of) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_one_question_has_no_interval_over_questions():
    rate = Outcomes([Match("q", "a", "b", "first")]).overall()["a"].win_rate
    assert (rate.value, rate.bootstrap) == (1.0, None)


def test_answers_to_one_question_do_not_count_as_many():
    """Where all comparisons of a question go the same way, Wilson's interval is too narrow by far."""
    chance = random.Random(0)
    matches = []
    for number in range(12):
        verdict = chance.choice(["first", "second"])
        matches += [Match(f"q{number}", "a", f"b{other}", verdict) for other in range(30)]
    rate = Outcomes(matches).overall()["a"].win_rate
    assert np.diff(rate.bootstrap) > 3 * np.diff(rate.wilson)


def test_the_biases_of_a_judge_that_always_takes_the_first():
    matches = [Match(f"q{i}", *pair, "first", "", "", "あ" * 5, "い" * 9)
               for i in range(10) for pair in (("a", "b"), ("b", "a"))]  # fmt: skip
    biases = judge_biases([*matches, Match("q0", "a", "c", "unreadable")])
    assert biases.readable.value == 20 / 21
    assert biases.first_place.value == 1
    assert (biases.swap_consistency.value, biases.swap_to_first.value, biases.swap_to_second.value) == (0, 1, 0)
    assert biases.longer.value == 0
    assert biases.length_ratio == pytest.approx(6 / 10)


def test_a_judge_that_does_not_mind_the_order_is_consistent():
    matches = [Match(f"q{i}", *pair, verdict)
               for i in range(6) for pair, verdict in ((("a", "b"), "first"), (("b", "a"), "second"))]  # fmt: skip
    biases = judge_biases([*matches, Match("tie", "a", "b", "tie"), Match("tie", "b", "a", "tie")])
    assert biases.swap_consistency.value == 1
    assert biases.swap_consistency.of == 7
    assert biases.longer.value is None
