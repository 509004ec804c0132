"""From what became of each host to what became of the call. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from mpsbridge.errors import NotBegun, NoTurn, Refused
from mpsbridge.models.outcomes import REFUSED, Failed, Outcome, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import Session
from mpsbridge.planning.selection import USER
from mpsbridge.runs.verdict import RunVerdict, facts_of

V = TypeVar("V")
LIKE = 0.7
"""From here on a name is like another: it is only told, so it may be less like it than where it refuses a call."""


def judge(outcomes: Sequence[object], effect: Effect, *, interrupted: bool = False) -> RunVerdict:
    """What became of a call; one that only reads leaves nothing unknown."""
    facts = [facts_of(outcome, effect) for outcome in outcomes]
    results = (result for host in facts for result in host.results)
    return RunVerdict.of((host.verdict for host in facts), results, interrupted=interrupted)


def never_begun(look: Failed | Skipped, *, note: str = "") -> Failed | Skipped:
    """A look that failed, told of the act that was to follow: the look may have run, the act has not.

    ``note`` is what else is to be known of a host that could not be looked at.
    """
    if isinstance(look, Skipped):
        return look
    failure = look.failure.model_copy(update={"may_have_run": False})
    return look.model_copy(update={"failure": failure, "note": "; ".join(filter(None, (look.note, note)))})


def refused_is_skipped(outcome: Outcome[V]) -> Outcome[V]:
    """A host that refuses what was asked, before anything was sent, is skipped: that is no failure of the host."""
    if isinstance(outcome, Failed) and outcome.failure.kind == Refused.kind and not outcome.failure.may_have_run:
        return Skipped.instead_of(outcome, REFUSED + outcome.failure.message)
    return outcome


def not_begun_is_skipped(outcome: Outcome[V]) -> Outcome[V]:
    """A host whose turn never came is skipped: that is no failure of the host, unless a run that died was there."""
    failure = outcome.failure if isinstance(outcome, Failed) else None
    if failure and failure.kind in {NotBegun.kind, NoTurn.kind} and not failure.may_have_run:
        return Skipped.instead_of(outcome, failure.message, kind=failure.kind)
    return outcome


def refusals_of(outcomes: Sequence[Outcome[V]]) -> list[str]:
    """What the hosts of a plan refuse, as sentences that begin with the host."""
    return [f"{one.host}: {one.reason.removeprefix(REFUSED)}" for one in outcomes if isinstance(one, Skipped)]


def not_found(missing: Sequence[Sequence[str]], people: Iterable[tuple[str, Session]], *, hosts: int) -> str:
    """A sentence about what was named and is on no host; empty where all was found or not every host could be asked.

    ``people`` are the sessions that are there, by their hosts: the nearest name is told.
    """
    if len(missing) != hosts or not (nowhere := _nowhere(missing)):
        return ""
    near = _nearest([one.removeprefix(USER) for one in nowhere if one.startswith(USER)], people)
    return f"not found on any host: {', '.join(nowhere)}{near}"


def may_be_there(missing: Sequence[Sequence[str]], *, hosts: int) -> str:
    """A note about each host that could not be looked at: what was named and is on no other host may be on it.

    Empty where all was found, or every host, or none, could be asked.
    """
    if len(missing) == hosts or not (nowhere := _nowhere(missing)):
        return ""
    return f"it could not be looked at and may have {', '.join(nowhere)}: not found on any other host"


def _nowhere(missing: Sequence[Sequence[str]]) -> list[str]:
    """What is missing on each host that was asked."""
    return sorted(set.intersection(*(set(each) for each in missing))) if missing else []


def _nearest(users: Sequence[str], people: Iterable[tuple[str, Session]]) -> str:
    """The names that are there and like those that are not, as the end of a sentence."""
    there: dict[str, str] = {}
    for host, session in people:
        name = (session.account or session.user).rpartition("\\")[2]
        there.setdefault(name.casefold(), f"{name} (session {session.id} on {host})")
    wanted = [user.rpartition("\\")[2].partition("@")[0].casefold() for user in users]
    near = [each for user in wanted for each in difflib.get_close_matches(user, there, n=1, cutoff=LIKE)]
    return f"; did you mean {' and '.join(there[name] for name in dict.fromkeys(near))}?" if near else ""
