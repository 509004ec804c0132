"""A lock of the operating system on an open file: it goes with the process that has it, however that ends.

Rules: nobody waits for it; a child process never inherits it.
"""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt

    OPEN = os.O_RDWR | os.O_CREAT | os.O_NOINHERIT | os.O_BINARY
    """How the file of a lock is opened by who takes it."""
    LOOK = os.O_RDWR | os.O_NOINHERIT | os.O_BINARY
    """How it is opened by who only looks."""

    def take(file: int) -> bool:
        """Take the lock if nobody has it: on the first byte, which need not be there.

        Whatever keeps it from being taken counts as somebody who has it: Windows tells it by one number, Wine by none.
        """
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def make_way() -> None:
        """Let others run; nothing on a system that does so by itself."""

else:
    import fcntl

    OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    """How the file of a lock is opened by who takes it."""
    LOOK = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    """How it is opened by who only looks."""

    def take(file: int) -> bool:
        """Take the lock if nobody has it. Raises ``OSError``, also on a file system without locks."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def make_way() -> None:
        """Let others run."""
        os.sched_yield()
