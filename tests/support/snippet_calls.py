"""One call of every snippet, for tests that hold for all of them."""

from __future__ import annotations

import json
from typing import Any

from mpsbridge.models.sessions import AllowedSession, LogonMode, SessionGuard
from mpsbridge.snippets.evidence import ReadEvidence
from mpsbridge.snippets.failsafe import RegisterFailsafe, RemoveFailsafe
from mpsbridge.snippets.lease import WriteLease
from mpsbridge.snippets.logons import ReadLogonMode, SetLogonMode
from mpsbridge.snippets.observe import Look, Observe
from mpsbridge.snippets.power import OrderPower, SwitchMode
from mpsbridge.snippets.sessions import DisconnectSessions, LogOffSessions, ResetSessions, SendMessage
from mpsbridge.snippets.snippet import Snippet
from mpsbridge.snippets.stations import ListStations

NEVER = "20991231235959.000000+000"
"""A time after which nothing is done, in tests that are not about it."""


def act(*guards: SessionGuard, **changes: Any) -> DisconnectSessions:
    """Parameters of ``disconnect``."""
    return DisconnectSessions.model_validate({"sessions": guards, "not_after": NEVER, "run": "run-1"} | changes)


def log_off(*guards: SessionGuard, **changes: Any) -> LogOffSessions:
    """Parameters of ``logoff``."""
    return LogOffSessions.model_validate({"sessions": guards, "not_after": NEVER, "run": "run-1"} | changes)


def reset(*guards: SessionGuard, **changes: Any) -> ResetSessions:
    """Parameters of ``reset``."""
    return ResetSessions.model_validate({"sessions": guards, "not_after": NEVER, "run": "run-1"} | changes)


def box(text: str, *guards: SessionGuard, **changes: Any) -> SendMessage:
    """Parameters of ``message``."""
    facts = {"sessions": guards, "not_after": NEVER, "run": "run-1", "text": text}
    return SendMessage.model_validate(facts | changes)


def mode(wanted: LogonMode, expected: LogonMode | None = None, **changes: Any) -> SetLogonMode:
    """Parameters of ``logons-set``."""
    facts = {"mode": wanted, "expected": expected, "not_after": NEVER, "run": "run-1"}
    return SetLogonMode.model_validate(facts | changes)


def held(run: str | None = "run-1", **changes: Any) -> str:
    """The text of a lease."""
    facts = {"schema": "mpsbridge-lease/1", "run": run, "owner": "ops@box", "reason": "patches"}
    times = {"since": "20261125080000.000000+000", "expires": NEVER}
    return json.dumps(facts | times | {"found": "enabled", "set": "drain", "notices": []} | changes)


def swap(text: str | None, expected: str | None, **changes: Any) -> WriteLease:
    """Parameters of ``lease``."""
    facts = {"text": text, "expected": expected, "not_after": NEVER, "run": "run-1"}
    return WriteLease.model_validate(facts | changes)


def order(action: str, *allowed: AllowedSession, **changes: Any) -> OrderPower:
    """Parameters of ``power``."""
    facts = {"action": action, "allowed": allowed, "reason": "monthly patches", "not_after": NEVER, "run": "run-1"}
    return OrderPower.model_validate(facts | changes)


def failsafe(found: LogonMode, to: LogonMode, **changes: Any) -> RegisterFailsafe:
    """Parameters of ``failsafe``."""
    facts = {"found": found, "set": to, "owner": "ops@box", "not_after": NEVER, "run": "run-1"}
    return RegisterFailsafe.model_validate(facts | changes)


def switch(wanted: str, *allowed: AllowedSession, **changes: Any) -> SwitchMode:
    """Parameters of ``mode``."""
    facts = {"mode": wanted, "allowed": allowed, "not_after": NEVER, "run": "run-1"}
    return SwitchMode.model_validate(facts | changes)


ALICE = SessionGuard(id=2, born="20261125080000.123456+000", user="alice", logon="11/25/2026 9:00 AM", state="Active")
STAYS = AllowedSession(id=3, born="20261125093000.000000+000")

CALLS: dict[str, Snippet] = {
    "observe": Observe(programs=("winword",)),
    "look": Look(),
    "evidence": ReadEvidence(),
    "stations": ListStations(),
    "logons": ReadLogonMode(),
    "logons-set": mode(LogonMode.DRAIN, LogonMode.ENABLED),
    "message": box("The host restarts at 18:00.", ALICE),
    "disconnect": act(ALICE),
    "logoff": log_off(ALICE),
    "reset": reset(ALICE),
    "lease": swap(held(), None),
    "failsafe": failsafe(LogonMode.ENABLED, LogonMode.DRAIN),
    "failsafe-remove": RemoveFailsafe(not_after=NEVER, run="run-1"),
    "power": order("restart", STAYS),
    "mode": switch("console", STAYS),
}
