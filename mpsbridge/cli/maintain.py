"""``maintain``: the procedure from a plan file, for CI: many hosts, in waves; what failed, as a plan again."""

from __future__ import annotations

from pathlib import Path

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import demand_own_file, open_journal
from mpsbridge.cli.running import run_end
from mpsbridge.errors import InputError
from mpsbridge.files import open_for_owner
from mpsbridge.inventory.finding import known_hosts
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.operations.ending import End
from mpsbridge.operations.planfile import again, example_plan, plan_of, policy_of, read_notice, text_of_plan
from mpsbridge.planning.options import duration
from mpsbridge.runs.ended import EndValue
from mpsbridge.settings import Output


def example(call: Call) -> int:
    """``maintain --example``: a plan with every key."""
    if call.settings.output is not Output.TABLE and call.settings.place("output").startswith("--"):
        raise InputError("--output: an example is a plan file, and is printed in no other form")
    call.terminal.raw(example_plan())
    return 0


def maintain(
    call: Call, file: Path | None, shard: str | None, *, events: Path | None, failed_to: Path | None, yes: bool
) -> int:
    """``maintain``: read the plan, look at every host, ask, carry out in waves."""
    if file is None:
        raise InputError("PLAN.toml is missing", hint="Use 'mpsbridge maintain --example' to print one.")
    call.look_at("plan", file)
    text = text_of_plan(file)  # once: it may be a pipe, and another file by the end
    plan = plan_of(file, text)
    policy = policy_of(plan, file, sender=call.settings.sender)
    for option, path, other in (("--events", events, failed_to), ("--failed-to", failed_to, None)):
        demand_own_file(call, option, path, plan=file, notice_file=plan.notices.file, failed_to=other)
    template = read_notice(plan.notices.file) if plan.notices.file else None
    if shard is not None and plan.waves.limited:
        raise InputError(
            f"the plan {file} has [waves], which count all its hosts: --shard would count only some of them",
            hint="Leave --shard out, or the table [waves].",
        )
    targets = call.targets(plan.hosts, shard=shard)
    if not targets:
        return 0
    every = () if shard is None else tuple(one.target.host for one in call.finder.resolved(plan.hosts))
    operation = End(
        command="maintain",
        policy=policy,
        template=template,
        waves=plan.waves,
        deadline_s=call.settings.deadline or duration("deadline", plan.policy.deadline),
        known=(*every, *known_hosts(call.settings, [host for host, _ in policy.keep_sessions], targets)),
    )
    with open_journal(call) as journal:
        code, result = run_end(call, journal, targets, operation, events=events, yes=yes)
    failed = [outcome.host for outcome in result.outcomes if not _went_well(outcome)]
    if failed and not call.settings.dry_run:
        _offer_again(call, again(text, failed), failed_to, is_next=not result.is_open)
    return code


def _went_well(outcome: Outcome[EndValue]) -> bool:
    return isinstance(outcome, Done) and all(one.result.went_well for one in outcome.value.sessions)


def _offer_again(call: Call, text: str, failed_to: Path | None, *, is_next: bool) -> None:
    """The hosts that are left, as a plan that can be run again: in a file, or printed.

    A run that can be resumed is gone on with before any plan is run again: then a file that was asked for is written,
    and nothing is said of it.
    """
    if failed_to is None and not is_next:
        return
    if failed_to is None:
        call.terminal.lines(f"# The hosts that are left, as a plan (--failed-to FILE writes it):\n{text}")
        return
    try:
        with open_for_owner(failed_to, "w") as plan:
            plan.write(text)
    except OSError as error:
        call.terminal.warn(f"{failed_to} cannot be written: {error.strerror or error}")
        return
    if is_next:
        call.terminal.note(f"the hosts that are left: mpsbridge maintain {failed_to}")
