"""``doctor`` on a terminal: the steps of a host, and with ``--save`` its answers in a file that can be given away.

Rules: of many hosts a sound one has one line, and those with a fault stand last (``-v`` shows every step of each); the
file has other names in it, is shown before it is written, and takes no other file's place.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpsbridge.cli.call import Call
from mpsbridge.cli.listing import for_programs
from mpsbridge.cli.looking import gather, open_reading
from mpsbridge.errors import InputError
from mpsbridge.files import open_for_owner
from mpsbridge.models.counts import counted
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.targets import Target
from mpsbridge.operations.diagnosis import Diagnosis, diagnose, evidence_of, in_full
from mpsbridge.operations.outcomes import without_value
from mpsbridge.settings import Output

if TYPE_CHECKING:
    from mpsbridge.evidence.record import Disguised

MOST_NAMES, MOST_HOSTS, MOST_LINES = 40, 3, 30
"""Of a file that is to be written, so much is shown; all of it stands in the file."""


def doctor(call: Call, hosts: Sequence[str], save: Path | None, shard: str | None, *, yes: bool) -> int:
    """``doctor``: walk the steps on every host."""
    if save is not None:
        _demand_new_file(call, save)
    elif yes:
        raise InputError("--yes belongs to --save: nothing else is asked")
    targets = call.targets(hosts, shard=shard)
    with open_reading(call, targets) as reading:
        outcomes = gather(call, reading, diagnose if save is None else in_full, keep=True)
        failed = any(found.fault for _, found in _done(outcomes))
        code = reading.verdict(outcomes).exit_code or int(failed)
        # A person sees the steps before the question; a program gets the answer, or the error of a no, and not both.
        for_people = call.settings.output is Output.TABLE
        if for_people:
            _show(call, outcomes)
        saved = _save(call, save, targets, outcomes, yes=yes) if save is not None else 0
        for_programs(call, outcomes)
        if not for_people:
            _show(call, outcomes)
        return saved or code


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


def _demand_new_file(call: Call, path: Path) -> None:
    """Refuse before any host is asked what could not be saved. Raises ``InputError``."""
    from mpsbridge.cli.fleets import demand_own_file  # noqa: PLC0415 - only where a file is written

    demand_own_file(call, "--save", path)
    if path.is_file():
        raise InputError(f"--save: {path} is there already, and is kept", hint="Name another file.")
    if not path.exists():
        if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            raise InputError(f"--save: {path} cannot be written", hint="Name a file in a folder that is there.")
        return
    try:
        open_for_owner(path, "a").close()
    except OSError as error:
        raise InputError(f"--save: {path} cannot be written: {error.strerror or error}") from error


def _save(
    call: Call, path: Path, targets: Sequence[Target], outcomes: Sequence[Outcome[Diagnosis]], *, yes: bool
) -> int:
    """Show what would be written, ask, and write it; the exit code."""
    by_name = {target.host: target for target in targets}
    found = [(by_name.get(host), host, one) for host, one in _done(outcomes)]
    if not found:
        call.terminal.warn(f"--save: there is nothing to write, so {path} was not made")
        return 1
    evidence = evidence_of(found, now=call.clock.now())
    text = evidence.file.text()
    _show_file(call, evidence)
    size = f"{counted(len(found), 'host')}, {len(text) / 1024:.0f} KiB"
    call.terminal.confirm(f"Write {path} ({size})?", yes=yes, kept=f"{path} was not written")
    is_new = not path.exists() or path.is_file()
    try:
        with open_for_owner(path, "x" if is_new else "w") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                if is_new:  # half a file would be in the way of the next call
                    path.unlink(missing_ok=True)
                raise
    except OSError as error:
        call.terminal.warn(f"--save: {path} cannot be written: {error.strerror or error}")
        return 1
    call.terminal.note(f"{path}: read it before you give it away ('mpsbridge docs evidence' says what stands in it)")
    return 0


def _show_file(call: Call, evidence: Disguised) -> None:
    """Beside the answer: which names become which, and the tables as they will stand in the file."""
    shown = evidence.names[:MOST_NAMES]
    said = ["names, and what stands for them in the file:", *(f"  {name:<24} {other}" for name, other in shown)]
    if more := len(evidence.names) - len(shown):
        said.append(f"  ... and {counted(more, 'other name')}")
    for host in evidence.file.hosts[:MOST_HOSTS]:
        for table, lines in host.tables.items():
            said += [f"{table} of {host.host}:", *(f"  {line}" for line in lines[:MOST_LINES])]
    call.terminal.lines("\n".join(said))
