"""The file of the record: made for its owner alone, believed only where nobody else could have written it.

Rules: whatever is wrong with the file is a :class:`~mpsbridge.errors.JournalError` when it is opened, before anything
is sent; its tables are exactly ours, without views or triggers; every write is on the disk when it returns.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import stat
import sys
from pathlib import Path

from mpsbridge.errors import JournalError
from mpsbridge.files import who_else_writes
from mpsbridge.models.harmless import harmless

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


def open_file(path: Path, *, shared: bool) -> tuple[sqlite3.Connection, tuple[object, ...]]:
    """The database, made if it is missing, and its :func:`state_of`.

    Raises ``JournalError``, and leaves no connection open then; ``shared`` takes a file that others may write.
    """
    try:
        if path != IN_MEMORY:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make_private(path)
            if not shared:
                _refuse_foreign(path)
        file = path if path == IN_MEMORY else path.absolute()  # never a name that SQLite takes for a URI
        database = sqlite3.connect(file, timeout=BUSY_LIMIT_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error
    database.row_factory = sqlite3.Row
    database.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        _prepare(database, path)
        return database, state_of(database, path)
    except sqlite3.Error as error:
        database.close()
        raise _unusable(path, error) from error
    except BaseException:
        database.close()
        raise


def state_of(database: sqlite3.Connection, path: Path) -> tuple[object, ...]:
    """What changes where somebody removes or exchanges the file (or its log), or alters its layout."""
    if path == IN_MEMORY:
        return ()
    found: list[object] = [*database.execute("PRAGMA schema_version").fetchone()]
    for name in (path, path.with_name(path.name + "-wal")):
        try:
            status = name.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino))
    return tuple(found)


_OF_A_DISK = ("disk I/O error", "database or disk is full")
"""SQLite's words for a disk that is full, or fails."""


def in_words(error: OSError | sqlite3.Error) -> str:
    """What failed, for people."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"the disk is full, or fails ({said})" if said in _OF_A_DISK else harmless(said, limit=200)


def _unusable(path: Path, error: OSError | sqlite3.Error) -> JournalError:
    return JournalError(
        f"the journal {path} cannot be used: {in_words(error)}",
        hint="Name another file with --journal, or mend this one.",
    )


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("BEGIN IMMEDIATE")  # fails here, and not later, where the file cannot be written
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise JournalError(
                f"the journal {path} was written by a newer mpsbridge (layout {version}, not {VERSION})",
                hint="Update mpsbridge, or name another file with --journal.",
            )
        if version < 0 or _objects(database) != (_ours() if version else set()):
            raise JournalError(
                f"{path} is not a journal of mpsbridge: its tables are others",
                hint="Name another file with --journal.",
            )
        if version == 0:
            for statement in _LAYOUT.strip().split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {VERSION}")
        (sound,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise sqlite3.DatabaseError(f"it is damaged ({sound})")
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _make_private(path: Path) -> None:
    """Make the file if it is missing, for its owner alone: it holds names. SQLite's companions get its mode."""
    with_mode = os.O_RDWR | os.O_CREAT | os.O_EXCL
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
    why = next((f"the journal {part} {found}" for part in _parts(path) if (found := _foreign(part))), "")
    if why:
        raise JournalError(
            why,
            hint="Give it to yourself alone (chmod go-w), name another file with --journal, or allow it with "
            "--journal-shared.",
        )


def _foreign(part: Path) -> str:
    """Why a file of the journal may not be the caller's own work; empty where it is. Not even root's is."""
    if sys.platform == "win32":  # a profile's folder is its owner's, and the system's
        return ""
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
