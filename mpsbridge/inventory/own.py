r"""Our own inventory, a TOML file: hosts, groups, and settings for one, for a group, or for all.

::

    [defaults]                        # for every host of the file
    username = 'SCHOOL\admin'
    password_env = "SCHOOL_PASSWORD"  # or password_file = "..." or keyring = true; never the password itself

    [hosts.ts1]                       # "ts[01:40]" stands for forty hosts
    address = "10.1.2.3"

    [groups.school]
    hosts = ["ts1", "ts2"]            # a name without a table of its own is a host, too
    children = ["library"]
    vars = { tls = false }

A host's own table counts more than a group's ``vars``, a child group's more than its parents', and ``[defaults]``
least. Two groups that say different things of one host are an error, as is a key that is not known, with its line.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, ValidationError, model_validator

from mpsbridge.errors import InputError
from mpsbridge.inventory.entries import (
    EVERY,
    LOCAL,
    Inventory,
    InventoryHost,
    PasswordPlace,
    build,
    descendants,
    flatten,
)
from mpsbridge.inventory.names import expand, is_address, is_name
from mpsbridge.models.credentials import Auth
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.targets import EndpointName, FileName, Filled, ServiceName
from mpsbridge.models.toml import line_of, load, problems


def _no_password(_value: object) -> object:
    raise ValueError(
        "a password does not stand in an inventory: say where it is, with password_env, password_file or keyring = true"
    )


def _names(values: Sequence[str]) -> tuple[str, ...]:
    try:
        names = tuple(name for value in values for name in expand(value))
    except InputError as error:
        raise ValueError(str(error)) from error
    for name in names:
        if not is_name(name) or name.casefold() in {EVERY, LOCAL}:
            raise ValueError(f"{name!r} is not a name of a host")
    return names


class Variables(Frozen):
    """What can be said of one host, of a group, or of all."""

    port: int | None = Field(default=None, ge=1, le=65535, strict=True)
    tls: StrictBool | None = None
    auth: Auth | None = None
    username: Filled | None = None
    spn: ServiceName | None = None
    ca_file: FileName | None = None
    insecure_tls: StrictBool | None = None
    configuration: EndpointName | None = None
    password_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    password_file: FileName | None = None
    keyring: Literal[True] | None = None
    password: Annotated[None, BeforeValidator(_no_password)] = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if len({"password_env", "password_file", "keyring"} & self.model_fields_set) > 1:
            raise ValueError("one of password_env, password_file and keyring is enough")
        return self

    def values(self, folder: Path) -> dict[str, Any]:
        """What is said, by the names of :class:`InventoryHost`; files are looked for beside the inventory."""
        said = self.model_dump(exclude_unset=True)
        for key in ("ca_file", "password_file"):
            if key in said:
                said[key] = folder / said[key].expanduser()
        place = {
            "env": said.pop("password_env", None),
            "file": said.pop("password_file", None),
            "keyring": said.pop("keyring", False),
        }
        if any(place.values()):
            said["password"] = PasswordPlace(**place)
        return said


def _address(text: str) -> str:
    plain = text[1:-1] if text.startswith("[") and is_address(text[1:-1]) else text
    if not is_name(plain):
        raise ValueError(f"{text!r} is not a name or address; a port has a key of its own")
    return plain


class HostTable(Variables):
    """``[hosts.NAME]``."""

    address: Annotated[str, AfterValidator(_address)] | None = None


class GroupTable(Frozen):
    """``[groups.NAME]``."""

    hosts: Annotated[tuple[str, ...], AfterValidator(_names)] = ()
    children: tuple[str, ...] = ()
    vars: Variables = Variables()


class Document(Frozen):
    """The whole file."""

    defaults: Variables = Variables()
    hosts: dict[str, HostTable] = Field(default_factory=dict)
    groups: dict[str, GroupTable] = Field(default_factory=dict)


def read_toml(path: Path, text: str) -> Inventory:
    """Read our own inventory. Raises ``InputError`` that names file, line and key."""
    try:
        document = Document.model_validate(load(text))
    except ValidationError as error:
        raise InputError("; ".join(problems(path, text, error))) from error
    except ValueError as error:
        raise InputError(f"the inventory {path} is not TOML: {error}") from error
    tables = dict(_tables(path, text, document))
    groups = document.groups
    for group in groups:
        if not is_name(group) or group.casefold() in {EVERY, LOCAL}:
            raise InputError(f"{_place(path, text, 'groups', group)}: {group!r} is not a group name")
    members = flatten(
        path,
        {name: _fold_names(tables, group.hosts) for name, group in groups.items()},
        {name: group.children for name, group in groups.items()},
    )
    said = {name: group.vars.values(path.parent) for name, group in groups.items()}
    by_host = _groups_by_host(groups, members)
    defaults = _said_by("[defaults]", document.defaults.values(path.parent))
    hosts = {}
    for host, (table, own) in tables.items():
        values = defaults | _said_by_groups(path, host, own, said, by_host.get(host, {})) | _said_by(table, own)
        hosts[host] = InventoryHost(
            **{key: value for key, (value, _) in values.items()},
            sources={key: source for key, (_, source) in values.items()},
        )
    return build(path, hosts, members)


_Said = dict[str, tuple[Any, str]]
"""Setting -> its value, and who says so."""


def _said_by(source: str, values: dict[str, Any]) -> _Said:
    return {key: (value, source) for key, value in values.items()}


def _groups_by_host(
    groups: Mapping[str, GroupTable], members: Mapping[str, tuple[str, ...]]
) -> dict[str, dict[str, set[str]]]:
    """Each host that is in a group -> its groups, each with the groups below it."""
    children = {name: group.children for name, group in groups.items()}
    below = {name: set(descendants(name, children)) - {name} for name in groups}
    found: dict[str, dict[str, set[str]]] = {}
    for group, hosts in members.items():
        for host in hosts:
            found.setdefault(host, {})[group] = below[group]
    return found


def _said_by_groups(
    path: Path, host: str, own: Container[str], said: Mapping[str, dict[str, Any]], groups: Mapping[str, set[str]]
) -> _Said:
    """What a host's groups say of it and it does not say itself: of groups in each other the innermost."""
    values: _Said = {}
    for key in (key for group in groups for key in said[group] if key not in own):
        speaking = [group for group in groups if key in said[group]]
        inner = [group for group in speaking if not groups[group] & set(speaking)]
        if any(said[group][key] != said[inner[0]][key] for group in inner):
            raise InputError(
                f"{path}: the groups {' and '.join(inner)} give {host} different settings ({key})",
                hint=f"Say it in [hosts.{host}], or put one of the groups into the other.",
            )
        values[key] = said[inner[0]][key], f"[groups.{inner[0]}]"
    return values


def _tables(path: Path, text: str, document: Document) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Each host that has a table, with the table's name and what it says."""
    seen: dict[str, tuple[str, HostTable]] = {}
    for key, table in document.hosts.items():
        try:
            names = _names([key])
        except ValueError as error:
            raise InputError(f"{_place(path, text, 'hosts', key)}: {error}") from error
        if table.address is not None and len(names) > 1:
            raise InputError(f"{_place(path, text, 'hosts', key)}: {len(names)} hosts cannot have one address")
        for name in names:
            before = seen.setdefault(name.casefold(), (key, table))
            if before[1] != table:
                place = _place(path, text, "hosts", key)
                raise InputError(f"{place}: {name} is listed twice with different settings, as {before[0]} too")
            if before[0] == key:
                yield name, (f"[hosts.{key}]", table.values(path.parent))


def _place(path: Path, text: str, *keys: str) -> str:
    return f"{path}:{line_of(text, keys)[0]}"


def _fold_names(tables: dict[str, tuple[str, dict[str, Any]]], names: Sequence[str]) -> tuple[str, ...]:
    """The names as the file's tables write them; one without a table becomes a host here."""
    known = {name.casefold(): name for name in tables}
    for name in names:
        if name.casefold() not in known:
            known[name.casefold()] = name
            tables[name] = ("", {})
    return tuple(dict.fromkeys(known[name.casefold()] for name in names))
