"""The command line against the lab, over real sockets: what a person types and what comes back."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.cells import cell_len
from support.console import Command
from support.fake_clock import FakeClock
from typer.main import get_group

from mpsbridge.cli.commands import app
from mpsbridge.cli.main import app_for
from mpsbridge.cli.terminal import Terminal
from mpsbridge.clock import SystemClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world, load_world
from mpsbridge.runs.events import Finished, Phase, SessionJudged, Step, StepAnswered, StepSent
from mpsbridge.runs.journal import Journal
from mpsbridge.settings import Output

HOSTS: list[dict[str, Any]] = [
    {
        "name": "alpha",
        "utc_offset_min": 60,
        "sessions": [
            {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "idle_s": 30, "logon": "2h10m"},
            {"id": 3, "user": "bob", "state": "disconnected", "idle_s": 9000, "logon": "5h"},
            {"id": 4, "user": "carol", "session_name": "rdp-tcp#2", "idle_s": 8000, "logon": "4h"},
        ],
    },
    {
        "name": "beta",
        "language": "de",
        "sessions": [{"id": 5, "user": "dave", "session_name": "console", "logon": "1h"}],
    },
    {"name": "empty", "language": "fr", "sessions": []},
    {"name": "blind", "rights": "user", "sessions": [{"id": 2, "user": "alice", "logon": "1h"}]},
    {"name": "off", "down": True, "sessions": []},
]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


def acts(lab: Lab) -> list[tuple[str, str, str | None]]:
    return [(change.host, change.act, change.user) for change in lab.changes]


def test_sessions_are_listed_everywhere_at_once(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "alpha", "beta", "empty")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].split() == ["HOST", "ID", "USER", "SESSION", "STATE", "IDLE", "LOGON"]
    assert [line.split()[:3] for line in lines[1:5]] == [
        ["alpha", "2", "ALPHA\\alice"],
        ["alpha", "3", "ALPHA\\bob"],
        ["alpha", "4", "ALPHA\\carol"],
        ["beta", "5", "BETA\\dave"],
    ]
    assert lines[5:] == ["empty: nobody", "4 sessions on 3 hosts"]


def test_a_dead_and_a_blind_host_are_told_apart_and_stop_nobody(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "alpha", "off", "blind", "--output", "json")
    assert found.code == 1
    assert [each["status"] for each in found.document["outcomes"]] == ["done", "failed", "failed"]
    off, blind = found.outcome("off")["failure"], found.outcome("blind")["failure"]
    assert (off["kind"], off["may_have_run"]) == ("unreachable", False)
    assert blind["kind"] == "blind"
    assert off["hint"]
    assert blind["hint"]
    table = mpsbridge("sessions", "alpha", "off")
    assert table.out.splitlines()[-1] == "3 sessions on 1 host, 1 host failed"
    assert re.match(r"off: Connection refused \(127\.[0-9.]+:\d+\)\n  Check ", table.err)


def test_json_is_one_document_with_the_documented_head(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "alpha", "-o", "json")
    assert list(found.document) == ["schema", "command", "outcomes"]
    assert (found.document["schema"], found.document["command"]) == ("mpsbridge/1", "sessions")
    assert found.err == ""


def test_jsonl_and_csv(lab: Lab, mpsbridge: Command) -> None:
    lines = mpsbridge("sessions", "alpha", "beta", "--output", "jsonl").out.splitlines()
    assert {json.loads(line)["host"] for line in lines} == {"alpha", "beta"}
    rows = list(csv.DictReader(io.StringIO(mpsbridge("sessions", "alpha", "--output", "csv").out)))
    assert {row["user"] for row in rows} == {"alice", "bob", "carol"}
    assert rows[0]["host"] == "alpha"


@pytest.mark.parametrize(
    ("options", "users"),
    [
        (["--user", "ALICE"], {"alice"}),
        (["--session", "3"], {"bob"}),
        (["--disconnected"], {"bob"}),
        (["--idle-over", "2h"], {"bob", "carol"}),
        (["--disconnected-over", "3h"], set()),
        (["--all"], {"alice", "bob", "carol"}),
        (["--user", "nobody"], set()),
    ],
)
def test_a_listing_takes_the_same_filters(lab: Lab, mpsbridge: Command, options: list[str], users: set[str]) -> None:
    found = mpsbridge("sessions", "alpha", "-o", "json", *options)
    assert found.code == 0
    assert {each["user"] for each in found.outcome("alpha")["value"]["sessions"]} == users


def test_a_listing_never_says_nobody_where_people_are_on(lab: Lab, mpsbridge: Command) -> None:
    filtered = ("sessions", "alpha", "empty", "--user", "jane")
    assert mpsbridge(*filtered).out.splitlines() == ["0 of 3 sessions on 2 hosts match"]
    assert mpsbridge("sessions", "alpha", "--user", "alice").out.splitlines()[-1] == "1 of 3 sessions on 1 host matches"
    assert mpsbridge("sessions", "alpha", "--idle-over", "9h").out == "0 of 3 sessions on 1 host match\n"
    found = mpsbridge(*filtered, "-o", "json")
    assert [found.outcome(host)["value"]["others"] for host in ("alpha", "empty")] == [3, 0]


def test_a_message_reaches_whoever_is_there(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("message", "alpha", "--all", "--text", 'Save, please: it\'s "noon"', "-o", "json")
    assert found.code == 0
    value = found.outcome("alpha")["value"]
    assert list(value) == ["run", "dry_run", "sessions", "problems"]
    assert {each["session"]["user"]: each["result"] for each in value["sessions"]} == {
        "alice": "shown",
        "bob": "kept",
        "carol": "shown",
    }
    assert [(change.user, change.text) for change in lab.changes] == [
        ("alice", 'Save, please: it\'s "noon"'),
        ("carol", 'Save, please: it\'s "noon"'),
    ]


def test_a_named_one_that_a_message_does_not_reach_is_told_and_no_success(lab: Lab, mpsbridge: Command) -> None:
    words = ("message", "alpha", "--user", "alice,bob", "--text", "noon")
    for more, shown, code in (("--dry-run", "would show", 1), ("-v", "shown", 1)):
        found = mpsbridge(*words, more)
        assert found.code == code
        alice, bob = found.out.splitlines()[1:3]
        assert alice.endswith(f" {shown}")
        assert "not shown" in bob
        assert bob.endswith("  disconnected: nobody would see it")
    assert "message shown in 1 of 2 sessions on 1 host, 1 not shown\n" in found.out
    assert ": partly: 1 of 2 sessions refused" in found.out
    told = mpsbridge("history", "--user", "bob").out
    assert "not shown (disconnected: nobody would see it)" in told
    everybody = mpsbridge("message", "alpha", "--all", "--text", "noon")
    assert (everybody.code, "message shown in 2 of 3 sessions on 1 host, 1 not shown" in everybody.out) == (0, True)


def test_the_record_has_the_words_of_the_screen_for_a_session_that_a_message_did_not_reach(
    lab: Lab, mpsbridge: Command
) -> None:
    """Once it was 'not shown' on the screen and 'kept' in the record."""
    del lab
    mpsbridge("message", "alpha", "--all", "--text", "noon")
    told = mpsbridge("history", "--host", "alpha").out
    assert ("not shown (disconnected: nobody would see it)" in told, "kept" in told) == (True, False)
    for form in ("text", "markdown", "html", "junit"):
        report = mpsbridge("report", "--format", form).out
        assert ("not shown" in report, "kept" in report) == (True, False), form
    assert "people: 1 not shown, 2 shown" in mpsbridge("history", "2").out
    assert "is not shown the message (disconnected: nobody would see it): bob" in mpsbridge("history", "2").out
    nobody = mpsbridge("message", "alpha", "--disconnected", "--text", "noon")
    assert nobody.code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["logoff", "alpha", "--user", "alice"], "would log off"),
        (["disconnect", "alpha", "--user", "alice"], "would disconnect"),
        (["message", "alpha", "--user", "alice", "--text", "x"], "would show"),
        (["end", "alpha", "--user", "alice"], "would end"),
    ],
)
def test_a_dry_run_says_what_it_would_do(lab: Lab, mpsbridge: Command, words: list[str], said: str) -> None:
    row = next(line for line in mpsbridge(*words, "--dry-run").out.splitlines() if "alice" in line)
    assert row.endswith(said)


def test_a_log_off_ends_exactly_the_named_one(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("logoff", "alpha", "beta", "--user", "carol", "--yes")
    assert found.code == 0
    assert acts(lab) == [("alpha", "logoff", "carol")]
    assert found.out.splitlines()[-1] == "1 of 1 session logged off on 1 host"
    assert "carol" in found.err


def test_a_host_that_cannot_be_seen_is_a_failure_and_no_unknown_act(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("logoff", "alpha", "blind", "--idle-over", "2h", "--disconnected-ok", "--yes", "-o", "json")
    failure = found.outcome("blind")["failure"]
    assert (found.code, failure["kind"], failure["may_have_run"]) == (1, "blind", False)
    assert acts(lab) == [("alpha", "logoff", "bob"), ("alpha", "logoff", "carol")]


def test_a_disconnect_keeps_the_session(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("disconnect", "alpha", "--session", "2", "--yes", "-o", "json")
    assert found.code == 0
    assert found.outcome("alpha")["value"]["sessions"][0]["result"] == "disconnected"
    assert acts(lab) == [("alpha", "disconnect", "alice")]


def test_without_a_yes_nothing_is_sent(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("logoff", "alpha", "--session", "2", "-o", "json")
    assert found.code == 3
    assert found.document["error"]["kind"] == "refused"
    assert found.document["error"]["may_have_run"] is False
    assert "--yes" in found.document["error"]["hint"]
    assert acts(lab) == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 3), ("no\n", 3), ("", 3)])
def test_on_a_terminal_the_answer_decides(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Keyboard(answer))
    found = mpsbridge("logoff", "alpha", "--session", "2")
    assert found.code == code
    assert "Log off 1 session on alpha now, without a warning?" in found.err
    assert acts(lab) == ([("alpha", "logoff", "alice")] if code == 0 else [])


def test_ctrl_c_at_a_question_says_what_a_no_says(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("mpsbridge.cli.terminal._is_somebody_there", lambda: True)
    monkeypatch.setattr("mpsbridge.cli.terminal._answered", interrupted)
    found = mpsbridge("logoff", "alpha", "--session", "2")
    assert found.code == 130
    assert found.err.endswith("[y/N] \nmpsbridge logoff: cancelled; nothing was sent\n")
    assert acts(lab) == []


def test_a_host_that_is_an_address_is_named_once(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "secret")
    words = ("127.20.0.9:1", "--timeout", "3s", "--username", "alice")
    assert mpsbridge("sessions", *words).err.count("127.20.0.9:1") == 1
    told = mpsbridge("doctor", *words).out
    assert "127.20.0.9 is an address" in told
    assert "(127.20.0.9:1)" not in told


def test_w02_disconnected_ones_are_not_ended_by_the_way(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("logoff", "alpha", "--all", "--yes", "-o", "json")
    assert found.code == 3
    assert found.outcome("alpha")["status"] == "skipped"
    assert "--disconnected-ok" in found.outcome("alpha")["reason"]
    assert acts(lab) == []
    assert mpsbridge("logoff", "alpha", "--all", "--disconnected-ok", "--yes").code == 0
    assert sorted(acts(lab)) == [("alpha", "logoff", name) for name in ("alice", "bob", "carol")]


def test_a_refused_host_beside_one_that_went_well_is_1(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("logoff", "alpha", "beta", "--all", "--include-console", "--yes", "-o", "json")
    assert found.code == 1
    assert [each["status"] for each in found.document["outcomes"]] == ["skipped", "done"]
    assert acts(lab) == [("beta", "logoff", "dave")]


@pytest.mark.parametrize("selector", [["--user", "zoe"], ["--user", "alice", "--user", "zoe"], ["--session", "99"]])
def test_who_is_named_and_found_nowhere_refuses_the_whole_call(
    lab: Lab, mpsbridge: Command, selector: Sequence[str]
) -> None:
    found = mpsbridge("logoff", "alpha", *selector, "--yes", "-o", "json")
    assert found.code == 3
    assert "not found on any host: " in found.outcome("alpha")["reason"]
    assert acts(lab) == []


def test_a_filter_that_matches_nobody_is_fine(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("logoff", "alpha", "--idle-over", "9h", "--yes")
    assert (found.code, found.out) == (0, "nothing to do on 1 host\n")
    assert acts(lab) == []


def test_a_dry_run_says_who_would_be_hit_and_sends_only_reads(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("logoff", "alpha", "--user", "alice", "--dry-run", "-o", "json")
    assert found.code == 0
    value = found.outcome("alpha")["value"]
    assert (value["dry_run"], [each["result"] for each in value["sessions"]]) == (True, ["would"])
    assert acts(lab) == []
    assert mpsbridge("logoff", "alpha", "--all", "--dry-run").code == 3


def test_logons_are_read_and_set(lab: Lab, mpsbridge: Command) -> None:
    assert mpsbridge("logons", "alpha", "-o", "json").outcome("alpha")["value"] == {"mode": "enabled", "was": None}
    changed = mpsbridge("logons", "alpha", "--set", "drain", "--yes", "-o", "json")
    assert changed.outcome("alpha")["value"] == {"mode": "drain", "was": "enabled"}
    again = mpsbridge("logons", "alpha", "--set", "drain", "--yes", "-o", "json")
    assert again.outcome("alpha")["value"] == {"mode": "drain", "was": "drain"}
    assert len(lab.changes) == 1
    assert mpsbridge("logons", "alpha", "--set", "enabled").code == 3
    assert mpsbridge("logons", "alpha", "--set", "closed").code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sessions", "alpha", "--watsh", "5s"], "--watch"),
        (["sesions", "alpha"], "sessions"),
        (["sessions"], "HOST"),
        (["sessions"], "Try 'mpsbridge sessions --help'"),
        (["sessions", "alpa"], "did you mean alpha?"),
        (["sessions", "al pha"], "is not a host name"),
        (["sessions", "alpha", "--timeout", "5"], "write 5s, 5m or 5h"),
        (["sessions", "alpha", "--idle-over", "2"], "--idle-over: '2' is not a duration"),
        (["sessions", "alpha", "beta", "--session", "2"], "exactly one host"),
        (["sessions", "alpha", "--ca-file", "/no/such.pem"], "/no/such.pem"),
        (["sessions", "@/no/such"], "cannot be read"),
        (["logoff", "alpha", "--yes"], "say who"),
        (["logoff", "alpha", "--all", "--user", "bob", "--yes"], "--all stands alone"),
        (["logoff", "alpha", "--session", "0", "--yes"], "1 to 65535"),
        (["logoff", "alpha", "--session", "-4", "--yes"], "is not the id of a session"),
        (["logoff", "alpha", "--session", "65536", "--yes"], "1 to 65535"),
        (["message", "alpha", "--all", "--text", ""], "empty"),
        (["message", "alpha", "--all", "--text", "x" * 256], "256 characters"),
        (["message", "alpha", "--all", "--text", "a\x1b[1m"], "U+001B"),
        (["message", "alpha", "--all", "--text", "/all"], "begins with '/'"),
        (["message", "alpha", "--all", "--text", "-x"], "begins with '-'"),
        (["message", "alpha", "--all", "--text", "@x"], "begins with '@'"),
        (["message", "alpha", "--all", "--text", "\ud800"], "surrogate"),
        (["lab", "--world", "/no/such.toml"], "/no/such.toml"),
        (["lab", "--engine", "magic"], "scripted"),
        (["lab", "--ready-file", "/no/dir/ready.json"], "/no/dir/ready.json"),
        (["lab", "--record", "/no/dir/record.jsonl"], "/no/dir/record.jsonl"),
        (["render", "obsrve"], "observe"),
        (["render", "logoff", "--params", "{"], "--params"),
    ],
)
def test_bad_input_is_2_before_any_host_is_contacted(
    lab: Lab, mpsbridge: Command, words: list[str], message: str
) -> None:
    if "--ca-file" in words:
        words = ["sessions", lab.hosts[0].address, "--ca-file", "/no/such.pem", "-u", "x"]
    found = mpsbridge(*words)
    assert found.code == 2
    assert message in found.err
    as_json = mpsbridge(*words, "--output", "json")
    assert as_json.code == 2
    assert as_json.document["error"]["may_have_run"] is False
    assert lab.requests == []


def test_the_help_of_a_command_tells_its_own_options_first(mpsbridge: Command) -> None:
    told = mpsbridge("end", "--help").out
    assert (
        told.index("--warn")
        < told.index("Session selection")
        < told.index("Choose the sessions of NAME")
        < told.index("Common options")
    )
    assert "Usage: mpsbridge end" in told


def test_an_option_that_lacks_its_value_is_an_error_of_mpsbridge(mpsbridge: Command) -> None:
    assert mpsbridge("logoff", "alpha", "--user").err.startswith("mpsbridge logoff: ")


def test_a_wrong_password_is_one_attempt_and_that_hosts_outcome(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "wrong")
    found = mpsbridge("sessions", "alpha", "-o", "json")
    assert found.code == 1
    assert found.outcome("alpha")["failure"]["kind"] == "auth"
    assert lab.refused == {"alpha": 1}


def test_an_account_without_rights_is_told_what_it_cannot_know(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, fake_clock: FakeClock
) -> None:
    """Her log-off went well, and she was the last one there: to such an account Windows never says "nobody"."""
    with Lab(load_world("troubles"), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        told = mpsbridge("doctor", "delegated")
        assert (told.code, "FAILED" in told.out) == (0, False)
        assert "is not an elevated administrator; its RDS rights show only when they are used" in told.out
        assert mpsbridge("sessions", "delegated").err == ""  # a listing has no use for when the host started
        found = mpsbridge("logoff", "delegated", "--user", "alice", "--yes", clock=fake_clock)
    assert found.code == 4
    assert "alice is no longer listed, and this account cannot tell an empty host from a hidden one" in found.out
    assert ".;" not in found.out
    assert "--force-after" not in found.out  # that takes an administrator


def test_render_prints_the_very_script(mpsbridge: Command) -> None:
    found = mpsbridge("render", "observe")
    assert found.code == 0
    assert found.out.startswith("# mpsbridge ")
    assert found.out.rstrip().splitlines()[-1].startswith("Get-MpsbridgeObservation ")


def test_parse_reads_a_saved_table(mpsbridge: Command, tmp_path: Path) -> None:
    saved = tmp_path / "saved.txt"
    saved.write_bytes(
        " BENUTZERNAME          SITZUNGSNAME       ID  STATUS  LEERLAUF   ANMELDEZEIT\r\n"
        ">müller                rdp-tcp#10          5  Aktiv           .  07.09.2021 17:58\r\n".encode("cp850")
    )
    found = mpsbridge("parse", str(saved), "-o", "json")
    assert found.code == 0
    assert list(found.document) == ["schema", "command", "rows", "trouble"]
    (row,) = found.document["rows"]
    assert list(row) == [
        "username",
        "sessionname",
        "id",
        "state_raw",
        "state",
        "idle_raw",
        "logon_raw",
        "current",
    ]
    assert (row["id"], row["state"], row["current"]) == (5, "active", True)
    named = mpsbridge("parse", str(saved), "-o", "json", "--encoding", "cp850")
    assert named.document["rows"][0]["username"] == "müller"
    assert mpsbridge("parse", str(saved), "--encoding", "klingon").code == 2
    assert mpsbridge("parse", str(tmp_path / "none.txt")).code == 2


def test_no_rows_come_with_the_reason(mpsbridge: Command, tmp_path: Path) -> None:
    saved = tmp_path / "saved.txt"
    saved.write_text("Kein Benutzer vorhanden für *\n", encoding="utf-8")
    found = mpsbridge("parse", str(saved))
    assert (found.code, found.out) == (0, "no rows\n")
    assert "may not look" in found.err


def test_what_is_no_table_is_an_error_with_its_line(mpsbridge: Command, tmp_path: Path) -> None:
    saved = tmp_path / "saved.txt"
    saved.write_text("this is\nno table at all\n", encoding="utf-8")
    found = mpsbridge("parse", str(saved), "-o", "json")
    assert found.code == 1
    assert found.document["error"]["kind"] == "parse"


def test_doctor_tells_each_step(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    saved = tmp_path / "answers.json"
    found = mpsbridge("doctor", "alpha", "--save", str(saved), "--yes")
    assert found.code == 0, found.out
    assert [line.split()[:2] for line in found.out.splitlines()[1:9]] == [
        ["ok", step] for step in ("name", "port", "tls", "sign-in", "powershell", "rights", "sight", "multipoint")
    ]
    assert json.loads(saved.read_text(encoding="utf-8"))["schema"] == "mpsbridge-evidence/1"
    assert lab.password not in saved.read_text(encoding="utf-8")


@pytest.mark.parametrize(("host", "step"), [("off", "port"), ("blind", "sight")])
def test_doctor_names_the_step_that_fails_and_the_remedy(lab: Lab, mpsbridge: Command, host: str, step: str) -> None:
    found = mpsbridge("doctor", host)
    assert found.code == 1
    failed = [line for line in found.out.splitlines() if line.strip().startswith("FAILED")]
    assert failed[0].split()[1] == step
    assert "->" in found.out


def test_host_text_with_escapes_is_shown_harmless(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = {
        "name": "evil",
        "sessions": [{"id": 2, "user": "a\x1b]0;x\x07b", "session_name": "rdp-tcp#1", "logon": "1h"}],
    }
    with Lab(build_world({"hosts": [evil]})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        found = mpsbridge("sessions", "evil")
    assert "\x1b" not in found.out + found.err
    assert "\x07" not in found.out + found.err


@pytest.mark.xdist_group("timing")
def test_the_demo_shows_the_whole_procedure_and_proves_it(
    mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    started = SystemClock().monotonic()
    found = mpsbridge("demo")
    assert found.code == 0, found.err
    assert SystemClock().monotonic() - started < 20
    assert "school-fr itself says: user5 got the message and is gone." in found.out
    assert "library-1 itself says: ended 5 people's sessions, restarted once, and logons are as they were." in found.out
    for state in ("school-de", "school-fr", "school-es", "school-ru", "school-zh"):
        assert state in found.out
    assert "--include-console allows it" in found.err
    assert "hurries" in found.out
    assert "Windows updates" in (tmp_path / "mpsbridge-demo.html").read_text(encoding="utf-8")


@pytest.mark.everything(reason="the demo once more, which takes eight seconds")
def test_the_demo_lives_without_the_persons_settings(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "mine.toml"
    settings.write_text('configuration = "no-such-endpoint"\njournal = "/no/such/folder/j"\n', encoding="utf-8")
    monkeypatch.setenv("MPSBRIDGE_SETTINGS", str(settings))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MPSBRIDGE_JOURNAL")
    assert mpsbridge("demo").code == 0


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["logoff", "--help"]])
def test_help_and_version(mpsbridge: Command, words: list[str]) -> None:
    assert mpsbridge(*words).code == 0


def test_a_command_alone_is_what_it_is_among_all() -> None:
    def made(by: typer.Typer) -> dict[str, tuple[object, ...]]:
        group = get_group(by)
        return {
            name: (one.help, [(option.name, option.opts, option.required, option.default) for option in one.params])
            for name, one in group.commands.items()
        }

    every = made(app)
    assert len(every) > 20
    for name, command in every.items():
        assert made(app_for([name, "--help"])) == {name: command}
    for words in (["sesions"], ["-h", "sessions"], ["--nothing"]):
        assert app_for(words) is app
    for words in ([], ["--help"], ["-V"]):  # the list shows no options
        assert made(app_for(words)) == {name: (text, []) for name, (text, _) in every.items()}


def test_a_shell_that_asks_is_told_of_all_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MPSBRIDGE_COMPLETE", "complete_bash")
    assert app_for([]) is app


def test_every_act_is_a_run_in_the_journal(lab: Lab, mpsbridge: Command, tmp_path: Path) -> None:
    found = mpsbridge("message", "alpha", "beta", "--user", "alice", "--text", "hello", "-o", "json")
    with Journal(tmp_path / "journal.sqlite") as journal:
        (run,) = journal.runs()
        assert (run.id, run.command, str(run.verdict)) == (found.outcome("alpha")["value"]["run"], "message", "done")
        judged, intent, outcome, last = journal.entries(run.id, host="alpha")
        assert isinstance(judged.what, SessionJudged)
        assert (judged.what.user, judged.what.act) == ("alice", Step.MESSAGE)
        assert intent.what == StepSent(step=Step.MESSAGE, sessions=(2,), phase=Phase.ACT)
        assert isinstance(outcome.what, StepAnswered)
        assert outcome.what.intent == intent.number
        assert last.what == Finished(outcome="done", phase=Phase.ACT)


def test_a_journal_that_cannot_be_used_stops_the_act_before_anything_is_sent(
    lab: Lab, mpsbridge: Command, tmp_path: Path
) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"no database" * 500)
    found = mpsbridge("logoff", "alpha", "--user", "alice", "--yes", "-o", "json")
    assert found.code == 2
    assert found.document["error"]["kind"] == "journal"
    assert acts(lab) == []


def test_a_sentence_goes_on_in_the_next_line_only_where_a_terminal_is_too_narrow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("ts1", 2, "名前", "a" * 30), ("ts-long", 12, None, "b")]
    columns = ("HOST", "ID", "USER", "")

    def shown(width: int) -> list[str]:
        monkeypatch.setattr("mpsbridge.cli.styled.UNLIMITED", width)
        Terminal(command="sessions", output=Output.TABLE).table(columns, rows)
        return capsys.readouterr().out.splitlines()

    assert shown(10_000) == [
        "HOST     ID  USER",
        f"ts1       2  名前  {'a' * 30}",
        "ts-long  12        b",
    ]
    narrow = shown(30)
    assert max(map(cell_len, narrow)) <= 30
    assert "".join(narrow).count("a") == 30


def test_a_table_that_goes_on_has_no_heading_and_is_no_narrower(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(command="sessions", output=Output.TABLE)
    terminal.table(("HOST", "ID", ""), [("ts-long", 2, "a")])
    terminal.table(("HOST", "ID", ""), [("ts1", 12, "b")], goes_on_from=("ts-long", "ID", "a"))
    assert capsys.readouterr().out.splitlines() == ["HOST     ID", "ts-long   2  a", "ts1      12  b"]


def test_a_journal_that_would_keep_nothing_is_refused(mpsbridge: Command) -> None:
    refused = mpsbridge("history", "--journal", ":memory:")
    assert (refused.code, "would keep no record" in refused.err) == (2, True)


@pytest.mark.parametrize("encoding", ["undefined", "punycode", "utf-99", "a\0b", "idna"])
def test_an_encoding_that_reads_no_text_is_one_sentence(encoding: str, mpsbridge: Command, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    path.write_bytes(b"\xff USERNAME")
    said = mpsbridge("parse", str(path), "--encoding", encoding)
    assert (said.code, "--encoding: " in said.err) == (2, True)


@pytest.mark.parametrize("folder", ["", "C:\\a\nb", 'C:\\a"b', "C:\\a|b", "D:x"])
def test_a_folder_that_no_windows_has_is_refused(folder: str, mpsbridge: Command, tmp_path: Path) -> None:
    said = mpsbridge("jea", str(tmp_path / "module"), "--transcripts", folder)
    assert (said.code, "is not a folder of Windows" in said.err) == (2, True)
