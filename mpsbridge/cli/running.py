"""A run of the procedure on a terminal: what is planned, the question, what happens meanwhile, and what came of it.

Rules: nothing is sent without a yes; the answer comes before whatever goes wrong with the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from mpsbridge.cli.call import Call
from mpsbridge.cli.conclusion import conclude
from mpsbridge.cli.fleets import open_workplace
from mpsbridge.cli.following import events_to, following
from mpsbridge.cli.output import Stream
from mpsbridge.cli.showing import ask, note_once, show
from mpsbridge.models.scripts import Effect
from mpsbridge.models.targets import Target
from mpsbridge.operations.ending import End, EndPlan, Resume
from mpsbridge.operations.forecast import in_words, with_turns
from mpsbridge.operations.outcomes import judge
from mpsbridge.operations.workplace import Planned, RunResult, Workplace
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.journal import Journal

Ended: TypeAlias = "tuple[int, RunResult[EndValue]]"
"""The exit code, and what became of the run; of a rehearsal, what would."""


def run_end(
    call: Call, journal: Journal, targets: Sequence[Target], operation: End, *, events: Path | None, yes: bool
) -> Ended:
    """Plan on every host, ask, and carry out."""
    with open_workplace(call, targets, journal) as work, events_to(events) as stream:
        call.look_at_output("--events", events)
        plan = work.plan(operation)
        _say_notes(call, plan)
        if call.settings.dry_run or (work.is_interrupted and not plan.ready):
            return _only_planned(call, work, plan)
        if plan.ready:
            call.terminal.failures(plan.plans, before_question=True)
            ask(call, operation.policy, plan, yes=yes)
        return follow(call, work, plan, run=plan.run, hosts=plan.hosts, stream=stream)


def rehearse(call: Call, journal: Journal, targets: Sequence[Target], operation: Resume) -> int:
    """What going on with a run would do, without doing it; the exit code."""
    with open_workplace(call, targets, journal) as work:
        plan = work.plan(operation)
        _say_notes(call, plan)
        code, _ = _only_planned(call, work, plan)
    return 1 if code == 3 else code  # what refuses a run that has begun is a failure of that host


def go_on(call: Call, journal: Journal, targets: Sequence[Target], operation: Resume, *, events: Path | None) -> int:
    """Go on with a run that died; the exit code."""
    with open_workplace(call, targets, journal) as work, events_to(events) as stream:
        call.look_at_output("--events", events)
        hosts = [target.host for target in targets]
        code, _ = follow(call, work, operation, run=operation.run, hosts=hosts, stream=stream)
    return code


def _say_notes(call: Call, plan: EndPlan) -> None:
    note_once(call, plan.notes)
    if call.terminal.quiet:  # a slip that may cost somebody the session is said in any case
        for text in plan.spare_nobody:
            call.terminal.warn(text)


def _only_planned(call: Call, work: Workplace, plan: EndPlan) -> Ended:
    dry_run, now = call.settings.dry_run, call.clock.now()
    outcomes = plan.outcomes(now, dry_run=dry_run)
    if dry_run and plan.operation.command == "maintain":
        outcomes = with_turns(plan, outcomes, now)
    verdict = judge(outcomes, Effect.READ, interrupted=work.is_interrupted)
    show(call, outcomes, verdict, dry_run=dry_run, plan=in_words(plan, work.actor, now) if dry_run else ())
    return verdict.exit_code, RunResult(plan.run, tuple(outcomes), verdict)


def follow(
    call: Call, work: Workplace, plan: Planned[EndValue], *, run: str, hosts: Sequence[str], stream: Stream | None
) -> Ended:
    """Carry a plan out, tell what happens as it happens, and then what came of it."""
    with following(call, stream, run, hosts) as follower:
        result = work.carry_out(plan, on_event=follower.event, on_progress=follower.progress)
    show(call, result.outcomes, result.verdict, dry_run=False)
    code = conclude(call, work.record, result) or int(follower.is_incomplete)
    if result.is_open and work.record.is_whole(run):
        call.terminal.note(f"run {run} is open; 'mpsbridge resume {run}' goes on with it")
    return code, result
