"""One host: ask and act. Methods return models and raise the errors of :mod:`mpsbridge.errors`.

Rules: an act goes only to sessions that were seen (each carries its guard), and with ``lease="held"`` only while its
run holds the host; nothing that may have run is repeated by
itself; every error leaves with the host's and the snippet's name. A connection that was idle for long is replaced
before it is used (W33), which is safe because nothing has been sent on the new one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import (
    Blind,
    ConnectTimedOut,
    InputError,
    Interrupted,
    MpsBridgeError,
    NotPublished,
    NotSent,
    Refused,
    Stopped,
    TimedOut,
)
from mpsbridge.models.presence import presence
from mpsbridge.models.scripts import Effect, RawOutput
from mpsbridge.models.sessions import (
    GONE_APART_S,
    AllowedSession,
    LogonMode,
    Logons,
    Observation,
    Result,
    Session,
    SessionGuard,
    SessionResult,
    Stations,
    to_cim,
)
from mpsbridge.models.targets import Target
from mpsbridge.snippets.failsafe import FailsafeAnswer, RegisterFailsafe, RemoveFailsafe
from mpsbridge.snippets.fields import LeaseDemand
from mpsbridge.snippets.lease import LeaseAnswer, WriteLease
from mpsbridge.snippets.logons import ReadLogonMode, SetLogonMode
from mpsbridge.snippets.observe import Look, LookBesideTables, Observe
from mpsbridge.snippets.power import ModeAnswer, OrderPower, PowerAnswer, SwitchMode
from mpsbridge.snippets.sessions import (
    ActAnswer,
    DisconnectSessions,
    LogOffSessions,
    ResetSessions,
    SendMessage,
    SessionActAnswer,
)
from mpsbridge.snippets.snippet import Asks
from mpsbridge.snippets.stations import ListStations
from mpsbridge.transports import open_transport
from mpsbridge.transports.base import Transport

M = TypeVar("M")
LOOKS_AFTER_S = (0, 1, 2, 4, 5)
"""Seconds before each look for a session that is being ended, where nothing says when to look."""
CANNOT_TELL = "this account cannot tell an empty host from a hidden one"
"""Why an account without rights never learns that the last session of a host has gone."""
IDLE_LIMIT_S = 60.0
"""A connection that was idle for longer is replaced before use (W33)."""


class Host:
    """One Windows computer: ``Host(Target("ts1", credentials=Password("admin", "..."))).observe()``.

    ``timeout_s`` bounds each command. ``connect`` makes the transport; construction itself does no I/O. With
    ``only_reads`` (a dry run) everything that would change something is refused here. Use one host in one thread at a
    time; only :meth:`cancel` and :meth:`interrupt` may be called from another.
    """

    def __init__(
        self,
        target: Target,
        *,
        timeout_s: float = 60.0,
        clock: Clock | None = None,
        connect: Callable[[Target], Transport] = open_transport,
        only_reads: bool = False,
    ) -> None:
        if not isinstance(target, Target):
            raise InputError("target: it is not a Target", hint='Write Host(Target("ts1")).')
        self.target = target
        self._only_reads = only_reads
        self.timeout_s = timeout_s
        self._clock = clock or SystemClock()
        self._connect = connect
        self._transport: Transport | None = None
        self._cancelled = threading.Event()
        self._last_used = 0.0
        self._busy_since = math.inf
        self._ends_at = math.inf
        self._seen_at: tuple[datetime, float] | None = None
        self.deadline = math.inf
        """A moment of the clock's ``monotonic()`` at which every command ends, and after which none is sent."""

    @property
    def name(self) -> str:
        """As the person gave it."""
        return self.target.host

    def run(self, snippet: Asks[object]) -> RawOutput:
        """Run one snippet and bring home the raw answer. Raises ``InputError``, ``NotSent``, ``Interrupted``."""
        try:
            if self._only_reads and snippet.effect is not Effect.READ:
                raise Refused(f"only reads are sent here, and '{snippet.name}' is more")
            script = snippet.render()
            self._busy_since = self._clock.monotonic()
            left_s = self._left_s()
            self._ends_at = self._busy_since + left_s
            return self._ready().run(script, timeout_s=left_s)
        except MpsBridgeError as error:
            if isinstance(error, NotSent | Interrupted):
                self.close()
            if isinstance(error, NotPublished):
                _advise(error, snippet.name)
            raise error.about(host=self.target.host, snippet=snippet.name)  # noqa: B904 - it is the same error
        finally:
            self._last_used = self._clock.monotonic()
            self._busy_since = math.inf

    def ask(self, snippet: Asks[M]) -> M:
        """Run one snippet and read its answer: ``host.ask(Look())``.

        Raises, beyond :meth:`run`, ``RemoteError`` and ``ParseError``.
        """
        raw = self.run(snippet)
        try:
            return snippet.read(raw, self._check_time)
        except MpsBridgeError as error:
            raise error.about(host=self.target.host, snippet=snippet.name)  # noqa: B904 - it is the same error

    def _check_time(self) -> None:
        """Raise where the time of the command is up, or all was cancelled, while its answer is being read."""
        if self._cancelled.is_set():
            raise Interrupted("cancelled while the answer was read")
        if self._clock.monotonic() > self._ends_at:
            raise TimedOut("the time was up while the answer was read")

    def observe(self, *, programs: Sequence[str] = ()) -> Observation:
        """All that one look tells; changes nothing. Raises :class:`~mpsbridge.errors.Blind` where it may not see.

        ``programs`` are looked for in everybody's session (W38).
        """
        return self._timed(lambda: self.ask(Observe(programs=tuple(programs))))

    def look(self) -> Observation:
        """The small look for waiting: who is there, the logon mode, the boot and the lease; changes nothing (W16)."""
        return self._timed(lambda: self.ask(Look()))

    def look_beside_tables(self) -> Observation:
        """The small look without its tables, which may be unreadable: logon mode, boot, lease; no session."""
        return self._timed(lambda: self.ask(LookBesideTables()))

    def _timed(self, ask: Callable[[], Observation]) -> Observation:
        """Remember the host's own time, against which the limits of later acts are set (W4)."""
        started = self._clock.monotonic()
        seen = ask()
        self._seen_at = (seen.observed, started)
        return seen

    def stations(self) -> Stations:
        """The MultiPoint mode and stations; changes nothing."""
        return self.ask(ListStations())

    def logons(self) -> Logons:
        """The logon mode; changes nothing."""
        return self.ask(ReadLogonMode())

    def set_logons(
        self, mode: LogonMode, *, expected: LogonMode | None, run: str, lease: LeaseDemand = "free"
    ) -> Logons:
        """Set the logon mode if it is still ``expected`` (W17), and read it back."""
        asked = SetLogonMode(mode=mode, expected=expected, not_after=self._not_after(), run=run, lease=lease)
        return self.ask(asked)

    def message(
        self, sessions: Sequence[Session], text: str, *, display_s: int = 60, run: str, notice: str | None = None
    ) -> tuple[SessionResult, ...]:
        """Show a box in each session. ``shown`` only where the session was active before and after (W2).

        With ``notice`` it is one of the notices of a run that holds the host's lease, which keeps a mark of it: a
        session that has it already is ``kept`` and sees nothing again.
        """
        asked = SendMessage(
            sessions=_guards(sessions),
            text=text,
            display_s=display_s,
            notice=notice,
            not_after=self._not_after(),
            run=run,
        )
        return _results(sessions, self.ask(asked))

    def disconnect(self, sessions: Sequence[Session], *, run: str) -> tuple[SessionResult, ...]:
        """Disconnect (suspend) each session; what runs in it goes on running."""
        asked = DisconnectSessions(sessions=_guards(sessions), not_after=self._not_after(), run=run)
        return _results(sessions, self.ask(asked))

    def log_off(
        self, sessions: Sequence[Session], *, run: str, lease: LeaseDemand = "free"
    ) -> tuple[SessionResult, ...]:
        """Log each session off and look until it is gone (W9).

        Whom the script has seen go needs one look more, two seconds later; for others it is looked at once, then after
        1, 2, 4 and 5 s.
        """
        asked = LogOffSessions(sessions=_guards(sessions), not_after=self._not_after(), run=run, lease=lease)
        return self._until_gone(_results(sessions, self.ask(asked)))

    def reset(self, sessions: Sequence[Session], *, run: str, lease: LeaseDemand = "free") -> tuple[SessionResult, ...]:
        """End each session by force and look until it is gone; what it has not saved is lost (W9).

        Only a session whose birth is known: nothing else proves who it is once its row has gone (W8).
        """
        asked = ResetSessions(sessions=_guards(sessions), not_after=self._not_after(), run=run, lease=lease)
        return self._until_gone(_results(sessions, self.ask(asked)))

    def set_lease(self, text: str | None, *, expected: str | None, run: str) -> LeaseAnswer:
        """Write the lease file if it still holds ``expected`` (null: no file), or remove it (W22)."""
        return self.ask(WriteLease(text=text, expected=expected, not_after=self._not_after(), run=run))

    def set_failsafe(self, *, found: LogonMode, to: LogonMode, owner: str, run: str) -> FailsafeAnswer:
        """Register the task that restores logons when the lease has run out (W19)."""
        asked = RegisterFailsafe(found=found, set=to, owner=owner, not_after=self._not_after(), run=run)
        return self.ask(asked)

    def remove_failsafe(self, *, run: str) -> FailsafeAnswer:
        """Remove that task."""
        return self.ask(RemoveFailsafe(not_after=self._not_after(), run=run))

    def power(
        self, action: str, *, allowed: Sequence[AllowedSession], reason: str, run: str, lease: LeaseDemand = "free"
    ) -> PowerAnswer:
        """Look a last time and, where nobody but ``allowed`` is left, restart or shut down (W24)."""
        asked = OrderPower.model_validate(
            {
                "action": action,
                "allowed": tuple(allowed),
                "reason": reason,
                "not_after": self._not_after(),
                "run": run,
                "lease": lease,
            }
        )
        return self.ask(asked)

    def set_mode(
        self, mode: str, *, allowed: Sequence[AllowedSession], run: str, lease: LeaseDemand = "free"
    ) -> ModeAnswer:
        """Look a last time and switch MultiPoint's mode (W27)."""
        asked = SwitchMode.model_validate(
            {"mode": mode, "allowed": tuple(allowed), "not_after": self._not_after(), "run": run, "lease": lease}
        )
        return self.ask(asked)

    def interrupt(self, *, begun_before: float) -> None:
        """End the command at work in another thread, if it was sent before that moment of ``monotonic()``.

        What follows is sent on a connection of its own: a host that hangs is left in time to give back what is held.
        """
        if (transport := self._transport) is not None and self._busy_since < begun_before:
            transport.cancel()

    def cancel(self) -> None:
        """End whatever runs in another thread, at once and for good: nothing more is sent to this host."""
        self._cancelled.set()
        if (transport := self._transport) is not None:
            transport.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the host; never raises."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _ready(self) -> Transport:
        if self._cancelled.is_set():
            raise Stopped("cancelled before anything was sent")
        idle_s = self._clock.monotonic() - self._last_used
        if self._transport is not None and idle_s > IDLE_LIMIT_S:
            self.close()
        if self._transport is None:
            self._transport = self._connect(self.target)
        return self._transport

    def silent_s(self) -> float:
        """Seconds since the connection last made a step; infinite without one. From any thread."""
        transport = self._transport
        return math.inf if transport is None else transport.silent_s()

    def _left_s(self) -> float:
        """Seconds that the next command may take."""
        left_s = min(self.timeout_s, self.deadline - self._clock.monotonic())
        if left_s <= 0:
            words = "the time for the whole call was up before this was sent"
            raise ConnectTimedOut(words, hint="Give it more time with --deadline.")
        return left_s

    def _not_after(self) -> str:
        """The host's own time at which this command's limit runs out: a script that starts later does nothing (W4)."""
        if self._seen_at is None:
            try:
                self.observe()
            except MpsBridgeError as error:
                error.may_have_run = False  # the look may have run; the act that was to follow has not
                raise
        assert self._seen_at is not None  # noqa: S101 - observe sets it
        seen, at = self._seen_at
        return to_cim(seen + timedelta(seconds=self._clock.monotonic() - at + self._left_s()))

    def _until_gone(self, results: tuple[SessionResult, ...]) -> tuple[SessionResult, ...]:
        """Look until each session whose log-off began is gone for sure, or the looks are used up."""
        open_ = [result for result in results if result.result in {Result.ENDED, Result.UNKNOWN}]
        watch = GoneWatch(open_, at_s=self._clock.monotonic())
        for planned_s in LOOKS_AFTER_S:
            pause_s = watch.missing_s(self._clock.monotonic()) or planned_s
            if watch.settled or self._clock.wait(pause_s, self._cancelled):
                break
            try:
                watch.look(self.look(), at_s=self._clock.monotonic())
            except MpsBridgeError as error:
                watch.could_not_look(error)
        return tuple(watch.verdict(result) for result in results)


def _guards(sessions: Sequence[Session]) -> tuple[SessionGuard, ...]:
    """What the host recognises each session by. Raises ``InputError`` where it is none that a look has shown."""
    given: object = sessions  # one session is a sequence of its fields to Python
    if not isinstance(given, Sequence) or not all(isinstance(session, Session) for session in given):
        raise InputError("sessions: it is not a list of Session", hint="Choose from host.observe().sessions.")
    for session in sessions:
        if session.guard is None:
            raise InputError(f"session {session.id}: it cannot be recognised again on the host, so it is not acted on")
        if session.guard.id != session.id:
            raise InputError(f"session {session.id}: its id is not that of the look ({session.guard.id})")
    return tuple(session.guard for session in sessions if session.guard is not None)


def _results(sessions: Sequence[Session], answer: ActAnswer) -> tuple[SessionResult, ...]:
    """What the host said of each session; silence about one is ``unknown``."""
    said = {entry.id: entry for entry in answer.sessions}
    silent = SessionActAnswer(id=0, result=Result.UNKNOWN, text="the host did not say")
    return tuple(
        SessionResult(session=session, result=entry.result, text=entry.text, begun=entry.begun)
        for session in sessions
        for entry in [said.get(session.id, silent)]
    )


class GoneWatch:
    """Which sessions are gone: absent in two looks, at least :data:`GONE_APART_S` apart, without row and process.

    ``at_s`` is when the results came. Of a session that is ``ended`` the script itself has seen neither any more, just
    before: that is the first of the two looks.
    """

    def __init__(self, results: Sequence[SessionResult], *, at_s: float) -> None:
        self._open = {result.session.id: result.session for result in results}
        self._first_absent = {result.session.id: at_s for result in results if result.result is Result.ENDED}
        self._gone: set[int] = set()
        self._why: dict[int, str] = {}

    @property
    def settled(self) -> bool:
        """Whether nobody is left to look for."""
        return set(self._open) == self._gone

    def missing_s(self, now_s: float) -> float:
        """Seconds until one more look may settle everybody; 0 where that is past, or somebody was still there."""
        waiting = set(self._open) - self._gone
        if not waiting or not waiting <= set(self._first_absent):
            return 0.0
        return max(0.0, max(self._first_absent[session_id] for session_id in waiting) + GONE_APART_S - now_s)

    def look(self, seen: Observation, *, at_s: float) -> None:
        """Take in one observation."""
        for session_id, session in self._open.items():
            if session_id in self._gone:
                continue
            if why := presence(session, seen):
                self._first_absent.pop(session_id, None)
                self._why[session_id] = why
            elif at_s - self._first_absent.setdefault(session_id, at_s) >= GONE_APART_S:
                self._gone.add(session_id)
            else:
                self._why[session_id] = "gone in one look only"

    def could_not_look(self, error: MpsBridgeError) -> None:
        """A look failed: it proves neither presence nor absence."""
        for session_id in set(self._open) - self._gone:
            if isinstance(error, Blind):
                name = self._open[session_id].user or f"session {session_id}"
                self._why[session_id] = f"{name} is no longer listed, and {CANNOT_TELL}"
            else:
                self._why[session_id] = f"could not look: {error}"

    def verdict(self, result: SessionResult) -> SessionResult:
        """The result after all looks."""
        session_id = result.session.id
        if session_id not in self._open:
            return result
        if session_id in self._gone:
            ended = result.begun or result.result is Result.ENDED
            return result.model_copy(update={"result": Result.ENDED if ended else Result.GONE})
        text = "; ".join(filter(None, (result.text, self._why.get(session_id))))
        return result.model_copy(update={"result": Result.UNKNOWN, "text": text})


def _advise(error: NotPublished, snippet: str) -> None:
    from mpsbridge.snippets.jea import in_some_role  # noqa: PLC0415 - where a restricted endpoint refuses, only

    if not in_some_role(snippet):
        error.hint = (
            "Use an account that is an administrator of the host, without --configuration: no role of the JEA module "
            "includes what 'end', 'hold' and 'release' do there. 'message', 'disconnect' and 'logoff' work with a role."
        )
