"""Ansible's inventory, as ``ansible-inventory --list`` prints it, read as ours: hosts, groups, and how to reach them.

What is read are the variables of Ansible's connection plugins ``psrp`` and ``winrm`` (their documentation is the
source: ``ansible-doc -t connection psrp``). Rules:

* A setting that is written there and that mpsbridge cannot honour is a problem of that host, named with its variable;
  never is another way of connecting tried instead. Time limits and retries are mpsbridge's own and are not read.
* Secrets of ansible-vault are never needed: an encrypted password is not used, ours apply; another encrypted setting
  is a problem. A password in clear is used, as Ansible does, with the user name beside it.
* ``{{ name }}`` in a value is replaced where that is a variable of the same host; nothing else is evaluated (promise
  7). A password that is ``{{ lookup('env', 'NAME') }}`` is that variable.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from mpsbridge.errors import InputError
from mpsbridge.inventory.entries import EVERY, Inventory, InventoryHost, PasswordPlace, build, descendants, flatten
from mpsbridge.inventory.names import is_address, is_name
from mpsbridge.models.complaints import complaint
from mpsbridge.models.credentials import Auth
from mpsbridge.models.harmless import harmless
from mpsbridge.models.targets import EndpointName, ServiceName

_TEMPLATE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_LOOKUP = re.compile(r"""\s*\{\{\s*lookup\(\s*["'](?:ansible\.builtin\.)?env["']\s*,\s*["'](\w+)["']\s*\)\s*\}\}\s*""")
_DEEPEST = 10
"""How often a value may name a variable whose value names another."""
_LONGEST = 4096
"""Characters that a value may come to by that."""


class _Group(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    vars: dict[str, Any] = Field(default_factory=dict)


class _Listing(BaseModel):
    meta: dict[str, dict[str, Any]]
    groups: dict[str, _Group]


def read_listing(path: Path, text: str) -> Inventory:
    """The inventory that a listing shows. Raises ``InputError`` where it is none, or its groups contain each other."""
    listing = _parse(path, text)
    groups = listing.groups
    children = {name: group.children for name, group in groups.items()}
    direct = {name: group.hosts for name, group in groups.items()}
    for child in (child for names in children.values() for child in names):
        direct.setdefault(child, ())  # an empty group is named, and not listed
    members = flatten(path, direct, children)
    names = dict.fromkeys([*members.get(EVERY, ()), *(host for all_ in members.values() for host in all_)])
    names |= dict.fromkeys(listing.meta)
    members.pop(EVERY, None)
    variables = {name: dict[str, Any]() for name in names}
    for group in _by_depth(groups, children):
        for host in members.get(group, names):
            variables[host].update(groups[group].vars)
    hosts = {name: _host(name, variables[name] | listing.meta.get(name, {})) for name in names}
    return build(path, hosts, members, by_place=True)


def _parse(path: Path, text: str) -> _Listing:
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise InputError(f"{path} is not an inventory: not a JSON object")
        meta = document.pop("_meta", None) or {}
        lists = {name: {"hosts": group} if isinstance(group, list) else group for name, group in document.items()}
        return _Listing.model_validate({"meta": meta.get("hostvars") or {}, "groups": lists})
    except (ValidationError, ValueError, AttributeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        if isinstance(error, ValidationError):
            problem = error.errors()[0]
            reason = f"{'.'.join(map(str, problem['loc'][1:]))}: {complaint(problem)}"
        raise InputError(f"{path} is not the output of 'ansible-inventory --list': {reason}") from error


def _by_depth(groups: Mapping[str, _Group], children: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Groups in the order in which their variables apply: parents first, then by priority and name, as in Ansible."""
    depth = dict.fromkeys(groups, 0)
    above = Counter(below for group in groups for below in descendants(group, children))
    for group in sorted(groups, key=lambda name: above[name]):
        for child in children[group]:
            if child in depth:
                depth[child] = max(depth[child], depth[group] + 1)

    def order(name: str) -> tuple[bool, int, int, str]:
        priority = groups[name].vars.get("ansible_group_priority")
        return name != EVERY, depth[name], priority if isinstance(priority, int) else 1, name

    return sorted(groups, key=order)


class _Unusable(ValueError):
    """A value that stands in the inventory and cannot be used; says why."""


class _Reader(NamedTuple):
    """How one setting of ours is read: the variables that may hold it (the last one counts), and their meaning."""

    variables: tuple[str, ...]
    read: Callable[[Any], Any]


def _text(value: Any) -> str | None:
    return str(value) or None


def _address(value: Any) -> str | None:
    text = str(value).strip()
    if text.startswith("[") and is_address(text[1:-1]):
        text = text[1:-1]
    if text and not is_name(text):
        raise _Unusable("is not a name or address")
    return text or None


def _port(value: Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise _Unusable("is not a port (1 to 65535)")
    return int(text)


def _endpoint(value: Any) -> str:
    try:
        return TypeAdapter[str](EndpointName).validate_python(str(value))
    except ValidationError as error:
        raise _Unusable("is not a name of a session configuration") from error


def _service_name(value: Any) -> str | None:
    if not str(value):
        return None
    try:
        return TypeAdapter[str](ServiceName).validate_python(f"host/{value}")
    except ValidationError as error:
        raise _Unusable("is not a name of a host in Kerberos") from error


def _scheme(value: Any) -> bool:
    if str(value).lower() not in {"http", "https"}:
        raise _Unusable("is neither http nor https")
    return str(value).lower() == "https"


def _ignores(value: Any) -> bool:
    if str(value).lower() not in {"validate", "ignore"}:
        raise _Unusable("is neither validate nor ignore")
    return str(value).lower() == "ignore"


def _file(value: Any) -> Path | None:
    text = str(value)
    return None if text in {"", "legacy_requests"} else Path(os.path.expandvars(text)).expanduser()


_AUTHS = {"plaintext": Auth.BASIC, "ssl": Auth.BASIC} | {str(auth): auth for auth in Auth}
"""Ansible's words for ways to sign in; ``ssl`` and ``plaintext`` are Basic over HTTPS and over HTTP."""


def _auth(value: Any) -> Auth:
    """The first way that is understood; nothing is tried after it."""
    words = [str(one).strip().lower() for one in (value if isinstance(value, list) else str(value).split(","))]
    for word in words:
        if word in _AUTHS:
            return _AUTHS[word]
    raise _Unusable("is not a way to sign in that mpsbridge knows: negotiate, ntlm, kerberos or basic")


_COMMON: dict[str, _Reader] = {
    "address": _Reader(("ansible_host",), _address),
    "port": _Reader(("ansible_port",), _port),
    "username": _Reader(("ansible_user",), _text),
}
_PLUGINS: dict[str, dict[str, _Reader]] = {
    "psrp": {
        "address": _Reader(("ansible_host", "ansible_psrp_host"), _address),
        "port": _Reader(("ansible_port", "ansible_psrp_port"), _port),
        "username": _Reader(("ansible_user", "ansible_psrp_user"), _text),
        "spn": _Reader(("ansible_psrp_negotiate_hostname_override",), _service_name),
        "tls": _Reader(("ansible_psrp_protocol",), _scheme),
        "auth": _Reader(("ansible_psrp_auth",), _auth),
        "insecure_tls": _Reader(("ansible_psrp_cert_validation",), _ignores),
        "ca_file": _Reader(("ansible_psrp_cert_trust_path", "ansible_psrp_ca_cert"), _file),
        "configuration": _Reader(("ansible_psrp_configuration_name",), _endpoint),
    },
    "winrm": {
        "address": _Reader(("ansible_host", "ansible_winrm_host"), _address),
        "port": _Reader(("ansible_port", "ansible_winrm_port"), _port),
        "username": _Reader(("ansible_user", "ansible_winrm_user"), _text),
        "spn": _Reader(("ansible_winrm_kerberos_hostname_override",), _service_name),
        "tls": _Reader(("ansible_winrm_scheme",), _scheme),
        "auth": _Reader(("ansible_winrm_transport",), _auth),
        "insecure_tls": _Reader(("ansible_winrm_server_cert_validation",), _ignores),
        "ca_file": _Reader(("ansible_winrm_ca_trust_path",), _file),
    },
}
_PASSWORDS = ("ansible_password", "ansible_winrm_pass", "ansible_winrm_password")

_NO, _YES = {"", "no", "false", "0", "none", "off"}, {"yes", "true", "1", "on"}
_FIXED: dict[str, tuple[frozenset[str] | set[str], str]] = {
    "path": ({"", "wsman", "/wsman"}, "mpsbridge asks for /wsman only"),
    "proxy": ({"", "none", "legacy_requests"}, "mpsbridge uses no proxies"),
    "message_encryption": ({"auto", "never"}, "mpsbridge seals messages over HTTP, and not once more within TLS"),
    "send_cbt": (_YES, "mpsbridge always binds the sign-in to the TLS connection"),
    "negotiate_send_cbt": (_YES, "mpsbridge always binds the sign-in to the TLS connection"),
    "negotiate_delegate": (_NO, "mpsbridge delegates no credentials"),
    "kerberos_delegation": (_NO, "mpsbridge delegates no credentials"),
    "negotiate_service": ({"", "wsman", "http", "host"}, "mpsbridge asks for a ticket for host"),
    "service": ({"", "wsman", "http", "host"}, "mpsbridge asks for a ticket for host"),
}
"""Options that have one value here, without ``ansible_psrp_`` or ``ansible_winrm_``: what may be written, and why."""


def _host(name: str, variables: Mapping[str, Any]) -> InventoryHost:
    scope = {"inventory_hostname": name, "inventory_hostname_short": name.partition(".")[0], **variables}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: dict[str, str] = {}
    plugin, problem = _plugin(scope)
    if problem:
        problems["ansible_connection"] = f"{name}: {problem}"
    for setting, reader in _PLUGINS.get(plugin, _COMMON).items():
        variable = next((one for one in reversed(reader.variables) if scope.get(one) is not None), None)
        if variable is None:
            continue
        try:
            value = reader.read(_rendered(scope[variable], scope))
        except _Unusable as error:
            problems[setting] = f"{name}: {variable} is {_shown(scope[variable])}, which {error}"
            continue
        if value is not None:
            values[setting], sources[setting] = value, variable
    if "port" in values and "tls" not in values:
        values["tls"], sources["tls"] = values["port"] != 5985, sources["port"]  # Ansible guesses so, too
    sealed = values.get("tls") is False
    problems |= {variable: f"{name}: {sentence}" for variable, sentence in _cannot(plugin, scope, sealed=sealed)}
    for variable in _PASSWORDS:
        if (place := _password(scope.get(variable), scope)) is not None:
            values["password"], sources["password"] = place, variable
    return InventoryHost(**values, sources=sources, problems=problems)


def _plugin(scope: Mapping[str, Any]) -> tuple[str, str]:
    """The connection plugin whose variables count, and what is wrong with the one that is named."""
    try:
        named = str(_rendered(scope.get("ansible_connection") or "", scope)).rpartition(".")[2]
    except _Unusable as error:
        return "", f"ansible_connection is {_shown(scope['ansible_connection'])}, which {error}"
    if named in _PLUGINS:
        return named, ""
    if named:
        return "", f"ansible_connection is {named!r}; mpsbridge reaches hosts of psrp and winrm"
    for plugin in _PLUGINS:
        if any(variable.startswith(f"ansible_{plugin}_") for variable in scope):
            return plugin, ""
    return "", ""


def _cannot(plugin: str, scope: Mapping[str, Any], *, sealed: bool) -> Iterator[tuple[str, str]]:
    for option, (allowed, reason) in _FIXED.items():
        variable = f"ansible_{plugin}_{option}"
        if (value := scope.get(variable)) is not None:
            try:
                said = str(_rendered(value, scope)).strip().lower()
            except _Unusable:
                said = str(value)
            if said not in allowed and not (sealed and option == "message_encryption" and said == "always"):
                yield variable, f"{variable} is {_shown(value)}; {reason}"


def _password(value: Any, scope: Mapping[str, Any]) -> PasswordPlace | None:
    if value is None or isinstance(value, Mapping) or value == "":
        return None
    if found := _LOOKUP.fullmatch(str(value)):
        return PasswordPlace(env=found[1])
    try:
        return PasswordPlace(clear=SecretStr(str(_rendered(value, scope))))
    except _Unusable:
        return None


def _rendered(value: Any, scope: Mapping[str, Any], depth: int = 0) -> Any:
    """The value with the variables that it names. Raises ``_Unusable`` for one that is encrypted or says more."""
    if isinstance(value, Mapping):
        if "__ansible_vault" in value:
            raise _Unusable("is encrypted by ansible-vault; write it in clear, or say it with an option")
        if set(value) == {"__ansible_unsafe"}:
            return value["__ansible_unsafe"]
        raise _Unusable("is not a single value")
    if not isinstance(value, str) or not ("{{" in value or "{%" in value):
        return value

    def insert(found: re.Match[str]) -> str:
        if depth >= _DEEPEST or found[1] not in scope:
            raise _Unusable(f"names the variable {found[1]}, which the inventory does not tell for this host")
        return str(_rendered(scope[found[1]], scope, depth + 1))

    text = _TEMPLATE.sub(insert, value)
    if len(text) > _LONGEST:
        raise _Unusable("is too long")
    if "{{" in text or "{%" in text:
        raise _Unusable("holds more than names of variables, which mpsbridge does not evaluate")
    return text


def _shown(value: Any) -> str:
    """The value as it stands there, but no secret: of a URL not who signs in by it."""
    if isinstance(value, Mapping) and "__ansible_vault" in value:
        return "a secret"
    return harmless(re.sub(r"//[^/@]*@", "//***@", repr(value)), limit=100)
