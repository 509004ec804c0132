"""An inventory file -> the inventory: our own TOML, a plain list of names, or Ansible's in any of its forms.

The form is told by the file: ``.toml`` is ours; a folder, a program, ``.yml``, ``.yaml``, and whatever has sections,
variables or plugins in it is Ansible's; a JSON object with ``_meta`` is what ``ansible-inventory --list`` prints;
everything else is a list, one name a line.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mpsbridge.errors import InputError
from mpsbridge.inventory.ansible import read_listing
from mpsbridge.inventory.ansible_program import listing
from mpsbridge.inventory.entries import Inventory, InventoryHost, build
from mpsbridge.inventory.names import expand, is_address, split
from mpsbridge.inventory.own import read_toml
from mpsbridge.inventory.patterns import lines_of, read_text

_SECTION = re.compile(r"\[([^\]]+)\]$")


def read_inventory(path: Path, *, runs_programs: bool = True) -> Inventory:
    """Read an inventory, whatever form it has; for Ansible's forms ``ansible-inventory`` is run.

    Raises :class:`~mpsbridge.errors.InputError` that names the file and what is wrong in it, or that it takes a program
    to read it where none may be run.
    """
    if path.is_dir():
        return _listed_by_ansible(path, runs_programs=runs_programs)
    text = read_text(path)
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return read_toml(path, text)
    if text.lstrip().startswith("{") and '"_meta"' in text:
        return read_listing(path, text)
    if suffix in {".yml", ".yaml", ".json"} or _is_ansible(path, text):
        return _listed_by_ansible(path, runs_programs=runs_programs)
    return _read_list(path, text)


def _listed_by_ansible(path: Path, *, runs_programs: bool) -> Inventory:
    if not runs_programs:
        raise InputError(f"{path} is an inventory of Ansible's: it takes a program to read it")
    return read_listing(path, listing(path))


def _is_ansible(path: Path, text: str) -> bool:
    if text.startswith("#!") and os.access(path, os.X_OK):
        return True
    if text.startswith(("$ANSIBLE_VAULT;", "---", "{")):
        return True
    return any(
        line.startswith(";")
        or "=" in line
        or re.match(r"[\w.-]+:(\s|$)", line)
        or ((section := _SECTION.match(line)) and not is_address(section[1]))
        for _, line in lines_of(text)
    )


def _read_list(path: Path, text: str) -> Inventory:
    hosts: dict[str, InventoryHost] = {}
    for number, line in lines_of(text):
        try:
            words = [split(word) for word in expand(line)]
        except InputError as error:
            raise InputError(f"{path}:{number}: {error}") from error
        for name, port in words:
            entry = InventoryHost(port=port, sources={"port": str(path)} if port else {})
            if hosts.setdefault(name, entry) != entry:
                raise InputError(f"{path}:{number}: {name} is listed twice with different ports")
    return build(path, hosts, {})
