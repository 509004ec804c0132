"""Commands that look and change nothing (but ``logons --set``, which asks first)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpsbridge.cli.call import Call
from mpsbridge.cli.listing import Layout, present, say_beside, stream
from mpsbridge.cli.looking import look, open_reading
from mpsbridge.cli.tables import SESSION_COLUMNS, STATION_COLUMNS, session_row, station_row
from mpsbridge.errors import InputError
from mpsbridge.models.complaints import not_one_of
from mpsbridge.models.counts import counted, counted_on
from mpsbridge.models.durations import format_duration
from mpsbridge.models.outcomes import Outcome
from mpsbridge.models.sessions import LogonMode, Logons, Observation, Stations
from mpsbridge.models.targets import Target
from mpsbridge.operations.looking import ListSessions, Picture, list_stations, read_logons, remarks
from mpsbridge.operations.outcomes import not_listed
from mpsbridge.planning.options import duration
from mpsbridge.planning.selection import Selector
from mpsbridge.settings import Output


def sessions(call: Call, hosts: Sequence[str], who: Selector | None, watch: str | None, shard: str | None) -> int:
    """``sessions``: one look at every host, or one after another with ``--watch``."""
    chosen = who or Selector(everyone=True)
    every_s = duration("--watch", watch)
    if every_s is not None and every_s < 1:
        raise InputError("--watch: at least 1s")
    targets = call.targets(hosts, chosen, shard=shard)
    if every_s is not None and targets:
        return _watch(call, targets, chosen, every_s)
    return look(
        call,
        targets,
        ListSessions(selector=chosen),
        _sessions(chosen),
        problems=remarks,
        of_all=lambda outcomes: not_listed(outcomes, chosen),
    )


def _sessions(chosen: Selector, ages_s: Mapping[str, float] | None = None) -> Layout[Observation]:
    """How a listing looks; ``ages_s`` is how old the look at each host is, where that is told."""

    def summary(values: Sequence[Observation]) -> str:
        shown, others = sum(len(value.sessions) for value in values), sum(value.others for value in values)
        if chosen.everyone:
            return counted_on(shown, "session", len(values))
        match = "matches" if shown == 1 else "match"
        return f"{shown} of {counted_on(shown + others, 'session', len(values))} {match}"

    def rows(host: str, value: Observation) -> Sequence[Sequence[object]]:
        age_s = None if ages_s is None else ages_s[host]
        return [session_row(host, session, age_s=age_s) for session in value.sessions]

    return Layout(
        SESSION_COLUMNS, rows, summary, empty=lambda seen: "" if seen.others or chosen.names_someone else "nobody"
    )


def _watch(call: Call, targets: Sequence[Target], chosen: Selector, every_s: int) -> int:
    """A picture ``every_s`` apart, until Ctrl-C, which is no accident here: it ends quietly, with 0.

    Each host is asked again so long after its answer: a silent one keeps nobody.
    """
    last: dict[str, Outcome[Observation]] = {}
    is_first = True
    with open_reading(call, targets, watches=True) as reading:
        for news, picture in reading.pictures(ListSessions(selector=chosen), every_s=every_s):
            if reading.is_interrupted:  # what comes now are the answers that it cut off
                continue
            if news is not None:
                last[news.host] = news
                stream(call, news)
                say_beside(call, news, remarks)
            if picture is not None:
                if not is_first:
                    call.terminal.say()
                is_first = False
                _show_picture(call, picture, _sessions(chosen, picture.ages_s))
            if call.terminal.is_unread:
                reading.stop()
                break
        if reading.is_interrupted and not call.terminal.is_unread:
            call.terminal.end_line()
            return 0
        return reading.verdict(list(last.values())).exit_code


def _show_picture(call: Call, picture: Picture[Observation], layout: Layout[Observation]) -> None:
    if call.settings.output is not Output.JSONL:
        present(call, picture.outcomes, layout)
    for host, since_s in picture.silent:
        call.terminal.say(f"{host}: no answer for {format_duration(since_s)}")


_STATIONS = Layout[Stations](
    columns=STATION_COLUMNS,
    rows=lambda host, value: [station_row(host, station) for station in value.stations],
    summary=lambda values: counted_on(sum(len(value.stations) for value in values), "station", len(values)),
    empty=lambda value: "not a MultiPoint host" if value.mode == "none" else "no stations",
)
LOGONS = Layout[Logons](
    columns=("HOST", "LOGONS", "WAS"),
    rows=lambda host, value: [(host, value.mode or "unknown", value.was)],
    summary=lambda values: f"logon mode of {counted(len(values), 'host')}",
)


def stations(call: Call, hosts: Sequence[str], shard: str | None) -> int:
    """``stations``: MultiPoint's stations and who sits there."""
    return look(call, call.targets(hosts, shard=shard), list_stations, _STATIONS)


def logons(call: Call, hosts: Sequence[str], wanted: str | None, shard: str | None, *, yes: bool) -> int:
    """``logons``: the logon mode of every host, or a change of it."""
    try:
        mode = None if wanted is None else LogonMode(wanted)
    except ValueError as error:
        raise InputError(f"--set: {not_one_of(wanted, list(LogonMode))}") from error
    if mode is None:
        return look(call, call.targets(hosts, shard=shard), read_logons, LOGONS)
    if shard is not None:
        raise InputError("--shard is for looking, and --set acts: name the hosts that it shall act on")
    from mpsbridge.cli.acting import set_logons  # noqa: PLC0415 - a call that only looks needs none of it

    return set_logons(call, hosts, mode, LOGONS, yes=yes)
