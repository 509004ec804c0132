"""A maintenance plan from a file: which hosts, why, how, and in which waves.

Rules: nothing is contacted here; a key that is not known and a value that cannot be used are errors that name file and
line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, ValidationError

from mpsbridge.errors import InputError
from mpsbridge.files import read_text
from mpsbridge.models.durations import parse_duration
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.then import Then
from mpsbridge.models.toml import line_of, load, problems
from mpsbridge.operations.waves import WavesTable
from mpsbridge.planning.end_options import RETURN_TIMEOUT, EndOptions, make_policy
from mpsbridge.planning.options import selector
from mpsbridge.planning.policy import Allowances, Closing, Policy, Sender
from mpsbridge.planning.selection import Selector
from mpsbridge.snippets.fields import AccountName, Reason

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

    all: StrictBool = False
    user: tuple[AccountName, ...] = ()
    active: StrictBool = False
    disconnected: StrictBool = False
    disconnected_over: Duration | None = None
    idle_over: Duration | None = None
    keep_user: tuple[AccountName, ...] = ()
    keep_session: tuple[str, ...] = ()
    logons: Closing = Closing.DEFAULT
    no_failsafe: StrictBool = False
    settle: Duration = "2m"
    force_after: Duration | None = None
    return_timeout: Duration = RETURN_TIMEOUT
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
    reason: Annotated[Reason, Field(min_length=1)]
    then: Then = Then.NOTHING
    policy: PolicyTable = PolicyTable()
    notices: NoticesTable = NoticesTable()
    waves: WavesTable = WavesTable()

    @property
    def selector(self) -> Selector:
        """Which sessions are meant. Raises ``InputError``."""
        table = self.policy
        chosen = selector(
            user=table.user,
            everyone=table.all,
            active=table.active,
            disconnected=table.disconnected,
            disconnected_over=table.disconnected_over,
            idle_over=table.idle_over,
        )
        return chosen or Selector(everyone=True)

    @property
    def options(self) -> EndOptions:
        """The options of ``end`` that the plan stands for."""
        table = self.policy.model_dump()
        for name in ("all", "user", "active", "disconnected", "disconnected_over", "idle_over", "deadline"):
            del table[name]
        return EndOptions(
            warn=",".join(self.notices.at),
            reason=self.reason,
            sender=self.notices.sender,
            then=self.then.value,
            failsafe=not table.pop("no_failsafe"),
            **table,
        )


def example_plan() -> str:
    """A plan file with every key, what it means, and what holds without it."""
    return (Path(__file__).resolve().parent / "example-plan.toml").read_text(encoding="utf-8")


def read_plan(path: Path) -> Plan:
    """Read a plan; a notice's file is looked for beside it. Raises ``InputError`` that names file, line and key."""
    return plan_of(path, text_of_plan(path))


def text_of_plan(path: Path) -> str:
    """The text of a plan's file. Raises ``InputError``."""
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        said = f"the plan {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        if path.suffix:
            raise InputError(said) from error
        hint = f"Name a plan file ('mpsbridge maintain --example' prints one), or use 'mpsbridge end {path}'."
        raise InputError(said, hint=hint) from error


def plan_of(path: Path, text: str) -> Plan:
    """The plan that a file of that text tells. Raises ``InputError`` that names file, line and key."""
    try:
        plan = Plan.model_validate(load(text))
    except ValidationError as error:
        if any(problem["loc"] == ("schema",) for problem in error.errors()):  # of another file all else is wrong, too
            line, _ = line_of(text, ["schema"])
            said = f'{path}:{line}: schema: it must be "{SCHEMA}" in a plan'
            raise InputError(said, hint="Use 'mpsbridge schema plan' to see its keys.") from error
        raise InputError.of_all(problems(path, text, error, Plan)) from error
    except ValueError as error:
        raise InputError(f"the plan {path} is not TOML: {error}") from error
    if plan.notices.file is not None:
        beside = plan.notices.model_copy(update={"file": path.parent / plan.notices.file})
        return plan.model_copy(update={"notices": beside})
    return plan


def policy_of(plan: Plan, path: Path, *, sender: str = "") -> Policy:
    """The policy of the plan in that file, with the ``sender`` for one without. Raises ``InputError`` that names it."""
    if plan.notices.file is not None and not plan.notices.at:
        raise InputError(f"the plan {path}: notices.file: no notice is shown (at = []); leave one of the two out")
    try:
        return make_policy(plan.selector, plan.options, sender=sender)
    except InputError as error:
        said = f"notices.at: {error.complaint}" if error.field == "warn_s" else str(error)
        raise InputError(f"the plan {path}: {said}", hint=error.hint) from error


def again(text: str, hosts: Sequence[str]) -> str:
    """The plan of that text for these hosts only; comments and order stay."""
    import tomlkit  # noqa: PLC0415 - 10 ms, and only where something is left

    document = tomlkit.parse(text)
    document["hosts"] = list(hosts)
    return tomlkit.dumps(document)


def read_notice(path: Path) -> str:
    """The text of a notice's file. Raises ``InputError``."""
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--notice-file: {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
