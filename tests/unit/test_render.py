"""Template and parameters become a script: the header, the call, and where templates may come from."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jinja2
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from support.snippet_calls import ALICE, CALLS, NEVER, STAYS, box, held, log_off, mode, swap

from mpsbridge.errors import RenderError
from mpsbridge.lab.engines.reader import last_call
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.scripts import Effect, Script
from mpsbridge.models.sessions import LogonMode
from mpsbridge.snippets import render as rendering
from mpsbridge.snippets.catalogue import CATALOGUE
from mpsbridge.snippets.literals import literal
from mpsbridge.snippets.observe import Observe
from mpsbridge.snippets.render import TEMPLATES, render
from mpsbridge.version import __version__

HEADER = re.compile(r"# mpsbridge (\S+) (\S+) (\{.*\})")


def audit(script: Script) -> dict[str, Any]:
    found = HEADER.fullmatch(script.header)
    assert found is not None
    assert found[1] == __version__
    assert found[2] == script.snippet
    content: dict[str, Any] = json.loads(found[3])
    return content


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_call_as_text_and_the_call_as_data_are_one(name: str) -> None:
    script = CALLS[name].render()
    call = last_call(script.text)
    assert (call.function, call.arguments) == (script.function, script.parameters)
    assert script.text == f"{script.header}\n{script.definitions}\n{script.call}\n"
    assert script.short == f"{script.header}\n{script.call}\n"
    assert f"function {script.function} {{" in script.definitions


def test_the_calls_are_the_agreed_ones() -> None:
    sessions = json.dumps({"sessions": [ALICE.model_dump()]}, separators=(",", ":"))
    late = f"-NotAfter '{NEVER}' -Run 'run-1'"
    free = f"{late} -Lease 'free'"
    allowed = '{"allowed":[{"id":3,"born":"20261125093000.000000+000","leftover":false}]}'
    expected = {
        "observe": """Get-MpsbridgeObservation -Programs '{"programs":["winword"]}' -TimeLimitSeconds 20""",
        "look": "Get-MpsbridgeLook -TimeLimitSeconds 20",
        "evidence": "Get-MpsbridgeEvidence -TimeLimitSeconds 20",
        "stations": "Get-MpsbridgeStation -TimeLimitSeconds 20",
        "logons": "Get-MpsbridgeLogonMode",
        "logons-set": f"Set-MpsbridgeLogonMode -Mode 'drain' -Expected 'enabled' {free}",
        "message": f"Send-MpsbridgeMessage -Sessions '{sessions}' -Text 'The host restarts at 18:00.'"
        f" -DisplaySeconds 60 -Notice $null {late} -TimeLimitSeconds 20",
        "disconnect": f"Disconnect-MpsbridgeSession -Sessions '{sessions}' {late} -TimeLimitSeconds 20",
        "logoff": f"Close-MpsbridgeSession -Sessions '{sessions}' {free} -TimeLimitSeconds 20",
        "reset": f"Reset-MpsbridgeSession -Sessions '{sessions}' {free} -TimeLimitSeconds 20",
        "lease": f"Set-MpsbridgeLease -Text '{held()}' -Expected $null {late}",
        "failsafe": f"Register-MpsbridgeFailsafe -Found 'enabled' -Set 'drain' -Owner 'ops@box' {late}"
        " -TimeLimitSeconds 20",
        "failsafe-remove": f"Unregister-MpsbridgeFailsafe {late}",
        "mode": f"Set-MpsbridgeMode -Mode 'console' -Allowed '{allowed}' {free} -TimeLimitSeconds 60",
        "power": f"Invoke-MpsbridgePower -Action 'restart' -Allowed '{allowed}' -Reason 'monthly patches' "
        f"{free} -TimeLimitSeconds 20",
    }
    assert {name: CALLS[name].render().call for name in CATALOGUE} == expected


def test_no_expectation_is_null() -> None:
    script = mode(LogonMode.DRAIN).render()
    assert "-Expected $null " in script.call
    assert script.parameters["Expected"] is None


def test_bytes_of_any_code_page_travel_as_ascii() -> None:
    guard = ALICE.model_copy(update={"user": "J\x94rg'\x80\xa0", "logon": "25.11.2026 09:00"})
    script = log_off(guard).render()
    assert script.call.isascii()
    sent = json.loads(str(script.parameters["Sessions"]))["sessions"][0]
    assert (sent["user"], sent["logon"]) == (guard.user, guard.logon)


def test_w35_the_header_says_what_ran_and_names_nobody() -> None:
    script = box("Hans, please save", ALICE).render(reason="updates, é\n# and more")
    said = audit(script)
    assert said["sessions"] == [{"id": 2, "born": ALICE.born, "user_sha256": "2bd806c97f0e"}]
    assert (said["count"], said["run"], said["not_after"]) == (1, "run-1", NEVER)
    assert said["reason"] == "updates, é\n# and more"
    assert len(said["text_sha256"]) == 12
    for private in ("alice", "Hans", "9:00 AM"):
        assert private not in script.header


@given(reason=st.text())
def test_w35_the_header_is_one_line_of_ascii_whatever_the_reason(reason: str) -> None:
    header = Observe().render(reason=reason).header
    assert header.isascii()
    assert header.isprintable()
    assert header.startswith("# mpsbridge ")


def test_w35_the_header_shows_ids_and_modes_and_of_a_lease_only_a_digest() -> None:
    assert audit(CALLS["power"].render())["allowed"] == [{"id": 3, "born": STAYS.born, "leftover": False}]
    assert audit(CALLS["logons-set"].render())["expected"] == "enabled"
    header = swap(held(owner="alice"), held(owner="bob")).render().header
    assert {"text_sha256", "expected_sha256", "run"} <= set(
        json.loads(header.partition("{")[1] + header.partition("{")[2])
    )
    assert "alice" not in header
    assert "bob" not in header


def test_digests_are_of_what_runs_not_of_the_header() -> None:
    one = log_off(ALICE).render(reason="one")
    two = log_off(ALICE).render(reason="two")
    other = log_off(ALICE, run="run-2").render()
    assert one.header != two.header
    assert one.digest == two.digest != other.digest
    assert one.definitions_digest == other.definitions_digest != Observe().render().definitions_digest


def test_an_unknown_template_is_a_render_error() -> None:
    with pytest.raises(RenderError, match=r"nothing\.ps1\.j2"):
        render("nothing", Effect.READ, Observe())


@pytest.mark.parametrize("name", ["../pyproject.toml", "shared/../../README.md", "/etc/passwd", "..", ""])
def test_no_name_leaves_the_folder(name: str) -> None:
    with pytest.raises(RenderError):
        render(name, Effect.READ, Observe())


class Fewer(Frozen):
    """Too few fields for any template with parameters."""


class More(Observe):
    extra: str = ""


class Loose(Frozen):
    programs: tuple[str, ...] = ()
    time_limit_s: float = 1.5


@pytest.mark.parametrize("parameters", [Fewer(), More()])
def test_template_and_parameters_must_agree(parameters: Frozen) -> None:
    with pytest.raises(RenderError, match="disagree"):
        render("observe", Effect.READ, parameters)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_template_means_what_jinja_makes_of_it(name: str) -> None:
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        finalize=literal,
        autoescape=False,  # noqa: S701 - PowerShell, as the templates are
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    script = CALLS[name].render()
    fields = rendering._template(name)[1].fields
    values = {field: script.parameters[parameter] for parameter, field in fields.items()}
    text = jinja.get_template(f"{name}.ps1.j2").render(values)
    assert text.strip("\n") == f"{script.definitions}\n\n{script.call}"


def test_a_value_without_a_literal_does_not_render() -> None:
    with pytest.raises(RenderError, match="float"):
        render("observe", Effect.READ, Loose())


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("function Get-MpsbridgeX { }\n\nGet-MpsbridgeX -A {{ a | upper }}\n", "not one call"),
        ("function Get-MpsbridgeX { }\n\nGet-MpsbridgeX -A '{{ a }}'\n", "not one call"),
        ("function Get-MpsbridgeX { }\n\nGet-MpsbridgeX; Get-MpsbridgeX\n", "not one call"),
        ("{% include '../outside.ps1.j2' %}\n\nGet-MpsbridgeX\n", "outside.ps1.j2"),
        ("{% include 'missing.ps1.j2' %}\n\nGet-MpsbridgeX\n", "missing.ps1.j2"),
        ("{% include 'odd.ps1.j2' %}\n\nGet-MpsbridgeX\n", "includes itself"),
        ("'{{ a }}'\n\nGet-MpsbridgeX\n", "not given"),
        ("{% if a %}x{% endif %}\n\nGet-MpsbridgeX\n", "cannot be read"),
        ("{% broken\n\nGet-MpsbridgeX\n", "cannot be read"),
    ],
)
def test_a_template_of_another_shape_does_not_render(
    template: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "templates"
    inside.mkdir()
    (tmp_path / "outside.ps1.j2").write_text("Stop-Computer")
    (inside / "odd.ps1.j2").write_text(template)
    monkeypatch.setattr(rendering, "TEMPLATES", inside)
    with pytest.raises(RenderError, match=says):
        render("odd", Effect.READ, Fewer())


PROBE = """
from mpsbridge.snippets.observe import Observe
from mpsbridge.snippets.render import TEMPLATES
print(TEMPLATES)
print(Observe().render().digest)
"""


def planted(folder: Path) -> Path:
    """A folder that would replace every script, if anything looked for templates by import name or here."""
    evil = folder / "planted" / "ps_templates"
    evil.mkdir(parents=True)
    (evil / "__init__.py").write_text("raise SystemExit('imported')")
    for template in TEMPLATES.rglob("*.ps1.j2"):
        target = evil / template.relative_to(TEMPLATES)
        target.parent.mkdir(exist_ok=True)
        target.write_text("function Get-MpsbridgeObservation { Stop-Computer }\n\nGet-MpsbridgeObservation\n")
    return evil.parent


def probe(*path: Path, cwd: Path) -> list[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_planted_folder_changes_nothing_here(tmp_path: Path) -> None:
    evil = planted(tmp_path)
    assert probe(evil, cwd=evil) == [str(TEMPLATES), Observe().render().digest]


def test_a_planted_folder_changes_nothing_for_an_installed_wheel(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source = tmp_path / "source"
    for part in ("mpsbridge", "ps_templates"):
        shutil.copytree(ROOT / part, source / part)
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, source)
    (source / "mpsbridge" / "snippets" / "__pycache__").mkdir(exist_ok=True)
    (source / "mpsbridge" / "snippets" / "__pycache__" / "observe.ps1.kept").write_text("of the machine that builds it")
    build = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if "__pycache__" in name or name.endswith(".kept")]
    site = tmp_path / "site"
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    evil = planted(tmp_path)
    assert probe(evil, site, cwd=evil) == [str(site / "ps_templates"), Observe().render().digest]
    for shipped in ("docs/start.md", "operations/example-plan.toml"):
        assert (site / "mpsbridge" / shipped).read_text(encoding="utf-8").startswith("# ")
