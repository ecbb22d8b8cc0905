"""Planted checks hold an answer against a spoiled copy of itself, and lie evenly among the pairs."""

import random

from nec13b.candidates.check_pairs import KINDS, planted_checks, with_checks
from nec13b.candidates.pair_choice import ChoiceRule, chosen_pairs
from nec13b.dialogues.dialogue import Dialogue
from nec13b.preferences.answer_pair import CandidateAnswer

KANA = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわ"
THINGS = ("自転車", "味噌汁", "望遠鏡", "折り紙", "水族館", "弁当箱", "図書館", "夜行列車", "絵葉書")


def choices_of(things=THINGS):
    choices = []
    for thing in things:
        prompt = Dialogue([{"role": "user", "content": f"{thing}について教えてください。"}], id=thing, language="ja")
        chance = random.Random(thing)
        text = "".join(f"{thing}は{''.join(chance.choices(KANA, k=18))}。" for _ in range(4))
        choices.append(chosen_pairs(prompt, [CandidateAnswer(text, {"ended": True})], ChoiceRule()))
    return choices


def test_each_kind_of_check_is_worse_than_what_it_was_made_of():
    checks = planted_checks(choices_of(), 6, 13)
    assert [check.provenance["check"]["kind"] for check in checks] == [*KINDS, *KINDS]
    assert len({check.id for check in checks}) == len({check.prompt[0]["content"] for check in checks}) == 6
    for check in checks:
        kind, good, spoiled = check.provenance["check"]["kind"], check.first.text, check.second.text
        assert check.provenance["check"]["better"] == "first"
        assert good != spoiled
        if kind == "cut":
            assert good.startswith(spoiled)
            assert len(spoiled) < len(good) / 2
        if kind == "shuffled":
            assert sorted(good) == sorted(spoiled)
        if kind == "other_prompt":
            assert check.provenance["prompt"] not in spoiled


def test_checks_are_the_same_again_and_fewer_where_there_is_little_to_spoil():
    assert planted_checks(choices_of(), 5, 13) == planted_checks(choices_of(), 5, 13)
    assert planted_checks(choices_of(), 5, 13) != planted_checks(choices_of(), 5, 14)
    assert len(planted_checks(choices_of(), 50, 13)) == len(THINGS)
    short = chosen_pairs(Dialogue([{"role": "user", "content": "やあ"}]), [CandidateAnswer("やあ")], ChoiceRule())
    assert planted_checks([short], 3, 13) == []
    # One prompt has no other whose answer could be taken.
    kinds = [check.provenance["check"]["kind"] for check in planted_checks(choices_of(THINGS[:1]), 3, 13)]
    assert kinds == ["cut"]


def test_the_coolest_answers_are_taken():
    prompt = Dialogue([{"role": "user", "content": "自転車とは。"}], id="p", language="ja")
    answers = [CandidateAnswer(choice.usable[0].text, {"ended": True, "temperature": temperature})
               for choice, temperature in zip(choices_of(), (1.0, 0.3, 0.7))]  # fmt: skip
    [check] = planted_checks([chosen_pairs(prompt, answers, ChoiceRule())], 3, 13)
    assert check.first.provenance["temperature"] == 0.3


def test_checks_are_spread_over_the_pairs():
    checks = planted_checks(choices_of(), 4, 13)
    pairs = list(range(40))
    mixed = with_checks(pairs, checks)
    assert [each for each in mixed if isinstance(each, int)] == pairs
    places = [place for place, each in enumerate(mixed) if not isinstance(each, int)]
    assert places == [5, 16, 27, 38]
    assert with_checks([], checks) == checks
