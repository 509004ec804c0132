"""One host that lies, of three: the others are told of, or ended, as if it were not there, within the call's time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from console import Command
from lying_host import ENGINE_LIES, WIRE_LIES, LyingEngine, lying_between, surrogates
from rude_host import RudeHost

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import LogonMode

PEOPLE: list[dict[str, Any]] = [
    {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"},
    {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"},
]
HOSTS = [{"name": name, "sessions": PEOPLE} for name in ("liar", "good1", "good2")]
TIMEOUT_S, DEADLINE_S = 10, 30
ALL_LIES = [*ENGINE_LIES, *WIRE_LIES]
KINDS = {
    "date_pattern": {"parse", ""},
    "table_lines": {"parse", "timeout"},
    "endless_output": {"too-large"},
    "many_values": {"parse"},
    "long_header": {"not-winrm", "interrupted"},
    "big_soap": {"not-winrm", "too-large"},
    "entities": {"interrupted", "not-winrm"},
}
"""What may be said of a host that lies so; nothing where the lie is one that is passed over."""


@contextmanager
def among_others(
    lie: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, honest: int, answers: int
) -> Iterator[Lab]:
    """Three hosts, of which ``liar`` lies after so many honest scripts, or so many honest answers on the wire."""
    with ExitStack() as stack:
        engine = LyingEngine(ENGINE_LIES[lie], honest=honest) if lie in ENGINE_LIES else "scripted"
        lab = stack.enter_context(Lab(build_world({"hosts": HOSTS}), auth="basic", engine=engine))  # type: ignore[arg-type]  # either kind
        places = {host.name: (host.address, lab.port) for host in lab.hosts}
        if lie in WIRE_LIES:
            between = RudeHost(lying_between(places["liar"], WIRE_LIES[lie], honest=answers))
            places["liar"] = ("127.0.0.1", stack.enter_context(between).port)
        inventory = folder / "hosts.toml"
        lines = [f'[hosts.{name}]\naddress = "{address}"\nport = {port}\n' for name, (address, port) in places.items()]
        inventory.write_text("\n".join(lines), encoding="utf-8")
        for name, value in {
            "INVENTORY": str(inventory),
            "USERNAME": lab.user,
            "PASSWORD": lab.password,
            "AUTH": "basic",
            "NO_TLS": "1",
            "INSECURE_BASIC": "1",
            "TIMEOUT": f"{TIMEOUT_S}s",
            "DEADLINE": f"{DEADLINE_S}s",
        }.items():
            monkeypatch.setenv(f"MPSBRIDGE_{name}", value)
        yield lab


@pytest.mark.parametrize("lie", ALL_LIES)
def test_sessions_of_the_others_are_listed(
    lie: str, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with among_others(lie, tmp_path, monkeypatch, honest=0, answers=3):
        began = time.monotonic()
        found = mpsbridge("sessions", "liar", "good1", "good2", "-o", "json")
        took_s = time.monotonic() - began
    assert took_s < DEADLINE_S + 5
    for name in ("good1", "good2"):
        outcome = found.outcome(name)
        assert [session["user"] for session in outcome["value"]["sessions"]] == ["alice", "bob"]
        assert outcome["elapsed_s"] < TIMEOUT_S
    liar = found.outcome("liar")
    assert liar.get("failure", {"kind": ""})["kind"] in KINDS[lie], found.out
    assert liar["elapsed_s"] < TIMEOUT_S + 5


@pytest.mark.parametrize("lie", ALL_LIES)
def test_the_others_are_ended_and_given_back(
    lie: str, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It lies only when the run has begun: during the wait, where everything is held.
    with among_others(lie, tmp_path, monkeypatch, honest=2, answers=12) as lab:
        began = time.monotonic()
        words = ("--all", "--warn", "2s,1s", "--settle", "1s", "--reason", "updates", "--yes", "-o", "json")
        found = mpsbridge("end", "liar", "good1", "good2", *words)
        took_s = time.monotonic() - began
        assert took_s < DEADLINE_S + 5
        for name in ("good1", "good2"):
            value = found.outcome(name)["value"]
            assert {each["session"]["user"]: each["result"] for each in value["sessions"]} == {
                "alice": "ended",
                "bob": "ended",
            }
        with lab.world.changing() as hosts:
            for name in ("good1", "good2"):
                assert hosts[name].lease is None
                assert hosts[name].logon_mode == LogonMode.ENABLED
                assert hosts[name].rows() == []


def test_a_name_that_no_encoding_takes_is_read_as_one_that_all_do(
    mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINE_LIES, "surrogates", surrogates)
    with among_others("surrogates", tmp_path, monkeypatch, honest=0, answers=0):
        found = mpsbridge("sessions", "liar", "-o", "json")
        assert found.outcome("liar")["value"]["sessions"][0]["account"] == "DOM\\e\ufffdve"
        found.out.encode("utf-8")
        acted = mpsbridge("logoff", "liar", "--user", "bob", "--yes", "-o", "json")
        assert acted.code == 0
