"""The same functions on a restricted endpoint: called as commands with parameters, where no script text runs (W34)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.acting import ALICE, BOB, DONE, PROGRAM, script, told
from support.snippet_calls import CALLS, mode
from support.windows import Person, Windows

from mpsbridge.errors import RemoteError
from mpsbridge.models.sessions import LogonMode, Result
from mpsbridge.snippets.catalogue import CATALOGUE
from mpsbridge.snippets.logons import ReadLogonMode, SetLogonMode
from mpsbridge.snippets.sessions import ActAnswer, LogOffSessions

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", ["observe", "logons", "logons-set"])
def test_w34_reading_and_setting_as_commands(engine: Path, name: str) -> None:
    host = Windows(engine, [ALICE])
    output = host.call(CALLS[name].render())
    assert output.errors == ()
    answer = CATALOGUE[name].read(output)
    if name == "observe":
        assert [session.user for session in answer.sessions] == ["alice"]
    else:
        assert answer.mode is (LogonMode.DRAIN if name == "logons-set" else LogonMode.ENABLED)


@pytest.mark.parametrize("name", ["logoff", "disconnect", "message"])
def test_w34_acting_as_commands(engine: Path, name: str) -> None:
    host = Windows(engine, [ALICE, BOB])
    answer: ActAnswer = CATALOGUE[name].read(host.call(script(name, ALICE.guard())))
    assert [entry.result for entry in answer.sessions] == [DONE[name]]
    assert told(host) == [(PROGRAM[name], "2")]


def test_w34_multipoint_works_behind_the_restriction(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB], generation="2016")
    answer = LogOffSessions.read(host.call(script("logoff", ALICE.guard())))
    assert [entry.result for entry in answer.sessions] == [Result.ENDED]
    assert told(host) == [("wms", "close")]


@pytest.mark.parametrize("function", ["Get-Process", "Start-MpsbridgeProgram", "Invoke-Expression"])
def test_w34_nothing_else_can_be_called_there(engine: Path, function: str) -> None:
    host = Windows(engine, [ALICE])
    output = host.call(ReadLogonMode().render(), function)
    assert output.failed
    assert output.output == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"Run": "run 1; Stop-Computer"},
        {"NotAfter": "tomorrow"},
        {"TimeLimitSeconds": 0},
        {"TimeLimitSeconds": 100000},
        {"Sessions": ""},
    ],
)
def test_w34_parameters_are_checked_on_the_host(engine: Path, changes: dict[str, str | int]) -> None:
    host = Windows(engine, [ALICE])
    sent = script("logoff", ALICE.guard())
    with pytest.raises(RemoteError):
        LogOffSessions.read(host.call(sent.model_copy(update={"parameters": sent.parameters | changes})))
    assert host.record == []


@pytest.mark.parametrize("text", ["/server:other", "-x", "@file", "two\nlines", "\x07", "", "x" * 256])
def test_w32_texts_that_msg_would_misread_are_refused_on_the_host_too(engine: Path, text: str) -> None:
    host = Windows(engine, [Person(2, "alice")])
    sent = script("message", ALICE.guard())
    with pytest.raises(RemoteError):
        CATALOGUE["message"].read(host.call(sent.model_copy(update={"parameters": sent.parameters | {"Text": text}})))
    assert host.record == []


def test_w17_no_expectation_is_a_null_parameter(engine: Path) -> None:
    host = Windows(engine, [])
    output = host.call(mode(LogonMode.DISABLED).render())
    assert SetLogonMode.read(output).mode is LogonMode.DISABLED


def test_w17_an_unknown_mode_is_refused_on_the_host(engine: Path) -> None:
    host = Windows(engine, [])
    sent = mode(LogonMode.DRAIN).render()
    with pytest.raises(RemoteError):
        SetLogonMode.read(host.call(sent.model_copy(update={"parameters": sent.parameters | {"Mode": "off"}})))
    assert host.record == []
