"""Reading elsewhere: on a Dask cluster, of this machine or another, it is told the same as on threads."""

from __future__ import annotations

import functools
import importlib
import os
import pickle
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import missing
from support.fake_clock import FakeClock
from support.lab_target import reach
from support.rude_host import RudeHost
from support.worker_tasks import die_always, die_once, own_command_line, own_number, password_of, wait_for

from mpsbridge.errors import InputError, SettingsError
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.lab import Lab, build_world
from mpsbridge.models.credentials import Auth, Password
from mpsbridge.models.outcomes import Done, Failed, Outcome
from mpsbridge.models.targets import Target
from mpsbridge.workers.dask import DaskExecutor
from mpsbridge.workers.elsewhere import READ_AGAIN, ExecutorWorkers, Reading, read

pytestmark = pytest.mark.xdist_group("workers")  # one cluster for all of them
PASSWORD = "only-in-the-lab"
VARIABLE = "LAB_PASSWORD_OF_THE_WORKERS"
PEOPLE = [{"id": 2, "user": "alice"}, {"id": 3, "user": "bob", "state": "disconnected"}]
HOSTS: list[dict[str, Any]] = [
    {"name": "good-1", "sessions": PEOPLE},
    {"name": "silent", "faults": [{"step": "create", "do": "hang"}]},
    {"name": "good-2", "language": "de", "sessions": PEOPLE},
    {"name": "down", "down": True},
    {"name": "locked", "faults": [{"step": "auth", "do": "refuse"}]},
    {"name": "garbage", "faults": [{"step": "create", "do": "garble"}]},
    {"name": "full", "faults": [{"step": "create", "do": "fault"}]},
    {"name": "blind", "rights": "user", "sessions": PEOPLE},
    {"name": "empty"},
]
KINDS = {
    "silent": "timeout",
    "down": "unreachable",
    "locked": "auth",
    "garbage": "not-winrm",
    "full": "shell",
    "blind": "blind",
}
SOMEWHERE = [Target(host=f"ts{number}", address="127.0.0.1", port=9) for number in range(8)]


class InlineExecutor(Executor):
    """Everything at once, in the thread that asks."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def dask() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError:
        missing("the extra 'dask'")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    clock = FakeClock()
    with Lab(build_world({"hosts": HOSTS}, clock), clock=clock, password=PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a real cluster: a scheduler and two worker processes on the loopback."""
    distributed = dask()
    os.environ[VARIABLE] = PASSWORD  # what the workers inherit
    try:
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=16, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
        ) as running:
            yield running.scheduler_address
    finally:
        del os.environ[VARIABLE]


def read_all(
    targets: list[Target], executor: Executor, job: Callable[[Host], Any] = Host.observe, **options: Any
) -> list[Outcome[Any]]:
    workers = ExecutorWorkers(targets, executor, **{"timeout_s": 2.0, **options})
    with Fleet(targets, workers=workers) as fleet:
        return fleet.run(job)


def told(outcomes: list[Outcome[Any]]) -> list[dict[str, Any]]:
    dumps = [outcome.model_dump(mode="json") for outcome in outcomes]
    return [{key: value for key, value in dump.items() if key != "elapsed_s"} for dump in dumps]


# The same outcomes, wherever they are read.


@pytest.fixture(scope="module")
def on_threads(lab: Lab) -> list[dict[str, Any]]:
    targets = [reach(lab, host["name"]) for host in HOSTS]
    with Fleet(targets, connect=functools.partial(Host, timeout_s=2.0)) as fleet:
        outcomes = fleet.run(Host.observe)
    failed = {outcome.host: outcome.failure.kind for outcome in outcomes if isinstance(outcome, Failed)}
    assert failed == KINDS
    return told(outcomes)


def test_inline_it_is_the_same(lab: Lab, on_threads: list[dict[str, Any]]) -> None:
    assert told(read_all([reach(lab, host["name"]) for host in HOSTS], InlineExecutor())) == on_threads


def test_by_dask_it_is_the_same(lab: Lab, cluster: str, on_threads: list[dict[str, Any]]) -> None:
    targets = [reach(lab, host["name"]) for host in HOSTS]
    executor = DaskExecutor(cluster)
    executor.check(targets, password_variable=VARIABLE)
    assert told(read_all(targets, executor, password_variable=VARIABLE)) == on_threads


# Workers that die.


def check_read_again(outcomes: list[Outcome[Any]]) -> None:
    assert [outcome.value for outcome in outcomes if isinstance(outcome, Done)] == [host.host for host in SOMEWHERE]
    assert outcomes[3].note == READ_AGAIN
    assert outcomes[3].model_dump()["note"] == READ_AGAIN
    assert {outcome.note for outcome in outcomes} <= {"", READ_AGAIN}


def test_a_host_whose_dask_worker_died_is_read_once_more_and_says_so(cluster: str, tmp_path: Path) -> None:
    outcomes = read_all(SOMEWHERE, DaskExecutor(cluster), functools.partial(die_once, tmp_path / "mark"))
    check_read_again(outcomes)


def test_a_host_that_kills_its_worker_twice_is_given_up(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpsbridge.fleet.SILENT_S", 60)  # nobody else is read together with it
    workers = ExecutorWorkers(SOMEWHERE, DaskExecutor(cluster))
    with Fleet(SOMEWHERE, workers=workers, concurrency=1) as fleet:
        outcomes = fleet.run(die_always)
    assert [outcome.status for outcome in outcomes] == ["done"] * 3 + ["failed"] + ["done"] * 4
    assert isinstance(outcomes[3], Failed)
    assert outcomes[3].failure.kind == "worker-lost"
    assert "twice" in outcomes[3].failure.message


def test_an_executor_that_is_broken_for_good_leaves_an_outcome_for_every_host() -> None:
    class Broken(Executor):
        def submit(self, *_: Any, **_kwargs: Any) -> Future[Any]:
            raise BrokenExecutor("out of order")

    outcomes = read_all(SOMEWHERE, Broken())
    kinds = {outcome.failure.kind for outcome in outcomes if isinstance(outcome, Failed)}
    assert (len(outcomes), kinds) == (len(SOMEWHERE), {"worker-lost"})


# A cluster of this machine, made for one call.


def test_a_local_cluster_reads_in_processes_over_tls_and_ends_with_its_executor(lab: Lab) -> None:
    dask()
    executor = DaskExecutor("local:2")
    numbers = set(executor.map(own_number, range(40)))
    target = Target(host="ts1", address="127.0.0.1", port=9, credentials=Password("alice", "swordfish-7"))
    executor.check([target], password_variable=None)
    assert b"swordfish-7" not in executor.submit(own_command_line, target).result(20)
    (outcome,) = read_all([reach(lab, "good-1")], executor)
    assert (len(numbers), os.getpid() in numbers, executor.encrypted, outcome.status) == (2, False, True, "done")
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


@pytest.mark.parametrize("address", ["local:", "local:0", "local:65", "local:-1", "local:two", "local:٣"])
def test_a_local_cluster_of_no_size_is_an_error_beforehand(address: str) -> None:
    dask()
    with pytest.raises(SettingsError, match="not a number of processes"):
        DaskExecutor(address)


# Interrupts and deadlines.


@pytest.mark.parametrize("where", ["threads", "dask"])
def test_after_a_cancel_what_is_finished_is_told_and_nobody_waits_for_the_rest(
    where: str, tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpsbridge.fleet.SILENT_S", 60)
    executors: dict[str, Callable[[], Executor]] = {
        "threads": lambda: ThreadPoolExecutor(8),
        "dask": lambda: DaskExecutor(cluster),
    }
    executor = executors[where]()
    with Fleet(SOMEWHERE, workers=ExecutorWorkers(SOMEWHERE, executor), concurrency=4) as fleet:
        stream = fleet.stream(functools.partial(wait_for, tmp_path / "go"))
        outcomes = [next(stream)[1]]
        fleet.cancel()
        outcomes += [outcome for _, outcome in stream]
        (tmp_path / "go").touch()
    assert outcomes[0].status == "done"
    kinds = [outcome.failure.kind for outcome in outcomes if isinstance(outcome, Failed)]
    assert sorted(set(kinds)) == ["interrupted", "not-begun"]
    assert len(kinds) == len(SOMEWHERE) - 1


def test_a_deadline_reaches_the_worker(lab: Lab) -> None:
    outcome = read(Reading(reach(lab, "silent"), Host.observe, timeout_s=60, left_s=0.5))
    assert isinstance(outcome, Failed)
    assert outcome.failure.kind == "timeout"
    assert outcome.elapsed_s < 30


def test_a_worker_that_heeds_no_deadline_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpsbridge.fleet.CUT_AFTER_S", 0.1)
    workers = ExecutorWorkers(SOMEWHERE[:2], ThreadPoolExecutor(2))
    with Fleet(SOMEWHERE[:2], workers=workers, deadline_s=0.5) as fleet:
        outcomes = fleet.run(functools.partial(wait_for, tmp_path / "go"))
        (tmp_path / "go").touch()
    assert isinstance(outcomes[1], Failed)
    assert (outcomes[0].status, outcomes[1].failure.kind) == ("done", "timeout")


# What is known before a host is asked.


def test_a_password_travels_to_no_worker_in_clear(cluster: str) -> None:
    target = Target(host="ts1", address="127.0.0.1", auth=Auth.NTLM, credentials=Password("alice", "secret"))
    executor = DaskExecutor(cluster)
    try:
        with pytest.raises(InputError, match="not encrypted") as refused:
            executor.check([target], password_variable=None)
        assert "--worker-password-variable" in refused.value.hint
        executor.check([target], password_variable=VARIABLE)
        with pytest.raises(SettingsError, match="lacks the variable NOWHERE_SET"):
            executor.check([target], password_variable="NOWHERE_SET")
        missing_ca = target.model_copy(update={"ca_file": Path("/nowhere/ca.pem")})
        with pytest.raises(SettingsError, match=r"lacks the file /nowhere/ca\.pem"):
            executor.check([missing_ca], password_variable=VARIABLE)
        with pytest.raises(InputError, match="'local' is this machine"):
            executor.check([Target(host="local", address="localhost", kind="local")], password_variable=None)
    finally:
        executor.shutdown()


def test_over_tls_the_password_travels() -> None:
    distributed = dask()
    security = distributed.Security.temporary()
    settings = {
        "distributed.comm.tls.ca-file": security.tls_ca_file,
        "distributed.comm.tls.client.key": security.tls_client_key,
        "distributed.comm.tls.client.cert": security.tls_client_cert,
    }
    target = Target(host="ts1", address="127.0.0.1", credentials=Password("alice", "swordfish-7"))
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            security=security,
            protocol="tls://",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as running,
        importlib.import_module("dask.config").set(settings),
    ):
        executor = DaskExecutor(running.scheduler_address)
        executor.check([target], password_variable=None)
        (outcome,) = read_all([target], executor, password_of)
    assert isinstance(outcome, Done)
    assert (running.scheduler_address[:6], outcome.value) == ("tls://", "swordfish-7")


def test_by_reference_no_password_is_in_what_is_sent() -> None:
    sent: list[bytes] = []

    class Spy(InlineExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            sent.append(pickle.dumps((fn, args, kwargs)))
            return super().submit(fn, *args, **kwargs)

    target = Target(host="ts1", address="127.0.0.1", port=9, credentials=Password("alice", "swordfish-7"))
    (outcome,) = read_all([target], Spy(), password_variable="NOWHERE_SET")
    assert isinstance(outcome, Failed)
    assert (outcome.failure.kind, outcome.failure.may_have_run) == ("settings", False)
    assert len(sent) == 1
    assert b"swordfish-7" not in sent[0]


@pytest.mark.parametrize(
    ("asked", "answer", "words"),
    [
        ("python_version", "3.9.1", "runs Python 3.9.1"),
        ("version", "0.0.1", "has mpsbridge 0.0.1"),
        ("version", ModuleNotFoundError("mpsbridge"), "has no mpsbridge"),
    ],
)
def test_workers_of_another_version_are_refused(
    cluster: str, monkeypatch: pytest.MonkeyPatch, asked: str, answer: object, words: str
) -> None:
    def ask(self: DaskExecutor, function: Callable[..., Any], *arguments: object) -> dict[str, Any]:
        answers = real(self, function, *arguments)
        return dict.fromkeys(answers, answer) if function.__name__ == asked else answers

    real = DaskExecutor._ask
    monkeypatch.setattr(DaskExecutor, "_ask", ask)
    with pytest.raises(SettingsError, match=words):
        DaskExecutor(cluster)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:{closed}", "Timed out|refused"),
        ("nonsense", "nonsense"),
        ("tls://127.0.0.1:{closed}", "TLS"),
        ("ftp://127.0.0.1:{closed}", "ftp"),
    ],
)
def test_a_scheduler_that_cannot_be_used_is_an_error_beforehand(
    monkeypatch: pytest.MonkeyPatch, address: str, words: str
) -> None:
    dask()
    monkeypatch.setattr("mpsbridge.workers.dask.CONNECT_LIMIT_S", 0.5)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    with pytest.raises(SettingsError, match=words):
        DaskExecutor(address.format(closed=closed))


@pytest.mark.parametrize("said", [b"", b"\xff" * 64, b"HTTP/1.1 200 OK\r\n\r\n"], ids=["nothing", "noise", "http"])
@pytest.mark.filterwarnings("ignore")  # what Dask leaves open then is its own matter
def test_a_scheduler_that_is_none_is_an_error_in_time(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask's client would wait for one that says nothing until somebody stops it."""
    dask()
    monkeypatch.setattr("mpsbridge.workers.dask.CONNECT_LIMIT_S", 0.5)

    def behave(connection: socket.socket) -> None:
        connection.sendall(said)
        rude.released.wait(20)

    with RudeHost(behave) as rude:
        began = time.monotonic()
        with pytest.raises(SettingsError, match="cannot be used"):
            DaskExecutor(f"tcp://127.0.0.1:{rude.port}")
        assert time.monotonic() - began < 5
        rude.released.set()
