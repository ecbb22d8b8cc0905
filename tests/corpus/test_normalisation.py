"""One spelling for each thing, and nothing lost that a reader would miss."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus.normalisation import normalise

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
DENSE = st.text(alphabet="か\u3099\u309aﾊﾟﾞｶ。！!wWｗー…―\u3000 \n\r\t\u200b\ufeff\x00\u2028\x85ＡＺ９\ufa19神\u0301e~〜")


@settings(max_examples=500, deadline=None)
@given(st.one_of(TEXT, DENSE))
def test_a_second_time_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("ＮＥＣの１３Ｂ", "NECの13B"),
        ("ｺﾝﾋﾟｭｰﾀとｶﾞｽ", "コンピュータとガス"),
        ("か\u3099き\u3099", "がぎ"),
        ("神\ufa19と塚\ufa10", "神\ufa19と塚\ufa10"),  # the glyph of a name is kept
        ("㈱①10²½℃", "㈱①10²½℃"),
        ("待って！？、（はい）", "待って！？、（はい）"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("x\ufeff\u200by\x00z", "xyz"),
        ("家族👨‍👩‍👧と葛\U000e0100", "家族👨‍👩‍👧と葛\U000e0100"),
        ("一段\u3000 \n\n\n\n二段", "一段\n\n二段"),
        ("すごい！！！！！！wwwwwww", "すごい！！！www"),
        ("そう…………………", "そう……"),
        ("文------------文", "文---文"),
        ("------------", "------------"),  # a rule in Markdown
        ("###### 見出し\n======", "###### 見出し\n======"),
        ("    x = 1", "    x = 1"),
        ("\u3000字下げの段落", "\u3000字下げの段落"),
    ],
)
def test_what_is_changed_and_what_is_not(text, normal):
    assert normalise(text) == normal


@given(TEXT)
def test_letters_are_never_lost(text):
    """Every letter that goes in comes out, up to the forms that the module says it unifies."""

    def letters(s):
        return [c for c in unicodedata.normalize("NFKC", s) if c.isalpha() and c not in "wー草笑"]

    assert letters(normalise(text)) == letters(text)


def test_a_page_of_spaces_does_not_take_for_ever():
    """The end of a line was once looked for from every space of it."""
    assert normalise("一行" + " " * 300_000 + "目") == "一行" + " " * 300_000 + "目"
    assert normalise("一行" + " \u3000" * 300_000 + "\n二行") == "一行\n二行"
