"""What the rules look at, measured once for a text: its characters by class, its lines, its repetitions.

A rule that walked over the text by itself would cost as much as all of them together here: a text becomes an array of
code points, a table gives the class of each, and lines and repetitions are read off those arrays.
"""

import unicodedata
from functools import cached_property

import numpy as np

CLASSES = ("space", "newline", "digit", "hiragana", "katakana", "kanji", "latin", "letter", "stop", "symbol")
SPACE, NEWLINE, DIGIT, HIRAGANA, KATAKANA, KANJI, LATIN, LETTER, STOP, SYMBOL = range(len(CLASSES))
# Signs that end a sentence or close it.
SENTENCE_ENDS = "。．.!?！？…‥」』）)】〉》”\"'’♪☆♡:：;；"
BULLETS = "・●○■□◆◇★☆※-*•‣►▶→➡－–—"


def _class_of(code: int) -> int:
    character = chr(code)
    if character == "\n":
        return NEWLINE
    if 0x3041 <= code <= 0x309F:
        return HIRAGANA
    if 0x30A1 <= code <= 0x30FF or 0x31F0 <= code <= 0x31FF or 0xFF66 <= code <= 0xFF9F:
        return SYMBOL if character == "・" else KATAKANA
    if 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or character in "々〆〇":
        return KANJI
    category = unicodedata.category(character)
    if character.isspace():
        return SPACE
    if category == "Nd":
        return DIGIT
    if category[0] == "L" or category[0] == "M":
        return LATIN if code < 0x250 or 0xFF21 <= code <= 0xFF5A else LETTER
    return STOP if character in "。、．，.,!?！？" else SYMBOL


_TABLE: np.ndarray | None = None


def _class_table() -> np.ndarray:
    """The class of every code point of the basic plane; those beyond are kanji (planes 2 and 3) or symbols."""
    global _TABLE
    if _TABLE is None:
        _TABLE = np.fromiter((_class_of(code) for code in range(0x10000)), np.uint8, 0x10000)
    return _TABLE


class TextProfile:
    """Measures of one text; each is computed when a rule first asks for it."""

    def __init__(self, text: str):
        self.text = text

    @cached_property
    def codes(self) -> np.ndarray:
        """Code points, uint32, shape (characters,)."""
        return np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), np.uint32)

    @cached_property
    def classes(self) -> np.ndarray:
        """Index into CLASSES of every character, uint8, shape (characters,)."""
        codes = self.codes
        classes = _class_table()[np.minimum(codes, 0xFFFF)]
        beyond = codes > 0xFFFF
        if beyond.any():
            classes[beyond] = np.where((codes[beyond] >= 0x20000) & (codes[beyond] < 0x40000), KANJI, SYMBOL)
        return classes

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of characters of each class, shape (len(CLASSES),)."""
        return np.bincount(self.classes, minlength=len(CLASSES))

    @cached_property
    def visible(self) -> int:
        """Characters that are not white space."""
        return len(self.text) - int(self.counts[SPACE] + self.counts[NEWLINE])

    def share(self, *classes: int) -> float:
        """Share of the visible characters that is of these classes, 0 to 1; 0 for an empty text."""
        return float(sum(self.counts[index] for index in classes)) / self.visible if self.visible else 0.0

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not empty, without the space around them."""
        return [stripped for line in self.text.split("\n") if (stripped := line.strip())]

    @cached_property
    def line_lengths(self) -> np.ndarray:
        """Characters of each of `lines`."""
        return np.fromiter(map(len, self.lines), np.int64, len(self.lines))

    def line_share(self, condition) -> float:
        """Share of lines for which `condition(line)` holds, 0 to 1."""
        return sum(map(condition, self.lines)) / len(self.lines) if self.lines else 0.0

    @cached_property
    def repeated_line_characters(self) -> float:
        """Share of characters that stand in lines which occurred before (Gopher)."""
        return _repeated_share(self.lines)

    @cached_property
    def repeated_paragraph_characters(self) -> float:
        """The same for paragraphs, which empty lines part."""
        return _repeated_share([part for part in self.text.split("\n\n") if part.strip()])

    def repeated_ngrams(self, n: int) -> float:
        """Share of the visible characters that are covered by n-grams of characters which occurred before.

        Characters instead of words, since Japanese has no spaces; 10 characters are about the 5 words of Gopher's rule.
        """
        codes = self.codes[self.classes > NEWLINE]
        if len(codes) < 2 * n:
            return 0.0
        # A rolling polynomial hash modulo 2^64: equal n-grams have equal sums.
        powers = np.cumprod(np.full(n, 0x9E3779B97F4A7C15, np.uint64), dtype=np.uint64)
        hashes = np.zeros(len(codes) - n + 1, np.uint64)
        wide = codes.astype(np.uint64)
        for offset in range(n):
            hashes += wide[offset : offset + len(hashes)] * powers[offset]
        _, first = np.unique(hashes, return_index=True)
        again = np.ones(len(hashes), bool)
        again[first] = False
        covered = np.zeros(len(codes) + 1, np.int64)
        np.add.at(covered, np.flatnonzero(again), 1)
        np.add.at(covered, np.flatnonzero(again) + n, -1)
        return float((np.cumsum(covered[:-1]) > 0).mean())


def _repeated_share(parts: list[str]) -> float:
    seen: set[str] = set()
    repeated = total = 0
    for part in parts:
        total += len(part)
        if part in seen:
            repeated += len(part)
        seen.add(part)
    return repeated / total if total else 0.0
