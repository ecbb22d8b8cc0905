"""Judgements make a preference by the rule that the module states, and nothing else does."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.preferences.adjudication import (
    WAITING,
    AdjudicationRule,
    Undecided,
    adjudicated,
    last_of_each_annotator,
    preference_of_pair,
)
from nec13b.preferences.answer_pair import AnswerPair, CandidateAnswer
from nec13b.preferences.judgement import VERDICTS, Judgement
from nec13b.preferences.preference import Preference

PAIR = AnswerPair(
    "p", [{"role": "user", "content": "海は？"}], CandidateAnswer("青い。", {"model": "m"}), CandidateAnswer("赤い。"),
    source="s", language="ja", licence="MIT", provenance={"distance": 0.4},
)  # fmt: skip
SHORT = {"A": "first_better", "a": "first_slightly_better", "=": "tie", "b": "second_slightly_better",
         "B": "second_better", "x": "both_bad", "-": "skipped"}  # fmt: skip


def judgements(verdicts: str, **more) -> list[Judgement]:
    return [Judgement("p", f"annotator {n}", SHORT[v], **more) for n, v in enumerate(verdicts)]


def outcome(verdicts: str, **rule) -> str:
    """`青` or `赤` with its strength, or the reason why neither."""
    result = preference_of_pair(PAIR, judgements(verdicts), AdjudicationRule(**rule))
    if isinstance(result, Undecided):
        return result.reason
    return result.chosen[0]["content"][0] + " " + result.strength


@pytest.mark.parametrize(
    ("verdicts", "rule", "expected"),
    [
        ("", {}, "too few judges"),
        ("-", {}, "too few judges"),
        ("A", {"min_judges": 2}, "too few judges"),
        ("A-", {"min_judges": 2}, "too few judges"),
        ("A", {}, "青 clear"),
        ("a", {}, "青 slight"),
        ("B", {}, "赤 clear"),
        ("=", {}, "tie"),
        ("x", {}, "both bad"),
        ("AA", {}, "青 clear"),
        ("Aa", {}, "青 clear"),
        ("aa", {}, "青 slight"),
        ("AB", {}, "conflict"),
        ("A=", {}, "conflict"),  # half is no majority
        ("x=", {}, "conflict"),
        ("AA=", {}, "青 slight"),
        ("AAx", {}, "青 slight"),
        ("AxA-", {}, "青 slight"),
        ("A==", {}, "tie"),
        ("xxA", {}, "both bad"),
        ("aaB", {}, "conflict"),  # two lean one way, one strongly the other
        ("AaB", {}, "conflict"),
        ("AaB", {"min_margin": 0.3}, "青 slight"),
        ("bBB", {}, "赤 clear"),
        ("ABAB-", {}, "conflict"),
        ("AAA=", {"clear_margin": 2}, "青 slight"),
    ],
)
def test_the_rule(verdicts, rule, expected):
    assert outcome(verdicts, **rule) == expected


def test_the_last_word_of_each_annotator_counts():
    said = [Judgement("p", "a", "first_better"), Judgement("p", "b", "tie"), Judgement("p", "a", "second_better")]
    assert [(each.annotator, each.verdict) for each in last_of_each_annotator(said)] == [
        ("b", "tie"), ("a", "second_better"),
    ]  # fmt: skip
    # Who takes a verdict back by skipping the pair has not judged it.
    said = [Judgement("p", "a", "first_better"), Judgement("p", "a", "skipped")]
    assert preference_of_pair(PAIR, said, AdjudicationRule()).reason == "too few judges"


def test_the_answer_that_was_mended_last_by_one_who_prefers_it_is_chosen():
    said = [
        Judgement("p", "a", "first_better", edited="青いです。", time="2026-01-01T10:00:00Z"),
        Judgement("p", "b", "first_better", edited="とても青い。", time="2026-01-02T10:00:00Z"),
        Judgement("p", "c", "first_better", edited="青い。", time="2026-01-03T10:00:00Z"),  # as it was
        Judgement("p", "d", "second_better", edited="真っ赤。", time="2026-01-04T10:00:00Z"),
    ]
    made = preference_of_pair(PAIR, said, AdjudicationRule())
    assert (made.chosen[0]["content"], made.rejected[0]["content"]) == ("とても青い。", "赤い。")
    assert made.provenance["edited_by"] == "b"
    as_it_was = preference_of_pair(PAIR, said, AdjudicationRule(use_edits=False))
    assert as_it_was.chosen[0]["content"] == "青い。"
    without_times = [dataclasses.replace(each, time="") for each in said]
    assert preference_of_pair(PAIR, without_times, AdjudicationRule()).provenance["edited_by"] == "b"


def test_what_is_known_of_the_pair_goes_along():
    said = judgements("AA=", reasons=("wrong",))
    made = preference_of_pair(PAIR, said, AdjudicationRule())
    assert (made.id, made.source, made.language, made.licence) == ("p", "s", "ja", "MIT")
    assert made.provenance == {
        "distance": 0.4, "chosen": {"model": "m"}, "judges": 3, "agreement": 0.6667, "mean_score": 1.3333,
        "reasons": ["wrong"],
    }  # fmt: skip


def test_every_pair_has_an_outcome_and_judgements_of_others_are_told():
    other = dataclasses.replace(PAIR, id="q")
    made = adjudicated([PAIR, other], [*judgements("AB"), Judgement("r", "a", "tie")], AdjudicationRule())
    assert made.preferences == []
    assert [(each.pair, each.reason) for each in made.undecided] == [
        ("p", "conflict"), ("q", "too few judges"), ("r", "unknown pair"),
    ]  # fmt: skip
    assert made.undecided[0].detail == "1 × first_better, 1 × second_better"
    assert made.unresolved == ["p", "q"]


@pytest.mark.parametrize("values", [{"min_judges": 0}, {"min_margin": -1}, {"clear_margin": 2.1}])
def test_rules_that_make_no_sense(values):
    with pytest.raises(InputError, match=next(iter(values))):
        AdjudicationRule(**values).check_adjudication_rule()


RULES = st.builds(AdjudicationRule, st.integers(1, 3), st.floats(0, 2), st.floats(0, 2), st.booleans())
SAID = st.lists(
    st.builds(
        Judgement, st.just("p"), st.sampled_from("abcd"), st.sampled_from(VERDICTS),
        edited=st.sampled_from(["", "直した。"]),
    ), max_size=6,
)  # fmt: skip
MIRROR = {"A": "B", "a": "b", "=": "=", "b": "a", "B": "A", "x": "x", "-": "-"}
OPPOSITE = {SHORT[one]: SHORT[other] for one, other in MIRROR.items()}


@settings(max_examples=100, deadline=None)
@given(SAID, RULES)
def test_which_answer_stands_first_does_not_matter(said, rule):
    turned = dataclasses.replace(PAIR, first=PAIR.second, second=PAIR.first)
    other = [dataclasses.replace(each, verdict=OPPOSITE[each.verdict]) for each in said]
    one, two = preference_of_pair(PAIR, said, rule), preference_of_pair(turned, other, rule)
    if isinstance(one, Undecided):
        assert (one.pair, one.reason) == (two.pair, two.reason)
    else:
        assert one == two


@settings(max_examples=100, deadline=None)
@given(SAID, RULES)
def test_a_preference_has_a_majority_behind_it_and_one_more_such_vote_keeps_it(said, rule):
    made = preference_of_pair(PAIR, said, rule)
    counted = [each for each in last_of_each_annotator(said) if each.verdict != "skipped"]
    if isinstance(made, Undecided):
        assert (made.reason == "too few judges") == (len(counted) < rule.min_judges)
        assert made.reason in (*WAITING, "tie", "both bad")
        return
    assert isinstance(made, Preference)
    sign = -1 if made.rejected[0]["content"] == PAIR.second.text else 1
    assert sum((each.score or 0) * sign > 0 for each in counted) > len(counted) / 2
    assert len(counted) == made.provenance["judges"] >= rule.min_judges
    more = [*said, Judgement("p", "another", "first_better" if sign < 0 else "second_better")]
    again = preference_of_pair(PAIR, more, rule)
    assert again.rejected == made.rejected
