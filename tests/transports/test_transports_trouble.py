"""Every exception that the libraries below can raise has a meaning of ours."""

from __future__ import annotations

import errno
import inspect
import socket
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from types import ModuleType

import pypsrp.exceptions
import pypsrp.wsman
import pytest
import requests.exceptions
import spnego.exceptions
from pypsrp.complex_objects import PSInvocationState, RunspacePoolState

from mpsbridge.errors import (
    AuthRefused,
    CertificateRefused,
    ConnectionLost,
    ConnectTimedOut,
    Interrupted,
    MpsBridgeError,
    NotSent,
    NotWinrm,
    ShellRefused,
    TimedOut,
    TransportClosed,
    TransportMissing,
    Unreachable,
    WinrmFailed,
)
from mpsbridge.transports import reply
from mpsbridge.transports.faults import KNOWN, Means
from mpsbridge.transports.trouble import Stage, explain

OPERATION_TIMEOUT = next(number for number, row in KNOWN.items() if row.means is Means.LATE)
ARGUMENTS: dict[str, tuple[object, ...]] = {
    "WinRMTransportError": ("http", 500, "<html>a whole page</html>"),
    "WSManFaultError": (5, "ts1", "Access is denied.", None, None, None),
    "InvalidRunspacePoolStateError": (RunspacePoolState.CLOSED, RunspacePoolState.OPENED, "open"),
    "InvalidPipelineStateError": (PSInvocationState.FAILED, PSInvocationState.RUNNING, "stop"),
    "FeatureMissingError": (spnego.exceptions.NegotiateOptions.wrapping_winrm,),
}
NOT_RAISED = {"_InvalidStateError", "_GiveupOnSendfile", "NativeError", "GSSError", "WinError"}
"""Shared bases and private signals that never come out, and stand-ins for classes of absent libraries."""


def raised_by(module: ModuleType) -> Iterator[type[Exception]]:
    for name, kind in inspect.getmembers(module, inspect.isclass):
        own = kind.__module__.partition(".")[0] == module.__name__.partition(".")[0] and name == kind.__name__
        if own and issubclass(kind, Exception) and not issubclass(kind, Warning) and name not in NOT_RAISED:
            yield kind


def make(kind: type[Exception]) -> Exception:
    if issubclass(kind, spnego.exceptions.SpnegoError) and not hasattr(kind, "ERROR_CODE"):
        return kind(spnego.exceptions.ErrorCode.failure)
    if issubclass(kind, requests.exceptions.JSONDecodeError):
        return kind("bad", "{", 0)
    return kind(*ARGUMENTS.get(kind.__name__, () if issubclass(kind, spnego.exceptions.SpnegoError) else ("said",)))


FOREIGN = [
    pytest.param(kind, id=f"{kind.__module__}.{kind.__name__}")
    for module in (pypsrp.exceptions, reply, requests.exceptions, spnego.exceptions, ssl, socket)
    for kind in raised_by(module)
] + [
    pytest.param(kind, id=kind.__name__)
    for kind in (
        ET.ParseError,
        OSError,
        ConnectionRefusedError,
        ConnectionResetError,
        ConnectionAbortedError,
        BrokenPipeError,
        TimeoutError,
        PermissionError,
        ImportError,
    )
]


@pytest.mark.parametrize("kind", FOREIGN)
def test_no_class_is_left_without_a_meaning(kind: type[Exception]) -> None:
    error = make(kind)
    before = explain(error, where="ts1 (port 5986)", stage=Stage.BEFORE)
    assert isinstance(before, NotSent)
    assert type(before) is not NotSent
    assert before.may_have_run is False
    assert before.hint
    running = explain(error, where="ts1 (port 5986)", stage=Stage.RUNNING)
    assert isinstance(running, Interrupted)
    assert running.may_have_run is True
    for ours in (before, running):
        assert str(ours).startswith("ts1 (port 5986): ")
        assert "a whole page" not in str(ours)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), ConnectTimedOut),
        (ssl.SSLCertVerificationError("self-signed"), CertificateRefused),
        (ssl.SSLError("wrong version"), Unreachable),
        (socket.gaierror(-2, "unknown"), Unreachable),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), NotSent),
        (pypsrp.exceptions.AuthenticationError("no"), AuthRefused),
        (pypsrp.exceptions.WinRMTransportError("http", 401, ""), AuthRefused),
        (pypsrp.exceptions.WinRMTransportError("http", 500, ""), WinrmFailed),
        (reply.ForeignAnswer(503), NotWinrm),
        (reply.TlsRequired(400), Unreachable),
        (pypsrp.exceptions.WSManFaultError(OPERATION_TIMEOUT, "", "", "", "", ""), ConnectTimedOut),
        (pypsrp.exceptions.WSManFaultError(5, "", "", "", "", ""), ShellRefused),
        (pypsrp.exceptions.WSManFaultError("w:InternalError", "", "too many", "", "", ""), ShellRefused),
        (pypsrp.exceptions.InvalidPSRPOperation("broken"), ShellRefused),
        (spnego.exceptions.NoCredentialError(), AuthRefused),
        (ImportError("gssapi"), TransportMissing),
        (KeyError("PSVersion"), NotSent),
    ],
)
def test_before_anything_is_sent_each_has_its_own_class(error: Exception, kind: type[MpsBridgeError]) -> None:
    assert type(explain(error, where="ts1", stage=Stage.BEFORE)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), TimedOut),
        (pypsrp.exceptions.WSManFaultError(OPERATION_TIMEOUT, "", "", "", "", ""), TimedOut),
        (pypsrp.exceptions.WSManFaultError(2150859174, "", "", "", "", ""), ConnectionLost),
        (pypsrp.exceptions.AuthenticationError("no"), ConnectionLost),
        (ConnectionResetError(), ConnectionLost),
        (ET.ParseError("no element found"), ConnectionLost),
        (KeyError("PipelineState"), Interrupted),
    ],
)
def test_once_it_runs_nothing_proves_that_it_did_not(error: Exception, kind: type[MpsBridgeError]) -> None:
    assert type(explain(error, where="ts1", stage=Stage.RUNNING)) is kind


def test_between_asked_and_accepted_only_a_known_refusal_proves_it() -> None:
    def asked(error: Exception) -> MpsBridgeError:
        return explain(error, where="ts1", stage=Stage.ASKED)

    proofs = {number for number, row in KNOWN.items() if row.means.proves_refusal}
    for known in (*proofs, "w:QuotaLimit", "wsman:AccessDenied"):
        assert type(asked(pypsrp.exceptions.WSManFaultError(known, "", "", "", "", ""))) is ShellRefused
    for unknown in (*(KNOWN.keys() - proofs), 995, 4711, "w:InternalError", "w:TimedOut", None):
        assert asked(pypsrp.exceptions.WSManFaultError(unknown, "", "", "", "", "")).may_have_run
    assert type(asked(pypsrp.exceptions.AuthenticationError("no"))) is AuthRefused
    assert asked(pypsrp.exceptions.WinRMTransportError("http", 401, "")).may_have_run
    assert asked(ConnectionResetError()).may_have_run


@pytest.mark.parametrize(
    ("stage", "kind"),
    [(Stage.BEFORE, TransportClosed), (Stage.ASKED, ConnectionLost), (Stage.RUNNING, ConnectionLost)],
)
def test_a_cancel_is_called_one(stage: Stage, kind: type[MpsBridgeError]) -> None:
    ours = explain(ConnectionAbortedError("cancelled"), where="ts1", stage=stage, cancelled=True)
    assert type(ours) is kind
    assert "cancelled" in str(ours)


def test_what_a_host_says_is_harmless_and_short() -> None:
    fault = pypsrp.exceptions.WSManFaultError("\x1b[2J", "", "\x1b[31mred\u202e" + "x" * 9999, "", "", "")
    for stage in Stage:
        text = str(explain(fault, where="ts1", stage=stage))
        assert text.isprintable()
        assert len(text) < 400


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_are_named_with_what_to_do(number: int) -> None:
    found = explain(OSError(number, "Too many open files"), where="ts1", stage=Stage.BEFORE)
    assert type(found) is NotSent
    assert str(found) == "ts1: too many files are open on this machine"
    assert "ulimit -n" in found.hint
