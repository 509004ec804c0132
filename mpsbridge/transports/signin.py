r"""Who signs in, and how: NTLM or Kerberos, chosen before anything is sent to the host.

``ntlm``
    NTLM, whatever else could be done.
``kerberos``
    Kerberos, or an error.
``negotiate``
    Without a password it can only be Kerberos. With one, and a name of the form ``name@realm``, Kerberos is tried first
    and NTLM takes its place where Kerberos cannot be had: no KDC, a host that the realm does not know, an address
    instead of a name. A password that the KDC has refused is never tried again as NTLM: one sign-in is one attempt.
    Any other name, ``DOMAIN\name`` or a bare one, may be a local account of the host, so it is NTLM.

Kerberos goes by the HTTP scheme of that name, as WinRM's own clients send it, NTLM inside ``Negotiate``.

Either must protect the messages in full, whatever the other side offers: :func:`demand_protection`.
"""

from __future__ import annotations

import logging
from typing import NamedTuple, Protocol

from pypsrp.encryption import WinRMEncryption
from spnego import WinRMWrapResult
from spnego.channel_bindings import GssChannelBindings

from mpsbridge.errors import AuthRefused
from mpsbridge.models.targets import Auth, Target
from mpsbridge.transports import has_kerberos
from mpsbridge.transports.kerberos_codes import refuses_secret, said
from mpsbridge.transports.ntlm import NtlmContext

_log = logging.getLogger(__name__)


class Context(Protocol):
    """A sign-in: :class:`~mpsbridge.transports.ntlm.NtlmContext` or
    :class:`~mpsbridge.transports.kerberos.KerberosContext`.
    """

    @property
    def complete(self) -> bool:
        """Whether both sides have proved who they are."""
        ...

    @property
    def lacking(self) -> tuple[str, ...]:
        """What of the protection the other side has not granted, in words."""
        ...

    def step(self, in_token: bytes | None = None, /) -> bytes | None:
        """Take the peer's token; the token to send next, if any."""
        ...

    def wrap_winrm(self, data: bytes, /) -> WinRMWrapResult:
        """Seal a message."""
        ...

    def unwrap_winrm(self, header: bytes, data: bytes, /) -> bytes:
        """Open a message. Raises ``SpnegoError`` or ``ValueError``."""
        ...


class SignIn(NamedTuple):
    """A sign-in with its first token: what it is for people, its HTTP scheme, and how a sealed body names it.

    ``instead`` says why it is not Kerberos, where that was tried first.
    """

    method: str
    scheme: str
    sealed_as: str
    context: Context
    token: bytes | None
    instead: str = ""


def may_be_kerberos(target: Target) -> bool:
    """Whether Kerberos is tried at all; then a KDC is asked, for an unknown time."""
    if target.auth is Auth.KERBEROS:
        return True
    if target.auth is not Auth.NEGOTIATE or not has_kerberos():
        return False
    if target.password is None or target.keytab is not None:
        return True
    return "@" in (target.username or "") and target.has_service_name


def begin(target: Target, bindings: GssChannelBindings | None) -> SignIn:
    """The first token for a host. Raises what pyspnego and gssapi raise, ``ImportError`` without the extra."""
    if not may_be_kerberos(target):
        return _ntlm(target, bindings)
    try:
        return _kerberos(target, bindings)
    except Exception as error:
        if target.auth is Auth.KERBEROS or target.password is None or refuses_secret(error):
            raise
        why = said(error)
        _log.info("%s: no Kerberos, so NTLM: %s", target.host, why)
        return _ntlm(target, bindings)._replace(instead=f"; it was NTLM, for Kerberos could not be had: {why}")


def demand_protection(context: Context, host: str) -> None:
    """Raise ``AuthRefused`` where less than the full protection is in force. Asked after each step of a sign-in."""
    if lacking := context.lacking:
        raise AuthRefused(
            f"{host}: the host or something between offers weaker protection: without {', '.join(lacking)}",
            hint="Use --auth kerberos, or TLS (no --no-tls), which shows who is in between; or mend the host: "
            "'Network security: Minimum session security for NTLM SSP' wants NTLMv2 and 128-bit encryption.",
        )


def _kerberos(target: Target, bindings: GssChannelBindings | None) -> SignIn:
    from mpsbridge.transports.kerberos import KerberosContext  # noqa: PLC0415 - an optional extra

    context = KerberosContext(target, bindings)
    return SignIn("kerberos", "Kerberos", WinRMEncryption.KERBEROS, context, context.step())


def _ntlm(target: Target, bindings: GssChannelBindings | None) -> SignIn:
    context = NtlmContext(target, bindings)
    return SignIn("ntlm", "Negotiate", WinRMEncryption.SPNEGO, context, context.step())
