r"""Which way an account signs in: NTLM or Kerberos, chosen before anything is sent to the host.

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

Either must protect the messages in full, whatever the other side offers
(:func:`~mpsbridge.transports.signin.context.demand_protection`).
"""

from __future__ import annotations

import logging

from pypsrp.encryption import WinRMEncryption
from spnego.channel_bindings import GssChannelBindings

from mpsbridge.models.credentials import Auth, Password
from mpsbridge.models.targets import Target
from mpsbridge.transports.signin.context import SignIn
from mpsbridge.transports.signin.extra import has_kerberos
from mpsbridge.transports.signin.kerberos_codes import refuses_secret, said
from mpsbridge.transports.signin.ntlm import NtlmContext

_log = logging.getLogger(__name__)


def may_be_kerberos(target: Target) -> bool:
    """Whether Kerberos is tried at all; then a KDC is asked, for an unknown time."""
    if target.auth is Auth.KERBEROS or not isinstance(target.credentials, Password):
        return True
    named = "@" in target.credentials.username and target.has_service_name
    return target.auth is Auth.NEGOTIATE and named and has_kerberos()


def begin(target: Target, bindings: GssChannelBindings | None) -> SignIn:
    """The first token for a host. Raises what pyspnego and gssapi raise, ``ImportError`` without the extra."""
    password = target.credentials if isinstance(target.credentials, Password) else None
    if password is not None and not may_be_kerberos(target):
        return _ntlm(target, password, bindings)
    try:
        return _kerberos(target, bindings)
    except Exception as error:
        if target.auth is Auth.KERBEROS or password is None or refuses_secret(error):
            raise
        why = said(error)
        _log.info("%s: no Kerberos, so NTLM: %s", target.host, why)
        instead = f"; it was NTLM, for Kerberos could not be had: {why}"
        return _ntlm(target, password, bindings)._replace(instead=instead)


def _kerberos(target: Target, bindings: GssChannelBindings | None) -> SignIn:
    from mpsbridge.transports.signin.kerberos import KerberosContext  # noqa: PLC0415 - an optional extra

    context = KerberosContext(target, bindings)
    return SignIn("kerberos", "Kerberos", WinRMEncryption.KERBEROS, context, context.step())


def _ntlm(target: Target, password: Password, bindings: GssChannelBindings | None) -> SignIn:
    context = NtlmContext(target, password, bindings)
    return SignIn("ntlm", "Negotiate", WinRMEncryption.SPNEGO, context, context.step())
