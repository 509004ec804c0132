"""What children get of us: no secrets; and where programs are looked for: never in the working folder."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from mpsbridge.processes import allow_open_files, environment_of_children, find_program


def test_children_get_no_setting_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MPSBRIDGE_PASSWORD", "MPSBRIDGE_PASSWORD_FILE", "mpsbridge_password", "MPSBRIDGE_ANYTHING"):
        monkeypatch.setenv(name, "swordfish")
    monkeypatch.setenv("KEPT", "x")
    environment = environment_of_children(MPSBRIDGE_LAB_SEAT="1")
    assert "swordfish" not in environment.values()
    assert environment["KEPT"] == "x"
    assert environment["MPSBRIDGE_LAB_SEAT"] == "1"


@pytest.mark.parametrize("entry", ["", ".", "bin", "./bin"])
def test_no_program_is_taken_from_the_working_folder(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    for place in (tmp_path / "pwsh", tmp_path / "bin" / "pwsh"):
        place.write_text("#!/bin/sh\n")
        place.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{entry}{os.pathsep}/nowhere")
    assert find_program("pwsh") is None
    monkeypatch.setenv("PATH", f"{entry}{os.pathsep}{tmp_path}")
    assert find_program("pwsh") == str(tmp_path / "pwsh")


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
        allow_open_files(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 100
        allow_open_files(80)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
