"""What was meant to spare somebody and spares nobody: a slip of the pen, perhaps, and a session would be ended. Pure.

Rules: it is a question about all hosts of a call, for people move between them. What matches nothing is always said,
with the nearest name; it refuses the call where that is the name of a session that would be ended, or where the host is
not known. A name like no other is only said: people keep exceptions in their scripts for accounts that are seldom on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from mpsbridge.planning.policy import HostPlan, Policy, keeps_program, keeps_session, keeps_user
from mpsbridge.planning.selection import Verdict

NEAR = 0.8
"""From here on two names are near, by :class:`difflib.SequenceMatcher`: a letter too many, too few, another one or two
exchanged in a name of five. Of three letters ``tim`` and ``tom`` are two people, ``bob`` and ``bobby`` are, too.
"""
GO_ON = "correct the option, or leave it out"
_DIGIT = re.compile(r"\d")


class Unmatched(NamedTuple):
    """What matches nothing, as a sentence; ``refuses`` where it looks like a slip that costs somebody the session."""

    text: str
    refuses: bool = False


def unmatched(policy: Policy, plans: Mapping[str, HostPlan], *, hosts: Collection[str]) -> tuple[Unmatched, ...]:
    """What of a policy's ``keep_...`` matches nothing on any of the hosts; ``hosts`` are all that are known.

    ``plans`` are of those that could be looked at: of the others nobody knows.
    """
    matched = {word for plan in plans.values() for word in plan.matched}
    verdicts = [(host, verdict) for host, plan in plans.items() for verdict in plan.verdicts]
    return (
        *(_of_user(user, verdicts) for user in policy.keep_users if keeps_user(user) not in matched),
        *(
            _of_session(host, number, plans, hosts)
            for host, number in policy.keep_sessions
            if keeps_session(host, number) not in matched
        ),
        *(
            Unmatched(f"{keeps_program(name)}: it runs in no session of the hosts that were looked at")
            for name in policy.keep_running
            if keeps_program(name) not in matched
        ),
    )


class _Near(NamedTuple):
    """A session with a name like the one that was given."""

    ends: bool
    """Whether it would be ended, and may have been meant."""
    likeness: float
    host: str
    verdict: Verdict


def _of_user(wanted: str, verdicts: Iterable[tuple[str, Verdict]]) -> Unmatched:
    """The nearest name, and rather that of a session that would be ended."""
    near = [found for host, verdict in verdicts if (found := _compare(wanted, host, verdict)).likeness >= NEAR]
    said = f"{keeps_user(wanted)}: not found on any host"
    if not near:
        return Unmatched(said)
    best = max(near, key=lambda found: (found.ends, found.likeness))
    session = best.verdict.session
    said = f"{said}; did you mean {session.account or session.user} (session {session.id} on {best.host})?"
    return Unmatched(f"{said} It would be ended: {GO_ON}", refuses=True) if best.ends else Unmatched(said)


def _compare(wanted: str, host: str, verdict: Verdict) -> _Near:
    """Names are compared without their domains. Accounts that differ by their numbers only are different people."""
    one, other = _bare(wanted), _bare(verdict.session.account or verdict.session.user)
    numbered = one != other and _DIGIT.sub("0", one) == _DIGIT.sub("0", other)
    likeness = difflib.SequenceMatcher(None, one, other).ratio()
    return _Near(verdict.decision == "act" and not numbered, likeness, host, verdict)


def _bare(name: str) -> str:
    r"""``jane`` of ``SCHOOL\jane`` and ``jane@school.example``."""
    return name.rpartition("\\")[2].partition("@")[0].casefold()


def _of_session(host: str, number: int, plans: Mapping[str, HostPlan], hosts: Collection[str]) -> Unmatched:
    option, known = keeps_session(host, number), {each.casefold(): each for each in hosts}
    if host.casefold() not in known:
        near = difflib.get_close_matches(host.casefold(), known, n=1)
        meant = f"; did you mean {known[near[0]]}?" if near else "."
        return Unmatched(f"{option}: {host} is not a known host{meant} {GO_ON.capitalize()}", refuses=True)
    plan = next((plan for name, plan in plans.items() if name.casefold() == host.casefold()), None)
    if plan is None:
        return Unmatched(f"{option}: {host} was not looked at")
    there = ", ".join(f"{one.session.id} ({one.session.user})" for one in plan.verdicts)
    return Unmatched(f"{option}: no session {number} on {host}" + (f"; there are {there}" if there else ""))
