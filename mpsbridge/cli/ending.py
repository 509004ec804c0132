"""``end`` and ``resume``: from options, or from the record, to the work that is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpsbridge.cli.call import Call, read_standard_input
from mpsbridge.cli.conclusion import conclude
from mpsbridge.cli.fleets import demand_own_file, open_journal
from mpsbridge.cli.listing import for_programs
from mpsbridge.cli.running import go_on, rehearse, run_end
from mpsbridge.errors import InputError
from mpsbridge.inventory.finding import known_hosts
from mpsbridge.models.counts import listed
from mpsbridge.models.durations import format_duration
from mpsbridge.operations.ending import DEADLINE_S, End
from mpsbridge.operations.planfile import read_notice
from mpsbridge.operations.resumption import OpenRun, nothing_open, open_run, was_stopped
from mpsbridge.operations.workplace import RunResult
from mpsbridge.planning.end_options import EndOptions, make_policy, shown_nowhere
from mpsbridge.planning.selection import SAY_WHO, Selector
from mpsbridge.runs.journal import Journal, Run
from mpsbridge.runs.verdict import RunVerdict


def end(
    call: Call,
    hosts: Sequence[str],
    who: Selector | None,
    options: EndOptions,
    *,
    notice_file: Path | None,
    events: Path | None,
    yes: bool,
) -> int:
    """``end``: plan on every host, ask, carry out."""
    if who is None:
        raise InputError(SAY_WHO)
    policy = make_policy(who, options, sender=call.settings.sender)
    if notice_file and not policy.warn_s:
        raise InputError(shown_nowhere("--notice-file"))
    demand_own_file(call, "--events", events, notice_file=notice_file)
    template = read_notice(notice_file) if notice_file else None
    targets = call.targets(hosts, who)
    operation = End(
        policy=policy,
        template=template,
        deadline_s=call.settings.deadline or DEADLINE_S,
        known=known_hosts(call.settings, [host for host, _ in policy.keep_sessions], targets),
    )
    with open_journal(call) as journal:
        code, _ = run_end(call, journal, targets, operation, events=events, yes=yes)
    return code


def resume(call: Call, prefix: str | None, only: Sequence[str], *, events: Path | None, yes: bool) -> int:
    """``resume``: go on with a run that never ended: look first, repeat nothing that may have happened."""
    demand_own_file(call, "--events", events)
    with open_journal(call, only_reads=True) as journal:
        if prefix is None and (said := nothing_open(journal)):
            call.terminal.say(f"nothing to do: {said}")
            for_programs(call, (), RunVerdict.of([]))
            return call.terminal.code(0)
        asks = not yes or call.settings.dry_run
        found = open_run(journal, prefix, only, read_stdin=read_standard_input, asks=asks)
        if not found.has_work:
            return _nothing_left(call, journal, found)
        return _go_on(call, journal, found, events=events, yes=yes)


def _nothing_left(call: Call, journal: Journal, found: OpenRun) -> int:
    """End a run that has nothing left to do, but perhaps on hosts that were not named; the exit code."""
    where = f" there, but on {listed(found.unfinished)}" if found.unfinished else ""
    call.terminal.say(f"run {found.run.id} has nothing left to do{where}")
    whole = found.verdict(journal)
    for_programs(call, (), whole)
    if found.unfinished or call.settings.dry_run:
        return call.terminal.code(whole.exit_code)
    journal.end(found.run.id, whole)
    return conclude(call, journal, RunResult(found.run.id, (), whole))


def _go_on(call: Call, journal: Journal, found: OpenRun, *, events: Path | None, yes: bool) -> int:
    run, code = found.run, int(bool(found.illegible))
    for host, trouble in found.illegible.items():
        call.terminal.warn(
            f"{host} is left out: {trouble.message}; look at it, and give back what the run holds there: "
            f"mpsbridge release {host}"
        )
    targets = call.targets(found.left)
    if call.settings.dry_run:
        return rehearse(call, journal, targets, found.resume(DEADLINE_S)) or code
    call.terminal.confirm(f"Go on with {_told(call, run)} on {listed(found.left)}?", yes=yes)
    return go_on(call, journal, targets, found.resume(call.settings.deadline), events=events) or code


def _told(call: Call, run: Run) -> str:
    """A run as the question shows it: its reason, how long ago it was begun, and whether a person stopped it."""
    age_s = max(0.0, (call.clock.now() - run.started).total_seconds())
    age = format_duration(age_s // 60 * 60 if age_s >= 60 else age_s)
    stopped = ", stopped on purpose" if was_stopped(run) else ""
    return f"run {run.id} ({run.reason or 'no reason given'}; begun {age} ago{stopped})"
