"""What every foreign exception means, in one place: which of our errors it becomes, and what the person reads.

An exception by itself does not tell whether the script ran; *when* it came does. Hence three stages:

``BEFORE``
    No byte of the script has gone out. Everything is :class:`NotSent`.
``ASKED``
    The message that creates the pipeline has gone out and nothing has accepted it yet. Only an answer that proves that
    the host did not take it is ``NotSent``: a WSMan fault for a quota, a missing right, a shell that is gone; a 401 to
    Basic, which signs in with each message. All else is :class:`Interrupted`.
``RUNNING``
    The host has accepted it. Everything is ``Interrupted``, also a fault: the script ran until then.

Rules: the most specific class; a message that names the host and what happened; nothing of the script in it. A class
that no row names becomes a bare ``NotSent`` or ``Interrupted``, and a test walks the libraries for such.
"""

from __future__ import annotations

import errno
import socket
import ssl
import xml.etree.ElementTree as ET
from enum import Enum, auto

from pypsrp.exceptions import (
    AuthenticationError,
    InvalidPSRPOperation,
    InvalidRunspacePoolStateError,
    WinRMError,
    WinRMTransportError,
    WSManFaultError,
)
from spnego.exceptions import FeatureMissingError

from mpsbridge.errors import (
    AuthRefused,
    CertificateRefused,
    ConnectionLost,
    ConnectTimedOut,
    Interrupted,
    NotPublished,
    NotSent,
    NotWinrm,
    ShellRefused,
    TimedOut,
    TooLarge,
    TransportClosed,
    TransportMissing,
    Unreachable,
    WinrmFailed,
)
from mpsbridge.models.harmless import harmless
from mpsbridge.models.scripts import Script
from mpsbridge.models.targets import Target
from mpsbridge.transports.faults import Means, in_words, known, means
from mpsbridge.transports.remedies import remedy
from mpsbridge.transports.reply import ForeignAnswer, Oversized, TlsRequired
from mpsbridge.transports.signin.extra import KERBEROS_EXTRA
from mpsbridge.transports.signin.kerberos_codes import meaning, said

_CREDENTIALS_HINT = (
    "Check --username, the password and --auth; for Kerberos also the ticket (klist) and the host's name."
)
_QUOTA_HINT = (
    "Something of this account is still open there: 'winrm enumerate shell' on the host shows its shells, those that "
    "mpsbridge lost end by themselves within three minutes. Or raise the quota: winrm get winrm/config/winrs, and "
    "WSMan:\\localhost\\Plugin\\microsoft.powershell\\Quotas."
)
_FILES_HINT = "Raise the limit of open files (ulimit -n), or lower --concurrency."
_TLS_HINT = "Leave out --no-tls, or name the port of an HTTP listener: --port 5985."
_PORT_HINT = "Port 5986 speaks TLS and 5985 does not: check --port and --no-tls."


class Stage(Enum):
    """How far a script had got when something went wrong; see the module's text."""

    BEFORE = auto()
    ASKED = auto()
    RUNNING = auto()


def explain(
    error: Exception, *, where: str, stage: Stage, cancelled: bool = False, target: Target | None = None
) -> NotSent | Interrupted:
    """The error of ours that a foreign one becomes. ``where`` names host and port for the message; ``target`` says how
    the host was to be reached, for the hint.
    """
    unsent = stage is Stage.BEFORE or (stage is Stage.ASKED and _proves_refusal(error))
    if cancelled and unsent:
        return TransportClosed(f"{where}: cancelled before the script was sent")
    if cancelled:
        return ConnectionLost(f"{where}: cancelled after the script was sent")
    if not unsent:
        return _interrupted(error, where)
    ours = _not_sent(error, where)
    if isinstance(ours, ShellRefused):
        ours.is_gone = means(error) is Means.GONE
    if target is not None and (hint := remedy(error, target)) is not None:
        ours.hint = hint
    return ours


def refuse_unpublished(error_id: str, target: Target, script: Script) -> None:
    """Raise ``NotPublished`` where a restricted endpoint could not even call the function.

    ``error_id`` is the ``FullyQualifiedErrorId`` of what ended the pipeline; no language translates it. Both ids come
    from before the function's first statement.
    """
    match error_id.partition(",")[0]:
        case "CommandNotFoundException":
            what = f"this account can call no {script.function}"
        case "NamedParameterNotFound":
            what = f"{script.function} knows other parameters"
        case _:
            return
    raise NotPublished(f"{target.host}: on the endpoint {harmless(target.configuration_name)!r} {what}")


def _proves_refusal(error: Exception) -> bool:
    meant = means(error)
    return isinstance(error, AuthenticationError) or (meant is not None and meant.proves_refusal)


def _interrupted(error: Exception, where: str) -> Interrupted:
    """After the script's first byte has gone out."""
    if isinstance(error, TimeoutError) or means(error) is Means.LATE:
        return TimedOut(f"{where}: the time was up after the script was sent")
    if isinstance(error, Oversized):
        return TooLarge(f"{where}: {_said(error)}")
    if isinstance(error, OSError):
        return ConnectionLost(f"{where}: the connection broke after the script was sent: {_said(error)}")
    if isinstance(error, WinRMError | ET.ParseError):
        row = known(error)
        words = f"{where}: the host broke off after the script was sent: {_said(error)}"
        return ConnectionLost(words, hint=row.hint if row else None)
    return Interrupted(f"{where}: failed after the script was sent: {_said(error)}")


def _not_sent(error: Exception, where: str) -> NotSent:
    """Before the script's first byte has gone out, or refused for certain."""
    if isinstance(error, TimeoutError) or means(error) is Means.LATE:
        return ConnectTimedOut(f"{where}: no answer in time; nothing was sent")
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return NotSent(f"{where}: too many files are open on this machine", hint=_FILES_HINT)
    if means(error) is Means.QUOTA:
        return ShellRefused(f"{where}: no shell: {_said(error)}", hint=_QUOTA_HINT)
    if isinstance(error, WinRMTransportError) and error.code == 401:
        return AuthRefused(f"{where}: the host does not accept the sign-in any more")
    for kinds, kind, words, hint in _ROWS:
        if isinstance(error, kinds):
            return kind(f"{where}: {words}{_said(error)}", hint=hint)
    if type(error).__module__.partition(".")[0] in {"spnego", "gssapi", "krb5"}:
        if (known := meaning(error)) is not None:
            return known.kind(f"{where}: {known.words}{_said(error)}", hint=known.hint)
        return AuthRefused(f"{where}: signing in failed: {_said(error)}", hint=_CREDENTIALS_HINT)
    return NotSent(f"{where}: failed before the script was sent: {_said(error)}")


_NO_WINRM = "what answers there is not WinRM as we know it: "
_ROWS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[NotSent], str, str | None], ...] = (
    (ssl.SSLCertVerificationError, CertificateRefused, "", None),
    (ssl.SSLError, Unreachable, "no TLS connection: ", _PORT_HINT),
    (socket.gaierror, Unreachable, "the name cannot be looked up: ", None),
    (OSError, Unreachable, "", None),
    (AuthenticationError, AuthRefused, "", None),
    ((WSManFaultError, InvalidPSRPOperation, InvalidRunspacePoolStateError), ShellRefused, "no shell: ", None),
    (TlsRequired, Unreachable, "the port requires TLS: ", _TLS_HINT),
    (ForeignAnswer, NotWinrm, "what answers there is not WinRM: ", None),
    (WinRMTransportError, WinrmFailed, "WinRM answers with an error: ", None),
    ((WinRMError, ET.ParseError), NotWinrm, _NO_WINRM, None),
    ((ImportError, FeatureMissingError), TransportMissing, "", KERBEROS_EXTRA),
)
"""Foreign class, ours, what to say before its own words, and a hint where ours has no good one. The first row wins."""


def _said(error: Exception) -> str:
    """What the error says, as one harmless line."""
    match error:
        case WSManFaultError():
            number = f" (WSMan fault {harmless(str(error.code), limit=40)})" if error.code is not None else ""
            return f"{harmless(in_words(error), limit=200)}{number}"
        case WinRMTransportError():
            return f"HTTP status {error.code}"  # not its text: that holds the whole page
        case ssl.SSLCertVerificationError():
            return harmless(getattr(error, "verify_message", "") or str(error), limit=200)
        case OSError() if error.strerror:
            return harmless(error.strerror, limit=200)
    text = harmless(said(error), limit=200)
    return text or type(error).__name__
