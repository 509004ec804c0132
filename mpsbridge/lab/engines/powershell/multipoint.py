"""The MultiPoint modules of both generations, as PowerShell functions whose binding is the documented one.

``multipoint.json`` holds what Microsoft's reference says of each cmdlet (28 of 2012; 47 of 2016 and later, and 7 of
MultipointVdi): parameter sets, types, positions, what comes by pipeline. A wrong name, set or type therefore fails in
PowerShell's own binder. What a cmdlet does is in ``MultiPoint.psm1``, for those that are played.

A parameter is written as ``NAME TYPE`` and words: ``mandatory``, ``at:POSITION``, ``in:SET`` (else it is in all sets),
``by-name`` and ``by-value`` (from the pipeline), ``alias:NAME``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_SHOWN_ONLY = ("WmsDesktop", "UserType")
"""Types of which nothing but the name is documented."""
_SHORT = {"SwitchParameter": "switch", "Boolean": "bool", "PSCredential": "pscredential"}


def modules(generation: str) -> dict[str, str]:
    """Script text of each module of a generation ("2012", "2016"), by module name. Stands alone, in any runspace."""
    facts: dict[str, Any] = json.loads((_HERE / "multipoint.json").read_text(encoding="utf-8"))
    cmdlets: dict[str, dict[str, Any]] = facts[generation]
    enumerations: dict[str, list[str]] = facts["enumerations"]
    types = [f"enum {name} {{ {'; '.join(words)} }}" for name, words in enumerations.items()]
    types += [f"class {name} {{ }}" for name in _SHOWN_ONLY]
    head = "\n".join([*types, *(_read(name) for name in ("ask.ps1", "MultiPoint.psm1"))])
    texts = {}
    for module in sorted({facts.get("module", "MultiPoint") for facts in cmdlets.values()}):
        own = {name: facts for name, facts in cmdlets.items() if facts.get("module", "MultiPoint") == module}
        functions = "\n".join(_function(name, facts, generation) for name, facts in own.items())
        texts[module] = f"{head}\n{functions}\nExport-ModuleMember -Function {', '.join(own)}\n"
    return texts


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _function(name: str, facts: dict[str, Any], generation: str) -> str:
    sets = facts.get("sets", [])
    binding = ["PositionalBinding = $false"]  # a function's default, but not a cmdlet's
    binding += [f"DefaultParameterSetName = '{sets[0]}'"] if sets else []
    confirms = bool(facts.get("confirms"))
    if confirms:
        binding.append("SupportsShouldProcess = $true")
        if not name.startswith("Get-"):  # how grave each is, is not documented; the gravest is assumed
            binding.append("ConfirmImpact = 'High'")
    parameters = _merged([_parameter(text) for text in facts["parameters"]])
    act = f"Invoke-LabCmdlet '{name}' '{generation}' $PSBoundParameters"
    body = f'if ($PSCmdlet.ShouldProcess("$($PSBoundParameters.Values)")) {{ {act} }}' if confirms else act
    return f"function {name} {{\n[CmdletBinding({', '.join(binding)})]\nparam(\n{parameters})\nprocess {{ {body} }}\n}}"


def _parameter(text: str) -> tuple[str, str, str]:
    """Name and type, the attribute for one set, and the aliases."""
    name, kind, *words = text.split(" ")
    given = [word.partition(":") for word in words]
    attribute = []
    for word, _, value in given:
        match word:
            case "mandatory":
                attribute.append("Mandatory = $true")
            case "at":
                attribute.append(f"Position = {value}")
            case "in":
                attribute.append(f"ParameterSetName = '{value}'")
            case "by-name":
                attribute.append("ValueFromPipelineByPropertyName = $true")
            case "by-value":
                attribute.append("ValueFromPipeline = $true")
    aliases = "".join(f"[Alias('{value}')]" for word, _, value in given if word == "alias")
    array = "[]" if kind.endswith("[]") else ""
    kind = kind.removesuffix("[]")
    return f"[{_SHORT.get(kind, kind)}{array}]${name}", f"[Parameter({', '.join(attribute)})]", aliases


def _merged(parameters: list[tuple[str, str, str]]) -> str:
    """The parameter list; one that stands in several sets has one attribute for each."""
    merged: dict[str, list[str]] = {}
    for declaration, attribute, aliases in parameters:
        merged.setdefault(declaration, []).append(attribute + aliases)
    return ",\n".join(f"    {''.join(attributes)}{declaration}" for declaration, attributes in merged.items())
