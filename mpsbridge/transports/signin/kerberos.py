"""Signing in by Kerberos, through the system's own library (MIT) and the extra ``kerberos``; loaded only when needed.

Tickets come from a password, from a key table, or from what is there already: the ticket cache (``KRB5CCNAME``) and the
client key table (``KRB5_CLIENT_KTNAME``), which the library itself keeps fresh. ``krb5.conf`` says where the KDC is.

Rules:

* A host is asked for by the name that was given and by no other: it goes as a principal, not as a "host-based service",
  whose name the library would first look up in DNS, forwards and backwards.
* What was asked for must have been granted: integrity, confidentiality, mutual authentication, and that no message
  comes twice or out of turn.
* A password is asked about once for all hosts of this process, not once for each; one that the KDC has refused is
  not shown to it again. So no fleet locks an account.
* The library asks its KDC for as long as it likes and cannot be interrupted: call this in a thread
  (:meth:`~mpsbridge.transports.limit.Limit.call`).

Tried against MIT's KDC only, never against Active Directory.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, assert_never

import gssapi
import krb5
from gssapi.raw import IOV, ChannelBindings, GSSError, IOVBuffer, IOVBufferType, unwrap_iov, wrap_iov
from gssapi.raw import acquire_cred_with_password as with_password
from spnego import WinRMWrapResult
from spnego.channel_bindings import GssChannelBindings

from mpsbridge.errors import TicketMissing
from mpsbridge.models.credentials import KeyTable, Password, Ticket
from mpsbridge.models.targets import Target
from mpsbridge.transports.signin.kerberos_codes import NO_CACHE, number, refuses_secret, said

_MECHANISM = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")  # RFC 4121
_FLAGS = (
    gssapi.RequirementFlag.mutual_authentication
    | gssapi.RequirementFlag.replay_detection
    | gssapi.RequirementFlag.out_of_sequence_detection
    | gssapi.RequirementFlag.confidentiality
    | gssapi.RequirementFlag.integrity
)

_DEMANDED = {
    gssapi.RequirementFlag.integrity: "integrity",
    gssapi.RequirementFlag.confidentiality: "confidentiality",
    gssapi.RequirementFlag.mutual_authentication: "mutual authentication",
    gssapi.RequirementFlag.replay_detection: "replay detection",
    gssapi.RequirementFlag.out_of_sequence_detection: "sequence detection",
}
"""What must be in force when the context is complete, and what it is called for people."""


class KerberosContext:
    """One sign-in with one host. Methods raise ``gssapi``'s errors; what cannot be opened is a ``ValueError``."""

    def __init__(self, target: Target, bindings: GssChannelBindings | None) -> None:
        bound = None
        if bindings is not None:
            bound = ChannelBindings(0, None, 0, None, bindings.application_data)  # 0: no address (RFC 2744, 3.11)
        self._context = gssapi.SecurityContext(
            name=_name(target.service_name if "@" in target.service_name else f"{target.service_name}@"),
            creds=_credentials(target),
            mech=_MECHANISM,
            flags=_FLAGS,
            channel_bindings=bound,
            usage="initiate",
        )

    @property
    def complete(self) -> bool:
        """Whether host and client have proved to each other who they are."""
        return bool(self._context.complete)

    @property
    def lacking(self) -> tuple[str, ...]:
        """What of the protection is not in force, in words; none as long as the context is not complete."""
        if not self.complete:
            return ()
        return tuple(words for flag, words in _DEMANDED.items() if not self._context.actual_flags & flag)

    @property
    def lifetime_s(self) -> float:
        """Seconds for which the ticket behind it is good. Raises ``GSSError`` where it has expired."""
        return float(self._context.lifetime)

    def step(self, token: bytes | None = None) -> bytes | None:
        """Take what the host said; what to send next. The first step asks the KDC for a ticket for the host."""
        return self._context.step(token) or None

    def wrap_winrm(self, data: bytes) -> WinRMWrapResult:
        """Seal one message: the signature apart from the text, as MS-WSMV 2.2.9.1.2.2 wants it."""
        parts = IOV(IOVBufferType.header, data, IOVBufferType.padding, std_layout=False)
        wrap_iov(self._context, parts, confidential=True)
        header, sealed, padding = (part.value or b"" for part in parts)
        return WinRMWrapResult(header, sealed + padding, len(padding))

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        """Open one message. Raises ``ValueError``, also for one that came twice or out of turn."""
        parts = IOV(
            IOVBuffer(IOVBufferType.header, False, header),  # noqa: FBT003 - whether the library makes the buffer
            IOVBuffer(IOVBufferType.data, False, data),  # noqa: FBT003 - the same
            IOVBuffer(IOVBufferType.data, False, None),  # noqa: FBT003 - the same
            std_layout=False,
        )
        try:
            opened = unwrap_iov(self._context, parts)
        except GSSError as error:
            raise ValueError(str(error)) from error
        if not opened.encrypted:
            raise ValueError("it is signed but not sealed")
        return bytes(parts[1].value or b"")


def principal_of(username: str) -> str:
    """``name@realm`` with the realm in capitals, as Windows has them; a bare name belongs to the default realm."""
    name, _, realm = username.partition("@")
    return f"{name}@{realm.upper()}" if realm else name


def describe(target: Target) -> str:
    """Whose ticket there is and for how long, as a phrase. Raises what signing in would raise."""
    credentials = _credentials(target)
    minutes = int(credentials.lifetime) // 60
    return f"with a ticket of {credentials.name}, good for {minutes // 60} h {minutes % 60} min"


def surroundings() -> str:
    """Where tickets are looked for and the realm of bare names, as a phrase; asks nobody and never raises."""
    try:
        context = krb5.init_context()
        cache = krb5.cc_default_name(context).decode()
        realm = krb5.get_default_realm(context).decode()
    except krb5.Krb5Error as error:
        return said(error)
    return f"default realm {realm}, ticket cache {cache}"


def _name(principal: str) -> gssapi.Name:
    return gssapi.Name(principal, gssapi.NameType.kerberos_principal)


def _credentials(target: Target) -> gssapi.Credentials:
    username = target.username
    who = _name(principal_of(username)) if username else None
    match target.credentials:
        case Ticket():
            # Without a name the library picks the ticket by the host's realm, so it must not be asked for one here.
            return gssapi.Credentials(usage="initiate", name=who, mechs=[_MECHANISM])
        case KeyTable(file=file):
            return _from_key_table(target.host, file, username, who)
        case Password(secret=hidden):
            secret = hidden.get_secret_value()

            def ask() -> gssapi.Credentials:
                found = with_password(who, secret.encode(), mechs=[_MECHANISM], usage="initiate")
                return gssapi.Credentials(base=found.creds)

            return _tickets.get(("password", secret, username or ""), ask)
        case other:
            assert_never(other)


def _from_key_table(host: str, file: Path, username: str | None, who: gssapi.Name | None) -> gssapi.Credentials:
    where = {"client_keytab": str(file), "ccache": f"MEMORY:mpsbridge-{next(_numbers)}"}
    try:
        return _tickets.get(
            ("keytab", str(file), username or ""),
            lambda: gssapi.Credentials(usage="initiate", name=who, mechs=[_MECHANISM], store=where),
        )
    except GSSError as error:
        if number(error) not in NO_CACHE:
            raise
        raise TicketMissing(
            f"{host}: the key table {file} holds no key of {username or 'any account'}",
            hint=f"Look at it: klist -k {file}. --username picks one of several.",
        ) from error


class _Tickets:
    """The credentials that this process has got, each by one thread for all that wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str, str], Future[Any]] = {}

    def get(self, key: tuple[str, str, str], ask: Callable[[], gssapi.Credentials]) -> gssapi.Credentials:
        """What is known under ``key``, or what ``ask`` gets; a refused secret is refused again without asking."""
        with self._lock:
            known = self._known.get(key)
            if mine := known is None or (known.done() and not _holds(known)):
                known = self._known[key] = Future()
        assert known is not None  # noqa: S101 - the line above made one
        if mine:
            try:
                credentials = ask()
                _ = credentials.lifetime  # the library asks the KDC only when something is wanted of them
                known.set_result(credentials)
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
                known.set_exception(error)
        return known.result()


def _holds(known: Future[Any]) -> bool:
    """Whether credentials can still be used, or an error is one that asking again would only make worse."""
    if (error := known.exception()) is not None:
        return refuses_secret(error)
    try:
        return float(known.result().lifetime) > RENEWED_BEFORE_S
    except GSSError:  # expired
        return False


RENEWED_BEFORE_S = 60.0
"""Credentials that end sooner are asked for again: what is begun with them should be able to end."""
_numbers = itertools.count()
_tickets = _Tickets()
