"""Which documents a tokenizer is trained on: a uniform sample of the training part, a budget of characters a domain.

A document is drawn by its hash, so the sample depends on the texts alone, not on their order, on how they are spread
over files, or on the number of workers. The corpus is read twice: once for hashes and lengths, which decide the limit
below which a hash is drawn, once for the texts.
"""

import hashlib
import heapq
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from typing import TypeVar

import numpy as np

from ..corpus import Document, Part, Rejections, is_held_out, read_part
from ..corpus.child_processes import end_with_parent
from ..corpus.mixture import repeated
from ..errors import InputError
from .special_tokens import special_tokens_in

# A spelling that is as common as this in the text cannot be a special token: too many documents would be set aside.
MOST_WITH_SPECIAL_TOKENS = 0.01
ALL_HASHES = 2**64
Result = TypeVar("Result")


@dataclass(frozen=True)
class Reader:
    """How documents are read: what a worker process has to know.

    Attributes:
        held_out_fraction: share of documents that is not for training, 0 to 1.
        max_document_characters: longer documents are set aside.
        mixture: the plan of a cleaned corpus, by which some sources are gone through more often.
    """

    held_out_fraction: float
    max_document_characters: int
    mixture: dict | None = None

    def documents(self, part: Part, held_out: bool = False, rejections: Rejections | None = None) -> Iterator[Document]:
        """The training documents of a part, or the held-out ones, without those that spell out a special token."""
        rejections = rejections if rejections is not None else Rejections()
        documents: Iterable[Document] = read_part(part, rejections, self.max_document_characters)
        if self.mixture:
            documents = repeated(documents, self.mixture)
        for document in documents:
            if is_held_out(document, self.held_out_fraction) != held_out:
                continue
            if spelt_out := special_tokens_in(document.text):
                rejections.add(document.id, None, f"special token {spelt_out[0]} in the text", document.text[:200])
                continue
            yield document


def hash_of(text: str) -> int:
    """64 bits by which a document is drawn."""
    return int.from_bytes(hashlib.sha1(text.encode()).digest()[:8], "big")


@dataclass
class Survey:
    """What the first reading of a corpus, or of a part of it, finds.

    Attributes:
        hashes, lengths: of the documents of each domain with the smallest hashes, up to the budget.
        documents, characters: of each domain, all that can be trained on.
        rejections: how many rows were set aside, by reason.
    """

    hashes: dict[str, np.ndarray] = field(default_factory=dict)
    lengths: dict[str, np.ndarray] = field(default_factory=dict)
    documents: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)

    def add(self, domain: str, hashes: np.ndarray, lengths: np.ndarray, budget: int) -> None:
        """Takes documents in, and keeps those with the smallest hashes, up to `budget` characters."""
        hashes = np.concatenate([self.hashes.get(domain, np.empty(0, np.uint64)), hashes])
        lengths = np.concatenate([self.lengths.get(domain, np.empty(0, np.int64)), lengths])
        order = np.argsort(hashes, kind="stable")
        hashes, lengths = hashes[order], np.minimum(lengths[order], budget)
        keep = int(np.searchsorted(np.cumsum(lengths), budget, side="right"))
        # One more stays: where the budget ends, the next hash is the limit.
        self.hashes[domain], self.lengths[domain] = hashes[: keep + 1], lengths[: keep + 1]

    def limits(self, budgets: dict[str, int]) -> dict[str, int]:
        """For each domain the hash from which on documents are beyond the budget."""
        limits = {}
        for domain, budget in budgets.items():
            lengths = np.minimum(self.lengths[domain], budget)
            keep = max(1, int(np.searchsorted(np.cumsum(lengths), budget, side="right")))
            limits[domain] = int(self.hashes[domain][keep]) if keep < len(lengths) else ALL_HASHES
        return limits


def survey_corpus(parts: list[Part], reader: Reader, budget: int, workers: int) -> Survey:
    """Reads a corpus for the first time.

    Args:
        parts: of the corpus.
        reader: how they are read.
        budget: most characters of a domain that will be drawn.
        workers: processes.

    Raises:
        InputError: there is no training document, or a special token is ordinary text in this corpus.
    """
    whole = Survey()
    for survey in in_processes(_survey_part, [(part, reader, budget) for part in parts], workers):
        for domain in survey.hashes:
            whole.add(domain, survey.hashes[domain], survey.lengths[domain], budget)
        whole.documents += survey.documents
        whole.characters += survey.characters
        whole.rejections += survey.rejections
    total = whole.documents.total()
    for reason, count in whole.rejections.items():
        if reason.startswith("special token") and count > max(1, MOST_WITH_SPECIAL_TOKENS * total):
            raise InputError(
                f"{reason} of {count:,} documents, {total:,} have none; a tokenizer cannot tell such text from its own "
                "marks. Write it otherwise in the corpus, or leave those documents out"
            )
    if not total:
        raise InputError("no text to train the tokenizer on: the corpus is empty, or holds no training document")
    return whole


def _survey_part(part: Part, reader: Reader, budget: int) -> Survey:
    survey, rejections = Survey(), Rejections()
    hashes: dict[str, list[int]] = {}
    lengths: dict[str, list[int]] = {}
    for document in reader.documents(part, rejections=rejections):
        domain = document.domain
        hashes.setdefault(domain, []).append(hash_of(document.text))
        lengths.setdefault(domain, []).append(len(document.text))
        survey.documents[domain] += 1
        survey.characters[domain] += len(document.text)
        if len(hashes[domain]) >= 100_000:
            survey.add(domain, np.array(hashes.pop(domain), np.uint64), np.array(lengths.pop(domain)), budget)
    for domain in hashes:
        survey.add(domain, np.array(hashes[domain], np.uint64), np.array(lengths[domain]), budget)
    survey.rejections = rejections.counts
    return survey


def sample_by_hash(documents: Iterable[Document], characters_per_domain: int) -> list[Document]:
    """A uniform sample of documents that fits into memory, up to `characters_per_domain` characters of each domain.

    Those with the smallest hashes are drawn until the budget is spent. A document longer than the whole budget is cut
    to it.
    """
    heaps: dict[str, list[tuple[int, int, Document]]] = {}
    sizes: dict[str, int] = {}
    limits: dict[str, int] = {}  # hashes from here on are beyond the budget
    for number, document in enumerate(documents):
        domain = document.domain
        rank = hash_of(document.text)
        if rank >= limits.get(domain, ALL_HASHES):
            continue
        if len(document.text) > characters_per_domain:
            document = replace(document, text=document.text[:characters_per_domain])
        heap = heaps.setdefault(domain, [])
        heapq.heappush(heap, (-rank, number, document))  # the largest hash on top, first to go
        sizes[domain] = sizes.get(domain, 0) + len(document.text)
        while sizes[domain] > characters_per_domain:
            negative_rank, _, dropped = heapq.heappop(heap)
            sizes[domain] -= len(dropped.text)
            limits[domain] = -negative_rank
    return [document for domain in sorted(heaps) for _, _, document in sorted(heaps[domain], key=lambda item: item[:2])]


def in_processes(function: Callable[..., Result], calls: list[tuple], workers: int) -> Iterator[Result]:
    """The results of a function for each tuple of arguments, in order, from processes that end with this one.

    Raises:
        InputError: a process was killed.
    """
    if min(workers, len(calls)) <= 1:
        for call in calls:
            yield function(*call)
        return
    with ProcessPoolExecutor(
        min(workers, len(calls)), get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
    ) as pool:
        futures = [pool.submit(function, *call) for call in calls]
        try:
            for future in futures:
                yield future.result()
        except BrokenProcessPool:
            raise InputError(
                "a process was ended from outside, most often for want of memory; set --workers to fewer"
            ) from None
        finally:
            for future in futures:
                future.cancel()
