"""Signing in by Kerberos: a key table in place of an account, and the extra ``kerberos``.

The lab has no KDC; whoever starts it brings a realm, and a key table with ``host/NAME`` for each host. Over HTTPS the
sign-in must be bound to the channel, as for NTLM.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import spnego

from mpsbridge.errors import SettingsError
from mpsbridge.lab.wire.signin import SPNEGO_SEALED, NegotiateSignIn

_SEALED = "application/HTTP-Kerberos-session-encrypted"
_CHANNEL_BOUND = 0x800  # GSS_C_CHANNEL_BOUND_FLAG: the client named its channel, and it is ours
_KEY_TABLE = "KRB5_KTNAME"


class KeyTable:
    """The key table that pyspnego's acceptor uses: it knows it by the Kerberos library's variable only.

    So all labs of a process have the same one, and the variable is put back by the last one that stops.
    """

    _lock = threading.Lock()
    _labs = 0
    _before: str | None = None

    @classmethod
    def start(cls, path: Path) -> None:
        """One more lab. Raises ``SettingsError`` beside a lab with another key table."""
        with cls._lock:
            if cls._labs and os.environ.get(_KEY_TABLE) != str(path):
                raise SettingsError(f"another lab in this process has another key table than {path}")
            if not cls._labs:
                cls._before, os.environ[_KEY_TABLE] = os.environ.get(_KEY_TABLE), str(path)
            cls._labs += 1

    @classmethod
    def stop(cls) -> None:
        """One lab less."""
        with cls._lock:
            cls._labs -= 1
            if cls._labs:
                return
            if cls._before is None:
                os.environ.pop(_KEY_TABLE, None)
            else:
                os.environ[_KEY_TABLE] = cls._before


class KerberosSignIn(NegotiateSignIn):
    """Kerberos and nothing else, as for an account among *Protected Users*: raw, or in SPNEGO.

    Whoever holds a ticket for a name in the key table is let in; its user's name does not matter here.
    """

    challenge = "Negotiate, Kerberos"
    _schemes: ClassVar[dict[str, str]] = {"negotiate": SPNEGO_SEALED, "kerberos": _SEALED}

    def _accept(self, token: bytes) -> spnego.ContextProxy:
        if b"NTLMSSP" in token:
            raise ValueError("NTLM is not accepted here")
        return spnego.server(protocol="negotiate", channel_bindings=self._binding)

    def _take(self, context: spnego.ContextProxy, token: bytes) -> bytes | None:
        answer = context.step(token)
        if context.complete and context.negotiated_protocol != "kerberos":
            raise ValueError("nothing but Kerberos is accepted here")
        if self._binding is not None and context.complete and not _is_bound(context):
            raise ValueError("the sign-in is not bound to the channel")
        return answer


def _is_bound(context: spnego.ContextProxy) -> bool:
    """Whether the client named the channel; pyspnego has no name for that flag, so gssapi's own context is asked."""
    while (inner := getattr(context, "_context", None)) is not None and isinstance(inner, spnego.ContextProxy):
        context = inner
    return bool(int(inner.actual_flags) & _CHANNEL_BOUND) if inner is not None else False


def service_names(keytab: Path, hosts: Sequence[str]) -> dict[str, str]:
    """The name ``host/NAME@REALM`` or ``host/NAME.DOMAIN@REALM`` in a key table for each host.

    Raises ``SettingsError`` without the library, where the table cannot be read, and for a host that is not in it.
    """
    try:
        import krb5  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise SettingsError("--auth kerberos: needs the extra: pip install 'mpsbridge[kerberos]'") from error
    context = krb5.init_context()
    try:
        table = krb5.kt_resolve(context, str(keytab).encode())
        names = {krb5.unparse_name_flags(context, entry.principal).decode() for entry in table}
    except krb5.Krb5Error as error:
        raise SettingsError(f"the key table {keytab} cannot be read: {error}") from error
    found = {name[5:].partition("@")[0].lower(): name for name in sorted(names) if name.startswith("host/")}
    chosen: dict[str, str] = {}
    for host in hosts:
        fits = [name for full, name in found.items() if full == host.lower() or full.startswith(f"{host.lower()}.")]
        if not fits:
            raise SettingsError(f"the key table {keytab} has no key of host/{host} or host/{host}.DOMAIN")
        chosen[host] = fits[0]
    return chosen
