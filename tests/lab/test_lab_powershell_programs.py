"""What the stand-in programs and cmdlets of the lab's second engine say and do, without any PowerShell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.alike import world

from mpsbridge.lab.engines.powershell import facts
from mpsbridge.lab.engines.powershell.multipoint import modules
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.programs import ProgramResult, run_program

PEOPLE = [
    {"id": 2, "user": "alice", "logon": "2026-11-25T09:00:00Z"},
    {"id": 3, "user": "bob", "state": "disconnected", "logon": "2026-11-25T09:10:00Z"},
    {"id": 4, "user": "carol", "session_name": "console", "protected": True, "logon": "2026-11-25T09:20:00Z"},
    {"id": 5, "user": "12", "hung": True, "logon": "2026-11-25T09:30:00Z"},
    {"id": 12, "user": "dave", "logoff_s": 30, "logon": "2026-11-25T09:40:00Z"},
]


def host(**more: Any) -> LabHost:
    return world({"name": "a", "sessions": PEOPLE, **more}).hosts["a"]


def run(where: LabHost, line: str) -> ProgramResult:
    program, *arguments = line.split(" ")
    return run_program(where, program, arguments)


def acts(where: LabHost) -> list[tuple[str, int | None]]:
    return [(change.act, change.session_id) for change in where.world.changes]


def test_tables_come_in_the_hosts_own_page_and_their_absence_on_standard_error() -> None:
    assert run(host(language="fr"), "quser").out.startswith(" UTILISATEUR".encode("cp850"))
    assert "ÉTAT".encode("cp850") in run(host(language="fr"), "quser").out
    for where in (host(sessions=[]), host(rights="user")):
        assert run(where, "quser") == ProgramResult(1, err=b"No User exists for *\r\n")
    assert run(host(rights="user"), "qwinsta") == ProgramResult(1, err=b"No session exists for *\r\n")


def test_a_table_can_be_asked_for_one_session() -> None:
    for word in ("12", "dave", "rdp-tcp#12"):
        assert [line[1:5] for line in run(host(), f"quser {word}").out.splitlines()[1:]] == [b"dave"]
    assert run(host(), "quser nobody").err == b"No User exists for nobody\r\n"


@pytest.mark.parametrize("line", ["logoff 2", "logoff rdp-tcp#2", "logoff 2 /v", "rwinsta 2", "tsdiscon 2", "msg 2 hi"])
def test_each_program_acts_on_the_session_that_it_was_given_and_on_no_other(line: str) -> None:
    where = host()
    before = {each.id: (each.state, tuple(each.boxes)) for each in where.rows() if each.id != 2}
    assert run(where, line).exit == 0
    assert [number for _, number in acts(where)] == [2]
    assert {each.id: (each.state, tuple(each.boxes)) for each in where.rows() if each.id != 2} == before


@pytest.mark.parametrize("program", ["logoff", "tsdiscon"])
def test_without_an_id_the_callers_own_session_is_meant(program: str) -> None:
    where = host(caller_session=3)
    assert run(where, program).exit == 0
    assert [number for _, number in acts(where)] == [3]
    denied = run(host(), program)  # a caller over WinRM is in session 0
    assert (denied.exit, b"session ID 0 from session Console, Error code 5" in denied.err) == (1, True)


@pytest.mark.parametrize(
    "line", ["logoff 4", "tsdiscon 4", "rwinsta 4", "msg 4 hi", "logoff 0", "logoff 99", "msg 99 x"]
)
def test_what_may_not_be_touched_or_is_not_there_is_refused(line: str) -> None:
    where = host()
    assert (run(where, line).exit, acts(where)) == (1, [])


@pytest.mark.parametrize("line", ["logoff 2", "tsdiscon 2", "rwinsta 2", "msg 2 hi", "chglogon /drain"])
def test_an_account_without_rights_changes_nothing(line: str) -> None:
    where = host(rights="user")
    assert (run(where, line).exit, acts(where), where.logon_mode) == (1, [], "enabled")


def test_a_log_off_is_waited_for_and_a_hung_one_never_ends_but_by_a_reset() -> None:
    where = host()
    slow, hung = run(where, "logoff 12"), run(where, "logoff 5")
    assert slow.until is not None
    assert hung.until is not None
    assert (slow.until(), hung.until()) == (False, False)
    where.world.clock.wait(31)
    assert (slow.until(), hung.until()) == (True, False)
    run(where, "rwinsta 5")
    assert hung.until()


def test_a_session_may_ignore_what_it_is_told() -> None:
    where = host(sessions=[{"id": 2, "user": "alice", "ignores": True}])
    assert [run(where, line).exit for line in ("tsdiscon 2", "logoff 2")] == [0, 0]
    assert run(where, "logoff 2").until is None
    assert [(each.id, each.state) for each in where.rows()] == [(2, "active")]
    assert acts(where) == []


def test_an_orphaned_session_is_in_no_table_and_can_be_reset() -> None:
    where = host(sessions=[{"id": 2, "user": "alice", "orphaned": True}])
    assert run(where, "quser").out == b""
    assert run(where, "logoff 2").exit == 1
    assert "explorer" in names(where, 2)
    assert run(where, "rwinsta 2").exit == 0
    assert names(where, 2) == []


def test_a_program_that_hangs_does_its_work_and_never_ends() -> None:
    where = host(hangs=["tsdiscon.exe"])
    disconnected = run(where, "tsdiscon 2")
    assert (acts(where), disconnected.until is not None and disconnected.until()) == ([("disconnect", 2)], False)


def test_columns_stand_as_they_are_given_until_the_session_changes() -> None:
    texts = {"state_text": "Getr.", "idle_text": "kein", "logon_text": "25.11.26 9:00"}
    where = host(sessions=[{"id": 2, "user": "alice", **texts}])
    assert run(where, "quser").out.splitlines()[1].split()[-4:] == [b"Getr.", b"kein", b"25.11.26", b"9:00"]
    where.disconnect(2)
    assert b"Getr." not in run(where, "quser").out


def test_logons_that_are_stuck_stay_as_they_are() -> None:
    where = host(logons_stuck=True)
    assert run(where, "chglogon /drain").out == b"Session logins are currently ENABLED\r\n"
    assert (where.logon_mode, acts(where)) == ("enabled", [])


def test_a_message_goes_to_an_id_before_it_goes_to_a_name() -> None:
    where = host()
    run(where, "msg 12 /time:5 two words")
    assert {each.id: each.boxes for each in where.rows() if each.boxes} == {12: ["two words"]}
    assert run(where, "msg bob x").exit == 0
    assert run(where, "msg").exit == 1


def test_the_exit_code_of_chglogon_says_nothing() -> None:
    where = host()
    assert run(where, "chglogon /query").exit == 1
    assert (run(where, "chglogon /drain").exit, where.logon_mode) == (1, "drain")
    assert run(where, "chglogon /query") == ProgramResult(0, out=b"Session logins are currently DRAIN\r\n")
    assert (run(where, "chglogon /nonsense").exit, where.logon_mode) == (1, "drain")


def test_a_restart_comes_after_its_delay_and_only_once_and_can_be_taken_back() -> None:
    where = host()
    assert run(where, "shutdown /a").exit == 1116
    assert run(where, "shutdown /r /f /t 10 /d p:0:0 /c text").exit == 0
    assert run(where, "shutdown /s /t 0").exit == 1190
    assert run(where, "shutdown /a").exit == 0
    where.world.clock.wait(11)
    assert (where.is_away, len(where.rows())) == (False, 5)
    run(where, "shutdown /r /t 10")
    where.world.clock.wait(11)
    assert (where.is_away, where.rows()) == (True, [])
    assert acts(where) == [("restart", None)]


def test_only_an_administrator_restarts_writes_events_and_reads_births() -> None:
    where = host(rights="rds")
    assert run(where, "shutdown /r /t 0").exit == 5
    assert facts.tell(where, ["event", "x"]).exit == 5
    assert all(set(each) == {"name", "session"} for each in json.loads(facts.tell(where, ["processes", ""]).out))
    assert where.events == []


def told(where: LabHost, question: str, key: str = "") -> Any:
    answer = facts.tell(where, [question, key])
    return json.loads(answer.out) if answer.exit == 0 else (answer.exit, answer.err.decode())


def names(where: LabHost, number: int) -> list[str]:
    return [each["name"] for each in told(where, "processes") if each["session"] == number]


def test_processes_are_those_of_a_desktop_a_logon_screen_or_what_is_left() -> None:
    sessions = [
        {"id": 2, "user": "alice", "programs": ["winword"]},
        {"id": 3, "user": "bob", "desktop": False},
        {"id": 4, "user": "carol", "winlogon": False, "unreadable": True},
        {"id": 5, "user": "dave", "sealed": True},
    ]
    where = host(sessions=sessions)
    system = ["winlogon", "csrss", "dwm"]
    assert [names(where, number) for number in (2, 3, 4)] == [
        [*system, "explorer", "winword"],
        system,
        [*system[1:], "explorer"],
    ]
    seen = {each["session"]: (each["born"] is not None, each["sealed"]) for each in told(where, "processes")}
    assert seen == {0: (True, True), 2: (True, False), 3: (True, False), 4: (False, False), 5: (True, True)}
    assert told(host(processes="denied"), "processes") == (5, "Access is denied.")


XML = """<Task xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
<Actions><Exec><Command>x.exe</Command></Exec></Actions></Task>"""


@pytest.mark.parametrize(
    ("tasks", "registered", "seen"),
    [
        ("works", None, "Ready"),
        ("disabled", None, "Disabled"),
        ("lost", None, None),
        ("denied", (5, "Access is denied."), None),
        ("unreadable", None, (5, "Access is denied.")),
    ],
)
def test_a_task_scheduler_may_fail_in_each_way(tasks: str, registered: object, seen: object) -> None:
    where = host(tasks=tasks)
    assert told(where, "register-task", f"\\a\\b\n{XML}") == registered
    found = told(where, "task", "\\a\\b")
    assert (found["state"] if isinstance(found, dict) else found) == seen
    assert told(host(tasks="lost"), "register-task", "\\a\\b\nx")[0] == 1


@pytest.mark.parametrize(
    ("wms", "fails", "done"), [("works", False, True), ("throws", True, False), ("throws-late", True, True)]
)
def test_multipoints_service_may_fail_before_or_after_it_acts(wms: str, fails: bool, done: bool) -> None:
    where = host(generation="2016", wms=wms)
    for question, key in (("close", "2"), ("switch", "Console")):
        answer = told(where, question, key)
        assert (answer == (1, "The MultiPoint service reported an error.")) == fails
    assert (where.session(2) is None, where.mode == "ConsoleMode") == (done, done)


def test_an_event_log_may_take_no_entry() -> None:
    where = host(event_log="denied")
    assert told(where, "event", "x")[0] == 5
    assert where.events == []


def test_a_key_that_is_not_there_is_told_from_an_empty_one() -> None:
    root = r"Registry::HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion"
    where = host(pending_reboot=["RebootPending"])
    pending, required = (
        rf"{root}\Component Based Servicing\RebootPending",
        rf"{root}\WindowsUpdate\Auto Update\RebootRequired",
    )
    assert [json.loads(facts.tell(where, ["key", key]).out) for key in (pending, required)] == [{}, None]


@pytest.mark.parametrize(
    ("generation", "counts"), [("2012", {"MultiPoint": 28}), ("2016", {"MultiPoint": 47, "MultipointVdi": 7})]
)
def test_each_generation_has_all_its_cmdlets(generation: str, counts: dict[str, int]) -> None:
    assert {name: text.count("\nfunction ") - _own(text) for name, text in modules(generation).items()} == counts


def _own(text: str) -> int:
    """Functions that are the lab's."""
    return sum("Lab" in line for line in text.splitlines() if line.startswith("function "))
