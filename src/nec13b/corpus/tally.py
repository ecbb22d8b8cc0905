"""Counting what the cleansing has left: one small JSON file a part, made from the rows that were kept and rejected.

The numbers of the report are counted from the files themselves, not while the filters run, so they cannot disagree with
what lies there. Tallies of parts add up to the tally of the corpus, in whatever order they were made.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from ..run_record import read_json, write_json
from .blocks import part_file, read_rows, rules_for
from .documents import SPLITS
from .personal_data import find_personal_data
from .rules import RuleSet
from .sources import CLEAN_DOCUMENTS_NAME

LENGTHS = ("short", "long")
EXAMPLES = 3  # kept of each reason
EXCERPT = 600  # characters of an example
SCORE_BINS = 20
CountTokens = Callable[[str, str], float]


class Tally:
    """Counts by name, and a few examples by reason.

    Counters have names such as `kept/ja/wiki/train` and give documents, characters and so on for each; an example is
    kept if its hash is among the smallest, which is as good as chance and the same in every run.
    """

    def __init__(self):
        self.counts: dict[str, Counter] = {}
        self.examples: dict[str, list[dict]] = {}

    def add(self, name: str, **values: float) -> None:
        self.counts.setdefault(name, Counter()).update(values)

    def add_example(self, name: str, example: dict) -> None:
        self.examples[name] = heapq.nsmallest(EXAMPLES, [*self.examples.get(name, ()), example], key=_order)

    def wants_example(self, name: str, identifier: str) -> bool:
        """Whether an example of that id would be kept."""
        held = self.examples.get(name, ())
        return len(held) < EXAMPLES or _order({"id": identifier}) < _order(held[-1])

    def merge(self, other: "Tally") -> None:
        for name, values in other.counts.items():
            self.counts.setdefault(name, Counter()).update(values)
        for name, examples in other.examples.items():
            for example in examples:
                self.add_example(name, example)

    def to_json(self) -> dict:
        counts = {name: dict(sorted(values.items())) for name, values in sorted(self.counts.items())}
        return {"counts": counts, "examples": dict(sorted(self.examples.items()))}

    @classmethod
    def from_json(cls, value: dict) -> "Tally":
        tally = cls()
        tally.counts = {name: Counter(values) for name, values in value["counts"].items()}
        tally.examples = value["examples"]
        return tally

    def under(self, name: str) -> Iterable[tuple[list[str], Counter]]:
        """(the rest of the name, split at /; the values) of every counter below a name, in order of names."""
        for key in sorted(self.counts):
            if key.startswith(name + "/"):
                yield key[len(name) + 1 :].split("/"), self.counts[key]

    def total(self, name: str, field: str) -> float:
        """The sum of a field over all counters below a name."""
        return sum(values[field] for _, values in self.under(name))


def _order(example: dict) -> str:
    return hashlib.sha1(example["id"].encode()).hexdigest()


def length_bin(characters: int) -> str:
    """The power of two below the length, as text."""
    return str(1 << (max(1, characters).bit_length() - 1))


def excerpt_of(text: str, spans: list[tuple[int, int]]) -> list[list]:
    """About 600 characters of a text around the first of the spans: `[[piece, whether it is a span], ...]`."""
    start = 0
    if spans and spans[0][0] > EXCERPT // 2:
        start = spans[0][0] - EXCERPT // 4
    end = min(len(text), start + EXCERPT)
    pieces, place = [], start
    for first, last in spans:
        first, last = max(first, place), min(last, end)
        if first >= last:
            continue
        if first > place:
            pieces.append([text[place:first], False])
        pieces.append([text[first:last], True])
        place = last
    if place < end:
        pieces.append([text[place:end], False])
    if start > 0 and pieces:
        pieces.insert(0, ["… ", False])
    if end < len(text):
        pieces.append([" …", False])
    return pieces


class TallyPart(PipelineStep):
    """Counts what was kept and what was rejected of a part. One task a part.

    Args:
        output: the folder of the run, with `documents/` and `rejected/` in it.
        work: has the counts of what was read in `read/`, and gets the tallies in `tallies/`, one JSON file a part.
        steps: the folders in `rejected/`, in the order of the filters.
        rule_sets: for marking in the examples what broke a rule.
        count_tokens: (text, domain) to number of tokens.
    """

    type = "📊 - STATS"
    name = "tally"

    def __init__(
        self,
        output: Path,
        work: Path,
        steps: list[str],
        rule_sets: dict[str, RuleSet],
        count_tokens: CountTokens,
    ):
        super().__init__()
        self.output, self.work, self.steps = output, work, steps
        self.rule_sets, self.count_tokens = rule_sets, count_tokens

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> None:
        tally = Tally()
        read = read_json(self.work / "read" / f"{rank:05d}.json", "recipes/clean_corpus.py")
        for source, (documents, characters) in read["sources"].items():
            tally.add(f"read/{source}", documents=documents, characters=characters)
        for reason, documents in read["unreadable"].items():
            tally.add(f"unreadable/{_plain(reason)}", documents=documents)
        for split in SPLITS:
            for length in LENGTHS:
                for row in read_rows(part_file(self.output / CLEAN_DOCUMENTS_NAME / split / length, rank)):
                    self._add_kept(tally, row, length)
        for step in self.steps:
            for row in read_rows(part_file(self.output / "rejected" / step, rank)):
                self._add_rejected(tally, row, step)
        write_json(self.work / "tallies" / f"{rank:05d}.json", tally.to_json())

    def _add_kept(self, tally: Tally, row: dict, length: str) -> None:
        text, domain = row["text"], row["domain"]
        tokens = round(self.count_tokens(text, domain))
        tally.add(
            f"kept/{domain}/{row['source']}/{row['split']}/{length}",
            documents=1, characters=len(text), tokens=tokens,
        )  # fmt: skip
        tally.add(f"lengths/kept/{domain}", **{length_bin(len(text)): 1})
        if "quality" in row:
            tally.add(f"scores/kept/{domain}", **{str(score_bin(row["quality"])): 1})
        if "cut_lines" in row:
            tally.add("changed/cut_lines", documents=1, count=row["cut_lines"])
        if "repaired" in row:
            tally.add("changed/repaired_encoding", documents=1, count=1)
        for kind, count in row.get("masked", {}).items():
            tally.add(f"changed/masked_{kind}", documents=1, count=count)
        if row.get("licence"):
            tally.add(f"licences/{_plain(row['licence'])}", documents=1)
        if row.get("kind"):
            tally.add(f"kinds/{_plain(row['kind'])}", kept=1)
        if tally.wants_example(f"kept/{domain}", row["id"]):
            tally.add_example(f"kept/{domain}", _example(row, []))

    def _add_rejected(self, tally: Tally, row: dict, step: str) -> None:
        text, domain, reason = row["text"], row["domain"] or "unknown", row["reason"]
        tally.add(f"rejected/{step}/{reason}/{domain}", documents=1, characters=len(text))
        tally.add(f"lengths/rejected/{domain}", **{length_bin(len(text)): 1})
        if "quality" in row:  # what a later step drops has passed the learned filter
            side = "rejected" if step == "quality" else "kept"
            tally.add(f"scores/{side}/{domain}", **{str(score_bin(row["quality"])): 1})
        if step == "language":
            tally.add(f"languages/{row['language'] or 'unknown'}", documents=1)
        if row.get("kind"):
            tally.add(f"kinds/{_plain(row['kind'])}", **{step: 1})
        for item in row.get("items", ()):
            tally.add(f"items/{_plain(item)}", documents=1)
        name = f"{step}/{reason}"
        if tally.wants_example(name, row["id"]):
            spans = [(start, end) for start, end in row.get("spans", ())]
            if step == "rules" and (rules := rules_for(self.rule_sets, domain, row["language"])):
                spans = rules.spans(reason, text)
            tally.add_example(name, _example(row, spans))


def _example(row: dict, spans: list[tuple[int, int]]) -> dict:
    return {
        "id": row["id"],
        "url": row.get("url", ""),
        "domain": row["domain"],
        "characters": len(row["text"]),
        "detail": row.get("detail", ""),
        "excerpt": excerpt_of(_without_personal_data(row["text"]), spans),
    }


def _without_personal_data(text: str) -> str:
    """The text with dots, as many as characters, over mail addresses and numbers: reports are passed around."""
    for start, end, _ in find_personal_data(text):
        text = text[:start] + "•" * (end - start) + text[end:]
    return text


def _plain(name: str) -> str:
    """A name that may stand in a counter's."""
    return name.replace("/", " ")


def score_bin(score: float) -> int:
    """Index of the twentieth in which a probability lies."""
    return min(SCORE_BINS - 1, int(score * SCORE_BINS))


def merge_tallies(folder: Path) -> Tally:
    """The tally of the whole corpus, from those of its parts."""
    tally = Tally()
    for path in sorted(folder.glob("*.json")):
        tally.merge(Tally.from_json(read_json(path, "recipes/clean_corpus.py")))
    return tally
