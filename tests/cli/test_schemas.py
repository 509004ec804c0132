"""What leaves as JSON: described by schemas, made of what they declare and no more, with the verdict of a call."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from jsonschema import Draft202012Validator, ValidationError
from pydantic import BaseModel
from support.console import Command
from support.contract import check_document, documents, lines
from support.documentation import the_block
from typer.main import get_command_name

from mpsbridge.cli.commands import app
from mpsbridge.cli.docs import page
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models import outcomes, sessions
from mpsbridge.operations.acts import ActValue
from mpsbridge.operations.diagnosis import Check, Diagnosis
from mpsbridge.operations.holds import LeaseValue
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.journal import Run
from mpsbridge.runs.verdict import RunVerdict
from mpsbridge.schemas import acted, acts, answers, base, doctor, history, leases
from mpsbridge.schemas import sessions as schemas
from mpsbridge.schemas import stations as schemas_of_stations
from mpsbridge.schemas.catalogue import DIALECT, NAMES, json_schema
from mpsbridge.schemas.logons import LogonsValue

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WITHOUT_JSON = {"docs", "lab", "demo"}
"""Commands that answer people only."""
HOSTS = [
    {
        "name": "alpha",
        "sessions": [
            {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"},
            {"id": 3, "user": "bob", "state": "disconnected", "logon": "5h"},
        ],
    },
    {"name": "beta", "sessions": [{"id": 5, "user": "dave", "session_name": "console", "logon": "1h"}]},
    {"name": "school", "generation": "2016", "sessions": [], "stations": [{"id": 1, "name": "left"}]},
    {"name": "off", "down": True, "sessions": []},
]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


# --- the schemas ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_schema_of_the_dialect_it_names(mpsbridge: Command, name: str) -> None:
    found = mpsbridge("schema", name)
    schema = json.loads(found.out)
    assert (found.code, found.err, schema) == (0, "", json_schema(name))
    assert schema["$schema"] == DIALECT == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)
    references = {text.partition('"')[0] for text in found.out.split('"$ref": "#/$defs/')[1:]}
    assert references <= set(schema.get("$defs", {}))


def test_every_command_with_json_has_a_schema() -> None:
    commands = {
        get_command_name(entry.name or entry.callback.__name__) for entry in app.registered_commands if entry.callback
    }
    assert commands - WITHOUT_JSON <= set(NAMES)
    assert set(NAMES) - commands == {"events", "plan", "evidence", "error"}


def test_the_names_are_listed_and_another_one_is_refused(mpsbridge: Command) -> None:
    assert mpsbridge("schema").out.splitlines() == list(NAMES)
    assert mpsbridge("schema", "-o", "json").document["names"] == list(NAMES)
    refused = mpsbridge("schema", "nothing")
    assert refused.code == 2
    assert "schema: 'nothing' is not one of sessions, " in refused.err


def test_a_document_with_a_key_more_or_less_is_not_as_its_schema_says(lab: Lab, mpsbridge: Command) -> None:
    good = mpsbridge("sessions", "alpha", "off", "-o", "json").document
    check_document(good)
    for place in ([], ["outcomes", 0], ["outcomes", 0, "value"], ["outcomes", 0, "value", "sessions", 0]):
        for adds in (True, False):
            bad: Any = copy.deepcopy(good)
            part = bad
            for step in place:
                part = part[step]
            if adds:
                part["guard"] = {}
            else:
                part.popitem()
            with pytest.raises(ValidationError):
                check_document(bad)
            if place[:1] == ["outcomes"]:
                with pytest.raises(ValidationError):
                    lines("sessions").validate(bad["outcomes"][0])


def test_the_plan_in_the_pages_is_as_its_schema_says() -> None:
    text = the_block(page("plans"), "toml", "schema")
    plan = json.loads(json.dumps(tomllib.loads(text), default=str))
    documents("plan").validate(plan)
    for spoilt in (
        {"host": ["ts1"]},
        {"notices": {"at": ["15"]}},
        {"policy": {"settle": "soon"}},
        {"waves": {"floor": "a half"}},
        {"waves": {"at_once": -1}},
    ):
        with pytest.raises(ValidationError):
            documents("plan").validate(plan | spoilt)


# --- nothing leaves that is not declared ------------------------------------------------------------------------------


def test_what_is_needed_to_act_stays_inside() -> None:
    guard = sessions.SessionGuard(id=2, user="alice", logon="9:00", state="Active")
    alice = sessions.Session(
        id=2, user="alice", state=sessions.State.ACTIVE, state_text="Active", guard=guard, cut=True
    )
    seen = sessions.Observation(
        sessions=(alice,),
        observed=NOW,
        boot=None,
        lease="a lease's text",
        births=((2, NOW),),
        processes_in=(2,),
        pending_reboot=("updates",),
    )
    look = outcomes.Done[Any](host="ts1", address="ts1", elapsed_s=0.5, value=seen)
    document = answers.document("sessions", [look])
    check_document(document)
    assert set(document["outcomes"][0]) == {"status", "host", "address", "elapsed_s", "value"}
    assert document["outcomes"] == [answers.line("sessions", look)]
    assert "a lease's text" not in json.dumps(document)
    (session,) = document["outcomes"][0]["value"]["sessions"]
    (record,) = answers.records("sessions", look)
    assert record == {"host": "ts1", **session, "status": "done", "failure": None}
    assert set(record) == set(answers.fields("sessions"))
    assert not {"guard", "cut"} & set(record)
    result = sessions.SessionResult(session=alice, result=sessions.Result.ENDED, begun=True)
    value = ActValue(run="r", dry_run=False, sessions=(result,))
    told = outcomes.Done[Any](host="ts1", address="ts1", elapsed_s=0.5, value=value)
    (one,) = answers.line("logoff", told)["value"]["sessions"]
    assert set(one) == {"session", "result", "text"}
    assert one["session"] == session
    assert answers.records("logoff", told) == [{**record, "result": "ended", "text": "", "run": "r"}]
    assert set(answers.fields("logoff")) == {*record, "result", "text", "run"}
    skipped = outcomes.Skipped(host="ts1", address="ts1", elapsed_s=0.0, reason="refused", kind="refused")
    assert set(answers.line("logoff", skipped)) == {"status", "host", "address", "elapsed_s", "reason"}


INSIDE: dict[type[BaseModel], tuple[type[BaseModel], set[str]]] = {
    sessions.Session: (schemas.Session, {"guard", "cut"}),
    sessions.SessionResult: (schemas.SessionResult, {"begun"}),
    sessions.Station: (schemas_of_stations.Station, set()),
    sessions.Stations: (schemas_of_stations.StationsValue, set()),
    sessions.Logons: (LogonsValue, set()),
    ActValue: (acts.ActValue, set()),
    EndValue: (acts.EndValue, set()),
    LeaseValue: (leases.LeaseValue, {"computer"}),
    Check: (doctor.Check, set()),
    Diagnosis: (doctor.DoctorValue, {"raw", "evidence"}),
    Run: (history.Run, set()),
    RunVerdict: (history.RunVerdict, set()),
    outcomes.Failure: (base.Failure, set()),
    outcomes.Failed: (acted.BrokenOff, set()),
    outcomes.Skipped: (base.Skipped, {"kind"}),
    outcomes.Done: (base.Done, set()),
}
"""What the domain knows -> what leaves of it, and what stays inside."""


@pytest.mark.parametrize("domain", INSIDE, ids=lambda domain: domain.__name__)
def test_what_the_domain_learns_anew_is_published_or_kept_on_purpose(domain: type[BaseModel]) -> None:
    published, inside = INSIDE[domain]
    assert set(domain.model_fields) - inside == set(published.model_fields)


def test_a_note_stands_only_where_there_is_one() -> None:
    failure = outcomes.Failure(kind="timeout", message="no answer", may_have_run=False)
    failed = outcomes.Failed(host="ts1", address="ts1", elapsed_s=1.0, failure=failure)
    assert "note" not in answers.line("sessions", failed)
    assert answers.line("sessions", failed.model_copy(update={"note": "asked twice"}))["note"] == "asked twice"


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_a_diagnosis_holds_no_raw_answer_in_any_form(lab: Lab, mpsbridge: Command, form: str) -> None:
    found = mpsbridge("doctor", "alpha", "-o", form)
    outcome = found.document["outcomes"][0] if form == "json" else found.document
    assert set(outcome["value"]) == {"checks"}


def test_no_command_prints_a_value_of_the_domain_as_it_is() -> None:
    for path in (ROOT / "mpsbridge" / "cli").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert ".document({" not in text, path
        assert ".line({" not in text, path
    for path in (ROOT / "mpsbridge" / "models").glob("*.py"):
        assert "exclude=True" not in path.read_text(encoding="utf-8"), path


# --- the verdict of a call --------------------------------------------------------------------------------------------

ALICE = ("--user", "alice")
ACTS: dict[str, tuple[tuple[str, ...], str, int, dict[str, int], dict[str, int]]] = {
    "done": (("logoff", "alpha", *ALICE, "--yes"), "done", 0, {"done": 1}, {"ended": 1}),
    "partly": (
        ("logoff", "alpha", "off", *ALICE, "--yes"),
        "partly",
        1,
        {"done": 1, "failed": 1},
        {"ended": 1},
    ),
    "refused": (("logoff", "alpha", "--all", "--yes"), "refused", 3, {"refused": 1}, {}),
    "a dry run": (("logoff", "alpha", *ALICE, "--dry-run"), "done", 0, {"done": 1}, {"would": 1}),
    "failed": (("message", "off", "--all", "--text", "hello"), "failed", 1, {"failed": 1}, {}),
    "hold": (("hold", "alpha", "--reason", "repair"), "done", 0, {"done": 1}, {}),
    "release": (("release", "alpha", "--yes"), "done", 0, {"done": 1}, {}),
    "logons": (("logons", "alpha", "--set", "drain", "--yes"), "done", 0, {"done": 1}, {}),
    "end": (
        ("end", "alpha", *ALICE, "--no-warning", "--settle", "5s", "--yes"),
        "done",
        0,
        {"done": 1},
        {"ended": 1, "kept": 1},
    ),
    "a refused end": (("end", "alpha", "--all", "--no-warning", "--yes"), "refused", 3, {"refused": 1}, {}),
    "a planned end": (("end", "alpha", *ALICE, "--dry-run"), "done", 0, {"done": 1}, {"kept": 1, "would": 1}),
}


@pytest.mark.parametrize("case", ACTS)
def test_a_call_that_acts_tells_its_verdict(lab: Lab, mpsbridge: Command, case: str) -> None:
    words, verdict, code, hosts, people = ACTS[case]
    found = mpsbridge(*words, "-o", "json")
    assert list(found.document) == ["schema", "command", "outcomes", "verdict", "counts"]
    assert (found.code, found.document["verdict"]) == (code, verdict)
    assert found.document["counts"] == {"hosts": hosts, "sessions": people}


@pytest.mark.parametrize("command", ["sessions", "stations", "logons", "leases", "doctor", "hosts"])
def test_a_call_that_looks_has_outcomes_alone(lab: Lab, mpsbridge: Command, command: str) -> None:
    host = "school" if command == "stations" else "alpha"
    found = mpsbridge(command, host, "-o", "json")
    assert list(found.document) == ["schema", "command", "outcomes"]
    assert (found.code, found.document["command"]) == (0, command)
    line = mpsbridge(command, host, "-o", "jsonl").document
    assert set(line) == set(found.document["outcomes"][0])


@pytest.mark.parametrize("words", [("render", "observe"), ("jea", "DIR"), ("history",)], ids=lambda words: words[0])
def test_commands_without_hosts_print_what_their_schema_says(
    mpsbridge: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    found = mpsbridge(*(str(tmp_path / "module") if word == "DIR" else word for word in words), "-o", "json")
    assert (found.code, found.document["command"]) == (0, words[0])


# --- saved tables -----------------------------------------------------------------------------------------------------

TABLE = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\n"
ROW = " alice                 rdp-tcp#1           2  Active      1:23  11/25/2026 9:05 AM\n"
SAVED: dict[str, tuple[str, int, int, tuple[str, int | None] | None]] = {
    "rows": (TABLE + ROW, 0, 1, None),
    "nobody": ("No User exists for *\n", 0, 0, ("nobody", None)),
    "denied": ("Error [5]:Access is denied.\n", 1, 0, ("denied", 5)),
    "out of reach": ("Error 0x000006BA enumerating sessionnames\n", 1, 0, ("unreachable", 1722)),
    "another error": ("Error [1151]:Some other thing\n", 1, 0, ("other", 1151)),
    "a heading alone": (TABLE, 1, 0, ("header-only", None)),
}


@pytest.mark.parametrize("case", SAVED)
def test_a_saved_text_without_rows_says_why_and_is_an_answer_only_where_nobody_is_on(
    mpsbridge: Command, tmp_path: Path, case: str
) -> None:
    text, code, rows, trouble = SAVED[case]
    saved = tmp_path / "saved.txt"
    saved.write_text(text, encoding="utf-8")
    found = mpsbridge("parse", str(saved), "-o", "json")
    said = found.document["trouble"]
    assert (found.code, len(found.document["rows"])) == (code, rows)
    assert (said and (said["kind"], said["number"])) == trouble
    assert said is None or said["text"]
    for form in ("table", "jsonl", "csv"):
        assert mpsbridge("parse", str(saved), "-o", form).code == code


# --- start-up ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "loaded"),
    [("table", set()), ("json", {"base", "published", "answers", "sessions"})],
)
def test_a_call_loads_no_schema_that_it_does_not_print(lab: Lab, form: str, loaded: set[str]) -> None:
    script = (
        "import sys\nfrom mpsbridge.cli.main import run\n"
        f"code = run(['sessions', 'alpha', '-o', {form!r}])\n"
        "print(code, *(name for name in sys.modules if name.startswith('mpsbridge.schemas.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, *names = done.stderr.split()
    assert (code, {name.rpartition(".")[2] for name in names}) == ("0", loaded)


def test_the_document_of_every_command_that_acts_has_a_verdict() -> None:
    commands = [entry.callback for entry in app.registered_commands]
    acting = {command.__name__ for command in commands if command is not None and getattr(command, "acts", False)}
    assert acting | {"logons"} == answers.ACTING
