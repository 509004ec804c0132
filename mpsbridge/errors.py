"""Everything that can go wrong, drawn as one tree that answers the caller's question: did it happen?

::

    MpsBridgeError              kind            may_have_run
    ├─ InputError               input           no: wrong before anything was sent
    │  ├─ SettingsError         settings
    │  ├─ RenderError           render
    │  ├─ JournalError          journal         no: the record cannot be used
    │  └─ Refused               refused         no: the plan refuses, nothing was sent
    │     ├─ NotBegun           not-begun       no: the call ended before its turn
    │     │  └─ NoTurn          no-turn         no: the waves of a plan do not let it begin
    │     ├─ StillHeld          held            no: it cannot be released like this
    │     ├─ HostReleased       released        no: somebody else has ended the run's lease there
    │     └─ AnotherComputer    other-computer  no: the name leads to another computer than that of the run
    ├─ NotSent                  not-sent        no: the script did not reach PowerShell
    │  ├─ Unreachable           unreachable
    │  │  └─ NotWinrm           not-winrm
    │  ├─ WinrmFailed           winrm
    │  ├─ ConnectTimedOut       timeout
    │  ├─ AuthRefused           auth
    │  │  ├─ TicketMissing      no-ticket
    │  │  ├─ TicketExpired      expired
    │  │  ├─ NotInRealm         not-in-realm
    │  │  └─ ClockSkewed        clock
    │  ├─ NotTried              not-tried       no: another host refused this credential
    │  ├─ KdcUnreachable        kdc
    │  ├─ CertificateRefused    certificate
    │  ├─ ShellRefused          shell
    │  ├─ NotPublished          not-published
    │  ├─ TransportMissing      missing
    │  └─ TransportClosed       closed
    ├─ Interrupted              interrupted     unknown
    │  ├─ Stopped               stopped         no: between two steps, the next was not sent
    │  ├─ TimedOut              timeout
    │  ├─ ConnectionLost        interrupted
    │  ├─ TooLarge              too-large
    │  └─ WorkerLost            worker-lost
    ├─ RemoteError              remote          yes: it ran and PowerShell said no
    │  ├─ AccessDenied          denied
    │  ├─ CommandMissing        missing-command
    │  └─ Blind                 blind           yes: it looked and may not see
    ├─ ParseError               parse           yes: it ran, the answer cannot be read
    ├─ JournalLost              journal         yes: the record broke while a run was at work
    └─ Unexpected               internal        unknown: a fault of mpsbridge, or of what it runs in

Rules of this file: an error is data (host, snippet, may_have_run, hint), survives pickling with all of it, and its
``str()`` is one sentence for a person. Only ``InputError``, ``NotSent`` and ``Stopped`` may claim that
nothing ran.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Self


class MpsBridgeError(Exception):
    """The root of the tree; never raised itself.

    ``host`` and ``snippet`` are filled in on the way up (see :meth:`about`); ``hint`` says what to try next.
    """

    kind: ClassVar[str] = "error"
    default_may_have_run: ClassVar[bool] = True
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str = "", *, hint: str | None = None, may_have_run: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.may_have_run = self.default_may_have_run if may_have_run is None else may_have_run
        self.host: str | None = None
        self.snippet: str | None = None

    def about(self, *, host: str | None = None, snippet: str | None = None) -> Self:
        """Name the host and the snippet, keeping what a lower layer has named already."""
        self.host = self.host or host
        self.snippet = self.snippet or snippet
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.__dict__.copy()))

    def __str__(self) -> str:
        return self.message


def _rebuild(cls: type[MpsBridgeError], state: dict[str, Any]) -> MpsBridgeError:
    error = cls.__new__(cls)
    Exception.__init__(error, state.get("message", ""))
    error.__dict__.update(state)
    return error


class InputError(MpsBridgeError):
    """The request is wrong; nothing was sent.

    Where one field of a value is, ``field`` is its name and ``complaint`` what is wrong with it; where several things
    are, ``complaints`` are the sentences, which a person is shown on a line each.
    """

    kind = "input"
    default_may_have_run = False
    field: str = ""
    complaint: str = ""
    complaints: tuple[str, ...] = ()

    @classmethod
    def of_all(cls, complaints: Iterable[str]) -> Self:
        """One error for all that is wrong."""
        found = tuple(complaints)
        error = cls("; ".join(found))
        error.complaints = found
        return error


class SettingsError(InputError):
    """A settings file, an environment variable or an option cannot be used; nothing was sent."""

    kind = "settings"


class RenderError(InputError):
    """A snippet cannot be rendered: unknown name, missing parameter, a value that is no literal; nothing was sent."""

    kind = "render"


class JournalError(InputError):
    """The journal cannot be used: locked, damaged, of a newer version, not writable; nothing was sent."""

    kind = "journal"


class Refused(InputError):
    """The plan refuses; nothing was sent. The message lists each reason with the option that lifts it."""

    kind = "refused"


class NotBegun(Refused):
    """The host's turn never came: a deadline, an interrupt; nothing was sent."""

    kind = "not-begun"


class NoTurn(NotBegun):
    """The waves of a plan do not let the host begin, so its turn never comes; nothing was sent."""

    kind = "no-turn"


class StillHeld(Refused):
    """The host cannot be released like this, so whatever holds it stays."""

    kind = "held"


class HostReleased(Refused):
    """A person released the host, or another run has it: it has left this run for good; nothing more was sent."""

    kind = "released"
    default_hint = "Begin a new run for it, if it is still to be done."


class AnotherComputer(Refused):
    """The name or address of the host leads to another computer than the one that the run is about."""

    kind = "other-computer"
    default_hint = "Check what the name means now ('mpsbridge hosts' shows the address), then repeat the call."


class NotSent(MpsBridgeError):
    """The script did not reach PowerShell on the host."""

    kind = "not-sent"
    default_may_have_run = False


class Unreachable(NotSent):
    """No connection: unknown name, refused, no route, or nobody speaks WinRM there."""

    kind = "unreachable"
    default_hint = "Check the name, that WinRM listens there (winrm enumerate winrm/config/listener) and the firewall."


class NotWinrm(Unreachable):
    """Somebody answers there, but not as WinRM does: another service, something in between, or a broken host."""

    kind = "not-winrm"
    default_hint = "Check the address and --port, and what else answers there (a proxy, a portal)."


class WinrmFailed(NotSent):
    """WinRM itself answered, with an HTTP error and without a reason."""

    kind = "winrm"
    default_hint = "Look at the host's event log Microsoft-Windows-WinRM/Operational; then repeat the call."


class ConnectTimedOut(NotSent):
    """The time was up before the script was sent."""

    kind = "timeout"
    default_hint = "The host did not answer in time; raise --timeout or check that it is up."


class AuthRefused(NotSent):
    """The host refused the account or the password, or signing in was broken off; no attempt is repeated."""

    kind = "auth"
    default_hint = (
        "Check --username, the password and --auth. No attempt is repeated, and a refused password is shown to no "
        "other host."
    )


class TicketMissing(AuthRefused):
    """There is neither a Kerberos ticket nor anything to get one with."""

    kind = "no-ticket"
    default_hint = (
        "Get a ticket (kinit), or name a key table (--keytab, KRB5_CLIENT_KTNAME), or --username and a password; "
        "klist shows what is there, KRB5CCNAME says where it lies."
    )


class TicketExpired(AuthRefused):
    """The Kerberos ticket has run out; nothing was sent."""

    kind = "expired"
    default_hint = (
        "Get a new one (kinit); a key table (--keytab) gets them by itself, also in the middle of a long run. "
        "What a run has blocked on a host, its failsafe there opens again."
    )


class NotInRealm(AuthRefused):
    """The realm knows no computer by the name that was asked for (the host's SPN), or by another key."""

    kind = "not-in-realm"
    default_hint = (
        "Use the host's full name in the domain, or say its name there: --spn host/ts1.example.org "
        "(setspn -L shows a computer's names)."
    )


class ClockSkewed(AuthRefused):
    """The clocks of this machine, the KDC and the host differ by more than Kerberos allows (five minutes)."""

    kind = "clock"
    default_hint = "Set the clocks by one time server (timedatectl here, w32tm /query /status on the host)."


class NotTried(NotSent):
    """Another host refused the same credential, or gave no answer in time; this host was not shown it."""

    kind = "not-tried"
    default_hint = (
        "Check --username and the password, then repeat the call. A host that has another password for that account "
        "needs its own in the inventory."
    )


class KdcUnreachable(NotSent):
    """No KDC of the realm answers, or it is not known where one is; nothing was sent to the host."""

    kind = "kdc"
    default_hint = (
        "Check the realm in krb5.conf (default_realm, kdc) and in --username name@REALM, DNS, and port 88 of the "
        "domain controllers; --auth ntlm does without."
    )


class CertificateRefused(NotSent):
    """The host's TLS certificate is not trusted."""

    kind = "certificate"
    default_hint = (
        "Name the CA with --ca-file, or use --no-tls (sealed messages over HTTP) if that is what the host offers."
    )


class ShellRefused(NotSent):
    """WinRM answered but gave no shell: quota, missing right or missing endpoint."""

    kind = "shell"
    default_hint = "The account must be in Administrators or Remote Management Users; shell quotas may be used up."
    is_gone: bool = False
    """Whether there was a shell, which the host has lost: a new one may do."""


class NotPublished(NotSent):
    """A restricted endpoint has no such function for this account, or one with other parameters; nothing ran."""

    kind = "not-published"
    default_hint = (
        "Check the account's role on that endpoint; where the module there is older than this mpsbridge, export it "
        "again (mpsbridge jea)."
    )


class TransportMissing(NotSent):
    """This machine lacks what the transport needs: PowerShell, or an optional extra."""

    kind = "missing"


class TransportClosed(NotSent):
    """The transport was closed before; make a new one."""

    kind = "closed"


class Interrupted(MpsBridgeError):
    """The script was sent, or may have been; whether it ran is unknown."""

    kind = "interrupted"
    default_hint = "Look at the host again before repeating anything."


class Stopped(Interrupted):
    """The call was stopped, or its time was up, between two steps: the next one was not sent."""

    kind = "stopped"
    default_may_have_run = False
    default_hint = ""


class TimedOut(Interrupted):
    """The time was up after the script was sent."""

    kind = "timeout"


class ConnectionLost(Interrupted):
    """The connection broke after the script was sent, or the run was cancelled then."""


class TooLarge(Interrupted):
    """The host answers with more than anybody needs, and was not listened to any longer."""

    kind = "too-large"
    default_hint = "Look at the host itself: no Windows answers so much. Whether the script ran to its end is unknown."


class WorkerLost(Interrupted):
    """The worker process, or the cluster, that was to read the host is gone; acts never leave this process."""

    kind = "worker-lost"
    default_hint = "Read it again; where a worker dies each time, read it without --executor."


class RemoteError(MpsBridgeError):
    """The script ran and PowerShell, or the script itself, said no."""

    kind = "remote"


class AccessDenied(RemoteError):
    """The account may not do this on the host."""

    kind = "denied"
    default_hint = "Use an account that is a local administrator of the host."


class CommandMissing(RemoteError):
    """The host lacks a program or cmdlet that the snippet needs."""

    kind = "missing-command"


class Blind(RemoteError):
    """The host answered, but this account may not see its sessions: not the same as "nobody is on"."""

    kind = "blind"
    default_hint = (
        "Use an account that is a local administrator of the host, or one with the RDS right Query Information."
    )


class ParseError(MpsBridgeError):
    """The script ran; what came back cannot be read. ``line`` counts from 1, ``excerpt`` is harmless text."""

    kind = "parse"

    def __init__(
        self,
        message: str = "",
        *,
        line: int | None = None,
        excerpt: str = "",
        hint: str | None = None,
        may_have_run: bool | None = None,
    ) -> None:
        super().__init__(message, hint=hint, may_have_run=may_have_run)
        self.line = line
        self.excerpt = excerpt


class JournalLost(MpsBridgeError):
    """The journal could not be written in the middle of a run (a full disk, say); nothing more is disrupted."""

    kind = "journal"
    default_hint = "Free some space, then look at the hosts and resume the run."


class Unexpected(MpsBridgeError):
    """Something that nobody has foreseen was raised in the middle of a job: a fault, or want of memory."""

    kind = "internal"
    default_hint = "This is a fault of mpsbridge; -vv shows where."

    @classmethod
    def of(cls, error: BaseException, *, may_have_run: bool = True) -> Self:
        """The same as an error of this tree, which says whether something may have run."""
        return cls(f"unexpected {type(error).__name__}: {error}", may_have_run=may_have_run)
