"""The guard of the scripted engine, over bytes: the right session, or a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_clock import FakeClock
from support.reserved import leased

from mpsbridge.lab import build_world
from mpsbridge.lab.engines.contract import Memory, Submitted, Terminating
from mpsbridge.lab.engines.scripted.engine import ScriptedEngine
from mpsbridge.lab.engines.scripted.guard import Guard, Look, lines_of, matches, objection, standing
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.processes import births
from mpsbridge.lab.windows.tables import quser_bytes
from mpsbridge.models.sessions import Result
from mpsbridge.snippets.sessions import ActAnswer

BORN, OTHER = "20261125080000.000000+000", "20261125080001.000000+000"
HEAD = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME"


def line(
    user: str, number: int, *, name: str = "rdp-tcp#1", state: str = "Active", logon: str = "9:00", mark: str = " "
) -> str:
    return f"{mark}{user:<22}{name:<15}{number:>6}  {state:<6}  {'.':>9}  {logon}"


def look(*lines: str, births: dict[int, str] | None = None, processes: tuple[int, ...] = (), own: int = 0) -> Look:
    table = "\r\n".join([HEAD, *lines, ""]).encode("latin-1")
    return Look(lines_of(table), births or {}, frozenset(processes), own)


def guard(number: int = 2, user: str = "alice", logon: str = "9:00", born: str | None = BORN) -> Guard:
    return Guard(number, born, user, logon, "Active")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (look(line("alice", 2), births={2: BORN}), "same"),
        (look(line("alice", 2, name="", state="Disc"), births={2: BORN}), "same"),
        (look(line("alice", 2), births={2: OTHER}), "changed"),
        (look(line("alice", 2)), "unknown"),
        (look(line("bob", 2), births={2: OTHER}), "changed"),
        (look(line("bob", 2), births={2: BORN}), "unknown"),
        (look(line("bob", 2)), "unknown"),
        (look(line("alice", 2, logon="9:01"), births={2: BORN}), "unknown"),
        (look(line("alice", 3), births={3: OTHER}), "gone"),
        (look(line("alice", 3), births={3: OTHER}, processes=(2,)), "unknown"),
        (look(), "gone"),
        (look(line("alice", 2), line("alice", 2), births={2: BORN}), "refused"),
        (look(line("alice", 2, mark=">"), births={2: BORN}), "refused"),
        (look(line("alice", 2), births={2: BORN}, own=2), "refused"),
        (look(line("alicent", 2), births={2: BORN}), "unknown"),
        (look(line("ali", 2), births={2: BORN}), "unknown"),
    ],
)
def test_w05_one_row_and_one_birth_decide(seen: Look, expected: str) -> None:
    assert standing(guard(), seen)[0] == expected


def test_w05_without_a_birth_the_row_decides_and_text_never_proves_absence() -> None:
    blind = guard(born=None)
    assert standing(blind, look(line("alice", 2)))[0] == "same"
    assert standing(blind, look(line("bob", 2)))[0] == "unknown"
    assert standing(blind, look(line("bob", 3)))[0] == "gone"


def test_w31_a_name_that_ends_in_a_number_is_not_an_id() -> None:
    seen = look(line("user 12", 3))
    assert standing(guard(12, "user"), seen)[0] == "unknown", "12 stands in the table, so it may not be gone"
    assert not matches(guard(12, "user"), seen)
    assert not matches(guard(12, "user 12"), seen)
    assert len(matches(guard(3, "user 12"), seen)) == 1
    assert len(matches(guard(12, "12"), look(line("12", 12)))) == 1


def test_w31_names_that_fill_their_column_and_names_that_are_digits() -> None:
    long = "maximilian.musterman"
    assert len(matches(guard(7, long), look(line(long, 7)))) == 1
    assert not matches(guard(7, long[:-1]), look(line(long, 7)))
    assert len(matches(guard(2, "1234567"), look(line("1234567", 2)))) == 1


@given(st.binary(min_size=1, max_size=20).filter(lambda name: not set(name) & set(b"\r\n >") and not name.isdigit()))
def test_w31_any_bytes_are_compared_as_they_are(name: bytes) -> None:
    user = name.decode("latin-1")
    seen = look(line(user, 2), births={2: BORN})
    assert standing(guard(user=user), seen)[0] == "same"
    assert standing(guard(user=user + "x"), seen)[0] == "unknown"


@pytest.mark.parametrize(
    ("now", "lease", "expected"),
    [
        ("20261125120000.000000+000", None, None),
        ("20261125120000.000001+000", None, "expired"),
        ("20261125110000.000000+000", {"run": "run-1"}, None),
        ("20261125110000.000000+000", {"run": "run-2", "owner": "bob"}, "refused"),
        ("20261125110000.000000+000", {"run": "run-2", "expires": "20261125105959.000000+000"}, None),
        ("20261125110000.000000+000", {"run": "run-2", "expires": "soon"}, "refused"),
        ("20261125110000.000000+000", "damaged {", "refused"),
        ("20261125110000.000000+000", "", "refused"),
    ],
)
def test_w04_too_late_and_somebody_elses_lease(now: str, lease: Any, expected: str | None) -> None:
    text = json.dumps(lease) if isinstance(lease, dict) else lease
    found = objection(now, "20261125120000.000000+000", "run-1", text, "free")
    assert (found[0] if found else None) == expected


# The acts, without any protocol.


def run(host: LabHost, function: str, **parameters: Any) -> dict[str, Any]:
    """Run one published function to its end; waits pass on the world's clock."""
    answer = ScriptedEngine().answer(host, Submitted(None, function, parameters), Memory(published=True))
    while True:
        try:
            host.world.clock.wait(next(answer))
        except StopIteration as end:
            envelope: dict[str, Any] = json.loads(end.value)
            return envelope


def act(host: LabHost, function: str, *guards: dict[str, Any], **more: Any) -> list[str]:
    common = {"NotAfter": "20991231235959.000000+000", "Run": "run-1", "Sessions": json.dumps({"sessions": guards})}
    result = ActAnswer.model_validate(run(host, function, **common, **more)["result"])
    assert {each.result for each in result.sessions} <= set(Result)
    return [str(each.result) for each in result.sessions]


def known(host: LabHost, number: int) -> dict[str, Any]:
    """What a client that saw the table would send about a session of an English host."""
    row = next(row for row in quser_bytes(host).decode("latin-1").splitlines() if row[38:44].strip() == str(number))
    return {
        "id": number,
        "born": births(host).get(number),
        "user": row[1:21].rstrip(),
        "logon": row[65:].rstrip(),
        "state": row[46:53].split()[0],
    }


def host_of(**facts: Any) -> LabHost:
    people = [{"id": 2, "user": "alice", "idle_s": 5}, {"id": 3, "user": "bob", "state": "disconnected", "logon": "5h"}]
    return build_world({"hosts": [{"name": "a", "sessions": people, **facts}]}, FakeClock()).hosts["a"]


def test_somebody_new_on_an_old_id_is_left_alone() -> None:
    host = host_of()
    seen = known(host, 2)
    host.log_off(2)
    host.world.clock.wait(30)
    host.log_on("carol")
    host.log_on("alice")
    assert [session.id for session in host.rows()] == [3, 1, 2]
    assert act(host, "Close-MpsbridgeSession", seen) == ["changed"]
    assert {session.user for session in host.rows()} == {"alice", "bob", "carol"}


def test_each_session_gets_its_own_answer_in_the_order_asked_for() -> None:
    host = host_of()
    alice, bob = known(host, 2), known(host, 3)
    stranger = bob | {"id": 77}
    assert act(host, "Close-MpsbridgeSession", bob, stranger, alice) == ["ended", "gone", "ended"]
    assert host.rows() == []


def test_w02_a_box_counts_only_where_somebody_looks() -> None:
    host = host_of()
    alice, bob = known(host, 2), known(host, 3)
    assert act(host, "Send-MpsbridgeMessage", alice, bob, Text="hello") == ["shown", "refused"]
    assert host.sessions[0].boxes == ["hello"]


def test_what_is_disconnected_stays_so() -> None:
    host = host_of()
    alice, bob = known(host, 2), known(host, 3)
    assert act(host, "Disconnect-MpsbridgeSession", alice, bob) == ["disconnected", "disconnected"]
    assert [change.session_id for change in host.world.changes] == [2]


def test_w09_processes_that_stay_make_it_unknown() -> None:
    host = host_of(sessions=[{"id": 2, "user": "alice", "linger_s": 60}])
    assert act(host, "Close-MpsbridgeSession", known(host, 2)) == ["unknown"]
    assert host.rows() == []


def test_a_blind_caller_can_end_nobody() -> None:
    host = host_of()
    seen = known(host, 2)
    blind = host_of(rights="user")
    assert act(blind, "Close-MpsbridgeSession", seen) == ["unknown"]
    assert len(blind.rows()) == 2


def test_a_lease_of_another_run_stops_acts_but_not_messages() -> None:
    host = host_of(**leased('{"run": "run-2", "owner": "dave"}'))
    seen = known(host, 2)
    assert act(host, "Close-MpsbridgeSession", seen) == ["refused"]
    assert act(host, "Send-MpsbridgeMessage", seen, Text="hello") == ["shown"]
    mode = run(host, "Set-MpsbridgeLogonMode", Mode="drain", NotAfter="20991231235959.000000+000", Run="run-1")
    assert (mode["ok"], mode["result"]["kind"]) == (False, "untouched")


COMMON = {"NotAfter": "20991231235959.000000+000", "Run": "r"}


@pytest.mark.parametrize("changed", [{"NotAfter": "tomorrow"}, {"Run": "a run"}, {"Run": None}])
def test_parameters_that_make_no_sense_end_in_an_error(changed: dict[str, Any]) -> None:
    host = host_of()
    sessions = {"Sessions": json.dumps({"sessions": [known(host, 2)]})}
    with pytest.raises(Terminating):
        run(host, "Close-MpsbridgeSession", **COMMON | sessions | changed)
    assert host.world.changes == []


ODD: dict[str, Any] = {"id": 2, "born": None, "user": "alice", "logon": "x", "state": "y"}


@pytest.mark.parametrize(
    "sessions",
    [
        "[]",
        "nonsense",
        '{"sessions": []}',
        json.dumps({"sessions": [ODD, ODD]}),
        *(json.dumps({"sessions": [ODD | odd]}) for odd in ({"id": 0}, {"id": 65536}, {"id": "x"}, {"user": ""})),
    ],
)
def test_a_list_of_sessions_that_is_not_sound_is_refused_as_a_whole(sessions: str) -> None:
    host = host_of()
    for function in ("Close-MpsbridgeSession", "Disconnect-MpsbridgeSession"):
        envelope = run(host, function, Sessions=sessions, **COMMON)
        assert (envelope["ok"], envelope["result"]["kind"]) == (False, "untouched")
    assert host.world.changes == []


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(Terminating):
        run(host_of(), "Set-MpsbridgeLogonMode", Mode="open", **COMMON)
