"""Many hosts on the command line: streams, a cluster, deadlines, interrupts."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.console import Command

from mpsbridge.cli import listing, looking
from mpsbridge.cli.call import Call
from mpsbridge.lab import Lab, build_world
from mpsbridge.models.outcomes import Done
from mpsbridge.models.sessions import Observation

PEOPLE = [{"id": 2, "user": "alice"}]


@pytest.fixture
def farm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    hosts: list[dict[str, Any]] = [{"name": f"ts{number}", "sessions": PEOPLE} for number in range(12)]
    hosts.append({"name": "silent", "faults": [{"step": "create", "do": "hang"}]})
    with Lab(build_world({"hosts": hosts})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


GOOD = [f"ts{number}" for number in range(12)]
CLUSTER = ("--executor", "dask", "--scheduler", "local:1")


@pytest.mark.parametrize(
    "words",
    [
        ("logoff", "ts1", "--all", "--yes"),
        ("message", "ts1", "--all", "--text", "hello"),
        ("disconnect", "ts1", "--all", "--yes"),
        ("logons", "ts1", "--set", "drain", "--yes"),
        ("end", "ts1", "--all", "--yes", "--dry-run"),
        ("hold", "ts1", "--reason", "exam"),
        ("release", "ts1", "--yes"),
    ],
    ids=lambda words: words[0],
)
def test_acts_never_leave_this_process(mpsbridge: Command, farm: Lab, words: tuple[str, ...]) -> None:
    done = mpsbridge(*words, "--executor", "dask", "--scheduler", "tcp://127.0.0.1:9")
    assert done.code == 2
    assert "--executor is for reading only" in done.err
    assert farm.requests == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--executor", "dask"), "needs --scheduler"),
        (("--scheduler", "tcp://127.0.0.1:9"), "belong to --executor dask"),
        (("--executor", "dask", "--scheduler", "local:none"), "not a number of processes"),
        (("--executor", "ray"), "--executor: 'ray' is not one of dask"),
        (("--executor", "dask", "--scheduler", "local:2", "--watch", "5s"), "never leave this process"),
        (("--deadline", "10"), "--deadline"),
    ],
)
def test_what_cannot_be_meant_is_an_error_before_anything_is_sent(
    mpsbridge: Command, farm: Lab, words: tuple[str, ...], message: str
) -> None:
    done = mpsbridge("sessions", "ts1", *words)
    assert (done.code, farm.requests) == (2, [])
    assert message in done.err


def test_without_the_extra_one_message_says_what_to_install(
    mpsbridge: Command, farm: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = mpsbridge("sessions", "ts1", "--executor", "dask", "--scheduler", "tcp://127.0.0.1:9")
    assert done.code == 2
    warned, *said = done.err.splitlines()
    assert "a program that answers there, or stands in between, can run code here" in warned
    assert said == [
        "mpsbridge sessions: --executor dask needs an extra",
        "  pip install 'mpsbridge[dask]'",
    ]


@pytest.mark.parametrize("command", ["sessions", "logons", "leases", "doctor"])
def test_every_reading_command_can_read_on_a_cluster(mpsbridge: Command, farm: Lab, command: str) -> None:
    here = mpsbridge(command, *GOOD[:3], "--output", "csv", "--quiet")
    elsewhere = mpsbridge(command, *GOOD[:3], "--output", "csv", "--quiet", *CLUSTER)
    assert (elsewhere.code, elsewhere.err) == (0, "")
    assert elsewhere.out == here.out


def test_streamed_outcomes_are_not_kept(mpsbridge: Command, farm: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[weakref.ref[Any]] = []
    most = 0
    stream = listing.stream

    def watched(call: Call, outcome: Any) -> None:
        nonlocal most
        told.append(weakref.ref(outcome.value))
        gc.collect()
        most = max(most, sum(seen() is not None for seen in told))
        stream(call, outcome)

    monkeypatch.setattr(looking, "stream", watched)
    done = mpsbridge("sessions", *GOOD, "--output", "jsonl", "--concurrency", "1")
    assert (done.code, len(done.out.splitlines()), len(told)) == (0, 12, 12)
    assert most <= 2  # the one that is being told, and perhaps the one before


def test_of_silent_hosts_the_others_are_told_at_once(farm: Lab) -> None:
    """A real process, because what is flushed and when is the point."""
    command = [sys.executable, "-m", "mpsbridge", "sessions", "silent", *GOOD, "--output", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [json.loads(child.stdout.readline()) for _ in GOOD]
        assert child.poll() is None
        child.kill()
    assert {outcome["host"] for outcome in told} == set(GOOD)
    assert {outcome["status"] for outcome in told} == {"done"}


def test_the_deadline_of_a_call_is_kept(mpsbridge: Command, farm: Lab) -> None:
    done = mpsbridge("sessions", "silent", "--output", "json", "--deadline", "1s")
    (outcome,) = json.loads(done.out)["outcomes"]
    assert (done.code, outcome["failure"]["kind"]) == (1, "timeout")
    assert outcome["elapsed_s"] < 30


@pytest.mark.parametrize(
    "words",
    [
        ("message", "--all", "--text", "hello"),
        ("disconnect", "--all", "--yes"),
        ("logoff", "--all", "--yes"),
        ("logons", "--set", "drain", "--yes"),
        ("hold", "--reason", "exam"),
        ("release", "--yes"),
    ],
    ids=lambda words: str(words[0]),
)
def test_the_deadline_of_an_act_is_kept(mpsbridge: Command, farm: Lab, words: tuple[str, ...]) -> None:
    """A call that acts once waited for a silent host as long as one command may take."""
    command, *rest = words
    done = mpsbridge(command, "silent", *rest, "--output", "json", "--deadline", "1s", "--timeout", "8s")
    assert done.outcome("silent")["elapsed_s"] < 4
    assert (done.code, done.outcome("silent")["failure"]["kind"]) == (1, "timeout")


@pytest.mark.parametrize("elsewhere", [(), CLUSTER], ids=["threads", "cluster"])
def test_ctrl_c_leaves_what_is_finished_and_says_what_may_have_run(farm: Lab, elsewhere: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "mpsbridge", "sessions", "silent", *GOOD, "--output", "jsonl", *elsewhere]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        assert child.stdout is not None
        told = [json.loads(child.stdout.readline()) for _ in GOOD]
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to every process of the group
        out, err = child.communicate(timeout=20)
    assert child.returncode == 130
    told += [json.loads(line) for line in out.splitlines()]
    assert [outcome["status"] for outcome in told] == ["done"] * 12 + ["failed"]
    assert told[-1]["failure"]["kind"] in {"interrupted", "closed"}
    assert "Traceback" not in err
    assert "silent: " in err


def test_a_read_again_is_said_in_every_form(mpsbridge: Command, farm: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def again(*_: Any, **_kwargs: Any) -> Iterator[tuple[int, Done[Observation]]]:
        from mpsbridge.fleet import Fleet  # noqa: PLC0415

        for place, outcome in filter(None, ticking(*_, **_kwargs)):
            assert isinstance(_[0], Fleet)
            yield place, outcome.model_copy(update={"note": "read a second time"})

    from mpsbridge.fleet import Fleet  # noqa: PLC0415

    ticking: Any = Fleet.ticking
    monkeypatch.setattr(Fleet, "ticking", again)
    for form in ("table", "json", "jsonl", "csv"):
        assert "ts1: read a second time" in mpsbridge("sessions", "ts1", "--output", form).err
    (outcome,) = json.loads(mpsbridge("sessions", "ts1", "--output", "json").out)["outcomes"]
    assert outcome["note"] == "read a second time"


def test_a_password_file_is_needed_by_no_one_where_the_workers_know_it(
    mpsbridge: Command, farm: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MPSBRIDGE_PASSWORD")
    monkeypatch.setenv("MPSBRIDGE_PASSWORD_FILE", str(tmp_path / "nowhere"))
    words = ("--executor", "dask", "--scheduler", "nonsense", "--worker-password-variable", "WORKERS_PASSWORD")
    done = mpsbridge("sessions", "ts1", *words)
    assert done.code == 2
    assert "the Dask scheduler nonsense cannot be used" in done.err


def test_one_variable_of_the_workers_is_one_password(mpsbridge: Command, tmp_path: Path) -> None:
    inventory = tmp_path / "farm.toml"
    inventory.write_text("[hosts.ts1]\nusername = 'a'\n[hosts.ts2]\nusername = 'b'\n", encoding="utf-8")
    words = ("--executor", "dask", "--scheduler", "nonsense", "--worker-password-variable", "WORKERS_PASSWORD")
    done = mpsbridge("sessions", "ts1", "ts2", "--inventory", str(inventory), *words)
    assert done.code == 2
    assert "names one password, and these hosts need 2" in done.err
