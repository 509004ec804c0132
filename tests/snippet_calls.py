"""One call of every snippet, for tests that hold for all of them."""

from __future__ import annotations

from typing import Any

from mpsbridge.models.frozen import Frozen
from mpsbridge.models.sessions import LogonMode, SessionGuard
from mpsbridge.snippets.parameters import (
    ActParameters,
    LogonsParameters,
    LogonsSetParameters,
    MessageParameters,
    ObserveParameters,
    StationsParameters,
)

NEVER = "20991231235959.000000+000"
"""A time after which nothing is done, in tests that are not about it."""


def act(*guards: SessionGuard, **changes: Any) -> ActParameters:
    """Parameters of ``end`` and ``disconnect``."""
    return ActParameters.model_validate({"sessions": guards, "not_after": NEVER, "run": "run-1"} | changes)


def box(text: str, *guards: SessionGuard, **changes: Any) -> MessageParameters:
    """Parameters of ``message``."""
    facts = {"sessions": guards, "not_after": NEVER, "run": "run-1", "text": text}
    return MessageParameters.model_validate(facts | changes)


def mode(wanted: LogonMode, expected: LogonMode | None = None, **changes: Any) -> LogonsSetParameters:
    """Parameters of ``logons-set``."""
    facts = {"mode": wanted, "expected": expected, "not_after": NEVER, "run": "run-1"}
    return LogonsSetParameters.model_validate(facts | changes)


ALICE = SessionGuard(id=2, born="20261125080000.123456+000", user="alice", logon="11/25/2026 9:00 AM", state="Active")

CALLS: dict[str, Frozen] = {
    "observe": ObserveParameters(),
    "stations": StationsParameters(),
    "logons": LogonsParameters(),
    "logons-set": mode(LogonMode.DRAIN, LogonMode.ENABLED),
    "message": box("The host restarts at 18:00.", ALICE),
    "disconnect": act(ALICE),
    "end": act(ALICE),
}
