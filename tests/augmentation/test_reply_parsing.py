"""Instructions and grades are found in what models write, tidy or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.augmentation.reply_parsing import without_thought, written_instruction, written_score

QUESTION = "雨の日に祖母と折り紙を楽しむ計画を、三つの段階に分けて書いてください。"


@pytest.mark.parametrize(
    "reply",
    [
        QUESTION,
        f"<指示>{QUESTION}</指示>",
        f"わかりました。\n<指示>\n{QUESTION}\n</指示>\nいかがでしょうか。",
        f"<指示>{QUESTION}",
        f"{QUESTION}</指示>",
        f"<instruction>{QUESTION}</Instruction>",
        f"<指示></指示>\n<指示>{QUESTION}</指示>",
        f"新しい指示：{QUESTION}",
        f"**新しい指示：**\n{QUESTION}",
        f"【質問】：{QUESTION}",
        f"「{QUESTION}」",
        f"新しい指示：「{QUESTION}」",
        f'"{QUESTION}"',
        f"```\n{QUESTION}\n```",
        f'```json\n{{"instruction": "{QUESTION}"}}\n```',
        f'{{"question": "{QUESTION}", "level": 3}}',
        f"New instruction: {QUESTION}",
        f"Here is the rewritten prompt: {QUESTION}",
    ],
)
def test_an_instruction_is_found(reply):
    assert written_instruction(reply) == QUESTION


def test_quotation_marks_of_parts_stay():
    for text in ("「春」と「秋」", '"a" and "b"', "「春"):
        assert written_instruction(text) == text


@pytest.mark.parametrize("reply", ["", "  \n", "<指示></指示>", "<指示> </指示>", "</指示>", '{"instruction": ""}'])
def test_nothing_is_nothing(reply):
    assert written_instruction(reply) == ""


@given(st.text(max_size=300))
def test_any_reply_is_survived(reply):
    written_instruction(reply)
    written_score(reply)
    assert reply.endswith(without_thought(reply))


@given(st.text(alphabet="あ漢a1 。\n", min_size=1, max_size=60).map(str.strip).filter(bool))
def test_what_stands_between_tags_is_taken_as_it_is(text):
    assert written_instruction(f"はい。<指示>\n{text}\n</指示>ではどうぞ。") == text


def test_thoughts_go_and_an_endless_thought_leaves_nothing():
    assert without_thought("<think>そうだな</think>はい") == "はい"
    assert without_thought("\n<think>そうだな") == ""
    assert without_thought("<p>考え</p>") == "<p>考え</p>"


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("点数：4", 4), ("点数：４", 4), ("点数は5です。", 5), ("**Score:** 3", 3), ("Score: 3/5", 3), ("3/5", 3),
        ("正確です。\n\n点数：2", 2), ("1から5で言えば、点数：4", 4), ("点数：2。いや、点数：3", 3), ("4点", 4),
        ("5", 5), ("４。", 4), ("Rating: 4 out of 5", 4), ("I would give it 4 out of 5.", 4), ("score = 5", 5),
        ("点数：4.5", None), ("点数：45", None), ("点数：0", None), ("点数：6", None),
        ("わかりません", None), ("", None), ("100点満点", None), ("点数：80%", None), ("2024年5月1日", None),
    ],
)  # fmt: skip
def test_grades(reply, score):
    assert written_score(reply) == score
