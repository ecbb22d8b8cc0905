"""Questions, answers, matches and judge prompts, as Rakuda's files hold them and as broken files do."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus import Rejections
from nec13b.errors import InputError
from nec13b.rakuda.answers import ModelAnswer, chosen, read_answers
from nec13b.rakuda.judge_prompt import JudgePrompt, read_judge_prompt
from nec13b.rakuda.matches import Match, read_matches, write_matches
from nec13b.rakuda.questions import RAKUDA_DIGEST, digest_of, read_questions
from nec13b.rakuda.verdicts import VERDICTS

QUICK = settings(max_examples=40, deadline=None)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
NAME = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=9)


def write_rows(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return str(path)


def test_questions_of_both_versions_are_read_and_the_rest_is_told(tmp_path):
    place = write_rows(tmp_path / "q.jsonl", [
        {"question_id": "a", "category": "地理", "text": "川は？"}, {"question_id": "b", "turns": ["山は？", "海は？"]},
        {"question_id": "a", "text": "もう一度"}, {"question_id": "c", "text": " "}, "{broken", "[1]", {"text": "？"},
    ])  # fmt: skip
    rejections = Rejections(tmp_path / "rejected.jsonl")
    found = read_questions(place, rejections)
    assert [(q.id, q.text, q.category) for q in found] == [("a", "川は？", "地理"), ("b", "山は？", "")]
    lines = [json.loads(line)["line"] for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert sorted(lines) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("name", ["nowhere.jsonl", "empty", "empty.jsonl"])
def test_a_place_without_questions_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match=name):
        read_questions(str(tmp_path / name), Rejections())


def test_the_hub_without_a_network_is_refused_in_one_line():
    with pytest.raises(InputError, match="name a file"):
        read_questions("hub:yuzuai/rakuda-questions", Rejections())


def test_answers_of_both_versions_and_models_of_one_name(tmp_path):
    first = write_rows(tmp_path / "one.jsonl", [
        {"question_id": "a", "model_id": "m", "text": "一"}, {"question_id": "b", "model_id": "m", "text": ""},
        {"question_id": "a", "model_id": "m", "text": "再び"}, {"question_id": "a", "text": "誰？"},
        {"question_id": "a"},
    ])  # fmt: skip
    second = tmp_path / "two.jsonl.gz"
    row = {"question_id": "a", "model_id": "m", "choices": [{"index": 0, "turns": ["二"]}]}
    with gzip.open(second, "wt", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n" + json.dumps(row | {"choices": []}) + "\n")
    rejections = Rejections()
    found = read_answers([first, str(second)], rejections)
    assert {model: {q: a.text for q, a in of.items()} for model, of in found.items()} == {
        "m": {"a": "一", "b": ""}, "m (two)": {"a": "二"},
    }  # fmt: skip
    assert sum(rejections.counts.values()) == 4
    with pytest.raises(InputError, match="no answers of 'x'"):
        chosen(found, ["x"])


@QUICK
@given(TEXT, TEXT, TEXT)
def test_an_answer_is_read_as_it_was_written(question, model, text):
    answer = ModelAnswer(question or "q", model or "m", text, {"seed": 1})
    assert ModelAnswer.from_row(json.loads(json.dumps(answer.to_row()))) == answer


@QUICK
@given(st.lists(st.builds(Match, NAME, NAME, NAME, st.sampled_from(VERDICTS), TEXT, TEXT, TEXT, TEXT), max_size=4))
def test_matches_are_read_as_they_were_written(tmp_path_factory, matches):
    matches = list({match.key: match for match in matches if match.first != match.second}.values())
    path = tmp_path_factory.mktemp("matches") / "matches.jsonl"
    write_matches(path, matches)
    if matches:
        assert read_matches([str(path)], Rejections()) == matches


def test_judgments_of_the_second_version_are_read(tmp_path):
    row = {"question_id": "a", "model1_id": "x", "model2_id": "y", "judge": ["gpt-4", "pair-ja"], "judgment": "1です 2"}
    rows = [row | {"winner": winner, "question_id": str(winner)} for winner in ("model1_id", "tie", "error", 2)]
    place = write_rows(
        tmp_path / "judgments.jsonl",
        [
            *rows,
            row,
            row,
            row | {"model2_id": "x"},
            {"winner": 1},
            row | {"question_id": None},
            row | {"provenance": [1]},
        ],
    )
    rejections = Rejections()
    found = read_matches([place], rejections)
    assert [match.verdict for match in found] == ["first", "tie", "unreadable", "second", "second"]
    assert found[0].provenance == {"judge": "gpt-4", "prompt": "pair-ja"}
    assert sum(rejections.counts.values()) == 5
    again = read_matches([place], Rejections(), verdicts_from_reviews=True)
    assert {match.verdict for match in again} == {"second"}


@QUICK
@given(TEXT, TEXT, TEXT)
def test_a_prompt_holds_the_texts_as_they_are(question, first, second):
    prompt = JudgePrompt("p", "", "{question}\x00{{{answer_1}}}\x00{answer_b}\x00{more}", {"more": "以上{question}"})
    [message] = prompt.messages(question, first, second)
    assert message["content"] == f"{question}\x00{{{first}}}\x00{second}\x00以上{{question}}"


def test_our_own_prompt_asks_for_a_verdict_that_is_read():
    prompt = read_judge_prompt("own")
    system, user = prompt.messages("問い", "はい", "いいえ")
    assert [system["role"], user["role"]] == ["system", "user"]
    assert "問い" in user["content"]
    assert user["content"].index("はい") < user["content"].index("いいえ")
    assert prompt.output_format == "last"
    assert prompt.digest != JudgePrompt("p", prompt.system, prompt.template + " ").digest


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"system_prompt": "x"}, "needs prompt_template"),
        ({"prompt_template": "{question} {answer_1}"}, "both answers"),
        ({"prompt_template": "{question} {answer_1} {answer_2} {prompt}"}, "{prompt}"),
        ({"prompt_template": "{question} {answer_1} {answer_2}", "output_format": "[[rating]]"}, "output_format"),
        ({"prompt_template": "{question} {answer}", "type": "single"}, "not for pairs"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused(tmp_path, row, said):
    with pytest.raises(InputError, match=said.replace("[", r"\[").replace("{", r"\{")):
        read_judge_prompt(write_rows(tmp_path / "p.jsonl", [row]))


def test_one_of_several_prompts_is_chosen_by_name(tmp_path):
    rows = [{"name": name, "prompt_template": name + "{question}{answer_a}{answer_b}"} for name in ("a", "b")]
    place = write_rows(tmp_path / "p.jsonl", rows)
    assert read_judge_prompt(place, "b").template.startswith("b")
    for name, said in (("", "several prompts"), ("c", "no prompt 'c'")):
        with pytest.raises(InputError, match=said):
            read_judge_prompt(place, name)


def test_rakudas_own_files_are_read(data):
    folder = data / "rakuda"
    rejections = Rejections()
    versions = [read_questions(str(folder / f"rakuda_{v}_questions.jsonl"), rejections) for v in ("v1", "v2")]
    assert [digest_of(questions) for questions in versions] == [RAKUDA_DIGEST] * 2
    answers = read_answers([str(folder / f"rakuda_{v}_answers.jsonl.gz") for v in ("v1", "v2")], rejections)
    assert len(answers) == 22 + 15
    assert {len(of) for of in answers.values()} == {40}
    assert not rejections.counts
    first = read_judge_prompt(str(folder / "rakuda_prompt_2023-07.jsonl"))
    second = read_judge_prompt(str(folder / "judge_prompts.jsonl"))
    for prompt in (first, second):
        said = "".join(message["content"] for message in prompt.messages("問い", "はい", "いいえ"))
        assert "[アシスタント1の回答の開始]\nはい" in said
        assert "3を最後の行に出力" in said
        assert "{" not in said
