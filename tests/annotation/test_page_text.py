"""What a page shows of a text: every character, and none of them obeyed."""

import re
from html import unescape

from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.annotation.page_text import marked


def test_html_is_text():
    assert marked("<b>&amp;</b>") == "&lt;b&gt;&amp;amp;&lt;/b&gt;"


def test_what_does_not_show_is_labelled():
    assert marked("a\u202eb") == 'a<span class="mark">RLO</span>b'
    assert marked("\u200b\U000e0041\x07") == "".join(
        f'<span class="mark">{name}</span>' for name in ("ZWSP", "U+E0041", "U+0007")
    )


def test_what_belongs_to_a_script_stays():
    for text in ("ぱ\u3099 が゙ 髙﨑", "👩\u200d👩\u200d👧", "می\u200cخواهم", "tab\tand\nline", "１２３　全角"):
        assert marked(text) == text


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_nothing_is_lost_and_nothing_acts(text):
    shown = marked(text)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\x00]", shown)
    assert re.sub("<[^>]*>", "", shown).count("<") == 0
    without_labels = re.sub('<span class="mark">[^<]*</span>', "", shown)
    kept = iter(text)
    assert all(character in kept for character in unescape(str(without_labels)))  # in order
