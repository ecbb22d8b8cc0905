"""Rules by which an answer is right, and the cut to the longest right answer."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.jglue.scores import character_f1, cut_to_longest, normalised_jp, scores_of_answer

RIGHT = ["小笠原諸島", "小笠原諸島を除く日本", "小笠原諸島"]


def scores(answer, right=RIGHT):
    return scores_of_answer({"answers": right}, [answer])


@pytest.mark.parametrize(
    ("answer", "exact", "line", "first"),
    [
        ("小笠原諸島", 1, 1, 1),
        (" 小笠原諸島\n\n### 指示:", 1, 1, 1),
        ("小笠原諸島を除く日本", 1, 1, 0),
        ("小笠原 諸島", 0, 1, 0),  # neologdn removes spaces between Japanese characters
        ("小笠原諸島です", 0, 0, 0),
        ("", 0, 0, 0),
        ("\n小笠原諸島", 0, 0, 0),
    ],
)
def test_the_rules_on_one_answer(answer, exact, line, first):
    found = scores(answer)
    assert (found["exact_match"], found["exact_match_jp_line"], found["exact_match_first"]) == (exact, line, first)


def test_widths_and_emoji():
    assert scores("２００６年", ["2006年"])["exact_match"] == 1
    assert scores("２００６年", ["2006年"])["exact_match_first"] == 0
    assert scores("2006年🎉", ["2006年"])["exact_match_jp_line"] == 1
    assert scores("2006年🎉", ["2006年"])["exact_match"] == 0
    assert normalised_jp("ﾊﾝｶｸ　〜 スーーパー  A") == "ハンカクスーパーA"


def test_f1_is_of_characters_and_takes_the_best():
    assert character_f1("東京都", "東京") == pytest.approx(2 * 2 / 5)
    assert character_f1("京東", "東京") == 1
    assert character_f1("大阪", "東京") == 0
    assert character_f1("", "") == 1
    assert scores("小笠原諸島を除く")["f1"] == pytest.approx(2 * 8 / 18)


@given(st.text(), st.text())
def test_f1_is_symmetric_and_a_share(one, other):
    value = character_f1(one, other)
    assert 0 <= value <= 1
    assert value == character_f1(other, one)


@given(st.text(max_size=30), st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=3))
def test_scores_are_shares_and_consistent(answer, right):
    found = scores(answer, right)
    assert all(0 <= value <= 1 for value in found.values())
    assert found["exact_match"] >= found["exact_match_first"]


class Letters:
    """A tokenizer of one token a character, which puts a space before a text as LLaMA's does."""

    def encode(self, text, add_special_tokens=True):
        return [ord(c) for c in " " + text]

    def decode(self, ids, skip_special_tokens=False):
        return "".join(map(chr, ids)).removeprefix(" ")


@pytest.mark.parametrize(("answer", "cut"), [("abcdefgh", "abcde"), ("abcd", "abcd"), ("abcde", "abcde"), ("", "")])
def test_an_answer_is_cut_to_the_tokens_of_the_longest_right_one(answer, cut):
    # The right answer has five tokens with the space before it; five are generated, none of them that space.
    assert cut_to_longest(answer, ["ab", "wxyz"], Letters(), "### 応答:\n") == cut


def test_an_answer_that_goes_on_is_right_after_the_cut(tokenizer):
    ids = tokenizer.tokenizer
    right = ["東海地方"]
    assert cut_to_longest("東海地方" + "で好まれる" * 5, right, ids, "### 応答:\n").startswith("東海地方")
    assert cut_to_longest("東海地方", right, ids) == "東海地方"


@given(st.text(string.ascii_letters + "東京都大阪府、。 1", max_size=40), st.text("東京都大阪", min_size=1, max_size=9))
def test_a_cut_is_a_beginning(tokenizer, answer, right):
    cut = cut_to_longest(answer, [right], tokenizer.tokenizer)
    assert answer.startswith(cut.rstrip("\ufffd"))
    if answer == right:
        assert cut == answer
