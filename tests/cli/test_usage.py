"""Calls and values that cannot be understood: one sentence that names the word at fault, and nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.console import Command

from mpsbridge.cli import synonyms
from mpsbridge.cli.commands import app
from mpsbridge.cli.main import run
from mpsbridge.cli.terminal import Terminal
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.version import __version__

FOREIGN = re.compile(
    r"Input should|should be a valid|Value error|unable to parse|pydantic|validation error|Invalid value|Traceback",
    re.IGNORECASE,
)
"""Words of the libraries that read arguments and values."""
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined] # a group, though typed as a command
VALUED = ("port", "timeout", "deadline", "concurrency", "auth", "output", "executor", "spn", "configuration")
FLAGS = ("no_tls", "insecure_tls", "insecure_basic", "quiet", "verbose", "dry_run", "no_color", "csv_raw")


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    hosts = [{"name": "ts1", "sessions": [{"id": 2, "user": "alice"}, {"id": 3, "user": "bob"}]}]
    with Lab(build_world({"hosts": hosts}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("sesions ts1", "mpsbridge: there is no command 'sesions'; did you mean sessions?"),
        ("bogus", "mpsbridge: there is no command 'bogus'"),
        ("sessions", "mpsbridge sessions: HOST is missing"),
        ("hold ts1", "mpsbridge hold: --reason is missing"),
        ("sessions ts1 --usr bob", "mpsbridge sessions: there is no option --usr; did you mean --user?"),
        ("sessions ts1 --watsh 5s", "mpsbridge sessions: there is no option --watsh; did you mean --watch?"),
        ("sessions ts1 --zzz", "mpsbridge sessions: there is no option --zzz"),
        ("sessions ts1 --user", "mpsbridge sessions: --user needs a value\n  Try 'mpsbridge sessions --help'."),
        ("sessions ts1 --verbose=3", "mpsbridge sessions: --verbose does not take a value"),
        ("history a b", "mpsbridge history: 'b' is more than the command takes"),
        ("sessions ts1 --session 2-4", "mpsbridge sessions: --session: '2-4' is not the id of a session"),
        ("logoff ts1 --session x --yes", "mpsbridge logoff: --session: 'x' is not the id of a session"),
        ("sessions ts1 --port x", "mpsbridge sessions: --port: 'x' is not a whole number"),
        ("sessions ts1 --port 0", "mpsbridge sessions: --port: '0' is not possible, the least is 1"),
        ("sessions ts1 -o jsn", "--output: 'jsn' is not one of table, json, jsonl, csv; did you mean json?"),
        ("end ts1 --all --then restrt", "--then: 'restrt' is not one of nothing, restart, shutdown, console-mode"),
        ("end ts1 --all --keep-running a/b", "mpsbridge end: --keep-running: 'a/b' is not a program name"),
        (f"end ts1 --all --sender {'x' * 61}", "mpsbridge end: --sender: it is longer than 60 characters"),
        (f"message ts1 --all --text {'x' * 256}", "mpsbridge message: --text: the text"),
        ("end ts1 --all --host-deadline 0s --no-warning", "--host-deadline: '0s' is not possible, the least is 1s"),
        ("render look -o csv", "--output: 'render' does not answer as csv, only as table or json"),
        ("lab -o json", "--output: 'lab' does not answer as json, only as table"),
        ("sessions ts1 --timeout 0s", "mpsbridge sessions: --timeout: '0s' is not possible, the least is 1s"),
        ("logons ts1 --set drian", "did you mean drain?"),
        ("render logoff --params {", "mpsbridge render: --params: it is not JSON"),
        ('render observe --params {"x":1}', "mpsbridge render: --params: x: there is no such key"),
        ("lab --port 99999", "mpsbridge lab: --port: '99999' is not a port: 0 to 65535"),
        ("sessions ts1 --spn x", "mpsbridge sessions: --spn: it is not the name of a service; write host/NAME"),
    ],
)
def test_one_sentence_names_the_word_at_fault(mpsbridge: Command, lab: Lab, words: str, sentence: str) -> None:
    found = mpsbridge(*words.split())
    assert (found.code, lab.requests) == (2, [])
    assert sentence in found.err
    assert not FOREIGN.search(found.err)


@pytest.mark.parametrize("table", [synonyms.COMMANDS, synonyms.OPTIONS])
def test_a_word_from_elsewhere_is_answered_with_a_call_that_exists(table: dict[str, str]) -> None:
    options = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    for word, hint in table.items():
        assert word not in COMMANDS
        assert hint[0].isupper()
        assert hint.endswith(".")
        for name, words in re.findall(r"'mpsbridge (\w+)([^']*)", hint):
            known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", words)) <= known
        assert set(re.findall(r"--[a-z-]+", hint)) <= options


@pytest.mark.parametrize("word", sorted(synonyms.COMMANDS))
def test_no_act_is_suggested_for_a_word_that_is_not_one(mpsbridge: Command, word: str) -> None:
    found = mpsbridge(word, "ts1")
    assert (found.code, found.out) == (2, "")
    assert found.err == f"mpsbridge: there is no command {word!r}\n  {synonyms.COMMANDS[word]}\n"


@pytest.mark.parametrize("word", ["rest", "rests", "lend", "old", "ends", "prelease", "present", "restore", "remove"])
def test_what_only_looks_like_an_act_is_not_taken_for_it(mpsbridge: Command, word: str) -> None:
    assert "did you mean" not in mpsbridge(word).err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("sessions ts1 --password x", "MPSBRIDGE_PASSWORD_FILE"),
        ("sessions ts1 --password-file x", "MPSBRIDGE_PASSWORD_FILE"),
        ("sessions ts1 --json", "--output json"),
        ("sessions ts1 --format json", "--output table|json|jsonl|csv"),
        ("logoff ts1 --all --force", "--yes"),
        ("end ts1 --all --at 22:00", "cron"),
        ("end ts1 --all --reboot", "--then restart"),
        ("message ts1 --all --text x --sender IT", "MPSBRIDGE_SENDER"),
        *((f"sessions ts1 --{name} x", "") for name in ("wide", "grep", "columns", "loud")),
    ],
)
def test_an_option_from_elsewhere_is_answered_with_what_helps(
    mpsbridge: Command, lab: Lab, words: str, hint: str
) -> None:
    found = mpsbridge(*words.split())
    assert (found.code, lab.requests) == (2, [])
    assert hint in found.err
    assert "did you mean" not in found.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            "report --format html -o x.html",
            "Use --format for the form of a report, and > FILE to write it into a file.",
        ),
        ("report -o junit", "Use --format for the form of a report"),
        ("sessions ts1 -o x.json", "Use --output for the form of the answer, and > FILE"),
    ],
)
def test_output_is_a_form_and_no_file(mpsbridge: Command, words: str, hint: str) -> None:
    found = mpsbridge(*words.split())
    assert (found.code, hint in found.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--warn", ""], "--warn: it is empty"),
        (["--warn", " "], "--warn: it is empty"),
        (["--logons", ""], "--logons: '' is not one of"),
        (["--force-after", ""], "--force-after: '' is not a duration"),
        (["--settle", ""], "--settle: '' is not a duration"),
        (["--keep-user", ""], "--keep-user: "),
        (["--keep-session", ""], "--keep-session: '' is not HOST:ID"),
        (["--keep-running", ""], "--keep-running: "),
        (["--user", ""], "--user: "),
        (["--then", ""], "--then: '' is not one of"),
    ],
)
def test_an_empty_value_is_no_value(mpsbridge: Command, lab: Lab, words: list[str], said: str) -> None:
    choice = [] if words[0] == "--user" else ["--all"]
    found = mpsbridge("end", "ts1", *choice, *words, "--yes")
    assert (found.code, lab.requests) == (2, [])
    assert said in found.err


@pytest.mark.parametrize("then", ["restart", "console-mode", "station-mode"])
@pytest.mark.parametrize(("timeout", "code"), [("1m", 2), ("2m", 2), ("2m1s", 0)])
def test_a_restart_is_given_the_time_in_which_it_can_be_proved(
    mpsbridge: Command, lab: Lab, then: str, timeout: str, code: int
) -> None:
    words = ("--all", "--no-warning", "--then", then, "--return-timeout", timeout, "--dry-run")
    found = mpsbridge("end", "ts1", *words)
    said = (
        f"--return-timeout: {timeout} is over before a host can count as back: it must have been up and stable for 2m"
    )
    assert (found.code == 2, said in found.err) == (code == 2, code == 2)


@pytest.mark.parametrize("form", [["-o", "json"], ["--output=json"], []])
@pytest.mark.parametrize("is_variable", [True, False])
def test_a_fault_is_a_document_too(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, form: list[str], *, is_variable: bool
) -> None:
    def broken(*_arguments: object) -> int:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("mpsbridge.cli.hosts.hosts", broken)
    if is_variable:
        monkeypatch.setenv("MPSBRIDGE_OUTPUT", "json")
    found = mpsbridge("hosts", "ts1", *form)
    assert found.code == 1
    assert "on purpose" in found.err
    if form or is_variable:
        assert found.document["error"]["kind"] == "internal"
    else:
        assert found.out == ""


@pytest.mark.parametrize(
    "words", ["end ts1 --all --reason {long}", "end ts1 --all --keep-user a\tb", "hold ts1 --reason {long}"]
)
def test_no_class_is_named(mpsbridge: Command, lab: Lab, words: str) -> None:
    found = mpsbridge(*(word.format(long="x" * 301) for word in words.split(" ")))
    assert found.code == 2
    assert not re.search(r"\b(Policy|Hold|Selector|End|Target|Message)\b: ", found.err)


def test_the_notices_of_a_dry_run_stand_below_its_table(
    mpsbridge: Command, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for name in ("table", "note"):
        inner = getattr(Terminal, name)

        def told(self: Terminal, *words: Any, name: str = name, inner: Any = inner, **more: Any) -> None:
            order.append(name if name == "table" else str(words[0]))
            inner(self, *words, **more)

        monkeypatch.setattr(Terminal, name, told)
    assert mpsbridge("end", "ts1", "--all", "--dry-run").code == 0
    first = next(at for at, said in enumerate(order) if "notice 15m before the end" in said)
    assert order.index("table") < first


def test_hold_takes_a_yes_though_it_does_not_ask(mpsbridge: Command, lab: Lab) -> None:
    assert mpsbridge("hold", "ts1", "--reason", "exam", "--yes").code == 0


@pytest.mark.parametrize("words", [["help"], ["help", "sessions"], ["sessions", "--help"], ["-h"]])
def test_help_is_help(mpsbridge: Command, words: list[str]) -> None:
    found = mpsbridge(*words)
    assert (found.code, "Usage: mpsbridge" in found.out) == (0, True)


@pytest.mark.parametrize("words", [["version"], ["-V"], ["--version"]])
def test_version_is_the_version(mpsbridge: Command, words: list[str]) -> None:
    found = mpsbridge(*words)
    assert (found.code, found.out) == (0, f"mpsbridge {__version__}\n")


def test_several_names_and_ids_may_stand_in_one_word(mpsbridge: Command, lab: Lab) -> None:
    for words in (["--user", "alice,bob"], ["--session", "2,3"], ["--user", "alice", "--user", "bob"]):
        assert "2 of 2 sessions on 1 host match" in mpsbridge("sessions", "ts1", *words).out
    assert "not found on any host: user zoe" in mpsbridge("logoff", "ts1", "--user", "alice,zoe", "--yes").err


def test_hosts_without_a_word_are_all_of_the_inventory(
    mpsbridge: Command, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mpsbridge("hosts", "-o", "csv").out.splitlines()[1].startswith("ts1,")
    monkeypatch.delenv("MPSBRIDGE_INVENTORY")
    found = mpsbridge("hosts")
    assert (found.code, "HOST is missing" in found.err) == (2, True)


@given(name=st.sampled_from(VALUED), value=st.text(min_size=1, max_size=8).filter(lambda text: text[0] != "-"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_of_an_option_brings_foreign_words(capsys: pytest.CaptureFixture[str], name: str, value: str) -> None:
    code = run(["hosts", "ts1", f"--{name}", value])
    printed = capsys.readouterr()
    assert code in {0, 2}
    assert not FOREIGN.search(printed.err.replace(value, ""))


@given(name=st.sampled_from(VALUED + FLAGS), value=st.text(st.characters(exclude_characters="\0"), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_variable_brings_foreign_words(capsys: pytest.CaptureFixture[str], name: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        try:
            patch.setenv(f"MPSBRIDGE_{name.upper()}", value)
        except UnicodeEncodeError:  # no environment can hold it
            return
        code = run(["hosts", "ts1"])
    printed = capsys.readouterr()
    assert code in {0, 2}
    assert not FOREIGN.search(printed.err)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_refuses_an_option_that_is_not_there(mpsbridge: Command, name: str) -> None:
    found = mpsbridge(name, "--no-such-option")
    assert (found.code, "there is no option --no-such-option" in found.err) == (2, True)


def test_a_report_that_cannot_be_written_stops_the_demo_before_it_begins(mpsbridge: Command) -> None:
    found = mpsbridge("demo", "--report", "/nope/x")
    assert (found.code, found.out) == (2, "")


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_held_host_is_refused_by_hold(mpsbridge: Command, lab: Lab, form: str) -> None:
    assert mpsbridge("hold", "ts1", "--reason", "exam").code == 0
    found = mpsbridge("hold", "ts1", "--reason", "mine", "-o", form)
    assert found.code == 3
    assert "the host is held already by " in found.out + found.err


def test_csv_tells_a_refused_host_from_one_on_which_nobody_is(mpsbridge: Command, lab: Lab) -> None:
    refused = mpsbridge("logoff", "ts1", "--user", "zoe", "--yes", "-o", "csv").out.splitlines()
    assert refused[0].startswith("host,id,user,")
    assert refused[1].startswith("ts1,,")
    assert refused[1].endswith(",skipped,refused: not found on any host: user zoe")
    with lab.world.changing() as hosts:
        for session in list(hosts["ts1"].rows()):
            hosts["ts1"].sessions.remove(session)
    assert mpsbridge("sessions", "ts1", "-o", "csv").out.splitlines() == [refused[0].replace(",result,text,run", "")]


def test_a_dry_run_says_what_people_would_be_told_and_when(mpsbridge: Command, lab: Lab) -> None:
    words = ("end", "ts1", "--all", "--warn", "5m,1m", "--reason", "updates", "--dry-run")
    found = mpsbridge(*words)
    assert found.code == 0
    told = re.findall(
        r"ts1: notice (\w+) before the end, at \d\d:\d\d host time: Your session ends in (\d) min", found.err
    )
    assert told == [("5m", "5"), ("1m", "1")]
    assert [change for change in lab.changes if change.act == "message"] == []
    assert "no notice would be shown" in mpsbridge("end", "ts1", "--all", "--no-warning", "--dry-run").err


def test_the_sender_of_notices_is_a_setting_too(
    mpsbridge: Command, lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ("end", "ts1", "--all", "--warn", "5m", "--dry-run")
    plan = tmp_path / "plan.toml"
    plan.write_text("schema = 'mpsbridge-plan/1'\nhosts = ['ts1']\nreason = 'updates'\n", encoding="utf-8")
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    assert "(your administrator)" in mpsbridge(*words).err
    monkeypatch.setenv("MPSBRIDGE_SENDER", "the IT desk")
    assert "(the IT desk)" in mpsbridge(*words).err
    assert "Reason: updates. (the IT desk)" in mpsbridge("maintain", str(plan), "--dry-run").err
    assert "(alice)" in mpsbridge(*words, "--sender", "alice").err
    monkeypatch.setenv("MPSBRIDGE_SENDER", "x" * 61)
    assert "MPSBRIDGE_SENDER: it is longer than 60 characters" in mpsbridge(*words).err


def test_release_says_that_logons_stay_closed(mpsbridge: Command, lab: Lab) -> None:
    assert "logons stay" not in mpsbridge("release", "ts1", "--yes").out
    mpsbridge("logons", "ts1", "--set", "drain", "--yes")
    found = mpsbridge("release", "ts1", "--yes")
    assert (found.code, "'mpsbridge logons ts1 --set enabled' opens them" in " ".join(found.out.split())) == (0, True)
    assert "It blocks no logons" in mpsbridge("hold", "--help").out


def test_a_name_like_the_one_that_was_meant_is_told(mpsbridge: Command, lab: Lab) -> None:
    found = mpsbridge("logoff", "ts1", "--user", "alise", "--yes")
    assert "not found on any host: user alise; did you mean alice (session 2 on ts1)?" in found.err


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[waves]\nat-once = 2", "5: waves.at-once: there is no such key, did you mean at_once?"),
        ("[wave]\nat_once = 2", "wave: there is no such key, did you mean waves?"),
        ("[notices]\nat = ['5m', '5m']", "plan.toml: notices.at: a moment is named twice"),
        ("[waves]\nnot_after = '5am'", "waves.not_after: it is a text: write the time without quotes"),
        ("[policy]\nkeep-user = ['x']", "policy.keep-user: there is no such key, did you mean keep_user?"),
        ("zzz = 1", "zzz: there is no such key"),
    ],
)
def test_a_plan_that_is_wrong_is_told_with_the_way_out(
    mpsbridge: Command, tmp_path: Path, lines: str, said: str
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(f"schema = 'mpsbridge-plan/1'\nhosts = ['ts1']\nreason = 'updates'\n{lines}\n", encoding="utf-8")
    found = mpsbridge("maintain", str(plan), "--dry-run")
    assert (found.code, said in found.err) == (2, True)


def test_another_file_in_the_place_of_a_plan_is_one_sentence(mpsbridge: Command, tmp_path: Path) -> None:
    plan = tmp_path / "hosts.toml"
    plan.write_text("[defaults]\nusername = 'x'\n[hosts.ts1]\n[groups]\nschool = ['ts1']\n", encoding="utf-8")
    found = mpsbridge("maintain", str(plan), "--dry-run")
    assert found.code == 2
    assert found.err == (
        f'mpsbridge maintain: {plan}:1: schema: it must be "mpsbridge-plan/1" in a plan\n'
        "  Use 'mpsbridge schema plan' to see its keys.\n"
    )


def test_two_passwords_are_told(mpsbridge: Command, lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert mpsbridge("sessions", "ts1").err == ""
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    monkeypatch.setenv("MPSBRIDGE_PASSWORD_FILE", str(secret))
    assert "MPSBRIDGE_PASSWORD and MPSBRIDGE_PASSWORD_FILE are both set" in mpsbridge("sessions", "ts1").err


def test_a_host_without_multipoint_is_an_answer(mpsbridge: Command, lab: Lab) -> None:
    found = mpsbridge("stations", "ts1")
    assert (found.code, found.out) == (0, "ts1: not a MultiPoint host\n0 stations on 1 host\n")
    assert mpsbridge("stations", "ts1", "-o", "json").outcome("ts1")["value"] == {"mode": "none", "stations": []}


PLAN_KEYS = (
    *("schema", "hosts", "reason", "then", "policy", "policy.settle", "policy.user", "policy.all", "policy.logons"),
    *("policy.keep_running", "policy.nope", "notices.at", "waves.at_once", "waves.stop_after", "waves.not_after"),
)
PLAN_VALUES = ("5", "'x'", "true", "[]", "[1]", "{a = 1}", "1.5", "05:00:00", "-1", "''", "['a/b']")


@pytest.mark.parametrize("value", PLAN_VALUES)
@pytest.mark.parametrize("key", PLAN_KEYS)
def test_no_value_of_a_plan_brings_foreign_words(mpsbridge: Command, tmp_path: Path, key: str, value: str) -> None:
    lines = {"schema": "'mpsbridge-plan/1'", "hosts": "['no-such-host.invalid']", "reason": "'updates'"}
    plan = tmp_path / "plan.toml"
    plan.write_text("".join(f"{name} = {text}\n" for name, text in (lines | {key: value}).items()), encoding="utf-8")
    found = mpsbridge("maintain", str(plan), "--timeout", "1s", "--dry-run")
    assert found.code in {0, 1, 2, 3}
    assert not FOREIGN.search(found.err)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["end", "ts1", "--all", "--then", "reboot"], "did you mean restart?"),
        (["logons", "ts1", "--set", "closed"], "did you mean disabled?"),
        (["logons", "ts1", "--set", "open"], "did you mean enabled?"),
        (["logons", "ts1", "--set", "drian"], "did you mean drain?"),
        (["schema", "sesions"], "did you mean sessions?"),
    ],
)
def test_a_value_that_people_know_by_another_word_is_answered_with_ours(
    words: list[str], meant: str, mpsbridge: Command
) -> None:
    found = mpsbridge(*words)
    assert (found.code, meant in found.err) == (2, True), found.err


def test_a_group_is_not_a_plan(mpsbridge: Command) -> None:
    assert "use 'mpsbridge end room-a'" in mpsbridge("maintain", "room-a").err
