"""Where a call reads its hosts: on threads of this process, in others (``--processes``), or by a cluster.

Rule: only reading leaves this process. A command that acts refuses before anything is sent, however it was told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mpsbridge.cli.call import Call
from mpsbridge.errors import InputError
from mpsbridge.fleet import MOST_AT_WORK
from mpsbridge.models.targets import Target
from mpsbridge.settings import Settings
from mpsbridge.workers.elsewhere import ExecutorWorkers


def refuse_elsewhere(settings: Settings, why: str) -> None:
    """Raise ``InputError`` where the call shall read elsewhere and cannot, because ``why``."""
    for option in ("processes", "executor"):
        if getattr(settings, option) is not None:
            words = f"--{option} is for reading only: {why}"
            raise InputError(words, hint=f"Leave out --{option} (or MPSBRIDGE_{option.upper()}).")


class Elsewhere(NamedTuple):
    """Who reads instead of this process' own threads, and how many hosts at a time."""

    workers: ExecutorWorkers
    slots: int


def elsewhere(call: Call, targets: Sequence[Target]) -> Elsewhere | None:
    """Who reads the hosts in other processes or on a cluster; ``None`` where neither was asked for."""
    settings = call.settings
    if settings.executor is None and (settings.scheduler or settings.worker_password_variable):
        raise InputError("--scheduler and --worker-password-variable belong to --executor dask")
    if settings.processes is not None:
        if settings.executor is not None:
            raise InputError("--processes and --executor exclude each other")
        return _in_processes(call, targets, settings.processes)
    return None if settings.executor is None else _by_dask(call, targets)


def _in_processes(call: Call, targets: Sequence[Target], count: int) -> Elsewhere:
    from mpsbridge.workers.processes import ProcessExecutor  # noqa: PLC0415 - loaded when needed

    executor = ProcessExecutor(min(count, len(targets)), threads=MOST_AT_WORK)
    workers = ExecutorWorkers(targets, executor, timeout_s=float(call.settings.timeout))
    return Elsewhere(workers, call.settings.concurrency)


def _by_dask(call: Call, targets: Sequence[Target]) -> Elsewhere:
    from mpsbridge.workers.dask import DaskExecutor  # noqa: PLC0415 - an optional extra

    settings = call.settings
    if settings.scheduler is None:
        raise InputError("--executor dask needs --scheduler ADDRESS", hint="For example tcp://scheduler:8786.")
    variable = settings.worker_password_variable
    executor = DaskExecutor(settings.scheduler)
    try:
        executor.check(targets, password_variable=variable)
    except BaseException:
        executor.shutdown()
        raise
    workers = ExecutorWorkers(targets, executor, timeout_s=float(settings.timeout), password_variable=variable)
    return Elsewhere(workers, max(settings.concurrency, executor.threads))
