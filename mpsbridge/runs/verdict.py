"""Did it go well? The only place that decides it: of a host, and of a whole run.

Rules: exit code, last line, history, JSON, JUnit, Markdown, summary and page ask here and nowhere else; what nobody
knows outweighs what failed; a host that refused beside others that went well makes the run ``partly`` done. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import Field

from mpsbridge.errors import HostReleased, NotBegun, NoTurn, Refused, Stopped
from mpsbridge.models.counts import counted
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.outcomes import Done, Failed, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import Result


class Verdict(StrEnum):
    """What became of a host, or of a run."""

    DONE = "done"
    PARTLY = "partly"
    """Something was done, and not all of it."""
    REFUSED = "refused"
    """The plan refused, by its verdicts or its waves; nothing was sent."""
    STOPPED = "stopped"
    """It was broken off between two steps, a person released it, or its turn never came."""
    UNKNOWN = "unknown"
    """Something may have happened, and only a look at the host can tell."""
    FAILED = "failed"


W = TypeVar("W", bound=StrEnum)
_CODES = {Verdict.DONE: 0, Verdict.REFUSED: 3, Verdict.UNKNOWN: 4}
INTERRUPTED = 130
_CALM = frozenset({Result.KEPT, Result.WOULD})
"""Results of sessions that were not acted on."""


class HostFacts(NamedTuple):
    """How the work on one host ended: the results of its sessions, and the ``error`` (its kind) that ended it."""

    results: tuple[Result, ...] = ()
    error: str | None = None
    is_refused: bool = False
    """Whether the error is the plan's own refusal, before anything was sent."""
    may_have_run: bool = False
    """Whether the failed step may have run all the same."""
    given_back: bool = True
    """Whether nothing that keeps people or other runs out was left on the host."""

    @classmethod
    def refused_or_not_begun(cls, error: str) -> HostFacts:
        """Of a host to which nothing was sent, and the kind of the error that says why."""
        return cls(error=error, is_refused=error in {Refused.kind, NoTurn.kind})

    @property
    def verdict(self) -> Verdict:
        """What became of the host."""
        if self.may_have_run or Result.UNKNOWN in self.results:
            return Verdict.UNKNOWN
        if self.is_refused:
            return Verdict.REFUSED
        if self.error in {NotBegun.kind, Stopped.kind, HostReleased.kind}:
            return Verdict.STOPPED
        if self.error is None and self.given_back and all(result.went_well for result in self.results):
            return Verdict.DONE
        was_done = any(result.went_well and result not in _CALM for result in self.results)
        return Verdict.PARTLY if was_done else Verdict.FAILED

    def in_words(self, outcome: str) -> str:
        """The outcome of a host that came to its end, and what is to be said against it."""
        if self.verdict is Verdict.DONE:
            return outcome
        against = _BUT[self.verdict] if self.given_back else "not all was given back"
        return against if outcome == Verdict.DONE else f"{outcome}, but {against}"


_BUT = {
    Verdict.UNKNOWN: "not everything is known",
    Verdict.PARTLY: "not everything was done",
    Verdict.FAILED: "not everything was done",
}


@runtime_checkable
class Judged(Protocol):
    """The value of an operation that says itself what its verdict is made of."""

    @property
    def facts(self) -> HostFacts:
        """How the work on the host ended."""
        ...


def facts_of(outcome: object, effect: Effect) -> HostFacts:
    """What the verdict on a host is made of, by its outcome."""
    match outcome:
        case Failed(failure=failure, sessions=sessions):
            may_have_run = failure.may_have_run and effect is not Effect.READ
            return HostFacts(tuple(one.result for one in sessions), error=failure.kind, may_have_run=may_have_run)
        case Skipped():
            return HostFacts.refused_or_not_begun(outcome.kind)
        case Done(value=Judged() as value):
            return value.facts
        case _:
            return HostFacts()


class RunVerdict(Frozen):
    """What became of a run, and how many hosts and sessions there are of each kind; what there is none of is absent."""

    verdict: Verdict
    hosts: dict[Verdict, int] = Field(default_factory=dict)
    sessions: dict[Result, int] = Field(default_factory=dict)
    is_interrupted: bool = False
    """Whether a person, or the machine, wanted it to stop, or it died."""
    note: str = ""
    """What else is to be known of it: that its answer was lost, or who released its hosts."""

    @classmethod
    def of(cls, hosts: Iterable[Verdict], sessions: Iterable[Result] = (), *, interrupted: bool = False) -> RunVerdict:
        """Judge a run by its hosts; one without any is done. ``sessions`` are those that were acted on, or kept."""
        verdicts = list(hosts)
        return cls(
            verdict=_of_all(verdicts, interrupted=interrupted),
            hosts=_ordered(verdicts, Verdict),
            sessions=_ordered(list(sessions), Result),
            is_interrupted=interrupted,
        )

    @property
    def exit_code(self) -> int:
        """130 > 4 > 1 > 3 > 0; a host that refused beside others that went well is 1."""
        return INTERRUPTED if self.is_interrupted else _CODES.get(self.verdict, 1)

    @property
    def sentence(self) -> str:
        """It in words, with counts where not everything is the same."""
        return counted_hosts(self.hosts) or counted_sessions(self.sessions) or self.verdict.value

    def __str__(self) -> str:
        """The word, and the sentence where that says more."""
        said = [self.verdict.value, *([self.sentence] if self.sentence != self.verdict else []), self.note]
        if self.is_interrupted and self.verdict is Verdict.DONE:
            said.append("interrupted when all was done")
        return ": ".join(each for each in said if each)


def counted_hosts(hosts: dict[Verdict, int]) -> str:
    """``24 of 25 hosts done, 1 refused``; empty where all hosts share one verdict."""
    if len(hosts) < 2:
        return ""
    first, *others = hosts.items()
    parts = [f"{first[1]} of {sum(hosts.values())} hosts {first[0]}", *(f"{count} {one}" for one, count in others)]
    return ", ".join(parts)


def counted_sessions(sessions: dict[Result, int]) -> str:
    """``1 of 2 sessions refused``, of those that were not kept; empty where nothing went wrong with any."""
    wrong = {result: count for result, count in sessions.items() if not result.went_well}
    if not wrong:
        return ""
    total = sum(count for result, count in sessions.items() if result is not Result.KEPT)
    first, *others = wrong.items()
    named = f"{first[1]} of {counted(total, 'session')} {first[0]}"
    return ", ".join([named, *(f"{count} {one}" for one, count in others)])


def _of_all(verdicts: Sequence[Verdict], *, interrupted: bool) -> Verdict:
    found = set(verdicts)
    if Verdict.UNKNOWN in found:
        return Verdict.UNKNOWN
    if interrupted and found != {Verdict.DONE}:  # one that comes when all is done breaks nothing off
        return Verdict.STOPPED
    if found <= {Verdict.DONE}:
        return Verdict.DONE
    if found & {Verdict.DONE, Verdict.PARTLY}:
        return Verdict.PARTLY
    return next(one for one in (Verdict.FAILED, Verdict.STOPPED, Verdict.REFUSED) if one in found)


def _ordered(found: Sequence[W], kinds: type[W]) -> dict[W, int]:
    counts = Counter(found)
    return {kind: counts[kind] for kind in kinds if counts[kind]}
