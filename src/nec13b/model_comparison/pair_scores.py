"""How likely a model finds the chosen and the rejected answer of a pair: what preference accuracy is counted from.

The log-probability of an answer is the sum over its tokens, the one that ends it included, given the prompt as the
model's own chat template renders it. A longer answer is less likely as a sum; so the mean over its tokens is told too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl.trainer.utils import selective_log_softmax

from ..chat_tuning.answers import end_token_ids
from ..dialogues.dialogue import Message
from ..preferences.preference import Preference


@dataclass(frozen=True)
class PairScore:
    """Of one pair: the log-probabilities of both answers in nats, and their tokens."""

    chosen: float
    rejected: float
    chosen_tokens: int
    rejected_tokens: int

    @property
    def margin(self) -> float:
        """By how much the chosen answer is likelier, as a sum over its tokens."""
        return self.chosen - self.rejected

    @property
    def margin_per_token(self) -> float:
        """The same for the means over the tokens."""
        return self.chosen / self.chosen_tokens - self.rejected / self.rejected_tokens


def encoded_answer(
    tokenizer: PreTrainedTokenizerBase, prompt: list[Message], answer: list[Message], end_ids: set[int]
) -> tuple[list[int], int]:
    """(ids, where the answer begins): prompt and answer as the chat template renders them, up to the end token.

    Args:
        tokenizer: with a chat template.
        prompt: ends with a user's (or a tool's) message.
        answer: what follows.
        end_ids: tokens that end an answer; what a template writes after the last of them is left out.
    """
    before = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
    ids = tokenizer.apply_chat_template([*prompt, *answer], return_dict=False)
    start = 0
    while start < min(len(before), len(ids)) and before[start] == ids[start]:
        start += 1
    end = len(ids)
    while end > start and ids[end - 1] not in end_ids:
        end -= 1
    return (ids[:end] if end > start else ids), start


def pair_scores(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Preference], max_length: int,
    batch_size: int = 8,
) -> list[PairScore | None]:  # fmt: skip
    """The score of each pair; None where an answer with its prompt is longer than `max_length` tokens, or has none.

    Args:
        model, tokenizer: of a chat model.
        pairs: the pairs.
        max_length: no more than the model's window.
        batch_size: answers that are read together.
    """
    ends = end_token_ids(model, tokenizer)
    encoded = [
        encoded_answer(tokenizer, pair.prompt, answer, ends)
        for pair in pairs
        for answer in (pair.chosen, pair.rejected)
    ]
    lengths = [len(ids) - start if len(ids) <= max_length else 0 for ids, start in encoded]
    wanted = [i for i in range(len(encoded)) if lengths[i] and lengths[i ^ 1]]
    wanted.sort(key=lambda i: len(encoded[i][0]))  # little padding
    found: dict[int, float] = {}
    for first in range(0, len(wanted), batch_size):
        batch = wanted[first : first + batch_size]
        found |= zip(batch, answer_log_probabilities(model, [encoded[i] for i in batch]))
    return [
        PairScore(found[i], found[i + 1], lengths[i], lengths[i + 1]) if i in found else None
        for i in range(0, len(encoded), 2)
    ]


@torch.inference_mode()
def answer_log_probabilities(model: PreTrainedModel, encoded: list[tuple[list[int], int]]) -> list[float]:
    """The summed log-probability of each answer of a batch, in nats.

    Args:
        model: any causal language model; its mode is left as it is.
        encoded: (ids, where the answer begins) of each.
    """
    longest = max(len(ids) for ids, _ in encoded)
    ids = torch.zeros(len(encoded), longest, dtype=torch.long)
    counts = torch.zeros(len(encoded), longest, dtype=torch.bool)
    mask = torch.zeros_like(ids)
    for row, (tokens, start) in enumerate(encoded):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        counts[row, max(1, start) : len(tokens)] = True
    ids, mask, counts = (each.to(model.device) for each in (ids, mask, counts))
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    each = selective_log_softmax(logits.float(), ids[:, 1:])
    return (each * counts[:, 1:]).sum(-1).tolist()
