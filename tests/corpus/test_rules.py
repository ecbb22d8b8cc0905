"""Measures are what their names say, bounds keep and reject, and bad rule sets are named."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus.profile import CLASSES, TextProfile
from nec13b.corpus.rules import MEASURES, RuleSet, load_rule_sets
from nec13b.errors import InputError

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)
JAPANESE = st.text(alphabet="あいうアイウー・漢字々𠮷abcＡ１2。、…!\n \u3000", max_size=120)


@given(st.one_of(TEXT, JAPANESE))
def test_every_measure_takes_every_text(text):
    profile = TextProfile(text)
    assert sum(profile.counts) == len(text)
    for name, function in MEASURES.items():
        value = function(profile)
        assert np.isfinite(value), name
        assert value >= 0, name
        if name.endswith("_share") and name != "url_share":
            assert value <= 1, name


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("あゞゟ", "hiragana"), ("アヴーヿ", "katakana"), ("ｱﾊﾟ", "katakana"), ("漢々〆〇𠮷神", "kanji"),
        ("azÀＺ", "latin"), ("яΩ한", "letter"), ("09٣９", "digit"), ("。、！?", "stop"), ("・「】㈱→😀", "symbol"),
        (" \t\u3000\u00a0", "space"), ("\n\n", "newline"),
    ],
)  # fmt: skip
def test_classes_of_characters(text, kind):
    assert {CLASSES[index] for index in TextProfile(text).classes} == {kind}


def test_shares_by_hand():
    profile = TextProfile("今日は、\nコーヒー2杯。http://a.jp")
    visible = 22
    assert profile.visible == visible
    for name, count in {
        "hiragana_share": 1,
        "katakana_share": 4,
        "kanji_share": 3,
        "digit_share": 1,
        "url_share": 11,
    }.items():
        assert MEASURES[name](profile) == pytest.approx(count / visible), name


def test_measures_of_lines_by_hand():
    profile = TextProfile("・林檎\n・みかん\n\nきょうは雨だったので、家で本を読んでいた。\nつづきを読む…\n・林檎\n")
    assert MEASURES["bullet_line_share"](profile) == pytest.approx(3 / 5)
    assert MEASURES["ellipsis_line_share"](profile) == pytest.approx(1 / 5)
    assert MEASURES["open_line_share"](profile) == pytest.approx(3 / 5)
    assert MEASURES["short_line_share"](profile) == pytest.approx(4 / 5)
    lines = ["・林檎", "・みかん", "きょうは雨だったので、家で本を読んでいた。", "つづきを読む…", "・林檎"]
    assert MEASURES["repeated_line_characters"](profile) == pytest.approx(3 / sum(map(len, lines)))


@settings(max_examples=150)
@given(st.text(alphabet="あいう", max_size=80), st.integers(1, 6))
def test_repeated_ngrams_against_plain_counting(text, n):
    covered, seen = set(), set()
    if len(text) >= 2 * n:
        for i in range(len(text) - n + 1):
            if text[i : i + n] in seen:
                covered.update(range(i, i + n))
            seen.add(text[i : i + n])
    expected = len(covered) / len(text) if text else 0.0
    assert TextProfile(text).repeated_ngrams(n) == pytest.approx(expected)


def test_a_rule_set_keeps_rejects_and_says_why():
    rules = RuleSet({"characters": {"min": 5}, "hiragana_share": {"min": 0.2}, "digit_share": {"min": 0, "max": 0.5}})
    assert rules.first_broken("これは本です。") is None
    assert str(rules.first_broken("本")) == "characters 1 is below 5"
    assert str(rules.first_broken("株式会社山田")) == "hiragana_share 0 is below 0.2"
    assert str(rules.first_broken("あい12345")) == "digit_share 0.714 is above 0.5"
    verdicts = rules.judge("本")
    assert [(verdict.name, verdict.passed) for verdict in verdicts] == [
        ("characters", False), ("hiragana_share", False), ("digit_share", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"hiragana": {"min": 1}}, "unknown rule 'hiragana'; known are"),
        ({"characters": {"minimum": 1}}, "characters takes min and max"),
        ({"characters": {}}, "characters takes min and max"),
        ({"characters": 5}, "characters takes min and max"),
        ({"characters": {"min": "many"}}, "'many' is not a number"),
    ],
)
def test_bad_rule_sets_are_named(bounds, said):
    with pytest.raises(InputError, match=said):
        RuleSet(bounds, "rules.yaml: ja")


def test_every_measure_says_what_it_is():
    assert all(function.__doc__ and function.__doc__.endswith(".") for function in MEASURES.values())


def test_the_sample_is_japanese_by_measure(sample):
    for document in sample:
        if document.domain == "ja":
            profile = TextProfile(document.text)
            assert MEASURES["hiragana_share"](profile) > 0.2, document.source
            assert MEASURES["japanese_share"](profile) > 0.7, document.source
            assert MEASURES["repeated_10grams"](profile) < 0.2, document.source


def test_rule_set_files_that_cannot_be_used_are_named(tmp_path):
    path = tmp_path / "rules.yaml"
    for content, said in [
        ("ja: {hiragana: {min: 1}}", "rules.yaml: ja: unknown rule 'hiragana'"),
        ("- ja", "must hold a mapping"),
        ("ja: 3", "must hold a mapping"),
        ("ja: [", "cannot read rules"),
    ]:
        path.write_text(content)
        with pytest.raises(InputError, match=said):
            load_rule_sets(path)
    with pytest.raises(InputError, match="cannot read rules from"):
        load_rule_sets(tmp_path / "nowhere.yaml")


def test_the_projects_rules_keep_the_sample(sample):
    rule_sets = load_rule_sets()
    for domain, least in {"ja": 1.0, "en": 0.85, "code": 0.97}.items():
        texts = [document.text for document in sample if document.domain == domain][::3]
        kept = sum(rule_sets[domain].first_broken(text) is None for text in texts) / len(texts)
        assert kept >= least, domain


def test_the_projects_rules_on_real_text(data):
    """They keep clean text and reject lists; what is written like prose but dirty is the classifier's part."""
    rules = load_rule_sets()["ja"]

    def texts(name, **wanted):
        with gzip.open(data / name, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return [row["text"] for row in rows if all(row.get(key) == value for key, value in wanted.items())]

    def kept(some):
        return sum(rules.first_broken(text) is None for text in some) / len(some)

    for name in ("ja_books_short", "ja_wiki_kyoto", "ja_docs"):
        assert kept(texts(f"corpus_sample/{name}.jsonl.gz")[::5]) >= 0.95, name
    assert kept(texts("noisy_sample/ja_noisy.jsonl.gz", kind="keyword_list")) <= 0.05
