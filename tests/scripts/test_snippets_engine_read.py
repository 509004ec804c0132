"""The reading snippets on the real PowerShell engine, over make-believe hosts, in both JSON dialects."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.snippet_calls import CALLS
from support.windows import Person, Windows, moved

from mpsbridge.errors import AccessDenied, RemoteError
from mpsbridge.lab.engines.powershell.facts import NotPermitted
from mpsbridge.lab.engines.powershell.multipoint import modules
from mpsbridge.lab.windows.accounts import DOMAIN_ADMINS, administrators
from mpsbridge.lab.windows.cim import cim_instance
from mpsbridge.models.answers import ObserveAnswer
from mpsbridge.models.sessions import LogonMode, State
from mpsbridge.parsing.observation import observe as parsed
from mpsbridge.snippets.envelope import Envelope, open_envelope
from mpsbridge.snippets.logons import ReadLogonMode
from mpsbridge.snippets.observe import Observe
from mpsbridge.snippets.stations import ListStations

pytestmark = pytest.mark.engine

ALICE = Person(2, "alice")
BOB = Person(5, "bob", name="", state="Disc", idle="1:23", born="20261125081500.000001+000")
AT_STATION = moved(ALICE, traits={"station": 1, "admin": True})
STATIONS: dict[str, Any] = {"stations": [{"id": 1, "name": "Fenêtre", "auto_logon": True}, {"id": 2, "name": "Two"}]}


@pytest.fixture(params=["7", "5.1"])
def dialect(request: pytest.FixtureRequest) -> str:
    return "5.1" if request.param == "5.1" else ""


def look(host: Windows, dialect: str = "", *, time_limit_s: int = 20, **how: Any) -> tuple[ObserveAnswer, Envelope]:
    script = Observe(time_limit_s=time_limit_s).render()
    output = host.run(script, json_dialect=dialect, **how)
    assert output.errors == ()
    assert len(output.output) == 1
    envelope = open_envelope("observe", output)
    return envelope.answer(ObserveAnswer), envelope


@pytest.mark.parametrize("generation", ["none", "2012", "2016"])
def test_one_look_tells_everything(engine: Path, dialect: str, generation: str) -> None:
    multipoint = generation != "none"
    host = Windows(
        engine, [AT_STATION if multipoint else ALICE, BOB], generation=generation, **STATIONS if multipoint else {}
    )
    answer, envelope = look(host, dialect)
    assert envelope.problems == ()
    assert answer.computer == "STATION-HOST"
    assert answer.boot == "20261101060000.000000+000"
    assert b"alice" in base64.b64decode(answer.quser.out)
    assert (answer.quser.exit, answer.quser.timed_out, answer.quser.problem) == (0, False, None)
    assert b"bob" in base64.b64decode(answer.qwinsta.out)
    assert (answer.oem, answer.ansi) == (437, 1252)
    assert answer.patterns.short_date == "M/d/yyyy"
    assert [(birth.id, birth.born) for birth in answer.births] == [(2, ALICE.born), (5, BOB.born)]
    assert [(owner.id, owner.account, owner.sid) for owner in answer.owners] == [
        (2, "LAB\\alice", "S-1-5-21-1-2-3-1002"),
        (5, "LAB\\bob", "S-1-5-21-1-2-3-1005"),
    ]
    assert members(answer) == [(sid, kind.lower()) for _, sid, kind in administrators(host.host)]
    assert members(answer)[-1] == (DOMAIN_ADMINS, "group")
    assert [owner.groups for owner in answer.owners] == [None, None]
    assert (answer.witness.before, answer.witness.after) == ((2, 5), (2, 5))
    assert (answer.logons.mode, answer.logons.terminal_server_mode) == (LogonMode.ENABLED, 1)
    assert (answer.broker.active, answer.broker.agents) == (False, ())
    assert answer.caller.account == "STATION-HOST\\Administrator"
    assert (answer.caller.elevated, answer.caller.session_id) == (True, 0)
    assert answer.sets_logons is True
    assert answer.pending_reboot == ()
    assert (answer.powershell.language, answer.powershell.bits) == ("FullLanguage", 64)
    assert answer.lease is None
    if multipoint:
        assert answer.wms is not None
        assert (answer.wms.generation, answer.wms.mode) == (generation, "Normal")
        assert [(row.id, row.user, row.state, row.admin) for row in answer.wms.sessions] == [
            (2, "alice", "ConnectedToStation", True),
            (5, "bob", "RemoteConnection", False),
        ]
        assert [(row.id, row.name, row.session_id, row.auto_logon) for row in answer.wms.stations] == [
            (1, "Fenêtre", 2, True),
            (2, "Two", None, False),
        ]
    else:
        assert answer.wms is None
    assert host.record == []


@pytest.mark.parametrize(("services", "found"), [((), False), (("WmsSvc",), True)])
def test_without_multipoints_module_or_service_its_cmdlets_are_not_searched_for(
    engine: Path, services: tuple[str, ...], found: bool
) -> None:
    """Searching makes Windows PowerShell analyse every module; here one that nobody would look into holds them."""
    host = Windows(engine, [ALICE], generation="2016")
    host.facts["services"] = lambda _: [{"Name": name, "Status": "Running"} for name in services]
    other = host.folder / "modules" / "Other" / "Other.psm1"
    other.parent.mkdir(parents=True)
    other.write_text(modules("2016")["MultiPoint"])
    elsewhere = f"$env:PSModulePath = '{other.parent.parent}:' + $env:MPSBRIDGE_LAB_MODULES\n"
    envelope = open_envelope("observe", host.run(elsewhere + Observe().render().text))
    answer = envelope.answer(ObserveAnswer)
    assert (answer.wms is not None, envelope.problems) == (found, ())


AUTUMN = """
$env:TZ = 'Europe/Berlin'; [TimeZoneInfo]::ClearCachedData()
function global:Get-Date {{ param($Date) [datetime]::SpecifyKind([datetime]'{now}', 'Utc') }}
"""


@pytest.mark.parametrize(
    ("now", "offset_min", "until"),
    [
        ("2026-10-24T22:10:00", 120, "20261025001000.000000+000"),
        ("2026-10-25T01:10:00", 60, None),
        ("2026-11-25T12:00:00", 60, None),
    ],
)
def test_a_change_of_the_clock_within_a_day_is_told(engine: Path, now: str, offset_min: int, until: str | None) -> None:
    script = Observe().render().text
    output = Windows(engine, [ALICE]).run(AUTUMN.format(now=now) + script)
    answer = open_envelope("observe", output).answer(ObserveAnswer)
    assert (answer.utc_offset_min, answer.offset_until) == (offset_min, until)


def denied(_: str) -> Any:
    raise NotPermitted("Access denied")


def members(answer: ObserveAnswer) -> list[tuple[str | None, str]]:
    return [(member.sid, member.kind) for member in answer.admins or ()]


GROUPS = r"Registry::HKEY_USERS\{}\SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\GroupMembership"
APPLIED = (
    r"Registry::HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\State\{}"
    r"\Extension-List\{{00000000-0000-0000-0000-000000000000}}"
)
ALICE_SID, BOB_SID = "S-1-5-21-1-2-3-1002", "S-1-5-21-1-2-3-1005"


def test_w10_the_groups_that_windows_noted_tell_an_administrator_by_group(engine: Path, dialect: str) -> None:
    host = Windows(engine, [ALICE, BOB])
    ticks = (datetime(2026, 11, 25, 8, 0, 20, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    high, low = divmod(ticks * 10_000_000, 1 << 32)
    noted = {"Count": 3, "Group0": "S-1-1-0", "Group1": DOMAIN_ADMINS, "Group2": "S-1-5-32-544", "PSPath": "x"}
    host.registry = {
        GROUPS.format(ALICE_SID): noted,
        APPLIED.format(ALICE_SID): {"StartTimeHi": high, "StartTimeLo": low - (low >= 1 << 31) * (1 << 32)},
        GROUPS.format(BOB_SID): {"Count": 1, "Group0": "S-1-1-0"},
    }
    answer, envelope = look(host, dialect)
    alice, bob = answer.owners
    assert (alice.groups, alice.groups_at) == (
        ("S-1-5-32-544", DOMAIN_ADMINS),
        "20261125080020.000000+000",
    )
    assert (bob.groups, bob.groups_at) == (None, None)
    assert envelope.problems == ()
    sessions = {session.user: session.admin for session in parsed(answer).sessions}
    assert sessions == {"alice": True, "bob": None}


def test_w10_one_member_that_cannot_be_read_loses_none_of_the_others(engine: Path, dialect: str) -> None:
    listed = [
        {"Name": "gone", "objectSid": None, "Class": "User"},
        {"Name": "alice", "objectSid": ALICE_SID, "Class": "User"},
        {"Name": "S-1-5-21-7-7-7-1100", "objectSid": "S-1-5-21-7-7-7-1100", "Class": "User"},
        {"Name": "odd", "objectSid": "S-1-5-21-1-2-3-999", "Class": None},
    ]
    host = Windows(engine, [ALICE, BOB])
    host.facts["administrators"] = lambda _: listed
    answer, envelope = look(host, dialect)
    assert members(answer) == [
        (None, "unknown"),
        (ALICE_SID, "user"),
        ("S-1-5-21-7-7-7-1100", "unknown"),
        ("S-1-5-21-1-2-3-999", "unknown"),
    ]
    assert [problem.split(":")[0] for problem in envelope.problems] == ["administrators"]
    assert {session.user: session.admin for session in parsed(answer).sessions} == {"alice": True, "bob": None}


def test_w10_without_a_group_among_them_it_is_known_that_somebody_is_none(engine: Path, dialect: str) -> None:
    answer, _ = look(Windows(engine, [ALICE], administrators="users"), dialect)
    assert [kind for _, kind in members(answer)] == ["user"]
    assert [session.admin for session in parsed(answer).sessions] == [False]


def test_what_parsing_makes_of_it(engine: Path) -> None:
    output = Windows(engine, [ALICE, BOB]).run(Observe().render())
    seen = Observe.read(output)
    assert [(each.id, each.user, each.state) for each in seen.sessions] == [
        (2, "alice", State.ACTIVE),
        (5, "bob", State.DISCONNECTED),
    ]
    assert [each.guard for each in seen.sessions] == [ALICE.guard(), BOB.guard()]


def test_an_empty_host_is_no_error(engine: Path, dialect: str) -> None:
    answer, envelope = look(Windows(engine, []), dialect)
    assert (answer.quser.exit, answer.quser.out) == (1, "")
    assert base64.b64decode(answer.quser.err).startswith(b"No User exists")
    assert (answer.births, answer.owners, answer.witness.after) == ((), (), ())
    assert envelope.problems == ()


def test_bytes_come_home_as_they_are(engine: Path) -> None:
    person = Person(3, "Jörg Ñandú", state="Getr.")
    answer, _ = look(Windows(engine, [person], page="cp850"))
    assert "Jörg Ñandú".encode("cp850") in base64.b64decode(answer.quser.out)
    assert answer.oem == 850


def test_w07_the_profiles_own_patterns_else_the_defaults(engine: Path) -> None:
    host = Windows(engine, [])
    host.registry = {
        r"Registry::HKEY_CURRENT_USER\Control Panel\International": None,
        r"Registry::HKEY_USERS\.DEFAULT\Control Panel\International": {
            "sShortDate": "dd.MM.yyyy",
            "sShortTime": "HH:mm",
            "LocaleName": "de-DE",
        },
    }
    answer, envelope = look(host)
    assert (answer.patterns.short_date, answer.patterns.locale) == ("dd.MM.yyyy", "de-DE")
    assert envelope.problems == ()


def test_w12_the_witness_is_a_positive_list(engine: Path) -> None:
    people = [ALICE, Person(3, "-", programs=("nvcontainer", "LogonUI"), sid="S-1-5-18", listed=False)]
    answer, _ = look(Windows(engine, people))
    assert answer.witness.after == (2,)


@pytest.mark.parametrize(("elevated", "seen"), [(True, (2, 4)), (False, (2,))])
def test_w12_an_elevated_caller_asks_for_owners_too(engine: Path, elevated: bool, seen: tuple[int, ...]) -> None:
    people = [ALICE, Person(4, "carol", programs=("kiosk",), sid="S-1-12-1-99-1")]
    answer, _ = look(Windows(engine, people, rights="admin" if elevated else "rds"))
    assert (answer.caller.elevated, answer.witness.after) == (elevated, seen)


@pytest.mark.xdist_group("timing")
def test_w12_a_difference_is_looked_at_again(engine: Path) -> None:
    host = Windows(engine, [ALICE])
    host.later(1, [ALICE, BOB])
    answer, _ = look(host)
    assert (answer.witness.before, answer.witness.after) == ((2, 5), (2, 5))
    assert host.looks == 2


def test_w14_a_caller_without_rights_gets_what_it_may_see(engine: Path) -> None:
    data = (
        r"Registry::HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\LogonUI\SessionData\2"
    )
    remembered = {data: {"LoggedOnUserSID": "S-1-5-21-9-9-9-9", "LoggedOnSAMUser": "LAB\\alice"}}
    host = Windows(engine, [ALICE, BOB], rights="rds")
    host.facts = {"key": remembered.get, "cim": denied}
    answer, envelope = look(host)
    assert answer.births == ()
    assert answer.boot is None
    assert [(owner.id, owner.account, owner.sid) for owner in answer.owners] == [(2, "LAB\\alice", "S-1-5-21-9-9-9-9")]
    assert answer.logons.mode is None
    parts = [problem.partition(":")[0] for problem in envelope.problems]
    assert parts == [
        "code pages",
        "boot identity",
        "logon mode",
        "regional patterns",
        "connection broker",
        "pending restart",
    ]
    assert answer.pending_reboot is None


def test_processes_that_cannot_be_listed_are_a_problem_not_an_empty_host(engine: Path) -> None:
    answer, envelope = look(Windows(engine, [ALICE], processes="denied"))
    assert answer.witness.after == ()
    assert {problem.partition(":")[0] for problem in envelope.problems} >= {
        "processes before the tables",
        "processes after the tables",
    }


def test_w21_a_broker_and_its_agents_are_named(engine: Path, dialect: str) -> None:
    host = Windows(engine, [], broker=True, agents=["WSNM", "Spooler"], logon_mode="disabled")
    answer, _ = look(host, dialect)
    assert (answer.broker.active, answer.broker.agents) == (True, ("WSNM",))
    assert answer.logons.mode is LogonMode.DISABLED


CBS = r"Registry::HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"


@pytest.mark.parametrize(
    "unready",
    [(), ("TermService",), ("TermService", "RebootInProgress")],
)
def test_w26_what_keeps_a_host_from_being_ready_is_named(engine: Path, unready: tuple[str, ...]) -> None:
    host = Windows(engine, [ALICE])
    if "TermService" in unready:
        host.facts["services"] = lambda _: [{"Name": "TermService", "Status": "Stopped"}]
    if "RebootInProgress" in unready:
        host.registry[rf"{CBS}\RebootInProgress"] = {}
    answer, _ = look(host)
    assert answer.unready == unready


def test_w25_the_boot_is_the_birth_of_wininit_whatever_the_clock_says(engine: Path) -> None:
    host = Windows(engine, [])
    jumped = {"LastBootUpTime": "20261101060007.500000+000"}
    host.facts["cim"] = lambda name: jumped if name == "Win32_OperatingSystem" else cim_instance(host.host, name)
    assert look(host)[0].boot == "20261101060000.000000+000"


def test_w39_pending_reboots_are_named(engine: Path, dialect: str) -> None:
    host = Windows(engine, [], pending_reboot=["RebootPending", "PendingFileRenameOperations"])
    answer, _ = look(host, dialect)
    assert answer.pending_reboot == ("RebootPending", "PendingFileRenameOperations")


def test_w22_the_lease_comes_home_as_text(engine: Path, dialect: str) -> None:
    text = json.dumps({"run": "run-7", "owner": "O'Neil <x>", "since": "2026-11-25T09:00:00Z"})
    answer, envelope = look(Windows(engine, [], lease=text), dialect)
    assert answer.lease == text
    assert envelope.problems == ()


def test_w22_a_lease_that_cannot_be_read_is_held_not_absent(engine: Path) -> None:
    answer, envelope = look(Windows(engine, [], lease="x" * 300_000))
    assert answer.lease == ""
    assert "256 KB" in envelope.problems[0]


def test_a_missing_program_is_a_reason_not_an_empty_table(engine: Path) -> None:
    host = Windows(engine, [ALICE], lacks=["quser.exe"])
    answer, _ = look(host)
    assert answer.quser.problem == "this host has no quser.exe"
    assert (answer.quser.exit, answer.quser.out) == (None, "")
    assert answer.qwinsta.exit == 0


@pytest.mark.xdist_group("timing")
def test_w29_a_program_that_hangs_costs_its_time_limit(engine: Path) -> None:
    answer, _ = look(Windows(engine, [ALICE], hangs=["quser.exe"]), time_limit_s=1)
    assert (answer.quser.timed_out, answer.quser.exit) == (True, None)
    assert answer.caller.elevated


@pytest.mark.xdist_group("timing")
def test_multipoint_that_hangs_costs_its_time_limit_and_is_a_problem(engine: Path) -> None:
    host = Windows(engine, [AT_STATION], generation="2016", wms="hangs", **STATIONS)
    answer, envelope = look(host, time_limit_s=2)
    assert answer.wms is None
    assert envelope.problems == ("MultiPoint: no answer within 2 seconds",)


@pytest.mark.parametrize("generation", ["2012", "2016"])
def test_stations(engine: Path, dialect: str, generation: str) -> None:
    host = Windows(engine, [AT_STATION], generation=generation, **STATIONS)
    found = ListStations.read(host.run(ListStations().render(), json_dialect=dialect))
    assert found.mode == "station"
    assert [(station.id, station.name, station.user, station.auto_logon) for station in found.stations] == [
        (1, "Fenêtre", "alice", True),
        (2, "Two", None, False),
    ]


@pytest.mark.parametrize("name", ["observe", "stations"])
def test_no_password_travels(engine: Path, name: str) -> None:
    host = Windows(engine, [AT_STATION], generation="2016", **STATIONS)
    (text,) = host.run(CALLS[name].render()).output
    assert "Fen" in text
    assert "password" not in text.lower()


def test_stations_without_multipoint(engine: Path) -> None:
    found = ListStations.read(Windows(engine, []).run(ListStations().render()))
    assert (found.mode, found.stations) == ("none", ())


@pytest.mark.xdist_group("timing")
def test_stations_that_do_not_answer_are_an_error_not_an_empty_list(engine: Path) -> None:
    host = Windows(engine, [], generation="2016", wms="hangs", **STATIONS)
    with pytest.raises(RemoteError, match="no answer within 1 seconds"):
        ListStations.read(host.run(ListStations(time_limit_s=1).render()))


@pytest.mark.parametrize(
    ("logons", "drain", "mode"),
    [
        ("0", 0, LogonMode.ENABLED),
        ("0", 1, LogonMode.DRAIN_UNTIL_RESTART),
        ("0", 2, LogonMode.DRAIN),
        ("1", 0, LogonMode.DISABLED),
        ("1", 2, LogonMode.DISABLED),
    ],
)
def test_the_logon_mode_is_read_from_two_properties(engine: Path, logons: str, drain: int, mode: LogonMode) -> None:
    setting = {"Logons": logons, "SessionBrokerDrainMode": drain, "TerminalServerMode": 0}
    host = Windows(engine, [])
    host.facts["cim"] = lambda _: setting
    assert ReadLogonMode.read(host.run(ReadLogonMode().render())).mode is mode


@pytest.mark.parametrize("setting", [{}, {"Logons": "0"}, {"Logons": "7", "SessionBrokerDrainMode": 0}])
def test_a_property_that_is_missing_is_an_error_never_enabled(engine: Path, setting: dict[str, Any]) -> None:
    host = Windows(engine, [])
    host.facts["cim"] = lambda _: setting
    with pytest.raises(RemoteError, match="does not tell"):
        ReadLogonMode.read(host.run(CALLS["logons"].render()))


def test_a_refusal_of_windows_is_denied(engine: Path) -> None:
    host = Windows(engine, [])
    host.facts["cim"] = denied
    with pytest.raises(AccessDenied, match="Access denied"):
        ReadLogonMode.read(host.run(CALLS["logons"].render()))


def test_w05_births_that_get_process_may_not_read_come_from_cim(engine: Path) -> None:
    answer, envelope = look(Windows(engine, [moved(ALICE, traits={"sealed": True}), BOB]))
    assert [(birth.id, birth.born) for birth in answer.births] == [(2, ALICE.born), (5, BOB.born)]
    assert envelope.problems == ()


STOPPED = r"""
$shell = [powershell]::Create()
$shell.Runspace = [runspacefactory]::CreateRunspace([initialsessionstate]::CreateDefault2())
$shell.Runspace.Open()
[void]$shell.AddScript([IO.File]::ReadAllText('@FOLDER@/observe.ps1'))
$pending = $shell.BeginInvoke()
foreach ($try in 1..500) { if (-not [IO.File]::Exists('@FOLDER@/pid')) { Start-Sleep -Milliseconds 20 } }
Start-Sleep -Milliseconds 500  # until the script waits for it
$clock = [Diagnostics.Stopwatch]::StartNew()
$shell.Stop()
$quick = $clock.Elapsed.TotalSeconds -lt 2
$gone = $false
$program = [int][IO.File]::ReadAllText('@FOLDER@/pid')
foreach ($try in 1..100) {
    if ($gone) { break }
    $stat = ''
    try { $stat = [IO.File]::ReadAllText("/proc/$program/stat") } catch { }
    $gone = $stat -eq '' -or $stat -match '\) Z '  # ended, though its parent may not have asked yet
    if (-not $gone) { Start-Sleep -Milliseconds 50 }
}
"$gone $quick $($shell.InvocationStateInfo.State)"
"""


@pytest.mark.xdist_group("timing")
@pytest.mark.parametrize("language", ["FullLanguage", "ConstrainedLanguage"])
def test_w29_a_stop_gets_through_and_ends_the_reading_program(engine: Path, tmp_path: Path, language: str) -> None:
    host = Windows(engine, [ALICE], lacks=["quser.exe"])
    host.run("1")  # where its programs are is made when it is first asked for
    program = host.folder / "windows" / "System32" / "quser.exe"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/new\nmv {tmp_path}/new {tmp_path}/pid\nexec sleep 60\n")
    program.chmod(0o700)
    prelude = f". '{host.prelude}'\n$ExecutionContext.SessionState.LanguageMode = '{language}'\n"
    (tmp_path / "observe.ps1").write_text(prelude + Observe().render().text)
    assert host.run(STOPPED.replace("@FOLDER@", str(tmp_path)), alone=True).output == ("True True Stopped",)
