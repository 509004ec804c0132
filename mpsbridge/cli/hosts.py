"""``hosts``: which hosts words mean, which settings apply to each, and from where. Contacts nobody, asks nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpsbridge.cli.call import Call
from mpsbridge.cli.tables import HOST_COLUMNS, host_row
from mpsbridge.errors import InputError
from mpsbridge.inventory.entries import EVERY
from mpsbridge.inventory.passwords import where
from mpsbridge.inventory.resolve import ResolvedHost
from mpsbridge.models.counts import counted
from mpsbridge.models.credentials import KeyTable
from mpsbridge.models.outcomes import Done
from mpsbridge.schemas import answers
from mpsbridge.schemas.hosts import HostValue, Setting
from mpsbridge.settings import Output, Settings

SETTINGS = {
    "address": "address",
    "port": "port",
    "tls": "tls",
    "auth": "auth",
    "username": "username",
    "keytab": "keytab",
    "spn": "spn",
    "ca_file": "ca_file",
    "insecure_tls": "insecure_tls",
    "insecure_basic": "insecure_basic",
    "configuration": "configuration_name",
}
"""What is shown, by the names of the inventory -> the target's names."""


def hosts(call: Call, words: Sequence[str], shard: str | None) -> int:
    """``hosts``: a row for each host; for a single one, or with ``-v``, a row for each of its settings."""
    if not words and not call.settings.inventory:
        raise InputError("HOST is missing, and there is no inventory", hint="Name hosts, or give --inventory FILE.")
    meant = call.finder.resolved(words or [EVERY], shard=shard)
    found = [
        Done[HostValue](
            host=one.target.host, address=one.target.address, elapsed_s=0.0, value=_value(one, call.settings)
        )
        for one in meant
    ]
    terminal, output = call.terminal, call.settings.output
    if output is Output.JSON:
        terminal.document(answers.document(call.command, found))
    elif output is Output.JSONL:
        for each in found:
            terminal.line(answers.line(call.command, each))
    elif output is Output.CSV:
        terminal.csv([_record(each) for each in found], fields=("host", "groups", *SETTINGS, "password_from"))
    elif len(found) == 1 or call.settings.verbose:
        rows = [(each.host, *row) for each in found for row in _rows(each.value)]
        terminal.table(("HOST", "SETTING", "VALUE", "FROM"), rows)
    elif found:
        terminal.table(HOST_COLUMNS, [host_row(one.target, one.groups) for one in meant])
    if output is Output.TABLE and len(found) != 1 and not call.settings.quiet:
        terminal.say(counted(len(found), "host") + ("; -v tells where each setting comes from" if found else ""))
    return 0


def _value(one: ResolvedHost, settings: Settings) -> HostValue:
    target = one.target
    if target.kind == "local":
        return HostValue(kind=target.kind, groups=(), settings={})
    shown: dict[str, Setting] = {}
    table = target.credentials.file if isinstance(target.credentials, KeyTable) else None
    dumped = target.model_dump(mode="json") | {"username": target.username, "keytab": str(table) if table else None}
    for name, field in SETTINGS.items():
        if (value := dumped[field]) is not None:
            shown[name] = Setting(value=value, source=one.sources.get(name) or settings.place(name) or "default")
    if place := where(one, settings):
        shown["password"] = Setting(value=None, source=place)
        shown.pop("keytab", None)  # the inventory's password counts more
    return HostValue(kind=target.kind, groups=one.groups, settings=shown)


def _rows(value: HostValue) -> list[tuple[object, ...]]:
    if not value.settings:
        return [("kind", value.kind, "HOST")]
    groups: list[tuple[object, ...]] = [("groups", ", ".join(value.groups), "inventory")] if value.groups else []
    return groups + [(name, _shown(name, each.value), each.source) for name, each in value.settings.items()]


def _shown(name: str, value: object) -> object:
    if name == "password":
        return "****"
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


def _record(outcome: Done[HostValue]) -> dict[str, Any]:
    settings = outcome.value.settings
    return {
        "host": outcome.host,
        "groups": " ".join(outcome.value.groups),
        **{name: settings[name].value if name in settings else None for name in SETTINGS},
        "password_from": settings["password"].source if "password" in settings else None,
    }
