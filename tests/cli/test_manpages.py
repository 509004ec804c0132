"""``docs --man``: a page for ``man`` of each command, with the words of its help."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
from conftest import missing
from support.console import Command

from mpsbridge.cli.commands import app
from mpsbridge.cli.manpages import _text, write_pages

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man") / "man1"
    write_pages(typer.main.get_command(app), folder)
    return folder


def words(page: Path) -> str:
    """The page as it reads."""
    lines = page.read_text(encoding="utf-8").splitlines()
    told = " ".join(line for line in lines if not line.startswith("."))
    return told.replace("\\-", "-").replace("\\(aq", "'").replace("\\fB", "").replace("\\fR", "").replace("\\e", "\\")


def test_there_is_a_page_for_each_command_and_one_for_all(folder: Path) -> None:
    assert {page.name for page in folder.iterdir()} == {"mpsbridge.1", *(f"mpsbridge-{name}.1" for name in COMMANDS)}
    overview = words(folder / "mpsbridge.1")
    assert all(f"mpsbridge {name}" in overview for name in COMMANDS)
    assert "Something may have run, and its result is unknown." in overview


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_tells_each_option_and_example(name: str, folder: Path, mpsbridge: Command) -> None:
    page = words(folder / f"mpsbridge-{name}.1")
    for one in COMMANDS[name].params:
        if not getattr(one, "hidden", False) and one.param_type_name == "option":
            assert one.opts[0] in page
    examples = [line.strip() for line in mpsbridge(name, "--help").out.split("Examples:")[1].splitlines() if line]
    assert examples
    assert all(" ".join(example.split()) in page for example in examples)


def test_a_text_is_never_read_as_a_request() -> None:
    assert _text(".SH x") == "\\&.SH x"
    assert _text("'br") == "\\(aqbr"
    assert _text("SCHOOL\\admin - x\n.PP") == "SCHOOL\\eadmin \\- x .PP"


def test_the_command_writes_them_and_says_so(mpsbridge: Command, tmp_path: Path) -> None:
    found = mpsbridge("docs", "--man", str(tmp_path / "a" / "man1"))
    assert (found.code, found.out) == (0, "")
    assert f"{len(COMMANDS) + 1} pages written to" in found.err
    assert mpsbridge("docs", "tasks", "--man", str(tmp_path)).code == 2
    (tmp_path / "file").touch()
    found = mpsbridge("docs", "--man", str(tmp_path / "file"))
    assert found.code == 2
    assert "cannot be written" in found.err


def test_groff_has_nothing_against_a_page(folder: Path) -> None:
    if shutil.which("groff") is None:
        missing("groff")
    for page in sorted(folder.iterdir()):
        words = ["groff", "-man", "-Tutf8", "-ww", "-z", str(page)]
        said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
        assert said.stderr == ""
