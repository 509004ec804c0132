"""What the acting calls do to a make-believe host, in the steps of the real scripts.

Check and act are one step for each session, each with a fresh look, and only while there is time (W3, W4); all are
begun before any is waited for, and what is not settled in the end is ``unknown``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass

from mpsbridge.lab.engines.scripted import marking
from mpsbridge.lab.engines.scripted.guard import Guard, Look, Standing, lines_of, matches, objection, standing
from mpsbridge.lab.engines.scripted.lease import believed_lease
from mpsbridge.lab.engines.scripted.observing import (
    Arguments,
    Problems,
    Refusal,
    Result,
    assert_program,
    logons,
)
from mpsbridge.lab.windows import tables
from mpsbridge.lab.windows.accounts import caller, elevated, sees
from mpsbridge.lab.windows.cim import MODES, cim
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.processes import births
from mpsbridge.lab.windows.sentences import repeated

WATCH_LIMIT_S = 5.0
WATCH_STEP_S = 0.45

_BEGUN = ("begun", "")
_SENT = (("shown", ""), ("unknown", "sent, but the session was not seen in the same state afterwards"))
_NO_LOG = "event log: The source was not found, but some or all event logs could not be searched."
_RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
_CIM = re.compile(r"\d{14}\.\d{6}\+000")
_NOTICE = re.compile(r"[0-9a-z-]{0,40}")
_TEXT = re.compile(r"[^/@\x00-\x1f-][^\x00-\x1f]{0,254}")


def set_logons(host: LabHost, arguments: Arguments, problems: Problems) -> Result:
    """The result of ``Set-MpsbridgeLogonMode``: compare-and-set (W17)."""
    wanted, expected = arguments["mode"], arguments.get("expected")
    if wanted not in MODES or expected not in {*MODES, None, ""}:
        raise ValueError(f"{wanted!r} or {expected!r} is not a logon mode")
    if refusal := objection_of(host, arguments, problems, demand_of(arguments)):
        raise Refusal("expired" if refusal[0] == "expired" else "untouched", refusal[1])
    was = host.logon_mode
    if was != wanted and (not expected or expected == was):
        assert_program(host, "chglogon.exe")
        if not elevated(host):
            said = repeated((host.facts.sentences.access_denied,), host.facts.oem)
            raise Refusal("remote", f"logons are still {was}; chglogon.exe ended with 1: {said}")
        host.set_logon_mode(wanted)
        if host.logon_mode != wanted:
            told = host.logon_mode.replace("-", " ").upper()
            ended = f"chglogon.exe ended with 1: Session logins are currently {told}"
            raise Refusal("remote", f"logons are still {host.logon_mode}; {ended}")
        note(f"logons set from {was} to {wanted}", host, arguments, problems)
    return logons(host) | {"was": was, "changed": host.logon_mode != was}


def message(host: LabHost, arguments: Arguments, problems: Problems) -> Result:
    """The result of ``Send-MpsbridgeMessage``: it counts as shown where somebody looked before and after (W2)."""
    text, notice = str(arguments["text"]), arguments.get("notice") or ""
    if _TEXT.fullmatch(text) is None:
        raise ValueError("the text is not one that msg.exe may get")
    if not _NOTICE.fullmatch(notice):
        raise ValueError(f"-Notice is {notice!r}")
    results: dict[int, Standing] = {}
    for guard in _guards(arguments):
        found = marking.begin(host, guard, notice, arguments["run"], problems) if notice else None
        if found is None:
            found = _show(host, guard, text, arguments, problems)
            sent = found in _SENT
            if notice and (sent or found[0] != "unknown"):
                marking.finish(host, guard, notice, arguments["run"], sent=sent)
        results[guard.id] = found
    return _result(host, results)


def _show(host: LabHost, guard: Guard, text: str, arguments: Arguments, problems: Problems) -> Standing:
    found = objection_of(host, arguments, problems, "any") or standing(guard, _look(host))
    if found[0] != "same":
        return found
    if not _seen(guard, _look(host)):
        return "refused", "the session is disconnected or in another state now; nobody may see it"
    if _protected(host, guard):
        return "refused", f"msg.exe ended with 1: {repeated((host.facts.sentences.names_denied,), host.facts.oem)}"
    host.show(guard.id, text)
    return _SENT[0] if _seen(guard, _look(host)) else _SENT[1]


@dataclass(frozen=True, slots=True)
class _Act:
    """One way of acting on a session: by which cmdlet or program, and what a look must show for it to be done."""

    result: str
    cmdlet: str
    program: str
    verb: str
    begun: str
    begin: Callable[[int], None]
    is_done: Callable[[Guard, Look], bool]
    rowless: bool = False


def disconnect(host: LabHost, arguments: Arguments, problems: Problems) -> Generator[float, None, Result]:
    """The result of ``Disconnect-MpsbridgeSession``."""
    act = _Act(
        result="disconnected",
        cmdlet="Disconnect-WmsSession",
        program="tsdiscon.exe",
        verb="disconnect",
        begun="the disconnect has begun",
        begin=host.disconnect,
        is_done=_is_disconnected,
    )
    return _carry_out(act, host, arguments, problems)


def log_off(host: LabHost, arguments: Arguments, problems: Problems) -> Generator[float, None, Result]:
    """The result of ``Close-MpsbridgeSession``."""
    act = _Act(
        result="ended",
        cmdlet="Close-WmsSession",
        program="logoff.exe",
        verb="logoff",
        begun="the log-off has begun",
        begin=host.log_off,
        is_done=_has_ended,
    )
    return _carry_out(act, host, arguments, problems)


def reset(host: LabHost, arguments: Arguments, problems: Problems) -> Generator[float, None, Result]:
    """The result of ``Reset-MpsbridgeSession``; it goes by birth alone where the row is gone, and never without one."""
    if any(guard.born is None for guard in _guards(arguments)):
        raise Refusal("untouched", "a reset needs to know when each session began; nothing was done")
    act = _Act(
        result="ended",
        cmdlet="",
        program="rwinsta.exe",
        verb="reset",
        begun="the reset has begun",
        begin=host.reset,
        is_done=_has_ended,
        rowless=True,
    )
    return _carry_out(act, host, arguments, problems)


def _carry_out(act: _Act, host: LabHost, arguments: Arguments, problems: Problems) -> Generator[float, None, Result]:
    guards = _guards(arguments)
    results, begun = {}, set()
    for guard in guards:
        results[guard.id], started = _begin(act, guard, host, arguments, problems)
        begun |= {guard.id} if started else set()
    clock = host.world.clock
    deadline = clock.monotonic() + min(WATCH_LIMIT_S, float(arguments.get("timelimitseconds", 20)))
    while True:
        look = _look(host)
        for guard in guards:
            if results[guard.id] == _BEGUN and act.is_done(guard, look):
                results[guard.id] = (act.result, "")
        if _BEGUN not in results.values() or clock.monotonic() >= deadline:
            break
        yield WATCH_STEP_S
    unsettled = ("unknown", act.begun)
    settled = {number: unsettled if found == _BEGUN else found for number, found in results.items()}
    answer = _result(host, settled)
    for session in answer["sessions"]:
        session["begun"] = session["id"] in begun
    return answer


def _begin(act: _Act, guard: Guard, host: LabHost, arguments: Arguments, problems: Problems) -> tuple[Standing, bool]:
    """What came of the guard and the start, and whether the act was begun."""
    look = _look(host)
    found = objection_of(host, arguments, problems, demand_of(arguments)) or standing(guard, look, rowless=act.rowless)
    if found[0] == "same" and not act.rowless and _has_come_back(guard, look):
        found = ("refused", "somebody has come back to it meanwhile, so nothing was done")
    if found[0] != "same":
        return found, False
    if act.is_done(guard, look):
        return (act.result, f"it was {act.result} already"), False
    refused = _protected(host, guard)
    whose = f"for the session begun at {guard.born or 'an unknown time'}"
    by_multipoint = act.cmdlet != "" and host.facts.generation != "none"
    if not refused:
        act.begin(guard.id)
    if by_multipoint:
        note(f"{act.cmdlet} -SessionId {guard.id} {whose}", host, arguments, problems)
    if refused or not by_multipoint:
        note(f"{act.program} {guard.id} {whose}", host, arguments, problems)
    if refused:
        said = repeated(host.facts.sentences.refused(act.verb, guard.id), host.facts.oem)
        return ("refused", f"{act.program} ended with 1: {said}"), True
    return _BEGUN, True


def _protected(host: LabHost, guard: Guard) -> bool:
    return any(session.protected for session in host.rows() if session.id == guard.id)


def note(what: str, host: LabHost, arguments: Arguments, problems: Problems) -> None:
    """An entry in the host's own log (W37), where only an administrator may write."""
    if elevated(host):
        text = f"Run {arguments['run']} of mpsbridge, as {caller(host)['account']}: {what}."
        host.events.append(f"mpsbridge Information 1: {text}")
    elif _NO_LOG not in problems:
        problems.append(_NO_LOG)


def _has_ended(guard: Guard, look: Look) -> bool:
    """Neither row nor processes, or somebody else in its place."""
    return standing(guard, look)[0] in {"gone", "changed"}


def _is_disconnected(guard: Guard, look: Look) -> bool:
    return any(not match.session_name for match in matches(guard, look))


def _has_come_back(guard: Guard, look: Look) -> bool:
    """Whether somebody sits in front of it now, though it was in another state when the caller saw it (W2)."""
    return not _seen(guard, look) and any(match.session_name for match in matches(guard, look))


def _seen(guard: Guard, look: Look) -> bool:
    """Whether somebody can see a box: on a screen, and in the very state the caller saw."""
    return any(match.session_name and f"{match.state} ".startswith(f"{guard.state} ") for match in matches(guard, look))


def demand_of(arguments: Arguments) -> str:
    """What a call demands of the lease: ``free`` of others, or ``held`` by its run."""
    demand = str(arguments.get("lease", "free"))
    if demand not in {"free", "held"}:
        raise ValueError(f"-Lease is {demand!r}")
    return demand


def objection_of(host: LabHost, arguments: Arguments, problems: Problems, demand: str) -> Standing | None:
    """Why nothing may be done on this host any more (W4), or ``None``; with ``any`` the lease does not matter."""
    not_after, run = arguments["notafter"], arguments["run"]
    if _CIM.fullmatch(not_after) is None or _RUN.fullmatch(run) is None:
        raise ValueError("-NotAfter or -Run cannot be read")
    return objection(
        cim(host.now()), not_after, run, None if demand == "any" else believed_lease(host, problems), demand
    )


def _look(host: LabHost) -> Look:
    return Look(
        lines=lines_of(tables.quser_bytes(host)) if sees(host) else (),
        births=births(host),
        processes=frozenset(host.processes_in()),
        own_session=host.facts.caller_session,
    )


def _guards(arguments: Arguments) -> list[Guard]:
    try:
        guards = [Guard.of(each) for each in json.loads(arguments["sessions"])["sessions"]]
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal("untouched", "the list of sessions is not sound; nothing was done") from error
    if not guards or len({guard.id for guard in guards}) != len(guards):
        raise Refusal("untouched", "the list of sessions is not sound; nothing was done")
    return guards


def _result(host: LabHost, results: dict[int, Standing]) -> Result:
    sessions = [{"id": number, "result": result, "text": text} for number, (result, text) in results.items()]
    return {"now": cim(host.now()), "sessions": sessions}
