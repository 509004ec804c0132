"""How each host would be reached, and where every setting of it comes from. No password is told."""

from __future__ import annotations

from typing import Any

from mpsbridge.inventory.passwords import where
from mpsbridge.inventory.resolve import ResolvedHost
from mpsbridge.models.credentials import KeyTable
from mpsbridge.models.frozen import Frozen
from mpsbridge.settings import Settings

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
FIELDS = ("host", "groups", *SETTINGS, "password_from")


class DescribedSetting(Frozen):
    """One setting and where it comes from; a password has no value here, only the place where it will be looked for."""

    value: str | int | bool | None
    source: str


class DescribedHost(Frozen):
    """How one host would be reached: ``winrm`` or ``local``, its groups in the inventory, its settings by name."""

    kind: str
    groups: tuple[str, ...]
    settings: dict[str, DescribedSetting]


def described(one: ResolvedHost, settings: Settings) -> DescribedHost:
    """How a host that is meant would be reached. Nothing is read but whether variables are set."""
    target = one.target
    if target.kind == "local":
        return DescribedHost(kind=target.kind, groups=(), settings={})
    shown: dict[str, DescribedSetting] = {}
    table = target.credentials.file if isinstance(target.credentials, KeyTable) else None
    dumped = target.model_dump(mode="json") | {"username": target.username, "keytab": str(table) if table else None}
    for name, field in SETTINGS.items():
        if (value := dumped[field]) is not None:
            shown[name] = DescribedSetting(
                value=value, source=one.sources.get(name) or settings.place(name) or "default"
            )
    if place := where(one, settings):
        shown["password"] = DescribedSetting(value=None, source=place)
        shown.pop("keytab", None)  # the inventory's password counts more
    return DescribedHost(kind=target.kind, groups=one.groups, settings=shown)


def row_of(host: str, value: DescribedHost) -> dict[str, Any]:
    """The same as a flat row, by the names of :data:`FIELDS`."""
    settings = value.settings
    return {
        "host": host,
        "groups": " ".join(value.groups),
        **{name: settings[name].value if name in settings else None for name in SETTINGS},
        "password_from": settings["password"].source if "password" in settings else None,
    }
