"""Evidence as the lab plays it: a host's answer to ``observe`` as the world file that describes such a host. Pure.

Rules: what the answer tells becomes a key of the world file; its tables are shown as they came, byte for byte, for as
long as nobody comes, goes or changes; what it does not tell is left to the lab. What the lab cannot play is not hidden:
whoever plays it compares (:func:`differences`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from mpsbridge.errors import InputError, MpsBridgeError
from mpsbridge.evidence.record import EvidenceFile, HostEvidence, KeptAnswer
from mpsbridge.models.answers import ObserveAnswer, OwnerAnswer, ProgramAnswer
from mpsbridge.models.harmless import harmless
from mpsbridge.models.scripts import RawOutput
from mpsbridge.models.sessions import Observation, Session, State, from_cim
from mpsbridge.snippets.observe import Observe

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "ru", "zh-CN", "ja")
"""In which the lab prints tables of its own."""
_EARLIEST, _LATEST = 1990, 2200
LEASE_FOLDER = r"C:\Program Files\mpsbridge"
LEASE_FILE = rf"{LEASE_FOLDER}\lease.json"


class Playable(NamedTuple):
    """A host of a world file, and the evidence that it is made of."""

    host: dict[str, Any]
    kept: HostEvidence


def playable(files: Sequence[tuple[Path, EvidenceFile]], *, now: datetime) -> list[Playable]:
    """The hosts that have answered; their clocks go on from when they did. ``now`` is the lab's start.

    Names that two of them have got are told apart by a number. Raises ``InputError`` where none has answered, or a time
    is none.
    """
    found: list[Playable] = []
    taken: Counter[str] = Counter()
    for source, file in files:
        before = len(found)
        for kept in file.hosts:
            try:
                host = _host(kept, now)
            except (ValueError, OverflowError) as error:
                said = harmless(str(error), limit=120)
                raise InputError(f"{source}: it holds a time that is none: {said}") from error
            if host is not None:
                taken[kept.host.casefold()] += 1
                number = taken[kept.host.casefold()]
                found.append(Playable(host | ({"name": f"{kept.host}-{number}"} if number > 1 else {}), kept))
        if len(found) == before:
            raise InputError(f"{source}: none of its hosts has answered, so there is nothing to play")
    return found


def _host(kept: HostEvidence, now: datetime) -> dict[str, Any] | None:
    answer = _answer(kept)
    if answer is None:
        return None
    try:
        seen: Observation | None = Observe.read(_raw(kept.observe))
    except MpsBridgeError:  # blind, or not to be read: the lab's host answers the same, and so it shall
        seen = None
    locale = answer.patterns.locale or "en-US"
    host: dict[str, Any] = {
        "name": kept.host,
        "computer": answer.computer,
        "language": next((each for each in LANGUAGES if locale.startswith(each)), "en"),
        "culture": locale,
        "oem": answer.oem,
        "ansi": answer.ansi,
        "utc_offset_min": answer.utc_offset_min,
        "clock_offset_s": (_moment(answer.now) - now).total_seconds(),
        "boot": _iso(answer.boot),
        "rights": _rights(answer),
        "logon_mode": answer.logons.mode,
        "broker": answer.broker.active,
        "agents": list(answer.broker.agents),
        "pending_reboot": list(answer.pending_reboot or ()),
        "powershell": answer.powershell.version,
        "caller": {"account": answer.caller.account, "sid": answer.caller.sid},
        "caller_session": answer.caller.session_id,
        "printed": {"quser": _printed(answer.quser), "qwinsta": _printed(answer.qwinsta)},
        "lacks": ["chglogon.exe"] if answer.sets_logons is False else [],
        **_lease(answer, kept),
        **_administrators(answer),
        **_patterns(answer),
        **_multipoint(answer),
        "sessions": _sessions(answer, seen),
    }
    return {key: value for key, value in host.items() if value is not None}


def _answer(kept: HostEvidence) -> ObserveAnswer | None:
    result = (kept.observe.envelope or {}).get("result") if kept.observe else None
    try:
        return ObserveAnswer.model_validate(result)
    except ValidationError:
        return None


def _moment(time: str) -> datetime:
    """A time of a host. Raises ``ValueError`` for one at which no host has run, and which no clock could go on from."""
    moment = from_cim(time)
    if not _EARLIEST <= moment.year <= _LATEST:
        raise ValueError(time)
    return moment


def _iso(time: str | None) -> str | None:
    return _moment(time).isoformat() if time else None


def _rights(answer: ObserveAnswer) -> str:
    if answer.caller.elevated:
        return "admin"
    return "rds" if answer.quser.exit == 0 and (answer.quser.out or answer.quser.text) else "user"


def _lease(answer: ObserveAnswer, kept: HostEvidence) -> dict[str, Any]:
    """The lease, and who else may write it: then no script believes it, and its text stays unknown."""
    problems = (kept.observe.envelope or {}).get("problems") if kept.observe else None
    doubts = [str(each) for each in problems if "not believed" in str(each)] if isinstance(problems, list) else []
    writers = re.findall(r"S-1-[0-9-]+[0-9]", " ".join(doubts)) if answer.lease == "" else []
    files = [{"path": LEASE_FILE, "text": answer.lease}] if answer.lease is not None else []
    return {"files": files} | ({"folders": [{"path": LEASE_FOLDER, "writers": writers}]} if writers else {})


def _printed(program: ProgramAnswer) -> dict[str, Any]:
    return {"exit": program.exit or 0, "out": program.out, "err": program.err}


def _patterns(answer: ObserveAnswer) -> dict[str, Any]:
    found = answer.patterns
    if not found.short_date or not found.short_time:
        return {}
    words = {"am": found.am, "pm": found.pm}
    given = {key: word for key, word in words.items() if word}
    return {"patterns": {"short_date": found.short_date, "short_time": found.short_time, **given}}


def _administrators(answer: ObserveAnswer) -> dict[str, Any]:
    if answer.admins is None:
        return {"administrators": "unreadable"}
    members = [{"kind": each.kind} | ({"sid": each.sid} if each.sid else {}) for each in answer.admins]
    return {"members": members}


def _multipoint(answer: ObserveAnswer) -> dict[str, Any]:
    if answer.wms is None:
        return {}
    stations = [
        {"id": each.id, "name": each.name or f"Station {each.id}", "auto_logon": bool(each.auto_logon)}
        | ({"session_id": each.session_id} if each.session_id else {})
        for each in answer.wms.stations
    ]
    found = {"generation": answer.wms.generation, "mode": answer.wms.mode, "stations": stations}
    return found | ({"disk_protection": answer.disk_protection} if answer.disk_protection else {})


def _sessions(answer: ObserveAnswer, seen: Observation | None) -> list[dict[str, Any]]:
    """Everybody of whom a row or a process is told, by id."""
    rows = {each.id: each for each in seen.sessions} if seen else {}
    owners = {each.id: each for each in answer.owners}
    births = {each.id: each.born for each in answer.births}
    there = set(answer.witness.before) & set(answer.witness.after)
    sits = {each.id: each for each in answer.wms.sessions} if answer.wms else {}
    made = []
    for number in sorted(({*rows, *owners, *births} | there) - {0}):
        session = _session(number, rows.get(number), owners.get(number), answer.computer or "")
        session |= {"born": _iso(births[number])} if number in births else {"winlogon": False} if births else {}
        session |= {"desktop": number in there} if there and number not in there else {}
        if (place := sits.get(number)) is not None:
            extra = {"station": place.station, "admin": place.admin, "client": place.client}
            session |= {key: value for key, value in extra.items() if value is not None}
        made.append(session)
    return made


def _session(number: int, row: Session | None, owner: OwnerAnswer | None, computer: str) -> dict[str, Any]:
    account = (owner.account if owner else None) or (row.account if row else None)
    user = row.user_text or row.user if row else (account or "").rpartition("\\")[2]
    session: dict[str, Any] = {"id": number, "user": user or "nobody", "orphaned": row is None}
    session["account"] = account or f"{computer}\\{session['user']}"
    if owner and owner.sid:
        session["sid"] = owner.sid
    if owner is None:
        session["anonymous"] = True
    if owner and owner.groups is not None and owner.groups_at:
        session |= {"groups": list(owner.groups), "groups_at": _iso(owner.groups_at)}
    if row is not None:
        session["session_name"] = row.session_name or ""
        began = row.logon or row.born
        session["logon"] = began.isoformat() if began else "1h"
        session["state"] = "active" if row.state is State.UNKNOWN else row.state.value
        session["state_text"] = row.state_text
    return session


def differences(kept: HostEvidence, ask: Callable[[str], str]) -> Sequence[str]:
    """What a played host answers otherwise than the real one did, but for the time; ``ask`` lets it run a script."""
    told, played = _seen(kept.observe), _seen(KeptAnswer(output=(ask(Observe().render().text),)))
    return [
        f"{key} is {_short(played.get(key))}, and was {_short(told[key])}"
        for key in told
        if told[key] != played.get(key)
    ]


def _seen(kept: KeptAnswer | None) -> dict[str, Any]:
    try:
        return Observe.read(_raw(kept)).model_dump(mode="json", exclude={"observed"})
    except MpsBridgeError as error:
        return {"error": f"{error.kind}: {error}"}


def _raw(kept: KeptAnswer | None) -> RawOutput:
    """An answer as it came from the host."""
    kept = kept or KeptAnswer()
    output = (json.dumps(kept.envelope),) if kept.envelope is not None else kept.output
    return RawOutput(output=output, errors=kept.errors, warnings=kept.warnings, failed=kept.failed)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:160] + "..."
