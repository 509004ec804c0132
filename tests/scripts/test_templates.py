"""What every template keeps: the rules of the house, read from the files and by PowerShell's own parser."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from support.pwsh import run_script
from support.snippet_calls import CALLS
from support.windows import Windows

from mpsbridge.snippets.catalogue import CATALOGUE
from mpsbridge.snippets.logons import ReadLogonMode
from mpsbridge.snippets.observe import Observe
from mpsbridge.snippets.render import TEMPLATES

FILES = {str(path.relative_to(TEMPLATES)): path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.ps1.j2")}
SNIPPETS = [name for name in FILES if "/" not in name]
SHARED = [name for name in FILES if "/" in name]
INCLUDE = re.compile(r"\{% include '(shared/[a-z]+\.ps1\.j2)' %\}")
CALL = re.compile(r"[A-Z][a-z]+-Mpsbridge[A-Za-z]+( -[A-Z][A-Za-z]* \{\{ [a-z_]+ \}\})*")
FUNCTION = re.compile(r"^function ([A-Za-z]+-[A-Za-z]+)", re.MULTILINE)

OURS = r"[A-Z][A-Za-z]+-Mpsbridge[A-Za-z]+"

ALARMING = (
    "whoami",
    "cmd",
    "powershell",
    "pwsh",
    "schtasks",
    "wmic",
    "net",
    "bitsadmin",
    "certutil",
    "query",
    "change",
)
FORBIDDEN = {
    "Add-Type": r"Add-Type",
    "DllImport": r"DllImport",
    "encoded commands": r"-Enc(odedCommand)?\b",
    "text that becomes code": r"Invoke-Expression|\biex\b|\[scriptblock\]::Create",
    "the client's culture": r"Get-Culture|CurrentCulture",
    "a program by name": r"&\s*['\"]?[A-Za-z]+\.exe",
    "a program that spoils exit codes": r"\b(query|change)\.exe",
    "output to people": r"Write-(Host|Output|Verbose|Warning|Error)",
    "an exit": r"^ *exit *($|[0-9;])",
    "a wildcard path": r" -Path\b",
    "proxies of a restricted session": r"\b(Select-Object|Measure-Object|Out-Default)\b",
    "a blank that is not one": r"\.Trim(Start|End)?\(\)|\\s[^.\"]",
}


@pytest.mark.parametrize("name", FILES)
def test_plain_text(name: str) -> None:
    text = FILES[name]
    assert text.isascii()
    assert "\t" not in text
    assert "\r" not in text
    assert text.endswith("\n")
    assert max(len(line) for line in text.splitlines() if "{{" not in line) <= 140


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_value_stands_in_the_last_line_and_nowhere_else(name: str) -> None:
    head, _, last = FILES[name].rstrip("\n").rpartition("\n")
    assert CALL.fullmatch(last)
    rest = INCLUDE.sub("", head)
    assert not re.search(r"\{\{|\}\}|\{%|%\}|\{#|#\}", rest)


@pytest.mark.parametrize("name", SHARED)
def test_shared_text_holds_no_template_language_at_all(name: str) -> None:
    assert not re.search(r"\{\{|\}\}|\{%|%\}|\{#|#\}", FILES[name])


def test_every_shared_file_is_used_and_every_include_is_there() -> None:
    used = {found for name in SNIPPETS for found in INCLUDE.findall(FILES[name])}
    assert used == set(SHARED)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", FORBIDDEN)
def test_w15_nothing_that_is_forbidden(name: str, what: str) -> None:
    code = re.sub(r"^ *# .*$", "", FILES[name], flags=re.MULTILINE)
    found = re.search(FORBIDDEN[what], code, re.MULTILINE)
    assert found is None, f"{what}: {found[0]!r}"


def test_w15_only_these_programs_are_started() -> None:
    named = {program for text in FILES.values() for program in re.findall(r"'([A-Za-z]+\.exe)'", text)}
    system = {"csrss.exe", "winlogon.exe", "dwm.exe", "fontdrvhost.exe", "LogonUI.exe"}  # compared with, never started
    started = {"quser.exe", "qwinsta.exe", "msg.exe", "logoff.exe", "tsdiscon.exe", "chglogon.exe", "shutdown.exe"}
    started |= {"rwinsta.exe"}
    assert named - system == started
    assert not {name.removesuffix(".exe") for name in named} & set(ALARMING)
    starts = [name for name, text in FILES.items() if "Diagnostics.Process]::Start" in text]
    assert starts == ["shared/program.ps1.j2"]


@pytest.mark.parametrize("name", FILES)
def test_every_function_says_why_it_is_there(name: str) -> None:
    lines = FILES[name].splitlines()
    for number, line in enumerate(lines):
        if FUNCTION.match(line):
            assert lines[number - 1].startswith("# "), line


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_script_defines_each_function_once_and_calls_the_last(name: str) -> None:
    script = CALLS[name].render()
    defined = FUNCTION.findall(script.definitions)
    assert len(defined) == len(set(defined))
    assert script.function in defined
    assert all("-Mpsbridge" in function for function in defined)
    assert set(re.findall(OURS, script.text)) == set(defined)


def test_a_functions_name_means_one_text_in_every_script() -> None:
    """Scripts share a pool, in which a later definition would replace an earlier one."""
    texts: dict[str, set[str]] = {}
    for name in CATALOGUE:
        for piece in re.split(r"\n\n(?=# )", CALLS[name].render().definitions):
            (function,) = FUNCTION.findall(piece)
            texts.setdefault(function, set()).add(piece)
    assert [function for function, found in texts.items() if len(found) > 1] == []


def test_no_function_is_for_nobody() -> None:
    everything = "".join(FILES.values())
    used = [found for found in re.findall(OURS, everything) if everything.count(found) > 1]
    assert set(used) == set(re.findall(OURS, everything))


def test_scripts_stay_small() -> None:
    sizes = {name: len(CALLS[name].render().text) for name in CATALOGUE}
    assert max(sizes.values()) < 40_000, sizes
    assert all(len(CALLS[name].render().short) < 1_000 for name in CATALOGUE)


@pytest.mark.engine
def test_w28_no_program_that_looks_its_child_up_in_the_registry_is_started() -> None:
    program = FILES["shared/program.ps1.j2"]
    assert "$start.UseShellExecute = $false" in program
    assert "$start.CreateNoWindow = $true" in program
    code = "\n".join(re.sub(r"^ *# .*$", "", text, flags=re.MULTILINE) for text in FILES.values())
    assert not re.search(r"(?i)\b(query|change|reset)\.exe\b", code)


def test_w28_both_pipes_are_read_to_their_end(engine: Path, tmp_path: Path) -> None:
    program = tmp_path / "System32" / "quser.exe"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nhead -c 300000 /dev/zero >&2\nhead -c 300000 /dev/zero\nexit 7\n", encoding="ascii")
    program.chmod(0o755)
    script = tmp_path / "script.ps1"
    call = "$a = Read-MpsbridgeProgram 'quser.exe' 10; \"$($a.exit) $($a.out.Length) $($a.err.Length)\""
    script.write_text(f"{Observe().render().definitions}\n{call}\n", encoding="utf-8")
    arguments = [str(engine), "-NoProfile", "-NonInteractive", "-File", str(script)]
    environment = {**os.environ, "SystemRoot": str(tmp_path)}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["7", "400000", "400000"]


def test_w36_everything_runs_on_windows_powershell_3(engine: Path, shared: Path, tmp_path: Path) -> None:
    paths = []
    for name in CATALOGUE:
        paths.append(tmp_path / f"{name}.ps1")
        paths[-1].write_text(CALLS[name].render().text)
    compat = shared / "pwsh" / "compat.ps1"
    arguments = ["-NoProfile", "-File", str(compat), "-Version", "3.0", *map(str, paths)]
    done = subprocess.run([str(engine), *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


COMMANDS = r"""
foreach ($path in (ConvertFrom-Json -InputObject '@PATHS@')) {
    $errors = $null
    $tree = [Management.Automation.Language.Parser]::ParseFile($path, [ref]$null, [ref]$errors)
    $last = $tree.EndBlock.Statements[-1].PipelineElements[0]
    $others = @($tree.EndBlock.Statements | Where-Object { $_.GetType().Name -ne 'FunctionDefinitionAst' })
    "$($errors.Count) $($others.Count) $($last.GetCommandName())"
    foreach ($command in $tree.FindAll({ $args[0].GetType().Name -eq 'CommandAst' }, $true)) {
        "command $($command.GetCommandName())"
    }
}
"""

CMDLETS = {
    "ConvertFrom-Json",
    "ConvertTo-Json",
    "ForEach-Object",
    "Get-Acl",
    "Get-Date",
    "Get-CimInstance",
    "Get-Column",  # inside Read-MpsbridgeMultiPoint
    "Get-Command",  # in the runspace of its own only
    "Get-ItemProperty",
    "Get-Module",  # by name, which analyses no other module
    "Get-NothingOfThatName",  # to be told how this host says that there is no such command
    "Get-Process",
    "Get-ScheduledTask",
    "Get-ScheduledTaskInfo",
    "Get-Service",
    "Import-Module",  # of a module that is not there
    "Get-WmsSession",
    "Get-WmsStation",
    "Get-WmsSystem",
    "Get-Word",  # inside Read-MpsbridgeMultiPoint
    "Get-WmsDiskProtection",
    "Invoke-CimMethod",
    "New-Object",
    "Register-ScheduledTask",
    "Start-ScheduledTask",
    "Set-Acl",
    "Set-WmsSystem",
    "Sort-Object",
    "Start-Sleep",
    "Switch-WmsSystem",
    "Test-Path",
    "Unregister-ScheduledTask",
    "Where-Object",
    "",  # & $block, and & $Cmdlet in the runspace of its own
}


@pytest.mark.engine
def test_by_powershells_own_parser_functions_and_one_call_and_known_commands(engine: Path, tmp_path: Path) -> None:
    for name in CATALOGUE:
        script = CALLS[name].render()
        path = tmp_path / f"{name}.ps1"
        path.write_text(script.text)
        lines = run_script(engine, COMMANDS.replace("@PATHS@", json.dumps([str(path)]))).output
        errors, others, last = lines[0].split()
        assert (errors, others, last) == ("0", "1", script.function)
        commands = {line.removeprefix("command ") for line in lines[1:]}
        ours = set(FUNCTION.findall(script.definitions))
        assert commands - ours <= CMDLETS, name


@pytest.mark.engine
def test_a_function_that_another_script_defined_is_not_there_for_the_next(engine: Path) -> None:
    """Or a script that lacks one of its own would pass, because scripts of the package share a runspace here."""
    host = Windows(engine, [])
    whole = ReadLogonMode().render()
    assert host.run(whole).errors == ()
    output = host.run(whole.model_copy(update={"definitions": ""}))
    assert (output.output, "is not recognized" in output.errors[0]) == ((), True)
