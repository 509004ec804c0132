"""The answer of every command over hosts: as a document, as a line for each host, as rows.

Rule: the value of each command is loaded when that command prints it; making models takes time that no other call pays.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter

from mpsbridge.models import outcomes as domain
from mpsbridge.runs.verdict import RunVerdict
from mpsbridge.schemas.base import Done, Failed, HostsDocument, Skipped
from mpsbridge.schemas.published import Value

if TYPE_CHECKING:
    from mpsbridge.schemas.acted import ActDocument

_VALUES = {
    "sessions": ("sessions", "SessionsValue"),
    "stations": ("stations", "StationsValue"),
    "logons": ("logons", "LogonsValue"),
    "message": ("acts", "ActValue"),
    "disconnect": ("acts", "ActValue"),
    "logoff": ("acts", "ActValue"),
    "reset": ("acts", "ActValue"),
    "end": ("acts", "EndValue"),
    "maintain": ("acts", "EndValue"),
    "resume": ("acts", "EndValue"),
    "leases": ("leases", "LeaseValue"),
    "hold": ("leases", "LeaseValue"),
    "release": ("leases", "LeaseValue"),
    "doctor": ("doctor", "DoctorValue"),
    "hosts": ("hosts", "HostValue"),
}
COMMANDS = tuple(_VALUES)
ACTING = frozenset(
    {"logons", "message", "disconnect", "logoff", "reset", "end", "maintain", "resume", "hold", "release"}
)
"""Commands whose document has a verdict; ``logons`` only where it sets."""


def document(
    command: str, outcomes: Sequence[domain.Outcome[Any]], verdict: RunVerdict | None = None
) -> dict[str, Any]:
    """The one document of ``--output json``."""
    if verdict is None:
        return seen_type(command).about(command, outcomes).as_json()
    return acted_type(command).judged(command, outcomes, verdict).as_json()


def line(command: str, outcome: domain.Outcome[Any]) -> dict[str, Any]:
    """A line of ``--output jsonl``."""
    found = line_type(command)
    dumped: dict[str, Any] = found.dump_python(found.validate_python(outcome), mode="json")
    return dumped


def fields(command: str) -> tuple[str, ...]:
    """The heading of ``--output csv``."""
    return ("host", *_value_type(command).fields(), "status", "failure")


def records(command: str, outcome: domain.Outcome[Any]) -> list[dict[str, Any]]:
    """The rows of one host, for CSV; one that failed or was refused has a row, too."""
    head, tail = {"host": outcome.host}, {"status": outcome.status}
    match outcome:
        case domain.Done():
            rows = _value_type(command).of(outcome.value).records()
            return [{**head, **row, **tail, "failure": None} for row in rows]
        case domain.Failed():
            why = {"failure": outcome.failure.message}
            return [{**head, **row, **tail, **why} for row in _rows_of(outcome)] or [{**head, **tail, **why}]
        case domain.Skipped():
            return [{**head, **tail, "failure": outcome.reason}]


def _rows_of(broken_off: domain.Failed) -> list[dict[str, Any]]:
    if not broken_off.sessions:
        return []
    from mpsbridge.schemas.sessions import row_of  # noqa: PLC0415 - only for a host that broke off

    return [row_of(one) for one in broken_off.sessions]


def seen_type(command: str) -> type[HostsDocument[Value]]:
    """The document of a command that looks."""
    generic: Any = HostsDocument
    found: type[HostsDocument[Value]] = generic[_value_type(command)]
    return found


def acted_type(command: str) -> type[ActDocument[Value]]:
    """The document of a command that acts."""
    from mpsbridge.schemas.acted import ActDocument  # noqa: PLC0415 - no command that looks needs it

    generic: Any = ActDocument
    found: type[ActDocument[Value]] = generic[_value_type(command)]
    return found


@functools.cache
def line_type(command: str) -> TypeAdapter[Any]:
    """A line of a command's ``--output jsonl``."""
    done: Any = Done
    broken_off: Any = Failed
    if command in ACTING:
        from mpsbridge.schemas.acted import BrokenOff  # noqa: PLC0415 - no command that looks needs it

        broken_off = BrokenOff
    outcome: Any = Annotated[done[_value_type(command)] | broken_off | Skipped, Field(discriminator="status")]
    return TypeAdapter(outcome)


@functools.cache
def _value_type(command: str) -> type[Value]:
    module, name = _VALUES[command]
    found: type[Value] = getattr(import_module(f"mpsbridge.schemas.{module}"), name)
    return found
