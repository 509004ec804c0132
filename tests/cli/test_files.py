"""Files that people name: who else may write them, how much of them is read, and that ours are for their owner."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.console import Command
from support.fake_clock import FakeClock

from mpsbridge import files
from mpsbridge.files import others_read, read_text, who_else_writes
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.toml import load

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX'")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(("mode", "found"), [(0o600, ""), (0o644, ""), (0o602, "can be written by other users")])
def test_a_mode_tells_who_else_may_write(file: Path, mode: int, found: str) -> None:
    file.chmod(mode)
    assert who_else_writes(file) == found


def test_a_group_counts_unless_it_is_ones_own(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o660)
    monkeypatch.setattr(files, "_is_own_group", lambda _: False)
    assert who_else_writes(file) == "can be written by other users"
    monkeypatch.setattr(files, "_is_own_group", lambda _: True)
    assert who_else_writes(file) == ""


def test_a_folder_that_anybody_may_write_lets_anybody_replace_the_file(file: Path) -> None:
    file.parent.chmod(0o777)
    assert who_else_writes(file) == "is in a folder that other users can write"
    file.parent.chmod(0o1777)  # as /tmp is
    assert who_else_writes(file) == ""


def test_a_file_of_somebody_else_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = file.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert who_else_writes(file) == ("" if owner == 0 else "belongs to another user")
    assert who_else_writes(file.with_name("missing")) == ""


@pytest.mark.parametrize(("mode", "read"), [(0o600, False), (0o640, True), (0o604, True)])
def test_who_else_may_read(file: Path, mode: int, read: bool) -> None:
    file.chmod(mode)
    assert others_read(file) is read


def test_so_much_is_read_and_no_more(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "TEXT_LIMIT", 10)
    file.write_bytes(b"\xef\xbb\xbf" + b"x" * 7)
    assert read_text(file) == "x" * 7
    file.write_bytes(b"x" * 11)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        read_text(file)
    file.write_bytes(b"Sch\xfcler")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_text(file)


ODD_TOML = ["a = " + "[" * 100_000, "a = " + "9" * 5000, "a = {", "\0", "a = 1\na = 2", "[a]\n[a]"]


@pytest.mark.parametrize("text", ODD_TOML, ids=range(len(ODD_TOML)))
def test_whatever_is_no_toml_is_one_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        load(text)
    assert len(str(caught.value)) < 200


# Over the command line: one sentence, exit code 2, nothing contacted.

ODD_FILES = {
    "deep": ("a = " + "[" * 100_000).encode(),
    "a long number": b"port = " + b"9" * 5000,
    "latin-1": "username = 'Schüler'".encode("latin-1"),
    "utf-16": "port = 5985".encode("utf-16"),
    "endless": b"#" + b"x" * (files.TEXT_LIMIT + 1),
}


@pytest.mark.parametrize("content", ODD_FILES.values(), ids=list(ODD_FILES))
def test_an_odd_settings_file_is_one_sentence(
    content: bytes, mpsbridge: Command, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(content)
    monkeypatch.setenv("MPSBRIDGE_SETTINGS", str(file))
    said = mpsbridge("sessions", "ts1", "-o", "json")
    assert said.code == 2
    assert said.document["error"]["message"].startswith(f"the settings file {file} ")
    assert len(said.err.splitlines()) <= 2


@pytest.mark.parametrize("content", ODD_FILES.values(), ids=list(ODD_FILES))
@pytest.mark.parametrize("name", ["hosts.toml", "hosts.json", "hosts"])
def test_an_odd_inventory_is_one_sentence(content: bytes, name: str, mpsbridge: Command, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    said = mpsbridge("hosts", "all", "--inventory", str(path))
    assert said.code == 2
    assert str(path) in said.err
    assert len(said.err.splitlines()) <= 3
    assert len(said.err) < 2000


def test_a_deep_listing_of_ansible_is_one_sentence(mpsbridge: Command, tmp_path: Path) -> None:
    path = tmp_path / "listing.json"
    path.write_text('{"_meta": ' + "[" * 100_000, encoding="utf-8")
    said = mpsbridge("hosts", "all", "--inventory", str(path))
    assert (said.code, "nested too deeply" in said.err) == (2, True)


@pytest.mark.parametrize("content", ODD_FILES.values(), ids=list(ODD_FILES))
def test_an_odd_plan_is_one_sentence(content: bytes, mpsbridge: Command, file: Path) -> None:
    file.write_bytes(content)
    said = mpsbridge("maintain", str(file), "--yes")
    assert said.code == 2
    assert f"the plan {file} " in said.err


def test_a_password_does_not_stand_in_the_settings_file(
    mpsbridge: Command, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("password = 'Correct-Horse'", encoding="utf-8")
    monkeypatch.setenv("MPSBRIDGE_SETTINGS", str(file))
    said = mpsbridge("sessions", "ts1")
    assert said.code == 2
    assert "a password does not stand in the settings file" in said.err
    assert "Correct" not in said.err + said.out


EMPTY = {
    "INVENTORY": "--inventory",
    "USERNAME": "--username",
    "PASSWORD_FILE": "",
    "CA_FILE": "--ca-file",
    "KEYTAB": "--keytab",
    "JOURNAL": "--journal",
}


@pytest.mark.parametrize("variable", EMPTY)
def test_an_empty_name_is_never_the_working_folder(
    variable: str, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "build.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho '{{}}'\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    if option := EMPTY[variable]:
        by_option = mpsbridge("hosts", "all", option, "")
        assert by_option.code == 2
        assert f"{option}: it is empty" in by_option.err
    monkeypatch.setenv(f"MPSBRIDGE_{variable}", "")
    by_variable = mpsbridge("hosts", "all")
    assert by_variable.code == 2
    assert f"MPSBRIDGE_{variable}: it is empty" in by_variable.err
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["ca_file", "password_file", "username"])
def test_an_empty_name_in_an_inventory_is_an_error(key: str, mpsbridge: Command, tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(f'[hosts.ts1]\n{key} = ""\n', encoding="utf-8")
    said = mpsbridge("hosts", "all", "--inventory", str(path))
    assert said.code == 2
    assert "it is empty" in said.err


@pytest.mark.parametrize("word", ["admin:SECRET@ts1", "SECRET@ts1", "!admin:SECRET@ts1", "a,admin:SECRET@ts1:5985"])
def test_what_stands_before_an_at_is_never_quoted(word: str, mpsbridge: Command) -> None:
    said = mpsbridge("sessions", word)
    assert said.code == 2
    assert "SECRET" not in said.err + said.out
    assert "***@ts1" in said.err


# Whose files they are is said once, and those that we make are for their owner.


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    people = [{"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"}]
    running = Lab(build_world({"hosts": [{"name": "ts1", "sessions": people}]}), record=tmp_path / "record")
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
    return running


def _modes(folder: Path, *names: str) -> set[int]:
    return {stat.S_IMODE((folder / name).stat().st_mode) for name in names}


def test_what_holds_names_is_for_its_owner_alone(
    lab: Lab, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o000)
    try:
        with lab:
            monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
            lab.write_ready_file(tmp_path / "ready.json")
            words = ("--all", "--no-warning", "--yes", "--reason", "updates", "--events", str(tmp_path / "events"))
            assert mpsbridge("end", "ts1", *words, "--journal", str(tmp_path / "journal")).code == 0
            assert mpsbridge("doctor", "ts1", "--save", str(tmp_path / "saved"), "--yes").code in {0, 1}
    finally:
        os.umask(before)
    assert _modes(tmp_path, "ready.json", "events", "journal", "saved", "record") == {0o600}
    assert json.loads((tmp_path / "ready.json").read_text(encoding="utf-8"))


def test_a_ready_file_is_never_written_through_what_lies_there(lab: Lab, tmp_path: Path) -> None:
    """Its draft has a name that nobody can foresee, and is made anew."""
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    foreseen = tmp_path / f".ready.json.{os.getpid()}"
    foreseen.symlink_to(victim)
    with lab:
        lab.write_ready_file(tmp_path / "ready.json")
    assert victim.read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if "ready" in path.name) == [foreseen.name, "ready.json"]


def _write(path: Path, text: str, mode: int) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


SAID: dict[str, tuple[Callable[[Path], tuple[str, ...]], str]] = {
    "settings": (lambda _: ("hosts", "ts1"), "the settings file {}/settings.toml can be written by other users"),
    "inventory": (
        lambda folder: ("hosts", "ts1", "--inventory", str(_write(folder / "inv.toml", "[hosts.ts1]", 0o666))),
        "the inventory {}/inv.toml can be written by other users",
    ),
    "list": (
        lambda folder: ("hosts", f"@{_write(folder / 'list', 'ts1', 0o602)}"),
        "the list {}/list can be written by other users",
    ),
    "list behind a sign": (
        lambda folder: ("hosts", "ts1", "ts2", f" ! @{_write(folder / 'list', 'ts1', 0o602)}"),
        "the list {}/list can be written by other users",
    ),
    "plan": (
        lambda folder: ("maintain", str(_write(folder / "plan.toml", "", 0o666)), "--yes"),
        "the plan {}/plan.toml can be written by other users",
    ),
    "secret": (
        lambda folder: ("sessions", "127.0.0.1", "--username", "a", *_secret(folder)),
        "the password file {}/secret can be written by other users",
    ),
    "secret that others read": (
        lambda folder: ("sessions", "127.0.0.1", "--username", "a", *_secret(folder)),
        "the password file {}/secret can be read by other users (chmod 600)",
    ),
}


def _secret(folder: Path) -> tuple[str, ...]:
    _write(folder / "secret", "Correct-Horse", 0o646)
    inventory = _write(folder / "inv.toml", "[hosts.'127.0.0.1']\nport = 1\npassword_file = 'secret'\n", 0o600)
    return ("--inventory", str(inventory))


@pytest.mark.parametrize("what", SAID)
def test_a_file_that_others_may_write_is_said_once(
    what: str, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, said = SAID[what]
    monkeypatch.setenv("MPSBRIDGE_SETTINGS", str(_write(tmp_path / "settings.toml", "", 0o666)))
    err = mpsbridge(*words(tmp_path)).err
    assert err.count(said.format(tmp_path)) == 1, err


def test_files_of_ones_own_are_no_matter(mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_SETTINGS", str(_write(tmp_path / "settings.toml", "", 0o644)))
    inventory = _write(tmp_path / "inv.toml", "[hosts.ts1]", 0o644)
    assert mpsbridge("hosts", "ts1", "--inventory", str(inventory)).err == ""


# What is no regular file.


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe that nobody reads."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


READING = [
    ("sessions", "@{}"),
    ("sessions", "ts1", "--inventory", "{}"),
    ("maintain", "{}", "--dry-run"),
    ("end", "ts1", "--all", "--notice-file", "{}", "--yes"),
    ("render", "observe", "--params", "@{}"),
    ("parse", "{}"),
    ("lab", "--world", "{}"),
]
"""Calls that read a file once."""


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_a_pipe_to_which_nobody_writes_is_refused(
    pipe: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Once the call waited for a writer, beyond its deadline."""
    monkeypatch.setattr(files, "WRITER_WITHIN_S", 0.1)
    found = mpsbridge(*(word.format(pipe) for word in words))
    assert (found.code, "no program writes to it" in found.err) == (2, True), found.err


def test_a_pipe_is_given_some_seconds_for_its_writer(pipe: Path) -> None:
    clock = FakeClock()
    with pytest.raises(TimeoutError):
        files.read_bytes(pipe, 100, clock)
    assert files.WRITER_WITHIN_S <= clock.ticks < files.WRITER_WITHIN_S + 1


def test_a_pipe_is_read_to_its_end_once_a_program_writes_to_it(pipe: Path) -> None:
    def write() -> None:
        with pipe.open("wb", buffering=0) as stream:
            stream.write(b"[hosts.ts1]")
            stream.write(b"\n[hosts.ts2]\n")

    writer = threading.Thread(target=write)
    writer.start()
    assert files.read_bytes(pipe, 100) == b"[hosts.ts1]\n[hosts.ts2]\n"
    writer.join()


def test_what_a_shell_pipes_is_read(mpsbridge: Command) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"ts7\n")
        os.close(writing)
        found = mpsbridge("hosts", "--inventory", f"/dev/fd/{reading}")
        assert (found.code, "ts7" in found.out) == (0, True), found.err
    finally:
        os.close(reading)


def test_a_device_without_an_end_is_read_up_to_the_limit(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "TEXT_LIMIT", 1000)
    found = mpsbridge("maintain", "/dev/zero", "--dry-run")
    assert (found.code, "more than 1000 bytes" in found.err) == (2, True)


def test_a_pipe_that_nobody_reads_is_refused_at_once(
    lab: Lab, pipe: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the call waited for a reader, beyond its deadline and through Ctrl-C."""
    with lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        ended = mpsbridge("end", "ts1", "--all", "--no-warning", "--yes", "--events", str(pipe))
        assert (ended.code, f"--events: {pipe} cannot be written" in ended.err) == (2, True)
        saved = mpsbridge("doctor", "ts1", "--save", str(pipe))
        assert (saved.code, f"--save: {pipe} cannot be written" in saved.err) == (2, True)
        assert lab.changes == []


@pytest.mark.parametrize("path", ["missing/saved", "."])
def test_where_nothing_can_be_saved_no_host_is_asked(
    path: str, lab: Lab, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        found = mpsbridge("doctor", "ts1", "--save", path)
        assert (found.code, lab.requests) == (2, [])


def test_a_full_disk_under_what_is_saved_hides_no_answer(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        found = mpsbridge("doctor", "ts1", "--save", "/dev/full", "--yes", "-o", "json")
    assert found.code == 1
    assert found.document["outcomes"][0]["value"]["checks"]
    assert "--save: /dev/full cannot be written" in found.err


def test_a_ready_file_takes_the_place_of_a_file_and_of_nothing_else(lab: Lab, tmp_path: Path, pipe: Path) -> None:
    """As root, ``--ready-file /dev/stdout`` would have removed that for everybody."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    link.symlink_to(target)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    with lab:
        lab.write_ready_file(link)
        while reader.is_alive() and not read:
            with contextlib.suppress(OSError):  # the reader may not be there yet
                lab.write_ready_file(pipe)
                break
        reader.join(10)
    assert (link.is_symlink(), pipe.is_fifo()) == (True, True)
    assert json.loads(target.read_text(encoding="utf-8")) == json.loads(read[0])


@pytest.mark.parametrize(("mode", "said"), [(0o644, "can be read by other users"), (0o602, "can be written by")])
def test_names_that_go_into_a_file_of_others_are_said(
    mode: int, said: str, lab: Lab, mpsbridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "out", "", mode)
    with lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        words = ("--all", "--no-warning", "--yes", "--journal", str(tmp_path / "journal"))
        events = mpsbridge("end", "ts1", *words, "--events", str(path))
        assert f"--events: {path} {said}" in events.err
