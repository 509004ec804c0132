"""No value becomes code: tens of thousands of hostile values, against PowerShell's own parser and real processes.

:mod:`test_literals` looks for the odd case with hypothesis; here the number counts, in few starts of the engine.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from support.described import described
from support.lab_target import reach
from support.pwsh import SCRIPTS, run_script
from support.windows import Windows

from mpsbridge.lab.engines.contract import Memory, Submitted
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.programs import ProgramResult
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.scripts import Effect, Script
from mpsbridge.models.targets import Target
from mpsbridge.snippets.literals import literal
from mpsbridge.snippets.observe import Observe
from mpsbridge.snippets.render import TEMPLATES
from mpsbridge.transports import open_transport
from mpsbridge.transports.local import LocalTransport

COUNT = 20_000
PIECES = [
    *"'‘’‚‛\"“”„`$%{}()[];,&|#@<>\\/=+-*!?~^:. ",
    *"\n\r\t\u0085\u00a0\u2028\u2029\u200b\u200e\u200f\u202d\u202e\u2066\u2069\ufeff",
    *"–—―‐‑−＇＂｀＄′ʼ´ˈ；＆｜（）",  # what looks like quotes, dashes, dollars and separators
    *"aA0_éß日\U0001f600\U0001f468\u200d\U0001f469\ud7ff\ufffd\U0010ffff",
    "$(Stop-Computer)",
    "${env:PATH}",
    "@'\n",
    "\n'@",
    '@"\n',
    '\n"@',
    "<#",
    "#>",
    "\r\n",
    "''",
    "’’",
    "'+'",
    "'; Stop-Computer; '",
    "’; Stop-Computer; ‘",
    "`n",
    "`'",
    "_x0027_",
    "_x000A_",
    "_x005F_",
    "&#39;",
    "]]>",
    "--%",
    "-Last 2",
    "{{ 7 * 7 }}",
    "{% raw %}",
    '\\"',
    "\\\\",
    "%PATH%",
]


def text(chance: random.Random) -> str:
    length = chance.choice([0, 1, 1, 2, 2, 3, 4, 6, 10, 40]) if chance.random() < 0.999 else 20_000
    found = "".join(chance.choices(PIECES, k=length))
    return "" if found == "--%" else found  # that one has no literal


def key(chance: random.Random) -> str:
    return chance.choice("abXY") + "".join(chance.choices("aZ09_", k=chance.randrange(4)))


def value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.choice(["text"] * 12 + ["number", "word", "list", "table"][: 4 - 2 * (depth > 1)])
    if kind == "text":
        return text(chance)
    if kind == "number":
        return chance.choice([0, 1, -1, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63), chance.randrange(-(10**6), 10**6)])
    if kind == "word":
        return chance.choice([True, False, None])
    if kind == "table":
        keys = {each.lower(): each for each in (key(chance) for _ in range(chance.randrange(4)))}
        return {each: value(chance, depth + 1) for each in keys.values()}
    members = [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return [each for each in members if not isinstance(each, list)]


def plain(hostile: Any) -> Any:
    """A harmless value of the same kind and form."""
    match hostile:
        case str():
            return "x"
        case bool() | None:
            return hostile
        case int():
            return 1 if hostile >= 0 else -1
        case list():
            return [plain(each) for each in hostile]
        case dict():
            return {name: plain(each) for name, each in hostile.items()}
    raise AssertionError(hostile)


def shapes(engine: Path, folder: Path, pairs: list[dict[str, str]]) -> list[str]:
    path = folder / "pairs.json"
    path.write_text(json.dumps({"pairs": pairs}))
    output = run_script(engine, f"& '{SCRIPTS}/shapes.ps1' '{path}'")
    assert not output.errors, output.errors
    return list(output.output)


@pytest.mark.engine
@pytest.mark.slow(reason="parses 20,000 scripts")
def test_no_value_changes_the_shape_of_a_call_and_each_comes_back(engine: Path, tmp_path: Path) -> None:
    chance = random.Random(20_261_125)  # noqa: S311 - the same values every time
    hostile = [value(chance) for _ in range(COUNT)]
    pairs = [{"literal": literal(each), "plain": literal(plain(each))} for each in hostile]
    assert shapes(engine, tmp_path, pairs) == [described(each) for each in hostile]


@pytest.mark.engine
def test_the_check_itself_sees_a_value_that_breaks_out(engine: Path, tmp_path: Path) -> None:
    broken = [
        "'a'; Stop-Computer; 'b'",
        '"$(Stop-Computer)"',
        "'a' -Other 'b'",
        "'a",
        "@(1) + 2",
        "'a' # b",
        "$x",
        "'--%'",
    ]
    calm = literal("x")
    found = shapes(engine, tmp_path, [{"literal": each, "plain": calm} for each in broken])
    assert found == ["another shape"] * len(broken)


def test_a_reason_stays_in_the_comment_of_line_1() -> None:
    chance = random.Random(1)  # noqa: S311 - the same values every time
    quiet = Observe().render().text.split("\n", 1)[1]
    for _ in range(5_000):
        reason = text(chance)
        sent = Observe().render(reason=reason)
        header, rest = sent.text.split("\n", 1)
        assert rest == quiet
        assert header.isascii()
        assert header.isprintable()
        assert json.loads(header[header.index("{") :]).get("reason", "") == reason


START = """
foreach ($line in (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText('@FILE@'))).lines) {
    $answer = Receive-MpsbridgeProgram (Start-MpsbridgeProgram 'msg.exe' @($line.arguments)) 60
    if ($answer.exit -ne 0) { $answer }
}
"""


@pytest.mark.engine
def test_a_program_receives_exactly_the_texts(engine: Path, tmp_path: Path) -> None:
    """By the templates' own quoting and .NET's own reading of it: twenty processes with a thousand arguments each."""
    chance = random.Random(2)  # noqa: S311 - the same values every time
    lines = [[text(chance).replace("\0", "")[:4_000] for _ in range(COUNT // 20)] for _ in range(20)]
    host = Windows(engine, [])
    host.programs["msg"] = lambda _: ProgramResult()
    (tmp_path / "lines.json").write_text(json.dumps({"lines": [{"arguments": line} for line in lines]}))
    functions = "".join((TEMPLATES / "shared" / f"{name}.ps1.j2").read_text() for name in ("envelope", "program"))
    output = host.run(functions + START.replace("@FILE@", str(tmp_path / "lines.json")))
    assert (output.output, output.errors) == ((), ())
    assert [act.arguments for act in host.record] == lines


# As parameters of a command, where no literal is written: through the serializers of both transports.


def asking(value: str) -> Script:
    parameters = {"Text": value}
    facts: dict[str, Any] = {"header": "", "definitions": "", "call": "", "digest": "", "definitions_digest": ""}
    return Script(snippet="observe", effect=Effect.READ, function="Show-Text", parameters=parameters, **facts)


ECHO = """
function global:Show-Text { param([string]$Text) [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($Text)) }
"""


@pytest.mark.engine
def test_a_parameter_comes_through_the_pipes_as_it_is(engine: Path, tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311 - the same values every time
    prelude = base64.b64encode(ECHO.encode("utf-16-le")).decode()
    program = tmp_path / "pwsh"
    program.write_text(f'#!/bin/sh\nexec "{engine}" "$@" -EncodedCommand {prelude}\n')
    program.chmod(0o700)
    target = Target(host="local", address="localhost", kind="local", configuration_name="echo")
    transport = LocalTransport(target, engine=program)
    for sent in [text(chance) for _ in range(1_000)]:
        (answer,) = transport.run(asking(sent), timeout_s=30).output
        assert base64.b64decode(answer).decode() == sent
    transport.close()


class Echo:
    """An engine that answers the parameter it was given."""

    def answer(self, host: LabHost, submitted: Submitted, memory: Memory) -> Generator[float, None, str]:  # noqa: ARG002 - the engine's contract
        yield 0
        return base64.b64encode(str(submitted.parameters["Text"]).encode()).decode()


def test_a_parameter_comes_through_winrm_as_it_is() -> None:
    chance = random.Random(4)  # noqa: S311 - the same values every time
    world = build_world({"hosts": [{"name": "alpha", "jea": ["echo"]}]})
    with Lab(world, auth="ntlm", engine=Echo()) as lab:
        transport = open_transport(reach(lab, configuration_name="echo"))
        for sent in [text(chance) for _ in range(100)]:
            (answer,) = transport.run(asking(sent), timeout_s=30).output
            assert base64.b64decode(answer).decode() == sent
        transport.close()
