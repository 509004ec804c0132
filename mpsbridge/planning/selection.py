"""Who is meant: from sessions and a selector to a verdict with a reason. Pure.

Rules: selecting is strict (a whole account, or a whole name that is neither cut nor garbled: W6), the caller's own
session is never acted on, and a verdict ``refuse`` on any session of a host means that nothing is sent to that host;
it names the option that lifts it, where one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, StrictBool, model_validator

from mpsbridge.models.frozen import Frozen, Given
from mpsbridge.models.sessions import Observation, Result, Session, SessionResult, State
from mpsbridge.planning.exempt import Exemption, administrator, console, returning_stations, unknown_idle
from mpsbridge.planning.orphans import orphan, what_is_left
from mpsbridge.planning.planned import Seen
from mpsbridge.snippets.fields import AccountName

SAY_WHO = (
    "say who: --session ID, --user NAME, --all, --active, --disconnected, --disconnected-over 2h or --idle-over 2h"
)


USER = "user "
"""How a name begins among what was asked for and not found."""


class Act(StrEnum):
    """What shall be done to the chosen sessions."""

    MESSAGE = "message"
    DISCONNECT = "disconnect"
    RESET = "reset"
    LOGOFF = "logoff"


class Selector(Given):
    """Which sessions: different conditions combine by *and*, several ids or users by *or*."""

    session_ids: tuple[int, ...] = ()
    users: tuple[AccountName, ...] = ()
    everyone: StrictBool = False
    active: StrictBool = False
    """Somebody is in front of it, who sees a warning."""
    disconnected: StrictBool = False
    disconnected_over_s: int | None = Field(default=None, ge=0)
    idle_over_s: int | None = Field(default=None, ge=0)
    as_seen: tuple[Seen, ...] | None = None
    """What the ids stood for on one host when it was planned; null before."""

    @model_validator(mode="after")
    def _combine(self) -> Self:
        others = self.names_someone or self.goes_by_use
        if self.everyone and others:
            raise ValueError("--all stands alone; drop it or drop the other selectors")
        if self.active and self.wants_disconnected:
            raise ValueError("--active: a session is not active and disconnected; drop one of the two")
        if not (self.everyone or others):
            raise ValueError(SAY_WHO)
        for session_id in self.session_ids:
            if not 1 <= session_id <= 65535:
                raise ValueError(f"--session {session_id}: ids of people's sessions are 1 to 65535")
        return self

    @property
    def names_someone(self) -> bool:
        """Whether ids or users are named, as opposed to a filter."""
        return bool(self.session_ids or self.users)

    def names(self, session: Session) -> bool:
        """Whether the session's id is named, and it is the session that had it when it was planned."""
        if session.id not in self.session_ids or self.as_seen is None:
            return session.id in self.session_ids
        return any(seen.is_still(session) for seen in self.as_seen)

    @property
    def goes_by_use(self) -> bool:
        """Whether it asks how a session is used (active, idle, disconnected), which may change in a moment (W42)."""
        return self.active or self.wants_disconnected or self.idle_over_s is not None

    @property
    def wants_disconnected(self) -> bool:
        """Whether disconnected sessions are asked for in so many words."""
        return self.disconnected or self.disconnected_over_s is not None


class Verdict(Frozen):
    """One session and what shall become of it; ``lifted_by`` is the option that would lift a refusal."""

    session: Session
    decision: Literal["act", "keep", "refuse"]
    reason: str = ""
    lifted_by: str | None = None
    is_missed: bool = False
    """Whether a session that was named is left out, so that not all is done that was asked."""

    @property
    def as_planned(self) -> SessionResult:
        """What is told of the session as long as nothing was done."""
        result = Result.WOULD if self.decision == "act" else Result.REFUSED if self.is_missed else Result.KEPT
        return SessionResult(session=self.session, result=result, text=self.reason)


def refusals_in_words(verdicts: Iterable[Verdict]) -> list[str]:
    """What refuses, each reason once with its sessions and the option that lifts it."""
    groups: dict[tuple[str, str], list[Session]] = {}
    for verdict in verdicts:
        if verdict.decision == "refuse":
            groups.setdefault((verdict.reason, verdict.lifted_by or ""), []).append(verdict.session)
    return [lifted(f"{_named(sessions)}: {reason}", by) for (reason, by), sessions in groups.items()]


def lifted(reason: str, by: str) -> str:
    """A refusal as a sentence with the option that lifts it, if one does."""
    return f"{reason} ({by} allows it)" if by else reason


def _named(sessions: Sequence[Session]) -> str:
    """``session 3, alice``, or ``sessions 3, 14, 15``."""
    if len(sessions) == 1:
        return f"session {sessions[0].id}, {sessions[0].user or 'no user'}"
    return f"sessions {', '.join(str(session.id) for session in sessions)}"


class Plan(Frozen):
    """The verdicts of one host, and the names or ids that were asked for and not found there."""

    verdicts: tuple[Verdict, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What the person should know of the host."""

    @property
    def acts(self) -> tuple[Session, ...]:
        """The sessions to act on."""
        return tuple(verdict.session for verdict in self.verdicts if verdict.decision == "act")

    @property
    def refusals(self) -> tuple[Verdict, ...]:
        """The verdicts that keep anything from being sent to this host."""
        return tuple(verdict for verdict in self.verdicts if verdict.decision == "refuse")


class Allowed(Frozen):
    """What is spared or refused unless the administrator says otherwise: each field is the option of that name."""

    include_admins: StrictBool = False
    include_console: StrictBool = False
    disconnected_ok: StrictBool = False


NOT_SPECIFIED = Allowed()


def make_plan(seen: Observation, selector: Selector, act: Act, allowed: Allowed = NOT_SPECIFIED) -> Plan:
    """Give each chosen session of one host a verdict, in the order of the table."""
    chosen, doubtful, missing = choose(seen, selector)
    verdicts = [_judge(seen, session, selector, act, allowed) for session in chosen]
    asks_for_them = selector.names_someone or selector.wants_disconnected
    if act is Act.MESSAGE and asks_for_them and not any(verdict.decision == "act" for verdict in verdicts):
        verdicts = [verdict.model_copy(update={"decision": "refuse"}) for verdict in verdicts]
    plan = Plan(verdicts=(*verdicts, *doubtful), missing=missing)
    return plan.model_copy(update={"notes": tuple(_notes(seen, selector, act, plan.acts))})


def _notes(seen: Observation, selector: Selector, act: Act, acts: Sequence[Session]) -> Iterable[str]:
    if selector.idle_over_s is not None and (text := unknown_idle(seen)):
        yield text
    if act is Act.LOGOFF:
        yield from returning_stations(seen, {session.id for session in acts})


def matching(seen: Observation, selector: Selector) -> tuple[Session, ...]:
    """The sessions that a listing shows: the chosen ones, and those whose name may be meant."""
    chosen, doubtful, _ = choose(seen, selector)
    wanted = {session.id for session in chosen} | {verdict.session.id for verdict in doubtful}
    return tuple(session for session in seen.sessions if session.id in wanted)


def back_in_use(session: Session, selector: Selector) -> str:
    """Why a session that was chosen for its use is not meant any more, asked right before the act (W42); else empty.

    What cannot be seen any more counts as use.
    """
    if _passes_filters(session, selector):
        return ""
    if selector.active and session.state is not State.ACTIVE:
        return "not active any more"
    unseen = session.idle_s is None and (session.state is State.DISCONNECTED or not selector.wants_disconnected)
    return "its idle time is unknown at the last look" if unseen else "in use again"


def ask_again(plan: Plan, seen: Observation, selector: Selector, act: Act, allowed: Allowed) -> Plan:
    """The plan at a later look: a session to act on that is in use again is kept (W42), and one that is disconnected
    since is refused where the plan would have refused it.

    One that is not there as it was stays in the plan: what became of it is found out on the host, by its guard.
    """
    verdicts = []
    for verdict in plan.verdicts:
        planned = Seen.of(verdict.session)
        session = next((one for one in seen.sessions if planned.is_still(one)), None)
        if verdict.decision != "act" or session is None:
            verdicts.append(verdict)
        elif reason := back_in_use(session, selector):
            verdicts.append(Verdict(session=session, decision="keep", reason=reason))
        elif _is_spared_disconnected(session, selector, act, allowed):
            verdicts.append(_refuse_disconnected(session, selector))
        else:
            verdicts.append(verdict)
    return plan.model_copy(update={"verdicts": tuple(verdicts)})


def may_be_meant(session: Session, user: str) -> bool:
    """Whether the session is that user's, or its name might stand for that user (cut, garbled, without a domain)."""
    return _is_named(session, user) or _might_be(session, user)


def choose(seen: Observation, selector: Selector) -> tuple[list[Session], list[Verdict], tuple[str, ...]]:
    """Who is surely meant, a refusal for each session that only may be, and what was named and is not there."""
    pool = [session for session in seen.sessions if _passes_filters(session, selector)]
    if not selector.names_someone:
        return pool, [], ()
    chosen: dict[int, Session] = {}
    doubtful: dict[int, Verdict] = {}
    missing: list[str] = []
    for user in selector.users:
        found = [session for session in seen.sessions if _is_named(session, user)]
        doubts = _doubts(seen.sessions, user, found)
        doubtful.update({verdict.session.id: verdict for verdict in doubts})
        chosen.update({session.id: session for session in found if session in pool and not doubts})
        if not found and not doubts:
            missing.append(USER + user)
    if selector.session_ids:
        listed = {session.id: session for session in seen.sessions if selector.names(session)}
        for session_id in selector.session_ids:
            if lost := orphan(seen, session_id):
                reason = f"{what_is_left(seen, session_id)}; 'mpsbridge reset' ends what is left of it"
                doubtful[session_id] = Verdict(session=lost, decision="refuse", reason=reason)
            elif session_id not in listed:
                missing.append(_missing_id(seen, session_id))
            elif selector.users and not any(_is_named(listed[session_id], user) for user in selector.users):
                missing.append(f"session {session_id} of {' or '.join(selector.users)}")
        by_id = [session for session in pool if session.id in listed]
        chosen = {session.id: session for session in by_id if not selector.users or session.id in chosen}
        doubtful = {key: verdict for key, verdict in doubtful.items() if key in selector.session_ids}
    order = [session for session in seen.sessions if session.id in chosen]
    return order, list(doubtful.values()), tuple(missing)


def _passes_filters(session: Session, selector: Selector) -> bool:
    if selector.wants_disconnected and session.state is not State.DISCONNECTED:
        return False
    if selector.active and session.state is not State.ACTIVE:
        return False
    limits = [limit for limit in (selector.disconnected_over_s, selector.idle_over_s) if limit is not None]
    return not limits or (session.idle_s is not None and session.idle_s >= max(limits))


def _is_named(session: Session, user: str) -> bool:
    """Whether the session is surely that user's: names are compared whole and without case."""
    wanted = user.casefold()
    account = (session.account or "").casefold()
    if "\\" in wanted:
        return account == wanted
    if account:
        return account.rpartition("\\")[2] == wanted
    return not session.is_uncertain and session.user.casefold() == wanted


def _might_be(session: Session, user: str) -> bool:
    """Whether a cut or garbled name, or a name without its domain, might stand for that user."""
    if session.account:
        return False
    name = user.casefold().rpartition("\\")[2]
    shown = session.user.casefold()
    if len(name) < len(shown) or (len(name) > len(shown) and not session.cut):
        return False
    return all(seen in {real, "?", "\ufffd"} for seen, real in zip(shown, name, strict=False))


def _doubts(sessions: tuple[Session, ...], user: str, found: list[Session]) -> list[Verdict]:
    """Refusals for a name that could mean more than one person."""
    people = {session.account.casefold() if session.account else session.user for session in found}
    if len(people) > 1:
        several = ", ".join(sorted({session.account or session.user for session in found}))
        reason = f"{user!r} may mean several people here ({several}); give DOMAIN\\name or --session"
        return [Verdict(session=session, decision="refuse", reason=reason) for session in found]
    if found:
        return []
    doubtful = [session for session in sessions if _might_be(session, user)]
    reason = (
        "the table shows {shown!r}, which may be {user!r} (cut, garbled or without its domain); give --session {id}"
    )
    return [
        Verdict(
            session=session,
            decision="refuse",
            reason=reason.format(shown=session.user, user=user, id=session.id),
        )
        for session in doubtful
    ]


def _missing_id(seen: Observation, session_id: int) -> str:
    for row in seen.rows:
        if row.id == session_id:
            return f"session {session_id} ({row.sessionname or 'no name'}, {row.state_raw}: nobody's)"
    return f"session {session_id}"


def _judge(seen: Observation, session: Session, selector: Selector, act: Act, allowed: Allowed) -> Verdict:
    """The verdict on one chosen session: an ordered list of small rules, the first that speaks wins."""
    named = selector.names_someone
    if session.own:
        return Verdict(session=session, decision="refuse" if named else "keep", reason="the session of this very call")
    can_be_told = session.guard is not None or session.admin is True  # otherwise nothing is known of it at all
    if act is not Act.MESSAGE and can_be_told and (spared := _exempt(session, allowed, is_named=named)):
        reason, lifted_by = spared
        return Verdict(session=session, decision="keep", reason=f"{reason} ({lifted_by} allows it)")
    if session.guard is None:
        return Verdict(session=session, decision="refuse", reason=seen.unguarded)
    if session.state is not State.DISCONNECTED:
        return Verdict(session=session, decision="act")
    if act is Act.MESSAGE:
        reason = "disconnected: nobody would see it"
        return Verdict(session=session, decision="keep", reason=reason, is_missed=named)
    if act is Act.DISCONNECT:
        return Verdict(session=session, decision="keep", reason="disconnected already")
    if _is_spared_disconnected(session, selector, act, allowed):
        return _refuse_disconnected(session, selector)
    return Verdict(session=session, decision="act")


def _is_spared_disconnected(session: Session, selector: Selector, act: Act, allowed: Allowed) -> bool:
    """Whether it is a disconnected session that nobody asked to log off in so many words (W2)."""
    asked_for = selector.names_someone or selector.wants_disconnected or allowed.disconnected_ok
    return act is Act.LOGOFF and session.state is State.DISCONNECTED and not asked_for


def _refuse_disconnected(session: Session, selector: Selector) -> Verdict:
    reason = "disconnected: unsaved work in it would be lost and nobody would see a warning"
    if selector.everyone:
        reason += "; --active leaves it alone"
    return Verdict(session=session, decision="refuse", reason=reason, lifted_by="--disconnected-ok")


def _exempt(session: Session, allowed: Allowed, *, is_named: bool) -> Exemption:
    return administrator(session, include_admins=allowed.include_admins, is_named=is_named) or console(
        session, include_console=allowed.include_console, is_named=is_named
    )
