"""Calls of the command line as processes of their own that can be killed, without the half second that a start takes.

One warm process, started as this very file, has loaded the command line and forks for each call; the fork is a process
like any other. ``kill_after`` makes it send itself SIGKILL as soon as so many writes of its journal are on the disk.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self


class Called(NamedTuple):
    """What became of a call: its exit code (negative: the signal that ended it), and what it printed."""

    code: int
    printed: str


class ForkedCalls:
    """Makes calls, one at a time."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "support.forked_calls"],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def call(
        self,
        words: Sequence[str],
        *,
        clock: Path,
        environment: Mapping[str, str],
        output: Path,
        kill_after: int | None = None,
        largest_file: int | None = None,
        streams: Mapping[int, Literal["closed", "full", "left"]] | None = None,
        limit_s: int = 0,
        began: Callable[[int], None] = lambda _pid: None,
    ) -> Called:
        """Make a call that lives by the shared clock in the file ``clock``; ``began`` gets its process id at once.

        ``largest_file`` is how many bytes a file of it may have; more of them do not fit on its disk. Of ``streams`` (1
        and 2) each is closed, a full disk, or a pipe whose reader has left. ``limit_s`` is when it is killed (SIGALRM).
        """
        order = {
            "words": list(words),
            "clock": str(clock),
            "environment": dict(environment),
            "output": str(output),
            "kill_after": kill_after,
            "largest_file": largest_file,
            "streams": {str(number): kind for number, kind in (streams or {}).items()},
            "limit_s": limit_s,
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(order), file=self._server.stdin, flush=True)
        began(int(self._server.stdout.readline()))
        status = int(self._server.stdout.readline())
        return Called(os.waitstatus_to_exitcode(status), output.read_text(encoding="utf-8"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()


def _serve() -> None:
    """The warm process: an order in each line, and for each the process id and later the status."""
    from mpsbridge.cli import acting, commands, ending, leases, main, running  # noqa: F401, PLC0415 - loaded before the forks
    from mpsbridge.transports import winrm  # noqa: F401, PLC0415 - the same

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _call(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitpid(pid, 0)[1]}\n")
        sys.stdout.flush()


def _call(order: dict[str, object]) -> None:
    """One call, in a process of its own that ends here."""
    from mpsbridge.__main__ import main  # noqa: PLC0415 - see _serve

    code: object = 70
    try:
        signal.alarm(int(str(order["limit_s"])))
        printed = os.open(str(order["output"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        environment, words, streams = order["environment"], order["words"], order["streams"]
        assert isinstance(environment, dict)
        assert isinstance(words, list)
        assert isinstance(streams, dict)
        for number, kind in streams.items():
            _spoil(int(number), str(kind))
        os.environ.update(environment)
        if isinstance(kill_after := order["kill_after"], int):
            _kill_after(kill_after)
        if isinstance(largest := order["largest_file"], int):
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        sys.argv[1:] = words
        main(SharedClock(Path(str(order["clock"]))))
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:  # noqa: BLE001 - shown, and the process ends
        traceback.print_exc()
    finally:
        os._exit(int(str(code)))


def _spoil(number: int, kind: str) -> None:
    """Make a standard stream what it is to a process that was started so."""
    if kind == "closed":
        os.close(number)
        setattr(sys, {1: "stdout", 2: "stderr"}[number], None)
    elif kind == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), number)
    else:
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, number)


def _kill_after(writes: int) -> None:
    """Be killed as soon as so many writes of the journal are on the disk."""
    from mpsbridge.runs.journal import Journal  # noqa: PLC0415 - see _serve

    writing = Journal._writing
    done = 0

    @contextmanager
    def counted(self: Journal, run: str) -> Iterator[None]:
        nonlocal done
        with writing(self, run):
            yield
        done += 1
        if done == writes:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal._writing = counted  # type: ignore[method-assign]  # in this process only


if __name__ == "__main__":
    from support.shared_clock import SharedClock

    _serve()
