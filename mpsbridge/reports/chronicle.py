"""The record of one host, read in order, becomes a :class:`~mpsbridge.reports.report.HostReport`. Pure.

Rules: the record may end anywhere and its details may lack anything: what is missing is left out, and never an error;
every step was recorded before it was sent, so who stands in no step was left alone; a later word about a person counts
more than an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Any

from mpsbridge.ending.scene import Identity
from mpsbridge.errors import Interrupted, Refused, TimedOut
from mpsbridge.journal import Entry
from mpsbridge.models.sessions import Result
from mpsbridge.reports.details import Detail, number_of, numbers_of, result_of, text_of, texts_of, time_of
from mpsbridge.reports.report import Fate, HostReport, Mark, Notice, Person, Phase, Seen, Status, Step

MARKS = frozenset({"leased", "closed", "empty", "ordered", "unanswered", "booted", "restored", "released", "failed"})
_ACTS = frozenset({"message", "end", "disconnect", "reset"})
"""Steps whose answer tells of each session."""
_SILENT = frozenset({Interrupted.kind, TimedOut.kind})
_DECIDED = {"act": None, "keep": Result.KEPT, "refuse": Result.REFUSED}
Fatal = tuple[Status, str, str | None]
"""What became of a host: status, outcome in words, and the error where there was one."""


def host_report(host: str, entries: Sequence[Entry], *, command: str, ended: bool) -> HostReport:
    """Tell what the record says of one host; ``ended`` is whether the run itself has ended."""
    if not entries:
        return HostReport(host=host, status=Status.UNTOUCHED, outcome="nothing was sent")
    reader = _Reader(entries, command)
    reader.settle(ended=ended)
    return reader.report(host, _fate(reader, ended=ended))


class _Reader:
    """Goes through the entries once and collects."""

    def __init__(self, entries: Sequence[Entry], command: str) -> None:
        self.people: dict[Identity, Person] = {}
        self.steps: dict[int, Step] = {}
        self.last: Entry | None = None
        """What the record says became of the host; nothing while a step follows it (a run that was resumed)."""
        self._entries = entries
        self._command = command
        self._zone = _zone(entries)
        self._phases: list[tuple[str, datetime]] = []
        self._missed: dict[Identity, datetime] = {}
        """Who was not there any more, since which look."""
        self._marks: list[Mark] = []
        self._seen: list[Seen] = []
        self._problems: list[str] = []
        for entry in entries:
            self._read(entry)

    def _at(self, entry: Entry) -> datetime:
        return entry.at.astimezone(self._zone)

    def _read(self, entry: Entry) -> None:
        phase = text_of(entry.detail, "phase")
        if phase and (not self._phases or self._phases[-1][0] != phase):
            self._phases.append((phase, self._at(entry)))
        if entry.kind == "intent":
            self._intent(entry)
        elif entry.kind == "outcome":
            self._outcome(entry)
        elif entry.step == "look":
            self._look(entry)
        elif entry.step == "verdict":
            self._verdict(entry)
        else:
            self._event(entry)

    # Steps.

    def _intent(self, entry: Entry) -> None:
        self.last = None
        step = self.steps[entry.number] = Step(
            number=entry.number,
            name=entry.step,
            phase=self._phases[-1][0] if self._phases else "",
            sent=self._at(entry),
            fate=Fate.UNKNOWN,
            detail={key: value for key, value in entry.detail.items() if key != "phase"},
        )
        for who in self._meant(step):
            self._happened(step, who, {}, None)

    def _meant(self, step: Step) -> Iterator[Identity]:
        """Whom a step is about."""
        if step.name in _ACTS:
            for id in numbers_of(step.detail, "sessions"):
                yield self._who(step.sent, id, None)

    def _outcome(self, entry: Entry) -> None:
        if (step := self.steps.get(entry.answers or 0)) is None:
            return
        error = text_of(entry.detail, "error")
        fate = Fate.NOT_RUN if error is not None else Fate.DONE
        step = step.model_copy(update={"answered": self._at(entry), "fate": fate, "error": error})
        self.steps[step.number] = step
        if fate is Fate.NOT_RUN:
            for who in self._meant(step):
                self._never_sent(step, who)
        answer = entry.detail.get("answer")
        if isinstance(answer, dict) and step.name == "logons-set" and (mode := text_of(answer, "mode")):
            last = self._seen[-1] if self._seen else Seen(at=step.sent, sessions=0)
            self._saw(last.model_copy(update={"at": self._at(entry), "logons": mode}))
        for each in answer if isinstance(answer, list) and step.name in _ACTS else ():
            if isinstance(each, dict) and (id := number_of(each, "id")) is not None:
                who = self._who(step.sent, id, time_of(each, "born", self._zone))
                self._happened(step, who, each, self._at(entry))

    def _happened(self, step: Step, who: Identity, answer: Detail, at: datetime | None) -> None:
        """Take in what an act did to one person: unknown from the moment it is sent until its answer is there."""
        result, text = result_of(answer), text_of(answer, "text") or ""
        self._change(who, **{key: name for key in ("user", "account") if (name := text_of(answer, key))})
        if step.name == "message":
            ends = time_of(step.detail, "ends", self._zone)
            notice = Notice(name=_notice(step), at=step.sent, result=result, text=text, ends=ends)
            self._change(who, notices=(*self._notices_but(step, who), notice))
        if step.name != "message" or self._command == "message":
            self._change(who, result=result, text=text, at=at)

    def _never_sent(self, step: Step, who: Identity) -> None:
        """Take back what the intent left open: the step did not reach the host."""
        if step.name == "message":
            self._change(who, notices=self._notices_but(step, who))
        if step.name != "message" or self._command == "message":
            self._change(who, result=None, text="")

    def _notices_but(self, step: Step, who: Identity) -> tuple[Notice, ...]:
        """A person's notices but for the one of this very step."""
        mine = (_notice(step), step.sent)
        return tuple(notice for notice in self.people[who].notices if (notice.name, notice.at) != mine)

    # Events.

    def _event(self, entry: Entry) -> None:
        detail, text = entry.detail, text_of(entry.detail, "text") or ""
        if entry.step == "settled" and (id := number_of(detail, "session")) is not None:
            who = self._who(self._at(entry), id, time_of(detail, "born", self._zone))
            at = self._missed.get(who, self._at(entry))
            self._change(who, result=result_of(detail), text=text_of(detail, "why") or "", at=at)
        elif entry.step == "unknown" and (step := self.steps.get(number_of(detail, "intent") or 0)):
            self.steps[step.number] = step.model_copy(update={"error": text_of(detail, "error")})
        elif entry.step == "announced":
            self._announced(time_of(detail, "ends", self._zone))
        elif entry.step in {"finished", "stopped"}:
            self.last = entry
            self._problems += [each for each in texts_of(detail, "problems") if each not in self._problems]
        if entry.step == "failed":
            self._problems.append(text)
        if entry.step in MARKS:
            self._marks.append(Mark(name=entry.step, at=self._at(entry), text=text))

    def _announced(self, ends: datetime | None) -> None:
        """From here on people are warned of this end, and whatever they were told before is void (W41)."""
        for who, person in self.people.items():
            notices = [each.model_copy(update={"void": each.void or each.ends != ends}) for each in person.notices]
            self._change(who, notices=tuple(notices))

    def _look(self, entry: Entry) -> None:
        ids = numbers_of(entry.detail, "sessions")
        for who in self.people:
            if who[0] in ids:
                self._missed.pop(who, None)
            else:
                self._missed.setdefault(who, self._at(entry))
        self._saw(
            Seen(
                at=self._at(entry),
                sessions=len(ids),
                logons=text_of(entry.detail, "logons"),
                boot=time_of(entry.detail, "boot", self._zone),
            )
        )

    def _saw(self, seen: Seen) -> None:
        """Keep what differs from before."""
        if not self._seen or self._seen[-1].model_copy(update={"at": seen.at}) != seen:
            self._seen.append(seen)

    def _verdict(self, entry: Entry) -> None:
        detail = entry.detail
        if (id := number_of(detail, "session")) is None:
            return
        decision = text_of(detail, "decision")
        who = self._who(self._at(entry), id, time_of(detail, "born", self._zone), judged=True)
        self._change(who, **{key: text_of(detail, key) for key in ("user", "account", "state")})
        if decision in _DECIDED:
            self._change(who, decision=decision, reason=text_of(detail, "reason") or "", result=_DECIDED[decision])

    # People.

    def _who(self, at: datetime, id: int, born: datetime | None, *, judged: bool = False) -> Identity:
        """The person of that identity. An intent tells no birth: it means who had the id last, or its answer says."""
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

    def settle(self, *, ended: bool) -> None:
        """Where the work on the host is over, nobody who was to be ended may stay without a word.

        Who was there before the host started anew is gone, whatever became of the answer to the log-off.
        """
        finished = self.last is not None and self.last.step == "finished"
        started = [seen.boot for seen in self._seen if seen.boot]
        for who, person in self.people.items():
            if person.decision != "act" or person.result not in {None, Result.UNKNOWN}:
                continue
            if finished and started and started[-1] != started[0] and person.since < started[-1]:
                self._change(who, result=Result.GONE, text="the host has started anew since")
            elif person.result is None and (ended or finished) and self._command == "end":
                self._change(who, result=Result.UNKNOWN)

    def report(self, host: str, fatal: Fatal) -> HostReport:
        """What was collected."""
        status, outcome, error = fatal
        end = self._at(self._entries[-1])
        ends = [*(start for _, start in self._phases), end][1:]
        logons = [seen.logons for seen in self._seen if seen.logons]
        return HostReport(
            host=host,
            status=status,
            outcome=outcome,
            error=error,
            start=self._at(self._entries[0]),
            end=end,
            phases=tuple(
                Phase(name=name, start=start, end=until)
                for (name, start), until in zip(self._phases, ends, strict=False)
            ),
            people=tuple(self.people.values()),
            steps=tuple(self.steps.values()),
            marks=tuple(self._marks),
            seen=tuple(self._seen),
            boots=tuple(dict.fromkeys(seen.boot for seen in self._seen if seen.boot)),
            logons_before=logons[0] if logons else None,
            logons_after=logons[-1] if logons else None,
            problems=tuple(self._problems),
        )


def _fate(reader: _Reader, *, ended: bool) -> Fatal:
    """What became of the host: its own last word, else what its people and steps tell."""
    steps = list(reader.steps.values())
    open_steps = [step for step in steps if step.fate is Fate.UNKNOWN]
    results = {person.result for person in reader.people.values()}
    if reader.last is None and not ended:
        return Status.UNKNOWN, "the record ends in the middle", None
    if reader.last is None:
        lost = [step for step in steps if step.fate is Fate.NOT_RUN]
        status, outcome = _judged(results, unknown=bool(open_steps), lost=bool(lost))
        return status, outcome, lost[-1].error if lost else None
    detail = reader.last.detail
    told = text_of(detail, "text") or text_of(detail, "outcome")
    if reader.last.step == "finished":
        status, outcome = _judged(results, unknown=False, lost=False)
        if told and status is not Status.DONE:
            return status, f"{told}, but {outcome}", None
        return status, told or outcome, None
    kind = text_of(detail, "error")
    if kind == Refused.kind:
        return Status.REFUSED, "refused", told
    if open_steps or (kind in _SILENT and detail.get("may_have_run") is True):
        return Status.UNKNOWN, "unknown", told
    return Status.FAILED, "failed", told


def _judged(results: set[Result | None], *, unknown: bool, lost: bool) -> tuple[Status, str]:
    if unknown or Result.UNKNOWN in results:
        return Status.UNKNOWN, "not everything is known"
    if lost or not all(result is not None and result.went_well for result in results):
        return Status.FAILED, "not everything was done"
    return Status.DONE, "done"


def _zone(entries: Sequence[Entry]) -> tzinfo | None:
    """The host's own offset as its first look told it; without one, that of the record (UTC)."""
    told = (time_of(entry.detail, "observed") for entry in entries if entry.step == "look")
    return next((moment.tzinfo for moment in told if moment), entries[0].at.tzinfo)


def _notice(step: Step) -> str:
    return text_of(step.detail, "notice") or "message"
