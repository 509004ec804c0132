"""Signing in where it can only be NTLM: with the account's NT hash, which is made once.

Of a password pyspnego makes two hashes for each connection: the NT hash, and that of LAN Manager, whose DES in pure
Python takes more time than all the rest of signing in. NTLMv2 never uses it.
"""

from __future__ import annotations

import importlib.util
import os

import spnego
from spnego._ntlm_raw.crypto import ntowfv1  # MD4 is in no public library any more; a test holds it to pyspnego's own

from mpsbridge.models.targets import Auth, Target
from mpsbridge.once import once


def ntlm_hash(target: Target) -> spnego.NTLMHash | None:
    """What signs this target in by NTLMv2; ``None`` where it may be Kerberos, or another NTLM, or no password is known.

    ``negotiate`` can only be NTLM where the library for Kerberos is missing.
    """
    ntlm = target.auth is Auth.NTLM or (target.auth is Auth.NEGOTIATE and not _has_kerberos())
    if not ntlm or not target.username or target.password is None or "LM_COMPAT_LEVEL" in os.environ:
        return None
    return spnego.NTLMHash(target.username, nt_hash=_nt_hash(target.password.get_secret_value()))


@once
def _has_kerberos() -> bool:
    return importlib.util.find_spec("gssapi") is not None


@once
def _nt_hash(password: str) -> str:
    return ntowfv1(password).hex()
