"""Removing unsuitable tokens from a vocabulary and filling their places, until none is left.

BPE is trained for more tokens than are wanted. The first of them, in the order of their merges, are the vocabulary;
what is unsuitable by itself goes at once, and the next in line move up. Then the vocabulary is tried on a sample:
tokens that too few documents use go, and variants by width or case that do not pay; tokens that cannot be reached any
more, since what they are made of is gone, go too. A token that is hardly used by itself but that a good token is made
of stays: it is a step, as the halves of a long word are. Places are filled again, and the vocabulary is tried again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tokenizers import Tokenizer

from ..errors import InputError
from .bpe import FIRST_TOKENS, assemble, splits, unreachable
from .unsuitable import RARE, UNREACHABLE, VARIANT, TokenClass, folded
from .usage import DocumentSample, Usage

MORE = 1.25  # how many tokens are trained at first, for one that is wanted
VARIANT_GAIN = 2.0  # how much more a variant has to save than the token that would take its place
MARGIN = 0.02  # share of the vocabulary that counts as its margin


@dataclass(frozen=True)
class Removed:
    """A token that was removed.

    Attributes:
        token: the token.
        name: of its class.
        count: how often the sample used it when it was found; weighted.
        documents: how many of the sample's documents used it then.
    """

    token: str
    name: str
    count: float
    documents: int


@dataclass(frozen=True)
class Vocabulary:
    """What a removal leaves.

    Attributes:
        tokens: the tokens beside special ones and bytes, by rank.
        removed: what was taken out of the first tokens, or never let in, in the order of rank.
        steps: tokens that too few documents use, which stay since others are made of them.
        rounds: how often the vocabulary was tried.
        before, after: how the sample uses it without any removal, and with all.
    """

    tokens: list[str]
    removed: list[Removed]
    steps: list[str]
    rounds: int
    before: Usage
    after: Usage


@dataclass
class _Search:
    """The state of a removal: what was found unsuitable so far, and why."""

    classes: list[TokenClass]
    removed: dict[str, Removed] = field(default_factory=dict)
    looked_at: set[str] = field(default_factory=set)

    def remove(self, token: str, name: str, usage: Usage | None = None, place: int | None = None) -> None:
        count = float(usage.counts[place]) if usage is not None and place is not None else 0.0
        documents = int(usage.documents[place]) if usage is not None and place is not None else 0
        self.removed[token] = Removed(token, name, count, documents)

    def look_at(self, tokens: Iterable[str], usage: Usage | None = None, places: dict[str, int] | None = None) -> None:
        """Finds the tokens that are unsuitable by themselves."""
        for token in tokens:
            if token not in self.looked_at:
                self.looked_at.add(token)
                for each in self.classes:
                    if each.holds is not None and each.holds(token):
                        self.remove(token, each.name, usage, (places or {}).get(token))
                        break


def remove_unsuitable(
    train: Callable[[int], list[str]],
    wanted: int,
    sample: DocumentSample,
    classes: Sequence[TokenClass],
    min_documents: int,
) -> Vocabulary:
    """Makes a vocabulary without unsuitable tokens.

    Args:
        train: gives that many tokens in the order of their ranks, or fewer where there are no more.
        wanted: tokens beside special ones and bytes.
        sample: documents on which the vocabulary is tried.
        classes: what is unsuitable (`unsuitable.wanted_classes`).
        min_documents: a token that fewer documents of the sample use is rare.

    Raises:
        InputError: the corpus does not give so many suitable tokens.
    """
    search = _Search(list(classes))
    asked = int(wanted * MORE) + 200
    candidates = train(asked)
    first = candidates[:wanted]
    bpe = assemble(first)
    before = sample.usage(bpe)
    search.look_at(candidates, before, {token: bpe.token_to_id(token) for token in first})
    names = {each.name for each in classes}
    rounds = 0
    while True:
        tokens = [token for token in candidates if token not in search.removed][:wanted]
        if len(tokens) < wanted and len(candidates) >= asked:
            asked = int(asked * MORE)
            candidates = train(asked)
            search.look_at(candidates)
            continue
        bpe = assemble(tokens)
        if lost := unreachable(bpe, tokens):
            for token in lost:
                search.remove(token, UNREACHABLE)
            continue
        rounds += 1
        usage = sample.usage(bpe)
        places = {token: len(FIRST_TOKENS) + number for number, token in enumerate(tokens)}
        doomed = {}
        if RARE in names:
            doomed |= {token: RARE for token in tokens if usage.documents[places[token]] < min_documents}
        rare = set(doomed)
        if VARIANT in names:
            doomed |= {token: VARIANT for token in _variants(tokens, usage, places) if token not in doomed}
        steps = _steps(tokens, doomed)
        found = [token for token in doomed if token not in steps]
        if not found and len(tokens) < wanted:
            raise InputError(
                f"the corpus is too small for the vocabulary: it gives {len(tokens):,} suitable tokens beside the "
                f"{len(FIRST_TOKENS)} special and byte tokens, vocab_size asks for {wanted:,}; set vocab_size to at "
                f"most {len(tokens) + len(FIRST_TOKENS):,}, give more text, or lower min_documents"
            )
        if not found:
            return Vocabulary(tokens, _in_order(search, candidates), sorted(steps & rare), rounds, before, usage)
        for token in found:
            search.remove(token, doomed[token], usage, places[token])


def _variants(tokens: list[str], usage: Usage, places: dict[str, int]) -> list[str]:
    """The tokens that differ from another by width or case alone, and save too little."""
    known = {*tokens, *FIRST_TOKENS}
    variants = [
        token
        for token in tokens
        if (plain := folded(token)) != token and plain in known and any(map(str.isalnum, token))
    ]
    if not variants:
        return []
    doomed = set(variants)
    without = assemble([token for token in tokens if token not in doomed])
    pieces = [len(e.ids) for e in without.encode_batch_fast(variants, add_special_tokens=False)]
    # What a token at the margin saves: one token for each time it is used.
    margin = usage.counts[len(FIRST_TOKENS) :][-max(1, int(MARGIN * len(tokens))) :]
    least = VARIANT_GAIN * float(np.median(margin))
    return [token for token, length in zip(variants, pieces) if usage.counts[places[token]] * (length - 1) < least]


def _steps(tokens: list[str], doomed: dict[str, str]) -> set[str]:
    """Those of the doomed without which tokens that are to stay could not be reached."""
    steps: set[str] = set()
    known = set(tokens)
    while True:
        rest = [token for token in tokens if token not in doomed or token in steps]
        lost = unreachable(assemble(rest), rest)
        if not lost:
            return steps
        parts = {*known, *FIRST_TOKENS}
        ranks = {token: rank for rank, token in enumerate(tokens)}
        before = len(steps)
        open_ends = list(lost)
        while open_ends:
            ways = [[part for part in pair if part in doomed] for pair in splits(open_ends.pop(), parts)]
            # The way that needs the fewest doomed tokens, and the earliest of them; they may need some themselves.
            way = min(ways, key=lambda way: (len(way), [ranks[part] for part in way]), default=[])
            open_ends += [part for part in way if part not in steps]
            steps.update(way)
        if len(steps) == before:  # another way is taken in encoding: all that may lie on it stays
            for token in lost:
                steps.update(part for i in range(len(token)) for j in range(i + 1, len(token) + 1)
                             if (part := token[i:j]) != token and part in doomed)  # fmt: skip
            if len(steps) == before:
                return steps


def _in_order(search: _Search, candidates: list[str]) -> list[Removed]:
    ranks = {token: rank for rank, token in enumerate(candidates)}
    return sorted(search.removed.values(), key=lambda removed: ranks.get(removed.token, len(ranks)))


def unsuitable_tokens(bpe: Tokenizer, classes: Iterable[TokenClass]) -> dict[str, list[str]]:
    """The tokens of any tokenizer that are unsuitable by themselves, by class."""
    found: dict[str, list[str]] = {}
    special = {str(token) for token in bpe.get_added_tokens_decoder().values()}
    for token in sorted(bpe.get_vocab()):
        if token not in special and token not in FIRST_TOKENS:
            for each in classes:
                if each.holds is not None and each.holds(token):
                    found.setdefault(each.name, []).append(token)
                    break
    return found
