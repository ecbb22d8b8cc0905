"""What the report on dialogues counts, while they pass, and from the file of what was set aside."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from ..corpus.languages import identify_language
from .dialogue import Dialogue, Message
from .dialogue_sources import DialogueSource
from .leaked_marks import without_code
from .row_sources import RowSource

FORMAT = "nec13b-dialogues-1"
OPENING_CHARACTERS = 16
OPENINGS = 15
EXAMPLES = 3  # of each source, and of each reason
EXAMPLE_MESSAGES, EXAMPLE_CHARACTERS = 8, 500
FEWEST_CHARACTERS, SURE = 40, 0.8  # of answers whose language is counted; the others are hard to tell
FIELDS = ("train", "held_out", "messages", "characters", "with_system", "with_tools")


class RejectionTally:
    """Cases that were set aside, by reason and source, and the first of each reason as examples.

    Args:
        sources: what was set aside in their files counts for them.
    """

    def __init__(self, sources: Sequence[RowSource]):
        self._label_of_file = {path: source.label for source in sources for path, _ in source.files()}
        self._reasons: dict[str, Counter[str]] = defaultdict(Counter)
        self._examples: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def add(self, row: dict[str, Any], shown: dict[str, Any]) -> None:
        """Counts a row of `rejected.jsonl`.

        Args:
            row: as it stands there.
            shown: what an example shows in place of fields of the row.
        """
        label = row.get("label") or self._label_of_file.get(row["source"], "")
        self._reasons[row["reason"]][label] += 1
        if len(examples := self._examples[row["reason"]]) < EXAMPLES:
            examples.append({**row, **shown})

    def of_source(self, label: str) -> int:
        return sum(by_source[label] for by_source in self._reasons.values())

    def total(self) -> int:
        return sum(by_source.total() for by_source in self._reasons.values())

    def by_reason(self) -> dict[str, dict[str, int]]:
        """Cases by source of each reason, the commonest first."""
        ordered = sorted(self._reasons.items(), key=lambda item: -item[1].total())
        return {reason: dict(by_source) for reason, by_source in ordered}

    def examples(self) -> dict[str, list[dict[str, Any]]]:
        return {reason: self._examples[reason] for reason in self.by_reason()}


class DialogueTally:
    """Counts of what is kept.

    Args:
        sources: from `parse_dialogue_sources`; what was set aside in their files counts for them.
    """

    def __init__(self, sources: list[DialogueSource]):
        self.sources = {source.label: Counter() for source in sources}
        self._set_aside = RejectionTally(sources)
        self.exchanges: Counter[int] = Counter()
        self.lengths: dict[str, Counter[int]] = {"user": Counter(), "assistant": Counter()}
        self.languages: Counter[str] = Counter()
        self.licences: Counter[str] = Counter()
        self.openings: dict[str, Counter[str]] = {"user": Counter(), "assistant": Counter()}
        self._drawn: dict[str, list[tuple[str, Dialogue]]] = defaultdict(list)

    def add(self, dialogue: Dialogue, is_held_out: bool) -> None:
        """Counts a dialogue that is kept."""
        roles = [message["role"] for message in dialogue.messages]
        counts = self.sources[dialogue.source]
        counts["held_out" if is_held_out else "train"] += 1
        counts["messages"] += len(roles)
        counts["characters"] += sum(len(message["content"]) for message in dialogue.messages)
        counts["with_system"] += roles[0] == "system"
        counts["with_tools"] += "tool" in roles
        self.exchanges[roles.count("user")] += 1
        for role, lengths in self.lengths.items():
            said = [message["content"] for message in dialogue.messages if message["role"] == role]
            lengths.update(length_bin(len(content)) for content in said)
            if said:
                self.openings[role][" ".join(said[0].split())[:OPENING_CHARACTERS]] += 1
        self.languages[language_of_answers(dialogue.messages)] += 1
        self.licences[dialogue.licence or "not said"] += 1
        drawn = self._drawn[dialogue.source]
        drawn.append((dialogue.key, dialogue))  # the smallest digests are as good as drawn by lot, and repeatable
        drawn.sort(key=lambda item: item[0])
        del drawn[EXAMPLES:]

    def report(self, rejected: Iterable[dict[str, Any]], masked: dict[str, int], cut: int) -> dict[str, Any]:
        """Everything that the page shows, in JSON's types.

        Args:
            rejected: the rows of `rejected.jsonl`.
            masked: pieces of personal data that were masked, by kind.
            cut: dialogues that were cut after their last answer.
        """
        for row in rejected:
            self._set_aside.add(row, {"messages": shortened(row.get("messages", []), row.get("message"))})
        sources = [
            {"source": label, "set_aside": self._set_aside.of_source(label)} | {name: counts[name] for name in FIELDS}
            for label, counts in self.sources.items()
        ]
        kept = {name: sum(row[name] for row in sources) for name in FIELDS}
        return {
            "format": FORMAT,
            "kept": kept,
            "set_aside": self._set_aside.total(),
            "sources": sources,
            "reasons": self._set_aside.by_reason(),
            "exchanges": {str(n): count for n, count in sorted(self.exchanges.items())},
            "lengths": {role: {str(b): n for b, n in sorted(c.items())} for role, c in self.lengths.items()},
            "languages": dict(self.languages.most_common()),
            "licences": dict(self.licences.most_common()),
            "masked": masked,
            "cut_after_last_answer": cut,
            "openings": {
                role: [[text, count] for text, count in counts.most_common(OPENINGS) if count > 1]
                for role, counts in self.openings.items()
            },
            "examples": {
                "kept": [
                    {"id": d.id, "source": d.source, "messages": shortened(d.messages)}
                    for drawn in self._drawn.values()
                    for _, d in drawn
                ],
                "rejected": self._set_aside.examples(),
            },
        }


def length_bin(length: int) -> int:
    """The power of two from which on a length counts; 0 for nothing."""
    return 1 << (length.bit_length() - 1) if length else 0


def language_of_answers(messages: list[Message]) -> str:
    """The language that the assistant speaks in, where that is sure; code does not count."""
    said = "\n".join(without_code(m["content"]) for m in messages if m["role"] == "assistant").strip()
    language, probability = identify_language(said)
    return language if probability == 1 or (len(said) >= FEWEST_CHARACTERS and probability >= SURE) else "hard to tell"


def shortened(messages: list[dict], wrong: int | None = None) -> list[dict]:
    """The messages as an example shows them; of a long dialogue the beginning, or those up to the wrong one."""
    start = max(0, wrong - EXAMPLE_MESSAGES // 2) if wrong and wrong > EXAMPLE_MESSAGES else 0
    end = min(len(messages), start + EXAMPLE_MESSAGES)
    shown = [{"role": "", "content": f"{start} messages before"}] if start else []
    for number, message in enumerate(messages[start:end], start=start + 1):
        content = message["content"]
        cut = " …" if len(content) > EXAMPLE_CHARACTERS else ""
        shown.append({"role": message["role"], "content": content[:EXAMPLE_CHARACTERS] + cut, "wrong": number == wrong})
    if end < len(messages):
        shown.append({"role": "", "content": f"{len(messages) - end} messages after"})
    return shown
