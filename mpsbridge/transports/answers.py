"""What a host may say instead of the answer that was asked for.

:mod:`mpsbridge.transports.trouble` gives each its meaning.
"""

from __future__ import annotations


class BadAnswer(Exception):
    """What came is not WinRM as we know it."""


class SignInRefused(BadAnswer):
    """The host does not let this account in, or not in this way."""


class HttpStatus(BadAnswer):
    """An HTTP status without a WSMan fault behind it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"HTTP status {self.status}"


class WsmanFault(BadAnswer):
    """A fault. ``code`` is its number (``wsmerror.h``), a sub-code such as ``w:InternalError`` where there is none, or
    ``None``; ``reason`` the host's own words.
    """

    def __init__(self, code: int | str | None, reason: str | None) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class ShellBroken(BadAnswer):
    """The runspace pool does not open, or ends; the text is what PowerShell says about it."""
