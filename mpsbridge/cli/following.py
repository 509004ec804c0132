"""What happens while a run goes on: shown to people, written as JSON lines, remembered in case all must end at once.

Rule: a host's thread hands its news over and goes on. A thread of its own tells them, so that neither an output that
fails nor one that takes nothing (a stopped terminal, a pipe that nobody empties) can reach or delay the procedure.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue

from mpsbridge.cli.call import Call
from mpsbridge.cli.leaving import leaving_behind
from mpsbridge.cli.output import Stream, standard
from mpsbridge.cli.progress import RunView
from mpsbridge.errors import InputError
from mpsbridge.files import open_for_owner
from mpsbridge.models.harmless import json_text
from mpsbridge.runs.events import Event, Progress
from mpsbridge.schemas.events import event_json

LAST_NEWS_S = 5.0
"""How long a run that is over waits for an output that takes its news slowly."""


class Follower:
    """Takes in what happens on every host of a run, from any thread; :meth:`tell` is for the one that tells it."""

    def __init__(self, call: Call, run: str, hosts: Sequence[str], stream: Stream | None) -> None:
        self._call = call
        self._run = run
        self._hosts = hosts
        self._stream = stream
        self._lock = threading.Lock()
        self._view = RunView(hosts)
        self._news: SimpleQueue[Event | None] = SimpleQueue()
        self._is_told = False

    @property
    def is_incomplete(self) -> bool:
        """Whether a file for events was asked for, and lacks some."""
        return self._stream is not None and (self._stream.lost is not None or not self._is_told)

    def event(self, event: Event) -> None:
        """Remember it, and have people and programs told."""
        with self._lock:
            self._view.event(event)
        self._news.put(event)

    def tell(self) -> None:
        """Tell what happens until all is over."""
        while (event := self._news.get()) is not None:
            if self._stream is not None:
                self._stream.write(json_text(event_json(event)) + "\n")
                self._stream.flush()
            if event.what.is_shown or (event.what.is_detail and self._call.settings.verbose):
                self._call.terminal.note(f"{event.at.astimezone():%H:%M:%S} {event.host}: {event.what.text()}")
        self._is_told = True

    def is_over(self) -> None:
        """Nothing more will happen."""
        self._news.put(None)

    def progress(self, progress: Progress) -> None:
        """Remember how far a host is."""
        self._view.progress(progress)

    def rows(self, height: int) -> Sequence[Sequence[str]]:
        """The lines that a terminal shows now."""
        return self._view.rows(self._call.clock.now(), height)

    def left_behind(self) -> list[str]:
        """What this process would leave behind, and what to do about it."""
        left, within = self._view.left_behind(), self._call.terminal.repeated.within
        if not left:
            return [within(f"run {self._run}: nothing is held; 'mpsbridge history {self._run}' tells what was done")]
        return [
            f"run {self._run} is left as it is:",
            *(f"  {line}" for line in left),
            within(f"  mpsbridge resume {self._run}      goes on with it"),
            within(f"  mpsbridge release {shlex.join(self._hosts)}      gives back what it holds"),
            "  Where it blocked logons, the failsafe on the host opens them when the lease has run out.",
        ]


@contextmanager
def events_to(path: Path | None) -> Iterator[Stream | None]:
    """The file for events, if one was asked for. Raises ``InputError``, so it is opened before anything begins."""
    if path is None:
        yield None
        return
    try:
        file = open_for_owner(path, "a")
    except OSError as error:
        raise InputError(f"--events: {path} cannot be written: {error.strerror or error}") from error
    try:
        yield Stream(file, f"--events {path}", beside=standard().err, is_answer=False)
    finally:
        with suppress(OSError):
            file.close()


@contextmanager
def following(call: Call, stream: Stream | None, run: str, hosts: Sequence[str]) -> Iterator[Follower]:
    """Tell people what happens as it happens, and write it as JSON lines to ``stream`` where there is one."""
    follower = Follower(call, run, hosts, stream)
    teller = threading.Thread(target=follower.tell, name="mpsbridge-events", daemon=True)
    with leaving_behind(follower.left_behind), call.terminal.live(follower.rows):
        teller.start()
        try:
            yield follower
        finally:
            follower.is_over()
            teller.join(LAST_NEWS_S)
