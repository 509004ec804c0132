"""One value, one literal: read back by the real engine, by the lab's own reader, and refused where it has none."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from support.described import described
from support.pwsh import SCRIPTS, run_script

from mpsbridge.errors import RenderError
from mpsbridge.lab.engines.reader import read_literal
from mpsbridge.models.sessions import LogonMode
from mpsbridge.snippets.literals import literal

ODD = "'’‘‚‛\"“”„`$%{}()[];&|#@<>\\/\n\r\t \u00a0\u2028\u2029\u0085–—-_xé日\U0001f600"
QUOTES = "'‘’‚‛"


def carried(character: str) -> bool:
    """Whether XML 1.0 can carry it."""
    number = ord(character)
    return character in "\t\n\r" or 0x20 <= number < 0xD800 or 0xE000 <= number <= 0xFFFD or number > 0xFFFF


characters = st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs"]).filter(carried))
texts = st.text(characters).filter(lambda text: text != "--%")
scalars = st.one_of(texts, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none())
keys = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
tables = st.lists(st.tuples(keys, scalars), max_size=3, unique_by=lambda pair: pair[0].lower()).map(dict)
flat = scalars | tables
values = flat | st.lists(flat, max_size=3) | st.dictionaries(st.just("list"), st.lists(flat, max_size=3))

READ_BACK = f". '{SCRIPTS}/describe.ps1'\nfunction Show-Value {{ param($Value) Get-Description $Value }}\n"


def engine_reads(engine: Path, batch: Sequence[object]) -> list[str]:
    script = READ_BACK + "\n".join(f"Show-Value -Value {literal(value)}" for value in batch)
    output = run_script(engine, script)
    assert not output.errors, output.errors
    return list(output.output)


@pytest.mark.engine
def test_the_engine_reads_edges_back(engine: Path) -> None:
    batch: list[Any] = ["", *ODD, *(quote * count for quote in QUOTES for count in (1, 2, 3)), ODD, ODD * 3]
    batch += ["'@(1)", "' ; Stop-Computer #", "’; Stop-Computer; ‘", "\r\n'@\r\n", "_x0041_", "$(1)", "${x}", "\\'"]
    batch += [0, -1, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), True, False, None]
    batch += [[], [1], [1, 2], [None], [{}], [{"a": []}], {}, {"a": [1], "B": {"c": "'"}}, {"a": []}]
    assert engine_reads(engine, batch) == [described(value) for value in batch]


@pytest.mark.engine
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the engine is a path
@given(batch=st.lists(values, min_size=80, max_size=80))
def test_what_the_engine_reads_is_what_was_written(batch: list[Any], engine: Path) -> None:
    assert engine_reads(engine, batch) == [described(value) for value in batch]


PARSED = r"""
foreach ($literal in (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText('FILE'))).literals) {
    $errors = $null
    $tree = [Management.Automation.Language.Parser]::ParseInput("Show-It -Value $literal", [ref]$null, [ref]$errors)
    $statements = @($tree.EndBlock.Statements)
    $elements = @($statements[0].PipelineElements[0].CommandElements)
    $whole = $errors.Count -eq 0 -and $statements.Count -eq 1 -and $elements.Count -eq 3
    if (-not $whole -or $elements[2].GetType().Name -ne 'StringConstantExpressionAst') { 'broken' } else {
        [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($elements[2].Value))
    }
}
"""


@pytest.mark.engine
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the engine is a path
@given(batch=st.lists(texts, min_size=120, max_size=120))
def test_no_text_ends_its_literal_early(
    batch: list[str], engine: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("literals")
    path = folder / "literals.json"
    path.write_text(json.dumps({"literals": [literal(text) for text in batch]}))
    output = run_script(engine, PARSED.replace("FILE", str(path)))
    assert [base64.b64decode(text).decode() for text in output.output] == batch


def no_negative(value: object) -> bool:
    """The lab's reader reads calls of this package, which hold no negative number."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return all(map(no_negative, inner)) and not (isinstance(value, int) and value < 0)


@given(value=values.filter(no_negative))
@example(value="'’")
def test_the_labs_reader_is_the_inverse(value: object) -> None:
    assert read_literal(literal(value)) == value


@given(text=texts)
def test_quotes_stand_in_pairs_inside(text: str) -> None:
    inside = literal(text)[1:-1]
    for quote in QUOTES:
        inside = inside.replace(quote * 2, "")
    assert not set(inside) & set(QUOTES)


def hex_of(character: str) -> str:
    return f"{ord(character):04x}"


@pytest.mark.parametrize(
    "character", [chr(number) for number in (0, 1, 0x1B, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF)], ids=hex_of
)
def test_what_xml_cannot_carry_is_refused_by_name_and_never_shown(character: str) -> None:
    with pytest.raises(RenderError, match=rf"U\+{ord(character):04X}") as caught:
        literal(f"a secret{character}")
    assert "secret" not in str(caught.value)


def test_the_mark_that_stops_parsing_is_refused() -> None:
    with pytest.raises(RenderError, match="works in quotes too"):
        literal("--%")
    assert literal("--% ") == "'--% '"


class Number(IntEnum):
    ONE = 1


class Loud(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        Decimal(1),
        b"bytes",
        datetime(2026, 1, 1, tzinfo=UTC),
        Number.ONE,
        Loud("text"),
        {1, 2},
        object(),
        SecretStr("hush"),
        Path("x"),
        [1, 2.0],
        [[1]],
        [1, (2,)],
        {"a": object()},
        range(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused_never_written(value: object) -> None:
    with pytest.raises(RenderError, match="no PowerShell literal here"):
        literal(value)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_integers_beyond_64_bits_are_refused(number: int) -> None:
    with pytest.raises(RenderError, match="64 bits"):
        literal(number)


@pytest.mark.parametrize("table", [{"a b": 1}, {"": 1}, {"é": 1}, {1: 1}, {"a'": 1}, {"1a": 1}])
def test_keys_are_plain_identifiers(table: dict[Any, Any]) -> None:
    with pytest.raises(RenderError, match="key"):
        literal(table)


def test_keys_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(RenderError, match="case"):
        literal({"a": 1, "A": 2})


def test_a_word_of_an_enumeration_is_its_text() -> None:
    assert literal(LogonMode.DRAIN) == "'drain'"


def test_booleans_are_not_numbers() -> None:
    assert [literal(value) for value in (True, False, 1, 0, None)] == ["$true", "$false", "1", "0", "$null"]
