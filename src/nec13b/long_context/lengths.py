"""Long and short text for one run: every optimizer step holds both, in fixed shares of its tokens.

Training on long documents alone costs short text, because long documents are other text: books and manuals, hardly a
web page or an answer. So a step has two kinds of examples with equally many tokens. A long one is one stretch of one
document, as long as the new window. A short one is several sequences of the old window, cut from the documents that
are not long, as in pre-training. Examples of a kind stand together, so that a forward pass is either one long row or
several short ones: the short ones cost no attention over the new window, and no mask is needed to keep them apart.

Which documents are long is told by the document ends that lie beside the tokens; nothing is tokenised again. The order
is a pure function of the seed, as in pre-training (pretraining/data_order.py).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch.utils.data import Dataset

from ..errors import InputError
from ..pretraining import HeldOutSequences
from ..pretraining.data_order import RESOLUTION, DataOrder
from ..pretraining.packing import ConcatenatedPacking
from ..pretraining.sequences import sequence_example
from ..pretraining.token_shards import TokenShards, TokenStream

KINDS = ("long", "short")


class StreamPieces:
    """Pieces of a token stream, read one after another as a stream of their own.

    Attributes:
        stream: what they are pieces of.
        starts: first token of each piece, int64, shape (pieces,).
        ends: where each piece ends in the stream of pieces, int64, shape (pieces,).
        documents, tokens: how many pieces and tokens there are.
    """

    def __init__(self, stream: TokenStream, starts: np.ndarray, lengths: np.ndarray):
        self.stream, self.starts, self.ends = stream, starts, np.cumsum(lengths)
        self.documents, self.tokens = len(starts), int(self.ends[-1]) if len(starts) else 0

    def window(self, start: int, length: int) -> np.ndarray:
        """Token ids `start` to `start + length` of the stream of pieces, int64, shape (length,)."""
        if start < 0 or start + length > self.tokens:
            raise IndexError(f"window {start}..{start + length} of pieces of {self.tokens} tokens")
        parts, piece = [], int(np.searchsorted(self.ends, start, side="right"))
        while length:
            begins = int(self.ends[piece - 1]) if piece else 0
            taken = min(length, int(self.ends[piece]) - start)
            parts.append(self.stream.window(int(self.starts[piece]) + start - begins, taken))
            start, length, piece = start + taken, length - taken, piece + 1
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def borders(self, start: int, length: int) -> np.ndarray:
        """Where pieces end inside a window, counted from its start; 0 < border < length, int64."""
        first = np.searchsorted(self.ends, start, side="right")
        last = np.searchsorted(self.ends, start + length, side="left")
        return self.ends[first:last] - start


def long_windows(stream: TokenStream, window: int) -> StreamPieces:
    """Stretches of `window` tokens, each within one document, from its first token on; no two share a token."""
    starts, lengths = _documents(stream)
    counts = lengths // window
    documents = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(documents)) - np.repeat(np.cumsum(counts) - counts, counts)
    return StreamPieces(stream, starts[documents] + within * window, np.full(len(documents), window))


def short_documents(stream: TokenStream, window: int) -> StreamPieces:
    """The documents of fewer than `window` tokens, whole."""
    starts, lengths = _documents(stream)
    return StreamPieces(stream, starts[lengths < window], lengths[lengths < window])


def _documents(stream: TokenStream) -> tuple[np.ndarray, np.ndarray]:
    ends = np.asarray(stream.ends)
    lengths = np.diff(ends, prepend=0)
    return ends - lengths, lengths


@dataclass
class KindOfText:
    """All sequences of one length, from every domain that has some, in the order in which they are seen.

    Attributes:
        name: `long` or `short`.
        sequence_length: tokens in a sequence.
        pieces: the text of each domain.
        proportions: share of each domain in the tokens.
        seed: decides the order.
        attend_across_documents: treat a sequence as one text.
    """

    name: str
    sequence_length: int
    pieces: dict[str, StreamPieces]
    proportions: dict[str, float]
    seed: int
    attend_across_documents: bool = True

    @cached_property
    def packings(self) -> dict[str, ConcatenatedPacking]:
        """The sequences of each domain."""
        apart = not self.attend_across_documents
        return {d: ConcatenatedPacking(self.pieces[d], self.sequence_length, apart) for d in self.proportions}

    @cached_property
    def order(self) -> DataOrder:
        """Which sequence of which domain comes when."""
        counts = {domain: len(packing) for domain, packing in self.packings.items()}
        weights = {domain: max(1, round(share * RESOLUTION)) for domain, share in self.proportions.items()}
        return DataOrder(counts, weights, self.seed)

    def example(self, index: int, padding_token: int) -> tuple[str, dict[str, np.ndarray]]:
        """(domain, ids, labels and perhaps positions) of a sequence in the order."""
        domain, sequence = self.order[index]
        pieces = self.packings[domain].pieces(sequence)
        return domain, sequence_example(
            self.pieces[domain], pieces, self.sequence_length, padding_token, self.attend_across_documents
        )


class MixedLengths(Dataset):
    """The training examples of a run that extends the window, in order.

    An example holds `input_ids` and `labels`, int64: a long one (1, window), a short one (window / short_length,
    short_length); `domain`, int64, one number a row, the place in `domains`; where documents are kept apart,
    `position_ids` too.

    Args:
        shards: the tokens.
        window: tokens in a long sequence.
        short_length: tokens in a short one; divides the window.
        proportions: the mixture by domain, of each kind of text; a domain that has none of a kind is left out there.
        short_share: share of the tokens that is short text, 0 to 1.
        examples_per_step: examples in an optimizer step.
        examples_per_pass: examples in a forward pass of one process; the kinds are not mixed within it.
        examples: how many there are (steps x examples per step).
        seed: decides the order.
        attend_across_documents: treat a sequence as one text, whatever documents it holds.

    Raises:
        InputError: there is no text of a kind that is wanted, or a step cannot be shared as wanted.

    Attributes:
        domains: names such as `ja_long`, by the numbers in the examples.
        kinds: the kinds of text.
        per_step: examples of each kind in an optimizer step.
    """

    def __init__(
        self,
        shards: TokenShards,
        window: int,
        short_length: int,
        proportions: dict[str, float],
        short_share: float,
        examples_per_step: int,
        examples_per_pass: int,
        examples: int,
        seed: int,
        attend_across_documents: bool = True,
    ):
        if window % short_length:
            raise InputError(f"the window, {window:,} tokens, is not a multiple of short_length {short_length:,}")
        passes = examples_per_step // examples_per_pass
        short = round(passes * short_share) * examples_per_pass
        if 0 < short_share < 1 and not 0 < short < examples_per_step:
            raise InputError(
                f"short_share {short_share:g} of the {passes} forward pass(es) of a step leaves one kind of text out; "
                "raise tokens_per_batch or lower per_device_train_batch_size"
            )
        self.per_step = {"long": examples_per_step - short, "short": short}
        self.examples, self.padding_token = examples, shards.padding_token
        self.rows = {"long": 1, "short": window // short_length}
        self.kinds: dict[str, KindOfText] = {}
        for kind in KINDS:
            if not self.per_step[kind]:
                continue
            length = window if kind == "long" else short_length
            pieces = {domain: kind_of_text(shards.streams["train"][domain], kind, window) for domain in proportions}
            present = {domain: share for domain, share in proportions.items() if pieces[domain].tokens >= length}
            if not present:
                raise InputError(_nothing_of(kind, window, short_length))
            total = sum(present.values())
            shares = {domain: share / total for domain, share in present.items()}
            self.kinds[kind] = KindOfText(kind, length, pieces, shares, seed, attend_across_documents)
        self.domains = [f"{domain}_{kind}" for kind in self.kinds for domain in self.kinds[kind].proportions]

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        if not 0 <= i < len(self):
            raise IndexError(i)
        kind, first = self._place(i)
        text = self.kinds[kind]
        rows = [text.example(first + row, self.padding_token) for row in range(self.rows[kind])]
        example = {name: np.stack([row[name] for _, row in rows]) for name in rows[0][1]}
        numbers = [self.domains.index(f"{domain}_{kind}") for domain, _ in rows]
        return {**example, "domain": np.array(numbers, np.int64)}

    def _place(self, i: int) -> tuple[str, int]:
        """(kind, its first sequence in the kind's own order) of an example."""
        step, place = divmod(i, self.per_step["long"] + self.per_step["short"])
        kind = "long" if place < self.per_step["long"] else "short"
        place -= self.per_step["long"] if kind == "short" else 0
        return kind, (step * self.per_step[kind] + place) * self.rows[kind]

    def described(self, i: int) -> list[tuple[str, int]]:
        """(domain and kind, which of its sequences) of each row of an example."""
        kind, first = self._place(i)
        rows = (self.kinds[kind].order[first + row] for row in range(self.rows[kind]))
        return [(f"{domain}_{kind}", sequence) for domain, sequence in rows]

    def share(self, kind: str) -> float:
        """Share of the tokens that are of a kind."""
        return self.per_step[kind] / sum(self.per_step.values())

    def epochs(self) -> dict[str, float]:
        """How often the run goes through each kind of text of each domain."""
        steps = math.ceil(self.examples / sum(self.per_step.values()))
        return {
            f"{domain}_{kind}": passes
            for kind, text in self.kinds.items()
            for domain, passes in text.order.epochs(steps * self.per_step[kind] * self.rows[kind]).items()
        }


def kind_of_text(stream: TokenStream, kind: str, window: int) -> StreamPieces:
    """The long or the short text of a stream."""
    return long_windows(stream, window) if kind == "long" else short_documents(stream, window)


def _nothing_of(kind: str, window: int, short_length: int) -> str:
    if kind == "long":
        return f"no document of the corpus has {window:,} tokens; add long documents, or extend to a shorter window"
    return (
        f"the corpus has fewer than {short_length:,} tokens of documents below {window:,} tokens; add short documents, "
        "or set short_share to 0"
    )


def held_out_lengths(
    shards: TokenShards, window: int, short_length: int, limit: int, attend_across_documents: bool = True
) -> dict[str, HeldOutSequences]:
    """Held-out sequences by domain and kind (`ja_long`, `ja_short`); what is not there is left out.

    Args:
        shards: the tokens.
        window: tokens in a long sequence.
        short_length: tokens in a short one.
        limit: the most tokens of each, as so many sequences of the window.
        attend_across_documents: as the model was trained.
    """
    found = {}
    for domain, stream in sorted(shards.streams["held_out"].items()):
        for kind, length, most in (("long", window, limit), ("short", short_length, limit * window // short_length)):
            pieces = kind_of_text(stream, kind, window)
            if pieces.tokens >= length:
                found[f"{domain}_{kind}"] = HeldOutSequences(pieces, length, most, attend_across_documents)
    return found
