"""What the acting snippets do on the real PowerShell engine, and what they say came of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.acting import ALICE, BOB, LATER, PROGRAM, answers, results, script, told
from support.pwsh import run_script
from support.snippet_calls import box, mode
from support.windows import Act, Person, Windows, moved

from mpsbridge.errors import RemoteError
from mpsbridge.lab.windows.programs import ProgramResult
from mpsbridge.models.sessions import LogonMode, Logons, Result
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.snippets.logons import SetLogonMode
from mpsbridge.snippets.render import TEMPLATES
from mpsbridge.snippets.sessions import ResetSessions

pytestmark = pytest.mark.engine

CAROL = Person(7, "carol", name="rdp-tcp#9", born="20261125093000.000000+000")

# Ending.


@pytest.mark.xdist_group("timing")
@pytest.mark.parametrize("how", ["ignores", "hung"])
def test_w03_a_hung_session_is_unknown_and_does_not_hold_up_the_others(engine: Path, how: str) -> None:
    hung = moved(ALICE, traits={how: True})
    host = Windows(engine, [hung, BOB])
    found = answers(host, script("logoff", ALICE.guard(), BOB.guard(), time_limit_s=1))
    assert [(each.id, each.result) for each in found] == [(2, Result.UNKNOWN), (5, Result.ENDED)]
    assert found[0].text == "the log-off has begun"
    assert [each.begun for each in found] == [True, True]
    assert told(host) == [("logoff", "2"), ("logoff", "5")]


@pytest.mark.xdist_group("timing")
def test_w09_a_row_that_is_gone_is_not_enough(engine: Path) -> None:
    host = Windows(engine, [moved(ALICE, traits={"linger_s": 3600})])
    assert results(host, script("logoff", ALICE.guard(), time_limit_s=1)) == [Result.UNKNOWN]
    assert host.ids == []


def test_w08_a_reset_hits_the_very_session_and_no_other_with_its_number(engine: Path) -> None:
    """With its row, without one while its processes linger, and never somebody who began at another time."""
    lingers, after = Person(6, "carol", born=LATER, listed=False), Person(7, "dave", name="rdp-tcp#9")
    host = Windows(engine, [ALICE, BOB, lingers, after])
    guards = (ALICE.guard(), lingers.guard(), after.guard(born=LATER))
    assert results(host, script("reset", *guards)) == [Result.ENDED, Result.ENDED, Result.CHANGED]
    assert told(host) == [("rwinsta", "2"), ("rwinsta", "6")]
    assert host.ids == [5, 7]
    assert [event.rpartition(": ")[2] for event in host.events] == [
        f"rwinsta.exe {each.id} for the session begun at {each.born}." for each in (ALICE, lingers)
    ]


def test_w13_a_guard_without_a_rows_texts_hits_an_orphan_and_nobody_with_a_row(engine: Path) -> None:
    orphan = Person(6, "carol", born=LATER, listed=False)
    host = Windows(engine, [ALICE, orphan])
    none = {"user": "-", "logon": "-", "state": "-"}
    found = results(host, script("reset", orphan.guard(**none), ALICE.guard(**none)))
    assert found == [Result.ENDED, Result.UNKNOWN]
    assert told(host) == [("rwinsta", "6")]


def test_w04_a_reset_heeds_its_time_and_the_lease(engine: Path, tmp_path: Path) -> None:
    host = Windows(engine, [ALICE])
    late = script("reset", ALICE.guard(), not_after="20200101000000.000000+000")
    assert results(host, late) == [Result.EXPIRED]
    host.put_lease('{"run":"run-2","owner":"bob","expires":"20991231000000.000000+000"}')
    (answer,) = answers(host, script("reset", ALICE.guard()))
    assert (answer.result, answer.begun) == (Result.REFUSED, False)
    assert host.record == []


def test_w05_without_a_birth_nothing_is_reset(engine: Path) -> None:
    host = Windows(engine, [ALICE])
    call = script("reset", ALICE.guard()).text.replace(ALICE.born, "").replace('"born":""', '"born":null')
    with pytest.raises(RemoteError, match="when each session began"):
        ResetSessions.read(host.run(call))
    assert host.record == []


@pytest.mark.parametrize("own", [2, 0])
def test_a_session_that_is_not_surely_the_one_is_not_reset(engine: Path, own: int) -> None:
    """The caller's own, row or not; and a number that the table lists, but not as the caller saw it."""
    there = moved(ALICE, listed=False) if own else moved(ALICE, user="somebody")
    host = Windows(engine, [there, BOB], caller_session=own)
    assert results(host, script("reset", ALICE.guard())) == [Result.UNKNOWN]
    assert host.record == []


@pytest.mark.parametrize("name", ["logoff", "disconnect", "message"])
def test_a_program_that_refuses_is_refused_in_its_own_words(engine: Path, name: str) -> None:
    host = Windows(engine, [moved(ALICE, traits={"protected": True}), BOB])
    first, second = answers(host, script(name, ALICE.guard(), BOB.guard()))
    assert first.result is Result.REFUSED
    assert first.text.startswith(f"{PROGRAM[name]}.exe ended with 1: ")
    assert "rror" in first.text
    assert second.result is not Result.REFUSED


@pytest.mark.parametrize("name", ["logoff", "disconnect", "message"])
def test_w32_a_missing_program_is_refused(engine: Path, name: str) -> None:
    host = Windows(engine, [ALICE], lacks=[f"{PROGRAM[name]}.exe"])
    (answer,) = answers(host, script(name, ALICE.guard()))
    assert answer.result is Result.REFUSED
    assert answer.text.endswith(f"this host has no {PROGRAM[name]}.exe")
    assert answer.text.startswith("cannot notify") == (name == "message")


def test_text_of_programs_is_harmless(engine: Path, tmp_path: Path) -> None:
    host = Windows(engine, [ALICE])
    said = b"\x1b[31mno\r\n\a\tno\xff" + b"0" * 500
    host.programs["logoff"] = lambda _: ProgramResult(5, err=said)
    (answer,) = answers(host, script("logoff", ALICE.guard()))
    assert answer.text.startswith("logoff.exe ended with 5: [31mno noÿ000")
    assert answer.text.isprintable()
    assert len(answer.text) < 260


@pytest.mark.parametrize(("name", "program"), [("logoff", "logoff.exe"), ("disconnect", "tsdiscon.exe")])
def test_w37_each_act_is_in_the_hosts_own_log(engine: Path, name: str, program: str) -> None:
    host = Windows(engine, [ALICE, moved(BOB, born=LATER)])
    results(host, script(name, ALICE.guard(), BOB.guard()))
    act = f"{program} 2 for the session begun at {ALICE.born}"
    assert host.events == [f"mpsbridge Information 1: Run run-1 of mpsbridge, as STATION-HOST\\Administrator: {act}."]


def test_w37_a_log_that_does_not_take_it_is_one_problem(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB], event_log="denied")
    envelope = open_envelope("logoff", host.run(script("logoff", ALICE.guard(), BOB.guard())))
    assert [problem.partition(":")[0] for problem in envelope.problems] == ["event log"]
    assert host.ids == []


# MultiPoint.


@pytest.mark.parametrize("generation", ["2012", "2016"])
@pytest.mark.parametrize("name", ["logoff", "disconnect"])
def test_w11_multipoint_is_asked_for_one_session_at_a_time(engine: Path, generation: str, name: str) -> None:
    host = Windows(engine, [ALICE, BOB, CAROL], generation=generation)
    found = results(host, script(name, ALICE.guard(), CAROL.guard()))
    verb = {"logoff": "close", "disconnect": "disconnect"}[name]
    assert found == [Result.ENDED if name == "logoff" else Result.DISCONNECTED] * 2
    assert host.record == [Act("wms", [verb, "2"]), Act("wms", [verb, "7"])]


def test_w11_multipoint_refuses_and_the_program_does_it(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB], generation="2016", wms="throws")
    (answer,) = answers(host, script("logoff", ALICE.guard()))
    assert (answer.result, "The MultiPoint service reported an error" in answer.text) == (Result.ENDED, True)
    assert "EndInvoke" not in answer.text  # what the cmdlet said, without PowerShell's wrapping
    assert told(host) == [("wms", "close"), ("logoff", "2")]
    assert host.ids == [5]


def test_w11_multipoint_acts_and_then_throws(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB], generation="2016", wms="throws-late")
    (answer,) = answers(host, script("logoff", ALICE.guard()))
    assert (answer.result, "Close-WmsSession" in answer.text) == (Result.ENDED, True)
    assert told(host) == [("wms", "close")]


def test_w11_somebody_new_behind_a_cmdlet_that_threw_is_left_alone(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB], generation="2016", wms="throws")
    host.later(2, [Person(2, "mallory", born=LATER), BOB])
    (answer,) = answers(host, script("logoff", ALICE.guard()))
    assert answer.result is Result.ENDED
    assert told(host) == [("wms", "close")]
    assert host.ids == [2, 5]


@pytest.mark.xdist_group("timing")
def test_w11_multipoint_that_hangs_is_not_asked_again(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB], generation="2016", wms="hangs")
    first, second = answers(host, script("logoff", ALICE.guard(), BOB.guard(), time_limit_s=2))
    assert (first.result, first.text) == (Result.ENDED, "Close-WmsSession: no answer within 2 seconds")
    assert (second.result, second.text) == (Result.ENDED, "")
    assert told(host) == [("logoff", "2"), ("logoff", "5")]


# Disconnecting.


def test_disconnected_already_is_done(engine: Path) -> None:
    person = moved(BOB, name="", state="Disc")
    host = Windows(engine, [person])
    (answer,) = answers(host, script("disconnect", person.guard()))
    assert (answer.result, answer.text) == (Result.DISCONNECTED, "it was disconnected already")
    assert host.record == []


@pytest.mark.xdist_group("timing")
def test_a_disconnect_that_is_not_seen_is_unknown(engine: Path) -> None:
    host = Windows(engine, [moved(ALICE, traits={"ignores": True})])
    (answer,) = answers(host, script("disconnect", ALICE.guard(), time_limit_s=1))
    assert (answer.result, answer.text) == (Result.UNKNOWN, "the disconnect has begun")


# Messages.

TEXTS = [
    "Please save your work.",
    "it's 'quoted' and \"double quoted\"",
    "‘typographic’ “quotes” ‚low‛ „too“",
    "$HOME $(Get-Process) `whoami` ${x} @(1) @{a=1}",
    "%PATH% %TEMP% !VAR! ^& | < > & ;",
    "ends with a backslash \\",
    'ends with both \\"',
    "C:\\Program Files\\x\\\\",
    '"',
    "two  blanks   inside ",
    "Hôte redémarré à 18 h ; sauvegardez. 日本語 😀",
    "* 5 /server:other /w",
    '\\\\server\\share \\"',
]


@pytest.mark.parametrize("text", TEXTS)
def test_w32_a_text_arrives_as_one_argument(engine: Path, text: str) -> None:
    host = Windows(engine, [ALICE, BOB])
    sent = box(text, ALICE.guard(), display_s=45).render()
    assert results(host, sent) == [Result.SHOWN]
    assert host.record == [Act("msg", ["2", "/time:45", text])]


def test_w32_the_longest_text_passes_the_hosts_own_check(engine: Path) -> None:
    text = "x" + "\U0001f600" * 127
    host = Windows(engine, [ALICE])
    assert results(host, box(text, ALICE.guard()).render()) == [Result.SHOWN]
    assert host.record == [Act("msg", ["2", "/time:60", text])]


def test_w02_who_disconnects_meanwhile_was_not_shown_it(engine: Path) -> None:
    host = Windows(engine, [ALICE, BOB])

    def leave(arguments: list[str]) -> ProgramResult:
        if arguments[0] == "2":
            host.host.disconnect(2)
        return ProgramResult()

    host.programs["msg"] = leave
    first, second = answers(host, script("message", ALICE.guard(), BOB.guard()))
    assert (first.result, second.result) == (Result.UNKNOWN, Result.SHOWN)
    assert "same state" in first.text


@pytest.mark.parametrize("there", [moved(ALICE, name="", state="Disc"), moved(ALICE, state="Conn")])
def test_w02_a_session_in_another_state_gets_no_box(engine: Path, there: Person) -> None:
    host = Windows(engine, [there])
    assert results(host, script("message", ALICE.guard())) == [Result.REFUSED]
    assert host.record == []


def test_w02_a_disconnected_session_gets_no_box_even_if_it_was_seen_so(engine: Path) -> None:
    person = moved(ALICE, name="", state="Disc")
    host = Windows(engine, [person])
    assert results(host, script("message", person.guard())) == [Result.REFUSED]
    assert host.record == []


def test_a_message_does_not_mind_the_idle_time(engine: Path) -> None:
    host = Windows(engine, [moved(ALICE, idle="3")])
    assert results(host, script("message", ALICE.guard())) == [Result.SHOWN]


@pytest.mark.xdist_group("timing")
def test_w29_a_message_program_that_hangs_is_unknown(engine: Path) -> None:
    host = Windows(engine, [ALICE], hangs=["msg.exe"])
    (answer,) = answers(host, script("message", ALICE.guard(), time_limit_s=1))
    assert (answer.result, answer.text) == (Result.UNKNOWN, "msg.exe did not end in time")


# The quoting of arguments, by the documented rules of CommandLineToArgvW and of the C run-time.


def split_command_line(line: str) -> list[str]:
    """Arguments after the program's name, as Microsoft's "Parsing C command-line arguments" describes: 2n backslashes
    before a quote are n and the quote opens or closes, 2n+1 are n and the quote is text, others are themselves.
    """
    found: list[str] = []
    current, inside, begun, at = "", False, False, 0
    while at < len(line):
        slashes = len(line[at:]) - len(line[at:].lstrip("\\"))
        after = line[at + slashes : at + slashes + 1]
        if slashes and after == '"':
            current, begun = current + "\\" * (slashes // 2) + ('"' if slashes % 2 else ""), True
            inside ^= slashes % 2 == 0
            at += slashes + 1
        elif slashes:
            current, begun = current + "\\" * slashes, True
            at += slashes
        elif line[at] == '"':
            inside, begun = not inside, True
            at += 1
        elif line[at] in " \t" and not inside:
            found, current, begun = found + [current] * begun, "", False
            at += 1
        else:
            current, begun = current + line[at], True
            at += 1
    return found + [current] * begun


def quoted(engine: Path, folder: Path, lines: list[list[str]]) -> list[str]:
    """Each list of arguments as the templates' own function joins it."""
    (folder / "arguments.json").write_text(json.dumps({"lines": [{"arguments": line} for line in lines]}))
    functions = (TEMPLATES / "shared" / "program.ps1.j2").read_text()
    call = f"""
    foreach ($line in (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText('{folder}/arguments.json'))).lines) {{
        $text = @($line.arguments | ForEach-Object {{ ConvertTo-MpsbridgeArgument $_ }}) -join ' '
        [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($text))
    }}
    """
    output = run_script(engine, functions + call)
    assert not output.errors, output.errors
    return [base64.b64decode(text).decode() for text in output.output]


awkward = st.text(st.sampled_from('\\\\\\""\' \ta/é%$`\u00a0\u2019😀'), max_size=12)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the engine is a path
@given(lines=st.lists(st.lists(awkward, min_size=1, max_size=3), min_size=100, max_size=100))
def test_w32_arguments_survive_the_documented_rules(
    lines: list[list[str]], engine: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = quoted(engine, tmp_path_factory.mktemp("quoting"), lines)
    assert [split_command_line(line) for line in written] == lines


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ('"abc" d e', ["abc", "d", "e"]),
        (r'a\\b d"e f"g h', [r"a\\b", "de fg", "h"]),
        (r"a\\\"b c d", [r"a\"b", "c", "d"]),
        (r'a\\\\"b c" d e', [r"a\\b c", "d", "e"]),
        ('""', [""]),
    ],
)
def test_the_splitter_is_the_documented_one(line: str, arguments: list[str]) -> None:
    """The examples of Microsoft's own page."""
    assert split_command_line(line) == arguments


# Logons.


def set_mode(host: Windows, wanted: LogonMode, expected: LogonMode | None = None, **changes: Any) -> Logons:
    return SetLogonMode.read(host.run(mode(wanted, expected, **changes).render()))


SWITCH = {
    LogonMode.ENABLED: "/enable",
    LogonMode.DRAIN: "/drain",
    LogonMode.DRAIN_UNTIL_RESTART: "/drainuntilrestart",
    LogonMode.DISABLED: "/disable",
}


@pytest.mark.parametrize("wanted", [LogonMode.DRAIN, LogonMode.DRAIN_UNTIL_RESTART, LogonMode.DISABLED])
def test_w17_set_and_read_back(engine: Path, wanted: LogonMode) -> None:
    host = Windows(engine, [])
    assert set_mode(host, wanted, LogonMode.ENABLED) == Logons(mode=wanted, was=LogonMode.ENABLED)
    assert set_mode(host, LogonMode.ENABLED, wanted) == Logons(mode=LogonMode.ENABLED, was=wanted)
    assert host.record == [Act("chglogon", [SWITCH[wanted]]), Act("chglogon", ["/enable"])]
    said = [entry.rpartition(": ")[2] for entry in host.events]
    assert said == [f"logons set from enabled to {wanted}.", f"logons set from {wanted} to enabled."]


def test_w17_what_others_changed_is_left(engine: Path) -> None:
    host = Windows(engine, [], logon_mode="disabled")
    found = set_mode(host, LogonMode.ENABLED, LogonMode.DRAIN)
    assert found == Logons(mode=LogonMode.DISABLED, was=LogonMode.DISABLED)
    assert host.record == []


def test_set_already_is_nothing_to_do(engine: Path) -> None:
    host = Windows(engine, [], logon_mode="drain")
    assert set_mode(host, LogonMode.DRAIN) == Logons(mode=LogonMode.DRAIN, was=LogonMode.DRAIN)
    assert host.record == []


@pytest.mark.xdist_group("timing")
def test_w17_a_mode_that_does_not_stick_is_an_error(engine: Path) -> None:
    host = Windows(engine, [], logons_stuck=True)
    with pytest.raises(RemoteError, match=r"logons are still enabled; chglogon\.exe ended with 1"):
        set_mode(host, LogonMode.DRAIN)


def test_w17_a_mode_that_cannot_be_read_is_not_written(engine: Path) -> None:
    host = Windows(engine, [])
    host.facts["cim"] = lambda _: None
    with pytest.raises(RemoteError):
        set_mode(host, LogonMode.DRAIN)
    assert host.record == []


def test_without_chglogon_nothing_is_set(engine: Path) -> None:
    host = Windows(engine, [], lacks=["chglogon.exe"])
    with pytest.raises(RemoteError, match="no chglogon") as caught:
        set_mode(host, LogonMode.DRAIN)
    assert not caught.value.may_have_run


def test_w04_setting_too_late_does_nothing(engine: Path) -> None:
    host = Windows(engine, [])
    with pytest.raises(RemoteError, match="meant to be done by") as caught:
        set_mode(host, LogonMode.DRAIN, not_after="20200101000000.000000+000")
    assert "Nothing was done" in caught.value.hint
    assert host.record == []


def test_w04_setting_under_somebodys_lease_does_nothing(engine: Path) -> None:
    host = Windows(engine, [], lease='{"run":"run-2","owner":"admin@box"}')
    with pytest.raises(RemoteError, match="leased to admin@box run-2"):
        set_mode(host, LogonMode.DRAIN)
    assert host.record == []


def test_w30_setting_in_constrained_language_refuses(engine: Path) -> None:
    host = Windows(engine, [])
    with pytest.raises(RemoteError, match="ConstrainedLanguage"):
        SetLogonMode.read(host.run(mode(LogonMode.DRAIN).render(), language="ConstrainedLanguage"))
    assert host.record == []
