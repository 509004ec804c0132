r"""A report as Markdown, for the summary of a CI job: short tables of hosts and people, and what asks for attention.

Rule: no text from a host or a person becomes markup, HTML, a link, a mention, a table's edge or a workflow command: all
that CommonMark or GitHub would read as more than a letter is written as a character reference (``&#42;``), which is
never syntax, and every line begins with text of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mpsbridge.errors import InputError
from mpsbridge.reports import words
from mpsbridge.reports.report import Fate, HostReport, Report
from mpsbridge.runs.verdict import Verdict

MOST_ROWS = 200
"""Rows of a table: a summary is read, and GitHub takes no more than 1 MiB of it."""
_SIGNS = {
    Verdict.DONE: "✓",
    Verdict.PARTLY: "✗",
    Verdict.FAILED: "✗",
    Verdict.UNKNOWN: "?",
    Verdict.REFUSED: "–",
    Verdict.STOPPED: "–",
}
_SYNTAX = re.compile(
    r"(?!(?<=[0-9])[-:.](?=[0-9])|(?<=[0-9a-z])-(?=[0-9A-Za-z])|(?<=\w):(?= )|(?<=[a-z])\.(?= |$))[^\w ,;()/'✓✗–]|_"
)
"""All but letters, digits and what means nothing to any Markdown where it stands; dates and names stay readable."""


def markdown(report: Report) -> str:
    """The whole run; ends in a line end."""
    lines = [f"### mpsbridge {_safe(report.run.command)}: {report.status.value}", ""]
    lines += [_safe(report.summary), ""]
    lines += [f"- {name}: {_safe(value)}" for name, value in words.facts_of(report)]
    lines += _table(("", "host", "outcome", "people", "took"), [_host_row(host) for host in report.hosts])
    people = [(host, person) for host in report.hosts for person in host.people]
    lines += _table(
        ("host", "person", "result", "notices", "why"),
        [
            (host.host, words.person_of(one), words.result_of(one), words.notices_of(one), words.why(one))
            for host, one in people
        ],
    )
    troubles = [f"{words.hosts_in_short(hosts)}: {text}" for text, hosts in words.remarks_of(report).items()]
    troubles += [line for host in report.hosts for line in _lost_steps(host)]
    if troubles:
        lines += ["", "Remarks", "", *(f"- {_safe(line)}" for line in troubles[:MOST_ROWS])]
        lines += _more(len(troubles))
    return "\n".join(lines) + "\n"


def append_summary(path: Path, text: str) -> None:
    """Add to a job's summary (the file named by ``GITHUB_STEP_SUMMARY``). Raises ``InputError`` where it cannot be."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"the summary {path} cannot be written: {error.strerror or error}") from error


def _host_row(host: HostReport) -> tuple[str, ...]:
    took = words.took(host.start, host.end)
    return _SIGNS[host.status], host.host, words.outcome_of(host), words.people_of(host), took


def _lost_steps(host: HostReport) -> Iterable[str]:
    for step in host.steps:
        if step.fate is not Fate.DONE:
            error = f" ({step.error})" if step.error else ""
            yield f"{host.host}: {words.step_of(step)}: {step.fate.value}{error}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    lines = ["", f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    lines += [f"| {' | '.join(map(_safe, row))} |" for row in rows[:MOST_ROWS]]
    return lines + _more(len(rows))


def _more(count: int) -> list[str]:
    return ["", f"{count - MOST_ROWS} more are in the full report."] if count > MOST_ROWS else []


def _safe(text: str) -> str:
    """One line of text that no Markdown takes for anything else."""
    return _SYNTAX.sub(lambda found: f"&#{ord(found.group())};", words.plain(text))
