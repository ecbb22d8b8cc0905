"""What the model writes, before and after: the part of a training run that a person understands at once."""

from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast


@torch.no_grad()
def continue_prompts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[str],
    max_new_tokens: int,
    seed: int = 0,
    temperature: float = 0.7,
) -> list[str]:
    """One continuation of each prompt, drawn with a seed of its own so that before and after compare.

    Returns:
        The new text of each, without the prompt and without special tokens.
    """
    was_training, used_cache = model.training, model.config.use_cache
    model.eval()
    model.config.use_cache = True
    continuations = []
    # Sampling must not move the generator that training will draw from.
    with torch.random.fork_rng(devices=[] if model.device.type == "cpu" else [model.device]):
        for prompt in prompts:
            torch.manual_seed(seed)
            inputs = tokenizer(prompt, return_tensors="pt").to(model.device)
            room = model.config.max_position_embeddings - inputs["input_ids"].shape[1]
            output = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=max(1, min(max_new_tokens, room)),
                do_sample=True,
                temperature=temperature,
                top_p=0.95,
                pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
            )
            new = output[0, inputs["input_ids"].shape[1] :]
            continuations.append(tokenizer.decode(new, skip_special_tokens=True))
    model.config.use_cache = used_cache
    model.train(was_training)
    return continuations


def write_samples(path: Path, prompts: list[str], before: list[str], after: list[str]) -> None:
    """A Markdown page with each prompt and its two continuations."""
    lines = ["# What the model writes", ""]
    for prompt, first, last in zip(prompts, before, after):
        lines += [f"## {prompt.strip().splitlines()[0]}", ""]
        for name, text in (("before training", first), ("after training", last)):
            fence = "~" * 4
            lines += [f"{name}:", "", f"{fence}text", prompt + text, fence, ""]
    path.write_text("\n".join(lines), encoding="utf-8")
