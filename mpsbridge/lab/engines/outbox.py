"""What a shell has to send, in order, until the client asks for it."""

from __future__ import annotations

import struct
from collections import deque

FRAGMENT_HEAD = 21
"""Bytes before a PSRP fragment's own data (MS-PSRP 2.2.4)."""
PIPELINE_STATE = 0x00041006
_RUNSPACE_POOL_STATE = 0x00021005


class Outbox:
    """Chunks for the pool, or for one command: ``(stream, bytes)``."""

    def __init__(self) -> None:
        self.chunks: deque[tuple[str, bytes]] = deque()
        self.finished = False
        """Nothing comes after what is here."""
        self.exit_code: int | None = None

    def put(self, stream: str, data: bytes) -> None:
        """One more chunk."""
        self.chunks.append((stream, data))

    def finish(self, exit_code: int | None = None) -> None:
        """That was the last one."""
        self.finished, self.exit_code = True, exit_code

    def take(self, limit: int) -> list[tuple[str, bytes]]:
        """The chunks for one answer: at most ``limit`` bytes, and RUNSPACEPOOL_STATE begins an answer of its own, as
        on Windows.
        """
        taken: list[tuple[str, bytes]] = []
        size = 0
        while self.chunks:
            data = self.chunks[0][1]
            size += len(data)
            if taken and (size > limit or message_type(data) == _RUNSPACE_POOL_STATE):
                break
            taken.append(self.chunks.popleft())
        return taken


def message_type(fragment: bytes) -> int | None:
    """The type of the PSRP message that begins with this fragment, or ``None`` for a continuation."""
    if len(fragment) < FRAGMENT_HEAD + 8 or not fragment[16] & 1:
        return None
    return int(struct.unpack_from("<I", fragment, FRAGMENT_HEAD + 4)[0])
