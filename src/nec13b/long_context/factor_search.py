"""Divisors for each frequency by search, as LongRoPE finds them (Ding et al., arXiv:2402.13753), to compare with.

The search needs no training: a candidate is a list of divisors, and its worth is the loss that the untrained model has
with it on long text. Candidates begin as the known methods and change by mutation and crossing; divisors never fall
from a fast frequency to a slower one, as in LongRoPE. What is left out of it is the number of first tokens that keep
their positions, which would make the divisors depend on the position.
"""

from collections.abc import Callable

import numpy as np
import torch
from transformers import PreTrainedModel

from ..rope_interpolation import inverse_frequencies_of
from .interpolations import interpolation_named
from .position_losses import token_losses

STARTS = ("linear", "ntk", "yarn", "none")  # not ours, which the search is compared with
MOST_CHANGES = 3  # of one child


def searched_factors(
    model: PreTrainedModel,
    ids: np.ndarray,
    factor: float,
    window: int,
    candidates: int = 16,
    rounds: int = 8,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> list[float]:
    """The best divisors found.

    Args:
        model: before the extension; it is left as it was.
        ids: long text, int64, (rows, new window).
        factor: new window divided by the old one, the largest divisor tried.
        window: the old one, in tokens.
        candidates: kept in each round; as many new ones are made of them.
        rounds: how often.
        seed: of the search.
        say: gets a line a round.
    """
    generator, rotary = np.random.default_rng(seed), model.model.rotary_emb
    frequencies, before = inverse_frequencies_of(model.config), rotary.inv_freq.clone()
    text = torch.from_numpy(ids)

    def loss(divisors: np.ndarray) -> float:
        rotary.inv_freq.copy_(frequencies / torch.from_numpy(divisors).float())
        return float(np.mean([token_losses(model, row[None]).mean().item() for row in text]))

    known = [interpolation_named(name, factor, window).divisors(frequencies).double().numpy() for name in STARTS]
    try:
        scored = sorted((loss(divisors), tuple(divisors)) for divisors in known)
        for number in range(rounds):
            for _ in range(candidates):
                first, second = (np.array(scored[generator.integers(len(scored))][1]) for _ in range(2))
                scored.append((loss(child := _child(first, second, factor, generator)), tuple(child)))
            scored = sorted(set(scored))[:candidates]
            say(f"round {number + 1}: {scored[0][0]:.4f}")
    finally:
        rotary.inv_freq.copy_(before)
    return [round(value, 6) for value in scored[0][1]]


def _child(first: np.ndarray, second: np.ndarray, factor: float, generator: np.random.Generator) -> np.ndarray:
    """Fast frequencies of one parent and slow ones of the other, some of them changed; in order, from 1 to factor."""
    cut = generator.integers(len(first) + 1)
    child = np.concatenate([first[:cut], second[cut:]])
    changed = generator.integers(len(child), size=generator.integers(1, MOST_CHANGES + 1))
    child[changed] *= np.exp(generator.normal(0, 0.3, len(changed)))
    return np.sort(np.clip(child, 1, factor))
