"""``logons --set``: the logon mode of many hosts, changed where it differs.

Rule: a change is compared with what was read just before (W17), and no host is changed that a run or a person holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from mpsbridge.errors import Refused
from mpsbridge.host import Host
from mpsbridge.models.frozen import Given
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import LogonMode, Logons
from mpsbridge.operations.outcomes import judge, never_begun, refused_is_skipped
from mpsbridge.operations.workplace import RunResult, Watch, Workplace, nothing_is_sent
from mpsbridge.planning.exempt import NO_LOGON_PROGRAM
from mpsbridge.planning.lease import why_held
from mpsbridge.runs.events import Finished, Phase, Step, StepSent
from mpsbridge.runs.recording import recorded


class SetLogons(Given):
    """Set the logon mode."""

    mode: LogonMode

    def _look(self, work: Workplace, host: Host) -> Logons:
        """The mode as it is. Raises ``Refused`` where no script would change it."""
        seen = host.look()
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


@dataclass(frozen=True)
class LogonsPlan:
    """The hosts whose mode differs, with the mode that each has, by its place in the order given."""

    operation: SetLogons
    run: str
    outcomes: tuple[Outcome[Logons], ...]
    modes: dict[int, LogonMode | None]

    @property
    def hosts(self) -> list[str]:
        """The hosts that would be changed."""
        return [self.outcomes[place].host for place in self.modes]

    def carry_out(self, work: Workplace, watch: Watch) -> RunResult[Logons]:
        """Change them."""
        del watch  # over in a moment
        fleet, outcomes, wanted = work.fleet(), list(self.outcomes), self.operation.mode
        places = list(self.modes)
        self._begin(work)
        modes = {self.outcomes[place].host: mode for place, mode in self.modes.items()}

        def change(host: Host) -> Logons:
            sent = StepSent(step=Step.LOGONS, logons=wanted, phase=Phase.ACT)
            return recorded(
                work.record,
                self.run,
                host.name,
                sent,
                lambda: host.set_logons(wanted, expected=modes[host.name], run=self.run),
            )

        def job(host: Host) -> Logons:
            return work.told(work.record, self.run, host, lambda: change(host), lambda now: f"logons are {now.mode}")

        for place, outcome in zip(places, fleet.run(job, only=places), strict=True):
            outcomes[place] = refused_is_skipped(outcome)
        verdict = judge(outcomes, Effect.DISRUPT, interrupted=fleet.interrupted)
        work.end_record(self.run, verdict, outcomes)
        return RunResult(self.run, tuple(outcomes), verdict)

    def _begin(self, work: Workplace) -> None:
        hosts = [outcome.host for outcome in self.outcomes]
        work.admit(self.run, hosts)
        options: dict[str, JsonValue] = {"hosts": list(hosts), "mode": self.operation.mode.value}
        work.record.begin(self.run, command="logons", reason="", options=options)
        with nothing_is_sent():
            for place, outcome in enumerate(self.outcomes):
                if not isinstance(outcome, Done):
                    work.record_not_sent(self.run, outcome)
                elif place not in self.modes:
                    what = Finished(outcome="nothing to do", phase=Phase.PLAN)
                    work.record.record(self.run, outcome.host, what)


def _as_change(outcome: Outcome[Logons]) -> Outcome[Logons]:
    """An outcome that was only read, told as a change that changed nothing."""
    if isinstance(outcome, Done):
        value = outcome.value.model_copy(update={"was": outcome.value.mode})
        return outcome.model_copy(update={"value": value})
    return never_begun(outcome)
