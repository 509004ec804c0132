"""``maintain`` against the lab, over real sockets, on a clock that hurries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.console import Command

from mpsbridge.clock import HastyClock
from mpsbridge.errors import NotBegun, Refused
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.operations.planfile import read_plan
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.reports.summary import make_report
from mpsbridge.runs.events import WENT_QUIET, Finished, HostStopped, Phase, Step, StepSent
from mpsbridge.runs.journal import Journal
from mpsbridge.runs.verdict import Verdict
from mpsbridge.workers.base import failed
from mpsbridge.workers.threads import HostThreads


def people(*ids: int) -> list[dict[str, Any]]:
    return [{"id": id, "user": f"user{id}", "session_name": f"rdp-tcp#{id}", "logon": "1h"} for id in ids]


HOSTS: list[dict[str, Any]] = [
    {"name": "alpha", "sessions": people(2, 3, 4)},
    {"name": "beta", "sessions": people(2)},
    {"name": "gamma", "sessions": [{**people(2)[0], "user": "root", "admin": True}]},
    {"name": "delta", "sessions": people(2, 3)},
    {"name": "down", "down": True},
]
PLAN = """schema = "mpsbridge-plan/1"
hosts = ["alpha", "beta", "gamma", "delta"]
reason = "updates"

[notices]
at = ["2m"]

[waves]
at_once = 1
"""


@pytest.fixture
def clock() -> HastyClock:
    return HastyClock(300)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, clock: HastyClock) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}, clock), auth="ntlm", clock=clock) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN, encoding="utf-8")
    return path


def order(lab: Lab) -> list[str]:
    """The hosts in the order of their log-offs, each once for each uninterrupted row of them."""
    hosts = [change.host for change in lab.changes if change.act == "logoff"]
    return [host for place, host in enumerate(hosts) if place == 0 or hosts[place - 1] != host]


def test_hosts_go_one_by_one_and_the_refused_one_is_a_plan_again(
    lab: Lab, mpsbridge: Command, clock: HastyClock, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    plan.write_text(PLAN + '\n[policy]\nuser = ["user2", "user3", "user4", "root"]\ndisconnected_ok = true\n')
    text = plan.read_text().replace('"updates"\n', '"updates"\nthen = "restart"\n').replace('user = ["', '# user = ["')
    plan.write_text(text)
    left = tmp_path / "left.toml"
    found = mpsbridge("maintain", str(plan), "--yes", "--failed-to", str(left), "-o", "json", clock=clock)
    assert found.code == 1, found.err
    assert {each["host"]: each["status"] for each in found.document["outcomes"]} == {
        "alpha": "done",
        "beta": "done",
        "gamma": "skipped",
        "delta": "done",
    }
    assert order(lab) == ["beta", "delta", "alpha"]  # the fewest people first, never two at once
    restarts = [change.host for change in lab.changes if change.act == "restart"]
    assert restarts == ["beta", "delta", "alpha"]
    assert read_plan(left).hosts == ("gamma",)
    assert f"mpsbridge maintain {left}" in found.err
    with Journal(tmp_path / "journal.sqlite") as journal:
        (run,) = journal.runs()
        report = make_report(run, journal.entries(run.id))
    assert (run.command, run.reason) == ("maintain", "updates")
    assert str(run.verdict) == "partly: 3 of 4 hosts done, 1 refused"
    assert {host.host: host.status for host in report.hosts}["gamma"] is Verdict.REFUSED
    assert "gamma" in summary.read_text(encoding="utf-8")


def test_the_floor_counts_hosts_that_are_down_already(
    lab: Lab, mpsbridge: Command, clock: HastyClock, plan: Path
) -> None:
    text = PLAN.replace('"gamma", "delta"', '"down", "delta"').replace("at_once = 1", "floor = 3")
    plan.write_text(text, encoding="utf-8")
    found = mpsbridge("maintain", str(plan), "--yes", "-o", "json", clock=clock)
    assert found.code == 1
    reasons = {each["host"]: each.get("reason", "") for each in found.document["outcomes"]}
    assert "3 of 4 hosts serve, and 3 must (floor)" in reasons["alpha"]
    assert lab.changes == []
    assert 'hosts = ["alpha", "beta", "down", "delta"]' in found.err
    plan.write_text(found.err[found.err.index("# The hosts that are left") :], encoding="utf-8")
    assert read_plan(plan).hosts == ("alpha", "beta", "down", "delta")


def test_a_run_that_goes_on_counts_over_all_hosts_of_its_plan(
    lab: Lab, mpsbridge: Command, clock: HastyClock, plan: Path, tmp_path: Path
) -> None:
    """The floor is about the plan's hosts: those that are finished serve again."""
    plan.write_text(PLAN.replace("at_once = 1", "at_once = 1\nfloor = 3"), encoding="utf-8")
    assert mpsbridge("maintain", str(plan), "--yes", clock=clock).code == 0
    with Journal(tmp_path / "journal.sqlite") as journal:
        (run,) = journal.runs()
        journal._database.execute("UPDATE run SET ended = NULL")  # it died before its last word,
        journal._database.execute("DELETE FROM entry WHERE host IN ('alpha', 'delta')")  # and before two of its hosts
    with lab.world.changing() as hosts:
        hosts["alpha"].log_on("zoe")
    only = mpsbridge("resume", run.id, "delta", "--yes", "-o", "json", clock=clock)
    assert (only.code, only.outcome("delta")["status"]) == (0, "done")
    assert f"mpsbridge resume {run.id}" in only.err  # one host is left
    found = mpsbridge("resume", "--yes", "-o", "json", clock=clock)
    assert found.code == 0, found.out
    sessions = found.outcome("alpha")["value"]["sessions"]
    assert [each["session"]["user"] for each in sessions if each["result"] == "ended"] == ["zoe"]
    assert mpsbridge("resume", "--yes").code == 0  # nothing is open


def test_a_host_that_was_shut_down_does_not_serve_when_the_run_goes_on(
    lab: Lab, mpsbridge: Command, clock: HastyClock, plan: Path, tmp_path: Path
) -> None:
    plan.write_text(PLAN.replace("at_once = 1", "at_once = 1\nfloor = 3"), encoding="utf-8")
    assert mpsbridge("maintain", str(plan), "--yes", clock=clock).code == 0
    with Journal(tmp_path / "journal.sqlite") as journal:
        (run,) = journal.runs()
        journal._database.execute("UPDATE run SET ended = NULL")
        journal._database.execute("DELETE FROM entry WHERE host = 'alpha'")
        journal.record(run.id, "beta", Finished(outcome=WENT_QUIET))
    found = mpsbridge("resume", "--yes", "-o", "json", clock=clock)
    assert "3 of 4 hosts serve, and 3 must (floor)" in found.outcome("alpha")["reason"]


def test_a_dry_run_says_who_would_be_ended_and_sends_nothing(lab: Lab, mpsbridge: Command, plan: Path) -> None:
    found = mpsbridge("maintain", str(plan), "--dry-run", "-o", "json")
    assert found.code == 0, found.err
    assert found.outcome("gamma")["value"]["sessions"][0]["result"] == "kept"
    assert [each["result"] for each in found.outcome("alpha")["value"]["sessions"]] == ["would"] * 3
    assert lab.changes == []


def test_without_a_yes_nothing_is_sent(lab: Lab, mpsbridge: Command, plan: Path) -> None:
    assert mpsbridge("maintain", str(plan)).code == 3
    assert lab.changes == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("at_once", "at_twice", "waves.at_twice: there is no such key"),
        ('at = ["2m"]', 'file = "none.txt"', "none.txt"),
        ('at = ["2m"]', 'at = ["2m", "2m"]', "twice"),
        ("at_once = 1", "not_after = 0001-01-01T00:00:00", "waves.not_after: the year 1 is not possible"),
        ("at_once = 1", "not_after = 9999-12-31T23:59:59Z", "waves.not_after: the year 9999 is not possible"),
        ("at_once = 1", "not_after = 2026-11-30", "waves.not_after: it is not a time: write 05:00:00"),
        ("at_once = 1", 'not_after = "05:00"', "waves.not_after: it is a text: write the time without quotes"),
        ("at_once = 1", "not_after = 5", "waves.not_after: it is not a time: write 05:00:00"),
        ('reason = "updates"', 'reason = "  "', "reason: it is blank: say why"),
    ],
)
def test_a_wrong_plan_is_2_before_any_host_is_contacted(
    lab: Lab, mpsbridge: Command, plan: Path, old: str, new: str, said: str
) -> None:
    plan.write_text(PLAN.replace(old, new), encoding="utf-8")
    found = mpsbridge("maintain", str(plan), "--yes", "-o", "json")
    assert found.code == 2
    assert said in json.loads(found.out)["error"]["message"]
    assert lab.requests == []


@pytest.mark.parametrize(
    "words",
    [("message", "--text", "hello"), ("disconnect", "--yes"), ("logoff", "--yes"), ("end", "--no-warning", "--yes")],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("how", ["", "--dry-run"])
def test_a_host_that_failed_may_have_the_user_that_is_missing(
    lab: Lab, mpsbridge: Command, clock: HastyClock, words: tuple[str, ...], how: str
) -> None:
    """Once all that was said of it was "nothing to do"."""
    command, *rest = words
    call = [command, "beta", "down", "--user", "zoe", *rest, *filter(None, [how])]
    said = "it could not be looked at and may have user zoe: not found on any other host"
    assert f"down: {said}" in mpsbridge(*call, clock=clock).err.splitlines()
    found = mpsbridge(*call, "-o", "json", clock=clock)
    assert (found.code, found.outcome("down")["note"]) == (1, said)
    there = mpsbridge(command, "beta", "down", "--user", "user2", *rest, "--dry-run", clock=clock)
    assert "may have" not in there.err


def test_no_host_waits_for_one_that_never_began(
    lab: Lab, mpsbridge: Command, clock: HastyClock, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for which no thread could be had stayed first in the line, and the others waited until the deadline."""
    begin = HostThreads.begin

    def no_thread(self: HostThreads, place: int, job: Any, *, settled: Any, free: Any, **more: Any) -> None:
        if place == 1 and lab.requests and getattr(job, "__name__", "") == "in_turn":
            settled(failed(self._targets[place], NotBegun("no thread for it: nothing was sent")))
            free()
        else:
            begin(self, place, job, settled=settled, free=free, **more)

    monkeypatch.setattr(HostThreads, "begin", no_thread)
    found = mpsbridge("maintain", str(plan), "--yes", "-o", "json", clock=clock)
    statuses = {each["host"]: each["status"] for each in found.document["outcomes"]}
    assert statuses == {"alpha": "done", "beta": "skipped", "gamma": "done", "delta": "done"}


def test_what_an_earlier_life_left_unknown_stays_so_until_the_host_is_seen(
    lab: Lab, mpsbridge: Command, clock: HastyClock, tmp_path: Path
) -> None:
    """A host that could not be reached when the run went on was once said to have failed (exit 1)."""
    policy = Policy(selector=Selector(everyone=True), warn_s=()).model_dump(mode="json")
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("r-1", command="end", reason="", options={"policy": policy, "hosts": ["down"]})
        journal.record("r-1", "down", StepSent(step=Step.LOGOFF, sessions=(2,)))
    for _ in range(2):
        found = mpsbridge("resume", "r-1", "--yes", "-o", "json", clock=clock)
        assert (found.code, found.document["verdict"]) == (4, "unknown")
        assert found.outcome("down")["failure"]["may_have_run"]


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_run_with_nothing_left_to_do_ends_with_its_verdict(
    lab: Lab, mpsbridge: Command, tmp_path: Path, form: str
) -> None:
    policy = Policy(selector=Selector(everyone=True), warn_s=()).model_dump(mode="json")
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("r-1", command="end", reason="", options={"policy": policy, "hosts": ["alpha", "beta"]})
        journal.record("r-1", "alpha", Finished(outcome="done"))
        journal.record("r-1", "beta", HostStopped(why="it is held", error=Refused.kind, phase=Phase.PLAN))
    found = mpsbridge("resume", "r-1", "--yes", "-o", form)
    assert found.code == 1
    if form == "json":
        assert (found.document["outcomes"], found.document["verdict"]) == ([], "partly")
    else:
        assert found.out.splitlines()[-1] == "run r-1: partly: 1 of 2 hosts done, 1 refused"


@pytest.mark.parametrize(
    ("option", "file", "what"),
    [
        ("--failed-to", "night.toml", "plan"),
        ("--failed-to", "journal.sqlite", "journal"),
        ("--failed-to", "journal.sqlite-wal", "journal"),
        ("--failed-to", "linked.toml", "plan"),
        ("--events", "night.toml", "plan"),
        ("--events", "journal.sqlite", "journal"),
        ("--events", "empty-settings.toml", "settings"),
    ],
)
def test_no_file_that_the_call_needs_is_written_over(
    lab: Lab, mpsbridge: Command, plan: Path, tmp_path: Path, option: str, file: str, what: str
) -> None:
    """A plan lost its other hosts by that, and a record all its runs."""
    night = tmp_path / "night.toml"
    night.write_bytes(plan.read_bytes())
    (tmp_path / "linked.toml").symlink_to(night)
    Journal(tmp_path / "journal.sqlite").close()
    before = {each: each.read_bytes() for each in (night, tmp_path / "journal.sqlite")}
    found = mpsbridge("maintain", str(night), "--yes", option, str(tmp_path / file))
    assert (found.code, f"{option}: " in found.err, f"is the {what} of this call" in found.err) == (2, True, True)
    assert lab.requests == []
    assert {each: each.read_bytes() for each in before} == before


def test_what_is_left_and_what_happens_are_two_files(lab: Lab, mpsbridge: Command, plan: Path, tmp_path: Path) -> None:
    one = str(tmp_path / "one")
    found = mpsbridge("maintain", str(plan), "--yes", "--failed-to", one, "--events", one)
    assert (found.code, lab.requests) == (2, [])


@pytest.mark.parametrize(
    "words", [["end", "alpha", "--all", "--events"], ["resume", "--events"], ["doctor", "alpha", "--save"]]
)
def test_no_record_is_written_over_by_any_call(lab: Lab, mpsbridge: Command, tmp_path: Path, words: list[str]) -> None:
    found = mpsbridge(*words, str(tmp_path / "journal.sqlite"))
    assert (found.code, "is the journal of this call" in found.err, lab.requests) == (2, True, [])


def test_an_example_is_printed_and_nothing_else_is_done(mpsbridge: Command, tmp_path: Path) -> None:
    path = tmp_path / "night.toml"
    path.write_text(mpsbridge("maintain", "--example").out, encoding="utf-8")
    assert read_plan(path).then == "restart"
    assert mpsbridge("maintain", "--example", "-o", "json").code == 2


def test_a_plan_that_is_not_named_is_missing(mpsbridge: Command) -> None:
    found = mpsbridge("maintain", "--yes")
    assert (found.code, found.out) == (2, "")
    assert found.err.splitlines()[0] == "mpsbridge maintain: PLAN.toml is missing"
