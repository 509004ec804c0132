"""A notice warns of the end that it named and of no other; who was told of one that does not come is told so (W41)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.console import Command
from support.reserved import lease_of, put_lease, task_of
from support.seen_sessions import ALICE, seen
from support.story import RunStory, Story
from support.storytelling import HOUR_S, acts, policy, somebody, tell, until
from support.watched_host import Guest
from support.wire import Fate, Fault

from mpsbridge.clock import HastyClock
from mpsbridge.errors import HostReleased
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import LogonMode, Session, to_cim
from mpsbridge.planning.lease import Lease, NoticeMark, read_lease
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.procedure.cancellation import cancellations, outstanding
from mpsbridge.procedure.looks import LOOKS
from mpsbridge.procedure.notices import CANCELLED, TEXTS, check_template, end_of, mark_of
from mpsbridge.runs.events import LeaseTaken, Phase, Step, StepAnswered, StepSent
from mpsbridge.runs.journal import Journal
from mpsbridge.snippets.fields import TEXT_LIMIT

ENDS = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
MINUTE_S = 60.0


@pytest.fixture
def stories() -> Iterator[list[Story]]:
    told: list[Story] = []
    yield told
    for story in told:
        story.close()


@pytest.fixture
def story(stories: list[Story]) -> Story:
    return tell(stories)


def warned(story: Story) -> tuple[Guest, RunStory]:
    """A run at the moment after its last notice, thirty seconds before the end."""
    guest = somebody(story)
    run = story.begin(policy(), story.boxes[0])
    story.pass_time(270)
    assert boxes(guest) == ["5", "1"]
    return guest, run


def boxes(guest: Guest) -> list[str]:
    """What the person was told: so many minutes are left, or that it is off."""
    return ["off" if "is cancelled" in box else box.split()[5] for box in guest.session.boxes]


def ends_named(guest: Guest) -> list[str]:
    return [box.split()[3].strip(",") for box in guest.session.boxes if "is cancelled" not in box]


@pytest.mark.parametrize("after_s", [5.0, 4 * MINUTE_S, 20 * MINUTE_S, 8 * HOUR_S])
def test_w41_who_was_told_of_an_end_that_was_given_back_is_told_so_and_then_anew(story: Story, after_s: float) -> None:
    guest, run = warned(story)
    story.stop(run.lives[-1])
    story.pass_time(after_s)
    assert boxes(guest) == ["5", "1", "off"]
    assert lease_of(story.host) is None
    resumed = story.clock.monotonic()
    story.resume(run)
    story.pass_time(HOUR_S)
    assert boxes(guest) == ["5", "1", "off", "5", "1"]
    (end,) = [deed for deed in story.host.deeds if deed.act == "logoff"]
    assert end.at - resumed >= 300


@pytest.mark.parametrize("after_s", [4 * MINUTE_S, 20 * MINUTE_S, 8 * HOUR_S])
def test_w41_an_end_whose_time_is_past_is_announced_anew(story: Story, after_s: float) -> None:
    """Killed: after twenty minutes the lease is still there, after eight hours the failsafe has opened the host."""
    guest, run = warned(story)
    story.kill(run.lives[-1])
    story.pass_time(after_s)
    resumed = story.clock.monotonic()
    story.resume(run)
    story.pass_time(HOUR_S)
    assert boxes(guest) == ["5", "1", "5", "1"]
    (end,) = [deed for deed in story.host.deeds if deed.act == "logoff"]
    assert end.at - resumed >= 300
    assert (lease_of(story.host), task_of(story.host), story.host.logon_mode) == (None, None, "enabled")


def test_w41_an_end_that_is_still_to_come_stays_as_it_was_announced(story: Story) -> None:
    guest = somebody(story)
    run = story.begin(policy(), story.boxes[0])
    story.pass_time(100)
    story.kill(run.lives[-1])
    story.pass_time(30)
    story.resume(run)
    story.pass_time(HOUR_S)
    assert boxes(guest) == ["5", "1"]
    assert len(set(ends_named(guest))) == 1
    (end,) = [deed for deed in story.host.deeds if deed.act == "logoff"]
    assert 300 <= end.at - run.lives[0].began < 310


def test_a_run_that_dies_while_it_gives_back_has_no_end_that_stands(story: Story) -> None:
    """Logons are open again, and the lease is still there."""
    guest, run = warned(story)
    story.stop(run.lives[-1])
    until(story, "logons-set")
    story.go_on(1)
    story.kill(run.lives[-1])
    story.resume(run)
    story.pass_time(HOUR_S)
    assert boxes(guest) == ["5", "1", "5", "1"]


def test_who_is_in_use_again_is_told_that_it_is_off(story: Story) -> None:
    guest = somebody(story, idle_s=7200)
    other = somebody(story, "bob", idle_s=7200)
    story.begin(policy(selector=Selector(idle_over_s=3600)), story.boxes[0])
    story.pass_time(30)
    story.host.go_on_working(guest)
    story.pass_time(HOUR_S)
    assert (boxes(guest), boxes(other)) == (["5", "1", "off"], ["5", "1"])
    assert story.host.is_there(guest)
    assert not story.host.is_there(other)


def test_w41_a_refusal_after_the_warning_is_told(story: Story) -> None:
    guest = somebody(story)
    run = story.begin(policy(then="restart"), story.boxes[0])
    story.pass_time(299)
    story.host.log_on("bob")  # too late for any notice
    story.pass_time(HOUR_S)
    assert "saw no notice" in str(run.lives[-1].error)
    assert boxes(guest) == ["5", "1", "off"]


def test_a_cancellation_that_is_lost_is_in_doubt_and_keeps_nothing_from_being_given_back(story: Story) -> None:
    _, run = warned(story)
    story.wire.faults.append(Fault("message", Fate.UNHEARD))
    story.stop(run.lives[-1])
    story.pass_time(5 * MINUTE_S)
    assert run.lives[-1].error is not None
    assert run.lives[-1].error.may_have_run
    assert (lease_of(story.host), task_of(story.host), story.host.logon_mode) == (None, None, "enabled")


def test_nobody_is_told_that_a_log_off_in_doubt_is_off(story: Story) -> None:
    guest = somebody(story, hung=True)
    run = story.begin(policy(), story.boxes[0])
    until(story, "logoff")
    story.pass_time(10)
    story.stop(run.lives[-1])
    story.pass_time(HOUR_S)
    assert boxes(guest) == ["5", "1"]


def test_w41_a_release_tells_people_and_the_host_leaves_the_run(story: Story) -> None:
    guest, run = warned(story)
    story.kill(run.lives[-1])
    story.release(story.boxes[1])
    story.pass_time(MINUTE_S)
    assert boxes(guest) == ["5", "1", "off"]
    assert lease_of(story.host) is None
    story.resume(run)
    story.pass_time(HOUR_S)
    assert isinstance(run.lives[-1].error, HostReleased)
    assert not run.lives[-1].error.may_have_run
    assert (boxes(guest), acts(story, "logoff"), lease_of(story.host)) == (["5", "1", "off"], [], None)
    assert not story.may_be_resumed(run)


def test_a_host_that_was_released_while_its_run_was_at_work_leaves_it_too(story: Story) -> None:
    guest, run = warned(story)
    story.release(story.boxes[1])
    story.pass_time(10)
    story.stop(run.lives[-1])
    story.pass_time(MINUTE_S)
    assert isinstance(run.lives[-1].error, HostReleased)
    assert not story.may_be_resumed(run)
    assert (boxes(guest), acts(story, "logoff"), lease_of(story.host)) == (["5", "1", "off"], [], None)


def test_a_lease_of_which_nobody_knows_whether_it_was_taken_was_released_by_nobody(story: Story) -> None:
    somebody(story)
    story.wire.faults += [Fault("lease", Fate.LOST), *[Fault("look", Fate.LOST)] * LOOKS]
    run = story.begin(policy(), story.boxes[0])
    story.pass_time(10 * MINUTE_S)
    assert run.is_open
    story.resume(run)
    story.pass_time(HOUR_S)
    assert len(acts(story, "logoff")) == 1


def test_a_host_that_another_run_has_taken_leaves_the_run(story: Story) -> None:
    guest, run = warned(story)
    story.kill(run.lives[-1])
    story.begin(policy(take_over=True, warn_s=(600,)), story.boxes[1])
    story.pass_time(MINUTE_S)
    story.resume(run)
    story.pass_time(4 * MINUTE_S)
    assert isinstance(run.lives[-1].error, HostReleased)
    assert acts(story, "logoff") == []
    story.pass_time(HOUR_S)
    assert boxes(guest) == ["5", "1", "10"]
    assert len(acts(story, "logoff")) == 1


def test_where_the_lease_ran_out_nobody_has_released_the_host(story: Story) -> None:
    _, run = warned(story)
    story.kill(run.lives[-1])
    story.pass_time(8 * HOUR_S)
    story.release(story.boxes[1])  # what is left of it
    story.pass_time(MINUTE_S)
    story.resume(run)
    story.pass_time(HOUR_S)
    assert len(acts(story, "logoff")) == 1


# The parts.


def test_a_mark_names_the_end() -> None:
    mark = mark_of("15m", ENDS.astimezone())
    assert mark == "15m-20261125180000"
    assert end_of(mark) == ("15m", ENDS)
    assert [end_of(other) for other in ("15m", "", "x-1")] == [("15m", None), ("", None), ("x-1", None)]


def test_only_who_was_told_and_not_told_otherwise_is_waiting() -> None:
    later = ENDS + timedelta(hours=1)
    told = [(2, "b", mark_of("5m", ENDS)), (2, "b", mark_of("1m", ENDS)), (2, "b", mark_of("5m", later))]
    assert outstanding(told) == {(2, "b"): later}
    assert outstanding([*told, (2, "b", mark_of("cancellation", ENDS))]) == {(2, "b"): later}
    assert outstanding([*told, (2, "b", mark_of("cancellation", later))]) == {}
    assert outstanding([(2, "b", "5m")]) == {}  # of an older version, which named no end


def test_only_sessions_that_can_see_it_are_told() -> None:
    told = [(2, None, mark_of("5m", ENDS)), (3, None, mark_of("5m", ENDS))]

    def boxed(*there: Session) -> list[int]:
        found = cancellations(seen(*there), told, locale="de-DE", sender="admin@box")
        assert all("18:00" in box.text and "abgesagt" in box.text and "admin@box" in box.text for box in found)
        return [one.id for box in found for one in box.sessions]

    away = ALICE.model_copy(update={"id": 3, "state": "disconnected"})
    assert boxed(ALICE, away) == [2]
    assert boxed(ALICE.model_copy(update={"guard": None})) == []
    assert boxed(ALICE.model_copy(update={"born": ENDS})) == []  # somebody else by now


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_each_language_has_both_texts(language: str) -> None:
    assert set(CANCELLED) == set(TEXTS)
    assert check_template(CANCELLED[language])
    assert len(CANCELLED[language]) < TEXT_LIMIT - 60


# Over the command line.

HOST: dict[str, Any] = {
    "name": "alpha",
    "language": "fr",
    "sessions": [{"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "1h"}],
}


@contextmanager
def lab_of(*hosts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    clock = HastyClock(200)
    with Lab(build_world({"hosts": list(hosts)}, clock), auth="basic", clock=clock) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        for name, value in {"PASSWORD": lab.password, "AUTH": "basic", "NO_TLS": "1", "INSECURE_BASIC": "1"}.items():
            monkeypatch.setenv(f"MPSBRIDGE_{name}", value)
        yield lab


def told(lab: Lab, host: str = "alpha") -> list[str]:
    return [
        "off" if "annulée" in one.text else "end" for one in lab.changes if (one.host, one.act) == (host, "message")
    ]


def test_an_interrupted_run_calls_off_and_its_resume_announces_anew(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {"step": "command", "call": "Send-MpsbridgeMessage", "do": "close", "after": 1, "times": 2}
    with lab_of({**HOST, "faults": [lost]}, monkeypatch=monkeypatch) as lab:
        words = ("end", "alpha", "--all", "--warn", "2m,1m", "--yes", "--timeout", "30s")
        assert mpsbridge(*words, clock=lab.world.clock).code == 4
        assert told(lab) == ["end", "off"]
        assert mpsbridge("resume", "--yes", "--timeout", "30s", clock=lab.world.clock).code == 0
        assert told(lab) == ["end", "off", "end", "end"]
        assert [change.user for change in lab.changes if change.act == "logoff"] == ["alice"]
        report = mpsbridge("report", "--format", "markdown")
        assert "2m shown" in report.out
        assert report.out.count("(void)") == 4  # the one of which nobody knows, too
        assert "cancellation shown" in report.out


def announce(lab: Lab, found: LogonMode, closed: LogonMode | None) -> None:
    """Alpha is held by a run that told alice of an end; logons were ``found`` so, and ``closed`` by it."""
    now = lab.world.clock.now()
    with lab.world.changing() as hosts:
        alpha = hosts["alpha"]
        mark = NoticeMark(
            id=2,
            born=to_cim(alpha._existing(2).born),
            notice=mark_of("5m", now + timedelta(minutes=5)),
            mark="delivered",
            at=to_cim(now),
        )
        lease = Lease(
            run="r-1",
            owner="ops@box",
            since=to_cim(now),
            expires=to_cim(now + timedelta(hours=1)),
            found=found,
            set=closed,
            notices=(mark,),
        )
        put_lease(alpha, lease.text())
        alpha.set_logon_mode((closed or found).value)


def test_release_tells_people_what_the_lease_says_they_were_told(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lab_of(HOST, monkeypatch=monkeypatch) as lab:
        announce(lab, LogonMode.ENABLED, LogonMode.DRAIN)
        found = mpsbridge("release", "alpha", "--yes", "-o", "json")
        assert found.code == 0, found.err
        assert "1 session told that the log-off is cancelled" in found.outcome("alpha")["value"]["text"]
        assert told(lab) == ["off"]
        with lab.world.changing() as hosts:
            assert (lease_of(hosts["alpha"]), hosts["alpha"].logon_mode) == (None, "enabled")


def test_a_release_that_breaks_off_leaves_no_lease_by_which_a_run_that_closed_nothing_goes_on(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People once were told that the end is off, and then were ended by the run, whose lease was still whole."""
    lost = {"step": "command", "call": "Set-MpsbridgeLease", "do": "close", "after": 1}
    with lab_of({**HOST, "faults": [lost]}, monkeypatch=monkeypatch) as lab:
        announce(lab, LogonMode.DISABLED, None)
        assert mpsbridge("release", "alpha", "--yes").code == 4
        assert told(lab) == ["off"]
        with lab.world.changing() as hosts:
            lease = read_lease(lease_of(hosts["alpha"]))
        assert isinstance(lease, Lease)
        assert lease.ending


def test_resume_says_which_hosts_were_released_and_goes_on_with_the_others(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with lab_of(HOST, {**HOST, "name": "beta"}, monkeypatch=monkeypatch) as lab:
        until_ = lab.world.clock.now() + timedelta(hours=1)
        made = Policy(selector=Selector(everyone=True), warn_s=()).model_dump(mode="json")
        with Journal(tmp_path / "journal.sqlite", clock=lab.world.clock) as journal:
            journal.begin("r-1", command="end", reason="", options={"policy": made, "hosts": ["alpha", "beta"]})
            intent = journal.record("r-1", "alpha", StepSent(step=Step.LEASE, phase=Phase.LEASE))
            journal.record("r-1", "alpha", StepAnswered(step=Step.LEASE, intent=intent, phase=Phase.LEASE))
            journal.record("r-1", "alpha", LeaseTaken(expires=until_, phase=Phase.LEASE))
        found = mpsbridge("resume", "r-1", "--yes", "-o", "json", clock=lab.world.clock)
        assert found.code == 1
        failure = found.outcome("alpha")["failure"]
        assert (failure["kind"], failure["may_have_run"]) == ("released", False)
        assert "a person released the host" in failure["message"]
        assert found.outcome("beta")["value"]["outcome"] == "done"
        assert [(change.host, change.user) for change in lab.changes if change.act == "logoff"] == [("beta", "alice")]
        assert mpsbridge("resume", "r-1", "--yes").code == 2  # it has ended
