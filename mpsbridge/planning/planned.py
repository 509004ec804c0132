"""Which sessions a plan was about, so that it can be carried out later on these and no others. Pure.

Rule: a session is told by its birth, or, where none can be read, by the texts of its row. Windows gives an id to
somebody else as soon as it is free, who was not meant.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import AwareDatetime

from mpsbridge.models.frozen import Frozen
from mpsbridge.models.sessions import Session


class Seen(Frozen):
    """The session behind an id in a look."""

    id: int
    born: AwareDatetime | None
    user_text: str
    logon_text: str | None
    user: str = ""
    account: str | None = None
    is_meant: bool = False
    """Whether it was to be ended."""

    @classmethod
    def of(cls, session: Session, *, is_meant: bool = False) -> Seen:
        """A session as it is in a look."""
        return cls(
            id=session.id,
            born=session.born,
            user_text=session.user_text,
            logon_text=session.logon_text,
            user=session.user,
            account=session.account,
            is_meant=is_meant,
        )

    def is_still(self, session: Session) -> bool:
        """Whether a later look shows that very session."""
        if self.born is not None and session.born is not None:
            return (self.id, self.born) == (session.id, session.born)
        return (self.id, self.user_text, self.logon_text) == (session.id, session.user_text, session.logon_text)

    @property
    def remembered(self) -> Session:
        """The session as it is remembered, where it is not there any more."""
        return Session.remembered(self.id, user=self.user, account=self.account, state=None, born=self.born)


class PlannedHost(Frozen):
    """What a plan says of one host: when it was looked at (by the host's clock), the sessions that it ends, and those
    whose ids an option names; of all others the record of a run keeps nothing.
    """

    at: AwareDatetime | None = None
    computer: str | None = None
    """The computer's own name."""
    sessions: tuple[Seen, ...] = ()

    def ends(self, session: Session) -> bool:
        """Whether the plan ends that very session."""
        return any(one.is_meant and one.is_still(session) for one in self.sessions)

    def had(self, session: Session) -> bool:
        """Whether the plan knew that very session by an id that an option names, or ends it."""
        return any(one.is_still(session) for one in self.sessions)

    def absent_from(self, sessions: Iterable[Session]) -> list[Session]:
        """The sessions that the plan ends, and that are not among these."""
        there = list(sessions)
        return [one.remembered for one in self.sessions if one.is_meant and not any(map(one.is_still, there))]
