"""Answers of a chat model to many dialogues at once, and whether each came to its end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from ..dialogues.dialogue import Message
from ..tokenization.special_tokens import EOS, IM_END

END_TOKENS = (IM_END, EOS, "<|endoftext|>", "<|eot_id|>")


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        text: as it was written, special tokens within it too; without the token that ended it.
        ended: whether the model closed its turn before it ran out of tokens.
        prompt_tokens: of the dialogue before it.
        tokens: of the answer, with the one that ended it; 0 where the window has no room for any.
    """

    text: str
    ended: bool
    prompt_tokens: int
    tokens: int


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Iterable[list[Message]],
    max_new_tokens: int,
    seed: int = 0,
    temperature: float = 0.7,
    top_p: float = 0.95,
    batch_size: int = 8,
) -> list[Answer]:
    """One answer to each prompt.

    Args:
        model: a chat model; it is left in the mode in which it came.
        tokenizer: with its chat template.
        prompts: dialogues that end with a user's (or a tool's) message.
        max_new_tokens: most tokens of an answer.
        seed: of the sampling; the generators that training draws from are not moved.
        temperature: 0 takes the likeliest token each time.
        top_p: share of the probability that is drawn from.
        batch_size: prompts answered together.
    """
    prompts, found, was_training = list(prompts), [], model.training
    model.eval()
    with torch.random.fork_rng(devices=[] if model.device.type == "cpu" else [model.device]):
        torch.manual_seed(seed)
        for start in range(0, len(prompts), batch_size):
            batch = prompts[start : start + batch_size]
            found += answered_batch(model, tokenizer, batch, max_new_tokens, temperature, top_p)
    model.train(was_training)
    return found


@torch.inference_mode()
def answered_batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batch: list[list[Message]],
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seeds: Sequence[int | None] | None = None,
) -> list[Answer]:
    """An answer to each dialogue of a batch; no longer than the window has room for.

    Args:
        model, tokenizer: of a chat model.
        batch: dialogues that end with a user's (or a tool's) message.
        max_new_tokens: most tokens of an answer.
        temperature: 0 takes the likeliest token each time.
        top_p: share of the probability that is drawn from.
        seeds: a seed for each dialogue, so that its answer does not depend on the others of the batch, but for
            rounding; None draws from torch's generator as it stands.
    """
    window = window_of(model)
    prompts = [
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)[
            "input_ids"
        ]
        for messages in batch
    ]
    found = [Answer("", False, len(prompt), 0) for prompt in prompts]
    fitting = [number for number, prompt in enumerate(prompts) if len(prompt) < window]
    if not fitting:
        return found
    stops = end_token_ids(model, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(stops, default=0)
    longest = max(len(prompts[number]) for number in fitting)
    ids = torch.full((len(fitting), longest), pad)
    mask = torch.zeros_like(ids)
    for row, number in enumerate(fitting):
        ids[row, longest - len(prompts[number]) :] = torch.tensor(prompts[number])
        mask[row, longest - len(prompts[number]) :] = 1
    sampling = {"do_sample": False}
    if temperature > 0 and seeds is not None and None not in seeds:
        drawn = SeededDraw([seeds[number] for number in fitting], model.device, temperature, top_p)
        sampling = {"do_sample": False, "logits_processor": LogitsProcessorList([drawn])}
    elif temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    output = model.generate(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device), eos_token_id=sorted(stops) or None,
        pad_token_id=pad, use_cache=True, max_new_tokens=min(max_new_tokens, window - longest), **sampling,
    )  # fmt: skip
    for row, number in enumerate(fitting):
        written = output[row, longest:].tolist()
        end = next((place for place, token in enumerate(written) if token in stops), None)
        text = tokenizer.decode(written[:end], skip_special_tokens=False)
        found[number] = Answer(text, end is not None, len(prompts[number]), len(written) if end is None else end + 1)
    return found


class SeededDraw(LogitsProcessor):
    """Draws the tokens of each row by a seed of its own, where transformers draws a whole batch by one.

    To draw from a distribution is to take the largest of its logits plus noise of Gumbel's (Gumbel, 1954), so what
    follows can be the search for the likeliest token.

    Args:
        seeds: one a row.
        device: of the model.
        temperature: above 0.
        top_p: share of the probability that is drawn from.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device, temperature: float, top_p: float):
        self._random = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._warpers = [TemperatureLogitsWarper(temperature), *([TopPLogitsWarper(top_p)] if top_p < 1 else [])]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        scores = scores.float()
        for warper in self._warpers:
            scores = warper(input_ids, scores)
        noise = torch.empty_like(scores)
        for row, random in zip(noise, self._random):
            row.exponential_(generator=random)
        return scores - noise.log()


def window_of(model: PreTrainedModel) -> int:
    """Most tokens of a dialogue and its answer; more than there can be where the model names none."""
    return getattr(model.config, "max_position_embeddings", None) or 2**31


def end_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens that end an answer: the checkpoint's, the tokenizer's, and those `END_TOKENS` that it has."""
    named, vocabulary = model.generation_config.eos_token_id, tokenizer.get_vocab()
    ids = {*(named if isinstance(named, list) else [named]), tokenizer.eos_token_id}
    return {token for token in (*ids, *map(vocabulary.get, END_TOKENS)) if token is not None}
