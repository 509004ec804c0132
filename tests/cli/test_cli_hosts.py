"""``hosts`` and ``--shard``, and patterns as every command takes them."""

from __future__ import annotations

import csv
import getpass
import io
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st
from support.console import Command

from mpsbridge.cli.commands import app
from mpsbridge.errors import InputError
from mpsbridge.inventory.described import SETTINGS
from mpsbridge.inventory.shard import Shard, parse_shard
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.targets import Target

FARM = r"""
[defaults]
username = 'SCHOOL\admin'
password_env = "FARM_PASSWORD"

[hosts."ts[1:4]"]
tls = false

[hosts.odd]
address = "10.0.0.9"
port = 6000
insecure_tls = true

[groups.school]
hosts = ["ts[1:2]"]
vars = { auth = "ntlm" }
"""


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hosts.toml"
    path.write_text(FARM, encoding="utf-8")
    monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(path))
    return path


def test_hosts_are_a_table_with_what_counts(farm: Path, mpsbridge: Command) -> None:
    found = mpsbridge("hosts", "all:!ts4")
    assert found.code == 0
    assert [line.split() for line in found.out.splitlines()] == [
        ["HOST", "ADDRESS", "PORT", "TLS", "AUTH", "USER", "GROUPS"],
        ["ts1", "ts1", "5985", "no", "ntlm", "SCHOOL\\admin", "school"],
        ["ts2", "ts2", "5985", "no", "ntlm", "SCHOOL\\admin", "school"],
        ["ts3", "ts3", "5985", "no", "negotiate", "SCHOOL\\admin"],
        ["odd", "10.0.0.9", "6000", "unchecked", "negotiate", "SCHOOL\\admin"],
        ["4", "hosts;", "-v", "tells", "where", "each", "setting", "comes", "from"],
    ]
    assert "the certificates of odd are NOT checked" in found.err


def test_one_host_is_a_table_of_settings_and_where_they_come_from(
    farm: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_CONFIGURATION", "mpsbridge")
    monkeypatch.setenv("FARM_PASSWORD", "hunter2")
    found = mpsbridge("hosts", "TS1", "--port", "7")
    assert found.code == 0
    assert [re.split(r" {2,}", line)[1:] for line in found.out.splitlines()] == [
        ["SETTING", "VALUE", "FROM"],
        ["groups", "school", "inventory"],
        ["address", "TS1", "HOST"],
        ["port", "7", "--port"],
        ["tls", "no", "[hosts.ts[1:4]]"],
        ["auth", "ntlm", "[groups.school]"],
        ["username", "SCHOOL\\admin", "[defaults]"],
        ["insecure_tls", "no", "default"],
        ["insecure_basic", "no", "default"],
        ["configuration", "mpsbridge", "MPSBRIDGE_CONFIGURATION"],
        ["password", "****", "FARM_PASSWORD"],
    ]
    verbose = mpsbridge("hosts", "ts1", "ts2", "-v")
    assert verbose.out.count("[groups.school]") == 2
    assert "hunter2" not in found.out + found.err + verbose.out + verbose.err


def test_the_other_forms_hold_the_same(farm: Path, mpsbridge: Command) -> None:
    found = mpsbridge("hosts", "odd", "local", "-o", "json")
    value = found.outcome("odd")["value"]
    assert value["settings"]["port"] == {"value": 6000, "source": "[hosts.odd]"}
    assert value["settings"]["password"] == {"value": None, "source": "FARM_PASSWORD, which is not set"}
    assert found.outcome("local")["value"] == {"kind": "local", "groups": [], "settings": {}}
    lines = mpsbridge("hosts", "all", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["host"] for line in lines] == ["ts1", "ts2", "ts3", "ts4", "odd"]
    rows = list(csv.DictReader(io.StringIO(mpsbridge("hosts", "all", "local", "-o", "csv").out)))
    assert [(row["host"], row["port"], row["groups"]) for row in rows] == [
        ("ts1", "5985", "school"),
        ("ts2", "5985", "school"),
        ("ts3", "5985", ""),
        ("ts4", "5985", ""),
        ("odd", "6000", ""),
        ("local", "", ""),
    ]
    assert mpsbridge("hosts", "local").out.split()[-4:] == ["local", "kind", "local", "HOST"]


def test_every_setting_of_a_target_is_shown() -> None:
    elsewhere = {"host", "kind", "credentials", "connect_timeout_s"}
    assert set(SETTINGS.values()) == set(Target.model_fields) - elsewhere | {"username", "keytab"}


def test_a_key_table_that_is_typed_stands_in_for_the_password(
    farm: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = mpsbridge("hosts", "ts1", "--keytab", "x.keytab", "-o", "json").outcome("ts1")["value"]["settings"]
    assert typed["keytab"] == {"value": "x.keytab", "source": "--keytab"}
    assert "password" not in typed
    monkeypatch.setenv("MPSBRIDGE_KEYTAB", "x.keytab")
    found = mpsbridge("hosts", "ts1", "-o", "json").outcome("ts1")["value"]["settings"]
    assert "keytab" not in found, "the inventory says of this host where its password is"
    assert found["password"]["source"] == "FARM_PASSWORD, which is not set"


@pytest.mark.parametrize("words", [["nope"], ["ts*", "!ts*"], ["odd:99999"], ["ts1", "ts1:1"], ["all", "!x"]])
@pytest.mark.parametrize("command", ["hosts", "sessions", "doctor", "release"])
def test_what_is_wrong_is_exit_2_before_anything_is_sent_or_asked(
    farm: Path, mpsbridge: Command, words: list[str], command: str
) -> None:
    found = mpsbridge(command, *words, "-o", "json")
    assert found.code == 2
    assert found.document["error"]["kind"] == "input"
    assert found.document["error"]["may_have_run"] is False


# Shards

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True), unique=True, max_size=30)


@given(NAMES, st.integers(1, 40), st.text("abcXYZ", max_size=3))
def test_every_host_is_in_one_shard_and_stays_there(names: list[str], parts: int, more: str) -> None:
    def place(host: str) -> list[int]:
        return [number for number in range(1, parts + 1) if Shard(number, parts).holds(host)]

    before = {name: place(name) for name in names}
    assert all(len(places) == 1 for places in before.values())
    assert {name: place(name.upper()) for name in names} == before
    assert place(more) == place(more.lower())


def test_the_shards_of_known_names_never_change() -> None:
    """A job that is repeated with a newer mpsbridge gets the same hosts."""
    found = {name: next(n for n in range(1, 9) if Shard(n, 8).holds(name)) for name in ("ts1", "ts2", "TS3", "a.b.org")}
    assert found == {"ts1": 6, "ts2": 7, "TS3": 4, "a.b.org": 1}


def test_shards_are_about_equal() -> None:
    sizes = [sum(Shard(number, 8).holds(f"ts{host}.example.org") for host in range(4000)) for number in range(1, 9)]
    assert sum(sizes) == 4000
    assert 430 < min(sizes) < max(sizes) < 570


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3", "1 / 2", "٣/٤", "1/99999"])
def test_what_is_no_shard_is_said(text: str) -> None:
    with pytest.raises(InputError, match=r"is not I/N"):
        parse_shard(text)


def test_an_empty_shard_is_nothing_to_do(farm: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_PASSWORD", "x")
    (own,) = [f"{n}/9" for n in range(1, 10) if Shard(n, 9).holds("ts1")]
    (other, *_) = [f"{n}/9" for n in range(1, 10) if f"{n}/9" != own]
    assert mpsbridge("hosts", "ts1", "--shard", own).out.splitlines()[1].startswith("ts1")
    for words in (["sessions", "--watch", "5s"], ["stations"], ["logons"], ["doctor"], ["leases"], ["hosts"]):
        found = mpsbridge(words[0], "ts1", *words[1:], "--shard", other)
        assert (found.code, found.err) == (0, f"none of 1 host falls into shard {other}: nothing to do\n"), words
        assert mpsbridge(words[0], "ts1", "--shard", other, "-o", "json").document["outcomes"] == []


def test_an_id_needs_one_host_whatever_the_shard(farm: Path, mpsbridge: Command) -> None:
    for number in range(1, 3):
        found = mpsbridge("sessions", "ts1", "ts2", "--session", "3", "--shard", f"{number}/2")
        assert found.code == 2
        assert "exactly one host" in found.err


def test_only_what_looks_and_a_plan_without_waves_can_be_split(
    farm: Path, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined] # a group, though typed as a command
    taking = {name for name, one in commands.items() if any(each.name == "shard" for each in one.params)}
    assert taking == {"sessions", "stations", "logons", "doctor", "leases", "hosts", "maintain"}
    found = mpsbridge("logons", "ts1", "--set", "drain", "--yes", "--shard", "1/2")
    assert found.code == 2
    assert "--set acts" in found.err
    plan = tmp_path / "plan.toml"
    text = 'schema = "mpsbridge-plan/1"\nhosts = ["ts[1:2]", "!ts2"]\nreason = "updates"\n'
    for waves in ("floor = 1", "at_once = 1", "stop_after = 1", "not_after = 05:00:00"):
        plan.write_text(f"{text}[waves]\n{waves}\n", encoding="utf-8")
        found = mpsbridge("maintain", str(plan), "--shard", "1/2", "--yes")
        assert found.code == 2
        assert "[waves], which count all its hosts" in found.err
    plan.write_text(text, encoding="utf-8")
    (other, *_) = [f"{n}/9" for n in range(1, 10) if not Shard(n, 9).holds("ts1")]
    found = mpsbridge("maintain", str(plan), "--shard", other, "--yes")
    assert (found.code, found.err) == (0, f"none of 1 host falls into shard {other}: nothing to do\n")


# Against the lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Four hosts; the lab's own inventory with a group added, and the password where it says."""
    hosts = [
        {"name": name, "sessions": [{"id": 2, "user": f"user-{name}", "session_name": "console", "logon": "1h"}]}
        for name in ("ts1", "ts2", "ts3", "lib")
    ]
    with Lab(build_world({"hosts": hosts}), auth="ntlm") as running:
        assert running.inventory is not None
        path = tmp_path / "farm.toml"
        groups = '[groups.farm]\nhosts = ["ts[1:3]"]\nchildren = ["rest"]\n[groups.rest]\nhosts = ["lib"]\n'
        text = running.inventory.read_text(encoding="utf-8")
        path.write_text(f'[defaults]\npassword_env = "LAB_PASSWORD"\n{text}\n{groups}', encoding="utf-8")
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(path))
        monkeypatch.setenv("LAB_PASSWORD", running.password)
        yield running


def test_patterns_and_a_password_by_reference_reach_the_hosts(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "farm:!ts2", "-o", "json")
    assert found.code == 0, found.err
    assert [each["host"] for each in found.document["outcomes"]] == ["ts1", "ts3", "lib"]
    found = mpsbridge("message", "ts*", "!ts[2:3]", "--all", "--text", "hello")
    assert (found.code, [(change.host, change.user) for change in lab.changes]) == (0, [("ts1", "user-ts1")])


def test_the_shards_of_a_call_together_are_the_whole(lab: Lab, mpsbridge: Command) -> None:
    seen = [
        each["host"]
        for number in (1, 2, 3)
        for each in mpsbridge("sessions", "all", "--shard", f"{number}/3", "-o", "json").document["outcomes"]
    ]
    assert sorted(seen) == ["lib", "ts1", "ts2", "ts3"]


def test_a_plan_names_hosts_by_patterns(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'schema = "mpsbridge-plan/1"\nhosts = ["farm", "!rest", "!ts[2:2]"]\nreason = "updates"\n'
        "[policy]\ninclude_console = true\n",
        encoding="utf-8",
    )
    found = mpsbridge("maintain", str(plan), "--dry-run", "-o", "json")
    assert [each["host"] for each in found.document["outcomes"]] == ["ts1", "ts3"]
    assert lab.changes == []


def test_a_person_is_asked_once_for_all_hosts_before_any_thread_begins(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[tuple[str, bool]] = []

    def answer(question: str, **_: object) -> str:
        questions.append((question, threading.current_thread() is threading.main_thread()))
        return lab.password

    monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", answer)
    found = mpsbridge("sessions", "all", "-o", "json")
    assert (found.code, len(found.document["outcomes"])) == (0, 4)
    assert questions == [(f"Password for {lab.user}: ", True)]
    assert lab.password not in found.out + found.err
