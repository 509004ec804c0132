"""One make-believe host: who is on, and what becomes of them. How things look (tables, bytes) is not known here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from mpsbridge.lab.windows.facts import HostFacts
from mpsbridge.lab.windows.files import Access, Files
from mpsbridge.lab.windows.sessions import WINLOGON_LEAD, LabSession, LabStation, sid_of
from mpsbridge.lab.windows.tasks import RUNNING, Task, read_task
from mpsbridge.lab.windows.world import Change, World

MODE_RESTART_S = 5.0
"""From the order to switch MultiPoint's mode to the restart."""


Captured = tuple[int, bytes, bytes]
"""What a program was seen to do: its exit code, standard output and standard error."""


class LabHost:
    """One host: its facts, and the state that acts change. Every method is called with the world's lock held."""

    def __init__(
        self,
        facts: HostFacts,
        world: World,
        *,
        sessions: list[LabSession] | None = None,
        stations: list[LabStation] | None = None,
        faults: tuple[Any, ...] = (),
        boot: datetime | None = None,
        logon_mode: str = "enabled",
        playback: list[str] | None = None,
        playback_qwinsta: list[str] | None = None,
        folders: Mapping[str, Access] | None = None,
    ) -> None:
        self.facts = facts
        self.world = world
        self.sessions = sessions or []
        self.stations = stations or []
        self.faults = faults
        """What goes wrong on the way to it: rules for whatever serves it on a network, and not looked at here."""
        self.boot = boot or self.now() - timedelta(days=5)
        self._logon_mode = logon_mode
        self.mode = facts.mode
        """MultiPoint's mode, as the host words it."""
        self.playback = playback
        """The lines of a captured ``quser`` table, shown (without the rows that have gone) instead of a printed one."""
        self.playback_qwinsta = playback_qwinsta
        self._captured: Mapping[str, Captured] = {}
        self._captured_of: tuple[object, ...] = ()
        self.events: list[str] = []
        """The entries of its Application log."""
        self.files = Files(self.now, folders or {})
        self.tasks: dict[str, Task] = {}
        """The registered tasks, by folder and name."""
        self.execute: Callable[[LabHost, Task], int | None] | None = None
        """Executes the command of a task that is due: an engine, for the world runs no programs."""
        self._logon_mode_at_start = logon_mode
        self._shutdown: tuple[str, float] | None = None
        self._away_until = float("-inf")
        self._returning: list[LabSession] = []
        self._has_booted_twice = False

    @property
    def name(self) -> str:
        """The name in the world file."""
        return self.facts.name

    @property
    def logon_mode(self) -> str:
        """Who may log on, as ``change logon`` says; what was due to change it has done so."""
        self._settle()
        return self._logon_mode

    def play(self, captured: Mapping[str, Captured]) -> None:
        """Let programs print what they were seen to print, for as long as the sessions stay as they are now."""
        self._captured, self._captured_of = captured, self._picture()

    def captured(self, program: str) -> Captured | None:
        """What a program was seen to print, where that still holds."""
        found = self._captured.get(program)
        return found if found is not None and self._picture() == self._captured_of else None

    def _picture(self) -> tuple[object, ...]:
        return tuple((each.id, each.user, each.state, each.session_name) for each in self.rows())

    def now(self) -> datetime:
        """The host's own clock, UTC."""
        return self.world.clock.now() + timedelta(seconds=self.facts.clock_offset_s)

    def local(self, moment: datetime) -> datetime:
        """The same moment in the host's time zone."""
        return (moment + timedelta(minutes=self.facts.utc_offset_min)).replace(tzinfo=None)

    def session(self, session_id: int) -> LabSession | None:
        """The session with that id, if its row is still there."""
        return next((each for each in self.rows() if each.id == session_id), None)

    def with_processes(self, session_id: int) -> LabSession | None:
        """The session with that id, if its row or its processes are still there."""
        self._settle()
        return next((each for each in self.sessions if each.id == session_id), None)

    def rows(self) -> list[LabSession]:
        """The sessions that tables show now, oldest first. Auto-logon stations fill themselves here."""
        self._settle()
        ticks = self.world.clock.monotonic()
        return [
            each
            for each in self.sessions
            if not each.orphaned and (each.row_gone_at is None or each.hung or ticks < each.row_gone_at)
        ]

    def processes_in(self) -> list[int]:
        """Session ids in which a person's processes run: they outlive the row by ``linger_s``."""
        self._settle()
        return sorted({each.id for each in self.sessions})

    def _settle(self) -> None:
        """Let whatever is due come to pass; whoever looks first makes it so."""
        ticks = self.world.clock.monotonic()
        if self._shutdown is not None and ticks >= self._shutdown[1]:
            act, self._shutdown = self._shutdown[0], None
            (self.restart if act == "restart" else self.shut_down)()
        if ticks >= self._away_until:
            self._come_back()
            self._run_tasks()
        for session in list(self.sessions):
            if session.hung or session.row_gone_at is None:
                continue
            if ticks >= session.row_gone_at:
                self._leave_station(session)
            if ticks >= session.row_gone_at + session.linger_s and session in self.sessions:
                self.sessions.remove(session)

    def _come_back(self) -> None:
        """After a restart the stations that sign somebody in by themselves do so."""
        returning, self._returning = self._returning, []
        for each in returning:
            self.log_on(each.user, session_name=each.session_name, station=each.station, account=each.account)

    def _run_tasks(self) -> None:
        """Start what is due; a turn that was missed while the host was down is not made up for."""
        for task in list(self.tasks.values()):
            if task.due is not None and self.now() >= task.due:
                task.wait_for_turn(self.now(), self.boot)
                self._run_task(task)

    def _run_task(self, task: Task) -> None:
        """Run it, unless it runs already. What it ends with is known now, or set in the task when it has ended."""
        if task.last_result == RUNNING:
            return
        task.last_run, task.last_result = self.now(), RUNNING
        result = 1 if self.facts.tasks == "fails" else self.execute(self, task) if self.execute is not None else 0
        if result is not None:
            task.last_result = result

    def _leave_station(self, session: LabSession) -> None:
        station = next((each for each in self.stations if each.session_id == session.id), None)
        if station is None or session.station is None:
            return
        session.station = station.session_id = None
        if station.auto_logon:
            self.log_on(session.user, session_name=session.session_name, station=station.id, account=session.account)

    def live_on(self, moved: timedelta) -> None:
        """Go on by another clock: times move along, except those that stand in a captured table."""
        for session in self.sessions:
            if not session.lines:
                session.logon, session.born = session.logon + moved, session.born + moved
            if session.disconnected_at is not None:
                session.disconnected_at += moved
        if self.playback is None:
            self.boot += moved
        self.files.move(moved)

    # What people do.

    def log_on(
        self,
        user: str,
        *,
        session_name: str | None = None,
        station: int | None = None,
        account: str | None = None,
        admin: bool = False,
    ) -> LabSession:
        """Somebody signs in, logon mode or not (that is for the caller to respect); the lowest free id is reused."""
        taken = {each.id for each in self.sessions}
        new_id = next(number for number in range(1, 65536) if number not in taken)
        now, account = self.now(), account or f"{self.facts.computer}\\{user}"
        session = LabSession(
            id=new_id,
            user=user,
            logon=now,
            born=now - WINLOGON_LEAD,
            account=account,
            sid=sid_of(self.name, account),
            session_name=session_name or f"rdp-tcp#{new_id}",
            idle_s=0,
            station=station,
            admin=admin,
        )
        self.sessions.append(session)
        for each in self.stations:
            if each.id == station:
                each.session_id = new_id
        self._record("logon", session)
        return session

    def reconnect(self, session_id: int) -> None:
        """A disconnected person is back."""
        session = self._existing(session_id)
        session.state, session.state_text, session.disconnected_at = "active", None, None
        session.session_name, session.idle_s = f"rdp-tcp#{session.id}", 0
        self._record("reconnect", session)

    # What an administrator does.

    def log_off(self, session_id: int) -> None:
        """Order a log-off; it takes the session's own time, and a hung one never ends."""
        session = self._existing(session_id)
        if session.row_gone_at is None and not session.ignores:
            session.row_gone_at = self.world.clock.monotonic() + session.logoff_s
            self._record("logoff", session)
        self._settle()

    def reset(self, session_id: int) -> None:
        """End a session at once, hung or not, and also one that has no row any more."""
        session = self.with_processes(session_id)
        if session is None:
            raise KeyError(f"{self.name} has no session {session_id}")
        session.hung, session.orphaned, session.linger_s = False, False, 0.0
        session.row_gone_at = self.world.clock.monotonic()
        self._record("reset", session)
        self._settle()

    def disconnect(self, session_id: int) -> None:
        """Take the session from its screen; it keeps running."""
        session = self._existing(session_id)
        if session.ignores:
            return
        session.state, session.state_text, session.session_name = "disconnected", None, None
        session.disconnected_at = self.now()
        for station in self.stations:
            if station.session_id == session_id:
                station.session_id = session.station = None
        self._record("disconnect", session)

    def show(self, session_id: int, text: str) -> None:
        """Show a message box."""
        session = self._existing(session_id)
        session.boxes.append(text)
        self._record("message", session, text)

    def set_logon_mode(self, mode: str) -> None:
        """What ``change logon`` does, if anything."""
        if self.facts.logons_stuck:
            return
        self._logon_mode = mode
        self._record("logons", None, mode)

    def write_file(self, path: str, text: str | None) -> None:
        """Put a text there, or (``None``) take the file away."""
        self.files.write(path, text)
        self._record("file", None, f"{'removed' if text is None else 'wrote'} {path}")

    def register_task(self, path: str, xml: str) -> Task:
        """Register a task, in place of one of that name. Raises ``BadTask``."""
        task = self.tasks[path] = read_task(path, xml)
        task.wait_for_turn(self.now(), self.boot)
        self._record("task", None, f"registered {path}")
        return task

    def start_task(self, path: str) -> None:
        """Run a task now, out of its turn. Raises ``KeyError``."""
        self._run_task(self.tasks[path])

    def remove_task(self, path: str) -> None:
        """Remove a task, if it is there."""
        if self.tasks.pop(path, None) is not None:
            self._record("task", None, f"removed {path}")

    def switch_mode(self, word: str) -> None:
        """Another mode of MultiPoint, and soon a restart: whether a real host restarts at once is not documented."""
        self.mode = word
        self._record("mode", None, word)
        self.schedule_shutdown("restart", MODE_RESTART_S)

    def restart(self) -> None:
        """Everybody is gone, nobody answers for ``restart_s``, the boot is a new one, and what Windows drops at a
        restart is dropped. With disk protection that is every change since the start of the lab.
        """
        back_s = float("inf") if self.facts.stays_down else self.facts.restart_s
        seats = {each.session_id for each in self.stations if each.auto_logon}
        returning = [each for each in self.sessions if each.id in seats]
        self._go_down(back_s)
        self._returning = [] if self.facts.stays_down else returning
        self.boot = self.now() + timedelta(seconds=self.facts.restart_s)
        if self._logon_mode in {"disabled", "drain-until-restart"}:
            self._logon_mode = "enabled"
        for task in self.tasks.values():
            task.wait_for_turn(self.boot, self.boot)
        if self.facts.disk_protection == "Discard":
            self._logon_mode = self._logon_mode_at_start
            self.files.restore()
            self.tasks.clear()
        if self.facts.boots_twice and not self._has_booted_twice:
            self._has_booted_twice = True
            self._shutdown = ("restart", self._away_until + self.facts.reboot_s)
        self._record("restart", None)

    def shut_down(self) -> None:
        """Everybody is gone, and nobody answers any more."""
        self._go_down(float("inf"))
        self._record("shutdown", None)

    def schedule_shutdown(self, act: str, after_s: float) -> bool:
        """``restart`` or ``shutdown`` so many seconds from now; ``False`` where one is scheduled already."""
        if self._shutdown is not None:
            return False
        self._shutdown = (act, self.world.clock.monotonic() + after_s)
        return True

    def abort_shutdown(self) -> bool:
        """Take a scheduled one back; ``False`` where there is none."""
        scheduled, self._shutdown = self._shutdown, None
        return scheduled is not None

    @property
    def is_away(self) -> bool:
        """Whether the host is down just now."""
        self._settle()
        return self.world.clock.monotonic() < self._away_until

    def unready(self) -> list[str]:
        """Why it is not ready for people yet, in Windows' names."""
        starting = self.world.clock.monotonic() < self._away_until + self.facts.ready_s
        updating = self.facts.boots_twice and self._has_booted_twice and self._shutdown is not None
        return ["TermService"] * starting + ["RebootInProgress"] * updating

    def _go_down(self, seconds: float) -> None:
        self._away_until = self.world.clock.monotonic() + seconds
        self.sessions.clear()
        for station in self.stations:
            station.session_id = None

    def _existing(self, session_id: int) -> LabSession:
        session = self.session(session_id)
        if session is None:
            raise KeyError(f"{self.name} has no session {session_id}")
        return session

    def _record(self, act: str, session: LabSession | None, text: str = "") -> None:
        self.world.record(
            Change(
                host=self.name,
                act=act,
                session_id=session.id if session else None,
                user=session.user if session else None,
                logon=session.logon.isoformat() if session else None,
                at=self.now().isoformat(),
                text=text,
            )
        )
