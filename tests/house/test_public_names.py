from __future__ import annotations

import subprocess
import sys

import pytest

import mpsbridge


def test_the_public_names_are_what_is_listed_and_sorted() -> None:
    assert mpsbridge.__all__ == sorted(mpsbridge.__all__)
    assert set(mpsbridge.__all__) == {*mpsbridge._HOME_OF, "__version__"}


@pytest.mark.parametrize("name", mpsbridge.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mpsbridge, name) is not None


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mpsbridge.nothing


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import mpsbridge", ["pydantic", "typer", "jinja2", "pypsrp"]),
        ("import mpsbridge.cli.main", ["pydantic", "jinja2", "pypsrp", "psrpcore", "cryptography"]),
        ("import mpsbridge.host", ["pypsrp", "requests", "typer"]),
        ("import mpsbridge.cli.reading", ["asyncio", "jinja2", "rich.console", "pypsrp", "mpsbridge.runs.events"]),
        ("import mpsbridge.transports.winrm", ["jinja2", "pypsrp.wsman", "requests", "typer", "urllib3"]),
    ],
)
def test_slow_libraries_are_loaded_only_when_needed(code: str, absent: list[str]) -> None:
    script = f"{code}\nimport sys\nprint(*(name for name in {absent!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
