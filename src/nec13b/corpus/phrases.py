"""Word lists: which of many thousand phrases occur in a text, found in one pass whatever their number.

A list is a text file of one phrase a line (`#` begins a comment); its category is a name such as `adult`. The project's
own lists lie in `phrases/`, one file for each category and language, and are small: they show the way and catch the
plainest cases. Users add their own (`word_lists: {adult: [my_words.txt]}`).
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import ahocorasick_rs

from ..errors import InputError

OWN_LISTS = Path(__file__).parent / "phrases"
# A table of all states is fastest, but takes about 1 kB a byte of the lists; above this, a compact one is used.
TABLE_CHARACTERS = 30_000


class PhraseLists:
    """Phrases by category, ready for searching.

    A phrase in katakana counts only where no katakana stands next to it, and one in Latin letters only as a whole word:
    サド is not in パサドール, nor "ass" in "class". Letters of either case match.

    Args:
        phrases: the phrases of each category.
    """

    def __init__(self, phrases: Mapping[str, Iterable[str]]):
        self.names = sorted(phrases)
        self.categories: dict[str, set[str]] = {}
        for category, members in phrases.items():
            for phrase in members:
                self.categories.setdefault(phrase.lower(), set()).add(category)
        self._texts = sorted(self.categories)
        self._automaton = None

    def __getstate__(self) -> dict:  # the automaton is built anew in another process
        return {**self.__dict__, "_automaton": None}

    def __deepcopy__(self, memo) -> "PhraseLists":
        return self  # nothing in it changes

    def find(self, text: str) -> dict[str, list[tuple[int, int]]]:
        """(start, end) of every phrase in the text, by category; of those that overlap the first and longest."""
        if not self._texts:
            return {}
        if self._automaton is None:
            kinds = ahocorasick_rs.Implementation
            small = sum(map(len, self._texts)) <= TABLE_CHARACTERS
            self._automaton = ahocorasick_rs.AhoCorasick(
                self._texts,
                matchkind=ahocorasick_rs.MatchKind.Standard,
                implementation=kinds.DFA if small else kinds.ContiguousNFA,
            )
        lower = lower_case(text)
        found: dict[str, list[tuple[int, int]]] = {}
        for index, start, end in self._automaton.find_matches_as_indexes(lower, overlapping=True):
            if _stands_alone(lower, start, end):
                for category in self.categories[self._texts[index]]:
                    found.setdefault(category, []).append((start, end))
        return {category: _apart(spans) for category, spans in found.items()}


def _apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Of overlapping spans the first and longest."""
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not apart or start >= apart[-1][1]:
            apart.append((start, end))
    return apart


def lower_case(text: str) -> str:
    """The text in lower case, or the text itself where that would shift its characters (İ becomes two)."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether the phrase is a word by itself, not cut out of a longer one of the same script."""
    return not (
        (start > 0 and _joins(text[start - 1], text[start])) or (end < len(text) and _joins(text[end - 1], text[end]))
    )


def _joins(left: str, right: str) -> bool:
    if "\u30a1" <= left <= "\u30fe":
        return "\u30a1" <= right <= "\u30fe" and left != "・" and right != "・"
    return left.isascii() and right.isascii() and left.isalnum() and right.isalnum()


def read_phrases(path: str | os.PathLike) -> list[str]:
    """The phrases of a word list.

    Raises:
        InputError: the file cannot be read as UTF-8 text.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the word list {path}: {error}") from None
    return [phrase for line in lines if (phrase := line.partition("#")[0].strip())]


def own_phrases() -> dict[str, list[str]]:
    """The project's own lists, all languages of a category together."""
    phrases: dict[str, list[str]] = {}
    for path in sorted(OWN_LISTS.glob("*.txt")):
        phrases.setdefault(path.name.split(".")[0], []).extend(read_phrases(path))
    return phrases


def load_phrase_lists(added: Mapping[str, str | list[str]] | None = None, own: bool = True) -> PhraseLists:
    """The lists to search with.

    Args:
        added: files of the user's by category, one path or several.
        own: whether the project's lists are among them.

    Raises:
        InputError: a list cannot be read.
    """
    phrases = own_phrases() if own else {}
    for category, paths in (added or {}).items():
        for path in [paths] if isinstance(paths, str) else paths:
            phrases.setdefault(category, []).extend(read_phrases(path))
    return PhraseLists(phrases)
