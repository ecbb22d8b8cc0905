"""Planted checks: an answer against a spoiled copy of itself, among the pairs that people compare.

Whoever prefers the spoiled one was not reading, or has drifted; `annotate_preferences.py` counts it. Which is the
better one stands in the pair's provenance, and is never shown.
"""

import hashlib
import random
import re
from collections.abc import Sequence

from ..preferences.answer_pair import AnswerPair, CandidateAnswer
from .answer_checks import length_ratio, similarity
from .pair_choice import Choice

KINDS = ("cut", "shuffled", "other_prompt")
SENTENCE = re.compile(r"[^。！？!?\n]+(?:[。！？!?]+[」』）)]*|\n+|\Z)|[。！？!?\n]+")
FEWEST_CHARACTERS, FEWEST_SENTENCES = 80, 4
CUT_SHARE = 0.4
MOST_OTHERS = 200  # answers to other prompts that are looked through
MOST_ALIKE = 0.5  # a spoiled copy of whole sentences shares most of its 3-grams; another answer may not


def planted_checks(choices: Sequence[Choice], wanted: int, seed: int) -> list[AnswerPair]:
    """So many checks, or fewer where there are not answers enough; of each kind about as many.

    Args:
        choices: what came of each prompt.
        wanted: how many.
        seed: decides which answers are taken, and how they are spoiled.
    """
    whole = [(choice, answer) for choice in choices for answer in choice.usable
             if answer.provenance.get("ended", True) and len(answer.text) >= FEWEST_CHARACTERS]  # fmt: skip
    chance = random.Random(f"checks {seed}")
    chance.shuffle(whole)
    # Hot answers of a weak model are spoiled already.
    whole.sort(key=lambda one: one[1].provenance.get("temperature", 0))
    checks: list[AnswerPair] = []
    checked: set[str] = set()
    for choice, answer in whole:
        if len(checks) >= wanted:
            break
        if choice.prompt.key in checked:
            continue
        for turn in range(len(KINDS)):  # where one kind cannot be made, the next one is
            kind = KINDS[(len(checks) + turn) % len(KINDS)]
            spoiled = _spoiled(kind, choice, answer, whole, chance)
            if spoiled and spoiled != answer.text:
                checks.append(_check(choice, answer, spoiled, kind))
                checked.add(choice.prompt.key)
                break
    return checks


def with_checks(pairs: Sequence[AnswerPair], checks: Sequence[AnswerPair]) -> list[AnswerPair]:
    """The pairs with the checks spread evenly among them, since drift shows over time."""
    places = [round((number + 0.5) * len(pairs) / max(1, len(checks))) for number in range(len(checks))]
    mixed = list(pairs)
    for place, check in reversed(list(zip(places, checks))):
        mixed.insert(place, check)
    return mixed


def _spoiled(kind: str, choice: Choice, answer: CandidateAnswer, others: Sequence, chance: random.Random) -> str:
    """The text spoiled in one way; empty where it cannot be."""
    if kind == "cut":
        return answer.text[: int(CUT_SHARE * len(answer.text))].rstrip("。！？!?.\n ")
    if kind == "shuffled":
        sentences = [sentence for sentence in SENTENCE.findall(answer.text) if sentence.strip()]
        if len(sentences) < FEWEST_SENTENCES:
            return ""
        mixed = list(sentences)
        for _ in range(10):
            chance.shuffle(mixed)
            if sum(a == b for a, b in zip(mixed, sentences)) <= len(mixed) // 4:
                break
        mixed = [sentence.strip() for sentence in mixed]
        return ("\n" if "\n" in answer.text else " " if answer.text.isascii() else "").join(mixed)
    fitting = [
        (length_ratio(other.text, answer.text), other.text)
        for elsewhere, other in chance.sample(others, min(MOST_OTHERS, len(others)))
        if elsewhere.prompt.key != choice.prompt.key
        and elsewhere.prompt.language == choice.prompt.language
        and similarity(other.text, answer.text) < MOST_ALIKE
    ]
    return max(fitting)[1] if fitting else ""


def _check(choice: Choice, answer: CandidateAnswer, spoiled: str, kind: str) -> AnswerPair:
    prompt = choice.prompt
    digest = hashlib.sha1("\0".join((prompt.key, answer.text, spoiled)).encode()).hexdigest()
    copy = CandidateAnswer(spoiled, {"spoiled": kind})
    return AnswerPair(digest[:16], prompt.messages, answer, copy, source=prompt.source, language=prompt.language,
                      licence=prompt.licence,
                      provenance={"prompt": prompt.id, "check": {"better": "first", "kind": kind}})  # fmt: skip
