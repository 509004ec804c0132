"""Whether what the command line prints for programs is what ``mpsbridge schema`` says of it."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator

from mpsbridge.schemas.catalogue import NAMES, json_schema


@functools.cache
def documents(name: str) -> Draft202012Validator:
    """What judges documents of that name."""
    return Draft202012Validator(json_schema(name))


@functools.cache
def lines(name: str) -> Draft202012Validator:
    """What judges lines of ``--output jsonl`` of that command."""
    schema = json_schema(name)
    return Draft202012Validator({"$ref": "#/$defs/line", "$defs": schema["$defs"]})


def check_document(document: dict[str, Any]) -> None:
    """Raise ``ValidationError`` where a document is not as its schema says."""
    command = document.get("command", "report")
    if "error" in document:
        documents("error").validate(document)
        if command not in NAMES or command == "report":
            return
    documents(command).validate(document)


def check(words: Sequence[str], out: str) -> None:
    """Judge all that a call printed, if it was to answer for programs."""
    form = _form(words)
    if words and words[0] == "schema" and len(words) > 1 and not words[1].startswith("-"):
        return
    if form == "json" and out:
        check_document(json.loads(out))
    if form == "jsonl":
        for line in out.splitlines():
            lines(words[0]).validate(json.loads(line))


def _form(words: Sequence[str]) -> str | None:
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word in {"-o", "--output", "--format"}:
            return following
        if word.startswith("--output="):
            return word.removeprefix("--output=")
    return None
