"""``mpsbridge docs``: the pages in a pipe, on a terminal, and by their nearest names."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.console import Command

from mpsbridge.cli.docs import FOLDER, PAGES, WIDEST, page, pager, rendered

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def test_every_page_is_listed_with_a_line(mpsbridge: Command) -> None:
    found = mpsbridge("docs")
    listed = re.findall(r"^  ([a-z-]+) +(\S.*)$", found.out, re.MULTILINE)
    assert found.code == 0
    assert [name for name, _ in listed] == list(PAGES)
    assert sorted(PAGES) == sorted(path.stem for path in FOLDER.iterdir())
    assert max(map(len, found.out.splitlines())) <= 100


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_a_pipe_is_the_text_of_its_file(name: str, mpsbridge: Command) -> None:
    found = mpsbridge("docs", name)
    assert (found.code, found.err) == (0, "")
    assert found.out == (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert re.match(r"# \S.*\n\n\S.*\.\n\n", found.out)


@pytest.mark.parametrize(
    ("typed", "nearest"), [("comands", "commands"), ("taks", "tasks"), ("kerberos", "signing-in"), ("waves", "plans")]
)
def test_a_wrong_name_is_answered_with_the_nearest(typed: str, nearest: str, mpsbridge: Command) -> None:
    found = mpsbridge("docs", typed)
    assert (found.code, found.out) == (2, "")
    assert f"there is no page '{typed}'" in found.err
    assert nearest in found.err


def test_a_name_that_nothing_is_like_is_answered_with_the_list(mpsbridge: Command) -> None:
    assert "Use 'mpsbridge docs' to list the pages." in mpsbridge("docs", "qqq").err


def test_a_name_is_understood_in_capitals_and_as_a_file(mpsbridge: Command) -> None:
    assert mpsbridge("docs", "Tasks.MD").out == page("tasks")


def code_of(text: str) -> set[str]:
    """The lines of the blocks of code in a page."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return {line for block in blocks for line in block.splitlines()}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [40, 300])
def test_a_rendered_page_fits_and_keeps_its_words(name: str, width: int) -> None:
    lines = ESCAPE.sub("", rendered(page(name), width=width)).splitlines()
    code = code_of(page(name))
    assert max(len(line) for line in lines if line not in code) <= min(width, WIDEST)
    assert code <= set(lines)  # never wrapped nor cut: it is there to be copied
    assert page(name).splitlines()[0].removeprefix("# ") in " ".join(lines)


def test_a_link_is_shown_as_the_call_that_shows_the_page() -> None:
    assert "Plan files: mpsbridge docs plans" in ESCAPE.sub("", rendered("see [Plan files](plans.md#waves)"))


def test_without_colour_there_is_none() -> None:
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", rendered(page("commands")))
    assert not re.search(r"\x1b\[[0-9;]*[34][0-9]", rendered(page("commands"), color=False))


def test_the_pager_is_the_one_that_is_named_or_one_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("mine", "less"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PAGER", "mine --quiet")
    assert pager() == [str(tmp_path / "mine"), "--quiet"]
    for named in ("", "not-there", "'"):
        monkeypatch.setenv("PAGER", named)
        assert pager() == [str(tmp_path / "less")]
    (tmp_path / "less").unlink()
    assert pager() is None


def _on_a_terminal(*words: str, **environment: str) -> str:
    mine, theirs = pty.openpty()
    with os.fdopen(theirs, "wb") as terminal:
        call = subprocess.Popen(
            [sys.executable, "-m", "mpsbridge", *words],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "TERM": "xterm", **environment},
        )
    said = b""
    while True:
        try:
            part = os.read(mine, 65536)
        except OSError:  # Linux says so of a terminal that nobody has open any more
            break
        if not part:
            break
        said += part
    os.close(mine)
    assert call.wait(20) == 0
    return said.decode()


def test_on_a_terminal_a_page_is_rendered_and_goes_through_the_pager(tmp_path: Path) -> None:
    script = tmp_path / "mine"
    script.write_text('#!/bin/sh\necho "by the pager, $LESS, ${MPSBRIDGE_PASSWORD-no password}"\ncat\n')
    script.chmod(0o755)
    said = _on_a_terminal("docs", "glossary", PAGER=str(script), MPSBRIDGE_PASSWORD="secret")
    assert "by the pager, -FRX, no password" in said
    assert "Glossary" in said
    assert "\x1b[" in said
    assert "| --- |" not in said


def test_where_there_is_no_pager_the_page_is_printed(tmp_path: Path) -> None:
    said = _on_a_terminal("docs", "glossary", PATH=str(tmp_path))
    assert "Glossary" in said
    assert "| --- |" not in said


def test_a_terminal_that_can_do_nothing_gets_plain_text() -> None:
    assert "| --- |" in _on_a_terminal("docs", "glossary", TERM="dumb")


def test_a_form_that_the_pages_do_not_have_is_refused(mpsbridge: Command) -> None:
    assert mpsbridge("docs", "-o", "csv").code == 2
