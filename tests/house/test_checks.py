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


def cache(otherwise: Path) -> str:
    """Where mypy keeps what it has read, for each platform apart."""
    return str(ROOT / ".mypy_cache") if (ROOT / ".mypy_cache").exists() else str(otherwise)


@pytest.mark.slow(reason="mypy reads the whole package and pydantic without a cache")
@pytest.mark.timeout(300)
def test_mypy_finds_nothing(tmp_path: Path) -> None:
    run("mypy", "--platform", "linux", "--cache-dir", cache(tmp_path))


@pytest.mark.slow(reason="mypy reads the whole package and pydantic without a cache")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_the_package_uses_nothing_that_another_system_lacks(platform: str, tmp_path: Path) -> None:
    run("mypy", "--platform", platform, "--cache-dir", f"{cache(tmp_path)}_{platform}", "mpsbridge")
