"""Where a call reads its hosts: on threads of this process, or by the workers of a Dask cluster.

Rule: only reading leaves this process. A command that acts refuses before anything is sent, however it was told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mpsbridge.cli.call import Call
from mpsbridge.errors import InputError
from mpsbridge.models.targets import Target
from mpsbridge.settings import Settings
from mpsbridge.workers.elsewhere import ExecutorWorkers


def refuse_elsewhere(settings: Settings, why: str) -> None:
    """Raise ``InputError`` where the call shall read elsewhere and cannot, because ``why``."""
    if settings.executor is not None:
        raise InputError(f"--executor is for reading only: {why}", hint="Leave out --executor (or MPSBRIDGE_EXECUTOR).")


class RemoteReaders(NamedTuple):
    """Who reads instead of this process' own threads, and how many hosts at a time."""

    workers: ExecutorWorkers
    slots: int


def elsewhere(call: Call, targets: Sequence[Target]) -> RemoteReaders | None:
    """Who reads the hosts on a cluster; ``None`` where that was not asked for."""
    settings = call.settings
    if settings.executor is None and (settings.scheduler or settings.worker_password_variable):
        raise InputError("--scheduler and --worker-password-variable belong to --executor dask")
    return None if settings.executor is None else _by_dask(call, targets)


def _by_dask(call: Call, targets: Sequence[Target]) -> RemoteReaders:
    from mpsbridge.workers.dask import DaskExecutor  # noqa: PLC0415 - an optional extra

    settings = call.settings
    if settings.scheduler is None:
        raise InputError(
            "--executor dask needs --scheduler ADDRESS",
            hint="For example tls://scheduler:8786, or local:4 for four processes here.",
        )
    variable = settings.worker_password_variable
    if settings.scheduler.startswith("tcp://"):
        call.terminal.warn(
            f"--scheduler {settings.scheduler}: a program that answers there, or stands in between, can run code "
            "here; use tls:// where that is not this machine"
        )
    executor = DaskExecutor(settings.scheduler)
    try:
        executor.check(targets, password_variable=variable)
    except BaseException:
        executor.shutdown()
        raise
    workers = ExecutorWorkers(targets, executor, timeout_s=float(settings.timeout), password_variable=variable)
    return RemoteReaders(workers, max(settings.concurrency, executor.threads))
