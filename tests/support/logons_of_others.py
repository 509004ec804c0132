"""The logon mode as it would be without any run, from the host's own account of what others did.

Where somebody else sets the very mode that a run sets, too, nobody can tell afterwards whose it is, the run least of
all: then what the run found is as good.
"""

from __future__ import annotations

from mpsbridge.lab.engines.scripted.failsafe import restoration_of
from mpsbridge.models.sessions import LogonMode
from mpsbridge.planning.lease import Lease, read_lease
from support.reserved import lease_of, task_of
from support.story import Story
from support.watched_host import Deed
from support.wire import Exchange


class LogonsOfOthers:
    """The logon mode as it would be without any run, from what others did; ``also`` is what cannot be told apart."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._host = story.host
        self._first = story.host.logon_mode
        self.wanted = self._first
        self.also: set[str] = set()
        self.history: list[str] = []

    def hear(self, deed: Deed) -> None:
        by_product = isinstance(deed.by, Exchange)
        if deed.act in {"logons", "failsafe:logons"}:
            self.history.append(f"{deed.act} {deed.text} {'by us' if by_product else ''}")
        if deed.act in {"lease", "failsafe", "failsafe-remove"} and "notices" not in self._shape(deed.text):
            self.history.append(f"{deed.act} {self._shape(deed.text)}")
        if deed.act == "logons" and not by_product:
            self._others_want(deed.text)
        elif deed.act == "windows:restart":
            self._restarted()

    @staticmethod
    def _shape(text: str) -> str:
        lease = read_lease(text) if text.startswith("{") else None
        if not isinstance(lease, Lease):
            return text
        return "with notices" if lease.notices else f"{lease.run} {lease.found} -> {lease.set}"

    def _others_want(self, mode: str) -> None:
        """Where somebody else sets what a run has set, too, it takes that for its own and puts back what it found."""
        before = self._host.logon_mode
        self.also = {found for found, to in self._taken() if mode == to}
        for sent in self._story.wire.exchanges:
            if sent.script.snippet == "logons-set" and not sent.is_over and sent.script.parameters["Expected"] == mode:
                self.also.add(str(sent.script.parameters["Mode"]))
        if self._is_being_closed(before, mode):
            self.also.add(before)
        lease = read_lease(lease_of(self._host))
        if isinstance(lease, Lease) and lease.found and mode in self._wishes(lease.found, of=lease.run):
            self.also.add(lease.found.value)  # its lease says so in a moment, and then nobody can tell whose mode it is
        self.wanted = mode

    def _wishes(self, found: LogonMode, *, of: str | None = None) -> set[LogonMode | None]:
        """The modes that runs at work would set where they found that one."""
        return {run.policy.mode_to_set(found) for run in self._story.runs if run.works and of in {None, run.id}}

    def _is_being_closed(self, before: str, mode: str) -> bool:
        """Whether a run is just now about to set that very mode, and may never hear that it came second."""
        on_the_way = [
            sent.script.parameters["Mode"]
            for sent in self._story.wire.exchanges
            if sent.script.snippet == "logons-set" and not sent.is_over
        ]
        return mode in {*self._wishes(LogonMode(before)), *on_the_way}

    def _taken(self) -> list[tuple[str, str]]:
        """The modes that runs found and have set, or are about to."""
        taken: list[tuple[str, str]] = []
        lease = read_lease(lease_of(self._host))
        if isinstance(lease, Lease) and lease.found:
            taken.append((lease.found.value, (lease.set or lease.found).value))
            taken.append((lease.found.value, "enabled"))
        task = task_of(self._host)
        if task is not None and (restoration := restoration_of(task)) is not None:
            taken.append(restoration)
        return taken

    def _restarted(self) -> None:
        self.history.append("restart")
        if self._host.facts.disk_protection == "Discard":
            self.wanted, self.also = self._first, set()  # as every change, Windows' own too
            return
        if "disabled" in {self.wanted, *self.also}:
            self.also.add("enabled")  # Windows drops it; a run that had it restarted sets it again
        if self.wanted == "drain-until-restart":
            self.wanted = "enabled"
        self.also = {"enabled" if mode == "drain-until-restart" else mode for mode in self.also}
        for found, to in self._taken():
            if found == "drain-until-restart" or to == self.wanted:
                self.also.add(found)

    def are_right(self) -> tuple[bool, str]:
        mode = self._host.logon_mode
        wanted = {self.wanted, *self.also}
        return mode in wanted, f"logons are {mode}, and others want {sorted(wanted)}: {self.history}"
