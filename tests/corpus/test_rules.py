"""Measures are what their names say, bounds keep and reject, and bad rule sets are named."""

import gzip
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus.measures import MEASURES, spans_of_measure
from nec13b.corpus.phrases import PhraseLists, load_phrase_lists
from nec13b.corpus.profile import CLASSES, STRETCH, TextProfile, hashes_of_ngrams
from nec13b.corpus.rules import RuleSet, load_rule_sets
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
def test_ngrams_against_plain_counting(text, n):
    grams = [text[i : i + n] for i in range(len(text) - n + 1)]
    enough = len(text) >= 2 * n
    profile = TextProfile(text)
    assert profile.repeated_ngrams(n) == pytest.approx(1 - len(set(grams)) / len(grams) if enough else 0)
    assert profile.top_ngram(n) == pytest.approx(max(map(grams.count, grams)) / len(grams) if enough else 0)


@given(st.text(min_size=1, max_size=60), st.integers(1, 20))
def test_equal_ngrams_have_equal_hashes_and_others_do_not(text, n):
    codes = np.array([ord(character) for character in text], np.uint64)
    if len(codes) >= n:
        hashes = hashes_of_ngrams(codes, n)
        grams = [text[i : i + n] for i in range(len(text) - n + 1)]
        assert len(hashes) == len(grams)
        assert len({(int(h), g) for h, g in zip(hashes, grams)}) == len(set(grams)) == len(set(map(int, hashes)))


def test_a_long_text_is_not_taken_for_repetition():
    """Common turns of phrase recur in every long text; they are looked for within stretches of bounded length."""
    rng = np.random.default_rng(0)
    letters = np.array(list("あいうえおかきくけこ"))
    short, long = ("".join(rng.choice(letters, size)) for size in (STRETCH, 20 * STRETCH))
    assert TextProfile(long).repeated_ngrams(4) == pytest.approx(TextProfile(short).repeated_ngrams(4), abs=0.02)


@given(st.one_of(TEXT, JAPANESE))
def test_the_longest_run_against_plain_counting(text):
    longest = max((len(match[0]) for match in re.finditer(r"(.)\1*", text, re.DOTALL) if not match[0][0].isspace()),
                  default=0)  # fmt: skip
    assert TextProfile(text).longest_run == longest


@given(st.one_of(TEXT, JAPANESE))
def test_spans_lie_in_the_text_in_order(text):
    lists = PhraseLists({"adult": ["あい", "ア"]})
    for name in [*MEASURES, "adult_word_share"]:
        spans = spans_of_measure(name, TextProfile(text, lists))
        assert all(0 <= start < end <= len(text) for start, end in spans), name
        assert all(spans[i][1] <= spans[i + 1][0] for i in range(len(spans) - 1)), name


def test_spans_are_what_the_measure_counts():
    text = "・林檎\nhttps://a.jp/x を見よ。\n・林檎\nつづきは…\n" + "同じ長い言い回しがある。" * 2

    def cut(name):
        return [text[start:end] for start, end in spans_of_measure(name, TextProfile(text))]

    assert cut("url_share") == ["https://a.jp/x"]
    assert cut("bullet_line_share") == ["・林檎", "・林檎"]
    assert cut("repeated_line_characters") == ["・林檎"]
    assert cut("ellipsis_line_share") == ["つづきは…"]
    assert cut("repeated_10grams") == ["同じ長い言い回しがある。"]


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
        ({"hiragana": {"min": 1}}, r"rules.yaml: ja: unknown rule 'hiragana'; did you mean hiragana_share\?"),
        ({"gambling_word_share": {"max": 1}}, "unknown rule 'gambling_word_share'"),
        ({"xyzzy": {"min": 1}}, "unknown rule 'xyzzy'; known are adult_word_share, advertisement"),
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


def test_a_users_word_list_makes_a_rule(tmp_path):
    words = tmp_path / "gambling.txt"
    words.write_text("# a comment\nルーレット\n\nまるもうけ # another\n")
    lists = load_phrase_lists({"gambling": str(words), "adult": [str(words)]})
    rules = RuleSet({"gambling_word_share": {"max": 0.1}}, phrases=lists)
    text = "ルーレットでまるもうけ。"
    assert str(rules.first_broken(text)) == "gambling_word_share 0.833 is above 0.1"
    assert rules.spans("gambling_word_share", text) == [(0, 5), (6, 11)]
    assert rules.first_broken("ルーレット台の歴史について調べた。" * 3 + "あ" * 100) is None
    assert RuleSet({"adult_word_share": {"max": 0.1}}, phrases=lists).first_broken(text) is not None
    with pytest.raises(InputError, match="cannot read the word list"):
        load_phrase_lists({"gambling": str(tmp_path / "nowhere.txt")})


def test_the_sample_is_japanese_by_measure(sample):
    for document in sample:
        if document.domain == "ja":
            profile = TextProfile(document.text)
            assert MEASURES["hiragana_share"](profile) > 0.2, document.id
            assert MEASURES["japanese_share"](profile) > 0.7, document.id
            assert MEASURES["repeated_10grams"](profile) < 0.2, document.id


def test_rule_set_files_that_cannot_be_used_are_named(tmp_path):
    path = tmp_path / "rules.yaml"
    for content, said in [
        ("ja: {hiragana: {min: 1}}", "rules.yaml: ja: unknown rule 'hiragana'"),
        ("- ja", "must hold key: value pairs, not a list"),
        ("ja: 3", "must hold a mapping"),
        ("ja: [", "is not valid YAML"),
    ]:
        path.write_text(content)
        with pytest.raises(InputError, match=said):
            load_rule_sets(path)
    with pytest.raises(InputError, match="cannot read the rules"):
        load_rule_sets(tmp_path / "nowhere.yaml")


def test_the_projects_rules_keep_the_sample(sample):
    rule_sets = load_rule_sets()
    for domain, least in {"ja": 1.0, "en": 0.9, "code": 0.97}.items():
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
