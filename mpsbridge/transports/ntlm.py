"""Signing in by NTLM: with the account's NT hash, which is made once.

Of a password pyspnego makes two hashes for each connection: the NT hash, and that of LAN Manager, whose DES in pure
Python takes more time than all the rest of signing in. NTLMv2 never uses it.

What protects the messages is what both sides have agreed on, and who stands between them can strike flags from the
host's offer. So the agreement is read when the sign-in is complete, and anything short of :data:`DEMANDED` refuses it.
The inner names of pyspnego that are used for that are ``_context``, ``_context_attr`` and ``_mic_recv``; tests with an
acceptor that clears each flag hold them.
"""

from __future__ import annotations

import os

import spnego
from spnego._ntlm_raw.crypto import ntowfv1  # MD4 is in no public library any more; a test holds it to pyspnego's own
from spnego._ntlm_raw.messages import NegotiateFlags

from mpsbridge.models.targets import Target
from mpsbridge.once import once

DEMANDED = {
    NegotiateFlags.sign: "signatures",
    NegotiateFlags.seal: "encryption",
    NegotiateFlags.extended_session_security: "extended session security",
    NegotiateFlags.key_128: "128-bit keys",
    NegotiateFlags.key_exch: "key exchange",
}
"""What Windows has offered since Vista, and what makes a forged or changed message be noticed (MS-NLMP 2.2.2.5)."""
WEAKEST_LEVEL = 3
"""The lowest LM_COMPAT_LEVEL that never speaks NTLM version 1."""


def ntlm_hash(target: Target) -> spnego.NTLMHash | None:
    """What signs this target in by NTLMv2; ``None`` where no user or no password is known."""
    if not target.username or target.password is None:
        return None
    return spnego.NTLMHash(target.username, nt_hash=_nt_hash(target.password.get_secret_value()))


@once
def _nt_hash(password: str) -> str:
    return ntowfv1(password).hex()


def lacking(context: object) -> list[str]:
    """What a complete sign-in by NTLM, bare or inside SPNEGO, lacks of what is demanded, in words."""
    inner = getattr(context, "_context", context)
    agreed = int(getattr(inner, "_context_attr", 0))
    missing = [words for flag, words in DEMANDED.items() if not agreed & flag]
    if inner is not context and not getattr(context, "_mic_recv", False):
        missing.append("the host's signature of the negotiation (mechListMIC)")
    return missing


def asks_for_version_1() -> bool:
    """Whether LM_COMPAT_LEVEL, which pyspnego reads, would have NTLM version 1 spoken, or cannot be read."""
    level = os.environ.get("LM_COMPAT_LEVEL", str(WEAKEST_LEVEL)).strip()
    return not (level.isascii() and level.isdigit() and WEAKEST_LEVEL <= int(level) <= 5)
