"""The measures that rules put bounds on: one number of one text each, and where in the text it comes from.

Shares are of the visible characters (or lines, or words) and lie between 0 and 1. Where published work has the same
measure, the docstring names it: Gopher is Rae et al. 2021 (arXiv:2112.11446, appendix A.1.1), FineWeb Penedo et al.
2024 (arXiv:2406.17557), Swallow Okazaki et al. 2024 (arXiv:2404.17733), C4 Raffel et al. 2020 (JMLR 21:140),
StarCoder2 Lozhkov et al. 2024 (arXiv:2402.19173).
"""

import re
from collections.abc import Callable, Iterator

import numpy as np

from .profile import (
    BULLETS,
    DIGIT,
    HIRAGANA,
    KANJI,
    KATAKANA,
    LATIN,
    LETTER,
    NEWLINE,
    SENTENCE_ENDS,
    STOP,
    SYMBOL,
    TextProfile,
)

URL = re.compile(r"(?:https?|ftp)://[!-~]+|www\.[!-~]+")
ELLIPSIS_ENDS = ("…", "‥", "...", "・・・", "。。")
SHORT_LINE = 15  # characters: a Japanese menu entry, not a sentence
SHORT_ENGLISH_LINE = 30
HEAD = 1_000  # characters in which a file says what it is
LINE = re.compile(r"[^\n]+")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufffd]")
# Words that nearly every English sentence of some length contains (Gopher).
ENGLISH_STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
LETTERS = re.compile(r"[^\W\d_]")

Measure = Callable[[TextProfile], float]
Spans = Callable[[TextProfile], Iterator[tuple[int, int]]]
MEASURES: dict[str, Measure] = {}
_SPANS: dict[str, Spans] = {}


def measure(function: Measure) -> Measure:
    """Makes a function known to rule sets under its name."""
    MEASURES[function.__name__] = function
    return function


def spans_of(measured: Measure) -> Callable[[Spans], Spans]:
    """Makes a function known as the one that finds what a measure counts."""

    def register(function: Spans) -> Spans:
        _SPANS[measured.__name__] = function
        return function

    return register


def spans_of_measure(name: str, text: TextProfile) -> list[tuple[int, int]]:
    """(start, end) of everything in the text that a measure counts; empty for measures of the text as a whole."""
    if name.endswith(PHRASE_MEASURE):
        return text.phrase_spans.get(name.removesuffix(PHRASE_MEASURE), [])
    return list(_SPANS[name](text)) if name in _SPANS else []


def _lines_where(text: TextProfile, condition) -> Iterator[tuple[int, int]]:
    for match in LINE.finditer(text.text):
        if (line := match[0].strip()) and condition(line):
            yield match.span()


# Length


@measure
def characters(text: TextProfile) -> float:
    """Characters that are not white space."""
    return text.visible


@measure
def words(text: TextProfile) -> float:
    """Words (Gopher); for languages with spaces."""
    return len(text.words)


@measure
def mean_word_length(text: TextProfile) -> float:
    """Mean length of words in characters (Gopher); for languages with spaces."""
    return sum(map(len, text.words)) / len(text.words) if text.words else 0.0


@measure
def mean_sentence_length(text: TextProfile) -> float:
    """Mean length of sentences in characters (Swallow; llm-jp divides all characters by the number of 。 and 、)."""
    return float(text.sentence_lengths.mean()) if len(text.sentence_lengths) else 0.0


@measure
def longest_sentence(text: TextProfile) -> float:
    """Characters of the longest sentence (Swallow)."""
    return float(text.sentence_lengths.max(initial=0))


@measure
def longest_line(text: TextProfile) -> float:
    """Characters of the longest line; minified code and embedded data have very long ones."""
    return float(text.line_lengths.max(initial=0))


@measure
def mean_line_length(text: TextProfile) -> float:
    """Mean length of lines in characters."""
    return float(text.line_lengths.mean()) if len(text.line_lengths) else 0.0


# Scripts and signs


@measure
def hiragana_share(text: TextProfile) -> float:
    """Share of hiragana; running Japanese has a third to a half, word lists and headlines next to none.

    Swallow divides by the Japanese letters, which gives more."""
    return text.share(HIRAGANA)


@measure
def katakana_share(text: TextProfile) -> float:
    """Share of katakana; product lists and keyword spam have a lot. Swallow divides by the Japanese letters."""
    return text.share(KATAKANA)


@measure
def kanji_share(text: TextProfile) -> float:
    """Share of kanji; address lists and Chinese text have a lot."""
    return text.share(KANJI)


@measure
def japanese_share(text: TextProfile) -> float:
    """Share of kana, kanji and Japanese stops (Swallow)."""
    return text.share(HIRAGANA, KATAKANA, KANJI, STOP)


@measure
def letter_share(text: TextProfile) -> float:
    """Share of letters of any script."""
    return text.share(HIRAGANA, KATAKANA, KANJI, LATIN, LETTER)


@measure
def alphanumeric_share(text: TextProfile) -> float:
    """Share of letters and digits of any script (RedPajama's rule for code)."""
    return text.share(HIRAGANA, KATAKANA, KANJI, LATIN, LETTER, DIGIT)


@measure
def symbol_share(text: TextProfile) -> float:
    """Share of signs other than stops, commas, question and exclamation marks."""
    return text.share(SYMBOL)


@measure
def digit_share(text: TextProfile) -> float:
    """Share of digits."""
    return text.share(DIGIT)


@measure
def stop_share(text: TextProfile) -> float:
    """Share of stops and commas; text without any is no prose."""
    return text.share(STOP)


@measure
def url_share(text: TextProfile) -> float:
    """Share of characters that stand in URLs."""
    if "://" not in text.text and "www." not in text.text:  # which is found out many times as fast
        return 0.0
    return sum(map(len, URL.findall(text.text))) / text.visible if text.visible else 0.0


@spans_of(url_share)
def _urls(text: TextProfile) -> Iterator[tuple[int, int]]:
    return (match.span() for match in URL.finditer(text.text))


@measure
def control_characters(text: TextProfile) -> float:
    """Number of control and replacement characters; source code that has any is a binary file or damaged."""
    return len(CONTROL.findall(text.text))


@spans_of(control_characters)
def _controls(text: TextProfile) -> Iterator[tuple[int, int]]:
    return (match.span() for match in CONTROL.finditer(text.text))


# Lines


@measure
def open_line_share(text: TextProfile) -> float:
    """Share of lines that end without a stop or closing sign (FineWeb has the complement)."""
    return text.line_share(lambda line: line[-1] not in SENTENCE_ENDS)


@spans_of(open_line_share)
def _open_lines(text: TextProfile) -> Iterator[tuple[int, int]]:
    return _lines_where(text, lambda line: line[-1] not in SENTENCE_ENDS)


@measure
def short_line_share(text: TextProfile) -> float:
    """Share of lines of fewer than 15 characters."""
    return float((text.line_lengths < SHORT_LINE).mean()) if len(text.line_lengths) else 0.0


@spans_of(short_line_share)
def _short_lines(text: TextProfile) -> Iterator[tuple[int, int]]:
    return _lines_where(text, lambda line: len(line) < SHORT_LINE)


@measure
def short_english_line_share(text: TextProfile) -> float:
    """Share of lines of at most 30 characters (FineWeb)."""
    return float((text.line_lengths <= SHORT_ENGLISH_LINE).mean()) if len(text.line_lengths) else 0.0


@spans_of(short_english_line_share)
def _short_english_lines(text: TextProfile) -> Iterator[tuple[int, int]]:
    return _lines_where(text, lambda line: len(line) <= SHORT_ENGLISH_LINE)


@measure
def bullet_line_share(text: TextProfile) -> float:
    """Share of lines that begin with a bullet (Gopher)."""
    return text.line_share(lambda line: line[0] in BULLETS)


@spans_of(bullet_line_share)
def _bullet_lines(text: TextProfile) -> Iterator[tuple[int, int]]:
    return _lines_where(text, lambda line: line[0] in BULLETS)


@measure
def ellipsis_line_share(text: TextProfile) -> float:
    """Share of lines that end in an ellipsis, as cut-off previews do (Gopher)."""
    return text.line_share(lambda line: line.endswith(ELLIPSIS_ENDS))


@spans_of(ellipsis_line_share)
def _ellipsis_lines(text: TextProfile) -> Iterator[tuple[int, int]]:
    return _lines_where(text, lambda line: line.endswith(ELLIPSIS_ENDS))


# English words


@measure
def english_stop_words(text: TextProfile) -> float:
    """Number of different English stop words out of eight (Gopher)."""
    return len(ENGLISH_STOP_WORDS.intersection(text.words))


@measure
def alphabetic_word_share(text: TextProfile) -> float:
    """Share of words with at least one letter (Gopher)."""
    return sum(map(bool, map(LETTERS.search, text.words))) / len(text.words) if text.words else 0.0


@measure
def symbols_per_word(text: TextProfile) -> float:
    """Hash signs and ellipses for each word, together (Gopher counts each by itself)."""
    signs = text.text.count("#") + text.text.count("…") + text.text.count("...")
    return signs / len(text.words) if text.words else 0.0


@measure
def braces(text: TextProfile) -> float:
    """Number of curly brackets, which prose does not use (C4)."""
    return text.text.count("{") + text.text.count("}")


# Source code


@measure
def generated_remarks(text: TextProfile) -> float:
    """Remarks within the first 1,000 characters that a program wrote this file (StarCoder2 looks at five lines)."""
    return sum(1 for _ in _generated_remarks(text))


@spans_of(generated_remarks)
def _generated_remarks(text: TextProfile) -> Iterator[tuple[int, int]]:
    return (span for span in text.phrase_spans.get("generated", ()) if span[0] < HEAD)


# Repetition


@measure
def repeated_line_characters(text: TextProfile) -> float:
    """Share of characters in lines that occurred before (Gopher)."""
    return text.repeated_line_characters


@spans_of(repeated_line_characters)
def _repeated_lines(text: TextProfile) -> Iterator[tuple[int, int]]:
    seen: set[str] = set()
    for match in LINE.finditer(text.text):
        line = match[0].strip()
        if line and line in seen:
            yield match.span()
        seen.add(line)


@measure
def repeated_paragraph_characters(text: TextProfile) -> float:
    """Share of characters in paragraphs that occurred before (Gopher)."""
    return text.repeated_paragraph_characters


@measure
def longest_run(text: TextProfile) -> float:
    """Length of the longest run of one character."""
    return text.longest_run


@spans_of(longest_run)
def _longest_runs(text: TextProfile) -> Iterator[tuple[int, int]]:
    return (match.span() for match in re.finditer(r"(\S)\1{9,}", text.text))


@measure
def top_2gram_share(text: TextProfile) -> float:
    """Share of the commonest pair of characters among all pairs (Swallow; Gopher counts the characters in it)."""
    return text.top_ngram(2)


@measure
def top_4gram_share(text: TextProfile) -> float:
    """Share of the commonest 4-gram of characters among all (Swallow; Gopher counts the characters in it)."""
    return text.top_ngram(4)


@measure
def repeated_5grams(text: TextProfile) -> float:
    """Share of the 5-grams of characters that occurred before (Gopher, on characters)."""
    return text.repeated_ngrams(5)


@measure
def repeated_10grams(text: TextProfile) -> float:
    """Share of the 10-grams of characters that occurred before (Gopher, on characters)."""
    return text.repeated_ngrams(10)


@spans_of(repeated_10grams)
def _repeated_stretches(text: TextProfile) -> Iterator[tuple[int, int]]:
    """Stretches of at least 10 visible characters that stand earlier in the text as well."""
    visible = np.flatnonzero(text.classes > NEWLINE)
    shown = "".join(text.text[index] for index in visible)
    seen: set[str] = set()
    covered = np.zeros(len(visible), bool)
    for start in range(len(shown) - 9):
        gram = shown[start : start + 10]
        if gram in seen:
            covered[start : start + 10] = True
        seen.add(gram)
    edges = np.flatnonzero(np.diff(covered, prepend=False, append=False))
    for start, end in zip(edges[::2], edges[1::2]):
        yield int(visible[start]), int(visible[end - 1]) + 1


# Phrases of the word lists

PHRASE_MEASURE = "_word_share"


def measure_of_phrases(category: str) -> Measure:
    """The measure `<category>_word_share`: share of characters in phrases of the word lists of that category."""

    def share(text: TextProfile) -> float:
        return text.phrase_share(category)

    return share
