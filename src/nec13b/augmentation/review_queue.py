"""What people have to say: the queue of kept items that await review, and the decisions that come back.

The paper's amplification is semi-automatic: a model writes, people decide. `review.jsonl` holds an item a line:

    {"id": "augmented/1-000017", "messages": [...], "new_from": 1, "operation": "persona", "score": 4, "language": "ja",
     "seed_id": "sample/ja.jsonl:12", "seed_messages": [...], "model": "...", "round": 1}

`messages` from index `new_from` on were written by the model. A page, a script or an editor appends decisions to
`reviewed.jsonl`, one a line:

    {"id": "augmented/1-000017", "decision": "accept"}
    {"id": "augmented/1-000018", "decision": "reject", "comment": "The sum is wrong."}
    {"id": "augmented/1-000019", "decision": "edit", "messages": [...], "reviewer": "...", "time": "..."}
    {"id": "augmented/1-000018", "decision": "withdraw"}

`edit` accepts the item with these messages in place of its own. Of several decisions on an item the last one counts, so
a person may think again; after `withdraw` it awaits one, as before. `reviewer`, `time` and `comment` are free and
optional. The recipe, run again, takes what was decided into `dialogues.jsonl` and leaves the rest in the queue.
"""

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ..corpus import Rejections
from ..corpus.documents import LONE_SURROGATE
from ..dialogues.dialogue import Dialogue, Message
from ..dialogues.dialogue_shapes import NotADialogue, messages_of_row
from ..dialogues.leaked_marks import leaked_mark
from ..whole_files import whole_file
from .outcome_journal import Outcome

QUEUE_NAME, DECISIONS_NAME, RESULT_NAME = "review.jsonl", "reviewed.jsonl", "dialogues.jsonl"
ACCEPT, REJECT, EDIT, WITHDRAW = DECISIONS = ("accept", "reject", "edit", "withdraw")


@dataclass(frozen=True)
class Decision:
    """What a person decided on an item; `messages` only where they were edited."""

    id: str
    decision: str
    messages: list[Message] | None = None
    reviewer: str = ""
    time: str = ""
    comment: str = ""


def read_decisions(path: Path, rejections: Rejections) -> dict[str, Decision]:
    """The last decision on each item, by its id.

    Args:
        path: `reviewed.jsonl`; where it is missing, nothing is decided.
        rejections: takes note of each line that is no decision, with the reason.
    """
    decisions: dict[str, Decision] = {}
    if not path.is_file():
        return decisions
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                decision = _decision(json.loads(line.decode("utf-8-sig")))
            except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
                rejections.add(str(path), number, "broken JSON", line)
            except ValueError as error:
                rejections.add(str(path), number, str(error), line)
            else:
                decisions[decision.id] = decision
                if decision.decision == WITHDRAW:
                    del decisions[decision.id]
    return decisions


def _decision(row: Any) -> Decision:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise ValueError("no id")
    if row.get("decision") not in DECISIONS:
        raise ValueError(f"decision is not one of {', '.join(DECISIONS)}")
    messages = None
    if row["decision"] == EDIT:
        try:
            messages = messages_of_row({"messages": row.get("messages")}, "messages")
        except NotADialogue as error:
            raise ValueError(f"an edit without messages: {error}") from None
        if fault := fault_of_edit(messages):
            raise ValueError(f"the edited messages cannot be used: {fault}")
    free = {name: str(row[name]) for name in ("reviewer", "time", "comment") if row.get(name)}
    return Decision(row["id"], row["decision"], messages, **free)


def fault_of_edit(messages: list[Message]) -> str:
    """Why edited messages cannot be taken; empty where they can."""
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or len(turns) % 2 or turns != ["user", "assistant"] * (len(turns) // 2):
        return "user and assistant must alternate, and the assistant come last"
    for number, message in enumerate(messages, start=1):
        if not message["content"].strip():
            return f"message {number} is empty"
        if mark := leaked_mark(message["content"]):
            return f"message {number} holds {mark}"
        if LONE_SURROGATE.search(message["content"]):
            return f"message {number} is not valid Unicode"
    return ""


@dataclass
class ReviewFiles:
    """The queue and the result of a run, written in one pass over its kept items.

    Attributes:
        folder: of the run.
        decisions: from `read_decisions`.
        seeds: the messages of each seed and kept item, by id.
        take_unreviewed: whether items without a decision go into the result, too.
    """

    folder: Path
    decisions: Mapping[str, Decision]
    seeds: Mapping[str, list[Message]]
    take_unreviewed: bool

    def write(self, kept: Iterable[Outcome]) -> dict[str, int]:
        """Writes `review.jsonl` and `dialogues.jsonl`, each replaced when whole.

        Returns:
            How many items were accepted, edited, rejected, are waiting; `result` those in the result; and `unknown`,
            the decisions on items that are not there.
        """
        counts: Counter[str] = Counter(accepted=0, edited=0, rejected=0, waiting=0, result=0)
        known = 0
        with _new_file(self.folder / QUEUE_NAME) as queue, _new_file(self.folder / RESULT_NAME) as result:
            for outcome in kept:
                decision = self.decisions.get(outcome.dialogue.id)
                known += decision is not None
                dialogue = self._decided(outcome.dialogue, decision)
                if decision is None:
                    counts["waiting"] += 1
                    queue.write(json.dumps(self._queue_row(outcome), ensure_ascii=False) + "\n")
                else:
                    counts[{ACCEPT: "accepted", EDIT: "edited", REJECT: "rejected"}[decision.decision]] += 1
                if dialogue is not None:
                    counts["result"] += 1
                    result.write(json.dumps(dialogue.to_row(), ensure_ascii=False) + "\n")
        return {**counts, "unknown": len(self.decisions) - known}

    def _decided(self, dialogue: Dialogue, decision: Decision | None) -> Dialogue | None:
        """The dialogue as it goes into the result; None where it does not."""
        if decision is None:
            return dialogue if self.take_unreviewed else None
        if decision.decision == REJECT:
            return None
        review = {name: getattr(decision, name) for name in ("decision", "reviewer", "time")}
        provenance = {**dialogue.provenance, "review": {name: value for name, value in review.items() if value}}
        return dataclasses.replace(dialogue, messages=decision.messages or dialogue.messages, provenance=provenance)

    def _queue_row(self, outcome: Outcome) -> dict[str, Any]:
        dialogue, provenance = outcome.dialogue, outcome.dialogue.provenance
        return {
            "id": dialogue.id,
            "messages": dialogue.messages,
            "new_from": outcome.new_from,
            "language": dialogue.language,
            **{name: provenance.get(name) for name in ("operation", "topic", "persona") if provenance.get(name)},
            **{name: provenance.get(name) for name in ("score", "seed_id", "model", "round")},
            "seed_messages": self.seeds.get(provenance.get("seed_id", ""), []),
        }


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A text file that takes the place of an old one when it is whole."""
    with whole_file(path) as building, building.open("w", encoding="utf-8", errors="backslashreplace") as file:
        yield file
