"""How far a call over many hosts is, for people who wait for it: a bar, or now and then a line. Pure.

Rules as in :mod:`mpsbridge.cli.progress`; a call that only looks loads this file and not the events of runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpsbridge.models.counts import counted
from mpsbridge.models.durations import format_duration

BAR_AFTER_S = 1.0
"""A call that takes no longer needs no bar."""
BAR, LEAST_BAR = 24, 6
"""Cells of a bar; one that would be shorter is left out."""
MOST_NAMED = 3
"""So many hosts are named where only they are still waited for."""
LINES_AT_S = (10.0, 30.0, 90.0)
"""When a call that nobody watches on a terminal says how far it is; after that in steps of the last one."""
Waited = Sequence[tuple[str, float]]
"""Hosts that have not answered, and for how many seconds."""


class CallView:
    """How many hosts of a call are done, failed and at work, how fast it goes, and how long it may take."""

    def __init__(self, total: int, *, began_s: float, timeout_s: int = 0) -> None:
        self.total = total
        self._timeout_s = timeout_s
        self._began_s = began_s
        self._lines = list(LINES_AT_S)
        self.done = 0
        self.failed = 0

    def settled(self, *, well: bool) -> None:
        """One host is through."""
        self.done += well
        self.failed += not well

    def bar(self, now_s: float, *, waited_for: Waited, columns: int = 120) -> str:
        """One line of at most so many ``columns``; empty while it is not worth one.

        The bar gives way to the words, and of the hosts that are waited for as many are named as there is room for.
        """
        passed_s, through = now_s - self._began_s, self.done + self.failed
        if passed_s < BAR_AFTER_S:
            return ""
        if self.total < 2:
            return self._names(waited_for)
        said = [self._words(passed_s, waited_for, named) for named in range(min(len(waited_for), MOST_NAMED), -1, -1)]
        words = next((one for one in said if len(one) <= columns), said[-1])
        if (width := min(BAR, columns - len(words) - len("[] "))) < LEAST_BAR:
            return words
        filled = width * through // self.total
        return f"[{'#' * filled}{'.' * (width - filled)}] {words}"

    def line(self, now_s: float, *, waited_for: Waited) -> str:
        """What to say where no bar can be shown; mostly nothing, at growing intervals a sentence."""
        passed_s = now_s - self._began_s
        if passed_s < self._lines[0] or self.done + self.failed == self.total:
            return ""
        due = self._lines.pop(0)
        if not self._lines:
            self._lines = [due + LINES_AT_S[-1]]
        return self._words(passed_s, waited_for)

    def _words(self, passed_s: float, waited_for: Waited, named: int = MOST_NAMED) -> str:
        through = self.done + self.failed
        parts = [f"{through} of {counted(self.total, 'host')}"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if len(waited_for) == self.total - through <= MOST_NAMED:
            return ", ".join([*parts, *filter(None, [self._names(waited_for, named)])])
        parts.append(f"{len(waited_for)} at work")
        if through:
            rate = through / passed_s
            parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.0f}/min")
            parts.append(f"about {format_duration(math.ceil((self.total - through) / rate))} left")
        return ", ".join(parts)

    def _names(self, waited_for: Waited, named: int = MOST_NAMED) -> str:
        """The hosts that are still waited for, so many each with its time, the others counted.

        The limit is for one command, and some send more.
        """
        if not waited_for:
            return ""
        if not named:
            return f"still waiting for {counted(len(waited_for), 'host')}"
        limit = f" of {format_duration(self._timeout_s)}" if self._timeout_s else ""
        names = [
            f"{host} ({format_duration(int(since_s))}{limit if since_s <= self._timeout_s else ''})"
            for host, since_s in waited_for[:named]
        ]
        more = f" and {len(waited_for) - named} more" if len(waited_for) > named else ""
        return f"still waiting for {', '.join(names)}{more}"
