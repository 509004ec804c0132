"""The lease: a mark on a host that a run is at work there, or that a person wants none to be. Pure.

It is a small JSON file that only administrators can write (W22). Rules: its times are the host's own, as CIM text; text
that cannot be read counts as held; nothing in it is ever executed. Any admin box can read it and finish or undo the
work: the logon mode that was found and the one that was set stand in it, and which notice went to whom. A damaged one
names nobody: it is known by the digest of its text alone, and nothing that stands in it is done or undone.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from mpsbridge.models.frozen import Answer, Frozen
from mpsbridge.models.harmless import harmless
from mpsbridge.models.sessions import CimTime, LogonMode, Observation, from_cim
from mpsbridge.snippets.fields import RunId
from mpsbridge.snippets.lease import LEASE_LIMIT

SHOWN = 200
"""Characters of an owner or a reason that are shown; the file may hold a quarter of a million."""
DIGITS = 16
"""Of a digest that are shown."""


def _moment(text: str) -> str:
    from_cim(text)
    return text


Moment = Annotated[CimTime, AfterValidator(_moment)]
"""A CIM datetime that is one: fourteen zeros have the form and are no time."""


class NoticeMark(Answer):
    """What became of one notice to one session, written by the very script that sends it."""

    id: int
    born: Moment | None = None
    notice: str
    mark: Literal["sending", "delivered", "failed"]
    at: Moment


class Lease(Answer):
    """Who is at work on a host, and what must be undone. ``run`` is null for a person's hold, which never expires."""

    schema_: Literal["mpsbridge-lease/1"] = Field(default="mpsbridge-lease/1", alias="schema")
    run: RunId | None
    """As scripts demand it: what no script takes could never be released."""
    owner: str
    reason: str = ""
    since: Moment
    expires: Moment | None
    found: LogonMode | None = None
    set: LogonMode | None = None
    ending: bool = False
    """The host is being given back: nothing of the run that comes late acts any more."""
    notices: tuple[NoticeMark, ...] = ()

    def text(self) -> str:
        """The file's content: one line of ASCII."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), separators=(",", ":"))

    def is_over(self, now: datetime) -> bool:
        """Whether its time has run out, by the host's clock."""
        return self.expires is not None and now > from_cim(self.expires)


class Damaged(Answer):
    """A lease that cannot be read, or not be believed (W22): held, by nobody who could be named.

    ``digest`` is the SHA-256 of its text as the host read it (as UTF-8), null where the host did not read it.
    """

    digest: str | None


def read_lease(text: str | None) -> Lease | Damaged | None:
    """The lease in a file's text; ``None`` where there is no file."""
    if text is None:
        return None
    try:
        return Lease.model_validate_json(text)
    except (ValidationError, ValueError):
        return Damaged(digest=_digest(text) if text else None)


def is_of_run(text: str | None, run: str) -> bool:
    """Whether the lease in a file's text is that run's."""
    lease = read_lease(text)
    return isinstance(lease, Lease) and lease.run == run


def is_ending(text: str | None) -> bool:
    """Whether the host of the lease in a file's text is being given back."""
    lease = read_lease(text)
    return isinstance(lease, Lease) and lease.ending


def keeps_out(text: str | None, now: datetime, *, run: str | None = None) -> Lease | Damaged | None:
    """The lease that keeps everybody but ``run`` from acting on the host, if one does."""
    lease = read_lease(text)
    if isinstance(lease, Lease) and (lease.is_over(now) or (run is not None and lease.run == run)):
        return None
    return lease


def expected_of(text: str | None) -> str | None:
    """How a script is told which lease it may replace: by its text, by its digest where that cannot be carried."""
    if not text or (len(text) <= LEASE_LIMIT and isinstance(read_lease(text), Lease)):
        return text
    return f"sha256:{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def doubts(problems: Sequence[str]) -> list[str]:
    """Why a lease cannot be read or believed, among the ``problems`` of the look that found it."""
    return [problem for problem in problems if problem.startswith("the lease ")]


class Holder(Frozen):
    """Who holds a host: a run, or a person (``run`` is null); of a damaged lease only its ``digest`` is known.

    ``since`` is the host's own time: a hold that is placed again is another one.
    """

    run: str | None = None
    owner: str | None = None
    reason: str = ""
    since: str | None = None
    digest: str | None = None

    @classmethod
    def of(cls, lease: Lease | Damaged) -> Holder:
        """What a lease says of it, as far as that is shown."""
        if isinstance(lease, Damaged):
            return cls(digest=lease.digest)
        owner, reason = harmless(lease.owner, limit=SHOWN), harmless(lease.reason, limit=SHOWN)
        return cls(run=lease.run, owner=owner, reason=reason, since=lease.since)

    @property
    def name(self) -> str:
        """It for people."""
        if self.owner is None:
            return "a lease that cannot be read" + (f" (digest {self.digest[:DIGITS]})" if self.digest else "")
        return named_holder(self.run, self.owner, self.reason)


def holder(lease: Lease | Damaged, problems: Sequence[str] = ()) -> str:
    """Who holds it, for people; why it cannot be read stands among the ``problems`` of the look that found it."""
    if isinstance(lease, Damaged) and not lease.digest and (why := doubts(problems)):
        return f"a lease that cannot be read ({'; '.join(why)})"
    return Holder.of(lease).name


def named_holder(run: str | None, owner: str, reason: str) -> str:
    """``run 2026... of root@box (updates)``; of a person's hold ``alice@box (exam)``."""
    who, why = harmless(owner, limit=SHOWN), harmless(reason, limit=SHOWN)
    return (f"run {run} of {who}" if run else who) + (f" ({why})" if why else "")


class RunFate(StrEnum):
    """How the run that holds a host stands, by the record of this machine."""

    DIED = "died"
    """Its process is gone: it can be gone on with."""
    OPEN = "open"
    """It came to its end and left something unknown: it can be gone on with."""
    STOPPED = "stopped"
    """A person stopped it, and it did not give everything back."""
    ENDED = "ended"
    AT_WORK = "at work"
    ELSEWHERE = "elsewhere"
    """This record knows nothing of it."""


FateOf = Callable[[str], RunFate | None]
"""What tells how a run stands; ``None`` where nobody can say."""


def no_fate(run: str) -> RunFate | None:
    """Where there is no record to ask."""
    del run
    return None


def held_by(seen: Observation, host: str, fate_of: FateOf = no_fate, *, may_take: bool = False) -> str:
    """Who holds a host, how that run stands, and the call that helps; empty where there is no lease.

    Of a run that can be gone on with two are named, because it can be given up as well. ``may_take``: the call has the
    option ``--take-over``.
    """
    lease = read_lease(seen.lease)
    if lease is None:
        return ""
    release, who = f"'mpsbridge release {shlex.quote(host)}'", holder(lease, seen.problems)
    if is_disbelieved(seen.lease, seen.problems):  # no script would release it, or take it over
        return f"{who}; {release} says what to do there"
    if isinstance(lease, Damaged) or lease.run is None:
        return f"{who}; {release} gives it back"
    goes_on = f"'mpsbridge resume {lease.run}' goes on with it, {release} gives it back"
    match fate_of(lease.run):
        case RunFate.DIED:
            return f"{who}, which died on this machine; {goes_on}"
        case RunFate.OPEN:
            return f"{who}, which is not finished; {goes_on}"
        case RunFate.AT_WORK:
            return f"{who}, which is at work on this machine; wait until it has ended, or stop it"
        case RunFate.STOPPED | RunFate.ENDED as fate:
            was = "was stopped" if fate is RunFate.STOPPED else "has ended"
            return f"{who}, which {was}; {release} gives it back"
        case RunFate.ELSEWHERE if not may_take:
            return f"{who}, whose record is not here; if it died, {release} gives it back"
        case RunFate.ELSEWHERE:
            return f"{who}, whose record is not here ({TAKE_OVER} allows it)"
    return f"{who} ({TAKE_OVER} allows it)" if may_take else f"{who}; {release} gives it back"


TAKE_OVER = "--take-over"


def is_disbelieved(text: str | None, problems: Sequence[str]) -> bool:
    """Whether a lease is there in a folder that others than administrators may write, so no script touches it."""
    return text == "" and any(problem.startswith("the lease is not believed") for problem in problems)


def why_held(
    seen: Observation, host: str, fate_of: FateOf = no_fate, *, run: str | None = None, may_take: bool = False
) -> str:
    """Why only ``run`` may act on the host: another run has it, or a person holds it; empty where nothing does."""
    if keeps_out(seen.lease, seen.observed, run=run) is None:
        return ""
    return f"the host is held by {held_by(seen, host, fate_of, may_take=may_take)}"
