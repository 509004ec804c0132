"""What is wrong with a TOML file, told by file, line and key. Pure: text and a model's complaint in, sentences out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mpsbridge.models.complaints import complaint, did_you_mean


def load(text: str) -> dict[str, Any]:
    """The document. Raises ``ValueError`` (with the reason) for whatever is none."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def problems(path: Path, text: str, error: ValidationError, model: type[BaseModel] | None = None) -> list[str]:
    """One sentence for each key that the model complains of, in the order of the lines, each place only once.

    With the ``model`` of the whole file a key that is not known is told with the nearest that is.
    """
    told: dict[tuple[int, tuple[str, ...]], str] = {}
    for problem in error.errors():
        keys = [str(part) for part in problem["loc"]]
        line, depth = line_of(text, keys)
        message = complaint(problem)
        if problem["type"] == "extra_forbidden" and model is not None:
            message += did_you_mean(keys[-1], _known(model, keys[:-1]))
        key = tuple(keys[: max(depth, 1)])  # what follows may be a form of a union, and no key
        if problem["type"] == "extra_forbidden":
            key = tuple(keys)
        told.setdefault((line, key), f"{path}:{line}: {'.'.join(key)}: {message}")
    return [told[place] for place in sorted(told, key=lambda place: place[0])]


def _known(model: type[BaseModel], keys: Sequence[str]) -> list[str]:
    """The keys of the table that these keys lead to; none where that is no table of fixed keys."""
    for key in keys:
        found = model.model_fields.get(key)
        if found is None or not (isinstance(found.annotation, type) and issubclass(found.annotation, BaseModel)):
            return []
        model = found.annotation
    return [field.alias or name for name, field in model.model_fields.items()]


def line_of(text: str, keys: Sequence[str]) -> tuple[int, int]:
    """Where a key stands, and how many of ``keys`` led there; the table's head for a missing key, or line 1."""
    best: tuple[int, int] = (1, 0)
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if head := re.match(r"\s*\[([^\[].*?)\]\s*(?:#.*)?$", line):
            table = path = _keys(f"[{head[1]}]")
        elif key := re.match(r"\s*+([^\s#=\[{][^#=\[{]*+)=", line):
            path = [*table, *_keys(f"{key[1]} = 0")]
        else:
            continue
        if path == list(keys[: len(path)]) and len(path) > best[1]:
            best = number, len(path)
    return best


def _keys(line: str) -> list[str]:
    """The keys that one line names: ``[a."b.c"]`` names ``a`` and ``b.c``."""
    found: list[str] = []
    try:
        level: object = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return found  # within a text of several lines, say
    while isinstance(level, dict) and level:
        ((key, level),) = level.items()
        found.append(key)
    return found
