"""What a call that acted says at its end, the same for all of them: the verdict, what was lost, and the job's summary.

Rule: it is said after the answer, and nothing that goes wrong here changes what was done.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import lost_answer, only_plans
from mpsbridge.cli.listing import Layout, tell
from mpsbridge.errors import InputError, JournalError, JournalLost
from mpsbridge.models.outcomes import Outcome
from mpsbridge.models.scripts import Effect
from mpsbridge.operations.outcomes import judge
from mpsbridge.operations.workplace import RunResult, Watch, Workplace
from mpsbridge.reports.markdown import append_summary, markdown
from mpsbridge.reports.summary import left_on_hosts, make_report, report_of
from mpsbridge.runs.journal import Journal


class PlannedRun(Protocol):
    """The plan of an operation that is over in a moment."""

    @property
    def run(self) -> str:
        """The run that it would be."""
        ...

    @property
    def outcomes(self) -> tuple[Outcome[Any], ...]:
        """What is planned, by host."""
        ...

    def carry_out(self, work: Workplace, watch: Watch) -> RunResult[Any]:
        """Do it."""
        ...


def finish(call: Call, work: Workplace, plan: PlannedRun, layout: Layout[Any]) -> int:
    """Do what is planned, unless the call ends with its plan, and say what came of it, or would; the exit code."""
    acts = not only_plans(call, work)
    verdict = judge(plan.outcomes, Effect.DISRUPT, interrupted=work.is_interrupted)
    result: RunResult[Any] = work.carry_out(plan) if acts else RunResult(plan.run, plan.outcomes, verdict)
    tell(call, result.outcomes, layout, result.verdict)
    return conclude(call, work.record, result) if acts else call.terminal.code(verdict.exit_code)


def conclude(call: Call, journal: Journal, result: RunResult[Any]) -> int:
    """Say what became of the run, where that is not simply that all was done; the exit code."""
    if result.verdict.exit_code and not call.terminal.quiet:
        call.terminal.say(f"run {result.run}: {result.verdict}{_left(call, journal, result)}")
    code = call.terminal.code(result.verdict.exit_code)
    lost_answer(call, journal, result.run)
    _summarise(call, journal, result.run)
    return code


def _left(call: Call, journal: Journal, result: RunResult[Any]) -> str:
    """Of a run that was broken off, how it left its hosts, as its record tells."""
    if not result.verdict.is_interrupted:
        return ""
    try:
        return f"; {left_on_hosts(report_of(journal, journal.find(result.run)))}"
    except (InputError, JournalError, JournalLost) as error:
        call.terminal.warn(str(error))
        return ""


def _summarise(call: Call, journal: Journal, run: str) -> None:
    """Add the run to the summary of a CI job that has one (GitHub names its file)."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            append_summary(Path(path), markdown(make_report(journal.find(run), journal.entries(run, whole=False))))
        except (InputError, JournalError, JournalLost) as error:
            call.terminal.warn(str(error))
