"""The words of what a person reads: what the field's administrators say, and no internal marks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "mpsbridge"
MODULES = sorted(PACKAGE.rglob("*.py"))
WORST = re.compile(r"(?<!here )\bis no (?!longer\b)|\bwhoever\b|\bwhom\b|\banew\b|\bfor ever\b|\(W[0-9]", re.IGNORECASE)
"""Calques, subjects that are no thing of the field, and numbers of rules."""


def _messages(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module that is not documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_message_has_the_worst_words(path: Path) -> None:
    assert [(line, text) for line, text in _messages(path) if WORST.search(text)] == []


def _raised(path: Path) -> Iterator[tuple[int, str, str]]:
    """How the first text of every error that a module raises begins and ends."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            text = node.exc.args[0]
            parts = text.values if isinstance(text, ast.JoinedStr) else [text]
            values = [getattr(part, "value", None) for part in (parts[0], parts[-1])]
            begin, end = (value if isinstance(value, str) else "" for value in values)
            yield node.lineno, begin, end


PROPER = ("PowerShell", "Basic", "Kerberos", "Windows")
"""Names that a message may begin with."""


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if "lab" not in path.relative_to(PACKAGE).parts],  # it speaks Windows' own words
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_a_message_begins_small_and_has_no_full_stop(path: Path) -> None:
    for line, begin, end in _raised(path):
        assert not end.endswith(".") or end.endswith("..."), line
        is_word = begin[:1].isupper() and begin[1:2].islower()
        assert not is_word or begin.startswith(PROPER), (line, begin)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_documentation_and_comments_say_again_and_permanently(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\banew\b|\bfor ever\b", text, re.IGNORECASE) == []


def test_the_test_above_sees_them(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text('"""whoever"""\nraise E(f"{x} is no host")\nsay("there is no run")\nnote("begin anew (W5)")\n')
    assert sorted(line for line, text in _messages(bad) if WORST.search(text)) == [2, 4]
    bad.write_text('raise E(f"{x} is wrong.")\nraise E("The host is wrong")\n')
    assert list(_raised(bad)) == [(1, "", " is wrong."), (2, "The host is wrong", "The host is wrong")]
