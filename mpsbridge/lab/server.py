"""The lab: make-believe hosts that listen on the loopback, each on an address of its own, all on one port.

It runs in a thread with an event loop of its own; what goes wrong while it starts is raised in the caller. The world
lives by the clock that was passed in; the wire lives by the loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TextIO

from mpsbridge.clock import Clock
from mpsbridge.errors import SettingsError
from mpsbridge.files import open_for_owner
from mpsbridge.lab.engines.contract import Engine
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine
from mpsbridge.lab.engines.scripted.engine import ScriptedEngine
from mpsbridge.lab.engines.shells import ShellEngine
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.world import Change, World
from mpsbridge.lab.wire.addresses import bind, places
from mpsbridge.lab.wire.certificates import HOSTS_IN_A_CERTIFICATE, Authority, Channel
from mpsbridge.lab.wire.connection import Connection, Record
from mpsbridge.lab.wire.kerberos import KerberosSignIn, KeyTable, service_names
from mpsbridge.lab.wire.signin import Account, BasicSignIn, NegotiateSignIn, SignIn, UserFile
from mpsbridge.lab.wire.wsman import Endpoint
from mpsbridge.processes import allow_open_files

START_LIMIT_S = 30.0
_WAITERS = 256
"""Scripts that may wait at the same time."""


class _Listener:
    """One host's listener: what its connections share."""

    def __init__(self, lab: Lab, host: LabHost, endpoint: Endpoint, channel: Channel | None) -> None:
        self.host = host
        self.endpoint = endpoint
        self.channel = channel
        self._lab = lab

    def new_sign_in(self) -> SignIn:
        account = replace(self._lab.account, computer=self.host.facts.computer)
        if self._lab.auth == "basic":
            return BasicSignIn(account)
        if self._lab.keytab is not None:
            return KerberosSignIn(account, self.channel.binding if self.channel else None)
        return NegotiateSignIn(account, self.channel.binding if self.channel else None)

    def record(self, record: Record) -> None:
        self._lab._note_request(record)  # noqa: SLF001 - the lab's own part

    def refused(self) -> None:
        self._lab.refused[self.host.name] = self._lab.refused.get(self.host.name, 0) + 1


class Lab:
    """Start it with ``with Lab(world) as lab:`` or ``start()`` and ``stop()``.

    ``port`` is the one port of all hosts (0: a free one; that of the first where they share an address), ``ca_file``
    what a client must trust over TLS, ``requests`` and ``changes`` what has happened so far. ``record`` names a file
    that gets one JSON line for each of both.

        with Lab(load_world("small")) as lab:
            connect(lab.hosts[0].address, lab.port, lab.user, lab.password)
    """

    def __init__(
        self,
        world: World,
        *,
        engine: Literal["scripted", "powershell"] | Engine | ShellEngine = "scripted",
        port: int = 0,
        auth: Literal["ntlm", "basic", "kerberos"] = "ntlm",
        keytab: Path | None = None,
        tls: bool = False,
        record: Path | None = None,
        user: str = "Administrator",
        password: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if clock is not None:
            world.live_by(clock)
        self.world = world
        self.port = port
        self.auth = auth
        self.keytab = keytab
        self.tls = tls
        self.account = Account(user, password or secrets.token_urlsafe(15))
        self.requests: list[Record] = []
        self.refused: dict[str, int] = {}
        """Failed attempts to sign in, by host."""
        self.ca_file: Path | None = None
        self.inventory: Path | None = None
        """An inventory (TOML) that names every host, while the lab runs."""
        self.hosts = places(world.hosts.values())
        self.service_names: dict[str, str] = {}
        """What each host is called in Kerberos, where clients sign in by that."""
        if (auth == "kerberos") != (keytab is not None):
            raise SettingsError("--auth kerberos and --keytab (with the hosts' keys) go together")
        if keytab is not None:
            self.service_names = service_names(keytab, list(world.hosts))
        self._engine = _engine(engine)
        self._record = record
        self._record_file: TextIO | None = None
        self._folder: Path | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: list[asyncio.Server] = []
        self._endpoints: list[Endpoint] = []
        self._connections: set[Connection] = set()
        self._connection_count = 0
        self._waiters: ThreadPoolExecutor | None = None
        self._stopping = threading.Event()

    @property
    def user(self) -> str:
        """The account that every host lets in."""
        return self.account.user

    @property
    def password(self) -> str:
        """Its password."""
        return self.account.password

    @property
    def changes(self) -> list[Change]:
        """What has happened to people so far, in order."""
        return self.world.changes

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Start and stop.

    def start(self) -> None:
        """Listen, once. Raises ``SettingsError`` where that is not possible, in this thread."""
        if self._stopping.is_set():
            raise RuntimeError("a lab that was stopped does not start again")
        if self.keytab is not None:
            KeyTable.start(self.keytab)
        self._folder = Path(tempfile.mkdtemp(prefix="mpsbridge-lab-"))
        UserFile.start()
        try:
            if self._record is not None:
                self._record_file = open_for_owner(self._record, "a")
            self.world.on_change = self._note_change
            allow_open_files(3 * len(self.hosts) + 256)
            if isinstance(self._engine, ShellEngine):
                self._engine.start(self.world, self._post)
            self.hosts, sockets = bind(self.hosts, self.port)
            self.port = self.hosts[0].port if self.hosts else self.port
            self._waiters = ThreadPoolExecutor(_WAITERS, thread_name_prefix="lab-wait")
            started: asyncio.Future[None] = asyncio.Future(loop=(loop := asyncio.new_event_loop()))
            self._loop = loop
            ready = threading.Event()
            started.add_done_callback(lambda _: ready.set())
            self._thread = threading.Thread(target=self._run, args=(sockets, started), name="lab", daemon=True)
            self._thread.start()
            if not ready.wait(START_LIMIT_S):
                raise SettingsError(f"the lab did not start within {START_LIMIT_S:.0f} s")
            started.result()
            self.inventory = self._folder / "inventory.toml"
            self.inventory.write_text(self._inventory_text(), encoding="utf-8")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close every connection and listener; may be called twice."""
        self._stopping.set()
        if self._loop is not None and self._thread is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop = self._thread = None
        if isinstance(self._engine, ShellEngine):
            self._engine.stop()
        if self._waiters is not None:
            self._waiters.shutdown(wait=True, cancel_futures=True)
            self._waiters = None
        if self._record_file is not None:
            self._record_file.close()
            self._record_file = None
        if self._folder is not None:
            self.world.on_change = None
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
            UserFile.stop()
            if self.keytab is not None:
                KeyTable.stop()

    def _run(self, sockets: dict[str, socket.socket], started: asyncio.Future[None]) -> None:
        loop = started.get_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._listen(sockets))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that called start()
            for sock in sockets.values():
                sock.close()
            started.set_exception(error)
        else:
            started.set_result(None)
            loop.run_forever()
            loop.run_until_complete(self._shut())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _listen(self, sockets: dict[str, socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        channels = self._channels()
        for place in self.hosts:
            if place.name not in sockets:
                continue
            host = self.world.hosts[place.name]
            endpoint = Endpoint(host, self._engine, self._later, owner=self.user)
            self._endpoints.append(endpoint)
            channel = channels.get(place.name)
            listener = _Listener(self, host, endpoint, channel)
            server = await loop.create_server(
                self._connect_to(listener),
                sock=sockets[place.name],
                ssl=channel.context if channel else None,
                backlog=128,
            )
            self._servers.append(server)

    async def _shut(self) -> None:
        for server in self._servers:
            server.close()
        for endpoint in self._endpoints:
            endpoint.close()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)  # let the transports close their sockets
        for connection in list(self._connections):
            connection.abort()  # whoever does not read what was written
        await asyncio.sleep(0)

    def _connect_to(self, listener: _Listener) -> Callable[[], Connection]:
        def make() -> Connection:
            self._connection_count += 1
            return Connection(listener, self._connection_count, self._connections)

        return make

    def _channels(self) -> dict[str, Channel]:
        """TLS for each host; some share a certificate so that a thousand stay light."""
        if not self.tls or self._folder is None:
            return {}
        authority = Authority(self._folder)
        self.ca_file = authority.ca_file
        channels: dict[str, Channel] = {}
        for start in range(0, len(self.hosts), HOSTS_IN_A_CERTIFICATE):
            group = self.hosts[start : start + HOSTS_IN_A_CERTIFICATE]
            names = [text for place in group for text in (place.name, place.address)]
            channel = authority.channel(names, f"hosts-{start}")
            channels |= {place.name: channel for place in group}
        return channels

    # What happens meanwhile.

    def _later(self, seconds: float, resume: Callable[[], None]) -> None:
        """Let the world's time pass in a thread of its own, then go on in the loop."""
        loop, waiters = self._loop, self._waiters
        if loop is None or waiters is None:
            return

        def wait() -> None:
            if not self.world.clock.wait(seconds, self._stopping):
                _post(loop, resume)

        waiters.submit(wait)

    def _post(self, act: Callable[[], None]) -> None:
        """Run something in the loop, from any thread, while there is one."""
        if self._loop is not None:
            _post(self._loop, act)

    def _note_change(self, change: Change) -> None:
        self._write_line("change", change)
        if change.act in {"restart", "shutdown"} and self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut_off, change.host)

    def _cut_off(self, name: str) -> None:
        """A host goes down: its shells are gone, and whoever talks to it hears no more."""
        for connection in [each for each in self._connections if each.host.name == name]:
            connection.abort()
        for endpoint in [each for each in self._endpoints if each.host.name == name]:
            endpoint.close()

    def _note_request(self, record: Record) -> None:
        self.requests.append(record)
        self._write_line("request", record)

    def _write_line(self, kind: str, told: Record | Change) -> None:
        if self._record_file is not None:
            line = {"kind": kind, **asdict(told)}
            with self.world.lock:
                self._record_file.write(json.dumps(line) + "\n")
                self._record_file.flush()

    # What others need in order to find it.

    def ready(self) -> dict[str, Any]:
        """What a client needs: the ready file's content. ``inventory`` is a file for ``--inventory``."""
        known: dict[str, Any] = {
            "port": self.port,
            "tls": self.tls,
            "auth": self.auth,
            "user": self.user,
            "password": self.password,
            "ca_file": str(self.ca_file) if self.ca_file else None,
            "inventory": str(self.inventory),
            "hosts": [{"name": place.name, "address": place.address, "port": place.port} for place in self.hosts],
        }
        if self.keytab is not None:
            known["kerberos"] = {
                "keytab": str(self.keytab),
                "krb5_conf": os.environ.get("KRB5_CONFIG"),
                "service_names": self.service_names,
            }
        return known

    def _inventory_text(self) -> str:
        """Each host by name, with all that a client needs but the password; JSON strings are TOML strings too."""
        trust = f"ca_file = {json.dumps(str(self.ca_file))}\n" if self.ca_file else ""
        return "".join(
            f"[hosts.{json.dumps(place.name)}]\naddress = {json.dumps(place.address)}\nport = {place.port}\n"
            f"tls = {str(self.tls).lower()}\nauth = {json.dumps(self.auth)}\n"
            f"{self._who(place.name)}{trust}\n"
            for place in self.hosts
        )

    def _who(self, name: str) -> str:
        """The user, or the host's name in Kerberos, where whoever has a ticket is let in."""
        if self.keytab is not None:
            return f"spn = {json.dumps(self.service_names[name])}\n"
        return f"username = {json.dumps(self.user)}\n"

    def write_ready_file(self, path: Path) -> None:
        """Write :meth:`ready` and move it into place when complete, readable by its owner only.

        What is no file, or a link, is written to and never replaced. Raises ``OSError``.
        """
        text = json.dumps(self.ready(), indent=2, ensure_ascii=False) + "\n"
        if path.is_symlink() or (path.exists() and not path.is_file()):  # a pipe, say, or standard output
            with open_for_owner(path, "w") as file:
                file.write(text)
            return
        with tempfile.NamedTemporaryFile(
            "w", prefix=f".{path.name}.", dir=path.parent, encoding="utf-8", delete=False
        ) as draft:
            try:
                draft.write(text)
                draft.close()
                Path(draft.name).replace(path)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise


def _post(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Run something in the loop, from any thread."""
    with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
        loop.call_soon_threadsafe(act)


def _engine(engine: str | Engine | ShellEngine) -> Engine | ShellEngine:
    if engine == "scripted":
        return ScriptedEngine()
    if engine == "powershell":
        return PowerShellEngine()
    if isinstance(engine, str):
        raise SettingsError(f"there is no engine {engine!r}; use 'scripted' or 'powershell'")
    return engine
