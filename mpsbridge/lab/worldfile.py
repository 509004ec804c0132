"""World files: TOML or JSON in, a :class:`~mpsbridge.lab.world.World` out.

Rules of this file: every key is declared once, in a table beside the function that reads it; an unknown key, a wrong
type or a contradiction is an error that names file, host and key, and nothing is guessed.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from mpsbridge.clock import Clock
from mpsbridge.errors import SettingsError
from mpsbridge.lab.faults import DEEDS, STEPS, Fault
from mpsbridge.lab.regions import CODE_PAGES, CULTURES, PATTERNS, WORDS, Patterns
from mpsbridge.lab.tables import read_table
from mpsbridge.lab.world import HostFacts, LabHost, LabSession, LabStation, World, born_before, sid_of

SHIPPED = Path(__file__).resolve().parent / "worlds"
"""The worlds, and the captured tables, that come with the package."""

_AGO = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_LOOPBACK = IPv4Network("127.0.0.0/8")

Reader = Callable[[Any], Any]


class _Wrong(ValueError):
    """What is wrong with one value; the place is added on the way up."""


def load_world(path: str | Path, clock: Clock | None = None) -> World:
    """Read a world file (TOML, or JSON by its suffix). A name without a folder may also be a shipped world.

    Raises ``SettingsError`` that names the file, the host and the key.
    """
    file = Path(path)
    if not file.exists() and len(file.parts) == 1:
        shipped = SHIPPED / (file.name if file.suffix else f"{file.name}.toml")
        file = shipped if shipped.exists() else file
    try:
        text = file.read_text(encoding="utf-8")
        raw = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: {error}") from error
    return build_world(raw, clock, source=file)


def demo_world(clock: Clock | None = None) -> World:
    """The world that ships for a first look."""
    return load_world(SHIPPED / "demo.toml", clock)


def build_world(raw: Any, clock: Clock | None = None, *, source: Path = Path("world")) -> World:
    """The same from data that is read already; ``source`` is named in errors and is where playback files are sought."""
    world = World(clock)
    try:
        top = _table(raw, {"hosts": _rows}, required=("hosts",))
        hosts = top["hosts"]
        if not hosts:
            raise _Wrong("a world needs at least one [[hosts]]")
        for number, row in enumerate(hosts, 1):
            name = row.get("name") if isinstance(row, dict) else None
            with _at(f"hosts[{number}]" + (f" ({name})" if isinstance(name, str) else "")):
                host = _host(row, world, source.parent)
                if host.name.casefold() in {each.casefold() for each in world.hosts}:
                    raise _Wrong("the name is taken by a host before it")
                world.add(host)
    except _Wrong as error:
        raise SettingsError(f"{source}: {error}") from error
    return world


class _at:  # noqa: N801 - reads as a word where it is used
    """Add the place to a :class:`_Wrong` on its way up."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _Wrong):
            raise _Wrong(f"{self.place}: {error}") from error


def _table(raw: Any, readers: Mapping[str, Reader], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of one table, each read by its own reader; unknown and missing keys are errors."""
    if not isinstance(raw, dict):
        raise _Wrong("this must be a table")
    values = {}
    for key, value in raw.items():
        if key not in readers:
            near = difflib.get_close_matches(str(key), readers, n=1)
            raise _Wrong(f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        with _at(key):
            values[key] = readers[key](value)
    for key in required:
        if key not in values:
            raise _Wrong(f"the key {key!r} is missing")
    return values


# One reader for each kind of value.


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong(f"must be a text that is not empty, not {value!r}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(f"must be true or false, not {value!r}")
    return value


def _whole(low: int, high: int) -> Reader:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _Wrong(f"must be a whole number from {low} to {high}, not {value!r}")
        return value

    return read


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise _Wrong(f"must be a number of seconds, not {value!r}")
    return float(value)


def _offset_seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong(f"must be a number of seconds, not {value!r}")
    return float(value)


def _one_of(*words: str) -> Reader:
    def read(value: Any) -> str:
        if value not in words:
            near = difflib.get_close_matches(str(value), words, n=1)
            raise _Wrong(f"{value!r} is none of {', '.join(words)}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return str(value)

    return read


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _Wrong("must be a list of texts")
    return tuple(_text(each) for each in value)


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Wrong("must be a list of tables")
    return value


def _page(value: Any) -> int:
    page = _whole(1, 65535)(value)
    try:
        "x".encode(f"cp{page}")
    except LookupError as error:
        raise _Wrong(f"{page} is no code page known here") from error
    return int(page)


def _address(value: Any) -> str:
    try:
        address = IPv4Address(_text(value))
    except ValueError as error:
        raise _Wrong(f"{value!r} is no IPv4 address") from error
    if address not in _LOOPBACK:
        raise _Wrong(f"{value} is not on the loopback (127.0.0.0/8), and make-believe hosts live nowhere else")
    return str(address)


def _moment(value: Any) -> datetime | timedelta:
    """A time with offset, or how long ago (``2h15m``) seen from the start of the lab."""
    if isinstance(value, str):
        ago = _AGO.fullmatch(value)
        if ago is not None and any(ago.groups()):
            days, hours, minutes, seconds = (int(part or 0) for part in ago.groups())
            return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise _Wrong(f"{value!r} is neither an ISO time nor a duration such as 2h15m") from error
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _Wrong(f"{value!r} is no time with a UTC offset; write it like 2026-11-25T08:00:00Z, or 2h15m for ago")
    return value.astimezone(UTC)


_PATTERNS: dict[str, Reader] = {"short_date": _text, "short_time": _text, "am": _text, "pm": _text}


def _patterns(value: Any) -> Patterns:
    return Patterns(**_table(value, _PATTERNS, required=("short_date", "short_time")))


_HOST: dict[str, Reader] = {
    "name": _text,
    "address": _address,
    "computer": _text,
    "language": _one_of(*WORDS),
    "oem": _page,
    "ansi": _page,
    "culture": _one_of(*PATTERNS),
    "patterns": _patterns,
    "utc_offset_min": _whole(-14 * 60, 14 * 60),
    "clock_offset_s": _offset_seconds,
    "boot": _moment,
    "generation": _one_of("none", "2012", "2016"),
    "mode": _text,
    "rights": _one_of("admin", "user", "rds"),
    "down": _flag,
    "wide": _flag,
    "logon_mode": _one_of("enabled", "drain", "drain-until-restart", "disabled"),
    "broker": _flag,
    "agents": _texts,
    "pending_reboot": _texts,
    "powershell": _text,
    "jea": _texts,
    "script_s": _seconds,
    "caller_session": _whole(0, 65535),
    "lease": _text,
    "playback": _text,
    "playback_qwinsta": _text,
    "sessions": _rows,
    "stations": _rows,
    "faults": _rows,
}
_STATE_KEYS = {
    "boot",
    "logon_mode",
    "playback",
    "playback_qwinsta",
    "sessions",
    "stations",
    "faults",
}


def _host(raw: Any, world: World, folder: Path) -> LabHost:
    values = _table(raw, _HOST, required=("name",))
    language = values.setdefault("language", "en")
    oem, ansi = CODE_PAGES[language]
    values.setdefault("oem", oem)
    values.setdefault("ansi", ansi)
    values.setdefault("patterns", PATTERNS[values.setdefault("culture", CULTURES[language])])
    values.setdefault("computer", re.sub(r"[^A-Za-z0-9-]", "-", values["name"])[:15].upper())
    facts = HostFacts(**{key: value for key, value in values.items() if key not in _STATE_KEYS})
    host = LabHost(
        facts,
        world,
        logon_mode=values.get("logon_mode", "enabled"),
        faults=tuple(_each(values.get("faults", []), "faults", _fault)),
        playback=_capture(values.get("playback"), folder, "playback"),
        playback_qwinsta=_capture(values.get("playback_qwinsta"), folder, "playback_qwinsta"),
    )
    host.sessions = _each(values.get("sessions", []), "sessions", lambda row: _session(row, host))
    if host.playback is not None:
        _people_of_the_capture(host)
    host.stations = _each(values.get("stations", []), "stations", _station)
    host.boot = _at_start(values.get("boot"), world.clock) or min(
        (each.born - timedelta(hours=9) for each in host.sessions), default=host.boot
    )
    _agree(host)
    return host


def _each(rows: list[Any], key: str, read: Callable[[Any], Any]) -> list[Any]:
    made = []
    for number, row in enumerate(rows, 1):
        with _at(f"{key}[{number}]"):
            made.append(read(row))
    return made


_SESSION: dict[str, Reader] = {
    "id": _whole(1, 65535),
    "user": _text,
    "account": _text,
    "sid": _text,
    "session_name": _text,
    "state": _one_of("active", "disconnected", "connected"),
    "idle_s": _whole(0, 10**9),
    "idle_text": _text,
    "logon": _moment,
    "born": _moment,
    "station": _whole(1, 10**6),
    "admin": _flag,
    "client": _text,
    "hung": _flag,
    "logoff_s": _seconds,
    "linger_s": _seconds,
}


def _session(raw: Any, host: LabHost) -> LabSession:
    values = _table(raw, _SESSION, required=("id", "user"))
    clock = host.world.clock
    logon = _at_start(values.get("logon", timedelta(hours=1)), clock)
    if logon is None:  # cannot be: there is a default
        raise _Wrong("a session needs a logon time")
    values["logon"] = logon
    values["born"] = _at_start(values.get("born"), clock) or born_before(logon)
    account = values.setdefault("account", f"{host.facts.computer}\\{values['user']}")
    values.setdefault("sid", sid_of(host.name, account))
    if values.setdefault("state", "active") == "disconnected":
        values["disconnected_at"] = clock.now() - timedelta(seconds=values.pop("idle_s", 0))
    else:
        values.setdefault("session_name", f"rdp-tcp#{values['id']}")
    return LabSession(**values)


def _people_of_the_capture(host: LabHost) -> None:
    """Make a session for each row of a captured table that the world file does not describe itself."""
    described = {each.id: each for each in host.sessions}
    rows = read_table(host.playback or [], host.facts)
    for row in rows:
        if row.id in described:
            described[row.id].line = row.line
            continue
        logon = row.logon or host.world.clock.now() - timedelta(hours=1)
        account = f"{host.facts.computer}\\{row.user}"
        session = LabSession(
            id=row.id,
            user=row.user,
            logon=logon,
            born=born_before(logon),
            account=account,
            sid=sid_of(host.name, account),
            session_name=row.session_name,
            state=row.state,
            disconnected_at=host.world.clock.now() if row.state == "disconnected" else None,
            line=row.line,
        )
        host.sessions.append(session)
    if missing := described.keys() - {row.id for row in rows}:
        raise _Wrong(f"the playback has no row with the session id {min(missing)}")


_STATION: dict[str, Reader] = {
    "id": _whole(1, 10**6),
    "name": _text,
    "session_id": _whole(1, 65535),
    "auto_logon": _flag,
}


def _station(raw: Any) -> LabStation:
    values = _table(raw, _STATION, required=("id",))
    values.setdefault("name", f"Station {values['id']}")
    return LabStation(**values)


_FAULT: dict[str, Reader] = {
    "step": _one_of(*STEPS),
    "do": _one_of(*DEEDS),
    "after": _whole(0, 10**9),
    "times": _whole(1, 10**9),
    "code": _whole(1, 2**32 - 1),
    "delay_s": _seconds,
    "acted": _flag,
    "call": _text,
}


def _fault(raw: Any) -> Fault:
    values = _table(raw, _FAULT, required=("step", "do"))
    if values["step"] == "connect" and values["do"] not in {"refuse", "hang", "close", "reset", "delay"}:
        raise _Wrong(f"at the step 'connect' there is no answer to {values['do']!r}")
    if values["step"] == "connect" and values["do"] == "refuse" and {"after", "times"} & values.keys():
        raise _Wrong("a port that refuses connections refuses all of them; leave out 'after' and 'times'")
    return Fault(**values)


def _agree(host: LabHost) -> None:
    """What the parts of one host must have in common: ids of their own, and seats that both sides name."""
    by_id = {each.id: each for each in host.sessions}
    by_number = {each.id: each for each in host.stations}
    if len(by_id) != len(host.sessions):
        raise _Wrong("a session id is there twice")
    if len(by_number) != len(host.stations):
        raise _Wrong("a station id is there twice")
    if host.stations and host.facts.generation == "none":
        raise _Wrong("stations need generation = '2012' or '2016'")
    for session in host.sessions:
        if session.station is None:
            continue
        if session.station not in by_number:
            raise _Wrong(f"session {session.id} names station {session.station}, which is not there")
        by_number[session.station].session_id = session.id
    for station in host.stations:
        if station.session_id is None:
            continue
        if station.session_id not in by_id:
            raise _Wrong(f"station {station.id} names session {station.session_id}, which is not there")
        by_id[station.session_id].station = station.id


def _at_start(moment: datetime | timedelta | None, clock: Clock) -> datetime | None:
    return clock.now() - moment if isinstance(moment, timedelta) else moment


def _capture(name: str | None, folder: Path, key: str) -> list[str] | None:
    """The lines of a captured table, with their ends: a file beside the world, or a shipped one."""
    if name is None:
        return None
    for place in (folder / name, SHIPPED / "captures" / f"{name}.txt"):
        if place.is_file():
            return place.read_bytes().decode("utf-8").splitlines(keepends=True)
    shipped = ", ".join(sorted(file.stem for file in (SHIPPED / "captures").glob("*.txt")))
    raise _Wrong(f"{key}: there is no file {name!r} beside the world, and no shipped capture (they are: {shipped})")
