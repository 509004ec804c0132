"""The task scheduler's tasks: an XML each (its schema 1.2), with triggers and the command that is executed when due.

Of the schema the lab plays what is read below: boot triggers with a delay, time triggers with a repetition, the end of
both, whether the task is enabled, and the first program that it executes. It runs as SYSTEM, whoever it names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

_SCHEMA = {"task": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
NOT_RUN = 0x41303
"""The result of a task that was never started."""
RUNNING = 0x41301
"""The result of a task as long as it runs."""
NO_SUCH_FILE = 0x80070002
"""The result of a task whose program is not there."""
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


class BadTask(ValueError):
    """The XML is not a task."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a task runs: ``after_boot`` after each start of Windows, or at ``start`` and then ``every`` so often."""

    after_boot: timedelta | None = None
    start: datetime | None = None
    every: timedelta | None = None
    end: datetime | None = None

    def next(self, moment: datetime, boot: datetime) -> datetime | None:
        """The first time later than that moment."""
        found = self._next(moment, boot)
        return None if found is None or (self.end is not None and found > self.end) else found

    def _next(self, moment: datetime, boot: datetime) -> datetime | None:
        first = boot + self.after_boot if self.after_boot is not None else self.start
        if first is None or first > moment:
            return first
        if not self.every:
            return None
        return first + self.every * ((moment - first) // self.every + 1)


@dataclass(slots=True)
class Task:
    r"""One registered task. ``path`` is its folder and name, such as ``\folder\name``; ``due`` is when it runs next."""

    path: str
    xml: str
    command: str
    arguments: str
    triggers: tuple[Trigger, ...]
    enabled: bool
    due: datetime | None = None
    last_run: datetime | None = None
    last_result: int = NOT_RUN
    """What its program ended with."""

    def wait_for_turn(self, moment: datetime, boot: datetime) -> None:
        """Make it due at its next turn after that moment."""
        turns = [trigger.next(moment, boot) for trigger in self.triggers] if self.enabled else []
        self.due = min((turn for turn in turns if turn is not None), default=None)


def read_task(path: str, xml: str) -> Task:
    """A task that is not due yet. Raises ``BadTask``."""
    try:
        root = ET.fromstring(xml)  # noqa: S314 - from a script that this lab runs, and never from elsewhere
    except ET.ParseError as error:
        raise BadTask(f"The task XML is malformed. ({error})") from error
    command = _text(root, "Actions/Exec/Command")
    if not command:
        raise BadTask("The task XML is missing a required element. (Actions/Exec/Command)")
    boots = root.findall("task:Triggers/task:BootTrigger", _SCHEMA)
    times = root.findall("task:Triggers/task:TimeTrigger", _SCHEMA)
    return Task(
        path=path,
        xml=xml,
        command=command,
        arguments=_text(root, "Actions/Exec/Arguments"),
        triggers=(
            *(
                Trigger(after_boot=_duration(_text(each, "Delay") or "PT0S"), end=_time(_text(each, "EndBoundary")))
                for each in boots
            ),
            *(
                Trigger(
                    start=_time(_text(each, "StartBoundary")),
                    every=_duration(_text(each, "Repetition/Interval")),
                    end=_time(_text(each, "EndBoundary")),
                )
                for each in times
            ),
        ),
        enabled=_text(root, "Settings/Enabled") != "false",
    )


def _text(element: ET.Element, path: str) -> str:
    return element.findtext("/".join(f"task:{name}" for name in path.split("/")), "", _SCHEMA).strip()


def _duration(text: str) -> timedelta | None:
    if not text:
        return None
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise BadTask(f"The task XML contains a value which is incorrectly formatted or out of range. ({text})")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _time(text: str) -> datetime | None:
    """A boundary; the lab takes one in UTC only."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadTask(
            f"The task XML contains a value which is incorrectly formatted or out of range. ({text})"
        ) from error
