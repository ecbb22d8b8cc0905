"""Answers to questions: each asked once, in a file that Rakuda's own scripts read, by endpoints and checkpoints."""

import json

import pytest
from endpoint_stand_in import Endpoint

from nec13b.corpus import Rejections
from nec13b.errors import InputError
from nec13b.rakuda.answer_generation import answer_questions, answers_text
from nec13b.rakuda.answers import read_answers
from nec13b.rakuda.rakuda_config import RakudaAnswersConfig


def config_for(output, endpoint=None, **changes) -> RakudaAnswersConfig:
    where = {"generator": "endpoint", "base_url": endpoint.url, "model": "org/m 1"} if endpoint else {}
    quick = {"first_delay": 0.005, "longest_delay": 0.01, "max_attempts": 1, "stop_after_failures": 0}
    return RakudaAnswersConfig(output_dir=str(output), api_key_variable="A_KEY", **where | quick | changes)


def test_an_endpoint_is_asked_once_for_each_question(tmp_path):
    pytest.importorskip("openai")
    with Endpoint(fault_share=1.0, faults=("status_500",)) as endpoint:
        config = config_for(tmp_path, endpoint, system="短く答えてください。")
        account = answer_questions(config)
        assert (account["answered"], account["failed_by_reason"]) == (0, {"server_error": 4})
        endpoint.fault_share = 0.0
        account = answer_questions(config)
        assert account["answered"] == 4
        answer_questions(config)
        assert endpoint.requests == 8
        assert endpoint.bodies[-1]["messages"][0]["role"] == "system"
        with pytest.raises(InputError, match="another checkpoint"):
            answer_questions(config_for(tmp_path, endpoint, temperature=0.5))
    answers = read_answers([str(tmp_path)], Rejections())
    assert list(answers) == ["org/m 1"]
    assert len(answers["org/m 1"]) == 4
    row = json.loads((tmp_path / "org_m_1.jsonl").read_text().splitlines()[0])
    assert row["choices"][0]["turns"][0]
    assert "not Rakuda's 40 questions" in answers_text(account)


def test_a_checkpoint_answers_the_same_again(tiny_checkpoint, tmp_path):
    texts = []
    for name in ("one", "two"):
        config = config_for(tmp_path / name, model=str(tiny_checkpoint), name="tiny", answer_tokens=6, temperature=0.8)
        account = answer_questions(config)
        assert (account["answered"], account["left"]) == (4, 0)
        texts.append({q: a.text for q, a in read_answers([account["path"]], Rejections())["tiny"].items()})
    assert texts[0] == texts[1]


def test_a_line_that_was_cut_is_asked_again(tiny_checkpoint, tmp_path):
    config = config_for(tmp_path, model=str(tiny_checkpoint), name="tiny", answer_tokens=4)
    answer_questions(config)
    path = tmp_path / "tiny.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert answer_questions(config)["answered"] == 4
    assert len(path.read_bytes().splitlines()) == 4
