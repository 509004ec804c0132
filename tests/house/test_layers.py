"""Imports go downwards only, only one file prints, and the top level holds what it should."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "mpsbridge"
ORDER = [
    {"version", "errors", "clock", "once", "processes", "files", "psrp_pipes"},
    {"models"},
    {"parsing"},
    {"snippets"},
    {"transports"},
    {"settings"},
    {"inventory"},
    {"host"},
    {"workers"},
    {"fleet"},
    {"planning"},
    {"runs"},
    {"procedure"},
    {"reports"},
    {"evidence"},
    {"operations"},
    {"schemas"},
    {"lab"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
NARROW = {
    "models": {"errors", "models"},
    "parsing": {"errors", "models", "parsing"},
    "transports": {"errors", "clock", "once", "models", "processes", "psrp_pipes", "transports"},
    "evidence": {"errors", "files", "models", "parsing", "snippets", "evidence"},
    "schemas": {"errors", "models", "parsing", "evidence", "runs", "reports", "operations", "schemas"},
    "lab": {"errors", "clock", "processes", "files", "psrp_pipes", "lab"},
    "cli": {
        *(
            "errors",
            "clock",
            "files",
            "processes",
            "settings",
            "models",
            "inventory",
            "planning",
            "runs",
            "reports",
            "schemas",
        ),
        *("evidence", "operations", "lab", "cli"),
    },
}
"""What a part may import at most; the command line faces people, and reaches hosts through operations alone."""
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imported_parts(path: Path) -> Iterator[str]:
    for name in imported_names(path):
        words = name.split(".")
        if words[0] == "mpsbridge" and len(words) > 1 and words[1] in LEVEL:
            yield words[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards_only(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    assert part in LEVEL, f"{part} has no place in the order"
    for other in imported_parts(path):
        assert LEVEL[other] <= LEVEL[part], f"{part} must not import {other}"
        if part in NARROW:
            assert other in NARROW[part] | {"version"}, f"{part} must not import {other}"
        if other == "lab":
            assert part in {"lab", "cli"}


STANDS_ON = {
    "windows": {"windows"},
    "engines": {"windows", "engines"},
    "engines.scripted": {"windows", "engines", "engines.scripted"},
    "engines.powershell": {"windows", "engines", "engines.powershell"},
    "wire": {"windows", "engines", "wire"},
}
"""What the floors of the lab may import of it: the computers nothing else, and the engines not one another."""


def floor_of(module: str) -> str:
    """The longest of those names with which a module of the lab begins; empty for one that stands on all of them."""
    fits = [name for name in STANDS_ON if f"{module}.".startswith(f"mpsbridge.lab.{name}.")]
    return max(fits, key=len, default="")


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "lab").rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_the_floors_of_the_lab_stand_on_the_make_believe_windows(path: Path) -> None:
    own = floor_of(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    if not own:
        return
    for name in imported_names(path):
        if name.startswith("mpsbridge.lab."):
            assert floor_of(name) in STANDS_ON[own], f"{own} must not import {name}"
        elif own == "windows" and name.startswith("mpsbridge."):
            assert name.startswith("mpsbridge.clock."), f"the make-believe Windows must not import {name}"


@pytest.mark.parametrize("folder", ["windows", "engines/powershell"])
def test_the_make_believe_windows_and_real_powershell_on_it_know_no_purpose_of_a_script(folder: str) -> None:
    texts = {
        path.name: path.read_text(encoding="utf-8") for path in (PACKAGE / "lab" / folder).iterdir() if path.is_file()
    }
    told = [
        name for name, text in texts.items() if re.search(r"(?<!re)lease|failsafe|mpsbridge run", text, re.IGNORECASE)
    ]
    assert told == []


def test_no_transport_imports_the_face_of_its_own_package() -> None:
    up = [
        path
        for path in (PACKAGE / "transports").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "mpsbridge.transports"
    ]
    assert up == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_terminal_prints(path: Path) -> None:
    if path.name in {"output.py", "terminal.py"}:
        return
    text = path.read_text(encoding="utf-8")
    assert "sys.stdout" not in text
    assert "print(" not in text
    assert "typer.echo" not in text


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_time_is_passed_in(path: Path) -> None:
    if path.name == "clock.py":
        return
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert not calls & {"time.sleep", "time.monotonic", "time.time", "datetime.now", "datetime.utcnow"}


def test_the_top_level_holds_what_it_should() -> None:
    allowed = {"pyproject.toml", "mpsbridge", "ps_templates", "tests", "README.md", "LICENSE"}
    built = {"build", "dist", "mpsbridge-demo.html"}  # what running the README's commands leaves there
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - built <= allowed
    assert allowed <= found


def test_every_module_says_what_it_is_for() -> None:
    silent = [path for path in MODULES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert silent == []
