"""A report as JUnit XML, for the test page of a CI server: a suite for each host, a case for it, each person and step,
and a suite for the run with one case, its verdict.

Rules: what failed or was refused is a failure, what nobody knows an error, what was kept or not touched is skipped, so
the page is red where the run's exit code is not 0; a case has the same name every night (host and user, never an id),
so that a server can tell its history; the XML is well formed whatever a host or a person wrote.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from mpsbridge.models.sessions import Result
from mpsbridge.reports import words
from mpsbridge.reports.report import Fate, HostReport, Person, Report, StepReport
from mpsbridge.runs.verdict import Verdict

Mark = Error | Failure | Skipped | None
_SKIPPED = {Result.KEPT, Result.WOULD, None}
_FAILED = {Result.CHANGED, Result.EXPIRED, Result.REFUSED}


def junit_xml(report: Report) -> str:
    """The whole run as one document."""
    name = words.plain(f"mpsbridge {report.run.command}")
    document = JUnitXml(name)
    for host in report.hosts:
        document.add_testsuite(_suite(report, host))
    document.add_testsuite(_of_run(report, name))
    document.update_statistics()  # type: ignore[no-untyped-call] # the library's own types have gaps
    written = io.BytesIO()
    document.write(written)
    return written.getvalue().decode("utf-8") + "\n"


def _of_run(report: Report, name: str) -> TestSuite:
    """The suite of the whole run; no host has a name with a blank in it."""
    suite, case = TestSuite(name), TestCase("run", name)
    suite.timestamp = report.run.started.replace(microsecond=0).isoformat()
    if report.status is Verdict.UNKNOWN:
        case.result = [Error(words.plain(report.summary), report.status.value)]
    elif report.is_interrupted or report.status is not Verdict.DONE:
        case.result = [Failure(words.plain(report.summary), report.status.value)]
    suite.add_testcase(case)
    return suite


def _suite(report: Report, host: HostReport) -> TestSuite:
    suite = TestSuite(words.plain(host.host))
    suite.hostname = words.plain(host.host)
    suite.timestamp = (host.start or report.run.started).replace(microsecond=0).isoformat()
    for name, value in words.facts_of(report):
        suite.add_property(name, value)
    for problem in host.problems:
        suite.add_property("remark", words.plain(problem))
    span_s = (host.end - host.start).total_seconds() if host.start and host.end else 0.0
    waited_s = max(0.0, span_s - sum(step.took_s or 0.0 for step in host.steps))
    suite.add_testcases(
        [
            _case(host, "host", waited_s, _of_host(host)),
            *(
                _case(host, name, 0.0, _of_person(person))
                for name, person in zip(
                    _numbered(words.plain(one.name) for one in host.people), host.people, strict=True
                )
            ),
            *(
                _case(host, f"step {name}", step.took_s or 0.0, _of_step(step, host.status))
                for name, step in zip(
                    _numbered(words.plain(f"{one.step} {one.notice or ''}".rstrip()) for one in host.steps),
                    host.steps,
                    strict=True,
                )
            ),
        ]
    )
    return suite


def _numbered(names: Iterable[str]) -> list[str]:
    """The names, those that come again with their number: ``alice``, ``alice 2``."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return numbered


def _case(host: HostReport, name: str, took_s: float, verdict: Mark) -> TestCase:
    case = TestCase(name, words.plain(host.host), took_s)
    if verdict is not None:
        case.result = [verdict]
    return case


def _of_host(host: HostReport) -> Mark:
    text = words.outcome_of(host)
    if host.status is Verdict.UNKNOWN:
        return Error(text, host.status.value)
    return None if host.status is Verdict.DONE else Failure(text, host.status.value)


def _of_person(person: Person) -> Mark:
    result, notices = words.result_of(person), words.notices_of(person)
    text = "; ".join(each for each in (result, words.why(person), f"notices: {notices}" if notices else "") if each)
    if person.result is Result.UNKNOWN:
        return Error(text, result)
    if person.result in _FAILED:
        return Failure(text, result)
    return Skipped(text, result) if person.result in _SKIPPED else None


def _of_step(step: StepReport, host: Verdict) -> Mark:
    if step.fate is not Fate.DONE and host is Verdict.DONE:  # a run that went on has looked, and done what was left
        return Skipped("no answer came; the run went on", step.fate.value)
    if step.fate is Fate.UNKNOWN:
        return Error(words.plain(step.error or "sent; what became of it is unknown"), "unknown")
    return Failure(words.plain(step.error or "it did not run"), "not-run") if step.fate is Fate.NOT_RUN else None
