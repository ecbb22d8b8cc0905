"""How answers look, whatever they say: their length, whether they end, how varied they are and how much they repeat.

Alignment often makes answers longer or more alike without making them better; this is where that shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..augmentation.diversity import distinct_share, self_bleu, units_of

REPEATED_GRAM = 4


@dataclass(frozen=True)
class AnswerShape:
    """Measures of a model's answers.

    Attributes:
        tokens: mean tokens of an answer, by the model's own tokenizer.
        characters: mean characters.
        ended: share of answers that came to their end.
        empty: share of answers without a letter or digit.
        distinct_2: different pairs of units as a share of all pairs, over all answers together.
        self_bleu: 0 to 100; the more alike the answers, the higher.
        repetition: mean share, within an answer, of 4-grams of units that it has used before.
    """

    tokens: float
    characters: float
    ended: float
    empty: float
    distinct_2: float
    self_bleu: float
    repetition: float


def shape_of_answers(rows: Sequence[dict[str, Any]]) -> AnswerShape:
    """The measures.

    Args:
        rows: of `answers.jsonl`, of one model, at least one.
    """
    texts = [row["answer"] for row in rows]
    units = [units_of(text) for text in texts]
    return AnswerShape(
        tokens=float(np.mean([row["tokens"] for row in rows])),
        characters=float(np.mean([len(text) for text in texts])),
        ended=float(np.mean([row["ended"] for row in rows])),
        empty=float(np.mean([says_nothing(text) for text in texts])),
        distinct_2=distinct_share(units, 2),
        self_bleu=self_bleu(units) if len(units) > 1 else 0.0,
        repetition=float(np.mean([repetition(text) for text in texts])),
    )


def says_nothing(text: str) -> bool:
    """Whether there is no letter and no digit in a text."""
    return not any(c.isalnum() for c in text)


def repetition(text: str) -> float:
    """The share of the text's 4-grams (kana and kanji one by one, other words whole) that occurred in it before."""
    units = units_of(text)
    return 1 - distinct_share([units], REPEATED_GRAM) if len(units) >= REPEATED_GRAM else 0.0
