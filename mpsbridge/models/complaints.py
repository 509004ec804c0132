"""What is wrong with a value, in a sentence a person can act on. Pure.

Rule: a validation library's own words never reach a person; a value that may be a secret is never repeated.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mpsbridge.models.harmless import harmless

EMPTY = "it is empty: leave it out, or fill it (what is missing in CI looks like this)"
SHOWN = 60
"""Characters of a value that are repeated."""
LIKE = 0.7
"""From here on a name is like another: it is only told, so it may be less like it than where it refuses a call."""
CLOSE = 0.75
"""How much alike two words are, of 1, before one is suggested for the other."""
_WORDS = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such key",
    "too_short": "it is empty",
    "string_too_short": "it is empty",
    "json_invalid": "it is not JSON",
}
"""Complaints that need no value."""
_TIME = "a time: write 22:00, or a date with it such as 2026-11-30T22:00:00+01:00"
_KINDS = {
    "int": "a whole number",
    "bool": "yes or no (1, 0, true, false)",
    "string": "a text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
    "datetime": _TIME,
    "time": _TIME,
    "date": _TIME,
    "path": "the name of a file",
}
"""What a value should be, by the first word of the complaint's type."""
_STRICT = {"bool_type": "true or false", "int_type": "a whole number"}
"""What a value should be that is not read from a text: a file's own types have no other words for it."""
_BOUNDS = {
    "greater_than_equal": ("ge", "the least is"),
    "less_than_equal": ("le", "the most is"),
    "greater_than": ("gt", "it must be more than"),
    "less_than": ("lt", "it must be less than"),
}


def complaint(problem: Mapping[str, Any], *, quotes: bool = True) -> str:
    """One of the errors of a pydantic ``ValidationError``, without the place; with ``quotes`` it repeats the value."""
    kind, context = str(problem["type"]), problem.get("ctx") or {}
    if kind in {"value_error", "assertion_error"}:
        return str(problem["msg"]).partition(", ")[2]
    if kind in _WORDS:
        return _WORDS[kind]
    value = _shown(problem) if quotes else "the value"
    if kind in _STRICT:
        without = ", written without quotes" if quotes and isinstance(problem.get("input"), str) else ""
        return f"{value} is not {_STRICT[kind]}{without}"
    if kind in {"enum", "literal_error"}:
        known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return not_one_of(problem.get("input"), known) if quotes else f"{value} is not one of {', '.join(known)}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{value} is not possible, {words} {context.get(name)}"
    if kind in {"string_too_long", "too_long"}:
        return f"it is longer than {context.get('max_length')} characters"
    if (wanted := _KINDS.get(kind.partition("_")[0])) is not None and kind != "string_pattern_mismatch":
        return f"{value} is not {wanted}"
    return f"{value} does not have the right form"


_ALSO_CALLED = {
    **dict.fromkeys(("reboot", "reset"), "restart"),
    **dict.fromkeys(("poweroff", "halt", "stop"), "shutdown"),
    **dict.fromkeys(("closed", "close", "off", "deny", "disable"), "disabled"),
    **dict.fromkeys(("open", "on", "allow", "enable"), "enabled"),
    **dict.fromkeys(("none", "no"), "nothing"),
    "drainuntilrestart": "drain-until-restart",
    "yaml": "json",
}
"""Words that people know from elsewhere, and ours."""


def not_one_of(value: object, known: Sequence[str]) -> str:
    """The sentence about a word that is none of those that are known; the one that is meant is named."""
    word = str(value).casefold()
    ours = _ALSO_CALLED.get(word)
    meant = f"; did you mean {ours}?" if ours in known else did_you_mean(word, known)
    return f"{_quoted(value)} is not one of {', '.join(known)}{meant}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about a word that is not known: the nearest that is, or nothing where none is close."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=CLOSE)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(problem: Mapping[str, Any]) -> str:
    secret = any("password" in str(part) or "secret" in str(part) for part in problem["loc"])
    return "the value" if secret else _quoted(problem.get("input"))


def _quoted(value: object) -> str:
    if isinstance(value, str | int | float | bool) or value is None:
        return repr(harmless(value, limit=SHOWN)) if isinstance(value, str) else str(value)
    return "the value"
