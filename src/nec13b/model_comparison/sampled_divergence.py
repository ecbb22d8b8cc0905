"""How far a policy has moved from the model it started from, on answers of its own.

The Kullback-Leibler divergence of the whole answer: the policy answers by sampling (temperature 1, nothing cut off),
and at each token of its answer the divergence between the two distributions over the whole vocabulary is taken and
summed. Its mean over answers estimates the divergence without bias, and with less chance in it than the ratio of the
two probabilities of the token that was drawn. Answers that do not end within `max_new_tokens` count up to there.
"""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..chat_tuning.answers import end_token_ids
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


@torch.inference_mode()
def sampled_answers(
    policy: PreTrainedModel, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[Message]], max_new_tokens: int, seed: int, batch_size: int = 16,
) -> list[SampledAnswer]:  # fmt: skip
    """One answer of the policy to each prompt.

    Args:
        policy, reference: both in evaluation mode, with the same tokenizer.
        tokenizer: with its chat template.
        prompts: end with a user's message; with the answer they have to fit in the window.
        max_new_tokens: most tokens of an answer.
        seed: of the sampling.
        batch_size: answers that are written together.
    """
    stops = end_token_ids(policy, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(stops)
    found: list[SampledAnswer] = []
    with torch.random.fork_rng(devices=[] if policy.device.type == "cpu" else [policy.device]):
        torch.manual_seed(seed)
        for first in range(0, len(prompts), batch_size):
            batch = [
                tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
                for messages in prompts[first : first + batch_size]
            ]
            longest = max(map(len, batch))
            ids = torch.full((len(batch), longest), pad)
            mask = torch.zeros_like(ids)
            for row, prompt in enumerate(batch):
                ids[row, longest - len(prompt) :] = torch.tensor(prompt)
                mask[row, longest - len(prompt) :] = 1
            output = policy.generate(
                input_ids=ids.to(policy.device), attention_mask=mask.to(policy.device), do_sample=True, temperature=1.0,
                top_p=1.0, top_k=0, max_new_tokens=max_new_tokens, eos_token_id=sorted(stops), pad_token_id=pad,
            )  # fmt: skip
            for prompt, written in zip(batch, output[:, longest:].tolist()):
                end = next((place + 1 for place, token in enumerate(written) if token in stops), None)
                answer = written[:end]
                found.append(
                    SampledAnswer(
                        tokenizer.decode(answer[:-1] if end else answer, skip_special_tokens=False), len(answer),
                        end is not None, divergence(policy, reference, prompt, answer),
                    )
                )  # fmt: skip
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
