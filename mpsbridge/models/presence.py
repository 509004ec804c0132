"""Whether a session may still be there after its log-off was ordered, by a later look. Pure."""

from __future__ import annotations

from mpsbridge.models.sessions import Observation, Session

ROW_GONE = "its row is gone, but processes of it still run"
NO_WINLOGON = f"{ROW_GONE} without a winlogon"
"""Nothing proves any more which session these are of."""


def presence(session: Session, seen: Observation) -> str:
    """Why the session may still be there, as a sentence; empty when it is absent."""
    listed = next((other for other in seen.sessions if other.id == session.id), None)
    if listed is not None:
        if session.born is not None and listed.born is not None:
            return "" if listed.born != session.born else "the session is still listed"
        same_row = (listed.user_text, listed.logon_text) == (session.user_text, session.logon_text)
        return "still listed" if same_row else "the id is listed with other text, and births cannot be read here"
    if session.id in seen.processes_in:
        return ROW_GONE if session.id in dict(seen.births) else NO_WINLOGON
    return ""
