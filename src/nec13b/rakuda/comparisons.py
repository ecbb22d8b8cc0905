"""Which answers a judge is to compare, in which order, and what that will take."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..corpus import Rejections
from ..dialogues.dialogue import Message
from ..errors import InputError
from ..generation.generator import Sampling
from .answers import Answers, ModelAnswer
from .judge_prompt import JudgePrompt
from .questions import Question


@dataclass(frozen=True)
class Comparison:
    """A question and two answers to it, in the order in which the judge reads them."""

    question: Question
    first: ModelAnswer
    second: ModelAnswer

    @property
    def key(self) -> tuple[str, str, str]:
        """(question, first model, second model)."""
        return self.question.id, self.first.model, self.second.model

    def messages(self, prompt: JudgePrompt) -> list[Message]:
        """What the judge is sent."""
        return prompt.messages(self.question.text, self.first.text, self.second.text)


def planned_comparisons(
    questions: Sequence[Question], answers: Answers, baseline: str, both_orders: bool, seed: int, rejections: Rejections
) -> list[Comparison]:
    """All comparisons, question by question.

    Args:
        questions: in their order.
        answers: of at least two models.
        baseline: the model that all others are compared with; empty: each with each.
        both_orders: each pair twice. Else once, in an order that chance decides for each question.
        seed: of that chance.
        rejections: takes note of questions that a model has not answered.

    Raises:
        InputError: fewer than two models, or no such baseline.
    """
    if len(answers) < 2:
        raise InputError(
            f"there are answers of {', '.join(answers) or 'no model'} alone; a comparison takes two models"
        )
    if baseline and baseline not in answers:
        raise InputError(f"there are no answers of the baseline {baseline!r}; there are those of {', '.join(answers)}")
    pairs = [pair for pair in itertools.combinations(answers, 2) if not baseline or baseline in pair]
    found = []
    for question in questions:
        missing = [name for name in answers if question.id not in answers[name]]
        for name in missing:
            rejections.add(name, None, "a model has no answer to a question", question.text)
        for one, other in pairs:
            if one in missing or other in missing:
                continue
            orders = [(one, other), (other, one)]
            if not both_orders:
                chance = hashlib.sha256(json.dumps([seed, question.id, *sorted((one, other))]).encode()).digest()[0] % 2
                orders = [tuple(sorted((one, other), reverse=bool(chance)))]
            found += [Comparison(question, answers[a][question.id], answers[b][question.id]) for a, b in orders]
    if not found:
        raise InputError("no question was answered by two models; do the answers belong to these questions?")
    return found


def request_key(judge: str, messages: list[Message], sampling: Sampling, options: dict[str, Any]) -> str:
    """What tells a request to a judge from any other; a request with the same key is not sent twice."""
    said = [judge, messages, sampling.to_row(), options]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def characters_of(messages: list[Message]) -> int:
    """Characters of a request."""
    return sum(len(message["content"]) for message in messages)


@dataclass(frozen=True)
class Forecast:
    """What judging will take.

    Attributes:
        calls: requests to be sent, if none has to be repeated.
        prompt_tokens, completion_tokens: expected.
        cost: expected, in the currency of the prices.
        most_cost: if each review were as long as it may be.
        measured: whether the expectation is from judgements that were made already, with this prompt and judge.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    most_cost: float
    measured: bool

    def __str__(self) -> str:
        tokens = f"{self.prompt_tokens:,} tokens of prompts and {self.completion_tokens:,} of reviews"
        return (
            f"{self.calls:,} calls, {tokens} "
            f"({'as measured so far' if self.measured else 'by tokens_per_character and expected_review_tokens'}), "
            f"cost {self.cost:,.2f}, at most {self.most_cost:,.2f}"
        )
