"""Regular expressions: none is made from data, and none takes more than linear time, whatever text it is given.

Every expression of the package is found in its source and is tried, in the way in which it is used there, on texts that
match it with pieces repeated, and on its own characters repeated, which is where backtracking explodes.
"""

from __future__ import annotations

import ast
import itertools
import re
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from conftest import ROOT, examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

METHODS = {"fullmatch", "match", "search", "sub", "split", "findall", "finditer"}
LENGTH = 16_000
"""Characters of a pumped text: a linear search takes well under 5 ms for them, a quadratic one more than a second."""
LIMIT_S = 0.25
KERBEROS = {"gssapi", "krb5"}
"""The packages of the one extra that '.[test]' does without: its modules cannot be imported where they are missing."""


class Expression(NamedTuple):
    """One expression, and one way in which it is used."""

    where: str
    pattern: re.Pattern[Any]
    method: str

    def __str__(self) -> str:
        return f"{self.where}-{self.method}"


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "mpsbridge").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name != "mpsbridge.__main__":
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def calls_of_re(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in METHODS | {"compile"}
        ):
            yield node


def evaluated(node: ast.Call, module: ModuleType) -> re.Pattern[Any]:
    """The expression of a call such as ``re.search(r"...", text, re.IGNORECASE)``, from constants of its module."""
    flags = next((word.value for word in node.keywords if word.arg == "flags"), None)
    given = (
        node.args[2] if len(node.args) > 2 and flags is None and ast.unparse(node.args[2]).startswith("re.") else flags
    )
    parts = [node.args[0], *([given] if given is not None else [])]
    found = [eval(compile(ast.Expression(part), "<source>", "eval"), vars(module)) for part in parts]  # noqa: S307 - our own source
    return re.compile(*found)


def named(module: ModuleType) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """The compiled expressions of a module, also those inside tuples and dictionaries."""

    def within(value: object) -> Iterator[re.Pattern[Any]]:
        if isinstance(value, re.Pattern):
            yield value
        elif isinstance(value, tuple | list | frozenset | set):
            for each in value:
                yield from within(each)
        elif isinstance(value, dict):
            for each in itertools.chain(value, value.values()):
                yield from within(each)

    for name, value in vars(module).items():
        if not name.startswith("__"):
            for pattern in within(value):
                yield name, pattern


@cache
def expressions() -> tuple[Expression, ...]:
    found: dict[tuple[str, str], Expression] = {}
    for name, tree in modules():
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in KERBEROS or any(calls_of_re(tree)):
                raise
            continue  # without the extra 'kerberos' nothing of it is tried: it has no expression of its own
        used = {
            (node.func.value.id, node.func.attr)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.attr in METHODS
        }
        for variable, pattern in named(module):
            methods = {method for owner, method in used if owner == variable} or METHODS - {"sub", "split"}
            for method in sorted(methods):
                found[pattern.pattern, method] = Expression(f"{name}.{variable}", pattern, method)
        for call in calls_of_re(tree):
            assert isinstance(call.func, ast.Attribute)
            if call.func.attr != "compile":
                pattern = evaluated(call, module)
                found[pattern.pattern, call.func.attr] = Expression(f"{name}:{call.lineno}", pattern, call.func.attr)
    return tuple(found.values())


def test_no_expression_is_made_from_data() -> None:
    """The first argument of each call is a constant, or put together from constants of its module when it is loaded."""
    for name, tree in modules():
        inside = {id(node) for function in functions(tree) for node in ast.walk(function)}
        constants = {target.id for node in tree.body for target in targets(node)}
        for call in calls_of_re(tree):
            known = {node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)} <= constants
            assert known, f"{name}:{call.lineno} makes an expression from data"
            assert not (id(call) in inside and isinstance(call.func, ast.Attribute) and call.func.attr == "compile")


def functions(tree: ast.Module) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def targets(node: ast.stmt) -> list[ast.Name]:
    found = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [each for each in found if isinstance(each, ast.Name)]


def seconds(expression: Expression, text: str) -> float:
    """CPU seconds that it takes on this text; the quicker of two tries where the first is slow."""
    subject: Any = text.encode("utf-8", "replace") if isinstance(expression.pattern.pattern, bytes) else text
    act: Callable[[Any], Any] = {
        "finditer": lambda it: list(expression.pattern.finditer(it)),
        "sub": lambda it: expression.pattern.sub(it[:0], it),
    }.get(expression.method, getattr(expression.pattern, expression.method))
    best = float("inf")
    for _ in range(2):
        began = time.thread_time()
        act(subject)
        best = min(best, time.thread_time() - began)
        if best < LIMIT_S:
            break
    return best


def alphabet(pattern: re.Pattern[Any]) -> list[str]:
    """Characters that the expression tells apart: those it names, and some that it may exclude."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    named = re.sub(r"\\[a-zA-Z]|\\u....|[()?*+{}|^$\\]", "", text)
    return list(dict.fromkeys([" ", "a", "1", *named[:60], "-", ".", ":", "\n", "é", "\t"]))[:14]


@pytest.mark.parametrize("expression", expressions(), ids=str)
def test_repeated_characters_take_linear_time(expression: Expression) -> None:
    characters = alphabet(expression.pattern)
    single = (one * LENGTH for one in characters)
    pairs = ((one + other) * (LENGTH // 2) for one, other in itertools.combinations(characters, 2))
    ended = (one * LENGTH + other for one, other in itertools.permutations(characters[:8], 2))
    slowest = max((seconds(expression, text), text[:4]) for text in itertools.chain(single, pairs, ended))
    assert slowest[0] < LIMIT_S, f"{expression.pattern.pattern!r} takes {slowest[0]:.2f} s on {slowest[1]!r}..."


@pytest.mark.parametrize("expression", expressions(), ids=str)
def test_repeated_pieces_of_what_matches_take_linear_time(expression: Expression) -> None:
    is_bytes = isinstance(expression.pattern.pattern, bytes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matching: Any = st.from_regex(without_possession(expression.pattern))

    @settings(max_examples=examples(ci=12, deep=400), suppress_health_check=list(HealthCheck))
    @given(matching, st.integers(0, 30), st.integers(1, 3), st.sampled_from(["", "\x00", " ", "z", "1", "\n"]))
    def pumped(match: Any, at: int, width: int, end: str) -> None:
        text = match.decode("latin-1") if is_bytes else match
        at %= max(1, len(text))
        piece = text[at : at + width] or "a"
        long = text[:at] + piece * (LENGTH // len(piece)) + text[at + width :] + end
        taken = seconds(expression, long)
        assert taken < LIMIT_S, (
            f"{expression.pattern.pattern!r} takes {taken:.2f} s on {text!r} with {piece!r} repeated"
        )

    pumped()


def without_possession(pattern: re.Pattern[Any]) -> re.Pattern[Any]:
    """The same without possessive repeats and atomic groups, of which hypothesis knows nothing."""
    if isinstance(pattern.pattern, bytes):
        plain = re.sub(rb"(?<!\\)([*+?}])\+", rb"\1", pattern.pattern).replace(b"(?>", b"(?:")
        return re.compile(plain, pattern.flags)
    plain_text = re.sub(r"(?<!\\)([*+?}])\+", r"\1", pattern.pattern).replace("(?>", "(?:")
    return re.compile(plain_text, pattern.flags)


def test_the_measure_sees_an_expression_that_backtracks() -> None:
    quadratic = Expression("here", re.compile(r"([a-z]+):[ \t]*(.*?)[ \t]*"), "fullmatch")
    assert seconds(quadratic, "x: a" + " " * LENGTH + "b") > LIMIT_S


def test_all_of_them_were_found() -> None:
    """As many as the source names; each module can be loaded alone."""
    assert len({expression.pattern.pattern for expression in expressions()}) > 80
    assert Path(ROOT / "mpsbridge").is_dir()
