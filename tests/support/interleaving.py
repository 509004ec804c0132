"""Several programs that work at the same time, one step after the other, in an order that a test decides.

Each :class:`Actor` is a thread that runs only while it holds the baton; whenever it waits for the world (for an answer,
for time to pass) it hands the baton back and names what shall wake it. What is still to happen stands in a
:class:`Timeline`; time passes only there. A killed actor gets no further: from then on everything it asks for raises
:class:`Killed`, also what it would do to clean up.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

from support.fake_clock import FakeClock


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class Timeline:
    """What is still to happen, in the order of time; ``clock`` shows when it is."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self._numbers = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Let it happen so many seconds from now."""
        heapq.heappush(self._due, (self.clock.monotonic() + seconds, next(self._numbers), do))

    def happen(self, *, until: float = float("inf")) -> bool:
        """Let the next thing happen, if it is due by then."""
        if not self._due or self._due[0][0] > until:
            return False
        at, _, do = heapq.heappop(self._due)
        self.pass_time(at - self.clock.monotonic())
        do()
        return True

    def pass_time(self, seconds: float) -> None:
        """Move both clocks on."""
        if seconds > 0:
            self.clock.ticks += seconds
            self.clock.time += timedelta(seconds=seconds)


Wake = Callable[[object], None]


class Actor:
    """One program at work: ``work`` gets the actor, by which it waits; ``value`` or ``error`` is what came of it."""

    def __init__(self, work: Callable[[Actor], object]) -> None:
        self.value: object = None
        self.error: BaseException | None = None
        self.ended = self.dead = False
        self._baton, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._ticket = 0
        self._waits = False
        self._word: object = None
        self._thread = threading.Thread(target=self._live, args=(work,), daemon=True)

    def start(self) -> None:
        """Let it work until it waits for the first time."""
        self._thread.start()
        self._hand_over()

    def _live(self, work: Callable[[Actor], object]) -> None:
        self._baton.acquire()
        try:
            self.value = work(self)
        except BaseException as error:  # noqa: BLE001 - whoever looks at the actor judges it
            self.error = error
        self.ended = True
        self._back.release()

    def _hand_over(self) -> None:
        self._baton.release()
        self._back.acquire()

    def wait_for(self, arrange: Callable[[Wake], None]) -> object:
        """Called by the actor itself: wait until the ``wake`` that ``arrange`` was given is called with a word."""
        if self.dead:
            raise Killed
        self._ticket += 1
        ticket = self._ticket
        self._waits = True
        arrange(lambda word: self._wake(ticket, word))
        self._back.release()
        self._baton.acquire()
        if self.dead:
            raise Killed
        return self._word

    def _wake(self, ticket: int, word: object) -> None:
        if self._waits and ticket == self._ticket:
            self._waits, self._word = False, word
            self._hand_over()

    def die(self) -> None:
        """Called by the actor itself: it is killed in the midst of its work. Raises ``Killed``."""
        self.dead = True
        raise Killed

    def kill(self) -> None:
        """Called from outside, while it waits."""
        self.dead = True
        if self._waits:
            self._waits = False
            self._hand_over()


class BoxClock:
    """The clock of a machine, ``ahead_s`` of everybody else's."""

    def __init__(self, timeline: Timeline, *, ahead_s: float) -> None:
        self._timeline = timeline
        self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        return self._timeline.clock.now() + self._ahead

    def monotonic(self) -> float:
        return self._timeline.clock.monotonic()

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        raise NotImplementedError("only an actor can wait")


class ActorsClock(BoxClock):
    """The same for an actor, which hands over the baton while it waits."""

    def __init__(self, timeline: Timeline, actor: Actor, *, ahead_s: float) -> None:
        super().__init__(timeline, ahead_s=ahead_s)
        self._actor = actor
        self._wake_early: Callable[[], None] = lambda: None

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        if stop is not None and stop.is_set():
            return True

        def arrange(wake: Wake) -> None:
            self._timeline.after(seconds, lambda: wake(None))
            self._wake_early = lambda: wake(None) if stop is not None and stop.is_set() else None

        self._actor.wait_for(arrange)
        return stop is not None and stop.is_set()

    def look_for_stops(self) -> None:
        """Whoever set a stop calls this: a wait that it ends is over now."""
        self._wake_early()
