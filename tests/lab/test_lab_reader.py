"""The reader of calls: the inverse of the literals, and a refusal of everything that would need PowerShell."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.snippet_calls import CALLS

from mpsbridge.lab.engines.reader import NotACall, functions_in, last_call, read_call, read_literal
from mpsbridge.snippets.literals import literal

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("'‘’‚‛\n\t \"$`@(){};-"), max_size=30)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS
KEYS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
TABLES = st.dictionaries(KEYS, SCALARS, max_size=4).filter(
    lambda table: len({key.lower() for key in table}) == len(table)
)
VALUES = SCALARS | st.lists(SCALARS | TABLES, max_size=4) | TABLES
NAMES = st.from_regex(r"[A-Z][a-z]{1,8}", fullmatch=True)


@given(VALUES)
@example("Get-Evil -X '1'")
@example("it's ‘odd’")
def test_a_literal_reads_back_as_the_value(value: object) -> None:
    assert read_literal(literal(value)) == value


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.lists(TEXTS, max_size=3))
def test_the_last_call_of_a_script_is_found_whatever_its_texts_hold(
    arguments: dict[str, object], above: list[str]
) -> None:
    if len({name.lower() for name in arguments}) < len(arguments):
        return
    call = "Close-Thing" + "".join(f" -{name} {literal(value)}" for name, value in arguments.items())
    comments = "".join(f"# {line}\n" for text in above for line in text.splitlines())
    script = f"{comments}function Close-Thing {{\n    Get-Other -Name 'x'\n}}\nGet-Earlier -A 1\n{call}\n"
    found = last_call(script)
    assert (found.function, found.arguments) == ("Close-Thing", arguments)


@pytest.mark.parametrize("line", ["Get-Evil -X '1'", "Get-Evil", "Get-Evil -X 1", "Get-Evil -A 'b' -C"])
def test_a_line_inside_a_text_is_never_the_call(line: str) -> None:
    for text in (line, f"\n{line}", f"{line}\n", f"a\n{line}\nb"):
        script = f"function Send-It {{ }}\nSend-It -Text {literal(text)}"
        assert last_call(script).arguments == {"Text": text}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "Get-Thing -Name $other",
        "Get-Thing -Name $true.Length",
        "Get-Thing -Name $(1)",
        "Get-Thing -Name (1)",
        "Get-Thing -Name -1",
        "Get-Thing -Name 1.5",
        "Get-Thing -Name 0x10",
        "Get-Thing -Name 1kb",
        "Get-Thing -Name bare",
        'Get-Thing -Name "x"',
        "Get-Thing -Name 'x",
        "Get-Thing -Name 'x'y",
        "Get-Thing -Name 'x' 'y'",
        "Get-Thing -Name 'x'; Get-Other",
        "Get-Thing -Name 'x' | Get-Other",
        "Get-Thing -Name 'x'\nGet-Other",
        "Get-Thing -Name 'x' # why",
        "Get-Thing -Name 'x' -name 'y'",
        "Get-Thing 'x'",
        "& Get-Thing",
        "Get-Thing -Name @(1,)",
        "Get-Thing -Name @{a=1 b=2}",
        "Get-Thing -Name @{a=1;a=2}",
        "Get-Thing -Name [int]1",
        "$x = 1",
        "thing",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(NotACall):
        read_call(text)


def test_switches_and_constants() -> None:
    call = read_call("Get-Thing -All -Force:$false -A $TRUE -B $null -C @() -D @{} -E (-5)")
    assert call.arguments == {"All": True, "Force": False, "A": True, "B": None, "C": [], "D": {}, "E": -5}


def test_functions_are_found_by_name_without_case() -> None:
    script = "function Get-A { }\n  Function global:Get-B($x) { }\n# function Get-C\n'function Get-D'\n"
    assert functions_in(script) == {"get-a", "get-b"}


@pytest.mark.parametrize("name", CALLS)
def test_every_rendered_call_can_be_read_whole_or_short(name: str) -> None:
    script = CALLS[name].render()
    for text in (script.text, script.short):
        call = last_call(text)
        assert (call.function, call.arguments) == (script.function, script.parameters)
    assert script.function.lower() in functions_in(script.text)
    assert not functions_in(script.short)
