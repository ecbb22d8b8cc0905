"""Verdicts are read where they are written, in any width, and nowhere else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.rakuda.verdicts import BY_DIGIT, UNREADABLE, VERDICTS, swapped, verdict_of

QUICK = settings(max_examples=80, deadline=None)
WITHOUT_DIGITS = st.text(st.characters(exclude_categories=("Nd", "Cs")), max_size=40)


@QUICK
@given(st.text(), WITHOUT_DIGITS, st.sampled_from([1, 2, 3]), st.booleans())
def test_the_last_digit_decides_whatever_stands_around_it(before, after, digit, wide):
    written = "０１２３"[digit] if wide else str(digit)
    assert verdict_of(before + written + after) == BY_DIGIT[digit]


@QUICK
@given(st.text(), WITHOUT_DIGITS, st.sampled_from("0456789０４５６７８９"))
def test_a_last_digit_that_is_no_verdict_leaves_none(before, after, digit):
    assert verdict_of(before + digit + after) == UNREADABLE


@QUICK
@given(WITHOUT_DIGITS)
def test_a_review_without_a_digit_has_no_verdict(review):
    assert verdict_of(review) == UNREADABLE


@QUICK
@given(st.text(), st.sampled_from(["last", "[[A]]", "[[rating_a,rating_b]]"]))
def test_any_text_has_one_of_the_verdicts(review, output_format):
    assert verdict_of(review, output_format) in VERDICTS


@pytest.mark.parametrize(
    ("review", "verdict"),
    [
        ("アシスタント1が優れています。\n\n最後の行の出力: 3", "tie"),
        ("評価: アシスタント2\n", "second"),
        ("どちらも選べないため、３", "tie"),
        ("アシスタント1の回答を選びます。（2023年10月）", UNREADABLE),
        ("アシスタント1が4点です。", UNREADABLE),
    ],
)
def test_reviews_as_judges_write_them(review, verdict):
    assert verdict_of(review) == verdict


@pytest.mark.parametrize(
    ("review", "output_format", "verdict"),
    [
        ("[[B]]かと思いましたが、最終判定：[[A]]", "[[A]]", "first"),
        ("[[C]]", "[[A]]", "tie"),
        ("A が優れています", "[[A]]", UNREADABLE),
        ("評価：[[7, 8.5]]", "[[rating_a,rating_b]]", "second"),
        ("[8,8]", "[[rating_a,rating_b]]", "tie"),
        ("8点と7点", "[[rating_a,rating_b]]", UNREADABLE),
    ],
)
def test_formats_of_the_second_version(review, output_format, verdict):
    assert verdict_of(review, output_format) == verdict


def test_a_format_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="no such format"):
        verdict_of("1", "[[D]]")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_two_swaps_change_nothing(verdict):
    assert swapped(swapped(verdict)) == verdict
