"""Means and intervals over passages and seeds."""

import numpy as np
import pytest

from nec13b.jglue.figure import draw_scores
from nec13b.jglue.summary import by_passage, score, summaries, table


def run(values, groups, seed=1, metric="exact_match"):
    questions = [{"id": str(i), "group": g, metric: v} for i, (g, v) in enumerate(zip(groups, values))]
    protocol = {
        "task": "t", "task_version": 1.0, "prompt": "0.3", "same_as_jp_stable": "jsquad-1.1-0.3", "shots": 2,
        "examples": "by_question", "examples_from": "x", "examples_to_choose_from": 9, "asked_from": "y",
        "asked": len(values), "few_shot_seed": seed, "chat_template": False, "as_jp_stable": False,
        "prompts_cut": 0, "window": 2048,
        "dtype": "float32", "versions": {"lm_eval": "0.4.13"},
    }  # fmt: skip
    return {"scores": {metric: float(np.mean(values))}, "standard_errors": {metric: 0.1}, "protocol": protocol,
            "questions": questions}  # fmt: skip


def test_the_mean_is_that_of_all_questions():
    one = run([1, 1, 0, 1, 0], [0, 0, 0, 1, 2])
    means, sizes = by_passage([one], "exact_match")
    assert means.tolist() == [[pytest.approx(2 / 3), 1, 0]]
    assert sizes.tolist() == [3, 1, 1]
    assert score([one], "exact_match").mean == pytest.approx(60)


def test_questions_on_one_passage_make_the_interval_wider():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.integers(0, 2, 100), 4)  # all four questions of a passage right, or all wrong
    together = score([run(values, np.repeat(np.arange(100), 4))], "exact_match")
    apart = score([run(values, np.arange(400))], "exact_match")
    width = [found.high - found.low for found in (together, apart)]
    assert width[0] == pytest.approx(2 * width[1], rel=0.15)


def test_seeds_that_disagree_make_the_interval_wider():
    values = np.tile([0, 1], 200)
    agreed = score([run(values, range(400), s) for s in (1, 2)], "exact_match")
    high, low = np.ones(400), np.zeros(400)
    apart = score([run(high, range(400), 1), run(low, range(400), 2)], "exact_match")
    assert apart.high - apart.low > 5 * (agreed.high - agreed.low)


def test_a_difference_is_taken_question_by_question():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2, 400)
    better = values.copy()
    better[np.flatnonzero(values == 0)[:20]] = 1
    runs = {"a": [run(values, range(400))], "b": [run(better, range(400))]}
    difference = score(runs["b"], "exact_match", runs["a"])
    assert difference.mean == pytest.approx(5)
    assert 2.5 < difference.low < difference.high < 8  # unpaired, the interval would reach below zero


def test_the_table_says_the_protocol_and_the_figure_is_drawn(tmp_path):
    found = summaries({"t": {"base": [run([1, 0], [0, 1])], "日本語": [run([1, 1], [0, 1])]}})
    said = "\n".join(table(found))
    for part in ("t: 2 questions, y", "prompt 0.3, word for word jp-stable jsquad-1.1-0.3", "seeds 1", "lm_eval 0.4.13",
                 "50.00", "日本語 less base: EM +50.00"):  # fmt: skip
        assert part in said
    assert draw_scores(tmp_path / "x.png", found).stat().st_size > 5_000
