"""Which orphaned sessions are reset: those that are named, and whose birth proves which session they are. Pure.

Nobody can be warned in an orphaned session, and there is nobody to log off. Its birth is its whole identity: the host
resets it only while that is the same and nothing in the table has its number, in the step that acts.
"""

from __future__ import annotations

from mpsbridge.models.sessions import Observation, Session, SessionGuard, to_cim
from mpsbridge.planning.orphans import orphan, what_is_left
from mpsbridge.planning.selection import Plan, Selector, Verdict

_NONE = "-"
"""Stands in a guard for the texts of a row that is not there; no row of Windows' tables matches it."""


def plan_resets(seen: Observation, selector: Selector) -> Plan:
    """A verdict for each session id that was named: orphans are reset, everything else is refused or missing."""
    listed = {session.id: session for session in seen.sessions}
    verdicts, missing = [], []
    for number in selector.session_ids:
        if session := listed.get(number):
            reason = "not orphaned; 'mpsbridge end' with --force-after logs it off, and resets it where that hangs"
            verdicts.append(Verdict(session=session, decision="refuse", reason=reason))
        elif session := orphan(seen, number):
            verdicts.append(_judge(seen, session))
        else:
            missing.append(f"orphaned session {number}")
    return Plan(verdicts=tuple(verdicts), missing=tuple(missing))


def _judge(seen: Observation, session: Session) -> Verdict:
    if seen.constrained:
        return Verdict(session=session, decision="refuse", reason=seen.unguarded)
    if session.born is None:
        reason = (
            f"{what_is_left(seen, session.id)}, and without a winlogon nothing proves which session it is; "
            f"run 'rwinsta {session.id}' on the host"
        )
        return Verdict(session=session, decision="refuse", reason=reason)
    guard = SessionGuard(id=session.id, born=to_cim(session.born), user=_NONE, logon=_NONE, state=_NONE)
    return Verdict(session=session.model_copy(update={"guard": guard}), decision="act")
