"""Many processes want the same host at the same moment: one has it, nobody is ended or told twice, nothing is left."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import examples
from support.reserved import lease_of, task_of

from mpsbridge.lab import Lab, build_world

HOST: dict[str, Any] = {
    "name": "alpha",
    "sessions": [
        {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logoff_s": 1},
        {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logoff_s": 1},
    ],
}
END = ["end", "alpha", "--all", "--no-warning", "--reason", "updates", "--yes"]


def call(words: list[str], environment: dict[str, str], output: Path) -> None:
    """In a process of its own: one call of the command line, whose exit code is that of the process."""
    from mpsbridge.cli.main import run  # noqa: PLC0415 - in that process

    os.environ.update(environment)
    with (
        output.open("w", encoding="utf-8") as printed,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        code = run(words)
    sys.exit(code)


@pytest.mark.slow(reason="processes race in real time, and a real log-off is waited for")
@pytest.mark.parametrize("one_journal", [True, False], ids=["one-journal", "a-journal-each"])
def test_of_many_processes_at_one_lease_one_acts(one_journal: bool, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mpsbridge.cli.ending", "mpsbridge.cli.running", "mpsbridge.transports.winrm"])
    settings = tmp_path / "settings.toml"
    settings.touch()
    with Lab(build_world({"hosts": [HOST]})) as lab:
        processes = []
        for number in range(examples(ci=12, deep=80)):
            environment = {
                "MPSBRIDGE_SETTINGS": str(settings),
                "MPSBRIDGE_INVENTORY": str(lab.inventory),
                "MPSBRIDGE_PASSWORD": lab.password,
                "MPSBRIDGE_JOURNAL": str(tmp_path / f"journal-{0 if one_journal else number}.sqlite"),
            }
            process = context.Process(target=call, args=(END, environment, tmp_path / f"printed-{number}"))
            process.start()
            processes.append(process)
        for process in processes:
            process.join(100)
        codes = Counter(process.exitcode for process in processes)
        acts = Counter((change.act, change.user) for change in lab.changes)
        with lab.world.changing() as hosts:
            host = hosts["alpha"]
            assert (host.rows(), lease_of(host), task_of(host), host.logon_mode) == ([], None, None, "enabled")
    printed = [(tmp_path / f"printed-{number}").read_text(encoding="utf-8") for number in range(len(processes))]
    assert not any("Traceback" in each for each in printed)
    assert acts["logoff", "alice"] == acts["logoff", "bob"] == 1
    assert not set(codes) - {0, 1, 3}, codes  # 0 also for whoever came when nobody was on any more
    assert codes[0] >= 1
