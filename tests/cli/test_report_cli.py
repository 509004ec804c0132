"""``history`` for programs and ``report``, from the command line, on the record of a whole run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from junitparser import JUnitXml
from support.contract import check
from support.past_runs import RUN, eventful_run

from mpsbridge.cli.main import run
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.reports.report import Report
from mpsbridge.runs.journal import Journal

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return eventful_run(tmp_path).path


@pytest.fixture
def mpsbridge(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: object) -> tuple[int, str, str]:
        typed = [str(word) for word in words]
        code = run(typed)
        printed = capsys.readouterr()
        check(typed, printed.out)
        return code, printed.out, printed.err

    return call


def test_history_for_programs(mpsbridge: Command, journal: Path) -> None:
    document = json.loads(mpsbridge("history", "--journal", journal, "-o", "json")[1])
    assert (document["schema"], document["command"]) == ("mpsbridge/1", "history")
    assert [each["id"] for each in document["runs"]] == [RUN]
    document = json.loads(mpsbridge("history", RUN, "--journal", journal, "-o", "json")[1])
    numbers = [entry["number"] for entry in document["entries"]]
    assert numbers == sorted(numbers)
    lines = mpsbridge("history", RUN, "--journal", journal, "-o", "jsonl")[1].splitlines()
    assert [json.loads(line)["number"] for line in lines] == numbers
    rows = list(csv.DictReader(io.StringIO(mpsbridge("history", RUN, "--journal", journal, "-o", "csv")[1])))
    assert rows[0]["phase"] == "observe"
    assert {"session": "2", "user": "alice", "result": "ended", "text": "session 2 ended: alice"}.items() <= next(
        row for row in rows if row["event"] == "settled" and row["user"] == "alice"
    ).items()
    assert not [cell for row in rows for cell in row.values() if cell and cell[0] in "{["]
    rows = list(csv.DictReader(io.StringIO(mpsbridge("history", "--journal", journal, "-o", "csv")[1])))
    assert (rows[0]["hosts"], rows[0]["verdict"]) == ("school-1 school-2 school-3 school-4 school-5", "unknown")
    assert [rows[0][name] for name in ("hosts_in_all", "hosts_done", "sessions_in_all", "sessions_done")] == [
        "5",
        "1",
        "9",
        "6",
    ]
    assert not [cell for cell in rows[0].values() if cell and cell[0] in "{["]
    (line,) = mpsbridge("history", "--journal", journal, "-o", "jsonl")[1].splitlines()
    assert json.loads(line)["reason"] == "security updates"


def test_without_a_run_the_newest_that_ended_sessions_is_reported(mpsbridge: Command, journal: Path) -> None:
    """A colleague's hold came after the night's run, and was all that 'report' told of."""
    words = ("report", "--format", "json", "--journal", journal)
    assert mpsbridge(*words)[2] == ""
    with Journal(journal) as record:
        for run_id, command in (("20991231-120000-beef", "hold"), ("20991231-120001-beef", "message")):
            record.begin(run_id, command=command, reason="exam", options={"hosts": ["ts1"]})
    code, out, err = mpsbridge(*words)
    assert (code, json.loads(out)["run"]["id"]) == (0, RUN)
    assert err == f"run {RUN} (end) is reported; 2 newer runs ended no session (hold, message)\n"
    assert json.loads(mpsbridge("report", "20991231-120000", *words[1:])[1])["run"]["command"] == "hold"


def test_where_no_run_ended_sessions_the_newest_is_reported(mpsbridge: Command, tmp_path: Path) -> None:
    with Journal(tmp_path / "own.sqlite") as record:
        record.begin("20991231-120000-beef", command="hold", reason="exam", options={"hosts": ["ts1"]})
    code, out, err = mpsbridge("report", "--format", "json", "--journal", tmp_path / "own.sqlite")
    assert (code, json.loads(out)["run"]["command"], err) == (0, "hold", "")


def test_no_runs_and_an_unknown_run(mpsbridge: Command, tmp_path: Path) -> None:
    empty = tmp_path / "empty.sqlite"
    Journal(empty).close()
    assert mpsbridge("history", "--journal", empty)[:2] == (0, f"no run in {empty}\n")
    code, _, err = mpsbridge("report", "1999", "--journal", empty)
    assert code == 2
    assert "no run '1999'" in err


@pytest.mark.parametrize("exists", [True, False])
def test_where_nothing_was_done_yet_nothing_is_wrong(
    mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    path = tmp_path / "of-a-new-machine.sqlite"
    monkeypatch.setenv("MPSBRIDGE_JOURNAL", str(path))
    if exists:
        Journal(path).close()
    lacks = "" if exists else ": the first call that acts makes it"
    assert mpsbridge("history")[:2] == (0, f"no run in {path}{lacks}\n")
    assert mpsbridge("resume", "--yes")[:2] == (0, "nothing to do: no run is open\n")
    code, out, _ = mpsbridge("resume", "--yes", "-o", "json")
    assert (code, json.loads(out)["verdict"]) == (0, "done")
    for form in ("text", "markdown", "html"):
        code, out, _ = mpsbridge("report", "--format", form)
        assert (code, "no run in the record" in out) == (0, True)
    code, out, _ = mpsbridge("report", "--format", "junit")
    assert (code, len(list(JUnitXml.fromstring(out.encode())))) == (0, 0)
    assert mpsbridge("report", "-o", "json")[0] == 2
    assert path.exists() == exists


@pytest.mark.parametrize("words", [["history"], ["report"], ["report", "1999"], ["resume", "--yes"], ["history", "1"]])
def test_a_journal_that_was_mistyped_is_named_and_not_made(
    mpsbridge: Command, tmp_path: Path, words: list[str]
) -> None:
    path = tmp_path / "typo.sqlite"
    code, _, err = mpsbridge(*words, "--journal", path)
    assert (code, path.exists()) == (2, False)
    assert f"--journal: {path} does not exist" in err


def test_a_report_in_each_form(mpsbridge: Command, journal: Path) -> None:
    def form(name: str) -> str:
        code, out, err = mpsbridge("report", RUN, "--format", name, "--journal", journal)
        assert (code, err) == (0, "")
        return out

    assert form("html").startswith("<!doctype html>")
    assert form("html").endswith("</html>\n")
    assert Report.model_validate_json(form("json")).run.id == RUN
    assert len(list(JUnitXml.fromstring(form("junit").encode()))) == 6
    assert form("markdown").startswith("### mpsbridge end: unknown\n")


def test_the_newest_run_and_markdown_are_what_a_bare_report_means(
    mpsbridge: Command, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_JOURNAL", str(journal))
    assert mpsbridge("report")[1] == mpsbridge("report", RUN, "--format", "markdown")[1]
    assert mpsbridge("report", "-o", "json")[1] == mpsbridge("report", "--format", "json")[1]


def test_on_a_terminal_a_report_is_text_for_a_person(
    mpsbridge: Command, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpsbridge.cli.output.Stream.isatty", lambda _self: True)
    text = mpsbridge("report", "--journal", journal)[1]
    assert text == mpsbridge("report", RUN, "--format", "text", "--journal", journal)[1]
    assert "&#" not in text
    assert RUN in text
    assert "security updates" in text
    assert all(f"\nschool-{number}: " in text for number in (1, 2, 3))


def test_forms_that_do_not_exist_or_do_not_fit(mpsbridge: Command, journal: Path) -> None:
    code, _, err = mpsbridge("report", "--format", "pdf", "--journal", journal)
    assert code == 2
    assert "'pdf' is not one of html, json, junit, markdown, text" in err
    assert mpsbridge("report", "--format", "html", "-o", "json", "--journal", journal)[0] == 2
    assert mpsbridge("report", "-o", "csv", "--journal", journal)[0] == 2


def test_the_schema_is_printed_without_a_journal(
    mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "none.sqlite"
    monkeypatch.setenv("MPSBRIDGE_JOURNAL", str(missing))
    code, out, _ = mpsbridge("schema", "report")
    assert code == 0
    assert json.loads(out)["properties"]["schema"]["const"] == "mpsbridge-report/1"
    assert not missing.exists()


def test_one_act_over_winrm_is_a_run_that_can_be_asked(
    mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [{"id": 2, "user": "alice", "logon": "1h"}, {"id": 3, "user": "bob", "logon": "1h"}]
    with Lab(build_world({"hosts": [{"name": "alpha", "sessions": sessions}]}), auth="ntlm") as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        monkeypatch.setenv("MPSBRIDGE_JOURNAL", str(tmp_path / "journal.sqlite"))
        assert mpsbridge("logoff", "alpha", "--user", "alice", "--yes")[0] == 0
    told = Report.model_validate_json(mpsbridge("report", "--format", "json")[1])
    (host,) = told.hosts
    assert (told.run.command, told.status.value, told.open) == ("logoff", "done", False)
    assert [(person.name, person.result and person.result.value) for person in host.people] == [
        ("ALPHA\\alice", "ended")
    ]


def test_a_report_leaves_the_record_as_it_was(mpsbridge: Command, journal: Path) -> None:
    before = mpsbridge("history", RUN, "--journal", journal, "-o", "json")[1]
    mpsbridge("report", "--format", "html", "--journal", journal)
    assert mpsbridge("history", RUN, "--journal", journal, "-o", "json")[1] == before
