"""Signing in by NTLMv2, raw or inside SPNEGO, with the account's NT hash, which is made once.

Of a password pyspnego makes two hashes for each connection: the NT hash, and that of LAN Manager, whose DES in pure
Python takes more time than all the rest of signing in, 0.9 ms of the 8 to 9 ms of CPU that one of 256 hosts costs.
NTLMv2 never uses it.

How strong the protection of the messages is, the peer's CHALLENGE says, in clear; pyspnego takes what it is offered.
Hence the rules:

* Integrity, confidentiality, extended session security, 128-bit keys and key exchange must be in force
  (:data:`DEMANDED`), over TLS as well: Windows grants what it is asked for, so where something is missing the host
  was weakened, or something in between has cleared a flag. Without SIGN every signature is a constant; without extended
  session security or 128 bits the key can be searched for.
* It is asked before the AUTHENTICATE message goes out, so whoever offers less gets no proof of the password.
* The AUTHENTICATE message always bears a MIC over all three messages (MS-NLMP 3.1.5.1.2), not only where the challenge
  holds a time stamp: nobody in between can clear a flag for the host's eyes alone.
* Inside SPNEGO the host's own mechListMIC must have been verified. We send one, so the host must answer with one
  (RFC 4178, section 5; MS-SPNG 3.3.5.1), and Windows does. It proves that the host knows the session's key before
  anything else is believed; raw NTLM has no such token: over plain HTTP the first sealed answer proves it.
* NTLMv1 and LM never: a lower ``LM_COMPAT_LEVEL``, which pyspnego reads, is refused.

The inner names of pyspnego that are used, and what for: ``ntowfv1`` for the NT hash; ``NegotiateProxy``, ``NTLMProxy``,
``NegotiateFlags``, ``_context``, ``_context_attr``, ``_mic_recv`` and ``_mic_required`` for the rules above, which no
public name lets anybody ask or demand. A test holds each to what it is taken for.
"""

from __future__ import annotations

import os
import struct

import spnego
from pypsrp.exceptions import AuthenticationError
from spnego import WinRMWrapResult
from spnego._negotiate import NegotiateProxy
from spnego._ntlm import NTLMProxy
from spnego._ntlm_raw.crypto import ntowfv1  # MD4 is in no public library any more; a test holds it to pyspnego's own
from spnego._ntlm_raw.messages import NegotiateFlags
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import BadMICError, OperationNotAvailableError, SpnegoError

from mpsbridge.errors import AuthRefused
from mpsbridge.models.credentials import Auth, Password
from mpsbridge.models.targets import Target
from mpsbridge.once import once

DEMANDED = {
    NegotiateFlags.sign: "integrity (SIGN)",
    NegotiateFlags.seal: "confidentiality (SEAL)",
    NegotiateFlags.extended_session_security: "extended session security",
    NegotiateFlags.key_128: "128-bit keys",
    NegotiateFlags.key_exch: "key exchange",
}
"""The flags of MS-NLMP 2.2.2.5 that must be in force, and what each is called for people."""
_ALL = sum(int(flag) for flag in DEMANDED)
"""As a plain number: this is asked at each step of each sign-in, and flags that are an ``enum`` are slow to compare."""
MIC_OF_METHODS = "a valid signature of the list of methods (mechListMIC)"
_NTLMV2_LEVELS = frozenset({"3", "4", "5"})


class NtlmContext:
    """One sign-in with one host. ``step`` raises ``SpnegoError``, and pypsrp's ``AuthenticationError`` for no token."""

    def __init__(self, target: Target, password: Password, bindings: GssChannelBindings | None) -> None:
        _check_level(target)
        within = target.auth is Auth.NEGOTIATE
        # Named in full, because pyspnego would prefer another library, and other methods, where they are there.
        self._context = spnego.client(
            ntlm_hash(password),
            hostname=target.address,
            service="host",
            channel_bindings=bindings,
            protocol="negotiate" if within else "ntlm",
            options=spnego.NegotiateOptions.use_negotiate if within else spnego.NegotiateOptions.use_ntlm,
        )
        if isinstance(self._context, NTLMProxy):
            self._context._mic_required = True  # noqa: SLF001 - SPNEGO's own sets it, too
        self._forged = False

    @property
    def complete(self) -> bool:
        """Whether nothing more is to be said."""
        return self._context.complete

    def step(self, token: bytes | None = None) -> bytes | None:
        """Take what the host said; what to send next."""
        try:
            return self._context.step(token)
        except (BadMICError, OperationNotAvailableError):  # a wrong mechListMIC, or none can be made without SIGN
            self._forged = True
            return None
        except SpnegoError:
            raise
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError, struct.error) as error:
            raise AuthenticationError("the host's sign-in token cannot be read") from error

    @property
    def lacking(self) -> tuple[str, ...]:
        """What of the protection is not in force, in words; none as long as the host has not said what it offers."""
        context = self._context
        outer = context if isinstance(context, NegotiateProxy) else None
        inner = outer._context if outer is not None else context  # noqa: SLF001 - see the module's text
        if not isinstance(inner, NTLMProxy):
            raise AuthenticationError(f"the host wants {inner.negotiated_protocol}, which was not offered")
        flags = inner._context_attr  # noqa: SLF001 - the same
        if not flags:
            return ()
        lacking: tuple[str, ...] = ()
        if flags & _ALL != _ALL:
            lacking = tuple(words for flag, words in DEMANDED.items() if not flags & flag)
        signed = outer is None or not outer.complete or outer._mic_recv  # noqa: SLF001 - the same
        return lacking if signed and not self._forged else (*lacking, MIC_OF_METHODS)

    def wrap_winrm(self, data: bytes) -> WinRMWrapResult:
        """Seal a message."""
        return self._context.wrap_winrm(data)

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        """Open a message. Raises ``SpnegoError`` for one that was changed, or that came twice or out of turn."""
        return self._context.unwrap_winrm(header, data)


def ntlm_hash(password: Password) -> spnego.NTLMHash:
    """What signs an account in by NTLMv2."""
    return spnego.NTLMHash(password.username, nt_hash=_nt_hash(password.secret.get_secret_value()))


def _check_level(target: Target) -> None:
    level = os.environ.get("LM_COMPAT_LEVEL")
    if level is not None and level.strip() not in _NTLMV2_LEVELS:
        raise AuthRefused(
            f"{target.host}: LM_COMPAT_LEVEL is {level[:20]!r}, which asks for less than NTLMv2",
            hint="Unset LM_COMPAT_LEVEL, or set it to 3 or more; NTLMv1 and LM are never used.",
        )


@once
def _nt_hash(password: str) -> str:
    return ntowfv1(password).hex()
