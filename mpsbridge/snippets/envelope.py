"""The one string that a script answers -> its result, or an error that says what ran.

::

    {"mpsbridge": 1, "snippet": "observe", "ok": true, "result": {...}, "problems": ["..."]}

Rules of this file: an answer is read whole or not at all; whatever is wrong with it is an error of its own, in words;
text from the host is made harmless before it is quoted. Windows PowerShell 5.1 and 7 write JSON differently; both are
read.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, JsonValue, ValidationError

from mpsbridge.errors import AccessDenied, Blind, CommandMissing, ParseError, RemoteError
from mpsbridge.models.answers import RefusalAnswer
from mpsbridge.models.bounds import (
    DEPTH_LIMIT,
    DIGITS_LIMIT,
    ENTRIES_LIMIT,
    ENVELOPE_LIMIT,
    LEASE_FILE_LIMIT,
    PARTS_LIMIT,
    TABLE_LIMIT,
    TEXT_LIMIT,
    few,
)
from mpsbridge.models.frozen import Answer
from mpsbridge.models.harmless import harmless
from mpsbridge.models.scripts import RawOutput

VERSION = 1
EXCERPT = 300
"""Characters of the host's own text that an error quotes."""

_BASE64_LIMIT = (TABLE_LIMIT + 2) // 3 * 4
_LONGER = {"out": _BASE64_LIMIT, "err": _BASE64_LIMIT, "text": TABLE_LIMIT, "error_text": TABLE_LIMIT}
"""What a program printed may be longer than other texts, and so may the lease."""
_CUT = {"lease", "problems", "problem", "message"}
"""Too much of these is cut by their models: what the host has to say of a failure must not hide the failure."""

A = TypeVar("A", bound=Answer)


class Envelope(Answer):
    """One answer, opened: who answered, what, and what could not be found out."""

    mpsbridge: Literal[1]
    snippet: str
    ok: bool
    result: dict[str, JsonValue]
    problems: Annotated[tuple[str, ...], AfterValidator(few)] = ()

    def answer(self, model: type[A]) -> A:
        """The result as a model. Raises :class:`~mpsbridge.errors.ParseError` where its shape is another."""
        try:
            return model.model_validate(self.result)
        except ValidationError as error:
            raise ParseError(f"the answer to {self.snippet!r} has another shape: {_first(error)}") from None


def open_envelope(snippet: str, output: RawOutput) -> Envelope:
    """Read what a transport brought home for ``snippet``.

    Raises :class:`~mpsbridge.errors.RemoteError` (or a child) where the host refused or only reported errors, and
    :class:`~mpsbridge.errors.ParseError` where the answer is not exactly one whole envelope of this version and
    snippet.
    """
    envelope = _read(snippet, _only_string(output))
    if not envelope.ok:
        raise _refusal(envelope.answer(RefusalAnswer))
    return envelope


def _only_string(output: RawOutput) -> str:
    strings = [text for text in output.output if text.strip()]
    if not strings and output.errors:
        raise RemoteError(f"PowerShell reported: {harmless(_on_one_line(output.errors[0]), limit=EXCERPT)}")
    if not strings:
        raise ParseError("the script ended without an answer")
    if len(strings) > 1:
        raise ParseError(
            f"the script answered {len(strings)} strings in place of one", excerpt=harmless(strings[0], limit=EXCERPT)
        )
    if len(strings[0]) > ENVELOPE_LIMIT:
        raise ParseError(f"the answer has {len(strings[0])} characters; more than {ENVELOPE_LIMIT} are not read")
    parts = sum(map(strings[0].count, "[{,"))
    if parts > PARTS_LIMIT:
        raise ParseError(f"the answer has {parts} parts; more than {PARTS_LIMIT} are not read")
    return _whole_characters(strings[0])


def _whole_characters(text: str) -> str:
    """The text with each lone surrogate replaced: it is no character, and nothing could print or store it."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read(snippet: str, text: str) -> Envelope:
    try:
        document = _unwrapped(json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_no_number))
        if "\\ud" in text or "\\uD" in text:  # no other way in for half a pair, and most answers hold none
            document = _mended(document)
    except (ValueError, RecursionError):
        raise ParseError(
            "the answer is not JSON, or was cut", excerpt=harmless(text[-EXCERPT:], limit=EXCERPT)
        ) from None
    if not isinstance(document, dict) or "mpsbridge" not in document:
        raise ParseError("the answer is JSON, but no envelope", excerpt=harmless(text, limit=EXCERPT))
    if document["mpsbridge"] != VERSION:
        raise ParseError(f"the envelope has version {harmless(str(document['mpsbridge']), limit=40)}, not {VERSION}")
    if document.get("snippet") != snippet:
        raise ParseError(f"the answer is for {harmless(str(document.get('snippet')), limit=40)!r}, not {snippet!r}")
    try:
        return Envelope.model_validate(document)
    except ValidationError as error:
        raise ParseError(
            f"the envelope has another shape: {_first(error)}", excerpt=harmless(text, limit=EXCERPT)
        ) from None


def _unwrapped(value: Any, name: str = "", depth: int = 0) -> Any:
    """The value within its limits, and no ``{"value": [...], "Count": n}``.

    That is Windows PowerShell's way to write an array that carries extra members.
    """
    if depth > DEPTH_LIMIT:
        raise ParseError(f"the answer is nested deeper than {DEPTH_LIMIT} values")
    if isinstance(value, dict):
        if value.keys() == {"value", "Count"} and isinstance(value["value"], list):
            return _unwrapped(value["value"], name, depth + 1)
        return {key: _unwrapped(inner, key, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        if len(value) > ENTRIES_LIMIT:
            raise ParseError(f"a list of the answer has {len(value)} entries; more than {ENTRIES_LIMIT} are not read")
        return [_unwrapped(inner, name, depth + 1) for inner in value]
    return _text(value, name) if isinstance(value, str) else value


def _on_one_line(text: str) -> str:
    """What PowerShell says of an error, from version 7 on over several lines."""
    return " ".join(text[:TEXT_LIMIT].split())


def _text(text: str, name: str) -> str:
    if name in _CUT - {"lease"}:
        text = _on_one_line(text)
    if name == "lease" and len(text) > LEASE_FILE_LIMIT:
        return text[:EXCERPT] + "..."  # what is cut so is not a lease, and counts as damaged: held (W22)
    if name not in _CUT and len(text) > _LONGER.get(name, TEXT_LIMIT):
        raise ParseError(f"a text of the answer ({harmless(name, limit=40)!r}) has {len(text)} characters")
    return text


def _mended(value: Any) -> Any:
    """The value with each of its texts whole."""
    if isinstance(value, dict):
        return {_whole_characters(key): _mended(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mended(inner) for inner in value]
    return _whole_characters(value) if isinstance(value, str) else value


def _integer(digits: str) -> int:
    if len(digits) > DIGITS_LIMIT:
        raise ParseError("the answer holds a number longer than any of Windows")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        _no_number(digits)
    return number


def _no_number(word: str) -> None:
    raise ParseError(f"the answer holds {harmless(word, limit=20)}, which is not a number")


def _refusal(refusal: RefusalAnswer) -> RemoteError:
    message = harmless(refusal.message, limit=EXCERPT) or "the script refused without a word"
    match refusal.kind:
        case "denied":
            return AccessDenied(message)
        case "blind":
            return Blind(message)
        case "missing-command":
            return CommandMissing(message)
        case "constrained":
            hint = "Publish the signed JEA module there (mpsbridge jea), or use an unconstrained endpoint."
            return RemoteError(message, hint=hint, may_have_run=False)
        case "expired":
            hint = "Nothing was done: the script started too late. Look again, then repeat."
            return RemoteError(message, hint=hint, may_have_run=False)
        case "untouched":
            return RemoteError(message, may_have_run=False)
    return RemoteError(message)


def _first(error: ValidationError) -> str:
    """Where and what, without the value: it may be anything, of any length."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(step) for step in fault["loc"]) or "the whole"
    return harmless(f"{place}: {fault['msg']}", limit=EXCERPT)
