"""The record of every run: who, why, which sessions, told when, ended when, what could not be done.

One SQLite file for all runs. Rules: an **intent** is on the disk before its step is sent, its **outcome** after; an
intent without an outcome is a step whose fate is unknown, and stays so until somebody looks. Entries are never changed
or deleted; of a run only its end is written later. Whatever is wrong with the file when it is opened is an error before
anything is sent; what goes wrong later stops the run from disrupting anything more.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from platformdirs import user_state_path
from pydantic import AwareDatetime, JsonValue

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import InputError, JournalError, JournalLost
from mpsbridge.models.frozen import Frozen

VERSION = 1
"""Of the file's layout. A newer one is refused."""
BUSY_LIMIT_S = 5.0
"""How long another process may hold the file."""

_LAYOUT = """
CREATE TABLE run (
    id TEXT PRIMARY KEY, command TEXT NOT NULL, reason TEXT NOT NULL, owner TEXT NOT NULL, pid INTEGER NOT NULL,
    job TEXT, options TEXT NOT NULL, started TEXT NOT NULL, ended TEXT, verdict TEXT
);
CREATE TABLE entry (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES run (id), at TEXT NOT NULL,
    host TEXT NOT NULL, kind TEXT NOT NULL, step TEXT NOT NULL, answers INTEGER REFERENCES entry (number),
    detail TEXT NOT NULL
);
CREATE INDEX entry_by_run ON entry (run, number);
"""

_JOB_VARIABLES = ("GITHUB_RUN_ID", "CI_JOB_URL", "BUILD_URL", "BUILD_BUILDURI")

Kind = Literal["intent", "outcome", "event"]


class Run(Frozen):
    """One run, as it was begun and as it ended; ``ended`` is null while it runs, and for ever if it died."""

    id: str
    command: str
    reason: str
    owner: str
    pid: int
    job: str | None
    options: dict[str, JsonValue]
    started: AwareDatetime
    ended: AwareDatetime | None = None
    verdict: str | None = None


class Entry(Frozen):
    """One line of a run's record. In an outcome ``answers`` is the number of its intent."""

    number: int
    run: str
    at: AwareDatetime
    host: str
    kind: Kind
    step: str
    answers: int | None
    detail: dict[str, JsonValue]


def journal_path() -> Path:
    """``mpsbridge/journal.sqlite`` in the user's folder for state."""
    return user_state_path("mpsbridge") / "journal.sqlite"


class Journal:
    """The record in one file; may be used from several threads, and by several processes at once.

    Raises :class:`~mpsbridge.errors.JournalError` where the file cannot be made, read or written, is damaged, or was
    written by a newer version. Every write is on the disk when it returns (WAL, full synchronisation).
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(path, timeout=BUSY_LIMIT_S, isolation_level=None, check_same_thread=False)
            self._database.row_factory = sqlite3.Row
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise JournalError(
                f"the journal {path} cannot be used: {error}",
                hint="Name another file with --journal, or mend this one.",
            ) from error

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._database.execute("BEGIN IMMEDIATE")  # fails here, and not later, where the file cannot be written
        try:
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise JournalError(
                    f"the journal {self.path} was written by a newer mpsbridge (layout {version}, not {VERSION})",
                    hint="Update mpsbridge, or name another file with --journal.",
                )
            if version == 0:
                for statement in _LAYOUT.strip().split(";\n"):
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA user_version = {VERSION}")
            (sound,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
            if sound != "ok":
                raise sqlite3.DatabaseError(f"it is damaged ({sound})")
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def begin(self, run: str, *, command: str, reason: str, options: Mapping[str, JsonValue]) -> Run:
        """Record that a run begins: who is at work here, and why. Raises ``JournalError`` if not."""
        begun = Run(
            id=run,
            command=command,
            reason=reason,
            owner=owner(),
            pid=os.getpid(),
            job=next((os.environ[name] for name in _JOB_VARIABLES if os.environ.get(name)), None),
            options=dict(options),
            started=self._clock.now(),
        )
        values = (
            begun.id,
            begun.command,
            begun.reason,
            begun.owner,
            begun.pid,
            begun.job,
            json.dumps(begun.options),
            begun.started.isoformat(),
        )
        try:
            with self._writing():
                self._database.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", values)
        except JournalLost as error:
            raise JournalError(error.message, hint="Free some space, or name another file with --journal.") from error
        return begun

    def intend(self, run: str, host: str, step: str, **detail: JsonValue) -> int:
        """Record what is about to be sent; the number that its outcome names."""
        return self._write(run, host, "intent", step, None, detail)

    def answer(self, intent: int, run: str, host: str, step: str, **detail: JsonValue) -> None:
        """Record what became of an intent."""
        self._write(run, host, "outcome", step, intent, detail)

    def note(self, run: str, host: str, step: str, **detail: JsonValue) -> None:
        """Record something that happened without being sent: a look, a wait, a verdict."""
        self._write(run, host, "event", step, None, detail)

    def end(self, run: str, verdict: str) -> None:
        """Record that a run has ended."""
        with self._writing():
            self._database.execute(
                "UPDATE run SET ended = ?, verdict = ? WHERE id = ? AND ended IS NULL",
                (self._clock.now().isoformat(), verdict, run),
            )

    def runs(self, *, only_open: bool = False) -> list[Run]:
        """All runs, or those that never ended; the newest first."""
        where = "WHERE ended IS NULL" if only_open else ""
        rows = self._read(f"SELECT * FROM run {where} ORDER BY started DESC, id DESC")  # noqa: S608 - two constants
        return [Run(**{**dict(row), "options": json.loads(row["options"])}) for row in rows]

    def find(self, prefix: str) -> Run:
        """The run whose id begins so. Raises :class:`~mpsbridge.errors.InputError` where none or several do."""
        found = [run for run in self.runs() if run.id.startswith(prefix)]
        exact = [run for run in found if run.id == prefix]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if not found:
            raise InputError(f"no run {prefix!r} in {self.path}", hint="'mpsbridge history' lists them.")
        raise InputError(f"{prefix!r} means several runs: {', '.join(run.id for run in found[:8])}")

    def entries(self, run: str, *, host: str | None = None) -> list[Entry]:
        """A run's record in order, of all hosts or of one."""
        rows = self._read(
            "SELECT * FROM entry WHERE run = ? AND (? IS NULL OR host = ?) ORDER BY number", (run, host, host)
        )
        return [Entry(**{**dict(row), "detail": json.loads(row["detail"])}) for row in rows]

    def unanswered(self, run: str, *, host: str | None = None) -> list[Entry]:
        """The intents whose fate is unknown."""
        entries = self.entries(run, host=host)
        answered = {entry.answers for entry in entries}
        return [entry for entry in entries if entry.kind == "intent" and entry.number not in answered]

    def _write(
        self, run: str, host: str, kind: Kind, step: str, answers: int | None, detail: Mapping[str, JsonValue]
    ) -> int:
        with self._writing():
            cursor = self._database.execute(
                "INSERT INTO entry (run, at, host, kind, step, answers, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (run, self._clock.now().isoformat(), host, kind, step, answers, json.dumps(detail)),
            )
        return int(cursor.lastrowid or 0)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._database.execute("COMMIT")
            except BaseException as error:  # an interrupt too: the next write must not find this one half done
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error):
                    raise
                raise JournalLost(f"the journal {self.path} cannot be written: {error}") from error

    def _read(self, query: str, values: tuple[str | None, ...] = ()) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise JournalLost(f"the journal {self.path} cannot be read: {error}") from error

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def owner() -> str:
    """Who is at work here: ``user@machine``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
