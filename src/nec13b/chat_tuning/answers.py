"""Answers of a chat model to many dialogues at once, and whether each came to its end."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from ..dialogues.dialogue import Message
from ..tokenization.special_tokens import IM_END


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        text: without special tokens.
        ended: whether it closed its turn with `<|im_end|>` before it ran out of tokens.
    """

    text: str
    ended: bool


@torch.no_grad()
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
    end, prompts, found = tokenizer.convert_tokens_to_ids(IM_END), list(prompts), []
    was_training, used_cache = model.training, model.config.use_cache
    sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p} if temperature else {"do_sample": False}
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens, pad_token_id=tokenizer.pad_token_id, eos_token_id=_stops(model, end), **sampling
    )
    model.eval()
    model.config.use_cache = True
    devices = [] if model.device.type == "cpu" else [model.device]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        for start in range(0, len(prompts), batch_size):
            batch = tokenizer.apply_chat_template(
                prompts[start : start + batch_size], add_generation_prompt=True, tokenize=True, return_dict=True,
                return_tensors="pt", padding=True, tokenizer_kwargs={"padding_side": "left"},
            ).to(model.device)  # fmt: skip
            output = model.generate(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], generation_config=settings
            )
            for new in output[:, batch["input_ids"].shape[1] :]:
                found.append(Answer(tokenizer.decode(new, skip_special_tokens=True), end in new.tolist()))
    model.config.use_cache = used_cache
    model.train(was_training)
    return found


def _stops(model: PreTrainedModel, end: int) -> list[int]:
    others = model.generation_config.eos_token_id
    others = [others] if isinstance(others, int) else others or []
    return list(dict.fromkeys([end, *others]))
