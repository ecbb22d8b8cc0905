"""Keeping the questions of the evaluation out of the training text: JSQuAD, JCommonsenseQA, Rakuda, or any other list.

An item is a question. A document contains it where most of the question's n-grams of characters stand close together in
it, so that a copy with other punctuation, or with a few words changed, is found as well. What a question is about (a
passage of Wikipedia, in JSQuAD) is no secret, and documents that contain only that are kept.
"""

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datatrove.data import Document as Row
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from ..errors import InputError
from .normalisation import normalise
from .profile import hashes_of_ngrams

NGRAM = 8  # characters, about four Japanese words
LEAST_CHARACTERS = 10  # shorter questions are common phrases
OVERLAP = 0.8  # share of the question's n-grams that must be there
QUESTION_FIELDS = ("question", "text", "prompt", "input")


@dataclass(frozen=True)
class Item:
    """One question of an evaluation set.

    Attributes:
        name: `file:id`, for the report.
        question: its text.
    """

    name: str
    question: str


def read_items(path: str | os.PathLike) -> list[Item]:
    """The questions of an evaluation file, JSONL or JSON, plain or .gz.

    A row's question is its field `question`, `text`, `prompt` or `input`, or the first of its `turns`; a file in
    SQuAD's form is taken apart.

    Raises:
        InputError: the file cannot be read, or holds no question.
    """
    path = Path(path)
    name = path.name.split(".")[0]
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode("utf-8-sig")
        questions = list(_questions(text))
    except (OSError, EOFError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"cannot read evaluation items from {path}: {type(error).__name__} {error}") from None
    items = [Item(f"{name}:{identifier}", question) for identifier, question in questions if question.strip()]
    if not items:
        raise InputError(f"{path} holds no item with a field {', '.join(QUESTION_FIELDS)}")
    return items


def _questions(text: str) -> Iterator[tuple[str, str]]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        whole = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(whole, dict) and "data" in whole:  # SQuAD's form
        for article in whole["data"]:
            for paragraph in article["paragraphs"]:
                yield from ((str(entry["id"]), entry["question"]) for entry in paragraph["qas"])
        return
    for number, row in enumerate([whole] if isinstance(whole, dict) else whole, start=1):
        question = next((row[name] for name in QUESTION_FIELDS if isinstance(row.get(name), str)), None)
        if question is None and isinstance(row.get("turns"), list) and row["turns"]:  # MT-Bench's form, Rakuda's too
            question = str(row["turns"][0])
        if question is not None:
            identifier = next((row[name] for name in ("id", "q_id", "question_id") if name in row), number)
            yield str(identifier), question


def _letters(text: str) -> tuple[np.ndarray, np.ndarray]:
    """(code points of the letters and digits, lower case; where each stands in the text)."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = text
    codes = np.frombuffer(lower.encode("utf-32-le", "surrogatepass"), np.uint32)
    places = np.flatnonzero(np.fromiter(map(str.isalnum, lower), bool, len(lower)))
    return codes[places].astype(np.uint64), places


class ItemIndex:
    """The n-grams of all questions, for looking them up in documents.

    Args:
        items: the questions; those of fewer than ten letters are left out, as are those that occur twice.
    """

    def __init__(self, items: list[Item]):
        self.items: list[Item] = []
        grams, owners, self.sizes = [], [], []
        seen: set[bytes] = set()
        for item in items:
            codes, _ = _letters(normalise(item.question))
            if len(codes) < LEAST_CHARACTERS or codes.tobytes() in seen:
                continue
            seen.add(codes.tobytes())
            own = np.unique(hashes_of_ngrams(codes, NGRAM))
            grams.append(own)
            owners.append(np.full(len(own), len(self.items), np.int64))
            self.sizes.append(len(own))
            self.items.append(item)
        hashes = np.concatenate([np.zeros(0, np.uint64), *grams])
        order = np.argsort(hashes, kind="stable")
        self.hashes = hashes[order]
        self.owners = np.concatenate([np.zeros(0, np.int64), *owners])[order]

    def __deepcopy__(self, memo) -> "ItemIndex":
        return self  # nothing in it changes

    def find(self, text: str) -> list[tuple[int, int, int, float]]:
        """The questions that a text contains.

        Returns:
            (start, end, index of the item, share of its n-grams that is there) for each, in order of place.
        """
        if not len(self.hashes) or len(text) < LEAST_CHARACTERS:
            return []
        codes, places = _letters(text)
        if len(codes) < NGRAM:
            return []
        grams = hashes_of_ngrams(codes, NGRAM)
        first = np.searchsorted(self.hashes, grams)
        hit = np.flatnonzero(self.hashes[np.minimum(first, len(self.hashes) - 1)] == grams)
        if not len(hit):
            return []
        last = np.searchsorted(self.hashes, grams[hit], side="right")
        where: dict[int, list[tuple[int, int]]] = {}
        for place, begin, end in zip(hit.tolist(), first[hit].tolist(), last.tolist()):
            for owner in self.owners[begin:end].tolist():
                where.setdefault(owner, []).append((place, int(grams[place])))
        found = []
        for owner, hits in where.items():
            needed = max(1, int(np.ceil(OVERLAP * self.sizes[owner])))
            if len({gram for _, gram in hits}) < needed:
                continue
            span = _densest(hits, reach=2 * (self.sizes[owner] + NGRAM), needed=needed)
            if span:
                begin, end, count = span
                stop = int(places[min(end + NGRAM, len(places)) - 1]) + 1
                found.append((int(places[begin]), stop, owner, count / self.sizes[owner]))
        return sorted(found)


def _densest(hits: list[tuple[int, int]], reach: int, needed: int) -> tuple[int, int, int] | None:
    """The first stretch of at most `reach` places with at least `needed` different n-grams: (begin, end, how many)."""
    begin = 0
    inside: dict[int, int] = {}
    for end, (place, gram) in enumerate(hits):
        inside[gram] = inside.get(gram, 0) + 1
        while place - hits[begin][0] > reach:
            gone = hits[begin][1]
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            begin += 1
        complete = end + 1 == len(hits) or hits[end + 1][0] - hits[begin][0] > reach or hits[end + 1][1] in inside
        if len(inside) >= needed and complete:
            return hits[begin][0], place, len(inside)
    return None


class DropContaminated(BaseFilter):
    """Drops documents that contain a question of an evaluation set.

    Args:
        index: the questions.
        exclusion_writer: takes the documents that are dropped, with the items they contain.
    """

    name = "decontamination"

    def __init__(self, index: ItemIndex, exclusion_writer: DiskWriter):
        super().__init__(exclusion_writer)
        self.index = index

    def filter(self, doc: Row) -> bool | tuple[bool, str]:
        found = self.index.find(doc.text)
        if not found:
            return True
        items = [self.index.items[owner] for _, _, owner, _ in found]
        doc.metadata["reason"] = "decontamination"
        doc.metadata["detail"] = f"contains {len(items)} items: {', '.join(item.name for item in items[:5])}"
        doc.metadata["items"] = [item.name for item in items]
        for item in items:
            self.stat_update(item.name.split(":")[0])
        return False, items[0].name.split(":")[0]
