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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_documentation_and_comments_say_again_and_permanently(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\banew\b|\bfor ever\b", text, re.IGNORECASE) == []


def test_the_test_above_sees_them(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text('"""whoever"""\nraise E(f"{x} is no host")\nsay("there is no run")\nnote("begin anew (W5)")\n')
    assert sorted(line for line, text in _messages(bad) if WORST.search(text)) == [2, 4]
