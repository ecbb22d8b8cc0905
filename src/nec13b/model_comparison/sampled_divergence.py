"""How far a policy has moved from the model it started from, on answers of its own.

The Kullback-Leibler divergence of the whole answer: the policy answers by sampling (temperature 1, nothing cut off),
and at each token of its answer the divergence between the two distributions over the whole vocabulary is taken and
summed. Its mean over answers estimates the divergence without bias, and with less chance in it than an estimate from
the probabilities of the tokens that were drawn, which is all that training can afford (alignment/sampled_drift.py).
Answers that do not end within `max_new_tokens` count up to there.
"""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..chat_tuning.answers import answers
from ..dialogues.dialogue import Message


@dataclass(frozen=True)
class SampledAnswer:
    """An answer of a policy and how surprising it is for the model it came from.

    Attributes:
        text: without the token that ended it.
        tokens: with it.
        ended: whether it came to its end.
        divergence: from the reference, in nats, summed over the tokens.
    """

    text: str
    tokens: int
    ended: bool
    divergence: float


def sampled_answers(
    policy: PreTrainedModel, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[Message]], max_new_tokens: int, seed: int, batch_size: int = 16,
) -> list[SampledAnswer]:  # fmt: skip
    """One answer of the policy to each prompt; of none where the window has no room for any.

    Args:
        policy, reference: both in evaluation mode, with the same tokenizer.
        tokenizer: with its chat template.
        prompts: end with a user's message.
        max_new_tokens: most tokens of an answer.
        seed: of the sampling.
        batch_size: answers that are written together.
    """
    found = []
    for prompt, answer in zip(prompts, answers(policy, tokenizer, prompts, max_new_tokens, seed, 1.0, 1.0, batch_size)):
        asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
        moved = divergence(policy, reference, asked, list(answer.token_ids)) if answer.tokens else 0.0
        found.append(SampledAnswer(answer.text, answer.tokens, answer.ended, moved))
    return found


@torch.inference_mode()
def divergence(policy: PreTrainedModel, reference: PreTrainedModel, prompt: list[int], answer: list[int]) -> float:
    """The divergence of the policy from the reference, in nats, summed over the tokens of an answer.

    Args:
        policy, reference: the models.
        prompt, answer: ids.
    """
    ids = torch.tensor([[*prompt, *answer]], device=policy.device)
    ours, theirs = (
        model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
        for model in (policy, reference)
    )
    return float((ours.exp() * (ours - theirs)).sum())
