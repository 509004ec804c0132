"""A Kerberos realm of its own: MIT's KDC as a child process on the loopback, all its files in one folder.

Nothing of the system is read or changed: krb5.conf, database, key tables and ticket caches lie in the folder, and
whoever uses the realm says so with ``KRB5_CONFIG``. Tickets of any age are made by writing other times into a ticket
cache, so no test waits for one to run out.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

REALM = "LAB.TEST"
PASSWORD = "Rosebud-1941"
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_CONF = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
    SILENT.TEST = {{
        kdc = 127.0.0.1:{dead}
    }}
"""
_KDC_CONF = """\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/acl
        supported_enctypes = aes256-cts:normal
        default_principal_flags = +preauth
        max_life = 10h
        max_renewable_life = 7d
    }}
[logging]
    kdc = FILE:{folder}/kdc.log
"""


def program(name: str) -> str | None:
    """One of MIT's programs, also where only root's PATH finds it."""
    return shutil.which(name, path=_PATH)


class Realm:
    """One realm, with its KDC running; see :func:`running`."""

    def __init__(self, folder: Path, port: int, dead: int) -> None:
        self.folder = folder
        self.port = port
        self.conf = folder / "krb5.conf"
        self.keytab = folder / "hosts.keytab"
        self.environment = {"KRB5_CONFIG": str(self.conf), "KRB5_KDC_PROFILE": str(folder / "kdc.conf")}
        self.conf.write_text(_CONF.format(realm=REALM, port=port, dead=dead))
        (folder / "kdc.conf").write_text(_KDC_CONF.format(realm=REALM, port=port, folder=folder))

    def run(self, name: str, *words: str, said: str = "") -> str:
        """One of MIT's programs, with this realm's files; what it printed."""
        done = subprocess.run(
            [program(name) or name, *words],
            input=said,
            env={"PATH": _PATH, **self.environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, f"{name} {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def create(self, people: dict[str, str], services: list[str]) -> None:
        """The database: who there is, and the services whose keys go into :attr:`keytab`."""
        self.run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        lines = [f"addprinc -pw {password} {name}" for name, password in people.items()]
        lines += [f"addprinc -randkey {name}" for name in services]
        lines += [f"ktadd -q -k {self.keytab} {name}" for name in services]
        self.admin(*lines)

    def admin(self, *lines: str) -> None:
        """Lines for ``kadmin.local``."""
        self.run("kadmin.local", "-r", REALM, said="\n".join((*lines, "")))

    def kinit(self, name: str, cache: Path, *words: str, password: str = PASSWORD) -> str:
        """Sign somebody in; the value for ``KRB5CCNAME``."""
        self.run("kinit", "-c", f"FILE:{cache}", *words, name, said=password + "\n")
        return f"FILE:{cache}"

    @property
    def log(self) -> str:
        """What the KDC wrote so far."""
        return (self.folder / "kdc.log").read_text()


@contextmanager
def running(folder: Path, people: dict[str, str], services: list[str]) -> Iterator[Realm]:
    """A realm while its KDC runs; the child is ended at the end."""
    realm = Realm(folder, _free_port(), _free_port())
    realm.create(people, services)
    command = [program("krb5kdc") or "krb5kdc", "-n", "-r", REALM]
    with subprocess.Popen(command, env={"PATH": _PATH, **realm.environment}, stderr=subprocess.DEVNULL) as child:
        try:
            _wait_for(realm.port, child)
            yield realm
        finally:
            child.terminate()
            child.wait(10)


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        assert child.poll() is None, "krb5kdc ended at once"
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("krb5kdc does not listen")


def let_expire(cache: Path) -> None:
    """Every ticket in a cache file ended an hour ago: its four times stand in clear beside the ticket."""
    content = cache.read_bytes()
    now = int(time.time())
    for at in range(len(content) - 15):
        signed_in, starts, ends, renewable = struct.unpack_from(">4I", content, at)
        fresh = now - 86400 < signed_in <= starts <= now + 5 and now < ends <= now + 86400
        if fresh and (renewable == 0 or ends <= renewable <= now + 30 * 86400):
            back = ends - now + 3600
            aged = struct.pack(">4I", signed_in - back, starts - back, ends - back, 0)
            content = content[:at] + aged + content[at + 16 :]
    cache.write_bytes(content)


def error_message(code: int, realm: str) -> bytes:
    """A KRB-ERROR (RFC 4120, 5.9.1), as short as the library takes it."""
    moment = time.strftime("%Y%m%d%H%M%SZ", time.gmtime()).encode()
    name = _der(0x30, _der(0xA0, b"\x02\x01\x02") + _der(0xA1, _der(0x30, _text("krbtgt") + _text(realm))))
    fields = {0: b"\x02\x01\x05", 1: b"\x02\x01\x1e", 4: _der(0x18, moment), 5: b"\x02\x01\x00"}
    fields |= {6: _der(0x02, bytes([code])), 9: _text(realm), 10: name}
    return _der(0x7E, _der(0x30, b"".join(_der(0xA0 + number, field) for number, field in fields.items())))


def _text(text: str) -> bytes:
    return _der(0x1B, text.encode())


def _der(tag: int, content: bytes) -> bytes:
    assert len(content) < 256
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + length + content
