"""Template + parameters -> :class:`~mpsbridge.models.scripts.Script`.

A template is function definitions (static text, shared ones by ``{% include %}``) and, as its last line, one call::

    Set-MpsbridgeLogonMode -Mode {{ mode }} -Expected {{ expected }} -NotAfter {{ not_after }} -Run {{ run }}

Rules of this file: templates come from the folder beside the package and from nowhere else; a value enters only on the
call line and only as a literal; line 1 of what is sent says what ran, in ASCII, with people and texts as digests (W35).
The call line below it does carry what the host needs: the bytes of a row, the text of a message. Jinja2 renders the
definitions (:mod:`mpsbridge.snippets.jinja`), which are the same for every call and therefore kept
(:mod:`mpsbridge.snippets.kept`); the call is written here, and a test holds both to what Jinja makes of the template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

import mpsbridge
from mpsbridge.errors import RenderError
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.scripts import Effect, Script
from mpsbridge.once import once
from mpsbridge.snippets.kept import Rendered, digest, kept
from mpsbridge.snippets.literals import literal
from mpsbridge.version import __version__

TEMPLATES = Path(mpsbridge.__file__).resolve().parent.parent / "ps_templates"
"""Never found by import name: a ``ps_templates`` on ``PYTHONPATH`` must not replace what runs as administrator."""

_CALL = re.compile(r"(?P<function>[A-Z][a-z]+-Mpsbridge[A-Za-z]+)(?P<arguments>( -[A-Z][A-Za-z]* \{\{ [a-z_]+ \}\})*)")
_ARGUMENT = re.compile(r"-([A-Z][A-Za-z]*) \{\{ ([a-z_]+) \}\}")
_DIGESTED = ("user", "owner", "text", "expected")
_PERSONAL = frozenset({*_DIGESTED, "logon", "state"})
"""Fields that appear in the audit header as a digest only, or not at all."""
_WORD = re.compile(r"[a-z-]{1,32}")
"""A logon mode and the like: nobody's name and nobody's text."""


class Call(NamedTuple):
    """The last line of a template: which function, and which field feeds which of its parameters."""

    function: str
    fields: dict[str, str]

    def line(self, values: Mapping[str, JsonValue]) -> str:
        """The call with these values. Raises ``RenderError`` for one that is not a literal."""
        arguments = (f" -{parameter} {literal(values[field])}" for parameter, field in self.fields.items())
        return self.function + "".join(arguments)


def render(snippet: str, effect: Effect, parameters: Frozen, *, reason: str = "") -> Script:
    """Render the template ``<snippet>.ps1.j2``; ``reason`` (for the audit header) is the person's own words.

    Raises :class:`~mpsbridge.errors.RenderError`: unknown template, a name the template wants and ``parameters`` lacks
    (or the other way round), a value that is no literal.
    """
    definitions, call = _template(snippet)
    values = _values(parameters)
    if set(values) != set(call.fields.values()):
        raise RenderError(f"the template {snippet!r} and {type(parameters).__name__} disagree about the parameters")
    line = call.line(values)
    return Script(
        snippet=snippet,
        effect=effect,
        header=_header(snippet, parameters, reason),
        definitions=definitions,
        call=line,
        function=call.function,
        parameters={name: values[field] for name, field in call.fields.items()},
        digest=digest(f"{definitions}\n{line}"),
        definitions_digest=digest(definitions),
    )


def published(snippet: str) -> tuple[str, str]:
    """The definitions of a snippet and the function that its call names. Raises ``RenderError``."""
    definitions, call = _template(snippet)
    return definitions, call.function


@once
def _template(snippet: str) -> tuple[str, Call]:
    """The definitions and the call of a template. They are the same for every call, so they are read once."""
    found = kept(snippet, TEMPLATES, lambda: _rendered(snippet))
    if (call := _CALL.fullmatch(found.call)) is None:
        raise RenderError(f"the last line of the template {snippet!r} is not one call")
    return found.definitions, Call(call["function"], dict(_ARGUMENT.findall(call["arguments"])))


def _rendered(snippet: str) -> Rendered:
    from mpsbridge.snippets.jinja import rendered  # noqa: PLC0415 - where nothing right is kept

    return rendered(snippet, TEMPLATES)


def _values(parameters: Frozen) -> dict[str, JsonValue]:
    """The fields as they travel: scalars as they are, anything with a shape as one ASCII JSON text that names it."""
    return {
        name: _json({name: value}) if isinstance(value, list | dict) else value
        for name, value in parameters.model_dump(mode="json").items()
    }


def _header(snippet: str, parameters: Frozen, reason: str) -> str:
    audit: dict[str, JsonValue] = {"reason": reason} if reason else {}
    for name, value in parameters.model_dump(mode="json").items():
        if isinstance(value, list):
            audit["count"] = len(value)
            audit[name] = [_audited(entry) if isinstance(entry, dict) else entry for entry in value]
        else:
            audit |= _audited({name: value})
    return f"# mpsbridge {__version__} {snippet} {_json(audit)}"


def _audited(entry: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """What the header may say of one entry: a user or a text as a short digest, never a row's other bytes."""
    audit: dict[str, JsonValue] = {}
    for name, value in entry.items():
        if name == "expected" and isinstance(value, str) and _WORD.fullmatch(value):
            audit[name] = value
        elif name in _DIGESTED and isinstance(value, str):
            audit[f"{name}_sha256"] = digest(value)[:12]
        elif name not in _PERSONAL and value is not None:
            audit[name] = value
    return audit


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
