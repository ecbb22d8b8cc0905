"""A form of the page as a judgement in the pair's own order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.annotation.judgement_form import UnusableForm
from nec13b.annotation.pair_questions import CHOICES, SAMPLE, PairQuestions, first_shown, right_answer, turned
from nec13b.preferences.judgement import VERDICTS
from nec13b.preferences.judgement_files import pair_of_row

PEOPLE = [f"person {i}" for i in range(40)]


@pytest.fixture
def asked(campaign_of_pairs):
    _, questions = campaign_of_pairs(1)
    return questions, questions.tasks()[0]


def somebody_who_sees_first(order: str) -> str:
    return next(name for name in PEOPLE if first_shown("p0", name) == order)


@given(st.sampled_from(CHOICES), st.sampled_from(["first", "second"]))
def test_a_choice_turns_into_a_verdict_and_back(choice, first):
    assert turned(choice, first) in VERDICTS
    assert turned(turned(choice, first), first) == choice


def test_what_is_shown_first_is_chance_and_stays():
    shown = [first_shown(f"p{i}", name) for i in range(50) for name in PEOPLE]
    assert 0.45 < shown.count("first") / len(shown) < 0.55
    assert shown == [first_shown(f"p{i}", name) for i in range(50) for name in PEOPLE]


@pytest.mark.parametrize("order", ["first", "second"])
def test_the_page_shows_and_reads_the_same_order(asked, order):
    questions, task = asked
    name, pair = somebody_who_sees_first(order), pair_of_row(task.row)
    view = questions.view(task, name, None)
    assert view["answers"][0]["text"] == getattr(pair, order).text
    content = questions.content({"choice": "a_slightly_better"}, ["wrong", "made up"], task, name)
    assert content["verdict"] == f"{order}_slightly_better"
    assert content["reasons"] == ["wrong"]
    assert content["shown_first"] == order


def test_nothing_tells_where_an_answer_comes_from(asked):
    questions, task = asked
    assert "SECRET" not in str(questions.view(task, "ken", None))


def test_only_the_better_answer_is_mended(asked):
    questions, task = asked
    name, pair = somebody_who_sees_first("second"), pair_of_row(task.row)
    texts = {"edited_A": "better\r\nnow", "edited_B": "other"}
    assert questions.content({"choice": "a_better", "edit": "A", **texts}, [], task, name)["edited"] == "better\nnow"
    for form in ({"choice": "b_better", "edit": "A"}, {"choice": "a_better"}, {"choice": "tie", "edit": "A"}):
        assert questions.content({**form, **texts}, [], task, name)["edited"] == ""
    same = {"choice": "a_better", "edit": "A", "edited_A": pair.second.text.replace("\n", "\r\n") + "\r\n"}
    assert questions.content(same, [], task, name)["edited"] == ""


def test_forms_that_are_no_judgement(asked):
    questions, task = asked
    for form, said in (({}, "choose_first"), ({"choice": "x"}, "choose_first"), ({"choice": "tie", "comment": "x" * 100_001}, "too_long")):  # fmt: skip  # noqa: E501
        with pytest.raises(UnusableForm, match=said):
            questions.content(form, [], task, "ken")


def test_a_skipped_pair_needs_no_choice(asked):
    questions, task = asked
    content = questions.content({"skip": "1", "choice": "a_better"}, ["wrong"], task, "ken")
    assert content["verdict"] == "skipped"
    assert not questions.counts(content)


def test_the_built_in_pairs():
    pairs = [pair_of_row(task.row) for task in PairQuestions(SAMPLE).tasks()]
    assert len(pairs) == 12
    assert sum(right_answer(pair) is not None for pair in pairs) == 2
    assert {pair.language for pair in pairs} == {"ja", "en"}
