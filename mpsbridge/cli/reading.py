"""Commands that look and change nothing (but ``logons --set``, which asks first)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from mpsbridge.cli.acting import set_logons
from mpsbridge.cli.call import Call, duration
from mpsbridge.cli.fleets import gather, open_reading, present
from mpsbridge.cli.tables import SESSION_COLUMNS, STATION_COLUMNS, counted, session_row, station_row
from mpsbridge.ending.exempt import unknown_idle
from mpsbridge.ending.orphans import told
from mpsbridge.ending.plan import Selector, matching
from mpsbridge.errors import InputError
from mpsbridge.host import Host
from mpsbridge.models.outcomes import Outcome
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import LogonMode, Logons, Observation
from mpsbridge.operations.outcomes import judge


def sessions(call: Call, hosts: Sequence[str], who: Selector | None, watch: str | None, shard: str | None) -> int:
    """``sessions``: one look at every host, or one after another with ``--watch``."""
    chosen = who or Selector(everyone=True)
    every_s = duration("--watch", watch)
    if every_s is not None and every_s < 1:
        raise InputError("--watch: at least 1s")
    targets = call.targets(hosts, chosen, shard=shard)
    if not targets:
        every_s = None
    clock = call.clock
    with open_reading(call, targets, keep=every_s is not None) as fleet:
        while True:
            outcomes = gather(call, fleet, functools.partial(_look, chosen), problems=_remarks)
            _show_sessions(call, outcomes)
            if every_s is None or fleet.interrupted or call.terminal.is_unread or clock.wait(every_s, fleet.stop):
                return judge(outcomes, Effect.READ, interrupted=fleet.interrupted).exit_code
            call.terminal.say()


def _look(chosen: Selector, host: Host) -> Observation:
    seen = host.observe()
    found = matching(seen, chosen)
    passed_over = unknown_idle(seen) if chosen.idle_over_s is not None else ""
    problems = (*seen.problems, *([passed_over] if passed_over else []))
    changes = {"sessions": found, "left_out": len(seen.sessions) - len(found), "problems": problems}
    return seen.model_copy(update=changes)


def _remarks(seen: Observation) -> tuple[str, ...]:
    return (*seen.problems, *told(seen))


def _who_is_left_out(seen: Observation) -> str:
    """What is said of a host without a row: people may be on whom nobody asked for."""
    return f"none of {counted(seen.left_out, 'session')} is meant" if seen.left_out else "nobody"


def stations(call: Call, hosts: Sequence[str], shard: str | None) -> int:
    """``stations``: MultiPoint's stations and who sits there."""
    with open_reading(call, call.targets(hosts, shard=shard)) as fleet:
        outcomes = gather(call, fleet, Host.stations)
        present(
            call,
            outcomes,
            columns=STATION_COLUMNS,
            rows=lambda host, value: [station_row(host, station) for station in value.stations],
            records=lambda value: [station.model_dump(mode="json") for station in value.stations],
            summary=lambda values: counted(sum(len(value.stations) for value in values), "station"),
            empty=lambda _: "no stations",
        )
        return judge(outcomes, Effect.READ, interrupted=fleet.interrupted).exit_code


def logons(call: Call, hosts: Sequence[str], wanted: str | None, shard: str | None, *, yes: bool) -> int:
    """``logons``: the logon mode of every host, or a change of it."""
    try:
        mode = None if wanted is None else LogonMode(wanted)
    except ValueError as error:
        raise InputError(f"--set: {wanted!r} is not one of {', '.join(LogonMode)}") from error
    if mode is not None and shard is not None:
        raise InputError("--shard is for looking, and --set acts: name the hosts that it shall act on")
    if mode is not None:
        outcomes, code = set_logons(call, hosts, mode, yes=yes)
        _show_logons(call, outcomes)
        return code
    with open_reading(call, call.targets(hosts, shard=shard)) as fleet:
        found = gather(call, fleet, Host.logons)
        _show_logons(call, found)
        return judge(found, Effect.READ, interrupted=fleet.interrupted).exit_code


def _show_logons(call: Call, outcomes: Sequence[Outcome[Logons]]) -> None:
    present(
        call,
        outcomes,
        columns=("HOST", "LOGONS", "WAS"),
        rows=lambda host, value: [(host, value.mode or "unknown", value.was)],
        records=lambda value: [value.model_dump(mode="json")],
        summary=lambda values: counted(len(values), "logon mode"),
    )


def _show_sessions(call: Call, outcomes: Sequence[Outcome[Observation]]) -> None:
    present(
        call,
        outcomes,
        columns=SESSION_COLUMNS,
        rows=lambda host, value: [session_row(host, session) for session in value.sessions],
        records=lambda value: [session.model_dump(mode="json") for session in value.sessions],
        summary=lambda values: counted(sum(len(value.sessions) for value in values), "session"),
        empty=_who_is_left_out,
    )
