"""``leases``, ``hold`` and ``release``: whose work a host is in, a person's "do not touch", and finishing what died.

Rule: releasing gives back exactly what the lease says was taken: first the lease is marked, so that nothing of that run
acts any more, then logons are restored, only if they are still as it set them, the failsafe goes, people who were told
of an end are told that it is off, and the lease goes last. A damaged lease says nothing that could be given back; it is
removed while it still has the digest that was asked about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import gather, judge, new_run, open_fleet, open_reading, present, record_path
from mpsbridge.cli.tables import counted, listed, when
from mpsbridge.ending.cancellation import release_notices
from mpsbridge.ending.lease import (
    DIGITS,
    SHOWN,
    Damaged,
    Lease,
    doubts,
    expected_of,
    holder,
    is_disbelieved,
    is_of_run,
    read_lease,
)
from mpsbridge.errors import InputError, MpsBridgeError, Refused
from mpsbridge.host import Host
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.harmless import harmless
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import LogonMode, Observation, from_cim, to_cim
from mpsbridge.runs.journal import owner
from mpsbridge.runs.runlock import is_at_work
from mpsbridge.snippets.catalogue import load_templates


class LeaseValue(Frozen):
    """What is known of one host's lease; all null where there is none."""

    run: str | None = None
    owner: str | None = None
    reason: str | None = None
    since: str | None = None
    expires: str | None = None
    found: LogonMode | None = None
    set: LogonMode | None = None
    logons: LogonMode | None = None
    readable: bool = True
    digest: str | None = None
    """Of a damaged lease; null too where the host could not read its text."""
    text: str = ""


def leases(call: Call, hosts: Sequence[str], shard: str | None) -> int:
    """``leases``: who is at work on each host."""
    with open_reading(call, call.targets(hosts, shard=shard)) as fleet:
        outcomes = gather(call, fleet, _read)
        _show(call, outcomes)
        return judge(outcomes, Effect.READ, interrupted=fleet.interrupted).exit_code


def hold(call: Call, hosts: Sequence[str], reason: str) -> int:
    """``hold``: keep every run away from these hosts until somebody releases them."""
    if not reason.strip():
        raise InputError("--reason: say why, for whoever finds the hold")
    run = new_run(call.clock.now())

    with open_fleet(call, call.targets(hosts)) as fleet:
        outcomes = gather(call, fleet, lambda host: _hold(host, reason, run, dry_run=call.settings.dry_run))
        _show(call, outcomes)
        return judge(outcomes, Effect.DISRUPT, interrupted=fleet.interrupted).exit_code


def release(call: Call, hosts: Sequence[str], *, yes: bool) -> int:
    """``release``: give back what an interrupted run or a person holds on these hosts."""
    with open_fleet(call, call.targets(hosts)) as fleet:
        found = fleet.run(_read)
        held = [
            place
            for place, outcome in enumerate(found)
            if isinstance(outcome, Done) and (outcome.value.owner or not outcome.value.readable)
        ]
        if held and not call.settings.dry_run:
            values = {fleet.targets[place].host: _at(found, place) for place in held}
            _say_who_is_at_work(call, values)
            names = [f"{host} ({_who(value)})" for host, value in values.items()]
            call.terminal.confirm(f"Release {listed(names)}?", yes=yes)
            outcomes = fleet.run(lambda host: _release(host, values[host.name], call.clock.now()), only=held)
            done = dict(zip(held, outcomes, strict=True))
            found = [done.get(place, outcome) for place, outcome in enumerate(found)]
        elif call.settings.dry_run:
            found = [
                _would(outcome, "would be released") if place in held else outcome
                for place, outcome in enumerate(found)
            ]
        for outcome in found:
            call.terminal.stream(outcome)
        _show(call, found)
        return judge(found, Effect.DISRUPT, interrupted=fleet.interrupted).exit_code


def _say_who_is_at_work(call: Call, values: Mapping[str, LeaseValue]) -> None:
    """Warn of hosts whose run is at work here: releasing one takes it out of that run in the middle."""
    runs = {value.run for value in values.values() if value.run}
    for run in sorted(run for run in runs if is_at_work(record_path(call), run)):
        hosts = [host for host, value in values.items() if value.run == run]
        call.terminal.warn(f"run {run} is at work, and loses {listed(hosts)} by this; it stops there with an error")


def _would(outcome: Outcome[LeaseValue], text: str) -> Outcome[LeaseValue]:
    """An outcome of a dry run that says what would be done."""
    if not isinstance(outcome, Done):
        return outcome
    return outcome.model_copy(update={"value": outcome.value.model_copy(update={"text": text})})


def _read(host: Host) -> LeaseValue:
    seen = host.look()
    return _value(seen)


def _hold(host: Host, reason: str, run: str, *, dry_run: bool = False) -> LeaseValue:
    seen = host.look()
    if seen.lease is not None:
        raise Refused(f"held already by {_who(_value(seen))}")
    lease = Lease(run=None, owner=owner(), reason=reason, since=to_cim(seen.observed), expires=None)
    if not dry_run and not host.set_lease(lease.text(), expected=None, run=run).changed:
        raise Refused("somebody else was faster; look again")
    return _value(seen.model_copy(update={"lease": lease.text()})).model_copy(
        update={"text": "would be held" if dry_run else "held"}
    )


_CHANGED = "the lease changed meanwhile and was left, so the host is still held"
_LOOK = "Look who holds it now: mpsbridge leases."
_REPAIR = (
    "Look on the host who may write there, then remove the folder, as an administrator of it: "
    'rmdir /s /q "%ProgramFiles%\\mpsbridge" (without /s where it leads elsewhere). The next run makes it new.'
)


def _release(host: Host, asked: LeaseValue, now: datetime) -> LeaseValue:
    """Release what was asked about, if it is still there. Raises ``Refused`` where no script could."""
    load_templates()
    seen = host.look()
    there = _value(seen)
    if seen.lease is not None and (there.run, there.owner, there.digest) != (asked.run, asked.owner, asked.digest):
        raise Refused(_CHANGED, hint=_LOOK)
    return _give_back(host, seen, now)


def _give_back(host: Host, seen: Observation, now: datetime) -> LeaseValue:
    """Give back what the lease says that was seen, as long as it is that one."""
    lease = read_lease(seen.lease)
    if lease is None:
        return LeaseValue(logons=seen.logon_mode, text="nobody held it")
    if is_disbelieved(seen.lease, seen.problems):
        raise Refused(f"held by {holder(Damaged(digest=None), seen.problems)}", hint=_REPAIR)
    run = lease.run if isinstance(lease, Lease) and lease.run else new_run(now)
    said, mode, text = [], seen.logon_mode, expected_of(seen.lease)
    if isinstance(lease, Lease) and lease.set is not None and lease.found is not None:
        text = lease.model_copy(update={"ending": True}).text()
        if not host.set_lease(text, expected=expected_of(seen.lease), run=run).changed:
            raise Refused(_CHANGED, hint=_LOOK)
        mode = host.look().logon_mode
        if mode is lease.set:
            mode = host.set_logons(lease.found, expected=lease.set, run=run).mode
            said.append(f"logons are {mode} again")
        elif mode is not lease.found:
            said.append(f"logons are {mode}: changed by others, and left so")
    if isinstance(lease, Lease) and lease.run:
        host.remove_failsafe(run=run)  # it may be there before logons are closed
        text = _call_off(host, lease, text, said)
    answer = host.set_lease(None, expected=text, run=run)
    if not answer.changed:
        raise Refused("; ".join([*said, _CHANGED]), hint=_LOOK)
    said.append("released")
    if isinstance(lease, Damaged) and mode is not LogonMode.ENABLED:
        said.append(f"logons are {mode or 'unknown'}: the lease did not say how they were, so they were left")
    return LeaseValue(logons=mode, text="; ".join(said))


def _call_off(host: Host, lease: Lease, text: str | None, said: list[str]) -> str | None:
    """Tell people that the end which the run announced does not come; the lease as it is then, with the marks of that.

    Where they cannot be told, that is said, and the host is released all the same.
    """
    if not lease.notices:
        return text
    try:
        count = release_notices(host, lease, host.observe(), sender=owner())
        left = host.look().lease
    except MpsBridgeError as error:
        said.append(f"people could not be told that the log-off is cancelled: {error}")
        return text
    if count:
        said.append(f"{counted(count, 'session')} told that the log-off is cancelled")
    return left if left is not None and is_of_run(left, str(lease.run)) else text


def _value(seen: Observation) -> LeaseValue:
    lease, mode = read_lease(seen.lease), seen.logon_mode
    if lease is None:
        return LeaseValue(logons=mode)
    if isinstance(lease, Damaged):
        return LeaseValue(logons=mode, readable=False, digest=lease.digest, text="; ".join(doubts(seen.problems)))
    return LeaseValue(
        run=lease.run,
        owner=lease.owner,
        reason=lease.reason,
        since=lease.since,
        expires=lease.expires,
        found=lease.found,
        set=lease.set,
        logons=mode,
    )


def _at(outcomes: Sequence[Outcome[LeaseValue]], place: int) -> LeaseValue:
    outcome = outcomes[place]
    return outcome.value if isinstance(outcome, Done) else LeaseValue()


def _who(value: LeaseValue) -> str:
    if not value.readable:
        return "a lease that cannot be read" + (f", digest {value.digest[:DIGITS]}" if value.digest else "")
    what = f"run {value.run}" if value.run else "a hold"
    reason = f": {harmless(value.reason, limit=SHOWN)}" if value.reason else ""
    return f"{what} of {harmless(value.owner or '', limit=SHOWN)}{reason}"


def _show(call: Call, outcomes: Sequence[Outcome[LeaseValue]]) -> None:
    def row(host: str, value: LeaseValue) -> Sequence[object]:
        until = when(from_cim(value.expires)) + " UTC" if value.expires else ("until released" if value.owner else "")
        who = _who(value) if value.owner or not value.readable else ""
        return host, who, until, value.logons, value.text

    present(
        call,
        outcomes,
        columns=("HOST", "HELD BY", "UNTIL", "LOGONS", ""),
        rows=lambda host, value: [row(host, value)],
        records=lambda value: [value.model_dump(mode="json")],
        summary=lambda values: f"{sum(bool(value.owner) or not value.readable for value in values)} held",
    )
