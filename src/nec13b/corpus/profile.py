"""What the rules look at, measured once for a text: its characters by class, its lines, its phrases, its repetitions.

A rule that walked over the text by itself would cost as much as all of them together here: a text becomes an array of
code points, a table gives the class of each, and lines and repetitions are read off those arrays.
"""

import re
import unicodedata
from functools import cached_property

import numpy as np

from .phrases import PhraseLists

CLASSES = ("space", "newline", "digit", "hiragana", "katakana", "kanji", "latin", "letter", "stop", "symbol")
SPACE, NEWLINE, DIGIT, HIRAGANA, KATAKANA, KANJI, LATIN, LETTER, STOP, SYMBOL = range(len(CLASSES))
# Signs that end a sentence or close it.
SENTENCE_ENDS = "。．.!?！？…‥」』）)】〉》”\"'’♪☆♡:：;；"
BULLETS = "・●○■□◆◇★☆※-*•‣►▶→➡－–—"
SENTENCE = re.compile(r"[^。．！？!?\n]+[。．！？!?」』）]*")
WORD = re.compile(r"\w+")
# Repetitions are counted within stretches of this many characters: in a whole novel, every common turn of phrase
# recurs.
STRETCH = 20_000
MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that no character is lost modulo 2^64; the golden ratio's digits


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
    """Measures of one text; each is computed when a rule first asks for it.

    Args:
        text: the text.
        phrases: the word lists to look for; None finds nothing.
    """

    def __init__(self, text: str, phrases: PhraseLists | None = None):
        self.text = text
        self.phrases = phrases

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
    def sentence_lengths(self) -> np.ndarray:
        """Characters of each sentence; a line end ends a sentence too."""
        return np.fromiter(map(len, SENTENCE.findall(self.text)), np.int64)

    @cached_property
    def words(self) -> list[str]:
        """Runs of letters and digits, in lower case; words, in languages that write spaces."""
        return WORD.findall(self.text.lower())

    @cached_property
    def phrase_spans(self) -> dict[str, list[tuple[int, int]]]:
        """(start, end) of every phrase of the word lists that occurs in the text, by category."""
        return self.phrases.find(self.text) if self.phrases else {}

    def phrase_share(self, category: str) -> float:
        """Share of the visible characters that stand in phrases of a category, 0 to 1."""
        spans = self.phrase_spans.get(category)
        return sum(end - start for start, end in spans) / self.visible if spans else 0.0

    @cached_property
    def repeated_line_characters(self) -> float:
        """Share of characters that stand in lines which occurred before (Gopher)."""
        return _repeated_share(self.lines)

    @cached_property
    def repeated_paragraph_characters(self) -> float:
        """The same for paragraphs, which empty lines part."""
        return _repeated_share([part for part in self.text.split("\n\n") if part.strip()])

    @cached_property
    def longest_run(self) -> int:
        """Length of the longest run of one visible character."""
        codes = self.codes
        as_before = np.flatnonzero((codes[1:] == codes[:-1]) & (self.classes[1:] > NEWLINE))  # few, in honest text
        if not len(as_before):
            return min(1, self.visible)
        ends = np.append(np.flatnonzero(np.diff(as_before) != 1), len(as_before) - 1)
        return int(np.diff(ends, prepend=-1).max()) + 1

    def repeated_ngrams(self, n: int) -> float:
        """Share of the n-grams of visible characters that occurred before, within stretches of 20,000 characters.

        Characters instead of words, since Japanese has no spaces; 10 characters are about the 5 words of Gopher's rule.
        """
        repeated = total = 0
        for hashes in self._ngrams(n):
            hashes.sort()
            repeated += int((hashes[1:] == hashes[:-1]).sum())
            total += len(hashes)
        return repeated / total if total else 0.0

    def top_ngram(self, n: int) -> float:
        """Share of the commonest n-gram of visible characters among all, in its stretch of 20,000 characters."""
        top = 0.0
        for hashes in self._ngrams(n):
            hashes.sort()
            ends = np.append(np.flatnonzero(hashes[1:] != hashes[:-1]), len(hashes) - 1)
            top = max(top, int(np.diff(ends, prepend=-1).max()) / len(hashes))
        return top

    @cached_property
    def _visible_codes(self) -> np.ndarray:
        return self.codes[self.classes > NEWLINE]

    def _ngrams(self, n: int):
        """Hashes of the n-grams of each stretch; stretches of fewer than 2n characters say nothing.

        32 bits are sorted twice as fast as 64; that two n-grams of a stretch share a hash happens in one stretch of 20.
        """
        codes = self._visible_codes
        for start in range(0, len(codes), STRETCH):
            stretch = codes[start : start + STRETCH]
            if len(stretch) >= 2 * n:
                yield hashes_of_ngrams(stretch, n)


def hashes_of_ngrams(codes: np.ndarray, n: int) -> np.ndarray:
    """A hash of every n-gram: a polynomial of its characters modulo 2^32 or 2^64, so equal n-grams have equal hashes.

    Args:
        codes: code points, uint32 or uint64, shape (characters,), at least n of them.
        n: length of the n-grams, at least 1.

    Returns:
        Of the type of `codes`, shape (characters - n + 1,).
    """
    # By doubling: the hash of 2k characters is made of those of its two halves, so n costs log n passes.
    number, modulus = codes.dtype.type, 1 << 8 * codes.dtype.itemsize
    power, power_length = codes, 1
    hashes, length = None, 0
    while True:
        if n & power_length:
            if hashes is None:
                hashes, length = power, power_length
            else:
                factor = number(pow(MULTIPLIER, length, modulus))
                later = hashes[power_length:]
                hashes, length = later + power[: len(later)] * factor, length + power_length
        if 2 * power_length > n:
            return hashes.copy() if hashes is codes else hashes
        factor = number(pow(MULTIPLIER, power_length, modulus))
        later = power[power_length:]
        power, power_length = later + power[: len(later)] * factor, 2 * power_length


def _repeated_share(parts: list[str]) -> float:
    seen: set[str] = set()
    repeated = total = 0
    for part in parts:
        total += len(part)
        if part in seen:
            repeated += len(part)
        seen.add(part)
    return repeated / total if total else 0.0
