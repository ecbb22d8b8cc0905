"""Loss against token position (figure 2 of the paper): what a model makes of near and far context, and how surely.

A model that uses its window predicts a token the better the further it lies in a document. So the loss of every token
of held-out long documents is kept with its position, and beside it the loss of short documents read from their start.
Models are compared on the same documents, and checkpoints of one method trained with several seeds count as one label;
the intervals come from resampling documents and seeds together.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from ..errors import InputError
from ..pretraining import TokenShards

FIRST_BUCKET = 16  # the first tokens of a document depend on chance more than on any window
RESAMPLES = 2000
CONFIDENCE = 0.95
CHUNK = 1024  # tokens whose logits are held at once


@dataclass(frozen=True)
class HeldOutText:
    """What models are compared on.

    Attributes:
        long: token ids of the first `window` tokens of long documents, int64, shape (documents, window).
        long_domains: the domain of each.
        short: token ids of the beginning of each short document, as much as the old window holds.
        short_domains: the domain of each.
    """

    long: np.ndarray
    long_domains: list[str]
    short: list[np.ndarray]
    short_domains: list[str]

    @classmethod
    def of(cls, shards: TokenShards, window: int, short_length: int, documents: int, split: str = "held_out"):
        """The first documents of each domain.

        Args:
            shards: the tokens.
            window: how many tokens of a long document are read; shorter documents are short.
            short_length: how many tokens of a short document are read.
            documents: most documents of each domain and length.
            split: `held_out`, or `train` for the curious.

        Raises:
            InputError: no document is long enough.
        """
        long, long_domains, short, short_domains = [], [], [], []
        for domain, stream in sorted(shards.streams[split].items()):
            ends = np.asarray(stream.ends)
            lengths = np.diff(ends, prepend=0)
            for document in np.flatnonzero(lengths >= window)[:documents]:
                long.append(stream.window(int(ends[document] - lengths[document]), window))
                long_domains.append(domain)
            for document in np.flatnonzero((lengths > FIRST_BUCKET) & (lengths < window))[:documents]:
                length = min(int(lengths[document]), short_length)
                short.append(stream.window(int(ends[document] - lengths[document]), length))
                short_domains.append(domain)
        if not long:
            raise InputError(
                f"{shards.folder} holds no {split.replace('_', '-')} document of {window:,} tokens; choose a shorter "
                "window, or hold out more (held_out_fraction)"
            )
        return cls(np.stack(long), long_domains, short, short_domains)

    def only(self, domain: str) -> tuple[np.ndarray, np.ndarray]:
        """Which long and which short documents are of a domain, as booleans."""
        return np.array(self.long_domains) == domain, np.array(self.short_domains) == domain


@dataclass(frozen=True)
class Losses:
    """What one checkpoint made of a `HeldOutText`, nats per token.

    Attributes:
        long: loss of token p + 1 of each long document, fp32, shape (documents, window - 1).
        short: (sum of the losses, number of tokens) of each short document, shape (documents, 2).
    """

    long: np.ndarray
    short: np.ndarray

    @classmethod
    def of(cls, model: PreTrainedModel, text: HeldOutText, batch_tokens: int = 16384) -> "Losses":
        """Runs a model over the text.

        Args:
            model: on its device, in its precision.
            text: the documents.
            batch_tokens: tokens in a forward pass.
        """
        long = np.concatenate(list(_losses(model, list(text.long), batch_tokens)))
        short = [
            (row[: len(ids) - 1].sum(), len(ids) - 1)
            for ids, row in zip(text.short, _rows(_losses(model, text.short, batch_tokens)))
        ]
        return cls(long, np.array(short, dtype=np.float64).reshape(-1, 2))


def _rows(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for batch in batches:
        yield from batch


@torch.inference_mode()
def _losses(model: PreTrainedModel, documents: list[np.ndarray], batch_tokens: int) -> Iterator[np.ndarray]:
    """The loss of every token but the first, batch by batch, in order; rows are padded with zeros to the longest."""
    model.eval()
    first = 0
    while first < len(documents):
        longest, last = 0, first
        while last < len(documents):
            longest = max(longest, len(documents[last]))
            if last > first and longest * (last + 1 - first) > batch_tokens:
                break
            last += 1
        batch = documents[first:last]
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        for row, document in zip(ids, batch):
            row[: len(document)] = document
        yield token_losses(model, torch.from_numpy(ids)).numpy()
        first = last


@torch.inference_mode()
def token_losses(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """The loss of each token but the first, given all before it.

    Args:
        model: a causal language model with a decoder and an `lm_head`.
        ids: int64, (rows, tokens); what fills up a row stands at its end, where it disturbs nothing.

    Returns:
        fp32 on the CPU, (rows, tokens - 1).
    """
    ids = ids.to(model.device)
    hidden = model.model(ids, use_cache=False).last_hidden_state[:, :-1]
    targets, parts = ids[:, 1:], []
    for start in range(0, targets.shape[1], CHUNK):
        logits = model.lm_head(hidden[:, start : start + CHUNK]).float()
        parts.append(
            functional.cross_entropy(logits.transpose(1, 2), targets[:, start : start + CHUNK], reduction="none")
        )
    return torch.cat(parts, dim=1).cpu()


def buckets(window: int, first: int = FIRST_BUCKET) -> list[tuple[int, int]]:
    """Ranges of positions, each twice as long as the one before it: (16, 32), (32, 64), ... up to the window."""
    edges = [first]
    while 2 * edges[-1] < window:
        edges.append(2 * edges[-1])
    return list(zip(edges, [*edges[1:], window]))


def bucket_means(losses: np.ndarray, ranges: list[tuple[int, int]]) -> np.ndarray:
    """Mean loss by document and range of positions, (..., documents, len(ranges)); column p - 1 is position p."""
    return np.stack([losses[..., low - 1 : high - 1].mean(-1) for low, high in ranges], axis=-1)


@dataclass(frozen=True)
class Estimate:
    """A mean over documents and seeds, and its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def estimate(values: np.ndarray, weights: np.ndarray | None = None, seed: int = 0) -> Estimate:
    """Mean and its 95% interval, documents and seeds drawn again together, each with replacement.

    Args:
        values: by seed and document, (seeds, documents).
        weights: of the documents, such as their tokens; None: all alike.
        seed: of the resampling.
    """
    weights = np.ones(values.shape[1]) if weights is None else weights
    generator = np.random.default_rng(seed)
    seeds, documents = values.shape
    counts = generator.multinomial(documents, np.full(documents, 1 / documents), RESAMPLES) * weights
    of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    means = ((of_seeds @ values) * counts).sum(1) / counts.sum(1)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Estimate(float((values.mean(0) * weights).sum() / weights.sum()), float(low), float(high))


def paired(ours: list[Losses], theirs: list[Losses]) -> tuple[list[Losses], list[Losses]]:
    """Checkpoints side by side: seed by seed where both labels have as many, else each against the mean of the other.

    Returns:
        Two lists of the same length.
    """
    if len(ours) == len(theirs):
        return ours, theirs
    return ours, [Losses(np.mean([t.long for t in theirs], 0), np.mean([t.short for t in theirs], 0))] * len(ours)
