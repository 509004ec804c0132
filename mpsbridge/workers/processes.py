"""An executor of spawned processes, each of which does many tasks at once on threads.

Reading a host is mostly waiting, so a process that did one task at a time (as those of ``concurrent.futures`` do) would
be of little use. Rules: tasks and results travel over a pipe, never by argument or environment; a process that dies
takes only its own tasks with it, each of which ends with :class:`WorkerDied`; another takes its place, a limited number
of times. Ctrl-C does not reach the processes: who holds the executor decides.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, InvalidStateError, ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from mpsbridge.workers.base import WorkerDied

P = ParamSpec("P")
T = TypeVar("T")
REPLACEMENTS = 3
"""How many processes may die for each that was asked for; more than that is no accident."""
CLOSE_LIMIT_S = 5.0


class ProcessExecutor(Executor):
    """``processes`` spawned processes with ``threads`` threads each; functions and arguments must be picklable."""

    def __init__(self, processes: int, *, threads: int) -> None:
        self._wanted = processes
        self._threads = threads
        self._replacements = REPLACEMENTS * processes
        self._lock = threading.Lock()
        self._closed = False
        self._workers = [_Worker(threads) for _ in range(processes)]

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Give a task to the process that has the fewest. Raises :class:`WorkerDied` where none is left."""
        task = pickle.dumps((fn, args, kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor was shut down")
            self._workers = [worker for worker in self._workers if worker.alive]
            while len(self._workers) < self._wanted and self._replacements > 0:
                self._replacements -= 1
                self._workers.append(_Worker(self._threads))
            if not self._workers:
                raise WorkerDied("every worker process died")
            worker = min(self._workers, key=lambda worker: worker.load)
        return worker.submit(task)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - Executor's
        """Let the processes end when they have done their tasks; with ``cancel_futures`` end them now."""
        with self._lock:
            self._closed = True
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.end(at_once=cancel_futures)
        for worker in workers:
            worker.join(CLOSE_LIMIT_S if wait or cancel_futures else 0.0)


class _Worker:
    """One process, seen from here. Its futures are settled by a thread that listens to it."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, threads), name="mpsbridge-worker", daemon=True)
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._futures: dict[int, Future[Any]] = {}
        self._ending = False
        self.alive = True
        with _out_of_reach_of_ctrl_c():
            self._process.start()
        theirs.close()
        threading.Thread(target=self._listen, name="mpsbridge-worker", daemon=True).start()

    @property
    def load(self) -> int:
        """How many tasks it has."""
        return len(self._futures)

    def submit(self, task: bytes) -> Future[Any]:
        """Send a task; its future fails at once where the process is dead."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            number = next(self._numbers)
            if self.alive:
                self._futures[number] = future
                with contextlib.suppress(OSError):  # it died just now, and _listen will say so
                    self._connection.send((number, task))
                return future
        future.set_exception(WorkerDied("the worker process died"))
        return future

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                number, ok, result = pickle.loads(self._connection.recv_bytes())  # noqa: S301 - our own process' bytes
                future = self._futures.pop(number)
                future.set_result(result) if ok else future.set_exception(result)
                if self._ending and not self._futures:
                    break
        with self._lock:
            self.alive = False
        self._connection.close()
        self._process.join(CLOSE_LIMIT_S)
        for number in list(self._futures):
            with contextlib.suppress(InvalidStateError):
                words = f"a worker process died (exit code {self._process.exitcode})"
                self._futures.pop(number).set_exception(WorkerDied(words))

    def end(self, *, at_once: bool) -> None:
        """Let it end after its tasks, or now."""
        with self._lock:
            self._ending = True
            if self.alive and (at_once or not self._futures):
                self._process.kill()

    def join(self, seconds: float) -> None:
        """Wait for its end."""
        self._process.join(seconds)


@contextlib.contextmanager
def _out_of_reach_of_ctrl_c() -> Iterator[None]:
    """A process started meanwhile inherits that SIGINT is blocked, from its first moment on."""
    resource_tracker.ensure_running()  # or the start would do so, and let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(connection: Connection, threads: int) -> None:
    """The other side: do tasks until the pipe is closed or the process that holds its end is gone."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="mpsbridge")
    lock = threading.Lock()

    def work(number: int, task: bytes) -> None:
        try:
            function, arguments, named = pickle.loads(task)  # noqa: S301 - the parent's bytes
            answer = pickle.dumps((number, True, function(*arguments, **named)))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is waited for
            answer = pickle.dumps((number, False, RuntimeError(f"{type(error).__name__}: {error}")))
        with lock, contextlib.suppress(OSError):
            connection.send_bytes(answer)

    with contextlib.suppress(EOFError, OSError):
        while True:
            pool.submit(work, *connection.recv())
    os._exit(0)  # whatever still waits has nobody to answer to
