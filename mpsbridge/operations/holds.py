"""``leases``, ``hold`` and ``release``: whose work a host is in, a person's "do not touch", and finishing what died.

Rule: releasing gives back exactly what the lease says was taken: first the lease is marked, so that nothing of that run
acts any more, then logons are restored, only if they are still as it set them, the failsafe goes, people who were told
of an end are told that it is off, and the lease goes last. A damaged lease says nothing that could be given back; it is
removed while it still has the digest that was asked about. No record that breaks keeps a host from being given back.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from pydantic import Field, JsonValue

from mpsbridge.errors import AnotherComputer, JournalError, JournalLost, MpsBridgeError, Refused, StillHeld
from mpsbridge.host import Host
from mpsbridge.models.counts import counted, listed
from mpsbridge.models.frozen import Frozen, Given
from mpsbridge.models.outcomes import Done, Failed, Failure, Outcome
from mpsbridge.models.sessions import LogonMode, Observation, Session, SessionResult, to_cim
from mpsbridge.operations.at_once import PlanAtOnce, Steps
from mpsbridge.operations.outcomes import never_begun, refused_is_skipped
from mpsbridge.operations.released import hosts_of, leave, open_runs_of
from mpsbridge.operations.workplace import Workplace
from mpsbridge.planning.lease import (
    DIGITS,
    Damaged,
    Lease,
    doubts,
    expected_of,
    held_by,
    holder,
    is_disbelieved,
    is_of_run,
    named_holder,
    read_lease,
)
from mpsbridge.planning.policy import Sender
from mpsbridge.procedure.cancellation import release_notices
from mpsbridge.procedure.notices import sender_of
from mpsbridge.procedure.past import other_computer, past_of
from mpsbridge.runs.events import Happening, Step, StepSent
from mpsbridge.runs.recording import BestEffort, Record
from mpsbridge.snippets.catalogue import load_templates
from mpsbridge.snippets.fields import Reason

T = TypeVar("T")
_CHANGED = "the lease has changed since and was left, so the host is still held"
_LOOK = "Look who holds it now: mpsbridge leases."
_REPAIR = (
    "Look on the host who may write there, then remove the folder, as an administrator of it: "
    'rmdir /s /q "%ProgramFiles%\\mpsbridge" (without /s where it leads elsewhere). The next run makes it new.'
)


class LeaseValue(Frozen):
    """What is known of one host's lease; all null where there is none."""

    run: str | None = None
    owner: str | None = None
    reason: str | None = None
    since: str | None = None
    expires: str | None = None
    found: LogonMode | None = None
    set: LogonMode | None = None
    logons: LogonMode | None = None
    readable: bool = True
    digest: str | None = None
    """Of a damaged lease; null too where the host could not read its text."""
    text: str = ""
    computer: str | None = None
    """The computer's own name."""

    @property
    def is_held(self) -> bool:
        """Whether anybody holds the host, or somebody's lease cannot be read."""
        return bool(self.owner) or not self.readable

    @property
    def who(self) -> str:
        """Who holds it, for people."""
        if not self.readable:
            return "a lease that cannot be read" + (f", digest {self.digest[:DIGITS]}" if self.digest else "")
        return named_holder(self.run, self.owner or "", self.reason or "")

    @classmethod
    def of(cls, seen: Observation) -> LeaseValue:
        """What a look tells."""
        lease, mode, computer = read_lease(seen.lease), seen.logon_mode, seen.computer
        if lease is None:
            return cls(logons=mode, computer=computer)
        if isinstance(lease, Damaged):
            said = "; ".join(doubts(seen.problems))
            return cls(logons=mode, computer=computer, readable=False, digest=lease.digest, text=said)
        return cls(
            computer=computer,
            run=lease.run,
            owner=lease.owner,
            reason=lease.reason,
            since=lease.since,
            expires=lease.expires,
            found=lease.found,
            set=lease.set,
            logons=mode,
        )


def lease_of(host: Host) -> LeaseValue:
    """Whose work the host is in."""
    return LeaseValue.of(host.look_beside_tables())


@dataclass(frozen=True)
class LeasePlan(PlanAtOnce["Hold | Release", LeaseValue, LeaseValue]):
    """What would be held or released, and what was found there."""

    leaves: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By host, the open runs of this record that lose it."""

    @property
    def command(self) -> str:
        """What the run is called in the record."""
        return self.operation.command

    def begin(self, work: Workplace, options: dict[str, JsonValue]) -> Record:
        """The record of this run, begun. Raises ``JournalError``."""
        return self.operation.begin(work, self.run, options)

    def on_host(self, work: Workplace, steps: Steps, planned: LeaseValue) -> LeaseValue:
        """Do it on one host."""
        return self.operation.on_host(work, steps, planned)

    def in_words(self, value: LeaseValue) -> str:
        """What became of a host."""
        return value.text

    def afterwards(self, work: Workplace, outcomes: list[Outcome[LeaseValue]]) -> list[Outcome[LeaseValue]]:
        """The outcomes; hosts that were released leave their runs, in the record of those, and say so."""
        self._leave_runs(work, outcomes)
        return outcomes

    def _leave_runs(self, work: Workplace, outcomes: list[Outcome[LeaseValue]]) -> None:
        """Let hosts that were released leave their runs, in the record of those; the outcomes say so."""
        released = [one.host for one in outcomes if isinstance(one, Done)]
        for run in dict.fromkeys(run for host in released for run in self.leaves.get(host, ())):
            hosts = [host for host in released if run in self.leaves.get(host, ())]
            try:
                held = any(self.by_host[host].run == run for host in hosts)
                has_ended = leave(work.record, run, hosts, actor=work.actor, held=held)
            except (JournalError, JournalLost) as error:
                work.sinks.warn(f"the record does not say that {listed(hosts)} has left run {run}: {error}")
                continue
            said = f"run {run} has ended by that" if has_ended else f"it has left run {run}"
            for place, one in enumerate(outcomes):
                if isinstance(one, Done) and one.host in hosts:
                    outcomes[place] = _saying(one, f"{one.value.text}; {said}")


class Hold(Given):
    """Keep every run away from the hosts until a person releases them."""

    reason: Annotated[Reason, Field(min_length=1)]

    def plan(self, work: Workplace) -> LeasePlan:
        """Look at every host: one that is held already is refused."""
        run, outcomes = (
            work.new_run(),
            [refused_is_skipped(one) for one in work.look(work.fleet(), lambda host: _unless_held(work, host))],
        )
        values = {place: one.value for place, one in enumerate(outcomes) if isinstance(one, Done)}
        would = [_saying(one, "would be held") if isinstance(one, Done) else never_begun(one) for one in outcomes]
        return LeasePlan(self, run, tuple(would), values)

    @property
    def command(self) -> str:
        """What the run is called in the record."""
        return "hold"

    def begin(self, work: Workplace, run: str, options: dict[str, JsonValue]) -> Record:
        """The record of this run. Raises ``JournalError``."""
        work.record.begin(run, command=self.command, reason=self.reason, options=options)
        return work.record

    def on_host(self, work: Workplace, steps: Steps, asked: LeaseValue) -> LeaseValue:
        """Write the hold where nothing is held. Raises ``Refused``."""
        del asked
        host, seen = steps.host, steps.host.look_beside_tables()
        if why := _already(work, host.name, seen):
            raise Refused(why)
        lease = Lease(run=None, owner=work.actor, reason=self.reason, since=to_cim(seen.observed), expires=None)
        written = steps.take(
            StepSent(step=Step.LEASE), lambda: host.set_lease(lease.text(), expected=None, run=steps.run)
        )
        if not written.changed:
            raise Refused("another run took the lease first", hint=_LOOK)
        held = LeaseValue.of(seen.model_copy(update={"lease": lease.text()}))
        return held.model_copy(update={"text": "held"})


def _unless_held(work: Workplace, host: Host) -> LeaseValue:
    seen = host.look_beside_tables()
    if held := _already(work, host.name, seen):
        raise Refused(held)
    return LeaseValue.of(seen)


def _already(work: Workplace, host: str, seen: Observation) -> str:
    """Why a host cannot be held: any lease is somebody's, also one that has run out. Empty where there is none."""
    held = held_by(seen, host, work.fate_of)
    return f"the host is held already by {held}" if held else ""


def _saying(outcome: Done[LeaseValue], text: str) -> Done[LeaseValue]:
    return outcome.model_copy(update={"value": outcome.value.model_copy(update={"text": text})})


class Release(Given):
    """Give back what an interrupted run or a person holds on the hosts.

    ``sender`` tells people that an end which was announced does not come; empty for the person at work.
    """

    sender: Sender = ""

    def plan(self, work: Workplace) -> LeasePlan:
        """Look who holds each host: one that is another computer by now than that of an open run is refused."""
        looks = work.fleet().run(lease_of)
        leaves = {one.host: _runs_that_lose(work, one.host, one.value) for one in looks if isinstance(one, Done)}
        outcomes = [
            (_elsewhere(work, one, leaves[one.host]) or one) if isinstance(one, Done) else never_begun(one)
            for one in looks
        ]
        found = {place: one.value for place, one in enumerate(outcomes) if isinstance(one, Done)}
        values = {place: value for place, value in found.items() if value.is_held or leaves[outcomes[place].host]}
        would = [
            _saying(one, "would be released" if place in values else _still_closed(one))
            if isinstance(one, Done)
            else one
            for place, one in enumerate(outcomes)
        ]
        return LeasePlan(self, work.new_run(), tuple(would), values, leaves)

    @property
    def command(self) -> str:
        """What the run is called in the record."""
        return "release"

    def begin(self, work: Workplace, run: str, options: dict[str, JsonValue]) -> Record:
        """The record of this run, as far as it can be kept: no host stays closed for want of one."""
        try:
            work.record.begin(run, command=self.command, reason="", options=options)
        except (JournalError, JournalLost) as error:
            work.sinks.warn(f"what is released stands in no record: {error}")
            return NoRecord()
        return BestEffort(work.record, [])

    def on_host(self, work: Workplace, steps: Steps, asked: LeaseValue) -> LeaseValue:
        """Release what was asked about, if it is still there. Raises ``StillHeld`` where no script could."""
        load_templates()
        seen = steps.host.look_beside_tables()
        there = LeaseValue.of(seen)
        if seen.lease is not None and (there.run, there.owner, there.digest) != (asked.run, asked.owner, asked.digest):
            raise StillHeld(_CHANGED, hint=_LOOK)
        return _give_back(steps, seen, sender=self.sender or sender_of(work.actor))


def _elsewhere(work: Workplace, look: Done[LeaseValue], runs: Sequence[str]) -> Failed | None:
    """The outcome of a host that nobody holds, and that is another computer than that of a run which would lose it: the
    true one is held still.
    """
    for run in () if look.value.is_held else runs:
        with suppress(JournalError, JournalLost):  # then nobody knows which computer it was
            names = [name for name in hosts_of(work.record.find(run)) if name.casefold() == look.host.casefold()]
            pasts = [past_of(work.record.entries(run, host=name)) for name in names]
            if why := next(filter(None, (other_computer(past.computer, look.value.computer) for past in pasts)), ""):
                failure = Failure.of(AnotherComputer(why))
                return Failed(host=look.host, address=look.address, elapsed_s=look.elapsed_s, failure=failure)
    return None


def _still_closed(outcome: Done[LeaseValue]) -> str:
    """That a host which nobody holds lets nobody log on, and what opens it; empty where that is not so."""
    mode = outcome.value.logons
    return _STAYS.format(mode=mode, host=shlex.quote(outcome.host)) if mode not in {None, LogonMode.ENABLED} else ""


_STAYS = "logons stay {mode}, which is not of a run: 'mpsbridge logons {host} --set enabled' opens them"


def _runs_that_lose(work: Workplace, host: str, lease: LeaseValue) -> tuple[str, ...]:
    """The runs in the record that lose a host where it is released; none by a person's hold that goes."""
    if lease.owner is not None and lease.run is None:
        return ()
    try:
        return tuple(open_runs_of(work.record, host, holder=lease.run))
    except (JournalError, JournalLost) as error:
        work.sinks.warn(f"{host}: the record does not tell which runs lose it: {error}")
        return ()


class NoRecord:
    """Where no record can be kept."""

    def record(self, run: str, host: str, what: Happening) -> int:
        """Nothing is kept."""
        del run, host, what
        return 0


def _give_back(steps: Steps, seen: Observation, *, sender: str) -> LeaseValue:
    """Give back what the lease says that was seen, as long as it is that one."""
    host, lease = steps.host, read_lease(seen.lease)
    if lease is None:
        return LeaseValue(logons=seen.logon_mode, text="nobody held it")
    if is_disbelieved(seen.lease, seen.problems):
        raise StillHeld(f"held by {holder(Damaged(digest=None), seen.problems)}", hint=_REPAIR)
    run = lease.run if isinstance(lease, Lease) and lease.run else steps.run
    said: list[str] = []
    mode, text = _restore(steps, lease, seen, run, said)
    if isinstance(lease, Lease) and lease.run:
        # It may be there before logons are closed.
        steps.take(StepSent(step=Step.FAILSAFE_REMOVE), lambda: host.remove_failsafe(run=run))
        text = _call_off(steps, lease, text, said, sender=sender)
    answer = steps.take(StepSent(step=Step.LEASE), lambda: host.set_lease(None, expected=text, run=run))
    if not answer.changed:
        raise StillHeld("; ".join([*said, _CHANGED]), hint=_LOOK)
    said.append("released")
    if isinstance(lease, Damaged) and mode is not LogonMode.ENABLED:
        said.append(f"logons are {mode or 'unknown'}: the lease did not say how they were, so they were left")
    return LeaseValue(logons=mode, text="; ".join(said))


def _restore(
    steps: Steps, lease: Lease | Damaged, seen: Observation, run: str, said: list[str]
) -> tuple[LogonMode | None, str | None]:
    """Mark the lease, and give logons back where they are still as it set them; the mode, and the lease as it is then.

    Raises ``StillHeld`` where the lease is not the one that was seen.
    """
    host, mode, text = steps.host, seen.logon_mode, expected_of(seen.lease)
    if not isinstance(lease, Lease) or lease.run is None:
        return mode, text  # no run that could go on acts by it
    marked = lease.model_copy(update={"ending": True}).text()
    written = steps.take(StepSent(step=Step.LEASE), lambda: host.set_lease(marked, expected=text, run=run))
    if not written.changed:
        raise StillHeld(_CHANGED, hint=_LOOK)
    found, closed = lease.found, lease.set
    if found is None or closed is None:
        return mode, marked
    mode = host.logons().mode
    if mode is closed:
        sent = StepSent(step=Step.LOGONS, logons=found)
        mode = steps.take(sent, lambda: host.set_logons(found, expected=closed, run=run)).mode
        said.append(f"logons are {mode} again")
    elif mode is not found:
        said.append(f"logons are {mode}: changed by others, and left so")
    return mode, marked


def _call_off(steps: Steps, lease: Lease, text: str | None, said: list[str], *, sender: str) -> str | None:
    """Tell people that the end which the run announced does not come; the lease as it is then, with the marks of that.

    Where they cannot be told, that is said, and the host is released all the same.
    """
    if not lease.notices:
        return text
    try:
        count = release_notices(_Recorded(steps), lease, steps.host.observe(), sender=sender)
        left = steps.host.look_beside_tables().lease
    except MpsBridgeError as error:
        said.append(f"people could not be told that the log-off is cancelled: {error}")
        return text
    if count:
        said.append(f"{counted(count, 'session')} told that the log-off is cancelled")
    return left if left is not None and is_of_run(left, str(lease.run)) else text


class _Recorded:
    """A host whose boxes stand in the record."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def message(
        self, sessions: Sequence[Session], text: str, *, display_s: int, run: str, notice: str | None = None
    ) -> tuple[SessionResult, ...]:
        """Show a box in each session, marked in the lease as ``notice``."""
        sent = StepSent(step=Step.MESSAGE, sessions=tuple(one.id for one in sessions), notice=notice)
        host = self._steps.host
        return self._steps.take(sent, lambda: host.message(sessions, text, display_s=display_s, run=run, notice=notice))
