"""What became of a run's hosts so far, by its record: how one that died goes on, and what one that ends leaves open."""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.errors import HostReleased, JournalError, NotBegun, NoTurn, Refused
from mpsbridge.planning.lease import RunFate
from mpsbridge.runs.events import (
    WENT_QUIET,
    EarlierLife,
    Finished,
    HostStopped,
    LeaseReleased,
    LeaseTaken,
    Resumed,
    StepAnswered,
    StepSent,
)
from mpsbridge.runs.journal import Entry, Journal, Run


def unfinished(journal: Journal, run: str, hosts: Sequence[str]) -> list[str]:
    """The hosts with which a run has not come to an end, those first on which it had begun something."""
    begun: list[str] = []
    untouched: list[str] = []
    for host in hosts:
        try:
            entries = journal.entries(run, host=host)
        except JournalError:  # nobody knows what was done there, so it is looked at
            begun.append(host)
            continue
        last, acted = _last_word(entries), _acted(entries)
        if _has_left(last) or isinstance(last, Finished):
            continue
        if last and not acted and last.error == Refused.kind:
            continue
        (begun if acted else untouched).append(host)
    return [*begun, *untouched]


def fate_of(journal: Journal, run: str) -> RunFate:
    """How a run stands that somebody finds on a host. Raises ``JournalLost``."""
    found = next((one for one in journal.runs() if one.id == run), None)
    if found is None:
        return RunFate.ELSEWHERE
    if found.ended is not None:
        return RunFate.ENDED
    if journal.is_at_work(run):
        return RunFate.AT_WORK
    if found.verdict is None:
        return RunFate.DIED
    return RunFate.STOPPED if found.verdict.is_interrupted else RunFate.OPEN


def next_life(journal: Journal, run: Run, *, by: str) -> Resumed:
    """What is to be recorded where another process, of ``by``, goes on with a run. Raises ``JournalLost``."""
    lives = [one.what.life for one in journal.entries(run.id, whole=False) if isinstance(one.what, Resumed)]
    earlier = EarlierLife.DIED
    if run.verdict is not None:
        earlier = EarlierLife.STOPPED if run.verdict.is_interrupted else EarlierLife.UNFINISHED
    return Resumed(by=by, earlier=earlier, life=max(lives, default=1) + 1)


def serves(journal: Journal, run: str, host: str) -> bool:
    """Whether a host serves people, as far as its run's record tells."""
    try:
        entries = journal.entries(run, host=host)
    except JournalError:
        return False
    last = _last_word(entries)
    if last is None:
        return not _acted(entries)
    if _has_left(last):
        return True
    if isinstance(last, Finished):
        return last.outcome != WENT_QUIET
    return not _acted(entries) and last.error in {Refused.kind, NotBegun.kind, NoTurn.kind}


def is_silent(journal: Journal, run: str, host: str) -> bool:
    """Whether the record tells neither of a step on the host nor what became of it."""
    entries = journal.entries(run, host=host)
    return _last_word(entries) is None and not _acted(entries)


def is_held(journal: Journal, run: str, host: str) -> bool:
    """Whether a host on which the run failed still holds something of it, or a step there has no answer."""
    entries = journal.entries(run, host=host)
    if _has_left(_last_word(entries)):
        return False
    lease = [entry.what for entry in entries if isinstance(entry.what, LeaseTaken | LeaseReleased)]
    return (bool(lease) and isinstance(lease[-1], LeaseTaken)) or bool(journal.unanswered(run, host=host))


def is_in_doubt(entries: Sequence[Entry]) -> bool:
    """Whether the lives of a run so far have left it unknown what happened on a host, and none has found it out since.

    What a life that came to its last word did not know stands there; of one that died, an order that it sent counts.
    """
    said, sent = False, set[int]()
    for entry in entries:
        match entry.what:
            case StepSent() if entry.what.step.disrupts:
                sent.add(entry.number)
            case StepAnswered() if entry.what.error is not None:
                sent.discard(entry.what.intent)
            case Finished() | HostStopped():
                said = isinstance(entry.what, HostStopped) and entry.what.may_have_run
                sent.clear()
            case _:
                pass
    return said or bool(sent)


def _last_word(entries: Sequence[Entry]) -> Finished | HostStopped | None:
    """What became of the host, if the run came so far there."""
    return next((entry.what for entry in reversed(entries) if isinstance(entry.what, Finished | HostStopped)), None)


def _has_left(last: Finished | HostStopped | None) -> bool:
    """Whether the host has left the run for good: a person released it, or another run has it."""
    return isinstance(last, HostStopped) and last.error == HostReleased.kind


def _acted(entries: Sequence[Entry]) -> bool:
    return any(isinstance(entry.what, StepSent) for entry in entries)
