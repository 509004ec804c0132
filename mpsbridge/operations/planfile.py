"""A maintenance plan from a file: which hosts, why, how, and in which waves.

Rules: nothing is contacted here; a key that is not known and a value that cannot be used are errors that name file and
line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from mpsbridge.errors import InputError
from mpsbridge.files import read_text
from mpsbridge.models.durations import parse_duration
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.then import Then
from mpsbridge.models.toml import load, problems
from mpsbridge.operations.waves import WavesTable
from mpsbridge.planning.policy import Allowances, Closing, Sender

SCHEMA = "mpsbridge-plan/1"


def _duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[
    str, AfterValidator(_duration), Field(json_schema_extra={"pattern": r"^\s*([0-9]+[dhmsDHMS])+\s*$"})
]
"""As people write it: ``15m``, ``1h30m``."""


class PolicyTable(Allowances):
    """``[policy]``: the options of ``end`` by their names, with ``_``. Without a selector it means every session."""

    all: bool = False
    user: tuple[str, ...] = ()
    active: bool = False
    disconnected: bool = False
    disconnected_over: Duration | None = None
    idle_over: Duration | None = None
    keep_user: tuple[str, ...] = ()
    keep_session: tuple[str, ...] = ()
    logons: Closing = Closing.DEFAULT
    no_failsafe: bool = False
    settle: Duration = "2m"
    force_after: Duration | None = None
    return_timeout: Duration = "60m"
    host_deadline: Duration = "3h"
    deadline: Duration = "6h"


class NoticesTable(Frozen):
    """``[notices]``: when people are told before the end (an empty list: nobody is), a text of one's own, and
    the ``sender`` that people read.
    """

    at: tuple[Duration, ...] = ("15m", "5m", "1m")
    sender: Sender = ""
    file: Path | None = None


class Plan(Frozen):
    """The whole file."""

    schema_: Literal["mpsbridge-plan/1"] = Field(alias="schema")
    hosts: tuple[str, ...] = Field(min_length=1)
    reason: str = Field(min_length=1)
    then: Then = Then.NOTHING
    policy: PolicyTable = PolicyTable()
    notices: NoticesTable = NoticesTable()
    waves: WavesTable = WavesTable()


def read_plan(path: Path) -> Plan:
    """Read a plan; a notice's file is looked for beside it. Raises ``InputError`` that names file, line and key."""
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise InputError(f"the plan {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        plan = Plan.model_validate(load(text))
    except ValidationError as error:
        raise InputError("; ".join(problems(path, text, error))) from error
    except ValueError as error:
        raise InputError(f"the plan {path} is not TOML: {error}") from error
    if plan.notices.file is not None:
        beside = plan.notices.model_copy(update={"file": path.parent / plan.notices.file})
        return plan.model_copy(update={"notices": beside})
    return plan


def again(path: Path, hosts: Sequence[str]) -> str:
    """The same plan for these hosts only, as text; comments and order stay."""
    import tomlkit  # noqa: PLC0415 - 10 ms, and only where something is left

    document = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    document["hosts"] = list(hosts)
    return tomlkit.dumps(document)
