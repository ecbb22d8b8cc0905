"""Exports of Argilla and Label Studio become pairs with judgements."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.dialogues.dialogue_shapes import NotADialogue
from nec13b.preferences.annotation_exports import judged_pairs
from nec13b.preferences.judgement import VERDICTS
from nec13b.preferences.preference_shapes import shape_of_row

FIELDS = {"prompt": "海は？", "answer-1": "青い。", "answer-2": "赤い。"}


def read(row, ranked="best"):
    return judged_pairs(row, shape_of_row(row), ranked, "x:1")


def verdicts(row):
    ((pair, judgements, _),) = read(row)
    assert pair.prompt == [{"role": "user", "content": "海は？"}]
    assert (pair.first.text, pair.second.text) == ("青い。", "赤い。")
    return [(each.annotator, each.verdict) for each in judgements]


def argilla(*values, question="preference"):
    responses = {question: [{"value": value, "user_id": f"u{n}"} for n, value in enumerate(values, start=1)]}
    return {"id": "1", "fields": FIELDS, "metadata": {}, "suggestions": {}, "responses": responses, "vectors": {}}


def task(*results, **more):
    annotations = [{"completed_by": n, "result": [result], **more} for n, result in enumerate(results, start=1)]
    return {"id": 1, "data": {"prompt": "海は？", "answer1": "青い。", "answer2": "赤い。"}, "annotations": annotations}


def pairwise(selected, to_name="answer1,answer2"):
    return {"type": "pairwise", "from_name": "p", "to_name": to_name, "value": {"selected": selected}}


@pytest.mark.parametrize(
    "values",
    [
        ("answer-1", "Answer 2", "tie", "both bad"),
        (["answer-1", "answer-2"], ["answer-2", "answer-1"], "tie", "both_bad"),
        ([{"value": "answer-1", "rank": 1}, {"value": "answer-2", "rank": 2}], "answer-2",
         [{"value": "answer-1", "rank": 1}, {"value": "answer-2", "rank": 1}], "neither"),
    ],
)  # fmt: skip
def test_argilla_nested(values):
    assert verdicts(argilla(*values)) == [
        ("u1", "first_better"), ("u2", "second_better"), ("u3", "tie"), ("u4", "both_bad"),
    ]  # fmt: skip


def test_argilla_flattened_and_of_version_1():
    flat = FIELDS | {
        "preference.responses": ["answer-1", "answer-2"], "preference.responses.users": ["a", "b"],
        "preference.responses.status": ["submitted", "discarded"], "preference.suggestion": "answer-2",
    }  # fmt: skip
    assert verdicts(flat) == [("a", "first_better"), ("b", "skipped")]
    old = {"fields": FIELDS, "responses": [
        {"user_id": "a", "status": "submitted", "values": {"better": {"value": [{"value": "answer-2", "rank": 1},
                                                                               {"value": "answer-1", "rank": 2}]}}},
        {"user_id": "b", "status": "discarded", "values": {"better": {"value": None}}},
    ]}  # fmt: skip
    assert verdicts(old) == [("a", "second_better"), ("b", "skipped")]


def test_the_question_that_tells_is_found_among_others():
    row = argilla("answer-2")
    row["responses"] = {"comment": [{"value": "なるほど", "user_id": "u1"}]} | row["responses"]
    assert verdicts(row) == [("u1", "second_better")]
    row["responses"].pop("preference")
    with pytest.raises(NotADialogue, match=r"none of its questions \(comment\) tells which of answer-1, answer-2"):
        read(row)


def test_label_studio():
    choice = {"type": "choices", "from_name": "c", "to_name": "prompt", "value": {"choices": ["answer2"]}}
    assert verdicts(task(pairwise("left"), pairwise("right"), pairwise("left", ["answer2", "answer1"]), choice)) == [
        ("1", "first_better"), ("2", "second_better"), ("3", "second_better"), ("4", "second_better"),
    ]  # fmt: skip
    assert verdicts(task(pairwise("left"), was_cancelled=True)) == [("1", "skipped")]
    row = task(pairwise("left"), updated_at="2026-01-01T00:00:00Z")
    row["annotations"][0]["completed_by"] = {"id": 7, "email": "someone@example.com"}
    ((_, (judgement,), _),) = read(row)
    assert (judgement.annotator, judgement.time) == ("7", "2026-01-01T00:00:00Z")
    with pytest.raises(NotADialogue, match="annotation 1 has no result that tells which answer is better"):
        read(task({"type": "rating", "value": {"rating": 3}}))


def test_our_own_verdicts_say_how_much_better():
    row = argilla("first_slightly_better", "both_bad")
    row["fields"] = {"prompt": "海は？", "first": "青い。", "second": "赤い。"}
    ((_, judgements, graded),) = read(row)
    assert ([each.verdict for each in judgements], graded) == (["first_slightly_better", "both_bad"], True)
    assert not read(argilla("answer-1"))[0].graded


def test_of_many_answers_the_best_against_the_worst_or_all():
    row = argilla(
        ["answer-2", "answer-3", "answer-1"], ["answer-3", "answer-2", "answer-1"], ["answer-2", "answer-3", "answer-1"]
    )
    row["fields"] = FIELDS | {"answer-3": "黒い。"}
    ((pair, judgements, _),) = read(row)
    assert (pair.id, pair.first.text, pair.second.text) == ("x:1", "赤い。", "青い。")
    assert {each.verdict for each in judgements} == {"first_better"}
    pairs = read(row, "all")
    assert [each.pair.id for each in pairs] == ["x:1#1", "x:1#2", "x:1#3"]
    assert [each.verdict for each in pairs[2].judgements] == ["first_better", "second_better", "first_better"]


def test_what_has_no_answers_says_so():
    with pytest.raises(NotADialogue, match="fewer than two answers among its fields prompt"):
        read(argilla("a") | {"fields": {"prompt": "海は？"}})
    assert verdicts(argilla()) == []  # nobody has judged it yet


VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["answer-1", "tie", "x", "left"]),
    lambda below: st.lists(below, max_size=3)
    | st.dictionaries(st.sampled_from(["value", "rank", "values", "user_id", "result", "choices", "selected", "type",
                                       "to_name", "completed_by", "preference", "status", "meta"]), below, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(VALUES, st.sampled_from(["best", "all"]))
def test_whatever_is_said_is_read_or_told(value, ranked):
    rows = [
        argilla(value), {"fields": FIELDS, "responses": value}, FIELDS | {"preference.responses": value},
        task(value), task(value) | {"annotations": value},
    ]  # fmt: skip
    for row in rows:
        with contextlib.suppress(NotADialogue):  # nothing else may be raised
            for judged in read(row, ranked):
                assert all(each.verdict in VERDICTS for each in judged.judgements)
