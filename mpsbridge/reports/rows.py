"""Past runs as rows and lines: what a list of them shows, and what one did, event by event. Pure.

Rule: people see times in the zone that is passed in, and read its name once; programs get times with their offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from mpsbridge.models.counts import listed
from mpsbridge.models.sessions import Result
from mpsbridge.reports import words
from mpsbridge.reports.history import Deed
from mpsbridge.reports.report import HostReport, Report
from mpsbridge.runs.events import (
    Finished,
    HostStopped,
    Looked,
    NoticeSent,
    NoticesMarked,
    Resumed,
    SessionJudged,
    SessionSettled,
    StepAnswered,
    StepSent,
)
from mpsbridge.runs.journal import Entry, Run
from mpsbridge.runs.verdict import Verdict

RUN_COLUMNS = ("RUN", "STARTED", "TOOK", "COMMAND", "HOSTS", "BY", "RESULT", "REASON")
DEED_COLUMNS = ("WHEN", "RUN", "COMMAND", "BY", "HOST", "USER", "RESULT", "REASON")
ENTRY_FIELDS = ("at", "run", "host", "number", "event", "phase", "session", "user", "result", "text")
RUN_FIELDS = (
    *("id", "command", "reason", "owner", "job", "started", "ended", "at_work", "hosts", "verdict", "note"),
    *("hosts_in_all", "hosts_done", "sessions_in_all", "sessions_done"),
)
"""What CSV tells of a run: one plain cell each; the counts of sessions are without those that were kept."""


def _hosts_of(run: Run) -> list[str]:
    hosts = run.options.get("hosts")
    return [str(name) for name in hosts] if isinstance(hosts, list) else []


def run_cells(run: Run, *, is_at_work: bool) -> dict[str, object]:
    """One run, by the names of :data:`RUN_FIELDS`."""
    verdict, hosts = run.verdict, _hosts_of(run)
    cells = run.model_dump(mode="json", include={"id", "command", "reason", "owner", "job", "started", "ended"})
    cells |= {"at_work": is_at_work, "hosts": " ".join(hosts), "hosts_in_all": len(hosts)}
    if verdict is not None:
        acted = {result: count for result, count in verdict.sessions.items() if result is not Result.KEPT}
        cells |= {
            "verdict": verdict.verdict.value,
            "note": verdict.note,
            "hosts_done": verdict.hosts.get(Verdict.DONE, 0),
            "sessions_in_all": sum(acted.values()),
            "sessions_done": sum(count for result, count in acted.items() if result.went_well),
        }
    return {**dict.fromkeys(RUN_FIELDS), **cells}


def run_row(run: Run, zone: tzinfo | None, *, is_at_work: bool) -> tuple[object, ...]:
    """One run in a list."""
    names = _hosts_of(run)
    took = words.took(run.started, run.ended)
    result = "at work" if is_at_work else str(run.verdict) if run.verdict else "died"
    if not (run.ended or is_at_work) and run.command in words.RESUMABLE:
        result += "; can be resumed"
    started = f"{run.started.astimezone(zone):%Y-%m-%d %H:%M}"
    return run.id, started, took, run.command, listed(names, most=3), run.owner, result, run.reason


def deed_row(deed: Deed, zone: tzinfo | None) -> tuple[object, ...]:
    """What was done to one session, or on one host."""
    at = f"{deed.at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    user = deed.user or (None if deed.session is None else f"session {deed.session}")
    return at, deed.run, deed.command, deed.by, deed.host, user, deed.outcome, deed.reason


def in_zone(report: Report, zone: tzinfo | None) -> Report:
    """The report with the run's own times in that zone."""
    ended = report.run.ended and report.run.ended.astimezone(zone)
    run = report.run.model_copy(update={"started": report.run.started.astimezone(zone), "ended": ended})
    return report.model_copy(update={"run": run, "last": report.last and report.last.astimezone(zone)})


def sentences(
    report: Report, entries: Sequence[Entry], zone: tzinfo | None, name: str, *, whole: bool = False
) -> Iterator[str]:
    """One line for each event that says something new, and the date where it changes.

    The last word of a host is what the ``report`` says became of it. With ``whole`` each step that was sent has a line,
    and each answer about sessions, otherwise only what no other event tells.
    """
    day, before = "", dict[str, object]()
    last = {entry.host: entry for entry in entries if isinstance(entry.what, Finished | HostStopped)}
    hosts = {host.host: host for host in report.hosts}
    for entry in entries if whole else _telling(entries):
        is_last = last.get(entry.host) is entry and entry.host in hosts
        said = _last_word(hosts[entry.host]) if is_last else _sentence(entry)
        place = "" if isinstance(entry.what, Resumed) else entry.host
        if isinstance(entry.what, Looked | Resumed):  # every look of a wait says the same, and every host of a life
            same = entry.what.life if isinstance(entry.what, Resumed) else said
            if before.get(place) == same:
                continue
            before[place] = same
        at = entry.at.astimezone(zone)
        if said and f"{at:%Y-%m-%d}" != day:
            day = f"{at:%Y-%m-%d}"
            yield f"{day} ({name})"
        if said:
            yield f"{at:%H:%M:%S} {place and f'{words.plain(place)}: '}{words.plain(said)}"


def _telling(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without those that another one tells of, too: steps that were answered, and answers of which each
    session has an event of its own before the next step.
    """
    answered = {entry.what.intent for entry in entries if isinstance(entry.what, StepAnswered)}
    told: dict[str, set[int]] = {}
    left: list[Entry] = []
    for entry in reversed(entries):
        what, sessions = entry.what, told.setdefault(entry.host, set())
        match what:
            case StepSent():
                sessions.clear()
                left += [] if entry.number in answered else [entry]
            case StepAnswered() if what.error is None:
                new = what.model_copy(
                    update={"sessions": tuple(one for one in what.sessions if one.id not in sessions)}
                )
                left.append(entry.model_copy(update={"what": new}))
            case NoticesMarked():
                pass
            case _:
                sessions |= {what.session} if isinstance(what, NoticeSent | SessionSettled) else set()
                left.append(entry)
    return left[::-1]


def _last_word(host: HostReport) -> str:
    return f"finished: {host.outcome}" if host.finished else f"{host.status}: {host.error or host.outcome}"


def _sentence(entry: Entry) -> str:
    what = entry.what
    if isinstance(what, StepSent):
        return f"sent {what.text()}"
    if isinstance(what, StepAnswered) and what.error is None and not what.sessions:
        return ""  # the event that follows tells what came of it
    return what.text()


def entry_cells(entry: Entry) -> dict[str, object]:
    """One event of a run, by the names of :data:`ENTRY_FIELDS`; what it has besides stands in its text."""
    head = entry.model_dump(mode="json", exclude={"what"})
    values: dict[str, object] = {"event": entry.what.event, "phase": entry.what.phase or "", "text": entry.what.text()}
    if isinstance(entry.what, SessionJudged | NoticeSent | SessionSettled):
        values |= {"session": entry.what.session, "user": entry.what.account or entry.what.user}
    if isinstance(entry.what, NoticeSent | SessionSettled):
        values |= {"result": entry.what.result}
    return {**dict.fromkeys(ENTRY_FIELDS), **head, **values}
