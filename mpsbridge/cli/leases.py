"""``leases``, ``hold`` and ``release`` on a terminal: who holds each host, the question, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.cli.call import Call
from mpsbridge.cli.conclusion import finish
from mpsbridge.cli.fleets import only_plans, open_journal, open_workplace, record_path
from mpsbridge.cli.listing import Layout
from mpsbridge.cli.looking import look
from mpsbridge.cli.tables import when
from mpsbridge.errors import InputError
from mpsbridge.models.counts import counted, listed
from mpsbridge.models.sessions import from_cim
from mpsbridge.operations.holds import Hold, LeasePlan, LeaseValue, Release, lease_of
from mpsbridge.runs.runlock import is_at_work


def leases(call: Call, hosts: Sequence[str], shard: str | None) -> int:
    """``leases``: who is at work on each host."""
    return look(call, call.targets(hosts, shard=shard), lease_of, LEASES)


def hold(call: Call, hosts: Sequence[str], reason: str) -> int:
    """``hold``: keep every run away from these hosts until somebody releases them."""
    if not reason.strip():
        raise InputError("--reason: it is empty; say why the hosts are held")
    targets = call.targets(hosts)
    with open_journal(call) as journal, open_workplace(call, targets, journal) as work:
        return finish(call, work, work.plan(Hold(reason=reason)), LEASES)


def release(call: Call, hosts: Sequence[str], *, yes: bool) -> int:
    """``release``: give back what an interrupted run or a person holds on these hosts."""
    targets = call.targets(hosts)
    with open_journal(call) as journal, open_workplace(call, targets, journal) as work:
        plan = work.plan(Release(sender=call.settings.sender))
        if plan.planned and not only_plans(call, work):
            _say_who_is_at_work(call, plan)
            names = [f"{host}, {_by(plan, host, value)}" for host, value in plan.by_host.items()]
            call.terminal.confirm(f"Release {listed(names, between='; ')}?", yes=yes)
        return finish(call, work, plan, LEASES)


def _by(plan: LeasePlan, host: str, value: LeaseValue) -> str:
    """Who holds a host that is to be released; where nothing does any more, the runs that lose it."""
    return f"held by {value.who}" if value.is_held else f"not held; run {listed(plan.leaves[host])} loses it"


def _say_who_is_at_work(call: Call, plan: LeasePlan) -> None:
    """Warn of hosts whose run is at work here: releasing one takes it out of that run in the middle."""
    runs = {value.run for value in plan.planned.values() if value.run}
    for run in sorted(run for run in runs if is_at_work(record_path(call), run)):
        hosts = [host for host, value in plan.by_host.items() if value.run == run]
        call.terminal.warn(f"run {run} is at work, and loses {listed(hosts)} by this; it stops there with an error")


def _row(host: str, value: LeaseValue) -> Sequence[object]:
    until = when(from_cim(value.expires)) + " UTC" if value.expires else ("until released" if value.owner else "")
    return host, value.who if value.is_held else "", until, value.logons, value.text


LEASES = Layout[LeaseValue](
    columns=("HOST", "HELD BY", "UNTIL", "LOGONS", ""),
    rows=lambda host, value: [_row(host, value)],
    summary=lambda values: f"{sum(value.is_held for value in values)} of {counted(len(values), 'host')} held",
)
