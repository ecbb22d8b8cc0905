"""What is asked about a dialogue that a model wrote: take it, mend it, or leave it out.

The decisions go where the amplification looks for them, `reviewed.jsonl` in its folder. Each is in the campaign's file
first; its line carries the token of the page, so that a line which a power cut kept from being written is written at
the next start, and none is written twice.
"""

import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..augmentation.review_queue import (
    ACCEPT,
    DECISIONS_NAME,
    EDIT,
    QUEUE_NAME,
    REJECT,
    WITHDRAW,
    fault_of_edit,
)
from ..errors import InputError
from ..preferences.judgement import REASONS
from .campaign import Campaign, StoredJudgement, Task
from .campaign_log import UNDONE
from .judgement_form import UnusableForm, written

CHOICES = (ACCEPT, EDIT, REJECT)


class ReviewQuestions:
    """Dialogues that await review as the tasks of a campaign.

    Args:
        folder: of an amplification.
    """

    template = "review.html.j2"

    def __init__(self, folder: Path):
        self.path, self.decisions = folder / QUEUE_NAME, folder / DECISIONS_NAME
        self._lock, self._known, self._number = threading.Lock(), None, 0

    def tasks(self) -> list[Task]:
        """The dialogues that await review; raises InputError with the line of one that is none."""
        tasks = []
        try:
            with self.path.open(encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        try:
                            tasks.append(_task_of_row(json.loads(line)))
                        except (ValueError, TypeError, KeyError):
                            raise InputError(
                                f"{self.path}, line {number} is no dialogue that awaits review; "
                                "make the file anew with recipes/augment_dialogues.py"
                            ) from None
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be read ({error.strerror}); recipes/augment_dialogues.py makes it"
            ) from None
        return tasks

    def view(self, task: Task, annotator: str, before: StoredJudgement | None) -> dict[str, Any]:
        """What the template shows: the dialogue, what the model wrote marked, and the seed it was made of."""
        row, said = task.row, before.content if before else {}
        messages = said.get("messages") or row["messages"]
        about = {name: row[name] for name in ("operation", "topic", "persona", "score") if row.get(name) is not None}
        return {
            "messages": [
                {**original, "edited": message["content"], "new": i >= row["new_from"]}
                for i, (original, message) in enumerate(zip(row["messages"], messages))
            ],
            "seed": row.get("seed_messages", []),
            "about": about,
            "choices": CHOICES,
            "reasons": REASONS,
            "said": {
                "choice": said.get("decision", ""),
                "reasons": said.get("reasons", []),
                "comment": said.get("comment", ""),
            },
        }

    def content(self, form: Mapping[str, Any], chosen_reasons: Iterable[str], task: Task, annotator: str) -> dict:
        """The decision that a form holds; raises UnusableForm."""
        comment = written(form, "comment")
        if form.get("skip"):
            return {"decision": "skipped", "comment": comment}
        choice, row = form.get("choice", ""), task.row
        if choice not in CHOICES:
            raise UnusableForm("choose_first")
        content: dict[str, Any] = {"decision": choice, "comment": comment}
        if choice == REJECT:
            content["reasons"] = [reason for reason in REASONS if reason in set(chosen_reasons)]
        if choice == EDIT:
            messages = [
                {**message, "content": written(form, f"message_{i}")} if i >= row["new_from"] else message
                for i, message in enumerate(row["messages"])
            ]
            if fault_of_edit(messages):
                raise UnusableForm("bad_edit")
            same = all(
                one["content"].strip() == other["content"].replace("\r\n", "\n").strip()
                for one, other in zip(messages, row["messages"])
            )
            content |= {"decision": ACCEPT} if same else {"messages": messages}
        return content

    def counts(self, content: Mapping[str, Any]) -> bool:
        """Whether the dialogue is decided; one that was skipped waits for another reviewer."""
        return content["decision"] != "skipped"

    def after(self, campaign: Campaign) -> None:
        """Appends the decisions that `reviewed.jsonl` does not hold yet."""
        with self._lock:
            if self._known is None:
                self._known = self._tokens_in_file()
            lines = []
            for kind, judgement in campaign.decisions_after(self._number):
                self._number = judgement.number
                key = (judgement.token, kind == UNDONE)
                if key not in self._known and (kind == UNDONE or judgement.counts):
                    lines.append(_line(kind, judgement))
                self._known.add(key)
            if lines:
                self._append("".join(lines))

    def _tokens_in_file(self) -> set[tuple[str, bool]]:
        known = set()
        if self.decisions.is_file():
            with self.decisions.open("rb") as file:
                for line in file:
                    try:
                        row = json.loads(line)
                        known.add((row["token"], row["decision"] == WITHDRAW))
                    except (ValueError, TypeError, KeyError):
                        continue  # somebody else's, or a line that was cut
        return known

    def _append(self, lines: str) -> None:
        with self.decisions.open("ab+") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a line that was cut keeps its place, and does not swallow this one
                    file.write(b"\n")
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())


def _task_of_row(row: Any) -> Task:
    if not isinstance(row["id"], str) or not row["messages"] or not 0 <= row["new_from"] < len(row["messages"]):
        raise ValueError
    for message in [*row["messages"], *row.get("seed_messages", [])]:
        if not isinstance(message["role"], str) or not isinstance(message["content"], str):
            raise ValueError
    return Task(row["id"], row)


def _line(kind: str, judgement: StoredJudgement) -> str:
    said = {} if kind == UNDONE else judgement.content
    row = {
        "id": judgement.task,
        "decision": WITHDRAW if kind == UNDONE else said["decision"],
        "messages": said.get("messages"),
        "reasons": said.get("reasons"),
        "comment": said.get("comment"),
        "reviewer": judgement.annotator,
        "time": judgement.time,
        "token": judgement.token,
    }
    return json.dumps({name: value for name, value in row.items() if value}, ensure_ascii=False) + "\n"
