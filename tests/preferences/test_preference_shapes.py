"""Every common shape gives the prompt, the better and the worse answer; what has none says why."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.dialogues.dialogue_shapes import NotADialogue
from nec13b.preferences.preference_shapes import (
    Fields,
    NobodyPreferred,
    NotAPreference,
    messages_of_transcript,
    named_answer,
    preferences_of_row,
    shape_of_row,
    shared_beginning,
)

HH = "\n\nHuman: 海は？\n\nAssistant: どの海ですか。\n\nHuman: 日本海。\n\nAssistant:"


def read(row, ranked="best", fields=None):
    fields = fields or Fields()
    return preferences_of_row(row, shape_of_row(row, fields), ranked, fields)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


QUESTION, GOOD, BAD = user("海は？"), assistant("青い。"), assistant("赤い。")
SAME = [
    ("paired", {"prompt": "海は？", "chosen": "青い。", "rejected": "赤い。"}),
    ("paired", {"prompt": [QUESTION], "chosen": [GOOD], "rejected": [BAD]}),
    ("paired", {"prompt": [QUESTION], "chosen": "青い。", "rejected": BAD}),
    ("paired", {"question": "海は？", "chosen": [GOOD], "rejected": [BAD]}),
    ("paired", {"chosen": [QUESTION, GOOD], "rejected": [QUESTION, BAD]}),
    # As UltraFeedback binarised: the prompt stands beside the whole conversations, and in them.
    ("paired", {"prompt": "海は？", "chosen": [QUESTION, GOOD], "rejected": [QUESTION, BAD]}),
    ("paired", {"prompt": json.dumps([QUESTION]), "chosen": json.dumps([GOOD]), "rejected": json.dumps([BAD])}),
    # As LLaMA-Factory has it.
    ("paired", {"conversations": [{"from": "human", "value": "海は？"}], "chosen": {"from": "gpt", "value": "青い。"},
                "rejected": {"from": "gpt", "value": "赤い。"}}),
    ("transcript", {"chosen": "\n\nHuman: 海は？\n\nAssistant: 青い。",
                    "rejected": "\n\nHuman: 海は？\n\nAssistant: 赤い。"}),
    ("transcript", {"prompt": "\n\nHuman: 海は？\n\nAssistant:", "chosen": " 青い。", "rejected": " 赤い。"}),
    ("ranked", {"prompt": "海は？", "answers": ["黒い。", "青い。", "赤い。"], "scores": [3, 5, 1]}),
    ("ranked", {"prompt": "海は？", "answers": ["赤い。", "青い。", "黒い。"], "ranks": [3, 1, 2]}),
    ("ranked", {"instruction": "海は？", "completions": [{"response": "赤い。", "overall_score": "2.5"},
                                                       {"response": "青い。", "overall_score": 8}]}),
    ("ranked", {"prompt": "海は？", "answers": [{"answer": "赤い。", "rank": 2}, {"answer": "青い。", "rank": 1}]}),
    ("ranked", {"prompt": "海は？", "responses": [[GOOD], [BAD]], "rank": [0, 1]}),
    ("labelled", {"prompt": "海は？", "response_0": "赤い。", "response_1": "青い。", "better_response_id": 1}),
    ("labelled", {"prompt": "海は？", "answer_a": "赤い。", "answer_b": "青い。", "winner": "b"}),
    ("labelled", {"prompt": "海は？", "answer1": "青い。", "answer2": "赤い。", "preference": "answer1"}),
    ("labelled", {"conversation_a": [QUESTION, GOOD], "conversation_b": [QUESTION, BAD], "winner": "model_a"}),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "row"), SAME)
def test_shapes_that_say_the_same(shape, row):
    assert shape_of_row(row) == shape
    (written,) = read(row)
    assert written[:3] == ([QUESTION], [GOOD], [BAD])


def test_earlier_turns_and_system_messages_belong_to_the_prompt(messages_of):
    chosen, rejected = (
        messages_of("U 海は？", "A どの海ですか。", "U 日本海。", f"A {end}") for end in ("青い。", "赤い。")
    )
    for row in (
        {"chosen": chosen, "rejected": rejected},
        {"chosen": f"{HH} 青い。", "rejected": f"{HH} 赤い。"},
        {"prompt": HH, "chosen": "青い。", "rejected": "赤い。"},
        {"prompt": chosen[:3], "chosen": chosen[3:], "rejected": "赤い。"},
    ):
        (written,) = read(row)
        assert written[:3] == (chosen[:3], [GOOD], [BAD])
        (written,) = read(row | {"system": "短く"})
        assert written.prompt == [{"role": "system", "content": "短く"}, *chosen[:3]]


def test_what_an_instruction_is_about_is_part_of_the_prompt():
    (written,) = read({"instruction": "要約して", "input": "長い文。", "chosen": "文。", "rejected": "犬。"})
    assert written.prompt == [user("要約して\n\n長い文。")]


def test_an_answer_may_be_a_list_in_json():
    (written,) = read({"prompt": "JSONで", "chosen": '[{"name": "海"}]', "rejected": "[{"})
    assert written[1:3] == ([assistant('[{"name": "海"}]')], [assistant("[{")])


def test_fields_of_another_name():
    fields = Fields("toi", "yoi", "warui")
    (written,) = read({"toi": "海は？", "yoi": "青い。", "warui": "赤い。", "prompt": "x"}, fields=fields)
    assert written[:3] == ([QUESTION], [GOOD], [BAD])
    with pytest.raises(NotAPreference, match="no known shape"):
        read({"prompt": "海は？", "chosen": "青い。", "rejected": "赤い。"}, fields=fields)


def test_all_pairs_of_ranked_answers():
    row = {"prompt": "海は？", "answers": ["a", "b", "c"], "scores": [2, 1, 2]}
    pairs = [(w.chosen[0]["content"], w.rejected[0]["content"]) for w in read(row, "all")]
    assert pairs == [("a", "b"), ("c", "b")]  # of equals neither is better
    assert len(read(row)) == 1


def test_scores_and_models_are_kept():
    answers = [{"text": "青い。", "score": 9, "model": "m"}, {"text": "赤い。", "score": 2}]
    (written,) = read({"prompt": "海は？", "answers": answers})
    assert written.provenance == {"chosen": {"score": 9, "model": "m"}, "rejected": {"score": 2}}
    (written,) = read({"prompt": "p", "chosen": "a", "rejected": "b", "score_chosen": 4.5, "score_rejected": None})
    assert written.provenance == {"chosen": {"score": 4.5}}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (3, "a row is an object, not a number"),
        ({}, r"no known shape; it has the fields \(none\)"),
        ({"prompt": "p", "chosen": "a"}, "no known shape; it has the fields prompt, chosen"),
        ({"prompt": "p", "chosen": "a", "rejected": None}, "field 'rejected' holds nothing"),
        ({"prompt": "p", "chosen": "a", "rejected": 3}, "field 'rejected' holds a number, not a text or messages"),
        ({"prompt": "p", "chosen": "a", "rejected": [3]}, "field 'rejected': message 1 is a number, not an object"),
        ({"chosen": "a", "rejected": "b"}, "no field of a prompt, and the answers are no conversations"),
        (
            {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: c\n\nAssistant: b"},
            "no beginning in common",
        ),
        ({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "c"}, "the transcripts have no beginning in common"),
        ({"prompt": "p", "answers": ["a"], "scores": [1]}, "fewer than two answers"),
        ({"prompt": "p", "answers": ["a", "b"]}, "answer 1 of field 'answers' has neither score nor rank"),
        ({"prompt": "p", "answers": ["a", "b"], "scores": [1]}, "field 'scores' has 1 values for 2 answers"),
        ({"prompt": "p", "answers": ["a", "b"], "scores": [1, "N/A"]}, "the score of answer 2 .* is no number: 'N/A'"),
        ({"prompt": "p", "answers": [{"score": 1}, {"score": 2}]}, "answer 1 of field 'answers' has no text"),
        ({"answers": ["a", "b"], "scores": [1, 2]}, "no field of a prompt"),
        ({"prompt": "p", "answer_a": "a", "answer_b": "b"}, "no two answers with the name of the better one"),
        ({"prompt": "p", "answer_a": "a", "answer_b": "b", "winner": "-3"}, "field 'winner' names none of answer_a"),
    ],
)
def test_what_is_no_preference_says_why(row, said):
    with pytest.raises(NotADialogue, match=said):
        read(row)


@pytest.mark.parametrize(
    "row",
    [{"prompt": "p", "answers": ["a", "b"], "scores": [2, 2.0]},
     {"prompt": "p", "answer_a": "a", "answer_b": "b", "winner": "tie (bothbad)"}],
)  # fmt: skip
def test_a_tie_is_no_preference(row):
    with pytest.raises(NobodyPreferred) as tie:
        read(row)
    assert tie.value.reason == "tie"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("answer_a", "answer_a"),
        ("Answer A", "answer_a"),
        ("b", "answer_b"),
        ("model_b", "answer_b"),
        ("c", None),
        ("", None),
    ],
)
def test_labels_that_name_an_answer(said, meant):
    assert named_answer(said, ("answer_a", "answer_b")) == meant


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
MESSAGES = st.lists(
    st.builds(lambda r, c: {"role": r, "content": c}, st.sampled_from(["user", "assistant"]), TEXT), max_size=4
)


@settings(max_examples=100, deadline=None)
@given(MESSAGES, st.lists(TEXT, min_size=1, max_size=3), st.lists(TEXT, min_size=1, max_size=3))
def test_conversations_are_divided_where_they_part(beginning, one, other):
    prompt = [user("問い"), *beginning]
    chosen, rejected = ([assistant(text) for text in side] for side in (one, other))
    shared = shared_beginning(prompt + chosen, prompt + rejected)
    assert shared >= len(prompt)
    (written,) = read({"chosen": prompt + chosen, "rejected": prompt + rejected})
    assert written.prompt + written.chosen == prompt + chosen
    assert written.prompt + written.rejected == prompt + rejected
    assert written.chosen
    assert written.rejected


PLAIN = TEXT.map(lambda text: text.replace("\n", " ").strip()).filter(bool)


@settings(max_examples=100, deadline=None)
@given(st.lists(PLAIN, min_size=1, max_size=6))
def test_transcripts_come_back_as_messages(said):
    turns = [(("Human", "Assistant")[i % 2], text) for i, text in enumerate(said)]
    messages = messages_of_transcript("".join(f"\n\n{who}: {text}" for who, text in turns))
    assert [message["content"] for message in messages] == said
    assert [message["role"] for message in messages] == [("user", "assistant")[i % 2] for i in range(len(said))]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(
        st.sampled_from(["prompt", "chosen", "rejected", "answers", "scores", "rank", "role", "content", "text", "data",
                         "annotations", "fields", "responses", "answer_a", "answer_b", "winner", "result", "value"]),
        below, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_whatever_a_row_holds_is_read_or_told(row):
    with contextlib.suppress(NotADialogue, NobodyPreferred):  # nothing else may be raised
        shape = shape_of_row(row)
        if shape not in ("argilla", "label_studio"):
            for written in preferences_of_row(row, shape, "all"):
                assert all(isinstance(m["content"], str) for side in written[:3] for m in side)
