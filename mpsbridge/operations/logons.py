"""``logons --set``: the logon mode of many hosts, changed where it differs.

Rule: a change is compared with what was read just before (W17), and no host is changed that a run or a person holds.
"""

from __future__ import annotations

from pydantic import JsonValue

from mpsbridge.errors import Refused
from mpsbridge.host import Host
from mpsbridge.models.frozen import Given
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.sessions import LogonMode, Logons
from mpsbridge.operations.at_once import PlanAtOnce, Steps
from mpsbridge.operations.outcomes import never_begun, refused_is_skipped
from mpsbridge.operations.workplace import Workplace
from mpsbridge.planning.exempt import NO_LOGON_PROGRAM
from mpsbridge.planning.lease import why_held
from mpsbridge.runs.events import Phase, Step, StepSent


class SetLogons(Given):
    """Set the logon mode."""

    mode: LogonMode

    def _look(self, work: Workplace, host: Host) -> Logons:
        """The mode as it is. Raises ``Refused`` where no script would change it."""
        seen = host.look_beside_tables()
        if held := why_held(seen, host.name, work.fate_of):
            raise Refused(held)
        if seen.sets_logons is False and seen.logon_mode is not self.mode:
            raise Refused(f"{NO_LOGON_PROGRAM}, so its logon mode cannot be set")
        return Logons(mode=seen.logon_mode, was=None)

    def plan(self, work: Workplace) -> LogonsPlan:
        """Read the mode of every host; one that is held, or where it cannot be set, is refused."""
        found = [
            refused_is_skipped(outcome) for outcome in work.look(work.fleet(), lambda host: self._look(work, host))
        ]
        modes = {
            place: outcome.value.mode
            for place, outcome in enumerate(found)
            if isinstance(outcome, Done) and outcome.value.mode is not self.mode
        }
        return LogonsPlan(self, work.new_run(), tuple(_as_change(outcome) for outcome in found), modes)


class LogonsPlan(PlanAtOnce[SetLogons, Logons, LogonMode | None]):
    """The hosts whose mode differs, with the mode that each has."""

    @property
    def command(self) -> str:
        """What the run is called in the record."""
        return "logons"

    def options(self) -> dict[str, JsonValue]:
        """The mode that is wanted."""
        return {"mode": self.operation.mode.value}

    def on_host(self, work: Workplace, steps: Steps, planned: LogonMode | None) -> Logons:
        """Set the mode, if it is still as it was seen."""
        del work
        host, wanted = steps.host, self.operation.mode
        sent = StepSent(step=Step.LOGONS, logons=wanted, phase=Phase.ACT)
        return steps.take(sent, lambda: host.set_logons(wanted, expected=planned, run=steps.run))

    def in_words(self, value: Logons) -> str:
        """What became of a host."""
        return f"logons are {value.mode}"


def _as_change(outcome: Outcome[Logons]) -> Outcome[Logons]:
    """An outcome that was only read, told as a change that changed nothing."""
    if isinstance(outcome, Done):
        value = outcome.value.model_copy(update={"was": outcome.value.mode})
        return outcome.model_copy(update={"value": value})
    return never_begun(outcome)
