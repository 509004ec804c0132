"""``doctor`` on a terminal: the steps of a host, and with ``--save`` the raw answers in a file.

Rules: of many hosts a sound one has one line, and those with a fault stand last (``-v`` shows every step of each); what
is saved is as it came, so that a real host can teach us what no document says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mpsbridge.cli.call import Call
from mpsbridge.cli.listing import for_programs
from mpsbridge.cli.looking import gather, open_reading
from mpsbridge.errors import InputError
from mpsbridge.files import open_for_owner
from mpsbridge.models.counts import counted
from mpsbridge.models.harmless import json_text
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.operations.diagnosis import Diagnosis, diagnose, saved
from mpsbridge.operations.outcomes import without_value


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
        failed = any(found.fault for _, found in _done(outcomes))
        return reading.verdict(outcomes).exit_code or int(failed) or code


def _done(outcomes: Sequence[Outcome[Diagnosis]]) -> list[tuple[str, Diagnosis]]:
    return [(outcome.host, outcome.value) for outcome in outcomes if isinstance(outcome, Done)]


_MARKS: dict[bool | None, str] = {True: "ok", False: "FAILED", None: "?"}


def _show(call: Call, outcomes: Sequence[Outcome[Diagnosis]]) -> None:
    """The hosts: the sound ones first, each in one line where there are several, and how many there are of each."""
    is_brief = len(outcomes) > 1 and not call.settings.verbose
    say = call.terminal.say
    found = sorted(_done(outcomes), key=lambda each: (bool(each[1].fault), not each[1].is_sound))
    for host, one in found:
        if is_brief and one.is_sound:
            say("; ".join([f"{host}: ok", *(f"{check.step}: {check.text}" for check in one.checks if not check.ok)]))
        else:
            _show_steps(call, host, one)
    call.terminal.failures(outcomes)
    if len(outcomes) > 1 and not call.terminal.quiet:
        each = [f"{count} {words}" for words, count in Counter(one.in_short for _, one in found).items()]
        left = without_value(outcomes, acts=False, was_interrupted=False)
        say(f"{counted(len(outcomes), 'host')}: {', '.join([*each, *left])}")


def _show_steps(call: Call, host: str, found: Diagnosis) -> None:
    """Every step of one host; those that were not reached share a line unless each is asked for."""
    shares = not call.settings.verbose
    call.terminal.say(host, style="bold")
    for check in found.checks:
        if shares and check.is_unreached:
            continue
        line = f"  {_MARKS[check.ok]:<7} {check.step:<11} {check.text}"
        call.terminal.say(line, style="red" if check.ok is False else "")
        if check.remedy:
            call.terminal.say(f"          {'':<11} -> {check.remedy}", advises=True)
    if shares and (left := [check.step for check in found.checks if check.is_unreached]):
        call.terminal.say(f"  {_MARKS[None]:<7} not reached: {', '.join(left)}")


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
