"""Sessions as a look shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from mpsbridge.models.sessions import Observation, Row, Session, SessionGuard, State

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def session(id: int, user: str, state: State = State.ACTIVE, **more: object) -> Session:
    guard = SessionGuard(id=id, user=user, logon="1/1/2026 9:00 AM", state="Active")
    values: dict[str, object] = {"state_text": "Active", "guard": guard, "admin": False, **more}
    return Session.model_validate({"id": id, "user": user, "state": state, **values})


def seen(*sessions: Session, rows: tuple[Row, ...] = ()) -> Observation:
    return Observation(observed=NOW, boot=None, sessions=sessions, rows=rows)


ALICE, BOB = session(2, "alice"), session(3, "bob", idle_s=7300)
CAROL = session(4, "carol", State.DISCONNECTED, idle_s=9000, state_text="Disc")
