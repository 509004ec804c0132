"""What a sign-in with one host can do, whatever its way, and the protection that it must grant."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pypsrp.exceptions import AuthenticationError
from spnego import WinRMWrapResult

from mpsbridge.errors import AuthRefused


class AccountRefused(AuthenticationError):
    """The host was shown the account and its password, and refused them."""


class Context(Protocol):
    """A sign-in: :class:`~mpsbridge.transports.signin.ntlm.NtlmContext` or
    :class:`~mpsbridge.transports.signin.kerberos.KerberosContext`.
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


def demand_protection(context: Context, host: str) -> None:
    """Raise ``AuthRefused`` where less than the full protection is in force. Asked after each step of a sign-in."""
    if lacking := context.lacking:
        raise AuthRefused(
            f"{host}: the host or something between offers weaker protection: without {', '.join(lacking)}",
            hint="Use --auth kerberos, or TLS (no --no-tls), which shows who is in between; or mend the host: "
            "'Network security: Minimum session security for NTLM SSP' wants NTLMv2 and 128-bit encryption.",
        )
