"""Where WinRM listens: HTTPS on 5986, HTTP on 5985, and what to do where only the other one is there."""

from __future__ import annotations

from typing import NamedTuple

from mpsbridge.models.credentials import Auth
from mpsbridge.models.targets import HTTP_PORT, HTTPS_PORT, Target


class OtherListener(NamedTuple):
    """The port where WinRM may listen instead, and how to reach it there."""

    port: int
    advice: str


_HTTP = OtherListener(
    HTTP_PORT,
    "Use --no-tls (tls = false in an inventory): a host without a certificate listens on HTTP port 5985 only, where "
    "messages are encrypted as well.",
)
_HTTPS = OtherListener(HTTPS_PORT, "Leave out --no-tls: some hosts listen on HTTPS port 5986 only.")


def other_listener(target: Target) -> OtherListener | None:
    """The listener that was not asked for; ``None`` where the port is neither of WinRM's own two.

    Basic is never advised to go over plain HTTP.
    """
    if target.tls and target.port == HTTPS_PORT and target.auth is not Auth.BASIC:
        return _HTTP
    if not target.tls and target.port == HTTP_PORT:
        return _HTTPS
    return None
