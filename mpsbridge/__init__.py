"""Look after user sessions on Windows MultiPoint Services and Remote Desktop hosts.

The public names are the ones listed here; each is loaded when it is first used, so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module

from mpsbridge.version import __version__

TYPE_CHECKING = False  # typing would be half of what --version loads
if TYPE_CHECKING:
    from typing import Any

    from mpsbridge.errors import (
        AccessDenied,
        AuthRefused,
        Blind,
        InputError,
        Interrupted,
        MpsBridgeError,
        NotSent,
        ParseError,
        RemoteError,
        Unreachable,
    )
    from mpsbridge.fleet import Fleet
    from mpsbridge.host import Host
    from mpsbridge.inventory.finding import find_targets
    from mpsbridge.models.credentials import Auth, KeyTable, Password, Ticket
    from mpsbridge.models.outcomes import Done, Failed, Failure, Skipped
    from mpsbridge.models.sessions import LogonMode, Observation, Result, Session, SessionResult, State
    from mpsbridge.models.targets import Target
    from mpsbridge.models.then import Then
    from mpsbridge.operations.acts import Disconnect, LogOff, Message, Reset
    from mpsbridge.operations.ending import End, Resume
    from mpsbridge.operations.holds import Hold, Release
    from mpsbridge.operations.logons import SetLogons
    from mpsbridge.operations.looking import ListSessions, Reading
    from mpsbridge.operations.workplace import RunResult, Workplace
    from mpsbridge.planning.policy import Closing, Policy
    from mpsbridge.planning.selection import Act, Allowed, Plan, Selector, make_plan
    from mpsbridge.runs.events import Event
    from mpsbridge.runs.journal import Journal
    from mpsbridge.runs.verdict import RunVerdict
    from mpsbridge.transports.canned import CannedTransport

_HOMES = {
    "mpsbridge.planning.selection": ["Act", "Allowed", "Plan", "Selector", "make_plan"],
    "mpsbridge.planning.policy": ["Closing", "Policy"],
    "mpsbridge.errors": [
        "AccessDenied",
        "AuthRefused",
        "Blind",
        "InputError",
        "Interrupted",
        "MpsBridgeError",
        "NotSent",
        "ParseError",
        "RemoteError",
        "Unreachable",
    ],
    "mpsbridge.fleet": ["Fleet"],
    "mpsbridge.host": ["Host"],
    "mpsbridge.inventory.finding": ["find_targets"],
    "mpsbridge.models.credentials": ["Auth", "KeyTable", "Password", "Ticket"],
    "mpsbridge.models.outcomes": ["Done", "Failed", "Failure", "Skipped"],
    "mpsbridge.models.sessions": ["LogonMode", "Observation", "Result", "Session", "SessionResult", "State"],
    "mpsbridge.models.targets": ["Target"],
    "mpsbridge.models.then": ["Then"],
    "mpsbridge.operations.acts": ["Disconnect", "LogOff", "Message", "Reset"],
    "mpsbridge.operations.ending": ["End", "Resume"],
    "mpsbridge.operations.holds": ["Hold", "Release"],
    "mpsbridge.operations.logons": ["SetLogons"],
    "mpsbridge.operations.looking": ["ListSessions", "Reading"],
    "mpsbridge.operations.workplace": ["RunResult", "Workplace"],
    "mpsbridge.runs.events": ["Event"],
    "mpsbridge.runs.journal": ["Journal"],
    "mpsbridge.runs.verdict": ["RunVerdict"],
    "mpsbridge.transports.canned": ["CannedTransport"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccessDenied",
    "Act",
    "Allowed",
    "Auth",
    "AuthRefused",
    "Blind",
    "CannedTransport",
    "Closing",
    "Disconnect",
    "Done",
    "End",
    "Event",
    "Failed",
    "Failure",
    "Fleet",
    "Hold",
    "Host",
    "InputError",
    "Interrupted",
    "Journal",
    "KeyTable",
    "ListSessions",
    "LogOff",
    "LogonMode",
    "Message",
    "MpsBridgeError",
    "NotSent",
    "Observation",
    "ParseError",
    "Password",
    "Plan",
    "Policy",
    "Reading",
    "Release",
    "RemoteError",
    "Reset",
    "Result",
    "Resume",
    "RunResult",
    "RunVerdict",
    "Selector",
    "Session",
    "SessionResult",
    "SetLogons",
    "Skipped",
    "State",
    "Target",
    "Then",
    "Ticket",
    "Unreachable",
    "Workplace",
    "__version__",
    "find_targets",
    "make_plan",
]


def __getattr__(name: str) -> Any:
    """Load a public name from where it lives."""
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'mpsbridge' has no attribute {name!r}")
