"""``doctor`` on a terminal: the steps of every host, and with ``--save`` the raw answers in a file.

What is saved is as it came, so that a real host can teach us what no document says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpsbridge.cli.call import Call
from mpsbridge.cli.listing import for_programs
from mpsbridge.cli.looking import gather, open_reading
from mpsbridge.errors import InputError
from mpsbridge.files import open_for_owner
from mpsbridge.models.harmless import json_text
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.operations.diagnosis import Diagnosis, diagnose, saved


def doctor(call: Call, hosts: Sequence[str], save: Path | None, shard: str | None) -> int:
    """``doctor``: walk the steps on every host."""
    if save is not None:
        from mpsbridge.cli.fleets import demand_own_file  # noqa: PLC0415 - only where a file is written

        demand_own_file(call, "--save", save)
        _check_writable(call, save)
    with open_reading(call, call.targets(hosts, shard=shard)) as reading:
        outcomes = gather(call, reading, diagnose, keep=True)
        code = _save(call, save, outcomes) if save is not None else 0
        for_programs(call, outcomes)
        _show(call, outcomes)
        failed = any(check.ok is False for _, found in _done(outcomes) for check in found.checks)
        return reading.verdict(outcomes).exit_code or int(failed) or code


def _done(outcomes: Sequence[Outcome[Diagnosis]]) -> list[tuple[str, Diagnosis]]:
    return [(outcome.host, outcome.value) for outcome in outcomes if isinstance(outcome, Done)]


def _show(call: Call, outcomes: Sequence[Outcome[Diagnosis]]) -> None:
    marks: dict[bool | None, str] = {True: "ok", False: "FAILED", None: "?"}
    for host, found in _done(outcomes):
        call.terminal.say(host, style="bold")
        for check in found.checks:
            line = f"  {marks[check.ok]:<7} {check.step:<11} {check.text}"
            call.terminal.say(line, style="red" if check.ok is False else "")
            if check.remedy:
                call.terminal.say(f"          {'':<11} -> {check.remedy}")
    call.terminal.failures(outcomes)


def _check_writable(call: Call, path: Path) -> None:
    """Refuse before any host is asked what could not be saved. Raises ``InputError``."""
    try:
        open_for_owner(path, "a").close()
    except OSError as error:
        raise InputError(f"--save: {path} cannot be written: {error.strerror or error}") from error
    call.look_at_output("--save", path)


def _save(call: Call, path: Path, outcomes: Sequence[Outcome[Diagnosis]]) -> int:
    """Write what the hosts said, as it came, with the decoded tables beside it for the reader; the exit code."""
    content = saved(_done(outcomes), now=call.clock.now())
    try:
        with open_for_owner(path, "w") as file:
            file.write(json_text(content, indent=1) + "\n")
    except OSError as error:
        call.terminal.warn(f"--save: {path} cannot be written: {error.strerror or error}")
        return 1
    return 0
