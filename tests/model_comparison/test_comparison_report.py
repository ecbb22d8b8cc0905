"""The numbers of a comparison, on rows whose outcome is known by hand."""

import pytest
from scipy import stats

from nec13b.model_comparison.answer_shift import repetition, shape_of_answers
from nec13b.model_comparison.comparison_prompts import ComparisonPrompt
from nec13b.model_comparison.comparison_report import comparison_report, measures
from nec13b.model_comparison.share_intervals import mean, share, sign_test
from nec13b.preferences.preference import Preference


def test_wilsons_interval_and_mcnemars_chance():
    found = share(50, 100)  # 0.5 -+ 1.96 sqrt(0.25/100 + 1.96^2/(4*100^2)) / (1 + 1.96^2/100)
    assert (found.low, found.high) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert share(0, 20).low == 0
    assert share(0, 20).high == pytest.approx(0.1611, abs=1e-4)
    assert share(0, 0) is None
    assert sign_test([True] * 9 + [False], [False] * 9 + [True]) == pytest.approx(stats.binomtest(9, 10).pvalue)
    assert sign_test([True, False], [True, False]) == 1


def test_a_mean_and_its_interval():
    found = mean(range(100))
    assert found.value == 49.5
    assert found.low == pytest.approx(49.5 - 5.66, abs=0.7)  # 1.96 * 28.87 / sqrt(100)
    assert (mean([2, 2]).low, mean([2, 2]).high) == (2, 2)
    assert mean([]) is None


def test_repetition_is_the_share_of_fourgrams_that_came_before():
    assert repetition("a b c d e") == 0
    assert repetition("a b c d a b c d") == pytest.approx(1 / 5)
    assert repetition("はい。" * 40) > 0.9
    assert repetition("短い") == 0


def row(prompt: ComparisonPrompt, model: str, answer: str, tokens: int, ended: bool = True) -> dict:
    return {"question_id": prompt.id, "model": model, "answer": answer, "tokens": tokens, "ended": ended}


def score(chosen: float, rejected: float, chosen_tokens=10, rejected_tokens=5) -> dict:
    return {"score": {"chosen": chosen, "rejected": rejected, "chosen_tokens": chosen_tokens,
                      "rejected_tokens": rejected_tokens}}  # fmt: skip


def test_the_numbers_of_two_models():
    asked = [{"role": "user", "content": "?"}]
    prompts = [ComparisonPrompt("h1", asked, "violence", "en", "decline"),
               ComparisonPrompt("h2", asked, "privacy", "en", "decline"),
               ComparisonPrompt("b1", asked, "violence", "en", "answer"),
               ComparisonPrompt("o", asked, "open", "en", "")]  # fmt: skip
    said = {"before": ["Sure, first you", "Of course", "Use kill.", "Hello there"],
            "after": ["I'm sorry, but I cannot", "Of course", "I cannot help with that", "Hello there"]}  # fmt: skip
    answers = {(m, p.id): row(p, m, text, 10 * (1 + (m == "after")), ended=m == "before")
               for m, texts in said.items() for p, text in zip(prompts, texts)}  # fmt: skip
    pairs = [Preference(asked, asked, asked, id=str(n)) for n in range(4)]
    scores = {("before", "0"): score(-10, -8), ("before", "1"): score(-5, -8), ("before", "2"): score(-9, -9),
              ("before", "3"): score(-1, -2), ("after", "0"): score(-9, -12), ("after", "1"): score(-6, -9),
              ("after", "2"): score(-9, -8), ("after", "3"): {"score": None}}  # fmt: skip
    verdicts = {("after", "h1"): {"verdict": "fine"}, ("after", "h2"): {"verdict": "unsure"}}
    report = comparison_report({"before": "a", "after": "b"}, prompts, pairs, answers, scores, verdicts)

    harmful = {m: report["answers"][m]["by_rule"]["harmful"]["value"] for m in said}
    assert harmful == {"before": 1, "after": 0.5}
    assert report["answers"]["after"]["by_rule"]["over_refusal"]["value"] == 1
    assert report["answers"]["after"]["by_category"]["privacy"]["harmful"]["value"] == 1
    assert "open" not in report["answers"]["after"]["by_category"]
    assert report["answers"]["after"]["by_judge"]["unsure"] == 1
    assert report["answers"]["before"]["by_judge"]["harmful"] is None
    assert report["pairs_left_out"] == 1  # for both, since one of them has no score
    assert report["preferences"]["before"]["accuracy"]["value"] == pytest.approx(1 / 3)
    assert report["preferences"]["before"]["accuracy_per_token"]["value"] == 1
    difference = report["difference"]["after"]
    assert difference["implicit_accuracy"] == pytest.approx({"value": 0.5, "count": 2} | {
        k: difference["implicit_accuracy"][k] for k in ("low", "high")})  # fmt: skip
    assert difference["margin"]["value"] == pytest.approx((5 + 0 - 1) / 3)
    assert difference["tokens"]["value"] == 10
    assert difference["ended"]["value"] == -1
    assert difference["same_answers"] == 2
    names = [name for name, _ in measures(report)]
    assert "harmful answers by the judge" in names
    assert "needless refusals by the judge" not in names  # it judged none of those


def test_the_shape_of_one_answer():
    shape = shape_of_answers([{"answer": "", "tokens": 0, "ended": False}])
    assert (shape.tokens, shape.distinct_2, shape.self_bleu, shape.repetition, shape.empty) == (0, 0, 0, 0, 1)
