"""Both engines of the lab on the same world: what each answers to every call, and what the world is like afterwards.

The worlds stand still (their clock is a fake one), so that two looks at different times can be compared.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from mpsbridge.errors import MpsBridgeError
from mpsbridge.host import Host
from mpsbridge.lab import Lab, build_world
from mpsbridge.lab.engines.scripted.engine import answer_now
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.world import World
from mpsbridge.models.scripts import RawOutput
from mpsbridge.models.sessions import AllowedSession, LogonMode, SessionGuard
from mpsbridge.snippets.evidence import ReadEvidence
from mpsbridge.snippets.failsafe import RemoveFailsafe
from mpsbridge.snippets.logons import ReadLogonMode
from mpsbridge.snippets.observe import Look, Observe
from mpsbridge.snippets.snippet import Snippet
from mpsbridge.snippets.stations import ListStations
from support.fake_clock import FakeClock
from support.lab_target import reach
from support.reserved import lease_of
from support.snippet_calls import NEVER, act, box, failsafe, held, log_off, mode, order, reset, swap, switch

OTHERS_OWN = ("now", "powershell", "next_run")
"""What each engine has of its own: the moment of its answer, and the version of the PowerShell that runs."""
PAST = "20200101000000.000000+000"

Answers = list[tuple[str, dict[str, Any]]]


def world(*hosts: dict[str, Any]) -> World:
    """A world that stands still; the raw hosts may be used again."""
    return build_world({"hosts": copy.deepcopy(list(hosts))}, FakeClock())


def guards_in(host: LabHost) -> list[SessionGuard]:
    """What an administrator who looks now would send back, for everybody who is there."""
    output = RawOutput(output=(say(host, Observe()),))
    try:
        sessions = Observe.read(output).sessions
    except MpsBridgeError:  # this caller sees nothing; it may have heard of somebody all the same
        sessions = ()
    heard = {"born": "20261125080000.123456+000", "user": "alice", "logon": "11/25/2026 9:00 AM", "state": "Active"}
    return [each.guard for each in sessions if each.guard] or [SessionGuard.model_validate({"id": 2} | heard)]


def calls(guards: list[SessionGuard], text: str = "it's <b>&amp; ‘five’") -> list[tuple[str, Snippet]]:
    """One of everything, in an order that leaves something to see for each."""
    stale = guards[-1].model_copy(update={"born": "20200101000000.000000+000"})
    return [
        ("observe", Observe()),
        ("evidence", ReadEvidence()),
        ("stations", ListStations()),
        ("logons", ReadLogonMode()),
        ("logons-set", mode(LogonMode.DRAIN, LogonMode.ENABLED, lease="held")),
        ("logons-set", mode(LogonMode.DRAIN, LogonMode.ENABLED)),
        ("message", box(text, *guards[:3])),
        ("disconnect", act(guards[0], *([stale] if len(guards) > 1 else []))),
        ("logoff", log_off(*guards[:3], lease="held")),
        ("logoff", log_off(*guards[:3])),
        *([("reset", reset(*guards[:3], stale))] if all(each.born for each in guards) and len(guards) > 3 else []),
        ("look", Look()),
        ("observe", Observe()),
    ]


def orders(guards: list[SessionGuard]) -> list[tuple[str, Snippet]]:
    """A run from its lease to its restart and back, with all that must be refused on the way."""
    one = guards[0]
    there = [AllowedSession(id=each.id, born=each.born or NEVER) for each in guards]
    others = [each.model_copy(update={"born": NEVER}) for each in there]
    nobody = AllowedSession(id=77, born=NEVER)
    half_dead = [each.model_copy(update={"leftover": True}) for each in there]
    unborn = [each.model_copy(update={"born": None}) for each in half_dead]
    gone = RemoveFailsafe(not_after=NEVER, run="run-1")
    return [
        ("failsafe", failsafe(LogonMode.ENABLED, LogonMode.DRAIN)),
        ("lease", swap(held(), held("run-2"))),
        ("lease", swap(None, None)),
        ("lease", swap("no lease", None)),
        ("lease", swap(held(), None, not_after=PAST)),
        ("lease", swap(held(), None)),
        ("lease", swap(held("run-2"), None, run="run-2")),
        ("lease", swap(held(reason="later"), held())),
        ("look", Look()),
        ("failsafe", failsafe(LogonMode.ENABLED, LogonMode.DRAIN)),
        ("failsafe", failsafe(LogonMode.ENABLED, LogonMode.DRAIN, run="run-2")),
        ("message", box("15 minutes", one, notice="15m-20261125180000")),
        ("message", box("15 minutes", *guards[:2], notice="15m-20261125180000")),
        ("message", box("15 minutes", one, notice="5m-20261125180000", run="run-2")),
        ("logoff", log_off(one, lease="held", run="run-2")),
        ("mode", switch("console", *there[:1], lease="held")),
        ("power", order("restart", *there[:1])),
        ("power", order("restart", *there, run="run-2")),
        ("power", order("restart", *there[:1], *others[1:])),
        ("power", order("restart", *half_dead)),
        ("power", order("restart", *unborn)),
        ("power", order("abort")),
        ("power", order("restart", *there, nobody)),
        ("power", order("shutdown", *there)),
        ("power", order("abort")),
        ("mode", switch("station", *there)),
        ("mode", switch("console", *others)),
        ("mode", switch("console", *there)),
        ("power", order("abort", lease="held")),
        ("failsafe-remove", gone),
        ("failsafe-remove", gone),
        ("lease", swap(None, "")),
    ]


def say(host: LabHost, parameters: Snippet) -> str:
    """What the scripted engine answers."""
    return answer_now(host, parameters.render().text)


def scripted(host: LabHost, asked: list[tuple[str, Snippet]]) -> Answers:
    """The answers of the scripted engine."""
    return [(name, told(say(host, parameters))) for name, parameters in asked]


def executed(lab: Lab, name: str, asked: list[tuple[str, Snippet]], *, keep: tuple[str, ...] = ()) -> Answers:
    """The answers of real PowerShell, over real WinRM; ``keep`` is of its own what is wanted all the same."""
    host = Host(reach(lab, name))
    try:
        answers = []
        for snippet, parameters in asked:
            output = host.run(parameters)
            assert output.errors == (), (snippet, output.errors)
            answers.append((snippet, told(output.output[0], keep)))
        return answers
    finally:
        host.close()


def told(text: str, keep: tuple[str, ...] = ()) -> dict[str, Any]:
    """An envelope, without what is each engine's own."""
    envelope: dict[str, Any] = json.loads(text)
    for key in set(OTHERS_OWN) - set(keep):
        envelope["result"].pop(key, None)
    comparable: dict[str, Any] = timeless(envelope)
    return comparable


def timeless(value: Any) -> Any:
    """Without the moments at which something was marked; a lease as what it says; a restart as that it was ordered."""
    if isinstance(value, dict) and "step" in value:
        return _question(value)
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key != "at"}
    if isinstance(value, list | tuple):
        return [timeless(each) for each in value]
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return timeless(json.loads(value))
    if isinstance(value, str) and value.startswith("shutdown.exe"):
        return value[-6:]  # Windows' numbers are too large for an exit code here; the words carry them
    if isinstance(value, str) and " may be written by " in value:
        return value.partition(" may ")[2]  # the folder is another one there
    if isinstance(value, str) and value.startswith("it is "):
        return value.partition(", ")[2]
    return value


def _question(asked: dict[str, Any]) -> dict[str, Any]:
    """A question of the evidence, without its time, an error's words, and what PowerShell tells of itself."""
    failure = asked["failure"]
    value = asked["value"] if asked["step"] != "powershell" else asked["value"]["language"]
    return {"step": asked["step"], "value": value, "failed": failure and failure["category"]}


def state(host: LabHost) -> dict[str, Any]:
    """All that a call can change about a host, and what was recorded of it."""
    return {
        "people": [(each.id, each.user, each.state, each.session_name, each.boxes) for each in host.rows()],
        "processes": host.processes_in(),
        "stations": [(each.id, each.session_id) for each in host.stations],
        "logons": host.logon_mode,
        "lease": timeless(lease_of(host)),
        "mode": host.mode,
        "tasks": [(task.path, task.command, task.triggers, task.enabled) for task in host.tasks.values()],
        "events": host.events,
        "changes": [
            (each.act, each.session_id, each.user, each.logon, each.text)
            for each in host.world.changes
            if each.host == host.name and each.act != "file"  # a script writes it without asking anybody
        ],
    }
