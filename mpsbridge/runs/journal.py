"""The record of every run: who, why, which sessions, told when, ended when, what could not be done.

One SQLite file for all runs. Rules: an **intent** is on the disk before its step is sent, its **outcome** after; an
intent without an outcome is a step whose fate is unknown, and stays so until somebody looks. Entries are never changed
or deleted; of a run only its end is written later. Whatever is wrong with the file when it is opened is an error before
anything is sent; what goes wrong later stops the run from disrupting anything more. A file that somebody else could
have written is not believed, and a row that cannot be read hides no other.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from platformdirs import user_state_path
from pydantic import AwareDatetime, JsonValue

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import InputError, JournalError, JournalLost
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.harmless import harmless
from mpsbridge.runs.events import Event, Happening, SessionJudged, StepAnswered, StepSent, read_happening
from mpsbridge.runs.job import job_of
from mpsbridge.runs.journal_file import IN_MEMORY, in_words, open_file, state_of
from mpsbridge.runs.runlock import RunLock, is_at_work
from mpsbridge.runs.verdict import RunVerdict

LONGEST_TEXT = 16 * 1024 * 1024
"""Characters of JSON in one row; a run over 100,000 hosts has a tenth of it."""

_EVENT = "event"
"""The kind of an entry that is neither the intent of a step nor its outcome."""
_KINDS = frozenset({_EVENT, *(kind.model_fields["event"].default for kind in (StepSent, StepAnswered))})


class Run(Frozen):
    """One run, as it was begun and as it ended; ``ended`` is null while it runs, and stays so if it died."""

    id: str
    command: str
    reason: str
    owner: str
    pid: int
    job: str | None
    options: dict[str, JsonValue]
    started: AwareDatetime
    ended: AwareDatetime | None = None
    verdict: RunVerdict | None = None
    """What became of it, as far as it came; null while it is at work, and of one that died."""


class Entry(Event):
    """One line of a run's record; its number is its place there."""

    number: int


def journal_path() -> Path:
    """``mpsbridge/journal.sqlite`` in the user's folder for state."""
    return user_state_path("mpsbridge") / "journal.sqlite"


class Journal:
    """The record in one file; may be used from several threads, and by several processes at once.

    Raises :class:`~mpsbridge.errors.JournalError` where the file cannot be made, read or written, is damaged, was
    written by a newer version or another program, or may be written by other users (``shared`` allows that). Every
    write is on the disk when it returns (WAL, full synchronisation). ``unreadable`` names the rows that were passed
    over because nobody can read them.
    """

    def __init__(self, path: Path | str, *, clock: Clock | None = None, shared: bool = False) -> None:
        if not isinstance(path, str | Path):
            raise JournalError("path: it is not the name of a file")
        self.path = Path(path)
        self.unreadable: list[str] = []
        self._clock = clock or SystemClock()
        self._shared = shared
        self._lock = threading.Lock()
        self._runs: dict[str, RunLock] = {}
        self._database, self._opened_as = open_file(self.path, shared=shared)

    def _demand_unchanged(self, run: str) -> None:
        """Raise ``JournalLost`` where what is written now would be lost, or where another could take up the run."""
        lock = self._runs.get(run)
        if state_of(self._database, self.path) != self._opened_as:
            what = f"the journal {self.path} was removed, exchanged or altered"
        elif lock is not None and not lock.is_in_place:
            what = f"the lock of run {run} beside {self.path} was removed"
        else:
            return
        hint = "Nothing more was done. Look at the hosts ('mpsbridge leases'), and begin a new run."
        raise JournalLost(f"{what} while a run is at work", hint=hint)

    def is_whole(self, run: str) -> bool:
        """Whether the record of a run at work is the file that was opened, so that the run can be gone on with."""
        try:
            self._demand_unchanged(run)
        except JournalLost:
            return False
        return True

    def begin(self, run: str, *, command: str, reason: str, options: Mapping[str, JsonValue]) -> Run:
        """Record that a run begins: who is at work here, and why. Raises ``JournalError`` if not."""
        begun = Run(
            id=run,
            command=command,
            reason=reason,
            owner=owner(),
            pid=os.getpid(),
            job=job_of(os.environ),
            options=dict(options),
            started=self._clock.now(),
        )
        try:
            options_text = _text(begun.options)
        except JournalLost as error:
            raise JournalError(error.message, hint="Name fewer hosts in one run.") from error
        values = (
            begun.id,
            begun.command,
            begun.reason,
            begun.owner,
            begun.pid,
            begun.job,
            options_text,
            begun.started.isoformat(),
        )
        self.take(run)
        try:
            with self._writing(run):
                self._database.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", values)
        except JournalLost as error:
            self.let_go(run)
            raise JournalError(error.message, hint="Free some space, or name another file with --journal.") from error
        return begun

    def take(self, run: str) -> None:
        """Be the one process that carries out this run, until it ends or this journal is closed.

        Raises :class:`~mpsbridge.errors.Refused` where another process does, and ``JournalError`` where nobody can say.
        """
        if run not in self._runs and self.path != IN_MEMORY:
            self._runs[run] = RunLock(self.path, run, shared=self._shared)

    def resume(self, run: str) -> None:
        """Take up a run again: what became of it is open once more. Raises as :meth:`take`."""
        self.take(run)
        with self._writing(run):
            self._database.execute("UPDATE run SET verdict = NULL WHERE id = ? AND ended IS NULL", (run,))

    def is_at_work(self, run: str) -> bool:
        """Whether a process is carrying out this run; false for one that has ended or died."""
        return run in self._runs or is_at_work(self.path, run)

    def let_go(self, run: str) -> None:
        """Carry this run out no more; it is as it was. May be called where it was never taken."""
        if (lock := self._runs.pop(run, None)) is not None:
            lock.release()

    def record(self, run: str, host: str, what: Happening) -> int:
        """Put something that happens on the disk; its number, which the outcome of an intent names."""
        values = what.model_dump(mode="json", exclude={"event"}, exclude_defaults=True)
        kind, name, answers = "event", what.event, None
        if isinstance(what, StepSent | StepAnswered):
            kind, name = what.event, values.pop("step")
            answers = values.pop("intent", None)
        text = _text(values)
        with self._writing(run):
            cursor = self._database.execute(
                "INSERT INTO entry (run, at, host, kind, step, answers, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (run, self._clock.now().isoformat(), host, kind, name, answers, text),
            )
        return int(cursor.lastrowid or 0)

    def end(self, run: str, verdict: RunVerdict, *, stays_open: bool = False) -> None:
        """Record what became of a run; it has ended, unless it ``stays_open`` for somebody to go on with it."""
        ended = None if stays_open else self._clock.now().isoformat()
        with self._writing(run):
            self._database.execute(
                "UPDATE run SET ended = ?, verdict = ? WHERE id = ? AND ended IS NULL",
                (ended, verdict.model_dump_json(exclude_defaults=True), run),
            )
        self.let_go(run)

    def annotate(self, run: str, note: str) -> None:
        """Add to the verdict of a run what else is to be known: that its answer was lost."""
        verdict = self.find(run).verdict
        if verdict is not None:
            with self._writing(run):
                text = verdict.model_copy(update={"note": note}).model_dump_json(exclude_defaults=True)
                self._database.execute("UPDATE run SET verdict = ? WHERE id = ?", (text, run))

    def runs(self, *, only_open: bool = False) -> list[Run]:
        """All runs that can be read, or those that never ended; the newest first."""
        where = "WHERE ended IS NULL" if only_open else ""
        rows = self._read(f"SELECT * FROM run {where} ORDER BY started DESC, id DESC")  # noqa: S608 - two constants
        return [run for row in rows if (run := self._run_of(row)) is not None]

    def _run_of(self, row: sqlite3.Row) -> Run | None:
        try:
            _demand_texts(row, "id", "command", "reason", "owner", "started")
            verdict = None if row["verdict"] is None else _json(row["verdict"])
            return Run(**{**dict(row), "options": _json(row["options"]), "verdict": verdict})
        except (ValueError, TypeError, RecursionError):
            self._pass_over(f"run {harmless(str(row['id']), limit=40)}")
            return None

    def _pass_over(self, what: str) -> None:
        if what not in self.unreadable:
            self.unreadable.append(what)

    def find(self, prefix: str) -> Run:
        """The run whose id begins so. Raises :class:`~mpsbridge.errors.InputError` where none or several do."""
        if not prefix:  # every id begins so
            raise InputError("RUN: it is empty", hint="'mpsbridge history' lists the runs.")
        found = [run for run in self.runs() if run.id.startswith(prefix)]
        exact = [run for run in found if run.id == prefix]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if not found:
            raise InputError(f"no run {prefix!r} in {self.path}", hint="'mpsbridge history' lists them.")
        raise InputError(f"{prefix!r} means several runs: {', '.join(run.id for run in found[:8])}")

    def entries(self, run: str, *, host: str | None = None, whole: bool = True) -> list[Entry]:
        """A run's record in order, of all hosts or of one.

        Raises ``JournalError`` where an entry cannot be read, because nobody knows then what was done; without
        ``whole`` such entries are passed over.
        """
        rows = self._read(
            "SELECT * FROM entry WHERE run = ? AND (? IS NULL OR host = ?) ORDER BY number", (run, host, host)
        )
        return [entry for row in rows if (entry := self._entry_of(row, whole=whole)) is not None]

    def _entry_of(self, row: sqlite3.Row, *, whole: bool) -> Entry | None:
        try:
            return _entry_of(row)
        except (ValueError, TypeError, RecursionError) as error:
            what = f"entry {harmless(str(row['number']), limit=40)} of run {harmless(str(row['run']), limit=40)}"
            if whole:
                raise JournalError(
                    f"{what} in {self.path} cannot be read",
                    hint="Nobody knows what was done then: look at the host, and begin a new run.",
                ) from error
            self._pass_over(what)
            return None

    def last_named(self, host: str, session: int, born: datetime) -> SessionJudged | None:
        """The last verdict of any run on that very session of a host that tells whose it is; ``None`` without one.

        Raises ``JournalLost``.
        """
        rows = self._read(
            "SELECT * FROM entry WHERE host = ? COLLATE NOCASE AND kind = ? AND step = ? ORDER BY number DESC",
            (host, _EVENT, SessionJudged.model_fields["event"].default),
        )
        entries = (entry.what for row in rows if (entry := self._entry_of(row, whole=False)) is not None)
        named = (what for what in entries if isinstance(what, SessionJudged) and (what.user or what.account))
        return next((what for what in named if (what.session, what.born) == (session, born)), None)

    def unanswered(self, run: str, *, host: str | None = None) -> list[Entry]:
        """The entries of steps whose fate is unknown."""
        entries = self.entries(run, host=host)
        answered = {entry.what.intent for entry in entries if isinstance(entry.what, StepAnswered)}
        return [entry for entry in entries if isinstance(entry.what, StepSent) and entry.number not in answered]

    @contextmanager
    def _writing(self, run: str) -> Iterator[None]:
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                self._demand_unchanged(run)
                yield
                self._database.execute("COMMIT")
            except BaseException as error:  # an interrupt too: the next write must not find this one half done
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error):
                    raise
                raise JournalLost(f"the journal {self.path} cannot be written: {in_words(error)}") from error

    def _read(self, query: str, values: tuple[str | None, ...] = ()) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise JournalLost(f"the journal {self.path} cannot be read: {in_words(error)}") from error

    def close(self) -> None:
        """Let go of the file and of the runs; may be called twice."""
        for run in list(self._runs):
            self.let_go(run)
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _entry_of(row: sqlite3.Row) -> Entry:
    """Raises ``ValueError``, ``TypeError`` and ``RecursionError`` where the row is none."""
    _demand_texts(row, "run", "at", "host", "kind", "step")
    detail, kind, name = _json(row["detail"]), row["kind"], row["step"]
    if not isinstance(detail, dict) or kind not in _KINDS:
        raise ValueError("not the values of an event")
    values = {**detail, "event": name if kind == _EVENT else kind}
    if kind != _EVENT:
        values["step"] = name
    if row["answers"] is not None:
        values["intent"] = row["answers"]
    return Entry(number=row["number"], run=row["run"], at=row["at"], host=row["host"], what=read_happening(values))


def _demand_texts(row: sqlite3.Row, *columns: str) -> None:
    """Raise ``TypeError`` where one of the columns holds something else; pydantic would make a text of it."""
    for column in columns:
        if not isinstance(row[column], str):
            raise TypeError(f"{column} is not a text")


def _text(value: Mapping[str, JsonValue]) -> str:
    """JSON of no more than :func:`_json` reads. Raises ``JournalLost``: nothing is written that could not be read."""
    text = json.dumps(value)
    if len(text) > LONGEST_TEXT:
        raise JournalLost(f"an entry of {len(text)} characters is more than a journal holds", may_have_run=False)
    return text


def _json(text: object) -> object:
    """What a row holds as JSON. Raises ``ValueError``, ``TypeError`` and ``RecursionError``."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise ValueError("not a text of that length")
    return json.loads(text)


def owner() -> str:
    """Who is at work here: ``user@machine``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without a name
        if sys.platform == "win32":
            user = "unknown"
        else:
            user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
