"""Rules that tell text from debris: each is a measure of a text with the bounds within which it is kept.

A rule set is a mapping of measure names to bounds, one set for each domain, written in YAML:

    ja:
      characters: {min: 100}
      hiragana_share: {min: 0.1}
      repeated_line_characters: {max: 0.2}

`judge` says for one text what every measure gives and which bound it breaks; a text is rejected for the first broken
one, so that each rejected document carries one reason. Bounds are data and measures are functions: a new rule is a
function here and a line there.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..errors import InputError
from .profile import (
    BULLETS,
    DIGIT,
    HIRAGANA,
    KANJI,
    KATAKANA,
    LATIN,
    LETTER,
    SENTENCE_ENDS,
    STOP,
    SYMBOL,
    TextProfile,
)

URL = re.compile(r"(?:https?|ftp)://[!-~]+|www\.[!-~]+")
ELLIPSIS_ENDS = ("…", "‥", "...", "・・・", "。。")
SHORT_LINE = 15  # characters: a Japanese menu entry, not a sentence
WORD = re.compile(r"\w+")
# Words that nearly every English sentence of some length contains (Gopher's stop word rule, Rae et al. 2021).
ENGLISH_STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}

Measure = Callable[[TextProfile], float]
MEASURES: dict[str, Measure] = {}


def measure(function: Measure) -> Measure:
    """Makes a function known to rule sets under its name; its docstring is what `--explain` prints."""
    MEASURES[function.__name__] = function
    return function


@measure
def characters(text: TextProfile) -> float:
    """Characters that are not white space."""
    return text.visible


@measure
def hiragana_share(text: TextProfile) -> float:
    """Share of hiragana; running Japanese has a third to a half, word lists and headlines next to none."""
    return text.share(HIRAGANA)


@measure
def katakana_share(text: TextProfile) -> float:
    """Share of katakana; product lists and keyword spam have a lot."""
    return text.share(KATAKANA)


@measure
def kanji_share(text: TextProfile) -> float:
    """Share of kanji; address lists and Chinese text have a lot."""
    return text.share(KANJI)


@measure
def japanese_share(text: TextProfile) -> float:
    """Share of kana, kanji and Japanese stops."""
    return text.share(HIRAGANA, KATAKANA, KANJI, STOP)


@measure
def letter_share(text: TextProfile) -> float:
    """Share of letters of any script."""
    return text.share(HIRAGANA, KATAKANA, KANJI, LATIN, LETTER)


@measure
def symbol_share(text: TextProfile) -> float:
    """Share of signs other than stops, commas, question and exclamation marks."""
    return text.share(SYMBOL)


@measure
def digit_share(text: TextProfile) -> float:
    """Share of digits."""
    return text.share(DIGIT)


@measure
def url_share(text: TextProfile) -> float:
    """Share of characters that stand in URLs."""
    return sum(map(len, URL.findall(text.text))) / text.visible if text.visible else 0.0


@measure
def stop_share(text: TextProfile) -> float:
    """Share of stops and commas; text without any is no prose."""
    return text.share(STOP)


@measure
def open_line_share(text: TextProfile) -> float:
    """Share of lines that end without a stop or closing sign."""
    return text.line_share(lambda line: line[-1] not in SENTENCE_ENDS)


@measure
def short_line_share(text: TextProfile) -> float:
    """Share of lines of fewer than 15 characters."""
    return float((text.line_lengths < SHORT_LINE).mean()) if len(text.line_lengths) else 0.0


@measure
def bullet_line_share(text: TextProfile) -> float:
    """Share of lines that begin with a bullet (Gopher)."""
    return text.line_share(lambda line: line[0] in BULLETS)


@measure
def ellipsis_line_share(text: TextProfile) -> float:
    """Share of lines that end in an ellipsis, as cut-off previews do (Gopher)."""
    return text.line_share(lambda line: line.endswith(ELLIPSIS_ENDS))


@measure
def repeated_line_characters(text: TextProfile) -> float:
    """Share of characters in lines that occurred before (Gopher)."""
    return text.repeated_line_characters


@measure
def repeated_paragraph_characters(text: TextProfile) -> float:
    """Share of characters in paragraphs that occurred before (Gopher)."""
    return text.repeated_paragraph_characters


@measure
def repeated_10grams(text: TextProfile) -> float:
    """Share of characters covered by 10-grams of characters that occurred before (Gopher, on characters)."""
    return text.repeated_ngrams(10)


@measure
def english_stop_words(text: TextProfile) -> float:
    """Number of different English stop words out of eight (Gopher)."""
    return len(ENGLISH_STOP_WORDS.intersection(WORD.findall(text.text.lower())))


@measure
def mean_word_length(text: TextProfile) -> float:
    """Mean length of words in characters (Gopher); for languages with spaces."""
    words = WORD.findall(text.text)
    return sum(map(len, words)) / len(words) if words else 0.0


@measure
def longest_line(text: TextProfile) -> float:
    """Characters of the longest line; minified code and embedded data have very long ones."""
    return float(text.line_lengths.max()) if len(text.line_lengths) else 0.0


@dataclass(frozen=True)
class Verdict:
    """What one rule says of one text.

    Attributes:
        name: the measure.
        value: what it gives.
        minimum, maximum: the bounds, either of which may be None.
    """

    name: str
    value: float
    minimum: float | None
    maximum: float | None

    @property
    def passed(self) -> bool:
        above = self.minimum is None or self.value >= self.minimum
        return above and (self.maximum is None or self.value <= self.maximum)

    def __str__(self) -> str:
        if self.minimum is not None and self.value < self.minimum:
            return f"{self.name} {self.value:.3g} is below {self.minimum:g}"
        if self.maximum is not None and self.value > self.maximum:
            return f"{self.name} {self.value:.3g} is above {self.maximum:g}"
        return f"{self.name} {self.value:.3g}"


def load_rule_sets(path: str | os.PathLike | None = None) -> dict[str, "RuleSet"]:
    """The rule set of each domain, from a YAML file or, without one, the project's own.

    Raises:
        InputError: the file cannot be read, or a rule set in it is bad; the message names the file and the domain.
    """
    path = Path(path) if path else Path(__file__).parent / "rule_sets.yaml"
    try:
        domains = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read rules from {path}: {' '.join(str(error).split())}") from None
    if not isinstance(domains, dict) or not all(isinstance(bounds, dict) for bounds in domains.values()):
        raise InputError(f"{path} must hold a mapping of rules for each domain")
    return {domain: RuleSet(bounds, f"{path}: {domain}") for domain, bounds in domains.items()}


class RuleSet:
    """The rules of one domain, in the order in which they are asked.

    Args:
        bounds: measure name to `{min: ..., max: ...}`.
        where: what error messages call the place the bounds come from.

    Raises:
        InputError: an unknown measure or key, or a bound that is not a number.
    """

    def __init__(self, bounds: dict[str, dict[str, float]], where: str = "rules"):
        self.bounds: list[tuple[str, Measure, float | None, float | None]] = []
        for name, bound in bounds.items():
            if name not in MEASURES:
                raise InputError(f"{where}: unknown rule {name!r}; known are {', '.join(sorted(MEASURES))}")
            if not isinstance(bound, dict) or not bound or set(bound) - {"min", "max"}:
                raise InputError(f"{where}: {name} takes min and max, not {bound!r}")
            for value in bound.values():
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise InputError(f"{where}: {name}: {value!r} is not a number")
            self.bounds.append((name, MEASURES[name], bound.get("min"), bound.get("max")))

    def first_broken(self, text: str) -> Verdict | None:
        """The first rule that the text breaks, or None where it is kept."""
        profile = TextProfile(text)
        for name, function, minimum, maximum in self.bounds:
            verdict = Verdict(name, function(profile), minimum, maximum)
            if not verdict.passed:
                return verdict
        return None

    def judge(self, text: str) -> list[Verdict]:
        """What every rule says of the text, in order."""
        profile = TextProfile(text)
        return [Verdict(name, function(profile), low, high) for name, function, low, high in self.bounds]
