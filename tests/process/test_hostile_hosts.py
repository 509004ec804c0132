"""One host that lies, of three: the others lose next to no time by it, the client little memory, and all is told.

The client is a process of its own, so that its memory and its time are its own. ``-s`` prints the figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import PROFILE
from support.console import Command
from support.contract import check_document
from support.lying_host import ENGINE_LIES, WIRE_LIES, LyingEngine, honest, lying_between, surrogates
from support.reserved import lease_of
from support.rude_host import RudeHost

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import LogonMode

PEOPLE: list[dict[str, Any]] = [
    {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"},
    {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"},
]
NAMES = ("liar", "good1", "good2")
HOSTS = [{"name": name, "sessions": PEOPLE} for name in NAMES]
TIMEOUT_S, DEADLINE_S = 10, 30
MOST_PART, NOISE_S, MOST_MIB = 1.1, 2.0, 64
"""Of the others' time, with what a busy machine adds; and of memory beyond what three honest hosts take."""
ALL_LIES = [*ENGINE_LIES, *WIRE_LIES]
SOONEST = ["date_pattern", "table_lines", "endless_output", "interim_answers", "entities"]
"""The lies that are tried in the middle of ``end`` each time; the deep profile tries all there, five seconds each."""
KINDS = {
    "date_pattern": {"parse", ""},
    "table_lines": {"parse"},
    "table_rows": {"parse"},
    "endless_output": {"too-large"},
    "endless_pieces": {"too-large"},
    "many_values": {"parse"},
    "many_births": {"parse"},
    "long_texts": {"parse", ""},
    "long_problems": {""},
    "deep_values": {"parse"},
    "escaped": {"too-large", "interrupted", "not-winrm"},
    "long_header": {"not-winrm", "interrupted"},
    "many_headers": {"not-winrm", "too-large"},
    "big_soap": {"not-winrm", "too-large"},
    "interim_answers": {"not-winrm", "too-large"},
    "chunk_extensions": {"not-winrm", "too-large"},
    "entities": {"interrupted", "not-winrm"},
}
"""What may be said of a host that lies so; nothing where the lie is one that is passed over."""


_MEASURED = """
import pathlib, re, runpy, sys
most = sys.argv.pop(1)
if "end" in sys.argv:
    from mpsbridge.procedure import context
    context.PAUSES_S = (0.1, 0.2)  # before a look is asked again: what is tried is what it answers
try:
    runpy.run_module("mpsbridge", run_name="__main__", alter_sys=True)
finally:
    found = re.search(r"VmHWM:\\s+([0-9]+) kB", pathlib.Path("/proc/self/status").read_text())
    pathlib.Path(most).write_text(found[1])
"""
"""The command line, which says at its end how much memory it had at most; the kernel's own figure for a process that
has ended counts the one that it was forked from, too.
"""


class Called(NamedTuple):
    """A call that has ended; ``mib`` is the most memory that it had."""

    code: int
    out: str
    err: str
    mib: float

    @property
    def outcomes(self) -> dict[str, dict[str, Any]]:
        document = json.loads(self.out)
        check_document(document)
        return {outcome["host"]: outcome for outcome in document["outcomes"]}

    @property
    def others_s(self) -> float:
        """The time of the slower of the good hosts."""
        return max(float(self.outcomes[name]["elapsed_s"]) for name in NAMES[1:])


def call(folder: Path, *words: str) -> Called:
    """Call the command line in a process of its own."""
    environment = os.environ | {"MPSBRIDGE_JOURNAL": str(folder / "journal.sqlite")}
    most = folder / "most"
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(most), *words, "-o", "json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env=environment,
        check=False,
    )
    return Called(done.returncode, done.stdout, done.stderr, int(most.read_text(encoding="utf-8")) / 1024)


@contextmanager
def among_others(
    lie: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, scripts: int, answers: int
) -> Iterator[Lab]:
    """Three hosts, of which ``liar`` lies after so many honest scripts, or so many honest answers on the wire."""
    with ExitStack() as stack:
        engine = LyingEngine({**ENGINE_LIES, "honest": honest}.get(lie, honest), honest=scripts)
        lab = stack.enter_context(Lab(build_world({"hosts": HOSTS}), auth="basic", engine=engine))
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


def said_of(lie: str, liar: dict[str, Any]) -> None:
    """What is told of the liar is one of the right kinds, and short."""
    assert liar.get("failure", {"kind": ""})["kind"] in KINDS[lie], liar
    assert len(json.dumps(liar)) < 30_000


def compare(lie: str, found: Called, plain: Called) -> None:
    """Hold what the liar cost against three honest hosts."""
    more_s, more_mib = found.others_s - plain.others_s, found.mib - plain.mib
    print(f"\n{lie}: the others took {found.others_s:.2f} s ({more_s:+.2f}), memory {more_mib:+.0f} MiB")  # noqa: T201 - the figures
    assert found.others_s < MOST_PART * plain.others_s + NOISE_S
    assert more_mib < MOST_MIB


_PLAIN: dict[str, Called] = {}


def plainly(folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> Called:
    """The same call where nobody lies; measured once."""
    if words[0] not in _PLAIN:
        with among_others("honest", folder, monkeypatch, scripts=0, answers=0):
            _PLAIN[words[0]] = call(folder, *words)
        assert _PLAIN[words[0]].code == 0
    return _PLAIN[words[0]]


@pytest.mark.parametrize("lie", ALL_LIES)
def test_sessions_of_the_others_are_listed(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("sessions", *NAMES)
    plain = plainly(tmp_path, monkeypatch, words)
    with among_others(lie, tmp_path, monkeypatch, scripts=0, answers=3):
        found = call(tmp_path, *words)
    for name in NAMES[1:]:
        assert [session["user"] for session in found.outcomes[name]["value"]["sessions"]] == ["alice", "bob"]
    said_of(lie, found.outcomes["liar"])
    assert len(found.err) < 5000
    compare(lie, found, plain)


@pytest.mark.parametrize("lie", ALL_LIES if PROFILE == "deep" else SOONEST)
def test_the_others_are_ended_and_given_back(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("end", *NAMES, "--all", "--warn", "1s", "--settle", "1s", "--reason", "updates", "--yes")
    plain = plainly(tmp_path, monkeypatch, words)
    # It lies only when the run has begun: during the wait, where everything is held.
    with among_others(lie, tmp_path, monkeypatch, scripts=2, answers=12) as lab:
        found = call(tmp_path, *words)
        for name in NAMES[1:]:
            sessions = found.outcomes[name]["value"]["sessions"]
            assert {each["session"]["user"]: each["result"] for each in sessions} == {"alice": "ended", "bob": "ended"}
        with lab.world.changing() as hosts:
            for name in NAMES[1:]:
                assert (lease_of(hosts[name]), hosts[name].logon_mode) == (None, LogonMode.ENABLED)
                assert hosts[name].rows() == []
    compare(lie, found, plain)


def test_a_name_that_no_encoding_takes_is_read_as_one_that_all_do(
    mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINE_LIES, "surrogates", surrogates)
    with among_others("surrogates", tmp_path, monkeypatch, scripts=0, answers=0):
        found = mpsbridge("sessions", "liar", "-o", "json")
        assert found.outcome("liar")["value"]["sessions"][0]["account"] == "DOM\\e\ufffdve"
        found.out.encode("utf-8")
        acted = mpsbridge("logoff", "liar", "--user", "bob", "--yes", "-o", "json")
        assert acted.code == 0
