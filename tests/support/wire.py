"""The way from a run to a watched host and back, with everything that can become of a script on it.

A script may never arrive, arrive and its answer be lost, begin minutes after its sender gave up, end as rubbish, or die
in its midst; and while it runs the world goes on. Which of these becomes of the next one is said by ``faults``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from mpsbridge.errors import ConnectionLost, Interrupted, NotSent, TimedOut, Unreachable
from mpsbridge.lab.engines.contract import Answer, Memory, Submitted, Terminating
from mpsbridge.lab.engines.scripted.engine import _CALLS, ScriptedEngine
from mpsbridge.models.scripts import Effect, RawOutput, Script
from mpsbridge.models.sessions import from_cim
from support.interleaving import Actor, Killed, Timeline, Wake
from support.watched_host import Deed, Doing, Guest, ScriptDied, WatchedHost

LOOKS = {"look", "observe"}
TRIP_S = 0.2
"""From here to the host, and back."""
TIMEOUT_S = 60.0


class Fate(StrEnum):
    """What becomes of a script."""

    FINE = "fine"
    REFUSED = "refused"  # no connection: it was never sent
    LOST = "lost"  # it never ran, and nobody knows
    UNHEARD = "unheard"  # it ran, and the answer was lost
    LATE = "late"  # the link broke at once, and it runs later
    HUNG = "hung"  # the time ran out, and it runs later
    RUBBISH = "rubbish"  # it ran, and the answer cannot be read
    DIES = "dies"  # its process ends in the midst of it


@dataclass(frozen=True)
class Fault:
    """What becomes of the next script of that snippet (``any``); it begins ``late_s`` late, dies at its ``change``."""

    snippet: str
    fate: Fate
    late_s: float = 0.0
    change: int = 1
    after: bool = False


FINE = Fault("any", Fate.FINE)


@dataclass(eq=False)
class Exchange:
    """One script on its way; ``intent`` is the entry of the record that announced it, if any did."""

    script: Script
    life: Any
    intent: int | None
    fault: Fault
    boot: datetime
    sent_at: float
    mode: str = ""
    """The logon mode when it ran."""
    is_unreadable: bool = False
    """Of a look: its answer came, with a table that nobody can read."""
    looked_at: float = 0.0
    """Of a look that was answered: when it was."""
    is_waited_for: bool = True
    is_over: bool = False
    """On the host: it has run, or never will."""
    ran: bool = False
    answered: bool = False
    """Its sender has its answer."""
    deeds: list[Deed] = field(default_factory=list)

    def may_still_begin(self, now: datetime) -> bool:
        """Whether the host may begin it, though its sender has given up."""
        not_after = self.script.parameters.get("NotAfter")
        return not (self.is_over or self.ran or self.is_waited_for) and (
            not_after is None or now <= from_cim(str(not_after))
        )

    def identities(self) -> list[tuple[int, str | None]]:
        """The sessions that it names."""
        sessions = self.script.parameters.get("Sessions")
        entries = json.loads(str(sessions))["sessions"] if sessions else []
        return [(entry["id"], entry["born"]) for entry in entries]


class Wire:
    """Carries scripts to one host."""

    def __init__(self, timeline: Timeline, host: WatchedHost) -> None:
        self.host = host
        self.faults: list[Fault] = []
        self.exchanges: list[Exchange] = []
        self.unreadable = 0
        """How many looks from now on bring a table that nobody can read."""
        self.late = 0
        """How many scripts began after their sender had given up."""
        self.on_sent: Callable[[Exchange], None] = lambda _: None
        self._timeline = timeline
        self._engine = ScriptedEngine()
        self._memory = Memory(functions=set(_CALLS))

    def exchange(
        self, actor: Actor, life: Any, script: Script, intent: int | None
    ) -> str | NotSent | Interrupted | RawOutput:
        """Called by an actor: send a script and wait for what becomes of it."""
        if actor.dead:
            raise Killed
        fault = next((each for each in self.faults if each.snippet in {script.snippet, "any"}), None)
        if fault is not None:
            self.faults.remove(fault)
        sent = Exchange(script, life, intent, fault or FINE, self.host.boot, self._timeline.clock.monotonic())
        self.exchanges.append(sent)
        life.exchanges.append(sent)
        self.on_sent(sent)
        answer = actor.wait_for(lambda wake: self._send(sent, wake))
        sent.answered = isinstance(answer, str)
        if sent.answered and script.snippet in LOOKS and not sent.is_unreadable:
            sent.looked_at = self._timeline.clock.monotonic()
        assert isinstance(answer, str | NotSent | Interrupted | RawOutput)
        return answer

    def _send(self, sent: Exchange, wake: Wake) -> None:
        after, fate = self._timeline.after, sent.fault.fate

        def answer(word: object) -> None:
            sent.is_waited_for = False
            wake(word)

        if self.host.is_away or fate is Fate.REFUSED:
            sent.is_over = True
            after(TRIP_S, lambda: answer(Unreachable("no route to it")))
            return
        begins_s = TRIP_S if fate is not Fate.HUNG else TIMEOUT_S + sent.fault.late_s
        if fate in {Fate.LATE, Fate.LOST}:
            begins_s += sent.fault.late_s
            after(TRIP_S, lambda: answer(ConnectionLost("the link broke")))
        after(TIMEOUT_S, lambda: answer(TimedOut("no answer in time")))
        if fate is Fate.LOST:
            sent.is_over = True
        else:
            after(begins_s, lambda: self._begin(sent, answer))

    def _begin(self, sent: Exchange, answer: Wake) -> None:
        if self.host.is_away or self.host.boot != sent.boot:
            sent.is_over = True
            answer(ConnectionLost("the host went away"))
            return
        call = self._engine.answer(self.host, Submitted(sent.script.short), self._memory)
        sent.ran, sent.boot, sent.mode = True, self.host.boot, self.host.logon_mode
        self.late += not sent.is_waited_for
        fault = sent.fault
        doing = Doing(sent, fault.change if fault.fate is Fate.DIES else None, fault.after)
        self._go_on(sent, doing, call, answer)

    def _go_on(self, sent: Exchange, doing: Doing, call: Answer, answer: Wake) -> None:
        if self.host.is_away or self.host.boot != sent.boot:
            sent.is_over = True
            answer(ConnectionLost("the host went away"))
            return
        self.host.doing = doing
        try:
            wait_s = next(call)
        except StopIteration as end:
            sent.is_over = True
            envelope = end.value
            if self.unreadable and sent.script.snippet in LOOKS:
                self.unreadable -= 1
                sent.is_unreadable, envelope = True, without_table(envelope)
            heard = _heard(sent, envelope)
            self._timeline.after(TRIP_S, lambda: answer(heard))
        except ScriptDied:
            sent.is_over = True
            self._timeline.after(TRIP_S, lambda: answer(ConnectionLost("the shell is gone")))
        except Terminating as error:
            sent.is_over = True
            told = RawOutput(output=(), errors=(error.message,), failed=True)
            self._timeline.after(TRIP_S, lambda: answer(told))
        else:
            self._timeline.after(wait_s, lambda: self._go_on(sent, doing, call, answer))
        finally:
            self.host.doing = None


def without_table(envelope: str) -> str:
    """The same answer to a look, with a table of users that breaks off in the middle of a row."""
    answer = json.loads(envelope)
    if answer["ok"]:
        answer["result"]["quser"] |= {"out": base64.b64encode(b" USERNAME  SESS\r\n>ali").decode(), "exit": 0}
    return json.dumps(answer)


def _heard(sent: Exchange, envelope: str) -> object:
    if sent.fault.fate is Fate.UNHEARD:
        return ConnectionLost("the link broke")
    if sent.fault.fate is Fate.RUBBISH and sent.script.effect is not Effect.READ:
        return RawOutput(output=(envelope[: len(envelope) // 2],))
    return envelope


def named(sent: Exchange, host: WatchedHost) -> list[Guest]:
    """Whom a script names, in truth."""
    found = [host.who(number, born) for number, born in sent.identities()]
    return [guest for guest in found if guest is not None]
