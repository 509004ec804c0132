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

Whatever it is, what it protects is looked at when it is complete (:meth:`SignIn.check`): signatures and encryption of
the messages, by keys that nobody between could have weakened. Over TLS the same is demanded, though TLS protects the
messages there: every Windows that has WinRM offers it, so who does not is not the host.

Kerberos goes by the HTTP scheme of that name, as WinRM's own clients send it, NTLM inside ``Negotiate``.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

import spnego
from pypsrp.encryption import WinRMEncryption
from pypsrp.exceptions import AuthenticationError
from spnego import WinRMWrapResult
from spnego.channel_bindings import GssChannelBindings

from mpsbridge.models.targets import Auth, Target
from mpsbridge.transports import has_kerberos
from mpsbridge.transports.kerberos_codes import refuses_secret, said
from mpsbridge.transports.ntlm import lacking, ntlm_hash

_log = logging.getLogger(__name__)


class Context(Protocol):
    """A sign-in: pyspnego's contexts, or :class:`~mpsbridge.transports.kerberos.KerberosContext`."""

    @property
    def complete(self) -> bool:
        """Whether both sides have proved who they are."""
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


class WeakSignIn(AuthenticationError):
    """The sign-in is complete and protects less than it must: the host, or who stands between, has taken flags away."""


class SignIn(NamedTuple):
    """A sign-in with its first token: what it is for people, its HTTP scheme, and how a sealed body names it.

    ``lacking`` tells of the complete sign-in what protection it lacks, in words. ``instead`` says why it is not
    Kerberos, where that was tried first.
    """

    method: str
    scheme: str
    sealed_as: str
    context: Context
    token: bytes | None
    lacking: Callable[[], list[str]]
    instead: str = ""

    def check(self) -> None:
        """Raise :class:`WeakSignIn` where the complete sign-in protects less than is demanded, over TLS as well."""
        if missing := self.lacking():
            words = f"the host, or something between, offers weaker protection: without {', '.join(missing)}"
            raise WeakSignIn(words)


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


def _kerberos(target: Target, bindings: GssChannelBindings | None) -> SignIn:
    from mpsbridge.transports.kerberos import KerberosContext  # noqa: PLC0415 - an optional extra

    context = KerberosContext(target, bindings)
    return SignIn("kerberos", "Kerberos", WinRMEncryption.KERBEROS, context, context.step(), context.lacking)


def _ntlm(target: Target, bindings: GssChannelBindings | None) -> SignIn:
    hashed = ntlm_hash(target)
    # Named in so many words, because pyspnego would prefer another library, and other methods, where they are there.
    within = target.auth is Auth.NEGOTIATE and hashed is not None
    context = spnego.client(
        hashed or target.username,
        target.password.get_secret_value() if target.password is not None else None,
        hostname=target.address,
        service="host",
        channel_bindings=bindings,
        protocol="negotiate" if within else "ntlm",
        options=spnego.NegotiateOptions.use_negotiate if within else spnego.NegotiateOptions.use_ntlm,
    )
    return SignIn(
        "ntlm", "Negotiate", WinRMEncryption.SPNEGO, context, context.step(), functools.partial(lacking, context)
    )
