"""What a release means for the runs in the record: a host that a person released has left them, and may end them.

Rules: a hold that goes was not a run's, so no run loses the host by it; a run that is at work finds out by itself; one
of which a person has released every host that it held does nothing more, also on hosts that it had not begun. Where the
release was recorded on another machine, that is found out by looking (:func:`released_meanwhile`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mpsbridge.errors import HostReleased, JournalError
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Done, Failed, Failure
from mpsbridge.operations.workplace import Workplace
from mpsbridge.procedure.past import check_computer, left_by, past_of
from mpsbridge.reports.summary import judge, make_report
from mpsbridge.reports.words import RESUMABLE
from mpsbridge.runs.events import HostStopped
from mpsbridge.runs.history import is_held, is_in_doubt, unfinished
from mpsbridge.runs.journal import Journal, Run


def hosts_of(run: Run) -> list[str]:
    """The hosts of a run, as it was begun with them; none where its record does not tell."""
    names = run.options.get("hosts")
    return [str(name) for name in names] if isinstance(names, list) else []


def open_runs_of(journal: Journal, host: str, *, holder: str | None) -> list[str]:
    """The open runs that have not come to an end on a host, and lose it where it is released: the ``holder`` alone,
    where the host says which run holds it.

    Raises ``JournalError`` and ``JournalLost``.
    """
    found: list[str] = []
    for run in journal.runs(only_open=True):
        if run.command not in RESUMABLE or holder not in {None, run.id} or journal.is_at_work(run.id):
            continue
        theirs = [each for each in hosts_of(run) if each.casefold() == host.casefold()]
        if unfinished(journal, run.id, theirs):
            found.append(run.id)
    return found


def leave(journal: Journal, run_id: str, released: Sequence[str], *, actor: str, held: bool) -> bool:
    """Record that these hosts have left a run; whether the run has ended by that. ``held``: one of them had its lease.

    Raises ``JournalError`` and ``JournalLost``; ``Refused`` where the run is at work by now.
    """
    journal.take(run_id)
    try:
        return _leave(journal, journal.find(run_id), {host.casefold() for host in released}, actor, held)
    finally:
        journal.let_go(run_id)


def _leave(journal: Journal, run: Run, released: set[str], actor: str, held: bool) -> bool:  # noqa: FBT001
    who, left = f"released by {actor}", unfinished(journal, run.id, hosts_of(run))
    gone = [host for host in left if host.casefold() in released]
    had_held = held or any(_is_held(journal, run.id, host) for host in gone)
    for host in gone:
        entries = journal.entries(run.id, host=host, whole=False)
        stopped = HostStopped(why=who, error=HostReleased.kind, may_have_run=is_in_doubt(entries))
        journal.record(run.id, host, stopped)
    others = [host for host in left if host not in gone]
    if others and not (had_held and not any(_is_held(journal, run.id, host) for host in others)):
        return False
    end_as_released(journal, run, who)
    return True


def end_as_released(journal: Journal, run: Run, who: str) -> None:
    """End a run whose hosts were released: it was broken off, and ``who`` did it stands beside that."""
    report = make_report(run, journal.entries(run.id, whole=False))
    journal.end(run.id, judge(report.hosts, interrupted=True).model_copy(update={"note": who}))


def _is_held(journal: Journal, run: str, host: str) -> bool:
    """Where nobody can read what was done there, it counts as held."""
    try:
        return is_held(journal, run, host)
    except JournalError:
        return True


def is_over(journal: Journal, run: str, hosts: Sequence[str], released: Collection[str]) -> bool:
    """Whether others have released all that a run of these ``hosts`` held: so it does nothing more, if nobody named it.

    Raises ``JournalLost``.
    """
    pasts = {host: past_of(journal.entries(run, host=host, whole=False)) for host in unfinished(journal, run, hosts)}
    return bool(released) and {host for host, past in pasts.items() if past.held_until is not None} <= set(released)


def released_meanwhile(work: Workplace, run: str, hosts: Sequence[str]) -> list[int]:
    """Look at the hosts that a run held: their places, where all of them were released and the run is over by that.

    Nothing where the run has no other host to go on with. Raises ``JournalError`` and ``JournalLost``.
    """
    order = [target.host for target in work.targets]
    pasts = {host: past_of(work.record.entries(run, host=host)) for host in order}
    held = [place for place, host in enumerate(order) if pasts[host].held_until is not None]
    if not held or len(held) == len(order):
        return []

    def left(host: Host) -> str:
        seen = host.observe()
        check_computer(pasts[host.name].computer, seen, run)
        return left_by(pasts[host.name], seen, run, seen.observed)

    looks = work.fleet(gives_back=True).run(left, only=held)
    released = [look.host for look in looks if isinstance(look, Done) and look.value]
    return held if len(released) == len(held) and is_over(work.record, run, hosts, released) else []


def over(host: str, address: str) -> Failed:
    """A host of a run that does nothing more."""
    return Failed(host=host, address=address, elapsed_s=0.0, failure=Failure.of(HostReleased(_OVER)))


_OVER = "not begun: every host that the run held was released by others, so it does nothing more"


def record_over(journal: Journal, run: str, outcome: Failed) -> Failed:
    """The same in the record: what an earlier life has left unknown on the host stays so."""
    may_have_run = is_in_doubt(journal.entries(run, host=outcome.host))
    stopped = HostStopped(why=outcome.failure.message, error=HostReleased.kind, may_have_run=may_have_run)
    journal.record(run, outcome.host, stopped)
    failure = outcome.failure.model_copy(update={"may_have_run": may_have_run})
    return outcome.model_copy(update={"failure": failure})
