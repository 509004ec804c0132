"""Which run is gone on with, and where: found in the record, before any host is contacted.

Rules: a run that another process carries out is not taken; a host whose record cannot be read is left out and named,
because nobody knows what was done there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mpsbridge.errors import InputError, JournalError, Refused
from mpsbridge.inventory.entries import EVERY, Inventory, InventoryHost
from mpsbridge.inventory.patterns import choose
from mpsbridge.operations.ending import End, Resume
from mpsbridge.reports.summary import judge, make_report
from mpsbridge.reports.words import RESUMABLE
from mpsbridge.runs.history import unfinished
from mpsbridge.runs.journal import Journal, Run
from mpsbridge.runs.verdict import RunVerdict


@dataclass(frozen=True)
class OpenRun:
    """A run that has not ended: what it is to do, all its ``hosts``, and those that are ``unfinished``.

    ``left`` are the unfinished ones to go on with, in whose record that can be read; ``illegible`` those in whose
    record it cannot, with the reason.
    """

    run: Run
    end: End
    hosts: tuple[str, ...]
    unfinished: tuple[str, ...]
    left: tuple[str, ...]
    illegible: dict[str, JournalError]
    is_named: bool = True
    """Whether the run was named, as opposed to being the only one."""

    @property
    def has_work(self) -> bool:
        """Whether there is a host to go on with."""
        return bool(self.left or self.illegible)

    def verdict(self, journal: Journal) -> RunVerdict:
        """What became of a run with nothing left to do; of one that has something left on other hosts, nothing yet."""
        if self.unfinished:
            return RunVerdict.of([])
        return judge(make_report(self.run, journal.entries(self.run.id, whole=False)).hosts)

    def resume(self, deadline_s: int | None = None) -> Resume:
        """The operation that goes on with it; ``deadline_s`` is the time for all of it."""
        end = self.end.model_copy(update={"deadline_s": deadline_s})
        return Resume(run=self.run.id, end=end, hosts=self.hosts, is_named=self.is_named)


def open_run(
    journal: Journal, prefix: str | None, only: Sequence[str], *, read_stdin: Callable[[], str], asks: bool
) -> OpenRun:
    """The run that is meant, by the beginning of its id or as the only one, and what is left of it on the hosts that
    the words ``only`` mean (all of them without any). No other process carries it out from here on.

    A run that a person stopped is not taken for being the only one, unless somebody is asked (``asks``) who reads what
    it was about. Raises ``Refused`` then, ``InputError`` where no run is meant or several may be, and ``JournalError``
    where its record does not tell.
    """
    run = _meant(journal, prefix)
    if was_stopped(run) and prefix is None and not asks:
        raise Refused(
            f"run {run.id} ({run.reason or 'no reason given'}) was stopped on purpose, so it is not gone on with"
            " unless it is named",
            hint=f"Name it: mpsbridge resume {run.id} --yes; 'mpsbridge release' on its hosts ends it.",
        )
    journal.take(run.id)
    hosts, end = _recorded(run)
    theirs = Inventory(path=Path(f"run {run.id}"), hosts={host: InventoryHost() for host in hosts})
    chosen = {host.casefold() for host in choose(only or [EVERY], theirs, read_stdin=read_stdin)}
    every = unfinished(journal, run.id, hosts)
    wanted = [host for host in every if host.casefold() in chosen]
    illegible = _illegible(journal, run.id, wanted)
    left = tuple(host for host in wanted if host not in illegible)
    return OpenRun(run, end, tuple(hosts), tuple(every), left, illegible, is_named=prefix is not None)


def was_stopped(run: Run) -> bool:
    """Whether a person, or a CI job's cancellation, has stopped an open run, as opposed to one that died."""
    return run.verdict is not None and run.verdict.is_interrupted


def nothing_open(journal: Journal) -> str:
    """The sentence about a record without a run to go on with; empty where there is one."""
    every = [run for run in journal.runs() if run.command in RESUMABLE]
    if any(run.ended is None for run in every):
        return ""
    return "; ".join(["no run is open", *map(_has_ended, every[:1])])


def _meant(journal: Journal, prefix: str | None) -> Run:
    if prefix is not None:
        run = journal.find(prefix)
        if run.command not in RESUMABLE:
            raise InputError(f"run {run.id} is of '{run.command}', and only 'end' and 'maintain' can be gone on with")
        if run.ended is not None:
            raise InputError(_has_ended(run))
        return run
    if said := nothing_open(journal):
        raise InputError(said)
    found = [run for run in journal.runs(only_open=True) if run.command in RESUMABLE]
    if len(found) > 1:
        found = [run for run in found if not journal.is_at_work(run.id)] or found
    if len(found) > 1:
        raise InputError(f"several runs are open: {', '.join(run.id for run in found)}", hint="Name one of them.")
    return found[0]


def _has_ended(run: Run) -> str:
    """The sentence about a run that is over, with what came of it and who released its hosts."""
    return f"run {run.id} has ended" + (f": {run.verdict}" if run.verdict else "")


def _illegible(journal: Journal, run: str, hosts: Sequence[str]) -> dict[str, JournalError]:
    """The hosts of which the record cannot be read. Raises ``JournalError`` where that is so of all."""
    errors: dict[str, JournalError] = {}
    for host in hosts:
        try:
            journal.entries(run, host=host)
        except JournalError as error:
            errors[host] = error
    if errors and len(errors) == len(hosts):
        raise errors[hosts[0]]
    return errors


def _recorded(run: Run) -> tuple[list[str], End]:
    """The hosts of a run, and what is to be done there. Raises ``JournalError`` where its record does not tell."""
    words = run.options.get("hosts")
    told = {name: run.options[name] for name in ("policy", "template", "waves", "planned") if name in run.options}
    try:
        operation = End.model_validate({"command": run.command} | told)
    except (InputError, ValidationError, RecursionError) as error:
        raise _not_told(run) from error
    if not isinstance(words, list):
        raise _not_told(run)
    return [str(word) for word in words], operation


def _not_told(run: Run) -> JournalError:
    hint = "It cannot go on: 'mpsbridge leases' shows what it holds, 'mpsbridge release' gives that back."
    return JournalError(f"what run {run.id} was to do cannot be read in the journal", hint=hint)
