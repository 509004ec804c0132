"""What leaves the program: encodings, streams that fail, readers that go, and the exit code afterwards."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.console import Command

from mpsbridge.cli.output import Stream, code_after, encodable, guarded_streams, say_at_once
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.harmless import json_text
from mpsbridge.models.outcomes import Skipped
from mpsbridge.runs.journal import Journal
from mpsbridge.schemas import answers

PETROV = "ПЕТРОВ"
HOSTS: list[dict[str, Any]] = [
    {
        "name": name,
        "sessions": [
            {"id": 2, "user": PETROV, "session_name": "rdp-tcp#1", "logon": "2h"},
            {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "2h"},
        ],
    }
    for name in ("alpha", "beta", "gamma")
]
ENCODINGS: dict[str, dict[str, str]] = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii:strict": {"PYTHONIOENCODING": "ascii:strict"},
    "LANG=C": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS}), auth="basic") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        monkeypatch.setenv("MPSBRIDGE_INSECURE_BASIC", "1")
        yield running


def real(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A call as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mpsbridge", *words],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env=os.environ | variables,
        check=False,
    )


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """The same in a line for the shell, in which ``$X`` is the command."""
    return subprocess.run(
        ["/bin/bash", "-c", line],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env=os.environ | {"X": f"{sys.executable} -m mpsbridge"},
        check=False,
    )


class Full(io.StringIO):
    """A file on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class Unread(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@given(
    st.text(st.characters(exclude_categories=()), max_size=20), st.sampled_from(["ascii", "latin-1", "cp850", "utf-8"])
)
def test_json_reads_back_what_an_encoding_lacked(text: str, encoding: str) -> None:
    left = encodable(json.dumps({"user": text}, ensure_ascii=False), encoding).encode(encoding)
    assert json.loads(left.decode(encoding)) == json.loads(json.dumps({"user": text}))


def test_an_outcome_with_a_lone_surrogate_is_a_json_line() -> None:
    outcome = Skipped(host="ts1", address="ts1", elapsed_s=0.0, reason="DOM\\e\ud800ve")
    line = json_text(answers.line("sessions", outcome))
    assert json.loads(encodable(line, "utf-8").encode())["reason"] == "DOM\\e\ud800ve"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_result_that_cannot_be_encoded_is_escaped(lab: Lab, encoding: str) -> None:
    found = real("logoff", "alpha", "--session", "2", "--yes", **ENCODINGS[encoding])
    assert (found.returncode, [change.user for change in lab.changes if change.act == "logoff"]) == (0, [PETROV])
    assert "\\u041f\\u0415\\u0422\\u0420\\u041e\\u0412  ended" in found.stdout
    assert "Traceback" not in found.stderr


def test_a_json_answer_is_valid_whatever_the_encoding(lab: Lab) -> None:
    for form, variables in (("json", ENCODINGS["latin-1"]), ("jsonl", ENCODINGS["ascii:strict"])):
        found = real("message", "alpha", "--all", "--text", "hello", "-o", form, **variables)
        assert found.returncode == 0
        outcome = json.loads(found.stdout) if form == "jsonl" else json.loads(found.stdout)["outcomes"][0]
        assert outcome["value"]["sessions"][0]["session"]["account"] == f"ALPHA\\{PETROV}"


def test_a_lost_stream_is_told_once_and_never_raises() -> None:
    told = io.StringIO()
    out = Stream(Full(), "standard output", beside=Stream(told, "standard error"))
    for _ in range(3):
        print("an answer", file=out, flush=True)
    assert told.getvalue() == "mpsbridge: standard output cannot be written: No space left on device\n"
    assert [code_after(code, out) for code in (0, 1, 2, 3, 4, 130)] == [1, 1, 2, 3, 4, 130]


def test_the_answer_of_a_call_that_acts_goes_to_the_stream_that_lives() -> None:
    told = io.StringIO()
    out = Stream(Unread(), "standard output", beside=Stream(told, "standard error"))
    out.keep_answer()
    for line in ("first\n", "second\n"):
        print(line, end="", file=out, flush=True)
    heading = "mpsbridge: standard output is not read any more; the answer follows here\n"
    assert told.getvalue() == f"{heading}first\nsecond\n"
    assert [code_after(code, out) for code in (0, 1, 4, 130)] == [0, 1, 4, 130]


def test_who_has_read_enough_is_told_nothing() -> None:
    told = io.StringIO()
    out = Stream(Unread(), "standard output", beside=Stream(told, "standard error"))
    print("an answer", file=out, flush=True)
    assert told.getvalue() == ""
    assert [code_after(code, out) for code in (0, 1, 130)] == [0, 0, 0]
    assert code_after(130, out, was_interrupted=True) == 130


def test_a_stream_that_was_closed_before_the_start_is_lost_when_it_is_needed() -> None:
    out = Stream(None, "standard output")
    assert (out.isatty(), out.lost) == (False, None)
    print("an answer", file=out, flush=True)
    assert code_after(0, out) == 1


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "line of an answer\n" * 20_000
    with (
        subprocess.Popen(
            [sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"],
            stdin=reading,
            stdout=subprocess.PIPE,
            encoding="ascii",
        ) as reader,
        os.fdopen(writing, "w", encoding="utf-8") as pipe,
    ):
        os.close(reading)
        out = Stream(pipe, "standard output")
        print(text, end="", file=out, flush=True)
        pipe.close()
        assert out.lost is None
        assert int(reader.communicate()[0]) == len(text)


def test_streams_are_as_they_were_after_a_call() -> None:
    before = sys.stdin, sys.stdout, sys.stderr
    with guarded_streams() as outer, guarded_streams() as inner:
        assert (inner.out, inner.err) == (outer.out, outer.err)
    assert (sys.stdin, sys.stdout, sys.stderr) == before


def test_last_words_never_wait_for_an_output_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpsbridge.cli.output.LAST_WORDS_S", 0.05)
    reading, writing = os.pipe()
    code = f"import os; os.dup2({writing}, 2); from mpsbridge.cli import output; output.LAST_WORDS_S = 0.05\n"
    code += "output.say_at_once('x' * 1_000_000); os._exit(7)"
    found = subprocess.run([sys.executable, "-c", code], pass_fds=[writing], timeout=20, check=False)
    os.close(writing)
    os.close(reading)
    assert found.returncode == 7


def test_a_bare_call_shows_the_help_and_is_a_wrong_call(mpsbridge: Command) -> None:
    found = mpsbridge()
    assert (found.code, found.err) == (2, "")
    assert "Usage: mpsbridge" in found.out


@pytest.mark.parametrize(
    "words", ["--version", "--help", "", "sessions alpha -o csv", "sessions alpha -o json", "history"]
)
def test_no_output_that_is_full_or_closed_makes_a_traceback(lab: Lab, words: str) -> None:
    found = shell(f"$X {words} >/dev/full; echo $?; $X {words} >&-; echo $?; $X {words} >&- 2>&- <&-; echo $?")
    code = "1" if words else "2"
    assert found.stdout.split() == [code] * 3
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr
    said = [line for line in found.stderr.splitlines() if not line.startswith("warning")]
    assert said == [
        "mpsbridge: standard output cannot be written: No space left on device",
        "mpsbridge: standard output cannot be written: it is closed",
    ]


def test_a_closed_standard_input_is_empty(lab: Lab) -> None:
    found = shell("$X sessions alpha <&-; echo $?; $X sessions - <&-; echo $?; $X logoff alpha --all <&-; echo $?")
    assert [line for line in found.stdout.splitlines() if line.isdigit()] == ["0", "2", "3"]
    assert "Traceback" not in found.stderr


def test_a_closed_descriptor_is_not_the_number_of_the_next_file(lab: Lab, tmp_path: Path) -> None:
    found = shell(f"$X logoff alpha --user bob --yes --journal {tmp_path}/record >&- 2>&-; echo $?")
    assert found.stdout.split() == ["1"]
    with Journal(tmp_path / "record") as journal:
        assert [str(run.verdict) for run in journal.runs()] == ["done: standard output cannot be written: it is closed"]


@pytest.mark.parametrize("words", ["sessions alpha beta gamma --watch 1s", "sessions alpha beta gamma -o jsonl"])
def test_a_call_that_only_reads_ends_when_its_reader_does(lab: Lab, words: str) -> None:
    found = shell(f"$X {words} | head -1; echo ${{PIPESTATUS[0]}}")
    assert found.stdout.splitlines()[-1] == "0"
    assert [line for line in found.stderr.splitlines() if not line.startswith("warning")] == []


def test_last_words_are_written_past_all_locks(capfd: pytest.CaptureFixture[str]) -> None:
    say_at_once("left: ПЕТРОВ \ud800\n")
    assert capfd.readouterr().err == "left: ПЕТРОВ \\ud800\n"
