"""What a CI server is told: annotations that nothing can turn into another command, and the job as a link."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.console import Command
from support.wild_records import WILD

from mpsbridge.clock import HastyClock
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.reports.annotations import MOST_OF_A_LEVEL, Annotation, Level, azure, github
from mpsbridge.runs.job import job_of

COMMANDS = ["100%", "a%0Ab", "a,file=x", "t::x", "]", "a;b", "##vso[task.complete]", "::stop-commands::x"]
ODD = WILD | st.sampled_from(COMMANDS)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    person = {"id": 2, "user": "alice", "logon": "1h"}
    hosts = [
        {"name": "alpha", "sessions": [person]},
        {"name": "beta", "sessions": [{**person, "user": "bob", "state": "disconnected"}]},
        *({"name": f"down{number:02}", "down": True} for number in range(12)),
    ]
    with Lab(build_world({"hosts": hosts}), auth="ntlm") as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@given(st.builds(Annotation, st.sampled_from(Level), ODD, ODD))
def test_github_reads_one_command_and_nothing_else(annotation: Annotation) -> None:
    line = github(annotation)
    assert "\n" not in line
    assert "\r" not in line
    found = re.fullmatch(r"::(error|warning) title=([^,:]*)::(.*)", line)  # as the runner takes a line apart
    assert found is not None, line
    assert found[1] == annotation.level
    for part in found.groups()[1:]:
        assert not re.search(r"::(error|warning|stop-commands|add-mask|set-)|##\[", part, re.IGNORECASE), line
        assert not re.search(r"%(?!25|0D|0A|3A|2C)", part)


@given(st.builds(Annotation, st.sampled_from(Level), ODD, ODD))
def test_azure_reads_one_command_and_nothing_else(annotation: Annotation) -> None:
    line = azure(annotation)
    found = re.fullmatch(r"##vso\[task\.logissue type=(error|warning)\](.*)", line)
    assert found is not None, line
    assert "##vso[" not in found[2].lower()


def test_failed_and_refused_hosts_are_annotations_beside_the_json_document(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    del lab
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    found = mpsbridge("logoff", "alpha", "beta", "down00", "--all", "--yes", "-o", "json")
    assert found.code == 1
    json.loads(found.out)  # nothing but the document
    lines = [line for line in found.err.splitlines() if line.startswith("::")]
    assert [line.split("::")[1] for line in lines] == ["error title=down00%3A failed", "warning title=beta%3A refused"]
    assert "--disconnected-ok" in lines[1]
    assert "Connection refused. Check the name" in lines[0]


def test_there_are_no_more_than_are_shown_and_the_last_one_says_so(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    del lab
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    found = mpsbridge("sessions", "alpha", *(f"down{number:02}" for number in range(12)))
    lines = [line for line in found.err.splitlines() if line.startswith("::error")]
    assert len(lines) == MOST_OF_A_LEVEL
    assert lines[-1].startswith("::error title=3 more hosts::")


def test_a_session_that_was_not_logged_off_is_an_error_of_its_host(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = {"name": "alpha", "sessions": [{"id": 2, "user": "alice", "logon": "1h", "hung": True}]}
    monkeypatch.setenv("TF_BUILD", "True")
    clock = HastyClock(300)
    with Lab(build_world({"hosts": [host]}, clock), auth="ntlm", clock=clock) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        found = mpsbridge("logoff", "alpha", "--all", "--yes", clock=clock)
    assert found.code == 4
    (line,) = [line for line in found.err.splitlines() if line.startswith("##vso[")]
    assert line.startswith("##vso[task.logissue type=error]alpha: unknown: ")
    assert "alice" in line


def test_an_error_that_stops_the_call_is_an_annotation_and_elsewhere_there_are_none(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["sessions", "alpha", "--timeout", "5"]
    assert "::" not in mpsbridge(*words).err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    found = mpsbridge(*words)
    assert found.code == 2
    assert found.err.count("::error title=mpsbridge sessions::") == 1


def test_the_job_is_a_link_where_the_server_tells_enough() -> None:
    of_github = {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "school/rooms",
        "GITHUB_RUN_ID": "123",
        "GITHUB_RUN_ATTEMPT": "2",
    }
    assert job_of(of_github) == "https://github.com/school/rooms/actions/runs/123/attempts/2"
    assert job_of({"GITHUB_RUN_ID": "123"}) == "123"
    assert job_of({"CI_JOB_URL": "https://gitlab.test/-/jobs/7"}) == "https://gitlab.test/-/jobs/7"
    of_azure = {
        "SYSTEM_COLLECTIONURI": "https://dev.azure.com/school/",
        "SYSTEM_TEAMPROJECT": "the rooms",
        "BUILD_BUILDID": "9",
        "BUILD_BUILDURI": "vstfs:///Build/Build/9",
    }
    assert job_of(of_azure) == "https://dev.azure.com/school/the%20rooms/_build/results?buildId=9"
    assert job_of({}) is None
