"""A host, the people on it, and admin boxes whose runs work on it at the same time: all that happens is told here.

Each run lives on a box with a record of its own; a life of a run is one process, which may be killed at any moment and
followed by another one. What is done, by whom, is in the host's own account (:class:`WatchedHost`), and
:class:`Promises` reads it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from mpsbridge.errors import Interrupted, JournalLost, MpsBridgeError, NotSent
from mpsbridge.host import Host
from mpsbridge.lab.windows.facts import HostFacts
from mpsbridge.lab.windows.world import World
from mpsbridge.models.scripts import Effect, RawOutput, Script
from mpsbridge.models.targets import Target
from mpsbridge.operations.at_once import Steps
from mpsbridge.operations.ending import End, on_one_host
from mpsbridge.operations.holds import Hold, LeaseValue, NoRecord, Release, lease_of
from mpsbridge.operations.workplace import Watch, Workplace
from mpsbridge.planning.policy import Policy
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.events import EndAnnounced, Happening, StepSent
from mpsbridge.runs.history import unfinished
from mpsbridge.runs.journal import Entry, Journal
from mpsbridge.transports.canned import CannedTransport
from support.fake_clock import FakeClock
from support.interleaving import Actor, ActorsClock, BoxClock, Killed, Timeline
from support.records import DONE
from support.watched_host import Deed, WatchedHost
from support.wire import TIMEOUT_S, Exchange, Wire

NAME = "ts1"
BOX_TEXT = "It ends at {time}, in {minutes} min. {reason} ({sender})"


@dataclass
class Box:
    """A machine that runs work on; its clock is ``ahead_s`` of the host's world."""

    name: str
    ahead_s: float
    journal: Journal


@dataclass(eq=False)
class RunStory:
    """One run, from its plan to its last life."""

    id: str
    policy: Policy
    box: Box
    lives: list[Life] = field(default_factory=list)
    is_open: bool = True

    @property
    def works(self) -> bool:
        return bool(self.lives) and not self.lives[-1].actor.ended


@dataclass(eq=False)
class Life:
    """One process of a run; ``run`` is ``None`` for a person's ``release`` or ``hold``."""

    run: RunStory | None
    actor: Actor
    began: float
    clock: ActorsClock
    record: Mortal | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def value(self) -> EndValue | None:
        return self.actor.value if isinstance(self.actor.value, EndValue) else None

    @property
    def error(self) -> MpsBridgeError | None:
        return self.actor.error if isinstance(self.actor.error, MpsBridgeError) else None


class Mortal:
    """A journal whose process may be killed at a write, before or after it is on the disk, or whose disk may fill."""

    def __init__(self, journal: Journal, actor: Actor) -> None:
        self._journal = journal
        self._actor = actor
        self.writes_left: int | None = None
        self.after = False
        self.is_full = False
        self.last_intent: int | None = None
        self.has_announced = False
        """Whether this life has announced an end of its own."""

    def _write(self, write: Callable[[], Any]) -> Any:
        if self._actor.dead:
            raise Killed
        if self.is_full:
            raise JournalLost("the disk is full")
        if self.writes_left is not None:
            self.writes_left -= 1
        dies = self.writes_left is not None and self.writes_left <= 0
        if dies and not self.after:
            self._actor.die()
        answer = write()
        if dies:
            self._actor.die()
        return answer

    def record(self, run: str, host: str, what: Happening) -> int:
        if isinstance(what, StepSent):
            self.last_intent = None  # what cannot be written announces nothing
        number = int(self._write(lambda: self._journal.record(run, host, what)))
        if isinstance(what, StepSent):
            self.last_intent = number
        self.has_announced |= isinstance(what, EndAnnounced)
        return number

    def entries(self, run: str, *, host: str | None = None) -> list[Entry]:
        return self._journal.entries(run, host=host)

    def unanswered(self, run: str, *, host: str | None = None) -> list[Entry]:
        return self._journal.unanswered(run, host=host)


class Story:
    """One host and everything around it."""

    def __init__(self, facts: HostFacts, *, logon_mode: str, auto_logon: dict[int, str], ahead_s: float) -> None:
        self.clock = FakeClock()
        self.timeline = Timeline(self.clock)
        self.world = World(self.clock)
        self.host = WatchedHost(facts, self.world, logon_mode=logon_mode, auto_logon=auto_logon)
        self.world.add(self.host)
        self.wire = Wire(self.timeline, self.host)
        self.boxes = [
            Box(name, ahead, Journal(Path(":memory:"), clock=BoxClock(self.timeline, ahead_s=ahead)))
            for name, ahead in (("box-1", 0.0), ("box-2", ahead_s))
        ]
        self.runs: list[RunStory] = []
        self.lives: list[Life] = []
        self.tally: Counter[str] = Counter()
        self.on_life_ended: Callable[[Life], None] = lambda _: None
        self._seen_ended: set[int] = set()

    # What administrators do.

    def begin(self, policy: Policy, box: Box) -> RunStory:
        """A run begins, as ``end`` begins one when everybody has said yes."""
        run = RunStory(f"20261125-120000-{len(self.runs):04x}", policy, box)
        self.runs.append(run)
        options: dict[str, JsonValue] = {"hosts": [NAME], "policy": policy.model_dump(mode="json")}
        box.journal.begin(run.id, command="end", reason=policy.reason, options=options)
        self.tally["runs"] += 1
        self._live(run)
        return run

    def may_be_resumed(self, run: RunStory) -> bool:
        """Whether ``resume`` would go on with it."""
        return run.is_open and not run.works and bool(unfinished(run.box.journal, run.id, [NAME]))

    def resume(self, run: RunStory) -> None:
        self.tally["resumes"] += 1
        self._live(run)

    def _live(self, run: RunStory) -> None:
        def work(actor: Actor) -> object:
            record = life.record = Mortal(run.box.journal, actor)
            host = self._connect(life)
            try:
                with self._workplace(life, record) as there:
                    return on_one_host(there, run.id, End(policy=run.policy, template=BOX_TEXT), Watch(), host)
            finally:
                host.close()

        life = self._new_life(run, work, ahead_s=run.box.ahead_s)
        run.lives.append(life)
        self._start(life)

    def release(self, box: Box) -> None:
        """A person gives back what somebody holds."""

        def released(_: Actor) -> object:
            host = self._connect(life)
            with self._workplace(life, NoRecord()) as there:
                steps = Steps(NoRecord(), "20261125-120000-free", host)
                return Release().on_host(there, steps, lease_of(host))

        life = self._new_life(None, released, ahead_s=box.ahead_s)
        self._start(life)

    def hold(self, box: Box) -> None:
        """A person wants no run on the host."""

        def held(_: Actor) -> object:
            with self._workplace(life, NoRecord()) as there:
                steps = Steps(NoRecord(), "20261125-120000-hold", self._connect(life))
                return Hold(reason="repair").on_host(there, steps, LeaseValue())

        life = self._new_life(None, held, ahead_s=box.ahead_s)
        self._start(life)

    def _workplace(self, life: Life, record: Mortal | NoRecord) -> Workplace:
        target = Target(NAME, address=NAME)
        there = Workplace((target,), cast("Journal", record), life.clock, actor="admin@box")
        there.fleet(gives_back=True).stop = life.stop
        return there

    def _new_life(self, run: RunStory | None, work: Callable[[Actor], object], *, ahead_s: float) -> Life:
        actor = Actor(work)
        clock = ActorsClock(self.timeline, actor, ahead_s=ahead_s)
        return Life(run, actor, self.clock.monotonic(), clock)

    def _start(self, life: Life) -> None:
        self.lives.append(life)
        life.actor.start()
        self._look_for_ends()

    def _connect(self, life: Life) -> Host:
        def answer(script: Script) -> str | RawOutput | NotSent | Interrupted:
            intent = life.record.last_intent if life.record and script.effect is not Effect.READ else None
            return self.wire.exchange(life.actor, life, script, intent)

        return Host(
            Target(host=NAME, address=NAME),
            timeout_s=TIMEOUT_S,
            clock=life.clock,
            connect=lambda _: CannedTransport(answer),
        )

    def kill(self, life: Life) -> None:
        life.actor.kill()
        self._look_for_ends()

    def stop(self, life: Life) -> None:
        """Ctrl-C."""
        life.stop.set()
        life.clock.look_for_stops()
        self._look_for_ends()

    # Time.

    def go_on(self, events: int) -> None:
        """Let so many things happen."""
        for _ in range(events):
            if not self.timeline.happen():
                return
            self._after_each()

    def pass_time(self, seconds: float) -> None:
        """Let everything happen that is due within so much time."""
        end = self.clock.monotonic() + seconds
        while self.timeline.happen(until=end):
            self._after_each()
        self.timeline.pass_time(end - self.clock.monotonic())
        self._after_each()

    def _after_each(self) -> None:
        _ = self.host.is_away  # whatever was due on the host is done now, and not when somebody looks
        self._look_for_ends()

    def _look_for_ends(self) -> None:
        for number, life in enumerate(self.lives):
            if life.actor.ended and number not in self._seen_ended:
                self._seen_ended.add(number)
                self._close_the_run(life)
                self.on_life_ended(life)

    def _close_the_run(self, life: Life) -> None:
        """As the command line does it: a run whose fate is not known stays open."""
        if life.run is None or life.actor.dead:
            return
        unsettled = life.stop.is_set() or (life.error is not None and life.error.may_have_run)
        life.run.is_open = unsettled
        if not unsettled:
            life.run.box.journal.end(life.run.id, DONE)

    @property
    def working(self) -> list[Life]:
        return [life for life in self.lives if not life.actor.ended]

    def close(self) -> None:
        """End every thread and let go of the records."""
        for life in self.working:
            life.actor.kill()
        for box in self.boxes:
            box.journal.close()


def life_of(deed: Deed) -> Life | None:
    """The life whose script did it."""
    return deed.by.life if isinstance(deed.by, Exchange) else None
