"""Each check objects to what it is for, says on which side, and can be left out."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.preferences.preference import Preference
from nec13b.preferences.preference_checks import PreferenceChecks, contradicted
from nec13b.preferences.preference_settings import CHECKS, PreferenceSettings

STORY = (
    "山の上に小さな家があり、そこには年老いた画家が一匹の犬と住んでいました。毎朝、画家は窓を開けて湖を眺め、"
    "パンを焼き、それから日が傾くまで同じ一枚の絵に向かいました。"
)
FRENCH = "Le petit chat dort sur le canapé pendant que la pluie tombe doucement sur les toits de la vieille ville."
U, A = ["U 問い"], ["A 答え"]
OBJECTIONS = [
    (["narrator 幕"], A, ["A 別"], "unknown role", "prompt: message 1: 'narrator'", "roles"),
    (U, ["A  "], ["A 別"], "empty turn", "chosen: message 2 (assistant)", "empty_turns"),
    (U, A, ["A \n"], "empty turn", "rejected: message 2 (assistant)", "empty_turns"),
    (["U 一", "U 二"], A, ["A 別"], "wrong order of roles", "prompt: message 2: user after user", "order"),
    (["U 一", "A 二"], A, ["A 別"], "wrong order of roles", "prompt: message 2 (assistant) is the last", "order"),
    (U, ["A 一", "U 二"], ["A 別"], "no answer at the end", "chosen: message 3 (user) is the last", "order"),
    (U, A, ["U 別"], "wrong order of roles", "rejected: message 2: user after user", "order"),
    (U, A, ["A " + "長" * 200], "too long", "rejected: 202 characters, at most 100", "length"),
    (U, ["A 答え<|im_end|>"], ["A 別"], "leaked special token", "chosen: message 2 (assistant): <|im_end|>",
     "special_tokens"),
    (U, ["A " + FRENCH], ["A 別"], "another language", "chosen: fr", "language"),
    (U, A, ["A  答え\n"], "same answers", "chosen and rejected say the same", "same_answers"),
    (U, ["A " + STORY * 2], ["A " + (STORY * 2).replace("一枚", "二枚", 1)], "near-identical answers", "9",
     "near_same_answers"),
]  # fmt: skip


def settings_of(**values) -> PreferenceSettings:
    return PreferenceSettings(**{"max_dialogue_characters": 100_000, **values})


@pytest.mark.parametrize(("prompt", "chosen", "rejected", "reason", "detail", "check"), OBJECTIONS)
def test_what_is_objected_to(messages_of, prompt, chosen, rejected, reason, detail, check):
    preference = Preference(*(messages_of(*lines) for lines in (prompt, chosen, rejected)), id="a:1")
    bound = {"length": {"max_dialogue_characters": 100}, "near_same_answers": {"near_same_similarity": 0.9}}.get(
        check, {}
    )
    _, objection = PreferenceChecks(settings_of(**bound))(preference)
    assert objection.reason == reason
    assert objection.detail.startswith(detail)
    _, objection = PreferenceChecks(settings_of(skip_checks=[check], **bound))(preference)
    assert objection is None or objection.reason != reason


def test_with_all_checks_left_out_everything_with_messages_passes(messages_of):
    checks = PreferenceChecks(settings_of(skip_checks=list(CHECKS), personal_data="keep", max_dialogue_characters=1))
    for *sides, _, _, _ in OBJECTIONS:
        preference = Preference(*(messages_of(*lines) for lines in sides))
        assert checks(preference) == (preference, None)
    assert checks(Preference(messages_of(*U), [], messages_of(*A)))[1].detail == "chosen"


def test_the_rejected_answer_may_be_in_another_language(preference_of):
    preference = preference_of("問い", STORY, FRENCH)
    assert PreferenceChecks(settings_of())(preference) == (preference, None)
    earlier = Preference([*preference.prompt, {"role": "assistant", "content": FRENCH}, *preference.prompt],
                         preference.chosen, preference.rejected)  # fmt: skip
    assert PreferenceChecks(settings_of())(earlier) == (earlier, None)  # nor is what was said before judged


def test_short_answers_that_differ_in_a_letter_are_no_copies(preference_of):
    assert PreferenceChecks(settings_of())(preference_of("1+1は？", "2", "3"))[1] is None


def test_duplicates_and_near_duplicates_name_the_first(preference_of):
    checks = PreferenceChecks(settings_of())
    assert checks(preference_of("話して", STORY, "いやです。", id="a:1"))[1] is None
    _, objection = checks(preference_of("話して ", STORY + "\n", "いやです。", id="a:2"))
    assert (objection.reason, objection.detail) == ("duplicate", "says the same as a:1")
    _, objection = checks(preference_of("話してよ", STORY, "いやです。", id="a:3"))
    assert objection.reason == "near duplicate"
    assert objection.detail.endswith("like a:1")


def test_further_answers_to_one_prompt_are_no_near_duplicates(preference_of):
    """A short answer changes little in all the words of a pair, yet it is another comparison."""
    checks = PreferenceChecks(settings_of())
    assert checks(preference_of("話して", STORY, "いやです。", id="a:1"))[1] is None
    assert checks(preference_of("話して", STORY, "猫がいた。", id="a:2"))[1] is None


def test_the_opposite_of_an_earlier_preference_waits_for_the_end(preference_of):
    checks = PreferenceChecks(settings_of())
    one, other = preference_of("話して", STORY, FRENCH, id="a:1"), preference_of("話して", STORY[::-1], STORY, id="a:2")
    opposite = preference_of("話して", STORY, STORY[::-1], id="a:3")
    assert [checks(p)[1] for p in (one, other, opposite)] == [None, None, None]
    assert contradicted([one, other, opposite]) == {1: "a:3", 2: "a:2"}


def test_personal_data_is_masked_set_aside_or_kept(preference_of):
    preference = preference_of("連絡先は 03-1234-5678 ？", "はい。", "taro@nec13b.co.jp です。", id="a:1")
    checks = PreferenceChecks(settings_of())
    masked, objection = checks(preference)
    assert objection is None
    assert (masked.prompt[0]["content"], masked.rejected[0]["content"]) == ("連絡先は [PHONE] ？", "[EMAIL] です。")
    assert (masked.id, dict(checks.masked)) == ("a:1", {"phone": 1, "mail": 1})
    _, objection = PreferenceChecks(settings_of(personal_data="set_aside"))(preference)
    assert (objection.reason, objection.detail) == ("personal data", "prompt: message 1 (user): phone")
    assert PreferenceChecks(settings_of(personal_data="keep"))(preference) == (preference, None)
    # Answers that differ in what is masked alone are the same.
    alike = preference_of("番号は？", "03-1234-5678", "03-8765-4321")
    assert PreferenceChecks(settings_of())(alike)[1].reason == "same answers"


class CharactersAsTokens:
    """Counts a token for each character of the rendered conversation, and two for each message."""

    def apply_chat_template(self, messages, tokenize, return_dict):
        return [0] * sum(len(message["content"]) + 2 for message in messages)


def test_tokens_are_counted_where_there_is_a_tokenizer(preference_of):
    preference = preference_of("問い", "答え", "別の答え")
    assert PreferenceChecks(settings_of(max_dialogue_tokens=10), CharactersAsTokens())(preference)[1] is None
    _, objection = PreferenceChecks(settings_of(max_dialogue_tokens=9), CharactersAsTokens())(preference)
    assert (objection.reason, objection.detail) == ("too long", "rejected: 10 tokens, at most 9")


VERDICTS = st.lists(st.tuples(st.sampled_from("pq"), st.sampled_from(["ab", "ba", "ac", "ca", "bc"])), max_size=8)


@settings(max_examples=60, deadline=None)
@given(VERDICTS, st.randoms(use_true_random=False))
def test_what_contradicts_is_told_in_any_order(preference_of, verdicts, chance: random.Random):
    said = [preference_of(prompt, *pair, id=f"{prompt}{pair}") for prompt, pair in verdicts]
    expected = {(prompt, pair) for prompt, pair in verdicts if (prompt, pair[::-1]) in verdicts}
    found = contradicted(said)
    assert {verdicts[number] for number in found} == expected
    assert all(verdicts[number] == (name[0], name[1:][::-1]) for number, name in found.items())
    shuffled = list(said)
    chance.shuffle(shuffled)
    assert {shuffled[number].id for number in contradicted(shuffled)} == {said[number].id for number in found}
