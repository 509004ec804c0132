"""Whatever is called and whatever becomes of it: the password is in nothing that is printed, written or recorded."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spnego._ntlm_raw.crypto import ntowfv1
from support.console import Command
from support.fake_clock import FakeClock

from mpsbridge.lab import Lab, build_world

PASSWORD = "Köder-7 $(x)"  # of a kind that is quoted differently everywhere
ACCOUNT = "Administrator"
HOSTS: list[dict[str, Any]] = [
    {"name": "good", "sessions": [{"id": 2, "user": "alice"}, {"id": 3, "user": "bob", "state": "disconnected"}]},
    {"name": "spare", "sessions": [{"id": 2, "user": "carol"}]},
    {"name": "locked", "faults": [{"step": "auth", "do": "refuse"}]},
    {"name": "garbage", "faults": [{"step": "create", "do": "garble"}]},
    {"name": "faulty", "faults": [{"step": "command", "do": "fault"}]},
    {"name": "lost", "sessions": [{"id": 2, "user": "dave"}], "faults": [{"step": "command", "do": "close"}]},
    {"name": "down", "down": True},
]
NAMES = [str(host["name"]) for host in HOSTS]
CALLS: list[list[str]] = [
    *(["sessions", *NAMES, "--output", form, "-vv"] for form in ("table", "json", "jsonl", "csv")),
    *(
        [command, *NAMES, "--output", form]
        for command in ("stations", "logons", "leases")
        for form in ("table", "json")
    ),
    ["doctor", *NAMES, "-v", "--save", "saved", "--yes"],
    ["hosts", *NAMES, "--output", "json"],
    ["sessions", "-vv", "127.0.0.1:1", "--username", ACCOUNT],
    ["message", *NAMES, "--all", "--text", "hello", "-v"],
    ["disconnect", *NAMES, "--user", "alice", "--yes", "-v"],
    ["logoff", *NAMES, "--user", "alice", "--yes", "-v", "--output", "json"],
    ["hold", "spare", "--reason", "exam"],
    ["end", *NAMES, "--all", "--no-warning", "--reason", "x", "--yes", "-v", "--events", "events.jsonl"],
    ["release", "spare", "--yes"],
    ["end", "spare", "--all", "--no-warning", "--reason", "x", "--yes", "-v", "--output", "json"],
    ["logons", "good", "--set", "enabled", "--yes"],
    ["history"],
    *(["report", "--format", form] for form in ("html", "json", "junit", "markdown")),
    ["render", "observe"],
]


def spellings(password: str) -> dict[str, bytes]:
    """The password in the forms in which sign-ins, logs and shells carry one."""
    utf16 = password.encode("utf-16-le")
    return {
        "itself": password.encode(),
        "its first half": password[: len(password) // 2].encode(),
        "escaped": password.encode("unicode_escape"),
        "UTF-16": utf16,
        "Base64": base64.b64encode(password.encode())[:-4],
        "Base64 of UTF-16": base64.b64encode(utf16)[:-4],
        "Basic": base64.b64encode(f"{ACCOUNT}:{password}".encode())[:-4],
        "NT hash": ntowfv1(password).hex().encode(),
        "NT hash, raw": ntowfv1(password),
    }


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Lab]:
    clock = FakeClock()
    with Lab(build_world({"hosts": HOSTS}, clock), user=ACCOUNT, password=PASSWORD, clock=clock) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", PASSWORD)
        monkeypatch.chdir(tmp_path)
        yield running


def test_no_password_is_printed_written_or_recorded(
    lab: Lab, mpsbridge: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: dict[str, bytes] = {}
    with caplog.at_level(logging.DEBUG):
        for number, words in enumerate(CALLS):
            done = mpsbridge(*words)
            assert done.code in {0, 1, 3, 4}, done.err
            assert "Traceback" not in done.err
            heard[f"{number} {' '.join(words)}"] = (done.out + done.err).encode("utf-8", "surrogatepass")
    heard["the log"] = caplog.text.encode()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"journal.sqlite", "events.jsonl"}
    heard |= {str(path): path.read_bytes() for path in written}
    found = [(name, where) for where, said in heard.items() for name, it in spellings(PASSWORD).items() if it in said]
    assert found == []


def test_the_search_finds_what_it_looks_for() -> None:
    sign_in = base64.b64encode(f"{ACCOUNT}:{PASSWORD}".encode())
    assert [name for name, it in spellings(PASSWORD).items() if it in b"Authorization: Basic " + sign_in] == ["Basic"]
