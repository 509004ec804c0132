"""Files that people name: read up to a limit, made for their owner alone, and looked at for who else may write them.

Rules: no file makes a call wait without end; whoever may write a file that a call reads may say what the call does, so
that is looked at (``who_else_writes``) and said; a file that mpsbridge makes, and that can hold people's names, is
nobody else's to read (``open_for_owner``). What only POSIX has (owner, mode) is not looked at elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from pathlib import Path
from typing import Literal, TextIO

from mpsbridge.clock import Clock, SystemClock

if sys.platform != "win32":
    import grp
    import pwd

TEXT_LIMIT = 16 * 1024 * 1024
"""Bytes of a settings file, an inventory, or a plan. A line for each of 100,000 hosts has less than a third of it."""
WRITER_WITHIN_S = 5.0
"""How long a named pipe may be without a program that writes to it."""
LOOK_EVERY_S = 0.05
_OF_A_SHELL = re.compile(r"/dev/stdin|/(dev|proc/[^/]+)/fd/\d+")
"""Descriptors that this process was started with: a shell's ``<(...)``, and its ``<``."""


def read_text(path: Path) -> str:
    """A whole file of UTF-8, with or without a byte order mark.

    Raises ``OSError``, and ``ValueError`` (with the reason) for what is no such text, or too long.
    """
    content = read_bytes(path, TEXT_LIMIT + 1)
    if len(content) > TEXT_LIMIT:
        raise ValueError(f"it has more than {TEXT_LIMIT} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from error


def read_bytes(path: Path, limit: int, clock: Clock | None = None) -> bytes:
    """The first bytes of a file, at most so many.

    A named pipe is read to its end once a program writes to it; one to which none does within :data:`WRITER_WITHIN_S`
    is an error. What a shell passes as ``<(...)`` has its writer from the beginning. Raises ``OSError``.
    """
    if sys.platform != "win32" and not _OF_A_SHELL.fullmatch(str(path)) and path.is_fifo():
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(number, "rb") as file:
            first = _first_bytes(number, clock or SystemClock())
            os.set_blocking(number, True)
            return first + file.read(max(0, limit - len(first)))
    with path.open("rb") as file:
        return file.read(limit)


def _first_bytes(number: int, clock: Clock) -> bytes:
    """The first bytes of a pipe; none where a program has opened it and written nothing yet."""
    until = clock.monotonic() + WRITER_WITHIN_S
    while True:
        try:
            if found := os.read(number, 1):
                return found
        except BlockingIOError:
            return b""
        if clock.monotonic() >= until:
            raise TimeoutError(errno.ETIMEDOUT, "it is a named pipe, and no program writes to it")
        clock.wait(LOOK_EVERY_S)


def open_for_owner(path: Path, mode: Literal["a", "w", "x"]) -> TextIO:
    """Open a file to write text (``x``: one that is not there); where it is made by that, only its owner can read it.

    Raises ``OSError``, also for a named pipe that nobody reads.
    """
    return open(path, mode, encoding="utf-8", opener=_for_owner)


def _for_owner(name: str, flags: int) -> int:
    # A pipe that nobody reads is an error at once, and not a wait without end.
    number = os.open(name, flags | getattr(os, "O_NONBLOCK", 0), 0o600)
    if sys.platform != "win32":
        os.set_blocking(number, True)
    return number


def who_else_writes(path: Path) -> str:
    """Why another user could have written the file, as the end of a sentence; empty where none could, or none is there.

    What belongs to root counts as ours: root can do anything.
    """
    if sys.platform == "win32":
        return ""
    try:
        named, file, folder = path.lstat(), path.stat(), path.parent.stat()
    except OSError:
        return ""
    ours = {0, os.geteuid()}
    if named.st_uid not in ours or file.st_uid not in ours:
        return "belongs to another user"
    if (stat.S_ISREG(file.st_mode) or stat.S_ISDIR(file.st_mode)) and _others_write(file):
        return "can be written by other users"
    if folder.st_uid not in ours or (_others_write(folder) and not folder.st_mode & stat.S_ISVTX):
        return "is in a folder that other users can write"
    return ""


def others_read(path: Path) -> bool:
    """Whether other users can read the file, as far as its mode tells."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return sys.platform != "win32" and stat.S_ISREG(mode) and bool(mode & (stat.S_IRGRP | stat.S_IROTH))


def written_by_others(what: str, path: Path) -> str:
    """A sentence about a file that says what a call does, and that others could have written; else empty."""
    why = who_else_writes(path)
    return f"the {what} {path} {why}, who can change by it what this call does (chmod go-w)" if why else ""


def names_read_by_others(what: str, path: Path) -> str:
    """A sentence about a file in which people's names will stand, and that others can read or write; else empty."""
    why = who_else_writes(path) or ("can be read by other users" if others_read(path) else "")
    return f"{what}: {path} {why}, and people's names stand in it (chmod 600)" if why else ""


def _others_write(found: os.stat_result) -> bool:
    writable_by_group = found.st_mode & stat.S_IWGRP and not _is_own_group(found.st_gid)
    return bool(found.st_mode & stat.S_IWOTH or writable_by_group)


def _is_own_group(number: int) -> bool:
    """Whether it is the group that many systems give each user alone, so that 0664 is the mode of all his files."""
    if sys.platform != "win32":
        with contextlib.suppress(KeyError):
            group, name = grp.getgrgid(number), pwd.getpwuid(os.geteuid()).pw_name
            return group.gr_name == name and set(group.gr_mem) <= {name}
    return False
