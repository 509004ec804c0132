"""The two engines held against each other: the scripted one must say what the very scripts say on real PowerShell."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock
from snippet_calls import NEVER, act, box, failsafe, held, mode, order, swap, switch
from windows_host import Person, WindowsHost

from mpsbridge.lab import build_world
from mpsbridge.lab.engines.contract import Memory, Submitted
from mpsbridge.lab.engines.scripted import ScriptedEngine
from mpsbridge.lab.world import LabHost
from mpsbridge.models.scripts import Script
from mpsbridge.models.sessions import LogonMode
from mpsbridge.snippets.catalogue import CATALOGUE
from mpsbridge.snippets.parameters import (
    FailsafeRemoveParameters,
    LogonsParameters,
    LookParameters,
    ObserveParameters,
    StationsParameters,
)

pytestmark = pytest.mark.engine

ALICE = Person(2, "alice")
BOB = Person(3, "bob", name="", state="Disc", idle="1:30", born="20261125081500.000000+000", logon="11/25/2026 9:15 AM")
CAROL = Person(4, "carol", name="console", born="20261125083000.000000+000", logon="11/25/2026 9:30 AM")
DAVE = Person(5, "dave", name="rdp-tcp#5", born="20261125084500.000000+000", logon="11/25/2026 9:45 AM")
ERIKA = Person(6, "erika", name="rdp-tcp#6", born="20261125085000.000000+000", logon="11/25/2026 9:50 AM")
PEOPLE = [ALICE, BOB, CAROL, DAVE, ERIKA]


def lab_host(people: list[Person], **facts: Any) -> LabHost:
    """The same people in a world."""
    sessions = [
        {
            "id": each.id,
            "user": each.user,
            "state": "disconnected" if each.state == "Disc" else "active",
            "idle_text": each.idle,
            "logon": datetime.strptime(each.logon, "%m/%d/%Y %I:%M %p").replace(tzinfo=UTC),
            "born": datetime.strptime(each.born[:21], "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC),
            "account": f"LAB\\{each.user}",
            **({"session_name": each.name} if each.name else {}),
        }
        for each in people
    ]
    return build_world({"hosts": [{"name": "a", "sessions": sessions, **facts}]}, FakeClock()).hosts["a"]


def scripted(host: LabHost, script: Script) -> dict[str, Any]:
    answer = ScriptedEngine().answer(host, Submitted(script.text), Memory())
    while True:
        try:
            host.world.clock.wait(next(answer))
        except StopIteration as end:
            envelope: dict[str, Any] = json.loads(end.value)
            return envelope


def real(host: WindowsHost, script: Script) -> dict[str, Any]:
    output = host.run(script)
    assert output.output, output.errors
    envelope: dict[str, Any] = json.loads(output.output[0])
    return envelope


GUARDS = (
    ALICE.guard(),
    BOB.guard(),
    CAROL.guard(born="20261125083000.000001+000"),
    DAVE.guard(logon="11/25/2026 9:46 AM"),
    ERIKA.guard(born=None),
    ERIKA.guard(id=77),
)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("end", act(*GUARDS)),
        ("disconnect", act(*GUARDS)),
        ("message", box("it's ‘five’", *GUARDS)),
        ("end", act(ALICE.guard(), not_after="20200101000000.000000+000")),
        ("message", box("hello", ALICE.guard(state="Disc"), BOB.guard())),
    ],
)
def test_acts_have_the_same_results_and_leave_the_same_people(
    name: str, parameters: Any, engine: Path, tmp_path: Path
) -> None:
    script = CATALOGUE[name].render(parameters)
    windows, lab = WindowsHost(tmp_path, engine, PEOPLE), lab_host(PEOPLE)
    expected, said = real(windows, script), scripted(lab, script)
    assert (said["snippet"], said["ok"]) == (expected["snippet"], expected["ok"])
    assert results(said) == results(expected)
    assert set(said["result"]) == set(expected["result"])
    assert [session.id for session in lab.rows()] == windows.ids
    names = {session["id"]: session["name"] for session in windows.world["sessions"]}
    assert {session.id: session.session_name or "" for session in lab.rows()} == names


def results(envelope: dict[str, Any]) -> list[tuple[int, str]]:
    return [(each["id"], each["result"]) for each in envelope["result"]["sessions"]]


@pytest.mark.parametrize(
    "parameters",
    [
        mode(LogonMode.DRAIN, LogonMode.ENABLED),
        mode(LogonMode.DISABLED),
        mode(LogonMode.ENABLED),
        mode(LogonMode.DRAIN, LogonMode.DISABLED),
        mode(LogonMode.DRAIN_UNTIL_RESTART, not_after="20200101000000.000000+000"),
    ],
)
def test_the_logon_mode_is_set_alike(parameters: Any, engine: Path, tmp_path: Path) -> None:
    script = CATALOGUE["logons-set"].render(parameters)
    expected, said = real(WindowsHost(tmp_path, engine, []), script), scripted(lab_host([]), script)
    assert said["ok"] == expected["ok"]
    if said["ok"]:
        assert said["result"] == expected["result"]
    else:
        assert said["result"]["kind"] == expected["result"]["kind"]


def test_the_observation_has_the_same_shape_and_the_same_facts(engine: Path, tmp_path: Path) -> None:
    script = CATALOGUE["observe"].render(ObserveParameters())
    expected = real(WindowsHost(tmp_path, engine, PEOPLE), script)["result"]
    said = scripted(lab_host(PEOPLE), script)["result"]
    assert shape(said) == shape(expected)
    for key in ("quser", "births", "witness", "oem", "ansi", "patterns", "wms", "lease", "pending_reboot"):
        assert said[key] == expected[key], key
    assert [(each["id"], each["account"]) for each in said["owners"]] == [
        (each["id"], each["account"]) for each in expected["owners"]
    ]


def test_a_stationless_host_and_the_logon_mode_read_alike(engine: Path, tmp_path: Path) -> None:
    windows, lab = WindowsHost(tmp_path, engine, PEOPLE), lab_host(PEOPLE)
    for name, parameters in (("stations", StationsParameters()), ("logons", LogonsParameters())):
        script = CATALOGUE[name].render(parameters)
        expected, said = real(windows, script), scripted(lab, script)
        assert (said["snippet"], said["ok"], said["result"]) == (
            expected["snippet"],
            expected["ok"],
            expected["result"],
        )


WMS: dict[str, Any] = {
    "mode": "Normal",
    "sessions": [
        {
            "id": 4,
            "user": "carol",
            "domain": "LAB",
            "state": "ConnectedToStation",
            "station": 1,
            "admin": True,
            "client": "",
        },
        {
            "id": 5,
            "user": "dave",
            "domain": "LAB",
            "state": "RemoteConnection",
            "station": 0,
            "admin": False,
            "client": "PC-7",
        },
    ],
    "stations": [
        {"id": 1, "name": "Fenêtre", "auto_logon": False, "session_id": 4},
        {"id": 2, "name": "Zwei", "auto_logon": True, "session_id": 4294967295},
    ],
}


@pytest.mark.parametrize("generation", ["2012", "2016"])
def test_stations_read_alike_and_sessions_end_alike(generation: str, engine: Path, tmp_path: Path) -> None:
    people = [CAROL, DAVE]
    windows = WindowsHost(tmp_path, engine, people, generation=generation, wms=WMS)
    lab = lab_host(
        people,
        generation=generation,
        stations=[{"id": 1, "name": "Fenêtre", "session_id": 4}, {"id": 2, "name": "Zwei", "auto_logon": True}],
    )
    lab.sessions[0].admin, lab.sessions[1].client = True, "PC-7"
    for name, parameters in (("stations", StationsParameters()), ("end", act(CAROL.guard(), DAVE.guard(id=77)))):
        script = CATALOGUE[name].render(parameters)
        expected, said = real(windows, script)["result"], scripted(lab, script)["result"]
        assert said.get("wms") == expected.get("wms")
        if name == "end":
            assert [each["result"] for each in said["sessions"]] == [each["result"] for each in expected["sessions"]]
    assert [session.id for session in lab.rows()] == windows.ids == [5]


def test_a_look_and_the_programs_that_run_are_the_same(engine: Path, tmp_path: Path) -> None:
    windows = WindowsHost(tmp_path, engine, [Person(2, "alice", programs=("explorer", "WINWORD"))])
    lab = lab_host([ALICE])
    lab.sessions[0].programs = ("WINWORD",)
    script = CATALOGUE["look"].render(LookParameters())
    expected, said = real(windows, script)["result"], scripted(lab, script)["result"]
    assert shape(said) == shape(expected)
    for key in ("quser", "births", "witness", "oem", "ansi", "logons", "lease"):
        assert said[key] == expected[key], key
    script = CATALOGUE["observe"].render(ObserveParameters(programs=("winword", "excel")))
    expected, said = real(windows, script)["result"], scripted(lab, script)["result"]
    assert said["running"] == expected["running"] == [{"id": 2, "name": "winword"}]


PAST = "20200101000000.000000+000"
ORDERS: list[tuple[str, Any]] = [
    ("failsafe", failsafe(LogonMode.ENABLED, LogonMode.DRAIN)),
    ("lease", swap(held(), held("run-2"))),
    ("lease", swap(None, None)),
    ("lease", swap("no lease", None)),
    ("lease", swap(held(), None, not_after=PAST)),
    ("lease", swap(held(), None)),
    ("lease", swap(held("run-2"), None, run="run-2")),
    ("lease", swap(held(reason="later"), held())),
    ("failsafe", failsafe(LogonMode.ENABLED, LogonMode.DRAIN)),
    ("failsafe", failsafe(LogonMode.ENABLED, LogonMode.DRAIN, run="run-2")),
    ("message", box("15 minutes", ALICE.guard(), notice="15m")),
    ("message", box("15 minutes", ALICE.guard(), BOB.guard(), notice="15m")),
    ("message", box("15 minutes", ALICE.guard(), notice="5m", run="run-2")),
    ("mode", switch("console", 2, 3)),
    ("power", order("restart", 2)),
    ("power", order("restart", 2, 3, run="run-2")),
    ("power", order("abort")),
    ("power", order("restart", 2, 3, 77)),
    ("power", order("shutdown", 2, 3)),
    ("power", order("abort")),
    ("failsafe-remove", FailsafeRemoveParameters(not_after=NEVER, run="run-1")),
    ("failsafe-remove", FailsafeRemoveParameters(not_after=NEVER, run="run-1")),
    ("lease", swap(None, "")),
]


@pytest.mark.slow(reason="some twenty scripts, each in an engine of its own")
def test_orders_about_the_whole_host_have_the_same_answers_and_leave_the_same_behind(
    engine: Path, tmp_path: Path
) -> None:
    access = {"owner": "S-1-5-18", "rules": []}
    windows, lab = WindowsHost(tmp_path, engine, [ALICE, BOB], access=access), lab_host([ALICE, BOB])
    for number, (name, parameters) in enumerate(ORDERS):
        script = CATALOGUE[name].render(parameters)
        expected, said = real(windows, script), scripted(lab, script)
        assert comparable(said) == comparable(expected), (number, name)
        path = tmp_path / "programs" / "mpsbridge" / "lease.json"
        there = path.read_text() if path.exists() else None
        assert without_times(lab.lease) == without_times(there), (number, name)
    told = [[entry.rpartition(": ")[2] for entry in events] for events in (lab.events, windows.events)]
    assert told[0] == told[1]


def comparable(envelope: dict[str, Any]) -> dict[str, Any]:
    """Without the hosts' clocks and boots, and without the exit codes that are too large for the stand-in programs."""
    result = {key: value for key, value in envelope["result"].items() if key not in {"now", "boot", "lease"}}
    if result.get("kind") == "expired":
        del result["message"]
    if "next_run" in result:
        result["next_run"] = result["next_run"] is not None
    if str(result.get("text", "")).startswith("shutdown.exe"):
        result["text"] = result["text"][-6:]
    return {**envelope, "result": result}


def without_times(text: str | None) -> Any:
    if not text:
        return text
    lease = json.loads(text)
    return {**lease, "notices": [{**each, "at": ""} for each in lease["notices"]]}


@pytest.mark.parametrize("generation", ["2012", "2016"])
def test_a_mode_is_switched_alike(generation: str, engine: Path, tmp_path: Path) -> None:
    windows, lab = WindowsHost(tmp_path, engine, [], generation=generation), lab_host([], generation=generation)
    for parameters in (switch("station"), switch("console"), switch("console")):
        script = CATALOGUE["mode"].render(parameters)
        assert comparable(scripted(lab, script)) == comparable(real(windows, script))
    assert lab.mode == windows.world["wms"]["mode"] == "ConsoleMode"


def shape(value: Any) -> Any:
    """Keys all the way down; of a list the shape of its first entry; of a value only whether it is null."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return value is None
