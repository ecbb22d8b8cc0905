"""The tournament of 2023-07-14, replayed: the verdicts, win rates and scores that were published."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize

from nec13b.corpus import Rejections
from nec13b.rakuda.answers import read_answers
from nec13b.rakuda.bradley_terry import POINTS_PER_LOGIT, Comparisons, fitted
from nec13b.rakuda.replay import replayed
from nec13b.rakuda.tournament import tournament_results


@pytest.fixture(scope="module")
def replay(data):
    return replayed([str(data / "rakuda" / "reviews_2023-07-14.jsonl.gz")], "last", Rejections())


def test_every_review_is_read_as_it_was_recorded(replay):
    assert (replay.reviews, replay.as_recorded, len(replay.matches)) == (800, 800, 800)


def test_win_rates_and_scores_are_the_published_ones(replay, data):
    results = tournament_results(replay.matches, resamples=200)
    published = json.loads((data / "rakuda" / "ranking_2023-07-14.json").read_text())["ranking"]
    assert list(results["models"]) == [row["model_id"] for row in published]
    for row in published:
        ours = results["models"][row["model_id"]]
        assert ours["win_rate"]["value"] == pytest.approx(row["win_rate"], abs=1e-9)
        assert ours["score"]["value"] == pytest.approx(row["median"], abs=10)
    assert results["ranking"]["prior_logits"] is None
    assert results["biases"]["swap_consistency"]["of"] == 104


@pytest.mark.parametrize("with_length", [False, True])
def test_another_solver_finds_the_same_scores(replay, with_length):
    data = Comparisons(replay.matches, with_length)
    ours = fitted(data, np.ones((1, len(data.points))), None)[0]

    def loss(values):
        odds = data.design @ values
        return -(data.points * odds - np.logaddexp(0, odds)).sum()

    def slope(values):
        return data.design.T @ (1 / (1 + np.exp(-data.design @ values)) - data.points)

    theirs = minimize(loss, np.zeros_like(ours), jac=slope, method="BFGS", options={"gtol": 1e-10}).x
    assert POINTS_PER_LOGIT * np.abs(ours - theirs).max() < 1e-6


def test_only_reviews_of_the_answers_that_are_given_count(replay, data):
    place = str(data / "rakuda" / "reviews_2023-07-14.jsonl.gz")
    answers = read_answers([str(data / "rakuda" / "rakuda_v1_answers.jsonl.gz")], Rejections())
    assert len(replayed([place], "last", Rejections(), answers).matches) == 800
    two = {name: answers[name] for name in ("gpt-4:20230713", "rinna/japanese-gpt-neox-3.6b")}
    assert len(replayed([place], "last", Rejections(), two).matches) == 38 + 9
    # Another model's words under the name of the first: none of its reviews is about these.
    two["gpt-4:20230713"] = answers["rwkv-world-jpn-55"]
    rejections = Rejections()
    found = replayed([place], "last", rejections, two)
    assert (len(found.matches), found.other_answers) == (0, 47)
    assert sum(rejections.counts.values()) == 47
