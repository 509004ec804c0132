"""A person who releases the hosts of a run ends it: nothing of it goes on, and ``resume`` says who released them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.console import Command
from support.died_run import RUN, held_host, options
from support.reserved import lease_of, put_lease

from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import Result, State
from mpsbridge.runs.events import Finished, LeaseTaken, Phase, SessionJudged, SessionSettled
from mpsbridge.runs.history import unfinished
from mpsbridge.runs.journal import Journal
from mpsbridge.runs.verdict import RunVerdict, Verdict

STOPPED = RunVerdict.of([Verdict.STOPPED], interrupted=True)
LONG = datetime(2099, 11, 25, tzinfo=UTC)


@pytest.fixture
def clock() -> HastyClock:
    return HastyClock(300)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, clock: HastyClock) -> Iterator[Lab]:
    """Alpha is held by a run; beta and gamma are free, with people on them."""
    people = [{"id": 3, "user": "bob", "session_name": "rdp-tcp#1", "logon": "1h"}]
    hosts = [held_host(), {"name": "beta", "sessions": people}, {"name": "gamma", "sessions": people}]
    with Lab(build_world({"hosts": hosts}, clock), clock=clock) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def record(folder: Path, *hosts: str, held: str = "", verdict: RunVerdict | None = None) -> None:
    """A run over these hosts that is open: it died, or was stopped where it has a verdict."""
    with Journal(folder / "journal.sqlite") as journal:
        journal.begin(RUN, command="end", reason="updates", options={**options(), "hosts": list(hosts)})
        if held:
            journal.record(RUN, held, LeaseTaken(expires=LONG, phase=Phase.LEASE))
        if verdict is not None:
            journal.end(RUN, verdict, stays_open=True)


def told(folder: Path) -> tuple[bool, str, list[str]]:
    """Whether the run has ended, what came of it, and the hosts with which it could go on."""
    with Journal(folder / "journal.sqlite") as journal:
        run = journal.find(RUN)
        return run.ended is not None, str(run.verdict), unfinished(journal, RUN, ["alpha", "beta", "gamma"])


def logged_off(lab: Lab) -> list[str]:
    return [change.host for change in lab.changes if change.act == "logoff"]


def test_releasing_what_a_run_held_ends_it(lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path) -> None:
    """Once 'resume --yes' logged people off whose host had been given back on purpose."""
    record(tmp_path, "alpha", held="alpha")
    found = mpsbridge("release", "alpha", "--yes", clock=clock)
    assert found.code == 0, found.err
    assert f"run {RUN} has ended by that" in found.out
    ended, verdict, left = told(tmp_path)
    assert (ended, left) == (True, ["beta", "gamma"])  # the two are not hosts of this run
    assert verdict.startswith("stopped: released by ")
    resumed = mpsbridge("resume", "--yes", clock=clock)
    assert resumed.code == 0
    assert f"no run is open; run {RUN} has ended: stopped: released by " in resumed.out
    assert f"run {RUN} has ended: stopped: released by" in mpsbridge("resume", RUN, "--yes", clock=clock).err
    assert logged_off(lab) == []
    assert "released by" in mpsbridge("history").out


def test_hosts_that_the_run_had_not_begun_are_not_begun_either(
    lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    record(tmp_path, "alpha", "beta", "gamma", held="alpha")
    assert mpsbridge("release", "alpha", "--yes", clock=clock).code == 0
    assert told(tmp_path)[0]
    assert mpsbridge("resume", "--yes", clock=clock).code == 0  # nothing is open
    assert logged_off(lab) == []


def test_a_run_that_was_stopped_and_gave_all_back_is_ended_by_a_release(
    lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    """Nothing is held any more, so a release once did nothing, and the run stayed open."""
    record(tmp_path, "beta", "gamma", verdict=STOPPED)
    unasked = mpsbridge("release", "beta", clock=clock)
    assert (unasked.code, f"beta, not held; run {RUN} loses it" in unasked.err) == (3, True)
    assert f"it has left run {RUN}" in mpsbridge("release", "beta", "--yes", clock=clock).out
    assert told(tmp_path) == (False, str(STOPPED), ["alpha", "gamma"])
    assert f"run {RUN} has ended by that" in mpsbridge("release", "gamma", "--yes", clock=clock).out
    assert told(tmp_path)[0]
    assert lab.changes == []


def test_a_dry_run_ends_nothing(lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path) -> None:
    record(tmp_path, "alpha", held="alpha")
    assert "would be released" in mpsbridge("release", "alpha", "--dry-run", clock=clock).out
    assert (told(tmp_path)[0], lab.changes) == (False, [])


def test_a_hold_that_goes_ends_no_run(lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path) -> None:
    record(tmp_path, "beta", verdict=STOPPED)
    assert mpsbridge("hold", "beta", "--reason", "exam", clock=clock).code == 0
    assert mpsbridge("release", "beta", "--yes", clock=clock).code == 0
    assert not told(tmp_path)[0]
    del lab


def test_another_run_s_lease_that_goes_ends_no_other_run(
    lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    record(tmp_path, "alpha", held="alpha")
    with lab.world.changing() as hosts:
        put_lease(hosts["alpha"], str(lease_of(hosts["alpha"])).replace(RUN, "20261125-130000-beef"))
    assert mpsbridge("release", "alpha", "--yes", clock=clock).code == 0
    assert not told(tmp_path)[0]


def test_a_run_whose_host_is_done_keeps_that(lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path) -> None:
    record(tmp_path, "alpha", "beta", held="alpha")
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.record(RUN, "beta", Finished(outcome="done"))
    assert mpsbridge("release", "alpha", "--yes", clock=clock).code == 0
    ended, verdict, _ = told(tmp_path)
    assert (ended, verdict.startswith("stopped: 1 of 2 hosts done, 1 stopped: released by ")) == (True, True)
    del lab


@pytest.mark.parametrize("how", ["--yes", "--dry-run"])
def test_a_release_from_another_machine_ends_a_run_that_nobody_names(
    how: str, lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    """The record of the run does not know of it, so the hosts that it held are looked at."""
    record(tmp_path, "alpha", "beta", held="alpha")
    away = tmp_path / "away.sqlite"
    assert mpsbridge("release", "alpha", "--yes", "--journal", str(away), clock=clock).code == 0
    assert not told(tmp_path)[0]
    found = mpsbridge("resume", how, clock=clock)
    assert found.code == 1, found.err
    assert "every host that the run held was released by others" in found.err
    assert logged_off(lab) == []
    assert told(tmp_path)[0] is (how == "--yes")


def test_a_run_that_is_named_goes_on_with_the_hosts_that_were_not_released(
    lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    record(tmp_path, "alpha", "beta", held="alpha")
    assert mpsbridge("release", "alpha", "--yes", "--journal", str(tmp_path / "away.sqlite"), clock=clock).code == 0
    mpsbridge("resume", RUN, "--yes", clock=clock)
    assert logged_off(lab) == ["beta"]


def test_a_run_that_a_person_stopped_is_not_resumed_by_a_yes_alone(
    lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    record(tmp_path, "beta", verdict=STOPPED)
    refused = mpsbridge("resume", "--yes", clock=clock)
    assert (refused.code, lab.changes) == (3, [])
    assert f"run {RUN} (updates) was stopped on purpose" in refused.err
    assert f"mpsbridge resume {RUN} --yes" in refused.err
    assert told(tmp_path)[1] == str(STOPPED)  # nothing was taken up
    later = HastyClock(300)
    asked = mpsbridge("resume", clock=later)
    assert asked.code == 3
    assert f"Go on with run {RUN} (updates; begun " in asked.err
    assert "ago, stopped on purpose) on beta: end sessions?" in asked.err
    with Journal(tmp_path / "journal.sqlite") as journal:
        for number, user in ((3, "bob"), (4, "carol")):
            judged = SessionJudged(session=number, user=user, state=State.ACTIVE, decision="act")
            journal.record(RUN, "beta", judged)
        journal.record(RUN, "beta", SessionSettled(session=4, user="carol", result=Result.ENDED))
    assert "stopped on purpose) on beta: end 1 session?" in mpsbridge("resume", clock=later).err
    assert told(tmp_path)[1] == str(STOPPED)  # a question that was not answered with yes changes nothing
    assert mpsbridge("resume", RUN, "--yes", clock=clock).code == 0
    assert logged_off(lab) == ["beta"]


def test_a_run_that_died_is_resumed_by_a_yes_alone(
    lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    record(tmp_path, "beta")
    assert mpsbridge("resume", "--yes", clock=clock).code == 0
    assert logged_off(lab) == ["beta"]


def test_the_age_of_a_run_is_told_in_whole_minutes(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    record(tmp_path, "beta")

    class Later(HastyClock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=3, seconds=40)

    assert "begun 3h ago)" in mpsbridge("resume", clock=Later(1)).err
    del lab


def test_a_host_whose_table_cannot_be_read_is_released_held_and_opened(
    lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    """Once nothing but a readable table of people let a person give the host back."""
    record(tmp_path, "alpha", held="alpha")
    with lab.world.changing() as hosts:
        hosts["alpha"].playback = ["no table at all\r\n", "in (these) lines 17\r\n"]
    assert mpsbridge("sessions", "alpha", clock=clock).code == 1
    assert "alpha" in mpsbridge("leases", "alpha", clock=clock).out
    found = mpsbridge("release", "alpha", "--yes", clock=clock)
    assert found.code == 0, found.err
    with lab.world.changing() as hosts:
        assert (lease_of(hosts["alpha"]), hosts["alpha"].logon_mode) == (None, "enabled")
    assert mpsbridge("logons", "alpha", "--set", "drain", "--yes", clock=clock).code == 0
    assert mpsbridge("hold", "alpha", "--reason", "repair", clock=clock).code == 0
    assert mpsbridge("release", "alpha", "--yes", clock=clock).code == 0
