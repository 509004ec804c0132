"""The JEA export from the command line, and restricted endpoints over WinRM: the lab's, and a real PowerShell's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.acting import ALICE, BOB, script, told
from support.contract import check_document
from support.endpoints import endpoint
from support.lab_target import reach
from support.snippet_calls import CALLS
from support.windows import Windows

from mpsbridge.cli.main import run
from mpsbridge.errors import NotPublished
from mpsbridge.host import Host
from mpsbridge.lab.engines.powershell.children import Child
from mpsbridge.lab.engines.powershell.shell import PipeShell
from mpsbridge.lab.engines.shells import Post, Shell
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.world import World
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.scripts import Script
from mpsbridge.models.targets import Target
from mpsbridge.snippets.catalogue import CATALOGUE
from mpsbridge.snippets.jea import CONFIGURATION, Role, export
from mpsbridge.snippets.observe import Observe
from mpsbridge.snippets.sessions import SendMessage
from mpsbridge.transports import open_transport
from mpsbridge.transports.canned import CannedTransport


def test_the_export_is_written_with_the_mark_that_windows_reads_utf_8_by(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "export"
    assert run(["jea", str(folder), "--look", "SCHULE\\Lehrkräfte", "--end", "SCHULE\\Ops", "--look", "PC\\x"]) == 0
    files = export({Role.LOOK: ["SCHULE\\Lehrkräfte", "PC\\x"], Role.END: ["SCHULE\\Ops"]})
    written = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.ps*")}
    assert written == {name: b"\xef\xbb\xbf" + text.encode() for name, text in files.items()}


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jea", str(tmp_path), "-o", "json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "input"
    assert list(tmp_path.glob("*.pssc")) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run(["jea", str(tmp_path / "file" / "export")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_without_a_group_somebody_must_put_one_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jea", str(tmp_path / "export"), "--output", "json"]) == 0
    printed = capsys.readouterr()
    assert CONFIGURATION in json.loads(printed.out)["files"]
    assert f"put yours into {CONFIGURATION}" in printed.err


# An endpoint of the lab.

PEOPLE = [
    {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"},
    {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "5h"},
]
WORLD = {"hosts": [{"name": "alpha", "jea": ["mpsbridge"], "generation": "2016", "sessions": PEOPLE}]}
Command = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(build_world(WORLD), auth="ntlm") as running:
        yield running


@pytest.fixture
def mpsbridge(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
    monkeypatch.setenv("MPSBRIDGE_CONFIGURATION", "mpsbridge")

    def call(*words: str) -> tuple[int, dict[str, Any]]:
        code = run([*words, "--output", "json"])
        document = json.loads(capsys.readouterr().out)
        check_document(document)
        (outcome,) = document["outcomes"]
        return code, outcome

    return call


def test_w34_every_command_works_on_a_restricted_endpoint(lab: Lab, mpsbridge: Command) -> None:
    assert mpsbridge("sessions", "alpha")[1]["value"]["sessions"][1]["user"] == "bob"
    assert mpsbridge("stations", "alpha")[0] == 0
    assert mpsbridge("message", "alpha", "--user", "alice", "--text", "it's noon")[0] == 0
    assert mpsbridge("disconnect", "alpha", "--user", "alice", "--yes")[0] == 0
    assert mpsbridge("logoff", "alpha", "--user", "bob", "--yes")[0] == 0
    assert mpsbridge("logons", "alpha", "--set", "drain", "--yes")[1]["value"] == {"mode": "drain", "was": "enabled"}
    assert [(change.act, change.user) for change in lab.changes][:3] == [
        ("message", "alice"),
        ("disconnect", "alice"),
        ("logoff", "bob"),
    ]


def test_an_endpoint_that_is_not_there_is_said_so(mpsbridge: Command) -> None:
    code, outcome = mpsbridge("sessions", "alpha", "--configuration", "other")
    assert (code, outcome["failure"]["kind"], outcome["failure"]["may_have_run"]) == (1, "shell", False)
    assert outcome["failure"]["hint"].startswith("Check --configuration other: Get-PSSessionConfiguration")


def test_w34_what_no_role_includes_says_who_can_do_it() -> None:
    def lacking(script: Script) -> NotPublished:
        return NotPublished(f"the account can call no {script.function}")

    host = Host(Target("alpha", configuration_name="mpsbridge"), connect=lambda _: CannedTransport(lacking))
    told = {}
    for snippet in CATALOGUE.values():
        with pytest.raises(NotPublished) as caught:
            host.run(CALLS[snippet.name])
        told[snippet.name] = caught.value.hint
    whole = {name for name, hint in told.items() if "without --configuration" in hint}
    assert whole == {"evidence", "lease", "failsafe", "failsafe-remove", "power", "mode"}
    assert {hint for name, hint in told.items() if name not in whole} == {NotPublished.default_hint}


def test_w34_a_function_that_the_endpoint_lacks_did_not_run(lab: Lab) -> None:
    transport = open_transport(reach(lab, configuration_name="mpsbridge"))
    newer = Observe().render().model_copy(update={"function": "Get-MpsbridgeFuture"})
    with pytest.raises(NotPublished, match="on the endpoint 'mpsbridge' this account can call no Get-MpsbridgeFuture"):
        transport.run(newer, timeout_s=10)


# A real PowerShell's endpoint, made of the exported files, behind the lab's WinRM.


class OneEndpoint:
    """A lab's engine whose shells are all the same program."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def start(self, world: World, post: Post) -> None:  # noqa: ARG002 - the engine's contract
        self._post = post

    def stop(self) -> None:
        """Shells end their own."""

    def open_shell(self, host: LabHost, wake: Callable[[], None], culture: str) -> Shell:  # noqa: ARG002 - the same
        return PipeShell(Child(self._program, os.environ, ""), self._post, wake, lambda: None)


class Restricted(Target):
    """The lab gives such an engine no endpoint with a name of its own, so PowerShell's is the restricted one here."""

    @property
    def restricted(self) -> bool:
        return True


@pytest.mark.engine
def test_w34_over_winrm_a_real_restricted_endpoint_does_what_the_role_may(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB])
    with Lab(build_world(WORLD), auth="ntlm", engine=OneEndpoint(endpoint(host, Role.NOTIFY))) as lab:
        transport = open_transport(Restricted.model_validate(dict(reach(lab))))
        seen = Observe.read(transport.run(Observe().render(), timeout_s=30))
        assert [session.user for session in seen.sessions] == ["alice", "bob"]
        answer = SendMessage.read(transport.run(script("message", ALICE.guard()), timeout_s=30))
        assert [entry.result for entry in answer.sessions] == ["shown"]
        with pytest.raises(NotPublished, match="Close-MpsbridgeSession") as caught:
            transport.run(script("logoff", BOB.guard()), timeout_s=30)
        assert not caught.value.may_have_run
        unaware = open_transport(reach(lab))
        raw = unaware.run(CALLS["logons"].render(), timeout_s=30)
        assert (raw.failed, raw.output) == (True, ())
        unaware.close()
    assert told(host) == [("msg", "2")]
