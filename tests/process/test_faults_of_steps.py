"""What can go wrong on the wire, at each step of ``end``: the outcome is right or honestly unknown, never wrong.

A process of its own runs the command line against a host behind real WinRM whose rules spoil one step. Its exit code
and its record are held against what the host itself has recorded; then it goes on undisturbed, and all must be as if
nothing had been.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.forked_calls import Called, ForkedCalls
from support.killing import Stage, check, check_boxes, staged
from support.reserved import lease_of

from mpsbridge.models.sessions import Result
from mpsbridge.runs.events import Step, StepAnswered
from mpsbridge.runs.journal import Journal


class Struck(NamedTuple):
    """The call that a rule waits for: the function, how many of its calls pass before, and what the run is to do."""

    call: str
    after: int = 0
    what: str = "restart"


STEPS = {
    "plan": Struck("Get-MpsbridgeObservation"),
    "lease": Struck("Set-MpsbridgeLease"),
    "failsafe": Struck("Register-MpsbridgeFailsafe"),
    "mark": Struck("Set-MpsbridgeLease", 1),
    "block": Struck("Set-MpsbridgeLogonMode"),
    "notice": Struck("Send-MpsbridgeMessage"),
    "look": Struck("Get-MpsbridgeLook"),
    "end": Struck("Close-MpsbridgeSession"),
    "order": Struck("Invoke-MpsbridgePower"),
    "return": Struck("Get-MpsbridgeLook", 8),
    "last-mark": Struck("Set-MpsbridgeLease", 2, "end"),
    "release": Struck("Set-MpsbridgeLease", 3, "end"),
    "restore": Struck("Set-MpsbridgeLogonMode", 1, "end"),
    "unguard": Struck("Unregister-MpsbridgeFailsafe", 0, "end"),
}
DISRUPTING = {"end", "order"}
FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"step": "command", "do": "refuse"},
    "lost-before": {"step": "command", "do": "reset"},
    "lost-after": {"step": "command", "do": "close", "acted": True},
    "shell-gone": {"step": "receive", "do": "fault", "code": 2150858843},
}
MORE_FAULTS: dict[str, dict[str, Any]] = {
    "cut": {"step": "receive", "do": "cut"},
    "quota": {"step": "command", "do": "fault"},
    "503": {"step": "command", "do": "status"},
    "garbled": {"step": "command", "do": "garble"},
    "garbled-answer": {"step": "receive", "do": "garble"},
    "silent": {"step": "command", "do": "hang"},
    "silent-after": {"step": "command", "do": "hang", "acted": True},
    "drips": {"step": "receive", "do": "drip", "delay_s": 0.4},
}
HARMLESS = {"refused", "quota"}
"""The host said itself that it did nothing."""


@pytest.fixture(scope="module")
def calls() -> Iterator[ForkedCalls]:
    with ForkedCalls() as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_goes_wrong_is_told_as_it_was(step: str, fault: str, calls: ForkedCalls, tmp_path: Path) -> None:
    go_wrong(STEPS[step], FAULTS[fault], calls, tmp_path, disrupts=step in DISRUPTING, harmless=fault in HARMLESS)


@pytest.mark.parametrize("fault", MORE_FAULTS)
@pytest.mark.parametrize("step", ["notice", "end", "order"])
def test_the_steps_that_matter_most_go_wrong_in_every_way(
    step: str, fault: str, calls: ForkedCalls, tmp_path: Path
) -> None:
    rule = MORE_FAULTS[fault]
    go_wrong(STEPS[step], rule, calls, tmp_path, disrupts=step in DISRUPTING, harmless=fault in HARMLESS)


@pytest.mark.parametrize("after", range(4, 40, 6))
def test_a_password_that_is_refused_in_the_middle(after: int, calls: ForkedCalls, tmp_path: Path) -> None:
    rule = {"step": "auth", "do": "refuse", "after": after, "times": 1}
    with staged("restart", calls, tmp_path / "host", [rule]) as stage:
        found = stage.begin("--timeout", "20s")
        with stage.lab.world.changing() as hosts:  # by this very process, not by the failsafe
            assert (lease_of(hosts["alpha"]), hosts["alpha"].logon_mode) == (None, "enabled"), found.printed
        judge(stage, found)


@pytest.mark.parametrize("do", ["hang", "close", "fault"])
def test_a_new_shell_that_does_not_open(do: str, calls: ForkedCalls, tmp_path: Path) -> None:
    """Connections that were idle are replaced, so it happens in the middle, too (W33)."""
    rule = {"step": "create", "do": do, "after": 1, "times": 1}
    with staged("restart", calls, tmp_path / "host", [rule]) as stage:
        judge(stage, stage.begin("--timeout", "2s" if do == "hang" else "20s"))


def test_a_host_that_never_answers_to_a_log_off(calls: ForkedCalls, tmp_path: Path) -> None:
    rule = {"step": "receive", "call": "Close-MpsbridgeSession", "do": "hang"}
    with staged("restart", calls, tmp_path / "host", [rule]) as stage:
        found = stage.begin("--timeout", "2s")
        assert found.code == 0, found.printed  # looks have told what became of it
        judge(stage, found)


def go_wrong(
    step: Struck, fault: dict[str, Any], calls: ForkedCalls, folder: Path, *, disrupts: bool, harmless: bool
) -> None:
    rule = {**fault, "call": step.call, "after": step.after, "times": 1}
    slow = fault["do"] in {"hang", "drip"}
    with staged(step.what, calls, folder / "host", [rule]) as stage:
        found = stage.begin("--timeout", "2s" if slow else "30s")
        assert any(each.seen > each.after for each in stage.lab.world.hosts["alpha"].faults), "the rule never struck"
        if disrupts and not harmless:  # only another boot tells of an order without an answer that it was carried out
            assert found.code == (0 if stage.acts("restart") else 4), found.printed
            if step.call == STEPS["order"].call:
                assert "looking whether it was taken" in found.printed
        if harmless and not disrupts:
            assert found.code != 4, found.printed
        judge(stage, found)


def judge(stage: Stage, found: Called) -> None:
    """The exit code and the record are true; then the run is done undisturbed."""
    ended, restarts = stage.acts("logoff"), len(stage.acts("restart"))
    assert found.code in {0, 1, 4}, found.printed
    if found.code == 0:
        assert set(ended) == {"alice", "bob"}
        assert restarts == (stage.what == "restart")
        with stage.lab.world.changing() as hosts:
            assert lease_of(hosts["alpha"]) is None
    elif found.code == 1:  # it says that it knows all: who was ended, and that the host was not told to restart
        assert restarts == 0, found.printed
        assert all(re.search(rf"{user} +ended", found.printed) for user in ended), found.printed
    _record_is_true(stage)
    with stage.lab.world.changing() as hosts:
        hosts["alpha"].faults = ()
    with Journal(stage.journal) as journal:
        is_open = bool(journal.runs(only_open=True))
    if is_open:
        resumed = stage.call("resume", "--yes")
        assert resumed.code == 0, resumed.printed
    elif found.code and ended:
        released = stage.call("release", "alpha", "--yes")
        assert released.code == 0, released.printed
        if stage.what == "restart":  # not told to, and the run has ended: nothing is left to be done again
            return
    elif found.code:
        stage.lab.world.clock.wait(7200)  # where a lease could not be given back, it runs out
        again = stage.begin()
        assert again.code == 0, again.printed
    check_again(stage)


def _record_is_true(stage: Stage) -> None:
    """What stands there as ended has ended, what stands there as not sent was not done."""
    ended = set(stage.acts("logoff"))
    with Journal(stage.journal) as journal:
        entries = [entry for run in journal.runs() for entry in journal.entries(run.id)]
    for entry in entries:
        what = entry.what
        if not isinstance(what, StepAnswered) or what.step is not Step.LOGOFF:
            continue
        if what.error is not None:
            assert ended == set()
        for one in what.sessions:
            if one.result is Result.ENDED:
                assert one.user in ended


def check_again(stage: Stage) -> None:
    """As after an undisturbed run; where a whole new run was begun, its notices are its own."""
    with Journal(stage.journal) as journal:
        runs = len(journal.runs())
    if runs == 1:
        check(stage)
        return
    ended = stage.acts("logoff")
    assert sorted(filter(None, ended)) == ["alice", "bob"]
    assert len(stage.acts("restart")) == (stage.what == "restart")
    check_boxes(stage.lab)
