"""From what a person types to targets: names, addresses, lists and an inventory file.

HOST is ``name``, ``name:port``, ``IPv4[:port]``, ``[IPv6]:port``, ``local`` (PowerShell on this very machine, without
WinRM), ``@FILE`` (one HOST a line) or ``-`` (the same from standard input). Doubles are dropped, the order stays. Where
an inventory file is named, names without a port must be in it: a mistyped name is an error here and not a time-out
later.

An inventory is TOML: a table ``[hosts.NAME]`` for each host with any of ``address, port, tls, auth, username,
ca_file, configuration``; unknown keys are errors. Any other file is read as a list of HOSTs.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError

from mpsbridge.errors import InputError
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.targets import POWERSHELL, Auth, EndpointName, Target
from mpsbridge.settings import Settings

LOCAL = "local"
"""The HOST word for this very machine; no inventory can give it another meaning."""

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?")


class InventoryHost(Frozen):
    """What an inventory knows about one host; a value that is not given comes from the settings."""

    address: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    tls: bool | None = None
    auth: Auth | None = None
    username: str | None = None
    ca_file: Path | None = None
    configuration: EndpointName | None = None


class Inventory(Frozen):
    """The hosts of an inventory file, by name."""

    path: Path
    hosts: dict[str, InventoryHost]


def read_inventory(path: Path) -> Inventory:
    """Read an inventory file. Raises :class:`~mpsbridge.errors.InputError` that names file and key."""
    text = _read_text(path)
    if path.suffix.lower() != ".toml":
        names = [line for _, line in _entries(text)]
        return Inventory(path=path, hosts={name: InventoryHost() for name in names})
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the inventory {path} is not TOML: {error}") from error
    unknown = sorted(set(document) - {"hosts"})
    if unknown:
        raise InputError(f"the inventory {path} has the unknown key {unknown[0]!r}; hosts are tables [hosts.NAME]")
    hosts: dict[str, InventoryHost] = {}
    for name, values in document.get("hosts", {}).items():
        try:
            hosts[name] = InventoryHost.model_validate(values)
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(["hosts", name, *map(str, problem["loc"])])
            raise InputError(f"the inventory {path}: {key}: {problem['msg']}") from error
    return Inventory(path=path, hosts=hosts)


def resolve(
    words: Iterable[str],
    settings: Settings,
    password: SecretStr | None,
    *,
    read_stdin: Callable[[], str],
) -> list[Target]:
    """Turn HOST words into targets, in order and without doubles.

    Raises :class:`~mpsbridge.errors.InputError` for a word that is no host, a name that is not in the inventory (with
    "did you mean"), an unreadable file, and when no host is left.
    """
    inventory = read_inventory(settings.inventory) if settings.inventory else None
    targets: dict[str, Target] = {}
    for word in _expand(words, read_stdin):
        if word.lower() not in {key.lower() for key in targets}:
            targets[word] = _target(word, inventory, settings, password)
    if not targets:
        raise InputError("no host named")
    return list(targets.values())


def _expand(words: Iterable[str], read_stdin: Callable[[], str]) -> Iterator[str]:
    for word in words:
        if word == "-":
            yield from (entry for _, entry in _entries(read_stdin()))
        elif word.startswith("@"):
            yield from (entry for _, entry in _entries(_read_text(Path(word[1:]))))
        else:
            yield word.strip()


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a list that hold something, ``#`` begins a comment."""
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.split("#", 1)[0].strip()
        if entry:
            yield number, entry


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{path} cannot be read: {reason}") from error


def _target(word: str, inventory: Inventory | None, settings: Settings, password: SecretStr | None) -> Target:
    if word.lower() == LOCAL:
        return Target(host=word, address="localhost", kind="local")  # nothing of the way to a host applies
    known = _known(word, inventory)
    address, port = (word, None) if known is not None and known.address else _split(word)
    entry = known or InventoryHost()
    tls = entry.tls if entry.tls is not None else not settings.no_tls
    return Target(
        host=word,
        address=entry.address or address,
        port=port or entry.port or settings.port or (5986 if tls else 5985),
        tls=tls,
        auth=entry.auth or settings.auth,
        username=entry.username or settings.username,
        password=password,
        ca_file=entry.ca_file or settings.ca_file,
        insecure_tls=settings.insecure_tls,
        insecure_basic=settings.insecure_basic,
        configuration_name=entry.configuration or settings.configuration or POWERSHELL,
    )


def _known(word: str, inventory: Inventory | None) -> InventoryHost | None:
    """The inventory's entry, ``None`` for an address that is spelled out, or an error for a name that is not in it."""
    if inventory is None:
        return None
    by_name = {name.lower(): entry for name, entry in inventory.hosts.items()}
    if (entry := by_name.get(word.lower())) is not None:
        return entry
    name, port = _split(word)
    if port is not None or _is_address(name):
        return None
    near = difflib.get_close_matches(word.lower(), by_name, n=1)
    advice = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"the host {word!r} is not in {inventory.path}{advice}")


def _split(word: str) -> tuple[str, int | None]:
    """Host and port of one HOST word, or an error."""
    host, port = word, ""
    if word.startswith("["):
        host, closed, rest = word[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or not _is_address(host):
            raise InputError(f"{word!r} is no host; write IPv6 as [address] or [address]:port")
        port = rest[1:]
        if rest and not port:
            raise InputError(f"{word!r}: the port is missing")
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
        if not port:
            raise InputError(f"{word!r}: the port is missing")
    elif ":" in word and _is_address(word):
        return word, None
    if not (_is_address(host) or _NAME.fullmatch(host)) or (re.fullmatch(r"[\d.]+", host) and not _is_address(host)):
        raise InputError(f"{word!r} is no host: write name, name:port, IPv4[:port] or [IPv6]:port")
    if not port:
        return host, None
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise InputError(f"{word!r}: {port!r} is no port (1 to 65535)")
    return host, int(port)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
