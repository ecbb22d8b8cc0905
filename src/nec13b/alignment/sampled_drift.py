"""How far a model has drifted from its reference, by its own answers: the KL divergence, and their length.

The KL is an estimate: answers are drawn from the model itself at temperature 1 from its whole distribution, and over
their tokens the mean of q - 1 - log q is taken, q = pi_ref / pi at the token: unbiased for KL(pi || pi_ref) of a token,
never negative, and of low variance (Schulman, Approximating KL Divergence, 2020). It says nothing of answers longer
than `sample_tokens`, and a few prompts leave an error that the figure beside it states.
"""

import math
from collections.abc import Callable

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..chat_tuning.answers import answers
from ..chat_tuning.chatml import IGNORED
from ..dialogues.dialogue import Message

BATCH = 8


def sampled_drift(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[Message]],
    log_probs: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    reference_log_probs: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] | None,
    max_new_tokens: int,
    seed: int,
) -> dict[str, float]:
    """By name:

    length: mean tokens of an answer, the one that ends it included.
    ended: share of the answers that came to their end.
    kl: nats a token; left out without a reference.
    kl_error: standard error of it over the prompts.

    Args:
        model: the model, not sharded.
        tokenizer: with its chat template.
        prompts: dialogues that end with a question.
        log_probs, reference_log_probs: (ids, attention mask, labels) to the log-probability of each next label, 0 where
            the label is -100, shape (rows, length - 1).
        max_new_tokens: most tokens of an answer.
        seed: of the sampling, the same each time, so that two evaluations compare.
    """
    found = answers(model, tokenizer, prompts, max_new_tokens, seed, temperature=1.0, top_p=1.0, batch_size=BATCH)
    pairs = [(prompt, answer) for prompt, answer in zip(prompts, found) if answer.tokens]
    if not pairs:
        return {}
    measured = {
        "length": sum(answer.tokens for _, answer in pairs) / len(pairs),
        "ended": sum(answer.ended for _, answer in pairs) / len(pairs),
    }
    if reference_log_probs is None:
        return measured
    sums = []  # (sum of the estimate over an answer, its tokens)
    for start in range(0, len(pairs), BATCH):
        batch = _padded(model, tokenizer, pairs[start : start + BATCH])
        with torch.no_grad():
            log_ratio = (reference_log_probs(*batch) - log_probs(*batch)).float()
        counted = batch[2][:, 1:] != IGNORED
        # Where a label is ignored both are 0, and so is the estimate.
        estimates = torch.expm1(log_ratio) - log_ratio
        sums += zip(estimates.sum(1).tolist(), counted.sum(1).tolist())
    tokens = sum(count for _, count in sums)
    kl = sum(value for value, _ in sums) / tokens
    # Of a ratio of sums: the answers are independent of each other, their tokens are not.
    squares = sum((value - kl * count) ** 2 for value, count in sums)
    error = math.sqrt(squares * len(sums) / max(1, len(sums) - 1)) / tokens
    return {**measured, "kl": kl, "kl_error": error}


def _padded(model, tokenizer, pairs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(ids, attention mask, labels) of prompts with answers, on the model's device, padded on the right."""
    rows = []
    for prompt, answer in pairs:
        asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=True)
        asked = list(asked["input_ids"])
        rows.append((asked + list(answer.token_ids), [IGNORED] * len(asked) + list(answer.token_ids)))
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for number, (row, wanted) in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = torch.tensor(row), 1
        labels[number, : len(row)] = torch.tensor(wanted)
    return ids.to(model.device), mask.to(model.device), labels.to(model.device)
