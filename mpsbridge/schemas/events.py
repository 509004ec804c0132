"""What happens in a run, as JSON lines: of ``--events``, and the entries of ``history RUN``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mpsbridge.runs.events import HAPPENINGS, Event

SCHEMA = "mpsbridge-event/1"
_ON_EVERY_LINE: dict[str, Any] = {
    "schema": {"const": SCHEMA},
    "at": {"type": "string", "format": "date-time"},
    "run": {"type": "string"},
    "host": {"type": "string"},
    "text": {"type": "string", "description": "the event in a sentence for people"},
}
_OF_AN_ENTRY: dict[str, Any] = {"number": {"type": "integer", "description": "its place in the record"}}


def event_json(event: Event) -> dict[str, Any]:
    """An event, flat; an entry of the record has its number, too."""
    head: dict[str, Any] = event.model_dump(mode="json", exclude={"what"})
    return {"schema": SCHEMA, **head, **event.what.model_dump(mode="json"), "text": event.what.text()}


def event_schema() -> dict[str, Any]:
    """The JSON Schema of one line of ``--events``."""
    told: list[type[BaseModel]] = [kind for kind in HAPPENINGS if kind.is_told]
    return {"title": SCHEMA, **_flat(told, _ON_EVERY_LINE)}


def entry_schema() -> dict[str, Any]:
    """The JSON Schema of one entry of the record, which has what ``--events`` leaves out, too."""
    return _flat(HAPPENINGS, _ON_EVERY_LINE | _OF_AN_ENTRY)


def _flat(kinds: Any, on_every_line: dict[str, Any]) -> dict[str, Any]:
    _, schema = models_json_schema([(kind, "serialization") for kind in kinds])
    for kind in kinds:
        fields = schema["$defs"][kind.__name__]
        fields["properties"] = {**on_every_line, **fields["properties"]}
        fields["required"] = list(fields["properties"])
    return {"oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds], **schema}
