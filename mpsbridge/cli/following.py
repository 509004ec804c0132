"""What happens while a run goes on: shown to people, written as JSON lines, remembered in case all must end at once."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol, TextIO

from mpsbridge.cli.call import Call
from mpsbridge.cli.leaving import leaving_behind
from mpsbridge.cli.progress import RunView
from mpsbridge.ending.scene import Event, Progress
from mpsbridge.errors import InputError
from mpsbridge.models.harmless import json_text

_TOLD = frozenset(
    {"leased", "closed", "notice", "waiting", "empty", "ended", "ordered", "unanswered", "booted"}
    | {"restored", "left", "released", "failed"}
)
"""Events that a person sees while the run goes on."""


class Following(Protocol):
    """Whoever is told what happens on every host of a run, from any thread."""

    def event(self, event: Event) -> None:
        """Something happened."""
        ...

    def progress(self, progress: Progress) -> None:
        """A host has come so far."""
        ...


class Follower:
    """Takes in what happens on every host of a run, from any thread."""

    def __init__(self, call: Call, run: str, hosts: Sequence[str], stream: TextIO | None) -> None:
        self._call = call
        self._run = run
        self._hosts = hosts
        self._stream = stream
        self._lock = threading.Lock()
        self._view = RunView(hosts)

    def event(self, event: Event) -> None:
        """Tell people, and programs."""
        with self._lock:
            self._view.event(event)
            if self._stream is not None:
                self._stream.write(json_text(event.model_dump(mode="json")) + "\n")
                self._stream.flush()
            if event.event in _TOLD:
                self._call.terminal.note(f"{event.at.astimezone():%H:%M:%S} {event.host}: {event.text}")

    def progress(self, progress: Progress) -> None:
        """Remember how far a host is."""
        self._view.progress(progress)

    def rows(self, height: int) -> Sequence[Sequence[str]]:
        """The lines that a terminal shows now."""
        return self._view.rows(self._call.clock.now(), height)

    def left_behind(self) -> list[str]:
        """What this process would leave behind, and what to do about it."""
        left = self._view.left_behind()
        if not left:
            return [f"run {self._run}: nothing is held; 'mpsbridge history {self._run}' tells what was done"]
        return [
            f"run {self._run} is left as it is:",
            *(f"  {line}" for line in left),
            f"  mpsbridge resume {self._run}      goes on with it",
            f"  mpsbridge release {shlex.join(self._hosts)}      gives back what it holds",
            "  Where it blocked logons, the failsafe on the host opens them when the lease has run out.",
        ]


@contextmanager
def events_to(path: Path | None) -> Iterator[TextIO | None]:
    """The file for events, if one was asked for. Raises ``InputError``, so it is opened before anything begins."""
    try:
        stream = path.open("a", encoding="utf-8") if path else None
    except OSError as error:
        raise InputError(f"--events: {path} cannot be written: {error.strerror or error}") from error
    with stream or nullcontext():
        yield stream


@contextmanager
def following(call: Call, stream: TextIO | None, run: str, hosts: Sequence[str]) -> Iterator[Follower]:
    """Tell people what happens as it happens, and write it as JSON lines to ``stream`` where there is one."""
    follower = Follower(call, run, hosts, stream)
    with leaving_behind(follower.left_behind), call.terminal.live(follower.rows):
        yield follower
