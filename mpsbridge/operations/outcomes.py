"""From what became of each host to what became of the call. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from mpsbridge.errors import Interrupted, NotBegun, NoTurn, Refused, Stopped, TransportClosed
from mpsbridge.models.complaints import LIKE
from mpsbridge.models.counts import counted
from mpsbridge.models.outcomes import REFUSED, Done, Failed, Outcome, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import Observation, Result, Session, SessionResult
from mpsbridge.models.then import Then
from mpsbridge.planning.selection import USER, Selector, may_be_meant
from mpsbridge.runs.ended import PLANNED, EndValue
from mpsbridge.runs.verdict import RunVerdict, Verdict, facts_of

V = TypeVar("V")


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


_AS_IT_SHOULD = frozenset({Result.SHOWN, Result.DISCONNECTED, Result.ENDED, Result.GONE})
"""What became of a session as it should."""


def sum_up(
    hosts: Sequence[Sequence[SessionResult]],
    became: str,
    *,
    dry_run: bool,
    not_done: Mapping[Result, str] | None = None,
) -> str:
    """How many of the chosen sessions became what they should; hosts are those that had one. Who is kept is apart.

    ``became`` is a sentence about ``{sessions}``, with ``{would_be}`` where the dry run says so; ``not_done`` are the
    words for those that are left out, where they were meant as well.
    """
    chosen = [[one.result for one in results if not_done or one.result is not Result.KEPT] for results in hosts]
    results, count = [result for each in chosen for result in each], sum(map(bool, chosen))
    words = not_done or {Result.KEPT: Result.KEPT.value}
    left_out = Counter(words[one.result] for each in hosts for one in each if one.result in words)
    beside = "".join(f", {number} {word}" for word, number in left_out.items())
    if not set(results) - {Result.KEPT}:
        return f"nothing to do on {counted(len(hosts), 'host')}{beside}"
    if dry_run:
        hit = results.count(Result.WOULD)
        sessions = counted(hit, "session") if hit == len(results) else f"{hit} of {counted(len(results), 'session')}"
        said = became.format(sessions=sessions, would_be="would be ")
    else:
        well = sum(result in _AS_IT_SHOULD for result in results)
        said = became.format(sessions=f"{well} of {counted(len(results), 'session')}", would_be="")
    return f"{said} on {counted(count, 'host')}{beside}"


_FOLLOWED = {
    Then.RESTART: "restarted",
    Then.SHUTDOWN: "shut down",
    Then.CONSOLE_MODE: "switched to console mode",
    Then.STATION_MODE: "switched to station mode",
}
"""What would be done to a host, by what follows."""
MANY_HOSTS = 4
"""From here on hosts of the same outcome share one line."""


def sum_up_end(values: Sequence[EndValue], *, dry_run: bool) -> str:
    """What became of the sessions of the procedure, or would; and in a dry run what would become of the hosts."""
    down = [value for value in values if _goes_down(value)] if dry_run else []
    if not down:
        became = "{sessions} {would_be}ended" if dry_run else "{sessions} gone"
        return sum_up([value.sessions for value in values], became, dry_run=dry_run)
    ended = sum(one.result is Result.WOULD for value in values for one in value.sessions)
    empty = sum(_is_empty(value) for value in down)
    followed = f"{counted(len(down), 'host')} {'' if ended else 'would be '}{_FOLLOWED[down[0].then]}"
    nobody = "" if not empty else "; nobody is on" if not ended else f"; nobody is on {empty} of them"
    sessions = f"{counted(ended, 'session')} would be ended and " if ended else ""
    return f"{sessions}{followed}{nobody}"


def _goes_down(value: EndValue) -> bool:
    return value.dry_run and value.outcome == PLANNED and value.then in _FOLLOWED


def _is_empty(value: EndValue) -> bool:
    return not any(one.result is Result.WOULD for one in value.sessions)


def ends_in_words(outcomes: Iterable[Outcome[EndValue]]) -> list[str]:
    """What became of each host, or would; many hosts that came to the same good end share one line."""
    said: dict[str, list[Done[EndValue]]] = {}
    for one in outcomes:
        if isinstance(one, Done):
            said.setdefault(_end_in_words(one.value), []).append(one)
    lines: list[str] = []
    for words, hosts in said.items():
        names = [one.host for one in hosts]
        if len(hosts) < MANY_HOSTS:
            lines += [f"{host}: {words}" for host in names]
        elif hosts[0].value.facts.verdict is Verdict.DONE:
            lines.append(f"{counted(len(hosts), 'host')}: {words}")
        else:
            lines.append(f"{', '.join(names)}: {words}")
    return lines


def _end_in_words(value: EndValue) -> str:
    if _goes_down(value):
        return f"would be {_FOLLOWED[value.then]}" + ("; nobody is on" if _is_empty(value) else "")
    return value.facts.in_words(value.outcome)


_UNFINISHED = {
    TransportClosed.kind: "interrupted",
    Stopped.kind: "interrupted",
    NotBegun.kind: "not begun",
    NoTurn.kind: "not begun",
}


def without_value(outcomes: Sequence[Outcome[V]], *, acts: bool, was_interrupted: bool) -> list[str]:
    """How many hosts have no value, by what became of them.

    A connection that was lost is not an interruption, unless a person broke off what was at work: of a call that
    ``acts`` nobody knows then what was done.
    """
    counts: dict[str, int] = {}
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            word = _UNFINISHED.get(outcome.failure.kind, "failed")
            if was_interrupted and outcome.failure.kind == Interrupted.kind:
                word = "interrupted"
            elif acts and outcome.failure.may_have_run:
                word = "unknown"
        elif isinstance(outcome, Skipped):
            word = "refused" if outcome.is_refusal else _UNFINISHED.get(outcome.kind, "skipped")
        else:
            continue
        counts[word] = counts.get(word, 0) + 1
    return [f"{counted(count, 'host')} {word}" for word, count in counts.items()]


def failures_by_kind(outcomes: Iterable[object]) -> list[tuple[str, list[str]]]:
    """The hosts that failed, by the kind of their failure; the kind with the most hosts first."""
    kinds: dict[str, list[str]] = {}
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            kinds.setdefault(outcome.failure.kind, []).append(outcome.host)
    return sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0]))


def not_found(missing: Sequence[Sequence[str]], people: Iterable[tuple[str, Session]], *, hosts: int) -> str:
    """A sentence about what was named and is on no host; empty where all was found or not every host could be asked.

    ``people`` are the sessions that are there, by their hosts: the nearest name is told.
    """
    if len(missing) != hosts or not (nowhere := _nowhere(missing)):
        return ""
    named = ((host, one.id, one.account or one.user) for host, one in people)
    near = _nearest([one.removeprefix(USER) for one in nowhere if one.startswith(USER)], named)
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


def not_listed(outcomes: Sequence[Outcome[Observation]], selector: Selector) -> str:
    """The same sentence about a listing that the selector filters: its sessions are those that were found.

    Empty also where the call was broken off, or a host kept nothing to look at.
    """
    seen = [(each.host, each.value) for each in outcomes if isinstance(each, Done)]
    if not seen or len(seen) != len(outcomes):
        return ""
    found = [session for _, one in seen for session in one.sessions]
    rows = [(host, row.id, row.username) for host, one in seen for row in one.rows if row.username]
    names, ids = {name.casefold() for _, _, name in rows}, {number for _, number, _ in rows}
    missing = [
        USER + user
        for user in selector.users
        if user.rpartition("\\")[2].casefold() not in names and not any(may_be_meant(one, user) for one in found)
    ]
    near = _nearest([user.removeprefix(USER) for user in missing], rows)
    missing += [f"session {number}" for number in selector.session_ids if number not in ids]
    return f"not found on any host: {', '.join(missing)}{near}" if missing else ""


def _nearest(users: Sequence[str], people: Iterable[tuple[str, int, str]]) -> str:
    """The names that are there and like those that are not, as the end of a sentence; people by host, id and name."""
    there: dict[str, str] = {}
    for host, number, account in people:
        name = account.rpartition("\\")[2]
        there.setdefault(name.casefold(), f"{name} (session {number} on {host})")
    wanted = [user.rpartition("\\")[2].partition("@")[0].casefold() for user in users]
    near = [each for user in wanted for each in difflib.get_close_matches(user, there, n=1, cutoff=LIKE)]
    return f"; did you mean {' and '.join(there[name] for name in dict.fromkeys(near))}?" if near else ""
