"""Who is on: the answer of ``sessions``, and the sessions in every other answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator

from mpsbridge.models.sessions import LogonMode, Result, State
from mpsbridge.schemas.published import Published, Value

NameOrNull = Annotated[str | None, BeforeValidator(lambda name: name or None)]
"""A name; null where none is known."""


class Session(Published):
    """One session; with its host, ``id`` and ``born`` are its identity. What is not known is null.

    ``user`` is the best name known: of the account where the row's own is cut or garbled; what ends in ``_text`` is the
    row's own.
    """

    id: int
    user: NameOrNull
    user_text: NameOrNull
    account: str | None
    session_name: str | None
    state: State
    state_text: str
    idle_s: int | None
    idle_text: str | None
    logon: AwareDatetime | None
    logon_text: str | None
    born: AwareDatetime | None
    own: bool
    admin: bool | None
    station: int | None
    client: str | None


class SessionResult(Published):
    """One session and what became of it; ``text`` is for people."""

    session: Session
    result: Result
    text: str


def row_of(result: object) -> dict[str, Any]:
    """A session and what became of it, as a flat row."""
    told = SessionResult.of(result)
    return {**told.session.as_json(), "result": told.result, "text": told.text}


class SessionsValue(Value):
    """Who is on at one host; ``observed`` is its own time, ``others`` counts sessions that were not asked for.

    ``orphaned`` are ids of sessions without a user: processes without a row, and disconnected or dead rows of nobody.
    """

    sessions: tuple[Session, ...]
    observed: AwareDatetime
    boot: AwareDatetime | None
    logon_mode: LogonMode | None
    multipoint: Literal["2012", "2016"] | None
    elevated: bool | None
    orphaned: tuple[int, ...]
    problems: tuple[str, ...]
    others: int

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """Those of a session."""
        return tuple(Session.model_fields)

    def records(self) -> list[dict[str, Any]]:
        """A row for each session."""
        return [session.as_json() for session in self.sessions]
