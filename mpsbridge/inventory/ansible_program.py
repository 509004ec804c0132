"""What ``ansible-inventory --list`` says of an inventory that only Ansible itself can read.

Rules: the program is the one on PATH, or beside our own Python; it gets no password of ours. Files that ansible-vault
has encrypted as a whole would stop it, so where it asks for their secret it is asked again without them: what stands
in them is then not known, and a setting that needs it is an error later, for the hosts that are meant.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mpsbridge.errors import InputError
from mpsbridge.models.harmless import harmless
from mpsbridge.processes import environment_of_children, find_program

LIMIT_S = 300
"""Seconds for it: a dynamic inventory may ask a slow directory or cloud."""
_VAULT = b"$ANSIBLE_VAULT;"
_SECRET = re.compile(r"(pass|secret|token|key|credential).*", re.IGNORECASE)
"""What a line says from the name of a secret on: Ansible quotes the line that it cannot read, with the value."""


def listing(path: Path) -> str:
    """The JSON text for this inventory. Raises ``InputError``: the program is missing, or says no."""
    program = find_program("ansible-inventory") or shutil.which(
        "ansible-inventory", path=str(Path(sys.executable).parent)
    )
    if program is None:
        raise InputError(
            f"{path} looks like an Ansible inventory, and ansible-inventory, which reads those, is not installed here",
            hint="Install it (pip install 'mpsbridge[ansible]'), or give its output: ansible-inventory --list -i "
            f"{path} > hosts.json, where it is installed.",
        )
    if "," in str(path):
        raise InputError(f"{path}: Ansible takes a name with a comma for a list of hosts; rename it")
    done = _ask(program, path.absolute())
    if done.returncode and "vault" in done.stderr.lower():
        with _without_vaults(path.absolute()) as (copy, playbooks):
            again = _ask(program, copy, "--playbook-dir", str(playbooks))
            done = done if again.returncode else again
    if done.returncode:
        raise InputError(
            f"ansible-inventory cannot read {path}: {_reason(done.stderr)}",
            hint=f"See all that it says: ansible-inventory --list -i {path}",
        )
    return done.stdout


def _ask(program: str, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = environment_of_children(ANSIBLE_NOCOLOR="1", ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="1")
    environment.pop("ANSIBLE_FORCE_COLOR", None)
    try:
        return subprocess.run(
            [program, "--list", "-i", str(path), *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"ansible-inventory did not finish with {path} within {LIMIT_S} s") from error
    except OSError as error:
        raise InputError(f"{program} cannot be started: {error.strerror or error}") from error


@contextlib.contextmanager
def _without_vaults(path: Path) -> Iterator[tuple[Path, Path]]:
    """A copy of the inventory and one of the folder whose variables apply as a playbook's (the working directory), with
    the variables beside each, and without the files that are encrypted as a whole.
    """
    with tempfile.TemporaryDirectory(prefix="mpsbridge-") as folder:
        beside, playbooks = Path(folder) / "inventory", Path(folder) / "playbooks"
        for source, copy in ((path.parent, beside), (Path.cwd(), playbooks)):
            copy.mkdir()
            for name in ("group_vars", "host_vars"):
                if (source / name).is_dir():
                    shutil.copytree(source / name, copy / name, ignore=_encrypted)
        if path.is_dir():
            shutil.copytree(path, beside / path.name, ignore=_encrypted)
        else:
            shutil.copy2(path, beside / path.name)
        yield beside / path.name, playbooks


def _encrypted(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if _is_encrypted(Path(folder) / name)]


def _is_encrypted(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(len(_VAULT)) == _VAULT
    except OSError:
        return False


def _reason(text: str) -> str:
    """The line that says most: the first one about reading that failed, with its place, else the first error."""
    lines = [_SECRET.sub(r"\1****", line.strip()) for line in text.splitlines() if line.strip()]
    place = next((line.removeprefix("Origin: ") for line in lines if line.startswith("Origin: /")), "")
    for mark in ("plugin: ", "[ERROR]: "):
        for line in lines:
            if mark in line:
                said = line.partition(mark)[2] or line
                return harmless(f"{place}: {said}" if place else said, limit=300)
    return harmless(lines[-1] if lines else "it gave no reason", limit=300)
