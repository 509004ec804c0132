"""Reading by the workers of a Dask cluster, for fleets that outgrow one process or one machine (extra ``dask``).

``local:N`` is a cluster of N processes of this machine that ends with the call. It speaks TLS with keys made for it:
whoever reaches a scheduler without them, another user of this machine, say, could have code run by its workers.

Rules: all that can be known beforehand is looked at before a host is: whether the scheduler answers, whether every
worker has this very version of mpsbridge and of Python, the files and the variable that it needs. Over a connection
that is not TLS no password travels; each worker takes it from its own environment then. Dask would run the tasks of a
dead worker again by itself, several times and without a word: here such a task counts as lost with its worker, and
whoever submitted it decides.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import itertools
import logging
import os
import platform
import queue
import threading
import uuid
import warnings
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future, InvalidStateError
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from mpsbridge.errors import InputError, SettingsError
from mpsbridge.models.credentials import KeyTable, Password
from mpsbridge.models.harmless import harmless
from mpsbridge.models.targets import Target
from mpsbridge.version import __version__
from mpsbridge.workers.base import WorkerDied

P = ParamSpec("P")
T = TypeVar("T")
CONNECT_LIMIT_S = 10.0
SILENT = logging.CRITICAL + 1
ASK_LIMIT_S = 30.0
"""Seconds for each question to all workers."""
MOST_PROCESSES = 64
THREADS = 32
"""Of each process of ``local:N``: reading a host is mostly waiting."""


class DaskExecutor(Executor):
    """The workers of the cluster at ``address`` as an executor: ``tcp://HOST:PORT``, ``tls://HOST:PORT``, ``local:N``.

    Raises ``SettingsError`` where the cluster cannot be used. The keys and certificates for ``tls://`` are Dask's own
    settings (``distributed.comm.tls``). ``threads`` is how many tasks the cluster does at the same time.
    """

    def __init__(self, address: str) -> None:
        distributed = _distributed()
        self.address = address
        self.encrypted = not address.startswith("tcp://")
        self._tasks: dict[str, tuple[Future[Any], Future[Any]]] = {}
        self._name, self._numbers = f"mpsbridge-{uuid.uuid4().hex[:8]}", itertools.count()
        self._cluster = _start(distributed, address)
        self._client = _connect(distributed, address) if self._cluster is None else self._cluster.get_client()
        try:
            self.threads = sum(self._client.nthreads().values())
            self._executor = self._client.get_executor(pure=False, retries=0)
            self._client.subscribe_topic("all", self._on_event)
            self._check_versions()
        except BaseException:
            self.shutdown(wait=False)
            raise

    def _check_versions(self) -> None:
        if not self.threads:
            raise SettingsError(f"the Dask cluster at {self.address} has no workers")
        ours = platform.python_version_tuple()[:2]
        for worker, version in self._ask(platform.python_version).items():
            if not isinstance(version, str) or tuple(version.split(".")[:2]) != ours:
                words = f"the Dask worker {worker} runs Python {version}, this is {'.'.join(ours)}"
                raise SettingsError(words, hint="The workers need the same Python as this machine.")
        for worker, version in self._ask(importlib.metadata.version, "mpsbridge").items():
            if isinstance(version, BaseException):
                raise SettingsError(f"the Dask worker {worker} has no mpsbridge", hint=f"Install {__version__} there.")
            if version != __version__:
                words = f"the Dask worker {worker} has mpsbridge {version}, this is {__version__}"
                raise SettingsError(words, hint="The workers need the same version as this machine.")

    def check(self, targets: Sequence[Target], *, password_variable: str | None) -> None:
        """Refuse before a host is asked what could not work, or would give a password away.

        Raises ``InputError`` and ``SettingsError``.
        """
        if any(target.kind == "local" for target in targets):
            raise InputError("'local' is this machine; a Dask worker would read its own")
        if (
            not self.encrypted
            and password_variable is None
            and any(isinstance(target.credentials, Password) for target in targets)
        ):
            raise InputError(
                f"the way to {self.address} is not encrypted, so no password is sent there",
                hint="Use a tls:// scheduler, or name the variable of the workers' environment that holds the "
                "password: --worker-password-variable NAME.",
            )
        named = {target.ca_file for target in targets if target.tls and target.ca_file}
        named |= {target.credentials.file for target in targets if isinstance(target.credentials, KeyTable)}
        files = tuple(sorted(map(str, named)))
        for worker, lacking in self._ask(missing_on_a_worker, password_variable, files).items():
            if lacking:
                raise SettingsError(f"the Dask worker {worker} lacks {lacking}")

    def _ask(self, function: Callable[..., Any], *arguments: object) -> dict[str, Any]:
        """What each worker answers; an exception where it raised one."""
        answers: dict[str, Any] = self._client.sync(
            self._client._run,  # noqa: SLF001 - run() has no time limit, and a worker may hang
            function,
            *arguments,
            on_error="return",
            callback_timeout=ASK_LIMIT_S,
        )
        return answers

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Give a task to the cluster. Its future ends with ``WorkerDied`` where the worker that had it is gone."""
        key = f"{self._name}-{next(self._numbers)}"
        theirs = self._executor.submit(fn, *args, key=key, **kwargs)
        ours: Future[T] = Future()
        ours.set_running_or_notify_cancel()
        self._tasks[key] = (ours, theirs)
        theirs.add_done_callback(lambda future: self._settle(key, future))
        return ours

    def _settle(self, key: str, theirs: Future[Any]) -> None:
        ours, _ = self._tasks.pop(key, (None, None))
        if ours is None:
            return
        try:
            ours.set_result(theirs.result())
        except InvalidStateError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
            ours.set_exception(error)

    def _on_event(self, event: tuple[float, dict[str, Any]]) -> None:
        """In the client's own loop, which may not wait: a worker is gone."""
        _, told = event
        if told.get("action") == "remove-worker":
            keys = [str(key) for key in told.get("processing-tasks", ())]
            threading.Thread(target=self._lose, args=(keys,), name="mpsbridge-dask", daemon=True).start()

    def _lose(self, keys: Collection[str]) -> None:
        for key in keys:
            ours, theirs = self._tasks.pop(key, (None, None))
            if ours is not None and theirs is not None:
                theirs.cancel()
                ours.set_exception(WorkerDied("a Dask worker is gone"))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Executor's
        """Leave the cluster, which drops what it has not done yet."""
        self._tasks.clear()
        self._client.close(timeout=CONNECT_LIMIT_S)
        if self._cluster is not None:
            self._cluster.close(timeout=CONNECT_LIMIT_S)


def missing_on_a_worker(variable: str | None, files: Sequence[str]) -> str:
    """What this worker lacks, in words; empty where it has all. The variable's value stays here."""
    if variable is not None and not os.environ.get(variable):
        return f"the variable {variable} in its environment"
    return next((f"the file {file}" for file in files if not Path(file).is_file()), "")


def _distributed() -> Any:
    try:
        import distributed  # noqa: PLC0415 - an optional extra, and slow to load
    except ImportError as error:
        raise InputError("--executor dask needs an extra", hint="pip install 'mpsbridge[dask]'") from error
    logging.getLogger("distributed").setLevel(SILENT)  # it would log to standard error
    return distributed


def _start(distributed: Any, address: str) -> Any:
    """The cluster that ``local:N`` asks for; ``None`` where the address is one of a cluster that is there already."""
    kind, _, number = address.partition(":")
    if kind != "local":
        return None
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= MOST_PROCESSES):
        words = f"--scheduler {address} is not a number of processes"
        raise SettingsError(words, hint=f"Write local:N with N from 1 to {MOST_PROCESSES}, for example local:4.")
    pages: dict[str, list[str]] = {f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker", "nanny")}
    try:
        with importlib.import_module("dask.config").set(
            pages
        ):  # no page tells other users of this machine what is read
            return distributed.LocalCluster(
                n_workers=int(number),
                threads_per_worker=THREADS,
                host="127.0.0.1",
                protocol="tls://",
                security=distributed.Security.temporary(),
                dashboard_address="127.0.0.1:0",
                silence_logs=SILENT,
            )
    except (OSError, RuntimeError) as error:
        raise SettingsError(f"the Dask cluster {address} did not start: {error}") from error


def _connect(distributed: Any, address: str) -> Any:
    """A client of the scheduler. A client that cannot connect is never whole again, so the address is tried before."""
    try:
        return _in_time(lambda: _client(distributed, address))
    except Exception as error:  # whatever answers there, and however
        words = (
            f"the Dask scheduler {address} cannot be used: {harmless(str(error), limit=200) or type(error).__name__}"
        )
        hint = "--scheduler tcp://HOST:8786, or tls://HOST:8786 with Dask's own TLS settings."
        raise SettingsError(words, hint=hint) from error


def _client(distributed: Any, address: str) -> Any:
    security = distributed.Security()
    asyncio.run(_try(distributed, address, security.get_connection_args("client")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other versions of Dask's parts: the tasks here need none of them
        return distributed.Client(address, security=security, timeout=CONNECT_LIMIT_S, set_as_default=False)


def _in_time(make: Callable[[], Any]) -> Any:
    """What ``make`` returns, in a thread of its own: a scheduler that says nothing holds Dask's client for good.

    Raises what it raises, and ``TimeoutError``.
    """
    made: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            made.put((make(), None))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            made.put((None, error))

    threading.Thread(target=work, name="mpsbridge-dask", daemon=True).start()
    try:
        value, error = made.get(timeout=2 * CONNECT_LIMIT_S)
    except queue.Empty:
        raise TimeoutError(f"it did not answer within {2 * CONNECT_LIMIT_S:.0f} s") from None
    if error is not None:
        raise error
    return value


async def _try(distributed: Any, address: str, arguments: dict[str, Any]) -> None:
    comm = await distributed.comm.connect(address, timeout=CONNECT_LIMIT_S, **arguments)
    comm.abort()
