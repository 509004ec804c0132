"""Which runs are at work: a lock of the kernel for each of them, in a folder beside the journal.

The kernel lets go of it when the process ends, however it ends, in a container as well; a process id or a time in a
file could not tell a run that is at work from one that died. Rules: the lock is never inherited by a child; a file
without a lock on it means nothing; the file of a run that has ended is removed while its lock is still held.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from mpsbridge.errors import JournalError, Refused
from mpsbridge.files import who_else_writes
from mpsbridge.runs import filelock

_RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_TRIES = 50
"""How often a lock is asked for: whoever only looks at one (:func:`is_at_work`) holds it for a moment."""


class RunLock:
    """The lock of one run, held until :meth:`release` or the end of the process.

    Raises :class:`~mpsbridge.errors.Refused` where another process holds it, and
    :class:`~mpsbridge.errors.JournalError` where there can be no lock (a file system without them, a folder that cannot
    be written; or, unless it is ``shared``, one that others can write).
    """

    def __init__(self, journal: Path, run: str, *, shared: bool = False) -> None:
        self.run = run
        self._path = _path(journal, run)
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            if not shared and (why := who_else_writes(self._path.parent)):
                raise JournalError(
                    f"the folder of the journal's locks, {self._path.parent}, {why}",
                    hint="Remove it, or name a journal in a folder of your own with --journal.",
                )
            self._file = self._hold()
        except OSError as error:
            raise JournalError(
                f"run {run} cannot be locked: {self._path}: {error.strerror or error}",
                hint="Name a journal on a local file system with --journal.",
            ) from error

    def _hold(self) -> int:
        for _ in range(_TRIES):
            file = os.open(self._path, filelock.OPEN, 0o600)
            try:
                if filelock.take(file) and os.path.samestat(os.fstat(file), self._path.stat()):
                    return file
            except FileNotFoundError:
                pass  # whoever held it has removed the file: this lock is of nothing
            except BaseException:
                os.close(file)
                raise
            os.close(file)
            filelock.make_way()
        raise Refused(
            f"run {self.run} is at work in another process",
            hint="Wait until it has ended, or stop that process; it gives back what it holds.",
        )

    @property
    def is_in_place(self) -> bool:
        """Whether others who ask for the lock still find this one."""
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            return False

    def release(self) -> None:
        """Let go of it; may be called twice."""
        file, self._file = self._file, -1
        if file >= 0:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(file)
            if os.name == "nt":  # where a file that is open cannot be removed
                with contextlib.suppress(OSError):
                    self._path.unlink()


def is_at_work(journal: Path, run: str) -> bool:
    """Whether a process is carrying out this run at the moment; false also for a run that nobody knows."""
    try:
        file = os.open(_path(journal, run), filelock.LOOK)
    except (OSError, JournalError):
        return False
    try:
        return not filelock.take(file)
    except OSError:
        return False
    finally:
        os.close(file)


def _path(journal: Path, run: str) -> Path:
    if not _RUN.fullmatch(run):
        raise JournalError(f"{run[:100]!r} is not the id of a run")
    return journal.with_name(f"{journal.name}.runs") / f"{run}.lock"
