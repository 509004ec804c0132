"""Scripts on the real PowerShell engine, on a make-believe Windows or on nothing; none leaves anything for the next."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mpsbridge.models.scripts import RawOutput, Script

SCRIPTS = Path(__file__).parent / "engine"


class Served:
    """One engine process that runs scripts as they are asked for.

    It ends with its standard input, and so with whoever started it, and when a script takes longer than a minute.
    """

    LIMIT_S = 60

    def __init__(self, engine: Path, dialect: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            [str(engine), "-NoProfile", "-NonInteractive", "-File", str(SCRIPTS / "serve.ps1")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | ({"PWSH_JSON": dialect} if dialect else {}),
        )

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any]) -> list[str]:
        """The lines that a script makes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(self.LIMIT_S, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            lines: list[str] = []
            for line in self._process.stdout:
                if line == "end\n":
                    return lines
                lines.append(line.rstrip("\n"))
        finally:
            watchdog.cancel()
        self._errors.seek(0)
        pytest.fail(f"the engine ended while it ran a script: {self._errors.read().decode(errors='replace')}{lines}")

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


_SERVED: dict[tuple[Path, str, str], Served] = {}
"""The engines of this test process; starting one for each script would be most of the tests' time. A process remembers
that it once had a constrained runspace, so each language mode has its own."""


def close() -> None:
    """Let the engines of this test process end."""
    for served in _SERVED.values():
        served.close()


def _served(engine: Path, dialect: str, language: str) -> Served:
    served = _SERVED.get((engine, dialect, language))
    if served is None or not served.alive:
        served = _SERVED[engine, dialect, language] = Served(engine, dialect)
    return served


def run_script(
    engine: Path,
    script: Script | str,
    *,
    prelude: Path | None = None,
    environment: Mapping[str, str] | None = None,
    json_dialect: str = "",
    language: str = "FullLanguage",
    module: Path | None = None,
    console_page: int = 0,
    alone: bool = False,
) -> RawOutput:
    """Execute a script, after a ``prelude`` and with more ``environment``; nothing is left for the next one.

    ``alone`` is in a process of its own. ``console_page`` is the code page by which PowerShell reads what programs
    print, where it reads that at all. With a ``module`` the script is not sent: its function is called, with its
    parameters, on an endpoint that has the module and nothing else.
    """
    request: dict[str, Any] = {
        "environment": dict(environment or {}),
        "prelude": str(prelude or ""),
        "script": script if isinstance(script, str) else script.text,
        "language": language,
        "console_page": console_page or 65001,
        "clean": isinstance(script, Script) and module is None,
    }
    if module is not None and isinstance(script, Script):
        request |= {"module": str(module), "function": script.function, "parameters": script.parameters}
    if alone:
        served = Served(engine, json_dialect)
        lines = served.ask(request)
        served.close()
    else:
        lines = _served(engine, json_dialect, language).ask(request)
    streams: dict[str, list[str]] = {"output": [], "error": [], "noise": [], "failed": []}
    for line in lines:
        stream, _, text = line.partition(" ")
        streams[stream].append(base64.b64decode(text).decode())
    assert not streams["noise"], streams["noise"]
    return RawOutput(
        output=tuple(streams["output"]),
        errors=tuple(streams["failed"] + streams["error"]),
        failed=bool(streams["failed"]),
    )
