"""The record of every run: who, why, which sessions, told when, ended when, what could not be done.

One SQLite file for all runs. Rules: an **intent** is on the disk before its step is sent, its **outcome** after; an
intent without an outcome is a step whose fate is unknown, and stays so until somebody looks. Entries are never changed
or deleted; of a run only its end is written later. Whatever is wrong with the file when it is opened is an error before
anything is sent; what goes wrong later stops the run from disrupting anything more. A file that somebody else could
have written is not believed, and a row that cannot be read hides no other.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import json
import os
import socket
import sqlite3
import stat
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
from mpsbridge.files import who_else_writes
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.harmless import harmless
from mpsbridge.runlock import RunLock, is_at_work

VERSION = 1
"""Of the file's layout. A newer one is refused."""
IN_MEMORY = Path(":memory:")
"""No file: what is recorded, and who is at work, is known to this process alone."""
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

LONGEST_TEXT = 16 * 1024 * 1024
"""Characters of JSON in one row; a run over 100,000 hosts has a tenth of it."""

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

    Raises :class:`~mpsbridge.errors.JournalError` where the file cannot be made, read or written, is damaged, was
    written by a newer version or another program, or may be written by other users (``shared`` allows that). Every
    write is on the disk when it returns (WAL, full synchronisation). ``unreadable`` names the rows that were passed
    over because nobody can read them.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None, shared: bool = False) -> None:
        self.path = path
        self.unreadable: list[str] = []
        self._clock = clock or SystemClock()
        self._shared = shared
        self._lock = threading.Lock()
        self._runs: dict[str, RunLock] = {}
        try:
            if path != IN_MEMORY:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                _make_private(path)
                if not shared:
                    _refuse_foreign(path)
            file = path if path == IN_MEMORY else path.absolute()  # never a name that SQLite takes for a URI
            self._database = sqlite3.connect(file, timeout=BUSY_LIMIT_S, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        self._database.row_factory = sqlite3.Row
        self._database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            raise self._unusable(error) from error
        except BaseException:
            self._database.close()
            raise
        self._opened_as = self._state()

    def _state(self) -> tuple[object, ...]:
        """What changes where somebody removes or exchanges the file (or its log), or alters its layout."""
        if self.path == IN_MEMORY:
            return ()
        found: list[object] = [*self._database.execute("PRAGMA schema_version").fetchone()]
        for name in (self.path, self.path.with_name(self.path.name + "-wal")):
            try:
                status = name.stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_dev, status.st_ino))
        return tuple(found)

    def _demand_unchanged(self, run: str) -> None:
        """Raise ``JournalLost`` where what is written now would be lost, or where another could take up the run."""
        lock = self._runs.get(run)
        if self._state() != self._opened_as:
            what = f"the journal {self.path} was removed, exchanged or altered"
        elif lock is not None and not lock.is_in_place:
            what = f"the lock of run {run} beside {self.path} was removed"
        else:
            return
        hint = "Nothing more was done. Look at the hosts ('mpsbridge leases'), and begin a new run."
        raise JournalLost(f"{what} while a run is at work", hint=hint)

    def _unusable(self, error: OSError | sqlite3.Error) -> JournalError:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        return JournalError(
            f"the journal {self.path} cannot be used: {harmless(str(said), limit=200)}",
            hint="Name another file with --journal, or mend this one.",
        )

    def _prepare(self) -> None:
        self._database.execute("PRAGMA trusted_schema = OFF")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._database.execute("BEGIN IMMEDIATE")  # fails here, and not later, where the file cannot be written
        try:
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version < 0:
                raise self._not_ours()
            if version > VERSION:
                raise JournalError(
                    f"the journal {self.path} was written by a newer mpsbridge (layout {version}, not {VERSION})",
                    hint="Update mpsbridge, or name another file with --journal.",
                )
            self._check_layout(version)
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

    def _check_layout(self, version: int) -> None:
        """Refuse what mpsbridge has not made: a view for a table, a trigger that swallows what is written."""
        if _objects(self._database) != (_ours() if version else set()):
            raise self._not_ours()

    def _not_ours(self) -> JournalError:
        return JournalError(
            f"{self.path} is not a journal of mpsbridge: its tables are others",
            hint="Name another file with --journal.",
        )

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
            self._let_go(run)
            raise JournalError(error.message, hint="Free some space, or name another file with --journal.") from error
        return begun

    def take(self, run: str) -> None:
        """Be the one process that carries out this run, until it ends or this journal is closed.

        Raises :class:`~mpsbridge.errors.Refused` where another process does, and ``JournalError`` where nobody can say.
        """
        if run not in self._runs and self.path != IN_MEMORY:
            self._runs[run] = RunLock(self.path, run, shared=self._shared)

    def is_at_work(self, run: str) -> bool:
        """Whether a process is carrying out this run; false for one that has ended or died."""
        return run in self._runs or is_at_work(self.path, run)

    def _let_go(self, run: str) -> None:
        if (lock := self._runs.pop(run, None)) is not None:
            lock.release()

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
        with self._writing(run):
            self._database.execute(
                "UPDATE run SET ended = ?, verdict = ? WHERE id = ? AND ended IS NULL",
                (self._clock.now().isoformat(), verdict, run),
            )
        self._let_go(run)

    def runs(self, *, only_open: bool = False) -> list[Run]:
        """All runs that can be read, or those that never ended; the newest first."""
        where = "WHERE ended IS NULL" if only_open else ""
        rows = self._read(f"SELECT * FROM run {where} ORDER BY started DESC, id DESC")  # noqa: S608 - two constants
        return [run for row in rows if (run := self._run_of(row)) is not None]

    def _run_of(self, row: sqlite3.Row) -> Run | None:
        try:
            _demand_texts(row, "id", "command", "reason", "owner", "started")
            return Run(**{**dict(row), "options": _json(row["options"])})
        except (ValueError, TypeError, RecursionError):
            self._pass_over(f"run {harmless(str(row['id']), limit=40)}")
            return None

    def _pass_over(self, what: str) -> None:
        if what not in self.unreadable:
            self.unreadable.append(what)

    def find(self, prefix: str) -> Run:
        """The run whose id begins so. Raises :class:`~mpsbridge.errors.InputError` where none or several do."""
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
            _demand_texts(row, "run", "at", "host", "kind", "step")
            return Entry(**{**dict(row), "detail": _json(row["detail"])})
        except (ValueError, TypeError, RecursionError) as error:
            what = f"entry {harmless(str(row['number']), limit=40)} of run {harmless(str(row['run']), limit=40)}"
            if whole:
                raise JournalError(
                    f"{what} in {self.path} cannot be read",
                    hint="Nobody knows what was done then: look at the host, and begin a new run.",
                ) from error
            self._pass_over(what)
            return None

    def unanswered(self, run: str, *, host: str | None = None) -> list[Entry]:
        """The intents whose fate is unknown."""
        entries = self.entries(run, host=host)
        answered = {entry.answers for entry in entries}
        return [entry for entry in entries if entry.kind == "intent" and entry.number not in answered]

    def _write(
        self, run: str, host: str, kind: Kind, step: str, answers: int | None, detail: Mapping[str, JsonValue]
    ) -> int:
        text = _text(detail)
        with self._writing(run):
            cursor = self._database.execute(
                "INSERT INTO entry (run, at, host, kind, step, answers, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (run, self._clock.now().isoformat(), host, kind, step, answers, text),
            )
        return int(cursor.lastrowid or 0)

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
                raise JournalLost(f"the journal {self.path} cannot be written: {error}") from error

    def _read(self, query: str, values: tuple[str | None, ...] = ()) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise JournalLost(f"the journal {self.path} cannot be read: {error}") from error

    def close(self) -> None:
        """Let go of the file and of the runs; may be called twice."""
        for run in list(self._runs):
            self._let_go(run)
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _make_private(path: Path) -> None:
    """Make the file if it is missing, for its owner alone: it holds names. SQLite's companions get its mode."""
    with_mode = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        os.close(os.open(path, with_mode, 0o600))
    except FileExistsError:
        for part in _parts(path):
            if not stat.S_ISREG(part.stat().st_mode):
                raise OSError(None, f"{part} is not a file") from None


def _parts(path: Path) -> list[Path]:
    """The journal's file and the companions that SQLite reads as parts of it, as far as they are there."""
    companions = [path.with_name(path.name + name) for name in ("-wal", "-shm", "-journal")]
    return [path, *(part for part in companions if part.exists() or part.is_symlink())]


def _refuse_foreign(path: Path) -> None:
    """Raise ``JournalError`` where another user could have written the record: hosts and policy are taken from it."""
    if os.name != "posix":
        return
    why = next((f"the journal {part} {found}" for part in _parts(path) if (found := _foreign(part))), "")
    if why:
        raise JournalError(
            why,
            hint="Give it to yourself alone (chmod go-w), name another file with --journal, or allow it with "
            "--journal-shared.",
        )


def _foreign(part: Path) -> str:
    """Why a file of the journal may not be the caller's own work; empty where it is. Not even root's is."""
    if part.lstat().st_uid != os.geteuid() or part.stat().st_uid != os.geteuid():
        return "belongs to another user"
    return who_else_writes(part)


def _objects(database: sqlite3.Connection) -> set[tuple[object, ...]]:
    """All that a database is made of, as it was declared."""
    return {tuple(row) for row in database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100")}


@functools.cache
def _ours() -> set[tuple[object, ...]]:
    """What a journal is made of."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_LAYOUT)
        return _objects(database)


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
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
