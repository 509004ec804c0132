"""World files: TOML or JSON in, a :class:`~mpsbridge.lab.windows.world.World` out.

The format is described in ``docs/lab.md`` (``mpsbridge docs lab``), which a test holds against the tables in here.

Rules of this file: every key is declared once, in a table beside the function that reads it; an unknown key, a wrong
type or a contradiction is an error that names file, host and key, and nothing is guessed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from mpsbridge.clock import Clock
from mpsbridge.errors import SettingsError
from mpsbridge.files import read_text
from mpsbridge.lab import values as read
from mpsbridge.lab.windows.facts import HostFacts
from mpsbridge.lab.windows.files import Access, HostFile
from mpsbridge.lab.windows.host import Captured, LabHost
from mpsbridge.lab.windows.regions import CODE_PAGES, CULTURES, OTHER_STATES, PATTERNS, WORDS
from mpsbridge.lab.windows.sessions import LabSession, LabStation, born_before, sid_of
from mpsbridge.lab.windows.tables import CapturedRow, read_table
from mpsbridge.lab.windows.world import World
from mpsbridge.lab.wire.faults import DEEDS, FORMS, OUTSIDE_MESSAGES, STEPS, Fault

SHIPPED = Path(__file__).resolve().parent / "worlds"
"""The worlds, and the captured tables, that come with the package."""


def load_world(path: str | Path, clock: Clock | None = None) -> World:
    """Read a world file (TOML, or JSON by its suffix). A name without a folder may also be a shipped world.

    Raises ``SettingsError`` that names the file, the host and the key.
    """
    file = Path(path)
    if not file.exists() and len(file.parts) == 1:
        shipped = SHIPPED / (file.name if file.suffix else f"{file.name}.toml")
        file = shipped if shipped.exists() else file
    try:
        text = read_text(file)
        raw = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except RecursionError as error:
        raise SettingsError(f"{file}: it is nested too deeply") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from error
    return build_world(raw, clock, source=file)


def demo_world(clock: Clock | None = None) -> World:
    """The world that ships for a first look."""
    return load_world(SHIPPED / "demo.toml", clock)


def build_world(raw: Any, clock: Clock | None = None, *, source: Path = Path("world")) -> World:
    """The same from data that is read already; ``source`` is named in errors and is where playback files are sought."""
    world = World(clock)
    try:
        top = read.table(raw, {"hosts": read.rows}, required=("hosts",))
        hosts = top["hosts"]
        if not hosts:
            raise read.Wrong("a world needs at least one [[hosts]]")
        for number, row in enumerate(hosts, 1):
            name = row.get("name") if isinstance(row, dict) else None
            with read.At(f"hosts[{number}]" + (f" ({name})" if isinstance(name, str) else "")):
                host = _host(row, world, source.parent)
                if host.name.casefold() in {each.casefold() for each in world.hosts}:
                    raise read.Wrong("the name is taken by a host before it")
                world.add(host)
    except read.Wrong as error:
        raise SettingsError(f"{source}: {error}") from error
    return world


_CALLER: dict[str, read.Reader] = {"account": read.text, "sid": read.text}
_MEMBER: dict[str, read.Reader] = {"sid": read.text, "kind": read.one_of("user", "group", "unknown")}
_PRINTED: dict[str, read.Reader] = {"exit": read.whole(-(2**31), 2**32 - 1), "out": read.base64, "err": read.base64}


def _caller(raw: Any) -> dict[str, str]:
    """Who signs in."""
    return read.table(raw, _CALLER, required=("account",))


def _members(raw: Any) -> tuple[tuple[str | None, str], ...]:
    """The members of Administrators; one without a SID cannot be read."""
    found = [read.table(row, _MEMBER, required=("kind",)) for row in read.rows(raw)]
    return tuple((row.get("sid"), row["kind"].capitalize()) for row in found)


def _printed(raw: Any) -> dict[str, Captured]:
    """What programs print as long as the sessions stay as they are."""
    programs = read.table(raw, dict.fromkeys(("quser", "qwinsta"), lambda row: read.table(row, _PRINTED)))
    return {name: (row.get("exit", 0), row.get("out", b""), row.get("err", b"")) for name, row in programs.items()}


_HOST: dict[str, read.Reader] = {
    "name": read.text,
    "address": read.address,
    "computer": read.text,
    "language": read.one_of(*WORDS),
    "oem": read.page,
    "ansi": read.page,
    "culture": read.text,
    "patterns": read.patterns,
    "utc_offset_min": read.whole(-14 * 60, 14 * 60),
    "clock_offset_s": read.offset_seconds,
    "boot": read.moment,
    "generation": read.one_of("none", "2012", "2016"),
    "mode": read.text,
    "rights": read.one_of("admin", "user", "rds"),
    "down": read.flag,
    "wide": read.flag,
    "logon_mode": read.one_of("enabled", "drain", "drain-until-restart", "disabled"),
    "broker": read.flag,
    "agents": read.texts,
    "pending_reboot": read.texts,
    "powershell": read.text,
    "jea": read.texts,
    "script_s": read.seconds,
    "caller": _caller,
    "members": _members,
    "caller_session": read.whole(0, 65535),
    "restart_s": read.seconds,
    "stays_down": read.flag,
    "boots_twice": read.flag,
    "ready_s": read.seconds,
    "reboot_s": read.seconds,
    "disk_protection": read.one_of("NotInstalled", "Passive", "Discard"),
    "lacks": read.texts,
    "hangs": read.texts,
    "logons_stuck": read.flag,
    "processes": read.one_of("listed", "denied"),
    "event_log": read.one_of("works", "denied"),
    "tasks": read.one_of("works", "denied", "lost", "disabled", "unreadable", "fails"),
    "wms": read.one_of("works", "throws", "throws-late", "hangs"),
    "administrators": read.one_of("users", "group", "unnoted", "broken", "unreadable"),
    "files": read.rows,
    "folders": read.rows,
    "playback": read.text,
    "playback_qwinsta": read.text,
    "printed": _printed,
    "sessions": read.rows,
    "stations": read.rows,
    "faults": read.rows,
}
_STATE_KEYS = {
    "boot",
    "files",
    "folders",
    "logon_mode",
    "playback",
    "playback_qwinsta",
    "printed",
    "sessions",
    "stations",
    "faults",
}


def _host(raw: Any, world: World, folder: Path) -> LabHost:
    values = read.table(raw, _HOST, required=("name",))
    language = values.setdefault("language", "en")
    oem, ansi = CODE_PAGES[language]
    values.setdefault("oem", oem)
    values.setdefault("ansi", ansi)
    culture = values.setdefault("culture", CULTURES[language])
    if "patterns" not in values and culture not in PATTERNS:
        raise read.Wrong(
            f"culture: {culture!r} is none of {', '.join(PATTERNS)}; of another one give the 'patterns', too"
        )
    values.setdefault("patterns", PATTERNS.get(culture))
    values.setdefault("computer", re.sub(r"[^A-Za-z0-9-]", "-", values["name"])[:15].upper())
    caller = values.pop("caller", {})
    values |= {"account": caller.get("account", ""), "account_sid": caller.get("sid", "")}
    facts = HostFacts(**{key: value for key, value in values.items() if key not in _STATE_KEYS})
    host = LabHost(
        facts,
        world,
        logon_mode=values.get("logon_mode", "enabled"),
        folders=dict(_each(values.get("folders", []), "folders", _folder)),
        faults=tuple(_each(values.get("faults", []), "faults", _fault)),
        playback=_capture(values.get("playback"), folder, "playback"),
        playback_qwinsta=_capture(values.get("playback_qwinsta"), folder, "playback_qwinsta"),
    )
    _each(values.get("files", []), "files", lambda row: host.files.add(*_file(row, host)))
    host.sessions = _each(values.get("sessions", []), "sessions", lambda row: session_of(row, host))
    if host.playback is not None:
        _people_of_the_capture(host)
    host.stations = _each(values.get("stations", []), "stations", _station)
    first = min((each.born - timedelta(hours=9) for each in host.sessions), default=host.boot)
    host.boot = _at_start(values.get("boot", first), host)
    _agree(host)
    host.play(values.get("printed", {}))
    return host


def _each(rows: list[Any], key: str, one: Callable[[Any], Any]) -> list[Any]:
    made = []
    for number, row in enumerate(rows, 1):
        with read.At(f"{key}[{number}]"):
            made.append(one(row))
    return made


_SESSION: dict[str, read.Reader] = {
    "id": read.whole(1, 65535),
    "user": read.text,
    "account": read.text,
    "sid": read.text,
    "session_name": read.text_or_blank,
    "state": read.one_of("active", "disconnected", "connected", *OTHER_STATES),
    "idle_s": read.whole(0, 10**9),
    "idle_text": read.any_text,
    "state_text": read.any_text,
    "logon_text": read.any_text,
    "logon": read.moment,
    "born": read.moment,
    "station": read.whole(1, 10**6),
    "admin": read.flag,
    "admin_by_group": read.flag,
    "client": read.text,
    "groups": read.texts,
    "groups_at": read.moment,
    "programs": read.texts,
    "desktop": read.flag,
    "winlogon": read.flag,
    "unreadable": read.flag,
    "sealed": read.flag,
    "anonymous": read.flag,
    "orphaned": read.flag,
    "hung": read.flag,
    "ignores": read.flag,
    "protected": read.flag,
    "logoff_s": read.seconds,
    "linger_s": read.seconds,
}


def session_of(raw: Any, host: LabHost) -> LabSession:
    """The session that a table of a world file describes. Raises ``Wrong``."""
    values = read.table(raw, _SESSION, required=("id", "user"))
    if values.get("admin_by_group") and host.facts.administrators == "users":
        raise read.Wrong("admin_by_group needs a host whose 'administrators' are not only users")
    logon = values["logon"] = _at_start(values.get("logon", timedelta(hours=1)), host)
    values["born"] = _at_start(values.get("born", born_before(logon)), host)
    if "groups_at" in values:
        values["groups_at"] = _at_start(values["groups_at"], host)
    account = values.setdefault("account", f"{host.facts.computer}\\{values['user']}")
    values.setdefault("sid", sid_of(host.name, account))
    if values.setdefault("state", "active") == "disconnected":
        values["disconnected_at"] = host.now() - timedelta(seconds=values.pop("idle_s", 0))
    else:
        values.setdefault("session_name", f"rdp-tcp#{values['id']}")
    return LabSession(**values)


def _people_of_the_capture(host: LabHost) -> None:
    """Make a session for each row of a captured table that the world file does not describe itself."""
    described = {each.id for each in host.sessions}
    known = {each.id: each for each in host.sessions}
    rows = read_table(host.playback or [], host.facts)
    for row in rows:
        if row.id not in known:
            known[row.id] = _captured_session(row, host)
            host.sessions.append(known[row.id])
        known[row.id].lines += (row.line,)
    if missing := described - {row.id for row in rows}:
        raise read.Wrong(f"the playback has no row with the session id {min(missing)}")


def _captured_session(row: CapturedRow, host: LabHost) -> LabSession:
    logon = row.logon or host.now() - timedelta(hours=1)
    account = f"{host.facts.computer}\\{row.user}"
    return LabSession(
        id=row.id,
        user=row.user,
        logon=logon,
        born=born_before(logon),
        account=account,
        sid=sid_of(host.name, account),
        session_name=row.session_name,
        state=row.state,
        disconnected_at=host.now() if row.state == "disconnected" else None,
    )


_FILE: dict[str, read.Reader] = {"path": read.windows_path, "text": read.any_text, "written": read.moment}
_FOLDER: dict[str, read.Reader] = {
    "path": read.windows_path,
    "writers": read.texts,
    "owner": read.text,
    "rules": read.rules,
}


def _file(raw: Any, host: LabHost) -> tuple[str, HostFile]:
    values = read.table(raw, _FILE, required=("path", "text"))
    return values["path"], HostFile(values["text"], _at_start(values.get("written", timedelta(0)), host))


def _folder(raw: Any) -> tuple[str, Access]:
    values = read.table(raw, _FOLDER, required=("path",))
    return values.pop("path"), Access(**values)


_STATION: dict[str, read.Reader] = {
    "id": read.whole(1, 10**6),
    "name": read.text,
    "session_id": read.whole(1, 65535),
    "auto_logon": read.flag,
}


def _station(raw: Any) -> LabStation:
    values = read.table(raw, _STATION, required=("id",))
    values.setdefault("name", f"Station {values['id']}")
    return LabStation(**values)


_FAULT: dict[str, read.Reader] = {
    "step": read.one_of(*STEPS),
    "do": read.one_of(*DEEDS),
    "after": read.whole(0, 10**9),
    "times": read.whole(1, 10**9),
    "code": read.whole(1, 2**32 - 1),
    "delay_s": read.seconds,
    "acted": read.flag,
    "call": read.text,
    "form": read.one_of(*FORMS),
}


def _fault(raw: Any) -> Fault:
    values = read.table(raw, _FAULT, required=("step", "do"))
    step, do = values["step"], values["do"]
    if do not in OUTSIDE_MESSAGES.get(step, DEEDS):
        raise read.Wrong(f"at the step {step!r} there is no answer to {do!r}")
    if (step, do) == ("connect", "refuse") and {"after", "times"} & values.keys():
        raise read.Wrong("a port that refuses connections refuses all of them; leave out 'after' and 'times'")
    return Fault(**values)


def _agree(host: LabHost) -> None:
    """What the parts of one host must have in common: ids of their own, and seats that both sides name."""
    by_id = {each.id: each for each in host.sessions}
    by_number = {each.id: each for each in host.stations}
    if len(by_id) != len(host.sessions):
        raise read.Wrong("a session id is there twice")
    if len(by_number) != len(host.stations):
        raise read.Wrong("a station id is there twice")
    if host.stations and host.facts.generation == "none":
        raise read.Wrong("stations need generation = '2012' or '2016'")
    for session in host.sessions:
        if session.station is None:
            continue
        if session.station not in by_number:
            raise read.Wrong(f"session {session.id} names station {session.station}, which is not there")
        by_number[session.station].session_id = session.id
    for station in host.stations:
        if station.session_id is None:
            continue
        if station.session_id not in by_id:
            raise read.Wrong(f"station {station.id} names session {station.session_id}, which is not there")
        by_id[station.session_id].station = station.id


def _at_start(moment: datetime | timedelta, host: LabHost) -> datetime:
    """A time that was given as such (in the host's own offset, if in none), or as how long before the lab's start."""
    if isinstance(moment, timedelta):
        return host.now() - moment
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone(timedelta(minutes=host.facts.utc_offset_min)))
    return moment.astimezone(UTC)


def _capture(name: str | None, folder: Path, key: str) -> list[str] | None:
    """The lines of a captured table, with their ends: a file beside the world, or a shipped one."""
    if name is None:
        return None
    for place in (folder / name, SHIPPED / "captures" / f"{name}.txt"):
        if place.is_file():
            return place.read_bytes().decode("utf-8").splitlines(keepends=True)
    shipped = ", ".join(sorted(file.stem for file in (SHIPPED / "captures").glob("*.txt")))
    raise read.Wrong(f"{key}: there is no file {name!r} beside the world, and no shipped capture (they are: {shipped})")
