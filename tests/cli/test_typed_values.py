"""Words that would mean nobody, or nothing, are refused before anything is sent; the option is named."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.console import Command

from mpsbridge import End, InputError, Journal, LogOff, Policy, Selector, SetLogons, Workplace, find_targets
from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import LogonMode
from mpsbridge.operations.waves import WavesTable, limits
from mpsbridge.procedure.notices import check_template

END = ("end", "ts1", "--all", "--no-warning", "--dry-run")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--keep-user", "alic*"), "--keep-user: 'alic*' has '*' in it: it names one user, and patterns are not known"),
        (("--keep-user", "ts1/alice"), "--keep-user: 'ts1/alice' has '/' in it: write a user as DOMAIN\\user"),
        (("--keep-user", ""), "--keep-user: the name is empty"),
        (("--keep-running", "a/b"), "--keep-running: 'a/b' is not a program name"),
        (("--sender", "a\nb"), "--sender: the text holds U+000A; write it on one line"),
        (("--reason", "caf\udce9"), "--reason: the text is not valid Unicode"),
        (("--reason", "x" * 301), "--reason: it is longer than 300 characters"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(mpsbridge: Command, words: tuple[str, ...], said: str) -> None:
    found = mpsbridge(*END, *words)
    assert (found.code, said in found.err) == (2, True), found.err


def test_a_pattern_is_no_user_anywhere(mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "ts1", "--user", "alic*")
    assert (found.code, "--user: 'alic*' has '*' in it" in found.err) == (2, True)


@pytest.mark.parametrize(
    ("moments", "said"),
    [
        ("5m,5m", "--warn: a moment is named twice"),
        ("0s", "--warn: 0s is the end itself; a run without notices has --no-warning"),
    ],
)
def test_notices_at_no_moment_of_their_own(mpsbridge: Command, moments: str, said: str) -> None:
    found = mpsbridge("end", "ts1", "--all", "--warn", moments, "--dry-run")
    assert (found.code, said in found.err) == (2, True)


@pytest.mark.parametrize(
    "more", [{"warn_s": (-5,)}, {"keep_users": ("",)}, {"keep_users": ("a*",)}, {"reason": "a\nb"}]
)
def test_the_library_refuses_the_same(more: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Policy(selector=Selector(everyone=True), **more)


def test_the_name_of_a_program_is_read_as_people_write_it() -> None:
    assert Policy(selector=Selector(everyone=True), keep_running=("WinWord.EXE",)).keep_running == ("winword",)


@pytest.mark.parametrize("template", ["x{left:>99999999999}", "{time!r}"])
def test_a_notice_s_text_names_its_fields_and_gives_them_no_format(template: str) -> None:
    with pytest.raises(InputError, match="write the name alone"):
        check_template(template)


@pytest.mark.parametrize("words", [("-ojson",), ("-o", "json"), ("--output=json",)])
def test_a_call_that_is_not_understood_answers_as_it_was_asked_to(mpsbridge: Command, words: tuple[str, ...]) -> None:
    found = mpsbridge("sessions", "ts1", "--no-such-option", *words)
    assert (found.code, found.document["error"]["kind"]) == (2, "input")


def test_the_variable_asks_for_it_too(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_OUTPUT", "json")
    assert mpsbridge("sessions", "ts1", "--no-such-option").document["error"]["kind"] == "input"


@pytest.mark.parametrize("command", ["logoff", "end", "hold"])
def test_a_slip_in_a_variable_s_name_stops_what_acts(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("MPSBRIDGE_DRYRUN", "1")
    words = ("--reason", "updates") if command == "hold" else ("--all", "--yes")
    found = mpsbridge(command, "127.0.0.1:9", *words, "-u", "ops")
    assert found.code == 2
    assert "MPSBRIDGE_DRYRUN is not a setting; did you mean MPSBRIDGE_DRY_RUN?" in found.err


def test_a_time_of_day_is_that_of_the_wall_clock_when_the_clocks_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        evening = datetime(2027, 3, 27, 23, 0, tzinfo=ZoneInfo("Europe/Berlin"))
        found = limits(WavesTable(not_after=time_of_day(5, 0)), 1, evening).not_after
        assert found == datetime(2027, 3, 28, 5, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_moment_of_a_plan_is_no_later_one_when_it_waits() -> None:
    now = datetime(2026, 11, 25, 22, 0).astimezone()
    waves = WavesTable(not_after=time_of_day(23, 0)).fixed(now)
    assert limits(waves, 1, now + timedelta(hours=8)).not_after == now + timedelta(hours=1)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    clock = HastyClock(300)
    person = {"id": 2, "user": "alice", "session_name": "rdp-tcp#1"}
    hosts = [{"name": name, "sessions": [person]} for name in ("alpha", "beta")]
    with Lab(build_world({"hosts": hosts}, clock), clock=clock) as lab:
        monkeypatch.setenv("MPSBRIDGE_USERNAME", lab.user)
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        monkeypatch.setenv("MPSBRIDGE_NO_TLS", "1")
        yield lab


EVERYONE = Selector(everyone=True)
OPERATIONS: dict[str, Any] = {
    "end": End(policy=Policy(selector=EVERYONE, warn_s=())),
    "logoff": LogOff(selector=EVERYONE),
    "logons": SetLogons(mode=LogonMode.DRAIN),
}


@pytest.mark.parametrize("what", OPERATIONS)
def test_a_plan_is_carried_out_once_and_on_its_own_hosts(lab: Lab, tmp_path: Path, what: str) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:

        def workplace(host: str) -> Workplace:
            return Workplace(find_targets(host, inventory=str(lab.inventory)), journal, clock=lab.world.clock)

        with workplace("alpha") as one, workplace("beta") as other:
            plan: Any = one.plan(OPERATIONS[what])
            with pytest.raises(InputError, match="other hosts than those of this workplace"):
                other.carry_out(plan)
            assert list(lab.changes) == []
            one.carry_out(plan)
            with pytest.raises(InputError, match="carried out before"):
                one.carry_out(plan)
    assert {change.host for change in lab.changes} == {"alpha"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("history", "--user", ""), "--user: the name is empty"),
        (("history", "--host", ""), "--host: it is empty"),
        (("history", "--host", "ts*"), "--host: 'ts*' is not the name of one host"),
        (("history", "--host", "ts1,ts2"), "--host: 'ts1,ts2' is not the name of one host"),
        (("history", "--user", "alic*"), "--user: 'alic*' has '*' in it"),
        (("history", ""), "RUN: it is empty"),
        (("report", ""), "RUN: it is empty"),
        (("resume", "", "--yes"), "RUN: it is empty"),
        ((*END, "--yes", "--events", ""), "--events: it is empty"),
        ((*END, "--yes", "--events="), "--events: it is empty"),
        ((*END, "--yes", "--notice-file", ""), "--notice-file: it is empty"),
        (("maintain", ""), "FILE: it is empty"),
        (("maintain", "night.toml", "--failed-to", ""), "--failed-to: it is empty"),
        (("doctor", "ts1", "--save", ""), "--save: it is empty"),
        (("docs", "--man", ""), "--man: it is empty"),
        (("jea", ""), "FOLDER: it is empty"),
        (("lab", "--world", ""), "--world: it is empty"),
    ],
)
def test_what_is_missing_in_ci_is_refused_as_empty(mpsbridge: Command, words: tuple[str, ...], said: str) -> None:
    """'history --user ""' was once a success that found nobody, and pages for man went into the folder at work."""
    found = mpsbridge(*words)
    assert (found.code, said in found.err) == (2, True), found.err


def test_a_run_that_is_the_only_one_is_not_meant_by_an_empty_name(mpsbridge: Command, tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin("r-1", command="end", reason="", options={})
    assert mpsbridge("resume", "", "--yes").code == 2
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.runs()[0].ended is None
