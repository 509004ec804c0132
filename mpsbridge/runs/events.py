"""Everything that can happen in a run, each as a model of its own: the one vocabulary of record, screen and programs.

Rules: the name of an event, a step or a phase is written in this file and nowhere else; an event holds values, and
:meth:`Happening.text` alone makes a sentence of them; what a person sees while a run goes on says so by ``is_shown``
(with ``-v`` also by ``is_detail``), what ``--events`` writes by ``is_told``. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AwareDatetime, Field, JsonValue, TypeAdapter

from mpsbridge.models.counts import counted
from mpsbridge.models.durations import format_duration
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.sessions import LogonMode, Result, Session, SessionResult, State
from mpsbridge.models.then import Then
from mpsbridge.once import once
from mpsbridge.planning.lease import Holder


class _InWords(StrEnum):
    """A word of the record, and the ``words`` by which people are told of it."""

    words: str

    def __new__(cls, value: str, words: str) -> Self:
        """A member and its words."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.words = words
        return member


class Phase(_InWords):
    """A part of the procedure; ``words`` say what is being done."""

    PLAN = "plan", "planning"
    OBSERVE = "observe", "looking"
    LEASE = "lease", "taking the lease"
    CLOSE = "close", "closing logons"
    WARN = "warn", "warning and waiting"
    END = "end", "logging off"
    FORCE = "force", "resetting by force"
    RESTART = "restart", "restarting"
    SHUTDOWN = "shutdown", "shutting down"
    CONSOLE_MODE = "console-mode", "switching to console mode"
    STATION_MODE = "station-mode", "switching to station mode"
    RETURN = "return", "coming back"
    RESTORE = "restore", "giving back"
    ACT = "act", "acting"

    @classmethod
    def of(cls, then: Then) -> Phase:
        """The phase in which a host goes down or changes its mode."""
        return cls[then.name]


class Step(StrEnum):
    """Something that is sent to a host and changes something there."""

    LEASE = "lease"
    FAILSAFE = "failsafe"
    FAILSAFE_REMOVE = "failsafe-remove"
    LOGONS = "logons-set"
    MESSAGE = "message"
    DISCONNECT = "disconnect"
    LOGOFF = "logoff"
    RESET = "reset"
    POWER = "power"
    MODE = "mode"

    @property
    def is_about_sessions(self) -> bool:
        """Whether its answer tells of each session."""
        return self in {Step.MESSAGE, Step.DISCONNECT, Step.LOGOFF, Step.RESET}

    @property
    def takes_host_down(self) -> bool:
        """Whether the host may restart, or go off, because of it."""
        return self in {Step.POWER, Step.MODE}

    @property
    def disrupts(self) -> bool:
        """Whether it ends sessions or takes the host down."""
        return self in {Step.LOGOFF, Step.RESET} or self.takes_host_down

    @property
    def touches_people(self) -> bool:
        """Whether people see it, or lose something by it."""
        return self.disrupts or self is Step.MESSAGE


class Happening(Frozen):
    """What all of them have: a name, and the phase in which it happened where there was one."""

    is_told: ClassVar[bool] = True
    """Whether ``--events`` writes it; false of what only the record needs."""
    is_shown: ClassVar[bool] = False
    """Whether a person sees it while the run goes on."""
    is_detail: ClassVar[bool] = False
    """Whether a person sees it then who wants to know more (``-v``)."""

    event: str
    phase: Phase | None = None

    def text(self) -> str:
        """It in a sentence for people; empty where there is nothing to say."""
        return ""


class _OfSession(Happening):
    """Something about one session: (``session``, ``born``) is its identity."""

    session: int
    born: AwareDatetime | None = None
    user: str | None = None
    account: str | None = None

    @property
    def name(self) -> str:
        """What a person knows it by."""
        return self.user or self.account or f"session {self.session}"

    @staticmethod
    def identity_of(session: Session) -> dict[str, Any]:
        """The fields that say which session it is."""
        return {"session": session.id, "born": session.born, "user": session.user or None, "account": session.account}


class SessionTold(Frozen):
    """What the answer to a step tells of one session."""

    id: int
    born: AwareDatetime | None = None
    user: str | None = None
    account: str | None = None
    result: Result
    text: str = ""

    @classmethod
    def of(cls, told: SessionResult) -> SessionTold:
        """The same, as the record keeps it."""
        one = told.session
        names = {"user": one.user or None, "account": one.account}
        return cls(id=one.id, born=one.born, **names, result=told.result, text=told.text)


class MarkTold(Frozen):
    """A notice that was sent to a session, or may have been, as the lease on the host writes it."""

    id: int
    born: str | None = None
    notice: str
    mark: Literal["sending", "delivered"]


# What is sent.


class StepSent(Happening):
    """A step is about to be sent: the intent, on the disk before the step itself is on its way.

    ``sessions`` are the ids that it is about; ``notice`` is the name of a notice and ``ends`` the end that
    it announces.
    """

    is_told: ClassVar[bool] = False

    event: Literal["intent"] = "intent"
    step: Step
    sessions: tuple[int, ...] = ()
    notice: str | None = None
    ends: AwareDatetime | None = None
    marks: tuple[MarkTold, ...] = ()
    logons: LogonMode | None = None
    then: Then | None = None

    def text(self) -> str:
        """``message: sessions 2 3, notice 5m``."""
        noun = "session" if len(self.sessions) == 1 else "sessions"
        ids = f"{noun} {' '.join(map(str, self.sessions))}" if self.sessions else ""
        values = (ids, f"notice {self.notice}" if self.notice else "", self.logons or "", self.then or "")
        said = ", ".join(str(value) for value in values if value)
        return f"{self.step}: {said}" if said else self.step.value


class StepAnswered(Happening):
    """What became of a step: the host's answer, or an ``error`` after which it is certain that it did not run."""

    is_told: ClassVar[bool] = False

    event: Literal["outcome"] = "outcome"
    step: Step
    intent: int
    """The number of its :class:`StepSent` in the record."""
    error: str | None = None
    sessions: tuple[SessionTold, ...] = ()
    logons: LogonMode | None = None
    answer: JsonValue = None
    """What else the host said."""

    def text(self) -> str:
        """What came of it, in short."""
        if self.error is not None:
            return f"{self.step} did not run: {self.error}"
        told = ", ".join(f"{one.result}{_in_brackets(one.text)} {one.user or one.id}" for one in self.sessions)
        return f"{self.step}: {told or 'done'}"


class StepUnanswered(Happening):
    """No answer came, so nobody knows whether a step ran."""

    is_told: ClassVar[bool] = False

    event: Literal["unknown"] = "unknown"
    step: Step
    intent: int
    error: str

    def text(self) -> str:
        """The error."""
        return f"{self.step} has no answer: {self.error}"


# What is seen and decided.


class Looked(Happening):
    """The host was looked at."""

    is_told: ClassVar[bool] = False

    event: Literal["look"] = "look"
    observed: AwareDatetime
    """By the host's clock, in its own offset."""
    sessions: tuple[int, ...] = ()
    logons: LogonMode | None = None
    boot: AwareDatetime | None = None
    computer: str | None = None
    """The computer's own name."""

    def text(self) -> str:
        """How many sessions there are, and whether logons are open."""
        return f"seen: {counted(len(self.sessions), 'session')}, logons {self.logons or 'not told'}"


class LookRepeated(Happening):
    """The answer to a look was lost on the way, so the second or third (``look``) is taken; ``error`` is the kind."""

    is_detail: ClassVar[bool] = True

    event: Literal["look-repeated"] = "look-repeated"
    why: str
    error: str
    look: int

    def text(self) -> str:
        """Which look comes now, and why."""
        return f"a look was lost, look {self.look} follows{_in_brackets(self.why)}"


class AnswerLost(Happening):
    """The answer to a step was lost on the way; a look tells what became of it. ``error`` is the kind."""

    is_detail: ClassVar[bool] = True

    event: Literal["answer-lost"] = "answer-lost"
    step: Step
    why: str
    error: str

    def text(self) -> str:
        """Which step, and why."""
        return f"the answer to {self.step} was lost, a look tells what became of it{_in_brackets(self.why)}"


_MEANT = {
    Step.MESSAGE: "is to be shown the message",
    Step.DISCONNECT: "is to be disconnected",
    Step.LOGOFF: "is to be ended",
    Step.RESET: "is to be reset",
}
_LEFT_OUT = {"keep": "is kept", "refuse": "refuses"}


class SessionJudged(_OfSession):
    """A session has its verdict: whether ``act``, the step that was asked for, is for it."""

    event: Literal["verdict"] = "verdict"
    state: State
    decision: Literal["act", "keep", "refuse"]
    reason: str = ""
    act: Step = Step.LOGOFF

    @classmethod
    def of(
        cls, session: Session, act: Step, decision: Literal["act", "keep", "refuse"], *, reason: str = ""
    ) -> SessionJudged:
        """The verdict on a session, while planning."""
        who = cls.identity_of(session)
        return cls(**who, state=session.state, decision=decision, reason=reason, act=act, phase=Phase.PLAN)

    def text(self) -> str:
        """What is meant to become of it, and why; the user last."""
        decided = _LEFT_OUT.get(self.decision) or _MEANT.get(self.act, self.act.value)
        if self.decision != "act" and self.act is Step.MESSAGE:
            decided = "is not shown the message"
        return f"session {self.session} {decided}{_in_brackets(self.reason)}: {self.name}"


class EndAnnounced(Happening):
    """From now on people are warned of this end, and of no other that they were told before."""

    is_told: ClassVar[bool] = False

    event: Literal["announced"] = "announced"
    ends: AwareDatetime

    def text(self) -> str:
        """The end, by the host's clock."""
        return f"the end is at {self.ends:%H:%M:%S} host time"


# What happens on the way.


class EarlierLife(_InWords):
    """How the process ended that carried the run out before; ``words`` say so."""

    DIED = "died", "its process had died"
    STOPPED = "stopped", "it was stopped"
    UNFINISHED = "unfinished", "it was not finished"


class Resumed(Happening):
    """Another process goes on with the run; ``life`` counts them from 1, so the first that goes on is 2."""

    event: Literal["resumed"] = "resumed"
    by: str
    earlier: EarlierLife
    life: int

    def text(self) -> str:
        """By whom, and why that was needed."""
        return f"resumed by {self.by} ({self.earlier.words})"


class LeaseTaken(Happening):
    """The host is this run's."""

    is_shown: ClassVar[bool] = True

    event: Literal["leased"] = "leased"
    expires: AwareDatetime
    """By the host's clock."""
    replaced: Holder | None = None
    """Who had it before."""

    def text(self) -> str:
        """From whom, and until when."""
        over = f" over from {self.replaced.name}" if self.replaced else ""
        return f"lease taken{over}, until {self.expires:%H:%M} host time"


class LogonsClosed(Happening):
    """New logons are refused."""

    is_shown: ClassVar[bool] = True

    event: Literal["closed"] = "closed"
    logons: LogonMode

    def text(self) -> str:
        """The mode that was set."""
        return f"no new logons: {self.logons}"


class LogonsOpened(Happening):
    """Logons that the run had closed were found open, for the ``times``-th time; ``logons`` is what they are now."""

    is_shown: ClassVar[bool] = True

    event: Literal["opened"] = "opened"
    logons: LogonMode
    times: int

    def text(self) -> str:
        """Whether they were closed again."""
        if self.logons is LogonMode.ENABLED:
            return f"logons were opened {self.times} times, not by this run, and stay open"
        return f"logons were opened, not by this run, and are closed again: {self.logons}"


class NoticeSent(_OfSession):
    """A notice was sent to a session: ``shown`` (never: read), or what else became of it."""

    is_shown: ClassVar[bool] = True

    event: Literal["notice"] = "notice"
    notice: str
    ends: AwareDatetime | None = None
    """The end that it announces."""
    result: Result
    why: str = ""

    def text(self) -> str:
        """What became of it, the user last."""
        return f"{self.notice} notice {self.result}{_in_brackets(self.why)}: {self.name}"


class Waiting(Happening):
    """People are waited for."""

    is_shown: ClassVar[bool] = True

    event: Literal["waiting"] = "waiting"
    sessions: int
    left_s: float
    until: AwareDatetime
    """By the host's clock."""

    def text(self) -> str:
        """How many, how long, and until when."""
        left = f"{format_duration(self.left_s)} " if self.left_s >= 1 else ""
        return f"waiting {left}for {counted(self.sessions, 'session')} (until {self.until:%H:%M:%S} host time)"


class NobodyLeft(Happening):
    """The wait is over before its time."""

    is_shown: ClassVar[bool] = True

    event: Literal["empty"] = "empty"

    def text(self) -> str:
        """So."""
        return "no session is left to wait for"


class SessionSettled(_OfSession):
    """It is known what became of a session."""

    is_shown: ClassVar[bool] = True

    event: Literal["settled"] = "settled"
    result: Result
    why: str = ""

    @classmethod
    def of(cls, told: SessionResult) -> SessionSettled:
        """The event of a result."""
        return cls(**cls.identity_of(told.session), result=told.result, why=told.text)

    def text(self) -> str:
        """The result, the user last."""
        return f"session {self.session} {self.result}{_in_brackets(self.why)}: {self.name}"


class RestartedByOthers(Happening):
    """The host has restarted before this run told it to."""

    is_shown: ClassVar[bool] = True

    event: Literal["restarted"] = "restarted"
    boot: AwareDatetime

    def text(self) -> str:
        """When, by the host's clock."""
        return f"the host was restarted, not by this run, at {self.boot:%H:%M:%S} host time"


class OrderGiven(Happening):
    """The host has taken the order to restart, to shut down or to change its mode."""

    is_shown: ClassVar[bool] = True

    event: Literal["ordered"] = "ordered"
    then: Then
    said: str = ""
    """The words of the host's own program."""

    def text(self) -> str:
        """What is waited for."""
        waits = "to go quiet" if self.then is Then.SHUTDOWN else "to come back"
        return f"{self.then} ordered{_in_brackets(self.said)}; waiting for the host {waits}"


OTHERS_ORDER = "a restart or shutdown that is not this run's was scheduled on the host already"


class OthersOrder(Happening):
    """The host goes down, or will, by an order that is not this run's; this run's was not taken."""

    is_shown: ClassVar[bool] = True

    event: Literal["others"] = "others"
    said: str = ""
    """The words of the host's own program."""

    def text(self) -> str:
        """What is waited for."""
        return f"{OTHERS_ORDER}{_in_brackets(self.said)}; waiting for that one"


class OrderUnanswered(Happening):
    """No answer came to that order, so the host is looked at."""

    is_shown: ClassVar[bool] = True

    event: Literal["unanswered"] = "unanswered"
    then: Then

    def text(self) -> str:
        """What is done about it."""
        return f"no answer to the order to {self.then}; looking whether it was taken"


class Booted(Happening):
    """The host has started again."""

    is_shown: ClassVar[bool] = True

    event: Literal["booted"] = "booted"
    boot: AwareDatetime

    def text(self) -> str:
        """When, by the host's clock."""
        return f"has started again, at {self.boot:%H:%M:%S} host time"


class LogonsRestored(Happening):
    """Logons are as they were found."""

    is_shown: ClassVar[bool] = True

    event: Literal["restored"] = "restored"
    logons: LogonMode | None
    were_set: bool = True
    """Whether the run had set them, or may have."""

    def text(self) -> str:
        """The mode."""
        return f"logons are {self.logons or 'not told'}{' again' if self.were_set else ''}"


class LeaseReleased(Happening):
    """The host is nobody's any more."""

    is_shown: ClassVar[bool] = True

    event: Literal["released"] = "released"

    def text(self) -> str:
        """So."""
        return "lease released"


class LeftBehind(Happening):
    """Something on the host is not as it was found, or not as it should be, and the run leaves it so."""

    is_shown: ClassVar[bool] = True

    event: Literal["left"] = "left"
    why: str

    def text(self) -> str:
        """What, and why."""
        return self.why


class WentWrong(Happening):
    """Something failed on the side; the run goes on."""

    is_shown: ClassVar[bool] = True

    event: Literal["failed"] = "failed"
    why: str

    def text(self) -> str:
        """What, and why."""
        return self.why


class LeaseLost(Happening):
    """The lease was gone, by somebody else's doing, so the run never takes the host again."""

    is_told: ClassVar[bool] = False

    event: Literal["lost"] = "lost"

    def text(self) -> str:
        """So."""
        return "the lease was not this run's any more"


class NoticesMarked(Happening):
    """What the lease knew of notices when it was given back."""

    is_told: ClassVar[bool] = False

    event: Literal["marks"] = "marks"
    marks: tuple[MarkTold, ...]

    def text(self) -> str:
        """How many."""
        return f"the lease knew of {counted(len(self.marks), 'notice')}"


# What became of a host.


BACK = "back"
"""What became of a host that has restarted and is ready again."""
WENT_QUIET = "went quiet"
"""What became of a host that was shut down: that it is off cannot be seen from here."""


class Finished(Happening):
    """The work on the host has come to its end."""

    event: Literal["finished"] = "finished"
    outcome: str
    problems: tuple[str, ...] = ()
    given_back: bool = True
    """Whether nothing that keeps people or other runs out was left on the host."""

    def text(self) -> str:
        """The outcome."""
        return f"finished: {self.outcome}"


class HostStopped(Happening):
    """The work on the host has broken off; ``error`` is the kind of the failure."""

    event: Literal["stopped"] = "stopped"
    why: str
    error: str
    may_have_run: bool = False
    problems: tuple[str, ...] = ()

    def text(self) -> str:
        """Why."""
        return f"stopped: {self.why}"


AnyHappening = Annotated[
    StepSent
    | StepAnswered
    | StepUnanswered
    | Looked
    | LookRepeated
    | AnswerLost
    | SessionJudged
    | EndAnnounced
    | Resumed
    | LeaseTaken
    | LogonsClosed
    | LogonsOpened
    | NoticeSent
    | Waiting
    | NobodyLeft
    | SessionSettled
    | RestartedByOthers
    | OrderGiven
    | OrderUnanswered
    | OthersOrder
    | Booted
    | LogonsRestored
    | LeaseReleased
    | LeftBehind
    | WentWrong
    | LeaseLost
    | NoticesMarked
    | Finished
    | HostStopped,
    Field(discriminator="event"),
]
HAPPENINGS: tuple[type[Happening], ...] = get_args(get_args(AnyHappening)[0])


@once
def _reader() -> TypeAdapter[AnyHappening]:
    return TypeAdapter(AnyHappening)


class Event(Frozen):
    """Something that happened on one host of a run, and when by the clock of this machine."""

    at: AwareDatetime
    run: str
    host: str
    what: AnyHappening


class Progress(Frozen):
    """How far one host is: ``phase``, how many people it waits for, and until when by our own clock, where it waits."""

    host: str
    phase: Phase
    people: int | None = None
    until: AwareDatetime | None = None


def read_happening(values: Mapping[str, object]) -> AnyHappening:
    """An event from its values. Raises ``pydantic.ValidationError`` where they are none."""
    return _reader().validate_python(values)


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""
