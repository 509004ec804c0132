"""Commands that look and change nothing (but ``logons --set``, which asks first)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from mpsbridge.cli.acting import set_logons
from mpsbridge.cli.call import Call, duration
from mpsbridge.cli.fleets import open_reading
from mpsbridge.cli.listing import Answer, Layout, gather, present, say_beside, stream
from mpsbridge.cli.tables import SESSION_COLUMNS, STATION_COLUMNS, counted_on, session_row, station_row
from mpsbridge.errors import InputError
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.models.complaints import not_one_of
from mpsbridge.models.counts import counted
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Outcome
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import LogonMode, Logons, Observation, Stations
from mpsbridge.operations.outcomes import judge
from mpsbridge.planning.exempt import unknown_idle
from mpsbridge.planning.orphans import told
from mpsbridge.planning.selection import Selector, matching
from mpsbridge.settings import Output


def sessions(call: Call, hosts: Sequence[str], who: Selector | None, watch: str | None, shard: str | None) -> int:
    """``sessions``: one look at every host, or one after another with ``--watch``."""
    chosen = who or Selector(everyone=True)
    every_s = duration("--watch", watch)
    if every_s is not None and every_s < 1:
        raise InputError("--watch: at least 1s")
    targets = call.targets(hosts, chosen, shard=shard)
    if not targets:
        every_s = None
    look = functools.partial(_look, chosen)
    with open_reading(call, targets, keep=every_s is not None) as fleet:
        if every_s is not None:
            return _watch(call, fleet, look, chosen, every_s)
        answer = Answer(call, _sessions(chosen))
        outcomes = gather(call, fleet, look, problems=_remarks, answer=answer)
        answer.finish(outcomes)
        return judge(outcomes, Effect.READ, interrupted=fleet.interrupted).exit_code


def _look(chosen: Selector, host: Host) -> Observation:
    seen = host.observe()
    found = matching(seen, chosen)
    passed_over = unknown_idle(seen) if chosen.idle_over_s is not None else ""
    problems = (*seen.problems, *([passed_over] if passed_over else []))
    changes = {"sessions": found, "others": len(seen.sessions) - len(found), "problems": problems}
    return seen.model_copy(update=changes)


def _remarks(seen: Observation) -> tuple[str, ...]:
    return (*seen.problems, *told(seen))


def _sessions(chosen: Selector, age_s: Callable[[str], float | None] = lambda _: None) -> Layout[Observation]:
    """How a listing looks; ``age_s`` is how old the look at a host is, where that is told."""

    def summary(values: Sequence[Observation]) -> str:
        shown, others = sum(len(value.sessions) for value in values), sum(value.others for value in values)
        if chosen.everyone:
            return counted_on(shown, "session", len(values))
        match = "matches" if shown == 1 else "match"
        return f"{shown} of {counted_on(shown + others, 'session', len(values))} {match}"

    return Layout(
        columns=SESSION_COLUMNS,
        rows=lambda host, value: [session_row(host, session, age_s=age_s(host)) for session in value.sessions],
        summary=summary,
        empty=lambda seen: "" if seen.others else "nobody",
    )


def _watch(call: Call, fleet: Fleet, look: Callable[[Host], Observation], chosen: Selector, every_s: int) -> int:
    """A picture ``every_s`` apart. Each host is asked again so long after its answer: a silent one keeps nobody."""
    clock = call.clock
    known: dict[int, Outcome[Observation]] = {}
    came_s: dict[str, float] = {}
    next_s = clock.monotonic() + every_s
    is_first = True
    for each in fleet.ticking(look, again_after_s=every_s):
        if each is not None:
            known[each[0]] = each[1]
            came_s[each[1].host] = clock.monotonic()
            stream(call, each[1])
            say_beside(call, each[1], lambda seen: seen.problems)
        now_s = clock.monotonic()
        is_due = now_s >= next_s or (is_first and len(known) == len(fleet.targets))
        if is_due and not fleet.interrupted:
            if not is_first:
                call.terminal.say()
            is_first, next_s = False, now_s + every_s
            layout = _sessions(chosen, lambda host, now_s=now_s: now_s - came_s[host])  # type: ignore[misc]
            _show_picture(call, fleet, [known[place] for place in sorted(known)], layout, every_s)
        if call.terminal.is_unread:
            fleet.cancel()
            break
    return judge(list(known.values()), Effect.READ, interrupted=fleet.interrupted).exit_code


def _show_picture(
    call: Call, fleet: Fleet, outcomes: Sequence[Outcome[Observation]], layout: Layout[Observation], every_s: int
) -> None:
    if call.settings.output is not Output.JSONL:
        present(call, outcomes, layout)
    for host, since_s in fleet.waited_for:
        if since_s >= every_s and call.settings.output is Output.TABLE:
            call.terminal.say(f"{host}: no answer for {format_duration(since_s)}")


_STATIONS = Layout[Stations](
    columns=STATION_COLUMNS,
    rows=lambda host, value: [station_row(host, station) for station in value.stations],
    summary=lambda values: counted_on(sum(len(value.stations) for value in values), "station", len(values)),
    empty=lambda _: "no stations",
)
_LOGONS = Layout[Logons](
    columns=("HOST", "LOGONS", "WAS"),
    rows=lambda host, value: [(host, value.mode or "unknown", value.was)],
    summary=lambda values: f"logon mode of {counted(len(values), 'host')}",
)


def stations(call: Call, hosts: Sequence[str], shard: str | None) -> int:
    """``stations``: MultiPoint's stations and who sits there."""
    with open_reading(call, call.targets(hosts, shard=shard)) as fleet:
        answer = Answer(call, _STATIONS)
        outcomes = gather(call, fleet, Host.stations, answer=answer)
        answer.finish(outcomes)
        return judge(outcomes, Effect.READ, interrupted=fleet.interrupted).exit_code


def logons(call: Call, hosts: Sequence[str], wanted: str | None, shard: str | None, *, yes: bool) -> int:
    """``logons``: the logon mode of every host, or a change of it."""
    try:
        mode = None if wanted is None else LogonMode(wanted)
    except ValueError as error:
        raise InputError(f"--set: {not_one_of(wanted, list(LogonMode))}") from error
    if mode is not None and shard is not None:
        raise InputError("--shard is for looking, and --set acts: name the hosts that it shall act on")
    if mode is not None:
        return set_logons(
            call, hosts, mode, yes=yes, show=lambda outcomes, verdict: present(call, outcomes, _LOGONS, verdict)
        )
    with open_reading(call, call.targets(hosts, shard=shard)) as fleet:
        answer = Answer(call, _LOGONS)
        found = gather(call, fleet, Host.logons, answer=answer)
        answer.finish(found)
        return judge(found, Effect.READ, interrupted=fleet.interrupted).exit_code
