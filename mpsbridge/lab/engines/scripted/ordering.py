"""What the calls about the whole host do: lease, failsafe, restart and shutdown, MultiPoint's mode.

In the steps of the real scripts: too late or under somebody's lease nothing is done (W4); a restart and a switch of
mode come after a last look, and are refused while somebody is there who should not be (W24).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from mpsbridge.lab.engines.scripted.acting import demand_of, note, objection_of
from mpsbridge.lab.engines.scripted.failsafe import FAILSAFE_TASK, Restoration, register
from mpsbridge.lab.engines.scripted.lease import LEASE_FILE, believed_lease, doubt_about_folder, lease_of
from mpsbridge.lab.engines.scripted.observing import (
    NO_BOOT,
    Arguments,
    Problems,
    Refusal,
    Result,
    assert_program,
    boot,
)
from mpsbridge.lab.windows.accounts import elevated
from mpsbridge.lab.windows.cim import MODES, cim
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.processes import births
from mpsbridge.lab.windows.sentences import repeated

SCHEMA = "mpsbridge-lease/1"
LEASE_LIMIT = 250_000
DELAY_S = 10.0
"""From the order to restart or shut down to the restart itself."""

_BORN = re.compile(r"[0-9]{14}\.[0-9]{6}\+000")
_OTHER_WORD = {"console": "ConsoleMode", "station": "Normal"}
_LEFT = "somebody is left, so it was not given"
_NOT_SURE = "only an elevated administrator can be sure that nobody is left; nothing was done"


def lease(host: LabHost, arguments: Arguments, problems: Problems) -> Result:
    """The result of ``Set-MpsbridgeLease``: compare and set (W22)."""
    text, expected = arguments["text"], arguments["expected"]
    _unopposed(host, arguments, problems, "any")
    if text is not None and not _is_lease(text):
        raise Refusal("untouched", "the text is not a lease; nothing was done")
    if (text is not None or lease_of(host) is not None) and (doubt := doubt_about_folder(host)):
        raise Refusal("untouched", f"{doubt}; nothing was done")
    found = believed_lease(host, problems)
    changed = _is_expected(found, expected) and not (text is None and found is None)
    if changed and not elevated(host):
        raise Refusal("denied", "Access to the path is denied.")
    if changed:
        host.write_file(LEASE_FILE, text)
        if text is None:
            note("lease removed", host, arguments, problems)
        elif _run_of(found) != arguments["run"]:
            note("lease written", host, arguments, problems)
    return {"now": cim(host.now()), "changed": changed, "lease": believed_lease(host, problems)}


def failsafe(host: LabHost, arguments: Arguments, problems: Problems) -> Result:
    """The result of ``Register-MpsbridgeFailsafe`` (W19)."""
    restoration = Restoration(arguments["found"], arguments["set"])
    if not {*restoration} <= MODES.keys():
        raise ValueError(f"{restoration} are not logon modes")
    _unopposed(host, arguments, problems)
    if _run_of(believed_lease(host, problems)) != arguments["run"]:
        raise Refusal("untouched", "this run has no lease here, so its failsafe would act at once; nothing was done")
    if not elevated(host):
        raise Refusal("denied", "Access is denied.")
    task = register(host, restoration)
    note(f"failsafe registered (logons {restoration.set}, back to {restoration.found})", host, arguments, problems)
    host.start_task(task.path)
    return {
        "now": cim(host.now()),
        "registered": True,
        "first_run": task.last_result,
        "next_run": cim(task.due) if task.due else None,
    }


def failsafe_remove(host: LabHost, arguments: Arguments, problems: Problems) -> Result:
    """The result of ``Unregister-MpsbridgeFailsafe``."""
    _unopposed(host, arguments, problems)
    if not elevated(host):
        raise Refusal("denied", "Access is denied.")
    if FAILSAFE_TASK in host.tasks:
        host.remove_task(FAILSAFE_TASK)
        note("failsafe removed", host, arguments, problems)
    return {"now": cim(host.now()), "registered": False, "next_run": None}


def power(host: LabHost, arguments: Arguments, problems: Problems) -> Result:
    """The result of ``Invoke-MpsbridgePower``."""
    action, reason = arguments["action"], arguments.get("reason") or ""
    if action not in {"restart", "shutdown", "abort"}:
        raise ValueError(f"{action!r} is not an action")
    _unopposed(host, arguments, problems)
    assert_program(host, "shutdown.exe")
    answer: Result = {"boot": boot(host), "accepted": False, "going_down": False, "left": [], "text": ""}
    if not elevated(host):
        problems.append(NO_BOOT)
        said = f"shutdown.exe ended with 5: {repeated((f'{host.facts.sentences.denied}(5)',), host.facts.oem)}"
        if action != "abort":
            raise Refusal("denied", _NOT_SURE)
        return answer | {"text": said, "now": cim(host.now())}
    if action != "abort" and (left := _left(host, arguments)):
        answer |= {"left": left, "text": _LEFT}
    elif action == "abort":
        answer["accepted"] = host.abort_shutdown()
        if not answer["accepted"]:
            answer["text"] = "shutdown.exe ended with 1116: No shutdown was in progress.(1116)"
    elif host.schedule_shutdown(action, DELAY_S):
        answer["accepted"] = True
    else:
        said = "shutdown.exe ended with 1190: A system shutdown has already been scheduled.(1190)"
        answer |= {"going_down": True, "text": said}
    if answer["accepted"]:
        note(f"{action} ordered: {reason}", host, arguments, problems)
    return answer | {"now": cim(host.now())}


def mode(host: LabHost, arguments: Arguments, problems: Problems) -> Result:
    """The result of ``Set-MpsbridgeMode`` (W27)."""
    wanted = arguments["mode"]
    if wanted not in _OTHER_WORD:
        raise ValueError(f"{wanted!r} is not a mode")
    _unopposed(host, arguments, problems)
    if host.facts.generation == "none":
        raise Refusal("missing-command", "this host has no MultiPoint module, so it has no modes")
    answer: Result = {"boot": boot(host), "accepted": False, "left": [], "before": host.mode, "after": None, "text": ""}
    now = _meaning(host.mode)
    if now == wanted:
        answer |= {"accepted": True, "after": host.mode, "text": "it was in this mode already"}
    elif now == "unknown" and host.facts.generation == "2012":
        raise Refusal("untouched", f"its mode reads '{host.mode}', and Switch-WmsSystem only toggles; nothing was done")
    elif not elevated(host):
        problems.append(NO_BOOT)
        raise Refusal("denied", _NOT_SURE)
    elif left := _left(host, arguments):
        answer |= {"left": left, "text": _LEFT}
    else:
        note(f"{wanted} mode ordered", host, arguments, problems)
        host.switch_mode(_OTHER_WORD[wanted])
        answer |= {"accepted": True, "after": host.mode}
    return answer | {"now": cim(host.now())}


def _unopposed(host: LabHost, arguments: Arguments, problems: Problems, demand: str | None = None) -> None:
    if refusal := objection_of(host, arguments, problems, demand or demand_of(arguments)):
        raise Refusal("expired" if refusal[0] == "expired" else "untouched", refusal[1])


def _is_expected(found: str | None, expected: str | None) -> bool:
    """As the script compares: the text itself, or the one with that digest."""
    if found is None or found == expected:
        return found == expected
    text = found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # as .NET encodes it
    return expected == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _is_lease(text: str) -> bool:
    try:
        facts = json.loads(text)
    except ValueError:
        return False
    return isinstance(facts, dict) and facts.get("schema") == SCHEMA and len(text) <= LEASE_LIMIT


def _run_of(text: str | None) -> str | None:
    """Whose lease it is; null for a person's hold, for none, and for one that nobody can read."""
    try:
        facts = json.loads(text or "")
    except ValueError:
        return None
    return facts.get("run") if isinstance(facts, dict) else None


@dataclass(frozen=True, slots=True)
class _Allowed:
    """A session that may still be there; without a birth it is a leftover that has no ``winlogon``."""

    id: int
    born: str | None
    leftover: bool

    @property
    def is_sound(self) -> bool:
        number = type(self.id) is int and 0 < self.id < 100_000 and type(self.leftover) is bool
        return number and (self.leftover if self.born is None else _BORN.fullmatch(self.born) is not None)


def _allowed(arguments: Arguments) -> dict[int, _Allowed]:
    raw = json.loads(arguments.get("allowed", '{"allowed":[]}'))["allowed"]
    try:
        sessions = {each["id"]: _Allowed(**each) for each in raw}
        sound = len(sessions) == len(raw) and all(each.is_sound for each in sessions.values())
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise Refusal("untouched", "the list of allowed sessions is not sound; nothing was done")
    return sessions


def _left(host: LabHost, arguments: Arguments) -> list[int]:
    """Everybody in the table or with a process, but for those who may be there."""
    allowed, rows, born = _allowed(arguments), {each.id for each in host.rows()}, births(host)
    return sorted(
        number
        for number in rows | set(host.processes_in())
        if number not in allowed or not _may_stay(allowed[number], rows, born)
    )


def _may_stay(session: _Allowed, rows: set[int], born: dict[int, str]) -> bool:
    """Whether whoever has its number now is that very session, and no leftover has a row."""
    if session.leftover and session.id in rows:
        return False
    if session.born is not None:
        return born.get(session.id) == session.born
    return bool(born) and session.id not in born


def _meaning(word: str) -> str:
    text = word.lower()
    if text in {"normal", "station", "stationmode"}:
        return "station"
    return "console" if "console" in text or "maintenance" in text else "unknown"
