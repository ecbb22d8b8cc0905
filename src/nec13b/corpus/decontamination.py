"""Keeping the questions of the evaluation out of the training text: JSQuAD, JCommonsenseQA, Rakuda, or any other list.

An item is a question. A document contains it where most of the question's n-grams of characters stand close together in
it, so that a copy with other punctuation, or with a few words changed, is found as well. A short question ("What is a
deer?") is a common phrase; it counts where its choices, or one of its answers, follow. What a question is about (a
passage of Wikipedia, in JSQuAD) is no secret, and documents that contain only that are kept.
"""

import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ahocorasick_rs
import numpy as np
from datatrove.data import Document as Row
from datatrove.pipeline.writers.disk_base import DiskWriter

from ..errors import InputError
from .blocks import Reject
from .normalisation import normalise
from .phrases import lower_case
from .profile import NEWLINE, STOP, SYMBOL, TextProfile, hashes_of_ngrams

NGRAM = 8  # characters, about four Japanese words
LONG = 10  # letters: shorter questions are common phrases
SHORTEST = 4  # letters of a question that is looked for at all
REACH = 200  # letters within which the choices or an answer follow a short question
OVERLAP = 0.8  # share of the question's n-grams that must be there
CHOICE = re.compile(r"choice\d+")
QUESTION_FIELDS = ("question", "text", "prompt", "input")


@dataclass(frozen=True)
class Item:
    """One question of an evaluation set.

    Attributes:
        name: `file:id`, for the report.
        question: its text.
        choices: the answers to choose from, if there are any.
        answers: the right answers, in any wording.
    """

    name: str
    question: str
    choices: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


def read_items(path: str | os.PathLike) -> list[Item]:
    """The questions of an evaluation file, JSONL or JSON, plain or .gz.

    A row's question is its field `question`, `text`, `prompt` or `input`, or the first of its `turns`, its choices are
    `choices` or `choice0`, `choice1` and so on; a file in SQuAD's form is taken apart.

    Raises:
        InputError: the file cannot be read, or holds no question.
    """
    path = Path(path)
    name = path.name.split(".")[0]
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode("utf-8-sig")
        items = [item for item in _items(text, name) if item.question.strip()]
    except (OSError, EOFError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"cannot read evaluation items from {path}: {type(error).__name__} {error}") from None
    if not items:
        raise InputError(f"{path} holds no item with a field {', '.join(QUESTION_FIELDS)}")
    return items


def _items(text: str, name: str) -> Iterator[Item]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        whole = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(whole, dict) and "data" in whole:  # SQuAD's form
        for article in whole["data"]:
            for paragraph in article["paragraphs"]:
                for entry in paragraph["qas"]:
                    answers = dict.fromkeys(answer["text"] for answer in entry.get("answers", ()))
                    yield Item(f"{name}:{entry['id']}", entry["question"], answers=tuple(answers))
        return
    for number, row in enumerate([whole] if isinstance(whole, dict) else whole, start=1):
        question = next((row[field] for field in QUESTION_FIELDS if isinstance(row.get(field), str)), None)
        if question is None and isinstance(row.get("turns"), list) and row["turns"]:  # MT-Bench's form, Rakuda's too
            question = str(row["turns"][0])
        if question is not None:
            identifier = next((row[field] for field in ("id", "q_id", "question_id") if field in row), number)
            choices = row.get("choices") or [row[field] for field in sorted(row) if CHOICE.fullmatch(field)]
            yield Item(f"{name}:{identifier}", question, tuple(map(str, choices)) if isinstance(choices, list) else ())


def _letters(text: str) -> tuple[np.ndarray, np.ndarray]:
    """(code points of the letters and digits, lower case, uint64; where each stands in the text)."""
    profile = TextProfile(lower_case(text))
    classes = profile.classes
    places = np.flatnonzero((classes > NEWLINE) & (classes != STOP) & (classes != SYMBOL))
    return profile.codes[places].astype(np.uint64), places


def _string(codes: np.ndarray) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def _letters_of(text: str) -> str:
    return _string(_letters(normalise(text))[0])


class ItemIndex:
    """What is looked for in documents: the n-grams of the long questions, and the short ones with what follows them.

    Attributes:
        items: the questions that are looked for; of those that occur twice, the first.
        not_checked: those that are too short to be looked for, having no choices or answers, or next to no letters.
    """

    def __init__(self, items: list[Item]):
        self.items: list[Item] = []
        self.not_checked: list[Item] = []
        self.sizes: dict[int, int] = {}  # number of n-grams of the long ones
        self.short: dict[str, list[tuple[int, list[str], int]]] = {}  # (item, what follows, how many of it at least)
        grams, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        seen: set[tuple] = set()
        for item in items:
            codes, _ = _letters(normalise(item.question))
            beside = [letters for text in item.choices or item.answers if (letters := _letters_of(text))]
            is_long = len(codes) >= LONG
            key = (codes.tobytes(), () if is_long else tuple(beside))
            if key in seen:
                continue
            seen.add(key)
            if is_long:
                own = np.unique(hashes_of_ngrams(codes, NGRAM))
                grams.append(own)
                owners.append(np.full(len(own), len(self.items), np.int64))
                self.sizes[len(self.items)] = len(own)
            elif beside and len(codes) >= SHORTEST:
                needed = len(beside) if item.choices else 1
                self.short.setdefault(_string(codes), []).append((len(self.items), beside, needed))
            else:
                self.not_checked.append(item)
                continue
            self.items.append(item)
        hashes = np.concatenate(grams)
        order = np.argsort(hashes, kind="stable")
        self.hashes = hashes[order]
        self.owners = np.concatenate(owners)[order]
        self._automaton = None

    def __getstate__(self) -> dict:  # the automaton is built anew in another process
        return {**self.__dict__, "_automaton": None}

    def __deepcopy__(self, memo) -> "ItemIndex":
        return self  # nothing in it changes

    def find(self, text: str) -> list[tuple[int, int, int, float]]:
        """The questions that a text contains.

        Returns:
            (start, end, index of the item, share of its n-grams that is there) for each, in order of place.
        """
        codes, places = _letters(text)
        found = self._find_long(codes) + self._find_short(codes)
        return sorted(
            (int(places[begin]), int(places[end - 1]) + 1, owner, share) for begin, end, owner, share in found
        )

    def _find_short(self, codes: np.ndarray) -> list[tuple[int, int, int, float]]:
        if not self.short:
            return []
        if self._automaton is None:
            self._automaton = ahocorasick_rs.AhoCorasick(
                list(self.short), implementation=ahocorasick_rs.Implementation.ContiguousNFA
            )
        letters = _string(codes)
        found: dict[int, tuple[int, int, int, float]] = {}
        questions = list(self.short)
        for index, begin, end in self._automaton.find_matches_as_indexes(letters, overlapping=True):
            following = letters[end : end + REACH]
            for owner, beside, needed in self.short[questions[index]]:
                if owner not in found and sum(text in following for text in beside) >= needed:
                    found[owner] = (begin, end, owner, 1.0)
        return list(found.values())

    def _find_long(self, codes: np.ndarray) -> list[tuple[int, int, int, float]]:
        if not len(self.hashes) or len(codes) < NGRAM:
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
                found.append((begin, min(end + NGRAM, len(codes)), owner, count / self.sizes[owner]))
        return found


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


class DropContaminated(Reject):
    """Drops documents that contain a question of an evaluation set.

    Args:
        index: the questions.
        exclusion_writer: takes the documents that are dropped, with the items they contain.
    """

    name = "decontamination"

    def __init__(self, index: ItemIndex, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.index = index

    def filter(self, row: Row) -> bool | tuple[bool, str]:
        found = self.index.find(row.text)
        if not found:
            return True
        names = [self.index.items[owner].name for _, _, owner, _ in found]
        row.metadata["items"] = names
        detail = f"contains {len(names)} items: {', '.join(names[:5])}"
        return self.reject(row, self.name, detail, [(start, end) for start, end, _, _ in found])
