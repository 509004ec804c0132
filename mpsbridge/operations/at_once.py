"""What all operations have in common that are over in a moment: from a plan to what became of each host.

Rules: the record is open, and says of each host that is left out why, before anything is sent; each host is its own
step; a host that refuses before anything was sent is skipped; the run ends in the record whatever became of the hosts.
An operation adds its plan, what it does on one host, and its words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import JsonValue

from mpsbridge.errors import JournalLost, MpsBridgeError, Refused, Unexpected
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import Session
from mpsbridge.operations.outcomes import judge, refused_is_skipped
from mpsbridge.operations.workplace import RunResult, Watch, Workplace, nothing_is_sent
from mpsbridge.runs.events import Finished, HostStopped, Phase, SessionJudged, Step, StepSent
from mpsbridge.runs.recording import Record, recorded

O = TypeVar("O")  # noqa: E741 - the operation
V = TypeVar("V")
W = TypeVar("W")
T = TypeVar("T")


@dataclass(frozen=True)
class Steps:
    """One host, and the record of what is sent to it."""

    record: Record
    run: str
    host: Host

    def take(self, what: StepSent, act: Callable[[], T]) -> T:
        """Send one step: intent before, outcome after."""
        return recorded(self.record, self.run, self.host.name, what, act)

    def name(self, sessions: Iterable[Session], act: Step) -> None:
        """Record the sessions that ``act`` is about to touch: an answer that is lost leaves their names.

        Raises ``JournalLost``; nothing was sent then.
        """
        try:
            for session in sessions:
                self.record.record(self.run, self.host.name, SessionJudged.of(session, act, "act"))
        except JournalLost as error:
            error.may_have_run = False
            raise

    def finish(self, act: Callable[[], V], in_words: Callable[[V], str]) -> V:
        """Do all of them, and record what became of the host, in words where it was done.

        What was raised, or done, counts more than a record that breaks now: the end of the run will say that it did.
        """
        try:
            value = act()
        except BaseException as raised:
            error = raised if isinstance(raised, MpsBridgeError) else Unexpected.of(raised)
            is_refused = error.kind == Refused.kind and not error.may_have_run
            stopped = HostStopped(
                why=error.message,
                error=error.kind,
                may_have_run=error.may_have_run,
                phase=Phase.PLAN if is_refused else Phase.ACT,
            )
            with suppress(JournalLost):
                self.record.record(self.run, self.host.name, stopped)
            if error is raised or isinstance(raised, KeyboardInterrupt):  # a person's wish, and not a fault
                raise
            raise error from raised
        with suppress(JournalLost):
            self.record.record(self.run, self.host.name, Finished(outcome=in_words(value), phase=Phase.ACT))
        return value


@dataclass(frozen=True)
class PlanAtOnce(Generic[O, V, W]):
    """What would be done: the outcome of each host as long as nothing is sent, and those on which there is work."""

    operation: O
    run: str
    outcomes: tuple[Outcome[V], ...]
    planned: dict[int, W]
    """What is to be done, or was found, by the host's place in the order given; only of hosts with work."""

    @property
    def by_host(self) -> dict[str, W]:
        """The same by host."""
        return {self.outcomes[place].host: each for place, each in self.planned.items()}

    @property
    def hosts(self) -> list[str]:
        """The hosts on which something is to be done."""
        return list(self.by_host)

    @property
    def command(self) -> str:
        """What the run is called in the record."""
        raise NotImplementedError

    @property
    def effect(self) -> Effect:
        """What it does to people."""
        return Effect.DISRUPT

    def on_host(self, work: Workplace, steps: Steps, planned: W) -> V:
        """Do it on one host."""
        raise NotImplementedError

    def in_words(self, value: V) -> str:
        """What became of a host, for the record."""
        raise NotImplementedError

    def options(self) -> dict[str, JsonValue]:
        """What the record keeps of the call, beside the hosts."""
        return {}

    def begin(self, work: Workplace, options: dict[str, JsonValue]) -> Record:
        """The record of this run, begun. Raises ``JournalError``."""
        work.record.begin(self.run, command=self.command, reason="", options=options)
        return work.record

    def left_out(self, work: Workplace, record: Record, outcome: Done[V]) -> None:
        """Record what the plan leaves out on a host that was looked at; nothing by itself."""

    def afterwards(self, work: Workplace, outcomes: list[Outcome[V]]) -> list[Outcome[V]]:
        """The outcomes, when the last word on each host is in the record."""
        del work
        return outcomes

    def carry_out(self, work: Workplace, watch: Watch) -> RunResult[V]:
        """Do this, and say what became of each host."""
        del watch  # over in a moment
        fleet, by_host = work.fleet(), self.by_host
        record = self._open(work)

        def job(host: Host) -> V:
            steps = Steps(record, self.run, host)
            return steps.finish(lambda: self.on_host(work, steps, by_host[host.name]), self.in_words)

        outcomes, places = list(self.outcomes), list(self.planned)
        for place, outcome in zip(places, fleet.run(job, only=places), strict=True):
            outcomes[place] = refused_is_skipped(outcome)
        outcomes = self.afterwards(work, outcomes)
        verdict = judge(outcomes, self.effect, interrupted=fleet.interrupted)
        work.end_record(self.run, verdict, outcomes)
        return RunResult(self.run, tuple(outcomes), verdict)

    def _open(self, work: Workplace) -> Record:
        """Begin the record: each host that refuses, could not be looked at, or has nothing to be done is in it."""
        hosts: Sequence[str] = [outcome.host for outcome in self.outcomes]
        work.admit(self.run, hosts)
        record = self.begin(work, {"hosts": list(hosts), **self.options()})
        with nothing_is_sent():
            for place, outcome in enumerate(self.outcomes):
                if not isinstance(outcome, Done):
                    work.record_not_sent(self.run, outcome, record=record)
                    continue
                self.left_out(work, record, outcome)
                if place not in self.planned:
                    record.record(self.run, outcome.host, Finished(outcome="nothing to do", phase=Phase.PLAN))
        return record
