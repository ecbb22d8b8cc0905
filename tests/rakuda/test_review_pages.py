"""The pages show what was said, and run nothing of it."""

import html
import re

from nec13b.rakuda.matches import Match
from nec13b.rakuda.rakuda_config import ReportSettings
from nec13b.rakuda.report import write_report
from nec13b.rakuda.win_rate_figure import shown_name

SCRIPT = "<script>alert('１')</script>"


def test_texts_of_models_and_judges_are_escaped_and_complete(tmp_path):
    names = (f"a{SCRIPT}", "{{ 7 * 7 }}")
    matches = [
        Match("q1", *names, "first", f"{SCRIPT}\n\n1", f"問い{SCRIPT}", f"答え{SCRIPT}", "\x00", {"judge": SCRIPT}),
        Match("q1", names[1], names[0], "first", "2ではなく1", f"問い{SCRIPT}", "\x00", f"答え{SCRIPT}"),
        Match("q2", *names, "unreadable", "わかりません。"),
    ]  # fmt: skip
    results, files = write_report(tmp_path, matches, ReportSettings(resamples=100, labels={}), {"q2": "社会"})
    assert files[-1] == tmp_path / "rakuda.html"
    pages = [path.read_text() for path in (tmp_path / "rakuda.html", *sorted((tmp_path / "questions").iterdir()))]
    assert len(pages) == 3
    for page in pages:
        assert "<script" not in page
        assert "src=" not in page.replace('src="data:image/png', "")
    first = pages[2]  # the questions that are named come first
    assert html.escape(f"答え{SCRIPT}").replace("&#x27;", "&#39;") in first
    assert "changed by a swap" in first
    assert "no readable verdict" in pages[1]
    assert "\x00" not in first
    assert set(re.findall(r"questions/\d+\.html", pages[0])) == {"questions/001.html", "questions/002.html"}
    assert results["verdicts"] == {"first": 2, "second": 0, "tie": 0, "unreadable": 1}


def test_a_second_report_leaves_no_page_of_the_first(tmp_path):
    settings = ReportSettings(resamples=100, labels={})
    write_report(tmp_path, [Match(f"q{i}", "a", "b", "first") for i in range(4)], settings, {})
    write_report(tmp_path, [Match("q0", "a", "b", "tie")], settings, {})
    assert [path.name for path in (tmp_path / "questions").iterdir()] == ["001.html"]


def test_long_names_keep_their_end():
    assert shown_name("owner/" + "x" * 60 + "-v2", 1, True).endswith("x-v2")
    assert shown_name("猫" * 60, 3, True).startswith("…")
    assert shown_name("猫", 3, False) == "model 3"
    assert shown_name("a$b", 1, True) == r"a\$b"
