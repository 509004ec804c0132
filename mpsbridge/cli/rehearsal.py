"""``lab`` and ``demo``: make-believe hosts on the loopback, for a first look and for rehearsing."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal, cast

from pydantic import SecretStr

from mpsbridge.cli import acting, reading
from mpsbridge.cli.call import Call
from mpsbridge.cli.fleets import open_journal
from mpsbridge.cli.leaving import INTERRUPTION
from mpsbridge.cli.output import INTERRUPTED
from mpsbridge.cli.running import run_end
from mpsbridge.cli.terminal import Terminal
from mpsbridge.clock import Clock, HastyClock
from mpsbridge.errors import InputError, MpsBridgeError
from mpsbridge.files import open_for_owner
from mpsbridge.lab.demo import DEMO_HOST, DEMO_USER, MAINTAINED, environment, what_hosts_say
from mpsbridge.lab.engines.scripted.engine import answer_now
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.world import World
from mpsbridge.lab.worldfile import build_world, demo_world, load_world
from mpsbridge.models.complaints import not_one_of
from mpsbridge.models.counts import counted
from mpsbridge.models.credentials import Auth
from mpsbridge.models.then import Then
from mpsbridge.operations.ending import End
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Allowed, Selector
from mpsbridge.reports.page import page
from mpsbridge.reports.summary import make_report
from mpsbridge.runs.journal import Journal
from mpsbridge.settings import Output, Settings

ENGINES = ("scripted", "powershell")
MOST_PORT = 65535
SIGN_INS = ("ntlm", "basic", "kerberos")


def lab(
    call: Call,
    *,
    world: Path | None,
    evidence: Sequence[Path],
    engine: str,
    auth: str,
    keytab: Path | None,
    port: str,
    tls: bool,
    ready_file: Path | None,
    record: Path | None,
) -> int:
    """``lab``: listen until SIGINT or SIGTERM."""
    for option, value, known in (("--engine", engine, ENGINES), ("--auth", auth, SIGN_INS)):
        if value not in known:
            raise InputError(f"{option}: {not_one_of(value, known)}")
    if not (port.isascii() and port.isdigit() and int(port) <= MOST_PORT):
        raise InputError(f"--port: {port!r} is not a port: 0 to {MOST_PORT}")
    if world is not None and evidence:
        raise InputError("--world and --evidence: the hosts are those of one or the other")
    hosts = _played(call, evidence) if evidence else load_world(world) if world else demo_world()
    sign_in = cast("Literal['ntlm', 'basic', 'kerberos']", auth)
    chosen = cast("Literal['scripted', 'powershell']", engine)
    with (
        _until_stopped() as stopped,  # until the lab has cleared away what it made
        _lab(hosts, engine=chosen, auth=sign_in, keytab=keytab, port=int(port), tls=tls, record=record) as running,
    ):
        call.look_at_output("--record", record)
        if ready_file is not None:
            _write_ready_file(running, ready_file)
        _introduce(call, running)
        stopped.wait()
    return 0


def _played(call: Call, files: Sequence[Path]) -> World:
    """The hosts of evidence; what of them cannot be played is said."""
    from mpsbridge.evidence.record import read_evidence  # noqa: PLC0415 - only where there is some
    from mpsbridge.evidence.world import differences, playable  # noqa: PLC0415

    known = [(file, read_evidence(file)) for file in files]
    played = playable(known, now=call.clock.now())
    if left := sum(len(each.hosts) for _, each in known) - len(played):
        call.terminal.warn(f"{counted(left, 'host')} gave no answer that can be played: left out")
    world = build_world({"hosts": [each.host for each in played]}, source=files[0])
    for host, kept in played:
        for said in differences(kept, partial(answer_now, world.hosts[host["name"]])):
            call.terminal.warn(f"{host['name']}: {said}")
    return world


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
    auth: Literal["ntlm", "basic", "kerberos"],
    keytab: Path | None = None,
    port: int,
    tls: bool,
    record: Path | None,
    clock: Clock | None = None,
) -> Iterator[Lab]:
    running = Lab(world, engine=engine, auth=auth, keytab=keytab, port=port, tls=tls, record=record, clock=clock)
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
    """An event that SIGINT and SIGTERM set; the first of them is enough, and what follows is ignored."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        stopped.set()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
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
    for name, value in environment(running).items():
        say(f"  export {name}={value}")
    say(f"  mpsbridge sessions {running.hosts[0].name}")


HURRY = 150.0
"""A quarter of an hour of warnings and a restart fit into some seconds."""
_WHY = ("--all", "--then", "restart", "--reason", "Windows updates")


def demo(call: Call, report: Path) -> int:
    """``demo``: list, message, log off, and the whole procedure with a restart, on make-believe hosts."""
    clock = HastyClock(HURRY)
    say = call.terminal.say
    if not (os.access(report.parent, os.W_OK) and report.parent.is_dir()) or report.is_dir():
        raise InputError(f"--report: {report} cannot be written", hint="Name a file in a folder that is there.")
    with (
        tempfile.TemporaryDirectory(prefix="mpsbridge-demo-") as folder,
        _lab(demo_world(clock), auth="ntlm", port=0, tls=False, record=None, clock=clock) as running,
    ):
        record = Path(folder) / "journal.sqlite"
        stage = _Stage(call, clock, _settings(running, record))
        names = [place.name for place in running.hosts]
        say(f"{counted(len(names), 'make-believe host')} on the loopback speak real WinRM (NTLM, sealed messages);")
        say("seven of them show tables that real Windows printed, in seven languages. Who is on?")
        codes = [stage.sessions(names), stage.message(), stage.log_off()]
        say()
        say("Restart one for updates? A dry run says who would be hit, and what speaks against it:")
        refused = stage.end(dry_run=True)
        say()
        say("Said in so many words, it is done: people are warned, new ones kept out, sessions ended, the host")
        say("restarted, and all is put back. (Only here the clock hurries: a wait takes seconds, not minutes.)")
        codes.append(stage.end())
        codes.append(_write_report(call, record, report))
        done = _judge(call, running) and not any(codes) and refused == 3
    return 0 if done else 1


def _settings(running: Lab, record: Path) -> Settings:
    """How every command reaches this lab; none of the person's own settings, and a record apart."""
    return Settings.of_its_own(
        inventory=running.inventory,
        username=running.user,
        password=SecretStr(running.password),
        auth=Auth.NTLM,
        no_tls=True,
        journal=record,
    )


class _Stage:
    """Shows a call as a person would type it, and carries it out."""

    def __init__(self, call: Call, clock: Clock, settings: Settings) -> None:
        self._call = call
        self._clock = clock
        self._settings = settings

    def sessions(self, names: Sequence[str]) -> int:
        """Who is on, everywhere."""
        typed = ("sessions", *names)
        return self._show(typed, lambda call: reading.sessions(call, names, None, None, None))

    def message(self) -> int:
        """Tell one user."""
        text, who = "Please save your work: restart at noon.", Selector(users=(DEMO_USER,))
        typed = ("message", DEMO_HOST, "--user", DEMO_USER, "--text", text)
        return self._show(typed, lambda call: acting.message(call, [DEMO_HOST], text, who))

    def log_off(self) -> int:
        """Log that user off."""
        typed, who = ("logoff", DEMO_HOST, "--user", DEMO_USER, "--yes"), Selector(users=(DEMO_USER,))
        return self._show(typed, lambda call: acting.logoff(call, [DEMO_HOST], who, Allowed(), yes=True))

    def end(self, *, dry_run: bool = False) -> int:
        """The whole procedure, with a restart."""
        allowed = () if dry_run else ("--include-console", "--disconnected-ok")
        typed = ("end", MAINTAINED, *_WHY, *allowed, "--dry-run" if dry_run else "--yes")
        policy = Policy(
            selector=Selector(everyone=True),
            then=Then.RESTART,
            reason=_WHY[-1],
            include_console=not dry_run,
            disconnected_ok=not dry_run,
        )

        def end(call: Call) -> int:
            with open_journal(call) as journal:
                operation = End(policy=policy)
                code, _ = run_end(call, journal, call.targets([MAINTAINED]), operation, events=None, yes=True)
                return code

        return self._show(typed, end, dry_run=dry_run)

    def _show(self, typed: tuple[str, ...], act: Callable[[Call], int], *, dry_run: bool = False) -> int:
        call = self._call
        call.terminal.say()
        shown = " ".join(f'"{word}"' if " " in word else word for word in typed)
        call.terminal.say(f"$ mpsbridge {shown}", style="bold")
        terminal = Terminal(command=typed[0], output=Output.TABLE, color=not call.settings.no_color)
        settings = self._settings.model_copy(update={"dry_run": dry_run})
        try:
            code = act(Call(typed[0], settings, terminal, self._clock, typed))
        except MpsBridgeError as error:
            code = terminal.error(error)
        if INTERRUPTION.came or code == INTERRUPTED:
            raise KeyboardInterrupt
        return code


def _write_report(call: Call, record: Path, path: Path) -> int:
    with Journal(record) as journal:
        run = next(run for run in journal.runs() if run.command == "end")
        text = page(make_report(run, journal.entries(run.id)))
    try:
        with open_for_owner(path, "w") as file:
            file.write(text)
    except OSError as error:
        call.terminal.warn(f"{path} cannot be written: {error.strerror or error}")
        return 1
    call.terminal.say()
    call.terminal.say(f"The whole run as a page: {path.resolve()}")
    return 0


def _judge(call: Call, running: Lab) -> bool:
    """Ask the hosts themselves whether all that happened, and say so."""
    told = what_hosts_say(running)
    call.terminal.say()
    call.terminal.say(
        f"{DEMO_HOST} itself says: {DEMO_USER} {'got the message and is gone' if told.gone else 'IS STILL THERE'}."
    )
    said = f"ended {told.ended} people's sessions, restarted once, and logons are as they were"
    call.terminal.say(f"{MAINTAINED} itself says: {said if told.restarted else 'NOT ALL OF IT HAPPENED'}.")
    return told.gone and told.restarted
