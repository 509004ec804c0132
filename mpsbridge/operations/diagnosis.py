"""``doctor``: everything between this machine and a host's sessions, one step after another, with the remedy.

Rule: the steps build on each other; after the first that fails, the later ones are unknown and say so.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from mpsbridge.errors import (
    AuthRefused,
    CertificateRefused,
    ConnectTimedOut,
    InputError,
    KdcUnreachable,
    MpsBridgeError,
    NotSent,
    NotTried,
    NotWinrm,
    Unreachable,
    WinrmFailed,
)
from mpsbridge.host import Host
from mpsbridge.models.answers import ObserveAnswer
from mpsbridge.models.counts import counted
from mpsbridge.models.credentials import Auth
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.harmless import harmless
from mpsbridge.models.scripts import RawOutput
from mpsbridge.models.sessions import Observation
from mpsbridge.models.targets import Target
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.snippets.evidence import ReadEvidence
from mpsbridge.snippets.observe import Observe
from mpsbridge.transports.listeners import other_listener
from mpsbridge.transports.signin.extra import has_kerberos
from mpsbridge.version import __version__

if TYPE_CHECKING:
    from mpsbridge.evidence.record import Disguised

PROBE_LIMIT_S = 3.0
"""Seconds for a connection to the port where WinRM may listen instead."""
_UNREACHED = "not reached"
STEPS = ("name", "port", "tls", "sign-in", "powershell", "rights", "sight", "multipoint")


_CONSTRAINED = "Sessions can be listed there, but every act refuses: publish the signed JEA module (mpsbridge jea)."


class Check(Frozen):
    """One step: ``ok`` is null where it could not be tried, because an earlier one failed."""

    step: str
    ok: bool | None
    text: str
    remedy: str = ""

    @property
    def is_unreached(self) -> bool:
        """Whether an earlier step kept it from being tried."""
        return self.ok is None and self.text == _UNREACHED


class Diagnosis(Frozen):
    """All steps of one host, and its raw answers for ``--save``."""

    checks: tuple[Check, ...]
    raw: RawOutput | None = None
    evidence: RawOutput | None = None

    @property
    def fault(self) -> str:
        """The step that failed; empty where none did."""
        return next((check.step for check in self.checks if check.ok is False), "")

    @property
    def is_sound(self) -> bool:
        """Whether every step was reached and none failed; one that can tell nothing for sure is no fault."""
        return not self.fault and not any(check.is_unreached for check in self.checks)

    @property
    def in_short(self) -> str:
        """``ok``, ``failed at port``, or ``not checked``."""
        return f"failed at {self.fault}" if self.fault else "ok" if self.is_sound else "not checked"


def diagnose(host: Host) -> Diagnosis:
    """Walk the steps on one host; changes nothing there."""
    target = host.target
    checks = [_named(target)] if target.kind == "winrm" else []
    if any(not check.ok for check in checks):
        return _finish(checks)
    try:
        raw = host.run(Observe())
    except InputError:
        raise
    except MpsBridgeError as error:
        return _finish([*checks, *_not_answered(error, host)])
    checks += _connected(host, raw.signed_in)
    try:
        envelope = open_envelope(Observe.name, raw)
        answer = envelope.answer(ObserveAnswer)
    except MpsBridgeError as error:
        checks.append(_check("powershell", ok=False, text=str(error), remedy=error.hint))
        return _finish(checks, raw)
    return _finish([*checks, *_answered(answer, raw)], raw)


def _named(target: Target) -> Check:
    try:
        addresses = socket.getaddrinfo(target.address, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        remedy = "Check the spelling, DNS and the search domain; or give the address."
        return _check("name", ok=False, text=f"{target.address} is not known ({error.strerror})", remedy=remedy)
    found = sorted({str(address[4][0]) for address in addresses})
    text = f"{target.address} is an address" if found == [target.address] else f"{target.address} is {', '.join(found)}"
    return _check("name", ok=True, text=text)


def _check(step: str, *, ok: bool | None, text: str, remedy: str = "") -> Check:
    return Check(step=step, ok=ok, text=text, remedy=remedy)


def _finish(checks: list[Check], raw: RawOutput | None = None) -> Diagnosis:
    """Add the steps that were not reached."""
    reached = {check.step for check in checks}
    rest = [_check(step, ok=None, text=_UNREACHED) for step in STEPS if step not in reached]
    return Diagnosis(checks=tuple(sorted([*checks, *rest], key=lambda check: STEPS.index(check.step))), raw=raw)


def _connected(host: Host, signed_in: str = "") -> list[Check]:
    target = host.target
    if target.kind == "local":
        here = "not on the way: PowerShell on this very machine"
        return [_check(step, ok=True, text=here) for step in ("name", "port", "tls", "sign-in")]
    tls = "certificate accepted unchecked (--insecure-tls)" if target.insecure_tls else "certificate trusted"
    sealed = "plain HTTP, messages readable on the wire" if target.auth == "basic" else "HTTP with sealed messages"
    return [
        _check("port", ok=True, text=f"{target.port} answers"),
        _check("tls", ok=True, text=tls if target.tls else f"none: {sealed}"),
        _check("sign-in", ok=True, text=_signed_in(target, signed_in)),
    ]


def _signed_in(target: Target, method: str) -> str:
    text = f"{target.username or 'the ticket'} by {method or target.auth}"
    if method != Auth.KERBEROS:
        return text
    from mpsbridge.transports.signin.kerberos import describe  # noqa: PLC0415 - an optional extra

    try:
        return f"{text}, to {target.service_name}, {describe(target)}"
    except Exception:  # noqa: BLE001 - it ended just now; signing in has gone well all the same
        return f"{text}, to {target.service_name}"


def _sign_in_failed(target: Target, error: MpsBridgeError) -> str:
    from mpsbridge.transports.signin.negotiate import may_be_kerberos  # noqa: PLC0415 - takes long to load

    if target.auth not in {Auth.KERBEROS, Auth.NEGOTIATE} or not has_kerberos():
        return str(error)
    if not may_be_kerberos(target):
        return f"{error}; Kerberos was not tried (for that write --username name@REALM, and the host's name)"
    from mpsbridge.transports.signin.kerberos import surroundings  # noqa: PLC0415 - an optional extra

    return f"{error}; Kerberos: asks for {target.service_name}, {harmless(surroundings())}"


def _not_answered(error: MpsBridgeError, host: Host) -> list[Check]:
    """The step that failed, by the kind of the error, and those before it that must have gone well."""
    if isinstance(error, NotTried):  # another host's refusal tells nothing of this one
        return [_check("sign-in", ok=None, text=str(error), remedy=error.hint)]
    steps: dict[type[MpsBridgeError], str] = {
        Unreachable: "port",
        ConnectTimedOut: "port",
        CertificateRefused: "tls",
        AuthRefused: "sign-in",
        KdcUnreachable: "sign-in",
    }
    step = next((step for kind, step in steps.items() if isinstance(error, kind)), "powershell")
    passed: list[Check] = []
    for check in _connected(host):
        if check.step == step:
            break
        passed.append(check)
    if isinstance(error, WinrmFailed):  # before the sign-in was complete, or after it
        passed = [check for check in passed if check.step != "sign-in"]
        passed.append(_check("sign-in", ok=None, text="not known"))
    if not isinstance(error, NotSent):
        step = "powershell"
    if step == "port":
        return [*passed, _port_failed(host.target, error)]
    text = _sign_in_failed(host.target, error) if step == "sign-in" else str(error)
    return [*passed, _check(step, ok=False, text=text, remedy=error.hint)]


def _port_failed(target: Target, error: MpsBridgeError) -> Check:
    """The port that was asked for, and whether WinRM's other one can be reached; only a connection is made there."""
    other = other_listener(target)
    if other is None or isinstance(error, NotWinrm) or not error.hint.startswith(other.advice):
        return _check("port", ok=False, text=str(error), remedy=error.hint)
    try:
        socket.create_connection((target.address, other.port), timeout=PROBE_LIMIT_S).close()
    except OSError as closed:
        why = closed.strerror or "no answer"
        text, remedy = f"{error}; {other.port} cannot be reached either ({why})", Unreachable.default_hint
    else:
        text, remedy = f"{error}; but {other.port} can be reached", other.advice
    return _check("port", ok=False, text=text, remedy=remedy)


def _answered(answer: ObserveAnswer, raw: RawOutput) -> list[Check]:
    shell = answer.powershell
    language = f", {shell.language}" if shell.language and shell.language != "FullLanguage" else ""
    constrained = shell.language not in {None, "FullLanguage"}
    return [
        _check(
            "powershell",
            ok=not constrained,
            text=f"{shell.version or 'unknown version'}{language} on {answer.computer or 'a host without a name'}",
            remedy=_CONSTRAINED if constrained else "",
        ),
        _rights(answer),
        *_sight(raw),
        _multipoint(answer),
    ]


def _rights(answer: ObserveAnswer) -> Check:
    who = answer.caller.account or "this account"
    if answer.caller.elevated:
        return _check("rights", ok=True, text=f"{who} is an elevated administrator")
    remedy = "Use a local administrator, or give the account the RDS rights Query, Message, Disconnect and Logoff."
    unknown = answer.caller.elevated is None
    text = f"whether {who} is an administrator is not known" if unknown else f"{who} is not an elevated administrator"
    return _check("rights", ok=None, text=f"{text}; its RDS rights show only when they are used", remedy=remedy)


def _sight(raw: RawOutput) -> list[Check]:
    try:
        seen: Observation = Observe.read(raw)
    except MpsBridgeError as error:
        return [_check("sight", ok=False, text=str(error), remedy=error.hint)]
    people = sorted({session.id for session in seen.sessions})
    witness = ", ".join(map(str, seen.processes_in)) or "none"
    text = f"{counted(len(people), 'session')} seen; ids with a person's processes: {witness}"
    if seen.leftovers:
        return [
            _check(
                "sight",
                ok=False,
                text=f"{text}; orphaned (processes without a session row): {', '.join(map(str, seen.leftovers))}",
                remedy="Reset them ('mpsbridge reset HOST --session ID'), or restart the host.",
            )
        ]
    return [_check("sight", ok=True, text=text)]


def _multipoint(answer: ObserveAnswer) -> Check:
    if answer.wms is None:
        return _check("multipoint", ok=True, text="not there; sessions are handled as on a Remote Desktop host")
    text = f"generation {answer.wms.generation}, mode {answer.wms.mode or 'unknown'}"
    return _check("multipoint", ok=True, text=f"{text}, {counted(len(answer.wms.stations), 'station')}")


def in_full(host: Host) -> Diagnosis:
    """The same, and what else a host tells of Windows itself, for a file that is given away; changes nothing there."""
    found = diagnose(host)
    if found.raw is None:
        return found
    try:
        evidence = host.run(ReadEvidence())
    except MpsBridgeError as error:  # that it does not answer is evidence, too
        evidence = RawOutput(output=(), errors=(str(error),), failed=True)
    return found.model_copy(update={"evidence": evidence})


def evidence_of(found: Iterable[tuple[Target | None, str, Diagnosis]], *, now: datetime) -> Disguised:
    """What hosts said, each with the name that it was called by, with other names in it."""
    from mpsbridge.evidence.record import Gathered, disguised  # noqa: PLC0415 - only where a file is written

    gathered = [
        Gathered(
            host,
            _called(target) if target else [],
            [check.model_dump() for check in one.checks],
            one.raw,
            one.evidence,
        )
        for target, host, one in found
    ]
    return disguised(gathered, version=__version__, now=now)


def _called(target: Target) -> list[str]:
    """Names by which a host and the account there are called."""
    service = target.service_name.partition("/")[2]
    return [each for each in (target.address, target.username, service) if each]
