"""Who follows a run along can neither stop nor delay it: an output that fails, one that takes nothing."""

from __future__ import annotations

import errno
import io
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.fake_clock import FakeClock

from mpsbridge.cli import following as module
from mpsbridge.cli.call import Call
from mpsbridge.cli.following import events_to, following
from mpsbridge.cli.output import Stream
from mpsbridge.cli.terminal import Terminal
from mpsbridge.errors import InputError
from mpsbridge.models.sessions import Result
from mpsbridge.runs.events import Event, LeaseTaken, Phase, SessionSettled
from mpsbridge.settings import Output, Settings

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LEASED = Event(at=NOW, run="run-1", host="alpha", what=LeaseTaken(expires=NOW, phase=Phase.LEASE))


@pytest.fixture
def call() -> Call:
    return Call("end", Settings(), Terminal(command="end", output=Output.TABLE), FakeClock())


@pytest.fixture
def stalled() -> Iterator[io.StringIO]:
    """A pipe that nobody empties, until the test is over."""
    over = threading.Event()

    class Pipe(io.StringIO):
        def write(self, _text: str) -> int:
            over.wait(20)
            return 0

    yield Pipe()
    over.set()


class Full(io.StringIO):
    """A file on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_events_are_told_in_order_before_a_run_is_over(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "events"
    with events_to(path) as stream, following(call, stream, "run-1", ["alpha"]) as follower:
        for number in range(200):
            follower.event(LEASED.model_copy(update={"what": SessionSettled(session=number, result=Result.ENDED)}))
    assert [json.loads(line)["session"] for line in path.read_text(encoding="utf-8").splitlines()] == [*range(200)]
    assert not follower.is_incomplete


def test_a_file_for_events_that_takes_nothing_delays_nobody(
    call: Call, stalled: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_NEWS_S", 0.05)
    with following(call, Stream(stalled, "--events pipe"), "run-1", ["alpha"]) as follower:
        for _ in range(5):
            follower.event(LEASED)
        assert "alpha: holds the lease" in " ".join(follower.left_behind())  # though it was not told yet
    assert follower.is_incomplete


def test_a_standard_error_that_takes_nothing_delays_nobody(
    call: Call, stalled: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_NEWS_S", 0.05)
    monkeypatch.setattr(call.terminal, "note", stalled.write)
    with following(call, None, "run-1", ["alpha"]) as follower:
        for _ in range(5):
            follower.event(LEASED)
    assert not follower.is_incomplete  # nothing that was asked for is lost


def test_a_full_disk_under_the_events_is_told_once(call: Call) -> None:
    told = io.StringIO()
    stream = Stream(Full(), "--events disk", beside=Stream(told, "standard error"), is_answer=False)
    with following(call, stream, "run-1", ["alpha"]) as follower:
        for _ in range(5):
            follower.event(LEASED)
    assert told.getvalue() == "mpsbridge: --events disk cannot be written: No space left on device\n"
    assert follower.is_incomplete


def test_without_a_file_nothing_is_incomplete(call: Call) -> None:
    with events_to(None) as stream, following(call, stream, "run-1", ["alpha"]) as follower:
        follower.event(LEASED)
    assert not follower.is_incomplete


def test_a_file_for_events_that_cannot_be_opened_is_refused_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--events: .* cannot be written"), events_to(tmp_path / "no" / "file"):
        pytest.fail("the run begins")
