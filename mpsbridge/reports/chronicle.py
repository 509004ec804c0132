"""The record of one host, read in order, becomes a :class:`~mpsbridge.reports.report.HostReport`. Pure.

Rules: the record may end anywhere: what is missing is left out, and never an error; every step was recorded before it
was sent, so a session that stands in no step was left alone; a later word about a session counts more than an earlier
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any

from mpsbridge.errors import HostReleased, NotBegun
from mpsbridge.models.sessions import LogonMode, Result
from mpsbridge.procedure.context import Identity
from mpsbridge.reports.report import Fate, HostReport, Mark, Notice, Person, PhaseSpan, Seen, StepReport
from mpsbridge.runs.events import (
    Booted,
    EndAnnounced,
    Finished,
    Happening,
    HostStopped,
    LeaseReleased,
    LeaseTaken,
    LogonsClosed,
    LogonsRestored,
    Looked,
    NobodyLeft,
    OrderGiven,
    OrderUnanswered,
    OthersOrder,
    Phase,
    Resumed,
    SessionJudged,
    SessionSettled,
    SessionTold,
    Step,
    StepAnswered,
    StepSent,
    StepUnanswered,
    WentWrong,
)
from mpsbridge.runs.journal import Entry
from mpsbridge.runs.verdict import HostFacts

_MARKS = (
    Resumed,
    LeaseTaken,
    LogonsClosed,
    NobodyLeft,
    OrderGiven,
    OrderUnanswered,
    OthersOrder,
    Booted,
    LogonsRestored,
    LeaseReleased,
    WentWrong,
)
"""What has no length on a picture of time."""
_UNTOUCHED = HostFacts(error=NotBegun.kind)
_DECIDED = {"act": None, "keep": Result.KEPT, "refuse": Result.REFUSED}


def host_report(host: str, entries: Sequence[Entry], *, command: str) -> HostReport:
    """Tell what the record says of one host."""
    if not entries:
        return HostReport(host=host, status=_UNTOUCHED.verdict, outcome="nothing was sent")
    reader = _Reader(entries, command)
    reader.settle()
    return reader.report(host)


class _Reader:
    """Goes through the entries once and collects."""

    def __init__(self, entries: Sequence[Entry], command: str) -> None:
        self.people: dict[Identity, Person] = {}
        self.steps: dict[int, StepReport] = {}
        self.last: Finished | HostStopped | None = None
        """What the record says became of the host; nothing while a step follows it (a run that was resumed)."""
        self._entries = entries
        self._command = command
        self._zone = _zone(entries)
        self._phases: list[tuple[Phase, datetime]] = []
        self._missed: dict[Identity, datetime] = {}
        """Sessions that were not there any more, since which look."""
        self._marks: list[Mark] = []
        self._seen: list[Seen] = []
        self._problems: list[str] = []
        self._is_held = False
        self._ordered: datetime | None = None
        self._booted: datetime | None = None
        for entry in entries:
            self._read(entry)

    def _at(self, entry: Entry) -> datetime:
        return self._local(entry.at) or entry.at

    def _read(self, entry: Entry) -> None:
        what, at = entry.what, self._at(entry)
        if what.phase and (not self._phases or self._phases[-1][0] is not what.phase):
            self._phases.append((what.phase, at))
        match what:
            case StepSent():
                self._sent(entry.number, what, at)
            case StepAnswered():
                self._answered(what, at)
            case StepUnanswered() if what.intent in self.steps:
                self._unanswered(self.steps[what.intent], what.error)
            case Looked():
                self._looked(what, at)
            case SessionJudged():
                self._judged(what, at)
            case SessionSettled():
                who = self._who(at, what.session, self._local(what.born))
                self._change(who, result=what.result, text=what.why, at=self._missed.get(who, at))
            case EndAnnounced():
                self._announced(what.ends)
            case _:
                self._became(what, at)

    def _became(self, what: Happening, at: datetime) -> None:
        """Take in what happened to the host itself."""
        match what:
            case OrderGiven():
                self._ordered = self._ordered or at
            case Booted():
                self._booted = at
            case LeaseTaken() | LeaseReleased():
                self._is_held = isinstance(what, LeaseTaken)
            case WentWrong():
                self._problems.append(what.why)
            case Finished() | HostStopped():
                self.last = what
                has_left = isinstance(what, HostStopped) and what.error == HostReleased.kind
                self._is_held &= not (has_left or (isinstance(what, Finished) and what.given_back))
                self._problems += [each for each in what.problems if each not in self._problems]
            case _:
                pass
        if isinstance(what, _MARKS):
            self._marks.append(Mark(name=what.event, at=at, text=what.text()))

    # Steps.

    def _sent(self, number: int, what: StepSent, at: datetime) -> None:
        self.last = None
        self.steps[number] = StepReport(
            number=number, sent=at, fate=Fate.UNKNOWN, text=what.text(), **_values_of(what, self._local)
        )
        for who in self._meant(self.steps[number]):
            self._happened(self.steps[number], who, None, None)

    def _meant(self, step: StepReport) -> Iterator[Identity]:
        """The sessions that a step is about."""
        for id in step.sessions if step.step.is_about_sessions else ():
            yield self._who(step.sent, id, None)

    def _unanswered(self, step: StepReport, error: str) -> None:
        self.steps[step.number] = step.model_copy(update={"error": error})
        for who in self._meant(step) if self._settles(step) else ():
            self._change(who, text=error)

    def _answered(self, what: StepAnswered, at: datetime) -> None:
        if (step := self.steps.get(what.intent)) is None:
            return
        fate = Fate.NOT_RUN if what.error is not None else Fate.DONE
        step = step.model_copy(update={"answered": at, "fate": fate, "error": what.error})
        self.steps[step.number] = step
        if fate is Fate.NOT_RUN:
            for who in self._meant(step):
                self._never_sent(step, who)
        if what.logons is not None:
            last = self._seen[-1] if self._seen else Seen(at=step.sent, sessions=0)
            self._saw(last.model_copy(update={"at": at, "logons": what.logons}))
        for told in what.sessions:
            self._happened(step, self._who(step.sent, told.id, self._local(told.born)), told, at)

    def _local(self, moment: datetime | None) -> datetime | None:
        """In the host's own offset; ``None`` at the ends of time, where a clock that is wrong may stand."""
        with suppress(OverflowError):
            return moment.astimezone(self._zone) if moment else None
        return None

    def _happened(self, step: StepReport, who: Identity, told: SessionTold | None, at: datetime | None) -> None:
        """Take in what an act did to one session: unknown from the moment it is sent until its answer is there."""
        result, text = (told.result, told.text) if told else (Result.UNKNOWN, "")
        names = {"user": told.user, "account": told.account} if told else {}
        self._change(who, **{key: name for key, name in names.items() if name})
        if step.step is Step.MESSAGE:
            notice = Notice(name=_notice(step), at=step.sent, result=result, text=text, ends=step.ends)
            self._change(who, notices=(*self._notices_but(step, who), notice))
        if self._settles(step):
            self._change(who, result=result, text=text, at=at)

    def _settles(self, step: StepReport) -> bool:
        """Whether its answer is what became of a session: a notice is not, unless the run was there to show it."""
        return step.step is not Step.MESSAGE or self._command == Step.MESSAGE

    def _never_sent(self, step: StepReport, who: Identity) -> None:
        """Take back what the intent left open: the step did not reach the host."""
        if step.step is Step.MESSAGE:
            self._change(who, notices=self._notices_but(step, who))
        if self._settles(step):
            self._change(who, result=None, text="")

    def _notices_but(self, step: StepReport, who: Identity) -> tuple[Notice, ...]:
        """A session's notices but for the one of this very step."""
        mine = (_notice(step), step.sent)
        return tuple(notice for notice in self.people[who].notices if (notice.name, notice.at) != mine)

    # Events.

    def _announced(self, ends: datetime) -> None:
        """From here on people are warned of this end, and whatever they were told before is void (W41)."""
        for who, person in self.people.items():
            notices = [each.model_copy(update={"void": each.void or each.ends != ends}) for each in person.notices]
            self._change(who, notices=tuple(notices))

    def _looked(self, what: Looked, at: datetime) -> None:
        for who in self.people:
            if who[0] in what.sessions:
                self._missed.pop(who, None)
            else:
                self._missed.setdefault(who, at)
        self._saw(Seen(at=at, sessions=len(what.sessions), logons=what.logons, boot=self._local(what.boot)))

    def _saw(self, seen: Seen) -> None:
        """Keep what differs from before."""
        if not self._seen or self._seen[-1].model_copy(update={"at": seen.at}) != seen:
            self._seen.append(seen)

    def _judged(self, what: SessionJudged, at: datetime) -> None:
        who = self._who(at, what.session, self._local(what.born), judged=True)
        self._change(
            who,
            user=what.user,
            account=what.account,
            state=what.state,
            decision=what.decision,
            reason=what.reason,
            act=what.act,
            result=_DECIDED[what.decision],
        )

    # People.

    def _who(self, at: datetime, id: int, born: datetime | None, *, judged: bool = False) -> Identity:
        """The session of that identity. An intent tells no birth: it means the last with the id, or its answer says."""
        who = (id, born)
        if who in self.people:
            return who
        if born is None and not judged:
            for known in reversed(self.people):
                if known[0] == id:
                    return known
        if (id, None) in self.people and not judged:
            self._change((id, None), born=born)
            self.people = {(one.id, one.born): one for one in self.people.values()}
        else:
            self.people[who] = Person(id=id, born=born, since=at)
        return who

    def _change(self, who: Identity, **values: Any) -> None:
        self.people[who] = self.people[who].model_copy(update=values)

    def settle(self) -> None:
        """Where the work on the host has finished, no session that was to be ended may stay without a word."""
        if not isinstance(self.last, Finished):
            return
        for who, person in self.people.items():
            if person.decision == "act" and person.result is None:
                self._change(who, result=Result.UNKNOWN)

    @property
    def _is_begun(self) -> bool:
        """Whether the host's turn came, and the plan allowed it."""
        return not (isinstance(self.last, HostStopped) and self.last.phase is Phase.PLAN)

    def _results(self) -> tuple[Result, ...]:
        """What became of people, also of those that the work did not come to."""
        return tuple(became for one in self.people.values() if (became := one.became) is not None)

    def _facts(self) -> tuple[HostFacts, str, str | None]:
        """How the work ended: its own last word, otherwise what the steps tell; the outcome in words, and the error."""
        if isinstance(self.last, Finished):
            facts = HostFacts(self._results(), given_back=self.last.given_back)
            return facts, facts.in_words(self.last.outcome), None
        if self.last is not None:
            facts = HostFacts(self._results(), error=self.last.error, may_have_run=self.last.may_have_run)
            if not self._is_begun:
                facts = HostFacts.refused_or_not_begun(self.last.error)._replace(may_have_run=self.last.may_have_run)
            return facts, facts.verdict.value, self.last.why
        if not self.steps:  # each is in the record before it is sent
            return _UNTOUCHED, "nothing was sent", None
        return HostFacts(may_have_run=True), "the record ends in the middle", None

    def report(self, host: str) -> HostReport:
        """What was collected."""
        facts, outcome, error = self._facts()
        end = self._at(self._entries[-1])
        ends = [*(start for _, start in self._phases), end][1:]
        logons = [seen.logons for seen in self._seen if seen.logons]
        return HostReport(
            host=host,
            status=facts.verdict,
            finished=isinstance(self.last, Finished),
            begun=self._is_begun,
            outcome=outcome,
            error=error,
            start=self._at(self._entries[0]),
            end=end,
            phases=tuple(
                PhaseSpan(name=name, start=start, end=until)
                for (name, start), until in zip(self._phases, ends, strict=False)
            ),
            people=tuple(self.people.values()),
            steps=tuple(self.steps.values()),
            marks=tuple(self._marks),
            seen=tuple(self._seen),
            ordered=self._ordered,
            booted=self._booted,
            boots=tuple(dict.fromkeys(seen.boot for seen in self._seen if seen.boot)),
            logons_before=logons[0] if logons else None,
            logons_after=logons[-1] if logons else None,
            held=self._is_held,
            problems=tuple(self._problems),
        )


def _values_of(what: StepSent, local: Callable[[datetime | None], datetime | None]) -> dict[str, Any]:
    """The values of an intent, by the names that a step of a report has."""
    values: dict[str, LogonMode | object] = {name: getattr(what, name) for name in ("step", "phase", "sessions")}
    return {**values, "notice": what.notice, "ends": local(what.ends), "logons": what.logons, "then": what.then}


def _zone(entries: Sequence[Entry]) -> tzinfo | None:
    """The host's own offset as its first look told it; without one, that of the record (UTC)."""
    told = (entry.what.observed for entry in entries if isinstance(entry.what, Looked))
    return next((moment.tzinfo for moment in told), entries[0].at.tzinfo)


def _notice(step: StepReport) -> str:
    return step.notice or step.step.value
