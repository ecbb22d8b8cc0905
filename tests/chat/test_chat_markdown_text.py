"""What is written is shown as it is written: no HTML, no pictures, code as code."""

import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nec13b.chat.markdown_text import harmless, literal

RENDERER = MarkdownIt("commonmark", {"html": True, "breaks": True})  # obeys all that it is given
MARKS = st.text(alphabet="a <>&`*_#-+.!|~[]()\\\n\t1=:/あ\"'", max_size=60)


def tags_of(html: str) -> set[str]:
    return set(re.findall(r"</?([a-zA-Z!][^\s/>]*)", html))


@given(MARKS | st.text(max_size=60))
def test_what_a_person_wrote_is_plain_text(text):
    html = RENDERER.render(literal(text))
    assert tags_of(html) <= {"p", "br"}


def test_what_a_person_wrote_reads_as_it_was_written():
    for text in (
        "1. *a* _b_ `c` <b>d</b> &lt; &amp;",
        "# no heading",
        "> no quote",
        "- no list",
        "a\n\n\nb",
        "![x](y)",
    ):
        html = RENDERER.render(literal(text)).strip().removeprefix("<p>").removesuffix("</p>").replace("<br />", "")
        shown = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
        assert shown.replace("\u00a0", "") == text


def test_an_indented_line_keeps_its_indent():
    assert "\u00a0" * 4 + "return" in RENDERER.render(literal("def f():\n    return"))
    assert "\u00a0" * 4 + "return" in RENDERER.render(literal("def f():\n\treturn"))


@given(MARKS | st.text(max_size=60))
def test_what_a_model_wrote_holds_neither_html_nor_pictures(text):
    dangerous = text + "\n\n<script>alert(1)</script> ![p](http://example.com/p.png) <img src=x onerror=alert(1)>"
    for source in (text, dangerous):
        html = RENDERER.render(harmless(source))
        # A mark of code that was never closed may shift what counts as code, but scripts and pictures stay text.
        assert not tags_of(html) & {"script", "img", "iframe", "svg", "style", "object", "link", "meta"}


def test_what_a_model_wrote_keeps_its_form():
    text = "# Title\n\n- **one**\n- `a < b`\n\n```python\nif a < b & c:\n    print('![x]')\n```\n\nx < y & z"
    html = RENDERER.render(harmless(text))
    assert "<h1>Title</h1>" in html
    assert "<li><strong>one</strong></li>" in html.replace("<li>\n<p>", "<li>").replace("</p>\n</li>", "</li>")
    assert "<code>a &lt; b</code>" in html
    assert "if a &lt; b &amp; c:\n    print('![x]')" in html
    assert "<p>x &lt; y &amp; z</p>" in html
