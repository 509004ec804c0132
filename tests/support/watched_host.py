"""A make-believe host of the lab that keeps an account of its own: what was done to whom, by which script, when.

People are told apart by the session *object* in the world, never by what the product goes by (ids, births, rows), so
this account can convict it. ``doing`` is the script that runs just now; what happens without one was done by people, by
another administrator, by Windows or by the failsafe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from mpsbridge.lab.engines.scripted.failsafe import restoration_of
from mpsbridge.lab.windows.facts import HostFacts
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.sessions import WINLOGON_LEAD, LabSession, LabStation, sid_of
from mpsbridge.lab.windows.tasks import Task, read_task
from mpsbridge.lab.windows.world import World
from mpsbridge.models.sessions import to_cim


class ScriptDied(Exception):
    """PowerShell's process ended in the midst of a script."""


@dataclass(eq=False)
class Guest:
    """Somebody in a session, from the log-on to the end of it."""

    session: LabSession
    arrived: float
    since: float
    """Monotonic time since when it is as it is: somebody sits in front of it without a pause, or nobody does."""
    was_disconnected: bool = False
    was_idle: bool = False
    used_at: float | None = None
    """Monotonic time at which somebody who was away from it last went on with the work."""
    by_itself: bool = False
    """Whether a station logged it on without anybody's doing (W8)."""

    @property
    def name(self) -> str:
        return f"{self.session.user} in {self.session.id}, born {to_cim(self.session.born)}"

    @property
    def is_active(self) -> bool:
        return self.session.state == "active"


@dataclass(frozen=True)
class Deed:
    """One thing that happened; ``by`` is the script that did it, ``None`` for everybody else."""

    act: str
    guest: Guest | None
    by: Any
    at: float
    text: str = ""
    active: bool = False
    """Whether somebody sat in front of the session just then."""


@dataclass
class Doing:
    """The script at work; it dies at the change of that number, before or after it."""

    script: Any
    changes_left: int | None = None
    after: bool = False


class WatchedHost(LabHost):
    """See above; ``on_deed`` hears of each deed at the moment it is done."""

    def __init__(self, facts: HostFacts, world: World, *, logon_mode: str, auto_logon: dict[int, str]) -> None:
        super().__init__(facts, world, logon_mode=logon_mode)
        self.guests: list[Guest] = []
        self.deeds: list[Deed] = []
        self.doing: Doing | None = None
        self.on_deed: Callable[[Deed], None] = lambda _: None
        self._cause: str | None = None
        self._switches = False
        self.stations = [
            LabStation(id=number, name=f"Station {number}", auto_logon=bool(user))
            for number, user in auto_logon.items()
        ]
        for number, user in auto_logon.items():
            if user:
                self.log_on(user, station=number)

    # The account.

    def guest_of(self, session: LabSession) -> Guest:
        return next(guest for guest in reversed(self.guests) if guest.session is session)

    def who(self, number: int, born: str | None) -> Guest | None:
        """Who had that id and birth, in truth."""
        return next(
            (each for each in self.guests if (each.session.id, to_cim(each.session.born)) == (number, born)), None
        )

    def is_there(self, guest: Guest) -> bool:
        """Whether its row or a process of it is left."""
        self._settle()
        return any(session is guest.session for session in self.sessions)

    @property
    def present(self) -> list[Guest]:
        self._settle()
        return [self.guest_of(session) for session in self.sessions]

    def _write_down(self, act: str, session: LabSession | None = None, text: str = "") -> None:
        guest = self.guest_of(session) if session is not None else None
        by = None if self._cause or self.doing is None else self.doing.script
        deed = Deed(
            act=act if self._cause is None else f"{self._cause}:{act}",
            guest=guest,
            by=by,
            at=self.world.clock.monotonic(),
            text=text,
            active=guest is not None and guest.is_active,
        )
        self.deeds.append(deed)
        self.on_deed(deed)

    def _change(self, do: Callable[[], object], act: str, session: LabSession | None = None, text: str = "") -> Any:
        """Make one change for whoever does it, unless the script dies first."""
        doing = self.doing if self._cause is None else None
        last = False
        if doing is not None and doing.changes_left is not None:
            doing.changes_left -= 1
            last = doing.changes_left <= 0
        if last and doing is not None and not doing.after:
            raise ScriptDied
        self._write_down(act, session, text)
        answer = do()
        if last:
            raise ScriptDied
        return answer

    # What happens, with the account kept.

    def log_on(self, user: str, **more: Any) -> LabSession:
        session = super().log_on(user, **more)
        # No two log-ons happen at the same moment.
        born = self.now() - WINLOGON_LEAD
        latest = max((guest.session.born for guest in self.guests), default=born)
        session.born = max(born, latest + timedelta(microseconds=1))
        ticks = self.world.clock.monotonic()
        by_itself = any(each.auto_logon and each.session_id == session.id for each in self.stations)
        self.guests.append(Guest(session, arrived=ticks, since=ticks, by_itself=by_itself))
        return session

    def sit_down(self, user: str, *, logged_on: datetime, state: str, **more: Any) -> Guest:
        """Somebody who was there before the story begins; ``more`` are fields of the session."""
        taken = {each.id for each in self.sessions}
        number = next(each for each in range(2, 100) if each not in taken)
        account = f"{self.facts.computer}\\{user}"
        active = state == "active"
        session = LabSession(
            id=number,
            user=user,
            account=account,
            sid=sid_of(self.name, account),
            logon=logged_on,
            born=logged_on - WINLOGON_LEAD,
            state=state,
            disconnected_at=None if active else logged_on,
            **{"session_name": f"rdp-tcp#{number}" if active else None, **more},
        )
        self.sessions.append(session)
        ticks = self.world.clock.monotonic()
        idle = not active or bool(session.idle_s)
        guest = Guest(session, arrived=ticks, since=ticks, was_disconnected=not active, was_idle=idle)
        self.guests.append(guest)
        return guest

    def reconnect(self, session_id: int) -> None:
        super().reconnect(session_id)
        guest = self.guest_of(self._existing(session_id))
        guest.since = guest.used_at = self.world.clock.monotonic()

    def go_on_working(self, guest: Guest) -> None:
        """Somebody who was idle is back at the keyboard."""
        guest.session.idle_s, guest.used_at = 0, self.world.clock.monotonic()

    def disconnect(self, session_id: int) -> None:
        session = self._existing(session_id)
        guest = self.guest_of(session)
        guest.since, guest.was_disconnected, guest.was_idle = self.world.clock.monotonic(), True, True
        self._change(lambda: super(WatchedHost, self).disconnect(session_id), "disconnect", session)

    def log_off(self, session_id: int) -> None:
        self._change(lambda: super(WatchedHost, self).log_off(session_id), "logoff", self._existing(session_id))

    def reset(self, session_id: int) -> None:
        self._change(lambda: super(WatchedHost, self).reset(session_id), "reset", self.with_processes(session_id))

    def show(self, session_id: int, text: str) -> None:
        session = self._existing(session_id)
        self._change(lambda: super(WatchedHost, self).show(session_id, text), "show", session, text)

    def set_logon_mode(self, mode: str) -> None:
        self._change(lambda: super(WatchedHost, self).set_logon_mode(mode), "logons", text=mode)

    def write_file(self, path: str, text: str | None) -> None:
        self._change(lambda: super(WatchedHost, self).write_file(path, text), "lease", text=text or "")

    def register_task(self, path: str, xml: str) -> Task:
        restoration = restoration_of(read_task(path, xml))
        assert restoration is not None
        told = f"{restoration.set} -> {restoration.found}"
        task: Task = self._change(lambda: super(WatchedHost, self).register_task(path, xml), "failsafe", text=told)
        return task

    def remove_task(self, path: str) -> None:
        self._change(lambda: super(WatchedHost, self).remove_task(path), "failsafe-remove")

    def switch_mode(self, word: str) -> None:
        self._switches = True
        try:
            self._change(lambda: super(WatchedHost, self).switch_mode(word), "order", text="mode")
        finally:
            self._switches = False

    def schedule_shutdown(self, act: str, after_s: float) -> bool:
        if self._switches or self._shutdown is not None:
            return super().schedule_shutdown(act, after_s)
        return bool(self._change(lambda: super(WatchedHost, self).schedule_shutdown(act, after_s), "order", text=act))

    def restart(self) -> None:
        self._by_windows("restart", super().restart)

    def shut_down(self) -> None:
        self._by_windows("shutdown", super().shut_down)

    def _by_windows(self, act: str, do: Callable[[], None]) -> None:
        before, self._cause = self._cause, "windows"
        try:
            self._write_down(act)
            do()
        finally:
            self._cause = before

    def _run_task(self, task: Task) -> None:
        before, self._cause = self._cause, "failsafe"
        try:
            super()._run_task(task)
        finally:
            self._cause = before

    def change_rights(self, rights: str) -> None:
        """The account that runs sign in with may do more, or less, from now on."""
        self.facts = replace(self.facts, rights=rights)
