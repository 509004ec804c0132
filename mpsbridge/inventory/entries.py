"""What an inventory is, whoever wrote it: hosts with their settings and where each comes from, and groups.

Rules: names are compared without case, as Windows does; a password stands here only where an Ansible inventory holds
it in clear, and is masked then; what an inventory says and mpsbridge cannot do is a problem of that host alone, and an
error only for who means that host.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr

from mpsbridge.errors import InputError
from mpsbridge.models.credentials import Auth
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.targets import EndpointName, ServiceName

EVERY = "all"
"""The word for every host of the inventory."""
LOCAL = "local"
"""The HOST word for this very machine; no inventory can give it another meaning."""


class PasswordPlace(Frozen):
    """Where a password is: a variable of the environment, the first line of a file, or the key store; or itself."""

    env: str | None = None
    file: Path | None = None
    keyring: bool = False
    clear: SecretStr | None = None


class InventoryHost(Frozen):
    """What an inventory knows about one host; a value that is not given comes from the settings.

    ``sources`` says for each value where it stands, ``problems`` why a value (or, by another key, the host) that is
    written there cannot be used.
    """

    address: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    tls: bool | None = None
    auth: Auth | None = None
    username: str | None = None
    spn: ServiceName | None = None
    password: PasswordPlace | None = None
    ca_file: Path | None = None
    insecure_tls: bool | None = None
    configuration: EndpointName | None = None
    sources: dict[str, str] = Field(default_factory=dict)
    problems: dict[str, str] = Field(default_factory=dict)


class Inventory(Frozen):
    """The hosts of an inventory by name, and its groups with all their hosts, those of their children too."""

    path: Path
    hosts: dict[str, InventoryHost]
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    by_place: bool = False
    """Whether its users know ``group[0:2]`` as places in a group (Ansible's do)."""

    @cached_property
    def host_names(self) -> dict[str, str]:
        """Names as they are compared -> names as they are written."""
        return {name.casefold(): name for name in self.hosts}

    @cached_property
    def group_names(self) -> dict[str, str]:
        """The same for groups."""
        return {name.casefold(): name for name in self.groups}

    def groups_of(self, host: str) -> tuple[str, ...]:
        """The groups that a host, named as the inventory writes it, is in."""
        return self.groups_by_host.get(host, ())

    @cached_property
    def groups_by_host(self) -> dict[str, tuple[str, ...]]:
        """Each host that is in a group -> its groups."""
        found: dict[str, list[str]] = {}
        for group, members in self.groups.items():
            for member in members:
                found.setdefault(member, []).append(group)
        return {host: tuple(groups) for host, groups in found.items()}

    def unknown(self, word: str) -> InputError:
        """The error for a name that is none of its hosts and groups."""
        near = difflib.get_close_matches(word.casefold(), {**self.host_names, **self.group_names}, n=1)
        advice = f"; did you mean {near[0]}?" if near else ""
        return InputError(f"{word!r} is not a host or group of {self.path}{advice}")


def build(
    path: Path,
    hosts: Mapping[str, InventoryHost],
    groups: Mapping[str, tuple[str, ...]],
    *,
    by_place: bool = False,
) -> Inventory:
    """An inventory whose names can be told apart and shown. Raises ``InputError``."""
    for kind, names in (("host", hosts), ("group", groups)):
        seen: dict[str, str] = {}
        for name in names:
            if not name.isprintable() or not name.strip():
                raise InputError(f"{path}: {name!r} is not a name of a {kind}")
            before = seen.setdefault(name.casefold(), name)
            if before != name:
                raise InputError(f"{path}: {before!r} and {name!r} are the same {kind}, for case does not count")
    return Inventory(path=path, hosts=dict(hosts), groups=dict(groups), by_place=by_place)


def flatten(
    path: Path, direct: Mapping[str, Sequence[str]], children: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Groups with all their hosts: their own first, then those of children, generation by generation.

    Raises ``InputError`` for a child that is not a group, and for groups that contain themselves.
    """
    for group, names in children.items():
        for child in names:
            if child not in direct:
                near = difflib.get_close_matches(child, direct, n=1)
                advice = f"; did you mean {near[0]}?" if near else ""
                raise InputError(f"{path}: the group {group} has the child {child}, which is not a group{advice}")
    _refuse_circles(path, children)
    return {
        group: tuple(dict.fromkeys(host for one in descendants(group, children) for host in direct[one]))
        for group in direct
    }


def descendants(group: str, children: Mapping[str, Iterable[str]]) -> list[str]:
    """The group itself, its children, their children and so on, each once."""
    found = {group: None}
    waiting = deque([group])
    while waiting:
        for child in children.get(waiting.popleft(), ()):
            if child not in found:
                found[child] = None
                waiting.append(child)
    return list(found)


def _refuse_circles(path: Path, children: Mapping[str, Sequence[str]]) -> None:
    done: set[str] = set()
    for start in children:
        trail: dict[str, None] = {}
        stack = [(start, False)]
        while stack:
            group, leaving = stack.pop()
            if leaving:
                del trail[group]
                done.add(group)
            elif group in trail:
                circle = list(trail)[list(trail).index(group) :]
                raise InputError(f"{path}: groups contain each other: {' > '.join([*circle, group])}")
            elif group not in done:
                trail[group] = None
                stack.append((group, True))
                stack.extend((child, False) for child in children.get(group, ()))
