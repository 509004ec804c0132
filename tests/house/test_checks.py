"""The checkers are part of the tests: what they find fails the same command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT


def run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", ".")


def test_ruff_would_format_nothing() -> None:
    run("ruff", "format", "--check", ".")


@pytest.mark.slow(reason="mypy reads the whole package and pydantic without a cache")
@pytest.mark.timeout(300)
def test_mypy_finds_nothing(tmp_path: Path) -> None:
    run("mypy", "--cache-dir", str(ROOT / ".mypy_cache") if (ROOT / ".mypy_cache").exists() else str(tmp_path))
