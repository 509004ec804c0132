"""``lab`` and ``demo``: make-believe hosts on the loopback, for a first look and for rehearsing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast

from mpsbridge.cli.call import Call
from mpsbridge.cli.tables import counted
from mpsbridge.errors import InputError
from mpsbridge.lab.server import Lab
from mpsbridge.lab.world import World
from mpsbridge.lab.worldfile import demo_world, load_world

ENGINES = ("scripted", "powershell")
SIGN_INS = ("ntlm", "basic")


def lab(
    call: Call,
    *,
    world: Path | None,
    engine: str,
    auth: str,
    port: int,
    tls: bool,
    ready_file: Path | None,
    record: Path | None,
) -> int:
    """``lab``: listen until SIGINT or SIGTERM."""
    for option, value, known in (("--engine", engine, ENGINES), ("--auth", auth, SIGN_INS)):
        if value not in known:
            raise InputError(f"{option}: {value!r} is not one of {', '.join(known)}")
    hosts = load_world(world) if world else demo_world()
    sign_in = cast("Literal['ntlm', 'basic']", auth)
    chosen = cast("Literal['scripted', 'powershell']", engine)
    with (
        _lab(hosts, engine=chosen, auth=sign_in, port=port, tls=tls, record=record) as running,
        _until_stopped() as stopped,
    ):
        if ready_file is not None:
            _write_ready_file(running, ready_file)
        _introduce(call, running)
        stopped.wait()
    return 0


def _write_ready_file(running: Lab, path: Path) -> None:
    try:
        running.write_ready_file(path)
    except OSError as error:
        raise InputError(f"--ready-file: {path} cannot be written: {error.strerror or error}") from error


@contextmanager
def _lab(
    world: World,
    *,
    engine: Literal["scripted", "powershell"] = "scripted",
    auth: Literal["ntlm", "basic"],
    port: int,
    tls: bool,
    record: Path | None,
) -> Iterator[Lab]:
    running = Lab(world, engine=engine, auth=auth, port=port, tls=tls, record=record)
    try:
        running.start()
    except OSError as error:
        raise InputError(f"the lab cannot start: {error}") from error
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(call: Call, running: Lab) -> None:
    say = call.terminal.say
    say(f"{counted(len(running.hosts), 'host')} on port {running.port}; Ctrl-C ends them")
    for place in running.hosts:
        say(f"  {place.name:<16} {place.address}")
    say("In another shell:")
    for name, value in _environment(running).items():
        say(f"  export {name}={value}")
    say(f"  mpsbridge sessions {running.hosts[0].name}")


def _environment(running: Lab) -> dict[str, str]:
    """The settings with which every command reaches this lab."""
    ready = running.ready()
    found = {
        "MPSBRIDGE_INVENTORY": str(ready["inventory"]),
        "MPSBRIDGE_USERNAME": running.user,
        "MPSBRIDGE_PASSWORD": running.password,
        "MPSBRIDGE_AUTH": running.auth,
    }
    if running.tls:
        found["MPSBRIDGE_CA_FILE"] = str(running.ca_file)
    else:
        found["MPSBRIDGE_NO_TLS"] = "1"
        if running.auth == "basic":
            found["MPSBRIDGE_INSECURE_BASIC"] = "1"
    return found


DEMO_HOST, DEMO_USER = "school-fr", "user5"


def demo(call: Call) -> int:
    """See the main job done on make-believe hosts that show real captured tables, over real WinRM."""
    from mpsbridge.cli.main import run  # noqa: PLC0415 - main lists this command

    say = call.terminal.say

    def show(*words: str) -> int:
        say()
        say("$ mpsbridge " + " ".join(f'"{word}"' if " " in word else word for word in words), style="bold")
        return run(words)

    with _lab(demo_world(), auth="ntlm", port=0, tls=False, record=None) as running, _variables(_environment(running)):
        names = [place.name for place in running.hosts]
        say(f"{counted(len(names), 'make-believe host')} on the loopback speak real WinRM (NTLM, sealed messages);")
        say("seven of them show tables that real Windows printed, in seven languages. Who is on?")
        codes = [
            show("sessions", *names),
            show("message", DEMO_HOST, "--user", DEMO_USER, "--text", "Please save your work: restart at noon."),
            show("logoff", DEMO_HOST, "--user", DEMO_USER, "--yes"),
            show("sessions", DEMO_HOST),
        ]
        with running.world.changing() as hosts:
            left = [session.user for session in hosts[DEMO_HOST].rows()]
        acts = [change.act for change in running.changes if change.user == DEMO_USER]
    done = acts == ["message", "logoff"] and DEMO_USER not in left and not any(codes)
    say()
    say(f"{DEMO_HOST} itself says: {DEMO_USER} {'got the message and is gone' if done else 'IS STILL THERE'}.")
    return 0 if done else 1


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """These environment variables, and no other setting, for a while."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MPSBRIDGE_")}
    for name in before:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
        os.environ.update(before)
