"""``end`` and ``resume``: from options, or from the record, to the work that is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from mpsbridge.cli.call import Call, duration, read_standard_input
from mpsbridge.cli.conclusion import conclude
from mpsbridge.cli.fleets import open_journal
from mpsbridge.cli.listing import for_programs
from mpsbridge.cli.running import go_on, rehearse, run_end
from mpsbridge.cli.tables import listed
from mpsbridge.errors import InputError, JournalError
from mpsbridge.files import read_text
from mpsbridge.inventory.entries import EVERY, Inventory, InventoryHost
from mpsbridge.inventory.patterns import choose
from mpsbridge.models.complaints import complaint, not_one_of
from mpsbridge.models.targets import Target
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import DEADLINE_S, End, Resume
from mpsbridge.operations.waves import WavesTable
from mpsbridge.operations.workplace import RunResult
from mpsbridge.planning.policy import Closing, Policy, Sender
from mpsbridge.planning.selection import SAY_WHO, Selector
from mpsbridge.reports.summary import judge, make_report
from mpsbridge.runs.history import unfinished
from mpsbridge.runs.journal import Journal, Run
from mpsbridge.runs.verdict import RunVerdict
from mpsbridge.snippets.parameters import ProgramName

WARN = "15m,5m,1m"
"""When people are told where nothing is said about it."""


class Options(NamedTuple):
    """The options of ``end`` that make its policy, as they were typed."""

    warn: str
    reason: str
    sender: str
    then: str
    keep_user: tuple[str, ...]
    keep_session: tuple[str, ...]
    keep_running: tuple[str, ...]
    include_admins: bool
    include_console: bool
    disconnected_ok: bool
    unwarned_ok: bool
    leftover_ok: bool
    take_over: bool
    logons: str
    hold_logons: bool
    failsafe: bool
    only_if_reboot_pending: bool
    settle: str
    force_after: str | None
    return_timeout: str
    host_deadline: str


def end(
    call: Call,
    hosts: Sequence[str],
    who: Selector | None,
    options: Options,
    *,
    notice_file: Path | None,
    events: Path | None,
    yes: bool,
) -> int:
    """``end``: plan on every host, ask, carry out."""
    if who is None:
        raise InputError(SAY_WHO)
    policy = make_policy(who, options)
    template = text_of(notice_file) if notice_file else None
    targets = call.targets(hosts, who)
    operation = End(
        policy=policy,
        template=template,
        deadline_s=call.settings.deadline or DEADLINE_S,
        known=known_hosts(call, policy, targets),
    )
    with open_journal(call) as journal:
        code, _ = run_end(call, journal, targets, operation, events=events, yes=yes)
    return code


def known_hosts(call: Call, policy: Policy, targets: Sequence[Target]) -> tuple[str, ...]:
    """The hosts of the inventory, where ``--keep-session`` names one that is not of the call (15 ms to read)."""
    named = {host.casefold() for host, _ in policy.keep_sessions} - {target.host.casefold() for target in targets}
    if not named or not call.settings.inventory:
        return ()
    from mpsbridge.inventory.reading import read_inventory  # noqa: PLC0415 - only for a host that is not asked

    return tuple(read_inventory(call.settings.inventory).hosts)


def resume(call: Call, prefix: str | None, only: Sequence[str], *, events: Path | None, yes: bool) -> int:
    """``resume``: go on with a run that never ended: look first, repeat nothing that may have happened."""
    with open_journal(call) as journal:
        found = journal.runs(only_open=True) if prefix is None else [journal.find(prefix)]
        found = [run for run in found if run.command in {"end", "maintain"} and run.ended is None]
        if not found:
            raise InputError("no run is open" if prefix is None else f"the run {prefix} has ended")
        if len(found) > 1:
            found = [run for run in found if not journal.is_at_work(run.id)] or found
        if len(found) > 1:
            raise InputError(f"several runs are open: {', '.join(run.id for run in found)}", hint="Name one of them.")
        run = found[0]
        if call.settings.dry_run:
            journal.take(run.id)
        else:
            journal.resume(run.id)
        hosts, operation = _recorded(run)
        chosen = {host.casefold() for host in _among(run.id, hosts, only)}
        every = unfinished(journal, run.id, hosts)
        left = [host for host in every if host.casefold() in chosen]
        if not left:
            return _nothing_left(call, journal, run, every)
        legible = _legible(call, journal, run.id, left)
        code = int(legible != left)
        targets = call.targets(legible)
        if call.settings.dry_run:
            return rehearse(call, journal, targets, Resume(run=run.id, end=operation, hosts=tuple(hosts))) or code
        question = f"Go on with run {run.id} ({run.reason or 'no reason given'}) on {listed(legible)}?"
        call.terminal.confirm(question, yes=yes)
        resume = Resume(
            run=run.id, end=operation.model_copy(update={"deadline_s": call.settings.deadline}), hosts=tuple(hosts)
        )
        done = go_on(call, journal, targets, resume, events=events)
    return done or code


def _nothing_left(call: Call, journal: Journal, run: Run, others: Sequence[str]) -> int:
    """End a run that has nothing left to do, but perhaps on ``others`` that were not named; the exit code."""
    where = f" there, but on {listed(others)}" if others else ""
    call.terminal.say(f"run {run.id} has nothing left to do{where}")
    whole = RunVerdict.of([]) if others else judge(make_report(run, journal.entries(run.id, whole=False)).hosts)
    for_programs(call, (), whole)
    if others or call.settings.dry_run:
        return call.terminal.code(whole.exit_code)
    journal.end(run.id, whole)
    return conclude(call, journal, RunResult(run.id, (), whole))


def _legible(call: Call, journal: Journal, run: str, hosts: Sequence[str]) -> list[str]:
    """The hosts of which the record can be read; the others are named. Raises ``JournalError`` where none is left."""
    errors: dict[str, JournalError] = {}
    for host in hosts:
        try:
            journal.entries(run, host=host)
        except JournalError as error:
            errors[host] = error
    if len(errors) == len(hosts):
        raise errors[hosts[0]]
    for host, trouble in errors.items():
        call.terminal.warn(
            f"{host} is left out: {trouble.message}; look at it, and give back what the run holds there: "
            f"mpsbridge release {host}"
        )
    return [host for host in hosts if host not in errors]


def _recorded(run: Run) -> tuple[list[str], End]:
    """The hosts of a run, and what is to be done there. Raises ``JournalError`` where its record does not tell."""
    words, template = run.options.get("hosts"), run.options.get("template")
    try:
        policy = Policy.model_validate(run.options.get("policy"))
        waves = WavesTable.model_validate(run.options.get("waves") or {})
    except (InputError, ValidationError, RecursionError) as error:
        raise _not_told(run) from error
    if not isinstance(words, list) or not (template is None or isinstance(template, str)):
        raise _not_told(run)
    operation = End(command=run.command, policy=policy, template=template, waves=waves)
    return [str(word) for word in words], operation


def _not_told(run: Run) -> JournalError:
    hint = "It cannot go on: 'mpsbridge leases' shows what it holds, 'mpsbridge release' gives that back."
    return JournalError(f"what run {run.id} was to do cannot be read in the journal", hint=hint)


def _among(run: str, hosts: Sequence[str], words: Sequence[str]) -> list[str]:
    """The hosts of a run that words and patterns name; all of them without any. Raises ``InputError``."""
    theirs = Inventory(path=Path(f"run {run}"), hosts={host: InventoryHost() for host in hosts})
    return choose(words or [EVERY], theirs, read_stdin=read_standard_input)


def notices(warn: str | None, *, no_warning: bool) -> str:
    """When people are told, as ``--warn`` and ``--no-warning`` say together; empty: never. Raises ``InputError``."""
    if warn is not None and no_warning:
        raise InputError("--warn tells people and --no-warning tells nobody; say one of them")
    return "" if no_warning else warn or WARN


def make_policy(who: Selector, options: Options) -> Policy:
    """The policy that the options describe. Raises ``InputError`` that names the option."""
    for option, value, known in (("--then", options.then, Then), ("--logons", options.logons, Closing)):
        if value not in set(known):
            raise InputError(f"{option}: {not_one_of(value, list(known))}")
    warn_s = tuple(duration("--warn", part) or 0 for part in options.warn.split(",")) if options.warn else ()
    if 0 in warn_s or len(set(warn_s)) != len(warn_s):
        raise InputError(f"--warn: {options.warn!r} names a moment twice, or the end itself")
    fields = options._asdict()
    for name, option in (
        ("settle", "--settle"),
        ("force_after", "--force-after"),
        ("return_timeout", "--return-timeout"),
        ("host_deadline", "--host-deadline"),
    ):
        fields[f"{name}_s"] = duration(option, fields.pop(name))
    if not fields["host_deadline_s"]:
        raise InputError(f"--host-deadline: {options.host_deadline!r} is not possible, the least is 1s")
    if fields["host_deadline_s"] <= max(warn_s, default=0):
        raise InputError(
            f"--host-deadline: {options.host_deadline} is over before the notices are ({options.warn}); give it more"
        )
    if fields["force_after_s"] == 0:
        raise InputError(
            "--force-after: 0s would leave a log-off no time at all; leave the option out, or give it some"
        )
    fields["keep_sessions"] = tuple(_host_and_id(text) for text in fields.pop("keep_session"))
    fields["keep_users"] = fields.pop("keep_user")
    fields["closing"] = fields.pop("logons")
    del fields["warn"]
    fields["keep_running"] = _checked("--keep-running", tuple[ProgramName, ...], options.keep_running)
    fields["sender"] = _checked("--sender", Sender, options.sender)
    return Policy.model_validate({"selector": who, "warn_s": warn_s, **fields})


def _checked(option: str, kind: Any, value: object) -> Any:
    """The value of an option as its field takes it. Raises ``InputError`` that names the option."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise InputError(f"{option}: {complaint(error.errors()[0])}") from error


def _host_and_id(text: str) -> tuple[str, int]:
    host, _, number = text.rpartition(":")
    if not host or not (number.isascii() and number.isdigit()):
        raise InputError(f"--keep-session: {text!r} is not HOST:ID")
    return host, int(number)


def text_of(path: Path) -> str:
    """The text of a notice's file. Raises ``InputError``."""
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--notice-file: {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
