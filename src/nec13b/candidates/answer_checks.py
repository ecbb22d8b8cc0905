"""What is wrong with an answer before any person reads it, and how like another one it is."""

import re
import unicodedata

import numpy as np

from ..augmentation.item_checks import is_repetitive, repeats
from ..corpus.near_duplicates import shingles_of
from ..dialogues.dialogue import Message
from ..dialogues.leaked_marks import leaked_mark
from ..dialogues.near_duplicate_index import letters_of

FAULTS = ("empty", "cut", "repeats_prompt", "repetitive", "special_tokens")
SHINGLE, FEWEST_SHINGLES = 3, 8
NUMBER = re.compile(r"\d+")
REPEATED_CHARACTERS = 15  # a shorter prompt may well be how its answer begins


def answer_fault(text: str, ended: bool, prompt: list[Message]) -> str:
    """The first of FAULTS that an answer has, or nothing. What it says is for people to judge.

    Args:
        text: of the answer.
        ended: whether it came to its end.
        prompt: what it answers.
    """
    if not text.strip():
        return "empty"
    if not ended:
        return "cut"
    if leaked_mark(text):
        return "special_tokens"
    question = " ".join(prompt[-1]["content"].split())
    begins = len(question) >= REPEATED_CHARACTERS and " ".join(text.split()).startswith(question)
    if begins or any(repeats(text, message["content"]) for message in prompt if message["role"] != "system"):
        return "repeats_prompt"
    return "repetitive" if is_repetitive(text) else ""


def similarity(one: str, other: str) -> float:
    """How much of the words of two texts is the same, 0 to 1: Jaccard similarity of their character 3-grams.

    Texts too short for that are compared by single characters.
    """
    if letters_of(one) == letters_of(other):
        return 1.0
    length = SHINGLE if min(len(shingles_of(text, SHINGLE)) for text in (one, other)) >= FEWEST_SHINGLES else 1
    a, b = shingles_of(one, length), shingles_of(other, length)
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / max(1, len(a) + len(b) - shared)


def say_the_same(one: str, other: str, near_identical: float) -> bool:
    """Whether nobody could prefer one to the other: nearly the same words, and the same numbers.

    Args:
        one, other: the texts.
        near_identical: similarity from which on they are.
    """
    return similarity(one, other) >= near_identical and _numbers(one) == _numbers(other)


def length_ratio(one: str, other: str) -> float:
    """The length of the shorter text over that of the longer one, in characters, 0 to 1."""
    shorter, longer = sorted((len(one), len(other)))
    return shorter / longer if longer else 1.0


def _numbers(text: str) -> list[str]:
    return NUMBER.findall(unicodedata.normalize("NFKC", text))
