"""Agreement, held to the figures of published worked examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.annotation.agreement import (
    INTERVAL,
    NOMINAL,
    ORDINAL,
    alpha_interval,
    alphas_of,
    kappas_of,
    krippendorff_alpha,
)
from nec13b.preferences.judgement import Judgement

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): values by observer, a unit a column, 0 is missing.
FOUR_OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]
TWO_OBSERVERS = ["aabbdcccedda", "babbbccceddd"]
TWO_OF_ZERO_AND_ONE = ["0100000010", "1110010000"]


def units(observers) -> list[list]:
    return [[value for value in unit if value] for unit in zip(*observers)]


@pytest.mark.parametrize(("level", "published"), [(NOMINAL, 0.743), (ORDINAL, 0.815), (INTERVAL, 0.849)])
def test_four_observers_with_gaps(level, published):
    assert krippendorff_alpha(units(FOUR_OBSERVERS), range(1, 6), level) == pytest.approx(published, abs=5e-4)


def test_two_observers():
    assert krippendorff_alpha(units(TWO_OBSERVERS), "abcde", NOMINAL) == pytest.approx(0.692, abs=5e-4)
    assert krippendorff_alpha(units(TWO_OF_ZERO_AND_ONE), "01", NOMINAL) == pytest.approx(0.095, abs=5e-4)


def test_nothing_to_compare():
    assert krippendorff_alpha([], "ab", NOMINAL) is None
    assert krippendorff_alpha([["a"], ["b"]], "ab", NOMINAL) is None
    assert krippendorff_alpha([["a", "a"], ["a", "a"]], "ab", NOMINAL) is None
    assert alpha_interval([["a", "a"]], "ab", NOMINAL) is None


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=4), min_size=2, max_size=12))
def test_the_order_of_people_and_of_the_scale_does_not_matter(rows):
    for level in (NOMINAL, ORDINAL, INTERVAL):
        alpha = krippendorff_alpha(rows, range(4), level)
        turned = krippendorff_alpha([[3 - value for value in reversed(row)] for row in reversed(rows)], range(4), level)
        assert (alpha is None) == (turned is None)
        if alpha is not None:
            assert turned == pytest.approx(alpha)
            assert alpha <= 1 + 1e-12


def test_the_interval_holds_alpha_and_shrinks():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 400)
    noisy = [[int(t), int(t if random.random() < 0.8 else random.integers(0, 3))] for t in truth]
    wide, narrow = (alpha_interval(noisy[:n], range(3), NOMINAL) for n in (50, 400))
    assert narrow[0] < krippendorff_alpha(noisy, range(3), NOMINAL) < narrow[1]
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


def judgements(**verdicts: list[str]) -> list[Judgement]:
    return [Judgement(f"p{i}", name, verdict) for name, said in verdicts.items() for i, verdict in enumerate(said)]


def test_cohens_kappa_of_a_worked_example():
    """Wikipedia's example of 50 proposals: 20 times both yes, 15 times both no, 5 and 10 times apart; kappa 0.4."""
    yes, no = "first_better", "second_better"
    said = judgements(ken=[yes] * 25 + [no] * 25, mei=[yes] * 20 + [no] * 5 + [yes] * 10 + [no] * 15)
    (row,) = kappas_of(said)
    assert row["kappa"] == pytest.approx(0.4)
    assert (row["annotators"], row["pairs"], row["agree"]) == (["ken", "mei"], 50, 0.7)


def test_strength_counts_for_the_scale_alone():
    said = judgements(ken=["first_better", "second_better", "both_bad"] * 2, mei=["first_slightly_better", "second_slightly_better", "both_bad"] * 2)  # fmt: skip  # noqa: E501
    alphas = alphas_of(said)
    assert alphas[NOMINAL]["alpha"] == 1
    assert alphas[NOMINAL]["pairs"] == 6
    assert 0 < alphas[ORDINAL]["alpha"] < 1
    assert alphas[ORDINAL]["pairs"] == 4
    assert kappas_of(said)[0]["kappa"] == 1


def test_people_without_a_common_pair_are_not_compared():
    assert kappas_of([Judgement("a", "ken", "tie"), Judgement("b", "mei", "tie")]) == []
    assert kappas_of([Judgement("a", "ken", "skipped"), Judgement("a", "mei", "tie")]) == []
    assert kappas_of([Judgement("a", "ken", "tie"), Judgement("a", "mei", "tie")])[0]["kappa"] is None
