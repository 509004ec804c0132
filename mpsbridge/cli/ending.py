"""``end`` and ``resume``: the whole procedure on many hosts, in their record, and what a person sees of it meanwhile.

Rules: the journal is open before anything is sent; nothing is sent without a yes; Ctrl-C lets every host give back what
the run holds there; a host that refuses is skipped, and says which option would lift it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TextIO

from pydantic import JsonValue, TypeAdapter, ValidationError

from mpsbridge.cli.call import Call, duration
from mpsbridge.cli.fleets import exit_code, found_nowhere, new_run, open_fleet, open_journal, present
from mpsbridge.cli.tables import SESSION_COLUMNS, counted, listed, result_row, session_row
from mpsbridge.clock import Clock
from mpsbridge.ending.notices import check_template
from mpsbridge.ending.plan import SAY_WHO, Selector
from mpsbridge.ending.policy import Closing, HostPlan, Policy, Then, plan_host
from mpsbridge.ending.record import notices_told
from mpsbridge.ending.run import EndValue, end_sessions
from mpsbridge.ending.scene import Event, Scene
from mpsbridge.errors import InputError
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.journal import Entry, Journal, owner
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Done, Failed, Outcome, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import Result, SessionResult
from mpsbridge.snippets.parameters import ProgramName

_FOLLOWS = {
    Then.NOTHING: "",
    Then.RESTART: " and restart",
    Then.SHUTDOWN: " and shut down",
    Then.CONSOLE_MODE: " and switch to console mode",
    Then.STATION_MODE: " and switch to station mode",
}
_TOLD = {"leased", "closed", "notice", "empty", "ended", "ordered", "booted", "restored", "released", "failed"}
"""Events that a person sees while the run goes on."""


class Options(NamedTuple):
    """The options of ``end`` that make its policy, as they were typed."""

    warn: str
    reason: str
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
    deadline: str,
    events: Path | None,
    yes: bool,
) -> int:
    """``end``: plan on every host, ask, carry out."""
    if who is None:
        raise InputError(SAY_WHO)
    policy = make_policy(who, options)
    template = check_template(_text_of(notice_file)) if notice_file else None
    targets = call.targets(hosts, who)
    run = new_run(call.clock.now())
    with open_journal(call) as journal, open_fleet(call, targets, graceful=True) as fleet:
        plans = _plan(call, fleet, policy, run)
        ready = [place for place, plan in enumerate(plans) if isinstance(plan, Done) and _has_work(plan.value, policy)]
        if call.settings.dry_run or not ready:
            outcomes = [_planned(plan, run, policy) for plan in plans]
            _show(call, outcomes, dry_run=call.settings.dry_run)
            return exit_code(outcomes, Effect.READ, interrupted=fleet.interrupted)
        _ask(call, policy, {targets[place].host: plans[place] for place in ready}, yes=yes)
        kept: dict[str, JsonValue] = {
            "hosts": [targets[place].host for place in ready],
            "policy": policy.model_dump(mode="json"),
            "template": template,
        }
        journal.begin(run, command="end", reason=policy.reason, options=kept)
        with _following(call, events) as on_event, _deadline(fleet, duration("--deadline", deadline)):
            job = _job(call.clock, journal, run, policy, template, fleet, on_event)
            acted = dict(zip(ready, fleet.run(job, only=ready), strict=True))
        outcomes = [acted.get(place) or _planned(plan, run, policy) for place, plan in enumerate(plans)]
        return _finish(call, journal, run, outcomes, interrupted=fleet.interrupted)


def resume(call: Call, prefix: str | None, only: Sequence[str], *, events: Path | None, yes: bool) -> int:
    """``resume``: go on with a run that never ended: look first, repeat nothing that may have happened."""
    with open_journal(call) as journal:
        found = journal.runs(only_open=True) if prefix is None else [journal.find(prefix)]
        found = [run for run in found if run.command == "end" and run.ended is None]
        if not found:
            raise InputError("no run is open" if prefix is None else f"the run {prefix} has ended")
        if len(found) > 1:
            raise InputError(f"several runs are open: {', '.join(run.id for run in found)}", hint="Name one of them.")
        run = found[0]
        policy = Policy.model_validate(run.options["policy"])
        words = run.options["hosts"]
        template = run.options.get("template")
        if not isinstance(words, list) or not (template is None or isinstance(template, str)):
            raise InputError(f"the record of run {run.id} cannot be read")
        if unknown := set(only) - {str(word) for word in words}:
            raise InputError(f"run {run.id} has no host {min(unknown)!r}")
        targets = call.targets(only or [str(word) for word in words])
        question = (
            f"Go on with run {run.id} ({run.reason or 'no reason given'}) on {listed([each.host for each in targets])}?"
        )
        call.terminal.confirm(question, yes=yes)
        with open_fleet(call, targets, graceful=True) as fleet, _following(call, events) as on_event:
            job = _job(call.clock, journal, run.id, policy, template, fleet, on_event)
            outcomes = fleet.run(job)
        return _finish(call, journal, run.id, outcomes, interrupted=fleet.interrupted)


def make_policy(who: Selector, options: Options) -> Policy:
    """The policy that the options describe. Raises ``InputError`` that names the option."""
    for option, value, known in (("--then", options.then, Then), ("--logons", options.logons, Closing)):
        if value not in set(known):
            raise InputError(f"{option}: {value!r} is not one of {', '.join(known)}")
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
    fields["keep_sessions"] = tuple(_host_and_id(text) for text in fields.pop("keep_session"))
    fields["keep_users"] = fields.pop("keep_user")
    fields["closing"] = fields.pop("logons")
    del fields["warn"]
    try:
        fields["keep_running"] = TypeAdapter(tuple[ProgramName, ...]).validate_python(options.keep_running)
        return Policy.model_validate({"selector": who, "warn_s": warn_s, **fields})
    except ValidationError as error:
        raise InputError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from error


def _host_and_id(text: str) -> tuple[str, int]:
    host, _, number = text.rpartition(":")
    if not host or not (number.isascii() and number.isdigit()):
        raise InputError(f"--keep-session: {text!r} is not HOST:ID")
    return host, int(number)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--notice-file: {path} cannot be read: {error}") from error


def _plan(call: Call, fleet: Fleet, policy: Policy, run: str) -> list[Outcome[HostPlan]]:
    def look(host: Host) -> HostPlan:
        return plan_host(host.target.host, host.observe(programs=policy.keep_running), policy, run=run)

    plans: list[Outcome[HostPlan]] = []
    looks = fleet.run(look)
    missing = [outcome.value.missing for outcome in looks if isinstance(outcome, Done)]
    nowhere = found_nowhere(missing, hosts=len(looks))
    for place, outcome in enumerate(looks):
        target = fleet.targets[place]
        reasons = [nowhere] if nowhere else []
        if isinstance(outcome, Done) and (reasons := [*reasons, *outcome.value.refusals]):
            reason = "refused: " + "; ".join(reasons)
            skipped = Skipped(host=target.host, address=target.address, elapsed_s=outcome.elapsed_s, reason=reason)
            plans.append(skipped)
        else:
            plans.append(outcome)
        if isinstance(outcome, Done):
            for note in outcome.value.notes:
                call.terminal.note(f"{target.host}: {note}")
    return plans


def _has_work(plan: HostPlan, policy: Policy) -> bool:
    return bool(plan.acts) or policy.restarts


def _planned(plan: Outcome[HostPlan], run: str, policy: Policy) -> Outcome[EndValue]:
    """A plan that was not carried out, as an outcome: who would be ended, who is kept."""
    if not isinstance(plan, Done):
        return plan
    results = tuple(
        SessionResult(
            session=verdict.session,
            result=Result.WOULD if verdict.decision == "act" else Result.KEPT,
            text=verdict.reason,
        )
        for verdict in plan.value.verdicts
    )
    outcome = "planned" if _has_work(plan.value, policy) else "nothing to do"
    value = EndValue(
        run=run, dry_run=True, sessions=results, then=policy.then, outcome=outcome, problems=plan.value.notes
    )
    return Done[EndValue](host=plan.host, address=plan.address, elapsed_s=plan.elapsed_s, value=value)


def _ask(call: Call, policy: Policy, plans: Mapping[str, Outcome[HostPlan]], *, yes: bool) -> None:
    hit = [(host, session) for host, plan in plans.items() if isinstance(plan, Done) for session in plan.value.acts]
    call.terminal.table(SESSION_COLUMNS, [session_row(host, session) for host, session in hit], to_stderr=True)
    when = f"in {format_duration(max(policy.warn_s))}" if policy.warn_s else "now, WITHOUT a warning"
    question = f"End {counted(len(hit), 'session')} on {listed(list(plans))} {when}{_FOLLOWS[policy.then]}?"
    call.terminal.confirm(question, yes=yes)


def _job(
    clock: Clock,
    journal: Journal,
    run: str,
    policy: Policy,
    template: str | None,
    fleet: Fleet,
    on_event: Callable[[Event], None],
) -> Callable[[Host], EndValue]:
    def job(host: Host) -> EndValue:
        before = journal.entries(run, host=host.name)
        scene = Scene(
            host,
            run=run,
            policy=policy,
            owner=owner(),
            journal=journal,
            clock=clock,
            stop=fleet.stop,
            on_event=on_event,
            told=notices_told((entry.step, entry.detail) for entry in before),
        )
        _wait_out(journal.unanswered(run, host=host.name), clock, fleet.stop, host.timeout_s)
        return end_sessions(scene, template=template, ordered_at=_boot_of_the_order(before))

    return job


def _wait_out(unknown: Sequence[Entry], clock: Clock, stop: threading.Event, timeout_s: float) -> None:
    """Wait until no step of unknown fate can begin any more: each carried its own time limit (W4)."""
    if unknown:
        last = max(entry.at for entry in unknown) + timedelta(seconds=2 * timeout_s)
        clock.wait(max(0.0, (last - clock.now()).total_seconds()), stop)


def _boot_of_the_order(entries: Sequence[Entry]) -> datetime | None:
    """The boot identity that the host had when this run told it to go down, if it did."""
    boot: JsonValue = None
    for entry in entries:
        if entry.step == "look" and entry.detail.get("boot"):
            boot = entry.detail["boot"]
        if entry.kind == "intent" and entry.step in {"power", "mode"}:
            return datetime.fromisoformat(str(boot)) if boot else None
    return None


@contextmanager
def _following(call: Call, path: Path | None) -> Iterator[Callable[[Event], None]]:
    """Tell people what happens as it happens, and write it as JSON lines where asked to."""
    lock = threading.Lock()
    stream: TextIO | None = None
    try:
        stream = path.open("a", encoding="utf-8") if path else None
    except OSError as error:
        raise InputError(f"--events: {path} cannot be written: {error.strerror or error}") from error

    def follow(event: Event) -> None:
        with lock:
            if stream is not None:
                stream.write(event.model_dump_json() + "\n")
                stream.flush()
            if event.event in _TOLD:
                who = f" session {event.session}" if event.session is not None else ""
                call.terminal.note(f"{event.at:%H:%M:%S} {event.host}: {event.event}{who} {event.text}".rstrip())

    try:
        yield follow
    finally:
        if stream is not None:
            stream.close()


@contextmanager
def _deadline(fleet: Fleet, seconds: int | None) -> Iterator[None]:
    """Stop the whole run when its time is over; the hosts give back what it holds."""
    timer = threading.Timer(seconds or 0, fleet.stop.set)
    timer.daemon = True
    if seconds:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _finish(call: Call, journal: Journal, run: str, outcomes: Sequence[Outcome[EndValue]], *, interrupted: bool) -> int:
    code = exit_code(outcomes, Effect.DISRUPT, interrupted=interrupted)
    unsettled = interrupted or any(isinstance(outcome, Failed) and outcome.failure.may_have_run for outcome in outcomes)
    if not unsettled:
        journal.end(run, "done" if code == 0 else f"exit code {code}")
    _show(call, outcomes, dry_run=False)
    if unsettled:
        call.terminal.note(f"run {run} is open; 'mpsbridge resume {run}' goes on with it")
    return code


def _show(call: Call, outcomes: Sequence[Outcome[EndValue]], *, dry_run: bool) -> None:
    for outcome in outcomes:
        call.terminal.stream(outcome)

    def summary(values: Sequence[EndValue]) -> str:
        results = [result.result for value in values for result in value.sessions]
        if dry_run:
            return f"{counted(results.count(Result.WOULD), 'session')} would be ended"
        gone = sum(result in {Result.ENDED, Result.GONE} for result in results)
        return f"{gone} of {counted(len(results), 'session')} gone" if results else "nothing to do"

    present(
        call,
        outcomes,
        columns=("HOST", "ID", "USER", "RESULT", ""),
        rows=lambda host, value: [result_row(host, result) for result in value.sessions],
        records=lambda value: [
            {**result.session.model_dump(mode="json"), "result": result.result, "text": result.text, "run": value.run}
            for result in value.sessions
        ],
        summary=summary,
    )
    for outcome in outcomes:
        if isinstance(outcome, Done):
            call.terminal.say(f"{outcome.host}: {outcome.value.outcome}")
            for problem in outcome.value.problems:
                call.terminal.note(f"{outcome.host}: {problem}")
