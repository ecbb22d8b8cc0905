"""The file in which a campaign is kept: SQLite, with a log that only grows and what can be derived from it.

    tasks    what is judged; added, never taken out
    events   what happened, in order: a task was shown to somebody (and got a token), was judged under that token, was
             taken back, was judged too late. Triggers refuse to change or to delete a row.
    current  a view: the judgements that have not been taken back
    leases   who has which task open, and until when; the only rows that change

WAL mode lets people read while somebody writes, and `synchronous=FULL` has each judgement on the disk before its
commit returns. Every request opens a connection of its own, so any number of threads, and processes, may be at work.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

FORMAT = 1
SECONDS_TO_WAIT = 30.0  # for another writer
SHOWN, JUDGED, UNDONE, LATE = "shown", "judged", "undone", "late"
SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY,
    row TEXT NOT NULL,
    is_check INTEGER NOT NULL,
    open INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('shown', 'judged', 'undone', 'late')),
    token TEXT NOT NULL,
    task TEXT NOT NULL REFERENCES tasks (id),
    annotator TEXT NOT NULL,
    content TEXT NOT NULL DEFAULT '{}',
    counts INTEGER NOT NULL DEFAULT 0,
    seconds REAL,
    time TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS once_a_token ON events (token, kind);
CREATE INDEX IF NOT EXISTS by_annotator ON events (annotator, kind, number);
CREATE INDEX IF NOT EXISTS by_task ON events (task, kind);
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
CREATE TRIGGER IF NOT EXISTS events_are_kept BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
CREATE TABLE IF NOT EXISTS leases (
    annotator TEXT PRIMARY KEY,
    task TEXT NOT NULL REFERENCES tasks (id),
    token TEXT NOT NULL,
    until REAL NOT NULL
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS current AS
    SELECT * FROM events AS judged WHERE kind = 'judged'
    AND NOT EXISTS (SELECT 1 FROM events AS undone WHERE undone.token = judged.token AND undone.kind = 'undone');
"""


class CampaignLog:
    """A campaign's file.

    Args:
        path: of the file; it is made where it is missing.

    Raises:
        InputError: the file is no campaign, or was written by a later version.
    """

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Kept open, since the last connection to close would take the write-ahead log down with it, each time.
            self._kept_open = connection = self._connected()
            connection.execute("PRAGMA journal_mode=WAL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > FORMAT:
                raise InputError(f"{path} was written by a later version of nec13b; update nec13b")
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={FORMAT}; COMMIT;")
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} cannot be used as a campaign ({error}); choose another --output_dir") from None

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=SECONDS_TO_WAIT, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the campaign as it is at one moment."""
        with contextlib.closing(self._connected()) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection that alone writes; what was done is on the disk when the block is left, or not at all."""
        with contextlib.closing(self._connected()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection  # where the block fails, closing takes all of it back
            connection.execute("COMMIT")
