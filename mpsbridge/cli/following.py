"""What happens while a run goes on: told to people, and written as JSON lines for programs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mpsbridge.cli.call import Call
from mpsbridge.ending.scene import Event
from mpsbridge.errors import InputError

_TOLD = frozenset(
    {"leased", "closed", "notice", "waiting", "empty", "ended", "ordered", "booted"}
    | {"restored", "left", "released", "failed"}
)
"""Events that a person sees while the run goes on."""


@contextmanager
def following(call: Call, path: Path | None) -> Iterator[Callable[[Event], None]]:
    """Tell people what happens as it happens, and write it as JSON lines where asked to."""
    lock = threading.Lock()
    stream: TextIO | None = None
    try:
        stream = path.open("a", encoding="utf-8") if path else None
    except OSError as error:
        raise InputError(f"--events: {path} cannot be written: {error.strerror or error}") from error

    def follow(event: Event) -> None:
        with lock:
            if stream is not None:
                stream.write(event.model_dump_json() + "\n")
                stream.flush()
            if event.event in _TOLD:
                call.terminal.note(f"{event.at.astimezone():%H:%M:%S} {event.host}: {event.text}")

    try:
        yield follow
    finally:
        if stream is not None:
            stream.close()
