"""The snippets, by name: their effects, how each answer is read, and what a wrong name is told."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from support.snippet_calls import CALLS

from mpsbridge.errors import AccessDenied, ParseError, RenderError
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.models.sessions import LogonMode, Logons, Observation, Result, Stations
from mpsbridge.snippets.catalogue import CATALOGUE, snippet
from mpsbridge.snippets.logons import ReadLogonMode, SetLogonMode
from mpsbridge.snippets.observe import Observe
from mpsbridge.snippets.render import TEMPLATES
from mpsbridge.snippets.sessions import ActAnswer, LogOffSessions
from mpsbridge.snippets.stations import ListStations

NOW = "20261125120000.000000+000"


def answered(name: str, result: dict[str, Any], *, ok: bool = True) -> RawOutput:
    return RawOutput(
        output=(json.dumps({"mpsbridge": 1, "snippet": name, "ok": ok, "result": result, "problems": ["p"]}),)
    )


def test_every_template_is_a_snippet_and_every_snippet_has_one() -> None:
    assert {path.name.removesuffix(".ps1.j2") for path in TEMPLATES.glob("*.ps1.j2")} == set(CATALOGUE) == set(CALLS)
    assert all(name == entry.name for name, entry in CATALOGUE.items())


def test_effects() -> None:
    assert {name: entry.effect for name, entry in CATALOGUE.items()} == {
        "observe": Effect.READ,
        "look": Effect.READ,
        "evidence": Effect.READ,
        "stations": Effect.READ,
        "logons": Effect.READ,
        "logons-set": Effect.DISRUPT,
        "message": Effect.NOTIFY,
        "disconnect": Effect.DISRUPT,
        "logoff": Effect.DISRUPT,
        "lease": Effect.DISRUPT,
        "failsafe": Effect.DISRUPT,
        "failsafe-remove": Effect.DISRUPT,
        "reset": Effect.DISRUPT,
        "power": Effect.DISRUPT,
        "mode": Effect.DISRUPT,
    }


@pytest.mark.parametrize("name", CATALOGUE)
def test_found_by_name(name: str) -> None:
    assert snippet(name) is CATALOGUE[name]
    assert CALLS[name].render().effect is CATALOGUE[name].effect


@pytest.mark.parametrize(("wrong", "hint"), [("obsrve", "Did you mean 'observe'"), ("zzz", "There are: look, ")])
def test_a_wrong_name_is_told_the_nearest(wrong: str, hint: str) -> None:
    with pytest.raises(RenderError, match="no snippet") as caught:
        snippet(wrong)
    assert hint in caught.value.hint


def test_logons_are_read_as_modes() -> None:
    read = answered("logons", {"mode": "drain", "logons": 0, "drain": 2})
    assert ReadLogonMode.read(read) == Logons(mode=LogonMode.DRAIN, was=None)
    wrote = answered("logons-set", {"mode": "drain", "logons": 0, "drain": 2, "was": "enabled", "changed": True})
    assert SetLogonMode.read(wrote) == Logons(mode=LogonMode.DRAIN, was=LogonMode.ENABLED)


def test_acts_are_read_session_by_session() -> None:
    sessions = [{"id": 2, "result": "ended", "text": ""}, {"id": 5, "result": "changed", "text": "somebody else"}]
    answer = LogOffSessions.read(answered("logoff", {"now": NOW, "sessions": sessions}))
    assert isinstance(answer, ActAnswer)
    assert [entry.result for entry in answer.sessions] == [Result.ENDED, Result.CHANGED]


def test_stations_are_read() -> None:
    wms = {"generation": "2016", "mode": "Normal", "stations": [{"id": 1, "name": "One"}], "sessions": []}
    found = ListStations.read(answered("stations", {"wms": wms}))
    assert isinstance(found, Stations)
    assert [station.name for station in found.stations] == ["One"]
    assert ListStations.read(answered("stations", {"wms": None})) == Stations(mode="none", stations=())


def test_an_observation_is_read_with_its_problems() -> None:
    table = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\r\n"
    table += " alice                 rdp-tcp#1           2  Active          .  11/25/2026 9:00 AM\r\n"
    program = {"exit": 0, "out": base64.b64encode(table.encode()).decode()}
    result = {
        "now": NOW,
        "utc_offset_min": 0,
        "quser": program,
        "qwinsta": {},
        "caller": {"elevated": True},
        "witness": {"before": [2], "after": [2]},
    }
    seen = Observe.read(answered("observe", result))
    assert isinstance(seen, Observation)
    assert [session.user for session in seen.sessions] == ["alice"]
    assert "p" in seen.problems


def test_what_the_host_refuses_is_its_error() -> None:
    with pytest.raises(AccessDenied):
        LogOffSessions.read(answered("logoff", {"kind": "denied", "message": "no"}, ok=False))
    with pytest.raises(ParseError):
        LogOffSessions.read(answered("logoff", {"now": "yesterday", "sessions": []}))


def test_what_a_run_needs_is_built_before_it_holds_anything() -> None:
    code = (
        "import mpsbridge.operations.ending\n"
        "from mpsbridge.models.frozen import Answer, Frozen\n"
        "from mpsbridge.snippets.catalogue import load_templates\n"
        "def all_of(kind): return [kind] + [each for sub in kind.__subclasses__() for each in all_of(sub)]\n"
        "def unbuilt(): return [each for base in (Answer, Frozen) for each in all_of(base)"
        " if not each.__pydantic_complete__]\n"
        "before = len(unbuilt())\n"
        "load_templates()\n"
        "print(before > 50, unbuilt())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"


def test_threads_that_use_a_model_first_at_the_same_moment_build_it_once() -> None:
    class Fresh(Frozen):
        at: int
        of: tuple[str, ...] = ()

    class Outer(Frozen):
        inner: Fresh

    began = threading.Barrier(16)
    found: list[object] = []

    def use() -> None:
        began.wait()
        found.append(Outer.model_validate({"inner": {"at": 1}}).model_dump(mode="json"))

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"inner": {"at": 1, "of": []}}] * 16
