"""Phrases are found where they stand alone, boilerplate lines go, and prose that only mentions their words stays."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.corpus.boilerplate import boilerplate_spans, cut_spans
from nec13b.corpus.phrases import PhraseLists, load_phrase_lists, own_phrases

OWN = load_phrase_lists()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("サドは作家だ", ["サド"]), ("パサドール", []), ("サド・マゾ", ["サド"]), ("サドル", []),
        ("an ASS here", ["ass"]), ("a class", []), ("assは", ["ass"]), ("ass2", []),
        ("死ねばいい", ["死ね"]), ("𠮷サド𠮷", ["サド"]),
    ],
)  # fmt: skip
def test_where_a_phrase_stands_alone(text, found):
    lists = PhraseLists({"x": ["サド", "ass", "死ね"]})
    assert [text[start:end].lower() for start, end in lists.find(text).get("x", [])] == found


def test_the_longest_of_overlapping_phrases_counts_for_all_its_categories():
    lists = PhraseLists({"a": ["送料", "送料無料"], "b": ["送料無料"]})
    assert lists.find("本日送料無料です") == {"a": [(2, 6)], "b": [(2, 6)]}


@given(
    st.lists(st.text(alphabet="あいうかき", min_size=1, max_size=4), max_size=6),
    st.text(alphabet="あいうかき", max_size=60),
)
def test_phrases_against_plain_search(phrases, text):
    found = PhraseLists({"x": phrases}).find(text).get("x", [])
    assert all(text[start:end] in phrases for start, end in found)
    covered = {i for start, end in found for i in range(start, end)}
    for phrase in phrases:
        for start in range(len(text) - len(phrase) + 1):
            if text.startswith(phrase, start):  # every occurrence is found, or overlaps one that is
                assert covered & set(range(start, start + len(phrase)))


def test_lists_travel_to_other_processes():
    OWN.find("送料無料")
    for other in (pickle.loads(pickle.dumps(OWN)), copy.deepcopy(OWN)):
        assert other.find("今日は送料無料です") == OWN.find("今日は送料無料です") != {}


def test_the_projects_lists_are_clean():
    for category, phrases in own_phrases().items():
        assert len(phrases) == len(set(phrases)), category
        assert all(phrase == phrase.strip() and len(phrase) > 1 for phrase in phrases), category


@pytest.mark.parametrize(
    "lines",
    [
        ["当サイトではCookieを使用しています。"],
        ["続きを読む »"],
        ["Copyright © 2023 山田商店 All Rights Reserved."],
        ["ホーム > 会社案内", "お問い合わせ"],
        ["HOME", "|", "サイトマップ | プライバシーポリシー"],
        ["We use cookies to improve your experience."],
        ["Home", "About us", "Contact"],
        ["JavaScriptを有効にしてください。"],
    ],
)
def test_boilerplate_lines_go(lines):
    text = "\n".join(["きょうは朝から雨が降っていた。", *lines, "", "それで家で本を読んだ。"])
    left = cut_spans(text, boilerplate_spans(text, OWN))
    assert left == "きょうは朝から雨が降っていた。\n\nそれで家で本を読んだ。"


@pytest.mark.parametrize(
    "text",
    [
        "コメント\n// から行末までがコメントになる。",
        "cgi はクッキーを使用してもいいですが、必要ではありません。",
        "print nil\nprint\np e.next",
        "お問い合わせは窓口までお越しください。\n検索の仕方は次のとおりです。",
        "本文。" * 60 + "続きを読む人は少ない。" + "本文。" * 60,  # a paragraph
        "Read the terms of use before you sign.",
        "",
        "\n\n",
    ],
)
def test_prose_that_mentions_their_words_stays(text):
    assert boilerplate_spans(text, OWN) == []


@given(st.text(alphabet="ホームトップ続きを読む本。\n |", max_size=80))
def test_cutting_takes_whole_lines_only(text):
    spans = boilerplate_spans(text, OWN)
    assert all(start == 0 or text[start - 1] == "\n" for start, _ in spans)
    assert all(end == len(text) or text[end - 1] == "\n" for _, end in spans)
    assert all(spans[i][1] <= spans[i + 1][0] for i in range(len(spans) - 1))
    left = cut_spans(text, spans)
    assert not left or set(left.split("\n")) <= set(text.split("\n"))


def test_lists_that_overlap_each_find_their_own():
    """A phrase within one of another category was once not found."""
    lists = PhraseLists({"a": ["無料", "送料無料"], "b": ["送料", "料無"]})
    assert lists.find("送料無料です") == {"a": [(0, 4)], "b": [(0, 2)]}
