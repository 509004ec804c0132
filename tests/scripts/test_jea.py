"""The exported JEA module: what its files say, and what an endpoint made of them by PowerShell lets through (W34)."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.acting import ALICE, BOB, DONE, PROGRAM, script, told
from support.endpoints import TARGET, attempts, connect, endpoint, publish
from support.pwsh import run_script
from support.snippet_calls import CALLS, held, mode
from support.windows import Windows

from mpsbridge.errors import InputError, NotPublished, RemoteError
from mpsbridge.models.scripts import RawOutput
from mpsbridge.models.sessions import LogonMode
from mpsbridge.models.targets import POWERSHELL
from mpsbridge.snippets.catalogue import CATALOGUE
from mpsbridge.snippets.jea import CONFIGURATION, MODULE, SNIPPETS, Role, export, functions
from mpsbridge.snippets.render import published
from mpsbridge.snippets.sessions import ActAnswer, SendMessage
from mpsbridge.transports.local import LocalTransport

FILES = export({})
FUNCTION = re.compile(r"^function ([A-Za-z]+-[A-Za-z]+)", re.MULTILINE)
ALWAYS = {
    "Clear-Host",
    "Exit-PSSession",
    "Get-Command",
    "Get-FormatData",
    "Get-Help",
    "Measure-Object",
    "Out-Default",
    "Select-Object",
}
"""What every restricted session of PowerShell can call."""


def roles_in(text: str) -> list[tuple[str, str]]:
    return re.findall(r"'(.+)' = @\{ RoleCapabilities = '(\w+)' \}", text)


def test_the_export_is_a_module_with_three_roles_and_a_session_configuration() -> None:
    capabilities = [f"{MODULE}/RoleCapabilities/{MODULE}{role}.psrc" for role in ("Look", "Notify", "End")]
    assert sorted(FILES) == sorted([CONFIGURATION, f"{MODULE}/{MODULE}.psm1", f"{MODULE}/{MODULE}.psd1", *capabilities])


def test_a_role_may_do_what_the_one_before_it_may() -> None:
    look, notify, end = (functions(role) for role in Role)
    assert look == [
        "Get-MpsbridgeObservation",
        "Get-MpsbridgeLook",
        "Get-MpsbridgeStation",
        "Get-MpsbridgeLogonMode",
    ]
    assert notify == [*look, "Send-MpsbridgeMessage"]
    acts = ("Disconnect-MpsbridgeSession", "Close-MpsbridgeSession", "Reset-MpsbridgeSession", "Set-MpsbridgeLogonMode")
    assert end == [*notify, *acts]
    assert {snippet.effect for snippet in SNIPPETS[Role.LOOK]} == {"read"}
    assert {snippet.effect for snippet in SNIPPETS[Role.NOTIFY]} == {"read", "notify"}


def test_without_a_group_there_are_placeholders() -> None:
    named = roles_in(FILES[CONFIGURATION])
    assert named == [(f"DOMAIN\\mpsbridge-{role}", role.capability) for role in Role]


def test_only_named_groups_get_anything_and_each_its_widest_role() -> None:
    groups = {Role.LOOK: ["SCHOOL\\Teachers", "SCHOOL\\Ops"], Role.END: ["school\\OPS"]}
    text = export(groups)[CONFIGURATION]
    assert roles_in(text) == [("SCHOOL\\Teachers", "MpsbridgeLook"), ("SCHOOL\\Ops", "MpsbridgeEnd")]


@pytest.mark.parametrize("group", ["Teachers", "\\Teachers", "SCHOOL\\", "A\\B\\C", "SCHOOL\\a\nb", ""])
def test_a_group_without_its_domain_is_refused(group: str) -> None:
    with pytest.raises(InputError, match="is not a group"):
        export({Role.LOOK: [group]})


@pytest.mark.parametrize("folder", ["", "transcripts", "/var/log", "\\\\server\\share"])
def test_a_folder_without_its_drive_is_refused(folder: str) -> None:
    with pytest.raises(InputError, match="not a folder of Windows"):
        export({}, transcripts=folder)


def test_the_session_configuration_leaves_nothing_open() -> None:
    keys = dict(re.findall(r"^    (\w+) += (.+)$", export({}, transcripts="D:\\it's")[CONFIGURATION], re.MULTILINE))
    assert keys.pop("Description")
    assert keys == {
        "SchemaVersion": "'2.0.0.0'",
        "SessionType": "'RestrictedRemoteServer'",
        "LanguageMode": "'NoLanguage'",
        "ExecutionPolicy": "'RemoteSigned'",
        "RunAsVirtualAccount": "$true",
        "TranscriptDirectory": "'D:\\it''s'",
        "RoleDefinitions": "@{",
    }


def test_the_module_defines_each_function_once_and_does_nothing() -> None:
    text = FILES[f"{MODULE}/{MODULE}.psm1"]
    defined = FUNCTION.findall(text)
    assert len(defined) == len(set(defined))
    for snippet in SNIPPETS[Role.END]:
        assert set(FUNCTION.findall(published(snippet.name)[0])) <= set(defined)
    outside = re.sub(r"^function .*?^\}$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert [line for line in outside.splitlines() if line and not line.startswith("# ")] == []


@pytest.mark.parametrize("name", functions(Role.END))
def test_w34_every_parameter_is_checked_where_it_arrives(name: str) -> None:
    (body,) = re.findall(
        rf"^function {name} \{{\n(.*?)^\}}", FILES[f"{MODULE}/{MODULE}.psm1"], re.MULTILINE | re.DOTALL
    )
    (block,) = re.findall(r"^    param\((.*?)\)\n    Invoke-MpsbridgeSnippet ", body, re.MULTILINE | re.DOTALL)
    for parameter in filter(None, re.split(r",\s*\n", block.strip())):
        kind = re.search(r"\[(string|int)\]\$([A-Za-z]+)", parameter)
        assert kind, parameter
        checked = "[ValidatePattern('\\A" in parameter or "[ValidateSet(" in parameter or "[ValidateRange(" in parameter
        assert checked or kind[2] == "Sessions", "JSON text, which the function reads and checks itself"


def test_w34_no_function_uses_what_a_restricted_session_replaces() -> None:
    """Get-Command is asked in a runspace of its own, where it is the real one."""
    words = set(re.findall(r"[A-Z][a-z]+-[A-Za-z]+", FILES[f"{MODULE}/{MODULE}.psm1"]))
    assert words & ALWAYS == {"Get-Command"}


def test_w34_nothing_asks_for_confirmation() -> None:
    assert not re.search("ConfirmImpact|SupportsShouldProcess|ShouldContinue", FILES[f"{MODULE}/{MODULE}.psm1"])


@pytest.mark.engine
def test_the_module_needs_nothing_newer_than_windows_powershell_3(engine: Path, shared: Path, tmp_path: Path) -> None:
    paths = []
    for name, text in FILES.items():
        paths.append(tmp_path / (Path(name).name + ".ps1"))
        paths[-1].write_text(text)
    arguments = ["-NoProfile", "-File", str(shared / "pwsh" / "compat.ps1"), "-Version", "3.0", *map(str, paths)]
    done = subprocess.run([str(engine), *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


READ = "ConvertTo-Json -Compress -InputObject @((& ([scriptblock]::Create([IO.File]::ReadAllText('@FILE@')))).Keys)"


@pytest.mark.engine
def test_a_name_of_a_group_stays_a_name(engine: Path, tmp_path: Path) -> None:
    group = "SCHULE\\L’Été' = @{}; $(Stop-Computer) ‘x’ #"
    path = tmp_path / "roles.ps1"
    text = export({Role.LOOK: [group]})[CONFIGURATION]
    path.write_text(text[text.index("RoleDefinitions = ") + 18 : -2], encoding="utf-8-sig")
    (keys,) = run_script(engine, READ.replace("@FILE@", str(path))).output
    assert json.loads(keys) == [group]


@pytest.mark.engine
@pytest.mark.parametrize("role", Role)
def test_w34_a_group_sees_the_functions_of_its_role_and_what_every_session_has(engine: Path, role: Role) -> None:
    host = Windows(engine, [])
    (commands,) = attempts(host, publish(host), role, [{"command": "Get-Command"}])
    assert set(commands.removeprefix("answered ").split()) == ALWAYS | set(functions(role))


# The endpoint itself, over the pipes of a real remoting server.

Connect = Callable[[Role], LocalTransport]


@pytest.fixture
def host(engine: Path) -> Windows:
    return Windows(engine, [ALICE, BOB])


@pytest.fixture
def served(host: Windows) -> Iterator[Connect]:
    opened = []

    def open_one(role: Role) -> LocalTransport:
        opened.append(connect(host, role))
        return opened[-1]

    yield open_one
    for transport in opened:
        transport.close()


def read(name: str, raw: RawOutput) -> Any:
    assert raw.errors == ()
    return CATALOGUE[name].read(raw)


@pytest.mark.engine
def test_w34_look_reads_and_cannot_act(host: Windows, served: Connect) -> None:
    transport = served(Role.LOOK)
    seen = read("observe", transport.run(CALLS["observe"].render(), timeout_s=30))
    assert [session.user for session in seen.sessions] == ["alice", "bob"]
    assert read("logons", transport.run(CALLS["logons"].render(), timeout_s=30)).mode == "enabled"
    with pytest.raises(NotPublished, match="can call no Send-MpsbridgeMessage") as caught:
        transport.run(script("message", ALICE.guard()), timeout_s=30)
    assert "older than this mpsbridge" in caught.value.hint
    assert not caught.value.may_have_run
    assert host.record == []


@pytest.mark.engine
def test_w34_stations_work_there_too(engine: Path) -> None:
    host = Windows(engine, [ALICE], generation="2016")
    transport = connect(host, Role.LOOK)
    answer = transport.run(CALLS["stations"].render(), timeout_s=30)
    transport.close()
    assert json.loads(answer.output[0])["ok"] is True
    assert json.loads(answer.output[0])["result"]["wms"]["generation"] == "2016"


@pytest.mark.engine
def test_w34_notify_sends_messages_and_ends_nobody(host: Windows, served: Connect) -> None:
    transport = served(Role.NOTIFY)
    answer: ActAnswer = read("message", transport.run(script("message", ALICE.guard()), timeout_s=30))
    assert [entry.result for entry in answer.sessions] == [DONE["message"]]
    with pytest.raises(NotPublished, match="Close-MpsbridgeSession"):
        transport.run(script("logoff", ALICE.guard()), timeout_s=30)
    assert told(host) == [("msg", "2")]


@pytest.mark.engine
@pytest.mark.parametrize("role", [Role.NOTIFY, Role.END])
def test_w34_no_role_marks_a_notice_of_somebody_elses_run(role: Role, host: Windows, served: Connect) -> None:
    """The mark would say that the run's own notice was delivered, so the person would never be told."""
    host.put_lease(held("run-1"))
    named = script("message", ALICE.guard(), notice="5m-20261125180000", run="run-1")
    with pytest.raises(RemoteError, match="Notice"):
        SendMessage.read(served(role).run(named, timeout_s=30))
    assert told(host) == []
    assert host.lease_file.read_text(encoding="utf-8") == held("run-1")


@pytest.mark.engine
def test_w34_end_does_all_of_it(host: Windows, served: Connect) -> None:
    transport = served(Role.END)
    for name, person in (("message", ALICE), ("disconnect", BOB), ("logoff", ALICE)):
        answer: ActAnswer = read(name, transport.run(script(name, person.guard()), timeout_s=30))
        assert [entry.result for entry in answer.sessions] == [DONE[name]]
    assert told(host) == [(PROGRAM["message"], "2"), (PROGRAM["disconnect"], "5"), (PROGRAM["logoff"], "2")]
    assert host.ids == [5]
    changed = read("logons-set", transport.run(mode(LogonMode.DRAIN).render(), timeout_s=30))
    assert (changed.mode, changed.was) == (LogonMode.DRAIN, LogonMode.ENABLED)


@pytest.mark.engine
def test_w34_a_function_of_an_older_export_is_named(host: Windows, served: Connect) -> None:
    transport = served(Role.LOOK)
    newer = CALLS["observe"].render()
    asked = newer.model_copy(update={"parameters": newer.parameters | {"Depth": 3}})
    with pytest.raises(NotPublished, match="Get-MpsbridgeObservation knows other parameters"):
        transport.run(asked, timeout_s=30)


ESCAPES = [
    "Invoke-Expression",
    "Invoke-Command",
    "ForEach-Object",
    "Where-Object",
    "Start-Job",
    "New-Object",
    "New-Module",
    "Import-Module",
    "Get-Module",
    "Set-Variable",
    "Get-Variable",
    "Get-Item",
    "Get-ChildItem",
    "Set-Location",
    "Get-Process",
    "Get-CimInstance",
    "Register-PSSessionConfiguration",
    "Start-MpsbridgeProgram",
    "Invoke-MpsbridgeBounded",
    "Write-MpsbridgeLogonMode",
    "Close-MpsbridgeSession",
    f"{MODULE}\\Start-MpsbridgeProgram",
    "Microsoft.PowerShell.Utility\\Invoke-Expression",
    "Microsoft.PowerShell.Core\\ForEach-Object",
    "global:Get-Process",
    "function:Start-MpsbridgeProgram",
    "&",
    ".",
    "& Get-Process",
    "Get-MpsbridgeLogonMode; Get-Process",
    "$env:SystemRoot",
    "{ Get-Process }",
    "sh",
    "/bin/sh",
    "iex",
    "%",
    "cd..",
    "C:",
]


TEXTS = [
    "Get-Process",
    "1",
    "'text'",
    "{ Get-Process }",
    "& { Get-Process }",
    "& 'Get-Process'",
    ". Get-Process",
    "(Get-Process)",
    "$(Get-Process)",
    '"$(Get-Process)"',
    "$x = 1",
    "$env:SystemRoot",
    "${function:Start-MpsbridgeProgram}",
    "[IO.File]::ReadAllText('/etc/passwd')",
    "function Get-MpsbridgeStation { 'mine' }",
    "Get-MpsbridgeLogonMode; Get-Process",
    "Get-MpsbridgeLogonMode | ForEach-Object { Get-Process }",
    "Get-MpsbridgeLogonMode -OutVariable (Get-Process)",
    "Get-Command Get-Process | Select-Object { Get-Process }",
    "if (1) { Get-Process }",
    "/bin/sh -c id",
    "#requires -version 1",
]


@pytest.mark.engine
def test_w34_nothing_but_the_published_functions_can_be_called(host: Windows) -> None:
    calls = [{"command": command} for command in [*ESCAPES, "Get-MpsbridgeLogonMode"]]
    texts = [{"text": text} for text in TEXTS]
    tried = attempts(host, publish(host), Role.NOTIFY, texts + calls)
    assert tried[: len(texts)] == ["failed ScriptsNotAllowed"] * len(texts)
    assert [each for each in tried[len(texts) : -1] if each != "failed CommandNotFoundException"] == []
    assert tried[-1].startswith("answered "), "what is published still works in that very session"
    assert host.record == []


@pytest.mark.engine
@pytest.mark.parametrize("text", ["Get-Process", "$x = 1", "& { 1 }", "Get-MpsbridgeLogonMode; Get-Process"])
def test_w34_script_text_is_refused_over_the_pipes(host: Windows, text: str) -> None:
    unaware = LocalTransport(
        TARGET.model_copy(update={"configuration_name": POWERSHELL}), engine=endpoint(host, Role.END)
    )
    raw = unaware.run(CALLS["logons"].render().model_copy(update={"call": text}), timeout_s=30)
    unaware.close()
    assert (raw.failed, raw.output) == (True, ())


SPIES = [
    "MpsbridgeProblems",
    "PSDefaultParameterValues",
    "ErrorActionPreference",
    "PID",
    "env:SystemRoot",
    "function:x",
]


@pytest.mark.engine
def test_w34_what_callers_may_always_give_changes_nothing(host: Windows) -> None:
    """Every function takes PowerShell's common parameters, among them those that set a variable of the session."""
    spying = [
        {"command": "Get-MpsbridgeLogonMode", "parameters": {option: name}}
        for name in SPIES
        for option in ("OutVariable", "ErrorVariable", "WarningVariable", "PipelineVariable")
    ]
    observed = {"command": "Get-MpsbridgeObservation"}
    first, *_, last = attempts(host, publish(host), Role.LOOK, [observed, *spying, observed])
    assert first.startswith("answered ")
    assert without_time(last) == without_time(first)


def without_time(answer: str) -> Any:
    document = json.loads(answer.removeprefix("answered "))
    del document["result"]["now"]
    return document


@pytest.mark.engine
def test_w34_a_script_block_is_only_its_text(host: Windows) -> None:
    sent = script("message", ALICE.guard()).parameters | {"Text": {"block": "Get-Process"}}
    (answer,) = attempts(host, publish(host), Role.NOTIFY, [{"command": "Send-MpsbridgeMessage", "parameters": sent}])
    assert answer.startswith("answered ")
    assert [entry.arguments[-1] for entry in host.record] == ["Get-Process"]
