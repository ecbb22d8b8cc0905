"""Two tasks that only a window can solve, in Japanese: find a passkey far back, and copy a text that was read before.

Both are scored by what the model makes of the tokens that are asked for, with everything before them given. So a model
that is too small to answer still shows how much it draws from afar: a passkey costs ln 10 nats a digit to a guesser,
and a text that is repeated costs as much as the first time to a model that does not see the first time.
"""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..corpus.sample import sample_documents
from ..errors import InputError
from .position_losses import token_losses

DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
DIGITS = 5
ANNOUNCED = "\n大事なことを書いておきます。合言葉は{key}です。{key}を覚えておいてください。\n"
ASKED = "\nここまでの文章に合言葉が書いてありました。合言葉は"


@dataclass(frozen=True)
class PasskeyScore:
    """How well passkeys of one depth are found in texts of one length.

    Attributes:
        length: tokens before the answer.
        depth: where the passkey stands, 0 at the beginning and 1 at the end.
        found: share of the passkeys whose every token was the model's first choice.
        loss: of the passkey, nats in all.
    """

    length: int
    depth: float
    found: float
    loss: float


@dataclass(frozen=True)
class CopyScore:
    """What a repeated text costs when it is read for the second time.

    Attributes:
        distance: tokens from a token to its first occurrence.
        first, second: loss at the first and at the second reading, nats per token.
    """

    distance: int
    first: float
    second: float


def passkeys(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, lengths: list[int], trials: int = 8, seed: int = 0
) -> list[PasskeyScore]:
    """Hides numbers of five digits in Japanese text and asks for them at its end.

    Args:
        model, tokenizer: of a checkpoint.
        lengths: tokens before the answer.
        trials: passkeys for each length and depth.
        seed: decides texts and passkeys.
    """
    text, generator, scores = _filler(tokenizer), np.random.default_rng(seed), []
    for length in lengths:
        for depth in DEPTHS:
            rows, answers = [], []
            for _ in range(trials):
                key = "".join(map(str, generator.integers(0, 10, DIGITS)))
                row, answer = _with_passkey(tokenizer, text, key, length, depth, int(generator.integers(len(text))))
                rows.append(row)
                answers.append(answer)
            found, losses = zip(*(_score_answer(model, row, answer) for row, answer in zip(rows, answers)))
            scores.append(PasskeyScore(length, depth, float(np.mean(found)), float(np.mean(losses))))
    return scores


def copies(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, distances: list[int], trials: int = 8, seed: int = 0
) -> list[CopyScore]:
    """Gives a Japanese text twice and compares what its tokens cost.

    Args:
        model, tokenizer: of a checkpoint.
        distances: tokens in the text; the whole is twice as long, and a token's copy lies so far back.
        trials: texts for each distance.
        seed: decides the texts.
    """
    text, generator, scores = _filler(tokenizer), np.random.default_rng(seed), []
    begin = _begin(tokenizer)
    for distance in distances:
        firsts, seconds = [], []
        for _ in range(trials):
            part = _stretch(text, int(generator.integers(len(text))), distance)
            losses = token_losses(model, torch.tensor([[*begin, *part, *part]]))[0]
            half = len(begin) + distance - 1  # the loss of the first token of the second reading
            firsts.append(losses[:half].mean().item())
            seconds.append(losses[half + 1 :].mean().item())
        scores.append(CopyScore(distance, float(np.mean(firsts)), float(np.mean(seconds))))
    return scores


def _filler(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The Japanese documents of the built-in sample, one after another."""
    text = "\n".join(document.text for document in sample_documents("ja"))
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _begin(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]


def _stretch(text: list[int], start: int, length: int) -> list[int]:
    """So many tokens from a place on, beginning again at the end of the text."""
    return [text[(start + i) % len(text)] for i in range(length)]


def _with_passkey(tokenizer, text: list[int], key: str, length: int, depth: float, start: int):
    """(tokens up to the answer, tokens of the answer)."""
    announced = tokenizer(ANNOUNCED.format(key=key), add_special_tokens=False)["input_ids"]
    asked = tokenizer(ASKED, add_special_tokens=False)["input_ids"]
    whole = tokenizer(ASKED + key, add_special_tokens=False)["input_ids"]
    if whole[: len(asked)] != asked:  # a token over the border would be another question
        whole = asked + tokenizer(key, add_special_tokens=False)["input_ids"]
    begin = _begin(tokenizer)
    room = length - len(begin) - len(announced) - len(asked)
    if room < 0:
        raise InputError(f"a text of {length} tokens has no room for a passkey; ask for at least {length - room}")
    filler, before = _stretch(text, start, room), round(room * depth)
    row = [*begin, *filler[:before], *announced, *filler[before:], *asked]
    return row, whole[len(asked) :]


@torch.inference_mode()
def _score_answer(model: PreTrainedModel, row: list[int], answer: list[int]) -> tuple[bool, float]:
    """(whether each token of the answer was the first choice, loss of the answer)."""
    ids = torch.tensor([[*row, *answer]], device=model.device)
    hidden = model.model(ids, use_cache=False).last_hidden_state[:, len(row) - 1 : -1]
    logits = model.lm_head(hidden)[0].float()
    wanted = torch.tensor(answer, device=model.device)
    loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
    return bool((logits.argmax(-1) == wanted).all()), loss.item()
