"""A real process killed with SIGKILL after each write of its journal, and after each request to the host, then resumed.

Every moment has a host of its own behind real WinRM, and a clock that the process and the host share. What the host has
recorded is compared with what an undisturbed run does to it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROFILE
from support.forked_calls import ForkedCalls
from support.killing import CALLS, check, staged

from mpsbridge.runs.journal import Journal


@pytest.fixture(scope="module")
def calls() -> Iterator[ForkedCalls]:
    with ForkedCalls() as made:
        yield made


PARTS = 16
EVERY = 1 if PROFILE == "deep" else 2
"""Every day every second moment: the odd writes and the even requests; the deep profile takes them all."""
"""Each test takes every sixteenth moment."""


@pytest.fixture(scope="module")
def lengths(calls: ForkedCalls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int]]:
    """How many writes and requests undisturbed runs take, which do what they should."""
    found = {}
    folder = tmp_path_factory.mktemp("undisturbed")
    for what in CALLS:
        with staged(what, calls, folder / what) as stage:
            done = stage.begin()
            assert done.code == 0, done.printed
            check(stage)
            with Journal(stage.journal) as journal:
                (run,) = journal.runs()
                found[what] = len(journal.entries(run.id)) + 2, len(stage.lab.requests)
    return found


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("what", CALLS)
def test_killed_after_each_write_of_its_journal(
    what: str, part: int, calls: ForkedCalls, lengths: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    writes, _ = lengths[what]
    assert writes >= (4 if what == "logoff" else 40)
    for moment in range(1, writes + 1, EVERY)[part::PARTS]:
        with staged(what, calls, tmp_path / str(moment)) as stage:
            assert stage.begin(kill_after=moment).code == -signal.SIGKILL
            release = what != "logoff" and moment % 5 == 0
            stage.finish(release=release)
            check(stage, whole=not release)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("what", ["restart", "logoff"])  # those of 'end' are among those of a restart
def test_killed_after_each_request_to_the_host(
    what: str, part: int, calls: ForkedCalls, lengths: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    _, requests = lengths[what]
    assert requests >= (10 if what == "logoff" else 40)
    for moment in range(EVERY, requests + 1, EVERY)[part::PARTS]:
        with staged(what, calls, tmp_path / str(moment)) as stage:
            stage.lab.kill_after = moment
            killed = stage.begin(began=lambda pid, lab=stage.lab: setattr(lab, "victim", pid))
            assert killed.code == -signal.SIGKILL
            stage.lab.victim = None
            stage.finish(release=False)
            check(stage)
