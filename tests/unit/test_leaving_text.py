"""What leaves the program: whatever hosts and people wrote, nothing obeys it, and programs still read it."""

from __future__ import annotations

import csv
import io
import json
import logging
import sys
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mpsbridge.cli.call import Call, log_to_stderr
from mpsbridge.cli.following import following
from mpsbridge.cli.output import Stream
from mpsbridge.cli.terminal import Terminal
from mpsbridge.clock import SystemClock
from mpsbridge.errors import InputError
from mpsbridge.models.harmless import csv_cell, harmless, json_text
from mpsbridge.models.outcomes import Failed, Failure, Skipped
from mpsbridge.models.sessions import State
from mpsbridge.reports.junit import junit_xml
from mpsbridge.reports.markdown import markdown
from mpsbridge.reports.page import page
from mpsbridge.reports.report import report_json
from mpsbridge.reports.summary import make_report
from mpsbridge.runs.events import Event, HostStopped, SessionJudged, Step, StepSent, StepUnanswered, WentWrong
from mpsbridge.runs.journal import Entry, Run
from mpsbridge.runs.verdict import RunVerdict, Verdict
from mpsbridge.schemas import answers
from mpsbridge.settings import Output, Settings

COMMANDS = [
    "##vso[task.setvariable variable=x]y",
    "##VSO[task.complete]",
    "##[group]x",
    "###[error]x",
    "##teamcity[buildStop comment='x']",
    "::error file=a::b",
    "::Set-Output name=a::b",
    "::stop-commands::x",
    ":::error::x",
    "\x1b[0Ksection_start:1:x\r\x1b[0K",
]
HIDDEN = "\x00\x07\t\n\r\x1b\x7f\x85\x9b\u061c\u115f\u200b\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069"
HIDDEN += "\u3164\ufeff\ud800\udfff\ufe0f\U000e0041\U000e0100"
HOSTILE = st.one_of(
    st.lists(st.sampled_from([*COMMANDS, *HIDDEN, "#", "##", "[", ":", "::", "=1+1", "x", " ", "\\", '"', "|"])).map(
        "".join
    ),
    st.text(st.characters(exclude_categories=()), max_size=12),
)
BREAKS = ["##[", "##vso[", "##teamcity[", "::error", "::set-output", "::stop-commands"]


def assert_closed(text: str) -> None:
    """Nothing in it is obeyed by a terminal or a CI server; line ends are the form's own."""
    for character in text:
        assert character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}, text
        assert character not in "\u115f\u3164", text
    for command in BREAKS:
        assert command not in text.lower(), text
    text.encode("utf-8")


def told(act: Callable[[Terminal], object], monkeypatch: pytest.MonkeyPatch, output: Output, **options: bool) -> str:
    """All that a terminal writes while ``act`` uses it, on both streams."""
    with monkeypatch.context() as patch:
        stream = io.StringIO(newline="")
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        act(Terminal(command="sessions", output=output, **options))
        return stream.getvalue()


def from_everywhere(terminal: Terminal, text: str) -> None:
    """Each way to say a thing to people."""
    terminal.say(text)
    terminal.note(text)
    terminal.warn(text)
    terminal.lines(text)
    terminal.table(("USER", "HOST"), [(text, text)])
    terminal.table(("USER", "HOST"), [(text, text)], to_stderr=True)
    terminal.failures([Failed(host=text, address=text, elapsed_s=0.0, failure=_failure(text)), _skipped(text)])
    terminal.error(InputError(text, hint=text))


def _skipped(text: str) -> Skipped:
    return Skipped(host=text, address=text, elapsed_s=0.0, reason=text)


def _failure(text: str) -> Failure:
    return Failure.of(InputError(text, hint=text))


@given(text=HOSTILE)
@example(text="a ##vso[task.complete] b")
def test_what_people_see_obeys_nobody(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shown = told(lambda terminal: from_everywhere(terminal, text), patch, Output.TABLE)
    assert_closed(shown)
    for line in shown.splitlines():
        assert not (line.lstrip().startswith("::") and line.count("::") > 1)
    assert harmless(harmless(text)) == harmless(text)


@given(text=HOSTILE)
@example(text="\udfff##[group]\x9b")
def test_json_obeys_nobody_and_is_read_as_it_was(text: str) -> None:
    outcome = _skipped(text)
    with pytest.MonkeyPatch.context() as patch:
        document = told(lambda terminal: terminal.document({"said": text, "list": [{text: text}]}), patch, Output.JSON)
        line = told(lambda terminal: terminal.line(answers.line("sessions", outcome)), patch, Output.JSONL)
    assert_closed(document + line)
    assert json.loads(document)["said"] == _paired(text)
    assert json.loads(line)["reason"] == _paired(text)
    assert json.loads(json_text([text], indent=1)) == [_paired(text)]


def _paired(text: str) -> str:
    """Two halves of a surrogate pair beside each other are one character to every reader of JSON."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@given(text=HOSTILE)
def test_csv_obeys_nobody_and_is_no_formula(text: str) -> None:
    record: dict[str, object] = {"host": text, "id": -5, "idle": None}
    with pytest.MonkeyPatch.context() as patch:
        for raw in (False, True):
            written = told(lambda terminal: terminal.csv([record], fields=list(record)), patch, Output.CSV, csv_raw=raw)
            assert_closed(written)
            (row,) = csv.DictReader(io.StringIO(written))
            assert row["host"].removeprefix("" if raw else "'") in {harmless(text), harmless(text).removeprefix("'")}
            assert (row["id"], row["idle"]) == ("-5", "")
            if not raw:
                assert unicodedata.normalize("NFKC", row["host"].lstrip()[:1]) not in {"=", "+", "-", "@"}


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@A1", "\t=1", "\r1", "  =1", "\u00a0=1", "\uff1d1", "\uff0b1"])
def test_a_cell_like_a_formula_is_text_unless_raw(text: str) -> None:
    assert csv_cell(text) == "'" + harmless(text)
    assert csv_cell(text, raw=True) == harmless(text)


def test_words_and_addresses_stay_as_they_are() -> None:
    for text in ("fe80::1", "::1", "[::1]:5986", "a::b", "# 1", "## heading", "[DateTime]::Now", "José", "日本"):
        assert harmless(text) == text
        assert json.loads(json_text(text)) == text
        assert csv_cell(text) == text


@given(text=HOSTILE)
def test_a_log_line_obeys_nobody(text: str) -> None:
    root = logging.getLogger()
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "handlers", [])
        patch.setattr(sys, "stderr", stream)
        log_to_stderr(1)
        root.handlers[0].handle(logging.LogRecord("mpsbridge", logging.INFO, "", 1, "%s", (text,), None))
    assert_closed(stream.getvalue())


@given(text=HOSTILE)
def test_every_form_of_a_report_obeys_nobody(text: str) -> None:
    start = datetime(2026, 11, 25, 12, tzinfo=UTC)
    options: dict[str, Any] = {"hosts": [text]}
    run = Run(
        id="20261125-120000-abcd", started=start, ended=start, owner=text, command="end", pid=1, reason=text, job=text,
        options=options, verdict=RunVerdict(verdict=Verdict.FAILED, note=text),
    )  # fmt: skip
    happened = [
        SessionJudged(session=2, user=text, account=text, state=State.ACTIVE, decision="act", reason=text),
        StepSent(step=Step.MESSAGE, sessions=(2,), notice=text),
        StepUnanswered(step=Step.MESSAGE, intent=2, error=text),
        WentWrong(why=text),
        HostStopped(why=text, error=text, problems=(text,)),
    ]
    entries = [Entry(number=n, run=run.id, at=start, host=text, what=what) for n, what in enumerate(happened, 1)]
    report = make_report(run, entries)
    for write in (markdown, junit_xml, page, report_json):
        assert_closed(write(report))


@given(text=HOSTILE)
def test_events_obey_nobody_and_are_read_as_they_were(text: str) -> None:
    written = io.StringIO()
    event = Event(at=datetime(2026, 11, 25, 12, tzinfo=UTC), run="r", host="ts1", what=WentWrong(why=text))
    call = Call("end", Settings(), Terminal(command="end", output=Output.TABLE, quiet=True), SystemClock())
    with following(call, Stream(written, "the file for --events"), "r", ["ts1"]) as follower:
        follower.event(event)
    assert_closed(written.getvalue())
    assert json.loads(written.getvalue())["text"] == _paired(text)


def test_no_other_file_writes_json_or_csv_for_others() -> None:
    package = Path(__file__).parents[2] / "mpsbridge"
    for path in [*(package / "cli").glob("*.py"), *(package / "reports").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "model_dump_json" not in text, path
        assert "json.dumps(" not in text, path
