"""Every document that leaves, by name, as JSON Schema (2020-12): what ``mpsbridge schema`` prints.

A command's schema is of ``--output json``: its answer, or the error that stopped it. ``$defs/line`` is of one line of
its ``--output jsonl``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from mpsbridge.errors import InputError
from mpsbridge.evidence.record import EvidenceFile
from mpsbridge.models.complaints import not_one_of
from mpsbridge.operations.planfile import Plan
from mpsbridge.reports.history import Deed
from mpsbridge.reports.report import Report
from mpsbridge.schemas import answers, history, offline
from mpsbridge.schemas.base import Document, ErrorDocument
from mpsbridge.schemas.events import entry_schema, event_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OFFLINE: dict[str, tuple[type[Document], TypeAdapter[Any] | None]] = {
    "parse": (offline.ParseDocument, TypeAdapter(offline.ParsedRow)),
    "render": (offline.RenderDocument, None),
    "jea": (offline.JeaDocument, None),
    "schema": (offline.SchemaDocument, None),
}
NAMES = (*answers.COMMANDS, "history", "report", *_OFFLINE, "events", "plan", "evidence", "error")


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of that name. Raises ``InputError`` where there is none."""
    if name not in NAMES:
        raise InputError(not_one_of(name, NAMES))
    return {"$schema": DIALECT, **_found(name)}


def _found(name: str) -> dict[str, Any]:
    match name:
        case "events":
            return event_schema()
        case "report":
            return Report.model_json_schema(by_alias=True, mode="serialization")
        case "plan":
            return Plan.model_json_schema(by_alias=True, mode="validation")
        case "evidence":
            return EvidenceFile.model_json_schema(by_alias=True, mode="validation")
        case "error":
            return ErrorDocument.model_json_schema(by_alias=True, mode="serialization")
        case "history":
            return _history()
        case _ if name in _OFFLINE:
            document, line = _OFFLINE[name]
            return _of_command(name, [document], line)
        case _:
            looks = [answers.seen_type(name)] if name not in answers.ACTING or name == "logons" else []
            acts = [answers.acted_type(name)] if name in answers.ACTING else []
            return _of_command(name, [*looks, *acts], answers.line_type(name))


def _history() -> dict[str, Any]:
    """All runs, one, or sessions; a line is a run, a session, or an entry of the one."""
    kinds: list[type[Document]] = [history.RunsDocument, history.RunDocument, history.DeedsDocument]
    line: TypeAdapter[Any] = TypeAdapter(history.ListedRun | Deed)
    found = _of_command("history", kinds, line)
    entry = entry_schema()
    defs = found["$defs"]
    defs |= entry.pop("$defs") | {"entry": entry}
    defs["RunDocument"]["properties"]["entries"]["items"] = {"$ref": "#/$defs/entry"}
    defs["line"] = {"anyOf": [defs["line"], {"$ref": "#/$defs/entry"}]}
    return found


def _of_command(name: str, documents: Sequence[type[Document]], line: TypeAdapter[Any] | None) -> dict[str, Any]:
    kinds: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in documents}
    kinds |= {"error": TypeAdapter(ErrorDocument), **({"line": line} if line is not None else {})}
    by_kind, found = TypeAdapter.json_schemas([(kind, "serialization", adapter) for kind, adapter in kinds.items()])
    schemas = {kind: schema for (kind, _), schema in by_kind.items()}
    defs: dict[str, Any] = found["$defs"]
    if line is not None:
        defs["line"] = schemas.pop("line")
    for reference in schemas.values():
        defs[reference["$ref"].rpartition("/")[2]]["properties"]["command"] = {"const": name}
    return {"title": f"mpsbridge {name}", "anyOf": list(schemas.values()), "$defs": defs}
