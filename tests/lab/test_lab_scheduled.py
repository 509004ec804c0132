"""A make-believe computer by itself: files with rights and dates, and tasks that are executed when they are due."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fake_clock import FakeClock

from mpsbridge.errors import SettingsError
from mpsbridge.lab import build_world
from mpsbridge.lab.engines.contract import Memory, Submitted
from mpsbridge.lab.engines.scripted.engine import ScriptedEngine
from mpsbridge.lab.windows.files import Access, Rule
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.tasks import BadTask, Task

NOTE = r"C:\Data\note.txt"
TASK = r"\our folder\backup"
XML = """<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers>%s</Triggers>
  <Settings><Enabled>%s</Enabled></Settings>
  <Actions><Exec><Command>%%SystemRoot%%\\System32\\backup.exe</Command><Arguments>/all</Arguments></Exec></Actions>
</Task>"""


def host(**facts: Any) -> LabHost:
    return build_world({"hosts": [{"name": "a", **facts}]}, FakeClock()).hosts["a"]


def at(where: LabHost, seconds: float) -> str:
    return (where.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def every(where: LabHost, first_s: float, interval: str, *, until_s: float = 9e6) -> str:
    return (
        f"<TimeTrigger><Repetition><Interval>{interval}</Interval></Repetition><StartBoundary>{at(where, first_s)}"
        f"</StartBoundary><EndBoundary>{at(where, until_s)}</EndBoundary></TimeTrigger>"
    )


def ran(where: LabHost, seconds: float, *, looks_every_s: float = 1.0) -> list[float]:
    """When its tasks are executed in the time that passes now, in seconds from now."""
    start, found = where.world.clock.monotonic(), []

    def execute(_: LabHost, task: Task) -> int:
        assert (task.path, task.arguments) == (TASK, "/all")
        found.append(where.world.clock.monotonic() - start)
        return 0

    where.execute = execute
    while where.world.clock.monotonic() < start + seconds:
        where.world.clock.wait(looks_every_s)
        where.rows()
    return found


def test_a_time_trigger_repeats_until_its_end() -> None:
    where = host()
    where.register_task(TASK, XML % (every(where, 60, "PT5M", until_s=700), "true"))
    assert ran(where, 2000) == [60, 360, 660]


def test_a_turn_that_was_missed_is_one_turn() -> None:
    where = host()
    where.register_task(TASK, XML % (every(where, 60, "PT1M"), "true"))
    assert ran(where, 600, looks_every_s=300) == [300, 600]


def test_a_boot_trigger_waits_for_the_next_start_of_windows() -> None:
    where = host(restart_s=50)
    where.register_task(TASK, XML % ("<BootTrigger><Delay>PT1M30S</Delay></BootTrigger>", "true"))
    assert ran(where, 1000) == []
    where.restart()
    assert ran(where, 1000) == [140]


def test_while_a_host_is_down_nothing_runs_on_it() -> None:
    where = host(restart_s=100)
    where.register_task(TASK, XML % (every(where, 30, "PT1M"), "true"))
    where.restart()
    assert ran(where, 200) == [150]


@pytest.mark.parametrize("trigger", ["", "<LogonTrigger/>"])
def test_a_task_without_a_turn_or_a_disabled_one_never_runs(trigger: str) -> None:
    where = host()
    where.register_task(TASK, XML % (trigger, "true"))
    assert ran(where, 1000) == []
    where.register_task(TASK, XML % (every(where, 60, "PT5M"), "false"))
    assert ran(where, 1000) == []
    assert [*where.tasks] == [TASK]


def test_removed_it_never_runs_and_disk_protection_drops_it_at_a_restart() -> None:
    where = host()
    where.register_task(TASK, XML % (every(where, 60, "PT5M"), "true"))
    where.remove_task(TASK)
    where.remove_task(TASK)
    assert ran(where, 1000) == []
    told = [(change.act, change.text) for change in where.world.changes]
    assert told == [("task", f"registered {TASK}"), ("task", f"removed {TASK}")]
    where = host(generation="2016", disk_protection="Discard", files=[{"path": NOTE, "text": "first"}])
    where.register_task(TASK, XML % (every(where, 60, "PT5M"), "true"))
    where.write_file(NOTE, "second")
    where.write_file(r"C:\other", "x")
    where.restart()
    assert (where.tasks, [*where.files], where.files.read(NOTE)) == ({}, [NOTE], "first")


@pytest.mark.parametrize(
    "xml",
    [
        "<Task",
        "<Task/>",
        XML % ("<BootTrigger><Delay>3 minutes</Delay></BootTrigger>", "true"),
        XML % ("<TimeTrigger><StartBoundary>tomorrow</StartBoundary></TimeTrigger>", "true"),
    ],
)
def test_what_is_not_a_task_is_refused(xml: str) -> None:
    where = host()
    with pytest.raises(BadTask, match="The task XML"):
        where.register_task(TASK, xml)
    assert where.tasks == {}


def test_the_scripted_engine_executes_its_own_command_and_no_other() -> None:
    where = host(logon_mode="drain")
    ScriptedEngine().answer(where, Submitted("quser"), Memory())
    where.register_task(TASK, XML % (every(where, 60, "PT5M"), "true"))
    where.world.clock.wait(1000)
    where.rows()
    assert (where.logon_mode, where.events, [*where.tasks]) == ("drain", [], [TASK])


@pytest.mark.parametrize("kept", [False, True])
def test_files_have_no_case_in_their_paths_and_dates_of_the_host(kept: bool, tmp_path: Path) -> None:
    where = host(files=[{"path": NOTE, "text": "é\r\n"}], clock_offset_s=7200)
    first = where.files.written(NOTE)
    if kept:
        where.files.keep_in(tmp_path / "c")
        assert (tmp_path / "c" / "Data" / "note.txt").read_bytes() == b"\xc3\xa9\r\n"
    assert (where.files.read(NOTE), [*where.files]) == ("é\r\n", [NOTE])
    assert first == where.now()
    where.world.clock.wait(100)
    where.files.write(NOTE, "")
    assert (where.files.read(NOTE), where.files.written(NOTE)) == ("", where.now())
    where.files.write(NOTE, None)
    assert (where.files.read(NOTE), where.files.written(NOTE), [*where.files]) == (None, None, [])
    if not kept:
        where.files.write(NOTE.upper(), "x")
        assert where.files.read(NOTE.lower()) == "x"


def test_what_a_script_writes_itself_is_dated_by_the_hosts_clock(tmp_path: Path) -> None:
    where = host(files=[{"path": NOTE, "text": "first"}], clock_offset_s=-3600)
    where.files.keep_in(tmp_path / "c")
    (tmp_path / "c" / "Data" / "note.txt").write_bytes(b"sec\xffond")
    os.utime(tmp_path / "c" / "Data" / "note.txt", (5, 5))
    where.world.clock.wait(10)
    assert (where.files.read(NOTE), where.files.written(NOTE)) == ("sec\ufffdond", where.now())
    where.world.clock.wait(10)
    assert where.files.written(NOTE) == where.now() - timedelta(seconds=10)


def test_a_folder_has_the_rights_of_the_nearest_one_above_it_that_has_any(tmp_path: Path) -> None:
    where = host(folders=[{"path": r"C:\Data", "writers": ["S-1-1-0"]}, {"path": r"C:\Data\own", "writers": []}])
    assert [where.files.access(path).writers for path in (r"c:\data\x\y", r"C:\Data\own", r"C:\Windows")] == [
        ("S-1-1-0",),
        (),
        (),
    ]
    where.files.keep_in(tmp_path / "c")
    assert where.files.path_of(tmp_path / "c" / "Data" / "own") == r"C:\Data\own"
    assert (tmp_path / "c" / "Data" / "own").is_dir()


def test_a_folder_has_an_owner_and_rules_until_it_is_given_a_list_of_its_own() -> None:
    rules = [{"sid": "S-1-1-0", "rights": 2, "deny": True}]
    where = host(folders=[{"path": r"C:\Data", "owner": "S-1-5-18", "rules": rules, "writers": ["S-1-5-11"]}])
    found = where.files.access(r"C:\Data\below")
    assert (found.owner, found.entries) == ("S-1-5-18", (Rule("S-1-1-0", 2, deny=True), Rule("S-1-5-11")))
    where.files.protect(r"C:\Data\below", "D:PAI")
    assert where.files.access(r"C:\Data\below") == Access(sddl="D:PAI")
    assert where.files.access(r"C:\Data") == found


@pytest.mark.parametrize("kept", [False, True])
def test_a_file_may_be_older_than_the_lab(kept: bool, tmp_path: Path) -> None:
    where = host(files=[{"path": NOTE, "text": "x", "written": "1d1h"}])
    if kept:
        where.files.keep_in(tmp_path / "c")
    assert where.files.written(NOTE) == where.now() - timedelta(hours=25)


@pytest.mark.parametrize("path", ["note.txt", r"\note.txt", r"D:\note.txt", r"C:note.txt", r"C:\..\x", "/etc/passwd"])
def test_a_path_that_is_not_a_full_one_is_refused(path: str) -> None:
    for facts in ({"files": [{"path": path, "text": ""}]}, {"folders": [{"path": path, "writers": []}]}):
        with pytest.raises(SettingsError, match="must be a full path"):
            host(**facts)
