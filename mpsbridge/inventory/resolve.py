"""HOST words and settings -> the hosts that are meant, each with its target and where every setting comes from.

What counts, the first that says something: the port in the word itself; an option of the command line; the inventory;
a variable; the settings file; the default. Rules: one computer is one host: a double is dropped, and one that is named
twice with different settings, or by two names, is an error, for two runs would meet there; what the inventory says and
mpsbridge cannot do is an error only for hosts that are meant. Passwords are not looked for here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import Field

from mpsbridge.errors import InputError
from mpsbridge.inventory.entries import LOCAL, Inventory, InventoryHost, PasswordPlace
from mpsbridge.inventory.names import bare, split
from mpsbridge.inventory.patterns import choose
from mpsbridge.models.credentials import KeyTable, Ticket
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.targets import POWERSHELL, Target
from mpsbridge.settings import Settings


class ResolvedHost(Frozen):
    """A host that is meant: its target, still without a password; its groups; where each setting comes from."""

    target: Target
    groups: tuple[str, ...] = ()
    sources: dict[str, str] = Field(default_factory=dict)
    password: PasswordPlace | None = None
    """Where the inventory says that the password is."""


def resolve(words: Iterable[str], settings: Settings, *, read_stdin: Callable[[], str]) -> list[ResolvedHost]:
    """The hosts that the words mean, in order and without doubles.

    Raises :class:`~mpsbridge.errors.InputError` for a word that is not a host name, a name that is not in the
    inventory (with "did you mean"), an unreadable file, a setting that cannot be used, and when no host is left.
    """
    inventory = None
    if settings.inventory:
        from mpsbridge.inventory.reading import read_inventory  # noqa: PLC0415 - 15 ms, only where one is named

        inventory = read_inventory(settings.inventory)
    names = choose(words, inventory, read_stdin=read_stdin)
    return _without_doubles(_meant(name, inventory, settings) for name in names)


def _without_doubles(found: Iterable[ResolvedHost]) -> list[ResolvedHost]:
    by_name: dict[str, Target] = {}
    by_place: dict[tuple[str, int], str] = {}
    kept = []
    for one in found:
        target = one.target
        before = by_name.setdefault(bare(target.host).casefold(), target)
        if before is not target:
            same_place = bare(before.address).casefold() == bare(target.address).casefold()
            if same_place and before.model_copy(update={"host": target.host, "address": target.address}) == target:
                continue
            raise InputError(f"{before.host} and {target.host} are one host with different settings; name it once")
        if target.kind == "winrm":
            other = by_place.setdefault((bare(target.address).casefold(), target.port), target.host)
            if other != target.host:
                raise InputError(
                    f"{other} and {target.host} are one host ({target.address}, port {target.port}); name one of them"
                )
        kept.append(one)
    return kept


def _meant(word: str, inventory: Inventory | None, settings: Settings) -> ResolvedHost:
    if word.casefold() == LOCAL:
        # Nothing of the way to a host applies.
        return ResolvedHost(target=Target(word, "localhost", kind="local"))
    name, entry = _entry(word, inventory)
    # An alias need not be a name that can be looked up.
    address, port = (None, None) if entry.address and name.casefold() == word.casefold() else split(word)
    picked = _Picking(entry, settings, inventory.path if inventory else Path())
    tls = picked.value("tls", option="no_tls", ours=not settings.no_tls)
    if port is None:
        port = picked.value("port", ours=settings.port)
    else:
        picked.sources["port"] = "HOST"
    username = picked.value("username", ours=settings.username)
    target = Target(
        word,
        picked.value("address", ours=None) or address or word,
        port=port,
        tls=tls,
        auth=picked.value("auth", ours=settings.auth),
        credentials=Ticket(username) if settings.keytab is None else KeyTable(settings.keytab, username),
        spn=picked.value("spn", ours=settings.spn),
        ca_file=picked.value("ca_file", ours=settings.ca_file),
        insecure_tls=picked.value("insecure_tls", ours=settings.insecure_tls),
        insecure_basic=settings.insecure_basic,
        configuration_name=picked.value("configuration", ours=settings.configuration) or POWERSHELL,
    )
    for setting, source in (("address", "HOST"), ("port", "default"), ("configuration", "default")):
        picked.sources.setdefault(setting, source)
    return ResolvedHost(
        target=target,
        groups=inventory.groups_of(name) if inventory else (),
        sources=picked.sources,
        password=picked.password(target.username),
    )


def _entry(word: str, inventory: Inventory | None) -> tuple[str, InventoryHost]:
    """The inventory's name and entry for a word, with or without a port; an empty entry where it has none."""
    names = inventory.host_names if inventory else {}
    for key in (word.casefold(), bare(word).casefold()):
        if inventory is not None and key in names:
            return names[key], inventory.hosts[names[key]]
    return word, InventoryHost()


class _Picking:
    """Chooses each setting of one host and notes where it comes from."""

    def __init__(self, entry: InventoryHost, settings: Settings, path: Path) -> None:
        self._entry = entry
        self._settings = settings
        self._path = path
        self.sources: dict[str, str] = {}
        for key, problem in entry.problems.items():
            if key not in InventoryHost.model_fields:
                raise InputError(problem, hint=f"It stands in {path}.")

    def value(self, name: str, *, ours: Any, option: str | None = None) -> Any:
        """The setting ``name``: ``ours`` where an option says so, or the inventory says nothing."""
        option = option or name
        place = self._settings.place(option)
        if not place.startswith("--"):
            said = getattr(self._entry, name)
            if name in self._entry.problems and not (name == "username" and ours):
                raise InputError(self._entry.problems[name], hint=f"It stands in {self._path}; options count more.")
            if said is not None:
                self.sources[name] = self._entry.sources.get(name) or str(self._path)
                return said
        if ours is not None:
            self.sources[name] = place or "default"
        return ours

    def password(self, username: str | None) -> PasswordPlace | None:
        """Where the inventory says that the password is; nothing where an option names another user than it does."""
        if self._entry.username is not None and self._entry.username != username:
            return None
        return self._entry.password
