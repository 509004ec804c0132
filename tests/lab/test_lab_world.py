"""Worlds: read from files with errors that say where, and changed by people and administrators."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fake_clock import FakeClock

from mpsbridge.errors import SettingsError
from mpsbridge.lab import World, build_world, demo_world, load_world
from mpsbridge.lab.windows.host import LabHost


def host_of(clock: FakeClock | None = None, **facts: Any) -> LabHost:
    world = build_world({"hosts": [{"name": "a", **facts}]}, clock or FakeClock())
    return world.hosts["a"]


ALICE = {"id": 2, "user": "alice"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "the key 'hosts' is missing"),
        ({"hosts": []}, "at least one"),
        ({"host": []}, "unknown key 'host'; did you mean 'hosts'?"),
        (
            {"hosts": [{"name": "a", "langage": "de"}]},
            r"hosts\[1\] \(a\): unknown key 'langage'; did you mean 'language'",
        ),
        ({"hosts": [{"language": "de"}]}, r"hosts\[1\]: the key 'name' is missing"),
        ({"hosts": [{"name": "a", "language": "nl"}]}, "language: 'nl' is none of en, de"),
        ({"hosts": [{"name": "a", "rights": "admn"}]}, "did you mean 'admin'"),
        ({"hosts": [{"name": "a"}, {"name": "A"}]}, r"hosts\[2\] \(A\): the name is taken"),
        ({"hosts": [{"name": "a", "oem": 1}]}, "1 is not a code page"),
        ({"hosts": [{"name": "a", "address": "10.0.0.1"}]}, "not on the loopback"),
        ({"hosts": [{"name": "a", "address": "localhost"}]}, "not an IPv4 address"),
        ({"hosts": [{"name": "a", "boot": 5}]}, "5 is not a time"),
        ({"hosts": [{"name": "a", "boot": "yesterday"}]}, "neither an ISO time nor a duration"),
        ({"hosts": [{"name": "a", "utc_offset_min": True}]}, "must be a whole number"),
        ({"hosts": [{"name": "a", "down": 1}]}, "must be true or false"),
        ({"hosts": [{"name": "a", "script_s": -1}]}, "must be a number of seconds"),
        ({"hosts": [{"name": "a", "agents": "x"}]}, "must be a list of texts"),
        ({"hosts": [{"name": "a", "sessions": [{"id": 0, "user": "x"}]}]}, r"sessions\[1\]: id: must be .* 1 to 65535"),
        ({"hosts": [{"name": "a", "sessions": [ALICE, ALICE]}]}, "a session id is there twice"),
        ({"hosts": [{"name": "a", "sessions": [{**ALICE, "usr": "x"}]}]}, r"sessions\[1\]: unknown key 'usr'"),
        ({"hosts": [{"name": "a", "stations": [{"id": 1}]}]}, "stations need generation"),
        ({"hosts": [{"name": "a", "sessions": [{**ALICE, "station": 9}]}]}, "names station 9, which is not there"),
        (
            {"hosts": [{"name": "a", "generation": "2016", "stations": [{"id": 1, "session_id": 7}]}]},
            "names session 7, which is not there",
        ),
        ({"hosts": [{"name": "a", "faults": [{"step": "create", "do": "explode"}]}]}, "'explode' is none of"),
        ({"hosts": [{"name": "a", "faults": [{"step": "connect", "do": "drip"}]}]}, "no answer to 'drip'"),
        (
            {"hosts": [{"name": "a", "faults": [{"step": "connect", "do": "refuse", "times": 1}]}]},
            "refuses all of them",
        ),
        ({"hosts": [{"name": "a", "playback": "nl"}]}, "no shipped capture .*zh-CN"),
        ({"hosts": [{"name": "a", "language": "de", "playback": "de", "sessions": [ALICE]}]}, "no row with .* 2"),
    ],
)
def test_a_wrong_world_is_refused_with_the_place(raw: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        build_world(raw, source=Path("here.toml"))


def test_errors_name_the_file(tmp_path: Path) -> None:
    for name, text in (("a.toml", "hosts = 1"), ("b.toml", "hosts ="), ("c.json", "{"), ("d.toml", "[[hosts]]")):
        file = tmp_path / name
        file.write_text(text)
        with pytest.raises(SettingsError, match=name):
            load_world(file)
    with pytest.raises(SettingsError, match="missing"):
        load_world("missing")


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text('[[hosts]]\nname = "a"\nboot = 2026-11-01T06:00:00Z\n')
    (tmp_path / "w.json").write_text(json.dumps({"hosts": [{"name": "a", "boot": "2026-11-01T07:00:00+01:00"}]}))
    boots = {load_world(tmp_path / name).hosts["a"].boot for name in ("w.toml", "w.json")}
    assert boots == {datetime(2026, 11, 1, 6, tzinfo=UTC)}


@pytest.mark.parametrize("name", ["small", "demo", "troubles"])
def test_the_shipped_worlds_load(name: str) -> None:
    assert load_world(name).hosts


def test_the_demo_speaks_five_languages_from_captures_and_has_stations_and_an_empty_host() -> None:
    hosts = demo_world().hosts.values()
    assert len({host.facts.language for host in hosts if host.playback}) >= 5
    assert any(host.facts.generation == "2016" and host.stations and host.sessions for host in hosts)
    assert any(not host.sessions for host in hosts)


def test_defaults_come_from_the_language() -> None:
    facts = host_of(language="ru").facts
    assert (facts.oem, facts.ansi, facts.culture, facts.patterns.short_date) == (866, 1251, "ru-RU", "dd.MM.yyyy")
    assert facts.computer == "A"


def test_times_are_given_or_so_long_ago_and_births_are_before_logons() -> None:
    clock = FakeClock()
    host = host_of(
        clock,
        sessions=[
            {**ALICE, "logon": "1d2h3m4s"},
            {"id": 3, "user": "bob", "born": "2026-11-25T08:00:00Z", "logon": "1h"},
        ],
    )
    alice, bob = host.sessions
    assert clock.now() - alice.logon == timedelta(days=1, hours=2, minutes=3, seconds=4)
    assert timedelta(0) < alice.logon - alice.born < timedelta(seconds=8)
    assert bob.born == datetime(2026, 11, 25, 8, tzinfo=UTC)
    assert host.boot < bob.born


def test_a_time_without_an_offset_is_the_hosts_own_and_null_is_left_out() -> None:
    host = host_of(
        utc_offset_min=60, boot=None, sessions=[{**ALICE, "logon": "2026-11-25T09:00:00", "session_name": ""}]
    )
    assert host.sessions[0].logon == datetime(2026, 11, 25, 8, tzinfo=UTC)
    assert host.sessions[0].session_name is None


def test_another_clock_moves_all_times_but_those_of_captures() -> None:
    world = build_world(
        {"hosts": [{"name": "a", "sessions": [ALICE]}, {"name": "b", "language": "de", "playback": "de"}]}
    )
    before = world.hosts["b"].sessions[0].logon
    clock = FakeClock(datetime(2030, 1, 1, tzinfo=UTC))
    world.live_by(clock)
    ago = clock.now() - world.hosts["a"].sessions[0].logon
    assert abs(ago - timedelta(hours=1)) < timedelta(seconds=5)
    assert world.hosts["b"].sessions[0].logon == before


def test_w09_rows_vanish_when_the_log_off_is_done_and_processes_later() -> None:
    clock = FakeClock()
    host = host_of(clock, sessions=[{**ALICE, "logoff_s": 5, "linger_s": 10}])
    host.log_off(2)
    host.log_off(2)
    assert [each.id for each in host.rows()] == [2]
    clock.wait(5)
    assert (host.rows(), host.processes_in()) == ([], [2])
    clock.wait(10)
    assert host.processes_in() == []
    assert [change.act for change in host.world.changes] == ["logoff"], "ordered twice, done once"


def test_a_hung_session_stays() -> None:
    clock = FakeClock()
    host = host_of(clock, sessions=[{**ALICE, "hung": True}])
    host.log_off(2)
    clock.wait(10_000)
    assert [each.id for each in host.rows()] == [2]


def test_ids_are_reused_by_people_with_another_birth() -> None:
    clock = FakeClock()
    host = host_of(clock, sessions=[ALICE, {"id": 3, "user": "bob"}])
    first = host.sessions[0].born
    assert host.log_on("carol").id == 1
    host.log_off(2)
    clock.wait(60)
    back = host.log_on("alice")
    assert back.id == 2
    assert back.born > first
    assert [change.act for change in host.world.changes] == ["logon", "logoff", "logon"]


def test_w08_an_auto_logon_station_fills_itself_again() -> None:
    clock = FakeClock()
    host = host_of(
        clock,
        generation="2016",
        stations=[{"id": 1, "auto_logon": True}, {"id": 2}],
        sessions=[{**ALICE, "user": "guest", "station": 1, "logoff_s": 1}, {"id": 3, "user": "bob", "station": 2}],
    )
    old = host.sessions[0].born
    clock.wait(60)
    host.log_off(2)
    host.log_off(3)
    clock.wait(1)
    (guest,) = host.rows()
    assert (guest.user, guest.station) == ("guest", 1)
    assert guest.born > old
    assert [station.session_id for station in host.stations] == [guest.id, None]


def test_disconnecting_leaves_the_seat_and_reconnecting_takes_a_line() -> None:
    host = host_of(generation="2012", stations=[{"id": 1}], sessions=[{**ALICE, "station": 1}])
    host.disconnect(2)
    assert (host.sessions[0].state, host.sessions[0].session_name) == ("disconnected", None)
    assert host.stations[0].session_id is None
    host.reconnect(2)
    assert (host.sessions[0].state, host.sessions[0].session_name) == ("active", "rdp-tcp#2")


@pytest.mark.parametrize(
    ("mode", "after"),
    [("drain", "drain"), ("drain-until-restart", "enabled"), ("disabled", "enabled"), ("enabled", "enabled")],
)
def test_a_restart_ends_everything_and_drops_what_windows_drops(mode: str, after: str) -> None:
    clock = FakeClock()
    host = host_of(clock, sessions=[ALICE], logon_mode=mode)
    boot = host.boot
    host.restart()
    assert (host.rows(), host.logon_mode, host.is_away) == ([], after, True)
    assert host.boot > boot
    clock.wait(30)
    assert not host.is_away


def test_nobody_can_be_acted_on_who_is_not_there() -> None:
    host = host_of()
    for act in (host.log_off, host.disconnect, host.reconnect):
        with pytest.raises(KeyError, match="no session 9"):
            act(9)


def test_changes_are_told_to_whoever_listens() -> None:
    world = build_world({"hosts": [{"name": "a", "sessions": [ALICE]}]}, FakeClock())
    heard: list[str] = []
    world.on_change = lambda change: heard.append(f"{change.host} {change.act} {change.user} {change.at}")
    with world.changing() as hosts:
        hosts["a"].show(2, "hello")
        hosts["a"].set_logon_mode("drain")
    assert heard == ["a message alice 2026-11-25T12:00:00+00:00", "a logons None 2026-11-25T12:00:00+00:00"]


def test_a_host_may_have_a_clock_that_is_wrong() -> None:
    clock = FakeClock()
    assert host_of(clock, clock_offset_s=-90).now() == clock.now() - timedelta(seconds=90)
    assert World().clock.now().tzinfo is UTC
