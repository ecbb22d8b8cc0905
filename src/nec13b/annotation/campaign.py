"""Who judges what: each task goes to so many people, once to each, and nobody's judgement is lost or counted twice.

A task that is shown is leased to its reader, and gets a token. A judgement names its token, so a double click, a
repeated request or a page that was closed and opened again give the same judgement. A lease that ran out may be
given to somebody else; what then still comes under the old token counts only while there is room, and else stays in
the log as late.
"""

import hashlib
import json
import math
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import InputError
from .campaign_log import JUDGED, LATE, SHOWN, UNDONE, CampaignLog

RECORDED, KNOWN, TOO_LATE, STRANGE = "recorded", "known", "too_late", "strange"


@dataclass(frozen=True)
class Task:
    """What somebody is asked.

    Attributes:
        id: unique in a campaign.
        row: what it is about, as a JSON object.
        is_check: its answer is known; everybody gets it, whatever others said, to see whether they keep their measure.
    """

    id: str
    row: dict[str, Any]
    is_check: bool = False


@dataclass(frozen=True)
class ShownTask:
    """A task on somebody's page, under the token that its judgement will name."""

    task: Task
    token: str


@dataclass(frozen=True)
class StoredJudgement:
    """A judgement out of the log.

    Attributes:
        number: its place in the log.
        token: under which it was made.
        task, annotator: what was judged, and by whom.
        content: what was said, as a JSON object.
        counts: whether it is one of those that the task needs; one that was skipped is not.
        seconds: how long the page was looked at; None where nobody knows.
        time: when, ISO 8601 in UTC.
    """

    number: int
    token: str
    task: str
    annotator: str
    content: dict[str, Any]
    counts: bool
    seconds: float | None
    time: str


@dataclass(frozen=True)
class Progress:
    """How far somebody is: `done` by them, `left` for them as things stand, and `judged` of the `wanted` by all."""

    done: int
    left: int
    judged: int
    wanted: int


class Campaign:
    """Tasks, and what people say of them.

    Args:
        path: the campaign's file.
        judgements_per_task: how many people judge each.
        lease_seconds: how long a task that was opened waits for its judgement before another may get it.
        check_every: after so many judgements of a person comes one of the checks.
        now: the clock, in seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        judgements_per_task: int = 1,
        lease_seconds: float = 1800,
        check_every: int = 10,
        now: Callable[[], float] = time.time,
    ):
        self.log = CampaignLog(path)
        self.judgements_per_task, self.lease_seconds, self.check_every = judgements_per_task, lease_seconds, check_every
        self.now = now

    def take_in(self, tasks: Iterable[Task], changed: str = "start a new campaign") -> int:
        """Makes these the tasks that are asked; others, of an earlier call, are asked no longer, but kept.

        Args:
            tasks: all of them.
            changed: what to do where a task is not what it was.

        Returns:
            How many are new.

        Raises:
            InputError: a task was changed after it was taken in.
        """
        new = 0
        with self.log.writing() as connection:
            known = {row["id"]: row["row"] for row in connection.execute("SELECT id, row FROM tasks")}
            connection.execute("UPDATE tasks SET open = 0")
            for task in tasks:
                row = json.dumps(task.row, sort_keys=True)
                if known.get(task.id, row) != row:
                    raise InputError(f"{task.id!r} is no longer what {self.log.path} has as {task.id!r}; {changed}")
                new += task.id not in known
                connection.execute(
                    "INSERT INTO tasks VALUES (?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET open = 1, "
                    "is_check = excluded.is_check",
                    (task.id, row, task.is_check),
                )
        return new

    def task_for(self, annotator: str) -> ShownTask | None:
        """What somebody should judge now: what they have open, else another task; None where there is none for them."""
        with self.log.writing() as connection:
            lease = connection.execute("SELECT * FROM leases WHERE annotator = ?", (annotator,)).fetchone()
            within = self._tasks_for(connection, annotator)
            if lease and lease["task"] in within:
                task, token = lease["task"], lease["token"]
            else:
                task, token = self._next_of(connection, annotator, within), secrets.token_urlsafe(16)
                if task is None:
                    connection.execute("DELETE FROM leases WHERE annotator = ?", (annotator,))
                    return None
                self._note(connection, SHOWN, token, task, annotator)
            self._lease(connection, annotator, task, token)
            return ShownTask(_task(connection, task), token)

    def shown(self, token: str, annotator: str) -> ShownTask | None:
        """The task that was shown to somebody under a token; None where it was not."""
        with self.log.reading() as connection:
            row = _shown_row(connection, token, annotator)
            return row and ShownTask(_task(connection, row["task"]), token)

    def judge(
        self, token: str, annotator: str, content: dict[str, Any], counts: bool = True, seconds: float | None = None
    ) -> str:
        """Takes note of a judgement.

        Args:
            token: under which the task was shown.
            annotator: whom it was shown to.
            content: what is said, as a JSON object.
            counts: whether it is one of those that the task needs.
            seconds: how long the page was looked at, as the page says.

        Returns:
            `recorded`; `known`, this token's, or this person's, judgement of the task stands already; `too_late`,
            others have judged in the meantime; `strange`, nothing was shown under the token.
        """
        with self.log.writing() as connection:
            shown = _shown_row(connection, token, annotator)
            if shown is None:
                return STRANGE
            task = shown["task"]
            taken = connection.execute(
                "SELECT 1 FROM events WHERE token = ? AND kind != 'shown' UNION ALL "
                "SELECT 1 FROM current WHERE task = ? AND annotator = ?",
                (token, task, annotator),
            ).fetchone()
            if taken:
                return KNOWN
            elapsed = max(0.0, self.now() - datetime.fromisoformat(shown["time"]).timestamp())
            known = seconds is not None and math.isfinite(seconds)
            seconds = round(min(max(seconds, 0.0), elapsed) if known else elapsed, 2)
            late = counts and task not in self._tasks_for(connection, annotator)
            self._note(connection, LATE if late else JUDGED, token, task, annotator, content, counts, seconds)
            connection.execute("DELETE FROM leases WHERE annotator = ? AND task = ?", (annotator, task))
            return TOO_LATE if late else RECORDED

    def take_back(self, annotator: str, token: str) -> bool:
        """Takes back a judgement, and opens its task again for the same person; whether there was one to take back."""
        with self.log.writing() as connection:
            row = connection.execute(
                "SELECT * FROM current WHERE token = ? AND annotator = ?", (token, annotator)
            ).fetchone()
            if row is None:
                return False
            self._note(connection, UNDONE, token, row["task"], annotator)
            again = secrets.token_urlsafe(16)
            self._note(connection, SHOWN, again, row["task"], annotator)
            self._lease(connection, annotator, row["task"], again)
            return True

    def last_of(self, annotator: str) -> StoredJudgement | None:
        """Somebody's latest judgement that stands."""
        with self.log.reading() as connection:
            row = connection.execute(
                "SELECT * FROM current WHERE annotator = ? ORDER BY number DESC LIMIT 1", (annotator,)
            ).fetchone()
            return row and _judgement(row)

    def taken_back_of(self, annotator: str, task: str) -> StoredJudgement | None:
        """What somebody had said of a task before they took it back; None where they had not."""
        with self.log.reading() as connection:
            row = connection.execute(
                "SELECT * FROM events WHERE annotator = ? AND task = ? AND kind = 'judged' ORDER BY number DESC",
                (annotator, task),
            ).fetchone()
            return row and _judgement(row)

    def progress_of(self, annotator: str) -> Progress:
        """How far somebody is."""
        with self.log.reading() as connection:
            done, checks = _done_by(connection, annotator)
            within = self._tasks_for(connection, annotator).values()
            ordinary = sum(not row["is_check"] for row in within)
            checks_to_come = max(0, self._checks_due(done - checks + ordinary) - checks)
            left = ordinary + min(len(within) - ordinary, checks_to_come)
            return Progress(done, left, *self._judged_and_wanted(connection))

    def judged_and_wanted(self) -> tuple[int, int]:
        """How many judgements there are, and are wanted, of tasks that are asked; checks aside."""
        with self.log.reading() as connection:
            return self._judged_and_wanted(connection)

    def _judged_and_wanted(self, connection: sqlite3.Connection) -> tuple[int, int]:
        judged, tasks = connection.execute(
            "SELECT coalesce(sum(min(?, (SELECT count(*) FROM current WHERE task = tasks.id AND counts))), 0), "
            "count(*) FROM tasks WHERE open AND NOT is_check",
            (self.judgements_per_task,),
        ).fetchone()
        return judged, tasks * self.judgements_per_task

    def tasks(self) -> Iterator[Task]:
        """All tasks, those that are asked no longer, too."""
        with self.log.reading() as connection:
            for row in connection.execute("SELECT * FROM tasks ORDER BY id"):
                yield Task(row["id"], json.loads(row["row"]), bool(row["is_check"]))

    def judgements(self) -> list[StoredJudgement]:
        """The judgements that stand, in the order in which they were made."""
        with self.log.reading() as connection:
            return [_judgement(row) for row in connection.execute("SELECT * FROM current ORDER BY number")]

    def decisions_after(self, number: int) -> list[tuple[str, StoredJudgement]]:
        """What was judged, or taken back, after an event, in order: (`judged` or `undone`, it)."""
        query = "SELECT * FROM events WHERE number > ? AND kind IN ('judged', 'undone') ORDER BY number"
        with self.log.reading() as connection:
            return [(row["kind"], _judgement(row)) for row in connection.execute(query, (number,))]

    def counts_by_annotator(self, kind: str) -> dict[str, int]:
        """How many events of a kind (`undone`, `late`) each person has."""
        with self.log.reading() as connection:
            query = "SELECT annotator, count(*) AS n FROM events WHERE kind = ? GROUP BY annotator"
            return {row["annotator"]: row["n"] for row in connection.execute(query, (kind,))}

    def take_in_judgement(
        self, task: str, annotator: str, content: dict[str, Any], counts: bool, seconds: float | None, time: str
    ) -> str:
        """Takes note of a judgement that was made elsewhere: `recorded`, `known`, or `strange`, as of an unknown task.

        The same judgement, taken in once more, is known; and so is another one of the same person on the same task.
        """
        said = json.dumps([task, annotator, content, time], sort_keys=True)
        token = "import-" + hashlib.sha256(said.encode()).hexdigest()[:32]
        with self.log.writing() as connection:
            if not connection.execute("SELECT 1 FROM tasks WHERE id = ?", (task,)).fetchone():
                return STRANGE
            if connection.execute(
                "SELECT 1 FROM events WHERE token = ? UNION ALL SELECT 1 FROM current WHERE task = ? AND annotator = ?",
                (token, task, annotator),
            ).fetchone():
                return KNOWN
            self._note(connection, JUDGED, token, task, annotator, content, counts, seconds, time)
            return RECORDED

    def _tasks_for(self, connection: sqlite3.Connection, annotator: str) -> dict[str, sqlite3.Row]:
        """The tasks that somebody may get, with how many judgements count for each."""
        rows = connection.execute(
            """
            SELECT tasks.id, tasks.is_check, coalesce(judged.n, 0) AS judged FROM tasks
            LEFT JOIN (SELECT task, count(*) AS n, max(annotator = :me) AS mine FROM current WHERE counts GROUP BY task)
                AS judged ON judged.task = tasks.id
            LEFT JOIN (SELECT task, count(*) AS n FROM leases WHERE annotator != :me AND until > :now GROUP BY task)
                AS leased ON leased.task = tasks.id
            WHERE tasks.open AND (tasks.is_check OR coalesce(judged.n, 0) + coalesce(leased.n, 0) < :enough)
            AND NOT coalesce(judged.mine, 0)
            AND NOT EXISTS (SELECT 1 FROM current WHERE task = tasks.id AND annotator = :me AND NOT counts)
            """,
            {"me": annotator, "now": self.now(), "enough": self.judgements_per_task},
        )
        return {row["id"]: row for row in rows}

    def _next_of(self, connection: sqlite3.Connection, annotator: str, within: dict[str, sqlite3.Row]) -> str | None:
        """A check where one is due; else a task that others have begun, so that it gets whole; else any, by chance."""
        done, checks = _done_by(connection, annotator)
        due = checks < self._checks_due(done - checks)
        rows = [row for row in within.values() if not row["is_check"] or due]
        if not rows:
            return None
        return min(rows, key=lambda row: (not row["is_check"], not row["judged"], chance(annotator, row["id"])))["id"]

    def _checks_due(self, done: int) -> int:
        """How many checks somebody should have had after so many judgements of other tasks."""
        return (done + self.check_every // 2) // self.check_every

    def _lease(self, connection: sqlite3.Connection, annotator: str, task: str, token: str) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)",
            (annotator, task, token, self.now() + self.lease_seconds),
        )

    def _note(
        self, connection, kind, token, task, annotator, content=None, counts=False, seconds=None, time=None
    ) -> None:
        time = time or datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="milliseconds")
        connection.execute(
            "INSERT INTO events (kind, token, task, annotator, content, counts, seconds, time) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (kind, token, task, annotator, json.dumps(content or {}), counts, seconds, time),
        )


def chance(*parts: str) -> float:
    """A number from 0 to 1 that is the same for the same words, and as good as random otherwise."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _done_by(connection: sqlite3.Connection, annotator: str) -> tuple[int, int]:
    """How many judgements of somebody stand, and how many of these are of checks."""
    return connection.execute(
        "SELECT count(*), coalesce(sum(is_check), 0) FROM current JOIN tasks ON tasks.id = task WHERE annotator = ?",
        (annotator,),
    ).fetchone()


def _shown_row(connection: sqlite3.Connection, token: str, annotator: str) -> sqlite3.Row | None:
    return connection.execute(
        "SELECT * FROM events WHERE token = ? AND kind = 'shown' AND annotator = ?", (token, annotator)
    ).fetchone()


def _task(connection: sqlite3.Connection, task: str) -> Task:
    row = connection.execute("SELECT * FROM tasks WHERE id = ?", (task,)).fetchone()
    return Task(row["id"], json.loads(row["row"]), bool(row["is_check"]))


def _judgement(row: sqlite3.Row) -> StoredJudgement:
    return StoredJudgement(
        row["number"], row["token"], row["task"], row["annotator"], json.loads(row["content"]), bool(row["counts"]),
        row["seconds"], row["time"],
    )  # fmt: skip
