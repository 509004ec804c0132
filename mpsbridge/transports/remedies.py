"""What to do about a failure, where that depends on how the host is reached: its port, its endpoint, the user's name.

Rule: a hint only; which error of ours a failure becomes never depends on it.
"""

from __future__ import annotations

import errno

from pypsrp.exceptions import WSManFaultError

from mpsbridge.models.credentials import Auth
from mpsbridge.models.harmless import harmless
from mpsbridge.models.targets import HTTP_PORT, POWERSHELL, Target
from mpsbridge.transports.faults import Means, known, means
from mpsbridge.transports.listeners import other_listener
from mpsbridge.transports.signin.context import AccountRefused
from mpsbridge.transports.wire import HandshakeTimedOut

_OTHERWISE = (
    "Otherwise check the name, that the host is up, that WinRM listens there (winrm enumerate winrm/config/listener) "
    "and the firewall."
)
_NOTHING_THERE = frozenset({errno.ECONNREFUSED, errno.ETIMEDOUT})
"""What comes of a port on which nothing listens: a refusal, or silence from a firewall (Windows' own by default)."""


def remedy(error: Exception, target: Target) -> str | None:
    """What to try next, as a sentence; ``None`` where the target makes no difference."""
    match error:
        case WSManFaultError():
            return _of_endpoint(error, target)
        case AccountRefused():
            return _of_name(target)
        case HandshakeTimedOut():
            return f"Check --port and --no-tls: a port that speaks HTTP does not answer TLS. {_OTHERWISE}"
        case ConnectionResetError() if not target.tls and target.port != HTTP_PORT:
            return f"Check --port and --no-tls: a port that speaks TLS closes what comes in clear. {_OTHERWISE}"
        case OSError(errno=number) if number in _NOTHING_THERE and (other := other_listener(target)) is not None:
            return f"{other.advice} {_OTHERWISE}"
    return None


def _of_endpoint(error: WSManFaultError, target: Target) -> str | None:
    name = harmless(target.configuration_name)
    meant = means(error)
    if meant is Means.NO_ENDPOINT and target.configuration_name == POWERSHELL:
        return "Enable PowerShell remoting on the host, as an administrator of it: Enable-PSRemoting."
    if meant is Means.NO_ENDPOINT:
        return f"Check --configuration {name}: Get-PSSessionConfiguration on the host lists its endpoints by name."
    if meant is Means.DENIED and target.restricted:
        return (
            f"Add the account to a group that may use the endpoint {name} (Get-PSSessionConfiguration {name} on the "
            "host shows its Permission), or check --configuration."
        )
    row = known(error)
    return row.hint if row else None


def _of_name(target: Target) -> str | None:
    username = target.username or ""
    if target.auth is Auth.BASIC and ("@" in username or "\\" in username):
        return "Use --auth negotiate for an account of a domain: by Basic a host signs in its own local accounts only."
    if "@" in username:
        return (
            "Check the password, then write the name as DOMAIN\\name, or bare for a local account of the host: NTLM "
            "takes name@suffix only where that is the account's own sign-in name (UPN) in the domain."
        )
    return None
