"""The engine that knows mpsbridge's own calls and answers them from the world, in pure Python.

It reads the last statement of a script and nothing else; whatever is not one of the calls below ends in an error that
says so. Answers have the shapes of the real scripts' (one envelope, bytes as base64, times as CIM datetimes), and the
acts run the same guard over the same bytes. It is no evidence about Windows, only about the way to it and back.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mpsbridge.lab import tables
from mpsbridge.lab.engines.contract import Answer, Memory, Submitted, Terminating
from mpsbridge.lab.engines.guard import Guard, Look, Standing, lines_of, matches, objection, standing
from mpsbridge.lab.engines.reader import NotACall, functions_in, last_call
from mpsbridge.lab.world import LabHost, LabSession, sid_of

NOT_OURS = "the scripted engine reads only mpsbridge's own calls; use --engine powershell"
WATCH_STEP_S = 0.5
_MODES = {"enabled": (0, 0), "drain-until-restart": (0, 1), "drain": (0, 2), "disabled": (1, 0)}
"""Logon mode -> ``Logons``, ``SessionBrokerDrainMode`` of ``Win32_TerminalServiceSetting``."""

Arguments = dict[str, Any]
Result = dict[str, Any]


class _Refusal(Exception):
    """The script as a whole does not do its work: ``ok`` is false."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True, slots=True)
class _Known:
    snippet: str
    run: Callable[[LabHost, Arguments], Result | Generator[float, None, Result]]
    """At once, or (a generator) after some waits."""


class ScriptedEngine:
    """Answers for every host of a world; it keeps no state of its own."""

    def answer(self, host: LabHost, submitted: Submitted, memory: Memory) -> Answer:
        """Find the call and run it. Raises ``Terminating`` for everything that is not one of ours."""
        name, arguments = _call(submitted, memory)
        known = _CALLS.get(name.lower())
        if known is None:
            raise _unknown(name)
        if not memory.published and name.lower() not in memory.functions:
            # What PowerShell says to a call whose function was never defined in this pool.
            raise _unknown(name)
        return _run(host, known, {key.lower(): value for key, value in arguments.items()})


def _call(submitted: Submitted, memory: Memory) -> tuple[str, Arguments]:
    if submitted.text is None:
        return submitted.command, submitted.parameters
    if memory.published:
        raise Terminating(
            "The syntax is not supported by this runspace; it may be in no-language mode.",
            error_id="ScriptsNotAllowed",
            reason="RemoteException",
        )
    memory.functions |= functions_in(submitted.text)
    try:
        call = last_call(submitted.text)
    except NotACall as error:
        raise Terminating(f"{NOT_OURS} ({error})", error_id="NotOurs", reason="RuntimeException") from error
    return call.function, dict(call.arguments)


def _unknown(name: str) -> Terminating:
    return Terminating(
        f"The term '{name}' is not the name of a function in this runspace ({NOT_OURS}).",
        error_id="CommandNotFoundException",
        reason="CommandNotFoundException",
        category="ObjectNotFound",
    )


def _run(host: LabHost, known: _Known, arguments: Arguments) -> Answer:
    """The life of one script: its start-up time, its work, its one envelope."""
    if host.facts.script_s:
        yield host.facts.script_s
    try:
        work = known.run(host, arguments)
        result = (yield from work) if isinstance(work, Generator) else work
    except _Refusal as refusal:
        return _envelope(known.snippet, {"kind": refusal.kind, "message": refusal.message}, ok=False)
    except (KeyError, TypeError, ValueError) as error:
        # PowerShell's binder and ConvertFrom-Json would have said so in their own words.
        raise Terminating(
            f"a parameter is missing or cannot be read: {error!r}",
            error_id="ParameterArgumentValidationError",
            reason="ParameterBindingException",
            category="InvalidData",
        ) from error
    return _envelope(known.snippet, result, problems=_problems(host) if known.snippet == "observe" else [])


def _envelope(snippet: str, result: Any, *, ok: bool = True, problems: list[str] | None = None) -> str:
    return json.dumps(
        {"mpsbridge": 1, "snippet": snippet, "ok": ok, "result": result, "problems": problems or []},
        separators=(",", ":"),
    )


def cim(moment: datetime) -> str:
    """A CIM datetime in UTC."""
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f") + "+000"


def _sees(host: LabHost) -> bool:
    return host.facts.rights != "user"


def _elevated(host: LabHost) -> bool:
    return host.facts.rights == "admin"


def _problems(host: LabHost) -> list[str]:
    if _elevated(host):
        return []
    return ["births: the creation time of winlogon needs an elevated caller"]


# What is only looked at.


def _observe(host: LabHost, _: Arguments) -> Result:
    facts, witness = host.facts, host.processes_in()
    return {
        "computer": facts.computer,
        "now": cim(host.now()),
        "utc_offset_min": facts.utc_offset_min,
        "boot": cim(host.boot),
        "quser": _quser(host),
        "qwinsta": _qwinsta(host),
        "oem": facts.oem,
        "ansi": facts.ansi,
        "patterns": {
            "short_date": facts.patterns.short_date,
            "short_time": facts.patterns.short_time,
            "am": facts.patterns.am,
            "pm": facts.patterns.pm,
            "locale": facts.culture,
        },
        "births": [{"id": number, "born": born} for number, born in _births(host).items()],
        "owners": [{"id": each.id, "account": each.account, "sid": each.sid} for each in _alive(host)],
        "admins": sorted(_admins(host)) if _sees(host) else None,
        "witness": {"before": witness, "after": witness},
        "wms": _wms(host),
        "logons": _logons(host),
        "broker": {"active": facts.broker, "agents": list(facts.agents)},
        "caller": {
            "account": f"{facts.computer}\\Administrator" if _elevated(host) else f"{facts.computer}\\operator",
            "sid": sid_of(facts.name, "caller"),
            "elevated": _elevated(host),
            "session_id": facts.caller_session,
        },
        "pending_reboot": list(facts.pending_reboot),
        "powershell": {"version": facts.powershell, "language": "FullLanguage", "bits": 64},
        "lease": host.lease,
    }


def _program(out: bytes = b"", err: str = "", code: int = 0) -> dict[str, Any]:
    return {
        "exit": code,
        "out": base64.b64encode(out).decode(),
        "err": base64.b64encode(err.encode("ascii", "replace")).decode(),
        "timed_out": False,
        "problem": None,
    }


def _quser(host: LabHost) -> dict[str, Any]:
    """Nobody on, and nothing one may see, read the same: exit 1, and a sentence on standard error."""
    table = tables.quser_bytes(host) if _sees(host) else b""
    return _program(table) if table else _program(err=host.facts.words.nobody + "\r\n", code=1)


def _qwinsta(host: LabHost) -> dict[str, Any]:
    if not _sees(host):
        return _program(err=host.facts.words.no_session + "\r\n", code=1)
    return _program(tables.qwinsta_bytes(host))


def _alive(host: LabHost) -> list[LabSession]:
    ids = set(host.processes_in())
    return [each for each in host.sessions if each.id in ids]


def _births(host: LabHost) -> dict[int, str]:
    return {each.id: cim(each.born) for each in _alive(host)} if _elevated(host) else {}


def _admins(host: LabHost) -> set[str]:
    return {each.sid for each in host.sessions if each.admin}


def _wms(host: LabHost) -> dict[str, Any] | None:
    if host.facts.generation == "none" or not _sees(host):
        return None
    by_id = {each.id: each for each in host.rows()}
    return {
        "generation": host.facts.generation,
        "mode": host.facts.mode,
        "sessions": [
            {
                "id": each.id,
                "user": each.user,
                "domain": each.account.split("\\")[0] if "\\" in each.account else None,
                "state": "ConnectedToStation" if each.station else "RemoteConnection",
                "station": each.station or 0,
                "admin": each.admin,
                "client": each.client,
            }
            for each in by_id.values()
        ],
        "stations": [
            {
                "id": station.id,
                "name": station.name,
                "session_id": station.session_id if station.session_id in by_id else None,
                "user": by_id[station.session_id].user if station.session_id in by_id else None,
                "auto_logon": station.auto_logon,
            }
            for station in host.stations
        ],
    }


def _stations(host: LabHost, _: Arguments) -> Result:
    return {"wms": _wms(host)}


def _logons(host: LabHost, *, was: str | None = None, changed: bool | None = None) -> dict[str, Any]:
    logons, drain = _MODES[host.logon_mode]
    return {
        "mode": host.logon_mode,
        "logons": logons,
        "drain": drain,
        "terminal_server_mode": 1,
        "was": was,
        "changed": changed,
    }


def _read_logons(host: LabHost, _: Arguments) -> Result:
    return _logons(host)


# What changes something.


def _set_logons(host: LabHost, arguments: Arguments) -> Result:
    wanted, expected = arguments["mode"], arguments.get("expected")
    if wanted not in _MODES or expected not in {*_MODES, None}:
        raise ValueError(f"{wanted!r} or {expected!r} is no logon mode")
    if not _elevated(host):
        raise _Refusal("denied", "Access is denied.")
    if cim(host.now()) > str(arguments["notafter"]):
        raise _Refusal("expired", f"this was meant to be done by {arguments['notafter']}")
    was = host.logon_mode
    changed = expected is None or expected == was
    if changed:
        host.set_logon_mode(wanted)
    return _logons(host, was=was, changed=changed)


def _look(host: LabHost) -> Look:
    return Look(
        lines=lines_of(tables.quser_bytes(host)) if _sees(host) else (),
        births=_births(host),
        processes=frozenset(host.processes_in()),
        own_session=host.facts.caller_session,
    )


def _guards(arguments: Arguments) -> list[Guard]:
    guards = [Guard.of(each) for each in json.loads(arguments["sessions"])["sessions"]]
    if len({guard.id for guard in guards}) != len(guards):
        raise ValueError("the list of sessions is not sound")
    return guards


def _each(host: LabHost, arguments: Arguments, act: Callable[[Guard], Standing]) -> dict[int, Standing]:
    """Check and act, one session after the other: each with a fresh look, and only while there is time (W3, W4)."""
    results: dict[int, Standing] = {}
    for guard in _guards(arguments):
        refusal = objection(cim(host.now()), str(arguments["notafter"]), str(arguments["run"]), host.lease)
        found = refusal or standing(guard, _look(host))
        results[guard.id] = act(guard) if found[0] == "same" else found
    return results


def _result(host: LabHost, results: dict[int, Standing]) -> Result:
    sessions = [{"id": number, "result": result, "text": text} for number, (result, text) in results.items()]
    return {"now": cim(host.now()), "sessions": sessions}


def _in_state(host: LabHost, guard: Guard) -> bool:
    """Whether the session is in the state that the caller saw, told by the bytes of the word."""
    return any(match.state.startswith(guard.state) for match in matches(guard, _look(host)))


def _message(host: LabHost, arguments: Arguments) -> Result:
    text = str(arguments["text"])

    def act(guard: Guard) -> Standing:
        if not _in_state(host, guard):
            return "refused", "nobody looks at this session now"
        host.show(guard.id, text)
        return "shown", ""

    return _result(host, _each(host, arguments, act))


def _disconnect(host: LabHost, arguments: Arguments) -> Result:
    def act(guard: Guard) -> Standing:
        session = host.session(guard.id)
        if session is not None and session.state != "disconnected":
            host.disconnect(guard.id)
        return "disconnected", ""

    return _result(host, _each(host, arguments, act))


def _end(host: LabHost, arguments: Arguments) -> Generator[float, None, Result]:
    """Start every log-off, then watch all of them under one limit; what has not ended by then is unknown (W3)."""

    def act(guard: Guard) -> Standing:
        host.log_off(guard.id)
        return "started", ""

    results = _each(host, arguments, act)
    started = [guard for guard in _guards(arguments) if results[guard.id][0] == "started"]
    deadline = host.world.clock.monotonic() + float(arguments.get("timelimitseconds", 20))
    while started:
        look = _look(host)
        for guard in [each for each in started if not _still_there(each, look)]:
            results[guard.id] = ("ended", "")
            started.remove(guard)
        if host.world.clock.monotonic() >= deadline:
            break
        if started:
            yield WATCH_STEP_S
    for guard in started:
        results[guard.id] = ("unknown", "the log-off was started and has not ended yet")
    return _result(host, results)


def _still_there(guard: Guard, look: Look) -> bool:
    """Whether the very session is still listed: its row, and not with another birth (its seat may be taken anew)."""
    return bool(matches(guard, look)) and standing(guard, look)[0] != "changed"


_CALLS = {
    "get-mpsbridgeobservation": _Known("observe", _observe),
    "get-mpsbridgestation": _Known("stations", _stations),
    "get-mpsbridgelogonmode": _Known("logons", _read_logons),
    "set-mpsbridgelogonmode": _Known("logons-set", _set_logons),
    "send-mpsbridgemessage": _Known("message", _message),
    "disconnect-mpsbridgesession": _Known("disconnect", _disconnect),
    "close-mpsbridgesession": _Known("end", _end),
}
