"""What tests let workers do. Loaded by each of them, so it loads little."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from mpsbridge.host import Host
from mpsbridge.models.credentials import Password
from mpsbridge.models.targets import Target


def die_once(mark: Path, host: Host) -> str:
    """Kill the worker at the first reading of ts3."""
    if host.name == "ts3" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return host.name


def die_always(host: Host) -> str:
    if host.name == "ts3":
        os.kill(os.getpid(), signal.SIGKILL)
    return host.name


def own_number(_: int) -> int:
    return os.getpid()


def own_command_line(target: Target) -> bytes:
    assert isinstance(target.credentials, Password)
    assert target.credentials.secret.get_secret_value() == "swordfish-7"
    return Path("/proc/self/cmdline").read_bytes() + Path("/proc/self/environ").read_bytes()


def wait_for(path: Path, host: Host) -> str:
    """Hang until the file is there."""
    while host.name != "ts0" and not path.exists():
        threading.Event().wait(0.05)
    return host.name


def password_of(host: Host) -> str:
    assert isinstance(host.target.credentials, Password)
    return host.target.credentials.secret.get_secret_value()
