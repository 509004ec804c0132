"""The lab's two engines held against each other: equal answers and equal worlds, for every call on every kind of host.

What differs is a mistake in one of them: in the scripted engine, or in a script.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alike import calls, executed, guards_in, scripted, state, world

from mpsbridge.lab import Lab
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine

pytestmark = pytest.mark.engine


def session(number: int, user: str, hour: int = 9, **more: Any) -> dict[str, Any]:
    return {"id": number, "user": user, "logon": f"2026-11-25T{hour:02}:{number % 60:02}:00Z", **more}


PEOPLE = [
    session(2, "alice", idle_s=5),
    session(3, "Jörg Müller", state="disconnected", idle_s=7210),
    session(4, "carol", session_name="console", admin=True),
    session(7, "a-name-longer-than-20-cells", idle_s=90_000, client="PC-7"),
]
LANGUAGES = [
    {"name": language, "language": language, "sessions": PEOPLE, "utc_offset_min": offset, **more}
    for language, offset, more in (
        ("en", 0, {"pending_reboot": ["RebootPending", "PendingFileRenameOperations"], "agents": ["BrokerAgent"]}),
        ("de", 60, {"generation": "2016"}),
        ("fr", 120, {"culture": "fr-BE", "rights": "rds"}),
        ("es", -360, {"culture": "es-MX", "generation": "2012"}),
        ("it", 60, {"wide": True, "broker": True}),
        ("pt", -180, {"rights": "user"}),
        ("ru", 180, {"oem": 866}),
        ("zh-CN", 480, {"generation": "2016", "rights": "rds"}),
        ("ja", 540, {"logon_mode": "drain"}),
    )
]
STATIONS = {
    "stations": [
        {"id": 1, "name": "Fenêtre", "session_id": 2},
        {"id": 2, "name": "Zwei", "auto_logon": True, "session_id": 4},
        {"id": 3, "name": "it's <3>"},
    ],
    "sessions": PEOPLE,
}
LEASE = '{"run": "other", "owner": "bob", "expires": "%s"}'
SPECIAL: list[dict[str, Any]] = [
    {"name": "nobody"},
    {"name": "nobody-blind", "rights": "user", "generation": "2016"},
    {"name": "stations-2012", "generation": "2012", **STATIONS},
    {"name": "stations-2016", "generation": "2016", **STATIONS},
    {"name": "protected", "sessions": [session(2, "alice", protected=True), session(3, "bob")]},
    {"name": "protected-2016", "generation": "2016", "sessions": [session(2, "alice", protected=True)]},
    {"name": "hung", "sessions": [session(2, "alice", hung=True), session(3, "bob")]},
    {"name": "lingers", "sessions": [session(2, "alice", linger_s=3600), session(3, "bob", logoff_s=3600)]},
    {"name": "own", "caller_session": 2, "sessions": [session(2, "alice"), session(3, "bob")]},
    {"name": "leased", "lease": LEASE % "20991231235959.000000+000", "sessions": PEOPLE},
    {"name": "lease-over", "lease": LEASE % "20200101000000.000000+000", "sessions": PEOPLE},
    {"name": "lease-damaged", "lease": "{'", "sessions": PEOPLE},
    {"name": "closed", "logon_mode": "disabled", "rights": "rds", "sessions": PEOPLE},
    {"name": "captured-de", "language": "de", "playback": "de"},
    {"name": "captured-ru", "language": "ru", "playback": "ru"},
    {"name": "captured-zh", "language": "zh-CN", "playback": "zh-CN"},
]
CROWD = {"name": "crowd", "sessions": [session(number, f"user{number}") for number in range(1, 501)]}
HOSTS = [*LANGUAGES, *SPECIAL]
IN_THE_OTHER_DIALECT = ["de", "es", "stations-2016", "lease-damaged", "protected", "nobody"]


@pytest.fixture(scope="module", params=["", "5.1"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Every host once, as real PowerShell; its JSON is its own or that of Windows PowerShell 5.1."""
    from conftest import find_engine, missing  # noqa: PLC0415 - conftest is no module until pytest has made it one

    program = find_engine()
    if program is None:
        missing("a PowerShell engine")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PWSH_JSON", request.param)
        with Lab(world(*HOSTS, CROWD), auth="basic", engine=PowerShellEngine(program, spares=2)) as started:
            yield started


@pytest.mark.parametrize("name", [host["name"] for host in HOSTS])
def test_both_engines_answer_alike_and_leave_the_same_world(lab: Lab, name: str) -> None:
    own = world(*HOSTS).hosts[name]
    asked = calls(guards_in(own))
    answers = executed(lab, name, asked)
    for (snippet, expected), (_, answer) in zip(scripted(own, asked), answers, strict=True):
        assert answer == expected, (name, snippet)
    with lab.world.changing() as hosts:
        assert state(hosts[name]) == state(own)
