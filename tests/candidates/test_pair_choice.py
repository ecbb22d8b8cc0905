"""Pairs are those that say most: whole answers, of different models, of like length, unlike in words."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.candidates.answer_checks import answer_fault, length_ratio, say_the_same, similarity
from nec13b.candidates.pair_choice import CRITERIA, ChoiceRule, chosen_pairs
from nec13b.dialogues.dialogue import Dialogue
from nec13b.preferences.answer_pair import CandidateAnswer

PROMPT = Dialogue([{"role": "user", "content": "雨の日の過ごし方を教えてください。"}], id="p:1", language="ja")
READING = "家の中で、前から気になっていた小説をゆっくり読んではいかがでしょうか。"
COOKING = "時間のかかる煮込み料理に挑戦すると、部屋も暖まって一石二鳥になります。"
MUSEUM = "美術館や水族館のような、屋根のある場所へ出かけるのも楽しいものです。"
LONG = "まず持ち物を点検します。" + "".join(f"それから{thing}を磨きます。" for thing in "靴鍋窓鏡床机鞄傘時計食器花瓶")
# Whole sentences that have next to nothing in common, in one range of lengths.


def answer(text, model="a", temperature=0.7, ended=True):
    return CandidateAnswer(
        text, {"label": f"{model}@{temperature}", "model": model, "temperature": temperature, "ended": ended}
    )


def texts(choice):
    return [{pair.first.text, pair.second.text} for pair in choice.pairs]


@pytest.mark.parametrize(
    ("text", "ended", "fault"),
    [
        (READING, True, ""), (" \n", True, "empty"), (READING[:20], False, "cut"),
        (PROMPT.messages[0]["content"], True, "repeats_prompt"),
        (PROMPT.messages[0]["content"] + "はい。", True, "repeats_prompt"), ("はい。" * 60, True, "repetitive"),
        ("どうぞ。<|im_start|>user", True, "special_tokens"), ("はい。", True, ""),
    ],
)  # fmt: skip
def test_faults_of_answers(text, ended, fault):
    assert answer_fault(text, ended, PROMPT.messages) == fault


def test_likeness_is_of_words_and_numbers():
    assert similarity(READING, READING.replace("、", " ")) == 1
    assert similarity(READING, COOKING) < 0.1
    assert similarity("はい", "いいえ") < 0.5
    assert say_the_same(READING, READING.replace("小説", "物語"), 0.6)
    sum_of = "答えは{}です。一つずつ順に足していくと、この数になることが分かります。"
    assert similarity(sum_of.format(12), sum_of.format(13)) > 0.8
    assert not say_the_same(sum_of.format(12), sum_of.format(13), 0.8)
    assert say_the_same(sum_of.format(12), sum_of.format("１２"), 0.8)
    assert similarity("🙂", "🙁") < 1
    assert length_ratio("", "") == 1


def test_what_cannot_be_told_apart_or_is_no_answer_is_dropped_with_its_reason():
    answers = [answer(READING[:20], ended=False), answer(READING), answer(READING + "ね", "b"), answer("", "b"),
               answer(COOKING)]  # fmt: skip
    choice = chosen_pairs(PROMPT, answers, ChoiceRule())
    assert texts(choice) == [{READING, COOKING}]
    assert [(dropped.reason, dropped.answer.text) for dropped in choice.dropped] == [
        ("near_identical", READING + "ね"), ("cut", READING[:20]), ("empty", ""),
    ]  # fmt: skip
    assert "like one of a@0.7" in choice.dropped[0].detail


def test_different_models_come_first_then_temperatures_then_luck():
    a, a_too, a_hot, b = answer(READING), answer(COOKING), answer(MUSEUM, temperature=1.2), answer(LONG[:36], "b")
    rule = ChoiceRule(min_length_ratio=0)
    assert len(chosen_pairs(PROMPT, [a, a_too, a_hot, b], rule).pairs) == 1
    [pair] = chosen_pairs(PROMPT, [a, a_too, a_hot, b], rule).pairs
    assert "b" in {pair.first.provenance["model"], pair.second.provenance["model"]}
    [pair] = chosen_pairs(PROMPT, [a, a_too, a_hot], rule).pairs
    assert {pair.first.provenance["temperature"], pair.second.provenance["temperature"]} == {0.7, 1.2}


def test_length_does_not_decide():
    answers = [answer(READING), answer(LONG), answer(READING.replace("小説", "推理小説の新作") + "お茶も用意して。")]
    assert texts(chosen_pairs(PROMPT, answers, ChoiceRule())) == [{answers[0].text, answers[2].text}]
    by_words = ChoiceRule(criteria=("likeness",))
    assert LONG in texts(chosen_pairs(PROMPT, answers, by_words))[0]


def test_an_answer_with_a_fault_that_is_allowed_is_taken_where_there_is_no_other():
    cut = answer(MUSEUM, "b", ended=False)
    rule = ChoiceRule(allowed_faults=("cut",))
    assert texts(chosen_pairs(PROMPT, [answer(READING), answer(COOKING), cut], rule)) == [{READING, COOKING}]
    assert texts(chosen_pairs(PROMPT, [answer(READING), cut], rule)) == [{READING, MUSEUM}]
    assert texts(chosen_pairs(PROMPT, [answer(READING), cut], ChoiceRule())) == []


def test_further_pairs_show_other_answers_first():
    answers = [answer(text) for text in (READING, COOKING, MUSEUM, LONG[:36])]
    choice = chosen_pairs(PROMPT, answers, ChoiceRule(pairs_per_prompt=2))
    assert len(set.union(*texts(choice))) == 4
    assert len(chosen_pairs(PROMPT, answers, ChoiceRule(pairs_per_prompt=99)).pairs) == 6


SENTENCES = [READING, COOKING, MUSEUM, LONG, READING + COOKING, "", "はい。" * 50, "はい", READING[:-3]]
ANSWERS = st.lists(
    st.builds(answer, st.sampled_from(SENTENCES), st.sampled_from("ab"), st.sampled_from([0.5, 1.0]), st.booleans()),
    max_size=7,
)


@settings(max_examples=60, deadline=None)
@given(ANSWERS, st.integers(1, 4), st.permutations(CRITERIA), st.sampled_from([(), ("cut",), ("repetitive", "cut")]))
def test_every_answer_is_accounted_for_and_the_choice_is_the_same_again(answers, wanted, criteria, allowed):
    rule = ChoiceRule(wanted, 0.8, 0.5, tuple(criteria), allowed)
    choice = chosen_pairs(PROMPT, answers, rule)
    assert len(choice.usable) + len(choice.dropped) == len(answers)
    assert choice == chosen_pairs(PROMPT, answers, rule)
    possible = len(list(itertools.combinations(choice.usable, 2)))
    assert len(choice.pairs) == min(wanted, possible)
    assert len({pair.id for pair in choice.pairs}) == len(choice.pairs)
    for pair in choice.pairs:
        assert not say_the_same(pair.first.text, pair.second.text, 0.8)
        assert pair.provenance["similarity"] == round(similarity(pair.first.text, pair.second.text), 3)


def test_which_answer_comes_first_is_chance():
    firsts = []
    for number in range(60):
        prompt = Dialogue([{"role": "user", "content": f"雨の日に{number}時間あります。"}])
        [pair] = chosen_pairs(prompt, [answer(READING), answer(COOKING, "b")], ChoiceRule()).pairs
        firsts.append(pair.first.provenance["model"])
    assert 15 < firsts.count("a") < 45
