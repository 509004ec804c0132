"""Signing in by NTLM: with the account's NT hash, which is made once.

Of a password pyspnego makes two hashes for each connection: the NT hash, and that of LAN Manager, whose DES in pure
Python takes more time than all the rest of signing in. NTLMv2 never uses it.
"""

from __future__ import annotations

import os

import spnego
from spnego._ntlm_raw.crypto import ntowfv1  # MD4 is in no public library any more; a test holds it to pyspnego's own

from mpsbridge.models.targets import Target
from mpsbridge.once import once


def ntlm_hash(target: Target) -> spnego.NTLMHash | None:
    """What signs this target in by NTLMv2; ``None`` where another NTLM is wanted, or no password is known."""
    if not target.username or target.password is None or "LM_COMPAT_LEVEL" in os.environ:
        return None
    return spnego.NTLMHash(target.username, nt_hash=_nt_hash(target.password.get_secret_value()))


@once
def _nt_hash(password: str) -> str:
    return ntowfv1(password).hex()
