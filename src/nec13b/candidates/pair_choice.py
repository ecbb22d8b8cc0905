"""Which two answers to a prompt people are asked to compare: those whose comparison tells most.

A judgement costs a minute of a person's time, so answers that nobody could tell apart, or that are no answers, are not
shown. Of the pairs that remain, one is better than another by criteria that are asked in order:

    whole        both answers came to their end and have no other fault
    models       of different models, else of one model at different temperatures, else drawn alike
    length       of comparable length: people, and models that learn from them, take the longer one for the better one
    likeness     the less alike they are, the more a choice between them says
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from ..dialogues.dialogue import Dialogue
from ..preferences.answer_pair import AnswerPair, CandidateAnswer
from .answer_checks import answer_fault, length_ratio, say_the_same, similarity

CRITERIA = ("whole", "models", "length", "likeness")
NEAR_IDENTICAL = "near_identical"


@dataclass(frozen=True)
class ChoiceRule:
    """What pairs are chosen by.

    Attributes:
        pairs_per_prompt: most pairs of a prompt.
        near_identical: similarity from which on the later of two answers is dropped.
        min_length_ratio: shorter over longer, from which on two answers are of comparable length.
        criteria: some of CRITERIA, the first one first.
        allowed_faults: faults with which an answer may still be shown, where there is no other.
    """

    pairs_per_prompt: int = 1
    near_identical: float = 0.8
    min_length_ratio: float = 0.5
    criteria: tuple[str, ...] = CRITERIA
    allowed_faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class DroppedAnswer:
    """An answer that cannot be compared.

    Attributes:
        prompt: id of the prompt.
        answer: it.
        reason: one of the faults of an answer, or `near_identical`.
        detail: what it is like.
    """

    prompt: str
    answer: CandidateAnswer
    reason: str
    detail: str = ""

    def to_row(self) -> dict[str, Any]:
        """As a line of `dropped_answers.jsonl` holds it."""
        row = {"prompt": self.prompt, "reason": self.reason, "detail": self.detail, "text": self.answer.text,
               "provenance": self.answer.provenance}  # fmt: skip
        return {name: value for name, value in row.items() if value}


@dataclass
class Choice:
    """What came of the answers to one prompt.

    Attributes:
        prompt: the prompt.
        pairs: to be compared.
        usable: answers that could have been.
        dropped: answers that could not.
    """

    prompt: Dialogue
    pairs: list[AnswerPair] = field(default_factory=list)
    usable: list[CandidateAnswer] = field(default_factory=list)
    dropped: list[DroppedAnswer] = field(default_factory=list)


def chosen_pairs(prompt: Dialogue, answers: Sequence[CandidateAnswer], rule: ChoiceRule) -> Choice:
    """The pairs of a prompt; the same ones whenever they are asked for.

    Args:
        prompt: ends with a message of the user or a tool.
        answers: all that were given, in a fixed order; `label`, `model` and `ended` of their provenance are read.
        rule: what is chosen by.
    """
    choice, faulty = Choice(prompt), set()
    faults = [answer_fault(answer.text, answer.provenance.get("ended", True), prompt.messages) for answer in answers]
    # Of two that say the same, the one without a fault stays.
    for number in sorted(range(len(answers)), key=lambda number: bool(faults[number])):
        answer, fault = answers[number], faults[number]
        same = next((a for a in choice.usable if say_the_same(a.text, answer.text, rule.near_identical)), None)
        if fault and fault not in rule.allowed_faults:
            choice.dropped.append(DroppedAnswer(prompt.id, answer, fault))
        elif same is not None:
            like = f"{similarity(same.text, answer.text):.0%} like one of {same.provenance.get('label', 'another')}"
            choice.dropped.append(DroppedAnswer(prompt.id, answer, NEAR_IDENTICAL, like))
        else:
            if fault:
                faulty.add(len(choice.usable))
            choice.usable.append(answer)
    usable, shown = choice.usable, [0] * len(choice.usable)
    ranks = {pair: _rank(*(usable[n] for n in pair), len(faulty.intersection(pair)), rule)
             for pair in combinations(range(len(usable)), 2)}  # fmt: skip
    for _ in range(min(rule.pairs_per_prompt, len(ranks))):
        # What people have not seen yet says more than what they have.
        best = min(ranks, key=lambda pair: (sum(shown[n] for n in pair), ranks[pair], pair))
        del ranks[best]
        for number in best:
            shown[number] += 1
        choice.pairs.append(_pair(prompt, *(usable[number] for number in best)))
    return choice


def _rank(one: CandidateAnswer, other: CandidateAnswer, faulty: int, rule: ChoiceRule) -> tuple[float, ...]:
    """How a pair stands by each criterion; the smaller, the better."""
    told = {
        "whole": faulty,
        "models": _alike(one, other),
        "length": length_ratio(one.text, other.text) < rule.min_length_ratio,
        "likeness": round(similarity(one.text, other.text), 6),
    }
    return tuple(told[name] for name in rule.criteria)


def _alike(one: CandidateAnswer, other: CandidateAnswer) -> int:
    a, b = one.provenance, other.provenance
    if a.get("model") != b.get("model") or a.get("fingerprint") != b.get("fingerprint"):
        return 0
    return 1 if a.get("temperature") != b.get("temperature") else 2


def _pair(prompt: Dialogue, one: CandidateAnswer, other: CandidateAnswer) -> AnswerPair:
    """The pair, whose id is made of what is said: judgements can never be taken for those of other answers."""
    digest = hashlib.sha1("\0".join((prompt.key, *sorted((one.text, other.text)))).encode()).hexdigest()
    # Which comes first is chance, or the first one would always be of the first model.
    first, second = (one, other) if int(digest[-1], 16) % 2 else (other, one)
    provenance: dict[str, Any] = {
        "prompt": prompt.id,
        "similarity": round(similarity(one.text, other.text), 3),
        "length_ratio": round(length_ratio(one.text, other.text), 3),
    }
    return AnswerPair(digest[:16], prompt.messages, first, second, source=prompt.source, language=prompt.language,
                      licence=prompt.licence, provenance=provenance)  # fmt: skip
