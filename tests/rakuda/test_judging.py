"""A judge that fails, stalls, answers 429, nonsense or nothing: all comparisons are counted, none judged twice."""

import asyncio
import json
from collections import Counter

import pytest
from endpoint_stand_in import FAULTS, Endpoint

from nec13b.corpus import Rejections
from nec13b.errors import InputError
from nec13b.generation.generator import Completion
from nec13b.rakuda.judging import JOURNAL_NAME, JudgeRun, forecast, judged
from nec13b.rakuda.matches import MATCHES_NAME, read_matches
from nec13b.rakuda.rakuda_config import RakudaJudgeConfig
from nec13b.rakuda.report import report_on_judged
from nec13b.rakuda.tournament import results_text

pytest.importorskip("openai")
PASSING = [fault for fault in FAULTS if fault not in ("stall", "trickle")]


def config_for(endpoint, output, files, **changes) -> RakudaJudgeConfig:
    settings = {
        "generator": "endpoint", "base_url": endpoint.url, "model": "judge", "api_key_variable": "A_KEY",
        "request_timeout": 20.0, "first_delay": 0.005, "longest_delay": 0.01, "max_attempts": 3,
        "prompt_price": 10.0, "completion_price": 30.0, "output_dir": str(output), "resamples": 100,
        "stop_after_failures": 0, "pages": False,
    }  # fmt: skip
    return RakudaJudgeConfig(**settings | files | changes)


def takes_the_longer(body):
    """A judge's review: the longer answer is better."""
    content = body["messages"][-1]["content"]
    first, second = (content.split(f"<回答{n}>")[1].split(f"</回答{n}>")[0] for n in (1, 2))
    return f"比べました。\n{1 if len(first) > len(second) else 2}", "stop"


def keys_of(output) -> list[str]:
    return [json.loads(line)["key"] for line in (output / JOURNAL_NAME).read_text().splitlines()]


def test_all_comparisons_come_through_faults(forty_questions, tmp_path):
    with Endpoint(fault_share=0.4, faults=PASSING) as endpoint:
        endpoint.reply = takes_the_longer
        config = config_for(endpoint, tmp_path / "out", forty_questions, max_attempts=40)
        found = judged(config)
    assert (found.account["comparisons"], found.account["judged"]) == (80, 80)
    assert len(set(keys_of(tmp_path / "out"))) == len(keys_of(tmp_path / "out")) == 80
    assert endpoint.met["none"] == 80
    assert found.account["retries"]
    results, _ = report_on_judged(config, found.matches)
    assert results["models"]["長い"]["win_rate"]["value"] == 1
    assert results["biases"]["swap_consistency"]["value"] == 1
    assert "長い" in results_text(results)


@pytest.mark.parametrize("fault", ["stall", "429_plain", "broken_json", "empty_text", "status_400"])
def test_a_judge_that_only_fails_is_accounted_for_and_asked_again_later(fault, forty_questions, tmp_path):
    with Endpoint(fault_share=1.0, faults=(fault,)) as endpoint:
        endpoint.reply = takes_the_longer
        timeout = 0.05 if fault == "stall" else 20.0
        config = config_for(endpoint, tmp_path / "out", forty_questions, request_timeout=timeout, max_attempts=1,
                            concurrency=40)  # fmt: skip
        account = judged(config).account
        assert (account["failed"], account["judged"], account["left"]) == (80, 0, 0)
        assert sum(account["failed_by_reason"].values()) == 80
        endpoint.fault_share = 0.0
        config.request_timeout = 20.0
        assert judged(config).account["judged"] == 80


def test_nonsense_counts_as_unreadable_and_is_not_asked_again(forty_questions, tmp_path):
    with Endpoint() as endpoint:
        said = [
            ("どちらもどちらです。", "stop"),
            ("アシスタント1の", "length"),
            ("4", "stop"),
            ("良い回答。\n２", "stop"),
        ]
        endpoint.reply = lambda body: said[endpoint.requests % 4]
        config = config_for(endpoint, tmp_path / "out", forty_questions)
        account = judged(config).account
        assert (account["judged"], account["unreadable"], account["cut"]) == (20, 60, 20)
        again = judged(config)
        assert endpoint.requests == 80
        assert len(again.matches) == 80
        matches = read_matches([str(tmp_path / "out")], Rejections(), verdicts_from_reviews=True)
        assert Counter(match.verdict for match in matches) == {"unreadable": 60, "second": 20}


def test_a_judge_without_one_readable_verdict_is_told(forty_questions, tmp_path):
    with Endpoint() as endpoint:
        endpoint.reply = lambda body: ("わかりません。", "stop")
        config = config_for(endpoint, tmp_path / "out", forty_questions)
        with pytest.raises(InputError, match="none of 80 reviews"):
            report_on_judged(config, judged(config).matches)


def test_the_forecast_is_what_it_then_costs(forty_questions, tmp_path):
    with Endpoint() as endpoint:
        endpoint.reply = takes_the_longer
        endpoint.prompt_tokens = lambda body: sum(len(message["content"]) for message in body["messages"])
        config = config_for(endpoint, tmp_path / "out", forty_questions, tokens_per_character=1.0,
                            expected_review_tokens=8)  # fmt: skip
        before, comparisons = forecast(config)
        assert (before.calls, comparisons, before.measured) == (80, 80, False)
        assert not (tmp_path / "out").exists()
        account = judged(config).account
        assert account["prompt_tokens"] == before.prompt_tokens
        assert account["completion_tokens"] == before.completion_tokens
        assert account["cost"] == pytest.approx(before.cost)
        assert before.most_cost > before.cost
        assert forecast(config)[0].calls == 0


def test_what_was_measured_makes_the_forecast_better(forty_questions, tmp_path):
    with Endpoint() as endpoint:
        endpoint.reply = takes_the_longer
        endpoint.prompt_tokens = lambda body: sum(len(message["content"]) for message in body["messages"]) // 2
        config = config_for(endpoint, tmp_path / "out", forty_questions, budget=0.02, concurrency=1)
        account = judged(config).account
        assert "budget" in account["stopped"]
        assert 0 < account["judged"] < 80
        assert account["left"] == 80 - account["judged"]
        expected, _ = forecast(config)
        assert expected.measured
        config.budget = 0.0
        assert judged(config).account["cost"] - account["cost"] == pytest.approx(expected.cost, rel=0.05)


def test_more_models_cost_only_what_is_new(forty_questions, tmp_path):
    third = tmp_path / "third.jsonl"
    rows = [{"question_id": f"q{n}", "model_id": "三", "text": f"三つ目の{n}"} for n in range(40)]
    third.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Endpoint() as endpoint:
        endpoint.reply = takes_the_longer
        judged(config_for(endpoint, tmp_path / "out", forty_questions))
        more = forty_questions | {"answers": [*forty_questions["answers"], str(third)]}
        assert judged(config_for(endpoint, tmp_path / "out", more)).account["judged"] == 240
        assert endpoint.requests == 240
        judged(config_for(endpoint, tmp_path / "out", more, baseline="三", both_orders=False))
        assert endpoint.requests == 240
        assert len((tmp_path / "out" / MATCHES_NAME).read_text().splitlines()) == 80


def test_another_prompt_or_judge_is_another_request(forty_questions, tmp_path):
    with Endpoint() as endpoint:
        base = config_for(endpoint, tmp_path / "out", forty_questions)
        keys = set(JudgeRun(base, Rejections()).left())
        for changes in ({"model": "other"}, {"temperature": 0.2}, {"review_tokens": 9}, {"request_options": {"n": 1}}):
            other = config_for(endpoint, tmp_path / "out", forty_questions, **changes)
            assert not keys & set(JudgeRun(other, Rejections()).left())
        slower = config_for(endpoint, tmp_path / "out", forty_questions, concurrency=1, request_timeout=9)
        assert keys == set(JudgeRun(slower, Rejections()).left())


def test_equal_answers_are_judged_once(tmp_path):
    questions, answers = tmp_path / "q.jsonl", tmp_path / "a.jsonl"
    questions.write_text(json.dumps({"question_id": "q", "text": "？"}))
    rows = [{"question_id": "q", "model_id": name, "text": "同じ"} for name in "abc"]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))

    class Judge:
        model, retries = "judge", Counter()
        asked = 0

        async def complete(self, messages, sampling, seed=None):
            self.asked += 1
            await asyncio.sleep(0)
            return Completion("3", "stop")

        async def close(self):
            pass

    judge = Judge()
    config = RakudaJudgeConfig(questions=str(questions), answers=[str(answers)], output_dir=str(tmp_path / "out"))
    found = judged(config, judge)
    assert judge.asked == 1
    assert len(found.matches) == 6
    assert found.account["requests"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": ["長い"]}, "a comparison takes two models"),
        ({"models": ["長い", "無い"]}, "no answers of '無い'"),
        ({"baseline": "無い"}, "no answers of the baseline"),
        ({"questions": "sample"}, "do the answers belong to these questions"),
        ({"judge_prompt": "nowhere.jsonl"}, "nowhere.jsonl does not exist"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said, forty_questions, tmp_path):
    config = RakudaJudgeConfig(output_dir=str(tmp_path / "out"), **forty_questions | changes)
    with pytest.raises(InputError, match=said):
        judged(config)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generator": "oracle"}, "replay"),
        ({"tokens_per_character": 0.0}, "tokens_per_character"),
        ({"labels": "nothing"}, "labels"),
        ({"resamples": 5}, "resamples"),
        ({"top_p": 0.0}, "top_p"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(InputError, match=said):
        RakudaJudgeConfig(**changes)
