"""What the Kerberos library's numbers mean: which error of ours, and what to do.

Its exceptions are few classes with a number each (``krb5.h``); gssapi hands the number on as the minor code, pyspnego
wraps gssapi's. Rule: the number decides, never the library's words, which are only quoted.
"""

from __future__ import annotations

from typing import NamedTuple

from mpsbridge.errors import (
    AuthRefused,
    ClockSkewed,
    KdcUnreachable,
    NotInRealm,
    NotSent,
    TicketExpired,
    TicketMissing,
)


class Meaning(NamedTuple):
    """Our error, what to say before the library's own words, and what to do where our error's own hint is not it."""

    kind: type[NotSent]
    words: str
    hint: str | None = None


_PASSWORD = Meaning(AuthRefused, "the KDC refused the password or the key: ")
_ACCOUNT = "The account's own state must be mended in the domain; a retry does not help."
_NAME = (
    "Write name@REALM with the domain's full name (echo %USERDNSDOMAIN% on the host): a sign-in name such as "
    "jane@school.local may end in another suffix. Or use DOMAIN\\name with --auth ntlm."
)
_ENCRYPTION = (
    "Use AES keys, for domains refuse RC4 now: set a new password for the account (for the host's computer account, "
    "where only that host fails), make key tables with ktpass /crypto AES256-SHA1, and remove enctype lines with rc4 "
    "from krb5.conf."
)
_POLICY = (
    "Check in the domain where and when the account may sign in: its allowed workstations and logon hours, and "
    "authentication policies (silos); a retry does not help."
)
_CONFIGURATION = "Check krb5.conf (KRB5_CONFIG, else /etc/krb5.conf)."

_MEANINGS = {
    -1765328243: Meaning(TicketMissing, ""),  # KRB5_CC_NOTFOUND
    -1765328189: Meaning(TicketMissing, ""),  # KRB5_FCC_NOFILE
    -1765328190: Meaning(TicketMissing, ""),  # KRB5_FCC_PERM
    -1765328185: Meaning(TicketMissing, ""),  # KRB5_CC_FORMAT
    -1765328352: Meaning(TicketExpired, ""),  # KRB5KRB_AP_ERR_TKT_EXPIRED
    -1765328360: _PASSWORD,  # KRB5KDC_ERR_PREAUTH_FAILED
    -1765328353: _PASSWORD,  # KRB5KRB_AP_ERR_BAD_INTEGRITY: a realm without preauthentication
    -1765328174: _PASSWORD,  # KRB5_PREAUTH_FAILED
    -1765328378: Meaning(AuthRefused, "the realm does not know the user: ", _NAME),  # KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN
    -1765328370: Meaning(  # KRB5KDC_ERR_ETYPE_NOSUPP
        AuthRefused, "the KDC and the account or host have no encryption type in common: ", _ENCRYPTION
    ),
    -1765328372: Meaning(AuthRefused, "a policy of the domain refuses it: ", _POLICY),  # KRB5KDC_ERR_POLICY
    -1765328366: Meaning(AuthRefused, "the account is disabled or locked: ", _ACCOUNT),  # KRB5KDC_ERR_CLIENT_REVOKED
    -1765328361: Meaning(AuthRefused, "the password has expired: ", _ACCOUNT),  # KRB5KDC_ERR_KEY_EXP
    -1765328383: Meaning(AuthRefused, "the account has expired: ", _ACCOUNT),  # KRB5KDC_ERR_NAME_EXP
    -1765328377: Meaning(NotInRealm, ""),  # KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN
    -1765328250: Meaning(NotInRealm, ""),  # KRB5_PARSE_MALFORMED
    -1765328343: Meaning(  # KRB5KRB_AP_ERR_MODIFIED
        NotInRealm, "the host cannot read the ticket, so the name belongs to another computer or key: "
    ),
    -1765328347: Meaning(ClockSkewed, ""),  # KRB5KRB_AP_ERR_SKEW
    -1765328236: Meaning(ClockSkewed, ""),  # KRB5_KDCREP_SKEW
    -1765328351: Meaning(ClockSkewed, ""),  # KRB5KRB_AP_ERR_TKT_NYV: not yet valid
    -1765328228: Meaning(KdcUnreachable, ""),  # KRB5_KDC_UNREACH
    -1765328230: Meaning(KdcUnreachable, ""),  # KRB5_REALM_UNKNOWN
    -1765328164: Meaning(KdcUnreachable, ""),  # KRB5_REALM_CANT_RESOLVE
    -1765328160: Meaning(KdcUnreachable, "", _CONFIGURATION),  # KRB5_CONFIG_NODEFREALM
    -1765328248: Meaning(KdcUnreachable, "", _CONFIGURATION),  # KRB5_CONFIG_BADFORMAT
}
NO_CACHE = frozenset({-1765328243, -1765328189})
"""There are no credentials to begin with; also what a key table without the wanted key leads to."""
_REFUSALS = frozenset({-1765328360, -1765328353, -1765328174, -1765328366, -1765328361, -1765328383})
"""The KDC knows the account and said no to it: another try may count against it."""
_EXPIRED = frozenset({11 << 16, 12 << 16})
"""GSS_S_CREDENTIALS_EXPIRED and GSS_S_CONTEXT_EXPIRED (RFC 2744, 3.9.1)."""


def meaning(error: BaseException) -> Meaning | None:
    """What an exception of gssapi, krb5 or pyspnego means, if its number is known."""
    error = getattr(error, "base_error", None) or error  # pyspnego's own around gssapi's
    if getattr(error, "maj_code", 0) in _EXPIRED:
        return Meaning(TicketExpired, "")
    return _MEANINGS.get(number(error))


def refuses_secret(error: BaseException) -> bool:
    """Whether the KDC said no to this very account, so that nothing may be tried again."""
    return number(getattr(error, "base_error", None) or error) in _REFUSALS


def said(error: BaseException) -> str:
    """An exception's words, of gssapi's and pyspnego's without the frame that these put around the library's own."""
    error = getattr(error, "base_error", None) or error
    minor = str(error).rpartition("): ")[2] if hasattr(error, "maj_code") else str(error)
    return minor or type(error).__name__


def number(error: BaseException) -> int:
    """As in ``krb5.h``: gssapi's minor code is the same, as an unsigned number of 32 bits."""
    code = int(getattr(error, "err_code", 0) or getattr(error, "min_code", 0))
    return code - 2**32 if code >= 2**31 else code
