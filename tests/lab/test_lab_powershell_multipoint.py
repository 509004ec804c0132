"""The MultiPoint cmdlets of both generations, bound by PowerShell itself as Microsoft's reference says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import find_engine, missing
from pypsrp.powershell import PowerShell, RunspacePool
from support.alike import world
from support.lab_client import pool

from mpsbridge.lab import Lab
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine

pytestmark = pytest.mark.engine

PEOPLE = [
    {"id": 2, "user": "alice", "station": 1, "logon": "2026-11-25T09:00:00Z"},
    {"id": 3, "user": "bob", "logon": "2026-11-25T09:10:00Z"},
    {"id": 4, "user": "carol", "logon": "2026-11-25T09:20:00Z"},
]
STATIONS = [{"id": 1, "name": "Eins"}, {"id": 2, "name": "Zwei", "auto_logon": True}]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    program = find_engine()
    if program is None:
        missing("a PowerShell engine (MPSBRIDGE_PWSH, PATH, or shared/pwsh)")
    hosts = [
        {"name": each, "generation": each[-4:], "sessions": PEOPLE, "stations": STATIONS}
        for each in ("read-2012", "read-2016", "act-2012", "act-2016", "all-2016")
    ]
    with Lab(world(*hosts), auth="basic", engine=PowerShellEngine(program)) as started:
        yield started


@pytest.fixture(scope="module")
def pools(lab: Lab) -> Iterator[dict[str, RunspacePool]]:
    with (
        pool(lab, "read-2012", operation_timeout=20, read_timeout=60) as old,
        pool(lab, "read-2016", read_timeout=60) as new,
    ):
        yield {"2012": old, "2016": new}


def invoke(runspaces: RunspacePool, text: str) -> tuple[list[Any], str]:
    """What a script emits, and the id of the error that it ends with, if any."""
    pipeline = PowerShell(runspaces)
    pipeline.add_script(f"try {{ {text} }} catch {{ 'failed'; $_.FullyQualifiedErrorId }}")
    output = pipeline.invoke()
    failed = [str(each) for each in pipeline.streams.error]
    if output and output[0] == "failed":
        failed.append(output[1])
        output = []
    return output, "; ".join(failed)


@pytest.mark.parametrize(
    ("generation", "call", "error"),
    [
        ("2016", "Close-WmsSession -Id 2 -Confirm:$false", "NamedParameterNotFound"),
        ("2016", "Close-WmsSession -SessionId 2 -All -Confirm:$false", "AmbiguousParameterSet"),
        ("2016", "Close-WmsSession -SessionId two -Confirm:$false", "ParameterArgumentTransformationError"),
        ("2016", "Close-WmsSession -SessionId -1 -Confirm:$false", "ParameterArgumentTransformationError"),
        ("2016", "Get-WmsSession -All -Thumbnail Tiny", "ParameterArgumentTransformationError"),
        ("2016", "Set-WmsSystem -Mode Normal", "ParameterArgumentTransformationError"),
        ("2016", "Set-WmsStation -StationId 1 -FriendlyName x -SessionHost y", "AmbiguousParameterSet"),
        ("2016", "Lock-WmsSession -SessionId 2 -WhatIf", "NamedParameterNotFound"),
        ("2016", "Show-WmsDesktop -All -Desktop 1", "ParameterArgumentTransformationError"),
        ("2016", "Switch-WmsSystem", "CommandNotFoundException"),
        ("2012", "Close-WmsSession -All -Confirm:$false", "NamedParameterNotFound"),
        ("2012", "Close-WmsSession 2 -Confirm:$false", "PositionalParameterNotFound"),
        ("2012", "Close-WmsSession -SessionId 2, 3 -Confirm:$false", "ParameterArgumentTransformationError"),
        ("2012", "Get-WmsSession -All", "NamedParameterNotFound"),
        ("2012", "Get-WmsSession -Server localhost", "NamedParameterNotFound"),
        ("2012", "Restart-WmsSystem", "CommandNotFoundException"),
    ],
)
def test_a_wrong_name_set_or_type_fails_in_powershells_own_binder(
    pools: dict[str, RunspacePool], generation: str, call: str, error: str
) -> None:
    output, failed = invoke(pools[generation], call)
    assert output == []
    assert error in failed


@pytest.mark.parametrize("generation", ["2012", "2016"])
def test_parameter_sets_types_and_positions_are_the_documented_ones(
    pools: dict[str, RunspacePool], generation: str, shared: Path
) -> None:
    facts = json.loads((shared / "cmdlets.json").read_text(encoding="utf-8"))
    documented = facts["cmdlets" if generation == "2016" else "cmdlets_2012"]
    names = ", ".join(cmdlet["name"] for cmdlet in documented)
    text = """foreach ($command in Get-Command NAMES) {
        foreach ($set in $command.ParameterSets) {
            foreach ($one in $set.Parameters) {
                $command.Name, $set.Name, $one.Name, $one.ParameterType.Name, $one.IsMandatory, $one.Position -join '|'
            }
        }
    }"""
    output, failed = invoke(pools[generation], text.replace("NAMES", names))
    assert failed == ""
    bound = {tuple(str(line).split("|")) for line in output}
    for cmdlet in documented:
        sets = [each for each in cmdlet["parameter_sets"] if each != "(default)"] or ["__AllParameterSets"]
        for parameter in cmdlet["parameters"]:
            position = "-2147483648" if parameter["position"] is None else str(parameter["position"])
            for each in sets if parameter["set"] == "(all)" else [parameter["set"]]:
                row = (
                    cmdlet["name"],
                    each,
                    parameter["name"],
                    parameter["type"],
                    str(parameter["mandatory"]),
                    position,
                )
                assert row in bound


def test_the_readers_tell_the_world(pools: dict[str, RunspacePool]) -> None:
    new = invoke(
        pools["2016"], 'Get-WmsSession -All | ForEach-Object { "$($_.SessionId) $($_.UserName) $($_.State)" }'
    )[0]
    old = invoke(pools["2012"], 'Get-WmsSession | ForEach-Object { "$($_.Id) $($_.UserName) $($_.State)" }')[0]
    assert new == old == ["2 alice ConnectedToStation", "3 bob RemoteConnection", "4 carol RemoteConnection"]
    stations = 'Get-WmsStation -All | ForEach-Object { "$($_.StationId) $($_.Name) $($_.SessionId)" }'
    assert invoke(pools["2016"], stations)[0] == ["1 Eins 2", "2 Zwei 4294967295"]
    assert invoke(pools["2016"], "(Get-WmsSession 3).UserName; (Get-WmsSystem).SystemMode")[0] == ["bob", "Normal"]
    assert invoke(pools["2012"], "(Get-WmsSession -Id 3).UserName; Get-WmsSystem -SystemMode")[0] == ["bob", "Normal"]


def test_what_is_not_played_says_so(pools: dict[str, RunspacePool]) -> None:
    assert "Get-WmsAlert is not played by the lab" in invoke(pools["2016"], "Get-WmsAlert")[1]
    assert "no MultiPoint server behind another" in invoke(pools["2016"], "Get-WmsSession -All -Server other")[1]


@pytest.mark.parametrize("generation", ["2012", "2016"])
def test_acting_without_confirm_asks_and_an_unknown_id_is_an_error(lab: Lab, generation: str) -> None:
    name = f"act-{generation}"
    with pool(lab, name, operation_timeout=20, read_timeout=60) as runspaces:
        assert invoke(runspaces, "Close-WmsSession -SessionId 99 -Confirm:$false")[1] != ""
        assert invoke(runspaces, "Close-WmsSession -SessionId 2 -WhatIf")[0] == []
        invoke(runspaces, "Disconnect-WmsSession -SessionId 3 -Confirm:$false")
        invoke(runspaces, "Close-WmsSession -SessionId 4 -Confirm:$false")
    acts = [(change.act, change.session_id) for change in lab.changes if change.host == name]
    assert acts == [("disconnect", 3), ("logoff", 4)]


def test_all_means_all(lab: Lab) -> None:
    with pool(lab, "all-2016", operation_timeout=20, read_timeout=60) as runspaces:
        assert invoke(runspaces, "Close-WmsSession -All -Confirm:$false") == ([], "")
    with lab.world.changing() as hosts:
        assert hosts["all-2016"].rows() == []
