"""Reports as JUnit XML, as Markdown and as a page: what they say, and that no text in them is ever more than text."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from junitparser import Error, Failure, JUnitXml, Skipped
from markdown_it import MarkdownIt
from support.past_runs import eventful_run
from support.wild_records import WILD, records

from mpsbridge.errors import InputError, Stopped
from mpsbridge.reports import words
from mpsbridge.reports.junit import junit_xml
from mpsbridge.reports.markdown import append_summary, markdown
from mpsbridge.reports.page import page
from mpsbridge.reports.report import Report
from mpsbridge.reports.summary import left_on_hosts, make_report
from mpsbridge.reports.timeline import LEAST, MOST_LANES, timeline
from mpsbridge.runs.events import Finished, HostStopped, LeaseReleased, LeaseTaken, Step, StepAnswered, StepSent
from mpsbridge.runs.journal import Entry, Run
from mpsbridge.runs.verdict import RunVerdict, Verdict

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@cache
def eventful() -> Report:
    with TemporaryDirectory() as folder:
        return make_report(*eventful_run(Path(folder)).told)


# JUnit XML.


def verdicts(xml: str, suite: str) -> dict[str, str]:
    kinds = {Error: "error", Failure: "failure", Skipped: "skipped"}
    (found,) = [each for each in JUnitXml.fromstring(xml.encode()) if each.name == suite]
    return {case.name: next((kinds[type(each)] for each in case.result), "passed") for case in found}


def test_a_suite_for_each_host_with_a_case_for_it_each_person_and_each_step() -> None:
    xml = junit_xml(eventful())
    found = verdicts(xml, "school-2")
    assert list(found)[:4] == ["host", "frank", "grace", "heidi"]
    assert [found[name] for name in list(found)[:4]] == ["error", "error", "passed", "skipped"]
    assert found["step logons-set"] == "passed"
    assert verdicts(xml, "school-3")["step logoff"] == "error"
    assert verdicts(xml, "school-4") == {"host": "failure"}
    assert verdicts(xml, "school-5") == {"host": "failure"}


def test_junit_counts_and_seconds_add_up() -> None:
    document = JUnitXml.fromstring(junit_xml(eventful()).encode())
    suites = list(document)
    assert document.errors == sum(suite.errors for suite in suites) == 7
    assert document.failures == sum(suite.failures for suite in suites) == 2
    assert suites[0].time == pytest.approx(20.5 * 60)
    assert suites[0].timestamp == "2026-11-25T12:00:00+01:00"


@given(records())
def test_junit_is_well_formed_whatever_stands_in_it(record: tuple[Run, list[Entry]]) -> None:
    told = make_report(*record)
    document = JUnitXml.fromstring(junit_xml(told).encode())
    hosts = [words.plain(host.host) for host in told.hosts]
    assert [suite.name for suite in document] == [*hosts, words.plain(f"mpsbridge {told.run.command}")]
    cases = [case for suite in document for case in suite]
    assert len(cases) == 1 + sum(1 + len(host.people) + len(host.steps) for host in told.hosts)


# Markdown.


def cells(text: str) -> list[list[str]]:
    """The rows of all tables as a reader sees them."""
    rows: list[list[str]] = []
    for token in RENDERER.parse(text):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and token.level >= 4 and rows and token.children is not None:
            rows[-1].append("".join(child.content for child in token.children))
    return rows


def test_markdown_tells_hosts_people_and_troubles() -> None:
    text = markdown(eventful())
    rows = cells(text)
    assert ["✓", "school-1", "back", "3 ended, 2 gone", "20m30s"] in [row for row in rows if len(row) == 5]
    assert ["school-2", "heidi (session 4)", "kept", "", "an administrator"] in rows
    assert "- school-3: logoff: sessions 2 3: unknown (the link broke)" in text


def squeezed(text: str) -> str:
    return " ".join(text.split())


@given(records())
def test_markdown_is_nothing_but_text_whatever_stands_in_it(record: tuple[Run, list[Entry]]) -> None:
    told = make_report(*record)
    text = markdown(told)
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    for token in RENDERER.parse(text):
        assert token.type.removesuffix("_open").removesuffix("_close") in {
            *("heading", "inline", "bullet_list", "list_item", "paragraph"),
            *("table", "thead", "tbody", "tr", "th", "td"),
        }
        assert {child.type for child in token.children or ()} <= {"text", "text_special"}
    hosts = [row for row in cells(text) if len(row) == 5][1 : len(told.hosts) + 1]
    assert [squeezed(row[1]) for row in hosts] == [squeezed(words.plain(host.host)) for host in told.hosts]


@given(WILD)
def test_no_text_links_or_mentions(text: str) -> None:
    told = eventful()
    told = told.model_copy(update={"run": told.run.model_copy(update={"reason": text})})
    (line,) = [line for line in markdown(told).splitlines() if line.startswith("- reason")] or ["- reason: "]
    assert not re.search(r"[@#<>|`*_\[\]\\~]|://|www\.|GH-|::", re.sub(r"&#\d+;", "", line))


def test_a_long_table_is_cut_and_says_so() -> None:
    told = eventful()
    many = told.model_copy(update={"hosts": told.hosts[:1] * 250})
    text = markdown(many)
    assert "50 more are in the full report." in text
    assert len(text) < 200_000


def test_a_summary_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    append_summary(path, "a\n")
    append_summary(path, "b ✓\n")
    assert path.read_text(encoding="utf-8") == "a\nb ✓\n"
    with pytest.raises(InputError, match="cannot be written"):
        append_summary(tmp_path, "c")


# The page.


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


ATTRIBUTES = {
    *("content", "name", "http-equiv", "lang", "charset", "class", "id", "href", "hidden", "open", "data-host"),
    *("data-calm", "data-name", "type", "placeholder", "aria-label", "role"),
    *("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height", "text-anchor"),
}


def test_the_page_holds_what_the_report_says() -> None:
    texts = Page(page(eventful())).texts
    for expected in ("school-1", "alice (session 2)", "left by themselves", "the link broke", "logons-set: drain"):
        assert expected in texts


def test_a_name_of_any_direction_leaves_the_number_beside_it_in_its_place() -> None:
    """A name that is read from the right would draw the number of its session to somebody else's name."""
    assert "<td><bdi>frank</bdi> (session 2)</td>" in page(eventful())


def test_w02_the_page_says_shown_and_never_read() -> None:
    text = page(eventful())
    assert "15m shown 12:00:00" in text
    assert not re.search(
        r"15m read|notice read|was read\b(?! it)", text.replace("nobody knows whether it was read", "")
    )


@given(records())
def test_no_text_becomes_markup_on_the_page(record: tuple[Run, list[Entry]]) -> None:
    told = make_report(*record)
    found = Page(page(told))
    assert [found.tags.count(tag) for tag in ("html", "script", "style", "img", "link", "iframe")] == [1, 1, 1, 0, 0, 0]
    assert {name for _, name, _ in found.attributes} <= ATTRIBUTES
    assert all(re.fullmatch(r"#h\d+", value) for _, name, value in found.attributes if name == "href")
    assert all(re.fullmatch(r"[a-z -]*", value) for _, name, value in found.attributes if name == "class")
    headings = [words.plain(host.host) for host in told.hosts]
    assert found.tags.count("section") == len(headings)
    assert not set(headings) - {*found.texts, ""}


def test_the_page_needs_nothing_else() -> None:
    text = page(eventful())
    assert not re.search(r"https?://|url\(|@import|\bsrc=|<link|srcset|javascript:", text)
    assert "default-src &#39;none&#39;" in text


# The timeline.


@given(records())
def test_everything_stands_inside_the_picture(record: tuple[Run, list[Entry]]) -> None:
    for host in make_report(*record).hosts:
        line = timeline(host)
        if line is None:
            assert host.start is None
            continue
        for band in (*line.phases, *line.closed, *line.away, *(lane.band for lane in line.lanes)):
            assert 0 <= band.x < band.x + band.width <= 100.01
            assert band.width >= LEAST
        assert all(0 <= dot.x <= 100 for lane in line.lanes for dot in lane.dots)
        assert 0 < len(line.ticks) <= 7 or host.end == host.start


def test_a_wait_looks_as_long_as_it_was() -> None:
    line = timeline(eventful().hosts[0])
    assert line is not None
    warn = next(band for band in line.phases if band.kind == "warn")
    assert warn.width == pytest.approx(100 * 15 / 20.5, abs=0.01)
    assert [tick.text for tick in line.ticks] == ["12:00", "12:05", "12:10", "12:15", "12:20"]
    assert [dot.x for dot in line.lanes[0].dots] == pytest.approx([0, 1000 / 20.5, 1400 / 20.5], abs=0.01)
    (away,) = line.away
    assert away.title == "away, 12:15:00 to 12:18:30 (3m30s)"


def test_who_does_not_fit_on_the_picture_is_counted() -> None:
    host = eventful().hosts[0]
    line = timeline(host.model_copy(update={"people": host.people * 20}))
    assert line is not None
    assert (len(line.lanes), line.more) == (MOST_LANES, 100 - MOST_LANES)


# What is the same of many hosts, and the same every night.


def test_a_remark_that_hosts_share_is_said_once_with_the_hosts() -> None:
    told, shared = eventful(), "drain does not keep everybody out"
    hosts = tuple(
        host.model_copy(update={"host": f"ts{number}", "problems": (shared, f"disk {number} is full")})
        for number, host in enumerate(told.hosts[:1] * 12)
    )
    told = told.model_copy(update={"hosts": hosts})
    text = html.unescape(markdown(told))
    assert text.count(shared) == 1
    assert f"- ts0, ts1, ts2, ts3, ts4, ts5, ts6, ts7 and 4 more: {shared}\n" in text
    assert "- ts3: disk 3 is full\n" in text
    drawn = page(told)
    assert drawn.count(shared) == 1
    assert drawn.count("disk 3 is full") == 1


def test_a_run_that_was_interrupted_when_all_was_done_is_red_as_its_exit_code_is() -> None:
    start = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    verdict = RunVerdict.of([Verdict.DONE], interrupted=True)
    run = Run(
        id="r-1", command="end", reason="", owner="root@box", pid=1, job=None, options={"hosts": ["ts1"]},
        started=start, ended=start, verdict=verdict,
    )  # fmt: skip
    told = make_report(run, [Entry(number=1, run="r-1", host="ts1", at=start, what=Finished(outcome="done"))])
    assert (verdict.exit_code, told.status) == (130, Verdict.DONE)
    host, whole = JUnitXml.fromstring(junit_xml(told).encode())
    assert (host.failures, whole.failures) == (0, 1)
    for form in (junit_xml(told), markdown(told), page(told)):
        assert "It was interrupted when everything was done." in form
    calm = told.model_copy(update={"run": run.model_copy(update={"verdict": RunVerdict.of([Verdict.DONE])})})
    assert JUnitXml.fromstring(junit_xml(calm).encode()).failures == 0


def test_junit_names_are_the_same_every_night() -> None:
    """A server tells a test's history by its names: so they hold neither an id of a session nor one of a run."""
    told = eventful()
    later = told.model_copy(
        update={
            "run": told.run.model_copy(update={"id": "20261126-110000-beef"}),
            "hosts": tuple(
                host.model_copy(
                    update={
                        "people": tuple(one.model_copy(update={"id": one.id + 40, "born": None}) for one in host.people)
                    }
                )
                for host in told.hosts
            ),
        }
    )

    def names(report: Report) -> list[tuple[str, ...]]:
        document = JUnitXml.fromstring(junit_xml(report).encode())
        cases = [(suite.name, case.classname, case.name) for suite in document for case in suite]
        return [(document.name,), *cases]

    assert names(later) == names(told)


def test_a_run_that_was_stopped_and_left_a_host_held_does_not_say_that_all_was_given_back() -> None:
    start = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    run = Run(
        id="r-1", command="end", reason="", owner="root@box", pid=1, job=None, options={}, started=start,
        verdict=RunVerdict(verdict=Verdict.STOPPED, is_interrupted=True),
    )  # fmt: skip
    lease = StepSent(step=Step.LEASE)
    what = [
        lease,
        StepAnswered(step=Step.LEASE, intent=1),
        LeaseTaken(expires=start),
        HostStopped(why="stopped", error=Stopped.kind),
    ]
    entries = [Entry(number=n, run="r-1", at=start, host="ts1", what=each) for n, each in enumerate(what, 1)]
    assert make_report(run, entries).summary == "It was broken off, and not everything was given back: ts1."
    given_back = Entry(number=9, run="r-1", at=start, host="ts1", what=LeaseReleased())
    told = make_report(run, [*entries[:3], given_back, entries[3]])
    assert told.summary == "It was broken off, and everything was given back."
    assert left_on_hosts(told) == "nothing is held"
    assert left_on_hosts(make_report(run, entries)) == "still held: ts1"
    assert left_on_hosts(eventful()) == "told to go down: school-1, nothing is held"
