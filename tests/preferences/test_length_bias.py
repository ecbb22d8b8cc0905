"""Length bias: its figures are those of counting by hand, and its intervals hold what they should."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.preferences.length_bias import LengthBias, share_with_interval


def bias_of(*lengths, prompts=None) -> dict:
    bias = LengthBias()
    for number, (chosen, rejected) in enumerate(lengths):
        bias.add(prompts[number] if prompts else str(number), chosen, rejected)
    return bias.report()


def test_the_figures():
    report = bias_of((10, 5), (20, 40), (7, 7), (9, 1))
    assert (report["pairs"], report["prompts"]) == (4, 4)
    assert (report["longer_chosen"], report["equally_long"]) == (0.5, 0.25)
    assert (report["mean_chosen"], report["mean_rejected"], report["mean_difference"]) == (11.5, 13.25, -1.75)
    assert report["longer_wins"]["accuracy"] == 0.625
    assert report["shorter_wins"]["accuracy"] == 0.375
    assert report["shorter_wins"]["low"] == 1 - report["longer_wins"]["high"]


def test_the_interval_is_wilsons_where_each_prompt_has_one_pair():
    # 30 of 40 by Wilson's formula, with the spread's n - 1 in place of n.
    _, low, high = share_with_interval([[1, 1.0]] * 30 + [[1, 0.0]] * 10)
    assert (low, high) == pytest.approx((0.598, 0.858), abs=0.005)
    _, low, high = share_with_interval([[1, 1.0]] * 20)
    assert (low, high) == pytest.approx((0.839, 1.0), abs=0.001)


def test_pairs_of_one_prompt_count_for_little_more_than_one():
    alone = share_with_interval([[1, 1.0]] * 30 + [[1, 0.0]] * 10)
    together = share_with_interval([[10, 10.0]] * 30 + [[10, 0.0]] * 10)
    assert together == pytest.approx(alone)


def test_nothing_tells_nothing():
    assert share_with_interval([]) == (0.5, 0.0, 1.0)
    assert bias_of()["longer_wins"] == {"accuracy": 0.5, "low": 0.0, "high": 1.0}


def test_the_interval_holds_the_truth_about_95_times_in_100():
    chance = random.Random(1)
    held = 0
    for _ in range(400):
        clusters = []
        for _ in range(60):
            own = chance.betavariate(1.4, 0.6)  # prompts differ; 0.7 on average
            clusters.append([4, float(sum(chance.random() < own for _ in range(4)))])
        _, low, high = share_with_interval(clusters)
        held += low <= 0.7 <= high
    assert 0.91 <= held / 400 <= 0.98


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.sampled_from("abcd")), max_size=20))
def test_any_lengths(pairs):
    report = bias_of(*((c, r) for c, r, _ in pairs), prompts=[p for *_, p in pairs])
    longer = report["longer_wins"]
    assert 0 <= longer["low"] <= longer["accuracy"] + 1e-9
    assert longer["accuracy"] - 1e-9 <= longer["high"] <= 1
    turned = bias_of(*((r, c) for c, r, _ in pairs), prompts=[p for *_, p in pairs])
    assert turned["shorter_wins"]["accuracy"] == pytest.approx(longer["accuracy"])
    assert turned["shorter_wins"]["low"] == pytest.approx(longer["low"])
    assert report["mean_difference"] == pytest.approx(-turned["mean_difference"])
